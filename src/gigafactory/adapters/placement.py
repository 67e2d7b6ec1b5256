"""Which pool each job of a run is in, and the jobs on their way from one pool to another.

A job that could run in several pools is known to each of them; it waits or runs in one, its *home*,
and is away in the others. Nothing here decides: it carries decisions out and notes them as moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gigafactory.kernel import JobState, Pool
from gigafactory.ledger.facts import MOVE, MOVES, REFUSE

_AWAY, _FUTURE = int(JobState.AWAY), int(JobState.FUTURE)
#: Columns of moves of a period in which nothing was decided.
_NOTHING: dict[str, npt.NDArray[Any]] = {n: np.zeros(0, t) for n, t in MOVES.items()}


class Place(Protocol):
    """A pool with the numbers in the run of the jobs it knows, ascending."""

    @property
    def kernel(self) -> Pool:
        """The pool."""

    @property
    def jobs(self) -> npt.NDArray[np.int32]:
        """Numbers of its jobs."""


@dataclass(frozen=True, slots=True)
class OnItsWay:
    """A job between two pools.

    Attributes:
        ready_ns: instant at which its data have arrived.
        job: its number in the run.
        kept_ns: work it brings.
    """

    ready_ns: int
    job: int
    kept_ns: int


class Placement:
    """The homes of jobs, and the orders that change them.

    Args:
        pools: every pool of the factory.
        home: pool of each job of the run, int8; -1 for those refused at the door.
    """

    def __init__(self, pools: Sequence[Place], home: npt.NDArray[np.int8]) -> None:
        self.pools = pools
        self.home = home.copy()
        self.on_its_way: list[OnItsWay] = []
        self.leaving: list[int] = []
        self._noted: list[tuple[int, int, int, int, int, int]] = []

    def at(self, pool: int, job: int) -> int:
        """Number of a job in a pool, -1 where the pool does not know it."""
        jobs = self.pools[pool].jobs
        at = int(jobs.searchsorted(jobs.dtype.type(job)))  # another type would copy them all
        return at if at < len(jobs) and jobs[at] == job else -1

    def state(self, job: int) -> int:
        """Where a job is in its home, a `JobState`; away while it is on its way or refused."""
        pool = int(self.home[job])
        return int(self.pools[pool].kernel.state.job["state"][self.at(pool, job)])

    def kept_ns(self, job: int) -> int:
        """Work of a waiting job that is safe."""
        pool = int(self.home[job])
        return int(self.pools[pool].kernel.state.job["kept"][self.at(pool, job)])

    def refuse(self, job: int, rule: int, t_ns: int, reason: int = -1) -> bool:
        """Take a job that waits, or is still to come, out for good; False where it runs.

        Args:
            job: its number in the run.
            rule: why, an index into the header's rules.
            t_ns: now.
            reason: number of the particulars, as the `limits` frames of the journal count them; -1
                without any.
        """
        pool = int(self.home[job])
        if not self._take_out(pool, job):
            return False
        self._note(REFUSE, job, t_ns, rule, pool, reason)
        return True

    def send(self, job: int, pool: int, t_ns: int, ready_ns: int) -> bool:
        """Send a job that waits, or is still to come, to a pool; False where it runs.

        Args:
            job: its number in the run.
            pool: where to; it must know the job. Its own pool makes it wait there for its data.
            t_ns: now.
            ready_ns: instant from which it may wait there, when its data have arrived.
        """
        old = int(self.home[job])
        assert self.at(pool, job) >= 0, "a pool that does not know the job"
        came = self.state(job) != _FUTURE
        kept_ns = self.kept_ns(job)
        if not self._take_out(old, job):
            return False
        self.home[job] = pool
        if came and pool != old:
            self._note(MOVE, job, t_ns, pool, old)
        if ready_ns <= t_ns:
            self.pools[pool].kernel.admit(self.at(pool, job), kept_ns)
        else:
            self.on_its_way.append(OnItsWay(ready_ns, job, kept_ns))
        return True

    def dismiss(self, job: int) -> bool:
        """Give a running job notice, so that it saves and can be sent; False where it does not run.

        Until it is sent, or has ended, it is among the `leaving`.
        """
        pool = int(self.home[job])
        if not self.pools[pool].kernel.dismiss(self.at(pool, job)):
            return False
        self.leaving.append(job)
        return True

    def between(self) -> list[int]:
        """Jobs that wait in no pool: on their way, or saved and not sent yet."""
        saved = [job for job in self.leaving if self.state(job) == _AWAY]
        return [*(one.job for one in self.on_its_way), *saved]

    def let_in(self, t_ns: int) -> None:
        """Let the jobs whose data have arrived wait in their new pools."""
        still = []
        for one in self.on_its_way:
            if one.ready_ns > t_ns:
                still.append(one)
                continue
            pool = int(self.home[one.job])
            self.pools[pool].kernel.admit(self.at(pool, one.job), one.kept_ns)
        self.on_its_way = still

    def _take_out(self, pool: int, job: int) -> bool:
        for i, one in enumerate(self.on_its_way):
            if one.job == job:
                del self.on_its_way[i]
                return True
        at = self.at(pool, job)
        kernel = self.pools[pool].kernel
        saved = job in self.leaving
        if kernel.state.job["state"][at] == _AWAY and not saved:
            return False
        if not kernel.withdraw(at):
            return False
        if saved:
            self.leaving.remove(job)
        return True

    def _note(self, kind: int, job: int, t_ns: int, why: int, pool: int, width: int = 0) -> None:
        submit_ns = self.pools[pool].kernel.state.job["submit"][self.at(pool, job)]
        self._noted.append((kind, job, max(t_ns, int(submit_ns)), why, pool, width))

    def drain(self) -> dict[str, npt.NDArray[Any]]:
        """What was decided since the last call, as columns of moves."""
        if not self._noted:
            return _NOTHING
        rows = np.array(self._noted, np.int64).reshape(-1, 6)
        self._noted.clear()
        names = ("kind", "job", "t_ns", "why", "pool", "width")
        given = dict(zip(names, rows.T, strict=True))
        nothing = np.zeros(len(rows), np.int64)
        return {n: given.get(n, nothing).astype(t) for n, t in MOVES.items()}

    def snapshot(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """The state between two days, when nothing noted waits to be read."""
        assert not self._noted
        going = [[one.ready_ns, one.job, one.kept_ns] for one in self.on_its_way]
        return {"home": self.home}, {"on_its_way": going, "leaving": self.leaving}

    def restore(self, arrays: Any, fields: Any) -> None:
        """Put back what `snapshot` gave."""
        self.home[...] = arrays["home"]
        self.on_its_way = [OnItsWay(*one) for one in fields["on_its_way"]]
        self.leaving = list(fields["leaving"])
