"""The EU Cloud Sovereignty Framework: its ladders of answers, and what answers come to.

An answer is the number of its rung, 1 for the lowest. The Score adds values and weighs objectives;
the SEAL is the lowest level of any criterion that was answered. The two are read independently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from gigafactory.assess.cited import cited, framework_data, words

NAME = "cloud"
SEAL_LEVELS = (0, 1, 2, 3, 4)
FULL_SEAL = SEAL_LEVELS[-1]


@dataclass(frozen=True, slots=True)
class Rung:
    """One answer of a ladder.

    Attributes:
        value_ratio: points, of a nominal 1,000 in an objective.
        seal: level it guarantees.
        text: what it says, by language.
        note: what is odd about it in the calculator; empty for nothing.
    """

    value_ratio: float
    seal: int
    text: Mapping[str, str]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One of the 48 criteria.

    Attributes:
        key: such as "1.1".
        objective: such as "SOV-1".
        title: by language.
        rungs: answers from the lowest to the highest.
    """

    key: str
    objective: str
    title: Mapping[str, str]
    rungs: tuple[Rung, ...]

    def rung(self, answer: int) -> Rung:
        """The answer of a number, from 1."""
        assert 1 <= answer <= len(self.rungs), f"{self.key} has {len(self.rungs)} answers"
        return self.rungs[answer - 1]

    def lowest_for(self, seal: int) -> int:
        """The lowest answer that guarantees a level; on each ladder the highest guarantees 4."""
        return next(k for k, rung in enumerate(self.rungs, 1) if rung.seal >= seal)


@dataclass(frozen=True, slots=True)
class Profile:
    """Weights of the objectives, in percent.

    Attributes:
        name: such as "calculator-2026-06".
        title: by language.
        weight: of each objective, percent; they add up to 100.
        source: who says so.
    """

    name: str
    title: Mapping[str, str]
    weight: Mapping[str, float]
    source: str


@dataclass(frozen=True, slots=True)
class Ladder:
    """The whole framework.

    Attributes:
        version, source: of its text.
        title: by language.
        objectives: titles by objective and language, in order.
        criteria: the 48, by key, in order.
        profiles: by name.
        seal_names: titles of the levels 0 to 4, by language.
        nominal_ratio: points an objective nominally has.
    """

    version: str
    source: str
    title: Mapping[str, str]
    objectives: Mapping[str, Mapping[str, str]]
    criteria: Mapping[str, Criterion]
    profiles: Mapping[str, Profile]
    seal_names: tuple[Mapping[str, str], ...]
    nominal_ratio: float

    def of(self, objective: str) -> tuple[Criterion, ...]:
        """The criteria of an objective."""
        return tuple(c for c in self.criteria.values() if c.objective == objective)


@dataclass(frozen=True, slots=True)
class Change:
    """What must change in one criterion to reach a level.

    Attributes:
        criterion: its key.
        answer: the answer now; None where there is none.
        needed: the lowest answer that is enough.
    """

    criterion: str
    answer: int | None
    needed: int


@cache
def ladder() -> Ladder:
    """The framework from its data folder."""
    raw = framework_data(NAME)
    criteria = {
        key: Criterion(key, objective, words(one["title"]), tuple(map(_rung, one["answers"])))
        for objective, block in raw["objectives"].items()
        for key, one in block["criteria"].items()
    }
    return Ladder(
        version=raw["version"],
        source=cited(raw["source"]),
        title=words(raw["title"]),
        objectives={name: words(one["title"]) for name, one in raw["objectives"].items()},
        criteria=criteria,
        profiles={
            name: Profile(
                name=name,
                title=words(one["title"]),
                weight={key: float(weight) for key, weight in one["weights"].items()},
                source=cited(one["source"]),
            )
            for name, one in raw["profiles"].items()
        },
        seal_names=tuple(words(one) for one in raw["seals"]),
        nominal_ratio=float(raw["nominal_points"]),
    )


def _rung(raw: Mapping[str, Any]) -> Rung:
    return Rung(float(raw["value"]), int(raw["seal"]), words(raw), str(raw.get("note", "")))


def points(answers: Mapping[str, int], objective: str) -> float:
    """Score of an objective: the sum of the values of its answers; what is unanswered adds nought.

    Source: implementation guidance, p. 9-10, as transcribed (read second-hand).
    """
    every = ladder().of(objective)
    return sum(c.rung(answers[c.key]).value_ratio for c in every if c.key in answers)


def score_percent(answers: Mapping[str, int], profile: str) -> float:
    """Sovereignty Score, percent: sum over objectives of score / 1,000 x weight.

    All highest answers come to 100.0756 % by the calculator's weights, since its values are
    rounded; that is not clamped.
    """
    framework = ladder()
    weight = framework.profiles[profile].weight
    parts = (points(answers, name) * weight[name] for name in framework.objectives)
    return sum(parts) / framework.nominal_ratio


def seal(answers: Mapping[str, int], objective: str | None = None) -> int | None:
    """SEAL of an objective, or overall: the lowest of the answers given; None without any."""
    levels = [
        c.rung(answers[c.key]).seal
        for c in ladder().criteria.values()
        if c.key in answers and objective in (None, c.objective)
    ]
    return min(levels, default=None)


def lowest_answers(level: int) -> dict[str, int]:
    """Every criterion at the lowest answer that guarantees a level."""
    return {key: c.lowest_for(level) for key, c in ladder().criteria.items()}


def highest_answers() -> dict[str, int]:
    """Every criterion at its highest answer."""
    return {key: len(c.rungs) for key, c in ladder().criteria.items()}


def changes_for(answers: Mapping[str, int], level: int) -> tuple[Change, ...]:
    """What must change to reach a level: every criterion below the lowest answer that is enough.

    A criterion nobody answered is in the list, whatever its lowest answer would guarantee: it has
    to be answered first.
    """
    found = []
    for key, needed in lowest_answers(level).items():
        answer = answers.get(key)
        if answer is None or answer < needed:
            found.append(Change(key, answer, needed))
    return tuple(found)


def never_binding() -> tuple[str, ...]:
    """Criteria whose every answer guarantees the highest level: they move the Score only."""
    every = ladder().criteria.values()
    return tuple(c.key for c in every if all(rung.seal == FULL_SEAL for rung in c.rungs))


__all__ = [
    "FULL_SEAL",
    "NAME",
    "SEAL_LEVELS",
    "Change",
    "Criterion",
    "Ladder",
    "Profile",
    "Rung",
    "changes_for",
    "highest_answers",
    "ladder",
    "lowest_answers",
    "never_binding",
    "points",
    "score_percent",
    "seal",
]
