"""Back after an outage: in which order, how fast, and what does not fit.

`restart` makes a timetable for loads that are off. From a dead site the generators come first
(those that start by themselves, then the others); when the grid is back, an island that runs is
first synchronised with it. Then load by load, the most vital first: its cooling, a lead time, the
load itself. Power rises in straight lines, never faster than a share of the capacity a minute, and
a load that surges when it starts is split into blocks so that the surge stays below the limit.

The ramp of 20 % of the capacity a minute is what TenneT asked connected parties to keep to
(excerpts of reports read, 2024); it follows from 5 minutes of full activation of aFRR, too. The
times of synchronising and cooling are assumptions and arguments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.plant.generation import Generator
from gigafactory.plant.island import Load

#: Change of power a minute, share of the capacity (see above).
RAMP_SHARE_PER_MIN: Final = 0.20

#: More blocks than this and a load is left off.
_BLOCKS_MOST: Final = 50
_SLACK: Final = 1e-9

KINDS: Final = ("generator", "synchronise", "cooling", "load")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the timetable.

    Attributes:
        begin_min: when it begins, minutes from the start of the timetable.
        end_min: when it is done.
        kind: one of `KINDS`.
        what: the generator or the load.
        power_mw: power of the site when it is done.
        peak_mw: highest power within it, with the surge.
        limit_mw: what the site may draw or its generators give at that time.
    """

    begin_min: float
    end_min: float
    kind: str
    what: str
    power_mw: float
    peak_mw: float
    limit_mw: float


@dataclass(frozen=True, slots=True)
class Held:
    """A load that did not come back as it would like to.

    Attributes:
        what: the load.
        why: what is in the way.
        fallback: what is done instead.
    """

    what: str
    why: str
    fallback: str


@dataclass(frozen=True, slots=True)
class Restart:
    """A timetable.

    Attributes:
        stages: the stages, in order of time.
        held: loads that come in blocks or stay off, with the reason.
        done_min: when the last stage is done.
    """

    stages: tuple[Stage, ...]
    held: tuple[Held, ...]
    done_min: float


def restart(
    loads: Sequence[Load],
    *,
    limit_mw: float,
    running_mw: float = 0.0,
    generators: Sequence[Generator] = (),
    ramp_share_per_min: float = RAMP_SHARE_PER_MIN,
    synchronise_min: float = 5.0,
    cooling_lead_min: float = 5.0,
) -> Restart:
    """Make the timetable by which loads come back.

    Args:
        loads: the loads that are off; they come back most vital first.
        limit_mw: what the grid lets the site draw; 0 when there is no grid, and the site starts
            itself from its generators.
        running_mw: what runs already, with its cooling. With a grid, an island that runs is
            synchronised before anything is added.
        generators: own generators; used without a grid only.
        ramp_share_per_min: fastest rise, share of the limit a minute.
        synchronise_min: time to bring the island in step with the grid (assumption: 5).
        cooling_lead_min: time cooling runs before its load (assumption: 5).

    Returns:
        The timetable. A load that does not fit is left off, and so is all that ranks below it, so
        that what is vital never waits behind what is not.

    Raises:
        BadInput: a number out of range; all at once.
    """
    _check(
        limit_mw=(limit_mw, 0.0, 1e6),
        running_mw=(running_mw, 0.0, 1e6),
        ramp_share_per_min=(ramp_share_per_min, 1e-6, 10.0),
        synchronise_min=(synchronise_min, 0.0, 1e4),
        cooling_lead_min=(cooling_lead_min, 0.0, 1e4),
    )
    stages: list[Stage] = []
    held: list[Held] = []
    power, free = running_mw, 0.0
    if limit_mw > 0.0:
        limits = [(0.0, limit_mw)]
        if running_mw > 0.0:
            free = synchronise_min
            stages.append(Stage(0.0, free, "synchronise", "grid", power, power, limit_mw))
    else:
        limits = _starts(generators, stages, held)
    ranked = sorted(loads, key=lambda load: load.priority)
    for k, load in enumerate(ranked):
        fit = _when(limits, power, load)
        if fit is None:
            why = f"{power:g} MW run; {load.whole_mw:g} MW more never fit"
            held += [Held(rest.name, why, "stays off") for rest in ranked[k:]]
            break
        begins, most, blocks = fit
        if blocks > 1:
            why = f"a surge of {load.inrush_times:g} times does not fit at once"
            held.append(Held(load.name, why, f"in {blocks} blocks"))
        begin = (max(free, begins), power)
        pace = ramp_share_per_min * most
        stages += _bring(load, begin, blocks, pace, cooling_lead_min, most)
        free, power = stages[-1].end_min, stages[-1].power_mw
    return Restart(tuple(stages), tuple(held), max((s.end_min for s in stages), default=0.0))


def _bring(
    load: Load,
    begin: tuple[float, float],
    blocks: int,
    mw_per_min: float,
    lead_min: float,
    limit_mw: float,
) -> list[Stage]:
    """Cooling, a lead time, and the load in equal blocks, from a time and a power on."""
    (free, power), stages = begin, []
    cooling = load.power_mw * load.cooling_mw_per_mw
    if cooling > 0.0:
        end = free + cooling / mw_per_min
        power += cooling
        stages.append(Stage(free, end, "cooling", load.name, power, power, limit_mw))
        free = end + lead_min
    for _ in range(blocks):
        block = load.power_mw / blocks
        end = free + block / mw_per_min
        peak = power + block * load.inrush_times
        power += block
        stages.append(Stage(free, end, "load", load.name, power, peak, limit_mw))
        free = end
    return stages


def _starts(
    generators: Sequence[Generator], stages: list[Stage], held: list[Held]
) -> list[tuple[float, float]]:
    """Start the generators from a dead site: when each capacity is there, minutes and MW."""
    alone = [g for g in generators if g.black_start and g.driver != "weather"]
    first = min((g.start_min for g in alone), default=math.inf)
    ready: list[tuple[float, Generator]] = []
    for g in generators:
        if g.driver == "weather":
            held.append(Held(g.name, "the weather may not be there", "added when the island runs"))
        elif math.isinf(first):
            held.append(Held(g.name, "nothing here starts without power", "waits for the grid"))
        else:
            ready.append((g.start_min if g.black_start else first + g.start_min, g))
    limits, capacity = [], 0.0
    for at, g in sorted(ready, key=lambda pair: pair[0]):
        capacity += g.capacity_mw
        limits.append((at, capacity))
        stages.append(Stage(at - g.start_min, at, "generator", g.name, 0.0, 0.0, capacity))
    return limits


def _when(
    limits: Sequence[tuple[float, float]], power: float, load: Load
) -> tuple[float, float, int] | None:
    """When a load fits first, below which limit, and in how many blocks; None when never."""
    after = power + load.whole_mw
    for at, most in limits:
        room = most - after
        if room < -_SLACK:
            continue
        # the last block surges on top of everything else: block * (inrush - 1) <= room
        surge = load.power_mw * (load.inrush_times - 1.0)
        blocks = 1 if surge <= room + _SLACK else 0
        if not blocks and room > _SLACK:
            blocks = math.ceil(surge / room - _SLACK)
        if 1 <= blocks <= _BLOCKS_MOST:
            return at, most, blocks
    return None


def _check(**given: tuple[float, float, float]) -> None:
    problems = [
        Problem("restart", name, str(value), f"must be from {low:g} to {high:g}")
        for name, (value, low, high) in given.items()
        if not low <= value <= high
    ]
    if problems:
        raise BadInput(problems)
