"""Money in steps from what came in to what is left, and figures as ranges on one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.drawn import box, frame, line, text
from gigafactory.report.voice import Voice

_LEFT, _RIGHT, _ROW = 250.0, 590.0, 21.0


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a waterfall.

    Attributes:
        label: its name.
        amount: what it adds, or takes when negative.
        source: where it comes from, as in `Voice.traced`.
    """

    label: str
    amount: float
    source: str


@dataclass(frozen=True, slots=True)
class Reach:
    """A figure with its range.

    Attributes:
        label: its name.
        low: the low end.
        base: the middle.
        high: the high end.
        source: where it comes from, as in `Voice.traced`.
        note: what is written behind it; the range itself when empty.
    """

    label: str
    low: float
    base: float
    high: float
    source: str
    note: str = ""


def waterfall_figure(
    steps: Sequence[Step], rest: str, digits: int, caption: Caption, voice: Voice
) -> Markup:
    """Draw steps one after another, and what is left.

    Args:
        steps: in order; each begins where the one before ended.
        rest: the name of what is left.
        digits: behind the decimal mark.
        caption: title and description.
        voice: the language.

    Returns:
        An inline SVG.
    """
    edges = [0.0]
    for step in steps:
        edges.append(edges[-1] + step.amount)
    low, high = min(0.0, *edges), max(0.0, *edges)
    scale = (_RIGHT - _LEFT) / ((high - low) or 1.0)

    def at(value: float) -> float:
        return _LEFT + (value - low) * scale

    tall = 12.0 + _ROW * (len(steps) + 1) + 8.0
    parts = [line(at(0.0), 6.0, at(0.0), tall - 6.0, "ink", 0.8)]
    sources = " ".join(step.source for step in steps)
    for place, step in enumerate([*steps, Step(rest, edges[-1], sources)]):
        last = place == len(steps)
        begin = 0.0 if last else edges[place]
        left, right = sorted((begin, begin + step.amount))
        y = 12.0 + _ROW * place
        colour = "accent" if last else "useful" if step.amount >= 0 else "lost_failure"
        parts.append(box(at(left), y, max(at(right) - at(left), 0.8), 15.0, colour))
        parts.append(text(_LEFT - 12.0, y + 11.5, step.label, "end", "strong" if last else ""))
        shown = ("" if last or step.amount < 0 else "+") + voice.number(step.amount, digits)
        parts.append(
            text(_RIGHT + 10.0, y + 11.5, shown, "start", "strong" if last else "", step.source)
        )
        if not last:
            x = at(edges[place + 1])
            parts.append(line(x, y + 15.0, x, y + _ROW, "soft", 0.7))
    return frame(tall, caption, parts)


def reach_figure(
    rows: Sequence[Reach],
    digits: int,
    caption: Caption,
    voice: Voice,
    middle: float | None = None,
    *,
    bars: bool = False,
) -> Markup:
    """Draw ranges under one another on one scale: a tornado where they share their middle.

    Args:
        rows: the ranges, top to bottom.
        digits: behind the decimal mark.
        caption: title and description.
        voice: the language.
        middle: a value at which a line is drawn; the base of a tornado.
        bars: draw each as a bar from nought to its low end, the range behind it.

    Returns:
        An inline SVG.
    """
    ends = [end for row in rows for end in (row.low, row.base, row.high)]
    ends += ([] if middle is None else [middle]) + ([0.0] if bars else [])
    low, high = min(ends), max(ends)
    pad = 0.04 * ((high - low) or abs(high) or 1.0)
    low, high = low - pad, high + pad

    def at(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * (_RIGHT - _LEFT)

    tall = 10.0 + _ROW * len(rows) + 8.0
    parts: list[Markup] = []
    marks = ([0.0] if low < 0 < high else []) + ([] if middle is None else [middle])
    parts += [line(at(mark), 4.0, at(mark), tall - 4.0, "soft", 0.8, "3 3") for mark in marks]
    for place, row in enumerate(rows):
        y = 10.0 + _ROW * place
        left, right = sorted((row.low, row.high))
        parts.append(text(_LEFT - 12.0, y + 11.5, row.label, "end"))
        if bars:
            parts.append(box(at(0.0), y + 1.0, at(left) - at(0.0), 13.0, "cost"))
        parts.append(box(at(left), y + 3.0, max(at(right) - at(left), 1.0), 9.0, "cost", soft=0.55))
        if not bars or right > left:
            parts.append(line(at(row.base), y, at(row.base), y + 15.0, "range", 1.8))
        span = f"{voice.number(left, digits)} – {voice.number(right, digits)}"
        parts.append(text(_RIGHT + 10.0, y + 11.5, row.note or span, "start", "", row.source))
    return frame(tall, caption, parts)
