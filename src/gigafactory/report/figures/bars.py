"""Stacked and paired bars per month (or day): accelerator-hours, heat, water, carbon."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from gigafactory.report.clock import Bins
from gigafactory.report.figures.canvas import Caption, draw, ink, labels_beside, plain_numbers
from gigafactory.report.voice import Voice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stack:
    """A panel of stacked bars.

    Attributes:
        title: with its unit.
        layers: colour name, label and one value per bin each, bottom to top.
    """

    title: str
    layers: Sequence[tuple[str, str, Floats]]


def stacks_figure(stacks: Sequence[Stack], bins: Bins, caption: Caption, voice: Voice) -> Markup:
    """Draw panels of stacked bars on one time axis, each layer named at its side.

    Args:
        stacks: the panels, top to bottom.
        bins: the months or days.
        caption: title and description.
        voice: the language.

    Returns:
        An inline SVG.
    """

    def paint(figure: Figure) -> None:
        axes = figure.subplots(len(stacks), 1, squeeze=False)[:, 0]
        figure.subplots_adjust(left=0.055, right=0.755, top=0.945, bottom=0.06, hspace=0.26)
        for one, stack in zip(axes, stacks, strict=True):
            _stack(one, stack, len(bins), voice)
            _foot(one, bins, voice)

    return draw(caption, 2.75 * len(stacks) + 0.2, paint)


def _stack(axes: Axes, stack: Stack, count: int, voice: Voice) -> None:
    place = np.arange(count, dtype=np.float64)
    base = np.zeros(count)
    entries: list[tuple[float, str, str]] = []
    for name, label, values in stack.layers:
        axes.bar(
            place,
            values,
            width=0.82,
            bottom=base,
            facecolor=ink(name),
            edgecolor=ink("paper"),
            linewidth=0.4,
        )
        entries.append((float(base[-1] + values[-1] / 2), label, name))
        base = base + values
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(0, float(base.max()) * 1.03 or 1.0)
    axes.set_title(stack.title)
    axes.grid(axis="y")
    plain_numbers(axes.yaxis, voice)
    labels_beside(axes, entries)


def _foot(axes: Axes, bins: Bins, voice: Voice, most: int = 16) -> None:
    step = max(1, -(-len(bins) // most))
    places = list(range(0, len(bins), step))
    axes.set_xticks(places, [bin_name(bins.first_day[p], bins.kind, voice) for p in places])
    axes.tick_params(axis="x", length=0)


def bin_name(first: dt.date, kind: str, voice: Voice) -> str:
    """The short name of a month or a day."""
    return voice.month(first) if kind == "month" else f"{first.day} {voice.month(first)}"


def pairs_figure(
    panels: Sequence[tuple[str, Mapping[str, tuple[str, Floats]]]],
    bins: Bins,
    caption: Caption,
    voice: Voice,
) -> Markup:
    """Draw small panels beside each other, one or two bars per month each.

    Args:
        panels: title (with unit) and, by colour name, the label and the values.
        bins: the months or days.
        caption: title and description.
        voice: the language.

    Returns:
        An inline SVG.
    """

    def paint(figure: Figure) -> None:
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        figure.subplots_adjust(left=0.05, right=0.995, top=0.80, bottom=0.10, wspace=0.20)
        for one, (title, rows) in zip(axes, panels, strict=True):
            _pair(one, title, rows, bins, voice)

    return draw(caption, 2.7, paint)


def _pair(
    axes: Axes, title: str, rows: Mapping[str, tuple[str, Floats]], bins: Bins, voice: Voice
) -> None:
    """Bars behind each other: the first wide, the second narrow in front of it."""
    place = np.arange(len(bins), dtype=np.float64)
    keys = zip(rows.items(), (0.82, 0.46), (0.015, 0.5), strict=False)
    for (name, (label, values)), width, offset in keys:
        axes.bar(place, values, width=width, facecolor=ink(name), edgecolor="none")
        if len(rows) > 1:
            axes.plot([offset], [1.045], "s", color=ink(name), markersize=5, clip_on=False,
                      transform=axes.transAxes)  # fmt: skip
            axes.text(offset + 0.03, 1.045, label, transform=axes.transAxes, va="center",
                      fontsize=8)  # fmt: skip
    axes.set_xlim(-0.6, len(bins) - 0.4)
    axes.set_title(title, pad=17 if len(rows) > 1 else 6)
    axes.grid(axis="y")
    plain_numbers(axes.yaxis, voice)
    _foot(axes, bins, voice, most=6)
