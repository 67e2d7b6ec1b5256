"""From what the workload manager shows at two ticks to what happened between them.

`Watch.see` compares a snapshot with what it saw before and tells segments opened and closed (the
rows of a `moves` frame), in order of time; `Watch.run` integrates what ran between two instants
from the same rows, so that the journal's readings and its moves cannot disagree. Instants come from
the manager where it gives them (start, end, checkpoint) and lie within the interval that was
looked at; what it does not date is dated at the look.

Pure state: no clock, no manager.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from gigafactory.jobs.ports import EndedView, Ending, JobView, Phase, WorkloadSnapshot
from gigafactory.kernel import FULL_SPEED
from gigafactory.runtime.live import frames
from gigafactory.units import NS_PER_DAY

Ints: TypeAlias = npt.NDArray[np.int64]

#: Milliwatt-nanoseconds in a micro-watt-hour.
MW_NS_PER_UWH: Final = 3_600_000_000
_ENDINGS: Final = {
    Ending.COMPLETED: frames.FINISH,
    Ending.FAILED: frames.FINISH,
    Ending.TIMED_OUT: frames.LIMIT,
    Ending.CANCELLED: frames.CANCEL,
}
#: The same back, where nothing else is said.
_ENDED_AS: Final = {
    frames.FINISH: Ending.COMPLETED,
    frames.LIMIT: Ending.TIMED_OUT,
    frames.CANCEL: Ending.CANCELLED,
}
#: Ends are known for so long at least: longer than a manager goes back, or is away unseen.
_CLOSED_KEPT_NS: Final = NS_PER_DAY
#: What a foreign job is numbered as.
NOBODY: Final = -1


@dataclass(frozen=True, slots=True)
class Seen:
    """A job as last seen.

    Attributes:
        number: of the day.
        view: what the manager showed.
        opened_ns: when its segment opened; 0 while none is open.
        stopped: it was paused, so that its next start is a resumption.
    """

    number: int
    view: JobView
    opened_ns: int = 0
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """One row of a `moves` frame, with its reason in words."""

    t_ns: int
    kind: int
    job: int
    width: int
    pool: int
    speed: int
    lost_ns: int = 0
    restart: int = 0
    frozen: int = 0
    reason: str = ""

    @property
    def row(self) -> tuple[int, ...]:
        """The columns of `frames.MOVES`."""
        return (self.kind, self.job, self.t_ns, self.width, self.pool, self.speed, self.lost_ns,
                self.restart, self.frozen)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """What a look brought.

    Attributes:
        fresh: jobs that got a number now, in order of number.
        moves: what happened, in order of time.
        ended: our jobs that ended.
        lost: keys of our jobs that are gone without an end (a manager rolled back).
    """

    fresh: tuple[Seen, ...]
    moves: tuple[Move, ...]
    ended: tuple[EndedView, ...]
    lost: tuple[str, ...]


@dataclass(slots=True)
class _Open:
    """What one job holds: where the integrals come from."""

    pool: int
    group: int
    width: int
    speed: int
    running: bool
    frozen: bool


@dataclass(slots=True)
class Watch:
    """Follows the jobs of one manager or of several.

    Attributes:
        pools: number of each pool by name.
        classes: number of each class by label.
        count: numbers given so far on this day.
    """

    pools: Mapping[str, int]
    classes: Mapping[str, int]
    count: int = 0
    jobs: dict[str, Seen] = field(default_factory=dict)
    closed: dict[str, EndedView] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    _open: dict[int, _Open] = field(default_factory=dict)

    # --- looking ---------------------------------------------------------------------------

    def see(self, snapshot: WorkloadSnapshot, since_ns: int, pools: Iterable[str]) -> Look:
        """Compare a good snapshot with what was seen before.

        Args:
            snapshot: without trouble.
            since_ns: end of the interval accounted so far; nothing is dated before it.
            pools: the pools it shows, so that jobs of other managers are left alone.
        """
        mine, now = frozenset(pools), max(snapshot.at_ns, since_ns)
        fresh: list[Seen] = []
        moves: list[Move] = []
        shown = {_name(v): v for v in snapshot.jobs if v.pool in mine}
        ended = {e.key: e for e in snapshot.ended}
        for name, view in sorted(shown.items(), key=lambda one: (one[1].submit_ns, one[0])):
            before = self.jobs.get(name)
            if before is None:
                before = Seen(self._number(), replace(view, phase=Phase.HELD, restarts=0))
                fresh.append(before)
            moves += self._compare(name, before, view, since_ns, now)
        over, lost = [], []
        for name in sorted(set(self.jobs) - set(shown)):
            before = self.jobs[name]
            if before.view.pool not in mine:
                continue
            end = ended.get(before.view.key) if before.view.ours else None
            if end is None and before.view.ours:
                lost.append(before.view.key)
            if end is not None:
                over.append(end)
                self.closed[end.key] = end
            moves += self._gone(before, end, since_ns, now)
            del self.jobs[name]
        moves.sort(key=lambda m: (m.t_ns, m.job))  # stable: a job's own stay in order
        return Look(tuple(fresh), tuple(moves), tuple(over), tuple(lost))

    def number_of(self, name: str) -> int:
        """The number of a job; -1 where it has none."""
        seen = self.jobs.get(name)
        return seen.number if seen is not None else NOBODY

    def over(self, key: str) -> bool:
        """Whether the work of this key has ended, and nothing of it is left."""
        return key in self.closed and key not in self.jobs

    def carry_over(self, at_ns: int) -> tuple[tuple[Seen, ...], tuple[Move, ...]]:
        """Number anew what is still there, for the next day; segments open again at its begin."""
        self.count = 0
        self._open.clear()
        old = at_ns - _CLOSED_KEPT_NS
        self.closed = {key: end for key, end in self.closed.items() if end.end_ns >= old}
        told, moves = [], []
        for name, seen in sorted(self.jobs.items(), key=lambda one: one[1].number):
            now = replace(seen, number=self._number())
            self.jobs[name] = now
            told.append(now)
            if now.opened_ns:
                self.jobs[name] = now = replace(now, opened_ns=at_ns)
                moves.append(self._move(now, now.view, frames.START, at_ns))
            elif now.view.phase is Phase.PAUSED:
                frozen = int(now.view.frozen)
                moves.append(self._move(now, now.view, frames.PAUSE, at_ns, frozen=frozen))
        return tuple(told), tuple(moves)

    def _number(self) -> int:
        self.count += 1
        return self.count - 1

    def _move(
        self, seen: Seen, view: JobView, kind: int, t_ns: int, lost_ns: int = 0, frozen: int = 0,
        reason: str = "",
    ) -> Move:  # fmt: skip
        return Move(
            t_ns=t_ns,
            kind=kind,
            job=seen.number,
            width=view.accelerators,
            pool=self.pools.get(view.pool, 0),
            speed=round(view.speed * FULL_SPEED),
            lost_ns=lost_ns,
            restart=view.restarts,
            frozen=frozen,
            reason=reason,
        )

    def _compare(
        self, name: str, before: Seen, view: JobView, since_ns: int, now: int
    ) -> list[Move]:
        """What one job did since it was seen last; keeps what it is now."""
        moves: list[Move] = []
        was, ran = before.view, before.opened_ns > 0
        again = view.phase is Phase.RUNNING and ran and (
            view.restarts != was.restarts or (view.start_ns or 0) > (was.start_ns or 0)
        )  # fmt: skip
        started = min(max(view.start_ns or now, since_ns), now)
        state = before
        if ran and (view.phase is not Phase.RUNNING or again):
            at = started if again else now
            moves.append(self._closed(state, view, at))
            state = replace(state, opened_ns=0, stopped=view.phase is Phase.PAUSED)
        if was.frozen and not view.frozen and view.phase is not Phase.RUNNING:
            kind = frames.PAUSE if view.phase is Phase.PAUSED else frames.PREEMPT
            moves.append(self._move(state, was, kind, now))
        if view.phase is Phase.RUNNING and not state.opened_ns:
            at = now if was.frozen else started
            kind = frames.RESUME if state.stopped or was.frozen else frames.START
            moves.append(self._move(state, view, kind, at))
            state = replace(state, opened_ns=at, stopped=False)
        elif view.phase is Phase.RUNNING and view.speed != was.speed:
            moves.append(self._move(state, view, frames.SPEED, now))
        if view.frozen and not ran and not was.frozen:  # first seen frozen
            moves.append(self._move(state, view, frames.PAUSE, now, frozen=1))
        if view.phase is Phase.PAUSED:
            state = replace(state, stopped=True)
        self.jobs[name] = replace(state, view=view)
        return moves

    def _closed(self, state: Seen, view: JobView, at: int) -> Move:
        """A segment that ended without the job."""
        was, told = state.view, self.asked.get(state.view.job, "")
        if view.phase is Phase.PAUSED:
            kind = frames.PAUSE
        else:
            kind = frames.PREEMPT if told == "requeue" else frames.FAIL
        lost = 0 if view.frozen else self._lost(state, view.saved_ns, at)
        return self._move(
            state, was, kind, at, lost, int(view.frozen), view.reason if kind == frames.FAIL else ""
        )

    def _gone(self, before: Seen, end: EndedView | None, since_ns: int, now: int) -> list[Move]:
        """The last moves of a job that is no longer there."""
        view, moves = before.view, []
        kind = frames.FAIL if end is None else _ENDINGS[end.ending]
        at = now if end is None else min(max(end.end_ns, since_ns), now)
        if before.opened_ns:
            lost = self._lost(before, view.saved_ns, at) if end is None else 0
            moves.append(self._move(before, view, kind, at, lost, reason=_said(end, kind)))
        elif end is not None and end.start_ns is not None and end.start_ns > (view.start_ns or 0):
            start = min(max(end.start_ns, since_ns), at)  # it ran between two looks
            opening = frames.RESUME if before.stopped else frames.START
            moves += [
                self._move(before, view, opening, start),
                self._move(before, view, kind, at, reason=_said(end, kind)),
            ]
        elif end is not None or not view.ours or view.frozen:
            reason = _said(end, frames.GONE)
            moves.append(self._move(before, view, frames.GONE, at, reason=reason))
        return moves

    @staticmethod
    def _lost(state: Seen, saved_ns: int | None, at: int) -> int:
        """Accelerator-nanoseconds since the last checkpoint of an open segment."""
        safe = max(saved_ns or 0, state.opened_ns)
        return max(at - safe, 0) * state.view.accelerators

    # --- integrating -----------------------------------------------------------------------

    def run(
        self,
        moves: Sequence[Move],
        from_ns: int,
        to_ns: int,
        power_mw: Sequence[Ints],
        idle_mw: Sequence[int],
        group_of: Mapping[int, int],
    ) -> tuple[Ints, Ints]:
        """What ran between two instants, moves taken in order.

        Args:
            moves: rows dated within the interval, in order.
            from_ns: begin of the interval.
            to_ns: its end.
            power_mw: per pool, milliwatts of an active accelerator by class and speed step.
            idle_mw: per pool, milliwatts of one at rest.
            group_of: class number by job number; foreign jobs have none.

        Returns:
            int64[pools, classes, len(GROUP_COLUMNS)] and foreign accelerator-time, int64[pools].
        """
        shape = (len(self.pools), len(self.classes), len(frames.GROUP_COLUMNS))
        groups, foreign = np.zeros(shape, np.int64), np.zeros(len(self.pools), np.int64)
        energy: npt.NDArray[Any] = np.zeros(shape[:2], object)
        at = from_ns
        for move in (*moves, None):
            until = to_ns if move is None else min(max(move.t_ns, at), to_ns)
            if until > at:
                self._hold(until - at, groups, foreign, energy, power_mw, idle_mw)
                at = until
            if move is not None:
                self.apply(move, group_of)
        groups[:, :, frames.GROUP_COLUMNS.index("active_uwh")] = energy // MW_NS_PER_UWH
        return groups, foreign

    def _hold(
        self,
        took: int,
        groups: Ints,
        foreign: Ints,
        energy: npt.NDArray[Any],
        power_mw: Sequence[Ints],
        idle_mw: Sequence[int],
    ) -> None:
        for one in self._open.values():
            held = took * one.width
            if one.group < 0:
                foreign[one.pool] += held
                group = 0
            else:
                group = one.group
                if one.running:
                    groups[one.pool, group, 0] += held
                    groups[one.pool, group, 1] += held * one.speed // FULL_SPEED
                elif one.frozen:
                    groups[one.pool, group, 2] += held
                else:
                    groups[one.pool, group, 3] += held
            if one.running and one.group >= 0:
                more = int(power_mw[one.pool][group, one.speed]) - idle_mw[one.pool]
                energy[one.pool, group] += held * more

    def apply(self, move: Move, group_of: Mapping[int, int]) -> None:
        """Let a row take effect on what is integrated."""
        if move.kind in (frames.START, frames.RESUME, frames.SPEED):
            group = group_of.get(move.job, NOBODY)
            self._open[move.job] = _Open(move.pool, group, move.width, move.speed, True, False)
        elif move.kind == frames.PAUSE:
            group = group_of.get(move.job, NOBODY)
            self._open[move.job] = _Open(
                move.pool, group, move.width, move.speed, False, bool(move.frozen)
            )
        else:
            self._open.pop(move.job, None)

    def open_jobs(self) -> int:
        """Jobs that have not ended."""
        return len(self.jobs)

    def restore(
        self, seen: Mapping[str, Seen], count: int, moves: Iterable[Move], groups: Mapping[int, int]
    ) -> None:
        """Go on from what a journal says.

        Args:
            seen: jobs by name.
            count: numbers given.
            moves: the last move of each job that holds something.
            groups: class number by job number.
        """
        self.jobs, self.count = dict(seen), count
        self._open.clear()
        for move in moves:
            self.apply(move, groups)


def _said(end: EndedView | None, kind: int) -> str:
    """How a job ended, where the kind of the move does not say it."""
    return str(end.ending) if end is not None and _ENDED_AS.get(kind) is not end.ending else ""


def ending_of(kind: int, reason: str) -> Ending | None:
    """How a job ended, by its last move; None where it did not end."""
    return Ending(reason) if reason else _ENDED_AS.get(kind)


def _name(view: JobView) -> str:
    """What a job is known by: our key, else the manager's own name."""
    return view.key if view.ours and view.key else f"#{view.pool}/{view.job}"


def work_row(
    seen: Seen, watch: Watch, tenants: Mapping[str, int], carried: bool
) -> tuple[int, ...]:
    """A job as a row of `frames.WORK`."""
    view = seen.view
    return (
        seen.number,
        tenants.get(view.tenant, NOBODY) if view.ours else NOBODY,
        group_of(view, watch.classes),
        watch.pools.get(view.pool, 0),
        view.accelerators,
        view.nodes_asked,
        view.priority,
        view.submit_ns,
        round(view.walltime_s),
        int(carried),
    )


def group_of(view: JobView, classes: Mapping[str, int]) -> int:
    """Class number of a job; -1 for a foreign one."""
    if not view.ours:
        return NOBODY
    label = view.job_class
    if label == "inference":  # one word for both service levels, as the gate takes it
        label = "inference_realtime"
    return classes.get(label, NOBODY)
