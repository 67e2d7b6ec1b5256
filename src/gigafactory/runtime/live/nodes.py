"""Which nodes leave service because even their rest is too much, and which come back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass

from gigafactory.jobs.ports import JobView, Phase, WorkloadSnapshot
from gigafactory.planner.poolplan import PoolPlan


@dataclass(frozen=True, slots=True)
class NodeWish:
    """What should be done about a pool's nodes.

    Attributes:
        down: nodes to power down, in order.
        up: nodes to power up, in order.
        leave: frozen jobs that must give their nodes back at once, back to their last checkpoint:
            a node they keep cannot be powered down, and its rest is more than is allowed.
    """

    down: tuple[str, ...] = ()
    up: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()


def rest_w(plan: PoolPlan) -> float:
    """What a node of a pool draws at rest, W."""
    return plan.node_size * plan.idle_power_mw / 1000.0


def nodes_of(
    plan: PoolPlan,
    told: int,
    snapshot: WorkloadSnapshot,
    *,
    room_w: float,
    rise_w: float,
    late: bool,
    rising: Set[str],
    paused: Mapping[str, int],
) -> NodeWish:
    """Decide about a pool's nodes, by the model or because the meter still says too much.

    Broken nodes may draw as well, and go first. What has gone comes back when there is room for
    it beside the work that is about to start: the same room is not given twice.

    Args:
        plan: the pool.
        told: nodes that may be in service by the model.
        snapshot: what the manager shows.
        room_w: IT power by which the limit is kept now; negative where it is broken.
        rise_w: IT power that nothing else is about to take.
        late: the limit has been broken for so long that nothing saves itself any more.
        rising: nodes that were told to come back and do not show it yet.
        paused: rank of each paused job, the one paused first lowest.
    """
    names = frozenset(plan.nodes)
    mine = [n for n in snapshot.nodes if n.node in names]
    holds = [v for v in snapshot.jobs if v.phase is Phase.RUNNING or v.frozen]
    busy = {node for v in holds for node in v.nodes}
    on = [n for n in mine if n.up and not n.off]
    fewer = max(len(on) - told, 0)
    ours = [v for v in holds if v.ours and v.pool == plan.name]
    last = late and not any(v.phase is Phase.RUNNING for v in ours)
    if last:
        fewer = max(fewer, math.ceil(-room_w / rest_w(plan)))
    broken = [n for n in mine if not n.up and not n.off] if late else []
    spare = [n.node for n in (*broken, *reversed(on)) if n.node not in busy]
    if fewer > 0:
        short = fewer - len(spare)
        leave = _leaving(ours, short, paused) if last and room_w < 0.0 else ()
        return NodeWish(down=tuple(spare[:fewer]), leave=leave)
    off = sorted((n for n in mine if n.off), key=lambda n: n.node not in rising)
    more = min(told - len(on), int(rise_w / rest_w(plan)))
    return NodeWish(up=tuple(n.node for n in off[: max(more, 0)]))


def _leaving(frozen: list[JobView], short: int, paused: Mapping[str, int]) -> tuple[str, ...]:
    """Jobs that keep at least so many nodes together, those first that were paused first."""
    found: list[str] = []
    for view in sorted(frozen, key=lambda v: (paused.get(v.job, len(paused)), v.job)):
        if short <= 0:
            break
        found.append(view.job)
        short -= len(view.nodes)
    return tuple(found)
