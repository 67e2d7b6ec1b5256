"""Two assessments side by side: what moved, by how much, and because of which inputs.

An explanation names the criteria that moved a score and, for each, the settings and documents it
rests on that differ between the two. What moved without an input that is named here is told so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from gigafactory.assess.evidence import documents
from gigafactory.assess.results import Assessment, Evidence, Finding
from gigafactory.assess.subject import Subject
from gigafactory.assess.words import Both, amount, both, listed, percent


@dataclass(frozen=True, slots=True)
class Input:
    """A setting or a document that differs.

    Attributes:
        reference: `factory:governance.parents`, `document:ID`, `register:NAME`.
        before, after: how it reads in each; empty where it is not there.
    """

    reference: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Move:
    """A criterion that came out differently.

    Attributes:
        criterion: which.
        group: its group.
        title: by language.
        before, after: its findings.
        points_difference: what it adds to its group more; None where one of them is not known.
        because: the inputs it rests on that differ.
        why: in a sentence.
    """

    criterion: str
    group: str
    title: Both
    before: Finding
    after: Finding
    points_difference: float | None
    because: tuple[Input, ...]
    why: Both


@dataclass(frozen=True, slots=True)
class Differences:
    """What is different between two assessments by one framework.

    Attributes:
        framework: which.
        scores: score by name, before, after and difference; only those that differ. None where one
            of them has none.
        moves: criteria that moved.
        inputs: everything that differs in factory file and dossier, whether or not it moved
            anything.
    """

    framework: str
    scores: Mapping[str, tuple[float | None, float | None, float | None]]
    moves: tuple[Move, ...]
    inputs: tuple[Input, ...]


def differences(
    before: Assessment, after: Assessment, first: Subject, second: Subject
) -> Differences:
    """Compare two assessments by the same framework and say why they differ.

    Args:
        before: the assessment to start from.
        after: the one that is explained.
        first: what the former is of.
        second: what the latter is of.
    """
    assert before.framework == after.framework, "two frameworks cannot be compared"
    inputs = tuple(changed_inputs(first, second))
    earlier = {one.criterion: one for one in before.findings}
    moves = []
    for one in after.findings:
        old = earlier.get(one.criterion)
        if old is not None and _moved(old, one):
            moves.append(_move(old, one, inputs))
    scores = {}
    for name in dict.fromkeys((*before.scores, *after.scores)):
        a, b = before.scores.get(name), after.scores.get(name)
        if a != b:
            scores[name] = (a, b, None if a is None or b is None else b - a)
    return Differences(after.framework, scores, tuple(moves), inputs)


def _moved(old: Finding, new: Finding) -> bool:
    return (old.grade, old.value, old.points) != (new.grade, new.value, new.points)


def _move(old: Finding, new: Finding, inputs: Sequence[Input]) -> Move:
    rests = [one.reference for one in (*old.evidence, *new.evidence)]
    because = tuple(one for one in inputs if any(_about(one.reference, r) for r in rests))
    if not because and _by_run(old.evidence, new.evidence):
        because = (Input("run", "", ""),)
    points = None
    if old.points is not None and new.points is not None:
        points = new.points - old.points
    because_said = {
        lang: "; ".join(_input(one, lang) for one in because)
        or {
            "en": "of nothing that is named here",
            "nl": "iets veranderde dat hier niet wordt genoemd",
        }[lang]
        for lang in ("en", "nl")
    }
    why = both(
        "{old} became {new}, because {because}. Before: {a} Now: {b}",
        "{old} werd {new}, omdat {because}. Eerst: {a} Nu: {b}",
        old=_stand(old),
        new=_stand(new),
        because=because_said,
        a=old.why,
        b=new.why,
    )
    return Move(new.criterion, new.group, new.title, old, new, points, because, why)


_NOTHING = both("of nothing that is named here", "iets veranderde dat hier niet wordt genoemd")


def _by_run(*evidence: Sequence[Evidence]) -> bool:
    return any(one.reference.startswith("summary:") for rows in evidence for one in rows)


def _stand(one: Finding) -> dict[str, str]:
    grades = {
        "met": both("met", "gehaald"),
        "unmet": both("unmet", "niet gehaald"),
        "unverified": both("unverified", "niet geverifieerd"),
        "not_applicable": both("not applicable", "niet van toepassing"),
    }
    if one.value is None:
        return grades[one.grade.value]
    shown = percent(one.value) if one.unit == "share" else amount(one.value, one.unit)
    return both("{v} ({g})", "{v} ({g})", v=shown, g=grades[one.grade.value])


def _input(one: Input, lang: str) -> str:
    if one.reference == "run":
        return {"en": "the runs counted differently", "nl": "de runs anders telden"}[lang]
    nothing = {"en": "nothing", "nl": "niets"}[lang]
    join = {"en": "went from {a} to {b}", "nl": "van {a} naar {b} ging"}[lang]
    return f"{one.reference} " + join.format(a=one.before or nothing, b=one.after or nothing)


def _about(changed: str, rests: str) -> bool:
    """Whether a changed input is what a finding rests on: one path lies within the other.

    Names of sites, pools and tenants in the path of an input are passed over.
    """
    kind, _, path = changed.partition(":")
    other, _, base = rests.partition(":")
    if kind != other:
        return False
    if kind != "factory":
        return path.split("/")[0] == base.split("/")[0]
    steps, wanted = path.split("."), base.split(".")
    at = 0
    for step in steps:
        if at < len(wanted) and step == wanted[at]:
            at += 1
    return steps[0] == wanted[0] and at == len(wanted)


def changed_inputs(first: Subject, second: Subject) -> Iterator[Input]:
    """Settings, documents and registers that differ between two subjects, in order."""
    a, b = _settings(first), _settings(second)
    for path in dict.fromkeys((*a, *b)):
        if a.get(path) != b.get(path):
            yield Input(f"factory:{path}", _shown(a.get(path)), _shown(b.get(path)))
    papers = [
        {one.id: (one, one.model_dump_json()) for one in documents(subject)}
        for subject in (first, second)
    ]
    for name in dict.fromkeys((*papers[0], *papers[1])):
        old, new = papers[0].get(name), papers[1].get(name)
        if (old and old[1]) != (new and new[1]):
            proves = dict.fromkeys(key for row in (old, new) if row for key in row[0].proves)
            for key in (name, *proves):
                yield Input(f"document:{key}", _paper(old), _paper(new))
    if first.today != second.today:
        yield Input("day", str(first.today), str(second.today))
    texts = [
        {path.stem: path.read_text("utf-8") for path in subject.dossier.files("registers/*.yaml")}
        for subject in (first, second)
    ]
    for name in dict.fromkeys((*texts[0], *texts[1])):
        if texts[0].get(name) != texts[1].get(name):
            there = ["there" if name in one else "" for one in texts]
            yield Input(f"register:{name}", *there)


def _paper(row: tuple[Any, str] | None) -> str:
    if row is None:
        return ""
    by = row[0].verified_by
    return f"{row[0].id} of {row[0].dated}, {'verified by ' + by if by else 'not verified'}"


def _shown(value: object) -> str:
    if isinstance(value, dt.date):
        return value.isoformat()
    return "" if value is None else str(value)


def _settings(subject: Subject) -> dict[str, object]:
    """Every setting of a factory by its path; items of lists go by their name or text."""
    found: dict[str, object] = {}
    _walk(subject.factory, "", found)
    return found


def _walk(value: object, path: str, into: dict[str, object]) -> None:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            if name != "sources":
                key = _key(type(value), name)
                _walk(getattr(value, name), f"{path}.{key}" if path else key, into)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            _walk(one, f"{path}.{key}", into)
    elif isinstance(value, tuple):
        plain = [one for one in value if not isinstance(one, BaseModel)]
        if plain or not value:
            into[path] = listed(str(one) for one in plain)["en"] if plain else None
        for at, one in enumerate(value):
            if isinstance(one, BaseModel):
                named = str(getattr(one, "name", at)).replace(".", "_")
                _walk(one, f"{path}.{named}", into)
    else:
        into[path] = value


def _key(model: type[BaseModel], name: str) -> str:
    return model.model_fields[name].alias or name


__all__ = ["Differences", "Input", "Move", "changed_inputs", "differences"]
