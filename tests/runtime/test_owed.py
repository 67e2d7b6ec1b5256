"""What a site owes on a stress day: setpoints that call what was sold, seconds settled by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.adapters.reserves import Called, Delivered, readings
from gigafactory.factory.models import Reserves
from gigafactory.factory.response import SiteResponse
from gigafactory.planner import Afrr, Fcr, ResponsePlant
from gigafactory.plant.battery import Battery
from gigafactory.runtime.owed import (
    AFRR_RISE_S,
    AUCTIONS,
    NOBODY,
    RESPONSE,
    Owed,
    Walked,
    called_setpoints,
    most_sold,
    owing,
    settled,
)

BATTERY = Battery(50.0, 200.0, 0.95, 0.94, 10.0, 190.0)
CALLED = Called(
    fcr_mw=10.0,
    up_mw=20.0,
    down_mw=8.0,
    price_eur_per_mwh=(10.0, 12.0, 5.0),
    energy_eur_per_mwh=(200.0, 20.0),
    reservoir_h=(0.5, 0.25),
)
N = 900


def sold(*rows: tuple[float, float, float, float, float]) -> Owed:
    """A day of periods: FCR, up and down sold, and the shares of up and down that are called."""
    return Owed.sold(
        [Called(fcr_mw=f, up_mw=u, down_mw=d, up_share=a, down_share=b) for f, u, d, a, b in rows]
    )


def walked(**changes: object) -> Walked:
    """A quarter in which nothing is asked and there is room for all."""
    zero = np.zeros(N)
    calm = Walked(
        fcr_mw=zero,
        fcr_due_mw=zero,
        afrr_mw=zero,
        afrr_work_mw=zero,
        asked_mw=zero,
        low_mw=zero,
        high_mw=zero,
        battery_mw=zero,
        soc_mwh=np.full(N, 100.0),
        import_mw=np.full(N, 80.0),
        limit_mw=np.full(N, 140.0),
        off=np.zeros(N, np.bool_),
        export_mw=0.0,
    )
    return replace(calm, **changes)  # type: ignore[arg-type]


def test_who_says_what_is_owed() -> None:
    block = Reserves(site="a", fcr="15 MW", afrr_up="20 MW", afrr_down="10 MW")
    told = SiteResponse(site="a", fcr="10 MW", afrr_down="30 MW")
    assert most_sold(None, SiteResponse(site="a"))[0] == NOBODY
    assert most_sold(None, told) == (RESPONSE, {"fcr": 10.0, "up": 0.0, "down": 30.0})
    # what `energy.response` names is a limit; what it leaves at nothing is left to the auctions
    assert most_sold(block, told) == (AUCTIONS, {"fcr": 10.0, "up": 20.0, "down": 10.0})
    assert most_sold(block, SiteResponse(site="a"))[1] == block.products_mw


def test_a_plant_owes_what_it_is_told_and_its_setpoints_may_move_by_that() -> None:
    plant = ResponsePlant(BATTERY, 200.0, (), Fcr(10.0), Afrr(20.0, 8.0))
    less = owing(plant, (0.0, 6.0, 0.0))
    assert (less.fcr.contracted_mw, less.afrr.up_mw, less.afrr.down_mw) == (0.0, 6.0, 0.0)
    assert less.afrr.move_mw_per_s == pytest.approx(0.1)
    assert owing(less, (10.0, 20.0, 8.0)) == plant


periods = st.tuples(
    st.sampled_from([0.0, 5.0]),
    st.sampled_from([0.0, 3.0, 20.0]),
    st.sampled_from([0.0, 2.0, 10.0]),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    st.sampled_from([0.0, 0.5]),
)


@settings(max_examples=60)
@given(st.lists(periods, min_size=1, max_size=12), st.integers(0, 2**20))
def test_no_setpoint_calls_what_is_not_sold(rows, seed):
    owed = sold(*rows)
    points = called_setpoints(np.random.default_rng(seed), owed, 900 * len(rows), 4)
    at = np.arange(len(points)) // 225
    assert (points <= owed.up_mw[at] + 1e-9).all()
    assert (points >= -owed.down_mw[at] - 1e-9).all()
    # the responder refuses a setpoint that moves faster, by what is sold when it arrives
    fastest = np.maximum(owed.up_mw, owed.down_mw)[at] * 4.0 / AFRR_RISE_S
    assert (np.abs(np.diff(points, prepend=0.0)) <= fastest + 1e-9).all()
    assert abs(points[-1]) <= fastest[-1] + 1e-9, "deactivated when the day ends"
    if not owed.up_called_mw.any():
        assert (points <= 0.0).all()


def test_setpoints_call_the_energy_that_the_market_calls() -> None:
    rows = [(0.0, 20.0, 10.0, 0.5, 0.0), (0.0, 20.0, 10.0, 0.0, 0.0), (0.0, 20.0, 10.0, 0.0, 0.5)]
    points = called_setpoints(np.random.default_rng(3), sold(*rows), 2700, 4).reshape(3, 225)
    assert points[0].mean() == pytest.approx(10.0, rel=0.02)
    assert points[0].max() == 20.0, "all of the bid, for half of the time"
    assert not points[1].any(), "what is called in a period ends in it"
    assert points[2].mean() == pytest.approx(-5.0, rel=0.02)


def test_what_is_delivered_is_called_and_nothing_is_withheld() -> None:
    due = np.full(N, 4.0)
    due[600:] = -2.0
    up = np.full(N, 15.0)
    held = walked(fcr_due_mw=due, fcr_mw=due, asked_mw=up, afrr_mw=up, low_mw=up, high_mw=up,
                  battery_mw=due + up, import_mw=80.0 - due - up)  # fmt: skip
    called, done = settled(CALLED, BATTERY, held)
    found = readings(called, done, 0.0, 0.25)
    assert found["fcr_sold_wh"] == pytest.approx(2.5e6)
    assert found["fcr_up_wh"] == pytest.approx(4.0 * 600 / 3600 * 1e6)
    assert found["fcr_down_wh"] == pytest.approx(2.0 * 300 / 3600 * 1e6)
    assert found["afrr_up_asked_wh"] == pytest.approx(15.0 * 0.25e6)
    assert found["afrr_down_asked_wh"] == 0.0
    for name in ("missed", "lacking", "withheld"):
        assert all(v == 0.0 for k, v in found.items() if k.endswith(f"{name}_wh")), name


def test_seconds_that_are_missed_cost_the_pay_of_what_was_missing() -> None:
    up = np.full(N, 20.0)
    short = np.where(np.arange(N) < 90, 0.0, 20.0)
    held = walked(asked_mw=up, low_mw=up, high_mw=up, afrr_mw=short, battery_mw=short,
                  import_mw=80.0 - short)  # fmt: skip
    called, done = settled(CALLED, BATTERY, held)
    assert done.up_missed_mw == pytest.approx(2.0)
    found = readings(called, done, 0.0, 0.25)
    assert found["afrr_up_withheld_wh"] == pytest.approx(0.1 * 20.0 * 0.25e6)
    assert found["fcr_withheld_wh"] == 0.0
    # within the tolerance nothing is missing
    near = walked(asked_mw=up, low_mw=up, high_mw=up, afrr_mw=up * 0.96)
    assert settled(CALLED, BATTERY, near)[1].up_missed_mw == 0.0
    # a setpoint on its way leaves room between the lowest and the highest of five minutes
    lag = walked(asked_mw=up, low_mw=np.zeros(N), high_mw=up)
    assert settled(CALLED, BATTERY, lag)[1].up_missed_mw == 0.0


def test_what_is_given_without_being_owed_is_not_missing() -> None:
    """The last frequency is answered for a few seconds after the last reading."""
    due = np.full(N, np.nan)
    due[:450] = -4.0
    held = np.where(np.arange(N) < 455, -4.0, 0.0)
    done = settled(CALLED, BATTERY, walked(fcr_due_mw=due, fcr_mw=held, battery_mw=held))[1]
    assert done.fcr_missed_mw == 0.0
    # the wrong way round misses all that was owed, and not more
    wrong = walked(fcr_due_mw=np.full(N, -4.0), fcr_mw=np.full(N, 4.0))
    assert settled(CALLED, BATTERY, wrong)[1].fcr_missed_mw == pytest.approx(4.0)


def test_without_a_connection_nothing_is_there() -> None:
    off = np.zeros(N, np.bool_)
    off[:225] = True
    due = np.full(N, -3.0)
    given_, drawn = np.where(off, 0.0, due), np.where(off, 0.0, 83.0)
    held = walked(off=off, fcr_due_mw=due, fcr_mw=given_, import_mw=drawn,
                  battery_mw=np.where(off, 50.0, -3.0))  # fmt: skip
    called, done = settled(CALLED, BATTERY, held)
    assert done.down_there_share == done.up_there_share == pytest.approx(0.75)
    found = readings(called, done, 0.0, 0.25)
    assert found["fcr_missed_wh"] == pytest.approx(0.25 * 3.0 * 0.25e6)
    for product, mw in (("fcr", 10.0), ("afrr_up", 20.0), ("afrr_down", 8.0)):
        assert found[f"{product}_withheld_wh"] == pytest.approx(0.25 * mw * 0.25e6), product


def test_a_full_cable_and_an_empty_battery_are_not_there() -> None:
    tight = settled(CALLED, BATTERY, walked(import_mw=np.full(N, 131.0)))[1]
    assert tight.down_there_share == pytest.approx(9.0 / 18.0)
    assert tight.up_there_share == 1.0
    empty = settled(CALLED, BATTERY, walked(soc_mwh=np.full(N, 15.0)))[1]
    assert empty.up_there_share == pytest.approx(5.0 * 0.94 / (10.0 * 0.5 + 20.0 * 0.25))
    assert empty.down_there_share == 1.0


def test_nothing_sold_is_nothing_asked() -> None:
    due = np.full(N, 4.0)
    called, done = settled(Called(), BATTERY, walked(fcr_due_mw=due, off=np.ones(N, np.bool_)))
    assert all(value == 0.0 for value in readings(called, done, 0.0, 0.25).values())
    assert isinstance(done, Delivered)


def test_work_that_was_sold_is_settled_with_the_battery() -> None:
    both = replace(CALLED, up_mw=5.0, load_mw=15.0)
    up = np.full(N, 20.0)
    held = walked(asked_mw=up, low_mw=up, high_mw=up, afrr_mw=up, afrr_work_mw=np.full(N, 15.0),
                  battery_mw=np.full(N, 5.0), import_mw=np.full(N, 60.0))  # fmt: skip
    called, done = settled(both, BATTERY, held)
    found = readings(called, done, 0.0, 0.25)
    assert found["afrr_up_sold_wh"] == found["afrr_up_asked_wh"] == pytest.approx(5e6)
    assert found["afrr_up_withheld_wh"] == found["afrr_up_missed_wh"] == 0.0
