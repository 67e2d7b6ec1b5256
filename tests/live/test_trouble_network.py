"""The network between hosts is cut: two controllers, the leader without its database."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.parts import STORE_AWAY
from gigafactory.testing.postgres import LocalPostgres, available
from gigafactory.units import NS_PER_S
from tests.conftest import missing
from tests.live.rig import Host, World, host_name, needs_root
from tests.runtime.live.test_serve import TICK_S, command, process, until, written

#: From the cut until the standby leads: the server gives the session up after 5 s of silence, the
#: standby asks once a second.
TAKEOVER_S = 20.0
#: The cut-off leader looks who leads before every act: a tick, and what is under way.
STOPS_S = 5.0
_STOPPED = "another controller leads"


def _hosts(folder: Path, pg: LocalPostgres, host: Host) -> list[tuple[Path, Path]]:
    """Factory and settings of two controllers on one cluster, and of one who looks on.

    Each has its own link to the database and its own disk.
    """
    found = []
    for link in range(3):
        place = folder / f"host{link}"
        place.mkdir()
        url = f"postgresql://postgres@{host.address(link)}:{pg.port}/gf"
        cluster = {
            "kind": "twin",
            "pools": ["pool00"],
            "state": str(folder / "cluster.json"),
            "save": "0.5 s",
            "checkpoint": "5 s",
        }
        found.append(written(place, store={"url": url}, managers={"main": cluster}))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, pytest.param(6, marks=pytest.mark.proof)])
def test_a_leader_that_is_cut_off_stops_once_a_standby_leads(
    tmp_path: Path, proof_dir: Path, times: int
) -> None:
    missing(available())
    needs_root()
    with Host(host_name(), 3) as host, LocalPostgres(host.name) as pg:
        pg.make_database("gf")
        hosts = _hosts(tmp_path, pg, host)
        world = World(*hosts[2])
        for i in range(8):
            world.ask(f"w{i}", 900.0)
        logs = [tmp_path / "log0", tmp_path / "log1"]
        only = [command(*one, "--only", "controller") for one in hosts[:2]]
        with process(only[0], logs[0]) as first, process(only[1], logs[1]) as second:
            pids = [first.pid, second.pid]
            until(lambda: world.pid() in pids and world.share() == 1.0, 60.0, "work did not start")
            until(lambda: any("stands by" in log.read_text() for log in logs), 30.0, "no standby")
            full_mw = world.twin.power_w("pool00") * 1.1 / 1e6
            world.limit("before", 0.77 * full_mw, 900.0)
            until(lambda: world.share() <= 0.75, 15.0, "the first limit is broken")
            found = [_split(world, host, pids, logs, full_mw) for _ in range(times)]
        world.store.close()
        sides = [World(*one) for one in hosts[:2]]
        for cut in found:
            _only_one_acted(sides, cut)
        for side in sides:
            side.accounted()
            side.store.close()
    if times > 1:
        _write(proof_dir, found)


def _split(
    world: World, host: Host, pids: list[int], logs: list[Path], full_mw: float
) -> dict[str, Any]:
    """The leader alone is cut off while a standby is there."""
    old = pids.index(world.pid())
    said = logs[old].read_text().count(_STOPPED)
    cut_ns, begun = world.clock.now_ns(), time.monotonic()
    host.cut(old)
    until(lambda: world.pid() == pids[1 - old], TAKEOVER_S, "the standby did not take over")
    taken_s = time.monotonic() - begun
    until(lambda: logs[old].read_text().count(_STOPPED) > said, STOPS_S, "it did not stop")
    stopped_s = time.monotonic() - begun
    world.limit(f"after{cut_ns}", 0.4 * full_mw, 4.0)
    until(lambda: world.share() <= 0.375, 15.0, "the new leader does not hold the limit")
    host.mend(old)
    until(lambda: world.share() > 0.5, 30.0, "the new leader does not go on")
    assert world.pid() == pids[1 - old], "the former leader stands by"
    return {
        "old": old,
        "cut_ns": cut_ns,
        "mended_ns": world.clock.now_ns(),
        "standby_leads_after_s": round(taken_s, 2),
        "cut_off_leader_stops_after_s": round(stopped_s, 2),
    }


def _only_one_acted(sides: list[World], found: dict[str, Any]) -> None:
    """Between cut and mending no intent of the one lies after the first of the other."""
    span = range(found["cut_ns"], found["mended_ns"])
    rows = [[row for row in side.rows() if row[0] in span] for side in sides]
    old, new = rows[found["old"]], rows[1 - found["old"]]
    acts = [[at for at, f in some if isinstance(f, live.IntentTold)] for some in (old, new)]
    assert acts[1], "the standby acts once it leads"
    assert max(acts[0], default=0) < min(acts[1]), "both acted"
    entered = {f.fallback for _, f in old if isinstance(f, live.TroubleTold) and f.entered}
    assert STORE_AWAY in entered, "it knew that it was cut off, and went on until another led"
    found["both_turned_for_s"] = round(max(old[-1][0] - new[0][0], 0) / NS_PER_S, 2)
    assert found["both_turned_for_s"] < STOPS_S


def _write(folder: Path, found: list[dict[str, Any]]) -> None:
    """The result as data and as a page."""
    names = ("standby_leads_after_s", "cut_off_leader_stops_after_s", "both_turned_for_s")
    body = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": [round(x, 1) for x in os.getloadavg()],
        "tick_s": TICK_S,
        "cuts": [{name: cut[name] for name in names} for cut in found],
    }
    (folder / "split-brain.json").write_text(json.dumps(body, indent=2) + "\n")
    lines = [
        "# Two controllers and a cut link, as last run",
        "",
        f"{body['date']}, {body['machine']}, load average {body['load_average'][0]}, a tick of",
        f"{TICK_S} s. {len(found)} times the link between the leader and the database is cut while",
        "a standby waits; no intent of the cut-off leader lies after the first of the new one.",
        "",
        "| seconds | median | longest |",
        "|---|---|---|",
    ]
    words = (
        "from the cut until the standby leads",
        "from the cut until the cut-off leader has stopped",
        "both turned, only one of them acting",
    )
    for name, word in zip(names, words, strict=True):
        each = [cut[name] for cut in found]
        lines.append(f"| {word} | {statistics.median(each):.2f} | {max(each):.2f} |")
    (folder / "split-brain.md").write_text("\n".join([*lines, ""]))
