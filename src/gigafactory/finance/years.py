"""The years of a factory's money: its cash by actor, and what that comes to.

`play` runs the years for one course or for thousands of draws at once; `ledger_of` writes one
course down as payments between actors; `measure` takes present value, rates of return, payback,
levelised cost and the cover of every loan from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from gigafactory.finance.base import Base
from gigafactory.finance.debt import RANK, Financed, finance
from gigafactory.finance.flows import COMPANY, Cents, Flow, Kind, Ledger, added
from gigafactory.finance.levers import Floats, Levers, column
from gigafactory.finance.measures import irr, npv, payback_years
from gigafactory.finance.operating import Operating, operate
from gigafactory.finance.planfile import Places
from gigafactory.policy.tables import thresholds

#: Who pays for what is sold beside compute.
PAYER: Final = {
    "storage": "customers",
    "heat": "heat_network",
    "reserves": "grid_operator",
    "congestion": "grid_operator",
    "guarantees": "energy_market",
}
STATE: Final = "state"


@dataclass(frozen=True, slots=True)
class Course:
    """One way, or one draw a row, in which the years may go.

    Attributes:
        base: the factory, its plan and a full year.
        levers: what differs from the plan.
        operating: the years before debt and tax.
        financed: the years after them.
    """

    base: Base
    levers: Levers
    operating: Operating
    financed: Financed

    @property
    def project_cash(self) -> Cents:
        """Cash of the whole project as if the owners paid everything, cents."""
        o, f = self.operating, self.financed
        cash: Cents = (
            o.cash - f.tax_without_debt - o.first_capex - o.later_capex + f.residual + self.given
        )
        return cash

    @property
    def given(self) -> Cents:
        """Grants, cents."""
        zero = np.zeros(self.operating.sold_gpu_h.shape, dtype=np.int64)
        return added([zero, *self.operating.grants.values()])

    @property
    def owners_cash(self) -> Cents:
        """Dividends less what the owners put in, cents."""
        f = self.financed
        cash: Cents = f.dividend - f.equity - f.called
        return cash

    @property
    def first_year(self) -> int:
        """Calendar year of the first column."""
        return self.base.plan.first_year


@dataclass(frozen=True, slots=True)
class LoanMeasures:
    """Cover of a loan, one value a draw.

    Attributes:
        dscr_min_ratio, dscr_mean_ratio: lowest and mean cover with all loans that rank with or
            before it.
        llcr_ratio: present value of CFADS over its life at its rate, over what is owed at the
            start of operation (a refresh loan: at its first draw), loans of the same and a higher
            rank included.
        breach_year: first calendar year below the covenant; 0 for none.
    """

    dscr_min_ratio: Floats
    dscr_mean_ratio: Floats
    llcr_ratio: Floats
    breach_year: Cents


@dataclass(frozen=True, slots=True)
class Measures:
    """What the years come to, one value a draw.

    Attributes:
        capex_eur: first capex.
        revenue_eur: of compute in the first year of full occupancy.
        opex_eur: yearly cost in that year.
        ebitda_eur: result of that year before interest, tax and depreciation.
        npv_eur: of the project after tax, at the cost of capital.
        irr_rate: of the project after tax.
        equity_irr_rate: of the owners.
        owners_npv_eur: of the owners' cash, at the same rate.
        payback_years: from the first spending.
        lcoc_eur_per_gpu_h: levelised cost of compute.
        lcoc_eur_per_h100e_h: the same per H100-equivalent hour.
        dscr_min_ratio: lowest cover of all loans together.
        called_eur: put in by the owners because cash did not suffice.
        called_year: first calendar year of it, the end of the runway; 0 for none.
        exit_eur: present value of cash up to the sale and of the sale at the plan's multiple.
        loans: by name.
    """

    capex_eur: Floats
    revenue_eur: Floats
    opex_eur: Floats
    ebitda_eur: Floats
    npv_eur: Floats
    irr_rate: Floats
    equity_irr_rate: Floats
    owners_npv_eur: Floats
    payback_years: Floats
    lcoc_eur_per_gpu_h: Floats
    lcoc_eur_per_h100e_h: Floats
    dscr_min_ratio: Floats
    called_eur: Floats
    called_year: Cents
    exit_eur: Floats
    loans: Mapping[str, LoanMeasures]


def play(base: Base, levers: Levers | None = None, draws: int = 1) -> Course:
    """Let the years go by.

    Args:
        base: the factory, its plan and a full year.
        levers: what differs from the plan.
        draws: number of rows; levers hold one value or this many.
    """
    levers = levers or Levers()
    operating = operate(base, levers, draws)
    return Course(base, levers, operating, finance(base.plan, operating, levers))


def discount_rate(base: Base) -> float:
    """Yearly discount rate: the plan's, else the factory file's cost of capital."""
    plan = base.plan
    return plan.discount.base if plan.discount is not None else base.factory.finance.wacc.base


def full_column(course: Course) -> Cents:
    """Column of the first year in which the ramp is over and power has come, one a draw."""
    plan, draws = course.base.plan, len(course.operating.sold_gpu_h)
    late = np.ceil(column(course.levers.power_delay_years, draws)).ravel().astype(np.int64)
    year = np.minimum(len(plan.ramp) - 1 + late, plan.operating_years - 1)
    found: Cents = course.operating.building_years + year
    return found


def levelised(course: Course, rate: float | None = None) -> Floats:
    """Levelised cost of compute, EUR per sold accelerator-hour, one a draw.

    Present value of capex and yearly cost, less what is sold beside compute and what the assets
    fetch at the end, over the present value of hours sold. Before tax, grants and interest.
    """
    o = course.operating
    r = discount_rate(course.base) if rate is None else rate
    paid = added(list(o.opex.values()))
    beside = added(list(o.beside.values()))
    cost = o.first_capex + o.later_capex + paid - beside - course.financed.residual
    hours = npv(r, o.sold_gpu_h)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_h: Floats = np.where(hours > 0, npv(r, cost / 100.0) / hours, np.inf)
    return per_h


def measure(course: Course, multiple: float | Floats | None = None) -> Measures:
    """What a course comes to.

    Args:
        course: of the years.
        multiple: enterprise value over EBITDA at the sale; the plan's base without one.
    """
    base, o, f = course.base, course.operating, course.financed
    rate, full = discount_rate(base), full_column(course)
    rows = np.arange(len(full))
    project, owners = course.project_cash / 100.0, course.owners_cash / 100.0
    lcoc = levelised(course)
    calls = f.called > 0
    year = np.where(calls.any(axis=1), course.first_year + calls.argmax(axis=1), 0)
    loans, lowest = _loans(course)
    equivalents = base.h100_equivalents / base.accelerators
    return Measures(
        capex_eur=o.first_capex.sum(axis=1) / 100.0,
        revenue_eur=added(o.revenue)[rows, full] / 100.0,
        opex_eur=added(list(o.opex.values()))[rows, full] / 100.0,
        ebitda_eur=o.ebitda[rows, full] / 100.0,
        npv_eur=npv(rate, project),
        irr_rate=irr(project),
        equity_irr_rate=irr(owners),
        owners_npv_eur=npv(rate, owners),
        payback_years=payback_years(project),
        lcoc_eur_per_gpu_h=lcoc,
        lcoc_eur_per_h100e_h=lcoc / equivalents,
        dscr_min_ratio=lowest,
        called_eur=f.called.sum(axis=1) / 100.0,
        called_year=year.astype(np.int64),
        exit_eur=exit_value(course, multiple),
        loans=loans,
    )


def exit_value(course: Course, multiple: float | Floats | None = None) -> Floats:
    """Present value of the project's cash up to the sale, and of the sale at a multiple, EUR."""
    plan = course.base.plan
    rate = discount_rate(course.base)
    at = course.operating.building_years + plan.valuation.exit_year - 1
    worth = plan.valuation.multiple.base if multiple is None else multiple
    price = np.maximum(0.0, course.operating.ebitda[:, at] / 100.0) * worth
    until: Floats = npv(rate, course.project_cash[:, : at + 1] / 100.0)
    value: Floats = until + price / (1.0 + rate) ** at
    return value


def _loans(course: Course) -> tuple[dict[str, LoanMeasures], Floats]:
    o, f = course.operating, course.financed
    draws = len(o.sold_gpu_h)
    found: dict[str, LoanMeasures] = {}
    lowest = np.full(draws, np.inf)
    for n, loan in enumerate(f.loans):
        cover = f.cover[n]
        has = np.isfinite(cover)
        low = np.where(has, cover, np.inf).min(axis=1)
        mean = np.where(has, cover, 0.0).sum(axis=1) / np.maximum(has.sum(axis=1), 1)
        below = has & (np.where(has, cover, np.inf) < loan.terms.dscr_min)
        breach = np.where(below.any(axis=1), course.first_year + below.argmax(axis=1), 0)
        found[loan.terms.name] = LoanMeasures(
            np.where(np.isfinite(low), low, np.nan),
            np.where(has.any(axis=1), mean, np.nan),
            _llcr(course, n),
            breach.astype(np.int64),
        )
        lowest = np.minimum(lowest, low)
    return found, np.where(np.isfinite(lowest), lowest, np.nan)


def _llcr(course: Course, n: int) -> Floats:
    """Loan life cover: CFADS until the loan is repaid, at its rate, over the debt it stands in."""
    o, f = course.operating, course.financed
    loan = f.loans[n]
    draws, years = o.sold_gpu_h.shape
    at = np.arange(years)[None, :]
    ever = loan.drawn > 0
    # a loan counts from the year in which it was drawn last while building, or drawn first later
    start = np.where(
        loan.terms.kind == "refresh", ever.argmax(axis=1), o.building_years - 1
    ).reshape(-1, 1)
    owing = (loan.owed > 0) & (at >= start)
    end = np.where(owing, at, -1).max(axis=1).reshape(-1, 1) + 1
    inside = (at > start) & (at <= end)
    rate = loan.rate[:, -1].reshape(-1, 1)
    value = np.where(inside, f.cfads / 100.0 / (1.0 + rate) ** (at - start), 0.0).sum(axis=1)
    debt = np.zeros(draws)
    rows = np.arange(draws)
    for other in f.loans:
        if RANK[other.terms.kind] <= RANK[loan.terms.kind]:
            debt += other.owed[rows, start.ravel()] / 100.0
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Floats = np.where(ever.any(axis=1) & (debt > 0), value / debt, np.nan)
    return ratio


def home_place(base: Base) -> tuple[float, float]:
    """Where tax ends: the country of the first site, as shares of Netherlands and Union."""
    country = next(iter(base.factory.sites.values())).place.country
    if country == "NL":
        return 1.0, 0.0
    return (0.0, 1.0) if country in thresholds().eea else (0.0, 0.0)


def _at(places: Places) -> tuple[float, float]:
    return places.nl, places.eu


def ledger_of(course: Course, draw: int = 0) -> Ledger:
    """One course, written down as payments between actors, in whole cents."""
    flows: list[Flow] = [*_earned(course, draw), *_spent(course, draw), *_capital(course, draw)]
    return Ledger(course.first_year, tuple(f for f in flows if f.cents.any()))


def _earned(course: Course, draw: int) -> list[Flow]:
    base, o = course.base, course.operating
    places = {s.name: _at(s.places) for s in base.plan.segments}
    flows = [
        Flow("revenue", sale.product, sale.segment, COMPANY, cents[draw], places[sale.segment])
        for sale, cents in zip(base.sales, o.revenue_cash, strict=True)
    ]
    flows += [
        Flow("byproduct", name, PAYER[name], COMPANY, cents[draw])
        for name, cents in o.beside.items()
    ]
    givers = {g.name: g.giver for g in base.plan.grants}
    flows += [
        Flow("grant", name, givers.get(name, STATE), COMPANY, cents[draw])
        for name, cents in o.grants.items()
    ]
    sold = course.financed.residual[draw]
    flows.append(Flow("residual", "assets", "buyers_of_assets", COMPANY, sold))
    return flows


def _spent(course: Course, draw: int) -> list[Flow]:
    plan, o = course.base.plan, course.operating
    flows: list[Flow] = []
    for name, asset in o.bought.items():
        terms = plan.assets[name]  # type: ignore[index]
        cents = asset.first[draw] + asset.again[draw]
        rights = np.rint(cents * terms.ip_share).astype(np.int64)
        parts: tuple[tuple[Kind, Cents, Places], ...] = (
            ("capex", cents - rights, terms.places),
            ("ip", rights, terms.ip_places),
        )
        flows += [Flow(k, name, COMPANY, terms.payee, c, _at(p)) for k, c, p in parts]
    for name, paid in o.opex_cash.items():
        line = plan.opex[name]  # type: ignore[index]
        kind: Kind = "ip" if name == "licences" else "opex"
        flows.append(Flow(kind, name, COMPANY, line.payee, paid[draw], _at(line.places)))
    home = home_place(course.base)
    flows.append(Flow("tax", "tax", COMPANY, STATE, course.financed.tax[draw], home))
    return flows


def _capital(course: Course, draw: int) -> list[Flow]:
    plan, f = course.base.plan, course.financed
    flows: list[Flow] = []
    for loan in f.loans:
        terms, place = loan.terms, _at(loan.terms.places)
        flows += [
            Flow("loan", terms.name, terms.lender, COMPANY, loan.drawn[draw], place),
            Flow(
                "interest", terms.name, COMPANY, terms.lender,
                loan.interest[draw] + loan.fee[draw], place,
            ),
            Flow("repayment", terms.name, COMPANY, terms.lender, loan.repaid[draw], place),
        ]  # fmt: skip
    put = f.equity[draw] + f.called[draw]
    # owners get back what they put in before anything counts as their profit
    total_in = put.cumsum()
    total_out = f.dividend[draw].cumsum()
    back = np.diff(np.minimum(total_out, total_in), prepend=0)
    back = np.clip(back, 0, f.dividend[draw])
    left_in, left_back, left_out = put.copy(), back.copy(), f.dividend[draw].copy()
    for n, owner in enumerate(plan.owners):
        last = n == len(plan.owners) - 1
        paid = left_in if last else np.rint(put * owner.part).astype(np.int64)
        returned = left_back if last else np.rint(back * owner.part).astype(np.int64)
        taken = left_out if last else np.rint(f.dividend[draw] * owner.part).astype(np.int64)
        left_in, left_back, left_out = left_in - paid, left_back - returned, left_out - taken
        place = _at(owner.places)
        flows += [
            Flow("equity", owner.name, owner.name, COMPANY, paid, place),
            Flow("repayment", owner.name, COMPANY, owner.name, returned, place),
            Flow("profit", owner.name, COMPANY, owner.name, taken - returned, place),
        ]
    return flows


__all__ = [
    "Course",
    "LoanMeasures",
    "Measures",
    "discount_rate",
    "exit_value",
    "full_column",
    "ledger_of",
    "levelised",
    "measure",
    "play",
]
