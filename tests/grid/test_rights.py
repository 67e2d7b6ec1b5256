"""Transport rights: what a restriction may do, and when it is refused."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.grid import (
    Form,
    MarketCalendar,
    Restriction,
    TimeBlock,
    TransportRight,
    TransportRights,
    rights_on,
    violations,
)
from gigafactory.grid.figures import MARKS
from gigafactory.units import NS_PER_H

DAY = dt.date(2026, 6, 1)
CALENDAR = MarketCalendar.of(DAY, 30)
RULES = rights_on(DAY)
NIGHT = (TimeBlock(0, 6), TimeBlock(20, 24, (0, 1)))
RIGHTS = TransportRights(
    (
        TransportRight("firm", Form.FIRM, 40),
        TransportRight("soft", Form.DURATION_BOUND, 60),
        TransportRight("rest", Form.FULLY_VARIABLE, 10),
        TransportRight("night", Form.TIME_BLOCK, 20, NIGHT),
    ),
    RULES,
)


def call(right, day, hour, hours, limit, announced=None):
    start = CALENDAR.local_ns(day, hour)
    due = CALENDAR.local_ns(day - 1, 8, 30) if announced is None else announced
    return Restriction(right, due, start, start + int(hours * NS_PER_H), limit)


def test_the_rules_with_their_sources():
    assert RULES.duration_bound_guaranteed_share == 0.85
    assert RULES.announcement_time_h == 8.5
    assert RULES.contract_factor[Form.FIRM] == 1.0
    assert RULES.contract_factor[Form.DURATION_BOUND] == 0.0
    assert (RIGHTS.suspended(1), RIGHTS.suspended(2)) == (False, True)
    assert all(row.note.split(";")[0] in MARKS for row in RULES.sources())


def test_rights_add_up_and_a_time_block_holds_in_its_hours():
    limit = RIGHTS.limits(CALENDAR).limit_mw  # 1 June 2026 is a Monday
    assert [limit[h * 4] for h in (0, 5, 6, 19, 20, 23)] == [130, 130, 110, 110, 130, 130]
    assert limit[2 * 96 + 20 * 4] == 110
    assert RIGHTS.rights[3].week_share == pytest.approx((7 * 6 + 2 * 4) / 168)
    assert RIGHTS.capacity_mw == 130


def test_a_call_in_time_holds_and_a_late_one_is_refused_with_a_reason():
    due = CALENDAR.local_ns(0, 8, 30)
    limits = RIGHTS.limits(
        CALENDAR,
        [call("soft", 1, 17, 4, 25, due), call("soft", 1, 8, 2, 0, due + 1)],
    )
    assert [one.limit_mw for one in limits.accepted] == [25]
    assert "due by 2026-06-01T06:30:00Z" in limits.refused[0].reason
    assert set(limits.by_right_mw["soft"][96 + 17 * 4 : 96 + 21 * 4]) == {25}
    assert limits.by_right_mw["soft"].sum() == 60 * CALENDAR.periods - 35 * 16
    assert limits.restricted_h["soft", 2026] == 4


def test_firm_and_time_block_rights_take_no_call_and_a_variable_one_any():
    late = CALENDAR.local_ns(1, 12)
    limits = RIGHTS.limits(
        CALENDAR,
        [
            call("firm", 1, 17, 4, 25),
            call("night", 1, 0, 4, 0),
            call("rest", 1, 12, 3, 0, late),
            call("rest", 1, 11, 1, 0, late),
        ],
    )
    assert [one.right for one in limits.accepted] == ["rest"]
    reasons = {one.restriction.right: one.reason for one in limits.refused}
    assert "firm right" in reasons["firm"]
    assert "time_block right" in reasons["night"]
    assert reasons["rest"] == "announced after it began"


def test_no_more_than_15_percent_of_the_hours_of_a_year():
    most = 0.15 * 8760
    before = {"soft": most - 6}
    limits = RIGHTS.limits(
        CALENDAR,
        [
            call("soft", 1, 0, 4, 0),
            call("soft", 1, 2, 3, 10),  # two hours of it are restricted already
            call("soft", 2, 0, 2, 0),
            call("soft", 3, 0, 1, 0),
        ],
        restricted_before_h=before,
    )
    assert len(limits.accepted) == 3
    assert limits.restricted_h["soft", 2026] == pytest.approx(most)
    assert "of which 1314 h may be restricted" in limits.refused[0].reason
    assert limits.by_right_mw["soft"][96 + 2 * 4] == 0, "the lower of two limits holds"


@given(
    st.lists(
        st.tuples(
            st.integers(0, 29), st.integers(0, 20), st.integers(1, 4), st.floats(0, 59),
            st.integers(-40, 10), st.sampled_from(["soft", "rest", "firm", "night"]),
        ),
        max_size=20,
    ),
    st.floats(0, 1400),
)  # fmt: skip
def test_limits_are_never_exceeded_and_15_percent_neither(rows, before):
    calls = [
        call(
            right, day, hour, hours, min(limit, 9.0) if right == "rest" else min(limit, 19.0),
            CALENDAR.local_ns(day - 1, 8, 30) + lead * NS_PER_H,
        )
        for day, hour, hours, limit, lead, right in rows
    ]  # fmt: skip
    limits = RIGHTS.limits(CALENDAR, calls, restricted_before_h={"soft": before})
    assert len(limits.accepted) + len(limits.refused) == len(calls)
    assert (limits.limit_mw >= 40).all()
    assert (limits.limit_mw <= RIGHTS.capacity_mw).all()
    assert limits.restricted_h["soft", 2026] <= max(before, 0.15 * 8760) + 1e-5
    for right in RIGHTS.rights:
        assert (limits.by_right_mw[right.name] <= right.capacity_mw).all()
    for one in limits.accepted:
        span = slice(CALENDAR.period_at(one.start_ns), CALENDAR.period_at(one.end_ns - 1) + 1)
        assert (limits.by_right_mw[one.right][span] <= one.limit_mw).all()
    assert all(one.reason for one in limits.refused)
    # what nobody may restrict stands whatever was announced
    assert (limits.by_right_mw["firm"] == 40).all()


def test_stretches_above_the_limit_are_counted_once_each():
    limit = np.full(6, 10.0)
    assert violations([11, 12, 9, 10, 11, 11], limit) == 2
    assert violations([11, 12, 9, 10, 11, 11], limit, tolerance_mw=2) == 0


def test_bad_input_is_told_at_once():
    start = CALENDAR.begin_ns
    bad = [
        Restriction("none", start, start, start + NS_PER_H),
        Restriction("soft", start, start + 1, start, 60),
        Restriction("soft", start, start - NS_PER_H, CALENDAR.end_ns + NS_PER_H, -1),
    ]
    with pytest.raises(BadInput) as told:
        RIGHTS.limits(CALENDAR, bad)
    assert len(told.value.problems) == 7
    with pytest.raises(BadInput) as told:
        TransportRight("x", Form.TIME_BLOCK, 0)
    assert len(told.value.problems) == 2
    with pytest.raises(BadInput) as told:
        TransportRight("x", Form.TIME_BLOCK, 1, (TimeBlock(5, 4, (9,)),))
    assert len(told.value.problems) == 2
    with pytest.raises(BadInput, match="blocks"):
        TransportRight("x", Form.FIRM, 1, NIGHT)
    with pytest.raises(BadInput, match="named once"):
        TransportRights((RIGHTS.rights[0], RIGHTS.rights[0]), RULES)
    with pytest.raises(BadInput, match="known from"):
        rights_on(dt.date(2020, 1, 1))


def test_who_was_announced_first_goes_first():
    first = CALENDAR.local_ns(0, 8)
    limits = RIGHTS.limits(
        CALENDAR,
        [call("soft", 1, 0, 4, 0, first + 1), call("soft", 5, 0, 4, 0, first)],
        restricted_before_h={"soft": 0.15 * 8760 - 5},
    )
    assert [one.announced_ns for one in limits.accepted] == [first]
    assert [one.restriction.announced_ns for one in limits.refused] == [first + 1]


def test_each_year_has_its_own_15_percent():
    calendar = MarketCalendar.of(dt.date(2027, 12, 31), 2)
    start = calendar.local_ns(0, 22)
    over_midnight = Restriction("soft", calendar.local_ns(-1, 8), start, start + 4 * NS_PER_H, 0.0)
    limits = RIGHTS.limits(calendar, [over_midnight], restricted_before_h={"soft": 1312.0})
    assert limits.restricted_h["soft", 2027] == pytest.approx(1314.0)
    assert limits.restricted_h["soft", 2028] == 2.0
    full = RIGHTS.limits(calendar, [over_midnight], restricted_before_h={"soft": 1312.5})
    assert "of 2027" in full.refused[0].reason
