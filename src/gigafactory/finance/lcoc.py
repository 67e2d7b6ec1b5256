"""Levelised cost of compute: euro per sold accelerator-hour, as a range.

Each class of asset is paid off over its life at the cost of capital (an annuity); upkeep, staff and
the run's energy and water come on top; the sum is divided by the accelerator-hours sold in a year.
"low" takes the cheap end of every range together, "high" the dear end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from gigafactory.factory.models import Factory
from gigafactory.plant import Chip

Case = Literal["low", "base", "high"]
CASES: Final[tuple[Case, ...]] = ("low", "base", "high")
CAVEAT: Final = (
    "A range from stated assumptions, not an offer and not investment advice: low takes the cheap "
    "end of every assumption together, high the dear end."
)


@dataclass(frozen=True, slots=True)
class YearTotals:
    """What a year of running came to.

    Attributes:
        sold_gpu_h: accelerator-hours delivered to tenants.
        energy_eur: energy bought, less sold, with levies and wear.
        water_eur: water.
        heat_eur: earned by heat.
        it_design_mw: IT power the buildings are made for.
    """

    sold_gpu_h: float
    energy_eur: float
    water_eur: float
    heat_eur: float
    it_design_mw: float


def annuity(rate: float, years: float) -> float:
    """Yearly payment per euro borrowed at a rate over a number of years.

    ``rate / (1 - (1 + rate) ** -years)``; one over the years at no interest.
    """
    assert years > 0, years
    return 1.0 / years if rate == 0 else rate / (1.0 - (1.0 + rate) ** -years)


def capex_eur(
    factory: Factory, catalogue: Mapping[str, Chip], it_design_mw: float, case: Case
) -> dict[str, float]:
    """Capital cost by class of asset, EUR.

    Returns:
        `accelerators`, `network`, `storage`, `infrastructure`, `battery`, `connection`.
    """
    capex = factory.finance.capex
    at = CASES.index(case)
    chips = 0.0
    for pool in factory.fleet:
        own = capex.chip_price_eur.get(pool.chip)
        price = getattr(own, case) if own else catalogue[pool.chip].price_eur[at]
        chips += pool.accelerators * price
    return {
        "accelerators": chips,
        "network": chips * capex.network_fraction,
        "storage": chips * capex.storage_fraction,
        "infrastructure": getattr(capex.infrastructure_eur_per_mw, case) * it_design_mw,
        "battery": sum(b.energy_mwh for b in factory.energy.batteries) * capex.battery_eur_per_mwh,
        "connection": capex.connection_eur * len(factory.sites),
    }


def lcoc(
    factory: Factory, catalogue: Mapping[str, Chip], year: YearTotals
) -> dict[str, dict[str, float]]:
    """Levelised cost of compute by component, EUR per sold accelerator-hour.

    Args:
        factory: prices, lives and rates.
        catalogue: accelerators.
        year: totals of a year (scale a shorter run up before).

    Returns:
        Component to ``{"low", "base", "high"}``; the cost is their sum. Empty when nothing is sold.
    """
    finance = factory.finance
    parts: dict[str, dict[str, float]] = {}
    if year.sold_gpu_h <= 0:
        return parts
    for case in CASES:
        # a long life is the cheap case, a short one the dear case
        life_case: Case = {"low": "high", "base": "base", "high": "low"}[case]  # type: ignore[assignment]
        rate = getattr(finance.wacc, case)
        costs = capex_eur(factory, catalogue, year.it_design_mw, case)
        lives = finance.life_years
        years = {
            "accelerators": lives.accelerators,
            "network": lives.network,
            "storage": lives.storage,
            "infrastructure": lives.infrastructure,
            "battery": lives.battery,
            "connection": lives.infrastructure,
        }
        yearly = {
            name: cost * annuity(rate, getattr(years[name], life_case))
            for name, cost in costs.items()
        }
        yearly["upkeep"] = finance.opex_fraction * sum(costs.values())
        yearly["staff"] = finance.staff_fte * finance.staff_eur_per_fte
        yearly["energy"] = year.energy_eur
        yearly["water_and_heat"] = year.water_eur - year.heat_eur
        for name, eur in yearly.items():
            parts.setdefault(name, {})[case] = eur / year.sold_gpu_h
    return parts
