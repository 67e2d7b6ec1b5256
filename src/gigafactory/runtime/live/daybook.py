"""The journals of live days: one per local market day, linked head to head, written before acting.

::

    <state>/<environment>/days/2026-11-28/journal.gfj

A frame that has not been synced is kept in memory as well. When a write fails (a full disk) the
journal is cut back to its last synced frame as soon as there is room, and what was kept is written
again in order: nothing that happened meanwhile is missing from the day.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from gigafactory.engine.journal import GENESIS, MARK, InUse, Journal, Recovered, frames, recover
from gigafactory.grid import MarketCalendar
from gigafactory.runtime.live import frames as live
from gigafactory.units import NS_PER_S

JOURNAL: Final = "journal.gfj"
#: Frames kept in memory while none can be written: more than a day of ticks.
_KEPT_MAX: Final = 400_000


@dataclass(frozen=True, slots=True)
class Day:
    """A local market day: its name and its edges, ns UTC."""

    name: str
    edges_ns: tuple[int, ...]

    @property
    def begin_ns(self) -> int:
        """Its first instant."""
        return self.edges_ns[0]

    @property
    def end_ns(self) -> int:
        """The first instant after it."""
        return self.edges_ns[-1]


def day_date(at_ns: int, timezone: str) -> dt.date:
    """The date of the local market day an instant lies in."""
    return dt.date.fromisoformat(day_at(at_ns, timezone).name)


def day_at(at_ns: int, timezone: str) -> Day:
    """The local market day an instant lies in."""
    date = dt.datetime.fromtimestamp(at_ns / NS_PER_S, ZoneInfo(timezone)).date()
    calendar = MarketCalendar.of(date, 1, timezone)
    if not calendar.begin_ns <= at_ns < calendar.end_ns:  # rounding of the last nanoseconds
        date += dt.timedelta(days=1 if at_ns >= calendar.end_ns else -1)
        calendar = MarketCalendar.of(date, 1, timezone)
    return Day(date.isoformat(), tuple(int(at) for at in calendar.start_ns))


def day_path(folder: Path, day: str) -> Path:
    """The journal of a day."""
    return folder / "days" / day / JOURNAL


def days_in(folder: Path) -> list[str]:
    """Days that have a journal, in order."""
    days = folder / "days"
    return sorted(p.parent.name for p in days.glob(f"*/{JOURNAL}")) if days.is_dir() else []


def live_frames(path: Path) -> Iterator[tuple[int, live.LiveFrame]]:
    """The frames of a day that are whole, with their instants.

    Raises:
        Damaged: the damage lies in the middle.
    """
    good = recover(path).frames
    for frame in frames(path):
        if frame.index >= good:
            return
        yield frame.tick_ns, live.read(frame)
        if frame.index == good - 1:
            return


class DayBook:
    """Writes the journal of the day at hand.

    Args:
        folder: of the environment.
        beside: puts into a new day's folder what its books need beside the journal; may raise
            OSError, as a journal does on a full disk.

    Attributes:
        day: name of the day at hand; empty before `begin` or `resume`.
        full: why nothing can be written now; empty when all is well.
        last_ns: instant of the latest frame; none is written with an earlier one.
    """

    def __init__(self, folder: Path, beside: Callable[[Path], None] | None = None) -> None:
        self.folder = folder
        self._beside = beside
        self.day = ""
        self.full = ""
        self.last_ns = 0
        self._journal: Journal | None = None
        self._synced: tuple[int, str] = (len(MARK), GENESIS.hex())
        self._kept: list[tuple[str, int, live.LiveFrame]] = []
        self._file_day = ""  # of the journal on the disk; behind `day` while the disk is full
        self._before = ""  # head of the journal sealed last

    @property
    def head(self) -> str:
        """The chain hash after the last frame; empty while nothing can be written."""
        return self._journal.head if self._journal is not None else ""

    def begin(self, day: str, at_ns: int, frame: live.Begin) -> None:
        """Seal what is at hand and start the journal of a new day; as `write`, it never raises."""
        self.sync()
        self.day = day
        self.write(at_ns, frame)

    def resume(self, day: str) -> Recovered:
        """Go on in a journal that is there; what was broken off is cut.

        Raises:
            InUse: another process writes it, or has begun a later day meanwhile.
            Damaged: it is damaged in the middle.
            OSError: it cannot be opened.
        """
        path = day_path(self.folder, day)
        journal, found = Journal.reopen(path)
        latest = days_in(self.folder)[-1]
        if latest != day:
            journal.close()
            raise InUse(day_path(self.folder, latest))
        self._journal = journal
        self._synced = (found.position, found.head)
        self.day = self._file_day = day
        self._kept = []
        return found

    def write(self, at_ns: int, frame: live.LiveFrame) -> None:
        """Add a frame; a full disk is told by `full`, never raised."""
        self.last_ns = max(self.last_ns, at_ns)
        self._kept.append((self.day, self.last_ns, frame))
        if len(self._kept) > _KEPT_MAX:
            del self._kept[: len(self._kept) - _KEPT_MAX]
        if self.full:
            return
        try:
            self._put(*self._kept[-1])
        except OSError as error:
            self._failed(error)

    def sync(self) -> bool:
        """Put everything on the disk; whether it is there."""
        if self.full and not self._again():
            return False
        if self._journal is None:
            return not self._kept
        if not self._kept:
            return True
        try:
            self._journal.sync()
        except OSError as error:
            self._failed(error)
            return False
        self._safe()
        return True

    def close(self) -> None:
        """Sync as far as possible and let go of the file."""
        self.sync()
        self._let_go()

    def _put(self, day: str, at_ns: int, frame: live.LiveFrame) -> None:
        if day != self._file_day or self._journal is None:
            assert isinstance(frame, live.Begin), "a day begins with its begin"
            frame = replace(frame, previous_day=self._file_day, previous_head=self._seal())
            self._journal = self._new(day)
            self._file_day = day
        live.write(self._journal, at_ns, frame)

    def _seal(self) -> str:
        """Close the journal at hand; its head."""
        if self._journal is None:
            return self._before
        self._journal.sync()
        head = self._journal.head
        self._journal.close()
        self._journal, self._before = None, head
        return head

    def _new(self, day: str) -> Journal:
        path = day_path(self.folder, day)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._beside is not None:
            self._beside(path.parent)
        journal = Journal.create(path)
        self._synced = (journal.position, journal.head)
        return journal

    def _safe(self) -> None:
        """Note that everything so far is on the disk."""
        assert self._journal is not None, "nothing was written"
        self._synced = (self._journal.position, self._journal.head)
        self._kept.clear()

    def _failed(self, error: OSError) -> None:
        self.full = os.strerror(error.errno) if error.errno else str(error)
        self._let_go()

    def _let_go(self) -> None:
        if self._journal is not None:
            try:
                self._journal.close()
            except OSError as error:
                self.full = self.full or os.strerror(error.errno or 0)
        self._journal = None

    def _again(self) -> bool:
        """Try to write what was kept, after the last synced frame."""
        try:
            if self._file_day:
                path = day_path(self.folder, self._file_day)
                self._journal = Journal.resume(path, *self._synced)
            for day, at_ns, frame in list(self._kept):
                if day != self._file_day:  # the day before is whole: it need not be kept any more
                    self._half_made(day)
                self._put(day, at_ns, frame)
                if isinstance(frame, live.Begin) and self._kept[0][0] != day:
                    self._kept = [one for one in self._kept if one[0] >= day]
            if self._journal is not None:
                self._journal.sync()
                self._safe()
        except OSError as error:
            self._failed(error)
            return False
        self.full = ""
        return True

    def _half_made(self, day: str) -> None:
        """Take away a file of a day that a full disk left without a single frame."""
        path = day_path(self.folder, day)
        if path.is_file() and path.stat().st_size <= len(MARK):
            path.unlink()
