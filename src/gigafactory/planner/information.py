"""What is known at an instant, and the shape of what is expected after it.

`Information` is everything metered until now, and the day-ahead prices published by then (those of
a local day appear at 13:00 on the day before). It is cut out of the signals when it is made, and
forecasters are given nothing else, so that looking ahead is not a rule to be kept but a thing that
cannot be done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gigafactory.grid.calendar import MarketCalendar, utc_text
from gigafactory.grid.signals import Signals
from gigafactory.plant.thermal import wet_bulb_c
from gigafactory.units import NS_PER_H, S_PER_H

Array = npt.NDArray[np.float64]

#: Local hour at which the prices of the next day are out; the auction's results are due at about
#: 12:57 CET (EPEX SPOT and Nord Pool publish both; gate closure is at 12:00).
PUBLISHED_HOUR = 13
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


class NotYetKnownError(LookupError):
    """Something was asked for that is not known at this instant."""


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What is expected of a signal, as it was expected at one instant.

    Attributes:
        name: the signal.
        issued_ns: instant the forecast was made, UTC ns; nothing known later is in it.
        valid_ns: starts of the market periods it speaks of, UTC ns, shape [H].
        quantiles: probabilities, rising, with 0.5 among them, shape [Q].
        values: value per probability and period, rising with the probability, shape [Q, H].
        method: name of the method that made it; the one really used, where another fell back.
    """

    name: str
    issued_ns: int
    valid_ns: npt.NDArray[np.int64]
    quantiles: tuple[float, ...]
    values: Array
    method: str = ""

    def __post_init__(self) -> None:
        shape = (len(self.quantiles), len(self.valid_ns))
        assert self.values.shape == shape, f"values of shape {self.values.shape}, not {shape}"

    def __len__(self) -> int:
        return len(self.valid_ns)

    def lead_h(self) -> Array:
        """From the instant of issue to the start of each period, h, shape [H]."""
        return np.asarray((self.valid_ns - self.issued_ns) / NS_PER_H)

    def median(self) -> Array:
        """The value that is as likely to be passed as not, shape [H]."""
        return self.at(0.5)

    def at(self, probability: float) -> Array:
        """The values of one of the probabilities, shape [H]."""
        return np.asarray(self.values[self.quantiles.index(probability)])


class Information:
    """What is known at an instant. Asking for more raises `NotYetKnownError`.

    Args:
        signals: the world; only what is known now is kept.
        calendar: its market periods. The calendar itself (days, hours, clock changes) is known.
        now_ns: the instant, UTC ns; may lie before the calendar.
        metered: further series metered so far, by name (such as "load"), from the calendar's first
            period on; whatever reaches beyond now is cut off.

    Attributes:
        calendar: the market periods.
        now_ns: the instant.
        period: the first period that has not ended; everything before it is metered.
        forecasts: what was forecast from it, by what was asked. Nothing in it ever changes, so
            neither does what is expected.
    """

    __slots__ = (
        "_before", "_by_hour", "_digests", "_known", "_totals", "calendar", "forecasts", "now_ns",
        "period",
    )  # fmt: skip

    def __init__(
        self,
        signals: Signals,
        calendar: MarketCalendar,
        now_ns: int,
        metered: Mapping[str, Array] | None = None,
    ) -> None:
        assert len(signals) == calendar.periods, "signals and calendar differ in length"
        self.calendar, self.now_ns = calendar, now_ns
        ended = int(np.searchsorted(calendar.start_ns[1:], now_ns, side="right"))
        self.period = ended
        self._known = {series.name: series.values[:ended] for series in signals}
        self._known["price"] = signals.price.values[: published_until(calendar, now_ns)]
        for name, values in sorted((metered or {}).items()):
            self._known[name] = np.asarray(values, dtype=np.float64)[:ended]
        for values in self._known.values():
            values.setflags(write=False)
        self._begin()

    def _begin(self) -> None:
        """Nothing was derived from what is known yet."""
        self._by_hour: dict[str, Array] = {}
        self._digests: dict[str, bytes] = {}
        self._totals: dict[str, Array] = {}
        self._before: dict[int, Information] = {}
        self.forecasts: dict[tuple[str, int, str], Forecast] = {}

    def earlier(self, at_ns: int) -> Information:
        """What was known at an earlier instant. Only takes away, so it cannot look ahead either.

        Args:
            at_ns: the instant, UTC ns.

        Raises:
            NotYetKnownError: the instant lies after now.
        """
        if at_ns > self.now_ns:
            raise NotYetKnownError(
                f"{utc_text(at_ns)} lies after {utc_text(self.now_ns)}; only less can be known"
            )
        if at_ns in self._before:
            return self._before[at_ns]
        before = object.__new__(Information)
        before.calendar, before.now_ns = self.calendar, at_ns
        before._begin()
        before.period = int(np.searchsorted(self.calendar.start_ns[1:], at_ns, side="right"))
        published = published_until(self.calendar, at_ns)
        before._known = {
            name: values[: published if name == "price" else before.period]
            for name, values in self._known.items()
        }
        self._before[at_ns] = before
        return before

    def hourly(self, name: str) -> Array:
        """Hourly means of all known whole hours from the calendar's begin on, oldest first."""
        if name not in self._by_hour:
            hourly = self._hours(name)
            hourly.setflags(write=False)
            self._by_hour[name] = hourly
        return self._by_hour[name]

    def hourly_total(self, name: str) -> Array:
        """Sum of `hourly` before each hour, and of all of it at the end."""
        if name not in self._totals:
            total = np.concatenate([[0.0], np.cumsum(self.hourly(name))])
            total.setflags(write=False)
            self._totals[name] = total
        return self._totals[name]

    def fingerprint(self, name: str) -> bytes:
        """A digest of `hourly`, for telling whether something learned from it is still current."""
        if name not in self._digests:
            hourly = self.hourly(name)
            self._digests[name] = hashlib.blake2b(hourly.tobytes(), digest_size=16).digest()
        return self._digests[name]

    def _hours(self, name: str) -> Array:
        if name == "wet_bulb":
            warm, damp = self.hourly("temperature"), self.hourly("humidity")
            return np.array(wet_bulb_c(warm, damp) if len(warm) else warm)
        per_hour = S_PER_H // self.calendar.period_s
        values = self._known[name]
        whole = len(values) // per_hour * per_hour
        total = sum((values[k:whole:per_hour] for k in range(1, per_hour)), values[:whole:per_hour])
        return np.asarray(total / per_hour)

    def known(self, name: str) -> int:
        """How many periods from the calendar's first on are known of a signal."""
        return len(self._known["temperature" if name == "wet_bulb" else name])

    def history(self, name: str, periods: int | None = None) -> Array:
        """The latest known values of a signal, oldest first; all of them by default.

        Args:
            name: a field of `Signals`, "wet_bulb", or the name of a metered series.
            periods: at most so many of the latest.
        """
        first = 0 if periods is None else max(0, self.known(name) - periods)
        if name == "wet_bulb":
            warm, damp = self._known["temperature"][first:], self._known["humidity"][first:]
            return np.asarray(wet_bulb_c(warm, damp) if len(warm) else warm, dtype=np.float64)
        return self._known[name][first:]

    def value(self, name: str, period: int) -> float:
        """The known value of one period.

        Raises:
            NotYetKnownError: the value is not known at this instant.
        """
        if not 0 <= period < self.known(name):
            raise NotYetKnownError(
                f"{name} of period {period} is not known at {utc_text(self.now_ns)}"
            )
        if name == "wet_bulb":
            warm, damp = self._known["temperature"], self._known["humidity"]
            return float(wet_bulb_c(warm[period : period + 1], damp[period : period + 1])[0])
        return float(self._known[name][period])


def published_until(calendar: MarketCalendar, now_ns: int) -> int:
    """Number of periods, from the calendar's first on, whose day-ahead price is published.

    The prices of a local day are out at `PUBLISHED_HOUR` local time on the day before.
    """
    day = int(np.searchsorted(calendar.start_ns[calendar.day_edges], now_ns, side="right"))
    while day < calendar.days and calendar.local_ns(day - 1, PUBLISHED_HOUR) <= now_ns:
        day += 1
    return int(calendar.day_edges[min(day, calendar.days)])
