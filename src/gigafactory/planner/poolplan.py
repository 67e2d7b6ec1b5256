"""What a pool is, for the gate: everything that does not change from tick to tick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gigafactory.factory.models import Factory
from gigafactory.kernel import Rules
from gigafactory.plant import Chip

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """What a pool is.

    Attributes:
        name: of the pool.
        nodes: names of its nodes, rack by rack.
        node_size: accelerators per node.
        idle_power_mw: milliwatts an accelerator draws at rest, its share of the node included.
        power_mw: milliwatts of an active accelerator, int64[classes, FULL_SPEED + 1].
        full_speed: the speed step that is full speed.
        floor: lowest speed step per class, int64[classes].
        victims: class numbers in the order in which they make way.
        rules: quotas, order and preemption, the kernel's.
        tenants: names in the order of `rules.tenant_node`.
        quotas: names of the nodes of the quota tree; the root's is "".
        checkpoint_ns: interval between checkpoints per class, int64[8]; 0 where there are none.
        depth: queued jobs tested without starting before a backfill pass stops.
        rack_nodes: nodes of a rack.
        pod_nodes: nodes of a pod.
        span_rate: rate of a gang that lies in several pods, of `FULL_RATE`.
    """

    name: str
    nodes: tuple[str, ...]
    node_size: int
    idle_power_mw: int  # units-ok: milliwatt, the kernel's integer unit
    power_mw: Ints  # units-ok: milliwatt, the kernel's integer unit
    full_speed: int
    floor: Ints
    victims: tuple[int, ...]
    rules: Rules
    tenants: tuple[str, ...]
    quotas: tuple[str, ...]
    checkpoint_ns: Ints
    depth: int
    rack_nodes: int
    pod_nodes: int
    span_rate: int

    @classmethod
    def of(
        cls,
        factory: Factory,
        pool_name: str,
        node_names: Sequence[str],
        catalogue: Mapping[str, Chip],
        *,
        tenants: Sequence[str] | None = None,
    ) -> PoolPlan:
        """The plan of a factory's pool."""
        raise NotImplementedError
