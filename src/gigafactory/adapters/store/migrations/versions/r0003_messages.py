"""An index by which a gateway finds the messages that wait, however many there are."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index messages by channel, direction and state."""
    op.create_index("message_state", "message", ["channel", "direction", "state", "seq"])
