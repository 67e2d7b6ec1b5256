"""The supply graph on the terminal: tables and sentences, in English or Dutch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gigafactory.factory.supplygraph import SupplyPicture
from gigafactory.report.voice import Voice
from gigafactory.supply import (
    UNKNOWN,
    Stop,
    asset_losses,
    autonomy,
    concentration,
    conflicts,
    content,
    criticality,
    exposure,
    materials,
    path_between,
    ranking,
    replaceability,
    spares,
    spending,
    unknowns,
)

_TOP: Final = 10
_EUR_PER_MEUR: Final = 1e6
#: Months shown of a course.
_SHOWN: Final = (1, 3, 6, 12, 18, 24, 36)
_UP: Final = " → "


def supply_lines(picture: SupplyPicture, lang: str = "en") -> list[str]:
    """Everything the graph says by itself: content, concentration, substitutes, autonomy, gaps.

    Args:
        picture: the supply graph of a factory.
        lang: "en" or "nl".

    Raises:
        BadInput: for a language that is not there.
    """
    voice, graph = Voice(lang), picture.graph
    lines = [
        voice.say(
            "supply_graph.title",
            name=graph.nodes[graph.root].shown(voice.lang),
            nodes=len(graph.nodes),
            edges=len(graph.edges),
        )
    ]
    if not picture.stated:
        lines.append(voice.say("supply_graph.no_file"))
    for part in (
        _content,
        _concentration,
        _ranking,
        _substitutes,
        _spares,
        _assets,
        _autonomy,
        _materials,
        _spending,
        _ownership,
        _conflicts,
        _gaps,
        _sources,
    ):
        found = part(picture, voice)
        if found:
            lines += ["", *found]
    return lines


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table with the first column to the left and the others to the right."""
    widths = [max(len(row[k]) for row in (heads, *rows)) for k in range(len(heads))]
    return [
        "  "
        + "  ".join(
            f"{cell:<{width}}" if k == 0 else f"{cell:>{width}}"
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (heads, *rows)
    ]


def _layer(voice: Voice, layer: str) -> str:
    return voice.say("supply_graph.all") if layer == "all" else voice.say(f"asset_layer.{layer}")


def _content(picture: SupplyPicture, voice: Voice) -> list[str]:
    graph = picture.graph
    seat, control = content(graph, "country"), content(graph, "group")
    origin = content(graph, "origin")
    weighed = content(graph, "country", criticality=criticality(graph))
    rows = []
    for a, b, c, d in zip(seat, control, origin, weighed, strict=True):
        if not a.value_eur and not d.things:
            continue
        rows.append(
            [
                _layer(voice, a.layer),
                voice.number(a.value_eur / _EUR_PER_MEUR),
                *(
                    f"{voice.share(one.share_home, 0)} / {voice.share(one.share_union, 0)}"
                    if one.things
                    else "-"
                    for one in (a, b, c, d)
                ),
                voice.number(a.unvalued),
            ]
        )
    heads = [
        voice.say(f"supply_graph.{key}")
        for key in ("layer", "meur", "by_seat", "by_control", "by_origin", "by_weight", "unvalued")
    ]
    return [voice.say("supply_graph.content"), *table(heads, rows)]


def _concentration(picture: SupplyPicture, voice: Voice) -> list[str]:
    rows = []
    for vendor, country in zip(
        concentration(picture.graph), concentration(picture.graph, "country"), strict=True
    ):
        if not vendor.total_eur:
            continue
        first = next(iter(vendor.value_eur))
        name = (
            voice.say("supply_graph.nobody")
            if first == UNKNOWN
            else picture.graph.nodes[first].shown(voice.lang)
        )
        rows.append(
            [
                _layer(voice, vendor.layer),
                _between(voice, vendor.concentration_low, vendor.concentration_high),
                _between(voice, country.concentration_low, country.concentration_high),
                f"{name} {voice.share(vendor.value_eur[first] / vendor.total_eur, 0)}",
            ]
        )
    if not rows:
        return []
    heads = [voice.say(f"supply_graph.{k}") for k in ("layer", "by_vendor", "by_land", "largest")]
    return [voice.say("supply_graph.concentration"), *table(heads, rows)]


def _between(voice: Voice, low: float, high: float) -> str:
    if round(low) == round(high):
        return voice.number(low)
    return f"{voice.number(low)} - {voice.number(high)}"


def _ranking(picture: SupplyPicture, voice: Voice) -> list[str]:
    graph = picture.graph
    rows = [
        [
            graph.nodes[one.name].shown(voice.lang),
            voice.number(one.score_share, 2),
            voice.share(one.weight.h100_equivalent_share, 0),
            voice.share(one.weight.power_share, 0),
            voice.share(one.weight.tenants_share, 0),
            voice.share(one.share_lost_12),
        ]
        for one in ranking(graph)[:_TOP]
    ]
    if not rows:
        return []
    heads = [
        voice.say(f"supply_graph.{key}")
        for key in ("thing", "score", "of_h100", "of_power", "of_tenants", "lost_12")
    ]
    return [voice.say("supply_graph.ranking", top=len(rows)), *table(heads, rows)]


def _substitutes(picture: SupplyPicture, voice: Voice) -> list[str]:
    rows = []
    for one in replaceability(picture.graph):
        named = ", ".join(
            f"{s.shown(voice.lang)} ({voice.number(s.switching_months, 0)})"
            for s in one.substitutes
        )
        flag = voice.say(f"supply_flag.{one.flag}") if one.flag else ""
        rows.append([picture.graph.nodes[one.name].shown(voice.lang), flag or named])
    if not rows:
        return []
    heads = [voice.say("supply_graph.thing"), voice.say("supply_graph.replaced_by")]
    width = max(len(row[0]) for row in (heads, *rows))
    shown = [f"  {a:<{width}}  {b}".rstrip() for a, b in (heads, *rows)]
    return [voice.say("supply_graph.substitutes"), *shown]


def _spares(picture: SupplyPicture, voice: Voice) -> list[str]:
    graph = picture.graph
    rows = []
    for one in spares(graph, max(_SHOWN)):
        if one.failures_per_year is None:
            continue
        until = "-" if one.full_months is None else voice.number(one.full_months, 1)
        rows.append(
            [
                " < ".join(graph.nodes[n].shown(voice.lang) for n in (one.name, one.of)),
                voice.share(one.failures_per_year),
                voice.share(one.spare_share),
                until,
                *(voice.share(one.survival[month - 1]) for month in (12, 24, 36)),
            ]
        )
    if not rows:
        return []
    heads = [
        voice.say(f"supply_graph.{key}")
        for key in (
            "needs_parts",
            "failures",
            "spares",
            "lasts",
            "after_12",
            "after_24",
            "after_36",
        )
    ]
    return [voice.say("supply_graph.survival"), *table(heads, rows)]


def _assets(picture: SupplyPicture, voice: Voice) -> list[str]:
    graph = picture.graph
    rows = [
        [
            graph.nodes[one.name].shown(voice.lang),
            f"{voice.number(one.pieces)} / {voice.number(one.count)}",
            voice.number(one.lost_power_mw, 1),
            voice.number(one.lost_h100_equivalent),
            voice.number(len(one.tenants)),
            voice.say("supply_graph.nobody")
            if one.repair_days is None
            else voice.number(one.repair_days),
        ]
        for one in asset_losses(graph)
    ]
    if not rows:
        return []
    heads = [
        voice.say(f"supply_graph.{key}")
        for key in ("asset", "pieces", "lost_mw", "lost_h100", "tenants_hit", "repair_days")
    ]
    return [voice.say("supply_graph.assets"), *table(heads, rows)]


def _autonomy(picture: SupplyPicture, voice: Voice) -> list[str]:
    remedy = picture.remedy
    rows = []
    for one in autonomy(picture.graph, remedy, picture.rules.tolerance):
        if one.autonomy_days is None and not one.flag:
            continue
        days = "-" if one.autonomy_days is None else voice.number(one.autonomy_days)
        flag = voice.say(f"supply_flag.{one.flag}") if one.flag else ""
        rows.append([one.country, days, voice.share(one.share_lost_by_remedy), flag])
    if not rows:
        return []
    heads = [voice.say(f"supply_graph.{k}") for k in ("country", "days", "lost_by_then", "flag")]
    low, high = remedy.determined_days
    return [
        voice.say(
            "supply_graph.autonomy",
            tolerance=voice.share(picture.rules.tolerance, 0),
            low=voice.number(low),
            high=voice.number(high),
            answered=voice.number(remedy.answered_days),
        ),
        *table(heads, rows),
    ]


def _materials(picture: SupplyPicture, voice: Voice) -> list[str]:
    rows = []
    for one in materials(picture.graph, picture.rules.third_country_max):
        none = voice.say("supply_graph.nobody")
        verdict = "unknown" if one.exceeds is None else "over" if one.exceeds else "within"
        rows.append(
            [
                picture.graph.nodes[one.name].shown(voice.lang),
                none if one.share is None else f"{one.country} {voice.share(one.share)}".strip(),
                none if one.mass_kg is None else f"{voice.number(one.mass_kg / 1000)} t",
                voice.say(f"supply_rule.{verdict}"),
                voice.say("word.yes") if one.strategic else voice.say("word.no"),
            ]
        )
    if not rows:
        return []
    heads = [
        voice.say(f"supply_graph.{key}")
        for key in ("material", "largest", "mass", "rule", "strategic")
    ]
    limit = voice.share(picture.rules.third_country_max, 0)
    return [voice.say("supply_graph.materials", limit=limit), *table(heads, rows)]


def _spending(picture: SupplyPicture, voice: Voice) -> list[str]:
    found = spending(picture.graph)
    whole = sum(found.values())
    rows = [
        [
            voice.say(f"supply_actor.{actor}"),
            voice.number(eur / _EUR_PER_MEUR),
            voice.share(eur / whole, 0),
        ]
        for actor, eur in found.items()
    ]
    heads = [voice.say(f"supply_graph.{key}") for key in ("actor", "meur", "part")]
    return [voice.say("supply_graph.spending"), *table(heads, rows)] if rows else []


def _ownership(picture: SupplyPicture, voice: Voice) -> list[str]:
    found = picture.ownership()
    if found is None or picture.baseline is None:
        return []
    rows = [
        [
            voice.say(f"supply_graph.{key}"),
            voice.number(one.h100_equivalent / 1e6, 2),
            voice.share(one.share_union, 2),
            _between(voice, one.owners_concentration_low, one.owners_concentration_high),
            _between(voice, one.countries_concentration_low, one.countries_concentration_high),
        ]
        for key, one in zip(("before", "after"), found, strict=True)
    ]
    heads = [
        voice.say(f"supply_graph.{key}")
        for key in ("world", "million_h100", "union_part", "by_owner", "by_land")
    ]
    day = voice.date(picture.baseline.day)
    return [voice.say("supply_graph.ownership", day=day), *table(heads, rows)]


def _conflicts(picture: SupplyPicture, voice: Voice) -> list[str]:
    nodes = picture.graph.nodes
    return [
        voice.say(
            "supply_graph.conflict",
            party=nodes[one.party].shown(voice.lang),
            thing=nodes[one.thing].shown(voice.lang),
            owns=_UP.join(nodes[name].shown(voice.lang) for name in one.owns),
        )
        for one in conflicts(picture.graph)
    ]


def _gaps(picture: SupplyPicture, voice: Voice) -> list[str]:
    by: dict[str, list[str]] = {}
    for one in unknowns(picture.graph):
        by.setdefault(one.what, []).append(picture.graph.nodes[one.node].shown(voice.lang))
    if not by:
        return []
    return [
        voice.say("supply_graph.unknown"),
        *(
            f"  {voice.say(f'supply_gap.{what}')} ({voice.number(len(names))}): {'; '.join(names)}"
            for what, names in sorted(by.items())
        ),
    ]


def _sources(picture: SupplyPicture, voice: Voice) -> list[str]:
    """How many nodes and edges rest on what; the file names each source with its year."""
    graph = picture.graph
    states = {"published": 0, "measured": 0, "assumption": 0}
    bare = 0
    cited = [node.sources for node in graph.nodes.values()] + [e.sources for e in graph.edges]
    for sources in cited:
        bare += not sources
        for state in {one.state for one in sources}:
            states[state] = states.get(state, 0) + 1
    return [
        voice.say(
            "supply_graph.sources",
            published=voice.number(states["published"] + states["measured"]),
            assumed=voice.number(states["assumption"]),
            factory=voice.number(bare),
        )
    ]


def path_lines(picture: SupplyPicture, name: str, needed: str, lang: str = "en") -> list[str]:
    """The shortest way from one who needs to what it needs.

    Raises:
        BadInput: one of them is no node, or there is no such language.
    """
    voice, nodes = Voice(lang), picture.graph.nodes
    way = path_between(picture.graph, name, needed)
    if way:
        return [_UP.join(nodes[step].shown(lang) for step in way)]
    ends = {"name": nodes[name].shown(lang), "needed": nodes[needed].shown(lang)}
    return [voice.say("supply_graph.no_path", **ends)]


def exposure_lines(picture: SupplyPicture, name: str, lang: str = "en") -> list[str]:
    """Whose law reaches a node, and by which way.

    Raises:
        BadInput: there is no such node, or no such language.
    """
    voice, graph = Voice(lang), picture.graph
    found = exposure(graph, name)
    shown = graph.nodes[name].shown(voice.lang)
    lines = [voice.say(f"supply_verdict.{found.verdict}", name=shown)]
    for one in found.outside:
        steps = _UP.join(
            f"{graph.nodes[n].shown(voice.lang)} ({graph.nodes[n].country or '?'})"
            for n in one.path
        )
        controls = voice.say("supply_graph.controls") if one.controls else ""
        way = voice.say(f"supply_way.{one.way}")
        lines.append(f"  {one.jurisdiction}  {way}{controls}: {steps}")
    if found.unknown:
        names = ", ".join(graph.nodes[n].shown(voice.lang) for n in found.unknown)
        lines.append(voice.say("supply_graph.seat_unknown", names=names))
    return lines


def stop_lines(picture: SupplyPicture, stop: Stop, lang: str = "en") -> list[str]:
    """What stops when something stops: loss by month, tenants, recovery, and what nobody knows.

    Raises:
        BadInput: for a language that is not there.
    """
    voice, graph = Voice(lang), picture.graph
    tolerance = picture.rules.tolerance
    name = (
        graph.nodes[stop.cut.name].shown(voice.lang)
        if stop.cut.name in graph.nodes
        else stop.cut.name
    )
    key = "disabled" if stop.cut.disables else "stopped"
    lines = [voice.say(f"supply_graph.{key}", name=name, gone=len(stop.cut.nodes))]
    months = [month for month in _SHOWN if month <= stop.months]
    rows = [
        [
            voice.number(month),
            voice.share(stop.share_lost(month)),
            voice.number(stop.lost_h100_equivalent[month - 1]),
            voice.number(stop.lost_accelerators[month - 1]),
            voice.number(stop.lost_power_mw[month - 1], 1),
            f"{len(stop.tenants_hit(month, tolerance))} / {len(stop.tenants)}",
        ]
        for month in months
    ]
    heads = [
        voice.say(f"supply_graph.{k}")
        for k in ("month", "lost", "lost_h100", "lost_chips", "lost_mw", "tenants_hit")
    ]
    lines += table(heads, rows)
    lines.append(_course(stop, voice, tolerance))
    for step in stop.steps:
        lines.append(
            "  "
            + voice.say(
                f"supply_step.{step.what}",
                month=voice.number(step.month, 1),
                node=graph.nodes[step.node].shown(voice.lang),
                of=graph.nodes[step.of].shown(voice.lang),
                by=step.by_nl if lang == "nl" else step.by,
            )
        )
    if stop.unknown:
        pairs = "; ".join(
            f"{graph.nodes[a].shown(voice.lang)} < {graph.nodes[b].shown(voice.lang)}"
            for a, b, _ in stop.unknown
        )
        lines.append(voice.say("supply_graph.how_long_unknown", pairs=pairs))
    return lines


def _course(stop: Stop, voice: Voice, tolerance: float) -> str:
    first, again = stop.first_month(tolerance), stop.recovered_month(tolerance)
    share = voice.share(tolerance, 0)
    if first is None:
        return voice.say("supply_graph.lasts_on", share=share, months=voice.number(stop.months))
    if again is None:
        return voice.say("supply_graph.no_recovery", share=share, first=voice.number(first))
    return voice.say(
        "supply_graph.recovery",
        share=share,
        first=voice.number(first),
        again=voice.number(again),
    )


__all__ = ["exposure_lines", "path_lines", "stop_lines", "supply_lines", "table"]
