"""A small factory with its live loop on simulated clusters, time turned by hand."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from zoneinfo import ZoneInfo

from gigafactory.adapters.store import Store
from gigafactory.adapters.store.records import Asked
from gigafactory.adapters.twincluster import Manner, Node
from gigafactory.adapters.twinmanager import Faults, TwinManager, TwinMeter
from gigafactory.engine.clock import SimClock
from gigafactory.factory import load_factory
from gigafactory.factory.models import Factory
from gigafactory.grid.calendar import instant_ns
from gigafactory.grid.ports import GridOrder, OrderKind
from gigafactory.planner.poolplan import PoolPlan
from gigafactory.planner.tick import Gate
from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.daybook import DayBook, day_path, days_in, live_frames
from gigafactory.runtime.live.intake import Intake
from gigafactory.runtime.live.loop import Controller
from gigafactory.runtime.live.orders import Desk, PointRules, SourceRules
from gigafactory.runtime.live.parts import ClusterPart, Parts, SitePart, TickReport
from gigafactory.runtime.live.settings import Response
from gigafactory.runtime.live.shadow import ShadowManager
from gigafactory.runtime.live.wiring import begin_of, draw_of, open_controller, plan_of
from gigafactory.testing.factories import SmallFactory, SmallPool, SmallSite
from gigafactory.units import NS_PER_S

#: Noon on a working day.
NOON = instant_ns(dt.datetime(2026, 11, 25, 12, 0, tzinfo=ZoneInfo("Europe/Amsterdam")))
POOL, SITE = "pool00", "site0"


def small_factory(folder: Path, nodes: int = 8) -> Factory:
    small = SmallFactory((SmallSite(pools=(SmallPool("H100", nodes),)),))
    return load_factory(str(small.write(folder / "small.yaml")))


@dataclass
class Bench:
    """A loop on one simulated cluster, with a real SQLite store and journal.

    What a kill loses is lost here too: `restart` throws the controller away and opens a new one.
    """

    folder: Path
    nodes: int = 8
    faults: Faults = field(default_factory=Faults)
    manner: Manner = field(default_factory=lambda: Manner(checkpoint_s=120.0, save_s=4.0))
    environment: str = "live"
    begin_ns: int = NOON
    response: Response = field(default_factory=Response)
    failures: tuple[tuple[int, str], ...] = ()
    dark: tuple[tuple[int, int], ...] = ()
    ramp: float | None = None
    metered: bool = True

    def __post_init__(self) -> None:
        self.asked = 0
        self.factory = small_factory(self.folder, self.nodes)
        self.clock = SimClock(self.begin_ns)
        names = [f"n{i:04d}" for i in range(self.nodes)]
        self.plan: PoolPlan = plan_of(self.factory, POOL, names)
        self.twin = TwinManager(
            self.clock,
            [Node(n, POOL, self.plan.node_size) for n in names],
            {POOL: draw_of(self.plan)},
            self.manner,
            self.faults,
            self.failures,
        )
        self.store = Store.open(f"sqlite:///{self.folder}/store.db")
        self.full_mw = self.nodes * 8 * int(self.plan.power_mw.max()) / 1e9
        self.controller = self._open()

    def _open(self) -> Controller:
        lease = self.store.lead("controller", self.clock.now_ns(), "bench")
        assert lease is not None, "another one leads"
        self.lease = lease
        point = PointRules(SITE, 4 * self.full_mw, 2 * self.full_mw, 0.2 * self.full_mw,
                           up_mw=self.full_mw, ramp_mw_per_min=self.ramp, lead_s=30.0)  # fmt: skip
        source = SourceRules("gopacs", frozenset({SITE}))
        manager = self.twin if self.environment != "shadow" else ShadowManager(self.twin)
        meter = TwinMeter({POOL: self.twin}, {SITE: [POOL]}, 1.1, 0.0, self.dark)
        self.parts = Parts(
            environment=self.environment,
            begin=begin_of(self.factory, {POOL: self.plan}, self.environment),
            sites={SITE: SitePart((POOL,), 1.1, 0.0)},
            clusters={"main": ClusterPart(manager, (POOL,))},
            plans={POOL: self.plan},
            gates={POOL: Gate(self.plan)},
            desk=Desk({"gopacs": source}, {SITE: point}),
            intake=Intake(self.store, lease),
            book=DayBook(self.folder / self.environment),
            clock=self.clock,
            response=self.response,
            meters=(meter,) if self.metered else (),
        )
        return open_controller(self.parts)

    def restart(self) -> None:
        """As after kill -9: nothing of the controller is left but what is on the disk."""
        journal = self.parts.book._journal
        if journal is not None:  # what was not synced is gone
            import os

            os.close(journal._fd)
            journal._fd = -1
            self.parts.book._journal = None
        self.lease.release()
        self.controller = self._open()

    def close(self) -> None:
        self.parts.book.close()
        self.lease.release()
        self.store.close()

    # --- time and words --------------------------------------------------------------------

    def turn(self, seconds: float) -> list[TickReport]:
        """Let time pass, a tick every two seconds."""
        reports = []
        end = self.clock.now_ns() + int(seconds * NS_PER_S)
        while self.clock.now_ns() < end:
            self.clock.wait_until(self.clock.now_ns() + 2 * NS_PER_S)
            reports.append(self.controller.tick())
        return reports

    def ask(self, key: str, nodes: int = 1, need_s: float = 600.0, tenant: str = "lab",
            job_class: str = "research", walltime_s: int = 100_000) -> str:  # fmt: skip
        body = {
            "job_class": job_class,
            "accelerators": 8 * nodes,
            "nodes": nodes,
            "walltime_s": walltime_s,
            "priority": 3,
            "script": f"# need_s={need_s}\n",
            "name": key,
            "pool": POOL,
            "accelerators_min": 0,
        }
        self.asked += 1  # a name is an instant and chance: they sort as they were asked for
        at_ns = self.clock.now_ns() + self.asked
        work, _ = self.store.submit(Asked(tenant, key, body, "test", at_ns))
        return work.id

    def limit(self, key: str, share: float, lasts_s: float = 600.0, **changes: object) -> GridOrder:
        """A grid party allows a share of full load from now on."""
        now = self.clock.now_ns()
        power_mw, end = share * self.full_mw * 1.1, now + int(lasts_s * NS_PER_S)
        order = GridOrder(key, "gopacs", OrderKind.LIMIT, SITE, power_mw, now, now, now, end)
        order = replace(order, **changes)  # type: ignore[arg-type]
        self.store.put_order(order)
        return order

    @property
    def it_share(self) -> float:
        """IT power drawn now as a share of full load, whatever any meter says."""
        return self.twin.power_w(POOL) / 1e6 / self.full_mw

    # --- what is on the disk ---------------------------------------------------------------

    def frames(self) -> list[tuple[str, int, live.LiveFrame]]:
        folder = self.folder / self.environment
        return [(d, at, f) for d in days_in(folder) for at, f in live_frames(day_path(folder, d))]

    def check(self) -> None:
        """What must hold at any instant, and of every journal."""
        assert not list(self.twin.look().faults())
        keys = [v.key for v in self.twin.observe().jobs if v.ours]
        assert len(keys) == len(set(keys)), "a job was doubled"
        check_journal(self.frames())


def check_journal(rows: list[tuple[str, int, live.LiveFrame]]) -> None:
    """A journal's own rules: intervals without a hole, segments that open before they close."""
    for day in dict.fromkeys(d for d, _, _ in rows):
        mine = [(at, f) for d, at, f in rows if d == day]
        assert isinstance(mine[0][1], live.Begin)
        assert all(a[0] <= b[0] for a, b in itertools.pairwise(mine))
        _check_intervals([f for _, f in mine if isinstance(f, live.Metered)])
        _check_segments([f for _, f in mine if isinstance(f, live.Moves)])
        intended = {c.key for f in _intents(mine) for c in (*f.commands, *f.nodes)}
        intended |= {key for f in _intents(mine) for key in f.submits}
        answered = {a.key for _, f in mine if isinstance(f, live.Receipts) for a in f.answers}
        assert answered <= intended, "something was done that was not written down before"


def _intents(mine: list[tuple[int, live.LiveFrame]]) -> Iterator[live.IntentTold]:
    return (f for _, f in mine if isinstance(f, live.IntentTold))


def _check_intervals(found: list[live.Metered]) -> None:
    for before, after in itertools.pairwise(found):
        assert before.to_ns == after.from_ns, "a hole between two intervals"


def _check_segments(found: list[live.Moves]) -> None:
    running: dict[int, bool] = {}
    for frame in found:
        for kind, job in zip(frame.columns["kind"].tolist(), frame.columns["job"].tolist(),
                             strict=True):  # fmt: skip
            if kind in (live.START, live.RESUME):
                assert not running.get(job, False), f"job {job} runs twice"
                running[job] = True
            elif kind in (live.FINISH, live.LIMIT, live.PREEMPT, live.FAIL, live.CANCEL):
                assert job in running, f"job {job} ends before it began"
                running[job] = False
            elif kind == live.PAUSE:
                running[job] = False
