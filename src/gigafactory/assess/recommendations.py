"""The four recommendations of the report, each as measures with their evidence."""

from __future__ import annotations

from gigafactory.assess.frameworks import apply, load_framework
from gigafactory.assess.results import Assessment, Grade
from gigafactory.assess.subject import Subject
from gigafactory.assess.words import LANGUAGES


def assess_recommendations(subject: Subject) -> Assessment:
    """Where each recommendation stands: the share of its measures that is shown to be taken."""
    framework = load_framework("recommendations")
    findings = apply(framework, subject)
    scores = {}
    for group in framework.groups:
        mine = [one for one in findings if one.group == group.name]
        scores[group.name] = sum(one.grade is Grade.MET for one in mine) / len(mine)
    return Assessment(
        framework=framework.name,
        version=framework.version,
        title=framework.title.model_dump(),
        source=framework.source.text,
        findings=findings,
        scores=scores,
        interest=framework.interest.model_dump() if framework.interest else {},
        notes={lang: tuple(getattr(n, lang) for n in framework.notes) for lang in LANGUAGES},
        groups={one.name: one.title.model_dump() for one in framework.groups},
    )


__all__ = ["assess_recommendations"]
