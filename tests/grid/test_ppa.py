"""Contracts on energy: dates, cost, guarantees of origin, market-based carbon."""

import dataclasses
import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.grid import MarketCalendar, Ppa, market_based_co2_kg, synthetic_signals

CALENDAR = MarketCalendar.of(dt.date(2026, 6, 1), 4)
WIND = Ppa(
    name="sea", technology="offshore_wind", capacity_mw=80, price_eur_per_mwh=70,
    start=dt.date(2026, 1, 1), until=dt.date(2026, 6, 4), commissioned=dt.date(2026, 6, 2),
    curtail_eur_per_mwh=5,
)  # fmt: skip


def test_nothing_before_the_plant_exists_and_nothing_after_the_contract():
    factor = np.full(CALENDAR.periods, 0.5)
    available = WIND.available_mw(CALENDAR, factor)
    assert [float(available[k * 96]) for k in range(4)] == [0.0, 40.0, 40.0, 0.0]
    base = dataclasses.replace(WIND, kind="baseload")
    assert set(base.available_mw(CALENDAR, factor)) == {0.0, 80.0}


def test_cost_counts_what_is_taken_and_what_is_curtailed():
    cost = WIND.cost_eur(np.array([10.0, 0.0]), np.array([0.0, 4.0]))
    assert list(cost) == [700.0, 20.0]


def test_the_series_of_its_technology():
    signals = synthetic_signals(CALENDAR, 0)
    assert WIND.series(signals) is signals.wind_offshore
    assert dataclasses.replace(WIND, technology="solar").series(signals) is signals.solar


def test_market_based_carbon_by_period_and_in_total():
    use, green = np.array([10.0, 10.0]), np.array([15.0, 0.0])
    mix = np.array([200.0, 400.0])
    assert list(market_based_co2_kg(use, green, mix)) == [0.0, 4000.0]
    assert list(market_based_co2_kg(use, green, mix, matching="total")) == [500.0, 1000.0]
    assert list(market_based_co2_kg(use * 0, green, mix, matching="total")) == [0.0, 0.0]
    with pytest.raises(ValueError, match="monthly"):
        market_based_co2_kg(use, green, mix, matching="monthly")


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(1, 500)), min_size=1),
)
def test_matching_by_period_never_looks_better_than_the_yearly_rule_at_a_flat_mix(rows):
    use, green, _ = (np.array(column) for column in zip(*rows, strict=True))
    mix = np.full(len(use), 300.0)
    by_period = market_based_co2_kg(use, green, mix).sum()
    assert by_period >= market_based_co2_kg(use, green, mix, matching="total").sum() - 1e-6
    assert by_period <= (use * mix).sum() + 1e-6


def test_without_guarantees_nothing_is_guaranteed():
    taken = np.array([3.0])
    assert WIND.guaranteed_mwh(taken)[0] == 3.0
    assert dataclasses.replace(WIND, guarantees_of_origin=False).guaranteed_mwh(taken)[0] == 0.0


def test_all_faults_are_told_at_once():
    with pytest.raises(BadInput) as told:
        dataclasses.replace(
            WIND, technology="coal", kind="option", capacity_mw=0.0, until=WIND.start,
            price_eur_per_mwh=float("nan"), curtail_eur_per_mwh=-1.0,
        )  # fmt: skip
    assert len(told.value.problems) == 6
