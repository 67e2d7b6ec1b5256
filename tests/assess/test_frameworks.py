"""Frameworks are checked when they are read, and the engine grades by one rule."""

from __future__ import annotations

from typing import Any

import pytest

from gigafactory.assess import Evidence, Grade, Proof
from gigafactory.assess.frameworks import Criterion, _wrong, judge, load_framework, reaches
from gigafactory.assess.indicators import INDICATORS, Reading
from gigafactory.assess.shapes import Citation, read_data
from gigafactory.assess.words import Amount, both, listed, percent
from gigafactory.engine.errors import BadInput
from tests.assess.conftest import Build, paper, papers

SOURCE = {"source": "A book", "year": 2026, "state": "assumption", "mark": "unverified"}


def criterion(kind: str = "precondition", **more: Any) -> Criterion:
    words = {"en": "Is it?", "nl": "Is het zo?"}
    return Criterion.model_validate(
        {"id": "a", "group": "g", "kind": kind, "title": words, "formula": "x", "source": SOURCE}
        | {"indicator": "fixed"}
        | more
    )


@pytest.fixture
def fixed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An indicator that says what the test wants."""

    def say(value: float | None, *proofs: Proof) -> None:
        evidence = tuple(Evidence(one, "factory:x") for one in proofs)
        reading = Reading(value, "", evidence, {"en": "So.", "nl": "Zo."})
        monkeypatch.setitem(INDICATORS, "fixed", lambda _: reading)

    return say


@pytest.mark.parametrize(
    ("value", "proofs", "grade"),
    [
        (2.0, (Proof.LEDGER,), Grade.MET),
        (0.0, (Proof.LEDGER,), Grade.UNMET),
        (2.0, (Proof.CLAIMED,), Grade.UNVERIFIED),
        (0.0, (Proof.CLAIMED,), Grade.UNVERIFIED),
        (0.0, (Proof.EXPIRED,), Grade.UNVERIFIED),
        (2.0, (Proof.LEDGER, Proof.MISSING), Grade.UNVERIFIED),
        (0.0, (Proof.LEDGER, Proof.MISSING), Grade.UNMET),
        (None, (Proof.MISSING,), Grade.UNVERIFIED),
    ],
)
def test_grades(
    build: Build, fixed: Any, value: float | None, proofs: tuple[Proof, ...], grade: Grade
) -> None:
    fixed(value, *proofs)
    assert judge(criterion(threshold=1.0), build()).grade is grade


def test_papers_are_asked_for_too(build: Build, fixed: Any) -> None:
    fixed(2.0, Proof.LEDGER)
    asked = criterion(threshold=1.0, documents=["ownership"])
    assert judge(asked, build()).grade is Grade.UNVERIFIED
    text = papers(paper("a", "ownership", verified_by="An auditor"))
    found = judge(asked, build(files={"evidence.yaml": text}))
    assert found.grade is Grade.MET
    assert found.evidence[-1].reference == "document:a"


@pytest.mark.parametrize(
    ("value", "points"), [(0.5, 0.0), (0.75, 0.5), (1.0, 1.0), (2.0, 1.0), (0.0, -1.0)]
)
def test_points_of_an_opportunity(build: Build, fixed: Any, value: float, points: float) -> None:
    fixed(value, Proof.FACTORY)
    one = judge(criterion("opportunity", none=0.5, full=1.0), build())
    assert one.points == pytest.approx(points)


def test_points_of_a_risk(build: Build, fixed: Any) -> None:
    fixed(0.5, Proof.FACTORY)
    shield = {"title": {"en": "a shield", "nl": "een schild"}, "share": 0.5, "document": "shield"}
    one = criterion("risk", impact=0.8, mitigations=[shield])
    open_ = judge(one, build())
    assert open_.points == pytest.approx(0.4)
    assert "not shown: a shield" in open_.why["en"]
    text = papers(paper("s", "shield", verified_by="An auditor"))
    assert judge(one, build(files={"evidence.yaml": text})).points == pytest.approx(0.2)


def test_both_sides_of_a_threshold() -> None:
    assert reaches(criterion(threshold=1.0), 1.0)
    assert not reaches(criterion(threshold=1.0), 0.99)
    assert reaches(criterion(threshold=1.0, direction="at_most"), 1.0)
    assert not reaches(criterion(threshold=1.0, direction="at_most"), 1.01)


def test_a_wrong_framework_is_told_whole() -> None:
    framework = load_framework("axes")
    bad = criterion(indicator="no-such", none=1.0, full=1.0)
    wrong = framework.model_copy(update={"criteria": (bad, bad)})
    told = [why for _, _, why in _wrong(wrong)]
    assert sorted(told) == sorted(
        2 * ["is no group of this framework", "is no indicator", "none and full must differ"]
        + ["is given twice"]
    )


def test_what_nobody_checked_is_an_assumption() -> None:
    with pytest.raises(ValueError, match="is an assumption"):
        Citation.model_validate(SOURCE | {"state": "published"})
    with pytest.raises(BadInput):
        read_data("no-such.yaml", Citation)


def test_numbers_are_written_as_each_language_does() -> None:
    said = both(
        "{a} and {b}, {c}, {d}", "{a} en {b}, {c}, {d}",
        a=Amount(1234.5, "MW", 1), b=percent(0.123), c=listed(["x", "y", "z"]), d=0.25,
    )  # fmt: skip
    assert said["en"] == "1,234.5 MW and 12.3 %, x, y and z, 0.250"
    assert said["nl"] == "1.234,5 MW en 12,3 %, x, y en z, 0,250"
    assert Amount(-0.001, digits=2).text("en") == "0.00"


def test_units_that_are_words_agree_with_their_number() -> None:
    assert Amount(1, "paths").text("en") == "1 path"
    assert Amount(0, "paths").text("en") == "0 paths"
    assert Amount(1, "paths").text("nl") == "1 weg"
    assert Amount(2, "d").text("nl") == "2 dagen"
    assert Amount(1, "MW").text("nl") == "1 MW"
