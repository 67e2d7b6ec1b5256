"""The numbers of a programme: costs, bounds and right-hand sides, for all steps or for some.

`Numbers` holds what is known or expected of a site over the steps; `fill` turns it into the arrays
that the solver takes. Nothing here looks ahead: it takes what it is given.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.planner.program import INF, Program, sold
from gigafactory.planner.shape import SiteShape

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

#: What a MW beyond the connection limit costs in the plan, EUR/MWh: always dearer than any work.
BEYOND_EUR_PER_MWH = 20_000.0


def _none() -> Array:
    return np.zeros(0)


@dataclass(slots=True, eq=False)
class Numbers:
    """What is known of a site over the steps of a horizon; arrays over T steps unless said.

    Attributes:
        import_eur_per_mwh: price of import, levies included.
        export_eur_per_mwh: revenue of export, margin taken off.
        limit_mw: import limit.
        export_mw: export limit.
        load_mw: what the site draws whatever work is done, at IT rest.
        capacity: accelerators in service.
        contract_mw: output on offer per contract, [K, T].
        contract_eur_per_mwh: cost of taking a MWh of it, against not taking it, [K, T].
        generator_mw: most of each generator, [G, T].
        generator_eur_per_mwh: cost of its energy, [G, T].
        generator_least_mw: least of each generator, [G, T]; nought where it is empty.
        most: most accelerators of a class that may run, [classes, T]; inf without a bound.
        arrivals_gpu_h: work that would be done if nothing was deferred, [classes, T].
        backlog_most: work that may be left at the end of a step, [classes, T]; inf without a bound.
        delay_eur_per_gpu_h: cost of an accelerator-hour left at the end of a step, [classes, T].
        slow: steps in which work may be slowed.
        position_mw: bought day-ahead (sold when negative); for an intraday shape.
        buy_eur_per_mwh: price of what is bought after that, nowhere below what selling brings.
        sell_eur_per_mwh: what selling after that brings.
        on: steps that exist; one that is left out does nothing and costs nothing.
        peak_row: which of its peak rows holds in a step; on a ring 0 is this month, 1 the next.
        rise_mw: most that rising classes and what is always on could draw more, MW of site power.
        may_exceed: whether import beyond the limit is possible, at `BEYOND_EUR_PER_MWH`; without it
            there may be no plan.
        move_eur_per_gpu_h: cost of doing an accelerator-hour at another site.
        soc_mwh: energy in the battery above its lower bound, at the beginning.
        backlog_gpu_h: work left over at the beginning, [classes].
        soc_end_mwh: least energy at the last step.
        soc_eur_per_mwh: worth of a MWh left at the last step.
        product_eur_per_mw: EUR per MW of each product in each block, [B] under "fcr", "up", "down".
        held_mw: least of each product in each block, MW, [B]; what was sold already.
        sells_mw: most of each product in each block, MW, [B].
        promised_mw: reserves already promised outside the block columns, per product, [T].
        stored_mw: FCR whose energy has to be there at the end of a step, [T]: what is promised
            outside the block columns in it or in the next one.
        charge_mw: most that may be charged in a step, [T]; empty for the battery's power.
        discharge_mw: most that may be discharged, [T]; likewise.
        soc_low_mwh: least energy at the end of a step, above the lower bound, [T]; empty for 0.
        soc_high_mwh: most energy at the end of a step, [T]; empty for what the battery holds.
        peak_eur_per_mw: cost of a MW of each peak, [K].
        peak_mw: each peak reached so far, [K].
    """

    import_eur_per_mwh: Array
    export_eur_per_mwh: Array
    limit_mw: Array
    export_mw: Array
    load_mw: Array
    capacity: Array
    contract_mw: Array
    contract_eur_per_mwh: Array
    generator_mw: Array
    generator_eur_per_mwh: Array
    most: Array
    arrivals_gpu_h: Array
    backlog_most: Array
    delay_eur_per_gpu_h: Array
    slow: Bools
    position_mw: Array
    buy_eur_per_mwh: Array
    sell_eur_per_mwh: Array
    on: Bools
    peak_row: Ints
    rise_mw: Array
    generator_least_mw: Array = field(default_factory=_none)
    may_exceed: bool = True
    move_eur_per_gpu_h: float = 0.0
    soc_mwh: float = 0.0
    backlog_gpu_h: Array = field(default_factory=_none)
    soc_end_mwh: float = 0.0
    soc_eur_per_mwh: float = 0.0
    product_eur_per_mw: dict[str, Array] = field(default_factory=dict)
    held_mw: dict[str, Array] = field(default_factory=dict)
    sells_mw: dict[str, Array] = field(default_factory=dict)
    promised_mw: dict[str, Array] = field(default_factory=dict)
    stored_mw: Array = field(default_factory=_none)
    charge_mw: Array = field(default_factory=_none)
    discharge_mw: Array = field(default_factory=_none)
    soc_low_mwh: Array = field(default_factory=_none)
    soc_high_mwh: Array = field(default_factory=_none)
    peak_eur_per_mw: Array = field(default_factory=_none)
    peak_mw: Array = field(default_factory=_none)

    @classmethod
    def plain(cls, shape: SiteShape, steps: int) -> Numbers:
        """Nothing on, nothing to pay, no limits: to be filled in."""
        n, groups = steps, len(shape.groups)
        return cls(
            import_eur_per_mwh=np.zeros(n),
            export_eur_per_mwh=np.zeros(n),
            limit_mw=np.full(n, INF),
            export_mw=np.zeros(n),
            load_mw=np.zeros(n),
            capacity=np.full(n, INF),
            contract_mw=np.zeros((shape.contracts, n)),
            contract_eur_per_mwh=np.zeros((shape.contracts, n)),
            generator_mw=np.zeros((shape.generators, n)),
            generator_eur_per_mwh=np.zeros((shape.generators, n)),
            most=np.full((groups, n), INF),
            arrivals_gpu_h=np.zeros((groups, n)),
            backlog_most=np.full((groups, n), INF),
            delay_eur_per_gpu_h=np.zeros((groups, n)),
            slow=np.zeros(n, np.bool_),
            position_mw=np.zeros(n),
            buy_eur_per_mwh=np.zeros(n),
            sell_eur_per_mwh=np.zeros(n),
            on=np.ones(n, np.bool_),
            peak_row=np.zeros(n, np.int64),
            rise_mw=np.zeros(n),
            backlog_gpu_h=np.zeros(groups),
        )

    def laid_out(self, slot: Ints, slots: int) -> Numbers:
        """The same over the slots of a ring; those that no step has are off.

        Args:
            slot: slot of each step, [T].
            slots: number of slots.
        """
        found: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, np.ndarray) and one.name not in _NO_STEPS and value.size:
                out = np.zeros((*value.shape[:-1], slots), value.dtype)
                out[..., slot] = value
                found[one.name] = out
        return replace(self, **found)


#: Arrays of `Numbers` that are not over steps.
_NO_STEPS = ("backlog_gpu_h", "peak_eur_per_mw", "peak_mw")


@dataclass(slots=True, eq=False)
class Filled:
    """Costs and bounds of some steps, [S, width] and [S, height], in the order given."""

    cost: Array
    upper: Array
    lower: Array
    row_lower: Array
    row_upper: Array

    @property
    def sound(self) -> bool:
        """Whether a solver can make sense of it; a comparison with what is no number is false."""
        return bool(
            np.isfinite(self.cost).all()
            and (self.lower <= self.upper).all()
            and ((self.row_lower <= self.row_upper) & (self.row_lower < INF)).all()
            and (self.row_upper > -INF).all()
        )


def fill_steps(program: Program, numbers: list[Numbers], steps: Ints) -> Filled:
    """Costs, bounds and right-hand sides of steps, entry rows free and link rows held.

    Args:
        program: the programme.
        numbers: of each site, arrays over all steps of the horizon.
        steps: which steps, [S].
    """
    n = len(steps)
    out = Filled(
        cost=np.zeros((n, program.width)),
        upper=np.full((n, program.width), INF),
        lower=np.zeros((n, program.width)),
        row_lower=np.zeros((n, program.height)),
        row_upper=np.zeros((n, program.height)),
    )
    for s, site in enumerate(numbers):
        _columns(program, s, site, steps, out)
        _rows(program, s, site, steps, out)
    return out


def _columns(program: Program, s: int, x: Numbers, steps: Ints, out: Filled) -> None:
    shape, at = program.sites[s], program.layouts[s].columns
    h = program.horizon.hours[steps] * x.on[steps]
    on = h > 0
    room = np.maximum(x.limit_mw[steps], 0.0)
    out.cost[:, at["import"]] = x.import_eur_per_mwh[steps] * h
    out.cost[:, at["export"]] = -x.export_eur_per_mwh[steps] * h
    out.cost[:, at["beyond"]] = BEYOND_EUR_PER_MWH * h
    out.upper[:, at["import"]] = room
    if not x.may_exceed:
        out.upper[:, at["beyond"]] = 0.0
    # a cable that carries less one way carries less the other way
    out.upper[:, at["export"]] = np.minimum(x.export_mw[steps], room)
    if "soc" in at:
        out.cost[:, at["discharge"]] = shape.wear_eur_per_mwh * h
        for name, most in (("charge", x.charge_mw), ("discharge", x.discharge_mw)):
            power = most[steps] if len(most) else shape.battery_mw
            out.upper[:, at[name]] = np.where(on, power, 0.0)
        out.upper[:, at["soc"]] = (
            x.soc_high_mwh[steps] if len(x.soc_high_mwh) else shape.battery_mwh
        )
        if len(x.soc_low_mwh):
            out.lower[:, at["soc"]] = x.soc_low_mwh[steps]
    if shape.intraday:
        out.cost[:, at["buy"]] = x.buy_eur_per_mwh[steps] * h
        out.cost[:, at["sell"]] = -x.sell_eur_per_mwh[steps] * h
    for k in range(shape.contracts):
        out.cost[:, at[f"contract.{k}"]] = x.contract_eur_per_mwh[k, steps] * h
        out.upper[:, at[f"contract.{k}"]] = x.contract_mw[k, steps]
        if shape.firm[k]:
            out.lower[:, at[f"contract.{k}"]] = x.contract_mw[k, steps]
    for k in range(shape.generators):
        out.cost[:, at[f"generator.{k}"]] = x.generator_eur_per_mwh[k, steps] * h
        out.upper[:, at[f"generator.{k}"]] = np.where(on, x.generator_mw[k, steps], 0.0)
        if len(x.generator_least_mw):
            least = np.minimum(x.generator_least_mw[k, steps], x.generator_mw[k, steps])
            out.lower[:, at[f"generator.{k}"]] = np.where(on, least, 0.0)
    for g, group in enumerate(shape.groups):
        out.upper[:, at[f"n.{g}"]] = np.where(on, x.most[g, steps], 0.0)
        for k in range(len(group.speed) - 1):
            out.upper[:, at[f"seg.{g}.{k}"]] = np.where(on, INF, 0.0)
        out.cost[:, at[f"backlog.{g}"]] = x.delay_eur_per_gpu_h[g, steps]
        out.upper[:, at[f"backlog.{g}"]] = x.backlog_most[g, steps]
        if group.moves:
            moves = on & (g in program.moving)
            for name in (f"in.{g}", f"out.{g}"):
                out.upper[:, at[name]] = np.where(moves, INF, 0.0)
            out.cost[:, at[f"in.{g}"]] = x.move_eur_per_gpu_h * h


def _rows(program: Program, s: int, x: Numbers, steps: Ints, out: Filled) -> None:
    shape, at = program.sites[s], program.layouts[s].rows
    low, high = out.row_lower, out.row_upper
    h = program.horizon.hours[steps] * x.on[steps]

    def at_most(name: str, value: npt.ArrayLike) -> None:
        low[:, at[name]], high[:, at[name]] = -INF, value

    low[:, at["balance"]] = high[:, at["balance"]] = np.where(h > 0, x.load_mw[steps], 0.0)
    if "capacity" in at:
        at_most("capacity", x.capacity[steps])
    for g, group in enumerate(shape.groups):
        for k in range(len(group.speed) - 1):
            at_most(f"seg.{g}.{k}", 0.0)
            low[:, at[f"seg.{g}.{k}"]] = np.where(x.slow[steps], -INF, 0.0)
        row = at[f"link backlog.{g}"]
        low[:, row] = high[:, row] = x.arrivals_gpu_h[g, steps]
    if shape.intraday:
        low[:, at["market"]] = high[:, at["market"]] = np.where(h > 0, x.position_mw[steps], 0.0)
    if "inverter" in at:
        at_most("inverter", 1.0)
    if shape.reserves is not None:
        _reserve_rows(program, s, x, steps, out)
    if shape.peaks:
        for k in range(program.horizon.peak.shape[1]):
            at_most(f"peak.{k}", np.where(x.peak_row[steps] == k, 0.0, INF))
    for state in program.layouts[s].states:
        if program.horizon.rings:
            low[:, at[f"entry {state}"]], high[:, at[f"entry {state}"]] = -INF, INF
    # states at the beginning of a line stand on the right-hand side of its first step
    first = np.flatnonzero(program.horizon.before[steps] < 0)
    for g in range(len(shape.groups)):
        row = at[f"link backlog.{g}"]
        low[first, row] += x.backlog_gpu_h[g]
        high[first, row] += x.backlog_gpu_h[g]
    if "link soc" in at:
        low[first, at["link soc"]] = high[first, at["link soc"]] = x.soc_mwh


def _reserve_rows(program: Program, s: int, x: Numbers, steps: Ints, out: Filled) -> None:
    """Rooms of the reserves, less what is promised outside the block columns."""
    shape, at = program.sites[s], program.layouts[s].rows
    r = shape.reserves
    assert r is not None
    none = np.zeros(len(steps))
    fcr, up, down = (
        x.promised_mw[way][steps] if way in x.promised_mw else none for way in ("fcr", "up", "down")
    )
    rows = {
        "import room": np.maximum(x.limit_mw[steps], 0.0) - fcr - down,
        "export room": np.minimum(x.export_mw[steps], np.maximum(x.limit_mw[steps], 0.0))
        - fcr
        - up,
        "load up": -up,
        "load down": x.rise_mw[steps] - down,
        "battery up": shape.battery_mw - fcr,
        "battery down": shape.battery_mw - fcr,
    }
    stored = x.stored_mw[steps] * r.fcr_reservoir_h if len(x.stored_mw) else none
    rows["reservoir high"] = shape.battery_mwh - stored * shape.charge_efficiency
    for name, most in rows.items():
        if name in at:
            out.row_lower[:, at[name]], out.row_upper[:, at[name]] = -INF, most
    if "reservoir low" in at:
        out.row_lower[:, at["reservoir low"]] = stored / shape.discharge_efficiency
        out.row_upper[:, at["reservoir low"]] = INF


def fill_spans(program: Program, numbers: list[Numbers]) -> tuple[Array, Array, Array]:
    """Cost, lower and upper bound of the columns behind the steps, in their order."""
    n = len(program.spanning)
    cost, lower, upper = np.zeros(n), np.zeros(n), np.full(n, INF)
    base = len(program.horizon) * program.width
    for (s, name, k), column in program.spanning.items():
        x, i = numbers[s], column - base
        if name == "peak":
            cost[i], lower[i] = x.peak_eur_per_mw[k], x.peak_mw[k]
        elif name in ("fcr", "up", "down"):
            cost[i] = -x.product_eur_per_mw[name][k]
            lower[i] = x.held_mw[name][k] if name in x.held_mw else 0.0
            upper[i] = max(x.sells_mw[name][k], lower[i])
    return cost, lower, upper


def fill_joins(program: Program, numbers: list[Numbers]) -> tuple[Array, Array]:
    """Bounds of the rows behind the steps: energy when a block begins; hand-overs are free."""
    n = len(program.joining)
    lower, upper = np.full(n, -INF), np.full(n, INF)
    base = len(program.horizon) * program.height
    for (s, name, _), row in program.joining.items():
        if name == "eve low":
            lower[row - base] = 0.0
        elif name == "eve high":
            upper[row - base] = program.sites[s].battery_mwh
    assert len(numbers) == len(program.sites), "numbers of every site"
    return lower, upper


def fill_line(program: Program, numbers: list[Numbers]) -> bool:
    """Fill the model of a programme over a line of steps.

    Returns:
        Whether a solver can make sense of it. Where a right-hand side is no number HiGHS takes what
        it likes and calls the answer optimal, so this must be asked first.

    Raises:
        AssertionError: products without a price, or arrays of another length than the horizon.
    """
    steps = np.arange(len(program.horizon), dtype=np.int64)
    filled = fill_steps(program, numbers, steps)
    for s, (shape, x) in enumerate(zip(program.sites, numbers, strict=True)):
        if shape.battery_mw > 0:
            last = program.layouts[s].columns["soc"]
            filled.cost[-1, last] = -x.soc_eur_per_mwh
            filled.lower[-1, last] = max(x.soc_end_mwh, filled.lower[-1, last])
        assert set(sold(shape)) <= set(x.product_eur_per_mw), f"site {s}: a product without a price"
    cost, lower, upper = fill_spans(program, numbers)
    join_lower, join_upper = fill_joins(program, numbers)
    lp = program.lp
    lp.col_cost_ = np.concatenate([filled.cost.ravel(), cost])
    lp.col_lower_ = np.concatenate([filled.lower.ravel(), lower])
    lp.col_upper_ = np.concatenate([filled.upper.ravel(), upper])
    lp.row_lower_ = np.concatenate([filled.row_lower.ravel(), join_lower])
    lp.row_upper_ = np.concatenate([filled.row_upper.ravel(), join_upper])
    return filled.sound and bool(np.isfinite(cost).all() and (lower <= upper).all())
