"""The door: every request gets an id, is measured, bounded, told apart and logged.

Plain ASGI, since it stands in the way of every request: two of the layers a framework offers would
cost as much as the answer itself.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gigafactory.adapters.store import StoreTrouble
from gigafactory.engine.clock import Stopwatch
from gigafactory.runtime.apisettings import ApiSettings, is_loopback
from gigafactory.web.desk import Desk
from gigafactory.web.identity import Gate, Who
from gigafactory.web.limits import Buckets, Verdict, caller_of
from gigafactory.web.logs import ACCESS
from gigafactory.web.metrics import Metrics
from gigafactory.web.problems import Refusal, answer

_LOG = logging.getLogger("gigafactory.web")
_ACCESS = logging.getLogger(ACCESS)
#: Paths that need no token.
PUBLIC: Final = frozenset({"/healthz", "/readyz"})
METRICS: Final = "/metrics"
#: How long the body of a request may take to arrive, s.
_BODY_S: Final = 10.0
#: Characters of a path that are logged.
_PATH_SHOWN: Final = 200
_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
#: Only JSON is served, to programs: a browser may neither guess, embed nor keep it.
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


@dataclass(slots=True)
class _Seen:
    """What is known of a request by the time it is logged."""

    status: int = 0
    bytes_sent: int = 0
    limits: Verdict | None = None


class Guard:
    """Tells who calls, and whether they have asked too much.

    Args:
        settings: of the interface.
        gate: checks tokens.
        desk: for the clock, the alarms and the metrics.
    """

    def __init__(self, settings: ApiSettings, gate: Gate, desk: Desk) -> None:
        limits, share = settings.limits, 1.0 / settings.workers
        self.gate = gate
        self.desk = desk
        self._metrics_for = settings.metrics
        self._addresses = Buckets(
            limits.per_address_per_s * share, limits.per_address_burst * share
        )
        self._tokens = Buckets(limits.per_caller_per_s * share, limits.per_caller_burst * share)
        self._failures = Buckets(
            limits.failures_per_min / 60.0 * share, limits.failures_burst * share
        )

    async def admit(self, scope: Scope, seen: _Seen) -> None:
        """Let a request in, with who it is of in `scope["who"]`.

        Raises:
            Refusal: it is not let in.
        """
        now_ns = self.desk.now_ns()
        address = (scope.get("client") or ("", 0))[0]
        caller = caller_of(address)
        self._count(self._addresses.take(caller, now_ns), "address", seen)
        path = scope["path"]
        if path in PUBLIC:
            return
        if path == METRICS and self._metrics_for != "role":
            if self._metrics_for == "off" or not is_loopback(address):
                raise Refusal(404, "There is no such path.")
            return
        who = await self._who(scope, caller, now_ns)
        scope["who"] = who
        verdict = self._tokens.take(who.key, now_ns)
        seen.limits = verdict
        self._count(verdict, "token", seen)

    async def _who(self, scope: Scope, caller: str, now_ns: int) -> Who:
        secret = _bearer(scope)
        if not secret:
            self._refused("no token")
            raise Refusal(401, "Give a token: Authorization: Bearer <token>.")
        who = self.gate.remembered(secret)
        if who is not None:
            return who
        room = self._failures.look(caller, now_ns)
        if not room.allowed:
            self._refused("failures")
            raise Refusal(
                429,
                "Too many failed authentications from this address.",
                headers={"Retry-After": str(room.wait_s)},
            )
        who = await run_in_threadpool(self.gate.check, secret)
        if who is not None:
            return who
        left = self._failures.take(caller, now_ns)
        self._refused("bad token")
        _LOG.warning("authentication failed", extra={"fields": {"address": caller}})
        if left.left == 0:
            text = f"the address {caller} failed to authenticate too often"
            await run_in_threadpool(self.desk.alarm, "authentication", caller, text)
        raise Refusal(401, "The token is not valid: unknown, ended or revoked.")

    def _count(self, verdict: Verdict, what: str, seen: _Seen) -> None:
        if verdict.allowed:
            return
        seen.limits = verdict
        self._refused(f"rate of {what}")
        raise Refusal(429, headers={"Retry-After": str(verdict.wait_s)})

    def _refused(self, reason: str) -> None:
        self.desk.metrics.refused.labels(reason).inc()


def _bearer(scope: Scope) -> str:
    """The token a request carries; empty without one."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            kind, _, secret = value.decode("latin-1").partition(" ")
            return secret.strip() if kind.lower() == "bearer" else ""
    return ""


class Edge:
    """The outermost layer around the routes.

    Args:
        app: what is inside.
        settings: of the interface.
        guard: lets requests in.
        metrics: where they are counted.
    """

    def __init__(self, app: ASGIApp, settings: ApiSettings, guard: Guard, metrics: Metrics) -> None:
        self._app = app
        self._guard = guard
        self._metrics = metrics
        self._most_bytes = settings.limits.body_kb * 1024
        self._headers = [*_HEADERS, *([_HSTS] if settings.tls is not None else [])]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1003})
                return
            await self._app(scope, receive, send)
            return
        watch, seen = Stopwatch(), _Seen()
        scope["request_id"] = request_id = _request_id(scope)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                message["headers"] = self._with_ours(message["headers"], request_id, seen)
            else:
                seen.bytes_sent += len(message.get("body", b""))
            await send(message)

        self._metrics.open.inc()
        try:
            await self._guard.admit(scope, seen)
            inside = await self._bounded(scope, receive)
            await self._app(scope, inside, sent)
        except Refusal as refusal:
            await self._turn_away(refusal, scope, receive, sent, seen)
        except StoreTrouble as error:  # a token that is not remembered could not be looked up
            away = self._guard.desk.store_away(error, request_id)
            await self._turn_away(away, scope, receive, sent, seen)
        except Exception:
            fields = {"request_id": request_id}
            _LOG.exception("a fault in a request", extra={"fields": fields})
            await self._turn_away(Refusal(500), scope, receive, sent, seen)
        finally:
            self._metrics.open.dec()
            self._note(scope, seen, watch.elapsed_s())

    async def _turn_away(
        self, refusal: Refusal, scope: Scope, receive: Receive, send: Send, seen: _Seen
    ) -> None:
        if seen.status:  # an answer has begun: it can only be broken off
            return
        response: Response = answer(refusal, scope["path"], scope["request_id"])
        await response(scope, receive, send)

    async def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """Take in the body of a request, as long as it is neither too large nor too slow."""
        if scope["method"] not in _WITH_BODY:
            return receive
        for name, value in scope["headers"]:
            if name == b"content-length" and (not value.isdigit() or int(value) > self._most_bytes):
                raise Refusal(413, f"The body may have {self._most_bytes} bytes.")
        try:
            async with asyncio.timeout(_BODY_S):
                body = await self._whole(receive)
        except TimeoutError:
            raise Refusal(400, "The body did not arrive in time.") from None
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        return again

    async def _whole(self, receive: Receive) -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refusal(400, "The caller went away.")
            body += message.get("body", b"")
            if len(body) > self._most_bytes:
                raise Refusal(413, f"The body may have {self._most_bytes} bytes.")
            if not message.get("more_body", False):
                return bytes(body)

    def _with_ours(
        self, given: list[tuple[bytes, bytes]], request_id: str, seen: _Seen
    ) -> list[tuple[bytes, bytes]]:
        headers = [*given, *self._headers, (b"x-request-id", request_id.encode())]
        if seen.limits is not None:
            headers += [
                (b"ratelimit-limit", b"%d" % seen.limits.limit),
                (b"ratelimit-remaining", b"%d" % seen.limits.left),
                (b"ratelimit-reset", b"%d" % seen.limits.wait_s),
            ]
        return headers

    def _note(self, scope: Scope, seen: _Seen, took_s: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        self._metrics.answered(scope["method"], route, seen.status, took_s)
        who: Who | None = scope.get("who")
        fields: dict[str, Any] = {
            "request_id": scope["request_id"],
            "method": scope["method"],
            "path": scope["path"][:_PATH_SHOWN],
            "status": seen.status,
            "ms": round(took_s * 1000.0, 2),
            "bytes": seen.bytes_sent,
            "address": (scope.get("client") or ("", 0))[0],
            "who": who.name if who else "",
            "role": who.role if who else "",
            "party": who.party if who else "",
        }
        _ACCESS.info("request", extra={"fields": fields})


def _request_id(scope: Scope) -> str:
    """The caller's own id where it is one, or else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given = str(value.decode("latin-1"))
            if _GIVEN_ID.fullmatch(given):
                return given
    return secrets.token_hex(8)  # random-ok: names a request in the log, outside every digest
