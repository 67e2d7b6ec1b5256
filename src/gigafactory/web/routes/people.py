"""The auditor, who reads the audit trail, the administrator, who makes tokens, and who asks."""

from __future__ import annotations

import threading
from typing import Annotated, Final

from fastapi import Path, Request
from starlette.responses import Response

from gigafactory.adapters.store.records import Role, Token
from gigafactory.engine.errors import Problem
from gigafactory.runtime.apisettings import party_problem
from gigafactory.web import shown
from gigafactory.web.identity import ROLES
from gigafactory.web.problems import Refusal, not_found
from gigafactory.web.routes.common import (
    CHANGE,
    PAGE,
    AfterSeq,
    Key,
    Limit,
    desk_of,
    open_to,
    reply,
    router,
    who_of,
)
from gigafactory.web.shapes import AnchorView, AuditView, Page, Self, TokenAsk, TokenMade, TokenView

people_router = router("people")

TokenId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
#: One token at a time is made, so that a request sent twice at once makes one.
_MAKING: Final = threading.Lock()


@people_router.get("/self", response_model=Self, summary="Who am I", **open_to(*ROLES))
def self_(request: Request) -> Response:
    """What the token given stands for."""
    who = who_of(request)
    return reply({"name": who.name, "role": who.role, "party": who.party})


@people_router.get(
    "/audit", response_model=Page[AuditView], summary="Audit trail", **open_to("auditor")
)
def audit(request: Request, after: AfterSeq = 0, limit: Limit = PAGE) -> Response:
    """Every change and every refused one, in order; each line carries the hash of the chain."""
    rows = desk_of(request).store.audit_after(after, limit)
    return reply(shown.page(rows, limit, shown.audit_row, str(rows[-1].seq) if rows else None))


@people_router.get(
    "/audit/anchors",
    response_model=list[AnchorView],
    summary="Daily anchors of the audit trail",
    **open_to("auditor"),
)
def anchors(request: Request) -> Response:
    """The end of the chain on each day.

    Kept elsewhere, a line proves that nothing before it was changed since.
    """
    return reply([shown.anchor(one) for one in desk_of(request).store.anchors()])


@people_router.get(
    "/tokens",
    response_model=list[TokenView],
    summary="List tokens",
    **open_to("admin", "auditor"),
)
def tokens(request: Request) -> Response:
    """Every token that was made, without its secret."""
    return reply([shown.token(one) for one in desk_of(request).store.tokens()])


@people_router.post(
    "/tokens",
    status_code=201,
    response_model=TokenMade,
    summary="Make a token",
    **open_to("admin", errors=CHANGE, again=TokenMade),
)
def make_token(request: Request, key: Key, asked: TokenAsk) -> Response:
    """Make a token; its secret is shown once and kept nowhere.

    A key that came before, or a label that is in use, for the same role, party and end is a
    repeated request, and answered without the secret; for another one it is a conflict. So nothing
    is made twice, whatever the key.
    """
    desk, who = desk_of(request), who_of(request)
    now_ns = desk.now_ns()
    expires_ns = shown.instant_of(asked.expires) if asked.expires else None
    problems = []
    if why := party_problem(asked.role, asked.party, desk.settings, desk.factory):
        problems.append(Problem("body", "party", asked.party, why))
    if expires_ns is not None and expires_ns <= now_ns:
        problems.append(Problem("body", "expires", str(asked.expires), "must be in the future"))
    if problems:
        raise Refusal(422, problems=problems)
    with _MAKING:
        for one in desk.store.tokens():
            if one.label == asked.label and _in_use(one, now_ns):
                same = (one.role, one.party, one.expires_ns) == (
                    asked.role,
                    asked.party,
                    expires_ns,
                )
                if same:
                    return reply(shown.token(one) | {"secret": None})
                why = f"The label {asked.label} is in use for another token; revoke that first."
                raise Refusal(409, why)
        token, secret = desk.store.add_token(
            asked.label,
            Role(asked.role),
            asked.party,
            expires_ns,
            now_ns,
            who.name,
            key=f"{who.key}/{key}",
        )
    return reply(shown.token(token) | {"secret": secret or None}, 201 if secret else 200)


def _in_use(token: Token, now_ns: int) -> bool:
    ended = token.expires_ns is not None and token.expires_ns <= now_ns
    return token.revoked_ns is None and not ended


@people_router.delete(
    "/tokens/{token_id}",
    response_model=TokenView,
    summary="Revoke a token",
    **open_to("admin", errors=CHANGE),
)
def revoke_token(request: Request, token_id: TokenId, key: Key) -> Response:  # noqa: ARG001
    """Revoke a token. It stops working within the seconds for which a checked one is remembered."""
    desk, who = desk_of(request), who_of(request)
    desk.store.revoke_token(token_id, desk.now_ns(), who.name)
    found = next((one for one in desk.store.tokens() if one.id == token_id), None)
    if found is None:
        raise not_found("token")
    request.app.state.gate.forget()
    return reply(shown.token(found))
