"""A live day as a run folder, so that what tells of runs tells of live days as well.

From the book of a day a run's own journal is made (a beginning, then the facts of each market
period, then an end), and from that the tables and the summary, by the very functions that make
those of a simulated run. What a simulation knows and a live day does not (weather, plans, reserves)
is absent, or stands there as a stated assumption.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from gigafactory import __version__
from gigafactory.adapters.twin import CONTRACT_SENSES, SENSES
from gigafactory.engine.journal import Journal
from gigafactory.factory import factory_text
from gigafactory.factory.models import Factory
from gigafactory.grid import MarketCalendar, Signals
from gigafactory.grid.series import Series
from gigafactory.grid.signals import UNITS
from gigafactory.kernel import FULL_SPEED, Why
from gigafactory.ledger import GROUP_COLUMNS
from gigafactory.ledger.tables import job_states
from gigafactory.plant import load_catalogue
from gigafactory.runtime.live.accounting import SUMMED, UNKNOWN, DayBook, provenance, receipts_of
from gigafactory.runtime.live.metering import SITE, Correction
from gigafactory.runtime.outputs import summarise, write_summary, write_tables
from gigafactory.runtime.replay import rebuild
from gigafactory.runtime.told import Told
from gigafactory.runtime.wiring import CLASSES, MEAN_TEMPERATURE_C
from gigafactory.units import NS_PER_S

Array = npt.NDArray[np.float64]

_S: Final = {name: i for i, name in enumerate(SITE)}
_SENSE: Final = {name: i for i, name in enumerate(SENSES)}
#: Relative humidity where none is measured, % RH; with the mean temperature of De Bilt.
_HUMIDITY_PCT: Final = 80.0
#: The state of a job in the table of receipts, as in `ledger.tables`.
_STATES: Final = ("queued", "running", "completed", "cancelled", "failed", "timeout", "refused")


def write_run(folder: Path, day: DayBook, factory: Factory, witness: dict[str, Any]) -> None:
    """Write a day as a run folder: journal, factory, tables, receipts, summary.

    Args:
        folder: empty.
        day: its book.
        factory: the factory file it began with.
        witness: how much of which live journal it was made of.
    """
    (folder / "factory.yaml").write_text(factory_text(factory), "utf-8")
    kept = {"version": __version__, "live": witness, "options": {"factory": factory.name}}
    (folder / "run.json").write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", "utf-8")
    _journal(folder / "journal.gfj", day, factory, witness)
    book, trace, head, _ = rebuild(folder)
    told = _told(day, factory)
    write_tables(folder, told, book, trace)
    receipts = receipt_table(day, factory)
    pq.write_table(receipts, folder / "receipts.parquet", compression="zstd", compression_level=3)
    beyond = int(day.gather.site[: book.periods, :, _S["beyond_uwh"]].sum()) // 10**6
    summary = summarise(told, book, trace, head, beyond, None)
    summary["stress"] = None
    write_summary(folder, summary)


def _journal(path: Path, day: DayBook, factory: Factory, witness: dict[str, Any]) -> None:
    begin = day.gather.begin
    assert begin is not None
    told = {
        "format": 1,
        "seed": 0,
        "factory": hashlib.sha256(factory_text(factory).encode()).hexdigest(),
        "scenario": None,
        "jobs": None,
        "prices": None,
        "inputs": witness["head"],
        "live": witness,
        "environment": begin.environment,
        "work": [day.gather.jobs[number].key for number in day.jobs],
        "header": day.header.fields(),
    }
    first, step = day.gather.first_ns, day.gather.step_ns
    speed, senses = _speeds(day), _senses(day)
    held = np.zeros(speed.shape[1:], np.uint8)
    with Journal.create(path) as journal:
        journal.append("begin", first, told)
        if day.gather.ended:
            journal.append("plan", first, {"day": 0, "status": []})
        for k, facts in enumerate(day.facts):
            at = first + k * step
            journal.append("intent", at, {}, {"speed": speed[k], "held": held})
            sense = {"sense": senses[k]}
            journal.append("facts", min(at + step, day.until_ns), {}, {**facts.arrays(), **sense})
        if day.gather.ended and day.facts:
            energy = day.facts[-1].groups[:, :, GROUP_COLUMNS.index("energy_uwh")]
            still = [
                i
                for i, number in enumerate(day.jobs)
                if day.gather.jobs[number].first_ns < 0 and not day.gather.jobs[number].ended
            ]
            waiting = {
                "waiting.job": np.array(still, np.int32),
                "waiting.why": np.full(len(still), int(Why.NOTHING), np.int32),
            }
            journal.append("end", day.until_ns, {}, {"energy_uwh": energy, **waiting})
        journal.sync()


def _speeds(day: DayBook) -> npt.NDArray[np.int64]:
    """Mean speed step of each class at each site by what ran, int64[periods, sites, classes]."""
    n, sites = day.book.periods, len(day.header.sites)
    out = np.full((n, sites, len(CLASSES)), FULL_SPEED, np.int64)
    used, work = (GROUP_COLUMNS.index(name) for name in ("used_ns", "work_ns"))
    for s in range(sites):
        mine = [i for i, of in enumerate(day.header.pool_site) if of == s]
        ran = day.book.group[:n][:, mine][..., used].sum(axis=1) // FULL_SPEED
        did = day.book.group[:n][:, mine][..., work].sum(axis=1)
        some = (ran > 0) & (did > 0)
        out[:, s][some] = np.clip(did[some] // ran[some], 1, FULL_SPEED)
    return out


def _senses(day: DayBook) -> Array:
    """What the site's instruments show beside the meters, [periods, sites, len(SENSES)]."""
    n = day.book.periods
    site = day.gather.site[:n]
    out = np.zeros((n, site.shape[1], len(SENSES)))
    price = site[:, :, _S["price_micro_eur"]] / 1e6
    out[:, :, _SENSE["price_eur_per_mwh"]] = out[:, :, _SENSE["imbalance_eur_per_mwh"]] = price
    out[:, :, _SENSE["temperature_c"]] = MEAN_TEMPERATURE_C
    limit = site[:, :, _S["limit_w"]]
    out[:, :, _SENSE["limit_mw"]] = np.where(limit >= 0, limit, 0) / 1e6
    out[:, :, -CONTRACT_SENSES] = out[:, :, _SENSE["limit_mw"]]
    return out


def _told(day: DayBook, factory: Factory) -> Told:
    begin = day.gather.begin
    assert begin is not None
    date = dt.date.fromisoformat(begin.day)
    period_s = day.gather.step_ns // NS_PER_S
    calendar = MarketCalendar.of(date, 1, begin.timezone, period_s)
    plant = (
        "cooling, losses and water by the plant's model at mean weather; energy is settled at the "
        "day-ahead price"
    )
    notes = (
        f"live accounts of {begin.day} ({begin.environment}), to {day.until_ns} ns UTC",
        f"{_modelled(day):.1%} of the IT energy comes from the model: no meter vouched for it",
        f"{_unread(day):.1%} of the import comes from the model likewise",
        f"{_unpriced(day)} market periods with import have no price: they cost and emit nought",
        plant,
    )
    signals = _signals(day, calendar, date.year)
    return Told(0, calendar, factory, load_catalogue(), signals, day.table, notes)


def _modelled(day: DayBook) -> float:
    """Share of the IT energy that no meter vouches for."""
    n = day.book.periods
    metered = int(day.gather.energy[:n, :, 1].sum())
    used = int(day.gather.group[:n, :, :, GROUP_COLUMNS.index("used_uwh")].sum())
    whole = used + int(day.gather.energy[:n, :, 0].sum())
    return 1.0 - metered / whole if whole else 0.0


def _unread(day: DayBook) -> float:
    """Share of the import that no meter vouches for."""
    site = day.gather.site[: day.book.periods]
    whole = int(site[:, :, _S["import_uwh"]].sum())
    return 1.0 - int(site[:, :, _S["metered_uwh"]].sum()) / whole if whole else 0.0


def _unpriced(day: DayBook) -> int:
    """Market periods of sites with import and without a price."""
    site = day.gather.site[: day.book.periods]
    return int(((site[:, :, _S["import_uwh"]] != 0) & (site[:, :, _S["priced"]] == 0)).sum())


def _signals(day: DayBook, calendar: MarketCalendar, year: int) -> Signals:
    """Prices and carbon as journaled; what a live day does not know as a stated assumption."""
    site = day.gather.site[:, 0]
    known = {
        "price": site[:, _S["price_micro_eur"]] / 1e6,
        "imbalance": site[:, _S["price_micro_eur"]] / 1e6,
        "carbon": site[:, _S["carbon_mg"]] / 1e6,
    }
    assumed = {"temperature": MEAN_TEMPERATURE_C, "humidity": _HUMIDITY_PCT}
    made = []
    for name, unit in UNITS.items():
        if name in known:
            source, state = "the journal of the day, as read from its feed", "measured"
            made.append(Series(name, unit, known[name], source, year, state))
        else:
            values = np.full(calendar.periods, assumed.get(name, 0.0))
            source = "not in the journal of a live day: a mean, or nought"
            made.append(Series(name, unit, values, source, year, "assumption"))
    return Signals(*made)


def receipt_table(day: DayBook, factory: Factory) -> pa.Table:
    """One receipt per job of ours that was there on the day, with where its figures come from.

    Columns: `work` (our name of the job), `native` (the workload manager's), `job` (its number in
    the tables), `tenant`, `job_class`, `pool`, `site`, `country`, `accelerators`, `submit_ns` (the
    true one), `carried`, `state`, then the sums of `accounting.SUMMED`, and where they come from
    (`accounting.provenance`).
    """
    begin = day.gather.begin
    assert begin is not None
    had = receipts_of(day)
    states = job_states(day.book).tolist()
    rows: list[dict[str, Any]] = []
    for i, number in enumerate(day.jobs):
        job = day.gather.jobs[number]
        pool, sums = begin.pools[job.pool], had[number]
        whole = slice(0, day.book.periods)
        rows.append(
            {
                "work": job.key,
                "native": job.native,
                "job": i,
                "tenant": begin.tenants[job.tenant] if job.tenant >= 0 else UNKNOWN,
                "job_class": CLASSES[job.group],
                "pool": pool.name,
                "accelerators": job.accelerators,
                "submit_ns": job.submit_ns,
                "carried": job.carried,
                "state": _STATES[states[i]],
                **sums,
                **provenance(day.gather, factory, job.pool, whole, sums),
            }
        )
    texts = ("work", "native", "tenant", "job_class", "pool", "site", "country", "state")
    schema = pa.schema(
        [
            *((name, pa.string()) for name in texts[:2]),
            ("job", pa.int64()),
            *((name, pa.string()) for name in texts[2:7]),
            ("accelerators", pa.int64()),
            ("submit_ns", pa.int64()),
            ("carried", pa.bool_()),
            ("state", pa.string()),
            *((name, pa.int64()) for name in SUMMED),
            ("modelled_ppm", pa.int64()),
            ("price_and_carbon_ppm", pa.int64()),
            ("water_from", pa.string()),
        ]
    )
    return pa.Table.from_pylist(rows, schema=schema)


def correction_rows(corrections: tuple[Correction, ...], first_ns: int, step_ns: int) -> pa.Table:
    """Late data of meters as a table: period, meter, place, Wh added, and why."""
    schema = pa.schema(
        [
            ("period", pa.int64()),
            ("start_ns", pa.int64()),
            ("meter", pa.string()),
            ("place", pa.string()),
            ("delta_wh", pa.int64()),
            ("reason", pa.string()),
            ("metered", pa.bool_()),
        ]
    )
    rows = [{**one._asdict(), "start_ns": first_ns + one.period * step_ns} for one in corrections]
    return pa.Table.from_pylist(rows, schema=schema)


__all__ = ["correction_rows", "receipt_table", "write_run"]
