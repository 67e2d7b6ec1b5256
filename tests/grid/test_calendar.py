"""The market calendar: lengths of days, wall clock, refusals."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.grid import MarketCalendar
from gigafactory.grid.calendar import instant_ns, utc_text
from gigafactory.units import NS_PER_S


def test_a_dutch_year_has_its_two_odd_days():
    calendar = MarketCalendar.of(dt.date(2025, 1, 1), 365)
    lengths = np.diff(calendar.day_edges)
    odd = {calendar.local_dates[k].isoformat(): int(n) for k, n in enumerate(lengths) if n != 96}
    assert odd == {"2025-03-30": 92, "2025-10-26": 100}
    assert calendar.periods == 35_040
    assert utc_text(calendar.begin_ns) == "2024-12-31T23:00:00Z"
    assert calendar.hours().sum() == 8760.0


def test_the_wall_clock_skips_and_repeats_an_hour():
    calendar = MarketCalendar.of(dt.date(2024, 1, 1), 366)
    spring = calendar.local_hour[calendar.day_slice(90)]
    assert spring[7] == 1.75
    assert spring[8] == 3.0
    autumn = calendar.local_hour[calendar.day_slice(300)]
    assert list(autumn[8:16]) == [2.0, 2.25, 2.5, 2.75, 2.0, 2.25, 2.5, 2.75]


def test_the_zone_with_offset_zero_in_winter_is_right_too():
    calendar = MarketCalendar.of(dt.date(2024, 3, 31), 1, "Europe/London")
    assert calendar.periods == 92
    assert list(calendar.local_hour[3:6]) == [0.75, 2.0, 2.25]


@given(
    start=st.dates(dt.date(1990, 1, 1), dt.date(2036, 1, 1)),
    days=st.integers(1, 40),
    zone=st.sampled_from(["Europe/Amsterdam", "Europe/Oslo", "America/New_York", "Asia/Kolkata"]),
    period_s=st.sampled_from([300, 900, 1800]),
)
def test_periods_tile_the_local_days(start, days, zone, period_s):
    calendar = MarketCalendar.of(start, days, zone, period_s)
    assert len(calendar.start_ns) == calendar.periods + 1
    assert set(np.diff(calendar.start_ns)) == {period_s * NS_PER_S}
    assert len(set(calendar.local_dates)) == days
    for k in {0, days // 2, days - 1}:
        first = int(calendar.day_edges[k])
        midnight = dt.datetime.combine(calendar.local_dates[k], dt.time(), tzinfo=ZoneInfo(zone))
        assert calendar.start_ns[first] == instant_ns(midnight)
        assert calendar.period_at(instant_ns(midnight)) == first
        assert calendar.local_hour[first] == 0.0
        assert calendar.local_weekday[first] == midnight.weekday()
    assert calendar.period_at(calendar.end_ns - 1) == calendar.periods - 1


def test_all_faults_of_a_calendar_are_told_at_once():
    with pytest.raises(BadInput) as told:
        MarketCalendar.of(dt.date(2024, 1, 1), 0, "Europe/Nowhere", 700)
    assert [p.field for p in told.value.problems] == ["timezone", "days", "period_s"]


def test_a_period_that_does_not_fit_a_half_hour_shift_is_refused():
    with pytest.raises(BadInput, match="write 900"):
        MarketCalendar.of(dt.date(2024, 1, 1), 200, "Australia/Lord_Howe", 3600)


def test_an_instant_outside_is_refused_and_a_local_time_outside_is_not():
    calendar = MarketCalendar.of(dt.date(2024, 1, 1), 1)
    with pytest.raises(IndexError, match="2024-01-01T23:00:00Z"):
        calendar.period_at(calendar.end_ns)
    assert utc_text(calendar.local_ns(-1, 13)) == "2023-12-31T12:00:00Z"
    assert calendar.since(dt.date(2024, 1, 2)).sum() == 0
    assert calendar.since(dt.date(2023, 1, 2)).all()
