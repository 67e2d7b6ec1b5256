"""What became of the requests of the real-time services, by the replicas that really ran.

The rates are those the generator followed (by seed); the replicas are the segments that the ledger
booked, each serving from its start-up time on; the speed is that in force at the site. So what is
said of requests rests on what was metered, and not on what the autoscaler wanted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.jobs import JobClass, Service, rates_of
from gigafactory.jobs.serving import Answered, Shortage, answered
from gigafactory.kernel import FULL_SPEED
from gigafactory.ledger import Book
from gigafactory.runtime.loop import Trace
from gigafactory.runtime.told import Told
from gigafactory.runtime.workload import service_of
from gigafactory.units import NS_PER_S

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_REALTIME = int(JobClass.INFERENCE_REALTIME)


def ready_over(segments: Ints, edges_ns: Ints, startup_s: float) -> Floats:
    """Replicas that answer, mean over each interval.

    Args:
        segments: begin and end of each time a replica ran, ns UTC, int64[n, 2].
        edges_ns: edges of the intervals, [T+1].
        startup_s: time from its begin until a replica answers.

    Returns:
        float64[T].
    """
    begin = segments[:, 0] + round(startup_s * NS_PER_S)
    answers = begin < segments[:, 1]
    area = _area(begin[answers], edges_ns) - _area(segments[answers, 1], edges_ns)
    return np.asarray(np.diff(area) / np.diff(edges_ns))


def _area(instants: Ints, edges_ns: Ints) -> Floats:
    """Time that has passed since the instants before each edge, all of them together, ns."""
    order = np.sort(instants) - edges_ns[0]
    total = np.concatenate([[0.0], np.cumsum(order.astype(np.float64))])
    past = edges_ns - edges_ns[0]
    before = np.searchsorted(order, past)
    return np.asarray(before * past.astype(np.float64) - total[before])


def services_of(told: Told, book: Book, trace: Trace) -> list[dict[str, Any]]:
    """What became of the requests of every service that says how many a replica answers at once.

    Returns:
        A row per service, in the order of the file: requests by what became of them, whole numbers
        that add up, the share within the objective, and the longest wait of the 99th percentile in
        a month; empty for a run of other jobs than the generated ones.
    """
    if not book.periods or not told.table.services:
        return []
    first, _, step = book.header.edges_ns
    edges = first + step * np.arange(book.periods + 1, dtype=np.int64)
    ran = np.concatenate(book.replicas) if book.replicas else np.zeros((0, 3), np.int64)
    names = list(told.table.services)
    of_job = told.table.service[ran[:, 0]] if len(ran) else np.zeros(0, np.int64)
    timezone = next(iter(told.factory.sites.values())).timezone
    rows = []
    for tenant in told.factory.tenants:
        for stated in tenant.services:
            service = service_of(told.factory, tenant, stated)
            if stated.name not in names or not service.has_latency_model:
                continue
            mine = ran[of_job == names.index(stated.name)]
            rates = rates_of(
                service,
                start_ns=first,
                end_ns=int(edges[-1]),
                seed=told.seed,
                period_s=step / NS_PER_S,
                timezone=timezone,
            )
            ready = ready_over(mine[:, 1:], edges, service.startup_s)
            speed = trace.speed[: book.periods, _site_of(book, mine), _REALTIME] / FULL_SPEED
            found = answered(
                rates,
                ready,
                service,
                capacity_share=speed,
                shortage=Shortage(policy=stated.degradation),
            )
            rows.append(_row(tenant.name, service, found, ready, told))
    return rows


def _site_of(book: Book, mine: Ints) -> int:
    """The site of a service: that of the pool all its replicas stay in."""
    if not len(mine):
        return 0
    return int(book.header.pool_site[int(book.ask["pool"][mine[0, 0]])])


def _row(
    tenant: str, service: Service, found: Answered, ready: Floats, told: Told
) -> dict[str, Any]:
    """Requests by what became of them; rounding is left with those answered in time."""
    asked = round(float(found.asked_requests.sum()))
    refused = round(float(found.shed_requests.sum()))
    waiting = round(float(found.queued_requests[-1]))
    late = round(float(found.served_requests[~found.met].sum()))
    months, of_day = told.calendar.months(told.calendar.days)
    month_of = np.repeat(of_day, np.diff(told.calendar.day_edges))[: len(ready)]
    worst, when = 0.0, ""
    for at, month in enumerate(months[: int(month_of[-1]) + 1]):
        some = (month_of == at) & (found.asked_requests > 0.0)
        waits = np.sort(found.wait_s[some])  # infinite where nothing was answered
        wait = float(waits[int(np.ceil(0.99 * len(waits))) - 1]) if len(waits) else 0.0
        if wait > worst or not when:
            worst, when = wait, month
    return {
        "service": service.name,
        "tenant": tenant,
        "objective_ms": service.latency_ms,
        "requests": asked,
        "in_time": asked - refused - waiting - late,
        "late": late,
        "refused": refused,
        "waiting_at_end": waiting,
        "by_smaller_model": round(float(found.degraded_requests.sum())),
        "in_time_share": (asked - refused - waiting - late) / asked if asked else 1.0,
        "replicas_mean": float(ready.mean()),
        "replicas_peak": service.replicas_peak,
        "worst_month": when,
        "worst_month_wait_p99_s": worst if np.isfinite(worst) else None,
    }
