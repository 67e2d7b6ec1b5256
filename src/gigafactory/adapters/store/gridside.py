"""What grid parties and operators said: orders, raw messages, requests, offers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import sqlalchemy as sa

from gigafactory.adapters.store.canon import (
    check_finite,
    check_texts,
    from_text,
    is_id,
    new_id,
    to_text,
)
from gigafactory.adapters.store.chaining import append
from gigafactory.adapters.store.database import Database
from gigafactory.adapters.store.errors import KeyConflict
from gigafactory.adapters.store.leading import Lease, hold
from gigafactory.adapters.store.numbering import next_numbers
from gigafactory.adapters.store.records import (
    Body,
    KeptOrder,
    Message,
    Offer,
    OfferState,
    Request,
    RequestState,
    Verdict,
)
from gigafactory.adapters.store.tables import grid_order, message, offer, request
from gigafactory.grid.ports import GridOrder, OrderKind

_ORDER_FIELDS: Final = (
    "key", "source", "kind", "point", "power_mw", "issued_ns", "received_ns", "start_ns", "end_ns",
    "sequence", "replaces",
)  # fmt: skip


def _order(row: Any) -> GridOrder:
    values = {name: getattr(row, name) for name in _ORDER_FIELDS}
    return GridOrder(**values | {"kind": OrderKind(row.kind)})


def _kept(row: Any) -> KeptOrder:
    return KeptOrder(
        row.seq, _order(row), Verdict(row.verdict), row.why, row.judged_ns, bytes(row.body)
    )


def _message(row: Any) -> Message:
    return Message(
        row.channel, row.direction, row.message_id, row.kind, row.at_ns, bytes(row.body),
        row.conversation, row.state, from_text(row.detail), row.seq,
    )  # fmt: skip


def _request(row: Any) -> Request:
    values: list[Any] = list(row)
    values[3] = from_text(values[3])
    values[9] = RequestState(values[9])
    return Request(*values)


def _offer(row: Any) -> Offer:
    values: list[Any] = list(row)
    values[7] = from_text(values[7])
    values[9] = OfferState(values[9])
    return Offer(*values)


class GridSide:
    """The store's part for grid parties and operators."""

    _db: Database

    def put_order(self, order: GridOrder, body: bytes = b"") -> bool:
        """Keep what a grid party ordered; the same key of the same source again changes nothing.

        Returns:
            Whether it is new.
        """
        check_texts("order", source_id=order.source, key=order.key, point=order.point)
        check_finite("order", power_mw=order.power_mw)
        values = {name: getattr(order, name) for name in _ORDER_FIELDS} | {
            "kind": order.kind.value,
            "verdict": Verdict.WAITING.value,
            "why": "",
            "judged_ns": None,
            "body": body,
        }
        there = sa.select(grid_order.c.seq).where(
            grid_order.c.source == order.source, grid_order.c.key == order.key
        )

        def put(conn: sa.Connection) -> bool:
            if conn.execute(there).first() is not None:
                return False
            seq = next_numbers(self._db, conn, "grid_order")
            conn.execute(sa.insert(grid_order).values(**values, seq=seq))
            return True

        return self._db.write(put)

    def orders_after(self, seq: int, limit: int = 1000) -> list[tuple[int, GridOrder]]:
        """Orders that came after a number, in the order they came; none is ever missed."""
        asked = (
            sa.select(*(c for c in grid_order.columns if c.name != "body"))
            .where(grid_order.c.seq > seq)
            .order_by(grid_order.c.seq)
            .limit(limit)
        )
        rows = self._db.read(lambda conn: conn.execute(asked).all())
        return [(row.seq, _order(row)) for row in rows]

    def judge_order(
        self, source: str, key: str, verdict: Verdict, why: str, at_ns: int, lease: Lease
    ) -> None:
        """Keep what the controller made of an order.

        Raises:
            StaleLeader: another controller leads by now; nothing was changed.
        """
        check_texts("order", why=why)
        change = (
            sa.update(grid_order)
            .where(grid_order.c.source == source, grid_order.c.key == key)
            .values(verdict=Verdict(verdict).value, why=why, judged_ns=at_ns)
        )

        def judge(conn: sa.Connection) -> None:
            hold(self._db, conn, lease)
            conn.execute(change)

        self._db.write(judge)

    def orders(
        self,
        now_ns: int | None = None,
        *,
        source: str | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> list[KeptOrder]:
        """Orders in the order they came, with their verdicts.

        Args:
            now_ns: only those in force then or later; all for None.
            source: only its; all for None.
            after: the number of the last row of the page before.
            limit: of rows.
        """
        asked = sa.select(grid_order).where(grid_order.c.seq > after)
        if now_ns is not None:
            asked = asked.where(grid_order.c.end_ns > now_ns)
        if source is not None:
            asked = asked.where(grid_order.c.source == source)
        asked = asked.order_by(grid_order.c.seq).limit(limit)
        return [_kept(row) for row in self._db.read(lambda conn: conn.execute(asked).all())]

    def put_message(self, given: Message) -> tuple[Message, bool]:
        """Keep a raw message; the same id with the same bytes again is the same message.

        Returns:
            The message as kept, and whether it is new.

        Raises:
            KeyConflict: the id was used before for other bytes.
        """
        check_texts(
            "message", channel=given.channel, message_id=given.message_id, kind=given.kind,
            conversation_id=given.conversation, state=given.state,
        )  # fmt: skip
        values = {
            "channel": given.channel,
            "direction": given.direction,
            "message_id": given.message_id,
            "kind": given.kind,
            "at_ns": given.at_ns,
            "body": given.body,
            "conversation": given.conversation,
            "state": given.state,
            "detail": to_text(given.detail),
        }

        def put(conn: sa.Connection) -> tuple[Any, bool]:
            asked = _one_message(given.channel, given.direction, given.message_id)
            row = conn.execute(asked).one_or_none()
            if row is not None:
                return row, False
            seq = next_numbers(self._db, conn, "message")
            conn.execute(sa.insert(message).values(**values, seq=seq))
            return conn.execute(asked).one(), True

        row, fresh = self._db.write(put)
        found = _message(row)
        if found.body != given.body:
            raise KeyConflict(given.message_id, found)
        return found, fresh

    def message(self, channel: str, direction: str, message_id: str) -> Message | None:
        """One message by its id."""
        asked = _one_message(channel, direction, message_id)
        row = self._db.read(lambda conn: conn.execute(asked).one_or_none())
        return None if row is None else _message(row)

    def messages(
        self,
        channel: str,
        *,
        direction: str | None = None,
        conversation: str | None = None,
        states: Collection[str] | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> list[Message]:
        """Messages of a channel in the order they were kept, from after a number on."""
        asked = sa.select(message).where(message.c.channel == channel, message.c.seq > after)
        if direction is not None:
            asked = asked.where(message.c.direction == direction)
        if conversation is not None:
            asked = asked.where(message.c.conversation == conversation)
        if states is not None:
            asked = asked.where(message.c.state.in_(sorted(states)))
        asked = asked.order_by(message.c.seq).limit(limit)
        return [_message(row) for row in self._db.read(lambda conn: conn.execute(asked).all())]

    def note_message(
        self,
        channel: str,
        direction: str,
        message_id: str,
        state: str,
        detail: Body | None = None,
    ) -> None:
        """Keep where a message stands; its detail stays where none is given."""
        check_texts("message", state=state)
        values: dict[str, Any] = {"state": state}
        if detail is not None:
            values["detail"] = to_text(detail)
        change = sa.update(message).where(*_is(channel, direction, message_id)).values(**values)
        self._db.write(lambda conn: conn.execute(change))

    def put_request(self, given: Request) -> tuple[Request, bool]:
        """Keep a change an operator asks for, and the line of the audit trail with it.

        Returns:
            The request as kept, and whether it is new.

        Raises:
            KeyConflict: the key was used before for something else.
        """
        check_texts(
            "request", key=given.key, kind=given.kind, target=given.target, reason=given.reason,
            by=given.by, role=given.role,
        )  # fmt: skip
        body = to_text(given.body)
        name = new_id(given.at_ns)
        values = {
            "key": given.key,
            "kind": given.kind,
            "target": given.target,
            "body": body,
            "reason": given.reason,
            "asked_by": given.by,
            "at_ns": given.at_ns,
            "role": given.role,
            "id": name,
            "state": RequestState.ASKED.value,
            "outcome": "",
            "settled_ns": None,
        }
        insert = self._db.insert(request).values(values).on_conflict_do_nothing()
        there = sa.select(request).where(request.c.key == given.key)
        detail = {"kind": given.kind, "reason": given.reason, "values": given.body}

        def put(conn: sa.Connection) -> tuple[Any, bool]:
            fresh = conn.execute(insert.returning(request.c.id)).first() is not None
            if fresh:
                append(
                    self._db, conn, given.by, given.role, given.kind, given.target, "accepted",
                    given.at_ns, detail | {"request": name},
                )  # fmt: skip
            return conn.execute(there).one(), fresh

        row, fresh = self._db.write(put)
        found = _request(row)
        if (row.kind, row.target, row.body) != (given.kind, given.target, body):
            raise KeyConflict(given.key, found)
        return found, fresh

    def requests(
        self,
        states: Collection[RequestState] | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[Request]:
        """Requests in the order they were made, from after a name on."""
        asked = sa.select(request).order_by(request.c.id).limit(limit)
        if states is not None:
            asked = asked.where(request.c.state.in_(sorted(states)))
        if after is not None:
            asked = asked.where(request.c.id > after)
        return [_request(row) for row in self._db.read(lambda conn: conn.execute(asked).all())]

    def request(self, id: str) -> Request | None:  # noqa: A002
        """One request by its name."""
        if not is_id(id):
            return None
        asked = sa.select(request).where(request.c.id == id)
        row = self._db.read(lambda conn: conn.execute(asked).one_or_none())
        return None if row is None else _request(row)

    def settle_request(
        self,
        id: str,  # noqa: A002
        state: RequestState,
        outcome: str,
        at_ns: int,
        lease: Lease,
    ) -> None:
        """Keep what became of a request; the first word stands.

        Raises:
            StaleLeader: another controller leads by now; nothing was changed.
        """
        check_texts("request", outcome=outcome)
        change = (
            sa.update(request)
            .where(request.c.id == id, request.c.state == RequestState.ASKED.value)
            .values(state=RequestState(state).value, outcome=outcome, settled_ns=at_ns)
        )

        def settle(conn: sa.Connection) -> None:
            hold(self._db, conn, lease)
            conn.execute(change)

        self._db.write(settle)

    def put_offer(self, given: Offer) -> tuple[Offer, bool]:
        """Keep a request for flexibility; the same key of a channel again changes nothing.

        Returns:
            The offer as kept, and whether it is new.
        """
        check_texts(
            "offer", channel=given.channel, key=given.key, party=given.party, point=given.point,
            why=given.why,
        )  # fmt: skip
        values = {
            "channel": given.channel,
            "key": given.key,
            "party": given.party,
            "point": given.point,
            "start_ns": given.start_ns,
            "end_ns": given.end_ns,
            "expires_ns": given.expires_ns,
            "body": to_text(given.body),
            "at_ns": given.at_ns,
            "state": given.state.value,
            "why": given.why,
            "changed_ns": given.changed_ns or given.at_ns,
        }
        insert = self._db.insert(offer).values(values).on_conflict_do_nothing()
        there = sa.select(offer).where(offer.c.channel == given.channel, offer.c.key == given.key)

        def put(conn: sa.Connection) -> tuple[Any, bool]:
            fresh = conn.execute(insert.returning(offer.c.key)).first() is not None
            return conn.execute(there).one(), fresh

        row, fresh = self._db.write(put)
        return _offer(row), fresh

    def offer(self, channel: str, key: str) -> Offer | None:
        """One offer by its channel and the channel's name for it."""
        asked = sa.select(offer).where(offer.c.channel == channel, offer.c.key == key)
        row = self._db.read(lambda conn: conn.execute(asked).one_or_none())
        return None if row is None else _offer(row)

    def offers(
        self,
        *,
        channel: str | None = None,
        party: str | None = None,
        states: Collection[OfferState] | None = None,
        after: tuple[int, str, str] | None = None,
        limit: int = 1000,
    ) -> list[Offer]:
        """Offers in the order the requests for them came.

        Args:
            channel: only its; all for None.
            party: only those it asked for; all for None.
            states: only these; all for None.
            after: instant, channel and key of the last row of the page before.
            limit: of rows.
        """
        place = (offer.c.at_ns, offer.c.channel, offer.c.key)
        asked = sa.select(offer).order_by(*place).limit(limit)
        if channel is not None:
            asked = asked.where(offer.c.channel == channel)
        if party is not None:
            asked = asked.where(offer.c.party == party)
        if states is not None:
            asked = asked.where(offer.c.state.in_(sorted(states)))
        if after is not None:
            asked = asked.where(sa.tuple_(*place) > sa.tuple_(*after))
        return [_offer(row) for row in self._db.read(lambda conn: conn.execute(asked).all())]

    def settle_offer(
        self,
        channel: str,
        key: str,
        state: OfferState,
        at_ns: int,
        why: str = "",
        body: Body | None = None,
        *,
        was: Collection[OfferState] | None = None,
    ) -> Offer | None:
        """Bring an offer to a state.

        Args:
            channel: it came by.
            key: the channel's name for it.
            state: the new one.
            at_ns: when, ns UTC.
            why: in words.
            body: in place of the one kept; that stays for None.
            was: only where its state is one of these; whatever it is for None.

        Returns:
            The offer as it is then; None where nothing was changed.
        """
        check_texts("offer", why=why)
        values = {"state": OfferState(state).value, "why": why, "changed_ns": at_ns}
        if body is not None:
            values["body"] = to_text(body)
        change = sa.update(offer).where(offer.c.channel == channel, offer.c.key == key)
        if was is not None:
            change = change.where(offer.c.state.in_(sorted(was)))
        done = change.values(**values).returning(*offer.columns)
        row = self._db.write(lambda conn: conn.execute(done).one_or_none())
        return None if row is None else _offer(row)


def _is(channel: str, direction: str, message_id: str) -> tuple[Any, ...]:
    return (
        message.c.channel == channel,
        message.c.direction == direction,
        message.c.message_id == message_id,
    )


def _one_message(channel: str, direction: str, message_id: str) -> Any:
    return sa.select(message).where(*_is(channel, direction, message_id))
