"""Published points are met, switches add what they say, prices answer as history says they do."""

from __future__ import annotations

import csv
import gzip
import math
from pathlib import Path

import numpy as np
import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.finance.backtest import FIT_DAYS, USUAL_DAYS, backtest
from gigafactory.finance.demand import (
    FIRST_YEAR,
    LAST_YEAR,
    Switches,
    ai_gw,
    demand_twh,
    demand_years,
    implied_gap,
    load_demand,
    machines,
    machines_gw,
    price_factor,
    rebound_ratio,
    rebound_share,
    robot_density,
    supply_twh,
    world_twh,
)
from gigafactory.finance.materials import (
    TIMES_MAX,
    Material,
    capex_factors,
    load_materials,
    new_price_factor,
    shocks,
)
from tests.finance.made_up import rotterdam

DEMAND = load_demand()


def year(of: int) -> int:
    return of - FIRST_YEAR


def test_both_published_scenarios_are_met() -> None:
    assert ai_gw(DEMAND, 2026) == pytest.approx(44.0)
    assert ai_gw(DEMAND, 2030) / ai_gw(DEMAND, 2023) == pytest.approx(2.65)
    assert world_twh(DEMAND, 2024) == pytest.approx(415.0)
    assert world_twh(DEMAND, 2030) == pytest.approx(945.0)
    assert math.isnan(ai_gw(DEMAND, 2031)), "the bank's figures end in 2030"


def test_the_path_between_lies_near_the_year_that_was_counted_since() -> None:
    grown = world_twh(DEMAND, 2025) / world_twh(DEMAND, 2024) - 1
    assert grown == pytest.approx(DEMAND["growth_2025"], abs=0.03)


def test_the_model_runs_to_2041() -> None:
    assert LAST_YEAR == 2041
    assert len(demand_twh(DEMAND)) == len(supply_twh(DEMAND)) == LAST_YEAR - FIRST_YEAR + 1
    assert (np.diff(demand_twh(DEMAND)) > 0).all()


def test_a_shrinking_workforce_changes_the_curve() -> None:
    off, on = demand_twh(DEMAND), demand_twh(DEMAND, Switches(labour=True))
    assert (on[year(2027) :] > off[year(2027) :]).all()
    assert (on[: year(2026) + 1] == off[: year(2026) + 1]).all()
    # two million a year until 2040, a tenth of it done by machines
    assert machines(DEMAND, 2040, Switches(labour=True)) == pytest.approx(14 * 2e6 * 0.1)
    assert machines(DEMAND, 2041, Switches(labour=True)) == pytest.approx(14 * 2e6 * 0.1)


def test_robots_come_to_the_density_of_the_leading_country() -> None:
    # from 250 to 1,000 per 10,000 of thirty million workers
    assert machines(DEMAND, 2041, Switches(automation=True)) == pytest.approx(750 / 1e4 * 30e6)
    gw = machines_gw(DEMAND, 2041, Switches(automation=True))
    assert gw == pytest.approx(750 / 1e4 * 30e6 * 0.2 * 1.15 * 0.3 / 1e6)
    with_edge = machines_gw(DEMAND, 2041, Switches(automation=True, edge=True))
    assert with_edge == pytest.approx(gw / 0.3)


def test_robots_per_thousand_are_found_out() -> None:
    assert robot_density(250, 10_000) == 250
    with pytest.raises(BadInput, match="per 10,000"):
        robot_density(250, 1_000)  # as the caption of the figure has it
    assert robot_density(25, 1_000) == 250


def test_supply_lags_by_what_is_at_risk() -> None:
    rows = {row.year: row for row in demand_years(DEMAND)}
    assert rows[2024].gap_ratio == pytest.approx(1.0), "what was used had been supplied"
    assert all(row.gap_ratio > 1 for y, row in rows.items() if y > 2024)
    # of the year 2025's addition a fifth is late
    added = world_twh(DEMAND, 2025) - world_twh(DEMAND, 2024)
    assert rows[2025].supply_twh == pytest.approx(world_twh(DEMAND, 2024) + 0.8 * added)


def test_the_less_answers_to_a_price_the_more_it_moves() -> None:
    assert float(price_factor(1.2, 0.5, 0.5)) == pytest.approx(1.2)
    assert float(price_factor(1.2, 0.25, 0.25)) == pytest.approx(1.44)
    assert float(price_factor(1.0, 0.1, 0.0)) == 1.0
    with pytest.raises(AssertionError):
        price_factor(1.2, 0.0, 0.0)


def test_dated_prices_say_when_supply_lagged() -> None:
    gaps = dict(implied_gap(DEMAND.history, DEMAND))
    by = {day.isoformat()[:7]: gap for day, gap in gaps.items()}
    assert by["2025-10"] < 1 < by["2026-03"], "supply caught up until 2025, then it lagged"
    assert by["2025-10"] == pytest.approx(1.70 / 8.0)
    assert all(price.source.source for price in DEMAND.history)


def test_rebound_takes_back_what_the_formula_says() -> None:
    assert rebound_share(10.0, 1.0) == pytest.approx(1.0), "all of the saving"
    assert rebound_share(10.0, 0.0) == pytest.approx(0.0)
    assert rebound_share(10.0, 1.3) > 1.0, "more energy than before"
    assert rebound_share(1.0, 0.5) == 0.0
    assert rebound_ratio(1 / 0.6, 1.0) == 1.0


def test_a_price_made_by_the_formula_is_found_again() -> None:
    draw = np.random.Generator(np.random.PCG64(1))
    scarce = 10.0 + np.sin(np.arange(500) / 9.0) + draw.normal(0, 0.2, 500)
    found = backtest(50.0 * (scarce / 10.0) ** 2.0, scarce)
    assert found.exponent_mean == pytest.approx(2.0, abs=0.1)
    assert found.skill_share > 0.9
    assert found.days == 500 - USUAL_DAYS - FIT_DAYS


def test_a_price_that_does_not_answer_shows_no_skill() -> None:
    draw = np.random.Generator(np.random.PCG64(2))
    found = backtest(50.0 * np.exp(draw.normal(0, 0.2, 500)), 10.0 + draw.normal(0, 0.5, 500))
    assert found.skill_share < 0.05
    assert abs(found.exponent_mean) < 0.6


def test_no_day_sees_itself_or_what_follows() -> None:
    draw = np.random.Generator(np.random.PCG64(3))
    scarce = 10.0 + draw.normal(0, 0.5, 400)
    price = 50.0 * (scarce / 10.0) ** 1.5
    later = price.copy()
    later[-1] = 500.0
    cut = backtest(price[:-1], scarce[:-1])
    whole = backtest(later, scarce)
    assert whole.mae_model_eur * whole.days - cut.mae_model_eur * cut.days == pytest.approx(
        500.0 - price[-1], rel=0.05
    )


def test_too_short_a_history_is_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        backtest(np.ones(10), np.ones(10))


@pytest.mark.data
def test_the_price_of_electricity_answers_to_scarcity(data_dir: Path) -> None:
    def read(name: str, column: str) -> dict[str, float]:
        path = data_dir / "grid" / name
        if not path.is_file():
            pytest.skip(f"{name} is not there")
        with gzip.open(path, "rt") as rows:
            return {
                row["time_utc"][:13]: float(row[column])
                for row in csv.DictReader(rows)
                if row[column]
            }

    price = read("nl_dayahead_hourly_2019_2025.csv.gz", "price_eur_mwh")
    wind = read("nl_ned_wind_hourly_2019_2025.csv.gz", "production_mw")
    sun = read("nl_ned_pv_hourly_2019_2025.csv.gz", "production_mw")
    days: dict[str, list[tuple[float, float]]] = {}
    for hour, eur in price.items():
        if hour in wind and hour in sun:
            days.setdefault(hour[:10], []).append((eur, wind[hour] + sun[hour]))
    means = {day: np.mean(rows, axis=0) for day, rows in sorted(days.items()) if len(rows) == 24}
    # the mean load of the country, about 115 TWh a year, less wind on land and sun
    for first, last, skill in (("2019", "2022", 0.08), ("2024", "2026", 0.03)):
        rows = np.array([row for day, row in means.items() if first <= day < last])
        found = backtest(rows[:, 0], np.maximum(13_100.0 - rows[:, 1], 500.0))
        assert found.skill_share > skill, "better than as usual, out of sample"
        assert 0.4 < found.elasticity < 1.0, "inelastic: a percent less moves the price by more"


def test_kilograms_times_price() -> None:
    base = rotterdam()
    found = {(s.material, s.asset): s for s in shocks(base, price_factors={"copper": 1.5})}
    copper = found["copper", "power"]
    assert copper.mass_kg == pytest.approx(20_000 * base.it_design_mw)
    assert copper.extra_eur == pytest.approx(20_000 * base.it_design_mw * 9.0 * 0.5)
    factors = capex_factors(base, list(found.values()))
    extra = [s.extra_eur or 0.0 for s in found.values() if s.asset == "power"]
    assert factors["power"] == pytest.approx(1 + sum(extra) / base.assets["power"].base_eur)


def test_a_mass_nobody_knows_is_not_guessed() -> None:
    disks = [s for s in shocks(rotterdam()) if (s.material, s.asset) == ("rare_earths", "storage")]
    assert disks[0].mass_kg is None
    assert disks[0].extra_eur is None


def test_without_substitution_a_price_moves_more() -> None:
    copper = load_materials()["copper"]
    assert new_price_factor(copper, substitution=False) == pytest.approx(1.5 ** (1 / 0.2))
    assert new_price_factor(copper, substitution=True) == pytest.approx(1.5 ** (1 / 0.6))
    for material in load_materials().values():
        short = new_price_factor(material, substitution=False)
        assert new_price_factor(material, substitution=True) < short <= TIMES_MAX
        assert material.sources["price_eur_per_kg"].state == "assumption"


def test_a_price_that_would_run_away_is_cut_and_the_cut_is_known() -> None:
    stiff = Material(1.0, 0.05, 0.2, 1.0, (), {})
    assert new_price_factor(stiff, substitution=False) == TIMES_MAX
