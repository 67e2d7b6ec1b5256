"""The port to whatever runs the jobs: Slurm in a live factory, the twin in a simulated one.

Level-triggered: every tick the caller looks at what is (`observe`), compares it with what should
be, and sends only the difference (`act`). Nothing is remembered between ticks on either side, so
recovery after a crash is to start again and look. A command carries a key; sending the same key
twice has the effect of sending it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable


class Action(StrEnum):
    """What a command asks for."""

    RELEASE = "release"  # may start when the workload manager finds room
    HOLD = "hold"  # may not start; takes back a release that has not started
    PAUSE = "pause"  # stop drawing power, keep the state
    RESUME = "resume"  # go on where it was paused
    REQUEUE = "requeue"  # stop and go back to the queue, from the last checkpoint
    SET_SPEED = "set_speed"  # run at a share of full speed


class Phase(StrEnum):
    """Where a job stands, as the workload manager sees it."""

    HELD = "held"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"


class Outcome(StrEnum):
    """What became of a command."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"  # sent, and no answer came: look again before repeating


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to do to one job.

    Attributes:
        key: idempotency key, unique per intent: the same key again has no second effect.
        action: what to do.
        job: the workload manager's own name for the job.
        speed: share of full speed in (0, 1], for `Action.SET_SPEED` only.
        reason: why, in words a tenant can read.
    """

    key: str
    action: Action
    job: str
    speed: float | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        assert self.key, "a command without a key cannot be repeated safely"
        if self.action is Action.SET_SPEED:
            assert self.speed is not None, "set_speed needs a speed"
            assert 0.0 < self.speed <= 1.0, f"a speed lies above 0 and up to 1, not {self.speed}"
        else:
            assert self.speed is None, f"{self.action} takes no speed"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a command.

    Attributes:
        key: the key of the command.
        outcome: accepted, refused or unknown.
        reason: why refused or unknown; empty when accepted.
    """

    key: str
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class JobView:
    """One job as the workload manager sees it now.

    Attributes:
        job: the workload manager's own name for the job.
        tenant: whose it is.
        phase: held, queued, running or paused.
        accelerators: asked for while waiting, allocated once running.
        submit_ns: instant of submission, ns UTC.
        start_ns: instant of the latest start, ns UTC; None before the first.
        walltime_s: the limit the user gave, s.
        speed: share of full speed it runs at.
    """

    job: str
    tenant: str
    phase: Phase
    accelerators: int
    submit_ns: int
    start_ns: int | None
    walltime_s: float
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class WorkloadSnapshot:
    """Everything queued and running at one instant, sorted by job name.

    Attributes:
        at_ns: the instant it was true, ns UTC.
        jobs: jobs that have not ended.
        accelerators_up: accelerators that can run work now (not down, not drained).
    """

    at_ns: int
    jobs: tuple[JobView, ...]
    accelerators_up: int


@runtime_checkable
class WorkloadManager(Protocol):
    """What an adapter to a workload manager offers."""

    def observe(self) -> WorkloadSnapshot:
        """Look at every job that has not ended, and at the accelerators that are up."""
        ...

    def act(self, commands: Sequence[Command]) -> tuple[Receipt, ...]:
        """Carry out commands in order; one receipt per command, in the same order.

        Trouble (the manager is down, a job has ended meanwhile) is an outcome, never an exception.
        """
        ...
