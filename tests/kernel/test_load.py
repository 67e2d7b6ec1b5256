"""A pool laid out as it is found: every derived array is what its jobs say."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from recount import recount

from gigafactory.kernel import NEVER, JobState, Pool, PoolSpec, Rules, Why
from tests.effort import examples

S = 1_000_000_000
NODES, SIZE = 12, 4
RULES = Rules(
    parent=(-1, 0, 0, 1, 1),
    nominal=(0, 16, 8, 8, 8),
    lend=(0, 8, 8, 8, 8),
    cap=(48, 48, 48, 48, 48),
    weight=(1.0,) * 5,
    tenant_node=(3, 4, 2),
    fair_share=True,
)


def found(r: np.random.Generator) -> tuple[list[list[int]], dict[str, Any], list[int]]:
    """Jobs as they may be found: gangs and small ones on nodes that hold them, and a queue."""
    free = dict.fromkeys(range(NODES), SIZE)
    rows, wide = list[list[int]](), list[int]()
    while len(rows) < 14:
        width = int(r.integers(1, 4 * SIZE))
        count = max(-(-width // SIZE), 1)
        fit = [n for n, room in free.items() if room >= min(width, SIZE)]
        gang = width >= SIZE
        if gang:
            fit = [n for n in fit if free[n] == SIZE]
        if len(fit) < count:
            break
        nodes = r.permutation(fit)[:count].tolist()
        for n in nodes:
            free[n] -= SIZE if gang else width
        begun = int(r.integers(-500, 0)) * S
        rows.append([len(wide), begun, int(r.random() < 0.3), len(nodes), *nodes])
        wide.append(width)
    for _ in range(5):
        wide.append(int(r.integers(1, 3 * SIZE)))
    n = len(wide)
    asks = {
        "submit_ns": np.zeros(n, np.int64),
        "need_ns": r.integers(100, 900, n) * S,
        "walltime_ns": np.full(n, 1000 * S),
        "accelerators": np.array(wide, np.int32),
        "priority": r.integers(0, 8, n).astype(np.int8),
        "group": r.integers(0, 5, n).astype(np.int8),
        "tenant": r.integers(0, 3, n).astype(np.int16),
    }
    return rows, asks, r.permutation(NODES).tolist()


def loaded(rows: list[list[int]], asks: dict[str, Any], nodes: list[int]) -> Pool:
    spec = PoolSpec(NODES, SIZE, 100_000, 20, (1, 2, 3, 0, 4), 3, 6, 900, rules=RULES)
    pool = Pool(spec, origin_ns=0, end_ns=0, **asks)
    pool.set_groups(np.full(8, 128), np.full(8, 700_000))
    running = sorted((row for row in rows if not row[2]), key=lambda row: (row[1], row[0]))
    order = [*running, *(row for row in rows if row[2])]
    words = [word for row in order for word in row]
    pool.load(np.array(words, np.int64), len(order), np.array(nodes, np.int64))
    return pool


@settings(max_examples=examples(40))
@given(seed=st.integers(0, 10**6), budget=st.one_of(st.none(), st.integers(5, 40)))
def test_every_array_of_a_pool_laid_out_is_what_its_jobs_say(seed: int, budget: int | None) -> None:
    rows, asks, nodes = found(np.random.default_rng(seed))
    pool = loaded(rows, asks, nodes)
    recount(pool)
    for j, begun, paused, _, *held in rows:
        job = pool.state.job[j]
        assert job["state"] == (JobState.PAUSED if paused else JobState.RUNNING)
        assert paused or job["start"] == begun
        on = [
            n for n in range(NODES) if j == pool.state.node[n]["owner"] or j in pool.state.slots[n]
        ]
        assert sorted(on) == sorted(held)
    pool.set_budget(None if budget is None else budget * 1_000_000)
    recount(pool)
    pool.advance(600 * S)
    recount(pool)


def test_a_job_without_nodes_takes_some_or_waits() -> None:
    r = np.random.default_rng(0)
    rows, asks, nodes = found(r)
    waiting = len(asks["need_ns"]) - 1
    asks["accelerators"][waiting] = SIZE * NODES
    pool = loaded([], asks, nodes)
    pool = loaded([[waiting, 0, 0, 0]], asks, nodes)
    assert pool.state.job[waiting]["state"] == JobState.RUNNING
    pool = loaded([*rows, [waiting, 0, 0, 0]], asks, nodes)
    assert pool.state.job[waiting]["state"] == JobState.QUEUED


def test_reasons_of_all_are_those_of_each() -> None:
    rows, asks, nodes = found(np.random.default_rng(5))
    pool = loaded(rows, asks, nodes)
    pool.set_budget(6_000_000)
    pool.note_reasons()
    waiting = pool.waiting().tolist()
    assert waiting
    for j in waiting:
        why, node = pool.why(j)
        assert (Why(int(pool.state.job[j]["why"])), int(pool.state.job[j]["why_node"])) == (
            why,
            node,
        )


def test_what_is_nobodys_victim_is_no_guest_of_a_block_either() -> None:
    """A job in another tenant's block gives its place up, unless its class may never be moved."""
    for kept in (False, True):
        runtime = np.zeros(8, np.int64)
        runtime[1] = NEVER if kept else 0
        rules = Rules(
            parent=(-1, 0, 0),
            nominal=(0, 8, 40),
            lend=(0, 8, 40),
            cap=(48, 48, 48),
            weight=(1.0,) * 3,
            tenant_node=(1, 2),
            blocks=((0, 0, 1),),
            runtime_min_ns=runtime,
        )
        asks = {
            "submit_ns": np.zeros(2, np.int64),
            "need_ns": np.full(2, 900 * S),
            "walltime_ns": np.full(2, 1000 * S),
            "accelerators": np.array([48, 8], np.int32),
            "priority": np.full(2, 3, np.int8),
            "group": np.array([1, 0], np.int8),
            "tenant": np.array([1, 0], np.int16),
        }
        pool = Pool(
            PoolSpec(NODES, SIZE, 100_000, 20, (0, 2, 3, 4), 3, 6, 900, rules=rules),
            origin_ns=0, end_ns=0, **asks,
        )  # fmt: skip
        pool.set_groups(np.full(8, 128), np.full(8, 700_000))
        row = [0, -100 * S, 0, NODES, *range(NODES)]
        pool.load(np.array(row, np.int64), 1, np.arange(NODES))
        pool.set_budget(None)
        pool.advance(1)
        assert pool.state.job[0]["state"] == (JobState.RUNNING if kept else JobState.QUEUED)
