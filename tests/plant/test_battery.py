"""The battery: never outside its bounds, energy conserved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.plant.battery import Battery, fit, limits, losses_mwh, step, wear_eur

batteries = st.builds(
    lambda power, energy, into, out, low, high: Battery(
        power, energy, into, out, low * energy, (low + (1 - low) * high) * energy, 12.0
    ),
    st.floats(0, 500),
    st.floats(0.1, 2000),
    st.floats(0.7, 1.0),
    st.floats(0.7, 1.0),
    st.floats(0, 0.5),
    st.floats(0, 1),
)
wishes = st.lists(
    st.tuples(st.floats(-10, 800), st.floats(-10, 800), st.floats(0.01, 2.0)), max_size=20
)


@given(batteries, st.floats(0, 1), wishes)
def test_within_bounds_and_energy_conserved(
    battery: Battery, start: float, wish: list[tuple[float, float, float]]
) -> None:
    soc = battery.soc_min_mwh + start * (battery.soc_max_mwh - battery.soc_min_mwh)
    for charge, discharge, hours in wish:
        into, out = fit(battery, soc, charge, discharge, hours)
        assert min(into, out) == 0.0
        assert into + out <= battery.power_mw
        after = step(battery, soc, into, out, hours)
        assert battery.soc_min_mwh <= after <= battery.soc_max_mwh
        lost = losses_mwh(battery, into, out, hours)
        assert lost >= 0.0
        scale = max(battery.energy_mwh, battery.power_mw * hours)
        assert (into - out) * hours == pytest.approx(after - soc + lost, abs=1e-8 * scale)
        soc = after


def test_an_hour_by_hand() -> None:
    battery = Battery(50.0, 200.0, 0.9, 0.8, 20.0, 180.0, wear_eur_per_mwh=15.0)
    # 8 MWh of room at 90 %: 8.889 MW; 152 MWh of stock at 80 %: 121.6, more than the inverter
    assert limits(battery, 172.0, 1.0) == pytest.approx((8 / 0.9, 50.0))
    assert step(battery, 100.0, 40.0, 0.0, 0.5) == pytest.approx(118.0)
    assert step(battery, 100.0, 0.0, 40.0, 0.5) == pytest.approx(75.0)
    # both ways at once is allowed within the inverter, and only loses
    assert step(battery, 100.0, 25.0, 25.0, 1.0) == pytest.approx(100 + 22.5 - 31.25)
    assert losses_mwh(battery, 25.0, 25.0, 1.0) == pytest.approx(2.5 + 6.25)
    assert battery.round_trip == pytest.approx(0.72)
    assert wear_eur(battery, 40.0, 0.5) == 300.0


def test_what_the_battery_cannot_do_is_refused() -> None:
    battery = Battery(50.0, 100.0)
    assert battery.soc_max_mwh == 100.0
    with pytest.raises(BadInput, match="share an inverter"):
        step(battery, 50.0, 30.0, 30.0, 0.25)
    with pytest.raises(BadInput, match="share an inverter"):
        step(battery, 50.0, -1.0, 0.0, 0.25)
    with pytest.raises(BadInput, match="must stay"):
        step(battery, 99.0, 50.0, 0.0, 1.0)
    with pytest.raises(BadInput) as caught:
        Battery(-1.0, 100.0, charge_efficiency=1.2, soc_min_mwh=101.0)
    assert len(caught.value.problems) >= 3


def test_no_battery_is_a_battery_too() -> None:
    none = Battery(0.0, 0.0)
    assert limits(none, 0.0, 0.25) == (0.0, 0.0)
    assert step(none, 0.0, 0.0, 0.0, 0.25) == 0.0
