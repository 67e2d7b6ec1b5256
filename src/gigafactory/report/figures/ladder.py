"""How far up a ladder each part stands, and the lowest of them, which decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.drawn import box, frame, line, text

_LEFT, _RIGHT, _TOP, _ROW = 250.0, 640.0, 26.0, 21.0


@dataclass(frozen=True, slots=True)
class Rung:
    """One part of a framework on its ladder.

    Attributes:
        label: its name.
        level: where it stands; None where that is not known.
        note: what is written behind it.
        source: where it comes from, as in `Voice.traced`.
    """

    label: str
    level: int | None
    note: str
    source: str


def ladder_figure(
    rungs: Sequence[Rung], top: int, name: str, lowest: str, caption: Caption
) -> Markup:
    """Draw the level of each part, and a line at the lowest.

    Args:
        rungs: the parts, top to bottom.
        top: the highest level there is.
        name: of a level, such as "SEAL".
        lowest: what is written at the line of the lowest level.
        caption: title and description.

    Returns:
        An inline SVG.
    """
    step = (_RIGHT - _LEFT) / (top + 1)
    tall = _TOP + _ROW * len(rungs) + 22.0
    parts: list[Markup] = []
    for level in range(top + 1):
        x = _LEFT + step * (level + 0.5)
        parts.append(text(x, 14.0, f"{name}-{level}", "middle", "soft"))
    known = [rung.level for rung in rungs if rung.level is not None]
    least = min(known) if known else None
    for place, rung in enumerate(rungs):
        y = _TOP + _ROW * place
        parts.append(text(_LEFT - 10.0, y + 11.5, rung.label, "end"))
        for level in range(top + 1):
            reached = rung.level is not None and level <= rung.level
            decides = reached and rung.level == least
            colour = ("alarm" if decides else "accent") if reached else "panel"
            soft = 0.55 if reached and level < (rung.level or 0) else 1.0
            parts.append(box(_LEFT + step * level + 1, y, step - 2, 15.0, colour, soft=soft))
        parts.append(text(_RIGHT + 8.0, y + 11.5, rung.note, "start", "soft", rung.source))
    if least is not None:
        x = _LEFT + step * (least + 1)
        parts.append(line(x, 18.0, x, tall - 18.0, "alarm", 1.4, "4 3"))
        parts.append(text(x, tall - 6.0, lowest, "middle", "strong"))
    return frame(tall, caption, parts)
