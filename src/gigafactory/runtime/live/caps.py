"""What can be capped in a pool: one agent and the devices it holds."""

from __future__ import annotations

from dataclasses import dataclass

from gigafactory.plant.ports import Actuator


@dataclass(frozen=True, slots=True)
class CapPart:
    """Devices of a pool whose power an agent caps.

    Attributes:
        actuator: speaks with the agent.
        devices: its points.
        least_w: lowest cap of a device, W.
        full_w: cap at which a device is not held back, W.
        beside_w: what the pool draws beside each device (its share of the node), W.
        hold_s: a cap that is not renewed ends after this, s.
    """

    actuator: Actuator
    devices: tuple[str, ...]
    least_w: float
    full_w: float
    beside_w: float
    hold_s: float
