"""Another process that uses a store: ``python -m tests.adapters.store.child WHAT URL``.

Says `ready` and waits for a line before it begins, so that several begin at once; answers each
further line with a line of JSON.
"""

from __future__ import annotations

import json
import sys

from gigafactory.adapters.store import KeyConflict, StaleLeader, Store
from tests.adapters.store.making import NOW, asked

KEYS = 60


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def submit(store: Store) -> None:
    """Submit the same keys as others do, half of them with a body of one's own."""
    sys.stdin.readline()
    ids, fresh, conflicts = [], 0, 0
    for i in range(KEYS):
        body = {"mine": sys.argv[3]} if i % 2 else {}
        try:
            work, new = store.submit(asked(f"k{i}", at_ns=NOW + i, **body))
        except KeyConflict as conflict:
            work, new, conflicts = conflict.first, False, conflicts + 1
        ids.append(work.id)
        fresh += new
    _say({"ids": ids, "fresh": fresh, "conflicts": conflicts})


def lead(store: Store) -> None:
    """Lead, and publish whenever told to."""
    lease = store.lead("controller", NOW, "child")
    _say(None if lease is None else lease.epoch)
    for number, _ in enumerate(sys.stdin):
        assert lease is not None
        try:
            store.publish("controller", {"number": number}, NOW, lease)
            _say({"published": number, "held": lease.held()})
        except StaleLeader:
            _say({"published": None, "held": lease.held()})


if __name__ == "__main__":
    opened = Store.open(sys.argv[2])
    _say("ready")
    {"submit": submit, "lead": lead}[sys.argv[1]](opened)
    opened.close()
