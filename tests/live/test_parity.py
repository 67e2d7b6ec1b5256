"""The same trace through the same loop on a real Slurm and on the twin: who starts, who makes way.

Decision by decision: the twin, led through what Slurm showed (arrivals, starts, saves, ends, tick
by tick), must decide the same in the same order. By itself it differs, since Slurm takes its time
for everything; how far is measured, beside how far the twin differs from itself when its times are
drawn from Slurm's, and bounded by that.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gigafactory.testing.slurm import available
from gigafactory.units import NS_PER_S
from tests.conftest import missing
from tests.live import paritybench as bench
from tests.live.paritybench import Case, Cut, Run


@pytest.fixture(scope="module", autouse=True)
def slurm() -> None:
    missing(available())


@pytest.mark.slow
def test_the_twin_decides_as_the_loop_on_slurm_did(tmp_path: Path) -> None:
    case = bench.made_case(1, 60, 6, 6, [Cut(3, 5, 0.4, 0.75)], (1.0, 3.0))
    real, _ = bench.on_slurm(tmp_path, case)
    case = replace(case, cuts=tuple(real.cuts))
    told = bench.counts(real)
    assert told["release"] >= 60, "every job was started by the loop"
    assert told.get("pause", 0) >= 1, "the cut took victims"
    twin, odd = bench.led(tmp_path, case, real)
    assert odd == [], "the twin's jobs stand as Slurm's do, tick by tick"
    assert bench.decision_differences(real, twin) == []
    # what is compared can differ: the same world with another limit, or without a job's end
    other = replace(case, cuts=(replace(real.cuts[0], share=0.35),))
    assert bench.decision_differences(real, bench.led(tmp_path / "other", other, real)[0])


# --- the long form --------------------------------------------------------------------------


def _beside(one: Run, twin: Run, case: Case) -> dict[str, Any]:
    """What two free runs have in common, from their journals."""
    mine, theirs = bench.first_told(one, "release"), bench.first_told(twin, "release")
    apart, pairs = bench.kendall(mine, theirs)
    really, _ = bench.kendall(bench.started(one), bench.started(twin))
    taken = zip(bench.victims(one, case), bench.victims(twin, case), strict=True)
    was = Counter(str(v["in_the_other"]) for v in bench.odd_victims(one, twin, case))
    return {
        "ticks": [one.turns[-1].tick, twin.turns[-1].tick],
        "commands": [bench.counts(one), bench.counts(twin)],
        "starts_both": len(set(mine) & set(theirs)),
        "start_pairs": pairs,
        "start_pairs_apart": apart,
        "really_started_pairs_apart": really,
        "start_shift_ticks": bench.shift_ticks(mine, theirs),
        "victims": [[len(set(a)), len(set(b)), len(set(a) & set(b))] for a, b in taken],
        "victims_of_one_only_were_in_the_other": dict(sorted(was.items())),
        "first_difference_tick": bench.first_difference(one, twin),
    }


@pytest.mark.proof
def test_three_hundred_jobs_and_two_cuts(tmp_path: Path, proof_dir: Path) -> None:
    cuts = [Cut(60, 35, 0.55, 0.7), Cut(140, 35, 0.4, 0.7)]
    case = bench.made_case(7, 300, 16, 130, cuts, (2.0, 14.0))
    load_before = os.getloadavg()[0]
    real, lost_s = bench.on_slurm(tmp_path, case)
    case = replace(case, cuts=tuple(real.cuts))
    load_after = os.getloadavg()[0]
    twin, odd = bench.led(tmp_path, case, real)
    differences = bench.decision_differences(real, twin)
    begin_ns = real.turns[0].begun_ns - 2 * NS_PER_S
    lags, held = bench.start_lags_s(real), bench.held_s(real)
    over = sorted(held[a.name] - a.work_s for a in case.asks if lost_s[a.name] == 0.0)
    free = bench.free(tmp_path / "free", case, begin_ns)
    shaken = []
    for seed in range(3):  # the same trace, its run times off by what Slurm's were, drawn anew
        draw = np.random.default_rng(seed)
        extra = draw.choice(over, len(case.asks)) + draw.choice(lags, len(case.asks))
        timed_s = {a.name: max(a.work_s + e, 0.1) for a, e in zip(case.asks, extra, strict=True)}
        run = bench.free(tmp_path / f"shaken{seed}", case, begin_ns, timed_s)
        shaken.append(_beside(run, free, case))
    took = sorted(turn.took_s for turn in real.turns)
    found = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "slurm": _slurm_version(),
        "load_average": [load_before, load_after],
        "case": {
            "jobs": len(case.asks),
            "nodes": case.nodes,
            "accelerators": 8 * case.nodes,
            "tick_s": case.tick_s,
            "cuts": [[c.tick, c.ticks, c.share] for c in case.cuts],
        },
        "real": {
            "ticks": len(real.turns),
            "ticks_left_out": real.turns[-1].tick + 1 - len(real.turns),
            "tick_took_s": [_at(took, 50), _at(took, 95), took[-1]],
            "start_lag_s": [_at(lags, 50), _at(lags, 95), lags[-1]],
            "longer_than_asked_s": [_at(over, 50), _at(over, 95), over[-1]],
            "work_lost_s": sum(lost_s.values()),
        },
        "led": {
            "ticks": len(twin.turns),
            "commands": sum(len(some) for _, some in real.decided()),
            "by_action": bench.counts(real),
            "differences": len(differences),
            "states_not_the_same": len(odd),
        },
        "free": _beside(real, free, case),
        "shaken": shaken,
    }
    (proof_dir / "parity.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (proof_dir / "parity.md").write_text(_page(found), "utf-8")
    assert odd == []
    assert differences == []
    both = found["free"]
    assert both["starts_both"] == len(case.asks)
    assert both["start_pairs_apart"] <= 1.5 * max(s["start_pairs_apart"] for s in shaken)
    assert both["start_shift_ticks"]["median"] <= 10.0


def _at(values: Sequence[float], percent: int) -> float:
    return round(float(np.percentile(values, percent)), 3)


def _slurm_version() -> str:
    done = subprocess.run(["slurmctld", "-V"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _page(found: dict[str, Any]) -> str:
    """The result as a page."""
    case, real, led, free = found["case"], found["real"], found["led"], found["free"]
    cuts = "; ".join(f"tick {a}, {n} ticks, to {100 * share:.0f} %" for a, n, share in case["cuts"])
    rows = [("Slurm and the twin", free)]
    rows += [(f"the twin and the twin shaken, {i + 1}", s) for i, s in enumerate(found["shaken"])]
    table = "\n".join(
        f"| {name} | {100 * r['start_pairs_apart'] / r['start_pairs']:.1f} % "
        f"| {r['start_shift_ticks']['median']:.0f}, {r['start_shift_ticks']['p95']:.0f}, "
        f"{r['start_shift_ticks']['max']:.0f} "
        f"| {', '.join('/'.join(map(str, v)) for v in r['victims'])} "
        f"| {r['ticks'][0]}, {r['ticks'][1]} | {r['first_difference_tick']} |"
        for name, r in rows
    )
    only = free["victims_of_one_only_were_in_the_other"]
    actions = ", ".join(f"{n} {what}" for what, n in led["by_action"].items())
    return _TEXT.format(
        found=found, case=case, real=real, led=led, free=free, cuts=cuts, table=table,
        actions=actions, only=", ".join(f"{n} {was}" for was, n in only.items()) or "none",
        only_all=sum(only.values()),
    )  # fmt: skip


_TEXT = """\
# The same decisions on Slurm and on the twin, as last run

One trace of {case[jobs]} jobs (shares of a node and gangs, four classes, three tenants with quotas
under fair share, preemption for guarantees) through the same live loop, on a real Slurm of
{case[nodes]} nodes with {case[accelerators]} accelerators in real time, and on the simulated cluster; a tick of
{case[tick_s]:g} s in both. Limits: {cuts} of full load. Everything is read from the two journals.
Figures: [parity.json](parity.json).

{found[date]}, {found[machine]}, {found[slurm]}, Python {found[python]}, load average
{found[load_average][0]:.1f} before and {found[load_average][1]:.1f} after the run on Slurm.

## Decision by decision

The twin is led through what Slurm showed, tick by tick: arrivals, starts with their nodes, saves,
ends. Commands come from a controller of its own on its own state. A job that starts without having
been released there, or stands still without having been paused there, would be told.

| | |
|---|---:|
| ticks | {led[ticks]} |
| commands ({actions}) | {led[commands]} |
| ticks with another command, another order, budget, limit, draw or reason to wait | {led[differences]} |
| jobs that stood otherwise at a tick | {led[states_not_the_same]} |

## Each by itself

Then the twin runs the trace alone. What was found to differ is when things happen: from the release of
a job to its start {real[start_lag_s][0]:.1f} s (95 in 100 within {real[start_lag_s][1]:.1f} s, at most {real[start_lag_s][2]:.1f} s), jobs
hold their nodes {real[longer_than_asked_s][0]:.1f} s longer than their work takes (95 in 100 within
{real[longer_than_asked_s][1]:.1f} s, at most {real[longer_than_asked_s][2]:.1f} s), {real[ticks_left_out]} ticks of the busy machine were left
out, instants are whole seconds, and where two nodes are equal Slurm may take the other one. An overloaded
pool makes much of little: who ends a second later lets another job go first. How much is measured
by shaking the twin: the same trace, run times off by what Slurm's were, drawn anew three times.

| runs | pairs of jobs started in another order | start shifted by ticks: median, 95 %, most | victims per cut: first/second/both | last tick | first difference at tick |
|---|---:|---|---|---|---:|
{table}

Of {only_all} victims that only one of Slurm and the twin took, in the other one at that moment were:
{only}. The test bounds the pairs in another order by one and a half times those of the twin that was
shaken most, and the median shift by ten ticks.

## What is not compared

No meter is read: both model their power, so that only decisions are compared; that a limit is met by
the meter is shown elsewhere. A job that is paused and let go on within one decision counts as the
youngest of its class in a simulation from then on. Here it cannot matter: a gate is built anew every
tick, and what it does and undoes at one instant is not told to anybody.
"""  # noqa: E501
