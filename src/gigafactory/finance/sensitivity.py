"""Which figure matters: one at a time from its low to its high end, and what a buyer might pay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gigafactory.finance.base import Base
from gigafactory.finance.levers import Levers
from gigafactory.finance.planfile import Spread
from gigafactory.finance.years import exit_value, measure, play


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure from its low to its high end, everything else as planned.

    Attributes:
        name: of the figure.
        low, high: its ends, as told to a reader.
        npv_low_eur, npv_high_eur: present value of the project at these ends; of the valuation
            multiple, and there alone, of the cash up to a sale and of the sale.
        lcoc_low_eur_per_gpu_h, lcoc_high_eur_per_gpu_h: levelised cost at these ends.
    """

    name: str
    low: str
    high: str
    npv_low_eur: float
    npv_high_eur: float
    lcoc_low_eur_per_gpu_h: float
    lcoc_high_eur_per_gpu_h: float

    @property
    def swing_eur(self) -> float:
        """How far the present value moves."""
        return abs(self.npv_high_eur - self.npv_low_eur)


#: The bar whose value is that of a sale and not of the project.
MULTIPLE: Final = "valuation_multiple"


def tornado(base: Base) -> list[Bar]:
    """Every uncertain figure from its low to its high end, the widest first."""
    unsure = base.plan.uncertain
    price, hours, energy = unsure.price, unsure.utilisation, unsure.energy_price
    found = [
        _bar(
            base,
            "price",
            _told(price),
            (Levers(price_factor=price.low), Levers(price_factor=price.high)),
        ),
        _bar(
            base,
            "utilisation",
            _told(hours),
            (Levers(utilisation_factor=hours.low), Levers(utilisation_factor=hours.high)),
        ),
        _bar(
            base,
            "energy_price",
            _told(energy),
            (Levers(energy_price_factor=energy.low), Levers(energy_price_factor=energy.high)),
        ),
    ]
    change, late = unsure.price_change, unsure.power_delay
    found += [
        _bar(
            base,
            "price_change",
            (f"{change.low:+.0%}", f"{change.high:+.0%}"),
            (Levers(price_change_fraction=change.low), Levers(price_change_fraction=change.high)),
        ),
        _bar(
            base,
            "power_delay",
            ("0", f"{late.high:g}"),
            (Levers(), Levers(power_delay_years=late.high)),
        ),
    ]
    lives = base.assets["accelerators"].life_years
    found.append(
        _bar(
            base,
            "it_life",
            (f"{lives[0]:g}", f"{lives[2]:g}"),
            (Levers(it_life_years=lives[0]), Levers(it_life_years=lives[2])),
        )
    )
    low = {n: a.low_eur / a.base_eur for n, a in base.assets.items() if a.base_eur}
    high = {n: a.high_eur / a.base_eur for n, a in base.assets.items() if a.base_eur}
    ends = (
        f"{sum(a.low_eur for a in base.assets.values()) / 1e9:.1f}",
        f"{sum(a.high_eur for a in base.assets.values()) / 1e9:.1f}",
    )
    found.append(
        _bar(base, "capex_bn", ends, (Levers(capex_factor=low), Levers(capex_factor=high)))
    )
    found.append(_sale(base))
    return sorted(found, key=lambda bar: -bar.swing_eur)


def _told(spread: Spread) -> tuple[str, str]:
    return f"{spread.low:.0%}", f"{spread.high:.0%}"


def _bar(base: Base, name: str, ends: tuple[str, str], levers: tuple[Levers, Levers]) -> Bar:
    low, high = (measure(play(base, lever)) for lever in levers)
    return Bar(
        name,
        *ends,
        float(low.npv_eur[0]),
        float(high.npv_eur[0]),
        float(low.lcoc_eur_per_gpu_h[0]),
        float(high.lcoc_eur_per_gpu_h[0]),
    )


def _sale(base: Base) -> Bar:
    course, multiple = play(base), base.plan.valuation.multiple
    cost = float(measure(course).lcoc_eur_per_gpu_h[0])
    low, high = (float(exit_value(course, m)[0]) for m in (multiple.low, multiple.high))
    return Bar(MULTIPLE, f"{multiple.low:g}", f"{multiple.high:g}", low, high, cost, cost)


__all__ = ["MULTIPLE", "Bar", "tornado"]
