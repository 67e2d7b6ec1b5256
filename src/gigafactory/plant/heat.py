"""Waste heat: what a heat network takes, what a heat pump adds, and how many homes that warms.

The boundary is the hand-off at the data centre's heat exchanger. Reused energy (E_REUSE) is metered
there, and ERF = E_REUSE / E_DC (Delegated Regulation (EU) 2024/1364; EN 50600-4-6). The heat pump
that lifts the heat to the network's temperature stands outside that boundary unless the network
says otherwise; inside it, its electricity counts in E_DC.

Nothing is subtracted from the outdoor cooling for heat that is handed off, so cooling energy is an
upper value for a site that reuses much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem, outside

Array = npt.NDArray[np.float64]

_KELVIN: Final = 273.15

#: Homes warmed per MW of waste heat, the range named in the Dutch debate (25 MW for 15,000 homes is
#: its lower end). Published; holds only with heat all year round and about 9 MWh per home.
HOMES_PER_MW: Final = (600.0, 700.0)

#: Heat a Dutch home takes in a year, MWh (assumption; 9 to 11 is common).
HOME_NEED_MWH: Final = 9.0


@dataclass(frozen=True, slots=True)
class HeatNetwork:
    """A heat network that takes waste heat.

    Attributes:
        capacity_mw: most it takes at the hand-off in the hour of its yearly peak demand.
        sink_c: temperature to which heat must be lifted, 40 (very low) to 90 (classic network).
        quality: share of Carnot's COP that the heat pump reaches, 0.45 to 0.55 (assumption).
        pinch_k: a source this much warmer than the network needs no heat pump.
        pump_inside: whether the heat pump's electricity counts as the data centre's own.
    """

    capacity_mw: float
    sink_c: float = 75.0
    quality: float = 0.5
    pinch_k: float = 3.0
    pump_inside: bool = False

    def __post_init__(self) -> None:
        problems = outside(
            "heat network",
            self,
            capacity_mw=(0.0, 1e5),
            sink_c=(20.0, 120.0),
            quality=(0.1, 0.8),
            pinch_k=(0.0, 20.0),
        )
        if problems:
            raise BadInput(problems)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Heat handed off and what became of it; each field float64[P].

    Attributes:
        reuse_mw: heat at the hand-off, the E_REUSE meter.
        delivered_mw: heat into the network after the heat pump.
        pump_mw: electricity of the heat pump.
        cop: its coefficient of performance; infinite where no pump is needed.
        unused_mw: waste heat nobody took.
    """

    reuse_mw: Array
    delivered_mw: Array
    pump_mw: Array
    cop: Array
    unused_mw: Array


def heat_pump_cop(sink_c: npt.ArrayLike, source_c: npt.ArrayLike, quality: float = 0.5) -> Array:
    """COP of a heat pump: quality * T_sink / (T_sink - T_source), temperatures in kelvin.

    Returns:
        The COP; infinite where the source is as warm as the sink. Valid for lifts of 15 to 70 K
        (below that real machines fall short of it); published values into classic networks from
        sources of about 30 degC are 2.5 to 3.5.
    """
    sink = np.asarray(sink_c, dtype=np.float64) + _KELVIN
    source = np.asarray(source_c, dtype=np.float64) + _KELVIN
    lift = sink - source
    safe = np.where(lift > 0.0, lift, 1.0)
    # a machine that moves heat upwards delivers at least the work put in
    return np.where(lift > 0.0, np.maximum(quality * sink / safe, 1.0 + 1e-9), np.inf)


def deliver(
    network: HeatNetwork,
    available_mw: npt.ArrayLike,
    source_c: npt.ArrayLike,
    demand: npt.ArrayLike,
) -> Delivery:
    """Heat handed to a network: the lesser of what there is and what it takes now.

    Args:
        network: the heat network.
        available_mw: waste heat of the loop (`Overhead.heat_rejected_mw`).
        source_c: its temperature (`Overhead.source_c`).
        demand: the network's demand as a fraction (0..1) of its yearly peak.

    Returns:
        The delivery. With a pump, delivered = reuse * COP / (COP - 1): its work ends up as heat.
    """
    have, warm, want = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (available_mw, source_c, demand))
    )
    reuse = np.minimum(np.maximum(have, 0.0), network.capacity_mw * np.clip(want, 0.0, 1.0))
    direct = warm >= network.sink_c + network.pinch_k
    lifted = heat_pump_cop(network.sink_c + network.pinch_k, warm, network.quality)
    cop = np.where(direct, np.inf, lifted)
    finite = np.where(np.isfinite(cop), cop, 2.0)
    pump = np.where(np.isfinite(cop), reuse / (finite - 1.0), 0.0)
    return Delivery(
        reuse_mw=reuse,
        delivered_mw=reuse + pump,
        pump_mw=pump,
        cop=cop,
        unused_mw=np.maximum(have, 0.0) - reuse,
    )


def erf(reuse_mwh: float, site_mwh: float) -> float:
    """Energy reuse factor E_REUSE / E_DC over a span; nan when the site used nothing.

    Add the heat pump's electricity to ``site_mwh`` where the pump stands inside the boundary.
    """
    return reuse_mwh / site_mwh if site_mwh > 0.0 else math.nan


def homes_by_rule(heat_mw: float) -> tuple[float, float]:
    """Homes by the annual rule of thumb (low, high): `HOMES_PER_MW`; 25 MW gives 15,000 to 17,500.

    The rule ignores that homes want little heat in summer: see `homes_by_hour`.
    """
    return HOMES_PER_MW[0] * heat_mw, HOMES_PER_MW[1] * heat_mw


@dataclass(frozen=True, slots=True)
class HomesCheck:
    """What a number of homes would really get, hour by hour.

    Attributes:
        homes: the number asked about.
        need_mwh: heat they want over the span.
        covered_mwh: part of it that waste heat covers.
        covered_share: covered over wanted, 0..1.
        surplus_mwh: waste heat they cannot use (mostly in summer).
        short_hours: hours in which it does not suffice, so that a back-up must run.
        homes_always: homes that waste heat alone covers in every hour.
    """

    homes: float
    need_mwh: float
    covered_mwh: float
    covered_share: float
    surplus_mwh: float
    short_hours: float
    homes_always: float


def homes_by_hour(
    homes: float,
    heat_mw: npt.ArrayLike,
    demand: npt.ArrayLike,
    hours: npt.ArrayLike,
    need_mwh: float = HOME_NEED_MWH,
) -> HomesCheck:
    """Check a number of homes against the heat of each period.

    Args:
        homes: how many homes.
        heat_mw: heat into the network per period.
        demand: shape of demand per period (any scale; only proportions count).
        hours: length of each period, h.
        need_mwh: heat of one home over a year of 8,766 h, MWh; scaled to the span's length, so a
            span shorter than a year assumes an average stretch of it.

    Returns:
        The check.
    """
    heat, shape, span = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (heat_mw, demand, hours))
    )
    total = float(np.sum(shape * span))
    need = homes * need_mwh * float(np.sum(span)) / 8766.0
    want_mw = need * shape / total if total > 0.0 else np.zeros_like(shape)
    covered = float(np.sum(np.minimum(heat, want_mw) * span))
    per_home_mw = want_mw / homes if homes > 0.0 else np.zeros_like(shape)
    wanted = per_home_mw > 0.0
    always = float(np.min(heat[wanted] / per_home_mw[wanted])) if np.any(wanted) else math.nan
    return HomesCheck(
        homes=homes,
        need_mwh=need,
        covered_mwh=covered,
        covered_share=covered / need if need > 0.0 else math.nan,
        surplus_mwh=float(np.sum(np.maximum(heat - want_mw, 0.0) * span)),
        short_hours=float(np.sum(span[heat < want_mw * (1.0 - 1e-12)])),
        homes_always=always,
    )


@dataclass(frozen=True, slots=True, eq=False)
class HeatBalance:
    """Heat wanted, covered, left over and lacking, by part of the year; arrays of shape [S].

    Attributes:
        part: the parts, ascending (month numbers, for example).
        need_mwh: heat the homes want.
        covered_mwh: what waste heat covers of it, hour by hour.
        surplus_mwh: waste heat nobody takes.
        short_mwh: what a back-up must give.
    """

    part: tuple[int, ...]
    need_mwh: Array
    covered_mwh: Array
    surplus_mwh: Array
    short_mwh: Array


def heat_balance(
    homes: float,
    heat_mw: npt.ArrayLike,
    demand: npt.ArrayLike,
    hours: npt.ArrayLike,
    part: npt.ArrayLike,
    need_mwh: float = HOME_NEED_MWH,
) -> HeatBalance:
    """The hourly truth of `homes_by_hour`, month by month: what is left over in summer.

    Args:
        homes: how many homes.
        heat_mw: heat into the network per period.
        demand: shape of demand per period (any scale; only proportions count).
        hours: length of each period, h.
        part: number of the part of the year of each period (1 to 12 for months), shape [P].
        need_mwh: heat of one home over a year of 8,766 h, MWh; scaled to the span's length.

    Returns:
        The balance by part; its sums are those of `homes_by_hour`.

    Raises:
        BadInput: a value that is negative or not finite; all at once.
    """
    given = {"homes": homes, "heat_mw": heat_mw, "demand": demand, "hours": hours}
    given |= {"need_mwh": need_mwh}
    numbers = {name: np.asarray(x, dtype=np.float64) for name, x in given.items()}
    problems = [
        Problem("heat", name, "", "must be finite and 0 or more")
        for name, values in numbers.items()
        if not np.all(np.isfinite(values)) or np.any(values < 0.0)
    ]
    if problems:
        raise BadInput(problems)
    label = np.asarray(part, dtype=np.int64)
    heat, shape, span = (
        np.broadcast_to(numbers[name], label.shape) for name in ("heat_mw", "demand", "hours")
    )
    total = float(np.sum(shape * span))
    need = homes * need_mwh * float(np.sum(span)) / 8766.0
    want_mw = need * shape / total if total > 0.0 else np.zeros_like(shape)
    parts, place = np.unique(label, return_inverse=True)

    def by_part(power_mw: Array) -> Array:
        sums = np.bincount(place, weights=power_mw * span, minlength=len(parts))
        return np.asarray(sums, dtype=np.float64)

    covered = np.minimum(heat, want_mw)
    return HeatBalance(
        part=tuple(parts.tolist()),
        need_mwh=by_part(want_mw),
        covered_mwh=by_part(covered),
        surplus_mwh=by_part(heat - covered),
        short_mwh=by_part(want_mw - covered),
    )
