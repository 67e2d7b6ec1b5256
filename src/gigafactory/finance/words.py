"""The tables a reader sees: English or Dutch, every amount beside its range."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from gigafactory.finance.flows import PLACES, USES, retained_share
from gigafactory.finance.numbers import in_language, number, share
from gigafactory.finance.statement import Statement, capital_stack, first_operating_year
from gigafactory.finance.tables import read_table

_M = 1e6


@cache
def _words() -> dict[str, dict[str, str]]:
    return read_table("words.yaml")


def word(key: str, lang: str) -> str:
    """A word of the tables."""
    return _words()[key][lang]


def known_or(key: str, lang: str) -> str:
    """A word of the tables, or the key itself in plain letters."""
    return _words().get(key, {}).get(lang, key.replace("_", " "))


def product_name(product: str, lang: str) -> str:
    """A class of work; `research` is also a kind of customer, which has a word of its own."""
    return known_or("model_research" if product == "research" else product, lang)


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in fixed columns: the first one to the left, the others to the right."""
    cells = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def lines(told: Statement, lang: str = "en") -> list[str]:
    """A statement as tables.

    Args:
        told: the statement.
        lang: en or nl.
    """
    base = told.base
    found = [f"{word('title', lang)}: {base.factory.name}"]
    if base.run:
        found.append(word("from_run", lang).format(run=base.run, days=base.days))
    else:
        found.append(word("estimate", lang))
    if base.synthetic:
        found.append(word("synthetic", lang))
    for part in (
        _main, _capex, _sales, _gates, _stack, _scenarios, _loans, _actors, _places, _grants,
        _tornado, _curtailment, _countries, _deals, _demand, _claims,
    ):  # fmt: skip
        found += ["", *part(told, lang)]
    return [*found, "", word("caveat", lang)]


def _main(told: Statement, lang: str) -> list[str]:
    m, r = told.measures, told.chances.ranges
    rows = []
    for name, label, scale, digits, planned in (
        ("npv", "npv", _M, 0, m.npv_eur),
        ("irr", "irr", 0.0, 1, m.irr_rate),
        ("equity_irr", "equity_irr", 0.0, 1, m.equity_irr_rate),
        ("payback", "payback", 1.0, 1, m.payback_years),
        ("lcoc", "lcoc", 1.0, 2, m.lcoc_eur_per_gpu_h),
        ("dscr_min", "dscr_min", 1.0, 2, m.dscr_min_ratio),
        ("capex", "capex_m", _M, 0, m.capex_eur),
        ("revenue", "revenue_m", _M, 0, m.revenue_eur),
        ("opex", "opex_m", _M, 0, m.opex_eur),
    ):
        values = (float(planned[0]), r[name].p10, r[name].p50, r[name].p90)
        rows.append(
            [word(label, lang)]
            + [number(v / scale, digits, lang) if scale else share(v, lang) for v in values]
        )
    c = told.chances
    head = word("base_table", lang).format(draws=number(c.draws, 0, lang), seed=c.seed)
    heads = ["", *(word(w, lang) for w in ("planned", "p10", "p50", "p90"))]
    chance = word("chance_table", lang).format(
        loss=share(c.loss_share, lang, 0),
        breach=share(c.breach_share, lang, 0),
        called=share(c.called_share, lang, 0),
    )
    return [head, *grid(heads, rows), chance, word("why_below", lang), word("caveat", lang)]


def _capex(told: Statement, lang: str) -> list[str]:
    rows = [
        [
            known_or(row.name, lang),
            *(number(v / _M, 0, lang) for v in (row.low_eur, row.base_eur, row.high_eur)),
            number(row.eur_per_mw / _M, 2, lang),
            number(row.eur_per_accelerator, 0, lang),
            number(row.eur_per_h100e, 0, lang),
        ]
        for row in told.capex
    ]
    heads = ["EUR m" if lang == "en" else "EUR mln"]
    heads += [word(w, lang) for w in ("low", "base", "high", "per_mw", "per_acc", "per_h100e")]
    return [word("capex_table", lang), *grid(heads, rows)]


def _sales(told: Statement, lang: str) -> list[str]:
    titles = {s.name: getattr(s.title, lang) for s in told.base.plan.segments}
    products = sorted({sale.product for sale in told.base.sales})
    rows = []
    for segment, title in titles.items():
        by = {s.product: s.revenue_micro_eur / 1e6 for s in told.base.sales if s.segment == segment}
        if by:
            row = [number(by.get(product, 0.0) / _M, 1, lang) for product in products]
            rows.append([title, *row, number(sum(by.values()) / _M, 1, lang)])
    heads = ["", *(product_name(p, lang) for p in products), word("sum", lang)]
    return [word("sales_table", lang), *grid(heads, rows)]


def _gates(told: Statement, lang: str) -> list[str]:
    year = first_operating_year(told.course)
    found = [word("gate_table", lang).format(year=year)]
    for gate in told.base.plan.approvals:
        state = word("given" if gate.granted else "awaited", lang)
        late = f", +{gate.late_years}" if gate.late_years and not gate.granted else ""
        found.append(f"  [{state}{late}] {getattr(gate.title, lang)}")
    return found


def _stack(told: Statement, lang: str) -> list[str]:
    rows = [
        [
            known_or(row.name, lang),
            known_or(row.kind, lang),
            number(row.amount_eur / _M, 0, lang),
            share(row.share, lang),
        ]
        for row in capital_stack(told.course)
    ]
    heads = ["", word("rank", lang), word("amount", lang), word("part", lang)]
    return [word("stack_table", lang), *grid(heads, rows)]


def _demand(told: Statement, lang: str) -> list[str]:
    shown = (2024, 2026, 2030, 2035, 2041)
    rows = [
        [
            str(row.year),
            number(row.path_twh, 0, lang),
            number(row.ai_gw, 0, lang),
            number(row.labour_gw, 2, lang),
            number(row.automation_gw, 2, lang),
            number(row.edge_gw, 2, lang),
            number(row.supply_twh, 0, lang),
            number(row.gap_ratio, 2, lang),
            number(row.price_times, 2, lang),
        ]
        for row in told.demand
        if row.year in shown
    ]
    keys = ("year", "path", "ai", "labour", "automation", "edge", "supply", "gap", "times")
    return [word("demand_table", lang), *grid([word(w, lang) for w in keys], rows)]


def _scenarios(told: Statement, lang: str) -> list[str]:
    rows = [
        [
            o.scenario.title[lang],
            number(o.npv_change_eur / _M, 0, lang),
            number(o.owners_change_eur / _M, 0, lang),
            number(o.lcoc_change_eur_per_gpu_h, 2, lang),
            share(float(o.measures.irr_rate[0]), lang),
            number(float(o.measures.dscr_min_ratio[0]), 2, lang),
            str(o.breach_year or "-"),
            str(o.called_year or "-"),
            number(o.energy_ratio, 2, lang),
            o.scenario.driver[lang],
        ]
        for o in told.outcomes
    ]
    heads = [word("scenario", lang)]
    heads += [word(w, lang) for w in ("npv_change", "owners_change", "lcoc_change")]
    heads += ["IRR" if lang == "en" else "IRV"]
    heads += [word(w, lang) for w in ("dscr", "breach", "runway", "energy_ratio", "driver")]
    found = [word("scenario_table", lang), *grid(heads, rows)]
    names = {o.scenario.name for o in told.outcomes}
    if {"efficiency-40", "efficiency-10x"} <= names:
        found.append(word("conflict", lang))
    return found


def _loans(told: Statement, lang: str) -> list[str]:
    terms = {loan.terms.name: loan.terms for loan in told.course.financed.loans}
    rows = [
        [
            name,
            known_or(terms[name].kind, lang),
            share(terms[name].rate, lang),
            number(terms[name].dscr_min, 2, lang),
            number(float(m.dscr_min_ratio[0]), 2, lang),
            number(float(m.dscr_mean_ratio[0]), 2, lang),
            number(float(m.llcr_ratio[0]), 2, lang),
            str(int(m.breach_year[0]) or "-"),
        ]
        for name, m in told.measures.loans.items()
    ]
    keys = ("loan", "rank", "rate", "covenant", "dscr", "dscr_mean", "llcr", "breach")
    return [word("loan_table", lang), *grid([word(w, lang) for w in keys], rows)]


def _actors(told: Statement, lang: str) -> list[str]:
    nets = told.ledger.by_actor()
    years = list(told.ledger.years)
    rows = [
        [known_or(actor, lang), *(number(float(c) / 1e8, 0, lang) for c in (*cents, cents.sum()))]
        for actor, cents in nets.items()
    ]
    total = sum(nets.values())
    rows.append(
        [word("sum", lang), *(number(float(c) / 1e8, 0, lang) for c in (*total, total.sum()))]  # type: ignore[misc,union-attr]
    )
    heads = [word("actor", lang), *map(str, years), word("all_years", lang)]
    return [word("actor_table", lang), *grid(heads, rows)]


def _places(told: Statement, lang: str) -> list[str]:
    cells = {(cell.kind, cell.place): cell.cents for cell in told.cells}
    rows = []
    for kind in USES:
        parts = [cells[kind, place] for place in PLACES]
        values = [*parts, sum(parts)]
        rows.append([word(kind, lang), *(number(v / 1e8, 0, lang) for v in values)])
    totals = [sum(cells[kind, place] for kind in USES) for place in PLACES]
    values = [*totals, sum(totals)]
    rows.append([word("sum", lang), *(number(v / 1e8, 0, lang) for v in values)])
    shares = [share(retained_share(told.cells, place), lang) for place in PLACES]
    rows.append([word("value_share", lang), *shares, share(1.0, lang)])
    heads = [word("kind", lang), *(word(p, lang) for p in PLACES), word("sum", lang)]
    return [word("place_table", lang), *grid(heads, rows)]


def _grants(told: Statement, lang: str) -> list[str]:
    rows = [
        [
            row.title[lang],
            word("yes" if row.granted else "no", lang),
            number(row.amount_eur / _M, 0, lang),
            number(row.bought_gpu_h_per_eur, 3, lang),
            number(row.group_gpu_h_per_eur if row.counted else float("nan"), 3, lang),
            number(row.firms_per_meur, 3, lang),
            number(row.research_eur_per_eur, 2, lang),
        ]
        for row in told.spillovers
    ]
    keys = ("grant", "counted", "amount", "bought_per_eur", "group_per_eur", "firms_per_meur")
    heads = [word(w, lang) for w in (*keys, "research_per_eur")]
    return [word("grant_table", lang), *grid(heads, rows)]


def _tornado(told: Statement, lang: str) -> list[str]:
    rows = [
        [
            known_or(bar.name, lang),
            in_language(f"{bar.low} … {bar.high}", lang),
            number(bar.npv_low_eur / _M, 0, lang),
            number(bar.npv_high_eur / _M, 0, lang),
        ]
        for bar in told.bars
    ]
    heads = [word(w, lang) for w in ("figure", "from_to", "npv_low", "npv_high")]
    return [word("tornado_table", lang), *grid(heads, rows)]


def _curtailment(told: Statement, lang: str) -> list[str]:
    rows = [
        [product_name(name, lang), number(eur, 0, lang)]
        for name, eur in told.curtailment_eur_per_mwh.items()
    ]
    return [word("curtail_table", lang), *grid(["", "EUR/MWh"], rows)]


def _countries(told: Statement, lang: str) -> list[str]:
    plan = float(told.measures.npv_eur[0])
    rows = [
        [
            c.title[lang],
            share(c.tax_rate, lang),
            number((c.npv_eur - plan) / _M, 0, lang),
            number(c.support_eur / _M, 0, lang),
            number((c.npv_supported_eur - plan) / _M, 0, lang),
            ", ".join(word(key, lang) for key in c.missing) or "-",
        ]
        for c in told.countries
    ]
    keys = ("country", "tax_rate", "npv_bare", "support", "npv_supported", "missing")
    return [word("country_table", lang), *grid([word(w, lang) for w in keys], rows)]


def _deals(told: Statement, lang: str) -> list[str]:
    rows = []
    for deal in told.deals:
        amount = deal.value_usd if deal.value_usd is not None else deal.value_eur or 0.0
        money = "USD" if deal.value_usd is not None else "EUR"
        per_mw = deal.usd_per_mw
        rows.append(
            [
                deal.title[lang],
                f"{money} {number(amount / _M, 0, lang)} {'m' if lang == 'en' else 'mln'}",
                "-" if per_mw is None else f"{number(per_mw / _M, 1, lang)} ({deal.of[lang]})",
                "-" if deal.equity_share is None else share(deal.equity_share, lang, 0),
                f"{deal.source.source}, {deal.source.year}, {word(deal.source.state, lang)}",
            ]
        )
    heads = [word(w, lang) for w in ("deal", "value", "usd_per_mw", "equity_share")]
    source = "source" if lang == "en" else "bron"
    return [word("deal_table", lang), *grid([*heads, source], rows)]


def _claims(told: Statement, lang: str) -> list[str]:
    found = [word("claim_table", lang)]
    for row in told.judged:
        source = f"{row.source.source}, {row.source.year}"
        found.append(f"  [{word(row.verdict, lang)}] {row.claim[lang]} ({source})")
        found.append(f"      {row.why[lang]}")
    return found


__all__ = ["grid", "lines", "word"]
