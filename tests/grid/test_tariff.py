"""The transport tariff: bills add up over months, weights and forms of right lower them."""

import dataclasses
import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.grid import (
    Form,
    MarketCalendar,
    TimeBlock,
    TransportRight,
    TransportRights,
    rights_on,
    tariff_bill,
    tariff_on,
    usage_h,
)

DAY = dt.date(2026, 2, 1)
FEBRUARY, MARCH = MarketCalendar.of(DAY, 28), MarketCalendar.of(dt.date(2026, 3, 1), 31)
BOTH = MarketCalendar.of(DAY, 59)
HV = tariff_on(150, DAY)


def rights(form=Form.FIRM, capacity=50.0, blocks=()):
    return TransportRights((TransportRight("r", form, capacity, blocks),), rights_on(DAY))


def test_the_level_follows_the_voltage_and_the_rates_are_marked_assumed():
    assert (HV.level, tariff_on(380, DAY).level) == ("hv", "ehv")
    rates = {row.figure.rpartition(".")[2]: row.state for row in HV.sources()}
    assert rates["contract_eur_per_kw_year"] == rates["peak_eur_per_kw_month"] == "assumption"
    assert rates["low_use_h"] == "published"
    assert HV.contract_eur_per_kw_year == pytest.approx(12 * HV.peak_eur_per_kw_month)
    assert HV.low_use_week_factor == pytest.approx(18 / 52)
    with pytest.raises(BadInput, match="regional"):
        tariff_on(20, DAY)


@given(st.lists(st.floats(0, 50), min_size=59, max_size=59), st.floats(0, 1))
def test_bills_over_months_add_up(days, weight):
    power = np.array(days)[BOTH.day_of]
    cut = FEBRUARY.periods
    whole = tariff_bill(BOTH, power, HV, rights(), weight=weight)
    parts = [
        tariff_bill(FEBRUARY, power[:cut], HV, rights(), weight=weight),
        tariff_bill(MARCH, power[cut:], HV, rights(), weight=weight),
    ]
    assert sum(bill.total_eur for bill in parts) == pytest.approx(whole.total_eur, rel=1e-12)
    assert whole.total_eur == pytest.approx(sum(line.amount_eur for line in whole.lines))
    unweighted = tariff_bill(BOTH, power, HV, rights())
    assert whole.total_eur <= unweighted.total_eur + 1e-6


def test_the_form_of_the_right_decides_what_of_the_contract_tariff_is_due():
    power = np.full(FEBRUARY.periods, 30.0)

    def contracted(form, blocks=()):
        bill = tariff_bill(FEBRUARY, power, HV, rights(form, blocks=blocks))
        return sum(line.amount_eur for line in bill.lines if "contracted" in line.name)

    firm = contracted(Form.FIRM)
    assert firm == pytest.approx(50_000 * HV.contract_eur_per_kw_year * 28 / 365)
    assert contracted(Form.DURATION_BOUND) == contracted(Form.FULLY_VARIABLE) == 0.0
    assert contracted(Form.TIME_BLOCK, (TimeBlock(0, 6),)) == pytest.approx(firm / 4)


def test_half_and_half_at_a_steady_full_load():
    year = MarketCalendar.of(dt.date(2026, 1, 1), 365)
    bill = tariff_bill(year, np.full(year.periods, 50.0), HV, rights())
    amounts = [line.amount_eur for line in bill.lines]
    assert amounts[1] == pytest.approx(sum(amounts[2:]))
    assert len(amounts) == 14
    assert bill.exceeded_mw == 0.0


def test_power_beyond_the_rights_is_told():
    power = np.zeros(FEBRUARY.periods)
    power[7] = 61.5
    assert tariff_bill(FEBRUARY, power, HV, rights()).exceeded_mw == 11.5
    assert usage_h(FEBRUARY, power) == 0.25
    assert usage_h(FEBRUARY, 0.0 * power) == 0.0


def test_bad_input_is_told_at_once():
    hourly = MarketCalendar.of(DAY, 1, period_s=3600)
    with pytest.raises(BadInput) as told:
        tariff_bill(hourly, [1.0], HV, rights(), weight=2.0)
    assert len(told.value.problems) == 3
    year = MarketCalendar.of(dt.date(2026, 1, 1), 365)
    with pytest.raises(BadInput, match="8760 h of full load"):
        tariff_bill(year, np.full(year.periods, 1.0), HV, rights(), low_use=True)
    free = dataclasses.replace(HV, peak_eur_per_kw_month=0.0)
    low = tariff_bill(FEBRUARY, np.full(FEBRUARY.periods, 1.0), free, rights(), low_use=True)
    full = tariff_bill(FEBRUARY, np.full(FEBRUARY.periods, 1.0), free, rights())
    assert low.lines[1].amount_eur == pytest.approx(full.lines[1].amount_eur / 2)


def test_parts_of_a_month_a_week_and_a_leap_year_count_by_days():
    half = MarketCalendar.of(DAY, 14)
    power = np.full(half.periods, 10.0)
    bill = tariff_bill(half, power, HV, rights())
    assert bill.lines[-1].amount_eur == pytest.approx(10_000 * HV.peak_eur_per_kw_month / 2)
    low = tariff_bill(half, power, HV, rights(), low_use=True)  # from a Sunday to a Saturday
    assert [line.quantity for line in low.lines[2:]] == pytest.approx(
        [10_000 / 7, 10_000, 10_000 * 6 / 7]
    )
    leap = MarketCalendar.of(dt.date(2028, 2, 1), 29)
    lines = tariff_bill(leap, np.zeros(leap.periods), HV, rights()).lines
    assert lines[0].quantity == pytest.approx(29 / 366)
