"""Receipts come into the store as periods close, from the journal that the loop writes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gigafactory.adapters.store import Store
from gigafactory.runtime.live import days
from gigafactory.runtime.live.bookkeeping import BOOKS, BOOKS_TROUBLE, Bookkeeper
from gigafactory.units import NS_PER_S
from tests.runtime.live.bench import Bench
from tests.runtime.live.made_day import MadeDay, begin_of, write_day


@pytest.mark.slow
def test_receipts_are_made_once_a_period_and_kept_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    ids = [bench.ask(f"w{i}", need_s=30_000.0) for i in range(3)]
    keeper = Bookkeeper(bench.folder / "live", bench.store)
    bench.turn(30)
    days.keep_factory(bench.folder / "live" / "days" / "2026-11-25", bench.factory)
    bench.parts.book.sync()
    keeper.turn(bench.clock.now_ns())
    assert not bench.store.receipts(), "no period is over"
    bench.turn(900)
    bench.parts.book.sync()
    keeper.turn(bench.clock.now_ns())
    rows = bench.store.receipts()
    assert sorted(row.work for row in rows) == sorted(ids)
    assert all(row.body["energy_wh"] > 0 for row in rows)
    said = bench.store.published(BOOKS)
    assert said is not None
    Bookkeeper(bench.folder / "live", bench.store).turn(bench.clock.now_ns())
    assert len(bench.store.receipts()) == 3, "another start makes the same again"
    assert not [a for a in bench.store.alarms() if a.kind == BOOKS_TROUBLE]
    (bench.folder / "live" / "days" / "2026-11-25" / "factory.yaml").unlink()
    keeper.turn(bench.clock.now_ns() + 901 * NS_PER_S)
    assert [a.kind for a in bench.store.alarms()] == [BOOKS_TROUBLE], "and says what it lacks"
    bench.close()


@pytest.mark.slow
def test_late_data_has_receipts_once_its_day_is_over(live_factory: Path, tmp_path: Path) -> None:
    made = MadeDay(begin_of(live_factory), 22, 900 * 10**9)
    folder = write_day(tmp_path / "live" / "days" / "2025-01-15", made.frames(10**4, end=True))
    shutil.copy(live_factory, folder / "factory.yaml")
    busy = next(k for k in range(96) if days.read_day(folder).gather.group[k, 0, :, 0].any())
    store = Store.open(f"sqlite:///{tmp_path}/store.db")
    days.correct(folder, [days.Correction(busy, "it_wh", "pool00", 500, "by hand")], 1)
    keeper = Bookkeeper(tmp_path / "live", store)
    keeper.turn(NS_PER_S)
    rows = [row for row in store.receipts(limit=100_000) if "late" in row.day]
    assert sum(row.body["energy_wh"] for row in rows) == 500
    assert {row.body["reason"] for row in rows} == {"by hand"}
    assert not store.alarms()
    days.correct(folder, [days.Correction(busy, "it_wh", "pool00", -200, "again")], 1)
    Bookkeeper(tmp_path / "live", store).turn(NS_PER_S)  # one that has just started
    rows = [row for row in store.receipts(limit=100_000) if "late" in row.day]
    assert sum(row.body["energy_wh"] for row in rows) == 300
    assert {row.day for row in rows} == {"2025-01-15/late-001", "2025-01-15/late-002"}
    store.close()
