"""Who leads: one controller at a time, by a lock that dies with its holder and a number that rises.

PostgreSQL: an advisory lock of a session of its own. SQLite: a lock on a file beside the store.
Both go when the process does. The number (epoch) fences: a former leader that hung and wakes up
finds a newer number, and its writes are refused.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import select
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import psycopg
import sqlalchemy as sa

from gigafactory.adapters.store.canon import check_texts, from_text, new_id, to_text
from gigafactory.adapters.store.database import Bounded, Database, connect, lock_file, trouble
from gigafactory.adapters.store.errors import KeyConflict, StaleLeader, StoreTrouble
from gigafactory.adapters.store.numbering import next_numbers
from gigafactory.adapters.store.records import Alarm, Body, WorkReceipt
from gigafactory.adapters.store.tables import OPEN_ALARM, alarm, lease, receipt, status

_CLASS: Final = 0x67_66_61_63  # the first number of our advisory locks; the second is the name's
_STATUS: Final = sa.select(status.c.at_ns, status.c.body).where(status.c.kind == sa.bindparam("of"))


class Lock(Protocol):
    """What holds a lease's lock."""

    def held(self) -> bool:
        """Whether it is still ours."""
        ...

    def release(self) -> None:
        """Let go."""
        ...


class Lease:
    """The right to lead, until it is let go or lost.

    Attributes:
        name: what is led, such as `controller`.
        epoch: its number, higher than that of every leader before.
        holder: who leads; the last part is chance, so that no two leaders are ever alike.
    """

    def __init__(self, name: str, epoch: int, holder: str, lock: Lock) -> None:
        self.name, self.epoch, self.holder, self._lock = name, epoch, holder, lock
        self._lost = False

    def held(self) -> bool:
        """Whether the lock is still ours, as far as this host can tell without asking.

        Costs microseconds. A connection that was cut is noticed when the network says so; until
        then the epoch refuses what another leader has taken over.
        """
        self._lost = self._lost or not self._lock.held()
        return not self._lost

    def lose(self) -> None:
        """Note that another leads by now."""
        self._lost = True

    def release(self) -> None:
        """Let go; another may lead at once."""
        self._lost = True
        self._lock.release()


class _SessionLock:
    """An advisory lock of PostgreSQL, held by a connection of its own."""

    def __init__(self, conn: Bounded) -> None:
        self._conn = conn

    def held(self) -> bool:
        conn = self._conn
        if conn.closed or conn.broken:
            return False
        try:
            # A server that ends a session says so, and then closes: read on until it is silent.
            while select.select([conn.fileno()], [], [], 0)[0]:
                conn.pgconn.consume_input()
        except (OSError, ValueError, psycopg.Error):
            conn.close()
            return False
        return not conn.closed and not conn.broken

    def release(self) -> None:
        self._conn.close()


class _FileLock:
    """A lock on a file beside an SQLite store."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file

    def held(self) -> bool:
        if self._file.closed:
            return False
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except OSError:
            return False

    def release(self) -> None:
        self._file.close()


def take(db: Database, name: str, at_ns: int, who: str) -> Lease | None:
    """Lead, or None where another does."""
    check_texts("lease", name=name, who=who)
    holder = f"{who}/{secrets.token_hex(8)}"  # random-ok: no two leaders are ever alike
    values = {"name": name, "epoch": 1, "holder": holder, "at_ns": at_ns}
    put = db.insert(lease).values(values)
    put = put.on_conflict_do_update(
        index_elements=["name"],
        set_={"epoch": lease.c.epoch + 1, "holder": holder, "at_ns": at_ns},
    )
    held = lock(db, name)
    if held is None:
        return None
    try:
        epoch = db.write(lambda conn: conn.execute(put.returning(lease.c.epoch)).scalar_one())
    except BaseException:
        held.release()
        raise
    return Lease(name, epoch, holder, held)


def lock(db: Database, name: str) -> Lock | None:
    """The lock of who leads, without the right to; None where another has it."""
    return _session_lock(db, name) if db.postgres else _file_lock(db, name)


def _session_lock(db: Database, name: str) -> _SessionLock | None:
    second = zlib.crc32(name.encode()) - (1 << 31)
    try:
        conn = connect(db.url, db.limit_s, autocommit=True)
        try:
            asked = "SELECT pg_try_advisory_lock(%s::int, %s::int)"
            row = conn.execute(asked, (_CLASS, second)).fetchone()
        except BaseException:
            conn.close()
            raise
    except psycopg.Error as error:
        raise trouble(error, db) from error
    if row is None or not row[0]:
        conn.close()
        return None
    return _SessionLock(conn)


def _file_lock(db: Database, name: str) -> _FileLock | None:
    path = db.path.with_name(f"{db.path.name}.{zlib.crc32(name.encode()):08x}.lock")
    try:
        file = lock_file(path)
    except OSError as error:
        raise StoreTrouble(f"{path}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return _FileLock(path, file)


_FENCE: Final = sa.select(lease.c.epoch).where(
    lease.c.name == sa.bindparam("name"),
    lease.c.epoch == sa.bindparam("epoch"),
    lease.c.holder == sa.bindparam("holder"),
)
_FENCE_SHARED: Final = _FENCE.with_for_update(read=True)


def hold(db: Database, conn: sa.Connection, held: Lease | None) -> None:
    """Hold the fence to the end of a transaction: nobody takes over meanwhile.

    Raises:
        StaleLeader: somebody has.
    """
    if held is None:
        return
    values = {"name": held.name, "epoch": held.epoch, "holder": held.holder}
    if conn.execute(_FENCE_SHARED if db.postgres else _FENCE, values).first() is None:
        held.lose()
        raise StaleLeader(held.name, held.epoch)


class Leading:
    """The store's part for the controller: who leads, what it says of itself, and receipts."""

    _db: Database
    _leases: list[Lease]

    def lead(self, name: str, at_ns: int, who: str = "") -> Lease | None:
        """Try to lead; None where another does.

        Args:
            name: what, such as `controller`.
            at_ns: when, ns UTC.
            who: host and process, for people.
        """
        taken = take(self._db, name, at_ns, who)
        if taken is not None:
            self._leases.append(taken)
        return taken

    def publish(self, kind: str, body: Body, at_ns: int, lease: Lease | None = None) -> None:
        """Keep the latest status of a kind in place of the one before.

        Raises:
            StaleLeader: the lease is given and another leads by now.
        """
        check_texts("status", kind=kind)
        put = self._db.insert(status).values(kind=kind, at_ns=at_ns, body=to_text(body))
        put = put.on_conflict_do_update(
            index_elements=["kind"], set_={"at_ns": put.excluded.at_ns, "body": put.excluded.body}
        )

        def change(conn: sa.Connection) -> None:
            hold(self._db, conn, lease)
            conn.execute(put)

        self._db.write(change)

    def published(self, kind: str) -> tuple[int, Body] | None:
        """The latest status of a kind, and of when it is; None where there is none."""
        row = self._db.quick(lambda conn: conn.execute(_STATUS, {"of": kind}).one_or_none())
        return None if row is None else (row[0], from_text(row[1]))

    def raise_alarm(self, kind: str, key: str, text: str, at_ns: int) -> bool:
        """Raise an alarm, or raise again the one that is open.

        Returns:
            Whether it is new.
        """
        check_texts("alarm", kind=kind, key=key, text=text)
        put = self._db.insert(alarm).values(
            id=new_id(at_ns), kind=kind, key=key, text=text,
            raised_ns=at_ns, last_ns=at_ns, times=1, cleared_ns=None,
        )  # fmt: skip
        put = put.on_conflict_do_update(
            index_elements=["kind", "key"],
            index_where=OPEN_ALARM,
            set_={"last_ns": put.excluded.last_ns, "times": alarm.c.times + 1},
        )
        times = self._db.write(lambda conn: conn.execute(put.returning(alarm.c.times)).scalar_one())
        return bool(times == 1)

    def clear_alarm(self, kind: str, key: str, at_ns: int) -> bool:
        """Note that it has passed; whether one was open."""
        clear = (
            sa.update(alarm)
            .where(alarm.c.kind == kind, alarm.c.key == key, alarm.c.cleared_ns.is_(None))
            .values(cleared_ns=at_ns)
        )
        return self._db.write(lambda conn: conn.execute(clear).rowcount) > 0

    def alarms(
        self, open_only: bool = True, after: str | None = None, limit: int = 1000
    ) -> list[Alarm]:
        """Alarms in the order they were raised, from after a name on."""
        asked = sa.select(alarm).order_by(alarm.c.id).limit(limit)
        if open_only:
            asked = asked.where(alarm.c.cleared_ns.is_(None))
        if after is not None:
            asked = asked.where(alarm.c.id > after)
        return [Alarm(*row) for row in self._db.read(lambda conn: conn.execute(asked).all())]

    def put_receipts(self, rows: Sequence[WorkReceipt], lease: Lease | None = None) -> int:
        """Keep receipts; one that is there already changes nothing.

        Returns:
            How many are new.

        Raises:
            KeyConflict: another receipt for the same work and day is there; nothing was changed.
            StaleLeader: the lease is given and another leads by now.
        """
        given = {(row.work, row.day): (row, to_text(row.body)) for row in rows}
        if not given:
            return 0
        for row, _ in given.values():
            check_texts("receipt", work_id=row.work, tenant=row.tenant, day=row.day)

        def put(conn: sa.Connection) -> int:
            hold(self._db, conn, lease)
            there = _there(conn, list(given))
            for key, found in there.items():
                if found.body != given[key][1]:
                    raise KeyConflict(" ".join(key), _receipt(found))
            new = [pair for key, pair in sorted(given.items()) if key not in there]
            first = next_numbers(self._db, conn, "receipt", len(new))
            if new:
                conn.execute(
                    sa.insert(receipt),
                    [
                        {
                            "work": row.work, "tenant": row.tenant, "day": row.day, "body": body,
                            "at_ns": row.at_ns, "seq": first + place,
                        }
                        for place, (row, body) in enumerate(new)
                    ],
                )  # fmt: skip
            return len(new)

        return self._db.write(put)

    def receipts(
        self,
        tenant: str | None = None,
        work: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[WorkReceipt]:
        """Receipts in the order they were written, from after a number on."""
        asked = _receipts(tenant is not None, work is not None)
        values = {"of": tenant, "about": work, "past": after, "most": limit}
        rows = self._db.quick(lambda conn: conn.execute(asked, values).all())
        return [_receipt(row) for row in rows]


@cache
def _receipts(of_tenant: bool, of_work: bool) -> Any:
    asked = sa.select(receipt).where(receipt.c.seq > sa.bindparam("past"))
    if of_tenant:
        asked = asked.where(receipt.c.tenant == sa.bindparam("of"))
    if of_work:
        asked = asked.where(receipt.c.work == sa.bindparam("about"))
    return asked.order_by(receipt.c.seq).limit(sa.bindparam("most"))


def _receipt(row: Any) -> WorkReceipt:
    name, tenant, day, body, at_ns, seq = row
    return WorkReceipt(name, tenant, day, from_text(body), at_ns, seq)


def _there(conn: sa.Connection, keys: list[tuple[str, str]]) -> dict[tuple[str, str], Any]:
    """Those of the receipts asked for that are there, some hundred at a time."""
    found: dict[tuple[str, str], Any] = {}
    for begin in range(0, len(keys), 400):
        part = keys[begin : begin + 400]
        asked = sa.select(receipt).where(sa.tuple_(receipt.c.work, receipt.c.day).in_(part))
        found |= {(row.work, row.day): row for row in conn.execute(asked).all()}
    return found
