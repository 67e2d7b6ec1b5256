"""Power swings of synchronous training, at tenths of a second, and what smooths them.

All accelerators of a gang compute together, wait together for the all-reduce, and stop together for
a checkpoint; so a large job's power is a square wave of some hertz or tenths of a hertz. `swings`
draws that shape from its parameters; `smooth` shows how a battery or an uninterruptible supply
keeps the grid from seeing it. The shape is a construction from parameters, not a recording.

Powers in MW; discharge of the storage is positive. NERC's Large Loads Task Force (white paper, July
2025) names ramps from near zero to full in under a second, and sub-synchronous oscillation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem, outside, refuse

Array = npt.NDArray[np.float64]

#: A step is a tenth of a second.
STEP_S: Final = 0.1
_LONGEST_S: Final = 7 * 86_400.0
_S_PER_H: Final = 3600.0


@dataclass(frozen=True, slots=True)
class SwingShape:
    """How a synchronous job's power goes up and down.

    Attributes:
        work_mw: while it computes.
        idle_mw: in the dip of the all-reduce.
        checkpoint_mw: while a checkpoint is written.
        step_s: length of a training step, dip included.
        dip_share: share of the step spent in the dip.
        every_s: from the begin of a checkpoint to that of the next; 0 is no checkpoints.
        checkpoint_s: length of a checkpoint's pause.
        edge_s: time from one level to another, 0 is at once.
    """

    work_mw: float
    idle_mw: float
    checkpoint_mw: float
    step_s: float = 2.0
    dip_share: float = 0.2
    every_s: float = 1800.0
    checkpoint_s: float = 20.0
    edge_s: float = 0.1

    def __post_init__(self) -> None:
        bounds = {
            "work_mw": (0.0, 1e5),
            "idle_mw": (0.0, self.work_mw),
            "checkpoint_mw": (0.0, self.work_mw),
            "step_s": (2 * STEP_S, 600.0),
            "dip_share": (0.0, 0.9),
            "every_s": (0.0, 86_400.0),
            "checkpoint_s": (0.0, 3600.0),
            "edge_s": (0.0, 10.0),
        }
        problems = outside("swings", self, **bounds)
        if 0.0 < self.every_s <= self.checkpoint_s:
            why = f"must be longer than a checkpoint, {self.checkpoint_s:g} s"
            problems.append(Problem("swings", "every_s", str(self.every_s), why))
        if problems:
            raise BadInput(problems)


def swings(shape: SwingShape, length_s: float, random: np.random.Generator | None = None) -> Array:
    """Power of a job by the tenth of a second.

    Args:
        shape: its levels and times.
        length_s: how long.
        random: makes the lengths of steps differ by a twentieth (standard deviation); None makes
            all alike.

    Returns:
        MW, shape [length_s / `STEP_S`].

    Raises:
        BadInput: a length that is negative or longer than a week.
    """
    if not 0.0 < length_s <= _LONGEST_S:
        raise refuse("swings", "length_s", length_s, f"must be from 0 to {_LONGEST_S:g}")
    count = round(length_s / STEP_S)
    at_s = np.arange(count) * STEP_S
    steps = np.full(math.ceil(length_s / shape.step_s * 2) + 2, shape.step_s)
    if random is not None:
        steps *= np.clip(1.0 + 0.05 * random.standard_normal(len(steps)), 0.5, 1.5)
    ends = np.cumsum(steps)
    which = np.searchsorted(ends, at_s, side="right")
    through = (at_s - (ends[which] - steps[which])) / steps[which]
    power = np.where(through < 1.0 - shape.dip_share - 1e-9, shape.work_mw, shape.idle_mw)
    if shape.every_s > 0.0:
        pausing = (at_s >= shape.every_s) & (at_s % shape.every_s < shape.checkpoint_s - 1e-9)
        power = np.where(pausing, shape.checkpoint_mw, power)
    return _edged(power, shape)


def _edged(power_mw: Array, shape: SwingShape) -> Array:
    """Let the power move between its levels in the time of an edge."""
    span = shape.work_mw - min(shape.idle_mw, shape.checkpoint_mw)
    if shape.edge_s <= STEP_S or span <= 0.0:
        return power_mw
    most = span * STEP_S / shape.edge_s
    out, now = np.empty_like(power_mw), float(power_mw[0])
    for i, aim in enumerate(power_mw.tolist()):
        now += min(max(aim - now, -most), most)
        out[i] = now
    return out


@dataclass(frozen=True, slots=True)
class Smoother:
    """Storage that stands between a swinging load and the grid.

    Attributes:
        power_mw: most it gives or takes.
        energy_mwh: what it holds.
        ramp_mw_per_s: by how much the grid's power may change in a second.
        mean_s: over which the load's mean is followed, some training steps long.
        efficiency: of charging and of discharging, each.
        pull_s: in which the storage is brought back to half full, when nothing else is asked.
    """

    power_mw: float
    energy_mwh: float
    ramp_mw_per_s: float
    mean_s: float = 30.0
    efficiency: float = 0.97
    pull_s: float = 600.0

    def __post_init__(self) -> None:
        bounds = {
            "power_mw": (0.0, 1e5),
            "energy_mwh": (0.0, 1e6),
            "ramp_mw_per_s": (1e-6, 1e6),
            "mean_s": (STEP_S, 3600.0),
            "efficiency": (0.3, 1.0),
            "pull_s": (1.0, 86_400.0),
        }
        problems = outside("smoother", self, **bounds)
        if problems:
            raise BadInput(problems)


@dataclass(frozen=True, slots=True, eq=False)
class Smoothed:
    """What the grid sees, by the tenth of a second, shape [N].

    Attributes:
        grid_mw: what the grid supplies.
        storage_mw: discharge of the storage.
        stored_mwh: in it, after the step.
        broken: bool, steps in which the storage was too small and the ramp was not kept.
    """

    grid_mw: Array
    storage_mw: Array
    stored_mwh: Array
    broken: npt.NDArray[np.bool_]


def smooth(smoother: Smoother, load_mw: Array, stored_mwh: float | None = None) -> Smoothed:
    """Keep the grid's power within a ramp while the load swings.

    The grid follows a running mean of the load, never faster than the ramp allows. What is between
    grid and load comes from the storage; where its power or energy does not suffice, the ramp is
    broken and told.

    Args:
        smoother: the storage and the ramp.
        load_mw: shape [N], by `STEP_S`.
        stored_mwh: at the begin; None is half full.

    Raises:
        BadInput: a load that is not finite, or more stored than the storage holds.
    """
    if not np.isfinite(load_mw).all() or len(load_mw) == 0:
        raise refuse("smoother", "load_mw", None, "needs at least one value, all of them finite")
    stored = 0.5 * smoother.energy_mwh if stored_mwh is None else stored_mwh
    if not 0.0 <= stored <= smoother.energy_mwh:
        why = f"must be from 0 to {smoother.energy_mwh:g}"
        raise refuse("smoother", "stored_mwh", stored, why)
    e, h = smoother.efficiency, STEP_S / _S_PER_H
    most, keep = smoother.ramp_mw_per_s * STEP_S, math.exp(-STEP_S / smoother.mean_s)
    grid = mean = float(load_mw[0])
    rows: list[tuple[float, float, float, bool]] = []
    for load in load_mw.tolist():
        mean = keep * mean + (1.0 - keep) * load
        refill = (0.5 * smoother.energy_mwh - stored) * _S_PER_H / smoother.pull_s
        aim = max(mean + refill, 0.0)
        wish = grid + min(max(aim - grid, -most), most)
        give = min(smoother.power_mw, stored * e / h)
        take = min(smoother.power_mw, (smoother.energy_mwh - stored) / (e * h))
        storage = min(max(load - wish, -take), give)
        before, grid = grid, load - storage
        stored += -storage * h / e if storage >= 0.0 else -storage * h * e
        stored = min(max(stored, 0.0), smoother.energy_mwh)
        rows.append((grid, storage, stored, abs(grid - before) > most + 1e-9))
    columns = np.array(rows)
    return Smoothed(
        columns[:, 0].copy(),
        columns[:, 1].copy(),
        columns[:, 2].copy(),
        columns[:, 3].astype(np.bool_),
    )


def steepest_mw_per_s(power_mw: Array) -> float:
    """The fastest change from one step to the next, MW/s."""
    return float(np.abs(np.diff(power_mw)).max(initial=0.0)) / STEP_S
