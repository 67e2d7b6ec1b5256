"""Days without the grid in a run: who is kept, from what, and how it goes on."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from gigafactory.runtime.replay import replay, verify
from gigafactory.runtime.run import RunOptions, resume_run, start_run
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    SmallPool,
    SmallSite,
    write_jobs,
    write_scenario,
)
from gigafactory.testing.proving import run_problems
from tests.runtime.test_resume import Stopper

HEAT_RATE, NO_LOAD, UNITS = 2.5, 0.04, 4
#: Holds the service for three days and the training for a part of them.
STOCK_MWH = 4.5
UNIT_MW = 1.2 * SmallSite((SmallPool("H100", 8),), 1.3).full_mw / UNITS


def moment(day: int, hour: int) -> str:
    return (dt.datetime.combine(FIRST_DAY, dt.time(hour)) + dt.timedelta(days=day)).isoformat()


def steady_jobs(path: Path) -> Path:
    """One service of 16 accelerators and one training of 32, both longer than the run."""
    lines = ["submit,tenant,class,accelerators,work_s,walltime_s,priority,chip,end_state"]
    for kind, size in (("inference_realtime", 16), ("research", 32)):
        lines.append(f"1700000000.000,lab,{kind},{size},900000,1800000,3,H100,completed")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def dark(place: Path, stock_mwh: float, **event: object) -> RunOptions:
    """Six days, from the second on 72 hours without the grid, one diesel and its tank."""
    site = SmallSite((SmallPool("H100", 8),), 1.3)
    diesel = {
        "name": "diesel",
        "site": "site0",
        "kind": "diesel",
        "power": f"{site.full_mw * 1.2:.6f} MW",
        "units": UNITS,
        "commissioned": "2020-01-01",
        "heat_rate": HEAT_RATE,
        "fuel_stock": f"{stock_mwh:.6f} MWh",
    }
    factory = SmallFactory((site,), changes={"energy.generators": [diesel]})
    outage = {"kind": "grid_outage", "from": moment(1, 6), "until": moment(4, 6), **event}
    return RunOptions(
        factory=str(factory.write(place / "factory.yaml")),
        scenario=str(write_scenario(place / "dark.yaml", [outage])),
        jobs=str(steady_jobs(place / "jobs.csv")),
        start=FIRST_DAY.isoformat(),
        days=6,
        yardstick="off",
    )


def columns(folder: Path) -> dict[str, Any]:
    table = pq.read_table(folder / "series.parquet")
    return {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names}


OUTAGE = slice(96 + 24, 96 + 24 + 288)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunOptions, dict[str, Any]]:
    """A tank that holds the service for three days and the training for a few hours."""
    place = tmp_path_factory.mktemp("short")
    options = dark(place, STOCK_MWH)
    outcome = start_run(options, out=place / "run")
    assert not run_problems(outcome.folder)
    return place, options, outcome.summary


@pytest.mark.slow
def test_the_training_falls_when_fuel_for_the_service_is_all_that_is_left(
    short: tuple[Path, RunOptions, dict[str, Any]],
) -> None:
    place, _, summary = short
    c, (row,) = columns(place / "run"), summary["outages"]
    load = c["it_mw"] + c["cooling_mw"] + c["losses_mw"] + c["auxiliary_mw"]
    together, alone = load[OUTAGE.start], load[OUTAGE.start + 200]

    def burns(mw: float) -> float:
        units = float(np.ceil(mw / UNIT_MW))
        return HEAT_RATE * (NO_LOAD * UNIT_MW * units + (1 - NO_LOAD) * mw)

    # x hours of both and 72 - x of the service alone empty the tank
    hours = (STOCK_MWH - 72 * burns(alone)) / (burns(together) - burns(alone))
    assert 3.0 < hours < 60.0, "the case asks something"
    assert row["shed_after_h"]["research"] == pytest.approx(hours, rel=0.08)
    # small errors of the plan fall on the last hour
    assert (row["shed_after_h"]["inference_realtime"] or 72.0) >= 70.5
    assert row["islanded_h"] == row["hours"] == 72.0
    assert row["import_mwh"] == row["export_mwh"] == 0.0
    assert row["fuel_mwh"] <= STOCK_MWH
    assert row["fuel_mwh"] > 0.98 * STOCK_MWH, "what there was got used"
    assert summary["co2_kg"]["stack"] == pytest.approx(row["fuel_mwh"] * 263.9, rel=1e-6)


@pytest.mark.slow
def test_it_comes_back_in_stages_and_by_the_ramp(
    short: tuple[Path, RunOptions, dict[str, Any]],
) -> None:
    place, _, summary = short
    (row,) = summary["outages"]
    assert 5.0 < row["restart_min"] < 60.0
    assert row["back_after_h"] is not None
    assert row["back_after_h"] <= np.ceil(row["restart_min"] / 15) * 0.25
    c = columns(place / "run")
    assert c["it_mw"][OUTAGE.stop] < 0.8 * c["it_mw"][OUTAGE.start - 1], "not all at once"


@pytest.mark.slow
def test_a_tank_that_runs_dry_ends_the_service_at_a_known_hour(tmp_path: Path) -> None:
    options = dark(tmp_path, 1.5)
    outcome = start_run(options, out=tmp_path / "run")
    assert not run_problems(outcome.folder)
    (row,) = outcome.summary["outages"]
    c = columns(outcome.folder)
    made = pq.read_table(outcome.folder / "accounts.parquet")["generator.diesel.made_wh"].to_numpy()
    mw = made[OUTAGE] / 0.25e6
    burnt = NO_LOAD * UNIT_MW * np.ceil(mw / UNIT_MW) + (1 - NO_LOAD) * mw
    assert row["fuel_mwh"] == pytest.approx(HEAT_RATE * burnt.sum() * 0.25, rel=5e-3)
    assert row["shed_after_h"]["research"] < row["shed_after_h"]["inference_realtime"] < 72.0
    assert row["contracts_broken"] == ["lab"]
    # what is left of the tank carries the site itself, to the end
    assert row["islanded_h"] == pytest.approx(72.0, abs=4.0)
    assert not c["import_mw"][OUTAGE].any()


@pytest.mark.slow
def test_stopped_in_the_dark_and_resumed_is_undisturbed(
    short: tuple[Path, RunOptions, dict[str, Any]], tmp_path: Path
) -> None:
    place, options, summary = short
    stopped = start_run(options, Stopper(3), out=tmp_path / "run")
    assert not stopped.complete
    assert not verify(tmp_path / "run")[1]
    resumed = resume_run(tmp_path / "run")
    assert resumed.summary["digest"] == summary["digest"]
    assert resumed.summary["outages"] == summary["outages"]
    for name in ("journal.gfj", "jobs.parquet", "accounts.parquet", "series.parquet"):
        assert (tmp_path / "run" / name).read_bytes() == (place / "run" / name).read_bytes(), name
    assert not replay(tmp_path / "run")[1]
    assert not verify(tmp_path / "run")[1]


@pytest.mark.slow
def test_an_announced_outage_buys_nothing_for_a_dead_cable(tmp_path: Path) -> None:
    told, untold = tmp_path / "told", tmp_path / "untold"
    bought = []
    for place, event in ((told, {"announced": moment(0, 0)}), (untold, {})):
        place.mkdir()
        options = replace(dark(place, STOCK_MWH, **event), days=2)  # the rest is not looked at
        outcome = start_run(options, out=place / "run")
        bought.append(columns(outcome.folder)["day_ahead_mw"])
    first_day = slice(OUTAGE.start, 2 * 96)
    assert not bought[0][first_day].any(), "known the day before"
    assert bought[1][first_day].mean() > 0.0, "bought for a day nobody saw coming"


def test_generators_without_units_leave_a_run_as_it_is(tmp_path: Path) -> None:
    site = SmallSite((SmallPool("H100", 8),), 1.3)
    block = {
        "name": "none",
        "site": "site0",
        "kind": "gas_turbine",
        "power": "1 MW",
        "units": 0,
        "commissioned": "2020-01-01",
    }
    digests = []
    for name, changes in (("with", {"energy.generators": [block]}), ("without", {})):
        factory = SmallFactory((site,), changes=changes)
        options = RunOptions(
            factory=str(factory.write(tmp_path / f"{name}.yaml")),
            jobs=str(write_jobs(tmp_path / "jobs.csv", factory.pools, 60, 0.9, 5)),
            start=FIRST_DAY.isoformat(),
            days=1,
            yardstick="off",
        )
        outcome = start_run(options, out=tmp_path / name)
        digests.append((outcome.folder / "accounts.parquet").read_bytes())
        assert outcome.summary["own_generation"]["generators"] == []
    assert digests[0] == digests[1]
