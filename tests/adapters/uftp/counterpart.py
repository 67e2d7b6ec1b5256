"""A grid operator and a common reference on the official library, for the tests: not our code.

They answer as the specification asks, know a message that came before, send until it is taken, and
keep everything they were told.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests
import shapeshifter_uftp.uftp as uftp
from fastapi.exceptions import HTTPException
from nacl.bindings import crypto_sign_keypair
from shapeshifter_uftp import ShapeshifterCroService, ShapeshifterDsoService, transport
from xsdata.models.datatype import XmlDate, XmlDuration

AGR_DOMAIN = "fabriek.example.nl"
DSO_DOMAIN = "tso.example.nl"
CRO_DOMAIN = "cro.example.nl"
POINT = "ean.871685900012636543"
CONNECTION = "ean.871685900000000017"
METER = "E871685900000000017"


@dataclass(frozen=True)
class Keys:
    """A pair of signing keys, base64."""

    public: str
    private: str

    @classmethod
    def made(cls) -> Keys:
        public, private = crypto_sign_keypair()
        return cls(base64.b64encode(public).decode(), base64.b64encode(private).decode())


@dataclass
class Directory:
    """Who is where, and with what key; both sides look here instead of in DNS."""

    keys: dict[str, Keys] = field(default_factory=dict)
    endpoints: dict[str, str] = field(default_factory=dict)

    def key(self, domain: str, _role: Any) -> str:
        return self.keys[domain].public

    def endpoint(self, domain: str, _role: Any) -> str:
        return self.endpoints[domain]


class _Told:
    """What both services share: what they were told, once per message id."""

    def begin(self) -> None:
        self.told: list[Any] = []
        self.copies = 0
        self.turned_away = 0
        self.down = False
        self._ids: set[str] = set()
        self._guard = threading.Lock()

    def key_of(self, directory: Directory, domain: str, role: Any) -> str:
        if self.down:  # as a service that is away
            self.turned_away += 1
            raise HTTPException(503)
        return directory.key(domain, role)

    def first(self, message: Any) -> bool:
        with self._guard:
            if message.message_id in self._ids:
                self.copies += 1
                return False
            self._ids.add(message.message_id)
            self.told.append(message)
            return True

    def of(self, kind: type) -> list[Any]:
        with self._guard:
            return [one for one in self.told if type(one) is kind]


class GridOperator(_Told, ShapeshifterDsoService):
    """A DSO."""

    clock: Callable[[], str]
    offers_taken = True

    def _say(self, message: Any, recipient: str) -> None:
        message.time_stamp = message.time_stamp or self.clock()
        self.agr_client(recipient)._send_message(message)

    def _yes(self, kind: type, to: Any, name: str, taken: bool = True) -> None:
        result = uftp.AcceptedRejected.ACCEPTED if taken else uftp.AcceptedRejected.REJECTED
        why = None if taken else "Power value rejection"
        values = {name: to.message_id, "conversation_id": to.conversation_id}
        self._insist(kind(result=result, rejection_reason=why, **values), to.sender_domain)

    def _insist(self, message: Any, recipient: str) -> None:
        message.message_id = message.message_id or _fresh()
        for _ in range(400):
            try:
                self._say(message, recipient)
                return
            except Exception:
                time.sleep(0.05)
        raise AssertionError(f"{type(message).__name__} was never taken")

    def process_d_prognosis(self, message: Any) -> None:
        if self.first(message):
            self._yes(uftp.DPrognosisResponse, message, "d_prognosis_message_id")

    def process_flex_offer(self, message: Any) -> None:
        if self.first(message):
            self._yes(uftp.FlexOfferResponse, message, "flex_offer_message_id", self.offers_taken)

    def process_flex_offer_revocation(self, message: Any) -> None:
        if self.first(message):
            name = "flex_offer_revocation_message_id"
            self._yes(uftp.FlexOfferRevocationResponse, message, name)

    def process_metering(self, message: Any) -> None:
        if self.first(message):
            self._yes(uftp.MeteringResponse, message, "metering_message_id")

    def process_flex_request_response(self, message: Any) -> None:
        self.first(message)

    def process_flex_order_response(self, message: Any) -> None:
        self.first(message)

    def process_flex_reservation_update_response(self, message: Any) -> None:
        self.first(message)

    def process_flex_settlement_response(self, message: Any) -> None:
        self.first(message)

    def process_dso_portfolio_query_response(self, _: Any) -> None:
        raise AssertionError("not asked")

    def process_dso_portfolio_update_response(self, _: Any) -> None:
        raise AssertionError("not asked")

    def process_test_message_response(self, message: Any) -> None:
        self.first(message)


class CommonReference(_Told, ShapeshifterCroService):
    """A CRO that lists our connection at one congestion point."""

    clock: Callable[[], str]

    def _insist(self, message: Any, recipient: str) -> None:
        message.time_stamp = self.clock()
        message.message_id = _fresh()
        for _ in range(400):
            try:
                self.agr_client(recipient)._send_message(message)
                return
            except Exception:
                time.sleep(0.05)
        raise AssertionError("never taken")

    def process_agr_portfolio_query(self, message: Any) -> None:
        if not self.first(message):
            return
        connection = uftp.AgrPortfolioQueryResponseConnection(entity_address=CONNECTION)
        point = uftp.AgrPortfolioQueryResponseCongestionPoint(
            connections=[connection],
            entity_address=POINT,
            mutex_offers_supported=False,
            day_ahead_redispatch_by=uftp.RedispatchBy.AGR,
        )
        portfolio = uftp.AgrPortfolioQueryResponseDSOPortfolio(
            congestion_points=[point], dso_domain=DSO_DOMAIN
        )
        answer = uftp.AgrPortfolioQueryResponse(
            agr_portfolio_query_message_id=message.message_id,
            dso_views=[uftp.AgrPortfolioQueryResponseDSOView(dso_portfolios=[portfolio])],
            period=message.period,
            conversation_id=message.conversation_id,
        )
        self._insist(answer, message.sender_domain)

    def process_agr_portfolio_update(self, message: Any) -> None:
        if self.first(message):
            answer = uftp.AgrPortfolioUpdateResponse(
                agr_portfolio_update_message_id=message.message_id,
                conversation_id=message.conversation_id,
            )
            self._insist(answer, message.sender_domain)

    def process_dso_portfolio_query(self, _: Any) -> None:
        raise AssertionError("not asked")

    def process_dso_portfolio_update(self, _: Any) -> None:
        raise AssertionError("not asked")


def started(kind: Any, domain: str, directory: Directory, clock: Callable[[], str]) -> Any:
    """A service, serving on a free port of this machine.

    The library's parser builds its index of classes at the first message, and two at once then
    fail; so it reads one before it serves.
    """
    transport.from_xml(transport.to_xml(uftp.TestMessage()))
    service = kind(
        sender_domain=domain,
        signing_key=directory.keys[domain].private,
        key_lookup_function=lambda name, role: service.key_of(directory, name, role),
        endpoint_lookup_function=directory.endpoint,
        host="127.0.0.1",
        port=0,
    )
    service.begin()
    service.clock = clock
    service.run_in_thread()
    port = service.server.servers[0].sockets[0].getsockname()[1]
    directory.endpoints[domain] = f"http://127.0.0.1:{port}/shapeshifter/api/v3/message"
    return service


def _fresh() -> str:
    import uuid

    return str(uuid.uuid4())


def frame(period: Any, point: str = POINT) -> dict[str, Any]:
    """What every message about a day's ISPs carries."""
    return {
        "isp_duration": XmlDuration("PT15M"),
        "period": XmlDate.from_date(period),
        "congestion_point": point,
    }


def sealed(message: Any, private_key: str, domain: str = DSO_DOMAIN, role: str = "DSO") -> bytes:
    """A message as posted, sealed by the library."""
    envelope = uftp.SignedMessage(
        sender_domain=domain,
        sender_role=uftp.UsefRole(role),
        body=transport.seal_message(message, private_key),
    )
    return transport.to_xml(envelope).encode()


def posted(endpoint: str, body: bytes, kind: str = "text/xml; charset=utf-8") -> requests.Response:
    """Post bytes."""
    return requests.post(endpoint, data=body, headers={"Content-Type": kind}, timeout=10)
