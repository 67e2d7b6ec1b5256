"""A simulated board management controller that sets power limits as Redfish does, on loopback.

It holds to what the DMTF's documents ask of the parts used: sessions with a token (DSP0266),
``EnvironmentMetrics`` with ``PowerLimitWatts``, ETags with ``If-Match``, and a task where it takes
its time. It can be told to forget its sessions, to be slow, and to change a limit behind our back.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(slots=True)
class Controller:
    """State of the controller.

    Attributes:
        limit_w: limit of each device, by the path of its resource, W.
        least_w: lowest it takes, W.
        most_w: highest it takes, W.
        password: of the user ``operator``.
        slow: whether a change becomes a task.
        tasks: looks at a task before it ends.
        fails: whether tasks end as exceptions.
        meddles: changes of somebody else that come in before our next one.
        writes: changes that were made.
        url: its address.
    """

    limit_w: dict[str, float]
    least_w: float = 200.0
    most_w: float = 700.0
    password: str = "a password"  # noqa: S105  (of a simulated device)
    slow: bool = False
    tasks: int = 2
    fails: bool = False
    meddles: int = 0
    writes: int = 0
    url: str = ""
    _tokens: set[str] = field(default_factory=set)
    _marks: dict[str, int] = field(default_factory=dict)
    _open: list[tuple[str, float, int]] = field(default_factory=list)

    def forget_sessions(self) -> None:
        """As after a restart of the controller."""
        self._tokens.clear()

    def mark(self, path: str) -> str:
        """The ETag of a resource."""
        return f'"{self._marks.get(path, 0)}"'

    def change(self, path: str, limit_w: float) -> None:
        """Change a limit, whoever does it."""
        self.limit_w[path] = limit_w
        self._marks[path] = self._marks.get(path, 0) + 1
        self.writes += 1


class _Talk(BaseHTTPRequestHandler):
    controller: Controller

    def do_POST(self) -> None:
        """Open a session."""
        told = self._body()
        c = self.controller
        good = told.get("UserName") == "operator" and told.get("Password") == c.password
        if self.path != "/redfish/v1/SessionService/Sessions" or not good:
            self._say(401, {"error": {"message": "no such user"}})
            return
        token = secrets.token_hex(16)  # random-ok: a session of a simulated device
        c._tokens.add(token)
        self._say(201, {}, {"X-Auth-Token": token, "Location": f"{self.path}/1"})

    def do_GET(self) -> None:
        """Tell a resource or a task."""
        c = self.controller
        if not self._known():
            return
        if self.path.startswith("/redfish/v1/TaskService/Tasks/"):
            self._task(int(self.path.rsplit("/", 1)[1]))
            return
        if self.path not in c.limit_w:
            self._say(404, {"error": {"message": "no such resource"}})
            return
        limit = {"SetPoint": c.limit_w[self.path], "AllowableMin": c.least_w,
                 "AllowableMax": c.most_w, "ControlMode": "Manual"}  # fmt: skip
        told = {
            "@odata.type": "#EnvironmentMetrics.v1_3_0.EnvironmentMetrics",
            "@odata.id": self.path,
            "PowerLimitWatts": limit,
        }
        self._say(200, told, {"ETag": c.mark(self.path)})

    def do_PATCH(self) -> None:
        """Change a limit, at once or by a task."""
        c = self.controller
        told = self._body()
        if not self._known():
            return
        if c.meddles > 0:
            c.meddles -= 1
            c.change(self.path, c.limit_w[self.path] - 1.0)
        if self.headers.get("If-Match") != c.mark(self.path):
            self._say(412, {"error": {"message": "changed meanwhile"}})
            return
        limit = float(told["PowerLimitWatts"]["SetPoint"])
        if not c.least_w <= limit <= c.most_w:
            self._say(400, {"error": {"message": "the value is out of range"}})
        elif c.slow:
            c._open.append((self.path, limit, c.tasks))
            number = len(c._open) - 1
            self._say(202, {}, {"Location": f"/redfish/v1/TaskService/Tasks/{number}"})
        else:
            c.change(self.path, limit)
            self._say(200, {})

    def _task(self, number: int) -> None:
        c = self.controller
        path, limit, left = c._open[number]
        c._open[number] = (path, limit, left - 1)
        if left > 0:
            self._say(200, {"TaskState": "Running"})
        elif c.fails:
            self._say(200, {"TaskState": "Exception"})
        else:
            c.change(path, limit)
            self._say(200, {"TaskState": "Completed"})

    def _known(self) -> bool:
        if self.headers.get("X-Auth-Token") in self.controller._tokens:
            return True
        self._say(401, {"error": {"message": "no session"}})
        return False

    def _body(self) -> dict[str, Any]:
        length = int(self.headers.get("Content-Length", "0"))
        told: dict[str, Any] = json.loads(self.rfile.read(length) or b"{}")
        return told

    def _say(self, status: int, told: dict[str, Any], heads: dict[str, str] | None = None) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        for name, value in (heads or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing on the terminal."""


@contextlib.contextmanager
def simulated_controller(paths: tuple[str, ...], limit_w: float = 700.0) -> Iterator[Controller]:
    """A controller with a device at each path, for as long as the block lasts."""
    controller = Controller(dict.fromkeys(paths, limit_w))
    talk = type("Talk", (_Talk,), {"controller": controller})
    server = ThreadingHTTPServer(("127.0.0.1", 0), talk)
    controller.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield controller
    finally:
        server.shutdown()
        server.server_close()
