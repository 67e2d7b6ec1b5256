"""Where the energy came from and went: a flow drawn by hand, to scale.

Matplotlib's flow diagrams cannot name many flows without collisions, so the geometry is ours:
what comes in stands left, what goes out right, both to the same scale, and every flow is as thick
as its share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from gigafactory.report.figures.canvas import Caption, spread
from gigafactory.report.palette import variable
from gigafactory.report.voice import Voice

_WIDTH = 720.0
_LEFT, _RIGHT = 222.0, 476.0  # inner edges of the two columns
_MIDDLE = 346.0
_BAR = 7.0
_LABEL_GAP = 12.5


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow of energy.

    Attributes:
        name: its colour name.
        label: its name.
        energy_mwh: how much, zero or more.
        source: where the number comes from, as in `Voice.traced`.
    """

    name: str
    label: str
    energy_mwh: float
    source: str


def sankey_figure(
    into: Sequence[Flow],
    out: Sequence[Flow],
    hub: str,
    caption: Caption,
    voice: Voice,
    unit: str = "MWh",
) -> Markup:
    """Draw flows into and out of one place.

    Args:
        into: what comes in; flows of nothing are left out.
        out: what goes out.
        hub: the name of the place in the middle.
        caption: title and description.
        voice: the language.
        unit: of what flows, where it is not energy.

    Returns:
        An inline SVG.
    """
    into = [flow for flow in into if flow.energy_mwh > 0]
    out = [flow for flow in out if flow.energy_mwh > 0]
    total_in, total_out = (sum(f.energy_mwh for f in side) for side in (into, out))
    total = max(total_in, total_out)
    tall = 24.0 + 15.0 * max(len(into), len(out), 7)
    scale = (tall - 20.0 - 4.0 * max(len(out) - 1, 0)) / total if total > 0 else 0.0
    parts: list[Markup] = []
    hub_tall = total * scale
    hub_top = 14.0 + (tall - 14.0 - hub_tall) / 2
    for side, flows, whole in ((-1, into, total_in), (1, out, total_out)):
        parts += _side(side, flows, whole, (hub_top, tall, scale), unit, voice)
    parts.append(
        Markup(
            '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="var(--ink)"/>'
            '<text x="{:.1f}" y="{:.1f}" text-anchor="middle" class="strong">{}</text>'
        ).format(_MIDDLE, hub_top, _BAR, hub_tall, _MIDDLE + _BAR / 2, hub_top - 5.0, hub)
    )
    return Markup(
        '<svg viewBox="0 0 {:.0f} {:.1f}" role="img" class="flow"'
        ' aria-labelledby="{name}-t {name}-d"><title id="{name}-t">{}</title>'
        '<desc id="{name}-d">{}</desc>{}</svg>'
    ).format(
        _WIDTH,
        tall + 8.0,
        caption.title,
        caption.description,
        Markup("").join(parts),
        name=escape(caption.name),
    )


def _side(
    side: int,
    flows: Sequence[Flow],
    whole: float,
    shape: tuple[float, float, float],
    unit: str,
    voice: Voice,
) -> list[Markup]:
    """One column: bars, bands to the hub, and labels that do not collide."""
    hub_top, tall, scale = shape
    thick = [max(flow.energy_mwh * scale, 0.6) for flow in flows]
    gap = 4.0 if len(flows) > 1 else 0.0
    top = max(14.0, 14.0 + (tall - 14.0 - sum(thick) - gap * (len(flows) - 1)) / 2)
    tops: list[float] = []
    for size in thick:
        tops.append(top)
        top += size + gap
    centres = [begin + size / 2 for begin, size in zip(tops, thick, strict=True)]
    labels = spread(centres, _LABEL_GAP, (16.0, tall))
    outer = _LEFT if side < 0 else _RIGHT
    hub_x = _MIDDLE if side < 0 else _MIDDLE + _BAR
    parts: list[Markup] = []
    at_hub = hub_top
    for flow, begin, size, label_y in zip(flows, tops, thick, labels, strict=True):
        parts.append(_band((outer, begin), (hub_x, at_hub), size, flow.name))
        parts.append(_bar_and_label(side, outer, begin, size, label_y, flow, whole, unit, voice))
        at_hub += flow.energy_mwh * scale
    return parts


def _band(start: tuple[float, float], end: tuple[float, float], size: float, name: str) -> Markup:
    (x0, y0), (x1, y1) = start, end
    bend = (x0 + x1) / 2
    path = (
        f"M{x0:.1f} {y0:.1f}C{bend:.1f} {y0:.1f} {bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
        f"V{y1 + size:.1f}C{bend:.1f} {y1 + size:.1f} {bend:.1f} {y0 + size:.1f}"
        f" {x0:.1f} {y0 + size:.1f}Z"
    )
    return Markup('<path d="{}" fill="{}" fill-opacity=".42"/>').format(path, variable(name))


def _bar_and_label(
    side: int,
    outer: float,
    begin: float,
    size: float,
    label_y: float,
    flow: Flow,
    whole: float,
    unit: str,
    voice: Voice,
) -> Markup:
    bar_x = outer - _BAR if side < 0 else outer
    text_x = outer - _BAR - 12.0 if side < 0 else outer + _BAR + 12.0
    link_x = (outer - _BAR, text_x + 3.0) if side < 0 else (outer + _BAR, text_x - 3.0)
    centre = begin + size / 2
    return Markup(
        '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>'
        '<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}" stroke="var(--rule)" fill="none"/>'
        '<text x="{:.1f}" y="{:.1f}" text-anchor="{}" data-source="{}">{} '
        '<tspan class="soft">{} {} · {}</tspan></text>'
    ).format(
        bar_x,
        begin,
        _BAR,
        size,
        variable(flow.name),
        link_x[0],
        centre,
        link_x[1],
        label_y,
        text_x,
        label_y + 3.2,
        "end" if side < 0 else "start",
        flow.source,
        flow.label,
        voice.number(flow.energy_mwh),
        unit,
        voice.share(flow.energy_mwh / whole if whole > 0 else None),
    )
