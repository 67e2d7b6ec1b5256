"""The files of a dossier that this room reads: what each is for, its shape, a check of all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from gigafactory.assess.evidence import FILE, EvidenceFile, documents
from gigafactory.assess.registers import people, public, security, supplies
from gigafactory.assess.subject import Subject
from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory import Factory
from gigafactory.factory.dossier import dossier_of


@dataclass(frozen=True, slots=True)
class DossierFile:
    """A file of a dossier.

    Attributes:
        name: within the dossier.
        model: its shape.
        load: reads and checks it; None where it is not there.
        purpose: what it is for, and what follows from it, in a paragraph.
    """

    name: str
    model: type[BaseModel]
    load: Callable[[Subject], Any]
    purpose: str


FILES: Final[tuple[DossierFile, ...]] = (
    DossierFile(
        FILE,
        EvidenceFile,
        documents,
        "Documents. One counts when somebody other than its owner checked it, from its day until "
        "it expires. `proves` names kinds of proof (`ownership`, `governance`, `legal_control`, "
        "`chain_dependencies`, what a criterion asks for) or `control:ID` of the control "
        "catalogue.",
    ),
    DossierFile(
        "registers/subsidies.yaml",
        public.Subsidies,
        public.load_subsidies,
        "Public money and its conditions. Each condition names a criterion of the axes; where that "
        "is unmet the milestone is blocked, where it is not shown the milestone is held.",
    ),
    DossierFile(
        "registers/objections.yaml",
        public.Objections,
        public.load_objections,
        "Objections, without names of persons. Open ones are told with their age; six weeks is "
        "too long.",
    ),
    DossierFile(
        "registers/consultations.yaml",
        public.Consultations,
        public.load_consultations,
        "Design milestones and who was heard. A milestone that is closed before everybody was "
        "heard is bad input: it cannot close.",
    ),
    DossierFile(
        "registers/threats.yaml",
        security.Threats,
        security.load_threats,
        "Threats, who publishes on them, and until when they were looked at. The worst one that "
        "was looked at in time is the risk of sabotage on the axis of autonomy.",
    ),
    DossierFile(
        "registers/incidents.yaml",
        security.Incidents,
        security.load_incidents,
        "Incidents. Significant ones start the clocks of NIS2 article 23: early warning within "
        "24 hours, notification within 72, final report within a month of the notification.",
    ),
    DossierFile(
        "registers/access_requests.yaml",
        security.AccessRequests,
        security.load_requests,
        "Requests of powers outside the European Economic Area for data: case, law, ground in "
        "European law, what the tenant was told, what was decided.",
    ),
    DossierFile(
        "registers/procurement.yaml",
        supplies.Procurement,
        supplies.load_procurement,
        "Order lines down to component and element: owner, origin, alternatives, stock. Once "
        "somebody checked the register, shares by value follow from it.",
    ),
    DossierFile(
        "registers/tenders.yaml",
        supplies.Tenders,
        supplies.load_tenders,
        "Tenders and their offers, scored from these inputs alone. Origin counts within the law: "
        "as security of supply with a published, capped weight; as a refusal only where grounds "
        "are named; and between equal points.",
    ),
    DossierFile(
        "registers/sbom.yaml",
        supplies.Software,
        supplies.load_software,
        "A bill of materials for each release of software.",
    ),
    DossierFile(
        "registers/passports.yaml",
        supplies.Passports,
        supplies.load_passports,
        "What the factory file does not say of its hardware, for the passport of each pool and "
        "asset.",
    ),
    DossierFile(
        "registers/talent.yaml",
        people.Talent,
        people.load_talent,
        "People by role, where they are based, trainees, spending on research.",
    ),
    DossierFile(
        "registers/outcomes.yaml",
        people.Outcomes,
        people.load_outcomes,
        "What the work of the missions changed: claimed and verified. Outcomes with one effect are "
        "counted once, by the smallest verified figure; what a run counts already is not counted "
        "again.",
    ),
    DossierFile(
        "registers/baseline.yaml",
        people.Baseline,
        people.load_baseline,
        "Where computing is done today, dated, for what comes home.",
    ),
)


def check_dossier(factory: Factory) -> list[Problem]:
    """Every problem in every file of a factory's dossier that this room reads.

    Unknown files are left alone: other rooms have files of their own there.
    """
    try:
        subject = Subject(factory, dossier_of(factory), dt.date.max, None, {})
    except BadInput as bad:
        return list(bad.problems)
    problems: list[Problem] = []
    for one in FILES:
        try:
            one.load(subject)
        except BadInput as bad:
            problems += bad.problems
    return problems


__all__ = ["FILES", "DossierFile", "check_dossier"]
