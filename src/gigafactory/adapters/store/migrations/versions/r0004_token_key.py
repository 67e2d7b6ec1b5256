"""The keys under which tokens were made, so that making one can be asked for again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gigafactory.adapters.store.tables import Words

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of keys; tokens made before have none."""
    op.create_table(
        "token_key",
        sa.Column("key", Words, primary_key=True, nullable=False),
        sa.Column("token", Words, nullable=False),
    )
