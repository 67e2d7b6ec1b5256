"""A controller's sign of life, and what is done without one.

A leader that hangs keeps its lease, and nobody takes over. So the controller says after every turn
that it has turned: to its supervisor, which kills it when that word fails to come, and to a thread
of its own, which ends the process where no supervisor stands over it. The word does not go by the
store: a controller that works on while the store is away is none that hangs.

Until the first turn a longer patience holds, because the scheduler's kernel may have to be compiled
first. A standby that waits is alive as well. What stops the whole process (SIGSTOP, a frozen
machine) only a supervisor sees.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gigafactory.adapters.store import Store, StoreTrouble
from gigafactory.engine.clock import Stopwatch, WallClock
from gigafactory.engine.errors import EXIT_FAILED
from gigafactory.units import NS_PER_S

#: The descriptor a child gives its signs of life to, as the environment names it.
LINE: Final = "GIGAFACTORY_SERVE_PULSE"
#: Longest from one start to the first turn.
START_S: Final = 600.0
_STARTS, _TURNS = b"s", b"t"


class Pulse:
    """The child's side.

    Args:
        hung_s: longest from one turn to the next.
        start_s: longest from a start to the first turn.
    """

    def __init__(self, hung_s: float, start_s: float = START_S) -> None:
        told = os.environ.get(LINE)
        self._line = int(told) if told else None
        self._hung_s, self._start_s = hung_s, start_s
        self._patience_s, self._since = start_s, Stopwatch()
        self._over = threading.Event()

    def starts(self) -> None:
        """A start begins: it may take long until the first turn."""
        self._patience_s = self._start_s
        self._say(_STARTS)

    def beats(self) -> None:
        """The loop has turned, or waits to lead."""
        self._patience_s = self._hung_s
        self._say(_TURNS)

    def watch(self) -> None:
        """Let a thread end this process once it hangs, until `ends`."""
        threading.Thread(target=self._watching, daemon=True).start()

    def ends(self) -> None:
        """The loop is over: silence means nothing any more."""
        self._over.set()

    def _say(self, word: bytes) -> None:
        self._since = Stopwatch()
        if self._line is not None:
            try:
                os.write(self._line, word)
            except OSError:  # nobody listens any more, or it is full: a supervisor that hangs
                self._line = None

    def _watching(self) -> None:
        while self._since.elapsed_s() <= self._patience_s:
            if self._over.wait(min(self._hung_s / 4.0, 1.0)):
                return
        os._exit(EXIT_FAILED)  # whatever hangs may also hold up an orderly end


@dataclass(slots=True)
class Ear:
    """The supervisor's side, for one child.

    Attributes:
        hung_s: longest from one turn to the next.
        start_s: longest from a start to the first turn.
    """

    hung_s: float
    start_s: float = START_S
    _read: int = -1
    _heard: Stopwatch = field(default_factory=Stopwatch)
    _turned: bool = False

    def spawn(
        self, command: list[str], env: Mapping[str, str], fds: tuple[int, ...]
    ) -> subprocess.Popen[bytes]:
        """Start the child with a line to speak on."""
        self.close()
        self._read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return subprocess.Popen(  # noqa: S603  (our own command)
                command,
                env={**env, LINE: str(write)},
                pass_fds=(*fds, write),
                start_new_session=True,
            )
        finally:
            os.close(write)
            self._heard, self._turned = Stopwatch(), False

    def hung(self) -> bool:
        """Whether the child has been silent for too long."""
        try:
            while said := os.read(self._read, 4096):
                self._heard, self._turned = Stopwatch(), said.endswith(_TURNS)
        except OSError:  # nothing more was said
            pass
        return self._heard.elapsed_s() > (self.hung_s if self._turned else self.start_s)

    def close(self) -> None:
        """Let go of the line."""
        if self._read >= 0:
            os.close(self._read)
        self._read = -1


def end_hung(process: subprocess.Popen[bytes]) -> None:
    """Kill a child that hangs, with whatever it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def unhealthy(url: str, stale_s: float, now_ns: int | None = None) -> str:
    """Why the service is not well, as the store shows it; empty when it is.

    Args:
        url: of the store, its password included.
        stale_s: the controller's word counts for so long.
        now_ns: the present instant; the wall's where not given.
    """
    now_ns = WallClock().now_ns() if now_ns is None else now_ns
    try:
        store = Store.open(url)
        try:
            said = store.published("status")
        finally:
            store.close()
    except StoreTrouble as trouble:
        return f"the store cannot be reached: {trouble.why}"
    if said is None:
        return "no controller has said anything yet"
    age_s = (now_ns - said[0]) / NS_PER_S
    return f"the controller has said nothing for {age_s:.0f} s" if age_s > stale_s else ""
