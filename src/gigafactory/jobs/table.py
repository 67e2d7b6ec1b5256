"""The job table: every job that was asked for, as columns of equal length.

Row number is job id. Rows are sorted by submission; jobs of one instant keep the order they were
given in. Nothing here says when a job ran: that is the kernel's answer, told in receipts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import Problem
from gigafactory.units import NS_PER_S

MIN_WORK_NS: Final = NS_PER_S
MIN_WALLTIME_NS: Final = 60 * NS_PER_S
#: 2262-01-01, a little before the last instant that fits in 64-bit nanoseconds.
MAX_NS: Final = 9_214_646_400 * NS_PER_S
PRIORITIES: Final = 8
DEFAULT_PRIORITY: Final = 3


class JobClass(IntEnum):
    """The class of a job: four kinds of work, of which inference has two service levels."""

    FRONTIER_TRAINING = 0
    RESEARCH = 1
    FINE_TUNING = 2
    INFERENCE_BATCH = 3
    INFERENCE_REALTIME = 4

    @property
    def label(self) -> str:
        """The class in snake case, as settings and columns spell it: ``"inference_batch"``."""
        return self.name.lower()

    @property
    def kind(self) -> str:
        """The kind of work: frontier_training, research, fine_tuning or inference."""
        return "inference" if self >= JobClass.INFERENCE_BATCH else self.label


class EndState(IntEnum):
    """How a job would end by itself, were it never held, paused or cut short."""

    UNKNOWN = 0
    COMPLETED = 1
    CANCELLED = 2
    FAILED = 3

    @property
    def label(self) -> str:
        """The state in lower case, as job files spell it."""
        return self.name.lower()


class Mission(IntEnum):
    """The public mission a job works for: the five themes of Dutch mission-driven innovation."""

    NONE = 0
    ENERGY_TRANSITION = 1
    CIRCULAR_ECONOMY = 2
    HEALTH = 3
    AGRICULTURE_WATER_FOOD = 4
    SECURITY = 5

    @property
    def label(self) -> str:
        """The mission in snake case, as settings and job files spell it."""
        return self.name.lower()


class Level(IntEnum):
    """The part of the network a gang must lie in; a job without one may lie anywhere."""

    NONE = 0
    RACK = 1
    POD = 2

    @property
    def label(self) -> str:
        """The level in lower case, as settings and job files spell it."""
        return self.name.lower()


#: The columns in order, with the type each is kept in.
COLUMNS: Final[dict[str, type[np.generic]]] = {
    "submit_ns": np.int64,
    "tenant": np.int16,
    "job_class": np.int8,
    "accelerators": np.int32,
    "work_ns": np.int64,
    "walltime_ns": np.int64,
    "priority": np.int8,
    "chip": np.int8,
    "end_state": np.int8,
    "mission": np.int8,
    "timed": np.bool_,
    "service": np.int16,
    "project": np.int16,
    "accelerators_min": np.int32,
    "deadline_ns": np.int64,
    "level": np.int8,
}
#: What a column holds when it is left out; a walltime left out is the work.
_LEFT_OUT: Final[dict[str, int]] = {
    "tenant": 0,
    "job_class": JobClass.RESEARCH,
    "priority": DEFAULT_PRIORITY,
    "chip": 0,
    "end_state": EndState.UNKNOWN,
    "mission": Mission.NONE,
    "timed": False,
    "service": -1,
    "project": -1,
    "accelerators_min": 0,
    "deadline_ns": 0,
    "level": Level.NONE,
}


@dataclass(frozen=True, slots=True, eq=False)
class JobTable:
    """Jobs as columns of equal length n, sorted by (submit_ns, original order).

    Build one with `JobTable.of`, which sorts, casts and fills defaults.

    Attributes:
        submit_ns: int64[n], instant of submission, ns UTC.
        tenant: int16[n], index into `tenants`.
        job_class: int8[n], a `JobClass`.
        accelerators: int32[n], physical accelerators of the reference chip, all at once (a gang).
        work_ns: int64[n], run time at full speed on the reference chip, ns; at least 1 s.
        walltime_ns: int64[n], the estimate the user gave, ns; at least 60 s.
        priority: int8[n], 0..7, higher goes first.
        chip: int8[n], the reference chip, index into `chips`.
        end_state: int8[n], an `EndState`: how the job would end by itself.
        mission: int8[n], a `Mission`.
        timed: bool[n], true where the job ends by the wall clock and not by work done (a replica
            of an inference service): it ends `work_ns` after its start at whatever speed.
        service: int16[n], index into `services`, or -1.
        project: int16[n], index into `projects`, or -1.
        accelerators_min: int32[n], smallest gang on which an elastic job still runs, 1 up to its
            accelerators; 0 for a rigid job.
        deadline_ns: int64[n], instant by which the job should have ended, ns UTC, later than its
            submission; 0 for none.
        level: int8[n], a `Level`: what the gang must lie in.
        tenants: names of the tenants.
        chips: names of the reference chips.
        services: names of the inference services.
        projects: names of the projects.
        origin: in words, where the jobs come from.
        state: "measured", "published" or "synthetic".
        scaling: sentences that say how the jobs were scaled; empty when they were not.
    """

    submit_ns: npt.NDArray[np.int64]
    tenant: npt.NDArray[np.int16]
    job_class: npt.NDArray[np.int8]
    accelerators: npt.NDArray[np.int32]
    work_ns: npt.NDArray[np.int64]
    walltime_ns: npt.NDArray[np.int64]
    priority: npt.NDArray[np.int8]
    chip: npt.NDArray[np.int8]
    end_state: npt.NDArray[np.int8]
    mission: npt.NDArray[np.int8]
    timed: npt.NDArray[np.bool_]
    service: npt.NDArray[np.int16]
    project: npt.NDArray[np.int16]
    accelerators_min: npt.NDArray[np.int32]
    deadline_ns: npt.NDArray[np.int64]
    level: npt.NDArray[np.int8]
    tenants: tuple[str, ...]
    chips: tuple[str, ...]
    services: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    origin: str = ""
    state: str = "synthetic"
    scaling: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        submit_ns: npt.ArrayLike,
        accelerators: npt.ArrayLike,
        work_ns: npt.ArrayLike,
        tenants: Sequence[str],
        chips: Sequence[str],
        services: Sequence[str] = (),
        projects: Sequence[str] = (),
        origin: str = "",
        state: str = "synthetic",
        scaling: Sequence[str] = (),
        **columns: npt.ArrayLike,
    ) -> JobTable:
        """Build a table from columns in any order of submission.

        Args:
            submit_ns: ns UTC, one per job; sets the length.
            accelerators: accelerators per job; a scalar counts for all.
            work_ns: ns at full speed per job; a scalar counts for all.
            tenants: names of the tenants.
            chips: names of the reference chips.
            services: names of the inference services.
            projects: names of the projects.
            origin: where the jobs come from, in words.
            state: "measured", "published" or "synthetic".
            scaling: sentences that say how the jobs were scaled.
            columns: the other columns by name, arrays or scalars. Left out: tenant 0, research,
                walltime equal to the work, priority 3, chip 0, end state unknown, no mission, not
                timed, no service, no project, rigid, no deadline, no level.

        Returns:
            The sorted table; its arrays are read-only.
        """
        submit = np.asarray(submit_ns, dtype=np.int64)
        given: dict[str, npt.ArrayLike] = {
            **_LEFT_OUT,
            "walltime_ns": np.maximum(np.asarray(work_ns, dtype=np.int64), MIN_WALLTIME_NS),
            **columns,
            "submit_ns": submit,
            "accelerators": accelerators,
            "work_ns": work_ns,
        }
        unknown = sorted(set(given) - set(COLUMNS))
        assert not unknown, f"no such columns in a job table: {unknown}"
        order = None
        if len(submit) > 1 and bool(np.any(submit[1:] < submit[:-1])):
            order = np.argsort(submit, kind="stable")
        arrays: dict[str, Any] = {}
        for name, dtype in COLUMNS.items():
            whole = np.broadcast_to(np.asarray(given[name]), submit.shape)
            column = (whole if order is None else whole[order]).astype(dtype)
            column.flags.writeable = False
            arrays[name] = column
        return cls(
            **arrays,
            tenants=tuple(tenants),
            chips=tuple(chips),
            services=tuple(services),
            projects=tuple(projects),
            origin=origin,
            state=state,
            scaling=tuple(scaling),
        )

    def __len__(self) -> int:
        return len(self.submit_ns)

    def columns(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield (name, array) of every column, in order."""
        for name in COLUMNS:
            yield name, getattr(self, name)

    def take(self, index: npt.NDArray[Any]) -> JobTable:
        """Return the jobs at an index array (or boolean mask), sorted again by submission."""
        return JobTable.of(
            **{name: column[index] for name, column in self.columns()},
            tenants=self.tenants,
            chips=self.chips,
            services=self.services,
            projects=self.projects,
            origin=self.origin,
            state=self.state,
            scaling=self.scaling,
        )

    @staticmethod
    def concatenate(tables: Iterable[JobTable]) -> JobTable:
        """Join tables into one, sorted by submission; names are united in order of appearance.

        Jobs of one instant keep the order of the tables. Origins and scaling sentences are joined
        without repeating any; the state is the weakest of the parts (synthetic, then published).
        """
        parts = list(tables)
        assert parts, "nothing to join"
        names = {kind: _united(getattr(part, kind) for part in parts) for kind in _NAMED.values()}
        joined: dict[str, Any] = {}
        for name in COLUMNS:
            columns = [getattr(part, name) for part in parts]
            if kind := _NAMED.get(name):
                columns = [
                    _renamed(column, getattr(part, kind), names[kind]).astype(COLUMNS[name])
                    for column, part in zip(columns, parts, strict=True)
                ]
            joined[name] = np.concatenate(columns)
        states = {part.state for part in parts}
        weakest = next((s for s in ("synthetic", "published") if s in states), "measured")
        return JobTable.of(
            **joined,
            **names,
            origin="; ".join(_united((part.origin,) for part in parts if part.origin)),
            state=weakest,
            scaling=_united(part.scaling for part in parts),
        )

    def gpu_seconds(self) -> npt.NDArray[np.float64]:
        """Accelerator-seconds each job asks at full speed: accelerators times work, float64[n]."""
        return self.accelerators * (self.work_ns / 1e9)

    def said(self, *sentences: str) -> JobTable:
        """Return the same table with sentences added to `scaling`."""
        return replace(self, scaling=self.scaling + sentences)

    def equals(self, other: JobTable) -> bool:
        """True when every column, name and word of the two tables is the same."""
        same = all(np.array_equal(mine, getattr(other, name)) for name, mine in self.columns())
        words = [f.name for f in fields(self) if f.name not in COLUMNS]
        return same and all(getattr(self, w) == getattr(other, w) for w in words)

    def check(self) -> list[Problem]:
        """Return what is wrong with the table, one problem per kind; empty when it is sound."""
        where = self.origin or "jobs"
        length = len(self.submit_ns)
        uneven = [
            Problem(where, name, str(len(column)), f"has another length than the {length} jobs")
            for name, column in self.columns()
            if len(column) != length
        ]
        if uneven:
            return uneven
        limits: list[tuple[str, float, float, str]] = [
            ("submit_ns", -MAX_NS, MAX_NS, "outside the years 1678 to 2262"),
            ("tenant", 0, len(self.tenants) - 1, "is no tenant of the table"),
            ("job_class", 0, len(JobClass) - 1, "is no job class"),
            ("accelerators", 1, 2**31 - 1, "a job asks for at least 1 accelerator"),
            ("work_ns", MIN_WORK_NS, MAX_NS, "a job works for at least 1 s"),
            ("walltime_ns", MIN_WALLTIME_NS, MAX_NS, "a walltime is at least 60 s"),
            ("priority", 0, PRIORITIES - 1, "a priority lies in 0..7"),
            ("chip", 0, len(self.chips) - 1, "is no chip of the table"),
            ("end_state", 0, len(EndState) - 1, "is no end state"),
            ("mission", 0, len(Mission) - 1, "is no mission"),
            ("service", -1, len(self.services) - 1, "is no service of the table"),
            ("project", -1, len(self.projects) - 1, "is no project of the table"),
            ("accelerators_min", 0, 2**31 - 1, "is 0 (rigid) or more"),
            ("deadline_ns", 0, MAX_NS, "is 0 for none, or an instant from 1970 to 2262"),
            ("level", 0, len(Level) - 1, "is no level"),
        ]
        problems: list[Problem] = []
        for name, low, high, why in limits:
            column = getattr(self, name)
            bad = np.flatnonzero((column < low) | (column > high))
            if len(bad):
                problems.append(_first_of(where, name, column, bad, why))
        late = np.flatnonzero(np.diff(self.submit_ns) < 0) + 1
        if len(late):
            why = "is submitted before the job above it; build the table with JobTable.of"
            problems.append(_first_of(where, "submit_ns", self.submit_ns, late, why))
        for name, wrong, why in self._misfits():
            bad = np.flatnonzero(wrong)
            if len(bad):
                problems.append(_first_of(where, name, getattr(self, name), bad, why))
        return problems

    def _misfits(self) -> Iterator[tuple[str, npt.NDArray[np.bool_], str]]:
        """Columns that do not fit another column of the same job: name, where, and why."""
        lost = self.timed & (self.service < 0)
        yield "service", lost, "a timed job is a replica and names its service"
        wide = self.accelerators_min > self.accelerators
        yield "accelerators_min", wide, "an elastic job's smallest gang is at most its accelerators"
        early = (self.deadline_ns > 0) & (self.deadline_ns <= self.submit_ns)
        yield "deadline_ns", early, "a deadline lies after the submission"


#: Columns that are an index into a tuple of names, and which.
_NAMED: Final[dict[str, str]] = {
    "tenant": "tenants",
    "chip": "chips",
    "service": "services",
    "project": "projects",
}


def _first_of(
    where: str, name: str, column: npt.NDArray[Any], bad: npt.NDArray[Any], why: str
) -> Problem:
    more = f" (and {len(bad) - 1} more jobs)" if len(bad) > 1 else ""
    return Problem(where, f"{name}[{bad[0]}]", str(column[bad[0]]), why + more)


def _united(names: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in names for name in part))


def _renamed(
    index: npt.NDArray[Any], names: tuple[str, ...], united: tuple[str, ...]
) -> npt.NDArray[np.int64]:
    """Point an index column at the united names; -1 (no name) stays -1."""
    where = np.array([*(united.index(name) for name in names), -1], dtype=np.int64)
    return np.asarray(where[index], dtype=np.int64)
