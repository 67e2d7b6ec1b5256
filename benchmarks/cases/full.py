"""The full model of a factory: windows of a day against PyPSA, and a month at once."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.cases.energy import AHEAD, FIRST_DAY, beside_peer, peer_python, rolled
from benchmarks.cases.fullmodel import (
    BLOCK,
    CAPACITY,
    CONTRACT_MW,
    DAY,
    ENGINES_EUR_PER_MWH,
    ENGINES_MW,
    EXPORT_MW,
    LIMIT_MW,
    PEAK_EUR_PER_MW,
    RESERVE_MW,
    SITE,
    SPREAD_EUR_PER_MWH,
    START_MWH,
    FullYear,
    H,
    full_numbers,
    full_year,
)
from benchmarks.measuring import Timer, case, peak_mib
from gigafactory.planner.shape import Horizon
from gigafactory.planner.solving import LineSolver, solve_once
from gigafactory.planner.stitching import solve_whole

WINDOWS = 12


def our_full_windows(
    y: FullYear, states: list[list[float]] | None = None
) -> tuple[list[float], list[float], list[float]]:
    """Time of each window, of its solver alone, and its objective.

    Args:
        y: the year.
        states: peak, stored energy and backlogs each window begins with; without, what the window
            before left.
    """
    steps = np.arange(AHEAD, dtype=np.int64)
    solver = LineSolver([SITE], Horizon.line(np.full(AHEAD, H), steps // BLOCK), warm=True)
    state = [0.0, START_MWH, *(0.0 for _ in SITE.groups)]
    times, solves, objectives = [], [], []
    for k in range(WINDOWS):
        if states is not None:
            state = states[k]
        timer = Timer()
        x = full_numbers(y, (FIRST_DAY + k) * DAY, AHEAD)
        x.peak_eur_per_mw, x.peak_mw = np.array([PEAK_EUR_PER_MW]), np.array(state[:1])
        x.soc_mwh, x.backlog_gpu_h = state[1], np.array(state[2:])
        found = solver.solve([x])
        assert found is not None, f"no plan in window {k}"
        left = [float(found.of(0, f"backlog.{g}")[DAY - 1]) for g in range(len(SITE.groups))]
        peak = max(state[0], float(found.of(0, "import")[:DAY].max()))
        state = [peak, float(found.of(0, "soc")[DAY - 1]), *left]
        times.append(timer.wall_s())
        solves.append(found.seconds_s)
        objectives.append(found.objective_eur)
    return times, solves, objectives


def hand_over(y: FullYear, path: Path) -> None:
    """Write what the peer needs: series, windows' end worths, and the site."""
    first, steps = FIRST_DAY * DAY, WINDOWS * DAY + AHEAD - DAY
    span = slice(first, first + steps)
    blocks = slice(first // BLOCK, (first + steps) // BLOCK)
    ends = [full_numbers(y, first + k * DAY, AHEAD) for k in range(WINDOWS)]
    site = asdict(SITE)
    site |= {
        "limit_mw": LIMIT_MW, "export_mw": EXPORT_MW, "contract_mw": CONTRACT_MW,
        "capacity": CAPACITY, "engines_mw": ENGINES_MW, "engines_eur_per_mwh": ENGINES_EUR_PER_MWH,
        "peak_eur_per_mw": PEAK_EUR_PER_MW, "reserve_mw": RESERVE_MW, "start_mwh": START_MWH,
        "spread_eur_per_mwh": SPREAD_EUR_PER_MWH, "windows": WINDOWS,
        "taking_eur_per_mwh": float(SITE.taking_eur_per_mwh[0]),
    }  # fmt: skip
    np.savez(
        path,
        site=json.dumps(site),
        price=y.price_eur_per_mwh[span],
        contract=y.contract_mw[span],
        limit=y.limit_mw[span],
        load=y.load_mw[span],
        asked=y.asked[:, span],
        position=y.position_mw[span],
        slow=y.slow[span],
        end_delay=np.array([x.delay_eur_per_gpu_h[:, -1] for x in ends]),
        end_soc=np.array([x.soc_eur_per_mwh for x in ends]),
        **{way: price[blocks] for way, price in y.reserve_eur_per_mw.items()},
    )


@case("energy-windows-full")
def full_windows() -> dict[str, float]:
    """Daily windows of 36 hours on the full model, against PyPSA's own rolling horizon."""
    y, python = full_year(), peer_python()
    with tempfile.TemporaryDirectory() as folder:
        given, came = Path(folder, "given.npz"), Path(folder, "came.json")
        hand_over(y, given)
        ours, solves, _ = our_full_windows(y)
        theirs = rolled(python, "pypsa_full.py", given, came)
    objectives = our_full_windows(y, theirs["states"])[2]
    told = beside_peer(ours, solves, objectives, theirs)
    return told | {"slow_share": float(y.slow.mean())}


@case("energy-month-full")
def full_at_once() -> dict[str, float]:
    """January of the full model at 15 minutes in one programme, known in advance."""
    y, days = full_year(), 31
    steps = np.arange(days * DAY, dtype=np.int64)
    x = full_numbers(y, 0, len(steps))
    x.soc_mwh = x.soc_end_mwh = START_MWH
    x.peak_eur_per_mw, x.peak_mw = np.array([PEAK_EUR_PER_MW]), np.zeros(1)
    timer = Timer()
    horizon = Horizon.line(np.full(len(steps), H), steps // BLOCK)
    found = solve_once([SITE], horizon, [x])
    assert found is not None
    return {
        "wall_s": timer.wall_s(),
        "processor_s": timer.cpu_s(),
        "solver_s": found.seconds_s,
        "peak_rss_mib": peak_mib(),
        "columns": len(found.columns),
        "objective_keur": found.objective_eur / 1e3,
        "beyond_mwh": H * float(found.of(0, "beyond").sum()),
    }


@case("energy-year-full")
def full_year_at_once() -> dict[str, float]:
    """The year of the full model at 15 minutes, known in advance, with its proof."""
    y = full_year()
    steps, months = np.arange(len(y), dtype=np.int64), int(y.month.max()) + 1
    x = full_numbers(y, 0, len(y))
    x.soc_mwh = x.soc_end_mwh = START_MWH
    x.peak_eur_per_mw, x.peak_mw = np.full(months, PEAK_EUR_PER_MW), np.zeros(months)
    timer = Timer()
    horizon = Horizon.line(np.full(len(y), H), steps // BLOCK, y.month)
    found = solve_whole([SITE], horizon, [x])
    assert found is not None
    return {
        "wall_s": timer.wall_s(),
        "processor_s": timer.cpu_s(),
        "solver_s": found.solution.seconds_s,
        "peak_rss_mib": peak_mib(),
        "columns": len(found.solution.columns),
        "days": len(y) / DAY,
        "stitched": float(found.method != "at once"),
        "objective_keur": found.solution.objective_eur / 1e3,
        "bound_keur": found.proof.bound_eur / 1e3,
        "gap_share": found.proof.gap_share,
        "beyond_mwh": H * float(found.solution.of(0, "beyond").sum()),
    }
