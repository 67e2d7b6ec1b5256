"""What balancing reserves brought: MW sold by product and month, pay, delivery, and their cost."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from gigafactory.report.figures.bars import bin_name
from gigafactory.report.sections.tell import Section, Table, Teller

_PRODUCTS = ("fcr", "afrr_up", "afrr_down")


def reserves_section(tell: Teller) -> Section | None:
    """Two tables: pay and delivery by product, and mean MW sold by product and month.

    Returns:
        The chapter; None for a factory that sells none.
    """
    frame, voice = tell.frame, tell.voice
    rows = frame.rows("reserves.products")
    if not rows:
        return None
    section = tell.section("reserves")
    section.lead.append(
        voice.markup(
            "reserves.lead",
            revenue=tell.key("reserves.revenue_eur"),
            cost=tell.key("reserves.schedule_cost_eur"),
        )
    )
    section.tables.append(_pay(tell, [str(row["product"]) for row in rows]))
    table = _sold(tell, section)
    if table is not None:
        section.tables.append(table)
    if frame.word("reserves.synthetic") == "True":
        section.notes.append(voice.markup("reserves.synthetic"))
    section.notes.append(voice.markup("reserves.note"))
    return section


def _pay(tell: Teller, products: list[str]) -> Table:
    voice, frame = tell.voice, tell.frame
    rows: list[list[Markup | str]] = []
    for k, product in enumerate(products):
        at = f"reserves.products.{k}"
        shares = [
            tell.share(frame.value(f"{at}.{name}"), f"summary:{at}.{name}", 2)
            for name in ("available_share", "delivered_share")
        ]
        money = ("capacity_eur", "energy_eur", "withheld_eur", "schedule_cost_eur")
        rows.append(
            [
                voice.say(f"reserves.product.{product}"),
                tell.key(f"{at}.sold_mw_h"),
                *(tell.key(f"{at}.{name}") for name in money),
                *shares,
            ]
        )
    names = ("name", "sold", "capacity", "energy", "withheld", "schedule", "there", "delivered")
    heads = [voice.say(f"reserves.{name}") for name in names]
    return Table(voice.say("reserves.table"), heads, rows)


def _sold(tell: Teller, section: Section) -> Table | None:
    """Mean MW sold per product, by month or day."""
    series, voice, bins = tell.frame.series, tell.voice, tell.bins
    columns = [f"{product}_sold_mw" for product in _PRODUCTS]
    if tell.left_out(section, *columns):
        return None
    hours = bins.sum(series.hours)
    means = [bins.sum(series.total(name) * series.hours) / np.maximum(hours, 1e-9)
             for name in columns]  # fmt: skip
    rows: list[list[Markup | str]] = []
    for k, first in enumerate(bins.first_day):
        cells = [
            tell.found(float(mean[k]), f"series:{name}", 1)
            for name, mean in zip(columns, means, strict=True)
        ]
        rows.append([bin_name(first, bins.kind, voice), *cells])
    heads = [voice.say(f"footprint.{bins.kind}")]
    heads += [voice.say(f"reserves.product.{product}") for product in _PRODUCTS]
    return Table(voice.say("reserves.months"), heads, rows, folded=bins.kind == "day")


__all__ = ["reserves_section"]
