"""Price files that cannot be right, through `gigafactory run`: all is said, exit code 2."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from gigafactory.cli import main
from gigafactory.engine.errors import EXIT_BAD_INPUT
from gigafactory.grid import read_prices
from gigafactory.grid.calendar import MarketCalendar, utc_text
from gigafactory.testing.factories import FIRST_DAY, SmallFactory
from gigafactory.units import NS_PER_H

Row = tuple[str, object]


@pytest.fixture
def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run a small factory on a price file that must be refused; its words come back."""
    monkeypatch.chdir(tmp_path)
    SmallFactory().write(tmp_path / "good.yaml")

    def give(rows: list[Row], start: dt.date = FIRST_DAY, column: str = "price_eur_per_mwh") -> str:
        lines = [f"time_utc,{column}", *(f"{at},{price}" for at, price in rows)]
        (tmp_path / "prices.csv").write_text("\n".join(lines) + "\n", "utf-8")
        words = ["run", "good.yaml", "--prices", "prices.csv", "--quiet", "--days", "2"]
        assert main([*words, "--start", start.isoformat()]) == EXIT_BAD_INPUT
        assert not (tmp_path / "runs").exists(), "nothing is written"
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return said

    return give


def hours(start: dt.date = FIRST_DAY, days: int = 14, scale: float = 1.0) -> list[Row]:
    """Hourly prices of 40 to 103 EUR/MWh times a scale, some days before and after the start."""
    begin = MarketCalendar.of(start - dt.timedelta(days=5), days).begin_ns
    return [
        (utc_text(begin + k * NS_PER_H), f"{(40 + 7 * (k * 3 % 10)) * scale:.5f}")
        for k in range(24 * days)
    ]


def test_an_end_before_the_run_is_over_says_where_it_ends(told: Callable[..., str]) -> None:
    said = told(hours(days=6))
    assert "the file ends at 2025-01-15T23:00:00Z" in said
    assert "the days asked for end at 2025-01-16T23:00:00Z" in said
    assert "2025-01-15T23:00:00Z to 2025-01-16T23:00:00Z" in said


def test_a_file_of_last_year_is_stale(told: Callable[..., str]) -> None:
    said = told(hours(FIRST_DAY - dt.timedelta(days=365)))
    assert "the file ends at 2024-01-24T23:00:00Z" in said


def test_a_file_that_begins_too_late_says_so(told: Callable[..., str]) -> None:
    said = told(hours(FIRST_DAY + dt.timedelta(days=6)))
    assert "the file begins at 2025-01-15T23:00:00Z" in said


@pytest.mark.parametrize(
    ("scale", "column", "right"),
    [
        (1e-3, "price_eur_per_mwh", "are these EUR/kWh? Name the column price_eur_per_kwh"),
        (1e-1, "price_eur_per_mwh", "are these ct/kWh? Name the column price_ct_per_kwh"),
        (1.0, "price_eur_per_kwh", "are these EUR/MWh (price_eur_per_mwh)"),
        (1e-1, "price_eur_per_kwh", "or ct/kWh (price_ct_per_kwh)"),
        (1e3, "price_eur_per_mwh", "no European price can be so high"),
    ],
)
def test_a_unit_that_the_prices_do_not_bear_out(
    told: Callable[..., str], scale: float, column: str, right: str
) -> None:
    assert right in told(hours(scale=scale), column=column)


def test_local_time_that_says_it_is_utc_is_found_by_the_clocks(told: Callable[..., str]) -> None:
    spring, autumn = dt.date(2025, 3, 30), dt.date(2025, 10, 26)
    skipped = [row for row in hours(spring) if not row[0].startswith("2025-03-30T02:")]
    said = told(skipped, spring)
    assert "missing: 2025-03-30T02:00:00Z" in said
    assert "look like local time" in said
    repeated = hours(autumn)
    again = next(k for k, row in enumerate(repeated) if row[0].startswith("2025-10-26T02:"))
    said = told([*repeated[:again], repeated[again], *repeated[again:]], autumn)
    assert "twice: 2025-10-26T02:00:00Z" in said
    assert "Europe/Amsterdam" in said


def test_a_gap_elsewhere_is_no_matter_of_clocks(told: Callable[..., str]) -> None:
    said = told([row for row in hours() if not row[0].startswith("2025-01-15T02:")])
    assert "2025-01-15T02:00:00Z to 2025-01-15T03:00:00Z" in said
    assert "local time" not in said


def test_everything_wrong_is_told_at_once(told: Callable[..., str]) -> None:
    """Gap, doubled hour, nan, a stamp without a zone, a wrong unit and an early end, in one go."""
    rows = hours(days=6, scale=1e-3)
    rows[10] = (rows[10][0], "nan")
    rows[20] = (rows[20][0].removesuffix("Z"), rows[20][1])
    inside = next(k for k, row in enumerate(rows) if row[0].startswith("2025-01-15T05:"))
    del rows[inside]
    rows.append(rows[3])
    said = told(rows)
    for part in (
        "nan (row 12)",
        "has no time zone",
        "more than once",
        "2025-01-15T05:00:00Z to 2025-01-15T06:00:00Z",
        "the file ends at 2025-01-15T23:00:00Z",
        "are these EUR/kWh?",
    ):
        assert part in said, part


def test_low_prices_have_a_name_under_which_they_are_taken(tmp_path: Path) -> None:
    """A week in Norway at 5 EUR/MWh is no mistake when the file says it in EUR/kWh."""
    rows = hours(scale=0.1 / 1000.0)
    lines = ["time_utc,price_eur_per_kwh", *(f"{at},{price}" for at, price in rows)]
    path = tmp_path / "p.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    series = read_prices(path, MarketCalendar.of(FIRST_DAY, 2))
    assert 4.0 <= series.values.min() <= series.values.max() <= 10.3


def test_cents_are_read_under_their_own_name(tmp_path: Path) -> None:
    lines = ["time_utc,price_ct_per_kwh", *(f"{at},{price}" for at, price in hours(scale=0.1))]
    path = tmp_path / "p.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    series = read_prices(path, MarketCalendar.of(FIRST_DAY, 2))
    assert series.values.max() == pytest.approx(103.0)
    assert "ct/kWh" in series.note
