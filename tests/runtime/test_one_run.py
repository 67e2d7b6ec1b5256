"""One run of a small factory in which everything happens on one clock and is told for whom it was.

A hall of twelve nodes on a cable, a reserved group, a mission, a programme, an engine that is there
and one that comes on the second day. Every figure is counted again from tables and job file.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from gigafactory.factory import load_factory
from gigafactory.plant import load_catalogue
from gigafactory.runtime.explain import explain
from gigafactory.runtime.run import RunOptions, start_run
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    SmallPool,
    SmallSite,
    write_jobs,
)
from gigafactory.testing.proving import run_problems

DAYS = 3
ZONE = "Europe/Amsterdam"
POOLS = (SmallPool("H100", 8), SmallPool("B200", 4))
SECOND = FIRST_DAY + dt.timedelta(days=1)
NOX_KG_PER_MWH = 0.26  # of a gas engine, by the library


def _engine(name: str, since: dt.date, power_mw: float) -> dict[str, Any]:
    return {
        "name": name, "site": "site0", "kind": "gas_engine", "power": f"{power_mw:.6f} MW",
        "commissioned": since.isoformat(), "fuel_price": "0.1 EUR/MWh",
    }  # fmt: skip


def _settings() -> dict[str, Any]:
    site = SmallSite(POOLS, ppa=0.4)
    raw = SmallFactory((site,)).settings()
    small = site.full_mw * 0.1
    raw["energy"]["generators"] = [
        _engine("here", dt.date(2020, 1, 1), small), _engine("late", SECOND, small),
    ]  # fmt: skip
    raw["energy"]["ppas"][0]["capacity"] = "0.05 MW"
    raw["policy"]["quota_groups"] = [
        {"name": "science", "title": {"en": "Science", "nl": "Wetenschap"}, "kind": "reserved",
         "nominal": "60 %"},
    ]  # fmt: skip
    lab, shop = raw["tenants"]
    lab["quota"] = {"group": "science", "nominal": "50 %"}
    lab["evidence"] = [
        {"kind": "research_organisation", "document": "Recognition", "issued": "2024-05-13",
         "verified_by": "Somebody"},
    ]  # fmt: skip
    lab["programme"] = {"name": "deltas", "title": "Deltas", "kind": "national",
                        "outputs": ["A map of salt in the ground"]}  # fmt: skip
    shop |= {"mission": "energy_transition", "discount": "20 %"}
    shop["evidence"] = [
        {"kind": "sme_declaration", "document": "Declaration", "issued": "2024-05-13",
         "verified_by": "Somebody"},
    ]  # fmt: skip
    shop["work"][0]["outcome"] = "Peaks of the net 2 % lower"
    return raw


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("one")
    path = place / "factory.yaml"
    path.write_text(yaml.safe_dump(_settings(), sort_keys=False, allow_unicode=True), "utf-8")
    jobs = write_jobs(place / "jobs.csv", POOLS, 500, 2.5, 5, load=1.3)
    options = RunOptions(
        str(path), jobs=str(jobs), start=FIRST_DAY.isoformat(), days=DAYS, seed=2, yardstick="off"
    )
    start_run(options, out=place / "run")
    assert run_problems(place / "run") == []
    return place / "run"


@pytest.fixture(scope="module")
def summary(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "summary.json").read_text("utf-8")))


@pytest.fixture(scope="module")
def series(folder: Path) -> dict[str, Any]:
    table = pq.read_table(folder / "series.parquet")
    return {name: table[name].to_numpy() for name in table.column_names if name != "site"}


@pytest.fixture(scope="module")
def jobs(folder: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(folder / "jobs.parquet").to_pylist())


def test_network_it_cooling_and_grid_share_one_clock(
    series: dict[str, Any], summary: dict[str, Any]
) -> None:
    starts = series["start_ns"]
    assert len(starts) == DAYS * 96
    assert set(np.diff(starts).tolist()) == {900 * 10**9}
    for name in ("network_mw", "it_mw", "cooling_mw", "import_mw", "running_research"):
        assert np.isfinite(series[name]).all(), name
        assert series[name].max() > 0.0, name
    # in every period the parts are what comes in: one energy balance, not four models
    used = sum(series[k] for k in ("it_mw", "cooling_mw", "losses_mw", "auxiliary_mw", "export_mw"))
    came = series["import_mw"] + series["generation_mw"]
    assert used + series["dumped_mw"] == pytest.approx(came, abs=1e-4)
    assert (series["network_mw"] <= series["it_mw"] + 1e-9).all()
    assert float(series["network_mw"].sum()) / 4 == pytest.approx(
        summary["energy"]["network_mwh"], abs=1e-4
    )


def test_every_job_has_one_type_and_the_mix_is_the_whole(
    jobs: list[dict[str, Any]], summary: dict[str, Any]
) -> None:
    known = {"frontier_training", "research", "fine_tuning", "inference_batch",
             "inference_realtime"}  # fmt: skip
    assert {row["job_class"] for row in jobs} == known
    hours = summary["accelerator_hours"]
    assert set(hours["useful_by_class"]) == known
    mix = [value / hours["useful"] for value in hours["useful_by_class"].values()]
    assert sum(mix) == pytest.approx(1.0, abs=1e-9)
    assert min(mix) > 0.0


def test_available_allocated_used_and_idle_hours_are_told_apart(
    jobs: list[dict[str, Any]], summary: dict[str, Any]
) -> None:
    """Used is metered job by job; what is there, held, at work and idle is not one figure."""
    hours = summary["accelerator_hours"]
    assert hours["installed"] == 12 * 8 * 24 * DAYS
    held = sum(row["allocated_gpu_s"] for row in jobs) / 3600
    used = sum(row["gpu_s"] for row in jobs) / 3600
    apart = ("awaiting_power", "down", "idle", "reserved_idle", "held_paused", "useful", "overhead",
             "lost_failure", "lost_response", "lost_preemption")  # fmt: skip
    assert sum(hours[name] for name in apart) == pytest.approx(hours["installed"])
    assert used <= held + 1e-6
    assert hours["sold"] == pytest.approx(used, rel=1e-3)
    assert held == pytest.approx(hours["installed"] - hours["idle"], rel=2e-3)
    assert 0.0 < hours["useful"] < hours["installed"]
    assert hours["idle"] > 0.0


def test_a_reserved_share_is_proved_month_by_month(summary: dict[str, Any]) -> None:
    rows = {row["node"]: row for row in summary["quota_proof"]}
    assert set(rows) == {"science", "lab"}
    assert {row["month"] for row in summary["quota_proof"]} == {"2025-01"}
    told = {row["node"]: row for row in summary["shares"]}
    for name, row in rows.items():
        # 60 % and 50 % of 8 and of 4 nodes are 4 and 2, and 4 and 2
        assert row["reserved_gpu_h"] == (4 + 2) * 8 * 24 * DAYS
        own = told[name]["held_gpu_h"] - told[name]["borrowed_gpu_h"]
        assert row["used_gpu_h"] == pytest.approx(own)
        assert row["undercut_gpu_h"] == pytest.approx(told[name]["short_gpu_h"])
        assert row["asked_gpu_h"] == pytest.approx(row["used_gpu_h"] + row["undercut_gpu_h"])
        share = row["used_gpu_h"] / row["asked_gpu_h"]
        assert row["kept_share"] == pytest.approx(share)


def test_a_programme_has_what_it_asked_what_it_was_granted_and_what_waits(
    jobs: list[dict[str, Any]], summary: dict[str, Any]
) -> None:
    (row,) = summary["programmes"]
    mine = [job for job in jobs if job["tenant"] == "lab"]
    refused = [job for job in mine if job["state"] == "refused"]
    waiting = [job for job in mine if job["state"] == "queued"]
    assert row["jobs"] == len(mine)
    assert row["requested_gpu_h"] > row["held_gpu_h"] > 0.0
    assert (row["granted_gpu_h"] < row["requested_gpu_h"]) == bool(refused)
    assert row["waiting_jobs"] == len(waiting) > 0
    assert 0.0 < row["waiting_gpu_h"] <= row["granted_gpu_h"]
    assert row["outputs"] == ["A map of salt in the ground"]


def test_a_mission_has_its_hours_its_projects_and_its_outcomes(
    jobs: list[dict[str, Any]], summary: dict[str, Any]
) -> None:
    (row,) = summary["by_mission"]
    assert row["mission"] == "energy_transition"
    assert row["tenants"] == ["shop"]
    assert row["projects"] == ["shop-inference_batch"]
    assert row["outcomes"] == ["Peaks of the net 2 % lower"]
    held = sum(job["allocated_gpu_s"] for job in jobs if job["tenant"] == "shop") / 3600
    assert row["held_gpu_h"] == pytest.approx(held, rel=2e-3)


def test_a_generator_is_absent_before_its_day(folder: Path) -> None:
    accounts = pq.read_table(folder / "accounts.parquet")
    here, late = (accounts[f"generator.{name}.made_wh"].to_numpy() for name in ("here", "late"))
    assert here[:96].sum() > 0
    assert not late[:96].any()
    assert late[96:].sum() > 0


def test_run_hours_nox_and_co2_of_generators_are_logged(
    folder: Path, summary: dict[str, Any]
) -> None:
    told = summary["own_generation"]
    assert [row["generator"] for row in told["generators"]] == ["here", "late"]
    for row in told["generators"]:
        assert row["made_mwh"] > 0.0
        assert row["run_h"] > 0.0
        assert row["co2_kg"] > 0.0
        assert row["nox_kg"] == pytest.approx(row["made_mwh"] * NOX_KG_PER_MWH)
    parts = sum(row["nox_kg"] for row in told["generators"])
    assert told["nox_kg"] == pytest.approx(parts)
    assert sum(row["nox_kg"] for row in told["by_month"]) == pytest.approx(parts)


def test_contracts_tell_their_share_and_the_capacity_they_made_possible(
    summary: dict[str, Any],
) -> None:
    told = summary["contribution"]
    born = FIRST_DAY - dt.timedelta(days=500)  # a hundred days before the contract began
    assert told["new_capacity"] == [
        {"year": born.year, "capacity_mw": 0.05, "contracts": ["wind-site0"]}
    ]
    (row,) = told["contracts"]
    assert row["additional"]
    used = sum(quarter["used_mwh"] for quarter in told["quarters"])
    assert told["ppa_share"] == pytest.approx(row["taken_mwh"] / used)
    assert told["additional_share"] == pytest.approx(told["ppa_share"])


def test_price_and_priority_of_a_job_are_explained(
    folder: Path, jobs: list[dict[str, Any]]
) -> None:
    chips, finance = load_catalogue(), load_factory(folder / "factory.yaml").finance
    for tenant, label, factor in (("shop", "inference_batch", 0.8), ("lab", "research", 1.0)):
        row = next(
            r for r in jobs
            if (r["tenant"], r["job_class"]) == (tenant, label) and r["start_ns"] >= 0
        )  # fmt: skip
        listed = finance.price_eur_per_gpu_h[label].base * chips[row["chip"]].h100_equivalent
        english, dutch = ("\n".join(explain(folder, row["job"], x, ZONE)) for x in ("en", "nl"))
        assert f"It costs {listed * factor:,.4f} EUR per accelerator-hour" in english
        assert ("pays 20 % less than the list price" in english) == (tenant == "shop")
        assert ("goes before other work of its class" in english) == (tenant == "shop")
        assert ("takes it back when others have borrowed it" in english) == (tenant == "lab")
        assert ("betaalt 20% minder" in dutch or "20 % minder" in dutch) == (tenant == "shop")
