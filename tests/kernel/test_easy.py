"""The kernel starts every job exactly when the naive reference does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from easy_reference import Job, Reference

from gigafactory.kernel import FULL_SPEED, Kind, Pool, PoolSpec

S = 1_000_000_000
ORIGIN = 1_735_686_000 * S


def random_case(seed: int, n: int) -> tuple[list[Job], dict[str, object]]:
    r = np.random.default_rng(seed)
    node_size = int(r.choice([4, 8, 16]))
    nodes = int(r.integers(12, 40))
    total = nodes * node_size
    sizes = np.minimum(
        r.choice([1, 2, 3, 4, 8, 12, 16, 32, 64, 128], n, p=[0.3, 0.1, 0.1, 0.1, 0.1] + [0.06] * 5),
        total,
    )
    work = np.maximum(np.round(r.lognormal(5.5, 1.5, n)), 1)
    rate = 1.15 * total / float((sizes * work).mean())
    gaps = r.exponential(1 / rate, n)
    gaps[r.random(n) < 0.5] = 0.0  # bursts: many jobs at one instant
    whole_seconds = r.random() < 0.5
    submit = np.cumsum(gaps)
    submit_ns = (np.round(submit) * S if whole_seconds else submit * S).astype(np.int64) + ORIGIN
    estimate = np.maximum(work * r.uniform(0.7, 3.0, n), 60).astype(np.int64) * S
    groups = int(r.integers(1, 5))
    jobs = [
        Job(
            number=i,
            submit=int(submit_ns[i]),
            need=int(work[i]) * S,
            estimate=int(estimate[i]),
            accelerators=int(sizes[i]),
            priority=int(r.integers(0, 4)),
            group=int(r.integers(0, groups)),
        )
        for i in range(n)
    ]
    power = [int(p) for p in r.integers(600_000, 1_400_000, 8)]
    idle = 300_000
    full = total * max(power)
    budget = (
        None if seed % 3 == 0 else int(total * idle + (full - total * idle) * r.uniform(0.5, 0.8))
    )
    speed = [FULL_SPEED if seed % 2 == 0 else int(v) for v in r.integers(64, FULL_SPEED + 1, 8)]
    if budget is not None:
        top = (budget - total * idle) // max(power)
        for job in jobs:
            job.accelerators = min(job.accelerators, top)
    return jobs, {
        "nodes": nodes,
        "node_size": node_size,
        "depth": int(r.choice([3, 20, 100])),
        "speed": speed,
        "power": power,
        "idle": idle,
        "budget": budget,
    }


def kernel_times(jobs: list[Job], case: dict[str, object]) -> tuple[dict[int, int], dict[int, int]]:
    pool = Pool(
        PoolSpec(case["nodes"], case["node_size"], case["idle"], case["depth"], tuple(range(8))),  # type: ignore[arg-type]
        origin_ns=ORIGIN,
        end_ns=ORIGIN + 400 * 86_400 * S,
        submit_ns=np.array([j.submit for j in jobs]),
        need_ns=np.array([j.need for j in jobs]),
        walltime_ns=np.array([j.estimate for j in jobs]),
        accelerators=np.array([j.accelerators for j in jobs], np.int32),
        priority=np.array([j.priority for j in jobs], np.int8),
        group=np.array([j.group for j in jobs], np.int8),
    )
    pool.set_service(pool.spec.nodes)
    pool.set_groups(np.array(case["speed"]), np.array(case["power"]))
    pool.set_budget(case["budget"])  # type: ignore[arg-type]
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    while len(ends) < len(jobs):
        records = pool.advance(pool.t_ns + 3600 * S)
        for kind, job, t in zip(records.kind, records.job, records.t_ns, strict=True):
            if kind in (Kind.START, Kind.BACKFILL):
                assert job not in starts, "a job starts once"
                starts[int(job)] = int(t)
            elif kind in (Kind.FINISH, Kind.LIMIT):
                assert (kind == Kind.LIMIT) == jobs[job].limited
                ends[int(job)] = int(t)
    return starts, ends


def agree(seed: int, n: int) -> None:
    jobs, case = random_case(seed, n)
    Reference(**case, origin=ORIGIN).run(jobs)  # type: ignore[arg-type]
    starts, ends = kernel_times(jobs, case)
    wrong = [j.number for j in jobs if starts[j.number] != j.start or ends[j.number] != j.end]
    assert not wrong, f"seed {seed}: {len(wrong)} jobs differ, the first is {jobs[wrong[0]]}"
    assert sum(j.start > j.submit for j in jobs) > n // 10, "the case must make jobs wait"


@pytest.mark.parametrize("seed", range(6))
def test_starts_as_the_reference_does(seed: int) -> None:
    agree(seed, 400)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_starts_as_the_reference_does_on_3000_jobs(seed: int) -> None:
    agree(seed, 3000)


@pytest.mark.proof
def test_proof_of_thirty_fresh_cases(proof_dir: Path) -> None:
    """Thirty cases no quick test has seen; the result is kept as data."""
    seeds = range(1000, 1030)
    for seed in seeds:
        agree(seed, 3000)
    text = (
        "# The kernel against the naive scheduler, as last run\n\n"
        f"{len(seeds)} random cases (seeds {seeds.start} to {seeds.stop - 1}) of 3,000 jobs each, "
        "with gangs, priorities,\nshared nodes, power budgets and group speeds: every start and "
        "end identical.\n"
    )
    (proof_dir / "easy.md").write_text(text, "utf-8")
