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
#: A job's own rate in steps of 1/1024: slower over several pods, or where elastic and narrow.
FULL_RATE: Final = 1024
#: milliwatt-nanoseconds in a micro-watt-hour.
MW_NS_PER_UWH: Final = 3_600_000_000
NEVER: Final = 2**62
#: Estimated releases are kept per minute, 64 minutes and 64 x 64 minutes.
BUCKET_NS: Final = 60_000_000_000
BLOCK: Final = 64
BIG_BLOCK: Final = BLOCK * BLOCK
PRIORITIES: Final = 8
GROUPS: Final = 8
#: Racks by their empty nodes stand in words of so many bits (a signed word has 63).
WORD: Final = 62
#: Of each tenant, class and kind, so many jobs that started last are looked at as victims.
VICTIMS_SEEN: Final = 16
#: Of the shared nodes, so many with the fewest accelerators in use may be cleared for a gang.
NODES_CLEARED: Final = 64
#: A tenant that looked for victims in vain looks again after so long.
RETRY_NS: Final = 60_000_000_000
#: What lies closer together is one instant: a pass of the live gate takes a nanosecond.
INSTANT_NS: Final = 1000
#: Priority that a job gets when its deadline comes near.
URGENT: Final = 6
#: Longest run time of a job: two years; virtual time times a speed must fit in 64 bits.
LONGEST_NS: Final = 730 * 86_400 * 1_000_000_000
#: Usage of a quota node as it is, and as it will be when notices and claims have come true.
NOW: Final = 0
SOON: Final = 1
#: What a node of the quota tree uses, and what it takes of that from above.
USED: Final = 0
TAKEN: Final = 1


class JobState(IntEnum):
    """Where a job is in the kernel."""

    FUTURE = 0
    QUEUED = 1
    RUNNING = 2
    PAUSED = 3
    DONE = 4
    STOPPING = 5
    CLAIMING = 6
    AWAY = 7


class Kind(IntEnum):
    """What a record of the kernel says happened to a job."""

    START = 1
    BACKFILL = 2
    RESUME = 3
    FINISH = 4
    LIMIT = 5
    PAUSE = 6
    EVICT = 7
    PREEMPT = 8
    FAIL = 9
    GROW = 10
    SHIFT = 11


class Why(IntEnum):
    """What a queued job waits for."""

    NOTHING = 0
    HELD = 1
    CAP = 2
    QUOTA = 3
    NODES = 4
    LEVEL = 5
    POWER = 6
    SHADOW = 7
    ORDER = 8
    PAUSED = 9
    CLAIM = 10
    STOPPED = 11
    AWAY = 12


JOB: Final = np.dtype(
    [
        ("submit", np.int64),  # instant
        ("need", np.int64),  # run time at full speed, the walltime limit applied
        ("estimate", np.int64),  # walltime the user gave
        ("left", np.int64),  # of `need` and `redo`, what remains to be run
        ("kept", np.int64),  # of `need`, what is safe: its last checkpoint when it started
        ("redo", np.int64),  # restart work in front of the rest of `need` when it started
        ("v_end", np.int64),  # virtual instant of the end
        ("start", np.int64),  # instant the running segment began
        ("energy", np.int64),  # the group's energy integral at that instant
        ("stop", np.int64),  # instant at which its grace is over; NEVER without notice
        ("node", np.int32),  # first node held
        ("place", np.int32),  # in its group's heap of ends
        ("bucket", np.int32),  # of its estimated end
        ("width", np.int32),  # accelerators it runs on
        ("nodes", np.int32),  # whole nodes it holds; 0 on a shared node
        ("rate", np.int32),  # of FULL_RATE
        ("claim", np.int32),  # nodes it claims; under notice: the job that makes it go
        ("why", np.int16),  # what it waited for when it had to
        ("why_node", np.int16),  # node of the quota tree that says so
        ("state", np.int8),
        ("limited", np.int8),  # 1 when the walltime ends it, not its work
        ("own", np.int8),  # 1: claims what jobs of its own tenant leave
        ("level", np.int8),  # required: 0 none, 1 rack, 2 pod
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
        ("least", np.int32),  # nodes an elastic gang can do with; as `nodes` for a rigid one
        ("next", np.int32),  # in the queue, the running list, the claims or the paused stack
        ("prev", np.int32),
        ("tenant", np.int16),
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
        ("owner", np.int32),  # the gang that holds it, -1 none
        ("bucket", np.int32),  # latest estimated end on a shared node
        ("down", np.int32),  # 1 while it waits for repair
    ],
    align=True,
)

#: A rack: nodes that are wired together. Its empty nodes stand in a list, the last to come first.
RACK: Final = np.dtype(
    [
        ("free", np.int32),  # empty nodes
        ("head", np.int32),
        ("aside", np.int32),  # 1 while it is set aside for one job
        ("block", np.int32),  # tenant whose block it stands in, -1 nobody's
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
        ("slow", np.int64),  # the same, each times what its job's rate lacks of FULL_RATE
        ("paused", np.int64),  # accelerators held by paused jobs
        ("used_ns", np.int64),  # integrals since the last reading, accelerator-nanoseconds
        ("work_ns", np.int64),
        ("slowed_ns", np.int64),
        ("paused_ns", np.int64),
        ("lost_ns", np.int64),
        ("failed_ns", np.int64),
        ("preempted_ns", np.int64),
        ("restart_ns", np.int64),
        ("used_uwh", np.int64),
        ("next_end", np.int64),  # instant the group's next job ends
        ("ends", np.int64),  # jobs in the heap
        ("checkpoint", np.int64),  # interval between checkpoints; 0: none, all is lost
        (
            "held",
            np.int64,
        ),  # jobs with less than this of their estimate to run do not start for now
        ("runtime_min", np.int64),  # run time before which a job is no victim
        ("grace", np.int64),  # between notice and stop
        ("save", np.int64),  # what saving takes
        ("restart", np.int64),  # what starting again takes
        ("asking", np.int64),  # accelerators that its queued jobs ask
        ("kept", np.int64),  # of these, what jobs ask that do not start for now
        ("longest", np.int64),  # longest rest of an estimate that still ends by the shadow
        ("cost", np.int64),  # milliwatts an accelerator adds when it starts
        ("limit", np.int64),  # milliwatts its active accelerators may draw; NEVER: no limit
        ("shut", np.int64),  # 1 + the first job of this pass that would break it; 0 none
    ],
    align=True,
)

#: A queue of a priority and tenant: of jobs that may start, or of those whose class is held back.
#: The tenants that have one of the first kind stand in `active`, in no order.
QUEUE: Final = np.dtype(
    [
        ("head", np.int32),
        ("tail", np.int32),
        ("active", np.int32),  # the tenant in this place of the list
        ("place", np.int32),  # where this tenant stands in it, -1 nowhere
        ("length", np.int64),
    ],
    align=True,
)

TENANT: Final = np.dtype(
    [
        ("leaf", np.int64),  # its node of the quota tree
        ("rank", np.int64),
        ("order", np.int64),  # the tenant that has this rank
        ("levels", np.int64),  # bit p is set where jobs of priority p wait that may start
        ("retry", np.int64),  # instant from which it may look for victims again
        ("seen_at", np.int64),  # version of usage at which the two below were worked out
        ("cap_room", np.int64),  # accelerators left under its caps
        ("quota_room", np.int64),  # accelerators left of its quota and what others lend
        ("block", np.int64),  # racks of its block
        ("merge", np.int64),  # heap of the next job of each tenant in a pass
    ],
    align=True,
)

#: Running jobs of a tenant, class and kind (small ones, gangs), by the instant they began.
RUN: Final = np.dtype(
    [
        ("head", np.int32),
        ("tail", np.int32),
        ("mature", np.int32),  # the last that has run for long enough to be a victim, -1 none
        ("best", np.int32),  # the best victim among them, -1 none
        ("loss", np.int64),  # what it would lose
        ("looked", np.int64),  # look at which the two above were worked out
    ],
    align=True,
)

FREE: Final = np.dtype([("count", np.int64), ("head", np.int32)], align=True)
#: An entry of a heap: a job by an instant.
ENTRY: Final = np.dtype([("key", np.int64), ("job", np.int32)], align=True)
FAULT: Final = np.dtype([("t", np.int64), ("node", np.int32), ("change", np.int32)], align=True)
DUE: Final = np.dtype([("t", np.int64), ("job", np.int32)], align=True)

#: A node of the quota tree, in accelerators; the root is number 0.
QUOTA: Final = np.dtype(
    [
        ("parent", np.int64),
        ("leaf", np.int64),  # 1: a tenant
        ("nominal", np.int64),
        ("lend", np.int64),
        ("cap", np.int64),
        ("effective", np.int64),  # of the nominal quota, what surviving capacity carries
        ("kept", np.int64),  # never lent, beyond what its children keep
        ("unlent", np.int64),  # never lent, that of all below it included
        ("asked", np.int64),  # accelerators that its queued jobs ask
        ("t", np.int64),  # instant of the integrals below
        ("held_ns", np.int64),  # accelerator-nanoseconds held
        ("borrowed_ns", np.int64),  # of these, beyond the effective quota
        ("short_ns", np.int64),  # asked within the nominal quota and not had
        ("spent_ns", np.int64),  # held since the last turn, for fair share
        ("closed", np.int64),  # 1 + the first job of this pass that would break its cap; 0 none
        ("weight", np.float64),
        ("decayed", np.float64),  # accelerator-seconds used, older ones counting less
    ],
    align=True,
)

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
        ("target", np.int64),  # nodes that should be in service
        ("held", np.int64),  # accelerators on nodes held, whole nodes for gangs
        ("held_t", np.int64),
        ("held_ns", np.int64),
        ("service_ns", np.int64),
        ("down", np.int64),  # nodes that broke
        ("down_ns", np.int64),
        ("records", np.int64),
        ("paused_top", np.int64),
        ("paused_jobs", np.int64),
        ("shadow_valid", np.int64),
        ("shadow", np.int64),  # bucket at which the blocked head will fit
        ("extra_nodes", np.int64),
        ("extra_power", np.int64),
        ("events", np.int64),
        ("head", np.int64),  # the blocked head of the last pass, -1 none
        ("seen", np.int64),  # jobs tested behind it
        ("stale", np.int64),  # 1: what started in this pass may let another start in the next one
        ("kept_back", np.int64),  # nodes that the head may not use, added to what it needs
        ("always", np.int64),  # 1: a pass at every instant, however idle; for tests
        ("let_be", np.int64),  # version at which a job was first found to need no victims, -1 none
        ("look_at", np.int64),  # instant from which a pass would look for victims again
        ("looks", np.int64),  # for victims, so far
        ("queued", np.int64),
        ("claims", np.int64),
        ("claim_head", np.int64),
        ("claim_tail", np.int64),
        ("claim_nodes", np.int64),
        ("stop_nodes", np.int64),  # whole nodes that jobs under notice will leave
        ("stops", np.int64),  # entries in the heap of stops
        ("fault", np.int64),  # next fault
        ("urgent", np.int64),  # next job to become urgent
        ("narrow", np.int64),  # running elastic jobs below their full number
        ("rack_nodes", np.int64),
        ("pod_nodes", np.int64),
        ("span_rate", np.int64),
        ("promised", np.int64),  # accelerators the quotas count on
        ("fair", np.int64),
        ("ranked", np.int64),  # 1: no two tenants have one rank
        ("half_life", np.int64),
        ("version", np.int64),  # of usage and quotas: counts their changes
        ("closures", np.int64),  # nodes of the quota tree closed in this pass
        ("turned", np.int64),  # instant of the last turn
        ("preempt_within", np.int64),
        ("aside_job", np.int64),  # job a rack or pod is set aside for, -1 none
        ("aside_level", np.int64),
        ("aside_place", np.int64),
        ("zoned", np.int64),  # 1: some racks are blocks of tenants
        ("together", np.int64),  # 1: small jobs are moved together for a gang that lacks nodes
        ("aim", np.int64),  # node a job is moved to or found on, -1 while none is
        ("blocks", np.int64),  # first row of releases per 64 minutes; so many minutes before it
        ("big_blocks", np.int64),  # first row of releases per 64 x 64 minutes
    ],
    align=True,
)


class State(NamedTuple):
    """Everything a pool is, as arrays; structured arrays are typed `Any`, their fields above.

    Few arrays: a compiled function that is not inlined is handed each of them in seven parts.
    """

    job: Any  # JOB[n]
    ask: Any  # ASK[n]
    node: Any  # NODE[m]
    slots: Any  # int32[m, node_size]: jobs on a shared node, -1 empty
    free: Any  # FREE[node_size + 1]: nodes by free accelerators; of empty ones only their number
    rack: Any  # RACK[racks]
    racks: Any  # int64[rack_nodes + 1, 1 + words]: number of racks with so many empty nodes; which
    zones: Any  # int64[tenants + 1, words]: racks of each tenant's block; last: nobody's
    pod_free: Any  # int64[pods]: empty nodes, those set aside included
    group: Any  # GROUP[GROUPS]
    quota: Any  # QUOTA[q]
    usage: Any  # int64[2, 2, q]: used and taken, now and soon, accelerators
    tenant: Any  # TENANT[tenants]
    queue: Any  # QUEUE[2, PRIORITIES, tenants]: jobs that may start; jobs held back
    active_count: Any  # int64[PRIORITIES]: tenants with a queue
    run: Any  # RUN[tenants, GROUPS, 2]
    v: Any  # VARS[1]
    ends: Any  # ENTRY[GROUPS, capacity]: heaps of virtual ends
    stops: Any  # ENTRY[capacity]: heap of stops; entries of jobs that ended are skipped
    releases: Any  # int32[rows, 1 + GROUPS]: nodes and accelerators per group by estimated end
    fault: Any  # FAULT[f]: failures (+1) and repairs (-1)
    urgent: Any  # DUE[u]: when jobs become urgent
    efficiency: Any  # int64[FULL_RATE + 1]: rate of an elastic job by its share of accelerators
    victims: Any  # int64[classes]: classes in the order in which they make way
    out: Any  # int64[capacity, 9]: as `record` writes
    batch: Any  # int32[capacity]: jobs that end at one instant; victims being chosen
    tested: Any  # int32[depth]: jobs tested behind the head, in order
    spare: Any  # int32[m, 2]: while jobs are moved, shared nodes and what is free; nodes found
    place: Any  # int32[racks]: of racks or pods, what a search for the best one works out
    room: Any  # int32[node_size]: the node a job of so many accelerators would share, -1 none


#: Arrays that hold nothing between two calls, or never change: left out of snapshots.
SCRATCH: Final = (
    "out",
    "batch",
    "spare",
    "zones",
    "fault",
    "urgent",
    "efficiency",
    "victims",
    "place",
)


def new_state(
    *,
    jobs: int,
    nodes: int,
    node_size: int,
    rack_nodes: int,
    pod_nodes: int,
    tenants: int,
    quotas: int,
    origin_ns: int,
    end_ns: int,
    depth: int,
) -> State:
    """Lay out the arrays of an empty pool.

    Args:
        jobs: how many jobs will ever be submitted.
        nodes: installed nodes; all start out of service.
        node_size: accelerators per node.
        rack_nodes: nodes of a rack.
        pod_nodes: nodes of a pod, a multiple of those of a rack.
        tenants: tenants of the pool.
        quotas: nodes of the quota tree, the root included.
        origin_ns: first instant.
        end_ns: last instant; estimated ends later than 128 days past it share one bucket.
        depth: queued jobs that a backfill pass tests without starting before it stops.
    """
    accelerators = nodes * node_size
    racks = -(-nodes // rack_nodes)
    big = int((end_ns - origin_ns) // (BUCKET_NS * BIG_BLOCK)) + 2 + 45
    blocks, big_blocks = big * BIG_BLOCK, big * BIG_BLOCK + big * BLOCK
    state = State(
        job=np.zeros(jobs, JOB),
        ask=np.zeros(jobs, ASK),
        node=np.zeros(nodes, NODE),
        slots=np.full((nodes, node_size), -1, np.int32),
        free=np.zeros(node_size + 1, FREE),
        rack=np.zeros(racks, RACK),
        racks=np.zeros((rack_nodes + 1, 1 + -(-racks // WORD)), np.int64),
        zones=np.zeros((tenants + 1, -(-racks // WORD)), np.int64),
        pod_free=np.zeros(-(-nodes // pod_nodes), np.int64),
        group=np.zeros(GROUPS, GROUP),
        quota=np.zeros(quotas, QUOTA),
        usage=np.zeros((2, 2, quotas), np.int64),
        tenant=np.zeros(tenants, TENANT),
        queue=np.zeros((2, PRIORITIES, tenants), QUEUE),
        active_count=np.zeros(PRIORITIES, np.int64),
        run=np.zeros((tenants, GROUPS, 2), RUN),
        v=np.zeros(1, VARS),
        ends=np.zeros((GROUPS, accelerators + 1), ENTRY),
        stops=np.zeros(2 * accelerators + 1, ENTRY),
        releases=np.zeros((big_blocks + big, 1 + GROUPS), np.int32),
        fault=np.zeros(0, FAULT),
        urgent=np.zeros(0, DUE),
        efficiency=np.arange(FULL_RATE + 1, dtype=np.int64),
        victims=np.arange(GROUPS, dtype=np.int64),
        out=np.zeros((5 * accelerators + 16_384, 9), np.int64),
        batch=np.zeros(accelerators + 1, np.int32),
        tested=np.zeros(max(depth, 1), np.int32),
        spare=np.zeros((nodes, 2), np.int32),
        place=np.zeros(racks, np.int32),
        room=np.full(node_size, -1, np.int32),
    )
    _empty(state, origin_ns)
    v = state.v
    v["node_size"] = node_size
    v["rack_nodes"], v["pod_nodes"] = rack_nodes, pod_nodes
    v["depth"] = depth
    v["blocks"], v["big_blocks"] = blocks, big_blocks
    return state


def _empty(state: State, origin_ns: int) -> None:
    """Write what an empty pool holds where it is not nought."""
    state.node["free"] = -1
    state.node["bucket"] = state.node["owner"] = -1
    state.free["head"] = state.rack["head"] = state.rack["block"] = -1
    state.queue["head"] = state.queue["tail"] = state.queue["place"] = -1
    for name in ("head", "tail", "mature"):
        state.run[name] = -1
    state.tenant["order"] = np.arange(len(state.tenant))
    state.tenant["retry"] = -NEVER
    state.tenant["seen_at"] = -1
    state.ask["next"] = state.ask["prev"] = -1
    state.job["stop"] = NEVER
    state.group["t"] = origin_ns
    state.group["speed"] = FULL_SPEED
    state.group["next_end"] = state.group["limit"] = NEVER
    state.quota["t"] = origin_ns
    v = state.v
    v["t"] = v["origin"] = v["held_t"] = v["turned"] = origin_ns
    v["span_rate"] = FULL_RATE
    v["budget"] = NEVER
    v["paused_top"] = v["head"] = v["claim_head"] = v["claim_tail"] = v["aside_job"] = -1
    v["aim"] = -1
    v["half_life"] = 1
