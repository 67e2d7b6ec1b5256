"""Every scenario has one cause, and its difference to the plan has the sign that cause gives."""

from __future__ import annotations

import dataclasses

import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.finance.countries import countries
from gigafactory.finance.demand import rebound_ratio
from gigafactory.finance.levers import Levers
from gigafactory.finance.planfile import Abroad
from gigafactory.finance.scenarios import (
    Outcome,
    chosen,
    compare,
    curtailment_eur_per_mwh,
    levers_of,
    load_scenarios,
)
from gigafactory.finance.sensitivity import MULTIPLE, tornado
from gigafactory.finance.years import discount_rate, exit_value, measure, play
from tests.finance.made_up import rotterdam, simple_base, simple_plan

PLAN = measure(play(rotterdam()))
OUTCOMES = {s.name: compare(rotterdam(), PLAN, s) for s in load_scenarios().values()}


def of(name: str) -> Outcome:
    return OUTCOMES[name]


def test_every_scenario_has_its_driver_its_source_and_two_languages() -> None:
    for scenario in load_scenarios().values():
        assert set(scenario.title) == set(scenario.driver) == {"en", "nl"}
        assert scenario.source.year >= 2020
        assert scenario.source.mark in {"read", "unverified"}


def test_the_same_scenario_gives_the_same_figures() -> None:
    again = compare(rotterdam(), PLAN, load_scenarios()["crash"])
    assert again.npv_change_eur == of("crash").npv_change_eur


def test_each_year_without_power_makes_an_hour_dearer() -> None:
    one, two = of("power-delay-1"), of("power-delay-2")
    assert 0 < one.lcoc_change_eur_per_gpu_h < two.lcoc_change_eur_per_gpu_h
    assert 0 > one.npv_change_eur > two.npv_change_eur
    # the chips were paid for all the same
    assert one.measures.capex_eur[0] == PLAN.capex_eur[0]


def test_a_crash_names_the_year_in_which_cover_breaks() -> None:
    crash = of("crash")
    levers = levers_of(rotterdam(), crash.scenario)
    assert levers.price_factor == pytest.approx(0.4)
    assert levers.utilisation_fraction == pytest.approx(0.3)
    assert levers.rate_fraction == pytest.approx(0.045 - 0.0225)
    assert crash.breach_year == 2029
    assert crash.measures.dscr_min_ratio[0] < 1.0
    assert PLAN.dscr_min_ratio[0] > 1.0
    assert crash.npv_change_eur < of("correction").npv_change_eur < 0


def test_a_correction_ends_the_runway_and_recovers() -> None:
    hit = of("correction")
    assert hit.called_year == 2031
    assert hit.breach_year == 2030
    revenue = sum(row[0] for row in hit.course.operating.revenue)
    plan = sum(row[0] for row in play(rotterdam()).operating.revenue)
    assert (revenue[3:5] < plan[3:5]).all()
    assert (revenue[8:] == plan[8:]).all(), "three years after the bottom it is over"


def test_refinancing_costs_the_owners_and_not_the_project() -> None:
    found = of("refinancing")
    assert found.npv_change_eur == 0
    assert found.owners_change_eur < 0
    rate = found.course.financed.loans[0].rate[0]
    building = found.course.operating.building_years
    assert rate[building + 1] == pytest.approx(0.059)
    assert rate[building + 2] == pytest.approx(0.059 + 0.0225)


def test_both_sizes_of_the_efficiency_gain_stand_by_themselves() -> None:
    a, b = of("efficiency-40"), of("efficiency-10x")
    assert a.energy_ratio == pytest.approx(0.6)
    assert b.energy_ratio == pytest.approx(0.1), "the energy of a unit of work falls tenfold"
    plan = play(rotterdam()).operating.opex["energy"][0]
    assert a.course.operating.opex["energy"][0].sum() == pytest.approx(0.6 * plan.sum(), rel=1e-9)
    assert b.course.operating.opex["energy"][0].sum() == pytest.approx(0.1 * plan.sum(), rel=1e-9)
    assert "never averaged" in a.scenario.source.note
    assert "never averaged" in b.scenario.source.note


def test_rebound_by_the_formula() -> None:
    assert rebound_ratio(10.0, 1.0) == 1.0
    assert rebound_ratio(10.0, 0.5) == pytest.approx(0.3162, abs=1e-4)
    assert rebound_ratio(10.0, 1.3) == pytest.approx(2.0, abs=0.01)
    assert rebound_ratio(10.0, 2.0) == pytest.approx(10.0)
    assert of("rebound-1.0").npv_change_eur == 0
    assert of("rebound-0.5").npv_change_eur < 0 < of("rebound-1.3").npv_change_eur
    # what is asked in hours follows the energy, up to what is installed
    hours = of("rebound-0.5").course.operating.sold_gpu_h[0, -1]
    assert hours == pytest.approx(rotterdam().sold_gpu_h * 10**-0.5)
    most = of("rebound-1.3").course.operating.sold_gpu_h[0, -1]
    assert most == pytest.approx(rotterdam().installed_gpu_h)


def test_metals_without_substitute_are_the_dearest() -> None:
    inelastic = of("materials-inelastic").npv_change_eur
    assert inelastic < of("materials-substitution").npv_change_eur < 0
    assert of("materials-price").npv_change_eur < 0


def test_a_late_approval_shifts_everything() -> None:
    late = of("late-approval")
    assert late.course.operating.building_years == rotterdam().plan.building_years + 1
    first = late.course.operating.bought["accelerators"].first[0]
    assert first[0] == 0
    assert late.course.operating.bought["development"].first[0, 0] > 0
    shell = late.course.operating.bought["shell"].first[0].sum()
    assert shell > play(rotterdam()).operating.bought["shell"].first[0].sum(), "building got dearer"


def test_names_that_are_not_known_are_refused() -> None:
    with pytest.raises(BadInput, match="crash"):
        chosen(["krash"])
    assert [s.name for s in chosen(["crash", "refinancing"])] == ["crash", "refinancing"]
    assert len(chosen([])) == len(load_scenarios())


def test_the_multiple_moves_what_a_sale_brings() -> None:
    base = simple_base()
    course = play(base)
    # 1000 spent, 150 a year for five years, then a sale at ten times 150
    years = sum(150 / 1.09**n for n in range(1, 6))
    assert exit_value(course)[0] == pytest.approx(-1000 + years + 1500 / 1.09**5, abs=0.01)
    bars = {bar.name: bar for bar in tornado(rotterdam())}
    low, high = bars[MULTIPLE].npv_low_eur, bars[MULTIPLE].npv_high_eur
    terms = rotterdam().plan.valuation
    slope = (high - low) / (terms.multiple.high - terms.multiple.low)
    at = rotterdam().plan.building_years + terms.exit_year - 1
    ebitda = play(rotterdam()).operating.ebitda[0, at] / 100
    assert slope == pytest.approx(ebitda / (1 + discount_rate(rotterdam())) ** at, rel=1e-9)
    assert bars[MULTIPLE].lcoc_low_eur_per_gpu_h == bars[MULTIPLE].lcoc_high_eur_per_gpu_h


def test_the_widest_bar_comes_first() -> None:
    bars = tornado(rotterdam())
    assert [b.swing_eur for b in bars] == sorted((b.swing_eur for b in bars), reverse=True)
    by = {b.name: b for b in bars}
    assert by["energy_price"].swing_eur < by["power_delay"].swing_eur
    assert by["energy_price"].swing_eur < by["utilisation"].swing_eur


def test_the_same_project_in_other_countries() -> None:
    found = {c.code: c for c in countries(rotterdam())}
    assert len(found) >= 3
    assert found["NL"].npv_eur == pytest.approx(PLAN.npv_eur[0])
    assert found["NL"].support_eur == 0
    assert found["NL"].missing == ()
    assert "energy" in found["DE"].missing
    assert found["IE"].npv_eur > found["FI"].npv_eur > found["NL"].npv_eur > found["DE"].npv_eur
    capex = PLAN.capex_eur[0]
    assert found["FR"].support_eur == pytest.approx(0.17 * capex, rel=1e-6)
    assert found["NO"].support_eur == 0
    assert all(c.sources["tax_rate"].year >= 2024 for c in found.values())


def test_a_price_that_is_given_is_no_longer_asked() -> None:
    plan = rotterdam().plan
    there = Abroad.model_validate({"energy": "50 EUR/MWh", "building": "90 %"})
    base = dataclasses.replace(rotterdam(), plan=plan.model_copy(update={"abroad": {"FI": there}}))
    found = {c.code: c for c in countries(base)}["FI"]
    assert found.missing == ("national",)
    assert found.npv_eur > {c.code: c for c in countries(rotterdam())}["FI"].npv_eur


def test_curtailment_pays_beyond_the_margin() -> None:
    # 0.20 earned and 0.02 of energy an hour, a thousandth of a MWh an hour
    assert curtailment_eur_per_mwh(simple_base())["research"] == pytest.approx(180.0)
    found = curtailment_eur_per_mwh(rotterdam())
    assert min(found.values()) > 1000, "hours of compute are worth more than any usual price"


def test_a_lever_left_alone_changes_nothing() -> None:
    assert measure(play(rotterdam(), Levers())).npv_eur[0] == PLAN.npv_eur[0]
    assert simple_plan().price_returns
