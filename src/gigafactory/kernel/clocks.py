"""Virtual clocks and meters of the groups, and the heap of ends that hangs on each clock.

Throttling a group changes one number: its heap of ends is keyed on the group's own clock and needs
no re-keying. Energy is metered by difference: a job's draw is its accelerators times the difference
of two readings of its group's integral.
"""

from __future__ import annotations

from gigafactory.kernel.jit import compiled
from gigafactory.kernel.state import FULL_SPEED, MW_NS_PER_UWH, NEVER, State


@compiled
def read_group(s: State, g: int, t: int) -> None:
    """Bring the clock and the integrals of group `g` to instant `t` (not earlier than the last)."""
    group = s.group[g]
    dt = t - group.t
    if dt == 0:
        return
    turned = group.speed * dt + group.clock_rest
    virtual = turned // FULL_SPEED
    group.clock_rest = turned - virtual * FULL_SPEED
    group.clock += virtual
    drawn = group.power * dt + group.energy_rest
    energy = drawn // MW_NS_PER_UWH
    group.energy_rest = drawn - energy * MW_NS_PER_UWH
    group.energy += energy
    group.used_ns += group.running * dt
    group.work_ns += group.running * virtual
    group.used_uwh += group.running * energy
    group.paused_ns += group.paused * dt
    group.t = t


@compiled
def read_held(s: State, t: int) -> None:
    """Bring the integrals of held and in-service accelerators to instant `t`."""
    v = s.v[0]
    dt = t - v.held_t
    v.held_ns += v.held * dt
    v.service_ns += v.in_service * v.node_size * dt
    v.held_t = t


@compiled
def instant_of(s: State, g: int, virtual: int) -> int:
    """The first instant at which the clock of group `g` has reached a virtual instant."""
    group = s.group[g]
    if group.speed == 0:
        return NEVER
    turn = (virtual - group.clock) * FULL_SPEED - group.clock_rest
    if turn <= 0:
        return group.t
    return group.t + (turn + group.speed - 1) // group.speed


@compiled
def plan_next_end(s: State, g: int) -> None:
    """Recompute when the next job of group `g` ends."""
    group = s.group[g]
    if group.ends == 0:
        group.next_end = NEVER
    else:
        group.next_end = instant_of(s, g, s.heap_key[g, 0])


@compiled
def _put(s: State, g: int, at: int, key: int, j: int) -> None:
    s.heap_key[g, at] = key
    s.heap_job[g, at] = j
    s.job[j].place = at


@compiled
def _settle(s: State, g: int, at: int, key: int, j: int) -> None:
    """Put an end into the hole at `at`, moving others so that the heap is in order again."""
    n = s.group[g].ends
    while at > 0:
        parent = (at - 1) >> 1
        over = s.heap_key[g, parent]
        if over < key or (over == key and s.heap_job[g, parent] < j):
            break
        _put(s, g, at, over, s.heap_job[g, parent])
        at = parent
    while True:
        child = 2 * at + 1
        if child >= n:
            break
        under = s.heap_key[g, child]
        if child + 1 < n:
            other = s.heap_key[g, child + 1]
            if other < under or (
                other == under and s.heap_job[g, child + 1] < s.heap_job[g, child]
            ):
                child += 1
                under = other
        if key < under or (key == under and j < s.heap_job[g, child]):
            break
        _put(s, g, at, under, s.heap_job[g, child])
        at = child
    _put(s, g, at, key, j)


@compiled
def push_end(s: State, g: int, j: int) -> None:
    """Put job `j` on the heap of ends of group `g`, by its virtual end, then its number."""
    group = s.group[g]
    group.ends += 1
    _settle(s, g, group.ends - 1, s.job[j].v_end, j)
    if s.job[j].place == 0:
        plan_next_end(s, g)


@compiled
def drop_end(s: State, g: int, j: int) -> None:
    """Take job `j` off the heap of ends of group `g`, wherever it stands."""
    group = s.group[g]
    at = s.job[j].place
    last = group.ends - 1
    group.ends = last
    if at != last:
        _settle(s, g, at, s.heap_key[g, last], s.heap_job[g, last])
    s.job[j].place = -1
    if at == 0:
        plan_next_end(s, g)
