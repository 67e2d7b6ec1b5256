"""Wiring: a checked factory, a calendar, signals and jobs become a world the loop can turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gigafactory.adapters.site import TwinSite
from gigafactory.adapters.twin import PoolPlace, Twin
from gigafactory.factory.models import Factory, Outside, Site
from gigafactory.factory.models import Pool as FleetPool
from gigafactory.factory.rights import quota_tree, verdicts_through
from gigafactory.factory.scenario import Scenario
from gigafactory.factory.timeline import (
    GridOutage,
    Timeline,
    compile_timeline,
    connection_limit_mw,
    grid_outages,
)
from gigafactory.grid import MarketCalendar, Signals
from gigafactory.grid.ppa import Ppa
from gigafactory.grid.series import Series
from gigafactory.jobs import JobClass, JobTable
from gigafactory.kernel import FULL_SPEED, Pool, PoolSpec, Rules
from gigafactory.ledger import Header
from gigafactory.planner import EnergyPlanner, GroupShape, Responder, SiteShape
from gigafactory.planner.gate import Gate
from gigafactory.planner.poolplan import CLASSES as CLASSES
from gigafactory.planner.poolplan import (
    checkpoint_intervals,
    floor_steps,
    pod_nodes_of,
    power_table,
    rack_nodes_of,
    slowest,
    span_rate_of,
    victims_of,
)
from gigafactory.plant import Chip
from gigafactory.plant.battery import Battery
from gigafactory.plant.power import curve_for
from gigafactory.plant.thermal import CoolingDesign, Electrical, overhead, wet_bulb_c
from gigafactory.policy import Reason
from gigafactory.runtime.islanding import Policy, policy_of
from gigafactory.runtime.limits import Limits, limits_of
from gigafactory.runtime.power import contract_terms
from gigafactory.runtime.reservewires import ReserveWires, reserve_wires, settle_imbalance
from gigafactory.runtime.rights import rules_of, urgent_of
from gigafactory.runtime.supply import OwnWires, header_fields, market_count, own_of
from gigafactory.runtime.thermal import design_mw_of, design_of, lift_of, sea_c, water_guard
from gigafactory.runtime.transport import Transport, transport_of
from gigafactory.runtime.workload import Judged, Routed, judge_jobs, route
from gigafactory.units import NS_PER_S

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Form of a contract that no weather drives.
BASELOAD = "baseload"
REALTIME = int(JobClass.INFERENCE_REALTIME)
#: Loads at which the plant's physics is tabulated, from none to full.
GRID_POINTS = 13
#: Market periods from one plan to the next, by the cadence a factory file asks for; 0 for a day.
REPLAN_EVERY = {"daily": 0, "hourly": 4, "15 min": 1}
#: Hours of a day at the gate, and of the tail planned behind it.
GATE_DAY, GATE_TAIL = 24, 12
#: Weather a plan assumes for the slope of site power in IT power: means of De Bilt, 2018 to 2025.
MEAN_TEMPERATURE_C, MEAN_WET_BULB_C = 11.5, 9.1
#: Weather in which a connection must still carry the nodes put in service; our assumption, about
#: the hottest hours of an ordinary Dutch summer. What comes hotter is met by throttling.
DESIGN_TEMPERATURE_C, DESIGN_WET_BULB_C = 30.0, 21.0


@dataclass(frozen=True, slots=True)
class SiteWires:
    """What the loop needs of a site beside the twin.

    Attributes:
        name: of the site.
        pools: pool numbers.
        planner: its energy LP.
        gate: makes its offers for the next day.
        design: cooling plant.
        electrical: power chain.
        base_limit_mw: contractual import limit per period, events apart, [P].
        rest_w: watts an accelerator in service draws at rest, fabric included, per pool.
        export_mw: export right.
        halls_mw: IT power allowed per hall number and period, [P]; halls never short are left out.
        transport: contracts of the connection; None where it has only its firm limit.
        signals: prices and weather as they are there.
        heat_peak_mw: yearly peak of what its heat network takes; 0 without one.
        heat_mw_max: most that is delivered to it.
        own: what a plan must know of own generators, or none.
        outages: outages of the grid in the run.
        reserves: what is needed to sell balancing reserves; none where nothing is sold.
    """

    name: str
    pools: tuple[int, ...]
    planner: EnergyPlanner
    gate: Gate
    design: CoolingDesign
    electrical: Electrical
    base_limit_mw: Array
    rest_w: tuple[float, ...]
    export_mw: float
    halls_mw: dict[int, Array]
    signals: Signals
    transport: Transport | None = None
    heat_peak_mw: float = 0.0
    heat_mw_max: float = 0.0
    own: OwnWires | None = None
    outages: tuple[GridOutage, ...] = ()
    reserves: ReserveWires | None = None

    @property
    def reserves_metered(self) -> dict[str, Array]:
        """Capacity prices by name, for what is known of them at an instant."""
        return self.reserves.metered if self.reserves is not None else {}

    @property
    def reserve_shape(self) -> SiteShape:
        """The site with its reserves in it."""
        return self.reserves.shape if self.reserves is not None else self.planner.shape


@dataclass(frozen=True, slots=True)
class World:
    """A factory ready to run.

    Attributes:
        twin: the simulated factory.
        header: what the book must know.
        sites: wires per site.
        responder: turns envelopes into speeds and budgets.
        power_mw: per pool, int64[classes, FULL_SPEED + 1], milliwatts by speed step.
        overhead_ppm: per class, checkpointing share of run time.
        contract_kind: signal that drives each power contract; "baseload" where none does.
        contract_cap_mw: capacity in force per contract and period, [contracts, P].
        pool_hall: hall of each pool, a number at its site.
        limits: what may close projects and change shares.
        reasons: why jobs are refused at the door.
        reason_of: the reason of each of them, an index into `reasons`, in order of job number.
        class_share: share of a pool's largest IT power that a class may draw, [P, sites, classes];
            None where no class has a limit.
        islanding: what holds in outages of the grid.
        replan_every: market periods from one plan to the next; 0 for one a day.
    """

    twin: Twin
    header: Header
    sites: tuple[SiteWires, ...]
    responder: Responder
    power_mw: tuple[Ints, ...]
    checkpoint_ns: Ints
    contract_kind: tuple[str, ...]
    contract_cap_mw: Array
    limits: Limits
    reasons: tuple[Reason, ...]
    reason_of: tuple[int, ...]
    pool_hall: tuple[int, ...] = ()
    class_share: Array | None = None
    islanding: Policy | None = None
    replan_every: int = 0


def build(
    factory: Factory,
    scenario: Scenario | None,
    calendar: MarketCalendar,
    signals: Signals,
    table: JobTable,
    catalogue: Mapping[str, Chip],
    source: str,
    seed: int = 0,
) -> World:
    """Wire a world.

    Args:
        factory: checked, the scenario's changes in it.
        scenario: its events hold.
        calendar: market periods of the run.
        signals: what the outside does.
        table: what is asked.
        catalogue: accelerators.
        source: where the jobs come from, for problems.
        seed: of the run; failures are drawn by it.
    """
    line = compile_timeline(factory, calendar.start_ns, scenario, catalogue)
    days = calendar.local_dates
    through = verdicts_through(factory, catalogue, days[0], days[-1])
    judged = judge_jobs(table, factory, catalogue, calendar, through)
    table = replace(table, priority=judged.priority)
    limits = limits_of(factory, catalogue, calendar, table, judged.refused, through)
    routed, home = route(table, factory, catalogue, source, judged)
    names, powers = list(factory.sites), _powers(factory, catalogue)
    pools = _pools(factory, catalogue, calendar, line, table, routed, powers, seed, limits.lost[0])
    dark, (ppas, kinds) = grid_outages(factory, scenario, calendar.start_ns), _ppas(factory)
    caps, factor = _contracts(ppas, kinds, calendar, signals)
    sites, wires = list[TwinSite](), list[SiteWires]()
    for name, site in factory.sites.items():
        mine = tuple(i for i, p in enumerate(factory.fleet) if p.site == name)
        seen = seen_from(signals, site.outside)
        held = transport_of(name, site, calendar, scenario, seed)
        plant, wire = _site(factory, name, site, mine, catalogue, calendar, seen, line, dark, held)
        sites, wires = [*sites, plant], [*wires, _trading(factory, wire, plant, calendar, seed)]
        _energise(factory, pools, mine, plant, wire, powers)
    twin = Twin(
        pools,
        sites,
        calendar.start_ns,
        caps * factor,
        tuple(names.index(p.site) for p in factory.energy.ppas),
        tuple(p.guarantees_of_origin for p in ppas),
        len(CLASSES),
        home,
        tuple(k == BASELOAD for k in kinds),
    )
    ppm, checkpoint_ns = _checkpoints(factory)
    return World(
        twin=twin,
        header=_header(factory, catalogue, calendar, table, names, ppm, judged, limits, dark),
        limits=limits,
        reasons=judged.reasons,
        reason_of=judged.reason,
        sites=tuple(wires),
        responder=_responder(factory, catalogue),
        power_mw=tuple(powers),
        checkpoint_ns=checkpoint_ns,
        contract_kind=kinds,
        contract_cap_mw=caps,
        pool_hall=tuple(list(factory.sites[p.site].halls).index(p.hall) for p in factory.fleet),
        class_share=_class_share(line, names, calendar.periods),
        islanding=policy_of(factory, tuple(w.planner.shape.site_per_it for w in wires)),
        replan_every=REPLAN_EVERY[factory.energy.cadence],
    )


def _pools(
    factory: Factory,
    catalogue: Mapping[str, Chip],
    calendar: MarketCalendar,
    line: Timeline,
    table: JobTable,
    routed: list[Routed],
    powers: list[Ints],
    seed: int,
    without: frozenset[str],
) -> list[PoolPlace]:
    """Every pool with its scheduler and the jobs it knows."""
    names = list(factory.sites)
    near = urgent_of(factory, table)
    pools = []
    for i, (pool, mine) in enumerate(zip(factory.fleet, routed, strict=True)):
        chip = catalogue[pool.chip]
        rules = rules_of(factory, i, catalogue, calendar, table, seed, without)
        kernel = _kernel(factory, calendar, table, chip, mine, i, powers[i], rules, near)
        installed, down = line.installed[pool.name], line.down[pool.name]
        usable = (installed - down) // chip.node_size
        at = names.index(pool.site)
        pools.append(PoolPlace(kernel, at, installed, usable, down, mine.jobs, mine.asks))
    return pools


def _ppas(factory: Factory) -> tuple[list[Ppa], tuple[str, ...]]:
    """The power contracts, and the signal that drives each."""
    ppas = [
        Ppa(p.name, p.technology, p.capacity_mw, p.price_eur_per_mwh, p.from_, p.until,
            p.commissioned, p.guarantees_of_origin and p.guarantees == "kept", p.form,
            p.curtail_eur_per_mwh)
        for p in factory.energy.ppas
    ]  # fmt: skip
    winds = {"offshore_wind": "wind_offshore", "onshore_wind": "wind_onshore"}
    return ppas, tuple(
        BASELOAD if p.kind == BASELOAD else winds.get(p.technology, p.technology) for p in ppas
    )


def _contracts(
    ppas: list[Ppa], kinds: tuple[str, ...], calendar: MarketCalendar, signals: Signals
) -> tuple[Array, Array]:
    """Capacity in force of each power contract, and how much of it the weather lets it give."""
    whole = np.ones(calendar.periods)
    caps = np.array([p.available_mw(calendar, whole) for p in ppas]).reshape(-1, calendar.periods)
    factor = [whole if k == BASELOAD else getattr(signals, k).values for k in kinds]
    return caps, np.array(factor).reshape(caps.shape)


def _powers(factory: Factory, catalogue: Mapping[str, Chip]) -> list[Ints]:
    """The power table of every pool."""
    fabric_w = {name: site.network.watt_per_accelerator_w for name, site in factory.sites.items()}
    return [power_table(catalogue[p.chip], fabric_w[p.site]) for p in factory.fleet]


def _kernel(
    factory: Factory,
    calendar: MarketCalendar,
    table: JobTable,
    chip: Chip,
    mine: Routed,
    pool: int,
    power_mw: Ints,
    rules: Rules,
    urgent_ns: Ints,
) -> Pool:
    """The scheduler of a pool with all jobs that will come to it."""
    spec = factory.fleet[pool]
    fabric_w = factory.sites[spec.site].network.watt_per_accelerator_w
    jobs = mine.jobs
    kernel = Pool(
        PoolSpec(
            nodes=spec.accelerators // chip.node_size,
            node_size=chip.node_size,
            idle_power_mw=round((chip.idle_w + fabric_w) * 1000),
            depth=factory.policy.backfill_depth,
            victims=victims_of(factory),
            rack_nodes=rack_nodes_of(factory, pool, chip.node_size),
            pod_nodes=pod_nodes_of(factory, pool, chip.node_size),
            span_rate=span_rate_of(factory),
            rules=rules,
        ),
        origin_ns=calendar.begin_ns,
        end_ns=calendar.end_ns,
        submit_ns=table.submit_ns[jobs],
        need_ns=table.work_ns[jobs],
        walltime_ns=table.walltime_ns[jobs],
        accelerators=table.accelerators[jobs],
        priority=table.priority[jobs],
        group=table.job_class[jobs],
        tenant=table.tenant[jobs],
        accelerators_min=table.accelerators_min[jobs],
        level=table.level[jobs],
        urgent_ns=urgent_ns[jobs],
        away=mine.away,
    )
    kernel.set_groups(
        np.full(8, FULL_SPEED, np.int64),
        np.concatenate([power_mw[:, -1], np.zeros(3, np.int64)]),
    )
    return kernel


def _site(
    factory: Factory,
    name: str,
    site: Site,
    pools: tuple[int, ...],
    catalogue: Mapping[str, Chip],
    calendar: MarketCalendar,
    signals: Signals,
    line: Timeline,
    dark: tuple[GridOutage, ...],
    held: Transport | None,
) -> tuple[TwinSite, SiteWires]:
    fleet = [factory.fleet[i] for i in pools]
    design_mw = design_mw_of(factory, name, catalogue)
    design, electrical = design_of(site, design_mw)
    grid = np.linspace(0.0, design_mw, GRID_POINTS)
    dark = tuple(one for one in dark if one.site == name)
    air = signals.temperature.values + line.temperature_add_k[name]
    damp = wet_bulb_c(air, _same_moisture(signals.humidity.values, signals.temperature.values, air))
    sea = None if (warm := sea_c(site, calendar)) is None else warm[:, None]
    over = overhead(design, electrical, grid[None, :], air[:, None], damp[:, None], sea)
    guard, dry = water_guard(site, calendar, design, electrical, over, (air, damp), grid)
    battery = _battery(factory, name)
    own = own_of(factory, name, calendar, signals)
    twin = TwinSite(
        it_grid_mw=grid,
        cooling_mw=over.cooling_mw,
        losses_mw=over.losses_mw,
        water_m3_per_h=over.water_m3_per_h,
        heat_mw=over.heat_rejected_mw,
        auxiliary_mw=site.auxiliary_mw,
        heat_demand_mw=_heat_demand(site, signals),
        limit_mw=line.connection_limit_mw[name],
        rights_mw=held.room_mw if held is not None else np.zeros(0),
        export_mw=site.connection.export_mw,
        fabric_w=site.network.watt_per_accelerator_w,
        battery=battery,
        soc_mwh=(battery.soc_min_mwh + battery.soc_max_mwh) / 2 if battery else 0.0,
        price_eur_per_mwh=line.price_adjust(signals.price.values),
        imbalance_eur_per_mwh=signals.imbalance.values,
        temperature_c=air,
        wet_bulb_c=damp,
        carbon_kg_per_mwh=signals.carbon.values,
        intraday_spread_eur_per_mwh=factory.energy.market.intraday_spread_eur_per_mwh,
        lift=lift_of(site),
        guard=guard,
        dry=dry,
        own=own[0] if own else None,
        outage=_outage(dark, calendar.periods),
    )
    shape = _shape(factory, fleet, catalogue, design, electrical, battery, name)
    wire = SiteWires(
        name=name,
        pools=pools,
        planner=EnergyPlanner(_billed(shape, site)),
        gate=Gate(shape, GATE_DAY, GATE_TAIL, 1.0),
        design=design,
        electrical=electrical,
        base_limit_mw=connection_limit_mw(name, site, None, calendar.start_ns),
        rest_w=tuple(catalogue[p.chip].idle_w + site.network.watt_per_accelerator_w for p in fleet),
        export_mw=site.connection.export_mw,
        halls_mw=_short_halls(name, site, line),
        signals=signals,
        heat_peak_mw=site.heat.peak_demand_mw if site.heat else 0.0,
        heat_mw_max=site.heat.power_mw_max if site.heat else 0.0,
        own=own[1] if own else None,
        outages=dark,
        transport=held,
    )
    return twin, wire


def _billed(shape: SiteShape, site: Site) -> SiteShape:
    """A site whose monthly peak costs money, where its tariff is charged."""
    tariff = site.connection.tariff
    return replace(shape, peaks=tariff is not None and tariff.charged)


def _heat_demand(site: Site, signals: Signals) -> Array:
    """What a heat network takes at most, per period; 0 without one."""
    if site.heat is None:
        return np.zeros(len(signals))
    wanted = site.heat.peak_demand_mw * signals.heat_demand.values
    return np.asarray(np.minimum(wanted, site.heat.power_mw_max))


def _short_halls(name: str, site: Site, line: Timeline) -> dict[int, Array]:
    """IT power allowed in the halls of a site that are ever short, by number."""
    return {
        h: line.hall_limit_mw[name, hall]
        for h, hall in enumerate(site.halls)
        if (name, hall) in line.hall_limit_mw
    }


def _outage(outages: tuple[GridOutage, ...], periods: int) -> npt.NDArray[np.bool_] | None:
    """Periods without a grid, bool[P]; None when there is none."""
    if not outages:
        return None
    dark = np.zeros(periods, np.bool_)
    for one in outages:
        dark[one.first : one.last] = True
    return dark


def _trading(
    factory: Factory, wire: SiteWires, plant: TwinSite, calendar: MarketCalendar, seed: int
) -> SiteWires:
    """The wires of a site with what it takes to sell reserves, its imbalance prices set."""
    settle_imbalance(factory, plant, calendar, seed)
    shape = wire.planner.shape
    return replace(wire, reserves=reserve_wires(factory, wire.name, shape, plant, calendar, seed))


def seen_from(signals: Signals, outside: Outside | None) -> Signals:
    """The signals of the first site as they are at another one, by what its file says of it."""
    if outside is None:
        return signals
    times, add = outside.price_times, outside.price_add_eur_per_mwh

    def changed(series: Series, values: Array) -> Series:
        note = "; ".join(filter(None, [series.note, "changed by what the site's file says"]))
        return replace(series, values=values, note=note)

    return replace(
        signals,
        price=changed(signals.price, signals.price.values * times + add),
        imbalance=changed(signals.imbalance, signals.imbalance.values * times + add),
        carbon=changed(signals.carbon, signals.carbon.values * outside.carbon_times),
        temperature=changed(
            signals.temperature, signals.temperature.values + outside.temperature_add_k
        ),
    )


def _same_moisture(humidity_pct: Array, before_c: Array, after_c: Array) -> Array:
    """Relative humidity after air is warmed or cooled with the water in it kept, percent.

    By the Magnus formula (Alduchov and Eskridge 1996), valid from -40 to 50 degC.
    """

    def log_saturation(c: Array) -> Array:
        return 17.625 * c / (243.04 + c)

    factor = np.exp(log_saturation(before_c) - log_saturation(after_c))
    return np.asarray(np.clip(humidity_pct * factor, 0.0, 100.0))


def _battery(factory: Factory, site: str) -> Battery | None:
    """The batteries of a site as one: powers and energies add, efficiencies weigh by energy."""
    mine = [b for b in factory.energy.batteries if b.site == site]
    if not mine:
        return None
    energy = sum(b.energy_mwh for b in mine)

    def mean(values: list[float]) -> float:
        return sum(v * b.energy_mwh for v, b in zip(values, mine, strict=True)) / energy

    return Battery(
        power_mw=sum(b.power_mw for b in mine),
        energy_mwh=energy,
        charge_efficiency=mean([b.efficiency_charge for b in mine]),
        discharge_efficiency=mean([b.efficiency_discharge for b in mine]),
        soc_min_mwh=sum(b.soc_min * b.energy_mwh for b in mine),
        soc_max_mwh=sum(b.soc_max * b.energy_mwh for b in mine),
        wear_eur_per_mwh=mean([b.wear_eur_per_mwh for b in mine]),
    )


def _shape(
    factory: Factory,
    fleet: list[FleetPool],
    catalogue: Mapping[str, Chip],
    design: CoolingDesign,
    electrical: Electrical,
    battery: Battery | None,
    site: str,
) -> SiteShape:
    delays = {str(k): v for k, v in factory.policy.delay_cost_eur_per_gpu_h.items()}
    groups = []
    for label in CLASSES:
        able = [p for p in fleet if catalogue[p.chip].can(label)] or fleet
        curves = [curve_for(p.chip, label) for p in able]
        # a plan never slows down what answers people; only the responder may, last of all
        low = 1.0 if label == CLASSES[REALTIME] else slowest(factory, label, curves)
        speeds = (low, (1.0 + low) / 2, 1.0) if low < 0.999 else (0.999, 1.0)
        watts = [0.0] * len(speeds)
        for pool, curve in zip(able, curves, strict=True):
            chip = catalogue[pool.chip]
            span = chip.work_w.get(label, chip.idle_w) - chip.idle_w
            share = pool.accelerators / sum(p.accelerators for p in able)
            for k, speed in enumerate(speeds):
                watts[k] += share * span * float(curve.dynamic_at(speed))
        delay = delays.get(label, 1.0)
        groups.append(GroupShape(label, speeds, tuple(watts), delay))
    ends = overhead(
        design,
        electrical,
        np.array([0.0, design.it_design_mw]),
        MEAN_TEMPERATURE_C,
        MEAN_WET_BULB_C,
    ).overhead_mw
    ppas = factory.energy.ppas
    market = factory.energy.market
    return SiteShape(
        groups=tuple(groups),
        battery_mw=battery.power_mw if battery else 0.0,
        battery_mwh=battery.soc_max_mwh - battery.soc_min_mwh if battery else 0.0,
        charge_efficiency=battery.charge_efficiency if battery else 1.0,
        discharge_efficiency=battery.discharge_efficiency if battery else 1.0,
        wear_eur_per_mwh=battery.wear_eur_per_mwh if battery else 0.0,
        contracts=sum(p.site == site for p in ppas),
        contract_price_eur_per_mwh=tuple(p.price_eur_per_mwh for p in ppas if p.site == site),
        contract_curtail_eur_per_mwh=tuple(p.curtail_eur_per_mwh for p in ppas if p.site == site),
        levy_eur_per_mwh=market.supply_margin_eur_per_mwh + market.energy_tax_eur_per_mwh,
        export_margin_eur_per_mwh=market.export_margin_eur_per_mwh,
        site_per_it=1.0 + float(ends[1] - ends[0]) / design.it_design_mw,
        contract_firm=tuple(p.form == BASELOAD for p in ppas if p.site == site),
        generators=market_count(factory, site),
    )


def _energise(
    factory: Factory,
    pools: list[PoolPlace],
    mine: tuple[int, ...],
    plant: TwinSite,
    wire: SiteWires,
    powers: list[Ints],
) -> None:
    """Nodes that await power: what the connection's phase cannot carry at full work.

    A connection that carries all (or `oversubscription` times what it carries) leaves nothing
    waiting; short cuts are met by throttling and pausing, not by leaving racks dark. Decided on
    design weather, since nobody knows the run's hottest hour when it begins.
    """
    over = factory.policy.oversubscription
    full_mw = sum(pools[i].installed * (float(powers[i][:, -1].max()) / 1e9) for i in mine)
    hot = overhead(
        wire.design, wire.electrical, plant.it_grid_mw, DESIGN_TEMPERATURE_C, DESIGN_WET_BULB_C,
        _warmest_sea_c(factory.sites[wire.name], wire.design),
    )  # fmt: skip
    load = plant.it_grid_mw + hot.overhead_mw
    room = np.interp(wire.base_limit_mw - plant.auxiliary_mw, load, plant.it_grid_mw)
    room = np.where(wire.base_limit_mw >= load[-1] + plant.auxiliary_mw, np.inf, room)
    share = np.clip(room * over / np.maximum(full_mw, 1e-9), 0.0, 1.0)
    share[wire.base_limit_mw <= plant.auxiliary_mw] = 0.0
    for i in mine:
        place = pools[i]
        place.usable[:] = np.minimum(
            place.usable,
            np.floor(place.installed / place.kernel.spec.node_size * share + 1e-9).astype(np.int64),
        )


def _warmest_sea_c(site: Site, design: CoolingDesign) -> float:
    water = site.cooling.surface_water
    return design.sea_c if water is None else water.mean_c + water.swing_k


def _class_share(line: Timeline, names: list[str], periods: int) -> Array | None:
    """Shares of power that classes may draw, [P, sites, classes]; None when none has a limit."""
    if not line.class_share:
        return None
    share = np.ones((periods, len(names), len(CLASSES)))
    for (site, label), values in line.class_share.items():
        share[:, names.index(site), CLASSES.index(label)] = values
    return share


def _checkpoints(factory: Factory) -> tuple[tuple[int, ...], Ints]:
    """Per class, millionths of run time spent saving, and the interval in nanoseconds."""
    savings = {str(k): v for k, v in factory.policy.checkpoint.items()}
    some = [savings.get(label) for label in CLASSES]
    ppm = tuple(round(1e6 * one.cost_s / one.interval_s) if one else 0 for one in some)
    return ppm, checkpoint_intervals(factory)


def _responder(factory: Factory, catalogue: Mapping[str, Chip]) -> Responder:
    return Responder(
        FULL_SPEED, victims_of(factory), floor_steps(factory, catalogue, factory.fleet)
    )


def _header(
    factory: Factory,
    catalogue: Mapping[str, Chip],
    calendar: MarketCalendar,
    table: JobTable,
    names: list[str],
    overhead_ppm: tuple[int, ...],
    judged: Judged,
    limits: Limits,
    dark: tuple[GridOutage, ...],
) -> Header:
    def micro(value: float) -> int:
        return round(value * 1e6)

    batteries = [_battery(factory, name) for name in names]
    market = factory.energy.market
    levy = market.supply_margin_eur_per_mwh + market.energy_tax_eur_per_mwh
    sites = factory.sites.values()
    step = calendar.period_s * NS_PER_S
    ppas = factory.energy.ppas
    return Header(
        sites=tuple(names),
        pools=tuple(p.name for p in factory.fleet),
        pool_site=tuple(names.index(p.site) for p in factory.fleet),
        classes=CLASSES,
        contracts=tuple(p.name for p in ppas),
        contract_site=tuple(names.index(p.site) for p in ppas),
        contract_price=tuple(micro(p.price_eur_per_mwh) for p in ppas),
        contract_curtail=tuple(micro(p.curtail_eur_per_mwh) for p in ppas),
        contract_guaranteed=tuple(p.guarantees_of_origin and p.guarantees == "kept" for p in ppas),
        levy=micro(levy),
        export_margin=micro(market.export_margin_eur_per_mwh),
        wear=tuple(micro(b.wear_eur_per_mwh) if b else 0 for b in batteries),
        water_price=tuple(micro(s.water.price_eur_per_m3) for s in sites),
        data_price=tuple(micro(s.transfer.price_eur_per_tb) for s in sites),
        heat_price=tuple(micro(s.heat.price_eur_per_mwh) if s.heat else 0 for s in sites),
        overhead_ppm=overhead_ppm,
        jobs=len(table),
        tenants=table.tenants,
        edges_ns=(calendar.begin_ns, calendar.end_ns, step),
        node_size=tuple(catalogue[p.chip].node_size for p in factory.fleet),
        rules=tuple(dict.fromkeys((*judged.rules, *limits.rules))),
        refused=tuple(np.flatnonzero(judged.refused >= 0).tolist()),
        refused_by=tuple(judged.refused[judged.refused >= 0].tolist()),
        shares=quota_tree(factory, factory.fleet[0], catalogue, table.tenants).names,
        **contract_terms(ppas),
        heat_pump_own=tuple(bool(lift and lift.inside) for lift in map(lift_of, sites)),
        **header_fields(factory, names),
        outage_site=tuple(names.index(one.site) for one in dark),
        outage_first=tuple(one.first for one in dark),
        outage_last=tuple(one.last for one in dark),
    )
