"""Days without the grid: who is served, for how long, from what, and what breaks.

An **island** is a site that has lost its grid: loads by priority, own generators, a battery that
can hold the frequency, and UPS that bridge seconds to minutes. `outlast` walks through an outage in
steps of one minute in the first hour and fifteen after it, cut where a generator comes up.
`plan_shedding` finds when each load must be shed so that those above it last.

**Who is served.** Loads are sorted by priority (1 first). At any instant the loads served are the
first ones of that list: a load is never served while a more vital one is shed. A load is served
whole or not at all, and its cooling with it. Who falls for want of power comes back, in the same
order, when generators that run on demand carry it by the end of a step; storage only bridges.

**From what.** Weather first; then generators by cost of one more MWh, as few of them as carry the
load, but all that can start while what runs does not carry it, and the next one before a stock runs
dry; then battery, then UPS. So the battery bridges starts, and carries the rest when the fuel is
gone. UPS are not charged again (a lower value); the battery takes what would be wasted.

**Energy is conserved** in each step: made + discharged + from UPS = served + cooling + charged +
dumped.

**Validity.** Power is balanced as a mean over a step, so a ramp within one may draw on storage for
part of it. Reserve for the loss of a unit while islanded, reactive power, fault currents and
frequency are not here; that gas keeps flowing is an assumption of whoever gives an infinite stock.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem, outside, refuse
from gigafactory.plant import battery as cells
from gigafactory.plant import generation
from gigafactory.plant.battery import Battery
from gigafactory.plant.generation import Fleet, Generator

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

OUTAGE_H: Final = 72.0

_MIN_PER_H: Final = 60.0
_FINE_H: Final = 1.0
_FINE_STEP_H: Final = 1.0 / 60.0
_STEP_H: Final = 0.25
#: What rounding may miss of a load before it counts as not carried, MWh and MW.
_SLACK: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Load:
    """A load that is served whole or shed.

    Attributes:
        name: its name.
        power_mw: what it draws without its cooling.
        priority: 1 is shed last; equal ones are shed from the end of the list.
        cooling_mw_per_mw: cooling it needs while it runs, per MW of it.
        protected: whether losing it counts as a failure of the plan.
        ups: whether UPS carry it while nothing else does.
        pausable: whether its work can be saved and go on later.
        checkpoint_min: time it needs to save its work.
        run_min: shortest stretch worth starting it for, minutes.
        inrush_times: power while it starts, times `power_mw`.
    """

    name: str
    power_mw: float
    priority: int
    cooling_mw_per_mw: float = 0.0
    protected: bool = False
    ups: bool = True
    pausable: bool = False
    checkpoint_min: float = 0.0
    run_min: float = 0.0
    inrush_times: float = 1.0

    @property
    def whole_mw(self) -> float:
        """Power with its cooling."""
        return self.power_mw * (1.0 + self.cooling_mw_per_mw)


@dataclass(frozen=True, slots=True)
class Island:
    """A site without its grid.

    Attributes:
        loads: the loads, in any order.
        generators: own generators.
        battery: a battery that can form a grid, or None.
        soc_mwh: what it holds when the grid fails.
        ups_mw: rating of all UPS.
        ups_s: how long they last at that rating, seconds.
        capacity_factor: hourly share of capacity that is there by name of generator, shape [H];
            needed for those the weather runs, 1 for all others.
        run_h: hours run this year before the outage, by name of generator.
    """

    loads: tuple[Load, ...]
    generators: tuple[Generator, ...] = ()
    battery: Battery | None = None
    soc_mwh: float = 0.0
    ups_mw: float = 0.0
    ups_s: float = 0.0
    capacity_factor: Mapping[str, npt.ArrayLike] = field(default_factory=dict)
    run_h: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = [*_load_faults(self.loads), *_island_faults(self)]
        if problems:
            raise BadInput(problems)

    @property
    def ranked(self) -> tuple[Load, ...]:
        """The loads, most vital first."""
        return tuple(sorted(self.loads, key=lambda load: load.priority))


@dataclass(frozen=True, slots=True)
class Broken:
    """Something that broke, or was given up, in an outage.

    Attributes:
        at_h: when, hours from the loss of the grid.
        what: the load or the generator.
        kind: one of `KINDS`.
        why: what happened, in words.
        fallback: what is done instead, by name.
    """

    at_h: float
    what: str
    kind: str
    why: str
    fallback: str


#: What can break, with the fallback that is taken.
KINDS: Final = {
    "absent": "the other generators",
    "no_start": "battery, or none: it waits for another source",
    "fuel_out": "the next generator by cost, then battery",
    "hours_out": "the next generator by cost, then battery",
    "battery_empty": "UPS, then shedding by priority",
    "ups_empty": "shedding by priority",
    "shed": "none needed: it was planned",
    "dropped": "comes back when generators carry it",
    "work_lost": "restart from the last checkpoint",
    "protected_lost": "none: this is what must not happen",
}


@dataclass(frozen=True, slots=True, eq=False)
class Outage:
    """An outage, step by step. L loads in the order of `Island.ranked`, G generators, P steps.

    Attributes:
        loads: names of the loads.
        generators: names of the generators.
        edges_h: edges of the steps from the loss of the grid, shape [P + 1].
        served_mw: load served, without cooling, shape [L, P].
        cooling_mw: cooling of what is served, shape [P].
        generator_mw: mean output, shape [G, P].
        charge_mw: battery charging, shape [P].
        discharge_mw: battery discharging, shape [P].
        ups_mw: from UPS, shape [P].
        dumped_mw: made and not used (least load, weather), shape [P].
        soc_mwh: state of charge at the edges, shape [P + 1].
        fuel_mwh: fuel left at the edges, shape [G, P + 1].
        not_served_mwh: what each load would have drawn and did not, shape [L].
        lasted_h: time each load was served, shape [L].
        broken: what broke and why, in order of time.
    """

    loads: tuple[str, ...]
    generators: tuple[str, ...]
    edges_h: Array
    served_mw: Array
    cooling_mw: Array
    generator_mw: Array
    charge_mw: Array
    discharge_mw: Array
    ups_mw: Array
    dumped_mw: Array
    soc_mwh: Array
    fuel_mwh: Array
    not_served_mwh: Array
    lasted_h: Array
    broken: tuple[Broken, ...]

    @property
    def hours(self) -> Array:
        """Length of each step, shape [P]."""
        return np.diff(self.edges_h)

    @property
    def fuel_left_mwh(self) -> dict[str, float]:
        """Fuel left at the end by generator; infinite where it comes by pipe."""
        return dict(zip(self.generators, self.fuel_mwh[:, -1].tolist(), strict=True))

    @property
    def protected_lost(self) -> tuple[Broken, ...]:
        """Each time a protected load was lost."""
        return tuple(b for b in self.broken if b.kind == "protected_lost")


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """When each load is shed, and what comes of it.

    Attributes:
        shed_h: by load, hours from the loss of the grid; the length of the outage where it is kept.
        outage: the outage under this plan.
        holds: whether every protected load is served to the end, without a gap.
        first_loss_h: when the first protected load is lost; nan when none is.
    """

    shed_h: Mapping[str, float]
    outage: Outage
    holds: bool
    first_loss_h: float


def edges(outage_h: float = OUTAGE_H, cuts_h: Iterable[float] = ()) -> Array:
    """Edges of the steps of an outage, hours, shape [P + 1].

    One minute in the first hour, fifteen after it, and an edge at each of ``cuts_h`` within.
    """
    fine = np.arange(0.0, min(_FINE_H, outage_h), _FINE_STEP_H)
    coarse = np.arange(_FINE_H, outage_h, _STEP_H)
    inside = [cut for cut in cuts_h if 0.0 < cut < outage_h]
    at = np.unique(np.concatenate([fine, coarse, np.asarray(inside, float), [outage_h]]))
    # two edges closer than a millisecond are one
    keep = np.concatenate([np.diff(at) > 1e-7, [True]])
    return np.asarray(at[keep], dtype=np.float64)


def outlast(
    island: Island,
    day: dt.date,
    outage_h: float = OUTAGE_H,
    shed_h: Mapping[str, float] | None = None,
) -> Outage:
    """Walk through an outage.

    Args:
        island: the site.
        day: day of the outage; what is commissioned later does not exist.
        outage_h: how long the grid is away, hours.
        shed_h: when each load is shed on purpose, hours from the loss of the grid; a load that is
            left out is kept as long as power lasts.

    Returns:
        The trajectories.

    Raises:
        BadInput: a name that is no load, an hour out of range; all at once.
    """
    shed = _checked_shed(island, outage_h, shed_h or {})
    walk = _Walk(island, day, outage_h, shed)
    for p in range(len(walk.hours)):
        walk.step(p)
    return walk.result()


def plan_shedding(island: Island, day: dt.date, outage_h: float = OUTAGE_H) -> Plan:
    """Find when to shed each load so that those above it last as long as they can.

    First every load whose work can be saved gets the time that takes, where no protected load is
    served less for it. Then, from the most vital load down and with the loads above at the hours
    already found, a load gets the longest time after which none of the loads above is served less
    than without it. More time for a load never burns less fuel, so what is harmless is an interval
    and halving it finds its end, to a step of `edges`. The result is the best in lexicographic
    order: no plan serves a load longer without serving a more vital one less (a test holds it
    against every plan there is). A load that power would leave is shed at that moment instead, so
    that its work is saved.

    Args:
        island: the site.
        day: day of the outage.
        outage_h: how long the grid is away.

    Returns:
        The plan, with the outage under it.
    """
    ranked = island.ranked
    hours, best = _saving(island, day, outage_h)
    for k, load in enumerate(ranked):
        least = hours[load.name]
        most = min([outage_h, *(hours[other.name] for other in ranked[:k])])
        grid = edges(outage_h, [least])
        choices = grid[(grid >= least - _SLACK) & (grid <= most + _SLACK)]
        found, low, high = best, 0, len(choices) - 1
        while low < high:
            # the whole time first: it is the answer for most loads
            whole = low == 0 and high == len(choices) - 1
            middle = high if whole else (low + high + 1) // 2
            tried = outlast(island, day, outage_h, hours | {load.name: float(choices[middle])})
            if _harmless(tried, best, range(k)):
                low, found = middle, tried
            else:
                high = middle - 1
        served = np.flatnonzero(found.served_mw[k] > 0.0)
        last = float(found.edges_h[served[-1] + 1]) if len(served) else 0.0
        hours[load.name] = min(float(choices[low]), max(last, least)) if len(choices) else least
        best = found
    final = outlast(island, day, outage_h, hours)
    lost = final.protected_lost
    first = min((b.at_h for b in lost), default=math.nan)
    return Plan(hours, final, not lost, first)


def fuel_needed_mwh(
    island: Island, day: dt.date, generator: str, outage_h: float = OUTAGE_H
) -> float:
    """Fuel one generator needs so that the protected loads last, with all else shed at once.

    Args:
        island: the site; the stocks of its other generators stay as they are.
        day: day of the outage.
        generator: name of the generator whose stock is asked for.
        outage_h: how long the grid is away.

    Returns:
        The smallest stock, MWh of fuel, to a thousandth of full load all the time; nan when no
        stock is enough.

    Raises:
        BadInput: a name that is no generator of the island.
    """
    of = {g.name: g for g in island.generators}
    if generator not in of:
        raise refuse("island", "generator", generator, "is no generator of the island")
    bare = {load.name: 0.0 for load in island.loads if not load.protected}

    def lasts(stock_mwh: float) -> bool:
        tank = replace(of[generator], fuel_stock_mwh=stock_mwh)
        gens = tuple(tank if g.name == generator else g for g in island.generators)
        return not outlast(replace(island, generators=gens), day, outage_h, bare).protected_lost

    rated = of[generator]
    most = rated.heat_rate_mwh_per_mwh * rated.capacity_mw * outage_h
    if not lasts(math.inf):
        return math.nan
    low, high = 0.0, most
    while high - low > most * 1e-3:
        middle = (low + high) / 2
        low, high = (low, middle) if lasts(middle) else (middle, high)
    return high


def _saving(island: Island, day: dt.date, outage_h: float) -> tuple[dict[str, float], Outage]:
    """Least hours per load: the time to save its work, unless a protected load is worse for it."""
    ranked = island.ranked
    nothing = {load.name: 0.0 for load in ranked}
    whole = {load.name: outage_h for load in ranked if load.protected}
    bare = outlast(island, day, outage_h, nothing | whole)
    need = [load.checkpoint_min / _MIN_PER_H if load.pausable else 0.0 for load in ranked]
    kept = [k for k, load in enumerate(ranked) if load.protected]
    for last in range(len(ranked), 0, -1):
        # a load runs only while those above it do, so they need as long
        hours = [min(max(need[k:last], default=0.0), outage_h) for k in range(len(ranked))]
        tried_h = {load.name: h for load, h in zip(ranked, hours, strict=True)}
        if max(hours) <= 0.0:
            break
        tried = outlast(island, day, outage_h, tried_h | whole)
        gained = all(tried.lasted_h[k] >= h - _SLACK for k, h in enumerate(hours))
        if gained and _harmless(tried, bare, kept):
            return tried_h, outlast(island, day, outage_h, tried_h)
    return nothing, outlast(island, day, outage_h, nothing)


def _harmless(tried: Outage, before: Outage, of: Sequence[int]) -> bool:
    """Whether some loads are served no less than before."""
    of = list(of)
    return bool(np.all(tried.not_served_mwh[of] <= before.not_served_mwh[of] + 1e-6))


class _Walk:
    """The state of an outage while it is walked through; everything public is in `Outage`."""

    def __init__(
        self, island: Island, day: dt.date, outage_h: float, shed: Mapping[str, float]
    ) -> None:
        self.island, self.ranked, self.outage_h = island, island.ranked, outage_h
        self.fleet = Fleet.of(island.generators)
        ran = [island.run_h.get(g.name, 0.0) for g in island.generators]
        self.state = generation.at_rest(self.fleet, np.array(ran, dtype=np.float64))
        self.exists = np.array([g.commissioned <= day for g in island.generators], dtype=np.bool_)
        self.black = np.array([g.black_start for g in island.generators], dtype=np.bool_)
        self.merit = np.argsort(self.fleet.marginal_eur_per_mwh, kind="stable").tolist()
        starts = self.fleet.start_h[self.exists & ~self.fleet.weather].tolist()
        # an outage is also cut where a load is shed, so that it is shed to the minute
        self.at = edges(outage_h, [*starts, *shed.values()])
        self.hours = np.diff(self.at)
        self.shed_at = np.array([shed.get(load.name, math.inf) for load in self.ranked])
        self.soc = island.soc_mwh if island.battery else 0.0
        self.ups_left = island.ups_mw * island.ups_s / 3600.0
        self.on = len(self.ranked)
        self.now_h = 0.0
        self.planned = len(self.ranked)
        # how long generators idle for a load that waits, before they stop waiting for it
        self.aimed_h, self.patience_h = 0.0, float(np.max(self.fleet.start_h, initial=0.0)) + 1.0
        self.broken: list[Broken] = []
        self.told: set[tuple[str, str]] = set()
        periods = len(self.hours)
        self.served = np.zeros((len(self.ranked), periods))
        self.made = np.zeros((len(self.fleet), periods))
        self.fuel = np.zeros((len(self.fleet), periods + 1))
        self.socs = np.zeros(periods + 1)
        self.rows = {key: np.zeros(periods) for key in ("charge", "discharge", "ups", "dumped")}
        self.fuel[:, 0], self.socs[0] = self.state.fuel_mwh, self.soc
        for g, there in zip(island.generators, self.exists, strict=True):
            if not there:
                self.tell(0.0, g.name, "absent", f"commissioned on {g.commissioned}")

    def tell(self, at_h: float, what: str, kind: str, why: str, once: bool = True) -> None:
        """Note what broke; by default each kind once for each thing."""
        if once and (what, kind) in self.told:
            return
        self.told.add((what, kind))
        self.broken.append(Broken(at_h, what, kind, why, KINDS[kind]))

    def available(self, p: int) -> Array:
        """What each generator could give in a step, MW."""
        hour = int(self.at[p])
        share = np.ones(len(self.fleet))
        for k, g in enumerate(self.island.generators):
            if g.name in self.island.capacity_factor:
                values = np.asarray(self.island.capacity_factor[g.name], dtype=np.float64)
                share[k] = values[hour]
        return np.where(self.exists, self.fleet.capacity_mw * share, 0.0)

    def wanted(self, demand_mw: float, aim_mw: float, most: Array, hours: float) -> Array:
        """Output asked of each generator: weather first, then by cost, as few as carry the load.

        What is started looks at ``aim_mw``, the demand with the next load that waits to come back,
        if everything together could carry that.
        """
        fleet, state = self.fleet, self.state
        ask = np.zeros(len(fleet))
        most = np.minimum(most, generation.lasting_mw(self.fleet, self.state, hours))
        left = demand_mw
        for k in np.flatnonzero(fleet.weather):
            ask[k] = min(most[k], left)
            left -= ask[k]
        usable = (
            ~fleet.weather & (most >= fleet.min_mw) & (most > 0.0)
            & (state.fuel_mwh > 0.0) & (state.run_h < fleet.run_h_max)
        )  # fmt: skip
        alive = bool(np.any(state.running)) or self.soc > self.floor_mwh + _SLACK
        stuck = usable & ~self.black & ~state.running
        usable &= self.black | alive | state.running
        left_aim = left + max(aim_mw - demand_mw, 0.0)
        if left_aim > float(most[usable].sum()) + _SLACK:
            left_aim = left
        if aim_mw > 0.0 and not alive:
            for k in np.flatnonzero(stuck):
                why = "needs power from elsewhere to start, and there is none"
                self.tell(self.now_h, fleet.generators[k].name, "no_start", why)
        if left_aim <= 0.0 or not usable.any():
            return ask
        keep = self.few(left_aim, most, usable)
        on = usable & state.running & keep
        if float(most[on].sum()) < left_aim - _SLACK:
            # what runs of the few does not carry it: everything that can start does
            on, keep = usable & state.running, usable
        # a kept unit holds its least load, so that it is there when another ends
        ask[on] = np.minimum(fleet.min_mw[on], most[on])
        rest = left - float(ask[on].sum())
        for k in self.merit:
            if on[k]:
                more = min(max(rest, 0.0), most[k] - ask[k])
                ask[k] += more
                rest -= more
        start = keep & ~on
        ask[start] = np.maximum(fleet.min_mw[start], _SLACK)
        # one that comes up within this step takes over what nobody carries yet
        for k in self.merit:
            if start[k] and rest > 0.0:
                ask[k] = max(ask[k], min(most[k], rest))
                rest -= ask[k]
        return ask

    def few(self, left: float, most: Array, usable: Flags) -> Flags:
        """The fewest generators by cost that carry a load for as long as the next needs to start.

        A generator whose fuel or hours end before the next one could be up does not count for it,
        so the next one is started in time.
        """
        fleet, state = self.fleet, self.state
        burn = fleet.heat_rate_mwh_per_mwh * np.minimum(most, left)
        lasts_h = np.divide(state.fuel_mwh, burn, out=np.full(len(fleet), np.inf), where=burn > 0)
        lasts_h = np.minimum(lasts_h, fleet.run_h_max - state.run_h)
        keep = np.zeros(len(fleet), dtype=np.bool_)
        for k in self.merit:
            there = keep & (lasts_h >= fleet.start_h[k] + _STEP_H)
            if usable[k] and float(most[there].sum()) < left - _SLACK:
                keep[k] = True
        return keep

    @property
    def floor_mwh(self) -> float:
        """Least the battery may hold."""
        return self.island.battery.soc_min_mwh if self.island.battery else 0.0

    def try_on(self, on: int, p: int, most: Array) -> tuple[float, _Trial]:
        """What a step would be with the first ``on`` loads: the shortfall in MWh, and the step."""
        hours = float(self.hours[p])
        demand = sum(load.whole_mw for load in self.ranked[:on])
        aim = demand
        if on < self.planned and self.aimed_h <= self.patience_h:
            load = self.ranked[on]
            aim += load.whole_mw + load.power_mw * (load.inrush_times - 1.0)
        asked = self.wanted(demand, aim, most, hours)
        after, out = generation.step(self.fleet, self.state, asked, hours, most)
        gap = demand * hours - float(out.energy_mwh.sum())
        battery, cell = self.island.battery, 0.0
        if battery is not None and gap > 0.0:
            cell = min(gap, cells.limits(battery, self.soc, hours)[1] * hours)
        bridged = sum(load.whole_mw for load in self.ranked[:on] if load.ups)
        from_ups = min(
            max(gap - cell, 0.0), self.ups_left, min(self.island.ups_mw, bridged) * hours
        )
        carried = float(after.level_mw[~self.fleet.weather].sum())
        trial = _Trial(demand, after, out, gap, cell, max(from_ups, 0.0), carried)
        return max(gap, 0.0) - trial.cell_mwh - trial.ups_mwh, trial

    def step(self, p: int) -> None:
        """Walk one step: shed as planned, serve what can be served, move the stores."""
        at_h, hours = float(self.at[p]), float(self.hours[p])
        self.now_h = at_h
        most = self.available(p)
        planned = int(np.argmax([*(self.shed_at <= at_h + _SLACK), True]))
        self.planned = planned
        self.shed_planned(planned, p)
        before = min(self.on, planned)
        on, trial = self.choose(before, planned, p, most)
        for k in range(on, before):
            self.drop(k, at_h, trial)
        waits = on < planned and on == self.on
        self.aimed_h = self.aimed_h + hours if waits else 0.0
        self.on = on
        self.settle(on, trial, p, hours)

    def choose(self, before: int, planned: int, p: int, most: Array) -> tuple[int, _Trial]:
        """How many loads are served in a step: fewer when power lacks, more when it is back."""
        on = before
        short, trial = self.try_on(on, p, most)
        while on > 0 and short > _SLACK:
            on -= 1
            short, trial = self.try_on(on, p, most)
        if on < before:
            return on, trial
        while on < planned:
            load = self.ranked[on]
            long_enough = (min(self.shed_at[on], self.outage_h) - self.at[p]) * _MIN_PER_H
            short, more = self.try_on(on + 1, p, most)
            surge = load.power_mw * (load.inrush_times - 1.0)
            room = float(most[more.after.running & ~self.fleet.weather].sum())
            carried = more.carried_mw >= more.demand_mw - self.weather_mw(most) - _SLACK
            # the weather may turn: what comes back must be carried without it
            fits = room >= more.demand_mw + surge - _SLACK
            if short > _SLACK or not (carried and fits) or long_enough < load.run_min:
                break
            on, trial = on + 1, more
        return on, trial

    def weather_mw(self, most: Array) -> float:
        """What the weather gives now."""
        return float(most[self.fleet.weather].sum())

    def shed_planned(self, planned: int, p: int) -> None:
        """Note what is shed on purpose at the start of a step, and whether its work was saved."""
        at_h = float(self.at[p])
        for k in range(planned, min(self.on, len(self.ranked))):
            load = self.ranked[k]
            self.tell(at_h, load.name, "shed", "so that what is more vital lasts")
            if load.pausable and at_h * _MIN_PER_H < load.checkpoint_min - _SLACK:
                why = f"shed after {at_h * 60:.0f} min; saving takes {load.checkpoint_min:g}"
                self.tell(at_h, load.name, "work_lost", why)
            if load.protected:
                why = "power does not last for it and for what is more vital"
                self.tell(at_h, load.name, "protected_lost", why)

    def drop(self, k: int, at_h: float, trial: _Trial) -> None:
        """Note a load that falls for want of power."""
        load = self.ranked[k]
        why = "generators and storage do not carry it"
        if at_h == 0.0 and not trial.out.energy_mwh.any():
            why = "nothing bridges the start of the generators"
        self.tell(at_h, load.name, "dropped", why, once=False)
        if load.pausable:
            self.tell(at_h, load.name, "work_lost", "fell without a checkpoint", once=False)
        if load.protected:
            self.tell(at_h, load.name, "protected_lost", why, once=False)

    def settle(self, on: int, trial: _Trial, p: int, hours: float) -> None:
        """Move the stores by what the step took, and note what ran out."""
        battery, end_h = self.island.battery, float(self.at[p + 1])
        surplus = max(-trial.gap_mwh, 0.0)
        charge = 0.0
        if battery is not None:
            charge = min(surplus, cells.limits(battery, self.soc, hours)[0] * hours)
            into, out = charge / hours, trial.cell_mwh / hours
            self.soc = cells.step(battery, self.soc, into, out, hours)
            if trial.cell_mwh > 0.0 and self.soc <= self.floor_mwh + _SLACK:
                self.tell(end_h, "battery", "battery_empty", "discharged to its least charge")
        self.ups_left -= trial.ups_mwh
        if trial.ups_mwh > 0.0 and self.ups_left <= _SLACK:
            self.tell(end_h, "UPS", "ups_empty", f"gave {self.island.ups_s:g} s at its rating")
        self.state = trial.after
        self.note_ends(end_h)
        for k in range(on):
            self.served[k, p] = self.ranked[k].power_mw
        self.made[:, p] = trial.out.energy_mwh / hours
        self.fuel[:, p + 1], self.socs[p + 1] = self.state.fuel_mwh, self.soc
        moved = (charge, trial.cell_mwh, trial.ups_mwh, surplus - charge)
        for row, energy in zip(self.rows.values(), moved, strict=True):
            row[p] = energy / hours

    def note_ends(self, end_h: float) -> None:
        """Note the generators whose fuel or run hours are used up."""
        ended = (
            (generation.lasting_mw(self.fleet, self.state, _STEP_H) <= 0.0)
            & self.exists
            & ~self.fleet.weather
        )
        for k in np.flatnonzero(ended):
            g = self.island.generators[k]
            if g.run_h_max - self.state.run_h[k] < _STEP_H:
                self.tell(end_h, g.name, "hours_out", f"{g.run_h_max:g} h a year are used up")
            else:
                left = float(self.state.fuel_mwh[k])
                why = f"{left:.3g} MWh are left of {g.fuel_stock_mwh:g}, too little for a step"
                self.tell(end_h, g.name, "fuel_out", why)

    def result(self) -> Outage:
        """The trajectories."""
        power = np.array([load.power_mw for load in self.ranked])
        per_mw = np.array([load.cooling_mw_per_mw for load in self.ranked])
        served = self.served @ self.hours
        return Outage(
            loads=tuple(load.name for load in self.ranked),
            generators=tuple(g.name for g in self.island.generators),
            edges_h=self.at,
            served_mw=self.served,
            cooling_mw=per_mw @ self.served,
            generator_mw=self.made,
            charge_mw=self.rows["charge"],
            discharge_mw=self.rows["discharge"],
            ups_mw=self.rows["ups"],
            dumped_mw=self.rows["dumped"],
            soc_mwh=self.socs,
            fuel_mwh=self.fuel,
            not_served_mwh=np.maximum(power * self.outage_h - served, 0.0),
            lasted_h=np.asarray((self.served > 0.0) @ self.hours, dtype=np.float64),
            broken=tuple(sorted(self.broken, key=lambda b: b.at_h)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """A step that was tried: its demand, what generators did, and what storage would have to."""

    demand_mw: float
    after: generation.State
    out: generation.Output
    gap_mwh: float
    cell_mwh: float
    ups_mwh: float
    carried_mw: float


def _checked_shed(
    island: Island, outage_h: float, shed_h: Mapping[str, float]
) -> Mapping[str, float]:
    problems: list[Problem] = []
    if not (math.isfinite(outage_h) and 0.0 < outage_h <= 8784.0):
        problems.append(Problem("outage", "outage_h", str(outage_h), "must be above 0, to 8784"))
    known = {load.name for load in island.loads}
    for name, at_h in shed_h.items():
        if name not in known:
            why = f"is no load; known: {', '.join(sorted(known))}"
            problems.append(Problem("outage", "shed_h", name, why))
        if not at_h >= 0.0:
            problems.append(Problem("outage", f"shed_h.{name}", str(at_h), "must be 0 or more"))
    for name, given in island.capacity_factor.items():
        length = len(np.asarray(given))
        if length < outage_h:
            why = f"has {length} hours; the outage lasts {outage_h:g}"
            problems.append(Problem("island", f"capacity_factor.{name}", "", why))
    if problems:
        raise BadInput(problems)
    return shed_h


def _load_faults(loads: Sequence[Load]) -> list[Problem]:
    problems = []
    names = [load.name for load in loads]
    for load in loads:
        where = f"load {load.name}"
        if names.count(load.name) > 1:
            problems.append(Problem(where, "name", load.name, "each load needs a name of its own"))
        problems += outside(
            where,
            load,
            power_mw=(1e-9, 1e5),
            priority=(1, 1000),
            cooling_mw_per_mw=(0.0, 2.0),
            checkpoint_min=(0.0, 1e4),
            run_min=(0.0, 1e5),
            inrush_times=(1.0, 20.0),
        )
    return problems


def _island_faults(island: Island) -> list[Problem]:
    problems = []

    def wrong(key: str, value: object, why: str) -> None:
        problems.append(Problem("island", key, str(value), why))

    if not island.loads:
        wrong("loads", "", "needs at least one load")
    flags = [load.protected for load in island.ranked]
    if sorted(flags, reverse=True) != flags:
        late = [x.name for x, y in zip(island.ranked[1:], flags, strict=False) if x.protected > y]
        wrong("loads", ", ".join(late), "what is protected must rank before what is not")
    names = [g.name for g in island.generators]
    for name in sorted({n for n in names if names.count(n) > 1}):
        wrong("generators", name, "each generator needs a name of its own")
    for key in ("ups_mw", "ups_s"):
        value = getattr(island, key)
        if not (math.isfinite(value) and value >= 0.0):
            wrong(key, value, "must be finite and 0 or more")
    least = island.battery.soc_min_mwh if island.battery else 0.0
    most = island.battery.soc_max_mwh if island.battery else 0.0
    if not least <= island.soc_mwh <= most:
        wrong("soc_mwh", island.soc_mwh, f"must be from {least:g} to {most:g}")
    for name in sorted({*island.capacity_factor, *island.run_h} - set(names)):
        wrong("generators", name, "is no generator of the island")
    for name, given in island.capacity_factor.items():
        share = np.asarray(given, dtype=np.float64)
        if share.ndim != 1 or not np.all((share >= 0.0) & (share <= 1.0)):
            wrong(f"capacity_factor.{name}", "", "needs hourly shares from 0 to 1")
    for g in island.generators:
        if g.driver == "weather" and g.name not in island.capacity_factor:
            wrong(f"capacity_factor.{g.name}", "", "is needed: the weather runs it")
    return problems
