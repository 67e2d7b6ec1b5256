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
    CHECKPOINT = "checkpoint"  # save now and go on
    SET_PRIORITY = "set_priority"  # its place in the workload manager's own queue
    CANCEL = "cancel"  # end it for good


class Phase(StrEnum):
    """Where a job stands, as the workload manager sees it."""

    HELD = "held"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"


class Ending(StrEnum):
    """How a job ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


class NodeAction(StrEnum):
    """What a node is told."""

    DRAIN = "drain"  # finish what runs, take nothing new
    UNDRAIN = "undrain"  # into service again
    POWER_DOWN = "power_down"  # off, once it is empty
    POWER_UP = "power_up"


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
        priority: 0 upwards, higher first, for `Action.SET_PRIORITY` only.
        expected_s: for `Action.PAUSE`, how long the pause is expected to last, s; 0 where unknown.
            A pause of seconds may freeze the job where it stands; a longer one saves it first and
            gives its nodes back.
        reason: why, in words a tenant can read.
        within_s: for `Action.PAUSE`, how soon its power must be gone, s; 0 where there is time to
            save first. A job that cannot save that soon is frozen where it stands; the same
            command without a hurry then saves it and gives its nodes back.
    """

    key: str
    action: Action
    job: str
    speed: float | None = None
    reason: str = ""
    priority: int | None = None
    expected_s: float = 0.0
    within_s: float = 0.0

    def __post_init__(self) -> None:
        assert self.key, "a command without a key cannot be repeated safely"
        if self.action is Action.SET_SPEED:
            assert self.speed is not None, "set_speed needs a speed"
            assert 0.0 < self.speed <= 1.0, f"a speed lies above 0 and up to 1, not {self.speed}"
        else:
            assert self.speed is None, f"{self.action} takes no speed"
        if self.action is Action.SET_PRIORITY:
            assert self.priority is not None, "set_priority needs a priority"
            assert self.priority >= 0, f"a priority is 0 or more, not {self.priority}"
        else:
            assert self.priority is None, f"{self.action} takes no priority"


@dataclass(frozen=True, slots=True)
class NodeCommand:
    """One thing to do to one node; `key` as in `Command`."""

    key: str
    action: NodeAction
    node: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """A job to hand to the workload manager, held: nothing starts before it is released.

    Attributes:
        key: idempotency key, and our own name for the job for as long as it lives; carried in the
            workload manager's metadata, so that a job handed over twice is found to be there.
        tenant: whose it is.
        job_class: `frontier_training`, `research`, `fine_tuning` or `inference`.
        accelerators: asked for; a multiple of a node's where it takes whole nodes.
        nodes: whole nodes asked for; 0 for a share of one node.
        walltime_s: the user's limit, s.
        priority: 0 to 7, higher first.
        script: what it runs, a shell script.
        name: what its owner calls it.
        pool: the factory's pool it is bound to; the workload manager's partition is wired to it.
        accelerators_min: smallest gang an elastic job runs on; 0 for a rigid one.
    """

    key: str
    tenant: str
    job_class: str
    accelerators: int
    nodes: int
    walltime_s: float
    priority: int
    script: str
    name: str = ""
    pool: str = ""
    accelerators_min: int = 0


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
        ours: whether it came from us; what did not is counted and never touched.
        key: our own name for it (`WorkOrder.key`); empty for a foreign job.
        job_class: one of the four classes; empty for a foreign job.
        priority: 0 to 7, higher first.
        pool: the factory's pool it is bound to.
        nodes: names of the nodes it has, or, paused without nodes, those it had last.
        nodes_asked: whole nodes asked for; 0 for a share of one node.
        accelerators_min: smallest gang of an elastic job; 0 for a rigid one.
        restarts: how often it has been started again.
        ran_s: time it ran before its latest start and has kept, s; what it lost is not in it.
        saved_ns: instant of its latest checkpoint, ns UTC; None where none is known.
        frozen: paused where it stands, with its nodes (suspended), rather than saved.
        reason: what the workload manager says it waits for.
    """

    job: str
    tenant: str
    phase: Phase
    accelerators: int
    submit_ns: int
    start_ns: int | None
    walltime_s: float
    speed: float = 1.0
    ours: bool = True
    key: str = ""
    job_class: str = ""
    priority: int = 0
    pool: str = ""
    nodes: tuple[str, ...] = ()
    nodes_asked: int = 0
    accelerators_min: int = 0
    restarts: int = 0
    ran_s: float = 0.0
    saved_ns: int | None = None
    frozen: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EndedView:
    """One of our jobs that has ended.

    Attributes:
        job: the workload manager's own name for the job.
        key: our own name for it.
        ending: how.
        end_ns: when, ns UTC.
        start_ns: its latest start, ns UTC; None where it never ran.
        exit_code: of its script; -1 where unknown.
    """

    job: str
    key: str
    ending: Ending
    end_ns: int
    start_ns: int | None
    exit_code: int = -1


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node as the workload manager sees it.

    Attributes:
        node: its name.
        pool: the factory's pool it belongs to; empty for none of ours.
        accelerators: it has.
        up: whether it can run work now: not down, not off, not failing.
        draining: takes nothing new.
        off: powered down by us.
    """

    node: str
    pool: str
    accelerators: int
    up: bool = True
    draining: bool = False
    off: bool = False


@dataclass(frozen=True, slots=True)
class WorkloadSnapshot:
    """Everything queued and running at one instant, sorted by job name.

    Attributes:
        at_ns: the instant it was true, ns UTC.
        jobs: jobs that have not ended.
        accelerators_up: accelerators that can run work now (not down, not drained).
        nodes: every node, sorted by name.
        ended: our jobs that have ended and that the manager still remembers, sorted by name.
        trouble: why the manager could not be seen (it hangs, it is down); then nothing else here
            holds, and nothing may be decided on it. Empty when all is well.
    """

    at_ns: int
    jobs: tuple[JobView, ...]
    accelerators_up: int
    nodes: tuple[NodeView, ...] = ()
    ended: tuple[EndedView, ...] = ()
    trouble: str = ""


@runtime_checkable
class WorkloadManager(Protocol):
    """What an adapter to a workload manager offers.

    Trouble (the manager is down, a job has ended meanwhile) is an outcome or a snapshot's
    `trouble`, never an exception; and no call takes longer than the adapter's own time limit.
    """

    def observe(self) -> WorkloadSnapshot:
        """Look at every job that has not ended, and at the accelerators that are up."""
        ...

    def act(self, commands: Sequence[Command]) -> tuple[Receipt, ...]:
        """Carry out commands in order; one receipt per command, in the same order.

        A command whose effect is there already is accepted, whatever brought it about. One for a
        job that is not ours is refused.
        """
        ...

    def submit(self, orders: Sequence[WorkOrder]) -> tuple[Receipt, ...]:
        """Hand jobs over, held; one receipt per order, in the same order.

        An order whose key is there already, waiting, running or ended, is accepted and not
        doubled. `Receipt.reason` of an accepted one is the manager's own name for the job.
        """
        ...

    def act_on_nodes(self, commands: Sequence[NodeCommand]) -> tuple[Receipt, ...]:
        """Drain nodes, take them back, power them down and up; one receipt each, in order."""
        ...

    def set_budget(self, power_kw: int) -> Receipt:
        """Tell the manager the power, kW, that running work may take, as a second guard.

        The manager starts nothing beyond it and stops nothing for it: stopping is `act`.
        """
        ...


@runtime_checkable
class Fenced(Protocol):
    """A manager beside which stands who leads, for a controller that cannot ask the store."""

    def lead(self, holder: str) -> bool:
        """Note who leads from now on, in place of who did; whether that is done."""
        ...

    def leader(self) -> str | None:
        """Who noted it last; empty where nobody did, None where it cannot be seen now."""
        ...
