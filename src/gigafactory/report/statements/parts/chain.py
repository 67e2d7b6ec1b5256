"""Chapters on the supply chain: whose law reaches it, where it is from, how long it lasts alone."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from gigafactory import supply
from gigafactory.factory.supplygraph import SupplyPicture
from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.shared import Part, Row, shares_of_rows_figure
from gigafactory.report.sections.tell import Picture, Section, Table
from gigafactory.report.statements.desk import Absent, Desk
from gigafactory.report.statements.providers import ask

_RANKED_MOST: Final = 10
_WAYS_MOST: Final = 8
_COUNTRIES_MOST: Final = 8


def chain_part(desk: Desk) -> Section | Absent:
    """The supply chain of a factory, from its graph."""
    picture = ask(desk, "supply")
    if isinstance(picture, Absent):
        return picture
    assert isinstance(picture, SupplyPicture)
    graph, voice, section = picture.graph, desk.voice, desk.part("supply")
    section.lead.extend(chain_told(desk))
    by_value = supply.content(graph)
    section.pictures.append(_content(desk, by_value))
    section.tables.append(_laws(desk, graph))
    section.tables.append(_alone(desk, picture))
    section.tables.append(_ranking(desk, graph))
    section.tables.append(_materials(desk, picture))
    for one in supply.conflicts(graph):
        section.points.append(
            voice.markup(
                "chain.conflict",
                party=graph.nodes[one.party].shown(voice.lang),
                thing=graph.nodes[one.thing].shown(voice.lang),
            )
        )
    unknown = supply.unknowns(graph)
    count = desk.found(float(len(unknown)), "supply:unknowns")
    section.notes.append(voice.markup("chain.unknown", count=count))
    return section


def chain_told(desk: Desk) -> list[Markup]:
    """Whose law reaches it, how much is European, and which country it could least do without."""
    picture = ask(desk, "supply")
    if isinstance(picture, Absent):
        return []
    assert isinstance(picture, SupplyPicture)
    graph, voice = picture.graph, desk.voice
    exposed = supply.exposure(graph, graph.root)
    whole = next(one for one in supply.content(graph) if one.layer == "all")
    told = [
        voice.say(f"chain.verdict.{exposed.verdict}"),
        voice.markup(
            "chain.content",
            union=desk.share(whole.share_union, "supply:content/all"),
            home=desk.share(whole.share_home, "supply:content/all"),
            unknown=desk.share(whole.share_unknown, "supply:content/all"),
        ),
    ]
    alone = supply.autonomy(graph, picture.remedy, picture.rules.tolerance)
    first = next((a for a in alone if a.autonomy_days is not None), None)
    if first is not None:
        told.append(
            voice.markup(
                "chain.first",
                country=voice.named("country", first.country),
                days=desk.found(first.autonomy_days, f"supply:autonomy/{first.country}"),
                remedy=desk.found(first.remedy_days, "supply:rules/remedy"),
                answer=desk.found(first.answered_days, "supply:rules/remedy"),
            )
        )
    return [Markup(" ").join(Markup("{}").format(one) for one in told)]


def _content(desk: Desk, content: tuple[supply.Content, ...]) -> Picture:
    voice = desk.voice
    rows = [
        Row(
            voice.say("chain.all") if one.layer == "all" else voice.named("asset_layer", one.layer),
            (
                Part("useful", one.share_home),
                Part("overhead", one.share_union - one.share_home),
                Part("lost_failure", one.share_other),
                Part("reserved_idle", one.share_unknown),
            ),
            voice.markup("chain.worth", value=voice.number(one.value_eur / 1e6)),
            f"supply:content/{one.layer}",
        )
        for one in content
    ]
    names = [voice.say(f"chain.side.{n}") for n in ("home", "union", "other", "unknown")]
    told = "; ".join(f"{r.label} {voice.share(r.parts[0].share + r.parts[1].share)}" for r in rows)
    caption = Caption("fig-content", voice.say("chain.content_title"), told)
    svg = shares_of_rows_figure(rows, names, caption)
    return Picture(svg, voice.markup("chain.content_caption"), " ".join(r.source for r in rows))


def _laws(desk: Desk, graph: supply.Graph) -> Table:
    """The ways by which law from outside reaches the factory, those that control first."""
    voice = desk.voice
    shown: list[list[Markup | str]] = []
    for one in supply.exposure(graph, graph.root).outside[:_WAYS_MOST]:
        way = " → ".join(graph.nodes[name].shown(voice.lang) for name in one.path[1:])
        shown.append(
            [
                one.jurisdiction,
                graph.nodes[one.holder].shown(voice.lang),
                voice.say(f"chain.way.{one.way}"),
                voice.say("word.yes") if one.controls else voice.say("word.no"),
                way,
            ]
        )
    heads = [voice.say(f"chain.{n}") for n in ("law", "holder", "by", "controls", "path")]
    return Table(voice.say("chain.laws"), heads, shown, texts=frozenset({1, 2, 3, 4}))


def _alone(desk: Desk, picture: SupplyPicture) -> Table:
    voice = desk.voice
    rows: list[list[Markup | str]] = []
    found = supply.autonomy(picture.graph, picture.remedy, picture.rules.tolerance)
    for one in found[:_COUNTRIES_MOST]:
        trail = f"supply:autonomy/{one.country}"
        days: Markup | str = voice.say("chain.longer")
        if one.autonomy_days is not None:
            days = desk.found(one.autonomy_days, trail)
        flag = one.flag or "lasts"
        rows.append(
            [
                voice.named("country", one.country),
                days,
                desk.share(one.share_lost_by_remedy, trail),
                voice.say(f"chain.flag.{flag}"),
            ]
        )
    heads = [voice.say(f"chain.{n}") for n in ("country", "days", "lost", "against")]
    return Table(voice.say("chain.alone"), heads, rows, texts=frozenset({3}))


def _ranking(desk: Desk, graph: supply.Graph) -> Table:
    voice = desk.voice
    rows: list[list[Markup | str]] = []
    for one in supply.ranking(graph)[:_RANKED_MOST]:
        trail = f"supply:ranking/{one.name}"
        parts = (
            *(one.impact_share, one.difficulty_share, one.concentration_share),
            *(one.lead_share, one.score_share),
        )
        unknown = ", ".join(voice.say(f"chain.lacks.{what}") for what in one.unknown)
        rows.append(
            [
                graph.nodes[one.name].shown(voice.lang),
                *(voice.traced(voice.number(part, 2), part, trail) for part in parts),
                unknown or "–",
            ]
        )
    names = ("thing", "impact", "difficulty", "concentration", "lead", "score", "taken_as_worst")
    heads = [voice.say(f"chain.{n}") for n in names]
    return Table(voice.say("chain.ranking"), heads, rows, texts=frozenset({6}))


def _materials(desk: Desk, picture: SupplyPicture) -> Table:
    voice, graph = desk.voice, picture.graph
    most = picture.rules.third_country_max
    rows: list[list[Markup | str]] = []
    for one in supply.materials(graph, most):
        if one.share is None:
            continue
        word = "over" if one.exceeds else "within"
        rows.append(
            [
                graph.nodes[one.name].shown(voice.lang),
                one.country,
                desk.share(one.share, f"supply:materials/{one.name}"),
                voice.say(f"chain.limit.{word}"),
                ", ".join(graph.nodes[name].shown(voice.lang) for name in one.used_in),
            ]
        )
    heads = [
        voice.say(f"chain.{n}") for n in ("material", "country", "share", "limit_head", "used")
    ]
    title = voice.say("chain.materials", most=voice.share(most, 0))
    return Table(title, heads, rows, texts=frozenset({1, 3, 4}))


__all__ = ["chain_part", "chain_told"]
