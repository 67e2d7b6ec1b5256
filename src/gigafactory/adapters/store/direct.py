"""A short way to PostgreSQL for what is asked hundreds of times a second.

The statements are the same and give the same rows; they are compiled once and handed to the driver
over connections that stay in autocommit. What the layers between cost (a checkout that sets and
resets the isolation, a result with names, types and events) was three quarters of a short read's
processor time. Only statements that stand in a module, or are cached, are worth it: each is
compiled once and kept.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

T = TypeVar("T")
#: Statements whose text is kept; more means that somebody makes them anew at each call.
_KEPT_MAX: Final = 500
_IDLE: Final = psycopg.pq.TransactionStatus.IDLE


class AllBusyError(Exception):
    """No connection became free in time."""


class Found:
    """What a statement gave, with the words of SQLAlchemy's results that are used here."""

    __slots__ = ("_cursor",)

    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        """Rows that were changed."""
        return self._cursor.rowcount

    def all(self) -> list[Any]:
        """Every row, as a tuple."""
        return self._cursor.fetchall()

    def first(self) -> Any:
        """The first row, or None."""
        return self._cursor.fetchone()

    def one_or_none(self) -> Any:
        """The row there is, or None; asked by a key, there is never a second."""
        return self._cursor.fetchone()

    def one(self) -> Any:
        """The row, which is there."""
        row = self._cursor.fetchone()
        assert row is not None, "a row that must be there is not"
        return row


class Direct:
    """A few kept connections, the one used last first.

    Args:
        connect: makes one, in autocommit.
        most: how many there may be.
        wait_s: how long to wait for a free one.
    """

    def __init__(
        self, connect: Callable[[], psycopg.Connection[Any]], most: int, wait_s: float
    ) -> None:
        self._connect = connect
        self._room = threading.BoundedSemaphore(most)
        self._wait_s = wait_s
        self._idle: list[psycopg.Connection[Any]] = []
        self._texts: dict[Any, tuple[str, dict[str, Any]]] = {}
        self._dialect = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]

    def text_of(self, statement: Any) -> tuple[str, dict[str, Any]]:
        """A statement as the driver takes it, and the values that stand in it."""
        found = self._texts.get(statement)
        if found is None:
            made = statement.compile(dialect=self._dialect)
            found = (str(made), dict(made.params))
            assert len(self._texts) < _KEPT_MAX, "statements are made anew at each call"
            self._texts[statement] = found
        return found

    @contextlib.contextmanager
    def line(self) -> Any:
        """A connection for one turn.

        Raises:
            AllBusyError: none became free in time.
            psycopg.Error: one could not be made.
        """
        if not self._room.acquire(timeout=self._wait_s):
            raise AllBusyError
        conn = None
        try:
            try:
                conn = self._idle.pop()
            except IndexError:
                conn = self._connect()
            yield Line(self, conn)
        finally:
            if conn is not None:
                self._back(conn)
            self._room.release()

    def _back(self, conn: psycopg.Connection[Any]) -> None:
        if not conn.closed and conn.info.transaction_status != _IDLE:
            with contextlib.suppress(psycopg.Error):
                conn.execute("ROLLBACK")
        if conn.closed:
            self.close()  # what broke one of them has broken those that lie idle
        elif conn.info.transaction_status == _IDLE:
            self._idle.append(conn)
        else:
            conn.close()

    def close(self) -> None:
        """Let go of every connection that lies idle."""
        while True:
            try:
                self._idle.pop().close()
            except IndexError:
                return


class Line:
    """One connection, spoken to as SQLAlchemy's is."""

    __slots__ = ("_direct", "raw")

    def __init__(self, direct: Direct, raw: psycopg.Connection[Any]) -> None:
        self._direct = direct
        self.raw = raw

    def execute(
        self, statement: sa.sql.ClauseElement, values: Mapping[str, Any] | None = None
    ) -> Found:
        """Carry out a statement that is kept, with values for its places."""
        text, fixed = self._direct.text_of(statement)
        given = {**fixed, **values} if values else fixed
        return Found(self.raw.execute(text, given))
