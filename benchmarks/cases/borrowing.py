"""Philly's virtual clusters as tenants: hard partitions against quotas that may be borrowed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmarks.cases.peers import Philly, philly
from benchmarks.measuring import case
from gigafactory.kernel import Kind, Pool, PoolSpec, Rules
from gigafactory.kernel.state import JobState
from gigafactory.units import NS_PER_DAY, NS_PER_S

Ints = npt.NDArray[np.int64]
NODE = 8
GRACE_S, RUNTIME_MIN_S, SAVE_S, RESTART_S, CHECKPOINT_S = 60, 600, 20, 120, 1800
#: Accelerators of the fleet; hard partitions of the second hold 60 to 70 % in the busy month.
FLEETS = (560, 640, 720)
MONTH_NS = 30 * NS_PER_DAY


def partitions(jobs: Philly, fleet: int) -> tuple[list[str], Ints]:
    """Whole nodes per virtual cluster, one at least, in accelerators.

    By the accelerator-hours it had asked before the busy month: shares are agreed on what is known.
    """
    names = sorted(set(jobs.cluster.tolist()))
    known = jobs.submit_s * NS_PER_S < busy_month(jobs)[0]
    work = jobs.accelerators * jobs.duration_s * known
    load = np.array([work[jobs.cluster == n].sum() for n in names], float)
    nodes = fleet // NODE
    wanted = load / load.sum() * (nodes - len(names))
    size = 1 + np.floor(wanted).astype(np.int64)
    rest = np.argsort(-(wanted - np.floor(wanted)), kind="stable")
    size[rest[: nodes - int(size.sum())]] += 1
    return names, size * NODE


def busy_month(jobs: Philly) -> tuple[int, int]:
    """The thirty days in which most accelerator-hours were submitted, ns UTC."""
    first = int(jobs.submit_s[0]) // 86_400
    day = jobs.submit_s // 86_400 - first
    load = np.bincount(day, weights=jobs.accelerators * jobs.duration_s)
    month = np.convolve(load, np.ones(30), "valid")
    begin = (first + int(np.argmax(month))) * NS_PER_DAY
    return begin, begin + MONTH_NS


def turned(jobs: Philly, fleet: int, borrow: bool) -> dict[str, float]:
    """Run the whole trace and measure the busy month.

    Gangs larger than their cluster's partition are cut to it, in both runs alike.
    """
    names, own = partitions(jobs, fleet)
    tenant = np.searchsorted(names, jobs.cluster.tolist()).astype(np.int16)
    asked = np.minimum(jobs.accelerators, own[tenant]).astype(np.int32)
    need = (np.maximum(jobs.duration_s, 1.0) * NS_PER_S).astype(np.int64)
    submit = jobs.submit_s * NS_PER_S
    origin = int(submit[0])

    def each(seconds: float) -> Ints:
        return np.full(8, int(seconds * NS_PER_S))

    rules = Rules(
        parent=(-1, *(0 for _ in names)),
        nominal=(0, *own.tolist()),
        lend=(0, *(own.tolist() if borrow else [0] * len(names))),
        cap=(0, *([fleet] * len(names) if borrow else own.tolist())),
        weight=(1.0, *(float(n) for n in own)),
        tenant_node=tuple(range(1, len(names) + 1)),
        runtime_min_ns=each(RUNTIME_MIN_S),
        grace_ns=each(GRACE_S),
        save_ns=each(SAVE_S),
        restart_ns=each(RESTART_S),
    )
    pool = Pool(
        PoolSpec(fleet // NODE, NODE, 100_000, 100, (0,), rules=rules),
        origin_ns=origin,
        end_ns=int(submit[-1]) + 400 * NS_PER_DAY,
        submit_ns=submit,
        need_ns=need,
        walltime_ns=need,
        accelerators=asked,
        priority=np.zeros(len(submit), np.int8),
        group=np.zeros(len(submit), np.int8),
        tenant=tenant,
    )
    pool.set_service(fleet // NODE)
    pool.set_groups(np.full(8, 128), np.full(8, 700_000), each(CHECKPOINT_S))
    pool.set_budget(None)
    return _measured(pool, submit, tenant, own, asked, busy_month(jobs), fleet)


def _measured(
    pool: Pool,
    submit: Ints,
    tenant: npt.NDArray[np.int16],
    own: Ints,
    asked: npt.NDArray[np.int32],
    month: tuple[int, int],
    fleet: int,
) -> dict[str, float]:
    begin, end = month
    start = np.full(len(submit), -1, np.int64)
    held = kept = stops = 0.0
    step = 6 * 3600 * NS_PER_S
    while pool.t_ns < end or (pool.state.job["state"] != int(JobState.DONE)).any():
        until = next((e for e in (begin, end) if pool.t_ns < e < pool.t_ns + step), None)
        pool.turn()
        r = pool.advance(until or pool.t_ns + step)
        opens = np.isin(r.kind, (int(Kind.START), int(Kind.BACKFILL)))
        fresh = r.job[opens][::-1]
        first = start[fresh] < 0
        start[fresh[first]] = r.t_ns[opens][::-1][first]
        reading = pool.read()
        if begin < pool.t_ns <= end:
            g = reading.groups
            held += reading.held_ns
            lost = g.preempted_ns.sum() + g.restart_ns.sum()
            kept += float(g.used_ns.sum() - lost)
            stops += float((r.kind == int(Kind.PREEMPT)).sum())
        if pool.t_ns > end + 300 * NS_PER_DAY:
            break
    some = (submit >= begin) & (submit < end) & (start >= 0)
    wait = (start - submit) / NS_PER_S
    small = some & (asked <= own[tenant])
    whole = fleet * float(end - begin)
    return {
        "held_share": held / whole,
        "goodput_share": kept / whole,
        "p95_wait_s": float(np.quantile(wait[small], 0.95)),
        "mean_wait_s": float(wait[small].mean()),
        "stops": stops,
        **{
            f"p95_wait_s_of_{q}": float(np.quantile(wait[small & (tenant == q)], 0.95))
            for q in np.unique(tenant[small])
        },
    }


@case("philly-borrowing")
def borrowing() -> dict[str, float]:
    """Goodput and waits of Philly's busy month on three fleets, with and without borrowing."""
    jobs = philly()
    out: dict[str, float] = {}
    for fleet in FLEETS:
        hard, soft = turned(jobs, fleet, borrow=False), turned(jobs, fleet, borrow=True)
        for told, run in (("hard", hard), ("borrow", soft)):
            out |= {f"{fleet}_{told}_{k}": v for k, v in run.items() if "_of_" not in k}
        out[f"{fleet}_gain_share"] = soft["goodput_share"] - hard["goodput_share"]
        # of all tenants, the one whose p95 grew most (or shrank least)
        out[f"{fleet}_worst_p95_change_s"] = max(
            soft[k] - hard[k] for k in hard if k.startswith("p95_wait_s_of_")
        )
    return out
