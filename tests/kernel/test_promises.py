"""What the scheduler promises, each promise by itself: lent capacity returns, shortfalls are shared
by quota, fair share converges, and nobody waits for ever."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_rules import IDLE, ORIGIN, S, kernel_of, random_case

from gigafactory.kernel import FULL_SPEED, Kind, Pool, PoolSpec, Rules

H = 3600 * S
NODES, SIZE = 16, 4
GRACE_S = 120


def two_tenants(jobs: list[tuple[int, int, int, int]], level: int = 0, **changes: object) -> Pool:
    """Two tenants with half the pool each; a job is (submit s, need s, accelerators, tenant).

    The gangs of the first one must lie at `level`.
    """
    rows = np.array(sorted(jobs), np.int64).reshape(-1, 4)
    half = NODES * SIZE // 2
    rules = Rules(
        parent=(-1, 0, 0),
        nominal=(0, half, half),
        lend=(0, half, half),
        cap=(0, 2 * half, 2 * half),
        weight=(1.0, 1.0, 3.0),
        tenant_node=(1, 2),
        grace_ns=np.full(8, GRACE_S * S),
        save_ns=np.full(8, 10 * S),
    )
    pool = Pool(
        PoolSpec(NODES, SIZE, IDLE, 100, (0, 1, 2, 3, 4), rules=replace(rules, **changes)),
        origin_ns=ORIGIN,
        end_ns=ORIGIN + 400 * 24 * H,
        submit_ns=ORIGIN + rows[:, 0] * S,
        need_ns=rows[:, 1] * S,
        walltime_ns=rows[:, 1] * S,
        accelerators=rows[:, 2].astype(np.int32),
        priority=np.zeros(len(rows), np.int8),
        group=np.zeros(len(rows), np.int8),
        tenant=rows[:, 3].astype(np.int16),
        level=np.where(rows[:, 3] == 0, level, 0).astype(np.int8),
    )
    pool.set_service(NODES)
    pool.set_groups(np.full(8, FULL_SPEED), np.full(8, 700_000), np.full(8, 600 * S))
    pool.set_budget(None)
    return pool


BORROWED = st.lists(
    st.tuples(st.integers(0, 1000), st.integers(3600, 90_000), st.sampled_from([4, 8, 12, 16])),
    min_size=20,
    max_size=80,
)
OWN = st.lists(st.tuples(st.integers(2000, 9000), st.sampled_from([4, 8, 12])), max_size=6)


@settings(max_examples=30, deadline=None)
@given(BORROWED, OWN)
def test_lent_capacity_returns_within_the_grace(
    borrowed: list[tuple[int, int, int]], own: list[tuple[int, int]]
) -> None:
    """Whatever the other tenant runs, what is within one's own quota starts after the grace."""
    kept, room = [], NODES * SIZE // 2
    for submit, size in sorted(own):
        if size <= room:
            room -= size
            kept.append((submit, 90_000, size, 0))
    pool = two_tenants([(s, n, a, 1) for s, n, a in borrowed] + kept)
    tenant, submit = pool.state.ask["tenant"], pool.state.job["submit"]
    starts: dict[int, int] = {}
    r = pool.advance(ORIGIN + 12_000 * S)
    for kind, job, t in zip(r.kind, r.job, r.t_ns, strict=True):
        if kind in (Kind.START, Kind.BACKFILL):
            starts.setdefault(int(job), int(t))
    for j in np.flatnonzero(tenant == 0).tolist():
        assert j in starts, "what is promised does not start"
        # a second look comes a minute after one in vain
        assert starts[j] - submit[j] <= (GRACE_S + 60) * S
    assert not np.any((r.kind == Kind.PREEMPT) & (tenant[r.job] == 0)), "a guarantee is undercut"


def started(pool: Pool, until_s: int) -> dict[int, int]:
    """Seconds after the beginning at which each job first started."""
    starts: dict[int, int] = {}
    while pool.t_ns < ORIGIN + until_s * S:
        pool.turn()
        r = pool.advance(pool.t_ns + 900 * S)
        for kind, job, t in zip(r.kind.tolist(), r.job.tolist(), r.t_ns.tolist(), strict=True):
            if kind in (Kind.START, Kind.BACKFILL):
                starts.setdefault(job, (t - ORIGIN) // S)
    return starts


#: One job of three on each of ten nodes, within its tenant's half: only six nodes are empty.
SPREAD = [(0, 90_000, 3, 1)] * 10
HALF = (100, 90_000, NODES * SIZE // 2, 0)


def test_a_count_alone_does_not_place_a_gang_and_a_block_does() -> None:
    assert 10 not in started(two_tenants([*SPREAD, HALF]), 80_000)
    pool = two_tenants([*SPREAD, HALF], blocks=((0, 0, 1),))
    assert started(pool, 2000)[10] <= 100 + GRACE_S
    again = two_tenants([*SPREAD, HALF], level=1, blocks=((0, 0, 1),))
    assert started(again, 2000)[10] <= 100 + GRACE_S


GUESTS = st.lists(
    st.tuples(st.integers(0, 8000), st.integers(60, 90_000), st.sampled_from([1, 2, 3, 4, 7, 16])),
    min_size=10,
    max_size=90,
)


@settings(max_examples=40, deadline=None)
@given(GUESTS, st.integers(1, 8000), st.integers(0, 2), st.booleans())
def test_a_block_is_there_within_the_grace_whatever_the_others_run(
    guests: list[tuple[int, int, int]], at: int, level: int, long_protected: bool
) -> None:
    """A reserved block can really be placed, though others run within their own quota on it."""
    rest = NODES * SIZE // 2
    pool = two_tenants(
        [(s, n, a, 1) for s, n, a in guests] + [(at, 1000, rest, 0)],
        level=level,
        blocks=((0, 0, 1),),
        # others never get more than their own quota: nothing here is borrowed
        cap=(0, 2 * rest, rest),
        runtime_min_ns=np.full(8, (7200 if long_protected else 0) * S),
    )
    mine = int(np.flatnonzero(pool.state.ask["tenant"] == 0)[0])
    assert started(pool, 9000)[mine] <= at + GRACE_S


def test_small_jobs_are_moved_together_for_a_gang_that_lacks_nodes() -> None:
    """Three on four nodes come to lie on fewer, and lose nothing but saving and starting again."""
    wide = (100, 900, 14 * SIZE, 0)
    small = [(0, 90_000, 1, 1), (0, 60, 3, 1)] * 4
    apart = two_tenants([*small, wide], lend=(0, 32, 32))
    assert 8 not in started(apart, 80_000)
    pool = two_tenants([*small, wide], together=True, restart_ns=np.full(8, 30 * S))
    assert started(pool, 4000)[8] <= 1800
    pool.advance(ORIGIN + 95_000 * S)
    read = pool.read().groups
    assert read.failed_ns.sum() + read.preempted_ns.sum() + read.lost_ns.sum() == 0
    assert 0 < read.restart_ns.sum() <= 4 * 40 * S
    assert np.all(pool.state.job["state"] == 4), "all of them end"


@pytest.mark.parametrize("left", [4, 8, 12])
def test_a_shortfall_is_shared_by_quota_and_counted(left: int) -> None:
    jobs = [(0, 90_000, SIZE, q) for q in (0, 1) for _ in range(NODES)]
    pool = two_tenants(jobs, nominal=(0, 16, 48), lend=(0, 16, 48))
    pool.advance(ORIGIN + 600 * S)
    pool.set_service(left)
    pool.set_budget(None)
    pool.read()
    pool.advance(ORIGIN + 4200 * S)
    effective = pool.state.quota["effective"][1:]
    assert effective.tolist() == [16 * left // NODES, 48 * left // NODES]
    held = pool.read().quotas[1:, 0] / (3600 * S)
    assert held == pytest.approx(effective, abs=SIZE)
    pool.read()
    pool.advance(ORIGIN + 7800 * S)
    held, _, short = pool.read().quotas[1:].T / (3600 * S)
    assert held + short == pytest.approx([16, 48]), "what is promised is had or counted as short"


def test_fair_share_converges_to_the_weights() -> None:
    """Both ask without end and own nothing: what they had of the pool comes to one to three."""
    jobs = [(0, 900 + 60 * (i % 7), SIZE, i % 2) for i in range(9000)]
    pool = two_tenants(
        jobs, nominal=(0, 0, 0), lend=(0, 0, 0), fair_share=True, half_life_ns=24 * H
    )
    shares = []
    for _ in range(96 * 4):
        pool.turn()
        pool.advance(pool.t_ns + 900 * S)
        shares.append(pool.read().quotas[1:, 0])
    late = np.sum(shares[len(shares) // 2 :], axis=0)
    assert late[0] / late.sum() == pytest.approx(0.25, abs=0.02)
    assert late.sum() > 0.97 * NODES * SIZE * 48 * H


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_after_arrivals_stop_a_job_starts_within_the_estimates_before_it(seed: int) -> None:
    """First come, first served: at worst one after the other, each for all of its estimate."""
    case = replace(
        random_case(seed, 60),
        faults=[],
        fair_share=False,
        preempt_within=False,
        budget=None,
    )
    case.nominal[:] = [0] * len(case.nominal)
    case.lend[:] = [0] * len(case.lend)
    pool = kernel_of(case)
    longest = case.jobs["estimate"].astype(object) * 128 // min(case.speed) * 1024
    longest = longest // min(case.span_rate, 300) + 60 * S
    last = int(case.jobs["submit"][-1])
    before = 0
    seen: set[int] = set()
    while len(seen) < len(longest):
        r = pool.advance(pool.t_ns + 24 * H)
        assert len(r) or pool.t_ns < last + 2 * int(longest.sum()), "a job never starts"
        for kind, job, t in zip(r.kind, r.job.tolist(), r.t_ns.tolist(), strict=True):
            if kind in (Kind.START, Kind.BACKFILL):
                assert t <= last + before, f"job {job} waits longer than all that went before"
                before += int(longest[job])
                seen.add(job)
