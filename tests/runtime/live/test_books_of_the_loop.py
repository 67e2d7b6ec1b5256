"""Days that the live loop wrote, with what goes wrong in them, have books that close."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gigafactory.jobs.ports import Action, Command, WorkOrder
from gigafactory.runtime.live import days
from gigafactory.runtime.live.accounting import book_of, receipts_of
from gigafactory.runtime.live.daybook import day_at, day_path
from gigafactory.runtime.live.diff import diff
from gigafactory.runtime.live.sealing import Sealer
from gigafactory.runtime.replay import verify as verify_run
from gigafactory.units import NS_PER_S
from tests.runtime.live.bench import NOON, POOL, Bench

ZONE = "Europe/Amsterdam"


def folder_of(bench: Bench, at_ns: int) -> Path:
    folder = day_path(bench.folder / bench.environment, day_at(at_ns, ZONE).name).parent
    days.keep_factory(folder, bench.factory)
    return folder


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, dark=((NOON + 500 * NS_PER_S, NOON + 700 * NS_PER_S),))
    yield made
    made.close()


@pytest.mark.slow
def test_a_cut_a_kill_and_a_meter_that_is_away(bench: Bench) -> None:
    for i in range(10):
        bench.ask(f"w{i}", need_s=300.0 + 100.0 * i)
    bench.turn(200)
    bench.limit("cut", 0.6, lasts_s=240.0)
    bench.turn(100)
    bench.restart()
    bench.turn(900)
    bench.parts.book.sync()
    folder = folder_of(bench, NOON)
    problems, proved = days.verify(folder)
    assert problems == []
    assert proved["segments"] >= 12
    assert 0 < proved["modelled_ppm"] < 600_000
    assert days.replay(folder)[0] == []
    assert days.replay(folder)[0] == []
    assert verify_run(folder / "run")[1] == []
    day = days.read_day(folder)
    had = receipts_of(book_of(day.gather, day.factory))
    assert sum(row["energy_wh"] for row in had.values()) > 0
    found = diff(folder)
    assert found["decided"]["victims"], "something was paused for the cut"
    assert found["decided"]["starts"] == found["happened"]["starts"] == 10
    later = [row["later_s"] for row in found["jobs"] if row["later_s"] is not None]
    assert all(-60.0 <= s <= 60.0 for s in later)
    json.dumps(found, allow_nan=False)


@pytest.mark.slow
def test_over_midnight_work_goes_on_and_both_days_close(tmp_path: Path) -> None:
    begin = NOON + (12 * 3600 - 300) * NS_PER_S
    (tmp_path / "other").mkdir()
    bench = Bench(tmp_path, begin_ns=begin)
    for i in range(6):
        bench.ask(f"w{i}", need_s=200.0 + 200.0 * i)
    bench.turn(1500)
    bench.parts.book.sync()
    first, second = folder_of(bench, begin), folder_of(bench, begin + 600 * NS_PER_S)
    sums: dict[str, int] = {}
    kept: dict[tuple[str, str], object] = {}
    for folder in (first, second):
        problems, proved = days.verify(folder)
        assert problems == []
        assert proved["complete"] == (folder == first)
        day = days.read_day(folder)
        for number, row in receipts_of(book_of(day.gather, day.factory)).items():
            key = day.gather.jobs[number].key
            sums[key] = sums.get(key, 0) + row["gpu_s"]
        sealer = Sealer(day.factory, lambda rows: kept.update({(r.work, r.day): r for r in rows}))
        sealer.gather = day.gather
        assert sealer.seal(1) >= 1
    # eight accelerators each, for as long as it was to run, to the second or two of a look
    for i, seconds in enumerate(sorted(sums.values())):
        assert abs(seconds - 8 * (200 + 200 * i)) <= 8 * 8
    days.write_books(first)
    assert days.verify(first)[0] == []
    bench.close()
    other = Bench(tmp_path / "other", begin_ns=begin)
    other.turn(20)
    other.close()
    journal = first / "journal.gfj"
    journal.write_bytes(folder_of(other, begin).joinpath("journal.gfj").read_bytes())
    assert "was begun after one that ends with" in str(days.verify(second)[0])


@pytest.mark.slow
def test_a_shadow_day_says_what_would_have_been_paused(tmp_path: Path) -> None:
    bench = Bench(tmp_path, environment="shadow")
    for i in range(8):  # somebody else hands work over, and lets it go
        script = "# need_s=3000.0\n"
        order = WorkOrder(f"x{i}", "lab", "research", 8, 1, 9000.0, 3, script, pool=POOL)
        (receipt,) = bench.twin.submit([order])
        bench.twin.act([Command(f"go{i}", Action.RELEASE, receipt.reason)])
    bench.turn(60)
    bench.limit("cut", 0.5, lasts_s=200.0)
    bench.turn(400)
    bench.parts.book.sync()
    folder = folder_of(bench, NOON)
    assert days.verify(folder)[0] == []
    found = diff(folder)
    bench.close()
    assert found["environment"] == "shadow"
    assert found["decided"]["victims"]
    assert found["happened"]["victims"] == []
    assert found["minutes_kept"] > 1.0
    assert found["decided"]["it_mwh"] < found["happened"]["it_mwh"]
