"""The store's view of requests and offers, for operators and the grid party: kept true by looking.

Level-triggered: what should stand there is worked out from the book, and written where it differs
from what was last written. An operator's own word on a request is not written over.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gigafactory.adapters.store import Store
from gigafactory.adapters.store.records import Offer as Row
from gigafactory.adapters.store.records import OfferState
from gigafactory.adapters.uftp.book import Book, OfferEntry
from gigafactory.adapters.uftp.days import day_of
from gigafactory.adapters.uftp.settings import UftpSettings
from gigafactory.adapters.uftp.terms import CHANNEL, Request

#: What may be written over: an operator's refusal stands until the offer is taken back or ordered.
_OVER: Final = {
    OfferState.EXPIRED: (OfferState.REQUESTED, OfferState.OFFERED),
    OfferState.OFFERED: (OfferState.REQUESTED, OfferState.ACCEPTED, OfferState.WITHDRAWN),
}


class Shown(NamedTuple):
    """What was last written of a request."""

    state: OfferState
    offer: str
    why: str


def show(
    book: Book, store: Store, settings: UftpSettings, shown: dict[str, Shown], now_ns: int
) -> None:
    """Write what differs.

    Args:
        book: what is true.
        store: where it is shown.
        settings: of the gateway.
        shown: what was last written, by request; changed in place.
        now_ns: the present instant.
    """
    for name, request in book.requests.items():
        made = list(book.offers_on(name))
        wanted = _state(book, request, made, now_ns)
        if shown.get(name) == wanted:
            continue
        body = _body(request, made)
        if name not in shown:
            store.put_offer(_row(request, settings, body))
        if wanted.state is not OfferState.REQUESTED:
            was = _OVER.get(wanted.state)
            store.settle_offer(CHANNEL, name, wanted.state, now_ns, wanted.why, body, was=was)
        shown[name] = wanted


def _state(book: Book, request: Request, made: list[OfferEntry], now_ns: int) -> Shown:
    last = made[-1] if made else None
    name = last.offer.head.message_id if last else ""
    if last is None:
        past = now_ns >= request.expires_ns
        return Shown(OfferState.EXPIRED if past else OfferState.REQUESTED, "", "")
    if last.ordered_by:
        order = book.orders[last.ordered_by].order
        done = order.reference in book.settled
        return Shown(OfferState.SETTLED if done else OfferState.ACCEPTED, name, "")
    if last.revocation:
        return Shown(OfferState.WITHDRAWN, name, "the site can no longer give it")
    if last.answered is False:
        return Shown(OfferState.REFUSED, name, book.refused.get(name, "")[:1000])
    if not last.open(now_ns):
        return Shown(OfferState.EXPIRED, name, "")
    return Shown(OfferState.OFFERED, name, "")


def _body(request: Request, made: list[OfferEntry]) -> dict[str, Any]:
    return {
        "period": str(request.frame.date),
        "wanted": [list(one) for one in request.wanted],
        "contract": request.contract,
        "offers": [
            {
                "message_id": entry.offer.head.message_id,
                "expires_ns": entry.offer.expires_ns,
                "price_eur": str(option.price_eur),
                "least_factor": str(option.least_factor),
                "spans": [list(span) for span in option.spans],
                "ordered_by": entry.ordered_by,
            }
            for entry in made
            for option in entry.offer.options
        ],
    }


def _row(request: Request, settings: UftpSettings, body: dict[str, Any]) -> Row:
    day = day_of(request.frame.date, settings.timezone, settings.isp_min)
    asked = [one for one in request.wanted if one.requested]
    return Row(
        channel=CHANNEL,
        key=request.head.message_id,
        party=request.head.party,
        point=settings.site,
        start_ns=day.start_ns(min(one.start for one in asked)),
        end_ns=day.start_ns(max(one.start + one.duration for one in asked)),
        expires_ns=request.expires_ns,
        body=body,
        at_ns=request.head.at_ns,
    )
