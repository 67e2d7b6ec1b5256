"""Which nodes leave service and come back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gigafactory.jobs.ports import JobView, NodeView, Phase, WorkloadSnapshot
from gigafactory.planner.poolplan import PoolPlan
from gigafactory.runtime.live.nodes import NodeWish, nodes_of, rest_w
from gigafactory.runtime.live.wiring import plan_of
from tests.runtime.live.bench import NOON, POOL, small_factory

NAMES = [f"n{i}" for i in range(4)]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> PoolPlan:
    folder: Path = tmp_path_factory.mktemp("nodes")
    return plan_of(small_factory(folder, len(NAMES)), POOL, NAMES)


def job(name: str, *nodes: str, phase: Phase = Phase.PAUSED) -> JobView:
    return JobView(name, "lab", phase, 8 * len(nodes), NOON, NOON, 3600.0, pool=POOL, nodes=nodes,
                   ours=True, frozen=phase is Phase.PAUSED)  # fmt: skip


def told(
    plan: PoolPlan,
    nodes: int,
    jobs: tuple[JobView, ...] = (),
    *,
    off: str = "",
    room: float = 0.0,
    rise: float | None = None,
    late: bool = False,
    rising: frozenset[str] = frozenset(),
    paused: dict[str, int] | None = None,
) -> NodeWish:
    """A decision; rooms are in nodes' rests, `off` says which nodes are off."""
    views = tuple(NodeView(n, POOL, 8, n not in off, False, n in off) for n in NAMES)
    return nodes_of(
        plan,
        nodes,
        WorkloadSnapshot(NOON, jobs, 32, views),
        room_w=room * rest_w(plan),
        rise_w=(room if rise is None else rise) * rest_w(plan),
        late=late,
        rising=rising,
        paused=paused or {},
    )


def test_empty_nodes_leave_from_the_end(plan: PoolPlan) -> None:
    jobs = (job("a", "n3", phase=Phase.RUNNING),)
    assert told(plan, 2, jobs) == NodeWish(down=("n2", "n1"))
    assert told(plan, 4, jobs, room=-3.0, late=True) == NodeWish(), "work is paused first"


def test_frozen_jobs_give_up_their_nodes_once_nothing_else_helps(plan: PoolPlan) -> None:
    jobs = (job("a", "n0"), job("b", "n1", "n2"), job("c", "n3"))
    ranks = {"b": 1, "c": 2, "a": 3}
    assert told(plan, 3, jobs, room=-1.0, paused=ranks) == NodeWish(), "there is time yet"
    late = told(plan, 3, jobs, room=-1.0, late=True, paused=ranks)
    assert late == NodeWish(leave=("b",)), "the one paused first, and no more than are needed"
    late = told(plan, 1, jobs, room=-2.5, late=True, paused=ranks)
    assert late == NodeWish(leave=("b", "c"))
    kept = told(plan, 3, jobs, room=0.1, late=True, paused=ranks)
    assert kept == NodeWish(), "the limit is kept"
    running = (*jobs[:2], job("c", "n3", phase=Phase.RUNNING))
    assert told(plan, 3, running, room=-1.0, late=True) == NodeWish(), "it is paused first"
    others = tuple(replace(one, ours=False) for one in jobs)
    assert told(plan, 3, others, room=-1.0, late=True) == NodeWish(), "others' are not touched"


def test_nodes_come_back_into_what_nothing_else_takes(plan: PoolPlan) -> None:
    assert told(plan, 4, off="n1 n2", room=2.5) == NodeWish(up=("n1", "n2"))
    assert told(plan, 4, off="n1 n2", room=2.5, rise=1.2) == NodeWish(up=("n1",))
    assert told(plan, 4, off="n1 n2", room=2.5, rise=-0.3) == NodeWish()
    one = told(plan, 3, off="n1 n2", room=2.5, rising=frozenset({"n2"}))
    assert one == NodeWish(up=("n2",)), "the one that was told so already"
