"""The operator's word on requests: let us offer, or do not. It stands in the store's offers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from gigafactory.adapters.store import Lease, Store
from gigafactory.adapters.store.records import OfferState, RequestState
from gigafactory.adapters.store.records import Request as Asked
from gigafactory.adapters.uftp.book import Book
from gigafactory.adapters.uftp.settings import UftpSettings
from gigafactory.adapters.uftp.terms import CHANNEL

_UNDECIDED = (OfferState.REQUESTED, OfferState.OFFERED)


@dataclass(frozen=True, slots=True)
class Word:
    """What we may offer on.

    Attributes:
        approved: requests on which we may; None for all.
        refused: requests on which we may not, and whose open offers are taken back.
    """

    approved: Collection[str] | None = None
    refused: Collection[str] = ()


def hear(book: Book, store: Store, lease: Lease, now_ns: int) -> None:
    """Take up what operators asked since, and say what became of it."""
    for one in store.requests({RequestState.ASKED}):
        if one.kind not in ("accept_offer", "refuse_offer") or one.body.get("channel") != CHANNEL:
            continue
        against = _against(book, one, now_ns)
        if not against and one.kind == "accept_offer":
            was = (OfferState.REQUESTED,)
            store.settle_offer(CHANNEL, one.body["key"], OfferState.ACCEPTED, now_ns, was=was)
        elif not against:
            store.settle_offer(
                CHANNEL, one.body["key"], OfferState.REFUSED, now_ns, one.reason, was=_UNDECIDED
            )
        state = RequestState.REFUSED if against else RequestState.DONE
        store.settle_request(one.id, state, against or "taken up", now_ns, lease)


def _against(book: Book, one: Asked, now_ns: int) -> str:
    name = str(one.body.get("key", ""))
    request = book.requests.get(name)
    if request is None:
        return "there is no such request"
    if any(entry.ordered_by for entry in book.offers_on(name)):
        return "it was ordered already"
    if now_ns >= request.expires_ns and one.kind == "accept_offer":
        return "the request has expired"
    return ""


def said(book: Book, store: Store, settings: UftpSettings, now_ns: int) -> Word:
    """What we may offer on now."""
    live = [
        one
        for name, one in book.requests.items()
        if now_ns < one.expires_ns or any(entry.open(now_ns) for entry in book.offers_on(name))
    ]
    if not live:
        return Word(None if settings.offers == "automatic" else ())
    before = (min(one.head.at_ns for one in live) - 1, "", "")
    states = {OfferState.ACCEPTED, OfferState.REFUSED}
    rows = store.offers(channel=CHANNEL, states=states, after=before)
    refused = {row.key for row in rows if row.state is OfferState.REFUSED}
    if settings.offers == "automatic":
        return Word(None, refused)
    if settings.offers == "none":
        return Word((), refused)
    return Word({row.key for row in rows if row.state is OfferState.ACCEPTED}, refused)
