"""How far a plan is at most from the best one: a lower bound from prices of rows.

For any price of every row of a linear programme, the cost less what the rows take at these prices
is least at a bound of every column, and that least, with what the rows' own bounds are worth, is
below the cost of every plan (weak duality). So prices need not come from a solver that is trusted;
they only make the bound good or bad.

A column without an upper bound would make the bound worthless by a rounding error in its price.
Such columns have a reach: a number no plan goes beyond, or no best plan. Backlogs reach as far as
all the work there was, too far for rounding, so prices of work are first lowered until leaving work
is nowhere a gain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gigafactory.planner.lean import Lean
from gigafactory.planner.numbers import Numbers
from gigafactory.planner.program import INF

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known about a plan.

    Attributes:
        objective_eur: its cost.
        bound_eur: what no plan costs less than; -inf where the prices prove nothing.
        amiss_eur: what its rows miss their bounds by, at the rows' prices.
        most_amiss: the largest of what they miss, in a row's own unit.
    """

    objective_eur: float
    bound_eur: float
    amiss_eur: float
    most_amiss: float

    @property
    def gap_eur(self) -> float:
        """What the best plan costs less at most, with what mending this one would cost."""
        return max(self.objective_eur - self.bound_eur, 0.0) + self.amiss_eur

    @property
    def gap_share(self) -> float:
        """The same as a part of the cost, of which a euro is the least."""
        return self.gap_eur / max(abs(self.objective_eur), 1.0)


def prove(lean: Lean, numbers: list[Numbers], x: Array, y: Array) -> Proof:
    """Hold a plan against the bound that prices of rows give.

    Args:
        lean: the programme.
        numbers: of each site, as it was filled with.
        x: value of each column; pulled to its bounds first.
        y: price of each row: what a unit more of its bound costs.
    """
    x = np.clip(x, lean.lower, lean.upper)
    taken = lean.rows.times(x)
    amiss = np.maximum(lean.row_lower - taken, taken - lean.row_upper).clip(0.0)
    reach = reaches(lean, numbers)
    y = _pay_no_waiting(lean, y)
    # a price that no bound stands behind proves nothing
    y = np.where((y > 0.0) & (lean.row_lower <= -INF), 0.0, y)
    y = np.where((y < 0.0) & (lean.row_upper >= INF), 0.0, y)
    held = np.where(y > 0.0, lean.row_lower, np.where(y < 0.0, lean.row_upper, 0.0))
    left = lean.cost - lean.rows.priced(y, len(lean.cost))
    at = np.where(left > 0.0, lean.lower, np.where(left < 0.0, reach, 0.0))
    return Proof(
        objective_eur=float(lean.cost @ x),
        bound_eur=float(held @ y + at @ left),
        amiss_eur=float(np.abs(y) @ amiss),
        most_amiss=float(amiss.max(initial=0.0)),
    )


def _pay_no_waiting(lean: Lean, y: Array) -> Array:
    """Lower the prices of work so that work left costs no less than the same work done later.

    A lower price makes no other column gain at one site: doing work is worth less. Where a backlog
    may only be so large its bound has a price of its own, and nothing is changed.
    """
    p, steps = lean.program, np.arange(len(lean), dtype=np.int64)
    whole = np.zeros(len(p.horizon) * p.height + len(p.joining))
    whole[lean.row] = y
    cost = np.full(len(p.horizon) * p.width + len(p.spanning), np.inf)
    cost[lean.column] = np.where(lean.upper >= INF, lean.cost, np.inf)
    for s, layout in enumerate(p.layouts):
        for g in range(len(p.sites[s].groups)):
            column = layout.columns[f"backlog.{g}"] + p.width * steps
            rows = layout.rows[f"link backlog.{g}"] + p.height * steps
            price, wait, later = whole[rows].tolist(), cost[column].tolist(), 0.0
            for t in range(len(lean) - 1, -1, -1):
                later = min(price[t], later + wait[t])
                price[t] = later
            whole[rows] = price
    return whole[lean.row]


def reaches(lean: Lean, numbers: list[Numbers]) -> Array:
    """Upper bound of each column, or what no best plan takes it beyond; inf where none is known.

    Bought and sold in one step only cost the spread, and an import peak above every limit only its
    price, so a best plan does neither.
    """
    p, n = lean.program, len(lean)
    reach = np.zeros(n * p.width + len(p.spanning))  # what left the model is nought
    reach[lean.column] = np.where(lean.upper >= INF, np.inf, lean.upper)
    steps = reach[: n * p.width].reshape(n, p.width)
    hours = np.maximum(p.horizon.hours, 1e-9)
    for s, x in enumerate(numbers):
        shape, at = p.sites[s], p.layouts[s].columns
        moves = len(p.moving) > 0
        out_mw = steps[:, at["export"]].copy()
        for g, group in enumerate(shape.groups):
            owed = sum(
                (float(o.backlog_gpu_h[g]) + np.cumsum(o.arrivals_gpu_h[g]))
                for o in (numbers if moves else [x])
            )
            n_most = steps[:, at[f"n.{g}"]]
            np.minimum(n_most, owed / (group.speed[0] * hours), out=n_most)
            if shape.shares:
                np.minimum(n_most, np.maximum(x.capacity, 0.0), out=n_most)
            np.minimum(steps[:, at[f"backlog.{g}"]], owed, out=steps[:, at[f"backlog.{g}"]])
            out_mw += shape.site_per_it * n_most * group.active_w[-1] / 1e6
            for k, (width, _) in enumerate(group.segments):
                steps[:, at[f"seg.{g}.{k}"]] = width * n_most
            if group.moves:
                for name in (f"in.{g}", f"out.{g}"):
                    steps[:, at[name]] = np.minimum(steps[:, at[name]], owed / hours)
        if "charge" in at:
            out_mw += steps[:, at["charge"]]
            for way in ("up", "down"):
                if f"battery.{way}" in at:
                    flow = steps[:, at["charge" if way == "up" else "discharge"]]
                    steps[:, at[f"battery.{way}"]] = shape.battery_mw + flow
        steps[:, at["beyond"]] = np.minimum(
            steps[:, at["beyond"]], np.maximum(x.load_mw + out_mw, 0.0)
        )
        if shape.intraday:
            net = np.abs(x.position_mw) + steps[:, at["import"]] + steps[:, at["export"]]
            net += sum(steps[:, at[f"contract.{k}"]] for k in range(shape.contracts))
            for name in ("buy", "sell"):
                steps[:, at[name]] = np.minimum(steps[:, at[name]], net)
        for (site, name, k), column in p.spanning.items():
            if site == s and name == "peak":
                mine = (p.horizon.peak == k).any(axis=1)
                reach[column] = max(
                    float(steps[mine, at["import"]].max(initial=0.0)), float(x.peak_mw[k])
                )
    return np.asarray(reach[lean.column])
