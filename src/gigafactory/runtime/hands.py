"""What the responder's megawatts mean to real pools: which jobs slow down, pause, go, come back.

A responder asks for power; a pool has whole gangs. So at least as much is shed as was asked, and
what a gang is more than that is the grain of the work (`granularity_mw` in the table). The kernel
chooses the jobs by its own rules: those that started last first, and paused ones wake in the
reverse order. Whole MW here are IT power.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gigafactory.kernel import JobState, Pool

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Less than this is nothing, MW: a watt. Keeps rounding from pausing a job.
GRAIN_MW = 1e-6
_MW = 1e9  # milliwatts, the kernel's unit
_RUNNING, _PAUSED = int(JobState.RUNNING), int(JobState.PAUSED)


@dataclass(slots=True)
class Hand:
    """One pool as the responder's hands hold it.

    Attributes:
        number: of the pool in the run.
        kernel: the pool.
        power_mw: int64[classes, steps], milliwatts per active accelerator by speed step.
        floor: slowest step per class.
        reference: step per class without any response.
        step: step per class in force.
        nodes: nodes in service without any response.
        budget_mw: power budget in force, milliwatts; None for none.
        most_mw: budget for another reason than the site's limit, milliwatts; None for none.
        running, paused: views of the accelerators per class.
        above_reference_mw, above_floor_mw, above_now_mw: what an active accelerator draws above
            rest at its reference, at the slowest it goes, and now, per class, MW.
    """

    number: int
    kernel: Pool
    power_mw: Ints  # units-ok: milliwatt, the kernel's integer unit
    floor: Ints
    reference: Ints
    step: Ints
    running: Ints
    paused: Ints
    above_reference_mw: Array
    above_floor_mw: Array
    above_now_mw: Array
    nodes: int = 0
    budget_mw: int | None = None  # units-ok: milliwatt, the kernel's integer unit
    most_mw: int | None = None  # units-ok: milliwatt, the kernel's integer unit

    @property
    def draw_mw(self) -> int:  # units-ok: milliwatt, the kernel's integer unit
        """Milliwatts drawn now."""
        return int(self.kernel.state.v[0]["draw"])

    @property
    def rest_mw(self) -> int:  # units-ok: milliwatt, the kernel's integer unit
        """Milliwatts its nodes in service draw at rest."""
        v = self.kernel.state.v[0]
        spec = self.kernel.spec
        return int(v["in_service"]) * spec.node_size * spec.idle_power_mw

    @property
    def target(self) -> int:
        """Nodes it was told to have in service."""
        return int(self.kernel.state.v[0]["target"])

    @property
    def paused_jobs(self) -> int:
        """Jobs that are paused."""
        return int(self.kernel.state.v[0]["paused_jobs"])

    @classmethod
    def of(cls, number: int, kernel: Pool, power_mw: Ints, floor: Ints) -> Hand:
        """A pool whose work runs at full speed."""
        classes = len(floor)
        group = kernel.state.group
        full = np.full(classes, power_mw.shape[1] - 1, np.int64)
        none = np.zeros(classes)
        running, paused = group["running"][:classes], group["paused"][:classes]
        hand = cls(number, kernel, power_mw, floor, full, full, running, paused, none, none, none)
        hand.refer_to(full)
        hand.note_step(full)
        return hand

    def refer_to(self, step: Ints) -> None:
        """Take these steps for those without any response."""
        self.reference = step
        self.above_reference_mw = self._above(step)
        self.above_floor_mw = self._above(np.minimum(self.floor, step))

    def note_step(self, step: Ints) -> None:
        """Know that these steps are in force."""
        self.step = step
        self.above_now_mw = self._above(step)

    def _above(self, step: Ints) -> Array:
        watts = self.power_mw[np.arange(len(step)), step]
        return np.asarray((watts - self.kernel.spec.idle_power_mw) / _MW, np.float64)

    def set_budget(self, budget_mw: int | None) -> None:  # units-ok: milliwatt
        """Tell the pool its budget, and remember it."""
        if self.most_mw is not None:
            budget_mw = self.most_mw if budget_mw is None else min(budget_mw, self.most_mw)
        self.budget_mw = budget_mw
        self.kernel.set_budget(budget_mw)


@contextmanager
def _only(kernel: Pool, classes: Sequence[int]) -> Iterator[None]:
    """Let only some classes be victims, in this order."""
    victims = kernel.state.victims
    before = victims.copy()
    named = list(classes) or before.tolist()
    victims[:] = (named + [named[-1]] * len(victims))[: len(victims)]
    try:
        yield
    finally:
        victims[:] = before


class Hands:
    """The pools of a site, moved to what a responder asks.

    Args:
        hands: the pools.
        order: classes, first to give way first.
        set_speed: tells a pool its speeds.
    """

    def __init__(
        self, hands: list[Hand], order: Sequence[int], set_speed: Callable[[int, Ints], None]
    ) -> None:
        self.hands, self.order, self._set_speed = hands, list(order), set_speed

    def draw_mw(self) -> float:
        """IT power now, MW."""
        return sum(hand.draw_mw for hand in self.hands) / _MW

    @property
    def paused_jobs(self) -> int:
        """Jobs that are paused in all."""
        return sum(hand.paused_jobs for hand in self.hands)

    @property
    def acting(self) -> bool:
        """Whether work is slowed down or paused by the response."""
        slow = any((hand.step < hand.reference).any() for hand in self.hands)
        return slow or self.paused_jobs > 0

    def throttle(self, share: Array) -> None:
        """Slow classes down: 0 is their reference, 1 the slowest they go; at least as much."""
        for hand in self.hands:
            goal = hand.reference.copy()
            for g in np.flatnonzero(share > 0.0).tolist():
                low, high = int(min(hand.floor[g], goal[g])), int(goal[g])
                watts = hand.power_mw[g, low : high + 1]
                aim = watts[-1] - share[g] * (watts[-1] - watts[0])
                goal[g] = low + max(int(np.searchsorted(watts, aim, side="right")) - 1, 0)
            if (goal != hand.step).any():
                hand.note_step(goal)
                self._set_speed(hand.number, goal)

    def pause(self, need_mw: float, owed_mw: Array) -> None:
        """Pause jobs until IT power has fallen by so much; beyond that only by the last job's size.

        Args:
            need_mw: MW.
            owed_mw: of each class, what it should give and does not yet; those first.
        """
        goal = self.draw_mw() - need_mw
        for owed in (True, False):
            for g in self.order:
                left = self.draw_mw() - goal
                if left <= GRAIN_MW:
                    return
                if owed and owed_mw[g] <= GRAIN_MW:
                    continue
                self._pause_class(g, min(left, float(owed_mw[g])) if owed else left)

    def _pause_class(self, g: int, need_mw: float) -> None:
        goal = self.draw_mw() - need_mw
        most = sorted(self.hands, key=lambda hand: -int(hand.running[g]))
        for hand in most:
            left = round((self.draw_mw() - goal) * _MW)
            if left <= GRAIN_MW * _MW or not hand.running[g]:
                continue
            watts = _youngest_first(hand, g)
            sums = np.cumsum(watts)
            if not len(sums):
                continue
            at = min(int(np.searchsorted(sums, left)), len(sums) - 1)
            with _only(hand.kernel, [g]):
                hand.set_budget(hand.draw_mw - int(sums[at]))

    def give_back(self, room_mw: float) -> None:
        """Let paused jobs go on that fit into so much IT power, last paused first."""
        for hand in self.hands:
            if not hand.paused_jobs:
                continue
            state, idle = hand.kernel.state, hand.kernel.spec.idle_power_mw
            jobs = np.flatnonzero(state.job["state"] == _PAUSED)
            each = state.group["power"][state.ask["group"][jobs]] - idle
            least = int((state.job["width"][jobs] * each).min())
            before = hand.draw_mw
            room = round((room_mw + GRAIN_MW) * _MW)
            if least > room:
                continue
            hand.set_budget(before + room)
            room_mw -= (hand.draw_mw - before) / _MW

    def cut(self, goal_mw: float, classes: Sequence[int]) -> None:
        """Cut nodes off at once until IT power is at most so much: idle ones, then with their work.

        Work loses what it has done since its last checkpoint, and waits again.
        """
        for hand in sorted(self.hands, key=lambda hand: -hand.draw_mw):
            over = round((self.draw_mw() - goal_mw) * _MW)
            if over <= 0:
                return
            self._cut(hand, max(hand.draw_mw - over, 0), classes)

    @staticmethod
    def _cut(hand: Hand, goal: int, classes: Sequence[int]) -> None:
        kernel, v = hand.kernel, hand.kernel.state.v[0]
        size, idle = kernel.spec.node_size, kernel.spec.idle_power_mw
        paused = hand.paused_jobs
        while hand.draw_mw > goal and int(v["in_service"]):
            nodes = int(v["in_service"])
            empty = int((kernel.state.node["free"] == size).sum())
            over = hand.draw_mw - goal
            fewer = -(-over // (size * idle))
            if fewer > empty:
                full = size * int(kernel.state.group["power"].max())
                fewer = empty + max((over - empty * size * idle) // full, 1)
            with _only(kernel, classes):
                kernel.set_service(max(nodes - int(fewer), 0))
                if paused:  # they were woken so that they could be cut off; back to rest
                    hand.set_budget(max(goal, hand.rest_mw))

    def bring_in(self, hand: Hand, nodes: int) -> None:
        """Bring some nodes into service, and let work start on them."""
        spec = hand.kernel.spec
        if hand.budget_mw is not None:
            hand.budget_mw += nodes * spec.node_size * spec.idle_power_mw
        hand.kernel.set_service(hand.target + nodes)
        hand.kernel.set_budget(hand.budget_mw)


def _youngest_first(hand: Hand, g: int) -> Ints:
    """Milliwatts above rest of a class's running jobs, those that started last first."""
    state = hand.kernel.state
    mine = (state.job["state"] == _RUNNING) & (state.ask["group"] == g)
    jobs = np.flatnonzero(mine)
    order = np.lexsort((-jobs, -state.job["start"][jobs]))
    each = int(state.group["power"][g]) - hand.kernel.spec.idle_power_mw
    return np.asarray(state.job["width"][jobs[order]].astype(np.int64) * each)


__all__ = ["GRAIN_MW", "Hand", "Hands"]
