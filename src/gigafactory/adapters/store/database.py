"""The two engines behind one door: short transactions, bounded waits, trouble in plain words.

SQLite: one file, write-ahead log, every commit synced. PostgreSQL: a pool of connections, each of
which gives up on a server that does not answer, even one that is stopped and keeps its sockets.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg import waiting
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gigafactory.adapters.store.direct import AllBusyError, Direct
from gigafactory.adapters.store.errors import StoreTrouble
from gigafactory.engine.errors import refuse

T = TypeVar("T")
Insert = postgresql.Insert | sqlite.Insert

CONNECTIONS: Final = 8  # more than the cores of a small server; each costs the server some MiB
_LOOK_S: Final = 0.05  # how often a waiting connection looks at its time limit
_GRACE_S: Final = 0.25


class NoAnswer(psycopg.OperationalError):
    """The server did not answer in time; the connection is given up."""


class Bounded(psycopg.Connection[Any]):
    """A connection whose every wait ends: a server that hangs does not keep its own limits."""

    limit_s: float | None = None

    def wait(self, gen: Any, interval: float = _LOOK_S, timeout: float | None = None) -> Any:
        """Wait for the server, at most `limit_s` seconds where nothing else is said.

        Raises:
            NoAnswer: it took longer; the connection is closed then.
        """
        limit_s = self.limit_s
        if limit_s is None or timeout is not None:
            return super().wait(gen, interval, timeout)
        # a little more than the server's own limit, whose answer says more than silence does
        bounded = _bounded(gen, self.pgconn, limit_s + _GRACE_S)
        return waiting.wait(bounded, self.pgconn.socket, interval=_LOOK_S)


def _bounded(gen: Any, pgconn: Any, limit_s: float) -> Generator[Any, Any, Any]:
    """The same waiting, with a look at the clock whenever nothing came."""
    until = time.monotonic() + limit_s  # clock-ok: a time limit, no datum
    try:
        wants = next(gen)
        while True:
            ready = yield wants
            if not ready and time.monotonic() > until:  # clock-ok: a time limit, no datum
                pgconn.finish()
                raise NoAnswer(f"no answer within {limit_s:g} s")
            wants = gen.send(ready)
    except StopIteration as done:
        return done.value


def lock_file(path: Path) -> BinaryIO:
    """A file to lock, opened, and made where it is not there; nobody else may hold it open."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def parse(url: str) -> sa.URL:
    """The address of a store.

    Raises:
        BadInput: it is none, in plain words and without its password.
    """
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        raise _no_store("", "") from None
    secret = parsed.query.get("password")
    if isinstance(secret, str):  # where nobody would think to hide it
        parsed = parsed.difference_update_query(["password"]).set(password=secret)
    kind = parsed.get_backend_name()
    safe = parsed.render_as_string(hide_password=True)
    if kind == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise _no_store(safe, "names no file; ")
        if not Path(parsed.database).parent.is_dir():
            raise _no_store(safe, "lies in a folder that is not there; ")
        return parsed
    if kind == "postgresql":
        if not parsed.database:
            raise _no_store(safe, "names no database; ")
        return parsed.set(drivername="postgresql+psycopg")
    raise _no_store(safe, "")


def _no_store(url: str, why: str) -> Exception:
    right = "a store is sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    return refuse("store", "url", url or None, why + right)


def conninfo(url: sa.URL, limit_s: float) -> dict[str, Any]:
    """What libpq is told: where, and how long anything may take."""
    ms = int(limit_s * 1000)
    given: dict[str, Any] = {
        "host": url.host,
        "port": url.port,
        "user": url.username,
        "password": url.password,
        "dbname": url.database,
    } | dict(url.query)
    options = (
        f"-c statement_timeout={ms} -c lock_timeout={ms * 2 // 3}"
        f" -c idle_in_transaction_session_timeout={ms * 3}"
        " -c tcp_keepalives_idle=2 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3"
    )
    return {key: value for key, value in given.items() if value is not None} | {
        "options": f"{given.get('options', '')} {options}".strip(),
        "application_name": given.get("application_name", "gigafactory"),
        "connect_timeout": max(2, round(limit_s)),
        "keepalives_idle": 2,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "tcp_user_timeout": ms,
    }


def connect(url: sa.URL, limit_s: float, *, autocommit: bool = False) -> Bounded:
    """One connection to PostgreSQL that gives up in time."""
    made = Bounded.connect(**conninfo(url, limit_s), autocommit=autocommit, prepare_threshold=2)
    made.limit_s = limit_s
    return made


class Database:
    """One database and how to talk to it.

    Args:
        url: as `parse` gives it.
        limit_s: how long a statement, a lock and a connection may each take, s.
    """

    def __init__(self, url: sa.URL, limit_s: float) -> None:
        self.url, self.limit_s = url, limit_s
        self.postgres = url.get_backend_name() == "postgresql"
        self.engine = self._postgres() if self.postgres else self._sqlite()
        reading = {"isolation_level": "AUTOCOMMIT"} if self.postgres else {}
        self._reader = self.engine.execution_options(**reading)
        self._writer = self.engine.execution_options(begin="BEGIN IMMEDIATE")
        self._direct = Direct(
            lambda: connect(self.url, self.limit_s, autocommit=True), CONNECTIONS, self.limit_s
        )

    @property
    def path(self) -> Path:
        """The file of an SQLite store."""
        assert self.url.database, self
        assert not self.postgres, self
        return Path(self.url.database)

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    def _postgres(self) -> sa.Engine:
        return sa.create_engine(
            self.url,
            creator=lambda: connect(self.url, self.limit_s),
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=self.limit_s,
            pool_use_lifo=True,
        )

    def _sqlite(self) -> sa.Engine:
        # Only its owner reads it; what SQLite puts beside the file takes after it.
        with contextlib.suppress(OSError):  # there already, or the engine will say why not
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL, 0o600))
        engine = sa.create_engine(
            self.url,
            connect_args={"timeout": self.limit_s, "cached_statements": 256},
            poolclass=sa.QueuePool,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=self.limit_s,
            pool_use_lifo=True,
        )
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine

    def insert(self, table: sa.Table) -> Insert:
        """An insert that knows what to do on a conflict."""
        return postgresql.insert(table) if self.postgres else sqlite.insert(table)

    def read(self, look: Callable[[sa.Connection], T]) -> T:
        """Ask one thing, outside a transaction.

        Raises:
            StoreTrouble: no answer could be had.
        """
        return self._held(self._reader, look, writes=False)

    def write(self, change: Callable[[sa.Connection], T]) -> T:
        """Change things in one transaction; done again once where the connection broke before it.

        Raises:
            StoreTrouble: nothing was changed, or (`doubtful`) nobody knows.
        """
        return self._held(self._writer, change, writes=True)

    def snapshot(self, look: Callable[[sa.Connection], T], limit_s: float = 3600.0) -> T:
        """Ask many things as of one instant, without holding anybody up, for as long as it takes.

        Raises:
            StoreTrouble: no answer could be had.
        """
        if self.postgres:
            engine = self.engine.execution_options(isolation_level="REPEATABLE READ")
        else:
            engine = self.engine.execution_options(begin="BEGIN")

        def patient(conn: sa.Connection) -> T:
            with unhurried(conn, self.limit_s, limit_s):
                return look(conn)

        return self._held(engine, patient, writes=False)

    def _held(self, engine: sa.Engine, do: Callable[[sa.Connection], T], *, writes: bool) -> T:
        for last in (False, True):
            sent = False
            try:
                with engine.connect() as conn:
                    result = do(conn)
                    sent = writes
                    if writes:
                        conn.commit()
                    return result
            except DBAPIError as error:
                if isinstance(error, DataError):
                    raise refuse("store", "", None, "a value cannot be kept") from error
                if last or sent or not _worth_another(error):
                    raise trouble(error, self, doubtful=sent) from error
            except PoolTimeout as error:
                raise StoreTrouble(f"{self}: every connection is busy") from error
            except (OverflowError, UnicodeError) as error:
                raise refuse("store", "", None, f"a value cannot be kept: {error}") from error
        raise AssertionError("the second attempt returns or raises")

    def quick(self, look: Callable[[Any], T]) -> T:
        """Like `read`, the short way where there is one; rows are tuples, statements kept ones.

        Raises:
            StoreTrouble: no answer could be had.
        """
        return self._short(look, writes=False) if self.postgres else self.read(look)

    def quick_write(self, change: Callable[[Any], T]) -> T:
        """Like `write`, the short way where there is one; rows are tuples, statements kept ones.

        Raises:
            StoreTrouble: nothing was changed, or (`doubtful`) nobody knows.
        """
        return self._short(change, writes=True) if self.postgres else self.write(change)

    def _short(self, do: Callable[[Any], T], *, writes: bool) -> T:
        for last in (False, True):
            sent, line = False, None
            try:
                with self._direct.line() as line:
                    if not writes:
                        return do(line)
                    line.raw.execute("BEGIN")
                    result = do(line)
                    sent = True
                    line.raw.execute("COMMIT")
                    return result
            except psycopg.DataError as error:
                raise refuse("store", "", None, "a value cannot be kept") from error
            except psycopg.Error as error:
                broke = line is not None and line.raw.closed
                if last or sent or not _met(error, broke=broke):
                    raise trouble(error, self, doubtful=sent) from error
            except AllBusyError as error:
                raise StoreTrouble(f"{self}: every connection is busy") from error
            except (OverflowError, UnicodeError) as error:
                raise refuse("store", "", None, f"a value cannot be kept: {error}") from error
        raise AssertionError("the second attempt returns or raises")

    def close(self) -> None:
        """Let go of every connection."""
        self._direct.close()
        self.engine.dispose()


class unhurried:  # noqa: N801  (used as a word in a with statement)
    """Lets the statements of a transaction take longer than others may.

    Args:
        conn: the connection, in a transaction.
        usual_s: the limit to go back to, s.
        limit_s: the limit meanwhile, s.
    """

    def __init__(self, conn: sa.Connection, usual_s: float, limit_s: float) -> None:
        self._conn, self._usual_s, self._limit_s = conn, usual_s, limit_s

    def _raw(self) -> Any:
        return self._conn.connection.dbapi_connection

    def __enter__(self) -> None:
        if self._conn.dialect.name == "postgresql":
            ms = int(self._limit_s * 1000)
            for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
                self._conn.execute(sa.text(f"SET LOCAL {setting} = {ms}"))
            self._raw().limit_s = self._limit_s

    def __exit__(self, *_: object) -> None:
        if self._conn.dialect.name == "postgresql" and not self._conn.invalidated:
            self._raw().limit_s = self._usual_s


def _prepare_sqlite(dbapi: sqlite3.Connection, _: object) -> None:
    """Settings of every connection; what a crash may lose is decided here (docs: the store)."""
    dbapi.isolation_level = None  # transactions are begun by us, not by the driver's guess
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-16000",
        "temp_store=MEMORY",
    ):
        dbapi.execute(f"PRAGMA {pragma}")


def _begin_sqlite(conn: sa.Connection) -> None:
    begin = conn.get_execution_options().get("begin")
    if begin:
        conn.exec_driver_sql(begin)


def _worth_another(error: DBAPIError) -> bool:
    """Whether a second attempt may help: an old connection was dead, or two writers met.

    Two who put the same key at once: the second attempt finds what the other has put.
    """
    if isinstance(error, IntegrityError):
        return True
    return _met(error.orig, broke=error.connection_invalidated)


def _met(error: BaseException | None, *, broke: bool) -> bool:
    """The same of what the driver said."""
    if isinstance(error, NoAnswer):
        return False
    met = (
        psycopg.errors.DeadlockDetected,
        psycopg.errors.SerializationFailure,
        psycopg.errors.IntegrityError,
    )
    return broke or isinstance(error, met)


_PLAIN: Final[Mapping[type[BaseException], str]] = {
    NoAnswer: "does not answer",
    psycopg.errors.QueryCanceled: "took too long",
    psycopg.errors.LockNotAvailable: "somebody else holds what is needed",
    psycopg.errors.DiskFull: "its disk is full",
    psycopg.errors.ConnectionTimeout: "does not answer",
    psycopg.errors.InvalidPassword: "does not let us in",
    psycopg.errors.CannotConnectNow: "is starting up or shutting down",
}


def trouble(error: Exception, who: object, *, doubtful: bool = False) -> StoreTrouble:
    """What a driver said, as trouble in plain words."""
    found = getattr(error, "orig", None) or error
    plain = next((words for kind, words in _PLAIN.items() if isinstance(found, kind)), "")
    said = " ".join(str(found).split())[:300]
    why = f"{plain} ({said})" if plain else said or type(found).__name__
    return StoreTrouble(f"{who}: {why}", doubtful=doubtful)
