"""Indicators of digital autonomy: who controls, who can stop it, what depends on whom."""

from __future__ import annotations

from typing import Final

from gigafactory.assess.context import (
    context,
    ownership_change,
    residual_risk,
    security_factor,
    work_by_country,
)
from gigafactory.assess.controls import control_coverage
from gigafactory.assess.indicators.base import (
    Reading,
    by_file,
    indicator,
    landing,
    share_where,
    unknown,
    use_of,
)
from gigafactory.assess.registers.security import lapsed, load_threats
from gigafactory.assess.registers.supplies import flagged, load_procurement
from gigafactory.assess.results import Evidence, Proof
from gigafactory.assess.subject import Subject
from gigafactory.assess.supplyfacts import SupplyFacts, supply_facts
from gigafactory.assess.words import Amount, Both, both, listed, percent
from gigafactory.plant import load_catalogue
from gigafactory.policy.tables import thresholds

#: Time the Union needs to answer coercion, days: an examination of about four months and a decision
#: of eight to ten weeks (Regulation (EU) 2023/2675, 2023; general knowledge, not read in the law).
REMEDY_DAYS: Final = 190.0

_CHAIN: Final = (
    "governance.jurisdictions",
    "governance.parents",
    "governance.suppliers",
    "governance.operator",
)


@indicator("european_control_h100e")
def european_control(subject: Subject) -> Reading:
    """H100-equivalents that come under European control; negative where others control them."""
    change, facts = ownership_change(subject), supply_facts(subject)
    if not facts.looked:
        return unknown("factory:governance.jurisdictions", _nobody_looked(), "H100e")
    size = change.factory_h100_equivalent
    value = -size if facts.controlled else size
    return Reading(
        value,
        "H100e",
        by_file(*_CHAIN[:2], "fleet"),
        both(
            "{size} H100-equivalents come under the control of {owner}; of all accelerators "
            "Europeans own {before} before and {after} after (HHI {hhi0} and {hhi1}).",
            "{size} H100-equivalenten komen onder zeggenschap van {owner}; van alle accelerators "
            "is {before} vooraf en {after} daarna in Europese handen (HHI {hhi0} en {hhi1}).",
            size=Amount(size),
            owner=_owner(facts, change.owner),
            before=percent(change.eu_share_before),
            after=percent(change.eu_share_after),
            hhi0=Amount(change.hhi_before, digits=4),
            hhi1=Amount(change.hhi_after, digits=4),
        ),
    )


def _owner(facts: SupplyFacts, country: str) -> str:
    return facts.controlled[-1].path if facts.controlled else country


def _nobody_looked() -> dict[str, str]:
    return both(
        "Nobody says whose law binds the operator.",
        "Niemand zegt wiens recht de exploitant bindt.",
    )


@indicator("repatriated_share")
def repatriated(subject: Subject) -> Reading:
    """Share of the hours that came from hyperscalers; negative where it goes the other way.

    A tenant that ran in several places before counts for each in equal parts. Under control from
    outside nothing comes home: hours that ran in-house or nowhere before become dependent.
    """
    use, facts = use_of(subject), supply_facts(subject)
    if not facts.looked or not use.shares:
        return unknown("factory:governance.jurisdictions", _nobody_looked(), "share")
    away = _before(subject, "hyperscaler")
    own = _before(subject, "own") + _before(subject, "nowhere")
    unsaid = share_where(subject, use, lambda one: not one.ran_before)
    foreign = bool(facts.controlled)
    value = -(own + unsaid) if foreign else away * landing(subject)
    hours: Both = {"en": "", "nl": ""}
    if use.gpu_h:
        hours = both(
            " ({h} accelerator-hours)",
            " ({h} accelerator-uren)",
            h=Amount(abs(value) * use.gpu_h),
        )
    why = _newly_dependent if foreign else _came_home
    return Reading(
        value,
        "share",
        (use.evidence, *by_file("tenants.ran_before", *_CHAIN[:2])),
        why(abs(value), hours, facts),
    )


def _newly_dependent(share: float, hours: Both, facts: SupplyFacts) -> Both:
    return both(
        "{share} of the hours{hours} ran in-house, nowhere or nobody says where, and now depend on "
        "a party under {law} law.",
        "{share} van de uren{hours} draaide in eigen huis, nergens of onbekend waar, en hangt nu "
        "af van een partij onder het recht van {law}.",
        share=percent(share),
        hours=hours,
        law=facts.controlled[-1].country,
    )


def _came_home(share: float, hours: Both, facts: SupplyFacts) -> Both:
    assert not facts.controlled
    baseline = context().hyperscalers
    return both(
        "{share} of the hours{hours} come from hyperscalers, which hold {base} of the European "
        "market ({source}).",
        "{share} van de uren{hours} komt van hyperscalers, die {base} van de Europese markt hebben "
        "({source}).",
        share=percent(share),
        hours=hours,
        base=percent(baseline.share, 0),
        source=f"{baseline.source.source.split(',')[0]}, {baseline.source.year}",
    )


def _before(subject: Subject, where: str) -> float:
    """Share of the hours of tenants that ran somewhere before, split over what they name."""
    use = use_of(subject)
    return sum(
        use.shares.get(one.name, 0.0) / len(one.ran_before)
        for one in subject.factory.tenants
        for place in one.ran_before
        if place == where
    )


@indicator("eu_supply_share")
def eu_supply(subject: Subject) -> Reading:
    """Share of components and services from the European Economic Area."""
    facts = supply_facts(subject)
    if facts.eu_share is None:
        why = both("No component is listed.", "Er is geen onderdeel opgegeven.")
        return unknown("factory:sites.assets", why, "share")
    return Reading(
        facts.eu_share,
        "share",
        facts.evidence,
        both(
            "{eu} comes from the European Economic Area, {nl} from the Netherlands; of {no} nobody "
            "knows the country, which does not count as European (HHI over countries {hhi}).",
            "{eu} komt uit de Europese Economische Ruimte, {nl} uit Nederland; van {no} is het "
            "land onbekend, en dat telt niet als Europees (HHI over landen {hhi}).",
            eu=percent(facts.eu_share),
            nl=percent(facts.nl_share or 0.0),
            no=percent(facts.unknown_share or 0.0),
            hhi=Amount(facts.concentration_hhi or 0.0, digits=2),
        ),
    )


@indicator("foreign_law")
def foreign_law(subject: Subject) -> Reading:
    """1 where law from outside reaches operator, owners or suppliers, 0 where it does not."""
    facts = supply_facts(subject)
    if not facts.looked:
        return unknown("factory:governance.jurisdictions", _nobody_looked())
    return Reading(float(bool(facts.exposed)), "", by_file(*_CHAIN), _paths(facts))


@indicator("foreign_law_paths")
def foreign_law_paths(subject: Subject) -> Reading:
    """Number of ways by which law from outside reaches operator, owners or suppliers."""
    facts = supply_facts(subject)
    if not facts.looked:
        return unknown("factory:governance.jurisdictions", _nobody_looked(), "paths")
    return Reading(float(len(facts.exposed)), "paths", by_file(*_CHAIN), _paths(facts))


def _paths(facts: SupplyFacts) -> dict[str, str]:
    if not facts.exposed:
        return both(
            "No law from outside the European Economic Area reaches the operator, its owners or "
            "its suppliers, as far as the factory file names them.",
            "Geen recht van buiten de Europese Economische Ruimte bereikt de exploitant, zijn "
            "eigenaren of leveranciers, voor zover het fabrieksbestand ze noemt.",
        )
    laws = thresholds().reaching_laws
    told = {
        lang: listed(
            dict.fromkeys(
                f"{laws[one.country][at]} ({one.country})" if one.country in laws else one.country
                for one in facts.exposed
            )
        )[lang]
        for at, lang in enumerate(("en", "nl"))
    }
    return both(
        "Law from outside reaches it: {laws}, by {paths}.",
        "Recht van buiten reikt tot hier: {laws}, via {paths}.",
        laws=told,
        paths=listed(one.path for one in facts.exposed),
    )


@indicator("chips_under_export_law")
def chips_under_export_law(subject: Subject) -> Reading:
    """Share of the H100-equivalents on chips whose maker stands under export law from outside."""
    chips = load_catalogue()
    size = {True: 0.0, False: 0.0}
    for pool in subject.factory.fleet:
        chip = chips[pool.chip]
        size[chip.origin in thresholds().eea] += pool.accelerators * chip.h100_equivalent
    total = size[True] + size[False]
    share = size[False] / total if total > 0.0 else 0.0
    return Reading(
        share,
        "share",
        by_file("fleet.chip"),
        both(
            "{share} of the capacity stands on chips from outside the European Economic Area.",
            "{share} van de capaciteit staat op chips van buiten de Europese Economische Ruimte.",
            share=percent(share),
        ),
    )


@indicator("outlasts_remedy")
def outlasts_remedy(subject: Subject) -> Reading:
    """Days of spares and support beyond what the Union needs to answer coercion."""
    facts = supply_facts(subject)
    if facts.autonomy_days is None:
        why = both(
            "No stock of spares and support is stated.",
            "Er is geen voorraad reservedelen en ondersteuning opgegeven.",
        )
        return unknown("register:procurement", why, "d")
    return Reading(
        facts.autonomy_days - REMEDY_DAYS,
        "d",
        (facts.paper,),
        both(
            "The shortest critical stock lasts {days} days; the Union needs about {remedy} to "
            "answer coercion.",
            "De kortste kritieke voorraad houdt {days} dagen; de Unie heeft er ongeveer {remedy} "
            "nodig om dwang te beantwoorden.",
            days=Amount(facts.autonomy_days),
            remedy=Amount(REMEDY_DAYS),
        ),
    )


@indicator("threat_level")
def threat_level(subject: Subject) -> Reading:
    """The worst likelihood times impact of threats to the site that were looked at in time."""
    register = load_threats(subject)
    kinds = {"physical", "cyber", "hybrid"}
    rows = [one for one in register.threats if one.kind in kinds] if register else []
    valid = [one for one in rows if not lapsed(one, subject.today)]
    if not valid:
        why = both(
            "No threat was looked at within its term.",
            "Geen dreiging is binnen de termijn beoordeeld.",
        )
        return unknown("register:threats", why)
    worst = max(valid, key=lambda one: one.likelihood * one.impact)
    return Reading(
        worst.likelihood * worst.impact,
        "",
        (Evidence(Proof.FACTORY, f"register:threats/{worst.id}", dated=worst.reviewed),),
        both(
            "The worst of {count} threats judged by the owner: {title} (likelihood {p}, impact "
            "{i}); {lapsed} must be looked at again.",
            "De ergste van {count} dreigingen volgens de eigenaar: {title} (kans {p}, gevolg {i}); "
            "{lapsed} moet opnieuw worden beoordeeld.",
            count=len(valid),
            title=worst.title.model_dump(),
            p=Amount(worst.likelihood, digits=2),
            i=Amount(worst.impact, digits=2),
            lapsed=len(rows) - len(valid),
        ),
    )


@indicator("redundant_connection")
def redundant_connection(subject: Subject) -> Reading:
    """1 where every site keeps its contract with a circuit lost and has a battery or generators."""
    factory = subject.factory
    stores = {one.site for one in factory.energy.batteries}
    fine = all(
        site.connection.n_minus_1 and (name in stores or _generators(factory, name))
        for name, site in factory.sites.items()
    )
    return Reading(
        float(fine),
        "",
        by_file("sites.connection", "energy.batteries"),
        both(
            "Circuits and storage of the sites were compared.",
            "Circuits en opslag van de locaties zijn vergeleken.",
        ),
    )


def _generators(factory: object, site: str) -> bool:
    energy = getattr(factory, "energy", None)
    return any(one.site == site for one in getattr(energy, "generators", ()) or ())


@indicator("uneven_security")
def uneven_security(subject: Subject) -> Reading:
    """Residual risk of where the accelerators stand: the mean of 1 less the country's factor."""
    shares = work_by_country(subject)
    value = residual_risk(shares)
    told = listed(f"{country} {security_factor(country):g}" for country in sorted(shares))
    return Reading(
        value,
        "",
        by_file("sites.place.country", "fleet.site"),
        both(
            "Factor of the countries where the accelerators stand: {told}.",
            "Factor van de landen waar de accelerators staan: {told}.",
            told=told,
        ),
    )


@indicator("control_coverage")
def controls(subject: Subject) -> Reading:
    """Share of the controls of the catalogue with a verified document."""
    cover = control_coverage(subject)
    proof = Proof.VERIFIED if cover.verified else Proof.MISSING
    return Reading(
        cover.verified_share if cover.verified else None,  # not shown is not nought
        "share",
        (Evidence(proof, "document:controls"),),
        both(
            "{verified} of {all} controls are verified; {claimed} more are claimed.",
            "{verified} van {all} maatregelen zijn geverifieerd; {claimed} andere zijn opgegeven.",
            verified=cover.verified,
            all=cover.controls,
            claimed=cover.claimed,
        ),
    )


@indicator("critical_without_substitute")
def critical_without_substitute(subject: Subject) -> Reading:
    """Number of critical components for which nobody names another supplier."""
    facts = supply_facts(subject)
    if not facts.substitutes_known:
        return unknown("register:procurement", _no_substitutes(), "components")
    return Reading(
        float(len(facts.without_substitute)),
        "components",
        (facts.paper,),
        both(
            "{alone} of {all} critical components have no substitute named{names}.",
            "Voor {alone} van {all} kritieke onderdelen is geen vervanging genoemd{names}.",
            alone=len(facts.without_substitute),
            all=len(facts.critical),
            names=_brackets(facts.without_substitute),
        ),
    )


def _no_substitutes() -> dict[str, str]:
    return both(
        "Nobody lists who else could supply what is critical.",
        "Nergens staat wie het kritieke ook zou kunnen leveren.",
    )


def _brackets(names: tuple[str, ...]) -> dict[str, str]:
    if not names:
        return {"en": "", "nl": ""}
    return {lang: f" ({text})" for lang, text in listed(names).items()}


@indicator("freedom_of_choice")
def freedom_of_choice(subject: Subject) -> Reading:
    """Share of the critical components with a substitute: autonomy, apart from control."""
    facts = supply_facts(subject)
    if not facts.substitutes_known or not facts.critical:
        return unknown("register:procurement", _no_substitutes(), "share")
    slowest = facts.switching_days
    alone = len(facts.without_substitute)
    return Reading(
        1.0 - alone / len(facts.critical),
        "share",
        (facts.paper,),
        both(
            "{alone} of {all} critical components cannot be replaced{slow}.",
            "{alone} van {all} kritieke onderdelen zijn niet te vervangen{slow}.",
            alone=alone,
            all=len(facts.critical),
            slow={"en": "", "nl": ""}
            if slowest is None
            else both(
                "; of the others the slowest takes {d} days",
                "; van de andere duurt de traagste {d} dagen",
                d=Amount(slowest),
            ),
        ),
    )


@indicator("control_in_europe")
def control_in_europe(subject: Subject) -> Reading:
    """Share of operator, owners and suppliers with access that stand under European law only."""
    facts = supply_facts(subject)
    if not facts.looked:
        return unknown("factory:governance.jurisdictions", _nobody_looked(), "share")
    governance = subject.factory.governance
    total = len(governance.jurisdictions) + len(governance.parents) + len(governance.suppliers)
    value = 1.0 - len(facts.exposed) / total
    return Reading(value, "share", by_file(*_CHAIN), _paths(facts))


@indicator("flagged_order_lines")
def flagged_lines(subject: Subject) -> Reading:
    """Number of order lines without an alternative or with an unknown origin."""
    register = load_procurement(subject)
    if register is None:
        why = both("There is no procurement register.", "Er is geen inkoopregister.")
        return unknown("register:procurement", why, "lines")
    found = [one.id for one in register.lines if flagged(one)]
    return Reading(
        float(len(found)),
        "lines",
        (supply_facts(subject).paper,),
        both(
            "{found} of {all} order lines lack an alternative or an origin{names}.",
            "Bij {found} van {all} inkoopregels ontbreekt een alternatief of de herkomst{names}.",
            found=len(found),
            all=len(register.lines),
            names=_brackets(tuple(found)),
        ),
    )
