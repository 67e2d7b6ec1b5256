"""Running numbers in the order of commits.

A database's own sequences give numbers in the order of asking: a reader who has seen 7 may miss 6,
which is committed later. Here the row that counts is locked until the transaction ends, so who has
seen a number has seen all before it. For what comes seldom; work has names instead.
"""

from __future__ import annotations

import sqlalchemy as sa

from gigafactory.adapters.store.database import Database
from gigafactory.adapters.store.tables import counter


def next_numbers(db: Database, conn: sa.Connection, name: str, count: int = 1) -> int:
    """Take numbers within a transaction.

    Returns:
        The first of them; numbers begin at 1.
    """
    put = db.insert(counter).values(name=name, value=count)
    put = put.on_conflict_do_update(
        index_elements=["name"], set_={"value": counter.c.value + count}
    )
    last: int = conn.execute(put.returning(counter.c.value)).scalar_one()
    return last - count + 1
