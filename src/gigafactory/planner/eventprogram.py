"""The programme behind a demand-response event: jobs in configurations, power bought in segments.

A job is one gang or many alike. In every slot its gangs stand in configurations (whole, paused, on
fewer accelerators); in every block of minutes each configuration draws its lowest power and buys
throughput above it in segments, the cheapest first because the curve is concave. Counts of gangs
are whole numbers while they are open; once they are given, what is left is a linear programme.

Contracts carry slack columns that stand at nought. `relaxed` opens those of a group by its name,
which is how a conflict is found and how a fallback exceeds one contract before another.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import highspy
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

INF: Final = float(highspy.kHighsInf)
#: Groups of constraints that are no job's: the limit on power, and how fast power may move.
LIMIT, RAMP = "limit", "ramp"
#: How close to the best a plan with whole gangs must be, as a share of its objective.
GAP: Final = 1e-4
#: What exceeding a whole contract costs, times all the work there is. No work is worth a contract,
#: no contract with a job is worth the ramp, and the limit on power is exceeded last.
_BROKEN: Final = {LIMIT: 1e6, RAMP: 1e4}
_BROKEN_JOB: Final = 1e3


@dataclass(frozen=True, slots=True)
class Config:
    """One way a gang may stand.

    Attributes:
        name: "whole", "paused" or "on <accelerators>".
        accelerators: of the gang that work.
        floor_kw: power of the gang at its lowest cap, resting accelerators included.
        floor_speed: its throughput there, as a share of the whole gang's at full power.
        width_kw: length of each segment above the floor.
        speed_per_kw: throughput that a kW buys in each of them, never rising.
        entry_min: full-speed minutes lost when a gang enters it (and leaves it again).
    """

    name: str
    accelerators: int
    floor_kw: float
    floor_speed: float
    width_kw: tuple[float, ...]
    speed_per_kw: tuple[float, ...]
    entry_min: float

    @property
    def full_kw(self) -> float:
        """Power at the highest cap."""
        return self.floor_kw + sum(self.width_kw)


@dataclass(frozen=True, slots=True)
class Task:
    """A job as the programme sees it.

    Attributes:
        name: of the job.
        gangs: how many there are, all alike.
        weight: worth of all of them at full throughput, per minute.
        least_speed: throughput the job must average inside the window, as a share of full.
        configs: ways a gang may stand; the first is whole.
        count_max: most gangs at once in each of them.
    """

    name: str
    gangs: int
    weight: float
    least_speed: float
    configs: tuple[Config, ...]
    count_max: tuple[int, ...]

    @property
    def full_kw(self) -> float:
        """Power of all gangs at full speed."""
        return self.gangs * self.configs[0].full_kw


@dataclass(frozen=True, slots=True)
class Block:
    """Minutes in a row in which nothing changes.

    Attributes:
        first: first minute, counted from the start of the window.
        minutes: how many.
        limit_kw: most power.
        slot: whose counts of gangs hold.
        held: whether it lies in the window.
    """

    first: int
    minutes: int
    limit_kw: float
    slot: int
    held: bool


@dataclass(frozen=True, slots=True)
class Horizon:
    """Blocks in a row, and what moves between them.

    Attributes:
        blocks: in order of time.
        counts: per slot the gangs in each configuration of each job; None where open.
        turn_min: the shortest time a gang of many is in a configuration.
        fall_kw: most power may fall from one block to the next.
        rise_kw: most it may rise.
        before_kw: power before the first block.
    """

    blocks: tuple[Block, ...]
    counts: tuple[tuple[tuple[int, ...], ...] | None, ...]
    turn_min: float
    fall_kw: float
    rise_kw: float
    before_kw: float | None

    @property
    def held_min(self) -> int:
        """Minutes of the window."""
        return sum(b.minutes for b in self.blocks if b.held)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a programme came to.

    Attributes:
        counts: gangs per slot, job and configuration.
        power_kw: float64[jobs, blocks].
        speed: throughput as a share of full, losses of changes not taken off, [jobs, blocks].
        slack: by group, how far it is exceeded; kW for the limit and the ramp (the worst block),
            a share of full throughput for a job.
        level_kw: the lowest constant power, where that was asked.
    """

    counts: tuple[tuple[tuple[int, ...], ...], ...]
    power_kw: Array
    speed: Array
    slack: dict[str, float]
    level_kw: float


class EventProgram:
    """Columns and rows of an event.

    Args:
        tasks: the jobs.
        horizon: the blocks.
        relaxed: groups that may be exceeded: `LIMIT`, `RAMP` or names of jobs.
        lowest: look for the lowest constant power of the window instead of the most work.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        horizon: Horizon,
        relaxed: Collection[str] = (),
        lowest: bool = False,
    ) -> None:
        self.tasks, self.horizon = tuple(tasks), horizon
        self.relaxed, self.lowest = frozenset(relaxed), lowest
        self._cost: list[float] = []
        self._low: list[float] = []
        self._high: list[float] = []
        self._whole: list[bool] = []
        self._rows: list[tuple[list[int], list[float], float, float]] = []
        self.worth = sum(t.weight for t in self.tasks) * max(horizon.held_min, 1)
        self.count: dict[tuple[int, int, int], int] = {}
        self.entered: dict[tuple[int, int, int], int] = {}
        self.turning: dict[tuple[int, int], int] = {}
        self._shared: dict[int, int] = {}
        self.bought: dict[tuple[int, int, int], list[int]] = {}
        self.drawn: list[int] = []
        self.slack: dict[str, list[int]] = {}
        self.level = self._column(0.0, INF, 1.0) if lowest else -1
        for s in range(len(horizon.counts)):
            self._gangs(s)
        for b, block in enumerate(horizon.blocks):
            self._power(b, block)
        self._ramps()
        for j, task in enumerate(self.tasks):
            self._contract(j, task)

    # --- building --------------------------------------------------------------------------

    def _column(self, low: float, high: float, cost: float = 0.0, whole: bool = False) -> int:
        """A column; costs are minimised."""
        self._low.append(low)
        self._high.append(high)
        self._cost.append(cost)
        self._whole.append(whole)
        return len(self._cost) - 1

    def _row(self, terms: Sequence[tuple[int, float]], low: float, high: float) -> None:
        self._rows.append(([c for c, _ in terms], [v for _, v in terms], low, high))

    def _slack(self, group: str, size_kw: float) -> int:
        """A slack column of a group, kW; it stands at nought unless the group is relaxed.

        Args:
            group: whose it is.
            size_kw: what the whole contract comes to; a job's is its power at full speed.
        """
        if group not in self.relaxed:
            return self._column(0.0, 0.0)
        dear = _BROKEN.get(group, _BROKEN_JOB) * self.worth / max(size_kw, 1e-9)
        column = self._column(0.0, INF, dear)
        self.slack.setdefault(group, []).append(column)
        return column

    def _gain(self, value: float) -> float:
        """Cost of a unit of work: negative, or nought while the lowest power is looked for."""
        return 0.0 if self.lowest else -value

    def _gangs(self, s: int) -> None:
        """Gangs of a slot by configuration; what enters one is counted, for it costs work.

        Open counts of a job of many gangs are the same all through the window: they take turns.
        """
        given = self.horizon.counts[s]
        held = any(b.held for b in self.horizon.blocks if b.slot == s)
        for j, task in enumerate(self.tasks):
            if given is None and held and task.gangs > 1:
                first = self._shared.setdefault(j, s)
                if first != s:
                    for c in range(len(task.configs)):
                        self.count[j, c, s] = self.count[j, c, first]
                    continue
            for c, most in enumerate(task.count_max):
                here = (float(given[j][c]),) * 2 if given is not None else (0.0, float(most))
                whole = given is None and len(task.configs) > 1
                self.count[j, c, s] = self._column(*here, whole=whole)
            own = [(self.count[j, c, s], 1.0) for c in range(len(task.configs))]
            self._row(own, task.gangs, task.gangs)
            for c in range(1, len(task.configs) if held else 0):
                if task.gangs > 1:
                    self._turns(j, c, s)
                else:
                    self._entry(j, c, s)

    def _entry(self, j: int, c: int, s: int) -> None:
        """A job of one gang enters a configuration in a slot when it was not in it before."""
        task = self.tasks[j]
        z = self._column(0.0, INF, -self._gain(task.weight * task.configs[c].entry_min))
        last = [(self.count[j, c, s - 1], 1.0)] if (j, c, s - 1) in self.entered else []
        self._row([(z, 1.0), (self.count[j, c, s], -1.0), *last], 0.0, INF)
        self.entered[j, c, s] = z

    def _turns(self, j: int, c: int, s: int) -> None:
        """Gangs alike take turns: each is in the configuration once, all equally long.

        With n of G gangs in it at any time of T minutes a turn lasts n T / G, no less than the
        shortest turn. n gangs are in it at both ends of the window and so enter it twice.
        """
        if (j, c) in self.turning:
            return
        task, n = self.tasks[j], self.count[j, c, s]
        given = self.horizon.counts[s]
        here = (0.0, 1.0) if given is None else (float(given[j][c] > 0),) * 2
        cost = task.weight * task.configs[c].entry_min
        u = self.turning[j, c] = self._column(*here, -self._gain(cost), whole=True)
        self._cost[n] += -self._gain(cost / task.gangs)
        self._row([(n, 1.0), (u, -float(task.gangs))], -INF, 0.0)
        if given is None:
            shortest = task.gangs * min(1.0, self.horizon.turn_min / self.horizon.held_min)
            self._row([(n, 1.0), (u, -shortest)], 0.0, INF)

    def _power(self, b: int, block: Block) -> None:
        """Segments bought in a block, the power they come to and its limit."""
        total: list[tuple[int, float]] = []
        for j, task in enumerate(self.tasks):
            per_gang = task.weight / task.gangs * block.minutes
            for c, config in enumerate(task.configs):
                n = self.count[j, c, block.slot]
                self._cost[n] += self._gain(per_gang * config.floor_speed)
                total.append((n, config.floor_kw))
                bought = self.bought[j, c, b] = []
                for width, gain in zip(config.width_kw, config.speed_per_kw, strict=True):
                    x = self._column(0.0, INF, self._gain(per_gang * gain))
                    self._row([(x, 1.0), (n, -width)], -INF, 0.0)
                    bought.append(x)
                    total.append((x, 1.0))
        p = self._column(0.0, INF)
        self.drawn.append(p)
        self._row([*total, (p, -1.0)], 0.0, 0.0)
        # a limit of nothing is no measure of how far it is exceeded
        known = math.isfinite(block.limit_kw) and block.limit_kw > 0.0
        over = self._slack(LIMIT, block.limit_kw if known else 1.0)
        if math.isfinite(block.limit_kw):
            self._row([(p, 1.0), (over, -1.0)], -INF, block.limit_kw)
        if self.lowest and block.held:
            self._row([(p, 1.0), (self.level, -1.0)], -INF, 0.0)
        if not block.held:
            self._floor(b, block)

    def _floor(self, b: int, block: Block) -> None:
        """On a ramp whole gangs keep what they must average inside: power comes back as it went."""
        for j, task in enumerate(self.tasks):
            whole, n = task.configs[0], self.count[j, 0, block.slot]
            terms = [(n, whole.floor_speed - task.least_speed)]
            pairs = zip(self.bought[j, 0, b], whole.speed_per_kw, strict=True)
            terms += [(x, gain) for x, gain in pairs]
            terms.append((self._slack(task.name, task.full_kw), task.gangs / task.full_kw))
            self._row(terms, 0.0, INF)

    def _ramps(self) -> None:
        """Power moves from block to block no faster than it may."""
        fall, rise = self.horizon.fall_kw, self.horizon.rise_kw
        for b, p in enumerate(self.drawn):
            if b == 0:
                if self.horizon.before_kw is None:
                    continue
                last, at = [], self.horizon.before_kw
            else:
                last, at = [(self.drawn[b - 1], -1.0)], 0.0
            if math.isfinite(fall):
                self._row([(p, 1.0), *last, (self._slack(RAMP, fall), 1.0)], at - fall, INF)
            if math.isfinite(rise):
                self._row([(p, 1.0), *last, (self._slack(RAMP, rise), -1.0)], -INF, at + rise)

    def _contract(self, j: int, task: Task) -> None:
        """Throughput averaged over the window, changes paid, is at least what was promised.

        Gangs that take turns are equally long away; those that have to change twice lose the cost
        of it twice, and the contract holds for them too.
        """
        held, minutes = self.horizon, self.horizon.held_min
        terms: dict[int, float] = {}
        for b, block in enumerate(held.blocks):
            if not block.held:
                continue
            for c, config in enumerate(task.configs):
                n = self.count[j, c, block.slot]
                terms[n] = terms.get(n, 0.0) + block.minutes * config.floor_speed
                pairs = zip(self.bought[j, c, b], config.speed_per_kw, strict=True)
                terms |= {x: block.minutes * gain for x, gain in pairs}
        for (of, c, _), z in self.entered.items():
            if of == j:
                terms[z] = -task.configs[c].entry_min
        for (of, c), u in self.turning.items():
            if of == j:
                terms[u] = -2.0 * task.configs[c].entry_min * task.gangs
        slack = self._slack(task.name, task.full_kw)
        terms[slack] = minutes * task.gangs / task.full_kw
        self._row(list(terms.items()), task.least_speed * minutes * task.gangs - 1e-9, INF)

    # --- solving ---------------------------------------------------------------------------

    def solve(self, whole: bool = True, nodes_max: int = 200) -> Answer | None:
        """Solve it.

        Args:
            whole: gangs are whole numbers; else they may be split, which bounds what is possible.
            nodes_max: most nodes of the search; the best plan found by then is taken. A limit in
                nodes and not in seconds, so that a slow machine gives the same plan.

        Returns:
            The answer; None where there is none (or none was found within the nodes).
        """
        highs = highspy.Highs()
        highs.silent()
        integer = whole and any(self._whole)
        options: list[tuple[str, object]] = [("threads", 1), ("random_seed", 0)]
        if integer:
            options += [("mip_max_nodes", nodes_max), ("mip_rel_gap", GAP)]
        else:
            options += [("solver", "simplex")]
        for option, value in options:
            highs.setOptionValue(option, value)
        highs.passModel(self._model(integer))
        highs.run()
        values = np.asarray(highs.getSolution().col_value)
        status, info = highs.getModelStatus(), highs.getInfo()
        good = status == highspy.HighsModelStatus.kOptimal or (
            integer and info.primal_solution_status == highspy.kSolutionStatusFeasible
        )
        if not good or len(values) != len(self._cost) or not np.isfinite(values).all():
            return None
        return self._answer(values)

    def _model(self, integer: bool) -> highspy.HighsLp:
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(self._cost), len(self._rows)
        # a kW in a minute costs about one: the solver's tolerances are absolute, and much smaller
        # costs would be nought to it
        full_kw = sum(t.full_kw for t in self.tasks)
        scale = 1.0 if self.lowest else sum(t.weight for t in self.tasks) / full_kw
        lp.col_cost_ = np.asarray(self._cost) / scale
        lp.col_lower_, lp.col_upper_ = np.asarray(self._low), np.asarray(self._high)
        lp.row_lower_ = np.asarray([low for *_, low, _ in self._rows])
        lp.row_upper_ = np.asarray([high for *_, high in self._rows])
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        sizes = [len(columns) for columns, *_ in self._rows]
        lp.a_matrix_.start_ = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        lp.a_matrix_.index_ = np.asarray([c for row in self._rows for c in row[0]], np.int32)
        lp.a_matrix_.value_ = np.asarray([v for row in self._rows for v in row[1]])
        if integer:
            kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
            lp.integrality_ = [kinds[whole] for whole in self._whole]
        return lp

    def _answer(self, values: Array) -> Answer:
        tasks, blocks = self.tasks, self.horizon.blocks
        counts = tuple(
            tuple(
                tuple(round(float(values[self.count[j, c, s]])) for c in range(len(task.configs)))
                for j, task in enumerate(tasks)
            )
            for s in range(len(self.horizon.counts))
        )
        power, speed = np.zeros((len(tasks), len(blocks))), np.zeros((len(tasks), len(blocks)))
        for (j, c, b), bought in self.bought.items():
            config, n = tasks[j].configs[c], float(values[self.count[j, c, blocks[b].slot]])
            power[j, b] += n * config.floor_kw + float(values[bought].sum())
            more = float(values[bought] @ np.asarray(config.speed_per_kw)) if bought else 0.0
            speed[j, b] += (n * config.floor_speed + more) / tasks[j].gangs
        size_kw = {task.name: task.full_kw for task in tasks}
        slack = {
            group: float(values[at].max()) / size_kw.get(group, 1.0)
            for group, at in self.slack.items()
        }
        level = float(values[self.level]) if self.lowest else math.nan
        return Answer(counts, power, speed, slack, level)


def segments(
    power_w: Sequence[float], speed: Sequence[float], accelerators: int, worth: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Widths, kW, and throughput per kW of the pieces of a gang's curve.

    Args:
        power_w: per accelerator, rising.
        speed: throughput at each, as a share of full, concave in power.
        accelerators: of the gang that work.
        worth: throughput of the gang at full power, as a share of the whole gang's.
    """
    widths = tuple(accelerators * (b - a) / 1000.0 for a, b in pairwise(power_w))
    gains = (worth * (b - a) for a, b in pairwise(speed))
    return widths, tuple(gain / width for gain, width in zip(gains, widths, strict=True))
