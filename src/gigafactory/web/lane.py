"""A short way from a request to the function that answers it.

FastAPI reads a route's parameters anew at each request, and hands the function to a thread by way
of two libraries; both cost more than most answers. Here what a route takes is worked out once, and
a request that keeps to it goes straight to a few threads. Whatever is in any doubt (a parameter
that does not validate, a repeated one, another type of body) goes FastAPI's own way, which
answers it as its OpenAPI page says: the short way only ever answers what is right.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import partial
from typing import Any, Final

from fastapi import Request
from fastapi.dependencies.models import Dependant
from starlette.responses import Response

#: Threads that answer: as many as the store has connections; more would only wait for those.
THREADS: Final = 8
_JSON: Final = b"application/json"
Handler = Callable[[Request], Awaitable[Response | None]]


class Lane:
    """The threads that answer. Made at the first request of a process, ends with it."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "answer")

    async def run(self, do: Callable[[], Any]) -> Any:
        """What a function gives that may wait for the store."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, do)


_LANE: Final = Lane()


def short_way(call: Callable[..., Any], dependant: Dependant, body: Any) -> Handler | None:
    """A handler that answers requests in the usual form and gives None for the others.

    Args:
        call: the route's function, which answers with a response.
        dependant: what it takes.
        body: the field of its body; None without one.

    Returns:
        None where the route takes what is not known here.
    """
    if dependant.dependencies or dependant.cookie_params or dependant.request_param_name is None:
        return None
    if asyncio.iscoroutinefunction(call) or len(dependant.body_params) > 1:
        return None
    parts = [
        *(_Part("path", one) for one in dependant.path_params),
        *(_Part("query", one) for one in dependant.query_params),
        *(_Part("header", one) for one in dependant.header_params),
    ]
    wanted = dependant.body_params[0].name if dependant.body_params else ""
    given_as = dependant.request_param_name

    async def handle(request: Request) -> Response | None:
        values: dict[str, Any] = {given_as: request}
        for part in parts:
            if not part.take(request, values):
                return None
        if wanted and not _take_body(request, await request.body(), body, wanted, values):
            return None
        answer: Response = await _LANE.run(partial(call, **values))
        return answer

    return handle


class _Part:
    """One parameter of a route."""

    def __init__(self, kind: str, field: Any) -> None:
        self.kind, self.field = kind, field
        self.name, self.alias = field.name, field.alias
        self.many = getattr(field.field_info, "annotation", None)
        self.is_list = str(self.many).startswith(("list", "typing.List"))

    def take(self, request: Request, values: dict[str, Any]) -> bool:
        """Put the value that a request gives; False where it is in doubt."""
        match self.kind:
            case "path":
                given: Sequence[str] = [request.path_params[self.alias]]
            case "query":
                given = (
                    request.query_params.getlist(self.alias)
                    if request.scope["query_string"]
                    else ()
                )
            case _:
                given = request.headers.getlist(self.alias)
        if not given:
            if self.field.field_info.is_required():
                return False
            values[self.name] = copy(self.field.default)
            return True
        if len(given) > 1 and not self.is_list:
            return False
        value, errors = self.field.validate(
            list(given) if self.is_list else given[0], values, loc=(self.kind, self.alias)
        )
        values[self.name] = value
        return not errors


def _take_body(request: Request, raw: bytes, field: Any, name: str, values: dict[str, Any]) -> bool:
    """Put what the body says; False where it is in doubt."""
    if request.headers.get("content-type", "").encode("latin-1") != _JSON:
        return False
    try:
        given = json.loads(raw)
    except ValueError:
        return False
    value, errors = field.validate(given, values, loc=("body",))
    values[name] = value
    return not errors
