"""GOPACS by UFTP: congestion calls taken, answered, delivered and settled, in a process of its own.

UFTP is the USEF Flex Trading Protocol, kept by the Shapeshifter project; the site speaks it as an
aggregator (AGR) with distribution and transmission operators (DSO) and the common reference (CRO).
Messages, signatures and XML are the official library's (`shapeshifter-uftp`); what it lacks is
here: persistence, idempotency, expiry, order equals offer, over-commitment, settlement audit.

::

    days, terms            market days cut into ISPs; messages as plain records      pure
    book                   what messages so far amount to                            pure
    checks, offers,        may this request, this order stand; what to offer;        pure
    orders, settling       what an order means at the connection; is a bill right
    desk                   a message in, answers out                                 pure
    wire                   bytes to records and back, by the library                 no I/O
    inbox, post, process   the server, the deliveries, the loop                      I/O

Knows the protocol and the market's rules. Does not know jobs or plans: what a site can give is
published by the runtime in the store, and what it is ordered stands there as a `grid.GridOrder`.
"""
