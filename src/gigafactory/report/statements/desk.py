"""What every part of a statement works with: the subject, the run, the voice, and the trail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gigafactory.assess import Subject
from gigafactory.report.frames import Frame
from gigafactory.report.sections.tell import Section, Teller
from gigafactory.report.voice import Voice


@dataclass(frozen=True, slots=True)
class Absent:
    """A part that cannot be told.

    Attributes:
        part: its name among the words of parts.
        reason: its name among the words of reasons: `room`, `file`, `run`.
        lacking: what is not there.
    """

    part: str
    reason: str
    lacking: str


class LinkedVoice(Voice):
    """A voice whose numbers lead to the list of what they rest on.

    Attributes:
        trail: what numbers rest on, in the order it was first named, with its place from 1.
    """

    def __init__(self, lang: str) -> None:
        super().__init__(lang)
        self.trail: dict[str, int] = {}

    def traced(self, shown: str, value: float | None, source: str) -> Markup:
        """A number that names where it comes from, and leads there."""
        place = self.trail.setdefault(source, len(self.trail) + 1)
        number = super().traced(shown, value, source)
        return Markup('<a class="t" href="#f{}">{}</a>').format(place, number)


class Desk(Teller):
    """A subject with the frame of its run and a voice.

    Attributes:
        subject: what is assessed.
        linked: the voice, which keeps the trail.
        held: what rooms answered, each asked once.
    """

    def __init__(self, subject: Subject, frame: Frame, voice: LinkedVoice) -> None:
        super().__init__(frame, voice)
        self.subject = subject
        self.linked = voice
        self.held: dict[str, object] = {}

    def own(self, words: Mapping[str, str]) -> str:
        """Words that a room gives in each language, in ours."""
        return words.get(self.voice.lang) or words.get("en", "")

    def part(self, name: str) -> Section:
        """A chapter with the title its language gives it."""
        return Section(f"p-{name}", self.voice.say(f"part.{name}"))

    def money(self, value: float | None, source: str, digits: int = 1) -> Markup:
        """An amount in millions of euro."""
        shown = self.voice.number(None if value is None else value / 1e6, digits)
        return self.voice.traced(shown, value, source)

    def span(
        self, ends: tuple[float, float], source: str, digits: int = 1, scale: float = 1.0
    ) -> Markup:
        """A range, low to high, scaled for showing only."""
        low, high = (self.voice.number(end * scale, digits) for end in sorted(ends))
        return self.voice.markup(
            "span.to",
            low=self.voice.traced(low, min(ends), source),
            high=self.voice.traced(high, max(ends), source),
        )

    def why(self, absent: Absent) -> Markup:
        """A plain sentence on a part that is not there."""
        part = self.voice.say(f"part.{absent.part}")
        return self.voice.markup(f"absent.{absent.reason}", part=part, lacking=absent.lacking)


def listed(voice: Voice, items: Sequence[object]) -> Markup:
    """Things in a row, the last with "and"."""
    shown = [Markup("{}").format(item) for item in items]
    if len(shown) < 2:
        return shown[0] if shown else Markup("–")
    rest = Markup(", ").join(shown[:-1])
    return Markup("{} {} {}").format(rest, voice.say("span.and"), shown[-1])


__all__ = ["Absent", "Desk", "LinkedVoice", "listed"]
