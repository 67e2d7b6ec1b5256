"""The oracle itself, on cases small enough to work out by hand (4 nodes of 8 accelerators)."""

from __future__ import annotations

from typing import Any

import pytest
from reference import Job, Reference, Setup

S = 1_000_000_000
M = 60 * S
FREE = 10**9
TWO_TENANTS: dict[str, Any] = {
    "parent": [-1, 0, 0],
    "nominal": [0, 16, 16],
    "lend": [0, 16, 16],
    "cap": [FREE] * 3,
    "weight": [1.0] * 3,
    "tenant_node": [1, 2],
}


def setup(**changes: Any) -> Setup:
    plain: dict[str, Any] = {
        "nodes": 4,
        "node_size": 8,
        "depth": 100,
        "idle": 100,
        "origin": 0,
        "speed": [128] * 8,
        "power": [500] * 8,
        "budget": None,
        "rack_nodes": 4,
        "pod_nodes": 4,
        "efficiency": list(range(1025)),
        "victims": list(range(8)),
        "parent": [-1, 0],
        "nominal": [0, 0],
        "lend": [0, 0],
        "cap": [FREE, FREE],
        "weight": [1.0, 1.0],
        "tenant_node": [1],
        "promised": 32,
        "fair_share": False,
        "half_life_ns": 3600 * S,
        "preempt_within": False,
        "min_runtime": [0] * 8,
        "grace": [M] * 8,
        "save_cost": [30 * S] * 8,
        "checkpoint": [10 * M] * 8,
        "restart": [2 * M] * 8,
        "faults": [],
        "urgent": [],
    }
    return Setup(**{**plain, **changes})


def job(number: int, submit: int, need: int, accelerators: int = 8, **more: Any) -> Job:
    given: dict[str, Any] = {"estimate": need, "priority": 3, "group": 0, **more}
    return Job(number, submit, need, accelerators=accelerators, **given)


def run(jobs: list[Job], until: int = 1000 * M, **changes: Any) -> Reference:
    reference = Reference(setup(**changes), jobs)
    reference.advance(until)
    return reference


def at(reference: Reference, *kinds: str) -> list[tuple[str, int, float]]:
    """Events of these kinds, in minutes."""
    return [(kind, n, t / M) for kind, n, t, _ in reference.events if kind in kinds]


@pytest.mark.parametrize(("length", "kind", "minute"), [(9, "BACKFILL", 1), (10, "START", 30)])
def test_a_backfilled_job_is_over_by_the_shadow(length: int, kind: str, minute: int) -> None:
    running, head = job(0, 0, 10 * M, 24), job(1, 0, 20 * M, 32)
    got = run([running, head, job(2, M, length * M)])
    assert at(got, kind)[-1] == (kind, 2, minute)
    assert ("START", 1, 10) in at(got, "START")


def test_a_small_job_beside_one_that_stays_takes_nothing_of_the_extra() -> None:
    stays, running = job(0, 0, 90 * M, 4), job(1, 0, 10 * M, 24)
    got = run([stays, running, job(2, M, 20 * M, 24), job(3, M, 50 * M, 4)])
    assert at(got, "BACKFILL") == [("BACKFILL", 3, 1)]
    # Alone on an empty node it would take from an extra of one node, which is there.
    got = run([job(1, 0, 10 * M, 24), job(2, M, 20 * M, 24), job(3, M, 50 * M, 4)])
    assert at(got, "BACKFILL") == [("BACKFILL", 3, 1)]


def test_a_limited_job_ends_at_its_walltime_on_the_slowed_clock() -> None:
    got = run([job(0, 0, 20 * M, estimate=10 * M)], speed=[64] * 8)
    assert got.events == [("START", 0, 0, 8), ("LIMIT", 0, 20 * M, 8)]


def test_a_wide_job_closes_its_cap() -> None:
    jobs = [job(0, 0, 10 * M), job(1, M, M, 16), job(2, 2 * M, M), job(3, 2 * M, M, tenant=1)]
    got = run(jobs, until=3 * M, **{**TWO_TENANTS, "cap": [FREE, 16, FREE]})
    assert at(got, "START", "BACKFILL") == [("START", 0, 0), ("START", 3, 2)]
    assert got.why_blocked(jobs[1]) == {"cap"}
    assert got.why_blocked(jobs[2]) == {"order"}
    got.advance(1000 * M)
    assert at(got, "START")[2:] == [("START", 1, 10), ("START", 2, 11)]


def test_what_is_not_lent_stays_empty() -> None:
    jobs = [job(n, 0, 10 * M, tenant=1) for n in range(4)]
    got = run(jobs, until=M, **{**TWO_TENANTS, "lend": [0, 8, 16]})
    assert [n for _, n, _ in at(got, "START")] == [0, 1, 2]
    # Eight of the owner's are kept; nothing fits behind a head that holds no estimate either.
    assert got.why_blocked(jobs[3]) == {"quota"}


def borrowers(length: int = 100) -> list[Job]:
    return [job(n, 0, length * M, tenant=1) for n in range(4)]


def test_reclaim_gives_grace_and_keeps_what_was_saved() -> None:
    got = run([*borrowers(), job(9, 25 * M, 10 * M)], **TWO_TENANTS)
    assert at(got, "NOTICE", "PREEMPT") == [("NOTICE", 3, 25), ("PREEMPT", 3, 26)]
    assert at(got, "START")[4:] == [("START", 9, 26), ("START", 3, 36)]
    # 100 less the 25.5 it had done when saving began, and 2 of restart.
    assert at(got, "FINISH")[-1] == ("FINISH", 3, 36 + 74.5 + 2)


def test_grace_too_short_to_save_costs_the_work_since_the_checkpoint() -> None:
    got = run([*borrowers(), job(9, 25 * M, 10 * M)], **TWO_TENANTS, save_cost=[2 * M] * 8)
    assert at(got, "FINISH")[-1] == ("FINISH", 3, 36 + 80 + 2)


def test_nobody_is_taken_below_his_own_quota() -> None:
    jobs = [*borrowers(), job(8, 20 * M, 50 * M, 16), job(9, 21 * M, 50 * M, 8)]
    got = run(jobs, until=90 * M, **TWO_TENANTS)
    assert at(got, "NOTICE") == [("NOTICE", 3, 20), ("NOTICE", 2, 20)]
    assert ("START", 8, 21) in at(got, "START")


def test_min_runtime_protects_and_the_tenant_looks_again_a_minute_later() -> None:
    # Every arrival is a pass; that of 9 looks in vain, the next ones are too soon to look again.
    late = [job(n, t * S, M, 32, tenant=1) for n, t in ((10, 1500), (11, 1530), (12, 1560))]
    jobs = [*borrowers(), job(9, 1499 * S, 10 * M), *late]
    got = run(jobs, **TWO_TENANTS, min_runtime=[25 * M] * 8)
    assert at(got, "NOTICE") == [("NOTICE", 3, 26)]


@pytest.mark.parametrize(("size", "noticed"), [(2, [3]), (3, [])])
def test_a_small_job_takes_one_that_leaves_room(size: int, noticed: list[int]) -> None:
    small = [job(n, 0, 100 * M, 2, tenant=1) for n in range(4)]
    quotas = {**TWO_TENANTS, "nominal": [0, 4, 4], "lend": [0, 4, 4], "promised": 8}
    got = run([*small, job(9, M, M, size)], until=50 * M, nodes=1, **quotas)
    # Not even the whole node for the one of 3: two of the four are no longer borrowed.
    assert [n for _, n, _ in at(got, "NOTICE")] == noticed


@pytest.mark.parametrize(("allowed", "noticed"), [(True, [("NOTICE", 1, 1)]), (False, [])])
def test_priority_makes_way_inside_a_tenant(allowed: bool, noticed: list[object]) -> None:
    running = [job(n, 0, 100 * M, priority=1 if n < 2 else 3) for n in range(4)]
    got = run([*running, job(9, M, M, priority=2)], preempt_within=allowed)
    assert at(got, "NOTICE") == noticed
    assert (("START", 9, 2) in at(got, "START")) is allowed


def test_a_right_of_the_group_is_enough() -> None:
    tree: dict[str, Any] = {
        "parent": [-1, 0, 0, 1, 1, 2],
        "nominal": [0, 16, 16, 0, 16, 16],
        "lend": [0, 16, 16, 0, 16, 16],
        "cap": [FREE] * 6,
        "weight": [1.0] * 6,
        "tenant_node": [3, 5, 4],
    }
    got = run([*borrowers(), job(9, 25 * M, 10 * M)], **tree)
    assert at(got, "NOTICE") == [("NOTICE", 3, 25)]
    # Once the group itself uses its quota, its poor tenant has no right.
    own = [job(n, 0, 100 * M, tenant=2) for n in (4, 5)]
    got = run([*borrowers()[:2], *own, job(9, 25 * M, 10 * M)], **tree)
    assert at(got, "NOTICE") == []


def test_gangs_keep_to_racks_then_pods_and_span_costs() -> None:
    jobs = [job(0, 0, 90 * M), job(1, 0, 90 * M, 16), job(2, 0, 90 * M), job(3, 0, 9 * M, 16)]
    got = run(jobs, until=M, nodes=6, rack_nodes=2, pod_nodes=4, span_rate=512)
    # Nodes 4 and 5 are the last pod; 1 is alone in its rack, which is the fullest.
    assert [j.nodes for j in jobs] == [[0], [2, 3], [1], [4, 5]]
    jobs = [job(0, 0, 90 * M, 16), job(1, 0, 10 * M, 32)]
    got = run(jobs, nodes=6, rack_nodes=2, pod_nodes=4, span_rate=512)
    assert got.events[2:3] == [("FINISH", 1, 20 * M, 32)]


def test_a_room_is_set_aside_for_a_required_rack() -> None:
    first = [job(0, 0, 10 * M), job(1, 0, M), job(2, 0, 90 * M)]
    head = job(3, M, 5 * M, 16, level=1)
    jobs = [*first, head, job(4, M, 90 * M), job(5, M, 90 * M)]
    got = run(jobs, until=2 * M, rack_nodes=2)
    # Empty are 1 and 3; rack 0 is kept, so one of the later jobs gets node 3, the other none.
    assert (jobs[4].nodes, jobs[5].nodes) == ([3], [])
    assert "nodes" in got.why_blocked(jobs[5])
    got.advance(1000 * M)
    assert ("START", 3, 10) in at(got, "START")
    assert ("FINISH", 3, 15) in at(got, "FINISH")


def test_a_head_without_a_rack_is_explained_by_its_level() -> None:
    jobs = [job(0, 0, 10 * M), job(1, 0, M), job(2, 0, 90 * M), job(3, M, 5 * M, 16, level=1)]
    got = run(jobs, until=2 * M, rack_nodes=2)
    assert got.why_blocked(jobs[3]) == {"level"}


def test_a_required_rack_is_reclaimed_whole() -> None:
    ordered = [job(n, 0, 100 * M, tenant=1) for n in range(4)]
    got = run([*ordered, job(9, M, 9 * M, 16, level=1)], rack_nodes=2, **TWO_TENANTS)
    assert at(got, "NOTICE") == [("NOTICE", 0, 1), ("NOTICE", 1, 1)]
    assert ("START", 9, 2) in at(got, "START")


def test_a_failure_rolls_back_to_the_checkpoint() -> None:
    got = run([job(0, 0, 60 * M, 32)], faults=[(25 * M, 2, 1), (35 * M, 2, -1)])
    assert at(got, "FAIL", "START") == [("START", 0, 0), ("FAIL", 0, 25), ("START", 0, 35)]
    assert at(got, "FINISH") == [("FINISH", 0, 35 + 40 + 2)]


def test_an_elastic_job_starts_narrow_and_grows() -> None:
    got = run([job(0, 0, 10 * M, 16), job(1, 0, 60 * M, 32, nodes_min=2)], until=20 * M)
    assert got.events[:2] == [("START", 0, 0, 16), ("START", 1, 0, 16)]
    got.turn()
    got.advance(1000 * M)
    # Twenty minutes at half speed are ten of its work.
    grown = [("GROW", 1, 20 * M, 16), ("START", 1, 20 * M, 32), ("FINISH", 1, 70 * M, 32)]
    assert got.events[3:] == grown


def test_an_urgent_job_goes_first() -> None:
    jobs = [job(0, 0, 10 * M, 32), job(1, M, M, 32, priority=5), job(2, 2 * M, M, 32)]
    got = run(jobs, urgent=[(3 * M, 2)])
    assert at(got, "START")[1:] == [("START", 2, 10), ("START", 1, 11)]


def test_the_tenant_that_used_least_goes_first() -> None:
    jobs = [job(0, 0, 10 * M, 32), job(1, M, M, 32), job(2, 2 * M, M, 32, tenant=1)]
    got = run(jobs, until=5 * M, **TWO_TENANTS, fair_share=True)
    got.turn()
    got.advance(100 * M)
    assert at(got, "START")[1:] == [("START", 2, 10), ("START", 1, 11)]


def test_short_power_pauses_the_last_started_and_nothing_starts_until_it_resumes() -> None:
    jobs = [job(0, 0, 10 * M), job(1, M, 10 * M), job(2, 5 * M, M)]
    got = run(jobs, until=4 * M)
    got.set_budget(32 * 100 + 8 * 400)
    got.advance(6 * M)
    got.set_budget(None)
    got.advance(100 * M)
    assert at(got, "PAUSE", "RESUME") == [("PAUSE", 1, 4), ("RESUME", 1, 6)]
    assert ("START", 2, 6) in at(got, "START")
    assert ("FINISH", 1, 13) in at(got, "FINISH")
