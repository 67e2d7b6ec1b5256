"""Bringing a store's tables to the revision this software knows, one process at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from gigafactory.adapters.store.database import Database, lock_file, unhurried
from gigafactory.engine.errors import refuse

#: The newest revision; a test holds it to the scripts.
HEAD: Final = "0004"
FOLDER: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x67_66_6D_67  # the advisory lock of who migrates
_PATIENCE_S: Final = 600.0


def revision(conn: sa.Connection) -> str | None:
    """The revision a store is at; None for an empty database."""
    if not sa.inspect(conn).has_table("alembic_version"):
        return None
    found: str | None = conn.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return found


def migrate(db: Database) -> tuple[str | None, str]:
    """Bring a store to the newest revision, in one transaction.

    Returns:
        The revision before and after.

    Raises:
        BadInput: the store is newer than this software.
        StoreTrouble: the database is away or full; nothing was changed.
    """
    before = db.read(revision)
    if before == HEAD:
        return before, HEAD

    def step(conn: sa.Connection) -> str | None:
        with unhurried(conn, db.limit_s, _PATIENCE_S):
            if db.postgres:
                conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            found = revision(conn)  # another may have done it while we waited
            _refuse_newer(db, found)
            if found != HEAD:
                upgrade(conn, HEAD)
            return found

    with file_lock(db):
        return db.write(step), HEAD


def _refuse_newer(db: Database, found: str | None) -> None:
    if found is not None and found not in known():
        raise refuse(
            str(db),
            "revision",
            found,
            f"was written by a newer version of gigafactory; this one knows up to {HEAD}. "
            "Upgrade the software, or restore a backup made with this version",
        )


def known() -> tuple[str, ...]:
    """Every revision this software knows, oldest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(FOLDER)).walk_revisions()
    return tuple(reversed([script.revision for script in scripts]))


def upgrade(conn: sa.Connection, to: str) -> None:
    """Run the steps up to a revision on a connection, within its transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = conn
    command.upgrade(config, to)


def rebuild(conn: sa.Connection, to: str) -> None:
    """Drop every table of ours and make those of a revision, within a transaction."""
    from gigafactory.adapters.store.tables import metadata

    metadata.drop_all(conn)
    conn.execute(sa.text("DROP TABLE IF EXISTS alembic_version"))
    upgrade(conn, to)


@contextmanager
def file_lock(db: Database) -> Iterator[None]:
    """Hold the lock of who migrates an SQLite file; PostgreSQL has a lock of its own."""
    if db.postgres:
        yield
        return
    held: Any = None
    try:
        held = lock_file(db.path.with_name(db.path.name + ".migrate.lock"))
        fcntl.flock(held, fcntl.LOCK_EX)
    except OSError as error:
        raise refuse(str(db), "", None, f"cannot be written: {error.strerror}") from None
    with held:
        yield
