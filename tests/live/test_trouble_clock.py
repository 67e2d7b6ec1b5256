"""The system's time is set by an hour under a running controller: forward, back, and at a start."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.parts import CLOCK_JUMP
from tests.conftest import missing
from tests.live.rig import World, wait
from tests.runtime.live.test_serve import command, until, written

_LIBRARY = "faketime/libfaketimeMT.so.1"


def _library() -> str:
    for folder in sorted(Path("/usr/lib").glob("*-linux-gnu")):
        if (folder / _LIBRARY).is_file():
            return str(folder / _LIBRARY)
    return ""


@contextmanager
def _dated(args: list[str], offset: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose wall clock is off by what a file says, read at every look at the clock."""
    environment = {
        **os.environ,
        "LD_PRELOAD": _library(),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    with log.open("ab") as file:
        found = subprocess.Popen(args, stdout=file, stderr=file, env=environment)
        try:
            yield found
        finally:
            found.kill()
            found.wait()


def _set(offset: Path, text: str) -> None:
    new = offset.with_suffix(".new")
    new.write_text(f"{text}\n")
    new.replace(offset)


@pytest.mark.slow
def test_when_the_systems_time_jumps_orders_hold_and_time_never_falls(tmp_path: Path) -> None:
    missing("" if shutil.which("faketime") and _library() else "the package faketime is missing")
    factory, settings = written(tmp_path)
    offset, log = tmp_path / "offset", tmp_path / "log"
    _set(offset, "+0")
    world = World(factory, settings)
    for i in range(8):
        world.ask(f"w{i}", 900.0)
    only = command(factory, settings, "--only", "controller")
    with _dated(only, offset, log) as child:
        world.leads(child, log)
        until(lambda: world.share() == 1.0, 30.0, "work did not start")
        full_mw = world.twin.power_w("pool00") * 1.1 / 1e6
        world.limit("now", 0.6 * full_mw, 1800.0)
        until(lambda: world.share() <= 0.6, 15.0, "the first limit is broken")
        for text, key, share in (("+1h", "while ahead", 0.4), ("-1h", "while behind", 0.25)):
            _set(offset, text)
            until(lambda: CLOCK_JUMP in world.open_alarms(), 10.0, f"no alarm at {text}")
            wait(1.0)
            assert world.share() <= 0.6, "an order that holds does not end by a jump"
            world.limit(key, (share + 0.02) * full_mw, 1800.0)
            until(lambda s=share: world.share() <= s, 15.0, f"a new order is not taken at {text}")  # type: ignore[misc]
            _set(offset, "+0")
            until(lambda: CLOCK_JUMP not in world.open_alarms(), 10.0, "the alarm stays")
        _set(offset, "-1h")
        child.kill()
        child.wait()
    with _dated(only, offset, log) as child:
        world.leads(child, log)
        status = world.store.published("status")
        assert status is not None
        until(lambda: CLOCK_JUMP in world.open_alarms(), 10.0, "no alarm after the start")
        assert world.share() <= 0.25, "orders hold over a start with the wrong time"
        child.terminate()
        assert child.wait(20) == 0
    at = [row[0] for row in world.rows()]
    assert all(a <= b for a, b in pairwise(at)), "instants of the journal fell"
    assert at[-1] - at[0] < 300 * 10**9, "an hour came into the journal"
    spans = [f.to_ns - f.from_ns for _, f in world.rows() if isinstance(f, live.Metered)]
    assert all(0 < span < 60 * 10**9 for span in spans), "time stood still or jumped"
    world.accounted()
    world.store.close()
