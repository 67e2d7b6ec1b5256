"""The operator: status, limits, orders, offers, overrides, nodes and alarms."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request
from starlette.responses import Response

from gigafactory.adapters.store.records import OfferState, RequestState
from gigafactory.engine.errors import Problem
from gigafactory.units import NS_PER_S
from gigafactory.web import shown
from gigafactory.web.desk import SCHEDULE, STATUS
from gigafactory.web.problems import Refusal, not_found
from gigafactory.web.routes.common import (
    CHANGE,
    PAGE,
    AfterId,
    AfterSeq,
    Key,
    Limit,
    ask_for,
    desk_of,
    open_to,
    reply,
    router,
)
from gigafactory.web.shapes import (
    AlarmView,
    LimitAsk,
    OfferView,
    OrderView,
    OverrideAsk,
    Page,
    PublishedView,
    RequestView,
    Why,
)

operator_router = router("operator")

Channel = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
ItemKey = Annotated[str, Path(max_length=200, pattern=r"^[A-Za-z0-9._:@-]+$")]
Node = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
_READ = ("operator", "auditor")


def _published(request: Request, kind: str) -> Response:
    desk = desk_of(request)
    found = desk.published(kind)
    if found is None:
        return reply({"kind": kind, "at": None, "age_s": None, "body": {}})
    at_ns, body = found
    age_s = round((desk.now_ns() - at_ns) / NS_PER_S, 3)
    return reply({"kind": kind, "at": shown.stamp(at_ns), "age_s": age_s, "body": dict(body)})


@operator_router.get(
    "/status", response_model=PublishedView, summary="Status of the factory", **open_to(*_READ)
)
def status(request: Request) -> Response:
    """What the controller last said of itself: power, limits, work, nodes and channels."""
    return _published(request, STATUS)


@operator_router.get(
    "/schedule", response_model=PublishedView, summary="Plan of the day", **open_to(*_READ)
)
def schedule(request: Request) -> Response:
    """What the controller last planned."""
    return _published(request, SCHEDULE)


@operator_router.get(
    "/changes",
    response_model=Page[RequestView],
    summary="Changes asked for, and what became of them",
    **open_to(*_READ),
)
def changes(
    request: Request,
    waiting: Annotated[bool, Query(description="Only those not settled yet.")] = False,
    after: AfterId = None,
    limit: Limit = PAGE,
) -> Response:
    """Limits, decisions on offers, overrides and nodes, in order of arrival."""
    states = [RequestState.ASKED] if waiting else None
    rows = desk_of(request).store.requests(states, after, limit)
    return reply(shown.page(rows, limit, shown.request, rows[-1].id if rows else None))


@operator_router.post(
    "/limits",
    status_code=202,
    response_model=RequestView,
    summary="Set a power limit",
    **open_to("operator", errors=CHANGE, again=RequestView),
)
def set_limit(request: Request, key: Key, asked: LimitAsk) -> Response:
    """Hold the import of a connection below a power for a time.

    The controller obeys it beside the grid's limits: the lowest counts.
    """
    desk = desk_of(request)
    now_ns = desk.now_ns()
    start_ns = shown.instant_of(asked.start) if asked.start else None
    end_ns = shown.instant_of(asked.end)
    problems = []
    if asked.point not in desk.factory.sites:
        known = ", ".join(desk.factory.sites)
        problems.append(Problem("body", "point", asked.point, f"is no site; known: {known}"))
    if end_ns is None or end_ns <= now_ns or end_ns <= (start_ns or now_ns):
        problems.append(Problem("body", "end", asked.end, "must be in the future and after start"))
    if problems:
        raise Refusal(422, problems=problems)
    body = {"power_mw": asked.power_mw, "start_ns": start_ns, "end_ns": end_ns}
    found, fresh = ask_for(request, key, "limit", asked.point, asked.reason, body)
    return reply(shown.request(found), 202 if fresh else 200)


@operator_router.delete(
    "/limits/{change_id}",
    status_code=202,
    response_model=RequestView,
    summary="Withdraw a power limit",
    **open_to("operator", errors=CHANGE, again=RequestView),
)
def withdraw_limit(
    request: Request, change_id: Node, key: Key, reason: Annotated[str, Query(max_length=500)] = ""
) -> Response:
    """Take back a limit that an operator set; a grid party's only that party can withdraw."""
    before = desk_of(request).store.request(change_id)
    if before is None or before.kind != "limit":
        raise not_found("limit")
    found, fresh = ask_for(request, key, "withdraw_limit", change_id, reason)
    return reply(shown.request(found), 202 if fresh else 200)


@operator_router.get(
    "/orders", response_model=Page[OrderView], summary="List grid orders", **open_to(*_READ)
)
def orders(
    request: Request,
    source: Annotated[str | None, Query(max_length=64, description="Of this channel only.")] = None,
    current: Annotated[bool, Query(description="Only those in force or to come.")] = False,
    after: AfterSeq = 0,
    limit: Limit = PAGE,
) -> Response:
    """What grid parties told us to do, and what became of it, in order of arrival."""
    desk = desk_of(request)
    now_ns = desk.now_ns() if current else None
    rows = desk.store.orders(now_ns, source=source, after=after, limit=limit)
    return reply(shown.page(rows, limit, shown.order, str(rows[-1].seq) if rows else None))


@operator_router.get(
    "/offers",
    response_model=Page[OfferView],
    summary="List requests for flexibility and our offers",
    **open_to(*_READ),
)
def offers(
    request: Request,
    open_only: Annotated[bool, Query(description="Only those that can still be decided.")] = False,
    after: Annotated[str | None, Query(max_length=400)] = None,
    limit: Limit = PAGE,
) -> Response:
    """What grid parties would buy, what we offer and what became of it."""
    states = (OfferState.REQUESTED, OfferState.OFFERED) if open_only else None
    rows = desk_of(request).store.offers(states=states, after=_place(after), limit=limit)
    cursor = None
    if rows:
        last = rows[-1]
        cursor = f"{last.at_ns}/{last.channel}/{last.key}"
    return reply(shown.page(rows, limit, shown.offer, cursor))


def _place(after: str | None) -> tuple[int, str, str] | None:
    if after is None:
        return None
    parts = after.split("/", 2)
    if len(parts) != 3 or not parts[0].isascii() or not parts[0].isdigit() or len(parts[0]) > 18:
        raise Refusal(422, problems=[Problem("query", "after", after, "is no `next` of a page")])
    return int(parts[0]), parts[1], parts[2]


@operator_router.post(
    "/offers/{channel}/{offer_key}/accept",
    status_code=202,
    response_model=RequestView,
    summary="Let an offer stand",
    **open_to("operator", errors=CHANGE, again=RequestView),
)
def accept_offer(
    request: Request, channel: Channel, offer_key: ItemKey, key: Key, why: Why
) -> Response:
    """Let an offer go out, or stand. The channel checks it again before it is binding."""
    return _decide(request, "accept_offer", channel, offer_key, key, why.reason)


@operator_router.post(
    "/offers/{channel}/{offer_key}/refuse",
    status_code=202,
    response_model=RequestView,
    summary="Refuse to offer",
    **open_to("operator", errors=CHANGE, again=RequestView),
)
def refuse_offer(
    request: Request, channel: Channel, offer_key: ItemKey, key: Key, why: Why
) -> Response:
    """Do not offer, or withdraw an offer that is not binding yet."""
    return _decide(request, "refuse_offer", channel, offer_key, key, why.reason)


def _decide(
    request: Request, kind: str, channel: str, offer_key: str, key: str, reason: str
) -> Response:
    if desk_of(request).store.offer(channel, offer_key) is None:
        raise not_found("offer")
    body = {"channel": channel, "key": offer_key}
    found, fresh = ask_for(request, key, kind, f"{channel}/{offer_key}", reason, body)
    return reply(shown.request(found), 202 if fresh else 200)


@operator_router.post(
    "/overrides",
    status_code=202,
    response_model=RequestView,
    summary="Decide in the controller's place",
    **open_to("operator", errors=CHANGE, again=RequestView),
)
def override(request: Request, key: Key, asked: OverrideAsk) -> Response:
    """Pause, resume, requeue, hold, release or cancel a piece of work; its tenant reads the reason.

    No override lifts a limit of the grid or a guarantee.
    """
    if desk_of(request).store.work(asked.work) is None:
        raise not_found("work")
    body = {"action": asked.action, "work": asked.work}
    found, fresh = ask_for(request, key, "override", asked.work, asked.reason, body)
    return reply(shown.request(found), 202 if fresh else 200)


@operator_router.post(
    "/nodes/{node}/drain",
    status_code=202,
    response_model=RequestView,
    summary="Drain a node",
    **open_to("operator", errors=CHANGE, again=RequestView),
)
def drain(request: Request, node: Node, key: Key, why: Why) -> Response:
    """Let a node finish what runs and take nothing new."""
    found, fresh = ask_for(request, key, "drain", node, why.reason)
    return reply(shown.request(found), 202 if fresh else 200)


@operator_router.post(
    "/nodes/{node}/undrain",
    status_code=202,
    response_model=RequestView,
    summary="Take a node into service again",
    **open_to("operator", errors=CHANGE, again=RequestView),
)
def undrain(request: Request, node: Node, key: Key, why: Why) -> Response:
    """Take a node into service again."""
    found, fresh = ask_for(request, key, "undrain", node, why.reason)
    return reply(shown.request(found), 202 if fresh else 200)


@operator_router.get(
    "/alarms", response_model=Page[AlarmView], summary="List alarms", **open_to(*_READ)
)
def alarms(
    request: Request,
    open_only: Annotated[bool, Query(description="Only those that are open.")] = True,
    after: AfterId = None,
    limit: Limit = PAGE,
) -> Response:
    """What a person should know."""
    rows = desk_of(request).store.alarms(open_only, after, limit)
    return reply(shown.page(rows, limit, shown.alarm, rows[-1].id if rows else None))
