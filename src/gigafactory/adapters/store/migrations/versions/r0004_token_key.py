"""The key under which a token was made, so that making it can be asked for again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gigafactory.adapters.store.tables import Words

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the key; tokens made before have none."""
    op.add_column("token", sa.Column("key", Words, nullable=True))
    op.create_index("token_key", "token", ["key"], unique=True)
