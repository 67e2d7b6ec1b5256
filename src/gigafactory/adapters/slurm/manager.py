"""The adapter: `jobs.WorkloadManager` on a Slurm cluster.

Nothing is remembered that matters: whose a job is, what it asked and where its pause stands are
written in Slurm itself (`metadata`), and every call looks before it acts. What is kept in memory
saves work or hinders a repetition; losing it is harmless.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from gigafactory.adapters.leadermark import LeaderMark
from gigafactory.adapters.slurm.actions import Plan, Scene, in_order, move_on, plan, there
from gigafactory.adapters.slurm.budget import set_budget
from gigafactory.adapters.slurm.command import Commands
from gigafactory.adapters.slurm.looking import Look, Looked
from gigafactory.adapters.slurm.nodes import act_on_nodes
from gigafactory.adapters.slurm.restarts import WHY, Restarts
from gigafactory.adapters.slurm.rich import RichJob, look_closely
from gigafactory.adapters.slurm.settings import SlurmSettings
from gigafactory.adapters.slurm.submitting import Submitter
from gigafactory.adapters.slurm.views import view_ended, view_foreign, view_node, view_ours
from gigafactory.adapters.slurm.writing import Bucket, Told, tell
from gigafactory.engine.clock import Clock, Stopwatch, WallClock
from gigafactory.jobs.ports import (
    Action,
    Command,
    NodeCommand,
    Outcome,
    Receipt,
    WorkloadSnapshot,
    WorkOrder,
)

_KEYS_KEPT = 20_000
#: What lets work go on.
_GOES: Final = frozenset({Action.RELEASE, Action.RESUME})
#: In the shared folder: the name of the controller that leads.
LEADER: Final = "gigafactory.leader"


class SlurmManager:
    """A Slurm cluster behind `jobs.WorkloadManager`.

    Args:
        settings: which cluster, which rights, how long.
        clock: whose time snapshots and pauses carry.

    Attributes:
        lets_go: whether work could be released at the last `act`: not for a moment after Slurm's
            controller was started (`restarts`).
    """

    def __init__(self, settings: SlurmSettings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or WallClock()
        self._commands = Commands(settings)
        self._look = Look(settings, self._commands, self._clock)
        self._bucket = Bucket(settings.writes_per_s, settings.writes_burst)
        self._submitter = Submitter(settings, self._commands, self._clock)
        self.lets_go = False
        self._restarts = Restarts(settings, self._commands)
        self._done = _Done()
        folder = settings.checkpoint_folder
        self._mark = LeaderMark(Path(folder) / LEADER) if folder else None
        self._pools = {partition: pool for pool, partition in settings.partitions.items()}

    def observe(self) -> WorkloadSnapshot:
        """Look at every job and node; see `WorkloadManager.observe`. Changes nothing."""
        seen = self._look.all()
        if seen.trouble:
            return WorkloadSnapshot(seen.at_ns, (), 0, trouble=seen.trouble)
        jobs = [view_ours(one, seen.saved.get(one.tag.key)) for one in seen.jobs.ours.values()]
        jobs += [view_foreign(row, self._pools) for row in seen.jobs.foreign.values()]
        nodes = tuple(view_node(row, self._pools) for row in seen.nodes)
        return WorkloadSnapshot(
            at_ns=seen.at_ns,
            jobs=tuple(sorted(jobs, key=lambda view: view.job)),
            accelerators_up=sum(n.accelerators for n in nodes if n.up and not n.draining),
            nodes=nodes,
            ended=tuple(
                sorted(map(view_ended, seen.jobs.ended.values()), key=lambda view: view.job)
            ),
        )

    def act(self, commands: Sequence[Command]) -> tuple[Receipt, ...]:
        """Carry commands out, in order; see `WorkloadManager.act`.

        Every call, also one without commands, moves on what is on its way: a pause whose job has
        saved, or had its time, gives its nodes back. So it is called every tick.
        """
        watch = Stopwatch()
        self.lets_go = self._restarts.turn(self._clock.now_ns())
        seen = self._look.jobs()
        if not seen.trouble:
            seen = self._move_on(seen, {c.job for c in commands if c.action is not Action.PAUSE})
        receipts: list[Receipt] = []
        for _, run in groupby(commands, key=lambda command: command.action):
            some = list(run)
            if not seen.trouble and watch.elapsed_s() > self._settings.call_limit_s:
                seen = Looked(seen.at_ns, trouble="the call's time was over before its turn")
            if seen.trouble:
                receipts += [Receipt(c.key, Outcome.UNKNOWN, seen.trouble) for c in some]
                continue
            if some[0].action in _GOES and not self.lets_go:
                receipts += [Receipt(c.key, Outcome.REFUSED, WHY) for c in some]
                continue
            seen, answers = self._run(some, seen)
            receipts += answers
        return tuple(receipts)

    def submit(self, orders: Sequence[WorkOrder]) -> tuple[Receipt, ...]:
        """Hand jobs over, held; see `WorkloadManager.submit`."""
        if not orders:
            return ()
        return self._submitter.submit(orders, self._look.jobs())

    def act_on_nodes(self, commands: Sequence[NodeCommand]) -> tuple[Receipt, ...]:
        """Drain nodes, take them back, power them down and up; see `WorkloadManager`."""
        if not commands:
            return ()
        return act_on_nodes(commands, self._settings, self._commands, self._look.all)

    def set_budget(self, power_kw: int) -> Receipt:
        """Leave no more than so many licences to work that is yet to start."""
        return set_budget(power_kw, self._settings, self._commands)

    def lead(self, holder: str) -> bool:
        """Note who leads in the shared folder; see `jobs.Fenced`. Without one nothing is noted."""
        return self._mark is not None and self._mark.write(holder)

    def leader(self) -> str | None:
        """Who noted it last; see `jobs.Fenced`."""
        return self._mark.read() if self._mark is not None else ""

    def closely(self) -> tuple[RichJob, ...]:
        """Every job in full, with the accelerators it holds by index; slow, not for the tick.

        Raises:
            UnreadableError: nothing came, or it is of a version this adapter was not tried with.
        """
        return look_closely(self._settings, self._commands)

    # --- parts -------------------------------------------------------------------------------

    def _scene(self, seen: Looked) -> Scene:
        return Scene(seen.jobs.ours, seen.saved, self._clock.now_ns(), self._settings)

    def _tell(self, made: Plan) -> Told:
        return tell(made, self._settings, self._commands)

    def _move_on(self, seen: Looked, told: Collection[str]) -> Looked:
        """The next step of pauses on their way; doubles are taken away."""
        made = move_on(self._scene(seen), told)
        made.cancels += seen.jobs.doubles
        if not made:
            return seen
        answer = self._tell(made)
        return Looked(seen.at_ns, trouble=answer.trouble) if answer.trouble else self._look.jobs()

    def _run(self, commands: list[Command], seen: Looked) -> tuple[Looked, list[Receipt]]:
        """Carry out commands of one action."""
        refused: dict[str, str] = {}
        asked: dict[str, Command] = {}
        for command in commands:
            if self._done.over(command):
                continue
            why = _not_to_touch(command, seen)
            if why:
                refused[command.key] = why
            elif command.job in seen.jobs.ours:
                asked.setdefault(command.job, command)
        made = plan(list(asked.values()), self._scene(seen)) if asked else Plan()
        urgent = commands[0].action is Action.PAUSE
        if not urgent and not self._bucket.take(made.jobs):
            why = "too many commands in a short time: ask again"
            return seen, [Receipt(c.key, Outcome.REFUSED, why) for c in commands]
        told = self._tell(made) if made else Told()
        after = seen
        if made:
            after = Looked(seen.at_ns, trouble=told.trouble) if told.trouble else self._look.jobs()
            if commands[0].action in _GOES:
                self._put_in_order(asked, seen, after)
        receipts = [self._receipt(command, refused, made, told, after) for command in commands]
        for command, receipt in zip(commands, receipts, strict=True):
            if receipt.outcome is Outcome.ACCEPTED:
                self._done.note(command)
        return after, receipts

    def _put_in_order(self, asked: Collection[str], seen: Looked, after: Looked) -> None:
        queued = {
            job
            for job, one in seen.jobs.ours.items()
            if one.row.waiting and not one.row.held and job not in asked
        }
        made = in_order(list(asked), queued, self._scene(after))
        if made and not after.trouble:
            self._tell(made)

    def _receipt(
        self,
        command: Command,
        refused: dict[str, str],
        made: Plan,
        told: Told,
        after: Looked,
    ) -> Receipt:
        if self._done.over(command):
            return Receipt(command.key, Outcome.ACCEPTED)
        why = refused.get(command.key) or made.refused.get(command.job)
        if why:
            return Receipt(command.key, Outcome.REFUSED, why)
        if after.trouble:
            return Receipt(command.key, Outcome.UNKNOWN, after.trouble)
        said = told.errors.get(command.job, "")
        one = after.jobs.ours.get(command.job)
        signalled = command.action is not Action.CHECKPOINT or not said
        if there(command, one) and signalled:
            return Receipt(command.key, Outcome.ACCEPTED)
        if one is None:
            return Receipt(command.key, Outcome.REFUSED, "has ended meanwhile")
        return Receipt(command.key, Outcome.REFUSED, said or "Slurm did not carry it out")


def _not_to_touch(command: Command, seen: Looked) -> str:
    """Why a command may not be carried out whatever it is; empty where it may."""
    jobs, job = seen.jobs, command.job
    if job in jobs.ours:
        return ""
    if job in jobs.foreign:
        return "is not ours: it was not handed over by us"
    if job in jobs.ended:
        return "" if command.action is Action.CANCEL else "has ended"
    return "" if command.action is Action.CANCEL and job in jobs.doubles else "is not known"


class _Done:
    """Keys carried out, so that a repetition that comes late changes nothing.

    A key whose job was told something else since is over. One that was not is carried out again
    where its effect is gone: a controller that crashed has forgotten its last seconds.
    """

    def __init__(self) -> None:
        self._by_key: OrderedDict[str, str] = OrderedDict()
        self._latest: dict[str, str] = {}

    def over(self, command: Command) -> bool:
        """Whether the command was carried out and may have no second effect."""
        job = self._by_key.get(command.key)
        if job != command.job:
            return False
        return self._latest.get(job) != command.key or command.action is Action.CHECKPOINT

    def note(self, command: Command) -> None:
        """Note that a command was carried out; a repetition of a known key changes nothing."""
        if command.key in self._by_key:
            return
        self._by_key[command.key] = command.job
        self._latest[command.job] = command.key
        if len(self._by_key) > _KEYS_KEPT:
            key, job = self._by_key.popitem(last=False)
            if self._latest.get(job) == key:
                del self._latest[job]
