"""How large a factory is, what it is made of, and what of it is reserved."""

from __future__ import annotations

import pytest

from gigafactory.cli import main
from gigafactory.factory import (
    bundled,
    classify,
    fleet_h100_equivalents,
    fleet_rated_mw,
    installed_storage_pb,
    load_factory,
)
from gigafactory.factory.rights import quota_tree
from gigafactory.plant import Layer, load_catalogue
from gigafactory.testing.factories import SmallFactory, SmallPool, SmallSite

CHIPS = load_catalogue()


def test_a_mixed_fleet_of_a_hundred_thousand_tells_its_size_power_and_storage(tmp_path, capsys):
    """Half of it in H100, half in B200: equivalents and kilowatts chip by chip."""
    b200 = CHIPS["B200"]
    nodes = round(50_000 / b200.h100_equivalent / b200.node_size)
    site = SmallSite((SmallPool("H100", 6250), SmallPool("B200", nodes)))
    path = SmallFactory((site,)).write(tmp_path / "large.yaml")
    factory = load_factory(str(path))
    count = nodes * b200.node_size
    size = 50_000 + count * b200.h100_equivalent
    assert fleet_h100_equivalents(factory) == pytest.approx(size)
    assert size == pytest.approx(100_000, rel=1e-3)
    assert classify(100_001.0) == "ai_gigafactory"
    fabric_w = 32.0
    kw = (50_000 * (CHIPS["H100"].peak_w + fabric_w) + count * (b200.peak_w + fabric_w)) / 1e3
    assert fleet_rated_mw(factory) * 1e3 == pytest.approx(kw)
    assert installed_storage_pb(factory) == 1.0
    assert main(["check", str(path)]) == 0
    told = capsys.readouterr().out
    assert f"{size:,.0f} H100-equivalents" in told
    assert f"{kw / 1e3:,.1f} MW of IT as rated" in told
    assert "1.0 PB of storage" in told


@pytest.mark.parametrize("name", bundled())
def test_every_asset_has_one_of_the_six_layers_and_storage_is_counted_in_pb(name):
    factory = load_factory(name)
    for site in factory.sites.values():
        assert {asset.layer for asset in site.assets} == {str(layer) for layer in Layer}
        kept = [a for a in site.assets if a.layer == "memory_and_storage"]
        assert {a.unit for a in kept} == {"PB"}
        assert sum(a.amount for a in kept) == site.storage_pb
    promised = sum(tenant.storage_quota_pb for tenant in factory.tenants)
    assert promised <= installed_storage_pb(factory)


def test_an_asset_without_a_layer_is_refused(broken, only):
    asset = 'sources: {"*": "My own estimate, 2026, assumption"}\n\n# Accelerators'
    bare = "assets: [{name: shed, layer: garden, amount: 1, supplier: unknown, country: unknown}]"
    problem = only(broken.problems((asset, f"{bare}\n    {asset}")))
    assert problem.field.endswith("assets.shed.layer") or problem.field.endswith("assets.0.layer")
    assert "memory_and_storage" in problem.why


def test_missions_have_at_least_the_share_that_was_agreed():
    """The condition on public money is a share of every pool; whole nodes may not cut it short."""
    factory = load_factory("rotterdam")
    agreed = [g for g in factory.policy.quota_groups if g.kind == "mission"]
    assert agreed
    assert all(group.nominal_fraction > 0.0 for group in agreed)
    tenants = [tenant.name for tenant in factory.tenants]
    kept = promised = 0.0
    for pool in factory.fleet:
        size = CHIPS[pool.chip].node_size
        tree = quota_tree(factory, pool, CHIPS, tenants)
        for group in agreed:
            own = tree.nominal[tree.names.index(group.name)]
            assert own > tree.nominal[0] * group.nominal_fraction - size
            kept, promised = kept + own, promised + tree.nominal[0] * group.nominal_fraction
    assert kept == pytest.approx(promised, rel=1e-3)
    assert {t.quota.group for t in factory.tenants if t.mission and t.quota} <= {
        group.name for group in factory.policy.quota_groups
    }
