"""Tables are brought to the newest revision with what is in them; a newer store is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from gigafactory.adapters.store import Store, migrating
from gigafactory.adapters.store.database import Database, parse
from gigafactory.adapters.store.tables import metadata
from gigafactory.engine.errors import BadInput
from tests.adapters.store.making import fill

INDEX = "SELECT count(*) FROM {} WHERE {} = 'work_end'"


def at_revision_1(url: str) -> Database:
    db = Database(parse(url), 3.0)
    db.write(lambda conn: migrating.upgrade(conn, "0001"))
    return db


def test_the_newest_revision_is_the_one_named() -> None:
    assert migrating.known()[-1] == migrating.HEAD
    assert len(migrating.known()) > 1


def test_revisions_and_tables_say_the_same(store: Store) -> None:
    with store._db.engine.connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []
        found = sa.inspect(conn)
        for table in metadata.sorted_tables:
            names = {index["name"] for index in found.get_indexes(table.name)}
            assert {index.name for index in table.indexes} <= names


def test_a_store_of_revision_1_keeps_what_is_in_it(url: str, tmp_path: Path) -> None:
    """Filled by way of a backup whose rows are those of revision 1."""
    source = Store.open(f"sqlite:///{tmp_path}/source.db")
    fill(source)
    old = at_revision_1(url)
    early = Store(old)  # as a process of that time would have it open
    fill(early)
    works, lines = early.list_work(), early.audit_after(0)
    old.close()
    found = Store.open(url)
    assert found.list_work() == works
    assert found.audit_after(0) == lines
    assert found.verify_audit() == []
    assert found._db.read(migrating.revision) == migrating.HEAD
    assert found.sweep(2**62).rows["work"] == 1
    found.close()
    source.close()


def test_a_backup_of_revision_1_is_brought_up(url: str, tmp_path: Path) -> None:
    old = at_revision_1(f"sqlite:///{tmp_path}/old.db")
    early = Store(old)
    fill(early)
    early.backup(tmp_path / "old")
    store = Store.open(url)
    store.restore(tmp_path / "old")
    assert store.list_work() == early.list_work()
    assert store._db.read(migrating.revision) == migrating.HEAD
    with store._db.engine.connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []
    store.close()
    early.close()


def test_a_newer_store_is_refused_in_plain_words(url: str) -> None:
    store = Store.open(url)
    with store._db.engine.begin() as conn:
        conn.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(BadInput, match="newer version of gigafactory"):
        Store.open(url)


def test_many_open_a_new_store_at_once(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: Store.open(url), range(4)))
    assert all(store.verify_audit() == [] for store in stores)
    for store in stores:
        store.close()


@pytest.mark.parametrize(
    "address",
    [
        "", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://a@b/c", "postgresql://a@b",
        "sqlite:////no/such/folder/a.db",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(BadInput) as refused:
        Store.open(address)
    assert "sqlite:///FILE" in str(refused.value)


def test_a_password_is_never_told() -> None:
    with pytest.raises(BadInput) as refused:
        Store.open("mysql://me:hunter2@host/db")
    assert "hunter2" not in str(refused.value)
