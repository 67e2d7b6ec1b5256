"""Receipts come into the store as periods close, from the journal that the loop writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gigafactory.runtime.live import days
from gigafactory.runtime.live.bookkeeping import BOOKS, BOOKS_TROUBLE, Bookkeeper
from gigafactory.units import NS_PER_S
from tests.runtime.live.bench import Bench


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
