"""A run beside the country's climate targets, worked out by hand."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from gigafactory.assess.climate import allowed_kg_per_year, beside_targets, climate_figures
from gigafactory.assess.footprint import footprint_of
from gigafactory.assess.subject import Subject, subject_of
from gigafactory.engine.errors import BadInput
from gigafactory.report.footprint import footprint_lines

SUMMARY = {
    "start": "2025-01-01",
    "days_done": 365,
    "accelerator_hours": {"useful": 50e6, "installed": 100e6},
    "co2_kg": {"location": 200e6, "market": 50e6, "stack": 10e6},
    "carbon": {"import_mwh": 1e6, "hourly_kg": 80e6},
}


def ran(place: Path, **changes: object) -> Subject:
    base = subject_of("rotterdam", dt.date(2026, 1, 1))
    return replace(base, run=place, summary=SUMMARY | changes)


def test_the_allowance_lies_on_straight_lines_through_the_targets() -> None:
    """221 Mt in 1990: 66 % of it in 2023, 45 % in 2030, nothing in 2050."""
    assert allowed_kg_per_year(2019) == allowed_kg_per_year(2023)
    assert allowed_kg_per_year(2023) == pytest.approx(221e9 * 0.66)
    assert allowed_kg_per_year(2025) == pytest.approx(221e9 * (1 - (0.34 + 0.21 * 2 / 7)))
    assert allowed_kg_per_year(2030) == pytest.approx(99.45e9)
    assert allowed_kg_per_year(2040) == pytest.approx(99.45e9 / 2)
    assert allowed_kg_per_year(2050) == allowed_kg_per_year(2060) == 0.0


def test_both_counts_of_scope_2_stand_together_beside_national_targets(tmp_path: Path) -> None:
    """In 2025 132.6 Mt are allowed: 210 kt by the grid are 0.158 % of it, 60 kt 0.045 %."""
    subject = ran(tmp_path)
    found = footprint_of(subject)
    told = beside_targets(subject, found)
    assert told is not None
    assert told.allowed_kg == pytest.approx(132.6e9)
    assert told.location_share == pytest.approx(210e6 / 132.6e9)
    assert told.market_share == pytest.approx(60e6 / 132.6e9)
    assert told.scope_3_kg.low == pytest.approx(found.capital_kg.low + 74e6)
    assert told.scope_3_kg.high > told.scope_3_kg.low
    month = ran(tmp_path, days_done=73)
    fifth = beside_targets(month, footprint_of(month))
    assert fifth is not None
    assert fifth.allowed_kg == pytest.approx(told.allowed_kg / 5)
    for lang, words in (("en", "by the grid"), ("nl", "volgens het net")):
        (line,) = [
            text for text in footprint_lines(found, None, lang, told) if "2030" in text
        ]  # fmt: skip
        assert words in line
        assert "132.60" in line or "132,60" in line
        assert "0.158 %" in line or "0,158 %" in line
        assert "0.045 %" in line or "0,045 %" in line


def test_elsewhere_and_without_an_allowance_it_is_not_told(tmp_path: Path) -> None:
    late = ran(tmp_path, start="2051-01-01")
    with pytest.raises(BadInput, match="may emit nothing"):
        beside_targets(late, footprint_of(late))
    here = ran(tmp_path)
    site = here.factory.sites["maasvlakte"]
    moved = site.model_copy(update={"place": site.place.model_copy(update={"country": "NO"})})
    abroad = here.factory.model_copy(update={"sites": {"maasvlakte": moved}})
    assert beside_targets(replace(here, factory=abroad), footprint_of(here)) is None


def test_every_figure_has_its_source() -> None:
    for name, factor in climate_figures().items():
        assert factor.source.source, name
        assert factor.source.mark, name
