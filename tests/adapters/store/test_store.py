"""The store does the same on both engines: idempotency, pages, verdicts, alarms, tokens."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import sqlalchemy as sa

from gigafactory.adapters.store import KeyConflict, Store
from gigafactory.adapters.store.records import (
    Message,
    Offer,
    OfferState,
    Request,
    RequestState,
    Role,
    Verdict,
    WorkChange,
    WorkReceipt,
    WorkState,
)
from gigafactory.engine.errors import BadInput
from gigafactory.units import NS_PER_DAY, NS_PER_S
from tests.adapters.store.making import HOUR, NOW, asked, order


def test_the_same_key_is_the_same_work(store: Store) -> None:
    first, fresh = store.submit(asked("a", name="één \u0000 \ud800"))
    again, once_more = store.submit(asked("a", at_ns=NOW + 9, name="één \u0000 \ud800"))
    assert (fresh, once_more) == (True, False)
    assert again == first
    assert store.work(first.id) == first
    assert first.state is WorkState.ASKED
    with pytest.raises(KeyConflict) as conflict:
        store.submit(asked("a", name="another"))
    assert conflict.value.first == first
    other, fresh = store.submit(asked("a", "sme", name="another"))
    assert fresh
    assert other.id != first.id
    assert [row.action for row in store.audit_after(0)] == ["submit", "submit"]


def test_what_cannot_be_kept_is_refused_the_same_everywhere(store: Store) -> None:
    for wrong in (
        asked("a\0b"),
        asked("\ud800"),
        asked("k" * 256),
        asked("k", tenant="\0"),
        asked("k", value=float("nan")),
        asked("k", value=object()),
        asked("k", text="x" * (1 << 20)),
    ):
        with pytest.raises(BadInput):
            store.submit(wrong)
    with pytest.raises(BadInput):
        store.receipts(after=1 << 70)
    assert store.list_work() == []
    assert store.audit_after(0) == []


def test_another_tenants_work_is_not_there(store: Store) -> None:
    work, _ = store.submit(asked("a"))
    assert store.work(work.id, "sme") is None
    assert store.ask_cancel(work.id, "sme", "k", "token-2", NOW) is None
    assert store.work(work.id, "uni") == work
    assert store.list_work("sme") == []
    for no_name in ("none", "", "a\0b", "\ud800", work.id + "\n"):
        assert store.work(no_name) is None
        assert store.ask_cancel(no_name, "uni", "k", "token-2", NOW) is None
        assert not store.revoke_token(no_name, NOW)


def test_pages_hold_every_row_once_and_in_order(store: Store) -> None:
    mine = [store.submit(asked(f"k{i}", at_ns=NOW + i))[0] for i in range(23)]
    others = [store.submit(asked(f"k{i}", "sme", at_ns=NOW + i))[0] for i in range(5)]
    lease = store.lead("controller", NOW)
    assert lease is not None
    store.note_work([WorkChange(w.id, WorkState.RUNNING, NOW + 99) for w in mine[::3]], lease)
    running = {w.id for w in mine[::3]}

    def pages(size: int, **how: Any) -> list[str]:
        found: list[str] = []
        while page := store.list_work(after=found[-1] if found else None, limit=size, **how):
            found += [work.id for work in page]
        return found

    ids = [work.id for work in mine]
    assert pages(4, tenant="uni") == ids
    assert pages(4, tenant="uni", newest_first=True) == ids[::-1]
    assert pages(7) == sorted(ids + [work.id for work in others])
    assert pages(3, tenant="uni", states=[WorkState.RUNNING]) == [i for i in ids if i in running]
    both = [WorkState.RUNNING, WorkState.ASKED]
    assert pages(3, tenant="uni", states=both) == ids
    assert pages(3, tenant="uni", states=both, newest_first=True) == ids[::-1]
    assert store.list_work(states=[]) == []
    assert store.count_work("uni") == {WorkState.RUNNING: 8, WorkState.ASKED: 15}


def test_work_goes_its_way_and_stays_ended(store: Store) -> None:
    works = [store.submit(asked(f"k{i}", at_ns=NOW + i))[0] for i in range(3)]
    lease = store.lead("controller", NOW)
    assert lease is not None
    assert store.unplaced(2) == works[:2]
    store.note_work([WorkChange(works[0].id, WorkState.PLACED, NOW + 10, job="41", why="q")], lease)
    assert store.unplaced() == works[1:]
    store.note_work(
        [
            WorkChange(works[0].id, WorkState.RUNNING, NOW + 20, start_ns=NOW + 19, why=""),
            WorkChange(works[0].id, WorkState.COMPLETED, NOW + 30, detail={"exit": 0}),
            WorkChange(works[0].id, WorkState.RUNNING, NOW + 40),
            WorkChange("nobody's", WorkState.RUNNING, NOW + 40),
        ],
        lease,
    )
    done = store.work(works[0].id)
    assert done == dataclasses.replace(
        works[0], state=WorkState.COMPLETED, job="41", changed_ns=NOW + 30, start_ns=NOW + 19,
        end_ns=NOW + 30, detail={"exit": 0},
    )  # fmt: skip


def test_a_cancel_is_asked_for_once(store: Store) -> None:
    works = [store.submit(asked(f"k{i}", at_ns=NOW + i))[0] for i in range(2)]
    first = store.ask_cancel(works[0].id, "uni", "c", "token-1", NOW + 5)
    assert first is not None
    assert (first.cancel_ns, first.cancel_by) == (NOW + 5, "token-1")
    assert store.ask_cancel(works[0].id, "uni", "c", "token-1", NOW + 6) == first
    assert store.ask_cancel(works[0].id, "uni", "d", "token-1", NOW + 7) == first
    with pytest.raises(KeyConflict):
        store.ask_cancel(works[1].id, "uni", "c", "token-1", NOW + 8)
    assert store.cancels() == [first]
    assert store.unplaced() == works[1:]
    lease = store.lead("controller", NOW)
    assert lease is not None
    store.note_work([WorkChange(works[0].id, WorkState.CANCELLED, NOW + 9)], lease)
    assert store.cancels() == []
    assert [row.action for row in store.audit_after(2)] == ["cancel"]


def test_orders_come_once_in_order_and_are_judged(store: Store) -> None:
    lease = store.lead("controller", NOW)
    assert lease is not None
    assert store.put_order(order("a"), b"<raw/>\x00")
    assert not store.put_order(order("a"))
    assert store.put_order(order("a", "openadr"))
    assert store.put_order(order("b", end_ns=NOW + 5))
    assert [(seq, o.key, o.source) for seq, o in store.orders_after(0)] == [
        (1, "a", "gopacs"), (2, "a", "openadr"), (3, "b", "gopacs"),
    ]  # fmt: skip
    assert store.orders_after(2) == [(3, order("b", end_ns=NOW + 5))]
    store.judge_order("gopacs", "a", Verdict.REFUSED, "too late", NOW + 3, lease)
    kept = store.orders(NOW + 10, source="gopacs")
    assert [(k.order, k.verdict, k.why, k.judged_ns, k.body) for k in kept] == [
        (order("a"), Verdict.REFUSED, "too late", NOW + 3, b"<raw/>\x00")
    ]
    with pytest.raises(BadInput):
        store.put_order(dataclasses.replace(order("c"), power_mw=float("nan")))
    with pytest.raises(BadInput):
        store.put_order(dataclasses.replace(order("c"), point="a\0b"))


def test_messages_are_unique_per_channel_and_direction(store: Store) -> None:
    one = Message("gopacs", "in", "m1", "FlexRequest", NOW, b"<a/>", "conv")
    kept, fresh = store.put_message(one)
    assert fresh
    assert kept == dataclasses.replace(one, seq=1)
    assert store.put_message(one) == (kept, False)
    assert store.put_message(dataclasses.replace(one, direction="out"))[1]
    with pytest.raises(KeyConflict) as conflict:
        store.put_message(dataclasses.replace(one, body=b"<b/>"))
    assert conflict.value.first == kept
    store.note_message("gopacs", "in", "m1", "answered", {"by": "m2"})
    changed = dataclasses.replace(kept, state="answered", detail={"by": "m2"})
    assert store.message("gopacs", "in", "m1") == changed
    assert store.messages("gopacs", states=["answered"]) == [changed]
    assert len(store.messages("gopacs", conversation="conv")) == 2
    assert store.messages("gopacs", direction="in", after=1) == []


def test_requests_of_operators(store: Store) -> None:
    given = Request("k", "limit", "maasvlakte", {"mw": 80}, "works on the cable", "token-9", NOW)
    kept, fresh = store.put_request(given)
    assert fresh
    assert store.put_request(given) == (kept, False)
    with pytest.raises(KeyConflict):
        store.put_request(dataclasses.replace(given, body={"mw": 81}))
    lease = store.lead("controller", NOW)
    assert lease is not None
    store.settle_request(kept.id, RequestState.DONE, "in force", NOW + 1, lease)
    store.settle_request(kept.id, RequestState.REFUSED, "again", NOW + 2, lease)
    settled = dataclasses.replace(
        kept, state=RequestState.DONE, outcome="in force", settled_ns=NOW + 1
    )
    assert store.requests() == [settled]
    assert store.requests([RequestState.ASKED]) == []
    line = store.audit_after(0)[0]
    assert (line.action, line.detail["reason"]) == ("limit", "works on the cable")


def test_offers_stand_where_they_were_brought(store: Store) -> None:
    given = Offer("gopacs", "f1", "tennet", "mv", NOW, NOW + HOUR, NOW + 60, {"mw": [1]}, NOW)
    kept, fresh = store.put_offer(given)
    assert fresh
    assert store.put_offer(given) == (kept, False)
    store.put_offer(dataclasses.replace(given, key="f2", party="stedin", at_ns=NOW + 1))
    offered = store.settle_offer(
        "gopacs", "f1", OfferState.OFFERED, NOW + 2, body={"mw": [2]}, was=[OfferState.REQUESTED]
    )
    assert offered is not None
    assert (offered.state, offered.body) == (OfferState.OFFERED, {"mw": [2]})
    assert (
        store.settle_offer("gopacs", "f1", OfferState.EXPIRED, NOW, was=[OfferState.REQUESTED])
        is None
    )
    assert [o.key for o in store.offers(party="tennet")] == ["f1"]
    assert store.offers(states=[OfferState.OFFERED]) == [offered]
    assert [o.key for o in store.offers(after=(NOW, "gopacs", "f1"))] == ["f2"]


def test_statuses_and_alarms(store: Store) -> None:
    assert store.published("controller") is None
    store.publish("controller", {"draw_kw": 1.5}, NOW)
    store.publish("controller", {"draw_kw": 2.5}, NOW + 1)
    assert store.published("controller") == (NOW + 1, {"draw_kw": 2.5})
    assert store.raise_alarm("stale", "meter-1", "silent", NOW)
    assert not store.raise_alarm("stale", "meter-1", "silent still", NOW + 1)
    assert store.raise_alarm("stale", "meter-2", "silent", NOW + 2)
    assert [(a.key, a.times, a.text, a.last_ns) for a in store.alarms()] == [
        ("meter-1", 2, "silent", NOW + 1), ("meter-2", 1, "silent", NOW + 2),
    ]  # fmt: skip
    assert store.clear_alarm("stale", "meter-1", NOW + 3)
    assert not store.clear_alarm("stale", "meter-1", NOW + 4)
    assert store.raise_alarm("stale", "meter-1", "again", NOW + 5)
    assert len(store.alarms()) == 2
    assert len(store.alarms(open_only=False)) == 3


def test_receipts_are_kept_once(store: Store) -> None:
    rows = [WorkReceipt(f"w{i}", "uni", "2026-11-28", {"energy_wh": i}, NOW) for i in range(900)]
    assert store.put_receipts(rows) == 900
    assert store.put_receipts(rows[:3]) == 0
    other = dataclasses.replace(rows[0], day="2026-11-29")
    assert store.put_receipts([rows[0], other]) == 1
    with pytest.raises(KeyConflict):
        store.put_receipts([dataclasses.replace(rows[5], body={"energy_wh": 0})])
    assert [r.seq for r in store.receipts("uni", limit=2, after=899)] == [900, 901]
    assert [r.day for r in store.receipts(work="w0")] == ["2026-11-28", "2026-11-29"]
    assert store.receipts("sme") == []


def test_a_tokens_secret_is_shown_once_and_not_kept(store: Store, url: str) -> None:
    token, secret = store.add_token("ci", Role.TENANT, "uni", NOW + HOUR, NOW, "root")
    found = store.token_by_secret(secret, NOW + 1)
    assert found is not None
    assert (found.id, found.party, found.role) == (token.id, "uni", Role.TENANT)
    assert store.token_by_secret(secret[:-1] + ("A" if secret[-1] != "A" else "E"), NOW + 1) is None
    for wrong in ("", "x", "gf_", secret + "A", secret.lower(), f"gf_{'0' * 26}_{'A' * 43}", "é"):
        assert store.token_by_secret(wrong, NOW + 1) is None
    assert store.token_by_secret(secret, NOW + HOUR) is None
    with store._db.engine.connect() as conn:
        kept = str(conn.exec_driver_sql("SELECT * FROM token").all())
    assert secret not in kept
    assert secret[30:] not in kept
    assert store.tokens()[0].used_ns == NOW // HOUR * HOUR
    assert [row.action for row in store.audit_after(0)] == ["add_token"]
    for role, party in ((Role.TENANT, ""), (Role.OPERATOR, "uni")):
        with pytest.raises(BadInput):
            store.add_token("x", role, party, None, NOW)


def test_a_revoked_token_is_refused_here_at_once_and_elsewhere_soon(store: Store, url: str) -> None:
    token, secret = store.add_token("ci", Role.ADMIN, "", None, NOW)
    elsewhere = Store.open(url)
    assert elsewhere.token_by_secret(secret, NOW) is not None
    assert store.token_by_secret(secret, NOW) is not None
    assert store.revoke_token(token.id, NOW, "root")
    assert not store.revoke_token(token.id, NOW, "root")
    assert store.token_by_secret(secret, NOW) is None
    assert elsewhere.token_by_secret(secret, NOW + 2 * NS_PER_S) is None
    elsewhere.close()


def test_what_is_over_is_swept_and_what_counts_is_kept(store: Store) -> None:
    lease = store.lead("controller", NOW)
    assert lease is not None
    works = [store.submit(asked(f"k{i}", at_ns=NOW))[0] for i in range(3)]
    store.note_work(
        [WorkChange(w.id, WorkState.COMPLETED, NOW + i) for i, w in enumerate(works[:2])], lease
    )
    store.put_message(Message("gopacs", "in", "m", "x", NOW, b""))
    store.publish("old", {}, NOW)
    store.raise_alarm("a", "b", "c", NOW)
    store.raise_alarm("a", "open", "c", NOW)
    store.clear_alarm("a", "b", NOW)
    store.put_order(order("o"))
    store.put_receipts([WorkReceipt(works[0].id, "uni", "2026-11-28", {}, NOW)])
    lines = store.audit_after(0)
    swept = store.sweep(NOW + 1)
    assert swept.rows == {"work": 1, "message": 1, "status": 1, "alarm": 1, "request": 0}
    left = [work.id for work in store.list_work()]
    assert left == sorted(w.id for w in works[1:])
    assert len(store.alarms(open_only=False)) == 1
    assert len(store.receipts()) == 1
    assert len(store.orders()) == 1
    assert store.audit_after(0) == lines
    assert store.sweep(NOW + NS_PER_DAY).rows["work"] == 1


def test_a_channel_that_is_settled_by_its_messages_keeps_them_longer(store: Store) -> None:
    for channel in ("gopacs", "afrr"):
        for i in range(3):
            store.put_message(Message(channel, "in", f"m{i}", "x", NOW + i, b""))
    swept = store.sweep(NOW - 1, messages_ns=NOW + 2, channels_ns={"gopacs": NOW + 1})
    assert swept.rows["message"] == 3
    assert [m.message_id for m in store.messages("gopacs")] == ["m1", "m2"]
    assert [m.message_id for m in store.messages("afrr")] == ["m2"]


def test_messages_that_wait_are_found_by_an_index(store: Store) -> None:
    asked = (
        "SELECT seq FROM message WHERE channel='gopacs' AND direction='in' "
        "AND state IN ('new') AND seq > 5 ORDER BY seq"
    )
    if store._db.postgres:
        names = "SELECT indexname FROM pg_indexes WHERE tablename = 'message'"
        found = store._db.read(lambda conn: conn.execute(sa.text(names)).scalars().all())
        assert "message_state" in found
        return
    plan = store._db.read(lambda conn: conn.execute(sa.text(f"EXPLAIN QUERY PLAN {asked}")).all())
    assert any("message_state" in str(row) for row in plan), plan


def test_a_token_is_made_once_for_a_key(store: Store) -> None:
    made, secret = store.add_token("a", Role.AUDITOR, "", None, NOW, "root", key="k")
    again, none = store.add_token("a", Role.AUDITOR, "", None, NOW + 5, "root", key="k")
    assert (again, none) == (made, "")
    assert store.token_by_secret(secret, NOW) is not None
    assert len(store.tokens()) == 1
    assert len(store.audit_after(0)) == 1
    with pytest.raises(KeyConflict):
        store.add_token("b", Role.AUDITOR, "", None, NOW, "root", key="k")
    store.add_token("a", Role.AUDITOR, "", None, NOW)
    store.add_token("a", Role.AUDITOR, "", None, NOW)
    assert len(store.tokens()) == 3


def test_names_given_in_one_instant_rise(store: Store) -> None:
    ids = [store.submit(asked(f"k{i}"))[0].id for i in range(50)]
    assert ids == sorted(ids)
    assert [work.id for work in store.list_work()] == ids
    assert len({one[-13:-8] for one in ids}) > 1 or len(set(ids)) == 50


def test_a_list_leaves_long_scripts_where_they_are(store: Store) -> None:
    scripts = {
        "short": "#!/bin/sh",
        "long": "x" * 9_000,
        "nul": "x" * 9_000 + "\0",
        "half": "x" * 9_000 + "\ud800",
        "backslash": "\\u0000" + "x" * 9_000,
    }
    for key, script in scripts.items():
        store.submit(asked(key, script=script, walltime_s=3600.5, name="één"))
    rows = {one.idempotency_key: one for one in store.list_work(scripts=False)}
    assert "script" not in rows["long"].body
    for row in rows.values():
        assert (row.body["walltime_s"], row.body["name"]) == (3600.5, "één")
        assert row.body.get("script", scripts[row.idempotency_key]) == scripts[row.idempotency_key]
        whole = store.work(row.id)
        assert whole is not None
        assert whole.body["script"] == scripts[row.idempotency_key]
        assert store.work_by_key("uni", row.idempotency_key) == whole
    assert store.work_by_key("sme", "short") is None


def test_one_request_and_one_offer_are_found_by_their_names(store: Store) -> None:
    made, _ = store.put_request(Request("r", "limit", "mv", {"mw": 80.25}, "works", "t", NOW))
    assert store.request(made.id) == made
    assert store.request("0123456789ABCDEFGHJKMNPQRS") is None
    assert store.request("none") is None
    put, _ = store.put_offer(Offer("gopacs", "f", "tennet", "mv", NOW, NOW, NOW, {}, NOW))
    assert store.offer("gopacs", "f") == put
    assert store.offer("openadr", "f") is None
