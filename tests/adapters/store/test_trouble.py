"""A database that is away, hangs or is killed: trouble in time, back by itself, nothing lost."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from gigafactory.adapters.store import Store, StoreTrouble
from gigafactory.adapters.store.records import WorkState
from gigafactory.testing.postgres import LocalPostgres
from tests.adapters.store.making import NOW, asked

LIMIT_S = 1.0


@pytest.fixture
def own(server: LocalPostgres) -> Iterator[LocalPostgres]:
    """A server of a test's own, to be killed; made only where one can be."""
    with LocalPostgres() as running:
        yield running


@pytest.mark.slow
def test_a_server_that_is_gone_is_trouble_and_comes_back(own: LocalPostgres) -> None:
    store = Store.open(own.url(), limit_s=LIMIT_S)
    work, _ = store.submit(asked("a"))
    lease = store.lead("controller", NOW)
    assert lease is not None
    own.kill()
    for attempt in (
        lambda: store.submit(asked("b")),
        lambda: store.work(work.id),
        lambda: store.lead("controller", NOW),
        lambda: Store.open(own.url(), limit_s=LIMIT_S),
        store.ping,
        store.verify_audit,
    ):
        before = time.monotonic()
        with pytest.raises(StoreTrouble) as trouble:
            attempt()
        assert time.monotonic() - before < 5 * LIMIT_S
        assert not trouble.value.doubtful
    assert not lease.held()
    own.start()
    assert store.work(work.id) == work
    again = store.lead("controller", NOW)
    assert again is not None
    assert again.epoch == 2
    own.restart()  # every pooled connection is dead, and nobody was told
    assert store.submit(asked("a")) == (work, False)
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("tcp", [False, True])
def test_a_server_that_hangs_is_trouble_in_time(own: LocalPostgres, tcp: bool) -> None:
    store = Store.open(own.url(tcp=tcp), limit_s=LIMIT_S)
    work, _ = store.submit(asked("a"))
    own.freeze()
    try:
        for attempt in (lambda: store.submit(asked("b")), lambda: store.work(work.id)):
            before = time.monotonic()
            with pytest.raises(StoreTrouble):
                attempt()
            assert time.monotonic() - before < 5 * LIMIT_S
    finally:
        own.thaw()
    assert store.work(work.id) == work
    assert store.submit(asked("b"))[0].tenant == "uni"
    assert len(store.list_work()) == 2
    store.close()


@pytest.mark.slow
def test_a_server_killed_under_writes_loses_and_doubles_nothing(own: LocalPostgres) -> None:
    store = Store.open(own.url(), limit_s=LIMIT_S)
    stop = threading.Event()
    acknowledged: dict[str, str] = {}
    unanswered: set[str] = set()

    def write(name: str) -> None:
        number = 0
        while not stop.is_set():
            key = f"{name}{number}"
            try:
                acknowledged[key] = store.submit(asked(key, at_ns=NOW + number))[0].id
                number += 1
            except StoreTrouble:
                unanswered.add(key)
                number += number % 2  # some are asked for again, some only at the end
                time.sleep(0.02)

    writers = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for writer in writers:
        writer.start()
    for _ in range(4):
        time.sleep(0.4)
        own.restart()
    time.sleep(0.3)
    stop.set()
    for writer in writers:
        writer.join()
    assert len(acknowledged) > 100
    assert unanswered
    for key in unanswered:
        found = store.submit(asked(key))[0].id
        assert acknowledged.setdefault(key, found) == found
    kept: dict[str, str] = {}
    after = None
    while page := store.list_work(after=after, limit=1000):
        assert not {work.idempotency_key for work in page} & set(kept)
        kept |= {work.idempotency_key: work.id for work in page}
        after = page[-1].id
    assert kept == acknowledged
    lines = store.audit_after(0, 1_000_000)
    assert sorted(line.target for line in lines) == sorted(kept.values())
    assert store.verify_audit() == []
    store.close()


def test_a_locked_file_is_trouble_in_time(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/a.db", limit_s=0.3)
    work, _ = store.submit(asked("a"))
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    before = time.monotonic()
    with pytest.raises(StoreTrouble, match="locked"):
        store.submit(asked("b"))
    assert time.monotonic() - before < 3
    assert store.work(work.id) == work  # reading goes on
    other.close()
    assert store.submit(asked("b"))[1]
    store.close()


def test_a_file_that_is_no_store_is_trouble(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"no database at all, but long enough" * 100)
    with pytest.raises(StoreTrouble, match="not a database"):
        Store.open(f"sqlite:///{tmp_path}/a.db")


def test_a_full_file_is_trouble_and_changes_nothing(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/a.db")
    with store._db.engine.connect() as conn:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
    store._db.engine.dispose()
    small = f"PRAGMA max_page_count={pages + 20}"
    sa.event.listen(store._db.engine, "connect", lambda dbapi, _: dbapi.execute(small))

    def much() -> None:
        for number in range(2000):
            store.submit(asked(f"k{number}", text="x" * 1000))

    with pytest.raises(StoreTrouble, match="full"):
        much()
    count = sum(store.count_work().values())
    assert len(store.audit_after(0)) == count
    assert store.count_work().get(WorkState.ASKED, 0) == count
    assert store.verify_audit() == []
    store.close()
