"""Frequency by the second: made up with the spread of the measured one, or read as it was."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.grid import read_frequency, read_frequency_from_folder, synthetic_frequency


@pytest.mark.data
def test_the_measured_file_has_its_published_statistics(data_dir):
    got = read_frequency_from_folder(data_dir)
    assert got.start_s == 1_465_928_095
    assert len(got) == 44_829
    assert np.isfinite(got.frequency_hz).sum() == 16_564
    assert got.covered_share == pytest.approx(0.37, abs=0.005)
    assert got.spread_hz == pytest.approx(0.0236, abs=0.0001)
    assert got.activation_share == pytest.approx(0.096, abs=0.0005)
    assert (got.state, got.year) == ("measured", 2016)
    assert "36.9% of the seconds" in got.note
    assert "2673 doubled rows" in got.note


def test_made_up_days_spread_as_measured_and_say_what_they_are():
    days = [synthetic_frequency(seed) for seed in range(10)]
    spread = [day.spread_hz for day in days]
    assert all(0.020 <= one <= 0.027 for one in spread), spread
    assert np.mean(spread) == pytest.approx(0.0236, abs=0.001)
    share = np.mean([day.activation_share for day in days])
    assert share == pytest.approx(0.096, abs=0.006)
    assert {day.state for day in days} == {"synthetic"}
    assert all("synthetic" in day.note and "netzfrequenz" in day.source for day in days)
    lag = [np.corrcoef(d.frequency_hz[:-60], d.frequency_hz[60:])[0, 1] for d in days]
    assert np.mean(lag) == pytest.approx(0.80, abs=0.05), "a minute later, as measured"
    assert all(np.abs(np.diff(d.frequency_hz)).max() < 0.012 for d in days), "no jumps"


def test_the_full_hour_shows():
    days = [synthetic_frequency(seed).frequency_hz - 50.0 for seed in range(20)]
    hours = np.abs(np.concatenate([day.reshape(24, 3600) for day in days])).mean(axis=0)
    assert hours[40:120].mean() > 1.2 * hours[1800:].mean()


def test_a_seed_is_a_day():
    one, two = synthetic_frequency(1, 500), synthetic_frequency(1, 500)
    assert np.array_equal(one.frequency_hz, two.frequency_hz)
    assert not np.array_equal(one.frequency_hz, synthetic_frequency(2, 500).frequency_hz)
    with pytest.raises(BadInput, match="seconds"):
        synthetic_frequency(0, 0)


def test_gaps_stay_gaps_and_the_first_of_a_doubled_second_is_kept(tmp_path):
    path = tmp_path / "f.csv.gz"
    rows = "unix_s,freq_hz\n103,50.03\n100,50.01\n100,50.09\n101,49.99\n"
    path.write_bytes(gzip.compress(rows.encode()))
    got = read_frequency(path)
    np.testing.assert_array_equal(got.frequency_hz, [50.01, 49.99, np.nan, 50.03])
    assert got.start_s == 100
    assert "1 doubled rows" in got.note
    with pytest.raises(ValueError, match="read-only"):
        got.frequency_hz[0] = 1.0


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("time,hz\n1,50\n", ["unix_s", "freq_hz"]),
        ("unix_s,freq_hz\n1,x\n", ["unix_s, freq_hz"]),
        ("unix_s,freq_hz\n1.5,50\n", ["unix_s, freq_hz"]),
        ("unix_s,freq_hz\n1,5000\n9000000000,50\n", ["freq_hz", "unix_s"]),
        ("unix_s,freq_hz\n1,nan\n", ["freq_hz"]),
        ("unix_s,freq_hz\n", [""]),
    ],
)
def test_a_bad_file_is_refused_with_all_its_problems(tmp_path, text, fields):
    path = tmp_path / "f.csv"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        read_frequency(path)
    assert [p.field for p in caught.value.problems] == fields
