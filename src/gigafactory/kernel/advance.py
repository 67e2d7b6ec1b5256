"""The event loop: every end and arrival between two instants, in order.

At one instant: jobs end, then jobs arrive, both by job number, then one scheduling pass. An
interval is half open: what falls on its end belongs to the next one.
"""

from __future__ import annotations

from typing import Any

from gigafactory.kernel.clocks import drop_end, plan_next_end, read_group, read_held
from gigafactory.kernel.jit import compiled, entry
from gigafactory.kernel.nodes import list_node, re_expect, release_nodes, unlist_node
from gigafactory.kernel.schedule import (
    activate,
    consider_arrival,
    enqueue,
    power_of,
    queue_head,
    record,
    schedule,
)
from gigafactory.kernel.state import GROUPS, JobState, Kind, State

_DONE = int(JobState.DONE)
_PAUSED = int(JobState.PAUSED)
_FINISH = int(Kind.FINISH)
_LIMIT = int(Kind.LIMIT)
_PAUSE = int(Kind.PAUSE)
_RESUME = int(Kind.RESUME)
_EVICT = int(Kind.EVICT)


@compiled
def _close(s: State, j: int, t: int, kind: int) -> None:
    """Close the running segment of job `j`, already off its heap of ends: it draws nothing more."""
    job = s.job[j]
    ask = s.ask[j]
    group = s.group[ask.group]
    read_group(s, ask.group, t)
    s.v[0].draw -= power_of(s, j)
    group.running -= ask.accelerators
    job.left = max(job.v_end - group.clock, 0)
    ask.rest = job.left + job.estimate - job.need
    record(s, kind, j, t, job.start, job.energy, group.energy)


@compiled
def _stop(s: State, j: int, t: int, kind: int) -> None:
    """Stop a running job before its end."""
    read_group(s, s.ask[j].group, t)
    drop_end(s, s.ask[j].group, j)
    _close(s, j, t, kind)


@compiled
def _end_all_due(s: State, t: int) -> None:
    """End every job due at instant `t`, by job number over all groups."""
    due = 0
    for g in range(GROUPS):
        if s.group[g].next_end == t:
            read_group(s, g, t)
        while s.group[g].next_end == t:
            j = s.heap_job[g, 0]
            drop_end(s, g, j)
            at = due
            while at > 0 and s.batch[at - 1] > j:
                s.batch[at] = s.batch[at - 1]
                at -= 1
            s.batch[at] = j
            due += 1
    read_held(s, t)
    for i in range(due):
        j = s.batch[i]
        _close(s, j, t, _LIMIT if s.job[j].limited else _FINISH)
        release_nodes(s, j)
        s.job[j].state = _DONE


@entry
def advance(s: State, until: int) -> int:
    """Process all events before `until`.

    Returns:
        The instant reached: `until`, or an earlier one when the notes must be drained first.
    """
    v = s.v[0]
    room = s.out.shape[0] - 2 * s.batch.shape[0] - 64
    while True:
        if v.records > room:
            return v.t
        t = until
        for g in range(GROUPS):
            t = min(t, s.group[g].next_end)
        arriving = v.arrival < v.horizon and s.job[v.arrival].submit <= t
        if arriving:
            t = s.job[v.arrival].submit
        if t >= until:
            break
        v.t = t
        ended = False
        for g in range(GROUPS):
            if s.group[g].next_end == t:
                ended = True
        if ended:
            _end_all_due(s, t)
        first = v.arrival
        while v.arrival < v.horizon and s.job[v.arrival].submit == t:
            enqueue(s, v.arrival)
            v.arrival += 1
        v.events += 1
        alone = v.arrival == first + 1
        if ended or not alone or v.shadow_valid == 0 or queue_head(s) == first:
            schedule(s, t)
        else:
            consider_arrival(s, first, t)
    v.t = until
    for g in range(GROUPS):
        read_group(s, g, until)
    read_held(s, until)
    return until


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
    if group.speed != speed:
        group.speed = speed
        plan_next_end(s, g)
        for i in range(group.ends):
            re_expect(s, s.heap_job[g, i])


@entry
def set_groups(s: State, speed: Any, power: Any) -> None:
    """Set speed and power of every group, now."""
    for g in range(GROUPS):
        _set_group(s, g, speed[g], power[g])


@entry
def hold_groups(s: State, held: Any) -> None:
    """Keep queued jobs of some groups (1) from starting; what runs is not touched."""
    for g in range(GROUPS):
        group = s.group[g]
        s.v[0].held_groups += held[g] - group.held
        group.held = held[g]
    s.v[0].shadow_valid = 0


@compiled
def _pause(s: State, j: int, t: int) -> None:
    v = s.v[0]
    job = s.job[j]
    ask = s.ask[j]
    _stop(s, j, t, _PAUSE)
    s.group[ask.group].paused += ask.accelerators
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
    s.group[ask.group].paused -= ask.accelerators
    activate(s, j, t)
    re_expect(s, j)
    record(s, _RESUME, j, t, t, job.energy, job.energy)


@compiled
def _youngest(s: State, g: int) -> int:
    """The running job of group `g` that started last; among equals the highest number."""
    best = -1
    for i in range(s.group[g].ends):
        j = s.heap_job[g, i]
        if (
            best < 0
            or s.job[j].start > s.job[best].start
            or (s.job[j].start == s.job[best].start and j > best)
        ):
            best = j
    return best


@entry
def set_budget(s: State, budget: int, victims: Any) -> int:
    """Set the power budget now; pause jobs, in the order of groups given, until the draw fits it.

    Paused jobs keep their nodes at idle power and resume, last paused first, before anything new
    starts; a gang too large for the budget is passed over, not waited for. Returns the draw in
    milliwatts, which exceeds the budget only when idle nodes alone do.
    """
    v = s.v[0]
    v.budget = budget
    t = v.t
    for i in range(len(victims)):
        g = victims[i]
        while v.draw > budget and s.group[g].ends > 0:
            _pause(s, _youngest(s, g), t)
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


@compiled
def _evict(s: State, j: int, t: int) -> None:
    """Take the nodes of a running job; it goes back to the queue from its last checkpoint."""
    job = s.job[j]
    ask = s.ask[j]
    group = s.group[ask.group]
    _stop(s, j, t, _EVICT)
    read_held(s, t)
    release_nodes(s, j)
    done = job.need - job.left
    kept = done - done % group.checkpoint if group.checkpoint > 0 else 0
    group.lost_ns += (done - kept) * ask.accelerators
    job.left = job.need - kept
    ask.rest = job.estimate - kept
    enqueue(s, j)


@entry
def set_service(s: State, target: int, victims: Any) -> int:
    """Bring the number of nodes in service to `target`, now.

    Free nodes leave first; then running gangs are evicted in the order of groups given, the one
    that started last first. Returns the nodes in service.
    """
    v = s.v[0]
    t = v.t
    read_held(s, t)
    n = 0
    while v.in_service < target and n < s.node.shape[0]:
        if s.node[n].free < 0:
            list_node(s, n, v.node_size)
            v.in_service += 1
            v.draw += v.node_size * v.idle_power
        n += 1
    if v.in_service > target:
        while v.paused_top >= 0:  # paused jobs hold nodes: wake them, so they can be evicted
            _resume(s, v.paused_top, -1, t)
    while v.in_service > target:
        if s.free_count[v.node_size] > 0:
            n = s.free_head[v.node_size]
            unlist_node(s, n)
            s.node[n].free = -1
            v.in_service -= 1
            v.draw -= v.node_size * v.idle_power
            continue
        victim = -1
        for i in range(len(victims)):
            victim = _youngest(s, victims[i])
            if victim >= 0:
                break
        if victim < 0:
            break
        _evict(s, victim, t)
    v.shadow_valid = 0
    return v.in_service
