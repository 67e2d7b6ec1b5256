"""A dossier is found by name or path, checked like a factory file, and kept by a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from gigafactory.engine.errors import BadInput
from gigafactory.factory import Factory, load_factory
from gigafactory.factory.contracts import EnergyMix
from gigafactory.factory.dossier import KEPT, Dossier, bundled_dossiers, dossier_of
from gigafactory.runtime.folder import keep_dossier


def named(name: str | None) -> Factory:
    factory = load_factory("rotterdam")
    governance = factory.governance.model_copy(update={"dossier": name})
    return factory.model_copy(update={"governance": governance})


def test_the_bundled_one_is_found_by_name() -> None:
    found = dossier_of(load_factory("rotterdam"))
    assert found.name == "rotterdam"
    assert found.file("README.md") is not None
    assert "rotterdam" in bundled_dossiers()


def test_one_s_own_is_found_by_path_and_kept_by_a_run(tmp_path: Path) -> None:
    own, run = tmp_path / "own", tmp_path / "run"
    own.mkdir()
    run.mkdir()
    (own / "mix.yaml").write_text("wind: 40 %\n", "utf-8")
    factory = named(str(own))
    keep_dossier(dossier_of(factory).path, run)
    (own / "mix.yaml").write_text("wind: 90 %\n", "utf-8")
    mix = dossier_of(factory, run).load("mix.yaml", EnergyMix)
    assert mix is not None
    assert mix.wind == pytest.approx(0.4)
    keep_dossier(dossier_of(factory).path, run)  # what is kept stays as it was
    assert "40" in (run / KEPT / "mix.yaml").read_text("utf-8")


def test_none_is_no_trouble(tmp_path: Path) -> None:
    keep_dossier(dossier_of(named(None)).path, tmp_path)
    assert not (tmp_path / KEPT).exists()
    assert dossier_of(named(None)) == Dossier()
    assert Dossier().load("mix.yaml", EnergyMix) is None
    assert Dossier().files() == []


def test_one_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadInput, match="no bundled dossier"):
        dossier_of(named("roterdam"))


def test_every_problem_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "mix.yaml").write_text("wind: much\nsun: 3 %\nsolar: 140 %\n", "utf-8")
    (tmp_path / "empty.yaml").write_text("", "utf-8")
    dossier = Dossier("mine", tmp_path)
    with pytest.raises(BadInput) as told:
        dossier.load("mix.yaml", EnergyMix)
    assert len(told.value.problems) == 3
    assert {p.where.split(":")[0] for p in told.value.problems} == {"mine/mix.yaml"}
    model: type[BaseModel] = EnergyMix
    with pytest.raises(BadInput):
        dossier.load("empty.yaml", model)
