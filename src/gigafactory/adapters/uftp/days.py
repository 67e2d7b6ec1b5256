"""Market days cut into imbalance settlement periods (ISPs), and stretches of them.

An ISP is counted from 1 on its local day, which has 92, 96 or 100 quarter-hours. Pure functions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from gigafactory.grid.calendar import MarketCalendar, instant_ns
from gigafactory.units import NS_PER_MIN

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Span(NamedTuple):
    """A stretch of ISPs with one power.

    Attributes:
        start: number of its first ISP, from 1.
        duration: how many.
        power_w: deviation from the baseline, or power, W; import is positive.
    """

    start: int
    duration: int
    power_w: int


@dataclass(frozen=True, slots=True)
class Day:
    """A local market day.

    Attributes:
        date: local date (the protocol's Period).
        timezone: IANA name.
        isp_min: length of an ISP, minutes.
        begin_ns: first instant, ns UTC.
        count: number of its ISPs.
    """

    date: dt.date
    timezone: str
    isp_min: int
    begin_ns: int
    count: int

    @property
    def step_ns(self) -> int:
        """Length of an ISP, ns."""
        return self.isp_min * NS_PER_MIN

    @property
    def end_ns(self) -> int:
        """First instant after the day, ns UTC."""
        return self.begin_ns + self.count * self.step_ns

    def start_ns(self, isp: int) -> int:
        """Begin of an ISP, ns UTC; that of `count + 1` is the end of the day."""
        return self.begin_ns + (isp - 1) * self.step_ns


@cache
def day_of(date: dt.date, timezone: str, isp_min: int) -> Day:
    """The market day of a local date."""
    calendar = MarketCalendar.of(date, 1, timezone, isp_min * 60)
    return Day(date, timezone, isp_min, calendar.begin_ns, calendar.periods)


def date_at(at_ns: int, timezone: str) -> dt.date:
    """The local date at an instant, ns UTC."""
    moment = _EPOCH + dt.timedelta(microseconds=at_ns // 1000)
    return moment.astimezone(ZoneInfo(timezone)).date()


def parse_instant(text: str) -> int:
    """An instant in ISO 8601 with its offset, as ns UTC.

    Raises:
        ValueError: it is none, or carries no offset.
    """
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} carries no offset from UTC")
    return instant_ns(moment)


def instant_text(at_ns: int) -> str:
    """Write an instant as ISO 8601 in UTC, to the millisecond."""
    moment = _EPOCH + dt.timedelta(milliseconds=at_ns // 1_000_000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def covered(spans: Iterable[tuple[int, int]]) -> Iterator[int]:
    """Every ISP of stretches (start, duration), in the order given."""
    for start, duration in spans:
        yield from range(start, start + duration)


def faults(spans: Sequence[tuple[int, int]], day: Day) -> str:
    """What is wrong with stretches of a day, in the specification's words; empty for nothing."""
    if not spans or any(s < 1 or d < 1 or s + d - 1 > day.count for s, d in spans):
        return f"ISPs out of bounds: {day.date} has ISPs 1 to {day.count}"
    isps = list(covered(spans))
    if len(set(isps)) != len(isps):
        return "ISP conflict: an ISP is defined more than once"
    return ""


def by_isp(spans: Iterable[Span]) -> dict[int, int]:
    """Power of each ISP, W."""
    return {isp: one.power_w for one in spans for isp in range(one.start, one.start + one.duration)}


def joined(powers: Mapping[int, int]) -> tuple[Span, ...]:
    """Powers by ISP as the fewest stretches, in order."""
    spans: list[Span] = []
    for isp in sorted(powers):
        last = spans[-1] if spans else None
        if last and last.start + last.duration == isp and last.power_w == powers[isp]:
            spans[-1] = Span(last.start, last.duration + 1, last.power_w)
        else:
            spans.append(Span(isp, 1, powers[isp]))
    return tuple(spans)
