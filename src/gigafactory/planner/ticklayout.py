"""From what a workload manager reports to the arrays of a pool: one look, one fresh pool.

Waiting jobs become columns; jobs on nodes become rows that say where they lie. What does not lie
as the kernel lays jobs (a gang on shared nodes, a job over parts of several) is laid in pieces, so
that nodes and power are counted all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise
from operator import attrgetter
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.jobs.ports import JobView, NodeView, Phase
from gigafactory.kernel import FULL_RATE, FULL_SPEED
from gigafactory.planner.poolplan import PoolPlan
from gigafactory.units import NS_PER_S

Ints = npt.NDArray[np.int64]

#: Groups of the kernel beside the five classes: what is not ours, at rest and at work.
STILL: Final = 6
FOREIGN: Final = 7
#: A running job that has used up its estimate is expected to end in so long.
_SOON_NS: Final = NS_PER_S
#: Longest run time the kernel takes: two years.
_LONGEST_S: Final = 730 * 86_400


class Was(IntEnum):
    """What a job was when the tick began."""

    WAITING = 0
    RELEASED = 1
    RUNNING = 2
    PAUSED = 3
    SAVED = 4  # paused without nodes to go back to: it waits
    LEFT_OUT = 5  # in pieces, or too wide to run here ever
    NOT_OURS = 6


@dataclass(frozen=True, slots=True)
class Book:
    """What of a plan the layout looks up by name, worked out once.

    Attributes:
        node: number of each node.
        tenant: number of each tenant; anybody else's is `others`.
        group: number of each class; what is none goes with the last victims.
        others: tenant number of whoever the plan does not know.
    """

    node: Mapping[str, int]
    tenant: Mapping[str, int]
    group: Mapping[str, int]
    others: int


@dataclass(slots=True)
class Layout:
    """A pool as it is found.

    Attributes:
        views: our jobs, by number in order of submission.
        was: what each was, and of pieces behind them `NOT_OURS` or that of their job.
        owner: job of each piece, -1 for nobody's; behind those of `views`, by themselves.
        asked: accelerators asked, all jobs and pieces.
        group: kernel group of each.
        tenant: number of the tenant of each.
        rows: words that lay the jobs on nodes, as `Pool.load` takes them.
        laid: how many jobs they lay.
        left: by number: run time left, done and safe, restart ahead, ns; of those laid.
        nodes: numbers of the nodes in service; among equals the last is used first.
        resting: accelerators of nodes that rest, take nothing and are not in service.
    """

    views: list[JobView]
    was: list[Was]
    owner: list[int] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    group: list[int] = field(default_factory=list)
    tenant: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    laid: int = 0
    left: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    nodes: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    resting: int = 0


def in_order(views: Sequence[JobView]) -> list[JobView]:
    """Jobs in order of submission, among equals by name as numbers count (9 before 10)."""
    submit = np.fromiter(map(attrgetter("submit_ns"), views), np.int64, len(views))
    order = np.argsort(submit, kind="stable")
    sorted_ = [views[i] for i in order.tolist()]
    same = np.flatnonzero(np.diff(submit[order]) == 0)
    if len(same):
        edges = np.flatnonzero(np.diff(submit[order]) != 0) + 1
        for first, last in pairwise([0, *edges.tolist(), len(views)]):
            if last - first > 1:
                sorted_[first:last] = sorted(sorted_[first:last], key=_by_name)
    return sorted_


def _by_name(view: JobView) -> tuple[int, str]:
    return len(view.job), view.job


class Layer:
    """Lays one snapshot out.

    Args:
        plan: of the pool.
        book: its names.
        at_ns: the instant.
        seen: the pool's nodes as reported, by number; those left out are not there.
    """

    def __init__(
        self, plan: PoolPlan, book: Book, at_ns: int, seen: Mapping[int, NodeView]
    ) -> None:
        self.plan = plan
        self.book = book
        self.at_ns = at_ns
        self.seen = seen
        self.usable = {n for n, one in seen.items() if one.up and not one.draining and not one.off}
        self.free = dict.fromkeys(seen, plan.node_size)
        self.since: dict[int, int] = {}  # of each node with jobs: when the latest began
        self.layout = Layout([], [])

    def lay(
        self,
        waiting: Sequence[JobView],
        active: Sequence[JobView],
        foreign: Sequence[JobView],
        paused_before: Mapping[str, int],
        touched_before: Mapping[str, int],
    ) -> Layout:
        """Lay everything out.

        Args:
            waiting: our jobs that may not start.
            active: ours that are released, run or are paused.
            foreign: others' jobs on our nodes.
            paused_before: rank of each paused job, the first that was paused lowest.
            touched_before: rank of each node by when what is free there changed last.
        """
        paused = self._paused_order([v for v in active if v.phase is Phase.PAUSED], paused_before)
        running = [v for v in active if v.phase is Phase.RUNNING]
        released = [v for v in active if v.phase is Phase.QUEUED]
        taken = self._whose_nodes_are_free(paused, running, foreign)
        saved = [v for v in paused if v.job not in taken]
        others = [*waiting, *running, *released, *(v for v in paused if v.job in taken)]
        views = in_order(saved) + in_order(others)
        layout = self.layout
        layout.views, layout.was = views, [Was.WAITING] * len(views)
        self._columns(views)
        self._leave_out_the_too_wide()
        number = {v.job: i for i, v in enumerate(views) if v.phase is not Phase.HELD}
        for view in saved:
            if layout.was[number[view.job]] is not Was.LEFT_OUT:
                layout.was[number[view.job]] = Was.SAVED
        running.sort(key=lambda v: (self._began(v), number[v.job]))
        for view in running:
            self._lay_ours(number[view.job], view, Was.RUNNING)
        for view in paused:
            if view.job in taken:
                self._lay_ours(number[view.job], view, Was.PAUSED)
        for view in sorted(foreign, key=lambda v: (self._began(v), _by_name(v))):
            group = FOREIGN if view.phase is Phase.RUNNING else STILL
            self._in_pieces(view, group, self.book.others, -1, Was.NOT_OURS)
        self._block_the_rest()
        for view in sorted(released, key=lambda v: number[v.job]):
            if layout.was[number[view.job]] is not Was.LEFT_OUT:
                layout.was[number[view.job]] = Was.RELEASED
                self._row(number[view.job], self.at_ns, 0, ())
                self._tell(number[view.job], view, FULL_RATE)
        self._order_nodes(touched_before)
        return layout

    # --- who stands where ------------------------------------------------------------------

    def _paused_order(self, paused: list[JobView], before: Mapping[str, int]) -> list[JobView]:
        """Paused jobs, the one paused first in front.

        Where nobody remembers, in the order in which they would have been chosen: by class, the one
        that began last first.
        """
        turn = {g: i for i, g in enumerate(self.plan.victims)}

        def key(view: JobView) -> tuple[bool, int, int, int]:
            group = turn.get(self.book.group[view.job_class], len(turn))
            return view.job not in before, before.get(view.job, 0), group, -self._began(view)

        latest_first = sorted(paused, key=lambda v: (v.submit_ns, _by_name(v)), reverse=True)
        return sorted(latest_first, key=key)

    def _began(self, view: JobView) -> int:
        """When a job on nodes began, not after now."""
        return self.at_ns if view.start_ns is None else min(view.start_ns, self.at_ns)

    def _whose_nodes_are_free(
        self, paused: list[JobView], running: list[JobView], foreign: Sequence[JobView]
    ) -> set[str]:
        """Paused jobs that can be laid on nodes.

        Those frozen there, and those saved whose last nodes are up and nobody else's.
        """
        room: dict[str, int] = {}
        for view in (*running, *foreign, *(v for v in paused if v.frozen)):
            width = -(-view.accelerators // max(len(view.nodes), 1))
            for name in view.nodes:
                room[name] = room.get(name, self.plan.node_size) - width
        found = set()
        for view in paused:
            if view.frozen:
                found.add(view.job)
                continue
            numbers = [self.book.node.get(name, -1) for name in view.nodes]
            size = self.plan.node_size
            need = min(view.accelerators, size) if len(numbers) == 1 else size
            need = size if view.accelerators >= size else need
            free = all(room.get(name, size) >= need for name in view.nodes)
            if numbers and free and all(n in self.usable for n in numbers):
                found.add(view.job)
                for name in view.nodes:
                    room[name] = room.get(name, size) - need
        return found

    def _lay_ours(self, j: int, view: JobView, was: Was) -> None:
        """Lay one of our jobs on the nodes it has."""
        layout, size = self.layout, self.plan.node_size
        if layout.was[j] is Was.LEFT_OUT:
            return
        numbers = [self.book.node.get(name, -1) for name in view.nodes]
        asked, count = layout.asked[j], len(numbers)
        start = self._began(view)
        if asked < size:
            fits = count == 1 and self.free.get(numbers[0], 0) >= asked
            width = asked
        else:
            full = -(-asked // size)
            least = -(-view.accelerators_min // size) if view.accelerators_min else full
            fits = min(max(least, 1), full) <= count <= full
            fits = fits and all(self.free.get(n, 0) == size for n in numbers)
            width = size
        if not fits or len(set(numbers)) < count:
            layout.was[j] = Was.LEFT_OUT
            group, tenant = layout.group[j], layout.tenant[j]
            self._in_pieces(view, group, tenant, j, was)
            return
        layout.was[j] = was
        for n in numbers:
            self.free[n] -= width
            self.since[n] = max(self.since.get(n, 0), start)
        self._row(j, start, 1 if was is Was.PAUSED else 0, numbers)
        self._tell(j, view, self._rate(asked, numbers) if asked >= size else FULL_RATE)

    def _in_pieces(self, view: JobView, group: int, tenant: int, owner: int, was: Was) -> None:
        """Lay a job node by node: what it can have of each."""
        numbers = [n for name in view.nodes if (n := self.book.node.get(name, -1)) in self.free]
        count = max(len(view.nodes), 1)
        start = self._began(view)
        for k, n in enumerate(numbers):
            width = min(view.accelerators // count + (k < view.accelerators % count), self.free[n])
            if width <= 0:
                continue
            piece = self._piece(width, group, tenant, owner, was)
            self.free[n] -= width
            self.since[n] = max(self.since.get(n, 0), start)
            self._row(piece, start, 1 if was is Was.PAUSED else 0, (n,))
            self._tell(piece, view, FULL_RATE)

    def _piece(self, width: int, group: int, tenant: int, owner: int, was: Was) -> int:
        """Number a new piece."""
        layout = self.layout
        layout.asked.append(width)
        layout.group.append(group)
        layout.tenant.append(tenant)
        layout.owner.append(owner)
        layout.was.append(was)
        return len(layout.was) - 1

    def _block_the_rest(self) -> None:
        """Keep everything off what is free on nodes that take nothing, and off what is not there.

        A node that takes nothing is in service only where jobs stand on it.
        """
        layout, size = self.layout, self.plan.node_size
        for n, one in sorted(self.seen.items()):
            if n not in self.usable and n not in self.since:
                layout.resting += size if one.up and not one.off else 0
                continue
            gone = size - one.accelerators if n in self.usable else size
            width = min(self.free[n], gone)
            if width > 0:
                piece = self._piece(width, STILL, self.book.others, -1, Was.NOT_OURS)
                self.free[n] -= width
                self._row(piece, self.at_ns, 0, (n,))
                layout.left[piece] = (_LONGEST_S * NS_PER_S, 0, 0)

    # --- what is told of a job ---------------------------------------------------------------

    def _columns(self, views: list[JobView]) -> None:
        """Write what our jobs ask, in accelerators, and whose they are."""
        layout, size, n = self.layout, self.plan.node_size, len(views)
        given = np.fromiter(map(attrgetter("accelerators"), views), np.int64, n)
        nodes = np.fromiter(map(attrgetter("nodes_asked"), views), np.int64, n)
        # an elastic job that runs says what it has; what it asked stands in its nodes
        layout.asked = np.where(-(-given // size) < nodes, nodes * size, given).tolist()
        layout.group = list(map(self.book.group.__getitem__, map(attrgetter("job_class"), views)))
        layout.tenant = list(map(self.book.tenant.__getitem__, map(attrgetter("tenant"), views)))
        layout.owner = list(range(n))

    def _row(self, j: int, start: int, paused: int, nodes: Sequence[int]) -> None:
        self.layout.rows += (j, start, paused, len(nodes), *nodes)
        self.layout.laid += 1

    def _rate(self, asked: int, numbers: Sequence[int]) -> int:
        """Rate of a gang: slower where it is narrow, and where it lies in several pods."""
        plan, rate = self.plan, FULL_RATE
        width = min(asked, len(numbers) * plan.node_size)
        if width < asked:
            rate = int(plan.rules.efficiency[FULL_RATE * width // asked])
        if len({n // plan.pod_nodes for n in numbers}) > 1:
            rate = rate * plan.span_rate // FULL_RATE
        return max(rate, 1)

    def _tell(self, j: int, view: JobView, rate: int) -> None:
        """Write how far a job laid on nodes is: what is left, what is safe, what is to be redone.

        While it is paused, and before it starts, nothing is added to what it ran before.
        """
        ran = round(view.ran_s * NS_PER_S)
        redo = 0
        if view.restarts > 0:
            redo = int(self.plan.rules.restart_ns[self.layout.group[j]])
        work = since = 0
        if view.phase is Phase.RUNNING and view.start_ns is not None:
            pace = round(view.speed * FULL_SPEED) * rate
            elapsed = max(self.at_ns - view.start_ns, 0)
            work = elapsed * pace // (FULL_SPEED * FULL_RATE)
            unsafe = elapsed
            if view.saved_ns is not None:
                unsafe = min(max(self.at_ns - view.saved_ns, 0), elapsed)
            since = unsafe * pace // (FULL_SPEED * FULL_RATE)
        done = ran + max(work - redo, 0)
        kept = max(done - since, min(ran, done))
        redo = max(redo - work, 0)
        estimate = round(min(view.walltime_s, _LONGEST_S) * NS_PER_S)
        self.layout.left[j] = (max(estimate - done, _SOON_NS) + redo, kept, redo)

    def _leave_out_the_too_wide(self) -> None:
        """Leave out what can never start here: wider than the pool, or no accelerator at all."""
        layout = self.layout
        most = len(self.plan.nodes) * self.plan.node_size
        asked = np.array(layout.asked[: len(layout.views)], np.int64)
        for j in np.flatnonzero((asked <= 0) | (asked > most)).tolist():
            layout.was[j] = Was.LEFT_OUT
            layout.asked[j] = 1

    def _order_nodes(self, touched: Mapping[str, int]) -> None:
        """Order the nodes in service by when what is free there changed last, as far as known."""
        here = [n for n in self.seen if n in self.usable or n in self.since]
        names = self.plan.nodes
        here.sort(key=lambda n: (touched.get(names[n], -1), self.since.get(n, 0), -n))
        self.layout.nodes = np.array(here, np.int64)
