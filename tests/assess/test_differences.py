"""One input changed: the score moves, and the explanation names the input."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gigafactory.assess import Grade
from gigafactory.assess.counterfactuals import assess_axes
from gigafactory.assess.differences import differences
from gigafactory.factory import Factory
from gigafactory.factory.access import Owner
from tests.assess.conftest import SUMMARY, Build, paper, papers, verified


def test_one_owner_more_changes_the_score_and_is_named(
    build: Build, governed: Callable[..., Factory]
) -> None:
    first = build(governed(), {"evidence.yaml": verified()})
    second = build(
        governed(parents=(Owner(name="Owner BV", country="NL"), Owner(name="Top", country="US"))),
        {"evidence.yaml": verified()},
    )
    one = build(governed(parents=(Owner(name="Owner BV", country="NL"),)), {})
    assert one.factory.governance.parents
    found = differences(assess_axes(first), assess_axes(second), first, second)
    before, after, change = found.scores["autonomy"]
    assert before is not None
    assert after is not None
    assert change == pytest.approx(after - before)
    assert change < -1.0
    gate = next(move for move in found.moves if move.criterion == "autonomy.jurisdiction")
    assert gate.after.grade is Grade.UNMET
    assert "factory:governance.parents.Top.country" in {i.reference for i in gate.because}
    assert "went from nothing to US" in gate.why["en"]
    assert "van niets naar US ging" in gate.why["nl"]
    assert all(i.reference.startswith("factory:governance") for i in found.inputs)


def test_a_quota_changed_moves_access_alone(build: Build, rotterdam: Factory) -> None:
    groups = tuple(
        one.model_copy(update={"nominal_fraction": 0.05}) if one.kind == "reserved" else one
        for one in rotterdam.policy.quota_groups
    )
    policy = rotterdam.policy.model_copy(update={"quota_groups": groups})
    first, second = build(), build(rotterdam.model_copy(update={"policy": policy}))
    found = differences(assess_axes(first), assess_axes(second), first, second)
    assert [move.criterion for move in found.moves] == ["economy.access"]
    assert [i.reference for i in found.moves[0].because] == [
        "factory:policy.quota_groups.dutch-reserve.nominal"
    ]
    assert found.scores["economy.cap"] == (0.5, 0.0, -0.5)


def test_a_paper_verified_is_named(build: Build) -> None:
    first = build(files={"evidence.yaml": papers(paper("own", "ownership"))})
    second = build(
        files={"evidence.yaml": papers(paper("own", "ownership", verified_by="An auditor"))}
    )
    found = differences(assess_axes(first), assess_axes(second), first, second)
    assert [i.reference for i in found.inputs] == ["document:own", "document:ownership"]
    assert found.moves == ()  # legal control is still missing: the gate stays as it was


def test_the_same_has_no_differences(build: Build) -> None:
    first, second = build(summary=SUMMARY), build(summary=SUMMARY)
    found = differences(assess_axes(first), assess_axes(second), first, second)
    assert (found.moves, found.inputs, dict(found.scores)) == ((), (), {})


def test_another_run_is_named_as_such(build: Build) -> None:
    first = build(summary=SUMMARY)
    second = build(summary={**SUMMARY, "contribution": {"additional_share": 0.9}})
    found = differences(assess_axes(first), assess_axes(second), first, second)
    moved = {move.criterion: move for move in found.moves}
    assert [i.reference for i in moved["society.energy_transition"].because] == ["run"]
    assert "the runs counted differently" in moved["society.energy_transition"].why["en"]
