"""Indicators on conditions of public money, continuity and the wider economy."""

from __future__ import annotations

from gigafactory.assess.context import context
from gigafactory.assess.continuity import continuity
from gigafactory.assess.indicators.base import Reading, indicator, unknown
from gigafactory.assess.registers.people import load_talent
from gigafactory.assess.registers.public import load_subsidies
from gigafactory.assess.results import Evidence, Proof
from gigafactory.assess.subject import Subject
from gigafactory.assess.words import Amount, both, percent

#: What HCSS asks public money to be tied to.
ASKED = frozenset({"eu_jurisdiction", "transparent_governance", "limited_dependencies"})


@indicator("public_conditions_share")
def public_conditions(subject: Subject) -> Reading:
    """Share of the three conditions on public money that every grant carries."""
    register = load_subsidies(subject)
    if register is None or not register.grants:
        why = both("No grant is registered.", "Er is geen subsidie geregistreerd.")
        return unknown("register:subsidies", why, "share")
    carried = min(len(ASKED & {one.kind for one in g.conditions}) for g in register.grants)
    made_up = any(grant.example for grant in register.grants)
    return Reading(
        carried / len(ASKED),
        "share",
        (Evidence(Proof.CLAIMED if made_up else Proof.FACTORY, "register:subsidies"),),
        both(
            "The grant with the fewest carries {n} of the three conditions.",
            "De subsidie met de minste voorwaarden draagt {n} van de drie.",
            n=carried,
        ),
    )


@indicator("availability_share")
def availability(subject: Subject) -> Reading:
    """Accelerator-hours in service over those installed."""
    found = continuity(subject)
    if found.availability is None:
        why = both("No run shows it.", "Geen run laat het zien.")
        return unknown("summary:accelerator_hours", why, "share")
    back = found.recovery_time_h
    return Reading(
        found.availability,
        "share",
        (Evidence(Proof.LEDGER, "summary:accelerator_hours"),),
        both(
            "{share} available; back after an outage: {rto}; work done again: at most {rpo}.",
            "{share} beschikbaar; terug na een uitval: {rto}; werk dat over moet: hooguit {rpo}.",
            share=percent(found.availability, 2),
            rto=both("none seen", "geen gezien") if back is None else Amount(back, "h", 1),
            rpo=Amount(found.recovery_point_h, "h", 1),
        ),
    )


@indicator("research_gap_share")
def research_gap(subject: Subject) -> Reading:
    """Part of the Dutch gap in research spending that the factory's own spending closes."""
    macro = context().macro
    register = load_talent(subject)
    spent = register.research_eur_per_year if register else None
    if register is None or spent is None:
        why = both("Nobody says what is spent on research.", "Niemand zegt wat onderzoek kost.")
        return unknown("register:talent/research", why, "share")
    value = spent / macro.research_gap_eur
    sure = register.verified_by is not None and not register.example
    return Reading(
        value,
        "share",
        (Evidence(Proof.VERIFIED if sure else Proof.CLAIMED, "register:talent/research"),),
        both(
            "EUR {spent} m a year is {share} of the EUR {gap} bn between {low} and {high} of GDP.",
            "EUR {spent} mln per jaar is {share} van de EUR {gap} mld tussen {low} en {high} van "
            "het bbp.",
            spent=Amount(spent / 1e6, digits=1),
            share=percent(value, 2),
            gap=Amount(macro.research_gap_eur / 1e9, digits=1),
            low=percent(macro.research_share),
            high=percent(macro.research_target_share),
        ),
    )


@indicator("growth_short_share")
def growth_short(_: Subject) -> Reading:
    """Growth that is needed a year beyond what is expected, of the middles of both ranges."""
    macro = context().macro
    needed = (macro.growth_low_share + macro.growth_high_share) / 2.0
    outlook = (macro.outlook_low_share + macro.outlook_high_share) / 2.0
    source = macro.sources["growth"]
    return Reading(
        needed - outlook,
        "share",
        (Evidence(Proof.FACTORY, "context:macro.growth", title=source.source),),
        both(
            "Growth of {low} to {high} a year is needed, {a} to {b} is expected; that asks EUR {i} "
            "to {j} bn of extra investment until {until} ({source}, {year}).",
            "Nodig is {low} tot {high} groei per jaar, verwacht wordt {a} tot {b}; dat vraagt EUR "
            "{i} tot {j} mld aan extra investeringen tot {until} ({source}, {year}).",
            low=percent(macro.growth_low_share),
            high=percent(macro.growth_high_share),
            a=percent(macro.outlook_low_share),
            b=percent(macro.outlook_high_share),
            i=Amount(macro.investment_low_eur / 1e9),
            j=Amount(macro.investment_high_eur / 1e9),
            until=str(macro.until_year),
            source=source.source.split(",")[0],
            year=str(source.year),
        ),
    )
