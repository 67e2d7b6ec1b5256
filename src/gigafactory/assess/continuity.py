"""Continuity: availability, how fast a site comes back, how much work is lost, how long it lasts.

Counted from what a run wrote down; what no run shows is left open.
"""

from __future__ import annotations

from dataclasses import dataclass

from gigafactory.assess.subject import Subject
from gigafactory.assess.supplyfacts import supply_facts


@dataclass(frozen=True, slots=True)
class Continuity:
    """Continuity of a factory in a run.

    Attributes:
        availability: accelerator-hours in service over installed ones: not broken, with power.
        recovery_time_h: longest time from the return of the grid until 95 % of the accelerators
            that worked before work again (RTO, measured); None where no outage was seen.
        recovery_point_h: longest time between two checkpoints of a class of work, by the factory
            file (RPO): at most so much work is done again.
        redone_share: accelerator-hours rolled back over those that ran.
        unserved_mwh: IT energy not served in outages; None where no outage was seen.
        autonomy_days: days the shortest critical stock of spares and support lasts; None where
            none is stated.
    """

    availability: float | None
    recovery_time_h: float | None
    recovery_point_h: float
    redone_share: float | None
    unserved_mwh: float | None
    autonomy_days: float | None


def continuity(subject: Subject) -> Continuity:
    """The continuity of a subject; what its run does not show is None."""
    hours = subject.summary.get("accelerator_hours") or {}
    installed = hours.get("installed", 0.0)
    available = None
    if installed > 0.0:
        available = 1.0 - (hours["down"] + hours["awaiting_power"]) / installed
    lost = sum(hours.get(f"lost_{cause}", 0.0) for cause in ("failure", "response", "preemption"))
    ran = lost + hours.get("useful", 0.0) + hours.get("overhead", 0.0)
    outages = subject.summary.get("outages") or []
    back = [row["back_after_h"] for row in outages if row.get("back_after_h") is not None]
    unserved = sum(
        sum(one for one in row["not_served_mwh"].values() if one is not None)
        for row in outages
        if row.get("not_served_mwh")
    )
    points = subject.factory.policy.checkpoint.values()
    return Continuity(
        availability=available,
        recovery_time_h=max(back) if back else None,
        recovery_point_h=max((one.interval_s for one in points), default=0.0) / 3600.0,
        redone_share=lost / ran if ran > 0.0 else None,
        unserved_mwh=unserved if outages else None,
        autonomy_days=supply_facts(subject).autonomy_days,
    )


__all__ = ["Continuity", "continuity"]
