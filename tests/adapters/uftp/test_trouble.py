"""What a counterpart, an attacker or the world may do to the participant; it runs as a process."""

from __future__ import annotations

import base64
import datetime as dt
import http.client
from collections.abc import Callable
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
import shapeshifter_uftp.uftp as uftp
from nacl.bindings import crypto_sign
from shapeshifter_uftp import transport

from gigafactory.adapters.store.records import OfferState, RequestState
from gigafactory.adapters.store.records import Request as Asked
from gigafactory.adapters.uftp.days import instant_text
from tests.adapters.uftp.counterpart import (
    AGR_DOMAIN,
    CRO_DOMAIN,
    DSO_DOMAIN,
    Keys,
    posted,
    sealed,
)
from tests.adapters.uftp.rig import ASKED_W, BASELINE_W, TODAY, TOMORROW, Rig, local, waited

pytestmark = pytest.mark.slow
BOMB = (
    b'<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;"><!ENTITY z "&y;&y;&y;&y;">]>'
    b'<FlexOrder Version="&z;"/>'
)


def complete(rig: Rig, message: uftp.PayloadMessage, **changes: str) -> uftp.PayloadMessage:
    """A message as the library's client would send it."""
    values = {
        "version": "3.1.0",
        "sender_domain": DSO_DOMAIN,
        "recipient_domain": AGR_DOMAIN,
        "time_stamp": rig.stamp(),
        "message_id": "11111111-2222-4333-8444-555555555555",
        "conversation_id": "11111111-2222-4333-8444-666666666666",
        **changes,
    }
    for name, value in values.items():
        setattr(message, name, value)
    return message


def theirs(rig: Rig) -> int:
    return len([one for one in rig.store.messages("gopacs", direction="in") if "Flex" in one.kind])


def test_a_forged_message_raises_an_alarm_and_does_nothing_else(rig: Rig) -> None:
    before = rig.store.messages("gopacs")
    body = sealed(complete(rig, rig.unasked("CSC-1", -5_000_000, "F-1")), Keys.made().private)
    assert posted(rig.endpoint, body).status_code == 401
    stranger = sealed(
        complete(rig, rig.unasked("CSC-1", -5_000_000, "F-1")), Keys.made().private, "evil.nl"
    )
    assert posted(rig.endpoint, stranger).status_code == 419
    # a sender who is known, in a role that is not
    role = sealed(complete(rig, rig.request()), rig.directory.keys[DSO_DOMAIN].private, role="CRO")
    assert posted(rig.endpoint, role).status_code == 419
    assert [one.kind for one in rig.store.alarms()].count("forged_message") == 1
    assert {one.kind for one in rig.store.alarms()} == {"forged_message", "unknown_sender"}
    assert rig.store.orders() == []
    assert len(rig.store.messages("gopacs")) == len(before)


def test_what_is_no_message_is_refused_before_it_is_parsed(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(bytes_max=20_000)
    rig.begin()
    private = rig.directory.keys[DSO_DOMAIN].private

    def enveloped(inner: bytes) -> bytes:
        envelope = uftp.SignedMessage(
            sender_domain=DSO_DOMAIN,
            sender_role=uftp.UsefRole.DSO,
            body=crypto_sign(inner, base64.b64decode(private)),
        )
        return transport.to_xml(envelope).encode()

    external = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><FlexOrder Version="&x;"/>'
    good = complete(rig, rig.request())
    wrong_number = transport.to_xml(good).replace('Revision="1"', 'Revision="one"').encode()
    wrong_form = transport.to_xml(good).replace("ean.8716", "somewhere ").encode()
    assert posted(rig.endpoint, b"x" * 20_001).status_code == 413
    assert posted(rig.endpoint, sealed(good, private), "application/json").status_code == 400
    for body in (
        b"", b"<", b"\xff\xfe<\x00", BOMB, enveloped(BOMB), enveloped(external),
        enveloped(b"<FlexOrder><unclosed></FlexOrder>"), enveloped(b"<Nothing/>"),
        enveloped(b"<a>" * 50 + b"</a>" * 50), enveloped(wrong_number), enveloped(wrong_form),
        enveloped(b'<?xml version="1.0" encoding="UTF-16"?><TestMessage/>'),
    ):  # fmt: skip
        assert posted(rig.endpoint, body).status_code == 400, body[:80]
    parts = urlsplit(rig.endpoint)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.putrequest("POST", parts.path)
    connection.putheader("Content-Type", "text/xml")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    connection.send(b"0\r\n\r\n")
    assert connection.getresponse().status == 411
    connection.close()
    assert theirs(rig) == 0
    assert rig.offered(rig.request())  # and it goes on


def test_the_same_message_again_gets_the_same_answer_and_does_nothing(rig: Rig) -> None:
    order = rig.unasked("CSC-1", -5_000_000, "C-1")
    answer = rig.ordered(order)
    assert answer.result == "Accepted", answer.rejection_reason
    for _ in range(3):
        before = rig.dso.copies
        rig.say(order)
        waited("the same answer once more", lambda: rig.dso.copies > before)  # noqa: B023
    assert len(rig.store.orders()) == 1
    assert len(rig.dso.of(uftp.FlexOrderResponse)) == 1
    # the same signed words in another envelope are the same message
    body = sealed(order, rig.directory.keys[DSO_DOMAIN].private).replace(b"<Signed", b"\n<Signed")
    assert posted(rig.endpoint, body).status_code == 200
    # the same id with other words is none
    other = rig.unasked("CSC-1", -6_000_000, "C-2", message_id=order.message_id)
    rig.say(other)
    refused = waited(
        "a rejection",
        lambda: [one for one in rig.dso.of(uftp.FlexOrderResponse) if one.result == "Rejected"],
    )
    assert "Duplicate Identifier" in refused[0].rejection_reason
    assert len(rig.store.orders()) == 1
    assert rig.alarms("duplicate_identifier")


def test_orders_that_do_not_fit_their_offer_are_rejected_with_the_reason(rig: Rig) -> None:
    offer = rig.offered(rig.request())
    option = offer.offer_options[0]
    half = [uftp.FlexOrderISP(power=ASKED_W // 2, start=41, duration=8)]
    for reference, changes, reason in (
        ("W-1", {"isps": [uftp.FlexOrderISP(power=ASKED_W, start=41, duration=7)]}, "ISP mismatch"),
        ("W-2", {"isps": half}, "Power mismatch"),
        ("W-3", {"price": option.price + 1}, "Price mismatch"),
        ("W-4", {"activation_factor": Decimal("0.5"), "isps": half, "price": option.price / 2},
         "MinActivationFactor"),
        ("W-5", {"flex_offer_message_id": "11111111-2222-4333-8444-777777777777"},
         "Unknown FlexOfferMessageID"),
        ("W-6", {"isps": [uftp.FlexOrderISP(power=ASKED_W, start=90, duration=8)]},
         "ISPs out of bounds"),
        ("W-7", {"option_reference": "9"}, "Unknown OptionReference"),
        ("W-8", {"congestion_point": "ean.871685900000000099"}, "Invalid CongestionPoint"),
        ("W-9", {"time_zone": "Europe/London"}, "TimeZone rejected"),
        ("W-10", {"currency": "USD"}, "currency"),
    ):  # fmt: skip
        answer = rig.ordered(rig.order(offer, reference, **changes))
        assert answer.result == "Rejected"
        assert reason in answer.rejection_reason
    assert rig.store.orders() == []
    assert rig.ordered(rig.order(offer, "R-1")).result == "Accepted"
    again = rig.ordered(rig.order(offer, "R-2"))
    assert "procured already" in again.rejection_reason
    assert len(rig.store.orders()) == 1


def test_part_of_an_offer_can_be_ordered_where_it_says_so(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(least_factor=0.4)
    rig.begin()
    offer = rig.offered(rig.request())
    price = offer.offer_options[0].price / 2
    factor = Decimal("0.50")
    assert rig.ordered(rig.order(offer, price=price, activation_factor=factor)).result == "Accepted"
    assert [one.order.power_mw for one in rig.store.orders()] == [95.0]


def test_late_and_expired(rig: Rig) -> None:
    def refused(message: uftp.FlexRequest) -> str:
        rig.say(message)
        answer = rig.answer_to(message, uftp.FlexRequestResponse, "flex_request_message_id")
        assert answer.result == "Rejected"
        return str(answer.rejection_reason)

    past = instant_text(rig.now_ns() - 10**9)
    assert "ExpirationDateTime" in refused(rig.request(expiration_date_time=past))
    far = instant_text(local(TOMORROW, 13))  # after the hours asked for
    assert "ExpirationDateTime" in refused(rig.request(expiration_date_time=far))
    offer = rig.offered(rig.request())
    rig.set_clock(local(TODAY, 12))
    assert "expired" in rig.ordered(rig.order(offer)).rejection_reason
    rig.set_clock(local(TOMORROW, 8, 30))
    begun = rig.ordered(rig.unasked("CSC-1", -5_000_000, "L-1"))
    assert "Period out of bounds" in begun.rejection_reason
    # a message that was written days ago, whoever posts it now
    old = complete(rig, rig.unasked("CSC-1", -5_000_000, "L-2"))
    old.time_stamp = instant_text(local(TODAY - dt.timedelta(days=3), 7))
    body = sealed(old, rig.directory.keys[DSO_DOMAIN].private)
    assert posted(rig.endpoint, body).status_code == 200
    answer = rig.answer_to(old, uftp.FlexOrderResponse, "flex_order_message_id")
    assert "too old" in answer.rejection_reason
    assert rig.store.orders() == []


def test_what_is_promised_never_exceeds_what_the_site_can_give(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig()
    rig.begin(least_w=BASELINE_W - 15_000_000)
    first = rig.offered(rig.request())
    assert first.offer_options[0].isps[0].power == ASKED_W
    second = rig.offered(rig.request(revision=2))
    assert second.offer_options[0].isps[0].power == -5_000_000  # what is left
    isps = [uftp.FlexOrderISP(power=-5_000_000, start=41, duration=2)]
    over = rig.ordered(rig.unasked("CSC-1", 0, "C-1", isps=isps))
    assert "more than the site can give" in over.rejection_reason
    assert rig.ordered(rig.order(first, "R-1")).result == "Accepted"
    assert rig.ordered(rig.order(second, "R-2")).result == "Accepted"
    # the second order comes off what the first one left, so both bind together
    assert [one.order.power_mw for one in rig.store.orders()] == [90.0, 85.0]
    beyond = rig.ordered(rig.unasked("CSC-1", -21_000_000, "C-2"))
    assert "contract's power" in beyond.rejection_reason


def test_an_offer_the_site_can_no_longer_give_is_revoked_and_not_to_be_ordered(rig: Rig) -> None:
    offer = rig.offered(rig.request())
    rig.publish(least_w=BASELINE_W - 1_000_000)
    revoked = waited("a revocation", lambda: rig.dso.of(uftp.FlexOfferRevocation))
    assert revoked[0].flex_offer_message_id == offer.message_id
    assert "revoked" in rig.ordered(rig.order(offer)).rejection_reason
    assert rig.store.orders() == []


def test_an_order_before_the_answer_to_its_offer_stands(rig: Rig) -> None:
    rig.dso.offers_taken = False  # it rejects the offer and orders it all the same
    rig.dso._yes = lambda *_, **__: None  # type: ignore[method-assign]
    offer = rig.offered(rig.request())
    assert rig.ordered(rig.order(offer)).result == "Accepted"
    late = uftp.FlexOfferResponse(
        flex_offer_message_id=offer.message_id,
        conversation_id=offer.conversation_id,
        result=uftp.AcceptedRejected.REJECTED,
        rejection_reason="late",
    )
    rig.say(late)
    waited("an alarm", lambda: rig.alarms("rejected"))
    assert len(rig.store.orders()) == 1
    # an answer to what was never said changes nothing
    late.message_id = "11111111-2222-4333-8444-888888888888"
    late.flex_offer_message_id = "11111111-2222-4333-8444-999999999999"
    rig.say(late)
    waited("an alarm", lambda: rig.alarms("unexpected_answer"))


def test_restrictions_of_the_right_by_the_day_before_half_past_eight(rig: Rig) -> None:
    told = rig.ordered(rig.unasked("ATR-1", -30_000_000, "A-1"))  # it is 07:00
    assert told.result == "Accepted", told.rejection_reason
    assert [one.order.power_mw for one in rig.store.orders()] == [110.0]  # 100 firm, 10 of 40 left
    rig.set_clock(local(TODAY, 8, 31))
    late = rig.ordered(rig.unasked("ATR-1", -40_000_000, "A-2"))
    assert late.result == "Rejected"
    assert "08:30" in late.rejection_reason
    assert len(rig.store.orders()) == 1
    unknown = rig.ordered(rig.unasked("ATR-9", -1, "A-3"))
    assert "Unknown ContractID" in unknown.rejection_reason
    assert len(rig.alarms("order_refused")) == 2


def test_a_counterpart_that_is_away_gets_the_same_message_when_it_is_back(rig: Rig) -> None:
    rig.dso.down = True
    order = complete(rig, rig.unasked("CSC-1", -5_000_000, "C-1"))
    body = sealed(order, rig.directory.keys[DSO_DOMAIN].private)
    assert posted(rig.endpoint, body).status_code == 200
    waited("tries", lambda: rig.dso.turned_away >= 6)
    waited("an alarm", lambda: [one for one in rig.store.alarms() if one.kind == "undelivered"])
    assert len(rig.store.orders()) == 1  # binding from when it was taken
    rig.dso.down = False
    assert rig.answer_to(order, uftp.FlexOrderResponse, "flex_order_message_id")
    waited(
        "the alarm to be cleared",
        lambda: not [one for one in rig.store.alarms() if one.kind == "undelivered"],
    )


def test_messages_of_the_wrong_party_or_for_another(rig: Rig) -> None:
    private = rig.directory.keys[CRO_DOMAIN].private
    order = complete(rig, rig.unasked("CSC-1", -5_000_000, "X-1"), sender_domain=CRO_DOMAIN)
    assert posted(rig.endpoint, sealed(order, private, CRO_DOMAIN, "CRO")).status_code == 200
    waited("an alarm", lambda: rig.alarms("message_refused"))
    inside = complete(
        rig,
        rig.unasked("CSC-1", -5_000_000, "X-2"),
        sender_domain="other.nl",
        message_id="11111111-2222-4333-8444-aaaaaaaaaaaa",
    )
    posted(rig.endpoint, sealed(inside, rig.directory.keys[DSO_DOMAIN].private))
    answer = rig.answer_to(inside, uftp.FlexOrderResponse, "flex_order_message_id")
    assert "Mismatch SenderDomain" in answer.rejection_reason
    elsewhere = complete(
        rig,
        rig.unasked("CSC-1", -5_000_000, "X-3"),
        recipient_domain="other.nl",
        message_id="11111111-2222-4333-8444-bbbbbbbbbbbb",
    )
    posted(rig.endpoint, sealed(elsewhere, rig.directory.keys[DSO_DOMAIN].private))
    answer = rig.answer_to(elsewhere, uftp.FlexOrderResponse, "flex_order_message_id")
    assert "Unknown RecipientDomain" in answer.rejection_reason
    assert rig.store.orders() == []


def test_a_settlement_that_is_wrong_is_disputed_with_the_reason(rig: Rig) -> None:
    offer = rig.offered(rig.request())
    order = rig.order(offer)
    assert rig.ordered(order).result == "Accepted"
    forgotten = rig.unasked("CSC-1", -5_000_000, "C-1")
    assert rig.ordered(forgotten).result == "Accepted"
    waited("every answer to be read", rig.quiet)
    rig.set_clock(local(TOMORROW + dt.timedelta(days=1), 0, 10))
    metered = [BASELINE_W + (ASKED_W if 41 <= isp <= 48 else 0) for isp in range(1, 97)]
    rig.publish(metered={TOMORROW: metered})
    waited("metering", lambda: rig.dso.of(uftp.Metering))
    settlement = rig.settlement(order, BASELINE_W, penalty=100, delivered_w=0)
    rig.say(settlement)
    answer = rig.answer_to(settlement, uftp.FlexSettlementResponse, "flex_settlement_message_id")
    said = {one.order_reference: one for one in answer.flex_order_settlement_statuses}
    assert said["O-1"].disposition == "Disputed"
    assert "ActualPower is 90000000 W, not 100000000 W" in said["O-1"].dispute_reason
    assert "not in this settlement" in said["C-1"].dispute_reason
    assert len(rig.alarms("settlement_disputed")) == 2


def test_an_operator_decides_where_the_settings_say_so(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(offers="operator")
    rig.begin()
    request = rig.request()
    rig.say(request)
    rig.answer_to(request, uftp.FlexRequestResponse, "flex_request_message_id")
    waited("the request to be shown", rig.store.offers)
    assert rig.dso.of(uftp.FlexOffer) == []

    def asked(kind: str, key: str) -> Asked:
        body = {"channel": "gopacs", "key": key}
        put = Asked(f"{kind}/{key}", kind, f"gopacs/{key}", body, "why not", "op", rig.now_ns())
        name = rig.store.put_request(put)[0].id

        def settled() -> list[Asked]:
            states = {RequestState.DONE, RequestState.REFUSED}
            return [one for one in rig.store.requests(states) if one.id == name]

        return waited("it to be taken up", settled)[0]

    assert asked("accept_offer", "none").state is RequestState.REFUSED
    assert asked("accept_offer", request.message_id).state is RequestState.DONE
    offer = waited("an offer", lambda: rig.dso.of(uftp.FlexOffer))[0]
    waited("it to be shown", lambda: rig.store.offers()[0].state == OfferState.OFFERED)
    waited("every answer to be read", rig.quiet)
    assert asked("refuse_offer", request.message_id).state is RequestState.DONE
    waited("a revocation", lambda: rig.dso.of(uftp.FlexOfferRevocation))
    assert "revoked" in rig.ordered(rig.order(offer)).rejection_reason
    waited("it to be shown", lambda: rig.store.offers()[0].state == OfferState.WITHDRAWN)
    assert len(rig.dso.of(uftp.FlexOffer)) == 1
