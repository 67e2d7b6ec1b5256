"""Forecasts that cannot see the future.

`Information` is what is known at an instant: everything metered until then, and the day-ahead
prices published by then (those of a local day appear at 13:00 on the day before). It is cut out of
the signals when it is made, and forecasters are given nothing else, so that looking ahead is not a
rule to be kept but a thing that cannot be done.

One method serves every signal: the mean course over a day, taken over the last weeks, plus what the
latest value lies off that course, fading with the lead time. Its spread comes from how far the last
weeks strayed from their own mean course. It is simple on purpose: its errors are published with it
(`backtest`), and a better forecaster has a yardstick to beat.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gigafactory.grid.calendar import MarketCalendar, utc_text
from gigafactory.grid.signals import Signals
from gigafactory.plant.thermal import wet_bulb_c
from gigafactory.units import NS_PER_H

Array = npt.NDArray[np.float64]

#: Local hour at which the prices of the next day are out; the auction's results are due at about
#: 12:57 CET (EPEX SPOT and Nord Pool publish both; gate closure is at 12:00).
PUBLISHED_HOUR = 13
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


class NotYetKnownError(LookupError):
    """Something was asked for that is not known at this instant."""


@dataclass(frozen=True, slots=True)
class Method:
    """How a signal is forecast. All figures are assumptions of ours, chosen by backtest.

    Attributes:
        days: how many past days make the mean course over a day.
        fade_h: lead time after which 1/e of the present deviation is left, h.
        working_days: whether working days and weekends have courses of their own.
        low: smallest possible value.
        high: largest possible value.
        start: value expected while nothing is known yet.
        spread: standard deviation expected while nothing is known yet.
    """

    days: int
    fade_h: float
    working_days: bool
    low: float
    high: float
    start: float
    spread: float


#: The method of each signal. Starts and spreads are the Dutch figures the synthetic signals are
#: calibrated on (2024; see `gigafactory.grid.synthetic`).
METHODS: Mapping[str, Method] = {
    "price": Method(28, 14.0, True, -500.0, 5000.0, 77.3, 49.5),
    "imbalance": Method(28, 0.5, True, -5000.0, 10_000.0, 81.0, 220.0),
    "temperature": Method(21, 60.0, False, -40.0, 50.0, 11.4, 6.7),
    "wet_bulb": Method(28, 60.0, False, -40.0, 35.0, 9.1, 6.0),
    "humidity": Method(21, 20.0, False, 5.0, 100.0, 79.0, 17.0),
    "wind_offshore": Method(28, 40.0, False, 0.0, 1.0, 0.42, 0.25),
    "wind_onshore": Method(28, 30.0, False, 0.0, 1.0, 0.32, 0.29),
    "solar": Method(14, 6.0, False, 0.0, 1.0, 0.128, 0.2),
    "carbon": Method(28, 20.0, True, 0.0, 1000.0, 202.0, 105.0),
    "heat_demand": Method(21, 90.0, False, 0.0, 1.0, 0.3, 0.2),
    "load": Method(14, 24.0, True, 0.0, np.inf, 0.0, 0.0),
}


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What is expected of a signal, as it was expected at one instant.

    Attributes:
        name: the signal.
        issued_ns: instant the forecast was made, UTC ns; nothing known later is in it.
        valid_ns: starts of the market periods it speaks of, UTC ns, shape [H].
        quantiles: probabilities, rising, with 0.5 among them, shape [Q].
        values: value per probability and period, rising with the probability, shape [Q, H].
    """

    name: str
    issued_ns: int
    valid_ns: npt.NDArray[np.int64]
    quantiles: tuple[float, ...]
    values: Array

    def __post_init__(self) -> None:
        shape = (len(self.quantiles), len(self.valid_ns))
        assert self.values.shape == shape, f"values of shape {self.values.shape}, not {shape}"

    def __len__(self) -> int:
        return len(self.valid_ns)

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
    """

    __slots__ = ("_known", "calendar", "now_ns", "period")

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


def forecast(information: Information, name: str, horizon: int) -> Forecast:
    """Forecast a signal from the present period on.

    Prices already published are given as they are, with no spread.

    Args:
        information: what is known now.
        name: a key of `METHODS`, or any metered series (then by the method of "load").
        horizon: number of market periods; cut at the end of the calendar.

    Returns:
        A forecast whose first period is the one now running.
    """
    calendar = information.calendar
    begin, end = information.period, min(information.period + horizon, calendar.periods)
    given = information.known(name)
    certain = max(0, min(given, end) - begin)
    values = np.empty((len(QUANTILES), end - begin))
    if name == "imbalance":
        values = _imbalance(information, end)
    elif certain:
        values[:, :certain] = information.history(name)[begin : begin + certain]
    if begin + certain < end and name != "imbalance":
        values[:, certain:] = _expected(information, name, begin + certain, end)
    issued_ns = information.now_ns
    return Forecast(name, issued_ns, calendar.start_ns[begin:end], QUANTILES, values)


def _expected(information: Information, name: str, begin: int, end: int) -> Array:
    """Quantiles of what is not known, shape [Q, end - begin]."""
    method = METHODS.get(name, METHODS["load"])
    calendar = information.calendar
    per_day = round(24 * 3600 / calendar.period_s)
    past = information.history(name, method.days * per_day)
    probability = np.array(QUANTILES)[:, None]
    if not len(past):
        spread = np.sqrt(2.0) * _erf_inverse(2.0 * probability - 1.0) * method.spread
        return np.repeat((method.start + spread).clip(method.low, method.high), end - begin, axis=1)
    known = information.known(name)
    behind = slice(known - len(past), known)
    course = _course(past, calendar, behind, method, slice(begin, end))
    own_course = _course(past, calendar, behind, method, behind)
    stray = past - own_course
    recent = max(1, per_day // 48)
    lead_h = (calendar.start_ns[begin:end] - calendar.start_ns[known - 1]) / NS_PER_H
    fade = np.exp(-lead_h / method.fade_h)
    middle = course + fade * float(stray[-recent:].mean())
    # Past deviations tell the spread; a deviation that still lasts narrows it.
    around = np.quantile(stray, QUANTILES) - float(np.quantile(stray, 0.5))
    if len(past) < 2 * per_day:  # two days of history know too little of their own spread
        around = np.sqrt(2.0) * _erf_inverse(2.0 * np.array(QUANTILES) - 1.0) * method.spread
    values = middle[None, :] + around[:, None] * np.sqrt(1.0 - fade**2)[None, :]
    return np.asarray(values.clip(method.low, method.high))


def _imbalance(information: Information, end: int) -> Array:
    """Imbalance price: the day-ahead price, strayed from as it was in the last weeks, [Q, H]."""
    method, calendar = METHODS["imbalance"], information.calendar
    begin = information.period
    centre = forecast(information, "price", end - begin).median()
    past = information.history("imbalance", method.days * round(86_400 / calendar.period_s))
    price = information.history("price")[begin - len(past) : begin]
    probability = np.array(QUANTILES)
    if len(past) < 96:
        around = np.sqrt(2.0) * _erf_inverse(2.0 * probability - 1.0) * method.spread
        return np.asarray(centre[None, :] + around[:, None])
    stray = past - price
    middle = float(np.median(stray))
    lead_h = (calendar.start_ns[begin:end] - calendar.start_ns[begin - 1]) / NS_PER_H
    fade = np.exp(-lead_h / method.fade_h)
    around = np.quantile(stray, QUANTILES)[:, None] - middle
    shift = middle + fade * (float(stray[-1]) - middle)
    values = centre[None, :] + shift[None, :] + around * np.sqrt(1.0 - fade**2)[None, :]
    return np.asarray(values.clip(method.low, method.high))


def _course(
    past: Array, calendar: MarketCalendar, behind: slice, method: Method, wanted: slice
) -> Array:
    """Mean course over the day of past values, read at other periods of the calendar."""
    per_day = round(24 * 3600 / calendar.period_s)

    def slots(periods: slice) -> npt.NDArray[np.int64]:
        slot = np.rint(calendar.local_hour[periods] * (per_day / 24.0)).astype(np.int64)
        if method.working_days:
            slot = slot + per_day * (calendar.local_weekday[periods] >= 5)
        return slot

    slot = slots(behind)
    count = np.bincount(slot, minlength=2 * per_day)
    total = np.bincount(slot, weights=past, minlength=2 * per_day)
    plain = slot % per_day
    any_count = np.bincount(plain, minlength=per_day)
    any_total = np.bincount(plain, weights=past, minlength=per_day)
    # A time of day not seen yet takes the mean level; a day type not seen yet takes the other's.
    every_day = np.where(any_count > 0, any_total / np.maximum(any_count, 1), past.mean())
    mean = np.where(count > 0, total / np.maximum(count, 1), np.tile(every_day, 2))
    return np.asarray(mean[slots(wanted)])


def _erf_inverse(x: npt.ArrayLike) -> Array:
    """Inverse error function after Winitzki (2008), to within 0.4 %."""
    x = np.asarray(x, dtype=np.float64)
    a = 0.147
    log = np.log1p(-(x * x))
    term = 2.0 / (np.pi * a) + log / 2.0
    return np.asarray(np.sign(x) * np.sqrt(np.sqrt(term * term - log / a) - term))


@dataclass(frozen=True, slots=True, eq=False)
class ForecastError:
    """How far forecasts were off, by lead time.

    Attributes:
        name: the signal.
        lead_h: upper edges of the lead-time classes, h, shape [L].
        count: periods judged per class, shape [L].
        mae: mean absolute error of the median, in the signal's unit, shape [L].
        pinball: mean pinball loss over the quantiles, in the signal's unit, shape [L].
        bias: mean of forecast median minus actual value, shape [L].
    """

    name: str
    lead_h: Array
    count: npt.NDArray[np.int64]
    mae: Array
    pinball: Array
    bias: Array


def pinball_loss(predicted: Forecast, actual: Array) -> Array:
    """Pinball loss per probability and period, in the signal's unit, shape [Q, H]; lower is better.

    Args:
        predicted: the forecast.
        actual: what came, shape [H].
    """
    miss = actual[None, :] - predicted.values
    probability = np.asarray(predicted.quantiles)[:, None]
    return np.asarray(np.maximum(probability * miss, (probability - 1.0) * miss))


def errors_by_lead(
    pairs: Iterable[tuple[Forecast, Array]], lead_h: tuple[float, ...] = (1, 3, 6, 12, 24, 36, 48)
) -> ForecastError:
    """Judge forecasts against what came, by lead time.

    Args:
        pairs: forecasts of one signal, each with the actual values of its periods, shape [H].
        lead_h: upper edges of the lead-time classes, h, rising.
    """
    edges = np.asarray(lead_h, dtype=np.float64)
    shape = len(edges) + 1
    count, mae, pinball, bias = (np.zeros(shape) for _ in range(4))
    name = ""
    for predicted, actual in pairs:
        name = predicted.name
        ahead_h = (predicted.valid_ns - predicted.issued_ns) / NS_PER_H
        which = np.searchsorted(edges, ahead_h, side="right")
        off = predicted.median() - actual
        loss = pinball_loss(predicted, actual).mean(axis=0)
        for into, weights in ((mae, np.abs(off)), (pinball, loss), (bias, off)):
            into += np.bincount(which, weights=weights, minlength=shape)
        count += np.bincount(which, minlength=shape)
    count, mae, pinball, bias = (column[:-1] for column in (count, mae, pinball, bias))
    some = np.maximum(count, 1)
    return ForecastError(
        name, edges, count.astype(np.int64), mae / some, pinball / some, bias / some
    )


def backtest(
    signals: Signals,
    calendar: MarketCalendar,
    name: str,
    *,
    every: int = 96,
    horizon: int = 192,
    skip: int = 21 * 96,
) -> ForecastError:
    """Forecast a signal again and again through a past, and judge each forecast by what came.

    Args:
        signals: what came.
        calendar: its market periods.
        name: the signal.
        every: periods between two forecasts.
        horizon: periods each forecast reaches ahead.
        skip: periods at the begin left out, for history to build up.
    """
    if name == "wet_bulb":
        actual = wet_bulb_c(signals.temperature.values, signals.humidity.values)
    else:
        actual = getattr(signals, name).values
    pairs = []
    for period in range(skip, calendar.periods - horizon, every):
        known = Information(signals, calendar, int(calendar.start_ns[period]))
        predicted = forecast(known, name, horizon)
        pairs.append((predicted, actual[period : period + len(predicted)]))
    return errors_by_lead(pairs)
