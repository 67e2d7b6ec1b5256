"""What docs/how-to/deploy.md promises of a lost database, an older copy and a damaged journal."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gigafactory.adapters.store import Store
from gigafactory.engine.journal import Damaged
from gigafactory.jobs.ports import Phase
from gigafactory.runtime.live.daybook import day_path, days_in
from tests.runtime.live.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    for i in range(6):
        made.ask(f"w{i}", need_s=30_000.0)
    made.turn(30)
    yield made
    made.close()


def journal(bench: Bench) -> Path:
    folder = bench.folder / bench.environment
    return day_path(folder, days_in(folder)[-1])


def running(bench: Bench) -> int:
    return sum(v.phase is Phase.RUNNING for v in bench.twin.observe().jobs)


def stopped(bench: Bench) -> None:
    bench.parts.book.close()
    bench.lease.release()


def test_with_an_empty_database_work_goes_on_and_orders_hold(bench: Bench) -> None:
    bench.limit("cut", 0.6, lasts_s=3600.0)
    bench.turn(30)
    here = running(bench)
    stopped(bench)
    bench.store.close()
    for path in bench.folder.glob("store.db*"):
        path.unlink()
    bench.store = Store.open(f"sqlite:///{bench.folder}/store.db")
    bench.controller = bench._open()
    bench.turn(60)
    assert bench.it_share <= 0.6, "the order stands in the journal"
    assert running(bench) == here, "nothing is stopped, and nothing is started twice"
    bench.check()


def test_a_store_from_an_older_backup_takes_the_present_up_again(bench: Bench) -> None:
    copy = bench.folder / "copy"
    bench.store.backup(copy)
    late = bench.ask("late", need_s=30_000.0)
    bench.turn(30)
    assert running(bench) == 7
    stopped(bench)
    bench.store.restore(copy, replace=True)
    bench.controller = bench._open()
    bench.turn(30)
    assert running(bench) == 7, "what the backup does not know runs on"
    assert bench.store.work(late) is None, "and its tenant asks again"
    bench.check()


def test_a_damaged_journal_is_refused_and_put_aside_the_loop_goes_on(bench: Bench) -> None:
    stopped(bench)
    path = journal(bench)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(Damaged):
        bench.controller = bench._open()
    bench.parts.book.close()
    bench.lease.release()
    shutil.move(path.parent, bench.folder / "damaged")
    bench.controller = bench._open()
    bench.turn(30)
    assert running(bench) == 6
    bench.check()


def test_an_older_copy_of_the_journal_is_gone_on_from(bench: Bench) -> None:
    bench.parts.book.sync()
    old = journal(bench).read_bytes()
    bench.ask("later", need_s=30_000.0)
    bench.turn(60)
    stopped(bench)
    journal(bench).write_bytes(old)
    bench.controller = bench._open()
    bench.turn(30)
    assert running(bench) == 7
    bench.check()
