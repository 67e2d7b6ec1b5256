"""A cut-off asked of the supply graph, taken by a run: the loss stands in its books."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from gigafactory.factory import load_factory, scenario_text
from gigafactory.factory.dossier import dossier_of
from gigafactory.factory.supplygraph import supply_of
from gigafactory.factory.supplyscenario import cut_scenario
from gigafactory.runtime.run import RunOptions, start_run
from gigafactory.supply import cut_of, what_stops
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    SmallPool,
    SmallSite,
    write_jobs,
)

SMALL = SmallFactory((SmallSite((SmallPool("H100", 20),), 1.3),))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("cut")
    SMALL.write(place / "factory.yaml")
    write_jobs(place / "jobs.csv", SMALL.pools, 300, 2.0, 7)
    return place


def run(place: Path, name: str, scenario: Path | None) -> dict[str, Any]:
    options = RunOptions(
        factory=str(place / "factory.yaml"),
        scenario=None if scenario is None else str(scenario),
        jobs=str(place / "jobs.csv"),
        start=FIRST_DAY.isoformat(),
        days=2,
        seed=3,
    )
    return dict(start_run(options, out=place / name).summary)


def cut(place: Path, asked: str, on: dt.date, **more: bool) -> tuple[Path, float]:
    """A scenario of a cut, and the part that the graph says is lost after a year."""
    factory = load_factory(place / "factory.yaml")
    picture = supply_of(factory, dossier_of(factory))
    stop = what_stops(picture.graph, cut_of(picture.graph, asked, **more), 24, on)
    path = place / f"{asked}-{len(more)}.yaml"
    path.write_text(scenario_text(cut_scenario(factory, picture, stop, on)), "utf-8")
    return path, stop.share_lost(12)


def test_a_vendor_silent_for_a_year_is_missing_in_the_run(place: Path) -> None:
    before = run(place, "before", None)
    year_ago = FIRST_DAY - dt.timedelta(days=365)
    scenario, lost = cut(place, "nvidia", year_ago)
    after = run(place, "after", scenario)
    assert lost == pytest.approx(0.09)
    hours = after["accelerator_hours"]
    down = hours["down"] / hours["installed"]
    # in whole nodes: 9 % of twenty is one
    assert down == pytest.approx(1 / 20)
    assert before["accelerator_hours"]["down"] == 0.0


def test_a_vendor_that_switches_off_stops_the_run(place: Path) -> None:
    scenario, lost = cut(place, "nvidia", FIRST_DAY + dt.timedelta(days=1), disables=True)
    assert lost == 1.0
    after = run(place, "dark", scenario)
    usual = run(place, "usual", None)
    useful = after["accelerator_hours"]["useful"] / usual["accelerator_hours"]["useful"]
    assert 0.0 < useful < 0.75, "the second day gives nothing"
    assert after["energy"]["it_mwh"] < 0.75 * usual["energy"]["it_mwh"]
