"""The stress mode in a run: which days go by the second, for all sites together, and their table.

The rows of a day are written when the day is done, and their hash goes into the journal; so a run
that is interrupted and resumed leaves the same table, and `verify` knows it from any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from gigafactory.adapters.reserves import Called
from gigafactory.adapters.site import SiteOrder
from gigafactory.engine.errors import BadInput, Problem
from gigafactory.engine.streams import stream
from gigafactory.factory.models import Factory
from gigafactory.factory.response import SiteResponse, flex_contracts
from gigafactory.grid import MarketCalendar
from gigafactory.kernel import FULL_SPEED, Records
from gigafactory.planner import (
    Action,
    Afrr,
    EnergyPlanner,
    Fcr,
    FlexClass,
    Intent,
    ResponsePlant,
)
from gigafactory.planner.gate import Gate
from gigafactory.planner.reserving import Bidder
from gigafactory.plant import Chip
from gigafactory.plant.battery import Battery
from gigafactory.runtime.owed import AUCTIONS, Owed, called_setpoints, most_sold
from gigafactory.runtime.reservewires import TAIL_H
from gigafactory.runtime.seconds import COLUMNS, Duty, SiteSeconds
from gigafactory.runtime.stress import SETPOINT_S, Signals, Stress
from gigafactory.runtime.swinging import swing
from gigafactory.runtime.wiring import CLASSES, GATE_DAY, GATE_TAIL, World
from gigafactory.units import NS_PER_S

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: The table of seconds in a run folder, and the folder of its days while the run goes on.
SECONDS_NAME: Final = "seconds.parquet"
DAYS_NAME: Final = "seconds"


class Driver:
    """Walks stress days by the second.

    Args:
        world: the wired factory.
        factory: its file.
        catalogue: its chips.
        calendar: market periods of the run.
        stress: what is asked.
        seed: of the run.
        folder: where the days' tables are written.

    Raises:
        BadInput: reserves that the battery cannot keep up, or measured data that is not there.
    """

    def __init__(
        self,
        world: World,
        factory: Factory,
        catalogue: Mapping[str, Chip],
        calendar: MarketCalendar,
        stress: Stress,
        seed: int,
        folder: Path,
    ) -> None:
        self.world, self.calendar, self.stress, self.folder = world, calendar, stress, folder
        self.signals = Signals(stress, calendar, seed)
        self.told: Callable[[str], None] = lambda _: None
        self.duties = duties_of(world, factory, catalogue, calendar.days)
        self.sites: list[SiteSeconds] = []
        self._first_s = 0
        self._walked = -1
        self.day = -1

    def bind(self, set_speed: Callable[[int, Ints], None]) -> None:
        """Learn how a pool is told its speeds, and take the sites in hand."""
        for s, duty in enumerate(self.duties):
            mine = self.world.sites[s].pools
            pools = [(i, self.world.twin.pools[i].kernel, self.world.power_mw[i]) for i in mine]
            self.sites.append(SiteSeconds(duty, self.world.twin.sites[s], pools, set_speed))

    def band_mwh(self, s: int) -> tuple[float, float]:
        """Stored energy that plans may use: outside it lies what reserves must be able to take.

        What a desk sells for a day stands in the plan of that day as its own band: here all is.
        """
        plant = self.duties[s].plant
        if self.duties[s].sold_by == AUCTIONS:
            return plant.battery.soc_min_mwh, plant.battery.soc_max_mwh
        return _band(plant)

    def bidder_on(self, s: int) -> Callable[[int], Bidder]:
        """Who bids for a day of delivery at a site whose desk sells.

        For a stress day no more is bid than `energy.response` lets be sold; other days are ordinary
        ones.
        """
        wires = self.world.sites[s].reserves
        assert wires is not None, "a site that sells nothing has no desk"
        usual, most = wires.bidder, self.duties[s].most_mw
        if most == wires.block.products_mw:
            return lambda _: usual
        sheds = bool(wires.block.sheds)
        less = Bidder(wires.shape, wires.rules, most, sheds=sheds, tail_h=TAIL_H)
        return lambda day: less if self.stress.covers(day) else usual

    def planning(self) -> World:
        """The world whose plans leave battery power and energy for the reserves that are sold."""
        sites = []
        for wire, duty in zip(self.world.sites, self.duties, strict=True):
            plant = duty.plant
            sold = plant.fcr.contracted_mw + max(plant.afrr.up_mw, plant.afrr.down_mw)
            if sold <= 0.0 or duty.sold_by == AUCTIONS:
                sites.append(wire)
                continue
            low, high = _band(plant)
            left = max(plant.battery.power_mw - sold - plant.fcr.recovery_mw, 0.0)
            shape = replace(
                wire.planner.shape, battery_mw=left, battery_mwh=high - low if left else 0.0
            )
            gate = Gate(shape, GATE_DAY, GATE_TAIL, 1.0)
            sites.append(replace(wire, planner=EnergyPlanner(shape), gate=gate))
        self.world = replace(self.world, sites=tuple(sites))
        return self.world

    def covers(self, day: int, step: int) -> bool:
        """Whether a period of a day goes by the second."""
        if not self.stress.covers(day):
            return False
        last = self.stress.seconds
        return last is None or step < last // self.calendar.period_s

    def begin_day(self, day: int, sold: Mapping[int, Sequence[Called]]) -> None:
        """Make known to the sites what a day brings, and what they owe in it.

        Args:
            day: of the run.
            sold: by the number of a site whose desk sells, what is sold and called per period.
        """
        if not self.stress.covers(day):
            return
        periods = self.calendar.day_slice(day)
        self._first_s = int(self.calendar.start_ns[periods.start]) // NS_PER_S
        goes_on = self._walked == periods.start - 1
        for s, (site, duty) in enumerate(zip(self.sites, self.duties, strict=True)):
            plant = duty.plant
            signals = self.signals.day(day, s, duty.full_mw, (plant.afrr.up_mw, plant.afrr.down_mw))
            owed = Owed.held(plant, periods.stop - periods.start)
            if duty.sold_by == AUCTIONS:
                owed, count = Owed.sold(sold[s]), len(signals.frequency_hz)
                draw = stream(self.signals.seed, "stress", day, s, "calls")
                setpoint = called_setpoints(draw, owed, count, SETPOINT_S)
                signals = replace(signals, setpoint_mw=setpoint)
            site.begin_day(signals, periods, owed)
            if not goes_on:
                site.fresh()
        self.day = day

    def edge(self, s: int, period: int, intent: Intent) -> Intent:
        """A site's intent at the begin of a period that goes by the second."""
        second = int(self.calendar.start_ns[period]) // NS_PER_S - self._first_s
        return self.sites[s].edge(period, second, intent)

    def walk(self, period: int, orders: list[SiteOrder]) -> tuple[list[Records], list[SiteOrder]]:
        """Walk a period by the second.

        Returns:
            What happened to jobs per pool of the run, and the orders with what was metered.
        """
        begin_ns = int(self.calendar.start_ns[period])
        second = begin_ns // NS_PER_S - self._first_s
        walkers = [
            site.run(period, second, begin_ns, order)
            for site, order in zip(self.sites, orders, strict=True)
        ]
        for k in range(int(self.calendar.period_s)):
            for walker in walkers:
                walker.walk(k)
        records: list[Records | None] = [None] * len(self.world.twin.pools)
        metered = []
        for site, walker in zip(self.sites, walkers, strict=True):
            order, found = walker.close()
            metered.append(order)
            for hand, parts in zip(site.hands.hands, found, strict=True):
                last = hand.kernel.advance(hand.kernel.t_ns)
                records[hand.number] = joined([*parts, last])
        self._walked = period
        return [one for one in records if one is not None], metered

    def end_day(self) -> dict[str, Any]:
        """Write the day's table; returns what the journal keeps of it."""
        told: dict[str, Any] = {"day": self.day, "sites": {}}
        parts = []
        for s, site in enumerate(self.sites):
            rows = np.concatenate(site.rows)
            name = self.world.sites[s].name
            told["sites"][name] = {
                "sha256": hashlib.sha256(np.ascontiguousarray(rows).tobytes()).hexdigest(),
                "seconds": len(rows),
                "sold_by": self.duties[s].sold_by,
                "ride": [[c.at_s, c.state.name.lower(), c.count] for c in site.ride()],
                "merit": [_line(one) for one in site.merit_order()],
                "swing": swing(site.hands.hands, site.factor(), site.duty.plant),
            }
            parts.append(_table(name, self._first_s, rows))
        place = self.folder / DAYS_NAME
        place.mkdir(exist_ok=True)
        path = place / f"day-{self.day:05d}.parquet"
        pq.write_table(pa.concat_tables(parts), path, compression="zstd", compression_level=3)
        return told

    # --- state --------------------------------------------------------------------------------

    def snapshot(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """The state at the end of a day."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        fields: dict[str, Any] = {"walked": self._walked, "sites": []}
        for s, site in enumerate(self.sites):
            mine, kept = site.snapshot()
            arrays |= {f"seconds{s}.{name}": array for name, array in mine.items()}
            fields["sites"].append(kept)
        return arrays, fields

    def restore(self, arrays: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
        """Put back what `snapshot` gave."""
        self._walked = int(fields["walked"])
        for s, (site, kept) in enumerate(zip(self.sites, fields["sites"], strict=True)):
            start = f"seconds{s}."
            mine = {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
            site.restore(mine, kept)


def _band(plant: ResponsePlant) -> tuple[float, float]:
    """The band that FCR keeps free, and within it what full aFRR needs for its time."""
    low, high = plant.reserve_mwh
    hours = plant.afrr.keep_s / 3600.0
    low += plant.afrr.up_mw * hours / plant.battery.discharge_efficiency
    high -= plant.afrr.down_mw * hours * plant.battery.charge_efficiency
    middle = 0.5 * (low + high)
    return min(low, middle), max(high, middle)


def joined(parts: list[Records]) -> Records:
    """Records of one pool, one after the other."""
    names = Records.__dataclass_fields__
    return Records(*(np.concatenate([getattr(part, n) for part in parts]) for n in names))


def _line(one: Action) -> list[Any]:
    cost = None if one.cost_eur_per_mwh != one.cost_eur_per_mwh else one.cost_eur_per_mwh
    return [one.action, one.flex_class, one.power_mw, cost, one.full_s, one.for_limits_only]


def _table(site: str, first_s: int, rows: Array) -> pa.Table:
    names = [*COLUMNS, *(f"shed_{c}_mw" for c in CLASSES), *(f"beyond_{c}_mw" for c in CLASSES)]
    label = pa.DictionaryArray.from_arrays(np.zeros(len(rows), np.int32), pa.array([site]))
    columns: dict[str, Any] = {"site": label, "unix_s": first_s + np.arange(len(rows))}
    for k, name in enumerate(names):
        column = rows[:, k]
        columns[name] = column.astype(np.int64) if name == "flags" else column
    return pa.table(columns)


# --- what a site answers with -------------------------------------------------------------------


def duties_of(
    world: World, factory: Factory, catalogue: Mapping[str, Chip], days: int
) -> list[Duty]:
    """What every site answers with, from its file.

    Raises:
        BadInput: all reserves that cannot be kept up.
    """
    named = {one.site: one for one in factory.energy.response}
    found: list[Duty] = []
    problems: list[Problem] = []
    for s, wire in enumerate(world.sites):
        try:
            found.append(_duty(world, factory, catalogue, s, named.get(wire.name), days))
        except BadInput as bad:
            blocks = "energy.response" if wire.reserves is None else "energy.reserves and response"
            where = f"{blocks}, site {wire.name}"
            problems += [Problem(where, p.field, p.value, p.why) for p in bad.problems]
    if problems:
        raise BadInput(problems)
    return found


def _duty(
    world: World,
    factory: Factory,
    catalogue: Mapping[str, Chip],
    s: int,
    response: SiteResponse | None,
    days: int,
) -> Duty:
    site, wire = world.twin.sites[s], world.sites[s]
    battery = site.battery or Battery(0.0, 0.0)
    contracts = flex_contracts(response, CLASSES)
    said = response or SiteResponse(site=wire.name)
    wires = wire.reserves
    sold_by, most = most_sold(wires.block if wires else None, said)
    # what a desk sells is brought back by its trades, beside which nothing else recovers
    recovery_mw = 0.0 if sold_by == AUCTIONS else said.fcr_recovery_mw
    fcr = Fcr(contracted_mw=most["fcr"], recovery_mw=recovery_mw)
    afrr = Afrr(up_mw=most["up"], down_mw=most["down"])
    line = factory.sites[wire.name].connection
    capacity = line.capacity_mva * line.power_factor
    ups = {"ups_mw": said.ups_mw, "ups_s": said.ups_lasting_s}
    if wires is None or not wires.sheds_share:
        # it must be in the battery alone: nobody knows at the gate what work will run
        ResponsePlant(battery, capacity, (), fcr, afrr)
    floor = world.responder.floor
    classes, breach = [], np.zeros(len(CLASSES))
    for g, contract in enumerate(contracts):
        power, slow, worth, delay = _class_figures(world, factory, catalogue, s, g)
        breach[g] = worth * said.breach_times
        saved = {str(k): v.cost_s for k, v in factory.policy.checkpoint.items()}
        classes.append(
            FlexClass(
                name=CLASSES[g],
                active_mw=power,
                throttle_mw=slow,
                throttle_s=said.throttle_s,
                pause_mw=power - slow,
                pause_delay_s=saved.get(CLASSES[g], 0.0),
                ramp_mw_per_s=max(power / said.pause_s, 1e-3),
                depth_mw=slow + (power - slow) * contract.pause_fraction,
                lasting_s=contract.lasting_s,
                rest_s=contract.rest_s,
                events=contract.times_per_day * days,
                throttle_eur_per_mwh=delay,
                pause_eur_per_mwh=delay,
                drop_eur_per_mwh=breach[g],
            )
        )
    pause = [c.pause_fraction if c.times_per_day else -1.0 for c in contracts]
    named = [CLASSES.index(str(label)) for label in factory.policy.victim_order]
    order = tuple(named + [g for g in range(len(CLASSES)) if g not in named])
    plant = ResponsePlant(battery, capacity, tuple(classes), fcr, afrr, **ups)
    full = site.it_grid_mw[-1] + site.cooling_mw[:, -1] + site.losses_mw[:, -1]
    return Duty(
        plant, order, np.array(pause), breach, floor, float(full.mean()), sold_by, most
    )  # fmt: skip


def _class_figures(
    world: World, factory: Factory, catalogue: Mapping[str, Chip], s: int, g: int
) -> tuple[float, float, float, float]:
    """A class as if it had the whole site.

    Returns:
        MW above rest, of it what throttling saves, and what a MWh of it earns, and costs when it is
        done a day later, EUR.
    """
    power = slow = earned = late = 0.0
    label = CLASSES[g]
    prices = {str(k): v.base for k, v in factory.finance.price_eur_per_gpu_h.items()}
    delays = {str(k): v for k, v in factory.policy.delay_cost_eur_per_gpu_h.items()}
    for i in world.sites[s].pools:
        pool, table = factory.fleet[i], world.power_mw[i]
        chip = catalogue[pool.chip]
        if not chip.can(label):
            continue
        idle = world.twin.pools[i].kernel.spec.idle_power_mw
        above = (int(table[g, FULL_SPEED]) - idle) / 1e9
        power += pool.accelerators * above
        floor = int(world.responder.floor[g])
        slow += pool.accelerators * (int(table[g, FULL_SPEED]) - int(table[g, floor])) / 1e9
        earned += pool.accelerators * prices.get(label, 0.0) * chip.h100_equivalent
        late += pool.accelerators * delays.get(label, 0.0)
    if power <= 0.0:
        return 0.0, 0.0, 0.0, 0.0
    return power, slow, earned / power, late / power


__all__ = ["DAYS_NAME", "SECONDS_NAME", "Driver", "duties_of"]
