"""The simulated venue draws by date and seed alone, and answers by the need alone."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.grid import MarketCalendar
from gigafactory.grid.ports import Bid, Direction, FlexibilityMarket, Outcome, Product
from gigafactory.grid.venue import (
    Pattern,
    SimulatedVenue,
    drawn,
    needs,
    restrictions,
    steering_calls,
)
from gigafactory.units import NS_PER_H

ZONE = "Europe/Amsterdam"
ALL = tuple(range(7))


@given(
    seed=st.integers(0, 2**40),
    per_year=st.floats(0, 366),
    months=st.sets(st.integers(1, 12), min_size=1),
    weekdays=st.sets(st.integers(0, 6), min_size=1),
    start=st.integers(0, 80),
    quarters=st.integers(1, 16),
)
def test_calls_lie_in_their_hours_and_days(seed, per_year, months, weekdays, start, quarters):
    duration_s = quarters * 900.0
    pattern = Pattern(per_year, tuple(months), tuple(weekdays), start / 4, 24.0, duration_s)
    for one in drawn(seed, "here", "what", pattern, 2025, ZONE):
        assert one.date.month in months
        assert one.date.weekday() in weekdays
        day = MarketCalendar.of(one.date, 1, ZONE)
        assert one.end_ns - one.start_ns == duration_s * 1e9
        at = day.period_at(one.start_ns)
        assert day.local_hour[at] >= start / 4
        # on the day the clocks go forward or back the last hours shift by one
        assert one.end_ns <= day.end_ns + NS_PER_H


def test_many_years_have_as_many_calls_as_asked():
    pattern = Pattern(24.0, (1, 2, 3, 10, 11, 12), (0, 1, 2, 3, 4), 16.0, 21.0, 10_800.0)
    years = range(2025, 2125)
    count = sum(len(drawn(7, "here", "what", pattern, year, ZONE)) for year in years)
    assert count / len(years) == pytest.approx(24.0, abs=1.5)
    assert drawn(7, "here", "what", pattern, 2025, ZONE) != drawn(
        8, "here", "what", pattern, 2025, ZONE
    )
    assert drawn(7, "there", "what", pattern, 2025, ZONE) != drawn(
        7, "here", "what", pattern, 2025, ZONE
    )


@pytest.mark.slow
def test_announcements_are_in_time_but_for_those_that_are_late():
    pattern = Pattern(366.0, tuple(range(1, 13)), ALL, 16.0, 21.0, 3600.0)
    calls = drawn(1, "here", "what", pattern, 2025, ZONE)
    assert len(calls) == 365
    late = 0
    for one in restrictions(calls, "loose", 5.0, 8.5, 0.25, ZONE):
        day = MarketCalendar.of(dt.date(2025, 1, 1), 365, ZONE)
        due = day.local_ns(int(day.day_of[day.period_at(one.start_ns)]) - 1, 8, 30)
        assert due - 1.5 * NS_PER_H <= one.announced_ns <= due + 2 * NS_PER_H
        late += one.announced_ns > due
    assert late / 365 == pytest.approx(0.25, abs=0.08)


def test_no_more_hours_are_called_than_the_contract_allows():
    pattern = Pattern(366.0, tuple(range(1, 13)), ALL, 8.0, 20.0, 5400.0)
    calls = [c for year in (2025, 2026) for c in drawn(1, "h", "w", pattern, year, ZONE)]
    told = steering_calls(calls, 1800.0, 10.0, 5.0)
    assert len(told) == 2 * 6  # six of 1.5 h a year are 9 h; a seventh would make 10.5
    assert all(one.start_ns - one.issued_ns == NS_PER_H // 2 for one in told)


def test_an_offer_is_answered_by_the_need_alone():
    pattern = Pattern(366.0, (1,), ALL, 8.0, 20.0, 3600.0)
    wants = needs(drawn(1, "h", "w", pattern, 2025, ZONE), 15.0, 200.0, ZONE)
    now = [0]
    venue = SimulatedVenue((), wants, lambda: now[0])
    assert isinstance(venue, FlexibilityMarket)
    need = wants[3]
    assert 100.0 <= need.price_max_eur_per_mwh <= 200.0

    def offer(price, product=Product.REDISPATCH):
        bid = Bid("k", product, Direction.UP, need.start_ns, need.end_ns, 5.0, 0.0, price)
        (receipt,) = venue.submit([bid])
        return receipt

    assert offer(50.0).outcome is Outcome.REFUSED  # not told yet
    assert venue.told(0) == ()
    now[0] = need.told_ns
    assert need in venue.told(need.told_ns)
    assert offer(need.price_max_eur_per_mwh).outcome is Outcome.ACCEPTED
    assert offer(need.price_max_eur_per_mwh) == offer(need.price_max_eur_per_mwh)
    assert offer(need.price_max_eur_per_mwh + 0.01).outcome is Outcome.REFUSED
    assert offer(1.0, Product.AFRR).outcome is Outcome.REFUSED
