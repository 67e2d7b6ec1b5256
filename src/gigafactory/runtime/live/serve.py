"""The service's processes: started, watched, started again, stopped.

::

    supervisor  (gigafactory serve FACTORY --settings FILE)
      controller                         always
      books                              where it is live: receipts
      api                                where the settings have a block `api`
      feeds                              where they have a block `feeds`
      one per channel                    where its kind has a gateway (`GATEWAYS`)

Every child is the same command with `--only NAME`. A child that ends is started again after a pause
that doubles up to half a minute, and is short again once a child has lived for a minute; one that
says its input is bad (exit code 2) three times in a row ends the service, since no restart mends a
settings file. A controller whose loop stands still is killed (`pulse`), for a leader that hangs
keeps its lease. SIGTERM and SIGINT are handed on; what has not ended then is killed. Children die
with their supervisor: each watches the pipe it was given.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gigafactory.engine.clock import Stopwatch
from gigafactory.engine.errors import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_OK, refuse
from gigafactory.runtime.live.pulse import Ear, end_hung
from gigafactory.runtime.live.settings import ChannelSettings, Settings

_LOG = logging.getLogger("gigafactory.serve")

CONTROLLER: Final = "controller"
API: Final = "api"
FEEDS: Final = "feeds"
BOOKS: Final = "books"
#: Names a channel may not have.
RESERVED: Final = frozenset({CONTROLLER, API, FEEDS, BOOKS})

_BACKOFF_S: Final = (0.5, 30.0)
_LIVED_S: Final = 60.0
_BAD_INPUT_TIMES: Final = 3
_STOP_S: Final = 15.0
#: The descriptor by which a child sees that its supervisor is gone, as the environment names it.
_LIFELINE: Final = "GIGAFACTORY_SERVE_LIFELINE"

Runner = Callable[[str, ChannelSettings, str, Any, threading.Event], None]


# --- gateways ------------------------------------------------------------------------------------


def _run_uftp(
    name: str, channel: ChannelSettings, where: str, store: Any, stop: threading.Event
) -> None:
    from gigafactory.adapters.uftp.process import run
    from gigafactory.adapters.uftp.settings import (
        UftpSettings,
    )
    from gigafactory.engine.errors import BadInput
    from gigafactory.factory.reading import Document
    from gigafactory.factory.validating import validate

    document = Document(f"{where}: channels.{name}.options", dict(channel.options))
    found, problems, _ = validate(document, UftpSettings)
    if problems or found is None:
        raise BadInput(problems)
    run(found, store, stop)


def _run_channel(
    name: str, channel: ChannelSettings, where: str, store: Any, stop: threading.Event
) -> None:
    from gigafactory.adapters.channels.running import channel_settings, run

    if len(channel.points) != 1:
        why = "a gateway speaks about one connection"
        raise refuse(where, f"channels.{name}.points", ", ".join(channel.points), why)
    settings = channel_settings(name, channel.kind, channel.points[0], channel.options, where)
    run(settings, store, stop)


#: What runs each kind of channel; a kind that is not here has no process of its own.
GATEWAYS: Final[dict[str, Runner]] = {
    "uftp": _run_uftp,
    "mqtt": _run_channel,
    "openadr": _run_channel,
    "iec104": _run_channel,
}


def children_of(settings: Settings) -> tuple[str, ...]:
    """Names of the processes that settings ask for."""
    names = [CONTROLLER]
    if settings.environment == "live":
        names.append(BOOKS)
    if settings.api:
        names.append(API)
    if settings.feeds:
        names.append(FEEDS)
    names += [n for n, c in settings.channels.items() if c.kind in GATEWAYS]
    return tuple(names)


def run_gateway(name: str, settings: Settings, path: Path, stop: threading.Event) -> None:
    """Run one channel until told to stop.

    Args:
        name: of the channel.
        settings: of the service.
        path: their file, for problems, and the folder that paths start from.
        stop: set from outside to end it.

    Raises:
        BadInput: its settings cannot be used.
        StoreTrouble: the store is away.
    """
    from gigafactory.adapters.store import Store

    channel = settings.channels[name]
    store = Store.open(settings.store.full_url(path.parent))
    try:
        GATEWAYS[channel.kind](name, channel, str(path), store, stop)
    finally:
        store.close()


def run_bookkeeper(settings: Settings, path: Path, stop: threading.Event) -> None:
    """Make receipts until told to stop.

    Args:
        settings: of the service.
        path: their file, for the folder that paths start from.
        stop: set from outside to end it.

    Raises:
        StoreTrouble: the store is away.
    """
    from gigafactory.adapters.store import Store
    from gigafactory.runtime.live.bookkeeping import run_books

    store = Store.open(settings.store.full_url(path.parent))
    try:
        run_books(path.parent / settings.state / settings.environment, store, stop)
    finally:
        store.close()


def run_feeder(factory: str, settings: Settings, path: Path, stop: threading.Event) -> None:
    """Fetch prices and weather until told to stop.

    Args:
        factory: a bundled name or a path.
        settings: of the service.
        path: their file; caches are counted from its folder.
        stop: set from outside to end it.

    Raises:
        BadInput: a key or a library is missing.
        StoreTrouble: the store is away.
    """
    from gigafactory.adapters.store import Store
    from gigafactory.factory.loading import load_factory
    from gigafactory.runtime.live.feeding import run_feeds

    zone = next(iter(load_factory(factory).sites.values())).timezone
    store = Store.open(settings.store.full_url(path.parent))
    try:
        run_feeds(settings.feeds, zone, path.parent, store, stop)
    finally:
        store.close()


# --- a child -------------------------------------------------------------------------------------


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM, SIGINT or the end of the supervisor sets."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    line = os.environ.get(_LIFELINE)
    if line is not None:
        threading.Thread(target=_watch, args=(int(line), stop), daemon=True).start()
    return stop


def end_with_supervisor() -> None:
    """For a process that hears signals itself: it is told to end when its supervisor is gone."""
    line = os.environ.get(_LIFELINE)
    if line is None:
        return

    def follow() -> None:
        _watch(int(line), threading.Event())
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, daemon=True).start()


def _watch(line: int, stop: threading.Event) -> None:
    """Wait until the other end of the pipe closes: the supervisor is gone."""
    try:
        while os.read(line, 1):
            pass
    except OSError:
        pass
    stop.set()


# --- the supervisor ------------------------------------------------------------------------------


@dataclass(slots=True)
class _Child:
    name: str
    process: subprocess.Popen[bytes] | None = None
    lived: Stopwatch = field(default_factory=Stopwatch)
    pause_s: float = _BACKOFF_S[0]
    due_s: float = 0.0
    bad_inputs: int = 0
    starts: int = 0
    ear: Ear | None = None


class Supervisor:
    """Keeps the children of the service alive.

    Args:
        command: how a child is started; its name is put behind `--only`.
        names: of the children.
        hung_s: by child, how long it may go without a sign of life; those not named give none.
    """

    def __init__(
        self,
        command: Sequence[str],
        names: Sequence[str],
        hung_s: Mapping[str, float] | None = None,
    ) -> None:
        self._command = tuple(command)
        ears = {name: Ear(limit_s) for name, limit_s in (hung_s or {}).items()}
        self._children = [_Child(name, ear=ears.get(name)) for name in names]
        self._clock = Stopwatch()
        self._read, self._write = os.pipe()

    def run(self, stop: threading.Event) -> int:
        """Until told to stop; the exit code."""
        code = EXIT_OK
        try:
            while not stop.is_set():
                for child in self._children:
                    self._keep(child)
                if any(c.bad_inputs >= _BAD_INPUT_TIMES for c in self._children):
                    code = EXIT_BAD_INPUT
                    break
                stop.wait(0.2)
        finally:
            clean = self._stop()
            os.close(self._read)
            os.close(self._write)
        return code if clean or code else EXIT_FAILED

    def pids(self) -> dict[str, int]:
        """Process numbers of the children that run."""
        return {
            c.name: c.process.pid
            for c in self._children
            if c.process is not None and c.process.poll() is None
        }

    def _keep(self, child: _Child) -> None:
        """Start a child that does not run and whose pause is over."""
        if child.process is not None:
            if child.ear is not None and child.process.poll() is None and child.ear.hung():
                told = {"child": child.name, "pid": child.process.pid}
                _LOG.error("a process hangs and is killed", extra={"fields": told})
                end_hung(child.process)
            code = child.process.poll()
            if code is None:
                return
            child.process = None
            child.bad_inputs = child.bad_inputs + 1 if code == EXIT_BAD_INPUT else 0
            if child.lived.elapsed_s() > _LIVED_S:
                child.pause_s = _BACKOFF_S[0]
            child.due_s = self._clock.elapsed_s() + child.pause_s
            told = {"child": child.name, "code": code, "again_in_s": child.pause_s}
            _LOG.warning("a process has ended", extra={"fields": told})
            child.pause_s = min(child.pause_s * 2.0, _BACKOFF_S[1])
        if self._clock.elapsed_s() < child.due_s:
            return
        command = [*self._command, "--only", child.name]
        env = {**os.environ, _LIFELINE: str(self._read)}
        if child.ear is not None:
            child.process = child.ear.spawn(command, env, (self._read,))
        else:
            child.process = subprocess.Popen(  # noqa: S603  (our own command)
                command, env=env, pass_fds=(self._read,), start_new_session=True
            )
        child.lived, child.starts = Stopwatch(), child.starts + 1
        told = {"child": child.name, "pid": child.process.pid, "start": child.starts}
        _LOG.info("a process is started", extra={"fields": told})

    def _stop(self) -> bool:
        """Hand the stop on and wait; whether all ended by themselves."""
        running = [c for c in self._children if c.process is not None and c.process.poll() is None]
        for child in running:
            if child.process is not None:
                child.process.send_signal(signal.SIGTERM)
        clean, waited = True, Stopwatch()
        for child in running:
            if child.process is None:
                continue
            try:
                child.process.wait(max(_STOP_S - waited.elapsed_s(), 0.1))
            except subprocess.TimeoutExpired:
                _LOG.error("a process is killed", extra={"fields": {"child": child.name}})
                child.process.kill()
                child.process.wait()
                clean = False
        return clean


def supervise(factory: str, path: Path, settings: Settings) -> int:
    """Run the whole service until told to stop; the exit code."""
    command = [sys.executable, "-m", "gigafactory", "serve", factory, "--settings", str(path)]
    stop = stop_on_signals()
    hung = {CONTROLLER: settings.hung_s}
    return Supervisor(command, children_of(settings), hung).run(stop)
