"""The worked example of levelised cost gives the figures it was published with."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from gigafactory.finance.reference import case, levelised_usd, reference

EXAMPLE = reference()


@pytest.mark.parametrize("golden", EXAMPLE.golden, ids=lambda golden: golden.name)
def test_every_figure_comes_out_to_the_cent(golden) -> None:  # type: ignore[no-untyped-def]
    assert f"{case(EXAMPLE, golden):.2f}" == f"{golden.usd_per_gpu_h:.2f}"


def test_the_figures_are_those_of_the_example() -> None:
    told = {golden.name: golden.usd_per_gpu_h for golden in EXAMPLE.golden}
    assert told == {
        "base": 3.34, "utilisation_50": 4.67, "utilisation_90": 2.60, "life_4": 3.74,
        "life_6": 3.08, "wacc_6": 3.07, "wacc_12": 3.62, "power_60": 3.25, "power_130": 3.45,
        "idle_1": 4.29, "idle_2": 5.88,
    }  # fmt: skip


def test_its_parts_come_out_too() -> None:
    parts = levelised_usd(EXAMPLE.rack)
    assert {n: f"{v:.2f}" for n, v in parts.items()} == {
        n: f"{v:.2f}" for n, v in EXAMPLE.components_usd_per_gpu_h.items()
    }


def test_chips_that_wait_for_power_make_every_year_dearer() -> None:
    costs = [sum(levelised_usd(replace(EXAMPLE.rack, idle_years=n)).values()) for n in range(5)]
    assert costs == sorted(costs)
    steps = [b - a for a, b in itertools.pairwise(costs)]
    assert steps == sorted(steps), "each year of waiting costs more than the one before"


def test_by_hand() -> None:
    # 3.4 m over 72 x 8760 x 0.7 hours, times 0.09 / (1 - 1.09^-5) = 0.2570925
    assert levelised_usd(EXAMPLE.rack)["it"] == pytest.approx(
        3.4e6 / (72 * 8760 * 0.7) * 0.2570925, rel=1e-6
    )


def test_results_are_marked_as_derived() -> None:
    assert "derived" in EXAMPLE.sources["results"].source
    assert EXAMPLE.sources["results"].state == "assumption"
    assert EXAMPLE.sources["price"].state == "published"
