"""Chapters on the years to come: what they come to, as ranges, who pays, what could go wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from gigafactory.finance.numbers import in_language
from gigafactory.finance.statement import Statement, capital_stack, first_operating_year
from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.steps import Reach, reach_figure
from gigafactory.report.sections.tell import Picture, Section, Table
from gigafactory.report.statements.desk import Absent, Desk
from gigafactory.report.statements.moneywords import known_or, word
from gigafactory.report.statements.providers import ask

_MILLION: Final = 1e6
#: Result, its word, what it is divided by (0 for a rate), digits, and its field in the measures.
_RESULTS: Final = (
    ("npv", "npv", _MILLION, 0, "npv_eur"),
    ("irr", "irr", 0.0, 1, "irr_rate"),
    ("equity_irr", "equity_irr", 0.0, 1, "equity_irr_rate"),
    ("payback", "payback", 1.0, 1, "payback_years"),
    ("lcoc", "lcoc", 1.0, 2, "lcoc_eur_per_gpu_h"),
    ("dscr_min", "dscr_min", 1.0, 2, "dscr_min_ratio"),
    ("capex", "capex_m", _MILLION, 0, "capex_eur"),
    ("revenue", "revenue_m", _MILLION, 0, "revenue_eur"),
    ("opex", "opex_m", _MILLION, 0, "opex_eur"),
)


def money_of(desk: Desk) -> Statement | Absent:
    """The years of money of the subject."""
    found = ask(desk, "years")
    assert isinstance(found, Statement | Absent)
    return found


def years_told(desk: Desk) -> list[Markup]:
    """What the years come to, as ranges, and how often they end badly."""
    told = money_of(desk)
    if isinstance(told, Absent):
        return []
    ranges, drawn = told.chances.ranges, told.chances
    npv, cost = ranges["npv"], ranges["lcoc"]
    return [
        desk.voice.markup(
            "years.told",
            npv=desk.span((npv.p10, npv.p90), "finance:ranges.npv", 1, 1e-9),
            middle=desk.found(npv.p50 / 1e9, "finance:ranges.npv", 1),
            lcoc=desk.span((cost.p10, cost.p90), "finance:ranges.lcoc", 2),
            loss=desk.share(drawn.loss_share, "finance:draws.loss_share", 0),
            breach=desk.share(drawn.breach_share, "finance:draws.breach_share", 0),
        )
    ]


def years_part(desk: Desk) -> Section | Absent:
    """Every result as planned and as a range over all draws, and which figure matters."""
    told = money_of(desk)
    if isinstance(told, Absent):
        return told
    section, voice, drawn = desk.part("years"), desk.voice, told.chances
    section.lead.extend(years_told(desk))
    section.lead.append(
        voice.markup(
            "years.begins",
            year=str(first_operating_year(told.course)),
            first=str(told.ledger.years[0]),
            last=str(told.ledger.years[-1]),
            draws=desk.found(float(drawn.draws), "finance:draws.number"),
            seed=str(drawn.seed),
        )
    )
    rows: list[list[Markup | str]] = []
    for name, label, scale, digits, field in _RESULTS:
        held = drawn.ranges[name]
        planned = float(getattr(told.measures, field)[0])
        values = (planned, held.p10, held.p50, held.p90)
        trails = (f"finance:plan.{field}", *[f"finance:ranges.{name}"] * 3)
        cells = [_shown(desk, v, t, scale, digits) for v, t in zip(values, trails, strict=True)]
        rows.append([word(label, voice.lang), *cells])
    heads = ["", *(word(key, voice.lang) for key in ("planned", "p10", "p50", "p90"))]
    section.tables.append(Table(voice.say("years.table"), heads, rows))
    section.pictures.append(_tornado(desk, told))
    section.notes.append(Markup("{}").format(word("why_below", voice.lang)))
    section.notes.append(voice.markup("cost.advice"))
    return section


def _shown(desk: Desk, value: float, trail: str, scale: float, digits: int) -> Markup:
    """A result; a dash where there is none, such as a payback that never comes."""
    if not math.isfinite(value):
        return Markup('<span class="soft">–</span>')
    if not scale:
        return desk.share(value, trail)
    return desk.voice.traced(desk.voice.number(value / scale, digits), value, trail)


def _tornado(desk: Desk, told: Statement) -> Picture:
    voice = desk.voice
    middle = float(told.measures.npv_eur[0]) / 1e9
    rows = [
        Reach(
            voice.markup(
                "years.from_to",
                name=known_or(bar.name, voice.lang),
                low=_minus(in_language(bar.low, voice.lang)),
                high=_minus(in_language(bar.high, voice.lang)),
            ),
            min(bar.npv_low_eur, bar.npv_high_eur) / 1e9,
            middle,
            max(bar.npv_low_eur, bar.npv_high_eur) / 1e9,
            f"finance:tornado.{bar.name}",
        )
        for bar in told.bars
        if bar.name != "valuation_multiple"  # another value: that of a sale, not of the project
    ]
    caption = Caption("fig-npv", voice.say("years.tornado"), voice.say("years.tornado"))
    svg = reach_figure(rows, 1, caption, voice, middle)
    sale = next((bar for bar in told.bars if bar.name == "valuation_multiple"), None)
    words = voice.markup("years.tornado_caption")
    if sale is not None:
        ends = (sale.npv_low_eur, sale.npv_high_eur)
        words += Markup(" ") + voice.markup(
            "years.multiple",
            low=in_language(sale.low, voice.lang),
            high=in_language(sale.high, voice.lang),
            span=desk.span(ends, "finance:tornado.valuation_multiple", 1, 1e-9),
        )
    return Picture(svg, words, " ".join(row.source for row in rows))


def _minus(words: str) -> str:
    return words.replace("-", "\u2212")


def capital_part(desk: Desk) -> Section | Absent:
    """What it costs to build, who pays for it, and how well the debt is covered."""
    told = money_of(desk)
    if isinstance(told, Absent):
        return told
    section, voice = desk.part("capital"), desk.voice
    total = told.capex[-1]
    section.lead.append(
        voice.markup(
            "years.capex",
            span=desk.span((total.low_eur, total.high_eur), "finance:capex.total", 1, 1e-9),
            per_mw=desk.found(total.eur_per_mw / _MILLION, "finance:capex.total", 1),
        )
    )
    section.pictures.append(_capex_picture(desk, told))
    section.tables.append(_capex(desk, told))
    stack: list[list[Markup | str]] = [
        [
            known_or(row.name, voice.lang),
            known_or(row.kind, voice.lang),
            desk.found(row.amount_eur / _MILLION, f"finance:stack.{row.name}"),
            desk.share(row.share, f"finance:stack.{row.name}"),
        ]
        for row in capital_stack(told.course)
    ]
    heads = [voice.say("years.who"), *_words(desk, ("rank", "amount", "part"))]
    title = word("stack_table", voice.lang)
    section.tables.append(Table(title, heads, stack, texts=frozenset({1})))
    section.tables.append(_loans(desk, told))
    section.points.extend(
        voice.markup(f"years.gate.{state}", title=getattr(gate.title, voice.lang))
        for gate, state in (
            (gate, "given" if gate.granted else "awaited") for gate in told.base.plan.approvals
        )
    )
    return section


def _words(desk: Desk, keys: Sequence[str]) -> list[str]:
    return [word(key, desk.voice.lang) for key in keys]


def _capex_picture(desk: Desk, told: Statement) -> Picture:
    voice = desk.voice
    rows = [
        Reach(
            known_or(row.name, voice.lang),
            row.low_eur / _MILLION,
            row.base_eur / _MILLION,
            row.high_eur / _MILLION,
            f"finance:capex.{row.name}",
        )
        for row in told.capex[:-1]
    ]
    title = word("capex_table", voice.lang)
    svg = reach_figure(rows, 0, Caption("fig-capex", title, title), voice, bars=True)
    return Picture(svg, voice.markup("years.capex_caption"), " ".join(r.source for r in rows))


def _capex(desk: Desk, told: Statement) -> Table:
    voice = desk.voice
    rows: list[list[Markup | str]] = []
    for row in told.capex:
        trail = f"finance:capex.{row.name}"
        ends = (row.low_eur, row.base_eur, row.high_eur)
        rows.append(
            [
                known_or(row.name, voice.lang),
                *(desk.found(value / _MILLION, trail) for value in ends),
                desk.found(row.eur_per_mw / _MILLION, trail, 2),
                desk.found(row.eur_per_accelerator, trail),
                desk.found(row.eur_per_h100e, trail),
            ]
        )
    keys = ("low", "base", "high", "per_mw", "per_acc", "per_h100e")
    heads = [voice.say("span.million_eur"), *_words(desk, keys)]
    return Table(word("capex_table", voice.lang), heads, rows, total=True)


def _loans(desk: Desk, told: Statement) -> Table:
    voice = desk.voice
    terms = {loan.terms.name: loan.terms for loan in told.course.financed.loans}
    rows: list[list[Markup | str]] = []
    for name, held in told.measures.loans.items():
        trail = f"finance:loans.{name}"
        covers = (held.dscr_min_ratio, held.dscr_mean_ratio, held.llcr_ratio)
        breach = int(held.breach_year[0])
        rows.append(
            [
                known_or(name, voice.lang),
                known_or(terms[name].kind, voice.lang),
                desk.share(terms[name].rate, f"finance:plan.{name}"),
                desk.found(terms[name].dscr_min, f"finance:plan.{name}", 2),
                *(desk.found(float(ratio[0]), trail, 2) for ratio in covers),
                str(breach) if breach else "–",
            ]
        )
    keys = ("loan", "rank", "rate", "covenant", "dscr", "dscr_mean", "llcr", "breach")
    title = voice.say("years.loans")
    return Table(title, _words(desk, keys), rows, texts=frozenset({1, 7}))


def scenarios_part(desk: Desk) -> Section | Absent:
    """What could go otherwise than planned, one cause at a time."""
    told = money_of(desk)
    if isinstance(told, Absent):
        return told
    section, voice = desk.part("scenarios"), desk.voice
    section.lead.append(voice.markup("years.scenarios"))
    drawn = [
        Reach(
            _short(outcome.scenario.title[voice.lang]),
            min(outcome.npv_change_eur, 0.0) / 1e9,
            0.0,
            max(outcome.npv_change_eur, 0.0) / 1e9,
            f"finance:scenarios.{outcome.scenario.name}",
            voice.number(outcome.npv_change_eur / 1e9, 1),
        )
        for outcome in told.outcomes
    ]
    caption = Caption("fig-scenarios", voice.say("part.scenarios"), voice.say("years.bars"))
    svg = reach_figure(drawn, 1, caption, voice, 0.0)
    section.pictures.append(
        Picture(svg, voice.markup("years.bars"), " ".join(one.source for one in drawn))
    )
    rows: list[list[Markup | str]] = []
    for outcome in told.outcomes:
        trail = f"finance:scenarios.{outcome.scenario.name}"
        years = (outcome.breach_year, outcome.called_year)
        rows.append(
            [
                outcome.scenario.title[voice.lang],
                desk.found(outcome.npv_change_eur / _MILLION, trail),
                desk.found(outcome.owners_change_eur / _MILLION, trail),
                desk.found(outcome.lcoc_change_eur_per_gpu_h, trail, 2),
                desk.found(float(outcome.measures.dscr_min_ratio[0]), trail, 2),
                *(str(year) if year else "–" for year in years),
                outcome.scenario.driver[voice.lang],
            ]
        )
    keys = ("scenario", "npv_change", "owners_change", "lcoc_change", "dscr", "breach", "runway")
    heads = _words(desk, (*keys, "driver"))
    title = voice.say("years.scenario_table")
    section.tables.append(Table(title, heads, rows, texts=frozenset({5, 6, 7})))
    section.notes.append(Markup("{}").format(word("conflict", voice.lang)))
    section.notes.append(voice.markup("cost.advice"))
    return section


def _short(words: str, most: int = 50) -> str:
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"


__all__ = ["capital_part", "money_of", "scenarios_part", "years_part", "years_told"]
