"""What every feed shares: days of values on disk, bounds, patience, and words for what is lacking.

A day is taken whole or not at all: as many values as the local day has market periods (92, 96 or
100 quarter-hours), each within bounds. A day that was taken is never asked for again unless it may
still change (a forecast); a day that fails is asked for again after a wait that doubles.
"""

from __future__ import annotations

import abc
import datetime as dt
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from gigafactory.adapters.secrets import Secret, is_loopback
from gigafactory.engine.errors import BadInput
from gigafactory.factory.blocks import Block, Text, setting
from gigafactory.factory.quantities import PositiveDurationS
from gigafactory.grid.calendar import MarketCalendar
from gigafactory.grid.series import SourceRow
from gigafactory.units import NS_PER_DAY, NS_PER_S

#: A day from outside, by signal: its values, source, state and note.
Fetched = Mapping[str, tuple[Sequence[float], str, str, str]]

_BACKOFF_S_MAX = 900.0
_BACKOFF_S = 15.0


class FeedSettings(Block):
    """What every feed needs to know."""

    url: Text = setting("Where it is asked.")
    cache: Text = setting("Folder its days are kept in.")
    key: Secret | None = setting("Our key there, where one is needed.", None)
    timezone: Text = setting("Time zone of the market's days.", "Europe/Amsterdam")
    timeout_s: PositiveDurationS = setting(
        "An answer is waited for so long.", 20.0, key="timeout", source="assumption, 2026"
    )
    refresh_s: PositiveDurationS = setting(
        "A day that may still change is asked for again after.",
        3600.0,
        key="refresh",
        source="assumption, 2026",
    )
    stale_s: PositiveDurationS = setting(
        "Without a sound answer for so long the feed is in trouble.",
        93_600.0,
        key="stale",
        source="assumption, 2026: 26 hours, a day and the time a day-ahead auction may be late",
    )

    @model_validator(mode="after")
    def _safe(self) -> FeedSettings:
        parts = urlsplit(self.url)
        plain = parts.scheme == "http" and is_loopback(parts.hostname or "")
        if parts.scheme != "https" and not plain:
            raise PydanticCustomError("url", "must begin with https:// (http only on this machine)")
        return self


@dataclass(frozen=True, slots=True)
class DayValues:
    """One signal over one local day.

    Attributes:
        signal: name, as in `grid.signals.UNITS`.
        date: the local day.
        unit: unit of every value.
        values: one per market period of 900 s.
        fetched_ns: when they came, ns UTC.
        source: who says so.
        state: one of `grid.series.STATES`.
        note: what was done to them on the way.
    """

    signal: str
    date: dt.date
    unit: str
    values: tuple[float, ...]
    fetched_ns: int
    source: str
    state: str
    note: str = ""

    def row(self) -> SourceRow:
        """Where the day comes from."""
        mean = math.fsum(self.values) / len(self.values)
        figure = f"feeds.{self.signal}"
        return SourceRow(
            figure, mean, self.unit, self.source, self.date.year, self.state, self.note
        )


class Unsound(Exception):  # noqa: N818  (it says what it is)
    """An answer that cannot be used, or none. Its words hold no key."""


class LiveFeed(Protocol):
    """A source the runtime polls."""

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of the signals it gives."""
        ...

    def poll(self, now_ns: int, dates: Sequence[dt.date]) -> bool:
        """Fetch what is due of some local days; never raises. Whether anything new came."""
        ...

    def day(self, signal: str, date: dt.date) -> DayValues | None:
        """A signal's day, None when it is not there."""
        ...

    def last(self, signal: str, before: dt.date) -> DayValues | None:
        """The latest day of a signal before a date, None when there is none."""
        ...

    def trouble(self, now_ns: int) -> str:
        """Why it cannot be relied on now; empty when all is well."""
        ...


class Feed(abc.ABC):
    """The shared part: a feed of its own kind gives `signals`, `bounds` and `_fetch`.

    Args:
        settings: where it is and where its days lie.
        name: what the reader calls it.

    Raises:
        BadInput: a key is missing, or the cache cannot be written.
    """

    signals: tuple[str, ...] = ()
    #: Unit, lowest and highest value of each signal.
    bounds: Mapping[str, tuple[str, float, float]] = {}
    #: Days after today within which a day may still change.
    changes = False

    def __init__(self, settings: FeedSettings, name: str) -> None:
        self.settings, self.name = settings, name
        self._folder = Path(settings.cache)
        self._key = settings.key.read(f"feed {name}: key") if settings.key is not None else ""
        self._days: dict[tuple[str, dt.date], DayValues] = {}
        self._failures = 0
        self._next_ns = 0
        self._good_ns = 0
        self._first_ns = 0
        self._why = self._disk = ""
        self._load()

    def poll(self, now_ns: int, dates: Sequence[dt.date]) -> bool:
        """Fetch what is due of some local days; never raises. Whether anything new came."""
        self._first_ns = self._first_ns or now_ns
        if now_ns < self._next_ns:
            return False
        came = False
        for date in dates:
            if not self._due(date, now_ns):
                continue
            try:
                for values in self._checked(self._fetch(date, now_ns), date, now_ns):
                    came = self._take(values) or came
            except (Unsound, BadInput) as error:
                self._failures += 1
                self._why = f"{date}: {error}"
                wait = min(_BACKOFF_S * 2.0 ** min(self._failures - 1, 10), _BACKOFF_S_MAX)
                self._next_ns = now_ns + int(wait * NS_PER_S)
                return came
            self._failures, self._why, self._good_ns = 0, "", now_ns
        return came

    def day(self, signal: str, date: dt.date) -> DayValues | None:
        """A signal's day, None when it is not there."""
        return self._days.get((signal, date))

    def last(self, signal: str, before: dt.date) -> DayValues | None:
        """The latest day of a signal before a date, None when there is none."""
        there = [date for name, date in self._days if name == signal and date < before]
        return self._days[signal, max(there)] if there else None

    def trouble(self, now_ns: int) -> str:
        """Why it cannot be relied on now; empty when all is well."""
        since_ns = max(self._good_ns, self._first_ns)
        if now_ns - since_ns > self.settings.stale_s * NS_PER_S and since_ns:
            hours = (now_ns - since_ns) / NS_PER_S / 3600
            return f"{self.name} gave nothing sound for {hours:.0f} h: {self._why or 'not asked'}"
        return self._disk

    def sources(self) -> tuple[SourceRow, ...]:
        """The provenance of the latest day of each signal."""
        latest = [self.last(signal, dt.date.max) for signal in self.signals]
        return tuple(day.row() for day in latest if day is not None)

    @abc.abstractmethod
    def _fetch(self, date: dt.date, now_ns: int) -> Fetched:
        """A day from outside: by signal its values, source, state and note.

        Raises:
            Unsound: no answer, or none that can be used.
        """

    def _window(self, date: dt.date) -> tuple[int, int]:
        """Begin and end of a local day, ns UTC."""
        calendar = self._calendar(date)
        return calendar.begin_ns, calendar.end_ns

    def _calendar(self, date: dt.date) -> MarketCalendar:
        return MarketCalendar.of(date, 1, self.settings.timezone, 900)

    def _due(self, date: dt.date, now_ns: int) -> bool:
        there = [self._days.get((signal, date)) for signal in self.signals]
        if any(one is None for one in there):
            return True
        if not self.changes or self._calendar(date).end_ns < now_ns:
            return False
        oldest = min(one.fetched_ns for one in there if one is not None)
        return now_ns - oldest > self.settings.refresh_s * NS_PER_S

    def _checked(
        self,
        found: Fetched,
        date: dt.date,
        now_ns: int,
    ) -> list[DayValues]:
        """Days that are whole and within bounds.

        Raises:
            Unsound: one is not.
        """
        periods = self._calendar(date).periods
        made = []
        for signal, (values, source, state, note) in found.items():
            unit, low, high = self.bounds[signal]
            spread = _spread([float(value) for value in values], periods, signal)
            wrong = [v for v in spread if not (math.isfinite(v) and low <= v <= high)]
            if wrong:
                raise Unsound(f"{signal} of {wrong[0]:g} {unit}, not within {low:g} to {high:g}")
            many = periods // max(len(values), 1)
            told = "; ".join(filter(None, (note, f"each value for {many} periods" * (many > 1))))
            made.append(DayValues(signal, date, unit, tuple(spread), now_ns, source, state, told))
        return made

    def _take(self, values: DayValues) -> bool:
        before = self._days.get((values.signal, values.date))
        self._days[values.signal, values.date] = values
        self._save(values)
        return before is None or before.values != values.values

    def _save(self, day: DayValues) -> None:
        """Write a day; a full disk costs the cache, not the day."""
        path = self._folder / f"{day.signal}-{day.date}.json"
        body = {
            "signal": day.signal,
            "date": str(day.date),
            "unit": day.unit,
            "values": list(day.values),
            "fetched_ns": day.fetched_ns,
            "source": day.source,
            "state": day.state,
            "note": day.note,
        }
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_text(json.dumps(body), encoding="utf-8")
            os.replace(part, path)  # noqa: PTH105  (atomic over an existing file everywhere)
        except OSError as error:
            self._disk = f"{self.name}: the cache cannot be written: {error.strerror}"
        else:
            self._disk = ""

    def _load(self) -> None:
        """Read the days on disk; one that is damaged or out of bounds is passed over."""
        for path in sorted(self._folder.glob("*.json")) if self._folder.is_dir() else ():
            try:
                told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                date = dt.date.fromisoformat(told["date"])
                if told["signal"] not in self.signals:
                    continue
                found = {
                    told["signal"]: (told["values"], told["source"], told["state"], told["note"])
                }
                (day,) = self._checked(found, date, int(told["fetched_ns"]))
            except (OSError, ValueError, KeyError, TypeError, Unsound):
                continue
            self._days[day.signal, date] = day
            self._good_ns = max(self._good_ns, day.fetched_ns)


def _spread(values: Sequence[float], periods: int, signal: str) -> list[float]:
    """Values of a day on its quarter-hours: as they are, or each hour for four.

    Raises:
        Unsound: they are neither.
    """
    if len(values) == periods:
        return list(values)
    if len(values) * 4 == periods:
        return [value for value in values for _ in range(4)]
    raise Unsound(f"{len(values)} values of {signal}, not {periods} (or {periods // 4} hours)")


def local_date(now_ns: int, timezone: str, after_days: int = 0) -> dt.date:
    """The local date of an instant, some days on."""
    at = dt.datetime.fromtimestamp(now_ns // NS_PER_S, ZoneInfo(timezone))
    return at.date() + dt.timedelta(days=after_days)


def by_date(days: int, now_ns: int, timezone: str) -> list[dt.date]:
    """Today and the days after it, so many in all."""
    assert days > 0, "a plan looks at a day at least"
    assert now_ns < 2**62 - days * NS_PER_DAY, "an instant is in ns since 1970"
    return [local_date(now_ns, timezone, after) for after in range(days)]
