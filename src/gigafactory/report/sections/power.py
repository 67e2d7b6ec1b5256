"""Chapters on power: a week in detail, and the whole period as a heat map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from gigafactory.report.clock import Week, day_by_hour, pick_week
from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.week import WeekOfPower, week_figure
from gigafactory.report.figures.year import Panel, year_figure
from gigafactory.report.frames import CLASSES
from gigafactory.report.sections.tell import Picture, Section, Teller
from gigafactory.units import NS_PER_H

Floats = npt.NDArray[np.float64]
#: Days without a plan that are told one by one; the summary has them all.
_CONFLICTS = 10


def it_layers(tell: Teller) -> dict[str, tuple[str, Floats]]:
    """IT power by what it is used for: colour name -> (series columns, MW per period).

    The five classes, idle accelerators and the network; what the total holds beyond them, if
    anything, is named `other_it`.
    """
    series = tell.frame.series
    columns = {label: f"it_{label}_mw" for label in CLASSES}
    columns |= {"idle_power": "it_idle_mw", "network": "network_mw"}
    layers = {
        name: (column, series.total(column))
        for name, column in columns.items()
        if series.has(column)
    }
    if series.has("it_mw"):
        named = sum((power for _, power in layers.values()), np.zeros(len(series.start_ns)))
        rest = np.clip(series.total("it_mw") - named, 0.0, None)
        if float(rest.sum()) > 5e-4 * float(series.total("it_mw").sum()):
            layers["other_it"] = ("it_mw", rest)
    return layers


def week_section(tell: Teller) -> Section:
    """A week of power by class against limit, import, battery and price."""
    section, series, voice = tell.section("week"), tell.frame.series, tell.voice
    if tell.left_out(section, "it_mw", "import_mw", "cooling_mw"):
        return section
    price = series.mean("price_eur_per_mwh") if series.has("price_eur_per_mwh") else None
    week = pick_week(tell.local, price, tell.bound())
    layers = it_layers(tell)
    for name in ("cooling", "auxiliary", "losses", "heat_pump"):
        used = series.has(f"{name}_mw") and (
            name != "heat_pump" or series.total("heat_pump_mw").any()
        )
        if used:
            layers[name] = (f"{name}_mw", series.total(f"{name}_mw"))
    shown = _shown(tell, week, layers, price)
    columns = [column for column, _ in layers.values()]
    columns += ["import_mw", "limit_mw", "discharge_mw", "charge_mw", "price_eur_per_mwh"]
    held = " ".join(f"series:{name}" for name in columns if series.has(name))
    first, last = voice.date(week.first), voice.date(week.last)
    peak = float(shown.lines["import"].max())
    text = voice.say("figure.week.alt", first=first, last=last, peak=voice.number(peak, 1))
    caption = Caption("fig-week", voice.say("section.week"), text)
    if week.chosen:
        section.lead.append(voice.markup("week.chosen", first=first, last=last))
    else:
        section.lead.append(voice.markup("week.whole", first=first, last=last))
    section.lead.append(_week_in_words(tell, week))
    section.pictures.append(
        Picture(week_figure(shown, caption, voice), voice.markup("figure.week.caption"), held)
    )
    if shown.battery is None:
        section.notes.append(voice.markup("week.no_battery"))
    section.notes.extend(unplanned_notes(tell))
    tell.left_out(section, "limit_mw", "price_eur_per_mwh")
    return section


def unplanned_notes(tell: Teller) -> list[Markup]:
    """Days without a plan, and what could not be kept; nothing when every day had one."""
    voice, told = tell.voice, tell.frame.summary.get("unplanned")
    if not isinstance(told, dict) or not told.get("days"):
        return []
    fallback = voice.named("unplanned_fallback", str(told.get("fallback")))
    notes = [voice.markup("unplanned.days", days=tell.key("unplanned.days"), fallback=fallback)]
    notes.extend(
        voice.markup(
            "unplanned.row",
            site=row["site"],
            begin=str(row["from"]).replace("T", " ")[:16],
            end=str(row["until"]).replace("T", " ")[:16],
            families=", ".join(_limit(tell, str(name)) for name in row["families"]),
        )
        for row in told.get("conflicts", [])[:_CONFLICTS]
    )
    return notes


def _limit(tell: Teller, family: str) -> str:
    """A limit by its name in the reader's language, and what is wrong with its numbers."""
    fault, _, name = family.rpartition(": ")
    limit = tell.voice.named("unplanned_limit", name)
    return f"{limit} ({tell.voice.named('unplanned_fault', fault)})" if fault else limit


def _shown(
    tell: Teller, week: Week, layers: dict[str, tuple[str, Floats]], price: Floats | None
) -> WeekOfPower:
    series, span = tell.frame.series, week.periods
    edges = np.append(series.start_ns[span], series.end_ns[span][-1])
    hours = (edges - edges[0]) / NS_PER_H
    day = tell.local.day[span]
    starts = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    lines = {"import": series.total("import_mw")[span]}
    if series.has("limit_mw") and np.isfinite(series.total("limit_mw")[span]).all():
        lines["limit"] = series.total("limit_mw")[span]
    battery = None
    if series.has("discharge_mw", "charge_mw"):
        battery = (series.total("discharge_mw")[span], series.total("charge_mw")[span])
        if not (battery[0].any() or battery[1].any()):
            battery = None
    return WeekOfPower(
        hours=np.asarray(hours, np.float64),
        midnights=[(float(hours[at]), tell.local.date(day[at])) for at in starts],
        layers={name: power[span] for name, (_, power) in layers.items() if power[span].any()},
        lines=lines,
        battery=battery,
        price=None if price is None else price[span],
    )


def _week_in_words(tell: Teller, week: Week) -> Markup:
    series, span, voice = tell.frame.series, week.periods, tell.voice
    parts = {
        "peak": tell.found(float(series.total("import_mw")[span].max()), "series:import_mw", 1),
        "least": tell.found(float(series.total("import_mw")[span].min()), "series:import_mw", 1),
    }
    if not series.has("price_eur_per_mwh"):
        return voice.markup("week.words_short", **parts)
    price = series.mean("price_eur_per_mwh")[span]
    return voice.markup(
        "week.words",
        low=tell.found(float(price.min()), "series:price_eur_per_mwh"),
        high=tell.found(float(price.max()), "series:price_eur_per_mwh"),
        **parts,
    )


def year_section(tell: Teller) -> Section:
    """Import and price by day and hour."""
    section, series, voice = tell.section("year"), tell.frame.series, tell.voice
    wanted = [("import_mw", False), ("price_eur_per_mwh", True)]
    panels = [
        Panel(
            voice.say(f"figure.year.{name}"),
            day_by_hour(tell.local, series.mean(name) if signed else series.total(name)),
            signed,
        )
        for name, signed in wanted
        if series.has(name)
    ]
    tell.left_out(section, *(name for name, _ in wanted))
    if not panels:
        return section
    caption = Caption("fig-year", voice.say("section.year"), voice.say("figure.year.alt"))
    days = [tell.local.date(day) for day in tell.local.days]
    held = " ".join(f"series:{name}" for name, _ in wanted if series.has(name))
    svg = year_figure(panels, days, caption, voice)
    section.pictures.append(Picture(svg, voice.markup("figure.year.caption"), held))
    return section
