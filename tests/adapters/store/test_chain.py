"""The audit trail is one chain, and whatever is done to it shows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.adapters.store import KeyConflict, Store
from gigafactory.adapters.store.chaining import GENESIS, hash_of
from gigafactory.engine.errors import BadInput
from gigafactory.units import NS_PER_DAY
from tests.adapters.store.making import NOW, asked

LINES = 8
DOUBLED = """
    INSERT INTO audit SELECT 9, at_ns, who, role, action, target, outcome, detail, hash
    FROM audit WHERE seq = 8
"""


def fill(store: Store, lines: int = LINES) -> None:
    for i in range(lines):
        at_ns = NOW + i * NS_PER_DAY // 4
        assert store.audit("ann", "operator", "override", f"job-{i}", "accepted", {"n": i}, at_ns)


def change(store: Store, *statements: str) -> None:
    with store._db.engine.begin() as conn:
        for statement in statements:
            conn.execute(sa.text(statement))


def test_an_untouched_trail_holds(store: Store) -> None:
    assert store.verify_audit() == []
    fill(store)
    assert store.verify_audit() == []
    lines = store.audit_after(0)
    assert [line.seq for line in lines] == list(range(1, LINES + 1))
    first = lines[0]
    row = (1, first.at_ns, "ann", "operator", "override", "job-0", "accepted", '{"n":0}')
    assert first.hash == hash_of(GENESIS, row)
    assert store.audit_after(6, limit=1) == lines[6:7]


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["UPDATE audit SET outcome = 'refused' WHERE seq = 3"], ["audit line 3"]),
        (["UPDATE audit SET at_ns = at_ns + 1 WHERE seq = 8"], ["audit line 8"]),
        (["DELETE FROM audit WHERE seq = 4"], ["follows line 3", "audit line 5"]),
        (["DELETE FROM audit WHERE seq = 1"], ["follows line 0"]),
        (["DELETE FROM audit WHERE seq > 6"], ["ends at line 6"]),
        (["DELETE FROM audit"], ["ends at line 0"]),
        (
            [
                "UPDATE audit SET seq = 99 WHERE seq = 2",
                "UPDATE audit SET seq = 2 WHERE seq = 3",
                "UPDATE audit SET seq = 3 WHERE seq = 99",
            ],
            ["audit line 2", "audit line 3"],
        ),
        (
            [DOUBLED],
            ["audit line 9"],
        ),
        (["UPDATE chain SET seq = 7"], ["ends at line 8"]),
        (["DELETE FROM chain"], ["the chain at nothing"]),
    ],
)
def test_what_is_done_to_it_is_found(store: Store, statements: list[str], words: list[str]) -> None:
    fill(store)
    change(store, *statements)
    found = "\n".join(map(str, store.verify_audit()))
    assert [word for word in words if word not in found] == []


def test_a_trail_written_anew_contradicts_its_anchors(store: Store) -> None:
    fill(store)
    kept = store.anchor("2025-11-28", NOW + NS_PER_DAY)
    assert (kept.seq, json.loads(kept.line)["sha256"]) == (2, store.audit_after(1, 1)[0].hash)
    before, lines = GENESIS, store.audit_after(0)
    statements = []
    for line in lines:
        detail = json.dumps({"n": line.detail["n"] + 1}, separators=(",", ":"))
        row = (line.seq, line.at_ns, "ann", "operator", "override", line.target, "accepted", detail)
        before = hash_of(before, row)
        statements.append(
            f"UPDATE audit SET detail = '{detail}', hash = '{before}' WHERE seq = {line.seq}"
            .replace(":", "\\:")
        )  # fmt: skip
    change(store, *statements, f"UPDATE chain SET hash = '{before}'")
    assert [str(p.why) for p in store.verify_audit()] == ["is not that of the anchor of 2025-11-28"]


def test_an_anchor_is_kept_once_its_day_is_over(store: Store) -> None:
    assert store.anchor("2025-11-27", NOW).seq == 0
    fill(store)
    today = store.anchor("2025-11-28", NOW)
    assert today.seq == 2
    assert [a.day for a in store.anchors()] == ["2025-11-27"]
    store.audit("late", "x", "y", "z", "accepted", {}, NOW + 1)
    over = store.anchor("2025-11-28", NOW + NS_PER_DAY)
    assert over.seq == 9
    store.audit("later", "x", "y", "z", "accepted", {}, NOW + 1)
    assert store.anchor("2025-11-28", NOW + NS_PER_DAY) == over
    assert [a.day for a in store.anchors()] == ["2025-11-27", "2025-11-28"]
    assert store.verify_audit() == []
    with pytest.raises(BadInput):
        store.anchor("yesterday", NOW)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Store]:
    """Makes new SQLite stores quickly, as copies of an empty one."""
    folder: Path = tmp_path_factory.mktemp("stores")
    Store.open(f"sqlite:///{folder}/empty.db").close()
    numbers = count()

    def make() -> Store:
        path = folder / f"{next(numbers)}.db"
        shutil.copy(folder / "empty.db", path)
        return Store.open(f"sqlite:///{path}")

    return make


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
ROW = st.tuples(TEXT, TEXT, TEXT, st.dictionaries(TEXT, st.integers() | TEXT, max_size=2))
COLUMNS = ["who", "role", "action", "target", "outcome", "detail"]


@pytest.mark.slow
@given(rows=st.lists(ROW, min_size=1, max_size=6), data=st.data())
def test_no_change_to_any_field_goes_unseen(
    fresh: Callable[[], Store],
    rows: list[tuple[str, str, str, dict[str, object]]],
    data: st.DataObject,
) -> None:
    store = fresh()
    try:
        for who, action, target, detail in rows:
            store.audit(who, "r", action, target, "o", detail, NOW)
        assert store.verify_audit() == []
        seq = data.draw(st.integers(1, len(rows)))
        column, text = data.draw(st.sampled_from(COLUMNS)), data.draw(TEXT)
        with store._db.engine.begin() as conn:
            where = {"text": text, "seq": seq}
            changed = conn.execute(
                sa.text(
                    f"UPDATE audit SET {column} = :text WHERE seq = :seq AND {column} <> :text"
                ),
                where,
            ).rowcount
        assert bool(store.verify_audit()) == bool(changed)
    finally:
        store.close()


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("kl"), st.integers(0, 2)), max_size=12
    )
)
def test_a_key_stands_for_one_body(
    fresh: Callable[[], Store], steps: list[tuple[str, str, int]]
) -> None:
    store = fresh()
    kept: dict[tuple[str, str], tuple[int, str]] = {}
    try:
        for i, (tenant, key, body) in enumerate(steps):
            first = kept.get((tenant, key))
            ask = asked(key, tenant, NOW + i, body=body)
            if first is not None and first[0] != body:
                with pytest.raises(KeyConflict) as conflict:
                    store.submit(ask)
                assert conflict.value.first.id == first[1]
                continue
            work, new = store.submit(ask)
            assert new == (first is None)
            assert kept.setdefault((tenant, key), (body, work.id)) == (body, work.id)
        assert {w.id for w in store.list_work()} == {name for _, name in kept.values()}
        assert len(store.audit_after(0)) == len(kept)
        assert store.verify_audit() == []
    finally:
        store.close()
