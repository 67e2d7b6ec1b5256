"""Quotas, projects, records and evidence in a factory file: what does not add up is told."""

from __future__ import annotations

import pytest

from gigafactory.factory import check_factory, load_factory
from gigafactory.factory.access import TenantQuota
from gigafactory.factory.contracts import FailureRates
from gigafactory.factory.provenance import read_citation
from gigafactory.factory.shape import settings

GROUP = "title: {en: a, nl: b}, kind: reserved"
LAB = "    application: Research and model building\n"
SHOP = "    application: Answers to customers\n"
POLICY = "  # order: fair_share             #"
POOL = "    rack_accelerators: 64\n"
RESEARCH = '{job_class: research, share: "25 %", accelerators_max: 128}'
ANSWERS = 'latency: "800 ms"}'
BACKWARDS = "kind: clearance, document: x, issued: 2025-01-02, expires: 2025-01-01"
BLOCK = 'quota: {{nominal: "50 %", blocks: [{{pool: {pool}, accelerators: {size}}}]}}'
REVIEW = "reviews: [{kind: privacy, by: x, approved: 2024-05-01, expires: 2024-05-01}]"


def groups(*blocks: str) -> tuple[str, str]:
    return POLICY, f"  quota_groups: [{', '.join(blocks)}]\n{POLICY}"


def group(name: str, nominal: str, more: str = "") -> str:
    return f'{{name: {name}, {GROUP}, nominal: "{nominal}"{more}}}'


#: what is replaced by what (several), the field the problem names, and words the reason must hold
CASES = {
    "more than the pool": (
        [groups(group("a", "60 %"), group("b", "50 %"))], "policy.quota_groups", "110 %"),
    "tenants beside the groups count": (
        [groups(group("a", "60 %")), (LAB, f'{LAB}    quota: {{nominal: "50 %"}}\n')],
        "policy.quota_groups", "110 %"),
    "more than the group": (
        [groups(group("a", "30 %")),
         (LAB, f'{LAB}    quota: {{group: a, nominal: "20 %"}}\n'),
         (SHOP, f'{SHOP}    quota: {{group: a, nominal: "20 %"}}\n')],
        "quota_groups.a.nominal", "40 %"),
    "no such group": (
        [groups(group("science", "30 %")), (LAB, f"{LAB}    quota: {{group: sciense}}\n")],
        "tenants.lab.quota.group", "did you mean science?"),
    "a group above its cap": (
        [groups(group("a", "30 %", ', cap: "20 %"'))], "quota_groups.a.nominal", "cap of 20 %"),
    "a tenant above its cap": (
        [(LAB, f'{LAB}    quota: {{nominal: "30 %", cap: "20 %"}}\n')],
        "tenants.lab.quota.nominal", "cap of 20 %"),
    "a tenant above the concentration cap": (
        [(LAB, f'{LAB}    quota: {{nominal: "30 %"}}\n'),
         (POLICY, f'  concentration_cap: "25 %"\n{POLICY}')],
        "tenants.lab.quota.nominal", "concentration_cap: 25 %"),
    "two groups of one name": (
        [groups(group("a", "10 %"), group("a", "10 %"))], "quota_groups.a.name", "earlier one"),
    "a weight of nothing": (
        [groups(group("a", "10 %", ", weight: 0"))], "quota_groups.a.weight", "above 0"),
    "two projects of one name": (
        [(RESEARCH, RESEARCH.replace("}", ", name: same}")),
         ('{job_class: inference_batch, share: "10 %"}',
          '{job_class: inference_batch, share: "10 %", name: same}')],
        "tenants.shop.work.same.name", "already a project of lab"),
    "a project that ends before it starts": (
        [(RESEARCH, RESEARCH.replace("}", ", starts: 2025-03-01, ends: 2025-03-01}"))],
        "work.1.ends", "after starts (2025-03-01)"),
    "a review that never counts": (
        [(RESEARCH, RESEARCH.replace("}", f", {REVIEW}}}"))],
        "work.1.reviews.0.expires", "after approved"),
    "a service's review that never counts": (
        [(ANSWERS, ANSWERS.replace("}", f", {REVIEW}}}"))],
        "services.answers.reviews.0.expires", "after approved"),
    "a document that never counts": (
        [(LAB, f"{LAB}    evidence: [{{{BACKWARDS}}}]\n")],
        "evidence.0.expires", "after issued"),
    "a document of a kind nobody knows": (
        [(LAB, f"{LAB}    evidence: [{{kind: clearence, document: x, issued: 2025-01-02}}]\n")],
        "evidence.0.kind", "did you mean clearance?"),
    "a tail shorter than the objective": (
        [(ANSWERS, ANSWERS.replace("}", ', latency_p99: "700 ms"}'))],
        "services.answers.latency_p99", "800 ms"),
    "storage twice": (
        [(LAB, f'{LAB}    storage_quota: "0.8 PB"\n'),
         (SHOP, f'{SHOP}    storage_quota: "300 TB"\n')],
        "tenants", "1.1 PB"),
    "a target for nobody": (
        [(POLICY, f'  sector_targets: {{reserch: "10 %"}}\n{POLICY}')],
        "policy.sector_targets.reserch", "did you mean research?"),
    "targets above all": (
        [(POLICY, f'  sector_targets: {{research: "60 %", services: "50 %"}}\n{POLICY}')],
        "policy.sector_targets", "110 %"),
    "all nodes spare": (
        [(POOL, f"{POOL}    spare_nodes: 128\n")], "fleet.h100.spare_nodes", "128 nodes"),
    "a broken pod": (
        [(POOL, f"{POOL}    pod_accelerators: 100\n")], "fleet.h100.pod_accelerators", "64"),
    "a block in no pool": (
        [(LAB, f'{LAB}    {BLOCK.format(pool="h10", size=64)}\n')],
        "tenants.lab.quota.blocks.0.pool", "did you mean h100?"),
    "a block of half a rack": (
        [(LAB, f'{LAB}    {BLOCK.format(pool="h100", size=96)}\n')],
        "tenants.lab.quota.blocks.0.accelerators", "a multiple of 64"),
    "a block above the share": (
        [(LAB, f'{LAB}    {BLOCK.format(pool="h100", size=640)}\n')],
        "tenants.lab.quota.blocks.0.accelerators", "512 accelerators"),
    "data at no site": (
        [(RESEARCH, RESEARCH.replace("}", ', data: "1 TB", data_site: hom}'))],
        "work.1.data_site", "did you mean home?"),
    "slots without a time": (
        [(ANSWERS, ANSWERS.replace("}", ", slots: 64}"))],
        "services.answers.service_time", "how long a request takes"),
    "classified work and no such pool": (
        [(RESEARCH, RESEARCH.replace("}", ", data_class: classified}"))],
        "work.1.data_class", "isolation: classified"),
    "a classified service and no such pool": (
        [(ANSWERS, ANSWERS.replace("}", ", data_class: classified}"))],
        "services.answers.data_class", "isolation: classified"),
    "a classified tenant and no such pool": (
        [(LAB, f"{LAB}    isolation: classified\n")], "tenants.lab.isolation", "classified"),
    "a quality above one": (
        [("quality_score: 0.8", "quality_score: 8")], "dataset.quality_score", "at most 1"),
    "half a dataset": (
        [("owner: Our laboratory, ", "")], "dataset.owner", "is missing"),
    "the dataset of a stated factory": (
        [groups(group("a", "10 %")),
         ("        dataset: {owner: Our laboratory", "        # {")],
        "work.2.dataset", "quality_score"),
    "the outcome of a stated factory": (
        [groups(group("a", "10 %")),
         ("    sector: services\n", "    sector: services\n    mission: health\n"),
         ('{job_class: inference_batch, share: "10 %"}',
          '{job_class: inference_batch, share: "10 %", outcome: x}')],
        "services.answers.outcome", "health"),
    "better than perfect scaling": (
        [(POLICY, f"  elastic_exponent: 1.5\n{POLICY}")], "policy.elastic_exponent", "at most 1"),
    "no time to make way": (
        [(POLICY, f"  grace: {{research: 60}}\n{POLICY}")], "policy.grace.research", "has no unit"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(CASES))
def test_each_mistake_is_told_once_at_its_field(case, broken, only):
    changes, field, words = CASES[case]
    problem = only(broken.problems(*changes))
    assert problem.field.endswith(field)
    assert words in str(problem)


def test_a_file_that_states_no_groups_need_not_have_records(broken):
    bare = [
        ("        dataset: {owner: Our laboratory", "        # {"),
        ("    sector: services\n", "    sector: services\n    mission: health\n"),
    ]
    assert broken.problems(*bare) == []
    told = [p for p in broken.problems(*bare, strict=True) if "no source" not in p.why]
    assert [p.field for p in told] == [
        "tenants.lab.work.2.dataset", "tenants.shop.work.0.outcome",
        "tenants.shop.services.answers.outcome",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "document", "told"),
    [("reserved", "", True), ("reserved", "public_body", True),
     ("reserved", "research_organisation", False), ("commercial", "", False)],
)  # fmt: skip
def test_who_has_a_reserved_share_shows_what_it_is_when_strict(broken, kind, document, told):
    changes = [groups(group("a", "10 %").replace("reserved", kind)),
               (LAB, f"{LAB}    quota: {{group: a}}\n")]  # fmt: skip
    if document:
        shown = f"    evidence: [{{kind: {document}, document: x, issued: 2024-01-01}}]\n"
        changes.append(("    quota: {group: a}\n", f"    quota: {{group: a}}\n{shown}"))
    assert broken.problems(*changes) == []
    strict = [p for p in broken.problems(*changes, strict=True) if "no source" not in p.why]
    assert [p.field for p in strict] == (["tenants.lab.evidence"] if told else [])
    assert all("research_organisation" in p.why for p in strict)


def test_projects_have_a_name_each(broken):
    more = f"{RESEARCH}\n      - {RESEARCH}".replace("25 %", "5 %")
    tenant = load_factory(broken.write((RESEARCH, more))).tenants[0]
    assert tenant.project_names == (
        "lab-frontier_training", "lab-research", "lab-research-2", "lab-fine_tuning",
    )  # fmt: skip
    assert tenant.field == "research"
    named = load_factory(
        broken.write((RESEARCH, RESEARCH.replace("}", ", name: mine}")),
                     (LAB, f"{LAB}    domain: Medtech\n"))
    ).tenants[0]  # fmt: skip
    assert named.project_names[1] == "mine"
    assert named.field == "Medtech"


def test_a_pod_holds_whole_racks(broken):
    assert load_factory(broken.write()).fleet[0].pod_racks == 16
    pool = broken.write((POOL, f"{POOL}    pod_accelerators: 512\n"))
    assert load_factory(pool).fleet[0].pod_racks == 8
    # a rack that does not divide the assumed pod is no mistake of the file's
    wide = broken.write((POOL, "    rack_accelerators: 72\n"), ('"90 kW"', '"100 kW"'))
    assert check_factory(wide) == []
    assert load_factory(wide).fleet[0].pod_racks == 14


def test_a_file_without_the_new_settings_has_their_defaults(broken):
    factory = load_factory(broken.write())
    policy, tenant = factory.policy, factory.tenants[1]
    assert (policy.order, policy.quota_groups, policy.preempt_within_tenant) == ("fifo", (), False)
    assert policy.fair_share_half_life_s == 7 * 86_400
    assert (policy.spanning_fraction, policy.concentration_cap_fraction) == (1.0, 1.0)
    assert (policy.elastic_exponent, policy.deadline_margin_s) == (0.9, 3600.0)
    assert (policy.minimum_runtime_s, policy.grace_s, policy.restart_s) == ({}, {}, {})
    assert (tenant.quota, tenant.evidence, tenant.isolation) == (None, (), "shared")
    work, service = tenant.work[0], tenant.services[0]
    assert (work.access, work.data_class, work.residency) == ("pay_as_you_go", "internal", "any")
    assert (work.elastic_min_fraction, work.deadline_factor, work.budget_gpu_h) == (None,) * 3
    assert (service.degradation, service.user_distance_km) == ("queue", 0.0)
    assert (factory.fleet[0].spare_nodes, factory.fleet[0].failures) == (0, None)


def test_an_empty_failure_block_is_the_published_rate():
    rates = FailureRates()
    assert rates.interval_gpu_h == pytest.approx(16_384 * 54 * 24 / 419, rel=1e-3)
    assert rates.repair_s == 4 * 3600
    assert rates.gpu_fraction == 0.587
    for one in settings(FailureRates).values():
        if one.shape.figure is not None:
            assert read_citation(one.source)[1] >= 2024


def test_a_tenants_own_share_is_nothing_by_default():
    quota = TenantQuota()
    assert (quota.nominal_fraction, quota.lending_fraction, quota.cap_fraction) == (0.0, 1.0, 1.0)
