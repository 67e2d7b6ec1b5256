"""Years worked out by hand; nothing is lost and nothing comes from nowhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.finance.flows import COMPANY, SOURCES, USES, sankey, split
from gigafactory.finance.levers import Dip, Levers, shifted
from gigafactory.finance.statement import capital_stack, first_operating_year
from gigafactory.finance.years import home_place, ledger_of, levelised, measure, play
from tests.finance.made_up import (
    ANNUITY_10_AT_5,
    ANNUITY_15_AT_9,
    rotterdam,
    simple_base,
    simple_plan,
)

LOAN = {
    "name": "loan", "kind": "senior", "part": "60 %", "rate": "5 %", "term": 10, "covenant": 1.2,
    "currency": "EUR", "lender": "bank", "places": {"nl": "100 %"},
}  # fmt: skip


def test_fifteen_years_by_hand() -> None:
    found = measure(play(simple_base()))
    assert found.npv_eur[0] == pytest.approx(-1000 + 150 * ANNUITY_15_AT_9, abs=0.01)
    # 1000 / 150 = 6.6667 is what one euro a year for fifteen years is worth at 12.4 %
    worth = (1 - (1 + found.irr_rate[0]) ** -15) / found.irr_rate[0]
    assert worth == pytest.approx(1000 / 150)
    assert found.irr_rate[0] == pytest.approx(0.124, abs=0.0005)
    # the year of building, then 1000 / 150 years
    assert found.payback_years[0] == pytest.approx(1 + 1000 / 150)
    assert found.lcoc_eur_per_gpu_h[0] == pytest.approx(
        (1000 + 50 * ANNUITY_15_AT_9) / (1000 * ANNUITY_15_AT_9), abs=1e-5
    )
    assert found.lcoc_eur_per_h100e_h[0] == pytest.approx(found.lcoc_eur_per_gpu_h[0] / 2)


def test_what_wears_out_is_bought_again() -> None:
    plan = simple_plan()
    chips = plan.assets["accelerators"].model_copy(update={"refresh": 0.4})
    plan = plan.model_copy(update={"assets": {**plan.assets, "accelerators": chips}})
    found = measure(play(simple_base(plan, life_years=5.0)))
    # 400 at the begin of the sixth and of the eleventh year of operation
    again = 400 / 1.09**6 + 400 / 1.09**11
    assert found.npv_eur[0] == pytest.approx(-1000 + 150 * ANNUITY_15_AT_9 - again, abs=0.01)


def test_cover_of_a_loan_by_hand() -> None:
    course = play(simple_base(simple_plan(tranches=[LOAN])))
    found = measure(course).loans["loan"]
    # 600 at 5 % over ten years: 77.70 a year, of 150
    service = 600 / ANNUITY_10_AT_5
    assert found.dscr_min_ratio[0] == pytest.approx(150 / service, abs=1e-3)
    assert found.dscr_mean_ratio[0] == pytest.approx(150 / service, abs=1e-3)
    assert found.llcr_ratio[0] == pytest.approx(150 * ANNUITY_10_AT_5 / 600, abs=1e-3)
    assert found.breach_year[0] == 0
    owners = course.owners_cash[0] / 100
    assert owners[0] == pytest.approx(-400)
    assert owners[1] == pytest.approx(150 - service, abs=0.01)
    assert owners[-1] == pytest.approx(150)


def test_tax_by_hand() -> None:
    tax = {"rate": "25 %", "loss_free": "0 EUR", "loss_share": "50 %"}
    course = play(simple_base(simple_plan(tax=tax)))
    # 150 less 1000 / 15 = 66.67 of depreciation
    assert course.financed.tax[0, 1] / 100 == pytest.approx(0.25 * (150 - 1000 / 15), abs=0.01)
    late = play(simple_base(simple_plan(tax=tax)), Levers(power_delay_years=1.0))
    # the first year loses 30 + 66.67; half of the next profit of 83.33 may be set against it
    assert late.financed.tax[0, 1] == 0
    assert late.financed.tax[0, 2] / 100 == pytest.approx(0.25 * 0.5 * (150 - 1000 / 15), abs=0.01)


def test_a_year_without_power_is_paid_and_not_sold() -> None:
    plan, late = play(simple_base()), play(simple_base(), Levers(power_delay_years=1.0))
    assert late.operating.sold_gpu_h[0, 1] == 0
    assert late.operating.opex["energy"][0, 1] == 0
    assert late.operating.opex["staff"][0, 1] == 1000
    costs = [
        levelised(play(simple_base(), Levers(power_delay_years=float(n))))[0] for n in range(4)
    ]
    assert costs == sorted(costs)
    assert levelised(late)[0] > levelised(plan)[0]
    half = play(simple_base(), Levers(power_delay_years=0.5))
    assert half.operating.sold_gpu_h[0, 1] == pytest.approx(500)


def test_money_of_every_actor_comes_to_nought() -> None:
    course = play(rotterdam())
    ledger = ledger_of(course)
    assert ledger.problems() == []
    nets = ledger.by_actor()
    assert len(nets) > 20
    assert all(sum(int(cents[n]) for cents in nets.values()) == 0 for n in range(len(ledger.years)))
    assert int(nets[COMPANY].sum()) == 0
    # the company's cash is what the bank holds, year by year
    assert np.array_equal(nets[COMPANY].cumsum(), course.financed.held[0])


def test_a_flow_without_its_receiver_is_seen() -> None:
    ledger = ledger_of(play(rotterdam()))
    short = type(ledger)(ledger.first_year, ledger.flows[:-1])
    assert short.problems() != []


def test_value_by_place_comes_to_the_cash() -> None:
    ledger = ledger_of(play(rotterdam()))
    cells = sankey(ledger)
    assert sum(c.cents for c in cells) == int(ledger.of(*USES).sum())
    assert sum(c.cents for c in cells) == int(ledger.of(*SOURCES).sum())
    for kind in USES:
        assert sum(c.cents for c in cells if c.kind == kind) == int(ledger.of(kind).sum())
    assert {c.kind for c in cells if c.cents} >= {"capex", "opex", "profit", "ip", "interest"}


@given(cents=st.integers(-(10**14), 10**14), nl=st.floats(0, 1), rest=st.floats(0, 1))
def test_parts_by_place_add_up(cents: int, nl: float, rest: float) -> None:
    assert sum(split(cents, (nl, (1 - nl) * rest))) == cents


@given(
    price=st.floats(0.2, 1.5), late=st.floats(0, 3), dear=st.floats(0.5, 2.0),
    rate=st.floats(-0.05, 0.1), life=st.integers(2, 8), change=st.floats(-0.3, 0.1),
    approval=st.integers(0, 2), dip=st.booleans(), grants=st.booleans(),
)  # fmt: skip
@settings(max_examples=40)
def test_whatever_happens_the_books_close(
    price: float, late: float, dear: float, rate: float, life: int, change: float,
    approval: int, dip: bool, grants: bool,
) -> None:  # fmt: skip
    levers = Levers(
        price_factor=price,
        power_delay_years=late,
        all_capex_factor=dear,
        rate_fraction=rate,
        it_life_years=float(life),
        price_change_fraction=change,
        approval_delay_years=float(approval),
        dip=Dip(2, 2, 3, 0.5, 0.3) if dip else None,
        granted=("union-aigf", "national-share") if grants else (),
    )
    course = play(rotterdam(), levers)
    assert ledger_of(course).problems() == []
    for loan in course.financed.loans:
        assert loan.owed[0, -1] == 0, "every loan is paid back"
        if loan.terms.currency == "EUR":
            assert loan.drawn.sum() == loan.repaid.sum()
    written = sum(
        int(b.depreciation.sum() + b.book[0, -1]) for b in course.operating.bought.values()
    )
    assert written == int(course.operating.first_capex.sum() + course.operating.later_capex.sum())


def test_a_loan_in_dollars_costs_what_dollars_cost() -> None:
    dollars = {**LOAN, "currency": "USD"}
    flat = play(simple_base(simple_plan(tranches=[dollars])))
    dearer = play(simple_base(simple_plan(tranches=[dollars], usd_change="3 %")))
    assert flat.financed.loans[0].repaid.sum() == flat.financed.loans[0].drawn.sum()
    first = dearer.financed.loans[0].service[0, 1] / flat.financed.loans[0].service[0, 1]
    assert first == pytest.approx(1.03, abs=1e-3)
    assert dearer.financed.loans[0].owed[0, -1] == 0


def test_owners_pay_in_when_cash_does_not_suffice() -> None:
    base = simple_base(simple_plan(tranches=[LOAN]))
    found = measure(play(base, Levers(price_factor=0.4)))
    # 80 earned less 50 paid is 30 a year, against 77.70 of debt service
    assert found.called_year[0] == 2028
    assert found.called_eur[0] == pytest.approx(10 * (600 / ANNUITY_10_AT_5 - 30), abs=0.1)
    assert found.loans["loan"].breach_year[0] == 2028


def test_a_covenant_stops_dividends() -> None:
    strict = {**LOAN, "covenant": 2.5}
    free = play(simple_base(simple_plan(tranches=[LOAN])))
    held = play(simple_base(simple_plan(tranches=[strict])))
    assert free.financed.dividend[0, 1] > 0
    assert held.financed.dividend[0, 1:11].sum() == 0
    assert held.financed.dividend.sum() == free.financed.dividend.sum()


def test_late_bills_are_paid_in_the_end() -> None:
    course = play(simple_base(simple_plan(receivable_days=73.0, payable_days=36.5)))
    revenue, got = course.operating.revenue[0][0], course.operating.revenue_cash[0][0]
    assert got.sum() == revenue.sum()
    assert got[1] == pytest.approx(revenue[1] * 0.8)
    paid = course.operating.opex_cash["maintenance"][0]
    assert paid[1] == pytest.approx(2000 * 0.9)
    assert paid.sum() == 2000 * 15


def test_a_grant_pays_a_part_and_buys_hours() -> None:
    grant = {
        "name": "union", "giver": "union", "title": {"en": "a", "nl": "b"},
        "of_capex": "17 %", "buys_access": "10 %", "access_years": 5,
    }  # fmt: skip
    base = simple_base(simple_plan(grants=[grant]))
    without, with_ = play(base), play(base, Levers(granted=("union",)))
    assert without.given.sum() == 0
    assert with_.given.sum() == 17_000
    assert with_.financed.equity[0, 0] == 83_000
    assert with_.operating.revenue[0][0, 1] == pytest.approx(18_000)
    assert with_.operating.revenue[0][0, 6] == 20_000
    assert ledger_of(with_).problems() == []


def test_the_capital_stack_by_hand() -> None:
    junior = {**LOAN, "name": "junior", "kind": "junior", "part": "10 %", "rate": "8 %"}
    stack = capital_stack(play(simple_base(simple_plan(tranches=[junior, LOAN]))))
    assert [(row.name, row.amount_eur) for row in stack] == [
        ("owners", 300.0),
        ("loan", 600.0),
        ("junior", 100.0),
    ]
    found = measure(play(simple_base(simple_plan(tranches=[junior, LOAN])))).loans
    assert list(found) == ["loan", "junior"], "in the order in which they are served"
    assert found["junior"].dscr_min_ratio[0] < found["loan"].dscr_min_ratio[0]
    assert found["junior"].llcr_ratio[0] < found["loan"].llcr_ratio[0]


def test_an_approval_that_is_awaited_shifts_the_schedule() -> None:
    gate = {
        "name": "owners", "title": {"en": "a", "nl": "b"}, "kind": "change_of_control", "late": 2,
    }  # fmt: skip
    given_ = {**gate, "granted": True}
    free = play(simple_base(simple_plan(approvals=[given_])))
    late = play(simple_base(simple_plan(approvals=[gate])))
    assert first_operating_year(free) == 2028
    assert first_operating_year(late) == 2030
    assert late.operating.first_capex[0].tolist()[:3] == [0, 0, 100_000]
    assert measure(late).npv_eur[0] == pytest.approx(measure(free).npv_eur[0] / 1.09**2, abs=0.01)


def test_a_dip_recovers() -> None:
    course = play(simple_base(), Levers(dip=Dip(2, 2, 1, price_factor=0.5)))
    row = course.operating.revenue[0][0, 1:7] / 100
    assert row.tolist() == [200, 100, 100, 150, 200, 200]


@given(years=st.floats(0, 6), values=st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_a_shift_loses_nothing(years: float, values: list[float]) -> None:
    profile = np.array([*values, *([0.0] * 8)])
    moved = shifted(profile, np.array([[years]]))
    assert moved.sum() == pytest.approx(sum(values))


def test_the_model_runs_to_2041_and_beyond() -> None:
    ledger = ledger_of(play(rotterdam()))
    assert ledger.years[-1] >= 2041
    assert rotterdam().plan.operating_years >= 15
    assert ledger.of("revenue")[-1] > 0


def test_tax_ends_where_the_factory_stands() -> None:
    base = rotterdam()
    assert home_place(base) == (1.0, 0.0)
    for country, place in (("DE", (0.0, 1.0)), ("US", (0.0, 0.0))):
        site = base.factory.sites["maasvlakte"]
        moved = site.model_copy(
            update={"place": site.place.model_copy(update={"country": country})}
        )
        factory = base.factory.model_copy(update={"sites": {"maasvlakte": moved}})
        assert home_place(replace(base, factory=factory)) == place
