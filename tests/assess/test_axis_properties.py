"""Whatever the findings: gates only hold back, better is never worse, the bounds hold the value."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gigafactory.assess import Finding, Grade
from gigafactory.assess.axes import axis_of
from tests.assess.test_axes import finding

GATES = ("autonomy.jurisdiction", "autonomy.cyber_security", "autonomy.dependencies")

opportunities = st.lists(st.none() | st.floats(-1.0, 1.0), min_size=1, max_size=5)
risks = st.lists(st.none() | st.floats(0.0, 1.0), max_size=5)
gates = st.lists(st.sampled_from([(1.0, Grade.MET), (0.5, Grade.UNVERIFIED), (0.0, Grade.UNMET)]),
                 max_size=3)  # fmt: skip


def rows(
    good: list[float | None], bad: list[float | None], shut: list[tuple[float, Grade]]
) -> list[Finding]:
    return [
        *(finding(f"k{at}", "opportunity", points) for at, points in enumerate(good)),
        *(finding(f"r{at}", "risk", points) for at, points in enumerate(bad)),
        *(
            replace(finding(name, "precondition", points), grade=grade)
            for name, (points, grade) in zip(GATES, shut, strict=False)
        ),
    ]


@given(opportunities, risks, gates)
def test_bounds_hold_the_value(
    good: list[float | None], bad: list[float | None], shut: list[tuple[float, Grade]]
) -> None:
    axis = axis_of("autonomy", rows(good, bad, shut))
    if axis.value is None:
        assert axis.known_share == 0.0
        return
    assert axis.low - 1e-12 <= axis.value <= axis.high + 1e-12
    assert axis.low >= -2.0
    assert axis.high <= 1.0
    assert 0.0 < axis.known_share <= 1.0


@given(opportunities, risks, gates)
def test_a_gate_only_holds_back(
    good: list[float | None], bad: list[float | None], shut: list[tuple[float, Grade]]
) -> None:
    capped = axis_of("autonomy", rows(good, bad, shut))
    free = axis_of("autonomy", rows(good, bad, []))
    if capped.value is None:
        return
    assert free.value is not None
    assert capped.value <= free.value + 1e-12
    if (capped.opportunity or 0.0) <= 0.0:
        assert capped.value == free.value


@given(opportunities, risks, gates, st.floats(0.0, 0.5), st.data())
def test_better_is_never_worse(
    good: list[float | None],
    bad: list[float | None],
    shut: list[tuple[float, Grade]],
    more: float,
    data: st.DataObject,
) -> None:
    before = axis_of("autonomy", rows(good, bad, shut))
    at = data.draw(st.integers(0, len(good) - 1))
    points = good[at]
    if points is None or before.value is None:
        return
    after = axis_of(
        "autonomy", rows([*good[:at], min(1.0, points + more), *good[at + 1 :]], bad, shut)
    )
    assert after.value is not None
    assert after.value >= before.value - 1e-12
