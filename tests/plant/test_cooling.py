"""A year of cooling: caps on water, discharge and plumes by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.plant.cooling import (
    MODES,
    WaterCap,
    cooling_year,
    discharge_c,
    plume_excess_kg_per_kg,
    stress_weighted_m3,
)
from gigafactory.plant.thermal import Electrical, overhead, typical

TOWER = typical("evaporative", 100.0)
CHAIN = Electrical()


def span(periods: int, number: int = 0) -> np.ndarray:
    return np.full(periods, number, dtype=np.int64)


def test_without_a_cap_it_is_what_thermal_says() -> None:
    year = cooling_year(TOWER, CHAIN, 80.0, [5.0, 20.0, 35.0], [3.0, 15.0, 25.0], 1.0)
    of = overhead(TOWER, CHAIN, np.full(3, 80.0), [5.0, 20.0, 35.0], [3.0, 15.0, 25.0])
    assert year.pue == pytest.approx((80 + of.overhead_mw) / 80)
    assert year.wue_l_per_kwh == pytest.approx(of.water_m3_per_h / 80)
    assert year.pue_total == pytest.approx((240 + of.overhead_mw.sum()) / 240)
    assert not year.fell_back.any()
    assert year.note == ""
    idle = cooling_year(TOWER, CHAIN, 0.0, 5.0, 3.0, 1.0)
    assert np.isnan(idle.pue[0])
    assert np.isnan(idle.pue_total)


def test_a_spent_cap_turns_dry_and_says_so() -> None:
    each = float(overhead(TOWER, CHAIN, 80.0, 20.0, 15.0).water_m3_per_h)
    caps = [WaterCap("permit, year", 2.5 * each, span(4))]
    year = cooling_year(TOWER, CHAIN, 80.0, [20.0] * 4, 15.0, 1.0, caps=caps)
    assert year.fell_back.tolist() == [False, False, True, True]
    assert year.water_m3.sum() == pytest.approx(2 * each)
    assert year.caps[0].name == "permit, year"
    assert year.caps[0].water_m3 == {0: pytest.approx(2 * each)}
    assert year.caps[0].turned_dry == 2
    assert year.note == "dry for 2 h because water was spent (permit, year)"
    # a cap by the period, only in the drought of the second half
    drought = WaterCap("drought", 0.0, np.array([-1, -1, 0, 1]))
    year = cooling_year(TOWER, CHAIN, 80.0, [20.0] * 4, 15.0, 1.0, caps=[drought])
    assert year.fell_back.tolist() == [False, False, True, True]
    # exactly enough is enough
    caps = [WaterCap("permit", 4 * each, span(4))]
    assert not cooling_year(TOWER, CHAIN, 80.0, [20.0] * 4, 15.0, 1.0, caps=caps).fell_back.any()


def test_the_economiser_says_how_it_ran() -> None:
    dry = typical("dry", 100.0, supply_c=20.0)
    year = cooling_year(dry, CHAIN, 80.0, [0.0, 14.0, 35.0], [0.0, 10.0, 20.0], 1.0)
    assert [MODES[m] for m in year.mode] == ["free", "partial", "chiller"]


def test_discharge_by_hand() -> None:
    # 100 MW into 10 m3/s: 100,000 kW / (1,026 x 3.99 x 10) = 2.4428 K
    assert discharge_c(100.0, 10.0, 15.0) == pytest.approx(15 + 100_000 / (1026 * 3.99 * 10))
    with pytest.raises(BadInput) as caught:
        discharge_c(-1.0, 0.0, np.nan)
    assert len(caught.value.problems) == 3


def test_a_plume_is_seen_in_the_cold_and_damp() -> None:
    assert plume_excess_kg_per_kg(0.0, 95.0, 25.0) > 0.001
    assert plume_excess_kg_per_kg(30.0, 30.0, 25.0) == 0.0
    cold, warm = plume_excess_kg_per_kg([0.0, 15.0], [80.0, 80.0], [25.0, 25.0])
    assert cold > warm


def test_scarce_water_weighs_more() -> None:
    assert stress_weighted_m3([10.0, 10.0], [0.5, 20.0]).tolist() == [5.0, 200.0]
    with pytest.raises(BadInput) as caught:
        stress_weighted_m3([-1.0], [np.nan])
    assert len(caught.value.problems) == 2


def test_bad_input_is_told_all_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        cooling_year(
            TOWER, CHAIN, -1.0, [20.0, 20.0], 15.0, 0.0,
            caps=[WaterCap("a", -1.0, span(3))],
        )  # fmt: skip
    assert len(caught.value.problems) == 4


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 35), st.integers(0, 2)), min_size=1),
    st.floats(0, 2000),
)
def test_a_cap_is_never_overrun(drawn: list[tuple[float, float, int]], cap: float) -> None:
    it, air, month = (np.array(x) for x in zip(*drawn, strict=True))
    caps = [WaterCap("month", cap, month.astype(np.int64))]
    year = cooling_year(TOWER, CHAIN, it, air, air - 3.0, 1.0, caps=caps)
    for m in range(3):
        assert year.water_m3[month == m].sum() <= cap * (1 + 1e-9) + 1e-9
    assert np.all(year.water_m3[year.fell_back] == 0.0)
    some = it >= 1e-6
    assert np.all(year.pue[some] >= 1.0)
