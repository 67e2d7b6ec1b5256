"""The model planners are timed on: a site of 200 MW, battery, wind, deferrable work, reserves.

Prices, wind and carbon are Dutch and of 2024; reserve prices are made up and say nothing about any
market. A unit of work is a MW of IT, so a class is a block of power that must do its energy of a
day within that day.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.measuring import data
from gigafactory.grid.calendar import MarketCalendar
from gigafactory.grid.real import read_capacity_factor, read_carbon, read_imbalance, read_prices
from gigafactory.planner.numbers import Numbers
from gigafactory.planner.shape import GroupShape, ReserveShape, SiteShape

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LIMIT_MW, EXPORT_MW, WIND_MW, WIND_EUR_PER_MWH = 200.0, 100.0, 150.0, 55.0
BATTERY_MW, BATTERY_MWH, EFFICIENCY, WEAR_EUR_PER_MWH = 100.0, 400.0, 0.94, 4.0
FACTOR = 1.12
CARBON_EUR_PER_T, PEAK_EUR_PER_MW, RESERVOIR_H = 80.0, 2500.0, 0.5
#: Most of each product that may be sold.
RESERVE_MW = 50.0
#: Mean and most of each deferrable class, MW of IT.
CLASSES = ((42.0, 75.0), (18.0, 40.0), (10.0, 30.0))
#: Periods per day and per reserve block; days are of UTC here, so all are alike.
DAY, BLOCK = 96, 16

SITE = SiteShape(
    groups=tuple(
        GroupShape(f"class {g}", (1.0,), (1e6,), 0.0, sheds=1.0, rises=True)
        for g in range(len(CLASSES))
    ),
    battery_mw=BATTERY_MW,
    battery_mwh=BATTERY_MWH,
    charge_efficiency=EFFICIENCY,
    discharge_efficiency=EFFICIENCY,
    wear_eur_per_mwh=WEAR_EUR_PER_MWH,
    contracts=0,
    contract_price_eur_per_mwh=(),
    contract_curtail_eur_per_mwh=(),
    levy_eur_per_mwh=0.0,
    export_margin_eur_per_mwh=0.0,
    site_per_it=FACTOR,
    generators=1,
    reserves=ReserveShape(fcr=True, afrr_up=True, afrr_down=True, fcr_reservoir_h=RESERVOIR_H),
    peaks=True,
    shares=False,
)


@dataclass(frozen=True, slots=True)
class Year:
    """What happens, per market period from 2024-01-01 00:00 UTC on.

    Attributes:
        buy_eur_per_mwh: price of import, carbon included, [P].
        sell_eur_per_mwh: price of export, [P].
        wind_mw: output of the wind contract, [P].
        load_mw: what cannot be moved, [P].
        reserve_eur_per_mw: by product, per block, [P / 16].
        month: month of each period from 0, [P].
    """

    buy_eur_per_mwh: Array
    sell_eur_per_mwh: Array
    wind_mw: Array
    load_mw: Array
    reserve_eur_per_mw: dict[str, Array]
    month: Ints

    def __len__(self) -> int:
        return len(self.load_mw)


def year() -> Year:
    """The year 2024.

    Raises:
        Skipped: without the real data.
    """
    calendar = MarketCalendar.of(dt.date(2024, 1, 1), 366, "UTC", 900)
    grid = ("nl_dayahead_hourly_2019_2025", "nl_imbalance_15min_2023_2024")
    price = read_prices(data("grid", f"{grid[0]}.csv.gz"), calendar, fill_h=3.0).values
    # the data end with the local year, an hour before the year of UTC does
    calendar = MarketCalendar.of(dt.date(2024, 1, 1), 365, "UTC", 900)
    price = price[: calendar.periods]
    stray = read_imbalance(data("grid", f"{grid[1]}.csv.gz"), calendar).single().values
    wind = read_capacity_factor(
        data("grid", "nl_ned_wind_hourly_2019_2025.csv.gz"), calendar, "wind_onshore"
    ).values
    carbon = read_carbon(data("grid", "nl_co2_intensity_hourly_2024.csv.gz"), calendar).values
    paid = 0.8 * price + 0.2 * stray
    n = calendar.periods
    hour = np.arange(n) / 4.0
    block = np.arange(n // BLOCK)
    random = np.random.default_rng(1)
    level = {"fcr": (40.0, 16.0, 0), "up": (48.0, 20.0, 2), "down": (24.0, 12.0, 4)}
    reserves = {
        way: mean + swing * np.sin(2 * np.pi * (block + at) / 6) + random.normal(0, 6.0, len(block))
        for way, (mean, swing, at) in level.items()
    }
    months = np.array([d.month - 1 for d in calendar.local_dates])
    return Year(
        buy_eur_per_mwh=paid + CARBON_EUR_PER_T * carbon / 1000.0,
        sell_eur_per_mwh=paid,
        wind_mw=WIND_MW * wind,
        load_mw=FACTOR * (45.0 + 15.0 * np.sin(2 * np.pi * (hour - 9.0) / 24.0)),
        reserve_eur_per_mw=reserves,
        month=np.repeat(months, DAY),
    )


def numbers(steps: int, blocks: int) -> Numbers:
    """Numbers of a horizon with what never changes filled in."""
    x = Numbers.plain(SITE, steps)
    x.limit_mw[:], x.export_mw[:] = LIMIT_MW, EXPORT_MW
    x.generator_eur_per_mwh[:] = WIND_EUR_PER_MWH
    x.rise_mw[:] = FACTOR * sum(most for _, most in CLASSES)
    x.most[:] = np.array([most for _, most in CLASSES])[:, None]
    for way in ("fcr", "up", "down"):
        x.product_eur_per_mw[way] = np.zeros(blocks)
        x.held_mw[way] = np.zeros(blocks)
        x.sells_mw[way] = np.full(blocks, RESERVE_MW)
    return x


def put(x: Numbers, y: Year, slot: Ints, begin: Ints, length: Ints) -> None:
    """Fill slots with the periods they stand for; a long slot takes the mean of what it covers."""

    def mean(values: Array) -> Array:
        if int(length.max(initial=1)) == 1:
            return values[np.minimum(begin, len(y) - 1)]
        covered = begin[:, None] + np.arange(int(length.max()))[None, :]
        counts = np.arange(int(length.max()))[None, :] < length[:, None]
        taken = values[np.minimum(covered, len(y) - 1)]
        return np.asarray((taken * counts).sum(axis=1) / length)

    x.import_eur_per_mwh[slot] = mean(y.buy_eur_per_mwh)
    x.export_eur_per_mwh[slot] = mean(y.sell_eur_per_mwh)
    x.load_mw[slot] = mean(y.load_mw)
    x.generator_mw[0, slot] = mean(y.wind_mw)
    for g, (average, _) in enumerate(CLASSES):
        x.arrivals_gpu_h[g, slot] = np.where(begin % DAY == 0, 24.0 * average, 0.0)
        x.backlog_most[g, slot] = np.where((begin + length) % DAY == 0, 0.0, np.inf)


def spent_eur(y: Year, period: int, flow: dict[str, float]) -> float:
    """What a period cost, by what was done in it, without reserves and peaks."""
    return 0.25 * (
        flow["import"] * float(y.buy_eur_per_mwh[period])
        - flow["export"] * float(y.sell_eur_per_mwh[period])
        + flow["generator.0"] * WIND_EUR_PER_MWH
        + flow["discharge"] * WEAR_EUR_PER_MWH
    )
