"""What was sent and has not shown yet: no command twice for nothing, none forgotten.

The gate decides anew every tick from what it is shown. Between a command and its effect a second or
two go by; so it is shown what has been told, not only what is (`Hands.as_told`), and a command that
is on its way is not given again. A receipt that says unknown is settled by looking: the effect is
there, or the same command is sent again under the same key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gigafactory.jobs.ports import (
    Action,
    Command,
    JobView,
    Outcome,
    Phase,
    Receipt,
    WorkloadSnapshot,
)
from gigafactory.runtime.live.frames import Answer
from gigafactory.units import NS_PER_S

_WAITS: Final = frozenset({Phase.HELD, Phase.PAUSED})
_GOES: Final = frozenset({Phase.QUEUED, Phase.RUNNING})
#: Actions that lower power or take work away: they go out even when nothing can be written down.
REDUCING: Final = frozenset({Action.PAUSE, Action.REQUEUE, Action.HOLD, Action.CANCEL})


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something that should be done to a job, before it has a key."""

    action: Action
    job: str
    reason: str = ""
    within_s: float = 0.0
    expected_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A command on its way.

    Attributes:
        command: as sent.
        sent_ns: when last.
        outcome: of its latest receipt.
        before: what the job was.
    """

    command: Command
    sent_ns: int
    outcome: Outcome
    before: JobView | None


@dataclass(slots=True)
class Hands:
    """The commands on their way to one manager.

    Attributes:
        retry_s: one without effect is given again after so long.
    """

    retry_s: float
    sent: dict[str, Sent] = field(default_factory=dict)
    _count: int = 0

    def look(self, snapshot: WorkloadSnapshot, now_ns: int) -> tuple[Answer, ...]:
        """Drop what has shown its effect or had its time; what was unknown is told."""
        views = {v.job: v for v in snapshot.jobs}
        told = []
        for job, sent in list(self.sent.items()):
            view = views.get(job)
            if _shows(sent, view):
                if sent.outcome is Outcome.UNKNOWN:
                    told.append(Answer(sent.command.key, Outcome.ACCEPTED, "found by looking"))
                del self.sent[job]
            elif view is None:
                if sent.outcome is Outcome.UNKNOWN:
                    told.append(Answer(sent.command.key, Outcome.REFUSED, "the job is gone"))
                del self.sent[job]
            elif sent.outcome is Outcome.ACCEPTED and now_ns - sent.sent_ns > self._retry_ns:
                del self.sent[job]
        return tuple(told)

    def as_told(self, snapshot: WorkloadSnapshot) -> WorkloadSnapshot:
        """The snapshot as it will be once what is on its way has shown."""
        if not self.sent:
            return snapshot
        jobs = tuple(_as_told(v, self.sent.get(v.job)) for v in snapshot.jobs)
        return replace(snapshot, jobs=jobs)

    def commands(
        self, wanted: Sequence[Wanted], snapshot: WorkloadSnapshot, now_ns: int
    ) -> tuple[Command, ...]:
        """What of the wanted is to be sent now, with keys; order is kept."""
        views = {v.job: v for v in snapshot.jobs}
        found = []
        for want in wanted:
            sent = self.sent.get(want.job)
            key = ""
            if sent is not None and sent.command.action is want.action:
                unknown = sent.outcome is Outcome.UNKNOWN
                hurried = want.within_s > 0.0 and not sent.command.within_s
                due = now_ns - sent.sent_ns > self._retry_ns / (5 if unknown else 1)
                if not (due or hurried):
                    continue
                if unknown and not hurried:
                    key = sent.command.key
            command = Command(
                key or self._key(now_ns),
                want.action,
                want.job,
                reason=want.reason,
                expected_s=want.expected_s,
                within_s=want.within_s,
            )
            self.sent[want.job] = Sent(command, now_ns, Outcome.UNKNOWN, views.get(want.job))
            found.append(command)
        return tuple(found)

    def note(self, commands: Sequence[Command], receipts: Sequence[Receipt]) -> None:
        """What was answered; a refused one is no longer on its way."""
        for command, receipt in zip(commands, receipts, strict=True):
            sent = self.sent.get(command.job)
            if sent is None or sent.command.key != command.key:
                continue
            if receipt.outcome is Outcome.REFUSED:
                del self.sent[command.job]
            else:
                self.sent[command.job] = replace(sent, outcome=receipt.outcome)

    def only_reducing(self, commands: Sequence[Command]) -> tuple[Command, ...]:
        """Those that take power or work away; the others were not sent after all."""
        for command in commands:
            if command.action not in REDUCING:
                self.sent.pop(command.job, None)
        return tuple(c for c in commands if c.action in REDUCING)

    def shadow(self, commands: Sequence[Command]) -> None:
        """Take commands that were only written down for carried out."""
        for command in commands:
            sent = self.sent[command.job]
            self.sent[command.job] = replace(sent, outcome=Outcome.ACCEPTED)

    def slow(self) -> tuple[str, ...]:
        """Jobs told to pause that have not shown it, and were not hurried."""
        return tuple(
            job
            for job, sent in self.sent.items()
            if sent.command.action is Action.PAUSE and not sent.command.within_s
        )

    def adopt(self, commands: Iterable[Command], now_ns: int) -> None:
        """Take over commands that a controller before us meant to send, outcome unknown."""
        for command in commands:
            self.sent[command.job] = Sent(command, now_ns, Outcome.UNKNOWN, None)

    def forget(self) -> None:
        """A manager that has been rolled back knows nothing of what was sent."""
        self.sent.clear()

    @property
    def _retry_ns(self) -> int:
        return int(self.retry_s * NS_PER_S)

    def _key(self, now_ns: int) -> str:
        self._count += 1
        return f"{now_ns:x}-{self._count:x}"


def _shows(sent: Sent, view: JobView | None) -> bool:
    """Whether a command's effect can be seen."""
    action = sent.command.action
    if view is None:
        return action is Action.CANCEL
    match action:
        case Action.RELEASE:
            return view.phase in _GOES
        case Action.HOLD:
            return view.phase in _WAITS
        case Action.PAUSE:
            return view.phase is Phase.PAUSED
        case Action.RESUME:
            return view.phase in _GOES
        case Action.REQUEUE:
            again = sent.before is not None and view.restarts > sent.before.restarts
            return view.phase is not Phase.RUNNING or again
        case Action.CANCEL:
            return False
        case _:
            return True


def _as_told(view: JobView, sent: Sent | None) -> JobView:
    """A job as it will be."""
    if sent is None or sent.outcome is Outcome.UNKNOWN:
        return view
    match sent.command.action:
        case Action.RELEASE if view.phase is Phase.HELD:
            return replace(view, phase=Phase.QUEUED)
        case Action.HOLD if view.phase is Phase.QUEUED:
            return replace(view, phase=Phase.HELD)
        case Action.PAUSE if view.phase is Phase.RUNNING:
            return replace(view, phase=Phase.PAUSED, frozen=True)
        case Action.RESUME if view.phase is Phase.PAUSED:
            return replace(view, phase=Phase.RUNNING if view.frozen else Phase.QUEUED, frozen=False)
        case _:
            return view


_WHY: Final = {
    Action.HOLD: "no room after all",
    Action.REQUEUE: "others have a guarantee to its nodes",
    Action.RESUME: "there is power again",
    Action.RELEASE: "its turn",
}


def wanted_of(
    steps: Sequence[tuple[Action, str]], *, why_pause: str, within_s: float, brief: bool
) -> list[Wanted]:
    """A decision of the gate as things to do, in the gate's own order.

    One thing a job at a time: what makes way here and starts again elsewhere leaves first, and the
    next look tells that it waits.

    Args:
        steps: of the decision.
        why_pause: why victims are paused, in words a tenant can read.
        within_s: how soon their power must be gone; 0 where there is time to save.
        brief: nothing that needs a record may go out: reductions alone.
    """
    found: dict[str, Wanted] = {}
    for action, job in steps:
        if job in found or (brief and action not in REDUCING):
            continue
        pause = action is Action.PAUSE
        why = why_pause if pause else _WHY[action]
        found[job] = Wanted(action, job, why, within_s if pause else 0.0)
    return list(found.values())
