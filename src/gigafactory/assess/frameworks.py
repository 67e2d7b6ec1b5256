"""Frameworks as data, and the one engine that applies them.

A framework is `data/NAME/framework.yaml`: groups, and criteria with the indicator that measures
each, formula, threshold, source and the documents it wants. The engine asks the indicator for a
value, the dossier for the documents, and says where the criterion stands. What a group's criteria
come to together is the framework's own affair (`axes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from gigafactory.assess.evidence import shown_by
from gigafactory.assess.indicators import INDICATORS, Reading
from gigafactory.assess.results import Evidence, Finding, Grade, Proof
from gigafactory.assess.shapes import Citation, Number, read_data
from gigafactory.assess.subject import Subject
from gigafactory.assess.words import LANGUAGES, Amount, both, listed, percent
from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.blocks import Block, Flag, Name, Text, Words, setting
from gigafactory.factory.quantities import Score

Kind = Literal["opportunity", "risk", "precondition", "measure", "control", "context"]

#: What a precondition leaves of a group's opportunities: unmet and hard, unmet, unverified, met.
CAP_HARD: Final = 0.0
CAP_UNMET: Final = 0.5
CAP_UNVERIFIED: Final = 0.5


class Mitigation(Block):
    """What makes a risk smaller, once it is shown."""

    title: Words = setting("What is done.")
    share: Score = setting("Part of the risk it takes away, 0 to 1.")
    indicator: Text | None = setting(
        "Indicator that shows it: above nought is done; empty for a document.", None
    )
    document: Text | None = setting("Kind of document that shows it; empty for none.", None)


class Criterion(Block):
    """One question of a framework."""

    id: Text = setting("Its name within the framework.")
    group: Name = setting("Group it belongs to.")
    kind: Kind = setting("What it is.")
    title: Words = setting("What it asks.")
    formula: Text = setting("How the value is made.")
    source: Citation = setting("Who says so.")
    indicator: Text | None = setting("What measures it; empty where documents alone do.", None)
    unit: str = setting("Unit of the value.", "")
    threshold: Number | None = setting("What would be enough; empty for no bar.", None)
    direction: Literal["at_least", "at_most"] = setting("Which side of it is good.", "at_least")
    none: Number = setting("Value that is worth nothing: the world without the factory.", 0.0)
    full: Number = setting("Value that is worth all of it.", 1.0)
    impact: Score = setting("How bad it is when it happens, 0 to 1; of a risk.", 1.0)
    hard: Flag = setting("Unmet, it leaves nothing of the opportunities.", False)
    documents: tuple[Text, ...] = setting("Kinds of documents that must all be verified.", ())
    mitigations: tuple[Mitigation, ...] = setting("What makes it smaller, of a risk.", ())


class Group(Block):
    """A part of a framework."""

    name: Name = setting("Its name.")
    title: Words = setting("As shown.")


class Framework(Block):
    """A framework: what is asked, by whom."""

    name: Name = setting("Its name.")
    version: Text = setting("Of its text.")
    title: Words = setting("As shown.")
    source: Citation = setting("Who says so.")
    interest: Words | None = setting("Who commissioned it or has an interest in it.", None)
    notes: tuple[Words, ...] = setting("What the reader must know.", ())
    groups: tuple[Group, ...] = setting("Its parts, in order.")
    criteria: tuple[Criterion, ...] = setting("What it asks, in order.")

    def criterion(self, name: str) -> Criterion:
        """A criterion by its id.

        Raises:
            KeyError: there is none.
        """
        for one in self.criteria:
            if one.id == name:
                return one
        raise KeyError(name)


@cache
def load_framework(name: str) -> Framework:
    """Read and check a bundled framework.

    Raises:
        BadInput: with every problem of its file.
    """
    found = read_data(f"{name}/framework.yaml", Framework)
    problems = [
        Problem(f"{name}/framework.yaml", f"criteria.{one.id}", value, why)
        for one, value, why in _wrong(found)
    ]
    if problems:
        raise BadInput(problems)
    return found


def _wrong(framework: Framework) -> list[tuple[Criterion, str, str]]:
    groups = {group.name for group in framework.groups}
    found, seen = [], set()
    for one in framework.criteria:
        if one.id in seen:
            found.append((one, one.id, "is given twice"))
        seen.add(one.id)
        if one.group not in groups:
            found.append((one, one.group, "is no group of this framework"))
        asked = [one.indicator, *(m.indicator for m in one.mitigations)]
        found += [(one, a, "is no indicator") for a in asked if a and a not in INDICATORS]
        if one.indicator is None and not one.documents:
            found.append((one, "", "nothing measures it: give an indicator or documents"))
        if one.none == one.full:
            found.append((one, str(one.full), "none and full must differ"))
    return found


def apply(framework: Framework, subject: Subject) -> tuple[Finding, ...]:
    """Every criterion of a framework, applied to a subject, in its order."""
    return tuple(judge(one, subject) for one in framework.criteria)


def judge(criterion: Criterion, subject: Subject) -> Finding:
    """Apply one criterion to a subject."""
    reading = INDICATORS[criterion.indicator](subject) if criterion.indicator else None
    papers = tuple(shown_by(subject, wanted) for wanted in criterion.documents)
    value = None if reading is None else reading.value
    counts = reading is None or all(one.proof.counts for one in reading.evidence)
    taken = _mitigated(criterion, subject) if criterion.kind == "risk" else _Taken(0.0, (), ())
    points = _points(criterion, value, counts, taken.share)
    grade = _grade(criterion, reading, papers, points)
    if criterion.kind == "precondition":
        points = _cap(criterion, grade)
    return Finding(
        criterion=criterion.id,
        group=criterion.group,
        title=criterion.title.model_dump(),
        grade=grade,
        value=value,
        unit=criterion.unit,
        threshold=criterion.threshold,
        formula=criterion.formula,
        source=criterion.source.text,
        evidence=(*(reading.evidence if reading else ()), *papers, *taken.evidence),
        why=_why(criterion, reading, papers, taken),
        gate=criterion.kind == "precondition",
        kind=criterion.kind,
        points=points,
    )


@dataclass(frozen=True, slots=True)
class _Taken:
    """What mitigations take from a risk: share, their evidence, and those not shown."""

    share: float
    evidence: tuple[Evidence, ...]
    done: tuple[Words, ...]
    open_: tuple[Words, ...] = ()


def _mitigated(criterion: Criterion, subject: Subject) -> _Taken:
    share = 0.0
    evidence: list[Evidence] = []
    done: list[Words] = []
    undone: list[Words] = []
    for one in criterion.mitigations:
        shown: list[Evidence] = []
        works = True
        if one.indicator is not None:
            reading = INDICATORS[one.indicator](subject)
            shown += reading.evidence
            works = reading.value is not None and reading.value > 0.0
        if one.document is not None:
            shown.append(shown_by(subject, one.document))
        counts = works and bool(shown) and all(e.proof.counts for e in shown)
        evidence += shown
        (done if counts else undone).append(one.title)
        share += one.share if counts else 0.0
    return _Taken(min(share, 1.0), tuple(evidence), tuple(done), tuple(undone))


def _points(
    criterion: Criterion, value: float | None, counts: bool, mitigated: float
) -> float | None:
    if value is None or not counts:
        return None
    reach = (value - criterion.none) / (criterion.full - criterion.none)
    if criterion.kind == "opportunity":
        return max(-1.0, min(1.0, reach))
    if criterion.kind == "risk":
        return max(0.0, min(1.0, reach)) * criterion.impact * (1.0 - mitigated)
    return None


def reaches(criterion: Criterion, value: float) -> bool:
    """Whether a value is on the good side of a criterion's threshold; any is, without one."""
    if criterion.threshold is None:
        return True
    if criterion.direction == "at_least":
        return value >= criterion.threshold
    return value <= criterion.threshold


def _grade(
    criterion: Criterion,
    reading: Reading | None,
    papers: tuple[Evidence, ...],
    points: float | None,
) -> Grade:
    if reading is not None:
        if reading.value is None:
            return Grade.UNVERIFIED
        if criterion.kind == "opportunity":
            if points is None:
                return Grade.UNVERIFIED
            good = reaches(criterion, reading.value) if criterion.threshold is not None else None
            return Grade.MET if (points > 0.0 if good is None else good) else Grade.UNMET
        if criterion.kind == "risk":
            if points is None:
                return Grade.UNVERIFIED
            bar = 0.25 if criterion.threshold is None else criterion.threshold
            return Grade.MET if points <= bar else Grade.UNMET
        if any(one.proof in (Proof.CLAIMED, Proof.EXPIRED) for one in reading.evidence):
            return Grade.UNVERIFIED  # a claim counts neither way
        if not reaches(criterion, reading.value):
            return Grade.UNMET
        if not all(one.proof.counts for one in reading.evidence):
            return Grade.UNVERIFIED
    return Grade.MET if all(one.proof.counts for one in papers) else Grade.UNVERIFIED


def _cap(criterion: Criterion, grade: Grade) -> float:
    if grade is Grade.UNMET:
        return CAP_HARD if criterion.hard else CAP_UNMET
    return CAP_UNVERIFIED if grade is Grade.UNVERIFIED else 1.0


_STATES: Final[Mapping[Proof, tuple[str, str]]] = {
    Proof.CLAIMED: ("claimed, checked by nobody", "opgegeven, door niemand getoetst"),
    Proof.EXPIRED: ("expired", "verlopen"),
    Proof.MISSING: ("missing", "ontbreekt"),
    Proof.VERIFIED: ("verified", "geverifieerd"),
    Proof.LEDGER: ("counted by a run", "geteld in een run"),
    Proof.FACTORY: ("in the factory file", "in het fabrieksbestand"),
}


def _why(
    criterion: Criterion, reading: Reading | None, papers: tuple[Evidence, ...], taken: _Taken
) -> dict[str, str]:
    said = [dict(reading.why)] if reading is not None else []
    measured = reading is not None and reading.value is not None
    if measured and criterion.threshold is not None and criterion.kind != "risk":
        said.append(_bar(criterion))
    if papers:
        told = [(one.reference.removeprefix("document:"), _STATES[one.proof]) for one in papers]
        said.append(
            {
                lang: ("Documents: " if lang == "en" else "Documenten: ")
                + "; ".join(f"{name} {state[at]}" for name, state in told)
                + "."
                for at, lang in enumerate(LANGUAGES)
            }
        )
    if taken.done or taken.open_:
        said.append(
            both(
                "Shown mitigation takes {share} of it{done}{open}.",
                "Aangetoonde maatregelen nemen {share} ervan weg{done}{open}.",
                share=percent(taken.share, 0),
                done=_named(" ({names})", " ({names})", taken.done),
                open=_named("; not shown: {names}", "; niet aangetoond: {names}", taken.open_),
            )
        )
    return {lang: " ".join(one[lang] for one in said) for lang in LANGUAGES}


def _named(en: str, nl: str, words: tuple[Words, ...]) -> dict[str, str]:
    if not words:
        return {"en": "", "nl": ""}
    names = {lang: listed([getattr(one, lang) for one in words])[lang] for lang in LANGUAGES}
    return both(en, nl, names=names)


def _bar(criterion: Criterion) -> dict[str, str]:
    assert criterion.threshold is not None
    least = criterion.direction == "at_least"
    number = float(criterion.threshold)
    share = criterion.unit == "share"
    bar = percent(number) if share else Amount(number, criterion.unit, 0 if number % 1 == 0 else 2)
    return both(
        "Enough is at {side} {bar}.",
        "Genoeg is {side} {bar}.",
        side={"en": "least" if least else "most", "nl": "ten minste" if least else "ten hoogste"},
        bar=bar,
    )


__all__ = [
    "CAP_HARD",
    "CAP_UNMET",
    "CAP_UNVERIFIED",
    "Criterion",
    "Framework",
    "Group",
    "Mitigation",
    "apply",
    "judge",
    "load_framework",
    "reaches",
]
