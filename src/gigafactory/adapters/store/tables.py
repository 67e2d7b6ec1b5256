"""The tables, as the newest revision leaves them.

Text is compared by its bytes on both engines (collation "C" on PostgreSQL, BINARY on SQLite), so
that both sort alike. JSON stands in text columns: it is read back whole and its bytes matter.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

Words: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Instant: Final = sa.BigInteger()
Number: Final = sa.BigInteger()

metadata: Final = sa.MetaData()


def _words(name: str, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, Words, primary_key=key, nullable=False)


def _instant(name: str, *, maybe: bool = False) -> sa.Column[int]:
    return sa.Column(name, Instant, nullable=maybe)


def _seq() -> sa.Column[int]:
    return sa.Column("seq", Number, primary_key=True, autoincrement=False)


work: Final = sa.Table(
    "work", metadata,
    _words("id", key=True),
    _words("tenant"),
    _words("idempotency_key"),
    _words("body"),
    _words("asked_by"),
    _instant("asked_ns"),
    _words("state"),
    _words("job"),
    _words("why"),
    _instant("changed_ns"),
    _instant("start_ns", maybe=True),
    _instant("end_ns", maybe=True),
    _instant("cancel_ns", maybe=True),
    _words("cancel_by"),
    _words("detail"),
    sa.Column("cancel_key", Words, nullable=True),
    sa.UniqueConstraint("tenant", "idempotency_key", name="work_key"),
)  # fmt: skip
sa.Index("work_tenant", work.c.tenant, work.c.id)
sa.Index("work_tenant_state", work.c.tenant, work.c.state, work.c.id)
sa.Index("work_state", work.c.state, work.c.id)
_TO_CANCEL: Final = sa.text("cancel_ns IS NOT NULL AND end_ns IS NULL")
sa.Index("work_cancel", work.c.id, postgresql_where=_TO_CANCEL, sqlite_where=_TO_CANCEL)
_HAS_KEY: Final = sa.text("cancel_key IS NOT NULL")
sa.Index(
    "work_cancel_key", work.c.cancel_by, work.c.cancel_key,
    unique=True, postgresql_where=_HAS_KEY, sqlite_where=_HAS_KEY,
)  # fmt: skip
_HAS_ENDED: Final = sa.text("end_ns IS NOT NULL")
sa.Index("work_end", work.c.end_ns, postgresql_where=_HAS_ENDED, sqlite_where=_HAS_ENDED)

grid_order: Final = sa.Table(
    "grid_order", metadata,
    _seq(),
    _words("key"),
    _words("source"),
    _words("kind"),
    _words("point"),
    sa.Column("power_mw", sa.Double(), nullable=False),
    _instant("issued_ns"),
    _instant("received_ns"),
    _instant("start_ns"),
    _instant("end_ns"),
    sa.Column("sequence", Number, nullable=False),
    _words("replaces"),
    _words("verdict"),
    _words("why"),
    _instant("judged_ns", maybe=True),
    sa.Column("body", sa.LargeBinary(), nullable=False),
    sa.UniqueConstraint("source", "key", name="grid_order_key"),
)  # fmt: skip
sa.Index("grid_order_end", grid_order.c.end_ns)

message: Final = sa.Table(
    "message", metadata,
    _words("channel"),
    _words("direction"),
    _words("message_id"),
    _words("kind"),
    _instant("at_ns"),
    sa.Column("body", sa.LargeBinary(), nullable=False),
    _words("conversation"),
    _words("state"),
    _words("detail"),
    _seq(),
    sa.UniqueConstraint("channel", "direction", "message_id", name="message_key"),
)  # fmt: skip
sa.Index("message_channel", message.c.channel, message.c.seq)
sa.Index("message_conversation", message.c.channel, message.c.conversation, message.c.seq)
sa.Index("message_at", message.c.at_ns)
sa.Index("message_state", message.c.channel, message.c.direction, message.c.state, message.c.seq)

request: Final = sa.Table(
    "request", metadata,
    _words("key"),
    _words("kind"),
    _words("target"),
    _words("body"),
    _words("reason"),
    _words("asked_by"),
    _instant("at_ns"),
    _words("role"),
    _words("id", key=True),
    _words("state"),
    _words("outcome"),
    _instant("settled_ns", maybe=True),
    sa.UniqueConstraint("key", name="request_key"),
)  # fmt: skip
sa.Index("request_state", request.c.state, request.c.id)

offer: Final = sa.Table(
    "offer", metadata,
    _words("channel", key=True),
    _words("key", key=True),
    _words("party"),
    _words("point"),
    _instant("start_ns"),
    _instant("end_ns"),
    _instant("expires_ns"),
    _words("body"),
    _instant("at_ns"),
    _words("state"),
    _words("why"),
    _instant("changed_ns"),
)  # fmt: skip
sa.Index("offer_at", offer.c.at_ns, offer.c.channel, offer.c.key)
sa.Index("offer_party", offer.c.party, offer.c.at_ns)

lease: Final = sa.Table(
    "lease", metadata,
    _words("name", key=True),
    sa.Column("epoch", Number, nullable=False),
    _words("holder"),
    _instant("at_ns"),
)  # fmt: skip

status: Final = sa.Table(
    "status", metadata,
    _words("kind", key=True),
    _instant("at_ns"),
    _words("body"),
)  # fmt: skip

alarm: Final = sa.Table(
    "alarm", metadata,
    _words("id", key=True),
    _words("kind"),
    _words("key"),
    _words("text"),
    _instant("raised_ns"),
    _instant("last_ns"),
    sa.Column("times", Number, nullable=False),
    _instant("cleared_ns", maybe=True),
)  # fmt: skip
OPEN_ALARM: Final = sa.text("cleared_ns IS NULL")
sa.Index(
    "alarm_open", alarm.c.kind, alarm.c.key,
    unique=True, postgresql_where=OPEN_ALARM, sqlite_where=OPEN_ALARM,
)  # fmt: skip

receipt: Final = sa.Table(
    "receipt", metadata,
    _words("work"),
    _words("tenant"),
    _words("day"),
    _words("body"),
    _instant("at_ns"),
    _seq(),
    sa.UniqueConstraint("work", "day", name="receipt_key"),
)  # fmt: skip
sa.Index("receipt_tenant", receipt.c.tenant, receipt.c.seq)

token: Final = sa.Table(
    "token", metadata,
    _words("id", key=True),
    _words("label"),
    _words("role"),
    _words("party"),
    _instant("created_ns"),
    _instant("expires_ns", maybe=True),
    _instant("revoked_ns", maybe=True),
    _instant("used_ns", maybe=True),
    _words("secret_sha256"),
)  # fmt: skip

#: Keys under which tokens were made.
token_key: Final = sa.Table(
    "token_key", metadata,
    _words("key", key=True),
    _words("token"),
)  # fmt: skip

audit: Final = sa.Table(
    "audit", metadata,
    _seq(),
    _instant("at_ns"),
    _words("who"),
    _words("role"),
    _words("action"),
    _words("target"),
    _words("outcome"),
    _words("detail"),
    _words("hash"),
)  # fmt: skip

#: The end of the audit trail: one row, whose lock makes the chain one chain.
chain: Final = sa.Table(
    "chain", metadata,
    sa.Column("one", sa.Integer(), primary_key=True, autoincrement=False),
    sa.Column("seq", Number, nullable=False),
    _words("hash"),
)  # fmt: skip

anchor: Final = sa.Table(
    "anchor", metadata,
    _words("day", key=True),
    sa.Column("seq", Number, nullable=False),
    _words("hash"),
)  # fmt: skip

#: Running numbers given in the order of commits: a reader who has seen n has seen all before n.
counter: Final = sa.Table(
    "counter", metadata,
    _words("name", key=True),
    sa.Column("value", Number, nullable=False),
)  # fmt: skip

#: Tables that came after the first revision, with theirs: an older backup is whole without them.
SINCE: Final = {"token_key": "0003"}

#: Tables whose rows somebody put there; the others only count or point.
CONTENT: Final = (
    work, grid_order, message, request, offer, status, alarm, receipt, token, audit, anchor
)  # fmt: skip
