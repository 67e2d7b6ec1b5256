"""Compiles a factory and a scenario into arrays with one value per market period.

One rule for every dated thing: it holds in each market period it overlaps, however briefly. Dates
are local days of the site they belong to, from local midnight; on the days the clocks change those
days have 23 or 25 hours.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from gigafactory.factory.contracts import Pool
from gigafactory.factory.models import Factory
from gigafactory.factory.scenario import (
    ConnectionEvent,
    DeliveriesStoppedEvent,
    GridOutageEvent,
    NoSparesEvent,
    PowerEvent,
    PriceEvent,
    Scenario,
    TemperatureEvent,
)
from gigafactory.factory.sites import Site
from gigafactory.plant import Chip, load_catalogue
from gigafactory.units import NS_PER_DAY, NS_PER_S

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NEVER_NS = np.iinfo(np.int64).max
_DAYS_PER_YEAR = 365.25


def instant_of(local: dt.date | dt.datetime, timezone: str) -> int:
    """The instant, in ns UTC, of a local date (its first moment) or local time.

    A time that happens twice is the first of the two; one that never happens is the same distance
    after the change as it would have been before it. Checks refuse both in a scenario.
    """
    if not isinstance(local, dt.datetime):
        local = dt.datetime.combine(local, dt.time())
    since = local.replace(tzinfo=ZoneInfo(timezone)).astimezone(dt.UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1000


def market_timezone(factory: Factory) -> str:
    """The zone in which prices and deliveries are dated: that of the first site."""
    return next(iter(factory.sites.values())).timezone


@dataclass(frozen=True, slots=True)
class Timeline:
    """What changes over time, one value per market period [P].

    Attributes:
        installed: accelerators delivered, per pool.
        down: accelerators broken for want of spare parts, per pool, in whole nodes.
        connection_limit_mw: import limit in force, per site; 0 before it is energised.
        temperature_add_k: added to the outdoor temperature, per site.
        hall_limit_mw: IT power a hall may draw, per site and hall; only halls that are ever short.
        class_share: share of a pool's largest IT power that a class may draw, per site and class;
            only classes that have a limit.
        price_times: factor on the day-ahead price.
        price_add_eur_per_mwh: added to it after that.
    """

    installed: Mapping[str, Ints]
    down: Mapping[str, Ints]
    connection_limit_mw: Mapping[str, Floats]
    temperature_add_k: Mapping[str, Floats]
    hall_limit_mw: Mapping[tuple[str, str], Floats]
    class_share: Mapping[tuple[str, str], Floats]
    price_times: Floats
    price_add_eur_per_mwh: Floats

    def price_adjust(self, price_eur_per_mwh: Floats) -> Floats:
        """The day-ahead price under the scenario, EUR/MWh [P]."""
        return price_eur_per_mwh * self.price_times + self.price_add_eur_per_mwh


def compile_timeline(
    factory: Factory,
    start_ns: Ints,
    scenario: Scenario | None = None,
    catalogue: Mapping[str, Chip] | None = None,
) -> Timeline:
    """Compile every dated thing of a factory and a scenario.

    Args:
        factory: a checked factory (with the scenario's changes already in it).
        start_ns: edges of the market periods, ns UTC, ascending [P+1].
        scenario: the scenario whose events hold; none for an undisturbed world.
        catalogue: the accelerators; the bundled catalogue when left out.
    """
    chips = load_catalogue() if catalogue is None else catalogue
    times, add = price_change(factory, scenario, start_ns)
    installed = {
        pool.name: installed_accelerators(factory, pool, chips[pool.chip], scenario, start_ns)
        for pool in factory.fleet
    }
    return Timeline(
        installed=installed,
        down={
            pool.name: down_accelerators(
                factory, chips[pool.chip], scenario, start_ns, installed[pool.name]
            )
            for pool in factory.fleet
        },
        connection_limit_mw={
            name: connection_limit_mw(name, site, scenario, start_ns)
            for name, site in factory.sites.items()
        },
        temperature_add_k={
            name: temperature_add_k(name, site, scenario, start_ns)
            for name, site in factory.sites.items()
        },
        hall_limit_mw=hall_limits_mw(factory, scenario, start_ns),
        class_share=class_shares(factory, scenario, start_ns),
        price_times=times,
        price_add_eur_per_mwh=add,
    )


def installed_accelerators(
    factory: Factory, pool: Pool, chip: Chip, scenario: Scenario | None, start_ns: Ints
) -> Ints:
    """Accelerators of a pool delivered by the start of each period [P].

    A delivery due while deliveries are stopped arrives when the stop ends, or never.
    """
    if not pool.deliveries:
        return np.full(len(start_ns) - 1, pool.accelerators, dtype=np.int64)
    zone = factory.sites[pool.site].timezone
    count = np.zeros(len(start_ns) - 1, dtype=np.int64)
    for delivery in pool.deliveries:
        arrives_ns = _arrival(factory, chip, scenario, instant_of(delivery.date, zone))
        count[start_ns[:-1] >= arrives_ns] += delivery.accelerators
    return count


def _arrival(factory: Factory, chip: Chip, scenario: Scenario | None, due_ns: int) -> int:
    zone = market_timezone(factory)
    stops = [
        (instant_of(e.from_, zone), _NEVER_NS if e.until is None else instant_of(e.until, zone))
        for e in (scenario.events if scenario else ())
        if isinstance(e, DeliveriesStoppedEvent) and _concerns(e, chip)
    ]
    for begin_ns, end_ns in sorted(stops):
        if begin_ns <= due_ns < end_ns:
            due_ns = end_ns
    return due_ns


def _concerns(event: DeliveriesStoppedEvent | NoSparesEvent, chip: Chip) -> bool:
    """Whether an event of a country or a vendor is about a chip."""
    if event.vendor_country == chip.origin:
        return True
    return (event.vendor or "").lower() == chip.vendor.lower()


def down_accelerators(
    factory: Factory, chip: Chip, scenario: Scenario | None, start_ns: Ints, installed: Ints
) -> Ints:
    """Accelerators of a pool that stay broken for want of spare parts [P].

    Of the working ones a constant share is lost per year; good parts of broken nodes repair others,
    so the loss is in whole nodes, rounded down. When spare parts come again all are repaired.
    """
    lost = np.zeros(len(installed), dtype=np.int64)
    zone = market_timezone(factory)
    for event in scenario.events if scenario else ():
        if not isinstance(event, NoSparesEvent) or not _concerns(event, chip):
            continue
        begin_ns = instant_of(event.from_, zone)
        end_ns = _NEVER_NS if event.until is None else instant_of(event.until, zone)
        years = (start_ns[:-1] - begin_ns) / (NS_PER_DAY * _DAYS_PER_YEAR)
        share = 1.0 - (1.0 - event.failures_per_year) ** np.maximum(years, 0.0)
        share[(start_ns[:-1] < begin_ns) | (start_ns[:-1] >= end_ns)] = 0.0
        # a whole node must not be saved by the last bit of a power
        nodes = np.floor(installed / chip.node_size * share + 1e-9).astype(np.int64)
        lost = np.maximum(lost, nodes * chip.node_size)
    return lost


def firm_mw(site: Site, start_ns: Ints) -> Floats:
    """The firm import right of the phase in force in each period, MW [P]; 0 before any power."""
    line, zone = site.connection, site.timezone
    firm = np.full(len(start_ns) - 1, line.firm_mw)
    for phase in line.phases:
        firm[start_ns[:-1] >= instant_of(phase.from_, zone)] = phase.firm_mw
    if line.energised is not None:
        firm[start_ns[:-1] < instant_of(line.energised, zone)] = 0.0
    return firm


def connection_limit_mw(name: str, site: Site, scenario: Scenario | None, start_ns: Ints) -> Floats:
    """Import limit of a site in each period, MW [P].

    The firm right of the phase in force and the rights held beside it, never more than the
    contracted apparent power or (with N-1) the circuits less one carry, times what an event leaves;
    0 before it is energised. When a right beside it holds, and what is taken from it, is for the
    grid operator to say in the run.
    """
    line, zone = site.connection, site.timezone
    firm = firm_mw(site, start_ns)
    for right in line.rights:
        begin_ns = 0 if right.from_ is None else instant_of(right.from_, zone)
        firm[start_ns[:-1] >= begin_ns] += right.capacity_mw
    safe = line.circuits - 1 if line.n_minus_1 and line.circuits > 1 else line.circuits
    carried_mva = min(line.capacity_mva, safe * line.circuit_capacity_mva)
    limit: Floats = np.minimum(firm, carried_mva * line.power_factor)
    for event in scenario.events if scenario else ():
        if isinstance(event, ConnectionEvent) and event.site in {None, name}:
            limit[_during(event.from_, event.until, zone, start_ns)] *= event.factor
        elif isinstance(event, GridOutageEvent) and event.site in {None, name}:
            limit[_during(event.from_, event.until, zone, start_ns)] = 0.0
    if line.energised is not None:
        limit[start_ns[:-1] < instant_of(line.energised, zone)] = 0.0
    return limit


@dataclass(frozen=True, slots=True)
class GridOutage:
    """Periods in which a site has no grid.

    Attributes:
        site: the site.
        first: first period without the grid.
        last: first period with it again.
        known_ns: instant from which begin and end are known at the site; None for never.
    """

    site: str
    first: int
    last: int
    known_ns: int | None


def grid_outages(
    factory: Factory, scenario: Scenario | None, start_ns: Ints
) -> tuple[GridOutage, ...]:
    """The outages of the grid that lie within the run, by site and time."""
    found = []
    for name, site in factory.sites.items():
        for event in scenario.events if scenario else ():
            if not isinstance(event, GridOutageEvent) or event.site not in {None, name}:
                continue
            dark = np.flatnonzero(_during(event.from_, event.until, site.timezone, start_ns))
            if len(dark):
                known = event.announced
                found.append(
                    GridOutage(
                        name,
                        int(dark[0]),
                        int(dark[-1]) + 1,
                        None if known is None else instant_of(known, site.timezone),
                    )
                )
    return tuple(sorted(found, key=lambda one: (list(factory.sites).index(one.site), one.first)))


def temperature_add_k(name: str, site: Site, scenario: Scenario | None, start_ns: Ints) -> Floats:
    """Added to a site's outdoor temperature in each period, K [P]."""
    add = np.zeros(len(start_ns) - 1)
    for event in scenario.events if scenario else ():
        if isinstance(event, TemperatureEvent) and event.site in {None, name}:
            add[_during(event.from_, event.until, site.timezone, start_ns)] += event.add_k
    return add


def hall_limits_mw(
    factory: Factory, scenario: Scenario | None, start_ns: Ints
) -> dict[tuple[str, str], Floats]:
    """IT power that halls may draw in each period, MW [P], by site and hall.

    A file's halls carry what stands in them, so only those that an event makes short are here.
    """
    limits: dict[tuple[str, str], Floats] = {}
    for event in scenario.events if scenario else ():
        if not isinstance(event, PowerEvent) or event.hall is None:
            continue
        for name, site in factory.sites.items():
            if event.site not in {None, name} or event.hall not in site.halls:
                continue
            most = site.halls[event.hall].it_power_mw_max
            limit = limits.setdefault((name, event.hall), np.full(len(start_ns) - 1, most))
            limit[_during(event.from_, event.until, site.timezone, start_ns)] *= event.factor
    return limits


def class_shares(
    factory: Factory, scenario: Scenario | None, start_ns: Ints
) -> dict[tuple[str, str], Floats]:
    """Share of a pool's largest IT power that a class may draw in each period [P], by site."""
    shares = {
        (name, str(label)): np.full(len(start_ns) - 1, share)
        for label, share in factory.policy.class_power_fraction.items()
        for name in factory.sites
    }
    for event in scenario.events if scenario else ():
        if not isinstance(event, PowerEvent) or event.job_class is None:
            continue
        for name, site in factory.sites.items():
            if event.site in {None, name}:
                share = shares.setdefault((name, event.job_class), np.ones(len(start_ns) - 1))
                share[_during(event.from_, event.until, site.timezone, start_ns)] *= event.factor
    return shares


def price_change(
    factory: Factory, scenario: Scenario | None, start_ns: Ints
) -> tuple[Floats, Floats]:
    """Factor on the day-ahead price, and what is added after it (EUR/MWh), per period [P]."""
    zone = market_timezone(factory)
    times, add = np.ones(len(start_ns) - 1), np.zeros(len(start_ns) - 1)
    for event in scenario.events if scenario else ():
        if isinstance(event, PriceEvent):
            during = _during(event.from_, event.until, zone, start_ns)
            times[during] *= event.times
            add[during] += event.add_eur_per_mwh
    return times, add


def _during(
    from_: dt.datetime, until: dt.datetime, zone: str, start_ns: Ints
) -> npt.NDArray[np.bool_]:
    begin_ns, end_ns = instant_of(from_, zone), instant_of(until, zone)
    during: npt.NDArray[np.bool_] = (start_ns[:-1] < end_ns) & (start_ns[1:] > begin_ns)
    return during
