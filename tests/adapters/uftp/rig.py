"""A participant process, a grid operator and a common reference, and a market day between them."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import shapeshifter_uftp.uftp as uftp
from xsdata.models.datatype import XmlDate

from gigafactory.adapters.store import Store
from gigafactory.adapters.uftp.days import day_of, instant_text
from gigafactory.adapters.uftp.published import KIND, site_body
from gigafactory.grid.calendar import instant_ns
from tests.adapters.uftp import participant
from tests.adapters.uftp.counterpart import (
    AGR_DOMAIN,
    CONNECTION,
    CRO_DOMAIN,
    DSO_DOMAIN,
    METER,
    POINT,
    CommonReference,
    Directory,
    GridOperator,
    Keys,
    frame,
    started,
)

ZONE = ZoneInfo("Europe/Amsterdam")
TODAY = dt.date(2026, 6, 10)
TOMORROW = dt.date(2026, 6, 11)
BASELINE_W = 100_000_000
LEAST_W = 60_000_000
FIRST, LAST = 41, 48  # ISPs asked for
ASKED_W = -10_000_000

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.adapters.uftp.participant"])


def local(date: dt.date, hour: int, minute: int = 0) -> int:
    return instant_ns(dt.datetime.combine(date, dt.time(hour, minute), tzinfo=ZONE))


def waited(what: str, found: Callable[[], Any], limit_s: float = 30.0) -> Any:
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        value = found()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {limit_s:g} s for {what}")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Rig:
    """Everything around the participant."""

    def __init__(self, folder: Path, *, cut: int = 0, **changes: Any) -> None:
        self.folder = folder
        self.cut = cut
        self.directory = Directory(
            {name: Keys.made() for name in (AGR_DOMAIN, DSO_DOMAIN, CRO_DOMAIN)}
        )
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}/shapeshifter/api/v3/message"
        self.directory.endpoints[AGR_DOMAIN] = self.endpoint
        self.clock_file = folder / "clock"
        self.count_file = folder / "count"
        self.set_clock(local(TODAY, 7))
        self.dso: GridOperator = started(GridOperator, DSO_DOMAIN, self.directory, self.stamp)
        self.cro: CommonReference = started(CommonReference, CRO_DOMAIN, self.directory, self.stamp)
        self.url = f"sqlite:///{folder / 'store.db'}"
        self.store = Store.open(self.url)
        key_file = folder / "key"
        key_file.write_text(self.directory.keys[AGR_DOMAIN].private)
        self.settings: dict[str, Any] = {
            "domain": AGR_DOMAIN,
            "signing_key": {"file": str(key_file)},
            "port": port,
            "counterparts": [
                self._counterpart(DSO_DOMAIN, "DSO"),
                self._counterpart(CRO_DOMAIN, "CRO"),
            ],
            "site": "maasvlakte",
            "congestion_point": POINT,
            "connection": CONNECTION,
            "meter": METER,
            "firm": "100 MW",
            "price": "85 EUR/MWh",
            "contracts": [
                {
                    "id": "CSC-1", "kind": "csc", "dso": DSO_DOMAIN, "capacity": "20 MW",
                    "notice": "15 min",
                },
                {"id": "ATR-1", "kind": "atr", "dso": DSO_DOMAIN, "capacity": "40 MW"},
            ],
            "stale": "30 d",
            "retry_first": "50 ms",
            "retry_most": "200 ms",
            "poll": "50 ms",
            **changes,
        }  # fmt: skip
        self.process: Any = None
        self.restarts = 0
        self._closed = threading.Event()
        self._nurse: threading.Thread | None = None

    def _counterpart(self, domain: str, role: str) -> dict[str, Any]:
        return {
            "domain": domain,
            "role": role,
            "endpoint": self.directory.endpoints[domain],
            "public_key": self.directory.keys[domain].public,
        }

    # --- time --------------------------------------------------------------------------------

    def set_clock(self, at_ns: int) -> None:
        fresh = self.clock_file.with_suffix(".new")
        fresh.write_text(str(at_ns - time.time_ns()))
        fresh.replace(self.clock_file)

    def now_ns(self) -> int:
        return time.time_ns() + int(self.clock_file.read_text())

    def stamp(self) -> str:
        return instant_text(self.now_ns())

    # --- the participant ----------------------------------------------------------------------

    def start(self) -> None:
        self._launch(self.cut)
        self._nurse = threading.Thread(target=self._nursing, daemon=True)
        self._nurse.start()

    def _launch(self, cut: int) -> None:
        self.process = _FORKS.Process(
            target=participant.main,
            args=(self.url, self.settings, str(self.clock_file), cut, str(self.count_file)),
        )
        self.process.start()

    def _nursing(self) -> None:
        """Start it again when it was killed."""
        while not self._closed.wait(0.02):
            if not self.process.is_alive():
                self.restarts += 1
                self._launch(0)

    def close(self) -> None:
        self._closed.set()
        if self._nurse:
            self._nurse.join()
        if self.process:
            self.process.terminate()
            self.process.join(20)
        self.dso.stop()
        self.cro.stop()
        self.store.close()

    # --- what the runtime says ----------------------------------------------------------------

    def publish(
        self, *, least_w: int = LEAST_W, metered: dict[dt.date, list[int]] | None = None
    ) -> None:
        day = day_of(TODAY, "Europe/Amsterdam", 15)
        count = 4 * 96
        begin, powers = 0, []
        for date, values in (metered or {}).items():
            begin, powers = day_of(date, "Europe/Amsterdam", 15).begin_ns, values
        body = site_body(
            day.begin_ns,
            15,
            baseline_w=[BASELINE_W] * count,
            least_w=[least_w] * count,
            metered_begin_ns=begin,
            metered_w=powers,
        )
        self.store.publish(KIND, {"maasvlakte": body}, self.now_ns())

    # --- what the grid operator says ----------------------------------------------------------

    def say(self, message: Any) -> None:
        self.dso._insist(message, AGR_DOMAIN)

    def request(self, **changes: Any) -> uftp.FlexRequest:
        values: dict[str, Any] = {
            **frame(TOMORROW),
            "revision": 1,
            "expiration_date_time": instant_text(self.now_ns() + 3600 * 10**9),
            "isps": [
                uftp.FlexRequestISP(
                    disposition=uftp.AvailableRequested.AVAILABLE,
                    min_power=0, max_power=5_000_000, start=1, duration=FIRST - 1,
                ),
                uftp.FlexRequestISP(
                    disposition=uftp.AvailableRequested.REQUESTED,
                    min_power=ASKED_W, max_power=0, start=FIRST, duration=LAST - FIRST + 1,
                ),
            ],
        }  # fmt: skip
        return uftp.FlexRequest(**(values | changes))

    def order(self, offer: uftp.FlexOffer, reference: str = "O-1", **changes: Any) -> Any:
        option = offer.offer_options[0]
        values: dict[str, Any] = {
            **frame(TOMORROW),
            "isps": [
                uftp.FlexOrderISP(power=one.power, start=one.start, duration=one.duration)
                for one in option.isps
            ],
            "flex_offer_message_id": offer.message_id,
            "d_prognosis_message_id": offer.d_prognosis_message_id,
            "price": option.price,
            "currency": "EUR",
            "order_reference": reference,
            "option_reference": option.option_reference,
            "conversation_id": offer.conversation_id,
        }
        return uftp.FlexOrder(**(values | changes))

    def unasked(self, contract: str, power_w: int, reference: str, **changes: Any) -> Any:
        values: dict[str, Any] = {
            **frame(TOMORROW),
            "isps": [uftp.FlexOrderISP(power=power_w, start=33, duration=4)],
            "unsolicited": True,
            "contract_id": contract,
            "price": 0,
            "currency": "EUR",
            "order_reference": reference,
        }
        return uftp.FlexOrder(**(values | changes))

    def settlement(
        self, order: Any, actual_w: int, *, penalty: int = 0, delivered_w: int | None = None
    ) -> Any:
        asked = order.isps[0].power
        given = (
            delivered_w if delivered_w is not None else max(0, min(BASELINE_W - actual_w, -asked))
        )
        isps = [
            uftp.FlexOrderSettlementISP(
                start=one.start,
                duration=one.duration,
                baseline_power=BASELINE_W,
                ordered_flex_power=one.power,
                actual_power=actual_w,
                delivered_flex_power=given,
                power_deficiency=-asked - given,
            )
            for one in order.isps
        ]
        settled = uftp.FlexOrderSettlement(
            order_reference=order.order_reference,
            period=XmlDate.from_date(TOMORROW),
            congestion_point=POINT,
            d_prognosis_message_id=order.d_prognosis_message_id,
            price=order.price,
            penalty=penalty,
            net_settlement=order.price - penalty,
            isps=isps,
        )
        contract = uftp.ContractSettlement(
            contract_id="CSC-1",
            periods=[
                uftp.ContractSettlementPeriod(
                    period=XmlDate.from_date(TOMORROW),
                    isps=[uftp.ContractSettlementISP(start=1, duration=96, reserved_power=0)],
                )
            ],
        )
        return uftp.FlexSettlement(
            flex_order_settlements=[settled],
            contract_settlements=[contract],
            period_start=XmlDate.from_date(TOMORROW),
            period_end=XmlDate.from_date(TOMORROW),
            currency="EUR",
        )

    def answer_to(self, message: Any, kind: type, name: str) -> Any:
        """The answer to a message of the grid operator."""

        def found() -> Any:
            return next(
                (one for one in self.dso.of(kind) if getattr(one, name) == message.message_id),
                None,
            )

        return waited(f"{kind.__name__} to {message.message_id}", found)

    def ordered(self, order: Any) -> Any:
        """Say an order; its answer."""
        self.say(order)
        return self.answer_to(order, uftp.FlexOrderResponse, "flex_order_message_id")

    def offered(self, request: Any) -> Any:
        """Say a request; the offer on it."""
        self.say(request)
        answer = self.answer_to(request, uftp.FlexRequestResponse, "flex_request_message_id")
        assert answer.result == "Accepted", answer.rejection_reason

        def found() -> Any:
            return next(
                (
                    one
                    for one in self.dso.of(uftp.FlexOffer)
                    if one.flex_request_message_id == request.message_id
                ),
                None,
            )

        return waited("an offer", found)

    def begin(self, **published: Any) -> None:
        """Start the participant; it registers, asks for its portfolio and sends its prognoses."""
        self.publish(**published)
        self.start()
        waited("the registration", lambda: self.cro.of(uftp.AgrPortfolioUpdate))
        waited("two queries", lambda: len(self.cro.of(uftp.AgrPortfolioQuery)) >= 2)
        waited("two prognoses", lambda: len(self.dso.of(uftp.DPrognosis)) >= 2)
        waited("every answer to be read", self.quiet)

    def quiet(self) -> bool:
        """Whether nothing waits: all of ours sent and answered, all of theirs handled."""
        rows = self.store.messages("gopacs")
        asked = [
            one for one in rows if one.direction == "out" and not one.kind.endswith("Response")
        ]
        answers = [one for one in rows if one.direction == "in" and one.kind.endswith("Response")]
        still = [one for one in rows if one.state not in ("sent", "answered")]
        return bool(asked) and len(asked) == len(answers) and not still

    def alarms(self, kind: str) -> list[Any]:
        return [one for one in self.store.alarms(open_only=False) if one.kind == kind]


def whole_day(rig: Rig) -> dict[str, Any]:
    """Portfolio, prognosis, request, offer, order, delivery, metering, settlement."""
    rig.begin()
    offer = rig.offered(rig.request())
    order = rig.order(offer)
    answer = rig.ordered(order)
    assert answer.result == "Accepted", answer.rejection_reason
    waited("the prognosis after the order", lambda: len(rig.dso.of(uftp.DPrognosis)) >= 3)
    waited("every answer to be read", rig.quiet)
    # the day passes, and what was ordered is delivered
    rig.set_clock(local(TOMORROW + dt.timedelta(days=1), 0, 10))
    metered = [BASELINE_W + (ASKED_W if FIRST <= isp <= LAST else 0) for isp in range(1, 97)]
    rig.publish(metered={TOMORROW: metered})
    metering = waited("metering", lambda: rig.dso.of(uftp.Metering))
    settlement = rig.settlement(order, BASELINE_W + ASKED_W)
    rig.say(settlement)
    settled = rig.answer_to(settlement, uftp.FlexSettlementResponse, "flex_settlement_message_id")
    return {
        "offer": offer,
        "order": order,
        "answer": answer,
        "metering": metering,
        "settled": settled,
    }
