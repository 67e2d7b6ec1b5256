"""The store and its tokens from the command line, as an operator would give them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from gigafactory.adapters.store import Store
from gigafactory.adapters.store.records import Role
from gigafactory.cli import main
from gigafactory.engine.clock import WallClock
from gigafactory.engine.errors import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_OK
from tests.runtime.live.test_serve import written


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


def say(capsys: pytest.CaptureFixture[str], *words: str, code: int = EXIT_OK) -> str:
    assert main(list(words)) == code, capsys.readouterr()
    out, err = capsys.readouterr()
    return out if code == EXIT_OK else err


def test_a_token_from_its_making_to_its_end(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    add = ("token", "add", url, "--label", "ci of uni", "--role", "tenant", "--party", "uni")
    secret = say(capsys, *add).strip()
    store = Store.open(url)
    token = store.token_by_secret(secret, WallClock().now_ns())
    assert token is not None
    assert (token.role, token.party, token.label) == (Role.TENANT, "uni", "ci of uni")
    listed = say(capsys, "token", "list", url)
    assert token.id in listed
    assert secret not in listed
    assert "revoked" not in listed
    assert token.id in say(capsys, "token", "revoke", url, token.id)
    assert "revoked" in say(capsys, "token", "list", url)
    assert store.token_by_secret(secret, WallClock().now_ns() + 3 * 10**9) is None
    assert "no token" in say(capsys, "token", "revoke", url, token.id, code=EXIT_BAD_INPUT)
    assert [row.action for row in store.audit_after(0)] == ["add_token", "revoke_token"]
    store.close()


def test_a_token_that_makes_no_sense_is_refused(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add = ("token", "add", url, "--label", "x", "--role")
    assert "names its party" in say(capsys, *add, "tenant", code=EXIT_BAD_INPUT)
    assert "is one of tenant" in say(capsys, *add, "king", code=EXIT_BAD_INPUT)


def test_backup_restore_check_migrate(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "Revision 0004. Rows: none." in say(capsys, "store", "migrate", url)
    say(capsys, "token", "add", url, "--label", "x", "--role", "admin")
    copy = str(tmp_path / "copy")
    assert "bytes" in say(capsys, "store", "backup", url, copy)
    assert "is not empty" in say(capsys, "store", "restore", url, copy, code=EXIT_BAD_INPUT)
    told = say(capsys, "store", "restore", url, copy, "--replace")
    assert "1 token, 1 audit" in told
    assert "one unbroken chain" in say(capsys, "store", "check", url)
    engine = sa.create_engine(url)
    with engine.begin() as conn:
        conn.execute(sa.text("UPDATE audit SET who = 'nobody'"))
    engine.dispose()
    assert "audit line 1" in say(capsys, "store", "check", url, code=EXIT_FAILED)


def test_backups_of_a_folder_are_read_back_and_the_newest_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    factory, settings = written(tmp_path)
    assert factory.is_file()
    add = ("token", "add", str(settings), "--label", "x", "--role", "admin")
    say(capsys, *add)
    folder = tmp_path / "backups"
    folder.mkdir()
    old = [folder / f"store-202601{d:02d}T000000Z.backup" for d in range(1, 5)]
    for path in (*old, folder / "store-notes.backup"):
        path.write_text("old")
    backup = ("store", "backup", "--settings", str(settings), "--folder", str(folder))
    told = say(capsys, *backup, "--keep", "3")
    assert "read back: revision" in told
    left = sorted(p.name for p in folder.iterdir())
    assert [p for p in left if p.startswith("store-2026010")] == [p.name for p in old[2:]]
    assert "store-notes.backup" in left, "what is no backup of ours stays"
    (made,) = set(folder.iterdir()) - {*old, folder / "store-notes.backup"}
    assert made.stat().st_mode & 0o077 == 0, "nobody else reads it"
    restored = f"sqlite:///{tmp_path}/other.db"
    assert "1 token" in say(capsys, "store", "restore", restored, str(made))


def test_a_backup_that_is_asked_for_unclearly_is_refused(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = say(capsys, "store", "backup", "--keep", "3", code=EXIT_BAD_INPUT)
    assert "--settings" in told
    assert "--folder" in told
    assert "needs --folder" in told
    say(capsys, "store", "backup", url, code=EXIT_BAD_INPUT)


def test_a_database_that_is_away_is_told_in_plain_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    away = "postgresql://me@127.0.0.1:9/gone"
    told = say(capsys, "store", "check", away, code=EXIT_FAILED)
    assert "refused" in told
    assert "Traceback" not in told


def test_without_the_extra_the_way_is_told(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(sys.modules):
        if name.startswith("gigafactory.adapters.store"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    told = say(capsys, "store", "check", url, code=EXIT_BAD_INPUT)
    assert 'pip install "gigafactory[serve]"' in told
