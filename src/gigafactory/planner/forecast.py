"""Forecasts that cannot see the future, by a choice of methods.

"persistence" is the same time of day before, "mean_course" the mean course over a day in the last
weeks plus the present deviation, "learned" a ridge regression on what is known. Each signal has the
method that did best on real 2024 (`DEFAULTS`; the figures are on the docs page on forecasts). A
method that knows too little yet gives way to a simpler one, and the forecast names the one used.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gigafactory.grid.calendar import MarketCalendar
from gigafactory.grid.signals import Signals
from gigafactory.planner.information import (
    PUBLISHED_HOUR,
    QUANTILES,
    Array,
    Forecast,
    Information,
    NotYetKnownError,
    published_until,
)
from gigafactory.planner.judging import ForecastError, errors_by_lead, pinball_loss
from gigafactory.planner.learned import learned
from gigafactory.planner.methods import METHODS, Method, mean_course, persistence, stray
from gigafactory.plant.thermal import wet_bulb_c
from gigafactory.units import S_PER_H

__all__ = [
    "CHOICES",
    "DEFAULTS",
    "METHODS",
    "PUBLISHED_HOUR",
    "QUANTILES",
    "Forecast",
    "ForecastError",
    "Information",
    "Method",
    "NotYetKnownError",
    "backtest",
    "errors_by_lead",
    "forecast",
    "gate_forecast",
    "pinball_loss",
    "published_until",
]

#: The methods to choose from, simplest first.
CHOICES = ("persistence", "mean_course", "learned")

#: The method of each signal that none is asked for: the best on real 2024 by backtest.
#: An imbalance price is mostly surprise: a regression follows its tails.
DEFAULTS: Mapping[str, str] = {
    name: "mean_course" if name == "imbalance" else "learned" for name in METHODS
}


def forecast(
    information: Information, name: str, horizon: int, method: str | None = None
) -> Forecast:
    """Forecast a signal from the present period on.

    Prices already published are given as they are, with no spread.

    Args:
        information: what is known now.
        name: a key of `METHODS`, or any metered series, such as the request rate of a service
            (then by the method of "load").
        horizon: number of market periods; cut at the end of the calendar.
        method: one of `CHOICES`; by default that of `DEFAULTS`.

    Returns:
        A forecast whose first period is the one now running, and which names the method really
        used: where too little is known, "learned" gives way to "mean_course", and so does
        "persistence"; "published" where all of it is known.

    Raises:
        ValueError: the method is none of `CHOICES`, or the horizon is negative.
        KeyError: no such signal.
    """
    chosen = method or DEFAULTS.get(name, DEFAULTS["load"])
    if chosen not in CHOICES:
        raise ValueError(f"{chosen!r} is no forecasting method; choose one of {', '.join(CHOICES)}")
    if horizon < 0:
        raise ValueError(f"a horizon of {horizon} periods; write 0 or more")
    asked = (name, horizon, chosen)
    if asked not in information.forecasts:
        information.forecasts[asked] = _made(information, name, horizon, chosen)
    return information.forecasts[asked]


def _made(information: Information, name: str, horizon: int, chosen: str) -> Forecast:
    """A forecast by a method; its values are read-only, since who asks again gets the same."""
    calendar = information.calendar
    begin, end = information.period, min(information.period + horizon, calendar.periods)
    certain = max(0, min(information.known(name), end) - begin)
    values = np.empty((len(QUANTILES), max(end - begin, 0)))
    used = "published"
    if certain:
        values[:, :certain] = information.history(name)[begin : begin + certain]
    if begin + certain < end:
        values[:, certain:], used = _unknown(information, name, begin + certain, end, chosen)
    values.setflags(write=False)
    return Forecast(
        name,
        information.now_ns,
        calendar.start_ns[begin : max(begin, end)],
        QUANTILES,
        values,
        used,
    )


def gate_forecast(
    information: Information, name: str = "price", after_h: int = 12, method: str | None = None
) -> Forecast:
    """Forecast as far as a bid at the day-ahead gate must look: all of tomorrow, and some hours.

    Before 13:00 local time nothing of tomorrow's prices is known, so all of them are expected.

    Args:
        information: what is known now, usually at 11:45; the gate closes at 12:00.
        name: the signal, as for `forecast`.
        after_h: hours looked at beyond the end of tomorrow, so that the day does not end empty.
        method: as for `forecast`.

    Returns:
        A forecast from the period now running on, cut at the end of the calendar.

    Raises:
        ValueError: now lies after the calendar, or an unknown method.
    """
    calendar, begin = information.calendar, information.period
    if begin >= calendar.periods:
        raise ValueError("now lies after the calendar: there is no tomorrow to forecast")
    # Before the calendar its first day is still to come, and counts as tomorrow.
    today = int(calendar.day_of[begin]) if information.now_ns >= calendar.begin_ns else -1
    ends = int(calendar.day_edges[min(today + 2, calendar.days)])
    return forecast(
        information, name, ends - begin + after_h * S_PER_H // calendar.period_s, method
    )


def _unknown(
    information: Information, name: str, begin: int, end: int, method: str
) -> tuple[Array, str]:
    """Quantiles of what is not known, shape [Q, end - begin], and the method really used."""
    made = None
    if method == "learned":
        made = learned(information, name, begin, end)
    elif method == "persistence":
        made = persistence(information, name, begin, end)
    if made is not None:
        return made, method
    if name == "imbalance":
        centre = forecast(information, "price", end - begin).median()
        return stray(information, centre), "mean_course"
    return mean_course(information, name, begin, end), "mean_course"


def backtest(
    signals: Signals,
    calendar: MarketCalendar,
    name: str,
    *,
    every: int = 96,
    horizon: int = 192,
    skip: int = 21 * 96,
    method: str | None = None,
    metered: Mapping[str, Array] | None = None,
) -> ForecastError:
    """Forecast a signal again and again through a past, and judge each forecast by what came.

    Args:
        signals: what came.
        calendar: its market periods.
        name: the signal.
        every: periods between two forecasts.
        horizon: periods each forecast reaches ahead.
        skip: periods at the begin left out, for history to build up.
        method: one of `CHOICES`; by default that of the signal.
        metered: further series by name, such as a request rate, shape [P] each.
    """
    metered = metered or {}
    if name in metered:
        actual = metered[name]
    elif name == "wet_bulb":
        actual = wet_bulb_c(signals.temperature.values, signals.humidity.values)
    else:
        actual = getattr(signals, name).values
    pairs = []
    for period in range(skip, calendar.periods - horizon, every):
        known = Information(signals, calendar, int(calendar.start_ns[period]), metered)
        predicted = forecast(known, name, horizon, method)
        pairs.append((predicted, actual[period : period + len(predicted)]))
    return errors_by_lead(pairs)
