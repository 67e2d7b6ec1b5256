"""Shares of a whole, one bar a row: where things come from, to whom money goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.drawn import box, frame, text

_LEFT, _RIGHT, _TOP, _ROW = 190.0, 600.0, 30.0, 21.0


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bar: its colour name, and its share of the whole, 0 to 1."""

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class Row:
    """One bar.

    Attributes:
        label: its name.
        parts: from left to right, together 1 or less.
        note: what is written behind it.
        source: where it comes from, as in `Voice.traced`.
    """

    label: str
    parts: Sequence[Part]
    note: str
    source: str


def shares_of_rows_figure(rows: Sequence[Row], names: Sequence[str], caption: Caption) -> Markup:
    """Draw bars of shares under one another.

    Args:
        rows: the bars, all with the same parts in the same order.
        names: of the parts, for the key above.
        caption: title and description.

    Returns:
        An inline SVG.
    """
    drawn: list[Markup] = []
    x = _LEFT
    for name, part in zip(names, rows[0].parts, strict=True):
        drawn.append(box(x, 6.0, 10.0, 10.0, part.name))
        drawn.append(text(x + 15.0, 14.6, name))
        x += 15.0 + 5.2 * len(name) + 22.0
    for place, row in enumerate(rows):
        y = _TOP + _ROW * place
        drawn.append(text(_LEFT - 12.0, y + 11.5, row.label, "end"))
        at = _LEFT
        for part in row.parts:
            wide = (_RIGHT - _LEFT) * part.share
            drawn.append(box(at, y, wide, 15.0, part.name, "paper"))
            at += wide
        drawn.append(text(_RIGHT + 10.0, y + 11.5, row.note, "start", "soft", row.source))
    return frame(_TOP + _ROW * len(rows) + 4.0, caption, drawn)
