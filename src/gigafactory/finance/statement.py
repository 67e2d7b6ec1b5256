"""Everything the years of money say about a factory, in one record, for tables, pages and files."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from gigafactory.engine.errors import refuse
from gigafactory.finance.base import Base, base_of
from gigafactory.finance.benchmarks import Deal, Judged, deals, judge
from gigafactory.finance.chances import Chances, chances
from gigafactory.finance.countries import Country, countries
from gigafactory.finance.demand import DemandYear, demand_years
from gigafactory.finance.flows import Cell, Ledger, sankey
from gigafactory.finance.lcoc import CAVEAT
from gigafactory.finance.publicmoney import Spillover, spillovers
from gigafactory.finance.scenarios import (
    Outcome,
    chosen,
    compare,
    curtailment_eur_per_mwh,
)
from gigafactory.finance.sensitivity import Bar, tornado
from gigafactory.finance.years import Course, Measures, ledger_of, measure, play

DRAWS_MIN: Final = 100
DRAWS_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class CapexRow:
    """A class of asset, or `total`, and what it costs when new.

    Attributes:
        name: class of asset.
        low_eur, base_eur, high_eur: its range.
        eur_per_mw: base over design IT power.
        eur_per_accelerator: base over physical accelerators.
        eur_per_h100e: base over H100-equivalents.
    """

    name: str
    low_eur: float
    base_eur: float
    high_eur: float
    eur_per_mw: float
    eur_per_accelerator: float
    eur_per_h100e: float


@dataclass(frozen=True, slots=True)
class Statement:
    """What the years of money say.

    Attributes:
        base: the factory and a full year.
        course: the years as planned.
        measures: what they come to.
        ledger: every payment between actors.
        cells: what left the company, by kind and place.
        capex: by class of asset; the last row is their sum.
        chances: ranges over all draws.
        outcomes: scenarios against the plan.
        bars: which figure matters.
        curtailment_eur_per_mwh: by class of work, what not computing must earn.
        countries: the same factory elsewhere.
        spillovers: what each grant comes to.
        deals: to hold the factory against.
        judged: promises with their verdicts.
        demand: of the world, and its supply, by year.
    """

    base: Base
    course: Course
    measures: Measures
    ledger: Ledger
    cells: Sequence[Cell]
    capex: Sequence[CapexRow]
    chances: Chances
    outcomes: Sequence[Outcome]
    bars: Sequence[Bar]
    curtailment_eur_per_mwh: Mapping[str, float]
    countries: Sequence[Country]
    spillovers: Sequence[Spillover]
    deals: Sequence[Deal]
    judged: Sequence[Judged]
    demand: Sequence[DemandYear]


def capex_rows(base: Base) -> list[CapexRow]:
    """What every class of asset costs, and their sum."""

    def row(name: str, low: float, middle: float, high: float) -> CapexRow:
        return CapexRow(
            name,
            low,
            middle,
            high,
            middle / base.it_design_mw,
            middle / base.accelerators,
            middle / base.h100_equivalents,
        )

    rows = [row(n, a.low_eur, a.base_eur, a.high_eur) for n, a in base.assets.items()]
    return [
        *rows,
        row(
            "total",
            sum(r.low_eur for r in rows),
            sum(r.base_eur for r in rows),
            sum(r.high_eur for r in rows),
        ),
    ]


@dataclass(frozen=True, slots=True)
class StackRow:
    """A part of the money that paid for the first assets: a loan, a grant or the owners' equity."""

    name: str
    kind: str
    amount_eur: float
    share: float


def capital_stack(course: Course) -> list[StackRow]:
    """Who paid while building: equity, grants and loans; the shares come to one."""
    f, building = course.financed, course.operating.building_years
    rows = [("owners", "equity", float(f.equity[0].sum()) / 100.0)]
    rows += [
        (name, "grant", float(cents[0].sum()) / 100.0)
        for name, cents in course.operating.grants.items()
    ]
    rows += [
        (loan.terms.name, loan.terms.kind, float(loan.drawn[0, :building].sum()) / 100.0)
        for loan in f.loans
        if loan.terms.kind != "refresh"
    ]
    total = sum(eur for _, _, eur in rows)
    return [StackRow(name, kind, eur, eur / total) for name, kind, eur in rows]


def first_operating_year(course: Course) -> int:
    """Calendar year in which operation begins: after building and after the last approval."""
    return course.first_year + course.operating.building_years


def statement(
    name_or_run: str | Path, scenarios: Iterable[str] = (), draws: int = 10_000, seed: int = 0
) -> Statement:
    """Work out the years of money of a factory.

    Args:
        name_or_run: a run folder, a bundled factory or a factory file.
        scenarios: names of scenarios; all of them without any.
        draws: how many times what nobody knows is drawn.
        seed: of the draws.

    Raises:
        BadInput: a file has problems, there is no plan, or an argument is out of range.
    """
    if not DRAWS_MIN <= draws <= DRAWS_MAX:
        raise refuse("--draws", "", draws, f"goes from {DRAWS_MIN:,} to {DRAWS_MAX:,}")
    wanted = chosen(scenarios)
    return state(base_of(name_or_run), wanted, draws, seed)


def state(base: Base, wanted: Sequence[Any], draws: int, seed: int) -> Statement:
    """The same for a factory that has been read."""
    course = play(base)
    measures = measure(course)
    ledger = ledger_of(course)
    wrong = ledger.problems()
    assert not wrong, wrong
    drawn = chances(base, draws, seed)
    return Statement(
        base=base,
        course=course,
        measures=measures,
        ledger=ledger,
        cells=sankey(ledger),
        capex=capex_rows(base),
        chances=drawn,
        outcomes=[compare(base, measures, scenario) for scenario in wanted],
        bars=tornado(base),
        curtailment_eur_per_mwh=curtailment_eur_per_mwh(base),
        countries=countries(base),
        spillovers=spillovers(base),
        deals=deals(),
        judged=judge(base, drawn),
        demand=demand_years(),
    )


def as_dict(told: Statement) -> dict[str, Any]:
    """A statement as plain data for a JSON file: euros, but cash in cents; null for no number."""
    m, base = told.measures, told.base
    scalars = {
        f.name: getattr(m, f.name) for f in dataclasses.fields(m) if f.name not in ("loans",)
    }
    found: dict[str, Any] = {
        "caveat": CAVEAT,
        "factory": base.factory.name,
        "year_from": {"run": base.run, "days": base.days, "synthetic": base.synthetic},
        "plan": {name: _plain(value[0]) for name, value in scalars.items()},
        "loans": {
            name: {f.name: _plain(getattr(loan, f.name)[0]) for f in dataclasses.fields(loan)}
            for name, loan in m.loans.items()
        },
        "ranges": {n: dataclasses.asdict(r) for n, r in told.chances.ranges.items()},
        "draws": {
            "number": told.chances.draws,
            "seed": told.chances.seed,
            "loss_share": told.chances.loss_share,
            "breach_share": told.chances.breach_share,
            "called_share": told.chances.called_share,
        },
        "capex": [dataclasses.asdict(row) for row in told.capex],
        "sales": [dataclasses.asdict(sale) for sale in base.sales],
        "years": list(told.ledger.years),
        "cash_by_actor_cents": {
            actor: [int(c) for c in cents] for actor, cents in told.ledger.by_actor().items()
        },
        "value_by_place_cents": [dataclasses.asdict(cell) for cell in told.cells],
        "scenarios": [_outcome(outcome) for outcome in told.outcomes],
        "tornado": [dataclasses.asdict(bar) for bar in told.bars],
        "curtailment_eur_per_mwh": dict(told.curtailment_eur_per_mwh),
        "countries": [dataclasses.asdict(country) for country in told.countries],
        "grants": [dataclasses.asdict(row) for row in told.spillovers],
        "deals": [
            {**dataclasses.asdict(deal), "usd_per_mw": deal.usd_per_mw} for deal in told.deals
        ],
        "claims": [dataclasses.asdict(row) for row in told.judged],
        "demand": [dataclasses.asdict(row) for row in told.demand],
        "stack": [dataclasses.asdict(row) for row in capital_stack(told.course)],
        "first_operating_year": first_operating_year(told.course),
    }
    plain: dict[str, Any] = _finite(found)
    return plain


def _outcome(outcome: Outcome) -> dict[str, Any]:
    m = outcome.measures
    return {
        "name": outcome.scenario.name,
        "title": outcome.scenario.title,
        "driver": outcome.scenario.driver,
        "source": dataclasses.asdict(outcome.scenario.source),
        "npv_eur": float(m.npv_eur[0]),
        "npv_change_eur": outcome.npv_change_eur,
        "owners_change_eur": outcome.owners_change_eur,
        "lcoc_eur_per_gpu_h": float(m.lcoc_eur_per_gpu_h[0]),
        "lcoc_change_eur_per_gpu_h": outcome.lcoc_change_eur_per_gpu_h,
        "irr_rate": float(m.irr_rate[0]),
        "dscr_min_ratio": float(m.dscr_min_ratio[0]),
        "breach_year": outcome.breach_year,
        "called_year": outcome.called_year,
        "called_eur": float(m.called_eur[0]),
        "energy_ratio": outcome.energy_ratio,
    }


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, np.integer) else float(value)


def _finite(value: Any) -> Any:
    """The same with null for what is not a number."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


__all__ = [
    "CapexRow",
    "StackRow",
    "Statement",
    "as_dict",
    "capex_rows",
    "capital_stack",
    "first_operating_year",
    "state",
    "statement",
]
