"""The agent as a process: ``python -m gigafactory.adapters.caps SETTINGS.yaml``."""

from __future__ import annotations

import hmac
import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gigafactory.adapters.caps.agent import CapAgent, CapDriver
from gigafactory.adapters.caps.nvml import NvmlDriver
from gigafactory.adapters.caps.redfish import RedfishDriver, RedfishSettings
from gigafactory.adapters.secrets import Secret, is_loopback
from gigafactory.engine.clock import WallClock
from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.factory.blocks import Block, Text, setting
from gigafactory.factory.quantities import Count, PowerW
from gigafactory.factory.validating import load_checked
from gigafactory.plant.ports import Setpoint

_BODY_MOST = 4096


class AgentSettings(Block):
    """Settings of the agent."""

    host: Text = setting("Address to listen on.", "127.0.0.1")
    port: Count = setting("Port to listen on; 0 takes a free one.", 0)
    token: Secret = setting("Where the token is that callers must show.")
    certificate: Text | None = setting("PEM file; needed where not on loopback.", None)
    key: Text | None = setting("PEM file of the certificate's key.", None)
    safe_w: dict[Text, PowerW] = setting(
        "Each device's cap when nobody asks for another.", key="safe"
    )
    redfish: RedfishSettings | None = setting("A controller; none: NVML on this node.", None)
    password: Secret | None = setting("Where the controller's password is.", None)


def _driver(settings: AgentSettings) -> CapDriver:
    if settings.redfish is not None:
        if settings.password is None:
            raise refuse("settings", "password", None, "a controller asks for one")
        return RedfishDriver(settings.redfish, settings.password.read("password"))
    driver = NvmlDriver()
    if driver.trouble:
        raise BadInput([Problem("settings", "redfish", "", driver.trouble)])
    return driver


class _Door(BaseHTTPRequestHandler):
    agent: CapAgent
    token: str

    def do_GET(self) -> None:
        """Tell the caps."""
        if self._known():
            self._say(200, {"caps": self.agent.caps()})

    def do_POST(self) -> None:
        """Take a set point."""
        if not self._known():
            return
        try:
            length = int(self.headers.get("Content-Length", "0"))
            if not 0 < length <= _BODY_MOST:
                raise ValueError("too long")
            told = json.loads(self.rfile.read(length))
            setpoint = Setpoint(
                str(told["key"]), str(told["point"]), float(told["value"]), str(told["unit"]),
                int(told["valid_until_ns"]),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError):
            self._say(400, {"outcome": "refused", "why": "is no set point"})
            return
        receipt = self.agent.apply(setpoint)
        self._say(200, {"outcome": receipt.outcome, "why": receipt.why})

    def _known(self) -> bool:
        shown = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if hmac.compare_digest(shown.encode(), self.token.encode()):
            return True
        self._say(401, {"outcome": "refused", "why": "unknown token"})
        return False

    def _say(self, status: int, told: dict[str, Any]) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing on the terminal."""


def serve(settings: AgentSettings) -> None:
    """Set caps until told to stop; the port is said on stdout.

    Raises:
        BadInput: a secret is missing, there is no device, or it would listen in the open.
    """
    if not is_loopback(settings.host) and settings.certificate is None:
        why = "outside loopback the agent needs a certificate and a key"
        raise BadInput([Problem("settings", "certificate", settings.host, why)])
    agent = CapAgent(_driver(settings), settings.safe_w, WallClock().now_ns)
    door = type("Door", (_Door,), {"agent": agent, "token": settings.token.read("token")})
    server = ThreadingHTTPServer((settings.host, settings.port), door)
    if settings.certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(settings.certificate, settings.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    agent.start()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    turn = threading.Event()
    while not turn.wait(0.5):
        agent.turn()


def main(arguments: list[str]) -> int:
    """Run the agent; 2 where the settings are wrong."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m gigafactory.adapters.caps SETTINGS.yaml\n")
        return 2
    try:
        serve(load_checked(Path(arguments[0]), arguments[0], AgentSettings))
    except BadInput as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
