"""What must hold of any run, checked from its folder alone and by other means than the ledger's.

The journal is read frame by frame and jobs are followed one by one; the tables are added up again
from their columns. Slow and plain on purpose.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from gigafactory.engine.journal import frames
from gigafactory.factory import Factory, load_factory
from gigafactory.ledger import GROUP_COLUMNS, MOVES, POOL_COLUMNS
from gigafactory.ledger.book import INVOICED
from gigafactory.ledger.facts import MOVE, REFUSE
from gigafactory.runtime.replay import verify

#: Wh by which quantising each of a site's meters may move its import in a period.
ROUNDING_WH = 8.0
_START, _BACKFILL, _RESUME, _FINISH, _LIMIT, _PAUSE, _EVICT, _PREEMPT, _FAIL, _GROW, _SHIFT = range(
    1, 12
)


def run_problems(folder: Path) -> list[str]:
    """Everything that does not hold of a run, in words; empty when all does."""
    _, problems, proved = verify(folder)
    found = [str(p) for p in problems]
    if not proved:
        return [*found, "the run could not be proved"]
    factory = load_factory(folder / "factory.yaml")
    found += _series(folder, factory)
    found += _generators(folder, factory)
    found += _accounts(folder)
    found += _jobs(folder)
    found += _journal(folder, len(factory.fleet))
    return found


def _columns(path: Path) -> dict[str, Any]:
    table = pq.read_table(path)
    return {
        name: np.asarray(table.column(name).to_pylist())
        if table.schema.field(name).type in ("string",)
        else table.column(name).to_numpy(zero_copy_only=False)
        for name in table.column_names
    }


def _series(folder: Path, factory: Factory) -> Iterator[str]:
    """Limits, bounds and power balance of every site and period."""
    all_sites = _columns(folder / "series.parquet")
    for site in factory.sites:
        mine = all_sites["site"] == site
        c = {name: column[mine] for name, column in all_sites.items()}
        hours = (c["end_ns"] - c["start_ns"]) / 3.6e12
        slack = ROUNDING_WH / 1e6 / hours
        yield from _beyond(site, "import above the limit", c["import_mw"] - c["limit_mw"], slack)
        yield from _beyond(site, "IT above its envelope", c["it_mw"] - c["envelope_mw"], slack)
        export = np.minimum(factory.sites[site].connection.export_mw, c["limit_mw"])
        yield from _beyond(site, "export above the right", c["export_mw"] - export, slack)
        into = c["import_mw"] + c["discharge_mw"] + c["generation_mw"]
        parts = ("it", "cooling", "auxiliary", "losses", "heat_pump", "charge", "export", "dumped")
        out = sum(c[f"{n}_mw"] for n in parts)
        yield from _beyond(site, "energy made or lost", np.abs(into - out), slack / 1000)
        both = np.minimum(c["import_mw"], c["export_mw"])
        yield from _beyond(site, "import and export at once", both, slack / 1000)
        yield from _battery(site, factory, c, hours)
        fates = [n for n in c if n.startswith("hours_") and n != "hours_installed"]
        off = np.abs(c["hours_installed"] - sum(c[n] for n in fates)) * 3600
        yield from _beyond(site, "hours do not add up", off, np.full(len(off), len(fates) + 11.0))
        for name in fates:
            # a rollback takes back work of earlier periods
            if name not in {"hours_useful", "hours_lost_failure"}:
                low = np.full(len(off), 1.0 / 3600)
                yield from _beyond(site, f"{name} below nought", -c[name], low)


def _battery(site: str, factory: Factory, c: dict[str, Any], hours: Any) -> Iterator[str]:
    mine = [b for b in factory.energy.batteries if b.site == site]
    if not mine:
        nothing = np.zeros(len(hours))
        yield from _beyond(site, "a battery that is not there", c["charge_mw"], nothing)
        yield from _beyond(site, "a battery that is not there", c["discharge_mw"], nothing)
        return
    (battery,) = mine
    low, high = battery.soc_min * battery.energy_mwh, battery.soc_max * battery.energy_mwh
    tiny = np.full(len(hours), 1e-9 * max(battery.energy_mwh, 1.0))
    yield from _beyond(site, "battery above its bound", c["soc_mwh"] - high, tiny)
    yield from _beyond(site, "battery below its bound", low - c["soc_mwh"], tiny)
    inverter = c["charge_mw"] + c["discharge_mw"] - battery.power_mw
    yield from _beyond(site, "battery above its power", inverter, 2e-6 / hours)
    gained = c["charge_mw"] * battery.efficiency_charge
    gained = (gained - c["discharge_mw"] / battery.efficiency_discharge) * hours
    drift = np.abs((low + high) / 2 + np.cumsum(gained) - c["soc_mwh"])
    # what rounding must not carry over a cable that may not export is metered later
    late = np.full(len(hours), 2 * ROUNDING_WH / 1e6)
    yield from _beyond(site, "battery physics", drift, late)


def _beyond(site: str, what: str, off: Any, slack: Any) -> Iterator[str]:
    wrong = np.flatnonzero(~(off <= slack))
    if len(wrong):
        k = int(wrong[0])
        yield f"{site}: {what} in {len(wrong)} periods, first {k} by {off[k]:.9g}"


def _generators(folder: Path, factory: Factory) -> Iterator[str]:
    """What own generators make, burn and have left, by the factory file."""
    accounts = _columns(folder / "accounts.parquet")
    series = _columns(folder / "series.parquet")
    for one in factory.energy.generators:
        if one.units == 0:
            continue
        mine = accounts["site"] == one.site
        hours = ((series["end_ns"] - series["start_ns"]) / 3.6e12)[mine]
        read = {
            name: accounts[f"generator.{one.name}.{name}"][mine]
            for name in ("made_wh", "fuel_wh", "stock_wh", "delivered_wh", "run_s")
        }
        slack = np.full(len(hours), 2.0)
        for name in ("made_wh", "fuel_wh", "delivered_wh", "run_s"):
            yield from _beyond(one.name, f"{name} below nought", -read[name], 0.0 * slack)
        most = one.power_mw * hours * 1e6
        yield from _beyond(one.name, "more than its power", read["made_wh"] - most, slack)
        least = read["made_wh"] * one.built().heat_rate_mwh_per_mwh * (1.0 - 1e-9)
        yield from _beyond(one.name, "power without fuel", least - read["fuel_wh"], 20.0 * slack)
        if one.fuel_stock_mwh is not None:
            yield from _beyond(
                one.name, "an empty tank below nought", -read["stock_wh"], 0.0 * slack
            )
            stock = round(one.fuel_stock_mwh * 1e6) + np.cumsum(
                read["delivered_wh"] - read["fuel_wh"]
            )
            yield from _beyond(one.name, "fuel lost", np.abs(stock - read["stock_wh"]), 0.0 * slack)


def _accounts(folder: Path) -> Iterator[str]:
    """Every group of accounts sums to its total, in whole numbers."""
    accounts = _columns(folder / "accounts.parquet")
    signs = {"energy.import_wh": -1, "energy.discharge_wh": -1, "energy.generation_wh": -1}
    totals = {
        "hours": "hours.installed_gpu_s",
        "cost": "cost.total_micro_eur",
        "co2_location": "co2_location.total_mg",
        "co2_market": "co2_market.total_mg",
        "water": "water.total_ml",
        "co2_stack": "co2_stack.total_mg",
    }
    for group in ("energy", *totals):
        total = totals.get(group)
        parts = [n for n in accounts if n.startswith(f"{group}.") and n != total]
        off = sum(signs.get(n, 1) * accounts[n].astype(np.int64) for n in parts)
        if total:
            off = off - accounts[total]
        if np.any(off):
            yield f"accounts: {group} is off by up to {np.abs(off).max()}"
    invoiced = {f"paid.{name}_micro_eur" for name in INVOICED}  # not shared out over jobs
    paid = sum(accounts[n] for n in accounts if n.startswith("paid.") and n not in invoiced)
    if np.any(paid != accounts["cost.total_micro_eur"]):
        yield "accounts: what was paid is not what was shared out"


def _jobs(folder: Path) -> Iterator[str]:
    """Receipts: states add up, instants rise, what finished was given its accelerators."""
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    jobs = _columns(folder / "jobs.parquet")
    counts = summary["jobs"]
    states = ("completed", "cancelled", "failed", "timeout", "running", "queued", "refused")
    if counts["total"] != sum(counts[s] for s in states) or counts["lost"]:
        yield f"jobs: {counts['total']} are not the sum of their states"
    # those refused at the door never came, and have no receipt
    header = next(frames(folder / "journal.gfj")).fields["header"]
    away = len(header["refused"])
    if len(jobs["job"]) != counts["total"] - away:
        yield f"jobs: {len(jobs['job'])} receipts for {counts['total']} jobs"
    for state in states:
        asked = counts[state] - (away if state == "refused" else 0)
        if int((jobs["state"] == state).sum()) != asked:
            yield f"jobs: the summary counts {counts[state]} {state}, the receipts do not"
    ended = np.isin(jobs["state"], ("completed", "cancelled", "failed", "timeout"))
    started = jobs["start_ns"] >= 0
    if np.any(ended != (jobs["end_ns"] >= 0)) or np.any(ended & ~started):
        yield "jobs: ends and states differ"
    if np.any(started & (jobs["start_ns"] < jobs["submit_ns"])):
        yield "jobs: one starts before it was submitted"
    if np.any(ended & (jobs["end_ns"] < jobs["start_ns"])):
        yield "jobs: one ends before it starts"
    used = jobs["gpu_s"]
    at_most = jobs["accelerators"] * ((jobs["end_ns"] - jobs["start_ns"]) / 1e9)
    if np.any(ended & (used > at_most + 1)):
        yield "jobs: one was given more than its accelerators for its time"
    if np.any(jobs["allocated_gpu_s"] < used):
        yield "jobs: one used more than it held"
    if np.any(~started & ((used != 0) | (jobs["energy_wh"] != 0))):
        yield "jobs: one that never started has used something"


def _journal(folder: Path, pools: int) -> list[str]:
    """Follow every job through the journal: nothing given twice, meters equal the sum of jobs."""
    found: list[str] = []
    held, active = [0] * pools, [0] * pools
    ask: dict[int, tuple[int, int, int]] = {}
    open_at: dict[int, tuple[int, int]] = {}
    node_size: list[int] = []
    state: dict[int, int] = {}
    used_ns: dict[tuple[int, int], int] = {}
    metered: npt.NDArray[Any] | None = None
    last_ns = 0
    edge = -1
    for frame in frames(folder / "journal.gfj"):
        if frame.kind == "begin":
            first, last_ns, step = frame.fields["header"]["edges_ns"]
            node_size = frame.fields["header"]["node_size"]
            edge = first
        if frame.kind != "facts":
            continue
        arrays = frame.arrays
        edge += step
        if "ask.job" in arrays:
            names = ("job", "pool", "job_class", "accelerators")
            columns = [arrays[f"ask.{n}"].tolist() for n in names]
            ask |= {row[0]: row[1:] for row in zip(*columns, strict=True)}
        rows = zip(*[arrays.get(f"move.{n}", np.zeros(0)).tolist() for n in MOVES], strict=True)
        # nodes that broke during the period served before
        up = [POOL_COLUMNS.index(name) for name in ("service_ns", "down_ns")]
        serving = (-(-arrays["pools"][:, up].sum(axis=1) // step)).tolist()
        for kind, job, t_ns, _, accelerators, why, _, pool in rows:
            home, group, asked = ask[job]
            found += _placed(job, kind, pool, home, job in open_at)
            if kind in (REFUSE, MOVE):
                ask[job] = (why if kind == MOVE else home), group, asked
                continue
            size = node_size[pool]
            whole = -(-accelerators // size) * size if asked >= size else accelerators
            found += _allowed(job, state.get(job, 0), kind)
            if kind in (_START, _BACKFILL, _RESUME):
                if kind != _RESUME:
                    held[pool] += whole
                active[pool] += accelerators
                open_at[job] = (t_ns, accelerators)
            else:
                if kind != _PAUSE:
                    held[pool] -= whole
                active[pool] -= accelerators
                key = (pool, group)
                since, width = open_at.pop(job)
                if width != accelerators:
                    found.append(f"job {job}: began on {width}, ended on {accelerators}")
                used_ns[key] = used_ns.get(key, 0) + width * (t_ns - since)
            state[job] = kind
            # nodes leave service at the first instant, job by job: only what starts must fit
            if kind in (_START, _BACKFILL) and held[pool] > serving[pool]:
                found.append(f"job {job}: pool {pool} gives {held[pool]} of {serving[pool]}")
        if any(a > h or h > n for a, h, n in zip(active, held, serving, strict=True)):
            found.append(f"at {edge}: {active} active, {held} held, {serving} in service")
        now = np.maximum(arrays["groups"], 0)
        used = arrays["groups"][:, :, GROUP_COLUMNS.index("used_ns")]
        # two weeks of 100,000 accelerators are more nanoseconds than 64 bits hold
        metered = used.astype(object) if metered is None else metered + used
        running = now[:, :, GROUP_COLUMNS.index("running")].sum(axis=1).tolist()
        if running != active:
            found.append(f"at {edge}: {running} accelerators run, by the moves {active}")
        if len(found) > 20:
            return found
    _close(used_ns, ask, open_at, edge)
    found += _metered(metered, used_ns)
    return [*found, *(["more periods than the run has"] if edge > last_ns else [])]


def _close(
    used_ns: dict[tuple[int, int], int],
    ask: dict[int, Any],
    open_at: dict[int, tuple[int, int]],
    edge: int,
) -> None:
    """Count what still runs at the end up to there."""
    for job, (since, accelerators) in open_at.items():
        key = ask[job][0], ask[job][1]
        used_ns[key] = used_ns.get(key, 0) + accelerators * (edge - since)


def _placed(job: int, kind: int, pool: int, home: int, runs: bool) -> Iterator[str]:
    """Whether a move happens where the job is; only one that does not run is taken out."""
    if pool != home:
        yield f"job {job}: moves in pool {pool}, and is in pool {home}"
    if kind in (REFUSE, MOVE) and runs:
        yield f"job {job}: taken out of pool {pool} while it runs"


def _metered(
    metered: npt.NDArray[Any] | None, used_ns: dict[tuple[int, int], int]
) -> Iterator[str]:
    """Whether the groups' meters show what their jobs used."""
    if metered is None:
        return
    for (pool, group), total in sorted(used_ns.items()):
        if total != int(metered[pool, group]):
            yield f"pool {pool} class {group}: jobs used {total} ns, metered another"
    if int(metered.sum()) != sum(used_ns.values()):
        yield "accelerator time was metered that no job used"


def _allowed(job: int, was: int, kind: int) -> Sequence[str]:
    """Whether what happened to a job may follow what happened to it before."""
    active, stopped = (_START, _BACKFILL, _RESUME), (0, _EVICT, _PREEMPT, _FAIL)
    before = {
        _START: (*stopped, _GROW, _SHIFT),
        _BACKFILL: stopped,
        _RESUME: (_PAUSE,),
    }.get(kind, active)
    return () if was in before else (f"job {job}: {kind} after {was}",)
