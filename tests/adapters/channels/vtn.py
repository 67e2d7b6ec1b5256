"""A small OpenADR 3.0.1 server (VTN) for tests, over real HTTP on loopback.

It serves what a VEN needs of the specification's openadr3.yaml: `/auth/token`, `/programs`,
`/events`, `/events/{id}`, `/reports`, with OAuth 2 client credentials, bearer tokens that expire
and can be revoked, skip and limit, and problem objects. No public server of OpenADR 3 runs on
Python 3.11, so this one is ours; it shares no code with the client.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

BASE = "/openadr3/3.0.1"


class Vtn:
    """The server; its objects are plain JSON and may be changed at any time."""

    def __init__(self) -> None:
        self.programs: list[dict[str, Any]] = [{"id": "p-1", "programName": "limits"}]
        self.events: dict[str, dict[str, Any]] = {}
        self.reports: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.asked: list[str] = []
        self.fail = 0  # answer so many requests with 500
        self.raw: bytes | None = None  # answer /events with just this
        self.date: Callable[[], str] | None = None  # what to say in the header Date
        self.client = ("ven-1", "s3cret")
        self._serial = 0
        vtn = self

        class Handler(_Handler):
            server_vtn = vtn

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}{BASE}"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join(5.0)

    def new_token(self) -> str:
        self._serial += 1
        token = f"token-{self._serial}"
        self.tokens.add(token)
        return token


class _Handler(BaseHTTPRequestHandler):
    server_vtn: ClassVar[Vtn]

    def log_message(self, *_: Any) -> None:
        return

    def date_time_string(self, timestamp: float | None = None) -> str:
        said = self.server_vtn.date
        return said() if said is not None else super().date_time_string(timestamp)

    def _answer(self, status: int, body: Any) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _problem(self, status: int, title: str) -> None:
        self._answer(status, {"title": title, "status": status})

    def _may(self) -> bool:
        vtn = self.server_vtn
        vtn.asked.append(f"{self.command} {self.path}")
        if vtn.fail > 0:
            vtn.fail -= 1
            self._problem(500, "Internal Server Error")
            return False
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or token not in vtn.tokens:
            self._problem(401, "Unauthorized")
            return False
        return True

    def do_POST(self) -> None:
        vtn = self.server_vtn
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path.removeprefix(BASE)
        if path == "/auth/token":
            form = {k: v[0] for k, v in parse_qs(body.decode()).items()}
            right = (form.get("client_id"), form.get("client_secret")) == vtn.client
            if form.get("grant_type") != "client_credentials" or not right:
                self._answer(400, {"error": "invalid_client"})
                return
            token = {"access_token": vtn.new_token(), "token_type": "Bearer", "expires_in": 3600}
            self._answer(200, token)
        elif path == "/reports" and self._may():
            report = json.loads(body)
            missing = {"programID", "eventID", "clientName", "resources"} - set(report)
            if missing:
                self._problem(400, f"lacks {missing}")
                return
            vtn.reports.append(report)
            self._answer(201, report | {"id": f"r-{len(vtn.reports)}", "objectType": "REPORT"})

    def do_GET(self) -> None:
        if not self._may():
            return
        vtn, parts = self.server_vtn, urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        path = parts.path.removeprefix(BASE)
        if path == "/programs":
            self._page(vtn.programs, query)
        elif path == "/events":
            if vtn.raw is not None:
                self._answer(200, vtn.raw)
                return
            wanted = query.get("programID")
            found = [e for e in vtn.events.values() if wanted in (None, e.get("programID"))]
            self._page(found, query)
        elif path.startswith("/events/"):
            event = vtn.events.get(path.removeprefix("/events/"))
            if event is None:
                self._problem(404, "Not Found")
            else:
                self._answer(200, event)
        else:
            self._problem(404, "Not Found")

    def _page(self, rows: list[dict[str, Any]], query: dict[str, str]) -> None:
        skip, limit = int(query.get("skip", 0)), int(query.get("limit", 50))
        if not 0 <= limit <= 50 or skip < 0:
            self._problem(400, "skip and limit")
            return
        self._answer(200, rows[skip : skip + limit])
