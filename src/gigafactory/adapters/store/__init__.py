"""The store of the service: work asked for, what grid parties and people said, and who leads.

SQLite by default, PostgreSQL by URL, the same behind both. `Store.open` is the way in; `records` is
what it keeps; `StoreTrouble`, `KeyConflict` and `StaleLeader` are what it raises.

Knows tables, transactions and locks. Does not know what time it is (callers say), what a verdict is
based on, nor what a body means.
"""

from gigafactory.adapters.store.errors import KeyConflict, StaleLeader, StoreTrouble
from gigafactory.adapters.store.leading import Lease
from gigafactory.adapters.store.store import Store

__all__ = ["KeyConflict", "Lease", "StaleLeader", "Store", "StoreTrouble"]
