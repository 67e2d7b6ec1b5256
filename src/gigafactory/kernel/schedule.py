"""Who starts: the queue, and EASY backfill under two resources at once, nodes and power.

Order: priority, then submission, then job number. The first job that does not fit is the *head*;
its start is protected at the *shadow*, the first minute at which estimated releases give it both
its nodes and its power. A later job may start now if it is estimated to end by the shadow, or uses
only what the head will leave over. A head that shares a node counts as one whole node in its
shadow. The
pass stops after `depth` jobs that were tested and did not start.
"""

from __future__ import annotations

from typing import Any

from gigafactory.kernel.clocks import push_end, read_group, read_held
from gigafactory.kernel.jit import compiled
from gigafactory.kernel.nodes import best_fit, hold_nodes
from gigafactory.kernel.state import (
    BIG_BLOCK,
    BLOCK,
    BUCKET_NS,
    FULL_SPEED,
    GROUPS,
    NEVER,
    PRIORITIES,
    JobState,
    Kind,
    State,
)

_QUEUED = int(JobState.QUEUED)
_RUNNING = int(JobState.RUNNING)
_START = int(Kind.START)
_BACKFILL = int(Kind.BACKFILL)


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
    v.records = row + 1


@compiled
def enqueue(s: State, j: int) -> None:
    """Put a job in the queue of its priority, by submission and number."""
    job = s.job[j]
    ask = s.ask[j]
    queue = s.queue[ask.priority]
    after = queue.tail
    while after >= 0 and (
        s.job[after].submit > job.submit or (s.job[after].submit == job.submit and after > j)
    ):
        after = s.ask[after].prev
    ask.prev = after
    ask.next = s.ask[after].next if after >= 0 else queue.head
    if ask.next >= 0:
        s.ask[ask.next].prev = j
    else:
        queue.tail = j
    if after >= 0:
        s.ask[after].next = j
    else:
        queue.head = j
    queue.length += 1
    s.waiting[ask.priority, ask.group] += 1
    s.asking[ask.priority, ask.group] += ask.accelerators
    job.state = _QUEUED


@compiled
def dequeue(s: State, j: int) -> None:
    """Take a job out of the queue."""
    ask = s.ask[j]
    queue = s.queue[ask.priority]
    if ask.prev >= 0:
        s.ask[ask.prev].next = ask.next
    else:
        queue.head = ask.next
    if ask.next >= 0:
        s.ask[ask.next].prev = ask.prev
    else:
        queue.tail = ask.prev
    queue.length -= 1
    s.waiting[ask.priority, ask.group] -= 1
    s.asking[ask.priority, ask.group] -= ask.accelerators
    ask.next = -1
    ask.prev = -1


@compiled
def free_to_start(s: State, p: int) -> int:
    """How many jobs of a priority's queue belong to groups that are not held."""
    if s.v[0].held_groups == 0:
        return s.queue[p].length
    count = 0
    for g in range(GROUPS):
        if s.group[g].held == 0:
            count += s.waiting[p, g]
    return count


@compiled
def first_free(s: State, p: int) -> int:
    """The first job of a priority's queue that is not held, -1 when there is none."""
    if free_to_start(s, p) == 0:
        return -1
    j = s.queue[p].head
    while s.group[s.ask[j].group].held:
        j = s.ask[j].next
    return j


@compiled
def queue_head(s: State) -> int:
    """The first job in the queue that is not held, -1 when there is none."""
    for k in range(PRIORITIES):
        head = first_free(s, PRIORITIES - 1 - k)
        if head >= 0:
            return head
    return -1


@compiled
def power_of(s: State, j: int) -> int:
    """Milliwatts by which the pool's draw rises when job `j` runs at its group's present speed."""
    return s.ask[j].accelerators * (s.group[s.ask[j].group].power - s.v[0].idle_power)


@compiled
def headroom(s: State) -> int:
    """Milliwatts left under the power budget."""
    v = s.v[0]
    if v.budget >= NEVER:
        return NEVER
    return v.budget - v.draw


@compiled
def has_room(s: State, j: int) -> bool:
    """Whether nodes for job `j` are free now, by the node rule."""
    ask = s.ask[j]
    if ask.nodes > 0:
        return s.free_count[s.v[0].node_size] >= ask.nodes
    return best_fit(s, ask.accelerators) >= 0


@compiled
def activate(s: State, j: int, t: int) -> None:
    """Let a job that holds its nodes draw power and make progress."""
    job = s.job[j]
    ask = s.ask[j]
    group = s.group[ask.group]
    job.start = t
    job.energy = group.energy
    job.v_end = group.clock + job.left
    job.state = _RUNNING
    group.running += ask.accelerators
    s.v[0].draw += power_of(s, j)
    push_end(s, ask.group, j)


@compiled
def start(s: State, j: int, t: int, kind: int) -> None:
    """Start a queued job on free nodes."""
    dequeue(s, j)
    read_group(s, s.ask[j].group, t)
    read_held(s, t)
    activate(s, j, t)
    hold_nodes(s, j)
    record(s, kind, j, t, t, s.job[j].energy, s.job[j].energy)


@compiled
def _released_power(s: State, row: Any, at: int) -> int:
    power = 0
    for g in range(GROUPS):
        power += row[at, 1 + g] * (s.group[g].power - s.v[0].idle_power)
    return power


@compiled
def cast_shadow(s: State, j: int, t: int) -> None:
    """Find the shadow of the blocked head `j`, and what it leaves over there."""
    v = s.v[0]
    nodes = max(s.ask[j].nodes, 1)
    limited = v.budget < NEVER
    free = s.free_count[v.node_size]
    power = headroom(s) - power_of(s, j) if limited else 0
    at = (t - v.origin + BUCKET_NS - 1) // BUCKET_NS
    last = s.minutes.shape[0]
    while at < last and (free < nodes or power < 0):
        if at % BIG_BLOCK == 0:
            more = s.big_blocks[at // BIG_BLOCK, 0]
            gain = _released_power(s, s.big_blocks, at // BIG_BLOCK) if limited else 0
            if free + more < nodes or power + gain < 0:
                free += more
                power += gain
                at += BIG_BLOCK
                continue
        if at % BLOCK == 0:
            more = s.blocks[at // BLOCK, 0]
            gain = _released_power(s, s.blocks, at // BLOCK) if limited else 0
            if free + more < nodes or power + gain < 0:
                free += more
                power += gain
                at += BLOCK
                continue
        free += s.minutes[at, 0]
        if limited:
            power += _released_power(s, s.minutes, at)
        at += 1
    v.shadow_valid = 1
    if free < nodes or power < 0:
        v.shadow = NEVER  # not within sight: nothing to protect
        v.extra_nodes = 0
        v.extra_power = 0
    else:
        v.shadow = at - 1
        v.extra_nodes = free - nodes
        v.extra_power = power if limited else NEVER


@compiled
def see_limits(s: State, t: int) -> None:
    """Tabulate, per group, the longest rest that ends by the shadow and the power of a start."""
    v = s.v[0]
    sighted = v.shadow < s.minutes.shape[0] - 1
    end = v.origin + v.shadow * BUCKET_NS if sighted else t
    for g in range(GROUPS):
        group = s.group[g]
        s.cost[g] = group.power - v.idle_power
        if group.speed == 0:
            s.longest[g] = -NEVER  # a stopped group starts nothing
        elif not sighted:
            s.longest[g] = NEVER
        else:
            # what the group's clock, in whole nanoseconds, moves on from now to the shadow
            now = (group.speed * (t - group.t) + group.clock_rest) // FULL_SPEED
            then = (group.speed * (end - group.t) + group.clock_rest) // FULL_SPEED
            s.longest[g] = then - now


@compiled
def see_room(s: State) -> None:
    """Tabulate the node that a job smaller than a node would share."""
    node_size = s.v[0].node_size
    best = s.free_head[node_size]
    for k in range(1, node_size):
        free = node_size - k
        if s.free_head[free] >= 0:
            best = s.free_head[free]
        s.room[free] = best


@compiled
def _scan(s: State, first: int, tested: int, t: int) -> int:
    """Backfill along one queue from job `first`; returns how many were tested and did not start.

    Starts a job when it fits now and either ends by the shadow or uses only what the head leaves
    over, which it then takes off. The tests stand in the loop, cheapest first: this is where an
    overloaded machine spends its time.
    """
    v = s.v[0]
    ask = s.ask
    whole = s.free_count[v.node_size]
    spare = headroom(s)
    j = first
    while j >= 0 and tested < v.depth:
        following = ask[j].next
        nodes = ask[j].nodes
        group = ask[j].group
        if s.group[group].held:
            j = following
            continue
        power = ask[j].accelerators * s.cost[group]
        fits = nodes <= whole and power <= spare and s.longest[group] > -NEVER
        if fits and nodes == 0:
            n = s.room[ask[j].accelerators]
            fits = n >= 0
            if fits:
                nodes = 1 if s.node[n].free == v.node_size or s.node[n].bucket <= v.shadow else 0
        if fits and ask[j].rest > s.longest[group]:
            fits = nodes <= v.extra_nodes and power <= v.extra_power
            if fits:
                v.extra_nodes -= nodes
                if v.extra_power < NEVER:
                    v.extra_power -= power
        if fits:
            start(s, j, t, _BACKFILL)
            if ask[j].nodes == 0:
                v.shadow_valid = 0  # other jobs may now share other nodes: look again next time
            if v.held >= v.in_service * v.node_size:
                return v.depth
            see_room(s)
            whole = s.free_count[v.node_size]
            spare = headroom(s)
        else:
            tested += 1
        j = following
    return tested


@compiled
def _scan_on(s: State, first: int, priority: int, tested: int, t: int) -> None:
    """Backfill from job `first` to the end of its queue, then along the queues below."""
    v = s.v[0]
    tested = _scan(s, first, tested, t)
    for k in range(1, priority + 1):
        if tested >= v.depth:
            return
        tested = _scan(s, first_free(s, priority - k), tested, t)


@compiled
def schedule(s: State, t: int) -> None:
    """One pass: start the queue in order, then backfill behind the first job that does not fit."""
    v = s.v[0]
    v.shadow_valid = 0
    if v.paused_jobs > 0:
        return  # power goes to paused work first
    head = queue_head(s)
    while head >= 0 and has_room(s, head) and power_of(s, head) <= headroom(s):
        if s.group[s.ask[head].group].speed == 0:
            break
        start(s, head, t, _START)
        head = queue_head(s)
    if head < 0:
        return
    cast_shadow(s, head, t)
    see_limits(s, t)
    see_room(s)
    if v.held >= v.in_service * v.node_size:
        return
    _scan_on(s, s.ask[head].next, s.ask[head].priority, 0, t)


@compiled
def consider_arrival(s: State, j: int, t: int) -> None:
    """Try the one job that just arrived behind a blocked head.

    No whole nodes came free, no node got shared and no power was set since the last pass, so
    nothing before it can have become startable; nor behind it, unless it now shares a node.
    """
    v = s.v[0]
    if v.held >= v.in_service * v.node_size or s.group[s.ask[j].group].held:
        return
    ahead = -1
    for p in range(s.ask[j].priority, PRIORITIES):
        ahead += free_to_start(s, p)
    if ahead - 1 < v.depth:
        see_limits(s, t)
        tested = _scan(s, j, ahead - 1, t)
        if v.shadow_valid == 0 and s.ask[j].priority > 0 and tested < v.depth:
            below = s.ask[j].priority - 1
            _scan_on(s, first_free(s, below), below, tested, t)
