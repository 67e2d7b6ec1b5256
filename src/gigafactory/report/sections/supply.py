"""Own generation, and outages of the grid: what ran, what was shed, and when all was back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from gigafactory.report.sections.tell import Section, Table, Teller

_BY_MONTH = ("made_mwh", "fuel_mwh", "cost_eur", "co2_kg", "water_m3")
_OUTAGE = (
    "hours",
    "islanded_h",
    "made_mwh",
    "fuel_mwh",
    "discharge_mwh",
    "served_it_mwh",
    "lost_gpu_h",
    "restart_min",
    "back_after_h",
)


def supply_section(tell: Teller, public: bool) -> Section | None:
    """Own generation by month and by generator, and a table per outage.

    Args:
        tell: the run and the language.
        public: leave out the names of tenants whose services broke off.

    Returns:
        The chapter; None for a run in which no generator ran and the grid never failed.
    """
    outages = tell.frame.rows("outages")
    ran = bool(tell.frame.value("own_generation.made_mwh"))
    if not (ran or outages):
        return None
    section, voice = tell.section("supply"), tell.voice
    section.lead.append(
        voice.markup(
            "supply.lead",
            made=tell.key("own_generation.made_mwh"),
            share=tell.share_of("own_generation.made_mwh", "energy.site_mwh"),
            fuel=tell.key("own_generation.fuel_mwh"),
            cost=tell.key("own_generation.cost_eur"),
            co2=tell.key("own_generation.co2_kg", 1, 1e-3),
            dumped=tell.key("own_generation.dumped_mwh", 2),
        )
    )
    if ran:
        section.tables.append(_monthly(tell))
    for k, row in enumerate(outages):
        section.lead.append(_outage_in_words(tell, k, row))
        section.tables.extend((_outage(tell, k), _classes(tell, k, row)))
        broken = row.get("contracts_broken") or []
        if broken:
            names = "" if public else ": " + ", ".join(map(str, broken))
            count = tell.found(float(len(broken)), f"summary:outages.{k}.contracts_broken")
            section.points.append(voice.markup("supply.broken", count=count, names=names))
    section.notes.append(voice.markup("supply.note"))
    return section


def _monthly(tell: Teller) -> Table:
    voice = tell.voice
    rows: list[list[Markup | str]] = []
    for k, row in enumerate(tell.frame.rows("own_generation.by_month")):
        year, month = str(row["month"]).split("-")
        name = f"{voice.say(f'month.{int(month)}')}\u00a0{year}"
        at = f"own_generation.by_month.{k}"
        rows.append([name, *(tell.key(f"{at}.{column}") for column in _BY_MONTH)])
    total = [tell.key(f"own_generation.{column}") for column in _BY_MONTH]
    heads = [voice.say("supply.month"), *(voice.say(f"supply.{name}") for name in _BY_MONTH)]
    rows.append([voice.say("table.total"), *total])
    return Table(voice.say("supply.table"), heads, rows, total=True)


def _outage_in_words(tell: Teller, k: int, row: Mapping[str, Any]) -> Markup:
    at = f"outages.{k}"
    return tell.voice.markup(
        "supply.outage",
        site=str(row["site"]),
        begin=str(row["from"]).replace("T", " ").removesuffix("Z"),
        hours=tell.key(f"{at}.hours", 1),
        islanded=tell.key(f"{at}.islanded_h", 1),
    )


def _outage(tell: Teller, k: int) -> Table:
    voice = tell.voice
    rows: list[list[Markup | str]] = [
        [voice.say(f"supply.{name}"), tell.key(f"outages.{k}.{name}", 1)] for name in _OUTAGE
    ]
    heads = [voice.say("supply.what"), voice.say("supply.value")]
    return Table(voice.say("supply.outage_table"), heads, rows)


def _classes(tell: Teller, k: int, row: Mapping[str, Any]) -> Table:
    """By class, how long it was kept and what it would have drawn."""
    voice = tell.voice
    rows: list[list[Markup | str]] = []
    for label, shed in (row.get("shed_after_h") or {}).items():
        kept = tell.key(f"outages.{k}.shed_after_h.{label}", 1)
        if shed is None:
            kept = voice.markup("supply.whole")
        lacks = tell.key(f"outages.{k}.not_served_mwh.{label}", 1)
        rows.append([voice.say(f"layer.{label}"), kept, lacks])
    heads = [voice.say(f"supply.{name}") for name in ("class", "kept", "not_served")]
    return Table(voice.say("supply.class_table"), heads, rows)
