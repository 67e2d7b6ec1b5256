"""Chapters that are a framework applied, and how far one criterion could move a score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from markupsafe import Markup

from gigafactory.assess import Assessment
from gigafactory.assess.cloudtables import changes_table
from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.steps import Reach, reach_figure
from gigafactory.report.sections.tell import Picture, Section, Table
from gigafactory.report.statements.assessed import assessment_parts, score_name, trail_of
from gigafactory.report.statements.desk import Absent, Desk
from gigafactory.report.statements.providers import ask

#: The highest level of the Cloud Sovereignty Framework.
_SEAL_MOST: Final = 4
#: Criteria of an axis that its tornado shows.
_SWINGS_MOST: Final = 6


def framework_part(
    name: str,
    *,
    brief: bool = False,
    groups: Sequence[str] | None = None,
    scores: bool = True,
    then: Callable[[Desk, Section, Assessment], None] | None = None,
) -> Callable[[Desk], Section | Absent]:
    """A part that tells a framework.

    Args:
        name: among the providers.
        brief: only its vector, its gates and what holds it back, without every criterion.
        groups: only these groups of criteria in full; all when None.
        scores: whether to draw and list its scores.
        then: adds to the chapter what only this framework has.
    """

    def part(desk: Desk) -> Section | Absent:
        found = ask(desk, name)
        if isinstance(found, Absent):
            return found
        assert isinstance(found, Assessment), f"{name} is no framework"
        shown = () if brief else groups
        section = assessment_parts(desk, desk.part(name), found, shown, scores=scores)
        if then is not None:
            then(desk, section, found)
        return section

    return part


def tornado_of_axes(desk: Desk, section: Section, found: Assessment) -> None:
    """Add for each axis what single criteria could do to it, the widest first."""
    tornado = ask(desk, "tornado")
    if isinstance(tornado, Absent):
        section.notes.append(desk.why(tornado))
        return
    voice, swings = desk.voice, tornado(found)
    for axis in dict.fromkeys(one.axis for one in swings):
        mine = [one for one in swings if one.axis == axis][:_SWINGS_MOST]
        rows = [
            Reach(
                _short(desk.own(found.of(one.criterion).title)),
                one.low,
                one.found,
                one.high,
                trail_of(found, one.criterion),
            )
            for one in mine
        ]
        name = score_name(desk, axis)
        told = voice.say("assessed.tornado_alt", axis=name, first=rows[0].label)
        caption = Caption(f"fig-tornado-{axis}", name, told)
        svg = reach_figure(rows, 2, caption, voice, mine[0].found)
        section.pictures.append(
            Picture(
                svg,
                voice.markup("assessed.tornado", axis=name),
                " ".join(row.source for row in rows),
            )
        )


def way_to_seal(desk: Desk, section: Section, found: Assessment) -> None:
    """Add what must change, criterion by criterion, to claim the next SEAL level."""
    result = ask(desk, "seal_steps")
    claimed = found.scores.get("seal.claimed")
    if isinstance(result, Absent) or claimed is None or claimed >= _SEAL_MOST:
        return
    voice, level = desk.voice, int(claimed) + 1
    rows: list[list[Markup | str]] = []
    for row in changes_table(result, level, voice.lang, claimed=True):
        most = row["highest_allowed"]
        bound = most is not None and most < row["needed"]
        now = row["answer_text"] or voice.say("seal_way.no_answer")
        why = voice.say("seal_way.bound") if bound else ""
        rows.append([row["title"], now, row["needed_text"], why])
    heads = [voice.say(f"seal_way.{n}") for n in ("criterion", "now", "needed", "facts")]
    title = voice.say("seal_way.title", level=level)
    section.tables.append(Table(title, heads, rows, texts=frozenset({1, 2, 3})))


def _short(words: str, most: int = 46) -> str:
    """Words cut to fit beside a bar."""
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"


__all__ = ["framework_part", "tornado_of_axes", "way_to_seal"]
