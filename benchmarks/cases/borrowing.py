"""Philly's virtual clusters as tenants: hard partitions against quotas that may be borrowed.

The case judges one setting on three fleets. With `GIGAFACTORY_TABLES` naming a file it also runs
every other setting and writes all tables of the page on borrowing there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.cases.peers import Philly, philly
from benchmarks.measuring import case
from gigafactory.kernel import Kind, Pool, PoolSpec, Rules
from gigafactory.kernel.rules import NO_RULES
from gigafactory.units import NS_PER_DAY, NS_PER_H, NS_PER_S

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
NODE = 8
GRACE_S, RUNTIME_MIN_S, SAVE_S, RESTART_S, CHECKPOINT_S = 60, 600, 20, 120, 1800
#: Accelerators of the fleets that are judged; hard partitions of the second hold 60 to 70 %.
FLEETS = (560, 640, 720)
#: The tables show these as well.
SHOWN = (*FLEETS, 800, 960)
MONTH_NS = 30 * NS_PER_DAY
#: Ranks of fair share are made anew once per market period.
PERIOD_NS = NS_PER_H // 4
#: How often a pool without ranks is read.
READ_NS = 6 * NS_PER_H


class Way(StrEnum):
    """How a fleet is divided among its tenants.

    A pool of its own for each; one pool in which each is capped at its share; one pool in which
    shares may be borrowed and are taken back; the same with tenants ranked by fair share.
    """

    POOLS = "separate pools"
    CAPS = "caps in one pool"
    BORROW = "borrowing"
    FAIR = "borrowing, fair share"


@dataclass(frozen=True, slots=True)
class Trace:
    """The jobs as one fleet runs them, and what belongs to whom.

    Attributes:
        fleet: accelerators.
        names: of the tenants.
        own: share of each tenant, accelerators.
        tenant: whose each job is, an index into `names`.
        submit_ns: instant of submission, ascending.
        need_ns: run time.
        asked: accelerators, cut to the tenant's share.
        month: first and last instant of the busy month, ns UTC.
        of_month: whether a job was submitted in the busy month.
        compared: of these, the ones that were not cut.
    """

    fleet: int
    names: list[str]
    own: Ints
    tenant: npt.NDArray[np.int16]
    submit_ns: Ints
    need_ns: Ints
    asked: npt.NDArray[np.int32]
    month: tuple[int, int]
    of_month: Mask
    compared: Mask

    @property
    def month_ns(self) -> float:
        """Accelerator-nanoseconds of the fleet in the busy month."""
        return self.fleet * float(self.month[1] - self.month[0])

    def asked_share(self) -> float:
        """Work submitted in the busy month, over what the fleet could do in it."""
        work = self.asked.astype(np.float64) * self.need_ns
        return float(work[self.of_month].sum()) / self.month_ns


@dataclass(slots=True)
class Run:
    """What came of a trace, by job; meters in accelerator-nanoseconds.

    Attributes:
        start_ns: first start, -1 where it was not awaited.
        end_ns: end, -1 where it was not awaited.
        held_ns: on held nodes in the busy month.
        kept_ns: used in it, less what was rolled back and spent starting again.
        before_ns: the same before the busy month.
        stops: jobs stopped in the busy month for others' rights.
    """

    start_ns: Ints
    end_ns: Ints
    held_ns: float = 0.0
    kept_ns: float = 0.0
    before_ns: float = 0.0
    stops: int = 0

    @classmethod
    def of(cls, jobs: int) -> Run:
        """A run in which nothing has happened yet."""
        return cls(np.full(jobs, -1, np.int64), np.full(jobs, -1, np.int64))

    def add(self, part: Run, at: Ints) -> None:
        """Take up a run of some of the jobs, given by number."""
        self.start_ns[at], self.end_ns[at] = part.start_ns, part.end_ns
        self.held_ns += part.held_ns
        self.kept_ns += part.kept_ns
        self.before_ns += part.before_ns
        self.stops += part.stops


def busy_month(jobs: Philly) -> tuple[int, int]:
    """The thirty days in which most accelerator-hours were submitted, ns UTC."""
    first = int(jobs.submit_s[0]) // 86_400
    day = jobs.submit_s // 86_400 - first
    load = np.bincount(day, weights=jobs.accelerators * jobs.duration_s)
    month = np.convolve(load, np.ones(30), "valid")
    begin = (first + int(np.argmax(month))) * NS_PER_DAY
    return begin, begin + MONTH_NS


def shares(jobs: Philly, fleet: int, hindsight: bool) -> tuple[list[str], Ints]:
    """Whole nodes per virtual cluster, one at least, in accelerators.

    By the accelerator-hours it asked before the busy month, which is what a manager could have
    known; in hindsight by those of the whole trace.
    """
    names = sorted(set(jobs.cluster.tolist()))
    known = hindsight | (jobs.submit_s * NS_PER_S < busy_month(jobs)[0])
    work = jobs.accelerators * jobs.duration_s * known
    load = np.array([work[jobs.cluster == n].sum() for n in names], float)
    nodes = fleet // NODE
    wanted = load / load.sum() * (nodes - len(names))
    size = 1 + np.floor(wanted).astype(np.int64)
    rest = np.argsort(-(wanted - np.floor(wanted)), kind="stable")
    size[rest[: nodes - int(size.sum())]] += 1
    return names, size * NODE


def laid_out(jobs: Philly, fleet: int, hindsight: bool) -> Trace:
    """The jobs for one fleet: those larger than their tenant's share are cut to it."""
    names, own = shares(jobs, fleet, hindsight)
    tenant = np.searchsorted(names, jobs.cluster.tolist()).astype(np.int16)
    uncut = jobs.accelerators <= own[tenant]  # before they are cut: afterwards all of them fit
    submit = jobs.submit_s * NS_PER_S
    begin, end = busy_month(jobs)
    of_month = (submit >= begin) & (submit < end)
    return Trace(
        fleet=fleet,
        names=names,
        own=own,
        tenant=tenant,
        submit_ns=submit,
        need_ns=(np.maximum(jobs.duration_s, 1.0) * NS_PER_S).astype(np.int64),
        asked=np.minimum(jobs.accelerators, own[tenant]).astype(np.int32),
        month=(begin, end),
        of_month=of_month,
        compared=of_month & uncut,
    )


def _each(seconds: float) -> Ints:
    return np.full(8, int(seconds * NS_PER_S))


def _rules(trace: Trace, way: Way) -> Rules:
    """Every tenant below the root, with its share as quota: lent out, or as its cap."""
    own, n = trace.own.tolist(), len(trace.names)
    hard = way is Way.CAPS
    return Rules(
        parent=(-1, *(0 for _ in own)),
        nominal=(0, *own),
        lend=(0, *([0] * n if hard else own)),
        cap=(0, *(own if hard else [trace.fleet] * n)),
        weight=(1.0, *(float(share) for share in own)),
        tenant_node=tuple(range(1, n + 1)),
        fair_share=way is Way.FAIR,
        runtime_min_ns=_each(RUNTIME_MIN_S),
        grace_ns=_each(GRACE_S),
        save_ns=_each(SAVE_S),
        restart_ns=_each(RESTART_S),
    )


def _pool(trace: Trace, jobs: Ints, nodes: int, rules: Rules) -> Pool:
    """A pool in service with some of the jobs, given by number."""
    pool = Pool(
        PoolSpec(nodes, NODE, 100_000, 100, (0,), rules=rules),
        origin_ns=int(trace.submit_ns[0]),
        end_ns=int(trace.submit_ns[-1]) + 800 * NS_PER_DAY,
        submit_ns=trace.submit_ns[jobs],
        need_ns=trace.need_ns[jobs],
        walltime_ns=trace.need_ns[jobs],
        accelerators=trace.asked[jobs],
        priority=np.zeros(len(jobs), np.int8),
        group=np.zeros(len(jobs), np.int8),
        tenant=None if rules is NO_RULES else trace.tenant[jobs],
    )
    pool.set_service(nodes)
    pool.set_groups(np.full(8, 128), np.full(8, 700_000), _each(CHECKPOINT_S))
    pool.set_budget(None)
    return pool


def followed(pool: Pool, of_month: Mask, month: tuple[int, int], step_ns: int) -> Run:
    """Run a pool until the busy month is over and its jobs have all ended.

    Args:
        pool: with its jobs.
        of_month: which of them are awaited.
        month: the busy month, ns UTC.
        step_ns: between turns of the pool.
    """
    run, (begin, end) = Run.of(len(of_month)), month
    while pool.t_ns < end or (run.end_ns[of_month] < 0).any():
        until = pool.t_ns + step_ns
        until = next((edge for edge in month if pool.t_ns < edge < until), until)
        pool.turn()
        r = pool.advance(until)
        opens = np.isin(r.kind, (int(Kind.START), int(Kind.BACKFILL)))
        job, at = np.unique(r.job[opens], return_index=True)
        new = run.start_ns[job] < 0  # a stopped job starts more than once: the first counts
        run.start_ns[job[new]] = r.t_ns[opens][at[new]]
        ends = r.kind == int(Kind.FINISH)
        run.end_ns[r.job[ends]] = r.t_ns[ends]
        reading = pool.read()
        g = reading.groups
        kept = float(g.used_ns.sum() - g.preempted_ns.sum() - g.restart_ns.sum())
        if pool.t_ns <= begin:
            run.before_ns += kept
        elif pool.t_ns <= end:
            run.held_ns += reading.held_ns
            run.kept_ns += kept
            run.stops += int((r.kind == int(Kind.PREEMPT)).sum())
    return run


def replayed(trace: Trace, way: Way) -> Run:
    """Run the trace on its fleet, divided in one way."""
    every = np.arange(len(trace.submit_ns))
    if way is not Way.POOLS:
        pool = _pool(trace, every, trace.fleet // NODE, _rules(trace, way))
        step = READ_NS if way is Way.CAPS else PERIOD_NS
        return followed(pool, trace.of_month, trace.month, step)
    run = Run.of(len(every))
    for q, share in enumerate(trace.own.tolist()):
        mine = every[trace.tenant == q]
        pool = _pool(trace, mine, share // NODE, NO_RULES)
        run.add(followed(pool, trace.of_month[mine], trace.month, READ_NS), mine)
    return run


@dataclass(frozen=True, slots=True)
class Change:
    """What borrowing changes for the jobs that are compared, against the better of its rivals.

    Attributes:
        gain_share: goodput, of the fleet.
        p95_s: of the tenant whose 95th percentile of the wait grew most, or shrank least.
        p95_of: its name.
        p99_s: the same for the 99th percentile.
        p99_of: its name.
        longer: jobs that wait longer by more than the grace.
        later: jobs that end later by more than the grace.
    """

    gain_share: float
    p95_s: float
    p95_of: str
    p99_s: float
    p99_of: str
    longer: int
    later: int


def waits_s(trace: Trace, run: Run) -> Floats:
    """From submission to first start of the compared jobs, s."""
    return (run.start_ns - trace.submit_ns)[trace.compared] / NS_PER_S


def by_tenant(trace: Trace, run: Run, part: float) -> dict[str, float]:
    """A quantile of the wait of each tenant with jobs that are compared, s."""
    wait, tenant = waits_s(trace, run), trace.tenant[trace.compared]
    return {
        trace.names[q]: float(np.quantile(wait[tenant == q], part))
        for q in np.unique(tenant).tolist()
    }


def _worst(trace: Trace, hard: Sequence[Run], soft: Run, part: float) -> tuple[float, str]:
    """Largest growth of a tenant's quantile against any of the hard runs, s, and whose it is."""
    after = by_tenant(trace, soft, part)
    grown = [
        (after[name] - before, name)
        for run in hard
        for name, before in by_tenant(trace, run, part).items()
    ]
    return max(grown)


def changed(trace: Trace, hard: Sequence[Run], soft: Run) -> Change:
    """Hold a run with borrowing against one or more with hard partitions, the best of them each."""
    over, some = GRACE_S * NS_PER_S, trace.compared
    gain = soft.kept_ns - max(run.kept_ns for run in hard)
    return Change(
        gain / trace.month_ns,
        *_worst(trace, hard, soft, 0.95),
        *_worst(trace, hard, soft, 0.99),
        longer=max(int(((soft.start_ns - run.start_ns)[some] > over).sum()) for run in hard),
        later=max(int(((soft.end_ns - run.end_ns)[some] > over).sum()) for run in hard),
    )


class Replays:
    """Every run of the jobs, made when it is first asked for."""

    def __init__(self, jobs: Philly) -> None:
        self.jobs = jobs
        self._traces: dict[tuple[bool, int], Trace] = {}
        self._runs: dict[tuple[bool, int, Way], Run] = {}

    def trace(self, hindsight: bool, fleet: int) -> Trace:
        """The jobs on a fleet, its shares known before the busy month or in hindsight."""
        if (hindsight, fleet) not in self._traces:
            self._traces[hindsight, fleet] = laid_out(self.jobs, fleet, hindsight)
        return self._traces[hindsight, fleet]

    def run(self, hindsight: bool, fleet: int, way: Way) -> Run:
        """What came of it."""
        if (hindsight, fleet, way) not in self._runs:
            self._runs[hindsight, fleet, way] = replayed(self.trace(hindsight, fleet), way)
        return self._runs[hindsight, fleet, way]

    def change(self, hindsight: bool, fleet: int, hard: Sequence[Way], soft: Way) -> Change:
        """What borrowing changes there."""
        rivals = [self.run(hindsight, fleet, way) for way in hard]
        return changed(self.trace(hindsight, fleet), rivals, self.run(hindsight, fleet, soft))


def judged(replays: Replays, hindsight: bool, fleet: int) -> dict[str, float]:
    """The numbers of a fleet with fair share, against the better of both hard partitions."""
    trace, hard = replays.trace(hindsight, fleet), (Way.POOLS, Way.CAPS)
    rivals = [replays.run(hindsight, fleet, way) for way in hard]
    soft = replays.run(hindsight, fleet, Way.FAIR)
    change = replays.change(hindsight, fleet, hard, Way.FAIR)
    name = f"hindsight_{fleet}" if hindsight else f"{fleet}"
    return {
        f"{name}_hard_held_share": max(run.held_ns for run in rivals) / trace.month_ns,
        f"{name}_hard_goodput_share": max(run.kept_ns for run in rivals) / trace.month_ns,
        f"{name}_goodput_share": soft.kept_ns / trace.month_ns,
        f"{name}_gain_share": change.gain_share,
        f"{name}_worst_p95_change_s": change.p95_s,
        f"{name}_worst_p99_change_s": change.p99_s,
        f"{name}_longer": change.longer,
        f"{name}_stops": soft.stops,
    }


@case("philly-borrowing")
def borrowing() -> dict[str, float]:
    """Goodput and waits of Philly's busy month on three fleets, with and without borrowing."""
    replays = Replays(philly())
    out: dict[str, float] = {}
    for hindsight in (False, True):
        for fleet in FLEETS:
            out |= judged(replays, hindsight, fleet)
    if path := os.environ.get("GIGAFACTORY_TABLES"):
        titled = [f"## {title}\n\n{table}" for title, table in tables(replays).items()]
        Path(path).write_text("\n".join(titled), "utf-8")
    return out


def tables(replays: Replays) -> dict[str, str]:
    """All tables of the page, in Markdown, by title."""
    known, hindsight, both = (False,), (True,), (False, True)
    return {
        "Fair share, shares known before the month": gains(replays, known, Way.POOLS, Way.FAIR),
        "Waits, shares known before the month": waits(replays, tuple(Way)),
        f"Tenants, {FLEETS[1]} accelerators": tenants(replays, FLEETS[1]),
        "Fair share, shares known in hindsight": gains(replays, hindsight, Way.POOLS, Way.FAIR),
        "Work done, shares known in hindsight": done(replays, SHOWN[-1]),
        "Caps, shares known before the month": gains(replays, known, Way.CAPS, Way.BORROW),
        "Caps, shares known in hindsight": gains(replays, hindsight, Way.CAPS, Way.BORROW),
        "Separate pools": gains(replays, both, Way.POOLS, Way.BORROW),
        "Caps and fair share": gains(replays, both, Way.CAPS, Way.FAIR),
    }


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]]) + "\n"


def _share(value: float) -> str:
    return f"{value * 100:.1f} %"


def _long(seconds: float) -> str:
    """A time as a person reads it."""
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= 2 * unit:
            count = seconds / unit
            return f"{count:.0f} {name}" if name == "min" else f"{count:.1f} {name}"
    return f"{seconds:.0f} s"


def _grown(seconds: float, whose: str) -> str:
    if round(seconds) == 0:
        return "0 s"
    return f"{'+' if seconds > 0 else ''}{_long(seconds)} ({whose})"


def gains(replays: Replays, rules: Sequence[bool], hard: Way, soft: Way) -> str:
    """What borrowing changes on every fleet, for one or both rules of shares."""
    rows = []
    for hindsight in rules:
        for fleet in SHOWN:
            trace = replays.trace(hindsight, fleet)
            low, high = (replays.run(hindsight, fleet, way) for way in (hard, soft))
            c = replays.change(hindsight, fleet, (hard,), soft)
            rows.append(
                [
                    *(["hindsight" if hindsight else "known"] if len(rules) > 1 else []),
                    str(fleet),
                    _share(trace.asked_share()),
                    _share(low.kept_ns / trace.month_ns),
                    _share(high.kept_ns / trace.month_ns),
                    f"{c.gain_share * 100:+.1f}",
                    _grown(c.p95_s, c.p95_of),
                    _grown(c.p99_s, c.p99_of),
                    f"{c.longer:,}",
                    f"{c.later:,}",
                ]
            )
    head = ["fleet", "asked", "partitions", "borrowing", "gain", "worst p95", "worst p99"]
    head += ["wait longer", "end later"]
    return _table([*(["shares"] if len(rules) > 1 else []), *head], rows)


def waits(replays: Replays, ways: Sequence[Way]) -> str:
    """Waits of the compared jobs on the judged fleets, shares known before."""
    rows = []
    for fleet in FLEETS:
        trace = replays.trace(False, fleet)
        for way in ways:
            run = replays.run(False, fleet, way)
            wait = waits_s(trace, run)
            rows.append(
                [
                    str(fleet) if way is ways[0] else "",
                    way.value,
                    _share(run.held_ns / trace.month_ns),
                    _share(run.kept_ns / trace.month_ns),
                    _long(float(wait.mean())),
                    _long(float(np.quantile(wait, 0.95))),
                    f"{run.stops:,}",
                ]
            )
    return _table(
        ["fleet", "divided by", "held", "goodput", "mean wait", "p95 wait", "stopped"], rows
    )


def tenants(replays: Replays, fleet: int) -> str:
    """What every tenant asked and how long it waited, shares known before."""
    jobs, trace = replays.jobs, replays.trace(False, fleet)
    hours = jobs.accelerators * jobs.duration_s / 3600
    early = trace.submit_ns < trace.month[0]
    p95 = [by_tenant(trace, replays.run(False, fleet, w), 0.95) for w in (Way.POOLS, Way.FAIR)]
    rows = []
    for q, name in enumerate(trace.names):
        mine = trace.tenant == q
        rows.append(
            [
                name,
                str(trace.own[q]),
                f"{hours[mine & early].sum():,.0f}",
                f"{hours[mine & trace.of_month].sum():,.0f}",
                f"{(mine & trace.of_month).sum():,}",
                str((mine & trace.of_month & ~trace.compared).sum()),
                *(_long(of[name]) if name in of else "" for of in p95),
            ]
        )
    head = ["tenant", "share", "asked before, h", "asked in it, h", "jobs in it", "cut"]
    return _table([*head, "p95, partitions", "p95, borrowing"], rows)


def done(replays: Replays, fleet: int) -> str:
    """Accelerator-hours done before and in the busy month, shares known in hindsight."""
    rows = []
    for way in (Way.POOLS, Way.FAIR):
        run = replays.run(True, fleet, way)
        before, during = run.before_ns / NS_PER_H, run.kept_ns / NS_PER_H
        rows.append([way.value, *(f"{h:,.0f}" for h in (before, during, before + during))])
    return _table([f"{fleet} accelerators", "done before, h", "done in it, h", "together, h"], rows)
