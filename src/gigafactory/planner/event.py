"""A demand-response event planned: who is capped, paused or made smaller, minute by minute.

Three modes, each with all that the one before may do::

    caps      power caps alone; without pauses this is a linear programme and its plan the best
    pausing   gangs that may pause do so in turns, saved and started again
    resizing  gangs that may run on fewer accelerators do

Pure: numbers in, numbers out. Power is that of accelerators (or whatever the curves are of), kW.
Within a step of a minute everything is constant; how a cap is enforced within seconds is not here.

What is promised to a job is a throughput averaged over the window, so a job may be slow now and
fast later. For a job of many gangs alike it holds for each gang (see `eventprogram`). Before the
window power falls within the notice, no faster than the ramp; behind it the same steps are taken
back in reverse order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from gigafactory.planner.eventprogram import (
    LIMIT,
    RAMP,
    Answer,
    Block,
    Config,
    EventProgram,
    Horizon,
    Task,
    segments,
)

Array = npt.NDArray[np.float64]

Mode = Literal["caps", "pausing", "resizing"]
MODES: Final[tuple[Mode, ...]] = ("caps", "pausing", "resizing")
#: Minutes over which gangs change on a ramp when all at once would be too steep.
FEW_STEPS: Final = 5
#: A conflict that only whole gangs have: split, they would fit.
WHOLE_GANGS: Final = "whole gangs"


@dataclass(frozen=True, slots=True)
class Size:
    """A number of accelerators a gang may run on.

    Attributes:
        accelerators: fewer than the gang has.
        speed: throughput at full power there, as a share of the whole gang's.
    """

    accelerators: int
    speed: float


@dataclass(frozen=True, slots=True)
class EventJob:
    """A job, or many alike.

    Attributes:
        name: of the job.
        accelerators: of one gang.
        power_w: per accelerator from the lowest cap to full power, rising.
        speed: throughput at each of them, as a share of full; concave in power, 1.0 at the end
            (`concave_hull` makes it so).
        tolerance: largest loss of throughput averaged over the window, 0..1.
        weight: of a minute of all gangs at full throughput.
        gangs: how many there are.
        idle_w: per accelerator at rest, of paused gangs and of those a smaller gang leaves.
        may_pause: whether it may be saved, stopped and started again.
        pause_share: largest share of the gangs that may be paused at once.
        sizes: fewer accelerators it may run on.
        checkpoint_min: full-speed minutes lost to save it.
        restart_min: full-speed minutes lost until it works again.
    """

    name: str
    accelerators: int
    power_w: tuple[float, ...]
    speed: tuple[float, ...]
    tolerance: float
    weight: float
    gangs: int = 1
    idle_w: float = 0.0
    may_pause: bool = False
    pause_share: float = 1.0
    sizes: tuple[Size, ...] = ()
    checkpoint_min: float = 0.0
    restart_min: float = 0.0

    def __post_init__(self) -> None:
        why = _fault(self)
        if why:
            raise ValueError(f"job {self.name}: {why}")

    @property
    def full_kw(self) -> float:
        """Power of all gangs at full speed, kW."""
        return self.gangs * self.accelerators * self.power_w[-1] / 1000.0


@dataclass(frozen=True, slots=True)
class Event:
    """What is asked.

    Attributes:
        limit_kw: most power in each minute of the window; infinite for none.
        notice_min: whole minutes before the window in which power may already fall.
        recovery_min: whole minutes behind the window in which it comes back.
        fall_kw_per_min: how fast power may fall.
        rise_kw_per_min: how fast it may rise.
        turn_min: shortest time that a gang is paused or smaller; a job of one gang changes only at
            multiples of it.
    """

    limit_kw: tuple[float, ...]
    notice_min: int = 0
    recovery_min: int = 0
    fall_kw_per_min: float = math.inf
    rise_kw_per_min: float = math.inf
    turn_min: int = 30

    def __post_init__(self) -> None:
        if not self.limit_kw or any(math.isnan(x) or x < 0.0 for x in self.limit_kw):
            raise ValueError("an event limits power in at least one minute, to nought or more")
        if min(self.notice_min, self.recovery_min) < 0 or self.turn_min < 1:
            raise ValueError("notice and recovery are 0 minutes or more, a turn 1 or more")
        if not (self.fall_kw_per_min > 0.0 and self.rise_kw_per_min > 0.0):
            raise ValueError("power must be allowed to move: a ramp is above 0 kW per minute")


@dataclass(frozen=True, slots=True, eq=False)
class EventPlan:
    """An event planned.

    Attributes:
        jobs: the jobs, in the order of the first axis of every array.
        mode: what was allowed.
        minute: int64[T], 0 for the first minute of the window; negative within the notice.
        held: bool[T], whether a minute lies in the window.
        limit_kw: float64[T], infinite outside the window.
        power_kw: float64[jobs, T].
        speed: throughput as a share of full, losses of saving and starting spread over the turn
            they are paid in, float64[jobs, T].
        cap_w: mean power per working accelerator, float64[jobs, T]; nan where none works.
        working: accelerators that work, int64[jobs, T].
        paused: gangs that are paused, int64[jobs, T].
        conflict: names that cannot all be kept: `LIMIT`, `RAMP`, `WHOLE_GANGS` or jobs; empty when
            the plan keeps every contract.
        exceeded: by name, how far the fallback exceeds it: kW for `LIMIT` and `RAMP` (the worst
            minute), a share of full throughput for a job.
    """

    jobs: tuple[EventJob, ...]
    mode: Mode
    minute: npt.NDArray[np.int64]
    held: npt.NDArray[np.bool_]
    limit_kw: Array
    power_kw: Array
    speed: Array
    cap_w: Array
    working: npt.NDArray[np.int64]
    paused: npt.NDArray[np.int64]
    conflict: tuple[str, ...] = ()
    exceeded: Mapping[str, float] = field(default_factory=dict)

    @property
    def total_kw(self) -> Array:
        """Power of all jobs, float64[T]."""
        return np.asarray(self.power_kw.sum(axis=0), np.float64)

    @property
    def by_job(self) -> Array:
        """Throughput of each job averaged over the window, as a share of full, float64[jobs]."""
        return np.asarray(self.speed[:, self.held].mean(axis=1), np.float64)

    @property
    def performance(self) -> float:
        """Throughput averaged over the window and, by weight, over the jobs."""
        weight = np.array([job.weight for job in self.jobs])
        return float(weight @ self.by_job / weight.sum())

    @property
    def work(self) -> float:
        """Throughput summed over all minutes, ramps included, times the weights of the jobs."""
        return float(np.array([job.weight for job in self.jobs]) @ self.speed.sum(axis=1))

    @property
    def used_share(self) -> Array:
        """Share of each job's tolerance that is used; nan where it tolerates nothing."""
        tolerance = np.array([job.tolerance for job in self.jobs])
        share = np.full(len(self.jobs), np.nan)
        np.divide(1.0 - self.by_job, tolerance, out=share, where=tolerance > 0.0)
        return share

    def minutes_above(self, tolerance_kw: float = 1e-6) -> int:
        """Minutes of the window with more power than the limit."""
        return int((self.total_kw > self.limit_kw + tolerance_kw).sum())


def plan_event(
    jobs: Sequence[EventJob], event: Event, mode: Mode = "caps", *, nodes_max: int = 200
) -> EventPlan:
    """Plan an event: the most work, by weight, that keeps the limit and every contract.

    Args:
        jobs: who is there.
        event: what is asked.
        mode: what may be done.
        nodes_max: most nodes of the search for whole gangs.

    Returns:
        The plan. It does no less work, ramps included, than one with power caps alone. Where
        contracts conflict it names a set of them that cannot all be kept though any of them left
        out can, and is a fallback that breaks the contracts of jobs first (those promised least,
        then those worth least per accelerator), then the ramp, and the limit on power last.
    """
    tasks = tuple(_task(job, mode) for job in jobs)
    best = _planned(jobs, tasks, event, mode, nodes_max, ())
    if mode != "caps":
        capped = _planned(jobs, tuple(_task(j, "caps") for j in jobs), event, mode, nodes_max, ())
        if capped is not None and (best is None or best.work < capped.work):
            best = capped
    if best is not None:
        return best
    conflict = _conflict(tasks, event)
    opened: list[str] = []
    for name in (*_in_order(tasks), RAMP, LIMIT):
        opened.append(name)
        fallback = _planned(jobs, tasks, event, mode, nodes_max, opened, conflict)
        if fallback is not None:
            return fallback
    raise AssertionError("with every contract open there is a plan")


def lowest_kw(
    jobs: Sequence[EventJob],
    minutes: int,
    mode: Mode = "caps",
    *,
    turn_min: int = 30,
    nodes_max: int = 200,
) -> float | None:
    """The lowest power that can be held for a time with every contract kept, kW.

    Args:
        jobs: who is there.
        minutes: length of the window.
        mode: what may be done.
        turn_min: as in `Event`.
        nodes_max: most nodes of the search; what is found is within a ten-thousandth of the lowest
            or the lowest found by then.

    Returns:
        The power, however it is reached; None where even full power keeps no plan.
    """
    event = Event((math.inf,) * minutes, turn_min=turn_min)
    tasks = tuple(_task(job, mode) for job in jobs)
    answer = EventProgram(tasks, _window(tasks, event), lowest=True).solve(nodes_max=nodes_max)
    return None if answer is None else answer.level_kw


def concave_hull(
    power_w: Sequence[float], speed: Sequence[float], floor: float = 0.0
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The least concave curve above measured points of throughput against power.

    What lies below it is never worth running at: the same power, spread in time over the corners
    beside it, does more. Points that draw more than another for no more throughput are left out.

    Args:
        power_w: measured powers, any order.
        speed: throughput at each, in any unit; the largest becomes 1.0.
        floor: lowest throughput kept, as a share of full; the curve is cut there.

    Returns:
        Rising powers and throughputs.

    Raises:
        ValueError: no two points remain.
    """
    top = max(speed)
    hull: list[tuple[float, float]] = []
    for p, s in sorted(zip(power_w, (x / top for x in speed), strict=True)):
        if hull and s <= max(y for _, y in hull):
            continue
        while len(hull) > 1 and _bends_up(hull[-2], hull[-1], (p, s)):
            hull.pop()
        hull.append((p, s))
    if floor > hull[0][1]:
        at = float(np.interp(floor, [s for _, s in hull], [p for p, _ in hull]))
        hull = [(at, floor), *((p, s) for p, s in hull if s > floor)]
    if len(hull) < 2:
        raise ValueError("a curve of throughput against power needs two points")
    return tuple(p for p, _ in hull), tuple(s for _, s in hull)


# --- from jobs to tasks and blocks ------------------------------------------------------------


def _bends_up(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[1] - a[1]) * (c[0] - a[0]) <= (c[1] - a[1]) * (b[0] - a[0])


def _fault(job: EventJob) -> str:
    """Why a job cannot be planned for; empty when it can."""
    if len(job.power_w) != len(job.speed) or len(job.speed) < 2:
        return "needs two or more powers, as many as throughputs"
    if not all(math.isfinite(x) for x in (*job.power_w, *job.speed, job.weight, job.idle_w)):
        return "every number must be finite"
    if any(a >= b for a, b in pairwise(job.power_w)) or any(a >= b for a, b in pairwise(job.speed)):
        return "powers and throughputs must rise"
    points = list(zip(job.power_w, job.speed, strict=True))
    slopes = [(s1 - s0) / (p1 - p0) for (p0, s0), (p1, s1) in pairwise(points)]
    if any(b > a * (1.0 + 1e-9) for a, b in pairwise(slopes)):
        return "throughput must be concave in power; take its concave_hull"
    if job.speed[-1] != 1.0 or job.speed[0] < 0.0 or not 0.0 <= job.idle_w <= job.power_w[0]:
        return "throughput ends at 1.0, and resting draws no more than the lowest cap"
    if not (0.0 <= job.tolerance <= 1.0 and job.weight > 0.0 and 0.0 <= job.pause_share <= 1.0):
        return "tolerance and pause_share are between 0 and 1, the weight above 0"
    if job.accelerators < 1 or job.gangs < 1:
        return "has at least one gang of at least one accelerator"
    if any(not (0 < s.accelerators < job.accelerators and 0 < s.speed <= 1) for s in job.sizes):
        return "a smaller size has fewer accelerators and a throughput above 0 and up to 1"
    return ""


def _task(job: EventJob, mode: Mode) -> Task:
    """A job with the configurations a mode allows."""
    entry_min = job.checkpoint_min + job.restart_min
    widths, gains = segments(job.power_w, job.speed, job.accelerators, 1.0)
    floor_kw = job.accelerators * job.power_w[0] / 1000.0
    configs = [Config("whole", job.accelerators, floor_kw, job.speed[0], widths, gains, 0.0)]
    most = [job.gangs]
    if mode != "caps" and job.may_pause and int(job.pause_share * job.gangs) > 0:
        rest_kw = job.accelerators * job.idle_w / 1000.0
        configs.append(Config("paused", 0, rest_kw, 0.0, (), (), entry_min))
        most.append(int(job.pause_share * job.gangs))
    for size in job.sizes if mode == "resizing" else ():
        widths, gains = segments(job.power_w, job.speed, size.accelerators, size.speed)
        left = job.accelerators - size.accelerators
        floor_kw = (size.accelerators * job.power_w[0] + left * job.idle_w) / 1000.0
        low = size.speed * job.speed[0]
        name = f"on {size.accelerators}"
        configs.append(Config(name, size.accelerators, floor_kw, low, widths, gains, entry_min))
        most.append(job.gangs)
    least = 1.0 - job.tolerance
    return Task(job.name, job.gangs, job.weight, least, tuple(configs), tuple(most))


def _window(tasks: Sequence[Task], event: Event) -> Horizon:
    """The window alone, counts of gangs open, a slot per turn.

    Where every job that may change has many gangs they take turns, in the same numbers all the
    time, and one slot is enough.
    """
    minutes = len(event.limit_kw)
    changing = any(t.gangs == 1 and len(t.configs) > 1 for t in tasks)
    turn = event.turn_min if changing else minutes
    runs = groupby(range(minutes), key=lambda m: (m // turn, event.limit_kw[m]))
    blocks, slots = [], 0
    last = -1
    for (slot, limit_kw), found in runs:
        run = list(found)
        slots += slot != last
        last = slot
        blocks.append(Block(run[0], len(run), limit_kw, slots - 1, True))
    return Horizon(
        blocks=tuple(blocks),
        counts=(None,) * slots,
        turn_min=float(min(event.turn_min, minutes)),
        fall_kw=event.fall_kw_per_min,
        rise_kw=event.rise_kw_per_min,
        before_kw=None,
    )


def _around(
    tasks: Sequence[Task], event: Event, window: Horizon, answer: Answer, steps: int
) -> Horizon:
    """The window with its ramps; the counts of gangs are given, those on the ramps too.

    The gangs that stand otherwise in the first slot take their places evenly over the last `steps`
    minutes of the notice; those of the last slot come back in the reverse order.
    """
    whole = tuple((t.gangs, *(0,) * (len(t.configs) - 1)) for t in tasks)

    def on_the_way(counts: tuple[tuple[int, ...], ...], done: float) -> tuple[tuple[int, ...], ...]:
        moved = [tuple(int(n * done) for n in row[1:]) for row in counts]
        return tuple((row[0] - sum(m), *m) for row, m in zip(whole, moved, strict=True))

    down, up, minutes = event.notice_min, event.recovery_min, len(event.limit_kw)
    first, last = answer.counts[0], answer.counts[-1]
    late, early = min(steps, down), min(steps, up)
    counts = [on_the_way(first, max(0, i - down + late) / (late + 1)) for i in range(1, down + 1)]
    blocks = [Block(i - down, 1, math.inf, i, False) for i in range(down)]
    blocks += [replace(b, slot=b.slot + down) for b in window.blocks]
    counts += answer.counts
    for i in range(up):
        blocks.append(Block(minutes + i, 1, math.inf, len(counts), False))
        counts.append(on_the_way(last, max(0, early - i) / (early + 1)))
    full_kw = sum(t.full_kw for t in tasks)
    return Horizon(
        tuple(blocks), tuple(counts), window.turn_min, window.fall_kw, window.rise_kw, full_kw
    )


# --- planning ---------------------------------------------------------------------------------


def _planned(
    jobs: Sequence[EventJob],
    tasks: Sequence[Task],
    event: Event,
    mode: Mode,
    nodes_max: int,
    relaxed: Sequence[str],
    conflict: tuple[str, ...] = (),
) -> EventPlan | None:
    """First who stands how in the window, then every minute with its ramps.

    Gangs change as late, and come back as early, as the ramps let them.
    """
    window = _window(tasks, event)
    inside = EventProgram(tasks, window, relaxed).solve(nodes_max=nodes_max)
    if inside is None:
        return None
    longest = max(event.notice_min, event.recovery_min)
    for steps in sorted({0, min(FEW_STEPS, longest), longest}):
        horizon = _around(tasks, event, window, inside, steps)
        answer = EventProgram(tasks, horizon, relaxed).solve(nodes_max=nodes_max)
        if answer is not None and (steps == longest or not answer.slack.get(RAMP, 0.0) > 1e-9):
            return _laid_out(tuple(jobs), tasks, mode, horizon, answer, conflict)
    return None


def _in_order(tasks: Sequence[Task]) -> list[str]:
    """Jobs whose contracts are broken first come first: promised least, then worth least."""

    def place(task: Task) -> tuple[float, float, str]:
        size = task.gangs * task.configs[0].accelerators
        return task.least_speed, task.weight / size, task.name

    return [task.name for task in sorted(tasks, key=place)]


def _conflict(tasks: Sequence[Task], event: Event) -> tuple[str, ...]:
    """Contracts that cannot all be kept, though all but any one of them can.

    Found by leaving out one after another, with gangs that may be split; where those fit, it is
    that gangs are whole.
    """
    window = _window(tasks, event)

    def fits(relaxed: Sequence[str]) -> bool:
        inside = EventProgram(tasks, window, relaxed).solve(whole=False)
        if inside is None:
            return False
        around = _around(tasks, event, window, inside, 0)
        # on the ramps as in the window: gangs may be split, so their counts are open
        around = replace(around, counts=(None,) * len(around.counts))
        return EventProgram(tasks, around, relaxed).solve(whole=False) is not None

    if fits(()):
        return (WHOLE_GANGS,)
    left_out: list[str] = []
    needed: list[str] = []
    for name in (*_in_order(tasks), RAMP, LIMIT):
        if fits([*left_out, name]):
            needed.append(name)
        else:
            left_out.append(name)
    return tuple(needed)


def _laid_out(
    jobs: tuple[EventJob, ...],
    tasks: Sequence[Task],
    mode: Mode,
    horizon: Horizon,
    answer: Answer,
    conflict: tuple[str, ...],
) -> EventPlan:
    """Blocks as minutes."""
    blocks = horizon.blocks
    of = np.repeat(np.arange(len(blocks)), [b.minutes for b in blocks])
    held = np.array([b.held for b in blocks])[of]
    slot = np.array([b.slot for b in blocks])[of]
    start = int(blocks[0].first)
    speed = answer.speed[:, of] - _losses(tasks, horizon, answer)[:, slot] * held
    shape = (len(tasks), len(answer.counts))
    working, resting, paused = (np.zeros(shape, np.int64) for _ in range(3))
    for s, counts in enumerate(answer.counts):
        for j, (task, row) in enumerate(zip(tasks, counts, strict=True)):
            work = sum(n * c.accelerators for n, c in zip(row, task.configs, strict=True))
            working[j, s] = work
            resting[j, s] = task.gangs * task.configs[0].accelerators - work
            named = zip(row, task.configs, strict=True)
            paused[j, s] = sum(n for n, c in named if c.name == "paused")
    power = answer.power_kw[:, of]
    idle_kw = np.array([job.idle_w for job in jobs])[:, None] / 1000.0
    cap = np.full(power.shape, np.nan)
    own_kw = power - resting[:, slot] * idle_kw
    np.divide(own_kw * 1000.0, working[:, slot], out=cap, where=working[:, slot] > 0)
    return EventPlan(
        jobs=jobs,
        mode=mode,
        minute=np.arange(len(of), dtype=np.int64) + start,
        held=held,
        limit_kw=np.array([b.limit_kw for b in blocks])[of],
        power_kw=power,
        speed=speed,
        cap_w=cap,
        working=working[:, slot],
        paused=paused[:, slot],
        conflict=conflict,
        exceeded={name: x for name, x in answer.slack.items() if x > 1e-9},
    )


def _losses(tasks: Sequence[Task], horizon: Horizon, answer: Answer) -> Array:
    """Throughput lost to changes in each slot, as a share of full, [jobs, slots]."""
    lost = np.zeros((len(tasks), len(answer.counts)))
    before: tuple[tuple[int, ...], ...] | None = None
    for s, counts in enumerate(answer.counts):
        minutes = sum(b.minutes for b in horizon.blocks if b.slot == s and b.held)
        if not minutes:
            continue
        for j, task in enumerate(tasks):
            for c in range(1, len(task.configs)):
                cost, n = task.configs[c].entry_min, counts[j][c]
                if task.gangs > 1:  # every gang in its turn, n of them twice
                    entries = (task.gangs + n) / task.gangs if n else 0.0
                    lost[j, s] += entries * cost / horizon.held_min
                else:
                    lost[j, s] += max(n - (before[j][c] if before else 0), 0) * cost / minutes
        before = counts
    return lost
