"""The desk: a message comes in, an answer goes out; and what is to be sent unasked.

A decision is a message of ours, with an id that follows from what it decides on: deciding again
after a crash gives the same id, and the store keeps the first. The desk reads the book, the
settings, what the runtime says of the site, and the instant it is given. No I/O, no clock.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gigafactory.adapters.uftp import offers, orders, settling
from gigafactory.adapters.uftp.book import Book, OfferEntry, room_w
from gigafactory.adapters.uftp.checks import (
    frame_reasons,
    head_reasons,
    order_judged,
    request_reasons,
)
from gigafactory.adapters.uftp.days import Day, by_isp, date_at, day_of, faults, joined
from gigafactory.adapters.uftp.settings import UftpSettings
from gigafactory.adapters.uftp.terms import (
    Answer,
    Frame,
    Grant,
    Head,
    Metered,
    Offer,
    Order,
    Portfolio,
    Prognosis,
    Record,
    Request,
    Reservation,
    Revocation,
    Settlement,
    Test,
)
from gigafactory.grid.calendar import utc_text
from gigafactory.units import NS_PER_S

#: Name space of our message ids.
_IDS: Final = uuid.UUID("6f0e1c3a-5b0a-5d52-9c40-4a6a7fd1c0de")
#: Offers made on one request, revoked ones included, at most.
_OFFERS_MAX: Final = 5
#: How many past days are looked at for metering that is still to be sent.
_DAYS_BACK: Final = 7


@dataclass(frozen=True, slots=True)
class Written:
    """A message of ours, to be stored and sent.

    Attributes:
        record: the message.
        detail: what is kept with it: what an accepted order means.
    """

    record: Record
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know; becomes an alarm.

    Attributes:
        kind: of alarm.
        key: what it is about.
        text: in plain words.
    """

    kind: str
    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Handled:
    """What came of a message of theirs.

    Attributes:
        entered: whether it is in the book now; what is not must not be read into it later either.
        written: our messages, not yet in the book.
        notices: what a person should know.
    """

    entered: bool
    written: tuple[Written, ...] = ()
    notices: tuple[Notice, ...] = ()


@dataclass(slots=True)
class Desk:
    """Decides, from a book.

    Attributes:
        settings: of the gateway.
        book: what came before.
    """

    settings: UftpSettings
    book: Book

    # --- what comes in -----------------------------------------------------------------------

    def handle(self, record: Record, inner_domain: str, now_ns: int, grant: Grant) -> Handled:
        """Enter a message of theirs and decide on it.

        Args:
            record: the message; its signature is that of `record.head.party`.
            inner_domain: the sender it names inside.
            now_ns: the present instant.
            grant: what the runtime says of the site; without content when it is too old.
        """
        against = head_reasons(record.head, inner_domain, self.settings)
        if isinstance(record, Answer):
            return self._answered(record, against)
        if record.head.message_id in self.book.answers:
            if not against:
                self.book.take(record, {}, ours=False)
            return Handled(not against)
        if against:
            return Handled(False, (self._answer(record, now_ns, against),), _told(record, against))
        self.book.take(record, {}, ours=False)
        if isinstance(record, Order):
            return self._on_order(record, now_ns, grant)
        if isinstance(record, Settlement):
            return self._on_settlement(record, now_ns)
        why = ""
        if isinstance(record, Request):
            why = request_reasons(record, self.settings)
        elif isinstance(record, Reservation):
            why = self._reservation_reasons(record)
        elif not isinstance(record, Test):
            why = f"Invalid Message: {record.head.kind}"
        return Handled(True, (self._answer(record, now_ns, why),), _told(record, why))

    def conflict(self, head: Head, digest: str, now_ns: int) -> Written:
        """The answer to a message whose id was used before with other content."""
        why = "Duplicate Identifier: this MessageID came before with other content"
        name = self._id("conflict", head.message_id, digest)
        return Written(Answer(self._reply(head, name, now_ns), head.message_id, False, why))

    def _answered(self, answer: Answer, against: str) -> Handled:
        asked = self.book.sent(answer.to)
        party = answer.head.party
        if against:
            return Handled(False, (), _told(answer, against))
        expected = f"{asked.head.kind}Response" if asked else ""
        if asked is None or asked.head.party != party or expected != answer.head.kind:
            text = f"{answer.head.kind} answers {answer.to}, which we did not send there"
            return Handled(False, (), (Notice("unexpected_answer", party, text),))
        if answer.to not in self.book.awaited:
            text = f"a second {answer.head.kind} to {answer.to} changes nothing"
            return Handled(False, (), (Notice("unexpected_answer", party, text),))
        entry = self.book.offers.get(answer.to)
        self.book.take(answer, {}, ours=False)
        if isinstance(asked, Portfolio) and answer.accepted and not self._listed(asked, answer):
            text = f"{party} does not list our connection for {asked.date}"
            return Handled(True, (), (Notice("portfolio", party, text),))
        if answer.accepted:
            return Handled(True)
        text = f"our {asked.head.kind} {answer.to} was rejected: {answer.why or 'no reason given'}"
        if entry and entry.ordered_by:
            text += "; it was ordered before that, and the order stands"
        return Handled(True, (), (Notice("rejected", answer.to, text),))

    def _listed(self, asked: Portfolio, answer: Answer) -> bool:
        if asked.head.kind != "AgrPortfolioQuery":
            return True
        return self.settings.congestion_point in answer.points

    def _reservation_reasons(self, record: Reservation) -> str:
        framed = frame_reasons(record.frame, self.settings)
        if framed:
            return framed
        spread = faults([one[:2] for one in record.spans], self._day(record.frame.date))
        if spread:
            return spread
        contract = self.settings.contract(record.contract, record.head.party)
        if contract is None or contract.kind != "csc":
            return f"Unknown ContractID: {record.contract}"
        if any(not -contract.capacity_mw * 1e6 <= one.power_w <= 0 for one in record.spans):
            return "Power value rejection: beyond the contract's power"
        return ""

    def _on_order(self, order: Order, now_ns: int, grant: Grant) -> Handled:
        known = frame_reasons(order.frame, self.settings) == ""
        room = self._room(self._day(order.frame.date), grant, now_ns) if known else {}
        judged = order_judged(order, self.book, room, self.settings)
        meant: orders.Meant | str = judged.why
        if not judged.why and judged.contract and judged.contract.kind == "atr":
            meant = orders.restricted(order, judged.asked_w, self.book, self.settings)
        elif not judged.why:
            baseline, why = self._baseline(order, grant)
            meant = why or orders.steered(order, judged.asked_w, baseline, self.book)
        if isinstance(meant, str):
            notice = Notice("order_refused", order.head.message_id, f"{order.reference}: {meant}")
            return Handled(True, (self._answer(order, now_ns, meant),), (notice,))
        answer = self._answer(order, now_ns, "", detail=meant.detail())
        return Handled(True, (answer,), self._beyond(order, meant, room))

    def _beyond(
        self, order: Order, meant: orders.Meant, room: Mapping[int, int]
    ) -> tuple[Notice, ...]:
        """An order that binds us although the site can no longer give it."""
        if meant.atr or not order.offer_id:
            return ()
        short = [isp for isp in meant.asked_w if room.get(isp, 0) < 0]  # the offer is counted in
        if not short:
            return ()
        text = f"order {order.reference} binds us and the site can no longer give it all"
        return (Notice("over_committed", order.head.message_id, f"{text} (ISP {short[0]})"),)

    def _baseline(self, order: Order, grant: Grant) -> tuple[Mapping[int, int], str]:
        date, party = order.frame.date, order.head.party
        if self.settings.prognosis:
            entry = self.book.offers.get(order.offer_id)
            name = order.prognosis_id or (entry.offer.prognosis_id if entry else "")
            prognosis = self.book.prognosis(party, date, name)
            if prognosis is not None:
                return by_isp(prognosis.spans), ""
            return {}, f"Unknown D-PrognosisMessageID reference: {name}" if name else "No baseline"
        day = self._day(date)
        planned = {
            isp: grant.baseline_w[day.start_ns(isp)]
            for isp in range(1, day.count + 1)
            if day.start_ns(isp) in grant.baseline_w
        }
        return planned, ""

    def _on_settlement(self, settlement: Settlement, now_ns: int) -> Handled:
        metered = self.settings.meter is not None
        tolerance_w = round(self.settings.tolerance_mw * 1e6)
        said = settling.dispositions(settlement, self.book, tolerance_w, metered=metered)
        statuses = tuple((one.reference, one.accepted, one.why) for one in said)
        answer = self._answer(settlement, now_ns, "")
        assert isinstance(answer.record, Answer)
        notices = tuple(
            Notice("settlement_disputed", one.reference, f"order {one.reference}: {one.why}")
            for one in said
            if not one.accepted
        )
        record = replace(answer.record, statuses=statuses)
        return Handled(True, (replace(answer, record=record),), notices)

    # --- what goes out unasked ----------------------------------------------------------------

    def next_step(
        self,
        now_ns: int,
        grant: Grant,
        approved: Collection[str] | None = None,
        refused: Collection[str] = (),
    ) -> Written | None:
        """The next message to send of our own accord; None when there is none.

        Args:
            now_ns: the present instant.
            grant: what the runtime says of the site.
            approved: requests on which an operator lets us offer; None: on all.
            refused: requests on which one does not, and whose open offers are taken back.
        """
        return next(self._steps(now_ns, grant, approved, refused), None)

    def _steps(
        self,
        now_ns: int,
        grant: Grant,
        approved: Collection[str] | None,
        refused: Collection[str],
    ) -> Iterator[Written]:
        yield from self._portfolio(now_ns)
        yield from self._revocations(now_ns, grant, refused)
        yield from self._prognoses(now_ns, grant)
        yield from self._offers(now_ns, grant, approved, refused)
        yield from self._metering(now_ns, grant)

    def _portfolio(self, now_ns: int) -> Iterator[Written]:
        today = date_at(now_ns, self.settings.timezone)
        for one in self.settings.references:
            update = self._id("register", one.domain, self.settings.connection)
            if self.book.sent(update) is None:
                head = self._head("AgrPortfolioUpdate", one.domain, "CRO", update, now_ns)
                yield Written(Portfolio(head, today))
            for date in (today, today + dt.timedelta(days=1)):
                query = self._id("portfolio", one.domain, str(date))
                if self.book.sent(query) is None:
                    head = self._head("AgrPortfolioQuery", one.domain, "CRO", query, now_ns)
                    yield Written(Portfolio(head, date))

    def _revocations(
        self, now_ns: int, grant: Grant, refused: Collection[str]
    ) -> Iterator[Written]:
        open_offers = [entry for entry in self.book.offers.values() if entry.open(now_ns)]
        for entry in open_offers:
            if entry.answered and entry.offer.request_id in refused:
                yield self._revoked(entry, now_ns)
        allowed_w = -round(self.settings.least_mw * 1e6)  # a plan that trembles revokes nothing
        for date in sorted({entry.offer.frame.date for entry in open_offers}):
            room = self._room(self._day(date), grant, now_ns)
            short = {isp for isp, left in room.items() if left < allowed_w}
            for entry in reversed(open_offers):
                if entry.offer.frame.date == date and entry.answered and _touches(entry, short):
                    yield self._revoked(entry, now_ns)

    def _revoked(self, entry: OfferEntry, now_ns: int) -> Written:
        theirs = entry.offer.head
        name = self._id("revocation", theirs.message_id)
        head = self._head(
            "FlexOfferRevocation", theirs.party, "DSO", name, now_ns, theirs.conversation
        )
        return Written(Revocation(head, theirs.message_id))

    def _prognoses(self, now_ns: int, grant: Grant) -> Iterator[Written]:
        if not self.settings.prognosis:
            return
        today = date_at(now_ns, self.settings.timezone)
        for date in (today, today + dt.timedelta(days=1)):
            day = self._day(date)
            starts = {isp: day.start_ns(isp) for isp in range(1, day.count + 1)}
            if not all(start in grant.baseline_w for start in starts.values()):
                continue
            limits = self.book.limit_w(date)
            planned = {
                isp: min(grant.baseline_w[start], limits.get(isp, grant.baseline_w[start]))
                for isp, start in starts.items()
            }
            for one in self.settings.operators:
                sent = self.book.prognoses.get((one.domain, date), [])
                if sent and not _outdated(sent[-1], limits):
                    ahead = {isp: planned[isp] for isp, at in starts.items() if at > now_ns}
                    if not self._moved(sent[-1], ahead, now_ns):
                        continue
                number = len(sent) + 1
                name = self._id("prognosis", one.domain, str(date), str(number))
                head = self._head("DPrognosis", one.domain, "DSO", name, now_ns)
                yield Written(Prognosis(head, self._frame(date), number, joined(planned)))

    def _moved(self, last: Prognosis, planned: Mapping[int, int], now_ns: int) -> bool:
        """Whether a prognosis is to be sent anew because the plan of what is to come has moved."""
        if now_ns - last.head.at_ns < self.settings.revise_s * NS_PER_S:
            return False
        powers = by_isp(last.spans)
        most = self.settings.least_mw * 1e6
        return any(abs(powers.get(isp, power) - power) > most for isp, power in planned.items())

    def _offers(
        self,
        now_ns: int,
        grant: Grant,
        approved: Collection[str] | None,
        refused: Collection[str],
    ) -> Iterator[Written]:
        for name, request in self.book.requests.items():
            if now_ns >= request.expires_ns or (approved is not None and name not in approved):
                continue
            made = list(self.book.offers_on(name))
            if name in refused:
                continue
            if len(made) >= _OFFERS_MAX or any(not one.revocation for one in made):
                continue
            date, party = request.frame.date, request.head.party
            prognosis = self.book.prognosis(party, date)
            if self.settings.prognosis and prognosis is None:
                continue
            day = self._day(date)
            room = self._room(day, _below(grant, prognosis, day), now_ns)
            option = offers.option_for(request, room, day, self.settings, now_ns)
            if option is None:
                continue
            until = offers.expiry_ns(option, day, self.settings, now_ns)
            own = self._id("offer", name, str(len(made) + 1))
            head = self._head("FlexOffer", party, "DSO", own, now_ns, request.head.conversation)
            based_on = prognosis.head.message_id if prognosis else ""
            yield Written(
                Offer(head, request.frame, until, name, (option,), based_on, request.contract)
            )

    def _metering(self, now_ns: int, grant: Grant) -> Iterator[Written]:
        if self.settings.meter is None:
            return
        today = date_at(now_ns, self.settings.timezone)
        for back in range(_DAYS_BACK, 0, -1):
            day = self._day(today - dt.timedelta(days=back))
            readings = {
                isp: grant.metered_w[day.start_ns(isp)]
                for isp in range(1, day.count + 1)
                if day.start_ns(isp) in grant.metered_w
            }
            if len(readings) < day.count:
                continue
            for one in self.settings.operators:
                name = self._id("metering", one.domain, str(day.date), "1")
                if self.book.sent(name) is None:
                    head = self._head("Metering", one.domain, "DSO", name, now_ns)
                    yield Written(Metered(head, day.date, 1, joined(readings)))

    # --- small things ---------------------------------------------------------------------------

    def overdue(self, now_ns: int) -> list[Notice]:
        """Messages of ours that were not answered in time."""
        since = now_ns - round(self.settings.answer_s * NS_PER_S)
        return [
            Notice(
                "unanswered",
                name,
                f"{one.head.party} has not answered our {one.head.kind} "
                f"of {utc_text(one.head.at_ns)}",
            )
            for name, one in self.book.awaited.items()
            if one.head.at_ns < since
        ]

    def _room(self, day: Day, grant: Grant, now_ns: int) -> dict[int, int]:
        return room_w(self.book, day, grant.baseline_w, grant.least_w, now_ns)

    def _day(self, date: dt.date) -> Day:
        return day_of(date, self.settings.timezone, self.settings.isp_min)

    def _frame(self, date: dt.date) -> Frame:
        settings = self.settings
        return Frame(date, settings.timezone, settings.isp_min, settings.congestion_point)

    def _id(self, *parts: str) -> str:
        return str(uuid.uuid5(_IDS, "|".join((self.settings.domain, *parts))))

    def _head(
        self, kind: str, party: str, role: str, name: str, now_ns: int, conversation: str = ""
    ) -> Head:
        return Head(
            kind=kind,
            message_id=name,
            conversation=conversation or self._id("conversation", name),
            party=party,
            role=role,
            stamp_ns=now_ns,
            at_ns=now_ns,
            recipient=party,
            version=self.settings.version,
        )

    def _reply(self, to: Head, name: str, now_ns: int) -> Head:
        kind = f"{to.kind}Response"
        return self._head(kind, to.party, to.role, name, now_ns, to.conversation)

    def _answer(
        self, record: Record, now_ns: int, why: str, *, detail: Mapping[str, Any] | None = None
    ) -> Written:
        name = self._id("answer", record.head.message_id)
        head = self._reply(record.head, name, now_ns)
        return Written(Answer(head, record.head.message_id, not why, why), detail or {})


def _below(grant: Grant, prognosis: Prognosis | None, day: Day) -> Grant:
    """A grant whose plan is nowhere above the baseline an order on an offer is counted from."""
    if prognosis is None:
        return grant
    plan = dict(grant.baseline_w)
    for isp, power_w in by_isp(prognosis.spans).items():
        start = day.start_ns(isp)
        if start in plan:
            plan[start] = min(plan[start], power_w)
    return replace(grant, baseline_w=plan)


def _touches(entry: OfferEntry, isps: set[int]) -> bool:
    return any(isps & set(by_isp(option.spans)) for option in entry.offer.options)


def _outdated(prognosis: Prognosis, limits: Mapping[int, int]) -> bool:
    """Whether a prognosis is above what orders since have left."""
    powers = by_isp(prognosis.spans)
    return any(powers.get(isp, limit) > limit for isp, limit in limits.items())


def _told(record: Record, why: str) -> tuple[Notice, ...]:
    if not why:
        return ()
    return (Notice("message_refused", record.head.party, f"{record.head.kind}: {why}"),)
