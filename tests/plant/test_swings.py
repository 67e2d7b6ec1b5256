"""Training's swings at tenths of a second, and storage that hides them from the grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.engine.streams import stream
from gigafactory.plant.swings import (
    STEP_S,
    Smoother,
    SwingShape,
    smooth,
    steepest_mw_per_s,
    swings,
)

SHAPE = SwingShape(100.0, 40.0, 25.0, 2.0, 0.25, 600.0, 30.0)


def test_the_shape_has_its_period_depth_and_checkpoints():
    power = swings(SHAPE, 1300.0)
    assert len(power) == 13_000
    assert power[:20].tolist() == [100.0] * 15 + [40.0] * 5
    assert np.array_equal(power[:5000], np.tile(power[:20], 250)), "the same step again and again"
    assert np.all(power[6000:6300] == 25.0), "a pause for the checkpoint"
    assert set(power.tolist()) == {100.0, 40.0, 25.0}
    assert np.mean(power[:6000]) == pytest.approx(0.75 * 100.0 + 0.25 * 40.0)
    assert steepest_mw_per_s(power) == pytest.approx(75.0 / STEP_S)


def test_the_dominant_frequency_is_that_of_the_training_step():
    power = swings(SwingShape(100.0, 40.0, 25.0, 2.5, 0.2, 0.0), 1000.0)
    spectrum = np.abs(np.fft.rfft(power - power.mean()))
    assert np.fft.rfftfreq(len(power), STEP_S)[spectrum.argmax()] == pytest.approx(1 / 2.5)


def test_chance_comes_only_from_the_stream_that_is_passed():
    one, two = (swings(SHAPE, 300.0, stream(3, "swings")) for _ in range(2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, swings(SHAPE, 300.0, stream(4, "swings")))


def test_storage_keeps_the_grid_within_its_ramp():
    load = swings(SHAPE, 1800.0)
    done = smooth(Smoother(90.0, 2.0, 0.7, 60.0), load)
    assert not done.broken.any()
    assert steepest_mw_per_s(done.grid_mw) <= 0.7 + 1e-6
    assert steepest_mw_per_s(load) > 700.0


def test_storage_that_is_too_small_is_told():
    load = swings(SHAPE, 1800.0)
    done = smooth(Smoother(10.0, 0.01, 0.7), load)
    assert done.broken.any()
    still = ~done.broken
    step = np.abs(np.diff(done.grid_mw, prepend=load[0]))
    assert np.all(step[still] <= 0.07 + 1e-9)
    assert np.all(step[done.broken] > 0.07)


@given(
    st.floats(0.0, 120.0), st.floats(0.0, 3.0), st.floats(0.01, 50.0), st.integers(0, 2**32),
    st.floats(0.0, 1.0),
)  # fmt: skip
def test_energy_is_conserved_and_no_rating_exceeded(power, energy, ramp, seed, filled):
    load = stream(seed, "load").uniform(0.0, 100.0, 300)
    stored = min(filled * energy, energy)
    done = smooth(Smoother(power, energy, ramp), load, stored)
    np.testing.assert_allclose(done.grid_mw + done.storage_mw, load, atol=1e-9)
    assert np.all(np.abs(done.storage_mw) <= power + 1e-9)
    assert np.all((done.stored_mwh >= 0.0) & (done.stored_mwh <= energy))
    out, into = done.storage_mw.clip(0.0), -done.storage_mw.clip(None, 0.0)
    flow = (into * 0.97 - out / 0.97) * STEP_S / 3600.0
    np.testing.assert_allclose(np.diff(done.stored_mwh, prepend=stored), flow, atol=1e-9)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(BadInput) as caught:
        SwingShape(10.0, 20.0, -1.0, 0.0, 1.0, 5.0, 10.0)
    assert [p.field for p in caught.value.problems] == [
        "idle_mw", "checkpoint_mw", "step_s", "dip_share", "every_s",
    ]  # fmt: skip
    with pytest.raises(BadInput) as caught:
        Smoother(-1.0, float("nan"), 0.0)
    assert [p.field for p in caught.value.problems] == ["power_mw", "energy_mwh", "ramp_mw_per_s"]
    with pytest.raises(BadInput, match="length_s"):
        swings(SHAPE, float("inf"))
    with pytest.raises(BadInput, match="finite"):
        smooth(Smoother(1.0, 1.0, 1.0), np.array([1.0, np.nan]))
    with pytest.raises(BadInput, match="stored_mwh"):
        smooth(Smoother(1.0, 1.0, 1.0), np.ones(3), 2.0)
