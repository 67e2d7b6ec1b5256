"""A job is explained from the journal alone: what became of it, and which rule made it wait."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from gigafactory.cli import main
from gigafactory.engine.errors import EXIT_BAD_INPUT, EXIT_OK, BadInput
from gigafactory.factory import factory_text, load_factory
from gigafactory.runtime.explain import explain
from gigafactory.runtime.run import RunOptions, start_run

ZONE = "Europe/Amsterdam"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A week of Rotterdam, with one project whose dataset record is gone: it is refused."""
    place = tmp_path_factory.mktemp("explain")
    raw = yaml.safe_load(factory_text(load_factory("rotterdam")))
    (tenant,) = [t for t in raw["tenants"] if t["name"] == "windwijzer"]
    (work,) = [w for w in tenant["work"] if w["job_class"] == "fine_tuning"]
    work["reviews"], work["data_class"] = [], "personal"
    (place / "factory.yaml").write_text(yaml.safe_dump(raw), "utf-8")
    options = RunOptions(str(place / "factory.yaml"), start="2025-01-01", days=7)
    return start_run(options, out=place / "run").folder


def test_a_job_that_ran_is_told_from_submission_to_end(folder: Path) -> None:
    jobs = pq.read_table(folder / "jobs.parquet").to_pylist()
    row = next(r for r in jobs if r["state"] == "completed" and r["stops"] and r["wait_s"] > 3600)
    told = explain(folder, row["job"], "en", ZONE)
    assert row["tenant"] in told[0]
    assert "is submitted" in told[1]
    assert sum("starts on" in line for line in told) == row["stops"] + 1
    assert any("ends" in line for line in told)
    assert told[-1].startswith(f"It waited {row['wait_s'] / 3600:,.2f} h")


def test_a_job_that_waits_is_told_why_in_dutch(folder: Path) -> None:
    jobs = pq.read_table(folder / "jobs.parquet").to_pylist()
    row = next(r for r in jobs if r["state"] == "queued" and r["start_ns"] < 0)
    told = explain(folder, row["job"], "nl", ZONE)
    assert told[-1].startswith("De taak wacht aan het einde nog.")
    assert row["waited_for"] >= 0


@pytest.mark.slow
def test_a_refused_project_is_counted_and_told(folder: Path) -> None:
    jobs = pq.read_table(folder / "jobs.parquet").to_pylist()
    refused = [row for row in jobs if row["state"] == "refused"]
    assert refused
    assert {(row["tenant"], row["job_class"]) for row in refused} == {("windwijzer", "fine_tuning")}
    assert all(row["start_ns"] < 0 and row["gpu_s"] == 0 for row in refused)
    head, came, told = explain(folder, refused[0]["job"], "en", ZONE)
    assert "windwijzer" in head
    assert "is submitted" in came
    assert "is refused: windwijzer-fine_tuning uses personal data and has no valid privacy" in told
    told = explain(folder, refused[0]["job"], "nl", ZONE)[-1]
    assert "wordt geweigerd: windwijzer-fine_tuning gebruikt persoonsgegevens" in told
    assert any(r["tenant"] == "windwijzer" and r["start_ns"] >= 0 for r in jobs), "the rest runs"
    assert main(["verify", str(folder)]) == EXIT_OK


def test_a_job_that_is_not_there_is_bad_input(folder: Path) -> None:
    with pytest.raises(BadInput):
        explain(folder, 10**9, "en", ZONE)
    assert main(["explain", str(folder), "-1"]) == EXIT_BAD_INPUT
    assert main(["explain", str(folder), "0", "--lang", "fr"]) == EXIT_BAD_INPUT
