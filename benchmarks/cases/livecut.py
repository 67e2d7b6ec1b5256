"""A power cut from the grid's message to the meter, on a real Slurm steered by the real service."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measuring import Skipped, case
from gigafactory.testing import mosquitto, slurm
from gigafactory.testing.livecut import measure_cuts

#: Jobs running, and how often a quarter of their power is cut.
_SIZES = ((100, 4), (500, 4), (1000, 3))


@case("live-cut")
def live_cut() -> dict[str, float]:
    """Cut a quarter of the power of 100, 500 and 1,000 running jobs, again and again."""
    why = slurm.available()
    if not why and not mosquitto.available():
        why = "mosquitto is not installed (make system)"
    if why:
        raise Skipped(why)
    found: dict[str, float] = {}
    lost = lost_s = 0.0
    for running, cuts in _SIZES:
        with tempfile.TemporaryDirectory() as folder:
            series = measure_cuts(Path(folder), running, cuts)
        lost += len(series.lost)
        lost_s += series.lost_s
        for name, shares in series.figures().items():
            for share, value in shares.items():
                found[f"{running}_{name.removesuffix('_s')}_{share}_s"] = value
    return found | {"lost": lost, "lost_s": lost_s}
