"""Ramps: a quarter's mean lies between what was and what is ordered; edges by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.grid.ramps import edges, ramped_mw, reached_mw

POWER = st.floats(-100, 100)


def test_by_hand():
    # 60 MW at 20 MW a minute take 3 of 15 minutes: half of the step is missing for a fifth of them
    assert ramped_mw(0.0, 60.0, 20.0, 15.0) == pytest.approx(60.0 - 60.0 * 0.5 * 0.2)
    assert ramped_mw(60.0, 0.0, 20.0, 15.0) == pytest.approx(6.0)
    # 1 MW a minute gets a quarter of the way
    assert ramped_mw(0.0, 60.0, 1.0, 15.0) == pytest.approx(7.5)
    assert reached_mw(0.0, 60.0, 1.0, 15.0) == 15.0
    assert reached_mw(0.0, -60.0, 20.0, 15.0) == -60.0


@given(before=POWER, wanted=POWER, rate=st.floats(0.1, 100))
def test_the_mean_is_that_of_the_course(before, wanted, rate):
    at = (np.arange(15_000) + 0.5) / 1000
    course = before + np.clip(wanted - before, -rate * at, rate * at)
    assert ramped_mw(before, wanted, rate, 15.0) == pytest.approx(course.mean(), abs=0.01)
    assert reached_mw(before, wanted, rate, 15.0) == pytest.approx(course[-1], abs=0.11)


def test_edges_by_hand():
    power = np.array([100.0, 125.0, 60.0, 30.0, 31.0])
    exempt = np.array([False, False, True, False, False])
    found = edges(power, np.full(5, 20.0), exempt)
    assert (found.edges, found.exempt, found.stretched) == (4, 1, 2)  # 25 and 30 MW
    assert found.longest_min == pytest.approx(1.5)
    assert found.step_mw_max == 30.0
