"""AI factory, AI gigafactory, and whether a frontier run fits."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from gigafactory.assess.classes import assess_classes, largest_pool_mw
from gigafactory.assess.results import Grade
from gigafactory.assess.subject import Subject
from gigafactory.factory.classes import classify, tender_lots
from tests.assess.cases import TODAY, bundled, changed, subject


def of_size(count: int, place: Path) -> Subject:
    """A factory of so many H100."""
    return subject(
        changed(
            {"fleet.0.chip": "H100", "fleet.0.accelerators": count, "fleet.0.deliveries": []},
            place,
            "groningen",
        )
    )


@pytest.mark.parametrize(
    ("worth", "name"),
    [(24_999, "ai_factory"), (25_000, "between"), (99_999, "between"),
     (100_000, "ai_gigafactory"), (100_001, "ai_gigafactory")],
)  # fmt: skip
def test_24_999_and_100_001_are_of_different_classes(worth: float, name: str) -> None:
    assert classify(worth, TODAY) == name


def test_the_class_is_told_with_its_bounds_and_who_has_an_interest() -> None:
    large = assess_classes(subject())
    small = assess_classes(subject(bundled("groningen")))
    assert [large.of(k).grade for k in ("ai_factory", "ai_gigafactory")] == [Grade.MET] * 2
    assert [small.of(k).grade for k in ("ai_factory", "ai_gigafactory")] == [Grade.UNMET] * 2
    assert [large.of(k).threshold for k in ("ai_factory", "ai_gigafactory")] == [25_000, 100_000]
    assert "AI-gigafabriek" in large.of("ai_gigafactory").why["nl"]
    assert "Eneco" in large.interest["nl"]


def test_lots_are_set_apart_from_classes() -> None:
    first, second = tender_lots(80_000, 130, TODAY)
    assert (first.phase_2, first.it_load) == (True, True)
    assert (second.phase_1, second.phase_2, second.it_load) == (True, False, False)
    assert classify(80_000, TODAY) == "between"


def test_a_frontier_run_asks_a_dated_power_in_one_piece() -> None:
    found = assess_classes(subject()).of("frontier")
    # the largest pool is b200: 60,000 x (power at full work + 54 W)
    name, mw = largest_pool_mw(bundled("rotterdam"))
    assert (name, found.value, found.threshold) == ("b200", mw, 100.0)
    assert found.grade is Grade.UNMET  # 78 MW: two kinds of chips do not make one run
    later = assess_classes(subject(today=dt.date(2028, 1, 1))).of("frontier")
    assert later.threshold == pytest.approx(100 * 2.2**2)


def test_twenty_megawatts_of_frontier_is_flagged(tmp_path: Path) -> None:
    finding = assess_classes(subject(bundled("groningen"))).of("frontier")
    assert finding.grade is Grade.UNMET
    assert finding.value is not None
    assert finding.value < 20
