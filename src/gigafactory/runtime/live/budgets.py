"""From a connection's limit to what each pool behind it may draw.

What a site draws beside its IT (cooling, losses) follows IT slowly, so a cut is taken from IT in
full, and a rise is granted only with what the plant will draw on top of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gigafactory.jobs.ports import Phase, WorkloadSnapshot
from gigafactory.planner.poolplan import CLASSES, PoolPlan
from gigafactory.planner.response import PoolView, Responder, Wish

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a pool is told.

    Attributes:
        budget_kw: IT power it may draw; None where no limit can be reached.
        nodes: nodes that may be in service.
        left_kw: of the budget, what running work and what is about to start leave; infinite where
            there is none.
    """

    budget_kw: float | None
    nodes: int
    left_kw: float = math.inf


def it_allowed_w(limit_w: float, import_w: float, it_w: float, overhead: float) -> float:
    """IT power that keeps a site within its limit, W.

    Args:
        limit_w: import at most.
        import_w: imported now.
        it_w: of this, by IT.
        overhead: site power per IT power.
    """
    room = limit_w - import_w
    return max(it_w + (room / max(overhead, 1.0) if room > 0.0 else room), 0.0)


def pool_view(plan: PoolPlan, snapshot: WorkloadSnapshot) -> PoolView:
    """A pool as the responder sees it: what runs, what is in service, whether work waits."""
    running = np.zeros(len(plan.power_mw), np.int64)
    names = frozenset(plan.nodes)
    waiting = False
    for view in snapshot.jobs:
        if view.pool != plan.name:
            continue
        if view.phase is Phase.RUNNING:
            running[group_number(view.job_class, plan)] += view.accelerators
        else:
            waiting = True
    mine = [n for n in snapshot.nodes if n.node in names]
    there = sum(n.up or n.off for n in mine)
    return PoolView(
        running=running,
        nodes=there,
        in_service=sum(n.up and not n.off for n in mine),
        node_size=plan.node_size,
        waiting=waiting,
        idle_mw=plan.idle_power_mw,
        power_mw=plan.power_mw,
    )


def split(
    allowed_w: float, plans: Sequence[PoolPlan], snapshots: Mapping[str, WorkloadSnapshot]
) -> dict[str, Allowed]:
    """Share IT power out among the pools of a site; nothing is slowed down.

    Args:
        allowed_w: IT power allowed; infinite for no limit.
        plans: the pools.
        snapshots: what each pool's manager shows.
    """
    if not plans:
        return {}
    classes = len(plans[0].power_mw)
    full = np.full(classes, plans[0].full_speed, np.int64)
    views = [pool_view(plan, snapshots[plan.name]) for plan in plans]
    intent = Responder(plans[0].full_speed, (), full).decide(
        allowed_w / 1e6 if math.isfinite(allowed_w) else math.inf,
        Wish(full, np.zeros(classes), np.zeros(classes)),
        views,
    )
    return {
        plan.name: Allowed(None if budget is None else budget / 1e6, nodes)
        for plan, budget, nodes in zip(plans, intent.budget_mw, intent.nodes, strict=True)
    }


def group_number(label: str, plan: PoolPlan) -> int:
    """The row of a job class in a plan's powers; the hungriest victims' for one unknown."""
    if label == "inference":
        label = "inference_realtime"
    return CLASSES.index(label) if label in CLASSES else plan.victims[-1]
