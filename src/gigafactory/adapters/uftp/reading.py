"""From the library's messages to records. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import shapeshifter_uftp.uftp as uftp

from gigafactory.adapters.uftp.days import Span, parse_instant
from gigafactory.adapters.uftp.terms import (
    Answer,
    Frame,
    Head,
    Metered,
    Offer,
    Option,
    Order,
    Portfolio,
    Prognosis,
    Record,
    Request,
    Reservation,
    Revocation,
    SettledIsp,
    SettledOrder,
    Settlement,
    Test,
    Wanted,
)


@dataclass(kw_only=True)
class LenientSettlement(uftp.FlexSettlement):  # type: ignore[misc]
    """A FlexSettlement as the specification has it: both lists may be empty.

    The library's class refuses one without orders, and one without contracts.
    """

    class Meta:
        """Its element."""

        name = "FlexSettlement"

    flex_order_settlements: list[uftp.FlexOrderSettlement] = field(
        default_factory=list, metadata={"name": "FlexOrderSettlement", "type": "Element"}
    )
    contract_settlements: list[uftp.ContractSettlement] = field(
        default_factory=list, metadata={"name": "ContractSettlement", "type": "Element"}
    )

    def __post_init__(self) -> None:
        """Nothing more is asked than the schema does."""


def record(message: Any, party: str, role: str, at_ns: int) -> Record:
    """A message of the library as a record.

    Args:
        message: parsed and held to the schema.
        party: domain of the counterpart, from the envelope.
        role: its role, likewise.
        at_ns: received or written, ns UTC.

    Raises:
        ValueError: a value that the schema lets through has no meaning (a date, a duration).
    """
    kind = "FlexSettlement" if isinstance(message, LenientSettlement) else type(message).__name__
    head = Head(
        kind=kind,
        message_id=message.message_id.lower(),
        conversation=message.conversation_id.lower(),
        party=party,
        role=role,
        stamp_ns=parse_instant(message.time_stamp),
        at_ns=at_ns,
        recipient=message.recipient_domain,
        version=message.version,
    )
    maker = _MAKERS.get(kind)
    return maker(head, message) if maker else _answer(head, message)


def _date(value: Any) -> dt.date:
    return dt.date(value.year, value.month, value.day)


def _minutes(duration: Any) -> int:
    """Minutes of an ISO 8601 duration; 0, which no market has, for one of another kind."""
    if duration.negative or duration.years or duration.months or duration.days:
        return 0
    seconds = (duration.hours or 0) * 3600 + (duration.minutes or 0) * 60 + (duration.seconds or 0)
    return 0 if seconds % 60 else int(seconds // 60)


def _frame(message: Any) -> Frame:
    return Frame(
        _date(message.period),
        message.time_zone,
        _minutes(message.isp_duration),
        message.congestion_point,
    )


def _spans(isps: Any) -> tuple[Span, ...]:
    return tuple(Span(one.start, one.duration, one.power) for one in isps)


def _request(head: Head, message: Any) -> Request:
    asked = uftp.AvailableRequested.REQUESTED
    return Request(
        head,
        _frame(message),
        message.revision,
        parse_instant(message.expiration_date_time),
        tuple(
            Wanted(one.start, one.duration, one.min_power, one.max_power, one.disposition == asked)
            for one in message.isps
        ),
        message.contract_id or "",
        message.service_type or "",
    )


def _offer(head: Head, message: Any) -> Offer:
    return Offer(
        head,
        _frame(message),
        parse_instant(message.expiration_date_time),
        (message.flex_request_message_id or "").lower(),
        tuple(
            Option(one.option_reference, one.price, one.min_activation_factor, _spans(one.isps))
            for one in message.offer_options
        ),
        (message.d_prognosis_message_id or "").lower(),
        message.contract_id or "",
    )


def _order(head: Head, message: Any) -> Order:
    return Order(
        head,
        _frame(message),
        message.order_reference,
        _spans(message.isps),
        message.price,
        message.currency,
        (message.flex_offer_message_id or "").lower(),
        message.option_reference or "",
        message.activation_factor,
        message.contract_id or "",
        (message.d_prognosis_message_id or "").lower(),
        bool(message.unsolicited),
    )


def _prognosis(head: Head, message: Any) -> Prognosis:
    return Prognosis(head, _frame(message), message.revision, _spans(message.isps))


def _reservation(head: Head, message: Any) -> Reservation:
    return Reservation(head, _frame(message), message.contract_id, _spans(message.isps))


def _revocation(head: Head, message: Any) -> Revocation:
    return Revocation(head, message.flex_offer_message_id.lower())


def _settlement(head: Head, message: Any) -> Settlement:
    return Settlement(
        head,
        _date(message.period_start),
        _date(message.period_end),
        message.currency,
        tuple(
            SettledOrder(
                one.order_reference or "",
                _date(one.period),
                one.congestion_point,
                one.price,
                one.penalty,
                one.net_settlement,
                tuple(
                    SettledIsp(
                        isp.start,
                        isp.duration,
                        isp.baseline_power,
                        isp.ordered_flex_power,
                        isp.actual_power,
                        isp.delivered_flex_power,
                        isp.power_deficiency,
                    )
                    for isp in one.isps
                ),
                (one.d_prognosis_message_id or "").lower(),
            )
            for one in message.flex_order_settlements
        ),
    )


def _metered(head: Head, message: Any) -> Metered:
    power = uftp.MeteringProfileEnum.POWER
    profile = next((one for one in message.profiles if one.profile_type == power), None)
    if profile is None:
        raise ValueError("a Metering without a Power profile")
    spans = tuple(
        Span(one.start, 1, int((Decimal(one.value) * 1000).to_integral_value()))
        for one in profile.isps
    )
    return Metered(head, _date(message.period), message.revision, spans)


def _portfolio(head: Head, message: Any) -> Portfolio:
    if isinstance(message, uftp.AgrPortfolioUpdate):
        return Portfolio(head, _date(message.connections[0].start_period))
    return Portfolio(head, _date(message.period))


def _test(head: Head, _: Any) -> Test:
    return Test(head)


def _answer(head: Head, message: Any) -> Answer:
    accepted = message.result == uftp.AcceptedRejected.ACCEPTED
    statuses = tuple(
        (
            one.order_reference or "",
            one.disposition == uftp.AcceptedDisputed.ACCEPTED,
            one.dispute_reason or "",
        )
        for one in getattr(message, "flex_order_settlement_statuses", ())
    )
    points = tuple(
        point.entity_address
        for view in getattr(message, "dso_views", ())
        for portfolio in view.dso_portfolios
        for point in portfolio.congestion_points
    )
    return Answer(
        head, answered_id(message), accepted, message.rejection_reason or "", statuses, points
    )


def answered_id(message: Any) -> str:
    """The id of the message that a response answers.

    A TestMessageResponse names none: its conversation stands for it.
    """
    own = type(message).__name__.removesuffix("Response")
    name = ANSWERED_BY.get(own, "")
    return str(getattr(message, name) if name else message.conversation_id).lower()


#: By kind of message, the field in which its response names it.
ANSWERED_BY: Final = {
    "AgrPortfolioQuery": "agr_portfolio_query_message_id",
    "AgrPortfolioUpdate": "agr_portfolio_update_message_id",
    "DPrognosis": "d_prognosis_message_id",
    "FlexOffer": "flex_offer_message_id",
    "FlexOfferRevocation": "flex_offer_revocation_message_id",
    "FlexOrder": "flex_order_message_id",
    "FlexRequest": "flex_request_message_id",
    "FlexReservationUpdate": "flex_reservation_update_message_id",
    "FlexSettlement": "flex_settlement_message_id",
    "Metering": "metering_message_id",
}

_MAKERS: Final[dict[str, Callable[[Head, Any], Record]]] = {
    "FlexRequest": _request,
    "FlexOffer": _offer,
    "FlexOrder": _order,
    "DPrognosis": _prognosis,
    "FlexReservationUpdate": _reservation,
    "FlexOfferRevocation": _revocation,
    "FlexSettlement": _settlement,
    "Metering": _metered,
    "AgrPortfolioQuery": _portfolio,
    "AgrPortfolioUpdate": _portfolio,
    "TestMessage": _test,
}
