"""Fresh water under caps, period by period and without looking ahead.

`gigafactory.plant.cooling.cooling_year` gives water to who comes first and knows the whole year.
Here the present is all that is known: what was taken so far, the weather of this period, and what a
usual season needs. Two rules:

* **the cap**: a period that at full load could overrun a cap of its span is cooled dry, in whole,
  so no cap is ever passed, whatever the load turns out to be;
* **the season**: each day, where less is left than a usual rest of the span needs, water is kept
  for the hours in which going without costs most power: the hottest, in which the connection may
  be full as well. Hours in which it costs less than in the last hour that can be served go dry.

Energy saved per cubic metre would be the other measure. With towers it gives the same order, since
they take about as much water in every hour; with wetted pads it hardly differs from hour to hour,
and would leave the peaks to chance.

Usual needs come from weather that nobody's run has (`UsualNeed`), never from the run's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Kept below a cap, mL: a meter counts whole units and carries what is left to the next reading.
_METER_ML = 2


@dataclass(frozen=True, slots=True, eq=False)
class UsualNeed:
    """What a usual year needs of water, in hours that need any, dearest first.

    Attributes:
        day: number of the day in the year of each hour, from 0, [H].
        need_ml: water of the hour in one year, mL, [H]; of several years the mean.
        relief_share: power that water saves in it, as a share of IT power, not rising, [H].
    """

    day: Ints
    need_ml: Array
    relief_share: Array

    @classmethod
    def of(cls, day: Ints, need_ml: Array, relief_share: Array) -> UsualNeed:
        """Hours in any order; those without need are left out."""
        some = np.flatnonzero(need_ml > 0.0)
        order = some[np.argsort(-relief_share[some], kind="stable")]
        return cls(day[order], need_ml[order], relief_share[order])

    def threshold_share(self, first: int, last: int, left_ml: float) -> float:
        """Relief below which water is kept, from a day to another (both in), with so much left.

        Returns:
            The relief of the last hour that can still be served; minus infinity when all can.
        """
        ahead = (self.day >= first) & (self.day <= last)
        wanted = np.cumsum(self.need_ml[ahead])
        if not len(wanted) or wanted[-1] <= left_ml:
            return -math.inf
        return float(self.relief_share[ahead][int(np.searchsorted(wanted, left_ml, "right"))])


@dataclass(frozen=True, slots=True, eq=False)
class RunCap:
    """A cap on water in a run.

    Attributes:
        name: "year", "month" or "day".
        most_ml: in each span, mL.
        span: number of the span of each period, [P].
        last_day: last day of the span, as a number in the year from 0, [P].
        kept: whether water is kept for later in the span; in a day it is not.
    """

    name: str
    most_ml: int
    span: Ints
    last_day: Ints
    kept: bool = True


@dataclass(slots=True, eq=False)
class WaterGuard:
    """Decides at the beginning of each period whether the plant may use water.

    Attributes:
        caps: what must hold, all of them.
        run_day: number of the local day of the run of each period, [P].
        year_day: its number in the year, from 0, [P].
        most_ml: water of each period at full load, mL, [P].
        relief_share: power that water saves in each period at full load, share of IT power, [P].
        usual: what a usual year needs.
        used_ml: taken in the span at hand, per cap.
        span: the span at hand, per cap.
    """

    caps: tuple[RunCap, ...]
    run_day: Ints
    year_day: Ints
    most_ml: Array
    relief_share: Array
    usual: UsualNeed
    used_ml: list[int] = field(default_factory=list)
    span: list[int] = field(default_factory=list)
    _day: int = -1
    _threshold_share: float = -math.inf
    _period: int = -1
    _dry: bool = False

    def __post_init__(self) -> None:
        self.used_ml = self.used_ml or [0] * len(self.caps)
        self.span = self.span or [-1] * len(self.caps)

    def dry(self, period: int) -> bool:
        """Whether a period is cooled without water, decided once at its beginning."""
        if period != self._period:
            self._turn(period)
            self._period = period
            wanted = float(self.most_ml[period])
            over = any(
                used + wanted + _METER_ML > cap.most_ml
                for used, cap in zip(self.used_ml, self.caps, strict=True)
            )
            poor = float(self.relief_share[period]) < self._threshold_share
            self._dry = wanted > 0.0 and (over or poor)
        return self._dry

    def take(self, water_ml: int) -> None:
        """Count what the meter read in the period at hand."""
        self.used_ml = [used + water_ml for used in self.used_ml]

    def _turn(self, period: int) -> None:
        """Begin new spans, and each day weigh what is left against what is usually needed."""
        for c, cap in enumerate(self.caps):
            if cap.span[period] != self.span[c]:
                self.span[c], self.used_ml[c] = int(cap.span[period]), 0
        if int(self.run_day[period]) != self._day:
            self._day = int(self.run_day[period])
            self._threshold_share = max(
                (
                    self.usual.threshold_share(
                        int(self.year_day[period]), int(cap.last_day[period]), cap.most_ml - used
                    )
                    for cap, used in zip(self.caps, self.used_ml, strict=True)
                    if cap.kept
                ),
                default=-math.inf,
            )


__all__ = ["RunCap", "UsualNeed", "WaterGuard"]
