"""A backup goes back whole, into either engine, to the byte; a damaged one does not."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gigafactory.adapters.store import Store
from gigafactory.adapters.store.dumping import check
from gigafactory.engine.errors import BadInput
from gigafactory.testing.postgres import LocalPostgres
from tests.adapters.store.making import NOW, asked, fill


def test_from_one_engine_to_the_other_and_back(server: LocalPostgres, tmp_path: Path) -> None:
    name = f"round{tmp_path.name[-8:]}".replace("-", "_")
    first = Store.open(f"sqlite:///{tmp_path}/a.db")
    second = Store.open(server.make_database(name))
    third = Store.open(f"sqlite:///{tmp_path}/b.db")
    fill(first)
    first.backup(tmp_path / "1")
    second.restore(tmp_path / "1")
    second.backup(tmp_path / "2")
    third.restore(tmp_path / "2")
    third.backup(tmp_path / "3")
    one, two, three = ((tmp_path / n).read_bytes() for n in "123")
    assert gzip.decompress(one) == gzip.decompress(two) == gzip.decompress(three)
    assert one == two == three
    for store in (second, third):
        assert store.list_work() == first.list_work()
        assert store.orders() == first.orders()
        assert store.audit_after(0) == first.audit_after(0)
        assert store.verify_audit() == []
        store.submit(asked("more"))
        lease = store.lead("controller", NOW)
        assert lease is not None
        assert lease.epoch == 2
        assert store.verify_audit() == []
    revision, counts = check(tmp_path / "1")
    assert (revision, counts["work"], counts["audit"]) == ("0004", 40, 43)
    for store in (first, second, third):
        store.close()
    server.drop_database(name)


def test_a_backup_is_of_one_instant_while_others_write(store: Store, tmp_path: Path) -> None:
    fill(store)
    stop = threading.Event()

    def write() -> None:
        i = 0
        while not stop.is_set():
            store.submit(asked(f"w{i}", at_ns=NOW + i))
            i += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            path = tmp_path / str(number)
            store.backup(path)
            other = Store.open(f"sqlite:///{tmp_path}/{number}.db")
            other.restore(path)
            assert other.verify_audit() == []
            submits = [r for r in other.audit_after(0, 100_000) if r.action == "submit"]
            assert len(submits) == sum(other.count_work().values())
            other.close()
            assert path.stat().st_mode & 0o777 == 0o600
    finally:
        stop.set()
        writer.join()
    assert sorted(p.name for p in tmp_path.iterdir() if ".part" in p.name) == []


def test_a_store_with_something_in_it_is_not_written_over(store: Store, tmp_path: Path) -> None:
    fill(store)
    store.backup(tmp_path / "a")
    kept = store.list_work()
    store.submit(asked("later"))
    with pytest.raises(BadInput, match="work: is not empty"):
        store.restore(tmp_path / "a")
    assert len(store.list_work()) == 41
    lease = store.lead("controller", NOW)
    assert lease is not None
    with pytest.raises(BadInput, match="somebody leads"):
        store.restore(tmp_path / "a", replace=True)
    lease.release()
    store.restore(tmp_path / "a", replace=True)
    assert store.list_work() == kept


def _lines(path: Path) -> list[bytes]:
    return gzip.decompress(path.read_bytes()).splitlines(keepends=True)


def _cut(lines: list[bytes]) -> None:
    del lines[len(lines) // 2 :]


def _flip(lines: list[bytes]) -> None:
    where = next(i for i, line in enumerate(lines) if b"accelerators" in line)
    lines[where] = lines[where].replace(b"accelerators", b"accelerator5")


def _drop(lines: list[bytes]) -> None:
    where = next(i for i, line in enumerate(lines) if b'"table":"work"' in line)
    del lines[where + 3]


def _newer(lines: list[bytes]) -> None:
    lines[0] = json.dumps({"gigafactory_store": 1, "revision": "9999"}).encode() + b"\n"


def _garble(lines: list[bytes]) -> None:
    lines[30] = b"{{{\n"
    lines[31] = b"[1]\n"


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_cut, ["ends too early"]),
        (_flip, ["the checksum is another"]),
        (_drop, ["40 rows are told of, and 39 are there", "the checksum is another"]),
        (_newer, ["newer version", "the checksum is another"]),
        (_garble, ["line 31: is damaged", "line 32: is no row", "the checksum is another"]),
        (list.clear, ["is no backup of a store"]),
    ],
)
def test_a_damaged_backup_is_refused_with_every_problem(
    harm: Callable[[list[bytes]], None], words: list[str], tmp_path: Path
) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/a.db")
    fill(store)
    store.backup(tmp_path / "good")
    lines = _lines(tmp_path / "good")
    harm(lines)
    (tmp_path / "bad").write_bytes(gzip.compress(b"".join(lines)))
    with pytest.raises(BadInput) as refused:
        store.restore(tmp_path / "bad")
    told = str(refused.value)
    assert [word for word in [*words, "work: is not empty"] if word not in told] == []
    assert len(store.list_work()) == 40
    store.close()


def test_a_cut_or_foreign_file_is_refused(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/a.db")
    store.backup(tmp_path / "good")
    whole = (tmp_path / "good").read_bytes()
    for number, content in enumerate([whole[:-40], b"", b"no backup", whole[:200] + whole[201:]]):
        path = tmp_path / f"bad{number}"
        path.write_bytes(content)
        with pytest.raises(BadInput):
            store.restore(path)
    with pytest.raises(BadInput, match="cannot be read"):
        store.restore(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="cannot be written"):
        store.backup(tmp_path / "no" / "folder")
    store.close()
