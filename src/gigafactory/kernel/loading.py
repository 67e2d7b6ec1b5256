"""Laying a pool out as it is found: the nodes in service, and the jobs on the nodes they have.

For a pool that is built anew at an instant, by whoever looks at a machine that runs already. What
a job has done stands in its arrays by then.
"""

from __future__ import annotations

from typing import Any

from gigafactory.kernel.control import pause, put_in_service
from gigafactory.kernel.jit import compiled
from gigafactory.kernel.nodes import best_fit, list_node, unlist_node
from gigafactory.kernel.queues import enqueue
from gigafactory.kernel.quotas import rank_tenants, reckon
from gigafactory.kernel.running import begin
from gigafactory.kernel.state import JobState, State

_FUTURE = int(JobState.FUTURE)
#: Words about a job before its nodes: its number, when it began, whether it is paused, how many
#: nodes follow. Without any it takes nodes as if it started now, or waits if it does not find them.
HEAD = 4


@compiled
def _has_room(s: State, j: int) -> bool:
    """Whether job `j` would find its nodes."""
    ask = s.ask[j]
    if ask.nodes > 0:
        return s.free[s.v[0].node_size].count >= ask.nodes
    return best_fit(s, ask.accelerators, ask.tenant) >= 0


@compiled
def _lay(s: State, j: int, start: int, paused: int, nodes: Any, at: int, count: int) -> None:
    """Lay one job on `count` nodes that stand in `nodes` from `at` on."""
    v = s.v[0]
    t = v.t
    ask = s.ask[j]
    if count == 0:
        if not _has_room(s, j):
            enqueue(s, j, t)
            return
        begin(s, j, t, ask.nodes)
    else:
        for k in range(count):
            s.spare[k, 0] = nodes[at + k]
        v.aim = nodes[at]
        begin(s, j, t, count if ask.nodes > 0 else 0)
        v.aim = -1
    s.job[j].start = start
    if paused == 1:
        pause(s, j, t)
        v.records = 0


@compiled
def load(s: State, count: int, jobs: Any, nodes: Any) -> None:
    """Put nodes in service and lay jobs on them; all others that came wait.

    Args:
        s: an empty pool.
        count: how many jobs are laid.
        jobs: of each, in the order in which they began and were paused: `HEAD` words, then the
            numbers of its nodes.
        nodes: the nodes in service; among equals the last one is used first.
    """
    v = s.v[0]
    for i in range(nodes.shape[0]):
        put_in_service(s, nodes[i])
    v.target = v.in_service
    reckon(s, v.t)
    rank_tenants(s, v.t)
    at = 0
    for _ in range(count):
        held = jobs[at + 3]
        _lay(s, jobs[at], jobs[at + 1], jobs[at + 2], jobs, at + HEAD, held)
        at += HEAD + held
    for i in range(nodes.shape[0]):
        n = nodes[i]
        if s.node[n].free > 0:
            unlist_node(s, n)
            list_node(s, n, s.node[n].free)
    for j in range(s.job.shape[0]):
        if s.job[j].state == _FUTURE:
            enqueue(s, j, v.t)
    v.arrival = v.horizon
    v.shadow_valid = 0
