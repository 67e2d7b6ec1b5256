"""The same trace through the same loop on a real Slurm and on the twin: who starts, who makes way.

Decision by decision: the twin, led through what Slurm showed (arrivals, starts, saves, ends, tick
by tick), must decide the same in the same order. By itself it differs by timing alone; how far is
measured and bounded.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gigafactory.testing.slurm import available
from gigafactory.units import NS_PER_S
from tests.conftest import IN_CI
from tests.live import paritybench as bench
from tests.live.paritybench import Case, Cut, Run


@pytest.fixture(scope="module", autouse=True)
def slurm() -> None:
    why = available()
    if why and IN_CI:
        pytest.fail(why)
    if why:
        pytest.skip(why)


@pytest.mark.slow
def test_the_twin_decides_as_the_loop_on_slurm_did(tmp_path: Path) -> None:
    case = bench.made_case(1, 60, 4, 8, [Cut(6, 6, 0.5)], (0.5, 2.0))
    real, _ = bench.on_slurm(tmp_path, case)
    told = bench.counts(real)
    assert told["release"] >= 60, "every job was started by the loop"
    assert told.get("pause", 0) >= 1, "the cut took victims"
    twin, odd = bench.led(tmp_path, case, real)
    assert odd == [], "the twin's jobs stand as Slurm's do, tick by tick"
    assert bench.decision_differences(real, twin) == []
    # what is compared can differ: the same world with another limit, or without a job's end
    other = replace(case, cuts=(Cut(6, 6, 0.45),))
    assert bench.decision_differences(real, bench.led(tmp_path / "other", other, real)[0])


def _beside(real: Run, twin: Run, case: Case) -> dict[str, Any]:
    """What two free runs have in common, from their journals."""
    mine, theirs = bench.first_told(real, "release"), bench.first_told(twin, "release")
    apart, pairs = bench.kendall(mine, theirs)
    moved = bench.kendall(bench.started(real), bench.started(twin))
    taken = list(zip(bench.victims(real, case), bench.victims(twin, case), strict=True))
    return {
        "ticks": [real.turns[-1].tick, twin.turns[-1].tick],
        "commands": [bench.counts(real), bench.counts(twin)],
        "starts_both": len(set(mine) & set(theirs)),
        "start_pairs_apart": apart,
        "start_pairs": pairs,
        "start_shift_ticks": bench.shift_ticks(mine, theirs),
        "really_started_pairs_apart": moved[0],
        "victims": [
            {
                "slurm": len(set(a)),
                "twin": len(set(b)),
                "both": len(set(a) & set(b)),
                "first_same": next((i for i, (x, y) in enumerate(zip(a, b, strict=False))
                                    if x != y), min(len(a), len(b))),
            }
            for a, b in taken
        ],
        "victims_of_one_only": bench.odd_victims(real, twin, case),
    }  # fmt: skip


@pytest.mark.proof
def test_three_hundred_jobs_and_two_cuts(tmp_path: Path, proof_dir: Path) -> None:
    cuts = [Cut(80, 40, 0.55), Cut(190, 40, 0.4)]
    case = bench.made_case(7, 300, 16, 180, cuts, (3.0, 20.0))
    load_before = os.getloadavg()
    real, lost_s = bench.on_slurm(tmp_path, case)
    twin, odd = bench.led(tmp_path, case, real)
    differences = bench.decision_differences(real, twin)
    begin_ns = real.turns[0].begun_ns - 2 * NS_PER_S
    lags = bench.start_lags_s(real)
    held = bench.held_s(real)
    over = [held[a.name] - a.work_s for a in case.asks if lost_s[a.name] == 0.0]
    timed_s = {a.name: max(held[a.name] - lost_s[a.name], 0.1) for a in case.asks}
    free = bench.free(tmp_path, case, begin_ns)
    timed = bench.free(tmp_path, case, begin_ns, timed_s, statistics.median(lags))
    told = real.decided()
    took = [turn.took_s for turn in real.turns]
    found = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "load_average": [load_before, os.getloadavg()],
        "case": {
            "jobs": len(case.asks),
            "nodes": case.nodes,
            "accelerators": 8 * case.nodes,
            "tick_s": case.tick_s,
            "cuts": [[c.tick, c.ticks, c.share] for c in case.cuts],
        },
        "slurm": {
            "ticks": len(real.turns),
            "ticks_left_out": real.turns[-1].tick + 1 - len(real.turns),
            "tick_took_s": [statistics.median(took), max(took)],
            "start_lag_s": [statistics.median(lags), lags[len(lags) * 95 // 100], max(lags)],
            "longer_than_asked_s": [statistics.median(over), max(over)],
            "work_lost_s": sum(lost_s.values()),
        },
        "led": {
            "ticks": len(twin.turns),
            "commands": sum(len(some) for _, some in told),
            "by_action": bench.counts(real),
            "differences": len(differences),
            "states_not_the_same": len(odd),
        },
        "free": _beside(real, free, case),
        "timed": _beside(real, timed, case),
    }
    (proof_dir / "parity.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (proof_dir / "parity.md").write_text(_page(found), "utf-8")
    assert odd == []
    assert differences == []


def _page(found: dict[str, Any]) -> str:
    return json.dumps(found)
