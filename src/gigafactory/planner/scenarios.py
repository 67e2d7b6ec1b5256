"""Whole courses a signal may take, for plans that must hold in more than the expected one.

A scenario is the forecast made now plus the error that the forecast of a past day turned out to
have had, over the whole horizon: so neighbouring hours stay as alike, and evenings as different
from nights, as they are. No random numbers: the past days are drawn by stepping evenly through
their weights.
"""

from __future__ import annotations

import numpy as np

from gigafactory.planner.forecast import forecast
from gigafactory.planner.information import Array, Information
from gigafactory.planner.methods import METHODS

#: Past days whose errors are drawn from, and the age at which one counts half, days.
PAST_DAYS = 60
HALF_DAYS = 30.0
#: With fewer past days than these, the quantiles are spread out instead.
PAST_MIN = 7


def scenarios(
    information: Information, name: str, horizon: int, count: int, method: str | None = None
) -> Array:
    """Equally likely courses of a signal from the present period on.

    Each past day is forecast again at the same local time, from what was known then, and judged by
    what is known now. While fewer than `PAST_MIN` days can be judged, the courses are quantiles of
    the forecast, which keep their rank through the horizon.

    Args:
        information: what is known now.
        name: the signal, as for `forecast`.
        horizon: number of market periods; cut at the end of the calendar.
        count: number of courses, at least 1; more than about thirty begin to repeat.
        method: as for `forecast`.

    Returns:
        Shape [count, H], in the unit of the signal; prices already published are the same in all.

    Raises:
        ValueError: fewer than one course, a negative horizon or an unknown method.
        KeyError: no such signal.
    """
    if count < 1:
        raise ValueError(f"{count} scenarios; ask for 1 or more")
    made = forecast(information, name, horizon, method)
    if not len(made):
        return np.zeros((count, 0))
    middle, limits = made.median(), METHODS.get(name, METHODS["load"])
    errors, age_days = _past_errors(information, name, len(made), method)
    at = (np.arange(count) + 0.5) / count
    if len(errors) < PAST_MIN:
        fan = [np.interp(at, made.quantiles, column) for column in made.values.T]
        return np.asarray(np.stack(fan, axis=1))
    weight = 0.5 ** (age_days / HALF_DAYS)
    drawn = np.searchsorted(np.cumsum(weight) / weight.sum(), at)
    courses = (middle[None, :] + errors[drawn]).clip(limits.low, limits.high)
    certain = max(0, information.known(name) - information.period)
    courses[:, :certain] = middle[:certain]
    return np.asarray(courses)


def _past_errors(
    information: Information, name: str, periods: int, method: str | None
) -> tuple[Array, Array]:
    """Errors of the forecasts of past days, shape [N, H], and the age of each in days, [N]."""
    calendar, known = information.calendar, information.known(name)
    day, hour = calendar.day_of[information.period], calendar.local_hour[information.period]
    minute = round(60.0 * float(hour % 1.0))
    actual = information.history(name)
    errors, age_days = [], []
    for back in range(1, min(PAST_DAYS, int(day)) + 1):
        before = information.earlier(calendar.local_ns(int(day) - back, int(hour), minute))
        if before.period + periods > known or not before.known(name):
            continue
        then = forecast(before, name, periods, method)
        errors.append(actual[before.period : before.period + periods] - then.median())
        age_days.append(float(back))
    return np.array(errors).reshape(len(errors), periods), np.array(age_days)
