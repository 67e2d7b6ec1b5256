"""Who starts: claims, guarantees, then everybody, with EASY backfill under nodes and power.

The first job of a pass that must wait is the *head*; its start is protected at the *shadow*, the
first minute at which estimated releases give it both its nodes and its power. A later job may start
now if it is estimated to end by the shadow, or uses only what the head will leave over. The pass
stops after `depth` jobs that were tested behind the head and did not start.
"""

from __future__ import annotations

from gigafactory.kernel.clocks import stretched
from gigafactory.kernel.jit import compiled
from gigafactory.kernel.nodes import best_fit, emptiest, empty_in, end_aside, open_in_pod, set_aside
from gigafactory.kernel.queues import (
    claim,
    dequeue,
    enqueue,
    first_of_tenant,
    is_held,
    least_of,
    not_held,
    open_merge,
    precedes,
    step_merge,
    unclaim,
)
from gigafactory.kernel.quotas import (
    cap_node,
    close_cap,
    has_right,
    is_closed,
    open_caps,
    see_tenant,
    shift,
)
from gigafactory.kernel.reclaim import (
    leaves_now,
    look_again,
    make_way,
    may_look,
    may_make_way,
    most_by_right,
    reclaim,
)
from gigafactory.kernel.running import class_room, headroom, start
from gigafactory.kernel.state import (
    BIG_BLOCK,
    BLOCK,
    BUCKET_NS,
    FULL_RATE,
    FULL_SPEED,
    GROUPS,
    NEVER,
    PRIORITIES,
    SOON,
    JobState,
    Kind,
    State,
    Why,
)

_CLAIMING = int(JobState.CLAIMING)
_QUEUED = int(JobState.QUEUED)
_AWAY = int(JobState.AWAY)
_START = int(Kind.START)
_BACKFILL = int(Kind.BACKFILL)
_NOTHING = int(Why.NOTHING)
_HELD = int(Why.HELD)
_CAP = int(Why.CAP)
_QUOTA = int(Why.QUOTA)
_NODES = int(Why.NODES)
_LEVEL = int(Why.LEVEL)
_POWER = int(Why.POWER)
_SHADOW = int(Why.SHADOW)
_ORDER = int(Why.ORDER)
_PAUSED = int(Why.PAUSED)
_CLAIM = int(Why.CLAIM)
_ELSEWHERE = int(Why.AWAY)
_RACK = 1


# --- what a job could have now ------------------------------------------------------------------


@compiled
def most_together(s: State, j: int) -> int:
    """Most empty nodes that job `j` could have now at the level it requires."""
    v = s.v[0]
    if v.aside_job == j:
        return empty_in(s, v.aside_level, v.aside_place)
    level = s.job[j].level
    if level == 0:
        return s.free[v.node_size].count
    if level == _RACK:
        for k in range(s.racks.shape[0]):
            free = s.racks.shape[0] - 1 - k
            if s.racks[free, 0] > 0:
                return free
        return 0
    most = 0
    for p in range(s.pod_free.shape[0]):
        most = max(most, open_in_pod(s, p))
    return most


@compiled
def _cost(s: State, g: int) -> int:
    """Milliwatts an accelerator of class `g` adds when it starts."""
    return s.group[g].power - s.v[0].idle_power


@compiled
def _width(s: State, j: int, nodes: int) -> int:
    """Accelerators that job `j` runs on with so many nodes (0: on its share of one)."""
    return min(s.ask[j].accelerators, nodes * s.v[0].node_size) if nodes else s.ask[j].accelerators


@compiled
def _within(s: State, j: int, nodes: int, each: int, room: int) -> int:
    """As many of a gang's nodes, at most `nodes`, as a room lets run; 0 when too few.

    Args:
        s: the pool.
        j: the gang.
        nodes: 0 stays 0.
        each: milliwatts an accelerator takes of the room.
        room: milliwatts there are.
    """
    if nodes == 0:
        return 0
    if each > 0 and _width(s, j, nodes) * each > room:
        nodes = max(room, 0) // each // s.v[0].node_size
    return nodes if nodes >= s.ask[j].least else 0


@compiled
def offer(s: State, j: int) -> int:
    """Nodes that gang `j` could start on now, within caps, quota, power and level; 0 for none."""
    ask = s.ask[j]
    nodes = min(ask.nodes, most_together(s, j))
    if nodes < ask.least or s.group[ask.group].speed == 0:
        return 0
    see_tenant(s, ask.tenant)
    room = min(s.tenant[ask.tenant].cap_room, s.tenant[ask.tenant].quota_room)
    nodes = min(nodes, max(room, 0) // s.v[0].node_size)
    if nodes < ask.least:
        return 0
    nodes = _within(s, j, nodes, _cost(s, ask.group), headroom(s))
    if s.group[ask.group].limit < NEVER:
        nodes = _within(s, j, nodes, s.group[ask.group].power, class_room(s, ask.group))
    return nodes


@compiled
def fits_small(s: State, j: int) -> bool:
    """Whether a job smaller than a node could start now."""
    ask = s.ask[j]
    group = s.group[ask.group]
    if group.speed == 0 or ask.accelerators * _cost(s, ask.group) > headroom(s):
        return False
    if ask.accelerators * group.power > class_room(s, ask.group):
        return False
    see_tenant(s, ask.tenant)
    room = min(s.tenant[ask.tenant].cap_room, s.tenant[ask.tenant].quota_room)
    return ask.accelerators <= room and best_fit(s, ask.accelerators, ask.tenant) >= 0


@compiled
def _over_cap(s: State, j: int) -> bool:
    """Whether job `j`, at its smallest width, would break a cap of its tenant or above it."""
    q = s.ask[j].tenant
    see_tenant(s, q)
    return least_of(s, j) > s.tenant[q].cap_room


@compiled
def over_limit(s: State, j: int) -> bool:
    """Whether job `j`, at its smallest width, would break the limit of its class."""
    ask = s.ask[j]
    group = s.group[ask.group]
    if group.limit >= NEVER:
        return False
    return _width(s, j, ask.least) * group.power > class_room(s, ask.group)


@compiled
def _shut_before(s: State, j: int) -> bool:
    """Whether a job before job `j` would have broken the limit of their class in the last pass."""
    shut = s.group[s.ask[j].group].shut
    return shut > 0 and precedes(s, shut - 1, j)


@compiled
def _fits(s: State, j: int) -> bool:
    """Whether job `j` fits now."""
    return offer(s, j) > 0 if s.ask[j].nodes > 0 else fits_small(s, j)


@compiled
def _start_now(s: State, j: int, t: int) -> bool:
    """Start job `j` if it fits now; nobody is protected from it."""
    nodes = 0
    if s.ask[j].nodes > 0:
        nodes = offer(s, j)
        if nodes == 0:
            return False
        if s.job[j].state == _CLAIMING:
            nodes = min(nodes, most_by_right(s, j))
    elif not fits_small(s, j):
        return False
    start(s, j, t, _START, nodes)
    return True


# --- the head and its shadow --------------------------------------------------------------------


@compiled
def _released_power(s: State, row: int) -> int:
    power = 0
    for g in range(GROUPS):
        power += s.releases[row, 1 + g] * _cost(s, g)
    return power


@compiled
def _cast_shadow(s: State, nodes: int, power_asked: int, t: int) -> None:
    """Find the first minute that gives the head so many nodes and so much power."""
    v = s.v[0]
    limited = v.budget < NEVER
    free = s.free[v.node_size].count
    power = headroom(s) - power_asked if limited else 0
    at = (t - v.origin + BUCKET_NS - 1) // BUCKET_NS
    last = v.blocks
    while at < last and (free < nodes or power < 0):
        if at % BIG_BLOCK == 0:
            row = v.big_blocks + at // BIG_BLOCK
            more = s.releases[row, 0]
            gain = _released_power(s, row) if limited else 0
            if free + more < nodes or power + gain < 0:
                free += more
                power += gain
                at += BIG_BLOCK
                continue
        if at % BLOCK == 0:
            row = v.blocks + at // BLOCK
            more = s.releases[row, 0]
            gain = _released_power(s, row) if limited else 0
            if free + more < nodes or power + gain < 0:
                free += more
                power += gain
                at += BLOCK
                continue
        free += s.releases[at, 0]
        if limited:
            power += _released_power(s, at)
        at += 1
    if free < nodes or power < 0:
        v.shadow = NEVER  # not within sight: nothing to protect
        v.extra_nodes = 0
        v.extra_power = 0
    else:
        v.shadow = at - 1
        v.extra_nodes = free - nodes
        v.extra_power = power if limited else NEVER


@compiled
def _kept_back(s: State, j: int) -> int:
    """Whole nodes that stand empty but are kept for others than job `j`, where that hinders it."""
    v = s.v[0]
    see_tenant(s, s.ask[j].tenant)
    room = s.tenant[s.ask[j].tenant].quota_room
    if room >= least_of(s, j):
        return 0
    kept = v.in_service * v.node_size - v.held - room
    return (max(kept, 0) + v.node_size - 1) // v.node_size


@compiled
def _wants_room(s: State, j: int) -> bool:
    """Whether nodes enough for head `j` stand empty, but nowhere as close as it requires.

    What is set aside for it already counts as if it were not.
    """
    v = s.v[0]
    own = v.aside_job == j
    if s.job[j].level == 0 or s.group[s.ask[j].group].speed == 0 or (v.aside_job >= 0 and not own):
        return False
    free = s.free[v.node_size].count
    if own:
        free += empty_in(s, v.aside_level, v.aside_place)
    return free >= s.ask[j].least > most_together(s, j)


@compiled
def _protect(s: State, j: int, t: int) -> None:
    """Make job `j` the head of this pass."""
    v = s.v[0]
    ask = s.ask[j]
    v.head = j
    v.shadow_valid = 1
    if v.aside_job < 0 and _wants_room(s, j):
        set_aside(s, j, s.job[j].level, emptiest(s, s.job[j].level))
    if v.aside_job == j or s.group[ask.group].speed == 0:
        v.shadow = NEVER  # what is set aside needs no shadow; what stands still has none
        v.extra_nodes = v.extra_power = 0
    else:
        v.kept_back = _kept_back(s, j)
        nodes = max(ask.least, 1) + v.kept_back
        _cast_shadow(s, nodes, _width(s, j, ask.least) * _cost(s, ask.group), t)
    _see_limits(s, t)
    _see_room(s)


@compiled
def _see_limits(s: State, t: int) -> None:
    """Tabulate, per group, the longest rest that ends by the shadow and the power of a start."""
    v = s.v[0]
    sighted = v.shadow < v.blocks - 1
    end = v.origin + v.shadow * BUCKET_NS if sighted else t
    for g in range(GROUPS):
        group = s.group[g]
        s.group[g].cost = _cost(s, g)
        if group.speed == 0:
            s.group[g].longest = -NEVER  # a stopped group starts nothing
        elif not sighted:
            s.group[g].longest = NEVER
        else:
            # what the group's clock, in whole nanoseconds, moves on from now to the shadow
            now = (group.speed * (t - group.t) + group.clock_rest) // FULL_SPEED
            then = (group.speed * (end - group.t) + group.clock_rest) // FULL_SPEED
            s.group[g].longest = then - now


@compiled
def _see_room(s: State) -> None:
    """Tabulate the node that a job smaller than a node would share."""
    node_size = s.v[0].node_size
    best = best_fit(s, node_size, 0)
    for k in range(1, node_size):
        free = node_size - k
        if s.free[free].head >= 0:
            best = s.free[free].head
        s.room[free] = best


@compiled
def _gang_behind(s: State, j: int) -> int:
    """Nodes on which gang `j` may start behind the head; 0 for none."""
    v = s.v[0]
    ask = s.ask[j]
    nodes = offer(s, j)
    if nodes == 0:
        return 0
    rate = FULL_RATE
    if nodes < ask.nodes:
        rate = s.efficiency[FULL_RATE * _width(s, j, nodes) // ask.accelerators]
    if stretched(ask.rest, rate) <= s.group[ask.group].longest:
        return nodes
    nodes = min(nodes, v.extra_nodes)
    if nodes < ask.least:
        return 0
    nodes = _within(s, j, nodes, s.group[ask.group].cost, v.extra_power)
    if nodes > 0:
        v.extra_nodes -= nodes
        if v.extra_power < NEVER:
            v.extra_power -= _width(s, j, nodes) * s.group[ask.group].cost
    return nodes


@compiled
def _small_behind(s: State, j: int) -> bool:
    """Whether a job smaller than a node may start behind the head."""
    v = s.v[0]
    ask = s.ask[j]
    n = s.room[ask.accelerators]
    if n < 0 or not fits_small(s, j):
        return False
    if ask.rest <= s.group[ask.group].longest:
        return True
    node = s.node[n]
    nodes = 1 if node.free == v.node_size or node.bucket <= v.shadow else 0
    power = ask.accelerators * s.group[ask.group].cost
    if nodes > v.extra_nodes or power > v.extra_power:
        return False
    v.extra_nodes -= nodes
    if v.extra_power < NEVER:
        v.extra_power -= power
    return True


@compiled
def _start_behind(s: State, j: int, t: int) -> bool:
    """Start job `j` behind the head if it fits now and does not put the head off."""
    v = s.v[0]
    ask = s.ask[j]
    # cheapest first: this is where an overloaded machine spends its time
    if ask.least > s.free[v.node_size].count and v.aside_job != j:
        return False
    if s.group[ask.group].longest == -NEVER:
        return False
    nodes, extra = 0, v.extra_nodes
    if ask.nodes > 0:
        nodes = _gang_behind(s, j)
        if nodes == 0:
            return False
    elif not _small_behind(s, j):
        return False
    start(s, j, t, _BACKFILL, nodes)
    _see_room(s)
    # others may now share other nodes; a gang that lies in several pods may outlast the shadow
    if ask.nodes == 0:
        v.stale = max(v.stale, _some_share(s))
    elif v.extra_nodes == extra and s.job[j].bucket > v.shadow:
        v.stale = 1
    return True


@compiled
def _some_share(s: State) -> int:
    """1 where a job smaller than a node could share one that comes free after the shadow."""
    v = s.v[0]
    for k in range(1, v.node_size):
        n = s.room[k]
        if n >= 0 and s.node[n].free < v.node_size and s.node[n].bucket > v.shadow:
            return 1
    return 0


@compiled
def _try(s: State, j: int, t: int) -> bool:
    """Start job `j` if it may start now."""
    if s.v[0].head < 0:
        return _start_now(s, j, t)
    return _start_behind(s, j, t)


# --- the three rounds ---------------------------------------------------------------------------


@compiled
def give_up_claim(s: State, j: int, t: int) -> None:
    """Send a job that claims back to the queue."""
    shift(s, SOON, s.tenant[s.ask[j].tenant].leaf, -least_of(s, j), t)
    unclaim(s, j, t)
    if s.v[0].aside_job == j:
        end_aside(s)
    enqueue(s, j, t)


@compiled
def _may_keep(s: State, j: int) -> bool:
    """Whether a job that claims may go on: within its caps, and among its own or by right."""
    leaf = s.tenant[s.ask[j].tenant].leaf
    if cap_node(s, leaf, least_of(s, j)) >= 0:
        return False
    return s.job[j].own == 1 or has_right(s, leaf, 0)  # the usage to come holds its claim already


@compiled
def _let_be(s: State) -> None:
    """Note that a job needs no victims, unless others of this pass take what it is to have."""
    if s.v[0].let_be < 0:
        s.v[0].let_be = s.v[0].version


@compiled
def _serve_claims(s: State, t: int) -> None:
    """First round: jobs that claimed nodes, in the order in which they claimed."""
    v = s.v[0]
    j = not_held(s, v.claim_head)
    while j >= 0:
        following = not_held(s, s.ask[j].next)
        if not _may_keep(s, j):
            give_up_claim(s, j, t)
        elif not over_limit(s, j) and not _start_now(s, j, t):
            look_again(s, j, t)
            retry = s.tenant[s.ask[j].tenant].retry
            if retry > t:
                v.look_at = min(v.look_at, retry)
            else:
                _let_be(s)
            _protect(s, j, t)
            return
        j = following


@compiled
def _serve_guarantees(s: State, t: int) -> None:
    """Second round: tenants by rank; what they have a right to starts, or takes back its nodes."""
    v = s.v[0]
    for i in range(s.tenant.shape[0]):
        q = s.tenant[i].order
        if s.tenant[q].levels == 0:
            continue
        leaf = s.tenant[q].leaf
        j = first_of_tenant(s, q)
        while j >= 0:
            right = has_right(s, leaf, least_of(s, j))
            if _over_cap(s, j) or over_limit(s, j):
                break
            if right and _try(s, j, t):
                v.stale = max(v.stale, 1 if s.ask[j].nodes == 0 else 0)
                j = first_of_tenant(s, q)
                continue
            if not may_look(s, j, t):
                v.look_at = min(v.look_at, s.tenant[q].retry)
                break
            if not right and (_fits(s, j) or not may_make_way(s, j)):
                _let_be(s)  # it looks for nothing, however late it gets
                break
            found = reclaim(s, j, t) if right else make_way(s, j, t)
            v.look_at = min(v.look_at, t if found else s.tenant[q].retry)
            if not found:
                break
            _claim(s, j, t)
            if v.head < 0:
                _protect(s, j, t)
            if leaves_now(s, t):
                return
            j = first_of_tenant(s, q)


@compiled
def _claim(s: State, j: int, t: int) -> None:
    """Move a queued job whose victims have been given notice to the claims."""
    dequeue(s, j, t)
    claim(s, j, t)
    shift(s, SOON, s.tenant[s.ask[j].tenant].leaf, least_of(s, j), t)
    s.job[j].state = _CLAIMING


@compiled
def _pass_over(s: State, j: int) -> int:
    """Count off the jobs of a tenant, from `j` on, that plainly do not fit behind the head.

    Returns the first that may, -1 when there is none. What is told of each is what the loop of
    `_serve_queue` would have found one by one; this is where an overloaded machine spends its time.
    """
    v = s.v[0]
    q = s.ask[j].tenant
    if v.head < 0 or v.ranked == 0 or v.closures > 0 or v.held >= v.in_service * v.node_size:
        return j
    see_tenant(s, q)
    room, free, seen = s.tenant[q].cap_room, s.free[v.node_size].count, v.seen
    while j >= 0 and seen < v.depth:
        ask = s.ask[j]
        if ask.nodes > 0:
            plain = ask.least > free and ask.least * v.node_size <= room and v.aside_job != j
        else:
            plain = s.room[ask.accelerators] < 0 and ask.accelerators <= room
        if not plain or s.group[ask.group].limit < NEVER:
            break
        s.tested[seen] = j
        seen += 1
        j = ask.next
    v.seen = seen
    return j


@compiled
def _serve_queue(s: State, t: int) -> None:
    """Third round: everybody, in the order of the queue."""
    v = s.v[0]
    for k in range(PRIORITIES):
        p = PRIORITIES - 1 - k
        n = open_merge(s, p)
        while n > 0:
            j = _pass_over(s, s.tenant[0].merge)
            if j < 0:
                n = step_merge(s, p, n, -1)
                continue
            ask = s.ask[j]
            following = ask.next
            if is_closed(s, s.tenant[ask.tenant].leaf):
                n = step_merge(s, p, n, -1)
                continue
            if _over_cap(s, j):
                close_cap(s, s.tenant[ask.tenant].leaf, least_of(s, j), j)
                n = step_merge(s, p, n, -1)
                continue
            if s.group[ask.group].shut > 0:
                n = step_merge(s, p, n, following)
                continue
            if over_limit(s, j):
                s.group[ask.group].shut = 1 + j
                n = step_merge(s, p, n, following)
                continue
            if v.head < 0:
                if not _start_now(s, j, t):
                    _protect(s, j, t)
            elif v.seen >= v.depth or v.held >= v.in_service * v.node_size:
                return
            elif not _start_behind(s, j, t):
                s.tested[v.seen] = j
                v.seen += 1
            n = step_merge(s, p, n, following)


@compiled
def _head_changed(s: State, j: int) -> bool:
    """Whether what started behind the head changed its caps, its right, its room or its need."""
    if s.job[j].state == _CLAIMING:
        if not _may_keep(s, j):
            return True
    elif (s.v[0].aside_job == j) != _wants_room(s, j):
        return True
    if _over_cap(s, j):
        return True
    return s.v[0].shadow < NEVER and s.v[0].kept_back != _kept_back(s, j)


@compiled
def _would_differ(s: State) -> bool:
    """Whether a second pass, right after one in which something began, could decide otherwise.

    Because a shared node or a shadow is another now, somebody was let be, the head is not what it
    was, a job that shut its class would be over a cap first and shut nothing, or one of those
    tested would close a quota node or a class and let the pass look deeper.
    """
    v = s.v[0]
    if v.stale == 1 or (v.let_be >= 0 and v.let_be != v.version) or _head_changed(s, v.head):
        return True
    for g in range(GROUPS):
        if s.group[g].shut > 0:
            return True
    if v.seen < v.depth:
        return False
    for k in range(v.seen):
        j = s.tested[k]
        if _over_cap(s, j) or over_limit(s, j):
            return True
    return False


@compiled
def schedule(s: State, t: int) -> None:
    """One pass."""
    v = s.v[0]
    v.shadow_valid = 0
    v.head = -1
    v.seen = 0
    v.look_at = NEVER
    v.stale = 0
    v.kept_back = 0
    v.let_be = -1
    if v.aside_job >= 0 and s.job[v.aside_job].state != _CLAIMING:
        end_aside(s)  # the head of this pass may have a room set aside anew
    if v.paused_jobs > 0:
        return  # power goes to paused work first
    before = v.version
    open_caps(s)
    for g in range(GROUPS):
        s.group[g].shut = 0
    _serve_claims(s, t)
    if s.quota.shape[0] > 1 and not leaves_now(s, t):
        _serve_guarantees(s, t)
    if leaves_now(s, t):
        # whoever claims their nodes goes first in the pass that follows when they have left: a
        # shadow looks no closer than a minute, and would let others have them until it falls
        v.shadow_valid = 0
        return
    _serve_queue(s, t)
    if v.head >= 0 and v.version != before and _would_differ(s):
        v.shadow_valid = 0  # look at everybody again next time


# --- a lone arrival, and reasons ----------------------------------------------------------------


@compiled
def _place_of(s: State, j: int) -> int:
    """How many of the jobs tested behind the head go before job `j`."""
    low, high = 0, s.v[0].seen
    while low < high:
        middle = (low + high) // 2
        if precedes(s, s.tested[middle], j):
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _closed_before(s: State, j: int) -> bool:
    """Whether the last pass closed a node above job `j` before it met the job."""
    x = s.tenant[s.ask[j].tenant].leaf
    while s.quota[x].parent >= 0:
        if s.quota[x].closed > 0 and precedes(s, s.quota[x].closed - 1, j):
            return True
        x = s.quota[x].parent
    return False


@compiled
def cannot_start(s: State, j: int, t: int) -> bool:
    """Whether the one job that just arrived changes nothing, so that no pass need be made.

    Nothing has come free and no power was set since the last pass, so no other job can have become
    startable, and it is not yet time to look for victims again; it is enough to test this one,
    where the pass would have met it.
    """
    v = s.v[0]
    ask = s.ask[j]
    if v.head < 0 or v.shadow_valid == 0 or t >= v.look_at or v.always:
        return False
    if s.job[v.head].state == _QUEUED and precedes(s, j, v.head):
        return False
    if s.quota.shape[0] > 1 and first_of_tenant(s, ask.tenant) == j:
        return False  # it may have a right, or its tenant make way for it
    if is_held(s, j) or _closed_before(s, j) or _shut_before(s, j):
        return True
    if v.held >= v.in_service * v.node_size:
        return True
    at = _place_of(s, j)
    if at >= v.depth:
        return True
    if _over_cap(s, j):
        return False  # it closes a node: those behind it are not tested any more
    if over_limit(s, j):
        return False  # it closes its class
    _see_limits(s, t)
    if _could_start_behind(s, j):
        return False
    v.seen = min(v.seen + 1, v.depth)
    for k in range(v.seen - 1 - at):
        s.tested[v.seen - 1 - k] = s.tested[v.seen - 2 - k]
    s.tested[at] = j
    return True


@compiled
def _could_start_behind(s: State, j: int) -> bool:
    """Whether job `j` could start behind the head; a pass then lets it."""
    v = s.v[0]
    ask = s.ask[j]
    if s.group[ask.group].longest == -NEVER:
        return False
    nodes, power = v.extra_nodes, v.extra_power
    could = _gang_behind(s, j) > 0 if ask.nodes > 0 else _small_behind(s, j)
    v.extra_nodes, v.extra_power = nodes, power
    return could


@compiled
def explain(s: State, j: int) -> int:
    """What queued job `j` waits for after a pass: a `Why`, plus 256 times a quota node it names."""
    v = s.v[0]
    ask = s.ask[j]
    leaf = s.tenant[ask.tenant].leaf
    if s.job[j].state == _CLAIMING:
        return _CLAIM
    if s.job[j].state == _AWAY:
        return _ELSEWHERE
    if s.job[j].state != _QUEUED:
        return _NOTHING
    if is_held(s, j):
        return _HELD
    if v.paused_jobs > 0:
        return _PAUSED
    broken = cap_node(s, leaf, least_of(s, j))
    if broken >= 0:
        return _CAP + 256 * broken
    if ask.nodes > 0 and s.free[v.node_size].count < ask.least and v.aside_job != j:
        return _NODES
    if ask.nodes == 0 and best_fit(s, ask.accelerators, ask.tenant) < 0:
        return _NODES
    see_tenant(s, ask.tenant)
    if s.tenant[ask.tenant].quota_room < least_of(s, j):
        return _QUOTA + 256 * leaf
    if ask.nodes > 0 and most_together(s, j) < ask.least:
        return _LEVEL
    group = s.group[ask.group]
    if group.speed == 0 or _width(s, j, ask.least) * _cost(s, ask.group) > headroom(s):
        return _POWER
    if over_limit(s, j):
        return _POWER
    if (
        _closed_before(s, j)
        or _shut_before(s, j)
        or (v.seen >= v.depth > 0 and _place_of(s, j) >= v.depth)
    ):
        return _ORDER
    return _SHADOW


@compiled
def note_reasons(s: State, first: int, last: int) -> None:
    """Write down what waiting jobs, from `first` to before `last`, wait for after a pass."""
    for j in range(first, last):
        if s.job[j].state == _QUEUED or s.job[j].state == _CLAIMING:
            reason = explain(s, j)
            s.job[j].why = reason % 256
            s.job[j].why_node = reason // 256
