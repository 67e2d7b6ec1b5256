"""`gigafactory assess`: frameworks, languages, plain data, comparisons, wrong input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from gigafactory.cli import main
from gigafactory.engine.errors import EXIT_BAD_INPUT, EXIT_OK
from gigafactory.factory import factory_text, load_factory
from gigafactory.testing.factories import SmallFactory
from gigafactory.testing.run_folder import write_run_folder

DAY = ("--day", "2026-11-28")


def say(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["assess", *words]) == EXIT_OK, words
    return capsys.readouterr().out


def test_the_axes_of_the_bundled_factory(capsys: pytest.CaptureFixture[str]) -> None:
    told = say(capsys, "rotterdam", *DAY)
    assert "Eneco" in told
    assert "Held back, Digital autonomy" in told
    assert "Against no factory" in told
    assert "random weights" in told
    dutch = say(capsys, "rotterdam", *DAY, "--lang", "nl")
    assert "Voorbehoud, Digitale autonomie" in dutch
    assert "niet geverifieerd" in dutch
    for english in ("Held back", "unverified\n", "Scores"):
        assert english not in dutch


@pytest.mark.slow
def test_the_same_words_give_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    assert say(capsys, "rotterdam", *DAY, "--json") == say(capsys, "rotterdam", *DAY, "--json")


@pytest.mark.slow
def test_every_framework_at_once_as_plain_data(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(say(capsys, "rotterdam", *DAY, "--framework", "all", "--json"))
    assert found["day"] == "2026-11-28"
    assert {"axes", "recommendations", "controls", "registers"} <= set(found["frameworks"])
    axes = found["frameworks"]["axes"]
    assert set(axes["differences"]) == {"none", "abroad", "foreign_owned"}
    assert axes["findings"][0]["evidence"][0]["proof"] == "factory"
    assert axes["tornado"]
    assert axes["stability"]
    registers = found["frameworks"]["registers"]
    assert {"b200", "fabric"} <= {row["asset"] for row in registers["passports"]}
    assert {row["state"] for row in registers["payments"]} == {"held"}


@pytest.mark.slow
def test_one_input_changed_is_explained(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    other = yaml.safe_load(factory_text(load_factory("rotterdam")))
    other["governance"]["parents"].append({"name": "Delaware Inc", "country": "US"})
    path = tmp_path / "owned.yaml"
    path.write_text(yaml.safe_dump(other, sort_keys=False, allow_unicode=True), "utf-8")
    told = say(capsys, str(path), "--against", "rotterdam", *DAY)
    assert "What changed" in told
    assert "Digital autonomy, left by the gates: 0.50 -> 0.00 (-0.50)" in told
    assert "Delaware Inc" in told
    flat = " ".join(told.split())
    assert "factory:governance.parents.Delaware Inc.country went from nothing to US" in flat


def test_a_factory_without_a_dossier_is_all_missing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = SmallFactory().write(tmp_path / "small.yaml")
    told = say(capsys, str(path), "--framework", "registers", *DAY)
    assert "missing, not empty" in told
    assert say(capsys, str(path), *DAY)


def test_a_run_is_assessed_on_its_last_day(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = write_run_folder(tmp_path / "run", days=2, jobs=200)
    SmallFactory().write(folder / "factory.yaml")
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    summary["days_done"] = 2
    (folder / "summary.json").write_text(json.dumps(summary), "utf-8")
    told = say(capsys, str(folder))
    assert "as of 2024-01-02" in told


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("nowhere",), "no bundled factory and no file"),
        (("rotterdam", "--framework", "axis"), "is no framework"),
        (("rotterdam", "--day", "soon"), "must be a date"),
        (("rotterdam", "--lang", "fr"), "is en or nl"),
    ],
)
def test_wrong_words_are_told(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], why: str
) -> None:
    assert main(["assess", *words]) == EXIT_BAD_INPUT
    assert why in capsys.readouterr().err


def test_a_wrong_dossier_is_told_whole(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "papers" / "registers").mkdir(parents=True)
    (tmp_path / "papers" / "registers" / "threats.yaml").write_text(
        "threats:\n  - {id: a, kind: alien}\n", "utf-8"
    )
    path = SmallFactory(changes={"governance.dossier": str(tmp_path / "papers")}).write(
        tmp_path / "small.yaml"
    )
    assert main(["assess", str(path), *DAY]) == EXIT_BAD_INPUT
    told = capsys.readouterr().err
    assert "threats.yaml:2" in told
    assert "must be one of physical" in told
    assert "is missing" in told


def test_check_tells_what_is_wrong_with_every_file_of_the_dossier(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    registers = tmp_path / "papers" / "registers"
    registers.mkdir(parents=True)
    (registers / "threats.yaml").write_text("threats:\n  - {id: a, kind: alien}\n", "utf-8")
    (registers / "incidents.yaml").write_text("incidents: soon\n", "utf-8")
    (tmp_path / "papers" / "supply.yaml").write_text("not: ours\n", "utf-8")
    path = SmallFactory(changes={"governance.dossier": str(tmp_path / "papers")}).write(
        tmp_path / "small.yaml"
    )
    assert main(["check", str(path)]) == EXIT_BAD_INPUT
    told = capsys.readouterr().err
    assert "papers/registers/threats.yaml:2" in told
    assert "papers/registers/incidents.yaml:1" in told
    assert "supply.yaml" not in told
    assert main(["check", "rotterdam"]) == EXIT_OK
