"""The ports: an adapter of the expected shape fits, one without does not."""

import datetime as dt

import pytest

from gigafactory.grid import MarketCalendar, synthetic_signals
from gigafactory.grid.ports import (
    Activation,
    Bid,
    Direction,
    FlexibilityMarket,
    Outcome,
    Product,
    Receipt,
    SignalSource,
)


class SyntheticSource:
    def signals(self, calendar):
        return synthetic_signals(calendar, 0)


class OneBuyer:
    """Takes the first bid of a key, at half its power, and calls on it at once."""

    def __init__(self):
        self.taken: dict[str, Receipt] = {}
        self.called: list[Activation] = []

    def submit(self, bids):
        for bid in bids:
            if bid.key not in self.taken:
                self.taken[bid.key] = Receipt(bid.key, Outcome.ACCEPTED, bid.power_mw / 2)
                call = Activation(
                    f"call-{bid.key}", bid.key, bid.start_ns, bid.start_ns, bid.end_ns, 1.0
                )
                self.called.append(call)
        return tuple(self.taken[bid.key] for bid in bids)

    def activations(self, since_ns):
        return tuple(call for call in self.called if call.issued_ns >= since_ns)


def test_adapters_fit_the_ports():
    assert isinstance(SyntheticSource(), SignalSource)
    assert isinstance(OneBuyer(), FlexibilityMarket)
    assert not isinstance(SyntheticSource(), FlexibilityMarket)
    week = MarketCalendar.of(dt.date(2026, 1, 5), 1)
    assert len(SyntheticSource().signals(week)) == 96


def test_the_same_bid_twice_is_one_bid():
    market = OneBuyer()
    bid = Bid("b1", Product.AFRR, Direction.UP, 0, 900, 10.0)
    first, second = market.submit([bid, bid])
    assert first == second == Receipt("b1", Outcome.ACCEPTED, 5.0)
    assert [call.bid_key for call in market.activations(0)] == ["b1"]


def test_a_bid_without_key_power_or_duration_is_a_bug():
    for key, end_ns, power_mw in (("", 900, 1.0), ("b", 0, 1.0), ("b", 900, 0.0)):
        with pytest.raises(AssertionError):
            Bid(key, Product.FCR, Direction.SYMMETRIC, 0, end_ns, power_mw)
