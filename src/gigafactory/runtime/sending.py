"""The desk that sends work to the site where it is expected to cost least.

A job that several pools may have is placed when it comes; one that waits is looked at again each
hour; and where the policy lets work move while it runs, running ones too. Costs per site are
forecast at the first instant of each local day, from what is known then; pools are seen as they are
at the first instant of the period. Where data must move first, the job waits for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.factory.models import Factory
from gigafactory.grid import MarketCalendar
from gigafactory.jobs import JobClass, JobTable
from gigafactory.kernel import JobState
from gigafactory.planner import Information, forecast
from gigafactory.planner.placing import (
    OUTLOOK_H,
    Ask,
    PoolOutlook,
    Road,
    first_to_start,
    place,
    worth_moving,
)
from gigafactory.runtime.wiring import CLASSES, REALTIME, World
from gigafactory.units import NS_PER_H

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PERIODS_PER_H = 4
#: Waiting jobs looked at again in an hour, those that wait longest first.
LOOKED_AT = 200
#: Share of a pool's accelerators that may be sent away, running, in an hour, or else one job: so
#: sites do not swing.
SENT_FRACTION = 0.02
#: Running jobs with less left than this stay.
LEAST_LEFT_H = 2.0
_TB_PER_PB = 1000.0
_MB_PER_TB = 1_000_000
_GBIT_PER_TB = 8000.0
_QUEUED, _RUNNING, _DONE = (int(JobState[n]) for n in ("QUEUED", "RUNNING", "DONE"))


@dataclass(frozen=True, slots=True)
class Movable:
    """The jobs that may run in more than one pool, or whose data lie somewhere; columns over them.

    Attributes:
        job: numbers in the run, ascending.
        options: pools that may have each, bool[n, pools].
        submit_ns: instant of submission.
        job_class: class.
        accelerators: asked.
        run_h: run time by its estimate, hours.
        data_tb: data it needs where it runs.
        data_site: site where they lie at first.
    """

    job: npt.NDArray[np.int32]
    options: npt.NDArray[np.bool_]
    submit_ns: Ints
    job_class: npt.NDArray[np.int8]
    accelerators: npt.NDArray[np.int32]
    run_h: Floats
    data_tb: Floats
    data_site: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.job)


def movable_of(world: World, factory: Factory, table: JobTable) -> Movable:
    """The jobs a sending desk has to do with, of those that are in the run's pools."""
    options = np.zeros((len(table), len(world.twin.pools)), np.bool_)
    for i, pool in enumerate(world.twin.pools):
        options[pool.jobs, i] = True
    sites = list(factory.sites)
    size, where = {}, {}
    for tenant in factory.tenants:
        for work, name in zip(tenant.work, tenant.project_names, strict=True):
            size[name] = work.data_pb * _TB_PER_PB
            where[name] = sites.index(work.data_site) if work.data_site else 0
    data_tb = np.array([size.get(n, 0.0) for n in table.projects] + [0.0])[table.project]
    data_site = np.array([where.get(n, 0) for n in table.projects] + [0], np.int8)[table.project]
    home = world.twin.placement.home
    at = np.array([place.site for place in world.twin.pools], np.int8)
    away = (data_tb > 0.0) & (home >= 0) & (at[home] != data_site)
    some = np.flatnonzero((options.sum(axis=1) > 1) | away)
    return Movable(
        job=some.astype(np.int32),
        options=options[some],
        submit_ns=table.submit_ns[some],
        job_class=table.job_class[some],
        accelerators=table.accelerators[some],
        run_h=table.walltime_ns[some] / NS_PER_H,
        data_tb=data_tb[some],
        data_site=data_site[some],
    )


class SendingDesk:
    """Places and moves jobs.

    Args:
        world: the wired factory.
        calendar: of the run.
        factory: its policy, prices and roads.
        movable: the jobs it has to do with.
    """

    def __init__(
        self, world: World, calendar: MarketCalendar, factory: Factory, movable: Movable
    ) -> None:
        self.world, self.calendar, self.movable = world, calendar, movable
        self.policy = factory.policy
        self.site = movable.data_site.copy()
        self.moves = np.zeros(len(movable), np.int8)
        self.going: dict[int, int] = {}
        self._day = -1
        self._cost = np.zeros((len(world.sites), OUTLOOK_H))
        delays = {str(k): v for k, v in self.policy.delay_cost_eur_per_gpu_h.items()}
        self._delay = [delays.get(label, 1.0) for label in CLASSES]
        prices = factory.finance.price_eur_per_gpu_h
        self._worth = [prices[label].base if label in prices else 0.0 for label in CLASSES]
        self._roads = _roads(factory)
        self._heat_of = [site.heat for site in factory.sites.values()]
        restart = {JobClass[str(k).upper()]: v for k, v in self.policy.restart_s.items()}
        self._restart_h = [restart.get(JobClass(g), 0.0) / 3600.0 for g in range(len(CLASSES))]

    # --- what is expected ---------------------------------------------------------------------

    def _forecast(self, period: int) -> None:
        """What a MWh of IT will add per site in each coming hour, EUR; made once a local day."""
        day = int(np.searchsorted(self.calendar.day_edges, period, side="right")) - 1
        if day == self._day:
            return
        self._day = day
        first = int(self.calendar.day_edges[day])
        now_ns = int(self.calendar.start_ns[first])
        for s, wire in enumerate(self.world.sites):
            info = Information(wire.signals, self.calendar, now_ns)
            shape = wire.planner.shape
            price = _hourly(forecast(info, "price", OUTLOOK_H * 4).median())
            carbon = _hourly(forecast(info, "carbon", OUTLOOK_H * 4).median())
            counted = price + shape.levy_eur_per_mwh
            counted = counted + carbon / 1000.0 * self.policy.carbon_price_eur_per_t
            self._cost[s] = shape.site_per_it * counted - self._heat(s, first, info)

    def _heat(self, s: int, period: int, info: Information) -> Floats:
        """What the heat of a MWh more of IT brings per hour, EUR; nothing where there is enough."""
        plant, network = self.world.twin.sites[s], self._heat_of[s]
        if network is None:
            return np.zeros(OUTLOOK_H)
        it_mw = sum(self._drawn_mw(i) for i in self.world.sites[s].pools)
        share = float(plant.heat_mw[period, -1]) / float(plant.it_grid_mw[-1])
        asked = _hourly(forecast(info, "heat_demand", OUTLOOK_H * 4).median())
        wanted = np.minimum(asked * network.peak_demand_mw, network.power_mw_max)
        return np.where(wanted > it_mw * share, share * network.price_eur_per_mwh, 0.0)

    def _drawn_mw(self, i: int) -> float:
        return int(self.world.twin.pools[i].kernel.state.v[0]["draw"]) / 1e9

    def _outlook(self, i: int, period: int) -> PoolOutlook:
        """A pool as it stands, with what its jobs' estimates say will come free."""
        place_ = self.world.twin.pools[i]
        state, size = place_.kernel.state, place_.kernel.spec.node_size
        v = state.v[0]
        free = int(v["in_service"]) * size - int(v["held"])
        now = int(self.calendar.start_ns[period])
        minute = -(-(now - int(v["origin"])) // 60_000_000_000)
        span = OUTLOOK_H * 60
        rows = state.releases[minute : minute + span, 1:].sum(axis=1)
        by_minute = np.zeros(span)
        by_minute[: len(rows)] = rows
        coming = free + np.cumsum(by_minute.reshape(OUTLOOK_H, 60).sum(axis=1))
        coming = np.concatenate([[free], coming[:-1]])
        power = self.world.power_mw[i][:, -1] - place_.kernel.spec.idle_power_mw
        since = max(period - int(self.calendar.day_edges[self._day]), 0) // 4
        cost = np.roll(self._cost[place_.site], -since)
        cost[OUTLOOK_H - since :] = cost[OUTLOOK_H - since - 1]
        return PoolOutlook(
            place_.site, cost, power / 1e6, coming, float(state.group["asking"].sum())
        )

    def _ask(self, k: int, run_h: float, ahead: tuple[float, ...] = ()) -> Ask:
        m = self.movable
        g = int(m.job_class[k])
        return Ask(
            job_class=g,
            accelerators=int(m.accelerators[k]),
            run_h=run_h,
            options=tuple(np.flatnonzero(m.options[k]).tolist()),
            data_tb=float(m.data_tb[k]),
            data_site=int(self.site[k]),
            delay_eur_per_gpu_h_day=self._delay[g],
            ahead_accelerators=ahead,
        )

    # --- orders -------------------------------------------------------------------------------

    def decide(self, period: int) -> None:
        """Place what comes in the period; each hour, look at what waits and what runs again."""
        now, until = (int(t) for t in self.calendar.start_ns[period : period + 2])
        self._send_saved(now)
        first, last = np.searchsorted(self.movable.submit_ns, [now, until])
        hourly = period % PERIODS_PER_H == 0
        moves = self.policy.migration != "none" and hourly
        if first == last and not moves:
            return
        self._forecast(period)
        pools = [self._outlook(i, period) for i in range(len(self.world.twin.pools))]
        if moves:
            self._look_at_waiting(now, pools)
            if self.policy.migration == "full":
                self._look_at_running(now, pools)
        for k in range(int(first), int(last)):
            self._place_new(k, now, pools)

    def _place_new(self, k: int, now: int, pools: list[PoolOutlook]) -> None:
        job = int(self.movable.job[k])
        home = int(self.world.twin.placement.home[job])
        if home < 0:
            return
        ask = self._ask(k, float(self.movable.run_h[k]))
        to = home
        if self.policy.migration != "none":
            first = first_to_start(ask, pools, self._roads, home)
            gain = self.policy.migration_gain_eur_per_gpu_h
            to = place(ask, pools, self._roads, first, gain)
        pools[to].take(ask.accelerators, ask.run_h)
        submit = int(self.movable.submit_ns[k])
        if to != home or self._road_ns(k, to) > 0:
            self._send(k, to, now, max(now, submit))

    def _look_at_waiting(self, now: int, pools: list[PoolOutlook]) -> None:
        """Send waiting jobs where they would cost less, those that wait longest first."""
        waiting = self._in_state(_QUEUED)
        submits = [self._queue_of(i) for i in range(len(pools))]
        seen = 0
        for k in waiting:
            if self.moves[k] >= self.policy.migration_moves_max or seen >= LOOKED_AT:
                continue
            seen += 1
            job, submit = int(self.movable.job[k]), int(self.movable.submit_ns[k])
            home = int(self.world.twin.placement.home[job])
            ahead = tuple(float(total[np.searchsorted(at, submit)]) for at, total in submits)
            ask = self._ask(k, self._rest_h(job, home), ahead)
            gain = self.policy.migration_gain_eur_per_gpu_h
            to = place(ask, pools, self._roads, home, gain)
            if to != home and self._send(k, to, now, now):
                self.moves[k] += 1
                pools[to].take(ask.accelerators, ask.run_h)

    def _look_at_running(self, now: int, pools: list[PoolOutlook]) -> None:
        """Dismiss running jobs that are worth more elsewhere, the most worth first."""
        found = []
        for k in self._in_state(_RUNNING):
            if self.moves[k] < self.policy.migration_moves_max:
                gain, to, left_h = self._gain(k, now, pools)
                if gain > 0.0:
                    found.append((gain, int(k), to, left_h))
        sent = [0] * len(pools)
        for _, k, to, left_h in sorted(found, key=lambda f: (-f[0], f[1])):
            job, asked = int(self.movable.job[k]), int(self.movable.accelerators[k])
            home = int(self.world.twin.placement.home[job])
            spec = self.world.twin.pools[home].kernel.spec
            most = SENT_FRACTION * spec.nodes * spec.node_size
            may = sent[home] == 0 or sent[home] + asked <= most
            room = pools[to].wait_h(asked, left_h) <= 0.0
            if may and room and self.world.twin.placement.dismiss(job):
                sent[home] += asked
                pools[to].take(asked, left_h)
                self.going[k] = to

    def _gain(self, k: int, now: int, pools: list[PoolOutlook]) -> tuple[float, int, float]:
        """What the best move of a running job saves, where to, and the hours it has left."""
        job, g = int(self.movable.job[k]), int(self.movable.job_class[k])
        home = int(self.world.twin.placement.home[job])
        place_ = self.world.twin.pools[home]
        row = place_.kernel.state.job[self.world.twin.placement.at(home, job)]
        ends = int(place_.kernel.state.v[0]["origin"]) + int(row["bucket"]) * 60_000_000_000
        left_h = (ends - now) / NS_PER_H
        if left_h < LEAST_LEFT_H or g == REALTIME:
            return 0.0, home, left_h
        ask = self._ask(k, left_h)
        best, where = 0.0, home
        for to in ask.options:
            if to == home:
                continue
            road_h = self._road_ns(k, to) / NS_PER_H
            lost = ask.accelerators * self._restart_h[g]
            saved = worth_moving(
                ask,
                pools[home],
                pools[to],
                self._roads,
                lost,
                self._worth[g],
                self.policy.migration_gain_eur_per_gpu_h,
            )
            saved -= ask.gpu_h * road_h / 24.0 * self._delay[g]
            if saved > best:
                best, where = saved, to
        return best, where, left_h

    def _send_saved(self, now: int) -> None:
        """Send the jobs that were dismissed and have saved; forget those that have ended."""
        placement = self.world.twin.placement
        for k, to in sorted(self.going.items()):
            job = int(self.movable.job[k])
            state = placement.state(job)
            if state in (_DONE, _RUNNING) or job not in placement.leaving:
                del self.going[k]  # it ended, or failed and began anew, before its grace was over
                if job in placement.leaving:
                    placement.leaving.remove(job)
            elif self._send(k, to, now, now):
                self.moves[k] += 1
                del self.going[k]

    def _send(self, k: int, to: int, now: int, from_ns: int) -> bool:
        """Send a job to a pool, its data first where they lie elsewhere."""
        job, site = int(self.movable.job[k]), self.world.twin.pools[to].site
        road_ns = self._road_ns(k, to)
        if not self.world.twin.placement.send(job, to, now, from_ns + road_ns if road_ns else now):
            return False
        if road_ns > 0:
            megabytes = round(float(self.movable.data_tb[k]) * _MB_PER_TB)
            self.world.twin.data_mb[int(self.site[k])] += megabytes
            self.site[k] = site
        return True

    def _road_ns(self, k: int, to: int) -> int:
        """Time that the data of a job take to where a pool stands."""
        road = self._roads[int(self.site[k])][self.world.twin.pools[to].site]
        return round(float(self.movable.data_tb[k]) * road.h_per_tb * NS_PER_H)

    # --- what is so ---------------------------------------------------------------------------

    def _in_state(self, state: int) -> list[int]:
        """Numbers, here, of the movable jobs in a state in their home, by submission."""
        placement = self.world.twin.placement
        found: list[int] = []
        for i, place_ in enumerate(self.world.twin.pools):
            here = place_.jobs[np.flatnonzero(place_.kernel.state.job["state"] == state)]
            here = here[placement.home[here] == i]
            k = np.searchsorted(self.movable.job, here)
            known = k < len(self.movable)
            known[known] = self.movable.job[k[known]] == here[known]
            found += k[known].tolist()
        return sorted(found)

    def _queue_of(self, i: int) -> tuple[Ints, Ints]:
        """Instants at which the jobs that wait in a pool came, and what those before each ask."""
        kernel = self.world.twin.pools[i].kernel
        waiting = np.flatnonzero(kernel.state.job["state"] == _QUEUED)
        asked = kernel.state.ask["accelerators"][waiting].astype(np.int64)
        return kernel.state.job["submit"][waiting], np.concatenate([[0], np.cumsum(asked)])

    def _rest_h(self, job: int, home: int) -> float:
        """What is left of a waiting job's estimate, hours."""
        at = self.world.twin.placement.at(home, job)
        return int(self.world.twin.pools[home].kernel.state.ask["rest"][at]) / NS_PER_H

    # --- snapshot -----------------------------------------------------------------------------

    def snapshot(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Where data are, how often each job moved, and who has been dismissed."""
        going = [[k, to] for k, to in sorted(self.going.items())]
        return {"site": self.site, "moves": self.moves}, {"going": going}

    def restore(self, arrays: Any, fields: Any) -> None:
        """Put back what `snapshot` gave; costs are forecast anew with the day."""
        self.site[...], self.moves[...] = arrays["site"], arrays["moves"]
        self.going = {int(k): int(to) for k, to in fields["going"]}


def _roads(factory: Factory) -> list[list[Road]]:
    """What moving a TB takes from each site to each."""
    sites = list(factory.sites.values())
    here = Road(0.0, 0.0)
    return [
        [
            here
            if a == b
            else Road(
                one.transfer.price_eur_per_tb, _GBIT_PER_TB / one.transfer.rate_gbit_per_s / 3600.0
            )
            for b in range(len(sites))
        ]
        for a, one in enumerate(sites)
    ]


def _hourly(quarters: Floats) -> Floats:
    """Means per hour over the outlook; the last hour lasts where the calendar ends before it."""
    whole = len(quarters) // 4
    hours = quarters[: whole * 4].reshape(whole, 4).mean(axis=1) if whole else quarters[:1]
    return np.concatenate([hours, np.full(max(OUTLOOK_H - len(hours), 0), hours[-1])])[:OUTLOOK_H]
