"""The linear programme of one or several sites: its columns, its rows and its matrix.

The matrix is built once per horizon; from window to window only costs, bounds and right-hand sides
change (`numbers`). A step has the same columns and rows at every time, site after site; behind all
steps come the columns that span several: reserve blocks, monthly peaks, entry states of rings.

A state (energy in a battery, backlog of a class) has a link row per step: state - state before -
what was added = 0. On a ring it has an entry row too, with the entry column in the place of the
state before, and one of the two is held while the other is free: so the present moves on without a
change of the matrix, and what the solver has learnt stays valid.
"""

from __future__ import annotations

from collections.abc import Sequence

import highspy
import numpy as np
import numpy.typing as npt

from gigafactory.planner.shape import GroupShape, Horizon, SiteShape

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

INF = float(highspy.kHighsInf)


def group_columns(g: int, shape: GroupShape) -> list[str]:
    """Columns of a class in a step: accelerators, one per segment of speed, backlog."""
    return [f"n.{g}", *(f"seg.{g}.{k}" for k in range(len(shape.speed) - 1)), f"backlog.{g}"]


class Layout:
    """Where the columns and rows of a site stand within a step.

    Args:
        shape: the site.
        column: first column of the site within a step.
        row: first row of the site within a step.
        ringed: whether states have entry rows.
        peaks: peak rows per step.

    Attributes:
        columns: offset of each column within a step, by name.
        rows: offset of each row within a step, by name.
        states: names of the columns that a step hands to the next.
    """

    def __init__(self, shape: SiteShape, column: int, row: int, ringed: bool, peaks: int) -> None:
        names = ["import", "export", "beyond"]
        rows = ["balance"]
        if shape.shares and shape.groups:
            rows += ["capacity"]
        self.states: list[str] = []
        reserves = shape.reserves
        if shape.battery_mw > 0:
            names += ["charge", "discharge", "soc"]
            rows += ["inverter"]
            self.states.append("soc")
            if reserves is not None and reserves.battery_afrr:
                names += [f"battery.{way}" for way in sold(shape) if way != "fcr"]
            if reserves is not None and (reserves.fcr or reserves.battery_afrr):
                rows += ["battery up", "battery down", "reservoir low", "reservoir high"]
        if shape.intraday:
            names += ["buy", "sell"]
            rows += ["market"]
        names += [f"contract.{k}" for k in range(shape.contracts)]
        names += [f"generator.{k}" for k in range(shape.generators)]
        for g, group in enumerate(shape.groups):
            names += group_columns(g, group)
            rows += [f"seg.{g}.{k}" for k in range(len(group.speed) - 1)]
            self.states.append(f"backlog.{g}")
            if group.moves:
                names += [f"in.{g}", f"out.{g}"]
        if reserves is not None:
            rows += ["import room", "export room"]
            rows += [f"load {way}" for way in sold(shape) if way != "fcr"]
        rows += [f"link {state}" for state in self.states]
        if ringed:
            rows += [f"entry {state}" for state in self.states]
        if shape.peaks:
            rows += [f"peak.{k}" for k in range(peaks)]
        self.columns = {name: column + i for i, name in enumerate(names)}
        self.rows = {name: row + i for i, name in enumerate(rows)}


def sold(shape: SiteShape) -> list[str]:
    """The reserve products a site sells, of "fcr", "up" and "down"."""
    r = shape.reserves
    if r is None:
        return []
    fcr = r.fcr and shape.battery_mw > 0
    return [name for name, on in (("fcr", fcr), ("up", r.afrr_up), ("down", r.afrr_down)) if on]


class Program:
    """The matrix of a programme, and where its columns and rows stand.

    Args:
        sites: the sites; those of one programme may move work between them.
        horizon: the steps.

    Attributes:
        width: columns of a step.
        height: rows of a step.
        layouts: of each site.
        lp: the model; costs, bounds and right-hand sides are nought until filled.
    """

    def __init__(self, sites: Sequence[SiteShape], horizon: Horizon) -> None:
        self.sites, self.horizon = tuple(sites), horizon
        self.layouts: list[Layout] = []
        column = row = 0
        for shape in self.sites:
            layout = Layout(shape, column, row, horizon.rings > 0, horizon.peak.shape[1])
            column, row = column + len(layout.columns), row + len(layout.rows)
            self.layouts.append(layout)
        #: a row per class whose work moves: what leaves all sites arrives at all sites
        self.moving = moving(self.sites)
        self._move_row = {g: row + i for i, g in enumerate(self.moving)}
        self.width, self.height = column, row + len(self.moving)
        steps = len(horizon)
        self.spanning: dict[tuple[int, str, int], int] = {}
        self.joining: dict[tuple[int, str, int], int] = {}
        for s, shape in enumerate(self.sites):
            for key in self._span_names(shape, self.layouts[s]):
                self.spanning[(s, *key)] = steps * self.width + len(self.spanning)
            for key in self._join_names(shape, self.layouts[s]):
                self.joining[(s, *key)] = steps * self.height + len(self.joining)
        self._rows: list[Ints] = []
        self._cols: list[Ints] = []
        self._vals: list[Array] = []
        self.lp = self._matrix()

    # --- names ----------------------------------------------------------------------------

    def _span_names(self, shape: SiteShape, layout: Layout) -> list[tuple[str, int]]:
        """Columns of a site behind the steps."""
        h = self.horizon
        names = [(name, b) for name in sold(shape) for b in range(h.blocks)]
        names += [("peak", k) for k in range(h.peaks if shape.peaks else 0)]
        names += [(f"entry {state}", r) for r in range(h.rings) for state in layout.states]
        return names

    def _join_names(self, shape: SiteShape, layout: Layout) -> list[tuple[str, int]]:
        """Rows of a site behind the steps: hand-overs between rings, energy when a block begins."""
        names = [(f"exit {state}", int(t)) for state in layout.states for t in self.horizon.exits]
        if "fcr" in sold(shape):
            for t in self.eves():
                names += [("eve low", int(t)), ("eve high", int(t))]
        return names

    def eves(self) -> Ints:
        """Steps after which another reserve block begins: its energy has to be there by then."""
        h = self.horizon
        after = np.flatnonzero(h.before >= 0)
        eve = h.before[after]
        begins = (h.block[after] >= 0) & (h.block[after] != h.block[eve])
        return np.sort(eve[begins])

    def column(self, site: int, name: str, step: int | Ints) -> Ints:
        """Column of a name in a step or steps."""
        return np.asarray(step, np.int64) * self.width + self.layouts[site].columns[name]

    def row(self, site: int, name: str, step: int | Ints) -> Ints:
        """Row of a name in a step or steps."""
        return np.asarray(step, np.int64) * self.height + self.layouts[site].rows[name]

    # --- matrix ---------------------------------------------------------------------------

    def _put(self, rows: Ints, columns: Ints, values: npt.ArrayLike) -> None:
        keep = np.broadcast_to(np.asarray(values, np.float64), rows.shape)
        some = keep != 0.0
        self._rows.append(rows[some])
        self._cols.append(np.broadcast_to(columns, rows.shape)[some])
        self._vals.append(keep[some])

    def _own(self, s: int, row: str, column: str, value: npt.ArrayLike) -> None:
        """An entry in every step, of a row and a column of that step."""
        at = np.arange(len(self.horizon), dtype=np.int64)
        self._put(self.row(s, row, at), self.column(s, column, at), value)

    def _block(self, s: int, row: str, product: str, value: float) -> None:
        """An entry in every step that lies in a block, of a row and the block's column."""
        at = np.flatnonzero(self.horizon.block >= 0)
        first = self.spanning.get((s, product, 0))
        if first is not None:
            self._put(self.row(s, row, at), first + self.horizon.block[at], value)

    def _state(self, s: int, state: str, terms: Sequence[tuple[str, Array]]) -> None:
        """Link row (and entry row on a ring) of a state: state - before + terms = 0."""
        h = self.horizon
        after = np.flatnonzero(h.before >= 0)
        self._put(self.row(s, f"link {state}", after), self.column(s, state, h.before[after]), -1.0)
        kinds = ["link"] if h.rings == 0 else ["link", "entry"]
        for kind in kinds:
            self._own(s, f"{kind} {state}", state, 1.0)
            for column, value in terms:
                self._own(s, f"{kind} {state}", column, value)
        for r in range(h.rings):
            at = np.flatnonzero(h.ring == r)
            entry = self.spanning[(s, f"entry {state}", r)]
            self._put(self.row(s, f"entry {state}", at), np.full(len(at), entry), -1.0)
        for t in h.exits.tolist():
            rows = np.full(2, self.joining[(s, f"exit {state}", t)])
            handed = self.spanning[(s, f"entry {state}", 1)]
            own = int(self.column(s, state, t))
            self._put(rows, np.array([own, handed], np.int64), np.array([1.0, -1.0]))

    def _matrix(self) -> highspy.HighsLp:
        for s, shape in enumerate(self.sites):
            self._power(s, shape)
            self._work(s, shape)
            if shape.battery_mw > 0:
                self._battery(s, shape)
            if shape.reserves is not None:
                self._reserves(s, shape)
            if shape.peaks:
                at = np.arange(len(self.horizon), dtype=np.int64)
                first = self.spanning[(s, "peak", 0)]
                for k in range(self.horizon.peak.shape[1]):
                    self._own(s, f"peak.{k}", "import", 1.0)
                    self._put(self.row(s, f"peak.{k}", at), first + self.horizon.peak[:, k], -1.0)
        rows, cols = np.concatenate(self._rows), np.concatenate(self._cols)
        vals = np.concatenate(self._vals)
        order = np.lexsort((rows, cols))
        lp = highspy.HighsLp()
        lp.num_col_ = len(self.horizon) * self.width + len(self.spanning)
        lp.num_row_ = len(self.horizon) * self.height + len(self.joining)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        starts = np.searchsorted(cols[order], np.arange(lp.num_col_ + 1))
        lp.a_matrix_.start_ = starts.astype(np.int32)
        lp.a_matrix_.index_ = rows[order].astype(np.int32)
        lp.a_matrix_.value_ = vals[order]
        self._rows, self._cols, self._vals = [], [], []
        return lp

    def _power(self, s: int, shape: SiteShape) -> None:
        self._own(s, "balance", "import", 1.0)
        self._own(s, "balance", "export", -1.0)
        self._own(s, "balance", "beyond", 1.0)
        for k in range(shape.generators):
            self._own(s, "balance", f"generator.{k}", 1.0)
        for column, active_mw, _ in self._active(shape):
            self._own(s, "balance", column, -shape.site_per_it * active_mw)
        if shape.intraday:
            for column, sign in (("import", 1.0), ("export", -1.0), ("buy", -1.0), ("sell", 1.0)):
                self._own(s, "market", column, sign)
            for k in range(shape.contracts):
                self._own(s, "market", f"contract.{k}", -1.0)

    def _active(self, shape: SiteShape) -> list[tuple[str, float, int]]:
        """Columns that draw power for work: name, MW of IT per unit, class."""
        out = []
        for g, group in enumerate(shape.groups):
            out.append((f"n.{g}", group.active_w[0] / 1e6, g))
            for k, (_, slope_w) in enumerate(group.segments):
                out.append((f"seg.{g}.{k}", slope_w / 1e6, g))
        return out

    def _work(self, s: int, shape: SiteShape) -> None:
        h = self.horizon.hours
        for g, group in enumerate(shape.groups):
            if shape.shares:
                self._own(s, "capacity", f"n.{g}", 1.0)
            terms = [(f"n.{g}", group.speed[0] * h)]
            for k, (width, _) in enumerate(group.segments):
                self._own(s, f"seg.{g}.{k}", f"seg.{g}.{k}", 1.0)
                self._own(s, f"seg.{g}.{k}", f"n.{g}", -width)
                terms.append((f"seg.{g}.{k}", h))
            if group.moves:
                terms += [(f"in.{g}", -h), (f"out.{g}", h)]
            if g in self._move_row:
                at = np.arange(len(self.horizon), dtype=np.int64)
                rows = at * self.height + self._move_row[g]
                self._put(rows, self.column(s, f"in.{g}", at), 1.0)
                self._put(rows, self.column(s, f"out.{g}", at), -1.0)
            self._state(s, f"backlog.{g}", terms)

    def move_rows(self, steps: Ints) -> list[Ints]:
        """Rows that say that moved work arrives somewhere, per moving class."""
        return [steps * self.height + self._move_row[g] for g in self.moving]

    def _battery(self, s: int, shape: SiteShape) -> None:
        h = self.horizon.hours
        self._own(s, "balance", "charge", -1.0)
        self._own(s, "balance", "discharge", 1.0)
        self._own(s, "inverter", "charge", 1.0 / shape.battery_mw)
        self._own(s, "inverter", "discharge", 1.0 / shape.battery_mw)
        flows = [
            ("charge", -h * shape.charge_efficiency),
            ("discharge", h / shape.discharge_efficiency),
        ]
        self._state(s, "soc", flows)

    def _reserves(self, s: int, shape: SiteShape) -> None:
        """Rooms that reserves need: in inverter, stored energy, cable and load.

        Up is less import: discharge more, charge less, draw less. What is promised is held beside
        the schedule in every step of its block, and its energy at the end of every step.
        """
        r = shape.reserves
        assert r is not None
        for row, sign, way in (("import room", 1.0, "down"), ("export room", -1.0, "up")):
            self._own(s, row, "import", sign)
            self._own(s, row, "export", -sign)
            self._block(s, row, "fcr", 1.0)
            self._block(s, row, way, 1.0)
        products = sold(shape)
        carried = [w for w in ("up", "down") if w in products and r.battery_afrr]
        if "battery up" in self.layouts[s].rows:
            for way, sign in (("up", 1.0), ("down", -1.0)):
                self._own(s, f"battery {way}", "discharge", sign)
                self._own(s, f"battery {way}", "charge", -sign)
                self._block(s, f"battery {way}", "fcr", 1.0)
            self._own(s, "reservoir low", "soc", 1.0)
            self._own(s, "reservoir high", "soc", 1.0)
            low, high = -1.0 / shape.discharge_efficiency, shape.charge_efficiency
            self._block(s, "reservoir low", "fcr", low * r.fcr_reservoir_h)
            self._block(s, "reservoir high", "fcr", high * r.fcr_reservoir_h)
            for way, row, per_mw in (("up", "low", low), ("down", "high", high)):
                if way in carried and shape.battery_mw > 0:
                    self._own(s, f"battery {way}", f"battery.{way}", 1.0)
                    self._own(s, f"reservoir {row}", f"battery.{way}", per_mw * r.afrr_reservoir_h)
            self._eves(s, low * r.fcr_reservoir_h, high * r.fcr_reservoir_h)
        self._load_reserves(s, shape, carried)

    def _eves(self, s: int, low: float, high: float) -> None:
        """The energy of a block's FCR is there when the block begins."""
        if (s, "fcr", 0) not in self.spanning:
            return
        follows = {int(b): t for t, b in enumerate(self.horizon.before) if b >= 0}
        for t in self.eves().tolist():
            fcr = self.spanning[(s, "fcr", int(self.horizon.block[follows[t]]))]
            soc = int(self.column(s, "soc", t))
            for name, per_mw in (("eve low", low), ("eve high", high)):
                rows = np.full(2, self.joining[(s, name, t)])
                self._put(rows, np.array([soc, fcr], np.int64), np.array([1.0, per_mw]))

    def _load_reserves(self, s: int, shape: SiteShape, carried: Sequence[str]) -> None:
        """What work carries of aFRR: up to what it draws and may shed, up to what it may draw more.

        Down: promised - battery <= power that slowed work lacks to full speed, plus what rising
        classes draw below their most (that most is the right-hand side).
        """
        per_it = shape.site_per_it
        for way in ("up", "down"):
            if way not in sold(shape):
                continue
            self._block(s, f"load {way}", way, 1.0)
            if way in carried and shape.battery_mw > 0:
                self._own(s, f"load {way}", f"battery.{way}", -1.0)
        for column, active_mw, g in self._active(shape):
            group = shape.groups[g]
            if "up" in sold(shape):
                self._own(s, "load up", column, -per_it * active_mw * group.sheds)
            if "down" in sold(shape) and (group.rises or group.sheds > 0):
                lacks = 0.0
                if not group.rises and column == f"n.{g}":
                    lacks = group.active_w[-1] / 1e6
                self._own(s, "load down", column, per_it * (active_mw - lacks))


def moving(sites: Sequence[SiteShape]) -> list[int]:
    """Classes whose work may be done at another site: those that move at every site alike."""
    if len(sites) < 2:
        return []
    return [
        g
        for g in range(len(sites[0].groups))
        if all(g < len(s.groups) and s.groups[g].moves for s in sites)
    ]


__all__ = ["INF", "Layout", "Program", "group_columns", "moving", "sold"]
