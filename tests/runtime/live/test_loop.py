"""The live loop on a simulated cluster: work, limits, troubles, days, and starting again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gigafactory.adapters.store.records import WorkState
from gigafactory.adapters.twinmanager import Faults
from gigafactory.jobs.ports import Phase
from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.parts import MANAGER_AWAY, METER_AWAY
from gigafactory.units import NS_PER_S
from tests.runtime.live.bench import NOON, POOL, SITE, Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_work_is_taken_up_once_and_runs_to_its_end(bench: Bench) -> None:
    ids = [bench.ask(f"w{i}", need_s=60.0) for i in range(4)]
    bench.turn(20)
    assert [v.phase for v in bench.twin.observe().jobs] == [Phase.RUNNING] * 4
    assert {w.state for w in bench.store.list_work()} == {WorkState.RUNNING}
    bench.turn(80)
    assert {w.id: w.state for w in bench.store.list_work()} == dict.fromkeys(
        ids, WorkState.COMPLETED
    )
    bench.check()


def test_more_work_than_nodes_waits_and_says_why(bench: Bench) -> None:
    for i in range(12):
        bench.ask(f"w{i}", need_s=300.0)
    bench.turn(20)
    states = [w.state for w in bench.store.list_work()]
    assert states.count(WorkState.RUNNING) == 8
    assert states.count(WorkState.PLACED) == 4
    assert all(w.why for w in bench.store.list_work(states=[WorkState.PLACED]))
    bench.check()


def test_a_lower_limit_is_met_within_the_deadline_and_all_goes_on_after(bench: Bench) -> None:
    for i in range(8):
        bench.ask(f"w{i}", need_s=3000.0)
    bench.turn(30)
    assert bench.it_share > 0.8
    bench.limit("cut", 0.6, lasts_s=120.0)
    bench.turn(30)
    assert bench.it_share <= 0.6
    assert any(v.phase is Phase.PAUSED for v in bench.twin.observe().jobs)
    lost = sum(j.lost_ns for j in bench.twin.look().jobs.values())
    assert lost == 0, "what was paused saved itself first"
    bench.turn(150)
    assert bench.it_share > 0.8, "what was paused goes on"
    bench.check()


def test_a_cut_that_cannot_be_saved_in_time_freezes(tmp_path: Path) -> None:
    from gigafactory.adapters.twincluster import Manner

    bench = Bench(tmp_path, manner=Manner(save_s=60.0))
    for i in range(8):
        bench.ask(f"w{i}", need_s=3000.0)
    bench.turn(30)
    bench.limit("cut", 0.5)
    bench.turn(30)
    assert bench.it_share <= 0.5
    assert any(v.frozen for v in bench.twin.observe().jobs)
    bench.check()
    bench.close()


def test_a_limit_told_ahead_is_met_when_it_begins(bench: Bench) -> None:
    for i in range(8):
        bench.ask(f"w{i}", need_s=3000.0)
    bench.turn(20)
    start = bench.clock.now_ns() + 120 * NS_PER_S
    bench.limit("later", 0.6, start_ns=start, end_ns=start + 60 * NS_PER_S)
    bench.turn(60)
    assert bench.it_share > 0.8, "not yet"
    bench.turn(60)
    assert bench.it_share <= 0.6
    bench.check()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"power_mw": -1.0}, "bounds"),
        ({"point": "elsewhere"}, "unknown_point"),
        ({"issued_ns": NOON - 3600 * NS_PER_S}, "stale"),
        ({"issued_ns": NOON + 3600 * NS_PER_S}, "clock"),
        ({"end_ns": NOON - 1}, "window"),
    ],
)
def test_a_bad_order_does_nothing_but_alarm(
    bench: Bench, changes: dict[str, object], rule: str
) -> None:
    for i in range(8):
        bench.ask(f"w{i}", need_s=3000.0)
    bench.turn(20)
    before = bench.twin.power_w(POOL)
    bench.limit("bad", 0.1, **changes)
    bench.turn(20)
    assert bench.twin.power_w(POOL) == before
    assert [a.kind for a in bench.store.alarms()] == ["order_refused"]
    judged = [f for _, _, f in bench.frames() if isinstance(f, live.OrderJudged)]
    assert [f.rule for f in judged] == [rule], "judged once"


def test_metered_energy_is_that_of_the_cluster(bench: Bench) -> None:
    for i in range(5):
        bench.ask(f"w{i}", need_s=200.0)
    bench.turn(400)
    bench.twin.observe()
    rows = [f for _, _, f in bench.frames() if isinstance(f, live.Metered)]
    it = sum(int(f.pools[0, live.POOL_COLUMNS.index("it_uwh")]) for f in rows)
    model = sum(int(f.pools[0, live.POOL_COLUMNS.index("model_uwh")]) for f in rows)
    real = bench.twin.look().energy_uwh(POOL)
    assert it == pytest.approx(real, rel=0.01), "straight between readings two seconds apart"
    assert model == pytest.approx(real, rel=0.001), "segments are dated by the manager"
    used = sum(int(f.groups[0, :, 0].sum()) for f in rows)
    assert used == pytest.approx(5 * 8 * 200 * NS_PER_S, rel=0.001)


def test_a_manager_that_hangs_is_held_and_named(tmp_path: Path) -> None:
    hang = (NOON + 60 * NS_PER_S, NOON + 120 * NS_PER_S)
    bench = Bench(tmp_path, faults=Faults(hangs=(hang,)))
    for i in range(8):
        bench.ask(f"w{i}", need_s=3000.0)
    bench.turn(62)
    bench.limit("cut", 0.5)
    reports = bench.turn(40)
    assert (MANAGER_AWAY, "main") in reports[-1].troubles
    assert ("plant_cap", POOL) in reports[-1].troubles, "a broken limit and a hung manager"
    assert not any(r.sent for r in reports)
    bench.turn(60)
    assert bench.it_share <= 0.5
    assert not bench.store.alarms()
    bench.check()
    bench.close()


def test_without_a_meter_the_model_stands_in(tmp_path: Path) -> None:
    bench = Bench(tmp_path, dark=((NOON, NOON + 3600 * NS_PER_S),))
    for i in range(8):
        bench.ask(f"w{i}", need_s=3000.0)
    bench.turn(30)
    bench.limit("cut", 0.6)
    reports = bench.turn(30)
    assert (METER_AWAY, f"{POOL}/it") in reports[-1].troubles
    assert bench.it_share <= 0.6 * 0.95, "with a margin"
    rows = [f for _, _, f in bench.frames() if isinstance(f, live.Metered)]
    assert not any(f.pools[0, live.POOL_COLUMNS.index("measured")] for f in rows)
    bench.close()


def test_midnight_seals_a_day_and_links_the_next(tmp_path: Path) -> None:
    midnight = NOON + 12 * 3600 * NS_PER_S
    bench = Bench(tmp_path, begin_ns=midnight - 60 * NS_PER_S)
    for i in range(4):
        bench.ask(f"w{i}", need_s=3000.0)
    bench.turn(30)
    bench.limit("night", 0.7, lasts_s=3600.0)
    bench.turn(90)
    rows = bench.frames()
    days = list(dict.fromkeys(d for d, _, _ in rows))
    assert days == ["2026-11-25", "2026-11-26"]
    first = [f for d, _, f in rows if d == days[0]]
    second = [f for d, _, f in rows if d == days[1]]
    assert isinstance(first[-1], live.End)
    assert first[-1].open_jobs == 4
    begin = second[0]
    assert isinstance(begin, live.Begin)
    from gigafactory.engine.journal import recover
    from gigafactory.runtime.live.daybook import day_path

    assert begin.previous_head == recover(day_path(tmp_path / "live", days[0])).head
    carried = [f for f in second if isinstance(f, live.OrderJudged)]
    assert [(f.key, f.verdict) for f in carried] == [("night", "carried")]
    work = next(f for f in second if isinstance(f, live.WorkTaken))
    assert work.columns["carried"].tolist() == [1, 1, 1, 1]
    metered = [f for f in first if isinstance(f, live.Metered)]
    assert metered[-1].to_ns == midnight
    bench.check()
    bench.close()


def test_shadow_writes_and_never_acts(tmp_path: Path) -> None:
    bench = Bench(tmp_path, environment="shadow")
    from gigafactory.jobs.ports import Action, Command, WorkOrder

    orders = [WorkOrder(f"k{i}", "lab", "research", 8, 1, 9000, 3, "# need_s=900", pool=POOL)
              for i in range(3)]  # fmt: skip
    jobs = [r.reason for r in bench.twin.submit(orders)]
    bench.twin.act([Command("x", Action.RELEASE, jobs[0])])
    bench.ask("never placed")
    bench.turn(20)
    shadow = bench.parts.clusters["main"].manager
    assert shadow.refused == []  # type: ignore[attr-defined]
    assert sorted(v.phase for v in bench.twin.observe().jobs) == ["held", "held", "running"]
    intents = [f for _, _, f in bench.frames() if isinstance(f, live.IntentTold)]
    assert len(intents) == 1
    assert intents[0].only_recorded
    assert [c.target for c in intents[0].commands] == jobs[1:]
    assert [w.state for w in bench.store.list_work()] == [WorkState.ASKED]
    bench.close()


def test_an_operator_stops_a_job_until_he_lets_it_go_on(bench: Bench) -> None:
    from gigafactory.adapters.store.records import Request, RequestState

    work = bench.ask("w", need_s=3000.0)
    bench.turn(20)

    def ask(key: str, action: str) -> None:
        body = {"action": action, "work": work}
        now = bench.clock.now_ns()
        bench.store.put_request(Request(key, "override", work, body, "a check", "op", now))

    ask("stop", "pause")
    bench.turn(30)
    assert bench.twin.observe().jobs[0].phase is Phase.PAUSED
    bench.restart()
    bench.turn(30)
    assert bench.twin.observe().jobs[0].phase is Phase.PAUSED, "also for the next controller"
    ask("go", "resume")
    bench.turn(20)
    assert bench.twin.observe().jobs[0].phase is Phase.RUNNING
    assert {r.state for r in bench.store.requests()} == {RequestState.DONE}


def test_a_limit_of_the_operator_holds_and_is_withdrawn(bench: Bench) -> None:
    from gigafactory.adapters.store.records import Request

    for i in range(8):
        bench.ask(f"w{i}", need_s=3000.0)
    bench.turn(20)
    now = bench.clock.now_ns()
    body = {"power_mw": 0.5 * bench.full_mw * 1.1, "start_ns": None, "end_ns": now + 10**12}
    asked, _ = bench.store.put_request(Request("l", "limit", SITE, body, "works", "op", now))
    bench.turn(30)
    assert bench.it_share <= 0.5
    bench.store.put_request(Request("w", "withdraw_limit", asked.id, {}, "done", "op", now))
    bench.turn(30)
    assert bench.it_share > 0.8
    bench.check()
