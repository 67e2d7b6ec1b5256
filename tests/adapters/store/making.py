"""What the tests of the store put into it."""

from __future__ import annotations

from typing import Any

from gigafactory.adapters.store import Store
from gigafactory.adapters.store.records import (
    Asked,
    Message,
    Offer,
    Request,
    Role,
    Verdict,
    WorkChange,
    WorkReceipt,
    WorkState,
)
from gigafactory.grid.ports import GridOrder, OrderKind
from gigafactory.units import NS_PER_DAY, NS_PER_S

NOW = 1_764_331_200 * NS_PER_S  # 2025-11-28, noon UTC
HOUR = 3600 * NS_PER_S


def asked(key: str, tenant: str = "uni", at_ns: int = NOW, **body: Any) -> Asked:
    """Work asked for."""
    return Asked(tenant, key, {"accelerators": 8, **body}, "token-1", at_ns)


def order(key: str, source: str = "gopacs", end_ns: int = NOW + HOUR) -> GridOrder:
    """An order of a grid party."""
    return GridOrder(
        key, source, OrderKind.LIMIT, "maasvlakte", 87.5, NOW, NOW + 1, NOW + 2, end_ns, 4, "old"
    )


def fill(store: Store) -> None:
    """Something in every table."""
    lease = store.lead("controller", NOW, "here")
    assert lease is not None
    works = [store.submit(asked(f"k{i}", at_ns=NOW + i, name="één"))[0] for i in range(40)]
    store.note_work(
        [WorkChange(w.id, WorkState.RUNNING, NOW + 50, job=str(i), start_ns=NOW + 49)
         for i, w in enumerate(works[:20])],
        lease,
    )  # fmt: skip
    store.note_work([WorkChange(works[0].id, WorkState.FAILED, NOW + 60, why="exit 1")], lease)
    store.ask_cancel(works[1].id, "uni", "c", "token-1", NOW + 61)
    store.put_order(order("a"), bytes(range(256)))
    store.put_order(order("b", "openadr"))
    store.judge_order("gopacs", "a", Verdict.TAKEN, "", NOW + 62, lease)
    store.put_message(Message("gopacs", "in", "m1", "FlexRequest", NOW, b"<\x00\xff/>", "c", "new"))
    store.put_request(Request("r", "limit", "mv", {"mw": 80.25}, "works", "token-2", NOW))
    store.put_offer(Offer("gopacs", "f", "tennet", "mv", NOW, NOW + 1, NOW + 2, {"mw": [1]}, NOW))
    store.publish("controller", {"draw_kw": 1.1}, NOW, lease)
    store.raise_alarm("stale", "meter", "silent", NOW)
    store.put_receipts([WorkReceipt(works[0].id, "uni", "2025-11-28", {"wh": 7}, NOW)], lease)
    _, secret = store.add_token("ci", Role.TENANT, "uni", None, NOW)
    store.token_by_secret(secret, NOW)
    store.anchor("2025-11-28", NOW + 2 * NS_PER_DAY)
    lease.release()
