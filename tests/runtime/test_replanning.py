"""Runs whose plans are made again within the day."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gigafactory.engine.journal import frames
from gigafactory.ledger import METERS
from gigafactory.planner import DayInput, Plan
from gigafactory.planner.rolling import RollingPlanner, Window
from gigafactory.runtime.replanning import AGAIN, KEPT
from gigafactory.runtime.replay import rebuild, replay, verify
from gigafactory.runtime.run import Outcome, Quiet, RunOptions, resume_run, start_run
from gigafactory.testing.factories import FIRST_DAY, SmallFactory, SmallPool, SmallSite, write_jobs
from tests.runtime.test_resume import Stopper

SITES = (
    SmallSite((SmallPool("H100", 6),), 0.8, battery=0.5, export=0.4, ppa=1.0),
    SmallSite((SmallPool("B200", 4),), 1.2),
)
FACTORY = SmallFactory(
    SITES,
    changes={
        "energy.generators": [
            {
                "name": "roof",
                "site": "site0",
                "kind": "solar",
                "power": "0.02 MW",
                "commissioned": "2020-01-01",
            }
        ]
    },
)


def options_of(place: Path, factory: SmallFactory = FACTORY, **changes: Any) -> RunOptions:
    options = RunOptions(
        factory=str(factory.write(place / "factory.yaml")),
        jobs=str(write_jobs(place / "jobs.csv", factory.pools, 300, 2.8, 11)),
        start=FIRST_DAY.isoformat(),
        days=3,
        seed=3,
        cadence="15 min",
    )
    return replace(options, **changes)


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunOptions, Outcome]:
    place = tmp_path_factory.mktemp("again")
    options = options_of(place)
    return options, start_run(options, out=place / "run")


def imbalance_mwh(outcome: Outcome) -> float:
    """Imbalance after the first day, sum of sizes."""
    book, *_ = rebuild(outcome.folder)
    return float(np.abs(book.imbalance_wh[96:]).sum() / 1e6)


def test_every_quarter_of_a_day_but_the_last_one_makes_a_plan(
    again: tuple[RunOptions, Outcome],
) -> None:
    summary = again[1].summary
    assert summary["replanned"] == {"plans": 3 * 94 * 2, "kept": 0}
    assert summary["plans"] == {"optimal": 6}
    assert summary["conservation"]["holds"]


def test_the_run_is_proved_and_says_its_cadence(again: tuple[RunOptions, Outcome]) -> None:
    folder = again[1].folder
    assert verify(folder)[1] == []
    assert replay(folder)[1] == []
    assert "cadence: 15 min" in (folder / "factory.yaml").read_text("utf-8")
    told = [f for f in frames(folder / "journal.gfj") if f.kind == "again"]
    assert [f.fields["step"] for f in told[:3]] == [1, 2, 3]
    assert told[0].fields["status"] == [AGAIN, AGAIN]
    assert told[0].arrays["charge_mw.0"].shape == (1,)


@pytest.mark.slow
def test_stopped_and_resumed_is_undisturbed(
    again: tuple[RunOptions, Outcome], tmp_path: Path
) -> None:
    stopped = start_run(again[0], Stopper(1), out=tmp_path / "run")
    assert not stopped.complete
    resumed = resume_run(tmp_path / "run")
    assert resumed.summary["digest"] == again[1].summary["digest"]


@pytest.mark.slow
def test_once_an_hour(again: tuple[RunOptions, Outcome], tmp_path: Path) -> None:
    hourly = start_run(replace(again[0], cadence="hourly"), out=tmp_path / "run")
    assert hourly.summary["replanned"] == {"plans": 3 * 23 * 2, "kept": 0}
    cut = next(f for f in frames(hourly.folder / "journal.gfj") if f.kind == "again")
    assert cut.arrays["charge_mw.0"].shape == (4,)


@pytest.mark.slow
def test_the_day_depends_on_what_has_become_known(
    again: tuple[RunOptions, Outcome], tmp_path: Path
) -> None:
    """Seen a quarter ahead, less is left to imbalance than seen from midnight."""
    daily = start_run(replace(again[0], cadence=None), out=tmp_path / "run")
    assert daily.summary["replanned"] == {"plans": 0, "kept": 0}
    assert imbalance_mwh(again[1]) < 0.8 * imbalance_mwh(daily)
    # what was bought at the gate stands: both days found the same auction on the second day
    rows = slice(96, 192)
    bought = [
        rebuild(one.folder)[0].meter[rows, 0, METERS.index("day_ahead_wh")]
        for one in (again[1], daily)
    ]
    assert bought[0].any()


@pytest.mark.slow
def test_without_a_new_plan_the_one_before_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the plans find nothing: the run goes on, says so, and can be proved."""
    asked = RollingPlanner.plan

    def spoilt(self: RollingPlanner, window: Window, x: DayInput) -> Plan | None:
        if window.begin % 2:
            x = replace(x, limit_mw=x.limit_mw * np.nan)
        return asked(self, window, x)

    monkeypatch.setattr(RollingPlanner, "plan", spoilt)
    outcome = start_run(options_of(tmp_path, days=2), Quiet(), out=tmp_path / "run")
    assert outcome.summary["replanned"] == {"plans": 2 * 94 * 2, "kept": 2 * 47 * 2}
    told = [f for f in frames(outcome.folder / "journal.gfj") if f.kind == "again"]
    assert {tuple(f.fields["status"]) for f in told} == {(AGAIN, AGAIN), (KEPT, KEPT)}
    assert verify(outcome.folder)[1] == []
    summary = json.loads((outcome.folder / "summary.json").read_text("utf-8"))
    assert summary["replanned"]["kept"] == 188


def test_a_cadence_nobody_knows_is_refused() -> None:
    from typer.testing import CliRunner

    from gigafactory.cli import app

    result = CliRunner().invoke(app, ["run", "rotterdam", "--cadence", "weekly"])
    assert result.exit_code != 0
    assert "daily, hourly or 15min" in result.output + str(result.exception)
