"""Own generation and outages of the grid in the summary: everything from the book and the trace."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.grid.calendar import utc_text
from gigafactory.jobs import JobClass
from gigafactory.ledger import GENERATOR_COLUMNS, GROUP_COLUMNS, METERS, Book
from gigafactory.ledger.book import FATES
from gigafactory.runtime.loop import Trace
from gigafactory.runtime.supply import generators_of
from gigafactory.runtime.told import Told
from gigafactory.runtime.wiring import CLASSES
from gigafactory.units import NS_PER_H

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Share of the accelerators at work before an outage that counts as everything running again.
BACK_SHARE = 0.95
_M = {name: i for i, name in enumerate(METERS)}
_O = {name: i for i, name in enumerate(GENERATOR_COLUMNS)}
_USED = GROUP_COLUMNS.index("used_ns")
_REALTIME = int(JobClass.INFERENCE_REALTIME)


def own_generation(told: Told, book: Book) -> dict[str, Any]:
    """What own generators made, burnt, cost and emitted: in all, by generator and by month."""
    n = book.periods
    rows, month = [], told.calendar.local_month[:n]
    per_period = {name: np.zeros(n) for name in _MONTHLY}
    for k, one in enumerate(generators_of(told.factory)):
        parts = _of_generator(book, k, one.built().nox_kg_per_mwh)
        for name in _MONTHLY:
            per_period[name] += parts[name]
        sums = {name: float(values.sum()) for name, values in parts.items()}
        stock = int(book.generator[n - 1, k, _O["stock_wh"]]) if n else -1
        rows.append(
            {
                "generator": one.name,
                "site": one.site,
                "kind": one.kind,
                "emergency": one.emergency,
                **sums,
                "stock_mwh": stock / 1e6 if stock >= 0 else None,
            }
        )
    years = [day.year for day in told.calendar.local_dates]
    at = np.array(years, np.int64)[told.calendar.day_of[:n]] * 12 + month - 1
    return {
        **{name: float(values.sum()) for name, values in per_period.items()},
        "dumped_mwh": float(book.meter[:n, :, _M["dumped_wh"]].sum()) / 1e6,
        "generators": rows,
        "by_month": [
            {
                "month": f"{int(m) // 12:04d}-{int(m) % 12 + 1:02d}",
                **{name: float(values[at == m].sum()) for name, values in per_period.items()},
            }
            for m in np.unique(at)
        ]
        if rows
        else [],
    }


_MONTHLY = ("made_mwh", "fuel_mwh", "cost_eur", "co2_kg", "nox_kg", "water_m3")


def _of_generator(book: Book, k: int, nox_kg_per_mwh: float) -> dict[str, Floats]:
    """Readings of a generator per period, in the units of the summary."""
    h, n = book.header, book.periods
    read = {name: book.generator[:n, k, i].astype(np.float64) for name, i in _O.items()}
    fuel_mwh, made_mwh = read["fuel_wh"] / 1e6, read["made_wh"] / 1e6
    cost = fuel_mwh * (h.generator_fuel[k] + h.generator_co2_price[k])
    cost = cost + made_mwh * h.generator_upkeep[k] + read["starts"] * h.generator_start[k]
    return {
        "made_mwh": made_mwh,
        "fuel_mwh": fuel_mwh,
        "cost_eur": cost / 1e6,
        "co2_kg": fuel_mwh * h.generator_co2[k] / 1e6,
        "nox_kg": made_mwh * nox_kg_per_mwh,
        "water_m3": read["water_ml"] / 1e6,
        "delivered_mwh": read["delivered_wh"] / 1e6,
        "run_h": read["run_s"] / 3600.0,
        "starts": read["starts"],
    }


def outage_rows(book: Book, trace: Trace) -> list[dict[str, Any]]:
    """A row per outage of the grid that began in the days done."""
    h = book.header
    rows = []
    for site, first, last in zip(h.outage_site, h.outage_first, h.outage_last, strict=True):
        if first < book.periods:
            rows.append(_row(book, trace, site, first, min(last, book.periods)))
    return rows


def _row(book: Book, trace: Trace, site: int, first: int, last: int) -> dict[str, Any]:
    h, hours = book.header, book.header.edges_ns[2] / NS_PER_H
    during = slice(first, last)
    meter = book.meter[during, site]
    mine = [k for k, of in enumerate(h.generator_site) if of == site]
    own = book.generator[during, mine].sum(axis=1)
    alive = meter[:, _M["auxiliary_wh"]] + meter[:, _M["it_wh"]] > 0
    said = [f for f in trace.islands if f["site"] == site and f["outage"] == first]
    way_back = next((f for f in said if f["kind"] == "restart"), None)
    return {
        "site": h.sites[site],
        "from": _when(book, first),
        "until": _when(book, last),
        "hours": (last - first) * hours,
        "islanded_h": float(alive.sum()) * hours,
        "import_mwh": float(meter[:, _M["import_wh"]].sum()) / 1e6,
        "export_mwh": float(meter[:, _M["export_wh"]].sum()) / 1e6,
        "made_mwh": float(own[:, _O["made_wh"]].sum()) / 1e6,
        "fuel_mwh": float(own[:, _O["fuel_wh"]].sum()) / 1e6,
        "discharge_mwh": float(meter[:, _M["discharge_wh"]].sum()) / 1e6,
        "served_it_mwh": float(meter[:, _M["it_wh"]].sum()) / 1e6,
        "not_served_mwh": _not_served(book, site, first, last),
        "shed_after_h": _shed(book, site, first, last),
        "lost_gpu_h": float(book.fate_s[during, site, _LOST].sum()) / 3600.0,
        "fuel_out_h": _fuel_out(book, mine, first, last),
        "contracts_broken": _broken(book, site, first, last),
        "restart_min": None if way_back is None else way_back["done_min"],
        "back_after_h": _back(book, site, first, last),
        "plans": sum(f["kind"] == "island" for f in said),
    }


_LOST = FATES.index("lost_response")


def _when(book: Book, period: int) -> str:
    begin, _, step = book.header.edges_ns
    return utc_text(begin + period * step)


def _running(book: Book, site: int) -> Floats:
    """Accelerators at work per period and class, [P, classes]."""
    pools = [i for i, of in enumerate(book.header.pool_site) if of == site]
    used = book.group[: book.periods][:, pools].sum(axis=1)[..., _USED]
    return np.asarray(used / book.header.edges_ns[2])


def _not_served(book: Book, site: int, first: int, last: int) -> dict[str, float | None]:
    """IT energy per class that would have been drawn as just before the outage, and was not."""
    if first == 0:
        return dict.fromkeys(CLASSES)
    before, drawn = book.it_wh[first - 1, site], book.it_wh[first:last, site]
    lacks = np.maximum(before[None, :] - drawn, 0).sum(axis=0) / 1e6
    return {label: float(lacks[g]) for g, label in enumerate(CLASSES)}


def _shed(book: Book, site: int, first: int, last: int) -> dict[str, float | None]:
    """By class, hours from the loss of the grid until it last ran; None: to the end."""
    hours, runs = book.header.edges_ns[2] / NS_PER_H, _running(book, site)[first:last] > 0.0
    found: dict[str, float | None] = {}
    for g, label in enumerate(CLASSES):
        served = np.flatnonzero(runs[:, g])
        ended = int(served[-1]) + 1 if len(served) else 0
        found[label] = None if ended == last - first else ended * hours
    return found


def _fuel_out(book: Book, mine: list[int], first: int, last: int) -> float | None:
    """Hours from the loss of the grid until the tanks were empty; None where they were not."""
    hours = book.header.edges_ns[2] / NS_PER_H
    tanks = [k for k in mine if book.header.generator_stock[k] >= 0]
    if not tanks:
        return None
    stock = book.generator[first:last, tanks, _O["stock_wh"]].sum(axis=1)
    burnt = book.generator[first:last, tanks, _O["fuel_wh"]].sum(axis=1)
    ended = np.flatnonzero(burnt > 0)
    if not len(ended) or ended[-1] + 1 == len(burnt) or stock[-1] > 0.01 * max(int(stock[0]), 1):
        return None
    return float(ended[-1] + 1) * hours


def _broken(book: Book, site: int, first: int, last: int) -> list[str]:
    """Tenants whose real-time services answered when the grid failed, and later had no replica."""
    h = book.header
    begin, _, step = h.edges_ns
    t0, t1 = begin + first * step, begin + last * step
    if not book.replicas:
        return []
    job, opened, closed = np.concatenate(book.replicas).T
    here = np.array(h.pool_site)[book.ask["pool"][job]] == site
    here &= (closed > t0) & (opened < t1)
    broken = []
    for number in np.unique(book.ask["tenant"][job[here]]):
        mine = here & (book.ask["tenant"][job] == number)
        if not (mine & (opened < t0)).any():
            continue
        until = t0
        for a, b in sorted(zip(opened[mine].tolist(), closed[mine].tolist(), strict=True)):
            if a > until:
                break
            until = max(until, b)
        if until < t1:
            broken.append(h.tenants[number])
    return broken


def _back(book: Book, site: int, first: int, last: int) -> float | None:
    """Hours from the return of the grid until as many accelerators work as before the outage."""
    if first == 0 or last >= book.periods:
        return None
    hours, busy = book.header.edges_ns[2] / NS_PER_H, _running(book, site).sum(axis=1)
    found = np.flatnonzero(busy[last:] >= BACK_SHARE * busy[first - 1])
    return float(found[0]) * hours if len(found) else None


__all__ = ["BACK_SHARE", "outage_rows", "own_generation"]
