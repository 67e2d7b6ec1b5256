"""What the naive scheduler (`reference.py`) knows of its pool: the facts, recounted when asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

FULL = 128
MINUTE_NS = 60_000_000_000
NEVER = 10**30
UNLIMITED = 10**30
WHOLE = 1024

FUTURE, QUEUED, CLAIMING, RUNNING, STOPPING, PAUSED, GONE, AWAY = (
    "future",
    "queued",
    "claiming",
    "running",
    "stopping",
    "paused",
    "gone",
    "away",
)


@dataclass(eq=False)
class Job:
    number: int
    submit: int
    need: int
    estimate: int
    accelerators: int
    priority: int
    group: int
    tenant: int = 0
    nodes_min: int = 0
    level: int = 0
    state: str = FUTURE
    kept: int = 0  # work it would not lose if it left now without saving and no multiple were due
    owed: int = 0  # restart work that comes before anything else
    nodes: list[int] = field(default_factory=list)
    rate: int = WHOLE
    start: int = -1
    since: int = -1  # when it last started or resumed
    total: int = 0  # clock time of this segment from its start to its end
    due: int = 0  # what its group's clock shows when it ends
    remaining: int = 0  # clock time left, while paused
    grace_end: int = NEVER
    dismissed: bool = False
    paused_as: int = 0
    begun_as: int = 0  # counts starts and resumptions

    @property
    def limited(self) -> bool:
        return self.need > self.estimate

    @property
    def work(self) -> int:
        return min(self.need, self.estimate)

    @property
    def slack(self) -> int:
        return self.estimate - self.work

    @property
    def left(self) -> int:
        return self.work - self.kept + self.owed


@dataclass(kw_only=True)
class Setup:
    nodes: int
    node_size: int
    depth: int
    idle: int
    origin: int
    speed: list[int]
    power: list[int]
    budget: int | None
    rack_nodes: int
    pod_nodes: int
    span_rate: int = WHOLE
    efficiency: list[int]
    victims: list[int]
    parent: list[int]
    nominal: list[int]
    lend: list[int]
    cap: list[int]
    weight: list[float]
    tenant_node: list[int]
    promised: int
    fair_share: bool
    half_life_ns: int
    preempt_within: bool
    min_runtime: list[int]
    grace: list[int]
    save_cost: list[int]
    checkpoint: list[int]
    restart: list[int]
    blocks: list[tuple[int, int, int]] = field(default_factory=list)  # tenant, first rack, racks
    together: bool = False
    limits: list[int] | None = None  # what the active accelerators of each class may draw
    faults: list[tuple[int, int, int]]
    urgent: list[tuple[int, int]]


@dataclass
class Node:
    number: int
    stamp: int = 0  # when its free count changed last, counted in changes
    failures: int = 0
    waiting: bool = False  # repaired, but without power to rest
    jobs: list[Job] = field(default_factory=list)


@dataclass
class Claim:
    job: Job
    made_way: bool
    place: bool  # it waits for one job that shares a node
    waits: int  # nodes that later ones may not count on


@dataclass
class Room:
    level: int
    number: int
    owner: Job


class PoolState:
    """Nodes, jobs, clocks and quotas as they are now, and the questions that only need these."""

    def __init__(self, setup: Setup, jobs: list[Job]) -> None:
        self.setup = setup
        self.tree_size = len(setup.parent)
        self.now = setup.origin
        self.speed = list(setup.speed)
        self.power = list(setup.power)
        self.budget = setup.budget
        self.limits = setup.limits
        self.nominal = list(setup.nominal)
        self.lend = list(setup.lend)
        self.clock128 = [0] * len(setup.speed)
        self.nodes = [Node(n) for n in range(setup.nodes)]
        self.changes = 0
        self.future = sorted(jobs, key=lambda j: (j.submit, j.number))
        self.by_number = {j.number: j for j in jobs}
        self.live: list[Job] = []
        self.claims: list[Claim] = []
        self.room: Room | None = None

    # Clocks.

    def clock(self, group: int) -> int:
        return self.clock128[group] // FULL

    def when(self, group: int, shown: int) -> int:
        """The instant at which the group's clock, in whole nanoseconds, shows this much."""
        missing = shown * FULL - self.clock128[group]
        if missing <= 0:
            return self.now
        if self.speed[group] == 0:
            return NEVER
        return self.now - (-missing // self.speed[group])

    def minute(self, instant: int) -> int:
        return NEVER if instant >= NEVER else -(-(instant - self.setup.origin) // MINUTE_NS)

    # Who is where.

    def those(self, *states: str) -> list[Job]:
        return [j for j in self.live if j.state in states]

    def holders(self) -> list[Job]:
        return self.those(RUNNING, STOPPING, PAUSED)

    # Sizes.

    def is_gang(self, job: Job) -> bool:
        return job.accelerators >= self.setup.node_size

    def full_nodes(self, job: Job) -> int:
        return -(-job.accelerators // self.setup.node_size) if self.is_gang(job) else 0

    def is_elastic(self, job: Job) -> bool:
        return self.is_gang(job) and job.nodes_min > 0

    def least_nodes(self, job: Job) -> int:
        """Whole nodes it cannot start without; 0 for a job that shares one."""
        full = self.full_nodes(job)
        return min(job.nodes_min, full) if self.is_elastic(job) else full

    def level(self, job: Job) -> int:
        return job.level if self.is_gang(job) else 0

    def held_on(self, job: Job, nodes: int) -> int:
        return nodes * self.setup.node_size if self.is_gang(job) else job.accelerators

    def held(self, job: Job) -> int:
        """What it holds; of a job that is to start, what it holds at least."""
        return self.held_on(job, len(job.nodes) or self.least_nodes(job))

    def width_on(self, job: Job, nodes: int) -> int:
        return min(self.held_on(job, nodes), job.accelerators)

    def width(self, job: Job) -> int:
        """Accelerators at work."""
        return self.width_on(job, len(job.nodes) or self.least_nodes(job))

    def rate_on(self, job: Job, nodes: list[int]) -> int:
        pods = {n // self.setup.pod_nodes for n in nodes}
        span = self.setup.span_rate if self.is_gang(job) and len(pods) > 1 else WHOLE
        share = WHOLE * self.width_on(job, len(nodes)) // job.accelerators
        return span * (self.setup.efficiency[share] if self.is_elastic(job) else WHOLE) // WHOLE

    def stretch(self, work: int, rate: int) -> int:
        """Clock time that the work takes."""
        return -(-work * WHOLE // rate) if rate else NEVER

    # Power.

    def power_of(self, job: Job, width: int) -> int:
        return width * (self.power[job.group] - self.setup.idle)

    def in_service(self) -> list[Node]:
        return [n for n in self.nodes if n.failures == 0 and not n.waiting]

    def capacity(self) -> int:
        return len(self.in_service()) * self.setup.node_size

    def spare_power(self) -> int:
        if self.budget is None:
            return UNLIMITED
        busy = sum(self.power_of(j, self.width(j)) for j in self.those(RUNNING, STOPPING))
        return self.budget - self.setup.idle * self.capacity() - busy

    def over_limit(self, job: Job, width: int) -> bool:
        """Whether so many more at work would break the limit of its class."""
        if self.limits is None:
            return False
        same = [j for j in self.those(RUNNING, STOPPING) if j.group == job.group]
        at_work = sum(self.width(j) for j in same) + width
        return at_work * self.power[job.group] > self.limits[job.group]

    # The tree of quotas.

    def path(self, job: Job) -> list[int]:
        """From the leaf up to below the root."""
        x, found = self.setup.tenant_node[job.tenant], []
        while x > 0:
            found.append(x)
            x = self.setup.parent[x]
        return found

    def children(self, x: int) -> list[int]:
        return [c for c, p in enumerate(self.setup.parent) if p == x]

    def summed(self, jobs: Iterable[Job]) -> list[int]:
        total = [0] * self.tree_size
        for job in jobs:
            for x in [*self.path(job), 0]:
                total[x] += self.held(job)
        return total

    def used(self) -> list[int]:
        return self.summed(self.holders())

    def soon(self, chosen: list[Job], leaving_out: Job | None = None) -> list[int]:
        staying = [j for j in self.those(RUNNING, PAUSED) if j not in chosen]
        return self.summed([*staying, *(c.job for c in self.claims if c.job is not leaving_out)])

    def effective(self, x: int) -> int:
        in_service = self.capacity()
        if x == 0:
            return in_service
        return self.nominal[x] * min(in_service, self.setup.promised) // self.setup.promised

    def never_lent(self, x: int) -> int:
        """What this node and those below it never lend together."""
        promised = self.effective(x)
        own = promised - min(self.lend[x], promised)
        return max(own, sum(self.never_lent(c) for c in self.children(x)))

    def kept_back(self) -> list[int]:
        """What each node itself never lends, the part of those below it taken off."""
        below = [sum(map(self.never_lent, self.children(x))) for x in range(self.tree_size)]
        return [0] + [self.never_lent(x) - below[x] for x in range(1, self.tree_size)]

    def from_above(self, x: int, used: list[int], kept: list[int]) -> int:
        below = self.children(x)
        if not below:
            return used[x]
        return sum(max(0, self.from_above(c, used, kept) - kept[c]) for c in below)

    def quota(self, job: Job, used: list[int]) -> int:
        kept = self.kept_back()
        found = max(0, self.capacity() - sum(kept) - self.from_above(0, used, kept))
        for x in self.path(job):
            found += max(0, kept[x] - self.from_above(x, used, kept))
        return found

    def broken_caps(self, job: Job, held: int) -> list[int]:
        used = self.used()
        return [x for x in self.path(job) if used[x] + held > self.setup.cap[x]]

    def is_guaranteed(self, job: Job) -> bool:
        soon = self.soon([], leaving_out=job)
        return any(soon[x] + self.held(job) <= self.effective(x) for x in self.path(job))

    # Nodes, racks and pods.

    def free(self, node: Node) -> int:
        if any(self.is_gang(j) for j in node.jobs):
            return 0
        return self.setup.node_size - sum(j.accelerators for j in node.jobs)

    def unit_of(self, node: Node, level: int) -> int:
        return node.number // (self.setup.rack_nodes if level == 1 else self.setup.pod_nodes)

    def in_room(self, node: Node, job: Job | None = None) -> bool:
        """Whether the node stands in a room that is set aside for somebody else."""
        room = self.room
        if room is None or room.owner is job:
            return False
        return self.unit_of(node, room.level) == room.number

    def empty(self, job: Job) -> list[Node]:
        room, nodes = self.room, self.in_service()
        if room is not None and room.owner is job:
            nodes = [n for n in nodes if self.unit_of(n, room.level) == room.number]
        return [n for n in nodes if not n.jobs and not self.in_room(n, job)]

    def by_unit(self, nodes: list[Node], level: int) -> dict[int, list[Node]]:
        found: dict[int, list[Node]] = {}
        for node in sorted(nodes, key=lambda n: n.number):
            found.setdefault(self.unit_of(node, level), []).append(node)
        return found

    def block_of(self, node: Node) -> int | None:
        """The tenant in whose block it stands."""
        rack = node.number // self.setup.rack_nodes
        owners = [t for t, first, n in self.setup.blocks if first <= rack < first + n]
        return owners[0] if owners else None

    def has_block(self, job: Job) -> bool:
        return any(tenant == job.tenant for tenant, _, _ in self.setup.blocks)

    def own_ones(self, nodes: list[Node], job: Job) -> list[Node]:
        return [n for n in nodes if self.block_of(n) == job.tenant]

    def not_others(self, nodes: list[Node], job: Job) -> list[Node]:
        return [n for n in nodes if self.block_of(n) in (None, job.tenant)]

    def shared_place(self, job: Job) -> list[int] | None:
        open_ones = [n for n in self.in_service() if n.jobs and self.free(n) >= job.accelerators]
        if open_ones:
            best = min(open_ones, key=lambda n: (self.free(n), -n.stamp))
            return [best.number]
        empty = self.empty(job)
        for nodes in (self.own_ones(empty, job), self.not_others(empty, job), empty):
            racks = self.by_unit(nodes, 1)
            if racks:
                rack = min(racks, key=lambda r: (len(racks[r]), r))
                return [self.last_freed(racks[rack])[0].number]
        return None

    def last_freed(self, nodes: list[Node]) -> list[Node]:
        return sorted(nodes, key=lambda n: (-n.stamp, n.number))

    def emptiest_first(self, nodes: list[Node]) -> list[Node]:
        """Racks with most empty nodes first, in each the nodes that came free last."""
        racks = self.by_unit(nodes, 1)
        order = sorted(racks, key=lambda r: (-len(racks[r]), r))
        return [n for r in order for n in self.last_freed(racks[r])]

    def gang_place(self, job: Job, count: int) -> list[int] | None:
        empty = self.empty(job)
        if self.room is not None and self.room.owner is job:
            return self.placed_in(empty, job, count)
        return self.placed_in(self.not_others(empty, job), job, count) or self.placed_in(
            empty, job, count
        )

    def placed_in(self, empty: list[Node], job: Job, count: int) -> list[int] | None:
        if len(empty) < count:
            return None
        required = self.level(job)
        for level in (1, 2):
            for nodes in (self.own_ones(empty, job), empty):
                units = self.by_unit(nodes, level)
                wide = [u for u in units if len(units[u]) >= count]
                if wide:
                    best = min(wide, key=lambda u: (len(units[u]), u))
                    return [n.number for n in self.emptiest_first(units[best])][:count]
            if level == required:
                return None
        pods = self.by_unit(empty, 2)
        order = sorted(pods, key=lambda p: (-len(pods[p]), p))
        return [n.number for p in order for n in self.emptiest_first(pods[p])][:count]

    def place(self, job: Job, count: int) -> list[int] | None:
        return self.gang_place(job, count) if self.is_gang(job) else self.shared_place(job)

    def touch(self, node: Node) -> None:
        self.changes += 1
        node.stamp = self.changes

    def release(self, job: Job) -> None:
        for number in reversed(job.nodes):
            self.nodes[number].jobs.remove(job)
            self.touch(self.nodes[number])
        job.nodes = []
