"""The folder of a live day: books made again to the byte, damage found, late data shown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gigafactory.cli import main
from gigafactory.engine.errors import BadInput
from gigafactory.engine.journal import frames
from gigafactory.report import write_report
from gigafactory.runtime.live import days
from gigafactory.runtime.live.days import Correction
from gigafactory.runtime.replay import replay as replay_run
from gigafactory.runtime.replay import verify as verify_run
from tests.runtime.live.made_day import MadeDay, begin_of, write_day


@pytest.fixture(scope="module")
def sealed(live_factory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole day, its books made."""
    made = MadeDay(begin_of(live_factory), 3, 300 * 10**9)
    folder = tmp_path_factory.mktemp("days") / "2025-01-15"
    write_day(folder, made.frames(10**4, end=True))
    shutil.copy(live_factory, folder / "factory.yaml")
    days.write_books(folder)
    return folder


@pytest.fixture
def day(sealed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sealed, tmp_path / sealed.name))


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(*words: object) -> tuple[int, str]:
        code = main([str(word) for word in words])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def test_books_are_made_again_to_the_byte(day):
    assert days.is_day(day)
    assert days.replay(day)[0] == []
    problems, proved = days.verify(day)
    assert problems == []
    assert proved["complete"]
    assert proved["periods"] == 96
    # the books are a run folder like any other
    assert replay_run(day / "run")[1] == []
    assert verify_run(day / "run")[1] == []
    assert not days.is_day(day / "run")
    summary = json.loads((day / "run" / "summary.json").read_text("utf-8"))
    assert summary["complete"]
    assert summary["conservation"]["holds"]
    assert summary["jobs"]["total"] == 40
    assert summary["jobs"]["lost"] == 0


@pytest.mark.slow
def test_commands_take_a_day_as_they_take_a_run(day, said):
    assert said("verify", day)[0] == 0
    assert "byte for byte" in said("replay", day)[1]
    code, words = said("explain", day, 3)
    assert code == 0, words
    assert "is submitted" in words
    code, words = said("report", day)
    assert code == 0, words
    assert (day / "run" / "report.html").stat().st_size > 50_000
    assert said("verify", day)[0] == 0, "a report written behind the books is no damage"
    assert said("replay", day)[0] == 0


@pytest.mark.parametrize("torn", [0, 1, 200])
def test_a_day_whose_controller_was_killed(live_factory, tmp_path, torn, said):
    made = MadeDay(begin_of(live_factory), 9)
    folder = write_day(tmp_path / "day", made.frames(100))
    shutil.copy(live_factory, folder / "factory.yaml")
    journal = folder / "journal.gfj"
    whole = len(list(frames(journal)))
    if torn:
        journal.write_bytes(journal.read_bytes()[:-torn])
    problems, proved = days.verify(folder)
    assert problems == []
    assert proved["frames"] == whole - (torn > 0)
    assert (proved["torn_bytes"] > 0) == (torn > 0)
    assert not proved["complete"]
    problems, told = days.replay(folder)
    assert problems == []
    assert told["made"]
    assert days.replay(folder)[0] == []
    assert verify_run(folder / "run")[1] == []
    code, words = said("verify", folder)
    assert code == 0
    assert "not sealed" in words
    assert said("report", folder)[0] == 0


def test_books_made_earlier_are_still_right_when_the_day_goes_on(live_factory, tmp_path):
    made = MadeDay(begin_of(live_factory), 4)
    all_of_it = made.frames(200)
    folder = write_day(tmp_path / "day", all_of_it[:120])
    shutil.copy(live_factory, folder / "factory.yaml")
    days.write_books(folder)
    (folder / "journal.gfj").unlink()
    write_day(folder, all_of_it)
    assert days.replay(folder)[0] == []
    other = MadeDay(begin_of(live_factory), 5).frames(200)
    (folder / "journal.gfj").unlink()
    write_day(folder, other)
    told = "\n".join(map(str, days.replay(folder)[0]))
    assert "another journal" in told
    assert "differs from what the journal gives" in told


def test_nothing_of_the_live_journal_may_change(day, said):
    journal = day / "journal.gfj"
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 1
    journal.write_bytes(data)
    problems, _ = days.verify(day)
    assert problems
    assert "journal.gfj" in str(problems[0])
    code, words = said("verify", day)
    assert code == 1
    assert "Traceback" not in words
    assert said("replay", day)[0] == 1


@pytest.mark.parametrize("name", ["accounts.parquet", "receipts.parquet", "journal.gfj"])
def test_nothing_of_the_books_may_change(day, name):
    path = day / "run" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert [p for p in days.verify(day)[0] if name in p.where]
    assert [p for p in days.replay(day)[0] if name in p.where]
    path.unlink()
    assert [p for p in days.replay(day)[0] if "missing" in p.why]


@pytest.mark.slow
def test_late_data_enters_as_correcting_transfers(day):
    before = pq.read_table(day / "run" / "accounts.parquet")
    first = pq.read_table(day / "run" / "transfers.parquet")
    late = [
        Correction(10, "it_wh", "pool00", 700, "read by hand"),
        Correction(11, "import_wh", "site0", -50, "the operator's reading"),
    ]
    days.correct(day, late[:1], 5)
    days.correct(day, late[1:], 6)
    assert days.read_corrections(day) == tuple(late)
    assert days.replay(day)[0] == [], "books made before the late data are what they were made of"
    days.write_books(day)
    problems, proved = days.verify(day)
    assert problems == []
    assert proved["corrections"] == 2
    assert days.replay(day)[0] == []
    assert replay_run(day / "run")[1] == []
    rows = pq.read_table(day / "run" / "corrections.parquet").to_pylist()
    assert [(r["meter"], r["delta_wh"]) for r in rows] == [("it_wh", 700), ("import_wh", -50)]
    after = pq.read_table(day / "run" / "accounts.parquet")
    table = pq.read_table(day / "run" / "corrected.parquet").to_pylist()
    assert len(table) > first.num_rows
    kept = [r for r in table if r["phase"] != "correction"]
    assert kept == first.to_pylist(), "what was booked first stands as it was"
    extra = [r for r in table if r["phase"] == "correction"]
    assert {(r["commodity"], r["credit"]) for r in extra} >= {("wh", "energy.import")}
    moved = sum(r["amount"] for r in extra if r["credit"] == "energy.import")
    assert moved == -50
    grown = sum(after["energy.import_wh"].to_pylist()) - sum(before["energy.import_wh"].to_pylist())
    assert grown == -50
    it = [n for n in after.column_names if n.startswith("energy.it.")]
    assert sum(sum(after[n].to_pylist()) - sum(before[n].to_pylist()) for n in it) == 700


def test_late_data_that_cannot_be_is_refused_whole(day):
    wrong = [
        Correction(96, "it_wh", "pool00", 1, ""),
        Correction(1, "it_wh", "site0", 1, ""),
        Correction(1, "steam_wh", "pool00", 1, ""),
    ]
    with pytest.raises(BadInput) as told:
        days.correct(day, wrong, 1)
    assert [p.field for p in told.value.problems] == ["period", "place", "meter"]
    with pytest.raises(BadInput, match="below nought"):
        days.correct(day, [Correction(1, "import_wh", "site0", -(10**9), "")], 1)
    assert days.read_corrections(day) == ()


@pytest.mark.slow
def test_late_data_comes_from_a_file_and_not_twice(day, tmp_path, said):
    file = tmp_path / "late.csv"
    rows = "10,it_wh,pool00,700,read by hand\n11,import_wh,site0,-50,message 12\n"
    file.write_text("period,meter,place,delta_wh,reason\n" + rows)
    code, told = said("correct", day, file)
    assert (code, "2 taken in" in told, "+650 Wh" in told) == (0, True, True), told
    assert [c.delta_wh for c in days.read_corrections(day)] == [700, -50]
    assert (day / "run" / "corrected.parquet").is_file(), "the books are made again"
    assert days.replay(day)[0] == []
    code, told = said("correct", day, file)
    assert (code, told.count("was taken in before")) == (2, 2), told
    assert len(days.read_corrections(day)) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["this column is missing"] * 5),
        ("period,meter,place,delta_wh,reason\n", ["holds no row"]),
        ("period,meter,place,delta_wh,reason,x\n1,it_wh,pool00,1,a,2\n", ["is no column here"]),
        (
            "period,meter,place,delta_wh,reason\nten,it_wh,pool00,1.5,\n1,it_wh\n",
            ["must be a whole number", "must be a whole number", "says why", "has not 5 values"],
        ),
        (
            "period,meter,place,delta_wh,reason\n1,it_wh,pool00,1,a\n1,it_wh,pool00,1,a\n",
            ["was taken in before"],
        ),
        ("period,meter,place,delta_wh,reason\n1,it_wh,nowhere,1,a\n", ["is none of pool00"]),
    ],
)
def test_a_bad_file_of_late_data_is_refused_whole(day, tmp_path, said, text, words):
    file = tmp_path / "late.csv"
    file.write_text(text)
    code, told = said("correct", day, file)
    assert code == 2
    for word in set(words):
        assert told.count(word) == words.count(word), told
    assert days.read_corrections(day) == ()


def test_what_is_no_day_is_told(tmp_path, day, said):
    assert not days.is_day(tmp_path)
    with pytest.raises(BadInput, match="no folder of a live day"):
        days.verify(tmp_path)
    (day / "factory.yaml").unlink()
    code, words = said("verify", day)
    assert code == 2
    assert "factory.yaml" in words
    shutil.rmtree(day / "run")
    code, words = said("report", day)
    assert code != 0
    assert "Traceback" not in words


def test_the_report_of_a_live_day_says_what_is_modelled(day):
    page = write_report(day / "run", "nl").read_text("utf-8")
    assert "no meter vouched for it" in page
