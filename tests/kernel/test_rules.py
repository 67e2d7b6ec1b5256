"""Every rule at once, at random: all counts hold, no promise is broken, and every job ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_rules import ORIGIN, Case, S, kernel_of, random_case
from recount import recount

from gigafactory.kernel import Kind, Pool, Records
from gigafactory.kernel.state import NEVER, JobState
from tests.effort import examples

OPENS = (Kind.START, Kind.BACKFILL, Kind.RESUME)
H = 3600 * S


class Followed:
    """Writes down every job's accelerators by hand, and checks each event as it goes."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.pool = kernel_of(case)
        self.budget = case.budget
        self.open: dict[int, tuple[int, int, int]] = {}
        self.ended: set[int] = set()
        self.used = np.zeros(8, np.int64)
        self.energy = np.zeros(8, np.int64)
        self.read_used = np.zeros(8, np.int64)
        self.read_energy = np.zeros(8, np.int64)
        self.kinds: dict[int, int] = {}

    def advance(self, dt: int) -> None:
        self.write_down(self.pool.advance(self.pool.t_ns + dt))
        recount(self.pool)

    def write_down(self, records: Records) -> None:
        case = self.case
        rows = zip(
            records.kind.tolist(), records.job.tolist(), records.t_ns.tolist(),
            records.energy1_uwh.tolist(), records.width.tolist(), strict=True,
        )  # fmt: skip
        for kind, j, t, energy, width in rows:
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
            if kind in OPENS:
                assert j not in self.open
                assert j not in self.ended
                assert t >= case.jobs["submit"][j]
                least = case.jobs["least"][j] or case.jobs["accelerators"][j]
                assert least <= width <= case.jobs["accelerators"][j]
                self.open[j] = (t, energy, width)
                active = sum(w for _, _, w in self.open.values())
                assert active <= case.accelerators, "an accelerator is given twice"
                continue
            since, before, wide = self.open.pop(j)
            assert wide == width
            g = case.jobs["group"][j]
            self.used[g] += width * (t - since)
            self.energy[g] += width * (energy - before)
            if kind in (Kind.FINISH, Kind.LIMIT):
                self.ended.add(j)
        reading = self.pool.read()
        self.read_used += reading.groups.used_ns
        self.read_energy += reading.groups.used_uwh
        assert np.all(reading.groups.failed_ns >= 0)
        assert np.all(reading.groups.preempted_ns >= 0)
        assert np.all(reading.quotas[:, 1] <= reading.quotas[:, 0])

    def settle(self) -> None:
        """Let all work end: every admissible job does, and what was metered is what was used."""
        pool = self.pool
        pool.hold(np.zeros(8, np.int64))
        pool.set_service(self.case.nodes)
        pool.set_groups(np.full(8, 128), np.array(self.case.power))
        pool.set_budget(None)
        jobs = self.case.jobs
        longest = int((np.minimum(jobs["need"], jobs["estimate"])).sum()) * 2 + 400 * H
        until = max(pool.t_ns, int(jobs["submit"][-1])) + longest
        while len(self.ended) < len(jobs["submit"]):
            assert pool.t_ns < until, f"jobs {self.waiting()} never end"
            pool.turn()
            self.write_down(pool.advance(pool.t_ns + 6 * H))
        recount(pool)
        assert not self.open
        assert self.used.tolist() == self.read_used.tolist()
        assert self.energy.tolist() == self.read_energy.tolist()

    def waiting(self) -> list[int]:
        return np.flatnonzero(self.pool.state.job["state"] != int(JobState.DONE)).tolist()


def shake(pool: Pool, followed: Followed, r: np.random.Generator) -> None:
    """One thing told from outside: power, speed, nodes, classes held, a new period."""
    case = followed.case
    what = int(r.integers(0, 6))
    if what == 0:
        top = case.accelerators * max(case.power)
        followed.budget = None if r.random() < 0.3 else int(top * r.uniform(0.0, 1.1))
        pool.set_budget(followed.budget)
    elif what == 1:
        power = np.array(case.power)
        speed = r.integers(64, 129, 8)
        pool.set_groups(speed, 300_000 + (power - 300_000) * speed // 128)
        pool.set_budget(followed.budget)
    elif what == 2:
        pool.set_service(int(r.integers(0, case.nodes + 1)))
        pool.set_budget(followed.budget)
    elif what == 3:
        pool.hold(np.where(r.random(8) < 0.3, r.choice([H // 2, 4 * H, NEVER], 8), 0))
        pool.set_budget(followed.budget)
    else:
        pool.turn()


def follow(seed: int, jobs: int, steps: int) -> dict[int, int]:
    followed = Followed(random_case(seed, jobs))
    r = np.random.default_rng(seed)
    span = int(followed.case.jobs["submit"][-1]) - ORIGIN
    for _ in range(steps):
        followed.advance(int(r.exponential(span / steps)) + 1)
        shake(followed.pool, followed, r)
        recount(followed.pool)
    followed.settle()
    return followed.kinds


@settings(max_examples=examples(8), deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_count_and_every_promise_holds(seed: int) -> None:
    follow(seed, 60, 25)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_count_and_every_promise_holds_at_length(seed: int) -> None:
    follow(seed, 120, 40)


def everything(seed: int, jobs: int, always: bool) -> list[tuple[int, ...]]:
    case = random_case(seed, jobs)
    pool = kernel_of(case)
    pool.state.v["always"] = always
    told: list[tuple[int, ...]] = []
    until = int(case.jobs["submit"][-1]) + 12 * H
    while pool.t_ns < until:
        pool.turn()
        r = pool.advance(pool.t_ns + 900 * S)
        told += zip(r.kind.tolist(), r.job.tolist(), r.t_ns.tolist(), r.width.tolist(), strict=True)
    return told


@pytest.mark.parametrize("seed", range(15))
def test_a_pass_that_is_left_out_would_have_changed_nothing(seed: int) -> None:
    assert everything(seed, 300, always=False) == everything(seed, 300, always=True)


# of one and a half thousand seeds, the first in which a pass left out once changed something: a
# claim lost its right to one that began behind it, a closed cap let the pass look deeper, ...
@pytest.mark.parametrize("seed", [52, 71, 146, 180, 183, 238, 266, 292, 340, 393])
def test_a_pass_that_is_left_out_would_have_changed_nothing_in_a_long_queue(seed: int) -> None:
    assert everything(seed, 2000, always=False) == everything(seed, 2000, always=True)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 300, 100))
def test_a_pass_that_is_left_out_would_have_changed_nothing_in_long_queues(first: int) -> None:
    for seed in range(first, first + 100):
        assert everything(seed, 2000, always=False) == everything(seed, 2000, always=True), seed


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_pass_that_is_left_out_would_have_changed_nothing_at_length(seed: int) -> None:
    assert everything(seed, 400, always=False) == everything(seed, 400, always=True)


@pytest.mark.slow
def test_the_random_cases_reach_every_kind_of_event() -> None:
    seen: set[int] = set()
    for seed in (*range(10), 15, 98):
        seen |= set(follow(seed, 150, 10))
    assert seen == {int(k) for k in Kind}
