"""Voltage dips: ridden through, transferred, back after a delay, locked out when there are many."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.plant.ridethrough import Dip, Ride, RideRules, away, ride

RULES = RideRules()
#: Six faults in 82 s, as on 10 July 2024 (NERC, January 2025); their spacing, length and depth are
#: assumptions.
SIX = [Dip(16.2 * k, 0.1, 0.5) for k in range(6)]


def states(rules, dips):
    return [(change.at_s, change.state) for change in ride(rules, dips)[1:]]


def test_a_short_shallow_dip_is_ridden_through():
    assert states(RULES, [Dip(5.0, 0.2, 0.5)]) == [(5.0, Ride.RIDING), (5.2, Ride.NORMAL)]
    assert not away(ride(RULES, [Dip(5.0, 0.2, 0.5)]), 20.0).any()


def test_a_long_one_makes_it_leave_and_come_back_after_the_delay():
    changes = ride(RULES, [Dip(5.0, 2.0, 0.5)])
    assert [(c.at_s, c.state) for c in changes[1:]] == [
        (5.0, Ride.RIDING), (5.25, Ride.AWAY), (7.0, Ride.WAITING), (17.0, Ride.NORMAL),
    ]  # fmt: skip
    assert np.flatnonzero(away(changes, 30.0)).tolist() == list(range(5, 17))


def test_a_deep_one_makes_it_leave_at_once_and_a_second_one_starts_the_delay_anew():
    assert states(RULES, [Dip(5.0, 0.1, 0.0), Dip(10.0, 0.1, 0.5)]) == [
        (5.0, Ride.AWAY), (5.1, Ride.WAITING), (10.0, Ride.AWAY), (10.1, Ride.WAITING),
        (20.1, Ride.NORMAL),
    ]  # fmt: skip


def test_a_sag_above_the_threshold_does_not_count():
    assert states(RULES, [Dip(float(k), 0.1, 0.92) for k in range(9)]) == []


def test_six_faults_in_82_seconds_lock_a_counting_site_out_and_not_a_patient_one():
    changes = ride(RULES, SIX)
    assert SIX[-1].start_s + SIX[-1].lasts_s == pytest.approx(81.1)
    assert changes[-1].state is Ride.LOCKED_OUT
    assert changes[-1].at_s == SIX[2].start_s
    assert changes[-1].count == 3
    off = away(changes, 300.0)
    assert off[33:].all(), "stays away until somebody looks"
    assert not off[:32].any()
    assert not away(ride(RideRules(count=7), SIX), 300.0).any()
    released = ride(RideRules(locked_s=60.0), SIX)
    assert released[-1].state is Ride.NORMAL
    assert released[-1].at_s == pytest.approx(141.1), "a minute after the last dip"


def test_the_counter_forgets_after_its_window():
    rules = RideRules(count=2, window_s=10.0)
    assert Ride.LOCKED_OUT not in {c.state for c in ride(rules, SIX)}
    assert Ride.LOCKED_OUT in {c.state for c in ride(RideRules(count=2, window_s=20.0), SIX)}


@given(
    st.lists(
        st.tuples(st.floats(0.001, 40.0), st.floats(0.0, 5.0), st.floats(0.0, 1.2)), max_size=12
    ),
    st.integers(1, 5),
    st.sampled_from([30.0, float("inf")]),
)
def test_states_follow_their_rules(rows, count, locked_s):
    rules = RideRules(count=count, locked_s=locked_s)
    dips, now = [], 0.0
    for gap, lasts, voltage in rows:
        dips.append(Dip(now + gap, lasts, voltage))
        now += gap + lasts
    changes = ride(rules, dips)
    times = [c.at_s for c in changes]
    assert times == sorted(times)
    after = {
        Ride.NORMAL: {Ride.RIDING, Ride.AWAY, Ride.LOCKED_OUT},
        Ride.RIDING: {Ride.NORMAL, Ride.AWAY},
        Ride.AWAY: {Ride.WAITING},
        Ride.WAITING: {Ride.NORMAL, Ride.AWAY, Ride.LOCKED_OUT},
        Ride.LOCKED_OUT: {Ride.NORMAL},
    }
    for one, two in pairwise(changes):
        assert two.state in after[one.state]
        if one.state is Ride.WAITING and two.state is Ride.NORMAL:
            assert two.at_s == pytest.approx(one.at_s + rules.reconnect_s)
    assert changes[-1].state in (Ride.NORMAL, Ride.LOCKED_OUT)
    assert changes[-1].state is Ride.NORMAL or locked_s == float("inf")


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(BadInput) as caught:
        ride(RULES, [Dip(5.0, -1.0, 3.0), Dip(1.0, 0.1, float("nan"))])
    told = [(p.where, p.field) for p in caught.value.problems]
    assert told == [
        ("dips, row 1", "lasts_s"), ("dips, row 1", "voltage_ratio"),
        ("dips, row 2", "voltage_ratio"), ("dips, row 2", "start_s"),
    ]  # fmt: skip
    with pytest.raises(BadInput) as caught:
        RideRules(0.5, 0.6, count=0)
    assert [p.field for p in caught.value.problems] == ["deep_ratio", "count"]
