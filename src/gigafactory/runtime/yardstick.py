"""Every run is held against what its sites could have cost had everything been known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gigafactory.adapters.twin import SENSES
from gigafactory.kernel import FULL_SPEED
from gigafactory.ledger import GROUP_COLUMNS, METERS, Book
from gigafactory.planner.shape import SiteShape
from gigafactory.planner.yardstick import Course, Yardstick, measure
from gigafactory.plant.battery import Battery
from gigafactory.runtime.loop import Trace
from gigafactory.runtime.wiring import World
from gigafactory.units import NS_PER_H, NS_PER_S

_SENSE = {name: i for i, name in enumerate(SENSES)}
_METER = {name: i for i, name in enumerate(METERS)}
_USED_NS = GROUP_COLUMNS.index("used_ns")


def course_of(world: World, book: Book, trace: Trace, site: int) -> Course:
    """What a site did, from the book, per market period.

    Args:
        world: the wired factory.
        book: accounts of the run so far.
        trace: what the book does not keep.
        site: number of the site.
    """
    n = book.periods
    step_ns = book.header.edges_ns[2]
    hours = step_ns / NS_PER_H

    def metered_mw(name: str) -> Any:
        return book.meter[:n, site, _METER[name]] / (1e6 * hours)

    pools = list(world.sites[site].pools)
    contracts = [k for k, of in enumerate(world.twin.contract_site) if of == site]
    taken = book.contract[:n, contracts, 0].T / (1e6 * hours)
    cut = book.contract[:n, contracts, 1].T / (1e6 * hours)
    used = book.group[:n][:, pools].sum(axis=1)[:, :, _USED_NS] / step_ns
    # slowed work does less in the same time; it is work done that the bound has to do as well
    work = used * trace.speed[:n, site] / FULL_SPEED
    sense = trace.senses[:n, site]
    battery = world.twin.sites[site].battery
    low = battery.soc_min_mwh if battery else 0.0
    begin = 0.5 * (battery.soc_max_mwh - battery.soc_min_mwh) if battery else 0.0
    end = _left(battery, begin, metered_mw("charge_wh"), metered_mw("discharge_wh"), hours)
    assert low >= 0.0
    return Course(
        price_eur_per_mwh=sense[:, _SENSE["price_eur_per_mwh"]],
        limit_mw=sense[:, _SENSE["limit_mw"]],
        export_limit_mw=np.full(n, world.sites[site].export_mw),
        import_mw=metered_mw("import_wh"),
        export_mw=metered_mw("export_wh"),
        charge_mw=metered_mw("charge_wh"),
        discharge_mw=metered_mw("discharge_wh"),
        contract_mw=taken + cut,
        taken_mw=taken,
        running=work.T,
        capacity=book.installed_s[:n, site] / (step_ns / NS_PER_S),
        soc_start_mwh=begin,
        soc_end_mwh=end,
    )


def _left(
    battery: Battery | None, begin: float, charge: Any, discharge: Any, hours: float
) -> float:
    """Energy above the lower bound that the metered flows leave."""
    if battery is None:
        return 0.0
    gained = (
        charge.sum() * battery.charge_efficiency - discharge.sum() / battery.discharge_efficiency
    )
    usable = battery.soc_max_mwh - battery.soc_min_mwh
    return float(np.clip(begin + gained * hours, 0.0, usable))


def yardstick(
    world: World, book: Book, trace: Trace, ratio: int = 4
) -> tuple[list[Yardstick], dict[str, Any] | None]:
    """Hold every site against its bound, and sum up.

    Args:
        world: the wired factory.
        book: accounts of the run.
        trace: what the book does not keep.
        ratio: market periods per step of the bound.

    Returns:
        One yardstick per site, and the sums for the summary; None before a whole step is done.
    """
    if book.periods < ratio:
        return [], None
    hours = book.header.edges_ns[2] / NS_PER_H
    found = []
    for s, wire in enumerate(world.sites):
        shape: SiteShape = wire.planner.shape
        found.append(measure(shape, course_of(world, book, trace, s), hours, ratio))
    sums = {
        name: sum(getattr(y, name) for y in found)
        for name in ("realised_eur", "naive_eur", "bound_eur", "regret_eur", "controllable_eur")
    }
    worth = sums["controllable_eur"]
    told = {key: (value if math.isfinite(value) else None) for key, value in sums.items()}
    share = sums["regret_eur"] / worth if math.isfinite(worth) and worth > 0.0 else None
    return found, {
        "market": "day-ahead and battery",
        "step_h": hours * ratio,
        **told,
        "regret_share": share,
        "imbalance_eur": imbalance_eur(book, trace),
    }


def imbalance_eur(book: Book, trace: Trace) -> float:
    """What imbalance cost beyond the day-ahead price: metered less bought, at the difference."""
    n = book.periods
    price = trace.senses[:n, :, _SENSE["price_eur_per_mwh"]]
    stray = trace.senses[:n, :, _SENSE["imbalance_eur_per_mwh"]]
    return float((book.imbalance_wh[:n] / 1e6 * (stray - price)).sum())
