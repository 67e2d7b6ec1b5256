"""The registers applied: what is overdue, expired, blocked, open or missing on a day.

Each register answers with findings of its own; one that is not there answers with a single finding
that says so. Nothing is scored: these are duties, and they are kept or not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from gigafactory.assess.adoption import REST, Homecoming, adoption, homecoming
from gigafactory.assess.axes import axes_alone
from gigafactory.assess.continuity import continuity
from gigafactory.assess.evidence import four_files
from gigafactory.assess.indicators.society import ANSWER_DAYS, system_benefits
from gigafactory.assess.registers.people import load_outcomes, load_talent, talent_figures
from gigafactory.assess.registers.public import (
    Payment,
    load_consultations,
    load_objections,
    load_subsidies,
    open_days,
    payments,
    unheard,
)
from gigafactory.assess.registers.security import (
    clocks,
    conflict,
    lapsed,
    load_incidents,
    load_requests,
    load_threats,
)
from gigafactory.assess.registers.supplies import (
    award,
    flagged,
    load_procurement,
    load_software,
    load_tenders,
    passports,
    software_summary,
)
from gigafactory.assess.results import PROOF_NL, Assessment, Evidence, Finding, Grade, Proof
from gigafactory.assess.subject import Subject
from gigafactory.assess.words import Amount, both, listed, percent
from gigafactory.units import MICRO_EUR_PER_EUR

_SOURCE: Final = "dossier: registers/*.yaml"
_EMPTY: Final[Mapping[str, str]] = MappingProxyType({"en": "", "nl": ""})


def end_of_day(subject: Subject) -> dt.datetime:
    """The last second of the day that counts, where the first site stands."""
    zone = next(iter(subject.factory.sites.values())).timezone
    return dt.datetime.combine(subject.today, dt.time(23, 59, 59), ZoneInfo(zone))


def grant_payments(subject: Subject) -> tuple[Payment, ...]:
    """What every milestone of every grant pays, by where the criteria of the axes stand."""
    register = load_subsidies(subject)
    if register is None:
        return ()
    grades = {one.criterion: one.grade for one in axes_alone(subject).findings}
    return tuple(one for grant in register.grants for one in payments(grant, grades))


def _finding(
    group: str,
    name: str,
    title: Mapping[str, str],
    grade: Grade,
    why: Mapping[str, str],
    *,
    value: float | None = None,
    unit: str = "",
    example: bool = False,
) -> Finding:
    proof = Proof.CLAIMED if example else Proof.FACTORY
    mark = both(" (example, made up)", " (voorbeeld, verzonnen)") if example else _EMPTY
    return Finding(
        criterion=f"{group}.{name}",
        group=group,
        title={lang: text + mark[lang] for lang, text in title.items()},
        grade=grade,
        value=value,
        unit=unit,
        source=_SOURCE,
        evidence=(Evidence(proof, f"register:{group}/{name}"),),
        why=why,
        kind="register",
    )


def _missing(group: str) -> Finding:
    return Finding(
        criterion=group,
        group=group,
        title=_TITLES[group],
        grade=Grade.UNVERIFIED,
        source=_SOURCE,
        evidence=(Evidence(Proof.MISSING, f"register:{group}"),),
        why=both(
            "There is no such register: missing, not empty.",
            "Dit register is er niet: het ontbreekt, en is dus niet leeg.",
        ),
        kind="register",
    )


def _kept(fine: bool) -> Grade:
    return Grade.MET if fine else Grade.UNMET


def _files(subject: Subject) -> Iterator[Finding]:
    titles = {
        "ownership": both("Ownership", "Eigendomsstructuur"),
        "governance": both("Governance", "Governance"),
        "legal_control": both("Legal control", "Juridische zeggenschap"),
        "chain_dependencies": both("Chain dependencies", "Ketenafhankelijkheden"),
    }
    for name, shown in four_files(subject).items():
        grade = Grade.MET if shown.proof.counts else Grade.UNVERIFIED
        yield Finding(
            criterion=f"files.{name}",
            group="files",
            title=titles[name],
            grade=grade,
            source="HCSS, De strategische waarde van een AI-Gigafabriek, 2026, published, read",
            evidence=(shown,),
            why=both(
                "{title}{state}.",
                "{title}{state_nl}.",
                title=f"{shown.title}: " if shown.title else "",
                state=shown.proof.value,
                state_nl=PROOF_NL[shown.proof],
            ),
            kind="register",
        )


def _subsidies(subject: Subject) -> Iterator[Finding]:
    register = load_subsidies(subject)
    if register is None:
        yield _missing("subsidies")
        return
    grants = {one.id: one for one in register.grants}
    states = {
        "payable": both("payable", "betaalbaar"),
        "blocked": both("blocked: broken is {x}", "geblokkeerd: geschonden is {x}", x="{x}"),
        "held": both("held: not shown is {x}", "aangehouden: niet aangetoond is {x}", x="{x}"),
    }
    for one in grant_payments(subject):
        grant = grants[one.grant]
        milestone = next(m for m in grant.milestones if m.id == one.milestone)
        named = {c.id: c.title.model_dump() for c in grant.conditions}
        why = one.broken or one.not_shown
        state = {
            lang: text.replace("{x}", listed(named[name][lang] for name in why)[lang])
            for lang, text in states[one.state].items()
        }
        grade = {"payable": Grade.MET, "blocked": Grade.UNMET, "held": Grade.UNVERIFIED}[one.state]
        yield _finding(
            "subsidies",
            f"{one.grant}.{one.milestone}",
            milestone.title.model_dump(),
            grade,
            both(
                "EUR {amount} due {due}: {state}.",
                "EUR {amount} op {due}: {state}.",
                amount=Amount(one.amount_micro_eur / MICRO_EUR_PER_EUR),
                due=one.due,
                state=state,
            ),
            value=one.paid_micro_eur / MICRO_EUR_PER_EUR,
            unit="EUR",
            example=grant.example,
        )


def _threats(subject: Subject) -> Iterator[Finding]:
    register = load_threats(subject)
    if register is None:
        yield _missing("threats")
        return
    for one in register.threats:
        old = lapsed(one, subject.today)
        yield _finding(
            "threats",
            one.id,
            one.title.model_dump(),
            _kept(not old),
            both(
                "Looked at on {seen}, to be looked at again by {by}{old}. Source: {source}.",
                "Beoordeeld op {seen}, opnieuw te beoordelen voor {by}{old}. Bron: {source}.",
                seen=one.reviewed,
                by=one.review_by,
                old=both(": expired", ": verlopen") if old else _EMPTY,
                source=one.source.text,
            ),
            value=one.likelihood * one.impact,
        )


def _objections(subject: Subject) -> Iterator[Finding]:
    register = load_objections(subject)
    if register is None:
        yield _missing("objections")
        return
    for one in register.objections:
        if one.received > subject.today:
            continue
        age = open_days(one, subject.today)
        told = both("open for {d} days", "staat {d} dagen open", d=age or 0)
        if age is None:
            told = both("closed: {o}", "afgedaan: {o}", o=_OUTCOMES[one.outcome])
        yield _finding(
            "objections",
            one.id,
            one.about.model_dump(),
            _kept(age is None or age <= ANSWER_DAYS),
            both(
                "Received {day}, {told}.", "Ontvangen {day}, {told}.", day=one.received, told=told
            ),
            value=None if age is None else float(age),
            unit="d",
            example=one.example,
        )


_OUTCOMES: Final = {
    "open": both("answered", "beantwoord"),
    "upheld": both("upheld", "gegrond"),
    "partly_upheld": both("partly upheld", "deels gegrond"),
    "rejected": both("rejected", "ongegrond"),
    "withdrawn": both("withdrawn", "ingetrokken"),
}


def _consultations(subject: Subject) -> Iterator[Finding]:
    register = load_consultations(subject)
    if register is None:
        yield _missing("consultations")
        return
    for one in register.milestones:
        missing = unheard(one, subject.today)
        due = one.closed is not None or one.planned <= subject.today
        grade = Grade.MET if not missing else Grade.UNMET if due else Grade.NOT_APPLICABLE
        state = both("open, planned {d}", "open, gepland {d}", d=one.planned)
        if one.closed is not None:
            state = both("closed {d}", "gesloten {d}", d=one.closed)
        yield _finding(
            "consultations",
            one.id,
            one.title.model_dump(),
            grade,
            both(
                "{state}; {heard} of {all} heard{missing}.",
                "{state}; {heard} van {all} gehoord{missing}.",
                state=state,
                heard=len(one.hears) - len(missing),
                all=len(one.hears),
                missing=_cannot_close(missing),
            ),
            value=float(len(missing)),
            unit="stakeholders",
            example=one.example,
        )


def _cannot_close(missing: tuple[str, ...]) -> Mapping[str, str]:
    if not missing:
        return _EMPTY
    return both(
        "; cannot close without {names}", "; kan niet sluiten zonder {names}", names=listed(missing)
    )


def _incidents(subject: Subject) -> Iterator[Finding]:
    register = load_incidents(subject)
    if register is None:
        yield _missing("incidents")
        return
    now = end_of_day(subject)
    for incident in register.incidents:
        for one in clocks(incident, now) if incident.aware <= now else ():
            left = Amount(abs(one.left_h or 0.0), "h", 1)
            told = {
                "sent": both("sent in time", "op tijd verstuurd"),
                "late": both("sent too late", "te laat verstuurd"),
                "running": both("{h} left", "nog {h}", h=left),
                "overdue": both("overdue by {h}", "{h} te laat", h=left),
            }[one.state]
            yield _finding(
                "incidents",
                f"{incident.id}.{one.duty}",
                incident.title.model_dump(),
                _kept(one.state in {"sent", "running"}),
                both(
                    "{duty} due {due}: {told}.",
                    "{duty} uiterlijk {due}: {told}.",
                    duty=_DUTIES[one.duty],
                    due=one.due.isoformat(timespec="minutes") if one.due else "",
                    told=told,
                ),
                value=None if one.left_h is None else round(one.left_h, 1),
                unit="h",
                example=incident.example,
            )


_DUTIES: Final = {
    "early_warning": both("Early warning (24 h)", "Vroegtijdige waarschuwing (24 uur)"),
    "notification": both("Notification (72 h)", "Melding (72 uur)"),
    "final_report": both("Final report (one month)", "Eindverslag (een maand)"),
}


def _requests(subject: Subject) -> Iterator[Finding]:
    register = load_requests(subject)
    if register is None:
        yield _missing("access_requests")
        return
    notices = {
        "told": both("the tenant was told", "de huurder is ingelicht"),
        "to_be_told": both("the tenant must still be told", "de huurder moet nog worden ingelicht"),
        "forbidden_by_order": both("an order forbids telling", "een bevel verbiedt inlichten"),
    }
    meanings = {
        "": both("no conflict of laws", "geen botsing van recht"),
        "conflict": both("conflict of laws: no ground in European law",
                         "botsing van recht: geen grond in Europees recht"),
        "breach": both("breach: data were given without a ground in European law",
                       "inbreuk: data verstrekt zonder grond in Europees recht"),
    }  # fmt: skip
    for one in register.requests:
        meaning = conflict(one)
        yield _finding(
            "access_requests",
            one.case,
            both("{who}, {law}", "{who}, {law}", who=one.authority, law=one.law),
            _kept(meaning != "breach" and one.tenant_notice != "to_be_told"),
            both(
                "Case {case}, ground {basis}; {notice}; {meaning}.",
                "Zaak {case}, grond {basis}; {notice}; {meaning}.",
                case=one.case,
                basis=_BASES[one.basis],
                notice=notices[one.tenant_notice],
                meaning=meanings[meaning],
            ),
            example=one.example,
        )


_BASES: Final = {
    "none": both("none", "geen"),
    "treaty": both("international agreement", "internationale overeenkomst"),
    "gdpr_49": both("GDPR art. 49", "AVG art. 49"),
    "eu_order": both("order of a Member State", "bevel van een lidstaat"),
}


def _supplies(subject: Subject) -> Iterator[Finding]:
    register = load_procurement(subject)
    if register is None:
        yield _missing("procurement")
        return
    states = {
        "": both("origin and alternative known", "herkomst en alternatief bekend"),
        "no_alternative": both("critical, without an alternative", "kritiek, zonder alternatief"),
        "unknown_origin": both("origin unknown", "herkomst onbekend"),
    }
    for one in register.lines:
        others = listed(f"{a.supplier} ({a.switching_days:g} d)" for a in one.alternatives)
        yield _finding(
            "procurement",
            one.id,
            one.component.model_dump(),
            _kept(flagged(one) != "no_alternative")
            if flagged(one) != "unknown_origin"
            else Grade.UNVERIFIED,
            both(
                "{supplier}, owned in {country}, made in {origin}: {state}{others}.",
                "{supplier}, eigenaar in {country}, gemaakt in {origin}: {state}{others}.",
                supplier=one.supplier,
                country=one.owner_country,
                origin=one.origin,
                state=states[flagged(one)],
                others={k: f"; {v}" if v else "" for k, v in others.items()},
            ),
            value=one.value_eur,
            unit="EUR",
        )


def _tenders(subject: Subject) -> Iterator[Finding]:
    register = load_tenders(subject)
    for one in register.tenders if register else ():
        rows = award(one)
        told = "; ".join(
            f"{row.rank}. {row.offer} {row.points:.1f}"
            if row.rank
            else f"{row.offer} ({row.refused})"
            for row in rows
        )
        yield _finding(
            "tenders",
            one.id,
            one.title.model_dump(),
            _kept(bool(rows) and rows[0].rank == 1),
            both("Ranked: {told}.", "Rangorde: {told}.", told=told),
            value=rows[0].points if rows else None,
            unit="points",
            example=one.example,
        )


def _software(subject: Subject) -> Iterator[Finding]:
    register = load_software(subject)
    if register is None:
        yield _missing("sbom")
        return
    for release in register.releases:
        one = software_summary(release)
        yield _finding(
            "sbom",
            release.id,
            both("{p} {v}", "{p} {v}", p=release.product, v=release.version),
            _kept(not one.unknown_licences),
            both(
                "{n} parts, {open} under an open licence; licence unknown of {unknown}.",
                "{n} onderdelen, {open} onder een open licentie; licentie onbekend van {unknown}.",
                n=one.components,
                open=percent(one.open_source_share, 0),
                unknown=len(one.unknown_licences),
            ),
            value=float(one.components),
            unit="components",
        )


def _passports(subject: Subject) -> Iterator[Finding]:
    rows = passports(subject)
    known = [row for row in rows if row["next_life"] and row["repair"]]
    yield _finding(
        "passports",
        "all",
        both("Passports of hardware", "Paspoorten van hardware"),
        Grade.MET if len(known) == len(rows) else Grade.UNVERIFIED,
        both(
            "{all} assets have a passport; of {known} repair and next life are stated.",
            "{all} bedrijfsmiddelen hebben een paspoort; van {known} zijn reparatie en volgend "
            "leven bekend.",
            all=len(rows),
            known=len(known),
        ),
        value=float(len(rows)),
    )


def _people(subject: Subject) -> Iterator[Finding]:
    register = load_talent(subject)
    if register is None:
        yield _missing("talent")
    else:
        figures = talent_figures(register)
        share = figures.critical_eu_share
        yield _finding(
            "talent",
            "count",
            _TITLES["talent"],
            Grade.UNVERIFIED if register.verified_by is None else Grade.MET,
            both(
                "{fte} people and {t} trainees on {day}; {share} of critical roles in the Union.",
                "{fte} voltijdbanen en {t} leerplaatsen op {day}; {share} van de kritieke functies "
                "in de Unie.",
                fte=figures.total_fte,
                t=figures.trainees,
                day=register.counted,
                share=percent(share) if share is not None else both("unknown", "onbekend"),
            ),
            value=figures.total_fte,
            unit="FTE",
            example=register.example,
        )
    if load_outcomes(subject) is None:
        yield _missing("outcomes")
    for one in system_benefits(subject):
        counted = {
            "outcome": both("verified, counted once", "geverifieerd, eenmaal geteld"),
            "ledger": both("counted by the run, not again", "door de run geteld, niet nog eens"),
            "nothing": both("claimed, not counted", "opgegeven, niet geteld"),
        }[one.counted_as]
        yield _finding(
            "outcomes",
            one.effect,
            both("{e}", "{e}", e=one.effect),
            Grade.UNVERIFIED if one.counted_as == "nothing" else Grade.MET,
            both(
                "Claimed {c} {u} a year by {n}, verified {v}: {counted}. Method: {m}.",
                "Geclaimd {c} {u} per jaar door {n}, geverifieerd {v}: {counted}. Methode: {m}.",
                c=one.claimed,
                u=one.unit,
                n=len(one.outcomes),
                v=both("nothing", "niets") if one.verified is None else one.verified,
                counted=counted,
                m=one.method,
            ),
            value=one.verified,
            unit=one.unit,
            example=one.counted_as == "nothing",
        )


def _home(subject: Subject) -> Iterator[Finding]:
    for place in ("hyperscaler", "abroad"):
        for one in homecoming(subject, place):
            yield _finding(
                "repatriated",
                f"{place}.{one.field.lower().replace(' ', '_')}",
                _from_where(one.field, place),
                Grade.MET if one.checked and one.moved_gpu_h is not None else Grade.UNVERIFIED,
                _moved(one),
                value=one.moved_gpu_h,
                unit="GPU-h",
            )


def _adoption(subject: Subject) -> Iterator[Finding]:
    found = adoption(subject)
    few = both("fewer than {n}", "minder dan {n}", n=found.least)
    counts = (
        ("firms", both("Dutch firms", "Nederlandse bedrijven"), found.firms),
        ("first_time", both("Tenants new to AI", "Huurders voor wie AI nieuw is"),
         found.first_time),
    )  # fmt: skip
    for kind, title, count in counts:
        shown = few if count is None else both("{n}", "{n}", n=count)
        value = None if count is None else float(count)
        why = both("{n}.", "{n}.", n=shown)
        yield _finding("adoption", kind, title, Grade.MET, why, value=value)
    for cell in found.by_field:
        name: object = both("other fields", "overige velden") if cell.name == REST else cell.name
        why = few
        if cell.tenants is not None:
            why = both(
                "{n} tenants, {s} of the hours.",
                "{n} huurders, {s} van de uren.",
                n=cell.tenants,
                s=percent(cell.used_share or 0.0),
            )
        yield _finding(
            "adoption",
            f"field.{cell.name.lower().replace(' ', '_')}",
            both("{n}", "{n}", n=name),
            Grade.MET,
            why,
            value=cell.used_share,
            unit="share",
        )


def _from_where(field: str, place: str) -> Mapping[str, str]:
    name = both("other fields", "overige velden") if field == REST else field
    if place == "hyperscaler":
        return both("{f}, from hyperscalers", "{f}, terug van hyperscalers", f=name)
    return both("{f}, from abroad", "{f}, terug uit het buitenland", f=name)


def _moved(one: Homecoming) -> Mapping[str, str]:
    count = both("no run counts them", "geen run telt ze")
    if one.moved_gpu_h is not None:
        count = both("{h} a year", "{h} per jaar", h=Amount(one.moved_gpu_h))
    base = both("missing", "ontbreekt")
    if one.baseline_gpu_h is not None:
        base = both(
            "{b} a year, of {d} ({s})",
            "{b} per jaar, van {d} ({s})",
            b=Amount(one.baseline_gpu_h),
            d=one.dated,
            s=one.source,
        )
    return both(
        "{s} of the accelerator-hours ({h}); baseline: {b}.",
        "{s} van de accelerator-uren ({h}); nulmeting: {b}.",
        s=percent(one.moved_share),
        h=count,
        b=base,
    )


def _continuity(subject: Subject) -> Iterator[Finding]:
    found = continuity(subject)
    rows: tuple[tuple[str, Mapping[str, str], float | None, str], ...] = (
        ("availability", both("Availability", "Beschikbaarheid"), found.availability, "share"),
        ("recovery_time", both("Time to recover (RTO)", "Hersteltijd (RTO)"),
         found.recovery_time_h, "h"),
        ("recovery_point", both("Work lost at most (RPO)", "Werk dat hooguit over moet (RPO)"),
         found.recovery_point_h, "h"),
        ("autonomy", both("Days without the supplier", "Dagen zonder de leverancier"),
         found.autonomy_days, "d"),
    )  # fmt: skip
    for name, title, value, unit in rows:
        shown = both("not shown", "niet aangetoond")
        if value is not None:
            number = percent(value, 2) if unit == "share" else Amount(value, unit, 1)
            shown = both("{v}", "{v}", v=number)
        grade = Grade.UNVERIFIED if value is None else Grade.MET
        why = both("{v}.", "{v}.", v=shown)
        yield _finding("continuity", name, title, grade, why, value=value, unit=unit)


_TITLES: Final[Mapping[str, Mapping[str, str]]] = {
    "files": both("Who controls it: four files", "Wie heeft de zeggenschap: vier dossierstukken"),
    "tenders": both("Tenders", "Aanbestedingen"),
    "passports": both("Passports of hardware", "Hardwarepaspoorten"),
    "adoption": both("Adoption", "Adoptie"),
    "repatriated": both("Computing that came home", "Teruggehaald rekenwerk"),
    "continuity": both("Continuity", "Continuïteit"),
    "subsidies": both("Conditions of public money", "Subsidievoorwaarden"),
    "threats": both("Threats", "Dreigingen"),
    "objections": both("Objections", "Bezwaren"),
    "consultations": both("Consultations", "Overleg met belanghebbenden"),
    "incidents": both("Incidents", "Incidenten"),
    "access_requests": both("Requests of other powers for data", "Verzoeken van derde landen"),
    "procurement": both("Procurement", "Inkoop"),
    "sbom": both("Software bills of materials", "Lijsten van softwareonderdelen"),
    "talent": both("Talent", "Talent"),
    "outcomes": both("Outcomes of the missions", "Uitkomsten van de missies"),
}

_REGISTERS: Final[tuple[Callable[[Subject], Iterator[Finding]], ...]] = (
    _files, _subsidies, _threats, _objections, _consultations, _incidents, _requests, _supplies,
    _tenders, _software, _passports, _people, _adoption, _home, _continuity,
)  # fmt: skip


def assess_registers(subject: Subject) -> Assessment:
    """Every register of a subject, as findings."""
    findings = tuple(one for register in _REGISTERS for one in register(subject))
    return Assessment(
        framework="registers",
        version=subject.today.isoformat(),
        title=both("Registers", "Registers"),
        source=_SOURCE,
        findings=findings,
        scores={
            "kept": float(sum(one.grade is Grade.MET for one in findings)),
            "broken": float(sum(one.grade is Grade.UNMET for one in findings)),
            "not_shown": float(sum(one.grade is Grade.UNVERIFIED for one in findings)),
        },
        groups=_TITLES,
    )


__all__ = ["assess_registers", "end_of_day", "grant_payments"]
