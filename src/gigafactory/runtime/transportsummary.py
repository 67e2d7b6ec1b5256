"""What the contracts of the connections came to, for the summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.adapters.twin import SENSES
from gigafactory.factory.sites import GridConnection
from gigafactory.factory.transportchecks import FIRM_NAME
from gigafactory.grid import MarketCalendar
from gigafactory.grid.ramps import edges
from gigafactory.grid.rights import hours_of_year, violations
from gigafactory.ledger import METERS, Book
from gigafactory.runtime.loop import Trace
from gigafactory.runtime.told import Told
from gigafactory.runtime.transportbill import rules_for
from gigafactory.units import NS_PER_H

Array = npt.NDArray[np.float64]

_S = {name: i for i, name in enumerate(SENSES)}
_IMPORT = METERS.index("import_wh")
_MAY = {"duration_bound": True, "fully_variable": True}


def transport_summary(told: Told, book: Book, trace: Trace) -> dict[str, Any] | None:
    """Rights, calls, bills and ramps of every connection; None where none has such a contract."""
    lines = {
        name: site.connection
        for name, site in told.factory.sites.items()
        if _contracts(site.connection)
    }
    if not lines or not book.periods:
        return None
    tariff = [row for row in book.invoices if row["account"] == "grid_tariff"]
    instead = sum(row.get("firm_instead_micro_eur", 0) for row in tariff)
    return {
        "simulated": any(line.congestion is not None for line in lines.values()),
        "rights": [
            row
            for name, line in lines.items()
            for row in _rights(name, line, told.calendar, book, trace)
        ],
        "calls": [row for name, line in lines.items() for row in _calls(name, line, book, trace)],
        "bill": _bill(tariff, book.header.sites),
        "bill_eur": sum(row["micro_eur"] for row in tariff) / 1e6,
        "firm_instead_eur": instead / 1e6,
        "beyond_right": sum(_beyond(name, book, trace) for name in lines),
        "ramps": [
            _ramps(name, line.ramp, book, trace) for name, line in lines.items() if line.ramp
        ],
    }


def _contracts(line: GridConnection) -> bool:
    return bool(line.rights or line.tariff or line.congestion or line.ramp)


def _rights(
    name: str, line: GridConnection, calendar: MarketCalendar, book: Book, trace: Trace
) -> list[dict[str, Any]]:
    """A row per right: how much, how long it was restricted, and how long it might have been."""
    rules = rules_for(calendar.local_dates[0])
    lost_share = 1.0 - rules.duration_bound_guaranteed_share
    years = sorted({day.year for day in calendar.local_dates})
    held = [(FIRM_NAME, "firm", line.firm_mw)]
    held += [(right.name, str(right.form), right.capacity_mw) for right in line.rights]
    rows = []
    for right, form, capacity_mw in held:
        said = [
            one
            for one in trace.told
            if (one["what"], one["site"], one["key"]) == ("restriction", name, right)
        ]
        hit = np.zeros(book.periods, np.bool_)
        start = calendar.start_ns[: book.periods]
        for one in said:
            if one["accepted"]:
                hit |= (start >= one["start_ns"]) & (start < one["end_ns"])
        most = {"duration_bound": lost_share * sum(map(hours_of_year, years))}.get(form)
        rows.append(
            {
                "site": name,
                "right": right,
                "form": form,
                "capacity_mw": capacity_mw,
                "restricted_h": float(hit.sum()) * calendar.period_s / 3600.0,
                "restricted_h_max": most if most is not None or form in _MAY else 0.0,
                "announced": len(said),
                "refused": sum(not one["accepted"] for one in said),
            }
        )
    return rows


def _calls(name: str, line: GridConnection, book: Book, trace: Trace) -> list[dict[str, Any]]:
    """A row per kind of call: how many, what was asked, delivered and paid."""
    if line.congestion is None:
        return []
    site = book.header.sites.index(name)
    rows = []
    for kind in ("steering", "redispatch"):
        if getattr(line.congestion, kind) is None:
            continue
        said = [one for one in trace.told if (one["what"], one["site"]) == (kind, name)]
        paid = [r for r in book.invoices if (r["line"], r["site"]) == (kind, site)]
        asked = sum(row["asked"] for row in paid)
        missing = sum(row["missing"] for row in paid)
        delivered = sum(row["quantity"] for row in paid)
        earned = sum(row["earned_micro_eur"] for row in paid)
        rows.append(
            {
                "site": name,
                "kind": kind,
                "told": len(said),
                "accepted": sum(one["accepted"] for one in said),
                "hours": len(paid) * book.header.edges_ns[2] / NS_PER_H,
                "asked_mwh": asked,
                "delivered_mwh": delivered,
                "missing_mwh": missing,
                "delivered_share": delivered / asked if asked else None,
                "paid_eur": earned / 1e6,
                "charged_eur": (earned + sum(row["micro_eur"] for row in paid)) / 1e6,
            }
        )
    return rows


def _bill(rows: list[dict[str, Any]], sites: tuple[str, ...]) -> list[dict[str, Any]]:
    """The lines of all bills, those of the same name added up."""
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = sites[row["site"]], row["line"]
        line = lines.setdefault(
            key,
            {"site": key[0], "line": key[1], "quantity": 0.0, "unit": row["unit"], "micro": 0},
        )
        line["quantity"] += row["quantity"]
        line["micro"] += row["micro_eur"]
    for line in lines.values():
        line["amount_eur"] = line.pop("micro") / 1e6
    return list(lines.values())


def _metered_mw(site: int, book: Book) -> Array:
    hours = book.header.edges_ns[2] / NS_PER_H
    return np.asarray(book.meter[: book.periods, site, _IMPORT] / (1e6 * hours))


def _beyond(name: str, book: Book, trace: Trace) -> int:
    """Stretches of time in which more was taken than was allowed; a watt-hour is no breach."""
    site = book.header.sites.index(name)
    limit = trace.senses[: book.periods, site, _S["limit_mw"]]
    return violations(_metered_mw(site, book), limit, tolerance_mw=1e-3)


def _ramps(name: str, share: float, book: Book, trace: Trace) -> Mapping[str, Any]:
    """How import moved at the edges between quarters, against the site's ramp."""
    site = book.header.sites.index(name)
    sense = trace.senses[: book.periods, site]
    whole = sense[:, _S["right_firm_mw"] : _S["right_time_block_mw"] + 1].sum(axis=1)
    rate = share * np.maximum(whole + sense[:, _S["restricted_mw"]], 1e-9)
    limit = sense[:, _S["limit_mw"]]
    changed = np.diff(limit, prepend=limit[:1]) != 0.0
    binding = changed | (sense[:, _S["called_mw"]] > 0.0)
    found = edges(_metered_mw(site, book), rate, binding)
    return {
        "site": name,
        "edges": found.edges,
        "exempt": found.exempt,
        "stretched": found.stretched,
        "longest_min": found.longest_min,
        "step_mw_max": found.step_mw_max,
    }


__all__ = ["transport_summary"]
