"""What the loop tells: where each piece of work stands, and the state of things for who looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gigafactory.adapters.store.records import WorkChange, WorkState
from gigafactory.jobs.ports import EndedView, Ending, JobView, Phase, WorkloadSnapshot
from gigafactory.runtime.live.orders import Force
from gigafactory.runtime.live.parts import Parts
from gigafactory.runtime.live.readings import Power

_STATES = {
    Phase.HELD: WorkState.PLACED,
    Phase.QUEUED: WorkState.PLACED,
    Phase.RUNNING: WorkState.RUNNING,
    Phase.PAUSED: WorkState.PAUSED,
}
_ENDS = {
    Ending.COMPLETED: WorkState.COMPLETED,
    Ending.FAILED: WorkState.FAILED,
    Ending.CANCELLED: WorkState.CANCELLED,
    Ending.TIMED_OUT: WorkState.TIMED_OUT,
}


def show(
    parts: Parts,
    snapshots: Mapping[str, WorkloadSnapshot],
    forces: Mapping[str, Force],
    imports: Mapping[str, Power],
    import_wh: Mapping[str, int],
    over_ns: Mapping[str, int],
    troubles: Sequence[tuple[str, str]],
) -> None:
    """Publish `status` and `telemetry`.

    Args:
        parts: of the loop.
        snapshots: what each manager shows.
        forces: limit in force per site.
        imports: import per site.
        import_wh: counter of energy imported per site.
        over_ns: since when a site is above its limit.
        troubles: named fallbacks in force.
    """
    cluster_of = {pool: name for name, c in parts.clusters.items() for pool in c.pools}
    views = {pool: snapshots[cluster_of[pool]].jobs for pool in parts.plans}
    points, telemetry = {}, {}
    for site, force in forces.items():
        power = imports[site]
        power_mw, limit_mw = power.power_w / 1e6, force.limit_mw
        points[site] = {
            "power_mw": round(power_mw, 6),
            "measured": power.measured,
            "limit_mw": round(limit_mw, 6),
            "why": force.why,
            "order": force.key,
            "next_ns": force.next_ns,
            "next_mw": round(force.next_mw, 6) if force.next_ns is not None else None,
            "over_since_ns": over_ns.get(site),
        }
        telemetry[site] = {
            "metered_mw": round(power_mw, 6),
            "up_mw": round(_sheddable_w(parts, site, views) / 1e6, 6),
            "down_mw": round(max(limit_mw - power_mw, 0.0), 6),
            "import_wh": import_wh[site],
        }
    body = {
        "environment": parts.environment,
        "controller": parts.who,
        "tick_s": parts.tick_s,
        "points": points,
        "pools": {pool: _counts(pool, views[pool]) for pool in parts.plans},
        "fallbacks": [{"kind": kind, "about": about} for kind, about in troubles],
        "day": parts.book.day,
        "waiting_to_be_told": parts.intake.waiting(),
    }
    parts.intake.publish("status", body)
    parts.intake.publish("telemetry", telemetry)


def _counts(pool: str, views: Sequence[JobView]) -> dict[str, int]:
    """Jobs of a pool by phase, and accelerators at work."""
    mine = [v for v in views if v.pool == pool]
    found = {str(phase): sum(v.phase is phase for v in mine) for phase in Phase}
    running = sum(v.accelerators for v in mine if v.phase is Phase.RUNNING)
    return {**found, "accelerators_running": running}


def _sheddable_w(parts: Parts, site: str, views: Mapping[str, Sequence[JobView]]) -> float:
    """What pausing all of our work would free at the connection, at the least, W."""
    total = 0.0
    for pool in parts.sites[site].pools:
        plan = parts.plans[pool]
        each = (int(plan.power_mw[:, plan.full_speed].min()) - plan.idle_power_mw) / 1000.0
        total += max(each, 0.0) * sum(
            v.accelerators
            for v in views[pool]
            if v.pool == pool and v.ours and v.phase is Phase.RUNNING
        )
    return total


def ended_of(end: EndedView, now: int) -> WorkChange:
    """How a job ended, as its tenant is told."""
    return WorkChange(
        end.key,
        _ENDS[end.ending],
        now,
        job=end.job,
        why=str(end.ending),
        start_ns=end.start_ns,
        end_ns=end.end_ns,
    )


def change_of(
    view: JobView, why: str, now: int, detail: Mapping[str, Any] | None = None
) -> WorkChange:
    """Where a job stands, as its tenant is told."""
    told = "" if view.phase is Phase.RUNNING else why
    return WorkChange(
        view.key,
        _STATES[view.phase],
        now,
        job=view.job,
        why=told,
        start_ns=view.start_ns,
        detail=detail,
    )
