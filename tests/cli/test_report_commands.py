"""The commands that report to authorities, on a run folder that holds no more than they read."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from pathlib import Path

import pytest

from gigafactory.cli import main
from gigafactory.engine.errors import EXIT_BAD_INPUT, EXIT_OK
from gigafactory.factory import factory_text, load_factory
from tests.assess.cases import write_series

COLUMNS = ("it_mw", "import_mw", "export_mw", "generation_mw", "charge_mw", "discharge_mw")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    columns = dict(zip(COLUMNS, ([100.0], [112.0], [0.0], [0.0], [0.0], [0.0]), strict=True))
    folder = write_series(tmp_path / "run", columns, dt.date(2025, 1, 1))
    (folder / "factory.yaml").write_text(factory_text(load_factory("rotterdam")), "utf-8")
    row = {"tenant": "delta-lab", "access": "pay_as_you_go", "jobs": 1, "requested_gpu_h": 9.0,
           "granted_gpu_h": 9.0, "used_gpu_h": 8.0, "billed_eur": 15.0}  # fmt: skip
    summary = {"start": "2025-01-01", "days_done": 1, "access_time": [row]}
    (folder / "summary.json").write_text(json.dumps(summary), "utf-8")
    return folder


def test_eed_prints_and_exports(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eed", str(run), "--lang", "nl"]) == EXIT_OK
    assert "112.000 kWh" in capsys.readouterr().out
    for name in ("eed.csv", "eed.json"):
        assert main(["eed", str(run), "--out", str(run.parent / name)]) == EXIT_OK
    rows = list(csv.DictReader(io.StringIO((run.parent / "eed.csv").read_text("utf-8"))))
    document = json.loads((run.parent / "eed.json").read_text("utf-8"))
    assert len(rows) == len(document["fields"]) == 44
    assert {r["field"]: r["value"] for r in rows}["energy"] == "112000.0"


def test_access_report_prints_exports_and_takes_in_others(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run.parent / "records.json"
    assert main(["access-report", str(run), "--out", str(out)]) == EXIT_OK
    assert "2026-01-31" in capsys.readouterr().out
    text = out.read_text("utf-8").replace('"rotterdam"', '"elsewhere"')
    (run.parent / "other.json").write_text(text, "utf-8")
    words = ["access-report", str(run), "--records", str(run.parent / "other.json")]
    assert main(words) == EXIT_OK
    assert "16" in capsys.readouterr().out
    assert main([*words, "--public"]) == EXIT_OK
    assert "delta" not in capsys.readouterr().out


def test_what_cannot_be_done_is_told_in_plain_words(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, told in (
        (["eed", str(run), "--out", "file.pdf"], "ends in .csv or .json"),
        (["eed", str(run), "--lang", "fr"], "is en or nl"),
        (["eed", str(run), "--out", str(run / "no" / "file.csv")], "cannot be written"),
        (["access-report", str(run), "--records", "nowhere.csv"], "cannot be read"),
        (["access-report", str(run), "--public", "--out", "x.csv"], "records name tenants"),
    ):
        assert main(words) == EXIT_BAD_INPUT, words
        assert told in capsys.readouterr().err
    (run / "summary.json").unlink()
    assert main(["eed", str(run)]) == EXIT_BAD_INPUT
    assert "holds no summary" in capsys.readouterr().err
