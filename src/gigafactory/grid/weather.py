"""Synthetic Dutch weather: temperature, humidity, wind, sun, and the heat demand that follows it.

Each generator gives one calendar year in quarter-hours and is calibrated on published statistics,
named beside the numbers below; `docs/explanation/synthetic-signals.md` tells the method. The values
are inventions with the right distribution, rhythm and correlation; they are no weather that was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from gigafactory.grid.noise import QUARTERS_PER_DAY, YearNoise, mapped, standardise

Array = npt.NDArray[np.float64]

# KNMI station 260 De Bilt, hourly air temperature 2018-2025, our statistics: mean of the seasonal
# wave, its cosine and sine over the year, standard deviation of the daily anomaly by month, and the
# mean daily range by month (the mean wave of a day is smaller, clear days are larger).
_SEASON_C = (11.35, -6.90, -2.45)
_ANOMALY_C = (3.31, 4.01, 2.97, 3.42, 3.16, 2.92, 2.69, 2.72, 2.72, 2.78, 2.89, 3.79)
_RANGE_C = (3.1, 4.7, 6.8, 8.6, 9.4, 9.0, 8.7, 8.7, 8.3, 5.6, 4.0, 2.9)
_WARMEST_H = 15.0  # local solar time of the daily maximum, De Bilt 2018-2025
# Dew point below the day's mean temperature, by month; KNMI De Bilt Aug 2024 - Aug 2025.
_DEW_DEPRESSION_C = (1.4, 2.6, 4.6, 5.1, 6.0, 5.5, 4.4, 4.3, 2.9, 2.0, 1.8, 1.6)

# Quantiles of the capacity factor of onshore wind, NED.nl, Netherlands 2024 (mean 0.323).
_ONSHORE = ((0.0, 0.0), (0.01, 0.0008), (0.05, 0.006), (0.1, 0.019), (0.25, 0.073), (0.4, 0.166),
    (0.5, 0.237), (0.6, 0.322), (0.75, 0.519), (0.9, 0.802), (0.95, 0.906), (0.99, 0.989),
    (1.0, 1.0))  # fmt: skip
# Quantiles of the capacity factor of Dutch offshore wind 2015 (Dispa-SET availability factors, mean
# 0.382), raised to the power 0.88: newer and larger turbines reach about 0.42 (assumption).
_OFFSHORE = tuple(
    (p, cf**0.88)
    for p, cf in ((0.0, 0.0005), (0.01, 0.008), (0.05, 0.035), (0.1, 0.068), (0.25, 0.164),
        (0.4, 0.281), (0.5, 0.356), (0.6, 0.436), (0.75, 0.573), (0.9, 0.756), (0.95, 0.831),
        (0.99, 0.894), (1.0, 0.948))
)  # fmt: skip
# Share of the clear-sky output that clouds leave, by probability: shape ours, so that the fleet's
# midday quantiles in summer resemble NED.nl 2024 (5 %: 0.24, 50 %: 0.59, 95 %: 0.84).
_CLEARNESS = ((0.0, 0.08), (0.05, 0.20), (0.25, 0.45), (0.5, 0.68), (0.75, 0.88), (1.0, 1.0))
_SOLAR_MEAN = 0.128  # capacity factor of Dutch photovoltaics, NED.nl, 2024
_MIDDLE_OF_NL = (52.1, 5.2)  # degrees north and east
_SOLAR_CAP = 0.90  # the fleet never reached more: 0.899 in 2024, NED.nl


@dataclass(frozen=True, slots=True, eq=False)
class Weather:
    """One calendar year of synthetic weather, each array of shape [quarter-hours of the year].

    Attributes:
        temperature_c: dry-bulb temperature, °C.
        humidity_percent: relative humidity, %.
        wind_offshore: capacity factor 0..1.
        wind_onshore: capacity factor 0..1.
        solar: capacity factor 0..1.
    """

    temperature_c: Array
    humidity_percent: Array
    wind_offshore: Array
    wind_onshore: Array
    solar: Array


def sine_of_sun_height(
    start_ns: npt.NDArray[np.int64], latitude_deg: float, longitude_deg: float
) -> Array:
    """Sine of the height of the sun above the horizon; negative by night.

    Declination and equation of time after Spencer (1971), good to about 0.01 and half a minute.

    Args:
        start_ns: instants, UTC ns, shape [n].
        latitude_deg: degrees north.
        longitude_deg: degrees east.
    """
    since_s = np.asarray(start_ns, dtype=np.int64) // 1_000_000_000
    day_angle = 2 * np.pi * ((since_s / 86_400.0) % 365.2425) / 365.2425
    declination = (
        0.006918
        - 0.399912 * np.cos(day_angle)
        + 0.070257 * np.sin(day_angle)
        - 0.006758 * np.cos(2 * day_angle)
        + 0.000907 * np.sin(2 * day_angle)
    )
    equation_min = 229.18 * (
        0.000075
        + 0.001868 * np.cos(day_angle)
        - 0.032077 * np.sin(day_angle)
        - 0.014615 * np.cos(2 * day_angle)
        - 0.04089 * np.sin(2 * day_angle)
    )
    solar_min = (since_s % 86_400) / 60.0 + equation_min + 4.0 * longitude_deg
    hour_angle = np.radians(solar_min / 4.0 - 180.0)
    latitude = math.radians(latitude_deg)
    return np.asarray(
        math.sin(latitude) * np.sin(declination)
        + math.cos(latitude) * np.cos(declination) * np.cos(hour_angle)
    )


def generate_weather(
    noise: YearNoise,
    start_ns: npt.NDArray[np.int64],
    latitude_deg: float,
    longitude_deg: float,
) -> Weather:
    """Make a calendar year of weather.

    Args:
        noise: the year's noise.
        start_ns: start of each quarter-hour of the year, UTC ns, shape [n].
        latitude_deg: degrees north; moves the sun only, the temperature stays De Bilt's.
        longitude_deg: degrees east; moves the sun only.
    """
    count = len(start_ns)
    year = 2 * np.pi * np.arange(count) / count
    solar_h = ((start_ns // 1_000_000_000) % 86_400) / 3600.0 + longitude_deg / 15.0
    clear = standardise(noise.smooth("cloud", 9.0) + 0.7 * noise.smooth("cloud spell", 60.0))
    clearness = mapped(clear, _CLEARNESS)
    storm = noise.smooth("wind", 16.0, order=2)
    winter = np.cos(year - 0.3)
    onshore = storm + 0.55 * noise.smooth("wind onshore", 8.0, order=2) - 0.25 * clear
    onshore += 0.35 * winter + 0.38 * np.cos(2 * np.pi * (solar_h - 14.0) / 24.0)
    offshore = storm + 0.75 * noise.smooth("wind offshore", 10.0, order=2) + 0.45 * winter
    middle_ns = start_ns + 450 * 1_000_000_000
    scale = _fleet_scale(sine_of_sun_height(middle_ns, *_MIDDLE_OF_NL), clearness)
    height = sine_of_sun_height(middle_ns, latitude_deg, longitude_deg)
    temperature, anomaly = _temperature(noise, clear, year, solar_h)
    return Weather(
        temperature_c=temperature,
        humidity_percent=humidity(temperature, anomaly, year, noise.smooth("dew point", 30.0)),
        wind_offshore=mapped(offshore, _OFFSHORE),
        wind_onshore=mapped(onshore, _ONSHORE),
        solar=_fleet_output(height, clearness, scale),
    )


def offshore_from_onshore(onshore: Array, wander: Array) -> Array:
    """A capacity factor of offshore wind that blows with a given onshore one (correlation 0.7).

    Args:
        onshore: capacity factor of Dutch onshore wind, shape [n].
        wander: smooth standard normal noise, shape [n].
    """
    probability, value = zip(*_ONSHORE, strict=True)
    share = np.interp(onshore, value, probability).clip(0.002, 0.998)
    grid = np.linspace(0.002, 0.998, 999)
    score = np.interp(share, grid, [NormalDist().inv_cdf(float(p)) for p in grid])
    mixed = 0.75 * score + math.sqrt(1.0 - 0.75**2) * wander
    z = np.linspace(-4.0, 4.0, 801)
    rank = np.interp(mixed, z, [NormalDist().cdf(float(x)) for x in z])
    probability, value = zip(*_OFFSHORE, strict=True)
    return np.asarray(np.interp(rank, probability, value), dtype=np.float64)


def _temperature(
    noise: YearNoise, clear: Array, year: Array, solar_h: Array
) -> tuple[Array, Array]:
    """Temperature, and the slow part of it that carries no daily wave."""
    mean, cosine, sine = _SEASON_C
    season = mean + cosine * np.cos(year) + sine * np.sin(year)
    spell = 0.75 * noise.smooth("air mass", 45.0, order=2) + 0.66 * noise.smooth("air", 60.0)
    anomaly = spell * _by_month(_ANOMALY_C, year)
    # Clear skies warm the summer and chill the winter.
    anomaly += 0.8 * clear * -np.cos(year)
    wave = np.cos(2 * np.pi * (solar_h - _WARMEST_H) / 24.0)
    wave += 0.18 * np.cos(4 * np.pi * (solar_h - _WARMEST_H) / 24.0)
    swing = 0.5 * _by_month(_RANGE_C, year) * (0.75 + 0.5 * (1 / (1 + np.exp(-1.5 * clear))))
    return season + anomaly + swing * wave, season + anomaly


def humidity(temperature_c: Array, slow_c: Array, year_angle: Array, wander: Array) -> Array:
    """Relative humidity in % from a dew point that follows the slow part of the temperature.

    Saturation vapour pressure after Magnus with the coefficients of WMO-No. 8 (17.62, 243.12 °C).

    Args:
        temperature_c: dry-bulb temperature, °C, shape [n].
        slow_c: the same without its daily wave, shape [n].
        year_angle: position in the calendar year, 0..2 pi, shape [n].
        wander: standard normal noise that moves the dew point, shape [n].
    """
    mean, cosine, sine = _SEASON_C
    season = mean + cosine * np.cos(year_angle) + sine * np.sin(year_angle)
    # A hot spell is dry: only part of its warmth shows in the dew point.
    dew = season + 0.72 * (slow_c - season) - _by_month(_DEW_DEPRESSION_C, year_angle)
    dew = dew + 2.4 * wander
    dew = np.minimum(dew, 19.0 + 0.25 * np.maximum(dew - 19.0, 0.0))
    dew = np.minimum(dew, temperature_c - 0.15)
    return relative_humidity(temperature_c, dew).clip(18.0, 100.0)


def relative_humidity(temperature_c: Array, dew_point_c: Array) -> Array:
    """Relative humidity in % of air with a dew point, after Magnus (WMO-No. 8), -45..60 °C."""
    return np.asarray(100.0 * np.exp(_magnus(dew_point_c) - _magnus(temperature_c)))


def _magnus(temperature_c: Array) -> Array:
    return np.asarray(17.62 * temperature_c / (243.12 + temperature_c))


def _fleet_output(sine_height: Array, clearness: Array, scale: float) -> Array:
    """Output of panels of many orientations: a curve of the sun's height, times clearness."""
    return np.minimum(scale * np.maximum(sine_height, 0.0) ** 1.2 * clearness, _SOLAR_CAP)


def _fleet_scale(sine_height: Array, clearness: Array) -> float:
    """The scale at which the fleet in the middle of the Netherlands has its published mean."""
    low, high = 0.2, 3.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        if _fleet_output(sine_height, clearness, middle).mean() < _SOLAR_MEAN:
            low = middle
        else:
            high = middle
    return high


def _by_month(values: tuple[float, ...], year_angle: Array) -> Array:
    """Monthly figures drawn out into a smooth yearly curve, at positions 0..2 pi in the year."""
    centre = np.arange(-1, 13) + 0.5
    wrapped = (values[-1], *values, values[0])
    return np.asarray(np.interp(year_angle * (6.0 / np.pi), centre, wrapped), dtype=np.float64)


def heat_demand(
    temperature_c: Array, local_hour: Array, peak: float | None = None
) -> tuple[Array, float]:
    """Demand of a heat network for space heating and hot water, as a fraction of its peak.

    The daily level is the sigmoid of the German gas standard load profile for multi-family houses,
    class normal wind (BDEW/VKU/GEODE guideline; parameters as published by When2Heat, Ruhnau et al.
    2019), of the temperature of the last days weighted 1, 1/2, 1/4, 1/8. The course over the day is
    an assumption: 30 % above the mean at 7 h, 15 % above at 19 h.

    Args:
        temperature_c: temperature in quarter-hours from a local midnight on, shape [n].
        local_hour: local hour 0..24, shape [n].
        peak: demand that counts as 1, in the sigmoid's own unit; None takes the highest of the
            series.

    Returns:
        The fraction 0..1, shape [n], and the peak it was divided by.
    """
    count = len(temperature_c)
    days = -(-count // QUARTERS_PER_DAY)
    padded = np.append(temperature_c, np.full(days * QUARTERS_PER_DAY - count, temperature_c[-1]))
    daily = padded.reshape(days, QUARTERS_PER_DAY).mean(axis=1)
    before = np.concatenate([np.full(3, daily[0]), daily])
    weighted = (before[3:] + 0.5 * before[2:-1] + 0.25 * before[1:-2] + 0.125 * before[:-3]) / 1.875
    weighted = np.minimum(weighted, 38.0)
    sigmoid = 1.1328655 / (1.0 + (-34.7213605 / (weighted - 40.0)) ** 5.8164304) + 0.0873352
    linear = np.maximum(-0.0409284 * weighted + 0.767292, -0.002232 * weighted + 0.1199207)
    shape = 1.0 + 0.22 * np.cos(2 * np.pi * (local_hour - 7.0) / 12.0)
    shape += 0.08 * np.cos(2 * np.pi * (local_hour - 9.0) / 24.0)
    demand = np.repeat(sigmoid + linear, QUARTERS_PER_DAY)[:count] * shape
    top = float(demand.max()) if peak is None else peak
    return np.minimum(demand / top, 1.0), top
