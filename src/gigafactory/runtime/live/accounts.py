"""The accounts of the loop: what happened and what was metered, written into the day it belongs to.

`Accounts` owns the journal's facts: numbers of jobs, segments, readings, the turn of the day. It is
the one place that knows up to which instant everything is accounted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from gigafactory.jobs.ports import WorkloadSnapshot
from gigafactory.runtime.live import frames
from gigafactory.runtime.live.daybook import DayBook, day_at
from gigafactory.runtime.live.isps import IspEnergy
from gigafactory.runtime.live.memory import Memory
from gigafactory.runtime.live.orders import Desk, as_plain
from gigafactory.runtime.live.parts import Parts
from gigafactory.runtime.live.readings import (
    Meters,
    Power,
    import_w,
    pool_point,
    site_point,
)
from gigafactory.runtime.live.recovery import Recovery
from gigafactory.runtime.live.watch import (
    MW_NS_PER_UWH,
    Look,
    Move,
    Seen,
    Watch,
    group_of,
    work_row,
)
from gigafactory.units import NS_PER_S

Ints = npt.NDArray[np.int64]
_POOL = {name: i for i, name in enumerate(frames.POOL_COLUMNS)}
_SITE = {name: i for i, name in enumerate(frames.SITE_COLUMNS)}
#: An interval longer than so many ticks is one in which the controller was away.
_AWAY_TICKS = 10


@dataclass(slots=True)
class Accounts:
    """Facts of the day at hand.

    Attributes:
        parts: what the loop works with.
        watch: follows jobs.
        memory: what decisions ask to be remembered of the frames written.
        upto_ns: everything before this instant is accounted.
        nodes: accelerators per pool as last seen: down, in service.
        limits_w: limit in force per site, for the readings; -1 for none.
        isps: energy imported per site and settlement period.
        before_uwh: energy imported per site before this controller began (`counting`).
    """

    parts: Parts
    watch: Watch = field(init=False)
    memory: Memory = field(init=False)
    upto_ns: int = 0
    limits_w: dict[str, int] = field(default_factory=dict)
    before_uwh: Mapping[str, int] = field(default_factory=dict)
    isps: IspEnergy = field(default_factory=IspEnergy)
    _groups: dict[int, int] = field(default_factory=dict)
    _meters: Meters = field(default_factory=Meters)
    _nodes: dict[str, tuple[int, int]] = field(default_factory=dict)
    _queued: dict[str, tuple[int, int]] = field(default_factory=dict)
    _imported: dict[str, int] = field(default_factory=dict)
    _end_ns: int = 0
    _sealed: bool = False

    def __post_init__(self) -> None:
        begin = self.parts.begin
        self.watch = Watch(
            {p.name: i for i, p in enumerate(begin.pools)},
            {label: i for i, label in enumerate(begin.classes)},
        )
        self.memory = Memory(self.parts.plans.values(), begin.tenants)

    # --- days ------------------------------------------------------------------------------

    def start(self, now_ns: int) -> None:
        """Begin the first day of all."""
        self._begin(now_ns)
        self.upto_ns = now_ns

    def first(self, day: str, now_ns: int) -> None:
        """Begin a day whose journal is there and empty."""
        self._book.day = day
        self._begin(now_ns)
        self.upto_ns = now_ns

    def resume(self, found: Recovery, torn_bytes: int, why: str, now_ns: int) -> None:
        """Go on in a day that is there."""
        assert found.begin is not None, "a day begins with its begin"
        self.watch.restore(found.jobs, found.count, found.moves.values(), found.groups)
        self._groups = dict(found.groups)
        self.upto_ns = found.upto_ns
        self._end_ns = found.begin.edges_ns[-1]
        self._sealed = found.ended
        self.watch.closed.update(found.closed)
        self._book.last_ns = found.last_ns
        self.isps = found.isps
        if found.ended:
            return
        told = frames.Resumed(found.upto_ns, why, torn_bytes)
        self._book.write(max(now_ns, found.last_ns), told)

    def turn(self, now_ns: int) -> bool:
        """Seal the days that are over, and begin those that have begun; whether any was."""
        turned = False
        while now_ns >= self._end_ns:
            end = self._end_ns
            if not self._sealed:
                if end > self.upto_ns:
                    self._interval((), end, {})
                next_day = day_at(end, self.parts.begin.timezone).name
                self._book.write(end, frames.End(next_day, self.watch.open_jobs()))
            self._begin(end)
            self._sealed, self.upto_ns = False, max(self.upto_ns, end)
            turned = True
        return turned

    def _begin(self, at_ns: int) -> None:
        day = day_at(at_ns, self.parts.begin.timezone)
        self._end_ns = day.end_ns
        frame = replace(self.parts.begin, day=day.name, edges_ns=day.edges_ns)
        self._book.begin(day.name, at_ns, frame)
        self.memory.take(frame)
        carried = self.memory.carried()
        if carried is not None:
            self._put(at_ns, carried)
        self._groups.clear()
        told, moves = self.watch.carry_over(at_ns)
        self._write_work(told, at_ns, carried=True)
        self._write_moves(moves, at_ns)
        for move in moves:
            self.watch.apply(move, self._groups)
        self.carry_orders(self.parts.desk, at_ns)
        self._meters = Meters()

    def carry_orders(self, desk: Desk, at_ns: int) -> None:
        """Write the orders that stand into the day, so that it is whole by itself."""
        for order in desk.standing(at_ns):
            told = as_plain(order)
            self._book.write(at_ns, frames.OrderJudged(**told, verdict="carried", rule="", why=""))

    # --- a tick ----------------------------------------------------------------------------

    def see(
        self, snapshots: Mapping[str, WorkloadSnapshot], pools_of: Mapping[str, Sequence[str]]
    ) -> dict[str, Look]:
        """Look at every manager that answered; numbers and rows are written by `facts`."""
        looks = {}
        for name, snapshot in snapshots.items():
            if snapshot.trouble:
                continue
            looks[name] = self.watch.see(snapshot, self.upto_ns, pools_of[name])
            for pool in pools_of[name]:
                self._count(pool, snapshot)
        return looks

    def facts(self, looks: Iterable[Look], now_ns: int, found: Mapping[str, Power]) -> None:
        """Write what happened and what was metered up to now."""
        looks = list(looks)
        fresh = [seen for look in looks for seen in look.fresh]
        moves = sorted((m for look in looks for m in look.moves), key=lambda m: (m.t_ns, m.job))
        self._write_work(fresh, now_ns, carried=False)
        self._write_moves(moves, now_ns)
        if now_ns > self.upto_ns:
            self._interval(moves, now_ns, found)
        else:
            for move in moves:
                self.watch.apply(move, self._groups)

    def it_power(self, pool: str, found: Mapping[str, Power], modelled_kw: float) -> Power:
        """IT power of a pool: metered, else modelled."""
        metered = found.get(pool_point(pool))
        return metered if metered is not None else Power(modelled_kw * 1000.0, False, self.upto_ns)

    def import_wh(self, site: str) -> int:
        """Energy imported at a site, Wh: a counter that goes on over restarts and never falls."""
        return (self.before_uwh.get(site, 0) + self._imported.get(site, 0)) // 1_000_000

    # --- writing ---------------------------------------------------------------------------

    @property
    def _book(self) -> DayBook:
        return self.parts.book

    def _put(self, at_ns: int, frame: frames.LiveFrame) -> None:
        """Write a fact down, and remember what decisions ask of it."""
        self._book.write(at_ns, frame)
        self.memory.take(frame)

    def _count(self, pool: str, snapshot: WorkloadSnapshot) -> None:
        plan = self.parts.plans[pool]
        names = frozenset(plan.nodes)
        mine = [n for n in snapshot.nodes if n.node in names]
        up = sum(n.accelerators for n in mine if n.up and not n.off)
        off = sum(n.accelerators for n in mine if n.off)
        size = len(plan.nodes) * plan.node_size
        self._nodes[pool] = (max(size - up - off, 0), up)
        waits = [v for v in snapshot.jobs if v.pool == pool and v.ours and v.phase != "running"]
        self._queued[pool] = (len(waits), sum(v.accelerators for v in waits))

    def _write_work(self, jobs: Sequence[Seen], at_ns: int, *, carried: bool) -> None:
        if not jobs:
            return
        tenants = {name: i for i, name in enumerate(self.parts.begin.tenants)}
        rows = [work_row(seen, self.watch, tenants, carried) for seen in jobs]
        for seen in jobs:
            self._groups[seen.number] = group_of(seen.view, self.watch.classes)
        told = frames.WorkTaken(
            frames.columns_of(frames.WORK, rows),
            tuple(s.view.key for s in jobs),
            tuple(s.view.job for s in jobs),
            tuple("" for _ in jobs),
        )
        self._put(at_ns, told)

    def _write_moves(self, moves: Sequence[Move], at_ns: int) -> None:
        if not moves:
            return
        reasons = {str(i): m.reason for i, m in enumerate(moves) if m.reason}
        columns = frames.columns_of(frames.MOVES, [m.row for m in moves])
        self._put(at_ns, frames.Moves(columns, reasons))

    def _interval(self, moves: Sequence[Move], to_ns: int, found: Mapping[str, Power]) -> None:
        """Account the time up to an instant and write its readings."""
        parts, from_ns = self.parts, self.upto_ns
        took = to_ns - from_ns
        plans = list(parts.plans.values())
        away = took > _AWAY_TICKS * int(parts.tick_s * NS_PER_S)
        if away:
            for point in self._meters.points.values():
                point.last = None
        groups, foreign = self.watch.run(
            moves,
            from_ns,
            to_ns,
            [plan.power_mw for plan in plans],
            [plan.idle_power_mw for plan in plans],
            self._groups,
        )
        pools = np.zeros((len(plans), len(frames.POOL_COLUMNS)), np.int64)
        for i, plan in enumerate(plans):
            self._pool_row(pools[i], plan.name, groups[i], int(foreign[i]), took, found, away)
        sites = np.zeros((len(parts.sites), len(frames.SITE_COLUMNS)), np.int64)
        for s, name in enumerate(parts.sites):
            self._site_row(sites[s], name, pools, from_ns, to_ns, found, away)
        self.upto_ns = to_ns
        self._put(to_ns, frames.Metered(from_ns, to_ns, pools, groups, sites, away))

    def _pool_row(
        self,
        row: Ints,
        pool: str,
        groups: Ints,
        foreign_ns: int,
        took: int,
        found: Mapping[str, Power],
        away: bool,
    ) -> None:
        plan = self.parts.plans[pool]
        size = len(plan.nodes) * plan.node_size
        down, up = self._nodes.get(pool, (0, size))
        idle = took * up * plan.idle_power_mw // MW_NS_PER_UWH
        active = int(groups[:, frames.GROUP_COLUMNS.index("active_uwh")].sum())
        most = int(plan.power_mw[:, plan.full_speed].max()) - plan.idle_power_mw
        model = idle + active + foreign_ns * most // MW_NS_PER_UWH
        integral = self._meters.of(pool_point(pool))
        metered = found.get(pool_point(pool))
        if metered is not None and not away:
            energy, measured = integral.add(metered, took)
        else:
            energy, measured = integral.add_uwh(model), False
        power_w = metered.power_w if metered is not None else model * 3_600_000 / max(took, 1)
        queued, asked = self._queued.get(pool, (0, 0))
        for name, value in (
            ("it_uwh", energy),
            ("model_uwh", model),
            ("idle_uwh", idle),
            ("measured", int(measured)),
            ("it_w", round(power_w)),
            ("installed_ns", took * size),
            ("down_ns", took * down),
            ("service_ns", took * up),
            ("foreign_ns", foreign_ns),
            ("queued", queued),
            ("queued_accelerators", asked),
        ):
            row[_POOL[name]] = value

    def _site_row(
        self,
        row: Ints,
        site: str,
        pools: Ints,
        from_ns: int,
        to_ns: int,
        found: Mapping[str, Power],
        away: bool,
    ) -> None:
        part = self.parts.sites[site]
        took = to_ns - from_ns
        names = list(self.parts.plans)
        mine = [pools[names.index(p)] for p in part.pools]
        it_w = float(sum(int(one[_POOL["it_w"]]) for one in mine))
        it_uwh = sum(int(one[_POOL["it_uwh"]]) for one in mine)
        power = import_w(site, it_w, found, part.overhead, part.base_mw * 1e6, to_ns)
        integral = self._meters.of(site_point(site))
        if power.measured and not away:
            energy, measured = integral.add(power, took)
        else:
            base = round(part.base_mw * 1e6) * took // 3_600_000
            energy, measured = integral.add_uwh(round(it_uwh * part.overhead) + base), False
        self._imported[site] = self._imported.get(site, 0) + energy
        self.isps.add(site, from_ns, to_ns, energy)
        price = self.parts.prices(site, from_ns) if self.parts.prices is not None else None
        limit = self.limits_w.get(site, -1)
        over = took if 0 <= limit < power.power_w else 0
        for name, value in (
            ("import_uwh", energy),
            ("measured", int(measured)),
            ("import_w", round(power.power_w)),
            ("limit_w", limit),
            ("price_micro_eur", price[0] if price is not None else -1),
            ("carbon_mg", price[1] if price is not None else -1),
            ("priced", int(price is not None)),
            ("over_ns", over),
        ):
            row[_SITE[name]] = value
