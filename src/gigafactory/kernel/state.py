"""The state of a pool as flat arrays: what the compiled functions read and write.

Times are int64 nanoseconds UTC. A group's *virtual clock* advances `speed / FULL_SPEED` nanoseconds
per nanosecond, its energy integral counts micro-watt-hours per accelerator; both carry their
remainders, so a reading does not depend on how often it was taken.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np

#: A group's speed in steps of 1/128, so that two years of nanoseconds times a speed fit in 64 bits.
FULL_SPEED: Final = 128
#: milliwatt-nanoseconds in a micro-watt-hour.
MW_NS_PER_UWH: Final = 3_600_000_000
NEVER: Final = 2**62
#: Estimated releases are kept per minute, 64 minutes and 64 x 64 minutes.
BUCKET_NS: Final = 60_000_000_000
BLOCK: Final = 64
BIG_BLOCK: Final = BLOCK * BLOCK
PRIORITIES: Final = 8
GROUPS: Final = 8


class JobState(IntEnum):
    """Where a job is in the kernel."""

    FUTURE = 0
    QUEUED = 1
    RUNNING = 2
    PAUSED = 3
    DONE = 4


class Kind(IntEnum):
    """What a record of the kernel says happened to a job."""

    START = 1
    BACKFILL = 2
    RESUME = 3
    FINISH = 4
    LIMIT = 5
    PAUSE = 6
    EVICT = 7


JOB: Final = np.dtype(
    [
        ("submit", np.int64),  # instant
        ("need", np.int64),  # run time at full speed, the walltime limit applied
        ("estimate", np.int64),  # walltime the user gave
        ("left", np.int64),  # of `need`, what remains to be run
        ("v_end", np.int64),  # virtual instant of the end
        ("start", np.int64),  # instant the running segment began
        ("energy", np.int64),  # the group's energy integral at that instant
        ("node", np.int32),  # first node held
        ("place", np.int32),  # in its group's heap of ends
        ("bucket", np.int32),  # of its estimated end
        ("state", np.int8),
        ("limited", np.int8),  # 1 when the walltime ends it, not its work
    ],
    align=True,
)

#: What a job asks for, apart from what becomes of it: a backfill pass reads nothing else, and half
#: a cache line a job is what makes long queues cheap.
ASK: Final = np.dtype(
    [
        ("rest", np.int64),  # of the estimate, what remains
        ("accelerators", np.int32),
        ("nodes", np.int32),  # whole nodes of a gang; 0 for a job that shares a node
        ("next", np.int32),  # in the queue or the stack of paused jobs
        ("prev", np.int32),
        ("priority", np.int8),
        ("group", np.int8),
    ],
    align=True,
)

NODE: Final = np.dtype(
    [
        ("free", np.int32),  # free accelerators; -1 out of service
        ("next", np.int32),  # in the list of nodes with as many free accelerators
        ("prev", np.int32),
        ("chain", np.int32),  # next node of the same gang
        ("bucket", np.int32),  # latest estimated end on a shared node
    ],
    align=True,
)

GROUP: Final = np.dtype(
    [
        ("t", np.int64),  # instant of the readings below
        ("clock", np.int64),  # virtual clock
        ("clock_rest", np.int64),
        ("energy", np.int64),  # micro-watt-hours one accelerator has drawn
        ("energy_rest", np.int64),
        ("speed", np.int64),  # of FULL_SPEED
        ("power", np.int64),  # milliwatts an active accelerator draws
        ("running", np.int64),  # active accelerators
        ("paused", np.int64),  # accelerators held by paused jobs
        ("used_ns", np.int64),  # integrals since the last reading, accelerator-nanoseconds
        ("work_ns", np.int64),
        ("paused_ns", np.int64),
        ("lost_ns", np.int64),
        ("used_uwh", np.int64),
        ("next_end", np.int64),  # instant the group's next job ends
        ("ends", np.int64),  # jobs in the heap
        ("checkpoint", np.int64),  # interval between checkpoints; 0: none, all is lost
        ("held", np.int64),  # 1: its queued jobs do not start for now
    ],
    align=True,
)

QUEUE: Final = np.dtype([("head", np.int32), ("tail", np.int32), ("length", np.int64)], align=True)

VARS: Final = np.dtype(
    [
        ("t", np.int64),
        ("origin", np.int64),
        ("node_size", np.int64),
        ("arrival", np.int64),  # next job to arrive
        ("horizon", np.int64),  # jobs known so far
        ("depth", np.int64),
        ("budget", np.int64),  # milliwatts; NEVER: no limit
        ("idle_power", np.int64),  # milliwatts an accelerator in service draws at rest
        ("draw", np.int64),  # milliwatts now
        ("in_service", np.int64),  # nodes
        ("held", np.int64),  # accelerators on nodes held, whole nodes for gangs
        ("held_t", np.int64),
        ("held_ns", np.int64),
        ("service_ns", np.int64),
        ("records", np.int64),
        ("paused_top", np.int64),
        ("paused_jobs", np.int64),
        ("held_groups", np.int64),
        ("shadow_valid", np.int64),
        ("shadow", np.int64),  # bucket at which the blocked head will fit
        ("extra_nodes", np.int64),
        ("extra_power", np.int64),
        ("events", np.int64),
    ],
    align=True,
)


class State(NamedTuple):
    """Everything a pool is, as arrays; structured arrays are typed `Any`, their fields above."""

    job: Any  # JOB[n]
    ask: Any  # ASK[n]
    node: Any  # NODE[m]
    group: Any  # GROUP[GROUPS]
    queue: Any  # QUEUE[PRIORITIES]
    waiting: Any  # int64[PRIORITIES, GROUPS]: queued jobs
    asking: Any  # int64[PRIORITIES, GROUPS]: accelerators they ask
    v: Any  # VARS[1]
    slots: Any  # int32[m, node_size]: jobs on a shared node, -1 empty
    free_head: Any  # int32[node_size + 1]: nodes by free accelerators
    free_count: Any  # int64[node_size + 1]
    heap_key: Any  # int64[GROUPS, capacity]: virtual ends
    heap_job: Any  # int32[GROUPS, capacity]
    minutes: Any  # int32[buckets, 1 + GROUPS]: nodes, then accelerators per group, by estimated end
    blocks: Any  # the same per 64 minutes
    big_blocks: Any  # the same per 64 x 64 minutes
    out: Any  # int64[capacity, 6]: kind, job, instant, segment start, energy then and now
    batch: Any  # int32[capacity]: jobs that end at one instant
    room: Any  # int32[node_size]: the node a job of so many accelerators would share, -1 none
    longest: Any  # int64[GROUPS]: longest rest of an estimate that still ends by the shadow
    cost: Any  # int64[GROUPS]: milliwatts an accelerator adds when it starts


def new_state(
    *, jobs: int, nodes: int, node_size: int, origin_ns: int, end_ns: int, depth: int
) -> State:
    """Lay out the arrays of an empty pool.

    Args:
        jobs: how many jobs will ever be submitted.
        nodes: installed nodes; all start out of service.
        node_size: accelerators per node.
        origin_ns: first instant.
        end_ns: last instant; estimated ends later than 128 days past it share one bucket.
        depth: queued jobs that a backfill pass tests without starting before it stops.
    """
    accelerators = nodes * node_size
    big = int((end_ns - origin_ns) // (BUCKET_NS * BIG_BLOCK)) + 2 + 45
    state = State(
        job=np.zeros(jobs, JOB),
        ask=np.zeros(jobs, ASK),
        node=np.zeros(nodes, NODE),
        group=np.zeros(GROUPS, GROUP),
        queue=np.zeros(PRIORITIES, QUEUE),
        waiting=np.zeros((PRIORITIES, GROUPS), np.int64),
        asking=np.zeros((PRIORITIES, GROUPS), np.int64),
        v=np.zeros(1, VARS),
        slots=np.full((nodes, node_size), -1, np.int32),
        free_head=np.full(node_size + 1, -1, np.int32),
        free_count=np.zeros(node_size + 1, np.int64),
        heap_key=np.zeros((GROUPS, accelerators + 1), np.int64),
        heap_job=np.zeros((GROUPS, accelerators + 1), np.int32),
        minutes=np.zeros((big * BIG_BLOCK, 1 + GROUPS), np.int32),
        blocks=np.zeros((big * BLOCK, 1 + GROUPS), np.int32),
        big_blocks=np.zeros((big, 1 + GROUPS), np.int32),
        out=np.zeros((3 * accelerators + 16_384, 6), np.int64),
        batch=np.zeros(accelerators + 1, np.int32),
        room=np.full(node_size, -1, np.int32),
        longest=np.zeros(GROUPS, np.int64),
        cost=np.zeros(GROUPS, np.int64),
    )
    state.node["free"] = -1
    state.node["bucket"] = -1
    state.queue["head"] = state.queue["tail"] = -1
    state.ask["next"] = state.ask["prev"] = -1
    state.group["t"] = origin_ns
    state.group["speed"] = FULL_SPEED
    state.group["next_end"] = NEVER
    v = state.v
    v["t"] = v["origin"] = v["held_t"] = origin_ns
    v["node_size"] = node_size
    v["depth"] = depth
    v["budget"] = NEVER
    v["paused_top"] = -1
    return state
