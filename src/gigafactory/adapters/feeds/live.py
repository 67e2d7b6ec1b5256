"""Signals put together from live feeds, with named fallbacks; behind the port `SignalSource`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gigafactory.adapters.feeds.feed import DayValues, LiveFeed
from gigafactory.grid.calendar import MarketCalendar
from gigafactory.grid.series import STATES, Series
from gigafactory.grid.signals import UNITS, Signals
from gigafactory.grid.synthetic import synthetic_signals


class LiveSignals:
    """Feeds behind the port `SignalSource`.

    Args:
        feeds: the feeds; of two that give the same signal the first is asked first.
        seed: of the generator that stands in where nothing else is there.
        latitude: degrees north, for a synthetic sun.
        longitude: degrees east.
    """

    def __init__(
        self,
        feeds: Sequence[LiveFeed],
        seed: int = 0,
        latitude: float = 51.95,
        longitude: float = 4.5,
    ) -> None:
        self.feeds, self._seed = tuple(feeds), seed
        self._latitude, self._longitude = latitude, longitude

    def poll(self, now_ns: int, dates: Sequence[dt.date]) -> bool:
        """Let every feed fetch what is due; never raises. Whether anything new came."""
        came = [feed.poll(now_ns, dates) for feed in self.feeds]
        return any(came)

    def trouble(self, now_ns: int) -> tuple[str, ...]:
        """What cannot be relied on now, a sentence each."""
        return tuple(filter(None, (feed.trouble(now_ns) for feed in self.feeds)))

    def signals(self, calendar: MarketCalendar) -> Signals:
        """All signals over a calendar, from what is there; nothing is fetched.

        Raises:
            BadInput: the calendar has another period than 900 s.
        """
        made = synthetic_signals(calendar, self._seed, self._latitude, self._longitude)
        given = {
            name: self._series(getattr(made, name), calendar)
            for name in UNITS
            if any(name in feed.signals for feed in self.feeds)
        }
        return replace(made, **given)

    def _series(self, made: Series, calendar: MarketCalendar) -> Series:
        values = np.array(made.values)
        states, sources, notes = set[str](), dict[str, None](), list[str]()
        for day, date in enumerate(calendar.local_dates):
            span = calendar.day_slice(day)
            found, note = self._day(made.name, date, span.stop - span.start)
            if found is None:
                states.add(made.state)
                sources[made.source] = None
                notes.append(f"{date}: no feed has it; {made.note or 'our generator'}")
                continue
            values[span] = found.values
            states.add("assumption" if note else found.state)
            sources[found.source] = None
            notes += [f"{date}: {note}"] if note else []
        state = max(states, key=STATES.index)
        year = calendar.local_dates[0].year
        source = "; ".join(sources)
        return Series(made.name, made.unit, values, source, year, state, "; ".join(notes))

    def _day(self, name: str, date: dt.date, periods: int) -> tuple[DayValues | None, str]:
        """A day of a signal, and what stands in for it where it is not there."""
        asked = [feed for feed in self.feeds if name in feed.signals]
        for feed in asked:
            found = feed.day(name, date)
            if found is not None and len(found.values) == periods:
                return found, ""
        for feed in asked:
            last = feed.last(name, date)
            if last is not None:
                shape = tuple(_stretched(last.values, periods))
                return replace(last, values=shape), f"the shape of {last.date} stands in"
        return None, ""


def _stretched(values: Sequence[float], periods: int) -> list[float]:
    """A day's values for a day that is an hour shorter or longer, at the night's clock change.

    The quarters of the hour from 02:00 are left out, or given twice.
    """
    if len(values) == periods:
        return list(values)
    full = list(values)
    if len(full) == 100:
        full = full[:8] + full[12:]
    elif len(full) == 92:
        full = full[:8] + full[4:8] + full[8:]
    if periods == 92:
        return full[:8] + full[12:]
    if periods == 100:
        return full[:12] + full[8:12] + full[12:]
    return full
