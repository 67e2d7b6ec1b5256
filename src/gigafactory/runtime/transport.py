"""The contracts of a grid connection in a run: what may be taken now, and who asked for less.

Rights, restrictions, calls and orders all come down to one limit per market period, as far as it is
known. Something is known from the instant it is announced, and heard at the first period that does
not begin before that; plans, offers and the responder read the limit and nothing else, so none of
them can look ahead. The grid operator is simulated (`gigafactory.grid.venue`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.factory.scenario import RestrictionEvent, Scenario
from gigafactory.factory.sites import GridConnection, Site
from gigafactory.factory.timeline import connection_limit_mw, firm_mw, instant_of
from gigafactory.factory.transport import CallPattern, HeldRight
from gigafactory.grid import MarketCalendar
from gigafactory.grid.rights import (
    Form,
    Refusal,
    Restriction,
    TimeBlock,
    TransportRight,
    TransportRights,
)
from gigafactory.grid.venue import (
    Drawn,
    Pattern,
    SimulatedVenue,
    drawn,
    needs,
    restrictions,
    steering_calls,
    years_of,
)
from gigafactory.runtime.transportbill import rules_for
from gigafactory.units import NS_PER_S

Array = npt.NDArray[np.float64]

#: Forms of right in the order of a site's senses.
FORMS = tuple(str(form) for form in Form)


@dataclass(slots=True)
class Transport:
    """What the connection of a site may take, as far as it is known.

    Attributes:
        name: of the site.
        line: its connection.
        firm_mw: firm right, [P].
        whole_mw: each right beside it as contracted, [R, P].
        part_mw: the same less what is restricted, as known now, [R, P].
        ordered_mw: limit by calls and orders, as known now; inf without any, [P].
        asked_mw: power asked less by them, [P].
        announced: restrictions that the rules accept, in the order of their announcement.
        refused: those that the rules refuse.
        venue: whom less import is sold to.
        now_ns: what the venue's clock shows.
    """

    name: str
    line: GridConnection
    firm_mw: Array
    whole_mw: Array
    part_mw: Array
    ordered_mw: Array
    asked_mw: Array
    announced: tuple[Restriction, ...]
    refused: tuple[Refusal, ...]
    venue: SimulatedVenue | None = None
    now_ns: list[int] = field(default_factory=lambda: [0])

    @property
    def room_mw(self) -> Array:
        """Import that contracts allow, as known now, [P]."""
        return np.asarray(np.minimum(self.firm_mw + self.part_mw.sum(axis=0), self.ordered_mw))

    @property
    def right_names(self) -> list[str]:
        """Names of the rights beside the firm one."""
        return [right.name for right in self.line.rights]

    def senses(self, period: int) -> tuple[float, ...]:
        """Rights by form as they stand, what is withheld of them, and what is asked less, MW."""
        by_form = dict.fromkeys(FORMS, 0.0)
        by_form["firm"] = float(self.firm_mw[period])
        for r, right in enumerate(self.line.rights):
            by_form[right.form] += float(self.part_mw[r, period])
        withheld = float((self.whole_mw[:, period] - self.part_mw[:, period]).sum())
        return (*by_form.values(), withheld, float(self.asked_mw[period]))


def contracted_mw(name: str, site: Site, calendar: MarketCalendar) -> Array:
    """Import that a site's contracts allow in each period while nothing is announced, MW [P].

    The firm right of the phase in force and each right beside it while it holds, never more than
    the connection carries: the limit that a run begins with, and that the live loop holds to.

    Args:
        name: of the site.
        site: as in the factory.
        calendar: market periods; local hours and days are the calendar's.
    """
    carried = connection_limit_mw(name, site, None, calendar.start_ns)
    held = transport_of(name, site, calendar, None, 0)
    return carried if held is None else np.asarray(np.minimum(carried, held.room_mw))


def transport_of(
    name: str, site: Site, calendar: MarketCalendar, scenario: Scenario | None, seed: int
) -> Transport | None:
    """The contracts of a site's connection; None where it has only its firm limit.

    Args:
        name: of the site.
        site: as in the factory.
        calendar: market periods of the run; local hours and days are the calendar's.
        scenario: its restrictions are announced beside the venue's.
        seed: of the run.
    """
    line = site.connection
    if not line.rights and line.tariff is None and line.congestion is None and line.ramp is None:
        return None
    whole = np.array([_whole(right, calendar) for right in line.rights])
    whole = whole.reshape(len(line.rights), calendar.periods)
    accepted, refused = _judged(name, line, calendar, scenario, seed)
    moved = Transport(
        name=name,
        line=line,
        firm_mw=firm_mw(site, calendar.start_ns),
        whole_mw=whole,
        part_mw=whole.copy(),
        ordered_mw=np.full(calendar.periods, np.inf),
        asked_mw=np.zeros(calendar.periods),
        announced=accepted,
        refused=refused,
    )
    moved.venue = _venue(moved, calendar, seed)
    return moved


def _right(right: HeldRight) -> TransportRight:
    blocks = tuple(TimeBlock(b.start_h, b.end_h, b.weekdays) for b in right.blocks)
    return TransportRight(right.name, Form(right.form), right.capacity_mw, blocks)


def _whole(right: HeldRight, calendar: MarketCalendar) -> Array:
    """Power of a right as contracted, [P]."""
    holds = _right(right).holds(calendar)
    if right.from_ is not None:
        holds = holds & calendar.since(right.from_)
    return np.where(holds, right.capacity_mw, 0.0)


def _calls(seed: int, place: str, what: str, of: CallPattern, run: MarketCalendar) -> list[Drawn]:
    """Calls of every calendar year that the run touches."""
    pattern = Pattern(of.per_year, of.months, of.weekdays, of.start_h, of.end_h, of.duration_s)
    years = years_of(run.local_dates[0], run.local_dates[-1])
    return [one for y in years for one in drawn(seed, place, what, pattern, y, run.timezone)]


def _judged(
    name: str, line: GridConnection, run: MarketCalendar, scenario: Scenario | None, seed: int
) -> tuple[tuple[Restriction, ...], tuple[Refusal, ...]]:
    """What is announced on the rights of a site, as the rules take it.

    Judged from the first day of the year on, so that the hours of the year count whatever day the
    run begins. Each is judged by itself and those announced before it, so that judging all of them
    now tells nothing of the future to those that come first.
    """
    if not line.rights:
        return (), ()
    first = dt.date(run.local_dates[0].year, 1, 1)
    days = (run.local_dates[-1] - first).days + 1
    whole = MarketCalendar.of(first, days, run.timezone)
    rules = rules_for(run.local_dates[0])
    rights = TransportRights(tuple(_right(right) for right in line.rights), rules)
    told = _of_scenario(name, line, whole, scenario)
    asked = line.congestion.restrictions if line.congestion is not None else None
    for right in line.rights:
        if asked is None or right.form not in {"duration_bound", "fully_variable"}:
            continue
        calls = _calls(seed, name, f"restriction {right.name}", asked.calls, run)
        left_mw = asked.remaining * right.capacity_mw
        told += restrictions(
            [c for c in calls if right.from_ is None or c.date >= right.from_],
            right.name,
            left_mw,
            rules.announcement_time_h,
            asked.late,
            run.timezone,
        )
    held = [one for one in (_inside(one, whole) for one in told) if one is not None]
    found = rights.limits(whole, held)
    begin = run.begin_ns
    return (
        tuple(one for one in found.accepted if one.end_ns > begin),
        tuple(
            sorted(
                (one for one in found.refused if one.restriction.end_ns > begin),
                key=lambda one: one.restriction.announced_ns,
            )
        ),
    )


def _of_scenario(
    name: str, line: GridConnection, calendar: MarketCalendar, scenario: Scenario | None
) -> list[Restriction]:
    """Restrictions that a scenario announces; they hold in each period they overlap."""
    step = calendar.period_s * NS_PER_S
    capacity = {right.name: right.capacity_mw for right in line.rights}
    told = []
    for event in scenario.events if scenario is not None else ():
        if not isinstance(event, RestrictionEvent) or event.site != name:
            continue
        zone = calendar.timezone
        start = (instant_of(event.from_, zone) - calendar.begin_ns) // step
        end = -((calendar.begin_ns - instant_of(event.until, zone)) // step)
        told.append(
            Restriction(
                event.right,
                instant_of(event.announced, zone),
                calendar.begin_ns + start * step,
                calendar.begin_ns + end * step,
                event.remaining * capacity[event.right],
            )
        )
    return told


def _inside(one: Restriction, calendar: MarketCalendar) -> Restriction | None:
    """A restriction cut to a calendar; None outside it."""
    start, end = max(one.start_ns, calendar.begin_ns), min(one.end_ns, calendar.end_ns)
    if start >= end:
        return None
    return Restriction(one.right, one.announced_ns, start, end, one.limit_mw)


def _venue(held: Transport, calendar: MarketCalendar, seed: int) -> SimulatedVenue | None:
    """The simulated venue of a connection; None where nothing is sold."""
    asked = held.line.congestion
    if asked is None or (asked.steering is None and asked.redispatch is None):
        return None
    calls, wants = [], []
    if asked.steering is not None:
        days = _calls(seed, held.name, "steering", asked.steering.calls, calendar)
        terms = asked.steering
        calls = steering_calls(days, terms.notice_s, terms.hours_max, terms.capacity_mw)
    if asked.redispatch is not None:
        days = _calls(seed, held.name, "redispatch", asked.redispatch.calls, calendar)
        most = asked.redispatch.price_max_eur_per_mwh
        wants = needs(days, asked.redispatch.published_h, most, calendar.timezone)
    now_ns = held.now_ns

    def now() -> int:
        return now_ns[0]

    return SimulatedVenue(calls, wants, now)


def told_of(one: Restriction, site: str, reason: str = "") -> dict[str, Any]:
    """A restriction as the fields of a journal frame; with the reason when it is refused."""
    return {
        "what": "restriction",
        "site": site,
        "key": one.right,
        "announced_ns": one.announced_ns,
        "start_ns": one.start_ns,
        "end_ns": one.end_ns,
        "power_mw": one.limit_mw,
        "price_eur_per_mwh": 0.0,
        "accepted": not reason,
        "reason": reason,
    }


__all__ = ["FORMS", "Transport", "contracted_mw", "told_of", "transport_of"]
