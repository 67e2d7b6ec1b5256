"""What nobody knows, drawn many times: never a bare point, always P10, P50 and P90.

Each uncertain figure has its own stream of random numbers and a triangle over its range, whatever
the others do: prices that fall while halls stand empty are a scenario, not a draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.streams import stream
from gigafactory.finance.base import Base
from gigafactory.finance.levers import Floats, Levers
from gigafactory.finance.years import Measures, measure, play

#: Draws made at once: more do not fit the processor's cache and take no less time each.
BATCH: Final = 2_000
QUANTILES: Final = (0.10, 0.50, 0.90)


@dataclass(frozen=True, slots=True)
class Range:
    """A result over all draws: a tenth of them lie below `p10`, half below `p50`.

    Attributes:
        p10, p50, p90: quantiles; NaN where there is none.
        none_share: draws without this result (such as a rate of return of nothing but losses);
            they count as lower than any.
        unit: of the three.
    """

    p10: float
    p50: float
    p90: float
    none_share: float
    unit: str


@dataclass(frozen=True, slots=True)
class Chances:
    """Results over all draws.

    Attributes:
        draws, seed: how many, from which seed.
        ranges: by name of the result.
        loss_share: draws with a negative present value.
        breach_share: draws in which a covenant is broken.
        called_share: draws in which cash does not suffice.
        values: of each result, by draw.
    """

    draws: int
    seed: int
    ranges: Mapping[str, Range]
    loss_share: float
    breach_share: float
    called_share: float
    values: Mapping[str, Floats]


#: Result, its unit, and where it stands in `Measures`.
RESULTS: Final = (
    ("npv", "EUR"),
    ("irr", "rate"),
    ("equity_irr", "rate"),
    ("payback", "years"),
    ("lcoc", "EUR/GPU-h"),
    ("dscr_min", "ratio"),
    ("capex", "EUR"),
    ("revenue", "EUR"),
    ("opex", "EUR"),
)
_FIELD: Final = {
    "npv": "npv_eur",
    "irr": "irr_rate",
    "equity_irr": "equity_irr_rate",
    "payback": "payback_years",
    "lcoc": "lcoc_eur_per_gpu_h",
    "dscr_min": "dscr_min_ratio",
    "capex": "capex_eur",
    "revenue": "revenue_eur",
    "opex": "opex_eur",
}


def triangle(seed: int, name: str, draws: int, low: float, base: float, high: float) -> Floats:
    """Draws from a triangle; all at the base where low and high are the same.

    A draw of a stream does not depend on how many are made: the first of ten thousand are those
    of a thousand.
    """
    if not low < high:
        return np.full(draws, base)
    # by the inverse of its distribution, one uniform number a draw
    u = stream(seed, "finance", name).random(draws)
    turn = (base - low) / (high - low)
    rising = low + np.sqrt(u * (high - low) * max(base - low, 0.0))
    falling = high - np.sqrt((1.0 - u) * (high - low) * max(high - base, 0.0))
    drawn: Floats = np.where(u < turn, rising, falling)
    return drawn


def drawn_levers(base: Base, draws: int, seed: int) -> Levers:
    """Levers with one value a draw, from the ranges of the plan and the factory file."""
    unsure = base.plan.uncertain

    def draw(name: str, low: float, middle: float, high: float) -> Floats:
        return triangle(seed, name, draws, low, middle, high)

    capex: dict[str, float | Floats] = {}
    for name, asset in base.assets.items():
        if asset.base_eur > 0:
            ratios = (asset.low_eur / asset.base_eur, 1.0, asset.high_eur / asset.base_eur)
            capex[name] = draw(f"capex {name}", *ratios)
    opex: dict[str, float | Floats] = {
        name: draw(f"opex {name}", line.spread.low, 1.0, line.spread.high)
        for name, line in base.plan.opex.items()
        if line.spread is not None
    }
    delay, change = unsure.power_delay, unsure.price_change
    lives = base.assets["accelerators"].life_years
    return Levers(
        price_factor=draw("price", unsure.price.low, 1.0, unsure.price.high),
        price_change_fraction=draw("price change", change.low, change.base, change.high),
        utilisation_factor=draw(
            "utilisation", unsure.utilisation.low, 1.0, unsure.utilisation.high
        ),
        energy_price_factor=draw(
            "energy price", unsure.energy_price.low, 1.0, unsure.energy_price.high
        ),
        opex_factor=opex,
        capex_factor=capex,
        power_delay_years=np.where(
            stream(seed, "finance", "power late").random(draws) < unsure.power_delay_chance,
            draw("power delay", delay.low, delay.base, delay.high),
            0.0,
        ),
        it_life_years=np.rint(draw("life", *lives)),
    )


def _part(levers: Levers, rows: slice) -> Levers:
    """Some of the draws."""

    def cut(value: object) -> object:
        return value[rows] if isinstance(value, np.ndarray) else value

    fields = {name: cut(getattr(levers, name)) for name in Levers.__dataclass_fields__}
    for name in ("capex_factor", "opex_factor"):
        fields[name] = {key: cut(v) for key, v in getattr(levers, name).items()}
    return Levers(**fields)  # type: ignore[arg-type]


def quantiles(values: npt.ArrayLike, unit: str) -> Range:
    """P10, P50 and P90; draws without a value count as lower than any."""
    row = np.asarray(values, dtype=np.float64)
    none = np.isnan(row)
    filled = np.where(none, -np.inf, row)
    p = np.quantile(filled, QUANTILES, method="inverted_cdf")
    p10, p50, p90 = (float(v) if np.isfinite(v) else float("nan") for v in p)
    return Range(p10, p50, p90, float(none.mean()), unit)


def chances(base: Base, draws: int = 10_000, seed: int = 0) -> Chances:
    """Draw the uncertain figures many times and let the years go by each time.

    Args:
        base: the factory.
        draws: how many times; a hundred or more.
        seed: of every stream.
    """
    assert draws >= 1, draws
    levers = drawn_levers(base, draws, seed)
    rows: dict[str, list[Floats]] = {name: [] for name, _ in RESULTS}
    breach: list[npt.NDArray[np.bool_]] = []
    called: list[npt.NDArray[np.bool_]] = []
    for start in range(0, draws, BATCH):
        part = slice(start, min(start + BATCH, draws))
        found: Measures = measure(play(base, _part(levers, part), part.stop - start))
        for name, _ in RESULTS:
            rows[name].append(getattr(found, _FIELD[name]))
        broken = [m.breach_year > 0 for m in found.loans.values()]
        breach.append(np.any(broken, axis=0) if broken else np.zeros(part.stop - start, dtype=bool))
        called.append(found.called_year > 0)
    values = {name: np.concatenate(parts) for name, parts in rows.items()}
    # an infinite cost, or a payback that never comes, is the worst there is, not a gap
    units = dict(RESULTS)
    ranges = {name: quantiles(v, units[name]) for name, v in values.items() if name != "payback"}
    never = np.isnan(values["payback"])
    late = quantiles(np.where(never, np.inf, values["payback"]), "years")
    ranges["payback"] = Range(late.p10, late.p50, late.p90, float(never.mean()), "years")
    return Chances(
        draws=draws,
        seed=seed,
        ranges=ranges,
        loss_share=float((values["npv"] < 0).mean()),
        breach_share=float(np.concatenate(breach).mean()),
        called_share=float(np.concatenate(called).mean()),
        values=values,
    )


__all__ = ["RESULTS", "Chances", "Range", "chances", "drawn_levers", "quantiles", "triangle"]
