"""What a claim rests on: documents of the dossier, and what became of them by a day.

A document counts when somebody has checked it, when its day has come, and until it expires. One
that is made up for demonstration never counts, whoever is said to have checked it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Final

from gigafactory.assess.results import Evidence, Proof
from gigafactory.assess.subject import Subject
from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.blocks import Block, Day, Flag, Name, Text, Words, setting

FILE: Final = "evidence.yaml"

#: The four files without which nobody can say who controls a factory (HCSS, 2026).
FOUR_FILES: Final = ("ownership", "governance", "legal_control", "chain_dependencies")


class DocumentRecord(Block):
    """A dated document that shows something about the factory."""

    id: Name = setting("Short name of the document, once in the file.")
    title: Words = setting("Title as shown.")
    owner: Text = setting("Who answers for it.")
    dated: Day = setting("Day of the document.")
    expires: Day | None = setting("First day it no longer counts; empty for never.", None)
    verified_by: Text | None = setting(
        "Who checked it, independent of its owner; empty while nobody has.", None
    )
    proves: tuple[Text, ...] = setting(
        "What it shows: ownership, governance, legal_control, chain_dependencies, another kind of "
        "proof a framework asks for, or the id of a criterion."
    )
    where: Text = setting("Where it can be found: a place, a publication, an address.")
    example: Flag = setting("Made up for demonstration: shown, never counted.", False)


class EvidenceFile(Block):
    """The documents of a factory."""

    documents: tuple[DocumentRecord, ...] = setting("The documents.", ())


def documents(subject: Subject) -> tuple[DocumentRecord, ...]:
    """The documents of a subject; none where it has no file of them.

    Raises:
        BadInput: with every problem of the file.
    """
    found = subject.load(FILE, EvidenceFile)
    if found is None:
        return ()
    problems = [
        Problem(f"{subject.dossier.name}/{FILE}", f"documents.{one.id}", str(value), why)
        for one, value, why in _wrong(found.documents)
    ]
    if problems:
        raise BadInput(problems)
    return found.documents


def _wrong(records: Iterable[DocumentRecord]) -> Iterable[tuple[DocumentRecord, object, str]]:
    seen: set[str] = set()
    for one in records:
        if one.id in seen:
            yield one, one.id, "is given twice; every document has a name of its own"
        seen.add(one.id)
        if one.expires is not None and one.expires <= one.dated:
            yield one, one.expires, f"expires before it counts; it is dated {one.dated}"
        if one.verified_by is not None and one.verified_by == one.owner:
            yield one, one.verified_by, "nobody verifies a document of their own"
        if one.example and one.verified_by is not None:
            yield one, one.verified_by, "is an example, which nobody can have verified"


def proof_of(record: DocumentRecord, day: dt.date) -> Proof:
    """How far a document shows on a day what it says."""
    if record.expires is not None and day >= record.expires:
        return Proof.EXPIRED
    if record.example or record.verified_by is None or record.dated > day:
        return Proof.CLAIMED
    return Proof.VERIFIED


def evidence_of(record: DocumentRecord, day: dt.date) -> Evidence:
    """A document as evidence on a day."""
    return Evidence(
        proof=proof_of(record, day),
        reference=f"document:{record.id}",
        title=record.title.en,
        owner=record.owner,
        dated=record.dated,
        expires=record.expires,
        verified_by=record.verified_by or "",
    )


_ORDER: Final = (Proof.VERIFIED, Proof.CLAIMED, Proof.EXPIRED)


def shown_by(subject: Subject, wanted: str) -> Evidence:
    """The best document for what is wanted: verified before claimed before expired.

    Returns:
        Evidence; missing where no document is about it: not nought, but unverified.
    """
    about = [one for one in documents(subject) if wanted in one.proves]
    if not about:
        return Evidence(Proof.MISSING, f"document:{wanted}")
    found = [evidence_of(one, subject.today) for one in about]
    return min(found, key=lambda one: (_ORDER.index(one.proof), one.reference))


def four_files(subject: Subject) -> dict[str, Evidence]:
    """The four files on who controls a factory, each as evidence or as missing."""
    return {name: shown_by(subject, name) for name in FOUR_FILES}


__all__ = [
    "FILE",
    "FOUR_FILES",
    "DocumentRecord",
    "EvidenceFile",
    "documents",
    "evidence_of",
    "four_files",
    "proof_of",
    "shown_by",
]
