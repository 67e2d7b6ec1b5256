"""The plug-in process of IEC 60870-5-104: an outstation that speaks JSON lines with its parent.

Its library, c104, is licensed GPL-3. This module is the only one that imports it, and only when it
runs as a program of its own; nothing of the service links it, and it is not shipped with us
(`pip install "gigafactory[iec104]"` fetches it). Without arguments beyond its own the program is
useful to any parent that writes and reads these lines:

::

    to the parent   {"ready": port} | {"state": {"open": 1, "active": 1}}
                    {"command": n, "ioa": 21, "value": 42.5, "issued_ns": ... | null,
                     "select": false, "test": false, "cause": 6, "originator": 0, "raw": "hex"}
                    {"clock": ns} | {"refused": "why"}
    from the parent {"answer": n, "ok": true} | {"point": 11, "value": 12.5, "good": true}
                    {"end": true}

A command is confirmed to the grid operator only after the parent has answered that it is kept; no
answer in time is a negative confirmation. Select-before-execute is kept by the library: an execute
without a select of the same session before it is refused.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import queue
import sys
import threading
from typing import Any

#: A command waits so long for the parent's word. It holds up the protocol's thread meanwhile.
_ANSWER_S = 2.0
_STATE_EVERY_S = 1.0


class Outstation:
    """The outstation and its points.

    Args:
        library: the c104 module.
        given: the program's arguments.
    """

    def __init__(self, library: Any, given: argparse.Namespace) -> None:
        self._c104, self._lock = library, threading.Lock()
        self._answers: dict[int, queue.Queue[bool]] = {}
        self._number = 0
        self._allowed = set(given.allow)
        self.server = library.Server(
            ip=given.host,
            port=given.port,
            tick_rate_ms=50,
            select_timeout_ms=given.select_ms,
            max_connections=given.connections,
            transport_security=self._security(given),
        )
        self.server.protocol_parameters.keep_alive_interval = given.t3
        station = self.server.add_station(common_address=given.common_address)
        assert station is not None, "one station of an address"
        self.points: dict[int, Any] = {}
        for address in given.measured:
            self.points[address] = station.add_point(
                io_address=address, type=library.Type.M_ME_NC_1, report_ms=given.report_ms
            )
            self.measure(address, 0.0, good=False)
        mode = (
            library.CommandMode.SELECT_AND_EXECUTE if given.select else library.CommandMode.DIRECT
        )
        kind = library.Type.C_SE_TC_1 if given.timed else library.Type.C_SE_NC_1
        self._listen(station, given.commands, kind, mode)

    def run(self) -> None:
        """Serve until the parent says end or goes away."""
        self.server.start()
        self.say({"ready": self.server.port})
        ended = threading.Event()
        threading.Thread(target=self._read, args=(ended,), daemon=True).start()
        while not ended.wait(_STATE_EVERY_S):
            state = {"open": self.server.open_connection_count}
            state["active"] = self.server.active_connection_count
            self.say({"state": state})
        self.server.stop()

    def measure(self, address: int, value: float, *, good: bool) -> None:
        """Set a measured value and its quality; it is sent when it changes and periodically."""
        quality = self._c104.Quality() if good else self._c104.Quality.Invalid
        self.points[address].info = self._c104.ShortInfo(actual=value, quality=quality)

    def say(self, what: dict[str, Any]) -> None:
        """Write a line to the parent."""
        with self._lock:
            sys.stdout.write(json.dumps(what) + "\n")
            sys.stdout.flush()

    def ask(self, point: Any, message: Any) -> bool:
        """Tell the parent of a command and wait for its word."""
        with self._lock:
            self._number += 1
            number = self._number
        told: queue.Queue[bool] = queue.Queue(1)
        self._answers[number] = told
        info = message.info
        value = None if info.value is None else float(info.value)
        recorded = info.recorded_at
        issued_ns = None
        if recorded is not None:
            issued_ns = int(recorded.replace(tzinfo=dt.UTC).timestamp() * 1000) * 1_000_000
        self.say(
            {
                "command": number,
                "ioa": point.io_address,
                "value": value if value is None or value == value else "nan",
                "issued_ns": issued_ns,
                "select": bool(message.is_select_command),
                "test": bool(message.is_test),
                "cause": int(message.cot.value),
                "originator": int(message.originator_address),
                "raw": message.raw.hex(),
            }
        )
        try:
            return told.get(timeout=_ANSWER_S)
        except queue.Empty:
            return False
        finally:
            self._answers.pop(number, None)

    def _listen(self, station: Any, addresses: list[int], kind: Any, mode: Any) -> None:
        c104 = self._c104

        # The library compares annotations, so these are the library's own types, not text.
        def received(point: Any, previous_info: Any, message: Any) -> Any:
            del previous_info
            kept = self.ask(point, message)
            return c104.ResponseState.SUCCESS if kept else c104.ResponseState.FAILURE

        received.__annotations__ = {
            "point": c104.Point,
            "previous_info": c104.Information,
            "message": c104.IncomingMessage,
            "return": c104.ResponseState,
        }

        def connecting(server: Any, ip: str) -> bool:
            del server
            if not self._allowed or ip in self._allowed:
                return True
            self.say({"refused": f"a connection from {ip}"})
            return False

        connecting.__annotations__ = {"server": c104.Server, "ip": str, "return": bool}

        def strange(server: Any, message: Any, cause: Any) -> None:
            del server
            about = "" if message is None else f" for object {message.io_address}"
            self.say({"refused": f"{cause.name}{about}"})

        strange.__annotations__ = {
            "server": c104.Server,
            "message": c104.IncomingMessage,
            "cause": c104.Umc,
            "return": None,
        }

        def clock(server: Any, ip: str, date_time: Any) -> Any:
            del server, ip
            self.say({"clock": int(date_time.timestamp() * 1000) * 1_000_000})
            return c104.ResponseState.SUCCESS

        clock.__annotations__ = {
            "server": c104.Server,
            "ip": str,
            "date_time": dt.datetime,
            "return": c104.ResponseState,
        }
        self._kept = [received, connecting, strange, clock]
        self.server.on_connect(callable=connecting)
        self.server.on_unexpected_message(callable=strange)
        self.server.on_clock_sync(callable=clock)
        for address in addresses:
            point = station.add_point(io_address=address, type=kind, command_mode=mode)
            point.on_receive(callable=received)
            self.points[address] = point

    def _security(self, given: argparse.Namespace) -> Any:
        if given.tls_certificate is None:
            return None
        security = self._c104.TransportSecurity(validate=True, only_known=bool(given.tls_peer))
        security.set_certificate(cert=given.tls_certificate, key=given.tls_key)
        security.set_ca_certificate(cert=given.tls_ca)
        for peer in given.tls_peer:
            security.add_allowed_remote_certificate(cert=peer)
        security.set_version(min=self._c104.TlsVersion.TLS_1_2, max=self._c104.TlsVersion.TLS_1_2)
        return security

    def _read(self, ended: threading.Event) -> None:
        """Take the parent's lines; its end is our end."""
        for line in sys.stdin:
            try:
                said = json.loads(line)
                if said.get("end"):
                    break
                if "answer" in said:
                    told = self._answers.get(int(said["answer"]))
                    if told is not None:
                        told.put_nowait(bool(said["ok"]))
                elif "point" in said:
                    self.measure(int(said["point"]), float(said["value"]), good=bool(said["good"]))
            except (ValueError, TypeError, KeyError, AttributeError, queue.Full):
                continue
        ended.set()


def arguments() -> argparse.ArgumentParser:
    """The program's own arguments."""
    made = argparse.ArgumentParser(prog="python -m gigafactory.adapters.channels.iec104")
    made.add_argument("--host", default="127.0.0.1")
    made.add_argument("--port", type=int, default=2404)
    made.add_argument("--common-address", type=int, default=1)
    made.add_argument("--connections", type=int, default=1)
    made.add_argument("--commands", type=int, nargs="*", default=[])
    made.add_argument("--measured", type=int, nargs="*", default=[])
    made.add_argument("--select", action="store_true")
    made.add_argument("--select-ms", type=int, default=10_000)
    made.add_argument("--timed", action="store_true")
    made.add_argument("--report-ms", type=int, default=4000)
    made.add_argument("--t3", type=int, default=20)
    made.add_argument("--allow", nargs="*", default=[])
    made.add_argument("--tls-certificate")
    made.add_argument("--tls-key")
    made.add_argument("--tls-ca")
    made.add_argument("--tls-peer", nargs="*", default=[])
    return made


def main() -> int:
    """Run the outstation; 2 when its library is missing or it cannot listen."""
    given = arguments().parse_args()
    try:
        import c104
    except ImportError:
        why = 'c104 is not installed; run: pip install "gigafactory[iec104]"'
        sys.stdout.write(json.dumps({"failed": why}) + "\n")
        return 2
    try:
        Outstation(c104, given).run()
    except (RuntimeError, ValueError) as error:
        sys.stdout.write(json.dumps({"failed": str(error)[:300]}) + "\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
