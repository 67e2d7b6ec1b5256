"""Footprint, receipts and what becomes of accelerators, held against figures worked out by hand."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from gigafactory.assess.circular import Circular, after_first_life, circular_of
from gigafactory.assess.footprint import (
    NOT_COUNTED,
    Span,
    embodied_g_per_h,
    factors,
    footprint_of,
    receipt_of,
)
from gigafactory.assess.subject import Subject, subject_of
from gigafactory.cli import app
from gigafactory.engine.errors import BadInput
from gigafactory.factory.dossier import Dossier
from gigafactory.plant import load_catalogue
from gigafactory.report.footprint import footprint_lines, receipt_lines
from gigafactory.report.voice import texts

DAY = dt.date(2026, 1, 1)


def rotterdam() -> Subject:
    return subject_of("rotterdam", DAY)


def with_run(place: Path, **summary: object) -> Subject:
    """The bundled factory with a run of round figures, and three jobs on its first pool."""
    base = rotterdam()
    pool = base.factory.fleet[0]
    jobs = {
        "job": [0, 1, 2],
        "tenant": ["a", "a", "b"],
        "pool": [pool.name] * 3,
        "chip": [pool.chip] * 3,
        "state": ["completed", "refused", "failed"],
        "gpu_s": [3_600_000, 0, 7200],
        "allocated_gpu_s": [4_320_000, 0, 7200],
        "energy_wh": [1_000_000, 0, 2000],
        "cost_micro_eur": [250_000_000, 0, 1000],
        "co2_location_mg": [300_000_000, 0, 100],
        "co2_market_mg": [100_000_000, 0, 100],
        "co2_stack_mg": [20_000_000, 0, 0],
        "water_ml": [500_000, 0, 0],
    }
    pq.write_table(pa.table(jobs), place / "jobs.parquet")
    told = {
        "accelerator_hours": {"useful": 50e6, "installed": 100e6},
        "co2_kg": {"location": 20e6, "market": 5e6, "stack": 1e6},
        "carbon": {"import_mwh": 100e3, "hourly_kg": 8e6},
    } | summary
    return replace(base, run=place, summary=told)


@pytest.mark.parametrize(
    ("kg", "grams"), [(164.0, 5.3), (500.0, 16.3), (900.0, 29.4)], ids=["hgx", "middle", "high"]
)
def test_carbon_of_making_a_chip_per_hour_as_worked_out_by_hand(kg: float, grams: float) -> None:
    """Five years at 70 %: 164 kg over 30,660 hours are 5.3 g."""
    found = embodied_g_per_h((kg, kg), Span(5.0, 5.0), 0.7)
    assert found.low == pytest.approx(grams, abs=0.06)
    assert found.high == found.low


def test_the_range_spans_methods_and_lives() -> None:
    found = embodied_g_per_h((164.0, 625.0), Span(3.0, 6.0))
    assert found.low == pytest.approx(164_000 / (6 * 8760))
    assert found.high == pytest.approx(625_000 / (3 * 8760))


def test_scopes_of_a_run(tmp_path: Path) -> None:
    found = footprint_of(with_run(tmp_path))
    assert (found.stack_kg, found.location_kg, found.market_kg) == (1e6, 20e6, 5e6)
    assert found.hourly_kg == 8e6
    assert found.chain_kg == pytest.approx(100e3 * 74.0)  # g/kWh are kg/MWh
    # every pool by its share of the fleet, over all hours it stood there
    factory, catalogue = rotterdam().factory, load_catalogue()
    lives = factory.finance.life_years.accelerators
    fleet = sum(p.accelerators for p in factory.fleet)
    mean = [
        sum(p.accelerators * catalogue[p.chip].embodied_kg[end] for p in factory.fleet) / fleet
        for end in (0, 1)
    ]
    assert found.capital_kg.low == pytest.approx(mean[0] * 100e6 / (lives.high * 8760))
    assert found.capital_kg.high == pytest.approx(mean[1] * 100e6 / (lives.low * 8760))
    assert found.capital_kg.high > 3 * found.capital_kg.low  # methods differ; both are told
    whole = 1e6 + 20e6 + 7.4e6 + found.capital_kg.low
    assert found.per_gpu_h_g.low == pytest.approx(1000 * whole / 50e6)
    assert found.embodied_share.low == pytest.approx(found.capital_kg.low / whole)


def test_what_is_not_counted_is_said_in_both_languages(tmp_path: Path) -> None:
    found = footprint_of(with_run(tmp_path))
    for lang in ("en", "nl"):
        lines = footprint_lines(found, None, lang)
        for words in NOT_COUNTED[lang]:
            assert any(words in line for line in lines)
        assert any("74" in line and "2021" in line for line in lines)
    assert len(NOT_COUNTED["en"]) == len(NOT_COUNTED["nl"])


def test_the_receipt_of_a_job_has_place_carbon_water_and_its_share_of_the_embodied(
    tmp_path: Path,
) -> None:
    """1,000 hours delivered, 1,200 held, 1 MWh, 250 EUR, 320 kg by the grid, 500 L."""
    subject = with_run(tmp_path)
    found = receipt_of(subject, 0)
    assert (found.delivered_gpu_h, found.held_gpu_h) == (1000.0, 1200.0)
    assert found.per_gpu_h() == {
        "energy_kwh": 1.0,
        "cost_eur": 0.25,
        "location_g": pytest.approx(320.0),
        "market_g": pytest.approx(120.0),
        "water_l": 0.5,
    }
    assert "NL" in found.place
    chip = load_catalogue()[found.chip]
    lives = subject.factory.finance.life_years.accelerators
    low = chip.embodied_kg[0] * 1200.0 / (lives.high * 8760)
    assert found.embodied_kg.low == pytest.approx(low)
    # SCI = (operation + embodied) per hour delivered; contracts have no place in it
    assert found.sci_g_per_gpu_h.low == pytest.approx(1000 * (320.0 + low) / 1000.0)
    assert 0 < found.embodied_share.low < found.embodied_share.high < 1
    words = "\n".join(receipt_lines(found, "nl"))
    assert "320,0 kg" in words
    assert "ISO/IEC 21031:2024" in words


def test_without_work_there_is_no_receipt(tmp_path: Path) -> None:
    subject = with_run(tmp_path)
    with pytest.raises(BadInput, match="never did any work"):
        receipt_of(subject, 1)
    with pytest.raises(BadInput, match="no such job"):
        receipt_of(subject, 77)
    for ask in (footprint_of, lambda s: receipt_of(s, 0)):
        with pytest.raises(BadInput, match="needs a run"):
            ask(rotterdam())


def test_avoided_mass_and_carbon_of_a_plan_as_worked_out_by_hand(tmp_path: Path) -> None:
    """A tenth refurbished for half a new one: a twentieth of the fleet need not be made."""
    plan = Circular.model_validate(
        {
            "refurbish": {"share": "10 %", "stands_in": "50 %", "residual": "20 %"},
            "cascade": {"share": "0 %", "stands_in": "0 %"},
            "recycle_recovered": "50 %",
            "recycled_content": "25 %",
        }
    )
    subject = rotterdam()
    found = after_first_life(subject, plan)
    n, known = found.units, factors()
    assert n == sum(p.accelerators for p in subject.factory.fleet)
    assert (found.kept, found.recycled) == (pytest.approx(0.1 * n), pytest.approx(0.9 * n))
    mass = known["mass_kg"].value
    assert found.avoided_mass_kg == pytest.approx(0.05 * n * mass)
    embodied = sum(
        p.accelerators * load_catalogue()[p.chip].embodied_kg[1] for p in subject.factory.fleet
    )
    assert found.avoided_co2_kg.high == pytest.approx(0.05 * embodied)
    boards_t = 0.9 * n * mass * known["board_share"].value / 1000
    assert found.recovered_kg["gold"] == pytest.approx(boards_t * 855 / 1000 * 0.5)
    assert found.primary_kg == pytest.approx(0.75 * n * mass)
    price = sum(
        p.accelerators * load_catalogue()[p.chip].price_eur[0] for p in subject.factory.fleet
    )
    assert found.residual_eur.low == pytest.approx(0.02 * price)


def test_the_bundled_plan_is_there_and_a_factory_without_one_says_so(tmp_path: Path) -> None:
    subject = with_run(tmp_path)
    plan = circular_of(subject)
    assert plan is not None
    lines = footprint_lines(footprint_of(subject), after_first_life(subject, plan))
    assert any("need not be made" in line for line in lines)
    bare = replace(subject, dossier=Dossier())
    assert circular_of(bare) is None
    assert "circular.yaml" in footprint_lines(footprint_of(bare))[-1]


def test_every_factor_has_a_source_and_what_is_not_verified_is_an_assumption() -> None:
    for name, factor in factors().items():
        assert factor.source.source, name
        if factor.source.mark == "unverified":
            assert factor.source.state == "assumption", name


def test_both_languages_have_the_same_words() -> None:
    english, dutch = texts("en"), texts("nl")
    keys = {k for k in english if k.startswith(("emissions.", "job_receipt."))}
    assert len(keys) > 20
    assert keys == {k for k in dutch if k.startswith(("emissions.", "job_receipt."))}


def test_the_command_refuses_what_is_not_a_run(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps({"days_done": 0}), "utf-8")
    result = CliRunner().invoke(app, ["footprint", str(tmp_path)])
    assert isinstance(result.exception, BadInput)
