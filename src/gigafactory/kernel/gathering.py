"""Small jobs are moved together, so that a gang that lacks whole nodes finds them.

At the begin of a market period, for the gang that was the head of the last pass, and only if that
gives it all the nodes it lacks. What is moved saves its work and starts again on another node.
"""

from __future__ import annotations

from gigafactory.kernel.clocks import read_held
from gigafactory.kernel.jit import compiled
from gigafactory.kernel.nodes import first_on
from gigafactory.kernel.queues import is_held, least_of
from gigafactory.kernel.quotas import see_tenant
from gigafactory.kernel.running import (
    begin,
    done_of,
    headroom,
    record,
    stop,
    vacate,
)
from gigafactory.kernel.schedule import over_limit
from gigafactory.kernel.state import NODES_CLEARED, JobState, Kind, State

_QUEUED = int(JobState.QUEUED)
_RUNNING = int(JobState.RUNNING)
_SHIFT = int(Kind.SHIFT)
_START = int(Kind.START)


@compiled
def _lacking(s: State) -> int:
    """Whole nodes that the head of the last pass lacks, and nothing else; 0 for none."""
    v = s.v[0]
    if v.head < 0 or s.job[v.head].state != _QUEUED or s.job[v.head].level > 0:
        return 0
    j = v.head
    ask = s.ask[j]
    group = s.group[ask.group]
    if ask.nodes == 0 or group.speed == 0 or is_held(s, j):
        return 0
    see_tenant(s, ask.tenant)
    if least_of(s, j) > min(s.tenant[ask.tenant].cap_room, s.tenant[ask.tenant].quota_room):
        return 0
    width = min(ask.accelerators, ask.least * v.node_size)
    if width * (group.power - v.idle_power) > headroom(s):
        return 0
    if over_limit(s, j):
        return 0
    return max(ask.least - s.free[v.node_size].count, 0)


@compiled
def _list_shared(s: State) -> int:
    """List the shared nodes, outside a room set aside, with what is free there; returns how many.

    They stand in `spare` by their number: node, free accelerators.
    """
    v = s.v[0]
    count = 0
    for n in range(s.node.shape[0]):
        node = s.node[n]
        if node.owner < 0 and 0 <= node.free < v.node_size and s.rack[n // v.rack_nodes].aside == 0:
            s.spare[count, 0] = n
            s.spare[count, 1] = node.free
            count += 1
    return count


@compiled
def _may_move(s: State, n: int, t: int) -> bool:
    """Whether every job on shared node `n` runs, and has run for the minimum run time."""
    j = first_on(s, n, -1)
    while j >= 0:
        if s.job[j].state != _RUNNING:
            return False
        if s.job[j].start > t - s.group[s.ask[j].group].runtime_min:
            return False
        j = first_on(s, n, j)
    return True


@compiled
def _widest_on(s: State, n: int, before: int) -> int:
    """The job on node `n` that comes after job `before` by width, widest first, then by number."""
    best = -1
    j = first_on(s, n, -1)
    while j >= 0:
        width = s.job[j].width
        later = before < 0 or width < s.job[before].width
        later = later or (width == s.job[before].width and j > before)
        if later and (best < 0 or width > s.job[best].width):
            best = j
        j = first_on(s, n, j)
    return best


@compiled
def _fullest(s: State, listed: int, accelerators: int, source: int) -> int:
    """The entry of the fullest node other than `source` with so many accelerators free, -1 none."""
    best = -1
    for i in range(listed):
        free = s.spare[i, 1]
        if i != source and free >= accelerators and (best < 0 or free < s.spare[best, 1]):
            best = i
    return best


@compiled
def _plan_clearing(s: State, listed: int, source: int, count: int) -> int:
    """Find places for all jobs of an entry; notes them in `batch` as job and node in turn.

    Returns how many notes there are now; the number given when they do not all find one.
    """
    now = count
    j = _widest_on(s, s.spare[source, 0], -1)
    while j >= 0:
        to = _fullest(s, listed, s.job[j].width, source)
        if to < 0:
            while now > count:  # put back what was taken
                now -= 2
                for i in range(listed):
                    if s.spare[i, 0] == s.batch[now + 1]:
                        s.spare[i, 1] += s.job[s.batch[now]].width
            return count
        s.spare[to, 1] -= s.job[j].width
        s.batch[now], s.batch[now + 1] = j, s.spare[to, 0]
        now += 2
        j = _widest_on(s, s.spare[source, 0], j)
    s.spare[source, 1] = -1  # cleared: nothing goes there
    return now


@compiled
def _move(s: State, j: int, n: int, t: int) -> None:
    """Stop job `j` with what it has done, and start it on shared node `n`."""
    stop(s, j, t, _SHIFT)
    job = s.job[j]
    ask = s.ask[j]
    group = s.group[ask.group]
    job.kept = done_of(s, j)
    job.redo = group.save + group.restart
    job.left = job.need - job.kept + job.redo
    ask.rest = job.estimate - job.kept + job.redo
    read_held(s, t)
    vacate(s, j, t)
    s.v[0].aim = n
    begin(s, j, t, 0)
    s.v[0].aim = -1
    record(s, _START, j, t, t, job.energy, job.energy)


@compiled
def move_together(s: State, t: int) -> None:
    """Clear shared nodes for the head, those with the fewest accelerators in use first."""
    v = s.v[0]
    missing = _lacking(s)
    if missing == 0:
        return
    listed = _list_shared(s)
    free = 0
    for i in range(listed):
        free += s.spare[i, 1]
    if free < missing * v.node_size:
        return
    count, cleared = 0, 0
    limit, number = v.node_size, -1  # entries are met by free accelerators, then by number
    for _ in range(NODES_CLEARED):
        source = -1
        for i in range(listed):
            node = s.node[s.spare[i, 0]]
            after = node.free < limit or (node.free == limit and i > number)
            if after and (source < 0 or node.free > s.node[s.spare[source, 0]].free):
                source = i
        if source < 0 or cleared == missing:
            break
        limit, number = s.node[s.spare[source, 0]].free, source
        untouched = s.spare[source, 1] == limit
        if untouched and _may_move(s, s.spare[source, 0], t):
            more = _plan_clearing(s, listed, source, count)
            cleared += 1 if more > count else 0
            count = more
    if cleared < missing:
        return
    for i in range(count // 2):
        _move(s, s.batch[2 * i], s.batch[2 * i + 1], t)
    v.shadow_valid = 0
