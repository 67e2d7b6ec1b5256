"""Noise and air: gaps stay gaps, and a limit is judged on measured time only."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.plant.monitoring import Monitored, exceedance, lden_db, level_db

NAN = math.nan


def noise(values: list[float], hours: float = 1.0) -> Monitored:
    return Monitored("noise, fence", "dB(A)", np.array(values), np.array(hours), "a meter", 2026)


def test_gaps_are_seen() -> None:
    of = noise([40.0, NAN, NAN, 50.0, NAN], 0.5)
    assert of.covered_share == pytest.approx(0.4)
    assert of.gap_h == 1.5
    assert of.longest_gap_h == 1.0
    assert of.mean() == 45.0
    assert np.isnan(of.values[1])


def test_a_limit_has_three_answers() -> None:
    assert exceedance(noise([40.0, 41.0]), 45.0).judgement == "within"
    of = exceedance(noise([40.0, 50.0, NAN, NAN]), 45.0)
    assert (of.judgement, of.exceeded_h, of.covered_h, of.gap_h) == ("exceeded", 1.0, 2.0, 2.0)
    assert of.exceeded_share == 0.5
    assert exceedance(noise([40.0, NAN]), 45.0).judgement == "not shown"
    assert exceedance(noise([40.0, 50.0, NAN]), 45.0, allowed_h=2.0).judgement == "within"
    assert exceedance(noise([40.0, 50.0, NAN]), 45.0, allowed_h=1.0).judgement == "not shown"
    nothing = exceedance(noise([NAN]), 45.0)
    assert nothing.judgement == "not shown"
    assert math.isnan(nothing.exceeded_share)


def test_sound_is_a_mean_of_energy() -> None:
    # 50 dB is ten times the energy of 40 dB: mean 5.5 x 10^4
    assert level_db(noise([40.0, 50.0])) == pytest.approx(10 * math.log10(5.5e4))
    assert math.isnan(level_db(noise([NAN])))
    # the same level all day: 10 log10(12/24 + 4/24 x 10^0.5 + 8/24 x 10) = 6.4 dB more
    of = lden_db(noise([40.0] * 24), np.arange(24))
    assert of == pytest.approx(40 + 10 * math.log10(0.5 + 10**0.5 / 6 + 10 / 3))
    assert math.isnan(lden_db(noise([40.0] * 12 + [NAN] * 12), np.arange(24)))


def test_bad_input_is_told_all_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        Monitored("a", "dB(A)", np.array([math.inf]), np.array(0.0), "x", 2026, "guessed")
    assert len(caught.value.problems) == 3
    with pytest.raises(BadInput) as caught:
        exceedance(noise([1.0]), NAN, -1.0)
    assert len(caught.value.problems) == 2


@given(
    st.lists(st.one_of(st.just(NAN), st.floats(0, 100)), min_size=1), st.floats(0, 100),
    st.floats(0, 10),
)  # fmt: skip
def test_time_is_measured_or_not(values: list[float], limit: float, allowed: float) -> None:
    of = exceedance(noise(values), limit, allowed)
    assert of.covered_h + of.gap_h == pytest.approx(len(values))
    assert of.exceeded_h <= of.covered_h
    # filling the gaps in either way never turns a firm judgement round
    for fill in (limit - 1.0, limit + 1.0):
        filled = exceedance(noise([fill if math.isnan(v) else v for v in values]), limit, allowed)
        if of.judgement != "not shown":
            assert filled.judgement == of.judgement
