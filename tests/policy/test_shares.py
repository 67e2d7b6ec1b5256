"""Shares as whole nodes: exact in percent, never promised twice, bounded by every cap."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.kernel import Rules
from gigafactory.policy import GroupShare, QuotaTree, TenantShare, compile_quotas
from tests.effort import examples

THOUSANDTHS = 1000


@st.composite
def percents(draw: st.DrawFn) -> tuple[list[tuple[int, int, int]], list[tuple[int | None, int]]]:
    """Groups (nominal, lending, cap) and tenants (group, nominal) in thousandths of the pool."""
    groups, tenants, left = [], [], THOUSANDTHS
    for _ in range(draw(st.integers(0, 5))):
        nominal = draw(st.integers(0, left))
        left -= nominal
        cap = draw(st.integers(nominal, THOUSANDTHS))
        groups.append((nominal, draw(st.integers(0, THOUSANDTHS)), cap))
    room = [nominal for nominal, _, _ in groups]
    for _ in range(draw(st.integers(0, 12))):
        at = draw(st.none() | st.integers(0, len(groups) - 1)) if groups else None
        have = left if at is None else room[at]
        nominal = draw(st.integers(0, have))
        left, room = (left - nominal, room) if at is None else (
            left, [r - nominal * (n == at) for n, r in enumerate(room)]
        )  # fmt: skip
        tenants.append((at, nominal))
    return groups, tenants


def written(thousandths: int) -> float:
    """A share as the factory file reads it: a percentage times a hundredth."""
    return thousandths / 10 * 0.01


@settings(max_examples=examples(300))
@given(
    percents(), st.integers(1, 8000), st.sampled_from([1, 4, 8, 72]), st.integers(1, THOUSANDTHS)
)
def test_shares_are_exact_and_never_promised_twice(
    shares: tuple[list[tuple[int, int, int]], list[tuple[int | None, int]]],
    nodes: int,
    size: int,
    most: int,
) -> None:
    groups, tenants = shares
    tree = compile_quotas(
        [GroupShare(f"g{n}", *map(written, group)) for n, group in enumerate(groups)],
        [
            TenantShare(f"t{n}", None if at is None else f"g{at}", written(nominal))
            for n, (at, nominal) in enumerate(tenants)
        ],
        nodes * size,
        size,
        written(most),
    )

    def whole(thousandths: int) -> int:  # in whole numbers, without a float
        return nodes * thousandths // THOUSANDTHS * size

    assert tree.tenants == tuple(f"t{n}" for n in range(len(tenants)))
    for n, (nominal, lending, cap) in enumerate(groups, start=1):
        assert tree.parent[n] == 0
        assert tree.nominal[n] == whole(nominal)
        assert tree.lend[n] == whole(nominal) // size * lending // THOUSANDTHS * size
        assert tree.cap[n] == whole(cap)
    for (at, nominal), leaf in zip(tenants, tree.tenant_node, strict=True):
        assert tree.parent[leaf] == (0 if at is None else at + 1)
        assert tree.nominal[leaf] == whole(nominal)
        assert tree.cap[leaf] == whole(most)
    for above in range(len(tree.names)):
        below = [n for n, parent in enumerate(tree.parent) if parent == above]
        assert sum(tree.nominal[n] for n in below) <= tree.nominal[above]
    # the kernel takes it as it is
    fields = ("parent", "nominal", "lend", "cap", "weight")
    if tenants:
        Rules(**{name: getattr(tree, name) for name in fields}, tenant_node=tree.tenant_node)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40), st.integers(1, 5000))
def test_any_floats_that_sum_to_one_fit(parts: list[float], nodes: int) -> None:
    total = math.fsum(parts) or 1.0
    shares = [part / total for part in parts]
    tenants = [TenantShare(f"t{n}", "all", share) for n, share in enumerate(shares)]
    tree = compile_quotas([GroupShare("all", 1.0)], tenants, nodes * 8, 8)
    inside = [tree.nominal[leaf] for leaf in tree.tenant_node]
    assert sum(inside) <= nodes * 8
    for got, share in zip(inside, shares, strict=True):
        assert got <= share * nodes * 8 + 1e-6
        assert got % 8 == 0


def test_rotterdams_percentages_are_not_lost_to_floats() -> None:
    for thousandths in range(1, THOUSANDTHS + 1):
        share = written(thousandths)
        (own,) = compile_quotas([], [TenantShare("t", None, share)], 60_000, 8).nominal[1:]
        assert own == Fraction(thousandths * 7500, THOUSANDTHS).__floor__() * 8


def test_spares_are_not_promised_but_may_be_used() -> None:
    tree = compile_quotas(
        [GroupShare("g", 0.5)], [TenantShare("t", "g", 0.5, cap_fraction=0.9)], 80, 8, installed=96
    )
    assert tree.nominal == (80, 40, 40)
    assert tree.cap == (96, 96, 72)
    assert tree.most(0, 96) == 72


def test_a_tenant_without_a_share_hangs_on_the_root() -> None:
    tree = compile_quotas([GroupShare("g", 0.5)], [TenantShare("t")], 80, 8, 0.5)
    assert tree == QuotaTree(
        names=("", "g", "t"), parent=(-1, 0, 0), nominal=(80, 40, 0), lend=(80, 40, 0),
        cap=(80, 80, 40), weight=(1.0, 1.0, 1.0), tenant_node=(2,), tenants=("t",),
    )  # fmt: skip


def test_what_does_not_add_up_is_a_bug() -> None:
    g = GroupShare("g", 0.6)
    for groups, tenants in (
        ([g, GroupShare("h", 0.5)], []),
        ([g], [TenantShare("t", None, 0.5)]),
        ([g], [TenantShare("t", "g", 0.7)]),
        ([g, g], []),
        ([g], [TenantShare("t"), TenantShare("t")]),
    ):
        with pytest.raises(AssertionError):
            compile_quotas(groups, tenants, 80, 8)
    with pytest.raises(AssertionError):
        compile_quotas([], [], 80, 8, installed=72)


def _brute(tree: QuotaTree, tenant: int, capacity: int) -> int:
    """Largest number of accelerators by the rules of docs/explanation/quotas.md, one by one."""
    size = len(tree.parent)

    def kept_below(x: int) -> int:
        return sum(unlent(c) for c in range(size) if tree.parent[c] == x)

    def unlent(x: int) -> int:
        return max(tree.nominal[x] - tree.lend[x], kept_below(x))

    path = []
    x = tree.tenant_node[tenant]
    while x != 0:
        path.append(x)
        x = tree.parent[x]
    best = 0
    for want in range(capacity + 1):
        left = want
        for node in path:  # what a node keeps beside its children serves those below it
            left -= min(left, unlent(node) - kept_below(node))
        if left <= capacity - kept_below(0) and all(want <= tree.cap[node] for node in path):
            best = want
    return best


@given(percents(), st.integers(1, 40))
def test_the_most_a_tenant_can_hold(
    shares: tuple[list[tuple[int, int, int]], list[tuple[int | None, int]]], nodes: int
) -> None:
    groups, tenants = shares
    lending = np.linspace(0.0, 1.0, len(tenants)) if tenants else []
    tree = compile_quotas(
        [GroupShare(f"g{n}", *map(written, group)) for n, group in enumerate(groups)],
        [
            TenantShare(f"t{n}", None if at is None else f"g{at}", written(nominal), float(lends))
            for n, ((at, nominal), lends) in enumerate(zip(tenants, lending, strict=True))
        ],
        nodes,
        1,
    )
    for tenant in range(len(tenants)):
        assert tree.most(tenant, nodes) == _brute(tree, tenant, nodes)
