"""The kernel on an overloaded machine: how many events per second, and does it stay linear."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.measuring import Timer, case
from gigafactory.jobs import Demand, JobClass, JobTable, WorkloadSpec, generate
from gigafactory.jobs.calibration import acme_2023
from gigafactory.kernel import Pool, PoolSpec
from gigafactory.units import NS_PER_DAY, NS_PER_S

NODES, NODE_SIZE = 12_500, 8
ACCELERATORS = NODES * NODE_SIZE
STEP_NS = 900 * NS_PER_S
#: Jobs of the smaller of the two runs that show growth; enough that turning days does not count.
FEW = 300_000
#: Published shares of the GPU time of Acme's cluster Seren by class (NSDI 2024), %.
GPU_TIME = {
    JobClass.FRONTIER_TRAINING: 69.5,
    JobClass.RESEARCH: 17.9,
    JobClass.FINE_TUNING: 6.4,
    JobClass.INFERENCE_BATCH: 6.2,
}


def acme_jobs(count: int, *, offered: float, sizes: int = 1) -> JobTable:
    """The first jobs of the unscaled generator's Acme mix, brought to a load on the fleet.

    Args:
        count: how many.
        offered: accelerator-seconds asked, as a share of those installed; arrivals are drawn
            together or apart until they offer it.
        sizes: every gang is multiplied by it.
    """
    acme = acme_2023()
    load = acme.gpu_hours / (acme.accelerators * 184 * 24)
    demands = tuple(Demand("acme", c, load * share / 100.0) for c, share in GPU_TIME.items())
    spec = WorkloadSpec({"A100": (acme.accelerators, NODE_SIZE)}, demands, scale=None)
    days = int(count / acme.gpu_jobs * 184 * 1.3) + 2
    parts: list[JobTable] = []
    for table in generate(spec, 0, days * NS_PER_DAY, seed=0):
        parts.append(table)
        if sum(map(len, parts)) >= count:
            break
    table = JobTable.concatenate(parts)
    assert len(table) >= count, "the generator made fewer jobs than asked"
    table = table.take(np.arange(count))
    table = replace(table, accelerators=(table.accelerators * sizes).astype(np.int32))
    asked_s = float(table.gpu_seconds().sum())
    span_ns = int(table.submit_ns[-1] - table.submit_ns[0])
    faster = asked_s / (ACCELERATORS * span_ns / NS_PER_S) / offered
    submit = ((table.submit_ns - table.submit_ns[0]) * faster).astype(np.int64)
    return replace(table, submit_ns=submit)


def pool_of(table: JobTable, depth: int, end_ns: int) -> Pool:
    """A pool of 12,500 nodes of eight with the jobs of a table, all nodes in service."""
    pool = Pool(
        PoolSpec(NODES, NODE_SIZE, 100_000, depth, (1, 2, 3, 0, 4)),
        origin_ns=0,
        end_ns=end_ns,
        submit_ns=table.submit_ns,
        need_ns=table.work_ns,
        walltime_ns=table.walltime_ns,
        accelerators=table.accelerators,
        priority=table.priority,
        group=table.job_class,
    )
    pool.set_groups(np.full(8, 128), np.full(8, 700_000))
    pool.set_service(NODES)
    pool.set_budget(None)
    return pool


def turn(pool: Pool, until_ns: int, step_ns: int = STEP_NS) -> tuple[int, int]:
    """Advance step by step; returns events (arrivals and ends) and the longest queue."""
    longest = 0
    at = 0
    while at < until_ns:
        at = min(at + step_ns, until_ns)
        pool.advance(at)
        longest = max(longest, pool.read().queued)
    ended = int((pool.state.job["state"] == 4).sum())
    return int(pool.state.v[0]["arrival"]) + ended, longest


def _warm() -> None:
    table = acme_jobs(2_000, offered=1.5, sizes=4)
    turn(pool_of(table, 100, int(table.submit_ns[-1])), int(table.submit_ns[-1]))


def _overloaded(depth: int) -> dict[str, float]:
    _warm()
    table = acme_jobs(1_000_000, offered=1.5, sizes=4)
    end = int(table.submit_ns[-1]) + 1
    pool = pool_of(table, depth, end)
    timer = Timer()
    events, longest = turn(pool, end)
    spent = timer.cpu_s()
    return {
        "events_per_s": events / spent,
        "events": events,
        "queue": longest,
        "simulated_days": end / NS_PER_DAY,
        "cpu_s": spent,
    }


@case("kernel-depth-100")
def depth_100() -> dict[str, float]:
    """A million jobs on an overloaded machine, backfill depth 100."""
    return _overloaded(100)


@case("kernel-depth-300")
def depth_300() -> dict[str, float]:
    """The same at depth 300."""
    return _overloaded(300)


@case("kernel-growth")
def growth() -> dict[str, float]:
    """How much longer ten times the jobs take, at a load the machine can carry."""
    _warm()
    spent = {}
    for count in (FEW, 10 * FEW):
        table = acme_jobs(count, offered=0.85)
        end = int(table.submit_ns[-1]) + 30 * NS_PER_DAY
        pool = pool_of(table, 100, end)
        timer = Timer()
        events, _ = turn(pool, end, NS_PER_DAY)
        spent[count] = timer.cpu_s()
        assert events == 2 * count, "every job ends within thirty days of the last arrival"
    return {
        "growth": spent[10 * FEW] / spent[FEW],
        "few_cpu_s": spent[FEW],
        "many_cpu_s": spent[10 * FEW],
    }


@case("kernel-compile")
def compiling() -> dict[str, float]:
    """Compiling the kernel from nothing, as the first run on a machine does."""
    code = (
        "from benchmarks.measuring import Timer;"
        "from benchmarks.cases.kernel import _warm;"
        "t = Timer(); _warm(); print(t.wall_s(), t.cpu_s())"
    )
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "XDG_CACHE_HOME": folder}
        env.pop("NUMBA_CACHE_DIR", None)
        times = []
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, "-c", code],
                env=env,
                cwd=Path(__file__).parents[2],
                capture_output=True,
                text=True,
                check=True,
            )
            times.append([float(v) for v in done.stdout.split()])
    return {"compile_s": times[0][0], "compile_cpu_s": times[0][1], "warm_s": times[1][0]}
