"""The day-ahead gate: what is offered when tomorrow's prices are not known yet.

Load is bought whatever the price. What the battery does is offered as an **exclusive group** of
block orders: one profile per scenario of prices, each a schedule that the battery can carry out, of
which the auction takes the one that is worth most at the prices it finds. So the schedule follows
prices that nobody knew at the gate, and never asks the battery for what it cannot do.

That an exclusive group holds up to 24 profiles is the rule of EPEX SPOT as we know it; it is not
verified here and stands as `PROFILES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gigafactory.planner.band import Band
from gigafactory.planner.numbers import Numbers, fill_line
from gigafactory.planner.own import Own
from gigafactory.planner.shape import Horizon, SiteShape
from gigafactory.planner.solving import LineSolver, Solution
from gigafactory.planner.yardstick import Course

Array = npt.NDArray[np.float64]

#: Profiles of an exclusive group. Not verified; see above.
PROFILES = 24
_WEEK = 7


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """An exclusive group of profiles for one day of D steps.

    Attributes:
        position_mw: bought (sold when negative) per profile, [K, D].
        charge_mw: battery charge per profile, [K, D].
        discharge_mw: battery discharge per profile, [K, D].
        own_cost_eur: cost of each beside the market: levies, wear, contracts, less the worth of
            what it leaves in the battery, [K].
        soc_mwh: energy each leaves in the battery, above its lower bound, [K].
        step_h: length of a step, h.
    """

    position_mw: Array
    charge_mw: Array
    discharge_mw: Array
    own_cost_eur: Array
    soc_mwh: Array
    step_h: float

    def cleared(self, price_eur_per_mwh: Array) -> int:
        """The profile an auction takes at the prices it finds, [D]: the cheapest, first of equals.

        An offer without profiles cannot be cleared (`ValueError`).
        """
        paid = self.position_mw @ price_eur_per_mwh * self.step_h
        return int(np.argmin(paid + self.own_cost_eur))


class Gate:
    """Makes offers for one site, day after day.

    Args:
        shape: the site; its work enters as load.
        day_steps: steps of the day offered.
        tail_steps: steps planned behind it, so that the day does not end empty.
        step_h: length of a step, h.
    """

    def __init__(self, shape: SiteShape, day_steps: int, tail_steps: int, step_h: float) -> None:
        self.shape = replace(shape, groups=(), reserves=None, peaks=False, intraday=False)
        self.day_steps, self.step_h = day_steps, step_h
        steps = day_steps + tail_steps
        self._solver = LineSolver([self.shape], Horizon.line(np.full(steps, step_h)), warm=True)
        self.steps = steps

    def offer(
        self,
        scenarios: Sequence[Array],
        *,
        load_mw: Array,
        limit_mw: Array,
        export_mw: Array,
        contract_mw: Array,
        soc_mwh: float,
        own: Own | None = None,
        band: Band | None = None,
    ) -> Offer:
        """Make an offer; a scenario without a schedule is left out, of a day without sense all.

        Args:
            scenarios: price paths over the steps, EUR/MWh, each [T]; the first `PROFILES` are used.
            load_mw: expected load, [T].
            limit_mw: import limit, [T].
            export_mw: export limit, [T].
            contract_mw: expected output of each contract, [contracts, T].
            soc_mwh: expected energy in the battery when the day begins, above its lower bound.
            own: what own generators could give over the steps, and what that costs.
            band: what the battery keeps for reserves sold; none where nothing was.
        """
        s, day = self.shape, self.day_steps
        expected = np.mean(scenarios, axis=0)
        worth = s.stored_eur_per_mwh(float(expected[day:].mean()))
        # limits and load are alike in all scenarios: they are told once, and the basis goes from
        # scenario to scenario but not from day to day, so an offer depends on its own numbers alone
        self._solver.forget()
        x = Numbers.plain(s, self.steps)
        x.limit_mw, x.export_mw, x.load_mw = limit_mw, export_mw, load_mw
        x.contract_mw, x.soc_mwh = contract_mw, soc_mwh
        if own is not None and s.generators:
            x.generator_mw, x.generator_eur_per_mwh = own.most_mw, own.cost_eur_per_mwh
            x.generator_least_mw = own.least_mw
        if band is not None:
            band.into(x)
        if not fill_line(self._solver.program, [x]):
            return self._group([])
        plain = np.asarray(self._solver.program.lp.col_cost_)
        rows: list[tuple[Array, Array, Array, float, float]] = []
        for price in list(scenarios)[:PROFILES]:
            cost = self._cost(plain, price)
            found = self._solver.solve_again(cost)
            if found is None:
                self._solver.start()
                found = self._solver.solve_again(cost)
            if found is None:
                self._solver.forget()
                continue
            rows.append(self._profile(found, worth, own))
        return self._group(rows)

    def _profile(
        self, found: Solution, worth: float, generators: Own | None
    ) -> tuple[Array, Array, Array, float, float]:
        """What a schedule buys, charges, gives, costs beside the market, and leaves stored."""
        s, day = self.shape, self.day_steps
        flow = {n: found.of(0, n)[:day] for n in ("import", "export", "beyond")}
        none = np.zeros(day)
        charge, discharge, left = none, none, 0.0
        if found.has(0, "soc"):
            # a battery does not do both at once; where energy is wasted the net is what it does
            net = found.of(0, "charge")[:day] - found.of(0, "discharge")[:day]
            charge, discharge = np.maximum(net, 0.0), np.maximum(-net, 0.0)
            left = float(found.of(0, "soc")[day - 1])
        taken = np.array([found.of(0, f"contract.{k}")[:day] for k in range(s.contracts)])
        taken = taken.reshape(s.contracts, day)
        own = (flow["import"] + flow["beyond"]) * s.levy_eur_per_mwh
        own = own + flow["export"] * s.export_margin_eur_per_mwh
        own = (
            own
            + discharge * s.wear_eur_per_mwh
            + (taken * s.taking_eur_per_mwh[:, None]).sum(axis=0)
        )
        if generators is not None:
            made = [found.of(0, f"generator.{k}")[:day] for k in range(s.generators)]
            own = own + (np.array(made) * generators.cost_eur_per_mwh[:, :day]).sum(axis=0)
        position = flow["import"] + flow["beyond"] - flow["export"] - taken.sum(axis=0)
        cost_eur = float(own.sum()) * self.step_h - worth * left
        return position, charge, discharge, cost_eur, left

    def _cost(self, plain: Array, price: Array) -> Array:
        """Costs of all columns at the prices of a scenario."""
        s, day, at = self.shape, self.day_steps, self._solver.program.layouts[0].columns
        cost = plain.copy()
        steps = cost[: self.steps * self._solver.program.width].reshape(self.steps, -1)
        steps[:, at["import"]] = (price + s.levy_eur_per_mwh) * self.step_h
        steps[:, at["export"]] = -(price - s.export_margin_eur_per_mwh) * self.step_h
        for k in range(s.contracts):
            steps[:, at[f"contract.{k}"]] = (s.taking_eur_per_mwh[k] - price) * self.step_h
        if "soc" in at:
            steps[-1, at["soc"]] = -s.stored_eur_per_mwh(float(price[day:].mean()))
        return cost

    def _group(self, rows: list[tuple[Array, Array, Array, float, float]]) -> Offer:
        day = self.day_steps
        return Offer(
            position_mw=np.array([r[0] for r in rows]).reshape(len(rows), day),
            charge_mw=np.array([r[1] for r in rows]).reshape(len(rows), day),
            discharge_mw=np.array([r[2] for r in rows]).reshape(len(rows), day),
            own_cost_eur=np.array([r[3] for r in rows]),
            soc_mwh=np.array([r[4] for r in rows]),
            step_h=self.step_h,
        )


def operate(
    shape: SiteShape,
    *,
    price_eur_per_mwh: Array,
    load_mw: Array,
    limit_mw: float,
    export_mw: float,
    day_steps: int,
    step_h: float,
    scenarios: Callable[[int], Sequence[Array]],
) -> Course:
    """A battery beside a load, offered at the gate of every day and run as the auction took it.

    Args:
        shape: the site; its contracts and its work are left out, being the load.
        price_eur_per_mwh: prices the auctions find, whole days, [days * day_steps].
        load_mw: the load, known, likewise.
        limit_mw: import limit.
        export_mw: export limit.
        day_steps: steps of a day.
        step_h: length of a step, h.
        scenarios: price paths of 1.5 days for a day by its number; what it may know is its affair.

    Returns:
        What was done, the battery empty at its beginning.
    """
    bare = replace(
        shape,
        contracts=0,
        contract_price_eur_per_mwh=(),
        contract_curtail_eur_per_mwh=(),
        contract_firm=(),
    )
    gate = Gate(bare, day_steps, day_steps // 2, step_h)
    n, soc = len(price_eur_per_mwh), 0.0
    charge, discharge = np.zeros(n), np.zeros(n)
    none = np.zeros((0, gate.steps))
    for day in range(n // day_steps):
        span = slice(day * day_steps, (day + 1) * day_steps)
        ahead = np.minimum(np.arange(gate.steps) + span.start, n - 1)
        offer = gate.offer(
            scenarios(day),
            load_mw=load_mw[ahead],
            limit_mw=np.full(gate.steps, limit_mw),
            export_mw=np.full(gate.steps, export_mw),
            contract_mw=none,
            soc_mwh=soc,
        )
        k = offer.cleared(price_eur_per_mwh[span])
        charge[span], discharge[span] = offer.charge_mw[k], offer.discharge_mw[k]
        soc = float(offer.soc_mwh[k])
    net = load_mw + charge - discharge
    return Course(
        price_eur_per_mwh=price_eur_per_mwh,
        limit_mw=np.full(n, limit_mw),
        export_limit_mw=np.full(n, export_mw),
        import_mw=np.maximum(net, 0.0),
        export_mw=np.maximum(-net, 0.0),
        charge_mw=charge,
        discharge_mw=discharge,
        contract_mw=np.zeros((0, n)),
        taken_mw=np.zeros((0, n)),
        running=np.zeros((0, n)),
        capacity=np.zeros(n),
        soc_start_mwh=0.0,
        soc_end_mwh=soc,
    )


def past_paths(price: Array, day_steps: int, count: int, course_days: int = 28) -> list[Array]:
    """Scenarios of a day and half a day more from past days alone, the likeliest first.

    The mean course of the last `course_days` days, then that course plus what a past day strayed
    from the course known before it: two thirds of them the latest days, the rest those of the same
    day of the week as the day offered, further and further back; what is still lacking, the latest
    of the others.

    Args:
        price: known prices of whole days, oldest first, [days * day_steps].
        day_steps: steps of a day.
        count: number of scenarios wanted; fewer while less is known.
        course_days: days that make a course.

    Returns:
        Paths of ``1.5 * day_steps`` steps; the tail is the course.
    """
    days = price.reshape(-1, day_steps)
    if not len(days):
        return [np.full(day_steps + day_steps // 2, 75.0)]

    def course(before: int) -> Array:
        return np.asarray(days[max(0, before - course_days) : before].mean(axis=0))

    now = course(len(days))
    tail = now[: day_steps // 2]
    paths = [np.concatenate([now, tail])]
    latest = list(range(len(days) - 1, 0, -1))
    near = round((count - 1) * 2 / 3)
    alike = [k for k in latest[near:] if (len(days) - k) % _WEEK == 0]
    chosen = latest[:near] + alike
    chosen += [k for k in latest[near:] if k not in alike]
    paths += [np.concatenate([now + days[k] - course(k), tail]) for k in chosen[: count - 1]]
    return paths
