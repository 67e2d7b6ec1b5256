"""Carbon accounts: every way of counting one load, by hand and as properties."""

import datetime as dt
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.grid.carbon import carbon_account, indirect_water_m3, water_factors

DAY = dt.date(2026, 6, 1)


def test_two_hours_by_hand():
    of = carbon_account(
        load_mwh=[10.0, 10.0],
        cfe_mwh=[15.0, 5.0],
        average_kg_per_mwh=[100.0, 300.0],
        residual_kg_per_mwh=[400.0, 500.0],
        hour=[0, 1],
        marginal_kg_per_mwh=[450.0, -50.0],
        grid_cfe_share=[0.5, 0.2],
    )
    assert of.location_total_kg == 4000.0
    assert of.annual_matched_share == 1.0
    assert of.market_total_kg == 0.0
    assert of.cfe_share == 0.75
    assert of.hours_matched_share == 0.5
    assert of.hourly_kg.tolist() == [0.0, 2500.0]
    assert of.cfe_with_grid_share == pytest.approx((10 + 5 + 0.2 * 5) / 20)
    assert of.marginal_total_kg == 4000.0
    assert of.excess_mwh.tolist() == [5.0, 0.0]


def test_quarters_are_matched_within_their_hour():
    of = carbon_account(
        load_mwh=[2.5] * 4,
        cfe_mwh=[10.0, 0.0, 0.0, 0.0],
        average_kg_per_mwh=200.0,
        residual_kg_per_mwh=400.0,
        hour=[0, 0, 0, 0],
    )
    assert of.cfe_share == 1.0
    assert of.hourly_total_kg == 0.0
    assert math.isnan(of.marginal_total_kg)
    assert math.isnan(of.cfe_with_grid_share)


def test_no_load_has_no_share():
    of = carbon_account(
        load_mwh=[0.0], cfe_mwh=[1.0], average_kg_per_mwh=1.0, residual_kg_per_mwh=1.0, hour=[0]
    )
    assert of.location_total_kg == of.hourly_total_kg == of.market_total_kg == 0.0
    assert math.isnan(of.cfe_share)
    assert math.isnan(of.hours_matched_share)
    assert math.isnan(of.annual_matched_share)


def test_water_of_a_mix_by_hand():
    # 0.5 x 0.95 + 0.5 x 0.004 = 0.477 m3/MWh
    got = indirect_water_m3([100.0, 0.0], {"gas": 0.5, "wind": [0.5, 0.5]}, DAY)
    assert got == pytest.approx([47.7, 0.0])
    assert all(
        f.origin.mark in ("verified", "read", "unverified") for f in water_factors(DAY).values()
    )


def test_bad_input_is_told_all_at_once():
    with pytest.raises(BadInput) as caught:
        carbon_account(
            load_mwh=[1.0, -1.0],
            cfe_mwh=[1.0],
            average_kg_per_mwh=math.nan,
            residual_kg_per_mwh=1.0,
            hour=[0, 2],
            grid_cfe_share=1.5,
        )
    assert len(caught.value.problems) == 5
    with pytest.raises(BadInput) as caught:
        indirect_water_m3([1.0], {"gas": 0.5, "peat": 0.4}, DAY)
    assert len(caught.value.problems) == 2


@given(
    st.lists(
        st.tuples(
            st.floats(0, 100), st.floats(0, 200), st.floats(0, 800), st.floats(0, 800),
            st.booleans(), st.floats(0, 1),
        ),
        min_size=1,
    )
)  # fmt: skip
def test_matching_by_the_hour_is_never_the_kinder_count(drawn):
    load, cfe, average, residual, turns, share = (np.array(x) for x in zip(*drawn, strict=True))
    hour = np.concatenate([[0], np.cumsum(turns[1:])]).astype(int)
    of = carbon_account(
        load_mwh=load,
        cfe_mwh=cfe,
        average_kg_per_mwh=average,
        residual_kg_per_mwh=residual,
        hour=hour,
        grid_cfe_share=share,
    )
    assert np.all(of.matched_mwh <= of.load_mwh)
    assert of.matched_mwh + of.excess_mwh == pytest.approx(
        np.bincount(hour, cfe, hour[-1] + 1), abs=1e-9
    )
    assert np.all(of.hourly_kg >= 0.0)
    if load.sum() > 1e-6:
        assert of.cfe_share <= of.annual_matched_share + 1e-9
        assert of.cfe_share <= of.cfe_with_grid_share + 1e-9
        assert of.cfe_with_grid_share <= 1.0 + 1e-9


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 200)), min_size=1))
def test_with_one_residual_mix_the_hourly_count_is_never_below_the_yearly_one(drawn):
    load, cfe = (np.array(x) for x in zip(*drawn, strict=True))
    of = carbon_account(
        load_mwh=load,
        cfe_mwh=cfe,
        average_kg_per_mwh=300.0,
        residual_kg_per_mwh=400.0,
        hour=np.arange(len(load)),
    )
    assert of.hourly_total_kg >= of.market_total_kg - 1e-6
