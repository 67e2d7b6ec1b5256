"""Receipts handed to the store as market periods close; again, and nothing is doubled.

A receipt of a period follows from the journal alone. So after a crash, or while the store was away,
the same rows are made and put again: the store keeps the first and knows the second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from gigafactory.adapters.store.records import WorkReceipt
from gigafactory.factory.models import Factory
from gigafactory.runtime.live import frames as f
from gigafactory.runtime.live.accounting import book_of, receipts_of, rows_between
from gigafactory.runtime.live.days import read_day
from gigafactory.runtime.live.metering import Gather

#: Keeps receipts; one that is there already changes nothing.
Put: TypeAlias = Callable[[Sequence[WorkReceipt]], object]


def period_key(day: str, period: int) -> str:
    """The name under which receipts of a market period are kept, such as `2026-11-28/037`."""
    return f"{day}/{period:03d}"


class Sealer:
    """Follows a day's frames and puts the receipts of each market period once it is metered.

    Args:
        factory: the factory file the day began with.
        put: where receipts go; what it raises is passed on, and they stay due.
    """

    def __init__(self, factory: Factory, put: Put) -> None:
        self.factory, self.put = factory, put
        self.gather = Gather()
        self.sealed = 0  # periods of the day whose receipts are kept
        self._before: dict[int, dict[str, int]] = {}

    def take(self, frame: f.LiveFrame) -> None:
        """Take the next frame; a beginning starts another day. `seal` the last one first."""
        if isinstance(frame, f.Begin):
            self.gather, self.sealed, self._before = Gather(), 0, {}
        self.gather.take(frame)

    @property
    def due(self) -> int:
        """Periods metered to their end whose receipts are still to be put."""
        if self.gather.begin is None:
            return 0
        done = (self.gather.until_ns - self.gather.first_ns) // self.gather.step_ns
        return int(done) - self.sealed

    def seal(self, now_ns: int) -> int:
        """Put the receipts of all periods that are due.

        Args:
            now_ns: when, ns UTC; it is kept beside the receipts.

        Returns:
            How many periods were sealed.
        """
        count = 0
        while self.due:
            period = self.sealed
            after = receipts_of(book_of(self.gather, self.factory, period + 1))
            rows = rows_between(self.gather, self.factory, period, self._before, after)
            if rows:
                self.put([_receipt(row, now_ns) for row in rows])
            self._before, self.sealed = after, period + 1
            count += 1
        return count


def _receipt(row: dict[str, Any], now_ns: int) -> WorkReceipt:
    key = period_key(row["day"], row["period"])
    return WorkReceipt(row["work"], row["tenant"], key, row, now_ns)


def seal_day(folder: Path, put: Put, now_ns: int) -> int:
    """Put the receipts of all whole periods of a day, from its journal: after a restart.

    Late data of meters is left out: it has receipts of its own (`late_receipts`).

    Returns:
        How many periods the day has so far.
    """
    day = read_day(folder)
    sealer = Sealer(day.factory, put)
    sealer.gather = day.before
    return sealer.seal(now_ns)


def late_receipts(folder: Path, now_ns: int) -> list[WorkReceipt]:
    """What late data of meters adds to receipts that were put before, a row per job.

    They are kept under the number of corrections they cover, such as `2026-11-28/late-002`; each
    holds the difference to what the one before it left. None before the day has ended: what a
    correction shifts by rounding in periods to come is not known yet.
    """
    day = read_day(folder)
    if not day.gather.ended:
        return []
    begin = day.gather.begin
    assert begin is not None
    whole = day.gather.periods
    rows: list[WorkReceipt] = []
    before = receipts_of(book_of(day.before, day.factory, whole))
    for n in range(1, len(day.corrections) + 1):
        gather = read_day(folder, day.witness["frames"], n).gather
        after = receipts_of(book_of(gather, day.factory, whole))
        for row in rows_between(gather, day.factory, whole - 1, before, after):
            one = day.corrections[n - 1]
            body = {**row, "period": one.period, "reason": one.reason}
            body["start_ns"] = day.gather.first_ns + one.period * day.gather.step_ns
            body["end_ns"] = body["start_ns"] + day.gather.step_ns
            key = f"{begin.day}/late-{n:03d}"
            rows.append(WorkReceipt(row["work"], row["tenant"], key, body, now_ns))
        before = after
    return rows


__all__ = ["Put", "Sealer", "late_receipts", "period_key", "seal_day"]
