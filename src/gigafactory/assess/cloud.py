"""The EU Cloud Sovereignty Framework applied: two readings, gates, caps, and the way to a level.

Every criterion is read twice: as claimed, and as proven by the run, the factory file or a document
that somebody checked. The proven reading counts. What a factory says by itself (its chips, its
owners, its PUE) proposes answers and bounds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gigafactory.assess.cited import framework_data, words
from gigafactory.assess.cloudanswers import FILE, CloudAnswers, Given, given, read_answers
from gigafactory.assess.cloudfacts import Cap, Known, caps_of, known_of
from gigafactory.assess.cloudladder import (
    FULL_SEAL,
    NAME,
    Change,
    Criterion,
    changes_for,
    ladder,
    points,
    score_percent,
    seal,
)
from gigafactory.assess.results import Assessment, Evidence, Finding, Grade, Proof
from gigafactory.assess.subject import Subject
from gigafactory.factory.rights import pool_facts
from gigafactory.plant import load_catalogue


@dataclass(frozen=True, slots=True)
class Counted:
    """How one criterion is read.

    Attributes:
        criterion: its key.
        claimed: highest answer anybody gave, within its bound; None where nobody gave one.
        proven: the answer that counts; None where nobody gave one.
        said: highest answer given before the bound.
        most: highest answer the facts allow; None for no bound.
        why: the reasons, by language: of the answers, and of the bound.
        evidence: what all this rests on.
        shown: whether anything proves the answer that counts, or it is the lowest for want of it.
    """

    criterion: str
    claimed: int | None
    proven: int | None
    said: int | None
    most: int | None
    why: Mapping[str, str]
    evidence: tuple[Evidence, ...]
    shown: bool = False


@dataclass(frozen=True, slots=True)
class CloudResult:
    """The framework applied to a factory.

    Attributes:
        answers: the dossier's file.
        counted: every criterion, by key.
        caps: caps by owners and suppliers.
        minimum: least SEAL level accepted, by objective.
    """

    answers: CloudAnswers
    counted: Mapping[str, Counted]
    caps: tuple[Cap, ...]
    minimum: Mapping[str, int]

    @property
    def proven(self) -> dict[str, int]:
        """The answers that count."""
        return {k: c.proven for k, c in self.counted.items() if c.proven is not None}

    @property
    def claimed(self) -> dict[str, int]:
        """The answers as claimed."""
        return {k: c.claimed for k, c in self.counted.items() if c.claimed is not None}

    @property
    def missing(self) -> tuple[str, ...]:
        """Criteria nobody answered."""
        return tuple(key for key, one in self.counted.items() if one.proven is None)

    def seal(self, *, claimed: bool = False) -> int | None:
        """Overall SEAL level, caps applied; None where nothing is answered."""
        level = seal(self.claimed if claimed else self.proven)
        return level if level is None else min([level, *(cap.seal for cap in self.caps)])

    def changes(self, level: int, *, claimed: bool = False) -> tuple[Change, ...]:
        """What must change to reach a level; caps stand beside it."""
        return changes_for(self.claimed if claimed else self.proven, level)


def cloud_result(subject: Subject) -> CloudResult:
    """Apply the framework.

    Raises:
        BadInput: with every problem of the dossier's answers.
    """
    answers = read_answers(subject)
    claims = given(answers, subject.today)
    known = known_of(subject)
    framework = ladder()
    least = int(framework_data(NAME)["minimum_seal"]["seal"])
    levels = {
        "non_eu_parent": answers.cap_non_eu_parent,
        "non_eu_supplier": answers.cap_non_eu_supplier,
    }
    return CloudResult(
        answers=answers,
        counted={
            key: _count(key, claims.get(key, ()), [k for k in known if k.criterion == key])
            for key in framework.criteria
        },
        caps=caps_of(pool_facts(subject.factory, load_catalogue()), levels),
        minimum={name: answers.minimum_seal.get(name, least) for name in framework.objectives},
    )


def _count(key: str, claims: tuple[Given, ...], known: list[Known]) -> Counted:
    """One criterion from its claims and what is known of it."""
    told = [k for k in known if k.answer is not None]
    numbers = [c.answer for c in claims] + [k.answer for k in told if k.answer is not None]
    bounds = [k.most for k in known if k.most is not None]
    most = min(bounds, default=None)
    shown = [c.answer for c in claims if c.proven]
    shown += [k.answer for k in told if k.answer is not None and k.evidence.proof.counts]
    said = max(numbers, default=None)
    parts = [c.why for c in claims] + [dict(k.why) for k in known]
    why = {lang: " ".join(part[lang] for part in parts) for lang in ("en", "nl")}
    evidence = [one for c in claims for one in c.evidence] + [k.evidence for k in known]
    if said is None:
        return Counted(key, None, None, None, most, why, tuple(evidence))
    cut = len(ladder().criteria[key].rungs) if most is None else most
    proven = min(max(shown, default=1), cut)
    return Counted(key, min(said, cut), proven, said, most, why, tuple(evidence), bool(shown))


def assess_cloud(subject: Subject) -> Assessment:
    """The framework as an assessment.

    Scores: `seal.proven` and `seal.claimed` (caps applied), `score_percent.PROFILE.proven` and
    `.claimed`, `points.SOV-n.proven` and `.claimed`, `unanswered`, `to_seal_n` (how many criteria
    must change to reach a level).

    Raises:
        BadInput: with every problem of the dossier's answers.
    """
    result, framework = cloud_result(subject), ladder()
    findings = [
        _finding(framework.criteria[key], one, result) for key, one in result.counted.items()
    ]
    findings += [_gate(name, result) for name in framework.objectives]
    texts = framework_data(NAME)["texts"]
    notes = [words(texts[key]) for key in ("note_two", "note_counting", "note_seal4")]
    return Assessment(
        framework=NAME,
        version=framework.version,
        title=framework.title,
        source=framework.source,
        findings=tuple(findings),
        scores=_scores(result),
        held_back=_held_back(result),
        notes={lang: tuple(note[lang] for note in notes) for lang in ("en", "nl")},
    )


def _scores(result: CloudResult) -> dict[str, float]:
    framework = ladder()
    scores: dict[str, float] = {}
    for reading, answers in (("proven", result.proven), ("claimed", result.claimed)):
        level = result.seal(claimed=reading == "claimed")
        if level is not None:
            scores[f"seal.{reading}"] = float(level)
        for name in framework.profiles:
            scores[f"score_percent.{name}.{reading}"] = score_percent(answers, name)
        for name in framework.objectives:
            scores[f"points.{name}.{reading}"] = points(answers, name)
    scores["unanswered"] = float(len(result.missing))
    for level in (2, 3, FULL_SEAL):
        scores[f"to_seal_{level}"] = float(len(result.changes(level)))
    return scores


def _held_back(result: CloudResult) -> dict[str, Mapping[str, str]]:
    """Caps with their reasons, answers that are missing, and claims beyond what is proven."""
    texts, held = framework_data(NAME)["texts"], {}
    for k, cap in enumerate(result.caps):
        held[f"seal.cap.{k}"] = cap.why
    if result.missing:
        counts = {"missing": len(result.missing), "all": len(result.counted)}
        held["seal.incomplete"] = words(texts["incomplete"], **counts)
    proven, claimed = result.seal(), result.seal(claimed=True)
    if proven != claimed:
        held["seal.claimed"] = words(texts["claimed_held"], claimed=claimed, proven=proven)
    return held


def _finding(criterion: Criterion, one: Counted, result: CloudResult) -> Finding:
    """A criterion against the level aimed at."""
    target = result.answers.target_seal
    needed = criterion.rung(criterion.lowest_for(target))
    grade, why = _judge(criterion, one, target)
    rung = None if one.proven is None else criterion.rung(one.proven)
    return Finding(
        criterion=criterion.key,
        group=criterion.objective,
        title=criterion.title,
        grade=grade,
        value=None if rung is None else rung.value_ratio,
        unit="points",
        threshold=needed.value_ratio,
        formula="value of the answer that counts",
        source=ladder().source,
        evidence=one.evidence or (Evidence(Proof.MISSING, f"dossier:{FILE}"),),
        why={lang: f"{why[lang]} {one.why[lang]}".strip() for lang in ("en", "nl")},
    )


def _judge(criterion: Criterion, one: Counted, target: int) -> tuple[Grade, dict[str, str]]:
    """Where a criterion stands, and a sentence in both languages that says why."""
    texts = framework_data(NAME)["texts"]
    if one.proven is None or one.claimed is None:
        return Grade.UNVERIFIED, words(texts["unanswered"])
    rung, claimed = criterion.rung(one.proven), criterion.rung(one.claimed)
    if rung.seal >= target:
        grade, key = Grade.MET, "met" if one.shown else "floor"
    elif claimed.seal >= target:
        grade = Grade.UNVERIFIED
        key = "unverified" if one.shown else "unproven"
    else:
        grade, key = Grade.UNMET, "unmet"
    said = words(
        texts[key],
        answer=one.proven,
        text=rung.text,
        claimed=one.claimed,
        claimed_text=claimed.text,
        seal=rung.seal,
        claimed_seal=claimed.seal,
        target=target,
    )
    if one.most is not None and one.said is not None and one.said > one.most:
        more = words(texts["bounded"], said=one.said, most=one.most)
        said = {lang: f"{said[lang]} {more[lang]}" for lang in said}
    return grade, said


def _gate(objective: str, result: CloudResult) -> Finding:
    """The least SEAL level of an objective: an offer below it is not ranked at all."""
    framework, texts = ladder(), framework_data(NAME)["texts"]
    title, asked = framework.objectives[objective], result.minimum[objective]
    proven, claimed = seal(result.proven, objective), seal(result.claimed, objective)
    whole = not any(framework.criteria[key].objective == objective for key in result.missing)
    if proven is None or claimed is None or not whole:
        grade, key = Grade.UNVERIFIED, "gate_unanswered"
        if claimed is not None and claimed < asked:
            grade, key = Grade.UNMET, "gate_unmet"
    elif proven >= asked:
        grade, key = Grade.MET, "gate_met"
    elif claimed >= asked:
        grade, key = Grade.UNVERIFIED, "gate_unverified"
    else:
        grade, key = Grade.UNMET, "gate_unmet"

    fields = {"title": title, "asked": asked, "proven": proven, "claimed": claimed}
    return Finding(
        criterion=f"{objective}.minimum",
        group=objective,
        title=words(texts["gate_title"], title=title),
        grade=grade,
        value=None if proven is None else float(proven),
        unit="SEAL",
        threshold=float(asked),
        formula="lowest SEAL level of the objective's criteria",
        source=framework.source,
        evidence=(Evidence(Proof.FACTORY, "factory:governance.dossier"),),
        why=words(texts[key], **fields),
        gate=True,
    )


__all__ = ["CloudResult", "Counted", "assess_cloud", "cloud_result"]
