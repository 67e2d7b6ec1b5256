"""A demand-response event: by hand, by brute force, and what may never happen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from gigafactory.planner.event import (
    MODES,
    WHOLE_GANGS,
    Event,
    EventJob,
    EventPlan,
    Size,
    concave_hull,
    lowest_kw,
    plan_event,
)
from gigafactory.planner.eventprogram import LIMIT, RAMP
from tests.effort import examples

INF = math.inf


def job(name: str = "a", **changes: object) -> EventJob:
    """A thousand accelerators of 200 W; the first half of the power gives 60 % of the speed."""
    plain = EventJob(name, 1000, (100.0, 200.0), (0.6, 1.0), tolerance=0.5, weight=1.0)
    return replace(plain, **changes)  # type: ignore[arg-type]


def rigid(name: str, **changes: object) -> EventJob:
    """A job that caps hardly slow: it can only be paused. 100 kW."""
    own = {"power_w": (99.9, 100.0), "speed": (0.999, 1.0), "may_pause": True}
    return job(name, **(own | changes))


# --- by hand ----------------------------------------------------------------------------------


def test_a_cap_is_read_off_the_curve() -> None:
    plan = plan_event([job()], Event((150.0,) * 10))
    assert plan.conflict == ()
    assert plan.total_kw == pytest.approx(np.full(10, 150.0))
    assert plan.by_job == pytest.approx([0.8])
    assert plan.cap_w == pytest.approx(np.full((1, 10), 150.0))
    assert plan.used_share == pytest.approx([0.4])
    assert plan.working.tolist() == [[1000] * 10]


def test_power_goes_where_it_does_most() -> None:
    # b gains 0.2 per 100 kW where a gains 0.4: b is capped first, a only when b is at its lowest
    b = job("b", speed=(0.8, 1.0))
    plan = plan_event([job(), b], Event((350.0,) * 5 + (250.0,) * 5))
    assert plan.speed[:, 0] == pytest.approx([1.0, 0.9])
    assert plan.speed[:, -1] == pytest.approx([0.8, 0.8])
    assert plan.performance == pytest.approx((0.9 + 0.85) / 2)


def test_a_heavy_job_is_spared() -> None:
    plan = plan_event([job(), job("b", weight=2.0)], Event((300.0,)))
    assert plan.by_job == pytest.approx([0.6, 1.0])


def test_a_contract_is_of_the_mean_over_the_window() -> None:
    # 0.9 in the mean: 1.0 while power is there pays for 0.8 when it is not
    plan = plan_event([job(tolerance=0.1)], Event((200.0,) * 5 + (150.0,) * 5))
    assert plan.conflict == ()
    assert plan.by_job == pytest.approx([0.9])


def test_two_jobs_pause_in_turns() -> None:
    cost = {"checkpoint_min": 1.0, "restart_min": 2.0, "tolerance": 0.56}
    jobs = [rigid("a", **cost), rigid("b", **cost)]
    event = Event((100.0,) * 60, turn_min=30)
    assert plan_event(jobs, event).conflict == (LIMIT,), "both at their lowest cap draw twice it"
    plan = plan_event(jobs, event, "pausing")
    assert plan.conflict == ()
    # each works one turn of two and pays three minutes of sixty
    assert plan.by_job == pytest.approx([0.45, 0.45])
    assert (plan.paused.sum(axis=0) == 1).all()
    assert plan.minutes_above() == 0
    assert np.isnan(plan.cap_w).sum() == 60


def test_accelerators_at_rest_draw_power() -> None:
    jobs = [rigid("a", idle_w=20.0), rigid("b", idle_w=20.0)]
    plan = plan_event(jobs, Event((120.0,) * 60, turn_min=30), "pausing")
    assert plan.conflict == ()
    assert plan.total_kw == pytest.approx(np.full(60, 120.0))
    tight = plan_event(jobs, Event((119.0,) * 60, turn_min=30), "pausing")
    assert tight.conflict != ()


def test_a_smaller_gang_does_better_than_a_slow_one() -> None:
    # half of the accelerators do 0.55 at 100 kW; all of them at their lowest need 100 kW for 0.5
    one = job(speed=(0.5, 1.0), sizes=(Size(500, 0.55),), restart_min=1.0)
    event = Event((100.0,) * 100, turn_min=100)
    assert plan_event([one], event).performance == pytest.approx(0.5)
    plan = plan_event([one], event, "resizing")
    assert plan.performance == pytest.approx(0.55 - 1.0 / 100.0)
    assert plan.working[0, 0] == 500


def test_many_gangs_take_turns() -> None:
    # one of four at rest all the time: each 30 of 120 minutes, five entries of three minutes each
    jobs = [rigid("a", gangs=4, restart_min=3.0, tolerance=0.31)]
    plan = plan_event(jobs, Event((300.0,) * 120, turn_min=30), "pausing")
    assert plan.conflict == ()
    assert plan.paused.max() == plan.paused.min() == 1
    assert plan.performance == pytest.approx(0.75 - 5 * 3 / 4 / 120)
    # those at rest at both ends lose it twice: 0.25 + 6 / 120 must be tolerated
    poor = [replace(jobs[0], tolerance=0.29)]
    assert plan_event(poor, Event((300.0,) * 120, turn_min=30), "pausing").conflict != ()


def test_no_more_gangs_pause_than_may() -> None:
    jobs = [rigid("a", gangs=10, tolerance=0.9, pause_share=0.29)]
    assert lowest_kw(jobs, 100, "pausing", turn_min=10) == pytest.approx(8 * 99.9)


def test_the_lowest_power_keeps_every_contract() -> None:
    assert lowest_kw([job(tolerance=0.2)], 60) == pytest.approx(150.0)
    assert lowest_kw([job(tolerance=0.5)], 60) == pytest.approx(100.0)


def test_the_ramp_is_kept_and_taken_back_in_reverse() -> None:
    jobs = [job(), job("b", speed=(0.8, 1.0))]
    event = Event((250.0,) * 3, 5, 5, 40.0, 40.0)
    plan = plan_event(jobs, event)
    # 400 kW before; 250 in the first minute of the window needs 290, 330 and 370 before it
    assert plan.total_kw[:5] == pytest.approx([400.0, 400.0, 370.0, 330.0, 290.0])
    assert plan.minute.tolist() == list(range(-5, 8))
    assert plan.power_kw == pytest.approx(plan.power_kw[:, ::-1])
    assert plan.power_kw[1, :5] == pytest.approx([200.0, 200.0, 170.0, 130.0, 100.0])


# --- conflicts --------------------------------------------------------------------------------


def test_a_conflict_names_who_cannot_all_be_kept() -> None:
    jobs = [job("free", tolerance=1.0), job("bound", tolerance=0.1)]
    plan = plan_event(jobs, Event((250.0,) * 5))
    assert set(plan.conflict) == {"bound", LIMIT}
    assert plan.minutes_above() == 0, "the limit is exceeded last"
    assert plan.exceeded == {"bound": pytest.approx(0.1)}


def test_what_was_promised_least_is_broken_first() -> None:
    jobs = [job("much", tolerance=0.1), job("little", tolerance=0.2)]
    plan = plan_event(jobs, Event((300.0,) * 5))
    assert set(plan.exceeded) == {"little"}
    assert plan.by_job == pytest.approx([0.9, 0.7])


def test_the_limit_is_exceeded_when_nothing_else_is_left() -> None:
    plan = plan_event([job()], Event((90.0,) * 5))
    assert plan.exceeded == {LIMIT: pytest.approx(10.0)}
    assert plan.minutes_above() == 5


def test_a_ramp_too_slow_for_the_notice_is_named() -> None:
    plan = plan_event([job()], Event((150.0,) * 5, notice_min=1, fall_kw_per_min=10.0))
    assert set(plan.conflict) == {RAMP, LIMIT}
    assert set(plan.exceeded) == {RAMP}
    assert plan.minutes_above() == 0


def test_gangs_that_would_fit_if_split_are_named() -> None:
    # half of one gang would have to rest all the time
    jobs = [rigid("a", gangs=2, tolerance=0.3)]
    plan = plan_event(jobs, Event((150.0,) * 100, turn_min=10), "pausing")
    assert plan.conflict == (WHOLE_GANGS,)


# --- what may be given ------------------------------------------------------------------------


def test_a_hull_keeps_what_is_worth_running_at() -> None:
    watts, speed = concave_hull([100, 200, 300, 400, 350], [1.0, 1.5, 3.0, 4.0, 2.0])
    assert watts == (100, 400)
    assert speed == (0.25, 1.0)
    assert concave_hull([1, 2, 3], [0.4, 0.8, 1.0], floor=0.6) == ((1.5, 2, 3), (0.6, 0.8, 1.0))
    with pytest.raises(ValueError, match="two points"):
        concave_hull([1, 2], [1.0, 1.0])


@pytest.mark.parametrize(
    "changes",
    [
        {"power_w": (100.0,)},
        {"power_w": (200.0, 100.0)},
        {"speed": (0.5, 0.9)},
        {"power_w": (100.0, 150.0, 200.0), "speed": (0.1, 0.2, 1.0)},
        {"tolerance": 1.5},
        {"weight": 0.0},
        {"weight": math.nan},
        {"idle_w": 150.0},
        {"gangs": 0},
        {"sizes": (Size(1000, 1.0),)},
    ],
)
def test_a_job_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="job a:"):
        job(**changes)


@pytest.mark.parametrize(
    "given_",
    [
        {"limit_kw": ()},
        {"limit_kw": (math.nan,)},
        {"limit_kw": (1.0,), "notice_min": -1},
        {"limit_kw": (1.0,), "turn_min": 0},
        {"limit_kw": (1.0,), "fall_kw_per_min": 0.0},
    ],
)
def test_an_event_that_makes_no_sense_is_refused(given_: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (which one is of no interest)
        Event(**given_)  # type: ignore[arg-type]


# --- by brute force ---------------------------------------------------------------------------


def standings(one: EventJob, mode: str) -> list[tuple[int, float]]:
    """Accelerators at work and throughput at full power, of each way a gang may stand."""
    found = [(one.accelerators, 1.0)]
    if mode != "caps" and one.may_pause:
        found.append((0, 0.0))
    if mode == "resizing":
        found += [(s.accelerators, s.speed) for s in one.sizes]
    return found


def dense(terms: Iterable[tuple[int, float]], columns: int) -> np.ndarray:
    line = np.zeros(columns)
    for column, value in terms:
        line[column] += value
    return line


def best_of(jobs: Sequence[EventJob], event: Event, mode: str, slots: int) -> float | None:
    """The most work of any schedule: each tried, its caps as weights of the curve's corners."""
    minutes = len(event.limit_kw) // slots
    ways = [standings(one, mode) for one in jobs]
    schedules = itertools.product(
        *(itertools.product(range(len(way)), repeat=slots) for way in ways)
    )
    found: list[float] = []
    for schedule in schedules:
        columns, costs = 0, []
        power: list[list[tuple[int, float]]] = [[] for _ in range(slots)]
        base = [0.0] * slots
        one_of, speed_of = [], []
        lost = []
        for one, way, plan in zip(jobs, ways, schedule, strict=True):
            speeds: list[tuple[int, float]] = []
            for s, at in enumerate(plan):
                work, worth = way[at]
                base[s] += (one.accelerators - work) * one.idle_w / 1000.0
                own = []
                for p, v in zip(one.power_w, one.speed, strict=True):
                    power[s].append((columns, work * p / 1000.0))
                    speeds.append((columns, worth * v * minutes))
                    costs.append(-one.weight * worth * v * minutes)
                    own.append(columns)
                    columns += 1
                one_of.append(own)
            changes = sum(at != 0 and (s == 0 or plan[s - 1] != at) for s, at in enumerate(plan))
            lost.append(changes * (one.checkpoint_min + one.restart_min))
            speed_of.append(speeds)
        rows = [dense(power[s], columns) for s in range(slots)]
        most = [event.limit_kw[s * minutes] - base[s] for s in range(slots)]
        for one, speeds, cost in zip(jobs, speed_of, lost, strict=True):
            least = (1.0 - one.tolerance) * minutes * slots
            rows.append(-dense(speeds, columns))
            most.append(-least - cost)
        ones = np.zeros((len(one_of), columns))
        for i, own in enumerate(one_of):
            ones[i, own] = 1.0
        done = linprog(costs, np.array(rows), most, ones, np.ones(len(one_of)))
        if done.status == 0:
            paid = sum(one.weight * cost for one, cost in zip(jobs, lost, strict=True))
            found.append(-done.fun - paid)
    return max(found, default=None)  # type: ignore[type-var]


@st.composite
def small_jobs(draw: st.DrawFn) -> list[EventJob]:
    """One to three jobs of a gang each."""
    number = st.floats(0.05, 1.0)
    jobs = []
    for name in "abc"[: draw(st.integers(1, 3))]:
        watts = sorted(draw(st.sets(st.integers(50, 400), min_size=3, max_size=3)))
        gains = sorted((draw(number), draw(number)), reverse=True)
        low = draw(st.floats(0.0, 0.5))
        steps = [g * (b - a) for g, (a, b) in zip(gains, itertools.pairwise(watts), strict=True)]
        rise = (1.0 - low) / sum(steps)
        speed = (low, low + steps[0] * rise, 1.0)
        jobs.append(
            EventJob(
                name,
                accelerators=draw(st.integers(2, 60)),
                power_w=tuple(map(float, watts)),
                speed=speed,
                tolerance=draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])),
                weight=draw(st.sampled_from([0.5, 1.0, 3.0])),
                idle_w=draw(st.sampled_from([0.0, 30.0])),
                may_pause=draw(st.booleans()),
                checkpoint_min=1.0,
                restart_min=draw(st.sampled_from([0.0, 2.0])),
            )
        )
    return [
        replace(one, sizes=(Size(one.accelerators // 2, 0.55),)) if one.may_pause else one
        for one in jobs
    ]


@settings(max_examples=examples(30))
@given(jobs=small_jobs(), depths=st.tuples(*[st.floats(0.3, 1.0)] * 2))
def test_no_schedule_does_more(jobs: list[EventJob], depths: tuple[float, float]) -> None:
    full_kw = sum(one.full_kw for one in jobs)
    limit = tuple(full_kw * depth for depth in depths for _ in range(20))
    event = Event(limit, turn_min=20)
    for mode in MODES:
        most = best_of(jobs, event, mode, 2)
        plan = plan_event(jobs, event, mode, nodes_max=2000)
        if most is None:
            assert plan.conflict != ()
        elif plan.conflict == ():
            assert plan.work <= most * (1 + 1e-6) + 1e-6
            assert plan.work >= most * (1 - 2e-4) - 1e-6
        else:  # only where a contract is kept by a hair
            widened = [replace(one, tolerance=max(0.0, one.tolerance - 1e-6)) for one in jobs]
            tighter = replace(event, limit_kw=tuple(x * (1 - 1e-6) for x in limit))
            assert best_of(widened, tighter, mode, 2) is None


# --- what may never happen --------------------------------------------------------------------


def kept(plan: EventPlan, event: Event) -> None:
    """The limit, the ramps and every contract hold, or the plan says by how much not."""
    slack = plan.exceeded
    assert plan.minutes_above(slack.get(LIMIT, 0.0) + 1e-5) == 0
    before = sum(one.full_kw for one in plan.jobs)
    steps = np.diff(np.concatenate([[before], plan.total_kw]))
    assert steps.min() >= -event.fall_kw_per_min - slack.get(RAMP, 0.0) - 1e-5
    assert steps.max() <= event.rise_kw_per_min + slack.get(RAMP, 0.0) + 1e-5
    for one, done in zip(plan.jobs, plan.by_job, strict=True):
        assert done >= 1.0 - one.tolerance - slack.get(one.name, 0.0) - 1e-5
    sizes = [one.gangs * one.accelerators for one in plan.jobs]
    assert (plan.working.max(axis=1) <= sizes).all()
    assert bool(plan.exceeded) == bool(plan.conflict)


@settings(max_examples=40)
@given(
    jobs=small_jobs(),
    depths=st.lists(st.floats(0.2, 1.0), min_size=1, max_size=3),
    ramp=st.sampled_from([INF, 0.3, 0.05]),
    mode=st.sampled_from(MODES),
    gangs=st.tuples(*[st.sampled_from([1, 1, 7, 40])] * 3),
)
def test_limits_are_kept_or_told(
    jobs: list[EventJob], depths: list[float], ramp: float, mode: str, gangs: tuple[int, ...]
) -> None:
    jobs = [replace(one, gangs=n) for one, n in zip(jobs, gangs, strict=False)]
    full_kw = sum(one.full_kw for one in jobs)
    limit = tuple(full_kw * depth for depth in depths for _ in range(15))
    event = Event(limit, 4, 4, ramp * full_kw, ramp * full_kw, turn_min=15)
    plan = plan_event(jobs, event, mode, nodes_max=50)  # type: ignore[arg-type]
    kept(plan, event)
    if mode != "caps" and not plan.conflict:
        capped = plan_event(jobs, event, "caps")
        assert capped.conflict or plan.work >= capped.work * (1 - 1e-6)


@settings(max_examples=30)
@given(
    gangs=st.integers(2, 60),
    limit=st.floats(0.3, 1.0),
    tolerance=st.floats(0.1, 0.9),
    restart=st.sampled_from([0.0, 2.0, 5.0]),
)
def test_each_gang_of_many_keeps_its_contract(
    gangs: int, limit: float, tolerance: float, restart: float
) -> None:
    """The turns are played out, gang by gang, minute by minute and by the fraction of it."""
    one = job("a", gangs=gangs, may_pause=True, tolerance=tolerance, restart_min=restart)
    minutes = 120
    event = Event((one.full_kw * limit,) * minutes, turn_min=20)
    plan = plan_event([one], event, "pausing")
    if plan.conflict:
        return
    n = int(plan.paused[0, 0])
    entries = (gangs + n) / gangs * restart / minutes if n else 0.0
    running = (plan.by_job[0] + entries) * gangs / (gangs - n)
    for g in range(gangs):
        begins = minutes * g / gangs
        ends = begins + minutes * n / gangs
        twice = n > 0 and ends > minutes + 1e-9
        away = n / gangs
        lost = (1 + twice) * restart / minutes if n else 0.0
        assert running * (1.0 - away) - lost >= 1.0 - tolerance - 1e-6
        assert n == 0 or ends - begins >= 20 - 1e-9


def test_the_same_is_planned_twice() -> None:
    jobs = [rigid("a", tolerance=0.9), rigid("b", tolerance=0.9), job("c", may_pause=True)]
    event = Event((180.0,) * 60, 5, 5, 150.0, 150.0, 20)
    first, second = (plan_event(jobs, event, "pausing") for _ in range(2))
    assert np.array_equal(first.power_kw, second.power_kw)
    assert np.array_equal(first.paused, second.paused)


# --- the measured event -----------------------------------------------------------------------


@pytest.mark.data
def test_the_event_in_phoenix(data_dir: Path) -> None:
    if not (data_dir / "emerald").is_dir():
        pytest.skip("the data hold no folder emerald")
    from benchmarks.cases.demonstration import baseline_kw, bound, measured, planned
    from gigafactory.runtime.demonstration import trial_jobs

    trial = measured()
    jobs, base_kw = trial_jobs(trial), baseline_kw(trial)
    assert sum(one.full_kw for one in jobs) == pytest.approx(base_kw, rel=0.02)
    for depth, published in ((0.25, 0.899), (0.316, 0.862), (0.40, 0.799)):
        plan = planned(jobs, base_kw, depth)
        assert plan.conflict == ()
        assert plan.minutes_above() == 0
        assert int(plan.held.sum()) == 180
        assert plan.performance == pytest.approx(bound(jobs, base_kw * (1 - depth)), abs=1e-6)
        assert plan.performance == pytest.approx(published, abs=1e-3)
        assert (plan.used_share <= 1.0 + 1e-6).all()
        falls = -np.diff(plan.total_kw)
        assert falls.max() <= 2.5 + 1e-6
    weights = np.array([one.weight for one in jobs])
    reported = np.array([one.performance_share for one in trial.jobs])
    assert weights @ reported / weights.sum() == pytest.approx(0.908, abs=5e-4)
