"""The control catalogue: what a secure factory has in place, mapped to two texts of law and policy.

Each control names the measures of NIS2 article 21(2) and the criteria of objective SOV-7 of the EU
Cloud Sovereignty Framework that it serves. A control is covered when a document that proves it is
verified; coverage is counted by control, by measure and by criterion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from gigafactory.assess.evidence import shown_by
from gigafactory.assess.results import PROOF_NL, Assessment, Evidence, Finding, Grade, Proof
from gigafactory.assess.shapes import Citation, read_data
from gigafactory.assess.subject import Subject
from gigafactory.assess.words import both
from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.blocks import Block, Name, Text, Words, setting

FILE: Final = "controls/catalogue.yaml"


class Control(Block):
    """One measure of security."""

    id: Name = setting("Its name; a document that proves it names `control:ID`.")
    title: Words = setting("What is in place.")
    nis2: tuple[Text, ...] = setting("Letters of NIS2 article 21(2) it serves.")
    sov7: tuple[Text, ...] = setting("Criteria of SOV-7 it serves.", ())


class Measure(Block):
    """A measure or criterion of an outside text."""

    id: Text = setting("Letter or number.")
    title: Words = setting("What it asks, in our words.")


class Catalogue(Block):
    """The control catalogue."""

    version: Text = setting("Of its text.")
    title: Words = setting("As shown.")
    nis2: tuple[Measure, ...] = setting("NIS2 article 21(2).")
    nis2_source: Citation = setting("Where that comes from.")
    sov7: tuple[Measure, ...] = setting("SOV-7.")
    sov7_source: Citation = setting("Where that comes from.")
    controls: tuple[Control, ...] = setting("The controls.")


@cache
def catalogue() -> Catalogue:
    """The bundled catalogue.

    Raises:
        BadInput: a control names a measure that is not there; a bug of ours.
    """
    found = read_data(FILE, Catalogue)
    letters, numbers = {m.id for m in found.nis2}, {m.id for m in found.sov7}
    problems = [
        Problem(FILE, f"controls.{one.id}", name, "is no measure of this text")
        for one in found.controls
        for name in (*(set(one.nis2) - letters), *(set(one.sov7) - numbers))
    ]
    if problems:
        raise BadInput(problems)
    return found


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far the catalogue is covered.

    Attributes:
        controls: how many there are.
        verified: of them with a verified document.
        claimed: of them with one nobody checked.
        verified_share: the one over the other.
        by_nis2, by_sov7: the same share for each measure and criterion.
        evidence: of each control.
    """

    controls: int
    verified: int
    claimed: int
    verified_share: float
    share_by_nis2: Mapping[str, float]
    share_by_sov7: Mapping[str, float]
    evidence: Mapping[str, Evidence]


def control_coverage(subject: Subject) -> Coverage:
    """Which controls are shown to be in place."""
    known = catalogue()
    evidence = {one.id: shown_by(subject, f"control:{one.id}") for one in known.controls}
    verified = {name for name, one in evidence.items() if one.proof.counts}
    claimed = {name for name, one in evidence.items() if one.proof is Proof.CLAIMED}

    def share(names: list[str]) -> float:
        return len(verified & set(names)) / len(names) if names else 0.0

    return Coverage(
        len(evidence),
        len(verified),
        len(claimed),
        share(list(evidence)),
        {m.id: share([c.id for c in known.controls if m.id in c.nis2]) for m in known.nis2},
        {m.id: share([c.id for c in known.controls if m.id in c.sov7]) for m in known.sov7},
        evidence,
    )


def assess_controls(subject: Subject) -> Assessment:
    """The catalogue applied: a finding per control, coverage by measure as scores."""
    known, cover = catalogue(), control_coverage(subject)
    findings = []
    for one in known.controls:
        shown = cover.evidence[one.id]
        findings.append(
            Finding(
                criterion=one.id,
                group=f"nis2.{one.nis2[0]}",
                title=one.title.model_dump(),
                grade=Grade.MET if shown.proof.counts else Grade.UNVERIFIED,
                formula="a verified document that proves the control",
                source=known.nis2_source.text,
                evidence=(shown,),
                why=both(
                    "Serves NIS2 art. 21(2) {nis2}{sov}; document: {state}.",
                    "Dient NIS2 art. 21 lid 2 {nis2}{sov}; document: {state_nl}.",
                    nis2=", ".join(one.nis2),
                    sov=both(" and SOV {n}", " en SOV {n}", n=", ".join(one.sov7))
                    if one.sov7
                    else {"en": "", "nl": ""},
                    state=shown.proof.value,
                    state_nl=PROOF_NL[shown.proof],
                ),
                kind="control",
            )
        )
    scores = {"coverage": cover.verified_share}
    scores |= {f"nis2.{name}": share for name, share in cover.share_by_nis2.items()}
    scores |= {f"sov.{name}": share for name, share in cover.share_by_sov7.items()}
    return Assessment(
        framework="controls",
        version=known.version,
        title=known.title.model_dump(),
        source=f"{known.nis2_source.text}; {known.sov7_source.text}",
        findings=tuple(findings),
        scores=scores,
        groups={f"nis2.{one.id}": one.title.model_dump() for one in known.nis2}
        | {f"sov.{one.id}": one.title.model_dump() for one in known.sov7},
    )


__all__ = [
    "Catalogue",
    "Control",
    "Coverage",
    "assess_controls",
    "catalogue",
    "control_coverage",
]
