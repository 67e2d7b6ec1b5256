"""The file `supply.yaml` of a dossier: who and what stands behind a factory.

Every sentence of it is an edge, `from`, `bond`, `to`; every node and edge may carry its sources.
"""

from __future__ import annotations

from typing import Literal

from gigafactory.factory.blocks import (
    Country,
    CountryOrUnknown,
    Day,
    Flag,
    Name,
    SourcedBlock,
    Text,
    setting,
)
from gigafactory.factory.quantities import (
    DurationMonths,
    DurationS,
    MassKg,
    MoneyEUR,
    PositiveCount,
    PositiveRatio,
    PositiveShare,
    Share,
)
from gigafactory.factory.sites import AssetLayer

KindName = Literal[
    "owner",
    "parent",
    "investor",
    "supplier",
    "operator",
    "software",
    "component",
    "material",
    "service",
    "asset",
    "tenant",
]
BondName = Literal[
    "owns", "supplies", "operates", "consists_of", "depends_on", "licenses", "finances"
]
EffectName = Literal["runs", "repairs", "updates", "nothing"]
ActorName = Literal[
    "chip_vendor",
    "foundry",
    "memory_maker",
    "server_maker",
    "network_maker",
    "storage_maker",
    "cooling_maker",
    "grid_equipment",
    "flexible_power",
    "energy_company",
    "grid_operator",
    "builder",
    "software_maker",
    "software_community",
    "cloud_provider",
    "equipment_maker",
    "raw_materials",
    "investor",
    "public_body",
]


class Replacement(SourcedBlock):
    """What can take the place of a thing, and how fast."""

    name: Text = setting("What it is.")
    name_nl: Text | None = setting("The same in Dutch; empty for the name.", None)
    node: Name | None = setting("Node of the graph that it is, where it is one.", None)
    country: CountryOrUnknown = setting("Where it comes from, ISO code, or unknown.", "unknown")
    switching_months: DurationMonths = setting("From the decision until it works.", key="switching")
    cover_share: PositiveShare = setting(
        "Part of the need it covers.",
        1.0,
        key="cover",
        source="Our choice, 2026, assumption: all of it unless the file says less",
    )


class MaterialOrigin(SourcedBlock):
    """Part of the supply of a raw material that comes from a country."""

    country: Country = setting("Country, ISO code.")
    share: PositiveShare = setting("Part of the supply.")
    stage: Literal["extraction", "processing", "supply"] = setting(
        "Where in the chain: mined, processed, or as it reaches the Union.", "processing"
    )


class SupplyNode(SourcedBlock):
    """Somebody or something in the supply graph."""

    kind: KindName = setting("What it is.")
    title: Text | None = setting("Name as shown; empty for its key.", None)
    title_nl: Text | None = setting("The same in Dutch; empty for the title.", None)
    country: CountryOrUnknown = setting(
        "Seat of a party, origin of a thing; ISO code, or unknown.", "unknown"
    )
    jurisdictions: tuple[Country, ...] = setting("Further countries whose law binds it.", ())
    layer: AssetLayer | None = setting(
        "Layer of the factory; empty for parties and for parts within other things.", None
    )
    actor: ActorName | None = setting("Type of a party, for what is spent by type.", None)
    value_eur: MoneyEUR | None = setting(
        "What the factory pays for it, without what is within something else it buys; empty where "
        "nobody knows.",
        None,
        key="value",
    )
    critical: Flag | None = setting(
        "Whether the factory cannot do without it; empty to let the graph decide.", None
    )
    lead_time_months: DurationMonths | None = setting(
        "From order to delivery; empty where nobody knows.", None, key="lead_time"
    )
    substitutes: tuple[Replacement, ...] = setting("What can take its place.", ())
    origins: tuple[MaterialOrigin, ...] = setting("Where a raw material comes from.", ())
    mass_kg: MassKg | None = setting(
        "How much of a raw material is in the factory; empty where nobody knows.", None, key="mass"
    )
    strategic: Flag | None = setting(
        "Whether Regulation (EU) 2024/1252 lists the raw material as strategic.", None
    )
    licence: Text | None = setting("Licence of software.", None)
    version: Text | None = setting("Version of software.", None)
    open_source: Flag | None = setting(
        "Whether anybody may change the software and pass it on; empty where nobody knows.", None
    )
    count: PositiveCount = setting(
        "Equal pieces of an asset.", 1, source="One, 2026, assumption: unless the file says more"
    )
    count_needed: PositiveCount = setting(
        "How many of the pieces carry everything.",
        1,
        source="One, 2026, assumption: unless the file says more",
    )


class SupplyEdge(SourcedBlock):
    """A sentence of the supply graph: from, bond, to."""

    from_: Name = setting("A node.", key="from")
    bond: BondName = setting("What it does to the other.")
    to: Name = setting("A node.")
    share: Share | None = setting(
        "Part that is owned, financed or supplied; part of the value of the whole; part that rests "
        "on it. Empty where nobody knows.",
        None,
    )
    control: Flag | None = setting(
        "Whether an owner controls; empty for whoever holds more than half, or an unknown share.",
        None,
    )
    reaches: Flag = setting("It can reach data or stop what runs, by a service it gives.", False)
    effect: EffectName | None = setting(
        "What happens to the one who needs when the other stops: it stops (runs), what breaks "
        "stays broken (repairs), it goes on without support (updates), or nothing. Empty for "
        "nothing with owns and finances, runs with the others.",
        None,
    )
    stock_months: DurationMonths | None = setting(
        "What the one who needs has in stock; empty where nobody knows (counted as none).",
        None,
        key="stock",
    )
    failures_per_year: Share | None = setting(
        "Part of what works that breaks in a year and needs a part; empty where nobody knows.",
        None,
        key="failures",
    )
    spare_share: Share = setting(
        "Spares in stock over what is installed.",
        0.0,
        key="spares",
        source="Our assumption, 2026, assumption: none unless the file says so",
    )


class Holder(SourcedBlock):
    """Somebody who owns a part of the world's accelerators."""

    name: Name = setting("Owner, or group of owners.")
    country: CountryOrUnknown = setting("Country of its seat, ISO code, or unknown.")
    share: PositiveShare = setting("Part of the world's H100-equivalents.")


class OwnershipBaseline(SourcedBlock):
    """Who owned the world's accelerators on a day."""

    day: Day = setting("Day it stands for.")
    h100_equivalents: PositiveRatio = setting("All of them, in H100-equivalents.")
    holders: tuple[Holder, ...] = setting("Who owns which part; the rest belongs to many.")


class SupplyRules(SourcedBlock):
    """Limits and times against which the graph is held."""

    third_country_max: PositiveShare = setting(
        "Largest part of a strategic raw material from one third country.",
        0.65,
        source="Regulation (EU) 2024/1252, article 5(1)(b), 2024, published: benchmark for 2030, "
        "of the Union's yearly consumption",
    )
    examination_s: DurationS = setting(
        "Time the Commission takes to examine a coercive measure.",
        10_540_800.0,
        key="examination",
        source="Regulation (EU) 2023/2675, 2023, assumption: about four months (122 days); general "
        "knowledge, not read in the text",
    )
    decision_low_s: DurationS = setting(
        "Time the Council takes to determine coercion.",
        4_838_400.0,
        key="decision_low",
        source="Regulation (EU) 2023/2675, article 5, 2023, published: within eight weeks",
    )
    decision_high_s: DurationS = setting(
        "The same at the longest.",
        6_048_000.0,
        key="decision_high",
        source="Regulation (EU) 2023/2675, article 5, 2023, published: normally no more than ten "
        "weeks",
    )
    response_s: DurationS = setting(
        "From the determination until counter-measures may be decided.",
        15_811_200.0,
        key="response",
        source="Regulation (EU) 2023/2675, article 5, 2023, published: the indicative period to "
        "assess whether they are needed, at most six months (183 days), longer where justified",
    )
    tolerance: Share = setting(
        "Part of the H100-equivalents that may be lost before the factory no longer counts as "
        "running by itself.",
        0.05,
        source="Our choice, 2026, assumption: a twentieth, less than maintenance takes",
    )
    critical_from: PositiveShare = setting(
        "A thing is critical when this part of the H100-equivalents needs it.",
        0.05,
        source="Our choice, 2026, assumption: a twentieth",
    )
    chip_failures: Share = setting(
        "Part of the working accelerators that breaks in a year and needs a part of its vendor.",
        0.09,
        source="Llama 3 training of Meta (148 faulty GPUs and 72 memory faults in 54 days on "
        "16,384 H100), 2024, published: 9 % a year if each needs a spare part",
    )


class SupplyFile(SourcedBlock):
    """A supply graph as a file: what the factory file does not say already."""

    nodes: dict[Name, SupplyNode] = setting("Who and what, by name.")
    edges: tuple[SupplyEdge, ...] = setting("How they hang together.")
    baseline: OwnershipBaseline | None = setting(
        "Who owned the world's accelerators before this factory; empty where it is not held "
        "against that.",
        None,
    )
    rules: SupplyRules = setting("Limits and times against which it is held.", SupplyRules())


__all__ = [
    "Holder",
    "MaterialOrigin",
    "OwnershipBaseline",
    "Replacement",
    "SupplyEdge",
    "SupplyFile",
    "SupplyNode",
    "SupplyRules",
]
