"""What an assessment comes to: findings with their evidence, gates, and a result that is a vector.

Every framework answers in these shapes, so that one report can show all of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Proof(StrEnum):
    """How far what is claimed has been shown."""

    LEDGER = "ledger"  # counted by a run; `gigafactory verify` proves it
    FACTORY = "factory"  # stands in the factory file, with its source
    VERIFIED = "verified"  # a document that somebody checked and that has not expired
    CLAIMED = "claimed"  # a document nobody has checked
    EXPIRED = "expired"  # a document that no longer counts
    MISSING = "missing"  # nothing

    @property
    def counts(self) -> bool:
        """Whether a criterion may be met by it."""
        return self in (Proof.LEDGER, Proof.FACTORY, Proof.VERIFIED)


#: What a state of proof is called in Dutch.
PROOF_NL: Final[Mapping[Proof, str]] = {
    Proof.VERIFIED: "geverifieerd",
    Proof.CLAIMED: "opgegeven, niet geverifieerd",
    Proof.EXPIRED: "verlopen",
    Proof.MISSING: "ontbreekt",
    Proof.LEDGER: "geteld",
    Proof.FACTORY: "in het fabrieksbestand",
}


class Grade(StrEnum):
    """Where a criterion stands."""

    MET = "met"
    UNMET = "unmet"
    UNVERIFIED = "unverified"  # claimed or unknown: shown as such, neither met nor nought
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a finding rests on.

    Attributes:
        proof: how far it shows it.
        reference: where to look: `summary:energy.import_mwh`, `ledger:energy.import_wh`,
            `factory:finance.capex`, `document:ID`, `register:NAME/ID`.
        title: of a document; empty otherwise.
        owner: who answers for it.
        dated: day of the document.
        expires: first day it no longer counts.
        verified_by: who checked it.
    """

    proof: Proof
    reference: str
    title: str = ""
    owner: str = ""
    dated: dt.date | None = None
    expires: dt.date | None = None
    verified_by: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One criterion, applied.

    Attributes:
        criterion: its identity within the framework.
        group: part of the framework it belongs to (an axis, an objective, an annex).
        title: what it asks, by language ("en", "nl").
        grade: where it stands.
        value: what was found; None where nothing was.
        unit: of the value and the threshold.
        threshold: what would be enough; None where there is no bar.
        formula: how the value is made, in words or symbols.
        source: who says so, year and mark of verification.
        evidence: what it rests on.
        why: the reason of the grade, by language, in a sentence with its figures.
        gate: whether the framework says that nothing else counts without it.
        kind: opportunity, risk, precondition, measure, control, context; empty where the
            framework makes no difference.
        points: what it adds to or takes from its group's score, a ratio: an opportunity -1 to 1, a
            risk 0 to 1, a precondition the cap it sets; None where nothing is known.
    """

    criterion: str
    group: str
    title: Mapping[str, str]
    grade: Grade
    value: float | None = None
    unit: str = ""
    threshold: float | None = None
    formula: str = ""
    source: str = ""
    evidence: tuple[Evidence, ...] = ()
    why: Mapping[str, str] = field(default_factory=dict)
    gate: bool = False
    kind: str = ""
    points: float | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """A framework applied to a subject.

    Attributes:
        framework: its name.
        version: of its text, such as the day of the law.
        title: by language.
        source: who says so, year and mark of verification.
        interest: who commissioned it or has an interest in it, by language; empty for nobody.
        findings: every criterion, in the framework's order.
        scores: the result, by name: a vector, never one grade; may be negative.
        held_back: why a score may not be called what its number says, by name and language.
        notes: what the reader must know, by language.
        differences: by counterfactual and score, the score less what it would be there.
        groups: titles of the groups of the findings, by name and language.
    """

    framework: str
    version: str
    title: Mapping[str, str]
    source: str
    findings: tuple[Finding, ...]
    scores: Mapping[str, float] = field(default_factory=dict)
    held_back: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    interest: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    differences: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of(self, criterion: str) -> Finding:
        """The finding of a criterion.

        Raises:
            KeyError: the framework has no such criterion.
        """
        for finding in self.findings:
            if finding.criterion == criterion:
                return finding
        raise KeyError(criterion)


__all__ = ["PROOF_NL", "Assessment", "Evidence", "Finding", "Grade", "Proof"]
