"""A measured demand-response event: six jobs on 256 accelerators, from the files its authors give.

::

    dvfs_sweep.csv            throughput and power per workload and power cap
    SRP_exp_performance.csv   the jobs of the event, what each may lose, and what it did
    SRP_total_power.csv       power of all accelerators by the minute

Source: ai-emerald/emerald-ai-demo-may-2025 on GitHub, commit 34403ae, Apache-2.0, the data of arXiv
2507.00909 (Phoenix, May 2025).

**How jobs find their curve.** The event names a job by its workload and eight characters of a run
(``pt_mpt_13b_sm-gnn16mkt``, some with blanks behind), the sweep by the workload alone
(``pt_mpt_13b_sm``); the part before the last hyphen is looked up in the sweep. Two jobs share
``infer_llama_8b_48g``. The accelerators of a job stand in neither file: they are those the sweep of
its workload ran on, total power over power per accelerator. Workloads of the sweep that the event
did not run are left out.

**Flexibility.** Flex 0, 1, 2 and 3 may lose 0, 10, 25 and 50 % of their throughput.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.jobs.tabular import Floats, Ints, Sheet, read_sheet
from gigafactory.units import NS_PER_S

SWEEP, JOBS, POWER = "dvfs_sweep.csv", "SRP_exp_performance.csv", "SRP_total_power.csv"
#: What a job of each tier may lose of its throughput.
TOLERANCE: Final = {"Flex 0": 0.0, "Flex 1": 0.10, "Flex 2": 0.25, "Flex 3": 0.50}
#: Row of the jobs' file that is no job but the figure its authors give for all of them.
_ALL: Final = "Weighted Performance"
#: Arizona keeps one time all year.
_OFFSET_MIN: Final = -7 * 60
_RUN = re.compile(r"^(?P<workload>.+)-[a-z0-9]{8}$")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Swept:
    """Throughput of a workload under power caps.

    Attributes:
        accelerators: it was measured on.
        power_w: per accelerator, rising.
        speed: throughput at each, as a share of the largest.
    """

    accelerators: int
    power_w: tuple[float, ...]
    speed: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TrialJob:
    """A job of the event.

    Attributes:
        name: as in the event's file, trimmed.
        workload: its name in the sweep.
        tolerance: of its throughput that it may lose, 0..1.
        performance_share: throughput during the event as its authors give it, as a share of normal.
        curve: from the sweep.
    """

    name: str
    workload: str
    tolerance: float
    performance_share: float
    curve: Swept


@dataclass(frozen=True, slots=True, eq=False)
class FieldTrial:
    """The event as measured.

    Attributes:
        jobs: in the order of the file.
        performance_share: of all jobs as the authors give it; the window it is of is not stated.
        start_ns: first minute, ns UTC.
        power_kw: of all accelerators, float64[minutes].
    """

    jobs: tuple[TrialJob, ...]
    performance_share: float
    start_ns: int
    power_kw: Floats

    def between(self, first: str, last: str) -> Floats:
        """Power from one local minute to another, both included, kW.

        Args:
            first: as "16:30", on the day the record begins.
            last: likewise.

        Raises:
            ValueError: the record does not hold them.
        """
        begin = self.start_ns // (60 * NS_PER_S) + _OFFSET_MIN
        low, high = (_minute(word) - begin % 1440 for word in (first, last))
        if not 0 <= low <= high < len(self.power_kw):
            raise ValueError(f"the record does not hold {first} to {last}")
        return self.power_kw[low : high + 1]


def read_field_trial(folder: str | Path) -> FieldTrial:
    """Read an event from the folder of its files.

    Raises:
        BadInput: a file is absent or bad, or a job has no curve; every problem of all files at
            once.
    """
    folder = Path(folder)
    problems: list[Problem] = []

    def collected(read: Callable[[], _T]) -> _T | None:
        try:
            return read()
        except BadInput as bad:
            problems.extend(bad.problems)
            return None

    sweep = collected(lambda: _sweep(folder / SWEEP))
    power = collected(lambda: _power(folder / POWER))
    found = collected(lambda: _jobs(folder / JOBS, sweep))
    if problems or power is None or found is None:
        raise BadInput(problems)
    return FieldTrial(found[0], found[1], power[0], power[1])


def _minute(word: str) -> int:
    hours, minutes = word.split(":")
    return int(hours) * 60 + int(minutes)


def _open(path: Path, columns: tuple[str, ...]) -> Sheet:
    sheet = read_sheet(path)
    missing = sorted(set(columns) - set(sheet.names))
    if missing:
        why = f"also needs the columns: {', '.join(missing)}"
        raise refuse(str(path), "columns", ", ".join(sheet.names), why)
    return sheet


def _sweep(path: Path) -> dict[str, Swept]:
    names = ("workload", "throughput", "total gpu power", "power per gpu")
    sheet = _open(path, names)
    words = np.array([word or "" for word in sheet.text("workload").to_pylist()])
    sheet.bad(words == "", "workload", "is blank and has to be given")
    rate, total, each = (sheet.numbers(name)[0] for name in names[1:])
    for name, values in zip(names[1:], (rate, total, each), strict=True):
        sheet.bad(values <= 0.0, name, "must be above 0")
    with np.errstate(divide="ignore", invalid="ignore"):
        size = total / each
    for word in sorted(set(words)):
        mine = words == word
        odd = mine & (np.abs(size - np.round(np.nanmedian(size[mine]))) > 0.01)
        why = "total power over power per GPU is not the same whole number in every row"
        sheet.bad(odd, "total gpu power", why)
        twice = np.zeros(len(words), np.bool_)
        at = np.flatnonzero(mine)
        twice[at[len(np.unique(each[at])) :]] = len(np.unique(each[at])) < len(at)
        sheet.bad(twice, "power per gpu", "a workload has the same power twice")
        if mine.sum() < 2:
            sheet.bad(mine, "workload", "needs two caps or more to be a curve")
    sheet.raise_faults()
    curves = {}
    for word in sorted(set(words)):
        at = np.flatnonzero(words == word)
        at = at[np.argsort(each[at], kind="stable")]
        curves[word] = Swept(
            round(float(np.median(size[at]))),
            tuple(each[at].tolist()),
            tuple((rate[at] / rate[at].max()).tolist()),
        )
    return curves


def _jobs(path: Path, sweep: dict[str, Swept] | None) -> tuple[tuple[TrialJob, ...], float]:
    sheet = _open(path, ("model", "performance", "flexibility"))
    names = [word or "" for word in sheet.text("model").to_pylist()]
    tiers = [word or "" for word in sheet.text("flexibility").to_pylist()]
    share, _ = sheet.numbers("performance")
    is_all = np.array([name == _ALL for name in names])
    runs = [_RUN.match(name) for name in names]
    known = ", ".join(TOLERANCE)
    sheet.bad(~((share > 0.0) & (share <= 1.5)), "performance", "is no share of the normal one")
    bad_tier = np.array([tier not in TOLERANCE for tier in tiers]) & ~is_all
    sheet.bad(bad_tier, "flexibility", f"is no known tier; known are {known}")
    no_run = np.array([run is None for run in runs]) & ~is_all
    sheet.bad(no_run, "model", "is not a workload, a hyphen and eight characters of a run")
    if sweep is not None:
        lost = np.array([run is not None and run["workload"] not in sweep for run in runs])
        sheet.bad(lost & ~is_all, "model", f"has no curve; the sweep has {', '.join(sweep)}")
    sheet.raise_faults()
    if is_all.sum() != 1 or is_all.all():
        raise refuse(str(path), "model", None, f"needs jobs and one row named {_ALL}")
    jobs = tuple(
        TrialJob(name, run["workload"], TOLERANCE[tier], float(part), sweep[run["workload"]])
        for name, run, tier, part in zip(names, runs, tiers, share, strict=True)
        if run is not None and sweep is not None
    )
    return jobs, float(share[is_all][0])


def _power(path: Path) -> tuple[int, Floats]:
    sheet = _open(path, ("timestamp", "total"))
    at: Ints = sheet.instants("timestamp", zoned=True)[0]
    watts, _ = sheet.numbers("total")
    sheet.bad(watts < 0.0, "total", "is below 0")
    gap = np.zeros(len(at), np.bool_)
    gap[1:] = np.diff(at) != 60 * NS_PER_S
    sheet.bad(gap, "timestamp", "does not follow the row before by one minute")
    sheet.raise_faults()
    return int(at[0]), watts / 1000.0
