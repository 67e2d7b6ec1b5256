"""A made-up run folder: plausible numbers in the shape a run leaves behind, without a run.

For tests that read run folders (the report, comparisons, the control room) and for looking at a
page before an engine exists. The figures are drawn from smooth curves and named random streams;
they satisfy the identities of the ledger (energy in = energy out, accelerator-hours add up,
contracts sum to the net import), so that a reader which re-adds them can be checked. They say
nothing about a real factory, and the summary is marked synthetic.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from gigafactory.engine.streams import stream
from gigafactory.factory import load_factory
from gigafactory.factory.dossier import KEPT, dossier_of
from gigafactory.testing.run_shares import policy_block, share_keys, wait_keys

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CLASSES: Final = (
    "frontier_training",
    "research",
    "fine_tuning",
    "inference_batch",
    "inference_realtime",
)
MISSIONS: Final = (
    "none",
    "energy_transition",
    "circular_economy",
    "health",
    "agriculture_water_food",
    "security",
)
#: Fictional tenants with the mission they serve (index into `MISSIONS`).
TENANTS: Final[tuple[tuple[str, int], ...]] = (
    ("Polder Language Models", 0),
    ("Maas Foundation Lab", 0),
    ("Delta Reasoning", 0),
    ("Tidal Forecasting", 1),
    ("Grid Congestion Twin", 1),
    ("Offshore Wind Wake Lab", 1),
    ("Second Life Materials", 2),
    ("Concrete Passport", 2),
    ("Noorder Radiology", 3),
    ("Early Sepsis Alert", 3),
    ("Protein Atelier", 3),
    ("Greenhouse Pilot", 4),
    ("Soil and Salt", 4),
    ("Water Board Foresight", 4),
    ("Harbour Watch", 5),
)
#: Shares of accelerators by class, and watts per busy accelerator (made up, of the right size).
_SHARES: Final = (0.34, 0.17, 0.13, 0.09, 0.15)
_WORK_W: Final = (1150.0, 900.0, 980.0, 850.0, 800.0)
_IDLE_W: Final = 190.0
_SOURCES: Final = (
    (
        "sites[0].connection.import_limit_mw",
        "150",
        "MW",
        "factory file, fictional",
        2026,
        "assumption",
    ),
    ("H100.peak_w", "1,275", "W", "vendor data sheet, node power / 8", 2023, "published"),
    ("H100.power_curve.research", "0.05", "rmse", "fit on measured node power", 2024, "measured"),
    ("price", "", "EUR/MWh", "generated day-ahead price", 2024, "synthetic"),
    ("temperature", "", "degC", "generated weather", 2024, "synthetic"),
    ("water_price", "1.2", "EUR/m3", "assumed", 2025, "assumption"),
)


def write_run_folder(
    folder: Path,
    *,
    days: int = 366,
    jobs: int = 20_000,
    seed: int = 0,
    start: dt.date = dt.date(2024, 1, 1),
    sites: tuple[str, ...] = ("maasvlakte",),
    synthetic: bool = True,
    accelerators: int = 100_000,
    factory: str | None = None,
) -> Path:
    """Write a made-up run folder.

    Args:
        folder: the folder to make; its parents are made too.
        days: local days in the period, one or more.
        jobs: number of jobs in `jobs.parquet`.
        seed: names the random numbers.
        start: first local day.
        sites: names of the sites; each gets the same share of the accelerators.
        synthetic: what the summary says about its input.
        accelerators: physical accelerators over all sites.
        factory: name of a bundled factory whose file and dossier the run carries; None for a few
            lines that no check would pass.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    edges = _edges(start, days)
    frames = [
        _site(name, edges, accelerators // len(sites), seed, number)
        for number, name in enumerate(sites)
    ]
    series = pa.concat_tables([pa.table(frame) for frame in frames])
    pq.write_table(series, folder / "series.parquet", compression="zstd")
    ledger = _jobs(jobs, edges, seed)
    pq.write_table(ledger, folder / "jobs.parquet", compression="zstd", row_group_size=262_144)
    columns = ("figure", "value", "unit", "source", "year", "state")
    rows = [dict(zip(columns, row, strict=True)) for row in _SOURCES]
    pq.write_table(pa.Table.from_pylist(rows), folder / "sources.parquet")
    if factory is None:
        text = yaml.safe_dump(_factory(sites), sort_keys=True)
    else:
        text = _carry(factory, folder)
    (folder / "factory.yaml").write_text(text, "utf-8")
    summary = _summary(folder.name, series, ledger, days, seed, start, accelerators)
    summary["synthetic"] = synthetic
    summary["days_done"] = days
    (folder / "summary.json").write_text(json.dumps(summary, indent=2, sort_keys=True), "utf-8")
    return folder


def _edges(start: dt.date, days: int) -> Ints:
    """Period edges in ns UTC: quarter-hours from local midnight to local midnight."""
    zone = ZoneInfo("Europe/Amsterdam")
    first = dt.datetime(start.year, start.month, start.day, tzinfo=zone)
    last_day = start + dt.timedelta(days=days)
    last = dt.datetime(last_day.year, last_day.month, last_day.day, tzinfo=zone)
    quarters = (int(last.timestamp()) - int(first.timestamp())) // 900
    return int(first.timestamp()) * 10**9 + np.arange(quarters + 1, dtype=np.int64) * 900 * 10**9


def _weather(edges: Ints, seed: int) -> dict[str, Floats]:
    """Price, temperature and wet bulb per period: a seasonal wave, a daily wave and red noise."""
    starts = edges[:-1] / 1e9
    day = 2 * np.pi * (starts / 86_400.0)
    year = 2 * np.pi * (starts / (365.25 * 86_400.0))
    draw = stream(seed, "run-folder", "weather")
    slow = np.interp(starts, starts[::96], np.cumsum(draw.normal(0, 1.0, len(starts[::96]))) * 0.25)
    gusts = np.interp(starts, starts[::24], draw.normal(0, 1, len(starts[::24])))
    temperature = 10.5 - 8 * np.cos(year) - 3.2 * np.cos(day - 0.5) + 2.2 * gusts
    sun = np.clip(-np.cos(day) * (0.55 - 0.45 * np.cos(year)), 0, None)
    price = 82 + 10 * np.cos(year) - 95 * sun + 26 * gusts - 16 * np.cos(2 * day) + 1.5 * slow
    return {
        "price_eur_per_mwh": price,
        "imbalance_eur_per_mwh": price + draw.normal(0, 45, len(price)),
        "temperature_c": temperature,
        "wet_bulb_c": temperature - 2.1,
    }


def _work(edges: Ints, accelerators: int, seed: int, number: int) -> dict[str, Floats]:
    """Running accelerators and hours by fate; the ten accounts sum to the installed hours."""
    periods = len(edges) - 1
    starts = edges[:-1] / 1e9
    day = 2 * np.pi * (starts / 86_400.0)
    draw = stream(seed, "run-folder", "work", number)
    hours = np.diff(edges) / 3.6e12
    out: dict[str, Floats] = {}
    for index, label in enumerate(CLASSES):
        wave = np.interp(starts, starts[::24], draw.normal(0, 0.05, len(starts[::24])))
        swing = 0.25 if label == "inference_realtime" else 0.04
        busy = _SHARES[index] * (1 + wave - swing * np.cos(day - 0.8))
        out[f"running_{label}"] = accelerators * np.clip(busy, 0.0, 0.4)
    running = sum(out.values())
    room = np.minimum(1.0, 0.97 * accelerators / np.asarray(running))
    for label in CLASSES:
        out[f"running_{label}"] *= room
    occupied = np.sum([out[f"running_{label}"] for label in CLASSES], axis=0) * hours
    installed = np.full(periods, float(accelerators)) * hours
    awaiting = installed * np.where(np.arange(periods) < periods * 0.08, 0.10, 0.0)
    down = installed * 0.008
    spare = np.clip(installed - occupied - awaiting - down, 0, None)
    occupied = installed - awaiting - down - spare
    out |= {
        "hours_installed": installed,
        "hours_awaiting_power": awaiting,
        "hours_down": down,
        "hours_reserved_idle": spare * 0.2,
        "hours_held_paused": spare * 0.05,
        "hours_idle": spare * 0.75,
        "hours_overhead": occupied * 0.021,
        "hours_lost_failure": occupied * 0.006,
        "hours_lost_response": occupied * 0.001,
        "hours_lost_preemption": occupied * 0.002,
    }
    out["hours_useful"] = installed - sum(
        out[key] for key in out if key.startswith("hours_") and key != "hours_installed"
    )
    return out


def _site(name: str, edges: Ints, accelerators: int, seed: int, number: int) -> dict[str, Any]:
    """All columns of one site, with both energy identities kept."""
    weather = _weather(edges, seed)
    work = _work(edges, accelerators, seed, number)
    price, periods = weather["price_eur_per_mwh"], len(edges) - 1
    hours = np.diff(edges) / 3.6e12
    column: dict[str, Any] = {"site": np.full(periods, name), "start_ns": edges[:-1]}
    column |= {"end_ns": edges[1:], **weather, **work}
    busy = np.zeros(periods)
    throttle = np.where(price > np.quantile(price, 0.985), 0.93, 1.0)
    for label, watts in zip(CLASSES, _WORK_W, strict=True):
        running = work[f"running_{label}"]
        speed = throttle if label in ("research", "fine_tuning") else np.ones(periods)
        column[f"it_{label}_mw"] = running * watts * (0.25 + 0.75 * speed**1.4) / 1e6
        column[f"speed_{label}"] = speed
        busy += running
    column["it_idle_mw"] = (accelerators - busy) * _IDLE_W / 1e6
    column["network_mw"] = np.full(periods, accelerators * 30 / 1e6)
    it_mw = np.sum([column[f"it_{c}_mw"] for c in CLASSES], axis=0)
    it_mw = it_mw + column["it_idle_mw"] + column["network_mw"]
    cooling = it_mw * (0.055 + 0.0035 * np.clip(weather["wet_bulb_c"] - 8, 0, None))
    auxiliary, losses = np.full(periods, 0.012 * accelerators / 1e3), it_mw * 0.032
    cheap, dear = price < np.quantile(price, 0.14), price > np.quantile(price, 0.88)
    charge, discharge = np.where(cheap, 20.0, 0.0), np.where(dear, 18.0, 0.0)
    demand = it_mw + cooling + auxiliary + losses + charge
    limit = np.where(np.arange(periods) % 672 > 560, 0.92, 1.0) * 1.42 * accelerators / 1e3
    net = demand - discharge
    ppa = 45 + 35 * np.sin(np.arange(periods) / 230.0)
    imbalance = stream(seed, "run-folder", "imbalance", number).normal(0, 1.5, periods)
    solved = {"cooling_mw": cooling, "auxiliary_mw": auxiliary, "losses_mw": losses}
    column |= solved | {"it_mw": it_mw, "limit_mw": np.maximum(limit, net)}
    column |= {"import_mw": np.clip(net, 0, None), "export_mw": np.clip(-net, 0, None)}
    column |= {"charge_mw": charge, "discharge_mw": discharge, "ppa_mw": ppa}
    column |= {"soc_mwh": np.full(periods, 60.0), "ppa_available_mw": ppa}
    column |= {"imbalance_mw": imbalance, "day_ahead_mw": net - ppa - imbalance - 1.0}
    column["intraday_mw"] = np.full(periods, 1.0)
    column |= _footprint(column, it_mw, net, hours)
    column["envelope_mw"] = np.full(periods, 1.3 * accelerators / 1e3)
    queue = 900 + 700 * np.sin(np.arange(periods) / 400.0)
    column |= {"queued_jobs": queue, "queued_accelerators": queue * 11}
    return column


def _footprint(column: dict[str, Any], it_mw: Floats, net: Floats, hours: Floats) -> dict[str, Any]:
    """Heat, water, carbon and energy money of a site."""
    cold = np.clip(1 - column["temperature_c"] / 18.0, 0.05, 1.0)
    intensity = 270 + 0.6 * column["price_eur_per_mwh"]
    return {
        "heat_demand_mw": 25 * cold,
        "heat_mw": np.minimum(25 * cold, 0.3 * it_mw),
        "water_m3": it_mw * hours * (0.05 + 0.02 * np.clip(column["wet_bulb_c"] - 10, 0, None)),
        "co2_location_kg": np.clip(net * hours * intensity, 0, None),
        "co2_market_kg": np.clip((net - column["ppa_mw"]) * hours * 380, 0, None),
        "energy_eur": (column["ppa_mw"] * 68.0) * hours
        + column["day_ahead_mw"] * hours * column["price_eur_per_mwh"]
        + column["intraday_mw"] * hours * (column["price_eur_per_mwh"] + 3.0)
        + column["imbalance_mw"] * hours * column["imbalance_eur_per_mwh"],
    }


def _jobs(count: int, edges: Ints, seed: int) -> pa.Table:
    """The receipts: one row per job, in order of submission."""
    draw = stream(seed, "run-folder", "jobs")
    submit = np.sort(draw.integers(edges[0], edges[-1], count))
    tenant = draw.choice(len(TENANTS), count, p=_tenant_weights())
    kind = draw.choice(len(CLASSES), count, p=(0.01, 0.55, 0.24, 0.17, 0.03))
    states = ("completed", "cancelled", "failed", "timeout", "running", "queued", "refused")
    state = draw.choice(7, count, p=(0.78, 0.09, 0.1, 0.015, 0.005, 0.008, 0.002))
    size = 3 * 2 ** np.minimum(draw.geometric(0.32, count) + np.where(kind == 0, 7, 0), 12)
    run_s = np.exp(draw.normal(6.0 + 2.5 * (kind == 0), 1.7, count))
    at_once = draw.random(count) < 0.62
    wait_s = np.where(at_once, 0.0, np.exp(draw.normal(4.5 + 0.6 * kind, 1.8, count)))
    started = ~np.isin(state, (5, 6))
    gpu_s = np.where(started, size * run_s, 0).astype(np.int64)
    allocated = (gpu_s * 1.03).astype(np.int64)
    energy_wh = (allocated * np.asarray(_WORK_W)[kind] / 3600).astype(np.int64)
    start = submit + (wait_s * 1e9).astype(np.int64)
    missions = np.asarray([mission for _, mission in TENANTS])[tenant]

    def words(values: npt.NDArray[Any], names: tuple[str, ...]) -> pa.Array:
        codes = pa.array(values.astype(np.int8))
        return pa.DictionaryArray.from_arrays(codes, pa.array(names))

    return pa.table(
        {
            "job": np.arange(count, dtype=np.int64),
            "tenant": words(tenant, tuple(name for name, _ in TENANTS)),
            "job_class": words(kind, CLASSES),
            "mission": words(missions, MISSIONS),
            "chip": words(np.zeros(count), ("H100",)),
            "pool": words(np.zeros(count), ("hall-1",)),
            "accelerators": size.astype(np.int32),
            "submit_ns": submit,
            "start_ns": np.where(started, start, -1),
            "end_ns": np.where(started, start + (run_s * 1e9).astype(np.int64), -1),
            "state": words(state, states),
            "wait_s": np.where(started, wait_s, np.nan),
            "gpu_s": gpu_s,
            "allocated_gpu_s": allocated,
            "energy_wh": energy_wh,
            "cost_micro_eur": energy_wh * 75,
            "revenue_micro_eur": gpu_s * 600,
            "co2_location_mg": energy_wh * 290,
            "co2_market_mg": energy_wh * 150,
            "water_ml": energy_wh // 9,
            "price_eur_per_gpu_h": np.full(count, 2.16),
        }
    )


def _tenant_weights() -> Floats:
    weights = 1.0 / (1.0 + np.arange(len(TENANTS)))
    return np.asarray(weights / weights.sum(), np.float64)


def _carry(factory: str, folder: Path) -> str:
    """The text of a bundled factory; its dossier is copied as a run does."""
    dossier = dossier_of(load_factory(factory)).path
    if dossier is not None:
        shutil.copytree(dossier, folder / KEPT)
    data = resources.files("gigafactory.factory") / "data" / "factories"
    return (data / f"{factory}.yaml").read_text("utf-8")


def _factory(sites: tuple[str, ...]) -> dict[str, Any]:
    site = {"timezone": "Europe/Amsterdam", "connection": {"import_limit": "150 MW"}}
    return {"name": "made-up", "sites": dict.fromkeys(sites, site), "policy": policy_block()}


def _summary(
    name: str, series: pa.Table, jobs: pa.Table, days: int, seed: int, start: dt.date, count: int
) -> dict[str, Any]:
    """The summary a run would write, added up from the two tables."""

    def column(key: str) -> Floats:
        return np.asarray(series[key].to_numpy(), np.float64)

    hours = (column("end_ns") - column("start_ns")) / 3.6e12

    def mwh(key: str) -> float:
        return float((column(key) * hours).sum())

    names = ("it", "import", "export", "cooling", "losses", "auxiliary", "charge", "discharge")
    energy = {
        f"{k}_mwh": mwh(f"{k}_mw") for k in (*names, "ppa", "day_ahead", "intraday", "imbalance")
    }
    inside = ("it_mwh", "cooling_mwh", "losses_mwh", "auxiliary_mwh")
    energy["site_mwh"] = sum(energy[key] for key in inside)
    water, heat = float(column("water_m3").sum()), mwh("heat_mw")
    fates = [key for key in series.column_names if key.startswith("hours_")]
    fate_hours = {key[6:]: float(column(key).sum()) for key in fates}
    return {
        "name": name,
        "seed": seed,
        "start": start.isoformat(),
        "days": days,
        "digest": "0" * 64,
        "wall_s": 41.2,
        "peak_rss_mib": 1900.0,
        "jobs": {**_job_counts(jobs), **wait_keys(jobs)},
        "accelerators": {
            "physical": count,
            "h100_equivalent": float(count),
            "class": "ai_gigafactory",
        },
        "accelerator_hours": fate_hours,
        **share_keys(tuple(name for name, _ in TENANTS), jobs, fate_hours, days),
        "energy": energy,
        "pue": energy["site_mwh"] / energy["it_mwh"],
        "wue_l_per_kwh": water / energy["it_mwh"],
        "erf": heat / energy["site_mwh"],
        "water_m3": water,
        "heat_mwh": heat,
        "co2_kg": {k: float(column(f"co2_{k}_kg").sum()) for k in ("location", "market")},
        "money": {
            "energy_eur": float(column("energy_eur").sum()),
            "revenue_eur": float(np.asarray(jobs["revenue_micro_eur"]).sum() / 1e6),
            "water_eur": water * 1.2,
            "heat_eur": heat * 12.0,
            "grid_tariff_eur": 1_234_567.0,
            "congestion_eur": 8_900.0,
        },
        "transport": _transport(),
        "lcoc_eur_per_gpu_h": {"low": 1.62, "base": 2.21, "high": 3.05},
        "lcoc": {"components": _cost_parts()},
        "conservation": {"accelerator_seconds": 0, "energy_wh": 0, "micro_eur": 0},
    }


def _transport() -> dict[str, Any]:
    """What a connection's contracts came to; every form of right and kind of call, made up."""
    forms = ("firm", "duration_bound", "fully_variable", "time_block")
    return {
        "simulated": True,
        "rights": [
            {
                "site": "coast",
                "right": f"right-{k}",
                "form": form,
                "capacity_mw": 40.0 + k,
                "restricted_h": 7.25 * k,
                "restricted_h_max": None if form == "fully_variable" else 1314.0,
                "announced": 2 * k,
                "refused": k,
            }
            for k, form in enumerate(forms)
        ],
        "calls": [
            {
                "site": "coast",
                "kind": kind,
                "told": 4,
                "accepted": 3,
                "hours": 3.5,
                "asked_mwh": 52.5,
                "delivered_mwh": 50.0,
                "missing_mwh": 2.5,
                "delivered_share": 50.0 / 52.5,
                "paid_eur": 8_000.0,
                "charged_eur": 300.0,
            }
            for kind in ("steering", "redispatch")
        ],
        "bill": [
            {
                "site": "coast",
                "line": line,
                "quantity": 12.25,
                "unit": unit,
                "amount_eur": 1_000.0,
            }
            for line, unit in (
                ("standing charge", "year"),
                ("contracted power, right-0 (firm)", "kW year"),
                ("kWmax 2025-03", "kW month"),
            )
        ],
        "bill_eur": 3_000.0,
        "firm_instead_eur": 4_000.0,
        "beyond_right": 0,
        "ramps": [
            {
                "site": "coast",
                "edges": 6_719,
                "exempt": 12,
                "stretched": 345,
                "longest_min": 2.75,
                "step_mw_max": 77.0,
            }
        ],
    }


def _cost_parts() -> dict[str, dict[str, float]]:
    parts = {
        "accelerators": (0.92, 1.21, 1.66),
        "building": (0.28, 0.37, 0.52),
        "network": (0.11, 0.16, 0.22),
        "energy": (0.14, 0.20, 0.33),
        "staff": (0.05, 0.08, 0.12),
        "maintenance": (0.12, 0.19, 0.20),
    }
    return {k: dict(zip(("low", "base", "high"), v, strict=True)) for k, v in parts.items()}


def _job_counts(jobs: pa.Table) -> dict[str, Any]:
    states = np.asarray(jobs["state"].combine_chunks().dictionary_decode())
    kinds = np.asarray(jobs["job_class"].combine_chunks().dictionary_decode())
    waits = np.asarray(jobs["wait_s"], np.float64)
    counts: dict[str, Any] = {"total": len(states), "lost": 0, "wait_s": {}}
    for label in ("completed", "cancelled", "failed", "timeout", "running", "queued", "refused"):
        counts[label] = int((states == label).sum())
    for label in CLASSES:
        some = waits[(kinds == label) & np.isfinite(waits)]
        if len(some):
            p50, p95 = np.quantile(some, (0.5, 0.95))
            mean = float(some.mean())
            counts["wait_s"][label] = {"mean": mean, "p50": float(p50), "p95": float(p95)}
    return counts
