"""The audit trail: who did or tried what, each line chained to the one before it.

    hash(n) = SHA-256(hash(n-1) + canonical row n),   hash(0) = SHA-256 of a fixed word

A line is appended while the one row of `chain` is locked, so there is one chain and no fork. Who
can write the database can rewrite all of it; a daily anchor kept elsewhere shows that.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from gigafactory.adapters.store.canon import check_texts, from_text, to_text
from gigafactory.adapters.store.database import Database
from gigafactory.adapters.store.records import NOTHING, Anchor, AuditRow, Body
from gigafactory.adapters.store.tables import anchor, audit, chain
from gigafactory.engine.errors import Problem, refuse
from gigafactory.units import NS_PER_S

GENESIS: Final = hashlib.sha256(b"gigafactory audit trail 1").hexdigest()
_PAGE: Final = 5_000
_PROBLEMS_MAX: Final = 100

_HEAD: Final = sa.select(chain.c.seq, chain.c.hash).where(chain.c.one == 1)
_LOCK_HEAD: Final = _HEAD.with_for_update()
_MOVE: Final = (
    sa.update(chain)
    .where(chain.c.one == 1)
    .values(seq=sa.bindparam("to_seq"), hash=sa.bindparam("to_hash"))
)
_ADD: Final = sa.insert(audit).values({c: sa.bindparam(c.name) for c in audit.columns})


@lru_cache(maxsize=1)
def _add_and_move() -> Any:
    """Both in one statement, where the database can: one journey less while the chain is locked."""
    return _MOVE.add_cte(_ADD.cte("added"))


def append(
    db: Database,
    conn: Any,
    who: str,
    role: str,
    action: str,
    target: str,
    outcome: str,
    at_ns: int,
    detail: Body = NOTHING,
) -> int:
    """Append a line within a transaction, and keep the chain locked until its end."""
    text = to_text(detail)
    seq, before = conn.execute(_LOCK_HEAD if db.postgres else _HEAD).one()
    seq += 1
    row = (seq, at_ns, who, role, action, target, outcome, text)
    after = hash_of(before, row)
    values = dict(zip(audit.columns.keys(), (*row, after), strict=True))
    moved = {"to_seq": seq, "to_hash": after}
    if db.postgres:
        conn.execute(_add_and_move(), values | moved)
    else:
        conn.execute(_ADD, values)
        conn.execute(_MOVE, moved)
    return int(seq)


def hash_of(before: str, row: tuple[Any, ...]) -> str:
    """The hash of a row (all columns but its hash), given the hash before it."""
    canonical = json.dumps(row, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    return hashlib.sha256(bytes.fromhex(before) + canonical).hexdigest()


class Trail:
    """The audit trail's part of the store."""

    _db: Database

    def audit(
        self,
        who: str,
        role: str,
        action: str,
        target: str,
        outcome: str,
        detail: Body,
        at_ns: int,
    ) -> int:
        """Append a line; what the store changes itself it has audited already.

        Returns:
            Its number.
        """
        check_texts("audit", who=who, role=role, action=action, target=target, outcome=outcome)
        return self._db.write(
            lambda conn: append(self._db, conn, who, role, action, target, outcome, at_ns, detail)
        )

    def audit_after(self, seq: int, limit: int = 1000) -> list[AuditRow]:
        """Lines after a number, in order."""
        asked = sa.select(audit).where(audit.c.seq > seq).order_by(audit.c.seq).limit(limit)
        rows = self._db.read(lambda conn: conn.execute(asked).all())
        return [_line(row) for row in rows]

    def verify_audit(self) -> list[Problem]:
        """Go over the whole trail; every line changed, dropped, moved or added, at most a hundred.

        A wrong line is named once: the lines after it are held against the hash it shows.
        """
        return self._db.snapshot(lambda conn: list(_first(_faults(conn), _PROBLEMS_MAX)))

    def anchor(self, day: str, now_ns: int) -> Anchor:
        """The chain's end on a day (UTC); once the day is over it is kept and does not change.

        Args:
            day: such as `2026-11-28`.
            now_ns: the instant, ns UTC.

        Raises:
            BadInput: it is no day.
        """
        end_ns = _day_end_ns(day)

        def find(conn: sa.Connection) -> Anchor:
            kept = conn.execute(sa.select(anchor).where(anchor.c.day == day)).one_or_none()
            if kept is not None:
                return _anchor(*kept)
            last = conn.execute(
                sa.select(audit.c.seq, audit.c.hash)
                .where(audit.c.at_ns < end_ns)
                .order_by(audit.c.seq.desc())
                .limit(1)
            ).one_or_none()
            found = _anchor(day, *(last or (0, GENESIS)))
            if now_ns >= end_ns:
                put = self._db.insert(anchor).on_conflict_do_nothing()
                conn.execute(put, {"day": day, "seq": found.seq, "hash": found.hash})
            return found

        return self._db.write(find)

    def anchors(self) -> list[Anchor]:
        """Every anchor kept, by day."""
        asked = sa.select(anchor).order_by(anchor.c.day)
        return [_anchor(*row) for row in self._db.read(lambda conn: conn.execute(asked).all())]


def _line(row: Any) -> AuditRow:
    values: list[Any] = list(row)
    values[7] = from_text(values[7])
    return AuditRow(*values)


def _anchor(day: str, seq: int, digest: str) -> Anchor:
    line = json.dumps({"audit": "gigafactory 1", "day": day, "seq": seq, "sha256": digest})
    return Anchor(day, seq, digest, line)


def _day_end_ns(day: str) -> int:
    try:
        begin = dt.datetime.combine(dt.date.fromisoformat(day), dt.time(), dt.UTC)
    except ValueError:
        raise refuse("anchor", "day", day, "is a day such as 2026-11-28") from None
    return (int(begin.timestamp()) + 86_400) * NS_PER_S


def _first(problems: Iterator[Problem], most: int) -> Iterator[Problem]:
    for _, problem in zip(range(most), problems, strict=False):
        yield problem


def _faults(conn: sa.Connection) -> Iterator[Problem]:
    """Every fault of the trail, in order."""
    anchors = {row.seq: row for row in conn.execute(sa.select(anchor)).all()}
    seen, before = 0, GENESIS
    for row in _rows(conn):
        place = f"audit line {row.seq}"
        if row.seq != seen + 1:
            yield Problem(place, "seq", "", f"follows line {seen}: lines are missing or moved")
        if hash_of(before, tuple(row[:8])) != row.hash:
            yield Problem(place, "hash", row.hash[:12], "does not follow from the line before it")
        kept = anchors.pop(row.seq, None)
        if kept is not None and kept.hash != row.hash:
            yield Problem(place, "hash", row.hash[:12], f"is not that of the anchor of {kept.day}")
        seen, before = row.seq, row.hash
    head = conn.execute(_HEAD).one_or_none()
    if head is None or tuple(head) != (seen, before):
        until = "nothing" if head is None else f"line {head.seq}"
        yield Problem("audit", "end", "", f"ends at line {seen}, the chain at {until}")
    for left in anchors.values():
        if left.seq:
            yield Problem("audit", "anchor", left.day, f"its line {left.seq} is missing")


def _rows(conn: sa.Connection) -> Iterator[Any]:
    after: int | None = None
    while True:
        asked = sa.select(audit).order_by(audit.c.seq).limit(_PAGE)
        page = conn.execute(asked if after is None else asked.where(audit.c.seq > after)).all()
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].seq
