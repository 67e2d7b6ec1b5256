"""A simulated congestion venue: a grid operator who restricts, calls and buys, by chance.

No series of real calls on one connection is public, so these are drawn, and every run that uses
them says so. Which days and hours are hit depends on the seed, the connection and the date alone:
not on where a run begins, nor on anything the factory does. The venue stands behind the port
`FlexibilityMarket`; a real platform (GOPACS) would stand there too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from gigafactory.engine.streams import stream
from gigafactory.grid.calendar import instant_ns
from gigafactory.grid.ports import Activation, Bid, Outcome, Product, Receipt
from gigafactory.grid.rights import Restriction
from gigafactory.units import NS_PER_H, NS_PER_MIN, NS_PER_S

_QUARTERS = 4


@dataclass(frozen=True, slots=True)
class Pattern:
    """When calls fall.

    Attributes:
        days_per_year: days with a call, in expectation.
        months: months in which they fall, 1 to 12.
        weekdays: days of the week, 0 is Monday.
        start_h: first local hour in which a call may lie.
        end_h: local hour by which it has ended.
        duration_s: how long it lasts, whole quarters of an hour.
    """

    days_per_year: float
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    start_h: float
    end_h: float
    duration_s: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """A call drawn for a day.

    Attributes:
        date: local date.
        start_ns: begin, UTC ns, on a quarter.
        end_ns: end, UTC ns.
        share_first: a number from 0 to below 1, for whatever else is by chance.
        share_second: another one.
    """

    date: dt.date
    start_ns: int
    end_ns: int
    share_first: float
    share_second: float


def drawn(seed: int, place: str, what: str, pattern: Pattern, year: int, zone: str) -> list[Drawn]:
    """The calls of a local calendar year, at most one a day, in order.

    Args:
        seed: of the run.
        place: the connection.
        what: kind of call; each has chances of its own.
        pattern: when they fall.
        year: local calendar year.
        zone: IANA name of the time zone.
    """
    first = dt.date(year, 1, 1)
    dates = [first + dt.timedelta(days=k) for k in range((dt.date(year + 1, 1, 1) - first).days)]
    may = [d.month in pattern.months and d.weekday() in pattern.weekdays for d in dates]
    chance = min(pattern.days_per_year / max(sum(may), 1), 1.0)
    luck = stream(seed, "congestion", place, what, year).random((366, 4))
    room = round((pattern.end_h - pattern.start_h - pattern.duration_s / 3600.0) * _QUARTERS)
    calls = []
    for k, date in enumerate(dates):
        if not may[k] or luck[k, 0] >= chance:
            continue
        quarter = round(pattern.start_h * _QUARTERS) + int(luck[k, 1] * (room + 1))
        hour, rest = divmod(quarter, _QUARTERS)
        start = instant_ns(dt.datetime.combine(date, dt.time(hour, rest * 15), ZoneInfo(zone)))
        end = start + round(pattern.duration_s) * NS_PER_S
        calls.append(Drawn(date, start, end, float(luck[k, 2]), float(luck[k, 3])))
    return calls


def restrictions(
    calls: Sequence[Drawn],
    right: str,
    limit_mw: float,
    due_h: float,
    late_share: float,
    zone: str,
) -> list[Restriction]:
    """Calls as restrictions of a right, announced the day before.

    Announcements come within the hour and a half before they are due, whole minutes; a share of
    them comes up to two hours after that, and the rules will refuse those.

    Args:
        calls: when.
        right: name of the right.
        limit_mw: what is left of it.
        due_h: local hour of the day before by which they are due.
        late_share: share that comes too late.
        zone: IANA name of the time zone.
    """
    hour, minute = divmod(round(due_h * 60), 60)
    told = []
    for one in calls:
        eve = one.date - dt.timedelta(days=1)
        due = instant_ns(dt.datetime.combine(eve, dt.time(hour, minute), ZoneInfo(zone)))
        late = one.share_first < late_share
        off_min = 1 + int(one.share_second * 120) if late else -int(one.share_second * 90)
        told.append(
            Restriction(right, due + off_min * NS_PER_MIN, one.start_ns, one.end_ns, limit_mw)
        )
    return told


@dataclass(frozen=True, slots=True)
class Need:
    """Less import that the grid operator wants to buy, beside its location, after the auction.

    Attributes:
        key: of the need.
        told_ns: when it is published, UTC ns.
        start_ns: begin, UTC ns.
        end_ns: end, UTC ns.
        price_max_eur_per_mwh: highest price it pays; the venue does not tell it.
    """

    key: str
    told_ns: int
    start_ns: int
    end_ns: int
    price_max_eur_per_mwh: float


def steering_calls(
    calls: Sequence[Drawn], notice_s: float, hours_max: float, power_mw: float
) -> list[Activation]:
    """Calls on a capacity-steering contract; of each year no more hours than it allows.

    Args:
        calls: when, in order, whole calendar years.
        notice_s: from the call to its begin.
        hours_max: most hours of a calendar year.
        power_mw: asked each time.
    """
    used: dict[int, float] = {}
    told = []
    for one in calls:
        hours = (one.end_ns - one.start_ns) / NS_PER_H
        if used.get(one.date.year, 0.0) + hours > hours_max + 1e-9:
            continue
        used[one.date.year] = used.get(one.date.year, 0.0) + hours
        issued = one.start_ns - round(notice_s) * NS_PER_S
        key = f"steering-{one.date:%Y-%m-%d}"
        told.append(Activation(key, "steering", issued, one.start_ns, one.end_ns, power_mw))
    return told


def needs(
    calls: Sequence[Drawn], published_h: float, price_max_eur_per_mwh: float, zone: str
) -> list[Need]:
    """Needs for redispatch, each told the day before, with a highest price drawn below the most.

    Args:
        calls: when.
        published_h: local hour of the day before at which a need is told.
        price_max_eur_per_mwh: the most the venue ever pays; a day's highest is from half of it on.
        zone: IANA name of the time zone.
    """
    hour, minute = divmod(round(published_h * 60), 60)
    found = []
    for one in calls:
        eve = one.date - dt.timedelta(days=1)
        told = instant_ns(dt.datetime.combine(eve, dt.time(hour, minute), ZoneInfo(zone)))
        price = price_max_eur_per_mwh * (0.5 + 0.5 * one.share_first)
        found.append(Need(f"redispatch-{one.date:%Y-%m-%d}", told, one.start_ns, one.end_ns, price))
    return found


class SimulatedVenue:
    """The venue of one connection, behind the port `FlexibilityMarket`.

    Redispatch is paid as bid: an offer is taken when it meets a need that has been told and asks no
    more than the need's highest price. An answer depends on the offer and the need alone, so
    sending an offer twice changes nothing.

    Args:
        calls: on the capacity-steering contract, in order.
        wants: needs for redispatch, in order.
        now_ns: tells the time.
    """

    def __init__(
        self, calls: Sequence[Activation], wants: Sequence[Need], now_ns: Callable[[], int]
    ) -> None:
        self._calls, self._needs, self._now_ns = tuple(calls), tuple(wants), now_ns

    def activations(self, since_ns: int) -> tuple[Activation, ...]:
        """Calls issued from an instant on until now."""
        now = self._now_ns()
        return tuple(c for c in self._calls if since_ns <= c.issued_ns <= now)

    def told(self, since_ns: int) -> tuple[Need, ...]:
        """Needs told from an instant on until now."""
        now = self._now_ns()
        return tuple(n for n in self._needs if since_ns <= n.told_ns <= now)

    def submit(self, bids: Sequence[Bid]) -> tuple[Receipt, ...]:
        """Answer offers of less import, one receipt each."""
        return tuple(self._answer(bid) for bid in bids)

    def _answer(self, bid: Bid) -> Receipt:
        if bid.product is not Product.REDISPATCH:
            return Receipt(bid.key, Outcome.REFUSED, reason="this venue buys redispatch only")
        now = self._now_ns()
        for need in self._needs:
            if need.told_ns <= now <= need.start_ns and (need.start_ns, need.end_ns) == (
                bid.start_ns,
                bid.end_ns,
            ):
                if bid.energy_price_eur_per_mwh > need.price_max_eur_per_mwh:
                    return Receipt(bid.key, Outcome.REFUSED, reason="dearer than others")
                return Receipt(bid.key, Outcome.ACCEPTED, bid.power_mw)
        return Receipt(bid.key, Outcome.REFUSED, reason="no need at that time")


def years_of(start: dt.date, end: dt.date) -> range:
    """Calendar years from one local date to another, both included."""
    return range(start.year, end.year + 1)


__all__ = [
    "Drawn",
    "Need",
    "Pattern",
    "SimulatedVenue",
    "drawn",
    "needs",
    "restrictions",
    "steering_calls",
    "years_of",
]
