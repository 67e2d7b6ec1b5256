"""From the factory file to the rules: its tenants, projects and pools as plain facts, and verdicts.

A file that names quota groups states rules of access and is held to them; in another one a missing
record or document is told and not held against the work (see `gigafactory.policy.judge`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence

from gigafactory.factory.access import Evidence, Owner, Review
from gigafactory.factory.demand import Service, Tenant, Work
from gigafactory.factory.models import Factory, Pool
from gigafactory.plant import Chip
from gigafactory.policy.facts import (
    Approval,
    Document,
    Party,
    PoolFacts,
    ProjectFacts,
    TenantFacts,
)
from gigafactory.policy.judge import REALTIME, Verdict, judge
from gigafactory.policy.limits import Spell, spells
from gigafactory.policy.quotas import GroupShare, QuotaTree, TenantShare, compile_quotas
from gigafactory.units import S_PER_H


def is_governed(factory: Factory) -> bool:
    """Whether a factory file states rules of access: it names quota groups."""
    return bool(factory.policy.quota_groups)


def tenant_facts(factory: Factory, tenant: Tenant) -> TenantFacts:
    """A tenant as the rules see it."""
    quota = tenant.quota
    groups = {group.name: group for group in factory.policy.quota_groups}
    group = groups.get(quota.group) if quota is not None and quota.group else None
    caps = [factory.policy.concentration_cap_fraction]
    caps += [quota.cap_fraction] if quota is not None else []
    caps += [group.cap_fraction] if group is not None else []
    return TenantFacts(
        name=tenant.name,
        group=tenant.group,
        country=tenant.country,
        sector=tenant.field,
        mission=tenant.mission or "",
        programme=tenant.programme.name if tenant.programme else "",
        quota_group=group.name if group is not None else "",
        quota_title=(group.title.en, group.title.nl) if group is not None else ("", ""),
        quota_kind=group.kind if group is not None else "",
        cap_fraction=min(caps),
        discount_fraction=tenant.discount_fraction,
        isolation=tenant.isolation,
        evidence=tuple(map(_document, tenant.evidence)),
        parents=_parties(tenant.parents),
        support_h=tenant.support_s_per_year / S_PER_H,
        ran_before=tenant.ran_before,
    )


def project_facts(factory: Factory, tenant: Tenant) -> tuple[ProjectFacts, ...]:
    """Every project and then every service of a tenant, in the order of the file.

    The distance of a service's users counts from the factory's first site.
    """
    place = next(iter(factory.sites.values())).place
    home = (place.latitude, place.longitude)
    work = zip(tenant.project_names, tenant.work, strict=True)
    return (
        *(_work_facts(name, one) for name, one in work),
        *(_service_facts(one, home) for one in tenant.services),
    )


def pool_facts(factory: Factory, catalogue: Mapping[str, Chip]) -> tuple[PoolFacts, ...]:
    """Every pool as the rules see it, in the order of the file."""
    return tuple(_pool(factory, pool, catalogue[pool.chip]) for pool in factory.fleet)


def verdicts(
    factory: Factory, catalogue: Mapping[str, Chip], on: dt.date
) -> dict[str, dict[str, Verdict]]:
    """What the rules say of every project and service on a day, by tenant and name."""
    pools = pool_facts(factory, catalogue)
    governed = is_governed(factory)
    found: dict[str, dict[str, Verdict]] = {}
    for tenant in factory.tenants:
        who = tenant_facts(factory, tenant)
        found[tenant.name] = {
            project.name: judge(who, project, pools, on, governed=governed)
            for project in project_facts(factory, tenant)
        }
    return found


def verdicts_through(
    factory: Factory, catalogue: Mapping[str, Chip], first: dt.date, last: dt.date
) -> dict[str, dict[str, tuple[Spell, ...]]]:
    """What the rules say of every project and service from day to day, by tenant and name."""
    pools = pool_facts(factory, catalogue)
    governed = is_governed(factory)
    found: dict[str, dict[str, tuple[Spell, ...]]] = {}
    for tenant in factory.tenants:
        who = tenant_facts(factory, tenant)
        found[tenant.name] = {
            project.name: spells(who, project, pools, first, last, governed=governed)
            for project in project_facts(factory, tenant)
        }
    return found


def without_reserve_through(
    through: Mapping[str, Mapping[str, Sequence[Spell]]],
) -> tuple[tuple[dt.date, frozenset[str]], ...]:
    """Who may not use the share kept for their group, from day to day.

    Args:
        through: what `verdicts_through` gave; all begin on one day.

    Returns:
        Days on which it changes, ascending, the first day always, with the tenants from that day.
    """
    every = [one for projects in through.values() for one in projects.values()]
    days = sorted({spell.begins for one in every for spell in one})
    found: list[tuple[dt.date, frozenset[str]]] = []
    for day in days:
        lost = without_reserve(
            {
                tenant: {name: spell_on(one, day).verdict for name, one in projects.items()}
                for tenant, projects in through.items()
            }
        )
        if not found or found[-1][1] != lost:
            found.append((day, lost))
    return tuple(found)


def spell_on(through: Sequence[Spell], day: dt.date) -> Spell:
    """The spell to which a day belongs, not before the first."""
    return [spell for spell in through if spell.begins <= day][-1]


def without_reserve(judged: Mapping[str, Mapping[str, Verdict]]) -> frozenset[str]:
    """Tenants that may not use the share kept for their group, by the verdicts on their work."""
    return frozenset(
        tenant
        for tenant, projects in judged.items()
        if any(not verdict.reserved for verdict in projects.values())
    )


def quota_tree(
    factory: Factory,
    pool: Pool,
    catalogue: Mapping[str, Chip],
    tenants: Sequence[str] | None = None,
    without: Collection[str] = (),
) -> QuotaTree:
    """The quotas of a pool in accelerators.

    Shares count on what the pool has less its spare nodes.

    Args:
        factory: whose groups and tenants.
        pool: one of its pools.
        catalogue: for the size of a node.
        tenants: names that may ask for work, in order, those of a trace among them; the factory's
            own when left out. One the factory does not know owns nothing.
        without: tenants that lost their right to a share (`without_reserve`); they own nothing.
    """
    policy = factory.policy
    size = catalogue[pool.chip].node_size
    known = {tenant.name: tenant for tenant in factory.tenants}
    names: Iterable[str] = known if tenants is None else tenants
    groups = [
        GroupShare(
            name=group.name,
            nominal_fraction=group.nominal_fraction,
            lending_fraction=group.lending_fraction,
            cap_fraction=group.cap_fraction,
            weight=group.weight,
        )
        for group in policy.quota_groups
    ]
    return compile_quotas(
        groups,
        [_share(name, known.get(name), name in without) for name in names],
        pool.accelerators - pool.spare_nodes * size,
        size,
        policy.concentration_cap_fraction,
        installed=pool.accelerators,
    )


def _share(name: str, tenant: Tenant | None, lost: bool) -> TenantShare:
    quota = tenant.quota if tenant is not None else None
    if quota is None:
        return TenantShare(name)
    if lost:
        return TenantShare(name, cap_fraction=quota.cap_fraction, weight=quota.weight)
    return TenantShare(
        name=name,
        group=quota.group,
        nominal_fraction=quota.nominal_fraction,
        lending_fraction=quota.lending_fraction,
        cap_fraction=quota.cap_fraction,
        weight=quota.weight,
    )


def _document(one: Evidence) -> Document:
    return Document(one.kind, one.document, one.issued, one.expires, one.verified_by is not None)


def _parties(owners: Iterable[Owner]) -> tuple[Party, ...]:
    return tuple(Party(owner.name, owner.country) for owner in owners)


def _approvals(reviews: Iterable[Review]) -> tuple[Approval, ...]:
    return tuple(Approval(one.kind, one.approved, one.expires) for one in reviews)


def _work_facts(name: str, work: Work) -> ProjectFacts:
    return ProjectFacts(
        name=name,
        job_class=work.job_class,
        access=work.access,
        data_class=work.data_class,
        residency=work.residency,
        dataset_class=work.dataset.sensitivity if work.dataset else "",
        reviews=_approvals(work.reviews),
        outcome=work.outcome or "",
        waiting=work.latency,
        chips=work.chips,
        accelerators_max=work.accelerators_max,
        budget_gpu_h=work.budget_gpu_h,
        starts=work.starts,
        ends=work.ends,
    )


def _service_facts(service: Service, home: tuple[float, float]) -> ProjectFacts:
    return ProjectFacts(
        name=service.name,
        job_class=REALTIME,
        data_class=service.data_class,
        residency=service.residency,
        reviews=_approvals(service.reviews),
        outcome=service.outcome or "",
        waiting="seconds",
        chips=service.chips,
        accelerators_max=service.replica_accelerators,
        latency_ms=service.latency_ms,
        user_distance_km=service.user_distance_km,
        home_latitude_deg=home[0],
        home_longitude_deg=home[1],
    )


def _pool(factory: Factory, pool: Pool, chip: Chip) -> PoolFacts:
    site = factory.sites[pool.site]
    governance = factory.governance
    return PoolFacts(
        name=pool.name,
        site=pool.site,
        country=site.place.country,
        latitude_deg=site.place.latitude,
        longitude_deg=site.place.longitude,
        chip=pool.chip,
        accelerators=pool.accelerators,
        exporter=chip.origin,
        power_w_per_accelerator=max(chip.work_w.values()) + site.network.watt_per_accelerator_w,
        isolation=pool.isolation,
        operator=governance.operator,
        jurisdictions=governance.jurisdictions,
        parents=_parties(governance.parents),
        suppliers=_parties(governance.suppliers),
    )
