"""Own generation in a run: wired from the factory file, told to the plan, ordered every period."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gigafactory.adapters.ownplant import Delivery, OwnPlant
from gigafactory.factory.generators import OwnGenerator, keeps_running
from gigafactory.factory.models import Factory
from gigafactory.grid import MarketCalendar, Signals
from gigafactory.planner.own import Own
from gigafactory.plant.generation import Fleet, available_mw
from gigafactory.units import NS_PER_H

if TYPE_CHECKING:
    from gigafactory.planner import Plan

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: The signal that drives each kind the weather runs. A turbine at the site stands on land.
WEATHER = {"solar": "solar", "wind": "wind_onshore"}
_KG_PER_T = 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class OwnWires:
    """What a plan must know of a site's own generators.

    Attributes:
        market: those a plan may use, by their place in the fleet.
        cost_eur_per_mwh: cost of one more MWh of each, the price of CO2 in it, [G].
        signals: signal of each that the weather runs, "" for others.
        exists: whether each exists in a period, [G, P].
    """

    market: tuple[int, ...]
    cost_eur_per_mwh: Array
    signals: tuple[str, ...]
    exists: Bools


def generators_of(factory: Factory) -> list[OwnGenerator]:
    """The generators of a factory that have units, in the order of the file."""
    return [one for one in factory.energy.generators if one.units > 0]


def market_count(factory: Factory, site: str) -> int:
    """How many generators of a site a plan may use."""
    return sum(not g.emergency for g in generators_of(factory) if g.site == site)


def own_of(
    factory: Factory, site: str, calendar: MarketCalendar, signals: Signals
) -> tuple[OwnPlant, OwnWires] | None:
    """The generators of a site in the twin, and what a plan must know of them; None without any."""
    every = generators_of(factory)
    mine = [(k, one) for k, one in enumerate(every) if one.site == site]
    if not mine:
        return None
    fleet = Fleet.of([one.built() for _, one in mine])
    at = calendar.start_ns[:-1]
    names = tuple(WEATHER.get(one.kind, "") for _, one in mine)
    whole = np.array([available_mw(g, at) for g in fleet.generators])
    there = whole > 0.0
    factor = [getattr(signals, n).values if n else np.ones(len(at)) for n in names]
    year = np.array([day.year for day in calendar.local_dates], np.int64)[calendar.day_of]
    plant = OwnPlant(
        fleet=fleet,
        number=tuple(k for k, _ in mine),
        available_mw=whole * np.array(factor),
        emergency=np.array([one.emergency for _, one in mine]),
        keeps=np.array([keeps_running(g) for g in fleet.generators]),
        year=year,
        delivery=tuple(_delivery(one, calendar) for _, one in mine),
        stock_wh=[_stock_wh(one) for _, one in mine],
    )
    co2 = factory.energy.market.co2_price_eur_per_t / _KG_PER_T
    cost = fleet.marginal_eur_per_mwh + co2 * np.array(
        [g.stack_co2_kg_per_mwh for g in fleet.generators]
    )
    market = tuple(k for k, (_, one) in enumerate(mine) if not one.emergency)
    return plant, OwnWires(market, cost, names, there)


def _stock_wh(one: OwnGenerator) -> int:
    return -1 if one.fuel_stock_mwh is None else round(one.fuel_stock_mwh * 1e6)


def _delivery(one: OwnGenerator, calendar: MarketCalendar) -> Delivery:
    stock = max(_stock_wh(one), 0)
    return Delivery(
        amount_wh=round(one.fuel_delivery_mwh * 1e6),
        periods=max(1, math.ceil(one.fuel_delivery_time_s / calendar.period_s - 1e-9)),
        below_wh=math.ceil(one.fuel_order_share * stock),
        most_wh=stock,
    )


def header_fields(factory: Factory, sites: list[str]) -> dict[str, tuple[Any, ...]]:
    """What the book must know of the generators, for its header."""
    every = generators_of(factory)
    built = [one.built() for one in every]
    co2 = factory.energy.market.co2_price_eur_per_t / _KG_PER_T

    def micro(values: list[float]) -> tuple[int, ...]:
        return tuple(round(v * 1e6) for v in values)

    return {
        "generators": tuple(one.name for one in every),
        "generator_site": tuple(sites.index(one.site) for one in every),
        "generator_fuel": micro([g.fuel_eur_per_mwh for g in built]),
        "generator_upkeep": micro([g.variable_eur_per_mwh for g in built]),
        "generator_start": micro([g.start_eur_per_mw * g.capacity_mw for g in built]),
        "generator_co2": micro([g.fuel_co2_kg_per_mwh for g in built]),
        "generator_co2_price": micro([g.fuel_co2_kg_per_mwh * co2 for g in built]),
        "generator_stock": tuple(_stock_wh(one) for one in every),
    }


def own_ahead(
    plant: OwnPlant,
    wires: OwnWires,
    calendar: MarketCalendar,
    seen: Callable[[str], Array],
    now: int,
    begin: int,
    count: int,
) -> Own:
    """What own generators could give over `count` market periods from one on, as known now.

    What has to start first is not there before it could have; fuel that would not last a period is
    none. A tank that empties on the way is not foreseen.

    Args:
        plant: the generators in the twin.
        wires: what a plan must know of them.
        calendar: the market periods.
        seen: what is expected of a signal from now on, by its name.
        now: the period that begins now.
        begin: first period asked for.
        count: number of periods.
    """
    hours = (calendar.start_ns[1] - calendar.start_ns[0]) / NS_PER_H
    fleet, state = plant.fleet, plant.state
    able = plant.most_mw(now, hours)
    most, least = np.zeros((2, len(wires.market), count))
    at = np.minimum(begin + np.arange(count), wires.exists.shape[1] - 1)
    for row, k in enumerate(wires.market):
        there = wires.exists[k, at]
        if wires.signals[k]:
            ahead = begin - now + count
            course = seen(wires.signals[k])
            course = np.concatenate([course, np.full(max(0, ahead - len(course)), course[-1])])
            share = np.clip(course[begin - now : ahead], 0.0, 1.0)
            most[row] = np.where(there, fleet.capacity_mw[k] * share, 0.0)
            continue
        # fuel of now stands for fuel of later, which a delivery may change
        full = fleet.capacity_mw[k] if able[k] > 0.0 or not wires.exists[k, now] else 0.0
        most[row] = np.where(there, full, 0.0)
        if not state.running[k]:
            wait = math.floor(max(fleet.start_h[k] - state.starting_h[k], 0.0) / hours)
            most[row, : max(now + wait - begin, 0)] = 0.0
        if plant.keeps[k]:
            least[row] = np.where(most[row] > 0.0, fleet.min_mw[k], 0.0)
    chosen = list(wires.market)
    return Own(
        most_mw=most,
        least_mw=least,
        cost_eur_per_mwh=np.repeat(wires.cost_eur_per_mwh[chosen, None], count, axis=1),
        unit_min_mw=fleet.min_mw[chosen],
        start_eur=np.array(
            [g.start_eur_per_mw * g.capacity_mw for g in fleet.generators], np.float64
        )[chosen],
        runs=state.running[chosen],
        weather=fleet.weather[chosen],
    )


def laid_out(own: Own, over: Any) -> Own:
    """The same over other steps; `over` lays out values per period, [N] to [T]."""

    def rows(values: Array) -> Array:
        return np.array([over(v) for v in values]).reshape(len(values), -1)

    return replace(
        own,
        most_mw=rows(own.most_mw),
        least_mw=rows(own.least_mw),
        cost_eur_per_mwh=rows(own.cost_eur_per_mwh),
    )


def order_own(
    plant: OwnPlant, wires: OwnWires, plan: Plan, expected_mw: Array, period: int, step: int
) -> tuple[Array, float]:
    """Order own generators for a period with a grid, as planned.

    Args:
        plant: the generators in the twin.
        wires: what a plan knows of them.
        plan: of the day.
        expected_mw: output the weather was expected to allow when it was made, [market, periods].
        period: number of the period.
        step: its place in the day.

    Returns:
        Output wanted of each, [G], and the most all of them could give, MW.
    """
    count, wanted = len(plant.fleet), np.zeros(len(plant.fleet))
    on = plant.keeps & ~plant.emergency & (plant.available_mw[:, period] > 0.0)
    hours = 0.25
    for row, k in enumerate(wires.market):
        given = plan.generator_mw[row]
        if plant.fleet.weather[k]:
            due = float(expected_mw[row, step])
            # the plan may leave out what costs more than it brings
            wanted[k] = (
                math.inf
                if due <= 1e-6
                else plant.available_mw[k, period] * min(float(given[step]) / due, 1.0)
            )
            continue
        early = math.floor(plant.fleet.start_h[k] / hours + 1e-9)
        on[k] |= bool((given[step : step + early + 1] > 0.0).any())
        wanted[k] = float(given[step])
    if not on.any() and plant.idle(period):
        plant.reach = None
        return np.zeros(count), 0.0
    reach = plant.order(period, on, hours)
    return wanted, float(reach.high_mw.sum())


def hours_of(edges_ns: npt.NDArray[np.int64], period: int) -> float:
    """Length of a period, h."""
    return float(edges_ns[period + 1] - edges_ns[period]) / NS_PER_H


__all__ = [
    "WEATHER",
    "OwnWires",
    "generators_of",
    "header_fields",
    "hours_of",
    "laid_out",
    "market_count",
    "order_own",
    "own_ahead",
    "own_of",
]
