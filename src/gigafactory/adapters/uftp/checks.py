"""May this message, this request, this order stand? Reasons in the specification's own words.

Each check gives the reasons against, joined by a semicolon, and an empty text when there are none
(Shapeshifter UFTP 3.1.0, message validation and validate phase). Pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from gigafactory.adapters.uftp.book import Book, OfferEntry, scaled
from gigafactory.adapters.uftp.days import Day, Span, by_isp, day_of, faults
from gigafactory.adapters.uftp.settings import Contract, UftpSettings
from gigafactory.adapters.uftp.terms import Frame, Head, Option, Order, Request
from gigafactory.engine.errors import BadInput
from gigafactory.grid.calendar import utc_text
from gigafactory.units import NS_PER_S

#: Who may send what.
FROM_DSO: Final = frozenset(
    {
        "FlexRequest",
        "FlexOrder",
        "FlexReservationUpdate",
        "FlexSettlement",
        "FlexOfferResponse",
        "FlexOfferRevocationResponse",
        "DPrognosisResponse",
        "MeteringResponse",
        "TestMessage",
        "TestMessageResponse",
    }
)
FROM_CRO: Final = frozenset(
    {
        "AgrPortfolioQueryResponse",
        "AgrPortfolioUpdateResponse",
        "TestMessage",
        "TestMessageResponse",
    }
)
_CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of looking at an order.

    Attributes:
        why: reasons against; empty when it stands.
        asked_w: deviation ordered by ISP, W.
        contract: the contract it comes under, where it comes unasked.
    """

    why: str
    asked_w: Mapping[int, int]
    contract: Contract | None = None


def joined_reasons(*reasons: str) -> str:
    """Reasons as one text."""
    return "; ".join(one for one in reasons if one)


def head_reasons(head: Head, inner_domain: str, settings: UftpSettings) -> str:
    """Reasons against a message whatever it says."""
    reasons = []
    if inner_domain != head.party:
        reasons.append("Mismatch SenderDomain: the wrapper and the message name different ones")
    if head.recipient != settings.domain:
        reasons.append(f"Unknown RecipientDomain: {head.recipient}")
    if head.kind not in (FROM_DSO if head.role == "DSO" else FROM_CRO):
        reasons.append(f"Invalid Message: {head.kind} is not for a {head.role} to send to an AGR")
    if head.stamp_ns > head.at_ns + settings.ahead_s * NS_PER_S:
        reasons.append(f"Invalid Message: TimeStamp lies in the future ({utc_text(head.stamp_ns)})")
    if head.stamp_ns < head.at_ns - settings.age_s * NS_PER_S:
        reasons.append(f"Invalid Message: TimeStamp is too old ({utc_text(head.stamp_ns)})")
    if not head.version.startswith("3."):
        reasons.append(f"Invalid Message: version {head.version} is not one of 3.x.x")
    return joined_reasons(*reasons)


def frame_reasons(frame: Frame, settings: UftpSettings) -> str:
    """Reasons against the day, time zone, ISP length and congestion point of a message."""
    reasons = []
    if frame.isp_min != settings.isp_min:
        reasons.append(f"ISP duration rejected: it is {settings.isp_min} minutes here")
    if frame.point != settings.congestion_point:
        reasons.append("Invalid CongestionPoint")
    try:
        theirs = day_of(frame.date, frame.timezone, settings.isp_min)
    except BadInput:
        return joined_reasons(*reasons, f"TimeZone rejected: {frame.timezone} is unknown")
    ours = day_of(frame.date, settings.timezone, settings.isp_min)
    if (theirs.begin_ns, theirs.count) != (ours.begin_ns, ours.count):
        reasons.append(f"TimeZone rejected: it is {settings.timezone} here")
    return joined_reasons(*reasons)


def request_reasons(request: Request, settings: UftpSettings) -> str:
    """Reasons against a request."""
    framed = frame_reasons(request.frame, settings)
    if framed:
        return framed
    day = day_of(request.frame.date, settings.timezone, settings.isp_min)
    spread = faults([(one.start, one.duration) for one in request.wanted], day)
    if spread:
        return spread
    reasons = []
    now_ns = request.head.at_ns
    asked = [one for one in request.wanted if one.requested]
    if not asked:
        reasons.append("Lacking Requested Disposition")
    if any(one.low_w < 0 < one.high_w for one in asked):
        reasons.append("Requested Power discrepancy")
    if any(one.low_w > one.high_w for one in request.wanted):
        reasons.append("Power discrepancy")
    if day.end_ns <= now_ns:
        reasons.append("Period out of bounds: it is past")
    last = max((one.start + one.duration for one in asked), default=day.count + 1)
    if not now_ns < request.expires_ns <= day.start_ns(last):
        reasons.append("ExpirationDateTime out of bounds")
    if request.contract and settings.contract(request.contract, request.head.party) is None:
        reasons.append(f"Unknown ContractID: {request.contract}")
    return joined_reasons(*reasons)


def order_judged(
    order: Order, book: Book, room_w: Mapping[int, int], settings: UftpSettings
) -> Judged:
    """Whether an order may stand, and what it asks.

    Args:
        order: as it came.
        book: what came before it.
        room_w: less import that can still be promised, by ISP; an ISP that is not there is unknown.
        settings: of the gateway.
    """
    framed = frame_reasons(order.frame, settings)
    if framed:
        return Judged(framed, {})
    day = day_of(order.frame.date, settings.timezone, settings.isp_min)
    spread = faults([(one.start, one.duration) for one in order.spans], day)
    if spread:
        return Judged(spread, {})
    reasons = []
    first_ns = day.start_ns(min(one.start for one in order.spans))
    if first_ns < order.head.at_ns:
        reasons.append(f"Period out of bounds: ISPs that began at {utc_text(first_ns)}")
    if order.currency != "EUR":
        reasons.append(f"Invalid Message: currency {order.currency}")
    if book.by_reference(order.head.party, order.reference):
        reasons.append(f"Duplicate OrderReference: {order.reference}")
    if order.offer_id:
        why, asked = _on_offer(order, book, settings)
        return Judged(joined_reasons(*reasons, why), asked)
    contract = settings.contract(order.contract, order.head.party)
    if contract is None:
        reasons.append(f"Unknown ContractID: {order.contract or 'none'}")
        return Judged(joined_reasons(*reasons), {})
    asked = by_isp(scaled(order.spans, order.factor))
    why = _under_contract(order, asked, contract, day, book, room_w, settings)
    return Judged(joined_reasons(*reasons, why), asked, contract)


def _on_offer(order: Order, book: Book, settings: UftpSettings) -> tuple[str, Mapping[int, int]]:
    entry = book.offers.get(order.offer_id)
    if entry is None or entry.offer.head.party != order.head.party:
        return f"Unknown FlexOfferMessageID reference: {order.offer_id}", {}
    offer = entry.offer
    standing = _standing(entry, order.head.at_ns)
    reasons = [standing] if standing else []
    if offer.frame.date != order.frame.date:
        reasons.append("Reference Period mismatch")
    if settings.prognosis and order.prognosis_id and order.prognosis_id != offer.prognosis_id:
        reasons.append(f"Unknown D-PrognosisMessageID reference: {order.prognosis_id}")
    if order.contract and order.contract != offer.contract:
        reasons.append(f"Unknown ContractID: {order.contract}")
    option = _option(offer.options, order.option)
    if option is None:
        return joined_reasons(*reasons, f"Unknown OptionReference: {order.option or 'none'}"), {}
    if order.factor < option.least_factor:
        reasons.append(
            f"ActivationFactor {order.factor} is below MinActivationFactor {option.least_factor}"
        )
    asked, why = matched(order.spans, option, order.factor)
    if why:
        reasons.append(why)
    due = option.price_eur * order.factor
    if abs(order.price_eur - due) >= _CENT:
        reasons.append(f"Price mismatch: {due:.4f} was offered for this")
    return joined_reasons(*reasons), asked


def _standing(entry: OfferEntry, at_ns: int) -> str:
    if entry.revocation:
        return "Reference message revoked"
    if entry.ordered_by:
        return f"Flexibility procured already by order {entry.ordered_by}"
    if entry.answered is False:
        return "Reference message rejected: this offer was not taken as one"
    if at_ns > entry.offer.expires_ns:
        return f"Reference message expired at {utc_text(entry.offer.expires_ns)}"
    return ""


def _option(options: tuple[Option, ...], reference: str) -> Option | None:
    if not reference and len(options) == 1:
        return options[0]
    return next((one for one in options if one.reference == reference), None)


def matched(
    spans: tuple[Span, ...], option: Option, factor: Decimal
) -> tuple[Mapping[int, int], str]:
    """What an order asks of an option, and the reason against it.

    The ISP list must be the option's. With an activation factor below 1 its powers are the
    option's, copied (message catalogue), or those times the factor (flexibility trading): the
    specification says both, and what is asked is the same.

    Returns:
        Deviation by ISP, W, the factor applied, and the reason; empty when it matches.
    """
    mine, theirs = sorted(option.spans), sorted(spans)
    if [one[:2] for one in mine] != [one[:2] for one in theirs]:
        return {}, "ISP mismatch"
    at_factor = scaled(option.spans, factor)
    if theirs not in (mine, sorted(at_factor)):
        return {}, "Power mismatch"
    return by_isp(at_factor), ""


def _under_contract(
    order: Order,
    asked: Mapping[int, int],
    contract: Contract,
    day: Day,
    book: Book,
    room_w: Mapping[int, int],
    settings: UftpSettings,
) -> str:
    capacity = round(contract.capacity_mw * 1e6)
    if any(power >= 0 for power in asked.values()):
        return "Power value rejection: an order under this contract asks less import (below 0)"
    if contract.kind == "atr":
        over = any(-power > capacity for power in asked.values())
        return f"Power value rejection: the right is {capacity} W" if over else ""
    reasons = []
    already = book.contract_w(contract.id, day.date)
    if any(-power + already.get(isp, 0) > capacity for isp, power in asked.items()):
        reasons.append(f"Power value rejection: the contract's power is {capacity} W")
    first_ns = day.start_ns(min(asked))
    if first_ns - order.head.at_ns < contract.notice_s * NS_PER_S:
        reasons.append(f"Period out of bounds: notice is {contract.notice_s:g} s")
    if contract.hours_max is not None:
        isps = book.contract_isps(contract.id, day.date.year)
        isps |= {(day.date, isp) for isp in asked}
        if len(isps) * settings.isp_min / 60.0 > contract.hours_max:
            reasons.append(f"Contract exhausted: {contract.hours_max:g} hours a year")
    reserved = book.reserved_w(day.date)  # what is kept for calls may be called
    short = [
        isp
        for isp, power in asked.items()
        if isp in room_w and -power > room_w[isp] + reserved.get(isp, 0)
    ]
    if short:
        reasons.append(f"Power value rejection: more than the site can give in ISP {short[0]}")
    return joined_reasons(*reasons)
