"""A quarter of an hour by the second: import and limit, what gave way, battery, frequency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from gigafactory.report.figures.canvas import Caption, draw, ink, labels_beside, plain_numbers
from gigafactory.report.voice import Voice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Quarter:
    """What the figure shows; arrays of one value per second.

    Attributes:
        at_min: since the first second.
        lines_mw: `import` and `limit`, MW.
        layers_mw: colour name and MW shed of each class, first to give way at the bottom.
        battery_mw: discharge of battery and supplies, MW; charge is negative.
        frequency_hz: Hz; nan where it was not measured.
    """

    at_min: Floats
    lines_mw: Mapping[str, Floats]
    layers_mw: Mapping[str, Floats]
    battery_mw: Floats
    frequency_hz: Floats


def quarter_figure(quarter: Quarter, caption: Caption, voice: Voice) -> Markup:
    """Draw the quarter: four panels on one axis of minutes.

    Args:
        quarter: what to show.
        caption: title and description.
        voice: the language.

    Returns:
        An inline SVG.
    """

    def paint(figure: Figure) -> None:
        axes = figure.subplots(4, 1, sharex=True, gridspec_kw={"height_ratios": [2.0, 1.4, 1, 1]})
        figure.subplots_adjust(left=0.055, right=0.775, top=0.955, bottom=0.075, hspace=0.34)
        _lines(axes[0], quarter, voice)
        _shed(axes[1], quarter, voice)
        axes[2].plot(quarter.at_min, quarter.battery_mw, color=ink("discharge"), linewidth=1.1)
        axes[2].axhline(0, color=ink("soft"), linewidth=0.6)
        axes[2].set_title(voice.say("figure.quarter.battery"))
        axes[3].plot(quarter.at_min, quarter.frequency_hz, color=ink("accent"), linewidth=0.9)
        axes[3].set_title(voice.say("figure.quarter.frequency"))
        axes[3].set_xlabel(voice.say("figure.quarter.minutes"))
        for one in axes:
            one.set_xlim(float(quarter.at_min[0]), float(quarter.at_min[-1]))
            one.grid(axis="y")
            plain_numbers(one.yaxis, voice)
        plain_numbers(axes[3].xaxis, voice)

    return draw(caption, 6.4, paint)


def _lines(axes: Axes, quarter: Quarter, voice: Voice) -> None:
    styles = {"import": ("-", 1.2, "import"), "limit": ((0, (5, 2.5)), 1.4, "alarm")}
    entries = []
    for name, values in quarter.lines_mw.items():
        style, width, colour = styles[name]
        axes.plot(quarter.at_min, values, linestyle=style, linewidth=width, color=ink(colour))
        entries.append((float(values[-1]), voice.say(f"figure.week.{name}"), colour))
    most = max(float(values.max()) for values in quarter.lines_mw.values())
    axes.set_ylim(0, max(most, 1e-3) * 1.06)
    axes.set_title(voice.say("figure.quarter.power"))
    labels_beside(axes, entries)


def _shed(axes: Axes, quarter: Quarter, voice: Voice) -> None:
    base, entries = np.zeros(len(quarter.at_min)), []
    for name, values in quarter.layers_mw.items():
        top = base + values
        axes.fill_between(quarter.at_min, base, top, facecolor=ink(name), edgecolor="none")
        middle = (base + top) / 2
        entries.append((float(middle[-1]), voice.named("layer", name), name))
        base = top
    axes.set_ylim(0, max(float(base.max()), 1e-3) * 1.1)
    axes.set_title(voice.say("figure.quarter.shed"))
    if entries:
        labels_beside(axes, entries)
