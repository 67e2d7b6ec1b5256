"""The verdict on a project: where it may run, why not, what is told, and what it gets.

Every rule looks at plain facts and answers with a `Reason`, which `gigafactory.policy.rules` says
as a sentence. The order of the answers is fixed, so that equal facts give equal verdicts.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gigafactory.policy.facts import (
    Approval,
    Document,
    PoolFacts,
    ProjectFacts,
    TenantFacts,
)
from gigafactory.policy.reach import operator_exposures, tenant_exposures, user_distance_km
from gigafactory.policy.rules import Reason
from gigafactory.policy.tables import AccessMode, access_modes, frontier_minimum_mw, thresholds

REALTIME: Final = "inference_realtime"
_CLEARANCE: Final = "clearance"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say of a project or service on a day.

    Attributes:
        project: its name.
        tenant: whose.
        pools: where it may run; empty when it is refused.
        refusals: why it is refused; empty when it may run.
        barred: per pool it may not run on, why.
        flags: what is told beside.
        incentives: what it gets, and why.
        price_factor: of the list price.
        priority_change: steps up in priority.
        free_gpu_h: accelerator-hours of its tenant, all projects together, that cost nothing.
        reserved: whether its tenant may use the share kept for its quota group.
        budget_gpu_h: accelerator-hours granted; None for no limit.
        time_to_access_days: from request to access, on average.
        ran_before: where the work ran before.
        changes_on: next day on which the verdict may be another; None for never.
    """

    project: str
    tenant: str
    pools: tuple[str, ...]
    refusals: tuple[Reason, ...]
    barred: tuple[Reason, ...]
    flags: tuple[Reason, ...]
    incentives: tuple[Reason, ...]
    price_factor: float
    priority_change: int
    free_gpu_h: float
    reserved: bool
    budget_gpu_h: float | None
    time_to_access_days: float
    ran_before: tuple[str, ...]
    changes_on: dt.date | None

    @property
    def admitted(self) -> bool:
        """Whether it may run at all."""
        return not self.refusals

    def priority(self, base: int) -> int:
        """The priority of its jobs, given that of their class; never above the stated limit."""
        most = thresholds().incentives.priority_level_max
        return base if base >= most else min(base + self.priority_change, most)

    def sentences(self, lang: str = "en") -> tuple[str, ...]:
        """Everything it says, in a language."""
        reasons = (*self.refusals, *self.barred, *self.flags, *self.incentives)
        return tuple(reason.text(lang) for reason in reasons)


@dataclass(frozen=True, slots=True)
class _Case:
    """One project before the rules, with what several of them ask."""

    tenant: TenantFacts
    project: ProjectFacts
    on: dt.date
    governed: bool

    @property
    def data_classes(self) -> tuple[str, ...]:
        """Classes of data it uses: its own, and that of its dataset."""
        both = (self.project.data_class, self.project.dataset_class)
        return tuple(dict.fromkeys(name for name in both if name))

    @property
    def guarded_class(self) -> str:
        """The class for which nobody outside the EEA may control the operator, or ""."""
        known = thresholds().data_classes
        return next((name for name in self.data_classes if known[name].free_chain), "")

    @property
    def classified(self) -> bool:
        """Whether it belongs on pools kept for classified work."""
        known = thresholds().data_classes
        isolated = any(known[name].isolated for name in self.data_classes)
        return isolated or self.tenant.isolation == "classified"

    @property
    def favoured(self) -> bool:
        """Whether public rules favour the tenant, so that it must show what it is."""
        known = thresholds()
        return (
            self.tenant.group in known.favoured_groups
            or self.tenant.quota_kind in known.favoured_kinds
            or bool(self.tenant.mission)
        )

    @property
    def entitled(self) -> bool:
        """Whether it may have what favoured tenants get."""
        return not self.governed or standing(self.tenant, self.on) is None


def judge(
    tenant: TenantFacts,
    project: ProjectFacts,
    pools: Sequence[PoolFacts],
    on: dt.date,
    *,
    governed: bool = True,
) -> Verdict:
    """Say what the rules make of a project or service.

    Args:
        tenant: who asks.
        project: what is asked.
        pools: where it might run.
        on: the day on which the documents must count.
        governed: the factory states rules of access. Where it does not, a missing dataset, outcome
            or document is told and not held against the project, and there are no incentives but
            the agreed discount.
    """
    case = _Case(tenant, project, on, governed)
    mode = access_modes()[project.access]
    records = tuple(_records(case))
    refusals = [*_standing_in_the_way(case), *_access(case, mode)]
    flags = [] if governed else list(records)
    if governed:
        refusals = [*records, *refusals]
    barred: list[Reason] = []
    free: list[PoolFacts] = []
    for pool in pools:
        against = tuple(_against(case, pool))
        barred += against
        if not against:
            free.append(pool)
    if not free:
        refusals.append(Reason.of("no_pool", project=project.name))
    flags += _told(case, free)
    helps, price_factor, steps, trial_gpu_h = _helps(case, mode)
    return Verdict(
        project=project.name,
        tenant=tenant.name,
        pools=() if refusals else tuple(pool.name for pool in free),
        refusals=tuple(refusals),
        barred=tuple(barred),
        flags=tuple(flags),
        incentives=tuple(helps),
        price_factor=price_factor,
        priority_change=steps,
        free_gpu_h=trial_gpu_h,
        reserved=tenant.quota_kind not in thresholds().favoured_kinds or case.entitled,
        budget_gpu_h=project.budget_gpu_h,
        time_to_access_days=mode.mean_time_to_access_days,
        ran_before=tenant.ran_before,
        changes_on=_next_change(case),
    )


# --- documents ---------------------------------------------------------------------------------


def evidence_kinds(group: str) -> tuple[str, ...]:
    """Kinds of document that show a group; any one of them will do."""
    return thresholds().evidence[group]


def standing(tenant: TenantFacts, on: dt.date) -> Reason | None:
    """Why a tenant has not shown its group on a day; None when it has.

    A document counts from the day it was issued until it expires, once somebody checked it.
    """
    kinds = evidence_kinds(tenant.group)
    shown = [one for one in tenant.evidence if one.kind in kinds and one.issued <= on]
    current = [one for one in shown if one.expires is None or on < one.expires]
    if any(one.verified for one in current):
        return None
    if current:
        return Reason.of("evidence_unverified", tenant=tenant.name, document=current[0].name)
    if shown:
        last = max(shown, key=_expiry)
        fields = {"tenant": tenant.name, "document": last.name, "day": last.expires}
        return Reason.of("evidence_expired", **fields)
    return Reason.of("evidence_missing", tenant=tenant.name, group=tenant.group)


def _expiry(document: Document | Approval) -> dt.date:
    return document.expires or dt.date.max


def _records(case: _Case) -> Iterator[Reason]:
    project = case.project
    if project.job_class == "fine_tuning" and not project.dataset_class:
        yield Reason.of("dataset_missing", project=project.name)
    if case.tenant.mission == "health" and not project.outcome:
        yield Reason.of("outcome_missing", project=project.name)


def _standing_in_the_way(case: _Case) -> Iterator[Reason]:
    """What stops the project wherever it would run."""
    tenant, project = case.tenant, case.project
    if project.ends is not None and project.ends <= case.on:
        yield Reason.of("project_over", project=project.name, day=project.ends)
    yield from _reviews(case)
    if case.classified:
        if "export" in (tenant.group, tenant.quota_kind):
            yield Reason.of("export_classified", project=project.name, tenant=tenant.name)
        if not any(
            one.kind == _CLEARANCE and one.verified and one.issued <= case.on < _expiry(one)
            for one in tenant.evidence
        ):
            yield Reason.of("clearance_missing", project=project.name, tenant=tenant.name)


def _reviews(case: _Case) -> Iterator[Reason]:
    project = case.project
    asked: dict[str, str] = {}
    for name in case.data_classes:
        for review in thresholds().data_classes[name].reviews:
            asked.setdefault(review, name)
    for review, data_class in asked.items():
        passed = [r for r in project.reviews if r.kind == review and r.approved <= case.on]
        if any(case.on < _expiry(one) for one in passed):
            continue
        if passed:
            last = max(passed, key=_expiry)
            yield Reason.of("review_expired", project=project.name, review=review, day=last.expires)
        else:
            fields = {"project": project.name, "review": review, "data_class": data_class}
            yield Reason.of("review_missing", **fields)


# --- how it came in ----------------------------------------------------------------------------


def _access(case: _Case, mode: AccessMode) -> Iterator[Reason]:
    if not mode.is_granted:
        return
    tenant, project = case.tenant, case.project
    this = {"project": project.name, "mode": mode.name}
    if tenant.group not in mode.who:
        yield Reason.of("access_eligibility", **this, group=tenant.group)
    elif standing(tenant, case.on) is not None:
        yield Reason.of("access_evidence", **this, tenant=tenant.name, group=tenant.group)
    yield from _budget(project, mode, this)
    if project.starts is None or project.ends is None:
        yield Reason.of("access_term_missing", **this, months=mode.longest_months)
    else:
        last = months_later(project.starts, mode.longest_months)
        if project.ends > last:
            months = mode.longest_months
            yield Reason.of("access_term_long", **this, day=project.ends, months=months, last=last)


def _budget(project: ProjectFacts, mode: AccessMode, this: dict[str, str]) -> Iterator[Reason]:
    budget_gpu_h = project.budget_gpu_h
    if budget_gpu_h is None:
        yield Reason.of("access_budget_missing", **this)
    elif mode.most_gpu_h is not None and budget_gpu_h > mode.most_gpu_h:
        fields = {"budget_gpu_h": budget_gpu_h, "limit_gpu_h": mode.most_gpu_h}
        yield Reason.of("access_budget_large", **this, **fields)
    elif budget_gpu_h <= mode.above_gpu_h:
        fields = {"budget_gpu_h": budget_gpu_h, "limit_gpu_h": mode.above_gpu_h}
        yield Reason.of("access_budget_small", **this, **fields)


def months_later(day: dt.date, months: int) -> dt.date:
    """The same day of a later month, or that month's last day where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return dt.date(year, month + 1, min(day.day, last))


# --- where it may run --------------------------------------------------------------------------


def _against(case: _Case, pool: PoolFacts) -> Iterator[Reason]:
    """Everything against running in a pool."""
    project = case.project
    this = {"project": project.name, "pool": pool.name}
    if project.chips and pool.chip not in project.chips:
        yield Reason.of("chip", **this, chips=", ".join(project.chips), chip=pool.chip)
    if case.classified and pool.isolation != "classified":
        yield Reason.of("pool_not_isolated", **this)
    if not case.classified and pool.isolation == "classified":
        yield Reason.of("pool_classified", **this)
    stays = {"any": True, "eea": pool.country in thresholds().eea, "nl": pool.country == "NL"}
    if not stays[project.residency]:
        yield Reason.of("residency", **this, residency=project.residency, country=pool.country)
    yield from _chain(case, pool, this)
    yield from _latency(project, pool, this)


def _chain(case: _Case, pool: PoolFacts, this: dict[str, str]) -> Iterator[Reason]:
    if not case.guarded_class:
        return
    exposures = operator_exposures(pool)
    if exposures:
        first = exposures[0]
        fields = {"data_class": case.guarded_class, "path": first.path, "law": first.country}
        yield Reason.of("chain_exposed", **this, **fields)
    elif not pool.jurisdictions:
        yield Reason.of("chain_unknown", **this, data_class=case.guarded_class)


def _latency(project: ProjectFacts, pool: PoolFacts, this: dict[str, str]) -> Iterator[Reason]:
    if project.latency_ms is None:
        return
    rule = thresholds().latency
    distance_km = user_distance_km(project, pool)
    network_ms = rule.network_ms(distance_km)
    allowed_ms = rule.share_max * project.latency_ms
    if network_ms > allowed_ms:
        fields = {
            "latency_ms": project.latency_ms,
            "network_ms": network_ms,
            "distance_km": distance_km,
            "allowed_ms": allowed_ms,
        }
        yield Reason.of("latency_too_far", **this, **fields)


# --- what is told ------------------------------------------------------------------------------


def _told(case: _Case, pools: Sequence[PoolFacts]) -> Iterator[Reason]:
    tenant, project = case.tenant, case.project
    if case.favoured:
        doubt = standing(tenant, case.on)
        if doubt is not None and case.governed:
            yield doubt
    if tenant.country not in thresholds().eea:
        yield Reason.of("third_country_tenant", tenant=tenant.name, country=tenant.country)
    if case.guarded_class:
        for way in tenant_exposures(tenant)[:1]:
            fields = {"data_class": case.guarded_class, "path": way.path, "law": way.country}
            yield Reason.of("tenant_exposed", project=project.name, **fields)
    if case.classified:
        for pool in pools:
            if pool.exporter and pool.exporter not in thresholds().eea:
                yield Reason.of("chip_export_law", pool=pool.name, country=pool.exporter)
    if tenant.isolation == "dedicated_nodes":
        yield Reason.of("dedicated_nodes", tenant=tenant.name, project=project.name)
    if tenant.mission == "health" and project.job_class != REALTIME and project.waiting == "any":
        yield Reason.of("latency_not_said", project=project.name)
    if project.job_class == "frontier_training":
        yield from _frontier(case, pools)
    yield from _over_cap(case, pools)


def largest_gang(project: ProjectFacts, pool: PoolFacts) -> int:
    """The most accelerators one job of a project can ask for in a pool."""
    most = project.accelerators_max
    return pool.accelerators if most is None else min(most, pool.accelerators)


def _frontier(case: _Case, pools: Sequence[PoolFacts]) -> Iterator[Reason]:
    powers_mw = [
        largest_gang(case.project, pool) * pool.power_w_per_accelerator / 1e6 for pool in pools
    ]
    minimum_mw = frontier_minimum_mw(case.on)
    if powers_mw and max(powers_mw) < minimum_mw:
        fields = {"power_mw": max(powers_mw), "minimum_mw": minimum_mw, "year": case.on.year}
        yield Reason.of("frontier_small", project=case.project.name, **fields)


def _over_cap(case: _Case, pools: Sequence[PoolFacts]) -> Iterator[Reason]:
    if case.project.accelerators_max is None:
        return  # it asks for what it may have
    for pool in pools:
        allowed = int(case.tenant.cap_fraction * pool.accelerators + 1e-9)
        asked = largest_gang(case.project, pool)
        if asked > allowed:
            fields = {"accelerators": asked, "allowed": allowed, "pool": pool.name}
            yield Reason.of("gang_over_cap", project=case.project.name, **fields)


# --- what helps --------------------------------------------------------------------------------


def _helps(case: _Case, mode: AccessMode) -> tuple[list[Reason], float, int, float]:
    """Incentives with their reasons: price factor, steps of priority, free accelerator-hours."""
    tenant, project = case.tenant, case.project
    helps: list[Reason] = []
    price_factor, trial_gpu_h = 1.0, 0.0
    if tenant.group in mode.free_for and case.entitled:
        price_factor = 0.0
        helps.append(Reason.of("mode_free", mode=mode.name, group=tenant.group))
    elif tenant.discount_fraction > 0.0 and (case.entitled or not case.favoured):
        price_factor = 1.0 - tenant.discount_fraction
        helps.append(_discount(case))
    if not (case.governed and case.entitled):
        return helps, price_factor, 0, 0.0
    rule = thresholds().incentives
    if tenant.group in rule.trial_groups and price_factor > 0.0 and project.job_class != REALTIME:
        trial_gpu_h = rule.trial_gpu_h
        helps.append(Reason.of("trial_hours", tenant=tenant.name, free_gpu_h=trial_gpu_h))
    if tenant.support_h > 0.0:
        helps.append(Reason.of("support_hours", tenant=tenant.name, support_h=tenant.support_h))
    steps = 0
    if tenant.mission and project.job_class != REALTIME:
        steps = rule.mission_priority_steps
        fields: dict[str, object] = {"mission": tenant.mission, "steps": steps}
        helps.append(Reason.of("mission_priority", project=project.name, **fields))
    if tenant.quota_kind == "union_access" and project.job_class != REALTIME:
        steps = max(steps, rule.union_priority_steps)
        fields = {"steps": rule.union_priority_steps}
        helps.append(Reason.of("union_priority", project=project.name, **fields))
    if tenant.quota_kind in thresholds().favoured_kinds:
        english, dutch = tenant.quota_title
        fields = {"tenant": tenant.name, "quota_en": english, "quota_nl": dutch}
        helps.append(Reason.of("reserved_share", **fields))
    return helps, price_factor, steps, trial_gpu_h


def _discount(case: _Case) -> Reason:
    tenant = case.tenant
    if tenant.mission:
        fields: dict[str, object] = {"project": case.project.name, "mission": tenant.mission}
        return Reason.of("mission_discount", **fields, discount=tenant.discount_fraction)
    if tenant.group in thresholds().favoured_groups:
        fields = {"tenant": tenant.name, "group": tenant.group}
        return Reason.of("group_discount", **fields, discount=tenant.discount_fraction)
    return Reason.of("agreed_discount", tenant=tenant.name, discount=tenant.discount_fraction)


def _next_change(case: _Case) -> dt.date | None:
    """The next day on which a document begins or ceases to count, or the project ends."""
    project = case.project
    days: list[dt.date | None] = [project.ends]
    for shown in case.tenant.evidence:
        days += [shown.issued, shown.expires]
    for review in project.reviews:
        days += [review.approved, review.expires]
    return min((day for day in days if day is not None and day > case.on), default=None)
