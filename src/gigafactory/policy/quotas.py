"""Shares of a pool, compiled to accelerators: the tree of quotas the kernel keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

#: Largest denominator of a share; what a file says in percent is then exact.
_FINEST: Final = 10**12
#: Room for rounding when shares are summed.
_SLACK: Final = Fraction(1, 10**7)


@dataclass(frozen=True, slots=True)
class GroupShare:
    """What a group of tenants has.

    Attributes:
        name: of the group.
        nominal_fraction: share of a pool that is its own.
        lending_fraction: share of that which others may use while it is idle.
        cap_fraction: share of a pool it never exceeds; 1 for no cap.
        weight: in fair share.
    """

    name: str
    nominal_fraction: float
    lending_fraction: float = 1.0
    cap_fraction: float = 1.0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class TenantShare:
    """What a tenant has.

    Attributes:
        name: of the tenant.
        group: its group; None to stand beside the groups.
        nominal_fraction: share of a pool that is its own, within its group's.
        lending_fraction: share of that which others may use while it is idle.
        cap_fraction: share of a pool it never exceeds; 1 for no cap.
        weight: in fair share, within its group.
    """

    name: str
    group: str | None = None
    nominal_fraction: float = 0.0
    lending_fraction: float = 1.0
    cap_fraction: float = 1.0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class QuotaTree:
    """Quotas of a pool as a tree: the root is the pool, then groups, then tenants.

    Parents come before their children, and every tenant has a leaf of its own. Amounts are whole
    nodes, in accelerators. What the nodes below one have of their own never exceeds what it has.

    Attributes:
        names: of the nodes; the root's is "".
        parent: of each node, -1 for the root.
        nominal: accelerators that are its own; the root's are those the shares count on.
        lend: of these, what others may use while it is idle.
        cap: what it never exceeds.
        weight: in fair share.
        tenant_node: leaf of each tenant, in the order of `tenants`.
        tenants: names, in the order they were given.
    """

    names: tuple[str, ...]
    parent: tuple[int, ...]
    nominal: tuple[int, ...]
    lend: tuple[int, ...]
    cap: tuple[int, ...]
    weight: tuple[float, ...]
    tenant_node: tuple[int, ...]
    tenants: tuple[str, ...]

    def most(self, tenant: int, capacity: int) -> int:
        """Most accelerators a tenant could ever hold of an empty pool, by caps and lending limits.

        What a node never lends is `nominal - lend`, what the nodes below it never lend is part of
        that, and all of it on the tenant's own way up to the root is there for the tenant.

        Args:
            tenant: its number.
            capacity: accelerators of the pool, all in service.
        """
        unlent, below = [0] * len(self.parent), [0] * len(self.parent)
        for x in reversed(range(1, len(self.parent))):
            unlent[x] = max(self.nominal[x] - self.lend[x], below[x])
            below[self.parent[x]] += unlent[x]
        most, cap = capacity - below[0], capacity
        x = self.tenant_node[tenant]
        while x != 0:
            cap = min(cap, self.cap[x])
            most += unlent[x] - below[x]
            x = self.parent[x]
        return min(cap, most)


def compile_quotas(
    groups: Sequence[GroupShare],
    tenants: Sequence[TenantShare],
    accelerators: int,
    node_size: int,
    concentration_cap_fraction: float = 1.0,
    *,
    installed: int | None = None,
) -> QuotaTree:
    """Turn shares into accelerators of a pool.

    Every amount is rounded down to whole nodes, so nothing is promised twice; what rounding leaves
    is nobody's, and anybody's to use.

    Args:
        groups: the groups; their names are unique.
        tenants: every tenant that may ask for work; their names are unique. One without a group or
            share hangs on the root and owns nothing.
        accelerators: those the shares count on: installed less spares.
        node_size: accelerators in a node.
        concentration_cap_fraction: share of the pool that no tenant may exceed.
        installed: accelerators installed, which bounds those without a cap; `accelerators` when
            left out.
    """
    most = accelerators if installed is None else installed
    assert 0 <= accelerators <= most, "no more can be promised than is installed"
    assert node_size >= 1
    at = {group.name: number for number, group in enumerate(groups, start=1)}
    assert len(at) == len(groups), "two groups have one name"
    assert len({tenant.name for tenant in tenants}) == len(tenants), "two tenants have one name"
    assert _adds_up(groups, tenants), "more than all is promised"

    def whole(fraction: float) -> int:
        return int(_exact(fraction) * accelerators // node_size) * node_size

    def bounded(fraction: float) -> int:
        return most if fraction >= 1.0 else whole(fraction)

    left = {0: whole(1.0)}
    nodes: list[tuple[str, int, int, int, int, float]] = [("", -1, left[0], left[0], most, 1.0)]
    for group in groups:
        own = min(whole(group.nominal_fraction), left[0])
        left[0] -= own
        left[len(nodes)] = own
        lent = _lent(own, group.lending_fraction, node_size)
        cap = bounded(group.cap_fraction)
        nodes.append((group.name, 0, own, lent, cap, group.weight))
    for tenant in tenants:
        above = at[tenant.group] if tenant.group else 0
        own = min(whole(tenant.nominal_fraction), left[above])
        left[above] -= own
        lent = _lent(own, tenant.lending_fraction, node_size)
        cap = bounded(min(tenant.cap_fraction, concentration_cap_fraction))
        nodes.append((tenant.name, above, own, lent, cap, tenant.weight))
    names, parent, nominal, lend, caps, weight = zip(*nodes, strict=True)
    first = len(groups) + 1
    return QuotaTree(
        names=names,
        parent=parent,
        nominal=nominal,
        lend=lend,
        cap=caps,
        weight=weight,
        tenant_node=tuple(range(first, first + len(tenants))),
        tenants=tuple(tenant.name for tenant in tenants),
    )


def _exact(fraction: float) -> Fraction:
    """The decimal a share was written as: 0.3 is three tenths, not the float beside it."""
    return Fraction(fraction).limit_denominator(_FINEST)


def _lent(own: int, fraction: float, node_size: int) -> int:
    return int(_exact(fraction) * own // node_size) * node_size


def _adds_up(groups: Sequence[GroupShare], tenants: Sequence[TenantShare]) -> bool:
    beside = [tenant.nominal_fraction for tenant in tenants if not tenant.group]
    total = sum(map(_exact, [*beside, *(group.nominal_fraction for group in groups)]))
    inside: dict[str, Fraction] = {group.name: Fraction(0) for group in groups}
    for tenant in tenants:
        if tenant.group:
            inside[tenant.group] += _exact(tenant.nominal_fraction)
    return total <= 1 + _SLACK and all(
        inside[group.name] <= _exact(group.nominal_fraction) + _SLACK for group in groups
    )
