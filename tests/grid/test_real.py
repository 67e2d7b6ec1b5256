"""Real Dutch series: complete, with their provenance, and honest about what is not measured."""

import datetime as dt

import numpy as np
import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.grid import (
    MarketCalendar,
    read_imbalance,
    read_prices,
    real_signals,
    real_signals_from_folder,
)
from gigafactory.grid.calendar import utc_text
from gigafactory.grid.files import read_table
from gigafactory.grid.real import FOLDER_NAMES, SignalFiles, read_humidity, read_temperature
from gigafactory.units import NS_PER_H, NS_PER_S

YEAR = MarketCalendar.of(dt.date(2024, 1, 1), 366)
WEEK = MarketCalendar.of(dt.date(2024, 5, 6), 7)


@pytest.fixture(scope="module")
def real(data_dir):
    return real_signals_from_folder(YEAR, data_dir, seed=0)


@pytest.mark.data
def test_2024_is_complete_and_has_its_published_statistics(real):
    assert len(real) == 35_136
    price = real.price.values
    assert price.mean() == pytest.approx(77.3, abs=0.05)
    assert price.std() == pytest.approx(49.5, abs=0.05)
    assert np.count_nonzero(price < 0) == 4 * 458
    assert price.max() == 872.96
    stray = np.abs(real.imbalance.values - price).mean()
    assert stray == pytest.approx(78.5, abs=0.2)  # of the mean of long and short
    assert real.carbon.values.mean() == pytest.approx(202.2, abs=0.1)
    assert real.wind_onshore.values.mean() == pytest.approx(0.323, abs=0.001)
    assert real.solar.values.mean() == pytest.approx(0.128, abs=0.001)


@pytest.mark.data
def test_long_and_short_prices_stray_from_day_ahead_as_the_generator_says(data_dir, real):
    made = read_imbalance(data_dir / "grid" / FOLDER_NAMES["imbalance"], YEAR)
    stray = [np.abs(side.values - real.price.values).mean() for side in (made.long, made.short)]
    assert np.mean(stray) == pytest.approx(83.6, abs=0.2)
    assert np.mean(made.long.values != made.short.values) == pytest.approx(0.165, abs=0.001)


@pytest.mark.data
def test_each_series_tells_what_it_is(real):
    states = {series.name: series.state for series in real}
    assert states == {
        "price": "published",
        "imbalance": "published",
        "temperature": "measured",
        "humidity": "synthetic",
        "wind_offshore": "synthetic",
        "wind_onshore": "published",
        "solar": "published",
        "carbon": "published",
        "heat_demand": "assumption",
    }
    assert "four market periods" in real.price.note
    assert "1 h added" in real.temperature.note
    assert "measured from 2024-08-18T00:00:00Z" in real.humidity.note
    assert "2024-11-01T22:00:00Z to 2024-11-01T23:00:00Z is missing" in real.carbon.note
    assert "16.5%" in real.imbalance.note
    assert "no measured Dutch offshore" in real.wind_offshore.note


@pytest.mark.data
def test_synthetic_offshore_wind_blows_with_the_real_onshore_wind(real):
    both = np.corrcoef(real.wind_offshore.values, real.wind_onshore.values)[0, 1]
    assert both == pytest.approx(0.71, abs=0.08)
    assert real.wind_offshore.values.mean() == pytest.approx(0.42, abs=0.03)


@pytest.mark.data
def test_the_hour_added_to_de_bilt_agrees_with_knmi_own_file(data_dir):
    folder = data_dir / "grid"
    # KNMI's hour 1 of 2024-08-18 is the observation at 01:00 UT, the interval from 00:00.
    raw = read_table_knmi(folder / FOLDER_NAMES["humidity"])
    autumn = MarketCalendar.of(dt.date(2024, 9, 1), 60)
    ours = read_temperature(folder / FOLDER_NAMES["temperature"], autumn, early_h=1).values[::4]
    theirs = np.array([raw[int(t) // NS_PER_H] for t in autumn.start_ns[:-1:4]])
    assert np.array_equal(ours, theirs)


def read_table_knmi(path):
    import gzip

    rows = gzip.decompress(path.read_bytes()).decode().split()[1:]
    result = {}
    for row in rows:
        _, day, hour, t, _ = row.split(",")
        date = dt.date(int(day[:4]), int(day[4:6]), int(day[6:]))
        result[(date - dt.date(1970, 1, 1)).days * 24 + int(hour) - 1] = int(t) / 10
    return result


@pytest.mark.data
def test_humidity_is_measured_where_the_file_reaches(data_dir):
    whole = MarketCalendar.of(dt.date(2024, 9, 1), 300)
    folder = data_dir / "grid"
    warmth = read_temperature(folder / FOLDER_NAMES["temperature"], whole, early_h=1)
    humidity = read_humidity(folder / FOLDER_NAMES["humidity"], whole, warmth, 0)
    assert humidity.state == "measured"
    assert humidity.values.mean() == pytest.approx(79.2, abs=3)


@pytest.mark.data
def test_the_quarter_hour_file_of_2025_misses_the_repeated_hour(data_dir):
    path = data_dir / "grid" / "nl_dayahead_15min_2025.csv.gz"
    with pytest.raises(BadInput) as told:
        read_prices(path, MarketCalendar.of(dt.date(2025, 1, 1), 365))
    assert "2025-10-26T01:00:00Z to 2025-10-26T02:00:00Z (4 x 900 s" in str(told.value)
    autumn = read_prices(path, MarketCalendar.of(dt.date(2025, 11, 1), 30))
    quarters = autumn.values.reshape(-1, 4)
    assert quarters.std(axis=1).mean() > 5.0
    assert autumn.note == "EUR/kWh in the file"


@pytest.mark.data
def test_a_year_that_the_folder_does_not_hold_is_refused_with_what_is_missing(data_dir):
    with pytest.raises(BadInput) as told:
        real_signals_from_folder(MarketCalendar.of(dt.date(2025, 1, 1), 365), data_dir)
    words = str(told.value)
    assert "2025-07-28T23:00:00Z" in words  # price
    assert "2025-12-03T00:00:00Z" in words  # temperature, told in the same breath


@pytest.mark.data
def test_signals_that_do_not_reach_fall_back_and_say_so(data_dir):
    early = real_signals_from_folder(MarketCalendar.of(dt.date(2021, 3, 1), 14), data_dir)
    assert early.carbon.state == "assumption"
    assert "does not reach" in early.carbon.note
    assert early.imbalance.state == "synthetic"
    assert early.price.state == "published"


def price_file(path, calendar):
    rows = [f"{utc_text(int(t))},{30 + k % 24}" for k, t in enumerate(calendar.start_ns[:-1])]
    path.write_text("time_utc,price_eur_per_mwh\n" + "\n".join(rows) + "\n")
    return path


def test_a_price_file_alone_makes_signals_of_which_the_rest_is_synthetic(tmp_path):
    path = price_file(tmp_path / "p.csv", WEEK)
    signals = real_signals(WEEK, SignalFiles(prices=path), seed=4)
    assert signals.price.state == "published"
    assert {s.state for s in signals if s.name != "price"} == {"synthetic"}
    stray = signals.imbalance.values - signals.price.values
    assert 20 < np.abs(stray).mean() < 300


def test_problems_of_all_files_come_together(tmp_path):
    (tmp_path / "t.csv").write_text("time_utc,temp_c\n2024-05-06T00:00:00,1\nx,nan\n")
    (tmp_path / "w.csv").write_bytes(b"")
    files = SignalFiles(
        prices=tmp_path / "none.csv", temperature=tmp_path / "t.csv", solar=tmp_path / "w.csv"
    )
    with pytest.raises(BadInput) as told:
        real_signals(WEEK, files)
    where = {problem.where.rsplit("/", 1)[-1] for problem in told.value.problems}
    assert where == {"none.csv", "t.csv", "w.csv"}


def test_a_folder_without_prices_is_refused(tmp_path):
    with pytest.raises(BadInput, match="holds no nl_dayahead"):
        real_signals_from_folder(WEEK, tmp_path)


def test_a_temperature_in_kelvin_and_a_capacity_factor_in_percent(tmp_path):
    rows = [(int(t), k) for k, t in enumerate(WEEK.start_ns[:-1])]
    body = "\n".join(f"{utc_text(t)},288" for t, _ in rows)
    (tmp_path / "t.csv").write_text(f"time_utc,temperature_c\n{body}\n")
    body = "\n".join(f"{utc_text(t)},{k % 100}" for t, k in rows)
    (tmp_path / "s.csv").write_text(f"time_utc,capacity_factor\n{body}\n")
    files = SignalFiles(temperature=tmp_path / "t.csv", solar=tmp_path / "s.csv")
    with pytest.raises(BadInput) as told:
        real_signals(WEEK, files)
    assert "degrees Celsius" in str(told.value)
    assert "between 0 and 1" in str(told.value)


def test_knmi_file_with_a_doubled_hour_or_text(tmp_path):
    warmth = real_signals(WEEK, SignalFiles(), 0).temperature
    path = tmp_path / "h.csv"
    path.write_text("yyyymmdd,hh,t_0p1c,td_0p1c\n20240506,1,100,50\n20240506,1,100,50\n")
    with pytest.raises(BadInput, match="2024-05-06T00:00:00Z: the same hour"):
        read_humidity(path, WEEK, warmth, 0)
    path.write_text("yyyymmdd,hh,t_0p1c,td_0p1c\n20240506,1,warm,50\n20240506,2,100,50\n")
    with pytest.raises(BadInput, match="whole numbers"):
        read_humidity(path, WEEK, warmth, 0)
    path.write_text("yyyymmdd,hh\n20240506,1\n20240506,2\n")
    with pytest.raises(BadInput, match="td_0p1c: this column is missing"):
        read_humidity(path, WEEK, warmth, 0)


def test_saturated_and_half_saturated_air(tmp_path):
    path = tmp_path / "h.csv"
    # Magnus: at 20 degrees saturation is 23.33 hPa, at 9.27 degrees it is half of that.
    path.write_text("yyyymmdd,hh,t_0p1c,td_0p1c\n20240506,1,200,200\n20240506,2,200,93\n")
    day = MarketCalendar.of(dt.date(2024, 5, 6), 1, "UTC")
    warmth = real_signals(day, SignalFiles(), 0).temperature
    values = read_humidity(path, day, warmth, 0).values
    assert values[0] == 100.0
    assert values[4] == pytest.approx(50.0, abs=0.3)


def test_table_of_a_real_shape_keeps_its_order(tmp_path):
    path = price_file(tmp_path / "p.csv", WEEK)
    table = read_table(path, {"price": ("price_eur_per_mwh",)})
    assert set(np.diff(table.start_ns)) == {900 * NS_PER_S}
