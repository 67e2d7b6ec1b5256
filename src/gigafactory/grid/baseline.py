"""Baselines, and the proof that flexibility was delivered against one.

What would have been drawn without the activation cannot be metered. Each method below gives a guess
by a rule that both sides can compute; which one a contract names is for the contract. Delivered is
baseline less metered for up (draw less), metered less baseline for down.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.grid.calendar import MarketCalendar
from gigafactory.grid.checking import checked
from gigafactory.grid.ports import Direction
from gigafactory.grid.settlement import undelivered_mwh

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

#: From Saturday on.
_WEEKEND = 5


def last_metered_mw(metered_mw: npt.ArrayLike, activated: Flags) -> Array:
    """Baseline that holds what was metered last before each activation, MW, shape [P].

    The rule of short, unforeseen activations; the longer one lasts, the worse the guess.

    Args:
        metered_mw: mean power per period, MW, shape [P].
        activated: periods under activation, shape [P].

    Returns:
        In activated periods the last value before; elsewhere what was metered.

    Raises:
        BadInput: the first period is activated (nothing was metered before), unlike lengths.
    """
    metered = checked("baseline", {"metered_mw": metered_mw}, periods=len(activated))["metered_mw"]
    if len(activated) and activated[0]:
        why = "the first period is activated: nothing was metered before it"
        raise refuse("baseline", "activated", 0, why)
    free = np.where(activated, 0, np.arange(len(activated)))
    return metered[np.maximum.accumulate(free)]


def similar_days_mw(
    metered_mw: npt.ArrayLike,
    activated: Flags,
    calendar: MarketCalendar,
    *,
    days: int = 5,
    holidays: Collection[dt.date] = (),
) -> Array:
    """Baseline that is the mean of the last similar days at the same local time, MW, shape [P].

    Similar to a working day are working days, to a weekend day or holiday the other ones. A day
    counts only with periods that were not activated themselves; an hour that a day lacks (spring)
    is taken from an earlier day, one it has twice (autumn) counts with its mean.

    Args:
        metered_mw: mean power per period, MW, shape [P].
        activated: periods under activation, shape [P].
        calendar: the market periods.
        days: how many similar days are averaged, 1 or more.
        holidays: local dates that are no working days.

    Returns:
        In activated periods the mean; elsewhere what was metered.

    Raises:
        BadInput: periods with fewer similar days before them than asked; every day is told.
    """
    metered = checked("baseline", {"metered_mw": metered_mw}, periods=calendar.periods)[
        "metered_mw"
    ]
    if days < 1:
        raise refuse("baseline", "days", days, "must be 1 or more")
    steps = np.rint(calendar.local_hour * 3600.0 / calendar.period_s).astype(np.int64)
    shape = (calendar.days, int(steps.max()) + 1)
    free = ~activated
    total, count = np.zeros(shape), np.zeros(shape)
    np.add.at(total, (calendar.day_of[free], steps[free]), metered[free])
    np.add.at(count, (calendar.day_of[free], steps[free]), 1.0)
    working = np.array(
        [date.weekday() < _WEEKEND and date not in holidays for date in calendar.local_dates]
    )
    baseline = metered.copy()
    short: dict[dt.date, int] = {}
    for p in np.flatnonzero(activated):
        day, step = int(calendar.day_of[p]), int(steps[p])
        usable = (working[:day] == working[day]) & (count[:day, step] > 0.0)
        last = np.flatnonzero(usable)[-days:]
        if len(last) < days:
            short[calendar.local_dates[day]] = len(last)
            continue
        baseline[p] = float((total[last, step] / count[last, step]).mean())
    if short:
        raise BadInput(
            Problem("baseline", str(date), str(n), f"needs {days} similar days before it")
            for date, n in short.items()
        )
    return baseline


def schedule_mw(schedule: npt.ArrayLike, metered_mw: npt.ArrayLike, activated: Flags) -> Array:
    """Baseline that is the party's own schedule, handed in before, MW, shape [P].

    Args:
        schedule: power planned for each period, MW, shape [P].
        metered_mw: mean power per period, MW, shape [P].
        activated: periods under activation, shape [P].

    Returns:
        In activated periods the schedule; elsewhere what was metered.

    Raises:
        BadInput: unlike lengths, values that are not finite or negative.
    """
    given = {"schedule": schedule, "metered_mw": metered_mw}
    of = checked("baseline", given, periods=len(activated))
    return np.where(activated, of["schedule"], of["metered_mw"])


@dataclass(frozen=True, slots=True, eq=False)
class Proof:
    """What was delivered of what was asked, per period, shape [P].

    Attributes:
        asked_mwh: energy asked, MWh.
        delivered_mwh: energy delivered in the direction asked, MWh; negative the other way.
        undelivered_mwh: energy missing, MWh; 0 within the tolerance.
    """

    asked_mwh: Array
    delivered_mwh: Array
    undelivered_mwh: Array

    @property
    def met(self) -> Flags:
        """Periods in which what was asked was delivered, within the tolerance, shape [P]."""
        return np.asarray(self.undelivered_mwh <= 0.0)


def prove(
    direction: Direction,
    *,
    baseline_mw: npt.ArrayLike,
    metered_mw: npt.ArrayLike,
    asked_mw: npt.ArrayLike,
    hours: npt.ArrayLike,
    tolerance_share: float = 0.0,
) -> Proof:
    """Prove delivery against a baseline.

    Args:
        direction: up (draw less than the baseline) or down (draw more).
        baseline_mw: of one of the methods of this module, MW, shape [P].
        metered_mw: mean power per period, MW, shape [P].
        asked_mw: power asked, MW, 0 or more, shape [P].
        hours: length of each period, h, shape [P] or one number.
        tolerance_share: share of what was asked that may be missing without counting, 0..1.

    Raises:
        BadInput: a symmetric direction, unlike lengths, values not finite or negative.
    """
    if direction is Direction.SYMMETRIC:
        raise refuse("delivery", "direction", direction, "is proved up and down apart")
    of = checked(
        "delivery",
        {
            "baseline_mw": baseline_mw,
            "metered_mw": metered_mw,
            "asked_mw": asked_mw,
            "hours": hours,
            "tolerance_share": tolerance_share,
        },
        shares=("tolerance_share",),
    )
    shed = (of["baseline_mw"] - of["metered_mw"]) * of["hours"]
    delivered = shed if direction is Direction.UP else -shed
    asked = of["asked_mw"] * of["hours"]
    return Proof(asked, delivered, undelivered_mwh(asked, delivered, tolerance_share))
