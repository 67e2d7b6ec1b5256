"""What sensors around the site measured: noise and air, with their gaps left open.

A period without a value is nan and stays nan: nothing is interpolated, and a limit is judged on the
time that was measured alone. So a judgement has three answers: within (it would hold even if every
gap was an exceedance), exceeded (too much was measured), and not shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

JUDGEMENTS: Final = ("within", "exceeded", "not shown")

#: Added to evening (19 to 23 h) and night (23 to 7 h) in Lden (Directive 2002/49/EC, annex I).
_EVENING_DB: Final = 5.0
_NIGHT_DB: Final = 10.0
_EVENING_H: Final = (19.0, 23.0)
_DAY_H: Final = (7.0, 19.0)


@dataclass(frozen=True, slots=True, eq=False)
class Monitored:
    """A measured series; the array is read-only and nan where the sensor gave nothing.

    Attributes:
        name: what is measured, and where ("noise, north fence").
        unit: unit of every value, such as "dB(A)" or "µg/m3".
        values: shape [P].
        hours: length of each period, shape [P].
        source: who measured it, with what.
        year: year of the measurement.
        state: "measured" or "synthetic".
    """

    name: str
    unit: str
    values: Array
    hours: Array
    source: str
    year: int
    state: str = "measured"

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        hours = np.array(np.broadcast_to(np.asarray(self.hours, dtype=np.float64), values.shape))
        problems = []
        if values.ndim != 1 or not len(values):
            why = "needs one value per period, at least one"
            problems.append(Problem(self.name, "values", f"shape {values.shape}", why))
        if np.any(np.isinf(values)):
            why = "must be numbers; a gap is nan, never infinite"
            problems.append(Problem(self.name, "values", "", why))
        if not np.all(np.isfinite(hours)) or np.any(hours <= 0.0):
            problems.append(Problem(self.name, "hours", "", "must be finite and above 0"))
        if self.state not in ("measured", "synthetic"):
            why = "a monitored series is measured or synthetic"
            problems.append(Problem(self.name, "state", self.state, why))
        if problems:
            raise BadInput(problems)
        values.setflags(write=False)
        hours.setflags(write=False)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "hours", hours)

    @property
    def covered(self) -> Flags:
        """Periods with a value, shape [P]."""
        return np.isfinite(self.values)

    @property
    def covered_h(self) -> float:
        """Time with a value, h."""
        return float(self.hours[self.covered].sum())

    @property
    def gap_h(self) -> float:
        """Time without a value, h."""
        return float(self.hours[~self.covered].sum())

    @property
    def covered_share(self) -> float:
        """Share of the time with a value, 0..1."""
        return self.covered_h / float(self.hours.sum())

    @property
    def longest_gap_h(self) -> float:
        """Longest stretch without a value, h."""
        longest = here = 0.0
        for there, length in zip(self.covered.tolist(), self.hours.tolist(), strict=True):
            here = 0.0 if there else here + length
            longest = max(longest, here)
        return longest

    def mean(self) -> float:
        """Mean over the time that was measured, in the unit of the series; nan without a value."""
        there = self.covered
        covered_h = self.covered_h
        if covered_h <= 0.0:
            return math.nan
        return float((self.values[there] * self.hours[there]).sum()) / covered_h


@dataclass(frozen=True, slots=True)
class Exceedance:
    """A limit held against a series.

    Attributes:
        unit: unit of the limit.
        limit: the value that may not be passed.
        exceeded_h: time measured above it, h.
        covered_h: time measured at all, h.
        gap_h: time not measured, h: it is neither within nor above.
        exceeded_share: exceeded over measured time; nan when nothing was measured.
        allowed_h: time the rule lets it be passed, h.
        judgement: one of `JUDGEMENTS`.
    """

    unit: str
    limit: float
    exceeded_h: float
    covered_h: float
    gap_h: float
    exceeded_share: float
    allowed_h: float
    judgement: str


def exceedance(series: Monitored, limit: float, allowed_h: float = 0.0) -> Exceedance:
    """Hold a series against a limit, on measured time only.

    Args:
        series: what was measured.
        limit: value that may not be passed, in the series' unit.
        allowed_h: time for which it may be passed all the same, h.

    Returns:
        The exceedance and its judgement: exceeded when more than the allowed time was measured
        above; within when that is impossible even with every gap above; not shown otherwise.

    Raises:
        BadInput: a limit that is not finite or an allowed time below zero.
    """
    problems = []
    if not math.isfinite(limit):
        problems.append(Problem(series.name, "limit", str(limit), "must be a finite number"))
    if not (math.isfinite(allowed_h) and allowed_h >= 0.0):
        problems.append(Problem(series.name, "allowed_h", str(allowed_h), "must be 0 or more"))
    if problems:
        raise BadInput(problems)
    above = series.covered & (np.nan_to_num(series.values, nan=-np.inf) > limit)
    exceeded = float(series.hours[above].sum())
    covered, gap = series.covered_h, series.gap_h
    if exceeded > allowed_h:
        judgement = "exceeded"
    else:
        judgement = "within" if exceeded + gap <= allowed_h or gap == 0.0 else "not shown"
    return Exceedance(
        unit=series.unit,
        limit=limit,
        exceeded_h=exceeded,
        covered_h=covered,
        gap_h=gap,
        exceeded_share=exceeded / covered if covered > 0.0 else math.nan,
        allowed_h=allowed_h,
        judgement=judgement,
    )


def level_db(series: Monitored) -> float:
    """Equivalent sound level over the time measured, dB: the mean of energy, not of decibels.

    10 log10(mean of 10^(L/10)); nan without a value.
    """
    return _energy_mean_db(series.values, series.hours, series.covered)


def lden_db(series: Monitored, local_hour: npt.ArrayLike) -> float:
    """Day-evening-night level, dB, over the time measured.

    Weighted by 12 h of day (7 to 19), 4 of evening (19 to 23, 5 dB more) and 8 of night (23 to 7,
    10 dB more), as Directive 2002/49/EC, annex I says (from memory; look it up before it decides).

    Args:
        series: sound level in dB(A).
        local_hour: hour of the day at which each period begins on the clock, 0 to 24, shape [P].

    Returns:
        The level; nan when one of the three parts was not measured at all.
    """
    hour = np.asarray(local_hour, dtype=np.float64)
    assert hour.shape == series.values.shape, "one hour per period"
    day = (hour >= _DAY_H[0]) & (hour < _DAY_H[1])
    evening = (hour >= _EVENING_H[0]) & (hour < _EVENING_H[1])
    total = 0.0
    for part, share, extra in (
        (day, 12.0 / 24.0, 0.0),
        (evening, 4.0 / 24.0, _EVENING_DB),
        (~day & ~evening, 8.0 / 24.0, _NIGHT_DB),
    ):
        here = _energy_mean_db(series.values, series.hours, series.covered & part)
        if math.isnan(here):
            return math.nan
        total += share * 10.0 ** ((here + extra) / 10.0)
    return 10.0 * math.log10(total)


def _energy_mean_db(values: Array, hours: Array, part: Flags) -> float:
    span = float(hours[part].sum())
    if span <= 0.0:
        return math.nan
    energy = float((10.0 ** (values[part] / 10.0) * hours[part]).sum())
    return 10.0 * math.log10(energy / span)
