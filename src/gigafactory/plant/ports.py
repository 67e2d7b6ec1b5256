"""The two ports of a plant: what measures it and what moves it.

The twin is one adapter behind them; real meters and controllers are others. Signs: consumption is
positive at every device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of one meter.

    Attributes:
        point: the name of what is measured, such as ``hall-1/it`` or ``connection``.
        taken_ns: when it was taken (ns UTC), by the meter's own clock.
        value: the value.
        unit: its unit, such as ``MW``, ``degC``, ``m3/h``.
        good: whether the meter vouches for it.
    """

    point: str
    taken_ns: int
    value: float
    unit: str
    good: bool = True


@dataclass(frozen=True, slots=True)
class Setpoint:
    """One command to one device.

    Attributes:
        key: idempotency key: the same key twice moves the device once.
        point: what is commanded, such as ``battery/power``.
        value: the wanted value.
        unit: its unit.
        valid_until_ns: after this instant the device falls back to its safe value (ns UTC).
    """

    key: str
    point: str
    value: float
    unit: str
    valid_until_ns: int


@dataclass(frozen=True, slots=True)
class SetpointReceipt:
    """What became of a command: ``accepted``, ``refused`` or ``unknown`` (no answer came)."""

    key: str
    outcome: str
    why: str = ""


class Meter(Protocol):
    """Reads the plant. Never raises for trouble outside: a missing reading is left out."""

    def read(self, points: tuple[str, ...], now_ns: int) -> tuple[Reading, ...]:
        """Latest readings of the points asked for, in that order, those unavailable left out."""
        ...


class Actuator(Protocol):
    """Moves the plant. Level-triggered: sending the wanted value again is harmless."""

    def apply(self, setpoint: Setpoint, now_ns: int) -> SetpointReceipt:
        """Send one command and say what became of it."""
        ...
