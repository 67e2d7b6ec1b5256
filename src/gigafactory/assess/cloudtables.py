"""Tables of the sovereignty framework for reports: criteria, objectives, the way to a level."""

from __future__ import annotations

from typing import Any

from gigafactory.assess.cloud import CloudResult
from gigafactory.assess.cloudladder import Criterion, ladder, points, seal


def criteria_table(result: CloudResult, lang: str) -> list[dict[str, Any]]:
    """A row per criterion: what is claimed, what is proven, and what bounds it.

    Args:
        result: the framework applied.
        lang: en or nl.
    """
    framework = ladder()
    rows = []
    for key, one in result.counted.items():
        criterion = framework.criteria[key]
        proven = None if one.proven is None else criterion.rung(one.proven)
        rows.append(
            {
                "criterion": key,
                "objective": criterion.objective,
                "title": criterion.title[lang],
                "claimed": one.claimed,
                "claimed_text": _text(criterion, one.claimed, lang),
                "proven": one.proven,
                "proven_text": _text(criterion, one.proven, lang),
                "points": None if proven is None else proven.value_ratio,
                "seal": None if proven is None else proven.seal,
                "highest_allowed": one.most,
                "why": one.why[lang],
                "evidence": [evidence.reference for evidence in one.evidence],
            }
        )
    return rows


def objectives_table(result: CloudResult, lang: str) -> list[dict[str, Any]]:
    """A row per objective: points and SEAL level in both readings, weights, the buyer's minimum."""
    framework = ladder()
    return [
        {
            "objective": name,
            "title": title[lang],
            "points_claimed": points(result.claimed, name),
            "points_proven": points(result.proven, name),
            "seal_claimed": seal(result.claimed, name),
            "seal_proven": seal(result.proven, name),
            "seal_minimum": result.minimum[name],
            "weights": {key: one.weight[name] for key, one in framework.profiles.items()},
        }
        for name, title in framework.objectives.items()
    ]


def changes_table(
    result: CloudResult, level: int, lang: str, *, claimed: bool = False
) -> list[dict[str, Any]]:
    """What must change to reach a SEAL level, a row per criterion; caps stand beside it.

    Args:
        result: the framework applied.
        level: the SEAL level to reach.
        lang: en or nl.
        claimed: begin from what is claimed instead of what is proven.
    """
    framework = ladder()
    rows = []
    for change in result.changes(level, claimed=claimed):
        criterion = framework.criteria[change.criterion]
        rows.append(
            {
                "criterion": change.criterion,
                "title": criterion.title[lang],
                "answer": change.answer,
                "answer_text": _text(criterion, change.answer, lang),
                "needed": change.needed,
                "needed_text": _text(criterion, change.needed, lang),
                "claimed": result.counted[change.criterion].claimed,
                "highest_allowed": result.counted[change.criterion].most,
            }
        )
    return rows


def _text(criterion: Criterion, answer: int | None, lang: str) -> str:
    return "" if answer is None else criterion.rung(answer).text[lang]


__all__ = ["changes_table", "criteria_table", "objectives_table"]
