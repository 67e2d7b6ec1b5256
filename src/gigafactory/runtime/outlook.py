"""What a site may expect, seen from an instant: forecasts, limits, load, contracts.

Everything here comes out of `Information`, which was cut at that instant. The plan of a day and the
offer at the gate look through the same glass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gigafactory.grid import MarketCalendar
from gigafactory.planner import Information, forecast
from gigafactory.planner.band import Promise, band_of
from gigafactory.planner.gate import PROFILES, Offer, past_paths
from gigafactory.planner.nowcast import Nowcast
from gigafactory.planner.own import Own
from gigafactory.plant.thermal import overhead
from gigafactory.runtime.supply import laid_out, own_ahead
from gigafactory.runtime.wiring import BASELOAD, CLASSES, GATE_DAY, GATE_TAIL, SiteWires, World

Array = npt.NDArray[np.float64]

PER_HOUR = 4
#: Days of past prices that scenarios are made of: ten weeks, and the course before each, with room.
PAST_DAYS = 112


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """What a site expects over N market periods.

    Attributes:
        price_eur_per_mwh: day-ahead price, known or forecast, [N].
        limit_mw: import limit, [N].
        offset_mw: what the site draws beside its slope times IT power above rest, [N].
        rest_mw: IT power of accelerators in service at rest.
        usable: accelerators in service.
        contract_mw: output of each contract, [contracts, N].
        demand: accelerators that would be at work per class, [classes, N].
        dark: periods in which the site knows it will have no grid, [N].
        own: what own generators could give, or none.
    """

    price_eur_per_mwh: Array
    limit_mw: Array
    offset_mw: Array
    rest_mw: float
    usable: float
    contract_mw: Array
    demand: Array
    dark: npt.NDArray[np.bool_]
    own: Own | None = None


class Outlook:
    """The view ahead from any period of a run.

    Args:
        world: the wired factory.
        calendar: its market periods.
        demand: accelerators at work or held back so far, [sites, classes, P]; grows with the run.
    """

    def __init__(self, world: World, calendar: MarketCalendar, demand: Array) -> None:
        self.world, self.calendar, self.demand = world, calendar, demand

    def known(self, s: int, now: int) -> Information:
        """What is known of a site when a period begins."""
        metered = {f"demand_{label}": self.demand[s, g] for g, label in enumerate(CLASSES)}
        metered |= self.world.sites[s].reserves_metered
        at = int(self.calendar.start_ns[now])
        return Information(self.world.sites[s].signals, self.calendar, at, metered)

    def expect(
        self,
        info: Information,
        s: int,
        now: int,
        begin: int,
        count: int,
        load_method: str | None = None,
        load_quantile: float = 0.5,
        contracts: bool = True,
        view: Nowcast | None = None,
    ) -> Expected:
        """What is expected of a site from a period on.

        Args:
            info: what is known now.
            s: the site.
            now: the period that begins now.
            begin: first period asked for, not before now.
            count: number of periods; beyond the calendar the last value stands.
            load_method: how work is forecast; the default method of loads without.
            load_quantile: probability with which no more work than this is expected.
            contracts: whether the output of the power contracts is asked for.
            view: forecasts to look at instead of new ones; method and quantile are then theirs.
        """
        world, wire, twin = self.world, self.world.sites[s], self.world.twin.sites[s]
        ahead = begin - now + count

        def seen(name: str, method: str | None = None, quantile: float = 0.5) -> Array:
            if view is not None:
                return view.ahead(info, name, ahead)
            return forecast(info, name, ahead, method).at(quantile)

        def of(name: str, method: str | None = None, quantile: float = 0.5) -> Array:
            return _long(seen(name, method, quantile), ahead)[begin - now :]

        sizes = [
            int(world.twin.pools[i].usable[now]) * world.twin.pools[i].kernel.spec.node_size
            for i in wire.pools
        ]
        rest_mw = sum(n * w for n, w in zip(sizes, wire.rest_w, strict=True)) / 1e6
        # what is expected to be asked at once, of which no more than all there is can run
        demand = np.array([of(f"demand_{label}", load_method, load_quantile) for label in CLASSES])
        mine = [k for k, at in enumerate(world.twin.contract_site) if at == s] if contracts else []
        output = [
            (1.0 if world.contract_kind[k] == BASELOAD else of(world.contract_kind[k]))
            * _long(world.contract_cap_mw[k][begin : begin + count], count)
            for k in mine
        ]
        offset_mw = _offset(wire, of("temperature"), of("wet_bulb"), rest_mw)
        if twin.lift is not None and twin.lift.inside:
            # a pump of the site's own follows what the network is expected to take
            wanted = np.minimum(of("heat_demand") * wire.heat_peak_mw, wire.heat_mw_max)
            offset_mw = offset_mw + wanted / twin.lift.cop
        limit_mw, dark = self._limit(s, now, begin, count)
        own = None
        if twin.own is not None and wire.own is not None and wire.own.market:
            own = own_ahead(twin.own, wire.own, info.calendar, seen, now, begin, count)
        return Expected(
            price_eur_per_mwh=of("price"),
            limit_mw=limit_mw,
            offset_mw=offset_mw,
            rest_mw=rest_mw,
            usable=float(sum(sizes)),
            contract_mw=np.array(output).reshape(len(mine), count),
            demand=np.clip(demand, 0.0, float(sum(sizes))),
            dark=dark,
            own=own,
        )

    def _limit(
        self, s: int, now: int, begin: int, count: int
    ) -> tuple[Array, npt.NDArray[np.bool_]]:
        """Import limit expected from a period on, MW, and the periods known to be dark.

        A restriction in force now is taken to last; one that is not yet in force is not known.
        """
        wire, twin = self.world.sites[s], self.world.twin.sites[s]
        base = _long(wire.base_limit_mw[begin : begin + count], count)
        usual, present = wire.base_limit_mw[now], twin.limit_mw[now]
        ratio, dark = self._outage(s, now, begin, count)
        if ratio is None:
            ratio = present / usual if usual > 0 else 1.0
        rights = _long(twin.rights_mw[begin : begin + count], count)
        return np.minimum(np.where(dark, 0.0, base * ratio), rights), dark

    def _outage(
        self, s: int, now: int, begin: int, count: int
    ) -> tuple[float | None, npt.NDArray[np.bool_]]:
        """What is known of outages of the grid: share of the limit in other periods, dark periods.

        Of an outage that was announced begin and end are known. One that nobody announced is known
        while it lasts, and is taken to last. The share is None where no outage is on.
        """
        at = int(self.calendar.start_ns[now])
        ahead, dark, ratio = begin + np.arange(count), np.zeros(count, np.bool_), None
        for one in self.world.sites[s].outages:
            announced = one.known_ns is not None and one.known_ns <= at
            if announced:
                dark |= (ahead >= one.first) & (ahead < one.last)
            if one.first <= now < one.last:
                ratio = 1.0
                if not announced:
                    dark[:] = True
        return ratio, dark

    def offer(
        self, s: int, now: int, day: int, soc_mwh: float, promise: Promise | None = None
    ) -> tuple[Offer, npt.NDArray[np.float64]]:
        """The offer at the gate for a later day, and what is bought of it without the battery.

        Args:
            s: the site.
            now: the period that begins now.
            day: local day offered.
            soc_mwh: energy expected in the battery, above its lower bound, when the day begins.
            promise: reserves sold over the hours from the day's first on; none where nothing is.

        Returns:
            The offer in hours, and the expected net purchase per market period of the day.
        """
        wire, span = self.world.sites[s], self.calendar.day_slice(day)
        info = self.known(s, now)
        hours = GATE_DAY + GATE_TAIL
        count = max(hours * PER_HOUR, span.stop - span.start)
        # a second fit of five loads a day is not worth its time: what is off is traded at midnight
        e = self.expect(info, s, now, span.start, count, load_method="mean_course")
        load = np.where(e.dark, 0.0, expected_load(wire, e))  # nothing for a cable that is dead
        # what contracts do not let through is not bought: work waits for it
        rights = self.world.twin.sites[s].rights_mw[span.start : span.start + count]
        load = np.minimum(load, _long(rights, count))
        price = info.history("price", PAST_DAYS * GATE_DAY * PER_HOUR)
        whole = len(price) // (GATE_DAY * PER_HOUR) * GATE_DAY * PER_HOUR
        paths = past_paths(hourly(price[len(price) - whole :]), GATE_DAY, PROFILES)
        cut = hours * PER_HOUR
        band, limit = None, hourly(e.limit_mw[:cut])
        if promise is not None:
            room = hourly((e.limit_mw - load)[:cut])
            band = band_of(wire.reserve_shape, promise, np.ones(hours), soc_mwh, room)
            limit = np.maximum(limit - band.import_mw, 0.0)
        found = wire.gate.offer(
            paths,
            load_mw=hourly(load[:cut]),
            limit_mw=limit,
            export_mw=np.full(hours, wire.export_mw),
            contract_mw=hourly(e.contract_mw[:, :cut]),
            soc_mwh=soc_mwh,
            own=None if e.own is None else laid_out(e.own, lambda v: hourly(v[:cut])),
            band=band,
        )
        bare = load - e.contract_mw.sum(axis=0)
        if e.own is not None:
            bare = bare - np.where(e.own.weather[:, None], e.own.most_mw, e.own.least_mw).sum(
                axis=0
            )
        return found, bare[: span.stop - span.start]

    def position(self, s: int, day: int, offer: Offer, bare_mw: Array) -> Array:
        """What the auction made of an offer, per market period of the day, MW.

        An offer has 24 hours; the 25th hour of a long day is bought without the battery.
        """
        span = self.calendar.day_slice(day)
        price = self.world.twin.sites[s].price_eur_per_mwh[span]
        n = span.stop - span.start
        seen = _long(price, max(n, GATE_DAY * PER_HOUR))[: GATE_DAY * PER_HOUR]
        won = np.repeat(offer.position_mw[offer.cleared(hourly(seen))], PER_HOUR)
        out = bare_mw.copy()
        out[: min(n, len(won))] = won[:n]
        return out


def expected_load(wire: SiteWires, e: Expected) -> Array:
    """What a site is expected to draw with the work that would run, MW, [N]."""
    shape = wire.planner.shape
    watts = np.array([g.active_w[-1] for g in shape.groups])
    fits = np.minimum(1.0, e.usable / np.maximum(e.demand.sum(axis=0), 1e-9))
    work_mw = watts @ (e.demand * fits) / 1e6
    return np.asarray(e.offset_mw + shape.site_per_it * (e.rest_mw + work_mw))


def _long(values: Array, count: int) -> Array:
    """Values lengthened to a count with the last one."""
    if len(values) >= count:
        return values[:count]
    return np.concatenate([values, np.full(count - len(values), values[-1])])


def hourly(values: Array) -> Array:
    """Means of every four along the last axis."""
    hours = values.shape[-1] // PER_HOUR
    return np.asarray(values.reshape(*values.shape[:-1], hours, PER_HOUR).mean(axis=-1))


def _offset(wire: SiteWires, air: Array, damp: Array, rest_mw: float) -> Array:
    """What a site draws beside its slope times IT power above rest, at the expected load."""
    likely = min(max(rest_mw * 2.5, 0.0), wire.design.it_design_mw)
    over = overhead(wire.design, wire.electrical, likely, air, np.minimum(damp, air))
    slope = wire.planner.shape.site_per_it
    return over.overhead_mw - (slope - 1.0) * likely
