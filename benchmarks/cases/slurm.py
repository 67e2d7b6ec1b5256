"""A real Slurm with five hundred running jobs, told to shed a quarter of them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measuring import Skipped, case
from gigafactory.testing.slurm import available
from gigafactory.testing.slurm_load import measure_load


@case("slurm-500")
def slurm() -> dict[str, float]:
    """Look at 500 running jobs; freeze 125 of them and save 125 of them."""
    why = available()
    if why:
        raise Skipped(why)
    with tempfile.TemporaryDirectory() as folder:
        load = measure_load(Path(folder), 500)
    return {
        "observe_ms": 1000.0 * load.observe_s,
        "freeze_s": load.freeze_s,
        "save_s": load.save_s,
        "back_s": load.back_s,
        "lost_s": load.lost_s,
        "running": load.running,
    }
