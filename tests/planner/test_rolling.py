"""A plan made again on rings is the plan of the same window solved by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from gigafactory.planner import DayInput, EnergyPlanner, GroupShape, SiteShape
from gigafactory.planner.own import Own
from gigafactory.planner.rolling import COARSE, FINE, RollingPlanner, Window
from gigafactory.planner.shape import Horizon
from gigafactory.planner.solving import LineSolver

Array = npt.NDArray[np.float64]

SHAPE = SiteShape(
    groups=(
        GroupShape("research", (0.6, 0.8, 1.0), (300.0, 500.0, 1000.0), 0.4),
        GroupShape("realtime", (0.999, 1.0), (800.0, 801.0), 5.0),
    ),
    battery_mw=0.4,
    battery_mwh=1.0,
    charge_efficiency=0.95,
    discharge_efficiency=0.94,
    wear_eur_per_mwh=8.0,
    contracts=1,
    contract_price_eur_per_mwh=(60.0,),
    contract_curtail_eur_per_mwh=(20.0,),
    levy_eur_per_mwh=4.0,
    export_margin_eur_per_mwh=1.0,
    site_per_it=1.1,
    generators=1,
    peaks=True,
)


def input_of(window: Window, seed: int, periods: int = 24) -> DayInput:
    """Anything at all, over the steps of a window."""
    random = np.random.default_rng(seed)
    n = len(window.hours)
    price = random.normal(70.0, 60.0, n)
    return DayInput(
        periods=periods,
        hours=window.hours,
        price_eur_per_mwh=price,
        limit_mw=random.uniform(0.8, 2.0, n),
        export_mw=0.5,
        offset_mw=random.uniform(0.05, 0.2, n),
        rest_mw=np.full(n, 0.3),
        capacity=np.full(n, 1000.0),
        contract_mw=random.uniform(0.0, 0.6, (1, n)),
        soc_mwh=float(random.uniform(0.0, 1.0)),
        arrivals_gpu_h=random.uniform(0.0, 600.0, (2, n)) * window.hours,
        position_mw=random.uniform(-0.2, 1.0, n),
        spread_eur_per_mwh=np.full(n, 3.0),
        offered=True,
        generators=Own(
            most_mw=random.uniform(0.0, 0.2, (1, n)),
            least_mw=np.zeros((1, n)),
            cost_eur_per_mwh=np.full((1, n), 90.0),
            unit_min_mw=np.array([0.02]),
            start_eur=np.array([1.0]),
            runs=np.array([False]),
            weather=np.array([False]),
        ),
        peak_eur_per_mw=40.0,
        peak_mw=1.0,
        other_month=window.firsts() >= window.begin + 20,
    )


def alone(rolling: RollingPlanner, window: Window, x: DayInput) -> float:
    """Objective of the same steps as a line, solved from nothing."""
    months = (window.firsts() >= window.begin + 20).astype(np.int64)
    solver = LineSolver([rolling.planner.shape], Horizon.line(window.hours, month=months))
    numbers = rolling.numbers(x)
    # on a line a step has the peak row of its own month alone
    numbers.peak_row = np.zeros(len(months), np.int64)
    found = solver.solve([numbers])
    assert found is not None
    return found.objective_eur


@pytest.mark.parametrize("begin", [1, 2, 3, 4, 23, 24, 95, 97, 4000])
def test_a_window_reaches_over_quarters_to_a_full_hour_and_hours_behind(begin: int) -> None:
    window = RollingPlanner(EnergyPlanner(SHAPE)).window(begin)
    short = len(window.hours) - COARSE
    assert FINE - 3 <= short <= FINE
    assert (begin + short) % 4 == 0
    assert np.array_equal(window.firsts()[:short], begin + np.arange(short))
    assert np.array_equal(window.firsts()[short:], begin + short + 4 * np.arange(COARSE))
    values = np.arange(window.periods, dtype=np.float64)
    assert window.means(values)[short] == short + 1.5
    assert window.most(values)[short] == short + 3.0
    assert float(window.means(values) @ window.hours) == pytest.approx(values.sum() / 4)


def test_planning_on_is_as_good_as_planning_from_nothing() -> None:
    """Step after step, every number new at each: the optimum is that of the window alone."""
    rolling = RollingPlanner(EnergyPlanner(SHAPE))
    for k in range(40):
        window = rolling.window(90 + k)
        x = input_of(window, k)
        plan = rolling.plan(window, x)
        assert plan is not None
        assert plan.objective_eur == pytest.approx(alone(rolling, window, x), rel=1e-9)


def test_a_plan_keeps_to_what_there_is() -> None:
    rolling = RollingPlanner(EnergyPlanner(SHAPE))
    window = rolling.window(5)
    x = input_of(window, 3, periods=60)
    plan = rolling.plan(window, x)
    assert plan is not None
    assert plan.charge_mw.shape == (60,)
    assert plan.running.shape == (2, 60)
    assert (plan.charge_mw <= SHAPE.battery_mw + 1e-9).all()
    gained = plan.charge_mw * 0.95 - plan.discharge_mw / 0.94
    level = x.soc_mwh + 0.25 * np.cumsum(gained)
    assert level.min() > -1e-7
    assert level.max() < SHAPE.battery_mwh + 1e-7
    # in the hours every quarter does what its hour does
    short = len(window.hours) - COARSE
    hours = plan.charge_mw[short:][: (60 - short) // 4 * 4].reshape(-1, 4)
    assert np.array_equal(hours, np.repeat(hours[:, :1], 4, axis=1))
    # what is traded is what is needed beside what stands
    quarters = np.rint(window.hours * 4).astype(int)
    position = x.position_mw.repeat(quarters)[:60]
    assert np.array_equal(plan.day_ahead_mw, position)
    taken = (plan.contract_share * x.contract_mw.repeat(quarters, axis=1)[:, :60]).sum(axis=0)
    needed = plan.import_mw - plan.export_mw - taken
    assert np.allclose(plan.intraday_mw, needed - position, atol=1e-7)


def test_work_that_fits_is_not_put_off() -> None:
    """However dear the first hours are: the plan of the day has decided about that."""
    rolling = RollingPlanner(EnergyPlanner(replace(SHAPE, battery_mw=0.0, battery_mwh=0.0)))
    window = rolling.window(8)
    n = len(window.hours)
    x = replace(
        input_of(window, 4),
        price_eur_per_mwh=np.where(np.arange(n) < 8, 2000.0, 1.0),
        arrivals_gpu_h=np.full((2, n), 300.0) * window.hours,
        limit_mw=np.full(n, 3.0),
        contract_mw=np.zeros((1, n)),
    )
    plan = rolling.plan(window, x)
    assert plan is not None
    work_mw = 300.0 * (1000.0 + 801.0) / 1e6
    assert plan.it_mw == pytest.approx(0.3 + work_mw)
    # the planner of days would put it off
    hours = rolling.planner.numbers(x, months=2)
    assert np.isinf(hours.backlog_most).all()
    # what does not fit has to wait, and may
    tight = replace(x, limit_mw=np.where(np.arange(n) < 8, 0.8, 3.0))
    plan = rolling.plan(window, tight)
    assert plan is not None
    assert plan.it_mw[:8].max() < 0.3 + work_mw - 0.05


def test_after_forgetting_a_plan_depends_on_its_own_numbers_alone() -> None:
    one, other = RollingPlanner(EnergyPlanner(SHAPE)), RollingPlanner(EnergyPlanner(SHAPE))
    for k in range(5):
        one.plan(one.window(k + 1), input_of(one.window(k + 1), k))
    one.forget()
    window = one.window(50)
    first, second = one.plan(window, input_of(window, 9)), other.plan(window, input_of(window, 9))
    assert first is not None
    assert second is not None
    assert first.charge_mw.tobytes() == second.charge_mw.tobytes()
    assert first.objective_eur == second.objective_eur


def test_without_sense_there_is_no_plan_and_the_next_one_is_sound() -> None:
    rolling = RollingPlanner(EnergyPlanner(SHAPE))
    window = rolling.window(9)
    good = input_of(window, 1)
    bad = replace(good, limit_mw=np.where(np.arange(len(window.hours)) == 7, np.nan, 1.5))
    assert rolling.plan(window, good) is not None
    assert rolling.plan(window, bad) is None
    after = rolling.plan(window, good)
    assert after is not None
    assert after.objective_eur == pytest.approx(alone(rolling, window, good), rel=1e-9)


def test_a_plan_followed_by_another() -> None:
    rolling = RollingPlanner(EnergyPlanner(SHAPE))
    first = rolling.plan(rolling.window(4), input_of(rolling.window(4), 1, periods=40))
    second = rolling.plan(rolling.window(14), input_of(rolling.window(14), 2, periods=30))
    assert first is not None
    assert second is not None
    joined = first.followed_by(10, second)
    assert np.array_equal(joined.charge_mw[:10], first.charge_mw[:10])
    assert np.array_equal(joined.charge_mw[10:], second.charge_mw)
    assert joined.speed.shape == (2, 40)
    assert joined.generator_mw.shape == (1, 40)
