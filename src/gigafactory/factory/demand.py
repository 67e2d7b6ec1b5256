"""Who asks for work, by which rules, under whose governance, and at what money."""

from __future__ import annotations

from typing import Literal

from gigafactory.factory.blocks import (
    Country,
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
    Count,
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
    Share,
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
    oversubscription: PositiveRatio = setting(
        "Rated power of the installed accelerators over what is admitted at once.",
        1.0,
        source="Our assumption, 2026, assumption: none",
    )


class Governance(SourcedBlock):
    """Who owns and runs it, and for whom this description was made."""

    title: Words = setting("Name of the factory as shown.")
    description: Words = setting("What it is, in a few sentences.")
    owners: tuple[Text, ...] = setting("Who owns it.")
    operator: Text = setting("Who runs it.")
    jurisdiction: Text = setting("Law it stands under.")
    interest_note: Words | None = setting(
        "Who commissioned the figures or has an interest in them.", None
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
    opex_fraction: Share = setting("Yearly upkeep as a share of the capex.", key="opex")
    staff_fte: Ratio = setting("People employed, full time.", key="staff")
    staff_eur_per_fte: MoneyEUR = setting("Yearly cost of one of them.", key="staff_cost")
