"""The chapter on carbon: one year of electricity, counted in every way, side by side."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from gigafactory.report.sections.tell import Section, Table, Teller

#: Ways to count kilograms, in the order of the table.
_COUNTS = ("location", "market", "hourly", "marginal")
#: Ways to count what was covered.
_SHARES = ("annual_matched_share", "cfe_share", "hours_matched_share")


def carbon_section(tell: Teller) -> Section | None:
    """Carbon by location, by contract and by the hour, each with what it means."""
    if not isinstance(tell.frame.summary.get("carbon"), Mapping):
        return None
    section, voice = tell.section("carbon"), tell.voice
    section.lead.append(
        voice.markup(
            "carbon.lead",
            cfe=_share(tell, "cfe_share"),
            hours=_share(tell, "hours_matched_share"),
            annual=_share(tell, "annual_matched_share"),
        )
    )
    rows: list[list[Markup | str]] = [
        [
            voice.say(f"carbon.count.{name}"),
            tell.key(f"carbon.{name}_kg", 0, 1e-3),
            voice.say(f"carbon.means.{name}"),
        ]
        for name in _COUNTS
        if name != "marginal" or tell.frame.value("carbon.marginal_kg") is not None
    ]
    heads = [voice.say(f"carbon.{n}") for n in ("way", "tonnes", "meaning")]
    section.tables.append(Table(voice.say("carbon.table"), heads, rows, texts=frozenset({2})))
    shares: list[list[Markup | str]] = [
        [voice.say(f"carbon.covered.{n}"), _share(tell, n), voice.say(f"carbon.covers.{n}")]
        for n in _SHARES
    ]
    heads = [voice.say(f"carbon.{n}") for n in ("way", "share", "meaning")]
    section.tables.append(Table(voice.say("carbon.shares"), heads, shares, texts=frozenset({2})))
    section.tables.append(_months(tell))
    section.points.append(
        voice.markup(
            "carbon.factors",
            average=tell.key("carbon.average_kg_per_mwh"),
            unmatched=tell.key("carbon.unmatched_kg_per_mwh"),
            excess=tell.key("carbon.excess_mwh"),
        )
    )
    if tell.frame.value("carbon.indirect_water_m3") is not None:
        section.points.append(
            voice.markup(
                "carbon.water",
                water=tell.key("carbon.indirect_water_m3"),
                matched=tell.key("carbon.indirect_water_matched_m3"),
                wue=tell.key("carbon.wue_source_l_per_kwh", 2),
            )
        )
    if tell.frame.value("carbon.marginal_kg") is None:
        section.notes.append(voice.markup("carbon.no_marginal"))
    section.notes.append(voice.markup("carbon.no_residual"))
    return section


def _share(tell: Teller, name: str) -> Markup:
    return tell.share(tell.frame.value(f"carbon.{name}"), f"summary:carbon.{name}")


def _months(tell: Teller) -> Table:
    voice = tell.voice
    rows: list[list[Markup | str]] = []
    for k, month in enumerate(tell.frame.rows("carbon.by_month")):
        at = f"carbon.by_month.{k}"
        rows.append(
            [
                str(month.get("month", "")),
                tell.key(f"{at}.import_mwh"),
                tell.share(tell.frame.value(f"{at}.cfe_share"), f"summary:{at}.cfe_share"),
                tell.key(f"{at}.location_kg", 0, 1e-3),
                tell.key(f"{at}.hourly_kg", 0, 1e-3),
            ]
        )
    heads = [
        voice.say(f"carbon.month.{n}") for n in ("month", "drawn", "cfe", "location", "hourly")
    ]
    return Table(voice.say("carbon.months"), heads, rows, folded=True)
