"""What the messages so far amount to: requests, offers, orders, prognoses, and what is awaited.

The book is a fold over the stored messages in order of arrival, ours and theirs. A decision of ours
is itself a message (the answer, the offer), so reading the store again after a crash gives the same
book, whatever the clock or the plan say by then. No I/O.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from gigafactory.adapters.uftp.days import Day, Span, by_isp
from gigafactory.adapters.uftp.terms import (
    Answer,
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
    Settlement,
)


@dataclass(slots=True)
class OfferEntry:
    """An offer of ours and what became of it.

    Attributes:
        offer: as sent.
        answered: whether the grid operator took it as an offer; None while it has not said.
        revocation: id of our revocation; empty without one.
        ordered_by: id of the order that was accepted on it; empty without one.
    """

    offer: Offer
    answered: bool | None = None
    revocation: str = ""
    ordered_by: str = ""

    def open(self, now_ns: int) -> bool:
        """Whether it can still be ordered."""
        return (
            self.answered is not False
            and not self.revocation
            and not self.ordered_by
            and now_ns <= self.offer.expires_ns
        )


@dataclass(slots=True)
class OrderEntry:
    """An order that was accepted.

    Attributes:
        order: as it came.
        asked_w: deviation ordered by ISP, W, the activation factor applied.
        baseline_w: baseline by ISP as agreed, W, before earlier orders.
        before_w: what might have been imported by ISP before this order, W.
        limit_w: import that is left by ISP, W.
        atr: whether it restricts a transport right.
    """

    order: Order
    asked_w: dict[int, int]
    baseline_w: dict[int, int]
    before_w: dict[int, int]
    limit_w: dict[int, int]
    atr: bool = False


def scaled(spans: tuple[Span, ...], factor: Decimal) -> tuple[Span, ...]:
    """Stretches at an activation factor, to the whole watt."""
    return tuple(
        Span(
            one.start, one.duration, int((one.power_w * factor).to_integral_value(ROUND_HALF_EVEN))
        )
        for one in spans
    )


def _spans(rows: Any) -> dict[int, int]:
    return by_isp(Span(*row) for row in rows)


@dataclass(slots=True)
class Book:
    """The state of the exchange; `take` is the only way it changes.

    Attributes:
        received: messages of theirs by id.
        answers: our answer to a message of theirs, by the id of theirs; the first one counts.
        requests: requests we accepted, by id.
        offers: our offers by id.
        orders: orders we accepted, by id.
        prognoses: our prognoses by recipient and date, in order.
        reservations: latest reservation by contract and date.
        metered: our latest metering by date.
        settled: order references settled without dispute.
        awaited: messages of ours without an answer, by id.
        refused: messages of ours that were rejected, with the reason, by id.
        portfolio: dates whose portfolio was asked for, with the congestion points once known.
    """

    received: dict[str, Record] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)
    offers: dict[str, OfferEntry] = field(default_factory=dict)
    orders: dict[str, OrderEntry] = field(default_factory=dict)
    prognoses: dict[tuple[str, dt.date], list[Prognosis]] = field(default_factory=dict)
    reservations: dict[tuple[str, dt.date], Reservation] = field(default_factory=dict)
    metered: dict[dt.date, Metered] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    awaited: dict[str, Record] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    portfolio: dict[tuple[str, dt.date], tuple[str, ...] | None] = field(default_factory=dict)
    _asked_of: dict[str, Record] = field(default_factory=dict)

    def take(self, record: Record, detail: Mapping[str, Any], *, ours: bool) -> None:
        """Enter the next message in order of arrival."""
        if ours:
            self._written(record, detail)
        else:
            self._read(record)

    def _written(self, record: Record, detail: Mapping[str, Any]) -> None:
        name = record.head.message_id
        if isinstance(record, Answer):
            self._decided(record, detail)
            return
        self.awaited[name] = record
        self._asked_of[name] = record
        if isinstance(record, Offer):
            self.offers[name] = OfferEntry(record)
        elif isinstance(record, Revocation):
            entry = self.offers.get(record.offer_id)
            if entry:
                entry.revocation = name
        elif isinstance(record, Prognosis):
            self.prognoses.setdefault((record.head.party, record.frame.date), []).append(record)
        elif isinstance(record, Metered):
            self.metered[record.date] = record
        elif isinstance(record, Portfolio) and record.head.kind == "AgrPortfolioQuery":
            self.portfolio[record.head.party, record.date] = None

    def _decided(self, answer: Answer, detail: Mapping[str, Any]) -> None:
        if answer.to in self.answers:
            return
        self.answers[answer.to] = answer
        asked = self.received.get(answer.to)
        if isinstance(asked, Settlement):
            self.settled |= {name for name, accepted, _ in answer.statuses if accepted}
        if not answer.accepted:
            return
        if isinstance(asked, Request):
            self.requests[answer.to] = asked
        elif isinstance(asked, Reservation):
            self.reservations[asked.contract, asked.frame.date] = asked
        elif isinstance(asked, Order):
            self.orders[answer.to] = OrderEntry(
                asked,
                _spans(detail["asked"]),
                _spans(detail["baseline"]),
                _spans(detail["before"]),
                _spans(detail["limit"]),
                bool(detail.get("atr")),
            )
            if asked.offer_id in self.offers:
                self.offers[asked.offer_id].ordered_by = answer.to

    def _read(self, record: Record) -> None:
        self.received[record.head.message_id] = record
        if not isinstance(record, Answer):
            return
        asked = self.awaited.pop(record.to, None)
        if asked is None:
            return
        if not record.accepted:
            self.refused[record.to] = record.why or "no reason given"
        if isinstance(asked, Offer):
            self.offers[record.to].answered = record.accepted
        elif (
            isinstance(asked, Portfolio)
            and record.accepted
            and asked.head.kind == "AgrPortfolioQuery"
        ):
            self.portfolio[asked.head.party, asked.date] = record.points

    # --- what it amounts to ------------------------------------------------------------------

    def sent(self, name: str) -> Record | None:
        """A message of ours that asks for an answer, by id."""
        return self._asked_of.get(name)

    def limit_w(self, date: dt.date) -> dict[int, int]:
        """The lowest import left by the orders accepted for a day, W by ISP."""
        limits: dict[int, int] = {}
        for entry in self.orders.values():
            if entry.order.frame.date == date:
                for isp, limit in entry.limit_w.items():
                    limits[isp] = min(limit, limits.get(isp, limit))
        return limits

    def offered_w(self, date: dt.date, now_ns: int) -> dict[int, int]:
        """Less import that open offers promise for a day, W by ISP, above 0.

        Of the options of one offer the largest counts; offers add up.
        """
        sums: dict[int, int] = {}
        for entry in self.offers.values():
            if entry.offer.frame.date != date or not entry.open(now_ns):
                continue
            for isp, power in most_w(entry.offer.options).items():
                sums[isp] = sums.get(isp, 0) + power
        return sums

    def reserved_w(self, date: dt.date) -> dict[int, int]:
        """Less import that contracts keep reserved for a day beyond what they ordered, W by ISP."""
        sums: dict[int, int] = {}
        for (contract, day), reservation in self.reservations.items():
            if day != date:
                continue
            ordered = self.contract_w(contract, date)
            for isp, power in by_isp(reservation.spans).items():
                left = max(-power - ordered.get(isp, 0), 0)
                sums[isp] = sums.get(isp, 0) + left
        return sums

    def contract_w(self, contract: str, date: dt.date) -> dict[int, int]:
        """Less import ordered under a contract for a day, W by ISP, above 0."""
        sums: dict[int, int] = {}
        for entry in self.orders.values():
            if entry.order.contract == contract and entry.order.frame.date == date:
                for isp, power in entry.asked_w.items():
                    sums[isp] = sums.get(isp, 0) - power
        return sums

    def contract_isps(self, contract: str, year: int) -> set[tuple[dt.date, int]]:
        """The ISPs of a local year ordered under a contract."""
        return {
            (entry.order.frame.date, isp)
            for entry in self.orders.values()
            if entry.order.contract == contract and entry.order.frame.date.year == year
            for isp in entry.asked_w
        }

    def prognosis(self, party: str, date: dt.date, name: str = "") -> Prognosis | None:
        """Our prognosis of a day for a party: by id, or the latest that was not rejected."""
        for one in reversed(self.prognoses.get((party, date), [])):
            if (one.head.message_id == name) if name else (one.head.message_id not in self.refused):
                return one
        return None

    def offers_on(self, request: str) -> Iterator[OfferEntry]:
        """Our offers on a request."""
        return (entry for entry in self.offers.values() if entry.offer.request_id == request)

    def by_reference(self, party: str, reference: str) -> OrderEntry | None:
        """The accepted order of a grid operator's own order reference."""
        for entry in self.orders.values():
            if (entry.order.head.party, entry.order.reference) == (party, reference):
                return entry
        return None

    def expected(self, party: str, first: dt.date, last: dt.date) -> list[OrderEntry]:
        """What a grid operator has to settle for a period: accepted orders, not restrictions."""
        return [
            entry
            for entry in self.orders.values()
            if entry.order.head.party == party
            and first <= entry.order.frame.date <= last
            and not entry.atr
        ]


def most_w(options: tuple[Option, ...]) -> dict[int, int]:
    """The most less import that any one of several options asks for, W by ISP, above 0."""
    most: dict[int, int] = {}
    for option in options:
        for isp, power in by_isp(option.spans).items():
            most[isp] = max(most.get(isp, 0), -power)
    return most


def room_w(
    book: Book, day: Day, plan_w: Mapping[int, int], least_w: Mapping[int, int], now_ns: int
) -> dict[int, int]:
    """Less import that can still be promised, W by ISP; below 0 where too much is.

    The plan may or may not know of accepted orders yet; the lower of the plan and what they leave
    counts, so that no order is subtracted twice.

    Args:
        book: what is promised.
        day: the market day.
        plan_w: planned import by begin of an ISP, W.
        least_w: least import by begin of an ISP, W.
        now_ns: the present instant; offers that have expired promise nothing.
    """
    limits = book.limit_w(day.date)
    offered = book.offered_w(day.date, now_ns)
    reserved = book.reserved_w(day.date)
    room: dict[int, int] = {}
    for isp in range(1, day.count + 1):
        start = day.start_ns(isp)
        if start not in plan_w or start not in least_w:
            continue
        planned = min(plan_w[start], limits.get(isp, plan_w[start]))
        room[isp] = planned - least_w[start] - offered.get(isp, 0) - reserved.get(isp, 0)
    return room
