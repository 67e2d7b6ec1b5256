"""Backup and restore: everything in one file, the same whichever engine it comes from or goes to.

::

    file = gzip of lines
    line 1        {"gigafactory_store": 1, "revision": "0004"}
    per table     {"table": NAME, "columns": [...], "binary": [...]}
                  [value, ...]            one line per row, in the order of the primary key
                  {"rows": NUMBER}
    last line     {"sha256": of every byte before it}

SQLite is copied by its own online backup first; PostgreSQL is read in one repeatable-read
transaction. Neither holds a writer up.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from gigafactory.adapters.store import leading, migrating
from gigafactory.adapters.store.database import Database, trouble, unhurried
from gigafactory.adapters.store.errors import StoreTrouble
from gigafactory.adapters.store.tables import CONTENT, SINCE, lease, metadata
from gigafactory.engine.errors import BadInput, Problem, refuse

VERSION: Final = 1
_BATCH: Final = 500
_PROBLEMS_MAX: Final = 100
_LINE_MAX: Final = 1 << 28
_PATIENCE_S: Final = 3600.0

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def backup(db: Database, path: Path) -> None:
    """Write a backup; the file is there whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        with os.fdopen(_private(part), "wb") as raw:
            with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as out:
                _from_postgres(db, out) if db.postgres else _from_sqlite(db, part, out)
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(path)
    except OSError as error:
        raise refuse(str(path), "", None, f"cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


def _private(path: Path) -> int:
    """A new file that only its owner reads: a backup holds what tenants asked for."""
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _from_postgres(db: Database, out: gzip.GzipFile) -> None:
    db.snapshot(lambda conn: _dump(conn, out))


def _from_sqlite(db: Database, beside: Path, out: gzip.GzipFile) -> None:
    copy = beside.with_name(beside.name + ".copy")
    try:
        copy.touch(0o600)
        db.read(lambda conn: _copy(conn, copy))
        engine = sa.create_engine(sa.URL.create("sqlite", database=str(copy)))
        with engine.connect() as conn:
            _dump(conn, out)
        engine.dispose()
    except (sqlite3.Error, sa.exc.SQLAlchemyError) as error:
        raise trouble(error, db) from error
    finally:
        copy.unlink(missing_ok=True)


def _copy(conn: sa.Connection, to: Path) -> None:
    source: Any = conn.connection.dbapi_connection
    target = sqlite3.connect(to)
    try:
        source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")
    finally:
        target.close()


def _dump(conn: sa.Connection, out: gzip.GzipFile) -> None:
    digest = hashlib.sha256()

    def put(value: Any) -> None:
        line = _encode(value).encode("ascii") + b"\n"
        digest.update(line)
        out.write(line)

    revision = migrating.revision(conn) or ""
    put({"gigafactory_store": VERSION, "revision": revision})
    for table in metadata.sorted_tables:
        if SINCE.get(table.name, "") > revision:
            continue
        binary = [c.name for c in table.columns if isinstance(c.type, sa.LargeBinary)]
        places = [table.columns.keys().index(name) for name in binary]
        put({"table": table.name, "columns": table.columns.keys(), "binary": binary})
        count = 0
        asked = sa.select(table).order_by(*table.primary_key.columns)
        for row in conn.execute(asked, execution_options={"yield_per": _BATCH}):
            values = list(row)
            for place in places:
                values[place] = base64.b64encode(values[place]).decode("ascii")
            put(values)
            count += 1
        put({"rows": count})
    out.write(_encode({"sha256": digest.hexdigest()}).encode("ascii") + b"\n")


# --- reading one -----------------------------------------------------------------------------


@dataclass
class _Reading:
    """How far a backup has been read, and what is wrong with it."""

    path: Path
    problems: list[Problem] = field(default_factory=list)
    digest: Any = field(default_factory=hashlib.sha256)
    line: int = 0
    revision: str = ""
    whole: bool = False

    def wrong(self, why: str, field_name: str = "") -> None:
        if len(self.problems) < _PROBLEMS_MAX:
            where = f"{self.path}: line {self.line}" if self.line else str(self.path)
            self.problems.append(Problem(where, field_name, "", why))


@dataclass(frozen=True)
class _Part:
    """The rows of a table, as they come."""

    table: str
    columns: tuple[str, ...]
    rows: Iterator[list[Any]]


def _lines(path: Path, reading: _Reading) -> Iterator[Any]:
    """The values of every line but the last, which is held against the others."""
    try:
        with gzip.open(path, "rb") as file:
            while raw := file.readline(_LINE_MAX):
                reading.line += 1
                if reading.whole:
                    reading.wrong("stands after the end")
                    return
                try:
                    value = json.loads(raw)
                except ValueError:
                    reading.wrong("is damaged")
                    value = None
                if isinstance(value, dict) and "sha256" in value:
                    reading.whole = True
                    if value["sha256"] != reading.digest.hexdigest():
                        reading.wrong("the checksum is another: the file was changed or damaged")
                    continue
                reading.digest.update(raw)
                yield value
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        reading.line = 0
        reading.wrong(f"is damaged or no backup: {error}")
        return
    except OSError as error:
        raise refuse(str(path), "", None, f"cannot be read: {error.strerror}") from None
    if not reading.whole:
        reading.line = 0
        reading.wrong("ends too early")


def _parts(path: Path, reading: _Reading) -> Iterator[_Part]:
    """The tables of a backup, in order; every row of one is to be taken before the next."""
    lines = _lines(path, reading)
    head = next(lines, None)
    if not isinstance(head, dict) or head.get("gigafactory_store") != VERSION:
        reading.wrong("is no backup of a store, or of a kind this version does not know")
        return
    reading.revision = str(head.get("revision"))
    if reading.revision not in migrating.known():
        reading.wrong(
            f"was made by a newer version of gigafactory; this one knows up to {migrating.HEAD}",
            "revision",
        )
    for value in lines:
        if not isinstance(value, dict) or value.get("table") not in metadata.tables:
            reading.wrong("a table should begin here")
            continue
        columns = tuple(map(str, value.get("columns", ())))
        places = [columns.index(name) for name in value.get("binary", ()) if name in columns]
        rows = _rows(lines, len(columns), places, reading)
        yield _Part(value["table"], columns, rows)
        for _ in rows:  # whoever did not take them all
            pass


def _rows(
    lines: Iterator[Any], width: int, binary: list[int], reading: _Reading
) -> Iterator[list[Any]]:
    count = 0
    for value in lines:
        if isinstance(value, dict) and "rows" in value:
            if value["rows"] != count:
                reading.wrong(f"{value['rows']} rows are told of, and {count} are there")
            return
        count += 1
        if not isinstance(value, list) or len(value) != width:
            reading.wrong("is no row of its table")
            continue
        try:
            for place in binary:
                value[place] = base64.b64decode(value[place], validate=True)
        except (ValueError, TypeError):
            reading.wrong("holds bytes that are none")
            continue
        yield value
    reading.wrong("a table does not end")


def check(path: Path) -> tuple[str, dict[str, int]]:
    """Read a backup from begin to end.

    Returns:
        Its revision, and the number of rows by table.

    Raises:
        BadInput: everything wrong with it.
    """
    reading = _Reading(path)
    counts = {part.table: sum(1 for _ in part.rows) for part in _parts(path, reading)}
    reading.line = 0
    if not reading.problems:
        for name in sorted(set(metadata.tables) - set(counts) - _later(reading.revision)):
            reading.wrong(f"has no table {name}")
    if reading.problems:
        raise BadInput(reading.problems)
    return reading.revision, counts


# --- restoring one ---------------------------------------------------------------------------


def restore(db: Database, path: Path, *, replace: bool) -> None:
    """Take everything from a backup, in one transaction."""
    problems: list[Problem] = []
    revision = ""
    try:
        revision, _ = check(path)
    except BadInput as bad:
        problems += bad.problems
    with ExitStack() as locks:
        problems += _not_ready(db, locks, replace)
        if problems:
            raise BadInput(problems)

        def load(conn: sa.Connection) -> None:
            with unhurried(conn, db.limit_s, _PATIENCE_S):
                migrating.rebuild(conn, revision)
                _fill(conn, path)
                migrating.upgrade(conn, migrating.HEAD)

        with migrating.file_lock(db):
            db.write(load)


def _not_ready(db: Database, locks: ExitStack, replace: bool) -> Iterator[Problem]:
    """Why a store cannot be written over; the locks of leaders are held where nobody leads."""
    names = db.read(lambda conn: [row[0] for row in conn.execute(sa.select(lease.c.name))])
    for name in names:
        lock = leading.lock(db, name)
        if lock is None:
            yield Problem(str(db), "lease", name, "somebody leads; stop the service first")
        else:
            locks.callback(lock.release)
    if replace:
        return
    for table in CONTENT:
        if _holds(db, table):
            yield Problem(
                str(db), table.name, "", "is not empty; restore into a new store, or with --replace"
            )


def _holds(db: Database, table: sa.Table) -> bool:
    asked = sa.select(sa.literal(1)).select_from(table).limit(1)
    return db.read(lambda conn: conn.execute(asked).first()) is not None


def _fill(conn: sa.Connection, path: Path) -> None:
    reading = _Reading(path)
    for part in _parts(path, reading):
        table = sa.table(
            part.table, *(sa.column(c.name, c.type) for c in _typed(part.table, part.columns))
        )
        conn.execute(sa.delete(table))  # what a revision puts there itself
        batch: list[dict[str, Any]] = []
        for row in part.rows:
            batch.append(dict(zip(part.columns, row, strict=True)))
            if len(batch) == _BATCH:
                conn.execute(sa.insert(table), batch)
                batch = []
        if batch:
            conn.execute(sa.insert(table), batch)
    if reading.problems:  # the file changed since it was checked
        raise StoreTrouble(f"{path}: changed while it was read")


def _later(revision: str) -> set[str]:
    """Tables that a revision did not have yet."""
    return {name for name, since in SINCE.items() if since > revision}


def _typed(table: str, columns: tuple[str, ...]) -> list[sa.Column[Any]]:
    known = metadata.tables[table].columns
    return [known[name] if name in known else sa.Column(name, sa.Text()) for name in columns]
