"""The process that makes receipts: as market periods close, from the journal alone.

It reads the journals that the controller writes and hands the receipts of each period that is
metered to its end to the store, which keeps each once. It stands beside the loop because the books
of a long day take seconds. When it was away, or the store was, the same receipts are made later.
Late data of meters, which may come weeks later, has receipts of its own once its day is over.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any, Final

from gigafactory.adapters.store import Store, StoreTrouble
from gigafactory.adapters.store.errors import KeyConflict
from gigafactory.engine.clock import Clock, WallClock
from gigafactory.engine.errors import BadInput
from gigafactory.engine.journal import Damaged
from gigafactory.runtime.live.daybook import day_path, days_in
from gigafactory.runtime.live.days import LATE, read_corrections
from gigafactory.runtime.live.sealing import late_receipts, seal_day
from gigafactory.units import NS_PER_MIN, NS_PER_S

_LOG: Final = logging.getLogger("gigafactory.books")
#: The store's name for how far receipts are made.
BOOKS: Final = "books"
#: An alarm of a day whose books cannot be made.
BOOKS_TROUBLE: Final = "books_trouble"
_EVERY_NS: Final = 15 * NS_PER_MIN
#: Read so long after the end of a period, when the loop has written what belongs to it.
_AFTER_NS: Final = 20 * NS_PER_S
#: Days that a start looks back on.
_DAYS: Final = 3
_POLL_S: Final = 5.0


class Bookkeeper:
    """Makes the receipts of an environment's days.

    Args:
        folder: of the environment, with its days.
        store: the service's store.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self.store = folder, store
        self._due_ns = 0
        self._over: set[str] = set()
        self._late: dict[str, int] | None = None  # corrections whose receipts are made, by day

    def turn(self, now_ns: int, lease: Any = None) -> None:
        """Make what is due, once in each market period.

        Raises:
            StoreTrouble: the store is away; nothing is lost, it is done again.
        """
        if now_ns < self._due_ns:
            return
        done: dict[str, int] = {}
        days = days_in(self.folder)[-_DAYS:]
        for day in days:
            if day in self._over:
                continue
            try:
                folder = day_path(self.folder, day).parent
                done[day] = seal_day(folder, self.store.put_receipts, now_ns)
            except (BadInput, Damaged, KeyConflict, OSError) as error:
                self.store.raise_alarm(BOOKS_TROUBLE, day, str(error)[:1000], now_ns)
                continue
            self.store.clear_alarm(BOOKS_TROUBLE, day, now_ns)
        self._over.update(day for day in done if day != days[-1])
        late = self._corrected(now_ns)
        self.store.publish(BOOKS, {"periods": done, "late": late}, now_ns, lease)
        self._due_ns = now_ns - now_ns % _EVERY_NS + _EVERY_NS + _AFTER_NS

    def _corrected(self, now_ns: int) -> dict[str, int]:
        """Make the receipts of late data that came; how many corrections have theirs, by day."""
        if self._late is None:
            told = self.store.published(BOOKS)
            self._late = dict(told[1].get("late", {})) if told is not None else {}
        for path in sorted(self.folder.glob(f"days/*/{LATE}")):
            day = path.parent.name
            try:
                count = len(read_corrections(path.parent))
                if count == self._late.get(day, 0):
                    continue
                self.store.put_receipts(late_receipts(path.parent, now_ns))
            except (BadInput, Damaged, KeyConflict, OSError) as error:
                self.store.raise_alarm(BOOKS_TROUBLE, f"{day}, late", str(error)[:1000], now_ns)
                continue
            self.store.clear_alarm(BOOKS_TROUBLE, f"{day}, late", now_ns)
            if day != days_in(self.folder)[-1]:  # there are none before the day has ended
                self._late[day] = count
        return self._late


def run_books(
    folder: Path, store: Store, stop: threading.Event, clock: Clock | None = None
) -> None:
    """Keep books until told to stop.

    Args:
        folder: of the environment, with its days.
        store: the service's store.
        stop: set from outside to end it.
        clock: whose time it is; the wall's where not given.
    """
    clock = clock or WallClock()
    keeper, lease = Bookkeeper(folder, store), None
    try:
        while not stop.is_set():
            try:
                if lease is None or not lease.held():
                    lease = store.lead(BOOKS, clock.now_ns(), BOOKS)
                if lease is not None:
                    keeper.turn(clock.now_ns(), lease)
            except StoreTrouble as trouble:
                _LOG.warning("the store is away: %s", trouble.why)
            stop.wait(_POLL_S)
    finally:
        if lease is not None:
            lease.release()
