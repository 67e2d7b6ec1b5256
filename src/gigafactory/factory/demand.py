"""Who asks for work, by which rules, under whose governance, and at what money."""

from __future__ import annotations

from typing import Literal

from gigafactory.factory.access import (
    AccessMode,
    DataClass,
    Dataset,
    Evidence,
    Owner,
    Programme,
    QuotaGroup,
    RanBefore,
    Residency,
    Review,
    TenantQuota,
    Waiting,
)
from gigafactory.factory.blocks import (
    Country,
    Day,
    Flag,
    JobClassLabel,
    MissionLabel,
    Name,
    SourcedBlock,
    Text,
    Words,
    setting,
)
from gigafactory.factory.quantities import (
    AnyShare,
    CostEURPerGPUh,
    CostEURPerMW,
    CostEURPerMWh,
    CostEURPerPBMonth,
    CostEURPerT,
    Count,
    DataPB,
    DistanceKm,
    DurationS,
    LatencyMs,
    Level,
    LifeYears,
    MoneyEUR,
    PositiveCount,
    PositiveDurationS,
    PositiveRatio,
    PositiveShare,
    Ratio,
    ScalingExponent,
    Share,
    WorkGPUh,
)

TenantGroup = Literal[
    "nl_company", "knowledge_institute", "start_up", "sme", "large", "public", "export"
]


class Work(SourcedBlock):
    """Jobs of one class that a tenant offers through the year."""

    job_class: JobClassLabel = setting(
        "Class of the jobs; real-time inference is given under `services`, not here."
    )
    share: Share = setting("Share of the installed accelerator-hours of a year that it offers.")
    chips: tuple[Name, ...] = setting("Accelerators it may run on; empty for any.", ())
    accelerators_max: PositiveCount | None = setting(
        "Largest gang this tenant asks for; empty for whatever the fleet can hold.", None
    )
    monthly: tuple[Ratio, ...] | None = setting(
        "Twelve weights, January to December; empty for an even year.", None
    )
    name: Name | None = setting(
        "Name of the project; empty for `<tenant>-<class>` (a second one of a class ends in -2).",
        None,
    )
    access: AccessMode = setting(
        "How it came in; all but pay_as_you_go are modes of the EuroHPC AI factories.",
        "pay_as_you_go",
    )
    data_class: DataClass = setting(
        "Most sensitive data it works on; it decides where the work may run.", "internal"
    )
    residency: Residency = setting("Where its data must stay.", "any")
    dataset: Dataset | None = setting(
        "Record of the data a model is adapted to; fine-tuning does not run without one.", None
    )
    reviews: tuple[Review, ...] = setting("Approvals of the project.", ())
    outcome: Text | None = setting(
        "What it is to change, in a figure that can be checked; work for the mission health does "
        "not run without one.",
        None,
    )
    data_pb: DataPB = setting(
        "Data that each of its jobs needs where it runs, and that move with it.",
        0.0,
        key="data",
        source="Our assumption, 2026, assumption: small enough to be anywhere",
    )
    data_site: Name | None = setting(
        "Site where these data lie at first; empty for the factory's first site.", None
    )
    latency: Waiting = setting("How long those who use its results can wait.", "any")
    elastic_min_fraction: PositiveShare | None = setting(
        "Smallest share of its accelerators with which a gang still runs; empty for rigid gangs.",
        None,
        key="elastic_min",
    )
    required_level: Literal["none", "rack", "pod"] = setting(
        "Part of the network a gang must lie in; gangs too large for it lie anywhere.", "none"
    )
    deadline_factor: PositiveRatio | None = setting(
        "Deadline of a job, in walltime estimates after its submission; empty for none.", None
    )
    budget_gpu_h: WorkGPUh | None = setting(
        "Accelerator-hours granted to the project; empty for no limit.", None
    )
    starts: Day | None = setting("First local day of the project; empty for always.", None)
    ends: Day | None = setting("First local day after the project; empty for never.", None)


class Service(SourcedBlock):
    """A real-time inference service that follows a request rate."""

    name: Name = setting("Name of the service.")
    accelerators_peak: PositiveCount = setting("Accelerators it needs at its yearly peak.")
    replica_accelerators: PositiveCount = setting("Accelerators of one replica (a gang).")
    mean_fraction: PositiveShare = setting(
        "Mean need as a share of the peak.",
        0.5,
        key="mean",
        source="ServeGen request rates (Alibaba), 2025, measured: peak over mean 1.9 to 3.3",
    )
    latency_ms: LatencyMs = setting("Latency objective of a first answer.", key="latency")
    headroom: AnyShare = setting(
        "Capacity kept above the present need.",
        0.1,
        source="Our assumption, 2026, assumption",
    )
    chips: tuple[Name, ...] = setting("Accelerators it may run on; empty for any.", ())
    data_class: DataClass = setting(
        "Most sensitive data it works on; it decides where it may run.", "internal"
    )
    residency: Residency = setting("Where its data must stay.", "any")
    latency_p99_ms: LatencyMs | None = setting(
        "First answer that 99 of 100 requests must get, network included; empty for three times "
        "the objective.",
        None,
        key="latency_p99",
    )
    user_distance_km: DistanceKm = setting(
        "How far its users are from the site, as the crow flies.",
        0.0,
        source="Our assumption, 2026, assumption: users next door",
    )
    slots: Count = setting(
        "Requests that one replica answers at once; 0 sizes the service in proportion to its rate, "
        "without a look at how long a request waits.",
        0,
        source="Our assumption, 2026, assumption: not known",
    )
    service_time_s: DurationS = setting(
        "Mean time a request takes of its replica, from first to last word; needed with slots.",
        0.0,
        key="service_time",
        source="Our assumption, 2026, assumption: not known",
    )
    startup_s: DurationS = setting(
        "Time from the start of a replica until it answers.",
        300.0,
        key="startup",
        source="Our assumption, 2026, assumption: loading a model of some hundreds of GB",
    )
    degradation: Literal["shed", "smaller_model", "queue"] = setting(
        "What it does when it has too little capacity.", "queue"
    )
    reviews: tuple[Review, ...] = setting("Approvals of the service.", ())
    outcome: Text | None = setting(
        "What it is to change, in a figure that can be checked; a service for the mission health "
        "does not run without one.",
        None,
    )


class Tenant(SourcedBlock):
    """Somebody who uses the factory."""

    name: Name = setting("Short name.")
    title: Text = setting("Name as shown.")
    group: TenantGroup = setting("Group for quotas and accounts.")
    country: Country = setting("Country of the tenant, ISO 3166 two-letter code.")
    sector: Text = setting("Sector of the tenant.")
    mission: MissionLabel | None = setting("Mission the work serves; empty for none.", None)
    application: Text = setting("What the work is for.")
    fictional: Flag = setting("The tenant is invented for demonstration.", False)
    discount_fraction: Share = setting(
        "Discount on list prices.",
        0.0,
        key="discount",
        source="Our assumption, 2026, assumption: list price",
    )
    work: tuple[Work, ...] = setting("Jobs it offers.", ())
    services: tuple[Service, ...] = setting("Real-time services it runs.", ())
    domain: Text | None = setting(
        "Wider field for the targets of access, such as Medtech; empty for its sector.", None
    )
    quota: TenantQuota | None = setting(
        "What it has of its own; empty for nothing, beside the groups.", None
    )
    evidence: tuple[Evidence, ...] = setting("Documents that show what it is.", ())
    parents: tuple[Owner, ...] = setting(
        "Who owns it, from its owner upwards; empty when it is its own.", ()
    )
    programme: Programme | None = setting("Programme its work belongs to; empty for none.", None)
    support_s_per_year: DurationS = setting(
        "Time of the factory's experts that it is given in a year.",
        0.0,
        key="support",
        source="Our assumption, 2026, assumption: none",
    )
    storage_quota_pb: DataPB = setting(
        "Storage kept for it.",
        0.0,
        key="storage_quota",
        source="Our assumption, 2026, assumption: none",
    )
    storage_used_pb: DataPB = setting(
        "What it stores; at its quota, jobs that bring data are refused.",
        0.0,
        key="storage_used",
        source="Our assumption, 2026, assumption: nothing",
    )
    isolation: Literal["shared", "dedicated_nodes", "classified"] = setting(
        "How far its work is kept apart from that of others; with dedicated_nodes every job takes "
        "whole nodes and is billed for them.",
        "shared",
    )
    ran_before: tuple[RanBefore, ...] = setting("Where this work ran before.", ())

    @property
    def field(self) -> str:
        """The field it is counted under: its domain, or else its sector."""
        return self.domain or self.sector

    @property
    def project_names(self) -> tuple[str, ...]:
        """The name of each of its projects, in the order of `work`."""
        names: list[str] = []
        seen: dict[str, int] = {}
        for work in self.work:
            seen[work.job_class] = seen.get(work.job_class, 0) + 1
            again = f"-{seen[work.job_class]}" if seen[work.job_class] > 1 else ""
            names.append(work.name or f"{self.name}-{work.job_class}{again}")
        return tuple(names)


class Checkpoint(SourcedBlock):
    """How often a class saves its state and what saving costs."""

    interval_s: PositiveDurationS = setting("Time between two checkpoints.", key="interval")
    cost_s: DurationS = setting("Time work stands still to save one.", key="cost")


class Policy(SourcedBlock):
    """Rules of the scheduler and of a shortage."""

    priority: dict[JobClassLabel, Level] = setting(
        "Priority per class, 0 to 7, the higher the sooner."
    )
    backfill_depth: Count = setting(
        "Waiting jobs looked at behind a blocked one.",
        100,
        source="Our measurement on a synthetic overload, 2026, measured: 1.6 million events/s",
    )
    checkpoint: dict[JobClassLabel, Checkpoint] = setting("Checkpointing per class.")
    speed_min: dict[JobClassLabel, PositiveShare] = setting(
        "Slowest speed a class may be throttled to, as a share of full speed."
    )
    victim_order: tuple[JobClassLabel, ...] = setting(
        "Who is paused first in a shortage, first to last."
    )
    delay_cost_eur_per_gpu_h: dict[JobClassLabel, CostEURPerGPUh] = setting(
        "Cost of one accelerator-hour delayed by one day.", key="delay_cost"
    )
    migration: Literal["none", "placement", "full"] = setting(
        "Whether work moves between sites: never; while it waits; or also while it runs, saved and "
        "started again elsewhere.",
        "placement",
    )
    migration_gain_eur_per_gpu_h: CostEURPerGPUh = setting(
        "What a move must save per accelerator-hour left, beyond what it costs.",
        0.02,
        key="migration_gain",
        source="Our assumption, 2026, assumption: a hundredth of what an accelerator-hour earns",
    )
    migration_moves_max: Count = setting(
        "How often a job moves at most.", 2, source="Our assumption, 2026, assumption"
    )
    carbon_price_eur_per_t: CostEURPerT = setting(
        "What a tonne of CO2 counts for in the choice of a site; nobody pays it.",
        0.0,
        key="carbon_price",
        source="Our assumption, 2026, assumption: only what is paid counts",
    )
    oversubscription: PositiveRatio = setting(
        "Rated power of the installed accelerators over what is admitted at once.",
        1.0,
        source="Our assumption, 2026, assumption: none",
    )
    class_power_fraction: dict[JobClassLabel, PositiveShare] = setting(
        "Share of a pool's largest IT power that a class may draw at most, per class; no limit "
        "where left out. Nothing starts above it; what runs goes on.",
        {},
        key="class_power",
    )
    order: Literal["fair_share", "fifo"] = setting(
        "Who goes first at equal priority: who used least for its weight, or who asked first.",
        "fifo",
    )
    fair_share_half_life_s: PositiveDurationS = setting(
        "Time in which what was used counts half.",
        604_800.0,
        key="fair_share_half_life",
        source="Slurm's PriorityDecayHalfLife, default 7-0, 2025, published",
    )
    quota_groups: tuple[QuotaGroup, ...] = setting(
        "Shares of every pool for groups of tenants; empty for none.", ()
    )
    move_together: Flag = setting(
        "Jobs smaller than a node are moved together, with a restart, for a gang that lacks whole "
        "nodes.",
        False,
    )
    preempt_within_tenant: Flag = setting(
        "A job makes way for one of higher priority of the same tenant.", False
    )
    minimum_runtime_s: dict[JobClassLabel, DurationS] = setting(
        "Time a job runs before it may have to make way, per class; none where left out.",
        {},
        key="minimum_runtime",
    )
    grace_s: dict[JobClassLabel, DurationS] = setting(
        "Time from the notice to make way until the job is stopped, per class; none where left "
        "out.",
        {},
        key="grace",
    )
    restart_s: dict[JobClassLabel, DurationS] = setting(
        "Time a stopped job needs before it works again, per class; none where left out.",
        {},
        key="restart",
    )
    spanning_fraction: PositiveShare = setting(
        "Speed of a gang that lies in several pods, as a share of full speed.",
        1.0,
        key="spanning",
        source="Our assumption, 2026, assumption: a network without bottleneck",
    )
    elastic_exponent: ScalingExponent = setting(
        "An elastic job on a share x of its accelerators runs at x to this power.",
        0.9,
        source="Our assumption, 2026, assumption: a little below perfect scaling",
    )
    deadline_margin_s: DurationS = setting(
        "Time before the last moment to start at which a job with a deadline becomes urgent.",
        3600.0,
        key="deadline_margin",
        source="Our assumption, 2026, assumption: an hour",
    )
    concentration_cap_fraction: PositiveShare = setting(
        "Share of a pool that no tenant may exceed.",
        1.0,
        key="concentration_cap",
        source="Our assumption, 2026, assumption: no cap",
    )
    sector_targets: dict[str, Share] = setting(
        "Aim for the accelerator-hours used, per domain or sector of tenants, as a share of what "
        "was used.",
        {},
    )


class Governance(SourcedBlock):
    """Who owns and runs it, and for whom this description was made."""

    title: Words = setting("Name of the factory as shown.")
    description: Words = setting("What it is, in a few sentences.")
    owners: tuple[Text, ...] = setting("Who owns it.")
    operator: Text = setting("Who runs it.")
    jurisdiction: Text = setting("Law it stands under.")
    jurisdictions: tuple[Country, ...] = setting(
        "Countries whose law binds the operator itself; empty while nobody looked.", ()
    )
    parents: tuple[Owner, ...] = setting(
        "Who owns the operator, from its owner upwards; empty when it is its own.", ()
    )
    suppliers: tuple[Owner, ...] = setting(
        "Suppliers who can reach data or stop the service (cloud layer, remote support), not "
        "those of parts.",
        (),
    )
    interest_note: Words | None = setting(
        "Who commissioned the figures or has an interest in them.", None
    )
    dossier: Text | None = setting(
        "Folder of documents about it: supply graph, evidence, registers, plan of its money; a "
        "bundled name or a path. Empty where there is none.",
        None,
    )


class Range(SourcedBlock):
    """A low, a middle and a high estimate of a price per accelerator-hour."""

    low: CostEURPerGPUh = setting("Low estimate.")
    base: CostEURPerGPUh = setting("Middle estimate.")
    high: CostEURPerGPUh = setting("High estimate.")


class RateRange(SourcedBlock):
    """A low, a middle and a high estimate of a yearly rate or share."""

    low: Share = setting("Low estimate.")
    base: Share = setting("Middle estimate.")
    high: Share = setting("High estimate.")


class MoneyRange(SourcedBlock):
    """A low, a middle and a high estimate of an amount."""

    low: MoneyEUR = setting("Low estimate.")
    base: MoneyEUR = setting("Middle estimate.")
    high: MoneyEUR = setting("High estimate.")


class PowerCostRange(SourcedBlock):
    """A low, a middle and a high estimate of a cost per MW."""

    low: CostEURPerMW = setting("Low estimate.")
    base: CostEURPerMW = setting("Middle estimate.")
    high: CostEURPerMW = setting("High estimate.")


class LifeRange(SourcedBlock):
    """A short, a middle and a long life in years (low is the short one)."""

    low: LifeYears = setting("Short life, years.")
    base: LifeYears = setting("Middle estimate, years.")
    high: LifeYears = setting("Long life, years.")


class Lives(SourcedBlock):
    """Economic life per class of asset."""

    accelerators: LifeRange = setting("Accelerators and their servers.")
    network: LifeRange = setting("Network between accelerators.")
    storage: LifeRange = setting("Storage.")
    infrastructure: LifeRange = setting("Building, power and cooling.")
    battery: LifeRange = setting("Batteries.")


class Capex(SourcedBlock):
    """What building it costs."""

    chip_price_eur: dict[Name, MoneyRange] = setting(
        "Price of one accelerator, all-in with its server, by catalogue name; empty takes the "
        "catalogue's.",
        {},
        key="chip_price",
    )
    infrastructure_eur_per_mw: PowerCostRange = setting(
        "Building, power and cooling per MW of IT.", key="infrastructure"
    )
    network_fraction: Share = setting(
        "Network as a share of the accelerators' price.", key="network"
    )
    storage_fraction: Share = setting(
        "Storage as a share of the accelerators' price.", key="storage"
    )
    battery_eur_per_mwh: CostEURPerMWh = setting("Battery, installed.", key="battery")
    connection_eur: MoneyEUR = setting("Grid connection.", key="connection")


class Finance(SourcedBlock):
    """Prices, lives and rates."""

    currency: Literal["EUR"] = setting("Currency of every amount.", "EUR")
    eur_per_usd: PositiveRatio = setting("Euros per US dollar, for cited dollar figures.")
    wacc: RateRange = setting("Weighted average cost of capital, a year.")
    life_years: Lives = setting("Economic life per class of asset.", key="life")
    capex: Capex = setting("What building it costs.")
    price_eur_per_gpu_h: dict[JobClassLabel, Range] = setting(
        "Price per H100-equivalent accelerator-hour, by class.", key="price"
    )
    storage_price_eur_per_pb_month: CostEURPerPBMonth = setting(
        "Price of storage kept for a tenant, by its quota.",
        0.0,
        key="storage_price",
        source="Our assumption, 2026, assumption: in the price of the accelerators",
    )
    opex_fraction: Share = setting("Yearly upkeep as a share of the capex.", key="opex")
    staff_fte: Ratio = setting("People employed, full time.", key="staff")
    staff_eur_per_fte: MoneyEUR = setting("Yearly cost of one of them.", key="staff_cost")
