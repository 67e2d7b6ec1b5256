"""Read real prices, weather and carbon, and compose them into signals.

Each reader gives a `Series` that says where it comes from and what was done to it on the way. What
no file gives is generated and marked synthetic, made to go with the real series where a relation is
known (offshore wind with onshore wind, humidity with temperature, imbalance with day-ahead). All
problems of all files are told together.

The generic price file: CSV, CSV.GZ or Parquet with the columns ``time_utc`` (start of the period,
ISO 8601 with zone) and ``price_eur_per_mwh``; periods of 5, 15, 30 or 60 minutes, all of one
length, none missing, none doubled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.grid.calendar import MarketCalendar, utc_text
from gigafactory.grid.files import TimeTable, examine_table, lay, read_columns, read_table
from gigafactory.grid.pricechecks import clock_problems, price_problems, scale_of
from gigafactory.grid.series import Series
from gigafactory.grid.signals import UNITS, Signals
from gigafactory.grid.synthetic import (
    smooth_noise,
    synthetic_signals,
    to_periods,
    year_angle,
)
from gigafactory.grid.weather import (
    heat_demand,
    humidity,
    offshore_from_onshore,
    relative_humidity,
)
from gigafactory.units import NS_PER_DAY, NS_PER_H, NS_PER_S

Array = npt.NDArray[np.float64]

#: Our name of each value of a signal, with the names its column may have in a file, best first.
_COLUMNS: dict[str, dict[str, tuple[str, ...]]] = {
    "price": {
        "price": (
            *("price_eur_per_mwh", "price_eur_mwh", "price_eur_per_kwh", "price_eur_kwh"),
            *("price_ct_per_kwh", "price_ct_kwh"),
        )
    },
    "imbalance": {
        "long": ("long_eur_per_mwh", "long_eur_mwh"),
        "short": ("short_eur_per_mwh", "short_eur_mwh"),
    },
    "temperature": {"temperature": ("temperature_c", "temp_c")},
    "wind_offshore": {"cf": ("capacity_factor", "wind_offshore_cf")},
    "wind_onshore": {"cf": ("capacity_factor", "wind_onshore_cf")},
    "solar": {"cf": ("capacity_factor", "solar_cf", "pv_cf")},
    "carbon": {"carbon": ("carbon_kg_per_mwh", "emissionfactor_kg_per_kwh")},
}


@dataclass(frozen=True, slots=True)
class Imbalance:
    """Prices at which imbalance is settled.

    Attributes:
        long: what a party with a surplus gets, EUR/MWh.
        short: what a party with a deficit pays, EUR/MWh.
    """

    long: Series
    short: Series

    def single(self) -> Series:
        """One price for both directions: their mean, equal to both wherever they agree."""
        values = 0.5 * (self.long.values + self.short.values)
        dual = float(np.mean(self.long.values != self.short.values))
        note = f"mean of long and short price; they differ in {dual:.1%} of the periods"
        joined = "; ".join(filter(None, [self.long.note, note]))
        return replace(self.long, name="imbalance", values=values, note=joined)


@dataclass(frozen=True, slots=True)
class SignalFiles:
    """Which file gives which signal; None means there is none.

    Attributes:
        prices: day-ahead prices (the generic price file).
        imbalance: ``time_utc, long_eur_mwh, short_eur_mwh``.
        temperature: ``time_utc, temperature_c`` (or ``temp_c``).
        humidity: KNMI hourly file ``yyyymmdd, hh, t_0p1c, td_0p1c`` (hour ending, UT).
        wind_onshore: ``time_utc, capacity_factor``.
        wind_offshore: ``time_utc, capacity_factor``.
        solar: ``time_utc, capacity_factor``.
        carbon: ``time_utc, emissionfactor_kg_per_kwh`` (or ``carbon_kg_per_mwh``).
        temperature_early_h: whole hours by which the temperature file is stamped early.
    """

    prices: Path | None = None
    imbalance: Path | None = None
    temperature: Path | None = None
    humidity: Path | None = None
    wind_onshore: Path | None = None
    wind_offshore: Path | None = None
    solar: Path | None = None
    carbon: Path | None = None
    temperature_early_h: int = 0


def read_prices(path: Path, calendar: MarketCalendar, *, fill_h: float = 0.0) -> Series:
    """Read day-ahead prices, hourly (over the periods of the hour) or native quarter-hours.

    Args:
        path: the generic price file; EUR/kWh and ct/kWh are accepted under their own column names.
        calendar: the market periods that need a price.
        fill_h: gaps up to this long may be filled with the value before, and are then named in the
            note; 0 refuses every gap.

    Raises:
        BadInput: all problems of the file: what cannot be read, gaps, an end before the days are
            over, a unit that its prices do not bear out, local time that was written as UTC.
    """
    table, problems = examine_table(path, _COLUMNS["price"])
    if table is None:
        raise BadInput(problems)
    laid = None
    try:
        laid = lay(table, calendar, fill_h=fill_h)
    except BadInput as bad:
        problems.extend(bad.problems)
    problems.extend(clock_problems(table, calendar.timezone))
    problems.extend(price_problems(table))
    if problems or laid is None:
        raise BadInput(problems)
    scale = scale_of(table.names["price"])
    price = laid.columns["price"] * scale
    unit = {1.0: "", 10.0: "ct/kWh in the file", 1000.0: "EUR/kWh in the file"}[scale]
    notes = [laid.note, unit]
    return _published("price", price, f"day-ahead prices, file {path.name}", calendar, notes)


def read_imbalance(path: Path, calendar: MarketCalendar) -> Imbalance:
    """Read imbalance settlement prices, long and short.

    Raises:
        BadInput: all problems of the file, and the list of missing periods.
    """
    return _imbalance(read_table(path, _COLUMNS["imbalance"]), calendar)


def read_carbon(path: Path, calendar: MarketCalendar) -> Series:
    """Read the carbon intensity of the mix.

    A single missing hour takes the value of the hour before, and the note of the series says so.

    Raises:
        BadInput: all problems of the file, and the list of missing periods.
    """
    return _carbon(read_table(path, _COLUMNS["carbon"]), calendar)


def read_temperature(path: Path, calendar: MarketCalendar, *, early_h: int = 0) -> Series:
    """Read air temperature in °C.

    Args:
        path: ``time_utc, temperature_c`` (or ``temp_c``).
        calendar: the market periods.
        early_h: whole hours by which the file is stamped early; they are added to every stamp.

    Raises:
        BadInput: all problems of the file, and the list of missing periods.
    """
    return _temperature(_temperature_table(path, early_h), calendar, early_h)


def read_capacity_factor(path: Path, calendar: MarketCalendar, name: str) -> Series:
    """Read a capacity factor; values above 1 (installed capacity lags) count as 1, and it says so.

    Args:
        path: ``time_utc, capacity_factor``.
        calendar: the market periods.
        name: ``wind_onshore``, ``wind_offshore`` or ``solar``.

    Raises:
        BadInput: all problems of the file, and the list of missing periods.
    """
    return _capacity_factor(read_table(path, _COLUMNS[name]), calendar, name)


def read_humidity(path: Path, calendar: MarketCalendar, temperature: Series, seed: int) -> Series:
    """Read relative humidity from a KNMI hourly file of temperature and dew point.

    Before the file begins and after it ends the dew point is synthetic, on the given temperature;
    then the state of the whole series is "synthetic" and the note says from when it is measured.

    Args:
        path: ``yyyymmdd, hh`` (hour ending, UT), ``t_0p1c, td_0p1c`` in tenths of a degree.
        calendar: the market periods.
        temperature: temperature on the same calendar.
        seed: the run's seed.

    Raises:
        BadInput: all problems of the file.
    """
    hours, percent = _knmi_humidity(path)
    made = synthetic_humidity(calendar, temperature, seed)
    period_hours = calendar.start_ns[:-1] // NS_PER_H
    index = np.searchsorted(hours, period_hours).clip(0, len(hours) - 1)
    known = hours[index] == period_hours
    if not known.any():
        return replace(made, note=f"{path.name} does not reach this calendar; {made.note}")
    values = np.where(known, percent[index], made.values)
    source = f"KNMI De Bilt temperature and dew point, file {path.name}"
    note = "each hour stands for its market periods"
    state = "measured"
    if not known.all():
        first = utc_text(int(calendar.start_ns[:-1][known][0]))
        last = utc_text(int(calendar.start_ns[1:][known][-1]))
        state = "synthetic"
        note = f"measured from {first} to {last} ({known.mean():.0%}), otherwise {made.note}"
    year = calendar.local_dates[0].year
    return Series("humidity", UNITS["humidity"], values, source, year, state, note)


def synthetic_humidity(calendar: MarketCalendar, temperature: Series, seed: int) -> Series:
    """Humidity of a synthetic dew point that follows a given temperature."""
    periods = max(1, round(86_400 / calendar.period_s))
    padded = np.pad(temperature.values, (periods // 2, periods - periods // 2 - 1), mode="edge")
    total = np.concatenate([[0.0], np.cumsum(padded)])
    slow = (total[periods:] - total[:-periods]) / periods
    wander = smooth_noise(calendar, seed, "dew point", 30.0)
    values = humidity(temperature.values, slow, year_angle(calendar), wander)
    source = "our generator, calibrated on: KNMI, hourly dew point De Bilt, Aug 2024 - Aug 2025"
    note = f"synthetic dew point on the temperature of this run, seed {seed}"
    return Series("humidity", UNITS["humidity"], values, source, 2025, "synthetic", note)


def real_signals(
    calendar: MarketCalendar,
    files: SignalFiles,
    seed: int = 0,
    latitude: float = 51.95,
    longitude: float = 4.5,
) -> Signals:
    """Compose signals from files; what no file gives, or none that reaches here, is synthetic.

    Args:
        calendar: the market periods.
        files: which file gives which signal.
        seed: the run's seed, for what has to be generated.
        latitude: degrees north, for a synthetic sun.
        longitude: degrees east.

    Raises:
        BadInput: all problems of all files.
    """
    made = synthetic_signals(calendar, seed, latitude, longitude)
    problems: list[Problem] = []
    early_h = files.temperature_early_h

    def attempt(path: Path | None, read: Callable[[Path], Series], fallback: Series) -> Series:
        if path is None:
            return fallback
        try:
            return read(path)
        except BadInput as bad:
            problems.extend(bad.problems)
            return fallback

    price = attempt(files.prices, lambda p: read_prices(p, calendar), made.price)
    warmth = attempt(
        files.temperature,
        lambda p: read_temperature(p, calendar, early_h=early_h),
        made.temperature,
    )

    def supporting(name: str, fallback: Series) -> Series:
        path: Path | None = getattr(files, name)
        return attempt(path, lambda p: _where_it_reaches(p, calendar, name, fallback), fallback)

    onshore = supporting("wind_onshore", made.wind_onshore)
    offshore = supporting("wind_offshore", made.wind_offshore)
    solar = supporting("solar", made.solar)
    carbon = supporting("carbon", made.carbon)
    imbalance = supporting("imbalance", _stray(made, price))
    damp = synthetic_humidity(calendar, warmth, seed) if files.temperature else made.humidity
    damp = attempt(files.humidity, lambda p: read_humidity(p, calendar, warmth, seed), damp)
    if problems:
        raise BadInput(problems)
    measured = onshore.state != "synthetic"
    if measured and solar.state != "synthetic" and carbon.state == "synthetic":
        carbon = _carbon_of_mix(onshore, solar, carbon.note)
    if measured and offshore.state == "synthetic":
        offshore = _offshore_beside(onshore, calendar, seed)
    heat = made.heat_demand
    if files.temperature is not None:
        heat = _heat(_temperature_table(files.temperature, early_h), warmth, calendar)
    return Signals(price, imbalance, warmth, damp, offshore, onshore, solar, carbon, heat)


#: Names of the files in a folder of Dutch public data, by signal.
FOLDER_NAMES = {
    "prices": "nl_dayahead_hourly_2019_2025.csv.gz",
    "imbalance": "nl_imbalance_15min_2023_2024.csv.gz",
    "temperature": "knmi_debilt_temp_hourly_2018_2025.csv.gz",
    "humidity": "knmi_debilt_temp_dewpoint_hourly_202408_202508.csv.gz",
    "wind_onshore": "nl_ned_wind_hourly_2019_2025.csv.gz",
    "solar": "nl_ned_pv_hourly_2019_2025.csv.gz",
    "carbon": "nl_co2_intensity_hourly_2024.csv.gz",
}


def real_signals_from_folder(
    calendar: MarketCalendar,
    data_dir: Path,
    prices: Path | None = None,
    seed: int = 0,
    latitude: float = 51.95,
    longitude: float = 4.5,
) -> Signals:
    """Compose signals from a folder of Dutch public data (`FOLDER_NAMES`), complete for 2024.

    The folder's De Bilt temperature file is stamped one hour early against KNMI's own hourly file
    (compared on 8,760 hours); one hour is added, and the note of the series says so.

    Args:
        calendar: the market periods.
        data_dir: the folder, or the one above whose sub-folder ``grid`` it is.
        prices: another price file instead of the folder's.
        seed: the run's seed, for what has to be generated.
        latitude: degrees north, for a synthetic sun.
        longitude: degrees east.

    Raises:
        BadInput: no folder, no prices in it, or any problem of any file.
    """
    folder = data_dir / "grid" if (data_dir / "grid").is_dir() else data_dir
    there = {name: folder / file for name, file in FOLDER_NAMES.items()}
    found = {name: path for name, path in there.items() if path.is_file()}
    if prices is not None:
        found["prices"] = prices
    if "prices" not in found:
        why = f"holds no {FOLDER_NAMES['prices']}; name a price file or another folder"
        raise refuse(str(data_dir), "prices", None, why)
    assert set(there) < {field.name for field in fields(SignalFiles)}
    files = SignalFiles(**found, temperature_early_h=1)
    return real_signals(calendar, files, seed, latitude, longitude)


def _published(
    name: str, values: Array, source: str, calendar: MarketCalendar, notes: list[str]
) -> Series:
    year = calendar.local_dates[0].year
    note = "; ".join(note for note in notes if note)
    return Series(name, UNITS[name], values, source, year, "published", note)


def _temperature_table(path: Path, early_h: int) -> TimeTable:
    return read_table(path, _COLUMNS["temperature"], shift_s=early_h * 3600)


def _temperature(table: TimeTable, calendar: MarketCalendar, early_h: int) -> Series:
    laid = lay(table, calendar)
    values = laid.columns["temperature"]
    if values.min() < -60.0 or values.max() > 60.0:
        why = f"goes from {values.min():g} to {values.max():g}; is it in degrees Celsius?"
        raise refuse(table.where, "temperature_c", None, why)
    shifted = f"the file is stamped {early_h} h early, {early_h} h added" if early_h else ""
    name = Path(table.where).name
    made = _published(
        "temperature", values, f"KNMI air temperature, file {name}", calendar, [laid.note, shifted]
    )
    return replace(made, state="measured")


def _imbalance(table: TimeTable, calendar: MarketCalendar) -> Imbalance:
    laid = lay(table, calendar)
    source = f"TenneT imbalance settlement prices, file {Path(table.where).name}"
    long, short = (
        replace(
            _published("imbalance", laid.columns[side], source, calendar, [laid.note]),
            name=f"imbalance_{side}",
        )
        for side in ("long", "short")
    )
    return Imbalance(long, short)


def _carbon(table: TimeTable, calendar: MarketCalendar) -> Series:
    laid = lay(table, calendar, fill_h=1.0)
    scale = 1000.0 if table.names["carbon"].endswith("kwh") else 1.0
    source = f"NED.nl emission factor of the electricity mix, file {Path(table.where).name}"
    return _published("carbon", laid.columns["carbon"] * scale, source, calendar, [laid.note])


def _capacity_factor(table: TimeTable, calendar: MarketCalendar, name: str) -> Series:
    laid = lay(table, calendar)
    raw = laid.columns["cf"]
    if raw.min() < -0.01 or raw.max() > 1.5:
        why = f"goes from {raw.min():g} to {raw.max():g}; a capacity factor lies between 0 and 1"
        raise refuse(table.where, table.names["cf"], None, why)
    above = int(np.count_nonzero(raw > 1.0))
    note = f"{above} values above 1 count as 1" if above else ""
    source = f"NED.nl {name.replace('_', ' ')}, file {Path(table.where).name}"
    return _published(name, raw.clip(0.0, 1.0), source, calendar, [laid.note, note])


def _where_it_reaches(path: Path, calendar: MarketCalendar, name: str, fallback: Series) -> Series:
    """Read a supporting signal where its file spans the calendar, else fall back and say so."""
    table = read_table(path, _COLUMNS[name])
    if not table.spans(calendar):
        note = f"{path.name} does not reach this calendar; {fallback.note}"
        return replace(fallback, note=note)
    if name == "imbalance":
        return _imbalance(table, calendar).single()
    if name == "carbon":
        return _carbon(table, calendar)
    return _capacity_factor(table, calendar, name)


def _carbon_of_mix(onshore: Series, solar: Series, note: str) -> Series:
    """Carbon intensity from measured wind and sun where no file gives it.

    Least-squares fit of NED.nl's emission factor of 2024 on its capacity factors of onshore wind
    and photovoltaics: R2 = 0.77, residual standard deviation 50 kg/MWh; held within that year's
    range of 22 to 430 kg/MWh.
    """
    wind, sun = onshore.values, solar.values
    values = (326.0 - 260.0 * wind - 417.0 * sun + 366.0 * wind * sun).clip(22.0, 430.0)
    source = "our fit of NED.nl's emission factor of 2024 on wind and sun, R2 = 0.77"
    return Series("carbon", UNITS["carbon"], values, source, 2024, "assumption", note)


def _stray(made: Signals, price: Series) -> Series:
    """A synthetic imbalance price around whatever the day-ahead price is."""
    values = price.values + (made.imbalance.values - made.price.values)
    return replace(made.imbalance, values=values)


def _offshore_beside(onshore: Series, calendar: MarketCalendar, seed: int) -> Series:
    wander = smooth_noise(calendar, seed, "wind offshore", 10.0, order=2)
    values = offshore_from_onshore(onshore.values, wander)
    source = (
        "our generator, following the onshore wind of this run; distribution: Dispa-SET offshore "
        "NL 2015 in shape, level 0.42 is an assumption"
    )
    note = f"no measured Dutch offshore series of this year, seed {seed}"
    name = "wind_offshore"
    return Series(name, UNITS[name], values, source, 2015, "synthetic", note)


def _heat(table: TimeTable, temperature: Series, calendar: MarketCalendar) -> Series:
    """Heat demand from the run's temperature, as a fraction of the peak of its calendar year."""
    quarters = MarketCalendar.of(calendar.local_dates[0], calendar.days, calendar.timezone, 900)
    year = calendar.local_dates[0].year
    first = calendar.local_dates[0].replace(month=1, day=1)
    days = (first.replace(year=year + 1) - first).days
    whole = MarketCalendar.of(first, days, calendar.timezone, 900)
    warm = lay(table, quarters).columns["temperature"]
    try:
        yearly = lay(table, whole, fill_h=24.0).columns["temperature"]
        _, peak = heat_demand(yearly, whole.local_hour)
        note = f"peak of the whole year {year}"
    except BadInput:
        _, peak = heat_demand(np.full(96, -8.0), np.arange(96) / 4.0)
        note = "the file holds no whole year; the peak is that of a day of -8 °C (assumption)"
    demand, _ = heat_demand(warm, quarters.local_hour, peak)
    source = (
        "BDEW/VKU/GEODE standard load profile (parameters of When2Heat) on " + temperature.source
    )
    return Series(
        "heat_demand",
        UNITS["heat_demand"],
        to_periods(demand, quarters.begin_ns, calendar),
        source,
        year,
        "assumption",
        note,
    )


def _knmi_humidity(path: Path) -> tuple[npt.NDArray[np.int64], Array]:
    """Hours since 1970 (UT, hour beginning), sorted, and relative humidity in % of each."""
    table = read_columns(path)
    needed = ("yyyymmdd", "hh", "t_0p1c", "td_0p1c")
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise BadInput(Problem(str(path), name, "", "this column is missing") for name in missing)
    try:
        date, hour, warm, dew = (
            table.column(name).cast(pa.int64()).to_numpy().astype(np.int64) for name in needed
        )
        text = np.char.mod("%08d", date)
        days = np.array([f"{t[:4]}-{t[4:6]}-{t[6:]}" for t in text.tolist()], dtype="datetime64[D]")
    except (pa.ArrowException, ValueError):
        why = "holds something else than whole numbers (and dates as yyyymmdd)"
        raise refuse(str(path), ", ".join(needed), None, why) from None
    hours = days.astype(np.int64) * (NS_PER_DAY // NS_PER_H) + hour - 1
    order = np.argsort(hours, kind="stable")
    hours = hours[order]
    twice = hours[1:][np.diff(hours) == 0]
    if len(twice):
        shown = ", ".join(utc_text(int(h) * 3600 * NS_PER_S) for h in twice[:10])
        raise refuse(str(path), "yyyymmdd, hh", shown, "the same hour stands there more than once")
    percent = relative_humidity(warm[order] / 10.0, dew[order] / 10.0).clip(0.0, 100.0)
    return hours, percent
