"""Local time for the report: days, hours, months and weeks of the periods, and the week to show.

Offsets are looked up once per UTC hour (they change only on whole hours), so a year of
quarter-hours takes a few thousand lookups.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from gigafactory.units import NS_PER_DAY, NS_PER_H, NS_PER_S

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: A longer period is binned by month, a shorter one by day.
_DAYS_BY_MONTH: Final = 62
#: Import within this share of the limit counts as bound by it.
BOUND_SHARE: Final = 0.995


@dataclass(frozen=True, slots=True)
class LocalTime:
    """Where each period lies in local time.

    Attributes:
        day: days since 1970-01-01, local, per period.
        hour: local hour of the period's start, with its fraction.
        days: the distinct local days, ascending.
    """

    day: Ints
    hour: Floats
    days: Ints

    def date(self, day: int) -> dt.date:
        """The calendar date of a day number."""
        return dt.date(1970, 1, 1) + dt.timedelta(days=int(day))


def local_time(start_ns: Ints, timezone: str) -> LocalTime:
    """Place period starts in local time.

    Args:
        start_ns: instants, ns UTC, ascending.
        timezone: an IANA name.

    Returns:
        Local day and hour of each instant.
    """
    zone = ZoneInfo(timezone)
    utc_hours, place = np.unique(start_ns // NS_PER_H, return_inverse=True)
    offsets = np.array([_offset_s(zone, int(hour)) for hour in utc_hours], np.int64)
    local_ns = start_ns + offsets[place] * NS_PER_S
    day = local_ns // NS_PER_DAY
    hour = np.asarray((local_ns % NS_PER_DAY) / NS_PER_H, np.float64)
    return LocalTime(day, hour, np.unique(day))


def _offset_s(zone: ZoneInfo, utc_hour: int) -> int:
    moment = dt.datetime.fromtimestamp(utc_hour * 3600, tz=dt.UTC).astimezone(zone)
    offset = moment.utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


@dataclass(frozen=True, slots=True)
class Bins:
    """The period cut into months (or days when it is short).

    Attributes:
        kind: "month" or "day".
        first_day: the date that names each bin.
        of: bin number of each market period.
    """

    kind: str
    first_day: tuple[dt.date, ...]
    of: Ints

    def __len__(self) -> int:
        return len(self.first_day)

    def sum(self, values: Floats) -> Floats:
        """Add up a value per market period over each bin."""
        return np.asarray(np.bincount(self.of, values, minlength=len(self)), np.float64)


def bins_of(local: LocalTime) -> Bins:
    """Cut the period: calendar months when it is longer than 62 days, else days."""
    if len(local.days) <= _DAYS_BY_MONTH:
        dates = tuple(local.date(day) for day in local.days)
        return Bins("day", dates, np.searchsorted(local.days, local.day).astype(np.int64))
    dates = tuple(local.date(day) for day in local.days)
    months = sorted({(date.year, date.month) for date in dates})
    number = {month: place for place, month in enumerate(months)}
    of_day = np.array([number[date.year, date.month] for date in dates], np.int64)
    firsts = tuple(dt.date(year, month, 1) for year, month in months)
    return Bins("month", firsts, of_day[np.searchsorted(local.days, local.day)])


@dataclass(frozen=True, slots=True)
class Week:
    """The days whose power is drawn.

    Attributes:
        first: the first local day.
        last: the last local day.
        periods: which market periods they hold.
        chosen: whether there was a choice (else the whole period is shown).
    """

    first: dt.date
    last: dt.date
    periods: slice
    chosen: bool


def pick_week(local: LocalTime, price: Floats | None, bound: Flags | None) -> Week:
    """Choose the week to draw: the widest price range plus the share of time bound by the limit.

    Only whole calendar weeks (Monday to Sunday) are candidates. The score is the week's price range
    over the largest such range, plus the share of its periods bound by the connection limit; the
    earliest week wins a tie.

    Args:
        local: the periods in local time.
        price: EUR/MWh per period, or None where not recorded.
        bound: whether the connection limit bound in each period, or None.

    Returns:
        The week, or the whole period (at most 7 days of it) where no whole week is inside.
    """
    monday = [int(day) for day in local.days if local.date(int(day)).weekday() == 0]
    known = set(local.days.tolist())
    whole = [day for day in monday if all(day + more in known for more in range(7))]
    if not whole:
        last = min(len(local.days), 7) - 1
        return _week(local, int(local.days[0]), int(local.days[last]), last + 1 < len(local.days))
    spans = [_slice(local, day, day + 6) for day in whole]
    score = np.zeros(len(spans))
    if price is not None:
        spread = np.array([float(np.ptp(price[span])) for span in spans])
        score += spread / spread.max() if spread.max() > 0 else 0.0
    if bound is not None:
        score += np.array([float(bound[span].mean()) for span in spans])
    best = whole[int(np.argmax(score))]
    return _week(local, best, best + 6, True)


def _slice(local: LocalTime, first: int, last: int) -> slice:
    begin = int(np.searchsorted(local.day, first, side="left"))
    return slice(begin, int(np.searchsorted(local.day, last, side="right")))


def _week(local: LocalTime, first: int, last: int, chosen: bool) -> Week:
    return Week(local.date(first), local.date(last), _slice(local, first, last), chosen)


def day_by_hour(local: LocalTime, values: Floats) -> Floats:
    """Mean of a value per local day and hour.

    Returns:
        Shape (24, days); NaN for an hour that the clock skipped or that lies outside the period.
    """
    column = np.searchsorted(local.days, local.day)
    cell = local.hour.astype(np.int64) * len(local.days) + column
    size = 24 * len(local.days)
    total = np.bincount(cell, values, minlength=size)
    count = np.bincount(cell, minlength=size)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan)).reshape(24, -1)
