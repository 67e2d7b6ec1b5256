"""A workload manager of a simulated cluster, with the faults of a real one on the way.

The same port as Slurm's adapter, so that everything above it runs without a cluster: tests with
faults by seed, a service to try out, a rehearsal. The cluster's state may live in a file, which
several processes read and write in turn (under a lock): then it outlives a controller that is
killed, and a meter in another process reads what the jobs really draw.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gigafactory.adapters.leadermark import LeaderMark
from gigafactory.adapters.twincluster import Cluster, Draw, Job, Manner, Node
from gigafactory.engine.clock import Clock
from gigafactory.engine.streams import stream
from gigafactory.jobs.ports import (
    Action,
    Command,
    Ending,
    NodeAction,
    NodeCommand,
    Outcome,
    Phase,
    Receipt,
    WorkloadSnapshot,
    WorkOrder,
)
from gigafactory.plant.ports import Reading
from gigafactory.units import NS_PER_S

#: Names of jobs as Slurm's start at one; the twin's keys of commands seen are kept this many.
_KEYS_KEPT: Final = 50_000
#: Keys are kept in a file up to so many: more would make every write slow.
_KEYS_IN_FILE: Final = 2_000
#: A job that ended and is thought to run holds its nodes until it is missed there, ns.
_MISSED_NS: Final = 120 * NS_PER_S
_NO_ANSWER: Final = "no answer came in time"


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong between the caller and the cluster; chances per command, drawn by the seed.

    Attributes:
        seed: of the draws.
        lost: the command does not arrive; its receipt is unknown.
        unanswered: it is carried out, and its receipt is unknown.
        doubled: it is carried out twice.
        late: it is carried out `late_s` later; its receipt is unknown.
        late_s: how much later, s.
        hangs: spans (from, to), ns UTC, in which nothing answers.
        rollbacks: (instant, seconds): the manager dies, and is back as it was so long before.
    """

    seed: int = 0
    lost: float = 0.0
    unanswered: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    late_s: float = 5.0
    hangs: tuple[tuple[int, int], ...] = ()
    rollbacks: tuple[tuple[int, float], ...] = ()


@dataclass(slots=True)
class _Wire:
    """What has been sent and not yet come to anything; part of the state."""

    seen: dict[str, str] = field(default_factory=dict)
    late: list[tuple[int, Command]] = field(default_factory=list)
    rolled: int = 0


class TwinManager:
    """The workload manager of a simulated cluster.

    Args:
        clock: whose time it is.
        nodes: in rack order.
        draws: what accelerators draw, per pool.
        manner: how the cluster behaves.
        faults: what goes wrong on the way.
        failures: (instant, node) at which nodes fail, rising.
        path: file the state lives in; None keeps it in memory.
    """

    def __init__(
        self,
        clock: Clock,
        nodes: Sequence[Node],
        draws: Mapping[str, Draw],
        manner: Manner | None = None,
        faults: Faults | None = None,
        failures: Sequence[tuple[int, str]] = (),
        path: Path | None = None,
    ) -> None:
        self._clock = clock
        self._faults = faults or Faults()
        self._path = path
        self._draw = stream(self._faults.seed, "twin manager", "faults")
        self._wire = _Wire()
        self._before: deque[tuple[int, dict[str, Any]]] = deque()
        self.cluster = Cluster(
            tuple(nodes), draws, manner or Manner(), clock.now_ns(), tuple(failures)
        )
        self._memory_s = max((s for _, s in self._faults.rollbacks), default=0.0)
        self._leader = ""
        self._mark: LeaderMark | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._mark = LeaderMark(path.with_suffix(".leader"))

    # --- the port --------------------------------------------------------------------------

    def observe(self) -> WorkloadSnapshot:
        """Look at every job that has not ended, and at the nodes."""
        if self._hangs():
            return WorkloadSnapshot(self._clock.now_ns(), (), 0, trouble=_NO_ANSWER)
        with self._present() as cluster:
            return cluster.snapshot()

    def act(self, commands: Sequence[Command]) -> tuple[Receipt, ...]:
        """Carry out commands in order."""
        if self._hangs():
            return tuple(Receipt(c.key, Outcome.UNKNOWN, _NO_ANSWER) for c in commands)
        with self._present() as cluster:
            receipts = tuple(self._over_the_wire(cluster, c) for c in commands)
            cluster.schedule()
            return receipts

    def submit(self, orders: Sequence[WorkOrder]) -> tuple[Receipt, ...]:
        """Hand jobs over, held."""
        if self._hangs():
            return tuple(Receipt(o.key, Outcome.UNKNOWN, _NO_ANSWER) for o in orders)
        receipts = []
        with self._present() as cluster:
            for order in orders:
                fate = self._fate()
                if fate in ("lost", "late"):  # a hand-over that is late is sent again: as if lost
                    receipts.append(Receipt(order.key, Outcome.UNKNOWN, _NO_ANSWER))
                    continue
                receipts.append(self._taken(cluster, order))
                if fate == "doubled":
                    self._taken(cluster, order)
                if fate == "unanswered":
                    receipts[-1] = Receipt(order.key, Outcome.UNKNOWN, _NO_ANSWER)
        return tuple(receipts)

    def act_on_nodes(self, commands: Sequence[NodeCommand]) -> tuple[Receipt, ...]:
        """Drain nodes, take them back, power them down and up."""
        if self._hangs():
            return tuple(Receipt(c.key, Outcome.UNKNOWN, _NO_ANSWER) for c in commands)
        with self._present() as cluster:
            receipts = tuple(_on_node(cluster, c) for c in commands)
            cluster.schedule()
            return receipts

    def set_budget(self, power_kw: int) -> Receipt:
        """Nothing starts beyond it."""
        if self._hangs():
            return Receipt("budget", Outcome.UNKNOWN, _NO_ANSWER)
        with self._present() as cluster:
            cluster.budget_kw = power_kw
        return Receipt("budget", Outcome.ACCEPTED)

    def lead(self, holder: str) -> bool:
        """Note who leads; see `jobs.Fenced`."""
        if self._mark is None:
            self._leader = holder
            return True
        return self._mark.write(holder)

    def leader(self) -> str | None:
        """Who noted it last; see `jobs.Fenced`."""
        return self._leader if self._mark is None else self._mark.read()

    # --- for those who test ----------------------------------------------------------------

    def look(self) -> Cluster:
        """The cluster as it is now, whatever is wrong on the way to it; not to be changed."""
        with self._present() as cluster:
            return cluster

    def others(self, orders: Sequence[WorkOrder]) -> tuple[str, ...]:
        """Jobs that somebody else puts into the queue, released; their names."""
        with self._present() as cluster:
            jobs = [cluster.take(o, ours=False) for o in orders]
            for job in jobs:
                cluster.release(job)
            cluster.schedule()
            return tuple(j.name for j in jobs)

    def power_w(self, pool: str) -> float:
        """What a pool draws now, W."""
        with self._present() as cluster:
            return cluster.power_w(pool)

    # --- the state -------------------------------------------------------------------------

    @contextmanager
    def _present(self) -> Iterator[Cluster]:
        """The cluster brought to the present; what is done to it is kept."""
        if self._path is None:
            self._bring()
            yield self.cluster
            return
        lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._load(self._path)
            self._bring()
            yield self.cluster
            self._save(self._path)
        finally:
            os.close(lock)

    def _bring(self) -> None:
        now = self._clock.now_ns()
        rollbacks = self._faults.rollbacks
        while self._wire.rolled < len(rollbacks) and rollbacks[self._wire.rolled][0] <= now:
            at, back_s = rollbacks[self._wire.rolled]
            self._roll_back(at - int(back_s * NS_PER_S))
            self._wire.rolled += 1
        due = [c for at, c in self._wire.late if at <= now]
        self._wire.late = [(at, c) for at, c in self._wire.late if at > now]
        self.cluster.advance(now)
        for command in due:
            self._done(self.cluster, command)
        if self._memory_s > 0.0:
            self._before.append((now, self.cluster.changing()))
            while self._before[0][0] < now - int(2 * self._memory_s * NS_PER_S) - NS_PER_S:
                self._before.popleft()

    def _roll_back(self, to_ns: int) -> None:
        """Take the state last written before an instant; what was said since then is forgotten."""
        found = [state for at, state in self._before if at <= to_ns]
        if not found:
            return
        drawn = dict(self.cluster.it_w_ns)
        now = self.cluster.now_ns
        ended = {e.job for e in self.cluster.ended}
        self.cluster.change(found[-1])
        for name in ended & set(self.cluster.jobs):  # over, and it does not know it any more
            self.cluster.jobs[name].need_ns += _MISSED_NS
        self.cluster.advance(now)
        self.cluster.it_w_ns = drawn  # what was drawn was drawn
        self._wire.seen.clear()

    def _load(self, path: Path) -> None:
        try:
            told = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return
        self.cluster.change(told["cluster"])
        self._wire.seen = told["seen"]

    def _save(self, path: Path) -> None:
        seen = dict(list(self._wire.seen.items())[-_KEYS_IN_FILE:])
        text = json.dumps({"cluster": self.cluster.changing(), "seen": seen})
        new = path.with_suffix(".new")
        new.write_text(text, "utf-8")
        new.replace(path)

    # --- the way there ---------------------------------------------------------------------

    def _hangs(self) -> bool:
        now = self._clock.now_ns()
        return any(begin <= now < end for begin, end in self._faults.hangs)

    def _fate(self) -> str:
        faults = self._faults
        chances = (faults.lost, faults.unanswered, faults.doubled, faults.late)
        if not any(chances):
            return ""
        drawn = self._draw.random()
        for name, chance in zip(("lost", "unanswered", "doubled", "late"), chances, strict=True):
            if drawn < chance:
                return name
            drawn -= chance
        return ""

    def _over_the_wire(self, cluster: Cluster, command: Command) -> Receipt:
        fate = self._fate()
        silent = Receipt(command.key, Outcome.UNKNOWN, _NO_ANSWER)
        if fate == "lost":
            return silent
        if fate == "late":
            due = self._clock.now_ns() + int(self._faults.late_s * NS_PER_S)
            self._wire.late.append((due, command))
            return silent
        receipt = self._done(cluster, command)
        if fate == "doubled":
            self._done(cluster, command)
        return silent if fate == "unanswered" else receipt

    def _taken(self, cluster: Cluster, order: WorkOrder) -> Receipt:
        known = cluster.by_key.get(order.key)
        if known is not None:
            return Receipt(order.key, Outcome.ACCEPTED, known)
        room = [n for n in cluster.nodes if order.pool in ("", n.pool)]
        widest = max((n.accelerators for n in room), default=0)
        if len(room) < order.nodes or (not order.nodes and widest < order.accelerators):
            return Receipt(order.key, Outcome.REFUSED, "more than the pool has")
        return Receipt(order.key, Outcome.ACCEPTED, cluster.take(order).name)

    def _done(self, cluster: Cluster, command: Command) -> Receipt:
        if command.key in self._wire.seen:
            return Receipt(command.key, Outcome.ACCEPTED)
        why = _carry_out(cluster, command)
        if why:
            return Receipt(command.key, Outcome.REFUSED, why)
        self._wire.seen[command.key] = Outcome.ACCEPTED
        while len(self._wire.seen) > _KEYS_KEPT:
            del self._wire.seen[next(iter(self._wire.seen))]
        return Receipt(command.key, Outcome.ACCEPTED)


def _carry_out(cluster: Cluster, command: Command) -> str:
    """Do a command; why not, or nothing where it is done or was so already."""
    job = cluster.jobs.get(command.job)
    if job is None:
        ended = any(e.job == command.job for e in cluster.ended)
        if command.action is Action.CANCEL and ended:
            return ""
        return "the job has ended" if ended else "there is no such job"
    if not job.ours:
        return "the job is not ours"
    match command.action:
        case Action.CANCEL:
            cluster.finish(job, Ending.CANCELLED)
            return ""
        case Action.SET_SPEED:
            assert command.speed is not None
            cluster.set_speed(job, command.speed)
            return ""
        case Action.SET_PRIORITY:
            assert command.priority is not None
            job.priority = command.priority
            return ""
        case Action.CHECKPOINT:
            if not job.runs:
                return f"it is {job.phase}, not running"
            cluster.save(job)
            return ""
        case Action.RELEASE | Action.HOLD:
            return _queue(cluster, job, command.action)
        case _:
            return _stop_or_go(cluster, job, command)


def _queue(cluster: Cluster, job: Job, action: Action) -> str:
    if action is Action.RELEASE:
        if job.phase == Phase.HELD:
            cluster.release(job)
        return "" if job.phase in (Phase.QUEUED, Phase.RUNNING) else f"it is {job.phase}"
    if job.phase == Phase.QUEUED:
        job.phase = Phase.HELD if not job.started else Phase.PAUSED
    return "" if job.phase in (Phase.HELD, Phase.PAUSED) else f"it is {job.phase}"


def _stop_or_go(cluster: Cluster, job: Job, command: Command) -> str:
    match command.action:
        case Action.PAUSE:
            brief = 0.0 < command.expected_s < cluster.manner.freeze_s
            if job.phase == Phase.PAUSED:
                if job.frozen and not brief and not command.within_s:
                    cluster.put_away(job)
                return ""
            if not job.runs:
                return f"it is {job.phase}, not running"
            hurry = 0.0 < command.within_s < cluster.saves_in_s(job)
            if hurry or brief:
                cluster.freeze(job)
            else:
                cluster.stop(job, "pause", save=True)
        case Action.RESUME:
            if job.phase == Phase.PAUSED and job.frozen:
                cluster.thaw(job)
            elif job.phase == Phase.PAUSED:
                cluster.release(job)
            elif job.phase == Phase.HELD:
                return "it is held, not paused"
            else:
                cluster.take_back(job)
        case Action.REQUEUE:
            if job.runs or job.frozen:
                cluster.stop(job, "requeue", save=False)
            elif job.phase == Phase.PAUSED:
                job.phase = Phase.HELD
        case _:
            raise AssertionError(f"{command.action} is not one of these")
    return ""


def _on_node(cluster: Cluster, command: NodeCommand) -> Receipt:
    if not any(n.name == command.node for n in cluster.nodes):
        return Receipt(command.key, Outcome.REFUSED, "there is no such node")
    state = cluster.node_state(command.node)
    match command.action:
        case NodeAction.DRAIN:
            state.draining = True
        case NodeAction.UNDRAIN:
            state.draining = False
        case NodeAction.POWER_UP:
            state.off = False
        case NodeAction.POWER_DOWN:
            if not state.off and not cluster.empty(command.node):
                return Receipt(command.key, Outcome.REFUSED, "work runs on it")
            state.off = True
    return Receipt(command.key, Outcome.ACCEPTED)


class TwinMeter:
    """A meter on simulated clusters: `POOL/it` and `SITE/import`, in MW.

    Args:
        managers: the clusters by pool.
        sites: pools behind each connection.
        overhead: site power per IT power.
        base_mw: what the site draws beside, MW.
        dark: spans (from, to), ns UTC, in which it gives nothing.
    """

    def __init__(
        self,
        managers: Mapping[str, TwinManager],
        sites: Mapping[str, Sequence[str]],
        overhead: float = 1.0,
        base_mw: float = 0.0,
        dark: Sequence[tuple[int, int]] = (),
    ) -> None:
        self._managers, self._sites = managers, sites
        self._overhead, self._base_mw, self._dark = overhead, base_mw, tuple(dark)

    def read(self, points: tuple[str, ...], now_ns: int) -> tuple[Reading, ...]:
        """Readings of the points asked for, in that order; unknown ones are left out."""
        if any(begin <= now_ns < end for begin, end in self._dark):
            return ()
        found = []
        for point in points:
            name, _, what = point.rpartition("/")
            if what == "it" and name in self._managers:
                found.append(Reading(point, now_ns, self._managers[name].power_w(name) / 1e6, "MW"))
            elif what == "import" and name in self._sites:
                it_mw = sum(self._managers[p].power_w(p) for p in self._sites[name]) / 1e6
                value = it_mw * self._overhead + self._base_mw
                found.append(Reading(point, now_ns, value, "MW"))
        return tuple(found)
