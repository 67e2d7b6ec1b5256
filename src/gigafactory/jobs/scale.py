"""Fit a real trace to a larger fleet: whole copies shifted in time, gangs never inflated.

Copy 0 is the trace itself, every job of it, moved by whole weeks to the start of the window. The
other copies are moved by a seeded number of whole weeks and up to an hour more, so hours and
weekdays keep their place while mass submissions do not fall on the same second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.engine.streams import stream
from gigafactory.jobs.table import COLUMNS, JobTable
from gigafactory.units import NS_PER_DAY, NS_PER_H, NS_PER_S

WEEK_NS: Final = 7 * NS_PER_DAY
#: Most jobs that are made; more would need more memory than a laptop has.
JOBS_MAX: Final = 20_000_000


def scale_to_fleet(
    jobs: JobTable,
    *,
    accelerators: int,
    node_size: int,
    start_ns: int,
    end_ns: int,
    offered: float | None = None,
    seed: int,
    original_accelerators: int | None = None,
    chips: Mapping[str, int] | None = None,
) -> JobTable:
    """Replicate a trace until it suits a fleet.

    Args:
        jobs: the trace.
        accelerators: of the fleet.
        node_size: accelerators per node; a gang above it takes whole nodes.
        start_ns: start of the window, ns UTC.
        end_ns: end of the window, ns UTC.
        offered: wanted accelerator-hours as a share of those installed in the window, reached as
            nearly as whole copies allow; None makes round(fleet / original size) copies.
        seed: the run's seed.
        original_accelerators: of the cluster the trace was taken on; None takes the most the trace
            would use at once if every job started when submitted.
        chips: accelerators per chip of the fleet; jobs are dealt over them by size, and each
            becomes the reference chip of its jobs. None keeps the trace's reference chips.

    Returns:
        The replicated table, sorted by submission, holding every job of the trace at least once;
        `scaling` says, in sentences, everything that was done.

    Raises:
        BadInput: a gang is larger than the fleet, the window is empty, or the wanted load would
            take more than 20 million jobs.
    """
    if end_ns <= start_ns:
        raise refuse("scale to fleet", "end", end_ns, "lies after the start")
    if not len(jobs):
        raise refuse("scale to fleet", "jobs", 0, "there are no jobs to scale")
    homes = _homes(jobs, accelerators, node_size, chips)
    size = original_accelerators or peak_accelerators(jobs)
    window_s = (end_ns - start_ns) / NS_PER_S
    one_share = float(jobs.gpu_seconds().sum()) / (accelerators * window_s)
    copies = max(1, round(accelerators / size if offered is None else offered / one_share))
    if copies * len(jobs) > JOBS_MAX:
        raise _too_many(jobs, copies, offered, one_share)
    shifts = _shifts(jobs, start_ns, end_ns, copies, seed)
    span_ns = end_ns - start_ns
    parts = [start_ns + (jobs.submit_ns + shift - start_ns) % span_ns for shift in shifts]
    submit = np.concatenate(parts)
    columns: dict[str, npt.NDArray[Any]] = {
        name: np.tile(column, copies) for name, column in jobs.columns() if name != "submit_ns"
    }
    columns["deadline_ns"] = _deadlines(jobs, submit, copies)
    if chips is not None:
        columns["chip"] = _dealt(homes, chips, copies, seed).astype(COLUMNS["chip"])
    folded = int(jobs.submit_ns[-1]) + shifts[0] >= end_ns
    said = _said(jobs, copies, size, accelerators, copies * one_share, shifts[0], folded, chips)
    return JobTable.of(
        submit_ns=submit,
        tenants=jobs.tenants,
        chips=jobs.chips if chips is None else tuple(chips),
        services=jobs.services,
        projects=jobs.projects,
        origin=jobs.origin,
        state=jobs.state,
        scaling=(*jobs.scaling, *said),
        **columns,
    )


def _too_many(jobs: JobTable, copies: int, offered: float | None, one_share: float) -> BadInput:
    most = JOBS_MAX // len(jobs) * one_share
    why = (
        f"would take {copies:,} copies of {len(jobs):,} jobs, more than {JOBS_MAX:,} jobs; this "
        f"trace can offer at most {most:.2g} of the fleet in this window"
    )
    return refuse("scale to fleet", "offered", offered, why)


def peak_accelerators(jobs: JobTable) -> int:
    """Most accelerators in use at once if every job started when it was submitted."""
    at = np.concatenate([jobs.submit_ns, jobs.submit_ns + jobs.work_ns])
    change = np.concatenate([jobs.accelerators, -jobs.accelerators]).astype(np.int64)
    order = np.lexsort((change, at))  # ends before starts at the same instant
    return int(np.cumsum(change[order]).max())


def _homes(
    jobs: JobTable, accelerators: int, node_size: int, chips: Mapping[str, int] | None
) -> npt.NDArray[np.int64]:
    """Accelerators each gang takes, in whole nodes above one node; refuses what fits nowhere."""
    room = max(chips.values()) if chips else accelerators
    gangs = jobs.accelerators.astype(np.int64)
    takes = np.where(gangs > node_size, -(-gangs // node_size) * node_size, gangs)
    large = np.flatnonzero(takes > room)
    if len(large):
        told = [
            Problem(
                jobs.origin or "jobs",
                f"accelerators[{job}]",
                str(gangs[job]),
                f"a gang larger than the fleet's largest pool ({room:,} accelerators in nodes of "
                f"{node_size}) can never start",
            )
            for job in large[:20].tolist()
        ]
        if len(large) > 20:
            told.append(Problem(jobs.origin or "jobs", "", "", f"and {len(large) - 20:,} more"))
        raise BadInput(told)
    return takes


def _shifts(jobs: JobTable, start_ns: int, end_ns: int, copies: int, seed: int) -> list[int]:
    """Shift of each copy, ns; copy 0 by whole weeks alone, to the first one that is in time."""
    first = int(jobs.submit_ns[0])
    home = -((first - start_ns) // WEEK_NS) * WEEK_NS
    random = stream(seed, "jobs", "scale", "offsets")
    weeks = max(1, (end_ns - start_ns) // WEEK_NS)
    whole = random.integers(0, weeks, size=copies - 1) * WEEK_NS
    within = random.integers(0, NS_PER_H // NS_PER_S, size=copies - 1) * NS_PER_S
    return [home, *(home + whole + within).tolist()]


def _dealt(
    takes: npt.NDArray[np.int64], chips: Mapping[str, int], copies: int, seed: int
) -> npt.NDArray[np.int64]:
    """Chip of every job of every copy: by lot, weighted by pool size, among pools that hold it."""
    sizes = np.array(list(chips.values()), dtype=np.float64)
    fits = takes[:, None] <= sizes[None, :]
    reached = np.cumsum(np.where(fits, sizes[None, :], 0.0), axis=1)
    random = stream(seed, "jobs", "scale", "chips")
    dealt = []
    for _ in range(copies):
        aim = random.random(len(takes)) * reached[:, -1]
        dealt.append((aim[:, None] >= reached).sum(axis=1))
    return np.concatenate(dealt)


def _deadlines(
    jobs: JobTable, submit_ns: npt.NDArray[np.int64], copies: int
) -> npt.NDArray[np.int64]:
    """Deadline of every job of every copy, as long after its submission as in the trace."""
    room = np.tile(jobs.deadline_ns - jobs.submit_ns, copies)
    has = np.tile(jobs.deadline_ns > 0, copies)
    return np.asarray(np.where(has, submit_ns + room, 0), dtype=np.int64)


def _said(
    jobs: JobTable,
    copies: int,
    size: int,
    accelerators: int,
    share: float,
    home_ns: int,
    folded: bool,
    chips: Mapping[str, int] | None,
) -> tuple[str, ...]:
    """Everything that was done, in sentences."""
    home = (
        f"Copy 0 is the whole trace: all {len(jobs):,} jobs, moved by {home_ns // WEEK_NS:,} whole "
        "weeks, so hours and weekdays keep their place."
    )
    said = [home]
    if copies > 1:
        said.append(
            f"{copies - 1:,} further whole copies, each moved by a seeded number of whole weeks "
            "and up to an hour more, wrapped round within the window."
        )
    said.append(
        f"{copies:,} times {len(jobs):,} jobs from a cluster of {size:,} accelerators offer "
        f"{100 * share:.3g} % of the accelerator-hours of {accelerators:,} accelerators."
    )
    said.append("Gangs, run times and tenants are as in the trace; no gang was inflated.")
    if folded:
        said.append(
            "The window is shorter than the trace: later submissions were wrapped round to its "
            "start, so more is submitted per day than in the trace."
        )
    if chips is not None:
        said.append(
            f"Jobs were dealt over {', '.join(chips)} by lot, weighted by pool size; run times "
            "were not changed by the chip."
        )
    return tuple(said)
