"""Ten thousand draws in seconds, the same for the same seed, always with P10, P50 and P90."""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np
import pytest

from gigafactory.finance.chances import RESULTS, chances, drawn_levers, quantiles, triangle
from gigafactory.finance.years import measure, play
from tests.finance.made_up import rotterdam, simple_base, simple_plan


def test_ten_thousand_draws_in_seconds() -> None:
    began = time.process_time()
    found = chances(rotterdam(), 10_000)
    assert time.process_time() - began < 10.0  # about one on the machine this was written on
    assert found.draws == 10_000
    assert set(found.ranges) == {name for name, _ in RESULTS}


def test_a_seed_is_a_seed() -> None:
    a, b, c = (chances(rotterdam(), 300, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a.values[n], b.values[n], equal_nan=True) for n in a.values)
    assert not np.array_equal(a.values["npv"], c.values["npv"])


def test_more_draws_begin_with_the_same_ones() -> None:
    few, many = chances(rotterdam(), 200), chances(rotterdam(), 2_500)
    assert np.array_equal(few.values["npv"], many.values["npv"][:200])


def test_a_draw_is_what_its_levers_give_alone() -> None:
    levers, found = drawn_levers(rotterdam(), 50, 0), chances(rotterdam(), 50)
    fields = {
        name: value[7] if isinstance(value, np.ndarray) else value
        for name in type(levers).__dataclass_fields__
        if (value := getattr(levers, name)) is not None
    }
    for name in ("capex_factor", "opex_factor"):
        fields[name] = {n: v[7] for n, v in getattr(levers, name).items()}
    alone = measure(play(rotterdam(), type(levers)(**fields)))
    assert alone.npv_eur[0] == pytest.approx(found.values["npv"][7], rel=1e-12)
    assert alone.lcoc_eur_per_gpu_h[0] == pytest.approx(found.values["lcoc"][7], rel=1e-12)


def test_ranges_are_in_order_and_say_their_unit() -> None:
    found = chances(rotterdam(), 2_000).ranges
    for name, unit in RESULTS:
        row = found[name]
        assert row.unit == unit
        values = [v for v in (row.p10, row.p50, row.p90) if not math.isnan(v)]
        assert values == sorted(values)
    assert found["opex"].p10 < found["opex"].p50 < found["opex"].p90
    assert found["capex"].p10 < found["capex"].p90


def test_a_triangle_is_a_triangle() -> None:
    drawn = triangle(3, "test", 200_000, 1.0, 2.0, 5.0)
    assert drawn.min() >= 1.0
    assert drawn.max() <= 5.0
    assert drawn.mean() == pytest.approx((1 + 2 + 5) / 3, abs=0.01)
    assert np.mean(drawn < 2.0) == pytest.approx((2 - 1) / (5 - 1), abs=0.005)
    assert (triangle(0, "test", 10, 2.0, 2.0, 2.0) == 2.0).all()
    assert triangle(0, "test", 1000, 2.0, 2.0, 3.0).min() >= 2.0


def test_delays_come_as_often_as_said() -> None:
    late = drawn_levers(rotterdam(), 20_000, 0).power_delay_years
    assert isinstance(late, np.ndarray)
    assert np.mean(late > 0) == pytest.approx(
        rotterdam().plan.uncertain.power_delay_chance, abs=0.01
    )


def test_no_rate_counts_as_the_lowest() -> None:
    row = quantiles([math.nan, math.nan, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], "rate")
    assert math.isnan(row.p10)
    assert row.p50 == pytest.approx(0.3)
    assert row.none_share == pytest.approx(0.2)


def test_where_nothing_is_unsure_all_draws_are_the_plan() -> None:
    same = {"low": "100 %", "high": "100 %"}
    plan = simple_plan(
        uncertain={
            "price": same, "utilisation": same, "energy_price": same,
            "power_delay": {"low": 0, "base": 0, "high": 0},
            "price_change": {"low": "0 %", "base": "0 %", "high": "0 %"},
        }
    )  # fmt: skip
    base = simple_base(plan)
    chips = dataclasses.replace(base.assets["accelerators"], low_eur=1000.0, high_eur=1000.0)
    base = dataclasses.replace(base, assets={**base.assets, "accelerators": chips})
    found = chances(base, 100)
    assert np.ptp(found.values["npv"]) == 0
    assert found.ranges["npv"].p50 == pytest.approx(measure(play(base)).npv_eur[0])
