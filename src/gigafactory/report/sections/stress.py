"""The chapter on days that went by the second: what was answered, what gave way, what it cost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.quarter import Quarter, quarter_figure
from gigafactory.report.frames import CLASSES, lookup
from gigafactory.report.sections.tell import Picture, Section, Table, Teller


def stress_section(tell: Teller) -> Section | None:
    """What a site did second by second; None for an ordinary run."""
    sites = lookup(tell.frame.summary, "stress.sites")
    if not isinstance(sites, Mapping) or not sites:
        return None
    section, voice = tell.section("stress"), tell.voice
    section.lead.append(
        voice.markup(
            "stress.lead",
            days=tell.key("stress.days"),
            state=voice.named("state", tell.frame.word("stress.frequency.state")),
        )
    )
    for name, site in sites.items():
        section.points.extend(_points(tell, str(name), site))
    first = str(next(iter(sites)))
    _picture(tell, section, first)
    sold = {str(name): site["pay"] for name, site in sites.items() if site.get("pay")}
    section.tables.extend(_pay(tell, name, rows) for name, rows in sold.items())
    section.tables.append(_merit(tell, first, sites[first]))
    section.notes.append(voice.markup("stress.note"))
    return section


def _points(tell: Teller, name: str, site: Mapping[str, Any]) -> list[Markup]:
    voice, at = tell.voice, f"stress.sites.{name}"
    points = [
        voice.markup(
            "stress.limit",
            site=name,
            above=tell.key(f"{at}.above_limit_s"),
            seconds=tell.key(f"{at}.seconds"),
            most=tell.key(f"{at}.import_mw_max", 1),
        )
    ]
    sold_by = site.get("sold_by")  # a run of an earlier version does not say
    if sold_by is not None:
        points.append(voice.markup(f"stress.sold_by.{sold_by}", site=name))
    for product in ("fcr", "afrr"):
        if isinstance(site.get(product), Mapping):
            key = f"{at}.{product}.within_share"
            share = tell.share(tell.frame.value(key), f"summary:{key}", 2)
            points.append(voice.markup(f"stress.{product}", site=name, share=share))
    shed, beyond = (
        tell.found(
            sum(float(site[of][c]) for c in CLASSES),
            " ".join(f"summary:{at}.{of}.{c}" for c in CLASSES),
            2,
        )
        for of in ("shed_mwh", "beyond_mwh")
    )
    paid = tell.key(f"{at}.paid_eur")
    points.append(voice.markup("stress.work", site=name, shed=shed, beyond=beyond, paid=paid))
    points.append(
        voice.markup(
            "stress.ramp",
            most=tell.key(f"{at}.ramp.others.max_mw_per_min", 1),
            allowed=tell.key(f"{at}.ramp.allowed_mw_per_min", 1),
            every=tell.key(f"{at}.ramp.all.max_mw_per_min", 1),
        )
    )
    if isinstance(site.get("swing"), Mapping):
        points.append(
            voice.markup(
                "stress.swing",
                gang=tell.key(f"{at}.swing.accelerators"),
                before=tell.key(f"{at}.swing.before.peak_to_peak_mw", 1),
                after=tell.key(f"{at}.swing.after.peak_to_peak_mw", 2),
                ramp=tell.key(f"{at}.swing.after.steepest_mw_per_s", 2),
                allowed=tell.key(f"{at}.swing.ramp_allowed_mw_per_s", 2),
            )
        )
    return points


def _picture(tell: Teller, section: Section, site: str) -> None:
    """The quarter of an hour in which most gave way."""
    seconds, voice = tell.frame.seconds, tell.voice
    if "import_mw" not in seconds:
        return
    layers = {c: seconds[f"shed_{c}_mw"] for c in CLASSES if seconds[f"shed_{c}_mw"].any()}
    quarter = Quarter(
        at_min=(seconds["unix_s"] - seconds["unix_s"][0]) / 60.0,
        lines_mw={"import": seconds["import_mw"], "limit": seconds["limit_mw"]},
        layers_mw=layers,
        battery_mw=seconds["battery_mw"] + seconds["ups_mw"],
        frequency_hz=seconds["frequency_hz"],
    )
    alt = voice.say(
        "figure.quarter.alt",
        site=site,
        most=voice.number(float(seconds["import_mw"].max()), 1),
        least=voice.number(float(seconds["import_mw"].min()), 1),
    )
    caption = Caption("fig-quarter", voice.say("section.stress"), alt)
    names = ("import_mw", "limit_mw", "battery_mw", "ups_mw", "frequency_hz")
    held = " ".join(f"seconds:{n}" for n in (*names, *(f"shed_{c}_mw" for c in layers)))
    svg = quarter_figure(quarter, caption, voice)
    section.pictures.append(Picture(svg, voice.markup("figure.quarter.caption", site=site), held))


def _pay(tell: Teller, name: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """What the reserves sold for each stress day came to in its seconds."""
    voice = tell.voice
    cells: list[list[Markup | str]] = []
    for k, row in enumerate(rows):
        key, product = f"stress.sites.{name}.pay.{k}", str(row["product"])
        money = ("capacity_eur", "energy_eur", "withheld_eur")
        shares = [
            tell.share(tell.frame.value(f"{key}.{n}"), f"summary:{key}.{n}", 2)
            for n in ("available_share", "delivered_share")
        ]
        cells.append(
            [
                voice.date(dt.date.fromisoformat(row["day"])),
                voice.say(f"reserves.product.{product}"),
                tell.key(f"{key}.sold_mw_h"),
                *(tell.key(f"{key}.{n}") for n in money),
                tell.key(f"{key}.asked_mwh", 1),
                *shares,
            ]
        )
    heads = [voice.say("stress.day"), voice.say("reserves.name")]
    heads += [voice.say(f"reserves.{n}") for n in ("sold", "capacity", "energy", "withheld")]
    heads += [voice.say("stress.asked")]
    heads += [voice.say(f"reserves.{n}") for n in ("there", "delivered")]
    return Table(voice.say("stress.pay", site=name), heads, cells, texts=frozenset({1}))


def _merit(tell: Teller, name: str, site: Mapping[str, Any]) -> Table:
    """The order in which the site gives way, as it was in force at the end."""
    voice = tell.voice
    rows: list[list[Markup | str]] = []
    for k, row in enumerate(site["merit_order"]):
        key = f"stress.sites.{name}.merit_order.{k}"
        action = str(row["action"])
        what = voice.say(f"stress.action.{action}")
        if row["class"]:
            what = f"{what}: {voice.named('layer', str(row['class']))}"
        only = voice.say("stress.limits_only") if row["limits_only"] else ""
        rows.append(
            [
                what,
                tell.key(f"{key}.power_mw", 1),
                tell.key(f"{key}.cost_eur_per_mwh"),
                tell.key(f"{key}.full_s"),
                only,
            ]
        )
    heads = [voice.say(f"stress.head.{n}") for n in ("action", "power", "cost", "full", "only")]
    return Table(voice.say("stress.table"), heads, rows, texts=frozenset({4}), folded=True)
