"""Losses, cooling and water: hours worked by hand, bounds as properties, a real year."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.plant.thermal import (
    TECHNOLOGIES,
    CoolingDesign,
    Electrical,
    overhead,
    pue,
    site_factor,
    typical,
    wet_bulb_c,
    wue_l_per_kwh,
)

LOSSLESS = Electrical(
    ups_efficiency=1.0, transformer_loss_fraction=0.0, distribution_loss_fraction=0.0
)


def test_wet_bulb_of_stulls_own_example_and_at_the_edges() -> None:
    # Stull (2011): 20 degC and 50 % gives 13.7 degC
    assert wet_bulb_c(20.0, 50.0) == pytest.approx(13.7, abs=0.05)
    # psychrometric tables at sea level: 30 degC and 60 % gives 23.8 degC
    assert wet_bulb_c(30.0, 60.0) == pytest.approx(23.8, abs=0.4)
    wet = wet_bulb_c(np.array([-30.0, -5.0, 20.0, 60.0]), np.array([100.0, 100.0, 100.0, 2.0]))
    dry = np.array([-30.0, -5.0, 20.0, 60.0])
    assert np.all(wet <= dry)
    assert wet[2] == pytest.approx(20.0, abs=0.2)


@given(st.floats(-20, 45), st.floats(5, 99))
def test_wet_bulb_lies_below_the_dry_bulb(dry: float, humidity: float) -> None:
    wet = float(wet_bulb_c(dry, humidity))
    assert dry - 35.0 < wet <= dry


def test_wet_bulb_refuses_fractions_and_gaps() -> None:
    with pytest.raises(BadInput, match="fraction"):
        wet_bulb_c(np.array([10.0, 20.0]), np.array([0.5, 0.9]))
    with pytest.raises(BadInput) as caught:
        wet_bulb_c(np.array([10.0, np.nan]), np.array([50.0, 140.0]))
    assert len(caught.value.problems) == 2


def test_a_dry_cooler_hour_by_hand() -> None:
    design = CoolingDesign(
        "dry", supply_c=32.0, approach_k=8.0, it_design_mw=100.0, exchanger_k=2.0, delta_t_k=10.0,
        fan_fraction=0.02, pump_fraction=0.01, indoor_fraction=0.02, flow_floor=0.1,
    )  # fmt: skip
    out = overhead(design, LOSSLESS, 50.0, 14.0, 10.0)
    # half load: pumps 1 MW x 0.5^3; room for 32 - 2 - 14 = 16 K, twice the approach of 8 K, so
    # fans at 0.5 x 0.5: 2 MW x 0.25^3; indoor 0.02 x 50
    assert out.pump_mw == pytest.approx(0.125)
    assert out.fan_mw == pytest.approx(0.03125)
    assert out.indoor_mw == pytest.approx(1.0)
    assert out.chiller_mw == 0.0
    assert out.free_fraction == 1.0
    assert out.losses_mw == 0.0
    assert out.heat_rejected_mw == pytest.approx(50 + 0.125 + 1.0)
    assert out.source_c == pytest.approx(42.0)
    assert out.water_m3_per_h == 0.0


def test_a_hot_hour_by_hand() -> None:
    design = CoolingDesign(
        "dry", supply_c=32.0, approach_k=8.0, it_design_mw=100.0, exchanger_k=2.0, delta_t_k=10.0,
        fan_fraction=0.02, pump_fraction=0.01, indoor_fraction=0.0, flow_floor=0.1,
        chiller_quality=0.5, chiller_cop_max=20.0,
    )  # fmt: skip
    out = overhead(design, LOSSLESS, 100.0, 27.0, 20.0)
    # 27 + 8 + 2 = 37 reached, supply 32, return 42: half free. Chiller from 30 degC (303.15 K) to
    # 37: COP = 0.5 x 303.15 / 7 = 21.65, held at 20; heat 100 + 1 (pumps): 50.5 / 20
    assert out.free_fraction == pytest.approx(0.5)
    assert out.chiller_mw == pytest.approx(50.5 / 20.0)
    assert out.fan_mw == pytest.approx(2.0)
    none = overhead(design, LOSSLESS, 100.0, 40.0, 20.0)
    # all on the chiller at a lift of 20 K: COP 0.5 x 303.15 / 20 = 7.57875
    assert none.free_fraction == 0.0
    assert none.chiller_mw == pytest.approx(101.0 / 7.57875)


def test_a_tower_hour_by_hand() -> None:
    design = CoolingDesign(
        "evaporative", supply_c=32.0, approach_k=4.0, it_design_mw=100.0, exchanger_k=2.0,
        fan_fraction=0.01, pump_fraction=0.0, indoor_fraction=0.0, tower_range_k=5.0, cycles=4.0,
        drift_fraction=0.0002,
    )  # fmt: skip
    out = overhead(design, LOSSLESS, 100.0, 20.0, 15.0)
    # T = 15 + 4 + 2.5 = 21.5; h_fg = 2500.5 - 49.65855 - 0.600925 = 2450.2405 kJ/kg
    # evaporation = 100,000 kW / 2450.2405 = 40.8123 kg/s = 147.219 m3/h (998 kg/m3)
    # flow = 100,000 / (4.184 x 5) = 4780.1 kg/s, drift 0.95602 kg/s = 3.44857 m3/h
    # blow-down = 147.219 / 3 - 3.449
    assert out.evaporation_m3_per_h == pytest.approx(147.219, abs=0.002)
    assert out.drift_m3_per_h == pytest.approx(3.44857, abs=0.0001)
    assert out.blowdown_m3_per_h == pytest.approx(147.219 / 3 - 3.44857, abs=0.001)
    total = out.evaporation_m3_per_h + out.drift_m3_per_h + out.blowdown_m3_per_h
    assert out.water_m3_per_h == pytest.approx(total)
    assert wue_l_per_kwh(out.water_m3_per_h, 100.0) == pytest.approx(1.963, abs=0.001)


def test_wetted_pads_by_hand() -> None:
    design = CoolingDesign(
        "adiabatic", supply_c=32.0, approach_k=7.0, it_design_mw=100.0, exchanger_k=2.0,
        fan_fraction=0.0, pump_fraction=0.0, indoor_fraction=0.0, wetting=0.8, air_rise_k=10.0,
        cycles=4.0,
    )  # fmt: skip
    cool = overhead(design, LOSSLESS, 100.0, 23.0, 18.0)
    assert cool.water_m3_per_h == 0.0
    assert cool.free_fraction == 1.0
    # 28 degC: air must come in at 23, so pads cool it by 5 K of the 8 x 0.8 they can
    hot = overhead(design, LOSSLESS, 100.0, 28.0, 20.0)
    vapour = 2500.5 - 2.3097 * 20.0 - 0.0013 * 400.0
    evaporation = 100_000 / vapour * (5.0 / 10.0) * 3600 / 998.0
    assert hot.free_fraction == pytest.approx(1.0)
    assert hot.evaporation_m3_per_h == pytest.approx(evaporation)
    assert hot.blowdown_m3_per_h == pytest.approx(evaporation / 3.0)


def test_losses_by_hand() -> None:
    electrical = Electrical(
        ups_efficiency=0.95, transformer_loss_fraction=0.01, distribution_loss_fraction=0.02,
        ups_fixed_share=0.3, transformer_fixed_share=0.25,
    )  # fmt: skip
    design = CoolingDesign(
        "dry", 32.0, 8.0, 100.0, fan_fraction=0.0, pump_fraction=0.0, indoor_fraction=0.0
    )
    per_mw = 1 / 0.95 - 1
    inside_full = 2.0 + per_mw * 102.0
    full = overhead(design, electrical, 100.0, 0.0, 0.0)
    assert full.losses_mw == pytest.approx(inside_full + 0.01 * (100 + inside_full))
    idle = overhead(design, electrical, 0.0, 0.0, 0.0)
    ups = per_mw * 0.3 * 102.0
    assert idle.losses_mw == pytest.approx(ups + 0.01 * (0.25 * (100 + inside_full) + 0.75 * ups))


def test_seawater_follows_the_sea_and_drinks_nothing() -> None:
    design = typical("seawater", 100.0, supply_c=24.0)
    sea = np.array([5.0, 18.0, 22.0])
    out = overhead(design, LOSSLESS, 100.0, 35.0, 25.0, sea)
    assert np.all(out.water_m3_per_h == 0.0)
    assert list(out.free_fraction >= 1.0) == [True, True, False]
    assert out.chiller_mw[2] > 0.0


weather = st.tuples(st.floats(-15, 42), st.floats(10, 99))


@settings(max_examples=150)
@given(
    st.sampled_from(TECHNOLOGIES),
    st.floats(18, 45),
    st.lists(weather, min_size=1, max_size=6),
    st.floats(0.01, 1.0),
    st.floats(0.9, 1.0),
    st.floats(0.0, 0.6),
)
def test_site_power_never_exceeds_the_line(
    technology: str,
    supply_c: float,
    hours: list[tuple[float, float]],
    share: float,
    ups: float,
    floor: float,
) -> None:
    dry, humidity = (np.array(column) for column in zip(*hours, strict=True))
    wet = wet_bulb_c(dry, humidity)
    design = typical(technology, 120.0, supply_c, flow_floor=floor)
    electrical = Electrical(ups_efficiency=ups)
    most = 120.0 * share
    fixed_mw, per_it = site_factor(design, electrical, most, dry, wet)
    assert np.all(fixed_mw >= 0.0)
    assert np.all(per_it >= 1.0)
    for part in (0.0, 1e-6, 0.1, 0.25, 0.5, 0.77, 0.999, 1.0):
        it = most * part
        out = overhead(design, electrical, it, dry, wet)
        assert np.all(it + out.overhead_mw <= fixed_mw + per_it * it)


@settings(max_examples=60)
@given(st.sampled_from(TECHNOLOGIES), weather, st.floats(0.05, 1.0))
def test_overhead_is_whole_and_grows_with_load(
    technology: str, hour: tuple[float, float], share: float
) -> None:
    design = typical(technology, 100.0)
    wet = wet_bulb_c(*hour)
    low = overhead(design, Electrical(), 100.0 * share * 0.9, hour[0], wet)
    high = overhead(design, Electrical(), 100.0 * share, hour[0], wet)
    for out in (low, high):
        parts = out.fan_mw + out.pump_mw + out.indoor_mw + out.chiller_mw
        assert out.cooling_mw == pytest.approx(float(parts))
        assert out.water_m3_per_h >= 0.0
        assert 0.0 <= out.free_fraction <= 1.0
    assert high.overhead_mw >= low.overhead_mw
    assert high.heat_rejected_mw > low.heat_rejected_mw
    assert high.water_m3_per_h >= low.water_m3_per_h


def test_pue_is_a_ratio_of_sums() -> None:
    # 100 MW at 1.1 for one hour and 10 MW at 2.0 for three: (110 + 60) / (100 + 30)
    assert pue([100.0, 10.0], [110.0, 20.0], [1.0, 3.0]) == pytest.approx(170 / 130)
    assert np.isnan(pue([0.0], [1.0], [1.0]))


def test_all_wrong_settings_are_told_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        CoolingDesign("ice", 90.0, -1.0, float("nan"), cycles=0.5)
    assert len(caught.value.problems) == 5
    with pytest.raises(BadInput) as caught:
        Electrical(ups_efficiency=96.0, transformer_loss_fraction=-0.1)
    assert len(caught.value.problems) == 2
    with pytest.raises(BadInput, match="must be one of"):
        typical("magic", 10.0)
    with pytest.raises(BadInput, match="above zero"):
        site_factor(typical("dry", 10.0), Electrical(), 0.0, 10.0, 8.0)


@pytest.mark.data
@pytest.mark.parametrize(
    ("technology", "low", "high", "wue"),
    [
        ("dry", 1.10, 1.14, (0.0, 0.0)),
        ("adiabatic", 1.10, 1.13, (0.01, 0.08)),
        ("evaporative", 1.10, 1.13, (1.9, 2.3)),
        ("seawater", 1.10, 1.13, (0.0, 0.0)),
    ],
)
def test_a_measured_dutch_year_lands_where_such_plants_do(
    data_dir: Path, technology: str, low: float, high: float, wue: tuple[float, float]
) -> None:
    path = data_dir / "grid" / "knmi_debilt_temp_dewpoint_hourly_202408_202508.csv.gz"
    with gzip.open(path, "rt") as file:
        rows = [(float(r["t_0p1c"]) / 10, float(r["td_0p1c"]) / 10) for r in csv.DictReader(file)]
    dry, dew = np.array(rows).T
    magnus = [6.112 * np.exp(17.62 * t / (243.12 + t)) for t in (dew, dry)]
    wet = wet_bulb_c(dry, np.minimum(100.0 * magnus[0] / magnus[1], 100.0))
    out = overhead(typical(technology, 100.0, 32.0), Electrical(), 85.0, dry, wet)
    annual = pue(np.full(dry.size, 85.0), 85.0 + out.overhead_mw, 1.0)
    assert low <= annual <= high
    assert wue[0] <= wue_l_per_kwh(out.water_m3_per_h, np.full(dry.size, 85.0)) <= wue[1]
