"""Bad input on the command line: every kind ends with exit code 2, in words, and writes nothing."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from gigafactory.cli import main
from gigafactory.engine.errors import EXIT_BAD_INPUT
from gigafactory.factory import init_text
from gigafactory.grid import MarketCalendar
from gigafactory.runtime.run import RunOptions, start_run
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    SmallPool,
    SmallSite,
    write_prices,
    write_scenario,
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own to run in, with a sound small factory in it."""
    monkeypatch.chdir(tmp_path)
    SmallFactory().write(tmp_path / "good.yaml")
    return tmp_path


@pytest.fixture
def refused(here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Give a command that must be refused; its words come back."""

    def give(*words: str) -> str:
        before = everything(here)
        assert main(list(words)) == EXIT_BAD_INPUT
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        assert everything(here) == before, "something was written"
        return told.err

    return give


def everything(place: Path) -> dict[str, int]:
    return {str(p): p.stat().st_size for p in sorted(place.rglob("*")) if p.is_file()} | {
        str(p): -1 for p in sorted(place.rglob("*")) if p.is_dir()
    }


def run(*words: str) -> list[str]:
    day = FIRST_DAY.isoformat()
    return ["run", "good.yaml", "--start", day, "--days", "2", "--quiet", *words]


# --- the factory file ------------------------------------------------------------------------


def changed(**changes: Any) -> None:
    """Write bad.yaml: the starter with some dotted settings changed; None takes one away."""
    data = yaml.safe_load(init_text("bad"))
    for path, value in changes.items():
        *above, last = path.split("__")
        block: Any = data
        for key in above:
            block = block[int(key)] if key.isdigit() else block[key]
        if value is None:
            del block[last]
        else:
            block[last] = value
    Path("bad.yaml").write_text(yaml.safe_dump(data, sort_keys=False), "utf-8")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sites__home__connection__firm": None}, ["firm", "is missing"]),
        ({"sites__home__connection__frim": "1 MW"}, ["frim", "unknown key", "firm"]),
        ({"sites__home__connection__firm": "1.4 MWh"}, ["1.4 MWh", "does not fit"]),
        ({"sites__home__connection__firm": 1.4}, ["has no unit"]),
        ({"sites__home__connection__firm": "-1 MW"}, ["firm", "-1"]),
        ({"sites__home__connection__firm": "nan MW"}, ["firm", "nan MW"]),
        ({"sites__home__place__latitude": float("nan")}, ["latitude", "nan"]),
        ({"fleet__0__accelerators": -8}, ["accelerators", "-8"]),
        ({"fleet__0__accelerators": 1025}, ["1025", "multiple of 8"]),
        (
            {
                "sites__home__halls__room__cooling": "air",
                "sites__home__halls__room__rack_power_max": "120 kW",
            },
            ["120 kW", "air", "at most 40 kW"],
        ),
        (
            {
                "sites__home__connection__phases": [
                    {"from": dt.date(2025, 9, 1), "firm": "1 MW"},
                    {"from": dt.date(2025, 9, 1), "firm": "1.2 MW"},
                ]
            },
            ["phases", "overlap"],
        ),
        ({"fleet__0__chip": "H1000"}, ["H1000", "not in the accelerator catalogue", "H100"]),
        ({"tenants__0__work__0__accelerators_max": 4096}, ["4096", "larger than the fleet"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_mistake_in_the_factory(
    refused: Callable[..., str], changes: dict[str, Any], words: list[str], command: str
) -> None:
    changed(**changes)
    told = refused(command, "bad.yaml")
    for word in words:
        assert word in told, told
    assert "bad.yaml:" in told, "the line is told"


def test_all_mistakes_come_out_at_once(refused: Callable[..., str]) -> None:
    changed(
        sites__home__connection__firm="1.4 MWh",
        fleet__0__accelerators=1025,
        policy__oversubscription="no",
    )
    told = refused("run", "bad.yaml")
    assert told.count("bad.yaml:") >= 3
    assert "3 problems." in told


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "bad.yaml"), ("name: [", "bad.yaml"), ("- 1\n- 2\n", "bad.yaml"), ("\x00\x01", "bad")],
)
def test_a_file_that_is_no_factory(refused: Callable[..., str], text: str, words: str) -> None:
    Path("bad.yaml").write_text(text, "utf-8")
    assert words in refused("run", "bad.yaml")


def test_factories_scenarios_and_files_nobody_has(refused: Callable[..., str]) -> None:
    assert "rotterdam" in refused("run", "rotterdm")
    assert "bundled: groningen" in refused("run")
    told = refused("run", "good.yaml", "--scenario", "heatwave")
    assert "heat-wave" in told
    assert "no such file" in refused(*run("--jobs", "nowhere.csv"))
    assert "nowhere.csv" in refused(*run("--prices", "nowhere.csv"))
    assert "there is no such run folder" in refused("run", "--resume", "runs/x-1")


def test_options_out_of_range(refused: Callable[..., str]) -> None:
    for words, told in (
        (["--days", "0"], "1 to 1098"),
        (["--days", "-3"], "1 to 1098"),
        (["--days", "5000"], "1 to 1098"),
        (["--days", "many"], "integer"),
        (["--seed", "x"], "integer"),
        (["--start", "1 January"], "2025-01-01"),
        (["--start", "2025-02-30"], "2025-01-01"),
        (["--start", "2500-01-01"], "1970 to 2200"),
        (["--lang", "fr"], "en or nl"),
        (["--cores", "3"], "--cores"),
    ):
        assert told in refused("run", "good.yaml", *words), words
    assert "nonsense" in refused("nonsense")


# --- scenarios -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"kind": "temperature", "from": "2025-03-30T02:30", "until": "2025-04-01", "add": "5 K"},
         ["02:30"]),
        ({"kind": "connection", "from": "2025-02-01", "until": "2025-01-01", "factor": "50 %"},
         ["until"]),
        ({"kind": "connection", "from": "2025-02-01", "until": "2025-03-01", "factor": "150 %"},
         ["factor", "150"]),
        ({"kind": "connection", "site": "mars", "from": "2025-02-01", "until": "2025-03-01",
          "factor": "50 %"}, ["mars", "site0"]),
        ({"kind": "eclipse", "from": "2025-02-01"}, ["eclipse", "connection"]),
    ],
)  # fmt: skip
def test_a_mistake_in_a_scenario(
    refused: Callable[..., str], event: dict[str, Any], words: list[str]
) -> None:
    write_scenario(Path("bad.yaml"), [event])
    told = refused(*run("--scenario", "bad.yaml"))
    for word in words:
        assert word in told, told


def test_two_events_that_overlap(refused: Callable[..., str]) -> None:
    span = {"from": "2025-02-01", "until": "2025-03-01", "factor": "50 %"}
    later = span | {"from": "2025-02-20", "until": "2025-04-01"}
    write_scenario(Path("bad.yaml"), [{"kind": "connection"} | e for e in (span, later)])
    assert "overlaps" in refused(*run("--scenario", "bad.yaml"))


# --- jobs ------------------------------------------------------------------------------------

HEADER = "submit,accelerators,work_s,class,chip\n"
GOOD = "2025-01-15T00:00:00Z,8,600,research,H100\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER + GOOD + "2025-01-15T01:00:00Z,128,600,research,H100\n",
         ["128", "more accelerators than the largest pool has (64)"]),
        (HEADER + GOOD + "2025-01-15T01:00:00Z,-8,600,research,H100\n", ["accelerators", "-8"]),
        (HEADER + GOOD + "2025-01-15T01:00:00Z,8,nan,research,H100\n", ["work_s"]),
        (HEADER + GOOD + "2025-01-15T01:00:00Z,8,99999999,research,H100\n", ["two years"]),
        (HEADER + GOOD + "2025-01-15T01:00:00Z,8,-5,research,H100\n", ["work_s", "above 0"]),
        (HEADER + GOOD + "2025-01-15T01:00:00,8,5,research,H100\n", ["submit", "zone"]),
        (HEADER + GOOD + "2025-01-15T01:00:00Z,8,5,cooking,H100\n", ["class", "cooking"]),
        ("submit,work_s\n2025-01-15T00:00:00Z,5\n", ["columns"]),
        (HEADER, ["no rows"]),
        ("", ["jobs.csv"]),
    ],
)  # fmt: skip
def test_a_mistake_in_a_job_file(refused: Callable[..., str], text: str, words: list[str]) -> None:
    Path("jobs.csv").write_text(text, "utf-8")
    told = refused(*run("--jobs", "jobs.csv"))
    for word in words:
        assert word in told, told


def test_truncated_parquet(refused: Callable[..., str], here: Path) -> None:
    table = pa.table({"submit": [1_736_900_000.0] * 500, "accelerators": [8] * 500,
                      "work_s": [float(k + 1) for k in range(500)]})  # fmt: skip
    pq.write_table(table, here / "jobs.parquet")
    data = (here / "jobs.parquet").read_bytes()
    for size in (0, 3, len(data) // 2, len(data) - 1):
        (here / "jobs.parquet").write_bytes(data[:size])
        assert "jobs.parquet" in refused(*run("--jobs", "jobs.parquet"))
        (here / "prices.parquet").write_bytes(data[:size])
        assert "prices.parquet" in refused(*run("--prices", "prices.parquet"))
        (here / "prices.parquet").unlink()


# --- prices ----------------------------------------------------------------------------------


def test_a_price_file_with_missing_quarters(refused: Callable[..., str], here: Path) -> None:
    write_prices(here / "prices.csv", MarketCalendar.of(FIRST_DAY, 2), without=[5, 6, 100])
    told = refused(*run("--prices", "prices.csv"))
    assert "prices.csv" in told
    assert "miss" in told
    assert "2025-01-15T00:15" in told, told


def test_a_price_file_that_stumbles_over_the_clock_change(
    refused: Callable[..., str], here: Path
) -> None:
    """Written in local time, with the hour that the clocks skip left in."""
    rows = ["time,price_eur_per_mwh"]
    rows += [f"2025-03-30T{h:02d}:{m:02d},50" for h in range(24) for m in (0, 15, 30, 45)]
    (here / "local.csv").write_text("\n".join(rows) + "\n", "utf-8")
    told = refused("run", "good.yaml", "--prices", "local.csv", "--start", "2025-03-30",
                   "--days", "1")  # fmt: skip
    assert "local.csv" in told
    write_prices(here / "utc.csv", MarketCalendar.of(dt.date(2025, 10, 26), 1), without=range(4, 8))
    told = refused("run", "good.yaml", "--prices", "utc.csv", "--start", "2025-10-26",
                   "--days", "1")  # fmt: skip
    assert "utc.csv" in told
    assert "2025-10-25T23:00" in told, told


@pytest.mark.parametrize(
    ("cell", "word"), [("abc", "abc"), ("nan", ""), ("", ""), ("inf", ""), ("1e9", "")]
)
def test_prices_that_are_no_prices(
    refused: Callable[..., str], here: Path, cell: str, word: str
) -> None:
    path = write_prices(here / "prices.csv", MarketCalendar.of(FIRST_DAY, 2))
    lines = path.read_text("utf-8").splitlines()
    lines[9] = lines[9].split(",")[0] + f",{cell}"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    told = refused(*run("--prices", "prices.csv"))
    assert "prices.csv" in told
    assert word in told


# --- where to --------------------------------------------------------------------------------


def test_an_existing_folder_is_left_alone(refused: Callable[..., str], here: Path) -> None:
    (here / "taken").mkdir()
    (here / "taken" / "mine.txt").write_text("mine", "utf-8")
    told = refused(*run("--out", "taken"))
    assert "not empty" in told
    assert "mine.txt" in told
    assert "not a folder" in refused(*run("--out", "good.yaml"))
    assert "not a folder" in refused(*run("--out", "good.yaml/run"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_that_may_not_be_written(refused: Callable[..., str], here: Path) -> None:
    (here / "locked").mkdir(mode=0o500)
    assert "read-only" in refused(*run("--out", "locked/run"))


def test_init_writes_over_nothing(refused: Callable[..., str]) -> None:
    assert "exists already" in refused("init", "good")
    assert "cannot be written" in refused("init", "mine", "--out", "no/such/mine.yaml")
    assert "letters, digits" in refused("init", "../escape")


def test_a_gang_for_a_late_pool_is_no_mistake(here: Path) -> None:
    """What fits the pool when complete is accepted; it waits for its accelerators."""
    SmallFactory((SmallSite((SmallPool("H100", 8, late=4),)),)).write(here / "good.yaml")
    jobs = HEADER + GOOD.replace(",8,", ",64,")
    (here / "jobs.csv").write_text(jobs, "utf-8")
    options = RunOptions("good.yaml", jobs="jobs.csv", start=FIRST_DAY.isoformat(), days=2)
    start_run(options, out=here / "late")
    (receipt,) = pq.read_table(here / "late" / "jobs.parquet").to_pylist()
    assert receipt["wait_s"] == 86_400.0
    assert receipt["state"] == "completed"
