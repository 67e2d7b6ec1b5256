"""The compiled stepper agrees with the readable one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.planner import respond, rest
from tests.planner.naive_seconds import naive
from tests.planner.response_cases import plants, seconds


@settings(max_examples=60)
@given(plants(), st.data(), st.floats(0.0, 1.0))
def test_the_naive_stepper_agrees(plant, data, filled):
    given_ = data.draw(seconds(plant))
    b = plant.battery
    soc = b.soc_min_mwh + filled * (b.soc_max_mwh - b.soc_min_mwh)
    soc = min(max(soc, b.soc_min_mwh), b.soc_max_mwh)
    fast = respond(plant, given_, rest(plant, soc))
    for name, values in naive(plant, given_, soc).items():
        got = getattr(fast, name)
        np.testing.assert_allclose(
            got, values.reshape(got.shape), rtol=0.0, atol=1e-9, err_msg=name
        )
