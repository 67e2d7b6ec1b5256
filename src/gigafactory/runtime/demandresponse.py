"""A demand-response event, planned over what a factory does at an instant.

What runs is either the work of a short simulation at that instant, job by job, or the factory's
mean load by its file. Power is that of IT; the battery is left out, so what is planned is what work
gives.
"""

from __future__ import annotations

import datetime as dt
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.engine.journal import frames
from gigafactory.factory import load_factory, load_scenario
from gigafactory.factory.models import Factory
from gigafactory.jobs import JobClass
from gigafactory.jobs.fieldtrial import read_field_trial
from gigafactory.ledger.facts import OPENS, REFUSE
from gigafactory.planner.event import MODES, Event, EventJob, EventPlan, Mode, lowest_kw, plan_event
from gigafactory.plant import Chip, load_catalogue
from gigafactory.runtime.demonstration import (
    FLEX_MOSAIC,
    NOTICE_MIN,
    RAMP_SHARE_PER_MIN,
    FactoryLoad,
    Prices,
    Product,
    class_job,
    counted,
    factory_load,
    products,
    trial_jobs,
)
from gigafactory.runtime.run import Progress, Quiet, RunOptions, start_run
from gigafactory.units import NS_PER_S

Ints = npt.NDArray[np.int64]

#: Days simulated before the day of the event, so that the factory is full.
WARM_UP_DAYS: Final = 14
#: A running job wider than this is one of its own in the plan; narrower ones go by class and pool.
ALONE: Final = 4096
#: Steepest ramp of the measured event, kW per minute, and its turn; as in the benchmark of it.
TRIAL_RAMP_KW_PER_MIN, TRIAL_TURN_MIN = 2.5, 30


@dataclass(frozen=True, slots=True)
class EventAsk:
    """What is asked of the factory.

    Attributes:
        reduce_share: less IT power, as a share of that before.
        hours: how long.
        notice_min: from the call until all of it is reached.
        mode: what may be done.
        at: local instant at which it begins, ISO; None plans over the factory's mean load.
        scenario: of the simulation.
        seed: of the simulation.
    """

    reduce_share: float
    hours: float
    notice_min: int = NOTICE_MIN
    mode: Mode = "pausing"
    at: str | None = None
    scenario: str | None = None
    seed: int = 0

    def check(self) -> None:
        """Refuse what is out of range.

        Raises:
            BadInput: every problem.
        """
        found = []
        if not 0.0 < self.reduce_share <= 1.0:
            found.append(
                Problem("--reduce", "", f"{self.reduce_share:.0%}", "is above 0 %, at most 100 %")
            )
        if not (1.0 / 60.0 <= self.hours <= 24.0):
            found.append(Problem("--hours", "", f"{self.hours:g}", "is from 1/60 to 24"))
        if not 0 <= self.notice_min <= 240:
            found.append(Problem("--notice", "", str(self.notice_min), "is from 0 to 240 minutes"))
        if self.at is not None:
            try:
                dt.datetime.fromisoformat(self.at)
            except ValueError:
                why = "is a local instant such as 2025-06-18T17:00"
                found.append(Problem("--at", "", self.at, why))
        if found:
            raise BadInput(found)


def asked(
    reduce: str,
    hours: float,
    notice: int,
    mode: str,
    at: str | None,
    scenario: str | None,
    seed: int,
) -> EventAsk:
    """What was asked on the command line.

    Raises:
        BadInput: every problem.
    """
    try:
        share = float(reduce.strip().removesuffix("%")) / (100.0 if "%" in reduce else 1.0)
    except ValueError:
        raise refuse("--reduce", "", reduce, "is a share such as 25%") from None
    known: dict[str, Mode] = {one: one for one in MODES}
    if mode not in known:
        raise refuse("--mode", "", mode, f"is one of {', '.join(MODES)}")
    ask = EventAsk(share, hours, notice, known[mode], at, scenario, seed)
    ask.check()
    return ask


@dataclass(frozen=True, slots=True)
class EventAnswer:
    """How the factory answers.

    Attributes:
        load: what ran.
        plan: who gives way, minute by minute.
        product: what it is worth and costs, in the four words of a flexibility label.
        source: where the load comes from.
    """

    load: FactoryLoad
    plan: EventPlan
    product: Product
    source: str


def answer_event(name: str, ask: EventAsk, progress: Progress | None = None) -> EventAnswer:
    """Plan an event over a factory.

    Args:
        name: bundled factory or path.
        ask: what is asked.
        progress: who is told how far it is.

    Raises:
        BadInput: anything given cannot be used.
    """
    ask.check()
    scenario = load_scenario(ask.scenario) if ask.scenario else None
    factory, catalogue = load_factory(name, scenario), load_catalogue()
    if ask.at is None:
        load, source = (
            factory_load(factory, catalogue),
            "the factory file's shares, services at their mean",
        )
    else:
        load = running_load(name, factory, catalogue, ask, progress or Quiet())
        source = f"what ran at {ask.at} in a simulation of {WARM_UP_DAYS} days and that one"
    minutes = max(round(ask.hours * 60), 1)
    limit_kw = max(load.full_kw * (1.0 - ask.reduce_share) - load.resting_kw, 0.0)
    ramp_kw = RAMP_SHARE_PER_MIN * load.full_kw
    event = Event((limit_kw,) * minutes, ask.notice_min, ask.notice_min, ramp_kw, ramp_kw, 20)
    plan = plan_event(load.jobs, event, ask.mode)
    words = f"{ask.reduce_share:.0%} for {ask.hours:g} h"
    product = counted(load, plan, words, ask.mode, minutes, ask.notice_min)
    return EventAnswer(load, plan, product, source)


def running_load(
    name: str, factory: Factory, catalogue: dict[str, Chip], ask: EventAsk, progress: Progress
) -> FactoryLoad:
    """What runs at an instant of a simulation, as the planner takes it.

    Wide jobs are there one by one; narrower ones by pool and class, gangs alike of their mean
    width. Work that the factory's file calls elastic is not made smaller here: what runs is known
    by its width alone.
    """
    assert ask.at is not None
    local = dt.datetime.fromisoformat(ask.at)
    zone = ZoneInfo(next(iter(factory.sites.values())).timezone)
    at_ns = int(local.replace(tzinfo=zone).timestamp()) * NS_PER_S
    first = local.date() - dt.timedelta(days=WARM_UP_DAYS)
    with tempfile.TemporaryDirectory(prefix="gigafactory-") as place:
        options = RunOptions(
            name, ask.scenario, start=first.isoformat(), days=WARM_UP_DAYS + 1, seed=ask.seed,
            yardstick="off",
        )  # fmt: skip
        folder = Path(place) / "run"
        start_run(options, progress, out=folder)
        running = _open_jobs(folder / "journal.gfj", at_ns)
    return _as_load(factory, catalogue, running)


def _open_jobs(journal: Path, at_ns: int) -> list[tuple[int, int, int]]:
    """Pool, class and width of every job that runs at an instant, by the journal's facts."""
    classes: dict[int, int] = {}
    found: dict[int, tuple[int, int]] = {}
    for frame in frames(journal):
        if frame.kind != "facts":
            continue
        a = frame.arrays
        if "ask.job" in a:
            classes.update(zip(a["ask.job"].tolist(), a["ask.job_class"].tolist(), strict=True))
        if "move.job" not in a:
            continue
        rows = zip(a["move.kind"].tolist(), a["move.job"].tolist(), a["move.t_ns"].tolist(),
                   a["move.width"].tolist(), a["move.pool"].tolist(), strict=True)  # fmt: skip
        late = False
        for kind, job, t_ns, width, at in rows:
            if t_ns > at_ns:
                late = True
                continue
            if kind in OPENS:
                found[job] = (at, width)
            elif kind < REFUSE:
                found.pop(job, None)
        if late:
            break
    return sorted((pool, classes[job], width) for job, (pool, width) in found.items())


def _as_load(
    factory: Factory, catalogue: dict[str, Chip], running: Sequence[tuple[int, int, int]]
) -> FactoryLoad:
    if not running:
        raise refuse("--at", "", None, "nothing runs at that instant")
    groups: dict[tuple[int, int, int], list[int]] = {}
    for where, group, width in running:
        groups.setdefault((where, group, width if width > ALONE else 0), []).append(width)
    jobs: list[EventJob] = []
    prices: list[Prices] = []
    intervals: list[float] = []
    delays = {str(k): v for k, v in factory.policy.delay_cost_eur_per_gpu_h.items()}
    listed = {str(k): v.base for k, v in factory.finance.price_eur_per_gpu_h.items()}
    saved = {str(k): v for k, v in factory.policy.checkpoint.items()}
    used = np.zeros(len(factory.fleet))
    for (at, group, alone), widths in sorted(groups.items()):
        pool, label = factory.fleet[at], JobClass(group).label
        chip = catalogue[pool.chip]
        fabric_w = factory.sites[pool.site].network.watt_per_accelerator_w
        size = max(round(sum(widths) / len(widths)), 1)
        gangs = max(round(sum(widths) / size), 1)
        used[at] += gangs * size
        price = Prices(listed[label] * chip.h100_equivalent, delays[label])
        job = class_job(factory, chip, label, None, gangs, fabric_w, size)
        worth = price.price_eur_per_gpu_h * gangs * size / 60.0
        wide = f" of {alone:,}" if alone else ""
        jobs.append(replace(job, name=f"{pool.name}{wide} {label}", weight=worth))
        prices.append(price)
        intervals.append(saved[label].interval_s / 60.0 if label in saved else math.inf)
    resting = idle = 0.0
    for at, of in enumerate(factory.fleet):
        fabric_w = factory.sites[of.site].network.watt_per_accelerator_w
        left = max(of.accelerators - used[at], 0.0)
        resting += left * (catalogue[of.chip].idle_w + fabric_w) / 1000.0
        idle += left * 24.0
    return FactoryLoad(tuple(jobs), tuple(prices), resting, tuple(intervals), idle)


# --- words --------------------------------------------------------------------------------------


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, columns lined up: words to the left, numbers to the right."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(w) if k == 0 else cell.rjust(w)
            for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def event_lines(answer: EventAnswer) -> list[str]:
    """An answer in plain words: what is shed by class and when, what it costs, what is kept."""
    plan, load, product = answer.plan, answer.load, answer.product
    rows = [
        [
            "work",
            "accelerators",
            "MW before",
            "MW least",
            "from min",
            "to min",
            "kept",
            "paused most",
        ]
    ]
    for j, job in enumerate(plan.jobs):
        power = plan.power_kw[j] / 1000.0
        less = np.flatnonzero(power < job.full_kw / 1000.0 - 1e-6)
        when = (
            (str(int(plan.minute[less[0]])), str(int(plan.minute[less[-1]])))
            if len(less)
            else ("-", "-")
        )
        rows.append([job.name, f"{job.gangs * job.accelerators:,}", f"{job.full_kw / 1000.0:.2f}",
                     f"{power.min():.2f}", *when, f"{plan.by_job[j]:.3f}",
                     f"{int(plan.paused[j].max())} of {job.gangs}"])  # fmt: skip
    kept = "every latency-critical service stays inside its objective: all replicas at full speed"
    if product.realtime_share < 1.0 - 1e-9:
        kept = f"NOT inside their objective: replicas fall to {product.realtime_share:.1%} of full"
    before = (
        f"{load.full_kw / 1000.0:.1f} MW of IT, {load.resting_kw / 1000.0:.1f} MW of it at rest"
    )
    reached = (
        f"{product.magnitude_mw:.1f} MW less in every minute ({product.magnitude_share:.1%} of IT)"
    )
    lost, late = product.lost_eur_per_mwh, product.delayed_eur_per_mwh
    cost = (
        f"{lost:,.0f} EUR/MWh if the work is lost, {late:,.0f} EUR/MWh if it is done within a day"
    )
    lines = [
        f"Load     {answer.source}: {before}",
        f"Event    {product.name} ({product.mode}), notice {product.timing_min} min",
        "",
        *_columns(rows),
        "",
        f"Reached  {reached}; {plan.minutes_above()} minutes above the limit",
        f"Kept     performance {plan.performance:.3f} in the window, by the price of the work",
        f"Cost     {cost}",
        f"Services {kept}",
    ]
    if plan.conflict:
        lines.append(f"Conflict these cannot all be kept: {', '.join(plan.conflict)}")
        lines += [f"         broken: {name} by {by:.3g}" for name, by in plan.exceeded.items()]
    return [*lines, "", *label_lines([product])]


def label_lines(found: Sequence[Product]) -> list[str]:
    """Products in the four words of EPRI's Flex MOSAIC, with what they cost."""
    heads = ["product", "mode", "magnitude", "of IT", "timing", "duration", "frequency"]
    rows = [[*heads, "lost EUR/MWh", "delayed EUR/MWh", "services", "broken"]]
    rows += [
        [p.name, p.mode, f"{p.magnitude_mw:.1f} MW", f"{p.magnitude_share:.1%}",
         f"{p.timing_min} min", f"{p.duration_min} min", f"{p.frequency_per_day:.1f} a day",
         f"{p.lost_eur_per_mwh:,.0f}", f"{p.delayed_eur_per_mwh:,.0f}",
         f"{p.realtime_share:.3f}", str(p.broken)]
        for p in found
    ]  # fmt: skip
    return [*_columns(rows), "", FLEX_MOSAIC]


def deepest_lines(name: str) -> list[str]:
    """How far a factory goes: deepest for three hours and within five minutes."""
    factory, catalogue = load_factory(name), load_catalogue()
    return label_lines(products(factory_load(factory, catalogue)))


def demonstration_lines(data: Path) -> list[str]:
    """The measured field demonstration planned again.

    Args:
        data: folder of the measured event, or one with a sub-folder `emerald`.

    Raises:
        BadInput: it is not there or cannot be read.
    """
    folder = data / "emerald" if (data / "emerald").is_dir() else data
    trial = read_field_trial(folder)
    jobs = trial_jobs(trial)
    before = float(trial.between("14:40", "15:59").mean())
    window = trial.between("16:30", "19:29")
    base = sum(job.full_kw for job in jobs)
    depth = 1.0 - float(window.mean()) / before
    rows = [["depth", *MODES, "minutes above"]]
    for share in (0.25, depth, 0.40, 0.45, 0.47):
        limit = (before * (1.0 - share),) * len(window)
        ramp = (
            NOTICE_MIN,
            NOTICE_MIN,
            TRIAL_RAMP_KW_PER_MIN,
            TRIAL_RAMP_KW_PER_MIN,
            TRIAL_TURN_MIN,
        )
        plans = [plan_event(jobs, Event(limit, *ramp), mode) for mode in MODES]
        cells = ["conflict" if p.conflict else f"{p.performance:.4f}" for p in plans]
        rows.append([f"{share:.1%}", *cells, str(sum(p.minutes_above() for p in plans))])
    lowest = [lowest_kw(jobs, len(window), mode, turn_min=TRIAL_TURN_MIN) for mode in MODES]
    rows.append(
        ["deepest", *("none" if x is None else f"{1.0 - x / before:.2%}" for x in lowest), ""]
    )
    above = int((window > 0.75 * before).sum())
    off = f"{base / before - 1.0:+.1%}"
    head = f"Measured {len(trial.jobs)} jobs, {before:.2f} kW before; planned {base:.2f} kW ({off})"
    span = f"Window   16:30 to 19:29 local, {len(window)} minutes; measured above 75 %: {above}"
    return [
        head,
        f"{span}; held in the mean {depth:.1%} less",
        "",
        "Performance by the weights 1 less what a job may lose, in that window",
        "(published: 0.908, window not stated)",
        *_columns(rows),
    ]


__all__ = [
    "EventAnswer",
    "EventAsk",
    "answer_event",
    "asked",
    "deepest_lines",
    "demonstration_lines",
    "event_lines",
    "label_lines",
]
