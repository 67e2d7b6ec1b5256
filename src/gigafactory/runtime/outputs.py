"""What a run leaves behind: the tables, the summary, and where each figure came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from gigafactory.adapters.twin import SENSES
from gigafactory.factory import (
    classify,
    fleet_h100_equivalents,
    fleet_rated_mw,
    installed_storage_pb,
)
from gigafactory.factory.models import Factory
from gigafactory.finance import CAVEAT, YearTotals, lcoc
from gigafactory.jobs import Mission
from gigafactory.kernel import FULL_SPEED, Why
from gigafactory.ledger import METERS, Book, account_table, conservation, job_table, transfer_table
from gigafactory.ledger.book import FATES, PAID, RECEIPT
from gigafactory.ledger.facts import GENERATOR_COLUMNS, GROUP_COLUMNS, POOL_COLUMNS
from gigafactory.ledger.integrals import SHARED
from gigafactory.ledger.tables import job_states
from gigafactory.plant import Chip, load_catalogue
from gigafactory.runtime.access import access
from gigafactory.runtime.accesstime import access_time_rows
from gigafactory.runtime.carbon import carbon
from gigafactory.runtime.contribution import statements
from gigafactory.runtime.goodput import fragmentation, goodput
from gigafactory.runtime.heat import heat
from gigafactory.runtime.leaving import cooling_rows, courses, monitored_table, monitoring_rows
from gigafactory.runtime.limits import budget_rows, storage_rows
from gigafactory.runtime.loop import Trace
from gigafactory.runtime.origins import source_table
from gigafactory.runtime.outages import outage_rows, own_generation
from gigafactory.runtime.power import contract_rows
from gigafactory.runtime.reservesummary import RESERVE_ACCOUNTS, SOLD, reserves_of
from gigafactory.runtime.serving import services_of
from gigafactory.runtime.shares import NO_SHARES, need_gpu_h, read_shares, share_rows, share_totals
from gigafactory.runtime.told import Told
from gigafactory.runtime.transportbill import sources_of_transport
from gigafactory.runtime.transportsummary import transport_summary
from gigafactory.runtime.unplanned import plans_told
from gigafactory.runtime.wiring import CLASSES
from gigafactory.units import NS_PER_H

YEAR_H = 8766.0
_M = {name: i for i, name in enumerate(METERS)}
#: What a site pays for beside energy; reserves are told apart.
_NOT_ENERGY = frozenset(
    {"water", "heat", "data", "breach", "grid_tariff", "congestion", *RESERVE_ACCOUNTS}
)


def _write(table: pa.Table, path: Path) -> None:
    # one row-group layout, no statistics of this machine: the same table gives the same bytes
    pq.write_table(table, path, compression="zstd", compression_level=3, row_group_size=1 << 20)


#: Tables that follow from the journal alone.
DERIVED = (
    "accounts.parquet",
    "jobs.parquet",
    "monitored.parquet",
    "series.parquet",
    "transfers.parquet",
)


def write_derived(folder: Path, book: Book, trace: Trace, factory: Factory) -> None:
    """Write the tables that follow from the journal alone (`DERIVED`)."""
    chips = {i: p.chip for i, p in enumerate(factory.fleet)}
    missions = tuple(m.label for m in Mission)
    _write(series_table(book, trace), folder / "series.parquet")
    _write(job_table(book, missions, chips), folder / "jobs.parquet")
    _write(account_table(book), folder / "accounts.parquet")
    _write(transfer_table(book), folder / "transfers.parquet")
    sensors = monitored_table(factory, load_catalogue(), book, trace)
    _write(sensors, folder / "monitored.parquet")


def write_tables(folder: Path, told: Told, book: Book, trace: Trace) -> None:
    """Write every table of a run: series, receipts, accounts, transfers, sources."""
    write_derived(folder, book, trace, told.factory)
    rules = (*sources_of_transport(told.factory, told.calendar.local_dates[0]), *told.reserves)
    origins = source_table(told.factory, told.catalogue, told.signals, told.table, rules)
    _write(origins, folder / "sources.parquet")


def series_table(book: Book, trace: Trace) -> pa.Table:
    """One row per site and period, in real numbers for reading and drawing."""
    n = book.periods
    first, _, step = book.header.edges_ns
    start = first + step * np.arange(n, dtype=np.int64)
    hours = step / NS_PER_H
    parts = []
    for s, name in enumerate(book.header.sites):
        pools = [i for i, of in enumerate(book.header.pool_site) if of == s]
        meter = {m: book.meter[:n, s, i] / (1e6 * hours) for m, i in _M.items()}
        senses = {m: trace.senses[:n, s, i] for i, m in enumerate(SENSES)}
        taken = [k for k, of in enumerate(book.header.contract_site) if of == s]
        group = book.group[:n][:, pools].sum(axis=1)
        columns: dict[str, npt.NDArray[Any]] = {
            "start_ns": start,
            "end_ns": start + step,
            **{k: v for k, v in senses.items() if k.endswith(("mwh", "_c", "_mw"))},
            "it_mw": meter["it_wh"],
            "network_mw": meter["network_wh"],
        }
        columns |= _it_columns(book, s, group, hours)
        for name_ in ("cooling", "auxiliary", "losses", "import", "export", "charge", "discharge"):
            columns[f"{name_}_mw"] = meter[f"{name_}_wh"]
        columns["generation_mw"] = meter["generation_wh"]
        columns["dumped_mw"] = meter["dumped_wh"]
        columns["heat_mw"] = meter["heat_wh"]
        for name_ in ("heat_pump", "heat_network", "water_short"):
            columns[f"{name_}_mw"] = meter[f"{name_}_wh"]
        columns["ppa_mw"] = book.contract[:n, taken, 0].sum(axis=1) / (1e6 * hours)
        columns["day_ahead_mw"] = meter["day_ahead_wh"]
        columns["intraday_mw"] = meter["intraday_wh"]
        columns["imbalance_mw"] = book.imbalance_wh[:n, s] / (1e6 * hours)
        columns |= {f"{name}_mw": meter[f"{name}_wh"] for name in SOLD}
        columns["afrr_mw"] = meter["afrr_down_asked_wh"] - meter["afrr_up_asked_wh"]
        columns["water_m3"] = book.meter[:n, s, _M["water_ml"]] / 1e6
        columns["co2_location_kg"] = book.shared_total[:n, s, 1] / 1e6
        columns["co2_market_kg"] = book.shared_total[:n, s, 2] / 1e6
        columns["co2_stack_kg"] = book.shared_total[:n, s, SHARED.index("co2_stack_mg")] / 1e6
        energy = [i for i, p in enumerate(PAID) if p not in _NOT_ENERGY]
        columns["energy_eur"] = book.paid[:n, s][:, energy].sum(axis=1) / 1e6
        for g, label in enumerate(CLASSES):
            columns[f"speed_{label}"] = trace.speed[:n, s, g] / FULL_SPEED
            used = group[:, g, GROUP_COLUMNS.index("used_ns")]
            columns[f"running_{label}"] = used / step
        queued = book.pool[:n][:, pools, POOL_COLUMNS.index("queued")]
        waiting = book.pool[:n][:, pools, POOL_COLUMNS.index("queued_accelerators")]
        columns["queued_jobs"] = queued.sum(axis=1)
        columns["queued_accelerators"] = waiting.sum(axis=1)
        columns["hours_installed"] = book.installed_s[:n, s] / 3600
        for i, fate in enumerate(FATES):
            columns[f"hours_{fate}"] = book.fate_s[:n, s, i] / 3600
        columns["hours_useful"] = book.useful_s[:n, s].sum(axis=1) / 3600
        columns["hours_overhead"] = book.overhead_s[:n, s].sum(axis=1) / 3600
        label_of = pa.DictionaryArray.from_arrays(np.zeros(n, np.int32), pa.array([name]))
        parts.append(pa.table({"site": label_of, **columns}))
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()


def _it_columns(
    book: Book, s: int, group: npt.NDArray[np.int64], hours: float
) -> dict[str, npt.NDArray[Any]]:
    """IT power by use without the fabric's share, so that uses, rest and network add up to IT."""
    n = book.periods
    used = group[..., GROUP_COLUMNS.index("used_ns")].astype(float)
    pools = [i for i, of in enumerate(book.header.pool_site) if of == s]
    service = book.pool[:n][:, pools, POOL_COLUMNS.index("service_ns")].sum(axis=1).astype(float)
    fabric_wh = book.meter[:n, s, _M["network_wh"]] / np.maximum(service, 1.0)
    columns = {
        f"it_{label}_mw": (book.it_wh[:n, s, g] - used[:, g] * fabric_wh) / (1e6 * hours)
        for g, label in enumerate(CLASSES)
    }
    rest = (service - used.sum(axis=1)) * fabric_wh
    columns["it_idle_mw"] = (book.it_wh[:n, s, len(CLASSES)] - rest) / (1e6 * hours)
    return columns


def _waits(book: Book) -> dict[str, dict[str, float]]:
    out: dict[str, dict[str, float]] = {}
    submit, start = (book.receipt[RECEIPT.index(k)] for k in ("submit_ns", "start_ns"))
    for g, label in enumerate(CLASSES):
        mine = (book.ask["job_class"] == g) & (book.ask["pool"] >= 0) & (start >= 0)
        if not mine.any():
            continue
        wait = (start[mine] - submit[mine]) / 1e9
        p50, p95 = np.quantile(wait, (0.5, 0.95))
        out[label] = {"mean": float(wait.mean()), "p50": float(p50), "p95": float(p95)}
    return out


def _waited_for(book: Book) -> dict[str, dict[str, float]]:
    """Jobs by what they waited for when they came, and accelerators times wait until they started.

    Jobs of an interrupted run that wait at its end say nothing and are left out.
    """
    submit, start = (book.receipt[RECEIPT.index(k)] for k in ("submit_ns", "start_ns"))
    end = book.header.edges_ns[0] + book.periods * book.header.edges_ns[2]
    waited_h = (np.where(start >= 0, start, end) - submit) / NS_PER_H
    told = (book.ask["pool"] >= 0) & (book.waited_for >= 0)
    out = {}
    for why in Why:
        # the quota node meant stands in the higher bits
        mine = told & (book.waited_for % 256 == why)
        hours = float((book.ask["accelerators"][mine] * waited_h[mine]).sum())
        out[why.name.lower()] = {"jobs": int(mine.sum()), "waited_gpu_h": hours}
    return out


def _refused_by(told: Told, book: Book) -> list[dict[str, Any]]:
    """Jobs by the rule that refused them, and the accelerator-hours they asked."""
    need = need_gpu_h(told)
    rows = []
    for at, rule in enumerate(book.header.rules):
        mine = book.refused_by == at
        if mine.any():
            asked = float(need[mine].sum())
            rows.append({"rule": rule, "jobs": int(mine.sum()), "requested_gpu_h": asked})
    return rows


def _jobs(told: Told, book: Book) -> dict[str, Any]:
    asked = book.ask["pool"] >= 0
    refused = book.refused_by >= 0
    counts = np.bincount(job_states(book)[asked & ~refused], minlength=6)
    names = ("queued", "running", "completed", "cancelled", "failed", "timeout")
    jobs: dict[str, Any] = {"total": int((asked | refused).sum())}
    jobs |= {name: int(n) for name, n in zip(names, counts, strict=True)}
    jobs["refused"] = int(refused.sum())
    jobs["refused_by"] = _refused_by(told, book)
    jobs["lost"] = jobs["total"] - int(counts.sum()) - jobs["refused"]
    jobs["not_yet_submitted"] = int((~asked & ~refused).sum())
    jobs["wait_s"] = _waits(book)
    jobs["waited_for"] = _waited_for(book)
    return jobs


def _site_design_mw(factory: Factory, catalogue: Mapping[str, Chip]) -> float:
    return (
        sum(
            p.accelerators
            * (
                max(catalogue[p.chip].work_w.values())
                + factory.sites[p.site].network.watt_per_accelerator_w
            )
            for p in factory.fleet
        )
        / 1e6
    )


def summarise(
    told: Told,
    book: Book,
    trace: Trace,
    digest: str,
    limit_missed_wh: int,
    yardstick: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The summary: stable, documented keys (`docs/reference/summary.md`)."""
    hours, energy, money = _hours(book), _energy(book, limit_missed_wh), _money(book)
    n = book.periods
    equivalents = fleet_h100_equivalents(told.factory, told.catalogue)
    problems, rounding = conservation(book)
    table, calendar = told.table, told.calendar
    shares, own = read_shares(told, book), own_generation(told, book)
    return {
        "name": told.factory.name,
        "seed": told.seed,
        "start": calendar.local_dates[0].isoformat(),
        "days": calendar.days,
        "days_done": len(trace.plans),
        "complete": len(trace.plans) == calendar.days,
        "timezone": calendar.timezone,
        "synthetic": told.signals.price.state == "synthetic" or table.state == "synthetic",
        "digest": digest,
        "accelerators": {
            "physical": sum(p.accelerators for p in told.factory.fleet),
            "h100_equivalent": equivalents,
            "class": classify(equivalents),
            "rated_it_mw": fleet_rated_mw(told.factory, told.catalogue),
            "storage_pb": installed_storage_pb(told.factory),
        },
        "jobs": {**_jobs(told, book), "origin": table.origin, "scaling": list(table.scaling)},
        "accelerator_hours": hours,
        "goodput": goodput(told, book),
        "fragmentation": fragmentation(book),
        "services": services_of(told, book, trace),
        "budgets": budget_rows(told, book),
        "access_time": access_time_rows(told, book),
        "storage": storage_rows(told.factory, n * book.header.edges_ns[2] / NS_PER_H),
        "shares": share_rows(shares) if shares else None,
        "shares_of_tenants": share_totals(shares) if shares else None,
        **access(told, book, shares),
        "not_recorded": _not_recorded(shares is not None, len(trace.plans) == calendar.days),
        "energy": energy,
        "reserves": reserves_of(told, book, trace),
        "yardstick": yardstick,
        "transport": transport_summary(told, book, trace),
        **statements(told, book, trace, yardstick),
        **_footprint(book, energy),
        **_left(told, book, trace),
        "own_generation": own,
        "outages": outage_rows(book, trace),
        "money": money,
        **_cost(told, book, hours["sold"], money),
        **plans_told(trace.plans, trace.conflicts, calendar, book.header.sites, trace.again),
        "conservation": {
            "holds": not problems,
            "problems": [str(p) for p in problems],
            "segments": book.segments,
            "rounding": rounding,
            "shared": list(SHARED),
        },
        "notes": list(told.notes),
    }


def _footprint(book: Book, energy: Mapping[str, float]) -> dict[str, Any]:
    """Ratios over the whole run, water, heat handed over, and carbon by the ledger."""
    n, it, site = book.periods, energy["it_mwh"], energy["site_mwh"]
    reused = float(book.meter[:n, :, _M["heat_wh"]].sum()) / 1e6
    water = float(book.meter[:n, :, _M["water_ml"]].sum()) / 1e6
    made = float(book.generator[:n, ..., GENERATOR_COLUMNS.index("water_ml")].sum()) / 1e6
    cooling_m3 = water - made  # a generator's own water is no cooling of IT
    return {
        "pue": site / it if it else None,
        "wue_l_per_kwh": cooling_m3 / it if it else None,
        "erf": reused / site if site else None,
        "water_m3": water,
        "heat_mwh": reused,
        "co2_kg": _co2_kg(book),
    }


def _left(told: Told, book: Book, trace: Trace) -> dict[str, Any]:
    """Carbon by the hour, power contracts, and what left the sites: water, heat, noise and air."""
    made = courses(told, book, trace)
    return {
        "carbon": carbon(told, book),
        "contracts": contract_rows(told.factory, book),
        "cooling": cooling_rows(told, book, made),
        "heat": heat(told, book, made),
        "monitoring": monitoring_rows(told, made),
    }


def _co2_kg(book: Book) -> dict[str, float]:
    """Emitted for what was imported (scope 2, two ways), and at own stacks (scope 1)."""
    names = {"location": "co2_location_mg", "market": "co2_market_mg", "stack": "co2_stack_mg"}
    total = book.shared_total[: book.periods]
    return {key: float(total[:, :, SHARED.index(n)].sum()) / 1e6 for key, n in names.items()}


def _not_recorded(has_shares: bool, complete: bool) -> list[str]:
    """What the summary lacks, and why."""
    lacking = [] if has_shares else [NO_SHARES]
    if not complete:
        lacking.append("jobs.waited_for: jobs that wait where the run stopped are not in it")
    return lacking


def _hours(book: Book) -> dict[str, Any]:
    n = book.periods
    fates = {fate: float(book.fate_s[:n, :, i].sum()) / 3600 for i, fate in enumerate(FATES)}
    by_class = {
        label: float(book.useful_s[:n, :, g].sum()) / 3600 for g, label in enumerate(CLASSES)
    }
    return {
        "installed": float(book.installed_s[:n].sum()) / 3600,
        **fates,
        "useful": float(book.useful_s[:n].sum()) / 3600,
        "overhead": float(book.overhead_s[:n].sum()) / 3600,
        "useful_by_class": by_class,
        "sold": float(book.receipt[RECEIPT.index("gpu_s")].sum()) / 3600,
    }


def _energy(book: Book, limit_missed_wh: int) -> dict[str, float]:
    n = book.periods
    metered = {
        key: float(book.meter[:n, :, _M[f"{key}_wh"]].sum()) / 1e6
        for key in ("it", "import", "export", "cooling", "losses", "auxiliary", "charge",
                    "discharge", "day_ahead", "intraday", "network", "generation", "dumped",
                    "heat_pump")
    }  # fmt: skip
    site = sum(metered[k] for k in ("it", "cooling", "losses", "auxiliary", "heat_pump"))
    return {
        "it_mwh": metered.pop("it"),
        "site_mwh": site,
        **{f"{k}_mwh": v for k, v in metered.items()},
        "ppa_mwh": float(book.contract[:n, :, 0].sum()) / 1e6,
        "ppa_curtailed_mwh": float(book.contract[:n, :, 1].sum()) / 1e6,
        "imbalance_mwh": float(book.imbalance_wh[:n].sum()) / 1e6,
        "beyond_limit_mwh": limit_missed_wh / 1e6,
    }


def _money(book: Book) -> dict[str, Any]:
    n = book.periods
    paid = {p: float(book.paid[:n, :, i].sum()) / 1e6 for i, p in enumerate(PAID)}
    return {
        "energy_eur": sum(v for k, v in paid.items() if k not in _NOT_ENERGY),
        "revenue_eur": float(book.receipt[RECEIPT.index("revenue_micro_eur")].sum()) / 1e6,
        "water_eur": paid["water"],
        "heat_eur": -paid["heat"],
        "reserves_eur": -sum(paid[name] for name in RESERVE_ACCOUNTS),
        "grid_tariff_eur": paid["grid_tariff"],
        "congestion_eur": -paid["congestion"],
        "paid_eur": paid,
    }


def _cost(told: Told, book: Book, sold: float, money: Mapping[str, Any]) -> dict[str, Any]:
    """Levelised cost of compute; a run shorter than a year is scaled up to one."""
    span_h = book.periods * (book.header.edges_ns[2] / NS_PER_H)
    year = YEAR_H / span_h if span_h else 0.0
    totals = YearTotals(
        sold_gpu_h=sold * year,
        energy_eur=(money["energy_eur"] + money["grid_tariff_eur"] - money["congestion_eur"])
        * year,
        water_eur=money["water_eur"] * year,
        heat_eur=money["heat_eur"] * year,
        it_design_mw=_site_design_mw(told.factory, told.catalogue),
    )
    parts = lcoc(told.factory, told.catalogue, totals)
    ends: dict[str, float | None] = dict.fromkeys(("low", "base", "high"))
    if parts:
        ends = {c: sum(part[c] for part in parts.values()) for c in ends}
    return {"lcoc_eur_per_gpu_h": ends, "lcoc": {"components": parts, "caveat": CAVEAT}}


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write `summary.json`, keys in the order given."""
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "summary.json").write_text(text + "\n", "utf-8")
