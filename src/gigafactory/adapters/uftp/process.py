"""The gateway's loop: handle what came, send what is due to be said, keep the store's view true.

Crash only: everything it knows it reads from the store when it starts, and it may be killed between
any two lines. What an accepted order means is put in the store before the acceptance is sent.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

from gigafactory.adapters.store import Lease, Store, StoreTrouble
from gigafactory.adapters.store.records import Message
from gigafactory.adapters.uftp import mirror, word
from gigafactory.adapters.uftp.book import Book
from gigafactory.adapters.uftp.desk import Desk, Notice, Written
from gigafactory.adapters.uftp.inbox import Inbox, Server
from gigafactory.adapters.uftp.keeping import kept
from gigafactory.adapters.uftp.orders import grid_orders
from gigafactory.adapters.uftp.post import DUE, HELD, SENT, Courier
from gigafactory.adapters.uftp.published import KIND, grant_of
from gigafactory.adapters.uftp.settings import UftpSettings, signing_key
from gigafactory.adapters.uftp.source import trouble_of
from gigafactory.adapters.uftp.terms import CHANNEL, IN, OUT, STATUS, Grant
from gigafactory.adapters.uftp.wire import Opened, reopened, sealed_post
from gigafactory.engine.clock import Clock, WallClock
from gigafactory.units import NS_PER_S

_LOG: Final = logging.getLogger("gigafactory.gopacs")
_PAGE: Final = 1000
#: Messages of our own accord in one turn, at most; what is left comes in the next.
_STEPS: Final = 200
#: States of a message of theirs: entered in the book, and never to be entered.
ENTERED: Final = "answered"
IGNORED: Final = "ignored"
#: How often the gateway says that it lives, s.
_STATUS_S: Final = 5.0


class Gateway:
    """One participant.

    Args:
        settings: who we are and whom we trust.
        store: the service's store.
        clock: what time it is.

    Raises:
        BadInput: no signing key, or the address cannot be bound.
    """

    def __init__(self, settings: UftpSettings, store: Store, clock: Clock | None = None) -> None:
        self.settings = settings
        self.store = store
        self.clock = clock or WallClock()
        self._key = signing_key(settings)
        self._wake = threading.Event()
        self._stop = threading.Event()
        self.inbox = Inbox(settings, store, self.clock, self._wake.set)
        self.server = Server(self.inbox)
        self.couriers = [
            Courier(one, settings, store, self.clock, self._stop) for one in settings.counterparts
        ]
        self.desk = Desk(settings, Book())
        self._mirrored: dict[str, mirror.Shown] = {}
        self._loaded = False
        self._late: set[str] = set()
        self._taken = 0  # all of theirs up to this number are handled
        self._released = 0  # all of ours up to this number may go
        self._said_ns = 0

    @property
    def port(self) -> int:
        """The port that is bound."""
        return self.server.port

    # --- the loop -----------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Serve until told to stop."""
        lease = self._led(stop)
        if lease is None:
            return
        threads = [threading.Thread(target=one.run, daemon=True) for one in self.couriers]
        self.server.start()
        for thread in threads:
            thread.start()
        try:
            while not stop.is_set() and self.server.alive() and lease.held():
                self._wake.clear()
                try:
                    self.turn(lease)
                except StoreTrouble as trouble:
                    _LOG.error("the store is away: %s", trouble)
                    self._loaded = False  # what was half entered is read again
                    stop.wait(self.settings.retry_first_s)
                    continue
                self._wake.wait(self.settings.poll_s)
        finally:
            self._stop.set()
            for courier in self.couriers:
                courier.due.set()
            self.server.stop()
            for thread in threads:
                thread.join(timeout=self.settings.timeout_s + 5.0)
            lease.release()

    def _led(self, stop: threading.Event) -> Lease | None:
        """The lease of the only gateway that speaks for us; None when told to stop before."""
        while not stop.is_set():
            lease = self.store.lead(f"gateway:{CHANNEL}", self.clock.now_ns(), self.settings.domain)
            if lease is not None:
                return lease
            stop.wait(self.settings.retry_first_s)  # another gateway runs; stand by
        return None

    def turn(self, lease: Lease) -> None:
        """Look once: what came, what is to be said, what is to be delivered.

        Args:
            lease: proves that no other gateway speaks for us.
        """
        if not self._loaded:
            self.load()
        now_ns = self.clock.now_ns()
        grant = self._grant(now_ns)
        self._take_in(now_ns, grant)
        self._again()
        word.hear(self.desk.book, self.store, lease, now_ns)
        said = word.said(self.desk.book, self.store, self.settings, now_ns)
        for _ in range(_STEPS):
            step = self.desk.next_step(now_ns, grant, said.approved, said.refused)
            if step is None:
                break
            self._keep(step)
        self._overdue(now_ns)
        self._release()
        mirror.show(self.desk.book, self.store, self.settings, self._mirrored, now_ns)
        self._say(now_ns)

    def load(self) -> None:
        """Read the book from the store."""
        self.desk = Desk(self.settings, Book())
        self._taken = self._released = 0
        prefix = f"{CHANNEL}:"
        self._late = {
            one.key.removeprefix(prefix)
            for one in self.store.alarms()
            if one.kind == "unanswered" and one.key.startswith(prefix)
        }
        rows = list(self._rows())
        decided = {row.detail.get("to") for row in rows if row.direction == OUT}
        for row in rows:
            ours = row.direction == OUT
            if ours or row.state == ENTERED or (row.state == "new" and row.message_id in decided):
                opened = self._reopened(row)
                self.desk.book.take(opened.record, row.detail.get("means", {}), ours=ours)
        self._loaded = True

    def _rows(self) -> Iterable[Message]:
        after = 0
        while page := self.store.messages(CHANNEL, after=after, limit=_PAGE):
            yield from page
            after = page[-1].seq

    def _reopened(self, row: Message) -> Opened:
        return reopened(row.body, row.detail["party"], row.detail["role"], row.at_ns)

    # --- what came ----------------------------------------------------------------------------

    def _take_in(self, now_ns: int, grant: Grant) -> None:
        states = {"new", "conflict"}
        while rows := self.store.messages(
            CHANNEL, direction=IN, states=states, after=self._taken, limit=_PAGE
        ):
            for row in rows:
                if row.state == "new":
                    self._handle(row, now_ns, grant)
                else:
                    self._handle_conflict(row, now_ns)
                self._taken = row.seq

    def _handle(self, row: Message, now_ns: int, grant: Grant) -> None:
        opened = self._reopened(row)
        handled = self.desk.handle(opened.record, opened.inner_domain, now_ns, grant)
        for one in handled.written:
            self._keep(one)
        self._raise(handled.notices, now_ns)
        state = ENTERED if handled.entered else IGNORED
        self.store.note_message(CHANNEL, IN, row.message_id, state)

    def _handle_conflict(self, row: Message, now_ns: int) -> None:
        head = self._reopened(row).record.head
        if not head.kind.endswith("Response"):
            self._keep(self.desk.conflict(head, row.detail["digest"], now_ns))
        text = f"{head.kind} {head.message_id} came before with other content; refused"
        self._raise([Notice("duplicate_identifier", head.party, text)], now_ns)
        self.store.note_message(CHANNEL, IN, row.message_id, IGNORED)

    def _again(self) -> None:
        """Answers to messages that came once more go once more."""
        for name in self.inbox.repeated():
            answer = self.desk.book.answers.get(name)
            if answer is None:
                continue
            row = self.store.message(CHANNEL, OUT, answer.head.message_id)
            if row is not None and row.state == SENT:
                self.store.note_message(CHANNEL, OUT, row.message_id, DUE)
                for courier in self.couriers:
                    courier.again(row.seq)

    # --- what is said -------------------------------------------------------------------------

    def _keep(self, written: Written) -> None:
        """Store a message of ours, then enter it in the book; the first of an id counts."""
        record, head = written.record, written.record.head
        detail: dict[str, Any] = {"party": head.party, "role": head.role}
        if written.detail:
            detail["means"] = dict(written.detail)
        to = getattr(record, "to", None)
        if to is not None:
            detail["to"] = to
        row = Message(
            channel=CHANNEL,
            direction=OUT,
            message_id=head.message_id,
            kind=head.kind,
            at_ns=head.at_ns,
            body=sealed_post(record, self.settings, self._key),
            conversation=head.conversation,
            state=HELD,
            detail=detail,
        )
        stored, fresh = kept(self.store, row)
        means: Mapping[str, Any] = written.detail
        if not fresh:  # decided before a crash; that decision stands
            record, means = self._reopened(stored).record, stored.detail.get("means", {})
        self.desk.book.take(record, means, ours=True)

    def _release(self) -> None:
        """Put in the store what our acceptances promise, then let them go."""
        released = False
        while rows := self.store.messages(
            CHANNEL, direction=OUT, states={HELD}, after=self._released, limit=_PAGE
        ):
            for row in rows:
                entry = self.desk.book.orders.get(row.detail.get("to", ""))
                if entry is not None and row.kind == "FlexOrderResponse":
                    came = self.store.message(CHANNEL, IN, row.detail["to"])
                    for order in grid_orders(entry, self.settings):
                        self.store.put_order(order, came.body if came else b"")
                self.store.note_message(CHANNEL, OUT, row.message_id, DUE)
                self._released = row.seq
                released = True
        if released:
            for courier in self.couriers:
                courier.due.set()

    # --- the store's view ---------------------------------------------------------------------

    def _grant(self, now_ns: int) -> Grant:
        stale_ns = round(self.settings.stale_s * NS_PER_S)
        published = self.store.published(KIND)
        grant, why = grant_of(published, self.settings.site, now_ns, stale_ns)
        key = f"{CHANNEL}:{self.settings.site}"
        if why:
            self.store.raise_alarm("stale_plan", key, why, now_ns)
        else:
            self.store.clear_alarm("stale_plan", key, now_ns)
        return grant

    def _raise(self, notices: Iterable[Notice], now_ns: int) -> None:
        for one in notices:
            _LOG.warning("%s %s: %s", one.kind, one.key, one.text)
            self.store.raise_alarm(one.kind, f"{CHANNEL}:{one.key}"[:200], one.text[:1000], now_ns)

    def _overdue(self, now_ns: int) -> None:
        """Raise an alarm for each message of ours without an answer; clear it once there is one."""
        late = self.desk.overdue(now_ns)
        self._raise([one for one in late if one.key not in self._late], now_ns)
        for key in self._late - {one.key for one in late}:
            self.store.clear_alarm("unanswered", f"{CHANNEL}:{key}"[:200], now_ns)
        self._late = {one.key for one in late}

    def _say(self, now_ns: int) -> None:
        if now_ns - self._said_ns < _STATUS_S * NS_PER_S:
            return
        self._said_ns = now_ns
        book = self.desk.book
        status = {
            "trouble": trouble_of(self.store),
            "port": self.port,
            "orders": len(book.orders),
            "open_offers": sum(entry.open(now_ns) for entry in book.offers.values()),
            "unanswered": len(book.awaited),
        }
        self.store.publish(STATUS, status, now_ns)


def run(
    settings: UftpSettings, store: Store, stop: threading.Event, clock: Clock | None = None
) -> None:
    """Run the gateway until told to stop.

    Args:
        settings: of the gateway.
        store: the service's store.
        stop: set to end.
        clock: what time it is; the wall's by default.

    Raises:
        BadInput: no signing key, or the address cannot be bound.
    """
    Gateway(settings, store, clock).run(stop)
