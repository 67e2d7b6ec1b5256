"""The store of the service: work asked for, what grid parties and people said, and who leads."""

from gigafactory.adapters.store.errors import KeyConflict, StaleLeader, StoreTrouble
from gigafactory.adapters.store.store import Lease, Store

__all__ = ["KeyConflict", "Lease", "StaleLeader", "Store", "StoreTrouble"]
