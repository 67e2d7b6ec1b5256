"""Named fallbacks: entered once, written once, alarmed, and left when they are over."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from gigafactory.runtime.live import frames
from gigafactory.runtime.live.daybook import DayBook
from gigafactory.runtime.live.intake import Intake

_LOG = logging.getLogger("gigafactory.live")


@dataclass(slots=True)
class Troubles:
    """Which fallbacks are in force.

    Attributes:
        book: where entering and leaving is written.
        intake: where alarms go.
    """

    book: DayBook
    intake: Intake
    _open: dict[tuple[str, str], str] = field(default_factory=dict)

    def enter(
        self,
        fallback: str,
        about: str,
        why: str,
        now_ns: int,
        *,
        again: bool = False,
        alarm: bool = True,
    ) -> None:
        """Something is wrong; said once, however often it is seen.

        Args:
            fallback: its name.
            about: of what.
            why: in plain words.
            now_ns: the instant.
            again: say it again where the words have changed.
            alarm: whether a person should know.
        """
        if (fallback, about) in self._open and not (again and self._open[fallback, about] != why):
            return
        self._open[fallback, about] = why
        told = {"fallback": fallback, "about": about, "why": why}
        _LOG.warning("a fallback is entered", extra={"fields": told})
        self.book.write(now_ns, frames.TroubleTold(fallback, True, about, why))
        if alarm:
            self.intake.alarm(fallback, about, why)

    def leave(self, fallback: str, about: str, now_ns: int) -> None:
        """It is over."""
        if (fallback, about) not in self._open:
            return
        del self._open[fallback, about]
        _LOG.info("a fallback is left", extra={"fields": {"fallback": fallback, "about": about}})
        self.book.write(now_ns, frames.TroubleTold(fallback, False, about, ""))
        self.intake.clear(fallback, about)

    def open(self) -> tuple[tuple[str, str], ...]:
        """The fallbacks in force, sorted."""
        return tuple(sorted(self._open))
