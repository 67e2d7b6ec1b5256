"""The compiled stepper agrees with the readable one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.planner import Setpoints, respond, rest
from tests.effort import examples
from tests.planner.naive_seconds import naive
from tests.planner.response_cases import PLANT, calm, plants, seconds


@settings(max_examples=examples(60))
@given(plants(), st.data(), st.floats(0.0, 1.0))
def test_the_naive_stepper_agrees(plant, data, filled):
    given_ = data.draw(seconds(plant))
    b = plant.battery
    soc = b.soc_min_mwh + filled * (b.soc_max_mwh - b.soc_min_mwh)
    soc = min(max(soc, b.soc_min_mwh), b.soc_max_mwh)
    agree(plant, given_, soc)


def agree(plant, given_, soc):
    fast = respond(plant, given_, rest(plant, soc))
    for name, values in naive(plant, given_, soc).items():
        got = getattr(fast, name)
        np.testing.assert_allclose(
            got, values.reshape(got.shape), rtol=0.0, atol=1e-9, err_msg=name
        )


@pytest.mark.parametrize("dt_s", [0.5, 1.0, 2.0, 4.0])
def test_it_agrees_at_other_lengths_of_a_step(dt_s):
    plant = replace(PLANT, dt_s=dt_s)
    n = round(2400 / dt_s)
    at_s = np.arange(n) * dt_s
    limit = np.where((at_s > 600) & (at_s < 1500), 70.0, 250.0)
    trip = (at_s >= 1700) & (at_s < 1900)
    asked = 30.0 * np.sin(np.arange(600) / 40.0)
    hz = 50.0 + 0.1 * np.sin(at_s / 50.0)
    given_ = calm(
        n, limit_mw=limit, trip=trip, setpoints=Setpoints.of(asked), frequency_hz=hz, notice_s=60.0
    )
    agree(plant, given_, 60.0)
    assert respond(plant, given_, rest(plant, 60.0)).grid_mw.max() <= 250.0 + 1e-9
