"""Writes the report: run folder in, one self-contained HTML file out."""

from __future__ import annotations

import os
from functools import lru_cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from gigafactory.report.frames import Frame, read_run
from gigafactory.report.palette import stylesheet
from gigafactory.report.sections.carbon import carbon_section
from gigafactory.report.sections.compute import asked_section, hours_section, waits_section
from gigafactory.report.sections.flexibility import flexibility_section
from gigafactory.report.sections.flows import cost_section, energy_section, footprint_section
from gigafactory.report.sections.grounds import (
    check_section,
    limits_section,
    sources_section,
    terms_section,
)
from gigafactory.report.sections.headline import answers, identity, tiles
from gigafactory.report.sections.people import tenants_section
from gigafactory.report.sections.power import week_section, year_section
from gigafactory.report.sections.reserves import reserves_section
from gigafactory.report.sections.services import services_section
from gigafactory.report.sections.shares import shares_section
from gigafactory.report.sections.stress import stress_section
from gigafactory.report.sections.supply import supply_section
from gigafactory.report.sections.surroundings import surroundings_section
from gigafactory.report.sections.tell import Section, Teller
from gigafactory.report.sections.transport import transport_section
from gigafactory.report.voice import Voice

REPORT_NAME = "report.html"


def write_report(folder: Path, lang: str = "en", *, public: bool = False) -> Path:
    """Write `report.html` into a run folder.

    The file loads nothing from elsewhere, reads on screen (light or dark) and prints on A4. The
    same run folder gives the same bytes each time.

    Args:
        folder: a finished run folder.
        lang: "en" or "nl".
        public: leave out the table that names tenants.

    Returns:
        The path of the report.

    Raises:
        BadInput: for a folder that is no run folder, or a language that is not there; nothing is
            written then.
    """
    voice = Voice(lang)
    html = render(read_run(folder), voice, public=public)
    path = folder / REPORT_NAME
    part = folder / f".{REPORT_NAME}.part"
    part.write_text(html, "utf-8", newline="\n")
    os.replace(part, path)  # noqa: PTH105  (atomic: a reader never sees half a report)
    return path


def render(frame: Frame, voice: Voice, *, public: bool = False) -> str:
    """Render a frame as a page.

    Args:
        frame: what was read from the run folder.
        voice: the language.
        public: leave out the table that names tenants.

    Returns:
        The HTML.
    """
    tell = Teller(frame, voice)
    name = frame.word("name") or frame.folder
    return template("report.html.j2").render(
        lang=voice.lang,
        say=voice.say,
        css=style("report.css"),
        title=voice.say("page.title", name=name),
        name=name,
        synthetic=bool(frame.summary.get("synthetic", False)),
        identity=identity(tell),
        tiles=tiles(tell),
        answers=answers(tell),
        sections=_sections(tell, public),
        foot=voice.say("page.foot", folder=frame.folder),
    )


def _sections(tell: Teller, public: bool) -> list[Section]:
    """The chapters in reading order."""
    chapters = [
        week_section(tell),
        year_section(tell),
        hours_section(tell),
        energy_section(tell),
        transport_section(tell),
        reserves_section(tell),
        flexibility_section(tell),
        cost_section(tell),
        supply_section(tell, public),
        waits_section(tell),
        shares_section(tell, public),
        services_section(tell, public),
        stress_section(tell),
        tenants_section(tell, public),
        footprint_section(tell),
        carbon_section(tell),
        surroundings_section(tell),
        asked_section(tell),
        sources_section(tell),
        terms_section(tell),
        check_section(tell),
        limits_section(tell),
    ]
    return [chapter for chapter in chapters if chapter is not None]


@lru_cache(maxsize=2)
def template(name: str) -> Template:
    """A page of this room, ready to be filled; a part of it that is not given is a bug."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, loader=FunctionLoader(_file)
    )
    return environment.get_template(name)


def style(*names: str) -> Markup:
    """The colours and the named style sheets of this room, as one."""
    sheets = "".join(map(_file, names))
    return Markup(stylesheet() + sheets)  # noqa: S704  (our own style sheets)


def _file(name: str) -> str:
    return (resources.files("gigafactory.report") / "page" / name).read_text("utf-8")
