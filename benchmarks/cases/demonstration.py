"""A measured demand response planned again, and the same asked of 100,000 accelerators.

``python -m benchmarks.demonstration`` prints the tables of docs/explanation/demonstration.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from benchmarks.measuring import Skipped, Timer, case, data
from gigafactory.factory import load_factory
from gigafactory.jobs.fieldtrial import FieldTrial, read_field_trial
from gigafactory.planner.event import MODES, Event, EventJob, EventPlan, Mode, lowest_kw, plan_event
from gigafactory.plant import load_catalogue
from gigafactory.runtime.demonstration import (
    FLEX_MOSAIC,
    NOTICE_MIN,
    WINDOW_MIN,
    Product,
    factory_load,
    products,
    trial_jobs,
)

#: Jobs of the trial change at half hours; an hour and 20 minutes gain less.
TURN_MIN = 30
#: Steepest ramp, kW/min. Measured: 24 kW in the first 14 minutes of the fall, 10.7 kW in one.
RAMP_KW_PER_MIN = 2.5
#: Depths of the table; 31.6 % is what was held in the mean over the window.
DEPTHS = (0.25, 0.316, 0.40, 0.45, 0.47)


def measured() -> FieldTrial:
    """The event in Phoenix, 3 May 2025."""
    return read_field_trial(data("emerald", "dvfs_sweep.csv").parent)


def baseline_kw(trial: FieldTrial) -> float:
    """Mean power of the 80 minutes before it, kW."""
    return float(trial.between("14:40", "15:59").mean())


def planned(
    jobs: Sequence[EventJob], base_kw: float, depth: float, mode: Mode = "caps"
) -> EventPlan:
    """The window of 180 minutes (16:30 to 19:29) with a constant target, and its ramps."""
    limit = (base_kw * (1.0 - depth),) * WINDOW_MIN
    event = Event(limit, NOTICE_MIN, NOTICE_MIN, RAMP_KW_PER_MIN, RAMP_KW_PER_MIN, TURN_MIN)
    return plan_event(jobs, event, mode)


def bound(jobs: Sequence[EventJob], limit_kw: float) -> float:
    """The most caps alone can keep at a constant power, by merit order and without a solver.

    Every job at what it must keep; then the dearest throughput per kW first.
    """
    kept, left_kw = 0.0, limit_kw
    pieces = []
    for job in jobs:
        least = max(1.0 - job.tolerance, job.speed[0])
        kept += job.weight * least
        points = list(zip(job.power_w, job.speed, strict=True))
        for (p0, s0), (p1, s1) in pairwise(points):
            slope = (s1 - s0) / (p1 - p0) * 1000.0 / job.accelerators
            if s0 < least:
                left_kw -= (min(s1, least) - s0) / slope
            if s1 > least:
                pieces.append((job.weight * slope, s1 - max(s0, least), slope, job.weight))
        left_kw -= job.accelerators * job.power_w[0] / 1000.0
    for _, width, slope, weight in sorted(pieces, reverse=True):
        bought = min(width, max(left_kw, 0.0) * slope)
        kept += weight * bought
        left_kw -= bought / slope
    return kept / sum(job.weight for job in jobs)


def _products() -> dict[str, tuple[Product, ...]]:
    """Products of the bundled factory `rotterdam`, under three readings of it."""
    factory, catalogue = load_factory("rotterdam"), load_catalogue()
    return {
        "mean": products(factory_load(factory, catalogue)),
        "peak": products(factory_load(factory, catalogue, at_peak=True)),
        "patient": products(
            factory_load(factory, catalogue, patient=("research", "inference_batch"))
        ),
    }


@case("demonstration")
def demonstration() -> dict[str, float]:
    """The event at the depth asked and at the depth held; deeper; and on 100,000 accelerators."""
    timer = Timer()
    trial = measured()
    base_kw, jobs = baseline_kw(trial), trial_jobs(trial)
    held_kw = float(trial.between("16:30", "19:29").mean())
    depths = {"25": 0.25, "held": 1.0 - held_kw / base_kw}
    numbers = {
        "baseline_error_share": abs(sum(job.full_kw for job in jobs) / base_kw - 1.0),
        "minutes_above_target": 0.0,
    }
    for name, depth in depths.items():
        plan = planned(jobs, base_kw, depth)
        most = bound(jobs, base_kw * (1.0 - depth))
        numbers[f"bound_{name}"] = most
        numbers[f"of_bound_{name}"] = 0.0 if plan.conflict else plan.performance / most
        numbers["minutes_above_target"] += plan.minutes_above()
    for end, idle_w in (("", None), ("_off", 0.0)):
        mine = jobs if idle_w is None else trial_jobs(trial, idle_w)
        plans = {mode: planned(mine, base_kw, 0.47, mode) for mode in MODES}
        for mode in ("pausing", "resizing"):
            gain = plans[mode].performance - plans["caps"].performance
            numbers[f"gain_{mode}{end}_47"] = gain
    deepest = lowest_kw(jobs, WINDOW_MIN)
    numbers["deepest_caps_share"] = 1.0 - (deepest or base_kw) / base_kw
    found = products(factory_load(load_factory("rotterdam"), load_catalogue()))
    numbers["factory_25_share"] = min(p.magnitude_share for p in found[:3])
    numbers["factory_broken"] = sum(p.broken for p in found)
    numbers["factory_realtime_share"] = min(p.realtime_share for p in found)
    return numbers | {"wall_s": timer.wall_s()}


# --- tables -----------------------------------------------------------------------------------


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _depth_table(trial: FieldTrial, idle_w: float) -> list[str]:
    base_kw, jobs = baseline_kw(trial), trial_jobs(trial, idle_w)
    lines = [_row(["depth", "bound, caps alone", *MODES, "minutes above"]), _row(["---"] * 6)]
    for depth in DEPTHS:
        plans = [planned(jobs, base_kw, depth, mode) for mode in MODES]
        cells = [f"{p.performance:.4f}" if not p.conflict else "conflict" for p in plans]
        most = bound(jobs, base_kw * (1.0 - depth))
        above = sum(p.minutes_above() for p in plans)
        lines.append(_row([f"{depth:.1%}", f"{most:.4f}", *cells, str(above)]))
    ends = []
    for mode in MODES:
        found = lowest_kw(jobs, WINDOW_MIN, mode, turn_min=TURN_MIN)
        ends.append("none" if found is None else f"{1.0 - found / base_kw:.2%}")
    lines.append(_row(["deepest", "", *ends, ""]))
    return lines


def _job_table(trial: FieldTrial) -> list[str]:
    jobs, base_kw = trial_jobs(trial), baseline_kw(trial)
    plans = [planned(jobs, base_kw, depth) for depth in DEPTHS[:2]]
    lines = [_row(["job", "may lose", "published", "-25 %", "-31.6 %"]), _row(["---"] * 5)]
    for j, job in enumerate(trial.jobs):
        mine = [f"{p.by_job[j]:.3f}" for p in plans]
        share = f"{job.performance_share:.3f}"
        lines.append(_row([job.name.rpartition("-")[0], f"{job.tolerance:.0%}", share, *mine]))
    return lines


def _product_table(found: Sequence[Product]) -> list[str]:
    head = ["product", "mode", "MW", "of IT", "timing", "duration", "a day"]
    head += ["MWh", "lost, EUR/MWh", "delayed, EUR/MWh", "services", "broken"]
    return [_row(head), _row(["---"] * len(head)), *(_row(_cells(p)) for p in found)]


def _cells(p: Product) -> list[str]:
    return [
        *(p.name, p.mode, f"{p.magnitude_mw:.1f}", f"{p.magnitude_share:.1%}"),
        *(f"{p.timing_min} min", f"{p.duration_min} min", f"{p.frequency_per_day:.1f}"),
        *(f"{p.shed_mwh:.1f}", f"{p.lost_eur_per_mwh:,.0f}", f"{p.delayed_eur_per_mwh:,.0f}"),
        *(f"{p.realtime_share:.3f}", str(p.broken)),
    ]


def main() -> None:
    """Print every table."""
    try:
        trial = measured()
    except Skipped as why:
        print(f"left out, the measured event: {why}")
    else:
        print("\n".join(["", "## Jobs, caps alone", "", *_job_table(trial)]))
        for idle_w in (55.0, 0.0):
            print("\n".join(["", f"## At rest {idle_w:.0f} W", "", *_depth_table(trial, idle_w)]))
    for name, found in _products().items():
        print("\n".join(["", f"## rotterdam, {name}", "", *_product_table(found)]))
    print(f"\n{FLEX_MOSAIC}")
