"""Indicators of economic resilience: who may use it, who learns from it, where the value stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gigafactory.assess.indicators.base import (
    Reading,
    at_home,
    by_file,
    dutch,
    indicator,
    landing,
    members,
    share_where,
    unknown,
    use_of,
)
from gigafactory.assess.registers.people import load_talent, talent_figures
from gigafactory.assess.registers.public import load_subsidies
from gigafactory.assess.results import Evidence, Proof
from gigafactory.assess.subject import Subject
from gigafactory.assess.supplyfacts import supply_facts
from gigafactory.assess.words import Both, both, listed, percent
from gigafactory.factory import Tenant
from gigafactory.policy.tables import thresholds

#: Groups of tenants that are small firms, and those that do research.
SMALL: Final = frozenset({"sme", "start_up"})
RESEARCH: Final = frozenset({"knowledge_institute"})
FIRMS: Final = frozenset({"nl_company", "large", "sme", "start_up"})


@indicator("sectors_reached")
def sectors_reached(subject: Subject) -> Reading:
    """Number of sectors of Dutch tenants, each named only when there are enough in it."""
    tenants = [one for one in subject.factory.tenants if dutch(one)]
    sectors = members(one.sector for one in tenants)
    firms = sum(one.group in FIRMS for one in tenants)
    least = thresholds().members_min
    fresh = sum("nowhere" in one.ran_before for one in tenants)
    reach = landing(subject)
    return Reading(
        sectors * reach,
        "sectors",
        by_file("tenants.sector", "tenants.ran_before"),
        both(
            "{sectors} sectors, {firms} Dutch firms, {fresh} that never ran AI anywhere{guest}.",
            "{sectors} sectoren, {firms} Nederlandse bedrijven, {fresh} die nog nergens AI "
            "draaiden{guest}.",
            sectors=sectors,
            firms=_public(firms, least),
            fresh=_public(fresh, least),
            guest=_guest(reach),
        ),
    )


def _public(count: int, least: int) -> dict[str, str]:
    """A count that may be published: those below the threshold of privacy are not told."""
    if 0 < count < least:
        return both("fewer than {least}", "minder dan {least}", least=least)
    return both("{n}", "{n}", n=count)


def _guest(reach: float) -> dict[str, str]:
    if reach >= 1.0:
        return {"en": "", "nl": ""}
    return both(
        "; the Dutch are guests there and get at most {reach}",
        "; Nederlanders zijn daar te gast en krijgen ten hoogste {reach}",
        reach=percent(reach, 0),
    )


@indicator("small_firms_share")
def small_firms(subject: Subject) -> Reading:
    """Share of the hours used by Dutch small firms and start-ups."""
    return _share_of(
        subject,
        lambda one: one.group in SMALL and dutch(one),
        "{share} of the hours go to Dutch small firms and start-ups{guest}.",
        "{share} van de uren gaat naar het Nederlandse mkb en start-ups{guest}.",
    )


@indicator("research_share")
def research(subject: Subject) -> Reading:
    """Share of the hours used by Dutch knowledge institutes and programmes."""
    return _share_of(
        subject,
        lambda one: dutch(one) and (one.group in RESEARCH or one.programme is not None),
        "{share} of the hours go to Dutch knowledge institutes and programmes{guest}.",
        "{share} van de uren gaat naar Nederlandse kennisinstellingen en programma's{guest}.",
    )


@indicator("dutch_share")
def dutch_share(subject: Subject) -> Reading:
    """Share of the hours used by Dutch tenants."""
    return _share_of(
        subject,
        dutch,
        "{share} of the hours go to Dutch tenants{guest}.",
        "{share} van de uren gaat naar Nederlandse huurders{guest}.",
    )


def _share_of(subject: Subject, keep: Callable[[Tenant], bool], en: str, nl: str) -> Reading:
    use = use_of(subject)
    if not use.shares:
        why = both("No tenant is named.", "Er is geen huurder genoemd.")
        return unknown("factory:tenants", why, "share")
    reach = landing(subject)
    value = share_where(subject, use, keep) * reach
    return Reading(
        value,
        "share",
        (use.evidence, *by_file("tenants.country", "sites.place.country")),
        both(en, nl, share=percent(value), guest=_guest(reach)),
    )


@indicator("positioning_share")
def positioning(subject: Subject) -> Reading:
    """Share of the hours on work that makes knowledge: research and fine-tuning by the Dutch.

    The same hardware with another mix of work has another value here.
    """
    by_class = subject.summary.get("accelerator_hours", {}).get("useful_by_class")
    if by_class and sum(by_class.values()) > 0.0:
        total = sum(by_class.values())
        shares = {name: hours / total for name, hours in by_class.items()}
        evidence = Evidence(Proof.LEDGER, "summary:accelerator_hours.useful_by_class")
    else:
        shares = class_shares(subject)
        evidence = Evidence(Proof.FACTORY if shares else Proof.MISSING, "factory:tenants.work")
    if not shares:
        why = both("No work is offered.", "Er wordt geen werk aangeboden.")
        return unknown("factory:tenants.work", why, "share")
    reach = landing(subject)
    value = (shares.get("research", 0.0) + shares.get("fine_tuning", 0.0)) * reach
    return Reading(
        value,
        "share",
        (evidence,),
        both(
            "{frontier} frontier training, {research} research, {tuning} fine-tuning, {inference} "
            "inference{guest}.",
            "{frontier} training van frontiermodellen, {research} onderzoek, {tuning} finetunen, "
            "{inference} inferentie{guest}.",
            frontier=percent(shares.get("frontier_training", 0.0), 0),
            research=percent(shares.get("research", 0.0), 0),
            tuning=percent(shares.get("fine_tuning", 0.0), 0),
            inference=percent(
                shares.get("inference_batch", 0.0) + shares.get("inference_realtime", 0.0), 0
            ),
            guest=_guest(reach),
        ),
    )


def class_shares(subject: Subject) -> dict[str, float]:
    """The mix of work by class that the factory file offers; the parts add up to 1."""
    size = sum(pool.accelerators for pool in subject.factory.fleet)
    found: dict[str, float] = {}
    for tenant in subject.factory.tenants:
        for work in tenant.work:
            found[work.job_class] = found.get(work.job_class, 0.0) + work.share
        for one in tenant.services:
            part = one.accelerators_peak * one.mean_fraction / size
            found["inference_realtime"] = found.get("inference_realtime", 0.0) + part
    total = sum(found.values())
    return {name: part / total for name, part in found.items()} if total > 0.0 else {}


@indicator("talent_eu_share")
def talent(subject: Subject) -> Reading:
    """Share of the people in critical roles who are based in the Union."""
    register = load_talent(subject)
    figures = talent_figures(register) if register else None
    if register is None or figures is None or figures.critical_eu_share is None:
        why = both("There is no talent register.", "Er is geen talentregister.")
        return unknown("register:talent", why, "share")
    verified = register.verified_by is not None and not register.example
    proof = Proof.VERIFIED if verified else Proof.CLAIMED
    return Reading(
        figures.critical_eu_share,
        "share",
        (
            Evidence(
                proof,
                "register:talent",
                dated=register.counted,
                verified_by=register.verified_by or "",
            ),
        ),
        both(
            "{share} of those in critical roles are based in the Union; {fte} people in all, "
            "{trainees} trainees (count of {day}).",
            "{share} van de mensen in kritieke functies werkt vanuit de Unie; {fte} voltijdbanen "
            "in totaal, {trainees} leerplaatsen (telling van {day}).",
            share=percent(figures.critical_eu_share),
            fte=figures.total_fte,
            trainees=figures.trainees,
            day=register.counted,
        ),
    )


@indicator("research_repatriated_share")
def research_repatriated(subject: Subject) -> Reading:
    """Share of the hours that Dutch research used abroad before and now uses here."""
    use = use_of(subject)
    value = (
        sum(
            use.shares.get(one.name, 0.0) / len(one.ran_before)
            for one in subject.factory.tenants
            if dutch(one) and one.group in RESEARCH and "abroad" in one.ran_before
        )
        if at_home(subject)
        else 0.0
    )
    return Reading(
        value,
        "share",
        (use.evidence, *by_file("tenants.ran_before", "sites.place.country")),
        both(
            "{share} of the hours are Dutch research that ran abroad before.",
            "{share} van de uren is Nederlands onderzoek dat eerst in het buitenland draaide.",
            share=percent(value),
        ),
    )


@indicator("value_leak_share")
def value_leak(subject: Subject) -> Reading:
    """Share of components and services that is not shown to come from the EEA."""
    facts = supply_facts(subject)
    if facts.eu_share is None:
        why = both("No component is listed.", "Er is geen onderdeel opgegeven.")
        return unknown("factory:sites.assets", why, "share")
    profit = bool(facts.controlled)
    value = 1.0 if profit else 1.0 - facts.eu_share
    return Reading(
        value,
        "share",
        (*facts.evidence, *by_file("governance.jurisdictions", "governance.parents")),
        both(
            "{share} is not shown to stay in Europe{profit}.",
            "Van {share} is niet aangetoond dat het in Europa blijft{profit}.",
            share=percent(value),
            profit=both(
                ": an owner outside decides about the profit",
                ": een eigenaar van buiten beslist over de winst",
            )
            if profit
            else {"en": "", "nl": ""},
        ),
    )


@indicator("dutch_short_share")
def dutch_short(subject: Subject) -> Reading:
    """Share of the hours that do not go to Dutch tenants."""
    reading = dutch_share(subject)
    value = None if reading.value is None else 1.0 - reading.value
    return Reading(value, "share", reading.evidence, reading.why)


@indicator("public_money_open_share")
def public_money_open(subject: Subject) -> Reading:
    """Share of granted public money whose grants ask for no access by Dutch users."""
    register = load_subsidies(subject)
    if register is None:
        why = both(
            "Nobody says whether public money was granted.",
            "Niemand zegt of er publiek geld is toegekend.",
        )
        return unknown("register:subsidies", why, "share")
    total = sum(m.amount_eur for g in register.grants for m in g.milestones)
    without = [g for g in register.grants if not any(c.kind == "access" for c in g.conditions)]
    amount = sum(m.amount_eur for g in without for m in g.milestones)
    value = amount / total if total > 0.0 else 0.0
    proof = Proof.CLAIMED if any(g.example for g in register.grants) else Proof.FACTORY
    return Reading(
        value,
        "share",
        (Evidence(proof, "register:subsidies"),),
        both(
            "{share} of EUR {total} m of public money asks for no access.",
            "{share} van EUR {total} mln publiek geld stelt geen eis aan toegang.",
            share=percent(value, 0),
            total=round(total / 1e6),
        ),
    )


@indicator("reserved_share")
def reserved(subject: Subject) -> Reading:
    """Share of every pool reserved for Dutch firms and institutes and not undercut."""
    groups = [one for one in subject.factory.policy.quota_groups if one.kind == "reserved"]
    nominal = sum(one.nominal_fraction for one in groups) if at_home(subject) else 0.0
    rows = {row["node"]: row for row in subject.summary.get("shares") or ()}
    held = [rows[one.name] for one in groups if one.name in rows]
    kept = _kept(held)
    evidence = by_file("policy.quota_groups", "sites.place.country")
    if kept is not None:
        evidence = (*evidence, Evidence(Proof.LEDGER, "summary:shares"))
    else:
        evidence = (*evidence, Evidence(Proof.MISSING, "summary:shares"))
    return Reading(
        nominal * (1.0 if kept is None else kept),
        "share",
        evidence,
        both(
            "{nominal} of every pool is reserved{names}; {kept}.",
            "{nominal} van elke pool is gereserveerd{names}; {kept}.",
            nominal=percent(nominal),
            names={k: f" ({v})" if v else "" for k, v in listed(g.name for g in groups).items()},
            kept=_told(kept),
        ),
    )


def _told(kept: float | None) -> Both:
    if kept is None:
        return both("no run shows whether it is kept", "geen run laat zien of het wordt nagekomen")
    return both("in the run {k} of it was kept", "in de run is {k} nagekomen", k=percent(kept))


def _kept(rows: list[dict[str, float]]) -> float | None:
    own = sum(row["held_gpu_h"] - row["borrowed_gpu_h"] for row in rows)
    asked = own + sum(row["short_gpu_h"] for row in rows)
    return own / asked if asked > 0.0 else None


@indicator("programmes_linked")
def programmes_linked(subject: Subject) -> Reading:
    """Number of research or cluster programmes with work in the factory."""
    named = {one.programme.name for one in subject.factory.tenants if one.programme is not None}
    ran = {row["programme"] for row in subject.summary.get("programmes") or () if row["held_gpu_h"]}
    evidence = by_file("tenants.programme")
    if subject.summary:
        evidence = (*evidence, Evidence(Proof.LEDGER, "summary:programmes"))
    count = len(named & ran) if subject.summary else len(named)
    here = count if at_home(subject) else 0
    return Reading(
        float(here),
        "programmes",
        evidence,
        both(
            "{count} programmes have work in it{names}.",
            "{count} programma's hebben er werk{names}.",
            count=here,
            names={k: f" ({v})" if v and here else "" for k, v in listed(sorted(named)).items()},
        ),
    )
