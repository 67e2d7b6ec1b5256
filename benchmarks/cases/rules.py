"""The kernel with every rule on: quotas and notices, racks and pods, elastic jobs, failures."""

from __future__ import annotations

import resource
from dataclasses import replace

import numpy as np

from benchmarks.cases.kernel import ACCELERATORS, NODE_SIZE, NODES, STEP_NS, acme_jobs
from benchmarks.measuring import Timer, case
from gigafactory.jobs import JobTable
from gigafactory.kernel import Pool, PoolSpec, Rules, elastic_rates
from gigafactory.plant import draw_faults, hazards_for
from gigafactory.policy import GroupShare, TenantShare, compile_quotas
from gigafactory.units import NS_PER_DAY, NS_PER_S

RACK_NODES, POD_NODES = 8, 128
GROUPS = 4


def _rules(tenants: int, end_ns: int) -> Rules:
    """Four groups that share the pool evenly, tenants in them likewise; all may be lent."""
    groups = [GroupShare(f"group{g}", 1 / GROUPS) for g in range(GROUPS)]
    shares = [
        TenantShare(f"tenant{q}", f"group{q % GROUPS}", 1 / tenants, cap_fraction=0.5)
        for q in range(tenants)
    ]
    tree = compile_quotas(groups, shares, ACCELERATORS, NODE_SIZE)
    faults = draw_faults(
        nodes=NODES,
        node_size=NODE_SIZE,
        rack_nodes=RACK_NODES,
        begin_ns=0,
        end_ns=end_ns,
        hazards=hazards_for(),
        seed=0,
        name="benchmark",
    )

    def each(seconds: float) -> np.ndarray:
        return np.full(8, int(seconds * NS_PER_S))

    return Rules(
        parent=tree.parent,
        nominal=tree.nominal,
        lend=tree.lend,
        cap=tree.cap,
        weight=tuple(float(max(n, 1)) for n in tree.nominal),
        tenant_node=tree.tenant_node,
        fair_share=True,
        preempt_within=True,
        runtime_min_ns=each(1800),
        grace_ns=each(60),
        save_ns=each(20),
        restart_ns=each(120),
        efficiency=elastic_rates(0.9),
        fault_ns=faults.t_ns,
        fault_node=faults.node,
        fault_change=faults.change,
    )


def ruled_pool(table: JobTable, depth: int, tenants: int, end_ns: int) -> Pool:
    """A pool of 12,500 nodes of eight with every rule on; uneven tenants, some elastic gangs."""
    n, dice = len(table), np.random.default_rng(2)
    load = dice.dirichlet(np.full(tenants, 1.0))
    gang = table.accelerators >= 2 * NODE_SIZE
    rigid = dice.random(n) >= 0.3
    in_rack = gang & (table.accelerators <= RACK_NODES * NODE_SIZE) & (dice.random(n) < 0.2)
    pool = Pool(
        PoolSpec(
            NODES,
            NODE_SIZE,
            100_000,
            depth,
            (1, 2, 3, 0, 4),
            RACK_NODES,
            POD_NODES,
            993,
            _rules(tenants, end_ns),
        ),
        origin_ns=0,
        end_ns=end_ns,
        submit_ns=table.submit_ns,
        need_ns=table.work_ns,
        walltime_ns=table.walltime_ns,
        accelerators=table.accelerators,
        priority=table.priority,
        group=table.job_class,
        tenant=dice.choice(tenants, n, p=load).astype(np.int16),
        accelerators_min=np.where(gang & ~rigid, table.accelerators // 2, 0).astype(np.int32),
        level=in_rack.astype(np.int8),
    )
    pool.set_groups(np.full(8, 128), np.full(8, 700_000), np.full(8, 1800 * NS_PER_S))
    pool.set_service(NODES)
    pool.set_budget(None)
    return pool


def _turn(pool: Pool, until_ns: int, step_ns: int = STEP_NS) -> dict[str, int]:
    """Turn period by period; counts of records by kind, and the longest queue."""
    kinds = np.zeros(16, np.int64)
    longest, at = 0, 0
    while at < until_ns:
        at = min(at + step_ns, until_ns)
        pool.turn()
        kinds += np.bincount(pool.advance(at).kind, minlength=16)
        longest = max(longest, pool.read().queued)
    ended = int((pool.state.job["state"] == 4).sum())
    arrived = int(pool.state.v[0]["arrival"])
    names = {"preempted": 8, "failed": 9, "grown": 10}
    return {"events": arrived + ended, "queue": longest} | {
        name: int(kinds[k]) for name, k in names.items()
    }


def _overloaded(depth: int, tenants: int) -> dict[str, float]:
    warm = acme_jobs(2_000, offered=1.5, sizes=4)
    _turn(ruled_pool(warm, 100, tenants, int(warm.submit_ns[-1])), int(warm.submit_ns[-1]))
    table = acme_jobs(1_000_000, offered=1.5, sizes=4)
    end = int(table.submit_ns[-1]) + 1
    pool = ruled_pool(table, depth, tenants, end)
    timer = Timer()
    found = _turn(pool, end)
    spent = timer.cpu_s()
    return {"events_per_s": found["events"] / spent, **found, "cpu_s": spent}


@case("rules-depth-100")
def depth_100() -> dict[str, float]:
    """A million jobs of sixteen tenants on an overloaded machine, every rule on, depth 100."""
    return _overloaded(100, 16)


@case("rules-depth-300")
def depth_300() -> dict[str, float]:
    """The same at depth 300."""
    return _overloaded(300, 16)


@case("rules-20m")
def twenty_million() -> dict[str, float]:
    """Twenty million jobs at a load the machine can carry, every rule on: memory and time."""
    part = acme_jobs(1_000_000, offered=0.85)
    span = int(part.submit_ns[-1]) + NS_PER_S
    copies = 20
    table = replace(
        part,
        **{name: np.tile(column, copies) for name, column in part.columns() if name != "submit_ns"},
        submit_ns=np.concatenate([part.submit_ns + k * span for k in range(copies)]),
    )
    end = copies * span + 30 * NS_PER_DAY
    pool = ruled_pool(table, 100, 16, end)
    del table
    timer = Timer()
    found = _turn(pool, end, 6 * STEP_NS)
    spent = timer.cpu_s()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "jobs": float(len(pool.state.job)),
        "done": float((pool.state.job["state"] == 4).sum()),
        "peak_rss_mib": peak,
        "events_per_s": found["events"] / spent,
        "cpu_s": spent,
        **found,
    }
