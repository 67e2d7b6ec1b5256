"""The bundled factories before the rules: facts, verdicts and quotas."""

from __future__ import annotations

import datetime as dt

import pytest

from gigafactory.factory import bundled, load_factory, load_scenario
from gigafactory.factory.rights import (
    is_governed,
    pool_facts,
    project_facts,
    quota_tree,
    tenant_facts,
    verdicts,
    without_reserve,
)
from gigafactory.plant import load_catalogue

CHIPS = load_catalogue()
NEW_YEAR = dt.date(2025, 1, 1)


def tenant(factory, name):
    return next(one for one in factory.tenants if one.name == name)


@pytest.mark.parametrize("name", bundled())
@pytest.mark.parametrize("day", [NEW_YEAR, dt.date(2025, 2, 1), dt.date(2025, 12, 31)])
def test_all_work_of_the_bundled_factories_may_run_while_it_lasts(name, day):
    factory = load_factory(name)
    assert is_governed(factory)
    found = verdicts(factory, CHIPS, day)
    assert list(found) == [one.name for one in factory.tenants]
    assert without_reserve(found) == frozenset()
    for owner in factory.tenants:
        names = [*owner.project_names, *(service.name for service in owner.services)]
        assert list(found[owner.name]) == names
        ends = {n: w.ends for n, w in zip(owner.project_names, owner.work, strict=True)}
        for project, verdict in found[owner.name].items():
            over = ends.get(project) is not None and ends[project] <= day
            assert verdict.admitted is not over, verdict.sentences()


@pytest.mark.parametrize("name", bundled())
def test_what_the_verdicts_charge_is_the_discount_of_the_file(name):
    factory = load_factory(name)
    for owner in factory.tenants:
        for project, verdict in verdicts(factory, CHIPS, NEW_YEAR)[owner.name].items():
            listed = 1.0 - owner.discount_fraction
            free = any(r.rule == "mode_free" for r in verdict.incentives)
            assert verdict.price_factor == pytest.approx(0.0 if free else listed), project


def test_rotterdam_has_every_way_in_and_every_mission_goes_first():
    factory = load_factory("rotterdam")
    modes = {work.access for owner in factory.tenants for work in owner.work}
    assert modes == {"pay_as_you_go", "playground", "fast_lane", "large_scale", "ai_for_science"}
    found = verdicts(factory, CHIPS, NEW_YEAR)
    for owner in factory.tenants:
        steps = {found[owner.name][name].priority_change for name in owner.project_names}
        union = owner.quota.group == "union-access"
        assert steps == {1 if owner.mission or union else 0}
        assert found[owner.name][owner.project_names[0]].ran_before == owner.ran_before


def test_a_parent_abroad_two_levels_up_closes_rotterdam_to_care_and_trade_secrets(tmp_path):
    path = tmp_path / "sold.yaml"
    path.write_text("""
name: sold
title: {en: Sold, nl: Verkocht}
explanation: {en: The operator is bought., nl: De exploitant wordt gekocht.}
changes:
  governance.parents:
    - {name: De Groot Family Office, country: NL}
    - {name: Europa Holding, country: LU}
    - {name: Cloud Inc, country: US}
""")
    factory = load_factory("rotterdam", load_scenario(path))
    found = verdicts(factory, CHIPS, NEW_YEAR)
    for owner in factory.tenants:
        work = zip([*owner.project_names, *(s.name for s in owner.services)],
                   [*owner.work, *owner.services], strict=True)  # fmt: skip
        for name, one in work:
            closed = one.data_class in ("health", "trade_secret", "classified")
            assert found[owner.name][name].admitted is not closed
    (first, *_) = found["hospitals"]["hospital-notes"].barred
    assert "VOLT (NL) → De Groot Family Office (NL) → Europa Holding (LU) → Cloud Inc (US)" in (
        first.text("nl")
    )


def test_an_expired_document_costs_the_discount_and_the_share():
    factory = load_factory("rotterdam")
    later = dt.date(2027, 5, 13)
    found = verdicts(factory, CHIPS, later)
    lost = without_reserve(found)
    assert "polder-university" in lost
    assert "delta-lab" not in lost
    assert found["polder-university"]["polder-university-research"].price_factor == 1.0
    tree = quota_tree(factory, factory.fleet[0], CHIPS, without=lost)
    leaf = tree.tenant_node[tree.tenants.index("polder-university")]
    assert (tree.parent[leaf], tree.nominal[leaf]) == (0, 0)


@pytest.mark.parametrize("name", bundled())
def test_a_replica_of_every_service_is_within_its_tenants_own_share(name):
    factory = load_factory(name)
    largest = {}  # the generator puts a service on the largest pool it may run on
    for pool in factory.fleet:
        largest[pool.chip] = largest.get(pool.chip, 0) + pool.accelerators
    for pool in factory.fleet:
        tree = quota_tree(factory, pool, CHIPS)
        for owner, leaf in zip(factory.tenants, tree.tenant_node, strict=True):
            if (pool.isolation == "classified") != (owner.isolation == "classified"):
                continue  # it may not be there
            peak = sum(
                service.accelerators_peak * (1.0 + service.headroom)
                for service in owner.services
                if max(service.chips or largest, key=lambda chip: largest[chip]) == pool.chip
            )
            assert peak <= tree.nominal[leaf], (owner.name, pool.name)
            gangs = [w.accelerators_max or 0 for w in owner.work]
            if (
                owner.name != "delta-lab"
            ):  # its largest gangs fit the larger pool only, and it is told
                assert max(gangs, default=0) <= tree.most(tree.tenants.index(owner.name), 10**6)


@pytest.mark.parametrize("name", bundled())
def test_quotas_leave_the_spares_out_and_know_strangers(name):
    factory = load_factory(name)
    for pool in factory.fleet:
        size = CHIPS[pool.chip].node_size
        tree = quota_tree(factory, pool, CHIPS, ["stranger", factory.tenants[0].name])
        assert tree.tenants == ("stranger", factory.tenants[0].name)
        assert tree.nominal[0] == pool.accelerators - pool.spare_nodes * size
        first, second = tree.tenant_node
        assert (tree.parent[first], tree.nominal[first]) == (0, 0)
        if pool.isolation == "classified":
            continue  # a few nodes, of which shares are rounded away
        assert tree.nominal[second] > 0
        groups = [n for n, parent in enumerate(tree.parent) if parent == 0 and n != first]
        assert [tree.names[n] for n in groups] == [g.name for g in factory.policy.quota_groups]
        promised = sum(tree.nominal[n] for n in groups)
        assert 0.97 * tree.nominal[0] < promised <= tree.nominal[0]


def test_facts_say_what_the_file_says():
    factory = load_factory("rotterdam")
    care = tenant_facts(factory, tenant(factory, "hospitals"))
    assert (care.quota_group, care.quota_kind, care.mission) == ("missions", "mission", "health")
    assert care.quota_title[1] == "Missies en publieke diensten"
    assert care.cap_fraction == 0.6
    abroad = tenant_facts(factory, tenant(factory, "alpine-models"))
    assert abroad.cap_fraction == 0.15
    assert [party.country for party in abroad.parents] == ["DE"]
    help_h = tenant_facts(factory, tenant(factory, "mkb-loket")).support_h
    assert help_h == pytest.approx(2000.0)
    tuning, batch, live = project_facts(factory, tenant(factory, "hospitals"))
    assert (tuning.dataset_class, tuning.waiting) == ("health", "minutes")
    assert batch.reviews
    assert (live.job_class, live.latency_ms) == ("inference_realtime", 1000.0)
    assert (live.home_latitude_deg, live.home_longitude_deg) == (51.95, 4.03)
    first = pool_facts(factory, CHIPS)[0]
    assert (first.country, first.exporter, first.operator) == ("NL", "US", "VOLT")
    assert 1000.0 < first.power_w_per_accelerator < 2000.0


def test_the_starter_states_no_rules_and_runs(broken):
    factory = load_factory(broken.write())
    assert not is_governed(factory)
    found = verdicts(factory, CHIPS, NEW_YEAR)
    assert all(verdict.admitted for projects in found.values() for verdict in projects.values())
    tree = quota_tree(factory, factory.fleet[0], CHIPS)
    assert tree.nominal == (1024, 0, 0)
    assert set(tree.cap) == {1024}
