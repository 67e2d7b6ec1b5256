"""What a GPU-hour costs: the parts one after another, each with its range, and the total."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from gigafactory.report.figures.canvas import Caption, draw, ink, plain_numbers
from gigafactory.report.voice import Voice

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class CostPart:
    """A part of the cost, or the total, in EUR per GPU-hour.

    Attributes:
        label: its name.
        low: low end of the range.
        base: the base case.
        high: high end of the range.
    """

    label: str
    low: float
    base: float
    high: float


def cost_figure(
    parts: Sequence[CostPart], total: CostPart, caption: Caption, voice: Voice
) -> Markup:
    """Draw the parts as steps that end at the total; whiskers give the range of each.

    Args:
        parts: the parts of the base case; may be empty.
        total: the total.
        caption: title and description.
        voice: the language.

    Returns:
        An inline SVG.
    """
    rows = len(parts) + 1

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        height = figure.get_figheight()
        figure.subplots_adjust(left=0.19, right=0.76, top=1 - 0.12 / height, bottom=0.48 / height)
        begun, edge = 0.0, max(total.high, total.base)
        for row, part in enumerate([*parts, total]):
            last = row == len(parts)
            start = 0.0 if last else begun
            axes.barh(
                row,
                part.base,
                left=start,
                height=0.62,
                facecolor=ink("accent" if last else "cost"),
                edgecolor="none",
            )
            whisker = [start + part.low, start + part.high]
            axes.plot(whisker, [row, row], color=ink("range"), linewidth=1.1, marker="|",
                      markersize=6)  # fmt: skip
            edge = max(edge, whisker[1])
            text = f"{voice.number(part.base, 2)}   ({voice.number(part.low, 2)} – "
            axes.text(1.02, row, f"{text}{voice.number(part.high, 2)})", va="center",
                      transform=axes.get_yaxis_transform())  # fmt: skip
            if not last:
                begun += part.base
                axes.plot([begun, begun], [row, row + 1], color=ink("soft"), linewidth=0.5)
        axes.set_ylim(rows - 0.45, -0.55)
        axes.set_xlim(0, edge * 1.02)
        axes.set_yticks(range(rows), [part.label for part in [*parts, total]])
        axes.tick_params(axis="y", labelcolor=ink("ink"))
        axes.set_xlabel(voice.say("figure.cost.axis"))
        axes.grid(axis="x")
        plain_numbers(axes.xaxis, voice)

    return draw(caption, 0.75 + 0.34 * rows, paint)
