"""The first tables."""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table, and the begin of the audit trail's chain."""
    _work()
    _grid_side()
    _leading()
    _people()
    genesis = hashlib.sha256(b"gigafactory audit trail 1").hexdigest()
    op.execute(f"INSERT INTO chain (one, seq, hash) VALUES (1, 0, '{genesis}')")  # noqa: S608


def _columns(kind: Any, names: tuple[str, ...], key: bool, maybe: bool) -> list[sa.Column[Any]]:
    return [
        sa.Column(name, kind, primary_key=key, autoincrement=False, nullable=maybe)
        for name in names
    ]


def _words(*names: str, key: bool = False, maybe: bool = False) -> list[sa.Column[Any]]:
    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return _columns(kind, names, key, maybe)


def _whole(*names: str, key: bool = False, maybe: bool = False) -> list[sa.Column[Any]]:
    return _columns(sa.BigInteger(), names, key, maybe)


def _small(*names: str, key: bool = False) -> list[sa.Column[Any]]:
    return _columns(sa.Integer(), names, key, maybe=False)


def _bytes(*names: str) -> list[sa.Column[Any]]:
    return _columns(sa.LargeBinary(), names, key=False, maybe=False)


def _reals(*names: str) -> list[sa.Column[Any]]:
    return _columns(sa.Double(), names, key=False, maybe=False)


def _where(condition: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}


def _work() -> None:
    """Work asked for."""
    op.create_table(
        "work",
        *_words("id", key=True),
        *_words("tenant", "idempotency_key", "body", "asked_by"),
        *_whole("asked_ns"),
        *_words("state", "job", "why"),
        *_whole("changed_ns"),
        *_whole("start_ns", "end_ns", "cancel_ns", maybe=True),
        *_words("cancel_by", "detail"),
        *_words("cancel_key", maybe=True),
        sa.UniqueConstraint("tenant", "idempotency_key", name="work_key"),
    )
    op.create_index(
        "work_cancel", "work", ["id"], **_where("cancel_ns IS NOT NULL AND end_ns IS NULL")
    )
    op.create_index(
        "work_cancel_key",
        "work",
        ["cancel_by", "cancel_key"],
        unique=True,
        **_where("cancel_key IS NOT NULL"),
    )
    op.create_index("work_state", "work", ["state", "id"])
    op.create_index("work_tenant", "work", ["tenant", "id"])
    op.create_index("work_tenant_state", "work", ["tenant", "state", "id"])


def _grid_side() -> None:
    """What grid parties and operators said."""
    op.create_table(
        "grid_order",
        *_whole("seq", key=True),
        *_words("key", "source", "kind", "point"),
        *_reals("power_mw"),
        *_whole("issued_ns", "received_ns", "start_ns", "end_ns", "sequence"),
        *_words("replaces", "verdict", "why"),
        *_whole("judged_ns", maybe=True),
        *_bytes("body"),
        sa.UniqueConstraint("source", "key", name="grid_order_key"),
    )
    op.create_index("grid_order_end", "grid_order", ["end_ns"])
    op.create_table(
        "message",
        *_words("channel", "direction", "message_id", "kind"),
        *_whole("at_ns"),
        *_bytes("body"),
        *_words("conversation", "state", "detail"),
        *_whole("seq", key=True),
        sa.UniqueConstraint("channel", "direction", "message_id", name="message_key"),
    )
    op.create_index("message_channel", "message", ["channel", "seq"])
    op.create_index("message_conversation", "message", ["channel", "conversation", "seq"])
    op.create_table(
        "request",
        *_words("key", "kind", "target", "body", "reason", "asked_by"),
        *_whole("at_ns"),
        *_words("role"),
        *_words("id", key=True),
        *_words("state", "outcome"),
        *_whole("settled_ns", maybe=True),
        sa.UniqueConstraint("key", name="request_key"),
    )
    op.create_index("request_state", "request", ["state", "id"])
    op.create_table(
        "offer",
        *_words("channel", "key", key=True),
        *_words("party", "point"),
        *_whole("start_ns", "end_ns", "expires_ns"),
        *_words("body"),
        *_whole("at_ns"),
        *_words("state", "why"),
        *_whole("changed_ns"),
    )
    op.create_index("offer_at", "offer", ["at_ns", "channel", "key"])
    op.create_index("offer_party", "offer", ["party", "at_ns"])


def _leading() -> None:
    """Who leads, and what the controller says."""
    op.create_table(
        "lease",
        *_words("name", key=True),
        *_whole("epoch"),
        *_words("holder"),
        *_whole("at_ns"),
    )
    op.create_table(
        "status",
        *_words("kind", key=True),
        *_whole("at_ns"),
        *_words("body"),
    )
    op.create_table(
        "alarm",
        *_words("id", key=True),
        *_words("kind", "key", "text"),
        *_whole("raised_ns", "last_ns", "times"),
        *_whole("cleared_ns", maybe=True),
    )
    op.create_index(
        "alarm_open", "alarm", ["kind", "key"], unique=True, **_where("cleared_ns IS NULL")
    )
    op.create_table(
        "receipt",
        *_words("work", "tenant", "day", "body"),
        *_whole("at_ns"),
        *_whole("seq", key=True),
        sa.UniqueConstraint("work", "day", name="receipt_key"),
    )
    op.create_index("receipt_tenant", "receipt", ["tenant", "seq"])
    op.create_table(
        "counter",
        *_words("name", key=True),
        *_whole("value"),
    )


def _people() -> None:
    """Who may come in, and the audit trail."""
    op.create_table(
        "token",
        *_words("id", key=True),
        *_words("label", "role", "party"),
        *_whole("created_ns"),
        *_whole("expires_ns", "revoked_ns", "used_ns", maybe=True),
        *_words("secret_sha256"),
    )
    op.create_table(
        "audit",
        *_whole("seq", key=True),
        *_whole("at_ns"),
        *_words("who", "role", "action", "target", "outcome", "detail", "hash"),
    )
    op.create_table(
        "chain",
        *_small("one", key=True),
        *_whole("seq"),
        *_words("hash"),
    )
    op.create_table(
        "anchor",
        *_words("day", key=True),
        *_whole("seq"),
        *_words("hash"),
    )
