"""Taking back and making way: which running jobs a guaranteed job makes leave, all or none.

Reclaim takes back what others borrowed and ignores priority; preemption makes way inside one
tenant and respects it. Victims are chosen one by one and counted off at once; when they do not
suffice, nobody is told anything.
"""

from __future__ import annotations

from gigafactory.kernel.clocks import read_group, stretched, worked
from gigafactory.kernel.jit import compiled
from gigafactory.kernel.nodes import all_going, empty_in, first_of, first_on, last_of, set_aside
from gigafactory.kernel.queues import least_of
from gigafactory.kernel.quotas import may_take_from, quota_left, right_left, shift
from gigafactory.kernel.running import (
    checkpointed,
    give_notice,
    headroom,
    held_by,
    last_mature,
    power_of,
)
from gigafactory.kernel.state import (
    INSTANT_NS,
    NEVER,
    RETRY_NS,
    SOON,
    USED,
    VICTIMS_SEEN,
    JobState,
    State,
)

_RUNNING = int(JobState.RUNNING)
_STOPPING = int(JobState.STOPPING)
_SMALL, _GANG = 0, 1
#: What a node can give: nothing, itself as it is going to be empty anyway, or with its jobs.
_NO, _COMING, _YIELDS = 0, 1, 2
_RACK = 1


@compiled
def _loss(s: State, v: int, t: int) -> int:
    """Accelerator-nanoseconds of work job `v` has done since its last checkpoint."""
    job = s.job[v]
    g = s.ask[v].group
    read_group(s, g, t)
    left = worked(max(job.v_end - s.group[g].clock, 0), job.rate)
    again = min(job.left - left, job.redo)
    done = job.need - left + job.redo - again
    return stretched(done - checkpointed(s, v, done), job.rate) * job.width


@compiled
def _is_fresh(s: State, v: int, t: int) -> bool:
    """Whether job `v` began at this instant and would have to leave at it too.

    Else two jobs could take each other's place at one instant without end.
    """
    return s.group[s.ask[v].group].grace == 0 and s.job[v].start > t - INSTANT_NS


@compiled
def leaves_now(s: State, t: int) -> bool:
    """Whether a job was given notice that ends at the instant at which it was given."""
    v = s.v[0]
    if v.stops == 0 or s.stops[0].key > t:
        return False
    for i in range(v.stops):
        stop, j = s.stops[i].key, s.stops[i].job
        if stop <= t and s.job[j].stop == stop and s.group[s.ask[j].group].grace == 0:
            return True
    return False


@compiled
def most_by_right(s: State, j: int) -> int:
    """Nodes that claiming gang `j` takes at most: without notice, no more than it has a right to.

    What it took beyond could be taken from it at once, by those who made way for it.
    """
    ask = s.ask[j]
    if s.group[ask.group].grace > 0:
        return ask.nodes
    right = right_left(s, s.tenant[ask.tenant].leaf) + least_of(s, j)  # its claim is counted there
    return max(ask.least, right // s.v[0].node_size)


@compiled
def _makes_way(s: State, j: int, v: int) -> bool:
    """Whether running job `v` of the same tenant makes way for job `j`."""
    return s.v[0].preempt_within == 1 and s.ask[v].priority < s.ask[j].priority


@compiled
def _in_room(s: State, n: int) -> bool:
    """Whether node `n` stands in a room that is set aside."""
    return s.rack[n // s.v[0].rack_nodes].aside == 1


@compiled
def _leaves_room(s: State, v: int, accelerators: int) -> bool:
    """Whether the node of small job `v` has so many accelerators free once it has left."""
    n = s.job[v].node
    return s.node[n].free + s.job[v].width >= accelerators and not _in_room(s, n)


@compiled
def _nodes_of(s: State, v: int) -> int:
    """Nodes of gang `v` that come free for everybody when it leaves."""
    if s.v[0].aside_job < 0:
        return s.job[v].nodes
    count = 0
    n = s.job[v].node
    while n >= 0:
        if not _in_room(s, n):
            count += 1
        n = s.node[n].chain
    return count


@compiled
def _pick_in(s: State, j: int, q: int, g: int, kind: int, own: bool, wide: int, t: int) -> int:
    """The best victim of a tenant, class and kind, -1 when there is none.

    Args:
        s: the pool.
        j: the job that looks for victims.
        q: tenant of the victims.
        g: their class.
        kind: small ones or gangs.
        own: whether they must make way for the job, by their priority.
        wide: accelerators they have at least.
        t: the instant.
    """
    v = last_mature(s, q, g, kind, t)
    best, least, seen = -1, 0, 0
    while v >= 0 and seen < VICTIMS_SEEN:
        if s.job[v].stop != NEVER:  # chosen already
            v = s.ask[v].prev
            continue
        seen += 1
        fits = kind == _GANG or _leaves_room(s, v, s.ask[j].accelerators)
        fits = fits and s.job[v].width >= wide
        if fits and (not own or _makes_way(s, j, v)):
            mine = _loss(s, v, t)
            if best < 0 or _better(s, v, mine, best, least):
                best, least = v, mine
        v = s.ask[v].prev
    return best


@compiled
def _better(s: State, v: int, mine: int, other: int, least: int) -> bool:
    """Whether victim `v` goes before another: it loses less, began later, or came later."""
    if mine != least:
        return mine < least
    if s.job[v].start != s.job[other].start:
        return s.job[v].start > s.job[other].start
    return v > other


@compiled
def _best_of(s: State, j: int, q: int, g: int, kind: int, t: int) -> int:
    """The best victim of a tenant, class and kind whatever its priority, -1 when there is none.

    Worked out once per look, as long as nobody of the list is chosen.
    """
    run = s.run[q, g, kind]
    if run.looked != s.v[0].looks:
        run.looked = s.v[0].looks
        run.best = _pick_in(s, j, q, g, kind, False, 0, t)
        if run.best >= 0:
            run.loss = _loss(s, run.best, t)
    return run.best


@compiled
def _forget_best(s: State, v: int) -> None:
    """Let the best victim of the list of job `v` be worked out anew."""
    s.run[s.ask[v].tenant, s.ask[v].group, 1 if s.job[v].nodes > 0 else 0].looked = 0


@compiled
def _pick_own(s: State, j: int, kind: int, wide: int, t: int) -> int:
    """The next victim of a kind among jobs of its own tenant, by class, then the least to lose."""
    if s.v[0].preempt_within == 1:
        for i in range(s.victims.shape[0]):
            best = _pick_in(s, j, s.ask[j].tenant, s.victims[i], kind, True, wide, t)
            if best >= 0:
                return best
    return -1


@compiled
def _pick(s: State, j: int, kind: int, t: int) -> int:
    """The next victim of a kind: borrowed before own, by class, then the least to lose."""
    leaf, least = s.tenant[s.ask[j].tenant].leaf, least_of(s, j)
    for i in range(s.victims.shape[0]):
        g = s.victims[i]
        best, loss = -1, 0
        for q in range(s.tenant.shape[0]):
            if s.run[q, g, kind].head < 0 or not may_take_from(s, leaf, least, s.tenant[q].leaf):
                continue
            v = _best_of(s, j, q, g, kind, t)
            if v >= 0 and (best < 0 or _better(s, v, s.run[q, g, kind].loss, best, loss)):
                best, loss = v, s.run[q, g, kind].loss
        if best >= 0:
            return best
    return _pick_own(s, j, kind, 0, t)


@compiled
def _choose(s: State, v: int, count: int, t: int) -> int:
    """Count victim `v` off its tenant; returns how many are chosen now."""
    s.job[v].stop = 0
    s.batch[count] = v
    _forget_best(s, v)
    shift(s, SOON, s.tenant[s.ask[v].tenant].leaf, -held_by(s, v), t)
    return count + 1


@compiled
def _is_guest(s: State, j: int, v: int) -> bool:
    """Whether running job `v` stands in the block of job `j`'s tenant, which has a right to it."""
    q = s.ask[j].tenant
    if s.tenant[q].block == 0 or s.ask[v].tenant == q:
        return False
    if s.group[s.ask[v].group].runtime_min >= NEVER:
        return False  # nobody's to move
    leaf = s.tenant[q].leaf
    if s.usage[USED, SOON, leaf] + least_of(s, j) > s.quota[leaf].effective:
        return False
    n = s.job[v].node
    if s.job[v].nodes == 0:
        return s.rack[n // s.v[0].rack_nodes].block == q
    while n >= 0:
        if s.rack[n // s.v[0].rack_nodes].block == q:
            return True
        n = s.node[n].chain
    return False


@compiled
def _yields(s: State, j: int, v: int, guests: bool, t: int) -> int:
    """What running job `v` would give to job `j`; guests of its block as well where so wanted."""
    if s.job[v].state == _STOPPING or s.job[v].stop == 0:
        return _COMING
    if s.job[v].state != _RUNNING or _is_fresh(s, v, t):
        return _NO
    if guests and _is_guest(s, j, v):
        return _YIELDS
    ask = s.ask[v]
    if s.job[v].start > t - s.group[ask.group].runtime_min:
        return _NO
    mine = s.tenant[s.ask[j].tenant].leaf
    if may_take_from(s, mine, least_of(s, j), s.tenant[ask.tenant].leaf):
        return _YIELDS
    return _YIELDS if ask.tenant == s.ask[j].tenant and _makes_way(s, j, v) else _NO


@compiled
def _unchoose(s: State, count: int, down_to: int, t: int) -> int:
    """Let the victims chosen last be, down to a number of them; returns that number."""
    for i in range(down_to, count):
        victim = s.batch[i]
        s.job[victim].stop = NEVER
        _forget_best(s, victim)
        shift(s, SOON, s.tenant[s.ask[victim].tenant].leaf, held_by(s, victim), t)
    return down_to


@compiled
def _choose_node(s: State, j: int, n: int, guests: bool, count: int, t: int) -> int:
    """Choose every job on held node `n` for job `j`, one by one; returns how many are chosen now.

    All or none: the number is the same where one may not be a victim, or all are to leave anyway.
    """
    owner = s.node[n].owner
    if owner >= 0:
        if _yields(s, j, owner, guests, t) == _YIELDS:
            return _choose(s, owner, count, t)
        return count
    chosen = count
    v = first_on(s, n, -1)
    while v >= 0:
        gives = _yields(s, j, v, guests, t)
        if gives == _NO:
            return _unchoose(s, chosen, count, t)
        if gives == _YIELDS:
            chosen = _choose(s, v, chosen, t)
        v = first_on(s, n, v)
    return chosen


@compiled
def _leaves(s: State, n: int) -> bool:
    """Whether held node `n` comes empty when all under notice, and all chosen, have left."""
    owner = s.node[n].owner
    if owner >= 0:
        return s.job[owner].state == _STOPPING or s.job[owner].stop == 0
    some = False
    for slot in range(s.v[0].node_size):
        j = s.slots[n, slot]
        if j >= 0:
            if s.job[j].state != _STOPPING and s.job[j].stop != 0:
                return False
            some = True
    return some


@compiled
def _coming_in(s: State, level: int, place: int) -> int:
    """Nodes of a rack or pod that jobs under notice, or chosen, will leave empty."""
    coming = 0
    v = s.v[0]
    first = first_of(s, level, place) * v.rack_nodes
    last = min(last_of(s, level, place) * v.rack_nodes, s.node.shape[0])
    for n in range(first, last):
        if 0 <= s.node[n].free < v.node_size and _leaves(s, n):
            coming += 1
    return coming


@compiled
def _gather_anywhere(s: State, j: int, behind: bool, t: int) -> int:
    """Choose victims for job `j` wherever they run; returns how many, -1 when they do not suffice.

    Args:
        s: the pool.
        j: the job.
        behind: whether earlier claims go first.
        t: the instant.
    """
    v = s.v[0]
    v.looks += 1
    ask = s.ask[j]
    leaf, least = s.tenant[ask.tenant].leaf, least_of(s, j)
    count = 0
    coming = s.free[v.node_size].count + v.stop_nodes
    if v.aside_job >= 0:
        coming -= _coming_in(s, v.aside_level, v.aside_place)
    if behind:
        coming -= v.claim_nodes
    missing = max(ask.least, 1) - coming
    s.job[j].claim = max(ask.least, 1)
    if ask.nodes == 0 and missing > 0:
        one = _pick(s, j, _SMALL, t)
        if one >= 0:
            count = _choose(s, one, count, t)
            missing = 0
            s.job[j].claim = 0
    while missing > 0 or quota_left(s, SOON, leaf) < least:
        victim = _pick(s, j, _GANG, t)
        before = count
        if victim >= 0:
            missing -= _nodes_of(s, victim)
            count = _choose(s, victim, count, t)
        else:
            count = _choose_shared(s, j, count, t)
            if count == before:
                count = _choose_guests(s, j, count, t)
            if count == before:
                return -1 - count
            chosen = s.batch[before]  # one gang, or all that share a node
            missing -= _nodes_of(s, chosen) if s.job[chosen].nodes > 0 else 1
    return count


@compiled
def _choose_shared(s: State, j: int, count: int, t: int) -> int:
    """Choose all jobs on the first shared node that yields; returns how many are chosen now."""
    for n in range(s.node.shape[0]):
        shared = s.node[n].owner < 0 and 0 <= s.node[n].free < s.v[0].node_size
        if shared and not _in_room(s, n):
            more = _choose_node(s, j, n, False, count, t)
            if more > count:
                return more
    return count


@compiled
def _choose_guests(s: State, j: int, count: int, t: int) -> int:
    """Choose all jobs on the first node of its tenant's block that yields, guests among them."""
    v = s.v[0]
    if s.tenant[s.ask[j].tenant].block == 0:
        return count
    for n in range(s.node.shape[0]):
        rack = s.rack[n // v.rack_nodes]
        held = 0 <= s.node[n].free < v.node_size
        if held and rack.block == s.ask[j].tenant and rack.aside == 0:
            more = _choose_node(s, j, n, True, count, t)
            if more > count:
                return more
    return count


@compiled
def _gather_own(s: State, j: int, t: int) -> int:
    """Choose own jobs of lower priority that hold what `j` will; as `_gather_anywhere`."""
    v = s.v[0]
    ask = s.ask[j]
    count, freed = 0, 0
    coming = s.free[v.node_size].count + v.stop_nodes - v.claim_nodes
    if v.aside_job >= 0:
        coming -= _coming_in(s, v.aside_level, v.aside_place)
    missing = max(ask.least, 1) - coming
    s.job[j].claim = max(ask.least, 1)
    if ask.nodes == 0:
        one = _pick_own(s, j, _SMALL, ask.accelerators, t)
        if one < 0:
            return -1
        s.job[j].claim = 0
        return _choose(s, one, count, t)
    while missing > 0 or freed < least_of(s, j):
        victim = _pick_own(s, j, _GANG, 0, t)
        if victim < 0:
            return -1 - count
        count = _choose(s, victim, count, t)
        freed += held_by(s, victim)
        missing -= _nodes_of(s, victim)
    return count


@compiled
def _gather_at(s: State, j: int, level: int, place: int, coming: int, t: int) -> int:
    """Choose victims for job `j` in one rack or pod, so many of whose nodes come empty anyway.

    Otherwise as `_gather_anywhere`.
    """
    v = s.v[0]
    ask = s.ask[j]
    leaf, least = s.tenant[ask.tenant].leaf, least_of(s, j)
    count = 0
    empty = empty_in(s, level, place)
    missing = ask.least - empty - coming
    n = first_of(s, level, place) * v.rack_nodes
    last = min(last_of(s, level, place) * v.rack_nodes, s.node.shape[0])
    while n < last and (missing > 0 or quota_left(s, SOON, leaf) < least):
        if 0 <= s.node[n].free < v.node_size:
            more = _choose_node(s, j, n, True, count, t)
            if more > count:
                count = more
                missing = ask.least - empty - _coming_in(s, level, place)
        n += 1
    return -1 - count if missing > 0 else count


@compiled
def _see_coming(s: State, level: int) -> None:
    """Count, per rack or pod, the nodes that jobs under notice will leave empty, in `place`."""
    v = s.v[0]
    wide = v.rack_nodes if level == _RACK else v.pod_nodes
    for place in range(_places(s, level)):
        s.place[place] = 0
    for i in range(v.stops):
        j = s.stops[i].job
        if s.job[j].state != _STOPPING or s.job[j].stop != s.stops[i].key:
            continue
        n = s.job[j].node
        if s.job[j].nodes > 0:
            while n >= 0:
                s.place[n // wide] += 1
                n = s.node[n].chain
        elif first_on(s, n, -1) == j and all_going(s, n):
            s.place[n // wide] += 1


@compiled
def _places(s: State, level: int) -> int:
    """How many racks or pods there are."""
    return s.rack.shape[0] if level == _RACK else s.pod_free.shape[0]


@compiled
def _gather_close(s: State, j: int, level: int, t: int) -> tuple[int, int]:
    """Choose victims for job `j` in the rack or pod that needs the fewest nodes taken.

    Returns as `_gather_anywhere`, and the rack or pod, -1 when none can hold the job.
    """
    _see_coming(s, level)
    least = s.ask[j].least
    for missing in range(least + 1):
        for place in range(_places(s, level)):
            coming = s.place[place]
            if max(least - empty_in(s, level, place) - coming, 0) == missing:
                found = _gather_at(s, j, level, place, coming, t)
                if found >= 0:
                    return found, place
                _unchoose(s, -1 - found, 0, t)
    return -1, -1


@compiled
def _settle(s: State, j: int, found: int, t: int) -> bool:
    """Give the chosen notice if they are enough, in nodes and power; else let all of them be."""
    v = s.v[0]
    ask = s.ask[j]
    count = found if found >= 0 else -1 - found
    enough = found >= 0
    if enough and v.budget < NEVER:
        least = min(ask.accelerators, ask.least * v.node_size) if ask.nodes else ask.accelerators
        power = headroom(s)
        for i in range(count):
            power += power_of(s, s.batch[i])
        enough = least * (s.group[ask.group].power - v.idle_power) <= power
    for i in range(count):
        victim = s.batch[i]
        s.job[victim].stop = NEVER
        if enough:
            give_notice(s, victim, t, j)
        else:
            shift(s, SOON, s.tenant[s.ask[victim].tenant].leaf, held_by(s, victim), t)
    if not enough:
        s.job[j].claim = 0
        s.tenant[ask.tenant].retry = t + RETRY_NS
    return enough


@compiled
def may_look(s: State, j: int, t: int) -> bool:
    """Whether a tenant may look for victims for job `j`: not within a minute of a vain look."""
    return s.tenant[s.ask[j].tenant].retry <= t and s.group[s.ask[j].group].speed > 0


@compiled
def reclaim(s: State, j: int, t: int) -> bool:
    """Find victims for guaranteed job `j` and give them notice; False when there are not enough.

    What it claims stands in its `claim`, and is counted; a room may be set aside for it.
    """
    v = s.v[0]
    level = s.job[j].level
    place = -1
    if level > 0:
        found = -1
        if v.aside_job < 0:
            found, place = _gather_close(s, j, level, t)
        leaf = s.tenant[s.ask[j].tenant].leaf
        if found >= 0 and quota_left(s, SOON, leaf) < least_of(s, j):
            found = -1 - found
        s.job[j].claim = 0
    else:
        found = _gather_anywhere(s, j, True, t)
    if not _settle(s, j, found, t):
        return False
    if place >= 0:
        set_aside(s, j, level, place)
    v.claim_nodes += s.job[j].claim
    return True


@compiled
def may_make_way(s: State, j: int) -> bool:
    """Whether jobs of its own tenant could make way for a job, whatever they are."""
    return s.v[0].preempt_within == 1 and s.job[j].level == 0


@compiled
def make_way(s: State, j: int, t: int) -> bool:
    """Let jobs of its own tenant make way for job `j`, which has no right; else as `reclaim`.

    The tenant uses no more than before.
    """
    v = s.v[0]
    if not _settle(s, j, _gather_own(s, j, t), t):
        return False
    s.job[j].own = 1
    v.claim_nodes += s.job[j].claim
    return True


@compiled
def look_again(s: State, j: int, t: int) -> None:
    """Look for further victims for claiming job `j`, the first in line, where some were lost.

    Not where its own tenant makes way, a room is set aside, or it waits for one small job.
    """
    v = s.v[0]
    ask = s.ask[j]
    job = s.job[j]
    if not may_look(s, j, t) or job.own == 1 or job.level > 0 or job.claim == 0:
        return
    coming = s.free[v.node_size].count + v.stop_nodes
    if v.aside_job >= 0:
        coming -= _coming_in(s, v.aside_level, v.aside_place)
    if coming >= max(ask.least, 1):
        return
    leaf, least = s.tenant[ask.tenant].leaf, least_of(s, j)
    claimed = job.claim
    v.claim_nodes -= claimed
    shift(s, SOON, leaf, -least, t)
    found = _settle(s, j, _gather_anywhere(s, j, False, t), t)
    shift(s, SOON, leaf, least, t)
    if not found or ask.nodes > 0:
        job.claim = claimed
    v.claim_nodes += job.claim
