"""What the years begin with is what the ledger of a run says, to the last micro-euro."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gigafactory.cli import main
from gigafactory.engine.errors import EXIT_OK, BadInput
from gigafactory.factory import load_factory
from gigafactory.finance.base import base_of, by_segment, receipts, segment_of
from gigafactory.finance.publicmoney import spillovers
from gigafactory.finance.years import full_column, measure, play
from gigafactory.testing.factories import FIRST_DAY, SmallFactory, write_jobs
from tests.finance.made_up import bundled_plan, rotterdam
from tests.finance.made_up_run import DAYS, total, write_run

SCALE = 8766 / (24 * DAYS)


def test_revenue_is_the_receipts(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    summary = write_run(folder)
    sales = receipts(load_factory("rotterdam"), bundled_plan(), folder)
    seconds, micro = total(folder)
    assert sum(s.revenue_micro_eur for s in sales) == micro
    assert sum(s.sold_gpu_h for s in sales) * 3600 == pytest.approx(seconds, rel=1e-12)
    base = base_of(folder)
    assert base.revenue_eur == pytest.approx(summary["money"]["revenue_eur"] * SCALE)
    assert base.sold_gpu_h == pytest.approx(summary["accelerator_hours"]["sold"] * SCALE)
    assert sum(by_segment(base.sales).values()) == pytest.approx(base.revenue_eur)


def test_revenue_is_hours_times_price_in_every_year(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write_run(folder)
    base = base_of(folder)
    course = play(base)
    price = base.revenue_eur / base.sold_gpu_h
    at = course.operating.building_years  # the first year has the full year's price
    earned = sum(int(row[0, at]) for row in course.operating.revenue) / 100
    assert earned == pytest.approx(course.operating.sold_gpu_h[0, at] * price, abs=1.0)


def test_costs_are_the_ledger_s(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    summary = write_run(folder)
    base, money = base_of(folder), summary["money"]
    assert base.days == DAYS
    assert base.synthetic
    # guarantees sold are in the ledger's cost of energy; here they are sold
    assert base.opex_eur["energy"] - base.beside_eur["guarantees"] == pytest.approx(
        money["energy_eur"] * SCALE
    )
    assert base.opex_eur["grid_tariff"] == pytest.approx(money["grid_tariff_eur"] * SCALE)
    assert base.opex_eur["water"] == pytest.approx(money["water_eur"] * SCALE)
    for name in ("heat", "reserves", "congestion"):
        assert base.beside_eur[name] == pytest.approx(money[f"{name}_eur"] * SCALE)
    assert base.beside_eur["storage"] == pytest.approx(100_000 * SCALE)
    finance = base.factory.finance
    assert base.opex_eur["staff"] == finance.staff_fte * finance.staff_eur_per_fte


def test_public_money_in_use_is_told_per_grant(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write_run(folder)
    base = base_of(folder)
    found = {row.name: row for row in spillovers(base)}
    assert set(found) == {"union-aigf", "national-share"}
    row = found["union-aigf"]
    grant = base.plan.grants[0]
    assert row.counted
    assert row.amount_eur == pytest.approx(0.17 * measure(play(base)).capex_eur[0], rel=1e-6)
    hours = sum(base.spillover_gpu_h[group] for group in grant.groups)
    years = sum(base.plan.ramp[min(j, 2)] for j in range(base.plan.operating_years))
    assert row.group_gpu_h_per_eur == pytest.approx(hours * years / row.amount_eur)
    first_five = sum(base.plan.ramp[min(j, 2)] for j in range(5))
    assert row.bought_gpu_h == pytest.approx(0.17 * base.sold_gpu_h * first_five)
    tenants = [t for t in base.factory.tenants if t.group in grant.groups]
    assert row.firms == len(tenants)
    assert row.programmes == 4
    assert row.research_eur_per_eur > 0


def test_segments_are_found_by_sector_before_group() -> None:
    plan = bundled_plan()
    assert segment_of(plan, "payment security", "sme") == "finance"
    assert segment_of(plan, "dairy farming", "sme") == "industry"
    assert segment_of(plan, "university", "knowledge_institute") == "research"
    assert segment_of(plan, "anything", "nobody knows") == plan.segments[-1].name
    names = {sale.segment for sale in rotterdam().sales}
    assert {"tech", "finance", "research"} <= names


def test_an_estimate_says_that_it_is_one() -> None:
    base = rotterdam()
    assert base.run == ""
    assert base.days == 0
    assert base.sold_gpu_h == pytest.approx(0.89 * base.installed_gpu_h)
    assert full_column(play(base)) == 4


def test_a_run_without_a_day_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    summary = write_run(folder)
    summary["days_done"] = 0
    (folder / "summary.json").write_text(json.dumps(summary), "utf-8")
    with pytest.raises(BadInput, match="no day"):
        base_of(folder)


def test_a_run_that_sold_nothing_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write_run(folder)
    table = pq.read_table(folder / "jobs.parquet").slice(0, 0)
    pq.write_table(table, folder / "jobs.parquet")
    with pytest.raises(BadInput, match="no accelerator-hour was sold"):
        base_of(folder)


@pytest.mark.slow
def test_a_real_run_reconciles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    factory = SmallFactory(changes={"governance.dossier": "rotterdam"})
    factory.write(tmp_path / "small.yaml")
    write_jobs(tmp_path / "jobs.csv", factory.pools, 80, 0.9, 2)
    words = ["run", "small.yaml", "--jobs", "jobs.csv", "--start", FIRST_DAY.isoformat()]
    assert main([*words, "--days", "1", "--quiet", "--yardstick", "off"]) == EXIT_OK
    folder = tmp_path / "runs" / "small-1"
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    base = base_of(folder)
    sales = receipts(base.factory, base.plan, folder)
    micro = sum(s.revenue_micro_eur for s in sales)
    assert micro == round(summary["money"]["revenue_eur"] * 1e6)
    assert sum(s.sold_gpu_h for s in sales) == pytest.approx(
        summary["accelerator_hours"]["sold"], abs=1e-6
    )
    assert main(["finance", "latest", "--draws", "100", "--scenario", "crash"]) == EXIT_OK
