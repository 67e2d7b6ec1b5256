"""Sums the receipts (one row per job, millions of rows) into a small table, batch by batch.

Integer columns are added as integers and batches in file order, so the same file gives the same
numbers to the last digit whatever the machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Floats = npt.NDArray[np.float64]

#: The columns that are added up, with what one unit of the ledger is in the unit shown.
AMOUNTS: Final[Mapping[str, float]] = {
    "gpu_s": 1 / 3600,  # accelerator-hours of work done
    "allocated_gpu_s": 1 / 3600,  # accelerator-hours held
    "energy_wh": 1e-6,  # MWh
    "cost_micro_eur": 1e-6,  # EUR
    "revenue_micro_eur": 1e-6,  # EUR
    "co2_location_mg": 1e-9,  # t
    "co2_market_mg": 1e-9,  # t
    "water_ml": 1e-6,  # m3
}
_KEYS: Final = ("tenant", "job_class", "mission", "state")
#: Jobs in these states never held an accelerator, so they have no wait to count.
NEVER_STARTED: Final = frozenset({"queued", "refused"})
#: Edges of the wait histogram, s: an under-one-second bin, then ten bins per decade to 115 days.
WAIT_EDGES_S: Final[Floats] = np.concatenate(([0.0], np.logspace(0, 7, 71)))
_MISSIONS: Final = (
    "none",
    "energy_transition",
    "circular_economy",
    "health",
    "agriculture_water_food",
    "security",
)
_BATCH_ROWS: Final = 262_144


@dataclass(frozen=True, slots=True)
class Receipts:
    """The receipts, summed.

    Attributes:
        rows: one row per occurring (tenant, job_class, mission, state), sorted.
        amounts: per ledger column present, the sum of each row in the unit of `AMOUNTS`.
        counts: number of jobs of each row.
        waits: per class, the number of started jobs in each bin of `WAIT_EDGES_S`.
        missing: names of the columns that the file does not hold.
    """

    rows: tuple[tuple[str, str, str, str], ...]
    amounts: Mapping[str, Floats]
    counts: npt.NDArray[np.int64]
    waits: Mapping[str, npt.NDArray[np.int64]]
    missing: tuple[str, ...]

    def by(self, *keys: str) -> dict[tuple[str, ...], dict[str, float]]:
        """Sum the rows by some of tenant, job_class, mission and state.

        Returns:
            Per key (sorted), the amounts and `jobs`, the number of jobs.
        """
        places = [_KEYS.index(key) for key in keys]
        out: dict[tuple[str, ...], dict[str, float]] = {}
        for number, row in enumerate(self.rows):
            cell = out.setdefault(tuple(row[place] for place in places), {})
            cell["jobs"] = cell.get("jobs", 0.0) + float(self.counts[number])
            for name, values in self.amounts.items():
                cell[name] = cell.get(name, 0.0) + float(values[number])
        return dict(sorted(out.items()))


def read_receipts(path: Path, classes: Sequence[str]) -> Receipts:
    """Sum a `jobs.parquet`.

    Args:
        path: the file.
        classes: class labels in the order of their codes, for files that hold codes.

    Returns:
        The sums; the file is never in memory as a whole.
    """
    file = pq.ParquetFile(path)
    held = file.schema_arrow.names
    wanted = [name for name in (*_KEYS, "wait_s", *AMOUNTS) if name in held]
    sums: dict[tuple[str, str, str, str], list[int | float]] = {}
    waits = {label: np.zeros(len(WAIT_EDGES_S), np.int64) for label in classes}
    amounts = [name for name in AMOUNTS if name in held]
    for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
        table = _named(pa.Table.from_batches([batch]), classes)
        aggregates: list[tuple[Any, str]] = [([], "count_all")]
        aggregates += [(name, "sum") for name in amounts]
        grouped = table.group_by(list(_KEYS), use_threads=False).aggregate(aggregates)
        for row in grouped.to_pylist():
            key = tuple(str(row[name]) for name in _KEYS)
            cell = sums.setdefault(key, [0] * (1 + len(amounts)))  # type: ignore[arg-type]
            cell[0] += row["count_all"]
            for place, name in enumerate(amounts, start=1):
                cell[place] += row[f"{name}_sum"] or 0
        _add_waits(table, waits)
    rows = tuple(sorted(sums))
    scaled = {
        name: np.array([sums[row][place] * AMOUNTS[name] for row in rows], np.float64)
        for place, name in enumerate(amounts, start=1)
    }
    counts = np.array([sums[row][0] for row in rows], np.int64)
    missing = tuple(name for name in (*_KEYS, "wait_s", *AMOUNTS) if name not in held)
    return Receipts(rows, scaled, counts, waits, missing)


def _named(table: pa.Table, classes: Sequence[str]) -> pa.Table:
    """Make the four key columns dictionary-coded text, whatever the file held."""
    lists: Mapping[str, Sequence[str]] = {"job_class": classes, "mission": _MISSIONS}
    for key in _KEYS:
        if key not in table.column_names:
            table = table.append_column(key, pa.array([""] * len(table)).dictionary_encode())
            continue
        column = table[key].combine_chunks()
        if pa.types.is_integer(column.type) and key in lists:
            column = pa.DictionaryArray.from_arrays(column, pa.array(list(lists[key])))
        elif not pa.types.is_dictionary(column.type):
            column = pc.cast(column, pa.string()).dictionary_encode()
        table = table.set_column(table.column_names.index(key), key, column)
    return table


def _add_waits(table: pa.Table, waits: Mapping[str, npt.NDArray[np.int64]]) -> None:
    """Add the waits of the jobs that started to the histograms of their classes."""
    if "wait_s" not in table.column_names:
        return
    wait_s = np.asarray(pc.cast(table["wait_s"], pa.float64()).to_numpy(), np.float64)
    started = np.isfinite(wait_s) & ~_coded(table, "state", NEVER_STARTED)
    bins = np.searchsorted(WAIT_EDGES_S, wait_s, side="right") - 1
    for label, histogram in waits.items():
        chosen = started & _coded(table, "job_class", {label})
        clipped = np.clip(bins[chosen], 0, len(histogram) - 1)
        histogram += np.bincount(clipped, minlength=len(histogram))


def _coded(table: pa.Table, key: str, names: frozenset[str] | set[str]) -> npt.NDArray[np.bool_]:
    """Which rows of a dictionary-coded column hold one of these names."""
    column = table[key].combine_chunks()
    words = column.dictionary.to_pylist()
    hit = np.array([word in names for word in words] or [False], np.bool_)
    codes = np.asarray(pc.fill_null(column.indices, 0).to_numpy(zero_copy_only=False), np.int64)
    return np.asarray(hit[codes], np.bool_)
