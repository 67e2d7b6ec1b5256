"""What the second-by-second stepper reads and writes: the layout of its records.

Unlike in the rest of the kernel, powers here are floats in MW (megawatt), energies in MWh: the
stepper moves power, it counts no accelerators. Consumption is positive at a device and import is
positive at the connection; discharging the battery, and all reserve, is positive *upward*: it makes
the site import less.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

#: An array of one of the records below. Their fields are typed by the record, not by mypy.
Rows = npt.NDArray[Any]
Orders = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]

#: Below this a power is nothing, MW: a milliwatt. Keeps rounding from counting as an event.
NOTHING_MW: Final = 1e-9
#: Long ago: before every instant a run knows, s.
NEVER_S: Final = -1e18

#: Why a setpoint was refused; 0 is accepted.
ACCEPTED, FORGED, NOT_A_NUMBER, STALE, TOO_LARGE, TOO_FAST = range(6)
REASONS: Final = ("accepted", "forged", "not a number", "stale", "too large", "too fast")

#: A frequency outside these is a broken meter, not a grid, Hz.
LOWEST_HZ: Final = 45.0
HIGHEST_HZ: Final = 55.0


def _floats(*names: str) -> list[tuple[str, type]]:
    return [(name, np.float64) for name in names]


#: One site: battery, reserves, manners. Bands of stored energy nest: soc_min <= low <= inner_low <=
#: inner_high <= high <= soc_max.
PLANT: Final = np.dtype(
    [
        *_floats("dt_s", "capacity_mw", "ramp_mw_per_s", "active_mw"),
        *_floats("power_mw", "charge_efficiency", "discharge_efficiency", "bridge_s"),
        *_floats("soc_min_mwh", "low_mwh", "inner_low_mwh"),
        *_floats("inner_high_mwh", "high_mwh", "soc_max_mwh"),
        *_floats("fcr_mw", "fcr_full_s", "full_hz", "insensitive_hz", "frequency_hold_s"),
        *_floats("recovery_mw", "period_s"),
        *_floats("afrr_up_mw", "afrr_down_mw", "setpoint_mw_per_s"),
        *_floats("setpoint_age_s", "setpoint_hold_s"),
        *_floats("ups_mw", "ups_mws", "ups_recharge_mw"),
        ("message_steps", np.int64),
        ("period_steps", np.int64),
    ],
    align=True,
)

#: A flexibility class: what it draws, how it can be slowed and paused, what its contract allows.
CLASS: Final = np.dtype(
    [
        *_floats("active_mw", "throttle_mw", "throttle_mw_per_s"),
        *_floats("pause_mw", "pause_mw_per_s", "pause_delay_s"),
        *_floats("depth_mw", "lasting_s", "rest_s", "lead_s"),
        ("events", np.int64),
    ],
    align=True,
)

#: The state of a site between two steps.
SITE: Final = np.dtype(
    [
        *_floats("soc_mwh", "scheduled_mw", "fcr_mw", "defend_mw", "afrr_load_mw"),
        *_floats("ups_mws", "ups_given_mw"),
        *_floats("setpoint_mw", "setpoint_s", "issued_s", "frequency_hz", "frequency_s"),
        *_floats("recovery_mw", "announced_mw"),
        ("step", np.int64),
        ("shedding", np.int64),
    ],
    align=True,
)

#: The state of a class between two steps. `granted` is what has reached its checkpoint, `batch`
#: what is on its way to one and will be there at `ready`.
SHED: Final = np.dtype(
    [
        *_floats("throttled_mw", "paused_mw", "dropped_mw", "granted_mw", "batch_mw", "ready_s"),
        *_floats("began_s", "ended_s", "want_throttle_mw", "want_pause_mw"),
        *_floats("excess_mw", "excess_mws"),
        ("events", np.int64),
        ("in_use", np.int64),
        ("allowed", np.int64),
    ],
    align=True,
)

#: What is given for one step. `seen_mw` is the lowest limit of which notice was given so far.
GIVEN: Final = np.dtype(
    [
        *_floats("base_mw", "limit_mw", "seen_mw", "export_mw", "schedule_mw", "frequency_hz"),
        ("trip", np.int64),
    ],
    align=True,
)

#: A setpoint as it arrived: its value, when it says it was issued, and whether its seal is sound.
MESSAGE: Final = np.dtype(
    [*_floats("setpoint_mw", "issued_s"), ("authentic", np.int64)], align=True
)

#: What happened in one step.
HAPPENED: Final = np.dtype(
    [
        *_floats("grid_mw", "battery_mw", "soc_mwh", "ups_mw", "shed_mw", "shortfall_mw"),
        *_floats("scheduled_mw", "defend_mw", "fcr_mw", "fcr_due_mw", "afrr_mw", "setpoint_mw"),
        *_floats("recovery_mw", "announced_mw", "excess_mw"),
        ("reason", np.int64),
    ],
    align=True,
)


def new_site(soc_mwh: float, ups_mws: float) -> Rows:
    """The state of a site at rest, shape [1].

    Args:
        soc_mwh: energy in the battery, MWh.
        ups_mws: energy in the uninterruptible supplies, MWs.
    """
    site = np.zeros(1, SITE)
    site["soc_mwh"], site["ups_mws"] = soc_mwh, ups_mws
    for name in ("setpoint_s", "issued_s", "frequency_s"):
        site[name] = NEVER_S
    return site


def new_shed(classes: int) -> Rows:
    """The state of classes that all run, shape [classes]."""
    shed = np.zeros(classes, SHED)
    shed["ended_s"] = NEVER_S
    return shed
