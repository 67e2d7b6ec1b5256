"""What leaves a site beside its work, from the book: heat, water, and what sensors would show.

The plant's physics is worked out again at the metered IT power and the weather of the journal, in
the mode each period ran in, so nothing here needs the loop: a replay gives the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gigafactory.adapters.twin import SENSES
from gigafactory.engine.streams import stream
from gigafactory.factory.models import Factory, Sensor, Site
from gigafactory.grid import MarketCalendar
from gigafactory.ledger import METERS, Book
from gigafactory.plant import Chip
from gigafactory.plant.cooling import discharge_c, plume_excess_kg_per_kg, stress_weighted_m3
from gigafactory.plant.monitoring import Monitored, exceedance, lden_db, level_db
from gigafactory.plant.thermal import CoolingDesign, Overhead, overhead
from gigafactory.runtime.loop import Trace
from gigafactory.runtime.thermal import WET, design_mw_of, design_of, dry_design, sea_c
from gigafactory.runtime.told import Told
from gigafactory.units import NS_PER_H

Array = npt.NDArray[np.float64]

_M = {name: i for i, name in enumerate(METERS)}
_SENSE = {name: i for i, name in enumerate(SENSES)}
_YEAR_H = 8766.0
_G_PER_KG, _S_PER_H = 1000.0, 3600.0
UNITS = {"noise": "dB(A)", "air": "µg/m3", "plume": "g/kg"}
#: Sound power of a fan goes with 50 log10 of its speed (the usual fan law; general knowledge).
_FAN_DB = 50.0
_SOURCE = "our model from load, cooling mode and weather; a run has no sensors"
#: Psychrometer coefficient times pressure at sea level, hPa per kelvin.
_PSYCHROMETER_HPA_PER_K = 6.62e-4 * 1013.25


@dataclass(frozen=True, slots=True, eq=False)
class SiteCourse:
    """A site's plant over the periods done, [N].

    Attributes:
        hours: length of a period, h.
        it_mw: IT power.
        site_mw: IT, losses, cooling, auxiliaries and a heat pump of its own.
        water_m3: fresh water, per period.
        air_c: outdoor temperature.
        damp_c: its wet bulb.
        short: periods cooled without water for want of it.
        design: the cooling plant.
        plant: what it needed, in the mode it ran in.
    """

    hours: float
    it_mw: Array
    site_mw: Array
    water_m3: Array
    air_c: Array
    damp_c: Array
    short: npt.NDArray[np.bool_]
    design: CoolingDesign
    plant: Overhead


def site_course(
    factory: Factory,
    catalogue: Mapping[str, Chip],
    book: Book,
    trace: Trace,
    s: int,
    sea: Array | None = None,
) -> SiteCourse:
    """Work the plant of a site out again from what was metered.

    Args:
        factory: as its file has it.
        catalogue: accelerators.
        book: accounts of the run.
        trace: weather of the run.
        s: number of the site.
        sea: temperature of the surface water per period, where it is known.
    """
    n, hours = book.periods, book.header.edges_ns[2] / NS_PER_H
    name = book.header.sites[s]
    design, electrical = design_of(factory.sites[name], design_mw_of(factory, name, catalogue))
    mw = {key: book.meter[:n, s, i] / (1e6 * hours) for key, i in _M.items()}
    air, damp = (trace.senses[:n, s, _SENSE[k]] for k in ("temperature_c", "wet_bulb_c"))
    short = book.meter[:n, s, _M["water_short_s"]] > 0
    given = None if sea is None else sea[:n]
    plant = overhead(design, electrical, mw["it_wh"], air, damp, given)
    if short.any():
        dry = overhead(dry_design(design), electrical, mw["it_wh"], air, damp)
        names = Overhead.__dataclass_fields__
        plant = Overhead(**{k: np.where(short, getattr(dry, k), getattr(plant, k)) for k in names})
    parts = ("it_wh", "cooling_wh", "losses_wh", "auxiliary_wh", "heat_pump_wh")
    return SiteCourse(
        hours=hours,
        it_mw=mw["it_wh"],
        site_mw=np.sum([mw[k] for k in parts], axis=0),
        water_m3=book.meter[:n, s, _M["water_ml"]] / 1e6,
        air_c=air,
        damp_c=damp,
        short=short,
        design=design,
        plant=plant,
    )


def courses(told: Told, book: Book, trace: Trace) -> list[SiteCourse]:
    """The course of every site."""
    sites = told.factory.sites.values()
    return [
        site_course(told.factory, told.catalogue, book, trace, s, sea_c(site, told.calendar))
        for s, site in enumerate(sites)
    ]


# --- cooling and water -----------------------------------------------------------------------


def cooling_rows(told: Told, book: Book, made: list[SiteCourse]) -> list[dict[str, Any]]:
    """Cooling and water of each site, for the summary."""
    rows = []
    for s, (name, site) in enumerate(told.factory.sites.items()):
        c = made[s]
        works = c.it_mw * c.hours > 1e-6
        pue = _quantiles(c.site_mw[works] / c.it_mw[works], "pue")
        wue = _quantiles(c.water_m3[works] / (c.it_mw[works] * c.hours), "wue_l_per_kwh")
        free = c.plant.free_fraction
        n, water = book.periods, float(c.water_m3.sum())
        factor = site.water.stress_factor
        rows.append(
            {
                "site": name,
                "technology": site.cooling.technology,
                "water_m3": water,
                "cap_year_m3": site.water.cap_m3_per_y,
                "cap_month_m3": site.water.cap_month_m3,
                "cap_day_m3": site.water.cap_day_m3,
                "fullest_share": _fullest(told, site, c),
                "short_h": float(book.meter[:n, s, _M["water_short_s"]].sum()) / _S_PER_H,
                "short_mwh": float(book.meter[:n, s, _M["water_short_wh"]].sum()) / 1e6,
                "stress_weighted_m3": None
                if factor is None
                else float(stress_weighted_m3(water, factor)),
                "free_h": float((free >= 1.0).sum()) * c.hours,
                "partial_h": float(((free > 0.0) & (free < 1.0)).sum()) * c.hours,
                "chiller_h": float((free <= 0.0).sum()) * c.hours,
                **pue,
                **wue,
                **_discharge(told, site, c),
            }
        )
    return rows


def _quantiles(values: Array, name: str) -> dict[str, float | None]:
    at = {"p05": 0.05, "p50": 0.5, "p95": 0.95, "max": 1.0}
    if not len(values):
        return {f"{name}_{key}": None for key in at}
    found = np.quantile(values, list(at.values()))
    return {f"{name}_{key}": float(v) for key, v in zip(at, found, strict=True)}


def _fullest(told: Told, site: Site, c: SiteCourse) -> float | None:
    """Water of the fullest span over its cap, of whichever cap comes nearest; None without one."""
    n, dates = len(c.water_m3), told.calendar.local_dates
    day = told.calendar.day_of[:n]
    spans = (
        (site.water.cap_m3_per_y, [d.year for d in dates]),
        (site.water.cap_month_m3, [d.year * 12 + d.month for d in dates]),
        (site.water.cap_day_m3, list(range(len(dates)))),
    )
    most = [
        float(np.bincount(np.array(of)[day] - of[0], c.water_m3).max()) / cap
        for cap, of in spans
        if cap
    ]
    return max(most, default=None)


def _discharge(told: Told, site: Site, c: SiteCourse) -> dict[str, float | None]:
    """Temperature of water given back to the sea or river, against its limits."""
    water, sea = site.cooling.surface_water, sea_c(site, told.calendar)
    names = ("discharge_c_mean", "discharge_c_max", "discharge_limit_c", "discharge_above_h")
    if water is None or sea is None:
        return dict.fromkeys(names)
    intake = sea[: len(c.it_mw)]
    heat = np.where(c.it_mw > 0.0, c.plant.heat_rejected_mw + c.plant.chiller_mw, 0.0)
    out = discharge_c(heat, water.flow_m3_per_s, intake)
    above = np.zeros(len(out), np.bool_)
    if water.discharge_c_max is not None:
        above |= out > water.discharge_c_max
    if water.rise_k_max is not None:
        above |= out - intake > water.rise_k_max
    values = (out.mean(), out.max(), water.discharge_c_max, above.sum() * c.hours)
    return {name: None if v is None else float(v) for name, v in zip(names, values, strict=True)}


# --- sensors ---------------------------------------------------------------------------------


def monitored(site: Site, name: str, c: SiteCourse) -> list[tuple[Sensor, Monitored]]:
    """What the sensors of a site would have shown, gaps left open.

    The gaps of a sensor follow from its name alone, so two runs have theirs at the same times and
    compare like with like.
    """
    if site.monitoring is None or not len(c.it_mw):
        return []
    models = {"noise": _noise_db, "air": _air_ug_per_m3, "plume": _plume_g_per_kg}
    found = []
    for sensor in site.monitoring.sensors:
        values = models[sensor.kind](site, sensor, c)
        gaps = sensor_gaps(f"{name}/{sensor.name}", len(values), c.hours, sensor)
        values = np.where(gaps, np.nan, values)
        unit = UNITS[sensor.kind]
        span = np.full(len(values), c.hours)
        series = Monitored(sensor.name, unit, values, span, _SOURCE, 2026, "synthetic")
        found.append((sensor, series))
    return found


def _noise_db(_: Site, sensor: Sensor, c: SiteCourse) -> Array:
    """Level at the fence: fans by the law of their speed, added as energy to the background."""
    rated = c.design.fan_fraction * c.design.it_design_mw
    ambient = 10.0 ** (sensor.background / 10.0)
    if rated <= 0.0 or sensor.full <= 0.0:
        return np.full(len(c.it_mw), sensor.background)
    # power goes with the cube of flow, and so of speed; dry coolers of a site with towers are
    # larger than the towers' fans and may pass full speed of those
    speed = np.cbrt(c.plant.fan_mw / rated)
    fans = 10.0 ** ((sensor.full + _FAN_DB * np.log10(speed)) / 10.0)
    return np.asarray(10.0 * np.log10(ambient + np.where(c.it_mw > 0.0, fans, 0.0)))


def _air_ug_per_m3(site: Site, sensor: Sensor, c: SiteCourse) -> Array:
    """Fine dust: the background, and the salts in what towers let drift."""
    assert site.monitoring is not None
    kg_per_m3 = site.monitoring.dissolved_kg_per_m3 * c.design.cycles
    grams_per_s = c.plant.drift_m3_per_h * kg_per_m3 * _G_PER_KG / _S_PER_H
    return np.asarray(sensor.background + sensor.full * np.where(c.it_mw > 0.0, grams_per_s, 0.0))


def _plume_g_per_kg(_: Site, sensor: Sensor, c: SiteCourse) -> Array:
    """What a plume condenses at most; only towers send out saturated air.

    It leaves as warm as the water in the middle of the tower. Wetted pads cool air that coils warm
    again afterwards, so it is far from saturated.
    """
    if c.design.technology != "evaporative":
        return np.full(len(c.it_mw), sensor.background)
    leaving = c.damp_c + c.design.approach_k + c.design.tower_range_k / 2.0
    humidity = _humidity_pct(c.air_c, c.damp_c)
    excess = plume_excess_kg_per_kg(c.air_c, humidity, leaving) * _G_PER_KG
    works = (c.it_mw > 0.0) & ~c.short
    return np.asarray(sensor.background + np.where(works, excess, 0.0))


def _humidity_pct(air_c: Array, damp_c: Array) -> Array:
    """Relative humidity from dry and wet bulb by the psychrometer equation, sea level, percent."""

    def saturation_hpa(c: Array) -> Array:
        return np.asarray(6.112 * np.exp(17.62 * c / (243.12 + c)))

    vapour = saturation_hpa(damp_c) - _PSYCHROMETER_HPA_PER_K * (air_c - damp_c)
    return np.asarray(np.clip(100.0 * vapour / saturation_hpa(air_c), 0.0, 100.0))


def sensor_gaps(name: str, periods: int, hours: float, sensor: Sensor) -> npt.NDArray[np.bool_]:
    """Periods in which a sensor gives nothing: spells of exponential length, [periods]."""
    gaps = np.zeros(periods, np.bool_)
    if sensor.coverage >= 1.0:
        return gaps
    draw = stream(0, "sensor gaps", name)
    up_h = sensor.gap_h * sensor.coverage / (1.0 - sensor.coverage)
    at = 0.0
    while at < periods:
        begin = at + draw.exponential(up_h) / hours
        at = begin + draw.exponential(sensor.gap_h) / hours
        gaps[math.ceil(begin) : math.ceil(at)] = True
    return gaps


def monitored_table(
    factory: Factory, catalogue: Mapping[str, Chip], book: Book, trace: Trace
) -> pa.Table:
    """What sensors would have shown: one row per sensor and period, null in its gaps."""
    first, _, step = book.header.edges_ns
    start = first + step * np.arange(book.periods, dtype=np.int64)
    words: list[tuple[str, ...]] = []
    values = [np.zeros(0)]
    for s, (name, site) in enumerate(factory.sites.items()):
        if site.monitoring is None:
            continue
        course = site_course(factory, catalogue, book, trace, s)
        for sensor, series in monitored(site, name, course):
            words.append((name, sensor.name, sensor.kind, series.unit))
            values.append(np.asarray(series.values))
    number = np.repeat(np.arange(len(words), dtype=np.int32), book.periods)
    begin = np.tile(start, len(words))
    return pa.table(
        {
            **{
                key: pa.array([row[k] for row in words], pa.string()).take(pa.array(number))
                for k, key in enumerate(("site", "sensor", "kind", "unit"))
            },
            "start_ns": begin,
            "end_ns": begin + step,
            "value": pa.array(np.concatenate(values), pa.float64(), from_pandas=True),
        }
    )


def monitoring_rows(told: Told, made: list[SiteCourse]) -> list[dict[str, Any]]:
    """Each sensor held against its limit, for the summary."""
    rows = []
    calendar: MarketCalendar = told.calendar
    for s, (name, site) in enumerate(told.factory.sites.items()):
        for sensor, series in monitored(site, name, made[s]):
            n = len(series.values)
            allowed_h = sensor.allowed_h * min(n * made[s].hours / _YEAR_H, 1.0)
            found = exceedance(series, sensor.limit, allowed_h)
            sound = sensor.kind == "noise"
            lden = lden_db(series, calendar.local_hour[:n]) if sound else math.nan
            level = level_db(series) if sound else series.mean()
            rows.append(
                {
                    "site": name,
                    "sensor": sensor.name,
                    "kind": sensor.kind,
                    "unit": series.unit,
                    "mean": level if math.isfinite(level) else None,
                    "max": float(np.nanmax(series.values)) if series.covered.any() else None,
                    "lden_db": lden if math.isfinite(lden) else None,
                    "limit": sensor.limit,
                    "exceeded_h": found.exceeded_h,
                    "allowed_h": allowed_h,
                    "covered_h": found.covered_h,
                    "gap_h": found.gap_h,
                    "longest_gap_h": series.longest_gap_h,
                    "judgement": found.judgement,
                }
            )
    return rows


__all__ = [
    "WET",
    "SiteCourse",
    "cooling_rows",
    "courses",
    "monitored",
    "monitored_table",
    "monitoring_rows",
    "sensor_gaps",
    "site_course",
]
