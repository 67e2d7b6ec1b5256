"""Who may have what: quotas, evidence, owners, programmes, datasets and reviews."""

from __future__ import annotations

from typing import Literal

from gigafactory.factory.blocks import Country, Day, Name, SourcedBlock, Text, Words, setting
from gigafactory.factory.quantities import PositiveCount, PositiveRatio, Score, Share

QuotaKind = Literal["reserved", "mission", "union_access", "commercial", "export"]
Rollover = Literal["none", "month", "quarter"]
EvidenceKind = Literal[
    "chamber_of_commerce",
    "sme_declaration",
    "start_up_declaration",
    "research_organisation",
    "public_body",
    "clearance",
    "eu_establishment",
]
DataClass = Literal[
    "open", "internal", "personal", "health", "trade_secret", "technical", "classified"
]
Residency = Literal["any", "eea", "nl"]
AccessMode = Literal["pay_as_you_go", "playground", "fast_lane", "large_scale", "ai_for_science"]
Waiting = Literal["any", "hours", "minutes", "seconds"]
RanBefore = Literal["own", "hyperscaler", "abroad", "nowhere"]

_OURS = "Our assumption, 2026, assumption"


class QuotaGroup(SourcedBlock):
    """A share of every pool that belongs to a group of tenants."""

    name: Name = setting("Name of the group; tenants name it under `quota`.")
    title: Words = setting("Name as shown.")
    kind: QuotaKind = setting("Why it has a share; export groups serve tenants abroad.")
    nominal_fraction: Share = setting("Share of every pool that is its own.", key="nominal")
    lending_fraction: Share = setting(
        "Share of its own that others may use while it is idle.",
        1.0,
        key="lending",
        source=f"{_OURS}: what is idle may be borrowed, and is taken back when it is asked for",
    )
    cap_fraction: Share = setting(
        "Share of every pool it never exceeds.", 1.0, key="cap", source=f"{_OURS}: no cap"
    )
    weight: PositiveRatio = setting(
        "Its weight in fair share; twice the weight, twice the use at equal rank.",
        1.0,
        source=f"{_OURS}: groups weigh the same",
    )
    rollover: Rollover = setting(
        "What becomes of its unused accelerator-hours: nothing, or they may be used in the next "
        "month or until the end of the next quarter.",
        "none",
    )
    condition: Text | None = setting(
        "The condition on public money that it fulfils; empty for none.", None
    )


class ReservedBlock(SourcedBlock):
    """Whole racks of a pool that are always there for a tenant, together."""

    pool: Name = setting("Pool in which they stand.")
    accelerators: PositiveCount = setting("Accelerators, in whole racks.")


class TenantQuota(SourcedBlock):
    """What one tenant has of its own, and what it may use at most."""

    group: Name | None = setting(
        "Quota group it belongs to; empty to stand beside the groups.", None
    )
    nominal_fraction: Share = setting(
        "Share of every pool that is its own, within that of its group.",
        0.0,
        key="nominal",
        source=f"{_OURS}: nothing of its own but what the group has",
    )
    lending_fraction: Share = setting(
        "Share of its own that others may use while it is idle.",
        1.0,
        key="lending",
        source=f"{_OURS}: what is idle may be borrowed",
    )
    cap_fraction: Share = setting(
        "Share of every pool it never exceeds.", 1.0, key="cap", source=f"{_OURS}: no cap"
    )
    weight: PositiveRatio = setting(
        "Its weight in fair share within its group.",
        1.0,
        source=f"{_OURS}: tenants weigh the same",
    )
    blocks: tuple[ReservedBlock, ...] = setting(
        "Whole racks that others use while they are idle, and leave within the grace; within what "
        "is nominally its own. Empty for a share that is counted and not placed.",
        (),
    )


class Evidence(SourcedBlock):
    """A dated document that shows what a tenant is."""

    kind: EvidenceKind = setting("What it shows.")
    document: Text = setting("The document, so that it can be found again.")
    issued: Day = setting("Day it was issued.")
    expires: Day | None = setting("First day it no longer counts; empty for never.", None)
    verified_by: Text | None = setting("Who checked it; empty while nobody has.", None)


class Owner(SourcedBlock):
    """Somebody who owns, controls or supplies, and the country whose law can compel it."""

    name: Text = setting("Name.")
    country: Country = setting("Country of its seat, ISO 3166 two-letter code.")


class Programme(SourcedBlock):
    """A research or cluster programme that a tenant's work belongs to."""

    name: Name = setting("Short name of the programme; several tenants may share it.")
    title: Text = setting("Name as shown.")
    kind: Literal["university", "regional", "national", "european"] = setting("Who runs it.")
    outputs: tuple[Text, ...] = setting("What it is to yield.", ())


class Dataset(SourcedBlock):
    """The record of the data a model is adapted to."""

    owner: Text = setting("Whose data it is.")
    licence: Text = setting("Licence or agreement under which it is used.")
    sensitivity: DataClass = setting("Data class of the dataset itself.")
    quality_score: Score = setting("How good it is by the tenant's own check, 0 to 1.")


class Review(SourcedBlock):
    """An approval of a project by those who look after privacy, ethics or security."""

    kind: Literal["privacy", "ethics", "security"] = setting("What was looked at.")
    approved: Day = setting("Day of the approval.")
    by: Text = setting("Who approved.")
    expires: Day | None = setting("First day it no longer counts; empty for never.", None)


__all__ = [
    "AccessMode",
    "DataClass",
    "Dataset",
    "Evidence",
    "EvidenceKind",
    "Owner",
    "Programme",
    "QuotaGroup",
    "QuotaKind",
    "RanBefore",
    "ReservedBlock",
    "Residency",
    "Review",
    "Rollover",
    "TenantQuota",
    "Waiting",
]
