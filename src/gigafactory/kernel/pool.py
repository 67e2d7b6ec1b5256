"""A pool of equal nodes, as an object: the compiled functions with their arrays, no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from gigafactory.kernel.door import Order, obey
from gigafactory.kernel.handle import Handle
from gigafactory.kernel.rules import NO_RULES, Rules
from gigafactory.kernel.state import (
    DUE,
    FAULT,
    GROUP,
    GROUPS,
    LONGEST_NS,
    NEVER,
    SCRATCH,
    VARS,
    WORD,
    JobState,
    Kind,
    State,
    Why,
    new_state,
)

Ints = npt.NDArray[np.int64]

#: No interval handed to the compiled loop is longer, so that power times time fits in 64 bits.
CHUNK_NS = 1800 * 1_000_000_000

_AT = {name: i for i, name in enumerate(GROUP.names or ())}
_VAR = {name: i for i, name in enumerate(VARS.names or ())}
_RESET = [
    _AT[name]
    for name in (
        *("used_ns", "work_ns", "slowed_ns", "paused_ns"),
        *("lost_ns", "failed_ns", "preempted_ns", "restart_ns", "used_uwh"),
    )
]
_READ = [*_RESET, _AT["energy"], _AT["running"]]
_VARS_READ = [_VAR[name] for name in ("held_ns", "service_ns", "down_ns")]
_AWAY = int(JobState.AWAY)
_NO_INTS: Ints = np.zeros(GROUPS, np.int64)
_QUOTA_READ = ("held_ns", "borrowed_ns", "short_ns")


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
        rack_nodes: nodes of a rack (an NVLink domain, a switch).
        pod_nodes: nodes of a pod, a multiple of those of a rack.
        span_rate: rate of a gang that lies in several pods, of `FULL_RATE`.
        rules: quotas, order, preemption and failures; by default there are none.
    """

    nodes: int
    node_size: int
    idle_power_mw: int  # units-ok: milliwatt, the kernel's integer unit
    depth: int
    victims: tuple[int, ...]
    rack_nodes: int = 8
    pod_nodes: int = 128
    span_rate: int = 1024
    rules: Rules = NO_RULES


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
        width: accelerators the job ran on.
        why: for starts what it had waited for, a `Why` plus 256 times the quota node that said so;
            for preemptions the number of the job that made it go.
        lost_ns: accelerator-nanoseconds of work rolled back, for those that were stopped.
    """

    kind: npt.NDArray[np.uint8]
    job: npt.NDArray[np.int32]
    t_ns: Ints
    start_ns: Ints
    energy0_uwh: Ints
    energy1_uwh: Ints
    width: npt.NDArray[np.int32]
    why: npt.NDArray[np.int32]
    lost_ns: Ints

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True, slots=True)
class GroupReading:
    """Integrals of the groups since the last reading; int64 arrays of length `GROUPS`.

    Attributes:
        used_ns: active accelerator-nanoseconds.
        work_ns: the same weighted by speed.
        slowed_ns: of these, what jobs' own rates took: gangs over pods, narrow elastic jobs.
        paused_ns: accelerator-nanoseconds held by paused jobs.
        lost_ns: accelerator-nanoseconds of work rolled back to a checkpoint for a limit.
        failed_ns: the same for failures.
        preempted_ns: the same for others' guarantees and priorities.
        restart_ns: accelerator-nanoseconds spent starting again.
        used_uwh: energy of active accelerators, micro-watt-hours.
        energy_uwh: the running integral per accelerator at the end, micro-watt-hours.
        running: active accelerators at the end.
    """

    used_ns: Ints
    work_ns: Ints
    slowed_ns: Ints
    paused_ns: Ints
    lost_ns: Ints
    failed_ns: Ints
    preempted_ns: Ints
    restart_ns: Ints
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
        broken_ns: accelerator-nanoseconds of nodes that wait for repair.
        quotas: per node of the quota tree, accelerator-nanoseconds held, of these borrowed, and
            asked within the nominal quota but not had, int64[nodes, 3].
        in_service: nodes in service at the end.
        queued: jobs in the queue at the end.
        queued_accelerators: accelerators they ask.
        draw_mw: milliwatts drawn at the end.
    """

    groups: GroupReading
    held_ns: int
    service_ns: int
    broken_ns: int
    quotas: Ints
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
        tenant: npt.NDArray[np.int16] | None = None,
        accelerators_min: npt.NDArray[np.int32] | None = None,
        level: npt.NDArray[np.int8] | None = None,
        urgent_ns: Ints | None = None,
        away: npt.NDArray[np.bool_] | None = None,
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
            tenant: whose it is, an index into the tenants of the rules; all the first if omitted.
            accelerators_min: smallest gang an elastic job runs on; 0 for a rigid one.
            level: 1 or 2 where the gang must lie in one rack or one pod.
            urgent_ns: instant at which its deadline comes near; `NEVER` for none.
            away: whether it comes to another pool, unless it is admitted here.
        """
        self.spec = spec
        rules = spec.rules
        self.state = new_state(
            jobs=len(submit_ns),
            nodes=spec.nodes,
            node_size=spec.node_size,
            rack_nodes=spec.rack_nodes,
            pod_nodes=spec.pod_nodes,
            tenants=len(rules.tenant_node),
            quotas=len(rules.parent),
            origin_ns=origin_ns,
            end_ns=end_ns,
            depth=spec.depth,
        )
        # they hold int64 alone: plain views of them are quick to read
        self._group = self.state.group.view(np.int64).reshape(GROUPS, -1)
        self._vars = self.state.v.view(np.int64)
        assert tenant is None or np.all((tenant >= 0) & (tenant < len(rules.tenant_node)))
        assert np.all((priority >= 0) & (priority < 8) & (group >= 0) & (group < GROUPS))
        self._note_jobs(submit_ns, need_ns, walltime_ns, accelerators, accelerators_min)
        self.state.ask["priority"] = priority
        self.state.ask["group"] = group
        self.state.ask["tenant"] = 0 if tenant is None else tenant
        if level is not None:
            self.state.job["level"] = np.where(self.state.ask["nodes"] > 0, level, 0)
        if urgent_ns is not None:
            self._see_urgent(np.maximum(urgent_ns, self.state.job["submit"] + 1))
        self.state.job["state"] = int(JobState.FUTURE) if away is None else away * _AWAY
        v = self.state.v
        v["idle_power"] = spec.idle_power_mw
        v["horizon"] = len(submit_ns)
        v["span_rate"] = spec.span_rate
        self._tell_rules(rules)
        self._handle = Handle(self.state)

    def _note_jobs(
        self,
        submit_ns: Ints,
        need_ns: Ints,
        walltime_ns: Ints,
        accelerators: npt.NDArray[np.int32],
        accelerators_min: npt.NDArray[np.int32] | None,
    ) -> None:
        """Write what the jobs ask into the arrays of the state."""
        assert np.all(np.diff(submit_ns) >= 0), "jobs come in order of submission"
        assert np.all((need_ns >= 0) & (need_ns <= LONGEST_NS)), "a run of over two years"
        most = self.spec.nodes * self.spec.node_size
        assert np.all((accelerators > 0) & (accelerators <= most))
        job, ask, size = self.state.job, self.state.ask, self.spec.node_size
        job["submit"] = np.maximum(submit_ns, self.state.v["origin"][0])
        job["estimate"] = np.minimum(walltime_ns, LONGEST_NS)
        job["limited"] = need_ns > walltime_ns
        job["need"] = job["left"] = np.minimum(need_ns, walltime_ns)
        ask["rest"] = job["estimate"]
        ask["accelerators"] = accelerators
        whole = accelerators >= size
        ask["least"] = ask["nodes"] = np.where(whole, -(-accelerators // size), 0)
        if accelerators_min is not None:
            elastic = whole & (accelerators_min > 0)
            least = -(-np.maximum(accelerators_min, 1) // size)
            ask["least"] = np.where(elastic, np.minimum(least, ask["nodes"]), ask["nodes"])

    def _see_urgent(self, urgent_ns: Ints) -> None:
        """Sort the instants at which jobs become urgent."""
        some = np.flatnonzero(urgent_ns < NEVER)
        order = some[np.argsort(urgent_ns[some], kind="stable")]
        urgent = np.zeros(len(order), DUE)
        urgent["t"], urgent["job"] = urgent_ns[order], order
        self.state = self.state._replace(urgent=urgent)

    def _tell_rules(self, rules: Rules) -> None:
        """Write the rules into the arrays of the state."""
        capacity = self.spec.nodes * self.spec.node_size
        fault = np.zeros(len(rules.fault_ns), FAULT)
        fault["t"], fault["node"] = rules.fault_ns, rules.fault_node
        fault["change"] = rules.fault_change
        self.state = self.state._replace(
            fault=fault, efficiency=rules.efficiency, victims=np.array(self.spec.victims, np.int64)
        )
        self.state.tenant["leaf"] = rules.tenant_node
        quota = self.state.quota
        for name in ("parent", "nominal", "lend", "cap", "weight"):
            quota[name] = getattr(rules, name)
        quota["leaf"][list(rules.tenant_node)] = 1
        v = self.state.v
        v["promised"] = capacity if rules.promised is None else rules.promised
        v["fair"], v["half_life"] = rules.fair_share, rules.half_life_ns
        v["preempt_within"], v["together"] = rules.preempt_within, rules.together
        self._lay_out(rules)
        group = self.state.group
        group["runtime_min"], group["grace"] = rules.runtime_min_ns, rules.grace_ns
        group["save"], group["restart"] = rules.save_ns, rules.restart_ns

    def _lay_out(self, rules: Rules) -> None:
        """Say which racks are blocks of tenants."""
        rack, zones = self.state.rack, self.state.zones
        for tenant, first, racks in rules.blocks:
            assert np.all(rack["block"][first : first + racks] == -1), "a rack in two blocks"
            rack["block"][first : first + racks] = tenant
            self.state.tenant["block"][tenant] += racks
        for r, tenant in enumerate(rack["block"].tolist()):
            zones[tenant, r // WORD] |= 1 << (r % WORD)
        self.state.v["zoned"] = len(rules.blocks) > 0

    @property
    def t_ns(self) -> int:
        """The instant reached."""
        return int(self._vars[_VAR["t"]])

    def set_groups(self, speed: Ints, power_mw: Ints, checkpoint_ns: Ints | None = None) -> None:
        """Set speed (of `FULL_SPEED`) and power (mW per active accelerator) of every group, now."""
        if checkpoint_ns is not None:
            self.state.group["checkpoint"] = checkpoint_ns
        self._obey(Order.GROUPS, 0, speed.astype(np.int64), power_mw.astype(np.int64))

    def hold(self, held_ns: Ints) -> None:
        """Keep queued jobs with less than this left of their estimate from starting, per group.

        Nought holds nobody, `NEVER` everybody. Call `set_budget` after it.
        """
        self._obey(Order.HOLD, 0, held_ns.astype(np.int64))

    def set_limits(self, limit_mw: Ints | None) -> None:
        """Set what the active accelerators of each class may draw at most, milliwatts, now.

        Nothing starts that would break it; what runs goes on. None: no limits.
        """
        limits = np.full(GROUPS, NEVER, np.int64) if limit_mw is None else limit_mw
        self._obey(Order.LIMITS, 0, limits.astype(np.int64))

    def set_quotas(self, nominal: Ints, lend: Ints) -> None:
        """Set the nominal quota of every node of the tree and how much of it is lent, now."""
        assert len(nominal) == len(lend) == len(self.state.quota)
        self._obey(Order.QUOTAS, 0, nominal.astype(np.int64), lend.astype(np.int64))

    def set_budget(self, budget_mw: int | None) -> int:
        """Set the power budget in milliwatts (None: no limit), now; returns the draw."""
        return self._obey(Order.BUDGET, NEVER if budget_mw is None else budget_mw)

    def _obey(
        self, order: Order, number: int = 0, first: Ints = _NO_INTS, second: Ints = _NO_INTS
    ) -> int:
        return obey(self._handle, int(order), number, first, second)  # type: ignore[arg-type]

    def turn(self) -> None:
        """Begin a market period, now: ranks are made anew, elastic jobs grow, one pass is made."""
        self._obey(Order.TURN)

    def why(self, job: int) -> tuple[Why, int]:
        """What a queued job waits for now, and the node of the quota tree that says so."""
        code = self._obey(Order.EXPLAIN, job)
        return Why(code % 256), code // 256

    def note_reasons(self) -> None:
        """Write what every job that waits now waits for into `why` and `why_node` of its row."""
        self._obey(Order.EXPLAIN, -1)

    def load(self, jobs: Ints, count: int, nodes: Ints) -> None:
        """Lay jobs that run or are paused on the nodes they have; all others wait from now on.

        What a job has done and kept is written to its row before. Call `set_groups` and `hold`
        before, and `set_budget` after it.

        Args:
            jobs: of each job laid, in the order in which they began (those paused, in the order in
                which they were paused): its number, the instant it began, 1 where it is paused, how
                many nodes it has, and their numbers. One with no nodes takes some as if it started
                now, or waits if it does not find them.
            count: how many jobs are laid.
            nodes: numbers of the nodes in service; among equals the last one is used first.
        """
        self._obey(Order.LOAD, count, jobs, nodes)

    def drain(self) -> Records:
        """What happened since it was last asked."""
        return self._drain()

    def waiting(self) -> npt.NDArray[np.int64]:
        """Numbers of the jobs that wait now, queued or claiming, ascending."""
        states = (int(JobState.QUEUED), int(JobState.CLAIMING))
        return np.flatnonzero(np.isin(self.state.job["state"], states))

    def withdraw(self, job: int) -> bool:
        """Take a job that waits, or is still to come, out of this pool; False where it runs."""
        return bool(self._obey(Order.WITHDRAW, job))

    def admit(self, job: int, kept_ns: int = 0) -> bool:
        """Let a job that was withdrawn wait here, with the work it has kept."""
        brought = _NO_INTS.copy()
        brought[0] = kept_ns
        return bool(self._obey(Order.ADMIT, job, brought))

    def dismiss(self, job: int) -> bool:
        """Give a running job notice: when its grace is over it has saved, and is away."""
        return bool(self._obey(Order.DISMISS, job))

    def set_service(self, nodes: int) -> int:
        """Bring the nodes in service to a number, now; returns the number reached."""
        return self._obey(Order.SERVICE, min(nodes, self.spec.nodes))

    def advance(self, until_ns: int, drains_max: int | None = None) -> Records:
        """Process every event before `until_ns` and return what happened.

        Args:
            until_ns: the instant to reach.
            drains_max: stop short of it when the notes have been full so often; `t_ns` then says
                how far it came. None: never.
        """
        parts: list[Records] = []
        while self.t_ns < until_ns:
            goal = min(until_ns, self.t_ns + CHUNK_NS)
            while self._obey(Order.ADVANCE, goal) < goal:
                parts.append(self._drain())
                if drains_max is not None and len(parts) >= drains_max:
                    return _joined(parts)
        parts.append(self._drain())
        return _joined(parts)

    def _drain(self) -> Records:
        n = int(self._vars[_VAR["records"]])
        self._vars[_VAR["records"]] = 0
        kind, job, t, start, energy0, energy1, width, why, lost = self.state.out[:n].T.copy()
        return Records(
            kind.astype(np.uint8),
            job.astype(np.int32),
            t,
            start,
            energy0,
            energy1,
            width.astype(np.int32),
            why.astype(np.int32),
            lost,
        )

    def read(self) -> PoolReading:
        """Read the meters and set their interval integrals back to nought."""
        quota = self.state.quota
        reading = PoolReading(
            groups=GroupReading(*self._group[:, _READ].T),
            held_ns=int(self._vars[_VAR["held_ns"]]),
            service_ns=int(self._vars[_VAR["service_ns"]]),
            broken_ns=int(self._vars[_VAR["down_ns"]]),
            quotas=np.stack([quota[name] for name in _QUOTA_READ], axis=1),
            in_service=int(self._vars[_VAR["in_service"]]),
            queued=int(self._vars[_VAR["queued"]]),
            queued_accelerators=int(self.state.group["asking"].sum()),
            draw_mw=int(self._vars[_VAR["draw"]]),
        )
        self._group[:, _RESET] = 0
        self._vars[_VARS_READ] = 0
        for name in _QUOTA_READ:
            quota[name] = 0
        return reading

    def snapshot(self) -> dict[str, npt.NDArray[np.generic]]:
        """Every array of the state, by name; no records may be waiting."""
        assert self.state.v[0]["records"] == 0
        arrays = zip(State._fields, self.state, strict=True)
        return {name: array for name, array in arrays if name not in SCRATCH}

    def restore(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Put back what `snapshot` gave, bit for bit."""
        for name, array in arrays.items():
            getattr(self.state, name)[...] = array

    def open_segments(self) -> Records:
        """The segments of jobs still running, as if they closed now, without touching anything."""
        active = (int(JobState.RUNNING), int(JobState.STOPPING))
        running = np.flatnonzero(np.isin(self.state.job["state"], active)).astype(np.int32)
        job = self.state.job[running]
        now = np.full(len(running), self.t_ns, np.int64)
        return Records(
            kind=np.full(len(running), int(Kind.PAUSE), np.uint8),
            job=running,
            t_ns=now,
            start_ns=job["start"].copy(),
            energy0_uwh=job["energy"].copy(),
            energy1_uwh=self.state.group["energy"][self.state.ask["group"][running]].copy(),
            width=job["width"].copy(),
            why=np.zeros(len(running), np.int32),
            lost_ns=np.zeros(len(running), np.int64),
        )


def _joined(parts: list[Records]) -> Records:
    if len(parts) == 1:
        return parts[0]
    return Records(
        *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Records))
    )
