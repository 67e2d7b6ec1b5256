"""Power caps of accelerators: an agent that sets them, and the actuator that speaks with it.

The agent stands beside the devices, as a process of its own (``python -m
gigafactory.adapters.caps``), and is the only one that touches them: through Redfish (a board
management controller) or NVML (on the node itself).It takes set points with an end of
validity over HTTP and a token, and when that end passes it puts the device back to its safe value
by itself, whether or not anyone still speaks to it. `CapActuator` is its other end, behind
`plant.Actuator`.

Without an agent nothing can be slowed, and slowing leaves the merit order: every class's slowest
speed is full speed. The runtime sees that by the absence of an actuator for a pool.
"""

from gigafactory.adapters.caps.actuator import CapActuator, CapSettings
from gigafactory.adapters.caps.agent import CapAgent, CapDriver, Held
from gigafactory.adapters.caps.nvml import NvmlDriver
from gigafactory.adapters.caps.redfish import RedfishDriver, RedfishSettings

__all__ = [
    "CapActuator",
    "CapAgent",
    "CapDriver",
    "CapSettings",
    "Held",
    "NvmlDriver",
    "RedfishDriver",
    "RedfishSettings",
]
