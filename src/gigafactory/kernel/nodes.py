"""Nodes: who holds which, which are empty in which rack, and when held ones should come free.

The node rule: a job of a node's size or more is a gang and takes whole nodes, as few racks and pods
as it can; a smaller one shares a node, the fullest in which it fits (best fit), among equals the
one whose free count changed last.
"""

from __future__ import annotations

from gigafactory.kernel.clocks import instant_of, stretched
from gigafactory.kernel.jit import compiled
from gigafactory.kernel.state import BIG_BLOCK, BLOCK, BUCKET_NS, NEVER, WORD, JobState, State

_PAUSED = int(JobState.PAUSED)
_STOPPING = int(JobState.STOPPING)
_RACK = 1
_POD = 2
#: Where a job looks for empty nodes: in its tenant's block, in that and in what is nobody's,
#: everywhere.
OWN, COMMON, ANYWHERE = 0, 1, 2


# --- racks ------------------------------------------------------------------------------------


@compiled
def _mark_rack(s: State, r: int) -> None:
    k = s.rack[r].free
    s.racks[k, 0] += 1
    s.racks[k, 1 + r // WORD] |= 1 << (r % WORD)


@compiled
def _unmark_rack(s: State, r: int) -> None:
    k = s.rack[r].free
    s.racks[k, 0] -= 1
    s.racks[k, 1 + r // WORD] &= ~(1 << (r % WORD))


@compiled
def _zone(s: State, q: int, reach: int, w: int) -> int:
    """Racks of a word that are within reach of tenant `q`, as bits."""
    if reach == ANYWHERE:
        return -1
    own = s.zones[q, w]
    return own if reach == OWN else own | s.zones[s.tenant.shape[0], w]


@compiled
def _within_reach(s: State, r: int, q: int, reach: int) -> bool:
    """Whether rack `r` is not set aside and within reach of tenant `q`."""
    rack = s.rack[r]
    if rack.aside == 1:
        return False
    return reach == ANYWHERE or rack.block == q or (rack.block < 0 and reach == COMMON)


@compiled
def _first_rack(s: State, k: int, q: int, reach: int) -> int:
    """The rack of lowest number within reach that has `k` empty nodes and is not set aside."""
    for w in range(s.racks.shape[1] - 1):
        bits = s.racks[k, 1 + w] & _zone(s, q, reach, w)
        if bits != 0:
            low = bits & -bits
            at = w * WORD
            while low > 255:
                low >>= 8
                at += 8
            while low > 1:
                low >>= 1
                at += 1
            return at
    return -1


@compiled
def _best_rack(s: State, nodes: int, q: int, reach: int) -> int:
    """The rack within reach with the fewest empty nodes that has `nodes` of them, -1 for none."""
    for k in range(nodes, s.racks.shape[0]):
        if s.racks[k, 0] > 0:
            r = _first_rack(s, k, q, reach)
            if r >= 0:
                return r
    return -1


@compiled
def _best_pod(s: State, nodes: int, q: int, reach: int) -> int:
    """The pod with the fewest empty nodes within reach that has `nodes` of them, -1 for none."""
    best, fewest = -1, 0
    for p in range(s.pod_free.shape[0]):
        free = _open_to(s, p, q, reach)
        if free >= nodes and (best < 0 or free < fewest):
            best, fewest = p, free
    return best


@compiled
def _open_to(s: State, p: int, q: int, reach: int) -> int:
    """Empty nodes of a pod within reach of tenant `q`."""
    if reach == ANYWHERE:
        return open_in_pod(s, p)
    free = 0
    for r in range(first_of(s, _POD, p), last_of(s, _POD, p)):
        if _within_reach(s, r, q, reach):
            free += s.rack[r].free
    return free


@compiled
def open_in_pod(s: State, p: int) -> int:
    """Empty nodes of a pod that are not set aside."""
    v = s.v[0]
    free = s.pod_free[p]
    if v.aside_job >= 0:
        if v.aside_level == _POD:
            if v.aside_place == p:
                return 0
        elif v.aside_place * v.rack_nodes // v.pod_nodes == p:
            return free - s.rack[v.aside_place].free
    return free


@compiled
def emptiest(s: State, level: int) -> int:
    """The rack or pod with the most empty nodes, the lowest number among equals."""
    best = 0
    if level == _RACK:
        for r in range(s.rack.shape[0]):
            if s.rack[r].free > s.rack[best].free:
                best = r
    else:
        for p in range(s.pod_free.shape[0]):
            if s.pod_free[p] > s.pod_free[best]:
                best = p
    return best


@compiled
def empty_in(s: State, level: int, place: int) -> int:
    """Empty nodes of a rack or pod."""
    return s.rack[place].free if level == _RACK else s.pod_free[place]


@compiled
def first_of(s: State, level: int, place: int) -> int:
    """The first rack of a rack or pod."""
    return place if level == _RACK else place * s.v[0].pod_nodes // s.v[0].rack_nodes


@compiled
def last_of(s: State, level: int, place: int) -> int:
    """One past the last rack of a rack or pod."""
    if level == _RACK:
        return place + 1
    return min((place + 1) * s.v[0].pod_nodes // s.v[0].rack_nodes, s.rack.shape[0])


@compiled
def set_aside(s: State, j: int, level: int, place: int) -> None:
    """Keep the empty nodes of a rack or pod for job `j`, those that come free as well."""
    v = s.v[0]
    v.aside_job, v.aside_level, v.aside_place = j, level, place
    for r in range(first_of(s, level, place), last_of(s, level, place)):
        _unmark_rack(s, r)
        s.rack[r].aside = 1
        s.free[v.node_size].count -= s.rack[r].free


@compiled
def end_aside(s: State) -> None:
    """Give what was set aside back to everybody."""
    v = s.v[0]
    level, place = v.aside_level, v.aside_place
    for r in range(first_of(s, level, place), last_of(s, level, place)):
        _mark_rack(s, r)
        s.rack[r].aside = 0
        s.free[v.node_size].count += s.rack[r].free
    v.aside_job = -1


# --- nodes ------------------------------------------------------------------------------------


@compiled
def _list_empty(s: State, n: int) -> None:
    v = s.v[0]
    r = n // v.rack_nodes
    rack = s.rack[r]
    node = s.node[n]
    node.prev = -1
    node.next = rack.head
    if rack.head >= 0:
        s.node[rack.head].prev = n
    if rack.aside == 0:
        _unmark_rack(s, r)
    rack.head = n
    rack.free += 1
    if rack.aside == 0:
        _mark_rack(s, r)
        s.free[v.node_size].count += 1
    s.pod_free[n // v.pod_nodes] += 1


@compiled
def _unlist_empty(s: State, n: int) -> None:
    v = s.v[0]
    r = n // v.rack_nodes
    rack = s.rack[r]
    node = s.node[n]
    if node.prev >= 0:
        s.node[node.prev].next = node.next
    else:
        rack.head = node.next
    if node.next >= 0:
        s.node[node.next].prev = node.prev
    if rack.aside == 0:
        _unmark_rack(s, r)
    rack.free -= 1
    if rack.aside == 0:
        _mark_rack(s, r)
        s.free[v.node_size].count -= 1
    s.pod_free[n // v.pod_nodes] -= 1


@compiled
def list_node(s: State, n: int, free: int) -> None:
    """Put node `n` in front of the list of nodes with `free` free accelerators."""
    node = s.node[n]
    node.free = free
    if free == s.v[0].node_size:
        _list_empty(s, n)
        return
    node.prev = -1
    node.next = s.free[free].head
    if node.next >= 0:
        s.node[node.next].prev = n
    s.free[free].head = n
    s.free[free].count += 1


@compiled
def unlist_node(s: State, n: int) -> None:
    """Take node `n` out of the list it stands in."""
    node = s.node[n]
    if node.free == s.v[0].node_size:
        _unlist_empty(s, n)
        return
    if node.prev >= 0:
        s.node[node.prev].next = node.next
    else:
        s.free[node.free].head = node.next
    if node.next >= 0:
        s.node[node.next].prev = node.prev
    s.free[node.free].count -= 1


@compiled
def best_fit(s: State, accelerators: int, q: int) -> int:
    """The node a job of tenant `q`, smaller than a node, would share; -1 when none has room."""
    node_size = s.v[0].node_size
    for free in range(accelerators, node_size):
        if s.free[free].head >= 0:
            return s.free[free].head
    for reach in range(OWN if s.v[0].zoned else ANYWHERE, ANYWHERE + 1):
        r = _best_rack(s, 1, q, reach)
        if r >= 0:
            return s.rack[r].head
    return -1


# --- estimated releases -----------------------------------------------------------------------


@compiled
def expect(s: State, bucket: int, column: int, amount: int) -> None:
    """Add to what is estimated to come free in a bucket: nodes (0) or a group's (1 + g)."""
    v = s.v[0]
    s.releases[bucket, column] += amount
    s.releases[v.blocks + bucket // BLOCK, column] += amount
    s.releases[v.big_blocks + bucket // BIG_BLOCK, column] += amount


@compiled
def bucket_of(s: State, instant: int) -> int:
    """The bucket (minute, rounded up) of an instant; the last one stands for all later ones."""
    last = s.v[0].blocks - 1
    if instant >= NEVER:
        return last
    bucket = (instant - s.v[0].origin + BUCKET_NS - 1) // BUCKET_NS
    return min(bucket, last)


@compiled
def estimated_bucket(s: State, j: int) -> int:
    """The bucket in which job `j`, running or about to, leaves at the latest at present speed."""
    job = s.job[j]
    if job.state == _PAUSED:
        return s.v[0].blocks - 1
    over = stretched(job.estimate - job.need, job.rate)
    end = instant_of(s, s.ask[j].group, job.v_end + over)
    return bucket_of(s, min(end, job.stop))


@compiled
def _latest_on(s: State, n: int) -> int:
    """The latest estimated bucket of the jobs on a shared node, -1 when it is empty."""
    latest = -1
    for slot in range(s.v[0].node_size):
        j = s.slots[n, slot]
        if j >= 0 and s.job[j].bucket > latest:
            latest = s.job[j].bucket
    return latest


@compiled
def _expect_node(s: State, n: int) -> None:
    """Move a shared node to the bucket of its latest job."""
    latest = _latest_on(s, n)
    node = s.node[n]
    if latest != node.bucket:
        if node.bucket >= 0:
            expect(s, node.bucket, 0, -1)
        if latest >= 0:
            expect(s, latest, 0, 1)
        node.bucket = latest


@compiled
def re_expect(s: State, j: int) -> None:
    """Move a job that holds nodes to the bucket its present speed, or its notice, implies."""
    job = s.job[j]
    bucket = estimated_bucket(s, j)
    if bucket == job.bucket:
        return
    column = 1 + s.ask[j].group
    expect(s, job.bucket, column, -job.width)
    expect(s, bucket, column, job.width)
    if job.nodes > 0:
        expect(s, job.bucket, 0, -job.nodes)
        expect(s, bucket, 0, job.nodes)
        job.bucket = bucket
    else:
        job.bucket = bucket
        _expect_node(s, job.node)


@compiled
def first_on(s: State, n: int, after: int) -> int:
    """The job of lowest number above `after` that shares node `n`, -1 when there is none."""
    first = -1
    for slot in range(s.v[0].node_size):
        j = s.slots[n, slot]
        if j > after and (first < 0 or j < first):
            first = j
    return first


@compiled
def all_going(s: State, n: int) -> bool:
    """Whether jobs share node `n` and every one of them is under notice."""
    some = False
    for slot in range(s.v[0].node_size):
        j = s.slots[n, slot]
        if j >= 0:
            if s.job[j].state != _STOPPING:
                return False
            some = True
    return some


# --- holding ----------------------------------------------------------------------------------


@compiled
def _take(s: State, j: int, r: int, count: int) -> None:
    """Give job `j` empty nodes of a rack."""
    for _ in range(count):
        n = s.rack[r].head
        _unlist_empty(s, n)
        s.node[n].free = 0
        s.node[n].owner = j
        s.node[n].chain = s.job[j].node
        s.job[j].node = n


@compiled
def _take_in(s: State, j: int, level: int, place: int, count: int, reach: int) -> None:
    """Give job `j` empty nodes of a rack or pod, of the racks with most of them first."""
    q = s.ask[j].tenant
    first, last = first_of(s, level, place), last_of(s, level, place)
    while count > 0:
        best = -1
        for r in range(first, last):
            if _within_reach(s, r, q, reach) and (best < 0 or s.rack[r].free > s.rack[best].free):
                best = r
        some = min(count, s.rack[best].free)
        _take(s, j, best, some)
        count -= some


@compiled
def _place_in_room(s: State, j: int, nodes: int) -> None:
    """Give job `j` nodes of the room set aside for it, which ends with that."""
    v = s.v[0]
    level, place = v.aside_level, v.aside_place
    end_aside(s)
    best = -1
    for r in range(first_of(s, level, place), last_of(s, level, place)):
        free = s.rack[r].free
        if free >= nodes and (best < 0 or free < s.rack[best].free):
            best = r
    if best >= 0:
        _take(s, j, best, nodes)
    else:
        _take_in(s, j, level, place, nodes, ANYWHERE)


@compiled
def _place_within(s: State, j: int, nodes: int, reach: int) -> int:
    """Give job `j` empty nodes within reach, close together.

    Returns in how many pods they lie; 0 when there are not enough, or not close enough.
    """
    v = s.v[0]
    q, level = s.ask[j].tenant, s.job[j].level
    own = OWN if s.tenant[q].block > 0 else reach
    if nodes < s.racks.shape[0]:
        r = _best_rack(s, nodes, q, own)
        if r < 0 and own != reach:
            r = _best_rack(s, nodes, q, reach)
        if r >= 0:
            _take(s, j, r, nodes)
            return 1
    if level == _RACK:
        return 0
    if nodes <= v.pod_nodes:
        p = _best_pod(s, nodes, q, own)
        if p < 0 and own != reach:
            own = reach
            p = _best_pod(s, nodes, q, reach)
        if p >= 0:
            _take_in(s, j, _POD, p, nodes, own)
            return 1
    if level == _POD:
        return 0
    return _place_over_pods(s, j, nodes, reach)


@compiled
def _place_over_pods(s: State, j: int, nodes: int, reach: int) -> int:
    """Give job `j` empty nodes within reach, of the pods with most of them first.

    Returns in how many pods they lie; 0 when there are not enough.
    """
    free = 0
    for p in range(s.pod_free.shape[0]):
        s.place[p] = _open_to(s, p, s.ask[j].tenant, reach)
        free += s.place[p]
    if free < nodes:
        return 0
    pods = 0
    while nodes > 0:
        best = 0
        for p in range(s.pod_free.shape[0]):
            if s.place[p] > s.place[best]:
                best = p
        some = min(nodes, s.place[best])
        _take_in(s, j, _POD, best, some, reach)
        s.place[best] -= some
        nodes -= some
        pods += 1
    return pods


@compiled
def _take_named(s: State, j: int, nodes: int) -> bool:
    """Give job `j` the empty nodes listed in `spare`; returns whether they lie in several pods."""
    pod = s.spare[0, 0] // s.v[0].pod_nodes
    spans = False
    for k in range(nodes):
        n = s.spare[k, 0]
        _unlist_empty(s, n)
        s.node[n].free = 0
        s.node[n].owner = j
        s.node[n].chain = s.job[j].node
        s.job[j].node = n
        spans = spans or n // s.v[0].pod_nodes != pod
    return spans


@compiled
def _place_gang(s: State, j: int, nodes: int) -> bool:
    """Give job `j` empty nodes, close together; returns whether they lie in several pods."""
    if s.v[0].aim >= 0:
        return _take_named(s, j, nodes)
    if s.v[0].aside_job == j:
        _place_in_room(s, j, nodes)
        return False
    for reach in range(COMMON if s.v[0].zoned else ANYWHERE, ANYWHERE + 1):
        pods = _place_within(s, j, nodes, reach)
        if pods > 0:
            return pods > 1
    return False


@compiled
def hold_nodes(s: State, j: int, nodes: int) -> bool:
    """Give job `j` nodes (0: a share of one); returns whether they lie in several pods."""
    job = s.job[j]
    v = s.v[0]
    job.node = -1
    job.nodes = nodes
    if nodes > 0:
        spans = _place_gang(s, j, nodes)
        v.held += nodes * v.node_size
        return spans
    n = v.aim if v.aim >= 0 else best_fit(s, job.width, s.ask[j].tenant)
    unlist_node(s, n)
    if v.stops > 0 and all_going(s, n):
        v.stop_nodes -= 1
    for slot in range(v.node_size):
        if s.slots[n, slot] < 0:
            s.slots[n, slot] = j
            break
    list_node(s, n, s.node[n].free - job.width)
    job.node = n
    v.held += job.width
    return False


@compiled
def expect_job(s: State, j: int) -> None:
    """Note when a job that has just begun is estimated to leave its nodes."""
    job = s.job[j]
    job.bucket = estimated_bucket(s, j)
    if job.nodes > 0:
        expect(s, job.bucket, 0, job.nodes)
    else:
        _expect_node(s, job.node)
    expect(s, job.bucket, 1 + s.ask[j].group, job.width)


@compiled
def release_nodes(s: State, j: int) -> None:
    """Take back the nodes of job `j`."""
    job = s.job[j]
    v = s.v[0]
    expect(s, job.bucket, 1 + s.ask[j].group, -job.width)
    if job.nodes > 0:
        expect(s, job.bucket, 0, -job.nodes)
        n = job.node
        while n >= 0:
            following = s.node[n].chain
            s.node[n].owner = -1
            list_node(s, n, v.node_size)
            n = following
        v.held -= job.nodes * v.node_size
    else:
        n = job.node
        watched = v.stops > 0
        if watched and all_going(s, n):
            v.stop_nodes -= 1
        for slot in range(v.node_size):
            if s.slots[n, slot] == j:
                s.slots[n, slot] = -1
                break
        if watched and all_going(s, n):
            v.stop_nodes += 1
        unlist_node(s, n)
        list_node(s, n, s.node[n].free + job.width)
        _expect_node(s, n)
        v.held -= job.width
    job.node = -1
