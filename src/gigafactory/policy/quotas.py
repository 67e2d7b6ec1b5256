"""Quotas compiled: shares of a pool become a tree of accelerators, as the scheduler counts them.

Root (the pool), groups below it, tenants below groups; a tenant without a group hangs on the root.
Whole nodes, rounded down, so that what is promised together never exceeds the pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GroupShare:
    """What a group of tenants is promised of every pool, as fractions.

    Attributes:
        name: of the group.
        nominal: its own share of a pool.
        lending: how much of that may be lent while idle, as a share of it.
        cap: share of a pool it never exceeds.
        weight: for fair share.
    """

    name: str
    nominal: float
    lending: float = 1.0
    cap: float = 1.0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class TenantShare:
    """What a tenant is promised of every pool, as fractions; the fields are those of `GroupShare`.

    Attributes:
        name: of the tenant.
        group: name of its group; None for none.
        nominal: its own share of a pool, part of its group's.
        lending: how much of that may be lent while idle, as a share of it.
        cap: share of a pool it never exceeds.
        weight: for fair share.
    """

    name: str
    group: str | None = None
    nominal: float = 0.0
    lending: float = 1.0
    cap: float = 1.0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class QuotaTree:
    """The tree of a pool; node 0 is the root, parents come before their children.

    Attributes:
        names: of the nodes; the root's is empty.
        parent: parent of each node, -1 for the root.
        nominal: accelerators promised.
        lend: how many of these may be lent.
        cap: accelerators never exceeded.
        weight: for fair share.
        tenants: names of the tenants, in the order given.
        tenant_node: node of each tenant.
    """

    names: tuple[str, ...]
    parent: tuple[int, ...]
    nominal: tuple[int, ...]
    lend: tuple[int, ...]
    cap: tuple[int, ...]
    weight: tuple[float, ...]
    tenants: tuple[str, ...]
    tenant_node: tuple[int, ...]

    def most(self, tenant: int, capacity: int) -> int:
        """Most accelerators a tenant could ever hold of an empty pool, by caps and lending limits.

        Args:
            tenant: its number.
            capacity: accelerators of the pool, all in service.
        """
        unlent = [0] * len(self.parent)
        for x in reversed(range(1, len(self.parent))):
            below = unlent[x]
            unlent[x] = max(self.nominal[x] - min(self.lend[x], self.nominal[x]), below)
            unlent[self.parent[x]] += unlent[x]
        most, cap = capacity - unlent[0], capacity
        x = self.tenant_node[tenant]
        while x != 0:
            cap = min(cap, self.cap[x])
            most += unlent[x] - sum(unlent[c] for c, p in enumerate(self.parent) if p == x)
            x = self.parent[x]
        return min(cap, most)


def compile_quotas(
    groups: Sequence[GroupShare],
    tenants: Sequence[TenantShare],
    accelerators: int,
    node_size: int,
    concentration_cap: float = 1.0,
) -> QuotaTree:
    """Compile shares for one pool.

    Args:
        groups: in the order of the file.
        tenants: in the order of the file; a group is named before its tenants.
        accelerators: on which the shares count.
        node_size: accelerators per node; promises are whole nodes, rounded down.
        concentration_cap: share of the pool that no tenant exceeds.
    """

    def whole(share: float) -> int:
        return int(accelerators * share / node_size + 1e-9) * node_size

    shares: list[GroupShare | TenantShare] = [*groups, *tenants]
    number = {group.name: i + 1 for i, group in enumerate(groups)}
    parent = [-1, *(0 for _ in groups)]
    parent += [number[t.group] if t.group is not None else 0 for t in tenants]
    caps = [accelerators, *(whole(g.cap) for g in groups)]
    caps += [whole(min(t.cap, concentration_cap)) for t in tenants]
    return QuotaTree(
        names=("", *(s.name for s in shares)),
        parent=tuple(parent),
        nominal=(0, *(whole(s.nominal) for s in shares)),
        lend=(0, *(whole(s.nominal * s.lending) for s in shares)),
        cap=tuple(caps),
        weight=(1.0, *(s.weight for s in shares)),
        tenants=tuple(t.name for t in tenants),
        tenant_node=tuple(range(1 + len(groups), len(parent))),
    )
