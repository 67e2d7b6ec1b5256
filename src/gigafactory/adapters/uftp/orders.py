"""What an order means at the connection: a limit on import per ISP, as `grid.GridOrder`s.

An order on an offer or a capacity-steering call takes its power off what might be imported: the
lower of the baseline and what earlier orders leave. A restriction (ATR, TDTR) takes its power off
the right; `grid.rights` says whether it holds. Pure functions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from gigafactory.adapters.uftp.book import Book, OrderEntry
from gigafactory.adapters.uftp.days import Day, Span, day_of, joined
from gigafactory.adapters.uftp.settings import UftpSettings
from gigafactory.adapters.uftp.terms import CHANNEL, Order
from gigafactory.grid.calendar import MarketCalendar
from gigafactory.grid.ports import GridOrder, OrderKind
from gigafactory.grid.rights import Form, Restriction, TransportRight, TransportRights, rights_on

_FIRM = "firm right"


@dataclass(frozen=True, slots=True)
class Meant:
    """What an accepted order means, W by ISP; kept with our answer.

    Attributes:
        asked_w: deviation ordered.
        baseline_w: baseline as agreed.
        before_w: what might have been imported before it.
        limit_w: import that is left.
        atr: whether it restricts a right.
    """

    asked_w: Mapping[int, int]
    baseline_w: Mapping[int, int]
    before_w: Mapping[int, int]
    limit_w: Mapping[int, int]
    atr: bool = False

    def detail(self) -> dict[str, object]:
        """The same as JSON values, for the store."""
        rows = {
            name: [list(one) for one in joined(powers)]
            for name, powers in (
                ("asked", self.asked_w),
                ("baseline", self.baseline_w),
                ("before", self.before_w),
                ("limit", self.limit_w),
            )
        }
        return {**rows, "atr": self.atr}


def steered(
    order: Order, asked_w: Mapping[int, int], baseline_w: Mapping[int, int], book: Book
) -> Meant | str:
    """What an order on an offer or a capacity-steering call means; a reason without a baseline.

    Args:
        order: accepted by the checks.
        asked_w: deviation ordered, W by ISP.
        baseline_w: baseline of the day, W by ISP.
        book: what was ordered before.
    """
    if not set(asked_w) <= set(baseline_w):
        return "No baseline"
    limits = book.limit_w(order.frame.date)
    baseline = {isp: baseline_w[isp] for isp in asked_w}
    before = {isp: min(power, limits.get(isp, power)) for isp, power in baseline.items()}
    left = {isp: max(before[isp] + asked_w[isp], 0) for isp in asked_w}
    return Meant(asked_w, baseline, before, left)


def restricted(
    order: Order, asked_w: Mapping[int, int], book: Book, settings: UftpSettings
) -> Meant | str:
    """What a restriction of a transport right means; the reason where the rules refuse it.

    Its power is what is taken off the right's capacity (our reading: the profile in which GOPACS
    sends restrictions is not public). It counts as announced when it was received.
    """
    rights = held_rights(settings)
    calendar = _year(order.frame.date.year, settings.timezone, settings.isp_min)
    earlier = [
        one
        for entry in book.orders.values()
        if entry.atr and entry.order.frame.date.year == order.frame.date.year
        for one in _restrictions(entry.order, entry.asked_w, settings)
    ]
    new = _restrictions(order, asked_w, settings)
    before_h = {one.id: one.restricted_before_h for one in settings.contracts if one.kind == "atr"}
    limits = rights.limits(calendar, [*earlier, *new], restricted_before_h=before_h)
    refused = [one.reason for one in limits.refused if one.restriction in new]
    if refused:
        return f"Restriction refused: {refused[0]}"
    day = day_of(order.frame.date, settings.timezone, settings.isp_min)
    left: dict[int, int] = {}
    for isp in asked_w:
        period = calendar.period_at(day.start_ns(isp))
        left[isp] = round(float(limits.limit_mw[period]) * 1e6)
    whole = round(rights.capacity_mw * 1e6)
    baseline = dict.fromkeys(asked_w, whole)
    before = book.limit_w(order.frame.date)
    return Meant(
        asked_w, baseline, {isp: min(whole, before.get(isp, whole)) for isp in asked_w}, left, True
    )


def held_rights(settings: UftpSettings) -> TransportRights:
    """The transport rights of the connection: the firm one and those that can be restricted."""
    firm = [TransportRight(_FIRM, Form.FIRM, settings.firm_mw)] if settings.firm_mw else []
    others = [
        TransportRight(one.id, Form(one.form), one.capacity_mw)
        for one in settings.contracts
        if one.kind == "atr"
    ]
    return TransportRights((*firm, *others), rights_on(dt.date(2026, 1, 1)))


@cache
def _year(year: int, timezone: str, isp_min: int) -> MarketCalendar:
    first = dt.date(year, 1, 1)
    return MarketCalendar.of(first, (dt.date(year + 1, 1, 1) - first).days, timezone, isp_min * 60)


def _restrictions(
    order: Order, asked_w: Mapping[int, int], settings: UftpSettings
) -> list[Restriction]:
    contract = settings.contract(order.contract, order.head.party)
    if contract is None:  # no longer in the settings
        return []
    day = day_of(order.frame.date, settings.timezone, settings.isp_min)
    return [
        Restriction(
            contract.id,
            order.head.at_ns,
            day.start_ns(one.start),
            day.start_ns(one.start + one.duration),
            max(contract.capacity_mw + one.power_w / 1e6, 0.0),
        )
        for one in joined(asked_w)
    ]


def grid_orders(entry: OrderEntry, settings: UftpSettings) -> tuple[GridOrder, ...]:
    """The limits an accepted order sets at the connection, one per stretch of equal power."""
    order = entry.order
    day = day_of(order.frame.date, settings.timezone, settings.isp_min)
    return tuple(
        _limit(order, day, number, one, settings.site)
        for number, one in enumerate(joined(entry.limit_w), 1)
    )


def _limit(order: Order, day: Day, number: int, span: Span, site: str) -> GridOrder:
    return GridOrder(
        key=f"{order.head.message_id}/{number}",
        source=CHANNEL,
        kind=OrderKind.LIMIT,
        point=site,
        power_mw=span.power_w / 1e6,
        issued_ns=order.head.stamp_ns,
        received_ns=order.head.at_ns,
        start_ns=day.start_ns(span.start),
        end_ns=day.start_ns(span.start + span.duration),
    )
