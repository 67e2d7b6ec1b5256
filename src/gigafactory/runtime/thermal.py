"""Wiring of what a site does with its heat: surface water, water under caps, the heat pump."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gigafactory.adapters.site import DryPlant, Lift
from gigafactory.factory.models import Factory, Site
from gigafactory.grid import MarketCalendar
from gigafactory.grid.noise import YearNoise
from gigafactory.grid.weather import generate_weather
from gigafactory.plant import Chip
from gigafactory.plant.heat import heat_pump_cop
from gigafactory.plant.rationing import RunCap, UsualNeed, WaterGuard
from gigafactory.plant.thermal import (
    CoolingDesign,
    Electrical,
    Overhead,
    overhead,
    typical,
    wet_bulb_c,
)

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Technologies that take fresh water.
WET = ("adiabatic", "evaporative")
_DAYS = 365
#: A year no run can have: its synthetic weather says what is usual, and is nobody's future.
_USUAL_YEAR = 1969
#: Synthetic years whose mean is the usual need of water.
_USUAL_YEARS = 3
#: IT power at which it is counted, share of the design; our assumption, about a full year's mean.
USUAL_LOAD_SHARE = 0.85
_ML_PER_M3 = 1e6


def design_mw_of(factory: Factory, site: str, catalogue: Mapping[str, Chip]) -> float:
    """IT power of a site when every accelerator does its dearest work, fabric included, MW."""
    fabric_w = factory.sites[site].network.watt_per_accelerator_w
    full_w = sum(
        p.accelerators * (max(catalogue[p.chip].work_w.values()) + fabric_w)
        for p in factory.fleet
        if p.site == site
    )
    return full_w / 1e6


def design_of(site: Site, it_design_mw: float) -> tuple[CoolingDesign, Electrical]:
    """Cooling plant and power chain of a site, sized for an IT power."""
    c = site.cooling
    changes = {
        "approach_k": c.approach_k,
        "chiller_cop_max": c.chiller_cop,
        "fan_fraction": c.fan_fraction,
        "pump_fraction": c.pump_fraction,
        "cycles": c.cycles_of_concentration,
        "indoor_fraction": c.indoor_fraction,
        "delta_t_k": c.delta_t_k,
        "drift_fraction": c.drift_fraction,
    }
    if c.surface_water is not None:
        changes["sea_c"] = c.surface_water.mean_c
    design = typical(c.technology, it_design_mw, c.supply_c, **changes)
    electrical = Electrical(
        c.ups_efficiency, c.transformer_loss_fraction, c.distribution_loss_fraction
    )
    return design, electrical


def sea_c(site: Site, calendar: MarketCalendar) -> Array | None:
    """Temperature of the surface water per period, [P]; None without a block that says it.

    A cosine over the year around its mean, warmest on the day the file names.
    """
    water = site.cooling.surface_water
    if water is None:
        return None
    day = _year_day(calendar)
    wave = np.cos(2.0 * np.pi * (day - (water.warmest_day - 1)) / _DAYS)
    return np.asarray(water.mean_c + water.swing_k * wave)


def dry_design(design: CoolingDesign) -> CoolingDesign:
    """What cools a site that may not use water.

    Wetted dry coolers go on dry. A site with towers is taken to own typical dry coolers of the same
    size and supply temperature; without them a cap could not be kept while it runs.
    """
    if design.technology == "adiabatic":
        return replace(design, technology="dry")
    return typical("dry", design.it_design_mw, design.supply_c)


def lift_of(site: Site) -> Lift | None:
    """The heat pump of a site; None where the file has none.

    COP = quality x Carnot between source and network plus pinch (`gigafactory.plant.heat`).
    """
    heat = site.heat
    if heat is None or heat.pump is None:
        return None
    sink_c = heat.network_c + heat.pump.pinch_k
    cop = float(heat_pump_cop(sink_c, heat.source_c, heat.cop_quality))
    return Lift(cop=cop, inside=heat.pump.owner == "site")


def water_guard(
    site: Site,
    calendar: MarketCalendar,
    design: CoolingDesign,
    electrical: Electrical,
    wet: Overhead,
    air: tuple[Array, Array],
    it_grid_mw: Array,
) -> tuple[WaterGuard | None, DryPlant | None]:
    """What keeps a site's caps on water, and its plant without water; none where nothing caps it.

    Args:
        site: as its file has it.
        calendar: market periods of the run.
        design: the cooling plant.
        electrical: the power chain.
        wet: its overhead, [P, K].
        air: dry and wet bulb, [P] each.
        it_grid_mw: loads of the tables, [K].
    """
    caps = _caps(site, calendar)
    if not caps or design.technology not in WET:
        return None, None
    without = dry_design(design)
    dry = overhead(without, electrical, it_grid_mw[None, :], air[0][:, None], air[1][:, None])
    hours = calendar.hours()
    guard = WaterGuard(
        caps=caps,
        run_day=np.asarray(calendar.day_of, np.int64),
        year_day=_year_day(calendar),
        most_ml=wet.water_m3_per_h[:, -1] * hours * _ML_PER_M3,
        relief_share=_relief(dry, wet, float(it_grid_mw[-1])),
        usual=_usual(site, design, without, electrical),
    )
    plant = DryPlant(dry.cooling_mw, dry.losses_mw, dry.water_m3_per_h, dry.heat_rejected_mw)
    return guard, plant


def _relief(dry: Overhead, wet: Overhead, it_mw: float, load: int = -1) -> Array:
    """Power that water saves at a load of the grid, as a share of that load, [P]."""
    return np.asarray((dry.overhead_mw[:, load] - wet.overhead_mw[:, load]) / it_mw)


def _caps(site: Site, calendar: MarketCalendar) -> tuple[RunCap, ...]:
    """Caps of the file over the periods of a run.

    What was drawn before the run began is not known, and counts as nothing.
    """
    water, dates = site.water, calendar.local_dates
    day = np.asarray(calendar.day_of, np.int64)
    year = np.array([d.year for d in dates], np.int64)[day]
    month = np.array([d.year * 12 + d.month for d in dates], np.int64)[day]
    ends = np.array([min(_month_end(d).timetuple().tm_yday, _DAYS) - 1 for d in dates], np.int64)
    year_end = np.full(calendar.periods, _DAYS - 1, np.int64)
    spans = (
        ("year", water.cap_m3_per_y, year, year_end, True),
        ("month", water.cap_month_m3, month, ends[day], True),
        ("day", water.cap_day_m3, day, _year_day(calendar), False),
    )
    return tuple(
        RunCap(name, int(most * _ML_PER_M3), span, last, kept)
        for name, most, span, last, kept in spans
        if most is not None
    )


def _month_end(day: dt.date) -> dt.date:
    first = dt.date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return first - dt.timedelta(days=1)


def _year_day(calendar: MarketCalendar) -> Ints:
    """Number of each period's local day in its year, from 0; the 366th is the 365th."""
    days = [min(d.timetuple().tm_yday, _DAYS) - 1 for d in calendar.local_dates]
    return np.array(days, np.int64)[np.asarray(calendar.day_of, np.int64)]


def _usual(
    site: Site, design: CoolingDesign, without: CoolingDesign, electrical: Electrical
) -> UsualNeed:
    """Water a usual year needs, hour by hour: the mean of synthetic years that nobody runs."""
    if site.water.cap_m3_per_y is None and site.water.cap_month_m3 is None:
        nothing = np.zeros(0)
        return UsualNeed(np.zeros(0, np.int64), nothing, nothing)
    calendar = MarketCalendar.of(dt.date(_USUAL_YEAR, 1, 1), _DAYS, site.timezone)
    warmer = site.outside.temperature_add_k if site.outside else 0.0
    load = np.array([USUAL_LOAD_SHARE * design.it_design_mw])
    days, needs, reliefs = [], [], []
    for seed in range(_USUAL_YEARS):
        noise = YearNoise(seed, _USUAL_YEAR, calendar.periods, calendar.periods)
        weather = generate_weather(
            noise, calendar.start_ns[:-1], site.place.latitude, site.place.longitude
        )
        air = weather.temperature_c.reshape(-1, 4).mean(axis=1) + warmer
        damp = wet_bulb_c(air, weather.humidity_percent.reshape(-1, 4).mean(axis=1))
        wet, dry = (
            overhead(d, electrical, load[None, :], air[:, None], damp[:, None])
            for d in (design, without)
        )
        days.append(_year_day(calendar)[::4])
        needs.append(wet.water_m3_per_h[:, 0] * _ML_PER_M3 / _USUAL_YEARS)
        reliefs.append(_relief(dry, wet, float(load[0])))
    return UsualNeed.of(np.concatenate(days), np.concatenate(needs), np.concatenate(reliefs))


__all__ = [
    "USUAL_LOAD_SHARE",
    "WET",
    "design_mw_of",
    "design_of",
    "dry_design",
    "lift_of",
    "sea_c",
    "water_guard",
]
