"""A programme over a line of steps, solved once or window after window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import highspy
import numpy as np
import numpy.typing as npt

from gigafactory.planner.memory import large_apart
from gigafactory.planner.numbers import Numbers, fill_line
from gigafactory.planner.program import Program
from gigafactory.planner.shape import Horizon, SiteShape

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """What a programme came to.

    Attributes:
        program: whose columns these are.
        columns: value of every column; its unit is that of what the column stands for.
        objective_eur: value of the objective.
        seconds_s: time the solver took, s.
        iterations: simplex iterations.
    """

    program: Program
    columns: Array
    objective_eur: float
    seconds_s: float
    iterations: int

    def of(self, site: int, name: str) -> Array:
        """A column of a site in every step, [T]."""
        first = self.program.layouts[site].columns[name]
        end = len(self.program.horizon) * self.program.width
        return self.columns[first : end : self.program.width]

    def has(self, site: int, name: str) -> bool:
        """Whether the site has such a column."""
        return name in self.program.layouts[site].columns

    def spanned(self, site: int, name: str) -> Array:
        """A reserve product per block, or the peaks, of a site."""
        keys = [k for k in self.program.spanning if k[:2] == (site, name)]
        return self.columns[[self.program.spanning[k] for k in keys]]


class LineSolver:
    """Solves a programme over a line of steps.

    Args:
        sites: the sites.
        horizon: a line of steps.
        warm: whether a solve starts from the last one's basis. Then its answer may depend, in the
            last digits and among plans of equal cost, on what was solved before.
    """

    def __init__(self, sites: Sequence[SiteShape], horizon: Horizon, warm: bool = False) -> None:
        self.program = Program(sites, horizon)
        self.warm = warm
        self._highs: highspy.Highs | None = None

    def forget(self) -> None:
        """Solve the next one from nothing."""
        self._highs = None

    def solve(self, numbers: list[Numbers]) -> Solution | None:
        """Solve with the numbers given.

        Returns:
            The solution; None where the solver finds no optimal one.
        """
        lp = self.program.lp
        if not fill_line(self.program, numbers):
            self._highs = None
            return None
        if self._highs is None or not self.warm:
            highs = self.start()
        else:
            highs = self._highs
            columns = np.arange(lp.num_col_, dtype=np.int32)
            rows = np.arange(lp.num_row_, dtype=np.int32)
            highs.changeColsCost(lp.num_col_, columns, np.asarray(lp.col_cost_))
            highs.changeColsBounds(
                lp.num_col_, columns, np.asarray(lp.col_lower_), np.asarray(lp.col_upper_)
            )
            highs.changeRowsBounds(
                lp.num_row_, rows, np.asarray(lp.row_lower_), np.asarray(lp.row_upper_)
            )
        found = _run(self.program, highs)
        if found is None:
            self._highs = None
        return found

    def start(self) -> highspy.Highs:
        """Hand the model as it is filled to a new solver."""
        self._highs = silent(presolve=not self.warm)
        self._highs.passModel(self.program.lp)
        return self._highs

    def solve_again(self, cost: Array) -> Solution | None:
        """Solve what was solved last with other costs, of all columns in their order."""
        highs = self._highs
        if highs is None:
            return None
        columns = np.arange(len(cost), dtype=np.int32)
        highs.changeColsCost(len(cost), columns, cost)
        found = _run(self.program, highs)
        if found is None:
            self._highs = None
        return found

    def solve_changed(
        self, columns: npt.NDArray[np.int32], cost: Array, lower: Array, upper: Array
    ) -> Solution | None:
        """Solve what was solved last with other costs and bounds of some columns.

        Args:
            columns: which columns, [C].
            cost: their costs, [C].
            lower: their lower bounds, [C].
            upper: their upper bounds, [C].
        """
        highs = self._highs
        if highs is None:
            return None
        highs.changeColsCost(len(columns), columns, cost)
        highs.changeColsBounds(len(columns), columns, lower, upper)
        found = _run(self.program, highs)
        if found is None:
            self._highs = None
        return found


def solve_once(
    sites: Sequence[SiteShape], horizon: Horizon, numbers: list[Numbers]
) -> Solution | None:
    """Solve a programme that is not needed again; of a whole year it takes less memory so.

    Args:
        sites: the sites.
        horizon: a line of steps.
        numbers: of each site.

    Returns:
        The solution; None where the solver finds no optimal one.
    """
    program = Program(sites, horizon)
    if not fill_line(program, numbers):
        return None
    kept = _drop_fixed(program.lp)
    highs = silent(presolve=True)
    highs.passModel(program.lp)
    program.lp = highspy.HighsLp()
    with large_apart():
        found = _run(program, highs)
    if found is None:
        return None
    columns = np.zeros(len(kept))
    columns[kept] = found.columns
    return replace(found, columns=columns)


def _drop_fixed(lp: highspy.HighsLp) -> npt.NDArray[np.bool_]:
    """Take the columns out of a model that can only be nought; gives those that stay."""
    kept: npt.NDArray[np.bool_] = np.asarray(lp.col_lower_) != 0.0
    kept |= np.asarray(lp.col_upper_) != 0.0
    matrix = lp.a_matrix_
    entries = np.diff(np.asarray(matrix.start_))
    stays = np.repeat(kept, entries)
    matrix.start_ = np.concatenate([[0], np.cumsum(entries[kept])]).astype(np.int32)
    matrix.index_ = np.asarray(matrix.index_)[stays]
    matrix.value_ = np.asarray(matrix.value_)[stays]
    lp.col_cost_ = np.asarray(lp.col_cost_)[kept]
    lp.col_lower_ = np.asarray(lp.col_lower_)[kept]
    lp.col_upper_ = np.asarray(lp.col_upper_)[kept]
    lp.num_col_ = int(kept.sum())
    return kept


def _run(program: Program, highs: highspy.Highs) -> Solution | None:
    before = highs.getRunTime()
    highs.run()
    info = highs.getInfo()
    values = np.asarray(highs.getSolution().col_value)
    objective = float(info.objective_function_value)
    optimal = highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    if not (optimal and math.isfinite(objective) and np.isfinite(values).all()):
        return None
    return Solution(
        program=program,
        columns=values,
        objective_eur=objective,
        seconds_s=highs.getRunTime() - before,
        iterations=info.simplex_iteration_count,
    )


def silent(presolve: bool) -> highspy.Highs:
    """A solver that says nothing: simplex, one thread, a fixed seed."""
    highs = highspy.Highs()
    highs.silent()
    for option, value in (
        ("threads", 1),
        ("presolve", "on" if presolve else "off"),
        ("solver", "simplex"),
        ("random_seed", 0),
    ):
        highs.setOptionValue(option, value)
    return highs
