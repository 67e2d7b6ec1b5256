"""A week of power: what drew it, against limit and import; the battery; the price."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
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
class WeekOfPower:
    """What the figure shows; arrays of one value per market period.

    Attributes:
        hours: period edges in hours since the first one, one more than there are periods.
        midnights: hours since the first edge of each local midnight, with its date.
        layers: colour name and MW of each consumer, bottom to top.
        lines: `import` and `limit` in MW, where recorded.
        battery: (discharge MW, charge MW), or None where not recorded or never used.
        price: day-ahead EUR/MWh, or None.
    """

    hours: Floats
    midnights: Sequence[tuple[float, dt.date]]
    layers: Mapping[str, Floats]
    lines: Mapping[str, Floats]
    battery: tuple[Floats, Floats] | None
    price: Floats | None


def week_figure(week: WeekOfPower, caption: Caption, voice: Voice) -> Markup:
    """Draw the week: panels on one time axis, layers named at their side.

    Args:
        week: what to show.
        caption: title and description.
        voice: the language.

    Returns:
        An inline SVG.
    """
    panels = 1 + (week.battery is not None) + (week.price is not None)
    heights = [4.2] + [1.0] * (panels - 1)

    def paint(figure: Figure) -> None:
        axes = figure.subplots(
            panels, 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
        )[:, 0]
        figure.subplots_adjust(left=0.055, right=0.775, top=0.955, bottom=0.065, hspace=0.24)
        _stack(axes[0], week, voice)
        if week.battery is not None:
            _battery(axes[1], week.hours, week.battery, voice)
        if week.price is not None:
            _price(axes[panels - 1], week.hours, week.price, voice)
        _days(list(axes), week, voice)

    return draw(caption, 3.6 + 1.15 * (panels - 1), paint)


def _stack(axes: Axes, week: WeekOfPower, voice: Voice) -> None:
    """The consumers as areas, with import and limit as lines over them."""
    middle = (week.hours[:-1] + week.hours[1:]) / 2
    base = np.zeros(len(middle))
    entries: list[tuple[float, str, str]] = []
    for name, power_mw in week.layers.items():
        top = base + power_mw
        axes.fill_between(
            middle, base, top, facecolor=ink(name), edgecolor=ink("paper"), linewidth=0.35
        )
        at = float(((base + top) / 2)[-1])
        entries.append((at, _named(name, power_mw, voice), name))
        base = top
    styles = {"import": ("-", 1.1, "import"), "limit": ((0, (5, 2.5)), 1.4, "alarm")}
    highest = float(base.max())
    for name, values in week.lines.items():
        style, width, colour = styles[name]
        stepped = np.append(values, values[-1])
        axes.plot(
            week.hours,
            stepped,
            drawstyle="steps-post",
            linestyle=style,
            linewidth=width,
            color=ink(colour),
        )
        highest = max(highest, float(values.max()))
        entries.append((float(values[-1]), voice.say(f"figure.week.{name}"), colour))
    axes.set_ylim(0, max(highest, 1.0) * 1.04)
    axes.set_title(voice.say("figure.week.power"))
    _look(axes, voice)
    labels_beside(axes, entries)


def _named(name: str, power_mw: Floats, voice: Voice) -> str:
    return f"{voice.named('layer', name)}  ({voice.neat(float(power_mw.mean()))})"


def _battery(axes: Axes, hours: Floats, battery: tuple[Floats, Floats], voice: Voice) -> None:
    """Discharge above the line, charge below it."""
    for name, values in (("discharge", battery[0]), ("charge", -battery[1])):
        axes.stairs(values, hours, fill=True, facecolor=ink(name), edgecolor="none")
    most = float(max(battery[0].max(), battery[1].max())) or 1.0
    axes.set_ylim(-1.15 * most, 1.15 * most)
    axes.axhline(0, color=ink("soft"), linewidth=0.6)
    axes.set_title(voice.say("figure.week.battery"))
    _look(axes, voice)
    names = {name: voice.say(f"figure.week.{name}") for name in ("discharge", "charge")}
    entries = [(0.6 * most, names["discharge"], "discharge")]
    labels_beside(axes, [*entries, (-0.6 * most, names["charge"], "charge")])


def _price(axes: Axes, hours: Floats, price: Floats, voice: Voice) -> None:
    """The day-ahead price; hours below zero are filled."""
    axes.stairs(price, hours, color=ink("price"), linewidth=1.0, baseline=None)
    axes.stairs(
        np.minimum(price, 0), hours, fill=True, facecolor=ink("accent"), edgecolor="none", alpha=0.5
    )
    low, high = min(0.0, float(price.min())), max(0.0, float(price.max()))
    room = 0.08 * (high - low or 1.0)
    axes.set_ylim(low - room * (low < 0), high + room)
    axes.axhline(0, color=ink("soft"), linewidth=0.6)
    axes.set_title(voice.say("figure.week.price"))
    _look(axes, voice)
    entries = [(float(price[-1]), voice.say("figure.week.day_ahead"), "price")]
    if low < 0:
        entries.append((low / 2, voice.say("figure.week.below_zero"), "accent"))
    labels_beside(axes, entries)


def _look(axes: Axes, voice: Voice) -> None:
    axes.grid(axis="y")
    plain_numbers(axes.yaxis, voice)


def _days(axes: Sequence[Axes], week: WeekOfPower, voice: Voice) -> None:
    """Ticks at local midnights, the day's name in the middle of the day."""
    ends = [*[at for at, _ in week.midnights[1:]], float(week.hours[-1])]
    middles = [(at + end) / 2 for (at, _), end in zip(week.midnights, ends, strict=True)]
    for one in axes:
        one.set_xlim(float(week.hours[0]), float(week.hours[-1]))
        one.tick_params(axis="x", which="both", length=0, labelbottom=False)
        for at, _ in week.midnights[1:]:
            one.axvline(at, color=ink("rule"), linewidth=0.5, zorder=0.5)
    last = axes[-1]
    last.set_xticks(middles, [voice.weekday(day) for _, day in week.midnights])
    last.tick_params(axis="x", labelbottom=True)
