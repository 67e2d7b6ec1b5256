"""Several processes at one store: one key, one leader, one chain."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gigafactory.adapters.store import Lease, StaleLeader, Store
from gigafactory.adapters.store.records import Verdict, WorkChange, WorkState
from tests.adapters.store.child import KEYS
from tests.adapters.store.making import NOW, asked, order

ROOT = Path(__file__).parents[3]


class Child:
    """A process that uses the store."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.adapters.store.child", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PATH": "/usr/bin:/bin"},
        )
        assert self.hear() == "ready"

    def hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def tell(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def children(*starts: tuple[str, ...]) -> Iterator[list[Child]]:
    made: list[Child] = []
    try:
        made.extend(Child(*start) for start in starts)
        yield made
    finally:
        for child in made:
            child.end()


@pytest.mark.slow
def test_two_processes_submit_the_same_keys_at_once(store: Store, url: str) -> None:
    with children(("submit", url, "a"), ("submit", url, "b")) as (one, two):
        one.tell()
        two.tell()
        first, second = one.hear(), two.hear()
    assert first["ids"] == second["ids"]
    assert len(set(first["ids"])) == KEYS
    assert first["fresh"] + second["fresh"] == KEYS
    assert first["conflicts"] + second["conflicts"] == KEYS // 2
    assert len(store.list_work(limit=1000)) == KEYS
    assert [row.action for row in store.audit_after(0)] == ["submit"] * KEYS
    assert store.verify_audit() == []


@pytest.mark.slow
def test_one_leads_until_it_is_killed(store: Store, url: str) -> None:
    with children(("lead", url)) as (leader,):
        assert leader.hear() == 1
        leader.tell()
        assert leader.hear() == {"published": 0, "held": True}
        assert store.lead("controller", NOW) is None
        other = store.lead("another", NOW)
        assert other is not None
        leader.end()  # kill -9
        until = time.monotonic() + 5
        lease = None
        while lease is None and time.monotonic() < until:
            lease = store.lead("controller", NOW)
    assert lease is not None
    assert lease.epoch == 2
    assert lease.held()
    assert store.published("controller") == (NOW, {"number": 0})


def _cut_off(store: Store, lease: Lease) -> None:
    """Take a leader's lock away behind its back."""
    if store._db.postgres:
        with store._db.engine.connect() as conn:
            conn.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                    " AND database = (SELECT oid FROM pg_database WHERE datname = current_catalog)"
                )
            )
    else:
        for path in store._db.path.parent.glob("*.lock"):
            if "migrate" not in path.name:
                path.unlink()


def test_a_former_leader_cannot_write(store: Store, url: str) -> None:
    work, _ = store.submit(asked("a"))
    store.put_order(order("o"))
    former = store.lead("controller", NOW)
    assert former is not None
    assert former.held()
    _cut_off(store, former)
    elsewhere = Store.open(url)
    until = time.monotonic() + 5
    newer = None
    while newer is None and time.monotonic() < until:
        newer = elsewhere.lead("controller", NOW + 1)
    assert newer is not None
    assert newer.epoch == former.epoch + 1
    assert not former.held()
    for write in (
        lambda lease: store.note_work([WorkChange(work.id, WorkState.RUNNING, NOW)], lease),
        lambda lease: store.publish("controller", {}, NOW, lease),
        lambda lease: store.judge_order("gopacs", "o", Verdict.TAKEN, "", NOW, lease),
        lambda lease: store.put_receipts([], lease) or store.publish("x", {}, NOW, lease),
    ):
        with pytest.raises(StaleLeader):
            write(former)
        write(newer)
    assert store.work(work.id).state is WorkState.RUNNING  # type: ignore[union-attr]
    elsewhere.close()


def test_a_lease_let_go_is_free_at_once(store: Store) -> None:
    first = store.lead("controller", NOW)
    assert first is not None
    assert store.lead("controller", NOW) is None
    first.release()
    assert not first.held()
    second = store.lead("controller", NOW)
    assert second is not None
    assert second.epoch == 2
