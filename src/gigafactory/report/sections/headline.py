"""The head of the report: what was run, eight figures, and six readers' questions answered."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from gigafactory.report.sections.people import LEAST_TENANTS
from gigafactory.report.sections.tell import Teller


@dataclass(frozen=True, slots=True)
class Tile:
    """A headline figure.

    Attributes:
        label: what it is.
        value: the figure.
        unit: its unit.
        detail: a second line.
    """

    label: str
    value: Markup
    unit: str
    detail: Markup


@dataclass(frozen=True, slots=True)
class Answer:
    """A reader's question with the answer of this run.

    Attributes:
        reader: who asks.
        question: in their words.
        answer: a paragraph with traced numbers.
        links: chapters to read on, as (anchor, title).
    """

    reader: str
    question: str
    answer: Markup
    links: tuple[tuple[str, str], ...]


def identity(tell: Teller) -> list[tuple[str, Markup]]:
    """Name, period, class, size, seed and digest, as label and value."""
    frame, voice = tell.frame, tell.voice
    first, last = tell.local.date(tell.local.days[0]), tell.local.date(tell.local.days[-1])
    period = Markup('<time datetime="{}/{}">{} – {}</time>').format(
        first.isoformat(), last.isoformat(), voice.date(first), voice.date(last)
    )
    days = tell.key("days")
    kind = voice.named("factory_class", frame.word("accelerators.class") or "unknown")
    physical, equivalent = (
        tell.key("accelerators.physical"),
        tell.key("accelerators.h100_equivalent"),
    )
    rows = [
        ("period", voice.markup("identity.period_value", period=period, days=days)),
        ("class", Markup("{}").format(kind)),
        (
            "size",
            voice.markup("identity.size_value", physical=physical, equivalent=equivalent),
        ),
        ("sites", Markup("{}").format(", ".join(filter(None, frame.series.sites)) or "–")),
        ("seed", tell.key("seed")),
    ]
    digest = frame.word("digest")
    if digest:
        shown = f"{digest[:16]}…" if len(digest) > 20 else digest
        code = Markup('<code data-source="summary:digest" title="{}">{}</code>')
        rows.append(("digest", code.format(digest, shown)))
    return [(voice.say(f"identity.{name}"), value) for name, value in rows]


def tiles(tell: Teller) -> list[Tile]:
    """The eight headline figures."""
    voice = tell.voice
    low, base, high = (tell.key(f"lcoc_eur_per_gpu_h.{end}", 2) for end in ("low", "base", "high"))
    cost_per_mwh = tell.ratio("money.energy_eur", "energy.site_mwh")
    made = [
        (
            "compute",
            tell.key("accelerator_hours.useful", 1, 1e-6),
            {"share": tell.share_of("accelerator_hours.useful", "accelerator_hours.installed")},
        ),
        ("energy", tell.key("energy.site_mwh"), {"pue": tell.key("pue", 3)}),
        (
            "bill",
            tell.key("money.energy_eur", 1, 1e-6),
            {
                "price": tell.found(
                    cost_per_mwh, "summary:money.energy_eur summary:energy.site_mwh", 2
                )
            },
        ),
        ("cost", base, {"low": low, "high": high}),
        ("water", tell.key("water_m3"), {"wue": tell.key("wue_l_per_kwh", 3)}),
        (
            "carbon",
            tell.key("co2_kg.location", 0, 1e-3),
            {"market": tell.key("co2_kg.market", 0, 1e-3)},
        ),
        ("heat", tell.key("heat_mwh"), {"erf": tell.key("erf", 3)}),
        (
            "jobs",
            tell.key("jobs.completed"),
            {"total": tell.key("jobs.total"), "waiting": tell.key("jobs.queued")},
        ),
    ]
    return [
        Tile(
            voice.say(f"tile.{name}.label"),
            value,
            voice.say(f"tile.{name}.unit"),
            voice.markup(f"tile.{name}.detail", **parts),
        )
        for name, value, parts in made
    ]


def answers(tell: Teller) -> list[Answer]:
    """One paragraph for each kind of reader, with links to read on."""
    voice = tell.voice
    links = {
        "trader": ("week", "year", "energy"),
        "operations": ("waits", "shares", "hours", "asked"),
        "grid": ("week", "asked", "energy"),
        "funder": ("shares", "tenants", "hours", "sources"),
        "investor": ("cost", "hours", "limits"),
        "citizen": ("footprint", "energy", "check"),
    }
    texts = {
        "trader": _trader(tell),
        "operations": _operations(tell),
        "grid": _grid(tell),
        "funder": _funder(tell),
        "investor": _investor(tell),
        "citizen": _citizen(tell),
    }
    return [
        Answer(
            voice.say(f"reader.{name}.who"),
            voice.say(f"reader.{name}.question"),
            text,
            tuple((link, voice.say(f"section.{link}")) for link in links[name]),
        )
        for name, text in texts.items()
    ]


def _trader(tell: Teller) -> Markup:
    series, key = tell.frame.series, "price_eur_per_mwh"
    held = "summary:money.energy_eur summary:energy.import_mwh"
    paid = tell.ratio("money.energy_eur", "energy.import_mwh")
    own = tell.ratio("own_generation.cost_eur", "energy.import_mwh")
    if paid is not None and own:  # fuel burnt at the site is not drawn from the grid
        paid, held = paid - own, f"{held} summary:own_generation.cost_eur"
    shown = tell.found(paid, held, 2)
    if not series.has(key):
        return tell.voice.markup("reader.trader.short", paid=shown)
    price, hours = series.mean(key), series.hours
    below = tell.hours_of(price < 0)
    return tell.voice.markup(
        "reader.trader.answer",
        paid=shown,
        mean=tell.found(float((price * hours).sum() / hours.sum()), f"series:{key}", 2),
        low=tell.found(float(price.min()), f"series:{key}", 0),
        high=tell.found(float(price.max()), f"series:{key}", 0),
        below=tell.found(below, f"series:{key}", 0),
        bought=tell.key("energy.day_ahead_mwh"),
        ppa=tell.key("energy.ppa_mwh"),
    )


def _operations(tell: Teller) -> Markup:
    waits = {
        f"{label}_{end}": tell.duration(
            tell.frame.value(f"jobs.wait_s.{label}.{end}"), f"summary:jobs.wait_s.{label}.{end}"
        )
        for label in ("research", "frontier_training")
        for end in ("p50", "p95")
    }
    return tell.voice.markup(
        "reader.operations.answer",
        useful=tell.share_of("accelerator_hours.useful", "accelerator_hours.installed"),
        queued=tell.key("jobs.queued"),
        failed=tell.key("jobs.failed"),
        lost=tell.key("accelerator_hours.lost_failure"),
        **waits,
    )


def _grid(tell: Teller) -> Markup:
    series, bound = tell.frame.series, tell.bound()
    if bound is None:
        return tell.voice.markup("note.missing", columns="import_mw, limit_mw")
    power = series.total("import_mw")
    moment = int(np.argmax(power))
    limit = float(series.total("limit_mw")[moment])
    day = tell.local.date(tell.local.day[moment])
    hour = dt.time(int(tell.local.hour[moment]), round(tell.local.hour[moment] % 1 * 60))
    above = series.columns["import_mw"] > series.columns["limit_mw"] * (1 + 1e-9)
    over = tell.hours_of(np.asarray(above.any(axis=0)))
    return tell.voice.markup(
        "reader.grid.answer",
        peak=tell.found(float(power[moment]), "series:import_mw", 1),
        when=f"{tell.voice.date(day)}, {hour:%H:%M}",
        limit=tell.found(limit, "series:limit_mw", 1),
        bound=tell.found(tell.hours_of(bound), "series:import_mw series:limit_mw"),
        over=tell.found(over, "series:import_mw series:limit_mw", 2 if over % 1 else 0),
    )


def _funder(tell: Teller) -> Markup:
    rows = tell.frame.receipts.by("mission", "tenant")
    total = sum(cell.get("allocated_gpu_s", 0.0) for cell in rows.values())
    mission = {key: cell for key, cell in rows.items() if key[0] not in ("none", "")}
    given = sum(cell.get("allocated_gpu_s", 0.0) for cell in mission.values())
    share = given / total if total > 0 else None
    served = len({key[1] for key in mission})
    if served < LEAST_TENANTS:
        return tell.voice.markup("reader.funder.short", least=LEAST_TENANTS)
    return tell.voice.markup(
        "reader.funder.answer",
        hours=tell.found(given, "jobs:allocated_gpu_s jobs:mission"),
        share=tell.share(share, "jobs:allocated_gpu_s jobs:mission"),
        tenants=tell.found(float(served), "jobs:tenant jobs:mission"),
    )


def _investor(tell: Teller) -> Markup:
    idle = ("idle", "reserved_idle", "awaiting_power")
    parts = [tell.frame.value(f"accelerator_hours.{fate}") for fate in idle]
    installed = tell.frame.value("accelerator_hours.installed")
    known = [part for part in parts if part is not None]
    share = sum(known) / installed if installed else None
    sources = " ".join(f"summary:accelerator_hours.{fate}" for fate in (*idle, "installed"))
    return tell.voice.markup(
        "reader.investor.answer",
        base=tell.key("lcoc_eur_per_gpu_h.base", 2),
        low=tell.key("lcoc_eur_per_gpu_h.low", 2),
        high=tell.key("lcoc_eur_per_gpu_h.high", 2),
        revenue=tell.key("money.revenue_eur", 1, 1e-6),
        idle=tell.share(share, sources),
    )


def _citizen(tell: Teller) -> Markup:
    return tell.voice.markup(
        "reader.citizen.answer",
        energy=tell.key("energy.site_mwh"),
        water=tell.key("water_m3"),
        co2=tell.key("co2_kg.location", 0, 1e-3),
        heat=tell.key("heat_mwh"),
        erf=tell.share_of("heat_mwh", "energy.site_mwh"),
    )
