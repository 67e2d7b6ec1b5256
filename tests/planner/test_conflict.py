"""Why a day has no plan: each conflict reproduced, named, irreducible, and told when it happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.planner import EnergyPlanner, SiteShape
from gigafactory.planner.conflict import Conflict, find_conflict
from gigafactory.planner.energy import DAY_STEPS, STEPS
from gigafactory.planner.numbers import Numbers
from gigafactory.planner.shape import Horizon, ReserveShape
from gigafactory.planner.solving import LineSolver
from tests.effort import examples
from tests.planner.test_energy import BARE, PLAIN, SHAPE, any_day, day_of, steady


def at(steps: slice, value: float, elsewhere: float) -> np.ndarray:
    out = np.full(STEPS, elsewhere)
    out[steps] = value
    return out


CASES: dict[str, tuple[SiteShape, dict[str, object], tuple[str, ...], tuple[int, int]]] = {
    "a battery fuller than it can be": (
        PLAIN, {"soc_mwh": 25.0}, ("battery energy", "battery power"), (0, 0)),
    "a battery emptier than it can be": (
        PLAIN, {"soc_mwh": -4.0}, ("battery energy", "battery power"), (0, 0)),
    "fewer accelerators than none": (
        PLAIN, {"capacity": at(slice(10, 20), -5.0, 1000.0)}, ("accelerators in service",),
        (10, 10)),
    "more power than may go out": (
        BARE, {"offset_mw": at(slice(40, 44), -3.0, 0.0), "export_mw": 1.0}, ("export limit",),
        (40, 40)),
    "a cable that carries nothing": (
        BARE, {"offset_mw": at(slice(7, 8), -3.0, 0.0), "limit_mw": at(slice(7, 8), 0.0, 100.0)},
        ("export limit",), (7, 7)),
    "a price that is none": (
        PLAIN, {"price_eur_per_mwh": at(slice(3, 4), np.nan, 50.0)}, ("no number: prices",),
        (3, STEPS - 1)),
    "a load that is none": (
        PLAIN, {"offset_mw": at(slice(30, 32), np.nan, 0.0)}, ("no number: load of the site",),
        (30, 31)),
    "accelerators that are no number": (
        PLAIN, {"capacity": at(slice(30, 32), np.nan, 9.0)},
        ("no number: accelerators in service",), (30, 31)),
    "a limit that is none": (
        PLAIN, {"limit_mw": at(slice(5, 6), np.nan, 9.0)},
        ("no number: export limit", "no number: import limit"), (5, 5)),
    "a battery of unknown content": (
        PLAIN, {"soc_mwh": np.nan}, ("no number: energy in the battery",), (0, 0)),
    "work that is no number": (
        PLAIN, {"arrivals_gpu_h": np.full((1, STEPS), np.nan)}, ("no number: work expected",),
        (0, STEPS - 1)),
    "selling that brings more than buying costs": (
        PLAIN, {}, ("prices",), (0, STEPS - 1)),
}  # fmt: skip


SPREAD = {
    "selling that brings more than buying costs": {"spread_eur_per_mwh": np.full(STEPS, -3.0)}
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_kept_is_named_and_when(case: str) -> None:
    shape, what, families, steps = CASES[case]
    day = replace(day_of(shape, **{"offset_mw": 2.0, **what}), **SPREAD.get(case, {}))
    plan = EnergyPlanner(shape).plan(day)
    assert plan.status == "flat out"
    assert plan.conflict == Conflict(families, *steps)
    for name in ("it_mw", "charge_mw", "import_mw", "day_ahead_mw", "intraday_mw", "speed"):
        assert np.all(np.isfinite(getattr(plan, name))), f"the fallback can be run: {name}"
    assert plan.it_mw.min() >= 0.0
    assert plan.discharge_mw.max() == plan.charge_mw.max() == 0.0


def test_accelerators_that_could_have_used_it_are_part_of_it() -> None:
    """Work put off could use up what may not go out, were there more accelerators to do it."""
    out = at(slice(40, 44), -3.0, 0.0)
    day = day_of(BARE, offset_mw=out, export_mw=1.0, arrivals_gpu_h=steady(500.0))
    plan = EnergyPlanner(BARE).plan(day)
    assert plan.conflict == Conflict(("accelerators in service", "export limit"), 40, 40)


def test_output_of_a_contract_below_nothing_crosses_its_bounds() -> None:
    output = np.ones((2, STEPS))
    output[1, 50:53] = -1.0
    plan = EnergyPlanner(SHAPE).plan(replace(any_day(4, SHAPE), contract_mw=output))
    assert plan.conflict == Conflict(("bounds that cross: power contracts",), 50, 52)
    assert plan.contract_share.min() == 1.0


def test_a_day_with_a_plan_has_no_conflict() -> None:
    planner = EnergyPlanner(PLAIN)
    assert planner.plan(day_of(PLAIN, arrivals_gpu_h=steady(500.0))).conflict is None
    assert find_conflict(planner._solver.program) is None


@settings(max_examples=examples(15))
@given(st.integers(0, 2**32), st.integers(0, DAY_STEPS - 5))
def test_the_set_cannot_be_made_smaller(seed: int, first: int) -> None:
    """Trouble of two kinds at one time: one of them is named, and what is named is needed."""
    day = any_day(seed, SHAPE)
    capacity = day.capacity.copy()
    capacity[first : first + 4] = -1.0
    plan = EnergyPlanner(SHAPE).plan(replace(day, capacity=capacity, soc_mwh=9.0))
    assert plan.conflict is not None
    assert plan.conflict.families in (
        ("accelerators in service",),
        ("battery energy", "battery power"),
        ("battery energy", "battery power", "export limit"),
        ("battery energy", "export limit"),
    )
    assert plan.conflict.first_step == plan.conflict.last_step


# --- what a run's plan does not have yet, in the same programme ---------------------------------

RESERVES = replace(
    BARE,
    battery_mw=10.0,
    battery_mwh=20.0,
    generators=1,
    groups=(),
    reserves=ReserveShape(fcr=True, afrr_up=True, battery_afrr=True, fcr_reservoir_h=0.5),
    peaks=True,
)


def promised(change: Callable[[Numbers], None]) -> Conflict | None:
    """The conflict of a day of quarters in blocks of four hours with something changed."""
    steps = np.arange(96)
    solver = LineSolver([RESERVES], Horizon.line(np.full(96, 0.25), steps // 16))
    x = Numbers.plain(RESERVES, 96)
    x.limit_mw[:], x.export_mw[:], x.load_mw[:] = 30.0, 20.0, 10.0
    x.generator_mw[:] = 2.0
    x.soc_mwh, x.may_exceed = 10.0, False
    x.peak_mw, x.peak_eur_per_mw = np.zeros(1), np.ones(1)
    for way in ("fcr", "up"):
        x.product_eur_per_mw[way] = np.ones(6)
        x.held_mw[way], x.sells_mw[way] = np.zeros(6), np.full(6, 2.0)
    change(x)
    assert solver.solve([x]) is None
    return find_conflict(solver.program)


def test_promises_beyond_the_battery_are_named() -> None:
    def too_much(x: Numbers) -> None:
        x.held_mw["fcr"] = np.array([0.0, 0.0, 11.0, 0.0, 0.0, 0.0])

    found = promised(too_much)
    assert found is not None
    assert found.families == ("reserve promises",)


def test_promises_whose_energy_is_not_there_are_named() -> None:
    """5 MW each way for an hour and a half need more energy than there is room for."""

    def too_long(x: Numbers) -> None:
        x.held_mw["up"] = np.full(6, 9.0)
        x.held_mw["fcr"] = np.full(6, 6.0)

    found = promised(too_long)
    assert found is not None
    assert found.families == ("reserve promises",)


def test_a_load_beyond_the_connection_is_named_where_nothing_may_go_beyond() -> None:
    def too_tight(x: Numbers) -> None:
        x.limit_mw[40:80] = 2.0

    found = promised(too_tight)
    assert found is not None
    assert found.families == ("battery energy", "generators", "import limit")
    # six MW are lacking: from a battery as full as it can be before, until it must be empty
    assert found.first_step == 39
    assert 40 < found.last_step < 60


def test_an_end_that_cannot_be_reached_is_named() -> None:
    def too_full(x: Numbers) -> None:
        x.soc_end_mwh = 25.0

    found = promised(too_full)
    assert found is not None
    assert found.families == ("bounds that cross: battery energy",)
