"""Why a programme has no plan: a small set of named limits that cannot all be kept, and when.

Limits are told by **families** a desk knows (import limit, battery energy, reserve promises), each
the bounds and rows that stand for it in every step. What a device does by its nature (balance,
links from step to step) is no limit and always stays.

- Numbers that are no numbers, and bounds that cross each other, are a conflict by themselves.
- Otherwise a deletion filter lifts one family after the other and leaves it lifted where there is
  no plan even so. What is left is irreducible: without any one of them there is a plan.
- Then the limits that are left are lifted before and behind a stretch of steps, which is narrowed
  as far as there is no plan without: when it happens.

It costs some thirty solves, and only where there is no plan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import highspy
import numpy as np
import numpy.typing as npt

from gigafactory.planner.program import INF, Program
from gigafactory.planner.solving import silent

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: Families by the beginning of the name of a column (its bounds) or of a row; the first that fits.
COLUMNS = (
    ("import", "import limit"),
    ("beyond", "import limit"),
    ("export", "export limit"),
    ("charge", "battery power"),
    ("discharge", "battery power"),
    ("battery.", "reserve promises"),
    ("soc", "battery energy"),
    ("entry soc", "battery energy"),
    ("buy", "trade after the auction"),
    ("sell", "trade after the auction"),
    ("contract.", "power contracts"),
    ("generator.", "generators"),
    ("n.", "accelerators of a class"),
    ("backlog.", "backlog of work"),
    ("entry backlog.", "backlog of work"),
    ("in.", "work moved"),
    ("out.", "work moved"),
    ("peak", "monthly peak"),
    *((way, "reserve promises") for way in ("fcr", "up", "down")),
)
ROWS = (
    ("capacity", "accelerators in service"),
    ("inverter", "battery power"),
    *((row, "reserve promises") for row in ("battery up", "battery down", "reservoir", "eve ")),
    *((row, "reserve promises") for row in ("import room", "export room", "load up", "load down")),
    ("peak.", "monthly peak"),
)
#: In which order families are lifted: those first that say least, so that they are named last.
ORDER = (
    "monthly peak",
    "work moved",
    "trade after the auction",
    "backlog of work",
    "accelerators of a class",
    "reserve promises",
    "export limit",
    "power contracts",
    "generators",
    "accelerators in service",
    "battery energy",
    "battery power",
    "import limit",
)
#: What may be less than nothing when its family is lifted; nothing else can.
_STATES = ("soc",)
#: What a row is about whose right-hand side makes no sense: rows that are no limit have names too.
GIVEN_ROWS = (
    ("balance", "load of the site"),
    ("market", "position bought"),
    ("link soc", "energy in the battery"),
    ("link backlog.", "work expected"),
    *ROWS,
)
NO_NUMBER = "no number: "
CROSSED = "bounds that cross: "
PRICES = "prices"
NATURE = "balance of the site"


@dataclass(frozen=True, slots=True)
class Conflict:
    """What cannot be kept together.

    Attributes:
        families: names; each alone could be kept if the others were not.
        first_step: first step of the stretch in which it happens.
        last_step: last step of it.
    """

    families: tuple[str, ...]
    first_step: int
    last_step: int


def _family(name: str, families: Iterable[tuple[str, str]]) -> str | None:
    return next((told for start, told in families if name.startswith(start)), None)


class _Model:
    """A filled programme of which families can be lifted."""

    def __init__(self, program: Program) -> None:
        self.program = program
        lp = program.lp
        self.cost = np.asarray(lp.col_cost_)
        self.column = (np.asarray(lp.col_lower_), np.asarray(lp.col_upper_))
        self.row = (np.asarray(lp.row_lower_), np.asarray(lp.row_upper_))
        self.column_step = self._steps(program.width, lp.num_col_)
        self.row_step = self._steps(program.height, lp.num_row_)
        self.state = np.array([name.startswith(_STATES) for name in self.names(True)])

    def _steps(self, width: int, count: int) -> npt.NDArray[np.int64]:
        """The step each column or row lies in; the last one for what spans several."""
        steps = len(self.program.horizon)
        return np.minimum(np.arange(count, dtype=np.int64) // width, steps - 1)

    def names(self, columns: bool) -> list[str]:
        """The name of every column or row."""
        p = self.program
        width = p.width if columns else p.height
        one = [""] * width
        for layout in p.layouts:
            for name, at in (layout.columns if columns else layout.rows).items():
                one[at] = name
        behind = p.spanning if columns else p.joining
        return one * len(p.horizon) + [name for _, name, _ in behind]

    def of(self, columns: bool, families: Iterable[tuple[str, str]]) -> dict[str, Bools]:
        """Which columns or rows each family has."""
        told = np.array([_family(n, families) or "" for n in self.names(columns)])
        return {name: told == name for name in dict.fromkeys(told.tolist()) if name}


def find_conflict(program: Program) -> Conflict | None:
    """What a filled programme without a plan cannot keep; None where it has a plan after all.

    Args:
        program: filled, as the solver was given it.
    """
    model = _Model(program)
    sound = _unsound(model)
    if sound is not None:
        return sound
    columns, rows = model.of(True, COLUMNS), model.of(False, ROWS)
    everything = [name for name in ORDER if name in columns or name in rows]

    def planned(lifted: Iterable[str], first: int = 0, last: int | None = None) -> bool:
        """Whether there is a plan with families lifted, and all of them outside the steps."""
        end = len(program.horizon) - 1 if last is None else last
        c = _lifted(columns, lifted, model.column_step, first, end)
        r = _lifted(rows, lifted, model.row_step, first, end)
        return _has_plan(model, c, r)

    if planned(()):
        # a plan exists, so its cost has no lower end
        return None if _has_plan(model, *_nothing(model), costs=True) else _all((PRICES,), program)
    if not planned(everything):
        return _all((NATURE,), program)
    lifted: list[str] = []
    for name in everything:
        if not planned([*lifted, name]):
            lifted.append(name)
    kept = tuple(sorted(set(everything) - set(lifted)))
    last = _lowest(lambda k: not planned(lifted, 0, k), len(program.horizon) - 1)
    back = _lowest(lambda k: not planned(lifted, last - k, last), last)
    return Conflict(kept, last - back, last)


def _nothing(model: _Model) -> tuple[Bools, Bools]:
    return np.zeros(len(model.column[0]), np.bool_), np.zeros(len(model.row[0]), np.bool_)


def _all(families: tuple[str, ...], program: Program) -> Conflict:
    return Conflict(families, 0, len(program.horizon) - 1)


def _lowest(holds: Callable[[int], bool], most: int) -> int:
    """The lowest number for which something holds that holds for `most` and all above it."""
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _lifted(
    families: dict[str, Bools],
    lifted: Iterable[str],
    step: npt.NDArray[np.int64],
    first: int,
    last: int,
) -> Bools:
    """Which columns or rows are free: those of lifted families, and of all outside the steps."""
    free = np.zeros(len(step), np.bool_)
    outside = (step < first) | (step > last)
    gone = set(lifted)
    for name, mine in families.items():
        free |= mine if name in gone else mine & outside
    return free


def _has_plan(model: _Model, columns: Bools, rows: Bools, costs: bool = False) -> bool:
    """Whether anything keeps the bounds that are not free; with costs, whether one is cheapest."""
    highs, lp = silent(presolve=True), model.program.lp
    highs.passModel(lp)
    if not costs:
        n = lp.num_col_
        highs.changeColsCost(n, np.arange(n, dtype=np.int32), np.zeros(n))
    at = np.flatnonzero(columns).astype(np.int32)
    if len(at):
        low = np.where(model.state[at], -INF, np.minimum(model.column[0][at], 0.0))
        highs.changeColsBounds(len(at), at, low, np.full(len(at), INF))
    at = np.flatnonzero(rows).astype(np.int32)
    if len(at):
        highs.changeRowsBounds(len(at), at, np.full(len(at), -INF), np.full(len(at), INF))
    highs.run()
    return bool(highs.getModelStatus() == highspy.HighsModelStatus.kOptimal)


def _unsound(model: _Model) -> Conflict | None:
    """Numbers that are none, and bounds that cross each other."""
    found: dict[str, list[int]] = {}
    nameless = ~np.isfinite(model.cost)
    if nameless.any():
        found[NO_NUMBER + PRICES] = model.column_step[nameless].tolist()
    for (low, high), names, families, step in (
        (model.column, model.names(True), COLUMNS, model.column_step),
        (model.row, model.names(False), GIVEN_ROWS, model.row_step),
    ):
        none = np.isnan(low) | np.isnan(high) | (low == math.inf) | (high == -math.inf)
        for kind, at in ((NO_NUMBER, none), (CROSSED, (low > high) & ~none)):
            for k in np.flatnonzero(at).tolist():
                told = kind + (_family(names[k], families) or names[k])
                found.setdefault(told, []).append(int(step[k]))
    if not found:
        return None
    steps = [step for each in found.values() for step in each]
    return Conflict(tuple(sorted(found)), min(steps), max(steps))
