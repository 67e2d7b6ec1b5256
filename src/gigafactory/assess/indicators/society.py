"""Indicators of long-term goals of society: missions, energy, space, water, answering for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gigafactory.assess.context import context
from gigafactory.assess.indicators.base import (
    Reading,
    at_home,
    by_file,
    dutch,
    indicator,
    landing,
    share_where,
    unknown,
    use_of,
)
from gigafactory.assess.registers.people import Benefit, benefits, load_outcomes
from gigafactory.assess.registers.public import (
    load_consultations,
    load_objections,
    open_days,
    unheard,
)
from gigafactory.assess.results import Evidence, Proof
from gigafactory.assess.subject import Subject
from gigafactory.assess.words import Amount, both, listed, percent

#: Days after which an objection should have been answered: six weeks, as Dutch administrative law
#: gives for a decision on one (Awb art. 7:10, 2024; general knowledge, not read in the law).
ANSWER_DAYS: Final = 42
HOURS_PER_YEAR: Final = 8760.0


@indicator("additional_energy_share")
def additional_energy(subject: Subject) -> Reading:
    """Share of the energy used that comes from plants built for the factory's contracts."""
    key = "contribution.additional_share"
    value = subject.figure(key)
    if value is None:
        why = both("No run shows it.", "Geen run laat het zien.")
        return unknown(f"summary:{key}", why, "share")
    return Reading(
        value if at_home(subject) else 0.0,
        "share",
        (subject.counted(key), *by_file("sites.place.country")),
        both(
            "{share} of the energy used comes from plants that were new when contracted{away}.",
            "{share} van de gebruikte energie komt van opwek die nieuw was bij het contract{away}.",
            share=percent(value),
            away=_away(subject),
        ),
    )


def _away(subject: Subject) -> dict[str, str]:
    """What is added where good and bad fall elsewhere."""
    if at_home(subject):
        return {"en": "", "nl": ""}
    return both(", which falls abroad and counts for nothing here",
                ", wat in het buitenland neerslaat en hier niet telt")  # fmt: skip


def system_benefits(subject: Subject) -> tuple[Benefit, ...]:
    """The benefits of the missions' outcomes, each change in the world once; none without a file.

    What the run's summary counts already is named and not counted again.
    """
    register = load_outcomes(subject)
    if register is None:
        return ()
    counted = {
        one.counted_by: bool(subject.figure(one.counted_by))
        for one in register.outcomes
        if one.counted_by is not None
    }
    return benefits(register, subject.today, counted)


def _outcomes(subject: Subject, *missions: str) -> Reading:
    """Verified outcomes of missions; claims are told and never counted."""
    if load_outcomes(subject) is None:
        why = both("There is no register of outcomes.", "Er is geen register van uitkomsten.")
        return unknown("register:outcomes", why, "outcomes")
    rows = [one for one in system_benefits(subject) if one.mission in missions]
    sure = [one for one in rows if one.counted_as == "outcome"]
    by_run = [one for one in rows if one.counted_as == "ledger"]
    use = use_of(subject)
    hours = share_where(subject, use, lambda one: one.mission in missions and dutch(one))
    proof = Proof.VERIFIED if sure else Proof.CLAIMED if rows else Proof.FACTORY
    return Reading(
        len(sure) * landing(subject),
        "outcomes",
        (Evidence(proof, f"register:outcomes/{missions[0]}"),),
        both(
            "{sure} outcomes verified of {all} claimed{ledger}; {hours} of the hours serve it.",
            "{sure} van {all} opgegeven uitkomsten geverifieerd{ledger}; {hours} van de uren dient "
            "het doel.",
            sure=len(sure),
            all=len(rows),
            hours=percent(hours),
            ledger=both(
                ", {n} counted by the run and not again",
                ", {n} al door de run geteld en niet nog eens",
                n=len(by_run),
            )
            if by_run
            else {"en": "", "nl": ""},
        ),
    )


@indicator("outcomes_energy")
def outcomes_energy(subject: Subject) -> Reading:
    """Verified outcomes for the energy transition."""
    return _outcomes(subject, "energy_transition")


@indicator("outcomes_health")
def outcomes_health(subject: Subject) -> Reading:
    """Verified outcomes in health and care."""
    return _outcomes(subject, "health")


@indicator("outcomes_security")
def outcomes_security(subject: Subject) -> Reading:
    """Verified outcomes for security."""
    return _outcomes(subject, "security")


@indicator("outcomes_land_and_circular")
def outcomes_land(subject: Subject) -> Reading:
    """Verified outcomes in agriculture, water and food, and the circular economy."""
    return _outcomes(subject, "agriculture_water_food", "circular_economy")


@indicator("national_electricity_share")
def national_share(subject: Subject) -> Reading:
    """Share of the national use of electricity, of a year at the run's pace."""
    used, days = subject.figure("energy.site_mwh"), subject.figure("days_done")
    macro = context().macro
    if used is not None and days:
        yearly = used * 365.0 / days
        evidence = subject.counted("energy.site_mwh")
    else:
        sites = subject.factory.sites.values()
        most_mw = sum(site.connection.firm_mw for site in sites)
        yearly = most_mw * HOURS_PER_YEAR
        evidence = Evidence(Proof.FACTORY, "factory:sites.connection.firm")
    share = yearly / (macro.electricity_twh * 1e6)
    return Reading(
        share if at_home(subject) else 0.0,
        "share",
        (evidence,),
        both(
            "{twh} TWh a year{how} is {share} of the {all} TWh the Netherlands use ({year}){away}.",
            "{twh} TWh per jaar{how} is {share} van de {all} TWh die Nederland gebruikt "
            "({year}){away}.",
            twh=Amount(yearly / 1e6, digits=2),
            how=both(" (firm capacity all year)", " (vast vermogen, het hele jaar)")
            if used is None
            else {"en": "", "nl": ""},
            share=percent(share, 2),
            all=Amount(macro.electricity_twh),
            year=str(macro.sources["electricity"].year),
            away=_away(subject),
        ),
    )


@indicator("has_storage")
def has_storage(subject: Subject) -> Reading:
    """Energy of the batteries, MWh."""
    total = sum(one.energy_mwh for one in subject.factory.energy.batteries)
    why = both("{e} of batteries.", "{e} aan batterijen.", e=Amount(total, "MWh"))
    return Reading(total, "MWh", by_file("energy.batteries"), why)


@indicator("heat_reused")
def heat_reused(subject: Subject) -> Reading:
    """Waste heat handed over in the run, as a share of the energy used (ERF)."""
    return _counted(subject, "erf", "share", "Energy reuse factor", "Energiehergebruikfactor")


@indicator("carbon_free_share")
def carbon_free(subject: Subject) -> Reading:
    """Share of the import covered by carbon-free energy in the same hour."""
    return _counted(
        subject, "carbon.cfe_share", "share", "Carbon-free by the hour", "CO2-vrij per uur"
    )


def _counted(subject: Subject, key: str, unit: str, en: str, nl: str) -> Reading:
    value = subject.figure(key)
    if value is None:
        why = both("No run shows it.", "Geen run laat het zien.")
        return unknown(f"summary:{key}", why, unit)
    shown = percent(value) if unit == "share" else Amount(value, unit, 2)
    why = both(f"{en}: {{v}}.", f"{nl}: {{v}}.", v=shown)
    return Reading(value, unit, (subject.counted(key),), why)


@indicator("built_area_ha")
def built_area(subject: Subject) -> Reading:
    """Largest built floor area of a site, ha."""
    largest = max(site.place.built_area_m2 for site in subject.factory.sites.values()) / 10_000.0
    return Reading(
        largest,
        "ha",
        by_file("sites.place.built_area"),
        both(
            "The largest site is built on {ha}; above 10 ha with 70 MW or more the Dutch rule for "
            "hyperscale data centres holds.",
            "De grootste locatie bebouwt {ha}; boven 10 ha en vanaf 70 MW geldt de Nederlandse "
            "hyperscaleregel.",
            ha=Amount(largest, "ha", 1),
        ),
    )


@indicator("space_taken_ha")
def space_taken(subject: Subject) -> Reading:
    """Built area that is taken from the Netherlands, of the largest site, ha."""
    reading = built_area(subject)
    return reading if at_home(subject) else replace(reading, value=0.0)


@indicator("water_taken_l_per_kwh")
def water_taken(subject: Subject) -> Reading:
    """Fresh water taken from the Netherlands over IT energy, litre per kWh."""
    reading = water(subject)
    return reading if reading.value is None or at_home(subject) else replace(reading, value=0.0)


@indicator("water_l_per_kwh")
def water(subject: Subject) -> Reading:
    """Fresh water over IT energy (WUE), litre per kWh."""
    return _counted(subject, "wue_l_per_kwh", "l/kWh", "Fresh water (WUE)", "Zoet water (WUE)")


@indicator("objections_open_share")
def objections(subject: Subject) -> Reading:
    """Share of the objections that is open for longer than it should be."""
    register = load_objections(subject)
    if register is None:
        why = both("There is no register of objections.", "Er is geen register van bezwaren.")
        return unknown("register:objections", why, "share")
    rows = [one for one in register.objections if one.received <= subject.today]
    ages = [open_days(one, subject.today) for one in rows]
    waiting = [age for age in ages if age is not None]
    late = [age for age in waiting if age > ANSWER_DAYS]
    value = len(late) / len(rows) if rows else 0.0
    made_up = any(one.example for one in rows)
    return Reading(
        value,
        "share",
        (Evidence(Proof.CLAIMED if made_up else Proof.FACTORY, "register:objections"),),
        both(
            "{open} of {all} objections are open, the oldest for {age} days; {late} for more than "
            "{most}.",
            "{open} van {all} bezwaren staan open, het oudste {age} dagen; {late} langer dan "
            "{most}.",
            open=len(waiting),
            all=len(rows),
            age=max(waiting, default=0),
            late=len(late),
            most=ANSWER_DAYS,
        ),
    )


@indicator("mission_share")
def missions(subject: Subject) -> Reading:
    """Share of every pool kept for the missions."""
    groups = [one for one in subject.factory.policy.quota_groups if one.kind == "mission"]
    value = sum(one.nominal_fraction for one in groups) * landing(subject)
    served = sorted({one.mission for one in subject.factory.tenants if one.mission and dutch(one)})
    return Reading(
        value,
        "share",
        by_file("policy.quota_groups", "tenants.mission", "sites.place.country"),
        both(
            "{share} of every pool is kept for the missions; tenants of {count} of the five.",
            "{share} van elke pool is voor de missies; huurders van {count} van de vijf.",
            share=percent(value),
            count=len(served),
        ),
    )


@indicator("reserves_delivered_share")
def grid_stability(subject: Subject) -> Reading:
    """Least share of sold balancing reserves that was ready, over the products sold."""
    products = (subject.summary.get("reserves") or {}).get("products") or []
    ready = [one["available_share"] for one in products if one["available_share"] is not None]
    if not ready:
        why = both(
            "No run shows balancing reserves that were sold.",
            "Geen run laat verkochte balanceringsreserves zien.",
        )
        return unknown("summary:reserves.products", why, "share")
    sold = sum(one["sold_mw_h"] for one in products)
    return Reading(
        min(ready) if at_home(subject) else 0.0,
        "share",
        (Evidence(Proof.LEDGER, "summary:reserves.products"),),
        both(
            "{sold} MW·h of reserves sold; of the weakest product {share} was ready{away}.",
            "{sold} MW·h reserves verkocht; van het zwakste product was {share} beschikbaar{away}.",
            sold=Amount(sold),
            share=percent(min(ready)),
            away=_away(subject),
        ),
    )


@indicator("consultations_missing")
def consultations(subject: Subject) -> Reading:
    """Stakeholders who were not heard about milestones that are due or closed."""
    register = load_consultations(subject)
    if register is None:
        why = both("There is no record of consultations.", "Er is geen verslag van overleg.")
        return unknown("register:consultations", why, "stakeholders")
    due = [one for one in register.milestones if one.closed or one.planned <= subject.today]
    missing = [f"{one.id}: {name}" for one in due for name in unheard(one, subject.today)]
    made_up = any(one.example for one in register.milestones)
    return Reading(
        float(len(missing)),
        "stakeholders",
        (Evidence(Proof.CLAIMED if made_up else Proof.FACTORY, "register:consultations"),),
        both(
            "Milestones due or closed: {due}; stakeholders not heard: {count}{names}.",
            "Mijlpalen bereikt of aan de beurt: {due}; belanghebbenden niet gehoord: "
            "{count}{names}.",
            due=len(due),
            count=len(missing),
            names={k: f" ({v})" if v else "" for k, v in listed(missing).items()},
        ),
    )


@indicator("stands_at_home")
def stands_at_home(subject: Subject) -> Reading:
    """1 where the factory stands in the Netherlands."""
    here = at_home(subject)
    why = both(
        "It stands {where}.",
        "Hij staat {where}.",
        where={"en": "in the Netherlands" if here else "abroad",
               "nl": "in Nederland" if here else "in het buitenland"},
    )  # fmt: skip
    return Reading(float(here), "", by_file("sites.place.country"), why)
