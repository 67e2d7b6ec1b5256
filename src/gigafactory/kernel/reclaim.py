"""Taking back and making way: which running jobs a guaranteed job makes leave, all or none.

Reclaim takes back what others borrowed and ignores priority; preemption makes way inside one
tenant and respects it. Victims are chosen one by one and counted off at once; when they do not
suffice, nobody is told anything.
"""

from __future__ import annotations

from gigafactory.kernel.clocks import read_group, stretched, worked
from gigafactory.kernel.jit import compiled
from gigafactory.kernel.nodes import empty_in, first_of, last_of, set_aside
from gigafactory.kernel.queues import least_of
from gigafactory.kernel.quotas import may_take_from, quota_left, shift
from gigafactory.kernel.running import (
    checkpointed,
    give_notice,
    headroom,
    held_by,
    last_mature,
    power_of,
)
from gigafactory.kernel.state import NEVER, RETRY_NS, SOON, VICTIMS_SEEN, JobState, State

_RUNNING = int(JobState.RUNNING)
_STOPPING = int(JobState.STOPPING)
_SMALL, _GANG = 0, 1
#: What a node can give: nothing, itself as it is going to be empty anyway, or with its jobs.
_NO, _COMING, _YIELDS = 0, 1, 2


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
def _makes_way(s: State, j: int, v: int) -> bool:
    """Whether running job `v` of the same tenant makes way for job `j`."""
    return s.v[0].preempt_within == 1 and s.ask[v].priority < s.ask[j].priority


@compiled
def _leaves_room(s: State, v: int, accelerators: int) -> bool:
    """Whether the node of small job `v` has so many accelerators free once it has left."""
    return s.node[s.job[v].node].free + s.job[v].width >= accelerators


@compiled
def _pick_in(s: State, j: int, q: int, g: int, kind: int, own: bool, best: int, t: int) -> int:
    """The better of victim `best` (-1: none) and those of a tenant, class and kind."""
    v = last_mature(s, q, g, kind, t)
    seen = 0
    while v >= 0 and seen < VICTIMS_SEEN:
        if s.job[v].stop != NEVER:  # chosen already
            v = s.ask[v].prev
            continue
        seen += 1
        fits = kind == _GANG or _leaves_room(s, v, s.ask[j].accelerators)
        if fits and (not own or _makes_way(s, j, v)):
            if best < 0:
                best = v
            else:
                mine, other = _loss(s, v, t), _loss(s, best, t)
                later = s.job[v].start - s.job[best].start
                if mine < other or (mine == other and (later > 0 or (later == 0 and v > best))):
                    best = v
        v = s.ask[v].prev
    return best


@compiled
def _pick_own(s: State, j: int, kind: int, t: int) -> int:
    """The next victim of a kind among jobs of its own tenant, by class, then the least to lose."""
    if s.v[0].preempt_within == 1:
        for i in range(s.victims.shape[0]):
            best = _pick_in(s, j, s.ask[j].tenant, s.victims[i], kind, True, -1, t)
            if best >= 0:
                return best
    return -1


@compiled
def _pick(s: State, j: int, kind: int, t: int) -> int:
    """The next victim of a kind: borrowed before own, by class, then the least to lose."""
    leaf, least = s.tenant[s.ask[j].tenant].leaf, least_of(s, j)
    for i in range(s.victims.shape[0]):
        best = -1
        for q in range(s.tenant.shape[0]):
            if s.run[q, s.victims[i], kind].head >= 0 and may_take_from(
                s, leaf, least, s.tenant[q].leaf
            ):
                best = _pick_in(s, j, q, s.victims[i], kind, False, best, t)
        if best >= 0:
            return best
    return _pick_own(s, j, kind, t)


@compiled
def _choose(s: State, v: int, count: int, t: int) -> int:
    """Count victim `v` off its tenant; returns how many are chosen now."""
    s.job[v].stop = 0
    s.batch[count] = v
    shift(s, SOON, s.tenant[s.ask[v].tenant].leaf, -held_by(s, v), t)
    return count + 1


@compiled
def _yields(s: State, j: int, v: int, t: int) -> int:
    """What running job `v` would give to job `j`."""
    if s.job[v].state == _STOPPING or s.job[v].stop == 0:
        return _COMING
    ask = s.ask[v]
    if s.job[v].state != _RUNNING or s.job[v].start > t - s.group[ask.group].runtime_min:
        return _NO
    mine = s.tenant[s.ask[j].tenant].leaf
    if may_take_from(s, mine, least_of(s, j), s.tenant[ask.tenant].leaf):
        return _YIELDS
    return _YIELDS if ask.tenant == s.ask[j].tenant and _makes_way(s, j, v) else _NO


@compiled
def _node_yields(s: State, j: int, n: int, t: int) -> int:
    """What a held node would give to job `j`."""
    node = s.node[n]
    if node.free < 0:
        return _NO
    if node.owner >= 0:
        return _yields(s, j, node.owner, t)
    worst = _NO
    for slot in range(s.v[0].node_size):
        v = s.slots[n, slot]
        if v >= 0:
            gives = _yields(s, j, v, t)
            if gives == _NO:
                return _NO
            worst = max(worst, gives)
    return worst


@compiled
def _choose_node(s: State, n: int, count: int, t: int) -> int:
    """Choose every job on a node that yields it; returns how many are chosen now."""
    if s.node[n].owner >= 0:
        return _choose(s, s.node[n].owner, count, t)
    for slot in range(s.v[0].node_size):
        v = s.slots[n, slot]
        if v >= 0 and s.job[v].state == _RUNNING and s.job[v].stop == NEVER:
            count = _choose(s, v, count, t)
    return count


@compiled
def _coming_in(s: State, level: int, place: int) -> int:
    """Nodes of a rack or pod that jobs under notice will leave empty."""
    coming = 0
    v = s.v[0]
    first = first_of(s, level, place) * v.rack_nodes
    last = min(last_of(s, level, place) * v.rack_nodes, s.node.shape[0])
    for n in range(first, last):
        owner = s.node[n].owner
        if owner >= 0:
            if s.job[owner].state == _STOPPING:
                coming += 1
        elif s.node[n].free >= 0:
            going = 0
            for slot in range(v.node_size):
                j = s.slots[n, slot]
                if j >= 0:
                    going = 1 if s.job[j].state == _STOPPING else -1
                    if going < 0:
                        break
            coming += max(going, 0)
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
    ask = s.ask[j]
    leaf, least = s.tenant[ask.tenant].leaf, least_of(s, j)
    count = 0
    coming = s.free[v.node_size].count + v.stop_nodes
    if v.aside_job >= 0:
        coming -= _coming_in(s, v.aside_level, v.aside_place)
    if behind:
        coming -= v.claim_nodes
    missing = max(ask.least, 1) - max(coming, 0)
    s.job[j].claim = max(ask.least, 1)
    if ask.nodes == 0 and missing > 0:
        one = _pick(s, j, _SMALL, t)
        if one >= 0:
            count = _choose(s, one, count, t)
            missing = 0
            s.job[j].claim = 0
    while missing > 0 or quota_left(s, SOON, leaf) < least:
        victim = _pick(s, j, _GANG, t)
        if victim < 0:
            break
        count = _choose(s, victim, count, t)
        missing -= s.job[victim].nodes
    n = 0
    while n < s.node.shape[0] and (missing > 0 or quota_left(s, SOON, leaf) < least):
        shared = s.node[n].owner < 0 and s.node[n].free < v.node_size
        if shared and _node_yields(s, j, n, t) == _YIELDS:
            count = _choose_node(s, n, count, t)
            missing -= 1
        n += 1
    if missing > 0 or quota_left(s, SOON, leaf) < least:
        return -1 - count
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
    missing = max(ask.least, 1) - max(coming, 0)
    s.job[j].claim = max(ask.least, 1)
    if ask.nodes == 0:
        one = _pick_own(s, j, _SMALL, t)
        if one >= 0 and s.job[one].width >= ask.accelerators:
            s.job[j].claim = 0
            return _choose(s, one, count, t)
    while missing > 0 or freed < least_of(s, j):
        victim = _pick_own(s, j, _GANG, t)
        if victim < 0:
            return -1 - count
        count = _choose(s, victim, count, t)
        freed += held_by(s, victim)
        missing -= s.job[victim].nodes
    return count


@compiled
def _best_place(s: State, j: int, level: int, t: int) -> int:
    """The rack or pod that needs the fewest nodes taken to hold job `j`, -1 when none can."""
    v = s.v[0]
    need = s.ask[j].least
    places = s.rack.shape[0] if level == 1 else s.pod_free.shape[0]
    best, fewest = -1, 0
    for place in range(places):
        empty = empty_in(s, level, place)
        possible = 0
        first = first_of(s, level, place) * v.rack_nodes
        last = min(last_of(s, level, place) * v.rack_nodes, s.node.shape[0])
        for n in range(first, last):
            if s.node[n].free < v.node_size:
                gives = _node_yields(s, j, n, t)
                if gives == _COMING:
                    empty += 1
                elif gives == _YIELDS:
                    possible += 1
        take = max(need - empty, 0)
        if take <= possible and (best < 0 or take < fewest):
            best, fewest = place, take
    return best


@compiled
def _gather_at(s: State, j: int, level: int, place: int, t: int) -> int:
    """Choose victims for job `j` in one rack or pod; as `_gather_anywhere`."""
    v = s.v[0]
    ask = s.ask[j]
    count = 0
    missing = ask.least - empty_in(s, level, place) - _coming_in(s, level, place)
    n = first_of(s, level, place) * v.rack_nodes
    last = min(last_of(s, level, place) * v.rack_nodes, s.node.shape[0])
    while n < last and missing > 0:
        if s.node[n].free < v.node_size and _node_yields(s, j, n, t) != _NO:
            if _node_yields(s, j, n, t) == _YIELDS:
                count = _choose_node(s, n, count, t)
                missing -= 1
            elif not _was_coming(s, n):
                missing -= 1  # another node of a gang just chosen
        n += 1
    s.job[j].claim = 0
    if missing > 0 or quota_left(s, SOON, s.tenant[ask.tenant].leaf) < least_of(s, j):
        return -1 - count
    return count


@compiled
def _was_coming(s: State, n: int) -> bool:
    """Whether a node that yields was to come empty before this choice."""
    if s.node[n].owner >= 0:
        return s.job[s.node[n].owner].state == _STOPPING
    for slot in range(s.v[0].node_size):
        j = s.slots[n, slot]
        if j >= 0 and s.job[j].state != _STOPPING:
            return False
    return True


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
def reclaim(s: State, j: int, t: int) -> bool:
    """Find victims for guaranteed job `j` and give them notice; False when there are not enough.

    What it claims stands in its `claim`, and is counted; a room may be set aside for it.
    """
    v = s.v[0]
    if s.tenant[s.ask[j].tenant].retry > t or s.group[s.ask[j].group].speed == 0:
        return False
    level = s.job[j].level
    place = -1
    if level > 0:
        if v.aside_job < 0:
            place = _best_place(s, j, level, t)
        found = _gather_at(s, j, level, place, t) if place >= 0 else -1
    else:
        found = _gather_anywhere(s, j, True, t)
    if not _settle(s, j, found, t):
        return False
    if place >= 0:
        set_aside(s, j, level, place)
    v.claim_nodes += s.job[j].claim
    return True


@compiled
def make_way(s: State, j: int, t: int) -> bool:
    """Let jobs of its own tenant make way for job `j`, which has no right; else as `reclaim`.

    The tenant uses no more than before.
    """
    v = s.v[0]
    if v.preempt_within == 0 or s.job[j].level > 0 or s.tenant[s.ask[j].tenant].retry > t:
        return False
    if s.group[s.ask[j].group].speed == 0 or not _settle(s, j, _gather_own(s, j, t), t):
        return False
    s.job[j].own = 1
    v.claim_nodes += s.job[j].claim
    return True


@compiled
def look_again(s: State, j: int, t: int) -> None:
    """Look for further victims for claiming job `j`, the first in line, where some were lost."""
    v = s.v[0]
    ask = s.ask[j]
    if s.tenant[ask.tenant].retry > t or s.job[j].own == 1:
        return
    if v.aside_job == j:
        coming = empty_in(s, v.aside_level, v.aside_place)
        coming += _coming_in(s, v.aside_level, v.aside_place)
    else:
        coming = s.free[v.node_size].count + v.stop_nodes
        if v.aside_job >= 0:
            coming -= _coming_in(s, v.aside_level, v.aside_place)
        if ask.nodes == 0 and s.job[j].claim == 0:
            return  # it waits for one small job; a pass after that one has left tries anew
    if coming >= max(ask.least, 1):
        return
    leaf, least = s.tenant[ask.tenant].leaf, least_of(s, j)
    claimed = s.job[j].claim
    shift(s, SOON, leaf, -least, t)
    if v.aside_job == j:
        found = _gather_at(s, j, v.aside_level, v.aside_place, t)
    else:
        found = _gather_anywhere(s, j, False, t)
    _settle(s, j, found, t)
    shift(s, SOON, leaf, least, t)
    s.job[j].claim = claimed
