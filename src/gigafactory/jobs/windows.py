"""Windows of time in which the generator works: calendar months (UTC), cut finer when needed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from gigafactory.units import NS_PER_S


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time within one calendar month.

    Attributes:
        index: 0, 1, ... in order of time.
        start_ns: first instant, ns UTC.
        end_ns: first instant after it, ns UTC.
        month: 1..12, of its start, UTC.
    """

    index: int
    start_ns: int
    end_ns: int
    month: int


def month_windows(start_ns: int, end_ns: int, longest_ns: int) -> list[Window]:
    """Cut [start_ns, end_ns) at the months (UTC), and each month evenly to at most `longest_ns`."""
    windows: list[Window] = []
    at = start_ns
    while at < end_ns:
        month = datetime.fromtimestamp(at // NS_PER_S, UTC)
        over = month.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        year, number = (over.year + 1, 1) if over.month == 12 else (over.year, over.month + 1)
        until = min(end_ns, int(over.replace(year=year, month=number).timestamp()) * NS_PER_S)
        parts = -((at - until) // longest_ns)
        edges = [at + (until - at) * part // parts for part in range(parts + 1)]
        for low, high in pairwise(edges):
            windows.append(Window(len(windows), low, high, month.month))
        at = until
    return windows
