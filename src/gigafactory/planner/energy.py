"""The energy plan of a site: one LP per day, over the day and half the next.

Steps are market periods for the day planned and hours after that. Per step the LP chooses import
and export, battery, the use of each power contract, and per class of work how many accelerators run
and how fast, with what that leaves undone as a backlog that costs money. The matrix
(`program`) never changes; only bounds, costs and right-hand sides do.

Power drawn by the site is taken as a straight line of IT power at the expected load; the responder
re-checks every period against what is metered.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gigafactory.planner.band import Band
from gigafactory.planner.conflict import Conflict, find_conflict
from gigafactory.planner.numbers import BEYOND_EUR_PER_MWH, Numbers
from gigafactory.planner.own import Own, commit
from gigafactory.planner.putting_off import longest_h
from gigafactory.planner.shape import Horizon, SiteShape
from gigafactory.planner.solving import LineSolver

Array = npt.NDArray[np.float64]

TAIL_STEPS: Final = 12
DAY_STEPS: Final = 100  # the longest local day, 25 hours; a shorter one leaves steps empty
STEPS: Final = DAY_STEPS + TAIL_STEPS
STEP_H: Final = 0.25
#: Import below this counts as none.
_SLACK_MW: Final = 1e-6


@dataclass(frozen=True, slots=True)
class DayInput:
    """What is known when a day, or what is left of one, is planned; arrays over T steps.

    A day is planned over `STEPS` steps; again within the day over those of `planner.rolling`.

    Attributes:
        periods: market periods to be decided, the first steps; of a whole day 92, 96 or 100.
        hours: length of each step, h; 0 for steps a short day leaves empty.
        price_eur_per_mwh: known or expected day-ahead price.
        limit_mw: import limit.
        export_mw: export limit.
        offset_mw: what the site draws beside `site_per_it` times its IT above rest.
        rest_mw: IT power of accelerators in service at rest.
        capacity: accelerators in service.
        contract_mw: expected output, [contracts, T].
        soc_mwh: energy in the battery above its lower bound, now.
        arrivals_gpu_h: per group and step, work that would be done if nothing was deferred,
            [groups, T].
        position_mw: bought at the gate, sold where negative; what is needed beside it is traded.
        spread_eur_per_mwh: what trade after the auction costs beyond the day-ahead price.
        generators: what own generators could give and what that costs; nothing without any.
        offered: whether anything was offered at the gate. If not, what the plan needs counts as
            bought day-ahead.
        band: what the battery keeps for reserves sold; none where nothing was.
        peak_eur_per_mw: what a MW costs by which the highest import of the month grows.
        peak_mw: import above which it grows.
        other_month: steps that lie in the next month.
        slow: steps in which work may be slowed; left out, those whose work does not fit the limit.
    """

    periods: int
    hours: Array
    price_eur_per_mwh: Array
    limit_mw: Array
    export_mw: float
    offset_mw: Array
    rest_mw: Array
    capacity: Array
    contract_mw: Array
    soc_mwh: float
    arrivals_gpu_h: Array
    position_mw: Array = field(default_factory=lambda: np.zeros(STEPS))
    spread_eur_per_mwh: Array = field(default_factory=lambda: np.zeros(STEPS))
    offered: bool = False
    generators: Own = field(default_factory=Own)
    band: Band | None = None
    peak_eur_per_mw: float = 0.0
    peak_mw: float = 0.0
    other_month: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(STEPS, np.bool_))
    slow: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What the planner decided for the periods of a day.

    Attributes:
        status: "optimal", or the name of the fallback ("flat out": no plan, run within limits).
        it_mw: IT power planned, [periods].
        running: accelerators planned to run per group, [groups, periods].
        holds_h: jobs of a group shorter than this wait for money's sake, though nodes and
            connection have room, h, [groups, periods]; 0 where none does.
        speed: planned speed per group, [groups, periods].
        charge_mw: battery charge, [periods].
        discharge_mw: battery discharge, [periods].
        import_mw: import, [periods].
        export_mw: export, [periods].
        contract_share: share of each contract's output taken, [contracts, periods].
        day_ahead_mw: position bought (sold when negative) day-ahead, [periods].
        intraday_mw: bought (sold when negative) after that, [periods].
        objective_eur: value of the objective; nan without a plan.
        generator_mw: output of each own generator, [generators, periods]; 0 where it stands still.
        conflict: without a plan, what could not be kept; its steps are those of the plan: periods
            of the day first, behind `DAY_STEPS` hours after it.
    """

    status: str
    it_mw: Array
    running: Array
    holds_h: Array
    speed: Array
    charge_mw: Array
    discharge_mw: Array
    import_mw: Array
    export_mw: Array
    contract_share: Array
    day_ahead_mw: Array
    intraday_mw: Array
    objective_eur: float
    generator_mw: Array = field(default_factory=lambda: np.zeros((0, 0)))
    conflict: Conflict | None = None

    def followed_by(self, step: int, newer: Plan) -> Plan:
        """This plan until a step, and from there on a newer one whose first step it is.

        Which work is put off stays as it was (`planner.rolling`).
        """
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(self, name)[..., :step], getattr(newer, name)], axis=-1)
            for name in COURSES
        }
        return replace(self, **joined)


#: What a plan made again says anew for each market period.
COURSES: Final = (
    "it_mw", "speed", "charge_mw", "discharge_mw", "import_mw", "export_mw", "contract_share",
    "day_ahead_mw", "intraday_mw", "generator_mw",
)  # fmt: skip


class EnergyPlanner:
    """The LP of one site, built once and solved day after day.

    Every day is solved by a fresh solver on one thread, so a plan depends on its input alone and a
    resumed run repeats it to the last bit. Clearing a used solver is not enough: its next answer
    differs in the last digits.

    Args:
        shape: what does not change.
    """

    def __init__(self, shape: SiteShape) -> None:
        # what was bought at the gate is given; the rest is traded after it
        self.shape = shape = replace(shape, intraday=True)
        hours = np.full(STEPS, STEP_H)
        hours[DAY_STEPS:] = 1.0
        self._solver = LineSolver([shape], Horizon.line(hours))
        self._at = self._solver.program.layouts[0].columns

    def plan(self, day: DayInput) -> Plan:
        """Plan a day.

        Returns:
            The plan. When the solver finds none the status names the fallback, to run within
            physical limits with the battery at rest, and `Plan.conflict` what could not be kept.
        """
        found = self._solver.solve([self.numbers(day)])
        if found is None:
            why = find_conflict(self._solver.program) or Conflict(("solver",), 0, STEPS - 1)
            return replace(self.flat_out(day), conflict=why)
        width = found.program.width
        values = found.columns[: STEPS * width].reshape(STEPS, width)
        return self.read(day, values, found.objective_eur)

    def numbers(self, day: DayInput, months: int = 1) -> Numbers:
        """The numbers of a programme over the steps given.

        Args:
            day: what is known.
            months: peaks the programme has; that of the next month costs nothing yet.
        """
        steps = len(day.hours)
        s, x = self.shape, Numbers.plain(self.shape, steps)
        x.on = day.hours > 0
        price = day.price_eur_per_mwh
        mean = float(price[x.on].mean())
        x.import_eur_per_mwh = np.full(steps, s.levy_eur_per_mwh)
        x.export_eur_per_mwh = np.full(steps, -s.export_margin_eur_per_mwh)
        x.position_mw = day.position_mw
        x.buy_eur_per_mwh = price + day.spread_eur_per_mwh
        x.sell_eur_per_mwh = price - day.spread_eur_per_mwh
        x.limit_mw, x.export_mw = day.limit_mw, np.full(steps, day.export_mw)
        x.load_mw = day.offset_mw + s.site_per_it * day.rest_mw
        x.capacity = day.capacity
        x.contract_mw = day.contract_mw
        if s.generators:
            own = day.generators
            x.generator_mw, x.generator_eur_per_mwh = own.most_mw, own.cost_eur_per_mwh
            x.generator_least_mw = own.least_mw
        x.contract_eur_per_mwh = np.repeat(s.taking_eur_per_mwh[:, None], steps, axis=1)
        x.arrivals_gpu_h = day.arrivals_gpu_h
        delay = np.array([g.delay_eur_per_gpu_h for g in s.groups]).reshape(-1, 1)
        x.delay_eur_per_gpu_h = delay * day.hours / 24.0
        # work left at the end is done later, at an average price and a day's delay
        energy = s.site_per_it * (mean + s.levy_eur_per_mwh) / 1e6
        full_w = np.array([g.active_w[-1] for g in s.groups])
        x.delay_eur_per_gpu_h[:, -1] += delay[:, 0] + energy * full_w
        x.slow = self.may_slow(day) if day.slow is None else day.slow
        x.soc_mwh = day.soc_mwh
        if s.peaks:
            x.peak_eur_per_mw = np.array([day.peak_eur_per_mw, 0.0])[:months]
            x.peak_mw = np.array([day.peak_mw, 0.0])[:months]
            x.peak_row = day.other_month.astype(np.int64)
        # what is left in the battery is worth what it saves on an average hour
        x.soc_eur_per_mwh = s.stored_eur_per_mwh(mean)
        if day.band is not None:
            day.band.into(x)
        return x

    def may_slow(self, day: DayInput) -> npt.NDArray[np.bool_]:
        """Steps in which the work expected does not fit the connection at full speed.

        Only there is slower work an option: it sells the same hours for less progress, so saving
        energy is no reason for it, and more work per MW under a limit is.
        """
        full_w = np.array([g.active_w[-1] for g in self.shape.groups])
        hours = np.where(day.hours > 0, day.hours, 1.0)
        asked = day.arrivals_gpu_h.sum(axis=0) / hours
        fits = np.minimum(1.0, day.capacity / np.maximum(asked, 1e-9))
        active_mw = full_w @ day.arrivals_gpu_h * fits / hours / 1e6
        load = day.offset_mw + self.shape.site_per_it * (day.rest_mw + active_mw)
        return np.asarray(load > day.limit_mw)

    def read(self, day: DayInput, x: Array, objective_eur: float) -> Plan:
        """The plan that an answer of a programme stands for.

        Args:
            day: what it was asked with; its first `periods` steps are market periods.
            x: every column of a step, per step, [T, width].
            objective_eur: value of its objective.
        """
        s, n, at = self.shape, day.periods, self._at
        flows = {name: x[:n, at[name]] for name in ("import", "export", "beyond")}
        if s.generators:
            self._commit(day, x, flows)
        # where tax and margins are nought a solver may buy and sell at once; a meter shows the net
        both = np.minimum(flows["import"], flows["export"])
        flows["import"], flows["export"] = flows["import"] - both, flows["export"] - both
        if "soc" in at:
            # at negative prices a solver may charge and discharge at once; a battery does not
            flows["battery"] = x[:n, at["charge"]] - x[:n, at["discharge"]]
        it = day.rest_mw[:n].copy()
        speed = np.ones((len(s.groups), n))
        waits = np.zeros((len(s.groups), n), bool)
        running = np.zeros((len(s.groups), n))
        for i, g in enumerate(s.groups):
            count = x[:n, at[f"n.{i}"]]
            work = g.speed[0] * count
            it += count * g.active_w[0] / 1e6
            for k, (_, slope_w) in enumerate(g.segments):
                part = x[:n, at[f"seg.{i}.{k}"]]
                work = work + part
                it += part * slope_w / 1e6
            busy = count > 1.0
            speed[i, busy] = np.clip(work[busy] / count[busy], g.speed[0], 1.0)
            waits[i] = x[:n, at[f"backlog.{i}"]] > 1.0
            running[i] = count
        used = running.sum(axis=0)
        room = (used < day.capacity[:n] * 0.98) & (flows["import"] < day.limit_mw[:n] * 0.98)
        pace = (running, np.where(waits & room, self._worth_waiting_h(day), 0.0), speed)
        return self._plan("optimal", day, it, pace, flows, self._shares(day, x), objective_eur)

    def _worth_waiting_h(self, day: DayInput) -> Array:
        """Run time up to which jobs of each group gain by waiting, h, [groups, periods]."""
        s, n = self.shape, day.periods
        price = day.price_eur_per_mwh.repeat(quarters(day.hours))
        rows = [
            longest_h(price, STEP_H, s.site_per_it * g.active_w[-1], g.delay_eur_per_gpu_h, n)
            for g in s.groups
        ]
        return np.array(rows).reshape(len(s.groups), n)

    def _commit(self, day: DayInput, x: Array, flows: dict[str, Array]) -> None:
        """Round the programme's output to what generators can do, and trade the difference."""
        s, n, own = self.shape, day.periods, day.generators
        asked = np.array([x[:n, self._at[f"generator.{k}"]] for k in range(s.generators)])
        price = day.price_eur_per_mwh[:n]
        bought = flows["import"] > _SLACK_MW
        worth = np.where(bought, price + s.levy_eur_per_mwh, price - s.export_margin_eur_per_mwh)
        # at the limit of the connection a MWh is worth the work it lets be done
        tight = (flows["import"] >= day.limit_mw[:n] - _SLACK_MW) | (flows["beyond"] > _SLACK_MW)
        given = commit(own, asked, np.where(tight, BEYOND_EUR_PER_MWH, worth), STEP_H)
        net = flows["import"] - flows["export"] + (asked - given).sum(axis=0)
        room = np.minimum(day.export_mw, np.maximum(day.limit_mw[:n], 0.0))
        flows["import"] = np.clip(net, 0.0, np.maximum(day.limit_mw[:n], 0.0))
        flows["export"] = np.clip(-net, 0.0, room)
        flows["own"] = given

    def _shares(self, day: DayInput, x: Array) -> Array:
        """Share of each contract's output that is taken, [contracts, periods]."""
        s, n = self.shape, day.periods
        share = np.ones((s.contracts, n))
        for c in range(s.contracts):
            given = day.contract_mw[c, :n]
            # where nothing is expected, what comes after all is taken when it is worth its price
            worth = (s.taking_eur_per_mwh[c] < day.price_eur_per_mwh[:n]).astype(np.float64)
            used_mw = np.clip(x[:n, self._at[f"contract.{c}"]], 0.0, given)
            share[c] = np.where(given > 1e-6, used_mw / np.maximum(given, 1e-6), worth)
        share[s.firm] = 1.0
        return share

    def _plan(
        self,
        status: str,
        day: DayInput,
        it: Array,
        pace: tuple[Array, Array, Array],
        flows: dict[str, Array],
        share: Array,
        objective: float,
    ) -> Plan:
        n = day.periods
        taken = (share * day.contract_mw[:, :n]).sum(axis=0)
        battery = flows.get("battery", np.zeros(n))
        needed = flows["import"] + flows["beyond"] - flows["export"] - taken
        bought = day.position_mw[:n] if day.offered else needed
        return Plan(
            status=status,
            it_mw=it,
            running=pace[0],
            holds_h=pace[1],
            speed=pace[2],
            charge_mw=np.maximum(battery, 0.0),
            discharge_mw=np.maximum(-battery, 0.0),
            import_mw=flows["import"],
            export_mw=flows["export"],
            contract_share=share,
            day_ahead_mw=bought,
            intraday_mw=needed - bought,
            objective_eur=objective,
            generator_mw=flows.get("own", np.zeros((self.shape.generators, n))),
        )

    def flat_out(self, day: DayInput) -> Plan:
        """The fallback without a plan: run within physical limits, battery at rest, take all.

        What is no number, or less than nothing where nothing is the least, counts as nought.
        """
        n, s, day = day.periods, self.shape, _sound(day)
        full = np.minimum(
            day.capacity[:n] * max((g.active_w[-1] for g in s.groups), default=0.0) / 1e6,
            np.maximum(day.limit_mw[:n] - day.offset_mw[:n], 0.0) / s.site_per_it,
        )
        it = day.rest_mw[:n] + full
        groups = len(s.groups)
        pace = (np.zeros((groups, n)), np.zeros((groups, n)), np.ones((groups, n)))
        flows = {name: np.zeros(n) for name in ("export", "beyond")}
        flows["import"] = day.offset_mw[:n] + s.site_per_it * it
        return self._plan("flat out", day, it, pace, flows, np.ones((s.contracts, n)), float("nan"))


def quarters(hours: Array) -> npt.NDArray[np.int64]:
    """Market periods of a quarter of an hour in each step, [T]; 0 in a step left empty."""
    return np.rint(hours / STEP_H).astype(np.int64)


def _sound(day: DayInput) -> DayInput:
    """A day of numbers: what is none counts as nought, and so does less than nothing."""

    def numbers(values: Array) -> Array:
        return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)

    return replace(
        day,
        limit_mw=np.maximum(numbers(day.limit_mw), 0.0),
        offset_mw=numbers(day.offset_mw),
        rest_mw=np.maximum(numbers(day.rest_mw), 0.0),
        capacity=np.maximum(numbers(day.capacity), 0.0),
        contract_mw=np.maximum(numbers(day.contract_mw), 0.0),
        position_mw=numbers(day.position_mw),
    )
