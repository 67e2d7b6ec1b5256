"""Messages as plain records: what the rules look at, without XML and without the library.

Power is in W, import positive; in requests, offers and orders it is the deviation from the
baseline, so less import is negative.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from gigafactory.adapters.uftp.days import Span

CHANNEL: Final = "gopacs"
#: Under this name the gateway says in the store that it lives.
STATUS: Final = f"channel:{CHANNEL}"
IN: Final = "in"
OUT: Final = "out"

AGR: Final = "AGR"


@dataclass(frozen=True, slots=True)
class Head:
    """What every message carries.

    Attributes:
        kind: its name in the specification without hyphens, such as `FlexOrder`, `DPrognosis`.
        message_id: its own id.
        conversation: what it belongs to.
        party: domain of the counterpart, sender or recipient.
        role: the counterpart's role.
        stamp_ns: its time stamp, ns UTC, by the sender's clock.
        at_ns: received or written, ns UTC, by ours.
        recipient: domain it is meant for.
        version: of the specification.
    """

    kind: str
    message_id: str
    conversation: str
    party: str
    role: str
    stamp_ns: int
    at_ns: int
    recipient: str = ""
    version: str = "3.1.0"


@dataclass(frozen=True, slots=True)
class Frame:
    """What every message about a day's ISPs carries.

    Attributes:
        date: the local day.
        timezone: IANA name.
        isp_min: length of an ISP, minutes.
        point: the congestion point.
    """

    date: dt.date
    timezone: str
    isp_min: int
    point: str


class Wanted(NamedTuple):
    """A stretch of ISPs in a request.

    Attributes:
        start: number of its first ISP.
        duration: how many.
        low_w: least deviation from the baseline, W.
        high_w: most.
        requested: whether it is asked for; otherwise it is room that is there.
    """

    start: int
    duration: int
    low_w: int
    high_w: int
    requested: bool


@dataclass(frozen=True, slots=True)
class Request:
    """A FlexRequest."""

    head: Head
    frame: Frame
    revision: int
    expires_ns: int
    wanted: tuple[Wanted, ...]
    contract: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """One way to take an offer.

    Attributes:
        reference: its name.
        price_eur: for all of it, EUR.
        least_factor: least activation factor.
        spans: what is offered.
    """

    reference: str
    price_eur: Decimal
    least_factor: Decimal
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A FlexOffer of ours."""

    head: Head
    frame: Frame
    expires_ns: int
    request_id: str
    options: tuple[Option, ...]
    prognosis_id: str = ""
    contract: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """A FlexOrder."""

    head: Head
    frame: Frame
    reference: str
    spans: tuple[Span, ...]
    price_eur: Decimal
    currency: str = "EUR"
    offer_id: str = ""
    option: str = ""
    factor: Decimal = Decimal(1)
    contract: str = ""
    prognosis_id: str = ""
    unsolicited: bool = False


@dataclass(frozen=True, slots=True)
class Prognosis:
    """A D-prognosis of ours; the baseline as of then."""

    head: Head
    frame: Frame
    revision: int
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Reservation:
    """A FlexReservationUpdate: what of a contract is still reserved."""

    head: Head
    frame: Frame
    contract: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Revocation:
    """A FlexOfferRevocation of ours."""

    head: Head
    offer_id: str


class SettledIsp(NamedTuple):
    """One stretch of a settlement, W as in the message (deviations signed)."""

    start: int
    duration: int
    baseline_w: int
    ordered_w: int
    actual_w: int
    delivered_w: int
    missing_w: int


@dataclass(frozen=True, slots=True)
class SettledOrder:
    """What the grid operator settles for one order."""

    reference: str
    date: dt.date
    point: str
    price_eur: Decimal
    penalty_eur: Decimal
    net_eur: Decimal
    isps: tuple[SettledIsp, ...]
    prognosis_id: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """A FlexSettlement."""

    head: Head
    first: dt.date
    last: dt.date
    currency: str
    orders: tuple[SettledOrder, ...]


@dataclass(frozen=True, slots=True)
class Metered:
    """A Metering message of ours: mean import per ISP."""

    head: Head
    date: dt.date
    revision: int
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Portfolio:
    """A portfolio query or update of ours, by the day it is for."""

    head: Head
    date: dt.date


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, theirs or ours.

    Attributes:
        head: its own.
        to: id of the message it answers.
        accepted: whether that was accepted.
        why: why not.
        statuses: in a settlement's answer: order reference, accepted, reason.
        points: in a portfolio's answer: the congestion points of our connections.
    """

    head: Head
    to: str
    accepted: bool
    why: str = ""
    statuses: tuple[tuple[str, bool, str], ...] = ()
    points: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Test:
    """A TestMessage."""

    __test__ = False
    head: Head


Record = (
    Request
    | Offer
    | Order
    | Prognosis
    | Reservation
    | Revocation
    | Settlement
    | Metered
    | Portfolio
    | Answer
    | Test
)


@dataclass(frozen=True, slots=True)
class Grant:
    """What the runtime says of the site now.

    Attributes:
        at_ns: when it said so, ns UTC.
        baseline_w: planned import by begin of an ISP (ns UTC), W.
        least_w: least import the site can be brought to, by begin of an ISP, W.
        metered_w: mean import by begin of an ISP that has passed, W.
    """

    at_ns: int = 0
    baseline_w: dict[int, int] = field(default_factory=dict)
    least_w: dict[int, int] = field(default_factory=dict)
    metered_w: dict[int, int] = field(default_factory=dict)

    def headroom_w(self, start_ns: int) -> int:
        """How much less the site can import than planned in an ISP, W; 0 where unknown."""
        planned, least = self.baseline_w.get(start_ns), self.least_w.get(start_ns)
        return 0 if planned is None or least is None else max(planned - least, 0)
