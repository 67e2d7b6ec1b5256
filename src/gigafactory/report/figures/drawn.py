"""What figures drawn by hand share: the frame with its title, text, lines and boxes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from markupsafe import Markup

from gigafactory.report.figures.canvas import Caption
from gigafactory.report.palette import variable

#: Width of a figure drawn by hand, in its own units.
WIDE: Final = 720.0


def frame(tall: float, caption: Caption, parts: Iterable[Markup]) -> Markup:
    """A drawing with a title and a description for those who do not see it.

    Args:
        tall: its height, in the units in which it is `WIDE` wide.
        caption: its name, title and description.
        parts: what is drawn, back to front.

    Returns:
        An inline SVG.
    """
    return Markup(
        '<svg viewBox="0 0 {:.0f} {:.1f}" role="img" class="flow"'
        ' aria-labelledby="{name}-t {name}-d"><title id="{name}-t">{}</title>'
        '<desc id="{name}-d">{}</desc>{}</svg>'
    ).format(
        WIDE,
        tall,
        caption.title,
        caption.description,
        Markup("").join(parts),
        name=caption.name,
    )


def text(
    x: float, y: float, words: str, anchor: str = "start", kind: str = "", source: str = ""
) -> Markup:
    """A line of text; `kind` is a class of the style sheet, `source` where its number is from."""
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}"{}{}>{}</text>').format(
        x,
        y,
        anchor,
        Markup(' class="{}"').format(kind) if kind else "",
        Markup(' data-source="{}"').format(source) if source else "",
        words,
    )


def line(
    x0: float, y0: float, x1: float, y1: float, colour: str, wide: float = 1.0, dash: str = ""
) -> Markup:
    """A straight line."""
    return Markup(
        '<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}" stroke="{}" stroke-width="{}" fill="none"{}/>'
    ).format(
        x0,
        y0,
        x1,
        y1,
        variable(colour),
        wide,
        Markup(' stroke-dasharray="{}"').format(dash) if dash else "",
    )


def box(
    x: float, y: float, wide: float, tall: float, colour: str, edge: str = "", soft: float = 1.0
) -> Markup:
    """A box of a colour, with an edge of another where one is named."""
    return Markup(
        '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"{}{}/>'
    ).format(
        x,
        y,
        max(wide, 0.0),
        max(tall, 0.0),
        variable(colour),
        Markup(' stroke="{}"').format(variable(edge)) if edge else "",
        Markup(' fill-opacity="{}"').format(soft) if soft < 1.0 else "",
    )


def outline(
    points: list[tuple[float, float]], colour: str, *, fill: bool, dash: str = ""
) -> Markup:
    """A closed shape."""
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z"
    return Markup(
        '<path d="{}" stroke="{}" stroke-width="1.6" fill="{}" fill-opacity=".16"{}/>'
    ).format(
        path,
        variable(colour),
        variable(colour) if fill else "none",
        Markup(' stroke-dasharray="{}"').format(dash) if dash else "",
    )
