"""Power curves: shape, inverse, fits against the data they came from."""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.plant import CLASS_LABELS, load_catalogue
from gigafactory.plant.power import (
    BUNDLED,
    CASES,
    PowerCurve,
    curve_for,
    fabric_w,
    it_power_mw,
    load_curves,
    power_w,
)

TOOL = Path(__file__).parents[2] / "tools" / "fit_power_curves.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fit_power_curves", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fit_power_curves"] = module
    spec.loader.exec_module(module)
    return module


def test_every_curve_is_concave_and_reaches_full_speed() -> None:
    curves, _ = load_curves()
    for curve in curves.values():
        assert 3 <= len(curve.speed) <= 5
        assert 0.5 <= curve.speed_min < 0.75
        assert curve.speed[-1] == curve.dynamic[-1] == 1.0
        slopes = [slope for _, slope in curve.segments()]
        assert all(a <= b + 1e-4 for a, b in pairwise(slopes))
        assert sum(width for width, _ in curve.segments()) == pytest.approx(1 - curve.speed_min)
        # throttling must save: less power per work than running flat out
        assert all(d < s for s, d in zip(curve.speed[:-1], curve.dynamic[:-1], strict=True))


def test_measured_points_lie_near_their_curve() -> None:
    serving = curve_for("H200", "inference_batch")
    assert serving.state == "measured"
    assert serving.rmse < 0.02
    # MLPerf: at 500 of 700 W, Llama2-70B offline keeps 80.7 % of its throughput
    assert serving.speed_at(0.725) == pytest.approx(0.807, abs=0.02)
    # Zeus: V100 at 70 % of its limit keeps about 91 % of its speed
    assert curve_for("V100", "research").speed_at(0.698) == pytest.approx(0.911, abs=0.02)


def test_what_nobody_measured_is_an_assumption_with_a_range() -> None:
    for chip in ("H100", "B200", "Trainium2", "no-such-chip"):
        for label in CLASS_LABELS:
            low, base, high = (curve_for(chip, label, case) for case in CASES)
            assert base.state == "assumption"
            at = np.linspace(0.55, 1.0, 10)
            assert np.all(low.speed_at(at) <= base.speed_at(at) + 1e-12)
            assert np.all(base.speed_at(at) <= high.speed_at(at) + 1e-12)
    assert np.all(curve_for("H100", "research", "low").speed_at(0.7) < 0.81)
    with pytest.raises(BadInput) as caught:
        curve_for("H100", "mining", "hopeful")
    assert len(caught.value.problems) == 2


@given(
    st.sampled_from(["H100", "H200", "V100", "A40"]),
    st.sampled_from(CLASS_LABELS),
    st.sampled_from(CASES),
    st.floats(0.0, 1.0),
)
def test_dynamic_and_speed_are_inverse(chip: str, label: str, case: str, share: float) -> None:
    curve = curve_for(chip, label, case)
    speed = max(share, curve.speed_min)
    assert curve.speed_at(curve.dynamic_at(speed)) == pytest.approx(speed, abs=1e-12)


@pytest.mark.parametrize(
    ("speed", "dynamic"),
    [
        ((0.5, 1.0), (0.4, 1.0)),
        ((0.5, 0.8, 1.0), (0.4, 0.9, 1.0)),
        ((0.5, 0.8, 0.9), (0.3, 0.5, 1.0)),
        ((0.8, 0.5, 1.0), (0.3, 0.5, 1.0)),
        ((0.5, 0.8, 1.0), (0.3, float("nan"), 1.0)),
        ((0.0, 0.8, 1.0), (0.0, 0.5, 1.0)),
    ],
)
def test_a_crooked_curve_cannot_be_built(
    speed: tuple[float, ...], dynamic: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match=r"must|needs|finite|above zero"):
        PowerCurve(speed, dynamic, "x", 2024, "measured", 0.0)


def test_a_bad_curve_file_names_every_problem(tmp_path: Path) -> None:
    content = yaml.safe_load(BUNDLED.read_text())
    content["curves"]["h200_serving"]["speed"][1] = 2.0
    del content["curves"]["a40_training"]["state"]
    content["uses"] = [row for row in content["uses"] if row["chip"] != "*"]
    path = tmp_path / "curves.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(BadInput) as caught:
        load_curves(path)
    fields = [p.field for p in caught.value.problems]
    assert {"curves.h200_serving", "curves.a40_training", "uses.*", "uses.H200"} <= set(fields)


def test_a_pool_by_hand() -> None:
    b200 = load_catalogue()["B200"]
    # 1,000 B200: 600 in training, 400 idle; fabric 10 W each:
    # 1000 x (295 + 10) + 600 x (1246 - 295) = 305,000 + 570,600 W
    power = it_power_mw(b200, {"frontier_training": 600}, 1000, fabric_w_each=10.0)
    assert power == pytest.approx(0.8756, abs=1e-12)
    # throttled to its slowest, only the dynamic part shrinks
    curve = curve_for("B200", "frontier_training")
    slow = it_power_mw(
        b200, {"frontier_training": 600}, 1000, {"frontier_training": 0.0}, fabric_w_each=10.0
    )
    assert slow == pytest.approx(0.305 + 0.5706 * curve.dynamic[0], abs=1e-12)
    assert power_w(b200, "research", 1.0, curve) == pytest.approx(1034.0)
    with pytest.raises(BadInput, match="more accelerators run"):
        it_power_mw(b200, {"research": np.array([5.0, 1001.0])}, 1000)
    with pytest.raises(BadInput, match="can do only"):
        it_power_mw(load_catalogue()["Axelera-Europa"], {"research": 1}, 8)


def test_fabric_power() -> None:
    assert fabric_w(1) == pytest.approx(10.71875)
    assert fabric_w(3) == pytest.approx(53.59375)
    with pytest.raises(ValueError, match="at least one tier"):
        fabric_w(0)


def test_the_fit_finds_a_known_curve(tool: ModuleType) -> None:
    knots = (0.4, 0.6, 0.8, 1.0)
    true = np.array([0.55, 0.8, 0.95, 1.0])
    dynamic = np.linspace(0.4, 1.0, 60)
    fitted, rmse = tool.fit_concave(dynamic, np.interp(dynamic, knots, true), knots)
    np.testing.assert_allclose(fitted, true, atol=1e-9)
    assert rmse < 1e-9


@pytest.mark.data
def test_refit_gives_the_committed_numbers(tool: ModuleType, data_dir: Path) -> None:
    curves, _ = tool.fit_measured(data_dir / "compute")
    curves.update(tool.assume(curves))
    committed = yaml.safe_load(BUNDLED.read_text())["curves"]
    for name, curve in curves.items():
        for key in ("speed", "dynamic"):
            np.testing.assert_allclose(curve[key], committed[name][key], atol=1e-4)
        assert curve["rmse"] == (
            None
            if committed[name]["rmse"] is None
            else pytest.approx(committed[name]["rmse"], abs=1e-4)
        )
        assert curve.get("data") == committed[name].get("data")
    assert set(curves) == set(committed)


@pytest.mark.slow
@pytest.mark.data
def test_node_power_gives_the_committed_numbers(tool: ModuleType, data_dir: Path) -> None:
    found = tool.node_power(data_dir / "compute")
    committed = yaml.safe_load(tool.NODES.read_text())
    assert found == committed


def test_the_catalogue_agrees_with_the_measured_nodes(tool: ModuleType) -> None:
    nodes = yaml.safe_load(tool.NODES.read_text())
    median = {
        (g["submitter"], g["system"][:2], g["benchmark"]): g["median_w"] / 8
        for g in nodes["groups"]
    }
    h100, b200 = load_catalogue()["H100"], load_catalogue()["B200"]
    pairs = {
        ("smc-ac-power", "64", "gpt3"): h100.work_w["frontier_training"],
        ("smc-ac-power", "8x", "llama2_70b_lora"): h100.work_w["research"],
        ("smc-ac-power", "1x", "llama2_70b_lora"): h100.work_w["fine_tuning"],
        ("Lenovo", "SR", "bert"): b200.work_w["frontier_training"],
        ("Lenovo", "SR", "llama2_70b_lora"): b200.work_w["fine_tuning"],
    }
    for key, watts in pairs.items():
        assert watts == pytest.approx(median[key], abs=1.0)
    idle = [g["p1_w"] / 8 for g in nodes["groups"] if g["benchmark"] in ("bert", "unet3d")]
    assert min(idle) < h100.idle_w < 290
    assert nodes["switch_w"] == 686.0
