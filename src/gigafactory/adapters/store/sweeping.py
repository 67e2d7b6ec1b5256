"""Taking away what is over and old, some rows at a time so that nobody waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from gigafactory.adapters.store.database import Database
from gigafactory.adapters.store.records import Swept
from gigafactory.adapters.store.tables import alarm, message, request, status, work

_ROWS: Final = 1_000


def sweep(db: Database, before_ns: int, messages_ns: int, channels_ns: Mapping[str, int]) -> Swept:
    """Delete what `Store.sweep` says."""
    old = sa.and_(message.c.channel.not_in(sorted(channels_ns)), message.c.at_ns < messages_ns)
    for name, at_ns in sorted(channels_ns.items()):
        old = sa.or_(old, sa.and_(message.c.channel == name, message.c.at_ns < at_ns))
    over: list[tuple[sa.Table, sa.Column[Any], Any]] = [
        (work, work.c.id, work.c.end_ns < before_ns),
        (message, message.c.seq, old),
        (status, status.c.kind, status.c.at_ns < before_ns),
        (alarm, alarm.c.id, alarm.c.cleared_ns < before_ns),
        (request, request.c.id, request.c.settled_ns < before_ns),
    ]
    return Swept({table.name: _some_at_a_time(db, *which) for which in over for table in which[:1]})


def _some_at_a_time(db: Database, table: sa.Table, key: sa.Column[Any], old: Any) -> int:
    gone = 0
    part = sa.delete(table).where(key.in_(sa.select(key).where(old).limit(_ROWS)))
    while True:
        count = db.write(lambda conn: conn.execute(part).rowcount)
        gone += count
        if count < _ROWS:
            return gone
