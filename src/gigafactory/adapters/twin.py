"""The twin: a factory made of the kernel's pools and the plant's physics, behind the same doors.

It obeys an intent for a period, lets the kernel run every job event in it, and is then metered: IT
energy by exact integration, cooling, losses and water by the plant's formulas at the IT load found
(tabulated per period on a grid of loads and read off in between; site power is convex, so reading a
chord never understates it), the battery after the load is known, so that it defends the connection
limit. Meter readings are whole units; what quantising leaves is carried.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.adapters.ownplant import OwnPlant
from gigafactory.adapters.placement import Placement
from gigafactory.adapters.reserves import CARRIED as RESERVES_CARRIED
from gigafactory.adapters.reserves import Cable, Called, Delivered, deliver, readings
from gigafactory.kernel import GroupReading, Kind, Pool, PoolReading, Records, Why
from gigafactory.ledger import (
    GENERATOR_COLUMNS,
    GROUP_COLUMNS,
    METERS,
    SHARE_COLUMNS,
    Carry,
    Facts,
)
from gigafactory.plant.battery import Battery, limits
from gigafactory.plant.rationing import WaterGuard
from gigafactory.units import NS_PER_H, NS_PER_S

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_AT = {name: i for i, name in enumerate(METERS)}
_USED_NS, _USED_UWH = (GROUP_COLUMNS.index(name) for name in ("used_ns", "used_uwh"))
#: Kept below a connection limit: meters count whole units and carry what is left to the next
#: reading, which must not lift a reading above the limit by a few watt-hours.
METER_MW = 1e-4
NOTHING_CALLED, NOTHING_DELIVERED = Called(), Delivered(0.0, 0.0, 0.0)
_MW_NS_PER_UWH = 3_600_000_000
_CARRIED = (
    "charge",
    "discharge",
    "cooling",
    "auxiliary",
    "losses",
    "heat",
    "water",
    "network",
    "day_ahead",
    "intraday",
    "heat_pump",
    "heat_network",
    "water_short",
    "dumped",
    *RESERVES_CARRIED,
)
_MADE_WH, _WATER_ML = (GENERATOR_COLUMNS.index(name) for name in ("made_wh", "water_ml"))

#: Real numbers that describe a period of a site, beside what the ledger counts.
SENSES = (
    "price_eur_per_mwh",
    "imbalance_eur_per_mwh",
    "temperature_c",
    "wet_bulb_c",
    "limit_mw",
    "soc_mwh",
    "ppa_available_mw",
    "heat_demand_mw",
    "envelope_mw",
    "right_firm_mw",
    "right_fully_variable_mw",
    "right_duration_bound_mw",
    "right_time_block_mw",
    "restricted_mw",
    "called_mw",
)
#: Of these, what contracts of the connection say; handed to `Twin.meter` from outside.
CONTRACT_SENSES = 6


@dataclass(frozen=True, slots=True, eq=False)
class DryPlant:
    """The plant of a site when it is cooled without water, in the form of `TwinSite`."""

    cooling_mw: Array
    losses_mw: Array
    water_m3_per_h: Array
    heat_mw: Array


@dataclass(frozen=True, slots=True)
class Lift:
    """The heat pump between a site and its network.

    Attributes:
        cop: of the pump; infinite where the heat is warm enough without.
        inside: whether its electricity is the site's own.
    """

    cop: float
    inside: bool

    def of(self, have_mw: float, wanted_mw: float, room_mw: float) -> tuple[float, float]:
        """Heat handed over and the pump's electricity, MW.

        Args:
            have_mw: waste heat there is.
            wanted_mw: what the network would take of the pump's output.
            room_mw: power the connection leaves for a pump of the site's own.
        """
        taken = min(have_mw, wanted_mw * (1.0 - 1.0 / self.cop))
        if self.cop == float("inf"):
            return taken, 0.0
        work = taken / (self.cop - 1.0)
        if self.inside and work > room_mw:  # work on accelerators goes before the homes' heat
            work = max(room_mw, 0.0)
            taken = work * (self.cop - 1.0)
        return taken, work


@dataclass(slots=True)
class TwinSite:
    """The plant of a site; arrays over the P periods of the run.

    Attributes:
        it_grid_mw: rising IT loads, from 0, [K].
        cooling_mw: cooling power at each load, [P, K].
        losses_mw: electrical losses, [P, K].
        water_m3_per_h: fresh water, [P, K].
        heat_mw: heat that can be handed to a network, [P, K].
        auxiliary_mw: everything else.
        heat_demand_mw: what the network takes, [P]; 0 without one.
        limit_mw: import limit, [P].
        rights_mw: import that contracts allow, as known now, [P]; inf where they say nothing.
        export_mw: export right; less where the cable carries less.
        fabric_w: fabric power per accelerator in service.
        battery: the battery, or none.
        soc_mwh: its state of charge.
        delivered: what the battery did last.
        carbon_kg_per_mwh: location-based intensity, [P].
        intraday_spread_eur_per_mwh: what buying after the day-ahead auction costs above its price,
            and selling brings below it.
        lift: the heat pump; without one the network takes all it wants from the waste heat.
        guard: decides when water is saved; none without a cap.
        dry: the plant when it is; given with a guard.
        own: own generators, or none.
        outage: periods in which there is no grid at all, bool[P]; none without an outage.
        short_eur_per_mwh: imbalance price that the site pays where it is short, [P].
        long_eur_per_mwh: imbalance price that it receives where it is long, [P].
    """

    it_grid_mw: Array
    cooling_mw: Array
    losses_mw: Array
    water_m3_per_h: Array
    heat_mw: Array
    auxiliary_mw: float
    heat_demand_mw: Array
    limit_mw: Array
    export_mw: float
    fabric_w: float
    battery: Battery | None
    soc_mwh: float
    price_eur_per_mwh: Array
    imbalance_eur_per_mwh: Array
    temperature_c: Array
    wet_bulb_c: Array
    carbon_kg_per_mwh: Array
    intraday_spread_eur_per_mwh: float = 0.0
    lift: Lift | None = None
    guard: WaterGuard | None = None
    dry: DryPlant | None = None
    own: OwnPlant | None = None
    outage: npt.NDArray[np.bool_] | None = None
    short_eur_per_mwh: Array = field(default_factory=lambda: np.zeros(0))
    long_eur_per_mwh: Array = field(default_factory=lambda: np.zeros(0))
    carries: dict[str, Carry] = field(default_factory=lambda: {n: Carry() for n in _CARRIED})
    it_rest_uwh: int = 0
    idle_rest: int = 0
    limit_missed_wh: int = 0
    delivered: Delivered = NOTHING_DELIVERED
    rights_mw: Array = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        """One imbalance price, and a firm limit, where nothing else is said."""
        if not len(self.short_eur_per_mwh):
            self.short_eur_per_mwh = self.long_eur_per_mwh = self.imbalance_eur_per_mwh
        if not len(self.rights_mw):
            self.rights_mw = np.full(len(self.limit_mw), np.inf)

    def plant(self, period: int) -> TwinSite | DryPlant:
        """The tables that hold in a period: with water, or without where it is saved."""
        if self.guard is not None and self.dry is not None and self.guard.dry(period):
            return self.dry
        return self

    def import_limit_mw(self, period: int) -> float:
        """Import limit in force in a period: what the cable carries and contracts allow."""
        return min(float(self.limit_mw[period]), float(self.rights_mw[period]))

    def load_mw(self, period: int, it_mw: float) -> float:
        """What the site draws at an IT load, the battery apart, in a period."""
        return it_mw + sum(self.overheads(period, it_mw)[:2]) + self.auxiliary_mw

    def it_allowed_mw(self, period: int, room_mw: float) -> float:
        """Largest IT load whose site power stays within `room_mw`, in a period; not below 0."""
        grid, plant = self.it_grid_mw, self.plant(period)
        load = grid + plant.cooling_mw[period] + plant.losses_mw[period] + self.auxiliary_mw
        room_mw -= METER_MW
        if room_mw <= load[0]:
            return 0.0
        if room_mw >= load[-1]:
            return float("inf")
        return float(np.interp(room_mw, load, grid))

    def traded_eur_per_mwh(self, period: int, intraday_wh: int) -> float:
        """Price after the auction: bought above the day-ahead price, sold below it."""
        spread = self.intraday_spread_eur_per_mwh
        return float(self.price_eur_per_mwh[period] + (spread if intraday_wh > 0 else -spread))

    def islanded(self, period: int) -> bool:
        """Whether there is no grid in a period."""
        return self.outage is not None and bool(self.outage[period])

    def least_mw(self, period: int) -> float:
        """What the site draws in a period with no IT load at all."""
        return float(self.cooling_mw[period, 0] + self.losses_mw[period, 0] + self.auxiliary_mw)

    def powered(self, period: int, it_mw: float, hours: float) -> bool:
        """Whether the site is alive: it has a connection, IT load, or enough of its own."""
        if it_mw > 0.0 or self.limit_mw[period] > 0.0:
            return True
        if self.own is None or self.own.reach is None:
            return False
        supply = float(self.own.reach.high_mw.sum())
        if self.battery is not None:
            supply += limits(self.battery, self.soc_mwh, hours)[1]
        return supply >= self.least_mw(period)

    def overheads(
        self, period: int, it_mw: float, powered: bool | None = None
    ) -> tuple[float, float, float, float]:
        """Cooling and losses in MW, heat to spare in MW and water in m3/h, at an IT load.

        A site without power has none of them; whether it has some, its load and its connection
        say where `powered` does not.
        """
        alive = it_mw > 0.0 or self.limit_mw[period] > 0.0 if powered is None else powered
        if not alive:
            return 0.0, 0.0, 0.0, 0.0
        return self._read_off(self.plant(period), period, it_mw)

    def _read_off(
        self, plant: TwinSite | DryPlant, period: int, it_mw: float
    ) -> tuple[float, float, float, float]:
        grid = self.it_grid_mw
        at = min(int(np.searchsorted(grid, it_mw, side="right")) - 1, len(grid) - 2)
        share = (it_mw - grid[at]) / (grid[at + 1] - grid[at])
        cooling, losses, heat, water = (
            float(t[period, at] + share * (t[period, at + 1] - t[period, at]))
            for t in (plant.cooling_mw, plant.losses_mw, plant.heat_mw, plant.water_m3_per_h)
        )
        return cooling, losses, heat, water if it_mw > 0.0 else 0.0

    def short_mw(self, period: int, it_mw: float) -> float:
        """Power that saving water costs now, MW; 0 where none is saved, or none would be used."""
        plant = self.plant(period)
        if plant is self or it_mw <= 0.0:
            return 0.0
        cooling, losses, _, _ = self._read_off(plant, period, it_mw)
        wet_cooling, wet_losses, _, _ = self._read_off(self, period, it_mw)
        return cooling + losses - wet_cooling - wet_losses


@dataclass(frozen=True, slots=True)
class Metered:
    """What was metered second by second within a period, as means over it.

    Discharge and charge include those of the uninterruptible supplies, and may both be above zero.

    Attributes:
        cooling_mw: cooling.
        losses_mw: electrical losses.
        auxiliary_mw: everything else.
        heat_mw: heat that could be handed to a network.
        water_m3_per_h: fresh water.
        charge_mw: into storage.
        discharge_mw: out of it.
        breach_micro_eur: what tenants are paid for flexibility beyond their contracts, in all.
        made_mw: output of each own generator, [G]; empty where none runs.
        dumped_mw: burnt in a load bank.
    """

    cooling_mw: float
    losses_mw: float
    auxiliary_mw: float
    heat_mw: float
    water_m3_per_h: float
    charge_mw: float
    discharge_mw: float
    breach_micro_eur: int
    made_mw: Array = field(default_factory=lambda: np.zeros(0))
    dumped_mw: float = 0.0


@dataclass(frozen=True, slots=True)
class SiteOrder:
    """What a site is told for a period.

    Attributes:
        charge_mw: battery charge wanted.
        discharge_mw: battery discharge wanted.
        contract_share: share of each contract's output taken, in the order of the run's contracts;
            nan for contracts of other sites.
        day_ahead_mw: position bought day-ahead.
        intraday_mw: bought after that, sold where negative.
        planned_it_mw: IT power the plan reserved.
        envelope_mw: IT power allowed (for the record).
        own_mw: output wanted of each own generator, [G]; empty without any.
        called: reserves sold, and what is called of them.
        metered: what was metered second by second; None where the meters are read once a period.
    """

    charge_mw: float
    discharge_mw: float
    contract_share: Array
    day_ahead_mw: float
    intraday_mw: float
    planned_it_mw: float
    envelope_mw: float
    own_mw: Array = field(default_factory=lambda: np.zeros(0))
    called: Called | None = None
    metered: Metered | None = None


@dataclass(frozen=True, slots=True)
class PoolPlace:
    """A pool in the twin: its kernel, where it stands, and its accelerators over time.

    Attributes:
        kernel: the pool.
        site: site number.
        installed: accelerators delivered, int64[P].
        usable: nodes energised and whole, int64[P].
        down: accelerators broken, int64[P].
        jobs: job numbers of the run, by job number in the pool, int32.
        asks: columns of facts about its jobs, by job number in the pool.
    """

    kernel: Pool
    site: int
    installed: Ints
    usable: Ints
    down: Ints
    jobs: npt.NDArray[np.int32]
    asks: dict[str, npt.NDArray[Any]]


def _own_count(site: TwinSite) -> int:
    return 0 if site.own is None else len(site.own.fleet)


class Twin:
    """The simulated factory.

    Args:
        pools: pools with their jobs loaded.
        sites: their plants.
        edges_ns: edges of the periods, [P+1].
        contract_mw: output of each contract, [contracts, P].
        contract_site: site of each.
        contract_guaranteed: whether guarantees of origin come with it.
        classes: how many of the kernel's groups are in use.
        home: pool of each job of the run; may be left out where every job is known to one alone.
        contract_firm: whether each contract is taken as it comes; none where left out.
    """

    def __init__(
        self,
        pools: list[PoolPlace],
        sites: list[TwinSite],
        edges_ns: Ints,
        contract_mw: Array,
        contract_site: tuple[int, ...],
        contract_guaranteed: tuple[bool, ...],
        classes: int,
        home: npt.NDArray[np.int8] | None = None,
        contract_firm: tuple[bool, ...] = (),
    ) -> None:
        if home is None:  # every job is known to one pool alone
            home = np.full(max(int(p.jobs.max(initial=-1)) for p in pools) + 1, -1, np.int8)
            for i, place in enumerate(pools):
                home[place.jobs] = i
        self.placement = Placement(pools, home)
        self.data_mb = np.zeros(len(sites), np.int64)
        self.pools, self.sites, self.edges_ns = pools, sites, edges_ns
        self.contract_mw, self.contract_site = contract_mw, contract_site
        self.contract_guaranteed, self.classes = contract_guaranteed, classes
        self.contract_firm = contract_firm or (False,) * len(contract_site)
        self.contract_carries = [(Carry(), Carry()) for _ in contract_site]
        self.generators = sum(len(s.own.number) for s in sites if s.own is not None)
        self._asked = [0] * len(pools)
        nodes = len(pools[0].kernel.spec.rules.parent)
        self._share_s = np.zeros((len(pools), nodes, len(SHARE_COLUMNS)), np.int64)
        self._share_rest = np.zeros_like(self._share_s)

    def meter(
        self,
        period: int,
        records: list[Records],
        orders: list[SiteOrder],
        contracts_mw: Array | None = None,
    ) -> tuple[Facts, Array]:
        """Close a period the pools have been advanced through, and read every meter.

        Args:
            period: its number.
            records: what happened to jobs, per pool.
            orders: what each site was told.
            contracts_mw: the last `CONTRACT_SENSES` senses of each site; where it is left out the
                limit is firm.

        Returns:
            The facts, and float64[sites, len(SENSES)].
        """
        readings = [place.kernel.read() for place in self.pools]
        self._take_shares(readings)
        groups = np.stack([self._group_row(r.groups) for r in readings])
        pools = np.array(
            [self._pool_row(p, r, period) for p, r in zip(self.pools, readings, strict=True)]
        )
        meter = np.zeros((len(self.sites), len(METERS)), np.int64)
        senses = np.zeros((len(self.sites), len(SENSES)))
        contracts = self._read_contracts(period, orders)
        generators = np.zeros((self.generators, len(GENERATOR_COLUMNS)), np.int64)
        for s, site in enumerate(self.sites):
            mine = [i for i, place in enumerate(self.pools) if place.site == s]
            idle_fine = sum(
                (readings[i].service_ns - int(groups[i, :, _USED_NS].sum()))
                * self.pools[i].kernel.spec.idle_power_mw
                for i in mine
            )
            service_ns = sum(readings[i].service_ns for i in mine)
            used_uwh = int(groups[mine, :, _USED_UWH].sum())
            it = (used_uwh, idle_fine, service_ns)
            values = self._read_site(site, period, orders[s], it, generators)
            values["guaranteed_wh"] = self._guaranteed_wh(s, contracts)
            values["data_mb"] = int(self.data_mb[s])
            shed_mw = self._shed_mw(groups[mine], orders[s].called, period)
            values |= self._read_reserves(site, orders[s].called, shed_mw, self._hours(period))
            meter[s] = [values.get(name, 0) for name in METERS]
            senses[s, :-CONTRACT_SENSES] = self._sense(s, period, orders[s])
            if contracts_mw is None:
                senses[s, -CONTRACT_SENSES] = site.limit_mw[period]
            else:
                senses[s, -CONTRACT_SENSES:] = contracts_mw[s]
        self.data_mb[:] = 0
        moves, asks = self._job_facts(records)
        return Facts(meter, contracts, groups, pools, moves, asks, generators), senses

    def _take_shares(self, readings: list[PoolReading]) -> None:
        """Add what the nodes of the quota trees held, in whole seconds, the remainder carried."""
        for p, reading in enumerate(readings):
            fine = reading.quotas + self._share_rest[p]
            whole = fine // NS_PER_S
            self._share_rest[p] = fine - whole * NS_PER_S
            self._share_s[p] += whole

    def read_shares(self) -> Ints:
        """What the nodes of the quota trees held since the last reading, int64[pools, nodes, 3]."""
        shares = self._share_s.copy()
        self._share_s[:] = 0
        return shares

    def read_fragments(self) -> Ints:
        """How what is free lies in every pool now, int64[pools, len(FRAGMENT_COLUMNS)]."""
        rows = []
        for place in self.pools:
            state, size = place.kernel.state, place.kernel.spec.node_size
            free = state.node["free"]
            empty = int((free == size).sum()) * size
            most = int(state.pod_free.max()) * size, int(state.rack["free"].max()) * size
            rows.append((int(free[free > 0].sum()), empty, *most))
        return np.array(rows, np.int64)

    def _group_row(self, r: GroupReading) -> Ints:
        columns = (
            r.used_ns, r.work_ns, r.slowed_ns, r.paused_ns, r.lost_ns, r.failed_ns,
            r.preempted_ns, r.restart_ns, r.used_uwh, r.energy_uwh, r.running,
        )  # fmt: skip
        return np.stack(columns, axis=1)[: self.classes]

    def _pool_row(self, place: PoolPlace, r: PoolReading, period: int) -> tuple[int, ...]:
        span = int(self.edges_ns[period + 1] - self.edges_ns[period])
        installed, down = int(place.installed[period]) * span, int(place.down[period]) * span
        down = min(down + r.broken_ns, installed - r.service_ns)
        waiting = installed - down - r.service_ns
        return installed, waiting, down, r.service_ns, r.held_ns, r.queued, r.queued_accelerators

    def _read_contracts(self, period: int, orders: list[SiteOrder]) -> Ints:
        """Wh taken and Wh curtailed of every power contract."""
        hours = self._hours(period)
        out = np.zeros((len(self.contract_site), 2), np.int64)
        for k, of in enumerate(self.contract_site):
            output_wh = float(self.contract_mw[k, period]) * hours * 1e6
            share = 1.0 if self.contract_firm[k] else float(orders[of].contract_share[k])
            taken, cut = self.contract_carries[k]
            out[k] = taken.take(output_wh * share), cut.take(output_wh * (1.0 - share))
        return out

    def _guaranteed_wh(self, s: int, contracts: Ints) -> int:
        return sum(
            int(contracts[k, 0])
            for k, of in enumerate(self.contract_site)
            if of == s and self.contract_guaranteed[k]
        )

    def _hours(self, period: int) -> float:
        return int(self.edges_ns[period + 1] - self.edges_ns[period]) / NS_PER_H

    def _read_site(
        self,
        site: TwinSite,
        period: int,
        order: SiteOrder,
        it: tuple[int, int, int],
        generators: Ints,
    ) -> dict[str, int]:
        """Meters of a site: IT by integration, the plant at that load, the battery after it.

        Args:
            site: the plant.
            period: its number.
            order: what the site was told.
            it: energy of active accelerators (micro-watt-hours), of resting ones (milliwatt-
                nanoseconds), and accelerator-nanoseconds in service.
            generators: takes what own generators did, [generators, columns].
        """
        used_uwh, idle_fine, service_ns = it
        hours = self._hours(period)
        wh = hours * 1e6
        idle_uwh, site.idle_rest = divmod(idle_fine + site.idle_rest, _MW_NS_PER_UWH)
        it_wh, site.it_rest_uwh = divmod(used_uwh + idle_uwh + site.it_rest_uwh, 1_000_000)
        it_mw = (used_uwh + idle_uwh) / 1e12 / hours
        done = order.metered or self._plant(site, period, it_mw, hours)
        load = it_mw + done.cooling_mw + done.losses_mw + done.auxiliary_mw
        wanted, walked = float(site.heat_demand_mw[period]), order.metered is not None
        # a pump of the site's own stands still while every second is walked
        beside = site.import_limit_mw(period) if walked else load
        reuse, work, pumped = self._heat(site, period, done.heat_mw, beside)
        if not walked:
            done = self._supply(site, period, order, hours, done, load + work)
        made = done.made_mw if len(done.made_mw) else np.zeros(_own_count(site))
        c = site.carries
        values = {
            "it_wh": it_wh,
            "cooling_wh": c["cooling"].take(done.cooling_mw * wh),
            "auxiliary_wh": c["auxiliary"].take(done.auxiliary_mw * wh),
            "losses_wh": c["losses"].take(done.losses_mw * wh),
            "charge_wh": c["charge"].take(done.charge_mw * wh),
            "heat_pump_wh": c["heat_pump"].take(work * wh),
        }
        discharge_wh = c["discharge"].take(done.discharge_mw * wh)
        values["dumped_wh"] = c["dumped"].take(done.dumped_mw * wh)
        rows = self._read_own(site, period, made, hours)
        net, discharge_wh = self._close(site, period, wh, values, discharge_wh, rows, walked)
        if site.own is not None:
            generators[list(site.own.number)] = rows
        site.limit_missed_wh += max(net - int(site.import_limit_mw(period) * wh) - 2, 0)
        water_ml = c["water"].take(done.water_m3_per_h * hours * 1e6)
        short = site.short_mw(period, it_mw)
        if site.guard is not None:
            site.guard.take(water_ml)
        return values | {
            "discharge_wh": discharge_wh,
            "generation_wh": int(rows[:, _MADE_WH].sum()),
            "import_wh": max(net, 0),
            "export_wh": max(-net, 0),
            "it_idle_uwh": idle_uwh,
            "network_wh": c["network"].take(service_ns / NS_PER_H * site.fabric_w),
            "heat_wh": c["heat"].take(reuse * wh),
            "heat_network_wh": c["heat_network"].take(pumped * wh),
            "heat_demand_wh": round(wanted * wh),
            "breach_micro_eur": done.breach_micro_eur,
            "water_ml": water_ml + int(rows[:, _WATER_ML].sum()),
            "water_short_s": round(hours * 3600) if short else 0,
            "water_short_wh": c["water_short"].take(short * wh),
            **self._read_market(site, period, order, wh),
        }

    @staticmethod
    def _read_market(site: TwinSite, period: int, order: SiteOrder, wh: float) -> dict[str, int]:
        """Positions held in a period, and prices and intensity there are."""
        c = site.carries
        intraday_wh = c["intraday"].take(order.intraday_mw * wh)
        return {
            "day_ahead_wh": c["day_ahead"].take(order.day_ahead_mw * wh),
            "intraday_wh": intraday_wh,
            "planned_it_wh": round(order.planned_it_mw * wh),
            "price_micro_eur": round(site.price_eur_per_mwh[period] * 1e6),
            "intraday_price_micro_eur": round(site.traded_eur_per_mwh(period, intraday_wh) * 1e6),
            "imbalance_price_micro_eur": round(site.short_eur_per_mwh[period] * 1e6),
            "imbalance_long_micro_eur": round(site.long_eur_per_mwh[period] * 1e6),
            "carbon_mg": round(site.carbon_kg_per_mwh[period] * 1e6),
        }

    @staticmethod
    def _heat(
        site: TwinSite, period: int, heat_mw: float, load_mw: float
    ) -> tuple[float, float, float]:
        """Heat handed over, electricity of a pump of the site's own, heat in the network, MW."""
        wanted = float(site.heat_demand_mw[period])
        if site.lift is None:
            taken = min(heat_mw, wanted)
            return taken, 0.0, taken
        room = site.import_limit_mw(period) - load_mw - METER_MW
        taken, work = site.lift.of(heat_mw, wanted, room)
        return taken, work if site.lift.inside else 0.0, taken + work

    @staticmethod
    def _made(site: TwinSite, period: int, load_mw: float, order: SiteOrder, hours: float) -> Array:
        """Mean output of each own generator: as ordered, more where the load asks for it.

        With a grid the battery defends the connection first, and generators give what it cannot. In
        an island generators carry the load, and the battery what they cannot.
        """
        own = site.own
        if own is None or own.reach is None:
            return np.zeros(0 if own is None else len(own.fleet))
        low, high = own.reach.low_mw, own.reach.high_mw
        weather = own.fleet.weather
        if site.islanded(period):
            made = np.where(weather, high, low)
            short = load_mw - float(made.sum())
        else:
            made = np.clip(order.own_mw, low, high)
            room = max(site.import_limit_mw(period) - METER_MW, 0.0)
            if site.battery is not None:
                room += limits(site.battery, site.soc_mwh, hours)[1]
            short = load_mw - room - float(made.sum())
        for k in own.merit if short > 0.0 else ():
            more = min(max(short, 0.0), float(high[k] - made[k]))
            made[k] += more
            short -= more
        return made

    @staticmethod
    def _trim(site: TwinSite, period: int, load_mw: float, made: Array) -> float:
        """Take back, in place, what nobody can take; MW that a load bank burns beyond that.

        The dearest generator gives way first, the weather last.
        """
        own = site.own
        if own is None or own.reach is None:
            return 0.0
        room = min(site.export_mw, max(float(site.limit_mw[period]), 0.0))
        over = float(made.sum()) - load_mw - room
        dearest = [k for k in own.merit[::-1] if not own.fleet.weather[k]]
        order = [*dearest, *np.flatnonzero(own.fleet.weather).tolist()]
        for k in order if over > 0.0 else ():
            less = min(max(over, 0.0), float(made[k] - own.reach.low_mw[k]))
            made[k] -= less
            over -= less
        return max(over, 0.0)

    @staticmethod
    def _read_own(site: TwinSite, period: int, made: Array, hours: float) -> Ints:
        """Meters of the own generators, int64[G, columns]."""
        if site.own is None:
            return np.zeros((0, len(GENERATOR_COLUMNS)), np.int64)
        return site.own.settle(made, period, hours)

    @staticmethod
    def _close(
        site: TwinSite,
        period: int,
        wh: float,
        values: dict[str, int],
        discharge_wh: int,
        rows: Ints,
        walked: bool,
    ) -> tuple[int, int]:
        """Let whole Wh balance: what rounding leaves may not cross a cable that may not carry it.

        Returns:
            Net import and the battery's discharge, Wh; `values` is changed in place.
        """
        c = site.carries
        allowed_wh = int(min(site.export_mw, max(float(site.limit_mw[period]), 0.0)) * wh)
        made_wh = int(rows[:, _MADE_WH].sum())
        excess = discharge_wh + made_wh - sum(values.values()) - allowed_wh
        # in an island it is burnt there and then: the battery has given it
        over_wh = 0 if site.islanded(period) else min(max(excess, 0), discharge_wh)
        # nor show what was held back as more than its power
        if site.battery is not None and not walked:
            most_wh = int(site.battery.power_mw * wh) - values["charge_wh"]
            over_wh = max(over_wh, discharge_wh - max(most_wh, 0))
        c["discharge"].rest += over_wh
        discharge_wh -= over_wh
        values["dumped_wh"] += max(excess - over_wh, 0)
        net = sum(values.values()) - discharge_wh - made_wh
        return net, discharge_wh

    @staticmethod
    def _plant(site: TwinSite, period: int, it_mw: float, hours: float) -> Metered:
        """The plant at the IT load of a whole period; storage and generators come after it."""
        powered = site.powered(period, it_mw, hours)
        cooling, losses, heat, water = site.overheads(period, it_mw, powered)
        auxiliary = site.auxiliary_mw if powered else 0.0
        return Metered(cooling, losses, auxiliary, heat, water, 0.0, 0.0, 0)

    def _supply(
        self,
        site: TwinSite,
        period: int,
        order: SiteOrder,
        hours: float,
        plant: Metered,
        load_mw: float,
    ) -> Metered:
        """The plant with what own generators, the battery and a load bank do at its load."""
        # an island makes a little too much and burns it, so that rounding asks no grid for anything
        asked = load_mw + (METER_MW if site.islanded(period) and load_mw > 0.0 else 0.0)
        made = self._made(site, period, asked, order, hours)
        done = self._battery(site, period, asked - float(made.sum()), order, hours)
        charge, discharge = done.charge_mw, done.discharge_mw
        dumped = self._trim(site, period, asked + charge - discharge, made)
        return replace(
            plant, charge_mw=charge, discharge_mw=discharge, made_mw=made, dumped_mw=dumped
        )

    def _sense(self, s: int, period: int, order: SiteOrder) -> tuple[float, ...]:
        """What the site's instruments show beside the meters, in the order of `SENSES`."""
        site = self.sites[s]
        available = sum(
            float(self.contract_mw[k, period]) for k, of in enumerate(self.contract_site) if of == s
        )
        return (
            site.price_eur_per_mwh[period],
            site.imbalance_eur_per_mwh[period],
            site.temperature_c[period],
            site.wet_bulb_c[period],
            site.import_limit_mw(period),
            site.soc_mwh,
            available,
            site.heat_demand_mw[period],
            order.envelope_mw,
        )

    @staticmethod
    def _battery(
        site: TwinSite, period: int, load_mw: float, order: SiteOrder, hours: float
    ) -> Delivered:
        """The battery as ordered and as its reserves are called, within the connection's limits."""
        battery = site.battery
        if battery is None:
            site.delivered = Delivered(0.0, 0.0, site.soc_mwh)
            return site.delivered
        limit = float(site.limit_mw[period])
        # never import above the limit, nor export above its own, nor over a cable that is dead,
        # late or half cut
        most = site.import_limit_mw(period) - load_mw - METER_MW
        cable = Cable(-load_mw - min(site.export_mw, max(limit, 0.0)), most)
        wish = order.charge_mw - order.discharge_mw
        called = order.called or NOTHING_CALLED
        site.delivered = deliver(battery, site.soc_mwh, wish, cable, called, hours)
        site.soc_mwh = site.delivered.soc_mwh
        return site.delivered

    def _shed_mw(self, groups: Ints, called: Called | None, period: int) -> float:
        """What slowed work drew less, MW of site power: metered hours at work times the drop.

        Args:
            groups: readings of the site's pools, [pools, classes, columns].
            called: with the drop of each.
            period: its number.
        """
        if called is None or called.drop_w is None:
            return 0.0
        at_work = groups[:, :, _USED_NS] / int(self.edges_ns[period + 1] - self.edges_ns[period])
        return float((at_work * called.drop_w).sum()) / 1e6

    @staticmethod
    def _read_reserves(
        site: TwinSite, called: Called | None, shed_mw: float, hours: float
    ) -> dict[str, int]:
        """Meters of the reserves, whole, and the prices they are paid at."""
        if called is None:
            return {}
        found = readings(called, site.delivered, shed_mw, hours)
        out = {name: site.carries[name].take(value) for name, value in found.items()}
        products = ("fcr", "afrr_up", "afrr_down")
        for name, price in zip(products, called.price_eur_per_mwh, strict=True):
            out[f"{name}_price_micro_eur"] = round(price * 1e6)
        for name, price in zip(products[1:], called.energy_eur_per_mwh, strict=True):
            out[f"{name}_energy_micro_eur"] = round(price * 1e6)
        return out

    def _job_facts(
        self, records: list[Records]
    ) -> tuple[dict[str, npt.NDArray[Any]], dict[str, npt.NDArray[Any]]]:
        """Moves and asks of the period, pools in order, with the run's job numbers."""
        reasons = [self._why(p, r) for p, r in zip(self.pools, records, strict=True)]
        decided = self.placement.drain()
        happened: dict[str, list[npt.NDArray[Any]]] = {
            "kind": [r.kind for r in records],
            "job": [p.jobs[r.job] for p, r in zip(self.pools, records, strict=True)],
            "t_ns": [r.t_ns for r in records],
            "energy_uwh": [r.energy1_uwh for r in records],
            "width": [r.width for r in records],
            "why": reasons,
            "lost_ns": [r.lost_ns for r in records],
            "pool": [np.full(len(r), i, np.int8) for i, r in enumerate(records)],
        }
        moves: dict[str, npt.NDArray[Any]] = {
            name: np.concatenate([decided[name], *parts]) for name, parts in happened.items()
        }
        parts: dict[str, list[npt.NDArray[Any]]] = {}
        for i, place in enumerate(self.pools):
            first, last = self._asked[i], int(place.kernel.state.v[0]["arrival"])
            self._asked[i] = last
            here = self.placement.home[place.jobs[first:last]] == i
            for name, column in place.asks.items():
                parts.setdefault(name, []).append(column[first:last][here])
        return moves, {name: np.concatenate(columns) for name, columns in parts.items()}

    @staticmethod
    def _why(place: PoolPlace, records: Records) -> npt.NDArray[np.int32]:
        """Reasons of moves, the job that made another one go by its number in the run."""
        preempted = records.kind == int(Kind.PREEMPT)
        why = np.where(preempted, -1, records.why)
        known = preempted & (records.why >= 0)
        why[known] = place.jobs[records.why[known]]
        return why.astype(np.int32)

    def waiting(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Jobs that wait now, by their numbers in the run, and what each waits for."""
        jobs: list[npt.NDArray[np.int32]] = []
        reasons: list[int] = []
        for place in self.pools:
            mine = place.kernel.waiting()
            jobs.append(place.jobs[mine])
            reasons += [why + 256 * node for why, node in map(place.kernel.why, mine.tolist())]
        going = self.placement.between()
        jobs.append(np.array(going, np.int32))
        reasons += [int(Why.AWAY)] * len(going)
        return np.concatenate(jobs), np.array(reasons, np.int32)

    def energy_uwh(self) -> Ints:
        """Energy integrals of every pool and group now, int64[pools, groups]."""
        return np.stack([p.kernel.state.group["energy"].astype(np.int64) for p in self.pools])

    def snapshot(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """The state as arrays of plain numbers and plain fields."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        for i, place in enumerate(self.pools):
            for name, array in place.kernel.snapshot().items():
                arrays[f"pool{i}.{name}"] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        arrays["share_s"], arrays["share_rest"] = self._share_s, self._share_rest
        fields: dict[str, Any] = {
            "asked": self._asked,
            "sites": [
                {
                    "soc": s.soc_mwh,
                    "it_rest": s.it_rest_uwh,
                    "idle_rest": s.idle_rest,
                    "missed": s.limit_missed_wh,
                    "carries": {n: c.rest for n, c in s.carries.items()},
                    "water": [s.guard.used_ml, s.guard.span] if s.guard else None,
                    "own": s.own.snapshot() if s.own is not None else None,
                }
                for s in self.sites
            ],
            "contracts": [[a.rest, b.rest] for a, b in self.contract_carries],
        }
        homes, fields["placement"] = self.placement.snapshot()
        arrays |= homes
        return arrays, fields

    def restore(self, arrays: Any, fields: Any) -> None:
        """Put back what `snapshot` gave."""
        for i, place in enumerate(self.pools):
            for name, array in place.kernel.snapshot().items():
                array.reshape(-1).view(np.uint8)[...] = arrays[f"pool{i}.{name}"]
        self._share_s[...] = arrays["share_s"]
        self._share_rest[...] = arrays["share_rest"]
        self._asked = list(fields["asked"])
        self.placement.restore(arrays, fields["placement"])
        for site, saved in zip(self.sites, fields["sites"], strict=True):
            site.soc_mwh, site.it_rest_uwh = saved["soc"], saved["it_rest"]
            site.idle_rest, site.limit_missed_wh = saved["idle_rest"], saved["missed"]
            for name, rest in saved["carries"].items():
                site.carries[name].rest = rest
            if site.guard is not None:
                site.guard.used_ml, site.guard.span = map(list, saved["water"])
            if site.own is not None:
                site.own.restore(saved["own"])
        for (a, b), (x, y) in zip(self.contract_carries, fields["contracts"], strict=True):
            a.rest, b.rest = x, y
