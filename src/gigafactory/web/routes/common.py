"""What routes share: roles, keys, pages and answers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from gigafactory.adapters.store.records import Request as Change
from gigafactory.adapters.store.records import Role
from gigafactory.web.admission import Admission
from gigafactory.web.desk import Desk
from gigafactory.web.identity import ROLES, Who
from gigafactory.web.lane import short_way
from gigafactory.web.problems import KINDS, Refusal
from gigafactory.web.shapes import ProblemBody
from gigafactory.web.shown import Plain

#: Rows in a page when the caller does not say, and the most it may ask.
PAGE: Final = 100
PAGE_MAX: Final = 1000

Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Your own name for this request, 8 to 200 visible characters: the same key "
        "again gives the same answer and changes nothing more; with another body it is refused.",
        examples=["7f1c2c1e-submit-ward-notes"],
    ),
]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="Most rows of the page.")]
AfterId = Annotated[
    str | None,
    Query(max_length=64, pattern=r"^[A-Za-z0-9_-]+$", description="`next` of the page before."),
]
AfterSeq = Annotated[
    int, Query(ge=0, le=2**53, description="`next` of the page before; 0 for the first.")
]
#: Made once: an encoder made for each answer costs more than a short answer.
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class RoleRoute(APIRoute):
    """A route that looks at the caller's role before anything else, and is closed by default."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """The handler with the look at the role before it."""
        inner = super().get_route_handler()
        short = short_way(self.endpoint, self.dependant, self.body_field)
        allowed = frozenset(roles_of(self))
        changes = bool(self.methods and self.methods & {"POST", "DELETE", "PUT", "PATCH"})

        async def handle(request: Request) -> Response:
            who: Who = request.scope["who"]
            if who.role not in allowed:
                if changes and who.role:
                    desk: Desk = request.app.state.desk
                    detail = {"path": request.url.path, "why": "role"}
                    action = f"{request.method} {self.path}"
                    await run_in_threadpool(desk.audit, who, action, "", "refused", detail)
                raise Refusal(403)
            answer = await short(request) if short is not None else None
            return await inner(request) if answer is None else answer

        return handle


def roles_of(route: APIRoute) -> tuple[str, ...]:
    """The roles that may use a route, as its description names them."""
    return tuple((route.openapi_extra or {}).get("x-roles", ()))


def router(tag: str) -> APIRouter:
    """A router whose routes look at roles."""
    return APIRouter(prefix="/v1", tags=[tag], route_class=RoleRoute)


def open_to(*roles: str, errors: tuple[int, ...] = (), again: type | None = None) -> dict[str, Any]:
    """What a route says of itself: who may use it, and how it may refuse.

    Args:
        roles: that may use it.
        errors: statuses it may answer with beside those that every route has.
        again: shape of the answer, status 200, to a request that was carried out before; None
            where that is the answer to the first as well.
    """
    assert set(roles) <= set(ROLES), roles
    told = {400: "bad-request", 401: "not-authenticated", 403: "not-allowed", 422: "refused"}
    told |= {429: "too-many", 503: "unavailable"}
    told |= {404: "not-found"} if 404 in errors else {}
    told |= {409: "conflict"} if 409 in errors else {}
    told |= {413: "too-large"} if 413 in errors else {}
    before: dict[int, dict[str, Any]] = {}
    if again is not None:
        before[200] = {"description": "It was asked for before; nothing more.", "model": again}
    return {
        "openapi_extra": {"x-roles": list(roles), "security": [{"bearer": []}]},
        "responses": before
        | {
            status: {
                "description": KINDS[kind],
                "content": {"application/problem+json": {"schema": PROBLEM_REF}},
            }
            for status, kind in sorted(told.items())
        },
    }


PROBLEM_REF: Final = {"$ref": f"#/components/schemas/{ProblemBody.__name__}"}
#: A change that may also name something that is not there, or repeat a key.
CHANGE: Final = (404, 409, 413)


def desk_of(request: Request) -> Desk:
    """What every route needs."""
    desk: Desk = request.app.state.desk
    return desk


def admission_of(request: Request) -> Admission:
    """The rules of access."""
    found: Admission = request.app.state.admission
    return found


def who_of(request: Request) -> Who:
    """Who is asking."""
    who: Who = request.scope["who"]
    return who


def reply(body: Plain | list[Any], status: int = 200) -> Response:
    """An answer. Made of plain values already, so it is written as it is."""
    return Response(_encode(body).encode(), status, media_type="application/json")


def ask_for(
    request: Request,
    key: str,
    kind: str,
    target: str,
    reason: str,
    body: Mapping[str, Any] | None = None,
) -> tuple[Change, bool]:
    """Put a change down for the controller to carry out; the store writes its line of audit.

    Raises:
        KeyConflict: the key came before with another change.
    """
    who, desk = who_of(request), desk_of(request)
    return desk.store.put_request(
        Change(
            key=f"{who.key}/{key}",
            kind=kind,
            target=target,
            body=dict(body or {}),
            reason=reason,
            by=who.name,
            at_ns=desk.now_ns(),
            role=Role(who.role),
        )
    )
