"""A simulated battery that speaks SunSpec over Modbus TCP, as a thread of its own on loopback.

It holds to the models as the SunSpec Alliance publishes them (1, 701, 702, 704, 713): the registers
are laid out by the alliance's library, the set point in watts is obeyed within its ratings, the
state of charge follows, and without a new set point within its reversion time it goes to nought.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_BASE = 40_000
_READ, _WRITE_ONE, _WRITE = 3, 6, 16
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS = 1, 2


@dataclass(frozen=True, slots=True)
class BatteryKind:
    """What is simulated.

    Attributes:
        power_w: most it charges and discharges, W.
        energy_wh: what it can hold, Wh.
        soc: how full it begins, 0 to 1.
        models: SunSpec models it has; leaving one out makes it a device of another kind.
    """

    power_w: float = 50_000_000.0
    energy_wh: float = 100_000_000.0
    soc: float = 0.5
    models: tuple[int, ...] = (1, 701, 702, 704, 713)


class SimulatedBattery:
    """Registers that behave.

    Args:
        kind: what is simulated.
    """

    def __init__(self, kind: BatteryKind) -> None:
        from sunspec2.modbus.client import SunSpecModbusClientDevice, SunSpecModbusClientModel

        self.kind = kind
        self._lock = threading.RLock()
        self._stored_wh = kind.energy_wh * kind.soc
        self._at_s = time.monotonic()  # clock-ok: a device of its own, with its own time
        self._set_s = self._at_s
        self._models: dict[int, Any] = {}
        #: Writes that changed the set point or wound up the timer.
        self.writes = 0
        device = SunSpecModbusClientDevice()
        at = _BASE + 2
        for number in kind.models:
            length = _length(number)
            data = struct.pack(">HH", number, length) + b"\x00\x00" * length
            model = SunSpecModbusClientModel(
                model_id=number, model_addr=at, model_len=length, data=data, mb_device=device
            )
            self._models[number] = model
            at += length + 2
        self._end = at
        self._fill()

    def _fill(self) -> None:
        """Values that stand from the beginning."""
        kind = self.kind
        scale = {"W_SF": 4, "WSet_SF": 0, "WSetPct_SF": -1, "WH_SF": 4, "Pct_SF": -1}
        fixed: dict[int, dict[str, float]] = {
            1: {"DA": 1},
            701: {"St": 1, "ConnSt": 1},
            702: {"WChaRteMaxRtg": kind.power_w, "WDisChaRteMaxRtg": kind.power_w},
            704: {"WSetEna": 0, "WSetMod": 1, "WSet": 0, "WSetRvrt": 0, "WSetEnaRvrt": 0,
                  "WSetRvrtTms": 0, "WSetRvrtRem": 0},
            713: {"WHRtg": kind.energy_wh, "SoH": 100.0, "Sta": 1},
        }  # fmt: skip
        for number, model in self._models.items():
            for name, point in model.points.items():
                if name in scale:
                    point.value = scale[name]
                elif name not in {"ID", "L"}:
                    point.value = None
            for name, value in fixed[number].items():
                model.points[name].cvalue = value

    # --- behaviour ----------------------------------------------------------------------------

    def _obeyed_w(self) -> float:
        """Power injected now, W, within ratings and what is stored."""
        controls = self._models.get(704)
        if controls is None or controls.points["WSetEna"].value != 1:
            return 0.0
        wanted = float(controls.points["WSet"].cvalue or 0.0)
        wanted = max(-self.kind.power_w, min(self.kind.power_w, wanted))
        if (wanted > 0 and self._stored_wh <= 0) or (
            wanted < 0 and self._stored_wh >= self.kind.energy_wh
        ):
            return 0.0
        return wanted

    def _pass_time(self) -> None:
        """Let what has been stored follow the power, and the reversion timer run."""
        now = time.monotonic()  # clock-ok: a device of its own, with its own time
        power_w = self._obeyed_w()
        stored = self._stored_wh - power_w * (now - self._at_s) / 3600.0
        self._stored_wh = max(0.0, min(self.kind.energy_wh, stored))
        self._at_s = now
        controls = self._models.get(704)
        if controls is not None:
            timer = float(controls.points["WSetRvrtTms"].value or 0)
            left = max(timer - (now - self._set_s), 0.0)
            controls.points["WSetRvrtRem"].value = int(left)
            if timer and not left and controls.points["WSetEnaRvrt"].value == 1:
                controls.points["WSet"].cvalue = controls.points["WSetRvrt"].cvalue or 0
        if 701 in self._models:
            self._models[701].points["W"].cvalue = self._obeyed_w()
        if 713 in self._models:
            storage = self._models[713].points
            storage["WHAvail"].cvalue = self._stored_wh
            storage["SoC"].cvalue = 100.0 * self._stored_wh / self.kind.energy_wh

    @property
    def power_w(self) -> float:
        """What it injects now, W."""
        with self._lock:
            self._pass_time()
            return self._obeyed_w()

    # --- registers ----------------------------------------------------------------------------

    def read(self, address: int, count: int) -> bytes | None:
        """Registers from an address on; None where there are none."""
        with self._lock:
            self._pass_time()
            image = b"SunS" + b"".join(m.get_mb() for m in self._models.values()) + b"\xff\xff\0\0"
        first = (address - _BASE) * 2
        part = image[first : first + 2 * count]
        return part if first >= 0 and len(part) == 2 * count else None

    def write(self, address: int, data: bytes) -> bool:
        """Write registers; only those of the controls may be."""
        controls = self._models.get(704)
        if controls is None:
            return False
        first = (address - controls.model_addr) * 2
        with self._lock:
            self._pass_time()
            image = bytearray(controls.get_mb())
            if first < 4 or first + len(data) > len(image):
                return False
            image[first : first + len(data)] = data
            controls.set_mb(bytes(image))
            self._set_s = time.monotonic()  # clock-ok: a device of its own, with its own time
            self.writes += 1
        return True


def _length(number: int) -> int:
    """Registers of a model without its head, its repeating groups once."""
    from sunspec2 import device

    group = device.Group(gdef=device.get_model_def(number)["group"])
    return int(group.len) - 2


class _Talk(socketserver.BaseRequestHandler):
    battery: SimulatedBattery
    lines: set[socket.socket]

    def setup(self) -> None:
        """Keep the line, so that the end of the block cuts it."""
        self.lines.add(self.request)

    def finish(self) -> None:
        """The other side went."""
        self.lines.discard(self.request)

    def handle(self) -> None:
        """Answer Modbus TCP requests until the other side goes."""
        with contextlib.suppress(OSError):
            while head := self._take(7):
                number, _, length, unit = struct.unpack(">HHHB", head)
                body = self._take(length - 1)
                answer = self._answer(body)
                self.request.sendall(
                    struct.pack(">HHHB", number, 0, len(answer) + 1, unit) + answer
                )

    def _take(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            part = self.request.recv(count - len(got))
            if not part:
                return b""
            got += part
        return got

    def _answer(self, body: bytes) -> bytes:
        function = body[0]
        if function == _READ:
            address, count = struct.unpack(">HH", body[1:5])
            found = self.battery.read(address, count)
            if found is None:
                return bytes([function | 0x80, _ILLEGAL_ADDRESS])
            return bytes([function, len(found)]) + found
        if function in {_WRITE, _WRITE_ONE}:
            (address,) = struct.unpack(">H", body[1:3])
            done = self.battery.write(address, body[6:] if function == _WRITE else body[3:5])
            return body[:5] if done else bytes([function | 0x80, _ILLEGAL_ADDRESS])
        return bytes([function | 0x80, _ILLEGAL_FUNCTION])


@contextlib.contextmanager
def simulated_battery(kind: BatteryKind | None = None) -> Iterator[tuple[SimulatedBattery, int]]:
    """A battery and the port on loopback at which it answers, for as long as the block lasts."""
    battery = SimulatedBattery(kind or BatteryKind())
    lines: set[socket.socket] = set()
    talk = type("Talk", (_Talk,), {"battery": battery, "lines": lines})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), talk) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield battery, int(server.server_address[1])
        finally:
            server.shutdown()
            for line in list(lines):
                with contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
