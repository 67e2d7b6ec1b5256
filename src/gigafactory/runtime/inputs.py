"""What is expected of a site, laid out over the steps of a plan."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from gigafactory.planner import DayInput
from gigafactory.planner.band import Band
from gigafactory.planner.energy import DAY_STEPS, STEPS, TAIL_STEPS
from gigafactory.planner.own import Own
from gigafactory.runtime.outlook import Expected
from gigafactory.runtime.supply import laid_out
from gigafactory.runtime.wiring import SiteWires

Array = npt.NDArray[np.float64]

#: Lays values per market period out over the steps of a plan.
Over = Callable[[Array], Array]


def day_steps(values: Array, n: int) -> Array:
    """Lay values per market period out over a day's plan: `n` periods, then hourly means."""
    want = n + 4 * TAIL_STEPS
    out = np.zeros(STEPS)
    out[:n] = values[:n]
    out[n:DAY_STEPS] = values[n - 1]
    out[DAY_STEPS:] = values[n:want].reshape(TAIL_STEPS, 4).mean(axis=1)
    return out


def day_hours(n: int) -> Array:
    """Length of each step of a day's plan, h."""
    hours = np.zeros(STEPS)
    hours[:n], hours[DAY_STEPS:] = 0.25, 1.0
    return hours


def plan_input(
    wire: SiteWires,
    e: Expected,
    over: Over,
    hours: Array,
    *,
    periods: int,
    soc_mwh: float,
    position_mw: Array,
    spread_eur_per_mwh: Array,
    offered: bool,
    band: Band | None,
) -> DayInput:
    """What a plan is made of, the peak of the month apart.

    Args:
        wire: the site.
        e: what is expected of it, per market period.
        over: lays that out over the steps.
        hours: length of each step, h, [T].
        periods: market periods to be decided.
        soc_mwh: energy in the battery above its lower bound, at the beginning.
        position_mw: bought at the gate, [T].
        spread_eur_per_mwh: what trade after that costs beyond the price, [T].
        offered: whether anything was offered at the gate.
        band: what the battery keeps for reserves sold; none where nothing was.
    """
    slope = wire.planner.shape.site_per_it
    limit = over(e.limit_mw)
    if band is not None:
        limit = np.maximum(limit - band.import_mw, 0.0)
    steps = len(hours)
    return DayInput(
        periods=periods,
        hours=hours,
        price_eur_per_mwh=over(e.price_eur_per_mwh),
        limit_mw=limit,
        export_mw=wire.export_mw,
        # a cable known to be dead carries nothing that could be bought
        offset_mw=over(np.where(e.dark, -slope * e.rest_mw, e.offset_mw)),
        rest_mw=np.full(steps, e.rest_mw),
        capacity=over(np.where(e.dark, 0.0, e.usable)),
        contract_mw=np.array([over(mw) for mw in e.contract_mw]).reshape(-1, steps),
        soc_mwh=soc_mwh,
        arrivals_gpu_h=np.array([over(d) for d in e.demand]) * hours,
        position_mw=position_mw,
        spread_eur_per_mwh=spread_eur_per_mwh,
        offered=offered,
        generators=Own() if e.own is None else laid_out(e.own, over),
        band=band,
        other_month=np.zeros(steps, np.bool_),
    )


__all__ = ["day_hours", "day_steps", "plan_input"]
