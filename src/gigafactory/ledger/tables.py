"""The book as tables: accounts per period, transfers, and one receipt per job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gigafactory.ledger.book import FATES, PAID, RECEIPT, Book
from gigafactory.ledger.facts import (
    EVICT,
    FAIL,
    FINISH,
    GENERATOR_COLUMNS,
    LIMIT,
    METERS,
    PAUSE,
    PREEMPT,
)
from gigafactory.ledger.integrals import SHARED
from gigafactory.ledger.parties import party_columns
from gigafactory.ledger.reserves import activated_wh

Ints = npt.NDArray[np.int64]

#: State of a job by its last move and, where it ended by itself, its own end state.
_STATES: Final = ("queued", "running", "completed", "cancelled", "failed", "timeout", "refused")


def account_columns(book: Book, site: int) -> dict[str, Ints]:
    """Every account of a site, int64[periods] each, by a dotted name whose last part is the unit.

    `rounding` accounts hold what quantising left; every group of accounts sums exactly.
    """
    n = book.periods
    classes = book.header.classes
    meter = {name: book.meter[:n, site, i] for i, name in enumerate(METERS)}
    columns: dict[str, Ints] = {"hours.installed_gpu_s": book.installed_s[:n, site]}
    for i, fate in enumerate(FATES):
        columns[f"hours.{fate}_gpu_s"] = book.fate_s[:n, site, i]
    for g, label in enumerate(classes):
        columns[f"hours.useful.{label}_gpu_s"] = book.useful_s[:n, site, g]
    for g, label in enumerate(classes):
        columns[f"hours.overhead.{label}_gpu_s"] = book.overhead_s[:n, site, g]
    columns["hours.rounding_gpu_s"] = columns["hours.installed_gpu_s"] - sum(
        (v for k, v in columns.items() if k != "hours.installed_gpu_s"), np.zeros(n, np.int64)
    )
    for name in ("import", "export", "charge", "discharge", "cooling", "auxiliary", "losses",
                 "heat_pump"):  # fmt: skip
        columns[f"energy.{name}_wh"] = meter[f"{name}_wh"]
    for g, label in enumerate((*classes, "idle")):
        columns[f"energy.it.{label}_wh"] = book.it_wh[:n, site, g]
    columns["energy.it.rounding_wh"] = meter["it_wh"] - book.it_wh[:n, site].sum(axis=1)
    columns["contract.day_ahead_wh"] = meter["day_ahead_wh"]
    columns["contract.intraday_wh"] = meter["intraday_wh"]
    for c, name in enumerate(book.header.contracts):
        if book.header.contract_site[c] == site:
            columns[f"contract.ppa.{name}_wh"] = book.contract[:n, c, 0]
    columns["contract.afrr_wh"] = activated_wh(meter)
    columns["contract.imbalance_wh"] = book.imbalance_wh[:n, site]
    for i, name in enumerate(PAID):
        columns[f"paid.{name}_micro_eur"] = book.paid[:n, site, i]
    for c, commodity in enumerate(SHARED):
        stem, unit = _split_unit(commodity)
        columns[f"{stem}.total_{unit}"] = book.shared_total[:n, site, c]
        for g, label in enumerate((*classes, "idle")):
            columns[f"{stem}.{label}_{unit}"] = book.shared[:n, site, g, c]
        columns[f"{stem}.rounding_{unit}"] = book.shared_total[:n, site, c] - book.shared[
            :n, site, :, c
        ].sum(axis=1)
    for g, label in enumerate(classes):
        columns[f"revenue.{label}_micro_eur"] = book.revenue[:n, site, g]
    columns["heat.delivered_wh"] = meter["heat_wh"]
    columns["heat.network_wh"] = meter["heat_network_wh"]
    for c, name in enumerate(book.header.contracts):
        if book.header.contract_site[c] == site and book.header.parties:
            for party, net in party_columns(book, c).items():
                columns[f"party.{name}.{party}_micro_eur"] = net
    columns["energy.generation_wh"] = meter["generation_wh"]
    columns["energy.dumped_wh"] = meter["dumped_wh"]
    for k, name in enumerate(book.header.generators):
        if book.header.generator_site[k] == site:
            for i, column in enumerate(GENERATOR_COLUMNS):
                stem, unit = column.rsplit("_", 1) if "_" in column else (column, "count")
                columns[f"generator.{name}.{stem}_{unit}"] = book.generator[:n, k, i]
    return columns


def _split_unit(name: str) -> tuple[str, str]:
    for unit in ("micro_eur", "mg", "ml"):
        if name.endswith(f"_{unit}"):
            return name[: -len(unit) - 1], unit
    raise AssertionError(name)


def _edges(book: Book) -> Ints:
    first, _, step = book.header.edges_ns
    return first + step * np.arange(book.periods, dtype=np.int64)


def account_table(book: Book) -> pa.Table:
    """Accounts per site and period: `site`, `start_ns`, then one int64 column per account."""
    parts = []
    for site, name in enumerate(book.header.sites):
        columns = account_columns(book, site)
        label = pa.array([name]).cast(pa.dictionary(pa.int32(), pa.string()))
        sites = pa.DictionaryArray.from_arrays(np.zeros(book.periods, np.int32), label.dictionary)
        parts.append(pa.table({"site": sites, "start_ns": _edges(book), **columns}))
    return pa.concat_tables(parts, promote_options="permissive").combine_chunks()


def _lines(book: Book, site: int) -> list[tuple[str, str, str, Ints, Ints | None]]:
    """Transfers as (commodity, debit, credit, amounts, planned); amounts may be negative."""
    columns = account_columns(book, site)
    n = book.periods
    it_planned = book.meter[:n, site, METERS.index("planned_it_wh")]
    lines: list[tuple[str, str, str, Ints, Ints | None]] = []
    for name, amount in columns.items():
        group, rest = name.split(".", 1)
        stem = rest.rsplit("_", 2 if rest.endswith(("gpu_s", "micro_eur")) else 1)[0]
        if stem in {"installed", "total"}:
            continue
        if group == "hours":
            lines.append(("gpu_s", f"hours.{stem}", "hours.installed", amount, None))
        elif group == "energy" and stem in {"import", "discharge", "generation"}:
            lines.append(("wh", "energy.bus", f"energy.{stem}", amount, None))
        elif group == "energy":
            lines.append(("wh", f"energy.{stem}", "energy.bus", amount, None))
        elif group == "paid":
            lines.append(("micro_eur", f"paid.{stem}", "money.bank", amount, None))
        elif group == "revenue":
            lines.append(("micro_eur", "money.bank", f"revenue.{stem}", amount, None))
        elif group in {"cost", "co2_location", "co2_market", "co2_stack", "water"}:
            unit = rest[len(stem) + 1 :]
            lines.append((unit, f"{group}.{stem}", f"{group}.total", amount, None))
        elif group == "contract":
            lines.append(("wh", "contract.position", f"contract.{stem}", amount, None))
    it = book.meter[:n, site, METERS.index("it_wh")]
    lines.append(("wh", "reserved.it", "reserved.envelope", it, it_planned))
    return lines


#: Phases of a transfer: a reservation, what was posted of it, what was given back, or outright.
PHASES: Final = ("pending", "post", "void", "single")


def transfer_table(book: Book) -> pa.Table:
    """All transfers: immutable, in two phases where something was reserved first.

    Columns: `id`, `pending_id` (-1 for none), `start_ns` of the period, `site`, `phase`,
    `commodity`, `debit`, `credit`, `amount` (int64). The plan's IT energy is reserved per period;
    what was metered is posted against it, the remainder is given back, any excess stands outright.
    """
    edges = _edges(book)
    period: list[Ints] = []
    codes: list[Ints] = []
    amounts: list[Ints] = []
    names: list[tuple[int, int, str, str, str]] = []  # site, phase, commodity, debit, credit
    for site in range(len(book.header.sites)):
        for commodity, debit, credit, amount, planned in _lines(book, site):
            parts = [(3, amount)]
            if planned is not None:
                posted = np.minimum(planned, amount)
                parts = [(0, planned), (1, posted), (2, planned - posted), (3, amount - posted)]
            for phase, units in parts:
                some = np.flatnonzero(units)
                period.append(some)
                amounts.append(units[some])
                codes.append(np.full(len(some), len(names), np.int64))
                names.append((site, phase, commodity, debit, credit))
    at, code, amount = (np.concatenate(x) for x in (period, codes, amounts))
    order = np.lexsort((code, at))
    at, code, amount = at[order], code[order], amount[order]
    ids = np.arange(len(at), dtype=np.int64)
    site_of, phase_of = (np.array([row[k] for row in names])[code] for k in (0, 1))
    reserved = np.full((book.periods, len(book.header.sites)), -1, np.int64)
    held = phase_of == 0
    reserved[at[held], site_of[held]] = ids[held]
    pending = np.where((phase_of == 1) | (phase_of == 2), reserved[at, site_of], -1)
    return pa.table(
        {
            "id": ids,
            "pending_id": pending,
            "start_ns": edges[at],
            "site": _coded(site_of, book.header.sites),
            "phase": _coded(phase_of, PHASES),
            **{
                column: _coded(code, [row[k] for row in names])
                for k, column in ((2, "commodity"), (3, "debit"), (4, "credit"))
            },
            "amount": amount,
        }
    )


def _coded(code: npt.NDArray[Any], names: Any) -> pa.DictionaryArray:
    """A text column as codes into its distinct values, in order of first appearance."""
    distinct = list(dict.fromkeys(names))
    index = np.array([distinct.index(name) for name in names] or [0], np.int32)
    return pa.DictionaryArray.from_arrays(index[code], pa.array(distinct, pa.string()))


def job_states(book: Book) -> npt.NDArray[np.int64]:
    """State of every submitted job as an index into the names used in the table of receipts."""
    fate, own = book.fate, book.ask["end_state"]
    state = np.zeros(len(fate), np.int64)  # queued: never started, or evicted
    state[(fate > 0) & (fate <= PAUSE)] = _STATES.index("running")
    state[np.isin(fate, (EVICT, PREEMPT, FAIL))] = _STATES.index("queued")
    state[fate == LIMIT] = _STATES.index("timeout")
    finished = fate == FINISH
    state[finished] = _STATES.index("completed")
    state[finished & (own == 2)] = _STATES.index("cancelled")
    state[finished & (own == 3)] = _STATES.index("failed")
    state[book.refused_by >= 0] = _STATES.index("refused")
    return state


def job_table(book: Book, missions: tuple[str, ...], chips: Mapping[int, str]) -> pa.Table:
    """One receipt per submitted job.

    Args:
        book: the closed book.
        missions: names of the missions, by number.
        chips: name of the accelerator of each pool number.

    Returns:
        Table with `job`, who asked for what, when it ran, and what it used: `energy_wh`,
        `cost_micro_eur`, `co2_location_mg`, `co2_market_mg`, `water_ml`, `revenue_micro_eur`. A job
        that never started has `start_ns` -1; one that has not ended has `end_ns` -1.
    """
    some = np.flatnonzero(book.ask["pool"] >= 0)
    ask = {name: column[some] for name, column in book.ask.items()}
    receipt = dict(zip(RECEIPT, book.receipt[:, some], strict=True))
    h = book.header
    end = h.edges_ns[0] + book.periods * h.edges_ns[2]
    start = receipt["start_ns"]
    waited = np.where(start >= 0, start, end) - receipt["submit_ns"]
    pool_chip = [chips[i] for i in range(len(h.pools))]
    return pa.table(
        {
            "job": some.astype(np.int64),
            "tenant": _coded(ask["tenant"], h.tenants),
            "job_class": _coded(ask["job_class"], h.classes),
            "mission": _coded(ask["mission"], missions),
            "chip": _coded(ask["pool"], pool_chip),
            "pool": _coded(ask["pool"], h.pools),
            "accelerators": ask["accelerators"],
            "submit_ns": receipt["submit_ns"],
            "start_ns": start,
            "end_ns": receipt["end_ns"],
            "state": _coded(job_states(book)[some], _STATES),
            "wait_s": waited / 1e9,
            "gpu_s": receipt["gpu_s"],
            "allocated_gpu_s": receipt["allocated_gpu_s"],
            "lost_gpu_s": receipt["lost_gpu_s"],
            "stops": receipt["stops"].astype(np.int32),
            "moves": receipt["moves"].astype(np.int32),
            "waited_for": book.waited_for[some],
            "energy_wh": receipt["energy_wh"],
            **{name: receipt[name] for name in SHARED},
            "revenue_micro_eur": receipt["revenue_micro_eur"],
            "price_eur_per_gpu_h": ask["price_micro_eur"] / 1e6,
        }
    )
