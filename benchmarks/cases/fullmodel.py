"""The full model of a factory: the site of `rotterdam` as its planner sees it, and more.

Classes of work with speeds, backlog and delay cost, the battery, a power contract, a position
bought at the gate and trade after it stand in the bundled file; `tests/benchmarks/test_full.py`
holds them against it. Reserves and gas engines are put on top, made up, so that
every part of the programme is there. Prices are Dutch and of 2024 (four fifths day-ahead and one
fifth imbalance, as in the benchmark model), so is the wind (onshore, since no Dutch offshore series
is public); the course of the work, restrictions of the connection and reserve prices are made up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmarks.cases import energymodel
from gigafactory.planner.numbers import Numbers
from gigafactory.planner.shape import GroupShape, ReserveShape, SiteShape

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAY, BLOCK, H = energymodel.DAY, energymodel.BLOCK, 0.25
LIMIT_MW, EXPORT_MW, CONTRACT_MW, CAPACITY = 140.0, 50.0, 150.0, 100_000.0
REST_W, SPREAD_EUR_PER_MWH = 350.0, 3.0
ENGINES_MW, ENGINES_EUR_PER_MWH = 20.0, 140.0
PEAK_EUR_PER_MW, RESERVE_MW = 2500.0, 40.0
START_MWH = 90.0
#: Share of all accelerators each class asks for, in the mean, and how much more by day.
ASKED = ((0.31, 0.0), (0.23, 0.25), (0.07, 0.3), (0.07, 0.1), (0.19, 0.4))

#: What the planner of `rotterdam` plans.
ROTTERDAM = SiteShape(
    groups=(
        GroupShape("frontier_training", (0.7, 0.85, 1.0),
                   (420.09763073315594, 563.6369069972914, 807.8), 1.0),
        GroupShape("research", (0.685225, 0.8426125, 1.0),
                   (326.03868, 442.8300988863753, 644.6), 0.15),
        GroupShape("fine_tuning", (0.685225, 0.8426125, 1.0),
                   (402.92028, 547.2517169917571, 796.6), 0.4),
        GroupShape("inference_batch", (0.631447, 0.8157235, 1.0),
                   (392.4766, 603.2818184058701, 832.4), 0.1),
        GroupShape("inference_realtime", (0.999, 1.0), (812.5844433241846, 813.8), 5.0),
    ),
    battery_mw=50.0,
    battery_mwh=180.0,
    charge_efficiency=0.95,
    discharge_efficiency=0.95,
    wear_eur_per_mwh=15.0,
    contracts=1,
    contract_price_eur_per_mwh=(75.0,),
    contract_curtail_eur_per_mwh=(75.0,),
    contract_firm=(False,),
    levy_eur_per_mwh=4.71,
    export_margin_eur_per_mwh=1.5,
    site_per_it=1.0748748533771948,
    peaks=True,
    intraday=True,
)  # fmt: skip

#: Classes that may be shed for aFRR: all but those that answer people and frontier training.
SHEDS = (False, True, True, True, False)
SITE = replace(
    ROTTERDAM,
    groups=tuple(
        replace(g, sheds=0.3 if may else 0.0)
        for g, may in zip(ROTTERDAM.groups, SHEDS, strict=True)
    ),
    generators=1,
    reserves=ReserveShape(fcr=True, afrr_up=True, afrr_down=True, battery_afrr=True),
)


@dataclass(frozen=True, slots=True)
class FullYear:
    """What happens, per market period from 2024-01-01 00:00 UTC on.

    Attributes:
        price_eur_per_mwh: price of energy, [P].
        contract_mw: output of the power contract, [P].
        limit_mw: import limit, lower on the evenings of working days, [P].
        load_mw: what the site draws with its accelerators at rest, [P].
        asked: accelerators each class would run, [classes, P].
        position_mw: bought at the gate, [P].
        reserve_eur_per_mw: by product, per block.
        month: month of each period from 0, [P].
    """

    price_eur_per_mwh: Array
    contract_mw: Array
    limit_mw: Array
    load_mw: Array
    asked: Array
    position_mw: Array
    reserve_eur_per_mw: dict[str, Array]
    month: Ints

    def __len__(self) -> int:
        return len(self.load_mw)

    @property
    def slow(self) -> npt.NDArray[np.bool_]:
        """Periods in which the work asked for does not fit the connection at full speed, [P]."""
        full_w = np.array([g.active_w[-1] for g in SITE.groups])
        drawn_mw = self.load_mw + SITE.site_per_it * (full_w @ self.asked) / 1e6
        return np.asarray(drawn_mw > self.limit_mw)


def full_year() -> FullYear:
    """The year 2024.

    Raises:
        Skipped: without the real data.
    """
    y = energymodel.year()
    n = len(y)
    hour, day = (np.arange(n) / 4.0) % 24.0, np.arange(n) // DAY
    random = np.random.default_rng(2)
    working = day % 7 < 5  # 2024 began on a Monday
    by_day = np.maximum(np.sin(2 * np.pi * (hour - 8.0) / 24.0), 0.0) * np.where(working, 1.0, 0.5)
    wander = np.repeat(random.normal(0.0, 0.04, (len(ASKED), n // DAY)), DAY, axis=1)
    asked = np.array([mean * (1.0 + more * by_day) for mean, more in ASKED]) * (1.0 + wander)
    asked *= CAPACITY / np.maximum(asked.sum(axis=0), 1.0)
    limit = np.where(working & (hour >= 17.0) & (hour < 20.0), 0.65 * LIMIT_MW, LIMIT_MW)
    load = SITE.site_per_it * CAPACITY * REST_W / 1e6 + 4.0 + 2.0 * by_day
    wind = CONTRACT_MW * y.wind_mw / energymodel.WIND_MW
    full_w = np.array([g.active_w[-1] for g in SITE.groups])
    drawn = load + SITE.site_per_it * (full_w @ asked) / 1e6
    missed = np.repeat(random.normal(0.0, 4.0, n // 4), 4)
    return FullYear(
        price_eur_per_mwh=y.sell_eur_per_mwh,
        contract_mw=wind,
        limit_mw=limit,
        load_mw=load,
        asked=asked,
        position_mw=np.minimum(drawn, limit) - wind + missed,
        reserve_eur_per_mw=y.reserve_eur_per_mw,
        month=y.month,
    )


def full_numbers(y: FullYear, first: int, steps: int) -> Numbers:
    """The numbers of a stretch of the year, states and peaks apart."""
    x, at = Numbers.plain(SITE, steps), slice(first, first + steps)
    price = y.price_eur_per_mwh[at]
    mean = float(price.mean())
    x.import_eur_per_mwh[:] = SITE.levy_eur_per_mwh
    x.export_eur_per_mwh[:] = -SITE.export_margin_eur_per_mwh
    x.buy_eur_per_mwh = price + SPREAD_EUR_PER_MWH
    x.sell_eur_per_mwh = price - SPREAD_EUR_PER_MWH
    x.position_mw = y.position_mw[at]
    x.limit_mw, x.export_mw[:], x.load_mw = y.limit_mw[at], EXPORT_MW, y.load_mw[at]
    x.capacity[:] = CAPACITY
    x.contract_mw[0] = y.contract_mw[at]
    x.contract_eur_per_mwh[0] = SITE.taking_eur_per_mwh[0]
    x.generator_mw[:], x.generator_eur_per_mwh[:] = ENGINES_MW, ENGINES_EUR_PER_MWH
    x.arrivals_gpu_h = y.asked[:, at] * H
    x.slow = y.slow[at]
    delay = np.array([[g.delay_eur_per_gpu_h] for g in SITE.groups])
    x.delay_eur_per_gpu_h = np.repeat(delay * H / 24.0, steps, axis=1)
    full_w = np.array([g.active_w[-1] for g in SITE.groups])
    energy = SITE.site_per_it * (mean + SITE.levy_eur_per_mwh) / 1e6
    x.delay_eur_per_gpu_h[:, -1] += delay[:, 0] + energy * full_w
    x.soc_eur_per_mwh = SITE.stored_eur_per_mwh(mean)
    blocks = slice(first // BLOCK, (first + steps) // BLOCK)
    for way, paid in y.reserve_eur_per_mw.items():
        x.product_eur_per_mw[way] = paid[blocks]
        x.held_mw[way] = np.zeros(steps // BLOCK)
        x.sells_mw[way] = np.full(steps // BLOCK, RESERVE_MW)
    return x
