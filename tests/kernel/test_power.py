"""Power in the kernel: budgets, pauses, throttles, nodes that leave; every array recounted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recount import recount

from gigafactory.kernel import FULL_SPEED, Kind, Pool, PoolSpec, Records
from gigafactory.kernel.state import NEVER, JobState
from tests.effort import examples

S = 1_000_000_000
H = 3600 * S
ORIGIN = 1_735_686_000 * S
IDLE = 300_000
POWER = (1_000_000, 800_000, 1_200_000, 700_000, 900_000, 0, 0, 0)
VICTIMS = (1, 2, 3, 0, 4)
CHECKPOINT = 600 * S


def pool_of(jobs: Iterable[tuple[int, ...]], nodes: int = 4, node_size: int = 8) -> Pool:
    """A pool in service; a job is (submit s, need s, accelerators, group, priority, estimate s)."""
    rows = np.array([(*j, *(0, 0, j[1])[len(j) - 3 :])[:6] for j in jobs], np.int64)
    pool = Pool(
        PoolSpec(nodes, node_size, IDLE, 50, VICTIMS),
        origin_ns=ORIGIN,
        end_ns=ORIGIN + 40 * 24 * H,
        submit_ns=ORIGIN + rows[:, 0] * S,
        need_ns=rows[:, 1] * S,
        accelerators=rows[:, 2].astype(np.int32),
        group=rows[:, 3].astype(np.int8),
        priority=rows[:, 4].astype(np.int8),
        walltime_ns=rows[:, 5] * S,
    )
    pool.set_service(nodes)
    throttle(pool, {})
    return pool


def throttle(pool: Pool, speeds: dict[int, int]) -> None:
    """Speeds of groups; power falls with the square of speed, never below idle."""
    speed = np.full(8, FULL_SPEED, np.int64)
    power = np.array(POWER, np.int64)
    for g, v in speeds.items():
        speed[g] = v
        power[g] = IDLE + (power[g] - IDLE) * v * v // FULL_SPEED**2
    pool.set_groups(speed, power, np.array([CHECKPOINT] * 4 + [0] * 4, np.int64))


def happened(records: Records) -> list[tuple[str, int, float]]:
    return [
        (Kind(k).name, int(j), (int(t) - ORIGIN) / S)
        for k, j, t in zip(records.kind, records.job, records.t_ns, strict=True)
    ]


# --- single stories --------------------------------------------------------------------------


def full(active: int, group: int = 0, nodes: int = 4) -> int:
    """Draw of a pool of eights in which so many accelerators of a group work, mW."""
    return nodes * 8 * IDLE + active * (POWER[group] - IDLE)


def test_a_falling_budget_pauses_the_youngest_first_and_a_rising_one_resumes_them() -> None:
    pool = pool_of([(0, 7200, 8), (60, 7200, 8), (120, 7200, 8)])
    pool.advance(ORIGIN + 600 * S)
    pool.read()
    assert pool.set_budget(full(16)) == full(16)
    assert happened(pool.advance(ORIGIN + 1200 * S)) == [("PAUSE", 2, 600.0)]
    reading = pool.read()
    assert reading.groups.paused_ns[0] == 8 * 600 * S
    assert reading.held_ns == 24 * 600 * S, "a paused job keeps its nodes"
    assert reading.groups.used_ns[0] == 16 * 600 * S
    pool.set_budget(full(8))
    pool.set_budget(full(16))  # the last paused comes back first
    assert happened(pool.advance(ORIGIN + 1800 * S)) == [
        ("PAUSE", 1, 1200.0),
        ("RESUME", 1, 1200.0),
    ]
    pool.set_budget(None)
    rest = happened(pool.advance(ORIGIN + 10_000 * S))
    assert rest == [
        ("RESUME", 2, 1800.0),
        ("FINISH", 0, 7200.0),
        ("FINISH", 1, 7260.0),
        ("FINISH", 2, 120.0 + 7200.0 + 1200.0),
    ]


def test_victims_go_in_the_order_of_groups_whatever_their_age() -> None:
    pool = pool_of([(0, 7200, 8, 4), (0, 7200, 8, 2), (10, 7200, 8, 1)], nodes=3)
    pool.advance(ORIGIN + 600 * S)
    rest = 3 * 8 * IDLE
    pool.set_budget(rest + 8 * (POWER[4] - IDLE))
    assert happened(pool.advance(ORIGIN + 601 * S)) == [("PAUSE", 2, 600.0), ("PAUSE", 1, 600.0)]
    recount(pool)


def test_a_gang_too_large_for_the_budget_does_not_keep_others_paused() -> None:
    pool = pool_of([(0, 7200, 8, 1), (0, 7200, 24, 0)])
    pool.advance(ORIGIN + 60 * S)
    pool.set_budget(4 * 8 * IDLE)
    pool.advance(ORIGIN + 120 * S)
    pool.set_budget(full(8, 1))
    assert happened(pool.advance(ORIGIN + 180 * S)) == [("RESUME", 0, 120.0)]
    recount(pool)
    pool.set_budget(None)
    assert happened(pool.advance(ORIGIN + 240 * S)) == [("RESUME", 1, 180.0)]
    recount(pool)


def test_nothing_new_starts_while_work_is_paused() -> None:
    pool = pool_of([(0, 7200, 8), (700, 60, 1)])
    pool.advance(ORIGIN + 600 * S)
    pool.set_budget(4 * 8 * IDLE + (POWER[0] - IDLE))  # enough for the small one, not the large
    told = happened(pool.advance(ORIGIN + 3600 * S))
    assert told == [("PAUSE", 0, 600.0)]
    pool.set_budget(None)
    assert happened(pool.advance(ORIGIN + 3601 * S)) == [
        ("RESUME", 0, 3600.0),
        ("START", 1, 3600.0),
    ]


def test_a_budget_below_rest_pauses_all_and_says_what_is_drawn() -> None:
    pool = pool_of([(0, 7200, 8), (0, 7200, 3, 1)])
    pool.advance(ORIGIN + 60 * S)
    assert pool.set_budget(1) == 4 * 8 * IDLE
    pool.advance(ORIGIN + 120 * S)
    recount(pool)


def test_evicted_work_returns_to_its_last_checkpoint_and_what_was_lost_is_counted() -> None:
    pool = pool_of([(0, 3600, 16), (100, 5000, 16)])
    pool.advance(ORIGIN + 1500 * S)
    pool.read()
    assert pool.set_service(2) == 2
    assert happened(pool.advance(ORIGIN + 3600 * S)) == [("EVICT", 1, 1500.0)]
    reading = pool.read()
    assert reading.groups.lost_ns[0] == 16 * 200 * S, "1,400 s done, 1,200 saved"
    assert reading.service_ns == 16 * 2100 * S
    recount(pool)
    told = happened(pool.advance(ORIGIN + 9000 * S))
    assert told == [
        ("FINISH", 0, 3600.0),
        ("START", 1, 3600.0),
        ("FINISH", 1, 3600.0 + 5000 - 1200),
    ]


def test_work_without_checkpoints_starts_over() -> None:
    pool = pool_of([(0, 3600, 32, 4)])
    pool.advance(ORIGIN + 1500 * S)
    pool.set_service(3)
    pool.set_service(4)
    pool.set_budget(None)
    told = happened(pool.advance(ORIGIN + 9000 * S))
    assert told == [("EVICT", 0, 1500.0), ("START", 0, 1500.0), ("FINISH", 0, 5100.0)]
    assert pool.read().groups.lost_ns[4] == 32 * 1500 * S


def test_paused_work_can_be_evicted_too() -> None:
    pool = pool_of([(0, 3600, 16), (0, 3600, 16)])
    pool.advance(ORIGIN + 700 * S)
    pool.set_budget(full(16))
    pool.advance(ORIGIN + 1400 * S)
    assert pool.set_service(1) == 1
    pool.set_budget(None)
    told = happened(pool.advance(ORIGIN + 1500 * S))
    assert [kind for kind, _, _ in told].count("EVICT") == 2
    assert pool.read().groups.lost_ns[0] == 16 * (1400 - 1200) * S + 16 * (700 - 600) * S
    recount(pool)


@dataclass
class Clock:
    """The rule of virtual time in whole numbers: after each interval the remainder is carried."""

    turned: int = 0

    def after(self, dt: int, speed: int) -> int:
        self.turned += dt * speed
        return self.turned // FULL_SPEED


@given(
    need=st.integers(1, 20_000),
    spans=st.lists(st.tuples(st.integers(1, 3_000 * S), st.integers(64, 128)), max_size=8),
)
def test_a_throttled_job_ends_at_the_first_instant_its_work_is_done(
    need: int, spans: list[tuple[int, int]]
) -> None:
    pool = pool_of([(0, need, 8)], nodes=1)
    clock, t = Clock(), 0
    finish = None
    told: list[tuple[str, int]] = []
    for dt, speed in [*spans, (6 * 24 * H, 101)]:
        throttle(pool, {0: speed})
        if finish is None:
            takes = -(-(need * S * FULL_SPEED - clock.turned) // speed)
            if takes <= dt:
                finish = t + takes
            clock.after(dt, speed)
        t += dt
        records = pool.advance(ORIGIN + t)
        moves = zip(records.kind, records.t_ns, strict=True)
        told += [(Kind(k).name, int(at) - ORIGIN) for k, at in moves]
    throttle(pool, {})
    records = pool.advance(ORIGIN + t + 1)  # an end on the very last instant
    moves = zip(records.kind, records.t_ns, strict=True)
    told += [(Kind(k).name, int(at) - ORIGIN) for k, at in moves]
    assert told == [("START", 0), ("FINISH", finish)]


# --- random ----------------------------------------------------------------------------------


@st.composite
def workloads(draw: st.DrawFn) -> tuple[int, int, list[tuple[int, ...]]]:
    nodes, size = draw(st.integers(1, 6)), draw(st.sampled_from([2, 4, 8]))
    jobs = draw(
        st.lists(
            st.tuples(
                st.integers(0, 4 * 3600),
                st.integers(1, 3 * 3600),
                st.integers(1, nodes * size),
                st.integers(0, 4),
                st.integers(0, 7),
                st.integers(60, 4 * 3600),
            ),
            min_size=1,
            max_size=40,
        )
    )
    return nodes, size, sorted(jobs, key=lambda j: j[0])


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), st.integers(1, 2 * H)),
        st.tuples(st.just("budget"), st.none() | st.floats(0.0, 1.1)),
        st.tuples(st.just("service"), st.floats(0.0, 1.0)),
        st.tuples(st.just("speed"), st.dictionaries(st.integers(0, 4), st.integers(60, 128))),
        st.tuples(
            st.just("hold"),
            st.dictionaries(st.integers(0, 4), st.sampled_from([H // 2, 3 * H, NEVER])),
        ),
    ),
    max_size=30,
)


class Followed:
    """A pool with somebody who writes down every job's accelerators and work by hand."""

    def __init__(self, case: tuple[int, int, list[tuple[int, ...]]]) -> None:
        self.nodes, self.size, self.jobs = case
        self.pool = pool_of(self.jobs, self.nodes, self.size)
        self.budget: int | None = None
        self.used = [0] * 8
        self.energy = [0] * 8
        self.used_read = [0] * 8
        self.energy_read = [0] * 8
        self.open: dict[int, tuple[int, int]] = {}
        self.ended: dict[int, int] = {}

    def step(self, what: str, how: Any) -> None:
        pool = self.pool
        top = self.nodes * self.size * max(POWER)
        if what == "advance":
            self.write_down(pool.advance(pool.t_ns + how))
        elif what == "budget":
            self.budget = None if how is None else int(how * top)
            pool.set_budget(self.budget)
        elif what == "service":
            target = round(how * self.nodes)
            assert pool.set_service(target) == target
            pool.set_budget(self.budget)
        elif what == "speed":
            throttle(pool, how)
            pool.set_budget(self.budget)
        else:
            pool.hold(np.array([how.get(g, 0) for g in range(8)]))
            pool.set_budget(self.budget)
        recount(pool)
        v = pool.state.v[0]
        if self.budget is not None and what != "advance":
            active = int(pool.state.group["running"].sum())
            assert v["draw"] <= self.budget or active == 0

    def write_down(self, records: Records) -> None:
        for k, j, t, e1 in zip(
            records.kind.tolist(),
            records.job.tolist(),
            records.t_ns.tolist(),
            records.energy1_uwh.tolist(),
            strict=True,
        ):
            _, _, accelerators, g, _, _ = self.jobs[j]
            if k in (Kind.START, Kind.BACKFILL, Kind.RESUME):
                assert j not in self.open
                assert j not in self.ended
                self.open[j] = (t, e1)
                continue
            since, e0 = self.open.pop(j)
            self.used[g] += accelerators * (t - since)
            self.energy[g] += accelerators * (e1 - e0)
            if k in (Kind.FINISH, Kind.LIMIT):
                self.ended[j] = t
        if self.budget is not None:
            v = self.pool.state.v[0]
            assert v["draw"] <= max(self.budget, v["in_service"] * self.size * IDLE)
        reading = self.pool.read()
        for g in range(8):
            self.used_read[g] += int(reading.groups.used_ns[g])
            self.energy_read[g] += int(reading.groups.used_uwh[g])

    def settle(self) -> None:
        """Let all work end, then compare what was written down with what was metered."""
        pool = self.pool
        throttle(pool, {})
        pool.hold(np.zeros(8, np.int64))
        pool.set_service(self.nodes)
        pool.set_budget(None)
        while len(self.ended) < len(self.jobs):
            assert pool.t_ns < ORIGIN + 39 * 24 * H, "some jobs never end"
            self.write_down(pool.advance(pool.t_ns + 12 * H))
        recount(pool)
        assert not self.open
        assert self.used == self.used_read
        assert self.energy == self.energy_read
        for j, (submit, need, *_, estimate) in enumerate(self.jobs):
            assert self.ended[j] >= ORIGIN + (submit + min(need, estimate)) * S


def follow(case: tuple[int, int, list[tuple[int, ...]]], steps: list[tuple[str, Any]]) -> None:
    followed = Followed(case)
    for what, how in steps:
        followed.step(what, how)
    followed.settle()


@settings(max_examples=examples(25))
@given(workloads(), STEPS)
def test_every_count_holds_after_every_step(
    case: tuple[int, int, list[tuple[int, ...]]], steps: list[tuple[str, Any]]
) -> None:
    follow(case, steps)


@pytest.mark.slow
@settings(max_examples=500)
@given(workloads(), STEPS)
def test_every_count_holds_after_every_step_at_length(
    case: tuple[int, int, list[tuple[int, ...]]], steps: list[tuple[str, Any]]
) -> None:
    follow(case, steps)


def test_a_snapshot_brings_everything_back() -> None:
    jobs = [(10 * i, 900 + 37 * i, 1 + i % 11, i % 5, i % 8, 1000) for i in range(60)]
    one, other = pool_of(jobs), pool_of(jobs)
    one.advance(ORIGIN + 500 * S)
    one.set_budget(full(12))
    one.advance(ORIGIN + 800 * S)
    other.restore(one.snapshot())
    for hour in range(12):
        told = []
        for pool in (one, other):
            pool.set_budget(full(20) if hour < 3 else None)
            told.append(happened(pool.advance(ORIGIN + (hour + 1) * H)))
        assert told[0] == told[1]
    recount(other)
    assert other.state.job["state"].tolist() == [JobState.DONE] * 60
