"""The EU Cloud Sovereignty Framework: its numbers, what is proven, caps, and the way to a level."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.assess.catalogue import FRAMEWORKS
from gigafactory.assess.cloud import assess_cloud, cloud_result
from gigafactory.assess.cloudfacts import caps_of
from gigafactory.assess.cloudladder import (
    changes_for,
    highest_answers,
    ladder,
    lowest_answers,
    never_binding,
    points,
    score_percent,
    seal,
)
from gigafactory.assess.cloudtables import changes_table, criteria_table, objectives_table
from gigafactory.assess.results import Grade, Proof
from gigafactory.engine.errors import BadInput
from gigafactory.factory.dossier import dossier_of
from gigafactory.policy import Party, PoolFacts
from tests.assess.cases import TODAY, a_year, bundled, changed, claim, dossier, paper, subject

PROFILE = "calculator-2026-06"
answers_of = st.builds(
    dict,
    st.lists(
        st.sampled_from(sorted(ladder().criteria)).flatmap(
            lambda key: st.tuples(st.just(key), st.integers(1, len(ladder().criteria[key].rungs)))
        )
    ),
)


# --- the ladders ----------------------------------------------------------------------------------


def test_maxima_of_the_objectives_and_the_total_are_reproduced() -> None:
    best = highest_answers()
    found = [points(best, name) for name in ladder().objectives]
    assert found == pytest.approx([1000.03, 1002, 1000, 1002, 1001, 1000, 1001, 1000], abs=1e-9)
    assert score_percent(best, PROFILE) == pytest.approx(100.0756, abs=1e-9)


@pytest.mark.parametrize(("level", "percent"), [(2, 37.6), (3, 52.7), (4, 75.4)])
def test_the_lowest_score_at_a_level_is_reproduced(level: int, percent: float) -> None:
    lowest = lowest_answers(level)
    assert round(score_percent(lowest, PROFILE), 1) == percent
    assert seal(lowest) == level


def test_forty_eight_criteria_in_eight_objectives_with_two_sets_of_weights() -> None:
    framework = ladder()
    assert [len(framework.of(name)) for name in framework.objectives] == [8, 6, 5, 6, 7, 5, 7, 4]
    assert len(framework.criteria) == 48
    assert set(framework.profiles) == {PROFILE, "v1.2.1-2025-10"}
    for profile in framework.profiles.values():
        assert sum(profile.weight.values()) == pytest.approx(100)
        assert list(profile.weight) == list(framework.objectives)


def test_a_higher_answer_never_guarantees_less() -> None:
    for criterion in ladder().criteria.values():
        seals = [rung.seal for rung in criterion.rungs]
        values = [rung.value_ratio for rung in criterion.rungs]
        assert seals == sorted(seals)
        assert values == sorted(values)
        assert seals[-1] == 4
        assert values[0] == 0


def test_nine_criteria_only_move_the_score() -> None:
    assert never_binding() == ("1.2", "1.4", "1.5", "1.6", "1.7", "2.5", "5.3", "7.2", "8.4")


def test_minimum_answers_that_bind_a_factory_with_foreign_chips() -> None:
    lowest = {level: lowest_answers(level) for level in (2, 3, 4)}
    expected = {"5.2": (3, 3, 5), "3.5": (1, 4, 5), "6.5": (2, 2, 5), "7.7": (5, 5, 5),
                "2.3": (5, 5, 5), "2.2": (4, 5, 5), "3.4": (5, 5, 5), "1.8": (3, 5, 5)}  # fmt: skip
    assert {k: tuple(lowest[n][k] for n in (2, 3, 4)) for k in expected} == expected


@given(answers_of)
def test_the_seal_is_the_lowest_and_a_change_of_all_that_is_listed_reaches_the_level(
    answers: dict[str, int],
) -> None:
    levels = [ladder().criteria[key].rung(number).seal for key, number in answers.items()]
    assert seal(answers) == min(levels, default=None)
    for level in (1, 2, 3, 4):
        fixed = answers | {one.criterion: one.needed for one in changes_for(answers, level)}
        assert seal(fixed) is not None
        assert (seal(fixed) or 0) >= level
        assert changes_for(fixed, level) == ()


def test_every_text_is_there_in_both_languages() -> None:
    for criterion in ladder().criteria.values():
        for text in (criterion.title, *(rung.text for rung in criterion.rungs)):
            assert set(text) == {"en", "nl"}
            assert all(value.strip() for value in text.values())
        said = [rung.text["nl"] for rung in criterion.rungs]
        assert len(set(said)) == len(said), criterion.key


# --- what counts ----------------------------------------------------------------------------------


def test_an_unverified_answer_is_shown_and_the_lowest_counts(tmp_path: Path) -> None:
    told = dossier(tmp_path, answers__cloud={"answers": {"SOV-7.7": [claim(5, paper(None))]}})
    result = cloud_result(subject(told=told))
    assert (result.counted["7.7"].claimed, result.counted["7.7"].proven) == (5, 1)
    finding = assess_cloud(subject(told=told)).of("7.7")
    assert finding.grade is Grade.UNVERIFIED
    assert "claimed" in finding.why["en"]
    assert "opgegeven" in finding.why["nl"]


def test_a_lower_answer_that_is_proven_counts(tmp_path: Path) -> None:
    claims = [claim(5), claim(3, paper())]
    told = dossier(tmp_path, answers__cloud={"answers": {"SOV-3.1": claims}})
    one = cloud_result(subject(told=told)).counted["3.1"]
    assert (one.claimed, one.proven) == (5, 3)
    assert assess_cloud(subject(told=told)).of("3.1").grade is Grade.MET


def test_a_document_that_has_expired_or_is_not_there_yet_proves_nothing(tmp_path: Path) -> None:
    papers = {
        "SOV-3.1": paper(expires=TODAY.isoformat()),
        "SOV-3.2": paper(dated="2027-01-01"),
        "SOV-3.3": paper(expires="2026-11-29"),
    }
    told = dossier(
        tmp_path, answers__cloud={"answers": {k: [claim(5, p)] for k, p in papers.items()}}
    )
    result = cloud_result(subject(told=told))
    assert [result.counted[k].proven for k in ("3.1", "3.2", "3.3")] == [1, 1, 5]
    proofs = [result.counted[k].evidence[0].proof for k in ("3.1", "3.2", "3.3")]
    assert proofs == [Proof.EXPIRED, Proof.MISSING, Proof.VERIFIED]


def test_what_nobody_answers_is_missing_and_not_nought(tmp_path: Path) -> None:
    told = dossier(tmp_path, answers__cloud={"answers": {"SOV-3.1": [claim(5, paper())]}})
    assessed = assess_cloud(subject(told=told))
    missing = assessed.of("3.3")
    assert (missing.value, missing.grade) == (None, Grade.UNVERIFIED)
    assert "seal.incomplete" in assessed.held_back
    assert assessed.scores["unanswered"] > 40


def test_gates_per_objective_are_the_buyers(tmp_path: Path) -> None:
    answers = {f"SOV-3.{k}": [claim(5 if k < 5 else 4, paper())] for k in range(1, 6)}
    for least, grade in ((3, Grade.MET), (4, Grade.UNMET)):
        file = {"answers": answers, "minimum_seal": {"SOV-3": least}}
        told = dossier(tmp_path, answers__cloud=file)
        gate = assess_cloud(subject(told=told)).of("SOV-3.minimum")
        assert gate.gate
        assert (gate.grade, gate.value, gate.threshold) == (grade, 3, least)


def test_without_a_dossier_everything_says_missing() -> None:
    assessed = assess_cloud(subject())
    assert assessed.scores["unanswered"] == 45  # what the file says of law, owners and chips
    assert FRAMEWORKS["cloud"] is assess_cloud


# --- what a factory says by itself ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("pue", "proven", "most"),
    [(3.0, 1, 1), (1.6, 2, 2), (1.4, 2, 3), (1.25, 4, 4), (1.1, 4, 5)],
)
def test_pue_of_a_year_answers_8_1(tmp_path: Path, pue: float, proven: int, most: int) -> None:
    told = dossier(tmp_path, answers__cloud={"answers": {"SOV-8.1": [claim(5)]}})
    one = cloud_result(subject(told=told, summary=a_year(pue=pue))).counted["8.1"]
    assert (one.proven, one.most, one.claimed) == (proven, most, most)


def test_pue_of_a_week_proves_nothing() -> None:
    one = cloud_result(subject(summary=a_year(pue=1.1) | {"days_done": 7})).counted["8.1"]
    assert (one.claimed, one.proven) == (4, 1)


def test_foreign_chips_bound_what_may_be_answered(tmp_path: Path) -> None:
    keys = ("SOV-3.5", "SOV-5.2", "SOV-6.5")
    told = dossier(tmp_path, answers__cloud={"answers": {k: [claim(5, paper())] for k in keys}})
    counted = cloud_result(subject(told=told)).counted
    assert [counted[k].proven for k in ("3.5", "5.2", "6.5")] == [4, 3, 3]
    assert "US" in assess_cloud(subject(told=told)).of("3.5").why["nl"]


def test_a_us_parent_two_levels_up_caps_the_result_with_the_reason(tmp_path: Path) -> None:
    answers = {f"SOV-{key}": [claim(n, paper())] for key, n in highest_answers().items()}
    told = dossier(tmp_path, answers__cloud={"answers": answers})
    free = subject(told=told)
    parents = [{"name": "Holding", "country": "NL"}, {"name": "Giant Inc", "country": "US"}]
    owned = replace(free, factory=changed({"governance.parents": parents}, tmp_path))
    before, after = cloud_result(free), cloud_result(owned)
    assert (before.caps, before.seal()) == ((), 3)
    assert (after.seal(), after.seal(claimed=True)) == (1, 1)
    assert after.counted["1.1"].proven == 2
    why = assess_cloud(owned).held_back["seal.cap.0"]
    for text in why.values():
        assert "Giant Inc (US)" in text
        assert "SEAL-1" in text


def test_an_eu_region_of_a_non_eu_parent_is_capped_at_the_configured_level() -> None:
    region = PoolFacts(
        "region", "frankfurt", "DE", 50.0, 8.0, "H100", 1000, operator="Cloud Europe GmbH",
        jurisdictions=("DE",), parents=(Party("Cloud Inc", "US"),),
    )  # fmt: skip
    for level, expected in ((None, 1), (2, 2), (0, 0)):
        (cap,) = caps_of([region], {"non_eu_parent": level})
        assert (cap.seal, cap.kind) == (expected, "non_eu_parent")
        assert "Cloud Europe GmbH (DE) → Cloud Inc (US)" in cap.why["en"]
    assert caps_of([replace(region, parents=(Party("Mutter AG", "DE"),))]) == ()


def test_a_supplier_who_can_stop_the_service_caps_too() -> None:
    pool = PoolFacts("p", "s", "NL", 52.0, 4.0, "H100", 10, operator="Ours", jurisdictions=("NL",),
                     suppliers=(Party("Remote Support Ltd", "GB"),))  # fmt: skip
    (cap,) = caps_of([pool])
    assert (cap.kind, cap.seal) == ("non_eu_supplier", 2)


def test_one_input_changed_shows_another_score_and_says_why(tmp_path: Path) -> None:
    base = subject(told=dossier_of(bundled("rotterdam")))
    moved = replace(base, factory=changed({"governance.jurisdictions": ["US"]}, tmp_path))
    first, second = assess_cloud(base), assess_cloud(moved)
    assert second.scores["points.SOV-2.claimed"] < first.scores["points.SOV-2.claimed"]
    assert "US" in second.of("2.1").why["en"]
    assert "US" not in first.of("2.1").why["en"]


# --- the file -------------------------------------------------------------------------------------


def test_every_problem_of_the_answers_is_told_at_once(tmp_path: Path) -> None:
    file = {
        "profile": "mine",
        "minimum_seal": {"SOV-9": 2},
        "answers": {"SOV-9.1": [claim(1)], "SOV-2.1": [claim(4)]},
    }
    with pytest.raises(BadInput) as bad:
        assess_cloud(subject(told=dossier(tmp_path, answers__cloud=file)))
    told = "\n".join(map(str, bad.value.problems))
    assert len(bad.value.problems) == 4
    for word in ("mine", "SOV-9", "SOV-9.1", "3 answers"):
        assert word in told


def test_the_bundled_answers_claim_and_prove_what_they_say() -> None:
    assessed = assess_cloud(subject(told=dossier_of(bundled("rotterdam"))))
    assert assessed.scores["seal.claimed"] == 1  # foreign hardware, partly disclosed
    assert assessed.scores["seal.proven"] == 0  # nobody has verified anything
    assert assessed.scores["unanswered"] == 2
    assert 50 < assessed.scores[f"score_percent.{PROFILE}.claimed"] < 70
    papers = [e for f in assessed.findings for e in f.evidence if e.proof is Proof.VERIFIED]
    assert papers == []


# --- tables ---------------------------------------------------------------------------------------


def test_tables_for_reports_add_up() -> None:
    result = cloud_result(subject(told=dossier_of(bundled("rotterdam"))))
    rows = criteria_table(result, "nl")
    assert len(rows) == 48
    for name, one in zip(ladder().objectives, objectives_table(result, "nl"), strict=True):
        mine = [row for row in rows if row["objective"] == name]
        assert one["points_proven"] == pytest.approx(sum(row["points"] or 0 for row in mine))
        levels = [row["seal"] for row in mine if row["seal"] is not None]
        assert one["seal_proven"] == min(levels)
        assert one["weights"][PROFILE] in {5, 10, 15, 20}


def test_what_must_change_for_a_level_is_told_in_words() -> None:
    result = cloud_result(subject(told=dossier_of(bundled("rotterdam"))))
    found = {row["criterion"]: row for row in changes_table(result, 2, "en", claimed=True)}
    assert set(found) == {"1.4", "2.4", "5.1", "5.2", "5.7", "7.1", "7.7"}
    assert found["5.2"]["answer_text"] == "abroad and partly disclosed"
    assert found["5.2"]["needed_text"] == "mixed sources with European rights of audit"
    assert found["1.4"]["answer"] is None
    assert len(changes_table(result, 2, "nl")) > len(found)
