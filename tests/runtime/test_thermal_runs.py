"""Runs of a tiny factory held against what was worked out by hand: contracts, carbon, water, heat.

Each factory has one hall of 64 H100 and one site; jobs come from a made-up file.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.report import write_report
from gigafactory.runtime.replay import replay, verify
from gigafactory.runtime.run import Outcome, RunOptions, resume_run, start_run
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    SmallPool,
    SmallSite,
    write_jobs,
)
from gigafactory.testing.proving import run_problems
from tests.runtime.test_resume import Stopper

HOT_DAY = "2025-07-10"
PPA: dict[str, Any] = {
    "name": "base",
    "site": "site0",
    "technology": "solar",
    "capacity": "0.05 MW",
    "price": "60 EUR/MWh",
    "from": "2024-01-01",
    "until": "2030-01-01",
    "commissioned": "2020-01-01",
    "curtail": "60 EUR/MWh",
    "form": "baseload",
}

TOWER = {
    "sites.site0.cooling.technology": "evaporative",
    "sites.site0.cooling.approach": "4.5 K",
    "sites.site0.cooling.fan": "1 %",
    "sites.site0.cooling.pump": "1.8 %",
}

Make = Callable[..., Outcome]


def changed(place: Path, changes: dict[str, Any], site: SmallSite | None = None) -> Path:
    pools = SmallSite(pools=(SmallPool("H100", 8),)) if site is None else site
    return SmallFactory((pools,), changes=changes).write(place / "factory.yaml")


def options(
    place: Path, changes: dict[str, Any], days: int, start: str = "2025-01-15", load: float = 0.9
) -> RunOptions:
    jobs = write_jobs(place / "jobs.csv", (SmallPool("H100", 8),), 120 * days, days * 0.95, 5, load)
    return RunOptions(
        factory=str(changed(place, changes)),
        jobs=str(jobs),
        start=start,
        days=days,
        seed=4,
        yardstick="off",
    )


def ran(place: Path, changes: dict[str, Any], days: int = 1, **more: Any) -> Path:
    """A run that proves itself, and its folder."""
    start_run(options(place, changes, days, **more), out=place / "run", reporter=write_report)
    folder = place / "run"
    assert run_problems(folder) == []
    assert not replay(folder)[1]
    return folder


def summary_of(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "summary.json").read_text("utf-8"))
    assert told["conservation"]["holds"], told["conservation"]["problems"]
    return told


def columns(folder: Path, table: str) -> dict[str, Any]:
    read = pq.read_table(folder / f"{table}.parquet")
    return {n: read[n].to_numpy() for n in read.column_names if n != "site"}


# --- power contracts -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def contracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parties = [
        {"name": "fund", "finance": "70 %", "benefit": "60 %"},
        {"name": "operator", "finance": "30 %", "benefit": "40 %", "operates": True},
    ]
    terms = PPA | {
        "guarantees": "sold",
        "guarantee_price": "2 EUR/MWh",
        "parties": parties,
        "operating_fee": "3 EUR/MWh",
    }
    return ran(tmp_path_factory.mktemp("baseload"), {"energy.ppas": [terms]}, days=31)


@pytest.mark.slow
def test_a_baseload_month_is_settled_as_by_hand(contracted: Path) -> None:
    """50 kW in each of 31 x 24 hours is 37.2 MWh, at 60 EUR/MWh 2,232 EUR; 2 EUR each sold on."""
    (row,) = summary_of(contracted)["contracts"]
    assert row["taken_mwh"] == pytest.approx(37.2, abs=1e-9)
    assert row["curtailed_mwh"] == 0.0
    assert row["cost_eur"] == pytest.approx(2232.0, abs=1e-6)
    assert row["guarantees_sold_eur"] == pytest.approx(74.4, abs=1e-6)
    assert row["guarantees_kept_mwh"] == 0.0
    assert row["operating_fee_eur"] == pytest.approx(3 * 37.2, abs=1e-6)
    price = columns(contracted, "series")["price_eur_per_mwh"]
    worth = float((price * 0.0125).sum())
    assert row["worth_eur"] == pytest.approx(worth, abs=1e-3)
    assert row["result_eur"] == pytest.approx(worth + 74.4 - 2232.0, abs=1e-3)


@pytest.mark.slow
def test_every_quarter_takes_the_same_whatever_the_price(contracted: Path) -> None:
    accounts = columns(contracted, "accounts")
    assert set(accounts["contract.ppa.base_wh"].tolist()) == {12_500}
    assert columns(contracted, "series")["price_eur_per_mwh"].min() < 0.0


@pytest.mark.slow
def test_parties_get_their_shares_and_add_up(contracted: Path) -> None:
    (row,) = summary_of(contracted)["contracts"]
    cost, fee = row["cost_eur"], row["operating_fee_eur"]
    benefit = row["worth_eur"] + row["guarantees_sold_eur"]
    fund, operator = row["parties_eur"]["fund"], row["parties_eur"]["operator"]
    assert fund == pytest.approx(0.6 * benefit - 0.7 * (cost + fee), abs=1e-4)
    assert operator == pytest.approx(0.4 * benefit - 0.3 * (cost + fee) + fee, abs=1e-4)
    accounts = columns(contracted, "accounts")
    parts = [accounts[f"party.base.{name}_micro_eur"] for name in ("fund", "operator")]
    assert int(sum(p.sum() for p in parts)) == round(row["result_eur"] * 1e6)


@pytest.mark.slow
def test_guarantees_sold_on_count_for_no_carbon(contracted: Path) -> None:
    told = summary_of(contracted)
    assert told["carbon"]["carbon_free_mwh"] == 0.0
    assert told["carbon"]["market_kg"] == pytest.approx(told["carbon"]["location_kg"])
    assert told["money"]["paid_eur"]["guarantees"] == pytest.approx(-74.4, abs=1e-6)


def test_shares_that_do_not_add_up_are_refused_together(tmp_path: Path) -> None:
    parties = [
        {"name": "a", "finance": "70 %", "benefit": "60 %"},
        {"name": "a", "finance": "40 %", "benefit": "40 %"},
    ]
    terms = PPA | {"guarantees_of_origin": False, "guarantees": "sold", "parties": parties}
    with pytest.raises(BadInput) as told:
        start_run(options(tmp_path, {"energy.ppas": [terms]}, 1), out=tmp_path / "run")
    words = str(told.value)
    for part in ("finance must add up", "exactly one party", "earlier one", "no guarantees"):
        assert part in words


# --- carbon ----------------------------------------------------------------------------------


def test_carbon_of_a_day_is_matched_hour_by_hour(tmp_path: Path) -> None:
    """From the run's own series, by plain loops: no function of the product is asked."""
    contract = PPA | {"name": "sun", "form": "pay_as_produced", "capacity": "0.4 MW"}
    mix = {"wind": "50 %", "gas": "50 %"}
    folder = ran(tmp_path, {"energy.ppas": [contract], "energy.mix": mix}, start=HOT_DAY)
    told, s = summary_of(folder)["carbon"], columns(folder, "series")
    location = market = hourly = matched = load = cfe = 0.0
    full = 0
    factor = s["co2_location_kg"] / np.maximum(s["import_mw"] / 4, 1e-12)
    for hour in range(24):
        of = range(4 * hour, 4 * hour + 4)
        drawn = sum(s["import_mw"][k] / 4 for k in of)
        made = sum(s["ppa_mw"][k] / 4 for k in of)
        kg = sum(s["import_mw"][k] / 4 * factor[k] for k in of)
        location += kg
        hourly += max(drawn - made, 0.0) * kg / drawn
        matched += min(drawn, made)
        full += made >= drawn
        load, cfe = load + drawn, cfe + made
    market = max(0.0, 1.0 - cfe / load) * location
    assert 0.0 < matched < load
    assert 0 < full < 24
    assert told["location_kg"] == pytest.approx(location, rel=1e-4)
    assert told["market_kg"] == pytest.approx(market, rel=1e-4)
    assert told["hourly_kg"] == pytest.approx(hourly, rel=1e-4)
    assert told["cfe_share"] == pytest.approx(matched / load, rel=1e-6)
    assert told["hours_matched_share"] == pytest.approx(full / 24)
    assert told["excess_mwh"] == pytest.approx(cfe - matched, rel=1e-6)
    # half wind at 0.004 and half gas at 0.95 L/kWh; sun takes 0.11
    assert told["indirect_water_m3"] == pytest.approx(load * 0.477, rel=1e-6)
    by_contract = (load - matched) * 0.477 + matched * 0.11
    assert told["indirect_water_matched_m3"] == pytest.approx(by_contract, rel=1e-6)
    assert told["marginal_kg"] is None
    assert any("marginal" in sentence for sentence in told["not_counted"])


def test_water_is_told_at_the_site_and_at_the_source(tmp_path: Path) -> None:
    """A tower drinks here; what it draws from the grid, made half from gas, drank elsewhere."""
    folder = ran(tmp_path, TOWER | {"energy.mix": {"wind": "50 %", "gas": "50 %"}}, start=HOT_DAY)
    told, s = summary_of(folder), columns(folder, "series")
    it, own = float(s["it_mw"].sum()) / 4, float(s["water_m3"].sum())
    indirect = float(s["import_mw"].sum()) / 4 * 0.477
    assert own > 0.0
    assert told["wue_l_per_kwh"] == pytest.approx(own / it, rel=1e-6)
    assert told["carbon"]["indirect_water_m3"] == pytest.approx(indirect, rel=1e-6)
    assert told["carbon"]["wue_source_l_per_kwh"] == pytest.approx((own + indirect) / it, rel=1e-6)


def test_the_sea_saves_fresh_water_and_its_warming_is_logged(tmp_path: Path) -> None:
    """By hand: heat over flow, density and heat capacity of sea water is the warming."""
    flow, sea = 0.0015, 14.0
    changes = {
        "sites.site0.cooling.technology": "seawater",
        "sites.site0.cooling.supply": "24 °C",
        "sites.site0.cooling.approach": "2 K",
        "sites.site0.cooling.surface_water": {
            "mean": f"{sea} °C", "flow": flow, "discharge_max": "22 °C",
        },
    }  # fmt: skip
    folder = ran(tmp_path, changes, start=HOT_DAY)
    (row,), s = summary_of(folder)["cooling"], columns(folder, "series")
    assert row["technology"] == "seawater"
    assert row["water_m3"] == 0.0
    assert summary_of(folder)["water_m3"] == 0.0
    assert not s["water_m3"].any()
    # at the least the IT heat goes to the sea, at the most all that the site draws
    rise = 1000 / (1026 * 3.99 * flow)
    load = s["it_mw"] + s["cooling_mw"] + s["losses_mw"]
    assert sea + rise * s["it_mw"].max() < row["discharge_c_max"] <= sea + rise * load.max()
    assert sea + rise * s["it_mw"].mean() < row["discharge_c_mean"] < row["discharge_c_max"]
    assert row["discharge_limit_c"] == 22.0
    surely = float((sea + rise * s["it_mw"] > 22.0).sum()) / 4
    perhaps = float((sea + rise * load > 22.0).sum()) / 4
    assert 0.0 < surely <= row["discharge_above_h"] <= perhaps


# --- water under caps ------------------------------------------------------------------------


@pytest.mark.slow
def test_a_cap_is_reached_and_not_passed(tmp_path: Path) -> None:
    free = ran(tmp_path, TOWER, start=HOT_DAY)
    wanted = summary_of(free)["cooling"][0]
    assert wanted["short_h"] == 0.0
    cap = round(wanted["water_m3"] / 2, 3)
    place = tmp_path / "capped"
    place.mkdir()
    changes = TOWER | {"sites.site0.water.cap_day": f"{cap:.3f} m3"}
    folder = ran(place, changes, start=HOT_DAY)
    told, s = summary_of(folder)["cooling"][0], columns(folder, "series")
    assert cap * 0.95 < told["water_m3"] <= cap
    assert told["short_h"] > 2.0
    assert told["short_mwh"] > 0.0
    assert told["fullest_share"] == pytest.approx(told["water_m3"] / cap, rel=1e-4)
    dry = s["water_short_mw"] > 0
    assert s["water_m3"][dry].max() < 1e-9
    # without water the plant takes more for the same IT
    assert (s["cooling_mw"][dry] / s["it_mw"][dry]).mean() > (
        s["cooling_mw"][~dry] / s["it_mw"][~dry]
    ).mean()
    assert told["short_mwh"] == pytest.approx(float(s["water_short_mw"].sum()) / 4, abs=1e-4)


@pytest.mark.slow
def test_a_years_water_is_kept_for_hours_that_need_it_more(tmp_path: Path) -> None:
    """About half of what a year needs: two days of July get it in their warm quarters alone."""
    changes = {
        "sites.site0.cooling.technology": "adiabatic",
        "sites.site0.cooling.supply": "24 °C",
        "sites.site0.water.cap": "24 m3",
    }
    folder = ran(tmp_path, changes, days=2, start=HOT_DAY)
    told, s = summary_of(folder)["cooling"][0], columns(folder, "series")
    dry, wet = s["water_short_mw"] > 0, s["water_m3"] > 0
    assert 0.0 < told["water_m3"] <= 24.0
    assert dry.any()
    # the air decides, and a little its moisture: warmer quarters get the water
    assert s["temperature_c"][wet].min() > s["temperature_c"][dry].max() - 1.0
    assert s["temperature_c"][wet].mean() > s["temperature_c"][dry].mean() + 2.0


@pytest.mark.slow
@settings(max_examples=5)
@given(
    st.sampled_from(["adiabatic", "evaporative"]),
    st.floats(0.0, 40.0),
    st.sampled_from(["cap", "cap_month", "cap_day"]),
    st.integers(0, 9),
)
def test_water_is_never_above_its_cap(
    tmp_path_factory: pytest.TempPathFactory, technology: str, cap: float, key: str, day: int
) -> None:
    place = tmp_path_factory.mktemp("cap")
    changes = {
        "sites.site0.cooling.technology": technology,
        "sites.site0.cooling.supply": "22 °C",
        f"sites.site0.water.{key}": f"{cap:.6f} m3",
    }
    folder = ran(place, changes, start=f"2025-07-2{day}")
    assert summary_of(folder)["water_m3"] <= cap


@pytest.mark.slow
def test_water_counts_on_after_an_interruption(tmp_path: Path) -> None:
    changes = TOWER | {
        "sites.site0.water.cap": "60 m3",
        "sites.site0.water.cap_month": "20 m3",
        "sites.site0.heat": HEAT | {"pump": {"owner": "site"}},
        "energy.ppas": [PPA],
        "sites.site0.monitoring": {"sensors": [NOISE]},
    }
    asked = options(tmp_path, changes, 3, start=HOT_DAY)
    whole = start_run(asked, out=tmp_path / "whole")
    assert 0.0 < whole.summary["cooling"][0]["short_h"] < 72.0
    start_run(asked, Stopper(1), out=tmp_path / "cut")
    assert not verify(tmp_path / "cut")[1]
    resume_run(tmp_path / "cut")
    for name in ("journal.gfj", "accounts.parquet", "series.parquet", "monitored.parquet"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not verify(tmp_path / "cut")[1]
    assert not replay(tmp_path / "cut")[1]


# --- heat ------------------------------------------------------------------------------------

HEAT: dict[str, Any] = {
    "power_max": "0.03 MW",
    "source": "42 °C",
    "network": "70 °C",
    "cop_quality": "50 %",
    "price": "15 EUR/MWh",
    "peak_demand": "0.04 MW",
    "homes": 20,
}
#: 70 + 3 degC from 42 degC at half of Carnot: 0.5 x 346.15 / 31.
COP = 0.5 * 346.15 / 31.0


@pytest.mark.slow
@pytest.mark.parametrize("owner", ["site", "network"])
def test_a_day_of_a_heat_pump(tmp_path: Path, owner: str) -> None:
    changes = {"sites.site0.heat": HEAT | {"pump": {"owner": owner}}}
    folder = ran(tmp_path, changes)
    whole, s = summary_of(folder), columns(folder, "series")
    (row,) = whole["heat"]["sites"]
    wanted = s["heat_demand_mw"]
    assert wanted.max() <= 0.03 + 1e-9
    delivered = float(wanted.sum()) / 4
    assert row["cop"] == pytest.approx(COP)
    assert row["into_network_mwh"] == pytest.approx(delivered, abs=1e-4)
    assert row["handed_over_mwh"] == pytest.approx(delivered * (1 - 1 / COP), abs=1e-4)
    assert row["pump_mwh"] == pytest.approx(delivered / COP, abs=1e-4)
    own = delivered / COP if owner == "site" else 0.0
    assert row["pump_own_mwh"] == pytest.approx(own, abs=1e-4)
    parts = whole["energy"]
    site = sum(parts[f"{k}_mwh"] for k in ("it", "cooling", "losses", "auxiliary", "heat_pump"))
    assert parts["heat_pump_mwh"] == pytest.approx(own, abs=1e-4)
    assert parts["site_mwh"] == pytest.approx(site)
    assert whole["erf"] == pytest.approx(row["handed_over_mwh"] / site, rel=1e-6)
    sold = delivered if owner == "site" else delivered * (1 - 1 / COP)
    assert whole["money"]["heat_eur"] == pytest.approx(15 * sold, abs=0.01)


@pytest.mark.slow
def test_homes_by_the_rule_and_by_the_hour_stand_side_by_side(tmp_path: Path) -> None:
    folder = ran(tmp_path, {"sites.site0.heat": HEAT | {"pump": {"owner": "network"}}})
    (row,) = summary_of(folder)["heat"]["sites"]
    assert (row["homes_by_rule_low"], row["homes_by_rule_high"]) == pytest.approx((18.0, 21.0))
    (month,) = summary_of(folder)["heat"]["by_month"]
    assert month["month"] == "2025-01"
    for key in ("need_mwh", "covered_mwh"):
        assert month[key] == pytest.approx(row[key])
    assert row["covered_mwh"] <= row["need_mwh"]
    assert row["covered_mwh"] == pytest.approx(row["into_network_mwh"], abs=1e-4)
    assert month["short_mwh"] == pytest.approx(row["need_mwh"] - row["covered_mwh"])
    # 40 kW at the yearly peak and 30 kW at most: a back-up runs in the quarters that want more
    s = columns(folder, "series")
    assert row["short_h"] == float((s["heat_demand_mw"] > 0.03 - 1e-9).sum()) / 4
    assert row["short_h"] < 24


def test_a_pump_yields_to_work_where_the_connection_is_full(tmp_path: Path) -> None:
    site = SmallSite(pools=(SmallPool("H100", 8),), firm=0.55)
    hot = HEAT | {"pump": {"owner": "site"}, "peak_demand": "1 MW", "power_max": "0.09 MW"}
    asked = options(tmp_path, {"sites.site0.heat": hot}, 1, load=1.5)
    changed(tmp_path, {"sites.site0.heat": hot}, site)
    start_run(asked, out=tmp_path / "run")
    assert run_problems(tmp_path / "run") == []
    s = columns(tmp_path / "run", "series")
    assert (s["import_mw"] <= s["limit_mw"] + 1e-6).all()
    assert (s["heat_network_mw"] < s["heat_demand_mw"] - 1e-6).any()


# --- sensors ---------------------------------------------------------------------------------

NOISE: dict[str, Any] = {
    "name": "fence",
    "kind": "noise",
    "full": 50,
    "background": 38,
    "limit": 40,
    "allowed_h": 8766,
}


@pytest.mark.slow
def test_sensors_show_their_gaps_and_judge_measured_time(tmp_path: Path) -> None:
    gappy = NOISE | {"coverage": "60 %", "gap_h": 3, "allowed_h": 0}
    plume = {"name": "plume", "kind": "plume", "limit": 0, "coverage": "100 %"}
    air = {"name": "dust", "kind": "air", "full": 2, "background": 16, "limit": 40,
           "coverage": "100 %"}  # fmt: skip
    changes = TOWER | {"sites.site0.monitoring": {"sensors": [gappy, plume, air]}}
    folder = ran(tmp_path, changes, days=3)
    rows = {r["sensor"]: r for r in summary_of(folder)["monitoring"]}
    table = pq.read_table(folder / "monitored.parquet").to_pylist()
    noise = [r["value"] for r in table if r["sensor"] == "fence"]
    gaps = sum(v is None for v in noise)
    assert 0 < gaps < len(noise)
    assert rows["fence"]["gap_h"] == gaps / 4
    assert rows["fence"]["covered_h"] == 72 - gaps / 4
    above = sum(v is not None and v > 40 for v in noise) / 4
    assert rows["fence"]["exceeded_h"] == above
    assert rows["fence"]["judgement"] == ("exceeded" if above else "not shown")
    assert rows["plume"]["exceeded_h"] > 0, "winter air shows the plume of a tower"
    s = columns(folder, "series")
    dust = np.array([r["value"] for r in table if r["sensor"] == "dust"])
    # drift is in proportion to heat, so dust above the background follows the load
    assert np.corrcoef(dust - 16, s["it_mw"])[0, 1] > 0.99


@pytest.mark.slow
@pytest.mark.parametrize(("lang", "words"), [("en", "not shown"), ("nl", "niet aangetoond")])
def test_the_report_tells_gaps_caps_contracts_and_carbon(
    tmp_path: Path, lang: str, words: str
) -> None:
    """Every new chapter of one run, in both languages; numbers stand there as in the summary."""
    gappy = NOISE | {"limit": 90, "allowed_h": 0, "coverage": "60 %", "gap_h": 3}
    changes = TOWER | {
        "sites.site0.water.cap_day": "1 m3",
        "sites.site0.water.stress_factor": 2.0,
        "sites.site0.heat": HEAT | {"pump": {"owner": "site"}},
        "sites.site0.monitoring": {"sensors": [gappy]},
        "energy.ppas": [PPA],
        "energy.mix": {"gas": "100 %"},
    }
    folder = ran(tmp_path, changes, start=HOT_DAY)
    page = write_report(folder, lang).read_text("utf-8")
    told = summary_of(folder)
    assert words in page
    for key in (
        "carbon.cfe_share",
        "contracts.0.cost_eur",
        "cooling.0.short_h",
        "cooling.0.stress_weighted_m3",
        "heat.sites.0.pump_mwh",
        "monitoring.0.gap_h",
    ):
        value: Any = told
        for step in key.split("."):
            value = value[int(step)] if isinstance(value, list) else value[step]
        assert f'<data value="{value:.12g}" data-source="summary:{key}">' in page, key


@pytest.mark.slow
def test_a_limit_cannot_be_shown_within_while_a_gap_is_open(tmp_path: Path) -> None:
    quiet = NOISE | {"limit": 200, "coverage": "60 %", "gap_h": 3, "allowed_h": 0}
    folder = ran(tmp_path, {"sites.site0.monitoring": {"sensors": [quiet]}})
    (row,) = summary_of(folder)["monitoring"]
    assert row["gap_h"] > 0
    assert row["judgement"] == "not shown"
    assert FIRST_DAY.isoformat() == summary_of(folder)["start"]
