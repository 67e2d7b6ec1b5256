"""What was promised to whom and what each held: accelerators, and the share put to its own use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from gigafactory.report.figures.canvas import Caption, draw, ink, plain_numbers
from gigafactory.report.voice import Voice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_IN: Final = 0.2
#: Names of the parts in the order they are drawn, by panel.
_HELD: Final = ("own", "borrowed")
_PROMISED: Final = ("own", "short", "unasked")
#: Where the names of the colours begin, as a share of the panel's width.
_STEPS: Final = {_HELD: (0.0, 0.13, 0.31), _PROMISED: (0.0, 0.37, 0.62)}


@dataclass(frozen=True, slots=True)
class ShareBar:
    """What one tenant (or group) was promised and held, in accelerators on average.

    Attributes:
        label: its name.
        heading: the group it stands in; rows of one heading follow each other.
        promised_accelerators: its nominal quota.
        own_accelerators: held within its own quota.
        borrowed_accelerators: held beyond it.
        short_accelerators: asked within its own quota and not had.
    """

    label: str
    heading: str
    promised_accelerators: float
    own_accelerators: float
    borrowed_accelerators: float
    short_accelerators: float

    @property
    def unasked_accelerators(self) -> float:
        """Promised, and neither used by itself nor asked for: lent out or idle."""
        rest = self.promised_accelerators - self.own_accelerators - self.short_accelerators
        return max(rest, 0.0)


def shares_figure(bars: Sequence[ShareBar], caption: Caption, voice: Voice) -> Markup:
    """Draw a row per tenant: left what it held beside its promise, right the use of that promise.

    Args:
        bars: the rows, top to bottom.
        caption: title and description.
        voice: the language.

    Returns:
        An inline SVG.
    """
    places, headings = _places(bars)
    rows = len(bars) + len(headings)

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(
            1, 2, sharey=True, gridspec_kw={"width_ratios": (1.7, 1.0), "wspace": 0.07}
        )
        height = figure.get_figheight()
        figure.subplots_adjust(left=0.15, right=0.975, top=1 - 0.55 / height, bottom=0.3 / height)
        for place, bar in zip(places, bars, strict=True):
            _held(left, place, bar)
            _used(right, place, bar)
        for place, heading in headings:
            left.text(0.004, place + 0.12, heading, transform=left.get_yaxis_transform(),
                      va="center", fontsize=8.5, fontweight="bold")  # fmt: skip
        left.set_ylim(rows - 0.4, -0.6)
        left.set_yticks(places, [bar.label for bar in bars])
        left.tick_params(axis="y", labelcolor=ink("ink"), labelsize=8.5)
        left.set_xlim(left=0)
        right.set_xlim(0, 1)
        right.set_xticks([0, 0.5, 1.0], ["0", "50%", "100%"])
        right.tick_params(axis="y", length=0)
        plain_numbers(left.xaxis, voice)
        for axes, name, parts in ((left, "held", _HELD), (right, "used", _PROMISED)):
            axes.grid(axis="x")
            axes.set_title(voice.say(f"figure.shares.{name}"), pad=19)
            _legend(axes, parts, voice, height)

    return draw(caption, 0.9 + _ROW_IN * rows, paint)


def _places(bars: Sequence[ShareBar]) -> tuple[list[float], list[tuple[float, str]]]:
    """Where each row stands, and each heading: one row above the first of its group."""
    places: list[float] = []
    headings: list[tuple[float, str]] = []
    at, before = 0.0, ""
    for bar in bars:
        if bar.heading and bar.heading != before:
            headings.append((at, bar.heading))
            at += 1.0
        before = bar.heading
        places.append(at)
        at += 1.0
    return places, headings


def _held(axes: Axes, place: float, bar: ShareBar) -> None:
    begun = 0.0
    for name, value in (("own", bar.own_accelerators), ("borrowed", bar.borrowed_accelerators)):
        axes.barh(place, value, left=begun, height=0.66, facecolor=ink(name), edgecolor="none")
        begun += value
    mark = [bar.promised_accelerators] * 2
    axes.plot(mark, [place - 0.45, place + 0.45], color=ink("ink"), linewidth=1.6)


def _used(axes: Axes, place: float, bar: ShareBar) -> None:
    whole = bar.own_accelerators + bar.short_accelerators + bar.unasked_accelerators
    if whole <= 0.0 or bar.promised_accelerators <= 0.0:
        return
    begun = 0.0
    values = (bar.own_accelerators, bar.short_accelerators, bar.unasked_accelerators)
    for name, value in zip(_PROMISED, values, strict=True):
        axes.barh(place, value / whole, left=begun, height=0.66, facecolor=ink(name),
                  edgecolor="none")  # fmt: skip
        begun += value / whole


def _legend(axes: Axes, parts: tuple[str, ...], voice: Voice, height_in: float) -> None:
    """Name the colours in a line between title and bars, and the mark of what was promised."""
    y = 1.0 + 0.1 / (height_in - 0.85)
    words = [("own_use" if parts == _PROMISED and p == "own" else p, ink(p), "s") for p in parts]
    words += [("promised", ink("ink"), "|")] if parts == _HELD else []
    for at, (word, colour, mark) in zip(_STEPS[parts], words, strict=True):
        axes.plot([at + 0.012], [y], mark, color=colour, clip_on=False, transform=axes.transAxes,
                  markersize=5 if mark == "s" else 8, markeredgewidth=1.6)  # fmt: skip
        beside = at + (0.035 if parts == _HELD else 0.045)
        axes.text(beside, y, voice.say(f"figure.shares.{word}"), va="center", fontsize=8,
                  transform=axes.transAxes)  # fmt: skip
