"""Answers to the sovereignty framework: what the dossier claims, and how much of it is proven."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from gigafactory.assess.cloudladder import ladder
from gigafactory.assess.papers import Paper, evidence_of
from gigafactory.assess.results import Evidence
from gigafactory.assess.subject import Subject
from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.blocks import Block, Text, Words, setting
from gigafactory.factory.quantities import PositiveCount, SealLevel

FILE = "answers/cloud.yaml"


class Claim(Block):
    """An answer somebody gives."""

    answer: PositiveCount = setting("Number of the answer on the criterion's ladder, from 1.")
    why: Words = setting("Why this answer.")
    source: Text = setting("Where it comes from: name, year, published or assumption.")
    documents: tuple[Paper, ...] = setting("What shows it; empty for nothing.", ())


class CloudAnswers(Block):
    """The dossier's answers to the EU Cloud Sovereignty Framework."""

    profile: Text = setting("Weight profile by name.", "calculator-2026-06")
    target_seal: SealLevel = setting(
        "SEAL level aimed at.", 2, source="Tender of the Commission, 2026, published"
    )
    minimum_seal: dict[Text, SealLevel] = setting(
        "Least SEAL level a buyer accepts, by objective such as SOV-2; the framework file's for "
        "those left out.",
        {},
    )
    cap_non_eu_parent: SealLevel | None = setting(
        "SEAL level above which no offer of a non-European parent is read; empty for that of the "
        "framework file.",
        None,
    )
    cap_non_eu_supplier: SealLevel | None = setting(
        "The same for a supplier who can reach data or stop the service.", None
    )
    answers: dict[Text, tuple[Claim, ...]] = setting(
        "Answers by criterion, such as SOV-1.1; a claim and a lower one that is proven may stand "
        "side by side.",
        {},
    )


@dataclass(frozen=True, slots=True)
class Given:
    """One answer with what it rests on.

    Attributes:
        answer: its number.
        why: by language.
        source: where it comes from.
        evidence: what shows it; the best comes first.
    """

    answer: int
    why: dict[str, str]
    source: str
    evidence: tuple[Evidence, ...]

    @property
    def proven(self) -> bool:
        """Whether it counts."""
        return any(one.proof.counts for one in self.evidence)


def key_of(name: str) -> str:
    """A criterion's key from the way a file writes it: "SOV-1.1" or "1.1"."""
    return name.removeprefix("SOV-")


def read_answers(subject: Subject) -> CloudAnswers:
    """The answers of a dossier; none where it has no such file.

    Raises:
        BadInput: with every problem of the file.
    """
    found = subject.dossier.load(FILE, CloudAnswers)
    if found is None:
        return CloudAnswers()
    problems = _problems(found, f"{subject.dossier.name}/{FILE}")
    if problems:
        raise BadInput(problems)
    return found


def _problems(answers: CloudAnswers, where: str) -> list[Problem]:
    """Names and numbers the framework does not know, all at once."""
    framework = ladder()
    found: list[Problem] = []
    if answers.profile not in framework.profiles:
        why = f"no such weight profile; known are {', '.join(framework.profiles)}"
        found.append(Problem(where, "profile", answers.profile, why))
    for name in answers.minimum_seal:
        if name not in framework.objectives:
            why = "no such objective; known are SOV-1 to SOV-8"
            found.append(Problem(where, f"minimum_seal.{name}", name, why))
    for name, claims in answers.answers.items():
        criterion = framework.criteria.get(key_of(name))
        if criterion is None:
            why = "no such criterion; they run from SOV-1.1 to SOV-8.4"
            found.append(Problem(where, f"answers.{name}", name, why))
            continue
        most = len(criterion.rungs)
        for k, claim in enumerate(claims):
            if claim.answer > most:
                why = f"this criterion has {most} answers"
                field = f"answers.{name}.{k}.answer"
                found.append(Problem(where, field, str(claim.answer), why))
    return found


def given(answers: CloudAnswers, today: dt.date) -> dict[str, tuple[Given, ...]]:
    """Every claim by criterion, with what its documents prove on a day."""
    return {
        key_of(name): tuple(
            Given(
                answer=claim.answer,
                why={"en": claim.why.en, "nl": claim.why.nl},
                source=claim.source,
                evidence=evidence_of(claim.documents, today, f"dossier:{FILE}"),
            )
            for claim in claims
        )
        for name, claims in answers.answers.items()
    }


__all__ = [
    "FILE",
    "Claim",
    "CloudAnswers",
    "Given",
    "given",
    "key_of",
    "read_answers",
]
