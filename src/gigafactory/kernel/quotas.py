"""The quota tree: who may start, who has a right to it, who borrowed, and whose turn it is.

In accelerators. Usage stands twice: as it is (`NOW`), which every start must respect, and as it
will be when notices and claims have come true (`SOON`), by which rights and victims are judged.
"""

from __future__ import annotations

from gigafactory.kernel.jit import compiled
from gigafactory.kernel.state import NEVER, NOW, SOON, TAKEN, USED, State

_ROOT = 0


@compiled
def read_quota(s: State, x: int, t: int) -> None:
    """Bring the integrals of node `x` to instant `t`."""
    node = s.quota[x]
    dt = t - node.t
    if dt == 0:
        return
    used = s.usage[USED, NOW, x]
    node.held_ns += used * dt
    node.spent_ns += used * dt
    if used > node.effective:
        node.borrowed_ns += (used - node.effective) * dt
    missing = min(node.nominal, used + node.asked) - used
    if missing > 0:
        node.short_ns += missing * dt
    node.t = t


@compiled
def shift(s: State, when: int, leaf: int, amount: int, t: int) -> None:
    """Add to the accelerators a leaf and all above it use, now or soon."""
    s.v[0].version += 1
    x = leaf
    more = amount
    while x >= 0:
        if when == NOW:
            read_quota(s, x, t)
        s.usage[USED, when, x] += amount
        kept = s.quota[x].kept
        before = max(s.usage[TAKEN, when, x] - kept, 0)
        s.usage[TAKEN, when, x] += more
        more = max(s.usage[TAKEN, when, x] - kept, 0) - before
        x = s.quota[x].parent


@compiled
def ask_for(s: State, leaf: int, amount: int, t: int) -> None:
    """Add to the accelerators that queued jobs of a leaf ask."""
    x = leaf
    while x >= 0:
        read_quota(s, x, t)
        s.quota[x].asked += amount
        x = s.quota[x].parent


@compiled
def reckon(s: State, t: int) -> None:
    """Work the effective quotas out anew, after nodes came into service or left it."""
    v = s.v[0]
    v.version += 1
    capacity = v.in_service * v.node_size
    share = min(capacity, v.promised)
    quotas = s.quota.shape[0]
    for x in range(quotas):
        node = s.quota[x]
        read_quota(s, x, t)
        node.effective = node.nominal * share // v.promised if v.promised > 0 else 0
        node.unlent = 0
        s.usage[TAKEN, NOW, x] = s.usage[TAKEN, SOON, x] = 0
    s.quota[_ROOT].effective = capacity
    # children have higher numbers than their parents, so each is whole when it is passed on
    for k in range(1, quotas):
        node = s.quota[quotas - k]
        own = max(node.effective - node.lend, 0)
        node.kept = max(own - node.unlent, 0)
        node.unlent += node.kept
        s.quota[node.parent].unlent += node.unlent
    s.quota[_ROOT].kept = 0
    for when in (NOW, SOON):
        for k in range(1, quotas):
            x = quotas - k
            if s.quota[x].leaf:
                s.usage[TAKEN, when, x] = s.usage[USED, when, x]
            above = s.quota[x].parent
            s.usage[TAKEN, when, above] += max(s.usage[TAKEN, when, x] - s.quota[x].kept, 0)
        if s.quota[_ROOT].leaf:
            s.usage[TAKEN, when, _ROOT] = s.usage[USED, when, _ROOT]


@compiled
def quota_left(s: State, when: int, leaf: int) -> int:
    """Accelerators that a leaf may still have of its own, its group's and what others lend."""
    left = 0
    x = leaf
    while x != _ROOT:
        left += max(s.quota[x].kept - s.usage[TAKEN, when, x], 0)
        x = s.quota[x].parent
    return left + max(
        s.quota[_ROOT].effective - s.quota[_ROOT].unlent - s.usage[TAKEN, when, _ROOT], 0
    )


@compiled
def cap_node(s: State, leaf: int, amount: int) -> int:
    """The lowest node whose cap `amount` more would break, -1 when none."""
    x = leaf
    while x != _ROOT:
        if s.usage[USED, NOW, x] + amount > s.quota[x].cap:
            return x
        x = s.quota[x].parent
    return -1


@compiled
def cap_left(s: State, leaf: int) -> int:
    """Accelerators left under the caps of a leaf and all above it."""
    left = NEVER
    x = leaf
    while x != _ROOT:
        left = min(left, s.quota[x].cap - s.usage[USED, NOW, x])
        x = s.quota[x].parent
    return left


@compiled
def see_tenant(s: State, q: int) -> None:
    """Bring what a tenant may still have, under its caps and of its quota, up to date."""
    if s.tenant[q].seen_at != s.v[0].version:
        s.tenant[q].seen_at = s.v[0].version
        s.tenant[q].cap_room = cap_left(s, s.tenant[q].leaf)
        s.tenant[q].quota_room = quota_left(s, NOW, s.tenant[q].leaf)


@compiled
def close_cap(s: State, leaf: int, amount: int, j: int) -> None:
    """Close, for the rest of a pass, the lowest node whose cap `amount` more for job `j` breaks."""
    s.quota[cap_node(s, leaf, amount)].closed = 1 + j
    s.v[0].closures += 1


@compiled
def open_caps(s: State) -> None:
    """Open all nodes again: a new pass begins."""
    if s.v[0].closures > 0:
        for x in range(s.quota.shape[0]):
            s.quota[x].closed = 0
        s.v[0].closures = 0


@compiled
def has_right(s: State, leaf: int, amount: int) -> bool:
    """Whether `amount` more stays within an effective quota on the way up, soon."""
    x = leaf
    while x != _ROOT:
        if s.usage[USED, SOON, x] + amount <= s.quota[x].effective:
            return True
        x = s.quota[x].parent
    return False


@compiled
def right_left(s: State, leaf: int) -> int:
    """How many more a leaf has a right to, soon; below nought where it has more than its right."""
    left = -NEVER
    x = leaf
    while x != _ROOT:
        left = max(left, s.quota[x].effective - s.usage[USED, SOON, x])
        x = s.quota[x].parent
    return left


@compiled
def is_closed(s: State, leaf: int) -> bool:
    """Whether a job of this pass broke a cap of the leaf or of a node above it."""
    if s.v[0].closures == 0:
        return False
    x = leaf
    while x != _ROOT:
        if s.quota[x].closed > 0:
            return True
        x = s.quota[x].parent
    return False


@compiled
def _depth(s: State, x: int) -> int:
    depth = 0
    while x != _ROOT:
        x = s.quota[x].parent
        depth += 1
    return depth


@compiled
def may_take_from(s: State, leaf: int, amount: int, other: int) -> bool:
    """Whether a job of a leaf with a right to `amount` more may take it back from another leaf.

    Decided where their ways up meet: the job must have its right below that node, and the other
    side must hold more than its effective quota.
    """
    if leaf == other:
        return False
    mine, theirs = leaf, other
    while _depth(s, mine) > _depth(s, theirs):
        mine = s.quota[mine].parent
    while _depth(s, theirs) > _depth(s, mine):
        theirs = s.quota[theirs].parent
    while s.quota[mine].parent != s.quota[theirs].parent:
        mine = s.quota[mine].parent
        theirs = s.quota[theirs].parent
    return (
        s.usage[USED, SOON, mine] + amount <= s.quota[mine].effective
        and s.usage[USED, SOON, theirs] > s.quota[theirs].effective
    )


@compiled
def _weight(s: State, x: int) -> float:
    return max(s.quota[x].weight, 1e-9)


@compiled
def _goes_before(s: State, a: int, b: int) -> bool:
    """Whether tenant `a` used less for its weight than tenant `b`, groups first."""
    x, y = s.tenant[a].leaf, s.tenant[b].leaf
    while x != _ROOT and s.quota[x].parent != _ROOT:
        x = s.quota[x].parent
    while y != _ROOT and s.quota[y].parent != _ROOT:
        y = s.quota[y].parent
    mine = s.quota[x].decayed / _weight(s, x)
    theirs = s.quota[y].decayed / _weight(s, y)
    if mine != theirs:
        return mine < theirs
    if x != y:
        return x < y
    mine = s.quota[s.tenant[a].leaf].decayed / _weight(s, s.tenant[a].leaf)
    theirs = s.quota[s.tenant[b].leaf].decayed / _weight(s, s.tenant[b].leaf)
    if mine != theirs:
        return mine < theirs
    return a < b


@compiled
def rank_tenants(s: State, t: int) -> None:
    """Let past usage fade, and rank the tenants by what is left of it."""
    v = s.v[0]
    if v.fair == 0:
        return
    faded = 0.5 ** ((t - v.turned) / v.half_life)
    v.turned = t
    for x in range(s.quota.shape[0]):
        read_quota(s, x, t)
        node = s.quota[x]
        node.decayed = node.decayed * faded + node.spent_ns / 1e9
        node.spent_ns = 0
    n = s.tenant.shape[0]
    for i in range(1, n):  # nearly in order already: few moves
        q = s.tenant[i].order
        at = i
        while at > 0 and _goes_before(s, q, s.tenant[at - 1].order):
            s.tenant[at].order = s.tenant[at - 1].order
            at -= 1
        s.tenant[at].order = q
    for i in range(n):
        s.tenant[s.tenant[i].order].rank = i
    v.ranked = 1
