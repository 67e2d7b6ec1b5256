"""The process that fetches prices and weather and shows them to the others.

It polls the feeds of the settings, fills what they lack by name (the shape of the last good day,
else our generator; `adapters.feeds.LiveSignals`) and publishes today and tomorrow as `signals`,
each day with its source and state, and its own health as `feeds`. One of several speaks; the others
stand by.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gigafactory.adapters.feeds import (
    DayAhead,
    DayAheadSettings,
    Feed,
    LiveSignals,
    Settlement,
    SettlementSettings,
    Weather,
    WeatherSettings,
)
from gigafactory.adapters.feeds.feed import local_date
from gigafactory.adapters.store import Store, StoreTrouble
from gigafactory.engine.clock import Clock, WallClock
from gigafactory.grid import MarketCalendar
from gigafactory.units import NS_PER_S

_LOG: Final = logging.getLogger("gigafactory.feeds")
#: The store's names: what the feeds give, and how the feeder is.
SIGNALS: Final = "signals"
FEEDS: Final = "feeds"
#: An alarm of a feed that cannot be relied on.
FEED_TROUBLE: Final = "feed_trouble"
SHOWN: Final = ("price", "imbalance", "carbon", "temperature", "humidity")
_POLL_S: Final = 15.0
_SAY_NS: Final = 60 * NS_PER_S
_DAYS: Final = 2

FeedChoice = DayAheadSettings | SettlementSettings | WeatherSettings


def opened(settings: FeedChoice, folder: Path) -> Feed:
    """The feed of its settings; its cache is counted from a folder.

    Raises:
        BadInput: its key or its library is missing.
    """
    settings = settings.model_copy(update={"cache": str(folder / settings.cache)})
    if isinstance(settings, DayAheadSettings):
        return DayAhead(settings)
    if isinstance(settings, SettlementSettings):
        return Settlement(settings)
    return Weather(settings)


class Feeder:
    """Polls feeds and publishes what they give.

    Args:
        feeds: by name.
        store: the service's store.
        timezone: of the market's days.
        seed: of the generator that stands in.
    """

    def __init__(self, feeds: Mapping[str, Feed], store: Store, timezone: str, seed: int) -> None:
        self.feeds, self.store, self.timezone = dict(feeds), store, timezone
        self._signals = LiveSignals(tuple(self.feeds.values()), seed)
        self._said_ns = 0
        self._said: Mapping[str, Any] = {}
        self._open: set[str] | None = None

    def turn(self, now_ns: int, lease: Any = None) -> None:
        """Poll what is due, and publish what is new, or every minute.

        Raises:
            StoreTrouble: the store is away.
        """
        came = False
        for feed in self.feeds.values():
            came = feed.poll(now_ns, self._dates(feed, now_ns)) or came
        if not came and 0 <= now_ns - self._said_ns < _SAY_NS:
            return
        body = self.body(now_ns)
        self.store.publish(SIGNALS, body, now_ns, lease)
        self._tell(now_ns, lease)
        self._said_ns, self._said = now_ns, body

    def body(self, now_ns: int) -> dict[str, Any]:
        """Today and tomorrow as published: values per quarter, and where each day comes from."""
        first = local_date(now_ns, self.timezone)
        whole = MarketCalendar.of(first, _DAYS, self.timezone)
        values: dict[str, list[float]] = {name: [] for name in SHOWN}
        days: dict[str, list[dict[str, str]]] = {name: [] for name in SHOWN}
        for date in whole.local_dates:
            found = self._signals.signals(MarketCalendar.of(date, 1, self.timezone))
            for name in SHOWN:
                series = getattr(found, name)
                values[name] += [round(float(value), 6) for value in series.values]
                days[name].append(
                    {
                        "date": str(date),
                        "state": series.state,
                        "source": series.source,
                        "note": series.note,
                    }
                )
        return {
            "begin_ns": whole.begin_ns,
            "step_s": whole.period_s,
            "timezone": self.timezone,
            "values": values,
            "days": days,
        }

    def _dates(self, feed: Feed, now_ns: int) -> list[dt.date]:
        """Days that a feed can have: what is settled is known the day after."""
        away = (-1,) if isinstance(feed, Settlement) else (0, 1)
        return [local_date(now_ns, self.timezone, days) for days in away]

    def _tell(self, now_ns: int, lease: Any) -> None:
        troubles = {n: why for n, f in self.feeds.items() if (why := f.trouble(now_ns))}
        for name, why in troubles.items():
            self.store.raise_alarm(FEED_TROUBLE, name, why, now_ns)
        before = set(self.feeds) if self._open is None else self._open
        for name in before - set(troubles):
            self.store.clear_alarm(FEED_TROUBLE, name, now_ns)
        self._open = set(troubles)
        body = {"trouble": "; ".join(troubles.values()), "feeds": sorted(self.feeds)}
        self.store.publish(FEEDS, body, now_ns, lease)


def run_feeds(
    settings: Mapping[str, FeedChoice],
    timezone: str,
    folder: Path,
    store: Store,
    stop: threading.Event,
    clock: Clock | None = None,
) -> None:
    """Feed until told to stop.

    Args:
        settings: of the feeds, by name.
        timezone: of the market's days.
        folder: that relative caches are counted from.
        store: the service's store.
        stop: set from outside to end it.
        clock: whose time it is; the wall's where not given.

    Raises:
        BadInput: a key or a library is missing.
    """
    clock = clock or WallClock()
    feeder = Feeder({n: opened(s, folder) for n, s in settings.items()}, store, timezone, 0)
    lease = None
    try:
        while not stop.is_set():
            try:
                if lease is None or not lease.held():
                    lease = store.lead(FEEDS, clock.now_ns(), FEEDS)
                if lease is not None:
                    feeder.turn(clock.now_ns(), lease)
            except StoreTrouble as trouble:
                _LOG.warning("the store is away: %s", trouble.why)
            stop.wait(_POLL_S if lease is not None else 1.0)
    finally:
        if lease is not None:
            lease.release()
