"""Shares compile to whole nodes that fit the pool, and every reason for a wait has its words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.kernel import Why
from gigafactory.policy import GroupShare, TenantShare, compile_quotas, wait_text

FRACTION = st.floats(0.0, 1.0)


@st.composite
def shares(draw: st.DrawFn) -> tuple[list[GroupShare], list[TenantShare]]:
    """Groups and tenants whose nominal shares fit: tenants in groups, groups in the pool."""
    count = draw(st.integers(0, 4))
    left, groups, rest = 1.0, [], []
    for i in range(count):
        nominal = left * draw(FRACTION)
        left -= nominal
        rest.append(nominal)
        groups.append(GroupShare(f"g{i}", nominal, draw(FRACTION), draw(FRACTION)))
    tenants = []
    for i in range(draw(st.integers(1, 8))):
        at = draw(st.integers(-1, count - 1))
        room = left if at < 0 else rest[at]
        nominal = room * draw(FRACTION)
        if at < 0:
            left -= nominal
        else:
            rest[at] -= nominal
        group = None if at < 0 else f"g{at}"
        tenants.append(TenantShare(f"t{i}", group, nominal, draw(FRACTION), draw(FRACTION)))
    return groups, tenants


@given(shares(), st.integers(1, 3000), st.sampled_from([1, 4, 8]), FRACTION)
def test_promises_fit_the_pool_and_each_other(
    given: tuple[list[GroupShare], list[TenantShare]], nodes: int, size: int, cap: float
) -> None:
    groups, tenants = given
    tree = compile_quotas(groups, tenants, nodes * size, size, cap)
    assert tree.names == ("", *(g.name for g in groups), *(t.name for t in tenants))
    assert all(p < i for i, p in enumerate(tree.parent))
    for x in range(len(tree.parent)):
        below = [c for c, p in enumerate(tree.parent) if p == x]
        promised = sum(tree.nominal[c] for c in below)
        room = nodes * size if x == 0 else tree.nominal[x]
        assert promised <= room
        assert tree.nominal[x] % size == 0
        assert 0 <= tree.lend[x] <= tree.nominal[x]
    assert sum(tree.nominal[c] for c, p in enumerate(tree.parent) if p == 0) <= nodes * size
    for t, node in enumerate(tree.tenant_node):
        assert tree.names[node] == tree.tenants[t]
        assert tree.cap[node] <= nodes * size * cap + 1e-6 * size
        assert 0 <= tree.most(t, nodes * size) <= nodes * size


def test_a_tenant_can_have_all_that_nobody_keeps() -> None:
    groups = [GroupShare("kept", 0.5, 0.0), GroupShare("lent", 0.3)]
    tenants = [TenantShare("a", "kept", 0.5), TenantShare("b", "lent", 0.3, 0.5), TenantShare("c")]
    tree = compile_quotas(groups, tenants, 100, 1)
    assert [tree.most(t, 100) for t in range(3)] == [85, 50, 35]


@pytest.mark.parametrize("lang", ["en", "nl"])
def test_every_reason_has_its_words(lang: str) -> None:
    told = {wait_text(why, lang, node="the-group", asked=12_345) for why in Why}
    assert len(told) == len(Why)
    cap = wait_text(Why.CAP, lang, node="the-group", asked=12_345)
    assert "the-group" in cap
    assert ("12,345" if lang == "en" else "12.345") in cap
