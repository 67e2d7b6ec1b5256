"""A deliberately naive scheduler of one pool: the oracle the kernel is compared with.

Written from the rules alone (`docs/explanation/scheduler.md`), never from the kernel: lists and
loops, everything recounted at every instant. The facts of the pool are in `reference_pool.py`.
Where the page leaves a choice, this one was made:

- A level required by a job smaller than a node is void.
- `set_budget` pauses, then resumes in the same call whatever fits (just paused ones too).
- In an explanation "power" also stands for a pool with paused jobs and for a class that stands
  still, "order" for a claim behind the head; "shadow" and "order" come from a pass on a copy.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

from reference_pool import (
    AWAY,
    CLAIMING,
    FULL,
    FUTURE,
    GONE,
    MINUTE_NS,
    NEVER,
    PAUSED,
    QUEUED,
    RUNNING,
    STOPPING,
    WHOLE,
    Claim,
    Job,
    Node,
    PoolState,
    Room,
    Setup,
)

__all__ = ["FULL", "MINUTE_NS", "Job", "Reference", "Setup"]

URGENT_PRIORITY = 6
LATEST = 16
CLEARABLE = 64
INSTANT_NS = 1000


@dataclass
class Shadow:
    minute: int
    nodes: int
    power: int


@dataclass
class Choice:
    victims: list[Job] = field(default_factory=list)
    place: bool = False
    room: int | None = None


class Reference(PoolState):
    def __init__(self, setup: Setup, jobs: list[Job]) -> None:
        super().__init__(setup, jobs)
        self.held_back = [0] * len(setup.speed)
        self.faults = list(setup.faults)
        self.urgent = list(setup.urgent)
        self.pauses = 0
        self.begun = 0
        self.look_after = [setup.origin] * len(setup.tenant_node)
        self.rank = [0] * len(setup.tenant_node)
        self.consumed = [0] * self.tree_size
        self.decayed = [0.0] * self.tree_size
        self.last_turn = setup.origin
        self.head: Job | None = None
        self.sight: Shadow | None = None
        self.behind = 0
        self.tested: set[int] = set()
        self.shadowed: set[int] = set()
        self.events: list[tuple[str, int, int, int]] = []

    # The ways in from outside.

    def turn(self) -> None:
        for node in self.nodes:
            if node.waiting and self.may_rest():
                node.waiting = False
                self.touch(node)
        if self.setup.fair_share:
            self.find_ranks()
        self.grow()
        if self.setup.together:
            self.move_together()
        self.schedule()

    def set_groups(self, speed: list[int], power: list[int]) -> None:
        self.speed = list(speed)
        self.power = list(power)

    def hold(self, held: list[int]) -> None:
        """Jobs of a class with less than this left of their estimate do not start."""
        self.held_back = list(held)

    def is_held(self, job: Job) -> bool:
        return job.estimate - job.kept + job.owed < self.held_back[job.group]

    def set_budget(self, budget: int | None) -> None:
        self.budget = budget
        while self.spare_power() < 0 and self.those(STOPPING):
            first = min(self.those(STOPPING), key=lambda j: (j.grace_end, j.number))
            self.leave("PREEMPT", first, self.last_checkpoint(first))
        for group in self.setup.victims:
            while self.spare_power() < 0:
                running = [j for j in self.those(RUNNING) if j.group == group]
                if not running:
                    break
                self.pause(max(running, key=lambda j: (j.since, j.number)))
        for job in sorted(self.those(PAUSED), key=lambda j: -j.paused_as):
            if self.power_of(job, self.width(job)) <= self.spare_power():
                self.resume(job)
        self.schedule()

    def withdraw(self, job: Job) -> None:
        if job.state == CLAIMING:
            self.end_claim(next(c for c in self.claims if c.job is job))
            job.state = QUEUED
        if job.state == QUEUED:
            self.live.remove(job)
            job.state = AWAY
        elif job.state == FUTURE:
            self.future.remove(job)
            job.state = AWAY

    def let_in(self, job: Job, kept: int) -> None:
        if job.state != AWAY:
            return
        job.kept = kept
        job.owed = self.setup.restart[job.group] if kept > 0 else 0
        is_future = job.submit >= self.now
        job.state = FUTURE if is_future else QUEUED
        (self.future if is_future else self.live).append(job)

    def dismiss(self, job: Job) -> None:
        if job.state == RUNNING:
            self.give_notice([job])
            job.dismissed = True

    def advance(self, until: int) -> None:
        while (t := self.next_instant()) < until:
            self.move(t)
            self.instant()
        self.move(max(until, self.now))

    def set_limits(self, limits: list[int] | None) -> None:
        self.limits = limits

    def set_quotas(self, nominal: list[int], lend: list[int]) -> None:
        self.nominal, self.lend = list(nominal), list(lend)

    # Time and clocks.

    def move(self, t: int) -> None:
        for job in self.holders():
            for x in self.path(job):
                self.consumed[x] += self.held(job) * (t - self.now)
        for group, speed in enumerate(self.speed):
            self.clock128[group] += speed * (t - self.now)
        self.now = t

    def next_instant(self) -> int:
        due = [self.when(j.group, j.due) for j in self.those(RUNNING, STOPPING)]
        over = [j.grace_end for j in self.those(STOPPING)]
        drawn = [f[0] for f in self.faults[:1]] + [u[0] for u in self.urgent[:1]]
        return max(self.now, min([NEVER, *due, *over, *drawn, *(j.submit for j in self.future)]))

    def instant(self) -> None:
        for job in sorted(self.those(RUNNING, STOPPING), key=lambda j: j.number):
            if self.clock(job.group) >= job.due:
                self.note("LIMIT" if job.limited else "FINISH", job)
                self.release(job)
                job.state = GONE
                self.live.remove(job)
        for job in sorted(self.those(STOPPING), key=lambda j: j.number):
            if job.grace_end <= self.now:
                self.leave("PREEMPT", job, self.saved(job))
        while self.faults and self.faults[0][0] <= self.now:
            _, number, change = self.faults.pop(0)
            self.fault(self.nodes[number], change)
        while self.urgent and self.urgent[0][0] <= self.now:
            job = self.by_number[self.urgent.pop(0)[1]]
            job.priority = max(job.priority, URGENT_PRIORITY)
        for job in sorted(self.future, key=lambda j: j.number):
            if job.submit <= self.now:
                self.future.remove(job)
                self.live.append(job)
                job.state = QUEUED
        self.schedule()

    # Order.

    def queue(self) -> list[Job]:
        """The queue in order; the classes held back are not there."""
        return sorted(
            (j for j in self.those(QUEUED) if not self.is_held(j)),
            key=lambda j: (-j.priority, self.rank[j.tenant], j.submit, j.number),
        )

    def note(self, kind: str, job: Job) -> None:
        self.events.append((kind, job.number, self.now, self.width(job)))

    def find_ranks(self) -> None:
        setup = self.setup
        faded = 2 ** (-(self.now - self.last_turn) / setup.half_life_ns)
        for x, consumed in enumerate(self.consumed):
            self.decayed[x] = self.decayed[x] * faded + consumed / 1e9
            self.consumed[x] = 0
        self.last_turn = self.now

        def place(tenant: int) -> tuple[float, int, float, int]:
            leaf = child = setup.tenant_node[tenant]
            while setup.parent[child] > 0:
                child = setup.parent[child]
            share = [
                d / (w if w > 0 else 1e-9) for d, w in zip(self.decayed, setup.weight, strict=True)
            ]
            return share[child], child, share[leaf], tenant

        for rank, tenant in enumerate(sorted(range(len(self.rank)), key=place)):
            self.rank[tenant] = rank

    # What happens to a job.

    def start(self, kind: str, job: Job, nodes: list[int]) -> None:
        job.state = RUNNING
        job.nodes = nodes
        for number in nodes:
            self.nodes[number].jobs.append(job)
            self.touch(self.nodes[number])
        job.rate = self.rate_on(job, nodes)
        job.start = job.since = self.now
        self.begun += 1
        job.begun_as = self.begun
        job.total = self.stretch(job.left, job.rate)
        job.due = self.clock(job.group) + job.total
        self.note(kind, job)

    def worked(self, job: Job) -> int:
        """Work of this segment, restart included."""
        ahead = job.remaining if job.state == PAUSED else job.due - self.clock(job.group)
        return job.left - max(0, ahead) * job.rate // WHOLE

    def done(self, job: Job) -> int:
        return job.kept + max(0, self.worked(job) - job.owed)

    def last_checkpoint(self, job: Job) -> int:
        interval = self.setup.checkpoint[job.group]
        multiple = self.done(job) // interval * interval if interval else 0
        return max(multiple, job.kept)

    def saved(self, job: Job) -> int:
        """What a job that leaves after notice has kept."""
        cost = self.setup.save_cost[job.group]
        if self.setup.grace[job.group] < cost:
            return self.last_checkpoint(job)
        saving = cost * self.speed[job.group] // FULL * job.rate // WHOLE
        return max(self.last_checkpoint(job), self.done(job) - saving)

    def leave(self, kind: str, job: Job, kept: int) -> None:
        self.note(kind, job)
        job.kept = kept
        job.owed = self.setup.restart[job.group]
        job.grace_end = NEVER
        self.release(job)
        job.state = QUEUED
        if job.dismissed and kind == "PREEMPT":
            self.live.remove(job)
            job.state = AWAY
        job.dismissed = False

    def fault(self, node: Node, change: int) -> None:
        if (change > 0 and node.waiting) or (change < 0 and not node.failures):
            return  # what is not in service does not fail
        if change < 0:
            node.waiting = not self.may_rest()
            node.failures = 0
            self.touch(node)
            return
        node.failures = 1
        for job in sorted(node.jobs, key=lambda j: j.number):
            if job.state == PAUSED:
                self.resume(job)
            self.leave("FAIL", job, self.last_checkpoint(job))

    def may_rest(self) -> bool:
        """Whether one node more would rest within the budget."""
        return self.spare_power() >= self.setup.idle * self.setup.node_size

    def pause(self, job: Job) -> None:
        self.note("PAUSE", job)
        self.pauses += 1
        job.paused_as = self.pauses
        left = max(0, job.due - self.clock(job.group)) * job.rate // WHOLE
        job.remaining = self.stretch(left, job.rate)
        job.state = PAUSED

    def resume(self, job: Job) -> None:
        job.state = RUNNING
        job.since = self.now
        self.begun += 1
        job.begun_as = self.begun
        job.due = self.clock(job.group) + job.remaining
        self.note("RESUME", job)

    def grow(self) -> None:
        if self.those(QUEUED, CLAIMING, PAUSED):
            return
        for job in sorted(self.those(RUNNING), key=lambda j: j.number):
            have = len(job.nodes)
            if not self.is_elastic(job) or self.level(job):
                continue
            for count in range(self.full_nodes(job), have, -1):
                more = self.held_on(job, count - have)
                power = self.power_of(job, self.width_on(job, count) - self.width(job))
                if (
                    count - have <= len(self.empty(job))
                    and not self.broken_caps(job, more)
                    and more <= self.quota(job, self.used())
                    and power <= self.spare_power()
                    and not self.over_limit(job, self.width_on(job, count) - self.width(job))
                ):
                    self.widen(job, count)
                    break

    def widen(self, job: Job, count: int) -> None:
        self.note("GROW", job)
        owed = max(0, job.owed - self.worked(job))
        job.kept, job.owed = self.done(job), owed
        self.release(job)
        nodes = self.gang_place(job, count)
        assert nodes is not None
        self.start("START", job, nodes)

    def move_together(self) -> None:
        """Clear shared nodes for the head of the last pass, if that gives it all it lacks."""
        head = self.head
        if head is None or head.state != QUEUED or self.those(PAUSED) or self.level(head):
            return
        lacks = self.least_nodes(head) - len(self.empty(head))
        others = self.is_held(head) or self.speed[head.group] == 0
        fits = (
            not others
            and not self.broken_caps(head, self.held(head))
            and self.held(head) <= self.quota(head, self.used())
            and self.power_of(head, self.width(head)) <= self.spare_power()
            and not self.over_limit(head, self.width(head))
        )
        if not self.is_gang(head) or not fits or lacks <= 0:
            return
        shared = [
            n
            for n in self.in_service()
            if n.jobs and not any(self.is_gang(j) for j in n.jobs) and not self.in_room(n)
        ]
        free = {n.number: self.free(n) for n in shared}
        if sum(free.values()) < lacks * self.setup.node_size:
            return  # only to spare the search: it could not clear enough
        moves: list[tuple[Job, int]] = []
        cleared: list[int] = []
        taken: set[int] = set()
        for node in sorted(shared, key=lambda n: (-self.free(n), n.number))[:CLEARABLE]:
            if len(cleared) == lacks:
                break
            if node.number in taken or not all(self.is_victim(j) for j in node.jobs):
                continue
            left, mine = dict(free), []
            for job in sorted(node.jobs, key=lambda j: (-j.accelerators, j.number)):
                rooms = [
                    n
                    for n, f in left.items()
                    if f >= job.accelerators and n != node.number and n not in cleared
                ]
                if not rooms:
                    break
                to = min(rooms, key=lambda n: (left[n], n))
                left[to] -= job.accelerators
                mine.append((job, to))
            if len(mine) == len(node.jobs):
                free, moves = left, moves + mine
                taken |= {to for _, to in mine}
                cleared.append(node.number)
        if len(cleared) == lacks:
            for job, to in moves:
                self.shift(job, to)

    def shift(self, job: Job, node: int) -> None:
        self.note("SHIFT", job)
        job.kept = self.done(job)
        job.owed = self.setup.save_cost[job.group] + self.setup.restart[job.group]
        self.release(job)
        self.start("START", job, [node])

    # A pass.

    def schedule(self) -> None:
        self.head = self.sight = None
        self.behind = 0
        self.tested, self.shadowed = set(), set()
        if self.room is not None and self.room.owner.state != CLAIMING:
            self.room = None
        if self.those(PAUSED):
            return
        self.claims_round()
        for tenant in sorted(range(len(self.rank)), key=lambda t: (self.rank[t], t)):
            self.guarantees_of(tenant)
        if not self.some_leave_now():
            self.everybody_round()

    def some_leave_now(self) -> bool:
        """Whether somebody is to leave at once, so that the pass is ended, and made anew then."""
        going = [j for j in self.those(STOPPING) if j.grace_end <= self.now]
        return any(self.setup.grace[j.group] == 0 for j in going)

    def fit(self, job: Job, most: int | None = None) -> list[int] | None:
        """The nodes on which it would start now, as many as are allowed."""
        if self.speed[job.group] == 0:
            return None
        full = self.full_nodes(job) if most is None else most
        for count in range(full, self.least_nodes(job) - 1, -1):
            held = self.held_on(job, count)
            if (
                not self.broken_caps(job, held)
                and held <= self.quota(job, self.used())
                and self.power_of(job, self.width_on(job, count)) <= self.spare_power()
                and not self.over_limit(job, self.width_on(job, count))
            ):
                nodes = self.place(job, count)
                if nodes is not None:
                    return nodes
        return None

    def claims_round(self) -> None:
        for claim in list(self.claims):
            job = claim.job
            if self.is_held(job):
                continue
            self.tested.add(job.number)
            has_right = claim.made_way or self.is_guaranteed(job)
            if self.broken_caps(job, self.held(job)) or not has_right:
                self.end_claim(claim)
                job.state = QUEUED
                continue
            if self.over_limit(job, self.width(job)):
                continue
            nodes = self.fit(job, self.most_by_right(job))
            if nodes is not None:
                self.end_claim(claim)
                self.start("START", job, nodes)
                continue
            self.look_further(claim)
            self.protect(job)
            return

    def most_by_right(self, job: Job) -> int:
        """Nodes it takes at most where it claims: without notice, no more than its right."""
        full = self.full_nodes(job)
        if self.setup.grace[job.group] > 0:
            return full
        soon = self.soon([], leaving_out=job)
        right = max(self.effective(x) - soon[x] for x in self.path(job))
        return min(full, max(self.least_nodes(job), right // self.setup.node_size))

    def end_claim(self, claim: Claim) -> None:
        self.claims.remove(claim)
        if self.room is not None and self.room.owner is claim.job:
            self.room = None

    def look_further(self, claim: Claim) -> None:
        job = claim.job
        if claim.made_way or claim.place or self.level(job):
            return
        if self.coming([]) >= max(1, self.least_nodes(job)) or not self.may_look(job):
            return
        choice = self.reclaim(job, 0)
        if choice is None or not self.is_carried(job, choice.victims):
            self.look_after[job.tenant] = self.now + MINUTE_NS
            return
        self.give_notice(choice.victims)
        claim.place = choice.place
        claim.waits = 0 if choice.place else claim.waits

    def guarantees_of(self, tenant: int) -> None:
        while not self.some_leave_now():
            mine = [j for j in self.queue() if j.tenant == tenant]
            if not mine or self.broken_caps(mine[0], self.held(mine[0])):
                return
            job = mine[0]
            if self.over_limit(job, self.width(job)):
                return
            if not self.is_guaranteed(job):
                if self.fit(job) is None and self.setup.preempt_within and not self.level(job):
                    self.claim(job, made_way=True)
                if job.state != CLAIMING:
                    return
                continue
            nodes = self.admit(job)
            if nodes is None:
                self.claim(job, made_way=False)
                if job.state != CLAIMING:
                    return
                continue
            self.take_extra(job, nodes)
            self.start("START" if self.head is None else "BACKFILL", job, nodes)

    def everybody_round(self) -> None:
        closed: set[int] = set()
        shut: set[int] = set()
        for job in self.queue():
            if self.head is not None and self.behind >= self.setup.depth:
                return
            if closed & set(self.path(job)):
                continue
            self.tested.add(job.number)
            broken = self.broken_caps(job, self.held(job))
            if broken:
                closed.add(broken[0])
                continue
            if job.group in shut or self.over_limit(job, self.width(job)):
                shut.add(job.group)
                continue
            nodes = self.admit(job)
            if nodes is not None:
                self.take_extra(job, nodes)
                self.start("START" if self.head is None else "BACKFILL", job, nodes)
            elif self.head is None:
                self.protect(job)
            else:
                self.behind += 1

    # The head and its shadow.

    def protect(self, head: Job) -> None:
        self.head = head
        if self.speed[head.group] == 0 or (self.room is not None and self.room.owner is head):
            return
        level, count = self.level(head), self.least_nodes(head)
        empty = self.empty(head)
        if level and self.room is None and len(empty) >= count:
            units = self.by_unit(empty, level)
            most = min(units, key=lambda u: (-len(units[u]), u))
            if len(units[most]) < count:
                self.room = Room(level, most, head)
                return
        self.sight = self.shadow(head)

    def estimated_minute(self, job: Job) -> int:
        end = self.when(job.group, job.due + self.stretch(job.slack, job.rate))
        return self.minute(min(end, job.grace_end))

    def shadow(self, head: Job) -> Shadow | None:
        free = self.capacity() - self.used()[0]
        quota = self.quota(head, self.used())
        wanted = max(1, self.least_nodes(head))
        if quota < self.held(head):
            wanted += -(-max(0, free - quota) // self.setup.node_size)
        power_wanted = self.power_of(head, self.width(head))
        ends = {j.number: self.estimated_minute(j) for j in self.those(RUNNING, STOPPING)}
        for minute in sorted({self.minute(self.now), *ends.values()} - {NEVER}):
            nodes = sum(
                all(ends[j.number] <= minute for j in n.jobs)
                for n in self.in_service()
                if n.jobs or not self.in_room(n, head)
            )
            freed = sum(
                self.power_of(j, self.width(j))
                for j in self.those(RUNNING, STOPPING)
                if ends[j.number] <= minute
            )
            power = self.spare_power() + freed
            if nodes >= wanted and power >= power_wanted:
                return Shadow(minute, nodes - wanted, power - power_wanted)
        return None

    def ends_in_time(self, job: Job, nodes: list[int], sight: Shadow) -> bool:
        share = WHOLE * self.width_on(job, len(nodes)) // job.accelerators
        rate = self.setup.efficiency[share] if share < WHOLE else WHOLE
        takes = self.stretch(job.left + job.slack, rate)
        end = self.when(job.group, self.clock(job.group) + takes)
        return self.minute(end) <= sight.minute

    def taken(self, job: Job, nodes: list[int], sight: Shadow) -> tuple[int, int]:
        """What the job would take of the extra, in nodes and in power."""
        power = self.power_of(job, self.width_on(job, len(nodes)))
        if self.is_gang(job):
            return len(nodes), power
        there = self.nodes[nodes[0]].jobs
        return int(all(self.estimated_minute(j) <= sight.minute for j in there)), power

    def passes(self, job: Job, nodes: list[int], sight: Shadow) -> bool:
        if self.ends_in_time(job, nodes, sight):
            return True
        taken, power = self.taken(job, nodes, sight)
        return taken <= sight.nodes and power <= sight.power

    def admit(self, job: Job) -> list[int] | None:
        """The nodes on which it starts now, if it fits and passes the head's test."""
        nodes, sight = self.fit(job), self.sight
        if nodes is None or sight is None or self.passes(job, nodes, sight):
            return nodes
        self.shadowed.add(job.number)
        if not self.is_elastic(job):
            return None
        most = min(len(nodes), sight.nodes)
        while most > 0 and self.power_of(job, self.width_on(job, most)) > sight.power:
            most -= 1
        fewer = self.fit(job, most)
        return fewer if fewer is not None and self.passes(job, fewer, sight) else None

    def take_extra(self, job: Job, nodes: list[int]) -> None:
        sight = self.sight
        if sight is not None and not self.ends_in_time(job, nodes, sight):
            taken, power = self.taken(job, nodes, sight)
            sight.nodes -= taken
            sight.power -= power

    # Taking back and making way.

    def may_look(self, job: Job) -> bool:
        return self.speed[job.group] > 0 and self.now >= self.look_after[job.tenant]

    def claim(self, job: Job, made_way: bool) -> None:
        if not self.may_look(job):
            return
        waits = sum(c.waits for c in self.claims)
        if made_way:
            choice = self.make_way(job, waits)
        elif self.level(job):
            choice = self.choose_room(job)
        else:
            choice = self.reclaim(job, waits)
        if choice is None or not self.is_carried(job, choice.victims):
            self.look_after[job.tenant] = self.now + MINUTE_NS
            return
        self.give_notice(choice.victims)
        no_nodes = choice.place or choice.room is not None
        needs = 0 if no_nodes else max(1, self.least_nodes(job))
        self.claims.append(Claim(job, made_way, choice.place, needs))
        job.state = CLAIMING
        if choice.room is not None:
            self.room = Room(self.level(job), choice.room, job)
        if self.head is None:
            self.protect(job)

    def is_carried(self, job: Job, victims: list[Job]) -> bool:
        freed = sum(self.power_of(v, self.width(v)) for v in victims)
        return self.power_of(job, self.width(job)) <= self.spare_power() + freed

    def give_notice(self, victims: list[Job]) -> None:
        for job in victims:
            job.state = STOPPING
            job.grace_end = self.now + self.setup.grace[job.group]
            self.note("NOTICE", job)

    def will_be_empty(self, node: Node, chosen: list[Job]) -> bool:
        return all(j.state == STOPPING or j in chosen for j in node.jobs)

    def coming(self, chosen: list[Job]) -> int:
        nodes = [n for n in self.in_service() if not self.in_room(n)]
        return sum(self.will_be_empty(n, chosen) for n in nodes)

    def is_quota_short(self, job: Job, chosen: list[Job]) -> bool:
        return self.quota(job, self.soon(chosen, leaving_out=job)) < self.held(job)

    def is_fresh(self, job: Job) -> bool:
        """Whether it began now, and would have to leave now."""
        return self.setup.grace[job.group] == 0 and self.now - job.since < INSTANT_NS

    def is_victim(self, job: Job) -> bool:
        ran = self.now - job.since
        long_enough = ran >= self.setup.min_runtime[job.group] and not self.is_fresh(job)
        return job.state == RUNNING and long_enough

    def is_borrowed(self, job: Job, victim: Job, soon: list[int]) -> bool:
        mine, theirs = self.path(job), self.path(victim)
        own_side = [x for x in mine if x not in theirs]
        other_side = [x for x in theirs if x not in mine]
        if not own_side or not other_side:
            return False
        y, w = own_side[-1], other_side[-1]
        return soon[y] + self.held(job) <= self.effective(y) and soon[w] > self.effective(w)

    def is_own(self, job: Job, victim: Job) -> bool:
        lower = victim.tenant == job.tenant and victim.priority < job.priority
        return lower and self.setup.preempt_within

    def to_lose(self, job: Job) -> int:
        lost = self.done(job) - self.last_checkpoint(job)
        return self.width(job) * self.stretch(lost, job.rate)

    def pick(
        self,
        job: Job,
        chosen: list[Job],
        gangs: bool,
        suits: Callable[[Job], bool] = lambda _: True,
        own_only: bool = False,
    ) -> Job | None:
        """The next victim among running jobs of one kind."""
        soon = self.soon(chosen, leaving_out=job)
        running = [v for v in self.those(RUNNING) if self.is_victim(v) and v not in chosen]
        running = [v for v in running if self.is_gang(v) == gangs]
        for own in (True,) if own_only else (False, True):
            for group in self.setup.victims:
                found: list[Job] = []
                for tenant in range(len(self.rank)):
                    latest = [v for v in running if v.group == group and v.tenant == tenant]
                    latest.sort(key=lambda v: -v.begun_as)
                    found += latest[:LATEST]
                found = [
                    v
                    for v in found
                    if suits(v) and (self.is_own(job, v) if own else self.is_borrowed(job, v, soon))
                ]
                if found:
                    return min(found, key=lambda v: (self.to_lose(v), -v.since, -v.number))
        return None

    def leaves_room(self, job: Job, victim: Job) -> bool:
        """Whether the small job would find its place where this one shares a node."""
        if self.is_gang(victim):
            return False
        node = self.nodes[victim.nodes[0]]
        room = victim.accelerators + self.free(node)
        return not self.in_room(node) and room >= job.accelerators

    def is_guest(self, job: Job, victim: Job, soon: list[int]) -> bool:
        """Whether it runs in the block of the job's tenant, which has a right to it."""
        if victim.state != RUNNING or victim.tenant == job.tenant or self.is_fresh(victim):
            return False
        leaf = self.path(job)[0]
        if soon[leaf] + self.held(job) > self.effective(leaf):
            return False
        return any(self.block_of(self.nodes[n]) == job.tenant for n in victim.nodes)

    def all_on(self, node: Node, job: Job, chosen: list[Job], guests: bool = False) -> list[Job]:
        """All on the node that are not under notice yet, if every one may be a victim."""
        taken: list[Job] = []
        for victim in sorted(node.jobs, key=lambda j: j.number):
            if victim.state == STOPPING or victim in chosen:
                continue
            soon = self.soon(chosen + taken, leaving_out=job)
            may = self.is_borrowed(job, victim, soon) or self.is_own(job, victim)
            may = may and self.is_victim(victim)
            if not may and not (guests and self.is_guest(job, victim, soon)):
                return []
            taken.append(victim)
        return taken

    def reclaim(self, job: Job, waits: int) -> Choice | None:
        choice = Choice()
        needs = max(1, self.least_nodes(job))
        while True:
            chosen = choice.victims
            lacks = not choice.place and self.coming(chosen) - waits < needs
            if not lacks and not self.is_quota_short(job, chosen):
                return choice
            if lacks and not self.is_gang(job):
                small = self.pick(job, chosen, False, lambda v: self.leaves_room(job, v))
                if small is not None:
                    chosen.append(small)
                    choice.place = True
                    continue
            gang = self.pick(job, chosen, True)
            if gang is not None:
                chosen.append(gang)
                continue
            for node in self.in_service():
                shared = not self.in_room(node) and not any(self.is_gang(j) for j in node.jobs)
                if shared and (taken := self.all_on(node, job, chosen)):
                    chosen += taken
                    break
            else:
                taken = self.guests_for(job, chosen)
                if not taken:
                    return None
                chosen += taken

    def guests_for(self, job: Job, chosen: list[Job]) -> list[Job]:
        """All on the first node of its tenant's block that yields, guests among them."""
        for node in self.own_ones(self.in_service(), job):
            taken = [] if self.in_room(node) else self.all_on(node, job, chosen, guests=True)
            if taken:
                return taken
        return []

    def make_way(self, job: Job, waits: int) -> Choice | None:
        if not self.is_gang(job):

            def suits(v: Job) -> bool:
                return self.leaves_room(job, v) and v.accelerators >= job.accelerators

            one = self.pick(job, [], False, suits, own_only=True)
            return None if one is None else Choice([one], place=True)
        chosen: list[Job] = []
        while sum(self.held(v) for v in chosen) < self.held(job) or self.coming(
            chosen
        ) - waits < self.least_nodes(job):
            victim = self.pick(job, chosen, True, own_only=True)
            if victim is None:
                return None
            chosen.append(victim)
        return Choice(chosen)

    def choose_room(self, job: Job) -> Choice | None:
        if self.room is not None:
            return None
        level, needs = self.level(job), self.least_nodes(job)
        units = self.by_unit(self.in_service(), level)

        def missing(unit: int, chosen: list[Job]) -> int:
            return max(0, needs - sum(self.will_be_empty(n, chosen) for n in units[unit]))

        for unit in sorted(units, key=lambda u: (missing(u, []), u)):
            chosen: list[Job] = []
            for node in units[unit]:
                if not missing(unit, chosen) and not self.is_quota_short(job, chosen):
                    break
                chosen += self.all_on(node, job, chosen, guests=True)
            if not missing(unit, chosen):
                short = self.is_quota_short(job, chosen)
                return None if short else Choice(chosen, room=unit)
        return None

    # Explanations.

    def why_blocked(self, job: Job) -> set[str]:
        job = self.by_number[job.number]
        held, count = self.held(job), self.least_nodes(job)
        if self.is_gang(job):
            empty = [n for n in self.in_service() if not n.jobs and not self.in_room(n, job)]
            lacks_nodes = len(empty) < count
        else:
            lacks_nodes = self.shared_place(job) is None
        stands = self.speed[job.group] == 0 or bool(self.those(PAUSED))
        short = self.power_of(job, self.width(job)) > self.spare_power()
        reasons = {
            "held": self.is_held(job),
            "cap": bool(self.broken_caps(job, held)),
            "quota": held > self.quota(job, self.used()),
            "nodes": lacks_nodes,
            "level": not lacks_nodes and self.place(job, count) is None,
            "power": short or stands or self.over_limit(job, self.width(job)),
        }
        again = copy.deepcopy(self)
        again.schedule()
        waits = again.by_number[job.number].state in (QUEUED, CLAIMING)
        if waits and not self.those(PAUSED) and not self.is_held(job):
            reasons["shadow"] = job.number in again.shadowed
            reasons["order"] = job.number not in again.tested
        return {reason for reason, applies in reasons.items() if applies}
