"""A result that is a vector, as a vector: one spoke for each score, nought as a ring of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.drawn import frame, line, outline, text
from gigafactory.report.palette import variable
from gigafactory.report.voice import Voice

_CENTRE = (360.0, 150.0)
_RADIUS = 112.0


@dataclass(frozen=True, slots=True)
class Spoke:
    """One score.

    Attributes:
        label: its name.
        value: what it is.
        held: whether something keeps it from being called what its number says.
        source: where it comes from, as in `Voice.traced`.
        ends: what it could still be, lowest and highest; the value twice where that is known.
    """

    label: str
    value: float
    held: bool
    source: str
    ends: tuple[float, float]


def radar_figure(
    spokes: Sequence[Spoke], bounds: tuple[float, float], held: str, caption: Caption, voice: Voice
) -> Markup:
    """Draw a vector of scores.

    Args:
        spokes: three or more, clockwise from the top.
        bounds: the value at the centre and at the rim.
        held: what is written under a score that is held back.
        caption: title and description.
        voice: the language.

    Returns:
        An inline SVG.
    """
    low, high = bounds
    count = len(spokes)
    turns = [2 * math.pi * place / count - math.pi / 2 for place in range(count)]

    def at(turn: float, value: float) -> tuple[float, float]:
        reach = _RADIUS * (min(max(value, low), high) - low) / (high - low)
        return _CENTRE[0] + reach * math.cos(turn), _CENTRE[1] + reach * math.sin(turn)

    parts: list[Markup] = []
    for mark in [low + (high - low) * k / 4 for k in range(1, 5)]:
        nought = abs(mark) < 1e-9
        ring = [at(turn, mark) for turn in turns]
        parts.append(outline(ring, "ink" if nought else "rule", fill=False))
        x, y = at(turns[0], mark)
        parts.append(
            text(x + 4.0, y - 2.0, voice.number(mark, 0 if mark % 1 == 0 else 2), kind="soft")
        )
    parts += [line(*_CENTRE, *at(turn, high), "rule") for turn in turns]
    parts.append(
        outline([at(t, s.value) for t, s in zip(turns, spokes, strict=True)], "accent", fill=True)
    )
    for turn, spoke in zip(turns, spokes, strict=True):
        parts.append(line(*at(turn, spoke.ends[0]), *at(turn, spoke.ends[1]), "held_paused", 3.0))
    for turn, spoke in zip(turns, spokes, strict=True):
        x, y = at(turn, spoke.value)
        parts.append(
            Markup('<circle cx="{:.1f}" cy="{:.1f}" r="4" fill="{}" stroke="{}"/>').format(
                x, y, variable("alarm" if spoke.held else "accent"), variable("paper")
            )
        )
        parts += _label(turn, spoke, held, voice)
    foot = max(_CENTRE[1] + (_RADIUS + 20.0) * math.sin(turn) for turn in turns)
    return frame(foot + 24.0, caption, parts)


def _label(turn: float, spoke: Spoke, held: str, voice: Voice) -> list[Markup]:
    x = _CENTRE[0] + (_RADIUS + 16.0) * math.cos(turn)
    y = _CENTRE[1] + (_RADIUS + 20.0) * math.sin(turn) + 3.0
    side = math.cos(turn)
    anchor = "middle" if abs(side) < 0.2 else "start" if side > 0 else "end"
    y -= 12.0 if side and abs(side) < 0.2 and turn < 0 else 0.0
    shown = voice.number(spoke.value, 2)
    out = [
        text(x, y, spoke.label, anchor, "strong"),
        text(x, y + 12.0, shown, anchor, "", spoke.source),
    ]
    if spoke.held:
        out[1] = text(x, y + 12.0, f"{shown} ({held})", anchor, "held", spoke.source)
    return out
