"""How a plan meets the present, period by period: nodes in service, speeds, power budgets.

In order: what the connection and the battery allow now is the envelope; running work is throttled,
first victims first, down to each class's floor; what still does not fit is left to the pools to
pause, by their budgets; when resting nodes alone exceed the envelope, nodes leave service. A plan
that defers work for money holds back starts and pauses nothing that runs. Pure: numbers in, numbers
out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool as the responder sees it.

    Attributes:
        running: int64[groups], active accelerators.
        nodes: nodes that could be in service (installed, energised, not broken).
        in_service: nodes in service now.
        node_size: accelerators per node.
        waiting: whether jobs wait in its queue.
        idle_mw: milliwatts per accelerator at rest.
        power_mw: int64[groups, steps], milliwatts per active accelerator by speed step.
        hall: the hall it stands in, a number at its site.
    """

    running: Ints
    nodes: int
    in_service: int
    node_size: int
    waiting: bool
    idle_mw: int  # units-ok: milliwatt, the kernel's integer unit
    power_mw: Ints  # units-ok: milliwatt, the kernel's integer unit
    hall: int = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """What the plan of a site wants of its groups in a period.

    Attributes:
        speed: speed step, int64[groups].
        running: accelerators planned to run, float64[groups].
        holds_h: shorter jobs than this wait for money's sake, h, float64[groups]; 0 for none.
    """

    speed: Ints
    running: npt.NDArray[np.float64]
    holds_h: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Intent:
    """What the pools of a site are told for a period.

    Attributes:
        envelope_mw: IT power allowed, milliwatts.
        nodes: nodes in service, per pool.
        speed: speed step per pool and group, int64[pools, groups].
        budget_mw: power budget per pool, milliwatts; None where no limit can be reached.
        held_s: queued jobs with less left to run than this do not start for now, s, int64[groups].
    """

    envelope_mw: int  # units-ok: milliwatt, the kernel's integer unit
    nodes: tuple[int, ...]
    speed: Ints
    budget_mw: tuple[int | None, ...]  # units-ok: milliwatt, the kernel's integer unit
    held_s: Ints


@dataclass(frozen=True, slots=True)
class _Told:
    """What one pool is told: nodes in service, speed per group, budget in milliwatts."""

    nodes: int
    speed: Ints
    budget_mw: int | None  # units-ok: milliwatt, the kernel's integer unit

    def and_also(self, other: _Told) -> _Told:
        """Both at once."""
        budgets = [b for b in (self.budget_mw, other.budget_mw) if b is not None]
        return _Told(
            min(self.nodes, other.nodes),
            np.minimum(self.speed, other.speed),
            min(budgets, default=None),
        )


class Responder:
    """Turns an envelope into speeds and budgets.

    Args:
        full_speed: the speed step that is full speed.
        victims: group numbers, first to be throttled first.
        floor: lowest speed step per group, int64[groups].
    """

    def __init__(self, full_speed: int, victims: tuple[int, ...], floor: Ints) -> None:
        self.full_speed = full_speed
        self.victims = victims
        self.floor = floor

    def decide(
        self,
        envelope_mw: float,
        wish: Wish,
        pools: list[PoolView],
        halls_mw: Mapping[int, float] | None = None,
    ) -> Intent:
        """Decide for one period: for the site, then for every hall with a limit of its own.

        What a hall cannot take of its share of the site's envelope goes to the other halls.

        Args:
            envelope_mw: IT power allowed, MW; infinite for no limit.
            wish: what the plan wants.
            pools: the pools behind one connection.
            halls_mw: IT power allowed per hall number, MW; a hall left out has no limit.

        Returns:
            The intent. Budgets sum to the envelope where halls allow it; each is at least what its
            nodes draw at rest, unless resting nodes alone exceed an envelope.
        """
        runs = sum((p.running for p in pools), np.zeros_like(wish.speed))
        enough = runs >= wish.running
        held_s = np.where(enough, np.rint(wish.holds_h * 3600.0), 0.0).astype(np.int64)
        told = self._within(envelope_mw, wish.speed, pools)
        tight: set[int] = set()
        for hall, limit_mw in (halls_mw or {}).items():
            mine = [i for i, p in enumerate(pools) if p.hall == hall]
            inside = self._within(limit_mw, wish.speed, [pools[i] for i in mine])
            if any(one.budget_mw is not None for one in inside):
                tight.update(mine)
                for i, one in zip(mine, inside, strict=True):
                    told[i] = told[i].and_also(one)
        if tight:
            self._hand_on(envelope_mw, told, tight, pools)
        most = _most(pools)
        return Intent(
            envelope_mw=most if envelope_mw * 1e9 >= most else max(int(envelope_mw * 1e9), 0),
            nodes=tuple(one.nodes for one in told),
            speed=np.array([one.speed for one in told]),
            budget_mw=tuple(one.budget_mw for one in told),
            held_s=held_s,
        )

    def _within(self, envelope_mw: float, planned: Ints, pools: list[PoolView]) -> list[_Told]:
        """What pools that share an envelope are told."""
        most = _most(pools)
        if envelope_mw * 1e9 >= most:
            return [_Told(p.nodes, planned, None) for p in pools]
        envelope = max(int(envelope_mw * 1e9), 0)
        nodes = self._nodes(envelope, pools)
        rest = [n * p.node_size * p.idle_mw for n, p in zip(nodes, pools, strict=True)]
        speed = self._speeds(envelope - sum(rest), planned, pools)
        active = [self._active(p, speed) for p in pools]
        budgets = self._split(envelope, rest, active, nodes, pools)
        return [_Told(n, speed, b) for n, b in zip(nodes, budgets, strict=True)]

    @staticmethod
    def _hand_on(
        envelope_mw: float, told: list[_Told], tight: set[int], pools: list[PoolView]
    ) -> None:
        """Give what tight halls leave of the site's envelope to the pools in other halls."""
        others = [i for i in range(len(pools)) if i not in tight]
        given = [one.budget_mw for one in told if one.budget_mw is not None]
        if len(given) < len(pools) or not others:
            return  # the site itself has power enough for them, or there are none
        left = max(int(envelope_mw * 1e9), 0) - sum(given)
        size = {i: pools[i].nodes * pools[i].node_size for i in others}
        whole = max(sum(size.values()), 1)
        for i in others:
            budget = (told[i].budget_mw or 0) + left * size[i] // whole
            told[i] = replace(told[i], budget_mw=budget)

    def _nodes(self, envelope: int, pools: list[PoolView]) -> tuple[int, ...]:
        """Nodes in service: all, or as many as can rest within nine tenths of the envelope."""
        rest = sum(p.nodes * p.node_size * p.idle_mw for p in pools)
        if rest <= envelope:
            return tuple(p.nodes for p in pools)
        return tuple(int(p.nodes * (envelope * 0.9 / rest)) for p in pools)

    @staticmethod
    def _active(pool: PoolView, speed: Ints) -> int:
        """Milliwatts above rest of what runs in a pool at given speeds."""
        return sum(
            int(pool.running[g]) * (int(pool.power_mw[g, speed[g]]) - pool.idle_mw)
            for g in range(len(pool.running))
        )

    def _speeds(self, room: int, planned: Ints, pools: list[PoolView]) -> Ints:
        """Slow groups down, first victims first, until what runs fits the room."""
        speed = planned.copy()
        over = sum(self._active(p, speed) for p in pools) - room
        for g in self.victims:
            if over <= 0:
                break
            before = sum(int(p.running[g]) * int(p.power_mw[g, speed[g]]) for p in pools)
            low, high = int(min(self.floor[g], speed[g])), int(speed[g])
            while low < high:  # the fastest step that saves enough, or the floor
                middle = (low + high + 1) // 2
                draw = sum(int(p.running[g]) * int(p.power_mw[g, middle]) for p in pools)
                if before - draw >= over:
                    low = middle
                else:
                    high = middle - 1
            speed[g] = low
            over -= before - sum(int(p.running[g]) * int(p.power_mw[g, low]) for p in pools)
        return speed

    @staticmethod
    def _split(
        envelope: int,
        rest: list[int],
        active: list[int],
        nodes: tuple[int, ...],
        pools: list[PoolView],
    ) -> tuple[int | None, ...]:
        """Give each pool what it draws and a share of the room, by how much more it could use."""
        room = envelope - sum(rest) - sum(active)
        if room < 0:  # to be paused: every pool gives up the same share of what is active
            kept = max(envelope - sum(rest), 0)
            total = sum(active)
            return tuple(r + a * kept // total for r, a in zip(rest, active, strict=True))
        wants = []
        for pool, n in zip(pools, nodes, strict=True):
            free = max(n * pool.node_size - int(pool.running.sum()), 0)
            want = free * (int(pool.power_mw[:, -1].max()) - pool.idle_mw)
            wants.append(want if pool.waiting else want // 4)
        total = sum(wants) or 1
        return tuple(r + a + room * w // total for r, a, w in zip(rest, active, wants, strict=True))


def _most(pools: list[PoolView]) -> int:
    """Milliwatts that pools draw when every accelerator works."""
    return sum(p.nodes * p.node_size * int(p.power_mw[:, -1].max()) for p in pools)
