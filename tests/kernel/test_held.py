"""Jobs whose class is held back cost nothing while they wait, however many they are."""

from __future__ import annotations

import statistics
import time

import numpy as np
from recount import recount
from test_power import S, happened, pool_of

from gigafactory.kernel.state import NEVER

#: Small jobs of class 1 that run one after another, and jobs of class 0 that wait behind a hold.
BUSY, HELD = 2_000, 60_000


def _pool(held: int):  # type: ignore[no-untyped-def]
    busy = [(0, 100 + i, 1, 1) for i in range(BUSY)]
    pool = pool_of([*[(0, 100, 1, 0)] * held, *busy])
    pool.hold(np.array([NEVER] + [0] * 7))
    return pool


def _time_s(held: int) -> float:
    took = []
    for _ in range(3):
        pool = _pool(held)
        start = pool.t_ns
        pool.advance(start + 10 * S)  # everything is queued
        began = time.perf_counter()
        pool.advance(start + 40_000 * S)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def test_a_long_line_of_held_jobs_slows_no_pass_down() -> None:
    # walking past every held job at every pass took a hundred times as long
    _time_s(0)
    assert _time_s(HELD) < 8 * _time_s(0) + 0.05


def test_held_jobs_keep_their_order_when_they_are_let_go() -> None:
    pool = pool_of([(0, 50, 8, 0), (0, 50, 8, 1), (0, 50, 8, 0), (0, 50, 8, 1)], nodes=1)
    pool.hold(np.array([NEVER] + [0] * 7))
    pool.advance(pool.t_ns + 120 * S)
    recount(pool)
    pool.hold(np.zeros(8, np.int64))
    pool.turn()
    records = pool.advance(pool.t_ns + 400 * S)
    recount(pool)
    began = [job for what, job, _ in happened(records) if what in ("START", "BACKFILL")]
    assert began == [0, 2]
