"""A filled programme without what can be read off, ordered by time, and windows cut from it.

Two things leave the model, neither of which changes what it allows:

- columns whose bounds are both nought;
- segments of speed in steps in which work may not be slowed: their row says that a segment is its
  width times the accelerators that run, so the accelerators carry its entries.

What is left stands in the order of time: the columns of a step, those of a reserve block with its
first step, and peaks at the end; the rows of a step, and with it those that tie a block which
begins in it to the energy left before. So a stretch of steps is a stretch of columns and of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
import numpy.typing as npt

from gigafactory.planner.program import INF, Program, sold

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Index = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Some rows of a matrix, row by row.

    Attributes:
        start: where each row begins, and where the last ends, [R + 1].
        index: column of each entry, [E].
        value: each entry, [E].
    """

    start: Ints
    index: Index
    value: Array

    def of(self, first: int, end: int) -> Rows:
        """A stretch of them."""
        at = slice(int(self.start[first]), int(self.start[end]))
        start = self.start[first : end + 1] - self.start[first]
        return Rows(start, self.index[at], self.value[at])

    @property
    def row(self) -> Ints:
        """Row of each entry, [E]."""
        return np.repeat(np.arange(len(self.start) - 1, dtype=np.int64), np.diff(self.start))

    def times(self, x: Array) -> Array:
        """Value of each row at a point, [R]."""
        return _sums(self.row, self.value * x[self.index], len(self.start) - 1)

    def priced(self, y: Array, columns: int) -> Array:
        """What a unit of each column takes of the rows, at a price per row, [columns]."""
        return _sums(self.index, self.value * np.repeat(y, np.diff(self.start)), columns)


class Lean:
    """A programme over a line of steps, filled (`fill_line`); its model is not needed after this.

    Args:
        program: the programme.

    Attributes:
        program: as given.
        rows: the matrix.
        cost: of each column.
        lower: its lower bound.
        upper: its upper bound.
        row_lower: lower bound of each row.
        row_upper: upper bound of each row.
        column: number of each column in the programme.
        row: number of each row in the programme.
        first_column: first column of each step, and of the peaks behind the last, [T + 1].
        first_row: first row of each step, and the number of rows, [T + 1].
        column_kind: what a column is, whatever its step.
        row_kind: what a row is, whatever its step.
    """

    def __init__(self, program: Program) -> None:
        self.program, lp = program, program.lp
        lower, upper = np.asarray(lp.col_lower_), np.asarray(lp.col_upper_)
        row_lower, row_upper = np.asarray(lp.row_lower_), np.asarray(lp.row_upper_)
        self._tied = self._find_tied(row_lower, row_upper)
        tied_column, _, tied_row, _ = self._tied
        stays = (lower != 0.0) | (upper != 0.0)
        stays[tied_column] = False
        holds = (row_lower > -INF) | (row_upper < INF)
        holds[tied_row] = False
        step, self.column, self.column_kind = self._by_time(self._column_place(), stays)
        self.first_column = np.searchsorted(step, np.arange(len(program.horizon) + 1))
        step, self.row, self.row_kind = self._by_time(self._row_place(), holds)
        self.first_row = np.searchsorted(step, np.arange(len(program.horizon) + 1))
        self.cost, self.rows = self._tie(np.asarray(lp.col_cost_))
        self.lower, self.upper = lower[self.column], upper[self.column]
        self.row_lower, self.row_upper = row_lower[self.row], row_upper[self.row]

    def _find_tied(self, row_lower: Array, row_upper: Array) -> tuple[Ints, Ints, Ints, Array]:
        """Segments that are a multiple of the accelerators: their column, whose, row and width."""
        p, steps = self.program, np.arange(len(self.program.horizon), dtype=np.int64)
        column, whose, row, width = [steps[:0]], [steps[:0]], [steps[:0]], [np.zeros(0)]
        for s, shape in enumerate(p.sites):
            for g, group in enumerate(shape.groups):
                for k, (wide, _) in enumerate(group.segments):
                    rows = p.row(s, f"seg.{g}.{k}", steps)
                    at = np.flatnonzero((row_lower[rows] == 0.0) & (row_upper[rows] == 0.0))
                    column.append(p.column(s, f"seg.{g}.{k}", at))
                    whose.append(p.column(s, f"n.{g}", at))
                    row.append(rows[at])
                    width.append(np.full(len(at), wide))
        return tuple(np.concatenate(some) for some in (column, whose, row, width))  # type: ignore[return-value]

    def _column_place(self) -> tuple[Ints, Ints]:
        """Step and kind of every column of the programme."""
        p, n = self.program, len(self.program.horizon)
        step = np.repeat(np.arange(n), p.width).astype(np.int64)
        kind = np.tile(np.arange(p.width), n).astype(np.int64)
        blocks = p.horizon.block
        begins = {int(b): t for t, b in reversed(list(enumerate(blocks.tolist())))}
        products = [(s, way) for s, shape in enumerate(p.sites) for way in sold(shape)]
        some_step, some_kind = [], []
        for s, name, k in p.spanning:
            spans = (s, name) in products
            some_step.append(begins.get(k, 0) if spans else n)
            some_kind.append(p.width + (products.index((s, name)) if spans else len(products)))
        return (
            np.concatenate([step, np.array(some_step, np.int64)]),
            np.concatenate([kind, np.array(some_kind, np.int64)]),
        )

    def _row_place(self) -> tuple[Ints, Ints]:
        """Step and kind of every row of the programme."""
        p, n = self.program, len(self.program.horizon)
        step = np.repeat(np.arange(n), p.height).astype(np.int64)
        kind = np.tile(np.arange(p.height), n).astype(np.int64)
        names = sorted({(s, name) for s, name, _ in p.joining})
        eve = np.array([t + 1 for _, _, t in p.joining], np.int64)
        what = np.array([p.height + names.index((s, name)) for s, name, _ in p.joining], np.int64)
        return np.concatenate([step, eve]), np.concatenate([kind, what])

    @staticmethod
    def _by_time(place: tuple[Ints, Ints], stays: npt.NDArray[np.bool_]) -> tuple[Ints, Ints, Ints]:
        """Step, number and kind of what stays, in the order of steps and kinds."""
        step, kind = place
        number = np.flatnonzero(stays)
        order = number[np.lexsort((number, kind[number], step[number]))]
        return step[order], order, kind[order]

    def _tie(self, cost: Array) -> tuple[Array, Rows]:
        """Costs and matrix with the tied segments in the columns that carry them."""
        lp = self.program.lp
        tied, whose, _, width = self._tied
        target, factor = np.arange(lp.num_col_), np.ones(lp.num_col_)
        target[tied], factor[tied] = whose, width
        cost = _sums(target, cost * factor, lp.num_col_)[self.column]
        column_of = np.full(lp.num_col_, -1, np.int32)
        column_of[self.column] = np.arange(len(self.column), dtype=np.int32)
        row_of = np.full(lp.num_row_, -1, np.int32)
        row_of[self.row] = np.arange(len(self.row), dtype=np.int32)
        entries = np.diff(np.asarray(lp.a_matrix_.start_))
        column = np.repeat(column_of[target], entries)
        row = row_of[np.asarray(lp.a_matrix_.index_)]
        value = np.asarray(lp.a_matrix_.value_) * np.repeat(factor, entries)
        some = (column >= 0) & (row >= 0)
        place = row[some].astype(np.int64) * len(self.column) + column[some]
        order = np.argsort(place)
        place, value = place[order], value[some][order]
        begins = np.flatnonzero(np.diff(place, prepend=-1))
        value, place = np.add.reduceat(value, begins) if len(begins) else value, place[begins]
        row, column = np.divmod(place, len(self.column))
        start = np.searchsorted(row, np.arange(len(self.row) + 1))
        return cost, Rows(start, column.astype(np.int32), value)

    def __len__(self) -> int:
        return len(self.program.horizon)

    @property
    def peaks(self) -> Ints:
        """The columns of peaks, [K]."""
        return np.arange(self.first_column[-1], len(self.cost), dtype=np.int64)

    def whole(self, x: Array) -> Array:
        """Values of all columns of the programme."""
        tied, whose, _, width = self._tied
        out = np.zeros(len(self.program.horizon) * self.program.width + len(self.program.spanning))
        out[self.column] = x
        out[tied] = out[whose] * width
        return out

    def model(self) -> highspy.HighsLp:
        """All of it for a solver."""
        return _model(
            self.rows, self.cost, (self.lower, self.upper), (self.row_lower, self.row_upper)
        )

    def window(
        self, begin: int, end: int, free: Ints, x: Array, worth: Array
    ) -> tuple[highspy.HighsLp, Ints, slice]:
        """A stretch of steps for a solver; what came before stays as it is.

        Args:
            begin: first step.
            end: the step after its last.
            free: peaks it is to decide, behind its own columns; others stay as they are.
            x: values of all columns; only those before the stretch and of peaks are read.
            worth: price of a unit of a row by its kind: what is left is worth what it saves there.

        Returns:
            The model, its columns and its rows.
        """
        c0, c1 = int(self.first_column[begin]), int(self.first_column[end])
        r0, r1 = int(self.first_row[begin]), int(self.first_row[end])
        columns = np.concatenate([np.arange(c0, c1, dtype=np.int64), free])
        rows = self.rows.of(r0, r1)
        place = rows.index.astype(np.int64) - c0
        known = (place < 0) | (place >= c1 - c0)
        for i, peak in enumerate(free.tolist()):
            mine = rows.index == peak
            place[mine], known[mine] = c1 - c0 + i, False
        row, off = rows.row, rows.index[known]
        fixed = _sums(row[known], rows.value[known] * x[off], r1 - r0)
        stay = ~known
        start = np.searchsorted(row[stay], np.arange(r1 - r0 + 1))
        inside = Rows(start, place[stay].astype(np.int32), rows.value[stay])
        cost = self.cost[columns]
        if end < len(self):
            r2 = int(self.first_row[end + 1])
            after = self.rows.of(r1, r2)
            mine = (after.index >= c0) & (after.index < c1)
            price = worth[self.row_kind[r1:r2]][after.row[mine]]
            np.subtract.at(cost, after.index[mine] - c0, after.value[mine] * price)
        held = self.row_lower[r0:r1] - fixed, self.row_upper[r0:r1] - fixed
        bounds = self.lower[columns], self.upper[columns]
        return _model(inside, cost, bounds, held), columns, slice(r0, r1)


def _sums(place: Ints | Index, value: Array, count: int) -> Array:
    """Sum of the values at each place."""
    return np.asarray(np.bincount(place, value, count), np.float64)


def _model(
    rows: Rows, cost: Array, bounds: tuple[Array, Array], held: tuple[Array, Array]
) -> highspy.HighsLp:
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(cost), len(held[0])
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = rows.start.astype(np.int32)
    lp.a_matrix_.index_ = rows.index
    lp.a_matrix_.value_ = rows.value
    lp.col_cost_ = cost
    lp.col_lower_, lp.col_upper_ = bounds
    lp.row_lower_, lp.row_upper_ = held
    return lp
