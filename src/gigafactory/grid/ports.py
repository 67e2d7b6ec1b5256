"""The ports of the grid room: where signals come from, and who buys flexibility.

Small protocols, so that a synthetic year, a folder of files, a live feed, a simulated market and a
real one can stand behind them. Trouble outside is a value, never an exception: a reading may be
absent, a receipt may be refused or unknown. A bid carries a key; sending it twice has the effect of
sending it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from gigafactory.grid.calendar import MarketCalendar
from gigafactory.grid.signals import Signals


class Product(StrEnum):
    """What can be sold, in the market's own words."""

    FCR = "fcr"  # frequency containment reserve: symmetric, four-hour blocks
    AFRR = "afrr"  # automatic frequency restoration reserve
    MFRR = "mfrr"  # manual frequency restoration reserve
    REDISPATCH = "redispatch"  # congestion: intraday order with location
    CAPACITY_LIMITATION = "capacity_limitation"  # congestion: a lower limit, day ahead


class Direction(StrEnum):
    """Up lifts the grid's balance (consume less), down lowers it (consume more)."""

    UP = "up"
    DOWN = "down"
    SYMMETRIC = "symmetric"


class Outcome(StrEnum):
    """What became of a bid."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"  # sent, and no answer came: look again before repeating


@dataclass(frozen=True, slots=True)
class Bid:
    """An offer of power over an interval.

    Attributes:
        key: idempotency key, unique per intent.
        product: what is offered.
        direction: up, down or symmetric.
        start_ns: begin of delivery, UTC ns.
        end_ns: end of delivery, UTC ns.
        power_mw: power offered, MW, above 0.
        capacity_price_eur_per_mw_h: asked for keeping it ready, EUR per MW and hour.
        energy_price_eur_per_mwh: asked for energy activated, EUR/MWh.
    """

    key: str
    product: Product
    direction: Direction
    start_ns: int
    end_ns: int
    power_mw: float
    capacity_price_eur_per_mw_h: float = 0.0
    energy_price_eur_per_mwh: float = 0.0

    def __post_init__(self) -> None:
        assert self.key, "a bid without a key cannot be repeated safely"
        assert self.end_ns > self.start_ns, "a bid ends after it begins"
        assert self.power_mw > 0.0, "a bid offers more than 0 MW"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a bid.

    Attributes:
        key: the key of the bid.
        outcome: accepted, refused or unknown.
        awarded_mw: power awarded, MW; 0 unless accepted.
        price_eur_per_mw_h: capacity price it clears at, EUR per MW and hour.
        reason: why refused or unknown; empty when accepted.
    """

    key: str
    outcome: Outcome
    awarded_mw: float = 0.0
    price_eur_per_mw_h: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Activation:
    """A call on power that was awarded.

    Attributes:
        key: idempotency key of the call.
        bid_key: the bid it calls on.
        issued_ns: instant the grid operator gave it, UTC ns.
        start_ns: begin, UTC ns.
        end_ns: end, UTC ns.
        power_mw: power asked for, MW; direction as in the bid.
    """

    key: str
    bid_key: str
    issued_ns: int
    start_ns: int
    end_ns: int
    power_mw: float


class OrderKind(StrEnum):
    """What a grid party tells a site."""

    LIMIT = "limit"  # import at most this; binding: a contract's restriction, a call, an order
    SETPOINT = "setpoint"  # deviation asked of a reserve; importing less is positive
    EMERGENCY = "emergency"  # import at most this, at once, whatever was agreed


@dataclass(frozen=True, slots=True)
class GridOrder:
    """Something a grid party told a site, already checked as a message: who, when, what.

    It is a claim until `runtime` has held it to the rules of its source: staleness, replay,
    plausibility. One that fails does nothing but raise an alarm.

    Attributes:
        key: unique per source: the message's own id. The same key again changes nothing.
        source: the channel it came by, as named in the service's settings (`gopacs`, `openadr`,
            `afrr`, `iec104`, `operator`).
        kind: limit, setpoint or emergency.
        point: the connection it is about, as the factory file names its site.
        power_mw: the limit (import at most), or the setpoint (asked deviation), MW.
        issued_ns: when the sender gave it, ns UTC, by the sender's clock.
        received_ns: when it came, ns UTC, by ours.
        start_ns: begin, ns UTC.
        end_ns: end, ns UTC; a setpoint holds until the next one or until its source's time limit.
        sequence: the sender's counter where the protocol has one; -1 where it has none.
        replaces: key of the order it takes the place of; empty for none.
    """

    key: str
    source: str
    kind: OrderKind
    point: str
    power_mw: float
    issued_ns: int
    received_ns: int
    start_ns: int
    end_ns: int
    sequence: int = -1
    replaces: str = ""


@runtime_checkable
class OrderSource(Protocol):
    """A channel by which a grid party tells a site what to do."""

    def orders(self, since_ns: int) -> tuple[GridOrder, ...]:
        """Orders received from an instant on, in order of receipt and key."""
        ...

    def trouble(self, now_ns: int) -> str:
        """Why the channel cannot be relied on now (silent, cut off); empty when all is well."""
        ...


@runtime_checkable
class SignalSource(Protocol):
    """Where prices, weather and carbon come from."""

    def signals(self, calendar: MarketCalendar) -> Signals:
        """All signals over a calendar.

        Raises:
            BadInput: what was given cannot make them; every problem at once.
        """
        ...


@runtime_checkable
class FlexibilityMarket(Protocol):
    """Who buys flexibility: a balancing market or a congestion platform."""

    def submit(self, bids: Sequence[Bid]) -> tuple[Receipt, ...]:
        """Offer bids; one receipt per bid, in the same order."""
        ...

    def activations(self, since_ns: int) -> tuple[Activation, ...]:
        """Calls issued from an instant on, sorted by issue and key."""
        ...
