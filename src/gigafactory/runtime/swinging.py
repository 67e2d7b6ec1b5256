"""Swings of the largest synchronous training that runs, and what storage leaves of them.

A minute at tenths of a second, at the end of a stress day. The shape is a construction from
parameters (`plant.swings`), its size that of a gang in the scheduler.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gigafactory.jobs import JobClass
from gigafactory.kernel import JobState
from gigafactory.planner import ResponsePlant
from gigafactory.plant.swings import STEP_S, Smoother, SwingShape, smooth, steepest_mw_per_s, swings
from gigafactory.runtime.hands import Hand

FRONTIER: Final = int(JobClass.FRONTIER_TRAINING)
#: Power in the dip of the all-reduce and while a checkpoint is written, as shares of that at work;
#: our assumption: accelerators that wait draw about two fifths, and less while they only write.
DIP_RATIO, CHECKPOINT_RATIO = 0.4, 0.25
#: The window shown, the time run before it, and a checkpoint at its begin, s.
WINDOW_S, LEAD_S, CHECKPOINT_S = 60.0, 60.0, 10.0


def swing(hands: list[Hand], factor: float, plant: ResponsePlant) -> dict[str, Any] | None:
    """The swing of the largest frontier gang that runs now; None where none does.

    Args:
        hands: the pools of a site.
        factor: site MW per IT MW above rest.
        plant: whose supplies, or else battery, smooth it, under ramp etiquette.

    Returns:
        Peak to peak and steepest ramp before and after, in MW and MW/s, and how often the storage
        was too small.
    """
    width, above_mw = 0, 0.0
    for hand in hands:
        state = hand.kernel.state
        mine = (state.job["state"] == int(JobState.RUNNING)) & (state.ask["group"] == FRONTIER)
        most = int(state.job["width"][mine].max(initial=0))
        if most > width:
            idle_mw = hand.kernel.spec.idle_power_mw / 1e9
            width, above_mw = most, most * (float(hand.above_now_mw[FRONTIER]) + idle_mw) * factor
    storage = _storage(plant)
    if not width or storage is None:
        return None
    name, smoother = storage
    shape = SwingShape(
        above_mw,
        DIP_RATIO * above_mw,
        CHECKPOINT_RATIO * above_mw,
        every_s=LEAD_S,
        checkpoint_s=CHECKPOINT_S,
    )
    load = swings(shape, LEAD_S + WINDOW_S)
    done = smooth(smoother, load)
    part = slice(round(LEAD_S / STEP_S), None)
    return {
        "accelerators": width,
        "work_mw": above_mw,
        "window_s": WINDOW_S,
        "storage": name,
        "ramp_allowed_mw_per_s": smoother.ramp_mw_per_s,
        "before": {
            "peak_to_peak_mw": float(np.ptp(load[part])),
            "steepest_mw_per_s": steepest_mw_per_s(load[part]),
        },
        "after": {
            "peak_to_peak_mw": float(np.ptp(done.grid_mw[part])),
            "steepest_mw_per_s": steepest_mw_per_s(done.grid_mw[part]),
        },
        "stored_mwh_used": float(np.ptp(done.stored_mwh[part])),
        "broken_steps": int(done.broken[part].sum()),
    }


def _storage(plant: ResponsePlant) -> tuple[str, Smoother] | None:
    """What smooths: the supplies, and without them the battery; None without either."""
    ramp = max(plant.ramp_mw_per_s, 1e-6)
    if plant.ups_mw > 0.0 and plant.ups_s > 0.0:
        return "supplies", Smoother(plant.ups_mw, plant.ups_mw * plant.ups_s / 3600.0, ramp)
    b = plant.battery
    if b.power_mw > 0.0:
        return "battery", Smoother(b.power_mw, b.soc_max_mwh - b.soc_min_mwh, ramp)
    return None


__all__ = ["swing"]
