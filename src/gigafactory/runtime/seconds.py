"""A site by the second, with every job in the scheduler: what a stress day does within a period.

Each second, in this order: what runs is read from the pools; the responder answers frequency,
setpoint, limit and trip with it; the pools are told, at once; they are advanced by a second; what
they really drew is met by the battery. A job that starts within the second is bounded by a power
budget, so it finds room below the limit. At the end of the period the sums of the seconds are what
the meters show.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gigafactory.adapters.reserves import Called, Delivered
from gigafactory.adapters.site import METER_MW, Metered, SiteOrder, TwinSite
from gigafactory.kernel import Records
from gigafactory.planner import Action, Intent, ResponsePlant
from gigafactory.planner.balancing import see_ahead
from gigafactory.planner.delivery import corridor
from gigafactory.planner.stepping import Stepper
from gigafactory.plant.ridethrough import Change
from gigafactory.runtime.hands import GRAIN_MW, Hand, Hands
from gigafactory.runtime.owed import AUCTIONS, NOBODY, Owed, Walked, owing, settled
from gigafactory.runtime.stress import NOTICE_S, SETPOINT_S, DaySignals
from gigafactory.units import NS_PER_S

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_S_PER_H: Final = 3600.0
#: Columns of the table of seconds, per second; those of classes follow, in the order of the run.
COLUMNS: Final = (
    *("frequency_hz", "setpoint_mw", "limit_mw", "import_mw", "it_mw", "battery_mw", "soc_mwh"),
    *("ups_mw", "scheduled_mw", "fcr_mw", "fcr_due_mw", "afrr_mw", "throttled_mw", "paused_mw"),
    *("dropped_mw", "granularity_mw", "shortfall_mw", "excess_mw", "flags"),
    *("fcr_sold_mw", "afrr_up_sold_mw", "afrr_down_sold_mw"),
)
_AT: Final = {name: i for i, name in enumerate(COLUMNS)}
#: Bits of `flags`: no connection; a limit below the connection's own; a setpoint refused; a
#: contract exceeded; nodes cut off; work paused.
TRIP, ORDERED, REFUSED, EXCEEDED, CUT, PAUSED = 1, 2, 4, 8, 16, 32


@dataclass(frozen=True, slots=True)
class Duty:
    """What a site has to answer with, and what it pays.

    Attributes:
        plant: battery, reserves, supplies, and the times of the classes.
        order: classes, first to give way first.
        pause_share: share of each class's power that its contract lets pause, [classes]; negative
            where it has no contract.
        breach_eur_per_mwh: what a MWh beyond the contract is paid, [classes].
        floor: slowest speed step, [classes].
        full_mw: what the site draws when everything works.
        sold_by: who says what it owes, one of `owed.AUCTIONS`, `RESPONSE`, `NOBODY`.
        most_mw: the most it may owe, by product.
    """

    plant: ResponsePlant
    order: tuple[int, ...]
    pause_share: Array
    breach_eur_per_mwh: Array
    floor: Ints
    full_mw: float
    sold_by: str = NOBODY
    most_mw: Mapping[str, float] = field(default_factory=dict)


class SiteSeconds:
    """A site's seconds.

    Args:
        duty: what it answers with.
        site: its plant.
        pools: number, kernel and power table of its pools.
        set_speed: tells a pool its speeds.
    """

    def __init__(
        self,
        duty: Duty,
        site: TwinSite,
        pools: list[tuple[int, Any, Ints]],
        set_speed: Callable[[int, Ints], None],
    ) -> None:
        self.duty, self.site = duty, site
        hands = [Hand.of(number, kernel, power, duty.floor) for number, kernel, power in pools]
        self.hands = Hands(hands, duty.order, set_speed)
        both = np.array([duty.order, duty.order], np.int64)
        self.stepper = Stepper(duty.plant, both, site.soc_mwh)
        self.rows: list[Array] = []
        self._credit = self._price = 0.0
        self._owed: Owed | None = None
        self._first = 0
        self._corridor_mw = (np.zeros(0), np.zeros(0))
        self._plants: dict[tuple[float, float, float], ResponsePlant] = {}
        self._room_mw = 0.0
        self._split: tuple[int, float] | None = None
        self._load_mw = np.zeros(0)
        self._day: DaySignals | None = None
        self._limit_mw = self._seen_mw = np.zeros(0)

    # --- a day and its periods ----------------------------------------------------------------

    def begin_day(self, signals: DaySignals, periods: slice, owed: Owed) -> None:
        """Learn what will happen in a day and what is owed in it; limits are told ahead.

        The setpoints' clock and the contracts' begin anew where the day before was no stress day.
        """
        self._day, self._owed, self._first = signals, owed, periods.start
        if self.duty.sold_by == AUCTIONS:
            sent = np.repeat(signals.setpoint_mw, SETPOINT_S)[: len(signals.frequency_hz)]
            self._corridor_mw = corridor(self.duty.plant, sent)
        per = len(signals.frequency_hz) // (periods.stop - periods.start)
        # the cable, and what contracts allow as it is known when the day begins
        least = np.minimum(self.site.limit_mw[periods], self.site.rights_mw[periods])
        own = np.repeat(np.maximum(least, 0.0), per)
        self._limit_mw = np.minimum(own, signals.limit_mw)
        after = self.site.limit_mw[periods.stop : periods.stop + 1]
        ahead = np.concatenate([self._limit_mw, np.maximum(after, 0.0)])
        most = min(NOTICE_S, self.duty.plant.lag_s + 2.0)
        self._seen_mw = np.minimum(see_ahead(ahead, math.ceil(most)), ahead)[: len(own)]
        self.rows = []

    def fresh(self) -> None:
        """Begin anew after an ordinary day: nothing is activated, the battery is as it is."""
        plant, both = self.duty.plant, self.stepper.order
        self.stepper = Stepper(plant, both, self.site.soc_mwh)
        self._credit = 0.0
        for hand in self.hands.hands:
            in_force = hand.kernel.state.group["power"][: len(hand.step)]
            steps = [
                int(np.searchsorted(row, now))
                for row, now in zip(hand.power_mw, in_force, strict=True)
            ]
            hand.note_step(np.array(steps, np.int64).clip(0, hand.power_mw.shape[1] - 1))

    def _owe(self, period: int, dark: bool = False) -> None:
        """Owe in a period what is owed in it: its block may be another than that before.

        Args:
            period: its number.
            dark: nothing is sold or paid in it: an outage of the grid, or the way back from one.
        """
        assert self._owed is not None
        owed_mw = (0.0, 0.0, 0.0) if dark else self._owed.of(period - self._first)
        plant = self._plants.get(owed_mw)
        if plant is None:
            plant = self._plants[owed_mw] = owing(self.duty.plant, owed_mw)
        if self.stepper.plant is not plant:
            self.stepper.adopt(plant)
        self._room_mw = owed_mw[0] + plant.fcr.recovery_mw + owed_mw[2]

    def ride(self) -> Sequence[Change]:
        """The day's changes of the ride-through machine."""
        return self._day.ride if self._day is not None else ()

    def factor(self) -> float:
        """Site MW per IT MW above rest now."""
        return self._factor(float(self._gaps()[0].sum()))

    def merit_order(self) -> list[Action]:
        """The ways of importing less in force, in the order taken, at the last price."""
        return self.stepper.merit_order(self._price)

    def edge(self, period: int, second: int, intent: Intent) -> Intent:
        """What the pools are told at the begin of a period, in place of a plan's limits.

        Args:
            period: its number.
            second: its first second, of the day.
            intent: the plan's wish, as if the connection had no limit.

        Returns:
            The intent with speeds that do not rise while power is short, nodes that do not come in
            then, and budgets that keep starts below the limit.
        """
        self._load_mw = (
            self.site.it_grid_mw
            + self.site.cooling_mw[period]
            + self.site.losses_mw[period]
            + self.site.auxiliary_mw
        )
        self._owe(period)
        self._split = None
        self._price = float(self.site.price_eur_per_mwh[period])
        cap = self._cap_mw(period, second)
        tight = math.isfinite(cap) or self.hands.paused_jobs > 0
        nodes: list[int] = []
        for k, hand in enumerate(self.hands.hands):
            hand.refer_to(intent.speed[k].astype(np.int64))
            hand.nodes, hand.most_mw = intent.nodes[k], intent.budget_mw[k]
            held = np.minimum(hand.step, hand.reference) if tight else hand.reference
            hand.note_step(held.copy())
            nodes.append(min(hand.nodes, hand.target) if tight else hand.nodes)
        if tight:
            self._adopt()
        self._note_budgets(period, cap)
        return replace(
            intent,
            speed=np.stack([hand.step for hand in self.hands.hands]),
            nodes=tuple(nodes),
            budget_mw=tuple(hand.budget_mw for hand in self.hands.hands),
        )

    def _adopt(self) -> None:
        """Count what is slow or paused already as shed, so that it comes back in good manners."""
        full, slow = self._gaps()
        down = full - self._now()
        factor = self._factor(float(full.sum()))
        s = self.stepper.shed
        known = s["throttled_mw"] + s["paused_mw"]
        more = np.maximum(factor * down - known, 0.0)
        if not (more > GRAIN_MW).any():
            return
        paused = np.minimum(more, factor * (full - slow))
        paused = np.where([any(h.paused[g] for h in self.hands.hands) for g in range(len(more))],
                          paused, 0.0)  # fmt: skip
        s["paused_mw"] += paused
        s["granted_mw"] += paused
        s["throttled_mw"] += np.minimum(more - paused, factor * slow)
        self.stepper.site["shedding"] = 1

    def run(self, period: int, second: int, begin_ns: int, order: SiteOrder) -> _Period:
        """Walk through a period, second by second, together with the other sites.

        Returns:
            A walker: `walk(k)` does second k of it, `close()` gives the meters.
        """
        return _Period(self, period, second, begin_ns, order)

    # --- what runs ----------------------------------------------------------------------------

    def _gaps(self) -> tuple[Array, Array]:
        """Per class, IT MW above rest of all that runs or is paused, and what throttling saves."""
        full = slow = np.zeros(len(self.duty.floor))
        for hand in self.hands.hands:
            count = hand.running + hand.paused
            full = full + count * hand.above_reference_mw
            slow = slow + count * (hand.above_reference_mw - hand.above_floor_mw)
        return full, slow

    def _now(self) -> Array:
        """Per class, IT MW above rest now."""
        now = np.zeros(len(self.duty.floor))
        for hand in self.hands.hands:
            now = now + hand.running * hand.above_now_mw
        return now

    def _rest_mw(self) -> float:
        return sum(hand.rest_mw for hand in self.hands.hands) / 1e9

    def load_mw(self, it_mw: float) -> float:
        """Site power at an IT load in the present period."""
        return float(np.interp(it_mw, self.site.it_grid_mw, self._load_mw))

    def it_of(self, load_mw: float) -> float:
        """IT load at a site power; 0 where the site itself draws that much."""
        if load_mw <= self._load_mw[0]:
            return 0.0
        return float(np.interp(load_mw, self._load_mw, self.site.it_grid_mw))

    def _factor(self, above_mw: float) -> float:
        """Site MW per IT MW above rest."""
        if above_mw <= 0.0:
            return 1.0
        rest = self._rest_mw()
        return (self.load_mw(rest + above_mw) - self.load_mw(rest)) / above_mw

    # --- budgets ------------------------------------------------------------------------------

    def _cap_mw(self, period: int, second: int) -> float:
        """IT power up to which work may start, MW; infinite where all may.

        Below the limit it leaves room for what was sold downward and for the battery's recovery.
        """
        assert self._day is not None
        if self._day.trip[second]:
            return 0.0
        limit = min(float(self._limit_mw[second]), float(self._seen_mw[second]))
        return self.site.it_allowed_mw(period, limit - self._room_mw)

    def _note_budgets(self, period: int, cap_mw: float) -> list[Hand]:
        """Work out every pool's budget; returns the pools whose budget changes.

        While work is paused or more runs than may, nothing starts. Else each pool may grow by a
        share of the room, by the accelerators it has free.
        """
        hands = self.hands.hands
        draws = [hand.draw_mw for hand in hands]
        s = self.stepper.shed
        down = float((s["paused_mw"] + s["dropped_mw"] + s["granted_mw"] + s["batch_mw"]).sum())
        over = sum(draws) / 1e9 > cap_mw
        before = [hand.budget_mw for hand in hands]
        wish: list[int | None]
        if over or down > GRAIN_MW or self.hands.paused_jobs:
            wish, self._split = list(draws), None
        elif math.isinf(cap_mw):
            wish, self._split = [None] * len(hands), None
        elif self._split == (period, cap_mw):
            return []
        else:
            self._split = (period, cap_mw)
            room = int(cap_mw * 1e9) - sum(draws)
            wants = [max(h.target * h.kernel.spec.node_size - int(h.running.sum()), 0) *
                     int(h.power_mw[:, -1].max()) for h in hands]  # fmt: skip
            whole = max(sum(wants), 1)
            wish = [d + room * w // whole for d, w in zip(draws, wants, strict=True)]
        for hand, budget in zip(hands, wish, strict=True):
            most = hand.most_mw
            if most is not None:
                budget = most if budget is None else min(budget, most)
            hand.budget_mw = budget
        return [h for h, was in zip(hands, before, strict=True) if h.budget_mw != was]

    # --- state --------------------------------------------------------------------------------

    def snapshot(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """The state as arrays of bytes and plain fields, at the end of a day."""
        fields = {
            "credit": self._credit,
            "hands": [
                [h.reference.tolist(), h.step.tolist(), h.nodes, h.budget_mw, h.most_mw]
                for h in self.hands.hands
            ],
        }
        return self.stepper.snapshot(), fields

    def restore(self, arrays: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
        """Put back what `snapshot` gave."""
        self.stepper.restore(dict(arrays))
        self._credit = float(fields["credit"])
        for hand, kept in zip(self.hands.hands, fields["hands"], strict=True):
            reference, step, hand.nodes, hand.budget_mw, hand.most_mw = kept
            hand.refer_to(np.array(reference, np.int64))
            hand.note_step(np.array(step, np.int64))


class _Period:
    """One market period of a site, second by second."""

    def __init__(
        self, owner: SiteSeconds, period: int, second: int, begin_ns: int, order: SiteOrder
    ) -> None:
        # in an outage a desk's site is told no edge, and its order says nothing of reserves
        owner._owe(period, owner.duty.sold_by == AUCTIONS and order.called is None)
        self.of, self.period, self.second = owner, period, second
        self.begin_ns, self.order = begin_ns, order
        self.records: list[list[Records]] = [[] for _ in owner.hands.hands]
        classes = len(owner.duty.floor)
        count = round(owner.duty.plant.period_s)
        self.table = np.zeros((count, len(COLUMNS) + 2 * classes))
        self.by_work_mw = np.zeros(count)
        self.excess_mws = np.zeros(classes)
        self.sums = dict.fromkeys(
            ("cooling", "losses", "heat", "water", "auxiliary", "charge", "discharge"), 0.0
        )
        plant = owner.stepper.plant
        self.sold_mw = plant.fcr.contracted_mw, plant.afrr.up_mw, plant.afrr.down_mw
        self._read = [0.0, 0.0]
        self._cut = False

    def walk(self, k: int) -> None:
        """Second k of the period."""
        of, at = self.of, self.second + k
        day = of._day
        assert day is not None
        site, stepper, plant = of.site, of.stepper, of.duty.plant
        off = bool(day.trip[at]) or of._limit_mw[at] <= 0.0
        full, slow = of._gaps()
        rest = of._rest_mw()
        factor = of._factor(float(full.sum()))
        base = 0.0 if rest <= 0.0 and off else of.load_mw(rest)
        dropped = stepper.shed["dropped_mw"].copy()
        pause = of.duty.pause_share
        depth = np.where(pause < 0.0, 0.0, factor * (slow + (full - slow) * pause.clip(0.0)))
        stepper.work(factor * full + dropped, factor * slow, depth)
        given, message = stepper.given[0], stepper.message[0]
        given["base_mw"], given["frequency_hz"] = base, day.frequency_hz[at]
        given["limit_mw"] = max(of._limit_mw[at] - METER_MW, 0.0)
        given["seen_mw"] = max(of._seen_mw[at] - METER_MW, 0.0)
        given["export_mw"] = min(site.export_mw, max(float(of._limit_mw[at]), 0.0))
        # charging leaves room below the limit for what was sold downward
        room = float(of._seen_mw[at]) - of._room_mw - base - factor * float(full.sum())
        given["schedule_mw"] = max(self.order.discharge_mw - self.order.charge_mw, -max(room, 0.0))
        given["trip"] = off
        now_s = float(stepper.site["step"][0]) * plant.dt_s
        message["setpoint_mw"], message["issued_s"] = day.setpoint_mw[at // SETPOINT_S], now_s
        message["authentic"] = 1
        soc_before = float(stepper.site["soc_mwh"][0])
        done = stepper.step()
        planned = float(done["grid_mw"] + done["battery_mw"] + done["ups_mw"])
        allowed = max(planned - float(done["shortfall_mw"]), 0.0)
        self._cut = False
        if stepper.site["shedding"][0] or of.hands.acting or done["shortfall_mw"] > GRAIN_MW:
            self._move(allowed, factor, slow, dropped, float(done["shortfall_mw"]))
        self._bring_in(at, off)
        for hand in of._note_budgets(self.period, of._cap_mw(self.period, at)):
            hand.kernel.set_budget(hand.budget_mw)
        self._advance(k)
        self._settle(k, at, off, allowed, soc_before, factor)

    # --- work ---------------------------------------------------------------------------------

    def _move(
        self, allowed_mw: float, factor: float, slow: Array, dropped: Array, short_mw: float
    ) -> None:
        """Tell the pools to draw no more than the responder counts on."""
        hands, shed = self.of.hands, self.of.stepper.shed
        most = factor * slow
        share = np.divide(shed["throttled_mw"], most, out=np.zeros_like(most), where=most > 1e-12)
        hands.throttle(share.clip(0.0, 1.0))
        goal = self.of.it_of(allowed_mw)
        newly = np.maximum(shed["dropped_mw"] - dropped, 0.0)
        if short_mw > GRAIN_MW:
            hands.cut(goal, [])
            self._cut = True
        elif newly.sum() > GRAIN_MW:
            least = hands.draw_mw() - float(newly.sum()) / factor
            hands.cut(max(goal, least), [g for g in hands.order if newly[g] > GRAIN_MW])
            self._cut = True
        need = hands.draw_mw() - goal
        if need > GRAIN_MW:
            full, _ = self.of._gaps()
            has = full - self.of._now()
            owed = (shed["throttled_mw"] + shed["paused_mw"]) / factor - has
            hands.pause(need, owed)
            left = hands.draw_mw() - goal
            if left > GRAIN_MW:  # nothing left to pause: resting nodes themselves are too much
                hands.cut(goal, [])
                self._cut = True
        elif need < -GRAIN_MW and hands.paused_jobs:
            hands.give_back(-need)

    def _bring_in(self, at: int, off: bool) -> None:
        """Nodes that were cut off, or came while power was short, come in as ramps allow."""
        of = self.of
        if off or of.hands.paused_jobs or of.stepper.site["shedding"][0]:
            return
        missing = [hand for hand in of.hands.hands if hand.target < hand.nodes]
        if not missing:
            return
        hand = missing[0]
        spec = hand.kernel.spec
        each = spec.node_size * spec.idle_power_mw / 1e9
        room = of._cap_mw(self.period, at) - of.hands.draw_mw()
        of._credit += of.duty.plant.ramp_mw_per_s / each
        nodes = int(min(of._credit, hand.nodes - hand.target, max(room / each, 0.0)))
        of._credit = min(of._credit - nodes, 64.0)
        if nodes > 0:
            of.hands.bring_in(hand, nodes)
            of._split = None

    def _advance(self, k: int) -> None:
        until = self.begin_ns + (k + 1) * NS_PER_S
        for records, hand in zip(self.records, self.of.hands.hands, strict=True):
            found = hand.kernel.advance(until)
            if len(found):
                records.append(found)

    def _it_mwh(self) -> float:
        """IT energy since the begin of the period, MWh."""
        uwh = fine = 0
        for hand in self.of.hands.hands:
            group, v = hand.kernel.state.group, hand.kernel.state.v[0]
            uwh += int(group["used_uwh"].sum())
            idle_ns = int(v["service_ns"]) - int(group["used_ns"].sum())
            fine += idle_ns * hand.kernel.spec.idle_power_mw
        return (uwh + fine / 3.6e9) / 1e12

    # --- meters -------------------------------------------------------------------------------

    def _settle(
        self, k: int, at: int, off: bool, allowed_mw: float, soc_mwh: float, factor: float
    ) -> None:
        """Meet what was really drawn in this second, and write the second down."""
        of, stepper = self.of, self.of.stepper
        done, site, y = stepper.happened[0], of.site, stepper.site[0]
        energy = self._it_mwh()
        it_mw = max((energy - self._read[0]) * _S_PER_H, 0.0)
        self._read[0] = energy
        dark = off and it_mw <= GRAIN_MW
        load = 0.0 if dark else of.load_mw(it_mw)
        cooling, losses, heat, water = site.overheads(self.period, it_mw)
        auxiliary = site.auxiliary_mw
        if dark:
            cooling = losses = heat = water = auxiliary = 0.0
        spare = allowed_mw - load
        battery, ups = float(done["battery_mw"]), float(done["ups_mw"])
        battery, ups, spare = self._meet(load, battery, ups, spare, soc_mwh, at, off)
        grid = load - battery - ups
        unsupplied = max(grid, 0.0) if off else 0.0  # without a connection nothing is imported
        unsupplied = unsupplied if unsupplied > GRAIN_MW else 0.0
        afrr = float(done["afrr_mw"]) + (max(spare, 0.0) if y["afrr_load_mw"] > 0.0 else 0.0)
        shed = stepper.shed
        full, _ = of._gaps()
        real = factor * (full - of._now()) + shed["dropped_mw"]
        excess = np.maximum(real - stepper.agreed_mw(), shed["dropped_mw"])
        excess[excess <= GRAIN_MW] = 0.0
        self.excess_mws += excess
        ordered = of._day is not None and of._day.limit_mw[at] < site.limit_mw[self.period]
        flags = TRIP * off + ORDERED * ordered + REFUSED * (done["reason"] != 0)
        flags += EXCEEDED * bool(excess.any()) + CUT * self._cut
        flags += PAUSED * (of.hands.paused_jobs > 0)
        values = (
            of._day.frequency_hz[at] if of._day is not None else np.nan, done["setpoint_mw"],
            0.0 if off else of._limit_mw[at], grid - unsupplied, it_mw, battery, y["soc_mwh"], ups,
            done["scheduled_mw"], done["fcr_mw"], done["fcr_due_mw"], afrr,
            shed["throttled_mw"].sum(), shed["paused_mw"].sum(), shed["dropped_mw"].sum(),
            max(spare, 0.0), unsupplied, excess.sum(), flags, *self.sold_mw,
        )  # fmt: skip
        self.by_work_mw[k] = y["afrr_load_mw"] + afrr - float(done["afrr_mw"])
        row = self.table[k]
        row[: len(values)] = values
        classes = len(real)
        row[len(values) : len(values) + classes] = real
        row[len(values) + classes :] = excess
        for name, value in (("cooling", cooling), ("losses", losses), ("heat", heat),
                            ("water", water), ("auxiliary", auxiliary),
                            ("charge", max(-battery, 0.0) + max(-ups, 0.0)),
                            ("discharge", max(battery, 0.0) + max(ups, 0.0))):  # fmt: skip
            self.sums[name] += value

    def _meet(
        self, load: float, battery: float, ups: float, spare: float, soc: float, at: int, off: bool
    ) -> tuple[float, float, float]:
        """Let battery and supplies take up the difference between what was counted on and drawn.

        Returns:
            Discharge of the battery, of the supplies, and what is still drawn less.
        """
        of, y = self.of, self.of.stepper.site[0]
        b = of.duty.plant.battery
        before = battery
        limit = 0.0 if off else max(float(of._limit_mw[at]) - METER_MW, 0.0)
        export = 0.0 if off else min(of.site.export_mw, max(float(of._limit_mw[at]), 0.0))
        if off:  # what is given is what is drawn
            over = max(battery + ups - load, 0.0)
            less = min(over, max(ups, 0.0))
            ups -= less
            y["ups_mws"] += less
            battery -= over - less
            spare -= over
        else:
            defended = max(float(of.stepper.happened[0]["defend_mw"]), 0.0)
            absorb = defended + max(float(y["afrr_load_mw"]), 0.0)
            take = min(max(spare, 0.0), absorb, b.power_mw + battery)
            battery -= take
            spare -= take
            grid = load - battery - ups
            if grid > limit:  # work came within the second
                raised = min(grid - limit, b.power_mw - battery)
                battery += raised
                if ups < 0.0 and grid - raised > limit:  # the supplies stop charging
                    stop = min(-ups, grid - raised - limit)
                    ups += stop
                    y["ups_mws"] -= stop
            elif grid < -export:
                battery -= -export - grid
        if battery != before:
            h = 1.0 / _S_PER_H
            give = (soc - b.soc_min_mwh) * b.discharge_efficiency / h
            room = (b.soc_max_mwh - soc) / (b.charge_efficiency * h)
            battery = min(max(battery, -b.power_mw, -room), b.power_mw, give)
            flow = (
                battery / b.discharge_efficiency if battery > 0 else battery * b.charge_efficiency
            )
            y["soc_mwh"] = min(max(soc - flow * h, b.soc_min_mwh), b.soc_max_mwh)
        return battery, ups, spare

    def close(self) -> tuple[SiteOrder, list[list[Records]]]:
        """The order with the meters of the period, and what happened to jobs per pool."""
        of, n = self.of, len(self.table)
        of.rows.append(self.table)
        of.site.soc_mwh = float(of.stepper.site["soc_mwh"][0])
        mean = {name: total / n for name, total in self.sums.items()}
        breach = self.excess_mws / _S_PER_H @ of.duty.breach_eur_per_mwh
        called, delivered = self._settled()
        metered = Metered(
            cooling_mw=mean["cooling"],
            losses_mw=mean["losses"],
            auxiliary_mw=mean["auxiliary"],
            heat_mw=mean["heat"],
            water_m3_per_h=mean["water"],
            charge_mw=mean["charge"],
            discharge_mw=mean["discharge"],
            breach_micro_eur=round(float(breach) * 1e6),
            reserves=delivered,
        )
        return replace(self.order, metered=metered, called=called), self.records

    def _settled(self) -> tuple[Called | None, Delivered | None]:
        """What was called and delivered of what the desk sold; none where no desk sells."""
        of, called, n = self.of, self.order.called, len(self.table)
        if called is None or of._day is None:
            return None, None
        span = slice(self.second, self.second + n)
        c = {name: self.table[:, at] for name, at in _AT.items()}
        low, high = of._corridor_mw
        sent = of._day.setpoint_mw[np.arange(span.start, span.stop) // SETPOINT_S]
        walked = Walked(
            fcr_mw=c["fcr_mw"],
            fcr_due_mw=c["fcr_due_mw"],
            afrr_mw=c["afrr_mw"],
            afrr_work_mw=self.by_work_mw,
            asked_mw=sent,
            low_mw=low[span],
            high_mw=high[span],
            battery_mw=c["battery_mw"],
            soc_mwh=c["soc_mwh"],
            import_mw=c["import_mw"],
            limit_mw=c["limit_mw"],
            off=(c["flags"].astype(np.int64) & TRIP) != 0,
            export_mw=of.site.export_mw,
        )
        return settled(called, of.duty.plant.battery, walked)


__all__ = ["COLUMNS", "Duty", "SiteSeconds"]
