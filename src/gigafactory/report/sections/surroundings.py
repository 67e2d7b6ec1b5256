"""Power contracts, cooling, heat, and what is noticed around the site.

Parts for the chapters on energy and on the footprint, and the chapter on what sensors showed.
"""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from gigafactory.report.clock import day_by_hour
from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.year import Panel, year_figure
from gigafactory.report.sections.tell import Picture, Section, Table, Teller


def add_contracts(tell: Teller, section: Section) -> None:
    """Each power contract: what it gave, cost and was worth, and what it left its parties."""
    voice, rows = tell.voice, tell.frame.rows("contracts")
    if not rows:
        return
    names = ("taken_mwh", "curtailed_mwh", "cost_eur", "worth_eur", "guarantees_sold_eur",
             "result_eur")  # fmt: skip
    cells: list[list[Markup | str]] = []
    shared: list[list[Markup | str]] = []
    for k, row in enumerate(rows):
        form = row.get("form", "pay_as_produced")
        numbers = [tell.key(f"contracts.{k}.{name}") for name in names]
        cells.append([str(row.get("contract", "")), voice.say(f"ppa.form.{form}"), *numbers])
        parties = row.get("parties_eur")
        for party in parties if isinstance(parties, dict) else ():
            net = tell.key(f"contracts.{k}.parties_eur.{party}")
            shared.append([Markup("{}: {}").format(row.get("contract", ""), party), net])
    heads = [voice.say("ppa.contract"), voice.say("ppa.form_of")]
    heads += [voice.say(f"ppa.{name}") for name in names]
    section.tables.append(Table(voice.say("ppa.table"), heads, cells, texts=frozenset({1})))
    if shared:
        heads = [voice.say("ppa.party"), voice.say("ppa.net")]
        section.tables.append(Table(voice.say("ppa.parties"), heads, shared))
        section.notes.append(voice.markup("ppa.note"))


def add_heat(tell: Teller, section: Section) -> None:
    """Homes by the annual rule and hour by hour, and the heat nobody takes in summer."""
    voice = tell.voice
    for k, row in enumerate(tell.frame.rows("heat.sites")):
        at = f"heat.sites.{k}"
        owner = row.get("pump_owner")
        if owner:
            section.points.append(
                voice.markup(
                    f"heat.pump_{owner}",
                    cop=tell.key(f"{at}.cop", 1),
                    pump=tell.key(f"{at}.pump_mwh"),
                    network=tell.key(f"{at}.into_network_mwh"),
                )
            )
        section.points.append(
            voice.markup(
                "heat.homes",
                low=tell.key(f"{at}.homes_by_rule_low"),
                high=tell.key(f"{at}.homes_by_rule_high"),
                homes=tell.key(f"{at}.homes"),
                covered=tell.share(
                    tell.frame.value(f"{at}.covered_share"), f"summary:{at}.covered_share"
                ),
                short=tell.key(f"{at}.short_h"),
                always=tell.key(f"{at}.homes_always"),
            )
        )
        section.points.append(
            voice.markup(
                "heat.unused",
                unused=tell.key(f"{at}.unused_mwh"),
                summer=tell.key(f"{at}.summer_unused_mwh"),
            )
        )
    months: list[list[Markup | str]] = []
    names = ("need_mwh", "covered_mwh", "short_mwh", "unused_mwh")
    for k, row in enumerate(tell.frame.rows("heat.by_month")):
        numbers = [tell.key(f"heat.by_month.{k}.{name}") for name in names]
        months.append([Markup("{} {}").format(row.get("site", ""), row.get("month", "")), *numbers])
    if months:
        heads = [voice.say("heat.month"), *(voice.say(f"heat.{name}") for name in names)]
        section.tables.append(Table(voice.say("heat.table"), heads, months, folded=True))


def add_cooling(tell: Teller, section: Section) -> None:
    """PUE and WUE by the hour, water against its cap, what is given back to sea or river."""
    voice, rows = tell.voice, tell.frame.rows("cooling")
    if not rows:
        return
    cells: list[list[Markup | str]] = []
    for k, row in enumerate(rows):
        at, site = f"cooling.{k}", str(row.get("site", ""))
        ratios = [
            tell.key(f"{at}.{name}_{part}", 3)
            for name in ("pue", "wue_l_per_kwh")
            for part in ("p50", "p95", "max")
        ]
        cells.append([site, *ratios, tell.key(f"{at}.free_h"), tell.key(f"{at}.chiller_h")])
        if tell.frame.value(f"{at}.fullest_share") is not None:
            full = tell.frame.value(f"{at}.fullest_share")
            section.points.append(
                voice.markup(
                    "cooling.cap",
                    site=site,
                    share=tell.share(full, f"summary:{at}.fullest_share"),
                    hours=tell.key(f"{at}.short_h", 1),
                    more=tell.key(f"{at}.short_mwh", 1),
                )
            )
        if tell.frame.value(f"{at}.stress_weighted_m3") is not None:
            weighed = tell.key(f"{at}.stress_weighted_m3")
            section.points.append(voice.markup("cooling.stress", site=site, weighed=weighed))
        if tell.frame.value(f"{at}.discharge_c_max") is not None:
            section.points.append(
                voice.markup(
                    "cooling.discharge",
                    site=site,
                    mean=tell.key(f"{at}.discharge_c_mean", 1),
                    most=tell.key(f"{at}.discharge_c_max", 1),
                    above=tell.key(f"{at}.discharge_above_h"),
                )
            )
    ratios_of = [
        voice.say(f"cooling.{n}_{p}") for n in ("pue", "wue") for p in ("p50", "p95", "max")
    ]
    heads = [voice.say("cooling.site"), *ratios_of]
    heads += [voice.say(f"cooling.{name}") for name in ("free_h", "chiller_h")]
    section.tables.append(Table(voice.say("cooling.table"), heads, cells))


def surroundings_section(tell: Teller) -> Section | None:
    """What sensors at the fence would have shown, with their gaps left open."""
    rows = tell.frame.rows("monitoring")
    if not rows:
        return None
    section, voice = tell.section("surroundings"), tell.voice
    section.lead.append(voice.markup("sensor.lead"))
    _add_readings(tell, section)
    cells: list[list[Markup | str]] = []
    names = ("mean", "max", "lden_db", "limit", "exceeded_h", "covered_h", "gap_h", "longest_gap_h")
    for k, row in enumerate(rows):
        at = f"monitoring.{k}"
        judged = str(row.get("judgement", "")).replace(" ", "_")
        cells.append(
            [
                Markup("{}: {}").format(row.get("site", ""), row.get("sensor", "")),
                str(row.get("unit", "")),
                *(tell.key(f"{at}.{name}", 1) for name in names),
                voice.say(f"sensor.judged.{judged}"),
            ]
        )
    heads = [voice.say("sensor.name"), voice.say("sensor.unit")]
    heads += [*(voice.say(f"sensor.{name}") for name in names), voice.say("sensor.judgement")]
    last = len(heads) - 1
    section.tables.append(
        Table(voice.say("sensor.table"), heads, cells, texts=frozenset({1, last}))
    )
    section.notes.append(voice.markup("sensor.note"))
    return section


def _add_readings(tell: Teller, section: Section) -> None:
    """One heat map per sensor: days along, hours down, blank where it gave nothing."""
    voice = tell.voice
    panels = []
    for series in tell.frame.monitored:
        if len(series.values) != len(tell.frame.series.start_ns):
            continue
        kind = voice.say(f"sensor.kind.{series.kind}")
        title = f"{series.site}: {series.sensor}, {kind} ({series.unit})"
        panels.append(Panel(title, day_by_hour(tell.local, series.values), False))
    if not panels:
        return
    gaps = sum(float(np.isnan(p.cells).sum()) for p in panels)
    caption = Caption(
        "fig-sensors",
        voice.say("section.surroundings"),
        voice.say("figure.sensors.alt", gaps=voice.number(gaps)),
    )
    days = [tell.local.date(int(day)) for day in tell.local.days]
    svg = year_figure(panels, days, caption, voice)
    picture = Picture(svg, voice.markup("figure.sensors.caption"), "summary:monitoring")
    section.pictures.append(picture)
