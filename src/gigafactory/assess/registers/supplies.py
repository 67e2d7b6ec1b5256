"""What was bought and from whom: procurement, tenders, software per release, hardware passports.

The award scorecard prefers Dutch and European parties as far as the law lets a buyer: through a
criterion on security of supply whose weight is published and capped, through the refusal of offers
from countries without an agreement where the grounds are named, and at equal points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from gigafactory.assess.registers.base import Wrong, load_register, refuse_wrong, twice
from gigafactory.assess.shapes import Citation, MassKg
from gigafactory.assess.subject import Subject
from gigafactory.factory.access import Owner
from gigafactory.factory.blocks import (
    Block,
    Country,
    CountryOrUnknown,
    Day,
    Flag,
    Name,
    Text,
    Words,
    setting,
)
from gigafactory.factory.quantities import MoneyEUR, Ratio, Share
from gigafactory.plant import load_catalogue
from gigafactory.policy.tables import thresholds

HOME: Final = "NL"
_OURS: Final = "Our assumption, 2026, assumption"

Layer = Literal[
    "compute", "memory_and_storage", "network", "cloud_service", "building", "energy", "service"
]


class Alternative(Block):
    """Another supplier of the same thing."""

    supplier: Text = setting("Who.")
    country: Country = setting("Country of its ultimate owner.")
    switching_days: Ratio = setting("Days it takes to change over.")


class OrderLine(Block):
    """One line of an order: a component, an element of infrastructure or a service."""

    id: Name = setting("Its name.")
    component: Words = setting("What was ordered.")
    layer: Layer = setting("Layer of the factory.")
    supplier: Text = setting("Who supplies it.")
    owner: Text = setting("Ultimate owner of the supplier, or unknown.")
    owner_country: CountryOrUnknown = setting("Country of that owner.")
    origin: CountryOrUnknown = setting("Country it is made in, or unknown.")
    value_eur: MoneyEUR = setting("Value of the order.", key="value")
    critical: Flag = setting("The factory stops without it.", False)
    alternatives: tuple[Alternative, ...] = setting("Others who could supply it.", ())
    stock_days: Ratio | None = setting(
        "Days the stock of spares and support lasts without the supplier; empty when unknown.", None
    )
    source: Citation = setting("Where this comes from.")


class Procurement(Block):
    """The procurement register."""

    verified_by: Text | None = setting("Who checked the register; empty while nobody has.", None)
    lines: tuple[OrderLine, ...] = setting("Order lines.", ())


def load_procurement(subject: Subject) -> Procurement | None:
    """The procurement register of a subject; None where there is none."""
    found = load_register(subject, "procurement", Procurement)
    if found is not None:
        refuse_wrong(subject, "procurement", twice("lines", (one.id for one in found.lines)))
    return found


def flagged(line: OrderLine) -> str:
    """What is the matter with an order line: no alternative, unknown origin; "" for nothing."""
    if line.critical and not line.alternatives:
        return "no_alternative"
    if "unknown" in (line.owner_country, line.origin):
        return "unknown_origin"
    return ""


class Offer(Block):
    """An offer in a tender; points run from 0 to 100."""

    id: Name = setting("Its name.")
    party: Text = setting("Who offers.")
    country: Country = setting("Country of the ultimate owner.")
    price_eur: MoneyEUR = setting("Price asked.", key="price")
    quality_points: Ratio = setting("Quality by the buyer's own rules, 0 to 100.", key="quality")
    sustainability_points: Ratio = setting("Sustainability likewise.", key="sustainability")
    content_share: Share = setting(
        "Part of the value made in the European Economic Area.", key="eu_content"
    )
    supply_points: Ratio = setting(
        "Security of supply: stock, spares, audit rights, law that reaches the party, 0 to 100.",
        key="security_of_supply",
    )


class Weights(Block):
    """Weights of a tender; they add up to 100 %."""

    price: Share = setting("Of the price.")
    quality: Share = setting("Of quality.")
    sustainability: Share = setting("Of sustainability.")
    supply: Share = setting("Of security of supply.", key="security_of_supply")


class Tender(Block):
    """A tender and its offers."""

    id: Name = setting("Its name.")
    title: Words = setting("What is bought.")
    published: Day = setting("Day it was published, weights included.")
    weights: Weights = setting("Weights.")
    supply_weight_max: Share = setting(
        "Largest weight of security of supply the buyer allows itself.",
        0.3,
        source=f"{_OURS}: the law asks that criteria suit the subject, not a figure",
    )
    grounds: Text | None = setting(
        "Legal ground on which offers with too little European content from countries without an "
        "agreement are refused; empty for none: then nobody is refused for where it comes from.",
        None,
    )
    content_min: Share = setting(
        "European content below which they are refused.",
        0.5,
        source=(
            "Directive 2014/25/EU art. 85, 2014, assumption: tenders with more than half of the "
            "value from third countries may be rejected; general knowledge, not read in the law"
        ),
    )
    agreements: tuple[Country, ...] = setting(
        "Countries with an agreement on procurement, beside the EEA.", ()
    )
    offers: tuple[Offer, ...] = setting("Offers.")
    example: Flag = setting("Made up for demonstration.", False)


class Tenders(Block):
    """Tenders."""

    tenders: tuple[Tender, ...] = setting("Tenders.", ())


@dataclass(frozen=True, slots=True)
class Award:
    """How one offer came out.

    Attributes:
        offer: its name.
        points: total, 0 to 100; 0 of a refused one.
        unit: of all points.
        parts: points by criterion; they sum to the total.
        rank: 1 for the best; 0 of a refused one.
        preferred: 2 Dutch, 1 European, 0 neither: decides between equal points only.
        refused: why it was not ranked; empty else.
    """

    offer: str
    points: float
    unit: str
    parts: Mapping[str, float]
    rank: int
    preferred: int
    refused: str = ""


def load_tenders(subject: Subject) -> Tenders | None:
    """The tenders of a subject; None where there is no register of them.

    Raises:
        BadInput: weights that do not add up, or a weight beyond what the buyer allows itself.
    """
    found = load_register(subject, "tenders", Tenders)
    if found is None:
        return None
    wrong: list[Wrong] = twice("tenders", (one.id for one in found.tenders))
    for one in found.tenders:
        at = f"tenders.{one.id}"
        w = one.weights
        total = w.price + w.quality + w.sustainability + w.supply
        if abs(total - 1.0) > 1e-9:
            wrong.append((f"{at}.weights", f"{total:.0%}", "weights must add up to 100 %"))
        if w.supply > one.supply_weight_max:
            why = f"is beyond the {one.supply_weight_max:.0%} the buyer allows itself"
            wrong.append((f"{at}.weights.security_of_supply", f"{w.supply:.0%}", why))
        wrong += twice(f"{at}.offers", (offer.id for offer in one.offers))
        for offer in one.offers:
            points = (offer.quality_points, offer.sustainability_points, offer.supply_points)
            if max(points) > 100.0:
                wrong.append((f"{at}.offers.{offer.id}", max(points), "points run from 0 to 100"))
    refuse_wrong(subject, "tenders", wrong)
    return found


def award(tender: Tender) -> tuple[Award, ...]:
    """Score and rank the offers of a tender, from its inputs alone.

    Price points are 100 times the lowest price over the offer's. Where grounds are named, offers
    from countries outside the EEA and its agreements with too little European content are refused.
    Equal points to a hundredth go to the Dutch, then to the European party, then to the cheaper.
    """
    eea = thresholds().eea
    open_to = eea | set(tender.agreements)
    refused = {
        offer.id: tender.grounds
        for offer in tender.offers
        if tender.grounds is not None
        and offer.country not in open_to
        and offer.content_share < tender.content_min
    }
    ranked = [offer for offer in tender.offers if offer.id not in refused]
    lowest = min((offer.price_eur for offer in ranked), default=0.0)
    scored = [(offer, _parts(tender.weights, offer, lowest)) for offer in ranked]

    def order(row: tuple[Offer, Mapping[str, float]]) -> tuple[float, int, float, str]:
        offer, parts = row
        return (-round(sum(parts.values()), 2), -_preferred(offer), offer.price_eur, offer.id)

    out = [
        Award(one.id, sum(parts.values()), "points", parts, rank, _preferred(one))
        for rank, (one, parts) in enumerate(sorted(scored, key=order), 1)
    ]
    out += [
        Award(one.id, 0.0, "points", {}, 0, _preferred(one), str(refused[one.id]))
        for one in tender.offers
        if one.id in refused
    ]
    return tuple(out)


def _preferred(offer: Offer) -> int:
    return 2 if offer.country == HOME else int(offer.country in thresholds().eea)


def _parts(weights: Weights, offer: Offer, lowest_eur: float) -> dict[str, float]:
    price = 100.0 * lowest_eur / offer.price_eur if offer.price_eur > 0.0 else 100.0
    return {
        "price": weights.price * price,
        "quality": weights.quality * offer.quality_points,
        "sustainability": weights.sustainability * offer.sustainability_points,
        "security_of_supply": weights.supply * offer.supply_points,
    }


class SoftwareComponent(Block):
    """A part of a release of software."""

    name: Text = setting("Its name, as its registry spells it.")
    version: Text = setting("Version.")
    licence: Text = setting("SPDX identifier, or unknown.")
    supplier: Text = setting("Who publishes it, or unknown.")
    country: CountryOrUnknown = setting("Country of who decides about it, or unknown.")
    open_source: Flag = setting("Under an open licence.")


class Release(Block):
    """A release and what it is made of."""

    id: Name = setting("Name of the release.")
    product: Text = setting("Which software.")
    version: Text = setting("Version.")
    released: Day = setting("Day of the release.")
    components: tuple[SoftwareComponent, ...] = setting("Its parts.")
    source: Citation = setting("What the list was made from.")


class Software(Block):
    """Software bills of materials, one a release."""

    releases: tuple[Release, ...] = setting("Releases.", ())


@dataclass(frozen=True, slots=True)
class SoftwareSummary:
    """A release in figures.

    Attributes:
        release: its name.
        components: how many.
        open_source_share: of them under an open licence.
        unknown_licences: those whose licence nobody knows.
        by_country: how many by the country of who decides about them.
    """

    release: str
    components: int
    open_source_share: float
    unknown_licences: tuple[str, ...]
    by_country: Mapping[str, int]


def load_software(subject: Subject) -> Software | None:
    """The bills of materials; a part given twice in a release is a problem."""
    found = load_register(subject, "sbom", Software)
    if found is not None:
        wrong = twice("releases", (one.id for one in found.releases))
        for one in found.releases:
            wrong += twice(f"releases.{one.id}.components", (part.name for part in one.components))
        refuse_wrong(subject, "sbom", wrong)
    return found


def software_summary(release: Release) -> SoftwareSummary:
    """What a bill of materials says of licences and countries."""
    parts = release.components
    countries: dict[str, int] = {}
    for part in parts:
        countries[part.country] = countries.get(part.country, 0) + 1
    return SoftwareSummary(
        release.id,
        len(parts),
        sum(part.open_source for part in parts) / len(parts) if parts else 0.0,
        tuple(part.name for part in parts if part.licence == "unknown"),
        dict(sorted(countries.items())),
    )


class PassportDetail(Block):
    """What the factory file does not say of an asset."""

    asset: Name = setting("Name of a pool or an asset of the factory file.")
    commissioned: Day | None = setting("First day in service; empty when unknown.", None)
    maker: Owner | None = setting("Who made it; empty for the supplier of the factory file.", None)
    repair: Text | None = setting("How it is repaired, and with whose parts.", None)
    next_life: Text | None = setting("What becomes of it after this use.", None)
    materials_kg: dict[Text, MassKg] = setting("Mass by material, kg; only what is known.", {})
    source: Citation = setting("Where this comes from.")


class Passports(Block):
    """Details for the passports of hardware."""

    details: tuple[PassportDetail, ...] = setting("By asset.", ())


def load_passports(subject: Subject) -> Passports | None:
    """The details; one about something the factory does not have is a problem."""
    found = load_register(subject, "passports", Passports)
    if found is None:
        return None
    known = {row["asset"] for row in _things(subject)}
    wrong = twice("details", (one.asset for one in found.details))
    wrong += [
        (f"details.{one.asset}", one.asset, "is no pool or asset of the factory file")
        for one in found.details
        if one.asset not in known
    ]
    refuse_wrong(subject, "passports", wrong)
    return found


def passports(subject: Subject) -> list[dict[str, Any]]:
    """A passport for every pool and asset of a factory, as plain data to be written down.

    What nobody knows stands there as null: a reader sees what is lacking.
    """
    register = load_passports(subject)
    details = {one.asset: one for one in register.details} if register else {}
    out = []
    for thing in _things(subject):
        one = details.get(thing["asset"])
        maker = one.maker.model_dump() if one and one.maker else thing.pop("maker")
        thing.pop("maker", None)
        out.append(
            {
                **thing,
                "maker": maker,
                "commissioned": one.commissioned.isoformat() if one and one.commissioned else None,
                "repair": one.repair if one else None,
                "next_life": one.next_life if one else None,
                "materials_kg": dict(one.materials_kg) if one and one.materials_kg else None,
                "source": one.source.text if one else "the factory file",
            }
        )
    return out


def _things(subject: Subject) -> list[dict[str, Any]]:
    chips = load_catalogue()
    out: list[dict[str, Any]] = []
    for pool in subject.factory.fleet:
        chip = chips[pool.chip]
        out.append(
            {
                "asset": pool.name,
                "site": pool.site,
                "layer": "compute",
                "model": pool.chip,
                "amount": pool.accelerators,
                "unit": "accelerators",
                "fabrication": chip.fabrication,
                "embodied_kg_each": chip.embodied_kg,
                "maker": {"name": chip.vendor, "country": chip.origin},
            }
        )
    taken = {row["asset"] for row in out}
    for name, site in subject.factory.sites.items():
        out += [
            {
                "asset": asset.name,
                "site": name,
                "layer": asset.layer,
                "model": None,
                "amount": asset.amount,
                "unit": asset.unit,
                "fabrication": None,
                "embodied_kg_each": None,
                "maker": {"name": asset.supplier, "country": asset.country},
            }
            for asset in site.assets
            if asset.name not in taken
        ]
    return out


__all__ = [
    "Alternative",
    "Award",
    "Offer",
    "OrderLine",
    "PassportDetail",
    "Passports",
    "Procurement",
    "Release",
    "Software",
    "SoftwareComponent",
    "SoftwareSummary",
    "Tender",
    "Tenders",
    "Weights",
    "award",
    "flagged",
    "load_passports",
    "load_procurement",
    "load_software",
    "load_tenders",
    "passports",
    "software_summary",
]
