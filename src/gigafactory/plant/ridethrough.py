"""Voltage dips: when a site rides through, when it leaves the grid, when it may come back.

Each fault on the grid is a dip of the voltage. While the voltage is low the uninterruptible
supplies carry the work. A dip that is deep or long makes the site transfer to them; it comes back a
delay after the voltage is sound. A counter of dips stands behind it all: after so many within a
window the site stays away until somebody looks (*locked out*).

That counter is what makes a big site dangerous to the grid: on 10 July 2024 six faults in 82 s made
about 1,500 MW of data-centre load leave the grid by itself (NERC incident review, January 2025;
that transfer counters were the cause is not verified).

A pure state machine over a table of dips. What a state means for power is the responder's: away
from the grid is a trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem, outside


class Ride(IntEnum):
    """Where a site stands."""

    NORMAL = 0
    RIDING = 1  # the voltage is low, the supplies carry the work, the site stays connected
    AWAY = 2  # transferred to the supplies
    WAITING = 3  # the voltage is sound, the delay before coming back runs
    LOCKED_OUT = 4  # too many dips: stays away until released


@dataclass(frozen=True, slots=True)
class Dip:
    """One fault as the site sees it.

    Attributes:
        start_s: when it begins, in seconds of the run.
        lasts_s: how long.
        voltage_ratio: what is left of the nominal voltage, 0 to 1.
    """

    start_s: float
    lasts_s: float
    voltage_ratio: float


@dataclass(frozen=True, slots=True)
class RideRules:
    """When a site leaves and comes back. All are assumptions, to be set from its protection.

    Attributes:
        low_ratio: below this share of the nominal voltage a dip counts.
        deep_ratio: below this the site transfers at once.
        ride_s: a shallower dip is ridden through for so long, then the site transfers.
        reconnect_s: the voltage must have been sound for so long before it comes back.
        count: after so many dips within the window it is locked out.
        window_s: the window.
        locked_s: it is released so long after the last dip; infinite is by hand only.
    """

    low_ratio: float = 0.9
    deep_ratio: float = 0.15
    ride_s: float = 0.25
    reconnect_s: float = 10.0
    count: int = 3
    window_s: float = 60.0
    locked_s: float = float("inf")

    def __post_init__(self) -> None:
        bounds = {
            "low_ratio": (0.0, 1.0),
            "deep_ratio": (0.0, self.low_ratio),
            "ride_s": (0.0, 600.0),
            "reconnect_s": (0.0, 86_400.0),
            "count": (1, 10**6),
            "window_s": (0.0, 86_400.0),
            "locked_s": (0.0, float("inf")),
        }
        problems = outside("ride", self, **bounds)
        if problems:
            raise BadInput(problems)


@dataclass(frozen=True, slots=True)
class Change:
    """The site goes into a state.

    Attributes:
        at_s: when.
        state: which.
        count: dips within the window at that moment, this one included.
    """

    at_s: float
    state: Ride
    count: int


def ride(rules: RideRules, dips: Sequence[Dip]) -> list[Change]:
    """Follow a site through a table of dips.

    Args:
        rules: when it leaves and comes back.
        dips: in order of their begin, not overlapping.

    Returns:
        Every change of state, in order; the first is `Ride.NORMAL` at minus infinity.

    Raises:
        BadInput: all problems of the table.
    """
    _check(dips)
    changes = [Change(float("-inf"), Ride.NORMAL, 0)]
    counted: list[float] = []
    wakes_s = float("inf")
    for dip in dips:
        if wakes_s <= dip.start_s:
            changes.append(Change(wakes_s, Ride.NORMAL, 0))
            wakes_s = float("inf")
        if dip.voltage_ratio >= rules.low_ratio:
            continue
        counted = [t for t in counted if dip.start_s - t <= rules.window_s] + [dip.start_s]
        wakes_s = _meet(rules, changes, dip, len(counted))
    if wakes_s < float("inf"):
        changes.append(Change(wakes_s, Ride.NORMAL, 0))
    return changes


def away(changes: Sequence[Change], length_s: float, step_s: float = 1.0) -> npt.NDArray[np.bool_]:
    """The steps in which a site is off the grid for any part, as the responder's trips.

    Args:
        changes: from `ride`.
        length_s: how long, from second 0.
        step_s: length of a step.

    Returns:
        bool, shape [length_s / step_s]; riding through is not away.
    """
    count = round(length_s / step_s)
    off = np.zeros(count, np.bool_)
    until = [*(change.at_s for change in changes[1:]), float("inf")]
    for change, end_s in zip(changes, until, strict=True):
        if change.state in (Ride.AWAY, Ride.WAITING, Ride.LOCKED_OUT) and end_s > change.at_s:
            first = int(np.floor(np.clip(change.at_s / step_s, 0.0, count)))
            last = int(np.ceil(np.clip(end_s / step_s, 0.0, count)))
            off[first:last] = True
    return off


def _meet(rules: RideRules, changes: list[Change], dip: Dip, count: int) -> float:
    """Take one dip; return when the site is back if nothing else happens."""
    state, end_s = changes[-1].state, dip.start_s + dip.lasts_s
    if state is Ride.LOCKED_OUT:
        return end_s + rules.locked_s
    if count >= rules.count:
        changes.append(Change(dip.start_s, Ride.LOCKED_OUT, count))
        return end_s + rules.locked_s
    leaves_s = dip.start_s
    if state is Ride.NORMAL and dip.voltage_ratio >= rules.deep_ratio:
        changes.append(Change(dip.start_s, Ride.RIDING, count))
        if dip.lasts_s <= rules.ride_s:
            changes.append(Change(end_s, Ride.NORMAL, count))
            return float("inf")
        leaves_s = dip.start_s + rules.ride_s
    changes.append(Change(leaves_s, Ride.AWAY, count))
    changes.append(Change(end_s, Ride.WAITING, count))
    return end_s + rules.reconnect_s


def _check(dips: Sequence[Dip]) -> None:
    problems, before_s = [], float("-inf")
    for k, dip in enumerate(dips):
        where = f"dips, row {k + 1}"
        if not (0.0 <= dip.lasts_s <= 3600.0):
            problems.append(Problem(where, "lasts_s", str(dip.lasts_s), "must be from 0 to 3600"))
        if not (0.0 <= dip.voltage_ratio <= 2.0):
            why = "must be from 0 to 2, a share of the nominal voltage"
            problems.append(Problem(where, "voltage_ratio", str(dip.voltage_ratio), why))
        if not (before_s <= dip.start_s < float("inf")):
            why = "must not begin before the dip in the row above is over"
            problems.append(Problem(where, "start_s", str(dip.start_s), why))
        before_s = dip.start_s + dip.lasts_s
    if problems:
        raise BadInput(problems)
