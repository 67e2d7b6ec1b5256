"""Chapters on where money ends: value retained, public money, the factory elsewhere, promises."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from gigafactory.finance.flows import PLACES, USES, retained_share
from gigafactory.finance.statement import Statement
from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.sankey import Flow, sankey_figure
from gigafactory.report.sections.tell import Picture, Section, Table
from gigafactory.report.statements.desk import Absent, Desk
from gigafactory.report.statements.moneywords import known_or, word
from gigafactory.report.statements.parts.years import money_of

#: Cents in a million euro.
_CENTS: Final = 1e8
_COLOURS: Final = {"nl": "useful", "eu": "overhead", "elsewhere": "lost_failure"}
_KINDS: Final = {
    "capex": "accent",
    "ip": "intraday",
    "opex": "ppa",
    "tax": "imbalance",
    "interest": "afrr",
    "repayment": "idle",
    "profit": "held_paused",
}


def retained_part(desk: Desk) -> Section | Absent:
    """Of what the company pays, what stays in the country, in the Union, and what leaves."""
    told = money_of(desk)
    if isinstance(told, Absent):
        return told
    section, voice = desk.part("retained"), desk.voice
    shares = {
        place: desk.share(retained_share(told.cells, place), f"finance:value_by_place.{place}")
        for place in PLACES
    }
    section.lead.append(voice.markup("value.lead", **shares))
    section.pictures.append(_flows(desk, told))
    cells = {(cell.kind, cell.place): float(cell.cents) for cell in told.cells}
    rows: list[list[Markup | str]] = []
    for kind in (*USES, "sum"):
        held = [
            cells[kind, place] if kind in USES else sum(cells[use, place] for use in USES)
            for place in PLACES
        ]
        trails = [f"finance:value_by_place.{place}" for place in PLACES]
        values = zip([*held, sum(held)], [*trails, "finance:value_by_place"], strict=True)
        rows.append(
            [word(kind, voice.lang), *(desk.found(v / _CENTS, trail) for v, trail in values)]
        )
    heads = [word(key, voice.lang) for key in ("kind", *PLACES, "sum")]
    section.tables.append(Table(voice.say("value.table"), heads, rows, total=True))
    section.tables.append(_actors(desk, told))
    section.notes.append(voice.markup("value.note"))
    return section


def _flows(desk: Desk, told: Statement) -> Picture:
    voice = desk.voice
    by_kind = {
        kind: sum(float(c.cents) for c in told.cells if c.kind == kind) / _CENTS for kind in USES
    }
    by_place = {
        place: sum(float(c.cents) for c in told.cells if c.place == place) / _CENTS
        for place in PLACES
    }
    into = [
        Flow(_KINDS[kind], word(kind, voice.lang), amount, f"finance:value_by_place.{kind}")
        for kind, amount in by_kind.items()
    ]
    out = [
        Flow(_COLOURS[place], word(place, voice.lang), amount, f"finance:value_by_place.{place}")
        for place, amount in by_place.items()
    ]
    told_words = "; ".join(f"{flow.label} {voice.number(flow.energy_mwh)}" for flow in out)
    caption = Caption("fig-retained", voice.say("part.retained"), told_words)
    unit = voice.say("span.short_million")
    svg = sankey_figure(into, out, known_or("company", voice.lang), caption, voice, unit)
    return Picture(svg, voice.markup("value.caption"), " ".join(f.source for f in (*into, *out)))


def _actors(desk: Desk, told: Statement) -> Table:
    """What every actor received less what it paid, over all years; together nought."""
    voice = desk.voice
    nets = {actor: float(cents.sum()) for actor, cents in told.ledger.by_actor().items()}
    ordered = sorted(nets.items(), key=lambda row: (-row[1], row[0]))
    rows: list[list[Markup | str]] = [
        [known_or(actor, voice.lang), desk.found(cents / _CENTS, f"finance:cash_by_actor.{actor}")]
        for actor, cents in ordered
    ]
    total = sum(int(cents.sum()) for cents in told.ledger.by_actor().values())
    rows.append([word("sum", voice.lang), desk.found(total / _CENTS, "finance:cash_by_actor")])
    heads = [word("actor", voice.lang), voice.say("span.million_eur")]
    return Table(voice.say("value.actors"), heads, rows, total=True)


def public_part(desk: Desk) -> Section | Absent:
    """What each grant comes to, and the same factory in other countries."""
    told = money_of(desk)
    if isinstance(told, Absent):
        return told
    section, voice = desk.part("public_money"), desk.voice
    section.lead.append(voice.markup("value.public"))
    grants: list[list[Markup | str]] = [
        [
            row.title[voice.lang],
            word("yes" if row.granted else "no", voice.lang),
            desk.found(row.amount_eur / 1e6, f"finance:grants.{row.name}"),
            desk.found(row.bought_gpu_h_per_eur, f"finance:grants.{row.name}", 3),
            desk.found(row.group_gpu_h_per_eur, f"finance:grants.{row.name}", 3),
            desk.found(row.firms_per_meur, f"finance:grants.{row.name}", 3),
            desk.found(row.research_eur_per_eur, f"finance:grants.{row.name}", 2),
        ]
        for row in told.spillovers
    ]
    keys = (
        *("grant", "counted", "amount", "bought_per_eur", "group_per_eur", "firms_per_meur"),
        "research_per_eur",
    )
    heads = [word(key, voice.lang) for key in keys]
    title = word("grant_table", voice.lang)
    section.tables.append(Table(title, heads, grants, texts=frozenset({1})))
    places: list[list[Markup | str]] = [
        [
            one.title[voice.lang],
            desk.share(one.tax_rate, f"finance:countries.{one.code}"),
            desk.found(one.npv_eur / 1e6, f"finance:countries.{one.code}"),
            desk.found(one.support_eur / 1e6, f"finance:countries.{one.code}"),
            desk.found(one.npv_supported_eur / 1e6, f"finance:countries.{one.code}"),
            ", ".join(word(key, voice.lang) for key in one.missing) or "–",
        ]
        for one in told.countries
    ]
    columns = ("country", "tax_rate", "npv_bare", "support", "npv_supported", "missing")
    heads = [word(key, voice.lang) for key in columns]
    title = voice.say("value.countries")
    section.tables.append(Table(title, heads, places, texts=frozenset({5})))
    section.notes.append(voice.markup("value.countries_note"))
    return section


def promises_part(desk: Desk) -> Section | Absent:
    """What others promised of such factories, held against what was found, with who said so."""
    told = money_of(desk)
    if isinstance(told, Absent):
        return told
    section, voice = desk.part("promises"), desk.voice
    section.lead.append(voice.markup("value.promises"))
    rows: list[list[Markup | str]] = [
        [
            row.claim[voice.lang],
            Markup('<span class="verdict {}">{}</span>').format(
                row.verdict, word(row.verdict, voice.lang)
            ),
            Markup('<span data-source="finance:claims.{}">{}</span>').format(
                row.name, row.why[voice.lang]
            ),
            f"{row.source.source}, {row.source.year}",
        ]
        for row in told.judged
    ]
    heads = [voice.say(f"value.{name}") for name in ("claim", "verdict", "why", "who_says")]
    title = word("claim_table", voice.lang)
    section.tables.append(Table(title, heads, rows, texts=frozenset({1, 2, 3})))
    return section


__all__ = ["promises_part", "public_part", "retained_part"]
