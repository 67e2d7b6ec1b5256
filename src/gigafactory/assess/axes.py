"""The three strategic axes: opportunities, less risks, behind gates; a vector, never one grade.

For an axis: the mean of its opportunities (each -1 to 1, against a world without the factory), of
which the gates leave a part, less the mean of its risks (each 0 to 1, after shown mitigation)::

    V = min(mean_k, cap * mean_k) - mean_r

The cap is the least any precondition leaves: nothing when a hard one is unmet, a half when one is
unmet or unverified, all when every one is met. It holds back what is good and never what is bad,
so that an axis may be negative. Means are over what is known; `low` and `high` say how far what is
unknown could still move it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gigafactory.assess.frameworks import (
    CAP_HARD,
    CAP_UNMET,
    Framework,
    apply,
    load_framework,
)
from gigafactory.assess.results import Assessment, Finding, Grade
from gigafactory.assess.subject import Subject
from gigafactory.assess.words import LANGUAGES, Both, both

AXES: Final = ("autonomy", "economy", "society")

_EQUAL: Final[Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis and what it is made of.

    Attributes:
        name: of the axis.
        value: what it comes to; None where no opportunity and no risk is known.
        unit: of all figures: none, they are ratios.
        opportunity: mean of the known opportunities; None where none is known.
        risk: mean of the known risks; None where none is known.
        cap: part of the opportunities that the gates leave.
        known_share: weight of what is known over the weight of all opportunities and risks.
        low, high: the value if all that is unknown or unverified came out worst, or best.
    """

    name: str
    value: float | None
    unit: str
    opportunity: float | None
    risk: float | None
    cap: float
    known_share: float
    low: float
    high: float


def axis_of(
    name: str,
    findings: Sequence[Finding],
    weights: Mapping[str, float] = _EQUAL,
    instead: Mapping[str, float] = _EQUAL,
) -> Axis:
    """What the findings of an axis come to.

    Args:
        name: of the axis.
        findings: of the framework, all groups.
        weights: of opportunities and risks by criterion, within their kind; 1 where absent.
        instead: points to take instead of those found, by criterion.
    """
    mine = [one for one in findings if one.group == name]
    cap = min((one.points for one in mine if one.gate and one.points is not None), default=1.0)

    def mean(kind: str, unknown: float | None) -> tuple[float | None, float, float]:
        total = known = weighed = 0.0
        for one in mine:
            if one.kind != kind:
                continue
            weight = weights.get(one.criterion, 1.0)
            points = instead.get(one.criterion, one.points)
            total += weight
            known += weight if points is not None else 0.0
            points = unknown if points is None else points
            weighed += weight * (points or 0.0)
        over = known if unknown is None else total
        return (weighed / over if over > 0.0 else None), known, total

    good, known_k, all_k = mean("opportunity", None)
    bad, known_r, all_r = mean("risk", None)
    least, most = _caps([one for one in mine if one.gate])
    low = _value(mean("opportunity", -1.0)[0], mean("risk", 1.0)[0], least)
    high = _value(mean("opportunity", 1.0)[0], mean("risk", 0.0)[0], most)
    everything = all_k + all_r
    return Axis(
        name,
        None if good is None and bad is None else _value(good, bad, cap),
        "",
        good,
        bad,
        cap,
        (known_k + known_r) / everything if everything > 0.0 else 0.0,
        low,
        high,
    )


def _caps(gates: Sequence[Finding]) -> tuple[float, float]:
    """The caps if every gate that is not verified came out unmet, and if it came out met."""
    framework = load_framework("axes")
    least = most = 1.0
    for one in gates:
        shut = CAP_HARD if framework.criterion(one.criterion).hard else CAP_UNMET
        open_ = one.grade is Grade.UNVERIFIED
        points = 1.0 if one.points is None else one.points
        least = min(least, shut if open_ else points)
        most = min(most, 1.0 if open_ else points)
    return least, most


def _value(good: float | None, bad: float | None, cap: float) -> float:
    gain = good or 0.0
    return min(gain, cap * gain) - (bad or 0.0)


def axes_of(findings: Sequence[Finding]) -> tuple[Axis, ...]:
    """The three axes of a set of findings."""
    return tuple(axis_of(name, findings) for name in AXES)


def vector(findings: Sequence[Finding]) -> dict[str, float]:
    """Scores by name: each axis and its parts; what is not known is not there."""
    scores: dict[str, float] = {}
    for one in axes_of(findings):
        parts = {
            "": one.value,
            ".opportunity": one.opportunity,
            ".risk": one.risk,
            ".cap": one.cap,
            ".known_share": one.known_share,
            ".low": one.low,
            ".high": one.high,
        }
        scores |= {one.name + part: value for part, value in parts.items() if value is not None}
    return scores


@dataclass(frozen=True, slots=True)
class Index:
    """One number, and what it is made of: there is no index without its parts.

    Attributes:
        value: geometric mean of the axes; 0 where one is nought or below.
        unit: none; a ratio.
        parts: the axes.
        held_back: axes that may not be called strategic.
    """

    value: float
    unit: str
    parts: Mapping[str, float]
    held_back: tuple[str, ...]

    def __post_init__(self) -> None:
        if set(self.parts) != set(AXES):
            raise ValueError("an index is shown with all three axes or not at all")


def index_of(assessment: Assessment) -> Index:
    """The one number that some ask for, with the vector it hides.

    Raises:
        ValueError: an axis is not known: there is no index then.
    """
    parts = {name: assessment.scores[name] for name in AXES if name in assessment.scores}
    product = 1.0
    for value in parts.values():
        product *= max(value, 0.0)
    return Index(product ** (1.0 / 3.0), "", parts, tuple(assessment.held_back))


def held_back(framework: Framework, findings: Sequence[Finding]) -> dict[str, Both]:
    """Why an axis may not be called strategic: its gates that are unmet or not shown."""
    out: dict[str, Both] = {}
    for name in AXES:
        shut = [
            one for one in findings if one.group == name and one.gate and one.grade is not Grade.MET
        ]
        if not shut:
            continue
        hard = [
            one
            for one in shut
            if one.grade is Grade.UNMET and framework.criterion(one.criterion).hard
        ]
        out[name] = _reason(shut, bool(hard))
    return out


def _reason(shut: Sequence[Finding], hard: bool) -> Both:
    told = {lang: "; ".join(_gate(one, lang) for one in shut) for lang in LANGUAGES}
    return both(
        "Cannot be called strategic, and {left} of the opportunities count: {told}",
        "Kan niet strategisch heten, en van de kansen telt {left}: {told}",
        left={"en": "none", "nl": "niets"} if hard else {"en": "half", "nl": "de helft"},
        told=told,
    )


def _gate(one: Finding, lang: str) -> str:
    states = {
        "en": {Grade.UNMET: "unmet", Grade.UNVERIFIED: "unverified"},
        "nl": {Grade.UNMET: "niet gehaald", Grade.UNVERIFIED: "niet geverifieerd"},
    }
    state = states[lang].get(one.grade, one.grade.value)
    return f"{one.title[lang]} ({state}): {one.why.get(lang, '').rstrip('.')}"


def axes_alone(subject: Subject) -> Assessment:
    """The axes of a subject, without the counterfactuals."""
    framework = load_framework("axes")
    findings = apply(framework, subject)
    return Assessment(
        framework=framework.name,
        version=framework.version,
        title=framework.title.model_dump(),
        source=framework.source.text,
        findings=findings,
        scores=vector(findings),
        held_back=held_back(framework, findings),
        interest=framework.interest.model_dump() if framework.interest else {},
        notes={lang: tuple(getattr(n, lang) for n in framework.notes) for lang in LANGUAGES},
        groups={one.name: one.title.model_dump() for one in framework.groups},
    )


__all__ = ["AXES", "Axis", "Index", "axes_alone", "axes_of", "axis_of", "held_back", "index_of",
           "vector"]  # fmt: skip
