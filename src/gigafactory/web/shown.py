"""Records of the store as callers read them: plain values, instants as text in UTC."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

from gigafactory.adapters.store.records import (
    Alarm,
    Anchor,
    AuditRow,
    KeptOrder,
    Message,
    Offer,
    Request,
    Token,
    Work,
    WorkReceipt,
)
from gigafactory.units import NS_PER_S

Plain = dict[str, Any]
Record = TypeVar("Record")

#: What a tenant asked that it reads back; its script is not repeated in lists.
_ASKED: Final = (
    "name",
    "job_class",
    "accelerators",
    "accelerators_min",
    "nodes",
    "walltime_s",
    "priority",
    "pool",
)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def stamp(instant_ns: int) -> str:
    """An instant as text, to the millisecond: `2026-11-28T12:00:00.000Z`."""
    seconds, rest_ns = divmod(instant_ns, NS_PER_S)
    return f"{_second(seconds)}.{rest_ns // 1_000_000:03d}Z"


@lru_cache(maxsize=8192)
def _second(seconds: int) -> str:
    """A second as text; callers look at the same work again and again."""
    return (_EPOCH + dt.timedelta(seconds=seconds)).isoformat()[:19]


def stamp_or_none(instant_ns: int | None) -> str | None:
    """An instant as text, or None."""
    return None if instant_ns is None else stamp(instant_ns)


def instant_of(text: str) -> int | None:
    """The instant a text names, ns UTC; None when it is none or says no zone."""
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        return None
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1000


def page(
    rows: Sequence[Record], limit: int, show: Callable[[Record], Plain], cursor: str | None
) -> Plain:
    """A page of a list.

    Args:
        rows: those of the page.
        limit: how many were asked for; fewer rows mean that it was the last page.
        show: one row as plain values.
        cursor: the place of the last row.
    """
    return {
        "items": [show(row) for row in rows],
        "next": cursor if len(rows) >= limit and rows else None,
    }


def work(one: Work) -> Plain:
    """A piece of work."""
    body = one.body
    return {
        "id": one.id,
        "tenant": one.tenant,
        "state": str(one.state),
        **{name: body.get(name) for name in _ASKED},
        "job": one.job,
        "why": one.why,
        "asked": stamp(one.asked_ns),
        "asked_by": one.by,
        "changed": stamp(one.changed_ns or one.asked_ns),
        "started": stamp_or_none(one.start_ns),
        "ended": stamp_or_none(one.end_ns),
        "cancel_asked": stamp_or_none(one.cancel_ns),
    }


def receipt(one: WorkReceipt) -> Plain:
    """What a piece of work took in a day."""
    return {
        "seq": one.seq,
        "work": one.work,
        "tenant": one.tenant,
        "day": one.day,
        "amounts": dict(one.body),
        "written": stamp(one.at_ns),
    }


def request(one: Request) -> Plain:
    """A change that an operator asked for."""
    return {
        "id": one.id,
        "kind": one.kind,
        "target": one.target,
        "body": dict(one.body),
        "reason": one.reason,
        "by": one.by,
        "asked": stamp(one.at_ns),
        "state": str(one.state),
        "outcome": one.outcome,
        "settled": stamp_or_none(one.settled_ns),
    }


def order(one: KeptOrder) -> Plain:
    """A grid order."""
    given = one.order
    return {
        "seq": one.seq,
        "key": given.key,
        "source": given.source,
        "kind": str(given.kind),
        "point": given.point,
        "power_mw": given.power_mw,
        "issued": stamp(given.issued_ns),
        "received": stamp(given.received_ns),
        "start": stamp(given.start_ns),
        "end": stamp(given.end_ns),
        "replaces": given.replaces,
        "verdict": str(one.verdict),
        "why": one.why,
        "judged": stamp_or_none(one.judged_ns),
    }


def offer(one: Offer) -> Plain:
    """A request for flexibility and our offer on it."""
    return {
        "id": f"{one.channel}:{one.key}",
        "channel": one.channel,
        "party": one.party,
        "point": one.point,
        "start": stamp(one.start_ns),
        "end": stamp(one.end_ns),
        "expires": stamp(one.expires_ns),
        "state": str(one.state),
        "why": one.why,
        "body": dict(one.body),
        "came": stamp(one.at_ns),
        "changed": stamp(one.changed_ns or one.at_ns),
    }


def alarm(one: Alarm) -> Plain:
    """An alarm."""
    return {
        "id": one.id,
        "kind": one.kind,
        "about": one.key,
        "text": one.text,
        "raised": stamp(one.raised_ns),
        "last": stamp(one.last_ns),
        "times": one.times,
        "cleared": stamp_or_none(one.cleared_ns),
    }


def message(one: Message) -> Plain:
    """A protocol message, its bytes in base 64."""
    return {
        "seq": one.seq,
        "channel": one.channel,
        "direction": one.direction,
        "message_id": one.message_id,
        "kind": one.kind,
        "conversation": one.conversation,
        "at": stamp(one.at_ns),
        "state": one.state,
        "body_base64": base64.b64encode(one.body).decode(),
    }


def token(one: Token) -> Plain:
    """A token without its secret."""
    return {
        "id": one.id,
        "label": one.label,
        "role": str(one.role),
        "party": one.party,
        "created": stamp(one.created_ns),
        "expires": stamp_or_none(one.expires_ns),
        "revoked": stamp_or_none(one.revoked_ns),
        "used": stamp_or_none(one.used_ns),
    }


def audit_row(one: AuditRow) -> Plain:
    """A line of the audit trail."""
    return {
        "seq": one.seq,
        "at": stamp(one.at_ns),
        "who": one.who,
        "role": one.role,
        "action": one.action,
        "target": one.target,
        "outcome": one.outcome,
        "detail": dict(one.detail),
        "hash": one.hash,
    }


def anchor(one: Anchor) -> Plain:
    """The end of the audit trail's chain on a day."""
    return {"day": one.day, "seq": one.seq, "hash": one.hash, "line": one.line}
