"""Writes a statement: a run folder in, one self-contained HTML file out, and a PDF where asked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from markupsafe import Markup

from gigafactory import __version__
from gigafactory.assess import Subject, subject_of
from gigafactory.engine.errors import refuse
from gigafactory.report.frames import Frame, read_run
from gigafactory.report.sections.headline import identity
from gigafactory.report.sections.tell import Section
from gigafactory.report.statements.desk import Absent, Desk, LinkedVoice
from gigafactory.report.statements.kinds import KINDS, OPERATIONS
from gigafactory.report.statements.parts.grounds import (
    kinds_of_trail,
    lacking_part,
    reservations_part,
    trail,
)
from gigafactory.report.voice import Voice
from gigafactory.report.write import render, style, template

#: Folder within a run for its statements.
FOLDER: Final = "statements"


def write_statement(
    run: Path, kind: str, lang: str = "en", *, out: Path | None = None, public: bool = False
) -> Path:
    """Write a statement of a run; the same run gives the same bytes each time.

    Args:
        run: a finished run folder.
        kind: one of `KINDS`.
        lang: "en" or "nl".
        out: the folder to write in; `statements` in the run folder when None.
        public: of operations: leave out the table that names tenants.

    Returns:
        The path of the file, `KIND.LANG.html`.

    Raises:
        BadInput: for a kind or a language that is not there, a folder that is no run folder, or a
            dossier with problems; nothing is written then.
    """
    if kind not in KINDS:
        raise refuse("--kind", "kind", kind, f"is not a kind of statement; use {', '.join(KINDS)}")
    if kind == OPERATIONS:
        html = render(read_run(run), Voice(lang), public=public)
    else:
        voice = LinkedVoice(lang)
        html = render_statement(Desk(subject_of(run), read_run(run), voice), kind)
    folder = out or run / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}.{lang}.html"
    part = folder / f".{path.name}.part"
    part.write_text(html, "utf-8", newline="\n")
    os.replace(part, path)  # noqa: PTH105  (atomic: a reader never sees half a statement)
    return path


def render_statement(desk: Desk, kind: str) -> str:
    """Render a statement as a page.

    Args:
        desk: the subject, its run and the voice; used for one statement only.
        kind: one of `KINDS`, not operations.

    Returns:
        The HTML.
    """
    voice, made = desk.linked, KINDS[kind]
    summary = [sentence for told in made.told for sentence in told(desk)]
    answers = [part(desk) for part in made.parts]
    sections = [answer for answer in answers if isinstance(answer, Section)]
    absent = [answer for answer in answers if isinstance(answer, Absent)]
    lacking = lacking_part(desk, absent)
    sections += [] if lacking is None else [lacking]
    sections.append(reservations_part(desk))
    if absent:
        count = desk.found(float(len(absent)), "assess:statement/absent")
        which = "absent_one" if len(absent) == 1 else "absent"
        summary.append(voice.markup(f"statement.{which}", count=count))
    name = _name(desk.subject, desk.frame, voice)
    heading = voice.say(f"kind.{kind}.title")
    who = identity_of(desk)  # before the trail is written down: it adds to it
    return template("statement.html.j2").render(
        lang=voice.lang,
        say=voice.say,
        css=style("report.css", "statement.css"),
        title=f"{heading}: {name}",
        heading=heading,
        name=name,
        reader=voice.say(f"kind.{kind}.reader"),
        synthetic=bool(desk.frame.summary.get("synthetic", False)),
        identity=who,
        summary=summary,
        sections=sections,
        trail=trail(desk),
        kinds=kinds_of_trail(desk),
        foot=voice.say("statement.foot", folder=desk.frame.folder, version=__version__),
    )


def identity_of(desk: Desk) -> list[tuple[str, Markup]]:
    """The line under the title: who, when, how large, from what input, which run and version."""
    voice, governance = desk.voice, desk.subject.factory.governance
    owners = ", ".join(governance.owners)
    rows = [
        ("operator", Markup("{}").format(governance.operator)),
        ("owners", Markup("{}").format(owners or "–")),
        ("jurisdiction", Markup("{}").format(governance.jurisdiction)),
    ]
    synthetic = "synthetic" if desk.frame.summary.get("synthetic") else "measured"
    told = [(voice.say(f"statement.{name}"), value) for name, value in rows]
    told += identity(desk)
    told.append(
        (voice.say("statement.input"), Markup("{}").format(voice.say(f"input.{synthetic}")))
    )
    told.append((voice.say("statement.version"), Markup("gigafactory {}").format(__version__)))
    return told


def _name(subject: Subject, frame: Frame, voice: Voice) -> str:
    title = subject.factory.governance.title
    return str(getattr(title, voice.lang, "")) or frame.word("name") or frame.folder


__all__ = ["FOLDER", "identity_of", "render_statement", "write_statement"]
