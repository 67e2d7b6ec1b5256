"""The plant's own power caps: what still lowers power where the workload manager does not answer.

A pool whose manager hangs while the limit of its connection is broken is slowed by caps on its
accelerators, set by an agent that is not the manager's. Every device of the pool gets the same cap:
what a manager that hangs runs where is not known. A cap is renewed while it is needed and has an
end, so that an agent nobody speaks to any more lets go by itself.

A cap stays, once set, while the manager is away, and after that until the gate has brought what
runs below what may run: let go before, the limit would be broken again at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gigafactory.plant.ports import Setpoint
from gigafactory.runtime.live import frames
from gigafactory.runtime.live.caps import CapPart
from gigafactory.runtime.live.parts import PLANT_CAP, Parts
from gigafactory.runtime.live.troubles import Troubles
from gigafactory.units import NS_PER_S

_WATT: Final = "W"
#: What an intent to cap is called in the journal, among the commands to nodes.
CAP: Final = "cap"
#: A cap that is let go is told so with an end so near; then the agent's own safe cap holds.
_LET_GO_S: Final = 5


@dataclass(slots=True)
class Capping:
    """Caps of all pools.

    Attributes:
        parts: by pool; a pool without any cannot be capped.
    """

    parts: Mapping[str, Sequence[CapPart]]
    _held: dict[str, _Held] = field(default_factory=dict)

    def can(self, pool: str) -> bool:
        """Whether there is anything to cap in a pool."""
        return bool(self.parts.get(pool))

    def holds(self, pool: str) -> bool:
        """Whether a pool is capped now."""
        return pool in self._held

    def devices(self, pool: str) -> int:
        """How many devices of a pool have caps."""
        return sum(len(one.devices) for one in self.parts.get(pool, ()))

    def wanted_w(self, pool: str, allowed_w: float) -> tuple[float, bool]:
        """The cap of each device that keeps a pool within a power.

        Args:
            pool: its name.
            allowed_w: IT power of the pool, W.

        Returns:
            The cap, W, and whether it is enough: devices have a lowest cap.
        """
        parts = self.parts[pool]
        beside_w = sum(one.beside_w * len(one.devices) for one in parts)
        even_w = (allowed_w - beside_w) / self.devices(pool)
        least_w = max(one.least_w for one in parts)
        return min(max(even_w, least_w), self.full_w(pool)), even_w >= least_w

    def due(self, pool: str, cap_w: float, now_ns: int) -> bool:
        """Whether a cap must be told: another one, one not taken, or one that ends before long."""
        held = self._held.get(pool)
        if held is None or abs(held.cap_w - cap_w) >= 1.0 or held.outcome != "accepted":
            return True
        shortest_s = min(one.hold_s for one in self.parts[pool])
        return now_ns - held.at_ns >= shortest_s * NS_PER_S / 2.0

    def full_w(self, pool: str) -> float:
        """The cap at which no device of a pool is held back, W."""
        return min(one.full_w for one in self.parts[pool])

    def tell(self, pool: str, cap_w: float, key: str, now_ns: int) -> frames.Answer:
        """Cap every device of a pool; what came of it, the worst first."""
        answer = self._send(pool, cap_w, key, now_ns, None)
        self._held[pool] = _Held(cap_w, now_ns, answer.outcome)
        return answer

    def let_go(self, pool: str, key: str, now_ns: int) -> frames.Answer:
        """Raise the caps of a pool; an agent that is not reached lets go when they end."""
        del self._held[pool]
        return self._send(pool, self.full_w(pool), key, now_ns, _LET_GO_S)

    def _send(
        self, pool: str, cap_w: float, key: str, now_ns: int, for_s: float | None
    ) -> frames.Answer:
        told: dict[str, int] = {}
        whys: dict[str, str] = {}
        for part in self.parts[pool]:
            until_ns = now_ns + int((for_s or part.hold_s) * NS_PER_S)
            for i, device in enumerate(part.devices):
                same = f"cap-{cap_w:.0f}"  # the same cap again only moves its end
                point = Setpoint(same, device, float(round(cap_w)), _WATT, until_ns)
                receipt = part.actuator.apply(point, now_ns)
                told[receipt.outcome] = told.get(receipt.outcome, 0) + 1
                whys.setdefault(receipt.outcome, receipt.why)
                if receipt.outcome == "unknown":  # an agent that is away is not waited for again
                    told["unknown"] += len(part.devices) - i - 1
                    break
        worst = next(o for o in ("unknown", "refused", "accepted") if o in told)
        counts = ", ".join(f"{n} {outcome}" for outcome, n in sorted(told.items()))
        reason = f"{round(cap_w)} W a device: {counts}"
        why = whys[worst] if worst != "accepted" else ""
        return frames.Answer(key, worst, f"{reason} ({why})" if why else reason)


@dataclass(frozen=True, slots=True)
class _Held:
    cap_w: float
    at_ns: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Scene:
    """What a tick knows when it asks whether caps are needed.

    Attributes:
        away_ns: since when managers hang, by name.
        over_ns: since when connections are above their limit, by name.
        allowed_w: IT power that keeps each connection within its limit, W.
        drawn_w: IT power of each pool, W.
        runs_w: the same by the catalogue, of pools whose manager answers, W: what they would draw
            without caps.
        now_ns: the instant.
    """

    away_ns: Mapping[str, int]
    over_ns: Mapping[str, int]
    allowed_w: Mapping[str, float]
    drawn_w: Mapping[str, float]
    runs_w: Mapping[str, float]
    now_ns: int


class Guard:
    """Turns caps on where a manager hangs and a limit is broken, and off again.

    Args:
        parts: of the loop.
        troubles: its named fallbacks.
    """

    def __init__(self, parts: Parts, troubles: Troubles) -> None:
        self._parts, self._troubles = parts, troubles
        self.capping = Capping(parts.caps)
        self._cluster_of = {p: name for name, c in parts.clusters.items() for p in c.pools}

    def turn(self, scene: Scene) -> None:
        """Look at every pool once."""
        for site, part in self._parts.sites.items():
            needed = [pool for pool in part.pools if self._needed(site, pool, scene)]
            for pool in part.pools:
                if pool not in needed:
                    self._over(pool, scene.now_ns)
            able = [p for p in needed if self.capping.can(p) and self._parts.acts]
            for pool in needed:
                if pool not in able:
                    why = "the manager hangs, the limit is broken, and no power cap is wired: "
                    why += "drain the pool by hand"
                    self._troubles.enter(PLANT_CAP, pool, why, scene.now_ns)
            others_w = sum(scene.drawn_w[p] for p in part.pools if p not in able)
            count = sum(self.capping.devices(p) for p in able)
            left_w = max(scene.allowed_w[site] - others_w, 0.0)
            for pool in able:
                self._cap(pool, left_w * self.capping.devices(pool) / count, scene.now_ns)

    def _needed(self, site: str, pool: str, scene: Scene) -> bool:
        since = scene.away_ns.get(self._cluster_of[pool])
        patience = self._parts.response.patience_s * NS_PER_S
        if self.capping.holds(pool):
            runs_w = scene.runs_w.get(pool, math.inf)
            others_w = sum(scene.drawn_w[p] for p in self._parts.sites[site].pools if p != pool)
            return since is not None or runs_w > max(scene.allowed_w[site] - others_w, 0.0)
        return site in scene.over_ns and since is not None and scene.now_ns - since > patience

    def _over(self, pool: str, now_ns: int) -> None:
        if self.capping.holds(pool):
            why = "no longer needed"
            key = self._intend(pool, self.capping.full_w(pool), why, now_ns)
            answer = self.capping.let_go(pool, key, now_ns)
            self._parts.book.write(now_ns, frames.Receipts((answer,)))
        self._troubles.leave(PLANT_CAP, pool, now_ns)

    def _cap(self, pool: str, allowed_w: float, now_ns: int) -> None:
        """Say it, put that on the disk, do it, and write what came of it."""
        cap_w, enough = self.capping.wanted_w(pool, allowed_w)
        why = "the manager hangs and the limit is broken: the plant's own caps lower power"
        if not enough:
            why = "the manager hangs, and the lowest power cap is not enough: drain by hand too"
        self._troubles.enter(PLANT_CAP, pool, why, now_ns, again=True)
        if self.capping.due(pool, cap_w, now_ns):
            key = self._intend(pool, cap_w, why, now_ns)
            answer = self.capping.tell(pool, cap_w, key, now_ns)
            self._parts.book.write(now_ns, frames.Receipts((answer,)))

    def _intend(self, pool: str, cap_w: float, why: str, now_ns: int) -> str:
        """Write a cap down before it is told; its key."""
        key = f"cap-{pool}-{now_ns:x}"
        told = frames.Told(key, CAP, pool, f"{round(cap_w)} W a device: {why}", -1)
        unknown = (-1,) * len(self._parts.plans)
        limits = tuple(-1 for _ in self._parts.sites)
        frame = frames.IntentTold((), (told,), (), unknown, limits, ("",) * len(limits), False)
        self._parts.book.write(now_ns, frame)
        self._parts.book.sync()
        return key
