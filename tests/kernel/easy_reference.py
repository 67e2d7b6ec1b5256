"""A deliberately naive EASY scheduler: lists and loops, everything recomputed at every instant.

Written from the rules alone (`docs/explanation/scheduler.md`), not from the kernel: it keeps no
Fenwick tree, no heaps, no shadow between passes. Slow on purpose; the kernel must agree with every
start it makes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MINUTE_NS = 60_000_000_000
FULL = 128


@dataclass
class Job:
    number: int
    submit: int
    need: int
    estimate: int
    accelerators: int
    priority: int
    group: int
    start: int = -1
    end: int = -1
    limited: bool = False
    bucket: int = -1
    nodes: list[int] = field(default_factory=list)


@dataclass
class Node:
    free: int
    stamp: int = 0
    jobs: list[Job] = field(default_factory=list)


class Reference:
    """The scheduler of one pool with constant speeds, powers and budget."""

    def __init__(
        self,
        nodes: int,
        node_size: int,
        depth: int,
        speed: list[int],
        power: list[int],
        idle: int,
        budget: int | None,
        origin: int,
    ) -> None:
        self.node_size = node_size
        self.depth = depth
        self.speed = speed
        self.extra_draw = [p - idle for p in power]
        self.budget = None if budget is None else budget - nodes * node_size * idle
        self.origin = origin
        self.nodes = [Node(node_size) for _ in range(nodes)]
        self.running: list[Job] = []
        self.queue: list[Job] = []
        self.stamp = 0

    def duration(self, virtual: int, group: int) -> int:
        return -(-virtual * FULL // self.speed[group])

    def reached(self, t: int, virtual: int, group: int) -> int:
        """When the group's clock, which shows whole nanoseconds, has moved on by `virtual`."""
        clock = (t - self.origin) * self.speed[group] // FULL
        return self.origin + self.duration(clock + virtual, group)

    def bucket(self, instant: int) -> int:
        return -(-(instant - self.origin) // MINUTE_NS)

    def draw(self) -> int:
        return sum(j.accelerators * self.extra_draw[j.group] for j in self.running)

    def spare_power(self) -> int:
        return 10**30 if self.budget is None else self.budget - self.draw()

    def power(self, job: Job) -> int:
        return job.accelerators * self.extra_draw[job.group]

    def shared_node(self, job: Job) -> int | None:
        """Best fit: fullest node with room; among equals the one that changed last."""
        fitting = [n for n, node in enumerate(self.nodes) if node.free >= job.accelerators]
        if not fitting:
            return None
        least = min(self.nodes[n].free for n in fitting)
        return max(
            (n for n in fitting if self.nodes[n].free == least), key=lambda n: self.nodes[n].stamp
        )

    def whole_nodes(self) -> list[int]:
        return [n for n, node in enumerate(self.nodes) if node.free == self.node_size]

    def gang(self, job: Job) -> int:
        return -(-job.accelerators // self.node_size) if job.accelerators >= self.node_size else 0

    def fits(self, job: Job) -> bool:
        if self.power(job) > self.spare_power():
            return False
        if self.gang(job):
            return len(self.whole_nodes()) >= self.gang(job)
        return self.shared_node(job) is not None

    def start(self, job: Job, t: int) -> None:
        self.queue.remove(job)
        job.start = t
        job.end = self.reached(t, min(job.need, job.estimate), job.group)
        job.limited = job.need > job.estimate
        job.bucket = self.bucket(self.reached(t, job.estimate, job.group))
        if self.gang(job):
            job.nodes = self.whole_nodes()[: self.gang(job)]
            for n in job.nodes:
                self.nodes[n].free = 0
        else:
            n = self.shared_node(job)
            assert n is not None
            job.nodes = [n]
            self.nodes[n].free -= job.accelerators
            self.stamp += 1
            self.nodes[n].stamp = self.stamp
        for n in job.nodes:
            self.nodes[n].jobs.append(job)
        self.running.append(job)

    def finish(self, job: Job) -> None:
        self.running.remove(job)
        for n in job.nodes:
            self.nodes[n].jobs.remove(job)
            self.nodes[n].free += self.node_size if self.gang(job) else job.accelerators
            self.stamp += 1
            self.nodes[n].stamp = self.stamp

    def shadow(self, head: Job, t: int) -> tuple[int, int, int] | None:
        """The first minute at which the head fits, and the nodes and power it leaves over then."""
        wanted = max(self.gang(head), 1)
        for b in sorted({self.bucket(t), *(j.bucket for j in self.running)}):
            free = sum(all(j.bucket <= b for j in node.jobs) for node in self.nodes)
            power = self.spare_power() + sum(self.power(j) for j in self.running if j.bucket <= b)
            if free >= wanted and power >= self.power(head):
                return b, free - wanted, power - self.power(head)
        return None

    def schedule(self, t: int) -> None:
        self.queue.sort(key=lambda j: (-j.priority, j.submit, j.number))
        while self.queue and self.fits(self.queue[0]):
            self.start(self.queue[0], t)
        if not self.queue:
            return
        sight = self.shadow(self.queue[0], t)
        by, nodes_left, power_left = sight if sight else (10**18, 0, 0)
        tested = 0
        for job in self.queue[1:]:
            if tested == self.depth:
                break
            if not self.fits(job):
                tested += 1
                continue
            end = self.bucket(self.reached(t, job.estimate, job.group))
            if end > by:
                if self.gang(job):
                    taken = self.gang(job)
                else:
                    n = self.shared_node(job)
                    assert n is not None
                    taken = int(all(j.bucket <= by for j in self.nodes[n].jobs))
                if taken > nodes_left or self.power(job) > power_left:
                    tested += 1
                    continue
                nodes_left -= taken
                power_left -= self.power(job)
            self.start(job, t)

    def run(self, jobs: list[Job]) -> None:
        waiting = sorted(jobs, key=lambda j: (j.submit, j.number))
        while waiting or self.running:
            t = min([j.end for j in self.running] + [j.submit for j in waiting[:1]])
            for job in sorted((j for j in self.running if j.end == t), key=lambda j: j.number):
                self.finish(job)
            while waiting and waiting[0].submit == t:
                self.queue.append(waiting.pop(0))
            self.schedule(t)
