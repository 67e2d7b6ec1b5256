"""Chapters on energy flows, money, and the footprint: heat, water, carbon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from gigafactory.report.figures.bars import bin_name, pairs_figure
from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.cost import CostPart, cost_figure
from gigafactory.report.figures.sankey import Flow, sankey_figure
from gigafactory.report.frames import lookup
from gigafactory.report.sections.power import it_layers
from gigafactory.report.sections.surroundings import add_contracts, add_cooling, add_heat
from gigafactory.report.sections.tell import Picture, Section, Table, Teller

Floats = npt.NDArray[np.float64]

#: Flows that differ by more than this share of the total are said to differ.
_BALANCED = 1e-6


def energy_section(tell: Teller) -> Section:
    """Energy through the meters, and energy by contract: two flows that are never mixed."""
    section = tell.section("energy")
    section.lead.append(tell.voice.markup("energy.lead"))
    if not tell.left_out(section, "import_mw", "it_mw"):
        _add_flows(tell, section, "physical", *_physical(tell))
    if not tell.left_out(section, "ppa_mw", "day_ahead_mw", "imbalance_mw", "import_mw"):
        _add_flows(tell, section, "contracts", *_contracts(tell))
    add_contracts(tell, section)
    _add_yardstick(tell, section)
    return section


def _add_yardstick(tell: Teller, section: Section) -> None:
    """What the energy could have cost had everything been known, and what was left of it."""
    voice, frame = tell.voice, tell.frame
    if frame.value("yardstick.hourly.bound_eur") is None:
        return
    finer = frame.value("yardstick.quarterly.bound_eur") is not None
    which = "quarterly" if finer else "hourly"
    share = frame.value(f"yardstick.{which}.regret_share")
    key = f"summary:yardstick.{which}.regret_share"
    section.points.append(
        voice.markup(
            f"yardstick.{which}",
            regret=tell.key(f"yardstick.{which}.regret_eur"),
            share=tell.share(share, key) if share is not None else "-",
            worth=tell.key(f"yardstick.{which}.controllable_eur"),
        )
    )
    rows: list[list[Markup | str]] = [
        [voice.say(f"yardstick.{name}"), tell.key(f"yardstick.{which}.{name}")]
        for name in ("naive_eur", "realised_eur", "standing_eur", "bound_eur")
    ]
    if frame.value("yardstick.threshold_eur") is not None:
        rows.insert(1, [voice.say("yardstick.threshold_eur"), tell.key("yardstick.threshold_eur")])
    if finer:
        rows.append([voice.say("yardstick.hour_bound"), tell.key("yardstick.hourly.bound_eur")])
    rows += [
        [voice.say(f"yardstick.{name}"), tell.key(f"yardstick.{name}")]
        for name in ("intraday_eur", "imbalance_eur")
    ]
    heads = [voice.say("yardstick.operator"), voice.say("yardstick.cost")]
    section.tables.append(Table(voice.say("yardstick.table"), heads, rows))
    section.notes.append(voice.markup("yardstick.note"))


def _physical(tell: Teller) -> tuple[list[Flow], list[Flow]]:
    series, voice = tell.frame.series, tell.voice

    def flow(name: str, column: str) -> Flow:
        energy = series.energy_mwh(column) if series.has(column) else 0.0
        return Flow(name, voice.say(f"layer.{name}"), energy, f"series:{column}")

    into = [flow("import", "import_mw"), flow("discharge", "discharge_mw")]
    own = flow("generation", "generation_mw")
    into += [own] if own.energy_mwh else []
    out = [
        Flow(
            name,
            voice.say(f"layer.{name}"),
            float((power * series.hours).sum()),
            f"series:{column}",
        )
        for name, (column, power) in it_layers(tell).items()
    ]
    pump = ("heat_pump",) if series.has("heat_pump_mw") else ()
    burnt = ("dumped",) if own.energy_mwh else ()
    rest = ("cooling", "auxiliary", "losses", *pump, "charge", "export", *burnt)
    return into, [*out, *(flow(name, f"{name}_mw") for name in rest)]


def _contracts(tell: Teller) -> tuple[list[Flow], list[Flow]]:
    """Bought on the left, sold and drawn on the right; the sign of each period decides."""
    series, voice = tell.frame.series, tell.voice
    into: list[Flow] = []
    out: list[Flow] = []
    names = ["ppa", "day_ahead", "intraday", "imbalance"]
    if series.has("afrr_mw") and series.total("afrr_mw").any():
        names.insert(3, "afrr")
    for name in [n for n in names if series.has(f"{n}_mw")]:
        power, source = series.total(f"{name}_mw"), f"series:{name}_mw"
        bought = float((np.clip(power, 0, None) * series.hours).sum())
        sold = float((np.clip(-power, 0, None) * series.hours).sum())
        into.append(Flow(name, voice.say(f"contract.{name}_bought"), bought, source))
        out.append(Flow(name, voice.say(f"contract.{name}_sold"), sold, source))
    exported = series.total("export_mw") if series.has("export_mw") else 0.0
    net = series.total("import_mw") - exported
    drawn = float((np.clip(net, 0, None) * series.hours).sum())
    fed = float((np.clip(-net, 0, None) * series.hours).sum())
    source = "series:import_mw series:export_mw"
    out.insert(0, Flow("import", voice.say("contract.drawn"), drawn, source))
    into.append(Flow("export", voice.say("contract.fed"), fed, source))
    return into, out


def _add_flows(
    tell: Teller, section: Section, kind: str, into: list[Flow], out: list[Flow]
) -> None:
    voice = tell.voice
    came, went = (sum(flow.energy_mwh for flow in side) for side in (into, out))
    caption = Caption(
        f"fig-{kind}",
        voice.say(f"figure.{kind}.title"),
        voice.say(f"figure.{kind}.alt", total=voice.number(came)),
    )
    held = " ".join(sorted({name for flow in (*into, *out) for name in flow.source.split()}))
    svg = sankey_figure(into, out, voice.say(f"figure.{kind}.hub"), caption, voice)
    section.pictures.append(Picture(svg, voice.markup(f"figure.{kind}.caption"), held))
    rows: list[list[Markup | str]] = []
    for side, flows, whole in (("in", into, came), ("out", out, went)):
        for flow in sorted(flows, key=lambda flow: -flow.energy_mwh):
            if flow.energy_mwh > 0:
                share = flow.energy_mwh / whole
                rows.append(
                    [
                        flow.label,
                        voice.say(f"energy.{side}"),
                        tell.found(flow.energy_mwh, flow.source),
                        tell.share(share, flow.source),
                    ]
                )
    heads = [voice.say(f"energy.{name}") for name in ("flow", "side", "mwh", "share")]
    title = voice.say(f"figure.{kind}.title")
    section.tables.append(Table(title, heads, rows, texts=frozenset({1}), folded=True))
    if abs(came - went) > _BALANCED * max(came, went, 1.0):
        gap = tell.found(came - went, held, 1)
        section.notes.append(voice.markup("energy.gap", gap=gap, figure=title))


def cost_section(tell: Teller) -> Section:
    """What a GPU-hour costs, always as a range, and the money of the period."""
    section, voice = tell.section("cost"), tell.voice
    ends = [tell.frame.value(f"lcoc_eur_per_gpu_h.{end}") for end in ("low", "base", "high")]
    low, base, high = ends
    if low is None or base is None or high is None:
        section.notes.append(voice.markup("cost.none"))
    else:
        total = CostPart(voice.say("cost.total"), low, base, high)
        parts = cost_parts(tell)
        section.lead.append(
            voice.markup(
                "cost.lead",
                **{e: tell.key(f"lcoc_eur_per_gpu_h.{e}", 2) for e in ("low", "base", "high")},
            )
        )
        caption = Caption(
            "fig-cost",
            voice.say("section.cost"),
            voice.say(
                "figure.cost.alt",
                base=voice.number(base, 2),
                low=voice.number(low, 2),
                high=voice.number(high, 2),
            ),
        )
        held = "summary:lcoc_eur_per_gpu_h" + (" summary:lcoc.components" if parts else "")
        svg = cost_figure(parts, total, caption, voice)
        section.pictures.append(Picture(svg, voice.markup("figure.cost.caption"), held))
        if not parts:
            section.notes.append(voice.markup("cost.no_parts"))
    section.tables.append(_money(tell))
    section.notes.append(voice.markup("cost.advice"))
    return section


def cost_parts(tell: Teller) -> list[CostPart]:
    """The parts of the cost per GPU-hour, largest first, whatever form the summary gives them in.

    Accepted: a mapping from name to {low, base, high} or to one number, or a list of mappings that
    carry `name` beside them.
    """
    found: Any = lookup(tell.frame.summary, "lcoc.components")
    if isinstance(found, Mapping):
        rows = [(str(name), part) for name, part in found.items()]
    elif isinstance(found, list):
        rows = [(str(part.get("name", "")), part) for part in found if isinstance(part, Mapping)]
    else:
        return []
    parts: list[CostPart] = []
    for name, part in rows:
        if isinstance(part, Mapping):
            base = _real(part.get("base"))
            low, high = _real(part.get("low")), _real(part.get("high"))
        else:
            base = low = high = _real(part)
        if base is not None:
            label = tell.voice.named("cost_part", name)
            low, high = base if low is None else low, base if high is None else high
            parts.append(CostPart(label, low, base, high))
    return sorted(parts, key=lambda part: (-part.base, part.label))


def _real(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _money(tell: Teller) -> Table:
    voice = tell.voice
    rows: list[list[Markup | str]] = []
    for name in (
        *("energy_eur", "grid_tariff_eur", "congestion_eur"),
        *("water_eur", "heat_eur", "revenue_eur"),
    ):
        key = f"money.{name}"
        if tell.frame.value(key) is not None:
            rows.append([voice.say(f"money.{name}"), tell.key(key)])
    heads = [voice.say("money.what"), voice.say("money.eur")]
    return Table(voice.say("money.table"), heads, rows)


def footprint_section(tell: Teller) -> Section:
    """Heat, water and carbon by month."""
    section, voice = tell.section("footprint"), tell.voice
    section.lead.append(
        voice.markup(
            "footprint.lead",
            heat=tell.key("heat_mwh"),
            erf=tell.key("erf", 3),
            water=tell.key("water_m3"),
            wue=tell.key("wue_l_per_kwh", 3),
            location=tell.key("co2_kg.location", 0, 1e-3),
            market=tell.key("co2_kg.market", 0, 1e-3),
        )
    )
    columns = _footprint_columns(tell)
    tell.left_out(section, "heat_mw", "water_m3", "co2_location_kg", "co2_market_kg")
    panels: list[tuple[str, dict[str, tuple[str, Floats]]]] = []
    groups = (
        ("heat", ("heat_demand", "heat"), 1e-3),
        ("water", ("water",), 1e-3),
        ("carbon", ("co2_location", "co2_market"), 1e-3),
    )
    for title, names, scale in groups:
        rows = {n: (voice.say(f"foot.{n}"), columns[n][1] * scale) for n in names if n in columns}
        if rows:
            panels.append((voice.say(f"figure.footprint.{title}"), rows))
    if panels:
        caption = Caption(
            "fig-footprint", voice.say("section.footprint"), voice.say("figure.footprint.alt")
        )
        held = " ".join(f"series:{column}" for column, _ in columns.values())
        svg = pairs_figure(panels, tell.bins, caption, voice)
        section.pictures.append(Picture(svg, voice.markup("figure.footprint.caption"), held))
        section.tables.append(_footprint_table(tell, columns))
    add_cooling(tell, section)
    add_heat(tell, section)
    return section


def _footprint_columns(tell: Teller) -> dict[str, tuple[str, Floats]]:
    """By name, the series column and its monthly sum in MWh, m3 or t."""
    series = tell.frame.series
    # demand is the network's, so what meets it is counted behind the heat pump as well
    met = "heat_network_mw" if series.has("heat_network_mw", "heat_mw") else "heat_mw"
    wanted = {
        "heat_demand": ("heat_demand_mw", series.hours),
        "heat": (met, series.hours),
        "water": ("water_m3", np.ones(len(series.start_ns))),
        "co2_location": ("co2_location_kg", np.full(len(series.start_ns), 1e-3)),
        "co2_market": ("co2_market_kg", np.full(len(series.start_ns), 1e-3)),
    }
    return {
        name: (column, tell.bins.sum(series.total(column) * factor))
        for name, (column, factor) in wanted.items()
        if series.has(column)
    }


def _footprint_table(tell: Teller, columns: dict[str, tuple[str, Floats]]) -> Table:
    voice = tell.voice
    rows: list[list[Markup | str]] = []
    for place, first in enumerate(tell.bins.first_day):
        name = bin_name(first, tell.bins.kind, voice)
        if tell.bins.kind == "month":
            name = f"{voice.say(f'month.{first.month}')}\u00a0{first.year}"
        cells = [tell.found(float(v[place]), f"series:{column}") for column, v in columns.values()]
        rows.append([name, *cells])
    sums = [tell.found(float(v.sum()), f"series:{column}") for column, v in columns.values()]
    rows.append([voice.say("table.total"), *sums])
    heads = [voice.say(f"footprint.{tell.bins.kind}")]
    heads += [voice.say(f"footprint.{name}") for name in columns]
    return Table(voice.say("footprint.table"), heads, rows, total=True)
