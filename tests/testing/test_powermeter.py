"""The meter of processes sees work, stopped work and the end of it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from gigafactory.testing.powermeter import RunningMeter, Sight, power_meter

pytestmark = pytest.mark.slow


def _wait(meter: RunningMeter, holds: Callable[[Sight], bool]) -> Sight:
    until = time.monotonic() + 10.0
    while time.monotonic() < until:
        sights = meter.sights()
        if sights and holds(sights[-1]):
            return sights[-1]
        time.sleep(0.05)
    raise AssertionError(f"not seen: {meter.sights()[-3:]}")


def _job(number: int, cluster: str, nodes: int = 1) -> subprocess.Popen[bytes]:
    told = {"SLURM_JOB_ID": str(number), "SLURM_GPUS_ON_NODE": "8", "SLURM_CONF": cluster}
    told["SLURM_JOB_NUM_NODES"] = str(nodes)
    return subprocess.Popen(["sleep", "60"], env={**os.environ, **told})


def test_it_sees_work_rest_and_end(tmp_path: Path) -> None:
    mine = str(tmp_path / "slurm.conf")
    with power_meter(tmp_path / "readings", accelerators=64, cluster=mine, every_s=0.05) as meter:
        jobs = [_job(1, mine), _job(2, mine, nodes=2), _job(3, "/another/slurm.conf")]
        try:
            both = _wait(meter, lambda s: s.working == 24)
            assert both.jobs == 2
            assert both.it_w == pytest.approx(24 * 700.0 + 40 * 70.0)
            jobs[1].send_signal(signal.SIGSTOP)
            assert _wait(meter, lambda s: s.resting == 16).working == 8
            with urllib.request.urlopen(meter.url) as page:
                assert b'gf_meter_accelerators{state="working"} 8' in page.read()
            jobs[1].send_signal(signal.SIGCONT)
            _wait(meter, lambda s: s.working == 24)
            jobs[0].kill()
            jobs[0].wait()
            assert _wait(meter, lambda s: s.jobs == 1).working == 16
        finally:
            for job in jobs:
                job.kill()
                job.wait()
