"""What a battery keeps for reserves that are sold: a band of power, and energy both ways.

What was sold is given, so in the plan of a day and in the offer at the gate it is bounds, not
columns: the programmes keep their matrices, and promising twice is not possible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gigafactory.planner.numbers import Numbers
from gigafactory.planner.shape import ReserveShape, SiteShape

Array = npt.NDArray[np.float64]

#: Kept off a bound that can only just be reached, MWh, so that rounding finds no contradiction.
_HAIR_MWH = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Promise:
    """Reserves sold over T steps, MW, each of shape [T].

    Attributes:
        fcr_mw: FCR.
        up_mw: aFRR up that the battery carries.
        load_mw: aFRR up that work carries.
        down_mw: aFRR down, which the battery carries.
    """

    fcr_mw: Array
    up_mw: Array
    load_mw: Array
    down_mw: Array

    @classmethod
    def none(cls, steps: int) -> Promise:
        """Nothing sold."""
        return cls(*(np.zeros(steps) for _ in range(4)))

    @property
    def anything(self) -> bool:
        """Whether anything is sold in any step."""
        return any(bool(a.any()) for a in (self.fcr_mw, self.up_mw, self.load_mw, self.down_mw))

    def over(self, step: npt.NDArray[np.int64] | slice) -> Promise:
        """The promise of some steps, in their order."""
        return Promise(self.fcr_mw[step], self.up_mw[step], self.load_mw[step], self.down_mw[step])


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """What is left beside a promise, over T steps, each of shape [T].

    Attributes:
        charge_mw: most that may be charged.
        discharge_mw: most that may be discharged.
        soc_low_mwh: least energy at the end of each step, above the battery's lower bound.
        soc_high_mwh: most.
        import_mw: room kept below the import limit: what was sold downwards, as far as the expected
            load leaves it. Work is not slowed for it: an hour of it is worth more than any reserve.
        export_mw: room kept below the export limit.
    """

    charge_mw: Array
    discharge_mw: Array
    soc_low_mwh: Array
    soc_high_mwh: Array
    import_mw: Array
    export_mw: Array

    def into(self, x: Numbers) -> None:
        """Put the bounds into the numbers of a programme whose export limit stands in them already.

        The import limit is for the caller to lower: more than the programme looks at it.
        """
        x.charge_mw, x.discharge_mw = self.charge_mw, self.discharge_mw
        x.soc_low_mwh, x.soc_high_mwh = self.soc_low_mwh, self.soc_high_mwh
        x.export_mw = np.maximum(x.export_mw - self.export_mw, 0.0)


def reservoir_mwh(shape: SiteShape, promise: Promise) -> tuple[Array, Array]:
    """Energy a promise keeps in the battery, and space it keeps free, at the end of each step, MWh.

    FCR of the next step is there when that step begins.
    """
    r = shape.reserves or ReserveShape()
    ahead = np.maximum(promise.fcr_mw, np.append(promise.fcr_mw[1:], 0.0))
    low = ahead * r.fcr_reservoir_h + promise.up_mw * r.afrr_reservoir_h
    high = ahead * r.fcr_reservoir_h + promise.down_mw * r.afrr_reservoir_h
    return low / shape.discharge_efficiency, high * shape.charge_efficiency


def band_of(
    shape: SiteShape, promise: Promise, hours: Array, soc_mwh: float, room_mw: Array
) -> Band:
    """The band of a promise, from the energy that is there now.

    Where the reservoir is not full yet, the bound rises as fast as the battery can be brought there
    and no faster: a plan that cannot exist helps nobody. What is lacking until then is metered.

    Args:
        shape: the site.
        promise: what is sold.
        hours: length of each step, h, [T].
        soc_mwh: energy at the beginning, above the lower bound.
        room_mw: what the connection leaves for charging beside the expected load, [T].
    """
    power = shape.battery_mw
    charge = np.maximum(power - promise.fcr_mw - promise.down_mw, 0.0)
    discharge = np.maximum(power - promise.fcr_mw - promise.up_mw, 0.0)
    down, up = promise.fcr_mw + promise.down_mw, promise.fcr_mw + promise.up_mw + promise.load_mw
    low, space = reservoir_mwh(shape, promise)
    high = shape.battery_mwh - space
    filling = np.clip(room_mw - down, 0.0, charge) * hours * shape.charge_efficiency
    emptying = discharge * hours / shape.discharge_efficiency
    level_up, level_down = soc_mwh, soc_mwh
    for t in range(len(hours)):
        # the level reached when all is done to get into the band, step by step
        level_up = max(min(level_up + filling[t], high[t]), 0.0)
        low[t] = max(min(low[t], level_up - _HAIR_MWH), 0.0)
        level_down = max(level_down - emptying[t], low[t])
        high[t] = max(high[t], level_down + _HAIR_MWH)
        level_up = max(level_up, level_down)
    high = np.minimum(high, shape.battery_mwh)
    kept = np.minimum(down, np.maximum(room_mw, 0.0))
    return Band(charge, discharge, np.minimum(low, high), high, kept, up)


__all__ = ["Band", "Promise", "band_of", "reservoir_mwh"]
