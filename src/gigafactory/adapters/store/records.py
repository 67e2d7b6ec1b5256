"""What the store keeps, as frozen records, and the words their states are told in.

All instants are ns UTC and given by the caller: the store has no clock. Bodies are plain JSON
values that are read back whole; nothing is looked up inside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from gigafactory.grid.ports import GridOrder

Body = Mapping[str, Any]
NOTHING: Final[Body] = MappingProxyType({})


class WorkState(StrEnum):
    """Where a piece of work stands, as its tenant is told."""

    ASKED = "asked"  # in the store, not yet handed to the workload manager
    PLACED = "placed"  # with the workload manager, held or queued
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    REFUSED = "refused"  # never ran: it broke a rule, and `why` says which


#: States that nothing follows.
ENDED: Final = frozenset(
    {
        WorkState.COMPLETED,
        WorkState.FAILED,
        WorkState.CANCELLED,
        WorkState.TIMED_OUT,
        WorkState.REFUSED,
    }
)


class Verdict(StrEnum):
    """What became of a grid order."""

    WAITING = "waiting"  # nobody has looked at it yet
    TAKEN = "taken"
    REFUSED = "refused"


class RequestState(StrEnum):
    """What became of an operator's request."""

    ASKED = "asked"
    DONE = "done"
    REFUSED = "refused"


class OfferState(StrEnum):
    """Where a flexibility request, and our offer on it, stands."""

    REQUESTED = "requested"  # the grid party asked; nothing is offered yet
    OFFERED = "offered"
    ACCEPTED = "accepted"  # by the operator's word or the grid party's order
    REFUSED = "refused"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    SETTLED = "settled"


class Role(StrEnum):
    """What a token may do; its party is the tenant, grid operator or energy partner it is for."""

    TENANT = "tenant"
    OPERATOR = "operator"
    GRID_OPERATOR = "grid_operator"
    ENERGY_PARTNER = "energy_partner"
    AUDITOR = "auditor"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Asked:
    """Work a tenant asks for.

    Attributes:
        tenant: whose it is.
        idempotency_key: the tenant's own; the same key with the same body is the same work.
        body: what is asked, as JSON values: the fields of `jobs.WorkOrder` without key and tenant.
        by: who asked (a token's id or a subject), for the audit trail.
        at_ns: when, ns UTC.
        role: of who asked, for the audit trail.
    """

    tenant: str
    idempotency_key: str
    body: Body
    by: str
    at_ns: int
    role: str = Role.TENANT


@dataclass(frozen=True, slots=True)
class Work:
    """A piece of work a tenant asked for.

    Attributes:
        id: its name, time-ordered, given by the store; the `key` of its `jobs.WorkOrder`.
        tenant: whose it is.
        idempotency_key: the tenant's own.
        body: what was asked.
        by: who asked.
        asked_ns: when, ns UTC.
        state: where it stands.
        job: the workload manager's name for it; empty before it is placed.
        why: why it waits, or why it ended so.
        changed_ns: instant of the latest change, ns UTC.
        start_ns: its latest start, ns UTC; None before the first.
        end_ns: its end, ns UTC; None before it.
        cancel_ns: when its end was asked for, ns UTC; None when it was not.
        cancel_by: who asked.
        detail: what else the controller has to say, as JSON values.
    """

    id: str
    tenant: str
    idempotency_key: str
    body: Body
    by: str
    asked_ns: int
    state: WorkState
    job: str = ""
    why: str = ""
    changed_ns: int = 0
    start_ns: int | None = None
    end_ns: int | None = None
    cancel_ns: int | None = None
    cancel_by: str = ""
    detail: Body = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkChange:
    """What the controller has seen of a piece of work; None leaves a field as it is.

    Work that has ended stays so: a change to it has no effect.
    """

    id: str
    state: WorkState
    at_ns: int
    job: str | None = None
    why: str | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    detail: Body | None = None


@dataclass(frozen=True, slots=True)
class KeptOrder:
    """A grid order as kept.

    Attributes:
        seq: its place in order of arrival, from 1, without gaps.
        order: the order.
        verdict: what became of it.
        why: why refused.
        judged_ns: when it was judged, ns UTC; None before.
        body: the raw message it came in.
    """

    seq: int
    order: GridOrder
    verdict: Verdict
    why: str = ""
    judged_ns: int | None = None
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Message:
    """A raw protocol message, in or out.

    Attributes:
        channel: `gopacs`, `openadr`, ...
        direction: `in` or `out`.
        message_id: the protocol's own id; unique per channel and direction.
        kind: the protocol's own word for it, such as `FlexRequest`.
        conversation: what it belongs to, such as a conversation id; empty for none.
        at_ns: received or written, ns UTC.
        body: the raw bytes.
        state: the channel's own word for where it stands, such as `new`, `answered`, `sent`.
        detail: what else the channel keeps with it.
        seq: its place in order of arrival, from 1; given by the store.
    """

    channel: str
    direction: str
    message_id: str
    kind: str
    at_ns: int
    body: bytes
    conversation: str = ""
    state: str = "new"
    detail: Body = field(default_factory=dict)
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """A change an operator asks for.

    Attributes:
        id: time-ordered, given by the store (empty in what is put).
        key: idempotency key, unique.
        kind: `limit`, `accept_offer`, `refuse_offer`, `override`, `drain`, `undrain`, ...
        target: what it is about: a point, an offer, a node.
        body: its values.
        reason: why, in the operator's words.
        by: who asked.
        at_ns: when, ns UTC.
        role: of who asked.
        state: what became of it.
        outcome: in words.
        settled_ns: when, ns UTC; None before.
    """

    key: str
    kind: str
    target: str
    body: Body
    reason: str
    by: str
    at_ns: int
    role: str = Role.OPERATOR
    id: str = ""
    state: RequestState = RequestState.ASKED
    outcome: str = ""
    settled_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A request for flexibility and what is offered on it.

    Attributes:
        channel: it came by.
        key: the channel's name for it; unique per channel.
        party: who asks, the name a grid operator's token carries.
        point: the connection it is about.
        start_ns: begin, ns UTC.
        end_ns: end, ns UTC.
        expires_ns: an offer after this instant is void, ns UTC.
        body: the periods, powers and prices, as the channel keeps them.
        state: where it stands.
        why: why refused or withdrawn.
        at_ns: when it came, ns UTC.
        changed_ns: latest change, ns UTC.
    """

    channel: str
    key: str
    party: str
    point: str
    start_ns: int
    end_ns: int
    expires_ns: int
    body: Body
    at_ns: int
    state: OfferState = OfferState.REQUESTED
    why: str = ""
    changed_ns: int = 0


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something a person should know. One is open per (kind, key) at a time.

    Attributes:
        id: time-ordered, given by the store.
        kind: what it is, such as `store`, `stale_meter`, `forged_message`.
        key: what it is about.
        text: in plain words, as first raised.
        raised_ns: when first, ns UTC.
        last_ns: when last raised again, ns UTC.
        times: how often.
        cleared_ns: when it passed, ns UTC; None while open.
    """

    id: str
    kind: str
    key: str
    text: str
    raised_ns: int
    last_ns: int
    times: int
    cleared_ns: int | None = None


@dataclass(frozen=True, slots=True)
class WorkReceipt:
    """What a piece of work took in a day, from the sealed ledger.

    Attributes:
        work: the work's id.
        tenant: whose it is.
        day: the local market day, such as `2026-11-28`; one receipt per work and day.
        body: amounts by commodity, as integers in the ledger's units.
        at_ns: when it was written, ns UTC.
        seq: its place in order of writing, from 1; given by the store.
    """

    work: str
    tenant: str
    day: str
    body: Body
    at_ns: int
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the API, without its secret.

    Attributes:
        id: its public name, the middle part of the secret.
        label: what it is for, in its owner's words.
        role: what it may do.
        party: for whom it speaks; empty where a role has none.
        created_ns: when, ns UTC.
        expires_ns: not valid from then on, ns UTC; None for never.
        revoked_ns: when it was revoked, ns UTC; None when it was not.
        used_ns: when it was last used, to the hour; None when never.
    """

    id: str
    label: str
    role: Role
    party: str
    created_ns: int
    expires_ns: int | None = None
    revoked_ns: int | None = None
    used_ns: int | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line of the audit trail.

    Attributes:
        seq: its place, from 1, without gaps.
        at_ns: when, ns UTC.
        who: the token's id or the subject.
        role: theirs.
        action: what was done or tried, such as `submit`.
        target: to what.
        outcome: `accepted`, `refused`, `repeated`, ...
        detail: what else, as JSON values; never a secret.
        hash: SHA-256, hexadecimal, over the hash before and the canonical row.
    """

    seq: int
    at_ns: int
    who: str
    role: str
    action: str
    target: str
    outcome: str
    detail: Body
    hash: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """The end of the audit trail's chain on a day, to be kept elsewhere.

    Attributes:
        day: such as `2026-11-28`, UTC.
        seq: the last row of the day, or the last before it.
        hash: its hash.
        line: the same as one line of JSON, to export.
    """

    day: str
    seq: int
    hash: str
    line: str


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows a sweep took away, by table."""

    rows: Mapping[str, int]
