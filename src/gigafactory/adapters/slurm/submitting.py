"""Handing jobs over, each exactly once, held.

A key that is in the queue, or among the jobs that have ended and that Slurm still remembers, is not
handed over again. A call that brought no answer is looked for by the next one; should both get
through, the second is a double: held, never shown and taken away (`views.sort_out`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gigafactory.adapters.slurm.actions import job_power_kw
from gigafactory.adapters.slurm.command import Commands
from gigafactory.adapters.slurm.looking import Looked
from gigafactory.adapters.slurm.metadata import KEY_CHARACTERS, Tag, write_tag
from gigafactory.adapters.slurm.rest import Handed, RestClient
from gigafactory.adapters.slurm.settings import SlurmSettings
from gigafactory.engine.clock import Clock, Stopwatch
from gigafactory.jobs.ports import Outcome, Receipt, WorkOrder
from gigafactory.units import NS_PER_S

#: Set before the first line of a shell script: the signal to save must not end a script that does
#: not know it. A handler of its own, set later, takes this one's place.
_DEAF = "trap : {signal}  # a script that does not save on this signal is not ended by it\n"


class Submitter:
    """Hands jobs over to one cluster.

    Args:
        settings: the site's.
        commands: runs Slurm's commands.
        clock: whose time a job's submission carries.
    """

    def __init__(self, settings: SlurmSettings, commands: Commands, clock: Clock) -> None:
        self._settings = settings
        self._commands = commands
        self._clock = clock
        self._rest = RestClient(settings.rest, settings) if settings.rest else None

    def submit(self, orders: Sequence[WorkOrder], seen: Looked) -> tuple[Receipt, ...]:
        """Hand over what is not there yet; one receipt per order, in order."""
        if seen.trouble:
            return tuple(Receipt(o.key, Outcome.UNKNOWN, seen.trouble) for o in orders)
        watch = Stopwatch()
        known = dict(seen.jobs.by_key)
        fresh: list[str] = []
        receipts = []
        for order in orders:
            why = self._wrong(order)
            if why:
                receipts.append(Receipt(order.key, Outcome.REFUSED, why))
            elif order.key in known:
                receipts.append(Receipt(order.key, Outcome.ACCEPTED, known[order.key]))
            elif watch.elapsed_s() > self._settings.call_limit_s:
                # Not refused, which would be for good: nothing speaks against the job itself.
                why = "the call's time was over before its turn: hand it over again"
                receipts.append(Receipt(order.key, Outcome.UNKNOWN, why))
            else:
                handed = self._hand_over(order)
                if handed.job:
                    known[order.key] = handed.job
                    fresh.append(handed.job)
                receipts.append(_receipt(order, handed))
        if fresh:
            # A hold of ours, not of the job's owner, who could release it.
            self._commands.run(
                ["scontrol"],
                self._settings.write_limit_s,
                stdin="".join(f"hold {','.join(c)}\n" for c in self._chunks(fresh)),
            )
        return tuple(receipts)

    def _chunks(self, jobs: list[str]) -> list[list[str]]:
        size = self._settings.chunk_jobs
        return [jobs[i : i + size] for i in range(0, len(jobs), size)]

    def _wrong(self, order: WorkOrder) -> str:
        if order.pool not in self._settings.partitions:
            known = ", ".join(sorted(self._settings.partitions))
            return f"no partition is wired to the pool {order.pool!r}; those wired are: {known}"
        if len(order.key) > KEY_CHARACTERS:
            return f"a key has at most {KEY_CHARACTERS} characters, this one {len(order.key)}"
        if not order.script.startswith("#!"):
            return "the script must begin with #! and what runs it"
        if order.accelerators < 1 or (order.nodes and order.accelerators % order.nodes):
            return f"{order.accelerators} accelerators do not divide over {order.nodes or 1} nodes"
        return ""

    def _hand_over(self, order: WorkOrder) -> Handed:
        script = _deafened(order.script, self._settings.signal)
        tag = write_tag(self._tag(order))
        environment = {"GIGAFACTORY_KEY": order.key}
        if self._settings.checkpoint_folder:
            environment["GIGAFACTORY_CHECKPOINTS"] = self._settings.checkpoint_folder
        if self._rest is not None:
            return self._rest.submit(order, script, tag, environment)
        answer = self._commands.run(
            self._sbatch(order, tag),
            self._settings.write_limit_s,
            stdin=script,
            environment=environment,
        )
        if answer.exit_code is None:
            return Handed("", answer.trouble, lost=True)
        job = answer.out.strip().partition(";")[0]
        if answer.exit_code == 0 and job.isdigit():
            return Handed(job)
        said = answer.err.strip().splitlines()
        why = said[-1].removeprefix("sbatch: error: ") if said else "sbatch said nothing"
        return Handed("", why, lost=_unheard(answer.err))

    def _tag(self, order: WorkOrder) -> Tag:
        return Tag(
            key=order.key,
            tenant=order.tenant,
            job_class=order.job_class,
            priority=order.priority,
            accelerators=order.accelerators,
            nodes=order.nodes,
            accelerators_min=order.accelerators_min,
            walltime_s=order.walltime_s,
            pool=order.pool,
            submit_s=self._clock.now_ns() // NS_PER_S,
        )

    def _sbatch(self, order: WorkOrder, tag: str) -> list[str]:
        settings = self._settings
        nodes = max(1, order.nodes)
        argv = [
            *("sbatch", "--parsable", "--hold", "--requeue", "--open-mode=append"),
            f"--job-name={order.name or order.key}",
            f"--comment={tag}",
            f"--partition={settings.partitions[order.pool]}",
            f"--nodes={nodes}",
            f"--gres={settings.gres}:{order.accelerators // nodes}",
            f"--time={max(1, math.ceil(order.walltime_s / 60.0))}",
            f"--output={settings.output}",
            f"--chdir={settings.work_folder}",
        ]
        power_kw = job_power_kw(order.accelerators, order.pool, settings)
        if power_kw:
            argv.append(f"--licenses={settings.licence}:{power_kw}")
        if settings.qos:
            argv.append(f"--qos={settings.qos}")
        if settings.account:
            argv.append(f"--account={settings.account}")
        return argv


def _receipt(order: WorkOrder, handed: Handed) -> Receipt:
    if handed.job:
        return Receipt(order.key, Outcome.ACCEPTED, handed.job)
    return Receipt(order.key, Outcome.UNKNOWN if handed.lost else Outcome.REFUSED, handed.why)


def _unheard(said: str) -> bool:
    """Whether a failure leaves open what the controller did: it may have taken the job."""
    return any(
        words in said
        for words in ("Socket timed out", "Unable to contact", "Zero Bytes", "Connection")
    )


def _deafened(script: str, signal: str) -> str:
    first, _, rest = script.partition("\n")
    shell = first.split("/")[-1].split()
    names = {word for word in shell if not word.startswith("-")}
    if not names & {"sh", "bash", "dash", "ksh", "zsh"}:
        return script
    return f"{first}\n{_DEAF.format(signal=signal)}{rest}"
