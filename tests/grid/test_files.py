"""Reading time series: what is accepted, and how each fault is told."""

import datetime as dt
import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.grid import MarketCalendar, read_prices
from gigafactory.grid.calendar import utc_text
from gigafactory.grid.files import read_table
from gigafactory.units import NS_PER_S

DAY = MarketCalendar.of(dt.date(2024, 5, 6), 1)


def stamps(calendar, step_s=3600):
    step = step_s * NS_PER_S
    return [utc_text(t) for t in range(calendar.begin_ns, calendar.end_ns, step)]


def write(path, rows, header="time_utc,price_eur_per_mwh"):
    text = "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def hourly_rows(calendar=DAY):
    return [(t, 50 + k) for k, t in enumerate(stamps(calendar))]


def why(path, calendar=DAY, **options):
    with pytest.raises(BadInput) as told:
        read_prices(path, calendar, **options)
    return "\n".join(map(str, told.value.problems))


def test_an_hour_stands_for_its_four_quarters_and_the_note_says_so(tmp_path):
    series = read_prices(write(tmp_path / "p.csv", hourly_rows()), DAY)
    assert np.array_equal(series.values, np.repeat(50.0 + np.arange(24), 4))
    assert "four market periods" in series.note
    assert (series.state, series.year) == ("published", 2024)
    assert "p.csv" in series.source


def test_quarters_are_read_natively_in_any_order(tmp_path):
    rows = [(t, k) for k, t in enumerate(stamps(DAY, 900))]
    series = read_prices(write(tmp_path / "p.csv.gz", rows[::-1]), DAY)
    assert np.array_equal(series.values, np.arange(96.0))
    assert series.note == ""


def test_finer_values_are_averaged(tmp_path):
    rows = [(t, k) for k, t in enumerate(stamps(DAY, 900))]
    hours = MarketCalendar.of(dt.date(2024, 5, 6), 1, period_s=3600)
    series = read_prices(write(tmp_path / "p.csv", rows), hours)
    assert list(series.values[:2]) == [1.5, 5.5]
    assert "mean of the 900 s values" in series.note


def test_parquet_and_local_stamps_and_eur_per_kwh(tmp_path):
    moments = [dt.datetime.fromisoformat(t) for t in stamps(DAY)]
    table = pa.table({"time_utc": moments, "price_eur_kwh": [0.05] * 24})
    pq.write_table(table, tmp_path / "p.parquet")
    series = read_prices(tmp_path / "p.parquet", DAY)
    assert series.values == pytest.approx(np.full(96, 50.0))
    assert "EUR/kWh" in series.note
    local = [(m.astimezone(dt.timezone(dt.timedelta(hours=2))).isoformat(), 7) for m in moments]
    assert read_prices(write(tmp_path / "q.csv", local), DAY).values.mean() == 7.0


def test_missing_quarters_are_listed(tmp_path):
    rows = [(t, 1) for t in stamps(DAY, 900)]
    del rows[50:53], rows[20]
    told = why(write(tmp_path / "p.csv", rows))
    assert "2024-05-06T03:00:00Z to 2024-05-06T03:15:00Z (1 x 900 s)" in told
    assert "2024-05-06T10:30:00Z to 2024-05-06T11:15:00Z (3 x 900 s)" in told


def test_a_gap_may_be_filled_when_asked_and_is_then_named(tmp_path):
    rows = hourly_rows()
    del rows[10]
    path = write(tmp_path / "p.csv", rows)
    assert "is missing" in why(path)
    series = read_prices(path, DAY, fill_h=1.0)
    assert list(series.values[40:44]) == [59.0] * 4
    assert "2024-05-06T08:00:00Z to 2024-05-06T09:00:00Z is missing" in series.note


def test_a_file_cut_by_the_utc_year_covers_the_local_year(tmp_path):
    calendar = MarketCalendar.of(dt.date(2024, 1, 1), 2)
    rows = hourly_rows(calendar)
    series = read_prices(write(tmp_path / "p.csv", rows[1:]), calendar)
    assert list(series.values[:5]) == [51.0] * 5
    assert "cut by the UTC year" in series.note
    assert "is missing; every" in why(write(tmp_path / "q.csv", rows[2:]), calendar)
    assert "is missing; every" in why(write(tmp_path / "r.csv", rows[:-1]), calendar)


def test_the_hour_that_the_clocks_repeat_is_missed(tmp_path):
    autumn = MarketCalendar.of(dt.date(2025, 10, 26), 1)
    rows = [(t, 1) for t in stamps(autumn, 900)]
    assert len(rows) == 100
    del rows[12:16]  # 01:00Z..01:45Z, as local-time files lose it
    told = why(write(tmp_path / "p.csv", rows), autumn)
    assert "2025-10-26T01:00:00Z to 2025-10-26T02:00:00Z" in told
    assert "clocks repeat" in told


def test_doubled_and_overlapping_periods(tmp_path):
    rows = hourly_rows()
    assert "more than once" in why(write(tmp_path / "p.csv", [*rows, rows[3]]))
    told = why(write(tmp_path / "q.csv", [*rows, ("2024-05-06T04:30:00Z", 1)]))
    assert "overlap" in told


def test_all_problems_of_the_cells_at_once(tmp_path):
    rows = hourly_rows()
    rows[2] = ("2024-05-06T00:00:00", 3)
    rows[3] = (rows[3][0], "nan")
    rows[4] = (rows[4][0], "")
    rows[5] = (rows[5][0], "dear")
    rows[6] = ("yesterday", 3)
    told = why(write(tmp_path / "p.csv", rows))
    for part in (
        "no time zone",
        "nan (row 5)",
        "empty (row 6)",
        "dear (row 7)",
        "yesterday (row 8)",
    ):
        assert part in told


def test_a_parquet_stamp_without_zone(tmp_path):
    naive = [dt.datetime(2024, 5, 6, h) for h in range(24)]  # noqa: DTZ001  (that is the fault)
    table = pa.table({"time_utc": naive, "price_eur_per_mwh": [1.0] * 24})
    pq.write_table(table, tmp_path / "p.parquet")
    assert "no time zone" in why(tmp_path / "p.parquet")


def test_columns_that_are_missing_are_named_with_what_would_do(tmp_path):
    told = why(write(tmp_path / "p.csv", hourly_rows(), header="when,price"))
    assert "the file has: when, price" in told
    assert "price_eur_per_mwh" in told


def test_files_that_cannot_be_read(tmp_path):
    assert "no such file" in why(tmp_path / "none.csv")
    assert "cannot be read" in why(tmp_path)
    (tmp_path / "empty.csv").write_bytes(b"")
    assert "empty" in why(tmp_path / "empty.csv")
    whole = write(tmp_path / "p.csv.gz", hourly_rows()).read_bytes()
    (tmp_path / "p.csv.gz").write_bytes(whole[:-20])
    assert "truncated" in why(tmp_path / "p.csv.gz")
    (tmp_path / "q.csv.gz").write_bytes(b"time_utc,price_eur_per_mwh\n")
    assert "no sound gzip" in why(tmp_path / "q.csv.gz") or "not a sound gzip" in why(
        tmp_path / "q.csv.gz"
    )
    table = pa.table({"time_utc": stamps(DAY), "price_eur_per_mwh": [1.0] * 24})
    pq.write_table(table, tmp_path / "p.parquet")
    whole = (tmp_path / "p.parquet").read_bytes()
    (tmp_path / "p.parquet").write_bytes(whole[: len(whole) // 2])
    assert "damaged or truncated" in why(tmp_path / "p.parquet")
    (tmp_path / "noise.csv").write_bytes(bytes(range(128, 256)) * 4)
    assert "no CSV" in why(tmp_path / "noise.csv")
    (tmp_path / "ragged.csv").write_text("time_utc,price_eur_per_mwh\na,b,c\nd\n")
    assert "no readable CSV" in why(tmp_path / "ragged.csv")
    (tmp_path / "one.csv").write_text("time_utc,price_eur_per_mwh\n2024-01-01T00:00:00Z,1\n")
    assert "two rows" in why(tmp_path / "one.csv")


def test_absurd_prices_and_a_wrong_unit(tmp_path):
    rows = [(t, 0.08) for t, _ in hourly_rows()]
    assert "EUR/kWh" in why(write(tmp_path / "p.csv", rows))
    rows = [(t, 80_000) for t, _ in hourly_rows()]
    assert "EUR/MWh" in why(write(tmp_path / "q.csv", rows))


def test_a_strange_length_of_period(tmp_path):
    rows = [(utc_text(DAY.begin_ns + k * 7200 * NS_PER_S), 1) for k in range(12)]
    assert "5, 15, 30 nor 60" in why(write(tmp_path / "p.csv", rows))
    rows = [(utc_text(DAY.begin_ns + (k * 900 + 60) * NS_PER_S), 1) for k in range(96)]
    assert "multiple of 900" in why(write(tmp_path / "q.csv", rows))


def test_a_shift_moves_every_stamp(tmp_path):
    path = write(tmp_path / "p.csv", hourly_rows())
    plain = read_table(path, {"p": ("price_eur_per_mwh",)})
    moved = read_table(path, {"p": ("price_eur_per_mwh",)}, shift_s=3600)
    assert set(moved.start_ns - plain.start_ns) == {3600 * NS_PER_S}
    assert plain.spans(DAY)
