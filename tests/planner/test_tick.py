"""What a tick decides on what a workload manager may report, tidy or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import Phase as Phase_
from hypothesis import example, given, settings
from hypothesis import strategies as st
from recount import recount
from tick_cases import random_case
from tick_manager import TinyManager, works_of
from tick_twin import IDLE, NAMES, ORIGIN, TICK, S, by_class, plan_of, power_table

from gigafactory.jobs.ports import Action, JobView, NodeView, Phase, WorkloadSnapshot
from gigafactory.kernel import Rules
from gigafactory.planner import tick
from gigafactory.planner.poolplan import CLASSES
from gigafactory.planner.tick import Gate, TickDecision, correct
from tests.effort import examples

AT = ORIGIN + 10 * TICK
#: A report has too many parts to be made smaller in any decent time.
NO_SHRINKING = (Phase_.explicit, Phase_.reuse, Phase_.generate)
NODES, SIZE = 8, 4
#: Two tenants with half of the pool each, lent while idle, and one with nothing.
HALVES = Rules(
    parent=(-1, 0, 0, 0),
    nominal=(0, 16, 16, 0),
    lend=(0, 16, 16, 0),
    cap=(32, 32, 32, 8),
    weight=(1.0,) * 4,
    tenant_node=(1, 2, 3),
    preempt_within=True,
)
PLAN = plan_of(NODES, SIZE, HALVES, by_class(*([3600 * S] * 5)))
TOP = (power_table()[:, -1] / 1e6).tolist()  # kW of an active accelerator, by class
REST = IDLE / 1e6


def job(name: str, width: int = SIZE, **more: Any) -> JobView:
    given: dict[str, Any] = {
        "tenant": NAMES[0],
        "phase": Phase.HELD,
        "submit_ns": ORIGIN,
        "start_ns": None,
        "walltime_s": 7200.0,
        "key": f"key-{name}",
        "job_class": "research",
        "pool": "main",
        "nodes_asked": width // SIZE if width >= SIZE else 0,
        **more,
    }
    if given["phase"] in (Phase.RUNNING, Phase.PAUSED) and given["start_ns"] is None:
        given["start_ns"] = AT - 600 * S
    return JobView(job=name, accelerators=width, **given)


def running(name: str, *nodes: int, width: int | None = None, **more: Any) -> JobView:
    names = tuple(PLAN.nodes[n] for n in nodes)
    more = {"phase": Phase.RUNNING, **more}
    return job(name, len(nodes) * SIZE if width is None else width, nodes=names, **more)


def foreign(name: str, *nodes: int, width: int, **more: Any) -> JobView:
    return running(name, *nodes, width=width, ours=False, pool="", tenant="someone", **more)


def seen(*jobs: JobView, **states: dict[str, bool]) -> WorkloadSnapshot:
    nodes = [NodeView(name, "main", SIZE, **states.get(name, {})) for name in PLAN.nodes]
    return WorkloadSnapshot(AT, tuple(sorted(jobs, key=lambda v: v.job)), 32, tuple(nodes))


def decide(
    *jobs: JobView, budget_kw: float | None = None, gate: Gate | None = None, **more: Any
) -> TickDecision:
    states = more.pop("states", {})
    return (gate or Gate(PLAN)).decide(seen(*jobs, **states), AT, budget_kw=budget_kw, **more)


# --- what is waiting starts, and why it does not -----------------------------------------------


def test_what_fits_starts_in_order_of_priority_then_submission() -> None:
    late = job("a", submit_ns=ORIGIN + 5, tenant=NAMES[1])
    told = decide(job("b"), late, job("c", priority=5), job("9"), job("10"))
    assert told.starts == ("c", "9", "b", "10", "a")  # 9 comes before 10, as numbers count
    assert told.draw_kw == pytest.approx(32 * REST + 20 * (TOP[1] - REST))


def test_every_waiting_job_has_its_reason_with_the_name_of_the_quota() -> None:
    plan = replace(PLAN, rules=replace(HALVES, lend=(0, 0, 16, 0)))
    told = decide(
        running("r", 6, 7, tenant=NAMES[2]),
        job("over-cap", tenant=NAMES[2]),
        job("over-quota", 20, tenant=NAMES[1]),
        job("too-wide", 64),
        gate=Gate(plan),
    )
    assert told.waits == {"over-cap": "cap:q3", "over-quota": "quota:q2", "too-wide": "nodes"}


def test_a_guarantee_makes_borrowers_leave_and_starts_in_their_place() -> None:
    told = decide(
        running("r", 0, 1, 2, 3, tenant=NAMES[1]),
        running("borrows", 4, 5, 6, 7, tenant=NAMES[1]),
        job("mine", 8),
    )
    assert told.requeues in (("r",), ("borrows",))
    assert told.starts[0] == "mine"
    assert told.steps[0] == (Action.REQUEUE, told.requeues[0])


def test_past_use_ranks_tenants_under_fair_share() -> None:
    plan = replace(PLAN, rules=replace(HALVES, fair_share=True, cap=(32, 32, 32, 32)))
    jobs = (job("a", 32, tenant=NAMES[0]), job("b", 32, tenant=NAMES[1]))
    for usage, first in (([0.0, 5.0, 1.0, 0.0], "b"), ([0.0, 1.0, 5.0, 0.0], "a")):
        assert decide(*jobs, gate=Gate(plan), usage=usage).starts == (first,)


def test_quotas_of_the_day_stand_in_for_those_of_the_plan() -> None:
    jobs = (running("r", *range(8), tenant=NAMES[1]), job("mine", 8))
    assert decide(*jobs).starts == ("mine",)
    nothing = ((0, 0, 16, 0), (0, 0, 16, 0))
    assert decide(*jobs, quotas=nothing).starts == ()


def test_short_jobs_and_classes_can_be_held_back() -> None:
    held = [0.0, 3 * 3600.0, 0.0, 0.0, 0.0]
    told = decide(job("short"), job("other", job_class="fine_tuning"), held_s=held)
    assert told.starts == ("other",)
    assert told.waits["short"] == "held"
    told = decide(job("a"), job("b"), class_limit_kw=[None, 1.5 * SIZE * TOP[1], None, None, None])
    assert told.starts == ("a",)
    assert told.waits["b"] == "power"


# --- power ------------------------------------------------------------------------------------


def test_a_lower_budget_pauses_by_class_then_the_youngest_and_starts_nothing() -> None:
    jobs = (
        running("train", 0, 1, job_class="frontier_training"),
        running("old", 2, start_ns=AT - 900 * S),
        running("young", 3, start_ns=AT - 60 * S),
        running("tune", 4, job_class="fine_tuning"),
        job("waits"),
    )
    full = decide(*jobs[:-1]).draw_kw
    assert decide(*jobs, budget_kw=full).steps == ()
    told = decide(*jobs, budget_kw=full - 5 * (TOP[1] - REST))
    assert told.pauses == ("young", "old")
    assert told.starts == ()
    assert told.waits == {"waits": "paused"}
    assert told.draw_kw <= full - 5 * (TOP[1] - REST)


def test_paused_jobs_go_on_the_last_paused_first_by_what_is_remembered() -> None:
    jobs = [running(name, n, phase=Phase.PAUSED, frozen=True) for n, name in enumerate("abc")]
    assert decide(*jobs).resumes == ("a", "b", "c")  # without a memory: equals, highest first
    told = decide(*jobs, paused_before={"b": 0, "a": 1, "c": 2}, budget_kw=32 * REST + 5.0)
    assert told.resumes[0] == "c"


def test_a_saved_job_keeps_its_place_while_its_nodes_are_free() -> None:
    saved = running("saved", 0, 1, phase=Phase.PAUSED, ran_s=100.0)
    told = decide(saved, job("new", 8), budget_kw=32 * REST + 0.5)
    assert (told.resumes, told.starts) == ((), ())
    assert told.waits == {"new": "paused"}
    assert decide(saved, job("new")).resumes == ("saved",)


def test_a_saved_job_whose_nodes_are_gone_waits_first_in_its_turn() -> None:
    saved = running("saved", 0, 1, phase=Phase.PAUSED, ran_s=100.0, submit_ns=ORIGIN + 9)
    other = [foreign(f"x{n}", n, width=SIZE) for n in range(1, 6)]
    told = decide(saved, *other, job("new", 8))
    assert (told.resumes, told.starts) == (("saved",), ())
    assert told.steps[0] == (Action.RESUME, "saved")
    down = decide(saved, job("new", 24), states={"n000": {"up": False}})
    assert (down.resumes, down.starts) == (("saved",), ())


def test_a_released_job_counts_as_running_until_it_must_be_taken_back() -> None:
    out = job("out", 16, phase=Phase.QUEUED)
    told = decide(out, job("next", 16), job("then", 16))
    assert told.starts == ("next",)  # the released one has its nodes already
    told = decide(out, budget_kw=32 * REST + 1.0)
    assert (told.holds, told.pauses) == (("out",), ())
    told = decide(out, *(foreign(f"x{n}", n, width=SIZE) for n in range(6)))
    assert told.holds == ("out",)
    assert told.waits["out"] == "nodes"


def test_speeds_change_what_a_class_draws() -> None:
    slow = [64, 64, 64, 64, 64]
    told = decide(running("r", 0), speeds=slow)
    half = float(PLAN.power_mw[1, 64]) / 1e6
    assert told.draw_kw == pytest.approx(32 * REST + SIZE * (half - REST))


# --- nodes, and what is not ours ----------------------------------------------------------------


def test_nodes_that_take_nothing_get_nothing_and_still_draw_while_they_are_up() -> None:
    states = {
        "n000": {"draining": True},
        "n001": {"up": False},
        "n002": {"up": False, "off": True},
        "n003": {"draining": True},
    }
    told = decide(running("r", 3, width=2), job("a", 16), job("b", 2), states=states)
    assert told.starts == ("a",)  # five nodes would be one too many; b finds n003 closed
    told = decide(job("a", 20), states=states)
    assert (told.starts, told.waits) == ((), {"a": "nodes"})
    assert told.draw_kw == pytest.approx(6 * SIZE * REST)
    gate = Gate(PLAN)
    assert gate.modelled_kw(seen(**states)) == pytest.approx(6 * SIZE * REST)
    # what rests on a draining node counts against the budget too
    assert decide(job("a"), states=states, budget_kw=told.draw_kw + 1.0).starts == ()


def test_a_node_with_fewer_accelerators_than_its_fellows_takes_no_gang() -> None:
    nodes = [NodeView(name, "main", 3 if n else SIZE) for n, name in enumerate(PLAN.nodes)]
    view = WorkloadSnapshot(AT, (job("a"), job("b"), job("c", 3)), 25, tuple(nodes))
    told = Gate(PLAN).decide(view, AT, budget_kw=None)
    assert told.starts == ("a", "c")


def test_what_is_not_ours_holds_nodes_and_power_and_is_never_touched() -> None:
    jobs = (foreign("x", 0, 1, width=5), running("r", 2), job("a", 28))
    told = decide(*jobs)
    assert (told.starts, told.waits) == ((), {"a": "nodes"})
    assert told.draw_kw == pytest.approx(32 * REST + 5 * (max(TOP) - REST) + SIZE * (TOP[1] - REST))
    assert decide(*jobs, budget_kw=1.0).pauses == ("r",)
    assert Gate(PLAN).modelled_kw(seen(*jobs)) == pytest.approx(told.draw_kw)


def test_a_job_that_lies_as_no_job_should_is_counted_and_can_be_paused() -> None:
    """Four accelerators over two nodes that others share: no gang, no small job."""
    odd = running("odd", 0, 1, width=4)
    small = running("small", 0, width=2, job_class="frontier_training")
    told = decide(odd, small)
    assert told.draw_kw == pytest.approx(32 * REST + 4 * (TOP[1] - REST) + 2 * (TOP[0] - REST))
    told = decide(odd, small, budget_kw=told.draw_kw - 0.1)
    assert told.pauses == ("odd",)


def test_nothing_is_decided_on_a_manager_in_trouble() -> None:
    view = replace(seen(job("a")), trouble="the manager does not answer")
    assert Gate(PLAN).decide(view, AT, budget_kw=None) == TickDecision()


# --- properties ---------------------------------------------------------------------------------


@st.composite
def untidy(draw: st.DrawFn) -> WorkloadSnapshot:
    """Jobs in every phase on nodes in every state; nothing is given twice, little else is sure."""
    states = [
        draw(st.sampled_from(["up", "up", "up", "up", "drain", "down", "off"]))
        for _ in range(NODES)
    ]
    nodes = tuple(
        NodeView(name, "main", SIZE, up=s in ("up", "drain"), draining=s == "drain", off=s == "off")
        for name, s in zip(PLAN.nodes, states, strict=True)
    )
    free = dict.fromkeys(range(NODES), SIZE)
    jobs = []
    for k in range(draw(st.integers(0, 14))):
        ours = draw(st.integers(0, 4)) > 0
        phase = draw(st.sampled_from(list(Phase)))
        on: list[int] = []
        width = draw(st.sampled_from([1, 2, 3, 4, 8, 12, 6]))
        frozen = draw(st.booleans())
        if phase in (Phase.RUNNING, Phase.PAUSED):
            most = draw(st.integers(1, 3))
            on = [n for n in draw(st.permutations(range(NODES))) if free[n] > 0][:most]
            each = [draw(st.integers(1, free[n])) for n in on]
            width = sum(each)
            if not on:
                continue
            most_each = -(-width // len(on))
            if any(free[n] < most_each for n in on):
                continue
            if phase is Phase.RUNNING or frozen or not ours:
                for n in on:
                    free[n] -= most_each
        jobs.append(
            job(
                f"{k}",
                width,
                tenant=NAMES[draw(st.integers(0, 3))],
                phase=phase,
                ours=ours,
                pool="main" if ours else "",
                nodes=tuple(PLAN.nodes[n] for n in on),
                job_class=draw(st.sampled_from([*CLASSES, "inference", ""])),
                priority=draw(st.integers(0, 7)),
                walltime_s=float(draw(st.integers(1, 10_000))),
                submit_ns=ORIGIN + draw(st.integers(0, 3)),
                start_ns=AT - draw(st.integers(0, 5000)) * S if on else None,
                ran_s=float(draw(st.integers(0, 3000))),
                restarts=draw(st.integers(0, 1)),
                saved_ns=draw(st.sampled_from([None, AT - 5 * S])),
                frozen=frozen,
            )
        )
    return WorkloadSnapshot(AT, tuple(jobs), 32, nodes)


@contextmanager
def watched() -> Iterator[list[Any]]:
    """The pools that the gate builds, recounted before and after they decide."""
    pools: list[Any] = []
    inner = tick._settle

    def settle(pool: Any, budget_mw: int | None) -> Any:
        recount(pool)
        found = inner(pool, budget_mw)
        recount(pool)
        pools.append(pool)
        return found

    with patch.object(tick, "_settle", settle):
        yield pools


@pytest.mark.slow
@settings(max_examples=examples(150, ci=50), phases=NO_SHRINKING)
@given(
    view=untidy(),
    budget_kw=st.one_of(st.none(), st.floats(1.0, 40.0)),
    shuffle=st.randoms(use_true_random=False),
)
def test_an_untidy_report_gives_a_decision_that_holds(
    view: WorkloadSnapshot, budget_kw: float | None, shuffle: Any
) -> None:
    gate = Gate(replace(PLAN, rules=replace(HALVES, cap=(32,) * 4)))
    with watched() as pools:  # no accelerator is given twice, by every derived array
        told = gate.decide(view, AT, budget_kw=budget_kw)
    assert pools
    mixed = list(view.jobs)
    shuffle.shuffle(mixed)
    again = gate.decide(replace(view, jobs=tuple(mixed)), AT, budget_kw=budget_kw)
    assert again == told
    assert list(again.waits.items()) == list(told.waits.items())

    def those(phase: Phase) -> set[str]:
        return {v.job for v in view.jobs if v.ours and v.phase is phase}

    assert set(told.starts) <= those(Phase.HELD) | set(told.requeues)
    assert set(told.pauses) <= those(Phase.RUNNING)
    assert set(told.resumes) <= those(Phase.PAUSED)
    assert set(told.requeues) <= those(Phase.RUNNING) | those(Phase.PAUSED)
    assert set(told.holds) <= those(Phase.QUEUED)
    assert not set(told.waits) & set(told.starts)
    assert those(Phase.HELD) <= set(told.waits) | set(told.starts)
    if budget_kw is not None and told.draw_kw > budget_kw + 1e-9:
        gone = set(told.pauses) | set(told.requeues)
        assert those(Phase.RUNNING) <= gone
        assert not told.starts
        assert not told.resumes


@pytest.mark.slow
@settings(max_examples=examples(40, ci=15))
@given(seed=st.integers(0, 10**6), ruled=st.booleans())
@example(seed=17457, ruled=True)
def test_what_has_been_done_is_not_decided_again(seed: int, ruled: bool) -> None:
    case = random_case(seed, jobs=50, ticks=24, ruled=ruled)
    gate = Gate(case.plan)
    manager = TinyManager(case.plan, works_of(case), int(case.plan.checkpoint_ns[0]))
    for k, budget_kw in enumerate(case.budgets_kw):
        t = ORIGIN + k * TICK
        manager.go_to(t)
        for round_ in range(2):
            told = gate.decide(
                manager.snapshot(t),
                t,
                budget_kw=budget_kw,
                paused_before=manager.paused_before(),
                touched_before=manager.touched_before(),
            )
            assert round_ == 0 or told.steps == ()
            manager.act(told, t)


# --- the meter ----------------------------------------------------------------------------------


def test_a_budget_is_cut_for_the_worse_of_two_readings_of_a_gap() -> None:
    assert correct(None, 100.0, 200.0) is None
    assert correct(80.0, 100.0, None) == 80.0
    assert correct(80.0, 100.0, 90.0) == 80.0  # a meter that says less loosens nothing
    assert correct(80.0, 100.0, 100.4) == 80.0  # within the meter's own accuracy
    assert correct(80.0, 100.0, 110.0) == pytest.approx(70.0)  # a fixed load stays when work goes
    assert correct(200.0, 100.0, 110.0) == pytest.approx(2000 / 11)  # hungry work grows with it
    assert correct(80.0, 100.0, 200.0) == pytest.approx(60.0)  # never more than a quarter
    assert correct(80.0, 100.0, float("nan")) == 80.0
    assert correct(80.0, 0.0, 5.0) == 80.0


@given(
    budget=st.floats(1.0, 1e5),
    base=st.floats(1.0, 1e5),
    fixed=st.floats(0.0, 0.1),
    hungry=st.floats(0.0, 0.1),
)
def test_a_corrected_budget_is_kept_by_the_meter(
    budget: float, base: float, fixed: float, hungry: float
) -> None:
    """Whatever of a gap is fixed and whatever grows with work, if the bound does not bind."""
    gap = fixed * min(base, budget)
    metered = base * (1 + hungry) + gap
    told = correct(budget, base, metered)
    assert told is not None
    assert budget * 0.75 - 1e-9 <= told <= budget
    if told > budget * 0.7501 and metered > base * 1.005:
        assert told * (1 + hungry) + gap <= budget * (1 + 1e-9)


def test_no_class_is_left_without_a_place() -> None:
    assert np.array_equal(np.sort(PLAN.victims), np.arange(len(CLASSES)))
