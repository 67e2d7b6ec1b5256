"""Days without a plan: what could not be kept, as journaled and as told in the summary."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from gigafactory.grid import MarketCalendar
from gigafactory.planner import Plan
from gigafactory.planner.energy import DAY_STEPS
from gigafactory.runtime.replanning import KEPT
from gigafactory.units import NS_PER_H, NS_PER_S

#: What is done without a plan: run within physical limits, battery at rest, take all contracts.
FALLBACK = "flat out"


def conflicts_of(day: int, plans: Sequence[Plan]) -> list[dict[str, Any]]:
    """The conflicts of a day's plans, as the journal keeps them; empty when every site has one."""
    return [
        {
            "day": day,
            "site": s,
            "families": list(plan.conflict.families),
            "first_step": plan.conflict.first_step,
            "last_step": plan.conflict.last_step,
        }
        for s, plan in enumerate(plans)
        if plan.conflict is not None
    ]


def plans_told(
    statuses: Sequence[Sequence[str]],
    conflicts: Sequence[dict[str, Any]],
    calendar: MarketCalendar,
    sites: Sequence[str],
    again: Sequence[Sequence[str]],
) -> dict[str, Any]:
    """How plans ended and which days have none: `plans`, `unplanned` and `replanned`.

    Args:
        statuses: of every day's plans, per site.
        conflicts: as `conflicts_of` gave them.
        calendar: the market periods.
        sites: names.
        again: what became of every plan made again within a day, per site.
    """
    every = [status for row in statuses for status in row]
    told = {
        "days": sum(status != "optimal" for status in every),
        "fallback": FALLBACK,
        "conflicts": [
            {
                "site": sites[row["site"]],
                "day": calendar.local_dates[row["day"]].isoformat(),
                "from": _moment(calendar, row["day"], row["first_step"], 0),
                "until": _moment(calendar, row["day"], row["last_step"], 1),
                "families": row["families"],
            }
            for row in conflicts
        ],
    }
    plans = {status: every.count(status) for status in sorted(set(every))}
    renewed = [status for row in again for status in row]
    replanned = {"plans": len(renewed), "kept": renewed.count(KEPT)}
    return {"plans": plans, "unplanned": told, "replanned": replanned}


def _moment(calendar: MarketCalendar, day: int, step: int, after: int) -> str:
    """Local time at which a step of a day's plan begins, or the step after it."""
    span = calendar.day_slice(day)
    if step >= DAY_STEPS:
        at_ns = int(calendar.start_ns[span.stop]) + (step - DAY_STEPS + after) * NS_PER_H
    else:
        at_ns = int(calendar.start_ns[min(span.start + step + after, span.stop)])
    local = dt.datetime.fromtimestamp(at_ns // NS_PER_S, ZoneInfo(calendar.timezone))
    return local.isoformat(timespec="minutes")


__all__ = ["FALLBACK", "conflicts_of", "plans_told"]
