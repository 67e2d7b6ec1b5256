"""The agent: holds the caps that were asked for, and lets go of them when their time is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from gigafactory.plant.ports import Setpoint, SetpointReceipt


class CapDriver(Protocol):
    """What sets the cap of a device. Trouble is a word, never an exception."""

    def set_cap(self, point: str, limit_w: float) -> tuple[str, str]:
        """Set a device's cap, W; ``accepted``, ``refused`` or ``unknown``, and why."""
        ...

    def read_cap(self, point: str) -> float | None:
        """The cap a device has now, W; None where it cannot be asked."""
        ...

    def points(self) -> tuple[str, ...]:
        """The devices there are."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """A cap that holds for a time.

    Attributes:
        key: of the set point.
        limit_w: the cap, W.
        until_ns: when it ends, ns UTC.
        set: whether the device has it; one that could not be reached is tried again.
    """

    key: str
    limit_w: float
    until_ns: int
    set: bool


class CapAgent:
    """Caps by device, each with an end.

    Args:
        driver: sets them.
        safe_w: the cap of each device when nobody asks for another, W; devices left out are not
            this agent's to touch.
        now_ns: tells the time.
    """

    def __init__(
        self, driver: CapDriver, safe_w: Mapping[str, float], now_ns: Callable[[], int]
    ) -> None:
        self._driver, self._safe_w, self._now_ns = driver, dict(safe_w), now_ns
        self._held: dict[str, Held] = {}
        #: Devices that are to go back to their safe cap and have not been reached yet.
        self._astray: set[str] = set()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Put every device in its safe state: nothing is known of who held them before."""
        with self._lock:
            self._astray = set(self._safe_w)
        self.turn()

    def apply(self, setpoint: Setpoint) -> SetpointReceipt:
        """Set a cap, W. The same key again only moves its end."""
        if setpoint.point not in self._safe_w:
            why = f"{setpoint.point} is no device of this agent"
            return SetpointReceipt(setpoint.key, "refused", why)
        if setpoint.unit != "W" or not setpoint.value > 0.0:
            return SetpointReceipt(setpoint.key, "refused", "a cap is a number of W above 0")
        if setpoint.valid_until_ns <= self._now_ns():
            return SetpointReceipt(setpoint.key, "refused", "was no longer valid when it came")
        with self._lock:
            before = self._held.get(setpoint.point)
            if before is not None and before.key == setpoint.key and before.set:
                self._held[setpoint.point] = Held(
                    before.key, before.limit_w, setpoint.valid_until_ns, set=True
                )
                return SetpointReceipt(setpoint.key, "accepted", "holds already")
            outcome, why = self._driver.set_cap(setpoint.point, setpoint.value)
            if outcome != "refused":
                self._astray.discard(setpoint.point)
                self._held[setpoint.point] = Held(
                    setpoint.key,
                    setpoint.value,
                    setpoint.valid_until_ns,
                    set=outcome == "accepted",
                )
        return SetpointReceipt(setpoint.key, outcome, why)

    def turn(self) -> tuple[str, ...]:
        """Let go of caps whose time is over, and try again what did not work; what is still astray.

        To be called every second or so, by the agent's own process.
        """
        with self._lock:
            now = self._now_ns()
            for point, held in list(self._held.items()):
                if held.until_ns <= now:
                    del self._held[point]
                    self._astray.add(point)
                elif not held.set:
                    outcome, _ = self._driver.set_cap(point, held.limit_w)
                    done = outcome == "accepted"
                    self._held[point] = Held(held.key, held.limit_w, held.until_ns, set=done)
            for point in sorted(self._astray):
                if self._driver.set_cap(point, self._safe_w[point])[0] == "accepted":
                    self._astray.discard(point)
            return tuple(sorted(self._astray))

    def caps(self) -> dict[str, float | None]:
        """The cap of every device as the device says, W."""
        return {point: self._driver.read_cap(point) for point in sorted(self._safe_w)}
