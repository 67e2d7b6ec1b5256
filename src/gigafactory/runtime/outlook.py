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
from gigafactory.planner.gate import PROFILES, Offer, past_paths
from gigafactory.plant.thermal import overhead
from gigafactory.runtime.wiring import CLASSES, GATE_DAY, GATE_TAIL, SiteWires, World

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
    """

    price_eur_per_mwh: Array
    limit_mw: Array
    offset_mw: Array
    rest_mw: float
    usable: float
    contract_mw: Array
    demand: Array


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
    ) -> Expected:
        """What is expected of a site from a period on.

        Args:
            info: what is known now.
            s: the site.
            now: the period that begins now.
            begin: first period asked for, not before now.
            count: number of periods; beyond the calendar the last value stands.
            load_method: how work is forecast; the default method of loads without.
        """
        world, wire, twin = self.world, self.world.sites[s], self.world.twin.sites[s]
        ahead = begin - now + count

        def of(name: str, method: str | None = None) -> Array:
            return _long(forecast(info, name, ahead, method).median(), ahead)[begin - now :]

        # a restriction in force now is taken to last; one that is not yet in force is not known
        base = _long(wire.base_limit_mw[begin : begin + count], count)
        usual, present = wire.base_limit_mw[now], twin.limit_mw[now]
        sizes = [
            int(world.twin.pools[i].usable[now]) * world.twin.pools[i].kernel.spec.node_size
            for i in wire.pools
        ]
        rest_mw = sum(n * w for n, w in zip(sizes, wire.rest_w, strict=True)) / 1e6
        # what is expected to be asked at once, of which no more than all there is can run
        demand = np.array([of(f"demand_{label}", load_method) for label in CLASSES])
        contracts = [k for k, at in enumerate(world.twin.contract_site) if at == s]
        output = [
            of(world.contract_kind[k])
            * _long(world.contract_cap_mw[k][begin : begin + count], count)
            for k in contracts
        ]
        return Expected(
            price_eur_per_mwh=of("price"),
            limit_mw=base * (present / usual if usual > 0 else 1.0),
            offset_mw=_offset(wire, of("temperature"), of("wet_bulb"), rest_mw),
            rest_mw=rest_mw,
            usable=float(sum(sizes)),
            contract_mw=np.array(output).reshape(len(contracts), count),
            demand=np.clip(demand, 0.0, float(sum(sizes))),
        )

    def offer(
        self, s: int, now: int, day: int, soc_mwh: float
    ) -> tuple[Offer, npt.NDArray[np.float64]]:
        """The offer at the gate for a later day, and what is bought of it without the battery.

        Args:
            s: the site.
            now: the period that begins now.
            day: local day offered.
            soc_mwh: energy expected in the battery, above its lower bound, when the day begins.

        Returns:
            The offer in hours, and the expected net purchase per market period of the day.
        """
        wire, span = self.world.sites[s], self.calendar.day_slice(day)
        info = self.known(s, now)
        hours = GATE_DAY + GATE_TAIL
        count = max(hours * PER_HOUR, span.stop - span.start)
        # a second fit of five loads a day is not worth its time: what is off is traded at midnight
        e = self.expect(info, s, now, span.start, count, load_method="mean_course")
        shape = wire.planner.shape
        watts = np.array([g.active_w[-1] for g in shape.groups])
        fits = np.minimum(1.0, e.usable / np.maximum(e.demand.sum(axis=0), 1e-9))
        work_mw = watts @ (e.demand * fits) / 1e6
        load = e.offset_mw + shape.site_per_it * (e.rest_mw + work_mw)
        price = info.history("price", PAST_DAYS * GATE_DAY * PER_HOUR)
        whole = len(price) // (GATE_DAY * PER_HOUR) * GATE_DAY * PER_HOUR
        paths = past_paths(_hourly(price[len(price) - whole :]), GATE_DAY, PROFILES)
        cut = hours * PER_HOUR
        found = wire.gate.offer(
            paths,
            load_mw=_hourly(load[:cut]),
            limit_mw=_hourly(e.limit_mw[:cut]),
            export_mw=np.full(hours, wire.export_mw),
            contract_mw=_hourly(e.contract_mw[:, :cut]),
            soc_mwh=soc_mwh,
        )
        bare = load - e.contract_mw.sum(axis=0)
        return found, bare[: span.stop - span.start]

    def position(self, s: int, day: int, offer: Offer, bare_mw: Array) -> Array:
        """What the auction made of an offer, per market period of the day, MW.

        An offer has 24 hours; the 25th hour of a long day is bought without the battery.
        """
        span = self.calendar.day_slice(day)
        price = self.world.twin.sites[s].price_eur_per_mwh[span]
        n = span.stop - span.start
        seen = _long(price, max(n, GATE_DAY * PER_HOUR))[: GATE_DAY * PER_HOUR]
        won = np.repeat(offer.position_mw[offer.cleared(_hourly(seen))], PER_HOUR)
        out = bare_mw.copy()
        out[: min(n, len(won))] = won[:n]
        return out


def _long(values: Array, count: int) -> Array:
    """Values lengthened to a count with the last one."""
    if len(values) >= count:
        return values[:count]
    return np.concatenate([values, np.full(count - len(values), values[-1])])


def _hourly(values: Array) -> Array:
    """Means of every four along the last axis."""
    hours = values.shape[-1] // PER_HOUR
    return np.asarray(values.reshape(*values.shape[:-1], hours, PER_HOUR).mean(axis=-1))


def _offset(wire: SiteWires, air: Array, damp: Array, rest_mw: float) -> Array:
    """What a site draws beside its slope times IT power above rest, at the expected load."""
    likely = min(max(rest_mw * 2.5, 0.0), wire.design.it_design_mw)
    over = overhead(wire.design, wire.electrical, likely, air, np.minimum(damp, air))
    slope = wire.planner.shape.site_per_it
    return over.overhead_mw - (slope - 1.0) * likely
