"""The rules of a pool, compiled to arrays: what policy hands to the kernel."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gigafactory.kernel.state import FULL_RATE, GROUPS

Ints = npt.NDArray[np.int64]


def _none() -> Ints:
    return np.zeros(GROUPS, np.int64)


def elastic_rates(exponent: float) -> Ints:
    """Rate, of `FULL_RATE`, of an elastic job by its share of its accelerators (in 1/1024).

    Speed goes with the share of accelerators to a power: 1 would be perfect scaling.
    """
    share = np.arange(FULL_RATE + 1) / FULL_RATE
    return np.maximum(np.floor(FULL_RATE * share**exponent), 1).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Rules:
    """Quotas, order, preemption and failures of a pool.

    The quota tree is given by parents; node 0 is the root, and parents come before their children.
    Accelerators throughout; entries of the root are not read.

    Attributes:
        parent: parent of each node, -1 for the root.
        nominal: nominal quota.
        lend: how much of it may be lent while idle.
        cap: what the node may never exceed.
        weight: for fair share.
        tenant_node: leaf of each tenant.
        promised: accelerators on which the quotas count; None for all of the pool.
        fair_share: whether tenants are ranked by what they used.
        half_life_ns: in which past usage counts half.
        preempt_within: whether higher priorities preempt lower ones of the same tenant.
        runtime_min_ns: per group, run time before which a job is no victim.
        grace_ns: per group, from notice to stop.
        save_ns: per group, what saving a checkpoint takes.
        restart_ns: per group, what starting again takes.
        blocks: racks that are a tenant's block, (tenant, first rack, racks); None are shared.
        together: whether small jobs are moved together for a gang that lacks whole nodes.
        efficiency: rates of elastic jobs, see `elastic_rates`.
        fault_ns: instants at which nodes fail or come back, ascending.
        fault_node: which.
        fault_change: +1 fails, -1 comes back.
    """

    parent: tuple[int, ...] = (-1,)
    nominal: tuple[int, ...] = (0,)
    lend: tuple[int, ...] = (0,)
    cap: tuple[int, ...] = (0,)
    weight: tuple[float, ...] = (1.0,)
    tenant_node: tuple[int, ...] = (0,)
    promised: int | None = None
    fair_share: bool = False
    half_life_ns: int = 7 * 86_400 * 1_000_000_000
    preempt_within: bool = False
    runtime_min_ns: Ints = field(default_factory=_none)
    grace_ns: Ints = field(default_factory=_none)
    save_ns: Ints = field(default_factory=_none)
    restart_ns: Ints = field(default_factory=_none)
    blocks: tuple[tuple[int, int, int], ...] = ()
    together: bool = False
    efficiency: Ints = field(default_factory=lambda: elastic_rates(1.0))
    fault_ns: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    fault_node: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    fault_change: npt.NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))

    def __post_init__(self) -> None:
        size = len(self.parent)
        assert all(len(x) == size for x in (self.nominal, self.lend, self.cap, self.weight))
        assert self.parent[0] == -1
        assert all(0 <= p < i for i, p in enumerate(self.parent) if i), "parents come first"
        leaves = set(self.tenant_node)
        assert len(leaves) == len(self.tenant_node), "a leaf is one tenant's"
        assert not leaves & set(self.parent), "a tenant is a leaf of the tree"


NO_RULES = Rules()
