"""The table on the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gigafactory.report import path_lines, summary_table


@pytest.mark.parametrize("lang", ["en", "nl"])
def test_the_table_is_aligned_and_fits(made_up: Path, lang: str) -> None:
    summary = json.loads((made_up / "summary.json").read_text("utf-8"))
    lines = summary_table(summary, lang).splitlines()
    assert 20 <= len(lines) <= 31
    assert max(map(len, lines)) <= 100
    rows = [line for line in lines if line.startswith("  ")]
    ends = {line.index(" MWh") for line in rows if " MWh " in f"{line} "}
    assert len(ends) == 1, "numbers end in one column"


def test_figures_are_those_of_the_summary(made_up: Path) -> None:
    summary = json.loads((made_up / "summary.json").read_text("utf-8"))
    told = summary_table(summary)
    assert f"{summary['energy']['site_mwh']:,.0f} MWh" in told
    assert f"PUE {summary['pue']:.3f}" in told
    assert "SYNTHETIC" in told
    assert "SYNTHETIC" not in summary_table({**summary, "synthetic": False})


def test_an_empty_summary_is_no_accident() -> None:
    assert "not recorded" in summary_table({})


def test_the_last_lines_can_be_typed() -> None:
    lines = path_lines(Path("runs/x-1")).splitlines()
    assert [line.split(None, 1)[1] for line in lines] == [
        "runs/x-1/report.html",
        "runs/x-1/summary.json",
        "gigafactory verify runs/x-1",
    ]
