"""What the gate asks the loop to remember, since no workload manager shows it.

`Usage` is past use per quota, older use counting less: fair share ranks tenants by it. `Frozen` is
how long jobs stood still where they are: their start says nothing of it. Both are pure functions of
the day's frames, so a controller that starts again remembers the same. `Touched` is which nodes
changed last, from what is seen; it only breaks ties between equal nodes, and a controller that has
just started does without.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.jobs.ports import JobView, Phase, WorkloadSnapshot
from gigafactory.planner.poolplan import PoolPlan
from gigafactory.runtime.live import frames
from gigafactory.units import NS_PER_S

Ints = npt.NDArray[np.int64]
_STARTS: Final = (frames.START, frames.RESUME)


@dataclass(slots=True)
class _Leaf:
    """Whose a job is: its pool by number, and the nodes of the quota tree from its leaf up."""

    pool: int
    chain: tuple[int, ...]


class Usage:
    """Past use of every quota of the pools under fair share, accelerator-seconds.

    As the scheduler counts it: what is held, running or frozen, by the tenant and by every group
    above; halved every half-life. Pools in another order keep nothing.

    Args:
        plans: in the order of the journal's pools.
        tenants: names in the order of the journal's.
    """

    def __init__(self, plans: Iterable[PoolPlan], tenants: Sequence[str]) -> None:
        self._plans = list(plans)
        self._tenants = tuple(tenants)
        self._used = [np.zeros(len(plan.rules.parent)) for plan in self._plans]
        self._leaf: dict[int, _Leaf] = {}
        self._held: dict[int, int] = {}  # width of what holds accelerators, by job
        self._moves: list[tuple[int, int, int]] = []  # of the interval at hand: when, job, width

    @property
    def kept(self) -> bool:
        """Whether any pool ranks tenants by use."""
        return any(plan.rules.fair_share for plan in self._plans)

    def of(self, pool: str) -> list[float] | None:
        """Of a pool's quotas, in the order of its tree; None where nobody asks."""
        for plan, used in zip(self._plans, self._used, strict=True):
            if plan.name == pool and plan.rules.fair_share:
                return [float(one) for one in used]
        return None

    def used_ms(self) -> Ints:
        """Of every pool's quotas in turn, in whole accelerator-milliseconds."""
        flat = np.concatenate([*self._used, np.zeros(0)])
        return np.asarray(np.rint(flat * 1000.0).astype(np.int64))

    def take(self, frame: frames.LiveFrame) -> None:
        """Count one frame of the day, in the order of the journal."""
        if not self.kept:
            return
        match frame:
            case frames.Begin():
                self._leaf.clear()
                self._held.clear()
                self._moves.clear()
            case frames.Carried():
                at = 0
                for used in self._used:
                    used[:] = frame.used_ms[at : at + len(used)] / 1000.0
                    at += len(used)
            case frames.WorkTaken():
                self._work(frame)
            case frames.Moves():
                self._moved(frame)
            case frames.Metered():
                self._interval(frame.from_ns, frame.to_ns)
            case _:
                pass

    def _work(self, frame: frames.WorkTaken) -> None:
        columns = frame.columns
        for job, tenant, pool in zip(
            columns["job"].tolist(), columns["tenant"].tolist(), columns["pool"].tolist(),
            strict=True,
        ):  # fmt: skip
            plan = self._plans[pool]
            name = self._tenants[tenant] if tenant >= 0 else ""
            if name not in plan.tenants or not plan.rules.tenant_node:
                continue
            node, chain = plan.rules.tenant_node[plan.tenants.index(name)], []
            while node >= 0:
                chain.append(node)
                node = plan.rules.parent[node]
            self._leaf[job] = _Leaf(pool, tuple(chain))

    def _moved(self, frame: frames.Moves) -> None:
        columns = frame.columns
        for i, kind in enumerate(columns["kind"].tolist()):
            holds = kind in (*_STARTS, frames.SPEED) or bool(columns["frozen"][i])
            width = int(columns["width"][i]) if holds else 0
            self._moves.append((int(columns["t_ns"][i]), int(columns["job"][i]), width))

    def _interval(self, from_ns: int, to_ns: int) -> None:
        at = from_ns
        for t_ns, job, width in self._moves:
            until = min(max(t_ns, at), to_ns)
            self._pass(until - at)
            at = until
            if width and job in self._leaf:
                self._held[job] = width
            else:
                self._held.pop(job, None)
        self._moves.clear()
        self._pass(to_ns - at)

    def _pass(self, took_ns: int) -> None:
        if took_ns <= 0:
            return
        for plan, used in zip(self._plans, self._used, strict=True):
            used *= 0.5 ** (took_ns / plan.rules.half_life_ns)
        took_s = took_ns / NS_PER_S
        for job, width in self._held.items():
            leaf = self._leaf[job]
            for node in leaf.chain:
                self._used[leaf.pool][node] += width * took_s


@dataclass(slots=True)
class Frozen:
    """How long jobs stood still where they are since their latest start, by our key."""

    stood_ns: dict[str, int] = field(default_factory=dict)
    _since: dict[str, int] = field(default_factory=dict)
    _key: dict[int, str] = field(default_factory=dict)

    def take(self, frame: frames.LiveFrame) -> None:
        """Count one frame of the day, in the order of the journal."""
        match frame:
            case frames.Begin():
                for key, since in self._since.items():  # what stands is told again behind this
                    self._stand(key, frame.edges_ns[0] - since)
                self._since.clear()
                self._key.clear()
            case frames.Carried():
                told = zip(frame.stood_keys, frame.stood_ns.tolist(), strict=True)
                self.stood_ns = {key: int(stood) for key, stood in told}
            case frames.WorkTaken():
                self._key.update(zip(frame.columns["job"].tolist(), frame.keys, strict=True))
            case frames.Moves():
                self._moved(frame)
            case _:
                pass

    def seen(self, snapshot: WorkloadSnapshot) -> WorkloadSnapshot:
        """A snapshot in which what stood still does not count as work.

        A job that goes on began so much later; one that stands keeps what it did before.
        """
        if not self._since and not self.stood_ns:
            return snapshot
        jobs = tuple(self._view(view, snapshot.at_ns) for view in snapshot.jobs)
        return replace(snapshot, jobs=jobs)

    def _view(self, view: JobView, at_ns: int) -> JobView:
        start = view.start_ns
        if not view.ours or start is None:
            return view
        stood = self.stood_ns.get(view.key, 0)
        if view.phase is Phase.RUNNING and stood:
            return replace(view, start_ns=min(start + stood, at_ns))
        since = self._since.get(view.key)
        if view.frozen and since is not None:
            ran_s = max(since - start - stood, 0) / NS_PER_S
            return replace(view, start_ns=at_ns, ran_s=view.ran_s + ran_s)
        return view

    def _moved(self, frame: frames.Moves) -> None:
        columns = frame.columns
        names = ("kind", "job", "t_ns", "frozen")
        for kind, job, t_ns, frozen in zip(*(columns[n].tolist() for n in names), strict=True):
            key = self._key.get(job, "")
            if kind == frames.PAUSE and frozen:
                self._since[key] = t_ns
            elif kind in _STARTS and key in self._since:
                self._stand(key, t_ns - self._since.pop(key))
            elif kind not in (*_STARTS, frames.SPEED):
                self._since.pop(key, None)
                self.stood_ns.pop(key, None)

    def _stand(self, key: str, took_ns: int) -> None:
        self.stood_ns[key] = self.stood_ns.get(key, 0) + max(took_ns, 0)


class Memory:
    """Both of these, and the frame that hands them to the next day."""

    def __init__(self, plans: Iterable[PoolPlan], tenants: Sequence[str]) -> None:
        self.usage = Usage(plans, tenants)
        self.frozen = Frozen()

    def take(self, frame: frames.LiveFrame) -> None:
        """Count one frame of the day, in the order of the journal."""
        self.usage.take(frame)
        self.frozen.take(frame)

    def carried(self) -> frames.Carried | None:
        """What the day that has just begun goes on from; None for nothing."""
        used = self.usage.used_ms()
        stood = self.frozen.stood_ns
        if not used.any() and not stood:
            return None
        keys = tuple(sorted(stood))
        return frames.Carried(used, keys, np.array([stood[key] for key in keys], np.int64))


@dataclass(slots=True)
class Touched:
    """Which nodes changed last: their ranks, the latest change highest.

    Attributes:
        ranks: by name; nodes that have not changed since the first look are not in it.
    """

    ranks: dict[str, int] = field(default_factory=dict)
    _here: dict[str, tuple[tuple[str, ...], int]] = field(default_factory=dict)
    _count: int = 0

    def see(self, snapshot: WorkloadSnapshot) -> None:
        """Compare with the look before: what left its nodes, and what came to some."""
        here = {v.job: (v.nodes, v.start_ns or 0) for v in snapshot.jobs if _holds(v)}
        ends = {e.job: e.end_ns for e in snapshot.ended}
        changes: list[tuple[int, int, str, str]] = []
        for job, (nodes, start_ns) in self._here.items():
            if here.get(job) != (nodes, start_ns):
                at = ends.get(job, snapshot.at_ns if job not in here else here[job][1])
                changes += [(at, 0, job, node) for node in reversed(nodes)]
        for job, (nodes, start_ns) in here.items():
            if self._here.get(job) != (nodes, start_ns):
                changes += [(start_ns, 1, job, node) for node in nodes]
        changes.sort(key=lambda c: (c[0], c[1], len(c[2]), c[2]))  # stable: nodes keep their order
        for _, _, _, node in changes:
            self._count += 1
            self.ranks[node] = self._count
        self._here = here


def _holds(view: JobView) -> bool:
    return bool(view.nodes) and (view.phase is Phase.RUNNING or view.frozen)
