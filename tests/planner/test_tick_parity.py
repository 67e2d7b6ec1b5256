"""The gate, built anew at every tick, against the twin, which remembers: the same decisions.

Twice: tick by tick on what the twin itself shows, so that every single decision is compared; and
over whole traces through a manager of its own, so that differences would add up.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tick_cases import random_case
from tick_manager import TinyManager, works_of
from tick_twin import BEFORE, ORIGIN, TICK, Case, Twin

from gigafactory.kernel import JobState
from gigafactory.planner.tick import Gate, TickDecision
from tests.effort import examples

PARTS = ("requeues", "pauses", "resumes", "starts", "holds", "waits", "draw_kw")


def differ(got: TickDecision, want: TickDecision) -> list[str]:
    return [part for part in PARTS if getattr(got, part) != getattr(want, part)]


def each_tick(case: Case, *, touched: bool = True) -> Counter[str]:
    """Ask the gate at every tick of the twin what the twin is about to do; count the answers.

    Left out are ticks that begin while a job claims nodes: one that made others leave and still
    does not fit has the first right to what comes free. The twin remembers that, the gate looks
    again.
    """
    twin, gate, seen = Twin(case), Gate(case.plan), Counter[str]()
    for k, budget_kw in enumerate(case.budgets_kw):
        t = ORIGIN + k * TICK
        twin.go_to(t)
        claimed = int(twin.pool.state.v["claims"][0]) > 0
        got = gate.decide(
            twin.snapshot(),
            t,
            budget_kw=budget_kw,
            speeds=case.speeds,
            paused_before=twin.paused_before(),
            usage=case.usage,
            touched_before=twin.touched_before() if touched else {},
        )
        want = twin.decide(budget_kw)
        seen["ticks"] += 1
        seen["claimed"] += claimed
        wrong = differ(got, want)
        if wrong and not claimed:
            seen["wrong"] += 1
            assert not touched, (
                f"tick {k}: {[(p, getattr(got, p), getattr(want, p)) for p in wrong]}"
            )
        seen.update({part: len(getattr(want, part)) for part in PARTS[:4]})
    return seen


@pytest.mark.slow
@settings(max_examples=examples(60, ci=20))
@given(
    seed=st.integers(0, 10**6),
    ruled=st.booleans(),
    elastic=st.booleans(),
    slow=st.booleans(),
    limits=st.booleans(),
)
def test_what_is_built_anew_decides_as_what_remembers(
    seed: int, ruled: bool, elastic: bool, slow: bool, limits: bool
) -> None:
    each_tick(
        random_case(seed, jobs=40, ticks=24, ruled=ruled, elastic=elastic, slow=slow, limits=limits)
    )


@pytest.mark.slow
def test_every_kind_of_decision_is_compared() -> None:
    total = Counter[str]()
    for seed in range(20):
        total += each_tick(random_case(seed, jobs=80, elastic=seed % 2 == 0))
    assert total["starts"] > 800
    assert min(total[part] for part in ("pauses", "resumes", "requeues")) > 10
    assert total["claimed"] < 0.02 * total["ticks"]


@pytest.mark.slow
def test_without_the_order_of_nodes_only_ties_differ() -> None:
    """Where nobody tells which node changed last, another of two equal nodes may be shared."""
    total = Counter[str]()
    for seed in range(20):
        total += each_tick(random_case(seed, jobs=80), touched=False)
    assert total["wrong"] < 0.02 * total["ticks"]


# --- whole traces -------------------------------------------------------------------------------


def whole_trace(case: Case) -> tuple[Counter[str], int, list[str]]:
    """Run the twin, and the gate on a manager of its own, and compare until a job claims.

    Beside claims the twin remembers one thing that no decision says: a job paused and let go on at
    one instant is the youngest of its class from then on. The manager is told.

    Returns what was decided, at how many ticks both agreed, and what differed first.
    """
    case.plan = replace(case.plan, span_rate=1024)  # the manager runs every gang at full speed
    twin, gate = Twin(case), Gate(case.plan)
    manager = TinyManager(case.plan, works_of(case), int(case.plan.checkpoint_ns[0]))
    seen = Counter[str]()
    for k, budget_kw in enumerate(case.budgets_kw):
        t = ORIGIN + k * TICK
        twin.go_to(t)
        manager.go_to(t)
        if twin.pool.state.v["claims"][0]:
            return seen, k, []
        got = gate.decide(
            manager.snapshot(t),
            t,
            budget_kw=budget_kw,
            paused_before=manager.paused_before(),
            usage=case.usage,
            touched_before=manager.touched_before(),
        )
        wrong = differ(got, twin.decide(budget_kw))
        if wrong:
            return seen, k, wrong
        manager.act(got, t)
        for job in twin.undone:
            manager.renew(job, t)
        seen.update({part: len(getattr(got, part)) for part in PARTS[:4]})
    seen["ended"] = len(manager.ended)
    return seen, len(case.budgets_kw), []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 11, 13])
def test_a_trace_of_300_jobs_with_limits_is_the_same_to_the_last_decision(seed: int) -> None:
    seen, ticks, wrong = whole_trace(random_case(seed, jobs=300, nodes=48, size=8, ticks=160))
    assert (ticks, wrong) == (160, [])
    assert seen["starts"] > 270
    assert seen["pauses"] == seen["resumes"] > 0
    assert seen["requeues"] > 5


def test_few_ticks_of_one_pool_are_decided_alike() -> None:
    assert each_tick(random_case(7, jobs=40, ticks=24))["starts"] > 10


def test_a_limit_takes_the_same_victims_and_gives_them_back() -> None:
    seen, ticks, wrong = whole_trace(random_case(3, jobs=80, ticks=60))
    assert (ticks, wrong) == (60, [])
    assert seen["pauses"] == seen["resumes"] > 0


@pytest.mark.slow
@settings(max_examples=examples(40, ci=20))
@given(seed=st.integers(0, 10**6), ruled=st.booleans())
def test_differences_never_add_up(seed: int, ruled: bool) -> None:
    _, _, wrong = whole_trace(random_case(seed, jobs=50, ticks=30, ruled=ruled))
    assert wrong == []


# --- a twin let loose ---------------------------------------------------------------------------


def loose(seed: int, *, ruled: bool) -> tuple[int, int]:
    """Run a twin as a simulation does, on no tick of ours, until it and the gate part.

    It decides the moment work ends or comes, in one pass; what that pass makes possible waits for
    the next event. The gate passes until nothing is left to do. So all that the twin does at an
    instant is the beginning of what the gate does.

    Returns at how many ticks they agreed, and how much was begun there.
    """
    case = random_case(seed, jobs=80, ticks=50, ruled=ruled, limits=False)
    case.plan = replace(case.plan, span_rate=1024)
    for column in ("submit_ns", "need_ns", "walltime_ns"):
        case.jobs[column] = case.jobs[column] + BEFORE  # on the ticks themselves
    twin, gate, begun = Twin(case), Gate(case.plan), 0
    twin.hold(False)
    twin.pool.set_budget(None)
    manager = TinyManager(case.plan, works_of(case), int(case.plan.checkpoint_ns[0]))
    for k in range(len(case.budgets_kw)):
        t = ORIGIN + k * TICK
        before = twin.pool.state.job["state"].copy()
        before[before == JobState.FUTURE] = JobState.QUEUED
        some = twin.pool.advance(t + 1)
        manager.go_to(t + 1)
        if twin.pool.state.v["claims"][0]:
            return k, begun
        notes = list(zip(some.job.tolist(), some.kind.tolist(), strict=True))
        want = twin.net(before, twin.pool.state.job["state"].copy(), notes)
        got = gate.decide(
            manager.snapshot(t),
            t,
            budget_kw=None,
            usage=case.usage,
            touched_before=manager.touched_before(),
        )
        for ours, theirs in ((got.starts, want["starts"]), (got.requeues, want["requeues"])):
            assert ours[: len(theirs)] == theirs, f"tick {k}"
        if (got.starts, got.requeues) != (want["starts"], want["requeues"]):
            return k, begun
        begun += len(got.starts)
        manager.act(got, t)
    return len(case.budgets_kw), begun


@pytest.mark.slow
def test_a_twin_let_loose_does_the_beginning_of_what_the_gate_does() -> None:
    plain = [loose(seed, ruled=False) for seed in range(20)]
    ruled = [loose(seed, ruled=True) for seed in range(20)]
    assert sum(ticks for ticks, _ in plain) > 0.8 * 50 * len(plain)
    assert sum(ticks for ticks, _ in ruled) > 0.5 * 50 * len(ruled)
    assert sum(begun for _, begun in plain + ruled) > 1500
