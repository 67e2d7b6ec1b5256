"""Waste heat: pumps, hand-off, homes by rule and by the hour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.plant.heat import (
    HeatNetwork,
    deliver,
    erf,
    heat_balance,
    heat_pump_cop,
    homes_by_hour,
    homes_by_rule,
)


def test_cop_by_hand_and_against_published_values() -> None:
    assert heat_pump_cop(75.0, 42.0, 0.5) == pytest.approx(0.5 * 348.15 / 33.0)
    # published: 2.5 to 3.5 from waste heat near 30 degC into a classic network
    assert 2.5 <= heat_pump_cop(85.0, 30.0, 0.5) <= 3.5
    assert np.isinf(heat_pump_cop(40.0, 45.0))


def test_delivery_by_hand() -> None:
    network = HeatNetwork(capacity_mw=30.0, sink_c=72.0, quality=0.5, pinch_k=3.0)
    out = deliver(network, np.array([25.0, 25.0, 0.0]), 42.0, np.array([1.0, 0.1, 1.0]))
    cop = 0.5 * 348.15 / 33.0
    np.testing.assert_allclose(out.reuse_mw, [25.0, 3.0, 0.0])
    np.testing.assert_allclose(out.delivered_mw, np.array([25.0, 3.0, 0.0]) * cop / (cop - 1))
    np.testing.assert_allclose(out.pump_mw, np.array([25.0, 3.0, 0.0]) / (cop - 1))
    np.testing.assert_allclose(out.unused_mw, [0.0, 22.0, 0.0])
    direct = deliver(HeatNetwork(30.0, sink_c=40.0), 25.0, 45.0, 1.0)
    assert direct.pump_mw == 0.0
    assert direct.delivered_mw == 25.0


@given(st.floats(0, 200), st.floats(15, 65), st.floats(0, 1), st.floats(0, 100), st.floats(40, 90))
def test_heat_is_conserved(
    have: float, source: float, demand: float, capacity: float, sink: float
) -> None:
    out = deliver(HeatNetwork(capacity, sink_c=sink), have, source, demand)
    assert out.reuse_mw + out.unused_mw == pytest.approx(have)
    assert out.delivered_mw == pytest.approx(float(out.reuse_mw + out.pump_mw))
    assert 0.0 <= out.reuse_mw <= capacity * demand + 1e-12
    assert out.pump_mw >= 0.0


def test_homes_by_the_annual_rule() -> None:
    low, high = homes_by_rule(25.0)
    assert low == 15_000
    assert high == 17_500


def test_homes_by_the_hour_show_the_summer() -> None:
    # half the hours cold (demand 1), half warm (0.2): 25 MW and 15,000 homes of 9 MWh
    demand = np.tile([1.0, 0.2], 4383)
    check = homes_by_hour(15_000, 25.0, demand, 1.0)
    # mean want 15.4 MW: cold 2/1.2 of it = 25.667 MW, warm 5.133 MW
    want = 15_000 * 9.0 / 8766
    assert check.need_mwh == pytest.approx(135_000.0)
    assert check.short_hours == 4383
    assert check.covered_mwh == pytest.approx(4383 * (25.0 + want * 0.4 / 1.2))
    assert check.surplus_mwh == pytest.approx(4383 * (25.0 - want * 0.4 / 1.2))
    assert check.homes_always == pytest.approx(15_000 * 25.0 / (want * 2 / 1.2))
    assert check.covered_share == pytest.approx(check.covered_mwh / 135_000)


def test_the_rule_holds_only_with_a_flat_demand_at_seventy_percent() -> None:
    # 25 MW, 70 % of the year used, 9 MWh per home: 681 homes per MW
    check = homes_by_hour(17_033.0, 25.0 * 0.7, np.ones(8766), 1.0)
    assert check.covered_share == pytest.approx(1.0, abs=0.002)


def test_erf_and_bad_settings() -> None:
    assert erf(25.0, 100.0) == 0.25
    assert np.isnan(erf(1.0, 0.0))
    with pytest.raises(BadInput) as caught:
        HeatNetwork(-1.0, sink_c=400.0, quality=float("nan"))
    assert len(caught.value.problems) == 3


def test_the_balance_by_month_adds_up_to_the_check_by_hour() -> None:
    demand = np.array([3.0, 2.0, 0.0, 1.0])
    month = [1, 1, 7, 12]
    of = heat_balance(700.0, 1.0, demand, 2191.5, month)
    check = homes_by_hour(700.0, 1.0, demand, 2191.5)
    # 700 homes want 6,300 MWh: 3,150, 2,100, 0 and 1,050 in quarters of 2,191.5 h at 1 MW
    assert of.part == (1, 7, 12)
    assert of.need_mwh == pytest.approx([5250.0, 0.0, 1050.0])
    assert of.surplus_mwh == pytest.approx([91.5, 2191.5, 1141.5])
    assert of.short_mwh == pytest.approx([958.5, 0.0, 0.0])
    assert of.covered_mwh.sum() == pytest.approx(check.covered_mwh)
    assert of.surplus_mwh.sum() == pytest.approx(check.surplus_mwh)
    with pytest.raises(BadInput) as caught:
        heat_balance(-1.0, np.nan, 1.0, 1.0, month)
    assert len(caught.value.problems) == 2
