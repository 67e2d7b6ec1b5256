"""Live days made up by rolling dice: jobs that come and go, meters that fit them or are away."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from gigafactory.engine.journal import Journal
from gigafactory.factory import load_factory
from gigafactory.grid import MarketCalendar
from gigafactory.runtime.live import frames as f
from gigafactory.testing.factories import SmallFactory, SmallPool, SmallSite

ZONE = "Europe/Amsterdam"
CLASSES = ("frontier_training", "research", "fine_tuning", "inference_batch", "inference_realtime")
IDLE_MW = 60_000
FULL_MW = (700_000, 600_000, 650_000, 500_000, 400_000)
PER_UWH = 3_600_000_000  # milliwatt-nanoseconds in a micro-watt-hour


@lru_cache
def factory_file(folder: Path) -> Path:
    """A factory of two sites and three pools, as a file."""
    sites = (
        SmallSite((SmallPool("H100", 8), SmallPool("B200", 4)), 1.3, battery=0.4),
        SmallSite((SmallPool("H100", 4),), 1.3),
    )
    return SmallFactory(sites).write(folder / "factory.yaml")


def begin_of(path: Path, day: str = "2025-01-15", **changes: object) -> f.Begin:
    """The first frame of a day of that factory."""
    factory = load_factory(path)
    calendar = MarketCalendar.of(dt.date.fromisoformat(day), 1, ZONE)
    pools = tuple(
        f.PoolFact(
            pool.name,
            pool.site,
            pool.chip,
            tuple(f"{pool.name}-{i}" for i in range(pool.accelerators // 8)),
            8,
            IDLE_MW,
            FULL_MW,
        )
        for pool in factory.fleet
    )
    told: dict[str, object] = {
        "environment": "live",
        "day": day,
        "timezone": ZONE,
        "edges_ns": tuple(calendar.start_ns.tolist()),
        "factory": factory.name,
        "factory_digest": "",
        "sites": tuple(factory.sites),
        "tenants": ("alpha", "beta"),
        "classes": CLASSES,
        "pools": pools,
    }
    return f.Begin(**(told | changes))  # type: ignore[arg-type]


@dataclass
class Dice:
    """A job as the maker of the day knows it."""

    number: int
    pool: int
    group: int
    tenant: int
    accelerators: int
    submit_ns: int
    state: str = "waiting"
    frozen: bool = False


@dataclass
class MadeDay:
    """Frames of one day, one interval after the other.

    Attributes:
        begin: its first frame.
        seed: of its dice.
        tick_ns: length of an interval.
        gaps: chance that a meter is away in an interval.
        error: how far the metered IT power lies beside its model, at most, as a share.
    """

    begin: f.Begin
    seed: int = 0
    tick_ns: int = 60 * 10**9
    gaps: float = 0.1
    error: float = 0.2
    jobs: list[Dice] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.now = self.begin.edges_ns[0]
        self.energy = [0] * len(self.begin.pools)  # exact uWh per pool, as metered or modelled

    def frames(self, ticks: int, end: bool = False) -> list[tuple[int, f.LiveFrame]]:
        """The beginning and a number of intervals."""
        out: list[tuple[int, f.LiveFrame]] = [(self.now, self.begin)]
        if self.jobs:
            out += self._carried()
        for _ in range(ticks):
            out += self.tick(min(self.now + self.tick_ns, self.begin.edges_ns[-1]))
            if self.now == self.begin.edges_ns[-1]:
                break
        if end:
            still = sum(job.state != "gone" for job in self.jobs)
            out.append((self.now, f.End("tomorrow", still)))
        return out

    def _carried(self) -> list[tuple[int, f.LiveFrame]]:
        self.jobs = [job for job in self.jobs if job.state != "gone"]
        for number, job in enumerate(self.jobs):
            job.number = number
        rows = [self._row(job, 1) for job in self.jobs]
        out = [(self.now, self._taken(rows))]
        going = [self._move(f.RESUME, j, self.now) for j in self.jobs if j.state == "running"]
        return [*out, (self.now, f.Moves(f.columns_of(f.MOVES, going)))]

    def _row(self, job: Dice, carried: int) -> tuple[int, ...]:
        asked = job.accelerators
        who = (job.number, job.tenant, job.group, job.pool)
        return (*who, asked, asked // 8, 3, job.submit_ns, 7200, carried)

    def _taken(self, rows: list[tuple[int, ...]]) -> f.WorkTaken:
        keys = tuple(f"work-{row[7]}-{row[0]}" for row in rows)
        native = tuple(str(1000 + row[0]) for row in rows)
        return f.WorkTaken(f.columns_of(f.WORK, rows), keys, native, keys)

    def _move(self, kind: int, job: Dice, t_ns: int, lost_ns: int = 0) -> tuple[int, ...]:
        frozen = int(kind == f.PAUSE and job.frozen)
        return (kind, job.number, t_ns, job.accelerators, job.pool, 128, lost_ns, 0, frozen)

    def tick(self, end: int) -> list[tuple[int, f.LiveFrame]]:
        """One interval: work taken up, what moved in it, and what was metered."""
        start, dice = self.now, self.dice
        out: list[tuple[int, f.LiveFrame]] = []
        if len(self.jobs) < 40 and dice.random() < 0.3:
            pool = dice.randrange(len(self.begin.pools))
            asked = dice.choice((1, 4, 8, 16))
            job = Dice(len(self.jobs), pool, dice.randrange(5), dice.randrange(2), asked, start)
            self.jobs.append(job)
            out.append((start, self._taken([self._row(job, 0)])))
        moves, used, frozen = self._roll(start, end)
        if moves:
            out.append((end, f.Moves(f.columns_of(f.MOVES, moves))))
        out.append((end, self._metered(start, end, used, frozen)))
        self.now = end
        return out

    def _free(self, pool: int) -> int:
        busy = [j for j in self.jobs if j.pool == pool and (j.state == "running" or j.frozen)]
        return 8 * len(self.begin.pools[pool].nodes) - sum(
            -(-j.accelerators // 8) * 8 for j in busy
        )

    def _roll(self, start: int, end: int) -> tuple[list[tuple[int, ...]], np.ndarray, np.ndarray]:
        """Moves at random instants of an interval, and accelerator-time used and frozen."""
        shape = (len(self.begin.pools), 5)
        used, frozen = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        moves: list[tuple[int, ...]] = []
        cuts = sorted(self.dice.randint(start, end) for _ in range(self.dice.choice((0, 0, 1, 3))))
        before = start
        for t in [*cuts, end]:
            for job in self.jobs:
                if job.state == "running":
                    used[job.pool, job.group] += job.accelerators * (t - before)
                if job.frozen:
                    frozen[job.pool, job.group] += job.accelerators * (t - before)
            if t in cuts and self.jobs:
                moves += self._step(self.dice.choice(self.jobs), t)
            before = t
        return moves, used, frozen

    def _step(self, job: Dice, t: int) -> list[tuple[int, ...]]:
        if job.state == "gone":
            return []
        if job.state in ("waiting", "paused"):
            if self.dice.random() < 0.1:
                job.state, job.frozen = "gone", False
                return [self._move(f.GONE, job, t)]
            if not job.frozen and self._free(job.pool) < -(-job.accelerators // 8) * 8:
                return []
            kind = f.START if job.state == "waiting" else f.RESUME
            job.state, job.frozen = "running", False
            return [self._move(kind, job, t)]
        kind = self.dice.choice((f.FINISH, f.PAUSE, f.EVICT, f.FAIL, f.CANCEL, f.PREEMPT))
        job.frozen = kind == f.PAUSE and self.dice.random() < 0.5
        job.state = {f.FINISH: "gone", f.CANCEL: "gone", f.PAUSE: "paused"}.get(kind, "waiting")
        lost = job.accelerators * self.dice.randrange(10**10) if kind in (f.EVICT, f.FAIL) else 0
        return [self._move(kind, job, t, lost)]

    def _metered(self, start: int, end: int, used: np.ndarray, frozen: np.ndarray) -> f.Metered:
        dt_ns, dice = end - start, self.dice
        pools, sites = [], []
        groups = np.zeros((len(self.begin.pools), 5, len(f.GROUP_COLUMNS)), np.int64)
        site_it = [0] * len(self.begin.sites)
        for p, pool in enumerate(self.begin.pools):
            installed = 8 * len(pool.nodes) * dt_ns
            idle = installed * pool.idle_mw // PER_UWH
            active = [
                int(n) * (full - pool.idle_mw) // PER_UWH
                for n, full in zip(used[p].tolist(), pool.full_mw, strict=True)
            ]
            model = idle + sum(active)
            measured = int(dice.random() >= self.gaps)
            it = int(model * dice.uniform(1 - self.error, 1 + self.error)) if measured else model
            site_it[self.begin.sites.index(pool.site)] += it
            self.energy[p] += it
            watts = it * 3_600_000 // dt_ns
            waiting = [j for j in self.jobs if j.pool == p and j.state == "waiting"]
            asked = sum(j.accelerators for j in waiting)
            row = (it, model, idle, measured, watts, installed, 0, installed, 0)
            pools.append((*row, len(waiting), asked))
            groups[p] = np.stack(
                [used[p], used[p], frozen[p], np.zeros(5, np.int64), np.array(active)], axis=1
            )
        for it in site_it:
            taken = int(it * dice.uniform(1.05, 1.3))
            watts = taken * 3_600_000 // dt_ns
            sites.append((taken, 0, 0, 0, 1, watts, -1, 80_000_000, 250_000_000, 1, 0))
        return f.Metered(start, end, np.array(pools), groups, np.array(sites))


def write_day(folder: Path, frames: list[tuple[int, f.LiveFrame]]) -> Path:
    """Write frames as the journal of a day; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with Journal.create(folder / "journal.gfj") as journal:
        for at_ns, frame in frames:
            f.write(journal, at_ns, frame)
        journal.sync()
    return folder
