"""A field demonstration planned again, and the same asked of a whole factory.

Two ways into the event planner: the six jobs of a measured event (`trial_jobs`), and the classes of
work of a factory file (`factory_load`), whose curves are those of `plant.power`. From a factory
come products, what can be offered at which notice for how long, with what they cost and the words a
flexibility label asks for.

Not here: cooling and conversion (power is that of IT), the battery, and jobs of their own size. A
class is many gangs alike, spread over the pools by their accelerators.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from gigafactory.factory.models import Factory
from gigafactory.jobs import JobClass
from gigafactory.jobs.fieldtrial import FieldTrial
from gigafactory.planner.event import (
    Event,
    EventJob,
    EventPlan,
    Mode,
    Size,
    concave_hull,
    lowest_kw,
    plan_event,
)
from gigafactory.plant import Chip
from gigafactory.plant.power import curve_for, power_w

#: An A100 at rest, W: not in the sweep; our assumption within the 50 to 60 W of a quiet board.
TRIAL_IDLE_W: Final = 55.0
#: Minutes lost to save a job of the trial and to start it again; our assumption.
TRIAL_CHECKPOINT_MIN, TRIAL_RESTART_MIN = 1.0, 2.0
#: A job of the trial that tolerates less than this is neither paused nor made smaller (assumption).
TRIAL_FLEXIBLE_FROM: Final = 0.25
#: An elastic job on a share x of its accelerators runs at x to this power; as the factory files.
SCALING: Final = 0.9
#: Accelerators of a gang per class; our assumption, for the factory file gives largest gangs only.
GANGS: Final[Mapping[str, int]] = {
    "frontier_training": 1024,
    "research": 64,
    "fine_tuning": 32,
    "inference_batch": 8,
    "inference_realtime": 32,
}
REALTIME: Final = JobClass.INFERENCE_REALTIME.label
#: The framework whose four words describe a product, and how far we could read it.
FLEX_MOSAIC: Final = (
    "EPRI Flex MOSAIC (March 2026): magnitude, timing, duration and frequency, as its announcement"
    " and trade press name them; the limits of its classes are unverified, so no class is given"
)


def trial_jobs(
    trial: FieldTrial, idle_w: float = TRIAL_IDLE_W, sizes: Sequence[float] = (0.75, 0.5, 0.25)
) -> tuple[EventJob, ...]:
    """The jobs of a measured event as the planner takes them.

    A job weighs what it may not lose (0.9, 0.75 or 0.5): with these weights the measured figures of
    the six jobs average to the published 0.908.

    Args:
        trial: as measured.
        idle_w: per accelerator at rest; 0 for accelerators that are switched off when they rest.
        sizes: shares of a gang's accelerators that a flexible job may run on.
    """
    jobs = []
    for job in trial.jobs:
        watts, speed = concave_hull(job.curve.power_w, job.curve.speed)
        flexible, whole = job.tolerance >= TRIAL_FLEXIBLE_FROM, job.curve.accelerators
        smaller = tuple(Size(round(whole * x), x**SCALING) for x in sizes)
        jobs.append(
            EventJob(
                name=job.name,
                accelerators=whole,
                power_w=watts,
                speed=speed,
                tolerance=job.tolerance,
                weight=1.0 - job.tolerance,
                idle_w=idle_w,
                may_pause=flexible,
                sizes=smaller if flexible else (),
                checkpoint_min=TRIAL_CHECKPOINT_MIN,
                restart_min=TRIAL_RESTART_MIN,
            )
        )
    return tuple(jobs)


@dataclass(frozen=True, slots=True)
class Prices:
    """What an accelerator-hour of a job is worth.

    Attributes:
        price_eur_per_gpu_h: what it is sold for.
        delay_eur_per_gpu_h: what it costs to do it a day later.
    """

    price_eur_per_gpu_h: float
    delay_eur_per_gpu_h: float


@dataclass(frozen=True, slots=True)
class FactoryLoad:
    """A factory at work.

    Attributes:
        jobs: a pool's work of a class each.
        prices: of each of them.
        resting_kw: accelerators without work, network included.
        interval_min: time between checkpoints of each job.
        idle_gpu_h_per_day: accelerator-hours without work in a day, in which lost work is made up.
    """

    jobs: tuple[EventJob, ...]
    prices: tuple[Prices, ...]
    resting_kw: float
    interval_min: tuple[float, ...]
    idle_gpu_h_per_day: float

    @property
    def full_kw(self) -> float:
        """IT power at full speed."""
        return self.resting_kw + sum(job.full_kw for job in self.jobs)


def factory_load(
    factory: Factory,
    catalogue: Mapping[str, Chip],
    at_peak: bool = False,
    patient: Collection[str] = (),
) -> FactoryLoad:
    """A factory's classes of work as the planner takes them.

    Work stands in every pool in proportion to its accelerators. Real-time services tolerate nothing
    and are neither slowed nor paused, so each keeps the capacity that its objective is met with.
    Other classes average at least the policy's slowest speed over an event, may run between it and
    full speed, and may be paused at the cost of a checkpoint and a restart; work that is elastic
    may run on its smallest share.

    Args:
        factory: a checked factory.
        catalogue: its chips.
        at_peak: every service at its yearly peak, and other work on what is left; else the mean.
        patient: classes that were promised no speed, only to be done later; they may lose all of it
            during an event.
    """
    shares = _shares(factory, at_peak)
    jobs: list[EventJob] = []
    prices: list[Prices] = []
    intervals: list[float] = []
    resting_kw = idle = 0.0
    delays = {str(k): v for k, v in factory.policy.delay_cost_eur_per_gpu_h.items()}
    listed = {str(k): v.base for k, v in factory.finance.price_eur_per_gpu_h.items()}
    saved = {str(k): v for k, v in factory.policy.checkpoint.items()}
    for pool in factory.fleet:
        chip, left = catalogue[pool.chip], pool.accelerators
        fabric_w = factory.sites[pool.site].network.watt_per_accelerator_w
        for (label, smallest), share in shares.items():
            gangs = int(share * pool.accelerators / GANGS[label])
            if not gangs:
                continue
            price = Prices(listed[label] * chip.h100_equivalent, delays[label])
            job = class_job(factory, chip, label, smallest, gangs, fabric_w, GANGS[label])
            worth = price.price_eur_per_gpu_h * gangs * GANGS[label] / 60.0
            lose = 1.0 if label in patient else job.tolerance
            name = f"{pool.name} {job.name}"
            jobs.append(replace(job, name=name, weight=worth, tolerance=lose))
            prices.append(price)
            intervals.append(saved[label].interval_s / 60.0 if label in saved else math.inf)
            left -= gangs * GANGS[label]
        resting_kw += left * (chip.idle_w + fabric_w) / 1000.0
        idle += left * 24.0
    return FactoryLoad(tuple(jobs), tuple(prices), resting_kw, tuple(intervals), idle)


def _shares(factory: Factory, at_peak: bool) -> dict[tuple[str, float | None], float]:
    """Share of the accelerators per class and smallest share of an elastic gang."""
    shares: dict[tuple[str, float | None], float] = {}
    installed = sum(pool.accelerators for pool in factory.fleet)
    realtime = 0.0
    for tenant in factory.tenants:
        for work in tenant.work:
            key = (str(work.job_class), work.elastic_min_fraction)
            shares[key] = shares.get(key, 0.0) + work.share
        for service in tenant.services:
            part = 1.0 if at_peak else service.mean_fraction
            realtime += service.accelerators_peak * part / installed
    other = sum(shares.values())
    squeezed = min(1.0, (1.0 - realtime) / other) if other else 1.0
    return {key: x * squeezed for key, x in shares.items()} | {(REALTIME, None): realtime}


def class_job(
    factory: Factory,
    chip: Chip,
    label: str,
    smallest: float | None,
    gangs: int,
    fabric_w: float,
    size: int,
) -> EventJob:
    """Work of a class on one kind of chip, gangs alike; its weight is not known yet.

    Args:
        factory: whose policy holds.
        chip: what it runs on.
        label: the class.
        smallest: share of its accelerators an elastic gang may run on; None for a rigid one.
        gangs: how many there are.
        fabric_w: of the network, per accelerator.
        size: accelerators of a gang.
    """
    policy, curve = factory.policy, curve_for(chip.name, label)
    speeds = {str(k): v for k, v in policy.speed_min.items()}
    least = 1.0 if label == REALTIME else speeds[label]
    low = max(min(least, 0.999), curve.speed_min)
    steps = np.array([low, *(s for s in curve.speed if s > low)])
    watts = power_w(chip, label, steps, curve) + fabric_w
    cost = {str(k): v.cost_s for k, v in policy.checkpoint.items()}.get(label, 0.0)
    restart = {str(k): v for k, v in policy.restart_s.items()}.get(label, 0.0)
    sizes: tuple[Size, ...] = ()
    if smallest is not None and int(size * smallest) < size:
        sizes = (Size(int(size * smallest), smallest**policy.elastic_exponent),)
    return EventJob(
        name=label if smallest is None else f"{label} (elastic)",
        accelerators=size,
        power_w=tuple(watts.tolist()),
        speed=tuple(steps.tolist()),
        tolerance=1.0 - least,
        weight=1.0,
        gangs=gangs,
        idle_w=chip.idle_w + fabric_w,
        may_pause=label != REALTIME,
        sizes=sizes,
        checkpoint_min=cost / 60.0,
        restart_min=restart / 60.0,
    )


@dataclass(frozen=True, slots=True)
class Product:
    """What a factory can offer a grid, in the four words of a flexibility label, and its cost.

    Attributes:
        name: of the product.
        mode: what is done for it.
        magnitude_mw: IT power less than before, in every minute of the window.
        magnitude_share: the same as a share of the IT power before.
        timing_min: from the call until all of it is reached.
        duration_min: how long it is held.
        frequency_per_day: how often a day lost work could still be made up on accelerators that
            have none, the windows not overlapping.
        shed_mwh: energy not drawn, ramps included.
        lost_gpu_h: accelerator-hours of work not done.
        lost_eur_per_mwh: their price, per MWh shed, if they are lost for good.
        delayed_eur_per_mwh: the cost of delay, per MWh shed, if they are made up within a day.
        realtime_share: least throughput of a real-time service in any minute, as a share of full.
        broken: contracts that are not kept.
    """

    name: str
    mode: Mode
    magnitude_mw: float
    magnitude_share: float
    timing_min: int
    duration_min: int
    frequency_per_day: float
    shed_mwh: float
    lost_gpu_h: float
    lost_eur_per_mwh: float
    delayed_eur_per_mwh: float
    realtime_share: float
    broken: int


#: Largest move of IT power in a minute, as a share of that before the event; our assumption, such
#: that no product is limited by it but the network sees no step of tens of MW.
RAMP_SHARE_PER_MIN: Final = 0.10


def product(
    load: FactoryLoad,
    name: str,
    share: float | None,
    duration_min: int,
    notice_min: int,
    mode: Mode,
    at_checkpoints: bool = False,
) -> tuple[Product, EventPlan]:
    """Plan a product and count what it costs.

    Args:
        load: the factory at work.
        name: of the product.
        share: reduction as a share of IT power; None for the deepest that keeps every contract.
        duration_min: how long it is held.
        notice_min: from the call until it must be reached.
        mode: what may be done.
        at_checkpoints: only gangs that come to a checkpoint within the notice may be paused.

    Returns:
        The product and its plan.
    """
    jobs = load.jobs
    if at_checkpoints:
        jobs = tuple(
            replace(job, pause_share=min(1.0, notice_min / interval), sizes=())
            for job, interval in zip(jobs, load.interval_min, strict=True)
        )
    turn = 20
    if share is None:
        found = lowest_kw(jobs, duration_min, mode, turn_min=turn)
        assert found is not None, "at full power every contract is kept"
        # a hair above: at the very edge rounding decides whether a plan is found
        limit_kw = found * (1.0 + 1e-6)
    else:
        limit_kw = load.full_kw * (1.0 - share) - load.resting_kw
    ramp_kw = RAMP_SHARE_PER_MIN * load.full_kw
    event = Event(
        (max(limit_kw, 0.0),) * duration_min, notice_min, notice_min, ramp_kw, ramp_kw, turn
    )
    plan = plan_event(jobs, event, mode)
    return counted(load, plan, name, mode, duration_min, notice_min), plan


def counted(
    load: FactoryLoad, plan: EventPlan, name: str, mode: Mode, duration: int, notice: int
) -> Product:
    """Count what a plan gives and costs.

    Args:
        load: the factory at work.
        plan: the event planned over it.
        name: of the product.
        mode: what might be done.
        duration: how long it is held, minutes.
        notice: from the call until it is reached, minutes.
    """
    full_kw = sum(job.full_kw for job in load.jobs)
    shed_kw = full_kw - plan.total_kw
    size = np.array([job.gangs * job.accelerators for job in plan.jobs])
    lost = (1.0 - plan.speed).sum(axis=1) * size / 60.0
    price = np.array([p.price_eur_per_gpu_h for p in load.prices])
    delay = np.array([p.delay_eur_per_gpu_h for p in load.prices])
    shed_mwh = float(shed_kw.sum() / 60.0 / 1000.0)
    per_mwh = 1.0 / shed_mwh if shed_mwh > 0.0 else math.nan
    kept = float(shed_kw[plan.held].min() / 1000.0)
    realtime = [j for j, job in enumerate(plan.jobs) if job.name.endswith(REALTIME)]
    total = float(lost.sum())
    most = 1440.0 / (duration + 2 * notice)
    return Product(
        name=name,
        mode=mode,
        magnitude_mw=kept,
        magnitude_share=kept * 1000.0 / load.full_kw,
        timing_min=notice,
        duration_min=duration,
        frequency_per_day=min(most, load.idle_gpu_h_per_day / total) if total > 0.0 else most,
        shed_mwh=shed_mwh,
        lost_gpu_h=total,
        lost_eur_per_mwh=float(lost @ price) * per_mwh,
        delayed_eur_per_mwh=float(lost @ delay) * per_mwh,
        realtime_share=float(plan.speed[realtime].min()) if realtime else 1.0,
        broken=len(plan.exceeded),
    )


#: Length of the window of the demonstration, and the notices asked here, minutes.
WINDOW_MIN: Final = 180
NOTICE_MIN, SHORT_NOTICE_MIN = 20, 5


def products(load: FactoryLoad) -> tuple[Product, ...]:
    """The demonstration's product on a factory, and how far it goes."""
    asked: list[tuple[str, float | None, int, Mode, bool]] = [
        ("25 % for 3 h", 0.25, NOTICE_MIN, "caps", False),
        ("25 % for 3 h", 0.25, NOTICE_MIN, "pausing", False),
        ("25 % for 3 h", 0.25, NOTICE_MIN, "resizing", False),
        ("deepest for 3 h", None, NOTICE_MIN, "caps", False),
        ("deepest for 3 h", None, NOTICE_MIN, "pausing", False),
        ("deepest for 3 h", None, NOTICE_MIN, "resizing", False),
        ("deepest within 5 min, for 3 h", None, SHORT_NOTICE_MIN, "caps", False),
        ("deepest within 5 min, for 3 h", None, SHORT_NOTICE_MIN, "pausing", True),
    ]
    return tuple(
        product(load, name, share, WINDOW_MIN, notice, mode, at_checkpoints)[0]
        for name, share, notice, mode, at_checkpoints in asked
    )
