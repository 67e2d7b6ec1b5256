"""Market periods: which intervals of UTC make up which local market day.

European electricity markets trade local calendar days cut into market time units. On the two days a
year when the clocks change a Dutch day has 92 or 100 quarter-hours instead of 96. Everything that
runs over time in the house runs over the periods of one `MarketCalendar`, so this is the only place
where a time zone is looked at.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.units import NS_PER_H, NS_PER_S, S_PER_H

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def instant_ns(moment: dt.datetime) -> int:
    """Nanoseconds since 1970-01-01T00:00Z of a moment that carries its time zone."""
    assert moment.tzinfo is not None, "a moment without a time zone is not an instant"
    since = moment.astimezone(dt.UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1000


def utc_text(at_ns: int) -> str:
    """Write an instant as ISO 8601 in UTC, to the second (``2024-03-31T01:00:00Z``)."""
    moment = _EPOCH + dt.timedelta(seconds=at_ns // NS_PER_S)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True, eq=False)
class MarketCalendar:
    """The market periods of a number of whole local days.

    Attributes:
        timezone: IANA name of the market's time zone.
        period_s: length of a market period in seconds (900 in the EU since October 2025).
        local_dates: the local dates, one per day.
        start_ns: edges of the periods in UTC ns, shape [P+1]; p spans [p] to [p+1].
        day_of: index of the local day each period belongs to, shape [P].
        day_edges: index of each day's first period, and P at the end, shape [days+1].
        local_month: local month 1..12 of each period, shape [P].
        local_hour: local wall-clock hour at the start of each period (13.25 is 13:15), shape [P].
        local_weekday: 0 is Monday, 6 is Sunday, shape [P].
    """

    timezone: str
    period_s: int
    local_dates: tuple[dt.date, ...]
    start_ns: npt.NDArray[np.int64]
    day_of: npt.NDArray[np.int32]
    day_edges: npt.NDArray[np.int64]
    local_month: npt.NDArray[np.int32]
    local_hour: npt.NDArray[np.float64]
    local_weekday: npt.NDArray[np.int32]

    @classmethod
    def of(
        cls,
        start: dt.date,
        days: int,
        timezone: str = "Europe/Amsterdam",
        period_s: int = 900,
    ) -> MarketCalendar:
        """Cut a number of local days into market periods.

        Args:
            start: first local date.
            days: number of local days, at least 1.
            timezone: IANA name of the time zone.
            period_s: length of a period in s; must divide an hour.

        Raises:
            BadInput: unknown time zone, no days, or a period that does not divide every day.
        """
        zone = _zone_or_refuse(days, timezone, period_s)
        dates = tuple(start + dt.timedelta(days=k) for k in range(days + 1))
        midnight = [instant_ns(dt.datetime.combine(d, dt.time(), tzinfo=zone)) for d in dates]
        step = period_s * NS_PER_S
        day_edges = (np.asarray(midnight, dtype=np.int64) - midnight[0]) // step
        counts = day_edges[1:] - day_edges[:-1]
        start_ns = midnight[0] + step * np.arange(int(day_edges[-1]) + 1, dtype=np.int64)
        if start_ns[day_edges].tolist() != midnight:
            why = f"does not divide every local day in {timezone}; write 900"
            raise refuse("market calendar", "period_s", period_s, why)
        day_of = np.repeat(np.arange(days, dtype=np.int32), counts)
        hour = np.concatenate(
            [_local_hours(midnight[k], int(counts[k]), step, zone) for k in range(days)]
        )
        month = np.array([d.month for d in dates[:-1]], dtype=np.int32)[day_of]
        weekday = np.array([d.weekday() for d in dates[:-1]], dtype=np.int32)[day_of]
        for array in (start_ns, day_of, day_edges, month, hour, weekday):
            array.setflags(write=False)
        return cls(
            timezone, period_s, dates[:-1], start_ns, day_of, day_edges, month, hour, weekday
        )

    @property
    def periods(self) -> int:
        """Number of market periods P."""
        return len(self.day_of)

    @property
    def days(self) -> int:
        """Number of local days."""
        return len(self.local_dates)

    @property
    def begin_ns(self) -> int:
        """First instant, UTC ns."""
        return int(self.start_ns[0])

    @property
    def end_ns(self) -> int:
        """First instant after the last period, UTC ns."""
        return int(self.start_ns[-1])

    def hours(self) -> npt.NDArray[np.float64]:
        """Length of each period in hours, shape [P]."""
        return np.asarray(np.diff(self.start_ns).astype(np.float64) / NS_PER_H)

    def period_at(self, at_ns: int) -> int:
        """Index of the period that contains an instant.

        Raises:
            IndexError: the instant lies outside the calendar.
        """
        if not self.begin_ns <= at_ns < self.end_ns:
            raise IndexError(f"{utc_text(at_ns)} lies outside the calendar")
        return int((at_ns - self.begin_ns) // (self.period_s * NS_PER_S))

    def local_ns(self, day: int, hour: int, minute: int = 0) -> int:
        """Instant of a local wall-clock time on a local day, which may lie outside the calendar.

        Args:
            day: index of the day; negative and too-large ones count on from the first date.
            hour: local hour 0..23.
            minute: local minute.
        """
        date = self.local_dates[0] + dt.timedelta(days=day)
        moment = dt.datetime.combine(date, dt.time(hour, minute), tzinfo=ZoneInfo(self.timezone))
        return instant_ns(moment)

    def day_slice(self, day: int) -> slice:
        """The periods of one day, as a slice."""
        return slice(int(self.day_edges[day]), int(self.day_edges[day + 1]))

    def months(self, days: int) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
        """Months of the first local days, as ``2025-01``, and the number of each day's month."""
        of = [f"{date:%Y-%m}" for date in self.local_dates[:days]]
        names = tuple(dict.fromkeys(of))
        return names, np.array([names.index(one) for one in of], np.int64)

    def since(self, date: dt.date) -> npt.NDArray[np.bool_]:
        """Which periods lie on or after a local date, shape [P]."""
        offset = (date - self.local_dates[0]).days
        return np.asarray(self.day_of >= offset)


def _zone_or_refuse(days: int, timezone: str, period_s: int) -> ZoneInfo:
    problems: list[Problem] = []
    zone = ZoneInfo("UTC")
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        why = "is no known time zone; write an IANA name such as Europe/Amsterdam"
        problems.append(Problem("market calendar", "timezone", timezone, why))
    if days < 1:
        why = "a calendar needs at least one day"
        problems.append(Problem("market calendar", "days", str(days), why))
    if period_s < 1 or S_PER_H % period_s:
        why = "a market period must divide an hour: 300, 900, 1800 or 3600 s"
        problems.append(Problem("market calendar", "period_s", str(period_s), why))
    if problems:
        raise BadInput(problems)
    return zone


def _local_hours(
    midnight_ns: int, count: int, step_ns: int, zone: ZoneInfo
) -> npt.NDArray[np.float64]:
    """Wall-clock hour at the start of each period of one day; exact on days the clocks change."""
    elapsed = np.arange(count, dtype=np.float64) * (step_ns / NS_PER_H)
    if count * step_ns == 24 * NS_PER_H:
        return elapsed
    first = _EPOCH + dt.timedelta(seconds=midnight_ns // NS_PER_S)
    offset_s = np.zeros(count)
    for k in range(count):
        moment = first + dt.timedelta(seconds=k * step_ns // NS_PER_S)
        offset = moment.astimezone(zone).utcoffset()
        assert offset is not None
        offset_s[k] = offset.total_seconds()
    return np.asarray(elapsed + (offset_s - offset_s[0]) / S_PER_H)
