"""A simulated cluster: nodes, a queue, jobs that run, save, stop, fail and end, second by second.

What a workload manager is in front of, with nothing of a network in it: `adapters.twinmanager` puts
the port (and what goes wrong on the way) before it. Everything is a function of the commands and
the instants at which they come; time moves only in `Cluster.advance`. State is plain values, so it
can be written to a file and read back by another process.

As Slurm in its usual set-up: a job gets whole nodes, or a share of one; queued jobs are looked at
in order of priority and of release, and one that does not fit lets smaller ones by; a job whose
node fails goes back to the queue and starts again by itself from its last checkpoint; a suspended
one keeps its nodes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from gigafactory.jobs.ports import (
    EndedView,
    Ending,
    JobView,
    NodeView,
    Phase,
    WorkloadSnapshot,
    WorkOrder,
)
from gigafactory.units import NS_PER_S

#: An end further away than this is none.
_NEVER: Final = 2**62
#: Joules in a micro-watt-hour, times a milliard: W x ns in one.
W_NS_PER_UWH: Final = 3_600_000
#: A line of a script that tells the cluster how long the work takes at full speed.
NEED_MARK: Final = "# need_s="
#: First name a job gets; the next ones follow it.
_FIRST_NAME: Final = 1001


def need_of(order: WorkOrder) -> float:
    """How long a job runs at full speed, s: as its script says, else a share of its limit.

    The share (0.2 to 0.95, one job in twenty 1.1: beyond its limit) comes from the order's key, so
    it is the same wherever the job runs.
    """
    for line in order.script.splitlines():
        if line.startswith(NEED_MARK):
            return float(line.removeprefix(NEED_MARK))
    draw = int.from_bytes(hashlib.sha256(order.key.encode()).digest()[:4], "little") / 2**32
    return order.walltime_s * (1.1 if draw < 0.05 else 0.2 + 0.75 * draw)


@dataclass(frozen=True, slots=True)
class Node:
    """A node: its name, its pool, its accelerators."""

    name: str
    pool: str
    accelerators: int


@dataclass(frozen=True, slots=True)
class Draw:
    """What the accelerators of a pool draw, W each.

    Attributes:
        idle_w: at rest, on a node that is not powered down.
        work_w: at work at full speed, by class.
        dynamic: share of the power above rest by speed, at equal steps from 0 to full speed, by
            class; a class without one rises in a straight line.
    """

    idle_w: float
    work_w: Mapping[str, float]
    dynamic: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def active_w(self, job_class: str, speed: float) -> float:
        """W above rest of a running accelerator."""
        full = self.work_w.get(job_class, max(self.work_w.values(), default=self.idle_w))
        steps = self.dynamic.get(job_class)
        share = speed if steps is None else steps[round(speed * (len(steps) - 1))]
        return (full - self.idle_w) * share


@dataclass(frozen=True, slots=True)
class Manner:
    """How the cluster behaves.

    Attributes:
        checkpoint_s: running jobs save themselves so often, s.
        save_s: a save on command takes so long; the job draws power meanwhile.
        freeze_s: a pause expected to be shorter freezes the job where it stands, s.
        repair_s: a failed node is back after so long, s.
        remember: ended jobs that are still shown.
    """

    checkpoint_s: float = 600.0
    save_s: float = 2.0
    freeze_s: float = 60.0
    repair_s: float = 600.0
    remember: int = 10_000


@dataclass(slots=True)
class Job:
    """A job in the cluster; instants ns UTC, progress in ns at full speed."""

    name: str
    order: WorkOrder
    need_ns: int
    submit_ns: int
    ours: bool = True
    phase: str = Phase.HELD
    priority: int = 0
    speed: float = 1.0
    turn: int = 0  # of its release; earlier ones go first
    nodes: tuple[str, ...] = ()
    frozen: bool = False
    start_ns: int | None = None
    since_ns: int = 0  # progress is counted up to here
    done_ns: int = 0
    kept_ns: int = 0  # progress it had when it started last
    saved_done_ns: int = 0
    saved_ns: int | None = None
    restarts: int = 0
    started: int = 0
    ran_ns: int = 0  # time it ran before its latest start and has kept
    frozen_ns: int = 0  # of the latest start, spent frozen
    stop_ns: int = _NEVER
    stop_as: str = ""
    reason: str = ""
    lost_ns: int = 0  # progress rolled back, all told

    @property
    def runs(self) -> bool:
        """Whether it draws power."""
        return self.phase == Phase.RUNNING

    @property
    def holds_nodes(self) -> bool:
        """Whether it keeps accelerators from others."""
        return self.runs or self.frozen

    @property
    def per_node(self) -> int:
        """Accelerators it takes of each of its nodes; 0 stands for all of them."""
        return 0 if self.order.nodes else self.order.accelerators

    def fold(self, at_ns: int, every_ns: int) -> None:
        """Count progress up to an instant, with the checkpoints that fell in between."""
        if not self.runs or at_ns <= self.since_ns or self.start_ns is None:
            self.since_ns = max(self.since_ns, at_ns)
            return
        begin = self.start_ns
        mark = begin + (at_ns - begin) // every_ns * every_ns
        if mark > max(self.since_ns, begin):
            made = self.done_ns + int((mark - self.since_ns) * self.speed)
            if made > self.saved_done_ns:
                self.saved_done_ns, self.saved_ns = made, mark
        self.done_ns += int((at_ns - self.since_ns) * self.speed)
        self.since_ns = at_ns

    def end_at(self) -> tuple[int, Ending]:
        """When it would end if nothing changed, and how."""
        if not self.runs or self.start_ns is None:
            return _NEVER, Ending.COMPLETED
        left = max(self.need_ns - self.done_ns, 0)
        finish = self.since_ns + math.ceil(left / self.speed)
        spent = self.ran_ns + self.since_ns - self.start_ns - self.frozen_ns
        limit = self.since_ns + max(self.order.walltime_s * NS_PER_S - spent, 0)
        return (finish, Ending.COMPLETED) if finish <= limit else (limit, Ending.TIMED_OUT)


@dataclass(slots=True)
class _NodeState:
    draining: bool = False
    off: bool = False
    down_until_ns: int = 0


@dataclass(slots=True)
class Cluster:
    """Nodes and jobs at an instant.

    Attributes:
        nodes: in rack order.
        draws: what accelerators draw, per pool.
        manner: how it behaves.
        now_ns: the instant it stands at, ns UTC.
        failures: (instant, node) at which nodes fail, rising.
        budget_kw: what the accelerators of running jobs may draw; nothing starts beyond it, and
            None is no budget.
    """

    nodes: tuple[Node, ...]
    draws: Mapping[str, Draw]
    manner: Manner
    now_ns: int
    failures: tuple[tuple[int, str], ...] = ()
    budget_kw: int | None = None
    jobs: dict[str, Job] = field(default_factory=dict)
    ended: list[EndedView] = field(default_factory=list)
    by_key: dict[str, str] = field(default_factory=dict)
    next_name: int = _FIRST_NAME
    turns: int = 0
    failed: int = 0  # of `failures`, how many have happened
    it_w_ns: dict[str, int] = field(default_factory=dict)  # W x ns drawn so far, per pool
    _free: dict[str, int] = field(default_factory=dict)
    _state: dict[str, _NodeState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in self.nodes:
            self._free.setdefault(node.name, node.accelerators)
            self._state.setdefault(node.name, _NodeState())
        for pool in self.draws:
            self.it_w_ns.setdefault(pool, 0)

    # --- time ------------------------------------------------------------------------------

    def advance(self, to_ns: int) -> None:
        """Let time pass up to an instant; what falls due happens in order."""
        while self.now_ns < to_ns:
            until = min(to_ns, self._next_event())
            self._meter(until - self.now_ns)
            self.now_ns = max(until, self.now_ns)
            if not self._happen() and until >= to_ns:
                break
        self.schedule()

    def _next_event(self) -> int:
        at = _NEVER
        for job in self.jobs.values():
            if job.runs:
                at = min(at, job.end_at()[0], job.stop_ns)
        if self.failed < len(self.failures):
            at = min(at, self.failures[self.failed][0])
        for state in self._state.values():
            if state.down_until_ns > self.now_ns:
                at = min(at, state.down_until_ns)
        return max(at, self.now_ns)

    def _meter(self, took_ns: int) -> None:
        for pool in self.draws:
            self.it_w_ns[pool] += round(self.power_w(pool)) * took_ns

    def _happen(self) -> bool:
        """Do what is due now; whether anything was."""
        now, any_ = self.now_ns, False
        for job in [j for j in self.jobs.values() if j.runs]:
            at, how = job.end_at()
            if at <= now:
                self.finish(job, how)
                any_ = True
            elif job.stop_ns <= now:
                self._stopped(job)
                any_ = True
        while self.failed < len(self.failures) and self.failures[self.failed][0] <= now:
            self.fail_node(self.failures[self.failed][1])
            self.failed += 1
            any_ = True
        if any(state.down_until_ns == now for state in self._state.values()):
            any_ = True
        if any_:
            self.schedule()
        return any_

    # --- what is asked of it ---------------------------------------------------------------

    def take(self, order: WorkOrder, ours: bool = True) -> Job:
        """Take a job into the queue, held; one whose key is there is not doubled."""
        if order.key in self.by_key and self.by_key[order.key] in self.jobs:
            return self.jobs[self.by_key[order.key]]
        job = Job(
            str(self.next_name),
            order,
            max(int(need_of(order) * NS_PER_S), 1),
            self.now_ns,
            ours,
            priority=order.priority,
            since_ns=self.now_ns,
        )
        self.next_name += 1
        self.jobs[job.name] = job
        self.by_key[order.key] = job.name
        return job

    def release(self, job: Job) -> None:
        """Let it start when there is room."""
        job.phase, job.reason = Phase.QUEUED, ""
        self.turns += 1
        job.turn = self.turns

    def freeze(self, job: Job) -> None:
        """Stop it where it stands; it keeps its nodes."""
        self._fold(job)
        job.phase, job.frozen, job.stop_ns = Phase.PAUSED, True, _NEVER

    def put_away(self, job: Job) -> None:
        """Save a frozen job where it stands and give its nodes back."""
        job.saved_done_ns, job.saved_ns = job.done_ns, self.now_ns
        self._leave(job)
        job.phase = Phase.PAUSED

    def saves_in_s(self, job: Job) -> float:
        """How long it takes from now until a job that is paused has saved itself, s."""
        if job.stop_ns < _NEVER:
            return (job.stop_ns - self.now_ns) / NS_PER_S
        return self.manner.save_s

    def thaw(self, job: Job) -> None:
        """Let a frozen job go on."""
        job.frozen_ns += self.now_ns - job.since_ns
        job.phase, job.frozen, job.since_ns = Phase.RUNNING, False, self.now_ns

    def stop(self, job: Job, stop_as: str, save: bool) -> None:
        """Make it leave its nodes: after a save, or at once back to its last checkpoint."""
        if job.stop_ns < _NEVER:
            return
        job.stop_as = stop_as
        job.stop_ns = self.now_ns + (int(self.manner.save_s * NS_PER_S) if save else 0)
        if not save:
            self._fold(job)
            self._back(job)
            self._stopped(job)

    def take_back(self, job: Job) -> None:
        """A pause that is on its way is not wanted after all."""
        if job.stop_as == "pause":
            job.stop_ns = _NEVER

    def save(self, job: Job) -> None:
        """Save now and go on."""
        self._fold(job)
        if job.done_ns >= job.saved_done_ns:
            job.saved_done_ns, job.saved_ns = job.done_ns, self.now_ns

    def set_speed(self, job: Job, speed: float) -> None:
        """Run it at a share of full speed from now on."""
        self._fold(job)
        job.speed = speed

    def finish(self, job: Job, how: Ending) -> None:
        """End it for good."""
        self._fold(job)
        self._leave(job)
        del self.jobs[job.name]
        if job.ours:
            self.ended.append(
                EndedView(
                    job.name,
                    job.order.key,
                    how,
                    self.now_ns,
                    job.start_ns,
                    0 if how is Ending.COMPLETED else 1,
                )
            )
            del self.ended[: -self.manner.remember]

    def fail_node(self, name: str) -> None:
        """A node breaks: what runs there goes back to the queue from its last checkpoint."""
        self._state[name].down_until_ns = self.now_ns + int(self.manner.repair_s * NS_PER_S)
        for job in [j for j in self.jobs.values() if name in j.nodes and j.holds_nodes]:
            self._fold(job)
            self._back(job)
            self._leave(job)
            job.phase, job.reason, job.stop_ns = Phase.QUEUED, "NodeFail", _NEVER

    # --- nodes -----------------------------------------------------------------------------

    def node_state(self, name: str) -> _NodeState:
        """How a node stands; may be changed."""
        return self._state[name]

    def empty(self, name: str) -> bool:
        """Whether nothing is on a node."""
        return not any(name in j.nodes and j.holds_nodes for j in self.jobs.values())

    def up(self, name: str) -> bool:
        """Whether a node can run work."""
        state = self._state[name]
        return not state.off and state.down_until_ns <= self.now_ns

    # --- starting --------------------------------------------------------------------------

    def schedule(self) -> None:
        """Start what is queued and fits, by priority and turn."""
        queued = [j for j in self.jobs.values() if j.phase == Phase.QUEUED]
        if not queued:
            return
        queued.sort(key=lambda j: (-j.priority, j.turn, j.name))
        draw_w = sum(self._working_w(j) for j in self.jobs.values() if j.runs)
        free = {
            n.name: self._free[n.name]
            for n in self.nodes
            if self.up(n.name) and not self._state[n.name].draining
        }
        for job in queued:
            more = self._working_w(job)
            if self.budget_kw is not None and draw_w + more > self.budget_kw * 1000:
                job.reason = "Licenses"
                continue
            nodes = self._room(job, free)
            if nodes is None:
                job.reason = "Resources"
                continue
            self._start(job, nodes)
            draw_w += more
            for name in nodes:
                free[name] = self._free[name]

    def _working_w(self, job: Job) -> float:
        """What the accelerators of a job draw at full speed, all in: what the budget counts."""
        draw = self.draws.get(job.order.pool)
        if draw is None:
            return 0.0
        each = draw.idle_w + draw.active_w(job.order.job_class, 1.0)
        return each * job.order.accelerators

    def _room(self, job: Job, free: Mapping[str, int]) -> tuple[str, ...] | None:
        mine = [n for n in self.nodes if n.name in free and job.order.pool in ("", n.pool)]
        if job.order.nodes:
            whole = [n.name for n in mine if free[n.name] == n.accelerators]
            return tuple(whole[: job.order.nodes]) if len(whole) >= job.order.nodes else None
        fits = [n for n in mine if free[n.name] >= job.order.accelerators]
        if not fits:
            return None
        return (min(fits, key=lambda n: free[n.name]).name,)

    def _start(self, job: Job, nodes: tuple[str, ...]) -> None:
        for name in nodes:
            taken = job.per_node or self._free[name]
            assert self._free[name] >= taken > 0, f"{name} is given twice"
            self._free[name] -= taken
        job.nodes, job.phase, job.reason = nodes, Phase.RUNNING, ""
        job.start_ns = job.since_ns = self.now_ns
        job.kept_ns, job.frozen_ns, job.stop_ns = job.done_ns, 0, _NEVER
        job.restarts = job.started
        job.started += 1

    def _stopped(self, job: Job) -> None:
        """A job that was told to leave its nodes has done so."""
        self._fold(job)
        if job.stop_ns > 0 and job.stop_as == "pause":
            self.save(job)
        self._leave(job)
        job.phase = Phase.PAUSED if job.stop_as == "pause" else Phase.HELD
        job.stop_ns = _NEVER

    def _back(self, job: Job) -> None:
        """Roll it back to its last checkpoint."""
        lost = job.done_ns - job.saved_done_ns
        job.done_ns = job.saved_done_ns
        job.lost_ns += max(lost, 0)

    def _leave(self, job: Job) -> None:
        """Give its nodes back; it remembers which they were."""
        if not job.holds_nodes:
            return
        for name in job.nodes:
            size = next(n.accelerators for n in self.nodes if n.name == name)
            self._free[name] += job.per_node or size
        if job.start_ns is not None:
            job.ran_ns += max(job.done_ns - job.kept_ns, 0)
        job.frozen = False
        job.phase = Phase.HELD

    def _fold(self, job: Job) -> None:
        if job.runs:
            job.fold(self.now_ns, max(int(self.manner.checkpoint_s * NS_PER_S), 1))

    # --- looking ---------------------------------------------------------------------------

    def power_w(self, pool: str) -> float:
        """What the accelerators of a pool draw now, W: nodes that are on, and what runs there."""
        draw = self.draws[pool]
        rest = sum(
            n.accelerators for n in self.nodes if n.pool == pool and not self._state[n.name].off
        )
        return rest * draw.idle_w + sum(
            j.order.accelerators * draw.active_w(j.order.job_class, j.speed)
            for j in self.jobs.values()
            if j.runs and j.order.pool == pool
        )

    def energy_uwh(self, pool: str) -> int:
        """Energy drawn so far, micro-watt-hours."""
        return self.it_w_ns[pool] // W_NS_PER_UWH

    def snapshot(self, pools: Iterable[str] = ()) -> WorkloadSnapshot:
        """What a workload manager shows."""
        wanted = frozenset(pools)
        for job in self.jobs.values():
            self._fold(job)
        nodes = [self._node_view(n) for n in self.nodes if not wanted or n.pool in wanted]
        jobs = [_view(j) for j in self.jobs.values() if not wanted or j.order.pool in wanted]
        return WorkloadSnapshot(
            self.now_ns,
            tuple(sorted(jobs, key=lambda j: j.job)),
            sum(n.accelerators for n in nodes if n.up and not n.draining),
            tuple(sorted(nodes, key=lambda n: n.node)),
            tuple(sorted(self.ended, key=lambda e: e.job)),
        )

    def _node_view(self, node: Node) -> NodeView:
        state = self._state[node.name]
        return NodeView(
            node.name,
            node.pool,
            node.accelerators,
            self.up(node.name),
            state.draining,
            state.off,
        )

    # --- a file ----------------------------------------------------------------------------

    def changing(self) -> dict[str, Any]:
        """All that changes, as plain values."""
        return {
            "now_ns": self.now_ns,
            "budget_kw": self.budget_kw,
            "jobs": {n: {**asdict(j), "order": asdict(j.order)} for n, j in self.jobs.items()},
            "ended": [asdict(e) for e in self.ended],
            "by_key": dict(self.by_key),
            "next_name": self.next_name,
            "turns": self.turns,
            "failed": self.failed,
            "it_w_ns": dict(self.it_w_ns),
            "free": dict(self._free),
            "state": {n: asdict(s) for n, s in self._state.items()},
        }

    def change(self, state: Mapping[str, Any]) -> None:
        """Take over what `changing` gave."""
        self.now_ns, self.budget_kw = state["now_ns"], state["budget_kw"]
        self.jobs = {}
        for name, told in state["jobs"].items():
            plain = dict(told)
            plain["order"] = WorkOrder(**plain["order"])
            plain["nodes"] = tuple(plain["nodes"])
            plain["phase"] = Phase(plain["phase"])
            self.jobs[name] = Job(**plain)
        self.ended = [EndedView(**{**e, "ending": Ending(e["ending"])}) for e in state["ended"]]
        self.by_key = dict(state["by_key"])
        self.next_name, self.turns = state["next_name"], state["turns"]
        self.failed, self.it_w_ns = state["failed"], dict(state["it_w_ns"])
        self._free = dict(state["free"])
        self._state = {n: _NodeState(**s) for n, s in state["state"].items()}

    def faults(self) -> Iterator[str]:
        """What must never be: accelerators given twice, counts that do not close."""
        used = dict.fromkeys(self._free, 0)
        for job in self.jobs.values():
            for name in job.nodes if job.holds_nodes else ():
                size = next(n.accelerators for n in self.nodes if n.name == name)
                used[name] += job.per_node or size
        for node in self.nodes:
            if used[node.name] > node.accelerators:
                yield f"{node.name}: {used[node.name]} of {node.accelerators} accelerators given"
            if used[node.name] + self._free[node.name] != node.accelerators:
                yield f"{node.name}: {self._free[node.name]} free beside {used[node.name]} in use"


def _view(job: Job) -> JobView:
    order = job.order
    return JobView(
        job=job.name,
        tenant=order.tenant,
        phase=Phase(job.phase),
        accelerators=order.accelerators,
        submit_ns=job.submit_ns,
        start_ns=job.start_ns,
        walltime_s=float(order.walltime_s),
        speed=job.speed,
        ours=job.ours,
        key=order.key if job.ours else "",
        job_class=order.job_class if job.ours else "",
        priority=job.priority,
        pool=order.pool,
        nodes=job.nodes,
        nodes_asked=order.nodes,
        accelerators_min=order.accelerators_min,
        restarts=job.restarts,
        ran_s=job.ran_ns / NS_PER_S,
        saved_ns=job.saved_ns,
        frozen=job.frozen,
        reason=job.reason,
    )
