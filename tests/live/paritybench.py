"""One trace, one loop, three clusters: a real Slurm, the twin led by what that showed, and free.

The controller, the factory file, the trace, the ticks and the grid's orders are the same in all of
them. Decisions are read from the journals.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gigafactory.adapters.slurm import SlurmManager, SlurmSettings
from gigafactory.adapters.store import Store
from gigafactory.adapters.store.records import Asked
from gigafactory.adapters.twincluster import Cluster, Job, Manner, Node
from gigafactory.adapters.twinmanager import TwinManager
from gigafactory.engine.clock import Clock, SimClock, SteadyClock
from gigafactory.factory import load_factory
from gigafactory.factory.models import Factory
from gigafactory.grid.ports import GridOrder, OrderKind
from gigafactory.jobs.ports import (
    Command,
    EndedView,
    JobView,
    Outcome,
    Phase,
    Receipt,
    WorkloadManager,
    WorkloadSnapshot,
)
from gigafactory.planner.poolplan import PoolPlan
from gigafactory.planner.tick import Gate
from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.daybook import DayBook, day_path, days_in, live_frames
from gigafactory.runtime.live.intake import Intake
from gigafactory.runtime.live.loop import Controller
from gigafactory.runtime.live.orders import Desk, PointRules, SourceRules
from gigafactory.runtime.live.parts import ClusterPart, Parts, SitePart
from gigafactory.runtime.live.settings import Response
from gigafactory.runtime.live.wiring import begin_of, draw_of, open_controller, plan_of, quotas_of
from gigafactory.testing.factories import SmallFactory, SmallPool, SmallSite
from gigafactory.testing.jobscript import job_events, job_script
from gigafactory.testing.slurm import LocalCluster, settled
from gigafactory.units import NS_PER_S

#: Per job: the tick at which it was told, and its place among all that were.
Told = Mapping[str, tuple[int, int]]
POOL, SITE = "pool00", "site0"
OVERHEAD = 1.1
CLASSES = ("research", "fine_tuning", "frontier_training", "inference")
TENANTS = ("lab", "shop", "school")


# --- what is asked ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ask:
    """A job of the trace."""

    name: str
    tick: int
    tenant: str
    job_class: str
    accelerators: int
    nodes: int
    work_s: float
    walltime_s: int
    priority: int


@dataclass(frozen=True)
class Cut:
    """A limit, as a share of full load, from a tick on for so many ticks.

    Not before `busy` of the accelerators run, so that it takes victims on a slow machine as well.
    """

    tick: int
    ticks: int
    share: float
    busy: float = 0.0


@dataclass(frozen=True)
class Case:
    """A trace with its limits."""

    asks: tuple[Ask, ...]
    cuts: tuple[Cut, ...]
    nodes: int
    tick_s: float
    most_ticks: int


def made_case(
    seed: int, jobs: int, nodes: int, over_ticks: int, cuts: Sequence[Cut],
    work_s: tuple[float, float], tick_s: float = 1.0, most_ticks: int = 900,
) -> Case:  # fmt: skip
    """A trace by seed: shares of a node and gangs of whole nodes, four classes, three tenants."""
    r = np.random.default_rng(seed)
    asks = []
    ticks = np.sort(r.integers(0, over_ticks, jobs))
    for i, tick in enumerate(ticks.tolist()):
        gang = r.random() < 0.3
        count = int(r.integers(1, max(nodes // 4, 1) + 1)) if gang else 0
        width = 8 * count if gang else int(r.integers(1, 7))
        work = float(np.round(r.uniform(*work_s), 1))
        label = CLASSES[int(r.choice(4, p=(0.4, 0.25, 0.25, 0.1)))]
        asks.append(
            Ask(
                f"j{i:03d}", tick, TENANTS[int(r.choice(3, p=(0.5, 0.3, 0.2)))], label, width,
                count, work, int(work * r.uniform(1.5, 4.0)) + 60, int(r.integers(0, 4)),
            )
        )  # fmt: skip
    return Case(tuple(asks), tuple(cuts), nodes, tick_s, most_ticks)


def factory_of(folder: Path, nodes: int) -> Factory:
    """A factory with quotas, fair share and preemption for guarantees."""
    small = SmallFactory((SmallSite(pools=(SmallPool("H100", nodes),)),))
    settings = small.settings()
    lab, shop = settings["tenants"]
    school = copy.deepcopy(lab) | {"name": "school", "title": "A school"}
    for tenant, share in ((lab, "50 %"), (shop, "25 %"), (school, "25 %")):
        tenant["quota"] = {"nominal": share}
    changes = {
        "tenants": [lab, shop, school],
        "policy.order": "fair_share",
        "policy.fair_share_half_life": "10 min",
        "policy.checkpoint": {
            str(label): {"interval": "30 min", "cost": "1 s"}
            for label in (
                "frontier_training", "research", "fine_tuning", "inference_batch",
                "inference_realtime",
            )
        },
    }  # fmt: skip
    small = dataclasses.replace(small, changes=changes)
    return load_factory(str(small.write(folder / "small.yaml")))


# --- what the loop works with -------------------------------------------------------------------


@dataclass
class Turn:
    """A tick as it went: its number, when it began, when it decided, what was looked at."""

    tick: int
    begun_ns: int
    at_ns: int
    seen: WorkloadSnapshot
    waits: Mapping[str, str]
    draw_kw: float
    took_s: float


class Noted:
    """A manager, with what it showed and what it answered noted down."""

    def __init__(self, inner: WorkloadManager) -> None:
        self.inner = inner
        self.seen: WorkloadSnapshot | None = None
        self.answers: dict[tuple[int, str, str], Receipt] = {}
        self.looks = 0

    def observe(self) -> WorkloadSnapshot:
        self.seen = self.inner.observe()
        self.looks += 1
        return self.seen

    def act(self, commands: Sequence[Command]) -> tuple[Receipt, ...]:
        receipts = self.inner.act(commands)
        for command, receipt in zip(commands, receipts, strict=True):
            self.answers[self.looks, str(command.action), command.job] = receipt
        return receipts

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@dataclass
class Run:
    """A run of a case: its turns, and its journal in the trace's own names."""

    folder: Path
    turns: list[Turn] = field(default_factory=list)
    name_of: dict[str, str] = field(default_factory=dict)  # by key of the store
    cuts: list[Cut] = field(default_factory=list)  # as they came
    answers: dict[tuple[int, str, str], Receipt] = field(default_factory=dict)

    def frames(self) -> list[tuple[int, live.LiveFrame]]:
        """The journal, whole."""
        folder = self.folder / "live"
        return [one for day in days_in(folder) for one in live_frames(day_path(folder, day))]

    def decided(self) -> list[tuple[int, tuple[tuple[str, str], ...]]]:
        """From the journal: per tick with commands, what was told to which job, in order."""
        number = {turn.at_ns: turn.tick for turn in self.turns}
        native: dict[str, str] = {}
        found = []
        for at_ns, frame in self.frames():
            if isinstance(frame, live.WorkTaken):
                named = zip(frame.native, frame.keys, strict=True)
                native |= {job: self.name_of[key] for job, key in named}
            elif isinstance(frame, live.IntentTold) and frame.commands:
                told = tuple((str(c.action), native[c.target]) for c in frame.commands)
                found.append((number[at_ns], told))
        return found

    def budgets(self) -> list[tuple[int, tuple[int, ...], tuple[int, ...]]]:
        """From the journal: budgets and limits of every tick with an intent, W."""
        number = {turn.at_ns: turn.tick for turn in self.turns}
        return [
            (number[at], frame.budgets_w, frame.limits_w)
            for at, frame in self.frames()
            if isinstance(frame, live.IntentTold)
        ]

    def moved(self) -> list[tuple[int, int, str]]:
        """From the journal: when, what kind and whose every opening and closing was."""
        names: dict[int, str] = {}
        found = []
        for _, frame in self.frames():
            if isinstance(frame, live.WorkTaken):
                jobs = zip(frame.columns["job"].tolist(), frame.keys, strict=True)
                names |= {job: self.name_of[key] for job, key in jobs}
            elif isinstance(frame, live.Moves):
                c = frame.columns
                found += [
                    (t, kind, names[job])
                    for t, kind, job in zip(
                        c["t_ns"].tolist(), c["kind"].tolist(), c["job"].tolist(), strict=True
                    )
                ]
        return found


class Rig:
    """The loop on a manager, with a store and a journal of its own."""

    def __init__(
        self, folder: Path, factory: Factory, plan: PoolPlan, clock: Clock,
        manager: WorkloadManager, tick_s: float,
    ) -> None:  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        self.clock, self.plan = clock, plan
        self.noted = Noted(manager)
        self.store = Store.open(f"sqlite:///{folder}/store.db")
        lease = self.store.lead("controller", clock.now_ns(), "parity")
        assert lease is not None
        self.lease = lease
        self.full_mw = len(plan.nodes) * 8 * int(plan.power_mw.max()) / 1e9
        point = PointRules(SITE, 4 * self.full_mw, 2 * self.full_mw, 0.1 * self.full_mw,
                           up_mw=self.full_mw, ramp_mw_per_min=None, lead_s=30.0)  # fmt: skip
        self.parts = Parts(
            environment="live",
            begin=begin_of(factory, {POOL: plan}, "live"),
            sites={SITE: SitePart((POOL,), OVERHEAD, 0.0)},
            clusters={"main": ClusterPart(self.noted, (POOL,))},
            plans={POOL: plan},
            gates={POOL: Gate(plan)},
            desk=Desk({"gopacs": SourceRules("gopacs", frozenset({SITE}))}, {SITE: point}),
            intake=Intake(self.store, lease),
            book=DayBook(folder / "live"),
            clock=clock,
            response=Response(),
            tick_s=tick_s,
            quotas_at=lambda at_ns: quotas_of(factory, {POOL: plan}, at_ns),
        )
        self.controller: Controller = open_controller(self.parts)
        self.run = Run(folder)

    def ask(self, ask: Ask, script: str, place: int) -> None:
        body = {
            "job_class": ask.job_class,
            "accelerators": ask.accelerators,
            "nodes": ask.nodes,
            "walltime_s": ask.walltime_s,
            "priority": ask.priority,
            "script": script,
            "name": ask.name,
            "pool": POOL,
            "accelerators_min": 0,
        }
        at_ns = self.clock.now_ns() + place * 1_000_000  # names of the store go by time
        work, _ = self.store.submit(Asked(ask.tenant, ask.name, body, "test", at_ns))
        self.run.name_of[work.id] = ask.name

    def cut(self, cut: Cut, number: int, tick_s: float) -> None:
        now = self.clock.now_ns()
        power_mw = cut.share * self.full_mw * OVERHEAD
        end = now + int((cut.ticks - 0.5) * tick_s * NS_PER_S)
        self.store.put_order(
            GridOrder(f"cut{number}", "gopacs", OrderKind.LIMIT, SITE, power_mw, now, now, now, end)
        )

    def turn(self, tick: int, begun_ns: int) -> None:
        report = self.controller.tick()
        seen = self.noted.seen
        assert seen is not None
        told = report.decisions.get(POOL)
        took_s = (self.clock.now_ns() - begun_ns) / NS_PER_S
        waits = {} if told is None else told.waits
        draw = 0.0 if told is None else told.draw_kw
        self.run.turns.append(Turn(tick, begun_ns, report.at_ns, seen, waits, draw, took_s))

    @property
    def busy(self) -> float:
        """Share of the accelerators that ran at the last look."""
        jobs = self.noted.seen.jobs if self.noted.seen is not None else ()
        runs = sum(v.accelerators for v in jobs if v.phase is Phase.RUNNING)
        return runs / (8 * len(self.plan.nodes))

    def done(self, case: Case) -> bool:
        return len(self.controller.accounts.watch.closed) == len(case.asks)

    def close(self) -> Run:
        self.run.answers = self.noted.answers
        self.parts.book.close()
        self.lease.release()
        self.store.close()
        return self.run


def drive(rig: Rig, case: Case, script: Any, turns: Sequence[Turn] | None = None) -> Run:
    """Turn the loop until the trace has ended: at the clock's ticks, or at those of another run."""
    tick_ns = int(case.tick_s * NS_PER_S)
    begin = -(-rig.clock.now_ns() // NS_PER_S) * NS_PER_S + NS_PER_S
    tick, asked, cut = 0, 0, 0
    while tick < case.most_ticks and not rig.done(case):
        if turns is None:
            begun = rig.clock.wait_until(begin + tick * tick_ns)
        elif len(rig.run.turns) == len(turns):
            break
        else:
            now = turns[len(rig.run.turns)]
            tick, begun = now.tick, rig.clock.wait_until(now.begun_ns)
        due = [a for a in case.asks[asked:] if a.tick <= tick]
        for i, ask in enumerate(due):
            rig.ask(ask, script(ask), i)
        asked += len(due)
        while cut < len(case.cuts) and case.cuts[cut].tick <= tick:
            if rig.busy < case.cuts[cut].busy:
                break
            rig.run.cuts.append(dataclasses.replace(case.cuts[cut], tick=tick, busy=0.0))
            rig.cut(case.cuts[cut], cut, case.tick_s)
            cut += 1
        rig.turn(tick, begun)
        tick = max(tick + 1, -(-(rig.clock.now_ns() - begin) // tick_ns)) if turns is None else tick
    assert turns is not None or rig.done(case), "the trace has not ended"
    return rig.close()


# --- a real cluster -----------------------------------------------------------------------------


def on_slurm(folder: Path, case: Case) -> tuple[Run, dict[str, float]]:
    """The case on a Slurm of this machine, in real time; and the work each job lost, s."""
    factory = factory_of(folder, case.nodes)
    names = [f"n{i}" for i in range(1, case.nodes + 1)]
    plan = plan_of(factory, POOL, names)
    kw = round(int(plan.power_mw.max()) / 1e6, 3)
    home = folder / "slurm"
    home.mkdir()
    with LocalCluster(home, nodes=case.nodes, kw_per_accelerator=kw) as cluster:
        clock = SteadyClock()
        manager = SlurmManager(
            SlurmSettings(
                conf=str(cluster.conf),
                user="root",
                partitions={POOL: cluster.partition},
                kw_per_accelerator={POOL: kw},
                checkpoint_folder=str(cluster.checkpoints),
                writes_per_s=1000,
                writes_burst=10_000,
            ),
            clock,
        )
        settled(manager)
        rig = Rig(folder / "real", factory, plan, clock, manager, case.tick_s)
        run = drive(rig, case, lambda ask: job_script(cluster.checkpoints, ask.work_s))
        lost = {
            name: sum(e.lost_s for e in job_events(cluster.checkpoints, key))
            for key, name in run.name_of.items()
        }
    return run, lost


# --- the twin led by what Slurm showed ----------------------------------------------------------

_ON_ITS_WAY = 2**61


class Led(Cluster):
    """A simulated cluster in which nothing happens by itself: the world tells when."""

    def advance(self, to_ns: int) -> None:
        self.now_ns = max(self.now_ns, to_ns)

    def schedule(self) -> None:
        pass

    def stop(self, job: Job, stop_as: str, save: bool) -> None:  # noqa: ARG002
        if job.stop_ns == _ON_ITS_WAY and job.stop_as != stop_as:
            self.twice.add(job.name)  # told to pause and to make way: either may come first
        job.stop_as, job.stop_ns = stop_as, _ON_ITS_WAY

    def freeze(self, job: Job) -> None:
        self.stop(job, "pause", save=False)

    def _fold(self, job: Job) -> None:
        pass


#: What both must show of a job, beside its name.
_SHOWN = (
    "tenant", "phase", "accelerators", "submit_ns", "start_ns", "walltime_s", "job_class",
    "priority", "pool", "nodes", "nodes_asked", "restarts", "ran_s", "saved_ns", "frozen",
)  # fmt: skip


class LedTwin(TwinManager):
    """The twin with the world of another run: its arrivals, starts, stops and ends at their ticks.

    Commands come from a controller of its own. What the other run shows must follow from them: a
    job that starts there was released here, one that stands still was paused here. What does not
    is noted in `odd`.
    """

    def __init__(self, clock: SimClock, plan: PoolPlan, real: Run) -> None:
        nodes = [Node(n, POOL, plan.node_size) for n in plan.nodes]
        super().__init__(clock, nodes, {POOL: draw_of(plan)})
        self.cluster = Led(tuple(nodes), {POOL: draw_of(plan)}, Manner(), clock.now_ns())
        self.cluster.twice = set()
        self.real, self.sim = real, clock
        self.odd: list[str] = []
        self.looks = 0
        self.name_of: dict[str, str] = {}
        self.real_job: dict[str, str] = {}

    def observe(self) -> WorkloadSnapshot:
        turn = self.real.turns[self.looks]
        self.looks += 1
        self.sim.wait_until(turn.at_ns)
        told = {self.real.name_of[v.key]: v for v in turn.seen.jobs if v.ours}
        ended = {self.real.name_of[e.key]: e for e in turn.seen.ended}
        self.real_job = {name: v.job for name, v in told.items()}
        cluster = self.cluster
        cluster.now_ns = turn.seen.at_ns
        for job in list(cluster.jobs.values()):
            name = job.order.name
            if name in told:
                self._follow(job, told[name])
            elif name in ended:
                self._end(job, ended[name])
            else:
                self.odd.append(f"tick {turn.tick}: {name} is nowhere")
        snapshot = dataclasses.replace(cluster.snapshot(), at_ns=turn.seen.at_ns)
        self._compare(turn, snapshot, told)
        return snapshot

    def _follow(self, job: Job, view: JobView) -> None:
        if view.phase is Phase.RUNNING and job.phase != Phase.RUNNING:
            if job.phase != Phase.QUEUED:
                self.odd.append(f"{job.order.name} runs, and was {job.phase} here")
            job.phase, job.nodes, job.stop_ns = Phase.RUNNING, view.nodes, 2**62
            job.frozen = False
        elif view.phase is not Phase.RUNNING and job.phase == Phase.RUNNING:
            if job.stop_ns != _ON_ITS_WAY:
                self.odd.append(f"{job.order.name} is {view.phase}, and was told nothing here")
            expected = Phase.PAUSED if job.stop_as == "pause" else Phase.HELD
            if view.phase is not expected and job.name not in self.cluster.twice:
                self.odd.append(f"{job.order.name} is {view.phase}, and was to be {expected}")
            job.phase, job.frozen, job.stop_ns = view.phase, view.frozen, 2**62
            self.cluster.twice.discard(job.name)
        job.start_ns, job.restarts, job.nodes = view.start_ns, view.restarts, view.nodes
        job.ran_ns = round(view.ran_s * NS_PER_S)
        job.saved_ns, job.submit_ns, job.priority = view.saved_ns, view.submit_ns, view.priority

    def _end(self, job: Job, end: EndedView) -> None:
        if job.phase not in (Phase.RUNNING, Phase.QUEUED):
            self.odd.append(f"{job.order.name} ended, and was {job.phase} here")
        del self.cluster.jobs[job.name]
        self.cluster.ended.append(dataclasses.replace(end, job=job.name, key=job.order.key))

    def _compare(self, turn: Turn, snapshot: WorkloadSnapshot, told: Mapping[str, JobView]) -> None:
        mine = {self.cluster.jobs[v.job].order.name: v for v in snapshot.jobs}
        for name in sorted(set(mine) ^ set(told)):
            self.odd.append(f"tick {turn.tick}: {name} is known on one side only")
        for name in sorted(set(mine) & set(told)):
            for what in _SHOWN:
                here, there = getattr(mine[name], what), getattr(told[name], what)
                if here != there and not (what == "ran_s" and abs(here - there) < 1e-6):
                    self.odd.append(f"tick {turn.tick}: {what} of {name} is {here}, not {there}")

    def act(self, commands: Sequence[Command]) -> tuple[Receipt, ...]:
        receipts = []
        for command in commands:
            name = self.cluster.jobs[command.job].order.name
            native = self.real_job.get(name, "")
            answer = self.real.answers.get((self.looks, str(command.action), native))
            if answer is not None and answer.outcome is not Outcome.ACCEPTED:
                receipts.append(Receipt(command.key, answer.outcome, answer.reason))
            else:
                receipts += super().act([command])
        return tuple(receipts)


def led(folder: Path, case: Case, real: Run) -> tuple[Run, list[str]]:
    """The case on the twin with the world of a run on Slurm; and what did not follow."""
    folder.mkdir(exist_ok=True)
    factory = factory_of(folder, case.nodes)
    plan = plan_of(factory, POOL, [f"n{i}" for i in range(1, case.nodes + 1)])
    clock = SimClock(real.turns[0].begun_ns - 2 * NS_PER_S)
    twin = LedTwin(clock, plan, real)
    rig = Rig(folder / "led", factory, plan, clock, twin, case.tick_s)
    return drive(rig, case, lambda _: "", real.turns), twin.odd


def free(
    folder: Path,
    case: Case,
    begin_ns: int,
    work_s: Mapping[str, float] | None = None,
) -> Run:
    """The case on the twin by itself, from an instant.

    Args:
        folder: for its files.
        case: the trace.
        begin_ns: when, ns UTC.
        work_s: run times of jobs where they are others than the trace's, s.
    """
    folder.mkdir(exist_ok=True)
    factory = factory_of(folder, case.nodes)
    plan = plan_of(factory, POOL, [f"n{i}" for i in range(1, case.nodes + 1)])
    clock = SimClock(begin_ns)
    nodes = [Node(n, POOL, plan.node_size) for n in plan.nodes]
    manner = Manner(checkpoint_s=1e6, save_s=1.0)
    twin = TwinManager(clock, nodes, {POOL: draw_of(plan)}, manner)
    rig = Rig(folder / "twin", factory, plan, clock, twin, case.tick_s)
    known = work_s or {}
    return drive(rig, case, lambda a: f"# need_s={known.get(a.name, a.work_s)}\n")


# --- comparing ----------------------------------------------------------------------------------


def decision_differences(real: Run, other: Run, limit: int = 10) -> list[str]:
    """Tick by tick: what one decided and the other did not; empty where all is the same."""
    mine, theirs = dict(real.decided()), dict(other.decided())
    found = [
        f"tick {tick}: {mine.get(tick, ())} and {theirs.get(tick, ())}"
        for tick in sorted(set(mine) | set(theirs))
        if mine.get(tick, ()) != theirs.get(tick, ())
    ]
    if real.budgets() != other.budgets():
        found.append("budgets or limits differ")
    for one, two in zip(real.turns, other.turns, strict=True):
        if abs(one.draw_kw - two.draw_kw) > 1e-9:
            found.append(f"tick {one.tick}: draw {one.draw_kw} and {two.draw_kw} kW")
        if Counter(one.waits.values()) != Counter(two.waits.values()):
            found.append(f"tick {one.tick}: they wait for other things")
    return found[:limit]


def first_told(run: Run, action: str) -> Told:
    """When each job was told first: its tick, and its place among all that were told."""
    found: dict[str, tuple[int, int]] = {}
    place = 0
    for tick, told in run.decided():
        for what, name in told:
            if what == action:
                found.setdefault(name, (tick, place))
                place += 1
    return found


def kendall(one: Told, two: Told) -> tuple[int, int]:
    """Pairs of jobs in another order, of all pairs that both know."""
    names = sorted(set(one) & set(two), key=lambda n: one[n][1])
    places = np.array([two[n][1] for n in names])
    apart = sum(int((places[i + 1 :] < places[i]).sum()) for i in range(len(places)))
    return apart, len(places) * (len(places) - 1) // 2


def victims(run: Run, case: Case) -> list[list[str]]:
    """Jobs told to pause, in order, per cut."""
    found: list[list[str]] = [[] for _ in case.cuts]
    for tick, told in run.decided():
        at = [i for i, c in enumerate(case.cuts) if c.tick <= tick]
        for what, name in told:
            if what == "pause" and at:
                found[at[-1]].append(name)
    return found


def shift_ticks(one: Told, two: Told) -> dict[str, float]:
    """By how many ticks what both told lies apart."""
    off = np.array([abs(one[n][0] - two[n][0]) for n in sorted(set(one) & set(two))])
    if not len(off):
        return {"median": 0.0, "p95": 0.0, "max": 0.0}
    return {
        "median": float(np.median(off)),
        "p95": float(np.percentile(off, 95)),
        "max": float(off.max()),
    }


def counts(run: Run) -> dict[str, int]:
    """Commands by action."""
    found: Counter[str] = Counter()
    for _, told in run.decided():
        found.update(what for what, _ in told)
    return dict(sorted(found.items()))


def held_s(run: Run) -> dict[str, float]:
    """From the journal: how long each job held power in all, from its starts to its stops, s."""
    total: dict[str, float] = defaultdict(float)
    since: dict[str, int] = {}
    for t_ns, kind, name in run.moved():
        if kind in (live.START, live.RESUME):
            since[name] = t_ns
        elif kind != live.SPEED and name in since:
            total[name] += (t_ns - since.pop(name)) / NS_PER_S
    return dict(total)


def start_lags_s(run: Run) -> list[float]:
    """From the journal: from the telling of the release to each first start, s.

    A job may be released, held again before it starts, and released later: the last one counts.
    """
    at = {turn.tick: turn.at_ns for turn in run.turns}
    told: dict[str, list[int]] = defaultdict(list)
    for tick, commands in run.decided():
        for action, name in commands:
            if action == "release":
                told[name].append(at[tick])
    found: dict[str, float] = {}
    for t_ns, kind, name in run.moved():
        if kind == live.START and name not in found:
            # Slurm's instants are whole seconds, so a start may be dated before its telling
            before = [one for one in told[name] if one <= t_ns + NS_PER_S]
            found[name] = (t_ns - max(before)) / NS_PER_S
    return sorted(found.values())


def started(run: Run) -> Told:
    """From the journal: when each job started first, as `first_told`."""
    begin = run.turns[0].at_ns
    step = min(b.begun_ns - a.begun_ns for a, b in itertools.pairwise(run.turns))
    found: dict[str, tuple[int, int]] = {}
    for place, (t_ns, kind, name) in enumerate(run.moved()):
        if kind == live.START:
            found.setdefault(name, ((t_ns - begin) // step, place))
    return found


def stood_where(run: Run, name: str, at_ns: int) -> str:
    """What a job was at an instant of a run, by its journal."""
    was = "waiting"
    for t_ns, kind, who in run.moved():
        if who == name and t_ns <= at_ns:
            if kind in (live.START, live.RESUME):
                was = "running"
            elif kind == live.PAUSE:
                was = "paused"
            elif kind in (live.PREEMPT, live.FAIL):
                was = "waiting"
            else:
                was = "ended"
    return was


def odd_victims(one: Run, two: Run, case: Case) -> list[dict[str, object]]:
    """Victims that only one of two runs took in a cut, with what they were in the other one."""
    found: list[dict[str, object]] = []
    for i, (mine, theirs) in enumerate(zip(victims(one, case), victims(two, case), strict=True)):
        for names, other_names, run, other in ((mine, theirs, one, two), (theirs, mine, two, one)):
            for name in dict.fromkeys(names):
                if name in other_names:
                    continue
                tick = max(t for t, told in run.decided() if ("pause", name) in told)
                at = max((t.at_ns for t in other.turns if t.tick <= tick), default=0)
                was = stood_where(other, name, at)
                found.append({"cut": i, "job": name, "in_the_other": was, "first": run is one})
    return found


def first_difference(one: Run, two: Run) -> int:
    """The first tick at which two runs told something else; -1 where they never did."""
    mine, theirs = dict(one.decided()), dict(two.decided())
    ticks = sorted(set(mine) | set(theirs))
    return next((t for t in ticks if mine.get(t) != theirs.get(t)), -1)
