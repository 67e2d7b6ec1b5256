"""Jobs from files: the generic job file, and the published traces as their authors give them.

::

    layout   told by its columns                          work is           tenants are
    generic  submit, accelerators, work or work_s         as given          as given
    philly   timestamp, duration, num_gpus                duration          virtual clusters
    helios   vc, gpu_num, submit_time, duration           end - start       virtual clusters
    acme     type, gpu_num, submit_time, duration         end - start       users

A trace's run time is taken as the run time at full speed on the reference chip, whatever chip it
was measured on: the traces name none that a factory of today would hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gigafactory.engine.errors import Problem, refuse
from gigafactory.jobs.table import (
    DEFAULT_PRIORITY,
    MIN_WALLTIME_NS,
    MIN_WORK_NS,
    EndState,
    JobClass,
    JobTable,
    Level,
    Mission,
)
from gigafactory.jobs.tabular import Floats, Ints, Mask, Sheet, read_sheet
from gigafactory.units import NS_PER_S, parse

#: From this gang size on, a job of a trace without job types counts as frontier training. Ours
#: (assumption): the smallest quartile of Acme's pretraining jobs (Hu et al., NSDI 2024) is 64.
FRONTIER_GANG: Final = 64
#: Longest run time, as the scheduler counts it, and longest limit a user may give.
LONGEST_S: Final = 730 * 86_400.0
LONGEST_LIMIT_S: Final = 10 * 366 * 86_400.0
_ENDS: Final[Mapping[str, EndState]] = {
    "completed": EndState.COMPLETED,
    "cancelled": EndState.CANCELLED,
    "failed": EndState.FAILED,
    "timeout": EndState.FAILED,
    "node_fail": EndState.FAILED,
}
#: Classes of Acme's job types. Evaluation runs a model over test sets offline, as batch inference.
_ACME_CLASSES: Final[Mapping[str, JobClass]] = {
    "pretrain": JobClass.FRONTIER_TRAINING,
    "sft": JobClass.FINE_TUNING,
    "eval": JobClass.INFERENCE_BATCH,
    "evaluation": JobClass.INFERENCE_BATCH,
    "mllm": JobClass.RESEARCH,
    "debug": JobClass.RESEARCH,
    "other": JobClass.RESEARCH,
}


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Jobs read from a file, and what the reader has to say about them.

    Attributes:
        jobs: the jobs.
        notices: what was left out, raised, assumed or not understood; nothing that stops a run.
        layout: "generic", "philly", "helios" or "acme".
        accelerators: of the cluster the trace was taken on; None when the file does not tell.
    """

    jobs: JobTable
    notices: tuple[Problem, ...]
    layout: str
    accelerators: int | None


def read_jobs(
    path: str | Path,
    *,
    start_ns: int | None = None,
    format: str | None = None,  # noqa: A002
    chip: str = "H100",
) -> JobTable:
    """Read the jobs of a file; `read_trace` without its notices.

    Raises:
        BadInput: the file or rows of it cannot be used; every problem at once.
    """
    return read_trace(path, start_ns=start_ns, format=format, chip=chip).jobs


def read_trace(
    path: str | Path,
    *,
    start_ns: int | None = None,
    format: str | None = None,  # noqa: A002
    chip: str = "H100",
) -> Trace:
    """Read jobs from CSV (plain or gzip) or Parquet, in any of the known layouts.

    Philly (Jeon et al., USENIX ATC 2019) holds no end states and no users: the end is unknown and
    its 15 tenants are virtual clusters. Helios (Hu et al., SC 2021) and Acme (Hu et al., NSDI 2024)
    hold jobs without accelerators and jobs that never ran; both are left out and counted. In Acme's
    Kalos file the column `duration` is end minus submission, so it includes queueing; the work is
    therefore taken from `start_time` and `end_time` wherever both are given, in Helios and Acme.

    Args:
        path: the file.
        start_ns: move all jobs so that the first is submitted at this instant; None leaves them.
        format: "generic", "philly", "helios" or "acme"; None tells it by the columns.
        chip: reference chip of jobs that name none.

    Returns:
        The jobs with notices.

    Raises:
        BadInput: the file cannot be read, has none of the layouts, or rows are bad: the first 20
            are told in full and the rest counted. Nothing is half-read.
    """
    sheet = read_sheet(Path(path))
    name = format or _sniff(sheet)
    if name not in _LAYOUTS:
        why = f"is no known format; known are {', '.join(_LAYOUTS)}"
        raise refuse(str(path), "format", name, why)
    layout = _LAYOUTS[name]
    missing = [need for need in layout.needs if not _has(sheet, need)]
    if missing:
        wanted = "; ".join(" or ".join(need) for need in missing)
        why = f"a {name} file also needs the columns: {wanted}"
        raise refuse(str(path), "columns", ", ".join(sheet.names), why)
    notices = [
        Problem(sheet.path.name, column, "", f"is no column of a {name} file and was not read")
        for column in sheet.names
        if column not in layout.knows
    ]
    jobs, more, accelerators = layout.read(sheet, chip)
    if start_ns is not None and len(jobs):
        jobs = _moved(jobs, start_ns - int(jobs.submit_ns[0]))
    return Trace(jobs, (*notices, *more), name, accelerators)


def _moved(jobs: JobTable, shift_ns: int) -> JobTable:
    """The same jobs, submitted and due earlier or later by a number of ns."""
    submit = jobs.submit_ns + shift_ns
    deadline = np.where(jobs.deadline_ns > 0, jobs.deadline_ns + shift_ns, 0)
    for column in (submit, deadline):
        column.flags.writeable = False
    return replace(jobs, submit_ns=submit, deadline_ns=deadline)


def _has(sheet: Sheet, need: tuple[str, ...]) -> bool:
    return any(name in sheet.names for name in need)


def _sniff(sheet: Sheet) -> str:
    for name, layout in _LAYOUTS.items():
        if all(_has(sheet, need) for need in layout.needs):
            return name
    known = "; ".join(
        f"{name}: {', '.join('/'.join(need) for need in layout.needs)}"
        for name, layout in _LAYOUTS.items()
    )
    why = f"these columns are none of the known job files ({known})"
    raise refuse(str(sheet.path), "columns", ", ".join(sheet.names), why)


def _read_generic(sheet: Sheet, chip: str) -> tuple[JobTable, list[Problem], int | None]:
    notices: list[Problem] = []
    submit, _ = sheet.instants("submit", zoned=True)
    gangs, blank = sheet.numbers("accelerators")
    wrong = ~blank & ~np.isnan(gangs) & ((gangs < 1) | (gangs != np.rint(gangs)) | (gangs > 2e9))
    sheet.bad(wrong, "accelerators", "is not a whole number of at least 1")
    column = "work_s" if "work_s" in sheet.names else "work"
    if column == "work_s":
        work_s, _ = sheet.numbers("work_s")
    else:
        work_s = _durations(sheet, "work")
    sheet.bad(work_s <= 0.0, column, "is not above 0")
    sheet.bad(work_s > LONGEST_S, column, "is longer than two years")
    walltime_s = work_s
    if "walltime_s" in sheet.names:
        given, unset = sheet.numbers("walltime_s", needed=False)
        sheet.bad(given <= 0.0, "walltime_s", "is not above 0")
        sheet.bad(given > LONGEST_LIMIT_S, "walltime_s", "is longer than ten years")
        walltime_s = np.where(unset, work_s, given)
    priority = np.full(len(sheet), DEFAULT_PRIORITY, dtype=np.int64)
    if "priority" in sheet.names:
        given, unset = sheet.numbers("priority", needed=False)
        good = np.isin(given, np.arange(8.0))
        sheet.bad(~good & ~unset & ~np.isnan(given), "priority", "is not one of 0 to 7")
        priority = np.where(good, given, DEFAULT_PRIORITY).astype(np.int64)
    labels = {c.label: int(c) for c in JobClass}
    columns: dict[str, Any] = {
        "job_class": _labelled(sheet, "class", labels, JobClass.RESEARCH),
        "end_state": _labelled(sheet, "end_state", {e.label: int(e) for e in EndState}, 0),
        "mission": _labelled(sheet, "mission", {m.label: int(m) for m in Mission}, 0),
        "level": _labelled(sheet, "level", {v.label: int(v) for v in Level}, 0),
        "accelerators_min": _smallest_gangs(sheet, gangs),
        "deadline_ns": _deadlines(sheet, submit),
    }
    tenant, tenants = _named(sheet, "tenant", "tenant")
    kind, chips = _named(sheet, "chip", chip)
    columns["project"], projects = _projects(sheet)
    sheet.raise_faults()
    work_ns = _work_ns(sheet, work_s, column, notices)
    raised = int((walltime_s < 60.0).sum())
    if raised and "walltime_s" in sheet.names:
        notices.append(_counted(sheet, "walltime_s", raised, "below 60 s and raised to 60 s"))
    jobs = JobTable.of(
        submit_ns=submit,
        accelerators=gangs,
        work_ns=work_ns,
        walltime_ns=np.maximum((walltime_s * NS_PER_S).astype(np.int64), MIN_WALLTIME_NS),
        priority=priority,
        tenant=tenant,
        chip=kind,
        tenants=tenants,
        chips=chips,
        projects=projects,
        origin=f"job file {sheet.path.name}",
        state="measured",
        **columns,
    )
    return jobs, notices, None


def _smallest_gangs(sheet: Sheet, gangs: Floats) -> Ints:
    """Smallest gang of each job of a job file; 0 where it is rigid."""
    if "accelerators_min" not in sheet.names:
        return np.zeros(len(sheet), dtype=np.int64)
    least, unset = sheet.numbers("accelerators_min", needed=False)
    known = ~unset & ~np.isnan(least)
    wrong = known & ((least < 0) | (least != np.rint(least)) | (least > gangs))
    why = "is not a whole number from 0 (a rigid job) up to the job's accelerators"
    sheet.bad(wrong, "accelerators_min", why)
    return np.where(known & ~wrong, least, 0).astype(np.int64)


def _deadlines(sheet: Sheet, submit: Ints) -> Ints:
    """Deadline of each job of a job file, ns UTC; 0 where it has none."""
    if "deadline" not in sheet.names:
        return np.zeros(len(sheet), dtype=np.int64)
    deadline, unset = sheet.instants("deadline", zoned=True, needed=False)
    wrong = ~unset & (deadline <= np.maximum(submit, 0))
    sheet.bad(wrong, "deadline", "is not after the submission")
    return np.where(unset | wrong, 0, deadline)


def _projects(sheet: Sheet) -> tuple[Ints, tuple[str, ...]]:
    """Index and names of the projects of a job file; -1 where a job names none."""
    index, names = _named(sheet, "project", "")
    if "" not in names:
        return index, names
    assert names[0] == "", "the blank sorts before every name"
    return index - 1, names[1:]


def _read_philly(sheet: Sheet, chip: str) -> tuple[JobTable, list[Problem], int | None]:
    notices: list[Problem] = []
    submit, _ = sheet.instants("timestamp", zoned=False)
    run_s, _ = sheet.numbers("duration")
    gangs, _ = sheet.numbers("num_gpus")
    _check_runs(sheet, "duration", run_s, "num_gpus", gangs)
    tenant, tenants = _named(sheet, "cluster", "philly")
    sheet.raise_faults()
    keep = gangs >= 1
    notices += _left_out(sheet, "num_gpus", ~keep, "ask for no accelerator")
    why = "the trace holds no end states and no users: ends are unknown, tenants virtual clusters"
    notices.append(Problem(sheet.path.name, "end_state", "", why))
    if not pa.types.is_timestamp(sheet.table.schema.field("timestamp").type):
        notices += _zoneless(sheet, "timestamp")
    elif sheet.table.schema.field("timestamp").type.tz is None:
        why = "has no zone and was read as UTC (a trace's hours keep their place in the day)"
        notices.append(Problem(sheet.path.name, "timestamp", "", why))
    notices.append(_class_notice(sheet))
    jobs = _jobs_of(
        sheet,
        keep,
        notices,
        {"submit_ns": submit, "work_s": run_s, "accelerators": gangs, "tenant": tenant},
        tenants=tenants,
        chip=chip,
        origin="Philly trace of 2017 (Jeon et al., USENIX ATC 2019; CC-BY-4.0)",
    )
    return jobs, notices, 2490


def _read_slurm_like(
    sheet: Sheet, chip: str, *, tenant_column: str, origin: str
) -> tuple[JobTable, list[Problem], int | None]:
    """The shared shape of Helios and Acme: what Slurm's accounting said of every job."""
    notices: list[Problem] = []
    submit, _ = sheet.instants("submit_time", zoned=False)
    gangs, _ = sheet.numbers("gpu_num")
    stated_s, never = sheet.numbers("duration", needed=False)
    run_s = stated_s
    if {"start_time", "end_time"} <= set(sheet.names):
        start, no_start = sheet.instants("start_time", zoned=False, needed=False)
        end, no_end = sheet.instants("end_time", zoned=False, needed=False)
        timed = ~no_start & ~no_end
        run_s = np.where(timed, (end - start) / NS_PER_S, stated_s)
        never = never & ~timed
        other = int((timed & (np.abs(run_s - stated_s) > 1.0)).sum())
        if other:
            why = "differ from end minus start (they include queueing); end minus start was taken"
            notices.append(_counted(sheet, "duration", other, why))
    _check_runs(sheet, "duration", run_s, "gpu_num", gangs)
    tenant, tenants = _named(sheet, tenant_column, tenant_column)
    words = [w.lower() for w in _filled(sheet, "state", "")]
    ends = np.array([int(_ENDS.get(word, EndState.UNKNOWN)) for word in words], dtype=np.int64)
    columns: dict[str, Any] = {"submit_ns": submit, "work_s": run_s, "accelerators": gangs}
    if "type" in sheet.names:
        kinds = [w.lower() for w in _filled(sheet, "type", "other")]
        columns["job_class"] = np.array(
            [int(_ACME_CLASSES.get(kind, JobClass.RESEARCH)) for kind in kinds], dtype=np.int64
        )
        strange = sum(kind not in _ACME_CLASSES for kind in kinds)
        if strange:
            notices.append(_counted(sheet, "type", strange, "of no known type, read as research"))
    else:
        notices.append(_class_notice(sheet))
    sheet.raise_faults()
    keep = (gangs >= 1) & ~never
    notices += _left_out(sheet, "gpu_num", gangs < 1, "ask for no accelerator")
    notices += _left_out(sheet, "duration", never & (gangs >= 1), "never ran")
    strange = int(sum(word not in _ENDS for word in words))
    if strange:
        notices.append(_counted(sheet, "state", strange, "of no known end, read as unknown"))
    notices += _zoneless(sheet, "submit_time")
    columns |= {"tenant": tenant, "end_state": ends}
    jobs = _jobs_of(sheet, keep, notices, columns, tenants=tenants, chip=chip, origin=origin)
    return jobs, notices, None


def _read_helios(sheet: Sheet, chip: str) -> tuple[JobTable, list[Problem], int | None]:
    origin = "Helios trace of 2020 (Hu et al., SC 2021; CC-BY-4.0)"
    return _read_slurm_like(sheet, chip, tenant_column="vc", origin=origin)


def _read_acme(sheet: Sheet, chip: str) -> tuple[JobTable, list[Problem], int | None]:
    kalos = "mem_per_pod_gb" in sheet.names or "kalos" in sheet.path.name.lower()
    cluster = "Kalos" if kalos else "Seren"
    origin = f"AcmeTrace, cluster {cluster}, of 2023 (Hu et al., NSDI 2024; CC-BY-4.0)"
    jobs, notices, _ = _read_slurm_like(sheet, chip, tenant_column="user", origin=origin)
    if kalos and not {"start_time", "end_time"} <= set(sheet.names):
        why = "includes queueing in Kalos (end minus submission); without start and end it stands"
        notices.append(Problem(sheet.path.name, "duration", "", why))
    return jobs, notices, 2416 if kalos else 2288


def _jobs_of(
    sheet: Sheet,
    keep: Mask,
    notices: list[Problem],
    columns: Mapping[str, Any],
    *,
    tenants: tuple[str, ...],
    chip: str,
    origin: str,
) -> JobTable:
    """The kept rows of a published trace as jobs; the class by gang size unless it is given."""
    if not keep.any():
        raise refuse(str(sheet.path), "", None, "holds no job that ran on an accelerator")
    kept: dict[str, Any] = {name: np.asarray(column)[keep] for name, column in columns.items()}
    work_ns = _work_ns(sheet, kept.pop("work_s"), "duration", notices)
    frontier = kept["accelerators"] >= FRONTIER_GANG
    by_size = np.where(frontier, int(JobClass.FRONTIER_TRAINING), int(JobClass.RESEARCH))
    kept.setdefault("job_class", by_size)
    why = "holds no walltime: limits are taken equal to the run time"
    notices.append(Problem(sheet.path.name, "walltime_s", "", why))
    return JobTable.of(
        **kept, work_ns=work_ns, tenants=tenants, chips=(chip,), origin=origin, state="measured"
    )


def _check_runs(sheet: Sheet, run: str, run_s: Floats, gang: str, gangs: Floats) -> None:
    sheet.bad(run_s < 0.0, run, "is below 0")
    sheet.bad(run_s > LONGEST_S, run, "is longer than two years")
    wrong = (gangs < 0) | (gangs > 2e9) | (~np.isnan(gangs) & (gangs != np.rint(gangs)))
    sheet.bad(wrong, gang, "is not a whole number of 0 or more")


def _work_ns(sheet: Sheet, work_s: Floats, column: str, notices: list[Problem]) -> Ints:
    short = int((work_s < 1.0).sum())
    if short:
        notices.append(_counted(sheet, column, short, "shorter than 1 s and raised to 1 s"))
    return np.maximum((work_s * NS_PER_S).astype(np.int64), MIN_WORK_NS)


def _durations(sheet: Sheet, name: str) -> Floats:
    """A column of text with units as seconds; each distinct text is parsed once."""
    words = sheet.text(name)
    coded = words.dictionary_encode()
    values, whys = [], []
    for word in coded.dictionary.to_pylist():
        try:
            values.append(parse(word, "duration_s"))
            whys.append("")
        except ValueError as error:
            values.append(np.nan)
            whys.append(str(error))
    codes = np.asarray(pc.fill_null(coded.indices, len(values)).to_numpy(), dtype=np.int64)
    whys.append("is blank and has to be given")
    seconds = np.array([*values, np.nan])[codes]
    sheet.bad(np.isnan(seconds), name, lambda row: whys[int(codes[row])])
    return np.asarray(seconds, dtype=np.float64)


def _filled(sheet: Sheet, name: str, default: str) -> list[str]:
    if name not in sheet.names:
        return [default] * len(sheet)
    return [str(word) for word in pc.fill_null(sheet.text(name), default).to_pylist()]


def _labelled(
    sheet: Sheet, name: str, labels: Mapping[str, int], default: int
) -> npt.NDArray[np.int64]:
    if name not in sheet.names:
        return np.full(len(sheet), int(default), dtype=np.int64)
    words = [word.lower() for word in _filled(sheet, name, "")]
    found = [int(default) if word == "" else labels.get(word, -1) for word in words]
    codes = np.array(found, dtype=np.int64)
    sheet.bad(codes < 0, name, f"is none of {', '.join(labels)}")
    return codes


def _named(sheet: Sheet, name: str, default: str) -> tuple[Ints, tuple[str, ...]]:
    """Index and names of a column of names, the names in alphabetical order."""
    words = _filled(sheet, name, default)
    names = tuple(sorted(set(words)))
    if len(names) > 32_767:
        raise refuse(str(sheet.path), name, f"{len(names):,} names", "are more than 32,767")
    index = {word: at for at, word in enumerate(names)}
    return np.array([index[word] for word in words], dtype=np.int64), names


def _counted(sheet: Sheet, name: str, count: int, words: str) -> Problem:
    return Problem(sheet.path.name, name, "", f"{count:,} row(s) {words}")


def _left_out(sheet: Sheet, name: str, mask: Mask, words: str) -> list[Problem]:
    count = int(mask.sum())
    return [_counted(sheet, name, count, f"{words} and were left out")] if count else []


def _zoneless(sheet: Sheet, name: str) -> list[Problem]:
    column = sheet.table.column(name)
    if pa.types.is_timestamp(column.type):
        return []
    zoned = pc.match_substring_regex(sheet.text(name), r"(Z|[+-]\d{2}:?\d{2})$")
    if pc.all(pc.fill_null(zoned, True)).as_py():
        return []
    why = "has no zone and was read as UTC (a trace's hours keep their place in the day)"
    return [Problem(sheet.path.name, name, "", why)]


def _class_notice(sheet: Sheet) -> Problem:
    why = (
        f"holds no job types: gangs of {FRONTIER_GANG} accelerators and more are read as frontier "
        "training, all others as research"
    )
    return Problem(sheet.path.name, "class", "", why)


@dataclass(frozen=True, slots=True)
class _Layout:
    needs: tuple[tuple[str, ...], ...]
    knows: frozenset[str]
    read: Callable[[Sheet, str], tuple[JobTable, list[Problem], int | None]]


_GENERIC_COLUMNS = (
    "submit tenant class accelerators work work_s walltime_s priority chip end_state mission "
    "project accelerators_min deadline level"
)
_SLURM_COLUMNS = (
    "job_id user node_num gpu_num cpu_num state submit_time start_time end_time duration queue"
)
_ACME_COLUMNS = " type gpu_time mem_per_pod_gb shared_mem_per_pod fail_time stop_time"
_LAYOUTS: Final[Mapping[str, _Layout]] = {
    "generic": _Layout(
        (("submit",), ("accelerators",), ("work", "work_s")),
        frozenset(_GENERIC_COLUMNS.split()),
        _read_generic,
    ),
    "acme": _Layout(
        (("type",), ("gpu_num",), ("submit_time",), ("duration",)),
        frozenset((_SLURM_COLUMNS + _ACME_COLUMNS).split()),
        _read_acme,
    ),
    "helios": _Layout(
        (("vc",), ("gpu_num",), ("submit_time",), ("duration",)),
        frozenset((_SLURM_COLUMNS + " vc job_name jobname").split()),
        _read_helios,
    ),
    "philly": _Layout(
        (("timestamp",), ("duration",), ("num_gpus",)),
        frozenset({"timestamp", "duration", "num_gpus", "gpu_time", "cluster"}),
        _read_philly,
    ),
}
