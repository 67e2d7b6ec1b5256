"""The checks of quotas, projects, records and evidence: what access rests on must add up."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator
from typing import Final

from gigafactory.factory.finding import SLACK, Found, View
from gigafactory.factory.reading import Path_, nearest
from gigafactory.policy.judge import evidence_kinds
from gigafactory.policy.tables import thresholds


def _groups(view: View) -> Iterator[Found]:
    groups = view.factory.policy.quota_groups
    names = [group.name for group in groups]
    total = sum(group.nominal_fraction for group in groups)
    inside = dict.fromkeys(names, 0.0)
    for at, group in enumerate(groups):
        path: Path_ = ("policy", "quota_groups", at)
        if group.name in names[:at]:
            why = "is the name of an earlier one; use another"
            yield Found((*path, "name"), group.name, why)
        yield from _capped(path, group.nominal_fraction, group.cap_fraction)
    for at, tenant in enumerate(view.factory.tenants):
        quota = tenant.quota
        if quota is None:
            continue
        path = ("tenants", at, "quota")
        if quota.group is None:
            total += quota.nominal_fraction
        elif quota.group in inside:
            inside[quota.group] += quota.nominal_fraction
        else:
            why = f"no such group; {nearest(quota.group, names)}"
            yield Found((*path, "group"), quota.group, why, (("policy", "quota_groups"),))
        yield from _capped(path, quota.nominal_fraction, quota.cap_fraction)
        most = view.factory.policy.concentration_cap_fraction
        if quota.nominal_fraction > most + SLACK:
            why = f"is more than any one tenant may hold (concentration_cap: {_percent(most)})"
            yield Found((*path, "nominal"), _percent(quota.nominal_fraction), why)
    if total > 1.0 + SLACK:
        why = (
            "the nominal shares of the groups and of the tenants beside them come to "
            f"{_percent(total)}; they must not exceed 100 %"
        )
        yield Found(("policy", "quota_groups"), _percent(total), why)
    for at, group in enumerate(groups):
        if inside[group.name] > group.nominal_fraction + SLACK:
            why = (
                f"its tenants' nominal shares come to {_percent(inside[group.name])}; give the "
                "group at least that or its tenants less"
            )
            place: Path_ = ("policy", "quota_groups", at, "nominal")
            yield Found(place, _percent(group.nominal_fraction), why)


def _capped(path: Path_, nominal: float, cap: float) -> Iterator[Found]:
    if nominal > cap + SLACK:
        why = f"is more than its cap of {_percent(cap)}; raise the cap or lower the share"
        yield Found((*path, "nominal"), _percent(nominal), why)


def _percent(fraction: float) -> str:
    return f"{fraction * 100:.6g} %"


def _projects(view: View) -> Iterator[Found]:
    seen: dict[str, str] = {}
    for at, tenant in enumerate(view.factory.tenants):
        for of, (work, name) in enumerate(zip(tenant.work, tenant.project_names, strict=True)):
            path: Path_ = ("tenants", at, "work", of)
            if name in seen:
                why = f"is already a project of {seen[name]}; use another name"
                yield Found((*path, "name"), name, why)
            seen.setdefault(name, tenant.name)
            yield from _in_order(path, "starts", work.starts, "ends", work.ends)
            for n, review in enumerate(work.reviews):
                place = (*path, "reviews", n)
                yield from _in_order(place, "approved", review.approved, "expires", review.expires)
        for of, service in enumerate(tenant.services):
            path = ("tenants", at, "services", of)
            if service.latency_p99_ms is not None and service.latency_p99_ms < service.latency_ms:
                why = f"must be at least the objective of {service.latency_ms:g} ms"
                value = f"{service.latency_p99_ms:g} ms"
                yield Found((*path, "latency_p99"), value, why, ((*path, "latency"),))
            if service.slots > 0 and service.service_time_s <= 0.0:
                why = "is needed with slots: how long a request takes of its replica"
                yield Found((*path, "service_time"), None, why, ((*path, "slots"),))
            for n, review in enumerate(service.reviews):
                place = (*path, "reviews", n)
                yield from _in_order(place, "approved", review.approved, "expires", review.expires)
        for n, shown in enumerate(tenant.evidence):
            place = ("tenants", at, "evidence", n)
            yield from _in_order(place, "issued", shown.issued, "expires", shown.expires)


def _in_order(
    path: Path_, first: str, begin: dt.date | None, last: str, end: dt.date | None
) -> Iterator[Found]:
    if begin is not None and end is not None and end <= begin:
        yield Found((*path, last), end, f"must be after {first} ({begin})", ((*path, first),))


def _storage(view: View) -> Iterator[Found]:
    there = sum(site.storage_pb for site in view.factory.sites.values())
    given = sum(tenant.storage_quota_pb for tenant in view.factory.tenants)
    if given > there + SLACK:
        why = (
            f"the storage quotas come to {given:g} PB, but the sites have {there:g} PB; lower the "
            "quotas or add storage"
        )
        yield Found(("tenants",), f"{given:g} PB", why, (("sites",),))
    stored = sum(tenant.storage_used_pb for tenant in view.factory.tenants)
    if stored > there + SLACK:
        why = f"the tenants store {stored:g} PB, but the sites have {there:g} PB"
        yield Found(("tenants",), f"{stored:g} PB", why, (("sites",),))


def _sectors(view: View) -> Iterator[Found]:
    targets = view.factory.policy.sector_targets
    known = {tenant.field for tenant in view.factory.tenants}
    for name in targets:
        if name not in known:
            why = f"no tenant has this domain or sector; {nearest(name, known)}"
            yield Found(("policy", "sector_targets", name), name, why, (("tenants",),))
    total = sum(targets.values())
    if total > 1.0 + SLACK:
        why = f"the targets come to {_percent(total)}; they must not exceed 100 %"
        yield Found(("policy", "sector_targets"), _percent(total), why)


def _pools(view: View) -> Iterator[Found]:
    for at, pool in enumerate(view.factory.fleet):
        chip = view.chip_of(pool)
        if chip is not None and pool.spare_nodes * chip.node_size >= pool.accelerators:
            why = f"would leave nothing of the pool's {pool.accelerators // chip.node_size} nodes"
            rests = (("fleet", at, "accelerators"),)
            yield Found(("fleet", at, "spare_nodes"), pool.spare_nodes, why, rests)
        rack = pool.rack_accelerators
        if "pod_accelerators" in pool.model_fields_set and pool.pod_accelerators % rack:
            why = f"must be a multiple of {rack}, the accelerators in one rack"
            rests = (("fleet", at, "rack_accelerators"),)
            yield Found(("fleet", at, "pod_accelerators"), pool.pod_accelerators, why, rests)


def _blocks(view: View) -> Iterator[Found]:
    """Blocks are whole racks of a pool, within the share of the tenant and the racks there are."""
    fleet = {pool.name: pool for pool in view.factory.fleet}
    taken = dict.fromkeys(fleet, 0)
    for at, tenant in enumerate(view.factory.tenants):
        quota = tenant.quota
        mine = dict.fromkeys(fleet, 0)
        for of, block in enumerate(quota.blocks if quota is not None else ()):
            path: Path_ = ("tenants", at, "quota", "blocks", of)
            pool = fleet.get(block.pool)
            if quota is None or pool is None:
                yield Found(
                    (*path, "pool"), block.pool, f"no such pool; {nearest(block.pool, fleet)}"
                )
                continue
            rests: tuple[Path_, ...] = (("tenants", at, "quota", "nominal"),)
            if block.accelerators % pool.rack_accelerators:
                why = f"must be whole racks: a multiple of {pool.rack_accelerators}"
                yield Found((*path, "accelerators"), block.accelerators, why)
            mine[pool.name] += block.accelerators
            chip = view.chip_of(pool)
            spare = pool.spare_nodes * (chip.node_size if chip is not None else 0)
            # what cannot be read is told by who reads it
            share = quota.nominal_fraction * (pool.accelerators - spare)
            own = pool.accelerators if math.isnan(share) else int(share + SLACK)
            if mine[pool.name] > own:
                why = f"is more than its nominal share of the pool, {own} accelerators"
                yield Found((*path, "accelerators"), block.accelerators, why, rests)
            taken[pool.name] += block.accelerators
            if taken[pool.name] > pool.accelerators:
                why = f"with the blocks before it, is more than the pool's {pool.accelerators}"
                yield Found((*path, "accelerators"), block.accelerators, why)


def _isolation(view: View) -> Iterator[Found]:
    if any(pool.isolation == "classified" for pool in view.factory.fleet):
        return
    why = "the fleet has no pool with isolation: classified; add one or lower the class"
    rests: tuple[Path_, ...] = (("fleet",),)
    for at, tenant in enumerate(view.factory.tenants):
        if tenant.isolation == "classified":
            yield Found(("tenants", at, "isolation"), "classified", why, rests)
        for of, work in enumerate(tenant.work):
            if work.data_class == "classified":
                place: Path_ = ("tenants", at, "work", of, "data_class")
                yield Found(place, "classified", why, rests)
        for of, service in enumerate(tenant.services):
            if service.data_class == "classified":
                place = ("tenants", at, "services", of, "data_class")
                yield Found(place, "classified", why, rests)


def _records(view: View) -> Iterator[Found]:
    """The records without which a project does not run: a dataset, an outcome."""
    for at, tenant in enumerate(view.factory.tenants):
        health = tenant.mission == "health"
        outcome = "work for the mission health needs one: what it is to change, in a figure"
        for of, work in enumerate(tenant.work):
            path: Path_ = ("tenants", at, "work", of)
            if work.job_class == "fine_tuning" and work.dataset is None:
                why = "fine-tuning needs one: owner, licence, sensitivity and quality_score"
                yield Found((*path, "dataset"), None, why, ((*path, "job_class"),))
            if health and work.outcome is None:
                yield Found((*path, "outcome"), None, outcome)
        for of, service in enumerate(tenant.services):
            if health and service.outcome is None:
                yield Found(("tenants", at, "services", of, "outcome"), None, outcome)


def _records_where_asked(view: View) -> Iterator[Found]:
    """A file that states quota groups states rules of access, and must keep them."""
    if view.factory.policy.quota_groups:
        yield from _records(view)


def _evidence(view: View) -> Iterator[Found]:
    """Who has a share by public rules shows what it is."""
    kept = thresholds().favoured_kinds
    favoured = {one.name for one in view.factory.policy.quota_groups if one.kind in kept}
    for at, tenant in enumerate(view.factory.tenants):
        kinds = evidence_kinds(tenant.group) if tenant.group in thresholds().evidence else ()
        inside = tenant.quota is not None and tenant.quota.group in favoured
        if inside and not any(shown.kind in kinds for shown in tenant.evidence):
            why = (
                "has a share by public rules, and must show what it is; give evidence of kind "
                f"{' or '.join(kinds)}"
            )
            path: Path_ = ("tenants", at, "evidence")
            yield Found(path, None, why, (("tenants", at, "group"),))


ACCESS_CHECKS: Final[tuple[Callable[[View], Iterator[Found]], ...]] = (
    _groups,
    _projects,
    _storage,
    _sectors,
    _pools,
    _blocks,
    _isolation,
    _records_where_asked,
)

STRICT_ACCESS_CHECKS: Final[tuple[Callable[[View], Iterator[Found]], ...]] = (
    _records,
    _evidence,
)
