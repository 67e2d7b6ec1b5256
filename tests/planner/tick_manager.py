"""A tiny workload manager for the gate: it runs what it is told, and forgets nothing it must show.

Its rule for nodes is the kernel's, written again in a plain way: gangs as close together as they
fit, small jobs on the fullest node.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tick_twin import NAMES, Case, S

from gigafactory.jobs.ports import Action, JobView, NodeView, Phase, WorkloadSnapshot
from gigafactory.planner.poolplan import CLASSES, PoolPlan
from gigafactory.planner.tick import TickDecision


def works_of(case: Case) -> list[Work]:
    """The jobs of a case as this manager takes them."""
    size, jobs = case.plan.node_size, case.jobs
    found = []
    for i in range(len(jobs["need_ns"])):
        width = int(jobs["accelerators"][i])
        view = JobView(
            job=f"j{i:04d}",
            tenant=NAMES[int(jobs["tenant"][i])],
            phase=Phase.HELD,
            accelerators=width,
            submit_ns=int(jobs["submit_ns"][i]),
            start_ns=None,
            walltime_s=int(jobs["walltime_ns"][i]) / S,
            key=f"j{i:04d}",
            job_class=CLASSES[int(jobs["group"][i])],
            priority=int(jobs["priority"][i]),
            pool=case.plan.name,
            nodes_asked=-(-width // size) if width >= size else 0,
        )
        found.append(Work(view, int(jobs["need_ns"][i])))
    return found


@dataclass
class Work:
    """A job, and what has become of it; `kept_ns` of its work was safe when it last left."""

    view: JobView
    need_ns: int
    done_ns: int = 0
    kept_ns: int = 0
    since_ns: int = -1
    nodes: list[int] = field(default_factory=list)


class TinyManager:
    """Jobs on nodes, with whole-node gangs; work advances by the wall, at full speed."""

    def __init__(self, plan: PoolPlan, work: list[Work], checkpoint_ns: int = 0) -> None:
        self.plan = plan
        self.coming = sorted(work, key=lambda w: (w.view.submit_ns, w.view.job))
        self.here: dict[str, Work] = {}
        self.ended: list[str] = []
        self.free = [plan.node_size] * len(plan.nodes)
        self.stamp = [-n for n in range(len(plan.nodes))]
        self.changes = 0
        self.paused: list[str] = []
        self.checkpoint_ns = checkpoint_ns

    # --- time -------------------------------------------------------------------------------

    def go_to(self, t: int) -> None:
        """Let jobs end and come, before an instant."""
        for job, work in sorted(self.here.items(), key=lambda kv: (self.end_of(kv[1]), kv[0])):
            if work.view.phase is Phase.RUNNING and self.end_of(work) < t:
                self.vacate(work)
                self.ended.append(job)
                del self.here[job]
        while self.coming and self.coming[0].view.submit_ns < t:
            work = self.coming.pop(0)
            self.here[work.view.job] = work

    def end_of(self, work: Work) -> int:
        return work.since_ns + work.need_ns - work.done_ns

    # --- nodes ------------------------------------------------------------------------------

    def touch(self, n: int, change: int) -> None:
        self.free[n] += change
        self.changes += 1
        self.stamp[n] = self.changes

    def empty_by(self, wide: int) -> dict[int, list[int]]:
        units: dict[int, list[int]] = {}
        for n, free in enumerate(self.free):
            if free == self.plan.node_size:
                units.setdefault(n // wide, []).append(n)
        return units

    def roomiest_first(self, nodes: list[int]) -> list[int]:
        """Racks with most empty nodes first, in each those that came free last."""
        racks: dict[int, list[int]] = {}
        for n in nodes:
            racks.setdefault(n // self.plan.rack_nodes, []).append(n)
        order = sorted(racks, key=lambda r: (-len(racks[r]), r))
        return [n for r in order for n in sorted(racks[r], key=lambda n: -self.stamp[n])]

    def place_gang(self, count: int) -> list[int]:
        for wide in (self.plan.rack_nodes, self.plan.pod_nodes):
            units = self.empty_by(wide)
            fitting = [u for u in units if len(units[u]) >= count]
            if fitting:
                best = min(fitting, key=lambda u: (len(units[u]), u))
                return self.roomiest_first(units[best])[:count]
        pods = self.empty_by(self.plan.pod_nodes)
        order = sorted(pods, key=lambda p: (-len(pods[p]), p))
        return [n for p in order for n in self.roomiest_first(pods[p])][:count]

    def place_small(self, width: int) -> list[int]:
        size = self.plan.node_size
        shared = [n for n, free in enumerate(self.free) if width <= free < size]
        if shared:
            return [min(shared, key=lambda n: (self.free[n], -self.stamp[n]))]
        racks = self.empty_by(self.plan.rack_nodes)
        best = min(racks, key=lambda r: (len(racks[r]), r), default=None)
        return [] if best is None else [max(racks[best], key=lambda n: self.stamp[n])]

    def vacate(self, work: Work) -> None:
        size, width = self.plan.node_size, work.view.accelerators
        for n in reversed(work.nodes):
            self.touch(n, size if width >= size else width)
        work.nodes = []

    # --- what it is told ----------------------------------------------------------------------

    def act(self, told: TickDecision, t: int) -> None:
        for action, job in told.steps:
            {
                Action.REQUEUE: self.requeue,
                Action.PAUSE: self.pause,
                Action.RESUME: self.resume,
                Action.RELEASE: self.start,
            }[action](job, t)

    def requeue(self, job: str, t: int) -> None:
        work = self.here[job]
        self.stop(work, t)  # it has saved before it left
        work.kept_ns = work.done_ns
        self.vacate(work)
        work.view = replace(work.view, phase=Phase.HELD)
        if job in self.paused:
            self.paused.remove(job)

    def pause(self, job: str, t: int) -> None:
        self.stop(self.here[job], t)
        self.here[job].view = replace(self.here[job].view, phase=Phase.PAUSED)
        self.paused.append(job)

    def resume(self, job: str, t: int) -> None:
        self.run(self.here[job], t)
        self.paused.remove(job)

    def start(self, job: str, t: int) -> None:
        work, size = self.here[job], self.plan.node_size
        width = work.view.accelerators
        assert work.view.phase is Phase.HELD
        count = -(-width // size)
        work.nodes = self.place_gang(count) if width >= size else self.place_small(width)
        assert len(work.nodes) == count, f"{job} does not fit"
        for n in work.nodes:
            self.touch(n, -size if width >= size else -width)
        self.run(work, t)

    def renew(self, job: str, t: int) -> None:
        """Let a running job count as having begun now."""
        self.stop(self.here[job], t)
        self.run(self.here[job], t)

    def run(self, work: Work, t: int) -> None:
        work.since_ns = t
        work.view = replace(work.view, phase=Phase.RUNNING)

    def stop(self, work: Work, t: int) -> None:
        if work.view.phase is Phase.RUNNING:
            work.done_ns += t - work.since_ns

    # --- what it shows ------------------------------------------------------------------------

    def snapshot(self, t: int) -> WorkloadSnapshot:
        names, size = self.plan.nodes, self.plan.node_size
        views = []
        for work in self.here.values():
            running = work.view.phase is Phase.RUNNING
            saved = None
            if running and self.checkpoint_ns:
                done = work.done_ns + t - work.since_ns
                kept = max(done - done % self.checkpoint_ns, work.kept_ns)
                saved = t - (done - kept)
            views.append(
                replace(
                    work.view,
                    start_ns=work.since_ns if work.nodes else None,
                    nodes=tuple(names[n] for n in work.nodes),
                    ran_s=work.done_ns / S,
                    saved_ns=saved,
                    frozen=work.view.phase is Phase.PAUSED,
                )
            )
        nodes = tuple(NodeView(name, self.plan.name, size) for name in names)
        return WorkloadSnapshot(
            t, tuple(sorted(views, key=lambda v: v.job)), len(nodes) * size, nodes
        )

    def paused_before(self) -> dict[str, int]:
        return {job: i for i, job in enumerate(self.paused)}

    def touched_before(self) -> dict[str, int]:
        return dict(zip(self.plan.nodes, self.stamp, strict=True))
