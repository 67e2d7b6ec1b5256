"""The learned method: ridge regression of the coming two days on what is known at issue.

Everything is hourly and laid out in rows, one per past day at the same local hour of issue. A row's
answer is how the 48 hours after the last known one strayed from the mean course of the four weeks
before it; its features are how the days before strayed, the day of the week and the season, other
signals as they were at the hour of issue, and the day-ahead prices published by then: those tell
what the market expected of wind and sun. One ridge regression answers for all 48 hours at once.

Its spread comes from errors it made on days it was not fitted on (five blocks of days, each held
out once), the latest weighted most, hour by hour.

Fitted anew at the first instant of each seventh local day of the calendar, from what was known
then. What was fitted is kept by the bytes it was fitted on, so that a forecast depends on what is
known and on nothing else: not on what was forecast before, nor in which process.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.grid.calendar import MarketCalendar
from gigafactory.planner.information import PUBLISHED_HOUR, QUANTILES, Array, Information
from gigafactory.planner.methods import METHODS, courses_of, mean_course
from gigafactory.units import NS_PER_H, S_PER_H

Ints = npt.NDArray[np.int64]

#: Hours ahead of the last known one that the regression answers for. The gate needs 36.
REACH_H = 48
#: Days whose mean is the course that everything is measured from, and days of lags.
COURSE_DAYS = 28
LAG_DAYS = 7
#: Rows wanted before anything is fitted; with the days above and those answered for, 72 days.
ROWS_MIN = 42
#: Rows fitted on at most: as many days as a year has.
ROWS_MAX = 365
#: Days between two fits.
REFIT_DAYS = 7
#: Strength of the ridge, on features of unit variance; chosen by backtest. It is worth as much as
#: so many rows, so the first fits hardly leave the mean course and later ones may.
RIDGE = 200.0
#: Share of the answers of each hour cut back to the rest at either end before fitting: prices and
#: storms have tails that a sum of squares would follow. The errors are those of uncut answers.
WINSOR = 0.05
#: Age at which a day counts half, days, in the fit and in the spread; chosen by backtest. Markets
#: and seasons change how far one is off sooner than how things hang together.
HALF_DAYS = 180.0
SPREAD_HALF_DAYS = 90.0
#: Blocks of days that are held out in turn.
BLOCKS = 5
#: Hours to either side over which it is judged how far the regression is to be believed.
TRUST_H = 6
#: Latest hours whose mean deviation is taken to fade, by signal; one for all others, by backtest.
#: What the latest hour lies off that mean fades sooner.
LEVEL_H: Mapping[str, int] = {"temperature": 6, "heat_demand": 6}
QUICK_H = 4.0
#: Fits kept at once: a few sites, with ten signals each at a few hours of issue.
KEPT = 512

#: What else is looked at for a signal. "price" among them is looked at as far as it is published.
BESIDE: Mapping[str, tuple[str, ...]] = {
    "price": ("wind_offshore", "wind_onshore", "solar", "temperature"),
    "imbalance": ("price", "wind_onshore", "solar"),
    "temperature": ("price", "wind_onshore", "solar", "humidity"),
    "wet_bulb": ("price", "wind_onshore", "solar"),
    "humidity": ("price", "temperature", "solar", "wind_onshore"),
    "wind_offshore": ("price", "wind_onshore", "temperature"),
    "wind_onshore": ("price", "wind_offshore", "temperature"),
    "solar": ("price", "humidity", "temperature"),
    "carbon": ("price", "wind_onshore", "wind_offshore", "solar"),
    "heat_demand": ("price", "temperature", "wind_onshore", "solar"),
}


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """What was learned: of a feature row x, the answer is constant + (x - mean) / scale @ weights.

    `spread` is the quantiles of the errors on days held out, shape [Q, REACH_H].
    """

    mean: Array
    scale: Array
    weights: Array
    constant: Array
    spread: Array


_FITS: OrderedDict[tuple[object, ...], _Fit] = OrderedDict()


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows of one signal at one local hour of issue.

    Attributes:
        issued: hour of issue of each row, counted from the calendar's begin, shape [N].
        first: first hour not known at issue, shape [N].
    """

    issued: Ints
    first: Ints


def learned(information: Information, name: str, begin: int, end: int) -> Array | None:
    """Quantiles of what is not known, by regression.

    Args:
        information: what is known now.
        name: the signal.
        begin: first period that is not known.
        end: period to stop before.

    Returns:
        Quantiles, shape [Q, end - begin]; the mean course beyond `REACH_H`. Nothing where too
        little is known to learn from.
    """
    calendar, limits = information.calendar, METHODS.get(name, METHODS["load"])
    per_hour = S_PER_H // calendar.period_s
    rows = _rows(calendar, information.period // per_hour, name)
    fit = _current(information, name, rows)
    if fit is None:
        return None
    x, course, days = _features(information, calendar, name, _last(rows, 1))
    middle = course[0] + fit.constant + ((x[0] - fit.mean) / fit.scale) @ fit.weights
    by_hour = middle[None, :] + fit.spread
    if name == "solar":  # no more than the same hour brought in the last weeks; nothing at night
        by_hour = np.minimum(by_hour, np.tile(days.max(axis=0), 2))
    hour = np.arange(begin, end) // per_hour - int(rows.first[-1])
    reached = int(np.searchsorted(hour, REACH_H))
    values = by_hour[:, hour[:reached]]
    values += _within_the_hour(information, name, begin, begin + reached)[None, :]
    begun = information.known(name) % per_hour
    if begun and reached:  # the hour now running has told something already
        told = float(information.history(name, begun).mean())
        lead_h = (calendar.start_ns[begin : begin + reached] - information.now_ns) / NS_PER_H
        off = told - float(by_hour[QUANTILES.index(0.5), 0])
        values += off * np.exp(-np.maximum(lead_h, 0.0) / limits.fade_h)[None, :]
    values = values.clip(limits.low, limits.high)
    if begin + reached < end:
        beyond = mean_course(information, name, begin + reached, end)
        values = np.concatenate([values, beyond], axis=1)
    return np.asarray(values)


def _within_the_hour(information: Information, name: str, begin: int, end: int) -> Array:
    """How the mean course of each period lies off that of its hour, shape [end - begin]."""
    calendar, method = information.calendar, METHODS.get(name, METHODS["load"])
    per_hour = S_PER_H // calendar.period_s
    if per_hour == 1 or begin == end:
        return np.zeros(end - begin)
    low, high = begin // per_hour * per_hour, -(-end // per_hour) * per_hour
    past = information.history(name, method.days * 24 * per_hour)
    known = information.known(name)
    behind = slice(known - len(past), known)
    course, _ = courses_of(past, calendar, behind, method, slice(low, high))
    by_hour = course.reshape(-1, per_hour)
    return np.asarray((by_hour - by_hour.mean(axis=1)[:, None]).ravel()[begin - low : end - low])


def _rows(calendar: MarketCalendar, now_hour: int, name: str) -> _Rows:
    """All hours until now with the local hour of now, and from where on each knew nothing."""
    per_hour = S_PER_H // calendar.period_s
    local = np.floor(calendar.local_hour[: (now_hour + 1) * per_hour : per_hour]).astype(np.int64)
    issued = np.flatnonzero(local == local[-1])
    if name != "price":
        return _Rows(issued, issued)
    ahead = 1 if local[-1] < PUBLISHED_HOUR else 2
    day = np.minimum(calendar.day_of[issued * per_hour] + ahead, calendar.days)
    return _Rows(issued, calendar.day_edges[day] // per_hour)


def _last(rows: _Rows, count: int) -> _Rows:
    """The last rows, with those before them that their course and lags are made of."""
    need = count + COURSE_DAYS
    return _Rows(rows.issued[-need:], rows.first[-need:])


def _features(
    information: Information, calendar: MarketCalendar, name: str, rows: _Rows
) -> tuple[Array, Array, Array]:
    """Features and mean course of all rows but the first `COURSE_DAYS`.

    Returns:
        Features of shape [N, F], the course of the hours to come of shape [N, REACH_H], and what
        became of the day of each row that has ended, of shape [COURSE_DAYS + N - 1, 24].
    """
    hourly, per_hour = information.hourly(name), S_PER_H // calendar.period_s
    first, n = rows.first, len(rows.first)
    # A row's day ends where the next row begins: on the day of 23 hours its last one is not known.
    ends = np.append(first[1:], first[-1])[:-1] - 1
    before = np.minimum(first[:-1, None] + np.arange(24), ends[:, None])
    days = hourly[before]  # [n - 1, 24]: what became of all rows but the last
    ahead = np.minimum(first[:, None] + np.arange(REACH_H), calendar.periods // per_hour - 1)
    if METHODS.get(name, METHODS["load"]).working_days:
        off = (calendar.local_weekday[ahead * per_hour] >= 5).astype(np.float64)
    else:
        off = np.zeros(ahead.shape)
    course = _courses(days, off)
    stray = np.stack(
        [days[COURSE_DAYS - lag : n - lag] - course[:, :24] for lag in range(1, LAG_DAYS + 1)]
    )
    blocks = stray.reshape(LAG_DAYS, len(course), 8, 3).mean(axis=3)
    weekday = calendar.local_weekday[ahead[COURSE_DAYS:, 0] * per_hour]
    month = calendar.local_month[ahead[COURSE_DAYS:, 0] * per_hour]
    angle = (month - 1) * (np.pi / 6.0)
    lead_h = ahead[COURSE_DAYS:] - first[COURSE_DAYS:, None] + 1.0
    fade = np.exp(-lead_h / METHODS.get(name, METHODS["load"]).fade_h)
    latest = stray[0][:, -LEVEL_H.get(name, 1) :].mean(axis=1)
    quick = stray[0][:, -1] - latest
    base = course + fade * latest[:, None] + np.exp(-lead_h / QUICK_H) * quick[:, None]
    parts = [
        stray[0][:, -3:],
        blocks[0],
        blocks[1],
        blocks[6],
        stray[:2].mean(axis=(0, 2))[:, None],
        stray.mean(axis=(0, 2))[:, None],
        course.mean(axis=1)[:, None],
        (weekday[:, None] == np.arange(7)).astype(np.float64),
        np.stack([np.sin(angle), np.cos(angle)], axis=1),
    ]
    issued = rows.issued[COURSE_DAYS:]
    for other in BESIDE.get(name, ()):
        parts.append(_beside(information, other, issued))
        if other == "price":
            parts.append(_published(information, calendar, issued))
    return np.concatenate(parts, axis=1), base, days


def _courses(days: Array, off: Array) -> Array:
    """Mean course of the rows before each row, working days and weekends apart, [N, REACH_H]."""
    n = len(off)
    kinds = []
    for kind in (off[:-1, :24], 1.0 - off[:-1, :24]):
        total = np.zeros((n, 24))
        count = np.zeros((n, 24))
        np.cumsum(days * kind, axis=0, out=total[1:])
        np.cumsum(kind, axis=0, out=count[1:])
        total = total[COURSE_DAYS:] - total[:-COURSE_DAYS]
        count = count[COURSE_DAYS:] - count[:-COURSE_DAYS]
        kinds.append((total, count))
    (total_off, count_off), (total_on, count_on) = kinds
    every = (total_off + total_on) / COURSE_DAYS
    at_off = np.where(count_off > 0.5, total_off / np.maximum(count_off, 1.0), every)
    at_on = np.where(count_on > 0.5, total_on / np.maximum(count_on, 1.0), every)
    return np.where(off[COURSE_DAYS:] > 0.5, np.tile(at_off, 2), np.tile(at_on, 2))


def _beside(information: Information, other: str, issued: Ints) -> Array:
    """Another signal as it was at the hour of issue: latest value and means, [N, 4]."""
    total, at = information.hourly_total(other), issued
    return np.stack(
        [
            information.hourly(other)[at - 1],
            (total[at] - total[at - 3]) / 3.0,
            (total[at] - total[at - 24]) / 24.0,
            (total[at - 24] - total[at - 48]) / 24.0,
        ],
        axis=1,
    )


def _published(information: Information, calendar: MarketCalendar, issued: Ints) -> Array:
    """How the prices published for the hours to come lie off those of the week before, [N, A]."""
    hourly, per_hour = information.hourly("price"), S_PER_H // calendar.period_s
    hour = int(calendar.local_hour[int(issued[-1]) * per_hour])
    ahead = min((24 if hour < PUBLISHED_HOUR else 48) - hour, 24)
    day = calendar.day_of[issued * per_hour] + (1 if hour < PUBLISHED_HOUR else 2)
    ends = calendar.day_edges[np.minimum(day, calendar.days)] // per_hour - 1
    at = np.minimum(issued[:, None] + np.arange(ahead), ends[:, None])
    week = np.stack([hourly[at - 24 * back] for back in range(1, 8)]).mean(axis=0)
    return np.asarray(hourly[at] - week)


def _current(information: Information, name: str, rows: _Rows) -> _Fit | None:
    """The fit of the last refit, from the kept ones or made now; nothing before the first."""
    calendar = information.calendar
    if len(rows.issued) < ROWS_MIN + COURSE_DAYS:
        return None
    if len(information.hourly(name)) < rows.first[-1]:  # a metered series that stopped before now
        return None
    day = int(calendar.day_of[min(information.period, calendar.periods - 1)])
    cut_day = day // REFIT_DAYS * REFIT_DAYS
    cut = information.earlier(int(calendar.start_ns[calendar.day_edges[cut_day]]))
    answered = rows.first + REACH_H <= len(cut.hourly(name))
    usable = int(np.count_nonzero(answered))
    if usable < ROWS_MIN + COURSE_DAYS:
        return None
    names = (name, *BESIDE.get(name, ()))
    # The first row tells the local hour of issue; hours and weekdays are those of the calendar.
    where = (calendar.timezone, calendar.begin_ns, calendar.period_s, calendar.days)
    key = (name, cut_day, int(rows.issued[0]), where, *(cut.fingerprint(each) for each in names))
    if key in _FITS:
        _FITS.move_to_end(key)
        return _FITS[key]
    known = _Rows(rows.issued[:usable], rows.first[:usable])
    with _one_thread().limit(limits=1):
        _FITS[key] = fit = _fitted(cut, name, _last(known, ROWS_MAX))
    if len(_FITS) > KEPT:
        _FITS.popitem(last=False)
    return fit


def _fitted(cut: Information, name: str, rows: _Rows) -> _Fit:
    """Fit on all rows; then on all but a block of them, for the errors on that block."""
    x, course, _ = _features(cut, cut.calendar, name, rows)
    first = rows.first[COURSE_DAYS:]
    y = cut.hourly(name)[first[:, None] + np.arange(REACH_H)] - course
    low, high = np.quantile(y, [WINSOR, 1.0 - WINSOR], axis=0)
    held = y.clip(low, high)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale < 1e-9] = 1.0
    x = (x - mean) / scale
    age_days = np.arange(len(x))[::-1]
    weight = 0.5 ** (age_days / HALF_DAYS)
    said = np.empty_like(y)
    for block in np.array_split(np.arange(len(x)), BLOCKS):
        others = np.ones(len(x), dtype=bool)
        others[block] = False
        weights, constant = _ridge(x[others], held[others], weight[others])
        said[block] = constant + x[block] @ weights
    trust = _trust(said, held, weight)
    spread = _weighted_quantiles(y - trust * said, 0.5 ** (age_days / SPREAD_HALF_DAYS))
    weights, constant = _ridge(x, held, weight)
    return _Fit(mean, scale, trust * weights, trust * constant, spread)


def _trust(said: Array, came: Array, weight: Array) -> Array:
    """Share of what was said of days held out that it was best to believe, per hour, [REACH_H].

    Least squares through nought over the hours about each; between 0 (the base course alone) and 1.
    """
    about = np.ones(2 * TRUST_H + 1)
    both = np.convolve((said * came * weight[:, None]).sum(axis=0), about, mode="same")
    alone = np.convolve((said * said * weight[:, None]).sum(axis=0), about, mode="same")
    return np.asarray((both / np.maximum(alone, 1e-12)).clip(0.0, 1.0))


def _ridge(x: Array, y: Array, weight: Array) -> tuple[Array, Array]:
    """Weights [F, K] and constants [K] of a ridge regression, by its normal equations.

    The same steps as scikit-learn's `Ridge` with `solver="cholesky"`, to the last bit, without the
    second or two that loading it takes. With fewer rows than features the equations of the rows are
    the smaller ones.
    """
    # Imported here: the command line should not wait for it.
    from scipy.linalg import solve

    centre, level = np.average(x, axis=0, weights=weight), np.average(y, axis=0, weights=weight)
    root = np.sqrt(weight)[:, None]
    x, y = (x - centre) * root, (y - level) * root
    wide = x.shape[1] > x.shape[0]
    gram = x @ x.T if wide else x.T @ x
    gram.flat[:: len(gram) + 1] += RIDGE
    found = solve(gram, y if wide else x.T @ y, assume_a="pos", check_finite=False)
    weights = x.T @ found if wide else found
    return np.asarray(weights), np.asarray(level - centre @ weights)


@cache
def _one_thread() -> Any:
    """Holds linear algebra to one thread, so that sums have one order whatever the machine.

    It looks once at the libraries that are loaded, so that of scipy is loaded before.
    """
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _weighted_quantiles(errors: Array, weight: Array) -> Array:
    """Quantiles of the errors of each hour and its two neighbours, shape [Q, REACH_H]."""
    padded = np.pad(errors, ((0, 0), (1, 1)), mode="edge")
    pooled = np.concatenate([padded[:, k : k + REACH_H] for k in range(3)])
    order = np.argsort(pooled, axis=0, kind="stable")
    rising = np.take_along_axis(pooled, order, axis=0)
    each = np.tile(weight, 3)[order]
    share = np.cumsum(each, axis=0)
    share = (share - each / 2.0) / share[-1]
    columns = [np.interp(QUANTILES, share[:, k], rising[:, k]) for k in range(errors.shape[1])]
    return np.stack(columns, axis=1)
