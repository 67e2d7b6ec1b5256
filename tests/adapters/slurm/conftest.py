"""A real Slurm cluster of eight nodes for the tests of its adapter."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gigafactory.adapters.slurm import SlurmManager, SlurmSettings
from gigafactory.jobs.ports import WorkloadManager
from gigafactory.testing.jobscript import job_script
from gigafactory.testing.slurm import LocalCluster, available, settled
from tests.conftest import missing

POOL = "h100"


def slurm_settings(cluster: LocalCluster, **changes: object) -> SlurmSettings:
    given: dict[str, object] = {
        "conf": str(cluster.conf),
        "user": "root",
        "partitions": {POOL: cluster.partition},
        "kw_per_accelerator": {POOL: cluster.kw_per_accelerator},
        "checkpoint_folder": str(cluster.checkpoints),
        "register_s": 0.2,
        "grace_s": {"research": 6.0, "fine_tuning": 6.0, "frontier_training": 6.0},
    }
    return SlurmSettings.model_validate(given | changes)


class SlurmBench:
    """`WorkloadBench` on a real cluster."""

    pool = POOL
    patience_s = 90.0  # a reconfiguration lets the timers of nodes begin anew

    def __init__(self, cluster: LocalCluster) -> None:
        self.cluster = cluster
        self.manager: WorkloadManager = settled(SlurmManager(slurm_settings(cluster)))
        self.node_size = cluster.accelerators
        self.node_count = len(cluster.nodes)
        self.kw_per_node = round(cluster.accelerators * cluster.kw_per_accelerator)
        self.budget_kw = cluster.licences

    def script(self, work_s: float) -> str:
        return job_script(self.cluster.checkpoints, work_s)

    def pass_time(self, seconds: float) -> None:
        time.sleep(seconds)

    def foreign(self) -> str:
        return self.cluster.run(
            *("sbatch", "--parsable", f"--gres=gpu:{self.node_size}", "--output=/dev/null"),
            *("--time=10", "--wrap=sleep 600"),
        ).strip()

    def remove_foreign(self, job: str) -> None:
        self.cluster.run("scancel", job)

    def drawing(self) -> frozenset[str]:
        return self.cluster.drawing()


def need_slurm() -> None:
    """Skip the test without Slurm; fail where CI=true."""
    missing(available())


def at_once(
    folder: Path, checks: Sequence[Callable[[SlurmBench], None]], clusters: int, **kind: int
) -> None:
    """Run checks on several clusters side by side, one at a time on each: they mostly wait.

    Every check is run, whatever becomes of the others; each failure carries its check's name.
    """
    left, failed = deque(checks), list[Exception]()

    def one_after_another(place: Path) -> None:
        place.mkdir()
        with LocalCluster(place, accelerators=16, **kind) as cluster:
            bench = SlurmBench(cluster)
            while True:
                try:
                    check = left.popleft()
                except IndexError:
                    return
                try:
                    check(bench)
                except Exception as error:
                    error.add_note(f"in the check {check.__name__}")
                    failed.append(error)

    with ThreadPoolExecutor(clusters) as pool:
        done = [pool.submit(one_after_another, folder / f"c{i}") for i in range(clusters)]
    for one in done:
        one.result()
    assert not left, "a check was left out"
    if failed:
        raise ExceptionGroup(f"{len(failed)} of {len(checks)} checks failed", failed)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster of eight nodes; skipped without Slurm, and a failure where CI=true."""
    need_slurm()
    with LocalCluster(tmp_path_factory.mktemp("slurm"), accelerators=16) as started:
        yield started


@pytest.fixture(scope="module")
def bench(cluster: LocalCluster) -> SlurmBench:
    return SlurmBench(cluster)
