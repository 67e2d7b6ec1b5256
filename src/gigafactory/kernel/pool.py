"""A pool of equal nodes, as an object: the compiled functions with their arrays, no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gigafactory.kernel.advance import (
    advance,
    hold_groups,
    set_budget,
    set_groups,
    set_service,
)
from gigafactory.kernel.state import GROUP, GROUPS, NEVER, VARS, JobState, Kind, State, new_state

Ints = npt.NDArray[np.int64]

#: No interval handed to the compiled loop is longer, so that power times time fits in 64 bits.
CHUNK_NS = 1800 * 1_000_000_000
#: Longest run time of a job: two years; virtual time times a speed must fit in 64 bits.
LONGEST_NS = 730 * 86_400 * 1_000_000_000

_AT = {name: i for i, name in enumerate(GROUP.names or ())}
_VAR = {name: i for i, name in enumerate(VARS.names or ())}
_RESET = [_AT[name] for name in ("used_ns", "work_ns", "paused_ns", "lost_ns", "used_uwh")]
_READ = [*_RESET, _AT["energy"], _AT["running"]]


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """What a pool is.

    Attributes:
        nodes: installed nodes; they start out of service.
        node_size: accelerators per node.
        idle_power_mw: milliwatts an accelerator in service draws at rest, its share of the node
            included.
        depth: queued jobs tested without starting before a backfill pass stops.
        victims: group numbers in the order in which power or nodes are taken from them.
    """

    nodes: int
    node_size: int
    idle_power_mw: int  # units-ok: milliwatt, the kernel's integer unit
    depth: int
    victims: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Records:
    """What happened to jobs, in order; equal-length columns.

    Attributes:
        kind: `Kind`.
        job: job number in the pool.
        t_ns: instant.
        start_ns: instant the closed segment began (equal to `t_ns` for starts and resumptions).
        energy0_uwh: the group's energy integral then, micro-watt-hours per accelerator.
        energy1_uwh: the integral now.
    """

    kind: npt.NDArray[np.uint8]
    job: npt.NDArray[np.int32]
    t_ns: Ints
    start_ns: Ints
    energy0_uwh: Ints
    energy1_uwh: Ints

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True, slots=True)
class GroupReading:
    """Integrals of the groups since the last reading; int64 arrays of length `GROUPS`.

    Attributes:
        used_ns: active accelerator-nanoseconds.
        work_ns: the same weighted by speed.
        paused_ns: accelerator-nanoseconds held by paused jobs.
        lost_ns: accelerator-nanoseconds of work rolled back to a checkpoint.
        used_uwh: energy of active accelerators, micro-watt-hours.
        energy_uwh: the running integral per accelerator at the end, micro-watt-hours.
        running: active accelerators at the end.
    """

    used_ns: Ints
    work_ns: Ints
    paused_ns: Ints
    lost_ns: Ints
    used_uwh: Ints
    energy_uwh: Ints
    running: Ints


@dataclass(frozen=True, slots=True)
class PoolReading:
    """What the meters of a pool say about the interval since the last reading.

    Attributes:
        groups: per group.
        held_ns: accelerator-nanoseconds on nodes held by jobs, whole nodes for gangs.
        service_ns: accelerator-nanoseconds in service.
        in_service: nodes in service at the end.
        queued: jobs in the queue at the end.
        queued_accelerators: accelerators they ask.
        draw_mw: milliwatts drawn at the end.
    """

    groups: GroupReading
    held_ns: int
    service_ns: int
    in_service: int
    queued: int
    queued_accelerators: int
    draw_mw: int  # units-ok: milliwatt, the kernel's integer unit


class Pool:
    """A pool and its jobs, advanced from instant to instant."""

    def __init__(
        self,
        spec: PoolSpec,
        *,
        origin_ns: int,
        end_ns: int,
        submit_ns: Ints,
        need_ns: Ints,
        walltime_ns: Ints,
        accelerators: npt.NDArray[np.int32],
        priority: npt.NDArray[np.int8],
        group: npt.NDArray[np.int8],
    ) -> None:
        """Lay out a pool with all jobs that will be submitted to it, in order of submission.

        Args:
            spec: the nodes.
            origin_ns: first instant.
            end_ns: last instant that will be asked for.
            submit_ns: instants of submission, ascending; earlier than `origin_ns` counts as then.
            need_ns: run time at full speed.
            walltime_ns: the user's estimate; a job that needs more ends at its limit.
            accelerators: asked for, at most the pool's.
            priority: 0 to 7, higher first.
            group: 0 to 7, the group of speed and power.
        """
        self.spec = spec
        self.state = new_state(
            jobs=len(submit_ns),
            nodes=spec.nodes,
            node_size=spec.node_size,
            origin_ns=origin_ns,
            end_ns=end_ns,
            depth=spec.depth,
        )
        # groups and variables hold int64 alone: plain views of them are quick to read
        self._group = self.state.group.view(np.int64).reshape(GROUPS, -1)
        self._vars = self.state.v.view(np.int64)
        assert np.all(np.diff(submit_ns) >= 0), "jobs come in order of submission"
        assert np.all((accelerators > 0) & (accelerators <= spec.nodes * spec.node_size))
        assert np.all((need_ns >= 0) & (need_ns <= LONGEST_NS)), "a run of over two years"
        assert np.all((priority >= 0) & (priority < 8) & (group >= 0) & (group < GROUPS))
        job = self.state.job
        job["submit"] = np.maximum(submit_ns, origin_ns)
        job["estimate"] = np.minimum(walltime_ns, LONGEST_NS)
        job["limited"] = need_ns > walltime_ns
        job["need"] = job["left"] = np.minimum(need_ns, walltime_ns)
        ask = self.state.ask
        ask["rest"] = job["estimate"]
        ask["accelerators"] = accelerators
        whole = accelerators >= spec.node_size
        ask["nodes"] = np.where(whole, -(-accelerators // spec.node_size), 0)
        ask["priority"] = priority
        ask["group"] = group
        v = self.state.v
        v["idle_power"] = spec.idle_power_mw
        v["horizon"] = len(submit_ns)
        self._victims = np.array(spec.victims, np.int64)

    @property
    def t_ns(self) -> int:
        """The instant reached."""
        return int(self._vars[_VAR["t"]])

    def set_groups(self, speed: Ints, power_mw: Ints, checkpoint_ns: Ints | None = None) -> None:
        """Set speed (of `FULL_SPEED`) and power (mW per active accelerator) of every group, now."""
        if checkpoint_ns is not None:
            self.state.group["checkpoint"] = checkpoint_ns
        set_groups(self.state, speed.astype(np.int64), power_mw.astype(np.int64))

    def hold(self, held: npt.NDArray[np.bool_]) -> None:
        """Keep the queued jobs of some groups from starting; call `set_budget` after it."""
        hold_groups(self.state, held.astype(np.int64))

    def set_budget(self, budget_mw: int | None) -> int:
        """Set the power budget in milliwatts (None: no limit), now; returns the draw."""
        return set_budget(self.state, NEVER if budget_mw is None else budget_mw, self._victims)

    def set_service(self, nodes: int) -> int:
        """Bring the nodes in service to a number, now; returns the number reached."""
        return set_service(self.state, min(nodes, self.spec.nodes), self._victims)

    def advance(self, until_ns: int) -> Records:
        """Process every event before `until_ns` and return what happened."""
        parts: list[Records] = []
        while self.t_ns < until_ns:
            goal = min(until_ns, self.t_ns + CHUNK_NS)
            while advance(self.state, goal) < goal:
                parts.append(self._drain())
        parts.append(self._drain())
        return _joined(parts)

    def _drain(self) -> Records:
        n = int(self._vars[_VAR["records"]])
        self._vars[_VAR["records"]] = 0
        kind, job, t, start, energy0, energy1 = self.state.out[:n].T.copy()
        return Records(kind.astype(np.uint8), job.astype(np.int32), t, start, energy0, energy1)

    def read(self) -> PoolReading:
        """Read the meters and set their interval integrals back to nought."""
        used, work, paused, lost, used_uwh, energy, running = self._group[:, _READ].T
        reading = PoolReading(
            groups=GroupReading(used, work, paused, lost, used_uwh, energy, running),
            held_ns=int(self._vars[_VAR["held_ns"]]),
            service_ns=int(self._vars[_VAR["service_ns"]]),
            in_service=int(self._vars[_VAR["in_service"]]),
            queued=int(self.state.queue["length"].sum()),
            queued_accelerators=int(self.state.asking.sum()),
            draw_mw=int(self._vars[_VAR["draw"]]),
        )
        self._group[:, _RESET] = 0
        self._vars[[_VAR["held_ns"], _VAR["service_ns"]]] = 0
        return reading

    def snapshot(self) -> dict[str, npt.NDArray[np.generic]]:
        """Every array of the state, by name; no records may be waiting."""
        assert self.state.v[0]["records"] == 0
        skip = ("out", "batch")
        return {n: a for n, a in zip(State._fields, self.state, strict=True) if n not in skip}

    def restore(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Put back what `snapshot` gave, bit for bit."""
        for name, array in arrays.items():
            getattr(self.state, name)[...] = array

    def open_segments(self) -> Records:
        """The segments of jobs still running, as if they closed now, without touching anything."""
        running = np.flatnonzero(self.state.job["state"] == int(JobState.RUNNING)).astype(np.int32)
        job = self.state.job[running]
        now = np.full(len(running), self.t_ns, np.int64)
        return Records(
            kind=np.full(len(running), int(Kind.PAUSE), np.uint8),
            job=running,
            t_ns=now,
            start_ns=job["start"].copy(),
            energy0_uwh=job["energy"].copy(),
            energy1_uwh=self.state.group["energy"][self.state.ask["group"][running]].copy(),
        )


def _joined(parts: list[Records]) -> Records:
    if len(parts) == 1:
        return parts[0]
    return Records(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("kind", "job", "t_ns", "start_ns", "energy0_uwh", "energy1_uwh")
        )
    )
