"""Chapters that are a framework applied."""

from __future__ import annotations

from collections.abc import Callable

from gigafactory.assess import Assessment
from gigafactory.report.sections.tell import Section
from gigafactory.report.statements.assessed import assessment_parts
from gigafactory.report.statements.desk import Absent, Desk
from gigafactory.report.statements.providers import ask


def framework_part(
    name: str, *, brief: bool = False
) -> Callable[[Desk], Section | Absent]:
    """A part that tells a framework.

    Args:
        name: among the providers.
        brief: only its vector, its gates and what holds it back, without every criterion.
    """

    def part(desk: Desk) -> Section | Absent:
        found = ask(desk, name)
        if isinstance(found, Absent):
            return found
        assert isinstance(found, Assessment), f"{name} is no framework"
        section = desk.part(name)
        return assessment_parts(desk, section, found, () if brief else None)

    return part
