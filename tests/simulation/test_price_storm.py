"""Days at the limits of the market, -500 and 5,000 EUR/MWh: a plan bounded, contracts curtailed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from gigafactory.grid import MarketCalendar
from gigafactory.grid.calendar import utc_text
from gigafactory.runtime.replay import verify
from gigafactory.runtime.run import RunOptions, start_run
from gigafactory.testing.factories import FIRST_DAY, SmallFactory, SmallPool, SmallSite, write_jobs
from gigafactory.testing.proving import run_problems

DAYS, LOWEST, HIGHEST = 5, -500.0, 5000.0
#: The storm: the whole second and third day, the evening of the fourth the other way round.
STORM, RUSH = slice(96, 288), slice(360, 372)


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Any]:
    """A small factory with battery, export right and a contract, through five such days."""
    place = tmp_path_factory.mktemp("storm")
    site = SmallSite((SmallPool("H100", 8),), 1.3, battery=0.6, export=0.5, ppa=0.8)
    path = SmallFactory((site,)).write(place / "factory.yaml")
    calendar = MarketCalendar.of(FIRST_DAY, DAYS)
    price = 60.0 + 40.0 * np.sin(np.arange(calendar.periods) / 15.0)
    price[STORM], price[RUSH] = LOWEST, HIGHEST
    rows = [
        f"{utc_text(int(t))},{p:.2f}" for t, p in zip(calendar.start_ns[:-1], price, strict=True)
    ]
    (place / "prices.csv").write_text("time_utc,price_eur_per_mwh\n" + "\n".join(rows) + "\n")
    pools = SmallFactory((site,)).pools
    options = RunOptions(
        factory=str(path),
        jobs=str(write_jobs(place / "jobs.csv", pools, 500, DAYS * 0.9, 7, 0.8)),
        prices=str(place / "prices.csv"),
        start=FIRST_DAY.isoformat(),
        days=DAYS,
        seed=5,
    )
    outcome = start_run(options, out=place / "run")
    series = pq.read_table(outcome.folder / "series.parquet")
    return outcome.folder, outcome.summary, series


def column(storm: tuple[Path, dict[str, Any], Any], name: str) -> Any:
    return storm[2].column(name).to_numpy()


def test_every_day_has_a_plan_and_the_books_close(
    storm: tuple[Path, dict[str, Any], Any],
) -> None:
    folder, summary, _ = storm
    assert summary["plans"] == {"optimal": DAYS}
    assert summary["unplanned"]["days"] == 0
    assert summary["conservation"]["holds"]
    assert verify(folder)[1] == []
    assert run_problems(folder) == []


def test_prices_reach_the_run_as_they_are(storm: tuple[Path, dict[str, Any], Any]) -> None:
    price = column(storm, "price_eur_per_mwh")
    assert np.all(price[STORM] == LOWEST)
    assert np.all(price[RUSH] == HIGHEST)


def test_nothing_beyond_what_the_site_has(storm: tuple[Path, dict[str, Any], Any]) -> None:
    """Being paid 500 EUR/MWh to draw is no reason to draw more than cable and plant allow."""
    names = ("import_mw", "export_mw", "charge_mw", "discharge_mw", "limit_mw", "it_mw")
    flow = {name: column(storm, name) for name in names}
    assert np.all(flow["import_mw"] <= flow["limit_mw"] * (1.0 + 1e-9) + 1e-6)
    # one meter shows one direction
    assert np.all(np.minimum(flow["import_mw"], flow["export_mw"]) == 0.0)
    assert flow["import_mw"][STORM].mean() > 0.0
    assert np.all(np.isfinite(np.stack(list(flow.values()))))


def test_the_battery_does_not_charge_and_discharge_at_once(
    storm: tuple[Path, dict[str, Any], Any],
) -> None:
    """A solver would burn energy so when it is paid to; the battery cannot."""
    charge, discharge = column(storm, "charge_mw"), column(storm, "discharge_mw")
    # a meter of whole Wh carries what is left over into the next period: one Wh per quarter-hour
    assert np.minimum(charge, discharge).max() <= 4e-6
    assert charge[96:].max() > 0.0


def test_the_contract_is_not_taken_when_the_market_pays_for_drawing(
    storm: tuple[Path, dict[str, Any], Any],
) -> None:
    """Its price less what not taking it costs is above -500: every MWh of it is curtailed."""
    folder, summary, _ = storm
    (terms,) = yaml.safe_load((folder / "factory.yaml").read_text("utf-8"))["energy"]["ppas"]
    taken = column(storm, "ppa_mw")
    assert np.all(taken[STORM] == 0.0), terms
    assert taken[RUSH].sum() + taken[288:360].sum() > 0.0
    assert summary["energy"]["ppa_curtailed_mwh"] > 0.0


def test_the_bill_of_the_storm_is_income_and_no_fortune(
    storm: tuple[Path, dict[str, Any], Any],
) -> None:
    """Two days at -500 bring at most what the cable carries in them."""
    summary = storm[1]
    energy = column(storm, "energy_eur")[STORM].sum()
    most = 48.0 * column(storm, "limit_mw")[STORM].max() * 500.0
    assert -most <= energy < 0.0
    assert np.isfinite(summary["yardstick"]["hourly"]["bound_eur"])
    assert summary["yardstick"]["hourly"]["regret_eur"] > -1.0
