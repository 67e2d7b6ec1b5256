"""The bundled scenarios around their events, on the whole of Rotterdam."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from gigafactory.runtime.run import RunOptions, start_run
from gigafactory.testing.proving import ROUNDING_WH, run_problems

pytestmark = pytest.mark.slow


def turned(place: Path, start: str, days: int, scenario: str | None) -> tuple[dict[str, Any], Any]:
    """Run Rotterdam for some days and prove it; the summary, and the series by column."""
    options = RunOptions("rotterdam", scenario=scenario, start=start, days=days)
    outcome = start_run(options, out=place / (scenario or "base"))
    assert not run_problems(outcome.folder)
    series = pq.read_table(outcome.folder / "series.parquet")
    columns = {n: series.column(n).to_numpy(zero_copy_only=False) for n in series.column_names}
    return outcome.summary, columns


def within(columns: Any) -> None:
    """Import never above the limit, to the watt-hours that rounding moves."""
    beyond = columns["import_mw"] - columns["limit_mw"]
    assert beyond.max() <= ROUNDING_WH / 1e6 * 4


def test_a_late_connection_leaves_accelerators_waiting(tmp_path: Path) -> None:
    summary, c = turned(tmp_path, "2025-02-24", 10, "late-grid-connection")
    dark = slice(0, 5 * 96)  # power comes on 1 March
    lit = slice(5 * 96, None)
    assert np.all(c["limit_mw"][dark] == 0.0)
    assert np.all(c["limit_mw"][lit] == 30.0)
    assert np.array_equal(c["hours_awaiting_power"][dark], c["hours_installed"][dark])
    for what in ("it_mw", "import_mw", "export_mw", "discharge_mw", "hours_useful"):
        assert np.all(c[what][dark] == 0.0), what
    assert 0 < c["hours_awaiting_power"][lit].min() < c["hours_installed"][lit].min()
    assert c["hours_useful"][lit].sum() > 0
    assert c["import_mw"][lit].mean() > 20.0, "what there is gets used"
    within(c)
    assert summary["jobs"]["lost"] == 0


def test_a_cable_cut_is_met_by_slowing_and_pausing(tmp_path: Path) -> None:
    summary, c = turned(tmp_path, "2025-02-09", 14, "cable-cut")
    hour = np.arange(len(c["limit_mw"])) / 4.0 - 48.0  # since 11 February
    dead, half = (hour >= 3) & (hour < 9), hour >= 9
    assert np.all(c["limit_mw"][dead] == 0.0)
    assert c["import_mw"][dead].max() <= ROUNDING_WH / 1e6 * 4, "the battery's rounding apart"
    assert np.all(c["export_mw"][dead] == 0.0), "a dead cable carries nothing either way"
    assert c["discharge_mw"][dead].sum() > 0, "the battery keeps some alive"
    assert np.all(c["limit_mw"][half] == 70.0)
    within(c)
    slowed = c["speed_research"][half].mean()
    assert slowed < 0.95
    assert c["speed_inference_realtime"][half].mean() > slowed, "research is slowed first"
    assert c["hours_held_paused"][hour >= 3].sum() > 0
    assert c["hours_lost_response"].sum() + c["hours_lost_failure"].sum() > 0
    assert c["import_mw"][half].mean() > 60.0, "what is left of the cable is used"
    assert c["queued_jobs"][-1] > c["queued_jobs"][96]
    assert summary["energy"]["beyond_limit_mwh"] < 0.001


def test_a_heat_wave_raises_cooling_and_water(tmp_path: Path) -> None:
    _, base = turned(tmp_path, "2025-07-18", 16, None)
    _, hot = turned(tmp_path, "2025-07-18", 16, "heat-wave")
    wave = slice(3 * 96, None)  # from 21 July
    before = slice(0, 3 * 96)
    for what in ("it_mw", "cooling_mw", "import_mw", "price_eur_per_mwh"):
        assert np.array_equal(base[what][before], hot[what][before]), what
    assert hot["temperature_c"][wave] == pytest.approx(base["temperature_c"][wave] + 10.0)
    share = [c["cooling_mw"][wave].sum() / c["it_mw"][wave].sum() for c in (base, hot)]
    assert share[1] > 1.2 * share[0]
    water = [c["water_m3"][wave].sum() / c["it_mw"][wave].sum() for c in (base, hot)]
    assert water[1] > 1.2 * water[0]
    assert hot["price_eur_per_mwh"][wave] == pytest.approx(1.5 * base["price_eur_per_mwh"][wave])
    within(hot)


def test_an_export_ban_keeps_deliveries_away_and_what_breaks_broken(tmp_path: Path) -> None:
    _, c = turned(tmp_path, "2025-06-28", 10, "export-ban")
    assert np.all(c["hours_installed"] == 70_000 / 4), "the second half of the B200 never comes"
    assert c["hours_down"].min() > 0
    assert c["hours_down"][-1] > c["hours_down"][0]
    # 9 % a year since 1 May, in whole nodes
    share = c["hours_down"][-1] / c["hours_installed"][-1]
    assert share == pytest.approx(1 - 0.91 ** (68 / 365.25), rel=0.02)
    within(c)


def test_groningen_runs_a_month(tmp_path: Path) -> None:
    outcome = start_run(RunOptions("groningen", start="2025-03-15", days=30), out=tmp_path / "run")
    assert not run_problems(outcome.folder)
    assert outcome.summary["jobs"]["completed"] > 1000
    assert outcome.summary["pue"] > 1.0
    periods = pq.read_metadata(outcome.folder / "series.parquet").num_rows
    assert periods == 30 * 96 - 4, "the clocks go forward on 30 March"


def test_a_blackout_keeps_the_site_alive_and_imports_nothing(tmp_path: Path) -> None:
    summary, c = turned(tmp_path, "2025-01-13", 7, "blackout-72h")
    dark = slice(96 + 72, 96 + 72 + 288)  # from 14 January, 18:00
    for what in ("limit_mw", "import_mw", "export_mw"):
        assert np.all(c[what][dark] == 0.0), what
    assert np.all(c["auxiliary_mw"][dark] > 0.0), "the site itself goes before all work"
    assert np.all(c["running_research"][dark] == 0.0)
    (row,) = summary["outages"]
    assert 24.0 < row["shed_after_h"]["inference_realtime"] <= 72.0
    assert row["fuel_mwh"] <= 4500.0
    assert row["back_after_h"] is not None
    within(c)
