"""The loop: observe, decide, journal the intent, act, meter, journal the facts, account.

In `simulate` one tick is a market period: the kernel makes its decisions on starts and victims
inside it, under the intent that was journaled before. A plan is made per local day from what is
known at its first instant. The journal is synced at the end of each day: in a simulation nothing
moves that could not be moved again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.adapters.twin import SENSES, SiteOrder
from gigafactory.engine.clock import Clock, SimClock, ticks
from gigafactory.engine.journal import Journal
from gigafactory.grid import MarketCalendar
from gigafactory.kernel import FULL_SPEED, NEVER, Records
from gigafactory.ledger import Book
from gigafactory.planner import DayInput, Intent, Plan, PoolView, Wish
from gigafactory.planner.energy import DAY_STEPS, STEPS, TAIL_STEPS
from gigafactory.planner.gate import Offer
from gigafactory.plant.battery import limits
from gigafactory.runtime.desks import Desk
from gigafactory.runtime.outlook import Outlook
from gigafactory.runtime.unplanned import conflicts_of
from gigafactory.runtime.wiring import CLASSES, REALTIME, World
from gigafactory.units import NS_PER_H

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


#: Local hour at which offers for the next day are made: the gate of the day-ahead auction.
GATE_HOUR = 12
#: What an offer is made of, as a snapshot keeps it.
_OFFER = ("position_mw", "charge_mw", "discharge_mw", "own_cost_eur", "soc_mwh")

#: What a pool was last told: nodes in service, speed steps, groups held, limits, power budget.
Told = tuple[int, tuple[int, ...], tuple[bool, ...], tuple[int, ...], int | None]


@dataclass(slots=True)
class Trace:
    """Real numbers of the run that the ledger does not keep; rebuilt from the journal on replay.

    Attributes:
        senses: float64[P, sites, len(SENSES)].
        speed: int64[P, sites, classes], speed steps in force.
        plans: status of each day's plan per site.
        conflicts: of plans that could not be made (`unplanned.conflicts_of`).
    """

    senses: Array
    speed: Ints
    plans: list[list[str]]
    conflicts: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def empty(cls, periods: int, sites: int) -> Trace:
        """A trace with room for a run."""
        return cls(
            np.zeros((periods, sites, len(SENSES))),
            np.full((periods, sites, len(CLASSES)), FULL_SPEED, np.int64),
            [],
        )


class Loop:
    """Turns a world day by day.

    Args:
        world: the wired factory.
        calendar: its market periods.
        journal: open for appending.
        book: accounts facts.
        trace: takes what the ledger does not keep.
        clock: whose time it is; a simulation's jumps.
        desks: those who send jobs elsewhere or close projects, in the order in which they decide.
    """

    def __init__(
        self,
        world: World,
        calendar: MarketCalendar,
        journal: Journal,
        book: Book,
        trace: Trace,
        clock: Clock | None = None,
        desks: Sequence[Desk] = (),
    ) -> None:
        self.desks = desks
        self.clock = clock or SimClock(calendar.begin_ns)
        self.world, self.calendar = world, calendar
        self.journal, self.book, self.trace = journal, book, trace
        groups = len(CLASSES)
        self.demand = np.zeros((len(world.sites), groups, calendar.periods))
        self.outlook = Outlook(world, calendar, self.demand)
        self.offers: list[tuple[Offer, Array] | None] = [None] * len(world.sites)
        self._told: list[Told | None] = [None] * len(world.twin.pools)

    def run(self, first_day: int, stop: Callable[[int], bool]) -> int:
        """Turn from a day on, until the end or until `stop(days done)` says so.

        Returns:
            Number of days done in all.
        """
        for day in range(first_day, self.calendar.days):
            self._turn(day)
            if stop(day + 1):
                return day + 1
        return self.calendar.days

    def _turn(self, day: int) -> None:
        periods = self.calendar.day_slice(day)
        plans = [self._plan(s, day, periods) for s in range(len(self.world.sites))]
        self.trace.plans.append([p.status for p in plans])
        told: dict[str, Any] = {"day": day, "status": [p.status for p in plans]}
        if unmet := conflicts_of(day, plans):
            self.trace.conflicts += unmet
            told["conflicts"] = unmet
        arrays = {
            f"{name}.{s}": getattr(plan, name)
            for s, plan in enumerate(plans)
            for name in (
                "it_mw",
                "charge_mw",
                "discharge_mw",
                "day_ahead_mw",
                "intraday_mw",
                "contract_share",
            )
        }
        self.journal.append(
            "plan",
            int(self.calendar.start_ns[periods.start]),
            told,
            arrays,
        )
        edges = self.calendar.start_ns[periods.start : periods.stop + 1]
        gate = int(np.searchsorted(self.calendar.local_hour[periods], GATE_HOUR))
        for tick in ticks(self.clock, edges.tolist()):
            if tick.index == gate:
                self._offer(day, periods.start + tick.index, tick.index, plans)
            self._tick(periods.start + tick.index, tick.index, plans)
        shares, fragments = self.world.twin.read_shares(), self.world.twin.read_fragments()
        counts = {"share_s": shares, "fragments": fragments}
        self.journal.append("shares", int(edges[-1]), {"day": day}, counts)
        self.book.day_shares(shares, fragments)
        self.book.close_day()
        self.journal.sync()

    # --- plan ---------------------------------------------------------------------------------

    def _plan(self, s: int, day: int, periods: slice) -> Plan:
        """What is known at the first instant of the day, and the plan made from it."""
        world, twin = self.world, self.world.twin.sites[s]
        n = periods.stop - periods.start
        info = self.outlook.known(s, periods.start)
        e = self.outlook.expect(info, s, periods.start, periods.start, n + 4 * TAIL_STEPS)
        hours = np.zeros(STEPS)
        hours[:n], hours[DAY_STEPS:] = 0.25, 1.0
        offered = self.offers[s]
        position, spread = np.zeros(STEPS), np.zeros(STEPS)
        if offered is not None:
            position[:n] = self.outlook.position(s, day, *offered)
            spread[:n] = twin.intraday_spread_eur_per_mwh
        self.offers[s] = None
        floor = twin.battery.soc_min_mwh if twin.battery else 0.0
        return world.sites[s].planner.plan(
            DayInput(
                periods=n,
                hours=hours,
                price_eur_per_mwh=_steps(e.price_eur_per_mwh, n),
                limit_mw=_steps(e.limit_mw, n),
                export_mw=world.sites[s].export_mw,
                offset_mw=_steps(e.offset_mw, n),
                rest_mw=np.full(STEPS, e.rest_mw),
                capacity=np.full(STEPS, e.usable),
                contract_mw=np.array([_steps(mw, n) for mw in e.contract_mw]).reshape(-1, STEPS),
                soc_mwh=twin.soc_mwh - floor,
                arrivals_gpu_h=np.array([_steps(d, n) for d in e.demand]) * hours,
                position_mw=position,
                spread_eur_per_mwh=spread,
                offered=offered is not None,
            )
        )

    def _offer(self, day: int, period: int, step: int, plans: list[Plan]) -> None:
        """At the gate: offer the next day, as it looks now; the auction's answer comes later."""
        if day + 1 >= self.calendar.days:
            return
        arrays: dict[str, npt.NDArray[Any]] = {}
        for s, plan in enumerate(plans):
            soc = self._expected_soc(s, plan, step)
            offer, bare = self.outlook.offer(s, period, day + 1, soc)
            self.offers[s] = (offer, bare) if len(offer.position_mw) else None
            arrays |= {f"position_mw.{s}": offer.position_mw, f"bare_mw.{s}": bare}
            arrays |= {f"own_cost_eur.{s}": offer.own_cost_eur}
        self.journal.append("gate", int(self.calendar.start_ns[period]), {"day": day + 1}, arrays)

    def _expected_soc(self, s: int, plan: Plan, step: int) -> float:
        """Energy that the battery will hold at midnight if the rest of the day goes as planned."""
        site = self.world.twin.sites[s]
        battery = site.battery
        if battery is None:
            return 0.0
        gained = plan.charge_mw[step:].sum() * battery.charge_efficiency
        gained -= plan.discharge_mw[step:].sum() / battery.discharge_efficiency
        level = site.soc_mwh - battery.soc_min_mwh + 0.25 * float(gained)
        return min(max(level, 0.0), battery.soc_max_mwh - battery.soc_min_mwh)

    # --- tick ---------------------------------------------------------------------------------

    def _tick(self, period: int, step: int, plans: list[Plan]) -> None:
        twin = self.world.twin
        intents, orders = [], []
        for s, plan in enumerate(plans):
            intent, order = self._decide(s, period, step, plan)
            intents.append(intent)
            orders.append(order)
            self.trace.speed[period, s] = intent.speed.min(axis=0)
        said: dict[str, npt.NDArray[Any]] = {
            "speed": np.stack([i.speed.min(axis=0) for i in intents]).astype(np.int16),
            "held": np.stack([i.held for i in intents]).astype(np.uint8),
            "nodes": np.concatenate([np.array(i.nodes, np.int32) for i in intents]),
            "budget": np.concatenate(
                [np.array([-1 if b is None else b for b in i.budget_mw]) for i in intents]
            ),
            "battery": np.array([[o.charge_mw, o.discharge_mw] for o in orders]),
        }
        if any(wire.halls_mw for wire in self.world.sites):
            said["pool_speed"] = np.concatenate([i.speed for i in intents]).astype(np.int16)
        self.journal.append("intent", int(twin.edges_ns[period]), {}, said)
        twin.placement.let_in(int(twin.edges_ns[period]))
        for desk in self.desks:
            desk.decide(period)
        for s, intent in enumerate(intents):
            self._act(s, intent, period)
        until = int(twin.edges_ns[period + 1])
        records: list[Records] = [place.kernel.advance(until) for place in twin.pools]
        facts, senses = twin.meter(period, records, orders)
        self.trace.senses[period] = senses
        self.journal.append(
            "facts", int(twin.edges_ns[period]), {}, {**facts.arrays(), "sense": senses}
        )
        self.book.tick(facts)
        self._learn(period)

    def _decide(self, s: int, period: int, step: int, plan: Plan) -> tuple[Intent, SiteOrder]:
        """Meet the plan with what the connection, the battery and the pools say now."""
        world = self.world
        wire, site = world.sites[s], world.twin.sites[s]
        views = [self._view(i, period) for i in wire.pools]
        hours = float(world.twin.edges_ns[period + 1] - world.twin.edges_ns[period]) / NS_PER_H
        charge, discharge = float(plan.charge_mw[step]), float(plan.discharge_mw[step])
        limit = float(site.limit_mw[period])
        drawn_mw = sum(int(world.twin.pools[i].kernel.state.v[0]["draw"]) for i in wire.pools) / 1e9
        support = 0.0
        if site.battery is not None:
            most = limits(site.battery, site.soc_mwh, hours)[1]
            support = min(discharge, most)
            if drawn_mw > site.it_allowed_mw(period, limit + support):
                support = most  # battery first: before anybody is slowed down
        envelope = site.it_allowed_mw(period, limit + support)
        wanted = np.ceil(plan.speed[:, step] * FULL_SPEED - 1e-6).astype(np.int64)
        wish = Wish(wanted, plan.running[:, step], plan.defers[:, step])
        halls = {hall: float(limit[period]) for hall, limit in wire.halls_mw.items()}
        intent = world.responder.decide(envelope, wish, views, halls)
        share = np.full(len(world.twin.contract_site), np.nan)
        mine = [k for k, of in enumerate(world.twin.contract_site) if of == s]
        share[mine] = plan.contract_share[:, step]
        order = SiteOrder(
            charge_mw=0.0 if support > discharge else charge,
            discharge_mw=max(discharge, support) if support > discharge else discharge,
            contract_share=share,
            day_ahead_mw=float(plan.day_ahead_mw[step]),
            intraday_mw=float(plan.intraday_mw[step]),
            planned_it_mw=float(plan.it_mw[step]),
            envelope_mw=intent.envelope_mw / 1e9,
        )
        return intent, order

    def _view(self, i: int, period: int) -> PoolView:
        place = self.world.twin.pools[i]
        state = place.kernel.state
        return PoolView(
            running=state.group["running"][: len(CLASSES)].copy(),
            nodes=int(place.usable[period]),
            in_service=int(state.v[0]["in_service"]),
            node_size=place.kernel.spec.node_size,
            waiting=bool(state.v[0]["queued"]),
            idle_mw=place.kernel.spec.idle_power_mw,
            power_mw=self.world.power_mw[i],
            hall=self.world.pool_hall[i],
        )

    def _act(self, s: int, intent: Intent, period: int) -> None:
        """Tell the pools what they have not been told already."""
        held = np.zeros(8, np.bool_)
        held[: len(CLASSES)] = intent.held
        hold = tuple(intent.held.tolist())
        for k, i in enumerate(self.world.sites[s].pools):
            kernel = self.world.twin.pools[i].kernel
            speed, limits = intent.speed[k], self._limits(i, period)
            slow = tuple(speed.tolist())
            told = (intent.nodes[k], slow, hold, limits, intent.budget_mw[k])
            before = self._told[i]
            if told == before and intent.budget_mw[k] is None:
                kernel.turn()
                continue
            if before is None or before[0] != told[0]:
                kernel.set_service(intent.nodes[k])
            if before is None or before[1] != slow:
                self._set_speed(i, speed)
            if before is None or before[2] != hold:
                kernel.hold(held)
            if limits != (before[3] if before else ()):
                kernel.set_limits(np.array(limits) if limits else None)
            kernel.set_budget(intent.budget_mw[k])
            kernel.turn()
            self._told[i] = told

    def _set_speed(self, i: int, steps: Ints) -> None:
        """Set the speeds of a pool, and what an active accelerator draws at them."""
        speed = np.full(8, FULL_SPEED, np.int64)
        speed[: len(CLASSES)] = steps
        # a service serves fewer requests when it is slowed down, but lasts as long
        speed[REALTIME] = FULL_SPEED
        watts = self.world.power_mw[i][np.arange(len(CLASSES)), steps]
        kernel = self.world.twin.pools[i].kernel
        kernel.set_groups(
            speed, np.concatenate([watts, np.zeros(3, np.int64)]), self.world.checkpoint_ns
        )

    def _limits(self, i: int, period: int) -> tuple[int, ...]:
        """What the classes of a pool may draw in a period, milliwatts; empty without limits."""
        share = self.world.class_share
        if share is None:
            return ()
        place = self.world.twin.pools[i]
        most = int(place.installed[period]) * self.world.power_mw[i][:, -1].astype(np.int64)
        mine = share[period, place.site]
        limits = np.full(8, NEVER, np.int64)
        limits[: len(CLASSES)] = np.where(mine < 1.0, np.floor(mine * most.max()), NEVER)
        return tuple(limits.tolist())

    def _learn(self, period: int) -> None:
        """Keep what the next plan may know: accelerators at work, or that would be if let.

        Jobs that wait for nodes are no load to come: the scheduler could not place them. Those that
        were held back are.
        """
        for place in self.world.twin.pools:
            state = place.kernel.state
            held = state.group["asking"] * state.group["held"]
            asked = state.group["running"] + state.group["paused"] + held
            self.demand[place.site, :, period] += asked[: len(CLASSES)]

    # --- snapshot -----------------------------------------------------------------------------

    def snapshot(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """State of the loop and the twin; the book is rebuilt from the journal instead."""
        arrays, fields = self.world.twin.snapshot()
        fields["told"] = self._told
        fields["desks"] = []
        for i, desk in enumerate(self.desks):
            mine, kept = desk.snapshot()
            arrays |= {f"desk{i}.{name}": array for name, array in mine.items()}
            fields["desks"].append(kept)
        fields["offered"] = [pair is not None for pair in self.offers]
        for s, pair in enumerate(self.offers):
            if pair is not None:
                arrays |= {f"offer{s}.{n}": getattr(pair[0], n) for n in _OFFER}
                arrays[f"offer{s}.bare_mw"] = pair[1]
        return {**arrays, "demand": self.demand}, fields

    def restore(self, arrays: Any, fields: Any) -> None:
        """Put back what `snapshot` gave."""
        self.world.twin.restore(arrays, fields)
        self.demand[...] = arrays["demand"]
        for s, offered in enumerate(fields["offered"]):
            if offered:
                kept_ = {n: np.asarray(arrays[f"offer{s}.{n}"]) for n in _OFFER}
                self.offers[s] = (
                    Offer(**kept_, step_h=1.0),
                    np.asarray(arrays[f"offer{s}.bare_mw"]),
                )
        self._told = [
            t and (t[0], tuple(t[1]), tuple(t[2]), tuple(t[3]), t[4]) for t in fields["told"]
        ]
        for i, (desk, kept) in enumerate(zip(self.desks, fields["desks"], strict=True)):
            start = f"desk{i}."
            mine = {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
            desk.restore(mine, kept)


def _steps(values: Array, n: int) -> Array:
    """Lay values per market period out over a plan's steps: `n` periods, then hourly means."""
    want = n + 4 * TAIL_STEPS
    out = np.zeros(STEPS)
    out[:n] = values[:n]
    out[n:DAY_STEPS] = values[n - 1]
    out[DAY_STEPS:] = values[n:want].reshape(TAIL_STEPS, 4).mean(axis=1)
    return out


__all__ = ["Loop", "Trace"]
