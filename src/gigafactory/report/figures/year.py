"""The whole period as a heat map: one column per local day, one row per hour."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from gigafactory.report.figures.canvas import Caption, draw, ink
from gigafactory.report.voice import Voice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

#: Price colours: below zero, zero, dear (a blue-to-brown pair that survives colour blindness).
_BELOW, _ZERO, _DEAR, _DEAREST = "#14507f", "#eef1ee", "#d9962e", "#7a2f0c"


@dataclass(frozen=True, slots=True)
class Panel:
    """One heat map.

    Attributes:
        title: with its unit.
        cells: shape (24, days); NaN where there is no such hour.
        signed: whether zero has a meaning of its own (prices).
    """

    title: str
    cells: Floats
    signed: bool


def year_figure(
    panels: Sequence[Panel], days: Sequence[dt.date], caption: Caption, voice: Voice
) -> Markup:
    """Draw heat maps under each other, days along, hours down.

    Args:
        panels: what to show.
        days: the local date of each column.
        caption: title and description.
        voice: the language.

    Returns:
        An inline SVG with one small embedded picture per panel.
    """

    def paint(figure: Figure) -> None:
        axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        figure.subplots_adjust(left=0.055, right=0.90, top=0.94, bottom=0.07, hspace=0.32)
        for one, panel in zip(axes, panels, strict=True):
            _heat(figure, one, panel, voice)
            _frame(one, days, voice)

    return draw(caption, 2.35 * len(panels) + 0.3, paint)


def _scale(panel: Panel) -> tuple[float, float, Any]:
    """Range of the colours (the middle 98 % of the cells) and the colour map."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    known = panel.cells[np.isfinite(panel.cells)]
    low, high = (float(v) for v in np.quantile(known, (0.01, 0.99))) if len(known) else (0.0, 1.0)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    if not panel.signed:
        return low, high, colormaps["cividis"]
    low, high = min(low, -0.05 * abs(high)), max(high, 0.05 * abs(low))
    zero = -low / (high - low)
    stops = [(0.0, _BELOW), (zero, _ZERO), (zero + 0.5 * (1 - zero), _DEAR), (1.0, _DEAREST)]
    return low, high, LinearSegmentedColormap.from_list("price", stops)


def _heat(figure: Figure, axes: Axes, panel: Panel, voice: Voice) -> None:
    low, high, colours = _scale(panel)
    axes.imshow(
        panel.cells,
        aspect="auto",
        interpolation="none",
        vmin=low,
        vmax=high,
        cmap=colours,
        extent=(0, panel.cells.shape[1], 24, 0),
    )
    axes.set_title(panel.title)
    box = axes.get_position()
    key = figure.add_axes((box.x1 + 0.015, box.y0, 0.012, box.height))
    ramp = np.linspace(low, high, 128)[:, None]
    key.imshow(ramp, aspect="auto", cmap=colours, origin="lower", extent=(0, 1, low, high))
    key.yaxis.tick_right()
    key.set_xticks([])
    marks = [low, (low + high) / 2, high] if not panel.signed else [low, 0.0, high / 2, high]
    names = [voice.number(mark) for mark in marks]
    names[0], names[-1] = f"≤ {names[0]}", f"≥ {names[-1]}"
    key.set_yticks(marks, names)
    key.spines[:].set_visible(False)


def _frame(axes: Axes, days: Sequence[dt.date], voice: Voice) -> None:
    """Hours down the side, months (or days) along the foot."""
    axes.set_yticks([0, 6, 12, 18, 24], ["0", "6", "12", "18", "24"])
    axes.spines[:].set_visible(False)
    firsts = [place for place, day in enumerate(days) if day.day == 1]
    if len(days) > 62:
        starts = sorted({0, *firsts})
        ends = [*starts[1:], len(days)]
        shown = [(a, b) for a, b in zip(starts, ends, strict=True) if b - a >= 9]
        middles = [(a + b) / 2 for a, b in shown]
        axes.set_xticks(middles, [voice.month(days[a]) for a, _ in shown])
        for place in starts[1:]:
            axes.axvline(place, color=ink("paper"), linewidth=0.6)
    else:
        step = max(1, len(days) // 10)
        places = list(range(0, len(days), step))
        names = [f"{days[place].day} {voice.month(days[place])}" for place in places]
        axes.set_xticks([place + 0.5 for place in places], names)
    axes.tick_params(axis="x", length=0)
