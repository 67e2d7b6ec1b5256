"""One tick of the live controller's gate: what a decision costs with long queues."""

from __future__ import annotations

import statistics

import numpy as np

from benchmarks.measuring import Timer, case
from gigafactory.jobs.ports import JobView, NodeView, Phase, WorkloadSnapshot
from gigafactory.kernel import FULL_SPEED, Rules
from gigafactory.planner.poolplan import CLASSES, PoolPlan
from gigafactory.planner.tick import Gate
from gigafactory.units import NS_PER_S

NODES, NODE_SIZE, RUNNING = 2_000, 8, 1_000
AT_NS = 1_750_000_000 * NS_PER_S
TENANTS = tuple(f"tenant-{q}" for q in range(16))
GROUPS = 4


def plan() -> PoolPlan:
    """A pool of 2,000 nodes of eight with 16 tenants in four groups."""
    total = NODES * NODE_SIZE
    group, own = total // GROUPS, total // 16
    per = len(TENANTS) // GROUPS
    return PoolPlan(
        name="main",
        nodes=tuple(f"node{n:04d}" for n in range(NODES)),
        node_size=NODE_SIZE,
        idle_power_mw=100_000,
        power_mw=np.full((len(CLASSES), FULL_SPEED + 1), 700_000, np.int64),
        full_speed=FULL_SPEED,
        floor=np.full(len(CLASSES), FULL_SPEED // 2, np.int64),
        victims=(1, 2, 3, 0, 4),
        rules=Rules(
            parent=(-1, *(0,) * GROUPS, *(1 + q // per for q in range(16))),
            nominal=(0, *(group,) * GROUPS, *(own,) * 16),
            lend=(0, *(group,) * GROUPS, *(own,) * 16),
            cap=(total,) * 21,
            weight=(1.0,) * 21,
            tenant_node=tuple(range(5, 21)),
            fair_share=True,
        ),
        tenants=TENANTS,
        quotas=tuple(f"quota-{x}" for x in range(21)),
        checkpoint_ns=np.zeros(8, np.int64),
        depth=100,
        rack_nodes=8,
        pod_nodes=128,
        span_rate=1024,
    )


def snapshot(pool: PoolPlan, queued: int, seed: int = 0) -> WorkloadSnapshot:
    """A full pool: 1,000 jobs on all of its nodes, and a queue."""
    r = np.random.default_rng(seed)
    views, node = [], 0
    for j in range(RUNNING + queued):
        runs = j < RUNNING
        # two nodes each for what runs; a small job or a gang of up to three for what waits
        nodes = 2 if runs else int(r.integers(0, 4))
        start = AT_NS - int(r.integers(60, 86_400)) * NS_PER_S
        views.append(
            JobView(
                job=f"{1_000_000 + j}",
                tenant=TENANTS[int(r.integers(0, 16))],
                phase=Phase.RUNNING if runs else Phase.HELD,
                accelerators=nodes * NODE_SIZE or int(r.integers(1, NODE_SIZE)),
                submit_ns=start - NS_PER_S if runs else AT_NS - (queued - j) * 1_000_000,
                start_ns=start if runs else None,
                walltime_s=float(r.integers(86_500, 7 * 86_400)),
                key=f"key-{j}",
                job_class=CLASSES[int(r.integers(0, 5))],
                priority=int(r.integers(0, 4)),
                pool="main",
                nodes=pool.nodes[node : node + nodes] if runs else (),
                nodes_asked=nodes,
            )
        )
        node += nodes if runs else 0
    seen = tuple(NodeView(name, "main", NODE_SIZE) for name in pool.nodes)
    return WorkloadSnapshot(AT_NS, tuple(views), NODES * NODE_SIZE, seen)


def _tick_s(queued: int, ticks: int) -> tuple[float, int]:
    """Median processor time of a decision under a cut of a quarter, s, and jobs it pauses."""
    pool = plan()
    gate, seen = Gate(pool), snapshot(pool, queued)
    budget_kw = gate.modelled_kw(seen) * 0.75
    spent, paused = [], 0
    for _ in range(ticks):
        timer = Timer()
        paused = len(gate.decide(seen, AT_NS, budget_kw=budget_kw).pauses)
        spent.append(timer.cpu_s())
    return statistics.median(spent), paused


@case("gate-tick")
def gate_tick() -> dict[str, float]:
    """A cut of a quarter with 1,000 jobs running and 1,000, then 100,000 waiting."""
    _tick_s(10, 1)
    few_s, paused = _tick_s(1_000, 21)
    many_s, _ = _tick_s(100_000, 5)
    return {"few_ms": few_s * 1e3, "many_ms": many_s * 1e3, "paused": paused}
