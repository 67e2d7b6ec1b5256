"""The loop: observe, decide, journal the intent, act, meter, journal the facts, account.

In `simulate` one tick is a market period: the kernel makes its decisions on starts and victims
inside it, under the intent that was journaled before. A plan is made per local day from what is
known at its first instant. The journal is synced at the end of each day: in a simulation nothing
moves that could not be moved again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.adapters.site import SiteOrder
from gigafactory.adapters.twin import CONTRACT_SENSES, SENSES
from gigafactory.engine.clock import Clock, SimClock, ticks
from gigafactory.engine.journal import Journal
from gigafactory.grid import MarketCalendar
from gigafactory.grid.ramps import ramped_mw, reached_mw
from gigafactory.kernel import FULL_SPEED, NEVER, Records
from gigafactory.ledger import Book
from gigafactory.planner import DayInput, Intent, Plan, PoolView, Wish
from gigafactory.planner.energy import DAY_STEPS, STEPS, TAIL_STEPS
from gigafactory.planner.gate import Offer
from gigafactory.plant.battery import limits
from gigafactory.runtime.desks import Desk
from gigafactory.runtime.inputs import day_hours, day_steps, plan_input
from gigafactory.runtime.islanding import Islanding, Order
from gigafactory.runtime.outlook import Outlook
from gigafactory.runtime.replanning import AGAIN, KEPT, Replanning, told_again
from gigafactory.runtime.reserves import ReserveDesk, Sale
from gigafactory.runtime.stressing import Driver
from gigafactory.runtime.supply import order_own
from gigafactory.runtime.transportdesk import TransportDesk
from gigafactory.runtime.unplanned import conflicts_of
from gigafactory.runtime.wiring import CLASSES, REALTIME, World
from gigafactory.units import NS_PER_H, NS_PER_S

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


#: Local hour at which offers for the next day are made: the gate of the day-ahead auction.
GATE_HOUR = 12
#: A run time no job reaches, h: a class held up to it is held whole.
ALL_JOBS_H = 1e5
#: What an offer is made of, as a snapshot keeps it.
_OFFER = ("position_mw", "charge_mw", "discharge_mw", "own_cost_eur", "soc_mwh")

#: What a pool was last told: nodes in service, speed steps, run times held, limits, power budget.
Told = tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, ...], int | None]


@dataclass(slots=True)
class Trace:
    """Real numbers of the run that the ledger does not keep; rebuilt from the journal on replay.

    Attributes:
        senses: float64[P, sites, len(SENSES)].
        speed: int64[P, sites, classes], speed steps in force.
        held: bool[P, sites, classes], classes whose waiting work was kept back for cheaper energy.
        plans: status of each day's plan per site.
        islands: what was planned in outages of the grid and for the way back, in order.
        sales: what came of every auction of balancing reserves, in their order.
        told: what the grid operator said and was offered, in the order of the journal.
        conflicts: of plans that could not be made (`unplanned.conflicts_of`).
        again: what became of every plan made again within a day, per site (`replanning`).
    """

    senses: Array
    speed: Ints
    held: npt.NDArray[np.bool_]
    plans: list[list[str]]
    islands: list[dict[str, Any]] = field(default_factory=list)
    sales: list[Sale] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    again: list[list[str]] = field(default_factory=list)

    @classmethod
    def empty(cls, periods: int, sites: int) -> Trace:
        """A trace with room for a run."""
        return cls(
            np.zeros((periods, sites, len(SENSES))),
            np.full((periods, sites, len(CLASSES)), FULL_SPEED, np.int64),
            np.zeros((periods, sites, len(CLASSES)), np.bool_),
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
        driver: walks stress days by the second; None in an ordinary run.
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
        driver: Driver | None = None,
    ) -> None:
        self.desks = desks
        self.driver = driver
        if driver is not None:
            driver.bind(self._set_speed)
        self.clock = clock or SimClock(calendar.begin_ns)
        self.world, self.calendar = world, calendar
        self.journal, self.book, self.trace = journal, book, trace
        groups = len(CLASSES)
        self.demand = np.zeros((len(world.sites), groups, calendar.periods))
        self.outlook = Outlook(world, calendar, self.demand)
        self.offers: list[tuple[Offer, Array] | None] = [None] * len(world.sites)
        self._told: list[Told | None] = [None] * len(world.twin.pools)
        self._expected: list[Array] = [np.zeros((0, 0))] * len(world.sites)
        assert world.islanding is not None
        outages = tuple(wire.outages for wire in world.sites)
        self.islanding = Islanding(
            world.twin.sites, outages, calendar, journal, world.islanding, trace.islands
        )
        self.reserves = {
            s: ReserveDesk(
                world, calendar, s, self.outlook, driver.bidder_on(s) if driver else None
            )
            for s, wire in enumerate(world.sites)
            if wire.reserves is not None
        }
        self.transport = TransportDesk(world, calendar, journal, book, trace.told)
        every = world.replan_every if driver is None else 0  # seconds are walked by another engine
        self.replanning = Replanning(
            world, calendar, self.outlook, self.transport, self.reserves, every
        )
        #: power of each battery when the period at hand begins, charging positive, as ordered
        self._battery_mw = [0.0] * len(world.sites)

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
        self.transport.hear(periods.start)
        self.replanning.begin()
        for desk in self.reserves.values():
            desk.begin(day)
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
        if self.driver is not None:
            calls = {s: reserve.calls for s, reserve in self.reserves.items()}
            self.driver.begin_day(day, calls)
        edges = self.calendar.start_ns[periods.start : periods.stop + 1]
        gate = int(np.searchsorted(self.calendar.local_hour[periods], GATE_HOUR))
        auctions = self._auctions(periods)
        for tick in ticks(self.clock, edges.tolist()):
            self.transport.hear(periods.start + tick.index)
            for s, auction in auctions.get(tick.index, ()):
                self._sell(s, auction, day, periods.start + tick.index, tick.index, plans[s])
            if tick.index == gate:
                self._offer(day, periods.start + tick.index, tick.index, plans)
            self._offer_less(day, periods.start + tick.index, tick.index, plans)
            self._again(day, periods.start + tick.index, tick.index, plans)
            self._tick(day, periods.start + tick.index, tick.index, plans)
        if self.driver is not None and self.driver.day == day:
            self.journal.append("seconds", int(edges[-1]), self.driver.end_day())
        shares, fragments = self.world.twin.read_shares(), self.world.twin.read_fragments()
        counts = {"share_s": shares, "fragments": fragments}
        self.journal.append("shares", int(edges[-1]), {"day": day}, counts)
        self.book.day_shares(shares, fragments)
        self.transport.close_day(day)
        self.book.close_day()
        self.journal.sync()

    # --- reserves -----------------------------------------------------------------------------

    def _auctions(self, periods: slice) -> dict[int, list[tuple[int, str]]]:
        """The gates of balancing capacity in a day: period of the day to sites and auctions."""
        found: dict[int, list[tuple[int, str]]] = {}
        for s, desk in self.reserves.items():
            for hour, auction in desk.gates():
                step = int(np.searchsorted(self.calendar.local_hour[periods], hour))
                found.setdefault(step, []).append((s, auction))
        return found

    def _sell(self, s: int, auction: str, day: int, period: int, step: int, plan: Plan) -> None:
        """At a gate of balancing capacity: bid for the next day; the answer comes at once."""
        if day + 1 >= self.calendar.days:
            return
        soc = self._expected_soc(s, plan, step)
        sale, arrays = self.reserves[s].bid(auction, period, day + 1, soc)
        self.trace.sales.append(sale)
        self.journal.append("reserve", int(self.calendar.start_ns[period]), sale.fields(), arrays)

    # --- plan ---------------------------------------------------------------------------------

    def _plan(self, s: int, day: int, periods: slice) -> Plan:
        """What is known at the first instant of the day, and the plan made from it."""
        twin, desk = self.world.twin.sites[s], self.reserves.get(s)
        soc = max(twin.soc_mwh - self._band(s)[0], 0.0)
        x = self._day_input(s, periods.start, day, soc, desk)
        self.offers[s] = None
        self._expected[s] = x.generators.most_mw[:, : x.periods]
        plan = self.world.sites[s].planner.plan(x)
        if desk is not None:
            desk.follow(plan, soc)
        return plan

    def _day_input(
        self, s: int, now: int, day: int, soc_mwh: float, desk: ReserveDesk | None = None
    ) -> DayInput:
        """What a plan of a day is made of, as known when a period begins.

        Args:
            s: the site.
            now: the period.
            day: the day planned; it may lie ahead.
            soc_mwh: energy in the battery above its lower bound when that day begins.
            desk: keeps what is sold of the battery on the day at hand; none for a day ahead.
        """
        wire, periods = self.world.sites[s], self.calendar.day_slice(day)
        n = periods.stop - periods.start
        info = self.outlook.known(s, now)
        view = self.replanning.view(s) if now == periods.start else None
        e = self.outlook.expect(info, s, now, periods.start, n + 4 * TAIL_STEPS, view=view)
        hours = day_hours(n)
        offered = self.offers[s]
        position, spread = np.zeros(STEPS), np.zeros(STEPS)
        if offered is not None:
            position[:n] = self.outlook.position(s, day, *offered)
            spread[:n] = self.world.twin.sites[s].intraday_spread_eur_per_mwh
        found = plan_input(
            wire,
            e,
            lambda values: day_steps(values, n),
            hours,
            periods=n,
            soc_mwh=soc_mwh,
            position_mw=position,
            spread_eur_per_mwh=spread,
            offered=offered is not None,
            band=desk.band(hours, e, soc_mwh, n) if desk is not None else None,
        )
        return self.transport.with_peak(s, day, found, np.arange(STEPS) >= DAY_STEPS)

    def _again(self, day: int, period: int, step: int, plans: list[Plan]) -> None:
        """Make the plans again from the next period on, where the factory asks for it now."""
        if not self.replanning.due(step, len(plans[0].it_mw)):
            return
        statuses = []
        for s, plan in enumerate(plans):
            soc = max(self.world.twin.sites[s].soc_mwh - self._band(s)[0], 0.0)
            found = self.replanning.again(s, period, step, plan, soc, self.offers[s])
            statuses.append(KEPT if found is None else AGAIN)
            if found is not None:
                plans[s], most = found
                self._expected[s] = np.hstack([self._expected[s][:, : step + 1], most])
        self.trace.again.append(statuses)
        told = told_again(day, step, self.replanning.every, plans, statuses)
        self.journal.append("again", int(self.calendar.start_ns[period]), *told)

    def _offer_less(self, day: int, period: int, step: int, plans: list[Plan]) -> None:
        """Offer less import tomorrow where the grid operator has just said it wants some."""
        if day + 1 >= self.calendar.days:
            return
        for s, held, need in self.transport.wanted():
            soc = self._expected_soc(s, plans[s], step)
            x = self._day_input(s, period, day + 1, soc)
            self.transport.offer(s, held, need, day + 1, x)

    def _offer(self, day: int, period: int, step: int, plans: list[Plan]) -> None:
        """At the gate: offer the next day, as it looks now; the auction's answer comes later."""
        if day + 1 >= self.calendar.days:
            return
        arrays: dict[str, npt.NDArray[Any]] = {}
        for s, plan in enumerate(plans):
            soc = self._expected_soc(s, plan, step)
            desk = self.reserves.get(s)
            promise = desk.promise_ahead() if desk is not None else None
            offer, bare = self.outlook.offer(s, period, day + 1, soc, promise)
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
        low, high = self._band(s)
        level = site.soc_mwh - low + 0.25 * float(gained)
        return min(max(level, 0.0), high - low)

    def _band(self, s: int) -> tuple[float, float]:
        """Stored energy that plans may use, MWh: all, but for what a stress run's reserves keep."""
        battery = self.world.twin.sites[s].battery
        if battery is None:
            return 0.0, 0.0
        if self.driver is not None:
            return self.driver.band_mwh(s)
        return battery.soc_min_mwh, battery.soc_max_mwh

    # --- tick ---------------------------------------------------------------------------------

    def _tick(self, day: int, period: int, step: int, plans: list[Plan]) -> None:
        twin = self.world.twin
        driver = self.driver
        if driver is not None and not driver.covers(day, step):
            driver = None
        intents, orders, speeds = [], [], []
        for s, plan in enumerate(plans):
            intent, order = self._decide(s, period, step, plan, driver)
            intents.append(intent)
            orders.append(order)
            self.trace.speed[period, s] = slowest = intent.speed.min(axis=0)
            speeds.append(slowest)
            self.trace.held[period, s] = intent.held_s > 0
        said: dict[str, npt.NDArray[Any]] = {
            "speed": np.array(speeds, np.int16),
            "held": np.array([i.held_s for i in intents], np.int32),
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
        if driver is not None:  # within the last period it told the pools other things
            self._told = [None] * len(twin.pools)
        for s, intent in enumerate(intents):
            self._act(s, intent, period)
        until = int(twin.edges_ns[period + 1])
        records: list[Records]
        if driver is not None:
            records, orders = driver.walk(period, orders)
            self._told = [None] * len(twin.pools)
        else:
            records = [place.kernel.advance(until) for place in twin.pools]
        facts, senses = twin.meter(period, records, orders, self._contract_senses(period))
        self.trace.senses[period] = senses
        self.journal.append(
            "facts", int(twin.edges_ns[period]), {}, {**facts.arrays(), "sense": senses}
        )
        self.book.tick(facts)
        self.transport.metered(period, facts)
        self._learn(period)

    def _decide(
        self, s: int, period: int, step: int, plan: Plan, driver: Driver | None = None
    ) -> tuple[Intent, SiteOrder]:
        """Meet the plan with what the connection, the battery and the pools say now."""
        world = self.world
        wire, site = world.sites[s], world.twin.sites[s]
        views = [self._view(i, period) for i in wire.pools]
        island = self._islanded(s, period, views)
        if island is not None:
            return self._obey(s, period, step, plan, views, island)
        hours = self._hours(period)
        charge, discharge = float(plan.charge_mw[step]), float(plan.discharge_mw[step])
        back, desk = 0.0, self.reserves.get(s)
        soc = site.soc_mwh - (site.battery.soc_min_mwh if site.battery else 0.0)
        limit = site.import_limit_mw(period)
        drawn_mw = sum(int(world.twin.pools[i].kernel.state.v[0]["draw"]) for i in wire.pools) / 1e9
        own_mw, room = np.zeros(0), 0.0
        if desk is not None:
            beside = sum(site.overheads(period, drawn_mw)[:2]) + site.auxiliary_mw
            room = limit - drawn_mw - beside
            charge, discharge, back = desk.schedule(plan, step, soc, room)
        charge, discharge = self._ramped(s, period, charge - discharge, hours * 60.0)
        if site.own is not None and wire.own is not None:
            expected = self._expected[s]
            own_mw, most = order_own(site.own, wire.own, plan, expected, period, step)
            limit += most
        support = 0.0
        if site.battery is not None:
            most = limits(site.battery, site.soc_mwh, hours)[1]
            if desk is not None:  # what was sold is not there to defend the connection
                most = min(most, desk.spare_mw(step, soc))
            support = min(discharge, most)
            if drawn_mw > site.it_allowed_mw(period, limit + support):
                support = most  # battery first: before anybody is slowed down
                if limit < site.limit_mw[period]:
                    # a contract asks for less for hours: give what is missing, and a little room
                    missing = 1.01 * site.load_mw(period, drawn_mw) - limit
                    support = min(most, max(missing, min(discharge, most)))
                if support > discharge:
                    self._battery_mw[s] = -support  # a binding limit is exempt from the ramp
        envelope = site.it_allowed_mw(period, limit + support)
        wanted = np.ceil(plan.speed[:, step] * FULL_SPEED - 1e-6).astype(np.int64)
        called = None
        if desk is not None:
            called, slow = desk.called(step, views)
            if slow is not None and driver is None:  # by the second, work is slowed when called
                wanted = np.minimum(wanted, slow)
            desk.look(plan, step, soc, room)
        wish = Wish(wanted, plan.running[:, step], plan.holds_h[:, step])
        halls = {hall: float(limit[period]) for hall, limit in wire.halls_mw.items()}
        if driver is None:
            intent = world.responder.decide(envelope, wish, views, halls)
        else:  # the limit is met second by second
            support = discharge
            intent = world.responder.decide(np.inf, wish, views, halls)
            intent = driver.edge(s, period, intent)
        battery = (charge, discharge)
        if support > discharge:
            battery = (0.0, support)
        order = self._site_order(s, step, plan, battery, intent, own_mw)
        return intent, replace(order, intraday_mw=order.intraday_mw + back, called=called)

    def _site_order(
        self,
        s: int,
        step: int,
        plan: Plan,
        battery_mw: tuple[float, float],
        intent: Intent,
        own_mw: Array,
    ) -> SiteOrder:
        """What the plant of a site is told for a period."""
        share = np.full(len(self.world.twin.contract_site), np.nan)
        mine = [k for k, of in enumerate(self.world.twin.contract_site) if of == s]
        share[mine] = plan.contract_share[:, step]
        return SiteOrder(
            charge_mw=battery_mw[0],
            discharge_mw=battery_mw[1],
            contract_share=share,
            day_ahead_mw=float(plan.day_ahead_mw[step]),
            intraday_mw=float(plan.intraday_mw[step]),
            planned_it_mw=float(plan.it_mw[step]),
            envelope_mw=intent.envelope_mw / 1e9,
            own_mw=own_mw,
        )

    def _islanded(self, s: int, period: int, views: list[PoolView]) -> Order | None:
        """What an outage of the grid, or the way back from one, asks of a site in a period."""
        if self.islanding.idle:
            return None
        pools = [self.world.twin.pools[i].kernel.state.group for i in self.world.sites[s].pools]
        n = len(CLASSES)
        asking = np.array([[g[name][:n] for g in pools] for name in ("paused", "asking")], np.int64)
        return self.islanding.order(s, period, views, asking, lambda: self.outlook.known(s, period))

    def _obey(
        self, s: int, period: int, step: int, plan: Plan, views: list[PoolView], island: Order
    ) -> tuple[Intent, SiteOrder]:
        """A period without the grid, or of the way back: full speed within what there is."""
        site, wire = self.world.twin.sites[s], self.world.sites[s]
        fewer = [replace(v, nodes=n) for v, n in zip(views, island.nodes, strict=True)]
        full = np.full(len(CLASSES), FULL_SPEED, np.int64)
        wish = Wish(full, np.zeros(len(CLASSES)), np.where(island.held, ALL_JOBS_H, 0.0))
        halls = {hall: float(limit[period]) for hall, limit in wire.halls_mw.items()}
        envelope = site.it_allowed_mw(period, island.room_mw)
        intent = self.world.responder.decide(envelope, wish, fewer, halls)
        own = np.zeros(0 if site.own is None else len(site.own.fleet))
        if site.own is not None and not site.islanded(period):
            site.own.order(period, np.zeros(len(own), np.bool_), float(self._hours(period)))
        return intent, self._site_order(s, step, plan, (0.0, 0.0), intent, own)

    def _hours(self, period: int) -> float:
        edges = self.world.twin.edges_ns
        return float(edges[period + 1] - edges[period]) / NS_PER_H

    def _ramped(self, s: int, period: int, wanted_mw: float, minutes: float) -> tuple[float, float]:
        """Charge and discharge ordered, as they come out of the ramp that the site keeps.

        Args:
            s: the site.
            period: the period at hand.
            wanted_mw: power of the schedule, charging positive.
            minutes: length of the period.
        """
        wire = self.world.sites[s]
        ramp = wire.transport.line.ramp if wire.transport is not None else None
        rate = (ramp or 0.0) * float(wire.base_limit_mw[period])
        if rate <= 0.0:
            return max(wanted_mw, 0.0), max(-wanted_mw, 0.0)
        before = self._battery_mw[s]
        mean = ramped_mw(before, wanted_mw, rate, minutes)
        self._battery_mw[s] = reached_mw(before, wanted_mw, rate, minutes)
        return max(mean, 0.0), max(-mean, 0.0)

    def _contract_senses(self, period: int) -> Array | None:
        """What the contracts of each connection say; None where none has any."""
        if self.transport.idle:
            return None
        rows = np.zeros((len(self.world.sites), CONTRACT_SENSES))
        rows[:, 0] = [site.limit_mw[period] for site in self.world.twin.sites]
        for s, held in self.transport.held:
            rows[s] = held.senses(period)
        return rows

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
        held = np.zeros(8, np.int64)
        held[: len(CLASSES)] = intent.held_s * NS_PER_S
        hold = tuple(intent.held_s.tolist())
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
            asked = state.group["running"] + state.group["paused"] + state.group["kept"]
            self.demand[place.site, :, period] += asked[: len(CLASSES)]

    # --- snapshot -----------------------------------------------------------------------------

    def snapshot(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """State of the loop and the twin; the book is rebuilt from the journal instead."""
        arrays, fields = self.world.twin.snapshot()
        if self.driver is not None:
            mine, fields["driver"] = self.driver.snapshot()
            arrays |= mine
        fields["told"] = self._told
        fields["islanding"] = self.islanding.snapshot()
        fields["desks"] = []
        for i, desk in enumerate(self.desks):
            mine, kept = desk.snapshot()
            arrays |= {f"desk{i}.{name}": array for name, array in mine.items()}
            fields["desks"].append(kept)
        fields["reserves"] = {}
        for s, reserve in self.reserves.items():
            sold, left = reserve.snapshot()
            arrays |= {f"reserve{s}.{name}": array for name, array in sold.items()}
            fields["reserves"][str(s)] = left
        mine, fields["transport"] = self.transport.snapshot()
        arrays |= mine
        fields["battery_mw"] = self._battery_mw
        fields["offered"] = [pair is not None for pair in self.offers]
        for s, pair in enumerate(self.offers):
            if pair is not None:
                arrays |= {f"offer{s}.{n}": getattr(pair[0], n) for n in _OFFER}
                arrays[f"offer{s}.bare_mw"] = pair[1]
        return {**arrays, "demand": self.demand}, fields

    def restore(self, arrays: Any, fields: Any) -> None:
        """Put back what `snapshot` gave."""
        self.world.twin.restore(arrays, fields)
        if self.driver is not None:
            self.driver.restore(arrays, fields["driver"])
        self.demand[...] = arrays["demand"]
        self.islanding.restore(fields["islanding"])
        self.transport.restore(arrays, fields["transport"])
        self._battery_mw = list(fields["battery_mw"])
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
        for s, reserve in self.reserves.items():
            begins = f"reserve{s}."
            sold = {n.removeprefix(begins): a for n, a in arrays.items() if n.startswith(begins)}
            reserve.restore(sold, fields["reserves"][str(s)])
        for i, (desk, kept) in enumerate(zip(self.desks, fields["desks"], strict=True)):
            start = f"desk{i}."
            mine = {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
            desk.restore(mine, kept)


__all__ = ["Loop", "Trace"]
