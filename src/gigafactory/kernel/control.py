"""What is told to a pool from outside: speeds, budgets, nodes in service, and the turn of a period.

Nodes that fail and come back are told here too; their instants were drawn beforehand.
"""

from __future__ import annotations

from typing import Any

from gigafactory.kernel.clocks import first_stop, plan_next_end, read_group, read_held
from gigafactory.kernel.gathering import move_together
from gigafactory.kernel.jit import compiled
from gigafactory.kernel.nodes import first_on, list_node, re_expect, unlist_node
from gigafactory.kernel.queues import hold
from gigafactory.kernel.quotas import rank_tenants, read_quota, reckon, see_tenant
from gigafactory.kernel.running import (
    activate,
    begin,
    class_room,
    done_of,
    evict,
    fail,
    headroom,
    leave,
    power_of,
    record,
    stop,
    vacate,
)
from gigafactory.kernel.schedule import schedule
from gigafactory.kernel.state import GROUPS, JobState, Kind, State

_PAUSED = int(JobState.PAUSED)
_RUNNING = int(JobState.RUNNING)
_PAUSE = int(Kind.PAUSE)
_RESUME = int(Kind.RESUME)
_GROW = int(Kind.GROW)
_START = int(Kind.START)


# --- speeds -------------------------------------------------------------------------------------


@compiled
def _set_group(s: State, g: int, speed: int, power: int) -> None:
    """Set the speed (of FULL_SPEED) and the power (mW per active accelerator) of a group, now."""
    group = s.group[g]
    if group.speed == speed and group.power == power:
        return
    v = s.v[0]
    read_group(s, g, v.t)
    v.draw += group.running * (power - group.power)
    group.power = power
    v.shadow_valid = 0
    if group.speed == speed:
        return
    group.speed = speed
    plan_next_end(s, g)
    for i in range(group.ends):
        re_expect(s, s.ends[g, i].job)


@compiled
def set_groups(s: State, speed: Any, power: Any) -> None:
    """Set speed and power of every group, now."""
    for g in range(GROUPS):
        _set_group(s, g, speed[g], power[g])


@compiled
def hold_groups(s: State, held: Any) -> None:
    """Keep queued jobs up to some run time, per group, from starting; what runs is not touched."""
    hold(s, held)
    s.v[0].shadow_valid = 0


@compiled
def set_limits(s: State, limit: Any) -> None:
    """Set what the active accelerators of each group may draw; no start may break it."""
    for g in range(GROUPS):
        s.group[g].limit = limit[g]
    s.v[0].shadow_valid = 0


@compiled
def set_quotas(s: State, nominal: Any, lend: Any) -> None:
    """Set the nominal quotas and what is lent of them, now."""
    v = s.v[0]
    for x in range(s.quota.shape[0]):
        read_quota(s, x, v.t)
        s.quota[x].nominal = nominal[x]
        s.quota[x].lend = lend[x]
    reckon(s, v.t)
    v.shadow_valid = 0


# --- budgets ------------------------------------------------------------------------------------


@compiled
def pause(s: State, j: int, t: int) -> None:
    """Pause running job `j`; it keeps its nodes and goes on top of the stack."""
    v = s.v[0]
    job = s.job[j]
    ask = s.ask[j]
    stop(s, j, t, _PAUSE)
    s.group[ask.group].paused += job.width
    job.state = _PAUSED
    ask.next = v.paused_top
    v.paused_top = j
    v.paused_jobs += 1
    re_expect(s, j)


@compiled
def _resume(s: State, j: int, above: int, t: int) -> None:
    """Let paused job `j` go on; `above` is the one above it in the stack, -1 when it is on top."""
    v = s.v[0]
    job = s.job[j]
    ask = s.ask[j]
    if above < 0:
        v.paused_top = ask.next
    else:
        s.ask[above].next = ask.next
    v.paused_jobs -= 1
    ask.next = -1
    read_group(s, ask.group, t)
    s.group[ask.group].paused -= job.width
    activate(s, j, t)
    re_expect(s, j)
    record(s, _RESUME, j, t, t, job.energy, job.energy)


@compiled
def _wake(s: State, j: int, t: int) -> None:
    """Let paused job `j` go on, wherever it stands in the stack."""
    above = -1
    at = s.v[0].paused_top
    while at != j:
        above = at
        at = s.ask[at].next
    _resume(s, j, above, t)


@compiled
def _youngest(s: State, g: int) -> int:
    """The running job of group `g` that started last; among equals the highest number."""
    best = -1
    for q in range(s.run.shape[0]):
        for kind in range(2):
            j = s.run[q, g, kind].tail
            first = j
            while j >= 0 and s.job[j].start == s.job[first].start:
                if (
                    best < 0
                    or s.job[j].start > s.job[best].start
                    or (s.job[j].start == s.job[best].start and j > best)
                ):
                    best = j
                j = s.ask[j].prev
    return best


@compiled
def set_budget(s: State, budget: int) -> int:
    """Set the power budget now; stop and pause jobs until the draw fits it.

    First those under notice leave at once, then jobs are paused in the order of groups given.
    Paused jobs keep their nodes at idle power and resume, last paused first, before anything new
    starts; a gang too large for the budget is passed over, not waited for. Returns the draw in
    milliwatts, which exceeds the budget only when idle nodes alone do.
    """
    v = s.v[0]
    v.budget = budget
    t = v.t
    going = first_stop(s)
    while v.draw > budget and going >= 0:
        leave(s, going, t, True)
        going = first_stop(s)
    for i in range(s.victims.shape[0]):
        g = s.victims[i]
        while v.draw > budget:
            j = _youngest(s, g)
            if j < 0:
                break
            pause(s, j, t)
    above = -1
    j = v.paused_top
    while j >= 0:
        below = s.ask[j].next
        if v.draw + power_of(s, j) <= budget:
            _resume(s, j, above, t)
        else:
            above = j
        j = below
    schedule(s, t)
    return v.draw


# --- nodes in service ---------------------------------------------------------------------------


@compiled
def put_in_service(s: State, n: int) -> None:
    """Put node `n`, empty, in service."""
    v = s.v[0]
    list_node(s, n, v.node_size)
    v.in_service += 1
    v.draw += v.node_size * v.idle_power


@compiled
def _take_out_of_service(s: State, n: int) -> None:
    v = s.v[0]
    unlist_node(s, n)
    s.node[n].free = -1
    v.in_service -= 1
    v.draw -= v.node_size * v.idle_power


@compiled
def _empty_node(s: State) -> int:
    """An empty node to take out of service: of the first rack that has one; -1 when none has."""
    for r in range(s.rack.shape[0]):
        if s.rack[r].head >= 0:
            return s.rack[r].head
    return -1


@compiled
def set_service(s: State, target: int) -> int:
    """Bring the number of nodes in service to `target`, now.

    Empty nodes leave first; then running jobs are evicted in the order of groups given, the one
    that started last first. Broken nodes cannot come into service. Returns the nodes in service.
    """
    v = s.v[0]
    t = v.t
    v.target = target
    read_held(s, t)
    last, missing = 0, target - v.in_service
    while missing > 0 and last < s.node.shape[0]:
        if s.node[last].free < 0 and s.node[last].down == 0:
            missing -= 1
        last += 1
    for k in range(last if v.in_service < target else 0):
        n = last - 1 - k  # the lowest number comes last, and so goes first
        if s.node[n].free < 0 and s.node[n].down == 0:
            put_in_service(s, n)
    if v.in_service > target:
        while v.paused_top >= 0:  # paused jobs hold nodes: wake them, so they can be evicted
            _resume(s, v.paused_top, -1, t)
    while v.in_service > target:
        n = _empty_node(s)
        if n >= 0:
            _take_out_of_service(s, n)
            continue
        victim = first_stop(s)
        if victim >= 0:
            leave(s, victim, t, True)
            continue
        for i in range(s.victims.shape[0]):
            victim = _youngest(s, s.victims[i])
            if victim >= 0:
                break
        if victim < 0:
            break
        evict(s, victim, t)
    reckon(s, t)
    v.shadow_valid = 0
    return v.in_service


@compiled
def _clear_node(s: State, n: int, t: int) -> None:
    """Make every job on a node that failed go back to its last checkpoint."""
    j = s.node[n].owner
    if j >= 0:
        if s.job[j].state == _PAUSED:
            _wake(s, j, t)
        fail(s, j, t)
        return
    j = first_on(s, n, -1)
    while j >= 0:
        if s.job[j].state == _PAUSED:
            _wake(s, j, t)
        fail(s, j, t)
        j = first_on(s, n, j)


@compiled
def node_fails(s: State, n: int, t: int) -> None:
    """Node `n` fails: its jobs roll back, and it leaves service until it is repaired.

    One that is not in service does not fail.
    """
    v = s.v[0]
    if s.node[n].free < 0:
        return
    read_held(s, t)
    s.node[n].down = 1
    v.down += 1
    if s.node[n].free < v.node_size:
        _clear_node(s, n, t)
    _take_out_of_service(s, n)
    reckon(s, t)


@compiled
def node_returns(s: State, n: int, t: int) -> None:
    """Node `n` is repaired; it comes into service if it is missing there and has power to rest."""
    if s.node[n].down == 0:
        return
    read_held(s, t)
    s.node[n].down = 0
    s.v[0].down -= 1
    if _is_missing(s, n):
        put_in_service(s, n)
        reckon(s, t)


@compiled
def _is_missing(s: State, n: int) -> bool:
    """Whether node `n` should be in service, could be, and would rest within the budget."""
    v = s.v[0]
    node = s.node[n]
    if v.in_service >= v.target or node.free >= 0 or node.down == 1:
        return False
    return v.draw + v.node_size * v.idle_power <= v.budget


@compiled
def _fill_service(s: State, t: int) -> None:
    """Put nodes in service that waited for power when they were repaired, by their number."""
    v = s.v[0]
    if v.in_service >= v.target:
        return
    read_held(s, t)
    for n in range(s.node.shape[0]):
        if _is_missing(s, n):
            put_in_service(s, n)
    reckon(s, t)


# --- the turn of a period -----------------------------------------------------------------------


@compiled
def _grow_to(s: State, j: int) -> int:
    """Nodes on which running elastic job `j` could run if it let go of those it has."""
    v = s.v[0]
    job = s.job[j]
    ask = s.ask[j]
    see_tenant(s, ask.tenant)
    room = min(s.tenant[ask.tenant].cap_room, s.tenant[ask.tenant].quota_room) // v.node_size
    nodes = min(ask.nodes - job.nodes, s.free[v.node_size].count, max(room, 0))
    cost = s.group[ask.group].power - v.idle_power
    while nodes > 0:
        more = min(ask.accelerators, (job.nodes + nodes) * v.node_size) - job.width
        power = s.group[ask.group].power
        if more * cost <= headroom(s) and more * power <= class_room(s, ask.group):
            break
        nodes -= 1
    return job.nodes + max(nodes, 0)


@compiled
def _grow(s: State, j: int, nodes: int, t: int) -> None:
    """Stop elastic job `j`, with what it has done, and start it on more nodes at once."""
    stop(s, j, t, _GROW)
    s.job[j].kept = done_of(s, j)
    read_held(s, t)
    vacate(s, j, t)
    begin(s, j, t, nodes)
    record(s, _START, j, t, t, s.job[j].energy, s.job[j].energy)


@compiled
def _grow_all(s: State, t: int) -> None:
    """Let running elastic jobs below their full width grow, in job order, while nobody waits."""
    v = s.v[0]
    count = 0
    for g in range(GROUPS):
        for i in range(s.group[g].ends):
            j = s.ends[g, i].job
            job = s.job[j]
            narrow = s.ask[j].least <= job.nodes < s.ask[j].nodes
            if narrow and job.level == 0 and job.state == _RUNNING:
                at = count
                while at > 0 and s.batch[at - 1] > j:
                    s.batch[at] = s.batch[at - 1]
                    at -= 1
                s.batch[at] = j
                count += 1
    for i in range(count):
        j = s.batch[i]
        nodes = _grow_to(s, j)
        if nodes > s.job[j].nodes:
            _grow(s, j, nodes, t)
    v.shadow_valid = 0


@compiled
def turn(s: State) -> None:
    """Begin a market period: nodes return, ranks, jobs grow or are moved together, one pass."""
    v = s.v[0]
    _fill_service(s, v.t)
    rank_tenants(s, v.t)
    if v.narrow > 0 and v.queued == 0 and v.paused_jobs == 0:
        _grow_all(s, v.t)
    if v.together == 1 and v.paused_jobs == 0:
        move_together(s, v.t)
    schedule(s, v.t)
