"""Years of operation before debt and tax: what is sold, what is paid, what is bought.

All rows are draws, all columns years from the first in which money is spent. Money is in whole
cents; a bill or a receipt is rounded once, where it arises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.finance.base import Base
from gigafactory.finance.flows import Cents, added, whole
from gigafactory.finance.levers import Dip, Floats, Levers, column, shifted
from gigafactory.finance.planfile import Grant, Plan

Flags = npt.NDArray[np.bool_]

#: Nothing is bought again when fewer years of operation than this are left.
REFRESH_LEFT_YEARS: Final = 2
#: Classes whose second and later purchase a refresh loan may pay for.
IT: Final = ("accelerators", "network", "storage")
#: Lines that nobody pays while there is no power.
WITH_POWER: Final = ("energy", "water")
#: Development goes on while an approval is waited for; the other classes wait with it.
EARLY: Final = ("development",)
#: Years in which a host country's or the Union's money buys hours, where no grant says so.
ACCESS_YEARS: Final = 5
_DAYS: Final = 365.0


@dataclass(frozen=True, slots=True)
class Bought:
    """A class of asset over the years, cents.

    Attributes:
        first: paid while building.
        again: paid when it is bought again.
        depreciation: taken from the profit for tax.
        book: value at the end of each year.
        life_years: one a draw.
    """

    first: Cents
    again: Cents
    depreciation: Cents
    book: Cents
    life_years: Floats


@dataclass(frozen=True, slots=True)
class Operating:
    """The years before debt and tax.

    Attributes:
        building_years: years before the first one of operation.
        sold_gpu_h: accelerator-hours sold.
        revenue: earned by sale (position in `Base.sales`), cents.
        revenue_cash: the same as received.
        beside: earned beside compute, by name, cents.
        opex: by line, cents.
        opex_cash: the same as paid.
        bought: by class of asset.
        grants: by name, cents.
    """

    building_years: int
    sold_gpu_h: Floats
    revenue: tuple[Cents, ...]
    revenue_cash: tuple[Cents, ...]
    beside: Mapping[str, Cents]
    opex: Mapping[str, Cents]
    opex_cash: Mapping[str, Cents]
    bought: Mapping[str, Bought]
    grants: Mapping[str, Cents]

    @property
    def first_capex(self) -> Cents:
        """Paid for assets while building, cents."""
        return added([b.first for b in self.bought.values()])

    @property
    def later_capex(self) -> Cents:
        """Paid for what is bought again, cents."""
        return added([b.again for b in self.bought.values()])

    @property
    def ebitda(self) -> Cents:
        """Earned less yearly cost, as it arises, cents."""
        earned = [*self.revenue, *self.beside.values()]
        paid = list(self.opex.values())
        result: Cents = added(earned) - np.sum(paid, axis=0, dtype=np.int64)
        return result

    @property
    def cash(self) -> Cents:
        """Received less yearly cost, as it is paid, cents."""
        got = [*self.revenue_cash, *self.beside.values()]
        paid = list(self.opex_cash.values())
        result: Cents = added(got) - added(paid)
        return result


@dataclass(frozen=True, slots=True)
class _Course:
    """How full the years are; columns are years, rows are draws."""

    building: int
    years: int
    running: Flags  # in operation, with or without power
    powered: Floats  # share of the year with power
    hours: Floats  # sold hours over those of the full year
    price: Floats  # price over that of the full year
    rise_from: Floats  # years since the first one, for indexation


def operate(base: Base, levers: Levers, draws: int = 1) -> Operating:
    """The years of a factory before debt and tax.

    Args:
        base: the factory, its plan and a full year.
        levers: what differs from the plan.
        draws: rows; levers with more than one value have this many.
    """
    plan = base.plan
    approval = closing_delay_years(plan) + int(np.ceil(levers.approval_delay_years))
    building = plan.building_years + approval
    years = building + plan.operating_years
    bought = {
        name: _bought(base, levers, name, draws, building, years, approval) for name in base.assets
    }
    course = _course(base, levers, draws, building, years, bought["accelerators"].life_years)
    grants = [g for g in plan.grants if g.granted or g.name in levers.granted]
    paid_for = 1.0 - _given_away(grants, levers, building, years)
    index = (1.0 + plan.price_index) ** course.rise_from
    revenue = tuple(
        whole(sale.revenue_micro_eur / 1e6 * course.hours * course.price * paid_for)
        for sale in base.sales
    )
    beside = {
        name: whole(eur * index * (course.hours if name in ("storage", "heat") else course.powered))
        for name, eur in base.beside_eur.items()
    }
    opex = _opex(base, levers, draws, course)
    capex = added([b.first for b in bought.values()])
    return Operating(
        building_years=building,
        sold_gpu_h=base.sold_gpu_h * course.hours,
        revenue=revenue,
        revenue_cash=tuple(_late(cents, plan.receivable_days) for cents in revenue),
        beside=beside,
        opex=opex,
        opex_cash={
            name: cents if name == "staff" else _late(cents, plan.payable_days)
            for name, cents in opex.items()
        },
        bought=bought,
        grants=_grants(grants, levers, capex),
    )


def _given_away(grants: Sequence[Grant], levers: Levers, building: int, years: int) -> Floats:
    """Share of the hours that grants bought, by year."""
    share = np.zeros((1, years))
    terms = [(g.buys_access, g.access_years) for g in grants]
    for part, span in [*terms, (levers.access_fraction, ACCESS_YEARS)]:
        share[:, building : building + span] += part
    return np.clip(share, 0.0, 1.0)


def closing_delay_years(plan: Plan) -> int:
    """Years until the last approval that is not there yet; everything but development waits."""
    return max((a.late_years for a in plan.approvals if not a.granted), default=0)


def _grants(grants: Sequence[Grant], levers: Levers, capex: Cents) -> dict[str, Cents]:
    found = {
        g.name: whole(capex / 100.0 * g.of_capex) + _with_capex(g.amount_eur, capex) for g in grants
    }
    if levers.grant_of_capex_fraction:
        found["host_country"] = whole(capex / 100.0 * levers.grant_of_capex_fraction)
    return found


def _with_capex(eur: float, capex: Cents) -> Cents:
    """An amount that comes in step with the capex; whole cents that add up to it."""
    total = np.maximum(capex.sum(axis=1, keepdims=True), 1)
    due = np.rint(round(eur * 100) * (capex.cumsum(axis=1) / total)).astype(np.int64)
    cents: Cents = np.diff(due, axis=1, prepend=0)
    return cents


def _late(cents: Cents, days: float) -> Cents:
    """What of a bill is paid in its own year and what in the next; all of it by the last year."""
    open_: Cents = np.rint(cents * (days / _DAYS)).astype(np.int64)
    open_[:, -1] = 0
    before = np.zeros_like(open_)
    before[:, 1:] = open_[:, :-1]
    paid: Cents = cents - open_ + before
    return paid


def _course(
    base: Base, levers: Levers, draws: int, building: int, years: int, life: Floats
) -> _Course:
    plan = base.plan
    span = plan.operating_years
    delay = column(levers.power_delay_years, draws)
    ramp = np.array([plan.ramp[min(j, len(plan.ramp) - 1)] for j in range(span)])
    full = shifted(ramp, delay)
    powered = shifted(np.ones(span), delay)
    sold = base.sold_gpu_h * column(levers.utilisation_factor, draws)
    sold = sold - base.installed_gpu_h * column(levers.utilisation_fraction, draws)
    hours = np.clip(sold, 0.0, base.installed_gpu_h) / base.sold_gpu_h * full
    change = levers.price_change_fraction
    if change is None:
        change = plan.uncertain.price_change.base
    op = np.arange(span, dtype=np.float64)[None, :]
    life = life.reshape(-1, 1)
    # what nobody replaces any more goes on growing old
    last = np.floor((span - REFRESH_LEFT_YEARS) / life) * life
    renewed = plan.price_returns and plan.assets["accelerators"].refresh > 0
    age = op - np.minimum(np.floor(op / life) * life, last) if renewed else op
    price = column(levers.price_factor, draws) * (1.0 + column(change, draws)) ** age
    if levers.dip is not None:
        depth = depth_of(levers.dip, span)
        price = price * (1.0 - depth * (1.0 - levers.dip.price_factor))
        lost = depth * levers.dip.utilisation_fraction * base.installed_gpu_h / base.sold_gpu_h
        hours = np.clip(hours - lost, 0.0, None) * (full > 0)

    def laid(part: Floats) -> Floats:
        row = np.zeros((draws, years))
        row[:, building:] = part
        return row

    running = np.zeros((draws, years), dtype=bool)
    running[:, building:] = True
    since = np.broadcast_to(np.arange(years, dtype=np.float64)[None, :], (draws, years))
    return _Course(building, years, running, laid(powered), laid(hours), laid(price), since)


def depth_of(dip: Dip, span: int) -> Floats:
    """How deep a dip is in each year of operation: 1 at the bottom, then an even way back."""
    op = np.arange(1, span + 1, dtype=np.float64)
    after = op - (dip.from_year + dip.years - 1)
    back = np.clip(1.0 - after / (dip.recovery_years + 1), 0.0, 1.0)
    depth: Floats = np.where(op < dip.from_year, 0.0, np.where(after <= 0, 1.0, back))
    return depth


def _opex(base: Base, levers: Levers, draws: int, course: _Course) -> dict[str, Cents]:
    found: dict[str, Cents] = {}
    for name, eur in base.opex_eur.items():
        line = base.plan.opex[name]  # type: ignore[index]
        always = course.powered if name in WITH_POWER else course.running.astype(np.float64)
        load = line.fixed * always + (1.0 - line.fixed) * course.hours
        factor = column(levers.opex_factor.get(name, 1.0), draws)
        if name == "energy":
            factor = column(levers.energy_price_factor, draws) * column(
                levers.energy_per_hour_factor, draws
            )
        elif name == "grid_tariff":
            factor = column(levers.energy_price_factor, draws)
        elif name == "water":
            factor = column(levers.energy_per_hour_factor, draws)
        found[name] = whole(eur * load * factor * (1.0 + line.index) ** course.rise_from)
    return found


def _bought(
    base: Base, levers: Levers, name: str, draws: int, building: int, years: int, approval: int
) -> Bought:
    plan, asset = base.plan, base.assets[name]
    paid = plan.assets[name]  # type: ignore[index]
    price = (
        asset.base_eur
        * column(levers.capex_factor.get(name, 1.0), draws)
        * column(levers.all_capex_factor, draws)
    )
    profile = np.zeros((draws, years))
    start = 0 if name in EARLY else approval
    profile[:, start : start + plan.building_years] = np.array(paid.paid)
    rise = (1.0 + paid.index) ** np.arange(years, dtype=np.float64)[None, :]
    first = whole(price * profile * rise)
    life = np.full((draws, 1), asset.life_years[1])
    if name == "accelerators" and levers.it_life_years is not None:
        life = column(levers.it_life_years, draws)
    life = np.maximum(1.0, np.rint(life))
    span = plan.operating_years
    op = np.arange(span, dtype=np.float64)[None, :]
    due = (op > 0) & (np.mod(op, life) == 0) & (span - op >= REFRESH_LEFT_YEARS)
    due = due & (paid.refresh > 0)
    again = np.zeros((draws, years), dtype=np.int64)
    again[:, building:] = whole(price * paid.refresh * rise[:, building:] * due)
    depreciation, book = _written_down(first, again, life, building)
    return Bought(first, again, depreciation, book, life.ravel())


def _written_down(first: Cents, again: Cents, life: Floats, building: int) -> tuple[Cents, Cents]:
    """Straight-line depreciation from the first year of operation on, and the book value."""
    draws, years = first.shape
    span = life.ravel()
    book = np.zeros((draws, years), dtype=np.int64)
    taken = np.zeros((draws, years), dtype=np.int64)
    value = np.zeros(draws, dtype=np.int64)
    yearly = np.zeros(draws, dtype=np.int64)
    for k in range(years):
        value = value + first[:, k]
        if k == building:
            yearly = np.ceil(value / span).astype(np.int64)
        new = again[:, k] > 0
        if new.any():
            # what is left of the old one is written off with it
            taken[:, k] += np.where(new, value, 0)
            value = np.where(new, again[:, k], value)
            yearly = np.where(new, np.ceil(value / span).astype(np.int64), yearly)
        step = np.minimum(value, yearly) if k >= building else np.zeros_like(value)
        taken[:, k] += step
        value = value - step
        book[:, k] = value
    return taken, book


__all__ = [
    "IT",
    "REFRESH_LEFT_YEARS",
    "Bought",
    "Operating",
    "closing_delay_years",
    "depth_of",
    "operate",
]
