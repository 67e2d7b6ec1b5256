"""Keeping a message under its id: the first one of an id stands."""

from __future__ import annotations

from gigafactory.adapters.store import KeyConflict, Store
from gigafactory.adapters.store.records import Message


def kept(store: Store, row: Message) -> tuple[Message, bool]:
    """Keep a message.

    Returns:
        The one that is kept under its id, and whether it is new. An older one with other bytes
        stands (a decision made before a crash carries another time stamp).
    """
    try:
        return store.put_message(row)
    except KeyConflict as conflict:
        first: Message = conflict.first
        return first, False
