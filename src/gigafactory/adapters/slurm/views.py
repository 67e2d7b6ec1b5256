"""From Slurm's rows to the port's views; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gigafactory.adapters.slurm.metadata import Tag, read_tag
from gigafactory.adapters.slurm.settings import SlurmSettings
from gigafactory.adapters.slurm.text import JobRow, NodeRow, expand_nodes
from gigafactory.jobs.ports import EndedView, Ending, JobView, NodeView, Phase
from gigafactory.units import NS_PER_S

_ENDINGS = {
    "COMPLETED": Ending.COMPLETED,
    "CANCELLED": Ending.CANCELLED,
    "REVOKED": Ending.CANCELLED,
    "TIMEOUT": Ending.TIMED_OUT,
    "DEADLINE": Ending.TIMED_OUT,
}
_DOWN = ("down", "fail", "unknown", "error", "inval", "reboot", "future", "perfctrs", "blocked")


@dataclass(frozen=True, slots=True)
class Saved:
    """What a job said about its latest checkpoint.

    Attributes:
        at_ns: when, ns UTC, by the clock of the file system.
        ran_s: time it had run by then and keeps, s; None where it does not say.
        run_s: of that, since its latest start then, s.
    """

    at_ns: int
    ran_s: float | None = None
    run_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Ours:
    """One of our jobs: Slurm's row and our metadata."""

    row: JobRow
    tag: Tag

    @property
    def job(self) -> str:
        """Slurm's number for it."""
        return self.row.job

    @property
    def pausing(self) -> bool:
        """Whether it works on, or saves, while its pause is on the way."""
        pause, start = self.tag.pause_ns, self.row.start_ns
        return self.row.running and pause is not None and (start is None or pause >= start)


@dataclass(frozen=True, slots=True)
class Sorted:
    """The rows of one look, sorted out.

    Attributes:
        ours: our jobs that have not ended, by number.
        ended: our jobs that have ended, by number.
        foreign: rows that are not ours and have not ended, by number.
        doubles: numbers of jobs handed over twice that never started; to be taken away.
        by_key: number of our job by our key, ended ones included.
    """

    ours: dict[str, Ours]
    ended: dict[str, Ours]
    foreign: dict[str, JobRow]
    doubles: tuple[str, ...]
    by_key: dict[str, str]


def sort_out(rows: Iterable[JobRow], settings: SlurmSettings) -> Sorted:
    """Tell ours from others', and the first of a key from its doubles."""
    foreign: dict[str, JobRow] = {}
    by_key: dict[str, list[Ours]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: int(row.job)):
        tag = read_tag(row.comment) if _may_be_ours(row, settings) else None
        if tag is not None:
            by_key[tag.key].append(Ours(row, tag))
        elif not row.ended:
            foreign[row.job] = row
    ours: dict[str, Ours] = {}
    ended: dict[str, Ours] = {}
    doubles: list[str] = []
    for first, *more in by_key.values():
        (ended if first.row.ended else ours)[first.job] = first
        for other in more:
            if other.row.held and not other.row.restarts:
                doubles.append(other.job)
            elif not other.row.ended:
                ours[other.job] = other  # it runs: whoever let it must see it
    return Sorted(
        ours, ended, foreign, tuple(doubles), {key: jobs[0].job for key, jobs in by_key.items()}
    )


def _may_be_ours(row: JobRow, settings: SlurmSettings) -> bool:
    return row.user == settings.user and (not settings.qos or row.qos == settings.qos)


def view_ours(one: Ours, saved: Saved | None) -> JobView:
    """One of our jobs as the port shows it."""
    row, tag = one.row, one.tag
    phase, reason = _phase(row), row.reason
    if row.held and tag.pause_ns is not None:
        phase = Phase.PAUSED
    elif one.pausing:
        reason = "is saving before its pause"
    elif row.leaving:
        reason = "is being ended"
    holds = not row.waiting
    last_ns = tag.last_start_s * NS_PER_S or None
    start_ns = row.start_ns if holds else last_ns
    return JobView(
        job=row.job,
        tenant=tag.tenant,
        phase=phase,
        accelerators=tag.accelerators,
        submit_ns=tag.submit_s * NS_PER_S,
        start_ns=start_ns,
        walltime_s=tag.walltime_s,
        key=tag.key,
        job_class=tag.job_class,
        priority=tag.priority,
        pool=tag.pool,
        nodes=expand_nodes(row.nodes if holds else tag.last_nodes),
        nodes_asked=tag.nodes,
        accelerators_min=tag.accelerators_min,
        restarts=row.restarts,
        ran_s=_ran_s(tag, start_ns if holds else None, saved),
        saved_ns=saved.at_ns if saved else None,
        frozen=row.frozen,
        reason=reason,
    )


def _ran_s(tag: Tag, start_ns: int | None, saved: Saved | None) -> float:
    """Time kept from before the latest start: what the job says, else what we wrote down."""
    if saved is None or saved.ran_s is None:
        return tag.kept_s if start_ns is not None else tag.kept_when_paused_s
    if start_ns is not None and saved.at_ns >= start_ns:
        return max(0.0, saved.ran_s - saved.run_s)
    return saved.ran_s


def view_foreign(row: JobRow, pools: Mapping[str, str]) -> JobView:
    """Somebody else's job; `pools` is partition to pool."""
    return JobView(
        job=row.job,
        tenant=row.user,
        phase=_phase(row),
        accelerators=row.accelerators,
        submit_ns=row.submit_ns,
        start_ns=None if row.waiting else row.start_ns,
        walltime_s=row.walltime_s,
        ours=False,
        pool=pools.get(row.partition, ""),
        nodes=() if row.waiting else expand_nodes(row.nodes),
        restarts=row.restarts,
        frozen=row.frozen,
        reason=row.reason,
    )


def view_ended(one: Ours) -> EndedView:
    """One of our jobs that has ended."""
    row = one.row
    return EndedView(
        job=row.job,
        key=one.tag.key,
        ending=_ENDINGS.get(row.state, Ending.FAILED),
        end_ns=row.end_ns or 0,
        # A job cancelled before its start gets its end for a start, and no nodes.
        start_ns=row.start_ns if row.nodes else (one.tag.last_start_s * NS_PER_S or None),
        exit_code=row.exit_code,
    )


def view_node(row: NodeRow, pools: Mapping[str, str]) -> NodeView:
    """One node; its pool is that of the first of its partitions we know."""
    state = row.state.lower()
    word = state.rstrip("*~#!%$@^-+")
    off = any(mark in state for mark in "~%") or word.startswith("power")
    return NodeView(
        node=row.node,
        pool=next((pools[name] for name in row.partitions if name in pools), ""),
        accelerators=row.accelerators,
        up=not off and "*" not in state and "#" not in state and not word.startswith(_DOWN),
        draining=word.startswith("drain") or "!" in state,
        off=off,
    )


def _phase(row: JobRow) -> Phase:
    if row.waiting:
        return Phase.HELD if row.held else Phase.QUEUED
    return Phase.PAUSED if row.frozen else Phase.RUNNING
