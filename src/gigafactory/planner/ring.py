"""Planning again every quarter of an hour: a programme on a ring, whose basis outlives a step.

A slot stands for the period congruent to it modulo the slots, so from one plan to the next one slot
alone gets another period, and the present moves on by freeing one set of rows and holding another.
The simplex basis of the last plan stays nearly optimal. With a second ring of long steps behind the
first (`mixed`), the near future is planned in short steps and the rest in long ones, at less cost.

Reserve blocks are columns of the ring's slots. The block that is partly gone shares its column with
the one that is only partly in sight, a whole ring later; that one has to keep no room for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import highspy
import numpy as np
import numpy.typing as npt

from gigafactory.planner.numbers import Numbers, fill_joins, fill_spans, fill_steps
from gigafactory.planner.program import INF, Program
from gigafactory.planner.shape import Horizon, SiteShape
from gigafactory.planner.solving import silent

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Rows that keep room for reserves.
ROOMS = (
    "battery up",
    "battery down",
    "reservoir low",
    "reservoir high",
    "import room",
    "export room",
    "load up",
    "load down",
)


@dataclass(frozen=True, slots=True)
class Present:
    """Where the rings stand.

    Attributes:
        first: the slot that is now, per ring.
        last: the last slot of the horizon, per ring; the one whose states are worth something.
        handed: short step whose end state begins the long ones; -1 with one ring.
        idle: slots left out, between the rings.
        loose: slots that keep no room for reserves: their block is only partly in sight.
    """

    first: tuple[int, ...]
    last: tuple[int, ...]
    handed: int = -1
    idle: tuple[int, ...] = ()
    loose: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """What the slots stand for at one plan.

    Attributes:
        now: where the rings stand.
        slot: active slots, in the order of time, [S].
        period: first market period of each, [S]; a long slot covers the next `ratio`.
    """

    now: Present
    slot: Ints
    period: Ints


@dataclass(frozen=True, slots=True)
class Circle:
    """One ring of market periods.

    Attributes:
        slots: market periods ahead, a multiple of `block`.
        block: market periods of a reserve block; each begins at a multiple of it.
    """

    slots: int
    block: int

    def at(self, period: int) -> Turn:
        """What the slots stand for when a period is about to begin."""
        periods = np.arange(period, period + self.slots, dtype=np.int64)
        first = period % self.slots
        loose = range(period - period % self.block + self.slots, period + self.slots)
        now = Present(
            (first,), ((first - 1) % self.slots,), loose=tuple(p % self.slots for p in loose)
        )
        return Turn(now, periods % self.slots, periods)


@dataclass(frozen=True, slots=True)
class Mixed:
    """A ring of market periods and behind it a ring of longer steps.

    Attributes:
        fine: short slots, a multiple of `ratio`; between `fine - ratio + 1` and `fine` are in use.
        coarse: long slots.
        ratio: market periods per long slot; a long slot begins at a multiple of it.
        block: long slots of a reserve block; `coarse` is a multiple of it.
    """

    fine: int
    coarse: int
    ratio: int
    block: int

    def at(self, period: int) -> Turn:
        """What the slots stand for when a period is about to begin."""
        begun = period - period % self.ratio
        edge = begun + self.fine
        short = np.arange(period, edge, dtype=np.int64)
        long = edge // self.ratio + np.arange(self.coarse, dtype=np.int64)
        slot = np.concatenate([short % self.fine, self.fine + long % self.coarse])
        first = (int(slot[0]), int(slot[len(short)]))
        last = (int(slot[len(short) - 1]), int(slot[-1]))
        idle = tuple(int(p) % self.fine for p in range(begun, period))
        begun = edge // self.ratio
        loose = range(begun - begun % self.block + self.coarse, begun + self.coarse)
        now = Present(
            first,
            last,
            handed=last[0],
            idle=idle,
            loose=tuple(self.fine + p % self.coarse for p in loose),
        )
        return Turn(now, slot, np.concatenate([short, long * self.ratio]))


class RingProgram:
    """A programme on rings, solved again and again from its last basis.

    The numbers are arrays over slots that the caller keeps and changes in place; `plan` is told
    which slots changed.

    Args:
        sites: the sites.
        horizon: of `Horizon.circle` or `Horizon.mixed`.
        numbers: of each site over the slots. `soc_mwh` and `backlog_gpu_h` are the present states.

    Attributes:
        program: the matrix.
        numbers: as given.
        iterations: simplex iterations of the last plan.
        objective_eur: value of the objective of the last plan; nan without one.
    """

    def __init__(
        self, sites: Sequence[SiteShape], horizon: Horizon, numbers: list[Numbers]
    ) -> None:
        self.program = Program(sites, horizon)
        self.numbers = numbers
        self.iterations, self.objective_eur = 0, math.nan
        self._highs: highspy.Highs | None = None
        self._now: Present | None = None
        self._values: Array = np.zeros(0)
        p = self.program
        self._links = np.array(
            [layout.rows[f"link {state}"] for layout in p.layouts for state in layout.states]
        )
        self._entries = np.array(
            [layout.rows[f"entry {state}"] for layout in p.layouts for state in layout.states]
        )
        self._reserves = [
            row for layout in p.layouts for name, row in layout.rows.items() if name in ROOMS
        ]
        self._columns = np.arange(p.width, dtype=np.int64)
        self._rows = np.arange(p.height, dtype=np.int64)
        self._spans = len(horizon) * p.width + np.arange(len(p.spanning), dtype=np.int64)
        self._joins = len(horizon) * p.height + np.arange(len(p.joining), dtype=np.int64)
        self._told_spans: tuple[Array, ...] = ()
        self._told_joins: tuple[Array, ...] = ()

    def forget(self) -> None:
        """Solve the next plan from nothing: it then depends on its own numbers alone."""
        self._highs = None

    def plan(self, now: Present, changed: Ints) -> bool:
        """Solve for the present.

        Args:
            now: where the rings stand.
            changed: slots whose numbers are not those of the last plan.

        Returns:
            Whether there is an optimal plan; `value` reads it.
        """
        slots = len(self.program.horizon)
        if self._highs is None or self._now is None:
            self._begin()
            steps = np.arange(slots, dtype=np.int64)
        else:
            was = self._now
            touched = {*changed.tolist(), *was.first, *was.last, *was.idle}
            touched |= {*now.first, *now.last, *now.idle}
            touched |= set(was.loose) ^ set(now.loose)
            steps = np.array(sorted(touched), dtype=np.int64)
        self._now = now
        highs = self._highs
        assert highs is not None
        if not self._tell_steps(highs, steps, now):
            self._highs = None
            return False
        self._tell_rest(highs, now)
        highs.run()
        info = highs.getInfo()
        self.iterations, self.objective_eur = info.simplex_iteration_count, math.nan
        optimal = highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
        objective = float(info.objective_function_value)
        values = np.asarray(highs.getSolution().col_value)
        if not (optimal and math.isfinite(objective) and np.isfinite(values).all()):
            self._highs = None
            return False
        self.objective_eur, self._values = objective, values
        return True

    def value(self, site: int, name: str, slot: int) -> float:
        """A column of the last plan."""
        return float(self._values[self.program.column(site, name, slot)])

    def values(self, site: int, name: str) -> Array:
        """A column of the last plan in every slot, [slots]."""
        first = self.program.layouts[site].columns[name]
        end = len(self.program.horizon) * self.program.width
        return self._values[first : end : self.program.width]

    def steps(self) -> Array:
        """Every column of a step of the last plan, per slot, [slots, width]."""
        slots, width = len(self.program.horizon), self.program.width
        return self._values[: slots * width].reshape(slots, width)

    def spanned(self, site: int, name: str, k: int) -> float:
        """A reserve block, a peak or an entry state of the last plan."""
        return float(self._values[self.program.spanning[(site, name, k)]])

    def _begin(self) -> None:
        highs = silent(presolve=False)
        lp = self.program.lp
        lp.col_cost_, lp.col_lower_ = np.zeros(lp.num_col_), np.zeros(lp.num_col_)
        lp.col_upper_ = np.full(lp.num_col_, INF)
        lp.row_lower_, lp.row_upper_ = np.full(lp.num_row_, -INF), np.full(lp.num_row_, INF)
        highs.passModel(lp)
        self._highs, self._told_spans, self._told_joins = highs, (), ()

    def _tell_steps(self, highs: highspy.Highs, steps: Ints, now: Present) -> bool:
        """Costs, bounds and right-hand sides of some slots, the seam where the present is.

        Returns:
            Whether they make sense; HiGHS may call optimal what was asked with no numbers.
        """
        p = self.program
        f = fill_steps(p, self.numbers, steps)
        at = {int(slot): i for i, slot in enumerate(steps)}
        for slot in now.first:
            i = at.get(slot)
            if i is not None:
                f.row_lower[i, self._entries] = f.row_lower[i, self._links]
                f.row_upper[i, self._entries] = f.row_upper[i, self._links]
                f.row_lower[i, self._links], f.row_upper[i, self._links] = -INF, INF
        loose = [at[slot] for slot in now.loose if slot in at]
        for row in self._reserves:
            f.row_lower[loose, row], f.row_upper[loose, row] = -INF, INF
        for slot in now.idle:
            i = at.get(slot)
            if i is not None:
                f.row_lower[i], f.row_upper[i] = -INF, INF
                f.cost[i] = 0.0
        for s, x in enumerate(self.numbers):
            columns = p.layouts[s].columns
            if "soc" in columns and now.last[-1] in at:
                i = at[now.last[-1]]
                f.cost[i, columns["soc"]] = -x.soc_eur_per_mwh
                f.lower[i, columns["soc"]] = x.soc_end_mwh
        columns_at = (steps[:, None] * p.width + self._columns).ravel().astype(np.int32)
        rows_at = (steps[:, None] * p.height + self._rows).ravel().astype(np.int32)
        highs.changeColsCost(len(columns_at), columns_at, f.cost.ravel())
        highs.changeColsBounds(len(columns_at), columns_at, f.lower.ravel(), f.upper.ravel())
        highs.changeRowsBounds(len(rows_at), rows_at, f.row_lower.ravel(), f.row_upper.ravel())
        return f.sound

    def _tell_rest(self, highs: highspy.Highs, now: Present) -> None:
        """Blocks, peaks, entry states, hand-overs."""
        p = self.program
        cost, lower, upper = fill_spans(p, self.numbers)
        low, high = fill_joins(p, self.numbers)
        for s, x in enumerate(self.numbers):
            for state in p.layouts[s].states:
                column = p.spanning[(s, f"entry {state}", 0)] - self._spans[0]
                level = x.soc_mwh if state == "soc" else x.backlog_gpu_h[int(state[8:])]
                lower[column] = upper[column] = level
                if now.handed >= 0:
                    row = p.joining[(s, f"exit {state}", now.handed)] - self._joins[0]
                    low[row] = high[row] = 0.0
            cut = {*now.last, *now.idle, *now.loose}
            cut |= {int(self.program.horizon.before[slot]) for slot in now.loose}
            for name in ("eve low", "eve high"):
                for slot in cut:
                    row_at = p.joining.get((s, name, slot))
                    if row_at is not None:
                        low[row_at - self._joins[0]], high[row_at - self._joins[0]] = -INF, INF
        if len(self._spans):
            told = (cost, lower, upper)
            if not _same(told, self._told_spans):
                highs.changeColsCost(len(cost), self._spans.astype(np.int32), cost)
                highs.changeColsBounds(len(cost), self._spans.astype(np.int32), lower, upper)
                self._told_spans = told
        if len(self._joins) and not _same((low, high), self._told_joins):
            highs.changeRowsBounds(len(low), self._joins.astype(np.int32), low, high)
            self._told_joins = (low, high)


def _same(one: tuple[Array, ...], other: tuple[Array, ...]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))
