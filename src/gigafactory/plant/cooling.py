"""Cooling over a year: PUE and WUE period by period, water that runs out, discharge and plumes.

`gigafactory.plant.thermal` says what one design needs in each period. Here a year is made of it: a
water cap falls back to a dry design when it is spent, water is weighed by how scarce it is, and the
warm water and the visible plume that leave the site are told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.plant.thermal import CoolingDesign, Electrical, Overhead, overhead, typical

Array = npt.NDArray[np.float64]

#: How the economiser ran in a period: the chiller alone, both, the outdoor unit alone.
MODES: Final = ("chiller", "partial", "free")

_SEA_KJ_PER_KG_K: Final = 3.99
#: Density of sea water, kg/m3, near 15 degC and 35 g of salt per kg.
_SEA_KG_PER_M3: Final = 1026.0
_KW_PER_MW: Final = 1000.0
#: Air pressure at sea level, hPa.
_PRESSURE_HPA: Final = 1013.25
_MIXTURES: Final = 40
#: Below this IT power a ratio to it says nothing.
_WATT_MW: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class WaterCap:
    """A limit on fresh water over a span of periods.

    Attributes:
        name: what sets it ("permit, year", "drought, day").
        water_m3: most water in each span.
        span: number of the span each period belongs to, integers of shape [P]; all alike for one
            cap over everything, a number per month for a monthly one, -1 where it does not hold.
    """

    name: str
    water_m3: float
    span: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CapUse:
    """What became of a cap on water.

    Attributes:
        name: of the cap.
        water_m3: water taken under it, by number of the span.
        turned_dry: the first period that it turned dry; -1 when none.
    """

    name: str
    water_m3: dict[int, float]
    turned_dry: int


@dataclass(frozen=True, slots=True, eq=False)
class CoolingYear:
    """A year of cooling, each array of shape [P].

    Attributes:
        pue: site power over IT power in the period; nan below one watt of IT. Never average it: see
            `gigafactory.plant.thermal.pue`.
        wue_l_per_kwh: fresh water over IT energy in the period; nan below one watt of IT.
        site_mw: IT, losses and cooling (no auxiliaries).
        water_m3: fresh water taken.
        fell_back: periods cooled by the dry design because a cap was spent.
        mode: economiser, an index of `MODES`.
        overhead: what the design that ran needed.
        caps: what became of each cap, in their order.
        pue_total: energy over energy.
        wue_total_l_per_kwh: water over energy.
        note: in words, what the caps did; empty when nothing.
    """

    pue: Array
    wue_l_per_kwh: Array
    site_mw: Array
    water_m3: Array
    fell_back: npt.NDArray[np.bool_]
    mode: npt.NDArray[np.int64]
    overhead: Overhead
    caps: tuple[CapUse, ...]
    pue_total: float
    wue_total_l_per_kwh: float
    note: str


def cooling_year(
    design: CoolingDesign,
    electrical: Electrical,
    it_mw: npt.ArrayLike,
    temperature_c: npt.ArrayLike,
    wet_bulb_c: npt.ArrayLike,
    hours: npt.ArrayLike,
    *,
    sea_c: npt.ArrayLike | None = None,
    caps: Sequence[WaterCap] = (),
    fallback: CoolingDesign | None = None,
) -> CoolingYear:
    """PUE and WUE of each period, under caps on water.

    Water is used first come, first served: a period whose water would overrun a cap of its span is
    cooled dry, in whole. No water is kept for the heat of August; a plan that does must cut the cap
    into months.

    Args:
        design: the cooling plant.
        electrical: the electrical chain.
        it_mw: IT power, shape [P] or one number.
        temperature_c: dry bulb.
        wet_bulb_c: wet bulb.
        hours: length of each period, h.
        sea_c: sea temperature (seawater).
        caps: limits on fresh water; all must hold.
        fallback: what cools when a cap is spent; typical dry coolers of the same size and supply
            temperature where left out. A site must own them for this to be true.

    Returns:
        The year.

    Raises:
        BadInput: a cap that is negative or of another length, lengths not above zero, IT power that
            is negative or not finite; all at once.
    """
    given = (np.atleast_1d(x) for x in (it_mw, temperature_c, wet_bulb_c, hours))
    it, dry, wet, span_h = (x.astype(np.float64) for x in np.broadcast_arrays(*given))
    _check(it, span_h, caps)
    # without chillers of its own size the dry design would not be the same plant
    second = fallback or typical("dry", design.it_design_mw, design.supply_c)
    first = overhead(design, electrical, it, dry, wet, sea_c)
    reserve = overhead(second, electrical, it, dry, wet, sea_c)
    fell, spent = _ration(first.water_m3_per_h * span_h, reserve.water_m3_per_h * span_h, caps)
    ran = Overhead(
        **{
            f.name: np.where(fell, getattr(reserve, f.name), getattr(first, f.name))
            for f in fields(Overhead)
        }
    )
    site = it + ran.overhead_mw
    water = ran.water_m3_per_h * span_h
    it_mwh = float((it * span_h).sum())
    some = it >= _WATT_MW
    free = ran.free_fraction
    return CoolingYear(
        pue=_over(site, it, some),
        wue_l_per_kwh=_over(water, it * span_h, some),
        site_mw=site,
        water_m3=water,
        fell_back=fell,
        mode=np.where(free >= 1.0, 2, np.where(free > 0.0, 1, 0)).astype(np.int64),
        overhead=ran,
        caps=spent,
        pue_total=float((site * span_h).sum()) / it_mwh if it_mwh > 0.0 else math.nan,
        wue_total_l_per_kwh=float(water.sum()) / it_mwh if it_mwh > 0.0 else math.nan,
        note=_told(spent, fell, span_h),
    )


def stress_weighted_m3(water_m3: npt.ArrayLike, stress_factor: npt.ArrayLike) -> Array:
    """Water weighed by how scarce it is where and when it is taken, m3 of world average.

    Args:
        water_m3: fresh water consumed, any shape.
        stress_factor: m3 of world average per m3 here, broadcastable; 0.1 to 100 in the AWARE
            method (Boulay et al. 2018, doi 10.1007/s11367-017-1333-8; not read here). Its values
            by basin and month are the caller's: none is bundled.

    Raises:
        BadInput: a value that is negative or not finite.
    """
    water = np.asarray(water_m3, dtype=np.float64)
    factor = np.asarray(stress_factor, dtype=np.float64)
    _all_positive(water_m3=water, stress_factor=factor)
    return np.asarray(water * factor)


def discharge_c(
    heat_mw: npt.ArrayLike, flow_m3_per_s: npt.ArrayLike, intake_c: npt.ArrayLike
) -> Array:
    """Temperature of sea water that leaves after it has taken up heat, degC.

    intake + heat / (density x specific heat x flow), with 1,026 kg/m3 and 3.99 kJ/(kg K); valid for
    once-through cooling with sea water from 0 to 35 degC.

    Args:
        heat_mw: heat given to the water.
        flow_m3_per_s: flow of water, above zero.
        intake_c: its temperature at the intake.

    Raises:
        BadInput: heat that is negative, a flow that is not above zero, anything not finite.
    """
    heat, flow, intake = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (heat_mw, flow_m3_per_s, intake_c))
    )
    problems = []
    if not np.all(np.isfinite(heat)) or np.any(heat < 0.0):
        problems.append(Problem("discharge", "heat_mw", "", "must be finite and 0 or more"))
    if not np.all(np.isfinite(flow)) or np.any(flow <= 0.0):
        problems.append(Problem("discharge", "flow_m3_per_s", "", "must be finite and above 0"))
    if not np.all(np.isfinite(intake)):
        problems.append(Problem("discharge", "intake_c", "", "must be finite"))
    if problems:
        raise BadInput(problems)
    per_k = _SEA_KG_PER_M3 * _SEA_KJ_PER_KG_K * flow / _KW_PER_MW
    return np.asarray(intake + heat / per_k)


def plume_excess_kg_per_kg(
    temperature_c: npt.ArrayLike, humidity_pct: npt.ArrayLike, leaving_c: npt.ArrayLike
) -> Array:
    """How much water a plume condenses at most while it mixes with the air, kg per kg of dry air.

    Air that leaves a wet tower is saturated. Mixed with outdoor air, both temperature and humidity
    lie on a straight line between the two; where that line is above saturation, droplets form and
    the plume is seen. Saturation by Magnus' formula (valid -40 to +50 degC), sea level.

    Args:
        temperature_c: outdoor dry bulb.
        humidity_pct: outdoor relative humidity, percent.
        leaving_c: temperature of the air that leaves the tower.

    Returns:
        The excess; 0 where no plume is seen. An indicator, not a length: wind is not in it.
    """
    air, damp, out = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (temperature_c, humidity_pct, leaving_c))
    )
    outdoors = _humidity_ratio(air, np.clip(damp, 0.0, 100.0) / 100.0)
    leaving = _humidity_ratio(out, np.ones_like(out))
    worst = np.zeros_like(air)
    for share in np.linspace(0.0, 1.0, _MIXTURES)[1:-1]:
        mixed = share * leaving + (1.0 - share) * outdoors
        holds = _humidity_ratio(share * out + (1.0 - share) * air, np.ones_like(air))
        worst = np.maximum(worst, mixed - holds)
    return np.asarray(np.where(worst > 1e-6, worst, 0.0))


def _over(above: Array, below: Array, where: npt.NDArray[np.bool_]) -> Array:
    """A ratio per period; nan where it says nothing."""
    nothing = np.full(below.shape, np.nan)
    return np.asarray(np.divide(above, below, out=nothing, where=where), dtype=np.float64)


def _humidity_ratio(temperature_c: Array, relative: Array) -> Array:
    """Water in air, kg per kg of dry air, at a relative humidity (0..1)."""
    pressure = relative * 6.112 * np.exp(17.62 * temperature_c / (243.12 + temperature_c))
    return np.asarray(0.622 * pressure / (_PRESSURE_HPA - pressure))


def _ration(
    wet_m3: Array, dry_m3: Array, caps: Sequence[WaterCap]
) -> tuple[npt.NDArray[np.bool_], tuple[CapUse, ...]]:
    """Which periods fall back, and what is taken under each cap."""
    fell = np.zeros(wet_m3.shape, dtype=np.bool_)
    used: list[dict[int, float]] = [
        dict.fromkeys(sorted(set(cap.span.tolist()) - {-1}), 0.0) for cap in caps
    ]
    first = [-1] * len(caps)
    spans = [cap.span.tolist() for cap in caps]
    # rounding must not turn the last litre of a cap away
    most = [cap.water_m3 * (1.0 + 1e-12) for cap in caps]
    for p, wanted in enumerate(wet_m3.tolist() if caps else []):
        over = [
            c
            for c in range(len(caps))
            if spans[c][p] != -1 and used[c][spans[c][p]] + wanted > most[c]
        ]
        if over and wanted > dry_m3[p]:
            fell[p] = True
            wanted = float(dry_m3[p])
            for c in over:
                first[c] = p if first[c] < 0 else first[c]
        for c in range(len(caps)):
            if spans[c][p] != -1:
                used[c][spans[c][p]] += wanted
    return fell, tuple(
        CapUse(cap.name, water, dry) for cap, water, dry in zip(caps, used, first, strict=True)
    )


def _told(used: Sequence[CapUse], fell: npt.NDArray[np.bool_], hours: Array) -> str:
    """What the caps did, in words."""
    if not fell.any():
        return ""
    names = ", ".join(use.name for use in used if use.turned_dry >= 0)
    return f"dry for {float(hours[fell].sum()):g} h because water was spent ({names})"


def _check(it: Array, hours: Array, caps: Sequence[WaterCap]) -> None:
    problems = []
    if not np.all(np.isfinite(it)) or np.any(it < 0.0):
        problems.append(Problem("cooling", "it_mw", "", "must be finite and 0 or more"))
    if not np.all(np.isfinite(hours)) or np.any(hours <= 0.0):
        problems.append(Problem("cooling", "hours", "", "must be finite and above 0"))
    for cap in caps:
        where = f"water cap {cap.name}"
        if not (math.isfinite(cap.water_m3) and cap.water_m3 >= 0.0):
            why = "must be finite and 0 or more"
            problems.append(Problem(where, "water_m3", str(cap.water_m3), why))
        if cap.span.shape != it.shape:
            why = f"needs one number per period, {it.size}"
            problems.append(Problem(where, "span", f"shape {cap.span.shape}", why))
    if problems:
        raise BadInput(problems)


def _all_positive(**given: Array) -> None:
    problems = [
        Problem("water", name, "", "must be finite and 0 or more")
        for name, values in given.items()
        if not np.all(np.isfinite(values)) or np.any(values < 0.0)
    ]
    if problems:
        raise BadInput(problems)
