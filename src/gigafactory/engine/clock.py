"""The clock: what time it is, and waiting for the next tick.

::

    environment   clock       waiting
    simulate      SimClock    jumps to the instant
    (feeds)       WallClock   sleeps until the instant
    shadow, live  SteadyClock sleeps until the instant, and tells when the system's time jumps

The loop asks its clock and nothing else, so the code is the same in every environment. This module
is the only one that may read the ambient clock; each such line says ``clock-ok``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from gigafactory.units import NS_PER_S

_NAP_NS = NS_PER_S  # sleep in naps, so that a step of the system clock is noticed within a second


class Clock(Protocol):
    """Where the loop gets its time from."""

    def now_ns(self) -> int:
        """The present instant, ns UTC; never earlier than one returned before."""
        ...

    def wait_until(self, instant_ns: int) -> int:
        """Return once the instant (ns UTC) has come, with the present instant; at once if past."""
        ...


class SimClock:
    """Time in a simulation: it stands still until told to jump.

    Args:
        start_ns: the first instant, ns UTC.
    """

    def __init__(self, start_ns: int) -> None:
        self._now_ns = int(start_ns)

    def now_ns(self) -> int:
        """The instant last jumped to, ns UTC."""
        return self._now_ns

    def wait_until(self, instant_ns: int) -> int:
        """Jump to an instant, ns UTC; one that is past leaves the clock where it is."""
        self._now_ns = max(self._now_ns, int(instant_ns))
        return self._now_ns


class WallClock:
    """The time on the wall, held from running backwards when the system clock is set back."""

    def __init__(self) -> None:
        self._last_ns = 0

    def now_ns(self) -> int:
        """The system's time, ns UTC, or the last one returned while that has been set back."""
        self._last_ns = max(self._last_ns, time.time_ns())  # clock-ok
        return self._last_ns

    def wait_until(self, instant_ns: int) -> int:
        """Sleep until the system's time is an instant, ns UTC."""
        while (now := self.now_ns()) < instant_ns:
            time.sleep(min(instant_ns - now, _NAP_NS) / NS_PER_S)  # clock-ok
        return now


class SteadyClock:
    """The time of a service: it goes on by the monotonic clock, whatever is done to the wall's.

    A wall clock that is set back would stop a loop that waits for instants, and one that is set
    forward would end every order at once. Here neither happens: `drift_ns` says how far the two are
    apart, and `adopt` takes the wall's time over where that leads forward.

    Args:
        not_before_ns: no instant earlier than this is given (the last one a journal knows), ns UTC.
    """

    def __init__(self, not_before_ns: int = 0) -> None:
        self._wall_ns = max(time.time_ns(), not_before_ns)  # clock-ok
        self._steady_ns = time.monotonic_ns()  # clock-ok

    def now_ns(self) -> int:
        """The present instant, ns UTC."""
        return self._wall_ns + time.monotonic_ns() - self._steady_ns  # clock-ok

    def at_least(self, instant_ns: int) -> int:
        """Go on from an instant (ns UTC) where this clock is behind it; by how much, ns.

        For a service that starts after the system's time was set back: what it wrote before stays
        in its past.
        """
        jump = max(instant_ns - self.now_ns(), 0)
        self._wall_ns += jump
        return jump

    def drift_ns(self) -> int:
        """The system's time less this clock's, ns; 0 within what slewing brings."""
        return time.time_ns() - self.now_ns()  # clock-ok

    def adopt(self) -> int:
        """Take over the system's time where it is ahead; by how much this clock jumped, ns."""
        jump = max(self.drift_ns(), 0)
        self._wall_ns += jump
        return jump

    def wait_until(self, instant_ns: int) -> int:
        """Sleep until an instant of this clock, ns UTC."""
        while (now := self.now_ns()) < instant_ns:
            time.sleep(min(instant_ns - now, _NAP_NS) / NS_PER_S)  # clock-ok
        return now


@dataclass(frozen=True, slots=True)
class Tick:
    """One turn of the loop.

    Attributes:
        index: number of its period, counted from 0 over the given edges.
        start_ns: its beginning, ns UTC.
        end_ns: its end, ns UTC.
        late_ns: how long after `start_ns` the loop took it up; 0 in a simulation.
        missed: periods that went by whole since the tick before; they are not caught up, because
            every decision compares what is with what should be now.
    """

    index: int
    start_ns: int
    end_ns: int
    late_ns: int
    missed: int


def ticks(clock: Clock, edges_ns: Iterable[int]) -> Iterator[Tick]:
    """Turn the loop: wait for the beginning of each period in turn.

    Args:
        clock: whose time it is.
        edges_ns: rising instants, ns UTC; n + 1 edges make n periods.

    Yields:
        A tick per period, those that have already ended left out and counted in the next one.

    Raises:
        ValueError: the edges do not rise.
    """
    missed = 0
    for index, (start, end) in enumerate(pairwise(map(int, edges_ns))):
        if end <= start:
            raise ValueError(f"period {index} ends at {end} ns, not after its start at {start} ns")
        now = clock.wait_until(start)
        if now >= end:
            missed += 1
            continue
        yield Tick(index, start, end, now - start, missed)
        missed = 0


class Stopwatch:
    """How long something took on the wall, by a clock that is never set; starts when made.

    For progress and `wall_s` only: what it says stays outside every digest.
    """

    def __init__(self) -> None:
        self._start_ns = time.monotonic_ns()  # clock-ok

    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return (time.monotonic_ns() - self._start_ns) / NS_PER_S  # clock-ok
