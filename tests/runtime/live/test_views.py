"""What the loop shows beside the state of things: told, helped first, schedule, delivery."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from gigafactory.adapters.store.records import WorkState
from gigafactory.runtime.live.views import PERIOD_NS
from tests.runtime.live.bench import POOL, SITE, Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_a_tenant_is_told_what_happened_in_order_and_no_more_than_happened(bench: Bench) -> None:
    for i in range(9):
        bench.ask(f"w{i}", need_s=60.0)
    bench.turn(20)
    (waits,) = bench.store.list_work(states=[WorkState.PLACED])
    last = waits.detail["told"][-1]
    assert "It waits: " in last
    assert "nodes" not in last.partition("It waits: ")[2].split()[:1], "a sentence, not a code"
    bench.turn(80)
    bench.restart()
    bench.turn(80)
    ended = bench.store.work(waits.id)
    assert ended is not None
    assert ended.state is WorkState.COMPLETED
    said = [one.partition(" ")[2] for one in ended.detail["told"]]
    assert [one.split(":")[0].split(",")[0] for one in said if "waits" not in one] == [
        "It was started",
        "It ended",
    ]
    assert ended.detail["told"] == sorted(ended.detail["told"])


def test_starts_are_shown_once_each_and_kept_over_a_restart(bench: Bench) -> None:
    ids = [bench.ask(f"w{i}", need_s=300.0) for i in range(8)]
    bench.turn(20)
    told = bench.store.published("starts")
    assert told is not None
    assert sorted(row["key"] for row in told[1]["pools"][POOL]) == sorted(ids)
    bench.turn(20)
    assert bench.store.published("starts") == told, "what has not changed is not told again"
    bench.restart()
    more = bench.ask("later", need_s=10.0, nodes=1)
    bench.turn(340)
    after = bench.store.published("starts")
    assert after is not None
    assert {row["key"] for row in after[1]["pools"][POOL]} == {*ids, more}


def test_the_schedule_covers_today_and_tomorrow_and_shows_limits_at_once(bench: Bench) -> None:
    bench.turn(4)
    told = bench.store.published("schedule")
    assert told is not None
    rows = told[1]["points"][SITE]
    begins = [dt.datetime.fromisoformat(row["start"]) for row in rows]
    step = dt.timedelta(microseconds=PERIOD_NS // 1000)
    assert begins == [begins[0] + i * step for i in range(len(rows))]
    assert 96 < len(rows) <= 200
    assert {row["why"] for row in rows} == {"the firm right"}
    bench.turn(10)
    assert bench.store.published("schedule") == told, "at most once a minute"
    bench.limit("cut", 0.6, lasts_s=3600.0)
    bench.turn(4)
    after = bench.store.published("schedule")
    assert after is not None
    limited = [row for row in after[1]["points"][SITE] if row["source"]]
    assert 4 <= len(limited) <= 5
    assert all(row["limit_mw"] < rows[0]["limit_mw"] for row in limited)
    assert all(row["import_mw"] <= row["limit_mw"] for row in limited)


def test_a_limit_that_has_ended_is_shown_with_what_was_metered(bench: Bench) -> None:
    for i in range(8):
        bench.ask(f"w{i}", need_s=3000.0)
    bench.turn(60)
    assert bench.store.published("delivery") is None
    order = bench.limit("cut", 0.6, lasts_s=120.0)
    bench.turn(60)
    assert bench.store.published("delivery") is None, "it has not ended"
    bench.turn(90)
    told = bench.store.published("delivery")
    assert told is not None
    (row,) = told[1]["points"][SITE]
    assert (row["source"], row["key"]) == (order.source, order.key)
    assert row["asked_mw"] == pytest.approx(order.power_mw, abs=1e-6)
    assert row["metered_mw"] < row["baseline_mw"]
    hours = 120.0 / 3600.0
    least = (row["baseline_mw"] - row["metered_mw"]) * hours
    assert row["delivered_mwh"] == pytest.approx(least, rel=0.05)
    assert row["over_s"] < 30.0
    assert row["whole"]
