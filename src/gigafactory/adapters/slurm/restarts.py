"""Slurm's controller was started: its nodes are asked what they run before anything new starts.

A controller that was killed goes back to the state it wrote last. Its nodes go on meanwhile, and
tell it what they run only when they register: on their own once in twenty pings, half an hour with
Slurm's defaults. Until then a start that it forgot is a process nobody knows, and starting the job
again makes two of it; and an end that it forgot holds accelerators on which nothing runs.

`scontrol reconfigure` makes every node register at once. It is told as soon as a start of the
controller is noticed, which ends the processes nobody knows, and once more when the controller
misses jobs on their nodes. Nothing is released until the first has taken effect.
"""

from __future__ import annotations

import logging
import re
from typing import Final

from gigafactory.adapters.slurm.command import Commands
from gigafactory.adapters.slurm.settings import SlurmSettings
from gigafactory.units import NS_PER_S

_LOG = logging.getLogger("gigafactory.slurm")
_LINE: Final = re.compile(
    r"^(Configuration data as of|BOOT_TIME|BatchStartTimeout|MessageTimeout|SlurmdTimeout)"
    r"\s*=?\s*(\d+)", re.MULTILINE,
)  # fmt: skip
_BOOT: Final = "BOOT_TIME"
_NOW: Final = "Configuration data as of"
_PINGS: Final = 20  # of which each node registers at one
_REGISTERS_S: Final = 5.0
WHY: Final = "Slurm's controller was started a moment ago: its nodes are asked what they run first"


class Restarts:
    """Follows when Slurm's controller was started.

    Args:
        settings: the site's.
        commands: runs Slurm's commands.
    """

    def __init__(self, settings: SlurmSettings, commands: Commands) -> None:
        self._settings, self._commands = settings, commands
        self._boot_s = -1
        self._due_ns: list[int] = []
        self._until_ns = 0
        self._registered_ns = 0
        self._own = False  # whether a start that is noticed next comes from what we asked

    def turn(self, now_ns: int) -> bool:
        """Look, and ask the nodes where that is due; whether work may be let go on now.

        Args:
            now_ns: the present instant, ns UTC.
        """
        told = self._config()
        if told is None:  # it does not answer, so nothing is let go on now whatever is said here
            return now_ns >= self._until_ns
        if told[_BOOT] != self._boot_s and not self._own:
            self._started(told, now_ns)
        self._boot_s, self._own = told[_BOOT], False
        if self._due_ns and self._due_ns[0] <= now_ns:
            self._ask(now_ns)
        return now_ns >= self._until_ns

    def _config(self) -> dict[str, int] | None:
        shown = self._commands.run(["scontrol", "show", "config"], self._settings.read_limit_s)
        told = {name: int(number) for name, number in _LINE.findall(shown.out)}
        return told if {_BOOT, _NOW} <= set(told) else None

    def _started(self, told: dict[str, int], now_ns: int) -> None:
        age_s = max(told[_NOW] - told[_BOOT], 0)
        self._registered_ns = now_ns + int(
            (_PINGS * told.get("SlurmdTimeout", 300) / 3 - age_s) * NS_PER_S
        )
        self._due_ns = []
        if self._boot_s < 0 and self._registered_ns < now_ns:
            return  # every node has registered since
        if not self._settings.reconfigure:
            self._until_ns = self._registered_ns
            return
        misses_s = told.get("BatchStartTimeout", 10) + told.get("MessageTimeout", 10)
        later_s = max(misses_s + _REGISTERS_S - age_s, 0.0)
        self._due_ns = [now_ns, now_ns + int(later_s * NS_PER_S)]
        self._until_ns = now_ns + int(self._settings.register_s * NS_PER_S)

    def _ask(self, now_ns: int) -> None:
        answer = self._commands.run(["scontrol", "reconfigure"], self._settings.write_limit_s)
        if answer.exit_code == 0:
            self._due_ns = [at for at in self._due_ns if at > now_ns]
            # From 23.11 on Slurm's controller starts anew for it, with the state it had.
            told = self._config()
            self._boot_s, self._own = (told[_BOOT], False) if told else (self._boot_s, True)
        elif answer.exit_code is None:  # asked again at the next turn
            self._until_ns = max(self._until_ns, now_ns + int(self._settings.register_s * NS_PER_S))
        else:  # we may not: the nodes register by themselves, in time
            _LOG.warning("scontrol reconfigure is refused: %s", " ".join(answer.err.split()))
            self._due_ns = []
            self._until_ns = max(self._until_ns, self._registered_ns)
