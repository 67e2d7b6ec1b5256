"""What a response was worth: how much of it was delivered in time, and what it cost in promises.

A pure function of a plant and a trajectory. Seconds without a connection count for nothing: in a
trip no reserve can be delivered, and they are told apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gigafactory.kernel.sitestate import REASONS
from gigafactory.planner.balancing import (
    TOLERANCE,
    ResponsePlant,
    Seconds,
    Trajectory,
    see_ahead,
)

__all__ = ["REASONS", "Delivery", "corridor", "summarise"]

Array = npt.NDArray[np.float64]
_S_PER_H = 3600.0
#: What a site follows while a setpoint is refused: the last valid one for `Afrr.hold_s`, then none.
HELD, SCHEDULE = "last valid setpoint", "schedule"


@dataclass(frozen=True, slots=True)
class Delivery:
    """The account of one trajectory.

    Attributes:
        fcr_measured_s: connected seconds in which the frequency was measured.
        fcr_within_share: share of them in which FCR was within `TOLERANCE` of what it owed; 1 where
            there are none.
        fcr_worst_mw: the largest miss.
        afrr_connected_s: connected seconds.
        afrr_within_share: share of them in which aFRR lay within its corridor (`corridor`).
        afrr_worst_mw: how far it ever lay outside.
        fcr_up_mwh: energy of FCR, upward.
        fcr_down_mwh: the same, downward.
        afrr_up_mwh: energy of aFRR, upward.
        afrr_down_mwh: the same, downward.
        soc_min_mwh: least energy in the battery.
        soc_max_mwh: most.
        outside_reserve_s: time in which the battery was outside the band it keeps for FCR.
        refusals: number of setpoints refused, by reason.
        fallback_s: connected time in which the newest setpoint was refused, by what was followed
            instead: `HELD`, then `SCHEDULE`.
        excess_mw_s: MWs beyond flexibility contracts, by class.
        shortfall_mw_s: MWs that no one could shed.
        import_mw_max: highest import, shortfall left out.
        off_s: time without a connection.
    """

    fcr_measured_s: float
    fcr_within_share: float
    fcr_worst_mw: float
    afrr_connected_s: float
    afrr_within_share: float
    afrr_worst_mw: float
    fcr_up_mwh: float
    fcr_down_mwh: float
    afrr_up_mwh: float
    afrr_down_mwh: float
    soc_min_mwh: float
    soc_max_mwh: float
    outside_reserve_s: float
    refusals: Mapping[str, int]
    fallback_s: Mapping[str, float]
    excess_mw_s: Mapping[str, float]
    shortfall_mw_s: float
    import_mw_max: float
    off_s: float


def corridor(
    plant: ResponsePlant, setpoint_mw: Array, before_mw: float = 0.0
) -> tuple[Array, Array]:
    """Between what aFRR may lie: the lowest and highest setpoint of the last `Afrr.full_s`.

    A setpoint that stands still for that long leaves no room but the setpoint itself.

    Args:
        plant: the site.
        setpoint_mw: setpoint in force, shape [N].
        before_mw: setpoint before the first step.

    Returns:
        (lowest, highest), MW, each of shape [N].
    """
    steps = round(plant.afrr.full_s / plant.dt_s)
    whole = np.concatenate([np.full(steps, before_mw), setpoint_mw])
    count = len(setpoint_mw)
    return see_ahead(whole, steps)[:count], -see_ahead(-whole, steps)[:count]


def summarise(plant: ResponsePlant, seconds: Seconds, done: Trajectory) -> Delivery:
    """Account for a trajectory.

    Args:
        plant: the site.
        seconds: what was given.
        done: what happened.
    """
    dt_s, h = plant.dt_s, plant.dt_s / _S_PER_H
    on = np.broadcast_to(~np.asarray(seconds.trip, dtype=np.bool_), done.grid_mw.shape)
    measured = on & np.isfinite(done.fcr_due_mw)
    miss = np.abs(done.fcr_mw - done.fcr_due_mw)[measured]
    low, high = corridor(plant, done.setpoint_mw)
    outside = np.maximum(low - done.afrr_mw, done.afrr_mw - high).clip(0.0)[on]
    most = TOLERANCE * max(plant.afrr.up_mw, plant.afrr.down_mw) + 1e-9
    band = plant.reserve_mwh
    beyond = (done.soc_mwh < band[0] - 1e-9) | (done.soc_mwh > band[1] + 1e-9)
    counts = np.bincount(done.reason, minlength=len(REASONS))
    excess = done.beyond_mw.sum(axis=0) * dt_s
    return Delivery(
        fcr_measured_s=float(measured.sum()) * dt_s,
        fcr_within_share=_share(miss <= TOLERANCE * plant.fcr.contracted_mw + 1e-9),
        fcr_worst_mw=float(miss.max(initial=0.0)),
        afrr_connected_s=float(on.sum()) * dt_s,
        afrr_within_share=_share(outside <= most),
        afrr_worst_mw=float(outside.max(initial=0.0)),
        fcr_up_mwh=float(done.fcr_mw.clip(0.0).sum()) * h,
        fcr_down_mwh=float(-done.fcr_mw.clip(None, 0.0).sum()) * h,
        afrr_up_mwh=float(done.afrr_mw.clip(0.0).sum()) * h,
        afrr_down_mwh=float(-done.afrr_mw.clip(None, 0.0).sum()) * h,
        soc_min_mwh=float(done.soc_mwh.min()),
        soc_max_mwh=float(done.soc_mwh.max()),
        outside_reserve_s=float(beyond.sum()) * dt_s,
        refusals={name: int(counts[k]) for k, name in enumerate(REASONS) if k},
        fallback_s=_fallbacks(plant, done, on),
        excess_mw_s={one.name: float(excess[g]) for g, one in enumerate(plant.classes)},
        shortfall_mw_s=float(done.shortfall_mw.sum()) * dt_s,
        import_mw_max=float(done.import_mw.max()),
        off_s=float((~on).sum()) * dt_s,
    )


def _fallbacks(
    plant: ResponsePlant, done: Trajectory, on: npt.NDArray[np.bool_]
) -> dict[str, float]:
    """Time under each fallback, s: a refused setpoint counts until the next one arrives."""
    every, count = round(plant.afrr.every_s / plant.dt_s), len(done.reason)
    step = np.arange(count)
    refused = (done.reason != 0)[step - step % every]
    taken = np.where((step % every == 0) & (done.reason == 0), step, -1)
    last = np.maximum.accumulate(taken)
    # what was in force when the seconds began is known only by its effect
    fresh = (step - last) * plant.dt_s <= plant.afrr.hold_s
    held = np.where(last < 0, done.setpoint_mw != 0.0, fresh)
    return {
        HELD: float((on & refused & held).sum()) * plant.dt_s,
        SCHEDULE: float((on & refused & ~held).sum()) * plant.dt_s,
    }


def _share(right: npt.NDArray[np.bool_]) -> float:
    return float(right.mean()) if len(right) else 1.0
