"""Errors as callers read them: problem details (RFC 9457), every problem at once, plainly."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gigafactory.engine.errors import Problem

MEDIA_TYPE: Final = "application/problem+json"
_URN: Final = "urn:gigafactory:problem:"

#: The kinds of problem by their last part of the type, with what each means.
KINDS: Final[Mapping[str, str]] = {
    "bad-request": "The request cannot be read.",
    "not-authenticated": "Give a valid token.",
    "not-allowed": "The role of this token may not do this.",
    "not-found": "There is no such thing, or it is another's.",
    "method": "This path knows no such method.",
    "conflict": "The same Idempotency-Key came with another request.",
    "too-late": "What is asked can no longer be done.",
    "too-large": "The body is too large.",
    "media-type": "The body must be application/json.",
    "refused": "What was given cannot be used; every problem is listed.",
    "too-many": "Too many requests; wait as long as Retry-After says.",
    "fault": "A fault of ours; the request id leads us to it.",
    "unavailable": "The store cannot be reached at present; ask again later.",
}
_BY_STATUS: Final = {
    400: "bad-request",
    401: "not-authenticated",
    403: "not-allowed",
    404: "not-found",
    405: "method",
    409: "conflict",
    413: "too-large",
    415: "media-type",
    422: "refused",
    429: "too-many",
    500: "fault",
    503: "unavailable",
}


class Refusal(HTTPException):
    """An answer that is not what was asked for.

    Args:
        status: of HTTP.
        detail: what is wrong, in a sentence.
        kind: one of `KINDS`; by the status when left out.
        problems: every problem found.
        headers: to send along.
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        kind: str = "",
        problems: Iterable[Problem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.kind = kind or _BY_STATUS[status]
        self.problems = tuple(problems)
        told = detail or KINDS[self.kind]
        super().__init__(status, told, dict(headers or {}))


def not_found(what: str) -> Refusal:
    """The one answer to what is not there and to what is another's: nobody can tell which."""
    return Refusal(404, f"There is no such {what}.")


def body_of(refusal: Refusal, path: str, request_id: str) -> dict[str, Any]:
    """The problem as an object."""
    shown: dict[str, Any] = {
        "type": _URN + refusal.kind,
        "title": HTTPStatus(refusal.status).phrase,
        "status": refusal.status,
        "detail": refusal.detail,
        "instance": path,
        "request_id": request_id,
    }
    if refusal.problems:
        shown["problems"] = [
            {"field": one.field, "value": one.value, "why": one.why} for one in refusal.problems
        ]
    return shown


def answer(refusal: Refusal, path: str, request_id: str) -> Response:
    """The problem as a response."""
    headers = dict(refusal.headers or {})
    if refusal.status == 401:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="gigafactory"')
    if refusal.status == 503:
        headers.setdefault("Retry-After", "2")
    return Response(
        json.dumps(body_of(refusal, path, request_id), ensure_ascii=False),
        status_code=refusal.status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )


def of_http(error: HTTPException) -> Refusal:
    """What the framework refuses (an unknown path, a wrong method), in our shape."""
    kind = _BY_STATUS.get(error.status_code, "bad-request")
    status = error.status_code if error.status_code in _BY_STATUS else 400
    return Refusal(status, KINDS[kind], kind=kind, headers=dict(error.headers or {}))


#: pydantic's own words for common findings, put plainly; the rest keep pydantic's message.
_PLAIN: Final = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "json_invalid": "is not JSON",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
}


def of_validation(errors: Iterable[Mapping[str, Any]]) -> Refusal:
    """What pydantic found wrong with a request: every finding in plain words."""
    problems, unreadable, headers = [], False, False
    for found in errors:
        place, *rest = (str(step) for step in found["loc"])
        headers |= place == "header"
        unreadable |= found["type"] == "json_invalid"
        why = _PLAIN.get(found["type"], str(found["msg"]))
        value = found.get("input")
        shown = str(value) if isinstance(value, str | int | float) else ""
        told = "" if found["type"] in {"missing", "json_invalid"} else shown[:100]
        field = ".".join(rest) if found["type"] != "json_invalid" else ""
        problems.append(Problem(place, field or place, told, why))
    status = 400 if unreadable or headers else 422
    return Refusal(status, problems=problems)


def request_id(request: Request) -> str:
    """The id given to a request at the door."""
    return str(request.scope.get("request_id", ""))
