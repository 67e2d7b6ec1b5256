"""IEC 60870-5-104: a real controlling station (c104) against the plug-in process, on loopback."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gigafactory.adapters.channels.door import PUBLISHED, TELEMETRY, Answer, Bad
from gigafactory.adapters.channels.iec104host import Iec104Channel
from gigafactory.adapters.channels.running import channel_settings, run
from gigafactory.adapters.store import Store
from gigafactory.engine.clock import WallClock
from gigafactory.engine.errors import BadInput
from gigafactory.grid.ports import OrderKind
from gigafactory.testing.mosquitto import free_port
from gigafactory.units import NS_PER_S
from tests.adapters.channels.common import T0, TestClock, alarms, open_store, until
from tests.conftest import missing

#: The grid operator's side runs as a process of its own too: the library allows one set of its
#: threads and callbacks to die with it, and our process never links it.
_TSO = """
import c104, datetime as dt, json, sys
port, timed, select = int(sys.argv[1]), sys.argv[2] == "timed", sys.argv[3] == "select"
client = c104.Client(tick_rate_ms=50, command_timeout_ms=4000)
line = client.add_connection(ip="127.0.0.1", port=port, init=c104.Init.NONE)
station = line.add_station(common_address=1)
kind = c104.Type.C_SE_TC_1 if timed else c104.Type.C_SE_NC_1
mode = c104.CommandMode.SELECT_AND_EXECUTE if select else c104.CommandMode.DIRECT
points = {a: station.add_point(io_address=a, type=kind, command_mode=mode) for a in (21, 22, 99)}
metered = station.add_point(io_address=1001, type=c104.Type.M_ME_NC_1)
client.start()
print(json.dumps("started"), flush=True)
for text in sys.stdin:
    said = json.loads(text)
    if said[0] == "connected":
        answer = line.is_connected and line.state == c104.ConnectionState.OPEN
        if line.state == c104.ConnectionState.OPEN_MUTED:
            line.unmute()  # its first STARTDT may come before the outstation's thread runs
        elif line.state == c104.ConnectionState.CLOSED_AWAIT_RECONNECT:
            line.connect()  # at once, where the library would wait for ten seconds
    elif said[0] == "metered":
        answer = [metered.value, metered.quality.is_good()]
    elif said[0] == "test":
        answer = line.test(common_address=1)
    else:
        point, value, age = points[said[1]], float(said[2]), float(said[3])
        at = dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=age)
        point.info = c104.ShortCmd(target=value, recorded_at=at) if timed else c104.ShortCmd(value)
        answer = point.transmit(cause=c104.Cot.ACTIVATION)
    print(json.dumps(answer), flush=True)
client.stop()
"""


class Tso:
    """The controlling station."""

    def __init__(self, port: int, *, timed: bool = False, select: bool = True) -> None:
        words = [str(port), "timed" if timed else "plain", "select" if select else "direct"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TSO, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._answer() == "started"

    def _answer(self) -> Any:
        import json

        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line[:1] in '"[tf0123456789n':
                return json.loads(line)
        raise AssertionError("the controlling station ended")

    def ask(self, *what: Any) -> Any:
        import json

        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def command(self, address: int, value: float, age_s: float = 0.0) -> bool:
        return bool(self.ask("command", address, value, age_s))

    def close(self) -> None:
        self.process.kill()
        self.process.wait(5.0)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


class Frames:
    """A controlling station made by hand of frames, for select before execute.

    The library's client (2.2.1) at times does not send the execute although its select was
    confirmed, and gives up; this one sends what it is told, and shares no code with the library.
    """

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5.0)
        self.sent = self.got = 0
        self.socket.sendall(bytes.fromhex("680407000000"))  # STARTDT act
        until(lambda: self._frame() == bytes.fromhex("0b000000"))

    def _frame(self) -> bytes:
        head = self._exactly(2)
        assert head[0] == 0x68
        body = self._exactly(head[1])
        if body[0] & 1 == 0:
            self.got += 1
        return body

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            piece = self.socket.recv(count - len(found))
            assert piece, "the outstation closed the connection"
            found += piece
        return found

    def say(self, address: int, value: float, *, select: bool, cause: int = 6) -> bool | None:
        """Send a C_SE_NC_1 and wait for its confirmation: positive, negative, or none of ours."""
        asdu = bytes([50, 1, cause, 0, 1, 0]) + address.to_bytes(3, "little")
        asdu += struct.pack("<f", value) + bytes([0x80 * select])
        numbers = struct.pack("<HH", self.sent << 1, self.got << 1)
        self.socket.sendall(bytes([0x68, 4 + len(asdu)]) + numbers + asdu)
        self.sent += 1
        while True:
            body = self._frame()
            if body[0] & 1 == 0 and body[4] == 50 and body[6] & 0x3F != 10:
                return not body[6] & 0x40 and body[6] & 0x3F == 7

    def close(self) -> None:
        self.socket.close()


def told(port: int, **more: Any) -> Any:
    options = {
        "power_max": "140 MW",
        "port": port,
        "allow": ["127.0.0.1"],
        "setpoint_address": 21,
        "limit_address": 22,
        "silent": "2 s",
        "report_every": "1 s",
    }
    return channel_settings("iec104", "iec104", "home", options | more, "serve.yaml")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path)
    yield made
    made.close()


class Running:
    def __init__(self, settings: Any, store: Store) -> None:
        self.stop, self.store = threading.Event(), store
        self.thread = threading.Thread(target=run, args=(settings, store, self.stop))
        self.thread.start()

    def trouble(self) -> str:
        found = self.store.published(PUBLISHED + "iec104")
        return str(found[1]["trouble"]) if found else "nothing yet"

    def end(self) -> None:
        self.stop.set()
        self.thread.join(20.0)
        assert not self.thread.is_alive()


@pytest.fixture
def started() -> Iterator[list[Any]]:
    if importlib.util.find_spec("c104") is None:
        missing('c104 is not installed; run: pip install "gigafactory[iec104]"')
    made: list[Any] = []
    yield made
    for one in made:
        (one.end if isinstance(one, Running) else one.close)()


def listens(port: int) -> bool:
    """Whether somebody listens on a port; asked of the kernel, so that no connection is made."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def begin(started: list[Any], store: Store, **more: Any) -> tuple[Running, Tso]:
    port = free_port()
    running = Running(told(port, **more), store)
    started.append(running)
    until(lambda: listens(port))
    tso = Tso(port, timed=bool(more.get("timed")), select=more.get("select", True) is True)
    started.append(tso)
    until(lambda: tso.ask("connected"))
    return running, tso


@pytest.mark.slow
def test_commands_of_a_real_station_are_kept_before_they_are_confirmed(
    started: list[Any], store: Store
) -> None:
    running, tso = begin(started, store, select=False)
    assert tso.command(21, 42.5)
    (kept,) = store.orders()  # confirmed, so it is there
    assert (kept.order.kind, kept.order.power_mw) == (OrderKind.SETPOINT, 42.5)
    assert kept.body
    assert tso.command(22, 90.0)
    assert tso.command(22, 80.0)
    first, second = [k.order for k in store.orders()][1:]
    assert (first.kind, first.power_mw, first.replaces) == (OrderKind.LIMIT, 90.0, "")
    assert (second.power_mw, second.replaces) == (80.0, first.key)
    until(lambda: running.trouble() == "")


@pytest.mark.slow
def test_what_is_absurd_is_confirmed_in_the_negative(started: list[Any], store: Store) -> None:
    _, tso = begin(started, store, select=False)
    assert not tso.command(21, 500.0)
    assert not tso.command(21, float("nan"))
    assert not tso.command(22, -1.0)
    assert store.orders() == []
    until(lambda: Bad.ABSURD.value in alarms(store))
    assert tso.command(21, 1.0)


@pytest.mark.slow
def test_select_before_execute(started: list[Any], store: Store) -> None:
    port = free_port()
    started.append(Running(told(port), store))
    until(lambda: listens(port))
    time.sleep(0.5)  # one connection at a time: not to be taken for the one before
    tso = Frames(port)
    started.append(tso)
    assert tso.say(21, 10.0, select=False) is False  # not selected
    assert store.orders() == []
    assert tso.say(21, 11.0, select=True) is True
    assert store.orders() == []  # selected is not executed
    assert tso.say(22, 90.0, select=False) is False  # another was selected
    assert tso.say(21, 11.0, select=False) is True
    assert [kept.order.power_mw for kept in store.orders()] == [11.0]
    tso.say(21, 12.0, select=True)
    assert tso.say(21, 12.0, select=False, cause=8) is False  # no activation
    assert tso.say(99, 1.0, select=True) is False  # none of our objects
    assert len(store.orders()) == 1
    until(lambda: Bad.ABSURD.value in alarms(store))


@pytest.mark.slow
def test_a_timed_command_is_judged_by_its_age(started: list[Any], store: Store) -> None:
    _, tso = begin(started, store, timed=True, select=False)
    assert tso.command(21, 10.0)
    until(lambda: not tso.command(21, 11.0, 60.0) and Bad.STALE.value in alarms(store))
    assert [kept.order.power_mw for kept in store.orders()] == [10.0]


@pytest.mark.slow
def test_measurements_carry_their_quality_and_silence_is_trouble(
    started: list[Any], store: Store
) -> None:
    running, tso = begin(started, store, select=False)
    until(lambda: tso.ask("metered")[1] is False)
    now_ns = WallClock().now_ns()
    store.publish(TELEMETRY, {"home": {"metered_mw": 77.5, "up_mw": 5, "down_mw": 1}}, now_ns)
    until(lambda: tso.ask("metered") == [77.5, True])
    until(lambda: tso.ask("test"))
    until(lambda: "no sound command" in running.trouble())
    assert tso.command(21, 1.0)
    until(lambda: running.trouble() == "")
    tso.close()
    until(lambda: "no controlling station" in running.trouble(), 15.0)
    until(lambda: Bad.SILENT.value in alarms(store))
    started.remove(tso)


@pytest.mark.slow
def test_a_killed_plug_in_is_started_again(started: list[Any], store: Store) -> None:
    running, tso = begin(started, store, select=False)
    children = Path(f"/proc/{os.getpid()}/task")
    pids = {
        int(pid)
        for task in children.iterdir()
        for pid in (task / "children").read_text().split()
        if b"channels.iec104" in Path(f"/proc/{pid}/cmdline").read_bytes()
    }
    (pid,) = pids
    os.kill(pid, signal.SIGKILL)
    until(lambda: "does not run" in running.trouble() or tso.ask("connected") is False)
    until(lambda: tso.ask("connected"), 15.0)
    until(lambda: tso.command(21, 3.0), 15.0)
    assert store.orders()[-1].order.power_mw == 3.0


@pytest.mark.slow
def test_our_own_process_never_loads_the_library() -> None:
    code = "import gigafactory.adapters.channels.running, sys; sys.exit('c104' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ({"ioa": 21, "value": 5.0, "cause": 6}, Answer.TAKEN),
        ({"ioa": 21, "value": 5.0, "cause": 6, "test": True}, Answer.REFUSED),
        ({"ioa": 21, "value": 5.0, "cause": 8}, Answer.REFUSED),
        ({"ioa": 21, "value": 5.0, "cause": 6, "select": True}, Answer.REFUSED),
        ({"ioa": 21, "value": "nan", "cause": 6}, Answer.REFUSED),
        ({"ioa": 21, "value": None, "cause": 6}, Answer.REFUSED),
        ({"ioa": 77, "value": 5.0, "cause": 6}, Answer.REFUSED),
        ({"ioa": None, "value": 5.0, "cause": 6}, Answer.REFUSED),
        ({"ioa": [], "value": 5.0, "cause": 6}, Answer.REFUSED),
        ({}, Answer.REFUSED),
    ],
)
def test_whatever_the_plug_in_tells_is_judged(
    store: Store, said: dict[str, Any], answer: Answer
) -> None:
    channel = Iec104Channel(told(2404), store, TestClock())
    assert channel.judge(said, T0) is answer
    assert len(store.orders()) == (answer is Answer.TAKEN)


def test_commands_pass_also_while_our_clock_stands(store: Store) -> None:
    channel = Iec104Channel(told(2404), store, TestClock())
    for value in (1.0, 2.0, 3.0):
        said = {"ioa": 21, "value": value, "cause": 6}
        assert channel.judge(said, T0) is Answer.TAKEN
    assert [kept.order.power_mw for kept in store.orders()] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"host": "192.0.2.1"}, "needs tls"),
        ({"allow": []}, "name the controlling"),
        ({"setpoint_address": None, "limit_address": None}, "needs a setpoint"),
        ({"tls": {"ca": "a"}}, "needs ca, certificate and key"),
    ],
)
def test_settings_that_cannot_be_are_told(more: dict[str, Any], word: str) -> None:
    with pytest.raises(BadInput, match=word):
        told(2404, **more)


def test_the_hold_of_a_setpoint_and_of_a_limit(store: Store) -> None:
    channel = Iec104Channel(told(2404), store, TestClock())
    channel.judge({"ioa": 21, "value": 1.0, "cause": 6}, T0)
    channel.judge({"ioa": 22, "value": 1.0, "cause": 6}, T0)
    setpoint, limit = (kept.order for kept in store.orders())
    assert setpoint.end_ns - setpoint.start_ns == 30 * NS_PER_S
    assert limit.end_ns - limit.start_ns == 2 * 86_400 * NS_PER_S


def test_a_limit_without_end_is_renewed_also_after_a_restart(store: Store) -> None:
    clock, day = TestClock(), 86_400 * NS_PER_S
    channel = Iec104Channel(told(2404), store, clock)
    channel.judge({"ioa": 22, "value": 60.0, "cause": 6}, T0)
    assert channel.renew(T0 + day - 1) is None
    later = Iec104Channel(told(2404), store, clock)
    assert later.renew(T0 + day) is Answer.TAKEN
    assert later.renew(T0 + day + 1) is None
    first, second = (kept.order for kept in store.orders())
    assert (second.power_mw, second.replaces) == (60.0, first.key)
    assert second.end_ns == T0 + 3 * day
