"""Days without the grid: outages by hand, the plan against every plan, what always holds."""

from __future__ import annotations

import datetime as dt
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.plant.battery import Battery
from gigafactory.plant.generation import Generator, typical
from gigafactory.plant.island import (
    Island,
    Load,
    Outage,
    edges,
    fuel_needed_mwh,
    outlast,
    plan_shedding,
)
from tests.effort import examples

DAY = dt.date(2030, 1, 1)


def engine(name: str = "engine", capacity_mw: float = 10.0, **changes: object) -> Generator:
    """An engine that starts at once, burns 2 MWh per MWh and nothing at no load."""
    given: dict[str, object] = {
        "fuel_stock_mwh": 200.0, "heat_rate_mwh_per_mwh": 2.0, "no_load_share": 0.0,
        "start_min": 0.0, "ramp_share_per_min": 10.0, "block_share": 1.0, "min_load_share": 0.0,
        "black_start": True,
    }  # fmt: skip
    return Generator(name, "gas_engine", "fuel", capacity_mw, DAY, **(given | changes))  # type: ignore[arg-type]


def kinds(of: Outage) -> list[tuple[str, str]]:
    return [(b.what, b.kind) for b in of.broken]


def test_the_steps_of_an_outage() -> None:
    at = edges(72.0)
    assert len(at) == 1 + 60 + 71 * 4
    assert at[1] == pytest.approx(1 / 60)
    assert np.all(np.diff(at) > 0)
    assert 0.004 in edges(1.0, [0.004, 5.0])


def test_fuel_by_hand() -> None:
    # 200 MWh of fuel make 100 MWh of power; 5 MW last 20 h
    of = outlast(Island((Load("work", 4.0, 1, 0.25),), (engine(),)), DAY)
    assert of.lasted_h[0] == pytest.approx(20.0)
    assert of.not_served_mwh[0] == pytest.approx(4.0 * 52.0)
    assert of.fuel_left_mwh["engine"] == pytest.approx(0.0, abs=1e-9)
    assert of.cooling_mw[0] == pytest.approx(1.0)
    assert ("engine", "fuel_out") in kinds(of)
    assert ("work", "dropped") in kinds(of)


def test_ups_bridge_the_start_and_nothing_else() -> None:
    slow = engine(start_min=2.0)
    ups = Island((Load("work", 5.0, 1, protected=True),), (slow,), ups_mw=5.0, ups_s=120.0)
    of = outlast(ups, DAY, 1.0)
    assert of.lasted_h[0] == pytest.approx(1.0)
    assert not of.protected_lost
    assert of.ups_mw[:2] == pytest.approx(5.0)
    assert of.ups_mw[2:] == pytest.approx(0.0)
    # half of the seconds: the load falls in the second minute and comes back with the engine
    short = Island((Load("work", 5.0, 1, protected=True),), (slow,), ups_mw=5.0, ups_s=60.0)
    of = outlast(short, DAY, 1.0)
    assert of.lasted_h[0] == pytest.approx(59 / 60)
    assert [b.at_h for b in of.protected_lost] == [pytest.approx(1 / 60)]
    # UPS do not carry what is not behind them
    bare = Island((Load("work", 5.0, 1, ups=False),), (slow,), ups_mw=5.0, ups_s=120.0)
    assert outlast(bare, DAY, 1.0).lasted_h[0] == pytest.approx(58 / 60)


def test_a_battery_bridges_and_then_carries_what_is_left() -> None:
    battery = Battery(10.0, 10.0, 1.0, 0.8)
    site = Island((Load("work", 4.0, 1),), (), battery, 10.0)
    # 10 MWh in the cells are 8 MWh outside: 2 h at 4 MW
    assert outlast(site, DAY, 5.0).lasted_h[0] == pytest.approx(2.0)


def test_one_that_needs_power_to_start_waits() -> None:
    cell = engine("cell", black_start=False)
    of = outlast(Island((Load("work", 5.0, 1),), (cell,)), DAY, 2.0)
    assert of.lasted_h[0] == 0.0
    assert ("cell", "no_start") in kinds(of)
    helped = Island((Load("work", 5.0, 1),), (cell, engine("engine", start_min=6.0)))
    assert outlast(helped, DAY, 2.0).lasted_h[0] == pytest.approx(1.9)


def test_what_is_commissioned_later_is_not_there() -> None:
    later = typical("gas_engine", 10.0, dt.date(2031, 1, 1))
    of = outlast(Island((Load("work", 5.0, 1),), (later,)), DAY, 2.0)
    assert kinds(of)[0] == ("gas_engine", "absent")
    assert of.lasted_h[0] == 0.0


def test_the_next_generator_is_up_before_a_stock_ends() -> None:
    cheap = engine("cheap", fuel_stock_mwh=40.0)
    dear = engine("dear", variable_eur_per_mwh=9.0, start_min=10.0, min_load_share=0.1)
    of = outlast(Island((Load("work", 5.0, 1),), (cheap, dear)), DAY, 12.0)
    assert of.lasted_h[0] == pytest.approx(12.0)
    assert of.generator_mw[1, 0] == 0.0
    assert of.generator_mw[1, -1] == pytest.approx(5.0)


def test_run_hours_end_an_emergency_diesel() -> None:
    site = Island((Load("work", 5.0, 1),), (engine(run_h_max=500.0),), run_h={"engine": 490.0})
    of = outlast(site, DAY, 24.0)
    assert of.lasted_h[0] == pytest.approx(10.0)
    assert ("engine", "hours_out") in kinds(of)


def test_weather_saves_fuel_and_is_dumped_when_too_much() -> None:
    sun = typical("solar", 10.0, DAY)
    site = Island(
        (Load("work", 5.0, 1),), (engine(), sun), capacity_factor={"solar": [1.0, 0.2, 0.0]}
    )
    of = outlast(site, DAY, 3.0)
    assert of.fuel_left_mwh["engine"] == pytest.approx(200.0 - 2 * (3.0 + 5.0))
    assert of.served_mw.sum(axis=0) == pytest.approx(5.0)


@pytest.mark.slow
def test_shedding_in_time_by_hand() -> None:
    # 144 MWh of power in the tank and 72 h to go: 1 MW for all of it takes 72; the other 72 MWh
    # carry 6 MW for 12 h
    site = Island(
        (Load("vital", 1.0, 1, protected=True), Load("research", 6.0, 2)),
        (engine(fuel_stock_mwh=288.0),),
    )
    unplanned = outlast(site, DAY)
    # 7 MW until half a MWh is left, then the vital one alone for half an hour
    assert unplanned.protected_lost[0].at_h == pytest.approx(143.5 / 7 + 0.5)
    plan = plan_shedding(site, DAY)
    assert plan.holds
    assert plan.shed_h == {"vital": 72.0, "research": pytest.approx(12.0)}
    assert plan.outage.fuel_left_mwh["engine"] == pytest.approx(0.0, abs=1e-6)
    assert math.isnan(plan.first_loss_h)
    longer = outlast(site, DAY, shed_h={"research": 12.25})
    assert longer.protected_lost


def test_a_load_comes_back_only_for_long_enough_and_with_its_surge() -> None:
    late = (engine(start_min=60.0),)
    for run_min, surge, back in ((60.0, 1.0, True), (61.0, 1.0, False), (0.0, 2.1, False)):
        load = Load("work", 5.0, 1, run_min=run_min, inrush_times=surge)
        of = outlast(Island((load,), late), DAY, 2.0)
        assert bool(of.lasted_h[0] > 0.0) is back


def test_storage_does_not_bring_a_load_back() -> None:
    battery = Battery(3.0, 100.0, 1.0, 1.0)
    site = Island((Load("a", 2.0, 1), Load("b", 2.0, 2)), (), battery, 100.0)
    of = outlast(site, DAY, 2.0)
    assert of.lasted_h.tolist() == [pytest.approx(2.0), 0.0]


@pytest.mark.slow
def test_the_tank_that_is_needed_by_hand() -> None:
    # 5 MW for 72 h from a generator that burns 2 MWh per MWh: 720 MWh
    loads = (Load("vital", 5.0, 1, protected=True), Load("research", 4.0, 2))
    site = Island(loads, (engine(),))
    assert fuel_needed_mwh(site, DAY, "engine") == pytest.approx(720.0, abs=2.0)
    # with a battery of 60 MWh outside: 120 MWh less
    helped = Island(loads, (engine(),), Battery(9.0, 60.0, 1.0, 1.0), 60.0)
    assert fuel_needed_mwh(helped, DAY, "engine") == pytest.approx(600.0, abs=2.0)
    small = Island(loads, (engine(capacity_mw=4.0),))
    assert math.isnan(fuel_needed_mwh(small, DAY, "engine"))
    with pytest.raises(BadInput, match="no generator"):
        fuel_needed_mwh(site, DAY, "turbine")


def test_it_says_when_it_cannot_last() -> None:
    site = Island((Load("vital", 5.0, 1, protected=True),), (engine(),))
    plan = plan_shedding(site, DAY)
    assert not plan.holds
    assert plan.first_loss_h == pytest.approx(20.0)


@pytest.mark.slow
def test_work_is_saved_where_nothing_vital_suffers() -> None:
    loads = (
        Load("vital", 1.0, 1, protected=True),
        Load("training", 5.0, 2, pausable=True, checkpoint_min=10.0),
    )
    tight = Island(loads, (engine(fuel_stock_mwh=2 * 73.0),))
    plan = plan_shedding(tight, DAY)
    assert plan.holds
    assert plan.shed_h["training"] == pytest.approx(0.2)  # 1 MWh to spare is 12 min at 5 MW
    assert ("training", "work_lost") not in kinds(plan.outage)
    # with half of it there is no time to save, so it is not begun
    none = plan_shedding(Island(loads, (engine(fuel_stock_mwh=2 * 72.4),)), DAY)
    assert none.holds
    assert ("training", "work_lost") in kinds(none.outage)


@pytest.mark.slow
@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("fuel", [20.0, 37.0, 55.0])
def test_no_plan_is_better(fuel: float, second: bool) -> None:
    """The plan against every plan with hours at the edges: the best in lexicographic order."""
    loads = (Load("a", 2.0, 1, protected=True), Load("b", 3.0, 2), Load("c", 4.0, 3))
    gens = [engine(fuel_stock_mwh=fuel, no_load_share=0.2, min_load_share=0.3)]
    sun = {}
    if second:
        gens[0] = engine(capacity_mw=6.0, fuel_stock_mwh=fuel / 2, no_load_share=0.1)
        gens.append(
            engine(
                "dear", 5.0, fuel_stock_mwh=fuel / 3, start_min=10.0, min_load_share=0.4,
                variable_eur_per_mwh=9.0, ramp_share_per_min=0.2, block_share=0.3,
            )
        )  # fmt: skip
        gens.append(typical("solar", 3.0, DAY))
        sun = {"solar": [0.9, 0.1, 0.5]}
    site = Island(
        loads, tuple(gens), Battery(6.0, 4.0), 3.0, ups_mw=9.0, ups_s=30.0, capacity_factor=sun
    )
    hours = 3.0
    plan = plan_shedding(site, DAY, hours)
    grid = [h for h in edges(hours) if h == 0.0 or h >= 1.0]
    grid += [plan.shed_h[name] for name in ("b", "c")]
    best = max(
        tuple(np.round(outlast(site, DAY, hours, {"a": hours, "b": b, "c": c}).lasted_h, 6))
        for b, c in itertools.product(sorted(set(grid)), repeat=2)
        if c <= b
    )
    assert tuple(np.round(plan.outage.lasted_h, 6)) >= best


def test_bad_input_is_told_all_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        Island(
            (Load("a", -1.0, 1), Load("a", 1.0, 0, inrush_times=0.5), Load("p", 1, 9, 0, True)),
            (typical("wind", 1.0, DAY), engine(), engine()),
            soc_mwh=1.0,
            ups_s=math.nan,
            capacity_factor={"sun": [2.0]},
        )
    text = str(caught.value)
    for part in (
        "power_mw", "priority", "inrush_times", "load a: name", "protected", "generators = engine",
        "ups_s", "soc_mwh", "no generator", "capacity_factor.sun", "capacity_factor.wind",
    ):  # fmt: skip
        assert part in text
    site = Island((Load("a", 1.0, 1),), (typical("wind", 1.0, DAY),), capacity_factor={"wind": [1]})
    with pytest.raises(BadInput) as caught:
        outlast(site, DAY, 24.0, {"b": -1.0})
    assert len(caught.value.problems) == 3


generators = st.builds(
    lambda capacity, stock, start, ramp, block, least, idle, units, dear: engine(
        capacity_mw=capacity, fuel_stock_mwh=stock, start_min=start, ramp_share_per_min=ramp,
        block_share=block, min_load_share=least, no_load_share=idle, units=units,
        variable_eur_per_mwh=dear,
    ),
    st.floats(1, 20), st.floats(0, 60), st.floats(0, 20), st.floats(0.05, 5), st.floats(0, 1),
    st.floats(0, 0.5), st.floats(0, 0.3), st.integers(1, 4), st.floats(0, 50),
)  # fmt: skip
loads_drawn = st.lists(
    st.builds(
        lambda power, cooling, ups, inrush: (power, cooling, ups, inrush),
        st.floats(0.1, 8), st.floats(0, 0.3), st.booleans(), st.floats(1, 3),
    ),
    min_size=1, max_size=4,
)  # fmt: skip


def island_of(
    drawn: list[tuple[float, float, bool, float]],
    gens: list[Generator],
    cells: float,
    full: float,
    ups_s: float,
    sun: list[float],
) -> Island:
    loads = tuple(
        Load(f"load {k}", power, k + 1, cooling, k == 0, ups, k > 1, 3.0, 0.0, inrush)
        for k, (power, cooling, ups, inrush) in enumerate(drawn)
    )
    named = [
        Generator(**{f: getattr(g, f) for f in g.__dataclass_fields__} | {"name": f"g{k}"})
        for k, g in enumerate(gens)
    ]
    return Island(
        loads,
        (*named, typical("solar", 5.0, DAY)),
        Battery(6.0, 10.0),
        min(cells, 10.0) * full,
        ups_mw=10.0,
        ups_s=ups_s,
        capacity_factor={"solar": sun},
    )


drawn_islands = st.builds(
    island_of,
    loads_drawn,
    st.lists(generators, max_size=3),
    st.floats(0, 10),
    st.floats(0, 1),
    st.floats(0, 600),
    st.lists(st.floats(0, 1), min_size=2, max_size=2),
)


def check(site: Island, of: Outage) -> None:
    power = np.array([load.power_mw for load in site.ranked])
    hours = of.hours
    # energy in equals energy out, in every step
    supply = of.generator_mw.sum(axis=0) + of.discharge_mw + of.ups_mw
    use = of.served_mw.sum(axis=0) + of.cooling_mw + of.charge_mw + of.dumped_mw
    assert supply == pytest.approx(use, abs=1e-6)
    assert np.all(of.dumped_mw >= -1e-9)
    # fuel never negative, never made
    assert np.all(of.fuel_mwh >= 0.0)
    assert np.all(np.diff(of.fuel_mwh[:-1], axis=1) <= 1e-12)
    assert np.all(of.soc_mwh >= -1e-12)
    assert (of.ups_mw * hours).sum() <= site.ups_mw * site.ups_s / 3600 + 1e-9
    # a load is whole or off, and never on while a more vital one is off
    on = of.served_mw > 0.0
    assert np.all((of.served_mw == 0.0) | (of.served_mw == power[:, None]))
    assert np.all(on[:-1] >= on[1:])
    # served and not served are all that was asked
    total = of.served_mw @ hours + of.not_served_mwh
    assert total == pytest.approx(power * of.edges_h[-1])


@settings(deadline=None, max_examples=25)
@given(drawn_islands)
def test_what_always_holds(site: Island) -> None:
    check(site, outlast(site, DAY, 2.0))


@settings(deadline=None, max_examples=examples(6))
@given(drawn_islands)
def test_a_plan_never_serves_a_vital_load_less(site: Island) -> None:
    plan = plan_shedding(site, DAY, 2.0)
    check(site, plan.outage)
    alone = outlast(site, DAY, 2.0, {load.name: 0.0 for load in site.loads[1:]})
    assert plan.outage.not_served_mwh[0] <= alone.not_served_mwh[0] + 1e-6
    hours = [plan.shed_h[load.name] for load in site.ranked]
    assert hours == sorted(hours, reverse=True)
