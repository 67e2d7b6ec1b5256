"""Regret of `rotterdam`'s battery on the day-ahead market of 2024, by quality of forecast."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.measuring import case, data
from gigafactory.factory import load_factory
from gigafactory.grid import MarketCalendar, read_prices
from gigafactory.planner.gate import PROFILES, operate, past_paths
from gigafactory.planner.shape import SiteShape
from gigafactory.planner.yardstick import Yardstick, measure

Array = npt.NDArray[np.float64]

#: What the factory draws in the mean of a year, beside its battery, MW.
LOAD_MW = 115.0
DAY = 24


def rotterdam() -> tuple[SiteShape, float, float]:
    """The battery of the bundled factory with its market, its import limit and its export right."""
    factory = load_factory("rotterdam")
    (name,) = factory.sites
    battery = next(b for b in factory.energy.batteries if b.site == name)
    market = factory.energy.market
    shape = SiteShape(
        groups=(),
        battery_mw=battery.power_mw,
        battery_mwh=battery.energy_mwh * (battery.soc_max - battery.soc_min),
        charge_efficiency=battery.efficiency_charge,
        discharge_efficiency=battery.efficiency_discharge,
        wear_eur_per_mwh=battery.wear_eur_per_mwh,
        contracts=0,
        contract_price_eur_per_mwh=(),
        contract_curtail_eur_per_mwh=(),
        levy_eur_per_mwh=market.supply_margin_eur_per_mwh + market.energy_tax_eur_per_mwh,
        export_margin_eur_per_mwh=market.export_margin_eur_per_mwh,
        site_per_it=1.0,
    )
    line = factory.sites[name].connection
    return shape, line.capacity_mva * line.power_factor, line.export_mw


def prices() -> Array:
    """Hourly prices of 2024 in days of 24 hours (UTC + 1)."""
    calendar = MarketCalendar.of(dt.date(2024, 1, 1), 366, "Etc/GMT-1", 3600)
    path = data("grid", "nl_dayahead_hourly_2019_2025.csv.gz")
    return read_prices(path, calendar, fill_h=3.0).values


def knowing(price: Array) -> dict[str, Callable[[int], Sequence[Array]]]:
    """What each operator takes tomorrow's prices to be, by day number.

    At the gate of day d the prices of all days before it are known.
    """
    days = price.reshape(-1, DAY)
    last = len(days) - 1

    def tail(day: int) -> Array:
        return days[max(0, day - 28) : max(day, 1)].mean(axis=0)[: DAY // 2]

    def perfect(day: int) -> list[Array]:
        return [np.concatenate([days[day], days[min(day + 1, last)][: DAY // 2]])]

    def yesterday(day: int) -> list[Array]:
        before = days[max(day - 1, 0)]
        return [np.concatenate([before, before[: DAY // 2]])]

    def course(day: int) -> list[Array]:
        return past_paths(price[: day * DAY], DAY, 1)

    def group(day: int) -> list[Array]:
        return past_paths(price[: day * DAY], DAY, PROFILES)

    def known(day: int) -> list[Array]:
        return [np.concatenate([days[day], tail(day)])]

    return {
        "perfect": perfect,
        "known_day": known,
        "group": group,
        "course": course,
        "persistence": yesterday,
    }


def table() -> dict[str, Yardstick]:
    """The yardstick of every operator over 2024."""
    shape, limit_mw, export_mw = rotterdam()
    price = prices()
    found = {}
    for name, scenarios in knowing(price).items():
        done = operate(
            shape,
            price_eur_per_mwh=price,
            load_mw=np.full(len(price), LOAD_MW),
            limit_mw=limit_mw,
            export_mw=export_mw,
            day_steps=DAY,
            step_h=1.0,
            scenarios=scenarios,
        )
        found[name] = measure(shape, done, 1.0)
    return found


@case("regret-dayahead")
def regret() -> dict[str, float]:
    """Regret as shares of what there was to gain; GIGAFACTORY_TABLES names a file for the table."""
    found = table()
    named = os.environ.get("GIGAFACTORY_TABLES")
    if named:
        lines = [
            "| operator | cost, EUR | regret, EUR | of what there was to gain |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {name} | {y.realised_eur:,.0f} | {y.regret_eur:,.0f} | {y.regret_share:.2%} |"
            for name, y in found.items()
        ]
        first = found["perfect"]
        lines += ["", f"Naive {first.naive_eur:,.0f}, bound {first.bound_eur:,.0f} EUR."]
        Path(named).write_text("\n".join(lines) + "\n", "utf-8")
    ours, plain = found["group"].regret_share, found["persistence"].regret_share
    return {
        "perfect_share": found["perfect"].regret_share,
        "product_share": ours,
        "course_share": found["course"].regret_share,
        "persistence_share": plain,
        "below_persistence": 1.0 - ours / plain,
    }
