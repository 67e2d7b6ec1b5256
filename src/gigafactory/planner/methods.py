"""The simple methods: the same time of day before, and the mean course over a day.

They need little history, cost almost nothing and are the yardstick of everything learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gigafactory.grid.calendar import MarketCalendar
from gigafactory.planner.information import QUANTILES, Array, Information
from gigafactory.units import NS_PER_H


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


def persistence(information: Information, name: str, begin: int, end: int) -> Array | None:
    """The value of the same time of day before: of yesterday, or of the last day that is known.

    Its spread comes from how far days as far apart differed in the last weeks.

    Args:
        information: what is known now.
        name: the signal.
        begin: first period that is not known.
        end: period to stop before.

    Returns:
        Quantiles, shape [Q, end - begin]; nothing where less than two days are known.
    """
    calendar, limits = information.calendar, METHODS.get(name, METHODS["load"])
    per_day = round(24 * 3600 / calendar.period_s)
    known = information.known(name)
    if known < 2 * per_day:
        return None
    past = information.history(name)
    target = np.arange(begin, end)
    days = (target - known) // per_day + 1
    source = target - days * per_day
    # Across a change of the clocks the same time of day is not 24 hours away.
    apart = calendar.local_hour[target] - calendar.local_hour[source]
    shift = np.rint(((apart + 12.0) % 24.0 - 12.0) * per_day / 24.0).astype(np.int64)
    source = np.minimum(source + shift, known - 1)
    values = np.empty((len(QUANTILES), end - begin))
    recent = past[-28 * per_day :]
    for apart_days in np.unique(days):
        back = min(int(apart_days) * per_day, len(recent) - per_day)
        spread = np.quantile(recent[back:] - recent[: len(recent) - back], QUANTILES)
        spread -= spread[QUANTILES.index(0.5)]
        which = days == apart_days
        values[:, which] = past[source[which]][None, :] + spread[:, None]
    return np.asarray(values.clip(limits.low, limits.high))


def mean_course(information: Information, name: str, begin: int, end: int) -> Array:
    """The mean course over a day in the last weeks, plus the present deviation, fading.

    Its spread comes from how far the last weeks strayed from their own mean course.

    Args:
        information: what is known now.
        name: the signal.
        begin: first period that is not known.
        end: period to stop before.

    Returns:
        Quantiles, shape [Q, end - begin].
    """
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
    course, own_course = courses_of(past, calendar, behind, method, slice(begin, end))
    off = past - own_course
    recent = max(1, per_day // 48)
    lead_h = (calendar.start_ns[begin:end] - calendar.start_ns[known - 1]) / NS_PER_H
    fade = np.exp(-lead_h / method.fade_h)
    middle = course + fade * float(off[-recent:].mean())
    # Past deviations tell the spread; a deviation that still lasts narrows it.
    around = np.quantile(off, QUANTILES)
    around -= around[QUANTILES.index(0.5)]
    if len(past) < 2 * per_day:  # two days of history know too little of their own spread
        around = np.sqrt(2.0) * _erf_inverse(2.0 * np.array(QUANTILES) - 1.0) * method.spread
    values = middle[None, :] + around[:, None] * np.sqrt(1.0 - fade**2)[None, :]
    return np.asarray(values.clip(method.low, method.high))


def stray(information: Information, centre: Array) -> Array:
    """Imbalance price: the day-ahead price, strayed from as it was in the last weeks.

    Args:
        information: what is known now.
        centre: day-ahead price known or expected from the present period on, EUR/MWh, shape [H].

    Returns:
        Quantiles, EUR/MWh, shape [Q, H].
    """
    method, calendar = METHODS["imbalance"], information.calendar
    begin, end = information.period, information.period + len(centre)
    past = information.history("imbalance", method.days * round(86_400 / calendar.period_s))
    price = information.history("price")[begin - len(past) : begin]
    probability = np.array(QUANTILES)
    if len(past) < 96:
        around = np.sqrt(2.0) * _erf_inverse(2.0 * probability - 1.0) * method.spread
        return np.asarray(centre[None, :] + around[:, None])
    strayed = past - price
    middle = float(np.median(strayed))
    lead_h = (calendar.start_ns[begin:end] - calendar.start_ns[begin - 1]) / NS_PER_H
    fade = np.exp(-lead_h / method.fade_h)
    around = np.quantile(strayed, QUANTILES)[:, None] - middle
    shift = middle + fade * (float(strayed[-1]) - middle)
    values = centre[None, :] + shift[None, :] + around * np.sqrt(1.0 - fade**2)[None, :]
    return np.asarray(values.clip(method.low, method.high))


def courses_of(
    past: Array, calendar: MarketCalendar, behind: slice, method: Method, wanted: slice
) -> tuple[Array, Array]:
    """Mean course over the day of past values, read at other periods and at those behind."""
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
    return np.asarray(mean[slots(wanted)]), np.asarray(mean[slot])


def _erf_inverse(x: npt.ArrayLike) -> Array:
    """Inverse error function after Winitzki (2008), to within 0.4 %."""
    x = np.asarray(x, dtype=np.float64)
    a = 0.147
    log = np.log1p(-(x * x))
    term = 2.0 / (np.pi * a) + log / 2.0
    return np.asarray(np.sign(x) * np.sqrt(np.sqrt(term * term - log / a) - term))
