"""The grid operator: its own connections, and nothing of another's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import Path, Request
from starlette.responses import Response

from gigafactory.adapters.store.records import KeptOrder
from gigafactory.grid.ports import OrderKind
from gigafactory.runtime.apisettings import GridOperatorAccess
from gigafactory.units import NS_PER_S
from gigafactory.web import shown
from gigafactory.web.desk import DELIVERY, SCHEDULE, STATUS, TELEMETRY, Desk
from gigafactory.web.problems import not_found
from gigafactory.web.routes.common import (
    PAGE,
    AfterSeq,
    Limit,
    desk_of,
    open_to,
    reply,
    router,
    who_of,
)
from gigafactory.web.shapes import (
    ConnectionView,
    DeliveryView,
    MessageView,
    OrderView,
    Page,
    PublishedView,
    ScheduleView,
)

grid_router = router("grid operator")

Point = Annotated[str, Path(max_length=64, description="Connection, as the site is named.")]
ChannelName = Annotated[str, Path(max_length=64, description="Channel that it speaks on.")]
_NOTHING: Final = GridOperatorAccess(points=())
_ALL: Final = ("operator", "auditor")


def _access(request: Request) -> GridOperatorAccess:
    """What the caller may see: a grid operator its own, those who run and audit the factory all.

    A party that the settings no longer name sees nothing.
    """
    desk = desk_of(request)
    if who_of(request).role in _ALL:
        return GridOperatorAccess(points=tuple(desk.factory.sites), channels=desk.channels())
    return desk.settings.grid_operators.get(who_of(request).party, _NOTHING)


def _own(request: Request, point: str) -> str:
    if point not in _access(request).points:
        raise not_found("connection")
    return point


def _rows(found: Any) -> list[dict[str, Any]]:
    """What was published as a list of objects; empty where it was not."""
    if not isinstance(found, list | tuple):
        return []
    return [dict(row) for row in found if isinstance(row, Mapping)]


def _at(desk: Desk, kind: str) -> str | None:
    found = desk.published(kind)
    return None if found is None else shown.stamp(found[0])


@grid_router.get(
    "/grid/connections",
    response_model=list[ConnectionView],
    summary="Own connections",
    **open_to("grid_operator", *_ALL),
)
def connections(request: Request) -> Response:
    """What each connection may take and takes."""
    desk = desk_of(request)
    found = []
    for point in _access(request).points:
        line = desk.factory.sites[point].connection
        now = desk.part(STATUS, "points", point)
        now = now if isinstance(now, Mapping) else {}
        found.append(
            {
                "point": point,
                "voltage_kv": line.voltage_kv,
                "capacity_mva": line.capacity_mva,
                "firm_mw": line.firm_mw,
                "export_mw": line.export_mw,
                "power_mw": now.get("power_mw"),
                "limit_mw": now.get("limit_mw"),
                "at": _at(desk, STATUS),
            }
        )
    return reply(found)


@grid_router.get(
    "/grid/connections/{point}/schedule",
    response_model=ScheduleView,
    summary="Planned import",
    **open_to("grid_operator", *_ALL, errors=(404,)),
)
def schedule(request: Request, point: Point) -> Response:
    """The import planned per market period.

    The limit of another's order is shown, and not whose it is.
    """
    desk, access = desk_of(request), _access(request)
    periods = [
        {**row, "why": "another order", "source": ""}
        if who_of(request).role not in _ALL and row.get("source", "") not in {"", *access.channels}
        else row
        for row in _rows(desk.part(SCHEDULE, "points", _own(request, point)))
    ]
    return reply({"point": point, "at": _at(desk, SCHEDULE), "periods": periods})


@grid_router.get(
    "/grid/connections/{point}/telemetry",
    response_model=PublishedView,
    summary="Metered power",
    **open_to("grid_operator", *_ALL, errors=(404,)),
)
def telemetry(request: Request, point: Point) -> Response:
    """What was metered at the connection, as last published by the controller.

    Which order holds, and whose, is not told here: several parties may have a say.
    """
    desk = desk_of(request)
    told = desk.part(TELEMETRY, _own(request, point))
    now = desk.part(STATUS, "points", point)
    body = dict(told) if isinstance(told, Mapping) else {}
    if isinstance(now, Mapping):
        body |= {name: now.get(name) for name in ("power_mw", "measured", "limit_mw")}
    found = desk.published(STATUS)
    age_s = None if found is None else round((desk.now_ns() - found[0]) / NS_PER_S, 3)
    return reply({"kind": TELEMETRY, "at": _at(desk, STATUS), "age_s": age_s, "body": body})


def _orders(
    request: Request,
    point: str,
    kinds: tuple[OrderKind, ...],
    now_ns: int | None,
    after: int,
    limit: int,
) -> Response:
    """A page of the orders that came by the caller's own channels for its own connection."""
    desk, access = desk_of(request), _access(request)
    _own(request, point)
    found: list[KeptOrder] = []
    more = False
    for channel in access.channels:
        rows = desk.store.orders(now_ns, source=channel, after=after, limit=limit)
        more |= len(rows) >= limit
        found += rows
    found.sort(key=lambda one: one.seq)
    more |= len(found) > limit
    looked = found[:limit]
    items = [one for one in looked if one.order.point == point and one.order.kind in kinds]
    return reply(
        {
            "items": [shown.order(one) for one in items],
            "next": str(looked[-1].seq) if more and looked else None,
        }
    )


@grid_router.get(
    "/grid/connections/{point}/limits",
    response_model=Page[OrderView],
    summary="Limits in force or to come",
    **open_to("grid_operator", *_ALL, errors=(404,)),
)
def limits(request: Request, point: Point, after: AfterSeq = 0, limit: Limit = PAGE) -> Response:
    """Limits it gave by its own channels.

    A page may hold fewer rows than asked for and still have a next one.
    """
    now_ns = desk_of(request).now_ns()
    kinds = (OrderKind.LIMIT, OrderKind.EMERGENCY)
    return _orders(request, point, kinds, now_ns, after, limit)


@grid_router.get(
    "/grid/connections/{point}/activations",
    response_model=Page[OrderView],
    summary="Every order, and what became of it",
    **open_to("grid_operator", *_ALL, errors=(404,)),
)
def activations(
    request: Request, point: Point, after: AfterSeq = 0, limit: Limit = PAGE
) -> Response:
    """Limits, setpoints and emergencies it sent, taken or refused, in order of arrival.

    A page may hold fewer rows than asked for and still have a next one.
    """
    return _orders(request, point, tuple(OrderKind), None, after, limit)


@grid_router.get(
    "/grid/connections/{point}/delivery",
    response_model=DeliveryView,
    summary="Proof of delivery",
    **open_to("grid_operator", *_ALL, errors=(404,)),
)
def delivery(request: Request, point: Point) -> Response:
    """Per order what was asked, the baseline, what was metered and what was delivered."""
    desk, access = desk_of(request), _access(request)
    rows = _rows(desk.part(DELIVERY, "points", _own(request, point)))
    own = [row for row in rows if row.get("source") in access.channels]
    return reply({"point": point, "at": _at(desk, DELIVERY), "deliveries": own})


@grid_router.get(
    "/grid/channels/{channel}/messages",
    response_model=Page[MessageView],
    summary="Message log",
    **open_to("grid_operator", *_ALL, errors=(404,)),
)
def messages(
    request: Request, channel: ChannelName, after: AfterSeq = 0, limit: Limit = PAGE
) -> Response:
    """Every message on one of its channels, in and out, as it was on the wire."""
    if channel not in _access(request).channels:
        raise not_found("channel")
    rows = desk_of(request).store.messages(channel, after=after, limit=limit)
    return reply(shown.page(rows, limit, shown.message, str(rows[-1].seq) if rows else None))
