"""A long programme known in advance, solved through windows whose bases are put together.

The simplex method on a year takes half an hour, since its time grows almost with the square of the
steps. What is far away matters little, though: a window of a few days, opened where the one before
left off, decides its first day almost as the year does. So a long line is solved in three rounds:

1. windows of two days and three days' outlook, each from the basis of the last, shifted in time;
2. stretches between which no peak is shared (months): the windows' bases put together are nearly
   the basis of the stretch, and the simplex method mends the seams and finds the peak's level;
3. the whole, from the stretches' bases, where their plans and prices do not fit yet.

What comes of it is proved (`proof`), whatever way it was found. Where a round finds no plan, or the
proof does not reach, the whole is solved from nothing and the answer says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import highspy
import numpy as np
import numpy.typing as npt

from gigafactory.planner.lean import Lean
from gigafactory.planner.memory import large_apart
from gigafactory.planner.numbers import Numbers, fill_line
from gigafactory.planner.program import Program
from gigafactory.planner.proof import Proof, prove, reaches
from gigafactory.planner.shape import Horizon, SiteShape
from gigafactory.planner.solving import Solution, silent

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Status = npt.NDArray[np.int8]

#: Share of its cost that a plan may be off the best one, proved: below the first nothing more is
#: done, above the second the plan is not taken.
ENOUGH, TAKEN = 1e-9, 1e-6
#: How far a peak is moved at first, as a share of the most it can be.
FIRST_MOVE = 0.02
#: Moves of the peaks before a stretch is given up.
MOVES = 60

_STATUS = (
    highspy.HighsBasisStatus.kLower,
    highspy.HighsBasisStatus.kBasic,
    highspy.HighsBasisStatus.kUpper,
    highspy.HighsBasisStatus.kZero,
    highspy.HighsBasisStatus.kNonbasic,
)
_UNKNOWN, _LOWER, _BASIC, _UPPER = -1, 0, 1, 2
_NO_COLUMNS = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Cut:
    """How a line is cut.

    Attributes:
        stride_h: hours a window decides, h.
        ahead_h: hours it looks further, h.
        stretch_h: least length of a stretch, h.
    """

    stride_h: float = 48.0
    ahead_h: float = 72.0
    stretch_h: float = 28.0 * 24.0


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """A plan of a long line and what is known about it.

    Attributes:
        solution: the plan.
        proof: how far it is from the best at most.
        method: "stretches" or "whole" by the round that gave it, "at once" where the programme was
            solved from nothing.
        reason: why that was so; empty where it was the shortest way.
    """

    solution: Solution
    proof: Proof
    method: str
    reason: str = ""


def solve_whole(
    sites: Sequence[SiteShape],
    horizon: Horizon,
    numbers: list[Numbers],
    cut: Cut | None = None,
) -> Whole | None:
    """Solve a programme over a long line and prove the answer.

    Args:
        sites: the sites.
        horizon: a line of steps.
        numbers: of each site.
        cut: how the line is cut; matters to the time taken, not to what is found.

    Returns:
        The plan; None where there is none.
    """
    program = Program(sites, horizon)
    if not fill_line(program, numbers):
        return None
    with large_apart():
        lean = Lean(program)
        program.lp = highspy.HighsLp()
        return _Stitching(lean, numbers, cut or Cut()).solve()


class _Unsolved(Exception):  # noqa: N818 (it is no error)
    """A part of the way found no plan; says which."""


class _Stitching:
    """The plan, prices and basis of the whole as they come together."""

    def __init__(self, lean: Lean, numbers: list[Numbers], cut: Cut) -> None:
        self.lean, self.numbers, self.cut = lean, numbers, cut
        self.ends_h = np.cumsum(lean.program.horizon.hours)
        columns, rows = len(lean.cost), len(lean.row_lower)
        self.x, self.y = np.zeros(columns), np.zeros(rows)
        self.column_status = np.full(columns, _UNKNOWN, np.int8)
        self.row_status = np.full(rows, _UNKNOWN, np.int8)
        self.worth = np.zeros(int(lean.row_kind.max(initial=0)) + 1)
        self.column_at = _table(lean.first_column, lean.column_kind)
        self.row_at = _table(lean.first_row, lean.row_kind)
        self.least = lean.lower[lean.peaks]
        self.most = np.maximum(reaches(lean, numbers)[lean.peaks], self.least)
        self.x[lean.peaks] = self.most
        self.iterations, self.seconds_s = 0, 0.0

    def solve(self) -> Whole | None:
        """All rounds, as far as they are needed."""
        shortest_h = 2.0 * (self.cut.stride_h + self.cut.ahead_h)
        if len(self.ends_h) == 0 or self.ends_h[-1] <= shortest_h:
            return self._at_once("")
        try:
            for begin, end in self._stretches():
                self._roll(begin, end)
                self._mend(begin, end)
            proof = self._prove()
            if proof.gap_share <= ENOUGH:
                return self._whole(proof, "stretches")
            self._mend_all()
        except _Unsolved as why:
            return self._at_once(str(why))
        proof = self._prove()
        if proof.gap_share <= TAKEN:
            return self._whole(proof, "whole")
        return self._at_once(f"a gap of {proof.gap_share:.1e} was left")

    def _prove(self) -> Proof:
        return prove(self.lean, self.numbers, self.x, self.y)

    def _whole(self, proof: Proof, method: str, reason: str = "") -> Whole:
        x = np.clip(self.x, self.lean.lower, self.lean.upper)
        solution = Solution(
            program=self.lean.program,
            columns=self.lean.whole(x),
            objective_eur=proof.objective_eur,
            seconds_s=self.seconds_s,
            iterations=self.iterations,
        )
        return Whole(solution, proof, method, reason)

    def _at_once(self, reason: str) -> Whole | None:
        """The whole from nothing."""
        highs = silent(presolve=True)
        highs.passModel(self.lean.model())
        try:
            self._run(highs, "the whole")
        except _Unsolved:
            return None
        self._keep(highs, np.arange(len(self.x)), slice(0, len(self.y)))
        return self._whole(self._prove(), "at once", reason)

    # --- rounds ---------------------------------------------------------------------------

    def _stretches(self) -> list[tuple[int, int]]:
        """Stretches of the least length or more, so that no peak is shared by two of them."""
        horizon, n = self.lean.program.horizon, len(self.ends_h)
        shared = np.zeros(n + 1, np.int64)
        if any(shape.peaks for shape in self.lean.program.sites):
            for k in range(horizon.peaks):
                at = np.flatnonzero((horizon.peak == k).any(axis=1))
                if len(at):
                    shared[at[0] + 1] += 1
                    shared[at[-1] + 1] -= 1
        free = np.flatnonzero(np.cumsum(shared)[:n] == 0)
        cuts, begin = [0], 0
        while True:
            later = free[free >= self._after(begin, self.cut.stretch_h)]
            if not len(later):
                break
            begin = int(later[0])
            cuts.append(begin)
        # what is left at the end is too short to stand alone
        if len(cuts) > 1 and self.ends_h[-1] - self.ends_h[cuts[-1] - 1] < self.cut.stretch_h / 4.0:
            cuts.pop()
        return list(zip(cuts, [*cuts[1:], n], strict=True))

    def _after(self, step: int, hours: float) -> int:
        """The step that begins so many hours after another, or the number of steps."""
        begins = float(self.ends_h[step - 1]) if step else 0.0
        return max(int(np.searchsorted(self.ends_h, begins + hours - 1e-9)) + 1, step + 1)

    def _roll(self, begin: int, end: int) -> None:
        """Windows over a stretch, each from the state and the basis of the one before."""
        n, shift = len(self.ends_h), 0
        while begin < end:
            until = min(self._after(begin, self.cut.stride_h + self.cut.ahead_h), n)
            columns, rows, highs = self._open(begin, until, _NO_COLUMNS, shift)
            self._run(highs, f"the window from step {begin}")
            self._keep(highs, columns, rows)
            count = np.bincount(self.lean.row_kind[rows], minlength=len(self.worth))
            total = np.bincount(self.lean.row_kind[rows], self.y[rows], len(self.worth))
            self.worth = total / np.maximum(count, 1)
            if until == n:
                return
            after = self._after(begin, self.cut.stride_h)
            begin, shift = after, after - begin

    def _mend(self, begin: int, end: int) -> None:
        """Put the windows of a stretch together, and find the level of its peaks."""
        horizon, peaks = self.lean.program.horizon, self.lean.peaks
        keys = [(s, k) for s, name, k in self.lean.program.spanning if name == "peak"]
        inside = set(horizon.peak[begin:end].ravel().tolist())
        mine = np.array([k in inside for _, k in keys], np.bool_)
        until = min(self._after(end - 1, self.cut.ahead_h), len(self.ends_h))
        columns, rows, highs = self._open(begin, until, peaks[mine], 0)
        first = len(columns) - int(mine.sum())
        self._settle(highs, first, np.flatnonzero(mine), 0.0, f"the stretch from step {begin}")
        self._keep(highs, columns, rows)
        if not all(x.may_exceed for x in self.numbers):
            return  # too low a level could leave the next windows without any plan
        # what is not known of the next peaks is best taken from these
        for i in np.flatnonzero(mine):
            later = np.array([s == keys[i][0] and k > max(inside) for s, k in keys], np.bool_)
            level = self.x[peaks[i]]
            self.x[peaks[later]] = np.clip(level, self.least[later], self.most[later])

    def _mend_all(self) -> None:
        """Put the stretches together."""
        columns, rows = np.arange(len(self.x)), slice(0, len(self.y))
        highs = silent(presolve=False)
        highs.passModel(self.lean.model())
        self._start(highs, columns, rows, 0)
        first = int(self.lean.first_column[-1])
        self._settle(highs, first, np.arange(len(self.lean.peaks)), FIRST_MOVE / 10.0, "the whole")
        self._keep(highs, columns, rows)

    def _settle(
        self, highs: highspy.Highs, first: int, peaks: Ints, slack: float, what: str
    ) -> None:
        """Find the level of peaks by moving them, each no further than is worth its while.

        With every peak held between two levels the dual simplex method goes on from where it is:
        a peak goes to the level its price asks for, and comes back as far as the rest allows.

        Args:
            highs: holds the model and a basis.
            first: column of the first of the peaks in it.
            peaks: which peaks they are, [P].
            slack: how far either way they may move at first, as a share of the most.
            what: what is solved.
        """
        columns = np.arange(first, first + len(peaks), dtype=np.int32)
        least, most = self.least[peaks], self.most[peaks]
        level = self.x[self.lean.peaks[peaks]]
        move = FIRST_MOVE * np.maximum(most, 1e-6)
        low = np.maximum(level - slack * most, least)
        high = np.minimum(level + slack * most, most)
        for _ in range(MOVES):
            highs.changeColsBounds(len(columns), columns, low, high)
            self._run(highs, what)
            found, basis = highs.getSolution(), highs.getBasis().col_status
            level = np.asarray(found.col_value)[columns]
            price = np.asarray(found.col_dual)[columns]
            basic = np.array([basis[c] == _STATUS[_BASIC] for c in columns], np.bool_)
            up = ~basic & (price < -1e-7) & (level < most)
            down = ~basic & (price > 1e-7) & (level > least)
            if not (up | down).any():
                return
            low = np.where(down, np.maximum(level - move, least), np.where(up, level, low))
            high = np.where(up, np.minimum(level + move, most), np.where(down, level, high))
            move = np.where(up | down, 2.0 * move, move)
        raise _Unsolved(f"{what}: the peaks do not settle")

    # --- the solver -----------------------------------------------------------------------

    def _open(
        self, begin: int, end: int, free: Ints, shift: int
    ) -> tuple[Ints, slice, highspy.Highs]:
        """A solver that holds a stretch of steps and what is known of its basis."""
        model, columns, rows = self.lean.window(begin, end, free, self.x, self.worth)
        known = bool((self.row_status[rows] != _UNKNOWN).any())
        highs = silent(presolve=not known)
        highs.passModel(model)
        if known:
            self._start(highs, columns, rows, shift)
        return columns, rows, highs

    def _start(self, highs: highspy.Highs, columns: Ints, rows: slice, shift: int) -> None:
        """Begin from the basis of these columns and rows; what is new is as it was a shift ago."""
        number = np.arange(rows.start, rows.stop)
        basis = highspy.HighsBasis()
        basis.col_status = _seen(
            self.column_status, columns, self.column_at, self.lean.column_kind, shift, _LOWER
        )
        basis.row_status = _seen(
            self.row_status, number, self.row_at, self.lean.row_kind, shift, _BASIC
        )
        # a basis put together from parts may have a column too many or too few
        basis.valid = basis.alien = True
        highs.setBasis(basis)

    def _run(self, highs: highspy.Highs, what: str) -> None:
        before = highs.getRunTime()
        highs.run()
        self.seconds_s += highs.getRunTime() - before
        self.iterations += max(highs.getInfo().simplex_iteration_count, 0)
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise _Unsolved(f"{what} has no plan")

    def _keep(self, highs: highspy.Highs, columns: Ints, rows: slice) -> None:
        found, basis = highs.getSolution(), highs.getBasis()
        self.x[columns] = np.asarray(found.col_value)
        self.y[rows] = np.asarray(found.row_dual)
        self.column_status[columns] = [int(status) for status in basis.col_status]
        self.row_status[rows] = [int(status) for status in basis.row_status]


def _table(first: Ints, kind: Ints) -> tuple[Ints, npt.NDArray[np.int32]]:
    """Step of each column (or row), and which one of a kind stands in a step, -1 for none."""
    steps = len(first) - 1
    count = int(first[-1])
    step = np.repeat(np.arange(steps), np.diff(first))
    at = np.full((steps, int(kind.max(initial=0)) + 1), -1, np.int32)
    at[step, kind[:count]] = np.arange(count, dtype=np.int32)
    return step, at


def _seen(
    status: Status,
    number: Ints,
    table: tuple[Ints, npt.NDArray[np.int32]],
    kind: Ints,
    shift: int,
    otherwise: int,
) -> list[highspy.HighsBasisStatus]:
    """Statuses of columns (or rows); of what is new, those of its kind a shift ago."""
    step, at = table
    out = status[number]
    new = np.flatnonzero((out == _UNKNOWN) & (number < len(step)))
    before = step[number[new]] - shift
    source = np.where(before >= 0, at[np.maximum(before, 0), kind[number[new]]], -1)
    out[new] = np.where(source >= 0, status[np.maximum(source, 0)], _UNKNOWN)
    out[out == _UNKNOWN] = otherwise
    return [_STATUS[s] for s in out.tolist()]
