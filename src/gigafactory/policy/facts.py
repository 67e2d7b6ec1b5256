"""What the rules look at: tenants, projects and pools as plain facts, with no model behind them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Party:
    """An owner, a parent or a supplier.

    Attributes:
        name: its name.
        country: ISO 3166 code of its seat.
    """

    name: str
    country: str


@dataclass(frozen=True, slots=True)
class Document:
    """A dated document that shows what a tenant is.

    Attributes:
        kind: what it shows, as the factory file writes it.
        name: the document.
        issued: day it was issued.
        expires: first day it no longer counts; None for never.
        verified: somebody checked it.
    """

    kind: str
    name: str
    issued: dt.date
    expires: dt.date | None = None
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Approval:
    """A review that was passed.

    Attributes:
        kind: privacy, ethics or security.
        approved: day of the approval.
        expires: first day it no longer counts; None for never.
    """

    kind: str
    approved: dt.date
    expires: dt.date | None = None


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """Who asks.

    Attributes:
        name: short name.
        group: nl_company, knowledge_institute, start_up, sme, large, public or export.
        country: ISO 3166 code.
        sector: what it is counted under.
        mission: mission its work serves, "" for none.
        programme: programme its work belongs to, "" for none.
        quota_group: group of the quota tree, "" for none.
        quota_title: what the group is called, in English and in Dutch.
        quota_kind: reserved, mission, union_access, commercial or export; "" without a group.
        cap_fraction: share of a pool it may hold at most, by its own cap, its group's and the
            concentration cap.
        discount_fraction: discount on list prices, as agreed.
        isolation: shared, dedicated_nodes or classified.
        evidence: documents.
        parents: its owners, upwards.
        support_h: hours of the factory's experts in a year.
        ran_before: where its work ran before.
    """

    name: str
    group: str
    country: str
    sector: str = ""
    mission: str = ""
    programme: str = ""
    quota_group: str = ""
    quota_title: tuple[str, str] = ("", "")
    quota_kind: str = ""
    cap_fraction: float = 1.0
    discount_fraction: float = 0.0
    isolation: str = "shared"
    evidence: tuple[Document, ...] = ()
    parents: tuple[Party, ...] = ()
    support_h: float = 0.0
    ran_before: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """What is asked: a project, or a service.

    Attributes:
        name: of the project or service.
        job_class: class of its jobs.
        access: how it came in.
        data_class: most sensitive data it works on.
        residency: any, eea or nl.
        dataset_class: sensitivity of its dataset, "" without a record of one.
        reviews: approvals.
        outcome: what it is to change, "" when it does not say.
        waiting: how long users can wait (any, hours, minutes, seconds).
        chips: accelerators it may run on; empty for any.
        accelerators_max: largest gang; None for whatever a pool holds.
        budget_gpu_h: accelerator-hours granted; None for no limit.
        starts, ends: first day of it and first day after it; None for no bound.
        latency_ms: latency objective of a service; None for jobs.
        user_distance_km: how far its users are from `home`.
        home_latitude_deg, home_longitude_deg: the site the distance counts from.
    """

    name: str
    job_class: str
    access: str = "pay_as_you_go"
    data_class: str = "internal"
    residency: str = "any"
    dataset_class: str = ""
    reviews: tuple[Approval, ...] = ()
    outcome: str = ""
    waiting: str = "any"
    chips: tuple[str, ...] = ()
    accelerators_max: int | None = None
    budget_gpu_h: float | None = None
    starts: dt.date | None = None
    ends: dt.date | None = None
    latency_ms: float | None = None
    user_distance_km: float = 0.0
    home_latitude_deg: float | None = None
    home_longitude_deg: float | None = None


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """Where it may run.

    Attributes:
        name: of the pool.
        site: its site.
        country: country of the site.
        latitude_deg, longitude_deg: of the site.
        chip: name of its accelerator.
        accelerators: how many.
        exporter: country whose export law covers the chip.
        power_w_per_accelerator: what one draws at full work, network included.
        isolation: shared or classified.
        operator: who runs it.
        jurisdictions: countries whose law binds the operator itself; empty when unknown.
        parents: owners of the operator, upwards.
        suppliers: suppliers who can reach data or stop the service.
    """

    name: str
    site: str
    country: str
    latitude_deg: float
    longitude_deg: float
    chip: str
    accelerators: int
    exporter: str = ""
    power_w_per_accelerator: float = 0.0
    isolation: str = "shared"
    operator: str = ""
    jurisdictions: tuple[str, ...] = ()
    parents: tuple[Party, ...] = ()
    suppliers: tuple[Party, ...] = ()
