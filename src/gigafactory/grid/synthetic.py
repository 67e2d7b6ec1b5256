"""Synthetic signals: a Dutch market and weather year that never was, with the statistics of 2024.

Weather comes first (`gigafactory.grid.weather`); wind, sun, the hour and the weekday make a
residual load; its rank in the year picks the price, and the carbon intensity, from the published
distribution. So the generated year has the published distribution nearly exactly, and its rhythm
and correlations because the residual load has them. Every series says "synthetic" and what it is
calibrated on.
"""

from __future__ import annotations

import datetime as dt
import functools

import numpy as np
import numpy.typing as npt

from gigafactory.grid.calendar import MarketCalendar
from gigafactory.grid.noise import QUARTERS_PER_H, YearNoise, mapped, standardise
from gigafactory.grid.series import Series
from gigafactory.grid.signals import UNITS, Signals
from gigafactory.grid.weather import Weather, generate_weather, heat_demand
from gigafactory.units import NS_PER_S

Array = npt.NDArray[np.float64]

# Quantiles of the Dutch hourly day-ahead price of 2024 in EUR/MWh, computed from the prices on the
# ENTSO-E Transparency Platform: mean 77.3, standard deviation 49.5, 458 negative hours.
_PRICE = ((0.0, -200.0), (0.0005, -140.0), (0.002, -80.0), (0.005, -52.1), (0.01, -30.0),
    (0.02, -10.1), (0.035, -1.8), (0.0522, 0.0), (0.06, 0.01), (0.08, 2.3), (0.12, 18.6),
    (0.18, 42.6), (0.25, 56.6), (0.35, 67.1), (0.5, 80.0), (0.65, 91.4), (0.75, 100.6),
    (0.85, 113.7), (0.9, 122.9), (0.95, 139.0), (0.98, 169.1), (0.99, 206.3), (0.995, 263.5),
    (0.998, 375.5), (0.9995, 500.0), (1.0, 873.0))  # fmt: skip
# Quantiles of (imbalance price - day-ahead price) in EUR/MWh, long and short prices of the 35,132
# settlement periods of 2024 pooled, TenneT's settlement prices against ENTSO-E's day-ahead prices:
# mean 3.9, mean magnitude 83.6. (A copy in circulation carries a day-ahead column that slips by an
# hour every quarter of the year; against that column the magnitude would come out as 87.0.)
_IMBALANCE = ((0.0, -1866.0), (0.0002, -1544.0), (0.001, -1103.0), (0.003, -820.0), (0.01, -357.0),
    (0.03, -169.0), (0.06, -125.0), (0.1, -97.9), (0.2, -61.5), (0.3, -40.6), (0.4, -26.7),
    (0.5, -14.8), (0.6, -3.3), (0.7, 9.0), (0.8, 27.0), (0.9, 62.7), (0.93, 83.7), (0.95, 112.0),
    (0.96, 155.0), (0.97, 255.0), (0.98, 440.0), (0.985, 690.0), (0.99, 1360.0), (0.995, 1793.0),
    (0.998, 1839.0), (0.9998, 2440.0), (1.0, 2638.0))  # fmt: skip
# Quantiles of the carbon intensity of Dutch electricity of 2024 in kg CO2 per MWh, production
# based, NED.nl: mean 202, standard deviation 105.
_CARBON = ((0.0, 22.5), (0.002, 29.1), (0.01, 35.3), (0.05, 48.4), (0.1, 63.2), (0.25, 108.0),
    (0.5, 197.0), (0.75, 290.0), (0.9, 350.0), (0.95, 374.0), (0.99, 399.0), (0.998, 410.6),
    (1.0, 430.0))  # fmt: skip
# What the hour of the day, wind and sun add to the residual load, in the price it would make
# (EUR/MWh). Start: least-squares fit of 2024 prices (ENTSO-E) on capacity factors of NED.nl (wind
# -77, sun -170, R2 = 0.57, hours in Dutch winter time). All three are then stretched by 1.2 to 1.4,
# so that after picking by rank the daily spread and the capture prices are the published ones.
_HOUR = np.array([97.9, 94.4, 91.8, 90.4, 92.9, 104.3, 119.5, 131.2, 139.6, 145.2, 150.7, 153.3,
    152.6, 151.5, 152.0, 153.2, 157.5, 165.1, 166.3, 155.3, 131.8, 117.5, 108.8,
    103.3])  # fmt: skip
_HOUR_STRETCH, _WIND, _SUN = 1.25, -105.0, -205.0
_WEEKDAY = np.array([0.0, 1.0, 2.0, 2.0, -1.0, -18.0, -30.0])
_WITHIN_HOUR = 9.6  # EUR/MWh, mean standard deviation of the four quarters, NL, Oct-Dec 2025

_ENTSOE = "ENTSO-E Transparency Platform, day-ahead prices NL"
_CALIBRATED = {
    "price": (f"{_ENTSOE} 2024; quarters within the hour: Oct-Dec 2025", 2024),
    "imbalance": ("TenneT settlement prices NL, long and short pooled", 2024),
    "temperature": ("KNMI, hourly temperature De Bilt, 2018-2025", 2025),
    "humidity": ("KNMI, hourly dew point De Bilt, Aug 2024 - Aug 2025", 2025),
    "wind_offshore": (
        "Dispa-SET availability factors NL offshore 2015 in shape; level 0.42 is an assumption",
        2015,
    ),
    "wind_onshore": ("NED.nl, onshore wind NL", 2024),
    "solar": ("NED.nl, photovoltaics NL", 2024),
    "carbon": ("NED.nl, emission factor of the electricity mix NL", 2024),
    "heat_demand": ("BDEW/VKU/GEODE standard load profile, parameters of When2Heat", 2019),
}


def synthetic_signals(
    calendar: MarketCalendar,
    seed: int,
    latitude: float = 51.95,
    longitude: float = 4.5,
) -> Signals:
    """Generate all signals of a calendar.

    A moment gets the same values in every calendar that contains it: the generators work on whole
    calendar years, so seven days in January are the first seven days of that year.

    Args:
        calendar: the market periods.
        seed: the run's seed.
        latitude: degrees north; it moves the sun only. Temperature, humidity and wind stay those of
            the Netherlands whatever the latitude.
        longitude: degrees east; likewise.

    Returns:
        Signals whose every series has the state "synthetic" and names its calibration source.
    """
    first, last = calendar.local_dates[0].year, calendar.local_dates[-1].year
    parts = [
        _year_values(seed, year, calendar.timezone, latitude, longitude)
        for year in range(first, last + 1)
    ]
    begin = _year_calendar(first, calendar.timezone).begin_ns
    series = {}
    for name, unit in UNITS.items():
        quarters = np.concatenate([part[name] for part in parts])
        values = to_periods(quarters, begin, calendar)
        source, year = _CALIBRATED[name]
        words = f"our generator, calibrated on: {source}"
        series[name] = Series(name, unit, values, words, year, "synthetic", f"seed {seed}")
    return Signals(**series)


def smooth_noise(
    calendar: MarketCalendar, seed: int, name: str, hours: float, *, order: int = 1
) -> Array:
    """The generators' own standard normal noise on the periods of a calendar, shape [P].

    Args:
        calendar: the market periods.
        seed: the run's seed.
        name: what it drives; names the stream.
        hours: correlation time in h.
        order: 1 rough, 2 smooth (see `YearNoise.smooth`).
    """
    first, last = calendar.local_dates[0].year, calendar.local_dates[-1].year
    parts = [
        _year_noise(seed, year, calendar.timezone).smooth(name, hours, order=order)
        for year in range(first, last + 1)
    ]
    begin_ns = _year_calendar(first, calendar.timezone).begin_ns
    return to_periods(np.concatenate(parts), begin_ns, calendar)


def year_angle(calendar: MarketCalendar) -> Array:
    """Position of each period in its local calendar year, 0..2 pi, shape [P]."""
    angle = np.empty(calendar.periods)
    years = np.array([date.year for date in calendar.local_dates])[calendar.day_of]
    for year in np.unique(years).tolist():
        whole = _year_calendar(year, calendar.timezone)
        share = (calendar.start_ns[:-1] - whole.begin_ns) / (whole.end_ns - whole.begin_ns)
        angle = np.where(years == year, 2 * np.pi * share, angle)
    return angle


def _year_noise(seed: int, year: int, timezone: str) -> YearNoise:
    quarters = _year_calendar(year, timezone).periods
    return YearNoise(seed, year, quarters, _year_calendar(year - 1, timezone).periods)


@functools.lru_cache(maxsize=8)
def _year_calendar(year: int, timezone: str) -> MarketCalendar:
    days = (dt.date(year + 1, 1, 1) - dt.date(year, 1, 1)).days
    return MarketCalendar.of(dt.date(year, 1, 1), days, timezone, 900)


@functools.lru_cache(maxsize=8)
def _year_values(
    seed: int, year: int, timezone: str, latitude: float, longitude: float
) -> dict[str, Array]:
    """All signals of one local calendar year in quarter-hours. Callers must not write into them."""
    calendar = _year_calendar(year, timezone)
    noise = _year_noise(seed, year, timezone)
    weather = generate_weather(noise, calendar.start_ns[:-1], latitude, longitude)
    national = weather
    if (latitude, longitude) != (51.95, 4.5):  # the Dutch market looks at the Dutch sun
        national = generate_weather(noise, calendar.start_ns[:-1], 51.95, 4.5)
    residual = _residual_load(noise, national, calendar)
    price = _price(noise, residual)
    carbon = mapped(_carbon_latent(noise, national, calendar, residual), _CARBON)
    heat, _ = heat_demand(weather.temperature_c, calendar.local_hour)
    return {
        "price": price,
        "imbalance": price + mapped(_imbalance_latent(noise), _IMBALANCE),
        "temperature": weather.temperature_c,
        "humidity": weather.humidity_percent,
        "wind_offshore": weather.wind_offshore,
        "wind_onshore": weather.wind_onshore,
        "solar": weather.solar,
        "carbon": carbon,
        "heat_demand": heat,
    }


def _residual_load(noise: YearNoise, weather: Weather, calendar: MarketCalendar) -> Array:
    """What conventional plants must cover, expressed in the price it would make (EUR/MWh)."""
    hour = calendar.local_hour
    around = _HOUR_STRETCH * np.append(_HOUR, _HOUR[0])
    base = (
        np.interp(hour, np.arange(25) + 0.5, around, period=None) + _WEEKDAY[calendar.local_weekday]
    )
    wind = 0.6 * weather.wind_onshore + 0.4 * weather.wind_offshore
    fuel = 14.0 * noise.smooth("fuel", 240.0) + 4.0 * noise.smooth("outages", 40.0)
    return np.asarray(
        base
        + _WIND * wind
        + _SUN * weather.solar
        + fuel
        + 10.0 * noise.smooth("demand", 4.0, order=2)
    )


def _price(noise: YearNoise, residual: Array) -> Array:
    """Day-ahead price in quarters: the hour by rank, the quarter by the slope between hours."""
    hours = len(residual) // QUARTERS_PER_H
    hourly = mapped(residual.reshape(hours, QUARTERS_PER_H).mean(axis=1), _PRICE)
    slope = np.gradient(hourly)
    jitter = noise.white("quarters").reshape(hours, QUARTERS_PER_H)
    within = np.clip(slope, -60, 60)[:, None] * np.array([-0.375, -0.125, 0.125, 0.375])
    within = within * 1.6 + 4.0 * jitter
    within -= within.mean(axis=1, keepdims=True)
    within *= _WITHIN_HOUR / within.std(axis=1, ddof=1).mean()
    return np.asarray(np.clip(hourly[:, None] + within, -500.0, 4000.0).reshape(-1))


def _carbon_latent(
    noise: YearNoise, weather: Weather, calendar: MarketCalendar, residual: Array
) -> Array:
    """Carbon intensity before mapping: fit of NED.nl 2024 on wind and sun (R2 = 0.77), kg/MWh."""
    wind = 0.6 * weather.wind_onshore + 0.4 * weather.wind_offshore
    fitted = -260.0 * wind - 417.0 * weather.solar + 366.0 * wind * weather.solar
    weekend = np.where(calendar.local_weekday >= 5, -26.0, 0.0)
    return np.asarray(
        fitted + weekend + 34.0 * standardise(residual) + 40.0 * noise.smooth("mix", 30.0)
    )


def _imbalance_latent(noise: YearNoise) -> Array:
    """Short surprises on top of spells of several hours: correlation 0.45 after one period."""
    return np.asarray(
        0.75 * noise.smooth("imbalance", 0.6)
        + 0.6 * noise.smooth("imbalance spell", 3.0)
        + 0.25 * noise.white("imbalance quarter")
    )


def to_periods(quarters: Array, begin_ns: int, calendar: MarketCalendar) -> Array:
    """Bring quarter-hours to the periods of a calendar: mean of longer ones, repeat in shorter.

    Args:
        quarters: values of quarter-hours from `begin_ns` on, reaching to the calendar's end.
        begin_ns: start of the first quarter-hour, UTC ns.
        calendar: the market periods.
    """
    step_ns = 900 * NS_PER_S
    first = (calendar.begin_ns - begin_ns) // step_ns
    last = -(-(calendar.end_ns - begin_ns) // step_ns)
    window = quarters[first:last]
    if calendar.period_s == 900:
        return window
    if calendar.period_s % 900 == 0:
        return np.asarray(window.reshape(calendar.periods, -1).mean(axis=1))
    return window[(calendar.start_ns[:-1] - calendar.begin_ns) // step_ns]
