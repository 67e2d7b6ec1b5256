"""The unscaled generator against the published figures of Acme's cluster Seren (NSDI 2024)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from gigafactory.engine.streams import stream
from gigafactory.jobs import Demand, EndState, JobClass, JobTable, WorkloadSpec, generate_year
from gigafactory.jobs.calibration import acme_2023

S = 1_000_000_000
START = 1_677_628_800 * S  # 2023-03-01T00:00Z
DAYS = 184
#: Published shares of Seren's GPU jobs and GPU time by class, % (our classes; see the data file).
JOBS = {0: 0.9, 1: 19.4, 2: 14.9, 3: 64.9}
GPU_TIME = {0: 69.5, 1: 17.9, 2: 6.4, 3: 6.2}
#: Published quartiles of gang sizes per type.
QUARTILES = {
    "evaluation": (1, 1, 4),
    "pretrain": (64, 128, 256),
    "sft": (2, 8, 8),
    "multimodal": (1, 2, 8),
    "debug": (8, 8, 8),
    "other": (1, 1, 8),
}
#: Published median run times, s, read off the distributions per type (within one grid step of two).
MEDIANS = {
    "evaluation": 130,
    "pretrain": 300,
    "sft": 200,
    "multimodal": 250,
    "debug": 110,
    "other": 77,
}
FIGURE_NAMES = {
    "evaluation": "Eval",
    "pretrain": "Pretrain",
    "sft": "SFT",
    "multimodal": "MLLM",
    "debug": "Debug",
    "other": "Other",
}


@pytest.fixture(scope="module")
def seren() -> JobTable:
    acme = acme_2023()
    load = acme.gpu_hours / (acme.accelerators * DAYS * 24)
    demands = tuple(
        Demand("seren", JobClass(code), load * share / 100) for code, share in GPU_TIME.items()
    )
    spec = WorkloadSpec({"A100": (acme.accelerators, 8)}, demands, scale=None)
    return generate_year(spec, START, seed=0, days=DAYS)


def test_as_many_jobs_come_as_came(seren: JobTable) -> None:
    assert len(seren) == pytest.approx(acme_2023().gpu_jobs, rel=0.03)


def test_class_mix_by_jobs_and_by_gpu_time(seren: JobTable) -> None:
    gpu_s = seren.gpu_seconds()
    for code in JOBS:
        mine = seren.job_class == code
        assert 100 * mine.mean() == pytest.approx(JOBS[code], abs=1.0)
        assert 100 * gpu_s[mine].sum() / gpu_s.sum() == pytest.approx(GPU_TIME[code], abs=1.5)


def test_mean_size_and_longest(seren: JobTable) -> None:
    assert seren.accelerators.mean() == pytest.approx(5.68, rel=0.15)
    assert int(seren.accelerators.max()) == 1024
    assert int(np.median(seren.accelerators)) == 1
    assert np.median(seren.work_ns) / S == pytest.approx(122, rel=0.25)
    assert int(seren.work_ns.max()) <= 1_209_604 * S


def test_end_states_by_jobs_and_by_gpu_time(seren: JobTable) -> None:
    gpu_s = seren.gpu_seconds()
    for name, share in acme_2023().published["jobs"].items():
        mine = seren.end_state == EndState[name.upper()]
        assert mine.mean() == pytest.approx(share, abs=0.03)
        by_time = acme_2023().published["gpu_time"][name]
        assert gpu_s[mine].sum() / gpu_s.sum() == pytest.approx(by_time, abs=0.05)


def test_arrivals_come_in_bursts(seren: JobTable) -> None:
    gaps = np.diff(seren.submit_ns) / S
    assert 4.0 < gaps.std() / gaps.mean() < 20.0  # Philly: 15; a Poisson stream: 1
    hourly = np.bincount((seren.submit_ns - START) // (3600 * S))
    assert hourly.var() / hourly.mean() > 50.0  # Philly: 164; a Poisson stream: 1


def test_arrivals_follow_day_and_week(seren: JobTable) -> None:
    hour = (seren.submit_ns // (3600 * S) + 1) % 24  # Amsterdam, about
    day, night = ((hour >= 10) & (hour < 18)).mean(), ((hour >= 0) & (hour < 8)).mean()
    assert day > 1.5 * night
    weekday = (seren.submit_ns // (86_400 * S) + 3) % 7
    assert (weekday >= 5).mean() < 0.25  # two of seven days would be 0.29


@pytest.mark.parametrize("name", sorted(QUARTILES))
def test_gang_quartiles_and_median_run_times_per_type(name: str) -> None:
    gangs, run_s = acme_2023().types[name].draw(20_000, stream(1, name))
    assert tuple(np.quantile(gangs, [0.25, 0.5, 0.75]).astype(int)) == QUARTILES[name]
    assert np.median(run_s) == pytest.approx(MEDIANS[name], rel=0.1)


@pytest.mark.data
@pytest.mark.parametrize("name", sorted(QUARTILES))
def test_run_times_against_the_published_distribution(name: str, data_dir: Path) -> None:
    with (data_dir / "compute" / "acme" / "duration_queue_cdf_by_type.csv").open() as file:
        rows = [
            (float(row["x"]), float(row["cdf_pct"]) / 100)
            for row in csv.DictReader(file)
            if row["cluster"] == "Seren"
            and row["quantity"] == "duration_s"
            and row["jobtype"] == FIGURE_NAMES[name]
        ]
    _, run_s = acme_2023().types[name].draw(50_000, stream(2, name))
    far = [abs((run_s <= x).mean() - share) for x, share in rows if x >= 8]
    assert len(far) >= 15
    assert max(far) < 0.07  # the tables hold twelve levels; between them the curve is ours
    assert float(np.mean(far)) < 0.02


@pytest.mark.data
def test_gang_sizes_of_all_jobs_against_the_published_distribution(
    seren: JobTable, data_dir: Path
) -> None:
    with (data_dir / "compute" / "acme" / "gpunum_cdf.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["cluster"] == "Seren"]
    gpu_s = seren.gpu_seconds()
    for row in rows:
        within = seren.accelerators <= int(row["gpu_num"])
        share = float(row["cdf_pct"]) / 100
        if row["quantity"] == "gpu_num_cdf_jobs":
            assert within.mean() == pytest.approx(share, abs=0.03)
        else:
            assert gpu_s[within].sum() / gpu_s.sum() == pytest.approx(share, abs=0.14)


def test_the_published_shares_of_gpu_time_per_type_follow_from_the_tables() -> None:
    types = acme_2023().types.values()
    whole = sum(t.job_share * t.mean_gpu_s() for t in types)
    for kind in types:
        share = kind.job_share * kind.mean_gpu_s() / whole
        assert share == pytest.approx(kind.gpu_time_share, abs=0.005)
