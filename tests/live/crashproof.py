"""The result of the crash test, as data and as a page."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gigafactory.testing.crashing import CrashRig, Kill

_TITLE = "# Killed at random on real parts, as last run"
_MACHINE = """\
{date}, {machine}, load average over one, five and fifteen minutes {load_average} (whatever else ran
there is in it), Python {python}, {slurm}, PostgreSQL {postgresql}; seed {seed}."""
_LOAD = """\
{kills} times kill -9 of the controller, the database and Slurm's controller in {wall_s:.0f} s,
while {jobs} jobs and {orders} limits came in, with {readings} readings of an independent meter. A
lower limit must hold after {bound_s:g} s in which every part was up."""
_WELL = """\
No work and no order was lost or doubled, no accelerator was given twice, no work ran in two
processes at once; the journal's chain is whole, the books balance, and no reading of the meter is
above what the bound allows. Work whose end Slurm's controller forgot before anybody had seen it was
run again from its checkpoint, at most once per kill."""
_MEANING = """\
Times are from the kill to the next decision with every part in reach, by nearest rank. The pause of
up to 0.3 s before the restart, and the restart of the part itself, are in them."""


def ranked(values: Sequence[float], share: float) -> float:
    """A percentile by nearest rank."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def recovery(kills: Sequence[Kill]) -> dict[str, dict[str, float]]:
    """Recovery times by kind of crash, s."""
    found = {}
    for kind in sorted({k.kind for k in kills}):
        mine = [k.recovery_s for k in kills if k.kind == kind]
        found[kind] = {
            "kills": len(mine),
            "p50_s": round(ranked(mine, 0.5), 2),
            "p95_s": round(ranked(mine, 0.95), 2),
            "max_s": round(max(mine), 2),
        }
    return found


def result(rig: CrashRig, problems: Sequence[str], wall_s: float) -> dict[str, Any]:
    """What a run of the crash test showed."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} processors, {platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "slurm": rig.cluster.run("sinfo", "--version").strip(),
        "postgresql": rig.database.version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "seed": rig.seed,
        "wall_s": round(wall_s, 1),
        "kills": len(rig.kills),
        "jobs": len(rig.outside.works),
        "orders": len(rig.outside.limits),
        "readings": len(rig.meter.sights()),
        "bound_s": rig.bound_s,
        "problems": list(problems),
        "recovery": recovery(rig.kills),
    }


def write(folder: Path, told: dict[str, Any]) -> None:
    """Write both."""
    (folder / "crash.json").write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    rows = [
        f"| {kind} | {row['kills']} | {row['p50_s']} | {row['p95_s']} | {row['max_s']} |"
        for kind, row in told["recovery"].items()
    ]
    verdict = [f"- {problem}" for problem in told["problems"]] or [_WELL]
    table = ["| killed | times | p50, s | p95, s | max, s |", "|---|---|---|---|---|", *rows]
    parts = [_TITLE, _MACHINE.format_map(told), _LOAD.format_map(told), *verdict]
    text = "\n\n".join([*parts, "\n".join(table), _MEANING])
    (folder / "crash.md").write_text(text + "\n", "utf-8")
