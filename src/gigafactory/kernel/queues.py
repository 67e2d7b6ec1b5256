"""Waiting jobs: a queue per priority and tenant, and the order in which a pass meets them.

Order: priority, then the rank of the tenant, then submission, then job number; jobs are numbered by
submission. Lists are intrusive: a queued job's `next` and `prev` stand in its ask. Jobs whose class
is held back stand in a line of their own, so that a pass never walks past them.
"""

from __future__ import annotations

from typing import Any

from gigafactory.kernel.jit import compiled
from gigafactory.kernel.quotas import ask_for, is_closed
from gigafactory.kernel.state import GROUPS, PRIORITIES, JobState, State

_QUEUED = int(JobState.QUEUED)
_OPEN, _HELD = 0, 1


@compiled
def size_of(s: State, j: int) -> int:
    """Accelerators on nodes that job `j` would hold at its full width."""
    ask = s.ask[j]
    return ask.nodes * s.v[0].node_size if ask.nodes > 0 else ask.accelerators


@compiled
def least_of(s: State, j: int) -> int:
    """Accelerators on nodes that job `j` would hold at its smallest width."""
    ask = s.ask[j]
    return ask.least * s.v[0].node_size if ask.nodes > 0 else ask.accelerators


@compiled
def _count(s: State, j: int, step: int, t: int) -> None:
    """Count a job in (1) or out (-1) of what waits."""
    ask = s.ask[j]
    s.v[0].queued += step
    s.group[ask.group].asking += step * ask.accelerators
    ask_for(s, s.tenant[ask.tenant].leaf, step * size_of(s, j), t)


@compiled
def is_held(s: State, j: int) -> bool:
    """Whether job `j` is held back for now: its class is, up to a run time it stays below."""
    return s.ask[j].rest < s.group[s.ask[j].group].held


@compiled
def _line(s: State, j: int) -> int:
    """The line job `j` waits in: that of jobs that may start, or of those held back."""
    return _HELD if is_held(s, j) else _OPEN


@compiled
def _last_before(s: State, line: int, p: int, q: int, j: int) -> int:
    """The job of a queue after which job `j` goes, -1 when it goes first.

    Looked for from the end that is nearer by number: an arrival belongs last, one that was made to
    leave among the first.
    """
    queue = s.queue[line, p, q]
    at = queue.tail
    if at < j:
        return at
    if j - queue.head < at - j:
        at = queue.head
        while at < j:
            at = s.ask[at].next
        return s.ask[at].prev
    while at > j:
        at = s.ask[at].prev
    return at


@compiled
def _activate(s: State, p: int, q: int) -> None:
    """Note that a tenant has jobs of a priority that may start."""
    s.queue[_OPEN, p, q].place = s.active_count[p]
    s.queue[_OPEN, p, s.active_count[p]].active = q
    s.active_count[p] += 1
    s.tenant[q].levels |= 1 << p


@compiled
def _deactivate(s: State, p: int, q: int) -> None:
    """Note that a tenant has no job of a priority that may start any more."""
    at = s.queue[_OPEN, p, q].place
    last = s.queue[_OPEN, p, s.active_count[p] - 1].active
    s.queue[_OPEN, p, at].active = last
    s.queue[_OPEN, p, last].place = at
    s.queue[_OPEN, p, q].place = -1
    s.active_count[p] -= 1
    s.tenant[q].levels &= ~(1 << p)


@compiled
def enqueue(s: State, j: int, t: int) -> None:
    """Put a job in the queue of its priority and tenant, by submission and number."""
    job = s.job[j]
    ask = s.ask[j]
    p, q = ask.priority, ask.tenant
    line = _line(s, j)
    queue = s.queue[line, p, q]
    after = _last_before(s, line, p, q, j)
    ask.prev = after
    if after == queue.tail:  # mostly: and the last ask need not be read from far memory
        ask.next = -1
        queue.tail = j
    else:
        ask.next = s.ask[after].next if after >= 0 else queue.head
        s.ask[ask.next].prev = j
    if after >= 0:
        s.ask[after].next = j
    else:
        queue.head = j
    queue.length += 1
    if line == _HELD:
        s.group[ask.group].kept += ask.accelerators
    elif queue.length == 1:
        _activate(s, p, q)
    job.state = _QUEUED
    _count(s, j, 1, t)


@compiled
def dequeue(s: State, j: int, t: int) -> None:
    """Take a job out of the queue."""
    ask = s.ask[j]
    p, q = ask.priority, ask.tenant
    line = _line(s, j)
    queue = s.queue[line, p, q]
    if ask.prev >= 0:
        s.ask[ask.prev].next = ask.next
    else:
        queue.head = ask.next
    if ask.next >= 0:
        s.ask[ask.next].prev = ask.prev
    else:
        queue.tail = ask.prev
    queue.length -= 1
    if line == _HELD:
        s.group[ask.group].kept -= ask.accelerators
    elif queue.length == 0:
        _deactivate(s, p, q)
    ask.next = -1
    ask.prev = -1
    _count(s, j, -1, t)


@compiled
def _append(s: State, line: int, p: int, q: int, j: int) -> None:
    queue = s.queue[line, p, q]
    s.ask[j].prev = queue.tail
    s.ask[j].next = -1
    if queue.tail >= 0:
        s.ask[queue.tail].next = j
    else:
        queue.head = j
    queue.tail = j
    queue.length += 1


@compiled
def _deal(s: State, p: int, q: int) -> None:
    """Deal the jobs of a priority and tenant out anew to the two lines, in their order."""
    a, b = s.queue[_OPEN, p, q].head, s.queue[_HELD, p, q].head
    for line in range(2):
        queue = s.queue[line, p, q]
        queue.head = queue.tail = -1
        queue.length = 0
    while a >= 0 or b >= 0:
        if b < 0 or (a >= 0 and a < b):
            j, a = a, s.ask[a].next
        else:
            j, b = b, s.ask[b].next
        line = _line(s, j)
        _append(s, line, p, q, j)
        if line == _HELD:
            s.group[s.ask[j].group].kept += s.ask[j].accelerators
    active = s.queue[_OPEN, p, q].place >= 0
    if active and s.queue[_OPEN, p, q].length == 0:
        _deactivate(s, p, q)
    elif not active and s.queue[_OPEN, p, q].length > 0:
        _activate(s, p, q)


@compiled
def hold(s: State, held: Any) -> None:
    """Keep queued jobs estimated to run for less than `held[g]` from starting, per group.

    Zero holds nobody; what runs is not touched.
    """
    changed = 0
    for g in range(GROUPS):
        if held[g] != s.group[g].held:
            changed += 1
        s.group[g].held = held[g]
    if changed > 0:
        for g in range(GROUPS):
            s.group[g].kept = 0
        for p in range(PRIORITIES):
            for q in range(s.tenant.shape[0]):
                _deal(s, p, q)


@compiled
def claim(s: State, j: int, t: int) -> None:
    """Put a job that has left its queue at the end of the claims; it still counts as waiting."""
    v = s.v[0]
    ask = s.ask[j]
    ask.prev = v.claim_tail
    ask.next = -1
    if v.claim_tail >= 0:
        s.ask[v.claim_tail].next = j
    else:
        v.claim_head = j
    v.claim_tail = j
    v.claims += 1
    _count(s, j, 1, t)


@compiled
def unclaim(s: State, j: int, t: int) -> None:
    """Take a job out of the claims."""
    v = s.v[0]
    ask = s.ask[j]
    if ask.prev >= 0:
        s.ask[ask.prev].next = ask.next
    else:
        v.claim_head = ask.next
    if ask.next >= 0:
        s.ask[ask.next].prev = ask.prev
    else:
        v.claim_tail = ask.prev
    ask.next = -1
    ask.prev = -1
    v.claims -= 1
    v.claim_nodes -= s.job[j].claim
    s.job[j].claim = 0
    s.job[j].own = 0
    _count(s, j, -1, t)


@compiled
def not_held(s: State, j: int) -> int:
    """The first job from `j` on, along the claims, that is not held back; -1 when none."""
    while j >= 0 and is_held(s, j):
        j = s.ask[j].next
    return j


@compiled
def first_of_tenant(s: State, q: int) -> int:
    """The job of a tenant that goes first, -1 when none waits."""
    levels = s.tenant[q].levels
    if levels == 0:
        return -1
    p = PRIORITIES - 1
    while levels >> p & 1 == 0:
        p -= 1
    return s.queue[_OPEN, p, q].head


@compiled
def precedes(s: State, a: int, b: int) -> bool:
    """Whether job `a` goes before job `b`."""
    x, y = s.ask[a], s.ask[b]
    if x.priority != y.priority:
        return x.priority > y.priority
    if x.tenant != y.tenant and s.tenant[x.tenant].rank != s.tenant[y.tenant].rank:
        return s.tenant[x.tenant].rank < s.tenant[y.tenant].rank
    return a < b


# --- the merge of a pass: the job that goes first, of all tenants with jobs of one priority ------
#
# Where no two tenants have one rank, a tenant's jobs follow each other and the tenants come one by
# one; else a heap holds the next job of each. `tenant[0].merge` is the job that goes first.


@compiled
def _sink(s: State, at: int, n: int) -> None:
    j = s.tenant[at].merge
    while True:
        child = 2 * at + 1
        if child >= n:
            break
        if child + 1 < n and precedes(s, s.tenant[child + 1].merge, s.tenant[child].merge):
            child += 1
        if not precedes(s, s.tenant[child].merge, j):
            break
        s.tenant[at].merge = s.tenant[child].merge
        at = child
    s.tenant[at].merge = j


@compiled
def _next_tenant(s: State, p: int, n: int) -> int:
    """Go to the next of the last `n` tenants by rank that has a job; returns how many are left."""
    tenants = s.tenant.shape[0]
    while n > 0:
        q = s.tenant[tenants - n].order
        if s.tenant[q].levels >> p & 1 and not is_closed(s, s.tenant[q].leaf):
            s.tenant[0].merge = s.queue[_OPEN, p, q].head
            return n
        n -= 1
    return 0


@compiled
def open_merge(s: State, p: int) -> int:
    """Lay out the merge of a priority; returns how many tenants may be in it."""
    if s.active_count[p] == 0:
        return 0
    if s.v[0].ranked == 1:
        return _next_tenant(s, p, s.tenant.shape[0])
    n = 0
    for i in range(s.active_count[p]):
        q = s.queue[_OPEN, p, i].active
        if not is_closed(s, s.tenant[q].leaf):
            s.tenant[n].merge = s.queue[_OPEN, p, q].head
            n += 1
    for k in range(n // 2):
        _sink(s, n // 2 - 1 - k, n)
    return n


@compiled
def step_merge(s: State, p: int, n: int, following: int) -> int:
    """Put the job that follows the first one of its tenant in its place (-1: the tenant is done).

    Returns how many tenants may be left.
    """
    if s.v[0].ranked == 1:
        if following < 0:
            return _next_tenant(s, p, n - 1)
        s.tenant[0].merge = following
        return n
    if following < 0:
        n -= 1
        s.tenant[0].merge = s.tenant[n].merge
    else:
        s.tenant[0].merge = following
    if n > 1:
        _sink(s, 0, n)
    return n
