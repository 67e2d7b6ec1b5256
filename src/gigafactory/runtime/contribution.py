"""What held a run back month by month, what its flexibility earned and cost, what it gave the grid.

Everything is read from the book and the trace after the run; nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gigafactory.adapters.twin import SENSES
from gigafactory.factory.models import Factory, Ppa
from gigafactory.kernel import FULL_SPEED, Why
from gigafactory.ledger import METERS, Book
from gigafactory.ledger.book import PAID, RECEIPT
from gigafactory.ledger.facts import GROUP_COLUMNS, POOL_COLUMNS
from gigafactory.runtime.loop import Trace
from gigafactory.runtime.told import Told
from gigafactory.runtime.wiring import CLASSES
from gigafactory.units import NS_PER_H

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

#: What can hold a run back, in the order in which it is asked.
RESOURCES: Final = ("connection", "price", "accelerators", "placement", "work")
#: Import at or above this part of its limit is at its limit; nodes held at or above it are all.
FULL_SHARE: Final = 0.98
#: Accounts of the book that flexibility is paid through; those a run has are counted.
SOLD: Final = (
    "fcr_capacity",
    "afrr_capacity",
    "afrr_energy",
    "reserve_penalty",
    "congestion",
    "breach",
)
#: A plant is new capacity for its buyer when it came into operation no earlier than so many months
#: before the contract began. The rule of Delegated Regulation (EU) 2023/1184, article 5, for
#: renewable hydrogen, applied here by analogy: no such duty for data centres is known to us.
ADDITIONAL_MONTHS: Final = 36
#: The system is short in its dearest hours: this share of them. Our assumption.
DEAR_SHARE: Final = 0.05

#: Meters that make up what a site uses.
_SITE_USE: Final = ("it", "cooling", "losses", "auxiliary")

_SENSE = {name: i for i, name in enumerate(SENSES)}
_METER = {name: i for i, name in enumerate(METERS)}
_GROUP = {name: i for i, name in enumerate(GROUP_COLUMNS)}
_POOL = {name: i for i, name in enumerate(POOL_COLUMNS)}


def statements(
    told: Told, book: Book, trace: Trace, yardstick: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The three statements, as keys of the summary."""
    return {
        "flexibility": flexibility(told, book, trace, yardstick),
        "contribution": contribution(told, book, trace),
        "binding": binding(told, book, trace),
    }


def _of_sites(book: Book, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Values per period and pool added up per site, [n, sites, ...]."""
    pool_site = np.array(book.header.pool_site)
    parts = [values[:, pool_site == s].sum(axis=1) for s in range(len(book.header.sites))]
    return np.stack(parts, axis=1)


def _metered_mwh(book: Book, name: str) -> Array:
    """A meter per period and site, [n, sites]."""
    return np.asarray(book.meter[: book.periods, :, _METER[f"{name}_wh"]] / 1e6)


def _months(told: Told, periods: int) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Names of the local months, and the number of that of each of the first periods."""
    names, of_day = told.calendar.months(told.calendar.days)
    return names, of_day[told.calendar.day_of[:periods]]


def bound_by(book: Book, trace: Trace) -> npt.NDArray[np.int64]:
    """What held each site back in each period, an index into `RESOURCES`, int64[n, sites].

    - *connection*: work was slowed or paused, import was at its limit while work waited, or racks
      stayed dark for want of power while work waited;
    - *price*: work was kept waiting for cheaper energy while accelerators were free;
    - *accelerators*: work waited and all of them were held;
    - *placement*: work waited, accelerators were free and no rule let it have them (gangs that
      need more together, guarantees, caps);
    - *work*: nothing waited.
    """
    n = book.periods
    step_h = book.header.edges_ns[2] / NS_PER_H
    pool = _of_sites(book, book.pool[:n])
    group = _of_sites(book, book.group[:n])
    used = group[..., _GROUP["used_ns"]]
    slowed = ((trace.speed[:n] < FULL_SPEED) & (used > 0)).any(axis=2)
    paused = group[..., _GROUP["paused_ns"]].sum(axis=2) > 0
    limit = trace.senses[:n, :, _SENSE["limit_mw"]]
    at_limit = _metered_mwh(book, "import") / step_h >= FULL_SHARE * limit
    queue = pool[..., _POOL["queued_accelerators"]] > 0
    service = pool[..., _POOL["service_ns"]]
    full = pool[..., _POOL["held_ns"]] >= FULL_SHARE * service
    dark = pool[..., _POOL["awaiting_ns"]] > 0
    held = trace.held[:n].any(axis=2)
    return np.select(
        [slowed | paused | (queue & (at_limit | (dark & full))), held & ~full, queue & full, queue],
        [0, 1, 2, 3],
        default=4,
    )


def binding(told: Told, book: Book, trace: Trace) -> list[dict[str, Any]]:
    """Which resource held the run back, month by month.

    Returns:
        Per local month: hours of all sites by resource, the one with most hours, and the
        accelerator-hours that stood still while each bound.
    """
    n, sites = book.periods, len(book.header.sites)
    names, month = _months(told, n)
    by = bound_by(book, trace)
    step_h = book.header.edges_ns[2] / NS_PER_H
    pool = _of_sites(book, book.pool[:n])
    used = _of_sites(book, book.group[:n])[..., _GROUP["used_ns"]].sum(axis=2)
    up = pool[..., _POOL["installed_ns"]] - pool[..., _POOL["down_ns"]]
    still = np.maximum(up - used, 0) / NS_PER_H
    rows = []
    for m, name in enumerate(names):
        mine = month == m
        if not mine.any():
            continue
        hours = [float((by[mine] == r).sum()) * step_h for r in range(len(RESOURCES))]
        idle = [float(still[mine][by[mine] == r].sum()) for r in range(len(RESOURCES))]
        rows.append(
            {
                "month": name,
                "site_hours": float(mine.sum()) * step_h * sites,
                "most": RESOURCES[int(np.argmax(hours))],
                "hours": dict(zip(RESOURCES, hours, strict=True)),
                "idle_gpu_h": dict(zip(RESOURCES, idle, strict=True)),
            }
        )
    return rows


# --- what flexibility earned and gave up --------------------------------------------------------


def flexibility(
    told: Told, book: Book, trace: Trace, yardstick: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What flexibility earned beside the accelerator-hours it and the limits took, in euros.

    Earned is what the market paid: the realised cost of energy against the naive one (battery at
    rest, every contract taken), less what trade after the auction and imbalance cost beyond the
    day-ahead price; what work put off for cheaper energy saved against beginning at once; and every
    account that reserves and congestion services are paid through. Given up are hours by cause, at
    what an hour of their class sold for in this run; work put off is done later, so it costs its
    delay and no hours. Its whole wait is counted, also where nodes were short after it was let go.

    Args:
        told: what the run was made of.
        book: accounts of the run.
        trace: what the book does not keep.
        yardstick: the run held against its bound, or None.
    """
    n = book.periods
    paid = {name: float(book.paid[:n, :, i].sum()) / 1e6 for i, name in enumerate(PAID)}
    earned: dict[str, float] = {name: -paid[name] for name in SOLD if name in paid}
    if yardstick is not None:
        hourly = yardstick["hourly"]
        if hourly["naive_eur"] is not None and hourly["realised_eur"] is not None:
            earned["battery_and_contracts"] = hourly["naive_eur"] - hourly["realised_eur"]
        earned["intraday"] = -yardstick["intraday_eur"]
        earned["imbalance"] = -yardstick["imbalance_eur"]
    sold = _worth(book)
    lost, given = _lost_gpu_h(book, trace), {}
    for cause, hours in lost.items():
        given[cause] = float(hours @ sold["eur_per_gpu_h"])
    kept = _kept_back(book)
    delayed = _delayed_gpu_h(book, kept)
    earned["work_put_off"] = _saved_eur(book, trace, kept)
    delay = {str(k): v for k, v in told.factory.policy.delay_cost_eur_per_gpu_h.items()}
    cost = np.array([delay.get(label, 1.0) for label in CLASSES]) / 24.0
    given["put_off"] = float(delayed @ cost)
    return {
        "earned_eur": earned,
        "given_up_eur": given,
        "net_eur": sum(earned.values()) - sum(given.values()),
        "lost_gpu_h": {cause: float(hours.sum()) for cause, hours in lost.items()},
        "put_off_gpu_h2": float(delayed.sum()),
        "worth": {
            label: {key: _whole(values[g]) for key, values in sold.items()}
            for g, label in enumerate(CLASSES)
        },
    }


def _whole(value: float) -> float | None:
    return float(value) if np.isfinite(value) and value > 0.0 else None


def _worth(book: Book) -> dict[str, Array]:
    """What an accelerator-hour, and a MWh of IT energy, of each class sold for in the run."""
    n = book.periods
    revenue = book.revenue[:n].sum(axis=(0, 1)) / 1e6
    hours = (book.useful_s[:n] + book.overhead_s[:n]).sum(axis=(0, 1)) / 3600
    energy = book.it_wh[:n, :, : len(CLASSES)].sum(axis=(0, 1)) / 1e6
    return {
        "eur_per_gpu_h": np.where(hours > 0, revenue / np.maximum(hours, 1e-9), 0.0),
        "eur_per_mwh": np.where(energy > 0, revenue / np.maximum(energy, 1e-9), 0.0),
    }


def _lost_gpu_h(book: Book, trace: Trace) -> dict[str, Array]:
    """Accelerator-hours that power took from work, by cause and class.

    Paused: held and standing still. Slowed: what slower accelerators did less than at full speed.
    Undone: work done again because power ran short.
    """
    group = _of_sites(book, book.group[: book.periods])
    used = group[..., _GROUP["used_ns"]] / NS_PER_H
    lack = 1.0 - trace.speed[: book.periods] / FULL_SPEED
    return {
        "paused": np.asarray(group[..., _GROUP["paused_ns"]].sum(axis=(0, 1)) / NS_PER_H),
        "slowed": np.asarray((used * lack).sum(axis=(0, 1))),
        "undone": np.asarray(group[..., _GROUP["lost_ns"]].sum(axis=(0, 1)) / NS_PER_H),
    }


def _kept_back(book: Book) -> Flags:
    """Jobs that were kept back for cheaper energy when they came."""
    known = (book.ask["pool"] >= 0) & (book.waited_for >= 0)
    return np.asarray(known & (book.waited_for % 256 == int(Why.HELD)))


def _end_ns(book: Book) -> int:
    return book.header.edges_ns[0] + book.periods * book.header.edges_ns[2]


def _saved_eur(book: Book, trace: Trace, kept: Flags) -> float:
    """What the energy of work kept back would have cost more had each job begun when it came.

    Each job's energy, with its part of what the site draws beside IT, at the mean day-ahead price
    of the hours in which it ran, against that of as many hours from its submission on.
    """
    n, receipt = book.periods, dict(zip(RECEIPT, book.receipt, strict=True))
    ran = kept & (receipt["start_ns"] >= 0) & (receipt["energy_wh"] > 0)
    submit, start = receipt["submit_ns"][ran], receipt["start_ns"][ran]
    end = np.where(receipt["end_ns"][ran] >= 0, receipt["end_ns"][ran], _end_ns(book))
    end = np.maximum(end, start + 1)
    site_of = np.array(book.header.pool_site)[book.ask["pool"][ran]]
    first, _, step = book.header.edges_ns
    edges = first + step * np.arange(n + 1, dtype=np.int64)
    saved = 0.0
    for s in range(len(book.header.sites)):
        mine = site_of == s
        price = trace.senses[:n, s, _SENSE["price_eur_per_mwh"]]
        summed = np.concatenate([[0.0], np.cumsum(price)])
        span = end[mine] - start[mine]

        def mean(since: npt.NDArray[np.int64], length: npt.NDArray[np.int64]) -> Array:
            a, b = (np.interp(t, edges, summed) for t in (since, since + length))  # noqa: B023
            return np.asarray((b - a) / (length / step))

        mwh = receipt["energy_wh"][ran][mine] / 1e6
        it = float(_metered_mwh(book, "it")[:, s].sum())
        used = sum(float(_metered_mwh(book, m)[:, s].sum()) for m in _SITE_USE)
        gain = mwh * (mean(submit[mine], span) - mean(start[mine], span))
        saved += float(gain.sum()) * (used / it if it > 0 else 1.0)
    return saved


def _delayed_gpu_h(book: Book, kept: Flags) -> Array:
    """Accelerators times hours that jobs kept back for cheaper energy waited, per class."""
    submit, start = (book.receipt[RECEIPT.index(k)] for k in ("submit_ns", "start_ns"))
    waited_h = (np.where(start >= 0, start, _end_ns(book)) - submit) / NS_PER_H
    weight = book.ask["accelerators"][kept] * waited_h[kept]
    mine = book.ask["job_class"][kept]
    return np.bincount(mine, weights=weight, minlength=len(CLASSES)).astype(np.float64)


# --- what the factory takes from the system and gives to it --------------------------------------


def contribution(told: Told, book: Book, trace: Trace) -> dict[str, Any]:
    """What the factory took from the energy system and gave to it, quarter by quarter.

    Returns:
        `contracts`: per power contract its energy, when its plant came into operation, and whether
        it was new for this buyer; `additional_share`: new renewable energy as a part of all that
        the sites used; `quarters`: per calendar quarter what was taken and given.
    """
    n = book.periods
    names, month = _months(told, n)
    quarter = np.array([f"{m[:4]}-Q{(int(m[5:7]) + 2) // 3}" for m in names])[month]
    contracts = [_contract(book, told.factory, k) for k in range(len(book.header.contracts))]
    new = [k for k, row in enumerate(contracts) if row["additional"]]
    added = book.contract[:n, new, 0].sum(axis=1) / 1e6
    used = sum(_metered_mwh(book, m) for m in _SITE_USE)
    used = np.asarray(used).sum(axis=1)
    rows = [
        _quarter(book, trace, np.asarray(quarter == name), name, added, used)
        for name in dict.fromkeys(quarter.tolist())
    ]
    return {
        "contracts": contracts,
        "additional_mwh": float(added.sum()),
        "additional_share": float(added.sum() / used.sum()) if used.sum() > 0 else None,
        "rule": f"in operation at most {ADDITIONAL_MONTHS} months before the contract began",
        "ppa_share": float(book.contract[:n, :, 0].sum() / 1e6 / used.sum())
        if used.sum() > 0
        else None,
        "new_capacity": _new_capacity(told.factory),
        "quarters": rows,
    }


def _new_capacity(factory: Factory) -> list[dict[str, Any]]:
    """New plants that power contracts made possible, by the year they came into operation."""
    new = [p for p in factory.energy.ppas if _months_before(p) <= ADDITIONAL_MONTHS]
    return [
        {
            "year": year,
            "capacity_mw": sum(p.capacity_mw for p in new if p.commissioned.year == year),
            "contracts": [p.name for p in new if p.commissioned.year == year],
        }
        for year in sorted({p.commissioned.year for p in new})
    ]


def _months_before(ppa: Ppa) -> int:
    """Whole months from a plant's first operation to the beginning of the contract."""
    done, began = ppa.commissioned, ppa.from_
    months = 12 * (began.year - done.year) + began.month - done.month
    return months - (1 if began.day < done.day else 0)


def _contract(book: Book, factory: Factory, k: int) -> dict[str, Any]:
    ppa = factory.energy.ppas[k]
    months = _months_before(ppa)
    return {
        "name": ppa.name,
        "taken_mwh": float(book.contract[: book.periods, k, 0].sum()) / 1e6,
        "commissioned": ppa.commissioned.isoformat(),
        "from": ppa.from_.isoformat(),
        "months_before": months,
        "additional": months <= ADDITIONAL_MONTHS,
    }


def _quarter(
    book: Book, trace: Trace, mine: Flags, name: str, added_mwh: Array, used_mwh: Array
) -> dict[str, Any]:
    """What was taken and given in a quarter; power in the dear hours against the mean."""
    n = book.periods
    step_h = book.header.edges_ns[2] / NS_PER_H
    taken = _metered_mwh(book, "import")[mine].sum(axis=1)
    price = trace.senses[:n, 0, _SENSE["price_eur_per_mwh"]][mine]
    count = max(1, round(DEAR_SHARE * len(price)))
    # the dearest first, earlier ones of equals
    dear = np.argsort(-price, kind="stable")[:count]
    mean_mw = float(taken.mean() / step_h)
    dear_mw = float(taken[dear].mean() / step_h)
    paid = float(price.mean())
    weighted = float((price * taken).sum() / taken.sum()) if taken.sum() > 0 else paid
    return {
        "quarter": name,
        "import_mwh": float(taken.sum()),
        "peak_mw": float(taken.max() / step_h),
        "water_m3": float(book.meter[:n, :, _METER["water_ml"]][mine].sum()) / 1e6,
        "used_mwh": float(used_mwh[mine].sum()),
        "new_renewable_mwh": float(added_mwh[mine].sum()),
        "heat_mwh": float(_metered_mwh(book, "heat")[mine].sum()),
        "shifted_mwh": float(_metered_mwh(book, "discharge")[mine].sum()),
        "mean_mw": mean_mw,
        "dear_mw": dear_mw,
        "relief_mw": mean_mw - dear_mw,
        "price_ratio": weighted / paid if paid > 0 else None,
    }
