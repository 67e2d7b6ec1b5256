"""Health, readiness, metrics, events and the description of the interface itself."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from gigafactory.adapters.store import StoreTrouble
from gigafactory.units import NS_PER_S
from gigafactory.web import shown
from gigafactory.web.desk import STATUS, Desk
from gigafactory.web.identity import ROLES, Gate, Who
from gigafactory.web.problems import Refusal
from gigafactory.web.routes.common import desk_of, open_to, reply, router, who_of
from gigafactory.web.shapes import Health

health_router = APIRouter(tags=["health"])
events_router = router("events")

_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
#: Between two looks for news, and between two signs of life, s.
_LOOK_S: Final = 1.0
_LIFE_S: Final = 15.0


@health_router.get("/healthz", response_model=Health, summary="Does it answer")
async def healthz() -> Response:
    """It answers. Says nothing of what is behind it."""
    return reply({"status": "ok", "why": []})


class Readiness:
    """Whether the service is ready, looked up at most once a second whoever asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: tuple[int, list[str]] | None = None

    def why_not(self, desk: Desk) -> list[str]:
        """Why it is not ready; empty when it is."""
        with self._lock:
            now_ns = desk.now_ns()
            if self._found is None or now_ns - self._found[0] >= NS_PER_S:
                self._found = (now_ns, desk.not_ready())
            return self._found[1]


@health_router.get(
    "/readyz",
    response_model=Health,
    responses={503: {"model": Health, "description": "Not ready, and why."}},
    summary="Is it ready",
)
def readyz(request: Request) -> Response:
    """The store can be reached, the controller is fresh and no channel is dead."""
    readiness: Readiness = request.app.state.readiness
    why = readiness.why_not(desk_of(request))
    return reply({"status": "not ready" if why else "ok", "why": why}, 503 if why else 200)


@health_router.get("/metrics", include_in_schema=False)
def metrics(request: Request) -> Response:
    """Metrics for Prometheus."""
    who: Who | None = request.scope.get("who")
    if who is not None and who.role not in {"operator", "auditor", "admin"}:
        raise Refusal(403)
    return Response(desk_of(request).metrics.text(), media_type=_TEXT)


@events_router.get("/openapi.json", include_in_schema=False, **open_to(*ROLES))
def openapi(request: Request) -> Response:
    """The description of this interface."""
    return reply(request.app.openapi())


class Streams:
    """How many event streams each token keeps open."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[str, int] = {}

    def enter(self, who: Who) -> None:
        """Count one in.

        Raises:
            Refusal: it has too many open.
        """
        if self._open.get(who.key, 0) >= self._most:
            why = f"This token has {self._most} event streams open already."
            raise Refusal(429, why, headers={"Retry-After": "10"})
        self._open[who.key] = self._open.get(who.key, 0) + 1

    def leave(self, who: Who) -> None:
        """Count one out."""
        left = self._open.get(who.key, 1) - 1
        if left > 0:
            self._open[who.key] = left
        else:
            self._open.pop(who.key, None)


@events_router.get(
    "/events",
    summary="Status as it changes",
    response_class=StreamingResponse,
    **open_to("operator", "auditor"),
)
async def events(request: Request) -> Response:
    """Server-sent events: `status` when the controller says something new, and open `alarms`.

    The stream ends when its token does.
    """
    who = who_of(request)
    streams: Streams = request.app.state.streams
    streams.enter(who)
    return StreamingResponse(
        _told(request, who, streams),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


async def _told(request: Request, who: Who, streams: Streams) -> AsyncIterator[str]:
    desk, gate = desk_of(request), request.app.state.gate
    secret = request.headers["authorization"].partition(" ")[2].strip()
    last_ns, alarms, quiet_s = -1, "", 0.0
    try:
        while await run_in_threadpool(_still, gate, secret, who):
            try:
                found, alarm_text = await run_in_threadpool(_news, desk)
            except StoreTrouble as why:
                desk.metrics.trouble.inc()
                yield _event("trouble", "", {"why": why.why})
                found, alarm_text = None, alarms
            if found is not None and found[0] != last_ns:
                last_ns, quiet_s = found[0], 0.0
                yield _event("status", str(last_ns), {"at": shown.stamp(last_ns)} | dict(found[1]))
            if alarm_text != alarms:
                alarms, quiet_s = alarm_text, 0.0
                yield f"event: alarms\ndata: {alarm_text}\n\n"
            if quiet_s >= _LIFE_S:
                quiet_s = 0.0
                yield ": still here\n\n"
            await asyncio.sleep(_LOOK_S)
            quiet_s += _LOOK_S
    finally:
        streams.leave(who)


def _still(gate: Gate, secret: str, who: Who) -> bool:
    """Whether the token of a stream is still good for what it was good for."""
    try:
        now = gate.remembered(secret) or gate.check(secret)
    except StoreTrouble:
        return True  # told to the stream; a token cannot be revoked while the store is away
    return now is not None and now.role == who.role


def _news(desk: Desk) -> tuple[Any, str]:
    return desk.published(STATUS), json.dumps(desk.open_alarms(), ensure_ascii=False)


def _event(kind: str, event_id: str, body: dict[str, Any]) -> str:
    told = f"id: {event_id}\n" if event_id else ""
    return f"event: {kind}\n{told}data: {json.dumps(body, ensure_ascii=False)}\n\n"
