"""Nodes: who holds which, which are free, and when the held ones are estimated to come free.

The node rule: a job of a node's size or more takes whole nodes; a smaller one shares a node, the
fullest in which it fits (best fit), among equals the one whose free count changed last.
"""

from __future__ import annotations

from gigafactory.kernel.clocks import instant_of
from gigafactory.kernel.jit import compiled
from gigafactory.kernel.state import BIG_BLOCK, BLOCK, BUCKET_NS, NEVER, JobState, State

_PAUSED = int(JobState.PAUSED)


@compiled
def list_node(s: State, n: int, free: int) -> None:
    """Put node `n` in front of the list of nodes with `free` free accelerators."""
    node = s.node[n]
    node.free = free
    node.prev = -1
    node.next = s.free_head[free]
    if node.next >= 0:
        s.node[node.next].prev = n
    s.free_head[free] = n
    s.free_count[free] += 1


@compiled
def unlist_node(s: State, n: int) -> None:
    """Take node `n` out of the list it stands in."""
    node = s.node[n]
    if node.prev >= 0:
        s.node[node.prev].next = node.next
    else:
        s.free_head[node.free] = node.next
    if node.next >= 0:
        s.node[node.next].prev = node.prev
    s.free_count[node.free] -= 1


@compiled
def expect(s: State, bucket: int, column: int, amount: int) -> None:
    """Add to what is estimated to come free in a bucket: nodes (0) or a group's (1 + g)."""
    s.minutes[bucket, column] += amount
    s.blocks[bucket // BLOCK, column] += amount
    s.big_blocks[bucket // BIG_BLOCK, column] += amount


@compiled
def bucket_of(s: State, instant: int) -> int:
    """The bucket (minute, rounded up) of an instant; the last one stands for all later ones."""
    last = s.minutes.shape[0] - 1
    if instant >= NEVER:
        return last
    bucket = (instant - s.v[0].origin + BUCKET_NS - 1) // BUCKET_NS
    return min(bucket, last)


@compiled
def estimated_bucket(s: State, j: int) -> int:
    """The bucket in which job `j`, running or about to, reaches its walltime at present speed."""
    job = s.job[j]
    ask = s.ask[j]
    if job.state == _PAUSED:
        return s.minutes.shape[0] - 1
    return bucket_of(s, instant_of(s, ask.group, job.v_end + job.estimate - job.need))


@compiled
def best_fit(s: State, accelerators: int) -> int:
    """The node a job smaller than a node would share; -1 when none has room."""
    for free in range(accelerators, s.v[0].node_size + 1):
        if s.free_head[free] >= 0:
            return s.free_head[free]
    return -1


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
def hold_nodes(s: State, j: int) -> None:
    """Give job `j` its nodes, and note when they are estimated to come free."""
    job = s.job[j]
    ask = s.ask[j]
    v = s.v[0]
    job.bucket = estimated_bucket(s, j)
    if ask.nodes > 0:
        first = -1
        for _ in range(ask.nodes):
            n = s.free_head[v.node_size]
            unlist_node(s, n)
            s.node[n].free = 0
            s.node[n].chain = first
            first = n
        job.node = first
        expect(s, job.bucket, 0, ask.nodes)
        v.held += ask.nodes * v.node_size
    else:
        n = best_fit(s, ask.accelerators)
        unlist_node(s, n)
        for slot in range(v.node_size):
            if s.slots[n, slot] < 0:
                s.slots[n, slot] = j
                break
        list_node(s, n, s.node[n].free - ask.accelerators)
        job.node = n
        _expect_node(s, n)
        v.held += ask.accelerators
    expect(s, job.bucket, 1 + ask.group, ask.accelerators)


@compiled
def release_nodes(s: State, j: int) -> None:
    """Take back the nodes of job `j`."""
    job = s.job[j]
    ask = s.ask[j]
    v = s.v[0]
    expect(s, job.bucket, 1 + ask.group, -ask.accelerators)
    if ask.nodes > 0:
        expect(s, job.bucket, 0, -ask.nodes)
        n = job.node
        while n >= 0:
            following = s.node[n].chain
            list_node(s, n, v.node_size)
            n = following
        v.held -= ask.nodes * v.node_size
    else:
        n = job.node
        for slot in range(v.node_size):
            if s.slots[n, slot] == j:
                s.slots[n, slot] = -1
                break
        unlist_node(s, n)
        list_node(s, n, s.node[n].free + ask.accelerators)
        _expect_node(s, n)
        v.held -= ask.accelerators
    job.node = -1


@compiled
def re_expect(s: State, j: int) -> None:
    """Move a running or paused job to the bucket its present speed implies."""
    job = s.job[j]
    ask = s.ask[j]
    bucket = estimated_bucket(s, j)
    if bucket == job.bucket:
        return
    expect(s, job.bucket, 1 + ask.group, -ask.accelerators)
    expect(s, bucket, 1 + ask.group, ask.accelerators)
    if ask.nodes > 0:
        expect(s, job.bucket, 0, -ask.nodes)
        expect(s, bucket, 0, ask.nodes)
        job.bucket = bucket
    else:
        job.bucket = bucket
        _expect_node(s, job.node)
