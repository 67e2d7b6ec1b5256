"""A full disk under a running controller: that of the journal, and that of the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from gigafactory.adapters.store.records import WorkState
from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.parts import DISK_FULL, STORE_AWAY
from tests.live.rig import World, fill, small_disk, wait
from tests.runtime.live.test_serve import command, process, until, written


@pytest.mark.slow
def test_on_a_full_disk_power_is_only_taken_away_and_nothing_is_missing_later(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    with (
        small_disk(tmp_path / "journals", 512) as disk,
        small_disk(tmp_path / "base", 2048) as base,
    ):
        factory, settings = written(
            tmp_path, state="journals/state", store={"url": "sqlite:///base/store.db"}
        )
        world = World(factory, settings)
        for i in range(8):
            world.ask(f"w{i}", 600.0)
        with process(command(factory, settings, "--only", "controller"), log) as child:
            world.leads(child, log)
            until(lambda: world.share() == 1.0, 30.0, "work did not start")
            _journal_full(world, disk)
            _store_full(world, base)
            assert child.poll() is None, log.read_text()[-2000:]
            child.terminate()
            assert child.wait(20) == 0
        assert log.read_text().count('"fallback": "disk_full"') == 2
        world.accounted()
        told = world.troubles()
        for fallback in (DISK_FULL, STORE_AWAY):
            assert (fallback, True) in told
            assert told.count((fallback, True)) == told.count((fallback, False)), told
        world.store.close()


def _journal_full(world: World, disk: Path) -> None:
    ballast = fill(disk)
    until(lambda: DISK_FULL in world.open_alarms(), 10.0, "no alarm")
    full_w = world.twin.power_w("pool00")
    late = world.ask("late", 600.0)
    world.limit("cut", 0.5 * full_w * 1.1 / 1e6, 600.0)
    until(lambda: world.twin.power_w("pool00") <= 0.5 * full_w, 15.0, "the limit is broken")
    row = world.store.work(late)
    assert row is not None
    assert row.state is WorkState.ASKED, "nothing new is taken up"
    ballast.unlink()
    until(lambda: DISK_FULL not in world.open_alarms(), 10.0, "the alarm stays")
    until(lambda: "late" not in _asked(world), 10.0, "what waited is not taken up")
    pauses = [c for _, f in world.rows() if isinstance(f, live.IntentTold) for c in f.commands
              if c.action == "pause"]  # fmt: skip
    assert pauses, "what was done without a disk is written down"


def _store_full(world: World, base: Path) -> None:
    ballast = fill(base)
    wait(3.0)
    assert world.share() <= 0.5, "the last known orders hold"
    ballast.unlink()
    until(lambda: STORE_AWAY in world.past_alarms(), 15.0, "nobody is told of it afterwards")
    until(lambda: STORE_AWAY not in world.open_alarms(), 10.0, "the alarm stays")


def _asked(world: World) -> set[str]:
    return {w.idempotency_key for w in world.store.list_work() if w.state is WorkState.ASKED}
