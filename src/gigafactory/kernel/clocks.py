"""Virtual clocks and meters of the groups, and the heap of ends that hangs on each clock.

Throttling a group changes one number: its heap of ends is keyed on the group's own clock and needs
no re-keying. Energy is metered by difference: a job's draw is its accelerators times the difference
of two readings of its group's integral.
"""

from __future__ import annotations

from gigafactory.kernel.jit import compiled
from gigafactory.kernel.state import (
    FULL_RATE,
    FULL_SPEED,
    LONGEST_NS,
    MW_NS_PER_UWH,
    NEVER,
    State,
)


@compiled
def stretched(work: int, rate: int) -> int:
    """Time on its group's clock that work takes a job of a rate, rounded up; two years at most."""
    if rate == FULL_RATE:
        return work
    whole = work // rate
    if whole >= LONGEST_NS // FULL_RATE:
        return LONGEST_NS
    return whole * FULL_RATE + ((work - whole * rate) * FULL_RATE + rate - 1) // rate


@compiled
def worked(virtual: int, rate: int) -> int:
    """Work that a job of a rate does in a time on its group's clock, rounded down."""
    whole = virtual // FULL_RATE
    return whole * rate + (virtual - whole * FULL_RATE) * rate // FULL_RATE


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
    slow = group.slow // FULL_RATE
    group.slowed_ns += slow * virtual + (group.slow - slow * FULL_RATE) * virtual // FULL_RATE
    group.used_uwh += group.running * energy
    group.paused_ns += group.paused * dt
    group.t = t


@compiled
def read_held(s: State, t: int) -> None:
    """Bring the integrals of accelerators held, in service and broken to instant `t`."""
    v = s.v[0]
    dt = t - v.held_t
    v.held_ns += v.held * dt
    v.service_ns += v.in_service * v.node_size * dt
    v.down_ns += v.down * v.node_size * dt
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
        group.next_end = instant_of(s, g, s.ends[g, 0].key)


@compiled
def _put(s: State, g: int, at: int, key: int, j: int) -> None:
    s.ends[g, at].key = key
    s.ends[g, at].job = j
    s.job[j].place = at


@compiled
def _settle(s: State, g: int, at: int, key: int, j: int) -> None:
    """Put an end into the hole at `at`, moving others so that the heap is in order again."""
    n = s.group[g].ends
    while at > 0:
        parent = (at - 1) >> 1
        over = s.ends[g, parent].key
        if over < key or (over == key and s.ends[g, parent].job < j):
            break
        _put(s, g, at, over, s.ends[g, parent].job)
        at = parent
    while True:
        child = 2 * at + 1
        if child >= n:
            break
        under = s.ends[g, child].key
        if child + 1 < n:
            other = s.ends[g, child + 1].key
            if other < under or (
                other == under and s.ends[g, child + 1].job < s.ends[g, child].job
            ):
                child += 1
                under = other
        if key < under or (key == under and j < s.ends[g, child].job):
            break
        _put(s, g, at, under, s.ends[g, child].job)
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
def push_stop(s: State, j: int) -> None:
    """Put job `j` on the heap of stops, by the end of its grace, then its number."""
    v = s.v[0]
    key = s.job[j].stop
    at = v.stops
    v.stops += 1
    while at > 0:
        parent = (at - 1) >> 1
        over = s.stops[parent].key
        if over < key or (over == key and s.stops[parent].job < j):
            break
        s.stops[at].key = over
        s.stops[at].job = s.stops[parent].job
        at = parent
    s.stops[at].key = key
    s.stops[at].job = j


@compiled
def _pop_stop(s: State) -> None:
    v = s.v[0]
    v.stops -= 1
    n = v.stops
    key, j = s.stops[n].key, s.stops[n].job
    at = 0
    while True:
        child = 2 * at + 1
        if child >= n:
            break
        if child + 1 < n and (
            s.stops[child + 1].key < s.stops[child].key
            or (
                s.stops[child + 1].key == s.stops[child].key
                and s.stops[child + 1].job < s.stops[child].job
            )
        ):
            child += 1
        under = s.stops[child].key
        if key < under or (key == under and j < s.stops[child].job):
            break
        s.stops[at].key = under
        s.stops[at].job = s.stops[child].job
        at = child
    s.stops[at].key = key
    s.stops[at].job = j


@compiled
def first_stop(s: State) -> int:
    """The job whose grace is over first, -1 when there is none; jobs that ended are dropped."""
    v = s.v[0]
    while v.stops > 0:
        j = s.stops[0].job
        if s.job[j].stop == s.stops[0].key:
            return j
        _pop_stop(s)
    return -1


@compiled
def drop_end(s: State, g: int, j: int) -> None:
    """Take job `j` off the heap of ends of group `g`, wherever it stands."""
    group = s.group[g]
    at = s.job[j].place
    last = group.ends - 1
    group.ends = last
    if at != last:
        _settle(s, g, at, s.ends[g, last].key, s.ends[g, last].job)
    s.job[j].place = -1
    if at == 0:
        plan_next_end(s, g)
