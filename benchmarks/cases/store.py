"""The service's store under what its API asks of it, on either engine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable

import sqlalchemy as sa

from benchmarks.measuring import Skipped, Timer, case, peak_mib
from gigafactory.adapters.store import Store
from gigafactory.adapters.store.canon import new_id, to_text
from gigafactory.adapters.store.records import Asked, Role, WorkState
from gigafactory.adapters.store.tables import work
from gigafactory.testing.postgres import LocalPostgres, available
from gigafactory.units import NS_PER_S

NOW = 1_764_331_200 * NS_PER_S
QUEUED = 100_000
TENANTS = 20
ROUNDS = 400  # of eight reads and one submission each: 400 and 50 a second is fifty of them
BODY = {"job_class": "research", "accelerators": 8, "walltime_s": 3600.0, "script": "x" * 400}


def _queue(store: Store) -> list[str]:
    """Jobs that wait, put there at once."""
    body = to_text(BODY)
    rows = [
        {
            "id": new_id(NOW + i), "tenant": f"t{i % TENANTS}", "idempotency_key": f"q{i}",
            "body": body, "asked_by": "t", "asked_ns": NOW + i, "state": WorkState.ASKED.value,
            "job": "", "why": "", "changed_ns": NOW + i, "start_ns": None, "end_ns": None,
            "cancel_ns": None, "cancel_by": "", "detail": "{}", "cancel_key": None,
        }
        for i in range(QUEUED)
    ]  # fmt: skip
    with store._db.engine.begin() as conn:
        for begin in range(0, QUEUED, 5_000):
            conn.execute(sa.insert(work), rows[begin : begin + 5_000])
    return [str(row["id"]) for row in rows]


def _round(store: Store, ids: list[str], secret: str, number: int) -> list[float]:
    """Eight reads and a submission as the API makes them; how long each took, s."""
    tenant = number % TENANTS
    one = ids[tenant + TENANTS * (number % 1000)]
    asked = Asked(f"t{tenant}", f"n{number}", BODY, "t", NOW + QUEUED + number)
    calls: list[Callable[[], object]] = [
        *[lambda: store.work(one, f"t{tenant}")] * 4,
        lambda: store.list_work(f"t{tenant}", None, one, 50),
        lambda: store.list_work(f"t{tenant}", [WorkState.ASKED], one, 20),
        lambda: store.published("controller"),
        lambda: store.token_by_secret(secret, NOW + 3 * number * NS_PER_S),
        lambda: store.submit(asked),
    ]
    took = []
    for call in calls:
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return took


def _measure(store: Store, server_cpu_s: Callable[[], float]) -> dict[str, float]:
    ids = _queue(store)
    _, secret = store.add_token("bench", Role.TENANT, "t1", None, NOW)
    store.publish("controller", {"draw_kw": 1.0, "waits": {"power": 12}}, NOW)
    for number in range(20):
        _round(store, ids, secret, -1 - number)
    timer, server = Timer(), server_cpu_s()
    took = [_round(store, ids, secret, number) for number in range(ROUNDS)]
    client, server = timer.cpu_s(), server_cpu_s() - server
    every = sorted(one for row in took for one in row)
    submits = sorted(row[-1] for row in took)
    before, timer, seen, after = peak_mib(), Timer(), 0, None
    while page := store.list_work(after=after, limit=1000):
        seen += len(page)
        after = page[-1].id
    listed = timer.wall_s()
    assert seen == QUEUED + ROUNDS + 20, seen
    assert store.verify_audit() == []
    return {
        "cores": (client + server) / ROUNDS * 50,
        "client_cores": client / ROUNDS * 50,
        "statements_per_core_s": ROUNDS * 9 / (client + server),
        "p99_ms": every[len(every) * 99 // 100] * 1000,
        "submit_p50_ms": submits[len(submits) // 2] * 1000,
        "submit_p99_ms": submits[len(submits) * 99 // 100] * 1000,
        "rows_listed_per_s": seen / listed,
        "listing_added_mib": peak_mib() - before,
    }


@case("store-sqlite")
def on_sqlite() -> dict[str, float]:
    """On a file."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(f"sqlite:///{folder}/store.db")
        try:
            return _measure(store, lambda: 0.0)
        finally:
            store.close()


@case("store-postgresql")
def on_postgresql() -> dict[str, float]:
    """On a server beside it, whose processor time counts too."""
    why = available()
    if why:
        raise Skipped(why)
    with LocalPostgres() as server:
        store = Store.open(server.url())
        try:
            return _measure(store, server.cpu_s)
        finally:
            store.close()
