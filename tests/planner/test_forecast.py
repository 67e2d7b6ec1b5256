"""Forecasts: what is known when, that nothing later leaks in, and how far off they are."""

import dataclasses
import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.grid import MarketCalendar, Signals, real_signals_from_folder, synthetic_signals
from gigafactory.planner.forecast import (
    METHODS,
    QUANTILES,
    Forecast,
    Information,
    NotYetKnownError,
    backtest,
    errors_by_lead,
    forecast,
    pinball_loss,
    published_until,
)
from gigafactory.units import NS_PER_H, NS_PER_MIN

SPRING = MarketCalendar.of(dt.date(2026, 3, 16), 28)  # the clocks change on day 13
SIGNALS = synthetic_signals(SPRING, 5)
YEAR = MarketCalendar.of(dt.date(2026, 1, 1), 365)
NAMES = [name for name in METHODS if name != "load"]


def test_prices_of_a_day_appear_at_13_local_time_on_the_day_before():
    edges = SPRING.day_edges
    for day in (0, 12, 13, 14):  # before, on and after the change of the clocks
        before = SPRING.local_ns(day, 13) - 1
        at = SPRING.local_ns(day, 13)
        assert published_until(SPRING, before) == edges[day + 1]
        assert published_until(SPRING, at) == edges[day + 2]
        assert published_until(SPRING, SPRING.local_ns(day, 0)) == edges[day + 1]
        assert published_until(SPRING, SPRING.local_ns(day, 23, 59)) == edges[day + 2]


def test_what_is_asked_twice_at_an_instant_is_made_once_and_stays_as_it_is():
    known = Information(SIGNALS, SPRING, SPRING.local_ns(20, 9))
    first = forecast(known, "price", 96)
    assert forecast(known, "price", 96) is first
    for other in (("price", 48), ("price", 96, "persistence"), ("solar", 96)):
        assert forecast(known, *other) is not first
    with pytest.raises(ValueError, match="read-only"):
        first.values[0, 0] = 1.0
    again = forecast(Information(SIGNALS, SPRING, known.now_ns), "price", 96)
    assert again is not first
    np.testing.assert_array_equal(again.values, first.values)
    before = known.earlier(SPRING.local_ns(19, 0))
    alone = Information(SIGNALS, SPRING, SPRING.local_ns(19, 0))
    assert before.fingerprint("solar") == alone.fingerprint("solar") != known.fingerprint("solar")
    np.testing.assert_array_equal(before.hourly_total("solar"), alone.hourly_total("solar"))


def test_before_the_calendar_and_at_its_end():
    assert published_until(SPRING, SPRING.local_ns(-1, 13)) == 96
    assert published_until(SPRING, SPRING.local_ns(-1, 13) - 1) == 0
    assert published_until(SPRING, SPRING.local_ns(-3, 20)) == 0
    assert published_until(SPRING, SPRING.local_ns(27, 14)) == SPRING.periods
    assert published_until(SPRING, SPRING.end_ns + NS_PER_H) == SPRING.periods
    early = Information(SIGNALS, SPRING, SPRING.local_ns(-5, 0))
    assert (early.period, early.known("price"), early.known("temperature")) == (0, 0, 0)
    assert len(early.history("wet_bulb")) == 0
    late = Information(SIGNALS, SPRING, SPRING.end_ns)
    assert len(forecast(late, "price", 96)) == 0


def test_a_period_is_known_when_it_has_ended_and_not_before():
    now = SPRING.local_ns(5, 10, 7)
    known = Information(SIGNALS, SPRING, now)
    assert known.period == 5 * 96 + 40
    assert SPRING.start_ns[known.period] <= now < SPRING.start_ns[known.period + 1]
    last = known.period - 1
    assert known.value("temperature", last) == SIGNALS.temperature.values[last]
    assert known.value("wet_bulb", last) < known.value("temperature", last)
    for name in ("temperature", "wet_bulb", "wind_offshore", "imbalance"):
        with pytest.raises(NotYetKnownError, match="is not known at 2026-03-21T09:07"):
            known.value(name, known.period)
    assert known.value("price", known.period) == SIGNALS.price.values[known.period]
    with pytest.raises(NotYetKnownError):
        known.value("price", 6 * 96)
    with pytest.raises(NotYetKnownError):
        known.value("price", -1)
    just = Information(SIGNALS, SPRING, int(SPRING.start_ns[known.period + 1]))
    assert just.known("temperature") == known.known("temperature") + 1


def scrambled_after(signals: Signals, calendar, now_ns, rng) -> Signals:
    """The same world until now, another one afterwards."""
    ended = int(np.searchsorted(calendar.start_ns[1:], now_ns, side="right"))
    changed = {}
    for series in signals:
        first = published_until(calendar, now_ns) if series.name == "price" else ended
        values = series.values.copy()
        values[first:] = rng.uniform(-1e3, 1e3, len(values) - first)
        changed[series.name] = dataclasses.replace(series, values=values)
    return Signals(**changed)


@settings(max_examples=40, deadline=None)
@given(
    minute=st.integers(-2 * 1440, 28 * 1440),
    seed=st.integers(0, 2**32),
    name=st.sampled_from([*NAMES, "load"]),
)
def test_nothing_after_now_changes_anything(minute, seed, name):
    now_ns = SPRING.begin_ns + minute * NS_PER_MIN
    rng = np.random.default_rng(seed)
    load = rng.uniform(0, 100, SPRING.periods)
    one = Information(SIGNALS, SPRING, now_ns, {"load": load})
    other_load = load.copy()
    other_load[one.period :] = rng.uniform(0, 1e6, SPRING.periods - one.period)
    world = scrambled_after(SIGNALS, SPRING, now_ns, rng)
    two = Information(world, SPRING, now_ns, {"load": other_load})
    assert one.history(name).tobytes() == two.history(name).tobytes()
    a, b = forecast(one, name, 192), forecast(two, name, 192)
    assert a.values.tobytes() == b.values.tobytes()
    assert a.issued_ns == b.issued_ns == now_ns
    assert np.isfinite(a.values).all()
    assert (np.diff(a.values, axis=0) >= -1e-9).all()  # quantiles do not cross
    method = METHODS[name]
    if name != "price":  # a published price is what it is
        assert a.values.min(initial=method.low) >= method.low
        assert a.values.max(initial=method.high) <= method.high


def test_what_is_handed_out_cannot_be_written_into():
    known = Information(SIGNALS, SPRING, SPRING.local_ns(3, 0))
    with pytest.raises(ValueError, match="read-only"):
        known.history("price")[0] = 1.0


def test_published_prices_are_certain_and_the_rest_is_not():
    known = Information(SIGNALS, SPRING, SPRING.local_ns(20, 14))
    made = forecast(known, "price", 192)
    ahead = known.known("price") - known.period
    assert np.array_equal(made.median()[:ahead], SIGNALS.price.values[known.period :][:ahead])
    assert np.all(made.at(0.9)[:ahead] == made.at(0.1)[:ahead])
    assert np.all(made.at(0.9)[ahead:] > made.at(0.1)[ahead:])
    assert made.valid_ns[0] == SPRING.start_ns[known.period]
    assert len(made) == 192


def test_a_flat_past_gives_a_flat_forecast():
    flat = Signals(**{
        series.name: dataclasses.replace(series, values=np.full(SPRING.periods, 0.5))
        for series in SIGNALS
    })  # fmt: skip
    known = Information(flat, SPRING, SPRING.local_ns(20, 0))
    for name in ("temperature", "wind_offshore", "carbon", "price"):
        assert forecast(known, name, 96).values == pytest.approx(np.full((5, 96), 0.5))


def test_working_days_and_weekends_have_courses_of_their_own():
    load = np.where(SPRING.local_weekday >= 5, 10.0, 50.0)
    friday_evening = SPRING.local_ns(18, 23, 45)
    known = Information(SIGNALS, SPRING, friday_evening, {"load": load})
    made = forecast(known, "load", 97).median()
    assert made[1:] == pytest.approx(np.full(96, 10.0))  # Saturday follows Friday at its own level


def test_pinball_loss_by_hand():
    made = Forecast("x", 0, np.array([0], dtype=np.int64), (0.25, 0.5), np.array([[2.0], [4.0]]))
    assert pinball_loss(made, np.array([3.0]))[:, 0] == pytest.approx([0.25, 0.5])
    report = errors_by_lead([(made, np.array([3.0]))], (1.0, 2.0))
    assert list(report.count) == [1, 0]
    assert report.mae[0] == 1.0
    assert report.bias[0] == 1.0
    assert report.pinball[0] == pytest.approx(0.375)


@pytest.fixture(scope="module")
def synthetic_year():
    return synthetic_signals(YEAR, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "worst"),
    [
        ("temperature", 2.3),
        ("wet_bulb", 2.2),
        ("wind_offshore", 0.205),
        ("solar", 0.06),
        ("price", 29),
    ],
)
def test_error_grows_with_the_lead_and_stays_below_what_is_stated(synthetic_year, name, worst):
    report = backtest(synthetic_year, YEAR, name, every=97)
    assert report.count.sum() > 5000
    assert report.mae[0] < 0.8 * report.mae[-1] or name == "solar"
    assert report.mae.max() < worst
    actual = getattr(synthetic_year, name, synthetic_year.temperature).values
    assert report.mae.max() < actual.std()  # better than the yearly mean


@pytest.mark.slow
def test_the_spread_is_about_right(synthetic_year):
    inside, total = 0, 0
    for day in range(30, 360, 5):
        known = Information(synthetic_year, YEAR, YEAR.local_ns(day, 0))
        made = forecast(known, "wind_offshore", 144)
        actual = synthetic_year.wind_offshore.values[known.period :][: len(made)]
        inside += np.count_nonzero((made.at(0.1) <= actual) & (actual <= made.at(0.9)))
        total += len(made)
    assert inside / total == pytest.approx(0.8, abs=0.12)


@pytest.mark.slow
@pytest.mark.data
def test_real_2024_is_about_as_hard_to_forecast_as_a_synthetic_year(data_dir, synthetic_year):
    calendar = MarketCalendar.of(dt.date(2024, 1, 1), 366)
    real = real_signals_from_folder(calendar, data_dir)
    for name in ("price", "temperature", "wind_onshore", "solar", "carbon"):
        measured = backtest(real, calendar, name, every=97).pinball.mean()
        made = backtest(synthetic_year, YEAR, name, every=97).pinball.mean()
        assert made == pytest.approx(measured, rel=0.35)


def test_quantiles_hold_the_median():
    assert 0.5 in QUANTILES
    assert list(QUANTILES) == sorted(QUANTILES)
