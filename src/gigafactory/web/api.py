"""The application: routes, errors, the door around them and what the OpenAPI page says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

import gigafactory
from gigafactory.adapters.store import KeyConflict, Store, StoreTrouble
from gigafactory.adapters.store.records import Token
from gigafactory.engine.clock import Clock
from gigafactory.factory.models import Factory
from gigafactory.runtime.apisettings import ApiSettings
from gigafactory.web.admission import Admission
from gigafactory.web.desk import Desk
from gigafactory.web.edge import Edge, Guard
from gigafactory.web.identity import Checker, Gate, Who
from gigafactory.web.oidc import Provider
from gigafactory.web.problems import Refusal, answer, of_http, of_validation, request_id
from gigafactory.web.routes.grid import grid_router
from gigafactory.web.routes.open import Readiness, Streams, events_router, health_router
from gigafactory.web.routes.operator import operator_router
from gigafactory.web.routes.partner import partner_router
from gigafactory.web.routes.people import people_router
from gigafactory.web.routes.work import Sums, work_router
from gigafactory.web.shapes import ProblemBody

_LOG = logging.getLogger("gigafactory.web")

_ABOUT: Final = """
Hand in work, see why it waits, set limits, answer the grid, and check what was done.

* **Who you are**: `Authorization: Bearer <token>`, a token made by the administrator or one of an
  identity provider named in the settings. Each route lists the roles that may use it (`x-roles`).
* **Changes** carry an `Idempotency-Key`: send the same request again after a lost answer, and it is
  carried out once.
* **Errors** are problem details (RFC 9457) with every problem at once. What is another's looks like
  what does not exist.
* **Lists** come in pages: give `next` as `after`.
* Instants are text in UTC, powers in MW, money as written.
"""
_TAGS: Final = [
    {"name": "work", "description": "Hand in, watch, explain, cancel; budget and receipts."},
    {
        "name": "operator",
        "description": "Status, limits, orders, offers, overrides, nodes, alarms.",
    },
    {"name": "grid operator", "description": "Its own connections."},
    {"name": "energy partner", "description": "Its own contracts, and the data agreed."},
    {"name": "people", "description": "Tokens and the audit trail."},
    {"name": "events", "description": "Status as it changes."},
    {"name": "health", "description": "For whoever watches the service; open to all."},
]


class OwnTokens:
    """Checks the tokens that the administrator made.

    Args:
        store: which keeps their hashes.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def knows(self, secret: str) -> bool:
        """Whether it may be one: any text that is not a JSON Web Token of a known issuer."""
        return 0 < len(secret) <= 200 and secret.isascii()

    def check(self, secret: str, now_ns: int) -> Who | None:
        """Whose it is."""
        token: Token | None = self._store.token_by_secret(secret, now_ns)
        if token is None:
            return None
        return Who(
            token.label, str(token.role), token.party, f"token:{token.id}", token.expires_ns or 0
        )


def create_app(
    factory: Factory,
    settings: ApiSettings,
    store: Store,
    *,
    clock: Clock | None = None,
    fetch: Mapping[str, Callable[[], Mapping[str, Any]]] | None = None,
) -> FastAPI:
    """The application, ready for a server.

    Args:
        factory: the factory.
        settings: of the interface.
        store: the service's store, open; whoever opened it closes it.
        clock: the time; the wall's when left out.
        fetch: by the name of an identity provider, what gets its keys; over HTTP when left out.
    """
    desk = Desk(factory, settings, store, clock)
    app = FastAPI(
        title="gigafactory",
        openapi_url=None,  # served to who has a token
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    checkers: tuple[Checker, ...] = (Provider(settings.issuers, fetch), OwnTokens(store))
    gate = Gate(checkers, settings.remember_s, desk.now_ns)
    app.state.desk = desk
    app.state.gate = gate
    app.state.admission = Admission(factory, desk.catalogue, settings)
    app.state.sums = Sums()
    app.state.readiness = Readiness()
    app.state.streams = Streams(max(1, settings.limits.streams_per_caller // settings.workers))
    app.router.routes.extend(routes())  # flat: matched in one pass
    _answer_errors(app, desk)
    guard = Guard(settings, gate, desk)
    app.add_middleware(Edge, settings=settings, guard=guard, metrics=desk.metrics)
    app.openapi = described  # type: ignore[method-assign]
    return app


def _answer_errors(app: FastAPI, desk: Desk) -> None:
    """Every error in one shape, none with a trace."""

    def told(request: Request, refusal: Refusal) -> Response:
        return answer(refusal, request.url.path, request_id(request))

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return told(request, error)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return told(request, of_validation(error.errors()))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return told(request, of_http(error))

    async def conflict(request: Request, error: Exception) -> Response:
        assert isinstance(error, KeyConflict)
        why = "This Idempotency-Key came before with another request; use a new one."
        return told(request, Refusal(409, why))

    async def trouble(request: Request, error: Exception) -> Response:
        assert isinstance(error, StoreTrouble)
        return told(request, desk.store_away(error, request_id(request)))

    app.add_exception_handler(Refusal, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(KeyConflict, conflict)
    app.add_exception_handler(StoreTrouble, trouble)


def routes() -> list[APIRoute]:
    """Every route, the busiest first."""
    found = []
    for one in (
        work_router,
        health_router,
        operator_router,
        grid_router,
        partner_router,
        people_router,
        events_router,
    ):
        found += [route for route in one.routes if isinstance(route, APIRoute)]
    return found


@cache
def described() -> dict[str, Any]:
    """The OpenAPI description."""
    schema = get_openapi(
        title="gigafactory",
        version=gigafactory.__version__,
        summary="The interface of an AI gigafactory",
        description=_ABOUT,
        tags=_TAGS,
        routes=routes(),
    )
    parts = schema.setdefault("components", {})
    parts.setdefault("schemas", {}).update(_problem_schemas())
    parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    for unused in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(unused, None)
    return schema


def _problem_schemas() -> dict[str, Any]:
    whole = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    inner = whole.pop("$defs", {})
    return {**inner, ProblemBody.__name__: whole}
