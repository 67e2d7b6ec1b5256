"""Setpoints and limits by IEC 60870-5-104: our side of the plug-in process.

The protocol's library is GPL-3, so it runs in a process apart (`iec104`), started here and spoken
with in JSON lines over pipes. The grid operator is the controlling station; we are the controlled
one. A setpoint command (C_SE_NC_1, or C_SE_TC_1 with a time) is confirmed only once the order is in
the store. C_SE_NC_1 has no time and no counter: its age cannot be judged, and what protects it from
replay is the connection alone (TLS, known addresses), not the message.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from typing import Any, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from gigafactory.adapters.channels.door import Answer, Bad, Door, Inbox, Keeper, own_orders
from gigafactory.adapters.channels.settings import ChannelSettings, Port
from gigafactory.adapters.secrets import Tls, is_loopback
from gigafactory.engine.clock import Clock
from gigafactory.factory.blocks import Flag, Text, setting
from gigafactory.factory.quantities import PositiveCount, PositiveDurationS
from gigafactory.grid.ports import GridOrder, OrderKind
from gigafactory.units import NS_PER_S

_INBOX = 256
_ACTIVATION = 6  # cause of transmission
_LINE_MAX = 10_000
_BACKOFF_S_MAX = 60.0
#: The plug-in tells its state every second.
_STATE_S_MAX = 5.0


class Iec104Settings(ChannelSettings):
    """Where the outstation listens, and what its objects mean."""

    kind: Literal["iec104"] = setting("iec104.")
    host: Text = setting("Address listened on.", "127.0.0.1")
    port: Port = setting("Port listened on.", 2404)
    common_address: PositiveCount = setting("Common address of the station.", 1)
    allow: list[Text] = setting("Addresses of controlling stations.")
    setpoint_address: PositiveCount | None = setting(
        "Object of the reserve's setpoint, MW; importing less is positive.", None
    )
    limit_address: PositiveCount | None = setting("Object of the import limit, MW.", None)
    metered_address: PositiveCount = setting("Object of the metered import, MW.", 1001)
    up_address: PositiveCount = setting("Object of what could be asked upwards, MW.", 1002)
    down_address: PositiveCount = setting("Object of what could be asked downwards, MW.", 1003)
    select: Flag = setting("Commands must be selected before they are executed.", True)
    timed: Flag = setting("Commands carry their time (C_SE_TC_1), and its age is judged.", False)
    test_s: PositiveDurationS = setting(
        "After so long without a frame the line is tested (t3).",
        20.0,
        key="test_after",
        source="IEC 60870-5-104:2006, default of t3",
    )
    report_s: PositiveDurationS = setting(
        "Measured values go out this often.", 4.0, key="report_every", source="assumption, 2026"
    )
    hold_s: PositiveDurationS = setting(
        "A setpoint holds for so long unless another comes; a limit until the next one.",
        30.0,
        key="hold",
        source="assumption, 2026: the grid operator's own rule on lost setpoints is not verified",
    )
    tls: Tls | None = setting("Encryption (IEC 62351-3): ca, certificate and key are needed.", None)
    peers: list[Text] = setting("Certificates of controlling stations, PEM files.", [])

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not is_loopback(self.host) and self.tls is None:
            raise PydanticCustomError("tls", "listening beyond this machine needs tls:")
        if self.tls is not None and not (self.tls.ca and self.tls.certificate and self.tls.key):
            raise PydanticCustomError("tls", "needs ca, certificate and key")
        if self.setpoint_address is None and self.limit_address is None:
            raise PydanticCustomError("objects", "needs a setpoint_address or a limit_address")
        if not self.allow:
            raise PydanticCustomError("allow", "name the controlling stations' addresses")
        return self

    def command(self) -> list[str]:
        """The plug-in's command line. It holds no secret: keys are named by their files."""
        commands = [a for a in (self.setpoint_address, self.limit_address) if a is not None]
        measured = [self.metered_address, self.up_address, self.down_address]
        made = [sys.executable, "-m", "gigafactory.adapters.channels.iec104"]
        made += ["--host", self.host, "--port", str(self.port)]
        made += ["--common-address", str(self.common_address)]
        made += ["--report-ms", str(int(self.report_s * 1000)), "--t3", str(int(self.test_s))]
        made += ["--commands", *map(str, commands), "--measured", *map(str, measured)]
        made += ["--allow", *self.allow]
        made += ["--select"] if self.select else []
        made += ["--timed"] if self.timed else []
        if self.tls is not None:
            made += ["--tls-certificate", str(self.tls.certificate), "--tls-key", str(self.tls.key)]
            made += ["--tls-ca", str(self.tls.ca), "--tls-peer", *self.peers]
        return made


class Iec104Channel:
    """The channel: starts the plug-in, starts it again when it dies, judges what it tells.

    Args:
        settings: the outstation.
        store: where everything is kept.
        clock: whose time it is.

    Raises:
        StoreTrouble: the store is away at the start.
    """

    def __init__(self, settings: Iec104Settings, store: Keeper, clock: Clock) -> None:
        self.settings, self.clock = settings, clock
        self.door = Door(settings, store, check_age=settings.timed)
        self.door.open()
        limits = (o for o in own_orders(store, settings.name) if o.kind is OrderKind.LIMIT)
        self._limit = next(iter(collections.deque(limits, 1)), None)
        self._inbox: Inbox[tuple[dict[str, Any], int]] = Inbox(_INBOX)
        self._process: subprocess.Popen[str] | None = None
        self._failures = 0
        self._next_ns = 0
        self._state_ns = 0
        self._active = 0
        self._active_ns = clock.now_ns()
        self._heard_ns = clock.now_ns()
        self._told_ns = 0
        self._why = ""

    def start(self) -> None:
        """Start the plug-in."""
        now_ns = self.clock.now_ns()
        process = subprocess.Popen(  # noqa: S603  (our own module, our own arguments)
            self.settings.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
            env={k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH", "HOME")},
        )
        self._process, self._state_ns = process, now_ns
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def close(self) -> None:
        """End the plug-in."""
        process = self._process
        if process is None:
            return
        self._process = None
        self._say(process, {"end": True})
        try:
            process.wait(3.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(3.0)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # the other end may be gone
                    pipe.close()

    def step(self, wait_s: float) -> Answer | None:
        """Take one line of the plug-in in; tell it what is metered; start it when it has died."""
        said = self._inbox.get(wait_s)
        answer = self._heed(*said) if said is not None else None
        now_ns = self.clock.now_ns()
        self._tell(now_ns)
        self.renew(now_ns)
        process = self._process
        if process is not None and process.poll() is not None:
            self._died(now_ns)
        elif process is None and now_ns >= self._next_ns:
            self.start()
        return answer

    def trouble(self, now_ns: int) -> str:
        """Why no command can be relied on; empty when all is well."""
        if self._process is None:
            return f"the plug-in does not run: {self._why or 'it ended'}"
        if now_ns - self._state_ns > _STATE_S_MAX * NS_PER_S:
            return "the plug-in has been silent"
        silent_s = (now_ns - self._active_ns) / NS_PER_S
        if not self._active and silent_s > self.settings.silent_s:
            return f"no controlling station has been connected for {silent_s:.0f} s"
        quiet_s = (now_ns - self._heard_ns) / NS_PER_S
        if self.settings.setpoint_address is not None and quiet_s > self.settings.silent_s:
            return f"no sound command for {quiet_s:.0f} s"
        return ""

    def judge(self, said: dict[str, Any], received_ns: int) -> Answer:
        """Check and keep one command; never raises for anything the plug-in can tell."""
        now_ns = self.clock.now_ns()
        address, value, issued = said.get("ioa"), said.get("value"), said.get("issued_ns")
        if said.get("test"):
            self.door.counts["test_commands"] += 1
            return Answer.REFUSED  # a test is answered in the negative: it is not obeyed
        if said.get("cause") != _ACTIVATION or said.get("select"):
            why = f"object {address}: cause {said.get('cause')} is no activation"
            return self.door.refuse(Bad.MALFORMED, why, now_ns)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self.door.refuse(Bad.ABSURD, f"object {address}: no number", now_ns)
        if self.settings.timed and not isinstance(issued, int):
            return self.door.refuse(Bad.MALFORMED, f"object {address}: no time", now_ns)
        kind = {
            self.settings.setpoint_address: OrderKind.SETPOINT,
            self.settings.limit_address: OrderKind.LIMIT,
        }.get(address if isinstance(address, int) else None)
        if address is None or kind is None:
            return self.door.refuse(Bad.ABSURD, f"object {address} is none of ours", now_ns)
        if self.settings.timed and isinstance(issued, int):
            issued_ns = issued
        else:
            # Rises even where our clock was set back, so that no command passes for a repetition.
            issued_ns = max(received_ns, self.door.last(str(address)) + 1)
        hold_s = self.settings.hold_s if kind is OrderKind.SETPOINT else self.settings.lasts_s_max
        order = GridOrder(
            # A time is a counter as good as any; without one, the instant of receipt.
            key=f"{address}:{issued_ns}",
            source=self.settings.name,
            kind=kind,
            point=self.settings.point,
            power_mw=float(value),
            issued_ns=issued_ns,
            received_ns=received_ns,
            start_ns=received_ns,
            end_ns=received_ns + int(hold_s * NS_PER_S),
            sequence=issued_ns,
            replaces=self._before(kind, str(address)),
        )
        body = str(said.get("raw", "")).encode()[:_LINE_MAX]
        answer = self.door.take(order, body, now_ns, stream=str(address))
        if answer is Answer.TAKEN:
            self._heard_ns = now_ns
            self._limit = order if kind is OrderKind.LIMIT else self._limit
        return answer

    def renew(self, now_ns: int) -> Answer | None:
        """Keep a limit that has no end, before the order that stands for it ends."""
        last = self._limit
        if last is None or now_ns < (last.start_ns + last.end_ns) // 2:
            return None
        address = str(self.settings.limit_address)
        number = max(now_ns, self.door.last(address) + 1)
        order = replace(
            last,
            key=f"{address}:{number}",
            issued_ns=now_ns,
            received_ns=now_ns,
            start_ns=now_ns,
            end_ns=now_ns + int(self.settings.lasts_s_max * NS_PER_S),
            sequence=number,
            replaces=last.key,
        )
        answer = self.door.take(order, b"", now_ns, stream=address)
        if answer is Answer.TAKEN:
            self._limit = order
        return answer

    def _before(self, kind: OrderKind, address: str) -> str:
        """A limit holds until the next one, so the next one takes its place."""
        last = self.door.last(address)
        return f"{address}:{last}" if kind is OrderKind.LIMIT and last >= 0 else ""

    def _heed(self, said: dict[str, Any], received_ns: int) -> Answer | None:
        answer = None
        if "command" in said:
            answer = self.judge(said, received_ns)
            kept = answer in (Answer.TAKEN, Answer.REPEATED)
            if self._process is not None:
                self._say(self._process, {"answer": said["command"], "ok": kept})
        elif "refused" in said:
            self.door.refuse(Bad.FORGED, f"refused: {said['refused']}"[:300], received_ns)
        elif "strange" in said:
            self.door.refuse(Bad.ABSURD, f"not expected: {said['strange']}"[:300], received_ns)
        elif "failed" in said:
            self._why = str(said["failed"])[:300]
        elif isinstance(said.get("state"), dict):
            self._state_ns, self._failures = received_ns, 0
            self._active = int(said["state"].get("active", 0))
            if self._active:
                self._active_ns = received_ns
        return answer

    def _tell(self, now_ns: int) -> None:
        if self._process is None or 0 <= now_ns - self._told_ns < NS_PER_S:
            return
        self._told_ns = now_ns
        metered = self.door.metered(now_ns, 3.0 * self.settings.report_s) or {}
        for address, name in (
            (self.settings.metered_address, "metered_mw"),
            (self.settings.up_address, "up_mw"),
            (self.settings.down_address, "down_mw"),
        ):
            value = metered.get(name)
            good = isinstance(value, int | float) and not isinstance(value, bool)
            self._say(
                self._process, {"point": address, "value": value if good else 0, "good": good}
            )

    def _died(self, now_ns: int) -> None:
        self.close()
        self._failures += 1
        wait_s = min(2.0 ** min(self._failures - 1, 10), _BACKOFF_S_MAX)
        self._next_ns = now_ns + int(wait_s * NS_PER_S)
        self._active = 0

    def _say(self, process: subprocess.Popen[str], what: dict[str, Any]) -> None:
        try:
            assert process.stdin is not None, "the plug-in is started with pipes"
            process.stdin.write(json.dumps(what) + "\n")
            process.stdin.flush()
        except (OSError, ValueError):
            pass  # it is gone; `step` sees that and starts another

    def _read(self, process: subprocess.Popen[str]) -> None:
        """The plug-in's lines, in a thread of their own."""
        assert process.stdout is not None, "the plug-in is started with pipes"
        try:
            for line in process.stdout:
                try:
                    said = json.loads(line[:_LINE_MAX])
                except ValueError:
                    continue
                if isinstance(said, dict):
                    self._inbox.put((said, self.clock.now_ns()))
        except ValueError:
            pass  # the pipe was closed under us: the channel ends
