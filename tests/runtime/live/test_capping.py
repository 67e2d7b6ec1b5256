"""Caps where a manager hangs, and who may act where the store does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gigafactory.adapters.leadermark import LeaderMark
from gigafactory.adapters.store import StoreTrouble
from gigafactory.adapters.twinmanager import Faults
from gigafactory.jobs.ports import Fenced
from gigafactory.plant.ports import Setpoint, SetpointReceipt
from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.capping import Capping
from gigafactory.runtime.live.caps import CapPart
from gigafactory.runtime.live.fencing import Fence
from gigafactory.runtime.live.intake import Replaced
from gigafactory.runtime.live.parts import MANAGER_AWAY, PLANT_CAP
from gigafactory.units import NS_PER_S
from tests.runtime.live.bench import NOON, POOL, Bench


class _Agent:
    """Takes caps, or does not answer."""

    def __init__(self) -> None:
        self.caps: dict[str, float] = {}
        self.calls = 0
        self.away = False

    def apply(self, setpoint: Setpoint, now_ns: int) -> SetpointReceipt:
        self.calls += 1
        if self.away:
            return SetpointReceipt(setpoint.key, "unknown", "the agent does not answer")
        assert setpoint.valid_until_ns > now_ns
        self.caps[setpoint.point] = setpoint.value
        return SetpointReceipt(setpoint.key, "accepted")


def part(agent: _Agent, devices: int = 64) -> CapPart:
    return CapPart(agent, tuple(f"gpu{i}" for i in range(devices)), 200.0, 700.0, 240.0, 20.0)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, faults=Faults(hangs=((NOON + 60 * NS_PER_S, NOON + 160 * NS_PER_S),)))
    yield made
    made.close()


def test_a_cap_is_shared_evenly_and_stays_within_what_devices_take() -> None:
    caps = Capping({POOL: [part(_Agent(), 8), part(_Agent(), 2)]})
    assert caps.wanted_w(POOL, 10 * (240.0 + 500.0)) == (500.0, True)
    assert caps.wanted_w(POOL, 10 * (240.0 + 100.0)) == (200.0, False)
    assert caps.wanted_w(POOL, 1e9) == (700.0, True)
    assert not caps.can("other")


def test_an_agent_that_is_away_is_not_waited_for_device_by_device() -> None:
    agent, other = _Agent(), _Agent()
    agent.away = True
    caps = Capping({POOL: [part(agent, 8), part(other, 2)]})
    answer = caps.tell(POOL, 500.0, "k", NOON)
    assert (answer.outcome, agent.calls, other.calls) == ("unknown", 1, 2)
    assert "8 unknown" in answer.reason
    assert caps.due(POOL, 500.0, NOON + 1), "what was not taken is told again"
    agent.away = False
    assert caps.tell(POOL, 500.0, "k", NOON).outcome == "accepted"
    assert not caps.due(POOL, 500.4, NOON + NS_PER_S)
    assert caps.due(POOL, 450.0, NOON + NS_PER_S)
    assert caps.due(POOL, 500.0, NOON + 10 * NS_PER_S), "renewed at half its time"


def test_caps_come_after_patience_stay_until_the_gate_has_acted_and_go(bench: Bench) -> None:
    agent = _Agent()
    bench.controller.guard.capping.parts = {POOL: [part(agent)]}
    for i in range(8):
        bench.ask(f"w{i}", need_s=30_000.0)
    bench.turn(58)
    bench.limit("cut", 0.85, lasts_s=3600.0)  # comes while the manager hangs
    reports = bench.turn(40)
    assert {kind for kind, _ in reports[-1].troubles} >= {MANAGER_AWAY, PLANT_CAP}
    assert len(set(agent.caps.values())) == 1
    cap = next(iter(agent.caps.values()))
    assert 200.0 <= cap < 700.0
    bench.turn(120)
    assert set(agent.caps.values()) == {700.0}, "let go"
    assert bench.it_share <= 0.85, "the gate has acted before"
    assert not bench.store.alarms()
    rows = [f for _, _, f in bench.frames()]
    caps = [n for f in rows if isinstance(f, live.IntentTold) for n in f.nodes if n.action == "cap"]
    assert len(caps) >= 2
    bench.check()


def test_without_an_agent_a_person_is_asked(bench: Bench) -> None:
    for i in range(8):
        bench.ask(f"w{i}", need_s=30_000.0)
    bench.turn(58)
    bench.limit("cut", 0.6, lasts_s=3600.0)
    bench.turn(40)
    text = {row.kind: row.text for row in bench.store.alarms()}[PLANT_CAP]
    assert "by hand" in text


def test_a_pool_that_nobody_meters_is_not_taken_for_dark_while_its_manager_hangs(
    tmp_path: Path,
) -> None:
    hang = (NOON + 60 * NS_PER_S, NOON + 100 * NS_PER_S)
    bench = Bench(tmp_path, faults=Faults(hangs=(hang,)), metered=False)
    for i in range(8):
        bench.ask(f"w{i}", need_s=30_000.0)
    seen = bench.turn(56)[-1].imports_w
    assert bench.turn(20)[-1].imports_w == seen
    bench.close()


# --- who may act ---------------------------------------------------------------------------------


def test_a_mark_is_whole_and_says_when_it_cannot_be_read(tmp_path: Path) -> None:
    mark = LeaderMark(tmp_path / "shared" / "leader")
    assert not mark.write("a")
    assert mark.read() is None, "the folder is away"
    (tmp_path / "shared").mkdir()
    assert mark.read() == ""
    assert mark.write("a")
    assert mark.write("b")
    assert mark.read() == "b"
    assert [p.name for p in (tmp_path / "shared").iterdir()] == ["leader"]


def test_without_the_store_it_goes_on_until_another_has_noted_itself(bench: Bench) -> None:
    assert isinstance(bench.twin, Fenced)
    bench.turn(4)
    assert bench.twin.leader() == bench.lease.holder

    class _Gone:
        def __getattr__(self, name: str) -> object:
            raise StoreTrouble("the link is cut")

    bench.parts.intake.store = _Gone()
    bench.turn(10)
    bench.twin.lead("another/1")
    with pytest.raises(Replaced, match="another"):
        bench.turn(10)
    bench.parts.intake.store = bench.store


def test_a_cluster_whose_mark_cannot_be_seen_is_left_alone(bench: Bench) -> None:
    bench.turn(4)
    fence = Fence(bench.parts.clusters, bench.parts.intake)
    assert fence.open() == {"main"}, "the store answers"
    bench.parts.intake.away = "the link is cut"
    assert fence.open() == {"main"}, "nothing was ever noted by this one"
    bench.parts.intake.away = ""
    fence.note(bench.clock.now_ns())
    bench.parts.intake.away = "the link is cut"
    assert fence.open() == {"main"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.twin, "leader", lambda: None)
        assert fence.open() == frozenset()
    bench.parts.intake.away = ""


def test_an_alarm_of_a_controller_that_was_killed_is_cleared_by_the_next(bench: Bench) -> None:
    bench.turn(64)
    assert MANAGER_AWAY in {row.kind for row in bench.store.alarms()}
    bench.clock.wait_until(NOON + 170 * NS_PER_S)
    bench.restart()
    bench.turn(4)
    assert not bench.store.alarms()
