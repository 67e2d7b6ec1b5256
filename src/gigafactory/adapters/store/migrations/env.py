"""Alembic's environment: the connection is given by `migrating`, or made from `-x url=...`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from gigafactory.adapters.store.tables import metadata


def _run(connection: sa.Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata)
    context.run_migrations()


_given = context.config.attributes.get("connection")
if _given is not None:
    _run(_given)
else:
    with sa.create_engine(context.get_x_argument(as_dictionary=True)["url"]).begin() as _connection:
        _run(_connection)
