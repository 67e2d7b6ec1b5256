"""Ramp etiquette: scheduled power changes no faster than a share of capacity per minute.

TenneT asked balance responsible parties and connected parties to limit control speed to 20 % of
maximum capacity per minute (reported at frankenergie.nl). It holds for moves by schedule and for
the market's sake; FCR, aFRR within its full activation time, binding limits and trips are exempt.

A run moves in quarters of an hour and knows the mean of each. Two things follow. A move that is
ordered begins with its quarter and is stretched from there, so the quarter's mean lies between the
power before and the power ordered (`ramped_mw`). And what was metered is held against the rule at
every edge between two quarters (`edges`), the worst case taken: as if the means met at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def ramped_mw(before_mw: float, wanted_mw: float, rate_mw_per_min: float, minutes: float) -> float:
    """Mean power of a period in which power moves from what it was to what is wanted.

    Args:
        before_mw: power when the period begins, MW.
        wanted_mw: power ordered, MW.
        rate_mw_per_min: fastest change, MW per minute, above 0.
        minutes: length of the period.
    """
    step = wanted_mw - before_mw
    takes = abs(step) / rate_mw_per_min
    if takes <= minutes:
        return wanted_mw - step * takes / (2.0 * minutes)
    return before_mw + math.copysign(rate_mw_per_min * minutes / 2.0, step)


def reached_mw(before_mw: float, wanted_mw: float, rate_mw_per_min: float, minutes: float) -> float:
    """Power at the end of such a period, MW (arguments as for `ramped_mw`)."""
    most = rate_mw_per_min * minutes
    return before_mw + min(max(wanted_mw - before_mw, -most), most)


@dataclass(frozen=True, slots=True)
class Edges:
    """How metered power moved at the edges between periods.

    Attributes:
        edges: edges looked at, those that are exempt included.
        exempt: edges at which a binding limit began, ended or changed.
        stretched: other edges whose step takes more than a minute at the allowed speed.
        longest_min: minutes the longest of these takes.
        step_mw_max: largest step that is not exempt, MW.
    """

    edges: int
    exempt: int
    stretched: int
    longest_min: float
    step_mw_max: float


def edges(power_mw: Array, rate_mw_per_min: Array, exempt: Flags) -> Edges:
    """Hold metered means against the rule.

    Args:
        power_mw: mean power per period, MW, [P].
        rate_mw_per_min: fastest change allowed in each, MW per minute, above 0, [P].
        exempt: whether the edge at the beginning of a period is exempt, [P].
    """
    step = np.abs(np.diff(power_mw))
    free = ~exempt[1:]
    takes = step / rate_mw_per_min[1:]
    slow = free & (takes > 1.0)
    return Edges(
        edges=len(step),
        exempt=int((~free).sum()),
        stretched=int(slow.sum()),
        longest_min=float(takes[slow].max(initial=0.0)),
        step_mw_max=float(step[free].max(initial=0.0)),
    )
