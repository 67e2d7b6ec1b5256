"""The energy plan of a site: one LP per day, over the day and half the next.

Steps are market periods for the day planned and hours after that. Per step the LP chooses import
and export, battery, the use of each power contract, and per class of work how many accelerators run
and how fast, with what that leaves undone as a backlog that costs money. The shape of the matrix
never changes; only bounds, costs and right-hand sides do. The builder takes further blocks of
columns (reserves, heat) in the same way.

Power drawn by the site is taken as a straight line of IT power at the expected load; the responder
re-checks every period against what is metered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import highspy
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: What a MW beyond the connection limit costs in the plan, EUR/MWh: always dearer than any work.
BEYOND_EUR_PER_MWH: Final = 20_000.0
TAIL_STEPS: Final = 12
DAY_STEPS: Final = 100  # the longest local day, 25 hours; a shorter one leaves steps empty
STEPS: Final = DAY_STEPS + TAIL_STEPS
STEP_H: Final = 0.25


@dataclass(frozen=True, slots=True)
class GroupShape:
    """How a class of work turns accelerators into power and progress.

    Attributes:
        label: the class.
        speed: rising speeds from the slowest allowed to 1.0, two or three of them.
        active_w: watts above rest an accelerator draws at each.
        delay_eur_per_gpu_h: cost of one accelerator-hour delayed by a day.
    """

    label: str
    speed: tuple[float, ...]
    active_w: tuple[float, ...]
    delay_eur_per_gpu_h: float


@dataclass(frozen=True, slots=True)
class SiteShape:
    """What does not change from day to day.

    Attributes:
        groups: classes of work.
        battery_mw: power of the battery, 0 for none.
        battery_mwh: energy between its bounds.
        charge_efficiency: share stored of what is taken.
        discharge_efficiency: share given of what leaves.
        wear_eur_per_mwh: per MWh discharged.
        contracts: number of power contracts.
        contract_price_eur_per_mwh: price of each.
        contract_curtail_eur_per_mwh: paid per MWh not taken.
        levy_eur_per_mwh: margin and tax on import.
        export_margin_eur_per_mwh: taken off the price of export.
        site_per_it: MW the site draws more per MW of IT, used in every step.
    """

    groups: tuple[GroupShape, ...]
    battery_mw: float
    battery_mwh: float
    charge_efficiency: float
    discharge_efficiency: float
    wear_eur_per_mwh: float
    contracts: int
    contract_price_eur_per_mwh: tuple[float, ...]
    contract_curtail_eur_per_mwh: tuple[float, ...]
    levy_eur_per_mwh: float
    export_margin_eur_per_mwh: float
    site_per_it: float


@dataclass(frozen=True, slots=True)
class DayInput:
    """What is known when a day is planned; arrays over `STEPS` unless said.

    Attributes:
        periods: market periods of the day, 92, 96 or 100.
        hours: length of each step, h; 0 for steps a short day leaves empty.
        price_eur_per_mwh: known or expected day-ahead price.
        limit_mw: import limit.
        export_mw: export limit.
        offset_mw: what the site draws beside `site_per_it` times its IT above rest.
        rest_mw: IT power of accelerators in service at rest.
        capacity: accelerators in service.
        contract_mw: expected output, [contracts, STEPS].
        soc_mwh: energy in the battery above its lower bound, now.
        arrivals_gpu_h: per group and step, work that would be done if nothing was deferred,
            [groups, STEPS].
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


@dataclass(frozen=True, slots=True)
class Plan:
    """What the planner decided for the periods of a day.

    Attributes:
        status: "optimal", or the name of the fallback ("flat out": no plan, run within limits).
        it_mw: IT power planned, [periods].
        running: accelerators planned to run per group, [groups, periods].
        defers: where work of a group waits for money's sake, though nodes and connection have
            room, [groups, periods].
        speed: planned speed per group, [groups, periods].
        charge_mw: battery charge, [periods].
        discharge_mw: battery discharge, [periods].
        import_mw: import, [periods].
        export_mw: export, [periods].
        contract_share: share of each contract's output taken, [contracts, periods].
        day_ahead_mw: position bought (sold when negative) day-ahead, [periods].
        objective_eur: value of the objective; nan without a plan.
    """

    status: str
    it_mw: Array
    running: Array
    defers: npt.NDArray[np.bool_]
    speed: Array
    charge_mw: Array
    discharge_mw: Array
    import_mw: Array
    export_mw: Array
    contract_share: Array
    day_ahead_mw: Array
    objective_eur: float


class EnergyPlanner:
    """The LP of one site, built once and solved day after day.

    Every day is solved by a fresh solver on one thread, so a plan depends on its input alone and a
    resumed run repeats it to the last bit. Clearing a used solver is not enough: its next answer
    differs in the last digits.

    Args:
        shape: what does not change.
    """

    def __init__(self, shape: SiteShape) -> None:
        self.shape = shape
        self._segments = [len(g.speed) - 1 for g in shape.groups]
        # columns of a step: import, export, beyond, charge, discharge, soc, contracts,
        # then per group: accelerators, one per segment of speed, backlog
        self._contract = 6
        self._group: list[int] = []
        at = self._contract + shape.contracts
        for k in self._segments:
            self._group.append(at)
            at += 2 + k
        self._columns = at
        # rows of a step: balance, soc, inverter, capacity, then per group: segments, backlog
        self._rows = 4 + sum(k + 1 for k in self._segments)
        self._lp = self._matrix()

    def _matrix(self) -> highspy.HighsLp:
        """The matrix, whose numbers stay the same: hours enter through energy per step."""
        entries: list[tuple[int, int, float]] = []
        for step in range(STEPS):
            entries += self._step_entries(step)
        entries.sort()
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self._columns * STEPS, self._rows * STEPS
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        rows = np.array([e[0] for e in entries])
        lp.a_matrix_.start_ = np.searchsorted(rows, np.arange(lp.num_row_ + 1)).astype(np.int32)
        lp.a_matrix_.index_ = np.array([e[1] for e in entries], np.int32)
        lp.a_matrix_.value_ = np.array([e[2] for e in entries])
        lp.col_cost_ = np.zeros(lp.num_col_)
        lp.col_lower_ = np.zeros(lp.num_col_)
        lp.col_upper_ = np.zeros(lp.num_col_)
        lp.row_lower_ = np.zeros(lp.num_row_)
        lp.row_upper_ = np.zeros(lp.num_row_)
        return lp

    def _step_entries(self, step: int) -> list[tuple[int, int, float]]:
        s = self.shape
        row, col = step * self._rows, step * self._columns
        h = STEP_H if step < DAY_STEPS else 1.0
        last = col - self._columns
        out = [(row, col, 1.0), (row, col + 1, -1.0), (row, col + 2, 1.0)]
        out += [(row, col + 3, -1.0), (row, col + 4, 1.0)]
        out += [(row + 1, col + 5, 1.0), (row + 1, col + 3, -h * s.charge_efficiency)]
        out += [(row + 1, col + 4, h / s.discharge_efficiency)]
        if step:
            out.append((row + 1, last + 5, -1.0))
        power = s.battery_mw or 1.0
        out += [(row + 2, col + 3, 1.0 / power), (row + 2, col + 4, 1.0 / power)]
        at = row + 4
        for g, base in zip(s.groups, self._group, strict=True):
            segments = len(g.speed) - 1
            n, backlog = col + base, col + base + 1 + segments
            out.append((row + 3, n, 1.0))
            out.append((row, n, -s.site_per_it * g.active_w[0] / 1e6))
            work = [(n, g.speed[0])]
            for k in range(segments):
                width = g.speed[k + 1] - g.speed[k]
                slope = (g.active_w[k + 1] - g.active_w[k]) / width
                out.append((row, n + 1 + k, -s.site_per_it * slope / 1e6))
                out += [(at + k, n + 1 + k, 1.0), (at + k, n, -width)]
                work.append((n + 1 + k, 1.0))
            out += [(at + segments, c, w * h) for c, w in work]
            out.append((at + segments, backlog, 1.0))
            if step:
                out.append((at + segments, backlog - self._columns, -1.0))
            at += segments + 1
        return out

    def plan(self, day: DayInput) -> Plan:
        """Plan a day.

        Returns:
            The plan. When the solver finds none the status says so and the plan is to run within
            physical limits with the battery at rest.
        """
        self._set_columns(day)
        self._set_rows(day)
        highs = highspy.Highs()
        highs.silent()
        for option, value in (("threads", 1), ("presolve", "on"), ("solver", "simplex")):
            highs.setOptionValue(option, value)
        highs.setOptionValue("random_seed", 0)
        highs.passModel(self._lp)
        highs.run()
        values = np.array(highs.getSolution().col_value)
        optimal = highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
        if not (optimal and len(values) == STEPS * self._columns and np.isfinite(values).all()):
            return self.flat_out(day)
        values = values.reshape(STEPS, self._columns)
        return self._read(day, values, float(highs.getInfo().objective_function_value))

    def _set_columns(self, day: DayInput) -> None:
        s = self.shape
        cost = np.zeros((STEPS, self._columns))
        upper = np.full((STEPS, self._columns), highspy.kHighsInf)
        h = day.hours
        on = h > 0
        price = day.price_eur_per_mwh
        cost[:, 0] = (price + s.levy_eur_per_mwh) * h
        cost[:, 1] = -(price - s.export_margin_eur_per_mwh) * h
        cost[:, 2] = BEYOND_EUR_PER_MWH * h
        cost[:, 4] = s.wear_eur_per_mwh * h
        upper[:, 0] = np.maximum(day.limit_mw, 0.0)
        # a cable that carries less one way carries less the other way
        upper[:, 1] = np.minimum(day.export_mw, upper[:, 0])
        upper[:, 3] = upper[:, 4] = np.where(on, s.battery_mw, 0.0)
        upper[:, 5] = s.battery_mwh
        # what is left in the battery is worth what it saves on an average hour
        cost[-1, 5] = -max(float(price[on].mean()) - s.wear_eur_per_mwh, 0.0) * (
            s.discharge_efficiency
        )
        for c in range(s.contracts):
            at = self._contract + c
            gain = s.contract_price_eur_per_mwh[c] - s.contract_curtail_eur_per_mwh[c]
            cost[:, at] = (gain - price) * h
            upper[:, at] = day.contract_mw[c]
        energy = s.site_per_it * (float(price[on].mean()) + s.levy_eur_per_mwh) / 1e6
        for g, base in zip(s.groups, self._group, strict=True):
            segments = len(g.speed) - 1
            for k in range(segments):
                upper[:, base + 1 + k] = np.where(on, highspy.kHighsInf, 0.0)
            upper[:, base] = np.where(on, highspy.kHighsInf, 0.0)
            backlog = base + 1 + segments
            cost[:, backlog] = g.delay_eur_per_gpu_h * h / 24.0
            # work left at the end is done later, at an average price and a day's delay
            cost[-1, backlog] += g.delay_eur_per_gpu_h + energy * g.active_w[-1]
        self._lp.col_cost_, self._lp.col_upper_ = cost.ravel(), upper.ravel()

    def _set_rows(self, day: DayInput) -> None:
        lower = np.zeros((STEPS, self._rows))
        upper = np.zeros((STEPS, self._rows))
        balance = day.offset_mw + self.shape.site_per_it * day.rest_mw
        lower[:, 0] = upper[:, 0] = np.where(day.hours > 0, balance, 0.0)
        lower[0, 1] = upper[0, 1] = day.soc_mwh
        lower[:, 2], upper[:, 2] = -highspy.kHighsInf, 1.0
        lower[:, 3], upper[:, 3] = -highspy.kHighsInf, day.capacity
        slow = self._may_slow(day)
        at = 4
        for i, segments in enumerate(self._segments):
            lower[:, at : at + segments] = np.where(slow, -highspy.kHighsInf, 0.0)[:, None]
            lower[:, at + segments] = upper[:, at + segments] = day.arrivals_gpu_h[i]
            at += segments + 1
        self._lp.row_lower_, self._lp.row_upper_ = lower.ravel(), upper.ravel()

    def _may_slow(self, day: DayInput) -> npt.NDArray[np.bool_]:
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

    def _read(self, day: DayInput, x: Array, objective: float) -> Plan:
        s, n = self.shape, day.periods
        x = x[:n]
        # where tax and margins are nought a solver may buy and sell at once; a meter shows the net
        both = np.minimum(x[:, 0], x[:, 1])
        x[:, 0] -= both
        x[:, 1] -= both
        it = day.rest_mw[:n].copy()
        speed = np.ones((len(s.groups), n))
        waits = np.zeros((len(s.groups), n), bool)
        running = np.zeros((len(s.groups), n))
        for i, (g, base) in enumerate(zip(s.groups, self._group, strict=True)):
            segments = len(g.speed) - 1
            count, backlog = x[:, base], x[:, base + 1 + segments]
            work = g.speed[0] * count
            it += count * g.active_w[0] / 1e6
            for k in range(segments):
                width = g.speed[k + 1] - g.speed[k]
                part = x[:, base + 1 + k]
                work = work + part
                it += part * (g.active_w[k + 1] - g.active_w[k]) / width / 1e6
            busy = count > 1.0
            speed[i, busy] = np.clip(work[busy] / count[busy], g.speed[0], 1.0)
            waits[i] = backlog > 1.0
            running[i] = count
        used = running.sum(axis=0)
        room = (used < day.capacity[:n] * 0.98) & (x[:, 0] < day.limit_mw[:n] * 0.98)
        share = np.ones((s.contracts, n))
        for c in range(s.contracts):
            given = day.contract_mw[c, :n]
            gain = s.contract_price_eur_per_mwh[c] - s.contract_curtail_eur_per_mwh[c]
            # where nothing is expected, what comes after all is taken when it is worth its price
            worth = (gain < day.price_eur_per_mwh[:n]).astype(np.float64)
            used_mw = np.clip(x[:, self._contract + c], 0.0, given)
            share[c] = np.where(given > 1e-6, used_mw / np.maximum(given, 1e-6), worth)
        pace = (running, waits & room, speed)
        return self._plan("optimal", day, it, pace, x, share, objective)

    def _plan(
        self,
        status: str,
        day: DayInput,
        it: Array,
        pace: tuple[Array, npt.NDArray[np.bool_], Array],
        x: Array,
        share: Array,
        objective: float,
    ) -> Plan:
        n = day.periods
        taken = (share * day.contract_mw[:, :n]).sum(axis=0)
        net = x[:, 0] + x[:, 2] - x[:, 1]
        # at negative prices a solver may charge and discharge at once; a battery does not
        battery = x[:, 3] - x[:, 4]
        return Plan(
            status=status,
            it_mw=it,
            running=pace[0],
            defers=pace[1],
            speed=pace[2],
            charge_mw=np.maximum(battery, 0.0),
            discharge_mw=np.maximum(-battery, 0.0),
            import_mw=x[:, 0],
            export_mw=x[:, 1],
            contract_share=share,
            day_ahead_mw=net - taken,
            objective_eur=objective,
        )

    def flat_out(self, day: DayInput) -> Plan:
        """The fallback without a plan: run within physical limits, battery at rest, take all."""
        n, s = day.periods, self.shape
        full = np.minimum(
            day.capacity[:n] * max((g.active_w[-1] for g in s.groups), default=0.0) / 1e6,
            np.maximum(day.limit_mw[:n] - day.offset_mw[:n], 0.0) / s.site_per_it,
        )
        it = day.rest_mw[:n] + full
        groups = len(s.groups)
        pace = (np.zeros((groups, n)), np.zeros((groups, n), bool), np.ones((groups, n)))
        x = np.zeros((n, self._columns))
        x[:, 0] = day.offset_mw[:n] + s.site_per_it * it
        return self._plan(
            "flat out",
            day,
            it,
            pace,
            x,
            np.ones((s.contracts, n)),
            float("nan"),
        )
