"""The page of benchmark figures: sources, units, and derived values worked out again by hand."""

from __future__ import annotations

import copy
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from gigafactory.engine.errors import BadInput
from gigafactory.factory import classify

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def room() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "make_benchmarks.py"))


@pytest.fixture(scope="module")
def raw(room: dict[str, Any]) -> dict[str, Any]:
    return dict(yaml.safe_load(room["DATA"].read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def value(room: dict[str, Any], raw: dict[str, Any]) -> dict[str, float]:
    return {row.name: row.value for row in room["rows"](raw)}


def test_every_figure_has_source_year_and_state(room: dict[str, Any], raw: dict[str, Any]) -> None:
    given = [row for row in room["rows"](raw) if not row.formula]
    assert len(given) > 15
    assert all(row.source.source and row.source.year >= 2020 for row in given)
    assert all(row.source.mark for row in given)
    by_name = {row.name: row for row in given}
    assert by_name["ppa_share"].source.state == "assumption", "nobody here has checked it"
    broken = copy.deepcopy(raw)
    del broken["figures"]["world_use_2024"]["source"]["year"]
    with pytest.raises(BadInput, match="year"):
        room["rows"](broken)


def test_world_benchmarks_are_there_with_their_source(
    room: dict[str, Any], raw: dict[str, Any], value: dict[str, float]
) -> None:
    assert (value["world_use_2024"], value["world_share_2024"]) == (415, 1.5)
    assert value["world_use_2030"] == 945
    # 415 TWh are 1.5 % of 27,667; 945 / 415 over six years is 14.7 % a year
    assert value["world_total_2024"] == pytest.approx(27_667, abs=1)
    assert value["world_growth"] == pytest.approx(14.70, abs=0.01)
    assert value["nl_total_2024"] == pytest.approx(110.9, abs=0.1)
    page = room["page"](raw)
    (line,) = [text for text in page.splitlines() if "(`world_use_2024`)" in text]
    assert "| 415 | TWh/y | International Energy Agency, Energy and AI, 2025" in line


def test_derived_figures_are_what_their_units_allow(value: dict[str, float]) -> None:
    assert value["programme_per_gw"] == pytest.approx(50.0)  # 850 / 17
    # 17 GW x 8,760 h = 148.92 TWh: over 13 million homes, and beside 415 TWh
    assert value["programme_per_home"] == pytest.approx(148.92e9 / 13e6)
    assert value["programme_of_world"] == pytest.approx(148.92 / 415 * 100)
    assert value["programme_beside_typical"] == pytest.approx(50 / 29)


@pytest.mark.parametrize(
    ("formula", "unit", "told"),
    [
        ("programme_cost / programme_power", "GW", "unit"),
        ("programme_cost / programme_power", "GUSD", "unit"),
        ("programme_cost * programme_power", "GUSD/GW", "unit"),
        ("programme_cost + programme_power", "GUSD", "different kinds"),
        ("programme_cost ** 2", "GUSD", "plain number"),
        ("programme_cost / programme_price", "times", "is no figure"),
        ("max(programme_cost, 1)", "GUSD", "understood"),
        ("programme_cost / programme_power", "GUSD/acre", "not a known unit"),
    ],
)
def test_a_wrong_unit_is_refused(
    room: dict[str, Any], raw: dict[str, Any], formula: str, unit: str, told: str
) -> None:
    broken = copy.deepcopy(raw)
    broken["derived"]["programme_per_gw"] |= {"formula": formula, "unit": unit}
    with pytest.raises(BadInput, match=told):
        room["rows"](broken)


def test_spending_of_the_cloud_companies_is_a_series_with_source_and_date(
    room: dict[str, Any], raw: dict[str, Any], value: dict[str, float]
) -> None:
    years = range(2022, 2027)
    assert [value[f"capex_{year}"] for year in years] == [172, 168, 256, 410, 725]
    assert value["capex_growth_2025"] == pytest.approx(154 / 256 * 100)
    assert value["capex_growth_2026"] == pytest.approx(315 / 410 * 100)
    assert value["capex_since_2022"] == pytest.approx(725 / 172)
    lines = room["page"](raw).splitlines()
    for year in years:
        (line,) = [text for text in lines if f"(`capex_{year}`)" in text]
        assert "8 May 2026" in line
    assert value["meta_to_2028"] == 600


def test_money_counts_by_who_owns_the_investor(room: dict[str, Any], raw: dict[str, Any]) -> None:
    assert room["counted"](raw["investments"]) == {"inside": 0.0, "outside": 1.0}
    (oracle,) = [one for one in raw["investments"] if one["investor"] == "Oracle"]
    assert room["counted"]([oracle | {"owner_country": "DE"}]) == {"inside": 1.0, "outside": 0.0}
    (line,) = [text for text in room["page"](raw).splitlines() if text.startswith("| Oracle")]
    assert "| US | non-EU-owned |" in line
    assert "16 July 2025" in line


def test_the_glossary_shows_both_meanings_and_the_model_follows_the_regulation() -> None:
    page = (ROOT / "docs" / "reference" / "glossary.md").read_text(encoding="utf-8")
    section = page.split("\n## Gigafactory")[1].split("\n## ")[0]
    assert "production of AI hardware" in section
    assert "computing facility" in section
    assert "**This model follows Regulation (EU) 2021/1173, art. 2(3c).**" in section
    # and its thresholds are those the code decides by
    assert "below 25,000" in section
    assert "100,000" in section
    assert (classify(24_999), classify(100_000)) == ("ai_factory", "ai_gigafactory")
