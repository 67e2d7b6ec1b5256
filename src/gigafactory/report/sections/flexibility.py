"""What flexibility earned beside what it cost in compute, what was binding, what the grid got."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

from markupsafe import Markup

from gigafactory.report.frames import CLASSES
from gigafactory.report.sections.tell import Section, Table, Teller

_RESOURCES: Final = ("connection", "price", "accelerators", "placement", "work")
_TAKEN: Final = ("import_mwh", "peak_mw", "water_m3")
_GIVEN: Final = ("new_renewable_mwh", "heat_mwh", "shifted_mwh", "relief_mw")


def flexibility_section(tell: Teller) -> Section:
    """Earnings of flexibility beside lost work, the binding resource, the system's account."""
    section = tell.section("flexibility")
    if tell.frame.value("flexibility.net_eur") is None:
        section.notes.append(tell.voice.markup("flexibility.none"))
        return section
    _balance(tell, section)
    _binding(tell, section)
    _system(tell, section)
    return section


def _amounts(tell: Teller, key: str) -> list[str]:
    found = tell.frame.summary["flexibility"].get(key)
    return list(found) if isinstance(found, Mapping) else []


def _balance(tell: Teller, section: Section) -> None:
    voice = tell.voice
    section.lead.append(
        voice.markup(
            "flexibility.lead",
            net=tell.key("flexibility.net_eur"),
            lost=tell.found(
                sum(tell.frame.value(f"flexibility.lost_gpu_h.{k}") or 0.0 for k in _LOST),
                " ".join(f"summary:flexibility.lost_gpu_h.{k}" for k in _LOST),
            ),
        )
    )
    rows: list[list[Markup | str]] = []
    for kind, sign in (("earned_eur", 1.0), ("given_up_eur", -1.0)):
        rows += [
            [voice.say(f"flexibility.{name}"), tell.key(f"flexibility.{kind}.{name}", 0, sign)]
            for name in _amounts(tell, kind)
        ]
    rows.append([voice.say("table.total"), tell.key("flexibility.net_eur")])
    heads = [voice.say("flexibility.part"), voice.say("flexibility.eur")]
    section.tables.append(Table(voice.say("flexibility.table"), heads, rows, total=True))
    worth: list[list[Markup | str]] = [
        [
            voice.named("layer", label),
            tell.key(f"flexibility.worth.{label}.eur_per_gpu_h", 2),
            tell.key(f"flexibility.worth.{label}.eur_per_mwh"),
        ]
        for label in CLASSES
        if tell.frame.value(f"flexibility.worth.{label}.eur_per_mwh") is not None
    ]
    if worth:
        heads = [voice.say(f"flexibility.{name}") for name in ("class", "per_hour", "per_mwh")]
        section.tables.append(Table(voice.say("flexibility.worth"), heads, worth))
    section.notes.append(voice.markup("flexibility.note"))


_LOST: Final = ("paused", "slowed", "undone")


def _month(tell: Teller, name: str) -> str:
    day = dt.date.fromisoformat(f"{name}-01")
    return f"{tell.voice.month(day)} {day.year}"


def _binding(tell: Teller, section: Section) -> None:
    voice, months = tell.voice, tell.frame.rows("binding")
    if not months:
        return
    rows: list[list[Markup | str]] = []
    for place, row in enumerate(months):
        whole = tell.frame.value(f"binding.{place}.site_hours") or 0.0
        cells = []
        for name in _RESOURCES:
            hours = tell.frame.value(f"binding.{place}.hours.{name}") or 0.0
            source = f"summary:binding.{place}.hours.{name} summary:binding.{place}.site_hours"
            cells.append(tell.share(hours / whole if whole else None, source, 0))
        resource = str(row["most"])
        most = voice.say(f"binding.{resource}")
        rows.append([_month(tell, str(row["month"])), most, *cells])
    heads = [voice.say("binding.month"), voice.say("binding.most")]
    heads += [voice.say(f"binding.{name}") for name in _RESOURCES]
    table = Table(voice.say("binding.table"), heads, rows, texts=frozenset({1}))
    section.tables.append(table)
    section.notes.append(voice.markup("binding.note"))


def _system(tell: Teller, section: Section) -> None:
    voice, quarters = tell.voice, tell.frame.rows("contribution.quarters")
    if not quarters:
        return
    if tell.frame.value("contribution.additional_share") is not None:
        key = "contribution.additional_share"
        section.points.append(
            voice.markup(
                "contribution.additional",
                share=tell.share(tell.frame.value(key), f"summary:{key}"),
                mwh=tell.key("contribution.additional_mwh"),
            )
        )
    rows: list[list[Markup | str]] = []
    for name in (*_TAKEN, *_GIVEN):
        cells = [tell.key(f"contribution.quarters.{q}.{name}") for q in range(len(quarters))]
        rows.append([voice.say(f"contribution.{name}"), *cells])
    heads = [voice.say("contribution.account"), *(str(row["quarter"]) for row in quarters)]
    section.tables.append(Table(voice.say("contribution.table"), heads, rows))
    section.notes.append(voice.markup("contribution.note"))
