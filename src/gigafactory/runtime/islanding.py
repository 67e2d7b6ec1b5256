"""Islanding: what a site runs while it has no grid, and how it comes back.

When the grid fails, `plant.island.plan_shedding` says until when each class of work may run, most
vital first: the site itself, then the classes against the order of victims, real-time inference
before all. What is shed leaves its nodes, which leave service, so that they draw nothing; it goes
back to its last checkpoint. The plan is made again with the fuel there is then: twice a day, every
hour of the last day, and before a class falls. What was shed stays shed until the grid is back.
Whatever the plan says, IT power stays within what generators and battery can give in each period.

When the grid is back, `plant.restoration.restart` says in which order and how fast; import stays
below its course, read at the beginning of each period. How long an outage lasts nobody knows,
unless it was announced: a plan takes it to last as long as the factory file plans for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.adapters.ownplant import OwnPlant
from gigafactory.adapters.site import TwinSite
from gigafactory.engine.journal import Journal
from gigafactory.factory.models import Factory
from gigafactory.factory.timeline import GridOutage
from gigafactory.grid import MarketCalendar
from gigafactory.jobs import JobClass
from gigafactory.kernel import FULL_SPEED
from gigafactory.planner import Information, PoolView, forecast
from gigafactory.plant.battery import limits
from gigafactory.plant.generation import Generator
from gigafactory.plant.island import Island, Load, plan_shedding
from gigafactory.plant.restoration import restart
from gigafactory.runtime.supply import WEATHER
from gigafactory.units import NS_PER_H

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

REALTIME = int(JobClass.INFERENCE_REALTIME)
LABELS = tuple(c.label for c in JobClass)
#: Hours between two plans of shedding, and in the last so many hours, when what classes draw by day
#: and by night no longer evens out.
REPLAN_H, LAST_REPLAN_H, LAST_H = 12.0, 1.0, 24.0
#: Shortest stretch worth keeping a class on for, minutes (assumption).
_RUN_MIN = 60.0
#: Nodes kept in service beyond those that the work kept needs: small jobs do not pack exactly.
_SPARE_SHARE = 0.1
#: What the site itself may need beyond its needs of now, as the weather turns (assumption).
_WEATHER_SHARE = 0.05
#: Name of the site's own needs in a plan: offices, safety, networks' losses, cooling at rest.
SITE, RESTING = "site", "resting nodes"
_MW = 1e9  # milliwatts


@dataclass(frozen=True, slots=True)
class Policy:
    """What the factory file says about outages.

    Attributes:
        ranked: classes, most vital first.
        checkpoint_min: minutes a class needs to save its work, per class number.
        planned_h: how long an outage is taken to last.
        site_per_it: MW a site draws more per MW of IT, per site number.
    """

    ranked: tuple[int, ...]
    checkpoint_min: tuple[float, ...]
    planned_h: float
    site_per_it: tuple[float, ...]


def policy_of(factory: Factory, site_per_it: tuple[float, ...]) -> Policy:
    """What a factory file says about outages."""
    victims = [LABELS.index(str(label)) for label in factory.policy.victim_order]
    savings = {str(k): v for k, v in factory.policy.checkpoint.items()}
    minutes = tuple(savings[label].cost_s / 60.0 if label in savings else 0.0 for label in LABELS)
    kept = [g for g in reversed(victims) if g != REALTIME]
    planned_h = factory.energy.outage_planned_s / 3600.0
    return Policy((REALTIME, *kept), minutes, planned_h, site_per_it)


@dataclass(frozen=True, slots=True)
class Order:
    """What a site is told for a period of an outage or of the way back.

    Attributes:
        room_mw: site power that may be drawn.
        nodes: nodes in service at the most, per pool of the site.
        held: classes whose queued jobs do not start, bool[classes].
    """

    room_mw: float
    nodes: tuple[int, ...]
    held: npt.NDArray[np.bool_]


@dataclass(slots=True)
class _Course:
    """Where a site stands in an outage, or on its way back."""

    began: int  # first period of the outage
    onset: list[list[int]]  # accelerators at work or paused, per pool and class
    until_h: list[float]  # until when each class is kept, hours from the beginning
    planned_at_h: float = 0.0
    back: int = -1  # first period with the grid again
    # stages of the way back: end (min), site power (MW), class or -1
    steps: list[list[float]] = field(default_factory=list)

    def fields(self) -> dict[str, Any]:
        """Plain fields."""
        return {
            "began": self.began,
            "onset": self.onset,
            "until_h": self.until_h,
            "planned_at_h": self.planned_at_h,
            "back": self.back,
            "steps": self.steps,
        }


class Islanding:
    """Decides for sites without a grid, period by period.

    Args:
        sites: plants of the twin.
        outages: outages of the grid in the run, by site number.
        calendar: market periods.
        journal: takes the plans.
        policy: of the factory file.
        trace: takes what is said to the journal, for the summary.
    """

    def __init__(
        self,
        sites: list[TwinSite],
        outages: tuple[tuple[GridOutage, ...], ...],
        calendar: MarketCalendar,
        journal: Journal,
        policy: Policy,
        trace: list[dict[str, Any]],
    ) -> None:
        self.sites, self.outages, self.calendar = sites, outages, calendar
        self.journal, self.policy, self.told = journal, policy, trace
        self.courses: list[_Course | None] = [None] * len(sites)
        self.idle = not any(outages)

    def order(
        self,
        s: int,
        period: int,
        views: list[PoolView],
        asking: Ints,
        known: Callable[[], Information],
    ) -> Order | None:
        """What a site is told for a period; None where it goes its usual way.

        Args:
            s: number of the site.
            period: the period that begins now.
            views: its pools as they stand.
            asking: accelerators that paused jobs hold and that waiting ones ask,
                [2, pools, classes].
            known: gives what is known now.
        """
        site, course = self.sites[s], self.courses[s]
        if site.islanded(period):
            if course is None or course.back >= 0:
                course = self.courses[s] = self._begin(s, period, views, asking, known)
            elif self._is_due(s, course, period):
                self._replan(s, period, course, views, known)
            return self._island(s, period, course, views, asking)
        if course is None:
            return None
        if course.back < 0:
            self._come_back(s, period, course, views)
        return self._return(s, period, course, views)

    # --- in the island ---------------------------------------------------------------------------

    def _begin(
        self,
        s: int,
        period: int,
        views: list[PoolView],
        asking: Ints,
        known: Callable[[], Information],
    ) -> _Course:
        onset = [(v.running + p).tolist() for v, p in zip(views, asking[0], strict=True)]
        course = _Course(period, onset, [0.0] * len(LABELS))
        every = tuple(self.policy.ranked)
        self._plan(s, period, course, views, every, known)
        return course

    def _is_due(self, s: int, course: _Course, period: int) -> bool:
        """Whether to plan again: after some hours, and before a class falls that was to run."""
        elapsed = self._elapsed_h(course, period)
        since = elapsed - course.planned_at_h
        last = self._ahead_h(s, period, elapsed) <= LAST_H
        falls = len(self._kept(course, period)) < len(self._kept(course, period - 1))
        soonest = LAST_REPLAN_H if last or falls else REPLAN_H
        return since >= soonest - 1e-9

    def _replan(
        self,
        s: int,
        period: int,
        course: _Course,
        views: list[PoolView],
        known: Callable[[], Information],
    ) -> None:
        kept = self._kept(course, period - 1)
        before = list(course.until_h)
        self._plan(s, period, course, views, kept, known)
        for g in range(len(LABELS)):
            if g not in kept:  # what was shed stays shed
                course.until_h[g] = before[g]

    def _plan(
        self,
        s: int,
        period: int,
        course: _Course,
        views: list[PoolView],
        classes: tuple[int, ...],
        known: Callable[[], Information],
    ) -> None:
        """Find until when each class may run, and say so to the journal."""
        elapsed = self._elapsed_h(course, period)
        ahead = self._ahead_h(s, period, elapsed)
        island = self._as_island(s, period, views, course, classes, ahead, known)
        day = self.calendar.local_dates[self.calendar.day_of[period]]
        plan = plan_shedding(island, day, ahead)
        last = elapsed + ahead
        for g in classes:
            # a class that drew nothing goes with the one above it
            if LABELS[g] in plan.shed_h:
                last = elapsed + plan.shed_h[LABELS[g]]
                if plan.shed_h[LABELS[g]] >= ahead - 1e-9:
                    last = np.inf
            course.until_h[g] = float(last)
        course.planned_at_h = elapsed
        self._say(
            "island",
            period,
            {
                "site": s,
                "outage": course.began,
                "elapsed_h": elapsed,
                "planned_for_h": ahead,
                "holds": plan.holds,
                "shed_h": {
                    name: (elapsed + h if h < ahead - 1e-9 else None)
                    for name, h in plan.shed_h.items()
                },
                "power_mw": {load.name: round(load.whole_mw, 6) for load in island.loads},
                "broken": [[b.at_h + elapsed, b.what, b.kind] for b in plan.outage.broken],
            },
        )

    def _as_island(
        self,
        s: int,
        period: int,
        views: list[PoolView],
        course: _Course,
        classes: tuple[int, ...],
        ahead_h: float,
        known: Callable[[], Information],
    ) -> Island:
        """The site as `plant.island` sees it, with the fuel and the charge it has now."""
        site, own = self.sites[s], self.sites[s].own
        per_it = self.policy.site_per_it[s] - 1.0
        own_needs = site.least_mw(period) * (1.0 + _WEATHER_SHARE)
        loads = [Load(SITE, max(own_needs, 1e-6), 1, protected=True)]
        counts = course.onset if period == course.began else [v.running.tolist() for v in views]
        for g in classes:
            power = sum(_with_nodes(n[g], v, g) for n, v in zip(counts, views, strict=True))
            if power > 0:
                save = self.policy.checkpoint_min[g]
                loads.append(
                    Load(
                        LABELS[g],
                        power / _MW,
                        2 + self.policy.ranked.index(g),
                        per_it,
                        protected=g == REALTIME,
                        pausable=save > 0.0,
                        checkpoint_min=save,
                        run_min=_RUN_MIN,
                    )
                )
        rest = sum(
            max(v.in_service * v.node_size - sum(n), 0) * v.idle_mw
            for n, v in zip(counts, views, strict=True)
        )
        if rest > 0 and len(classes) == len(LABELS):
            loads.append(Load(RESTING, rest / _MW, 2 + len(LABELS), per_it))
        factor: dict[str, Array] = {}
        generators: list[Generator] = []
        ran: dict[str, float] = {}
        for k, unit in enumerate(own.fleet.generators if own is not None else ()):
            assert own is not None
            generators.append(replace(unit, fuel_stock_mwh=float(own.state.fuel_mwh[k])))
            ran[unit.name] = float(own.state.run_h[k])
            if own.fleet.weather[k]:
                factor[unit.name] = self._weather(WEATHER[unit.kind], known(), ahead_h)
        return Island(
            tuple(loads),
            tuple(generators),
            site.battery,
            site.soc_mwh if site.battery is not None else 0.0,
            capacity_factor=factor,
            run_h=ran,
        )

    def _weather(self, signal: str, info: Information, ahead_h: float) -> Array:
        """Expected hourly capacity factors, as known now."""
        hours = int(np.ceil(ahead_h))
        seen = np.clip(forecast(info, signal, 4 * hours).median(), 0.0, 1.0)
        seen = np.concatenate([seen, np.full(max(4 * hours - len(seen), 0), seen[-1])])
        return np.asarray(seen[: 4 * hours].reshape(hours, 4).mean(axis=1))

    def _island(
        self, s: int, period: int, course: _Course, views: list[PoolView], asking: Ints
    ) -> Order:
        """Order generators for what is kept, and say how much may be drawn."""
        site, hours = self.sites[s], self._hours(period)
        kept = self._kept(course, period)
        wanted = self._wanted(course, views, asking)
        nodes = self._nodes(kept, views, wanted)
        store = limits(site.battery, site.soc_mwh, hours)[1] if site.battery is not None else 0.0
        made = 0.0
        if site.own is not None:
            made = self._generate(s, period, kept, nodes, views, wanted, store)
        room = made + min(store, self._spare_mw(s, period, course, made))
        held = np.array([g not in kept for g in range(len(LABELS))])
        return Order(room, nodes, held)

    def _spare_mw(self, s: int, period: int, course: _Course, made_mw: float) -> float:
        """What the battery may give now and still carry the site itself to the end planned for.

        Generators that carry the site leave all of it free; without them work does not take what
        the site needs, whatever it drew beyond the plan.
        """
        site, hours = self.sites[s], self._hours(period)
        own_needs = site.least_mw(period) * (1.0 + _WEATHER_SHARE)
        if site.battery is None or made_mw >= own_needs:
            return float("inf")
        stored = (site.soc_mwh - site.battery.soc_min_mwh) * site.battery.discharge_efficiency
        left_h = self._ahead_h(s, period, self._elapsed_h(course, period))
        return max((stored - own_needs * max(left_h - hours, 0.0)) / hours, own_needs)

    def _generate(
        self,
        s: int,
        period: int,
        kept: tuple[int, ...],
        nodes: tuple[int, ...],
        views: list[PoolView],
        wanted: Ints,
        store_mw: float,
    ) -> float:
        """Order the generators that what is kept needs; the most they can give, MW."""
        site, hours = self.sites[s], self._hours(period)
        own: OwnPlant = site.own  # type: ignore[assignment]
        it = 0
        for v, n, asked in zip(views, nodes, wanted, strict=True):
            busy = min(sum(int(asked[g]) for g in kept), n * v.node_size)
            top = max(int(v.power_mw[g, FULL_SPEED]) for g in kept) if kept else 0
            it += n * v.node_size * v.idle_mw + busy * max(top - v.idle_mw, 0)
        table = site.it_grid_mw + site.cooling_mw[period] + site.losses_mw[period]
        need = float(np.interp(it / _MW, site.it_grid_mw, table)) + site.auxiliary_mw
        reach = own.order(period, own.few(need, period, hours), hours)
        if float(reach.high_mw.sum()) + store_mw < site.least_mw(period):
            # not even the site itself can be carried: nothing is started for it
            starting = own.most_mw(period, hours) > 0.0
            slow = starting & (own.fleet.start_h >= hours)
            reach = own.order(period, slow, hours)
        return float(reach.high_mw.sum())

    def _kept(self, course: _Course, period: int) -> tuple[int, ...]:
        elapsed = self._elapsed_h(course, period)
        return tuple(g for g in self.policy.ranked if course.until_h[g] > elapsed + 1e-9)

    def _wanted(self, course: _Course, views: list[PoolView], asking: Ints) -> Ints:
        """Accelerators each class may want, [pools, classes].

        Services as many as they ask for, all others no more than they had when the grid failed.
        """
        wanted = np.array([v.running for v in views], np.int64) + asking[0] + asking[1]
        most = np.array(course.onset, np.int64)
        most[:, REALTIME] = wanted[:, REALTIME]
        return np.asarray(np.minimum(wanted, most))

    def _nodes(self, kept: tuple[int, ...], views: list[PoolView], wanted: Ints) -> tuple[int, ...]:
        """Nodes in service: all while nothing is shed, else what the work kept needs."""
        if len(kept) == len(LABELS):
            return tuple(v.nodes for v in views)
        out = []
        for v, asked in zip(views, wanted, strict=True):
            busy = sum(int(asked[g]) for g in kept)
            out.append(min(v.nodes, int(np.ceil(busy * (1.0 + _SPARE_SHARE) / v.node_size))))
        return tuple(out)

    # --- the way back ----------------------------------------------------------------------------

    def _come_back(self, s: int, period: int, course: _Course, views: list[PoolView]) -> None:
        """Make the timetable of the way back, and say it to the journal."""
        site, per_it = self.sites[s], self.policy.site_per_it[s] - 1.0
        draws = [
            int(v.in_service) * v.node_size * v.idle_mw
            + sum(
                int(v.running[g]) * (int(v.power_mw[g, FULL_SPEED]) - v.idle_mw)
                for g in range(len(LABELS))
            )
            for v in views
        ]
        table = site.it_grid_mw + site.cooling_mw[period] + site.losses_mw[period]
        runs = sum(draws) / _MW
        alive = runs > 0.0
        running = (
            float(np.interp(runs, site.it_grid_mw, table)) + site.auxiliary_mw if alive else 0.0
        )
        loads = [] if alive else [Load(SITE, max(site.least_mw(period), 1e-6), 1)]
        for rank, g in enumerate(self.policy.ranked):
            lacks = sum(
                max(n[g] - int(v.running[g]), 0) * int(v.power_mw[g, FULL_SPEED])
                for n, v in zip(course.onset, views, strict=True)
            )
            if lacks > 0:
                loads.append(Load(LABELS[g], lacks / _MW, 2 + rank, per_it))
        limit = float(site.limit_mw[period])
        made = restart(loads, limit_mw=limit, running_mw=min(running, limit))
        course.back = period
        names = {LABELS[g]: g for g in self.policy.ranked}
        course.steps = [[0.0, min(running, limit), -1]] + [
            [
                stage.end_min,
                stage.power_mw,
                names.get(stage.what, -1) if stage.kind == "load" else -1,
            ]
            for stage in made.stages
        ]
        self._say(
            "restart",
            period,
            {
                "site": s,
                "outage": course.began,
                "running_mw": running,
                "done_min": made.done_min,
                "stages": [
                    [x.begin_min, x.end_min, x.kind, x.what, x.power_mw] for x in made.stages
                ],
                "held": [[x.what, x.why, x.fallback] for x in made.held],
            },
        )

    def _return(self, s: int, period: int, course: _Course, views: list[PoolView]) -> Order | None:
        """What may be drawn in a period of the way back; None when it is over."""
        minutes = (self.calendar.start_ns[period] - self.calendar.start_ns[course.back]) / 60e9
        done = [step for step in course.steps if step[0] <= minutes + 1e-9]
        if len(done) == len(course.steps):
            self.courses[s] = None
            return None
        limit = float(self.sites[s].limit_mw[period])
        room = min(limit, max(step[1] for step in done))
        waits = {int(step[2]) for step in course.steps if step not in done and step[2] >= 0}
        back = tuple(g for g in self.policy.ranked if g not in waits)
        nodes = []
        for k, v in enumerate(views):
            busy = sum(max(course.onset[k][g], int(v.running[g])) for g in back)
            nodes.append(min(v.nodes, int(np.ceil(busy * (1.0 + _SPARE_SHARE) / v.node_size))))
        held = np.array([g in waits for g in range(len(LABELS))])
        return Order(room, tuple(nodes), held)

    # --- help ------------------------------------------------------------------------------------

    def _hours(self, period: int) -> float:
        return float(self.calendar.start_ns[period + 1] - self.calendar.start_ns[period]) / NS_PER_H

    def _elapsed_h(self, course: _Course, period: int) -> float:
        start = self.calendar.start_ns
        return float(start[period] - start[course.began]) / NS_PER_H

    def _ahead_h(self, s: int, period: int, elapsed_h: float) -> float:
        """How long the outage is taken to last from now on, whole quarters of an hour."""
        now = int(self.calendar.start_ns[period])
        for one in self.outages[s]:
            if one.first <= period < one.last and one.known_ns is not None and one.known_ns <= now:
                end = int(self.calendar.start_ns[one.last])
                return max((end - now) / NS_PER_H, 0.25)
        left_h = self.policy.planned_h - elapsed_h
        return left_h if left_h > 0.0 else REPLAN_H  # it lasts longer than anybody planned for

    def _say(self, kind: str, period: int, fields: dict[str, Any]) -> None:
        self.told.append({"kind": kind, "period": period, **fields})
        self.journal.append(kind, int(self.calendar.start_ns[period]), {"period": period, **fields})

    # --- snapshot --------------------------------------------------------------------------------

    def snapshot(self) -> list[dict[str, Any] | None]:
        """The state between two periods, as plain fields."""
        kept = []
        for course in self.courses:
            fields = None if course is None else course.fields()
            if fields is not None:
                fields["until_h"] = [None if np.isinf(h) else h for h in fields["until_h"]]
            kept.append(fields)
        return kept

    def restore(self, kept: list[dict[str, Any] | None]) -> None:
        """Put back what `snapshot` gave."""
        for s, fields in enumerate(kept):
            if fields is None:
                self.courses[s] = None
                continue
            until = [np.inf if h is None else h for h in fields["until_h"]]
            self.courses[s] = _Course(**{**fields, "until_h": until})


def _with_nodes(count: int, view: PoolView, g: int) -> int:
    """Milliwatts of accelerators at work, and of those that rest on the nodes kept for them."""
    nodes = int(np.ceil(count * (1.0 + _SPARE_SHARE) / view.node_size))
    rests = max(nodes * view.node_size - count, 0)
    return count * int(view.power_mw[g, FULL_SPEED]) + rests * view.idle_mw


__all__ = ["Islanding", "Order", "Policy", "policy_of"]
