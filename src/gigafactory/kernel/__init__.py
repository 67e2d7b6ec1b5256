"""The kernel: the compiled core that starts, runs and ends every job of a pool, exactly.

A *pool* is a set of equal nodes under one power budget: one accelerator type at one site, what
Slurm calls a partition. The kernel keeps its state in flat arrays and processes every arrival,
start and end between two instants; nothing is sampled or averaged.

Beside it stands the response of a site, second by second (`gigafactory.kernel.seconds`): compiled
with the same tools, in floats of MW, and reached through `planner.balancing`.

Knows nodes, racks and pods, gangs, priorities, estimates, quotas, notices, failures, groups with a
speed and a power, and a power budget. Does not know tenants by name, prices, weather or why a rule
is one: policy is compiled into its arrays, physics into its numbers. Imports only
`gigafactory.units` and `gigafactory.engine`; no files, no pydantic. The planner wraps it for live
decisions, the twin for simulated periods.
"""

from gigafactory.kernel.pool import (
    GroupReading,
    Pool,
    PoolReading,
    PoolSpec,
    Records,
)
from gigafactory.kernel.rules import Rules, elastic_rates
from gigafactory.kernel.state import FULL_RATE, FULL_SPEED, NEVER, JobState, Kind, State, Why

__all__ = [
    "FULL_RATE",
    "FULL_SPEED",
    "NEVER",
    "GroupReading",
    "JobState",
    "Kind",
    "Pool",
    "PoolReading",
    "PoolSpec",
    "Records",
    "Rules",
    "State",
    "Why",
    "elastic_rates",
]
