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

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _where(condition: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}


def upgrade() -> None:
    """Make every table, and the begin of the audit trail's chain."""
    op.create_table(
        "alarm",
        sa.Column("id", WORDS, nullable=False, primary_key=True),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("key", WORDS, nullable=False),
        sa.Column("text", WORDS, nullable=False),
        sa.Column("raised_ns", sa.BigInteger(), nullable=False),
        sa.Column("last_ns", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("cleared_ns", sa.BigInteger(), nullable=True),
    )
    op.create_index(
        "alarm_open", "alarm", ["kind", "key"], unique=True, **_where("cleared_ns IS NULL")
    )
    op.create_table(
        "anchor",
        sa.Column("day", WORDS, nullable=False, primary_key=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", WORDS, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger(), nullable=False, primary_key=True, autoincrement=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("who", WORDS, nullable=False),
        sa.Column("role", WORDS, nullable=False),
        sa.Column("action", WORDS, nullable=False),
        sa.Column("target", WORDS, nullable=False),
        sa.Column("outcome", WORDS, nullable=False),
        sa.Column("detail", WORDS, nullable=False),
        sa.Column("hash", WORDS, nullable=False),
    )
    op.create_table(
        "chain",
        sa.Column("one", sa.Integer(), nullable=False, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", WORDS, nullable=False),
    )
    op.create_table(
        "counter",
        sa.Column("name", WORDS, nullable=False, primary_key=True),
        sa.Column("value", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "grid_order",
        sa.Column("seq", sa.BigInteger(), nullable=False, primary_key=True, autoincrement=False),
        sa.Column("key", WORDS, nullable=False),
        sa.Column("source", WORDS, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("point", WORDS, nullable=False),
        sa.Column("power_mw", sa.Double(), nullable=False),
        sa.Column("issued_ns", sa.BigInteger(), nullable=False),
        sa.Column("received_ns", sa.BigInteger(), nullable=False),
        sa.Column("start_ns", sa.BigInteger(), nullable=False),
        sa.Column("end_ns", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("replaces", WORDS, nullable=False),
        sa.Column("verdict", WORDS, nullable=False),
        sa.Column("why", WORDS, nullable=False),
        sa.Column("judged_ns", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("source", "key", name="grid_order_key"),
    )
    op.create_index("grid_order_end", "grid_order", ["end_ns"])
    op.create_table(
        "lease",
        sa.Column("name", WORDS, nullable=False, primary_key=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("holder", WORDS, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "message",
        sa.Column("channel", WORDS, nullable=False),
        sa.Column("direction", WORDS, nullable=False),
        sa.Column("message_id", WORDS, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("conversation", WORDS, nullable=False),
        sa.Column("state", WORDS, nullable=False),
        sa.Column("detail", WORDS, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False, primary_key=True, autoincrement=False),
        sa.UniqueConstraint("channel", "direction", "message_id", name="message_key"),
    )
    op.create_index("message_channel", "message", ["channel", "seq"])
    op.create_index("message_conversation", "message", ["channel", "conversation", "seq"])
    op.create_table(
        "offer",
        sa.Column("channel", WORDS, nullable=False, primary_key=True),
        sa.Column("key", WORDS, nullable=False, primary_key=True),
        sa.Column("party", WORDS, nullable=False),
        sa.Column("point", WORDS, nullable=False),
        sa.Column("start_ns", sa.BigInteger(), nullable=False),
        sa.Column("end_ns", sa.BigInteger(), nullable=False),
        sa.Column("expires_ns", sa.BigInteger(), nullable=False),
        sa.Column("body", WORDS, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", WORDS, nullable=False),
        sa.Column("why", WORDS, nullable=False),
        sa.Column("changed_ns", sa.BigInteger(), nullable=False),
    )
    op.create_index("offer_at", "offer", ["at_ns", "channel", "key"])
    op.create_index("offer_party", "offer", ["party", "at_ns"])
    op.create_table(
        "receipt",
        sa.Column("work", WORDS, nullable=False),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("day", WORDS, nullable=False),
        sa.Column("body", WORDS, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False, primary_key=True, autoincrement=False),
        sa.UniqueConstraint("work", "day", name="receipt_key"),
    )
    op.create_index("receipt_tenant", "receipt", ["tenant", "seq"])
    op.create_table(
        "request",
        sa.Column("key", WORDS, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("target", WORDS, nullable=False),
        sa.Column("body", WORDS, nullable=False),
        sa.Column("reason", WORDS, nullable=False),
        sa.Column("asked_by", WORDS, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("role", WORDS, nullable=False),
        sa.Column("id", WORDS, nullable=False, primary_key=True),
        sa.Column("state", WORDS, nullable=False),
        sa.Column("outcome", WORDS, nullable=False),
        sa.Column("settled_ns", sa.BigInteger(), nullable=True),
        sa.UniqueConstraint("key", name="request_key"),
    )
    op.create_index("request_state", "request", ["state", "id"])
    op.create_table(
        "status",
        sa.Column("kind", WORDS, nullable=False, primary_key=True),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("body", WORDS, nullable=False),
    )
    op.create_table(
        "token",
        sa.Column("id", WORDS, nullable=False, primary_key=True),
        sa.Column("label", WORDS, nullable=False),
        sa.Column("role", WORDS, nullable=False),
        sa.Column("party", WORDS, nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("expires_ns", sa.BigInteger(), nullable=True),
        sa.Column("revoked_ns", sa.BigInteger(), nullable=True),
        sa.Column("used_ns", sa.BigInteger(), nullable=True),
        sa.Column("secret_sha256", WORDS, nullable=False),
    )
    op.create_table(
        "work",
        sa.Column("id", WORDS, nullable=False, primary_key=True),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("idempotency_key", WORDS, nullable=False),
        sa.Column("body", WORDS, nullable=False),
        sa.Column("asked_by", WORDS, nullable=False),
        sa.Column("asked_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", WORDS, nullable=False),
        sa.Column("job", WORDS, nullable=False),
        sa.Column("why", WORDS, nullable=False),
        sa.Column("changed_ns", sa.BigInteger(), nullable=False),
        sa.Column("start_ns", sa.BigInteger(), nullable=True),
        sa.Column("end_ns", sa.BigInteger(), nullable=True),
        sa.Column("cancel_ns", sa.BigInteger(), nullable=True),
        sa.Column("cancel_by", WORDS, nullable=False),
        sa.Column("detail", WORDS, nullable=False),
        sa.Column("cancel_key", WORDS, nullable=True),
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
    genesis = hashlib.sha256(b"gigafactory audit trail 1").hexdigest()
    op.execute(f"INSERT INTO chain (one, seq, hash) VALUES (1, 0, '{genesis}')")  # noqa: S608
