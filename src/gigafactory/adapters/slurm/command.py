"""Slurm's commands under a time limit.

A hung controller makes one of them hang for half a minute, so each runs in a process group of its
own, which is killed when its time is over.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gigafactory.adapters.slurm.settings import SlurmSettings
from gigafactory.engine.clock import Stopwatch


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said.

    Attributes:
        out: its standard output.
        err: its standard error.
        exit_code: of it; None where no answer came in time or it could not be started.
        trouble: why no answer came; empty when one did.
    """

    out: str
    err: str
    exit_code: int | None
    trouble: str = ""


class Commands:
    """Runs Slurm's commands for one cluster.

    Args:
        settings: where the cluster and its commands are.
    """

    def __init__(self, settings: SlurmSettings) -> None:
        self._folder = settings.commands
        # What the controller's own environment holds (secrets among it) is no business of a job.
        self._environment = {
            name: os.environ[name]
            for name in ("PATH", "HOME", "USER", "LOGNAME")
            if name in os.environ
        } | {"LC_ALL": "C.UTF-8", "SLURM_TIME_FORMAT": "%s"}
        if settings.conf:
            self._environment["SLURM_CONF"] = settings.conf

    def run(
        self,
        argv: Sequence[str],
        limit_s: float,
        *,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> Answer:
        """Run one command.

        Args:
            argv: its name and arguments.
            limit_s: how long it may take, s.
            stdin: what it reads.
            environment: names beside those every command gets.
        """
        return self.run_together([argv], limit_s, stdin=stdin, environment=environment)[0]

    def run_together(
        self,
        many: Sequence[Sequence[str]],
        limit_s: float,
        *,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> list[Answer]:
        """Run several commands at the same time, all within one limit; answers in their order."""
        watch = Stopwatch()
        started = [self._start(argv, environment or {}) for argv in many]
        return [
            one
            if isinstance(one, Answer)
            else _finish(argv[0], one, stdin, max(0.001, limit_s - watch.elapsed_s()), limit_s)
            for argv, one in zip(many, started, strict=True)
        ]

    def _start(
        self, argv: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes] | Answer:
        name = str(Path(self._folder, argv[0])) if self._folder else argv[0]
        try:
            return subprocess.Popen(  # noqa: S603  (an argument list; no shell reads it)
                [name, *argv[1:]],
                env=self._environment | dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as trouble:
            return Answer("", "", None, f"{argv[0]} cannot be run: {trouble.strerror}")


def _finish(
    name: str, process: subprocess.Popen[bytes], stdin: str, left_s: float, limit_s: float
) -> Answer:
    try:
        out, err = process.communicate(stdin.encode(), timeout=left_s)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return Answer("", "", None, f"{name} gave no answer within {limit_s:g} s")
    return Answer(out.decode(errors="replace"), err.decode(errors="replace"), process.returncode)
