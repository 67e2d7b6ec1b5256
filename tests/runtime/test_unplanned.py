"""A run with days that have no plan: it goes on, says what could not be kept, and can be proved."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gigafactory.planner import DayInput, EnergyPlanner, Plan
from gigafactory.report import write_report
from gigafactory.runtime.replay import replay, verify
from gigafactory.runtime.run import RunOptions, start_run
from gigafactory.testing.factories import FIRST_DAY, SmallFactory, SmallPool, SmallSite, write_jobs

SITE = SmallSite((SmallPool("H100", 6),), 1.3, battery=0.4, ppa=0.5)


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Three days: on the second the load forecast is no number, on the third the battery lies."""
    place = tmp_path_factory.mktemp("unplanned")
    factory = SmallFactory((SITE,))
    options = RunOptions(
        factory=str(factory.write(place / "factory.yaml")),
        jobs=str(write_jobs(place / "jobs.csv", factory.pools, 200, 2.5, 11)),
        start=FIRST_DAY.isoformat(),
        days=3,
        seed=3,
    )
    asked = EnergyPlanner.plan
    days = 0

    def spoilt(self: EnergyPlanner, day: DayInput) -> Plan:
        nonlocal days
        days += 1
        if days == 2:
            load = day.offset_mw.copy()
            load[8:12] = np.nan
            day = replace(day, offset_mw=load)
        if days == 3:
            day = replace(day, soc_mwh=day.soc_mwh + 1000.0)
        return asked(self, day)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EnergyPlanner, "plan", spoilt)
        outcome = start_run(options, out=place / "run", reporter=write_report)
    return outcome.folder, outcome.summary


def test_the_summary_says_which_days_and_why(troubled: tuple[Path, dict[str, Any]]) -> None:
    told = troubled[1]["unplanned"]
    assert troubled[1]["plans"] == {"flat out": 2, "optimal": 1}
    assert (told["days"], told["fallback"]) == (2, "flat out")
    first, second = told["conflicts"]
    assert first == {
        "site": "site0",
        "day": "2025-01-16",
        "from": "2025-01-16T02:00+01:00",
        "until": "2025-01-16T03:00+01:00",
        "families": ["no number: load of the site"],
    }
    assert second["families"] == ["battery energy", "battery power"]
    assert second["from"] == "2025-01-17T00:00+01:00"


def test_the_run_closes_its_books_and_repeats_from_the_journal(
    troubled: tuple[Path, dict[str, Any]],
) -> None:
    folder, summary = troubled
    assert summary["conservation"]["holds"]
    assert summary["complete"]
    assert verify(folder)[1] == []
    assert replay(folder)[1] == []
    assert json.loads((folder / "summary.json").read_text("utf-8"))["unplanned"]["days"] == 2


def test_the_report_tells_it(troubled: tuple[Path, dict[str, Any]]) -> None:
    page = next(troubled[0].glob("report*.html")).read_text("utf-8")
    assert "could not be made" in page
    assert "the load of the site (no number)" in page
    assert "2025-01-16 02:00 to 2025-01-16 03:00" in page
