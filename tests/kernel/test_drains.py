"""Notes that are full are taken out; who asks for it stops there, and goes on without a loss."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from gigafactory.kernel import Pool, PoolSpec, Records

JOBS = 20_000


def _pool() -> Pool:
    spec = PoolSpec(nodes=1, node_size=8, idle_power_mw=0, depth=10, victims=(0,))
    second = 1_000_000_000
    n = np.arange(JOBS, dtype=np.int64)
    pool = Pool(
        spec,
        origin_ns=0,
        end_ns=(JOBS + 10) * second,
        submit_ns=n * second,
        need_ns=np.full(JOBS, second // 2, np.int64),
        walltime_ns=np.full(JOBS, second, np.int64),
        accelerators=np.ones(JOBS, np.int32),
        priority=np.zeros(JOBS, np.int8),
        group=np.zeros(JOBS, np.int8),
    )
    pool.set_groups(np.full(8, 1024, np.int64), np.zeros(8, np.int64))
    pool.set_service(1)
    return pool


def _same(one: Records, other: Records) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))


def test_it_stops_when_the_notes_are_full_and_goes_on_where_it_stopped() -> None:
    end = (JOBS + 5) * 1_000_000_000
    whole = _pool().advance(end)
    assert len(whole) == 2 * JOBS
    pool = _pool()
    first = pool.advance(end, 1)
    assert 0 < len(first) < len(whole)
    assert pool.t_ns < end
    rest = pool.advance(end)
    joined = Records(*(np.concatenate([getattr(first, f.name), getattr(rest, f.name)])
                       for f in fields(first)))  # fmt: skip
    assert _same(joined, whole)
    assert pool.t_ns == end
