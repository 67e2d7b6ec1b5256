"""PostgreSQL frozen and killed while work comes by the API and a limit is in force."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from gigafactory.adapters.store import Store
from gigafactory.adapters.store.records import ENDED, Role, WorkState
from gigafactory.runtime.live.parts import STORE_AWAY
from gigafactory.testing.postgres import LocalPostgres, available
from tests.conftest import missing
from tests.live.rig import World, wait
from tests.runtime.live.test_serve import command, process, until, written

PARTY = "lab"


@dataclass
class _Tenant:
    """Asks for work ten times a second, and asks again with the same key until it is taken.

    Attributes:
        ids: of the work taken, by key.
        refused: problems that came meanwhile, by kind of content and status.
        wrong: what was said against a request itself; empty when all is well.
    """

    port: int
    secret: str
    ids: dict[str, str] = field(default_factory=dict)
    refused: list[tuple[str, int]] = field(default_factory=list)
    wrong: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30.0)

    def _run(self) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10.0) as client:
            number = 0
            while not self._stop.is_set():
                number += 1
                self._until_taken(client, f"trouble-{number:05d}")
                self._stop.wait(0.4)

    def _until_taken(self, client: httpx.Client, key: str) -> None:
        body = {"job_class": "research", "accelerators": 8, "walltime_s": 900, "name": key,
                "script": "#!/bin/sh\n# need_s=1.5\n", "pool": "pool00"}  # fmt: skip
        heads = {"Authorization": f"Bearer {self.secret}", "Idempotency-Key": key}
        while not self._stop.is_set():
            with suppress(httpx.TransportError):
                answer = client.post("/v1/work", json=body, headers=heads)
                if answer.status_code in (200, 201):
                    self.ids[key] = answer.json()["id"]
                    return
                if answer.status_code < 500:
                    self.wrong = answer.text
                self.refused.append((answer.headers["content-type"], answer.status_code))
            self._stop.wait(0.3)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize("away_s", [3.0, pytest.param(10.0, marks=pytest.mark.proof)])
def test_without_the_database_the_limit_holds_and_no_work_is_lost(
    tmp_path: Path, away_s: float
) -> None:
    missing(available())
    with LocalPostgres() as pg, ExitStack() as stack:
        port = _free_port()
        factory, settings = written(
            tmp_path,
            store={"url": pg.make_database("gf")},
            api={"host": "127.0.0.1", "port": port},
        )
        world = World(factory, settings)
        stack.callback(world.store.close)
        long = [world.ask(f"w{i}", 900.0) for i in range(4)]
        secret = world.store.add_token("t", Role.TENANT, PARTY, None, world.clock.now_ns(), "test")[
            1
        ]
        logs = tmp_path / "controller", tmp_path / "api"
        with (
            process(command(factory, settings, "--only", "controller"), logs[0]) as child,
            process(command(factory, settings, "--only", "api"), logs[1]) as api,
        ):
            world.leads(child, logs[0])
            until(lambda: _status(port) == 200, 60.0, f"no API: {logs[1].read_text()[-2000:]}")
            until(lambda: world.share() >= 0.5, 30.0, "work did not start")
            full_w = _full_w(world)
            world.limit("cut", 0.8 * full_w * 1.1 / 1e6, 900.0)
            tenant = _Tenant(port, secret)
            tenant.start()
            until(lambda: len(tenant.ids) >= 3 or bool(tenant.wrong), 20.0, "no work is taken")
            assert not tenant.wrong
            _away(world, pg.freeze, pg.thaw, port, away_s, full_w)
            _away(world, pg.kill, pg.start, port, away_s, full_w)
            tenant.stop()
            assert {child.poll(), api.poll()} == {None}, "both live on"
            asked = set(tenant.ids.values())
            until(lambda: _ended(world) >= asked, 60.0, "work did not end")
            child.terminate()
            assert child.wait(20) == 0
        assert ("application/problem+json", 503) in tenant.refused
        assert {kind for kind, _ in tenant.refused} == {"application/problem+json"}
        _whole(world, asked, long)


def _whole(world: World, asked: set[str], long: list[str]) -> None:
    rows = {w.id: w.state for w in world.store.list_work(limit=1000)}
    assert set(rows) == asked | set(long), "a key that was sent twice made one piece of work"
    assert {rows[one] for one in asked} == {WorkState.COMPLETED}
    ends = [e.key for e in world.twin.observe().ended]
    assert sorted(ends) == sorted(asked), "each ran once"
    assert world.troubles().count((STORE_AWAY, True)) >= 2
    world.accounted()


def _away(world: World, go: Callable[[], object], come: Callable[[], object], port: int,
          away_s: float, full_w: float) -> None:  # fmt: skip
    """The database goes and comes back; what holds meanwhile, and that all is told afterwards."""
    go()
    begun = time.monotonic()
    seen = set()
    while time.monotonic() - begun < away_s:
        assert world.twin.power_w("pool00") <= 0.8 * full_w + 1.0, "above the limit"
        seen.add(_status(port))
        wait(0.2)
    come()
    assert seen & {503}, f"the API says {seen}"
    until(lambda: _status(port) == 200, 20.0, "the API does not come back")
    Store.open(world.settings.store.full_url(world.folder)).close()
    until(lambda: STORE_AWAY in world.past_alarms(), 20.0, "nobody is told of it")
    until(lambda: STORE_AWAY not in world.open_alarms(), 20.0, "the alarm stays")


def _status(port: int) -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5.0).status_code
    except httpx.TransportError:
        return 0


def _full_w(world: World) -> float:
    """What the pool draws with all eight nodes at work."""
    share, idle_w = world.share(), 8 * 8 * 275.0
    return idle_w + (world.twin.power_w("pool00") - idle_w) / share


def _ended(world: World) -> set[str]:
    return {w.id for w in world.store.list_work(limit=1000) if w.state in ENDED}
