"""The service as processes in a troubled world: what the tests of trouble share."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.daybook import JOURNAL, day_path, days_in, live_frames
from gigafactory.runtime.live.days import verify
from tests.runtime.live.bench import check_journal
from tests.runtime.live.test_serve import Outside, until


class World(Outside):
    """What a test sees from outside, with alarms, troubles and the proof of the accounts."""

    def __init__(self, factory: Path, settings: Path) -> None:
        super().__init__(factory, settings)
        self.factory = factory

    @property
    def live(self) -> Path:
        """The folder of the environment."""
        return self.folder / self.settings.state / "live"

    def pid(self) -> int:
        """Of the controller that spoke last; 0 where none did."""
        status = self.store.published("status")
        return int(status[1]["controller"].rpartition(":")[2]) if status else 0

    def leads(self, child: subprocess.Popen[bytes], log: Path, seconds: float = 60.0) -> None:
        """Wait until a process is the controller that speaks."""
        until(lambda: self.pid() == child.pid, seconds, f"did not lead: {log.read_text()[-2000:]}")

    def open_alarms(self) -> set[str]:
        return {row.kind for row in self.store.alarms()}

    def past_alarms(self) -> set[str]:
        """Kinds of alarms that were raised and are cleared."""
        rows = self.store.alarms(open_only=False)
        return {row.kind for row in rows if row.cleared_ns is not None}

    def share(self) -> float:
        """Part of the accelerators at work."""
        return len([v for v in self.twin.observe().jobs if v.phase == "running"]) / 8

    def rows(self) -> list[tuple[int, live.LiveFrame]]:
        """All frames of all days, with their instants."""
        return [row for day in days_in(self.live) for row in live_frames(day_path(self.live, day))]

    def troubles(self) -> list[tuple[str, bool]]:
        """Fallbacks entered and left, as the journal says."""
        return [(f.fallback, f.entered) for _, f in self.rows() if isinstance(f, live.TroubleTold)]

    def accounted(self) -> None:
        """The journal keeps its rules, instants never fall, and the day's accounts close."""
        found = [(d, at, f) for d in days_in(self.live)
                 for at, f in live_frames(day_path(self.live, d))]  # fmt: skip
        check_journal(found)
        shutil.copy(self.factory, self.live / "factory.yaml")  # where it is looked for
        for path in sorted(self.live.glob(f"days/*/{JOURNAL}")):
            problems, proved = verify(path.parent)
            assert not problems, problems
            assert proved["periods"] >= 0


def needs_root() -> None:
    """Skip where the world cannot be changed."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it mounts file systems and cuts networks")


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


def refused(why: str) -> None:
    """Something the machine does not let us do: a skip with its reason."""
    pytest.skip(f"this machine does not allow it: {why}")


@contextlib.contextmanager
def small_disk(folder: Path, size_kb: int) -> Iterator[Path]:
    """A file system of its own on a folder."""
    needs_root()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run("mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(folder))
    except (RuntimeError, OSError) as error:
        refused(str(error))
    try:
        yield folder
    finally:
        run("umount", "-l", str(folder))


def fill(folder: Path) -> Path:
    """Fill a file system with somebody else's file, to the last byte."""
    path = folder / "ballast"
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size) == size:
                    pass
    return path


def wait(seconds: float) -> None:
    time.sleep(seconds)


def host_name() -> str:
    """A name for another host that no other run has."""
    return f"gf{os.getpid() % 10_000_000}"


class Host:
    """Another host: a network namespace with links to this one that can be cut.

    Args:
        name: at most nine letters and digits.
        links: how many ways lead to it; its addresses are 10.x.link.2, ours 10.x.link.1, where x
            follows from our process, so that two runs at once do not meet.
    """

    def __init__(self, name: str, links: int) -> None:
        self.name, self.links, self.net = name, links, 100 + os.getpid() % 150

    def __enter__(self) -> Host:
        needs_root()
        try:
            run("ip", "netns", "add", self.name)
        except (RuntimeError, OSError) as error:
            refused(str(error))
        try:
            self._inside("lo", "127.0.0.1/8")
            for link in range(self.links):
                ours, theirs = f"{self.name}-{link}", f"{self.name}e{link}"
                run("ip", "link", "add", ours, "type", "veth", "peer", "name", theirs)
                run("ip", "link", "set", theirs, "netns", self.name)
                run("ip", "addr", "add", f"10.{self.net}.{link}.1/24", "dev", ours)
                run("ip", "link", "set", ours, "up")
                self._inside(theirs, f"{self.address(link)}/24")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        run("ip", "netns", "del", self.name)  # and with it both ends of its links

    def _inside(self, device: str, address: str) -> None:
        if device != "lo":
            run("ip", "-n", self.name, "addr", "add", address, "dev", device)
        run("ip", "-n", self.name, "link", "set", device, "up")

    def address(self, link: int) -> str:
        """Its address over a link."""
        return f"10.{self.net}.{link}.2"

    def cut(self, link: int) -> None:
        """Cut a link at its end: what is sent goes nowhere, and nobody is told."""
        run("ip", "-n", self.name, "link", "set", f"{self.name}e{link}", "down")

    def mend(self, link: int) -> None:
        """Bring a link up again."""
        run("ip", "-n", self.name, "link", "set", f"{self.name}e{link}", "up")
