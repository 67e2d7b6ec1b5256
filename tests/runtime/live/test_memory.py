"""What the loop remembers for the gate: past use, time stood frozen, nodes that changed last."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gigafactory.adapters.twincluster import Manner
from gigafactory.jobs.ports import Action, EndedView, Ending, JobView, Phase, WorkloadSnapshot
from gigafactory.planner.poolplan import PoolPlan
from gigafactory.planner.tick import TickDecision
from gigafactory.runtime.live import frames
from gigafactory.runtime.live.acting import wanted_of
from gigafactory.runtime.live.loop import Controller
from gigafactory.runtime.live.memory import Frozen, Memory, Touched, Usage
from gigafactory.runtime.live.wiring import plan_of, quotas_of
from gigafactory.units import NS_PER_S
from tests.runtime.live.bench import NOON, POOL, Bench, small_factory

S = NS_PER_S


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> PoolPlan:
    factory = small_factory(tmp_path_factory.mktemp("plan"))
    made = plan_of(factory, POOL, [f"n{i}" for i in range(8)])
    rules = dataclasses.replace(made.rules, fair_share=True, half_life_ns=100 * S)
    return dataclasses.replace(made, rules=rules)


def work(job: int, tenant: int, key: str = "") -> frames.WorkTaken:
    row = (job, tenant, 1, 0, 8, 1, 0, NOON, 100, 0)
    return frames.WorkTaken(frames.columns_of(frames.WORK, [row]), (key,), (str(job),), ("",))


def moves(*rows: tuple[int, int, int, int]) -> frames.Moves:
    """Rows of kind, job, instant after noon in s, frozen."""
    full = [(k, j, NOON + t * S, 8, 0, 128, 0, 0, f) for k, j, t, f in rows]
    return frames.Moves(frames.columns_of(frames.MOVES, full))


def metered(from_s: int, to_s: int) -> frames.Metered:
    none = np.zeros((1, 0), np.int64)
    return frames.Metered(NOON + from_s * S, NOON + to_s * S, none, none, none)


def test_use_counts_what_is_held_and_halves(plan: PoolPlan) -> None:
    usage = Usage([plan], plan.tenants)
    for frame in (
        work(0, 0),
        work(1, 1),
        moves((frames.START, 0, 0, 0), (frames.PAUSE, 0, 5, 1)),  # frozen, it holds on
        metered(0, 10),
        moves((frames.FINISH, 0, 10, 0), (frames.START, 1, 110, 0)),
        metered(10, 110),
        moves((frames.PAUSE, 1, 112, 0)),  # saved, it holds nothing
        metered(110, 120),
    ):
        usage.take(frame)
    found = usage.of(POOL)
    assert found is not None
    fade = 0.5 ** (1 / 10)
    first = (40 * 0.5**0.05 + 40) * 0.5 * fade  # what is held fades from the end of its interval
    second = 16 * 0.5 ** (8 / 100)
    leaf = [plan.rules.tenant_node[i] for i in range(2)]
    assert found[leaf[0]] == pytest.approx(first)
    assert found[leaf[1]] == pytest.approx(second)
    assert found[0] == pytest.approx(first + second), "the root is the sum"


def test_use_is_handed_to_the_next_day(plan: PoolPlan) -> None:
    memory = Memory([plan], plan.tenants)
    assert memory.carried() is None
    for frame in (work(3, 0), moves((frames.START, 3, 0, 0)), metered(0, 60)):
        memory.take(frame)
    carried = memory.carried()
    assert carried is not None
    other = Memory([plan], plan.tenants)
    other.take(carried)
    memory.take(carried)  # rounded for both alike
    assert other.usage.of(POOL) == memory.usage.of(POOL)


def test_a_pool_in_order_of_asking_keeps_no_use(plan: PoolPlan) -> None:
    rules = dataclasses.replace(plan.rules, fair_share=False)
    usage = Usage([dataclasses.replace(plan, rules=rules)], plan.tenants)
    for frame in (work(0, 0), moves((frames.START, 0, 0, 0)), metered(0, 10)):
        usage.take(frame)
    assert usage.of(POOL) is None
    assert not usage.used_ms().any()


def view(**changes: object) -> JobView:
    given: dict[str, object] = {
        "job": "7", "tenant": "lab", "phase": Phase.RUNNING, "accelerators": 8,
        "submit_ns": NOON, "start_ns": NOON, "walltime_s": 900.0, "key": "w", "pool": POOL,
        "nodes": ("n0",), "nodes_asked": 1,
    }  # fmt: skip
    return JobView(**(given | changes))  # type: ignore[arg-type]


def look(at_s: int, *jobs: JobView, ended: tuple[EndedView, ...] = ()) -> WorkloadSnapshot:
    return WorkloadSnapshot(NOON + at_s * S, jobs, 0, (), ended)


def test_time_that_a_job_stood_frozen_is_no_work() -> None:
    frozen = Frozen()
    for frame in (work(0, 0, "w"), moves((frames.START, 0, 0, 0), (frames.PAUSE, 0, 30, 1))):
        frozen.take(frame)
    stands = frozen.seen(look(50, view(phase=Phase.PAUSED, frozen=True))).jobs[0]
    assert (stands.ran_s, stands.start_ns) == (30.0, NOON + 50 * S)
    frozen.take(moves((frames.RESUME, 0, 90, 0)))
    assert frozen.seen(look(100, view())).jobs[0].start_ns == NOON + 60 * S
    frozen.take(moves((frames.PAUSE, 0, 110, 1), (frames.RESUME, 0, 120, 0)))
    assert frozen.seen(look(130, view())).jobs[0].start_ns == NOON + 70 * S
    frozen.take(moves((frames.PREEMPT, 0, 140, 0), (frames.START, 0, 150, 0)))
    again = view(start_ns=NOON + 150 * S)
    assert frozen.seen(look(160, again)).jobs[0] == again, "what stood before is over"


def test_nodes_that_changed_last_rank_highest() -> None:
    touched = Touched()
    a, b = view(job="1", nodes=("n0", "n1")), view(job="2", nodes=("n2",), start_ns=NOON + S)
    touched.see(look(2, b, a))
    assert sorted(touched.ranks, key=touched.ranks.__getitem__) == ["n0", "n1", "n2"]
    end = EndedView("1", "w", Ending.COMPLETED, NOON + 3 * S, NOON)
    touched.see(look(4, b, ended=(end,)))
    assert sorted(touched.ranks, key=touched.ranks.__getitem__) == ["n2", "n1", "n0"]
    before = dict(touched.ranks)
    touched.see(look(6, b, ended=(end,)))
    assert touched.ranks == before, "nothing changed"


def test_steps_go_out_in_the_gates_order_one_a_job() -> None:
    steps = (
        (Action.HOLD, "a"),
        (Action.RESUME, "b"),
        (Action.REQUEUE, "c"),
        (Action.RELEASE, "c"),
        (Action.PAUSE, "d"),
    )
    found = wanted_of(steps, why_pause="less", within_s=9.0, brief=False)
    assert [(w.action, w.job, w.within_s) for w in found] == [
        (Action.HOLD, "a", 0.0),
        (Action.RESUME, "b", 0.0),
        (Action.REQUEUE, "c", 0.0),
        (Action.PAUSE, "d", 9.0),
    ]
    found = wanted_of(steps, why_pause="less", within_s=9.0, brief=True)
    assert [w.job for w in found] == ["a", "c", "d"]


# --- in the loop --------------------------------------------------------------------------------


class Listening:
    """A gate that notes what it is given."""

    def __init__(self, gate: object) -> None:
        self.gate, self.told = gate, {}

    def decide(self, snapshot: WorkloadSnapshot, at_ns: int, **told: object) -> TickDecision:
        self.told = told | {"snapshot": snapshot}
        decided: TickDecision = self.gate.decide(snapshot, at_ns, **told)  # type: ignore[attr-defined]
        return decided

    def modelled_kw(self, snapshot: WorkloadSnapshot) -> float:
        return float(self.gate.modelled_kw(snapshot))  # type: ignore[attr-defined]


class FairBench(Bench):
    """A bench whose gate ranks tenants by use and tells what it was given."""

    def _open(self):  # type: ignore[no-untyped-def]
        rules = dataclasses.replace(self.plan.rules, fair_share=True, half_life_ns=600 * S)
        self.plan = dataclasses.replace(self.plan, rules=rules)
        controller = super()._open()
        self.gate = Listening(self.parts.gates[POOL])
        self.parts.gates = {POOL: self.gate}
        return controller


@pytest.fixture
def fair(tmp_path: Path) -> Iterator[FairBench]:
    made = FairBench(tmp_path, manner=Manner(save_s=60.0))
    yield made
    made.close()


def test_a_controller_that_starts_again_remembers_the_same(fair: FairBench) -> None:
    for i in range(6):
        fair.ask(f"w{i}", need_s=3000.0, tenant=("lab", "shop")[i % 3 == 0])
    fair.turn(30)
    fair.limit("cut", 0.5, lasts_s=40.0)
    fair.turn(20)
    assert any(v.frozen for v in fair.twin.observe().jobs)
    fair.turn(60)
    usage, snapshot = fair.gate.told["usage"], fair.gate.told["snapshot"]
    assert len(set(usage)) > 1
    assert usage[0] == pytest.approx(sum(usage[x] for x in fair.plan.rules.tenant_node))
    late = [v.start_ns - NOON for v in snapshot.jobs]
    assert len(set(late)) > 1, "those that stood frozen began later"
    memory = fair.controller.accounts.memory
    kept = memory.usage.of(POOL), dict(memory.frozen.stood_ns)
    fair.parts.book.sync()
    fair.restart()
    again = fair.controller.accounts.memory
    assert (again.usage.of(POOL), again.frozen.stood_ns) == kept, "to the last bit"
    assert kept[1]


def test_use_goes_on_over_midnight(tmp_path: Path) -> None:
    midnight = NOON + 12 * 3600 * S
    bench = FairBench(tmp_path, begin_ns=midnight - 30 * S)
    bench.ask("w", need_s=3000.0)
    bench.turn(28)
    before = bench.gate.told["usage"][0]
    bench.turn(4)
    assert bench.gate.told["usage"][0] > before > 0.0
    carried = [f for d, _, f in bench.frames() if d == "2026-11-26"][1]
    assert isinstance(carried, frames.Carried)
    kept = bench.controller.accounts.memory.usage.of(POOL)
    bench.restart()
    assert bench.controller.accounts.memory.usage.of(POOL) == kept
    bench.close()


def test_nodes_and_quotas_of_the_day_reach_the_gate(tmp_path: Path) -> None:
    bench = FairBench(tmp_path)
    bench.parts.quotas_at = lambda at_ns: quotas_of(bench.factory, {POOL: bench.plan}, at_ns)
    bench.controller = Controller(bench.parts, bench.controller.accounts)
    bench.ask("w", need_s=3000.0)
    bench.turn(10)
    told = bench.gate.told
    assert told["quotas"] == (bench.plan.rules.nominal, bench.plan.rules.lend)
    assert list(told["touched_before"]) == [*bench.twin.observe().jobs[0].nodes]
    bench.close()


def test_the_order_of_pauses_is_that_of_the_commands_whatever_jobs_are_called(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    bench.twin.cluster.next_name = 7  # 7, 8, 9, 10 ...: as text 10 comes before 7
    for i in range(8):
        bench.ask(f"w{i}", need_s=3000.0)
        bench.turn(2)
    bench.turn(20)
    bench.limit("cut", 0.4, lasts_s=600.0)
    sent = [c.job for r in bench.turn(30) for c in r.sent if c.action is Action.PAUSE]
    assert len(sent) >= 4
    paused = bench.controller.paused
    sent = [job for job in dict.fromkeys(sent) if job in paused]
    assert sent != sorted(sent, key=lambda job: (len(job), job))
    assert sorted(paused, key=paused.__getitem__) == sent
    bench.restart()
    paused = bench.controller.paused
    assert sorted(paused, key=paused.__getitem__) == sent, "also for the next controller"
    bench.close()
