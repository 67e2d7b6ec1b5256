"""Orders are held to the rules of their source, and the limit is what is left."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.grid.calendar import instant_ns
from gigafactory.grid.ports import GridOrder, OrderKind
from gigafactory.runtime.live.orders import (
    ACCEPTED,
    REFUSED,
    REPEATED,
    Desk,
    PointRules,
    SourceRules,
)
from gigafactory.units import NS_PER_H, NS_PER_S
from tests.runtime.live.bench import NOON

POINT = PointRules("home", 100.0, 80.0, 20.0, up_mw=10.0, down_mw=5.0)
SOURCES = {
    "gopacs": SourceRules("gopacs", frozenset({"home"}), silent_s=0.0),
    "tdtr": SourceRules("tdtr", frozenset({"home"}), frozenset({OrderKind.LIMIT}),
                        day_ahead_h=8.5),
    "afrr": SourceRules("afrr", frozenset({"home"}), frozenset({OrderKind.SETPOINT}), sequence=True,
                        rate_mw_per_min=5.0, silent_s=30.0, stale_s=10.0),
}  # fmt: skip


def desk(**changes: object) -> Desk:
    return Desk(SOURCES, {"home": replace(POINT, **changes)})  # type: ignore[arg-type]


def order(
    key: str = "k",
    source: str = "gopacs",
    power: float = 50.0,
    at: int = NOON,
    kind: OrderKind = OrderKind.LIMIT,
    lasts_s: float = 600.0,
    **changes: object,
) -> GridOrder:
    made = GridOrder(key, source, kind, "home", power, at, at, at, at + int(lasts_s * NS_PER_S))
    return replace(made, **changes)  # type: ignore[arg-type]


def limit(found: Desk, at: int, **more: float) -> float:
    found.alive("afrr", at)
    return found.force("home", at, **more).limit_mw  # type: ignore[arg-type]


def test_a_limit_holds_while_it_lasts() -> None:
    found = desk()
    assert limit(found, NOON) == 80.0
    assert found.hear(order(), NOON).verdict == ACCEPTED
    assert found.hear(order(), NOON).verdict == REPEATED
    force = found.force("home", NOON + 1)
    assert (force.limit_mw, force.key) == (50.0, "gopacs:k")
    assert (force.next_ns, force.next_mw) == (NOON + 600 * NS_PER_S, 80.0)
    assert limit(found, NOON + 600 * NS_PER_S) == 80.0


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (order(power=math.nan), "malformed"),
        (order(source="nobody"), "unknown_source"),
        (order(point="away"), "unknown_point"),
        (order(source="tdtr", kind=OrderKind.EMERGENCY), "kind"),
        (order(issued_ns=NOON + 60 * NS_PER_S), "clock"),
        (order(issued_ns=NOON - 400 * NS_PER_S), "stale"),
        (order(end_ns=NOON - 1), "window"),
        (order(start_ns=NOON - 10, end_ns=NOON - 5), "window"),
        (order(lasts_s=10 * 86_400), "window"),
        (order(start_ns=NOON + 96 * NS_PER_H, end_ns=NOON + 97 * NS_PER_H), "window"),
        (order(power=-0.1), "bounds"),
        (order(power=100.1), "bounds"),
        (order(source="afrr", kind=OrderKind.SETPOINT, power=10.5), "bounds"),
        (order(source="afrr", kind=OrderKind.SETPOINT, power=-5.5, sequence=1), "bounds"),
        (order(source="afrr", kind=OrderKind.SETPOINT, power=9.0, sequence=1), "rate"),
    ],
)
def test_a_bad_order_is_refused_by_name_and_changes_nothing(bad: GridOrder, rule: str) -> None:
    found = desk()
    before = limit(found, NOON)
    judged = found.hear(bad, NOON)
    assert (judged.verdict, judged.rule) == (REFUSED, rule)
    assert judged.why
    assert found.hear(bad, NOON).verdict == REPEATED, "a flood of it is one refusal"
    assert limit(found, NOON) == before
    assert not found.standing(NOON)


def test_the_same_key_with_another_content_is_a_forgery() -> None:
    found = desk()
    found.hear(order(power=50.0), NOON)
    assert found.hear(order(power=5.0), NOON).rule == "forged_key"
    assert limit(found, NOON) == 50.0


def test_a_restriction_must_come_the_day_before_in_time() -> None:
    zone = ZoneInfo("Europe/Amsterdam")
    start = instant_ns(dt.datetime(2026, 11, 26, 17, 0, tzinfo=zone))
    due = instant_ns(dt.datetime(2026, 11, 25, 8, 30, tzinfo=zone))
    for at, rule in ((due, ""), (due + 1, "late")):
        one = order("r", "tdtr", at=at, start_ns=start, end_ns=start + NS_PER_H)
        assert desk().hear(one, at).rule == rule


def test_counters_must_rise_and_setpoints_hold_for_their_time() -> None:
    found = desk()

    def setpoint(n: int, power: float, at: int) -> str:
        one = order(f"s{n}", "afrr", power, at, OrderKind.SETPOINT, 3600.0, sequence=n)
        return found.hear(one, at).rule

    assert setpoint(5, 4.0, NOON) == ""
    assert setpoint(5, 3.0, NOON) == "forged_key"
    assert setpoint(4, 3.0, NOON + NS_PER_S) == "sequence"
    assert limit(found, NOON + NS_PER_S, baseline_mw=60.0) == 56.0
    assert limit(found, NOON + 61 * NS_PER_S, baseline_mw=60.0) == 80.0, "no new one came"


def test_a_silent_source_brings_the_safe_limit() -> None:
    found = desk()
    found.alive("afrr", NOON)
    assert found.force("home", NOON + 30 * NS_PER_S).limit_mw == 80.0
    force = found.force("home", NOON + 31 * NS_PER_S)
    assert force.limit_mw == 20.0
    assert "silent" in force.why


def test_an_order_that_replaces_takes_the_other_back() -> None:
    found = desk()
    found.hear(order("a", power=30.0), NOON)
    found.hear(order("b", power=100.0, replaces="a"), NOON)
    assert limit(found, NOON) == 80.0


def test_after_a_release_power_rises_by_the_ramp() -> None:
    found = desk(ramp_mw_per_min=6.0)
    found.hear(order(power=50.0), NOON)
    assert limit(found, NOON + 599 * NS_PER_S) == 50.0
    assert limit(found, NOON + 609 * NS_PER_S) == pytest.approx(51.0)
    assert limit(found, NOON + 669 * NS_PER_S) == pytest.approx(57.0)
    found.hear(order("again", power=40.0, at=NOON + 670 * NS_PER_S), NOON + 670 * NS_PER_S)
    assert limit(found, NOON + 671 * NS_PER_S) == 40.0, "a lower limit holds at once"


@given(
    st.lists(st.tuples(st.floats(-20, 130), st.integers(0, 900), st.integers(1, 900)), max_size=8)
)
def test_the_limit_is_the_lowest_of_what_holds(told: list[tuple[float, int, int]]) -> None:
    found = desk()
    good = []
    for n, (power, begin, lasts) in enumerate(told):
        start = NOON + begin * NS_PER_S
        one = order(str(n), power=power, start_ns=start, end_ns=start + lasts * NS_PER_S)
        judged = found.hear(one, NOON)
        assert (judged.verdict == ACCEPTED) == (0.0 <= power <= 100.0)
        good += [one] if judged.verdict == ACCEPTED else []
    for second in range(0, 1900, 50):
        at = NOON + second * NS_PER_S
        held = [o.power_mw for o in good if o.start_ns <= at < o.end_ns]
        assert limit(found, at) == min([80.0, *held])
