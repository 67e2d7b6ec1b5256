"""The energy planner: windows of a day against PyPSA, a year every quarter, a year at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.cases.energymodel import (
    BLOCK,
    CLASSES,
    DAY,
    PEAK_EUR_PER_MW,
    RESERVE_MW,
    SITE,
    Year,
    numbers,
    put,
    spent_eur,
    year,
)
from benchmarks.measuring import Skipped, Timer, case, peak_mib
from gigafactory.planner.numbers import Numbers
from gigafactory.planner.ring import Circle, Mixed, RingProgram
from gigafactory.planner.shape import Horizon
from gigafactory.planner.solving import LineSolver, Solution, solve_once

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

AHEAD = 144  # 36 hours
WINDOWS = 16
#: First window: 1 March 2024.
FIRST_DAY = 60
START_MWH = 200.0
#: What rounding may take from a promise that fills a limit to the last digit.
TOLERANCE_MW = 1e-4


def peer_python() -> str:
    """The Python that has the peers installed: GIGAFACTORY_PEERS, or .venv-peers.

    Raises:
        Skipped: there is none.
    """
    named = os.environ.get("GIGAFACTORY_PEERS", "")
    for path in (Path(named), Path(".venv-peers/bin/python")):
        if (named != "" and path.is_file()) or path.is_file():
            return str(path)
    raise Skipped("no environment with the peers; `make peers` makes .venv-peers")


def of_window(y: Year, x: Numbers, first: int) -> None:
    """Numbers of the window that begins at a period."""
    steps = np.arange(AHEAD, dtype=np.int64)
    put(x, y, steps, first + steps, np.ones_like(steps))
    blocks = slice(first // BLOCK, (first + AHEAD) // BLOCK)
    for way, price in y.reserve_eur_per_mw.items():
        x.product_eur_per_mw[way] = price[blocks]


def take(x: Numbers, found: Solution, steps: int) -> None:
    """Commit the first steps of a window: states and peak are what they have become."""
    x.soc_mwh = float(found.of(0, "soc")[steps - 1])
    x.backlog_gpu_h = np.array(
        [found.of(0, f"backlog.{g}")[steps - 1] for g in range(len(CLASSES))]
    )
    x.peak_mw = np.maximum(x.peak_mw, found.of(0, "import")[:steps].max())


def our_windows(
    y: Year, states: list[tuple[float, float]] | None = None
) -> tuple[list[float], list[float], list[float]]:
    """Time of each window, of its solver alone, and its objective.

    Args:
        y: the year.
        states: peak and stored energy each window begins with; its own last ones without.
    """
    steps = np.arange(AHEAD, dtype=np.int64)
    solver = LineSolver([SITE], Horizon.line(np.full(AHEAD, 0.25), steps // BLOCK), warm=True)
    x = numbers(AHEAD, AHEAD // BLOCK)
    x.soc_mwh, x.peak_mw, x.peak_eur_per_mw = START_MWH, np.zeros(1), np.array([PEAK_EUR_PER_MW])
    times, solves, objectives = [], [], []
    for day in range(FIRST_DAY, FIRST_DAY + WINDOWS):
        if states is not None:
            x.peak_mw, x.soc_mwh = np.array(states[day - FIRST_DAY][:1]), states[day - FIRST_DAY][1]
        timer = Timer()
        of_window(y, x, day * DAY)
        found = solver.solve([x])
        assert found is not None
        take(x, found, DAY)
        times.append(timer.wall_s())
        solves.append(found.seconds_s)
        objectives.append(found.objective_eur)
    return times, solves, objectives


def rolled(python: str, script: str, given: Path, came: Path, *more: str) -> dict[str, Any]:
    """What the peer's rolling horizon took and came to, by a script of `benchmarks/peers`.

    Raises:
        RuntimeError: it failed; what it said stands on stderr.
    """
    place = Path(__file__).parents[1] / "peers" / script
    command = [python, str(place), str(given), str(came), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stderr[-4000:])
        raise RuntimeError("the peer failed")
    return dict(json.loads(came.read_text()))


def beside_peer(
    ours: list[float], solves: list[float], objectives: list[float], theirs: dict[str, Any]
) -> dict[str, float]:
    """Our windows beside the peer's: times, their ratio, objectives, the solver's share of ours."""
    off = np.abs(np.subtract(objectives, theirs["objective_eur"]))
    return {
        "ours_ms": 1e3 * float(np.median(ours)),
        "pypsa_ms": 1e3 * float(np.median(theirs["window_s"])),
        "ratio": float(np.median(theirs["window_s"]) / np.median(ours)),
        "objective_off": float((off / np.abs(objectives)).max()),
        "solver_share": float(np.sum(solves) / np.sum(ours)),
    }


@case("energy-windows")
def windows() -> dict[str, float]:
    """Daily windows of 36 hours at 15 minutes, against PyPSA's own rolling horizon."""
    y, python = year(), peer_python()
    with tempfile.TemporaryDirectory() as folder:
        given, came = Path(folder, "given.npz"), Path(folder, "came.json")
        span = slice(FIRST_DAY * DAY, (FIRST_DAY + WINDOWS) * DAY + AHEAD)
        blocks = slice(span.start // BLOCK, span.stop // BLOCK)
        np.savez(
            given,
            buy=y.buy_eur_per_mwh[span],
            sell=y.sell_eur_per_mwh[span],
            wind=y.wind_mw[span],
            load=y.load_mw[span],
            **{way: price[blocks] for way, price in y.reserve_eur_per_mw.items()},
        )
        ours, solves, _ = our_windows(y)
        theirs = rolled(python, "pypsa_windows.py", given, came, str(WINDOWS))
    # plans of equal cost may leave different states behind: costs are compared from the peer's
    objectives = our_windows(y, theirs["states"])[2]
    return beside_peer(ours, solves, objectives, theirs)


# --- every quarter of an hour -------------------------------------------------------------------


class Every15:
    """A year of plans every quarter of an hour.

    Reserves of a block are sold a day before it begins and are bounds from then on.

    Args:
        y: the year.
        mixed: short steps for six hours and hours after that, instead of short ones throughout.
        updated: whether every step's forecasts change at every plan, by a little noise.
    """

    def __init__(self, y: Year, mixed: bool, updated: bool) -> None:
        self.y, self.mixed, self.updated = y, mixed, updated
        if mixed:
            self.track: Circle | Mixed = Mixed(28, 32, 4, 4)
            self.block = np.concatenate([np.full(28, -1), np.arange(32) // 4])
            horizon = Horizon.mixed(28, 32, 4, 0.25, self.block)
        else:
            self.track = Circle(AHEAD, BLOCK)
            self.block = np.arange(AHEAD) // BLOCK
            horizon = Horizon.circle(AHEAD, 0.25, self.block)
        self.blocks = int(self.block.max()) + 1
        self.x = numbers(len(self.block), self.blocks)
        self.x.peak_eur_per_mw = np.full(2, PEAK_EUR_PER_MW)
        self.x.peak_mw, self.x.soc_mwh = np.zeros(2), START_MWH
        self.x.soc_eur_per_mwh = 60.0
        for way in ("fcr", "up", "down"):
            self.x.promised_mw[way] = np.zeros(len(self.block))
        self.x.stored_mw = np.zeros(len(self.block))
        self.ring = RingProgram([SITE], horizon, [self.x])
        self.sold = {way: np.full(len(y) // BLOCK + 16, np.nan) for way in ("fcr", "up", "down")}
        self.random = np.random.default_rng(0)
        steps = np.arange(AHEAD, dtype=np.int64)
        line = Horizon.line(np.full(AHEAD, 0.25), steps // BLOCK)
        self.gate = LineSolver([SITE], line, warm=True)
        self.gate_numbers = numbers(AHEAD, AHEAD // BLOCK)
        self.gate_numbers.peak_eur_per_mw = np.array([PEAK_EUR_PER_MW])
        self.held = np.full(len(self.block), -1, np.int64)
        self.cost_eur = self.beyond_mwh = 0.0

    def run(self, periods: int) -> list[float]:
        """Plan so many times; gives the wall time of each, s."""
        times = []
        for period in range(periods):
            timer = Timer()
            self.step(period)
            times.append(timer.wall_s())
        return times

    def step(self, period: int) -> None:
        """Plan, commit the first step, and decide tomorrow's reserves when their gate closes."""
        y, x = self.y, self.x
        turn = self.track.at(period)
        length = np.where(turn.slot >= 28, 4, 1) if self.mixed else np.ones_like(turn.slot)
        new = self.held[turn.slot] != turn.period
        if period and y.month[period] != y.month[period - 1]:
            x.peak_mw, new = np.zeros(2), np.ones_like(new)
        self.held[turn.slot] = turn.period
        changed = turn.slot[new]
        put(x, y, changed, turn.period[new], length[new])
        month = y.month[np.minimum(turn.period, len(y) - 1)]
        x.peak_row[turn.slot] = month != month[0]
        if self.updated:
            noise = self.random.normal(0.0, 1.0, len(turn.slot)) * np.linspace(0, 3, len(turn.slot))
            base = y.buy_eur_per_mwh[np.minimum(turn.period, len(y) - 1)]
            x.import_eur_per_mwh[turn.slot] = base + noise
            x.export_eur_per_mwh[turn.slot] = x.import_eur_per_mwh[turn.slot] - 16.0
            changed = turn.slot
        if self.mixed and period % BLOCK == 0 and period + AHEAD <= len(y):
            self._gate(period)
        self._blocks(turn.slot, turn.period)
        assert self.ring.plan(turn.now, changed), f"no plan at period {period}"
        slot = int(turn.slot[0])
        names = ("import", "export", "generator.0", "discharge", "soc", "beyond")
        flow = {name: self.ring.value(0, name, slot) for name in names}
        self.beyond_mwh += 0.25 * flow["beyond"]
        self.cost_eur += spent_eur(y, period, flow)
        self.cost_eur += PEAK_EUR_PER_MW * max(flow["import"] - x.peak_mw[0], 0.0)
        x.peak_mw[0] = max(x.peak_mw[0], flow["import"])
        x.soc_mwh = flow["soc"]
        x.backlog_gpu_h = np.array(
            [max(self.ring.value(0, f"backlog.{g}", slot), 0.0) for g in range(len(CLASSES))]
        )
        if period % BLOCK == 0 and not self.mixed:
            self._decide(period, lambda way, b: self.ring.spanned(0, way, b % self.blocks))

    def _decide(self, period: int, planned: Callable[[str, int], float]) -> None:
        """Sell the reserves of the block that begins in a day (at first of all until then)."""
        last = min((period + DAY) // BLOCK, len(self.y) // BLOCK - 1)
        for b in range(0 if period == 0 else last, last + 1):
            for way, sold in self.sold.items():
                if np.isnan(sold[b]):
                    sold[b] = max(planned(way, b), 0.0)
                    self.cost_eur -= sold[b] * float(self.y.reserve_eur_per_mw[way][b])

    def _gate(self, period: int) -> None:
        """A bid deserves the whole detail: quarters for 36 hours, from the present state."""
        g, x = self.gate_numbers, self.x
        of_window(self.y, g, period)
        g.soc_mwh, g.backlog_gpu_h, g.peak_mw = x.soc_mwh, x.backlog_gpu_h, x.peak_mw[:1]
        g.soc_eur_per_mwh = x.soc_eur_per_mwh
        first = period // BLOCK
        for way, sold in self.sold.items():
            amount = sold[first : first + AHEAD // BLOCK]
            g.held_mw[way] = np.maximum(np.nan_to_num(amount) - TOLERANCE_MW, 0.0)
            g.sells_mw[way] = np.where(np.isnan(amount), RESERVE_MW, amount)
        found = self.gate.solve([g])
        assert found is not None, f"no plan at the gate of period {period}"
        offers = {way: found.spanned(0, way) for way in self.sold}
        self._decide(period, lambda way, b: float(offers[way][b - first]))

    def _blocks(self, slot: Ints, period: Ints) -> None:
        """Prices and bounds of the blocks in sight; what was sold is held."""
        x, block = self.x, period // BLOCK
        sold = {way: np.nan_to_num(amount[block]) for way, amount in self.sold.items()}
        if self.mixed:
            short = slot < 28
            for way in sold:
                kept = np.maximum(sold[way][short] - TOLERANCE_MW, 0.0)
                x.promised_mw[way][slot[short]] = kept
            after = np.nan_to_num(self.sold["fcr"][(period + 1) // BLOCK])
            x.stored_mw[slot[short]] = np.maximum(sold["fcr"], after)[short]
        behind = self.block[slot] >= 0
        # the block now running comes first, so that it keeps the column it shares with the last one
        for b in range(int(block[behind].max()), int(block[behind].min()) - 1, -1):
            if b >= len(self.y) // BLOCK:
                continue
            for way, price in self.y.reserve_eur_per_mw.items():
                k, amount = b % self.blocks, self.sold[way][b]
                x.product_eur_per_mw[way][k] = price[b]
                open_ = np.isnan(amount)
                x.held_mw[way][k] = 0.0 if open_ else max(amount - TOLERANCE_MW, 0.0)
                x.sells_mw[way][k] = RESERVE_MW if open_ else amount


def replan(mixed: bool, updated: bool, periods: int) -> tuple[Every15, dict[str, float]]:
    """Plan a stretch of the year every quarter of an hour, and say what it took."""
    y = year()
    run = Every15(y, mixed, updated)
    timer = Timer()
    times = run.run(periods)
    spent = timer.wall_s()
    return run, {
        "plans": periods,
        "wall_s": spent,
        "year_s": spent / periods * len(y),
        "median_ms": 1e3 * float(np.median(times)),
        "p99_ms": 1e3 * float(np.quantile(times, 0.99)),
        "cost_keur": run.cost_eur / 1e3,
        "beyond_mwh": run.beyond_mwh,
    }


@case("energy-replan")
def every_quarter() -> dict[str, float]:
    """A whole year of plans, 36 hours ahead, fixed forecasts."""
    return replan(False, False, len(year()))[1]


@case("energy-replan-updated")
def every_quarter_updated() -> dict[str, float]:
    """Forecasts of every step change at every plan; a month, scaled to a year."""
    return replan(False, True, 30 * DAY)[1]


@case("energy-replan-mixed")
def every_quarter_mixed() -> dict[str, float]:
    """Quarters for six hours, hours after that; a year, and its cost against that of quarters."""
    whole, found = replan(True, False, len(year()))
    fine, _ = replan(False, False, 60 * DAY)
    short = Every15(year(), True, False)
    short.run(60 * DAY)
    found["beyond_60_days_mwh"], found["fine_beyond_mwh"] = short.beyond_mwh, fine.beyond_mwh
    found["cost_over_fine"] = short.cost_eur / fine.cost_eur - 1.0
    assert whole.cost_eur
    return found


@case("energy-year")
def at_once() -> dict[str, float]:
    """The whole year at 15 minutes in one programme, known in advance."""
    y = year()
    steps = np.arange(len(y), dtype=np.int64)
    x = numbers(len(y), len(y) // BLOCK)
    put(x, y, steps, steps, np.ones_like(steps))
    x.product_eur_per_mw = dict(y.reserve_eur_per_mw)
    x.soc_mwh = x.soc_end_mwh = START_MWH
    x.peak_eur_per_mw, x.peak_mw = np.full(12, PEAK_EUR_PER_MW), np.zeros(12)
    x.may_exceed = False
    timer = Timer()
    horizon = Horizon.line(np.full(len(y), 0.25), steps // BLOCK, y.month)
    found = solve_once([SITE], horizon, [x])
    assert found is not None
    return {
        "wall_s": timer.wall_s(),
        "solver_s": found.seconds_s,
        "peak_rss_mib": peak_mib(),
        "columns": len(found.columns),
        "objective_keur": found.objective_eur / 1e3,
    }
