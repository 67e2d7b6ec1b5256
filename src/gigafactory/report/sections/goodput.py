"""What became of the accelerator-hours in service, and how often large gangs were interrupted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from markupsafe import Markup

from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.goodput import Part, goodput_figure
from gigafactory.report.sections.people import LEAST_TENANTS
from gigafactory.report.sections.tell import Picture, Section, Table, Teller

#: What did no work that was kept, as it is drawn: name in the summary, colour.
_LOSSES: Final = (
    ("checkpoint", "overhead"),
    ("restart", "restart"),
    ("lost_failure", "lost_failure"),
    ("lost_response", "lost_response"),
    ("lost_preemption", "lost_preemption"),
    ("held_paused", "held_paused"),
    ("reserved_idle", "reserved_idle"),
)


def goodput_parts(tell: Teller, section: Section, public: bool) -> None:
    """Add goodput to a chapter: a paragraph, a figure, its table, and the large gangs.

    Args:
        tell: the run and the language.
        section: the chapter.
        public: show nothing of gangs that belong to fewer than three tenants.
    """
    voice, frame = tell.voice, tell.frame
    found = frame.summary.get("goodput")
    if not isinstance(found, Mapping) or not isinstance(found.get("shares"), Mapping):
        return
    useful = frame.value("goodput.shares.useful")
    if useful is None:
        return
    share = tell.share(useful, "summary:goodput.shares.useful")
    section.lead.append(
        voice.markup("goodput.lead", useful=share, hours=tell.key("goodput.in_service_gpu_h"))
    )
    shown = [
        place
        for place, row in enumerate(frame.rows("goodput.gangs"))
        if row.get("gangs") and (not public or int(row.get("tenants", 0)) >= LEAST_TENANTS)
    ]
    section.points[:0] = _gang_points(tell, shown)
    section.pictures.append(_picture(tell))
    section.tables.append(_table(tell))
    if shown:
        section.tables.append(_gang_table(tell, shown))
        section.notes.append(voice.markup("gangs.note"))


def _picture(tell: Teller) -> Picture:
    voice, frame = tell.voice, tell.frame

    def part(name: str, colour: str) -> Part:
        value = frame.value(f"goodput.shares.{name}") or 0.0
        return Part(colour, voice.say(f"fate.{name}"), value)

    losses = [part(*pair) for pair in _LOSSES]
    useful, rest = part("useful", "useful"), part("idle", "idle")
    text = "; ".join(f"{one.label} {voice.share(one.share, 2)}" for one in (useful, *losses, rest))
    caption = Caption("fig-goodput", voice.say("goodput.table"), text)
    svg = goodput_figure(useful, losses, rest, caption, voice)
    names = ("useful", *(name for name, _ in _LOSSES), "idle")
    held = " ".join(f"summary:goodput.shares.{name}" for name in names)
    return Picture(svg, voice.markup("figure.goodput.caption"), held)


def _table(tell: Teller) -> Table:
    """The parts of the accelerator-hours in service; they add up to all of them."""
    voice, whole = tell.voice, "goodput.in_service_gpu_h"
    hours = tell.frame.value(whole)
    rows: list[list[Markup | str]] = []
    total = 0.0
    for name in ("useful", *(name for name, _ in _LOSSES), "idle"):
        key = f"goodput.shares.{name}"
        value = tell.frame.value(key) or 0.0
        total += value
        amount = None if hours is None else value * hours
        source = f"summary:{key}"
        rows.append(
            [
                voice.say(f"fate.{name}"),
                tell.found(amount, f"{source} summary:{whole}"),
                tell.share(value, source, 2),
            ]
        )
    parts = " ".join(f"summary:goodput.shares.{n}" for n in ("useful", *dict(_LOSSES), "idle"))
    rows.append([voice.say("goodput.whole"), tell.key(whole), tell.share(total, parts, 2)])
    heads = [voice.say(f"goodput.{name}") for name in ("part", "hours", "share")]
    return Table(voice.say("goodput.table"), heads, rows, total=True, folded=True)


def _gang_points(tell: Teller, shown: Sequence[int]) -> list[Markup]:
    """How much of their time large gangs worked, and how often the largest are interrupted."""
    voice, frame = tell.voice, tell.frame
    rows = frame.rows("goodput.gangs")
    begun = [place for place in shown if rows[place].get("interruptions_per_h")]
    ettr = frame.value("goodput.ettr")
    if ettr is None or not shown:
        return []
    told = [
        voice.markup(
            "gangs.ettr",
            size=voice.number(float(rows[0]["accelerators_min"])),
            ettr=tell.share(ettr, "summary:goodput.ettr"),
            queue=tell.share(
                frame.value("goodput.ettr_with_queue"), "summary:goodput.ettr_with_queue"
            ),
        )
    ]
    if begun:
        at = f"goodput.gangs.{begun[-1]}"
        rate = frame.value(f"{at}.interruptions_per_h") or 0.0
        told.append(
            voice.markup(
                "gangs.interrupted",
                size=voice.number(float(rows[begun[-1]]["accelerators_min"])),
                rate=tell.key(f"{at}.interruptions_per_h", 2),
                hours=tell.found(
                    1.0 / rate,
                    f"summary:{at}.interruptions summary:{at}.run_h",
                    1,
                ),
            )
        )
    return told


def _gang_table(tell: Teller, shown: Sequence[int]) -> Table:
    voice, found, rows = tell.voice, tell.frame.rows("goodput.gangs"), []
    for place in shown:
        row = found[place]
        at = f"goodput.gangs.{place}"
        size = voice.number(float(row["accelerators_min"]))
        most = row.get("accelerators_max")
        label = (
            voice.say("gangs.beyond", least=size)
            if most is None
            else voice.say("gangs.between", least=size, most=voice.number(float(most)))
        )
        ettr = tell.frame.value(f"{at}.ettr")
        cells: list[Markup | str] = [label, tell.key(f"{at}.gangs"), tell.key(f"{at}.run_h")]
        cells += [tell.key(f"{at}.interruptions"), tell.key(f"{at}.interruptions_per_h", 3)]
        rows.append([*cells, tell.share(ettr, f"summary:{at}.ettr")])
    names = ("size", "gangs", "run", "interruptions", "rate", "ratio")
    heads = [voice.say(f"gangs.{name}") for name in names]
    return Table(voice.say("gangs.table"), heads, rows)
