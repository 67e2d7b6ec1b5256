"""The link to the grid operator's broker is cut: a channel that must speak is silent."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from gigafactory.adapters.channels.door import PUBLISHED
from gigafactory.runtime.live.parts import ORDERS_SILENT
from gigafactory.testing.mosquitto import LocalBroker, available, free_port
from tests.adapters.channels.common import secret
from tests.adapters.channels.test_process import authority_of
from tests.conftest import missing
from tests.live.rig import Host, World, host_name, needs_root
from tests.runtime.live.test_serve import command, process, until, written

SAFE_W = 35_000.0


def _channel(folder: Path, address: str, port: int, ca: Path) -> dict[str, Any]:
    options = {
        "power_max": "1 MW",
        "host": address,
        "port": port,
        "user": "plant",
        "password": secret(folder, "broker", "for-tests"),
        "client_id": "plant-1",
        "tls": {"ca": str(ca)},
        "setpoint_topic": "tso/setpoint",
        "reconnect_max": "1 s",
        "keepalive": 2,
        "silent": "120 s",
        "keys": {"tso-1": {"algorithm": "hmac-sha256", "secret": secret(folder, "tso")}},
    }
    return {
        "kind": "mqtt",
        "points": ["site0"],
        "gives": ["setpoint"],
        "silent": "4 s",
        "options": options,
    }


@pytest.mark.slow
def test_when_the_channel_is_silent_the_safe_limit_holds(tmp_path: Path) -> None:
    missing("" if available() else "the system package mosquitto is missing")
    needs_root()
    with Host(host_name(), 1) as host:
        ca, certificate, key = authority_of(tmp_path, "tso", host.address(0))
        port = free_port()
        folder = tmp_path / "broker"
        folder.mkdir()
        more = f"listener {port} 0.0.0.0\ncertfile {certificate}\nkeyfile {key}\n"
        channel = _channel(tmp_path, host.address(0), port, ca)
        factory, settings = written(
            tmp_path,
            channels={"afrr": channel},
            sites={"site0": {"safe": f"{SAFE_W / 1e6} MW", "overhead": 1.1}},
        )
        world = World(factory, settings)
        for i in range(8):
            world.ask(f"w{i}", 900.0)
        logs = tmp_path / "controller", tmp_path / "gateway"
        with (
            LocalBroker(folder, namespace=host.name, more=more),
            process(command(factory, settings, "--only", "afrr"), logs[1]),
            process(command(factory, settings, "--only", "controller"), logs[0]) as child,
        ):
            world.leads(child, logs[0])
            until(lambda: _well(world) and world.share() == 1.0, 60.0, "the channel is not well")
            until(lambda: ORDERS_SILENT not in world.open_alarms(), 20.0, "silent from the start")
            host.cut(0)
            begun = time.monotonic()
            until(lambda: ORDERS_SILENT in world.open_alarms(), 40.0, "nobody notices")
            until(
                lambda: world.twin.power_w("pool00") * 1.1 <= SAFE_W, 15.0, "above the safe limit"
            )
            assert time.monotonic() - begun < 50.0
            host.mend(0)
            until(lambda: ORDERS_SILENT not in world.open_alarms(), 20.0, "the alarm stays")
            until(lambda: world.share() == 1.0, 30.0, "work does not go on")
            child.terminate()
            assert child.wait(20) == 0
        told = world.troubles()
        assert told.count((ORDERS_SILENT, True)) == told.count((ORDERS_SILENT, False))
        world.accounted()
        world.store.close()


def _well(world: World) -> bool:
    found = world.store.published(PUBLISHED + "afrr")
    return found is not None and not found[1]["trouble"]
