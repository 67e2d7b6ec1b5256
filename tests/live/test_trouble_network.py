"""The network between hosts is cut: a controller without its database, and then two controllers."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from gigafactory.adapters.store.records import WorkState
from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.parts import STORE_AWAY
from gigafactory.testing.postgres import LocalPostgres, available
from gigafactory.units import NS_PER_S
from tests.live.rig import Host, World, missing, needs_root, wait
from tests.runtime.live.test_serve import TICK_S, command, process, until, written

#: From the cut until the standby leads: the server gives the session up after 5 s of silence, the
#: standby asks once a second.
TAKEOVER_S = 20.0
#: The cut-off leader looks who leads before every act: a tick, and what is under way.
STOPS_S = 5.0


def _hosts(folder: Path, pg: LocalPostgres, host: Host) -> list[tuple[Path, Path]]:
    """Factory and settings of two controllers on one cluster, each with its own link and disk."""
    found = []
    for link, name in enumerate(("one", "two")):
        place = folder / name
        place.mkdir()
        url = f"postgresql://postgres@{host.address(link)}:{pg.port}/gf"
        factory, settings = written(place, store={"url": url})
        told = yaml.safe_load(settings.read_text())
        told["managers"]["main"]["state"] = str(folder / "cluster.json")
        settings.write_text(yaml.safe_dump(told))
        found.append((factory, settings))
    return found


@pytest.mark.slow
def test_cut_off_it_goes_on_and_once_a_standby_leads_it_stops(
    tmp_path: Path, proof_dir: Path
) -> None:
    missing(available())
    needs_root()
    number = random.Random(os.getpid()).randrange(1, 250)
    with Host(f"gf{os.getpid() % 10_000_000}", 3, number) as host, LocalPostgres(host.name) as pg:
        pg.make_database("gf")
        (factory, settings), (_, other) = _hosts(tmp_path, pg, host)
        third = tmp_path / "third"
        third.mkdir()
        watching = third / "serve.yaml"
        told = yaml.safe_load(settings.read_text())
        told["store"]["url"] = f"postgresql://postgres@{host.address(2)}:{pg.port}/gf"
        watching.write_text(yaml.safe_dump(told))
        world = World(factory, watching)
        for i in range(8):
            world.ask(f"w{i}", 900.0)
        logs = tmp_path / "one.log", tmp_path / "two.log"
        with process(command(factory, settings, "--only", "controller"), logs[0]) as first:
            world.leads(first, logs[0])
            until(lambda: world.share() == 1.0, 30.0, "work did not start")
            full_mw = world.twin.power_w("pool00") * 1.1 / 1e6
            world.limit("before", 0.77 * full_mw, 900.0)
            until(lambda: world.share() <= 0.75, 15.0, "the first limit is broken")
            _alone(world, host, first.pid)
            with process(command(factory, other, "--only", "controller"), logs[1]) as second:
                until(lambda: "stands by" in logs[1].read_text(), 60.0, "no standby")
                found = _split(world, host, second.pid, full_mw, logs[0])
        one, two = World(factory, settings), World(factory, other)
        _only_one_acted(one, two, found)
        for each in (one, two):
            each.accounted()
            each.store.close()
        world.store.close()
    (proof_dir / "split-brain.json").write_text(json.dumps(found, indent=2))


def _alone(world: World, host: Host, pid: int) -> None:
    """The link is cut and nobody else is there: it goes on, and tells of it afterwards."""
    host.cut(0)
    wait(4.0)
    assert world.share() <= 0.75, "the last known orders hold"
    host.mend(0)
    until(lambda: STORE_AWAY in world.past_alarms(), 20.0, "nobody is told of it")
    until(lambda: world.pid() == pid and STORE_AWAY not in world.open_alarms(), 20.0, "is not back")
    assert WorkState.FAILED not in world.states()


def _split(world: World, host: Host, second: int, full_mw: float, log: Path) -> dict[str, Any]:
    """The leader alone is cut off while a standby is there."""
    cut_ns, begun = world.clock.now_ns(), time.monotonic()
    host.cut(0)
    until(lambda: world.pid() == second, TAKEOVER_S, "the standby did not take over")
    taken_s = time.monotonic() - begun
    until(lambda: "another controller leads" in log.read_text(), STOPS_S, "it did not stop")
    stopped_s = time.monotonic() - begun
    world.limit("after", 0.4 * full_mw, 900.0)
    until(lambda: world.share() <= 0.375, 15.0, "the new leader does not hold the limit")
    host.mend(0)
    wait(2.0)
    assert world.pid() == second, "the former leader stands by"
    return {
        "cut_ns": cut_ns,
        "tick_s": TICK_S,
        "standby_leads_after_s": round(taken_s, 2),
        "cut_off_leader_stops_after_s": round(stopped_s, 2),
    }


def _only_one_acted(one: World, two: World, found: dict[str, Any]) -> None:
    """No intent of the one lies after the first of the other, but for the bound."""
    mine = [at for at, f in one.rows() if isinstance(f, live.IntentTold)]
    theirs = [at for at, f in two.rows() if isinstance(f, live.IntentTold)]
    led = min(at for at, _ in two.rows())
    assert mine, "the first led"
    assert theirs, "the second led"
    last = max(at for at, _ in one.rows())
    found["both_turned_for_s"] = round(max(last - led, 0) / NS_PER_S, 2)
    assert max(mine) < min(theirs), "both acted"
    assert last - led < STOPS_S * NS_PER_S
