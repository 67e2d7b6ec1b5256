"""The command `supply`: tables, exit codes, both languages, and a scenario on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from gigafactory.cli import main
from gigafactory.engine.errors import EXIT_BAD_INPUT
from gigafactory.factory import load_scenario
from gigafactory.testing.factories import SmallFactory


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["supply", *words]) == 0
    return capsys.readouterr().out


def test_everything_is_told_in_english_and_in_dutch(capsys: pytest.CaptureFixture[str]) -> None:
    english = said(capsys, "rotterdam")
    for words in (
        "Supply graph of AI gigafactory Rotterdam",
        "Concentration by value",
        "Raw materials against the limit of 65% from one third country",
        "Conflict of interest: Eneco supplies Wind from the North Sea",
        "What the graph does not know",
        "What it rests on:",
    ):
        assert words in english
    dutch = said(capsys, "rotterdam", "--lang", "nl")
    for words in (
        "Toeleveringsgraaf van AI-gigafabriek Rotterdam",
        "Grondstoffen naast de grens van 65% uit één derde land",
        "Belangenverstrengeling: Eneco levert Wind van de Noordzee",
        "Zeldzame aarden voor magneten",
    ):
        assert words in dutch
    assert "supply_" not in english + dutch


def test_a_factory_without_a_dossier_says_so(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    SmallFactory().write(here / "small.yaml")
    told = said(capsys, "small.yaml")
    assert "has no supply.yaml" in told
    assert "No substitute known" in told


def test_what_stops_is_told_by_month_with_the_tenants(capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, "rotterdam", "--stop", "nvidia", "--disable", "--months", "12")
    assert "switches off from afar" in told
    assert "1 100.0% 176,433 100,000 114.0 27 / 27" in " ".join(told.split())
    assert "27 / 27" in told
    quiet = said(capsys, "rotterdam", "--stop", "asset-transformers=1", "--lang", "nl")
    assert "Binnen 36 maanden gaat niet meer dan 5% verloren." in quiet


def test_exposure_is_told_with_its_path(capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, "rotterdam", "--exposure", "slurm", "--stop", "slurm")
    assert "Slurm: EXPOSED" in told
    assert "Slurm (US) → SchedMD (US) → NVIDIA (US)" in told
    assert "What stops when Slurm stops" in told


def test_the_way_from_a_tenant_to_a_metal_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, "rotterdam", "--path", "tenant-delta-lab:gallium", "--lang", "nl")
    assert told.startswith("Delta Lab (demo) → Pool b200 → NVIDIA B200")
    assert told.endswith("→ Gallium\n")
    assert "does not need" in said(capsys, "rotterdam", "--path", "gallium:volt")


def test_a_cut_is_written_as_a_scenario_once(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = said(capsys, "rotterdam", "--stop", "US", "--scenario", "cut.yaml")
    assert "gigafactory run rotterdam --scenario cut.yaml" in told
    assert load_scenario(here / "cut.yaml").base == "rotterdam"
    assert main(["supply", "rotterdam", "--stop", "US", "--scenario", "cut.yaml"]) == EXIT_BAD_INPUT
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--stop", "nvida"], "did you mean nvidia?"),
        (["--exposure", "rotterdm"], "did you mean rotterdam?"),
        (["--stop", "ZW"], "nothing in the supply graph comes from this country"),
        (["--scenario", "x.yaml"], "needs --stop"),
        (["--disable"], "needs --stop"),
        (["--stop", "US", "--on", "soon"], "must be a date"),
        (["--path", "gallium"], "needs two nodes with a colon"),
        (["--path", "rotterdam:galium"], "did you mean gallium?"),
        (["--months", "0"], "must be from 1 to 240"),
        (["--lang", "fy"], "is en or nl"),
        (["--stop", "asset-transformers=1", "--disable"], "switches nothing off"),
    ],
)
def test_bad_questions_end_with_two_and_write_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    assert main(["supply", "rotterdam", *words]) == EXIT_BAD_INPUT
    told = capsys.readouterr()
    assert why in told.err
    assert "Traceback" not in told.err
    assert list(here.iterdir()) == []
