"""What every meter and every actuator must hold to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gigafactory.plant.ports import Actuator, Meter, Setpoint
from gigafactory.units import NS_PER_S

_UNKNOWN = "no-such/point"


def check_meter(meter: Meter, points: Sequence[str], now_ns: Callable[[], int]) -> None:
    """A meter that works tells the points asked for, in order, and leaves out what it has not.

    Args:
        meter: one whose source is there.
        points: some that it has, two or more different ones where it has so many.
        now_ns: tells the time.

    Raises:
        AssertionError: what it does wrong.
    """
    wanted = tuple(points)
    told = meter.read(wanted, now_ns())
    assert tuple(r.point for r in told) == wanted, "readings come in the order asked, all of them"
    back = meter.read(wanted[::-1], now_ns())
    assert tuple(r.point for r in back) == wanted[::-1], "the order asked is the order told"
    assert all(r.unit for r in told), "a reading without a unit cannot be used"
    later = now_ns() + NS_PER_S
    assert all(0 < r.taken_ns <= later for r in told), "a reading is taken in the past"
    some = meter.read((wanted[0], _UNKNOWN), now_ns())
    assert tuple(r.point for r in some) == (wanted[0],), "a point it has not is left out"
    assert meter.read((), now_ns()) == (), "nothing asked, nothing told"


def check_silent_meter(meter: Meter, points: Sequence[str], now_ns: Callable[[], int]) -> None:
    """A meter whose source is away tells nothing, or nothing as good, and raises nothing."""
    told = meter.read(tuple(points), now_ns())
    assert not any(r.good for r in told), "a reading without a source is not good"


def check_actuator(
    actuator: Actuator,
    moved: Callable[[], float],
    wish: Callable[[str, float, int], Setpoint],
    values: tuple[float, float],
    writes: Callable[[], int],
    now_ns: Callable[[], int],
) -> None:
    """An actuator that works moves its device once for each key, and refuses what is over.

    Args:
        actuator: one whose device is there.
        moved: the value the device has now, in the unit of its set points.
        wish: makes a set point of a key, a value and an end of validity.
        values: two values within its range, different from what it has.
        writes: how often the device has been written to.
        now_ns: tells the time.

    Raises:
        AssertionError: what it does wrong.
    """
    first, second = values
    end = now_ns() + 60 * NS_PER_S
    receipt = actuator.apply(wish("a", first, end), now_ns())
    assert (receipt.key, receipt.outcome) == ("a", "accepted"), receipt
    assert abs(moved() - first) < 1e-6 * max(abs(first), 1.0), f"moved to {moved()}, not {first}"
    again = actuator.apply(wish("a", first, end), now_ns())
    assert again.outcome == "accepted", "the wanted value again is harmless"
    assert abs(moved() - first) < 1e-6 * max(abs(first), 1.0)
    receipt = actuator.apply(wish("b", second, end), now_ns())
    assert receipt.outcome == "accepted", receipt
    assert abs(moved() - second) < 1e-6 * max(abs(second), 1.0)
    before = writes()
    late = actuator.apply(wish("c", first, now_ns() - NS_PER_S), now_ns())
    assert late.outcome == "refused", "a command whose time is over is refused"
    assert late.why, "a refusal says why"
    assert writes() == before, "and moves nothing"


def check_absent_actuator(
    actuator: Actuator, wish: Callable[[str, float, int], Setpoint], now_ns: Callable[[], int]
) -> None:
    """An actuator whose device is away says that it does not know, and raises nothing."""
    receipt = actuator.apply(wish("z", 1.0, now_ns() + 60 * NS_PER_S), now_ns())
    assert receipt.outcome in {"unknown", "refused"}, receipt
    assert receipt.why, "trouble says what it is"
