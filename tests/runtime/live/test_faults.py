"""The loop when things go wrong: by seed, and one by one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gigafactory.adapters.store import StoreTrouble
from gigafactory.adapters.store.records import ENDED, WorkState
from gigafactory.adapters.twincluster import Manner
from gigafactory.adapters.twinmanager import Faults
from gigafactory.engine.errors import BadInput
from gigafactory.jobs.ports import Phase
from gigafactory.planner.tick import TickDecision
from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.daybook import DayBook
from gigafactory.runtime.live.parts import (
    CLOCK_JUMP,
    DISK_FULL,
    GATE_UNSETTLED,
    STORE_AWAY,
    WORK_BACK,
)
from gigafactory.units import NS_PER_S
from tests.effort import examples
from tests.runtime.live.bench import NOON, POOL, Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def chaos(seed: int, folder: Path) -> Bench:
    """A bench whose manager loses, doubles and delays, hangs, is rolled back; nodes fail."""
    draw = Random(seed)
    at = [NOON + int(draw.uniform(20, 300) * NS_PER_S) for _ in range(6)]
    return Bench(
        folder,
        manner=Manner(checkpoint_s=30.0, save_s=draw.choice([0.0, 3.0, 30.0]), repair_s=60.0),
        faults=Faults(
            seed,
            lost=0.05,
            unanswered=0.05,
            doubled=0.05,
            late=0.05,
            late_s=draw.uniform(1.0, 9.0),
            hangs=((at[0], at[0] + int(draw.uniform(2, 20) * NS_PER_S)),),
            rollbacks=((at[1], draw.uniform(1.0, 6.0)),),
        ),
        failures=tuple(sorted((t, f"n{draw.randrange(8):04d}") for t in at[2:4])),
    )


@pytest.mark.slow
@settings(max_examples=examples(20, ci=4))
@given(st.integers(0, 2**32))
@example(2634614)  # resting and broken nodes alone exceed the limit
@example(256)  # what nodes that are off leave was given to them and to a job, again and again
@example(160)  # resting nodes exceed the limit, and frozen jobs keep them all
def test_whatever_goes_wrong_no_job_is_lost_or_doubled(seed: int) -> None:
    """Jobs come, the controller is killed, limits come and go; all ends well, and by the rules."""
    draw = Random(seed + 1)
    with TemporaryDirectory() as folder:
        bench = chaos(seed, Path(folder))
        ids = [bench.ask(f"w{i}", draw.choice([1, 1, 2]), draw.uniform(5, 90)) for i in range(14)]
        hang = bench.faults.hangs[0]
        for step in range(12):
            bench.turn(draw.uniform(5.0, 25.0))
            if draw.random() < 0.4:
                bench.restart()
            if step in (3, 7):
                share = draw.uniform(0.3, 0.8)
                bench.limit(f"cut{step}", share, lasts_s=60.0)
                bench.turn(30)
                now = bench.clock.now_ns()
                if not hang[0] <= now < hang[1] + 45 * NS_PER_S:
                    assert bench.it_share <= share + 1e-9, "above the limit after the deadline"
            bench.check()
        for _ in range(40):
            if all(w.state in ENDED for w in bench.store.list_work()):
                break
            bench.turn(30)
        assert {w.id: w.state for w in bench.store.list_work()} == dict.fromkeys(
            ids, WorkState.COMPLETED
        )
        ends = [e.key for e in bench.twin.look().ended]
        assert sorted(ends) == sorted(ids), "each ended once"
        bench.check()
        bench.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("widths", "save_s"), [((1, 2), 3.0), ((1, 1, 2, 2, 1, 1), 30.0)], ids=["spare", "all frozen"]
)
def test_a_limit_below_the_rest_of_all_nodes_is_kept(
    tmp_path: Path, widths: tuple[int, ...], save_s: float
) -> None:
    """Nodes leave service, frozen jobs give theirs back, and the room left is given once."""
    bench = Bench(tmp_path, manner=Manner(checkpoint_s=30.0, save_s=save_s))
    for i, width in enumerate(widths):
        bench.ask(f"w{i}", width, need_s=120.0)
    bench.turn(30)
    rest = bench.nodes * bench.plan.node_size * bench.plan.idle_power_mw / 1e9 / bench.full_mw
    share = 0.98 * rest
    bench.limit("cut", share, lasts_s=120.0)
    bench.turn(30)
    for _ in range(30):
        bench.turn(2)
        assert bench.it_share <= share + 1e-9
    assert any(v.phase is Phase.RUNNING for v in bench.twin.observe().jobs), "room is left unused"
    for _ in range(20):
        bench.turn(30)
        if all(w.state in ENDED for w in bench.store.list_work()):
            break
    assert {w.state for w in bench.store.list_work()} == {WorkState.COMPLETED}
    assert not any(n.off for n in bench.twin.observe().nodes)
    bench.check()
    bench.close()


class _Away:
    """A store that is away between two ticks."""

    def __init__(self, real: object) -> None:
        self._real, self.away = real, False

    def __getattr__(self, name: str) -> object:
        if self.away:
            raise StoreTrouble("the connection was refused")
        return getattr(self._real, name)


def test_without_the_store_the_last_orders_hold_and_what_is_to_be_told_waits(
    bench: Bench,
) -> None:
    for i in range(8):
        bench.ask(f"w{i}", need_s=60.0)
    bench.turn(20)
    bench.limit("cut", 0.5, lasts_s=3600.0)
    bench.turn(30)
    away = _Away(bench.store)
    bench.parts.intake.store = away
    away.away = True
    reports = bench.turn(60)
    assert (STORE_AWAY, "store") in reports[-1].troubles
    assert bench.it_share <= 0.5, "the order still holds"
    assert bench.parts.intake.waiting()
    assert WorkState.COMPLETED not in {w.state for w in bench.store.list_work()}
    away.away = False
    bench.turn(10)
    assert WorkState.COMPLETED in {w.state for w in bench.store.list_work()}
    assert not bench.store.alarms()
    bench.check()


def test_on_a_full_disk_power_is_only_taken_away_and_written_down_later(bench: Bench) -> None:
    for i in range(6):
        bench.ask(f"w{i}", need_s=3000.0)
    bench.turn(20)
    size = (bench.folder / "live/days/2026-11-25/journal.gfj").stat().st_size
    real = os.write

    def full(fd: int, data: bytes) -> int:
        if Path(f"/proc/self/fd/{fd}").readlink().name == "journal.gfj":
            raise OSError(28, "No space left on device")
        return real(fd, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gigafactory.engine.journal.os.write", full)
        bench.ask("late", need_s=10.0)
        bench.limit("cut", 0.5, lasts_s=3600.0)
        reports = bench.turn(40)
        assert (DISK_FULL, "journal") in reports[-1].troubles
        assert bench.it_share <= 0.5, "reductions go out"
        taken = [w for w in bench.store.list_work() if w.state is not WorkState.ASKED]
        assert "late" not in {w.idempotency_key for w in taken}, "nothing new is taken up"
    bench.turn(20)
    assert (bench.folder / "live/days/2026-11-25/journal.gfj").stat().st_size > size
    rows = [f for _, _, f in bench.frames()]
    troubles = [(f.fallback, f.entered) for f in rows if isinstance(f, live.TroubleTold)]
    assert (DISK_FULL, True) in troubles
    pauses = [c for f in rows if isinstance(f, live.IntentTold) for c in f.commands
              if c.action == "pause"]  # fmt: skip
    assert pauses, "what was done meanwhile is written down"
    assert len(bench.twin.observe().jobs) == 7, "what came late is taken up now"
    bench.check()


class _Jumpy:
    """A clock whose system time is off."""

    def __init__(self, real: object) -> None:
        self._real, self.off_ns = real, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def drift_ns(self) -> int:
        return self.off_ns

    def adopt(self) -> int:
        self.off_ns, jump = 0, self.off_ns
        self._real.wait_until(self._real.now_ns() + jump)  # type: ignore[attr-defined]
        return jump


@pytest.mark.parametrize("jump_s", [-3600, 3600])
def test_when_the_clock_jumps_the_stricter_limit_holds(bench: Bench, jump_s: int) -> None:
    for i in range(8):
        bench.ask(f"w{i}", need_s=30_000.0)
    bench.turn(20)
    bench.limit("now", 0.5, lasts_s=600.0)
    start = bench.clock.now_ns() + 3600 * NS_PER_S
    bench.limit("later", 0.3, start_ns=start, end_ns=start + 600 * NS_PER_S)
    bench.turn(30)
    assert 0.3 < bench.it_share <= 0.5
    jumpy = _Jumpy(bench.clock)
    bench.parts.clock = jumpy  # type: ignore[assignment]
    jumpy.off_ns = jump_s * NS_PER_S
    reports = bench.turn(40)
    assert (CLOCK_JUMP, "system") in reports[-1].troubles
    assert bench.it_share <= (0.3 if jump_s > 0 else 0.5)
    bench.turn(60)
    adopted = jump_s > 0
    assert (jumpy.off_ns == 0) is adopted, "forward is taken over, backward never"
    bench.check()


def test_a_controller_that_was_killed_knows_its_order_of_pauses(bench: Bench) -> None:
    for i in range(8):
        bench.ask(f"w{i}", need_s=30_000.0)
    bench.turn(20)
    for k, share in enumerate((0.8, 0.6, 0.4)):
        bench.limit(f"c{k}", share, lasts_s=3600.0)
        bench.turn(30)
    before = sorted(bench.controller.paused, key=lambda j: bench.controller.paused[j])
    assert len(before) >= 3
    bench.restart()
    after = bench.controller.paused
    assert sorted(after, key=lambda j: after[j]) == before
    bench.turn(10)
    assert bench.it_share <= 0.4
    bench.check()


@pytest.mark.parametrize("killed", [False, True], ids=["", "and the controller was killed"])
@pytest.mark.parametrize("ending", ["completed", "cancelled while it waited"])
def test_what_has_ended_is_not_run_again_when_its_manager_goes_back(
    tmp_path: Path, ending: str, *, killed: bool
) -> None:
    """At 40 s the manager is as it was at 10 s; the work ended between."""
    faults = Faults(rollbacks=((NOON + 40 * NS_PER_S, 30.0),))
    bench = Bench(tmp_path, nodes=2, faults=faults)
    long = bench.ask("long", nodes=1, need_s=600.0)
    other = bench.ask("other", nodes=1, need_s=18.0 if ending == "completed" else 600.0)
    waits = bench.ask("waits", nodes=2, need_s=600.0)
    state = {"completed": WorkState.COMPLETED}.get(ending, WorkState.CANCELLED)
    over = other if ending == "completed" else waits
    bench.turn(20)
    if over is waits:
        bench.store.ask_cancel(waits, "lab", "c", "test", bench.clock.now_ns())
    bench.turn(16)
    assert bench.store.work(over).state is state
    if killed:
        bench.restart()
    bench.turn(6)
    reports = bench.turn(20)
    assert bench.store.work(over).state is state, "it stays ended"
    assert bench.store.work(long).state is WorkState.RUNNING
    assert over not in {v.key for v in bench.twin.observe().jobs}, "its nodes are free"
    told = [
        (f.fallback, f.entered) for _, _, f in bench.frames() if isinstance(f, live.TroubleTold)
    ]
    assert told.count((WORK_BACK, True)) == told.count((WORK_BACK, False)) == 1
    assert not any(kind == WORK_BACK for kind, _ in reports[-1].troubles)
    moves = [
        kind
        for _, _, f in bench.frames()
        if isinstance(f, live.Moves)
        for kind in f.columns["kind"].tolist()
    ]
    ends = (live.FINISH, live.CANCEL, live.GONE)
    assert sum(kind in ends for kind in moves) == 1, "accounted once"
    bench.check()
    bench.close()


@pytest.mark.parametrize("killed", [False, True], ids=["", "and the controller was killed"])
def test_what_stands_frozen_is_known_to_when_its_manager_goes_back(
    tmp_path: Path, *, killed: bool
) -> None:
    """At 50 s the manager is as it was at 28 s, before it froze anything."""
    bench = Bench(
        tmp_path,
        manner=Manner(checkpoint_s=3600.0, save_s=300.0),
        faults=Faults(rollbacks=((NOON + 50 * NS_PER_S, 22.0),)),
    )
    for i in range(8):
        bench.ask(f"w{i}", need_s=200.0)
    bench.turn(28)
    bench.limit("cut", 0.5, lasts_s=60.0)
    bench.turn(20)
    frozen = {v.job for v in bench.twin.observe().jobs if v.frozen}
    assert len(frozen) >= 4
    if killed:
        bench.restart()
    bench.turn(6)
    assert {v.job for v in bench.twin.observe().jobs if v.frozen} == frozen
    assert bench.it_share <= 0.5
    bench.turn(400)
    assert {w.state for w in bench.store.list_work()} == {WorkState.COMPLETED}
    stood = {int(job) - 1001 for job in frozen}  # by the numbers of the day
    early = [
        kind
        for _, at, f in bench.frames()
        if isinstance(f, live.Moves) and at < NOON + 80 * NS_PER_S
        for kind, job in zip(f.columns["kind"].tolist(), f.columns["job"].tolist(), strict=True)
        if job in stood
    ]
    assert early == [live.START] * len(stood) + [live.PAUSE] * len(stood), "none ran between"
    bench.check()
    bench.close()


def test_two_controllers_cannot_lead_one_store(bench: Bench) -> None:
    assert bench.store.lead("controller", bench.clock.now_ns(), "other") is None
    with pytest.raises(BadInput, match="another process"):
        DayBook(bench.folder / "live").resume("2026-11-25")


@pytest.mark.slow
def test_five_hundred_jobs_are_below_a_cut_within_the_deadline(tmp_path: Path) -> None:
    bench = Bench(tmp_path, nodes=512, manner=Manner(checkpoint_s=600.0, save_s=8.0))
    for i in range(500):
        bench.ask(f"w{i}", need_s=30_000.0)
    bench.turn(30)
    running = [v for v in bench.twin.observe().jobs if v.phase is Phase.RUNNING]
    assert len(running) == 500
    bench.limit("cut", 0.75 * bench.it_share, lasts_s=60.0)
    bench.turn(30)
    assert bench.it_share <= 0.75
    bench.turn(90)
    running = [v for v in bench.twin.observe().jobs if v.phase is Phase.RUNNING]
    assert len(running) == 500, "all restored"
    assert sum(j.lost_ns for j in bench.twin.look().jobs.values()) == 0
    bench.check()
    bench.close()


class _Restless:
    """A gate whose decisions do not come to rest while it is told so."""

    def __init__(self, real: object) -> None:
        self._real, self.restless = real, False

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def decide(self, *args: Any, **more: Any) -> TickDecision:
        told: TickDecision = self._real.decide(*args, **more)  # type: ignore[attr-defined]
        return replace(told, settled=not self.restless)


def test_a_decision_that_does_not_come_to_rest_is_alarmed_until_one_does(bench: Bench) -> None:
    gate = _Restless(bench.parts.gates[POOL])
    bench.parts.gates[POOL] = gate  # type: ignore[index]
    bench.ask("w", need_s=30_000.0)
    assert (GATE_UNSETTLED, POOL) not in bench.turn(2)[-1].troubles
    gate.restless = True
    assert (GATE_UNSETTLED, POOL) in bench.turn(2)[-1].troubles
    gate.restless = False
    assert (GATE_UNSETTLED, POOL) not in bench.turn(2)[-1].troubles
    bench.check()
