"""The simulated workload manager keeps the contract of the port, and its faults are as told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gigafactory.adapters.twincluster import Draw, Manner, Node
from gigafactory.adapters.twinmanager import Faults, TwinManager, TwinMeter
from gigafactory.engine.clock import SimClock
from gigafactory.jobs.ports import Action, Command, Ending, Outcome, Phase, WorkOrder
from gigafactory.testing.contracts.workload import CHECKS, Check
from gigafactory.units import NS_PER_S

DRAW = Draw(100.0, {"research": 700.0, "frontier_training": 800.0, "inference": 500.0})
BEGIN = 1_800_000_000 * NS_PER_S


class Bench:
    """A simulated cluster of eight nodes."""

    pool, node_size, node_count, patience_s = "gpu", 8, 8, 30.0
    kw_per_node, budget_kw = 6, 10_000

    def __init__(self) -> None:
        self.clock = SimClock(BEGIN)
        self.manager = manager(self.clock)
        self._others = 0

    def script(self, work_s: float) -> str:
        return f"#!/bin/sh\n# need_s={work_s}\n"

    def pass_time(self, seconds: float) -> None:
        self.clock.wait_until(self.clock.now_ns() + int(seconds * NS_PER_S))

    def foreign(self) -> str:
        self._others += 1
        return self.manager.others([order(f"other-{self._others}", nodes=1, need_s=9999)])[0]

    def remove_foreign(self, job: str) -> None:
        cluster = self.manager.look()
        cluster.finish(cluster.jobs[job], Ending.CANCELLED)

    def drawing(self) -> frozenset[str]:
        return frozenset(j.name for j in self.manager.look().jobs.values() if j.runs)


def manager(clock: SimClock, faults: Faults | None = None, path: Path | None = None,
            failures: Sequence[tuple[int, str]] = ()) -> TwinManager:  # fmt: skip
    nodes = [Node(f"n{i}", "gpu", 8) for i in range(8)]
    return TwinManager(clock, nodes, {"gpu": DRAW}, Manner(checkpoint_s=60.0, save_s=2.0,
                       freeze_s=30.0), faults, failures, path)  # fmt: skip


def order(key: str, nodes: int = 1, need_s: float = 100.0, walltime_s: int = 10_000) -> WorkOrder:
    return WorkOrder(key, "lab", "research", 8 * nodes, nodes, walltime_s, 3,
                     f"# need_s={need_s}", pool="gpu")  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_the_contract(check: Check) -> None:
    check(Bench())


def run(clock: SimClock, at_s: float) -> None:
    clock.wait_until(BEGIN + int(at_s * NS_PER_S))


def placed(twin: TwinManager, *orders: WorkOrder) -> list[str]:
    jobs = [r.reason for r in twin.submit(orders)]
    twin.act([Command(f"go-{j}", Action.RELEASE, j) for j in jobs])
    return jobs


def test_a_failed_node_costs_what_was_not_saved() -> None:
    clock = SimClock(BEGIN)
    twin = manager(clock, failures=[(BEGIN + 130 * NS_PER_S, "n0")])
    (job,) = placed(twin, order("a", need_s=300.0))
    run(clock, 131)
    found = twin.look().jobs[job]
    assert found.lost_ns == 10 * NS_PER_S, "checkpoints stand at 60 and 120 s"
    assert found.nodes == ("n1",)
    assert found.phase == Phase.RUNNING, "it starts again by itself"
    run(clock, 130 + 180 + 1)
    assert [e.ending for e in twin.observe().ended] == [Ending.COMPLETED]


def test_energy_is_that_of_what_ran() -> None:
    clock = SimClock(BEGIN)
    twin = manager(clock)
    placed(twin, order("a", nodes=2, need_s=100.0))
    run(clock, 3600)
    twin.observe()
    want = (64 * 100 * 3600 + 16 * 600 * 100) / 3600 * 1e6
    assert twin.look().energy_uwh("gpu") == pytest.approx(want, rel=1e-9)
    meter = TwinMeter({"gpu": twin}, {"home": ["gpu"]}, 1.2, 0.001)
    readings = meter.read(("gpu/it", "home/import", "none/it"), clock.now_ns())
    assert [r.value for r in readings] == pytest.approx([0.0064, 0.0064 * 1.2 + 0.001])


def test_a_rollback_forgets_the_last_seconds() -> None:
    clock = SimClock(BEGIN)
    twin = manager(clock, Faults(rollbacks=((BEGIN + 20 * NS_PER_S, 5.0),)))
    placed(twin, order("old"))
    run(clock, 10)
    twin.observe()
    run(clock, 18)
    placed(twin, order("new"))
    twin.act([Command("c", Action.CANCEL, "1001")])
    assert {v.key for v in twin.observe().jobs} == {"new"}
    run(clock, 21)
    assert {v.key for v in twin.observe().jobs} == {"old"}, "what was cancelled is back"


def test_lost_doubled_and_late_commands() -> None:
    clock = SimClock(BEGIN)
    twin = manager(clock, Faults(seed=1, late=1.0, late_s=4.0))
    job = twin.submit([order("a")])[0]
    assert job.outcome is Outcome.UNKNOWN, "a hand-over that is late counts as lost"
    clock = SimClock(BEGIN)
    twin = manager(clock, Faults(seed=1, doubled=1.0))
    (job_name,) = placed(twin, order("a"), order("a"))[:1]
    assert len(twin.observe().jobs) == 1
    assert twin.look().jobs[job_name].started == 1


def test_a_hang_gives_no_answer() -> None:
    clock = SimClock(BEGIN)
    twin = manager(clock, Faults(hangs=((BEGIN, BEGIN + 10 * NS_PER_S),)))
    assert twin.observe().trouble
    assert twin.submit([order("a")])[0].outcome is Outcome.UNKNOWN
    run(clock, 10)
    assert not twin.observe().trouble


def test_the_state_outlives_the_process(tmp_path: Path) -> None:
    clock = SimClock(BEGIN)
    path = tmp_path / "twin.json"
    (job,) = placed(manager(clock, path=path), order("a", need_s=50.0))
    run(clock, 20)
    again = manager(clock, path=path)
    assert again.observe().jobs[0].phase is Phase.RUNNING
    assert not list(again.look().faults())
    run(clock, 60)
    assert [e.job for e in again.observe().ended] == [job]
    assert again.submit([order("a")])[0].outcome is Outcome.ACCEPTED
    assert not again.observe().jobs, "a key that has ended is not doubled"
