"""What became of the accelerator-hours in service: one bar, and below it the part that was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from gigafactory.report.figures.canvas import Caption, draw, ink
from gigafactory.report.voice import Voice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the accelerator-hours in service.

    Attributes:
        name: its colour name.
        label: its name.
        share: of the whole.
    """

    name: str
    label: str
    share: float


def goodput_figure(
    useful: Part, losses: Sequence[Part], rest: Part, caption: Caption, voice: Voice
) -> Markup:
    """Draw the whole as one bar, and the losses in it again on a scale on which they are seen.

    Args:
        useful: what did work that was kept.
        losses: what did not, part by part.
        rest: what nobody used.
        caption: title and description.
        voice: the language.

    Returns:
        An inline SVG.
    """
    height_in = 1.4 + 0.24 * len(losses)

    def paint(figure: Figure) -> None:
        top, bottom = figure.subplots(
            2, 1, gridspec_kw={"height_ratios": (0.56, 0.24 * len(losses)), "hspace": 0.42}
        )
        figure.subplots_adjust(
            left=0.19, right=0.93, top=1 - 0.24 / height_in, bottom=0.28 / height_in
        )
        _whole(top, useful, losses, rest, voice)
        _losses(bottom, losses, voice)

    return draw(caption, height_in, paint)


def _whole(axes: Axes, useful: Part, losses: Sequence[Part], rest: Part, voice: Voice) -> None:
    begun = 0.0
    for part in (useful, *losses, rest):
        axes.barh(0, part.share, left=begun, height=0.8, facecolor=ink(part.name), edgecolor="none")
        begun += part.share
    lost = sum(part.share for part in losses)
    said = (
        (0.0, "left", f"{useful.label}  {voice.share(useful.share)}"),
        (1.0, "right", f"{rest.label}  {voice.share(rest.share)}"),
    )
    for at, side, text in said:
        axes.text(at, 0.78, text, ha=side, va="center", fontsize=9)
    middle = useful.share + lost / 2
    axes.plot([middle, middle], [-0.42, -0.68], color=ink("soft"), linewidth=0.8, clip_on=False)
    text = voice.say("figure.goodput.lost", share=voice.share(lost))
    axes.text(min(max(middle, 0.15), 0.85), -1.02, text, ha="center", va="center", fontsize=9)
    axes.set_xlim(0, 1)
    axes.set_ylim(-1.2, 1.0)
    axes.set_axis_off()


def _losses(axes: Axes, losses: Sequence[Part], voice: Voice) -> None:
    for place, part in enumerate(losses):
        axes.barh(place, part.share, height=0.62, facecolor=ink(part.name), edgecolor="none")
        axes.text(1.01, place, voice.share(part.share, 2), va="center", fontsize=8.5,
                  transform=axes.get_yaxis_transform())  # fmt: skip
    axes.set_ylim(len(losses) - 0.5, -0.5)
    axes.set_yticks(range(len(losses)), [part.label for part in losses])
    axes.tick_params(axis="y", labelcolor=ink("ink"))
    axes.set_xlim(0, max(max(part.share for part in losses) * 1.02, 1e-4))
    axes.locator_params(axis="x", nbins=4)
    ticks = [tick for tick in axes.get_xticks() if tick <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, [voice.share(float(tick), 2) for tick in ticks])
    axes.grid(axis="x")
