"""A job begins, goes on, and stops: its nodes, its power, its clock and what it keeps.

Running jobs of a tenant, class and kind (small ones, gangs) stand in a list by the instant at which
they began; a mark in it says which have run for long enough to be victims.
"""

from __future__ import annotations

from gigafactory.kernel.clocks import (
    drop_end,
    push_end,
    push_stop,
    read_group,
    read_held,
    stretched,
    worked,
)
from gigafactory.kernel.jit import compiled
from gigafactory.kernel.nodes import all_going, expect_job, hold_nodes, re_expect, release_nodes
from gigafactory.kernel.queues import dequeue, enqueue, least_of, unclaim
from gigafactory.kernel.quotas import shift
from gigafactory.kernel.state import (
    FULL_RATE,
    FULL_SPEED,
    INSTANT_NS,
    NEVER,
    NOW,
    SOON,
    JobState,
    Kind,
    State,
    Why,
)

_QUEUED = int(JobState.QUEUED)
_RUNNING = int(JobState.RUNNING)
_PAUSED = int(JobState.PAUSED)
_STOPPING = int(JobState.STOPPING)
_CLAIMING = int(JobState.CLAIMING)
_AWAY = int(JobState.AWAY)
_EVICT = int(Kind.EVICT)
_PREEMPT = int(Kind.PREEMPT)
_FAIL = int(Kind.FAIL)
_STOPPED = int(Why.STOPPED)


@compiled
def record(s: State, kind: int, j: int, t: int, start: int, energy0: int, energy1: int) -> None:
    """Note what happened to a job; the caller drains the notes after each `advance`."""
    v = s.v[0]
    row = v.records
    s.out[row, 0] = kind
    s.out[row, 1] = j
    s.out[row, 2] = t
    s.out[row, 3] = start
    s.out[row, 4] = energy0
    s.out[row, 5] = energy1
    s.out[row, 6] = s.job[j].width
    s.out[row, 8] = 0
    if kind == _PREEMPT:
        s.out[row, 7] = s.job[j].claim
    else:
        s.out[row, 7] = s.job[j].why + 256 * s.job[j].why_node
    v.records = row + 1


# --- the lists of running jobs ------------------------------------------------------------------


@compiled
def _list_running(s: State, j: int) -> None:
    ask = s.ask[j]
    kind = 1 if s.job[j].nodes > 0 else 0
    tail = s.run[ask.tenant, ask.group, kind].tail
    ask.prev = tail
    ask.next = -1
    if tail >= 0:
        s.ask[tail].next = j
    else:
        s.run[ask.tenant, ask.group, kind].head = j
    s.run[ask.tenant, ask.group, kind].tail = j


@compiled
def _unlist_running(s: State, j: int) -> None:
    ask = s.ask[j]
    q, g = ask.tenant, ask.group
    kind = 1 if s.job[j].nodes > 0 else 0
    if s.run[q, g, kind].mature == j:
        s.run[q, g, kind].mature = ask.prev
    if ask.prev >= 0:
        s.ask[ask.prev].next = ask.next
    else:
        s.run[q, g, kind].head = ask.next
    if ask.next >= 0:
        s.ask[ask.next].prev = ask.prev
    else:
        s.run[q, g, kind].tail = ask.prev
    ask.next = -1
    ask.prev = -1


@compiled
def last_mature(s: State, q: int, g: int, kind: int, t: int) -> int:
    """The job of a list that began last among those that have run for the minimum run time."""
    by = t - s.group[g].runtime_min
    if s.group[g].grace == 0:
        by = min(by, t - INSTANT_NS)
    at = s.run[q, g, kind].mature
    following = s.run[q, g, kind].head if at < 0 else s.ask[at].next
    while following >= 0 and s.job[following].start <= by:
        at = following
        following = s.ask[at].next
    s.run[q, g, kind].mature = at
    return at


# --- power and clocks ---------------------------------------------------------------------------


@compiled
def headroom(s: State) -> int:
    """Milliwatts left under the power budget."""
    v = s.v[0]
    if v.budget >= NEVER:
        return NEVER
    return v.budget - v.draw


@compiled
def class_room(s: State, g: int) -> int:
    """Milliwatts that active accelerators of class `g` may still draw under its limit."""
    group = s.group[g]
    if group.limit >= NEVER:
        return NEVER
    return group.limit - group.running * group.power


@compiled
def power_of(s: State, j: int) -> int:
    """Milliwatts that job `j`, holding nodes, adds to the pool's draw while it is active."""
    return s.job[j].width * (s.group[s.ask[j].group].power - s.v[0].idle_power)


@compiled
def activate(s: State, j: int, t: int) -> None:
    """Let a job that holds its nodes draw power and make progress."""
    job = s.job[j]
    ask = s.ask[j]
    group = s.group[ask.group]
    job.start = t
    job.energy = group.energy
    job.v_end = group.clock + stretched(job.left, job.rate)
    job.state = _RUNNING
    group.running += job.width
    group.slow += job.width * (FULL_RATE - job.rate)
    s.v[0].draw += power_of(s, j)
    push_end(s, ask.group, j)
    _list_running(s, j)


@compiled
def close_segment(s: State, j: int, t: int, kind: int) -> None:
    """Close the running segment of job `j`, already off its heap of ends: it draws nothing more."""
    job = s.job[j]
    ask = s.ask[j]
    group = s.group[ask.group]
    read_group(s, ask.group, t)
    if job.state == _RUNNING:
        _unlist_running(s, j)
    s.v[0].draw -= power_of(s, j)
    group.running -= job.width
    group.slow -= job.width * (FULL_RATE - job.rate)
    left = worked(max(job.v_end - group.clock, 0), job.rate)
    again = min(job.left - left, job.redo)
    group.restart_ns += stretched(again, job.rate) * job.width
    job.redo -= again
    job.left = left
    ask.rest = left + job.estimate - job.need
    record(s, kind, j, t, job.start, job.energy, group.energy)


@compiled
def stop(s: State, j: int, t: int, kind: int) -> None:
    """Stop a running job before its end; it keeps its nodes."""
    read_group(s, s.ask[j].group, t)
    drop_end(s, s.ask[j].group, j)
    close_segment(s, j, t, kind)


@compiled
def held_by(s: State, j: int) -> int:
    """Accelerators on nodes that job `j` holds."""
    job = s.job[j]
    return job.nodes * s.v[0].node_size if job.nodes > 0 else job.width


@compiled
def vacate(s: State, j: int, t: int) -> None:
    """Take back the nodes of a job that is active no more, and count them off its tenant."""
    v = s.v[0]
    job = s.job[j]
    held = held_by(s, j)
    leaf = s.tenant[s.ask[j].tenant].leaf
    shift(s, NOW, leaf, -held, t)
    if job.state == _STOPPING:
        v.stop_nodes -= job.nodes
        job.claim = 0
    else:
        shift(s, SOON, leaf, -held, t)
    job.stop = NEVER
    if s.ask[j].least <= job.nodes < s.ask[j].nodes:
        v.narrow -= 1
    release_nodes(s, j)


# --- begin and end ------------------------------------------------------------------------------


@compiled
def begin(s: State, j: int, t: int, nodes: int) -> None:
    """Give a job its nodes (0: a share of one), count them on its tenant, and let it run."""
    v = s.v[0]
    job = s.job[j]
    ask = s.ask[j]
    job.width = min(ask.accelerators, nodes * v.node_size) if nodes > 0 else ask.accelerators
    read_group(s, ask.group, t)
    read_held(s, t)
    rate = FULL_RATE
    if job.width < ask.accelerators:
        rate = s.efficiency[FULL_RATE * job.width // ask.accelerators]
    if hold_nodes(s, j, nodes):
        rate = rate * v.span_rate // FULL_RATE
    job.rate = max(rate, 1)
    job.stop = NEVER
    activate(s, j, t)
    expect_job(s, j)
    held = held_by(s, j)
    shift(s, NOW, s.tenant[ask.tenant].leaf, held, t)
    shift(s, SOON, s.tenant[ask.tenant].leaf, held, t)
    if ask.least <= nodes < ask.nodes:
        v.narrow += 1


@compiled
def start(s: State, j: int, t: int, kind: int, nodes: int) -> None:
    """Start a queued or claiming job on so many nodes (0: a share of one)."""
    if s.job[j].state == _CLAIMING:
        shift(s, SOON, s.tenant[s.ask[j].tenant].leaf, -least_of(s, j), t)
        unclaim(s, j, t)
    else:
        dequeue(s, j, t)
    begin(s, j, t, nodes)
    record(s, kind, j, t, t, s.job[j].energy, s.job[j].energy)
    s.job[j].why = _STOPPED


@compiled
def done_of(s: State, j: int) -> int:
    """Work that job `j` has done, restarts apart; exact when its segment is closed."""
    return s.job[j].need - s.job[j].left + s.job[j].redo


@compiled
def checkpointed(s: State, j: int, done: int) -> int:
    """Of work done, what the last regular checkpoint of job `j` holds."""
    every = s.group[s.ask[j].group].checkpoint
    kept = done - done % every if every > 0 else 0
    return max(kept, s.job[j].kept)


@compiled
def _roll_back(s: State, j: int, kept: int, t: int) -> int:
    """Send a stopped job back to the queue with what it keeps.

    Returns accelerator-nanoseconds lost.
    """
    job = s.job[j]
    ask = s.ask[j]
    lost = stretched(done_of(s, j) - kept, job.rate) * job.width
    s.out[s.v[0].records - 1, 8] = lost
    job.kept = kept
    job.redo = s.group[ask.group].restart
    job.left = job.need - kept + job.redo
    ask.rest = job.estimate - kept + job.redo
    enqueue(s, j, t)
    return lost


@compiled
def evict(s: State, j: int, t: int) -> None:
    """Take the nodes of a running job at once, for a limit; it goes back to its last checkpoint."""
    stop(s, j, t, _EVICT)
    read_held(s, t)
    vacate(s, j, t)
    lost = _roll_back(s, j, checkpointed(s, j, done_of(s, j)), t)
    s.group[s.ask[j].group].lost_ns += lost


@compiled
def fail(s: State, j: int, t: int) -> None:
    """Stop a running job, one of whose nodes failed."""
    stop(s, j, t, _FAIL)
    read_held(s, t)
    vacate(s, j, t)
    lost = _roll_back(s, j, checkpointed(s, j, done_of(s, j)), t)
    s.group[s.ask[j].group].failed_ns += lost


@compiled
def leave(s: State, j: int, t: int, early: bool) -> None:
    """Stop a job under notice; unless it is too early, it has saved what it had done.

    One that was dismissed is away then: it waits for whoever sent for it.
    """
    job = s.job[j]
    group = s.group[s.ask[j].group]
    dismissed = job.claim == -1
    stop(s, j, t, _PREEMPT)
    read_held(s, t)
    vacate(s, j, t)
    done = done_of(s, j)
    kept = checkpointed(s, j, done)
    if not early and group.grace >= group.save:
        saving = worked(group.save * group.speed // FULL_SPEED, job.rate)
        kept = max(kept, done - saving)
    group.preempted_ns += _roll_back(s, j, kept, t)
    if dismissed:
        dequeue(s, j, t)
        job.state = _AWAY


@compiled
def give_notice(s: State, j: int, t: int, by: int) -> None:
    """Tell a victim, already counted off soon, to leave for job `by` when its grace is over."""
    job = s.job[j]
    _unlist_running(s, j)
    job.state = _STOPPING
    job.claim = by
    job.stop = t + s.group[s.ask[j].group].grace
    if job.nodes > 0:
        s.v[0].stop_nodes += job.nodes
    elif all_going(s, job.node):
        s.v[0].stop_nodes += 1
    push_stop(s, j)
    re_expect(s, j)
