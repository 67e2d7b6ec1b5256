"""Reads a finished run folder into plain arrays: what the report may say, and nothing else.

Only the columns that a figure or table needs are read, and the receipts (millions of rows) are
summed batch by batch, so that a year fits in little memory. A missing optional column is not an
error here: the section that wanted it says so in plain words.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.report.receipts import Receipts, read_receipts
from gigafactory.units import NS_PER_H, NS_PER_S

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: The five service levels of work in the order they are drawn, stacked and listed everywhere.
CLASSES: Final = (
    "frontier_training",
    "research",
    "fine_tuning",
    "inference_batch",
    "inference_realtime",
)
#: What became of an installed accelerator-hour, in the order of the ledger's identity.
FATES: Final = (
    "useful",
    "overhead",
    "lost_failure",
    "lost_response",
    "lost_preemption",
    "held_paused",
    "reserved_idle",
    "idle",
    "down",
    "awaiting_power",
)
_POWERS: Final = (
    *("limit", "it", "network", "it_idle", "cooling", "auxiliary", "losses", "import", "export"),
    *("charge", "discharge", "ppa", "day_ahead", "intraday", "imbalance"),
    *("heat", "heat_demand", "heat_pump", "heat_network", "envelope"),
    *("fcr_sold", "afrr_up_sold", "afrr_down_sold", "afrr"),
)
_COLUMNS: Final = frozenset(f"{name}_mw" for name in _POWERS) | {
    *("start_ns", "end_ns", "price_eur_per_mwh", "water_m3", "co2_location_kg", "co2_market_kg"),
    *("energy_eur", "queued_jobs", "queued_accelerators", "hours_installed"),
    *(f"it_{label}_mw" for label in CLASSES),
    *(f"running_{label}" for label in CLASSES),
    *(f"speed_{label}" for label in CLASSES),
    *(f"hours_{fate}" for fate in FATES),
}


@dataclass(frozen=True, slots=True)
class Series:
    """The site series as arrays of shape (sites, periods).

    Attributes:
        sites: site names, sorted.
        start_ns: first instant of each period, UTC, shape (periods,).
        end_ns: last instant of each period, UTC, shape (periods,).
        columns: the columns found, each of shape (sites, periods), units in their names.
    """

    sites: tuple[str, ...]
    start_ns: Ints
    end_ns: Ints
    columns: Mapping[str, Floats]

    @property
    def hours(self) -> Floats:
        """Length of each period in hours."""
        return np.asarray((self.end_ns - self.start_ns) / NS_PER_H, np.float64)

    def has(self, *names: str) -> bool:
        """Whether all these columns were recorded."""
        return all(name in self.columns for name in names)

    def missing(self, *names: str) -> tuple[str, ...]:
        """Those of the named columns that were not recorded."""
        return tuple(name for name in names if name not in self.columns)

    def total(self, name: str) -> Floats:
        """Sum of a column over the sites, per period."""
        return np.asarray(self.columns[name].sum(axis=0), np.float64)

    def mean(self, name: str) -> Floats:
        """Mean of a column over the sites, per period (for prices and other intensities)."""
        return np.asarray(self.columns[name].mean(axis=0), np.float64)

    def energy_mwh(self, name: str) -> float:
        """Energy of a power column in MW over the whole period, all sites."""
        return float((self.total(name) * self.hours).sum())


@dataclass(frozen=True, slots=True)
class Readings:
    """What a sensor showed.

    Attributes:
        site: where it stands.
        sensor: its name.
        kind: what it measures.
        unit: of every value.
        values: per period, in that unit; NaN in its gaps.
    """

    site: str
    sensor: str
    kind: str
    unit: str
    values: Floats


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything the report reads from a run folder.

    Attributes:
        folder: name of the run folder (not its path, so that moved runs render alike).
        summary: the parsed `summary.json`.
        factory: the parsed `factory.yaml`.
        timezone: IANA name of the local time in which days and hours are shown.
        series: the site series.
        receipts: the job receipts, summed by tenant, class, mission and state.
        sources: rows of `sources.parquet` as dictionaries.
        monitored: what sensors showed, in the order of the factory file.
        seconds: columns of the worst quarter of an hour of a stress run's first site; empty for an
            ordinary run.
    """

    folder: str
    summary: Mapping[str, Any]
    factory: Mapping[str, Any]
    timezone: str
    series: Series
    receipts: Receipts
    sources: tuple[Mapping[str, Any], ...]
    monitored: tuple[Readings, ...] = ()
    seconds: Mapping[str, Floats] = field(default_factory=dict)

    def value(self, key: str) -> float | None:
        """A number of the summary by its dotted key; None where absent, null or not finite."""
        found = lookup(self.summary, key)
        if isinstance(found, bool) or not isinstance(found, int | float):
            return None
        return float(found) if math.isfinite(found) else None

    def rows(self, key: str) -> list[Mapping[str, Any]]:
        """The rows of a list of the summary by its dotted key; none where absent or null."""
        found = lookup(self.summary, key)
        return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []

    def word(self, key: str) -> str:
        """A text of the summary by its dotted key; empty where absent."""
        found = lookup(self.summary, key)
        return "" if found is None else str(found)


def lookup(tree: Mapping[str, Any], key: str) -> Any:
    """Follow a dotted key through mappings, and lists by number; None where it leads nowhere."""
    node: Any = tree
    for part in key.split("."):
        if isinstance(node, Mapping) and part in node:
            node = node[part]
        elif isinstance(node, list) and part.isdecimal() and int(part) < len(node):
            node = node[int(part)]
        else:
            return None
    return node


def read_run(folder: Path) -> Frame:
    """Read a run folder.

    Args:
        folder: a finished (or validly interrupted) run folder.

    Returns:
        The frame.

    Raises:
        BadInput: with every file that is missing or unreadable.
    """
    if not folder.is_dir():
        raise BadInput(
            [Problem(str(folder), "", "", "is not a folder; give the folder of a finished run")]
        )
    problems: list[Problem] = []

    def attempt(name: str, read: Callable[[Path], Any]) -> Any:
        path = folder / name
        if not path.is_file():
            why = "is missing; a run folder holds it once the run has ended"
            problems.append(Problem(str(path), "", "", why))
            return None
        try:
            return read(path)
        except (OSError, ValueError, KeyError, pa.ArrowException, yaml.YAMLError) as error:
            detail = " ".join(str(error).split())[:200]
            problems.append(Problem(str(path), "", "", f"cannot be read ({detail})"))
            return None

    summary = attempt("summary.json", _read_summary)
    factory = attempt("factory.yaml", _read_yaml)
    series = attempt("series.parquet", _read_series)
    receipts = attempt("jobs.parquet", lambda path: read_receipts(path, CLASSES))
    sources = attempt("sources.parquet", lambda path: tuple(pq.read_table(path).to_pylist()))
    held = (folder / "monitored.parquet").is_file()
    monitored = attempt("monitored.parquet", _read_monitored) if held else ()
    if problems:
        raise BadInput(problems)
    return Frame(
        folder=folder.resolve().name,
        summary=summary,
        factory=factory,
        timezone=_timezone(summary, factory),
        series=series,
        receipts=receipts,
        sources=sources,
        monitored=monitored,
        seconds=_read_quarter(folder, summary),
    )


def _read_quarter(folder: Path, summary: Mapping[str, Any]) -> Mapping[str, Floats]:
    """The seconds of a stress run that its figure shows; none where there are none to be read."""
    sites = lookup(summary, "stress.sites")
    path = folder / "seconds.parquet"
    if not isinstance(sites, Mapping) or not sites or not path.is_file():
        return {}
    name, site = next(iter(sites.items()))
    first = int(site["worst"]["from_ns"]) // NS_PER_S
    last = first + int(site["worst"]["seconds"])
    held = [("unix_s", ">=", first), ("unix_s", "<", last), ("site", "==", name)]
    table = pq.read_table(path, filters=held)
    return {
        column: np.asarray(table[column].to_numpy(), np.float64)
        for column in table.column_names
        if column != "site"
    }


def _read_summary(path: Path) -> Mapping[str, Any]:
    found = json.loads(path.read_text("utf-8"))
    if not isinstance(found, dict):
        raise ValueError("it should hold one JSON object")
    return found


def _read_yaml(path: Path) -> Mapping[str, Any]:
    found = yaml.safe_load(path.read_text("utf-8"))
    if not isinstance(found, dict):
        raise ValueError("it should hold one mapping")
    return found


def _read_monitored(path: Path) -> tuple[Readings, ...]:
    """Sensors in the order of their rows; runs without one hold an empty table."""
    table = pq.read_table(path)
    words = (table[name].to_pylist() for name in ("site", "sensor", "kind", "unit"))
    keys: list[tuple[str, str, str, str]] = list(zip(*words, strict=True))
    values = np.asarray(table["value"].to_numpy(zero_copy_only=False), np.float64)
    edges = [k for k, key in enumerate(keys) if k == 0 or key != keys[k - 1]] + [len(keys)]
    return tuple(Readings(*keys[k], values[k:end]) for k, end in pairwise(edges))


def _timezone(summary: Mapping[str, Any], factory: Mapping[str, Any]) -> str:
    """Local time of the first site; the Dutch one where the run does not say."""
    sites = factory.get("sites")
    first = next(iter(sites.values()), None) if isinstance(sites, dict) else None
    named: Any = summary.get("timezone")
    if named is None and isinstance(first, dict):
        named = first.get("timezone")
    return str(named) if named else "Europe/Amsterdam"


def _read_series(path: Path) -> Series:
    """Read the site series into (sites, periods) arrays, whatever the order of the rows."""
    held = pq.read_schema(path).names
    wanted = ["site"] * ("site" in held) + [name for name in held if name in _COLUMNS]
    table = pq.read_table(path, columns=wanted)
    starts = np.asarray(table["start_ns"].to_numpy(), np.int64)
    if len(starts) == 0:
        raise ValueError("it holds no period")
    names = np.asarray(table["site"].to_pylist()) if "site" in held else np.full(len(starts), "")
    order = np.lexsort((starts, names))
    sites, counts = np.unique(names, return_counts=True)
    if len(set(counts.tolist())) != 1:
        raise ValueError("its sites do not all hold the same periods")
    shape = (len(sites), len(starts) // len(sites))
    edges = starts[order].reshape(shape)
    if (edges != edges[0]).any() or (np.diff(edges[0]) <= 0).any():
        raise ValueError("its sites do not all hold the same periods, each once")
    ends = np.asarray(table["end_ns"].to_numpy(), np.int64)[order].reshape(shape)
    columns = {
        name: np.asarray(table[name].to_numpy(), np.float64)[order].reshape(shape)
        for name in sorted(wanted)
        if name not in ("site", "start_ns", "end_ns")
    }
    return Series(tuple(map(str, sites)), edges[0], ends[0], columns)
