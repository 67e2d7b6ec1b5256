"""From records of ours to the library's messages. Pure."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import shapeshifter_uftp.uftp as uftp
from xsdata.models.datatype import XmlDate, XmlDuration

from gigafactory.adapters.uftp.days import by_isp, instant_text
from gigafactory.adapters.uftp.reading import ANSWERED_BY
from gigafactory.adapters.uftp.settings import UftpSettings
from gigafactory.adapters.uftp.terms import (
    Answer,
    Frame,
    Metered,
    Offer,
    Portfolio,
    Prognosis,
    Record,
    Revocation,
    Test,
)


def message(record: Record, settings: UftpSettings) -> Any:
    """A record of ours as a message of the library."""
    return _MAKERS[type(record)](record, _head(record, settings), settings)


def _head(record: Record, settings: UftpSettings) -> dict[str, Any]:
    head = record.head
    return {
        "version": head.version,
        "sender_domain": settings.domain,
        "recipient_domain": head.party,
        "time_stamp": instant_text(head.stamp_ns),
        "message_id": head.message_id,
        "conversation_id": head.conversation,
    }


def _frame(frame: Frame) -> dict[str, Any]:
    return {
        "isp_duration": XmlDuration(f"PT{frame.isp_min}M"),
        "time_zone": frame.timezone,
        "period": XmlDate.from_date(frame.date),
        "congestion_point": frame.point,
    }


def _answer(record: Answer, head: dict[str, Any], _: UftpSettings) -> Any:
    kind = record.head.kind.removesuffix("Response")
    result = uftp.AcceptedRejected.ACCEPTED if record.accepted else uftp.AcceptedRejected.REJECTED
    values = {**head, "result": result, "rejection_reason": record.why or None}
    if kind in ANSWERED_BY:
        values[ANSWERED_BY[kind]] = record.to
    if kind == "FlexSettlement":
        values["flex_order_settlement_statuses"] = _statuses(record)
    return getattr(uftp, f"{kind}Response")(**values)


def _statuses(record: Answer) -> list[Any]:
    said = record.statuses or (("", record.accepted, record.why),)  # the library wants one
    return [
        uftp.FlexOrderSettlementStatus(
            order_reference=reference or None,
            disposition=(
                uftp.AcceptedDisputed.ACCEPTED if accepted else uftp.AcceptedDisputed.DISPUTED
            ),
            dispute_reason=why or None,
        )
        for reference, accepted, why in said
    ]


def _offer(record: Offer, head: dict[str, Any], settings: UftpSettings) -> Any:
    return uftp.FlexOffer(
        **head,
        **_frame(record.frame),
        expiration_date_time=instant_text(record.expires_ns),
        flex_request_message_id=record.request_id or None,
        unsolicited=None if record.request_id else True,
        contract_id=record.contract or None,
        d_prognosis_message_id=record.prognosis_id or None,
        baseline_reference=None if record.prognosis_id else settings.baseline_reference or None,
        currency="EUR",
        offer_options=[
            uftp.FlexOfferOption(
                option_reference=one.reference,
                price=one.price_eur,
                min_activation_factor=one.least_factor,
                isps=[
                    uftp.FlexOfferOptionISP(start=s, duration=d, power=p) for s, d, p in one.spans
                ],
            )
            for one in record.options
        ],
    )


def _prognosis(record: Prognosis, head: dict[str, Any], _: UftpSettings) -> Any:
    return uftp.DPrognosis(
        **head,
        **_frame(record.frame),
        revision=record.revision,
        isps=[uftp.DPrognosisISP(start=s, duration=d, power=p) for s, d, p in record.spans],
    )


def _revocation(record: Revocation, head: dict[str, Any], _: UftpSettings) -> Any:
    return uftp.FlexOfferRevocation(**head, flex_offer_message_id=record.offer_id)


def _metered(record: Metered, head: dict[str, Any], settings: UftpSettings) -> Any:
    assert settings.meter is not None, "metering is sent for a meter"
    powers = by_isp(record.spans)
    profile = uftp.MeteringProfile(
        profile_type=uftp.MeteringProfileEnum.POWER,
        unit=uftp.MeteringUnit.K_W,
        isps=[
            uftp.MeteringISP(start=isp, value=Decimal(power).scaleb(-3))
            for isp, power in sorted(powers.items())
        ],
    )
    return uftp.Metering(
        **head,
        profiles=[profile],
        revision=record.revision,
        isp_duration=XmlDuration(f"PT{settings.isp_min}M"),
        time_zone=settings.timezone,
        period=XmlDate.from_date(record.date),
        ean=settings.meter,
    )


def _portfolio(record: Portfolio, head: dict[str, Any], settings: UftpSettings) -> Any:
    period = XmlDate.from_date(record.date)
    if record.head.kind == "AgrPortfolioQuery":
        return uftp.AgrPortfolioQuery(**head, time_zone=settings.timezone, period=period)
    connection = uftp.AgrPortfolioUpdateConnection(
        entity_address=settings.connection, start_period=period
    )
    return uftp.AgrPortfolioUpdate(**head, time_zone=settings.timezone, connections=[connection])


def _test(_: Test, head: dict[str, Any], __: UftpSettings) -> Any:
    return uftp.TestMessage(**head)


_MAKERS: Final[dict[type, Callable[..., Any]]] = {
    Answer: _answer,
    Offer: _offer,
    Prognosis: _prognosis,
    Revocation: _revocation,
    Metered: _metered,
    Portfolio: _portfolio,
    Test: _test,
}
