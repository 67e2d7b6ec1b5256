"""Random pools with every rule on: quotas, notices, levels, elastic jobs, failures, deadlines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gigafactory.kernel import FULL_SPEED, NEVER, Pool, PoolSpec, Rules, elastic_rates

S = 1_000_000_000
ORIGIN = 1_735_686_000 * S
IDLE = 300_000
CLASSES = 5


@dataclass
class Case:
    """A random pool, as plain columns: the kernel and the naive scheduler are both built of it."""

    nodes: int
    node_size: int
    rack_nodes: int
    pod_nodes: int
    span_rate: int
    depth: int
    speed: list[int]
    power: list[int]
    budget: int | None
    parent: list[int]
    nominal: list[int]
    lend: list[int]
    cap: list[int]
    weight: list[float]
    tenant_node: list[int]
    promised: int
    fair_share: bool
    half_life: int
    preempt_within: bool
    runtime_min: list[int]
    grace: list[int]
    save: list[int]
    checkpoint: list[int]
    restart: list[int]
    faults: list[tuple[int, int, int]]
    moves: bool
    blocks: list[tuple[int, int, int]]
    together: bool
    jobs: dict[str, np.ndarray[Any, Any]]

    @property
    def accelerators(self) -> int:
        return self.nodes * self.node_size


def random_tree(r: np.random.Generator, total: int, node_size: int) -> dict[str, list[Any]]:
    """Groups and tenants under the root, tenants under groups; nominal quotas fit in the pool."""
    parent, nominal = [-1], [0]
    groups = int(r.integers(0, 4))
    left = total
    for _ in range(groups):
        share = int(left * r.uniform(0, 0.7)) // node_size * node_size
        parent.append(0)
        nominal.append(share)
        left -= share
    tenant_node = []
    rest = [left, *nominal[1:]]
    for _ in range(int(r.integers(1, 6))):
        above = int(r.integers(0, groups + 1))
        share = int(rest[above] * r.uniform(0, 0.8)) // node_size * node_size
        share = 0 if r.random() < 0.2 else share
        rest[above] -= share
        tenant_node.append(len(parent))
        parent.append(above)
        nominal.append(share)
    lend, cap, weight = [0], [0], [1.0]
    for x in range(1, len(parent)):
        lend.append(nominal[x] if r.random() < 0.6 else int(nominal[x] * r.random()))
        room = total - nominal[x]
        free = r.random() < 0.5
        cap.append(total if free else max(nominal[x] + int(room * r.random()), node_size))
        weight.append(float(max(nominal[x], 1)))
    return {
        "parent": parent,
        "nominal": nominal,
        "lend": lend,
        "cap": cap,
        "weight": weight,
        "tenant_node": tenant_node,
    }


def random_faults(r: np.random.Generator, nodes: int, span_s: float) -> list[tuple[int, int, int]]:
    faults = []
    for n in range(nodes):
        t = r.exponential(span_s / 2)
        while t < span_s:
            back = t + r.exponential(span_s / 20) + 1
            faults += [(ORIGIN + int(t * S), n, 1), (ORIGIN + int(back * S), n, -1)]
            t = back + r.exponential(span_s / 2)
    return sorted(faults)


def random_jobs(
    r: np.random.Generator, n: int, total: int, node_size: int, tenants: int, wide: int
) -> dict[str, np.ndarray[Any, Any]]:
    sizes = np.minimum(
        r.choice(
            [1, 2, 3, 4, 8, 12, 16, 32, 64], n, p=[0.25, 0.1, 0.1, 0.1, 0.15, 0.1, 0.1, 0.06, 0.04]
        ),
        wide,
    ).astype(np.int32)
    work = np.maximum(np.round(r.lognormal(6.5, 1.2, n)), 1)
    rate = 1.2 * total / float((sizes * work).mean())
    gaps = r.exponential(1 / rate, n)
    gaps[r.random(n) < 0.4] = 0.0
    submit = np.round(np.cumsum(gaps)) if r.random() < 0.5 else np.cumsum(gaps)
    submit_ns = (submit * S).astype(np.int64) + ORIGIN
    gang = sizes >= 2 * node_size
    least = np.where(gang & (r.random(n) < 0.4), np.maximum(sizes // 3, 1), 0)
    level = np.where(gang & (r.random(n) < 0.2), r.integers(1, 3, n), 0)
    urgent = np.where(
        r.random(n) < 0.2, submit_ns + (r.exponential(3600.0, n) * S).astype(np.int64) + 1, NEVER
    )
    return {
        "submit": submit_ns,
        "need": work.astype(np.int64) * S,
        "estimate": np.maximum(work * r.uniform(0.8, 3.0, n), 60).astype(np.int64) * S,
        "accelerators": sizes,
        "least": least.astype(np.int32),
        "level": level.astype(np.int8),
        "priority": r.integers(0, 5, n).astype(np.int8),
        "group": r.integers(0, CLASSES, n).astype(np.int8),
        "tenant": r.integers(0, tenants, n).astype(np.int16),
        "urgent": urgent.astype(np.int64),
    }


def random_blocks(r: np.random.Generator, racks: int, tenants: int) -> list[tuple[int, int, int]]:
    """Racks that belong to tenants, in half of the cases."""
    blocks: list[tuple[int, int, int]] = []
    first = int(r.integers(0, 3))
    while r.random() < 0.5 and first < racks:
        width = min(int(r.integers(1, 4)), racks - first)
        blocks.append((int(r.integers(0, tenants)), first, width))
        first += width + int(r.integers(0, 2))
    return blocks


def random_case(seed: int, n: int) -> Case:
    r = np.random.default_rng(seed)
    node_size = int(r.choice([2, 4, 8]))
    rack_nodes = int(r.integers(1, 5))
    pod_nodes = rack_nodes * int(r.integers(1, 4))
    nodes = int(r.integers(6, 30))
    total = nodes * node_size
    tree = random_tree(r, total, node_size)
    power = [int(p) for p in r.integers(600_000, 1_400_000, 8)]
    full = total * max(power)
    budget = None if seed % 3 else int(total * IDLE + (full - total * IDLE) * r.uniform(0.5, 0.9))
    wide = total
    if budget is not None:
        wide = max(1, (budget - total * IDLE) // max(power))
    jobs = random_jobs(r, n, total, node_size, len(tree["tenant_node"]), wide)
    # a level can be met at all, and a cap is wide enough for every job of its tenant
    domain = np.array([0, rack_nodes, pod_nodes])[jobs["level"]] * node_size
    fits = np.minimum(np.where(domain > 0, domain, total), total)
    promised = total - node_size * int(r.integers(0, 2))
    ceiling = np.array([most_of(tree, q, total, promised) for q in range(len(tree["tenant_node"]))])
    most = np.minimum(fits, np.maximum(ceiling[jobs["tenant"]] // node_size * node_size, 1))
    jobs["accelerators"] = np.minimum(jobs["accelerators"], most).astype(np.int32)
    jobs["least"] = np.minimum(jobs["least"], jobs["accelerators"]).astype(np.int32)
    span_s = float(jobs["submit"][-1] - ORIGIN) / S + 7200

    def seconds(low: float, high: float) -> list[int]:
        return [int(r.uniform(low, high)) * S for _ in range(8)]

    return Case(
        nodes=nodes,
        node_size=node_size,
        rack_nodes=rack_nodes,
        pod_nodes=pod_nodes,
        span_rate=int(r.integers(700, 1025)),
        depth=int(r.choice([3, 20, 100])),
        speed=[FULL_SPEED if r.random() < 0.5 else int(r.integers(64, 129)) for _ in range(8)],
        power=power,
        budget=budget,
        promised=promised,
        fair_share=bool(r.random() < 0.5),
        half_life=int(r.integers(1, 200)) * 3600 * S,
        preempt_within=bool(r.random() < 0.5),
        runtime_min=seconds(0, 900),
        grace=seconds(0, 300) if r.random() < 0.8 else [0] * 8,
        save=seconds(0, 200),
        checkpoint=[0 if r.random() < 0.2 else int(r.integers(60, 1800)) * S for _ in range(8)],
        restart=seconds(0, 120),
        faults=random_faults(r, nodes, span_s) if r.random() < 0.5 else [],
        moves=seed % 2 == 1,
        blocks=random_blocks(r, -(-nodes // rack_nodes), len(tree["tenant_node"])),
        together=bool(r.random() < 0.5),
        jobs=jobs,
        **tree,
    )


def most_of(tree: dict[str, list[Any]], q: int, total: int, promised: int) -> int:
    """Most accelerators a tenant could ever hold: all nodes in service, nobody else there."""
    parent, size = tree["parent"], range(1, len(tree["parent"]))
    effective = [total] + [tree["nominal"][x] * min(total, promised) // promised for x in size]
    own = [0] + [effective[x] - min(tree["lend"][x], effective[x]) for x in size]

    def unlent(x: int) -> int:
        return max(own[x], sum(unlent(c) for c in size if parent[c] == x))

    most = total - sum(unlent(x) for x in size if parent[x] == 0)
    x, cap = tree["tenant_node"][q], 10**9
    while x != 0:
        cap = min(cap, tree["cap"][x])
        most += unlent(x) - sum(unlent(c) for c in size if parent[c] == x)
        x = parent[x]
    return min(cap, most)


def kernel_of(case: Case) -> Pool:
    """The kernel's pool of a case, all nodes in service, speeds and budget told."""
    jobs = case.jobs
    fault = np.array(case.faults, np.int64).reshape(-1, 3)

    def column(values: list[int]) -> np.ndarray[Any, Any]:
        return np.array(values, np.int64)

    rules = Rules(
        parent=tuple(case.parent),
        nominal=tuple(case.nominal),
        lend=tuple(case.lend),
        cap=tuple(case.cap),
        weight=tuple(case.weight),
        tenant_node=tuple(case.tenant_node),
        promised=case.promised,
        fair_share=case.fair_share,
        half_life_ns=case.half_life,
        preempt_within=case.preempt_within,
        runtime_min_ns=column(case.runtime_min),
        grace_ns=column(case.grace),
        save_ns=column(case.save),
        restart_ns=column(case.restart),
        efficiency=elastic_rates(0.9),
        blocks=tuple(case.blocks),
        together=case.together,
        fault_ns=fault[:, 0],
        fault_node=fault[:, 1].astype(np.int32),
        fault_change=fault[:, 2].astype(np.int8),
    )
    pool = Pool(
        PoolSpec(
            case.nodes,
            case.node_size,
            IDLE,
            case.depth,
            (1, 2, 3, 0, 4),
            case.rack_nodes,
            case.pod_nodes,
            case.span_rate,
            rules,
        ),
        origin_ns=ORIGIN,
        end_ns=ORIGIN + 60 * 86_400 * S,
        submit_ns=jobs["submit"],
        need_ns=jobs["need"],
        walltime_ns=jobs["estimate"],
        accelerators=jobs["accelerators"],
        priority=jobs["priority"],
        group=jobs["group"],
        tenant=jobs["tenant"],
        accelerators_min=jobs["least"],
        level=jobs["level"],
        urgent_ns=jobs["urgent"],
    )
    pool.set_service(case.nodes)
    pool.set_groups(np.array(case.speed), np.array(case.power), column(case.checkpoint))
    pool.set_budget(case.budget)
    return pool
