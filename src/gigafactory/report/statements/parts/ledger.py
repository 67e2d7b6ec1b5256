"""Chapters from what a run counted: its cash, and what its energy is as much as."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.steps import Step, waterfall_figure
from gigafactory.report.sections.tell import Picture, Section, Table
from gigafactory.report.statements.desk import Absent, Desk
from gigafactory.report.statements.equivalences import Equivalence, compared, equivalences

#: What came in (+1) and what was paid (-1), by key of the summary, in the order of the figure.
_CASH: Final = (
    ("revenue_eur", 1.0),
    ("reserves_eur", 1.0),
    ("heat_eur", 1.0),
    ("congestion_eur", 1.0),
    ("energy_eur", -1.0),
    ("grid_tariff_eur", -1.0),
    ("water_eur", -1.0),
)


def cash_part(desk: Desk) -> Section | Absent:
    """What came in and went out while it ran, as the ledger counted it."""
    voice = desk.voice
    held = [(name, sign, desk.frame.value(f"money.{name}")) for name, sign in _CASH]
    steps = [
        Step(voice.say(f"cash.{name}"), sign * value / 1e6, f"summary:money.{name}")
        for name, sign, value in held
        if value
    ]
    if not steps:
        return Absent("cash", "run", "money")
    section = desk.part("cash")
    rest = sum(step.amount for step in steps)
    sources = " ".join(step.source for step in steps)
    section.lead.append(voice.markup("cash.lead", rest=desk.money(rest * 1e6, sources)))
    told = voice.say("cash.alt", rest=voice.number(rest, 1))
    caption = Caption("fig-cash", voice.say("part.cash"), told)
    svg = waterfall_figure(steps, voice.say("cash.rest"), 2, caption, voice)
    section.pictures.append(Picture(svg, voice.markup("cash.caption"), sources))
    section.notes.append(voice.markup("cash.note"))
    return section


def equivalences_part(desk: Desk) -> Section | Absent:
    """What the energy of the site is as much as, each with its formula."""
    frame, voice = desk.frame, desk.voice
    energy, days = frame.value("energy.site_mwh"), frame.value("days")
    if energy is None or not days:
        return Absent("equivalences", "run", "energy.site_mwh")
    section = desk.part("equivalences")
    rows = equivalences(energy, days, frame.value("heat_mwh"))
    section.lead.append(
        voice.markup(
            "equivalence.lead",
            energy=desk.key("energy.site_mwh"),
            days=desk.key("days"),
            **{row.name: _value(desk, row) for row in rows if row.name.startswith("homes_")}
            | {"homes_warm": _value(desk, rows[-1])},
        )
    )
    section.tables.append(
        Table(
            voice.say("equivalence.table"),
            [voice.say(f"equivalence.{name}") for name in ("what", "value", "formula")],
            [
                [
                    voice.say(f"equivalence.row.{row.name}"),
                    _value(desk, row),
                    _formula(desk, row),
                ]
                for row in rows
            ],
            texts=frozenset({2}),
        )
    )
    section.tables.append(_compared(desk, rows))
    section.notes.append(voice.markup("equivalence.note"))
    return section


def national_told(desk: Desk) -> list[Markup]:
    """A sentence on homes, here and in the United States, and the share of the country."""
    energy, days = desk.frame.value("energy.site_mwh"), desk.frame.value("days")
    if energy is None or not days:
        return []
    rows = {row.name: row for row in equivalences(energy, days)}
    shown = {name: _value(desk, rows[name]) for name in ("homes_nl", "homes_us", "national")}
    return [desk.voice.markup("told.equivalence", **shown)]


def _value(desk: Desk, row: Equivalence) -> Markup:
    if row.share:
        return desk.share(row.value, row.trail, 2)
    # three digits are all that these figures can bear
    digits = max(len(str(int(row.value))) - 3, 0)
    return desk.found(round(row.value, -digits), row.trail)


def _formula(desk: Desk, row: Equivalence) -> Markup:
    """The formula in words, its figures filled in."""
    known, voice = compared(), desk.voice
    figures = {
        name: voice.traced(
            voice.share(known[name].value)
            if known[name].unit == "ratio"
            else voice.number(known[name].value, 1 if known[name].value % 1 else 0),
            known[name].value,
            f"equivalence:{name}",
        )
        for name in row.uses
    }
    ran = {"energy": desk.key("energy.site_mwh"), "days": desk.key("days")}
    ran["heat"] = desk.key("heat_mwh")
    return voice.markup(f"equivalence.by.{row.name}", **figures, **ran)


def _compared(desk: Desk, rows: tuple[Equivalence, ...]) -> Table:
    voice, known = desk.voice, compared()
    used = dict.fromkeys(name for row in rows for name in row.uses)
    cells: list[list[Markup | str]] = []
    for name in used:
        one = known[name]
        digits = 3 if one.unit == "ratio" else 1 if one.value % 1 else 0
        shown = voice.traced(voice.number(one.value, digits), one.value, f"equivalence:{name}")
        state = Markup('<span class="badge {}">{}</span>').format(
            one.source.state, voice.named("state", one.source.state)
        )
        told = f"{one.source.source}. {one.source.note}".strip(". ") + "."
        cells.append(
            [
                voice.say(f"equivalence.figure.{name}"),
                shown,
                voice.named("assess_unit", one.unit),
                told,
                str(one.source.year),
                state,
            ]
        )
    heads = [
        voice.say("equivalence.compared_with"),
        *(voice.say(f"sources.{n}") for n in ("value", "unit", "source", "year", "state")),
    ]
    return Table(voice.say("equivalence.figures"), heads, cells, texts=frozenset({2, 3, 4, 5}))


__all__ = ["cash_part", "equivalences_part", "national_told"]
