"""A market day by UFTP with an independent counterpart on the official library."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import shapeshifter_uftp.uftp as uftp

from gigafactory.adapters.store.records import OfferState
from gigafactory.adapters.uftp.days import day_of
from tests.adapters.uftp.rig import (
    ASKED_W,
    BASELINE_W,
    FIRST,
    LAST,
    TOMORROW,
    Rig,
    waited,
    whole_day,
)


@pytest.mark.slow
def test_a_whole_day(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    day = whole_day(rig)
    offer = day["offer"].offer_options[0]
    assert [(one.start, one.duration, one.power) for one in offer.isps] == [
        (FIRST, LAST - FIRST + 1, ASKED_W)
    ]
    assert float(offer.price) == 85.0 * 10.0 * 2.0  # 10 MW for two hours
    (last,) = [one for one in rig.dso.of(uftp.DPrognosis) if one.revision == 2]
    assert last.period.to_date() == TOMORROW
    assert {one.power for one in last.isps} == {BASELINE_W, BASELINE_W + ASKED_W}
    kept = rig.store.orders()
    assert [(one.order.power_mw, one.order.point, one.order.source) for one in kept] == [
        (90.0, "maasvlakte", "gopacs")
    ]
    market_day = day_of(TOMORROW, "Europe/Amsterdam", 15)
    assert kept[0].order.start_ns == market_day.start_ns(FIRST)
    assert kept[0].order.end_ns == market_day.start_ns(LAST + 1)
    assert kept[0].body  # the signed message it came in
    profile = day["metering"][0].profiles[0]
    assert float(profile.isps[FIRST - 1].value) == 90_000.0
    statuses = day["settled"].flex_order_settlement_statuses
    assert [(one.order_reference, one.disposition) for one in statuses] == [("O-1", "Accepted")]
    waited(
        "the offer to be settled",
        lambda: [one.state for one in rig.store.offers()] == [OfferState.SETTLED],
    )
    assert rig.store.alarms() == []
