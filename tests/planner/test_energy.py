"""The energy LP on days small enough to be worked out by hand, and on any day at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.planner import DayInput, EnergyPlanner, GroupShape, Plan, SiteShape
from gigafactory.planner.energy import DAY_STEPS, STEPS, TAIL_STEPS
from gigafactory.plant.battery import Battery, fit, step
from tests.effort import examples

Array = npt.NDArray[np.float64]

#: 1000 accelerators draw 0.3, 0.5 or 1 MW above rest at speeds 0.6, 0.8 and 1.
STEEP = GroupShape("work", (0.6, 0.8, 1.0), (300.0, 500.0, 1000.0), 5.0)
PLAIN = SiteShape(
    groups=(STEEP,),
    battery_mw=10.0,
    battery_mwh=20.0,
    charge_efficiency=0.9,
    discharge_efficiency=0.9,
    wear_eur_per_mwh=5.0,
    contracts=0,
    contract_price_eur_per_mwh=(),
    contract_curtail_eur_per_mwh=(),
    levy_eur_per_mwh=0.0,
    export_margin_eur_per_mwh=0.0,
    site_per_it=1.0,
)
BARE = replace(PLAIN, battery_mw=0.0, battery_mwh=0.0)


def day_of(shape: SiteShape, periods: int = 96, **what: object) -> DayInput:
    """A day of 50 EUR/MWh with nothing on; arrays may be given per period, the tail follows."""
    hours = np.zeros(STEPS)
    hours[:periods], hours[DAY_STEPS:] = 0.25, 1.0
    fields: dict[str, object] = {
        "periods": periods,
        "hours": hours,
        "price_eur_per_mwh": np.full(STEPS, 50.0),
        "limit_mw": np.full(STEPS, 100.0),
        "export_mw": 50.0,
        "offset_mw": np.zeros(STEPS),
        "rest_mw": np.zeros(STEPS),
        "capacity": np.full(STEPS, 1000.0),
        "contract_mw": np.zeros((shape.contracts, STEPS)),
        "soc_mwh": 0.0,
        "arrivals_gpu_h": np.zeros((len(shape.groups), STEPS)),
    }
    for name, value in what.items():
        array = np.asarray(fields[name], dtype=np.float64)
        fields[name] = np.broadcast_to(value, array.shape).copy() if array.ndim else value
    return DayInput(**fields)  # type: ignore[arg-type]


def prices(day: Array, tail: float) -> Array:
    out = np.full(STEPS, tail)
    out[: len(day)] = day
    return out


def steady(accelerators: float, periods: int = 96) -> Array:
    """Work for so many accelerators at all times, accelerator-hours per step."""
    hours = np.zeros(STEPS)
    hours[:periods], hours[DAY_STEPS:] = 0.25, 1.0
    return np.asarray(accelerators * hours)[None, :]


def cycles(plan: Plan, shape: SiteShape, soc_mwh: float = 0.0) -> Array:
    """State of charge after each period by the battery's own physics."""
    battery = Battery(
        shape.battery_mw, shape.battery_mwh, shape.charge_efficiency, shape.discharge_efficiency
    )
    course = []
    for charge, discharge in zip(plan.charge_mw, plan.discharge_mw, strict=True):
        able = fit(battery, soc_mwh, float(charge), float(discharge), 0.25)
        assert able == pytest.approx((charge, discharge), abs=1e-6)
        soc_mwh = step(battery, soc_mwh, *able, 0.25)
        course.append(soc_mwh)
    return np.array(course)


# --- by hand ---------------------------------------------------------------------------------


def test_a_battery_buys_cheap_and_sells_dear() -> None:
    price = prices(np.repeat([20.0, 120.0], 48), 70.0)  # the mean is 70
    plan = EnergyPlanner(PLAIN).plan(day_of(PLAIN, price_eur_per_mwh=price))
    assert plan.status == "optimal"
    bought, sold = plan.charge_mw * 0.25, plan.discharge_mw * 0.25
    # 20 MWh stored are 22.22 MWh bought; they give 18 MWh; keeping them is worth (70 - 5) * 0.9
    assert bought.sum() == pytest.approx(20 / 0.9)
    assert sold.sum() == pytest.approx(18.0)
    assert bought[48:].sum() == pytest.approx(0.0, abs=1e-9)
    assert sold[:48].sum() == pytest.approx(0.0, abs=1e-9)
    assert plan.objective_eur == pytest.approx(20 / 0.9 * 20 - 18 * (120 - 5))
    assert plan.import_mw == pytest.approx(plan.charge_mw)
    assert plan.export_mw == pytest.approx(plan.discharge_mw)
    assert plan.day_ahead_mw == pytest.approx(plan.charge_mw - plan.discharge_mw)
    soc = cycles(plan, PLAIN)
    assert soc.max() == pytest.approx(20.0)
    assert soc[-1] == pytest.approx(0.0, abs=1e-6)


def test_a_spread_that_does_not_pay_for_losses_and_wear_is_left_alone() -> None:
    price = prices(np.repeat([60.0, 75.0], 48), 65.0)  # 60 / 0.81 + 5 = 79 > 75
    plan = EnergyPlanner(PLAIN).plan(day_of(PLAIN, price_eur_per_mwh=price))
    assert plan.charge_mw.max() == pytest.approx(0.0, abs=1e-9)
    assert plan.objective_eur == pytest.approx(0.0, abs=1e-9)


def test_the_inverter_is_shared_and_the_power_is_its_own() -> None:
    price = prices(np.full(96, -100.0), 200.0)
    plan = EnergyPlanner(PLAIN).plan(day_of(PLAIN, price_eur_per_mwh=price, export_mw=0.0))
    assert (plan.charge_mw + plan.discharge_mw).max() <= 10.0 + 1e-6
    assert np.minimum(plan.charge_mw, plan.discharge_mw).max() == 0.0


def test_a_limit_below_the_load_throttles_along_the_curve() -> None:
    # 1000 accelerators need 1 MW at full speed and 0.5 MW at 0.8; 0.6 MW buys 0.8 + 0.1 * 0.2/0.5
    day = day_of(BARE, limit_mw=0.6, arrivals_gpu_h=steady(1000))
    plan = EnergyPlanner(BARE).plan(day)
    assert plan.status == "optimal"
    assert plan.import_mw == pytest.approx(np.full(96, 0.6))
    assert plan.running[0] == pytest.approx(np.full(96, 1000.0))
    assert plan.speed[0] == pytest.approx(np.full(96, 0.84))


def test_work_that_costs_most_to_delay_is_done_and_the_rest_gets_what_is_left() -> None:
    cheap = replace(STEEP, label="cheap", delay_eur_per_gpu_h=0.1)
    shape = replace(BARE, groups=(STEEP, cheap))
    work = np.concatenate([steady(500), steady(500)])
    # 0.65 MW turn 1000 accelerators at 0.8 + 0.15 * 0.2 / 0.5 = 0.86: the dear half whole, 360 left
    plan = EnergyPlanner(shape).plan(day_of(shape, limit_mw=0.65, arrivals_gpu_h=work))
    done = (plan.running * plan.speed * 0.25).sum(axis=1)
    assert done == pytest.approx([500 * 24, 360 * 24])


def test_rest_losses_and_offset_stand_in_the_balance() -> None:
    shape = replace(BARE, site_per_it=1.2)
    day = day_of(shape, rest_mw=3.0, offset_mw=0.7, arrivals_gpu_h=steady(1000))
    plan = EnergyPlanner(shape).plan(day)
    assert plan.it_mw == pytest.approx(np.full(96, 4.0))
    assert plan.import_mw == pytest.approx(np.full(96, 0.7 + 1.2 * 4.0))


def test_work_is_put_off_to_a_cheap_hour_only_when_that_pays() -> None:
    price = prices(np.repeat([2000.0, 10.0], 48), 10.0)
    for delay, defers in ((0.01, True), (1000.0, False)):
        group = replace(STEEP, delay_eur_per_gpu_h=delay)
        shape = replace(BARE, groups=(group,))
        work = steady(400)
        plan = EnergyPlanner(shape).plan(
            day_of(shape, price_eur_per_mwh=price, arrivals_gpu_h=work)
        )
        assert bool(plan.holds_h[0, 10] > 0) is defers
        assert plan.running[0, :48].max() == pytest.approx(0.0 if defers else 400.0, abs=1e-6)
        done = plan.running[0].sum() * 0.25
        assert done <= 400 * 24 + 1e-6
        assert plan.holds_h[0, 95] == 0


def contracted(price: float, curtail: float) -> SiteShape:
    return replace(
        BARE,
        contracts=1,
        contract_price_eur_per_mwh=(price,),
        contract_curtail_eur_per_mwh=(curtail,),
    )


@pytest.mark.parametrize(
    ("market", "price", "curtail", "share"),
    [
        (-50.0, 75.0, 75.0, 0.0),  # pay-as-produced: below nought it is dearer to sell on
        (10.0, 75.0, 75.0, 1.0),  # paid for anyway
        (10.0, 75.0, 0.0, 0.0),  # free to refuse, and the market is cheaper
        (90.0, 75.0, 0.0, 1.0),
    ],
)
@pytest.mark.parametrize("output", [8.0, 0.0])
def test_a_contract_is_taken_while_it_is_worth_it(
    market: float, price: float, curtail: float, share: float, output: float
) -> None:
    shape = contracted(price, curtail)
    day = day_of(shape, price_eur_per_mwh=market, contract_mw=output, offset_mw=2.0)
    plan = EnergyPlanner(shape).plan(day)
    assert plan.contract_share[0] == pytest.approx(np.full(96, share))
    assert plan.import_mw == pytest.approx(np.full(96, 2.0))
    assert plan.day_ahead_mw == pytest.approx(np.full(96, 2.0 - share * output))


def test_the_cable_carries_no_more_out_than_in() -> None:
    price = prices(np.full(96, 500.0), 10.0)
    day = day_of(PLAIN, price_eur_per_mwh=price, limit_mw=3.0, soc_mwh=20.0)
    assert EnergyPlanner(PLAIN).plan(day).export_mw.max() == pytest.approx(3.0)
    day = day_of(PLAIN, price_eur_per_mwh=price, limit_mw=0.0, soc_mwh=20.0)
    assert EnergyPlanner(PLAIN).plan(day).export_mw.max() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("periods", [92, 96, 100])
def test_a_day_of_another_length_counts_its_own_hours(periods: int) -> None:
    half = periods // 2
    price = prices(np.repeat([20.0, 120.0], half), 70.0)
    day = day_of(
        PLAIN,
        periods,
        price_eur_per_mwh=price,
        offset_mw=np.where(np.arange(STEPS) < periods, 2.0, 0.0),
        arrivals_gpu_h=steady(1000, periods),
    )
    day = replace(day, offset_mw=np.where(day.hours > 0, 2.0, 77.0))
    plan = EnergyPlanner(PLAIN).plan(day)
    for values in (plan.it_mw, plan.charge_mw, plan.import_mw, plan.day_ahead_mw):
        assert len(values) == periods
    assert plan.running.shape == plan.speed.shape == plan.holds_h.shape == (1, periods)
    assert (plan.charge_mw * 0.25).sum() == pytest.approx(20 / 0.9)
    assert plan.running[0] == pytest.approx(np.full(periods, 1000.0))
    cycles(plan, PLAIN)
    spent = ((plan.import_mw - plan.export_mw) * price[:periods] * 0.25).sum()
    spent += (plan.discharge_mw * 0.25 * 5).sum() + 3.0 * 70.0 * TAIL_STEPS
    assert plan.objective_eur == pytest.approx(spent)


# --- any day ---------------------------------------------------------------------------------

SHAPE = SiteShape(
    groups=(
        STEEP,
        GroupShape("cheap", (0.7, 0.85, 1.0), (420.0, 560.0, 800.0), 0.1),
        GroupShape("fixed", (0.999, 1.0), (899.0, 900.0), 5.0),
    ),
    battery_mw=1.5,
    battery_mwh=4.0,
    charge_efficiency=0.95,
    discharge_efficiency=0.94,
    wear_eur_per_mwh=12.0,
    contracts=2,
    contract_price_eur_per_mwh=(75.0, 60.0),
    contract_curtail_eur_per_mwh=(75.0, 0.0),
    levy_eur_per_mwh=4.7,
    export_margin_eur_per_mwh=1.5,
    site_per_it=1.17,
)


def any_day(seed: int, shape: SiteShape) -> DayInput:
    r = np.random.default_rng(seed)
    periods = int(r.choice([92, 96, 100]))
    hours = day_of(shape, periods).hours

    def rough(low: float, high: float) -> Array:
        values = r.uniform(low, high, STEPS)
        values[r.random(STEPS) < 0.1] = low
        return np.asarray(values)

    return replace(
        day_of(shape, periods),
        price_eur_per_mwh=rough(-500.0, 4000.0) if r.random() < 0.3 else rough(-20.0, 200.0),
        limit_mw=rough(0.0, float(r.choice([0.0, 0.5, 3.0, 20.0]))),
        export_mw=float(r.choice([0.0, 2.0])),
        offset_mw=rough(-0.2, 1.5),
        rest_mw=np.full(STEPS, float(r.uniform(0, 2))),
        capacity=np.full(STEPS, float(r.choice([0.0, 500.0, 4000.0]))),
        contract_mw=np.abs(r.uniform(-3.0, 3.0, (shape.contracts, STEPS))),
        soc_mwh=float(r.uniform(0, shape.battery_mwh)),
        arrivals_gpu_h=r.uniform(0, 2500, (len(shape.groups), 1)) * hours,
    )


@settings(max_examples=examples(25))
@given(st.integers(0, 2**32))
def test_every_day_has_a_plan_that_keeps_every_limit(seed: int) -> None:
    day = any_day(seed, SHAPE)
    plan = EnergyPlanner(SHAPE).plan(day)
    n = day.periods
    assert plan.status == "optimal"
    limit = day.limit_mw[:n]
    assert np.all(plan.import_mw <= np.maximum(limit, 0.0) + 1e-6)
    assert np.all(plan.export_mw <= np.minimum(day.export_mw, limit) + 1e-6)
    assert np.all(plan.running.sum(axis=0) <= day.capacity[:n] + 1e-4)
    floors = np.array([g.speed[0] for g in SHAPE.groups])[:, None]
    assert np.all(plan.speed >= floors - 1e-9)
    assert np.all(plan.speed <= 1.0 + 1e-9)
    assert np.all((plan.contract_share >= 0.0) & (plan.contract_share <= 1.0))
    assert np.all(plan.it_mw >= day.rest_mw[:n] - 1e-6)
    for values in (plan.it_mw, plan.charge_mw, plan.discharge_mw, plan.day_ahead_mw):
        assert np.all(np.isfinite(values))
    if day.price_eur_per_mwh.min() > 30.0:  # below that wasting energy may pay: it is netted
        cycles(plan, SHAPE, day.soc_mwh)


def test_a_plan_depends_on_its_day_alone() -> None:
    used = EnergyPlanner(SHAPE)
    for seed in range(12):
        day = any_day(seed, SHAPE)
        one, other = used.plan(day), EnergyPlanner(SHAPE).plan(day)
        for name in ("it_mw", "running", "speed", "charge_mw", "import_mw", "day_ahead_mw"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), f"{name}, day {seed}"
        assert one.objective_eur == other.objective_eur


def test_without_a_plan_the_site_runs_within_its_limits() -> None:
    day = any_day(3, SHAPE)
    planner = EnergyPlanner(SHAPE)
    plan = planner.flat_out(day)
    assert plan.status == "flat out"
    assert plan.charge_mw.max() == plan.discharge_mw.max() == 0.0
    assert plan.contract_share.min() == 1.0
    assert not plan.holds_h.any()
    assert plan.speed.min() == 1.0


def test_a_day_the_solver_cannot_plan_falls_back_by_name() -> None:
    """A battery that holds more than it can (it was swapped for a smaller one) has no plan."""
    plan = EnergyPlanner(PLAIN).plan(day_of(PLAIN, soc_mwh=25.0, offset_mw=2.0))
    assert plan.status == "flat out"
    assert plan.import_mw == pytest.approx(np.full(96, 3.0)), "every accelerator at full speed"
