"""Chapters on what the report stands on: sources, terms, how to check it, what it does not show."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from gigafactory.report.sections.tell import Section, Table, Teller

_TERMS = (
    "accelerator_hour",
    "h100_equivalent",
    "useful",
    "promised",
    "borrowed",
    "goodput",
    "ettr",
    "herfindahl",
    "pue",
    "wue",
    "erf",
    "site_energy",
    "lcoc",
    "location_based",
    "market_based",
    "ppa",
    "imbalance",
    "limit",
    "percentile",
)
_LIMITS = ("model", "market", "people", "forecast", "range", "receipts")


def sources_section(tell: Teller) -> Section:
    """Every figure from outside with its source, year and how far it was checked."""
    section, voice, rows = tell.section("sources"), tell.voice, tell.frame.sources
    counts: dict[str, int] = {}
    for row in rows:
        state = str(row.get("state") or "unknown")
        counts[state] = counts.get(state, 0) + 1
    told = Markup(", ").join(
        voice.markup(
            "sources.count",
            count=tell.found(float(number), "sources:state"),
            state=voice.named("state", state),
        )
        for state, number in sorted(counts.items())
    )
    section.lead.append(voice.markup("sources.lead", counts=told or "–"))
    notes = tell.frame.summary.get("notes")
    if isinstance(notes, list) and notes:
        section.lead.append(Markup("{}").format(voice.say("sources.notes")))
        section.points.extend(Markup("{}").format(str(note)) for note in notes)
    section.tables.extend(_assets(tell))
    ordered = sorted(rows, key=lambda row: (str(row.get("figure")), str(row.get("source"))))
    names = ("figure", "value", "unit", "source", "year", "state")
    table = Table(
        voice.say("sources.table"),
        [voice.say(f"sources.{name}") for name in names],
        [_source_row(tell, row) for row in ordered],
        texts=frozenset({1, 2, 3, 4, 5}),
    )
    section.tables.append(table)
    return section


def _assets(tell: Teller) -> list[Table]:
    """What each site is made of, layer by layer, from the factory file."""
    rows: list[list[Markup | str]] = []
    for name, site in (tell.frame.factory.get("sites") or {}).items():
        assets = site.get("assets") if isinstance(site, dict) else None
        rows += [
            [
                tell.voice.named("asset_layer", str(asset.get("layer"))),
                Markup("{}: {}").format(name, asset.get("name")),
                Markup("{} {}").format(asset.get("amount"), asset.get("unit", "")),
                Markup("{}").format(asset.get("supplier")),
                Markup("{}").format(asset.get("country")),
            ]
            for asset in assets or []
        ]
    if not rows:
        return []
    heads = [
        tell.voice.say(f"assets.{n}") for n in ("layer", "name", "amount", "supplier", "country")
    ]
    return [Table(tell.voice.say("assets.table"), heads, rows, texts=frozenset({1, 2, 3, 4}))]


def _source_row(tell: Teller, row: Any) -> list[Markup | str]:
    state = str(row.get("state") or "unknown")
    badge = Markup('<span class="badge {}">{}</span>').format(
        state, tell.voice.named("state", state)
    )
    value = row.get("value")
    if isinstance(value, float | int) and not isinstance(value, bool):
        value = tell.voice.neat(float(value))
    cells = [Markup("<code>{}</code>").format(row.get("figure") or "")]
    cells += [Markup("{}").format(_text(text)) for text in (value, row.get("unit"))]
    cells += [Markup("{}").format(_text(row.get(name))) for name in ("source", "year")]
    return [*cells, badge]


def _text(value: object) -> str:
    return "" if value is None else str(value)


def terms_section(tell: Teller) -> Section:
    """What the words and the ratios mean."""
    section, voice = tell.section("terms"), tell.voice
    section.points.extend(
        Markup("<dfn>{}</dfn>: {}").format(
            voice.say(f"term.{n}.name"), voice.markup(f"term.{n}.text")
        )
        for n in _TERMS
    )
    return section


def check_section(tell: Teller) -> Section:
    """How a reader can check the figures without trusting the report."""
    section, voice, folder = tell.section("check"), tell.voice, tell.frame.folder
    for name in ("trace", "verify", "replay", "again"):
        section.points.append(voice.markup(f"check.{name}", folder=folder))
    if not isinstance(tell.frame.summary.get("conservation"), dict):
        return section
    rest = _leaves("conservation", tell.frame.summary["conservation"])
    rows: list[list[Markup | str]] = [
        [Markup("<code>{}</code>").format(key), _leaf(tell, key, value)] for key, value in rest
    ]
    heads = [voice.say("check.account"), voice.say("check.difference")]
    section.tables.append(Table(voice.say("check.table"), heads, rows, folded=True))
    return section


def _leaves(prefix: str, tree: dict[str, Any]) -> list[tuple[str, Any]]:
    out: list[tuple[str, Any]] = []
    for key in sorted(tree):
        name = f"{prefix}.{key}"
        out += _leaves(name, tree[key]) if isinstance(tree[key], dict) else [(name, tree[key])]
    return out


def _leaf(tell: Teller, key: str, value: object) -> Markup:
    if isinstance(value, bool):
        word = tell.voice.say("word.yes") if value else tell.voice.say("word.no")
        return Markup('<span data-source="summary:{}">{}</span>').format(key, word)
    if isinstance(value, int | float):
        shown = tell.voice.number(float(value), 0 if float(value).is_integer() else 6)
        return tell.voice.traced(shown, float(value), f"summary:{key}")
    return Markup('<span data-source="summary:{}">{}</span>').format(key, _text(value))


def limits_section(tell: Teller) -> Section:
    """What the report does not show."""
    section = tell.section("limits")
    section.points.extend(tell.voice.markup(f"limits.{name}") for name in _LIMITS)
    if tell.frame.summary.get("synthetic"):
        section.points.insert(0, tell.voice.markup("limits.synthetic"))
    return section
