"""The AI-gigafactory tender: bands at their bounds, lots, weights, and who takes part."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path

import pytest

from gigafactory.assess.results import Finding, Grade
from gigafactory.assess.tender import (
    assess_tender,
    award_shares,
    backup_hours,
    backup_of,
    band_of,
    it_load_mw,
)
from gigafactory.engine.errors import BadInput
from tests.assess.cases import a_year, bundled, changed, dossier, paper, subject, write_series

SITE = "maasvlakte"


@pytest.mark.parametrize(
    ("key", "figures", "band", "met"),
    [
        ("renewables", {"hourly": 1.0, "annual": 1.0}, "excellent", True),
        ("renewables", {"hourly": 0.99, "annual": 1.0}, "good", True),
        ("renewables", {"hourly": 0.7, "annual": 0.8}, "good", True),
        ("renewables", {"hourly": 0.7, "annual": 0.79}, "acceptable", True),
        ("renewables", {"hourly": 0.4, "annual": 0.5}, "acceptable", True),
        ("renewables", {"hourly": 0.4, "annual": 0.49}, "poor", False),
        ("pue", {"pue": 1.10}, "excellent", True),
        ("pue", {"pue": 1.11}, "unpublished", True),
        ("pue", {"pue": 1.25}, "unpublished", True),
        ("pue", {"pue": 1.26}, "poor", False),
        ("flexibility", {"means": 3}, "excellent", True),
        ("flexibility", {"means": 1}, "unpublished", True),
        ("flexibility", {"means": 0}, "poor", False),
        ("backup", {"hours": 72}, "good", True),
        ("backup", {"hours": 48}, "acceptable", True),
        ("backup", {"hours": 47.9}, "poor", False),
        ("it_share", {"share": 0.9}, "excellent", True),
        ("it_share", {"share": 0.85}, "acceptable", True),
        ("it_share", {"share": 0.84}, "poor", False),
    ],
)
def test_bands_at_their_bounds(key: str, figures: dict[str, float], band: str, met: bool) -> None:
    assert band_of(key, figures) == (band, met)


def test_flexibility_decides_two_thousandths_of_the_award_and_firm_power_eight_times_that() -> None:
    shares = award_shares()
    # 0.5 of the award x 40 % technical x points of 100
    assert shares["flexibility"] == pytest.approx(0.5 * 0.4 * 1 / 100)
    assert shares["power_infrastructure"] == pytest.approx(0.016)
    assert shares["power_infrastructure"] / shares["flexibility"] == pytest.approx(8)
    notes = assess_tender(subject()).notes
    assert "0.2 %" in notes["en"][0]
    assert "0,2 %" in notes["nl"][0]


@pytest.mark.parametrize(
    ("load", "battery_mw", "battery_mwh", "generator_mw", "fuel_mwh", "hours"),
    [
        (100, 50, 200, 120, 7200, 74.0),  # generators carry it: (7,200 + 200) / 100
        (100, 50, 200, 80, 1760, 10.0),  # 20 MW from the battery: 200 / 20
        (100, 50, 200, 80, 400, 5.0),  # fuel ends first: 400 / 80
        (100, 50, 200, 40, 4000, 0.0),  # together too weak
        (100, 120, 200, 0, 0, 2.0),  # battery alone
        (100, 0, 0, 120, math.inf, 8784.0),  # gas by pipe
        (0, 0, 0, 0, 0, 8784.0),
    ],
)
def test_hours_without_the_grid_by_hand(
    load: float,
    battery_mw: float,
    battery_mwh: float,
    generator_mw: float,
    fuel_mwh: float,
    hours: float,
) -> None:
    found = backup_hours(load, battery_mw, battery_mwh, generator_mw, fuel_mwh)
    assert found == pytest.approx(hours)


def test_a_generator_that_does_not_exist_yet_carries_nothing(tmp_path: Path) -> None:
    later = changed({"energy.generators.0.commissioned": "2030-01-01"}, tmp_path)
    assert backup_of(subject(later), 60.0).hours == 0.0
    assert backup_of(subject(), 60.0).hours > 20.0


def test_lots_are_answered_apart_and_megawatts_never_follow_from_size() -> None:
    found = {f.criterion: f for f in assess_tender(subject()).findings}
    assert [found[f"lot_{n}.phase_2"].threshold for n in (1, 2)] == [75_000, 100_000]
    assert [found[f"lot_{n}.it_load"].threshold for n in (1, 2)] == [120, 150]
    assert found["lot_2.phase_2"].grade is Grade.MET
    assert found["lot_2.it_load"].grade is Grade.UNMET
    # 60,000 B200 at 1.246 kW and 40,000 H200 at 0.983 kW or so, network included
    assert found["lot_1.it_load"].value == pytest.approx(it_load_mw(subject()))


def test_a_run_before_the_tender_is_held_against_it_and_told() -> None:
    assessed = assess_tender(subject(today=dt.date(2025, 12, 31)))
    assert "lot_1.phase_1" in {f.criterion for f in assessed.findings}
    assert any("30 July 2026" in note for note in assessed.notes["en"])


def test_the_netherlands_does_not_take_part_unless_a_scenario_says_so(tmp_path: Path) -> None:
    assessed = assess_tender(subject())
    assert assessed.of("participation").grade is Grade.UNMET
    assert assessed.of("participation").gate
    assert "18 Member States" in assessed.held_back["award"]["en"]
    told = dossier(tmp_path, tender={"assume_participating": ["NL"]})
    assumed = assess_tender(subject(told=told))
    assert assumed.of("participation").grade is Grade.UNVERIFIED
    assert "assumes" in assumed.held_back["award"]["en"]
    german = changed({f"sites.{SITE}.place.country": "DE"}, tmp_path)
    inside = assess_tender(subject(german))
    assert inside.of("participation").grade is Grade.MET
    assert inside.held_back == {}


def test_grid_facts_count_with_an_agreement_somebody_checked(tmp_path: Path) -> None:
    def grades(**file: object) -> set[Grade]:
        told = dossier(tmp_path, tender=file)
        return {f.grade for f in assess_tender(subject(told=told)).findings if f.group == "grid"}

    assert grades(agreements=[paper()]) == {Grade.MET}
    assert grades(agreements=[paper(None)]) == {Grade.UNVERIFIED}
    assert grades(agreements=[paper(expires="2026-06-01")]) == {Grade.UNVERIFIED}
    with pytest.raises(BadInput):
        grades(assume_participating=["Netherlands"])


def test_bands_are_computed_from_the_hours_of_a_run(tmp_path: Path) -> None:
    hours = {
        "it_mw": [100.0, 119.0], "import_mw": [112.0, 132.0], "export_mw": [0.0, 0.0],
        "generation_mw": [0.0, 0.0], "charge_mw": [0.0, 0.0], "discharge_mw": [0.0, 0.0],
    }  # fmt: skip
    run = write_series(tmp_path / "run", hours, dt.date(2025, 1, 1))
    summary = a_year(
        carbon={"cfe_share": 0.62, "annual_matched_share": 0.81},
        flexibility={"put_off_gpu_h2": 12.0},
        energy={"discharge_mwh": 5.0},
        transport={"calls": [{"accepted": 3}]},
    )
    found: dict[str, Finding] = {
        f.criterion: f for f in assess_tender(subject(summary=summary, run=run)).findings
    }
    assert "81.0 % over the period: good" in found["renewables"].why["en"]
    assert found["flexibility"].value == 3
    # (112 + 132) / (219 x 1.01): ratio of sums at the UPS output
    assert found["pue"].value == pytest.approx(244 / (219 * 1.01))
    # 119 MW of 100 MW firm and 40 MW duration-bound
    assert found["it_share"].value == pytest.approx(119 / 140)
    assert found["it_share"].grade is Grade.MET
    # load 122 MW: diesels 80 MW, battery 42 MW of its 200 x 0.9 x 0.95 = 171 MWh
    assert found["backup"].value == pytest.approx(171 / 42)
    assert found["backup"].grade is Grade.UNMET


def test_without_a_run_bands_are_not_guessed() -> None:
    found = [f for f in assess_tender(subject()).findings if f.group == "bands"]
    assert {f.grade for f in found} == {Grade.UNVERIFIED}
    assert len(found) == 5
    assert bundled("rotterdam").name == "rotterdam"
