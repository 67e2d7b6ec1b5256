"""Our participant as a process of its own for the tests: told the time by a file, and killed.

It is the product's `run`; only the clock is another one, and where `cut` is given the process kills
itself (SIGKILL) at that event: a write to the store, or before or after a delivery.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from gigafactory.adapters.store import Store
from gigafactory.adapters.uftp.process import Gateway
from gigafactory.adapters.uftp.settings import UftpSettings

WRITES = ("put_message", "note_message", "put_order", "put_offer", "settle_offer")


class FileClock:
    """Real time plus what stands in a file, ns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def now_ns(self) -> int:
        return time.time_ns() + int(self._path.read_text())

    def wait_until(self, _: int) -> int:
        raise AssertionError("the gateway waits for events")


class Cutter:
    """Counts events, and kills the process at one of them."""

    def __init__(self, cut: int, count: Path) -> None:
        self.cut, self.count, self.seen = cut, count, 0
        self.lock = threading.Lock()

    def event(self) -> None:
        with self.lock:
            self.seen += 1
            self.count.write_text(str(self.seen))
            if self.seen == self.cut:
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, owner: Any, name: str, *, after: bool) -> None:
        real = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            self.event()
            result = real(*args, **kwargs)
            if after:
                self.event()
            return result

        setattr(owner, name, watched)


def main(url: str, settings: dict[str, Any], clock: str, cut: int, count: str) -> None:
    """Run until terminated."""
    logging.disable(logging.CRITICAL)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    store = Store.open(url)
    if cut:
        cutter = Cutter(cut, Path(count))
        for name in WRITES:
            cutter.watch(store, name, after=False)
        cutter.watch(httpx.Client, "post", after=True)
    gateway = Gateway(UftpSettings.model_validate(settings), store, FileClock(Path(clock)))
    gateway.run(stop)
    store.close()
