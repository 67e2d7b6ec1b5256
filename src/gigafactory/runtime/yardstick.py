"""Every run is held against what its sites could have cost had everything been known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gigafactory.adapters.twin import SENSES
from gigafactory.kernel import FULL_SPEED
from gigafactory.ledger import GROUP_COLUMNS, METERS, Book
from gigafactory.ledger.book import PAID
from gigafactory.planner.yardstick import (
    Course,
    Yardstick,
    cost_eur,
    end_worth_eur_per_mwh,
    measure,
    threshold,
)
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
    begin = 0.5 * (battery.soc_max_mwh - battery.soc_min_mwh) if battery else 0.0
    end = _left(battery, begin, metered_mw("charge_wh"), metered_mw("discharge_wh"), hours)
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


def yardstick(world: World, book: Book, trace: Trace, full: bool = False) -> dict[str, Any] | None:
    """Hold every site against its bound, and sum up for the summary.

    Args:
        world: the wired factory.
        book: accounts of the run.
        trace: what the book does not keep.
        full: also the bound at market periods, and a second naive operator.

    Returns:
        Sums over the sites; None before an hour is done.
    """
    hours = book.header.edges_ns[2] / NS_PER_H
    ratio = round(1.0 / hours)
    if book.periods < ratio:
        return None
    shapes = [wire.planner.shape for wire in world.sites]
    courses = [course_of(world, book, trace, s) for s in range(len(world.sites))]
    pairs = list(zip(shapes, courses, strict=True))
    told: dict[str, Any] = {
        "market": "day-ahead and battery",
        "hourly": _sums([measure(shape, course, hours, ratio) for shape, course in pairs]),
        "quarterly": None,
        "threshold_eur": None,
        "intraday_eur": intraday_eur(book, trace),
        "imbalance_eur": imbalance_eur(book, trace),
    }
    if full:
        told["quarterly"] = _sums([measure(shape, course, hours) for shape, course in pairs])
        told["threshold_eur"] = sum(
            cost_eur(shape, other, hours)
            + (course.soc_end_mwh - other.soc_end_mwh) * end_worth_eur_per_mwh(shape, course)
            for shape, course in pairs
            for other in (threshold(shape, course, hours),)
        )
    return told


def _sums(found: list[Yardstick]) -> dict[str, float | None]:
    names = (
        "realised_eur", "naive_eur", "bound_eur", "standing_eur", "regret_eur", "controllable_eur",
        "energy_regret_eur", "energy_controllable_eur", "scheduler_gap_eur",
    )  # fmt: skip
    sums = {name: sum(getattr(y, name) for y in found) for name in names}
    told: dict[str, float | None] = {
        key: value if math.isfinite(value) else None for key, value in sums.items()
    }
    for part in ("", "energy_"):
        worth, regret = told[f"{part}controllable_eur"], told[f"{part}regret_eur"]
        known = worth is not None and regret is not None and worth > 1.0
        told[f"{part}regret_share"] = regret / worth if known else None  # type: ignore[operator]
    return told


def intraday_eur(book: Book, trace: Trace) -> float:
    """What trade after the auction cost beyond the day-ahead price."""
    n = book.periods
    price = trace.senses[:n, :, _SENSE["price_eur_per_mwh"]]
    worth = (book.meter[:n, :, _METER["intraday_wh"]] / 1e6 * price).sum()
    return float(book.paid[:n, :, PAID.index("intraday")].sum() / 1e6 - worth)


def imbalance_eur(book: Book, trace: Trace) -> float:
    """What imbalance cost beyond the day-ahead price, by the book."""
    n = book.periods
    price = trace.senses[:n, :, _SENSE["price_eur_per_mwh"]]
    worth = (book.imbalance_wh[:n] / 1e6 * price).sum()
    return float(book.paid[:n, :, PAID.index("imbalance")].sum() / 1e6 - worth)
