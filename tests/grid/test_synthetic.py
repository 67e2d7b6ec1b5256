"""Generated years against the published statistics they are calibrated on."""

import datetime as dt
import time

import numpy as np
import pytest

from gigafactory.grid import MarketCalendar, Signals, synthetic_signals
from gigafactory.grid.noise import mapped
from gigafactory.grid.weather import heat_demand, sine_of_sun_height
from gigafactory.units import NS_PER_H

SEEDS = (0, 1, 2, 7, 2026)
YEAR = MarketCalendar.of(dt.date(2026, 1, 1), 365)


@pytest.fixture(scope="module", params=SEEDS)
def year(request) -> Signals:
    return synthetic_signals(YEAR, request.param)


def hourly(values):
    return values.reshape(-1, 4).mean(axis=1)


def lag(values, periods):
    return float(np.corrcoef(values[periods:], values[:-periods])[0, 1])


def test_price_has_the_statistics_of_the_dutch_day_ahead_market_of_2024(year):
    price = hourly(year.price.values)  # 2024 was settled by the hour
    assert price.mean() == pytest.approx(77.3, abs=1.0)
    assert price.std() == pytest.approx(49.5, abs=1.5)
    assert np.count_nonzero(price < 0) == pytest.approx(458, abs=25)
    assert price.max() == pytest.approx(873, abs=60)
    assert price.min() == pytest.approx(-200, abs=15)
    days = price.reshape(365, 24)
    assert (days.max(axis=1) - days.min(axis=1)).mean() == pytest.approx(114, abs=8)
    dearest, cheapest = np.sort(days)[:, -4:].mean(), np.sort(days)[:, :4].mean()
    assert dearest - cheapest == pytest.approx(91, abs=10)
    assert lag(price, 1) == pytest.approx(0.92, abs=0.03)
    assert lag(price, 24) == pytest.approx(0.66, abs=0.12)  # ours repeats less from day to day
    quarters = year.price.values.reshape(-1, 4)
    assert quarters.std(axis=1, ddof=1).mean() == pytest.approx(9.6, abs=0.3)


def test_price_follows_wind_and_sun(year):
    price, wind, sun = year.price.values, year.wind_onshore.values, year.solar.values
    assert (price * wind).sum() / wind.sum() == pytest.approx(59.5, abs=4)
    assert (price * sun).sum() / sun.sum() == pytest.approx(42.5, abs=4)
    assert np.corrcoef(price, wind)[0, 1] == pytest.approx(-0.40, abs=0.08)
    by_hour = [price[YEAR.local_hour == h].mean() for h in range(24)]
    assert int(np.argmax(by_hour)) in (17, 18, 19)
    assert int(np.argmin(by_hour)) in (11, 12, 13, 14)


def test_imbalance_price_strays_from_day_ahead_as_in_2024(year):
    stray = year.imbalance.values - year.price.values
    assert np.abs(stray).mean() == pytest.approx(83.6, abs=4)
    assert stray.mean() == pytest.approx(3.9, abs=4)
    assert stray.std() == pytest.approx(230, abs=15)
    assert lag(stray, 1) == pytest.approx(0.45, abs=0.10)


def test_temperature_and_humidity_are_those_of_de_bilt(year):
    temperature, humidity = year.temperature.values, year.humidity.values
    assert temperature.mean() == pytest.approx(11.4, abs=1.2)
    assert temperature.std() == pytest.approx(6.7, abs=0.9)
    assert -13.0 < temperature.min() < -2.0
    assert 28.0 < temperature.max() < 39.0
    days = temperature.reshape(365, 96)
    assert (days.max(axis=1) - days.min(axis=1)).mean() == pytest.approx(8.1, abs=0.6)
    assert humidity.mean() == pytest.approx(79.2, abs=2.5)
    assert humidity.std() == pytest.approx(17.2, abs=2.5)
    wet = _wet_bulb_stull(temperature, humidity)
    assert wet.mean() == pytest.approx(9.1, abs=1.1)
    assert 20.0 < wet.max() < 25.5
    assert 100 < np.count_nonzero(wet > 18.0) / 4 < 800  # De Bilt Aug 2024 - Aug 2025: 427 h


def _wet_bulb_stull(temperature_c, humidity):
    """Stull (2011), valid at 5..99 % and -20..50 °C: an independent check of both series."""
    t, h = temperature_c, humidity
    return (
        t * np.arctan(0.151977 * np.sqrt(h + 8.313659))
        + np.arctan(t + h)
        - np.arctan(h - 1.676331)
        + 0.00391838 * h**1.5 * np.arctan(0.023101 * h)
        - 4.686035
    )


def test_renewables_have_published_capacity_factors(year):
    assert 0.40 <= year.wind_offshore.values.mean() <= 0.45
    assert year.wind_onshore.values.mean() == pytest.approx(0.323, abs=0.01)
    assert year.wind_onshore.values.std() == pytest.approx(0.288, abs=0.01)
    assert year.solar.values.mean() == pytest.approx(0.128, abs=0.003)
    assert year.solar.values.std() == pytest.approx(0.199, abs=0.01)
    both = np.corrcoef(year.wind_offshore.values, year.wind_onshore.values)[0, 1]
    assert both == pytest.approx(0.71, abs=0.15)
    assert lag(hourly(year.wind_onshore.values), 24) == pytest.approx(0.45, abs=0.15)
    midnight = year.solar.values[YEAR.local_hour == 0]
    assert midnight.max() == 0.0


def test_carbon_follows_the_mix(year):
    carbon = year.carbon.values
    assert carbon.mean() == pytest.approx(202, abs=3)
    assert carbon.std() == pytest.approx(105, abs=3)
    assert carbon.min() >= 22.0
    assert carbon.max() <= 430.0
    assert np.corrcoef(carbon, year.price.values)[0, 1] == pytest.approx(0.67, abs=0.04)


def test_heat_demand_is_a_fraction_that_falls_with_warmth(year):
    heat, temperature = year.heat_demand.values, year.temperature.values
    assert heat.max() == 1.0
    assert 0.02 < heat.min() < 0.10  # hot water remains in summer
    assert 0.20 < heat.mean() < 0.38
    assert np.corrcoef(heat, temperature)[0, 1] < -0.8


def test_every_series_says_that_it_is_synthetic_and_after_what(year):
    rows = year.sources()
    assert len(rows) == 9
    assert {row.state for row in rows} == {"synthetic"}
    assert all("calibrated on" in row.source and row.year >= 2015 for row in rows)
    assert year.synthetic


def test_same_seed_same_bytes_and_other_seed_other_bytes():
    week = MarketCalendar.of(dt.date(2026, 5, 4), 7)
    one, two = synthetic_signals(week, 0), synthetic_signals(week, 0)
    other = synthetic_signals(week, 1)
    for a, b, c in zip(one, two, other, strict=True):
        assert a.values.tobytes() == b.values.tobytes()
        assert a.values.tobytes() != c.values.tobytes()


def test_a_week_is_a_cut_from_its_year_and_new_year_is_no_cliff():
    signals = synthetic_signals(YEAR, 3)
    week = synthetic_signals(MarketCalendar.of(dt.date(2026, 10, 20), 7), 3)  # clocks change
    at = int(YEAR.day_edges[292])
    for whole, part in zip(signals, week, strict=True):
        assert np.array_equal(whole.values[at : at + len(part)], part.values)
    turn = synthetic_signals(MarketCalendar.of(dt.date(2025, 12, 31), 2), 3)
    jump = abs(float(turn.temperature.values[96] - turn.temperature.values[95]))
    assert jump < 1.5
    assert abs(float(turn.wind_offshore.values[96] - turn.wind_offshore.values[95])) < 0.15


def test_other_period_lengths_average_and_repeat():
    day = dt.date(2026, 3, 2)
    quarter = synthetic_signals(MarketCalendar.of(day, 1), 5).price.values
    hour = synthetic_signals(MarketCalendar.of(day, 1, period_s=3600), 5).price.values
    five = synthetic_signals(MarketCalendar.of(day, 1, period_s=300), 5).price.values
    assert hour == pytest.approx(quarter.reshape(24, 4).mean(axis=1))
    assert np.array_equal(five, np.repeat(quarter, 3))


def test_a_year_takes_less_than_a_second():
    synthetic_signals(YEAR, 11)
    begin = time.process_time()
    signals = synthetic_signals(YEAR, 12)
    assert time.process_time() - begin < 1.0
    assert len(signals) == 35_040


def test_latitude_moves_the_sun():
    winter = MarketCalendar.of(dt.date(2026, 12, 1), 31)
    south, north = synthetic_signals(winter, 1, 45.0), synthetic_signals(winter, 1, 68.0)
    assert south.solar.values.mean() > 0.04
    assert north.solar.values.max() < 0.01  # Narvik sees no sun around the solstice
    assert np.array_equal(south.price.values, north.price.values)


def test_sun_height_agrees_with_the_almanac():
    # Solstice noon height is 90 - latitude +- 23.44 degrees; on the meridian of Greenwich.
    june = np.array([1_782_043_200]) * 10**9  # 2026-06-21T12:00Z
    december = np.array([1_797_854_400]) * 10**9  # 2026-12-21T12:00Z
    height = np.degrees(np.arcsin(sine_of_sun_height(june, 52.0, 0.0)))
    assert height[0] == pytest.approx(61.44, abs=0.3)
    height = np.degrees(np.arcsin(sine_of_sun_height(december, 52.0, 0.0)))
    assert height[0] == pytest.approx(14.56, abs=0.3)
    around = june + np.arange(-12, 13) * NS_PER_H
    assert int(np.argmax(sine_of_sun_height(around, 52.0, 0.0))) == 12


def test_mapping_keeps_order_and_gives_the_table():
    latent = np.array([3.0, -1.0, 10.0, 0.5])
    assert list(mapped(latent, ((0.0, 0.0), (1.0, 8.0)))) == [5.0, 1.0, 7.0, 3.0]


def test_heat_demand_with_a_given_peak_never_passes_one():
    hours = np.tile(np.arange(96) / 4, 3)
    cold, peak = heat_demand(np.full(288, -10.0), hours)
    mild, same = heat_demand(np.full(288, 10.0), hours, peak)
    assert same == peak
    assert 0.2 < mild.max() < cold.max() == 1.0
    frozen, _ = heat_demand(np.full(288, -25.0), hours, peak)
    assert frozen.max() == 1.0
