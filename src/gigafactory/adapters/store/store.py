"""The store: one door to everything the service keeps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from gigafactory.adapters.store import dumping, migrating, sweeping
from gigafactory.adapters.store.chaining import Trail
from gigafactory.adapters.store.database import Database, parse
from gigafactory.adapters.store.gridside import GridSide
from gigafactory.adapters.store.leading import Leading
from gigafactory.adapters.store.people import People
from gigafactory.adapters.store.records import Swept
from gigafactory.adapters.store.tables import CONTENT
from gigafactory.adapters.store.working import Working

#: How long a connection, a statement and a lock may each take, s.
LIMIT_S: Final = 3.0


class Store(Working, GridSide, Leading, People, Trail):
    """What the processes of the service share. Made by `open`; one per process; thread-safe.

    Any method may raise `StoreTrouble` where the database is away, and is bounded in time then; it
    works again by itself once the database is back. Every change can be asked for again with the
    same key. A line of the audit trail is in the same transaction as what it tells of.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._believed = {}
        self._leases = []

    @classmethod
    def open(cls, url: str, *, password: str | None = None, limit_s: float = LIMIT_S) -> Store:
        """Open a store, made or brought to the newest revision where it is not.

        Args:
            url: `sqlite:///FILE` or `postgresql://USER@HOST/DATABASE`.
            password: of the user, where it is in no place PostgreSQL's own library looks.
            limit_s: how long a connection, a statement and a lock may each take, s.

        Raises:
            BadInput: the address is none, or the store is newer than this software.
            StoreTrouble: the database is away.
        """
        address = parse(url)
        db = Database(address if password is None else address.set(password=password), limit_s)
        try:
            migrating.migrate(db)
        except BaseException:
            db.close()
            raise
        return cls(db)

    def close(self) -> None:
        """Let go of every connection and of every lease taken here."""
        for lease in self._leases:
            lease.release()
        self._db.close()

    def ping(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            StoreTrouble: there is none.
        """
        self._db.read(lambda conn: conn.execute(sa.select(sa.literal(1))).one())

    def extent(self) -> tuple[str, dict[str, int]]:
        """The revision of the tables, and how many rows each has; counts every row."""

        def look(conn: sa.Connection) -> tuple[str, dict[str, int]]:
            rows = {
                table.name: conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                for table in CONTENT
            }
            return migrating.revision(conn) or "", rows

        return self._db.snapshot(look)

    def backup(self, path: Path) -> None:
        """Write everything as of one instant to one checked file, while others go on.

        Raises:
            BadInput: the file cannot be written.
        """
        dumping.backup(self._db, path)

    def restore(self, path: Path, *, replace: bool = False) -> None:
        """Take everything from a backup, of either engine.

        Args:
            path: the backup.
            replace: whether what is in the store may go; without it a store must be empty.

        Raises:
            BadInput: the file is damaged or too new, the store is not empty, or somebody leads;
                every problem at once, and nothing was changed.
        """
        dumping.restore(self._db, path, replace=replace)
        self._believed.clear()

    def sweep(
        self,
        before_ns: int,
        *,
        messages_ns: int | None = None,
        channels_ns: Mapping[str, int] | None = None,
    ) -> Swept:
        """Take away what is over and was last touched before an instant.

        Kept for good: the audit trail and its anchors, receipts, orders, offers, tokens. Gone: work
        that has ended, raw messages, statuses, alarms that have passed, requests that are settled.
        The idempotency keys of what is gone are free again.

        Args:
            before_ns: the instant.
            messages_ns: another one for raw messages.
            channels_ns: another one for the raw messages of each channel named.
        """
        messages_ns = before_ns if messages_ns is None else messages_ns
        return sweeping.sweep(self._db, before_ns, messages_ns, channels_ns or {})
