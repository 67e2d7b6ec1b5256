"""The parts a chapter is made of, and the one way in which a number gets onto the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from gigafactory.report.clock import BOUND_SHARE, Bins, LocalTime, bins_of, local_time
from gigafactory.report.frames import Frame
from gigafactory.report.voice import Voice

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure with its caption.

    Attributes:
        svg: the drawing.
        caption: what stands under it.
        source: where its numbers come from, as in `Voice.traced`.
    """

    svg: Markup
    caption: Markup
    source: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        caption: its heading.
        heads: column heads; the first column is text, the others are numbers unless in `texts`.
        rows: cells; the first of each row is its head.
        total: whether the last row is a total.
        texts: places of further columns that hold text.
        folded: shown only on demand (a figure's numbers in another form).
    """

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Markup | str]]
    total: bool = False
    texts: frozenset[int] = frozenset()
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A chapter.

    Attributes:
        name: its anchor.
        title: its heading.
        lead: paragraphs before the figures.
        pictures: figures.
        tables: tables.
        points: statements, as a list.
        notes: remarks below, such as what was left out and why.
    """

    name: str
    title: str
    lead: list[Markup] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    points: list[Markup] = field(default_factory=list)
    notes: list[Markup] = field(default_factory=list)


class Teller:
    """A frame and a voice together: what every chapter works with.

    Attributes:
        frame: the run.
        voice: the language.
        local: the periods in local time.
        bins: the months or days.
    """

    def __init__(self, frame: Frame, voice: Voice) -> None:
        self.frame = frame
        self.voice = voice
        self.local: LocalTime = local_time(frame.series.start_ns, frame.timezone)
        self.bins: Bins = bins_of(self.local)

    def section(self, name: str) -> Section:
        """A new chapter with the title its language gives it."""
        return Section(name, self.voice.say(f"section.{name}"))

    def key(self, key: str, digits: int = 0, scale: float = 1.0) -> Markup:
        """A number of the summary, scaled for showing only."""
        value = self.frame.value(key)
        shown = self.voice.number(None if value is None else value * scale, digits)
        return self.voice.traced(shown, value, f"summary:{key}")

    def share_of(self, part: str, whole: str, digits: int = 1) -> Markup:
        """One number of the summary as a share of another."""
        value = self.ratio(part, whole)
        shown = self.voice.share(value, digits)
        return self.voice.traced(shown, value, f"summary:{part} summary:{whole}")

    def ratio(self, part: str, whole: str) -> float | None:
        """One number of the summary divided by another; None where that has no meaning."""
        above, below = self.frame.value(part), self.frame.value(whole)
        return None if above is None or not below else above / below

    def found(self, value: float | None, source: str, digits: int = 0) -> Markup:
        """A number calculated from the named sources."""
        return self.voice.traced(self.voice.number(value, digits), value, source)

    def share(self, value: float | None, source: str, digits: int = 1) -> Markup:
        """A calculated share."""
        return self.voice.traced(self.voice.share(value, digits), value, source)

    def duration(self, seconds: float | None, source: str) -> Markup:
        """A duration."""
        return self.voice.traced(self.voice.duration(seconds), seconds, source)

    def left_out(self, section: Section, *columns: str) -> bool:
        """Note which of these series columns the run lacks.

        Returns:
            Whether any is lacking, so that the figure must be left out.
        """
        missing = self.frame.series.missing(*columns)
        if missing:
            names = ", ".join(missing)
            section.notes.append(self.voice.markup("note.missing", columns=names))
        return bool(missing)

    def bound(self) -> Flags | None:
        """In which periods the import of at least one site was held by its connection limit."""
        series = self.frame.series
        if not series.has("import_mw", "limit_mw"):
            return None
        limit, power = series.columns["limit_mw"], series.columns["import_mw"]
        held = np.isfinite(limit) & (power >= BOUND_SHARE * limit)
        return np.asarray(held.any(axis=0), np.bool_)

    def hours_of(self, flags: Flags) -> float:
        """How many hours the flagged periods last together."""
        return float(self.frame.series.hours[flags].sum())
