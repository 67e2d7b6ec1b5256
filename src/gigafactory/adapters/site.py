"""A site of the twin: its plant, what it is told for a period, and the reading of its meters.

Cooling, losses and water follow the plant's formulas at the IT load that was metered (tabulated per
period on a grid of loads and read off in between; site power is convex, so reading a chord never
understates it). The battery comes after the load is known, so that it defends the connection limit.
Meter readings are whole units; what quantising leaves is carried.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from gigafactory.adapters.ownplant import OwnPlant
from gigafactory.adapters.reserves import CARRIED as RESERVES_CARRIED
from gigafactory.adapters.reserves import Cable, Called, Delivered, deliver, readings
from gigafactory.ledger import GENERATOR_COLUMNS, Carry
from gigafactory.plant.battery import Battery, limits
from gigafactory.plant.rationing import WaterGuard
from gigafactory.units import NS_PER_H

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Kept below a connection limit: meters count whole units and carry what is left to the next
#: reading, which must not lift a reading above the limit by a few watt-hours.
METER_MW = 1e-4
#: What rounding of the meters may leave unbalanced in an island, Wh.
ISLAND_WH = 5
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
        at = min(int(grid.searchsorted(it_mw, "right")) - 1, len(grid) - 2)
        both = slice(at, at + 2)
        below, above = grid[both].tolist()
        share = (it_mw - below) / (above - below)
        cooling, losses, heat, water = (
            low + share * (high - low)
            for low, high in (
                t[period, both].tolist()
                for t in (plant.cooling_mw, plant.losses_mw, plant.heat_mw, plant.water_m3_per_h)
            )
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
        reserves: what became of the reserves sold, measured by the second; none where none are
            settled.
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
    reserves: Delivered | None = None


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


def _own_count(site: TwinSite) -> int:
    return 0 if site.own is None else len(site.own.fleet)


def read_site(
    site: TwinSite,
    period: int,
    order: SiteOrder,
    it: tuple[int, int, int],
    hours: float,
    generators: Ints,
) -> dict[str, int]:
    """Meters of a site: IT by integration, the plant at that load, the battery after it.

    Args:
        site: the plant.
        period: its number.
        order: what the site was told.
        it: energy of active accelerators (micro-watt-hours), of resting ones (milliwatt-
            nanoseconds), and accelerator-nanoseconds in service.
        hours: length of the period.
        generators: takes what own generators did, [generators, columns].
    """
    (used_uwh, idle_fine, service_ns), wh = it, hours * 1e6
    idle_uwh, site.idle_rest = divmod(idle_fine + site.idle_rest, _MW_NS_PER_UWH)
    it_wh, site.it_rest_uwh = divmod(used_uwh + idle_uwh + site.it_rest_uwh, 1_000_000)
    it_mw = (used_uwh + idle_uwh) / 1e12 / hours
    done = order.metered or _plant(site, period, it_mw, hours)
    load = it_mw + done.cooling_mw + done.losses_mw + done.auxiliary_mw
    wanted, walked = float(site.heat_demand_mw[period]), order.metered is not None
    # a pump of the site's own stands still while every second is walked
    beside = site.import_limit_mw(period) if walked else load
    reuse, work, pumped = _heat(site, period, done.heat_mw, beside)
    if not walked:
        done = _supply(site, period, order, hours, done, load + work)
    site.delivered = done.reserves or site.delivered
    made = done.made_mw if len(done.made_mw) else np.zeros(_own_count(site))
    c = site.carries
    values = {
        "it_wh": it_wh,
        "cooling_wh": c["cooling"].take(done.cooling_mw * wh),
        "auxiliary_wh": c["auxiliary"].take(done.auxiliary_mw * wh),
        "losses_wh": c["losses"].take(done.losses_mw * wh),
        "charge_wh": c["charge"].take(done.charge_mw * wh),
        "heat_pump_wh": c["heat_pump"].take(work * wh),
        "dumped_wh": c["dumped"].take(done.dumped_mw * wh),
    }
    discharge_wh = c["discharge"].take(done.discharge_mw * wh)
    rows = _read_own(site, period, made, hours)
    made_wh, cooled_ml = rows[:, (_MADE_WH, _WATER_ML)].sum(axis=0).tolist()
    net, discharge_wh = _close(site, period, wh, values, discharge_wh, made_wh, walked)
    if site.own is not None:
        generators[list(site.own.number)] = rows
    site.limit_missed_wh += max(net - int(site.import_limit_mw(period) * wh) - 2, 0)
    water_ml = c["water"].take(done.water_m3_per_h * hours * 1e6)
    short = site.short_mw(period, it_mw)
    if site.guard is not None:
        site.guard.take(water_ml)
    return values | {
        "discharge_wh": discharge_wh,
        "generation_wh": made_wh,
        "import_wh": max(net, 0),
        "export_wh": max(-net, 0),
        "it_idle_uwh": idle_uwh,
        "network_wh": c["network"].take(service_ns / NS_PER_H * site.fabric_w),
        "heat_wh": c["heat"].take(reuse * wh),
        "heat_network_wh": c["heat_network"].take(pumped * wh),
        "heat_demand_wh": round(wanted * wh),
        "breach_micro_eur": done.breach_micro_eur,
        "water_ml": water_ml + cooled_ml,
        "water_short_s": round(hours * 3600) if short else 0,
        "water_short_wh": c["water_short"].take(short * wh),
        **_read_market(site, period, order, wh),
    }


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


def _read_own(site: TwinSite, period: int, made: Array, hours: float) -> Ints:
    """Meters of the own generators, int64[G, columns]."""
    if site.own is None:
        return np.zeros((0, len(GENERATOR_COLUMNS)), np.int64)
    return site.own.settle(made, period, hours)


def _close(
    site: TwinSite,
    period: int,
    wh: float,
    values: dict[str, int],
    discharge_wh: int,
    made_wh: int,
    walked: bool,
) -> tuple[int, int]:
    """Let whole Wh balance: what rounding leaves may not cross a cable that may not carry it.

    Returns:
        Net import and the battery's discharge, Wh; `values` is changed in place.
    """
    c = site.carries
    allowed_wh = int(min(site.export_mw, max(float(site.limit_mw[period]), 0.0)) * wh)
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
    if site.islanded(period) and site.battery is not None and 0 < net <= ISLAND_WH:
        # a dead cable carries no Wh of rounding either: the battery has given it
        c["discharge"].rest -= net
        discharge_wh, net = discharge_wh + net, 0
    return net, discharge_wh


def _plant(site: TwinSite, period: int, it_mw: float, hours: float) -> Metered:
    """The plant at the IT load of a whole period; storage and generators come after it."""
    powered = site.powered(period, it_mw, hours)
    cooling, losses, heat, water = site.overheads(period, it_mw, powered)
    auxiliary = site.auxiliary_mw if powered else 0.0
    return Metered(cooling, losses, auxiliary, heat, water, 0.0, 0.0, 0)


def _supply(
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
    made = _made(site, period, asked, order, hours)
    done = _battery(site, period, asked - float(made.sum()), order, hours)
    charge, discharge = done.charge_mw, done.discharge_mw
    dumped = _trim(site, period, asked + charge - discharge, made)
    return replace(plant, charge_mw=charge, discharge_mw=discharge, made_mw=made, dumped_mw=dumped)


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


def read_reserves(
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
