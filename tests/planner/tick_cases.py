"""Random pools and traces for the gate: quotas, small jobs, gangs, classes, limits that change."""

from __future__ import annotations

import numpy as np
from tick_twin import BEFORE, ORIGIN, TICK, Case, S, by_class, plan_of

from gigafactory.kernel import FULL_SPEED, Rules, elastic_rates


def random_rules(r: np.random.Generator, total: int, size: int, *, elastic: bool) -> Rules:
    """Two groups with two tenants each, and one beside them."""
    share = total // 4 // size * size
    half = share // 2 // size * size
    lend = [int(r.integers(0, share // size + 1)) * size for _ in range(2)]
    cap = total if r.random() < 0.5 else max(total * 3 // 5, size)
    return Rules(
        parent=(-1, 0, 0, 1, 1, 2, 2, 0),
        nominal=(0, share, share, half, half, half, half, 0),
        lend=(0, *lend, half, half, half, half, 0),
        cap=(total, total, total, cap, cap, cap, cap, cap),
        weight=(1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 3.0, 1.0),
        tenant_node=(3, 4, 5, 6, 7),
        fair_share=bool(r.random() < 0.5),
        preempt_within=bool(r.random() < 0.5),
        runtime_min_ns=by_class(*([int(r.integers(0, 4)) * TICK] * 5)),
        efficiency=elastic_rates(0.9 if elastic else 1.0),
    )


def random_case(
    seed: int,
    *,
    jobs: int = 60,
    nodes: int = 12,
    size: int = 4,
    ticks: int = 40,
    ruled: bool = True,
    elastic: bool = False,
    limits: bool = True,
    slow: bool = False,
) -> Case:
    r = np.random.default_rng(seed)
    total = nodes * size
    rules = random_rules(r, total, size, elastic=elastic) if ruled else Rules()
    tenants = len(rules.tenant_node)
    gang = r.random(jobs) < 0.4
    wide = r.integers(1, max(nodes // 2, 2), jobs) * size
    need = r.integers(1, 12, jobs) * TICK - BEFORE
    spare = r.integers(0, 6, jobs) * TICK + 17 * S + BEFORE
    arrive = np.sort(r.integers(1, max(ticks * 2 // 3, 2), jobs)) * TICK - BEFORE
    usable = total * 1.1e6 / 1e6
    budgets: list[float | None] = [None] * ticks
    if limits:
        steps = np.sort(r.integers(0, ticks, 6))
        for at, level in zip(steps, r.uniform(0.35, 1.0, 6), strict=True):
            budgets[int(at) :] = [usable * float(level)] * (ticks - int(at))
        budgets[-ticks // 6 :] = [None] * len(budgets[-ticks // 6 :])
    accelerators = np.where(gang, wide, r.integers(1, size, jobs)).astype(np.int32)
    least = np.where(r.random(jobs) < 0.5, size, 0) * gang if elastic else np.zeros(jobs)
    speeds = [int(r.integers(64, FULL_SPEED + 1)) if slow else FULL_SPEED for _ in range(5)]
    return Case(
        plan=plan_of(
            nodes, size, rules, by_class(*([int(r.integers(1, 4)) * TICK // 2] * 5)),
            depth=int(r.integers(3, 60)),
        ),
        jobs={
            "submit_ns": ORIGIN + arrive,
            "need_ns": need,
            "walltime_ns": need + spare,
            "accelerators": accelerators,
            "priority": r.integers(0, 4, jobs).astype(np.int8),
            "group": r.integers(0, 5, jobs).astype(np.int8),
            "tenant": r.integers(0, tenants, jobs).astype(np.int16),
            "accelerators_min": least.astype(np.int32),
        },
        budgets_kw=budgets,
        speeds=speeds,
        usage=[float(v) for v in r.integers(0, 5, len(rules.parent))],
    )  # fmt: skip
