"""Losses, cooling and water of a site, from IT power and weather; vectorised over periods.

The chain, from the grid inwards::

    site = IT + distribution loss + UPS loss + transformer loss       (electrical)
              + fans + pumps + indoor units + chiller                 (cooling)

Every function takes arrays with one value per period (or numbers) and broadcasts them. All powers
are MW, temperatures degrees Celsius, water cubic metres per hour. Auxiliaries (offices, lighting)
are not here.

**Validity.** Steady state per period of 15 minutes to an hour; IT power up to the design's
``it_design_mw``; air from -20 to +45 degC at sea level. Fan and pump shares are typical design
values (assumption), not those of a particular plant. One water loop with one supply temperature: a
site with a warm and a cold loop is two designs.

Fans and pumps: power goes with the cube of flow. Pump flow follows heat. Fan flow follows heat
times (approach at full load / approach available), so fans slow down in the cold; that linear
relation of air flow and approach is a simplification of the heat-exchanger law (assumption).

Economiser (Lei and Masanet 2022): free if sink + approaches <= supply; in part while the sink can
still cool the return, (return - (sink + approaches)) / (return - supply); else the chiller takes
all. Chiller COP = quality * T_cold / (T_warm - T_cold), at most ``chiller_cop_max``.

Tower: evaporation = heat / h_fg with h_fg = -0.0013 T^2 - 2.3097 T + 2500.5 kJ/kg at T = wet bulb +
approach + range / 2 (all heat by evaporation, an upper value); drift = flow x drift fraction;
blow-down = evaporation / (cycles - 1) - drift, not below zero. Adiabatic pads evaporate what cools
the incoming air just enough.

Site power is convex in IT power at given weather (cubes, floors and straight lines only), which is
what lets `site_factor` bound it from above by a chord.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from thermofeel import calculate_wbt

from gigafactory.engine.errors import BadInput, Problem, outside, refuse

Array = npt.NDArray[np.float64]

TECHNOLOGIES: Final = ("dry", "adiabatic", "evaporative", "seawater")

#: Range of Stull's wet-bulb regression (2011): humidity 5 to 99 %, air -20 to +50 degC, sea level.
STULL_HUMIDITY_PCT: Final = (5.0, 99.0)
STULL_TEMPERATURE_C: Final = (-20.0, 50.0)

_KELVIN: Final = 273.15
_WATER_KJ_PER_KG_K: Final = 4.184
#: Density of water, kg/m3, near 20 degC.
_WATER_KG_PER_M3: Final = 998.0
_KW_PER_MW: Final = 1000.0
_S_PER_H: Final = 3600.0


def wet_bulb_c(temperature_c: npt.ArrayLike, humidity_pct: npt.ArrayLike) -> Array:
    """Wet-bulb temperature of air, degC, by Stull (2011) as computed by ECMWF's thermofeel.

    Args:
        temperature_c: dry-bulb temperature, degC, any shape.
        humidity_pct: relative humidity, percent (60 means 60 %), broadcastable.

    Returns:
        Wet bulb, degC; never above the dry bulb. Error of the regression: -1.0 to +0.65 K, mean
        absolute 0.3 K, at sea-level pressure. Humidity outside 5..99 % and temperature outside
        -20..50 degC is taken at the edge of the range (for temperature the depression at the edge
        is kept), because the regression bends away there.

    Raises:
        BadInput: when humidity is not a percentage (a fraction such as 0.6 is refused when every
            value is 1 or below), or anything is not finite.

    Source: R. Stull, Wet-Bulb Temperature from Relative Humidity and Air Temperature, J. Appl.
    Meteor. Climatol. 50 (2011), doi 10.1175/JAMC-D-11-0143.1.
    """
    dry = np.asarray(temperature_c, dtype=np.float64)
    humidity = np.asarray(humidity_pct, dtype=np.float64)
    problems = []
    if not np.all(np.isfinite(dry)):
        problems.append(Problem("weather", "temperature_c", "", "every value must be finite"))
    if not np.all(np.isfinite(humidity)) or np.any(humidity < 0) or np.any(humidity > 105):
        why = "relative humidity is a percentage from 0 to 100"
        problems.append(Problem("weather", "humidity_pct", "", why))
    elif humidity.size and np.all(humidity <= 1.0):
        why = "relative humidity is given in percent (60), this looks like a fraction (0.6)"
        problems.append(Problem("weather", "humidity_pct", str(float(np.max(humidity))), why))
    if problems:
        raise BadInput(problems)
    inside = np.clip(dry, *STULL_TEMPERATURE_C)
    wet = calculate_wbt(inside + _KELVIN, np.clip(humidity, *STULL_HUMIDITY_PCT)) - _KELVIN
    return np.asarray(dry - np.maximum(inside - wet, 0.0), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Electrical:
    """Losses between the grid connection and the IT load.

    Each loss has a part that is always there and a part proportional to the load. (Copper losses
    really go with the square of the load; the straight line is right at full load and overstates
    in between.)

    Attributes:
        ups_efficiency: at full load; 0.94 to 0.96 in double conversion, 0.98 to 0.99 in eco mode.
        transformer_loss_fraction: loss of all transformers at full load, share of the power
            through them.
        distribution_loss_fraction: loss of busbars and cables, share of IT power (0 to 0.02).
        ups_fixed_share: share of the full-load UPS loss that stays at no load.
        transformer_fixed_share: share of the full-load transformer loss that stays at no load
            (iron loss).

    Source: ranges from N. Lei and E. Masanet (2022), doi 10.1016/j.resconrec.2022.106323, and UPS
    makers' data; the fixed shares are assumptions.
    """

    ups_efficiency: float = 0.96
    transformer_loss_fraction: float = 0.01
    distribution_loss_fraction: float = 0.015
    ups_fixed_share: float = 0.3
    transformer_fixed_share: float = 0.25

    def __post_init__(self) -> None:
        problems = outside(
            "electrical",
            self,
            ups_efficiency=(0.5, 1.0),
            transformer_loss_fraction=(0.0, 0.2),
            distribution_loss_fraction=(0.0, 0.2),
            ups_fixed_share=(0.0, 1.0),
            transformer_fixed_share=(0.0, 1.0),
        )
        if problems:
            raise BadInput(problems)


@dataclass(frozen=True, slots=True)
class CoolingDesign:
    """A cooling plant. Build one with `typical` and change what is known.

    Attributes:
        technology: ``dry`` (dry coolers), ``adiabatic`` (dry coolers wetted when it is hot),
            ``evaporative`` (cooling towers) or ``seawater`` (once-through behind a heat exchanger).
        supply_c: temperature of the water supplied to the IT loop; 17 to 27 for air-cooled halls,
            30 to 45 for direct liquid cooling.
        approach_k: how close the outdoor unit comes at full load and full fans: to the dry bulb
            (dry, adiabatic), the wet bulb (evaporative) or the sea (seawater). Towers 2.8 to 6.7.
        it_design_mw: IT power for which fans, pumps and UPS are sized.
        exchanger_k: approach of the heat exchanger between outdoor and IT loop, 1.7 to 2.8.
        delta_t_k: warming of the water over the IT load, 5 to 15.
        fan_fraction: outdoor fans at full load, MW per MW of heat.
        pump_fraction: pumps at full load, MW per MW of heat.
        indoor_fraction: coolant distribution units and room fans, MW per MW of IT, proportional.
        flow_floor: lowest flow of fans and pumps, share of full; power goes with its cube.
        chiller_quality: share of Carnot's COP that the trim chiller reaches.
        chiller_cop_max: upper end of that COP.
        wetting: how much of the way from dry to wet bulb the wetted pads can go (adiabatic).
        air_rise_k: warming of the air over the dry cooler at full load; sets air flow, hence the
            water that wetting it takes (adiabatic).
        tower_range_k: warming of the tower's water, 4 to 6 (evaporative).
        cycles: cycles of concentration, 3 to 15.
        drift_fraction: droplets lost, share of the tower's water flow, 0.00005 to 0.005.
        sea_c: sea temperature where no series is given (seawater).
    """

    technology: str
    supply_c: float
    approach_k: float
    it_design_mw: float
    exchanger_k: float = 2.5
    delta_t_k: float = 10.0
    fan_fraction: float = 0.02
    pump_fraction: float = 0.015
    indoor_fraction: float = 0.02
    flow_floor: float = 0.25
    chiller_quality: float = 0.5
    chiller_cop_max: float = 8.0
    wetting: float = 0.8
    air_rise_k: float = 10.0
    tower_range_k: float = 5.0
    cycles: float = 4.0
    drift_fraction: float = 0.0002
    sea_c: float = 15.0

    def __post_init__(self) -> None:
        found: list[Problem] = []
        if self.technology not in TECHNOLOGIES:
            why = f"must be one of {', '.join(TECHNOLOGIES)}"
            found.append(Problem("cooling", "technology", self.technology, why))
        found += outside(
            "cooling",
            self,
            supply_c=(5.0, 60.0),
            approach_k=(0.5, 30.0),
            it_design_mw=(1e-6, 1e5),
            exchanger_k=(0.0, 15.0),
            delta_t_k=(2.0, 30.0),
            fan_fraction=(0.0, 0.3),
            pump_fraction=(0.0, 0.3),
            indoor_fraction=(0.0, 0.3),
            flow_floor=(0.0, 1.0),
            chiller_quality=(0.1, 0.8),
            chiller_cop_max=(1.0, 20.0),
            wetting=(0.0, 1.0),
            air_rise_k=(2.0, 30.0),
            tower_range_k=(2.0, 20.0),
            cycles=(1.5, 20.0),
            drift_fraction=(0.0, 0.01),
            sea_c=(-2.0, 35.0),
        )
        if found:
            raise BadInput(found)


#: What differs between the technologies, as typical design values (assumption, within the ranges of
#: Lei and Masanet 2022 where they give one).
_TYPICAL: Final = {
    "dry": {"approach_k": 8.0, "fan_fraction": 0.022, "pump_fraction": 0.014},
    "adiabatic": {"approach_k": 7.0, "fan_fraction": 0.018, "pump_fraction": 0.014},
    "evaporative": {"approach_k": 4.5, "fan_fraction": 0.010, "pump_fraction": 0.018},
    "seawater": {"approach_k": 2.0, "fan_fraction": 0.0, "pump_fraction": 0.025},
}


def typical(
    technology: str, it_design_mw: float, supply_c: float = 32.0, **changes: float
) -> CoolingDesign:
    """A typical plant of a technology, with whatever is known changed.

    Args:
        technology: one of `TECHNOLOGIES`.
        it_design_mw: IT power it is sized for.
        supply_c: supply temperature; 32 is warm-water direct liquid cooling.
        changes: any other field of `CoolingDesign`.

    Raises:
        BadInput: for an unknown technology or a value out of range.
    """
    if technology not in _TYPICAL:
        why = f"must be one of {', '.join(TECHNOLOGIES)}"
        raise refuse("cooling", "technology", technology, why)
    fields = {**_TYPICAL[technology], **changes}
    return CoolingDesign(
        technology=technology, supply_c=supply_c, it_design_mw=it_design_mw, **fields
    )


@dataclass(frozen=True, slots=True)
class Overhead:
    """What a site needs on top of its IT power; each field float64[P].

    Attributes:
        fan_mw: outdoor fans.
        pump_mw: pumps.
        indoor_mw: coolant distribution units and room fans.
        chiller_mw: trim chiller.
        cooling_mw: the four together.
        losses_mw: distribution, UPS and transformer losses.
        heat_rejected_mw: heat that leaves through the loop (IT, losses in the building, pumps and
            indoor units; without the chiller's own work). This is what heat reuse can take from.
        source_c: temperature of the loop's return, which a heat network can use.
        free_fraction: share of the heat that the outdoor unit takes without chiller.
        water_m3_per_h: fresh water taken: evaporation, drift and blow-down.
        evaporation_m3_per_h: part of it that evaporates.
        drift_m3_per_h: part of it that is lost as droplets.
        blowdown_m3_per_h: part of it that is drained to keep salts down.
    """

    fan_mw: Array
    pump_mw: Array
    indoor_mw: Array
    chiller_mw: Array
    cooling_mw: Array
    losses_mw: Array
    heat_rejected_mw: Array
    source_c: Array
    free_fraction: Array
    water_m3_per_h: Array
    evaporation_m3_per_h: Array
    drift_m3_per_h: Array
    blowdown_m3_per_h: Array

    @property
    def overhead_mw(self) -> Array:
        """Cooling and losses together: site power is IT power plus this (plus auxiliaries)."""
        return self.cooling_mw + self.losses_mw


def overhead(
    design: CoolingDesign,
    electrical: Electrical,
    it_mw: npt.ArrayLike,
    temperature_c: npt.ArrayLike,
    wet_bulb_c: npt.ArrayLike,
    sea_c: npt.ArrayLike | None = None,
) -> Overhead:
    """Losses, cooling power and water of a site.

    Args:
        design: the cooling plant.
        electrical: the electrical chain.
        it_mw: IT power, float64[P] or a number, from 0 to ``design.it_design_mw``.
        temperature_c: dry bulb.
        wet_bulb_c: wet bulb, from the function of that name.
        sea_c: sea temperature (seawater); the design's constant where left out.

    Returns:
        One `Overhead` of the broadcast shape.

    """
    given = (it_mw, temperature_c, wet_bulb_c, design.sea_c if sea_c is None else sea_c)
    it, dry, wet, sea = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in given))
    inside_mw, inside_full_mw = _inside_losses(design, electrical, it)
    share = (it + inside_mw) / (design.it_design_mw + inside_full_mw)
    pump = _cube(design, design.pump_fraction, share)
    indoor = design.indoor_fraction * it
    heat = it + inside_mw + pump + indoor

    air, wetting_k = _sink(design, dry, wet, sea)
    need_c = design.supply_c - design.exchanger_k - air
    # fans slow down when there is more room than the design approach; they never exceed full flow
    slack = np.minimum(design.approach_k / np.maximum(need_c, design.approach_k), 1.0)
    fan = _cube(design, design.fan_fraction, share * slack)
    free, chiller = _chiller(design, air, heat)

    cooling = fan + pump + indoor + chiller
    rated_mw = design.it_design_mw + inside_full_mw
    losses = inside_mw + _transformer(electrical, rated_mw, it + inside_mw + cooling)
    evaporation, drift, blowdown = _water(design, wet, heat + chiller, wetting_k)
    return Overhead(
        fan_mw=fan,
        pump_mw=pump,
        indoor_mw=indoor,
        chiller_mw=chiller,
        cooling_mw=cooling,
        losses_mw=losses,
        heat_rejected_mw=heat,
        source_c=np.full(it.shape, design.supply_c + design.delta_t_k),
        free_fraction=free,
        water_m3_per_h=evaporation + drift + blowdown,
        evaporation_m3_per_h=evaporation,
        drift_m3_per_h=drift,
        blowdown_m3_per_h=blowdown,
    )


def site_factor(
    design: CoolingDesign,
    electrical: Electrical,
    it_mw_max: npt.ArrayLike,
    temperature_c: npt.ArrayLike,
    wet_bulb_c: npt.ArrayLike,
    sea_c: npt.ArrayLike | None = None,
) -> tuple[Array, Array]:
    """A straight line that site power never exceeds, to turn a connection limit into an IT limit.

    Site power (IT, cooling and losses; no auxiliaries) is convex in IT power, so the chord from 0
    to ``it_mw_max`` lies above it: ``site <= fixed_mw + per_it * it`` for every 0 <= it <= max.

    Args:
        design: the cooling plant.
        electrical: the electrical chain.
        it_mw_max: the largest IT power asked about, above zero, float64[P] or a number.
        temperature_c: dry bulb.
        wet_bulb_c: wet bulb.
        sea_c: sea temperature (seawater).

    Returns:
        ``(fixed_mw, per_it)``, float64 of the broadcast shape. Then (limit - fixed) / per_it is an
        IT power that keeps the site within its limit.

    Raises:
        BadInput: when ``it_mw_max`` is not above zero.
    """
    most = np.asarray(it_mw_max, dtype=np.float64)
    if not np.all(np.isfinite(most)) or np.any(most <= 0.0):
        raise refuse("cooling", "it_mw_max", it_mw_max, "must be above zero and finite")
    none = overhead(design, electrical, np.zeros_like(most), temperature_c, wet_bulb_c, sea_c)
    full = overhead(design, electrical, most, temperature_c, wet_bulb_c, sea_c)
    # rounding must not let the line dip below the curve at its two ends
    fixed_mw = none.overhead_mw * (1.0 + 1e-12)
    per_it = 1.0 + (full.overhead_mw - none.overhead_mw) / most
    return fixed_mw, per_it * (1.0 + 1e-12)


def pue(it_mw: npt.ArrayLike, site_mw: npt.ArrayLike, hours: npt.ArrayLike) -> float:
    """Power usage effectiveness over a span: site energy over IT energy, never a mean of ratios.

    Returns:
        The ratio, or nan when no IT energy was used.
    """
    it_mwh = float(np.sum(np.asarray(it_mw, float) * np.asarray(hours, float)))
    site_mwh = float(np.sum(np.asarray(site_mw, float) * np.asarray(hours, float)))
    return site_mwh / it_mwh if it_mwh > 0.0 else math.nan


def wue_l_per_kwh(water_m3: npt.ArrayLike, it_mwh: npt.ArrayLike) -> float:
    """Water usage effectiveness over a span, litres per kWh of IT energy (m3/MWh is the same)."""
    energy = float(np.sum(np.asarray(it_mwh, float)))
    return float(np.sum(np.asarray(water_m3, float))) / energy if energy > 0.0 else math.nan


def _inside_losses(design: CoolingDesign, electrical: Electrical, it: Array) -> tuple[Array, float]:
    """UPS and distribution losses (both inside the building, so the loop cools them), now and full.

    The always-there part of the UPS belongs to its rating, the rest follows the power through it.
    """
    spread = electrical.distribution_loss_fraction
    per_mw = 1.0 / electrical.ups_efficiency - 1.0
    rated_mw = design.it_design_mw * (1.0 + spread)
    fixed = per_mw * electrical.ups_fixed_share * rated_mw
    moving = per_mw * (1.0 - electrical.ups_fixed_share)
    now = spread * it + fixed + moving * it * (1.0 + spread)
    full = spread * design.it_design_mw + per_mw * rated_mw
    return np.asarray(now, dtype=np.float64), full


def _transformer(electrical: Electrical, rated_mw: float, through_mw: Array) -> Array:
    """Loss of the transformers: iron always, copper with the power through them."""
    iron = electrical.transformer_fixed_share * rated_mw
    copper = (1.0 - electrical.transformer_fixed_share) * through_mw
    return np.asarray(electrical.transformer_loss_fraction * (iron + copper), dtype=np.float64)


def _cube(design: CoolingDesign, fraction: float, flow: Array) -> Array:
    """Power of fans or pumps at a share of full flow, by the affinity law, with a floor."""
    rated = fraction * design.it_design_mw
    return np.asarray(rated * np.maximum(flow, design.flow_floor) ** 3, dtype=np.float64)


def _sink(design: CoolingDesign, dry: Array, wet: Array, sea: Array) -> tuple[Array, Array]:
    """Temperature the outdoor unit works against, and by how many kelvin pads cooled the air."""
    still = np.zeros_like(dry)
    if design.technology == "evaporative":
        return wet, still
    if design.technology == "seawater":
        return sea, still
    if design.technology == "dry":
        return dry, still
    wanted = design.supply_c - design.exchanger_k - design.approach_k
    most = design.wetting * np.maximum(dry - wet, 0.0)
    cooled = np.clip(dry - wanted, 0.0, most)
    return dry - cooled, cooled


def _chiller(design: CoolingDesign, sink: Array, heat: Array) -> tuple[Array, Array]:
    """Share of heat rejected without chiller, and the chiller's power."""
    outdoor_c = sink + design.approach_k
    reached_c = outdoor_c + design.exchanger_k
    return_c = design.supply_c + design.delta_t_k
    free = np.clip((return_c - reached_c) / design.delta_t_k, 0.0, 1.0)
    cold_k = design.supply_c - design.exchanger_k + _KELVIN
    lift = np.maximum(outdoor_c + design.exchanger_k + _KELVIN - cold_k, 1.0)
    cop = np.minimum(design.chiller_quality * cold_k / lift, design.chiller_cop_max)
    return free, np.asarray((1.0 - free) * heat / cop, dtype=np.float64)


def _water(
    design: CoolingDesign, wet: Array, heat_mw: Array, wetting_k: Array
) -> tuple[Array, Array, Array]:
    """Evaporation, drift and blow-down, m3/h."""
    none = np.zeros_like(heat_mw)
    if design.technology in ("dry", "seawater"):
        return none, none, none
    per_hour = _KW_PER_MW * _S_PER_H / _WATER_KG_PER_M3
    if design.technology == "adiabatic":
        vapour = _vaporisation_kj_per_kg(wet)
        evaporation = per_hour * heat_mw * wetting_k / design.air_rise_k / vapour
        return evaporation, none, evaporation / (design.cycles - 1.0)
    vapour = _vaporisation_kj_per_kg(wet + design.approach_k + design.tower_range_k / 2.0)
    evaporation = per_hour * heat_mw / vapour
    flow = per_hour * heat_mw / (_WATER_KJ_PER_KG_K * design.tower_range_k)
    drift = flow * design.drift_fraction
    return evaporation, drift, np.maximum(evaporation / (design.cycles - 1.0) - drift, 0.0)


def _vaporisation_kj_per_kg(temperature_c: Array) -> Array:
    """Heat of vaporisation of water (fit of Lei and Masanet 2022, valid 0 to 60 degC)."""
    return -0.0013 * temperature_c**2 - 2.3097 * temperature_c + 2500.5
