"""The twin as its own workload manager, at the gate's tick: it remembers, the gate rebuilds.

Work arrives and ends a moment before a tick, and the twin holds everything back between ticks, so
that both decide at the same instants about the same facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gigafactory.jobs.ports import JobView, NodeView, Phase, WorkloadSnapshot
from gigafactory.kernel import FULL_RATE, FULL_SPEED, NEVER, JobState, Kind, Pool, PoolSpec, Rules
from gigafactory.planner.poolplan import CLASSES, PoolPlan
from gigafactory.planner.tick import TickDecision

S = 1_000_000_000
#: Longer than the minute after which a tenant looks for victims again.
TICK = 120 * S
#: So long before a tick everything that is not decided happens.
BEFORE = 1_000
ORIGIN = 1_735_686_000 * S
IDLE = 300_000
NAMES = tuple(f"t{q}" for q in range(8))


def power_table() -> np.ndarray[Any, Any]:
    """Milliwatts by class and speed step: rising with speed, classes apart."""
    steps = np.arange(FULL_SPEED + 1, dtype=np.int64)
    return np.stack([IDLE + (600_000 + 50_000 * g) * steps // FULL_SPEED for g in range(5)])


def by_class(*values: int) -> np.ndarray[Any, Any]:
    return np.array([*values, 0, 0, 0], np.int64)


@dataclass
class Case:
    """A pool, its jobs, and the budget at each tick."""

    plan: PoolPlan
    jobs: dict[str, np.ndarray[Any, Any]]
    budgets_kw: list[float | None]
    speeds: list[int]
    usage: list[float]


def plan_of(
    nodes: int, node_size: int, rules: Rules, checkpoint_ns: np.ndarray[Any, Any], depth: int = 50
) -> PoolPlan:
    return PoolPlan(
        name="main",
        nodes=tuple(f"n{n:03d}" for n in range(nodes)),
        node_size=node_size,
        idle_power_mw=IDLE,
        power_mw=power_table(),
        full_speed=FULL_SPEED,
        floor=np.full(5, FULL_SPEED // 2),
        victims=(1, 2, 3, 0, 4),
        rules=rules,
        tenants=NAMES[: len(rules.tenant_node)],
        quotas=tuple(f"q{x}" if x else "" for x in range(len(rules.parent))),
        checkpoint_ns=checkpoint_ns,
        depth=depth,
        rack_nodes=4,
        pod_nodes=8,
        span_rate=900,
    )


class Twin:
    """The kernel with everything it remembers, told a budget at every tick."""

    def __init__(self, case: Case) -> None:
        self.case, self.plan = case, case.plan
        plan, jobs = case.plan, case.jobs
        self.n = len(jobs["submit_ns"])
        self.pool = Pool(
            PoolSpec(
                len(plan.nodes), plan.node_size, plan.idle_power_mw, plan.depth, plan.victims,
                plan.rack_nodes, plan.pod_nodes, plan.span_rate, plan.rules,
            ),
            origin_ns=ORIGIN,
            end_ns=ORIGIN + 400 * TICK,
            **jobs,
        )  # fmt: skip
        self.speed = np.array([*case.speeds, FULL_SPEED, FULL_SPEED, FULL_SPEED], np.int64)
        power = [int(plan.power_mw[g, s]) for g, s in enumerate(case.speeds)]
        self.pool.set_groups(self.speed, np.array([*power, 0, 0, 0]), plan.checkpoint_ns)
        self.pool.set_service(len(plan.nodes))
        if any(case.usage):
            self.pool.state.quota["decayed"][: len(case.usage)] = case.usage
            self.pool.turn()
        self.pool.drain()
        self.undone = list[str]()  # jobs paused and let go on at the last instant
        self.hold(True)

    def hold(self, everything: bool) -> None:
        self.pool.hold(np.full(8, NEVER if everything else 0, np.int64))

    def name(self, j: int) -> str:
        return f"j{j:04d}"

    def go_to(self, t: int) -> None:
        """Let what ends and arrives before an instant do so, and nothing start."""
        self.pool.advance(t)

    def decide(self, budget_kw: float | None) -> TickDecision:
        """What the twin does at a tick, net of what is undone at the same instant."""
        pool = self.pool
        before = pool.state.job["state"].copy()
        self.hold(False)
        budget = None if budget_kw is None else int(budget_kw * 1e6)
        kinds, jobs = [], []
        for _ in range(8):
            pool.state.tenant["retry"] = -NEVER  # who looked in vain looks again in every pass
            pool.set_budget(budget)
            leaving = int(pool.state.v["stops"][0]) > 0
            some = pool.advance(pool.t_ns + 1) if leaving else pool.drain()
            if not len(some):
                break
            kinds += some.kind.tolist()
            jobs += some.job.tolist()
        waits = {self.name(j): self.word(j) for j in pool.waiting().tolist()}
        after = pool.state.job["state"].copy()
        self.hold(True)
        self.undone = [
            self.name(j)
            for j, kind in zip(jobs, kinds, strict=True)
            if kind == Kind.PAUSE and before[j] == after[j] == JobState.RUNNING
        ]
        told = self.net(before, after, list(zip(jobs, kinds, strict=True)))
        return TickDecision(**told, waits=waits, draw_kw=int(pool.state.v["draw"][0]) / 1e6)

    def net(self, before: Any, after: Any, notes: list[tuple[int, int]]) -> dict[str, Any]:
        ran = (JobState.RUNNING, JobState.PAUSED)
        makes_way = [j for j, k in notes if k == Kind.PREEMPT and before[j] in ran]
        last = [j for i, (j, _) in enumerate(notes) if j not in {x for x, _ in notes[i + 1 :]}]
        now = [j for j in last if after[j] == JobState.RUNNING]
        fresh = (JobState.QUEUED, JobState.CLAIMING)
        return {
            "requeues": tuple(map(self.name, dict.fromkeys(makes_way))),
            "starts": tuple(self.name(j) for j in now if before[j] in fresh or j in makes_way),
            "resumes": tuple(
                self.name(j) for j in now if before[j] == JobState.PAUSED and j not in makes_way
            ),
            "pauses": tuple(
                self.name(j)
                for j in last
                if before[j] == JobState.RUNNING and after[j] == JobState.PAUSED
            ),
        }

    def word(self, j: int) -> str:
        why, node = self.pool.why(j)
        word = why.name.lower()
        return f"{word}:{self.plan.quotas[node]}" if word in ("cap", "quota") else word

    # --- what it shows of itself -------------------------------------------------------------

    def snapshot(self) -> WorkloadSnapshot:
        job, ask, t = self.pool.state.job, self.pool.state.ask, self.pool.t_ns
        views = []
        for j in range(self.n):
            state = int(job[j]["state"])
            if state in (JobState.FUTURE, JobState.DONE):
                continue
            redo, asked = int(job[j]["redo"]), int(ask[j]["accelerators"])
            done = int(job[j]["need"] - job[j]["left"]) + redo
            phase = {
                JobState.RUNNING: Phase.RUNNING, JobState.PAUSED: Phase.PAUSED
            }.get(JobState(state), Phase.HELD)  # fmt: skip
            running = phase is Phase.RUNNING
            g = int(ask[j]["group"])
            views.append(
                JobView(
                    job=self.name(j),
                    tenant=NAMES[int(ask[j]["tenant"])],
                    phase=phase,
                    accelerators=asked if phase is Phase.HELD else int(job[j]["width"]),
                    submit_ns=int(job[j]["submit"]),
                    start_ns=None if phase is Phase.HELD else int(job[j]["start"]),
                    walltime_s=int(job[j]["estimate"]) / S,
                    speed=int(self.speed[g]) / FULL_SPEED,
                    key=self.name(j),
                    job_class=CLASSES[g],
                    priority=int(ask[j]["priority"]),
                    pool="main",
                    nodes=() if phase is Phase.HELD else self.nodes_of(j),
                    nodes_asked=int(ask[j]["nodes"]),
                    accelerators_min=self.least(j),
                    restarts=1 if redo else 0,
                    ran_s=done / S,
                    saved_ns=self.saved_ns(j, done, t) if running else None,
                    frozen=phase is Phase.PAUSED,
                )
            )
        size = self.plan.node_size
        nodes = tuple(NodeView(name, "main", size) for name in self.plan.nodes)
        return WorkloadSnapshot(t, tuple(views), len(nodes) * size, nodes)

    def least(self, j: int) -> int:
        ask = self.pool.state.ask[j]
        return int(ask["least"]) * self.plan.node_size if ask["least"] < ask["nodes"] else 0

    def nodes_of(self, j: int) -> tuple[str, ...]:
        s = self.pool.state
        n, found = int(s.job[j]["node"]), []
        while n >= 0:
            found.append(self.plan.nodes[n])
            n = int(s.node[n]["chain"]) if s.job[j]["nodes"] else -1
        return tuple(reversed(found))

    def saved_ns(self, j: int, began_with: int, t: int) -> int | None:
        """When the last regular checkpoint was, told so that the work since comes out right."""
        s = self.pool.state
        g = int(s.ask[j]["group"])
        every = int(s.group[g]["checkpoint"])
        clock = self.clock(g, t)
        virtual = max(int(s.job[j]["v_end"]) - clock, 0)
        left = virtual * int(s.job[j]["rate"]) // FULL_RATE
        redo = max(int(s.job[j]["redo"]) - (int(s.job[j]["left"]) - left), 0)
        done = int(s.job[j]["need"]) - left + redo
        kept = max(done - done % every if every else 0, int(s.job[j]["kept"]))
        if kept <= began_with:
            return None if kept == began_with else int(s.job[j]["start"])
        return t - (done - kept)

    def clock(self, g: int, t: int) -> int:
        group = self.pool.state.group[g]
        turned = int(group["speed"]) * (t - int(group["t"])) + int(group["clock_rest"])
        return int(group["clock"]) + turned // FULL_SPEED

    def paused_before(self) -> dict[str, int]:
        found, j = [], int(self.pool.state.v["paused_top"][0])
        while j >= 0:
            found.append(self.name(j))
            j = int(self.pool.state.ask[j]["next"])
        return {name: i for i, name in enumerate(reversed(found))}

    def touched_before(self) -> dict[str, int]:
        """Ranks of nodes, by the lists in which the last that changed stands in front."""
        s, found = self.pool.state, dict[str, int]()
        heads = [*s.rack["head"].tolist(), *s.free["head"].tolist()]
        for n in heads:
            line = []
            while n >= 0:
                line.append(n)
                n = int(s.node[n]["next"])
            found |= {self.plan.nodes[m]: len(line) - i for i, m in enumerate(line)}
        return found
