"""What a manager shows that is no longer so: one that was killed knows its state of before.

A workload manager writes its state down every few seconds. Killed, it starts with what it wrote
last, and what happened since then is gone from its books:

- A job that has ended runs again, holds its nodes, and stays so until it is missed on the node,
  which takes minutes; then it is run again. What has ended by the journal stays ended: the job is
  taken out of what the loop sees, so that nothing is accounted or told twice, and cancelled.
- A job that was frozen runs, while its processes stand still, and nobody would ever let them go
  on. What we froze, and told nothing since, is frozen: the loop sees it so, and it is frozen again,
  so that the manager's books are true; then the gate decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gigafactory.jobs.ports import Action, Command, JobView, Phase, WorkloadSnapshot
from gigafactory.runtime.live.acting import Wanted
from gigafactory.runtime.live.parts import WORK_BACK
from gigafactory.runtime.live.troubles import Troubles
from gigafactory.runtime.live.watch import Watch

_ENDED: Final = "it has ended: the manager went back to a state of before"
_FROZEN: Final = "it is frozen: the manager went back to a state of before"
#: So short that a job is frozen, and not saved.
_AT_ONCE_S: Final = 0.1


@dataclass(slots=True)
class Rollbacks:
    """Finds what a manager went back on, and has it put right.

    Attributes:
        troubles: where it is told.
        retry_ns: what is still shown is told again after so long, ns.
        acts: whether what is wanted is done; otherwise another steers, and knows better.
        froze: jobs that we froze and told nothing since; after a start, those that stood frozen.
    """

    troubles: Troubles
    retry_ns: int
    acts: bool = True
    froze: set[str] = field(default_factory=set)
    _back: dict[str, dict[str, str]] = field(default_factory=dict)
    _frozen: dict[str, dict[str, str]] = field(default_factory=dict)
    _told_ns: dict[str, int] = field(default_factory=dict)

    def mended(
        self, snapshots: Mapping[str, WorkloadSnapshot], watch: Watch, now_ns: int
    ) -> dict[str, WorkloadSnapshot]:
        """The snapshots as they should be.

        Args:
            snapshots: what the managers show.
            watch: knows what has ended, and what was seen last.
            now_ns: the instant, ns UTC.
        """
        self.froze &= {seen.view.job for seen in watch.jobs.values()}
        return {name: self._one(name, s, watch, now_ns) for name, s in snapshots.items()}

    def wanted(self, manager: str, others: Iterable[Wanted], now_ns: int) -> list[Wanted]:
        """What should be done now: what puts things right, and of the others what may be.

        Args:
            manager: whose jobs.
            others: what else is wanted, in order.
            now_ns: the instant, ns UTC.
        """
        back, frozen = self._back.get(manager, {}), self._frozen.get(manager, {})
        found = [Wanted(Action.CANCEL, job, _ENDED) for job in self._due(back, now_ns)]
        found += [
            Wanted(Action.PAUSE, job, _FROZEN, _AT_ONCE_S) for job in self._due(frozen, now_ns)
        ]
        return [*found, *(w for w in others if w.job not in back and w.job not in frozen)]

    def sent(self, commands: Sequence[Command]) -> None:
        """Learn what was told: a job that was told anything but to freeze may run afterwards."""
        for command in commands:
            brief = command.within_s > 0.0 or command.expected_s > 0.0
            if command.action is Action.PAUSE and brief:
                self.froze.add(command.job)
            else:
                self.froze.discard(command.job)

    def _due(self, jobs: Iterable[str], now_ns: int) -> list[str]:
        due = [j for j in jobs if now_ns - self._told_ns.get(j, -self.retry_ns) >= self.retry_ns]
        self._told_ns.update(dict.fromkeys(due, now_ns))
        return due

    def _one(
        self, name: str, snapshot: WorkloadSnapshot, watch: Watch, now_ns: int
    ) -> WorkloadSnapshot:
        if snapshot.trouble or not self.acts:
            return snapshot
        before = self._back.get(name, {}) | self._frozen.get(name, {})
        back = {v.job: v.key for v in snapshot.jobs if v.ours and watch.over(v.key)}
        frozen = {v.job: v.key for v in snapshot.jobs if v.ours and self._stands(v, watch)}
        self._back[name], self._frozen[name] = back, frozen
        for job in set(before) - set(back) - set(frozen):
            self._told_ns.pop(job, None)
        if not back and not frozen:
            self.troubles.leave(WORK_BACK, name, now_ns)
            return snapshot
        some = ", ".join(sorted((back | frozen).values())[:5])
        why = (
            f"the manager went back to a state of before ({some}): {len(back)} that have ended "
            f"are cancelled, {len(frozen)} that are frozen are frozen again"
        )
        self.troubles.enter(WORK_BACK, name, why, now_ns)
        jobs = tuple(
            replace(v, phase=Phase.PAUSED, frozen=True) if v.job in frozen else v
            for v in snapshot.jobs
            if v.job not in back
        )
        return replace(snapshot, jobs=jobs)

    def _stands(self, view: JobView, watch: Watch) -> bool:
        """Whether a job that is shown running was frozen by us and has been told nothing since."""
        seen = watch.jobs.get(view.key)
        return (
            view.phase is Phase.RUNNING
            and seen is not None
            and seen.view.frozen
            and seen.view.job == view.job
            and seen.view.restarts == view.restarts
            and view.job in self.froze
        )
