"""The plan of a site made again within the day: quarters for six hours, hours for thirty more.

Which work is put off for money's sake is decided once, by the plan of the day: a plan that begins
anew every quarter of an hour would put off whatever is dear now, never reach the hour in which it
meant to catch up, and sell power that is drawn after all. Here only work that does not fit waits.

The programme lies on two rings (`planner.ring`), so that a step forward changes numbers and not the
matrix, and the solver goes on from where it was. It is solved from nothing once a day, so that what
it says depends on the day alone and a resumed run repeats it to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.planner.energy import STEP_H, DayInput, EnergyPlanner, Plan, quarters
from gigafactory.planner.numbers import Numbers
from gigafactory.planner.ring import Mixed, RingProgram, Turn
from gigafactory.planner.shape import Horizon

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Slots of a quarter of an hour, slots of an hour, and quarters in an hour.
FINE, COARSE, RATIO = 24, 30, 4
SLOTS = FINE + COARSE


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What a plan made again reaches over.

    Attributes:
        begin: first market period.
        turn: where the rings stand when it is about to begin.
        hours: length of each step, h, [T].
    """

    begin: int
    turn: Turn
    hours: Array

    @property
    def periods(self) -> int:
        """Market periods it reaches over."""
        return int(quarters(self.hours).sum())

    def firsts(self) -> Ints:
        """First market period of each step, [T]."""
        return self.turn.period

    def means(self, values: Array) -> Array:
        """Values per market period as means over the steps, [periods] to [T]."""
        return self._over(values, lambda hours: np.asarray(hours.mean(axis=1)))

    def most(self, values: Array) -> Array:
        """Values per market period as the highest of each step, [periods] to [T]."""
        return self._over(values, lambda hours: np.asarray(hours.max(axis=1)))

    def _over(self, values: Array, hourly: Callable[[Array], Array]) -> Array:
        short = len(self.hours) - COARSE
        long = values[short : self.periods].reshape(COARSE, RATIO)
        return np.concatenate([values[:short], hourly(long)])


class RollingPlanner:
    """Makes the plan of a site again from any market period on.

    Args:
        planner: the site's planner of whole days, whose rules it keeps.
    """

    def __init__(self, planner: EnergyPlanner) -> None:
        self.planner = planner
        none = np.full(SLOTS, -1, np.int64)
        horizon = Horizon.mixed(FINE, COARSE, RATIO, STEP_H, none)
        self._ring = RingProgram([planner.shape], horizon, [])
        self._rings = Mixed(FINE, COARSE, RATIO, 1)

    def forget(self) -> None:
        """Solve the next plan from nothing."""
        self._ring.forget()

    def window(self, begin: int) -> Window:
        """What a plan from a market period on reaches over; an hour has four of them."""
        turn = self._rings.at(begin)
        short = len(turn.slot) - COARSE
        hours = np.concatenate([np.full(short, STEP_H), np.full(COARSE, STEP_H * RATIO)])
        return Window(begin, turn, hours)

    def plan(self, window: Window, x: DayInput) -> Plan | None:
        """Plan the periods of a window that its input asks to be decided.

        Args:
            window: what it reaches over.
            x: what is known, over the steps of the window; `periods` may reach into the hours.

        Returns:
            The plan of the first `periods` market periods; None where the solver finds none.
        """
        self._ring.numbers = [self.numbers(x).laid_out(window.turn.slot, SLOTS)]
        every = np.arange(SLOTS, dtype=np.int64)
        if not self._ring.plan(window.turn.now, every):
            return None
        count = quarters(x.hours)
        values = self._ring.steps()[window.turn.slot].repeat(count, axis=0)
        return self.planner.read(_spread(x, count), values, self._ring.objective_eur)

    def numbers(self, x: DayInput) -> Numbers:
        """The numbers of a programme over the steps of a window, this month's peak and the next."""
        found = self.planner.numbers(x, months=2)
        found.backlog_most = np.tile(self._too_much(x), (len(self.planner.shape.groups), 1))
        return found

    def _too_much(self, x: DayInput) -> Array:
        """Work that cannot be done by the end of each step, accelerator-hours, at most, [T].

        What is more than the accelerators in service, and what does not fit the connection at full
        speed, counted in the work that draws least.
        """
        s = self.planner.shape
        asked = x.arrivals_gpu_h.sum(axis=0) / x.hours
        full_w = np.array([g.active_w[-1] for g in s.groups])
        active_mw = full_w @ x.arrivals_gpu_h / x.hours / 1e6
        over_mw = x.offset_mw + s.site_per_it * (x.rest_mw + active_mw) - x.limit_mw
        least_mw = s.site_per_it * full_w.min(initial=np.inf) / 1e6
        unfit = np.maximum(over_mw, 0.0) / least_mw + np.maximum(asked - x.capacity, 0.0)
        return np.asarray(np.cumsum(unfit * x.hours))


def _spread(x: DayInput, count: Ints) -> DayInput:
    """The same with every step cut into its market periods."""

    def wide(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return value.repeat(count, axis=-1)

    found: dict[str, Any] = {
        one.name: wide(getattr(x, one.name))
        for one in fields(x)
        if isinstance(getattr(x, one.name), np.ndarray)
    }
    own = x.generators
    if own.most_mw.size:
        names = ("most_mw", "least_mw", "cost_eur_per_mwh")
        courses: dict[str, Any] = {name: wide(getattr(own, name)) for name in names}
        found["generators"] = replace(own, **courses)
    found["arrivals_gpu_h"] = wide(x.arrivals_gpu_h / count)
    found["hours"] = np.full(int(count.sum()), STEP_H)
    return replace(x, **found)


__all__ = ["RollingPlanner", "Window"]
