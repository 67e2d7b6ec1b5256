"""How quickly a real Slurm obeys with many jobs: looks, cuts by freezing, cuts by saving.

Used by the benchmark and by whoever wants to know it of another size. The jobs are light
(`jobscript`), so that two processors carry five hundred of them; power is read from /proc.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gigafactory.adapters.slurm import SlurmManager, SlurmSettings
from gigafactory.jobs.ports import Action, Command, Outcome, Phase, WorkOrder
from gigafactory.testing.jobscript import job_events, job_script
from gigafactory.testing.slurm import LocalCluster, settled

_POOL = "pool"
_NAP_S = 0.1
_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured.

    Attributes:
        jobs: running at the same time.
        start_s: from the release of all until all take power, s.
        observe_s: a look at the cluster, median, s.
        observe_max_s: the longest of them, s.
        freeze_s: from the command until a quarter of the jobs take no power, frozen, s.
        thaw_s: from the resumption until they take power again, s.
        save_s: the same as `freeze_s` by saving and giving nodes back, s.
        back_s: from the resumption until all of these take power again, s.
        lost_s: work of theirs that was lost, all together, s.
        running: jobs that run in the end.
    """

    jobs: int
    start_s: float
    observe_s: float
    observe_max_s: float
    freeze_s: float
    thaw_s: float
    save_s: float
    back_s: float
    lost_s: float
    running: int


def measure_load(folder: Path, jobs: int, *, looks: int = 20) -> Load:
    """Start a cluster, fill it with jobs of one accelerator each, and cut a quarter twice.

    Args:
        folder: an existing folder for the cluster.
        jobs: how many; nodes of eight accelerators are made for them.
        looks: looks timed.

    Raises:
        RuntimeError: the cluster does not start, or does not do what it is told in two minutes.
    """
    with LocalCluster(folder, nodes=-(-jobs // 8)) as cluster:
        manager = SlurmManager(
            SlurmSettings(
                conf=str(cluster.conf),
                user="root",
                partitions={_POOL: cluster.partition},
                kw_per_accelerator={_POOL: cluster.kw_per_accelerator},
                checkpoint_folder=str(cluster.checkpoints),
                writes_burst=10 * jobs,
                call_limit_s=120.0,
                write_limit_s=60.0,
            )
        )
        settled(manager)
        names = _handed_over(manager, cluster, jobs)
        every = set(names)
        start_s = _act(manager, Action.RELEASE, names, lambda: every <= cluster.drawing())
        time.sleep(3.0)  # clock-ok: real jobs; one that has just started is not told to save
        seen_s = [_timed_s(manager.observe) for _ in range(looks)]
        victims = names[: jobs // 4]
        off = set(victims)

        def dark() -> bool:
            return not off & cluster.drawing()

        def light() -> bool:
            return off <= cluster.drawing()

        freeze_s = _act(manager, Action.PAUSE, victims, dark, expected_s=20.0)
        thaw_s = _act(manager, Action.RESUME, victims, light)
        save_s = _act(manager, Action.PAUSE, victims, dark)
        _until(manager, lambda: _count(manager, Phase.PAUSED) == len(victims))
        back_s = _act(manager, Action.RESUME, victims, light)
        lost_s = sum(
            event.lost_s for i in range(jobs) for event in job_events(cluster.checkpoints, _key(i))
        )
        running = _count(manager, Phase.RUNNING)
    return Load(
        jobs,
        start_s,
        statistics.median(seen_s),
        max(seen_s),
        freeze_s,
        thaw_s,
        save_s,
        back_s,
        lost_s,
        running,
    )


def _key(i: int) -> str:
    return f"load-{i}"


def _handed_over(manager: SlurmManager, cluster: LocalCluster, jobs: int) -> list[str]:
    script = job_script(cluster.checkpoints, 3600.0, tick_s=5.0)
    orders = [
        WorkOrder(_key(i), "load", "research", 1, 0, 7200.0, 3, script, pool=_POOL)
        for i in range(jobs)
    ]
    receipts = manager.submit(orders)
    refused = [r for r in receipts if r.outcome is not Outcome.ACCEPTED]
    if refused:
        raise RuntimeError(f"{len(refused)} jobs were not taken, the first: {refused[0].reason}")
    return [receipt.reason for receipt in receipts]


def _act(
    manager: SlurmManager,
    action: Action,
    jobs: Sequence[str],
    true: Callable[[], bool],
    expected_s: float = 0.0,
) -> float:
    """Send commands and wait for what they are for; how long it took, s."""
    before_s = time.monotonic()  # clock-ok: a measurement
    commands = [Command(f"{before_s}-{job}", action, job, expected_s=expected_s) for job in jobs]
    odd = [r for r in manager.act(commands) if r.outcome is not Outcome.ACCEPTED]
    if odd:
        raise RuntimeError(f"{action}: {len(odd)} jobs were not told, the first: {odd[0].reason}")
    _until(manager, true)
    return time.monotonic() - before_s  # clock-ok: a measurement


def _until(manager: SlurmManager, true: Callable[[], bool]) -> None:
    before_s = time.monotonic()  # clock-ok: a measurement
    while not true():
        if time.monotonic() - before_s > _LIMIT_S:  # clock-ok: as above
            raise RuntimeError(f"the cluster did not do as told within {_LIMIT_S:g} s")
        manager.act(())
        time.sleep(_NAP_S)  # clock-ok: as above


def _count(manager: SlurmManager, phase: Phase) -> int:
    return sum(view.phase is phase for view in manager.observe().jobs)


def _timed_s(call: Callable[[], object]) -> float:
    before_s = time.monotonic()  # clock-ok: a measurement
    call()
    return time.monotonic() - before_s  # clock-ok: a measurement
