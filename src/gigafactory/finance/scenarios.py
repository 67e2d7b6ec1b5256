"""Scenarios of the money: one cause each, held against the plan with all else as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gigafactory.engine.errors import refuse
from gigafactory.factory.reading import nearest
from gigafactory.finance.base import Base
from gigafactory.finance.demand import rebound_ratio
from gigafactory.finance.levers import Dip, Levers
from gigafactory.finance.materials import capex_factors, load_materials, shocks
from gigafactory.finance.tables import read_table
from gigafactory.finance.years import Course, Measures, measure, play
from gigafactory.plant.provenance import Source, need_source

FILE: Final = "scenarios.yaml"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A cause and what it pulls.

    Attributes:
        name: its name.
        title, driver: by language.
        source: who says that it may happen.
        raw: how its levers are found.
    """

    name: str
    title: Mapping[str, str]
    driver: Mapping[str, str]
    source: Source
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A scenario against the plan.

    Attributes:
        scenario: what happens.
        course: how the years go.
        measures: what they come to.
        npv_change_eur, lcoc_change_eur_per_gpu_h, irr_change_rate: against the plan.
        owners_change_eur: present value of the owners' cash against the plan; debt shows here.
        breach_year: first year in which a covenant is broken; 0 for none.
        called_year: first year in which cash does not suffice; 0 for none.
        energy_ratio: energy of a unit of work over that of the plan (of all work, for a rebound).
    """

    scenario: Scenario
    course: Course
    measures: Measures
    npv_change_eur: float
    lcoc_change_eur_per_gpu_h: float
    irr_change_rate: float
    owners_change_eur: float
    breach_year: int
    called_year: int
    energy_ratio: float


def load_scenarios() -> dict[str, Scenario]:
    """The bundled scenarios, in their order.

    Raises:
        BadInput: the bundled file is damaged.
    """
    return {
        name: Scenario(
            name, row["title"], row["driver"], need_source(FILE, name, row["source"]), row
        )
        for name, row in read_table(FILE).items()
    }


def chosen(names: Iterable[str]) -> list[Scenario]:
    """Scenarios by name; all of them where none is named.

    Raises:
        BadInput: one is not known.
    """
    known = load_scenarios()
    wanted = list(names)
    for name in wanted:
        if name not in known:
            raise refuse("--scenario", "", name, f"is not known; {nearest(name, known)}")
    return [known[name] for name in wanted] if wanted else list(known.values())


def levers_of(base: Base, scenario: Scenario) -> Levers:
    """What a scenario pulls at a factory."""
    raw = scenario.raw
    if "rebound" in raw:
        # the same accelerator does more work in an hour; what is asked in hours follows E1/E0
        ratio = rebound_ratio(**raw["rebound"])
        return Levers(utilisation_factor=ratio)
    if "materials" in raw:
        terms = raw["materials"]
        if "price" in terms:
            found = shocks(base, price_factors=dict.fromkeys(load_materials(), terms["price"]))
        else:
            found = shocks(base, substitution=terms["substitution"])
        return Levers(capex_factor=capex_factors(base, found))
    if raw.get("all_grants"):
        return Levers(granted=tuple(g.name for g in base.plan.grants))
    pulled = dict(raw["levers"])
    if "dip" in pulled:
        pulled["dip"] = Dip(**pulled["dip"])
    return Levers(**pulled)


def energy_ratio(scenario: Scenario) -> float:
    """Energy over that of the plan: of a unit of work, or of all work where demand rebounds."""
    raw = scenario.raw
    if "rebound" in raw:
        return rebound_ratio(**raw["rebound"])
    return float(raw.get("levers", {}).get("energy_per_hour_factor", 1.0))


def compare(base: Base, plan: Measures, scenario: Scenario) -> Outcome:
    """A scenario against the plan of the same factory."""
    course = play(base, levers_of(base, scenario))
    found = measure(course)
    breaches = [int(m.breach_year[0]) for m in found.loans.values() if m.breach_year[0]]
    return Outcome(
        scenario=scenario,
        course=course,
        measures=found,
        npv_change_eur=float(found.npv_eur[0] - plan.npv_eur[0]),
        lcoc_change_eur_per_gpu_h=float(found.lcoc_eur_per_gpu_h[0] - plan.lcoc_eur_per_gpu_h[0]),
        irr_change_rate=float(found.irr_rate[0] - plan.irr_rate[0]),
        owners_change_eur=float(found.owners_npv_eur[0] - plan.owners_npv_eur[0]),
        breach_year=min(breaches, default=0),
        called_year=int(found.called_year[0]),
        energy_ratio=energy_ratio(scenario),
    )


def curtailment_eur_per_mwh(base: Base) -> dict[str, float]:
    """By class of work, what a MWh must earn elsewhere before not computing pays, EUR.

    The margin of an accelerator-hour (its price less its energy) over the energy it takes.
    """
    if base.import_mwh <= 0:
        return {}  # nothing was drawn, so there is nothing to give back
    mwh_per_h = base.import_mwh / base.sold_gpu_h
    energy = base.opex_eur["energy"] / base.sold_gpu_h
    sums: dict[str, list[float]] = {}
    for sale in base.sales:
        at = sums.setdefault(sale.product, [0.0, 0.0])
        at[0] += sale.revenue_micro_eur / 1e6
        at[1] += sale.sold_gpu_h
    return {p: (eur / hours - energy) / mwh_per_h for p, (eur, hours) in sums.items() if hours}


__all__ = [
    "Outcome",
    "Scenario",
    "chosen",
    "compare",
    "curtailment_eur_per_mwh",
    "energy_ratio",
    "levers_of",
    "load_scenarios",
]
