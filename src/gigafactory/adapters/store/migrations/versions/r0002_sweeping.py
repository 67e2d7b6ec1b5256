"""Indexes by which old work and old messages are found to be swept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index ends of work and ages of messages."""
    ended = sa.text("end_ns IS NOT NULL")
    op.create_index("work_end", "work", ["end_ns"], postgresql_where=ended, sqlite_where=ended)
    op.create_index("message_at", "message", ["at_ns"])
