"""Baselines and the proof of delivery."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.grid import (
    MarketCalendar,
    last_metered_mw,
    prove,
    schedule_mw,
    similar_days_mw,
)
from gigafactory.grid.ports import Direction

MONDAY = dt.date(2026, 6, 1)
WEEKS = MarketCalendar.of(MONDAY, 14)


def test_the_last_value_before_each_activation_is_held():
    metered = [50, 52, 40, 41, 60, 30]
    called = np.array([False, False, True, True, False, True])
    assert list(last_metered_mw(metered, called)) == [50, 52, 52, 52, 60, 60]
    with pytest.raises(BadInput, match="first period"):
        last_metered_mw(metered, ~called)


def test_similar_days_are_working_days_for_a_working_day():
    metered = (10.0 + WEEKS.day_of) * np.where(WEEKS.local_hour < 12, 1.0, 2.0)
    called = np.zeros(WEEKS.periods, dtype=bool)
    tuesday = WEEKS.day_slice(8)
    called[tuesday.start : tuesday.start + 4] = True
    called[WEEKS.day_slice(7).start] = True  # Monday's first quarter was activated itself
    baseline = similar_days_mw(metered, called, WEEKS, days=3)
    # the second quarter: Monday 17, Friday 14, Thursday 13; the first: Friday, Thursday, Wednesday
    assert baseline[tuesday.start + 1] == pytest.approx((17 + 14 + 13) / 3)
    assert baseline[tuesday.start] == pytest.approx((14 + 13 + 12) / 3)
    assert (baseline[~called] == metered[~called]).all()
    holiday = similar_days_mw(
        metered, called, WEEKS, days=3, holidays=[MONDAY + dt.timedelta(days=4)]
    )
    assert holiday[tuesday.start + 1] == pytest.approx((17 + 13 + 12) / 3)


def test_too_few_similar_days_are_told_for_each_day():
    called = np.zeros(WEEKS.periods, dtype=bool)
    called[WEEKS.day_slice(5).start] = called[WEEKS.day_slice(6).start] = True
    with pytest.raises(BadInput) as told:
        similar_days_mw(np.ones(WEEKS.periods), called, WEEKS, days=2)
    assert [(p.field, p.value) for p in told.value.problems] == [
        ("2026-06-06", "0"), ("2026-06-07", "0"),
    ]  # fmt: skip
    with pytest.raises(BadInput, match="1 or more"):
        similar_days_mw(np.ones(WEEKS.periods), called, WEEKS, days=0)


@pytest.mark.parametrize("change", [dt.date(2026, 3, 29), dt.date(2026, 10, 25)])
def test_days_on_which_the_clocks_change_match_by_the_clock(change):
    calendar = MarketCalendar.of(change - dt.timedelta(days=15), 23)
    metered = calendar.local_hour * 1.0  # the same by the clock every day
    called = calendar.since(change) & ~calendar.since(change + dt.timedelta(days=8))
    called &= np.isin(calendar.local_weekday, (6,))
    baseline = similar_days_mw(metered, called, calendar, days=2)
    assert baseline == pytest.approx(metered)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(0, 50)), min_size=1),
    st.floats(0, 1),
    st.sampled_from([Direction.UP, Direction.DOWN]),
)
def test_delivered_and_undelivered_make_up_what_was_asked(rows, tolerance, direction):
    baseline, metered, asked = (np.array(c) for c in zip(*rows, strict=True))
    proof = prove(
        direction,
        baseline_mw=baseline,
        metered_mw=metered,
        asked_mw=asked,
        hours=0.25,
        tolerance_share=tolerance,
    )
    sign = 1.0 if direction is Direction.UP else -1.0
    assert proof.delivered_mwh == pytest.approx(sign * (baseline - metered) * 0.25)
    assert (proof.undelivered_mwh <= proof.asked_mwh).all()
    missing = np.clip(proof.asked_mwh - proof.delivered_mwh, 0.0, proof.asked_mwh)
    assert (proof.met == (missing <= tolerance * proof.asked_mwh)).all()
    assert (proof.undelivered_mwh == np.where(proof.met, 0.0, missing)).all()
    strict = prove(direction, baseline_mw=baseline, metered_mw=metered, asked_mw=asked, hours=0.25)
    assert (strict.undelivered_mwh >= proof.undelivered_mwh).all()


def test_bad_input_is_told_at_once():
    with pytest.raises(BadInput, match="apart"):
        prove(Direction.SYMMETRIC, baseline_mw=1, metered_mw=1, asked_mw=1, hours=1)
    with pytest.raises(BadInput) as told:
        prove(
            Direction.UP, baseline_mw=[1, 2], metered_mw=[1], asked_mw=-1, hours=np.nan,
            tolerance_share=2,
        )  # fmt: skip
    assert len(told.value.problems) == 4
    with pytest.raises(BadInput, match="schedule"):
        schedule_mw([1.0], [1.0, 2.0], np.array([True, False]))
