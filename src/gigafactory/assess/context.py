"""The world around a factory: dated figures that serve as zero points and yardsticks.

Who owns accelerators, what hyperscalers hold, growth and research of the Netherlands, cyber
security of countries. All from `data/context.yaml`, each with source, year and mark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from gigafactory.assess.shapes import Citation, Number, Year, read_data
from gigafactory.assess.subject import Subject
from gigafactory.assess.supplyfacts import supply_facts
from gigafactory.factory import fleet_h100_equivalents
from gigafactory.factory.blocks import Block, Country, Text, setting
from gigafactory.factory.quantities import Ratio, Score
from gigafactory.policy.tables import thresholds


class Ownership(Block):
    """Who owns accelerators."""

    stock_h100_equivalent: Ratio = setting("All there are.", key="stock_h100e")
    shares: dict[Text, Score] = setting("Share by country; `other` for the rest.")
    eu_share: Score = setting("Of the whole, owned in the European Union; part of `other`.")
    sources: dict[Text, Citation] = setting("Who says so.")


class Hyperscalers(Block):
    """What hyperscalers hold."""

    share: Score = setting("Of the European cloud market.")
    source: Citation = setting("Who says so.")


class Macro(Block):
    """Growth, investment, research and electricity of the Netherlands."""

    growth_low_share: Score = setting("Growth needed a year, low.", key="growth_low")
    growth_high_share: Score = setting("The same, high.", key="growth_high")
    outlook_low_share: Score = setting("Growth expected a year, low.", key="outlook_low")
    outlook_high_share: Score = setting("The same, high.", key="outlook_high")
    investment_low_eur: Number = setting("Extra investment needed, low.")
    investment_high_eur: Number = setting("The same, high.")
    until_year: Year = setting("Until when.")
    research_share: Score = setting("Of GDP spent on research and development.")
    research_target_share: Score = setting("Of GDP that is aimed at.")
    gdp_eur: Number = setting("Gross domestic product of a year.")
    electricity_twh: Ratio = setting("Electricity used in a year.")
    sources: dict[Text, Citation] = setting("Who says so.")

    @property
    def research_gap_eur(self) -> float:
        """What is spent too little on research a year: the gap in shares times GDP."""
        return (self.research_target_share - self.research_share) * self.gdp_eur


class Security(Block):
    """Cyber security of countries."""

    tier1: tuple[Country, ...] = setting("Countries of the best tier.")
    tier1_factor: Score = setting("Factor of those.")
    other_factor: Score = setting("Factor of other countries of the EEA.")
    source: Citation = setting("Who says so.")


class Context(Block):
    """The world around a factory."""

    ownership: Ownership = setting("Who owns accelerators.")
    hyperscalers: Hyperscalers = setting("What hyperscalers hold.")
    macro: Macro = setting("The Dutch economy.")
    security: Security = setting("Cyber security of countries.")


@cache
def context() -> Context:
    """The bundled figures."""
    return read_data("context.yaml", Context)


def security_factor(country: str) -> float:
    """How far a country's cyber security counts, 0 to 1: by its tier, nought outside the EEA."""
    known = context().security
    if country in known.tier1:
        return known.tier1_factor
    return known.other_factor if country in thresholds().eea else 0.0


def residual_risk(shares: Mapping[str, float]) -> float:
    """Risk that is left when work runs in countries by these shares: the mean of 1 - factor.

    Args:
        shares: share of the work by country; they add up to 1.
    """
    return sum(share * (1.0 - security_factor(country)) for country, share in shares.items())


def moved_risk(subject: Subject, share: float, country: str) -> tuple[float, float]:
    """Residual risk of cyber security before and after a part of the work moves to a country.

    Args:
        subject: where the work runs now, by accelerators.
        share: of all work that moves, taken from every site alike.
        country: where it goes.
    """
    assert 0.0 <= share <= 1.0, share
    now = work_by_country(subject)
    after = {name: part * (1.0 - share) for name, part in now.items()}
    after[country] = after.get(country, 0.0) + share
    return residual_risk(now), residual_risk(after)


def work_by_country(subject: Subject) -> dict[str, float]:
    """Share of the accelerators by the country they stand in."""
    size = sum(pool.accelerators for pool in subject.factory.fleet)
    shares: dict[str, float] = {}
    for pool in subject.factory.fleet:
        country = subject.factory.sites[pool.site].place.country
        shares[country] = shares.get(country, 0.0) + pool.accelerators / size
    return shares


@dataclass(frozen=True, slots=True)
class OwnershipChange:
    """Who owns accelerators before and after the factory.

    Attributes:
        factory_h100_equivalent: its size.
        owner: country of whoever controls it; NL or another of the EEA where nobody outside does.
        hhi_before, hhi_after: Herfindahl-Hirschman index over owners' countries; the rest of
            `other` counts as one owner, so it is a lower concentration at best.
        eu_share_before, eu_share_after: of all accelerators, owned in the European Union.
    """

    factory_h100_equivalent: float
    owner: str
    hhi_before: float
    hhi_after: float
    eu_share_before: float
    eu_share_after: float


def ownership_change(subject: Subject) -> OwnershipChange:
    """How a factory changes who owns accelerators.

    HHI = sum over owners of share squared. Owners are the United States, the European Union and
    everybody else as one; the factory is added to that of its controller.
    """
    known = context().ownership
    size = fleet_h100_equivalents(subject.factory)
    control = supply_facts(subject).controlled
    home = next(iter(subject.factory.sites.values())).place.country
    owner = control[-1].country if control else home
    stock = known.stock_h100_equivalent
    before = {"US": known.shares["US"] * stock, "EU": known.eu_share * stock}
    before["other"] = stock - sum(before.values())
    whose = "EU" if owner in thresholds().eea else owner if owner in before else "other"
    after = {**before, whose: before[whose] + size}

    def hhi(owned: Mapping[str, float]) -> float:
        total = sum(owned.values())
        return sum((one / total) ** 2 for one in owned.values())

    return OwnershipChange(
        size,
        owner,
        hhi(before),
        hhi(after),
        before["EU"] / stock,
        after["EU"] / (stock + size),
    )


__all__ = [
    "Context",
    "OwnershipChange",
    "context",
    "moved_risk",
    "ownership_change",
    "residual_risk",
    "security_factor",
    "work_by_country",
]
