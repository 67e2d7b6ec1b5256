"""Telling Slurm: one `scontrol` for all lines of a plan, one `scancel` for signals and ends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from gigafactory.adapters.slurm.actions import Plan
from gigafactory.adapters.slurm.command import Answer, Commands
from gigafactory.adapters.slurm.settings import SlurmSettings
from gigafactory.engine.clock import Stopwatch

_OF_JOB = re.compile(
    r"^(?:\w+: )?(?:error: )?(?P<why>.*?)(?: (?:for|on) job(?: id)? (?P<a>\d+)(?P<rest>.*))$"
)


@dataclass(frozen=True, slots=True)
class Told:
    """What came of telling.

    Attributes:
        errors: what Slurm said against it, by job.
        trouble: why no answer came; empty when one did.
    """

    errors: dict[str, str] = field(default_factory=dict)
    trouble: str = ""


def tell(made: Plan, settings: SlurmSettings, commands: Commands) -> Told:
    """Carry a plan out. What broke off is seen by the next look."""
    errors: dict[str, str] = {}
    answers: list[Answer] = []
    limit_s = settings.write_limit_s
    if made.lines:
        answers.append(commands.run(["scontrol"], limit_s, stdin="\n".join([*made.lines, ""])))
    if made.signals and not _lost(answers):
        argv = ["scancel", f"--signal={settings.signal}", "--batch"]
        answers += _listed(argv, made.signals, settings, commands)
    if made.cancels and not _lost(answers):
        answers += _listed(["scancel"], made.cancels, settings, commands)
    for answer in answers:
        for line in answer.err.splitlines():
            found = _OF_JOB.match(line)
            if found:
                errors[found["a"]] = (found["why"] + found["rest"]).strip()
    return Told(errors, _lost(answers))


def _listed(
    argv: list[str], jobs: Sequence[str], settings: SlurmSettings, commands: Commands
) -> list[Answer]:
    answers: list[Answer] = []
    for i in range(0, len(jobs), settings.chunk_jobs):
        chunk = jobs[i : i + settings.chunk_jobs]
        answers.append(commands.run([*argv, *chunk], settings.write_limit_s))
        if answers[-1].trouble:
            break
    return answers


def _lost(answers: Sequence[Answer]) -> str:
    return next((answer.trouble for answer in answers if answer.trouble), "")


class Bucket:
    """Holds the rate of changes: so many per second on the long run, so many at once.

    Args:
        jobs_per_s: jobs changed per second on the long run.
        burst_jobs: jobs that may be changed at once after a quiet time.
    """

    def __init__(self, jobs_per_s: float, burst_jobs: float) -> None:
        self._rate, self._burst = jobs_per_s, burst_jobs
        self._left = burst_jobs
        self._watch = Stopwatch()

    def take(self, jobs: int) -> bool:
        """Take room for so many changes; False, and nothing taken, where there is none.

        More than the burst at once are let through when the bucket is full, and owed.
        """
        self._left = min(self._burst, self._left + self._watch.elapsed_s() * self._rate)
        self._watch = Stopwatch()
        if self._left < min(jobs, self._burst):
            return False
        self._left -= jobs
        return True
