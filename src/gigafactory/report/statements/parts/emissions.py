"""Chapters on the footprint: scopes 1 to 3 as ranges, and what becomes of the hardware."""

from __future__ import annotations

from markupsafe import Markup

from gigafactory.assess.circular import AfterFirstLife, Circular, after_first_life
from gigafactory.assess.footprint import Footprint
from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.steps import Reach, reach_figure
from gigafactory.report.sections.tell import Picture, Section, Table
from gigafactory.report.statements.desk import Absent, Desk
from gigafactory.report.statements.providers import ask


def scopes_part(desk: Desk) -> Section | Absent:
    """Scopes 1 to 3: what was metered, and what was worked out from ranges."""
    found = ask(desk, "footprint")
    if isinstance(found, Absent):
        return found
    assert isinstance(found, Footprint)
    section, voice = desk.part("footprint"), desk.voice
    per = (found.per_gpu_h_g.low, found.per_gpu_h_g.high)
    embodied = found.embodied_share
    section.lead.append(
        voice.markup(
            "scopes.lead",
            per=desk.span(per, "assess:footprint/per_gpu_h", 0),
            low=desk.share(embodied.low, "assess:footprint/embodied_share"),
            high=desk.share(embodied.high, "assess:footprint/embodied_share"),
        )
    )
    section.pictures.append(_picture(desk, found))
    section.tables.append(_scopes(desk, found))
    section.points.extend(
        voice.markup("scopes.not_counted", what=what)
        for what in found.not_counted.get(voice.lang, ())
    )
    section.notes.append(voice.markup("scopes.note"))
    return section


def _rows(desk: Desk, found: Footprint) -> list[tuple[str, float, float, str]]:
    """Name, low and high end in kg, and where each comes from; what was not metered left out."""
    hourly = found.hourly_kg
    rows = [
        ("location", found.location_kg, found.location_kg, "summary:co2_kg.location"),
        ("market", found.market_kg, found.market_kg, "summary:co2_kg.market"),
    ]
    if desk.frame.value("co2_kg.stack") is not None:
        rows.insert(0, ("stack", found.stack_kg, found.stack_kg, "summary:co2_kg.stack"))
    if hourly is not None:
        rows.append(("hourly", hourly, hourly, "summary:carbon.hourly_kg"))
    capital, chain = found.capital_kg, found.chain_kg
    rows.append(("capital", capital.low, capital.high, "assess:footprint/capital"))
    rows.append(("chain", chain, chain, "assess:footprint/chain"))
    return rows


def _picture(desk: Desk, found: Footprint) -> Picture:
    voice, rows = desk.voice, _rows(desk, found)
    drawn = [
        Reach(
            voice.say(f"scopes.{name}"),
            low / 1e3,
            (low + high) / 2e3,
            high / 1e3,
            source,
            voice.number(low / 1e3) if low == high else "",
        )
        for name, low, high, source in rows
    ]
    told = "; ".join(f"{one.label} {voice.number(one.base)} t" for one in drawn)
    caption = Caption("fig-scopes", voice.say("part.footprint"), told)
    svg = reach_figure(drawn, 0, caption, voice, bars=True)
    return Picture(svg, voice.markup("scopes.caption"), " ".join(row[3] for row in rows))


def _scopes(desk: Desk, found: Footprint) -> Table:
    voice = desk.voice
    cells: list[list[Markup | str]] = []
    for name, low, high, source in _rows(desk, found):
        shown = (
            desk.voice.traced(voice.number(low / 1e3, 1), low, source)
            if low == high
            else desk.span((low, high), source, 1, 1e-3)
        )
        cells.append([voice.say(f"scopes.{name}"), shown, voice.say(f"scopes.how.{name}")])
    heads = [voice.say(f"scopes.{n}") for n in ("what", "tonnes", "how_head")]
    return Table(voice.say("scopes.table"), heads, cells, texts=frozenset({2}))


def circular_part(desk: Desk) -> Section | Absent:
    """What becomes of accelerators after their first life, and what that avoids."""
    plan = ask(desk, "circular")
    if isinstance(plan, Absent):
        return plan
    assert isinstance(plan, Circular)
    after = after_first_life(desk.subject, plan)
    section, voice = desk.part("circular"), desk.voice
    trail = "assess:circular/after_first_life"
    section.lead.append(
        voice.markup(
            "circular.lead",
            units=desk.found(float(after.units), "factory:fleet"),
            kept=desk.found(after.kept, trail),
            recycled=desk.found(after.recycled, trail),
        )
    )
    section.tables.append(_avoided(desk, after, trail))
    section.notes.append(voice.markup("circular.note"))
    return section


def _avoided(desk: Desk, after: AfterFirstLife, trail: str) -> Table:
    voice = desk.voice
    co2, money = after.avoided_co2_kg, after.residual_eur
    rows: list[list[Markup | str]] = [
        [voice.say("circular.co2"), desk.span((co2.low, co2.high), trail, 0, 1e-3), "t"],
        [voice.say("circular.mass"), desk.found(after.avoided_mass_kg / 1e3, trail), "t"],
        *(
            [
                voice.say(f"circular.{metal}"),
                voice.traced(voice.neat(mass), mass, trail),
                "kg",
            ]
            for metal, mass in after.recovered_kg.items()
        ),
        [
            voice.say("circular.residual"),
            desk.span((money.low, money.high), trail, 0, 1e-6),
            voice.say("span.million_eur"),
        ],
    ]
    heads = [voice.say(f"circular.{n}") for n in ("what", "value", "unit")]
    return Table(voice.say("circular.table"), heads, rows, texts=frozenset({2}))


__all__ = ["circular_part", "scopes_part"]
