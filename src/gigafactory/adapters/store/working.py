"""Work tenants ask for: put there once, listed by pages, taken up and noted by the controller."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from gigafactory.adapters.store.canon import check_texts, from_text, is_id, new_id, to_text
from gigafactory.adapters.store.chaining import append
from gigafactory.adapters.store.database import Database
from gigafactory.adapters.store.errors import KeyConflict
from gigafactory.adapters.store.leading import Lease, hold
from gigafactory.adapters.store.records import (
    ENDED,
    Asked,
    Role,
    Work,
    WorkChange,
    WorkState,
)
from gigafactory.adapters.store.tables import work

LIMIT_MAX: Final = 1_000
#: The columns of a `Work`, in its order; the key of a cancellation stays inside.
_SEEN: Final = [column for column in work.columns if column.name != "cancel_key"]
_ONE: Final = sa.select(*_SEEN).where(work.c.id == sa.bindparam("id"))
_BY_KEY: Final = sa.select(*_SEEN).where(
    work.c.tenant == sa.bindparam("tenant"), work.c.idempotency_key == sa.bindparam("key")
)
_BY_CANCEL: Final = sa.select(work.c.id).where(
    work.c.cancel_by == sa.bindparam("by"), work.c.cancel_key == sa.bindparam("key")
)
_NOTE: Final = (
    sa.update(work)
    .where(work.c.id == sa.bindparam("of"), work.c.end_ns.is_(None))
    .values(
        state=sa.bindparam("to"),
        changed_ns=sa.bindparam("at"),
        job=sa.func.coalesce(sa.bindparam("a_job", type_=sa.Text), work.c.job),
        why=sa.func.coalesce(sa.bindparam("a_why", type_=sa.Text), work.c.why),
        start_ns=sa.func.coalesce(sa.bindparam("began", type_=sa.BigInteger), work.c.start_ns),
        end_ns=sa.bindparam("ended", type_=sa.BigInteger),
        detail=sa.func.coalesce(sa.bindparam("a_detail", type_=sa.Text), work.c.detail),
    )
)
_UNPLACED: Final = (
    sa.select(*_SEEN)
    .where(work.c.state == WorkState.ASKED, work.c.cancel_ns.is_(None))
    .order_by(work.c.id)
    .limit(sa.bindparam("most"))
)
_CANCELS: Final = (
    sa.select(*_SEEN)
    .where(work.c.cancel_ns.is_not(None), work.c.end_ns.is_(None))
    .order_by(work.c.id)
    .limit(sa.bindparam("most"))
)
_TENANT: Final = 1
#: Characters of a body from which on its script is left out of lists.
_LONG: Final = 2_000
_STATE_OF: Final = {state.value: state for state in WorkState}


@cache
def _submit(postgres: bool) -> Any:
    insert = postgresql.insert(work) if postgres else sqlite.insert(work)
    given = insert.values({c: sa.bindparam(c.name, type_=c.type) for c in _SEEN})
    return given.on_conflict_do_nothing(index_elements=["tenant", "idempotency_key"]).returning(
        work.c.id
    )


def _work(row: Any) -> Work:
    values: list[Any] = list(row)
    values[3] = from_text(values[3])
    values[6] = _STATE_OF[values[6]]
    values[14] = {} if values[14] == "{}" else from_text(values[14])
    return Work(*values)


class Working:
    """The store's part for work."""

    _db: Database

    def submit(self, asked: Asked) -> tuple[Work, bool]:
        """Keep work a tenant asks for, and the line of the audit trail with it.

        Returns:
            The work, and whether it is new: the same key and body again is the same work.

        Raises:
            KeyConflict: the tenant used the key before, for another body.
            BadInput: it cannot be kept.
        """
        check_texts("work", tenant=asked.tenant, idempotency_key=asked.idempotency_key, by=asked.by)
        body = to_text(asked.body)
        values: dict[str, Any] = {
            "id": new_id(asked.at_ns),
            "tenant": asked.tenant,
            "idempotency_key": asked.idempotency_key,
            "body": body,
            "asked_by": asked.by,
            "asked_ns": asked.at_ns,
            "state": WorkState.ASKED.value,
            "job": "",
            "why": "",
            "changed_ns": asked.at_ns,
            "start_ns": None,
            "end_ns": None,
            "cancel_ns": None,
            "cancel_by": "",
            "detail": "{}",
        }
        seen = tuple(values.values())

        def put(conn: Any) -> tuple[Any, bool]:
            if conn.execute(_submit(self._db.postgres), values).first() is None:
                where = {"tenant": asked.tenant, "key": asked.idempotency_key}
                return conn.execute(_BY_KEY, where).one(), False
            append(
                self._db, conn, asked.by, asked.role, "submit", values["id"], "accepted",
                asked.at_ns, {"tenant": asked.tenant},
            )  # fmt: skip
            return seen, True

        row, fresh = self._db.quick_write(put)
        found = _work(row)
        if row[3] != body:
            raise KeyConflict(asked.idempotency_key, found)
        return found, fresh

    def work(self, id: str, tenant: str | None = None) -> Work | None:  # noqa: A002
        """A piece of work by its name; another tenant's is not there."""
        if not is_id(id):
            return None
        row = self._db.quick(lambda conn: conn.execute(_ONE, {"id": id}).one_or_none())
        if row is None or (tenant is not None and row[_TENANT] != tenant):
            return None
        return _work(row)

    def work_by_key(self, tenant: str, idempotency_key: str) -> Work | None:
        """The work that a tenant asked for under a key."""
        where = {"tenant": tenant, "key": idempotency_key}
        row = self._db.quick(lambda conn: conn.execute(_BY_KEY, where).one_or_none())
        return None if row is None else _work(row)

    def list_work(
        self,
        tenant: str | None = None,
        states: Collection[WorkState] | None = None,
        after: str | None = None,
        limit: int = 100,
        *,
        newest_first: bool = False,
        scripts: bool = True,
    ) -> list[Work]:
        """A page of work, by name, and so by time.

        Args:
            tenant: whose; all for None.
            states: only these; all for None.
            after: the last name of the page before; None for the first page.
            limit: of rows, at most 1,000.
            newest_first: the other way round.
            scripts: whether bodies come with their `script`; without, long ones stay where they
                are, so that a page of large scripts is no large page.
        """
        assert 0 < limit <= LIMIT_MAX, limit
        values = {"tenant": tenant, "after": after, "most": limit}
        picked = [None] if states is None else sorted(WorkState(one).value for one in states)
        shape = (tenant is not None, after is not None, newest_first)
        found: list[Any] = []
        brief = None if scripts else self._db.postgres
        page = _page(*shape, by_state=states is not None, brief=brief)

        def look(conn: Any) -> None:
            # A page of each state, from an index that ends where the page does; merged here.
            for state in picked:
                found.extend(conn.execute(page, values | {"state": state}).all())

        self._db.quick(look)
        if len(picked) > 1:
            found.sort(key=lambda row: str(row[0]), reverse=newest_first)
        return [_work(row) for row in found[:limit]]

    def count_work(self, tenant: str | None = None) -> dict[WorkState, int]:
        """How much work there is in each state."""
        asked = _counted(tenant is not None)
        return {
            WorkState(state): count
            for state, count in self._db.quick(
                lambda conn: conn.execute(asked, {"tenant": tenant}).all()
            )
        }

    def ask_cancel(
        self,
        id: str,  # noqa: A002
        tenant: str | None,
        key: str,
        by: str,
        at_ns: int,
        *,
        role: str = Role.TENANT,
    ) -> Work | None:
        """Ask that a piece of work ends; once asked, or ended, nothing more happens.

        Returns:
            The work as it is then; None where there is none, or it is another tenant's.

        Raises:
            KeyConflict: the key was used before by the same, for other work.
        """
        check_texts("cancel", key=key, by=by)
        if not is_id(id):
            return None
        set_it = (
            sa.update(work)
            .where(work.c.id == id, work.c.cancel_ns.is_(None), work.c.end_ns.is_(None))
            .where(sa.true() if tenant is None else work.c.tenant == tenant)
            .values(cancel_ns=at_ns, cancel_by=by, cancel_key=key, changed_ns=at_ns)
        )

        def ask(conn: sa.Connection) -> Work | None:
            first = conn.execute(_BY_CANCEL, {"by": by, "key": key}).scalar()
            row = conn.execute(_ONE, {"id": first or id}).one_or_none()
            if first is not None and first != id and row is not None:
                raise KeyConflict(key, _work(row))
            if row is None or (tenant is not None and row.tenant != tenant):
                return None
            if conn.execute(set_it).rowcount:
                append(
                    self._db, conn, by, role, "cancel", id, "accepted", at_ns,
                    {"tenant": row.tenant},
                )  # fmt: skip
                row = conn.execute(_ONE, {"id": id}).one()
            return _work(row)

        return self._db.write(ask)

    def unplaced(self, limit: int = 1000) -> list[Work]:
        """Work to hand to the workload manager, oldest first.

        Rows that somebody else is changing this moment are left for the next tick.
        """
        return self._taken(_UNPLACED, limit)

    def cancels(self, limit: int = 1000) -> list[Work]:
        """Work whose end was asked for and has not come, placed or not, oldest first."""
        return self._taken(_CANCELS, limit)

    def _taken(self, asked: Any, limit: int) -> list[Work]:
        if self._db.postgres:
            rows = self._db.write(
                lambda conn: conn.execute(
                    asked.with_for_update(skip_locked=True), {"most": limit}
                ).all()
            )
        else:
            rows = self._db.read(lambda conn: conn.execute(asked, {"most": limit}).all())
        return [_work(row) for row in rows]

    def note_work(self, changes: Sequence[WorkChange], lease: Lease) -> None:
        """Keep what the controller saw of work, in one transaction.

        Raises:
            StaleLeader: another controller leads by now; nothing was changed.
        """
        if not changes:
            return
        rows = [_change(change) for change in sorted(changes, key=lambda c: (c.id, c.at_ns))]

        def note(conn: sa.Connection) -> None:
            hold(self._db, conn, lease)
            conn.execute(_NOTE, rows)

        self._db.write(note)


def _change(change: WorkChange) -> dict[str, Any]:
    ended = change.state in ENDED
    return {
        "of": change.id,
        "to": change.state.value,
        "at": change.at_ns,
        "a_job": change.job,
        "a_why": change.why,
        "began": change.start_ns,
        "ended": (change.at_ns if change.end_ns is None else change.end_ns) if ended else None,
        "a_detail": None if change.detail is None else to_text(change.detail),
    }


@cache
def _counted(of_tenant: bool) -> Any:
    asked = sa.select(work.c.state, sa.func.count()).group_by(work.c.state)
    return asked.where(work.c.tenant == sa.bindparam("tenant")) if of_tenant else asked


@cache
def _page(
    of_tenant: bool, goes_on: bool, newest_first: bool, *, by_state: bool, brief: bool | None
) -> Any:
    body = work.c.body if brief is None else _without_script(brief)
    columns = [body if column.name == "body" else column for column in _SEEN]
    asked = sa.select(*columns).limit(sa.bindparam("most"))
    if of_tenant:
        asked = asked.where(work.c.tenant == sa.bindparam("tenant"))
    if by_state:
        asked = asked.where(work.c.state == sa.bindparam("state"))
    if goes_on:
        after: Any = sa.bindparam("after")
        asked = asked.where(work.c.id < after if newest_first else work.c.id > after)
    return asked.order_by(work.c.id.desc() if newest_first else work.c.id)


def _without_script(postgres: bool) -> Any:
    """The body without its script where that is long; a short one is not worth taking out.

    PostgreSQL takes no NUL and no half a character into its own kind of JSON: bodies with what may
    be one are left whole.
    """
    body = work.c.body
    if not postgres:
        less: Any = sa.func.json_remove(body, "$.script")
        return sa.case((sa.func.length(body) > _LONG, less), else_=body).label("body")
    less = sa.cast(sa.cast(body, postgresql.JSONB).op("-")("script"), sa.Text)
    kept = [sa.func.strpos(body, mark) == 0 for mark in ("\\u0000", "\\ud")]
    long = sa.func.length(body) > _LONG
    return sa.case((sa.and_(long, *kept), less), else_=body).label("body")
