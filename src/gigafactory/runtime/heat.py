"""Waste heat of a run: what was handed over, what became of it, and how many homes that warms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.factory.models import Site
from gigafactory.ledger import METERS, Book
from gigafactory.plant.heat import heat_balance, homes_by_hour, homes_by_rule
from gigafactory.runtime.leaving import SiteCourse
from gigafactory.runtime.thermal import lift_of
from gigafactory.runtime.told import Told

Array = npt.NDArray[np.float64]

_M = {name: i for i, name in enumerate(METERS)}
_YEAR_H = 8766.0
_METER_MWH = 2e-6
#: Months whose surplus is told apart: the half of the year in which homes want little.
SUMMER = (4, 9)


def heat(told: Told, book: Book, made: list[SiteCourse]) -> dict[str, Any]:
    """The block `heat` of the summary: a row per site that has a network, and its months."""
    sites, months = [], []
    for s, (name, site) in enumerate(told.factory.sites.items()):
        if site.heat is not None and book.periods:
            row, parts = _site(told, book, made[s], s, (name, site))
            sites.append(row)
            months += parts
    return {"sites": sites, "by_month": months}


def _site(
    told: Told, book: Book, course: SiteCourse, s: int, named: tuple[str, Site]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    (name, site), n = named, book.periods
    block = site.heat
    assert block is not None
    hours = course.hours
    over, metered, own = (
        book.meter[:n, s, _M[k]] / 1e6 for k in ("heat_wh", "heat_network_wh", "heat_pump_wh")
    )
    lift = lift_of(site)
    have = np.where(course.it_mw > 0.0, course.plant.heat_rejected_mw, 0.0) * hours
    wanted = block.peak_demand_mw * told.signals.heat_demand.values[:n]
    # a meter counts whole units: what lacks less than two of them lacks nothing
    asked = wanted * hours
    network = np.where(np.abs(metered - asked) <= _METER_MWH, asked, metered)
    # the homes' demand is the network's: scaled so that it is what was wanted hour by hour
    total = float(wanted.sum()) * hours
    need = total / block.homes * _YEAR_H / (n * hours) if block.homes and total else 0.0
    check = homes_by_hour(block.homes, network / hours, wanted, hours, need)
    low, high = homes_by_rule(block.power_mw_max)
    months = _months(told, name, block.homes, (network / hours, wanted, have - over), hours, need)
    summer = [m for m in months if SUMMER[0] <= int(m["month"][-2:]) <= SUMMER[1]]
    row = {
        "site": name,
        "handed_over_mwh": float(over.sum()),
        "into_network_mwh": float(metered.sum()),
        "pump_owner": block.pump.owner if block.pump else None,
        "cop": lift.cop if lift and math.isfinite(lift.cop) else None,
        "pump_mwh": float((metered - over).sum()),
        "pump_own_mwh": float(own.sum()),
        "unused_mwh": float((have - over).sum()),
        "homes": block.homes,
        "homes_by_rule_low": low,
        "homes_by_rule_high": high,
        "homes_always": check.homes_always if math.isfinite(check.homes_always) else None,
        "need_mwh": check.need_mwh,
        "covered_mwh": check.covered_mwh,
        "covered_share": check.covered_share if math.isfinite(check.covered_share) else None,
        "short_h": check.short_hours,
        "summer_unused_mwh": float(sum(m["unused_mwh"] for m in summer)),
    }
    return row, months


def _months(
    told: Told,
    site: str,
    homes: float,
    flows: tuple[Array, Array, Array],
    hours: float,
    need_mwh: float,
) -> list[dict[str, Any]]:
    """Heat wanted, covered, lacking and left over by month, hour by hour.

    Args:
        told: what the run was made of.
        site: its name.
        homes: on the network.
        flows: heat into the network and heat wanted, MW, and waste heat nobody took, MWh; [N] each.
        hours: length of a period, h.
        need_mwh: of a home in a year.
    """
    network, wanted, left_mwh = flows
    names, of_day = told.calendar.months(told.calendar.days)
    month = of_day[told.calendar.day_of[: len(network)]]
    found = heat_balance(homes, network, wanted, np.full(len(month), hours), month, need_mwh)
    return [
        {
            "site": site,
            "month": names[part],
            "need_mwh": float(found.need_mwh[k]),
            "covered_mwh": float(found.covered_mwh[k]),
            "short_mwh": float(found.short_mwh[k]),
            "unused_mwh": float(left_mwh[month == part].sum()),
        }
        for k, part in enumerate(found.part)
    ]


__all__ = ["SUMMER", "heat"]
