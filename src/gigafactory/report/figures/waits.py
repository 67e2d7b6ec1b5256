"""How long jobs waited, by class: the share that starts at once, and the others on a log axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from gigafactory.report.figures.canvas import Caption, draw, ink
from gigafactory.report.receipts import WAIT_EDGES_S
from gigafactory.report.voice import Voice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TICKS_S = (1, 10, 60, 600, 3600, 86_400, 864_000)


@dataclass(frozen=True, slots=True)
class ClassWaits:
    """The waits of one class.

    Attributes:
        name: its colour name.
        label: its name.
        histogram: started jobs per bin of `WAIT_EDGES_S`.
        p50_s: median wait, or None where not recorded.
        p95_s: the wait that 95 % of the jobs do not exceed, or None.
    """

    name: str
    label: str
    histogram: npt.NDArray[np.int64]
    p50_s: float | None
    p95_s: float | None


def waits_figure(rows: Sequence[ClassWaits], caption: Caption, voice: Voice) -> Markup:
    """Draw one row per class: share started within a second, and the spread of the other waits.

    Args:
        rows: the classes, top to bottom.
        caption: title and description.
        voice: the language.

    Returns:
        An inline SVG.
    """

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(
            1, 2, sharey=True, gridspec_kw={"width_ratios": (1.0, 4.6), "wspace": 0.17}
        )
        height = figure.get_figheight()
        figure.subplots_adjust(left=0.19, right=0.985, top=1 - 0.34 / height, bottom=0.36 / height)
        for place, row in enumerate(rows):
            _at_once(left, place, row, voice)
            _spread(right, place, row, voice)
        _frame(left, right, rows, voice)

    return draw(caption, 0.7 + 0.72 * len(rows), paint)


def _at_once(axes: Axes, place: int, row: ClassWaits, voice: Voice) -> None:
    total = int(row.histogram.sum())
    share = float(row.histogram[0]) / total if total else float("nan")
    if total:
        axes.barh(place, share, height=0.34, facecolor=ink(row.name), edgecolor="none")
    axes.text(0.02, place - 0.3, voice.share(share, 0), va="center", fontsize=8.5)


def _spread(axes: Axes, place: int, row: ClassWaits, voice: Voice) -> None:
    """The waits of a second and more as a shape of height one row, with median and p95."""
    counts = row.histogram[1:-1].astype(np.float64)
    edges = WAIT_EDGES_S[1:]
    if counts.max() > 0:
        shape = place + 0.38 - 0.62 * counts / counts.max()
        axes.stairs(
            shape, edges, baseline=place + 0.38, fill=True, facecolor=ink(row.name),
            edgecolor="none", alpha=0.55,
        )  # fmt: skip
    axes.axhline(place + 0.38, color=ink("rule"), linewidth=0.5)
    for name, wait_s in (("p50", row.p50_s), ("p95", row.p95_s)):
        if wait_s is None or wait_s < 1.0:
            continue
        axes.plot([wait_s, wait_s], [place - 0.3, place + 0.38], color=ink("ink"), linewidth=1.2)
        axes.text(
            wait_s * 1.08, place - 0.24, f"{name}  {voice.duration(wait_s)}", fontsize=8.5,
            va="center",
        )  # fmt: skip


def _frame(left: Axes, right: Axes, rows: Sequence[ClassWaits], voice: Voice) -> None:
    left.set_xlim(0, 1.0)
    left.set_xticks([0, 0.5, 1.0], ["0", "50%", "100%"])
    left.set_title(voice.say("figure.waits.at_once"))
    left.set_ylim(len(rows) - 0.5, -0.5)
    left.set_yticks(range(len(rows)), [row.label for row in rows])
    left.tick_params(axis="y", labelcolor=ink("ink"))
    left.grid(axis="x")
    used = [int(np.flatnonzero(row.histogram)[-1]) for row in rows if row.histogram.any()]
    top = float(WAIT_EDGES_S[min(max(used, default=1) + 3, len(WAIT_EDGES_S) - 1)])
    right.set_xscale("log")
    right.set_xlim(1, max(top, 100.0))
    shown = [tick for tick in _TICKS_S if tick <= max(top, 100.0)]
    right.set_xticks(shown, [_tick(tick, voice) for tick in shown])
    right.set_xticks([], minor=True)
    right.set_title(voice.say("figure.waits.others"))
    right.grid(axis="x")
    right.tick_params(axis="y", length=0)


def _tick(seconds: int, voice: Voice) -> str:
    for unit, scale in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= scale:
            return f"{seconds // scale} {voice.say(f'unit.{unit}')}"
    return f"{seconds} s"
