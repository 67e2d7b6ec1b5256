"""One look at the cluster: jobs, nodes, and what jobs said about their checkpoints."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gigafactory.adapters.slurm.command import Answer, Commands
from gigafactory.adapters.slurm.settings import SlurmSettings
from gigafactory.adapters.slurm.text import (
    NodeRow,
    UnreadableError,
    jobs_command,
    nodes_command,
    read_jobs,
    read_nodes,
)
from gigafactory.adapters.slurm.views import Saved, Sorted, sort_out
from gigafactory.engine.clock import Clock

_ENDING = ".saved"
_SAYS = re.compile(r"ran_s=(\d+(?:\.\d+)?)(?:\s+run_s=(\d+(?:\.\d+)?))?")
_NOTHING = Sorted({}, {}, {}, (), {})


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look found.

    Attributes:
        at_ns: when, ns UTC.
        jobs: sorted out.
        nodes: sorted by name; empty where only jobs were looked at.
        saved: what jobs said about their latest checkpoints, by our key.
        trouble: why nothing was seen; empty when all is well.
    """

    at_ns: int
    jobs: Sorted = _NOTHING
    nodes: Sequence[NodeRow] = ()
    saved: dict[str, Saved] = field(default_factory=dict)
    trouble: str = ""


class Look:
    """Looks at one cluster.

    Args:
        settings: the site's.
        commands: runs Slurm's commands.
        clock: whose time a look carries.
    """

    def __init__(self, settings: SlurmSettings, commands: Commands, clock: Clock) -> None:
        self._settings = settings
        self._commands = commands
        self._clock = clock
        self._saves = _Saves(settings.checkpoint_folder)

    def all(self) -> Looked:
        """Look at jobs and nodes."""
        return self._do(nodes=True)

    def jobs(self) -> Looked:
        """Look at jobs."""
        return self._do(nodes=False)

    def _do(self, *, nodes: bool) -> Looked:
        # Nobody who writes a comment can know the delimiter it will be printed with.
        delimiter = f"~{os.urandom(6).hex()}~"  # random-ok: a fence, it decides nothing
        calls = [jobs_command(delimiter)] + ([nodes_command(delimiter)] if nodes else [])
        answers = self._commands.run_together(calls, self._settings.read_limit_s)
        at_ns = self._clock.now_ns()
        for call, answer in zip(calls, answers, strict=True):
            why = _why_not(call[0], answer)
            if why:
                return Looked(at_ns, trouble=why)
        try:
            rows = read_jobs(answers[0].out, delimiter, self._settings.gres)
            seen = read_nodes(answers[1].out, delimiter, self._settings.gres) if nodes else []
        except UnreadableError as trouble:
            return Looked(at_ns, trouble=str(trouble))
        jobs = sort_out(rows, self._settings)
        return Looked(at_ns, jobs, seen, self._saves.of(jobs.by_key))


def _why_not(name: str, answer: Answer) -> str:
    if answer.exit_code is None:
        return answer.trouble
    if answer.exit_code != 0:
        said = answer.err.strip().splitlines()
        return f"{name} failed: {said[-1] if said else f'exit code {answer.exit_code}'}"
    return ""


class _Saves:
    """Reads what jobs say of their checkpoints; a file that has not changed is not read again."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._known: dict[str, tuple[int, int, Saved]] = {}

    def of(self, keys: Iterable[str]) -> dict[str, Saved]:
        """By key; a job that said nothing, or whose file is away, is left out."""
        if not self._folder:
            return {}
        wanted = set(keys)
        found: dict[str, tuple[int, int, Saved]] = {}
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    key = entry.name.removesuffix(_ENDING)
                    if entry.name.endswith(_ENDING) and key in wanted:
                        known = self._read(entry, self._known.get(key))
                        if known is not None:
                            found[key] = known
        except OSError:
            # The folder is away: what was known stays true, and pauses wait their whole grace.
            found = {key: known for key, known in self._known.items() if key in wanted}
        self._known = found
        return {key: known[2] for key, known in found.items()}

    def _read(
        self, entry: os.DirEntry[str], before: tuple[int, int, Saved] | None
    ) -> tuple[int, int, Saved] | None:
        try:
            status = entry.stat()
            if before is not None and before[:2] == (status.st_mtime_ns, status.st_ino):
                return before
            text = Path(entry.path).read_text(errors="replace")[:200]
        except OSError:
            return None
        said = _SAYS.search(text)
        at_ns = status.st_mtime_ns
        saved = Saved(at_ns, float(said[1]), float(said[2] or 0.0)) if said else Saved(at_ns)
        return at_ns, status.st_ino, saved
