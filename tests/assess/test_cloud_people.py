"""The talent register answers SOV-4.3, as far as somebody checked it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gigafactory.assess.cloud import assess_cloud, cloud_result
from gigafactory.assess.results import Grade, Proof
from tests.assess.cases import claim, dossier, paper, subject

SOURCE = {"source": "A count", "year": 2026, "state": "assumption", "mark": "unverified"}


def talent(inside: float, **more: Any) -> dict[str, Any]:
    words = {"en": "Operators", "nl": "Operators"}
    role = {"id": "ops", "title": words, "fte": 10, "eu_based": inside, "trainees": 1,
            "critical": True, "source": SOURCE}  # fmt: skip
    return {"counted": "2026-01-01", "roles": [role], **more}


@pytest.mark.parametrize(("inside", "answer"), [(10, 4), (9, 3), (5, 3), (1, 2), (0, 1)])
def test_a_checked_register_answers_by_its_share(
    tmp_path: Path, inside: float, answer: int
) -> None:
    register = talent(inside, verified_by="An auditor")
    told = dossier(tmp_path, registers__talent=register, answers__cloud={"answers": {}})
    one = cloud_result(subject(told=told)).counted["4.3"]
    assert one.proven == answer
    assert {e.reference for e in one.evidence if e.proof is Proof.VERIFIED} == {"register:talent"}


def test_one_that_nobody_checked_is_a_claim_and_an_example_is_nothing(tmp_path: Path) -> None:
    told = dossier(tmp_path, registers__talent=talent(10), answers__cloud={"answers": {}})
    one = cloud_result(subject(told=told)).counted["4.3"]
    assert (one.claimed, one.proven) == (4, 1)
    assert assess_cloud(subject(told=told)).of("4.3").grade is Grade.UNVERIFIED
    example = dossier(tmp_path / "b", registers__talent=talent(10, example=True),
                      answers__cloud={"answers": {}})  # fmt: skip
    assert cloud_result(subject(told=example)).counted["4.3"].claimed is None


def test_a_checked_register_bounds_what_may_be_claimed(tmp_path: Path) -> None:
    answers = {"SOV-4.3": [claim(5, paper())]}
    register = talent(9, verified_by="An auditor")
    told = dossier(tmp_path, registers__talent=register, answers__cloud={"answers": answers})
    assert cloud_result(subject(told=told)).counted["4.3"].proven == 3
    all_here = dossier(tmp_path / "b", registers__talent=talent(10, verified_by="An auditor"),
                       answers__cloud={"answers": answers})  # fmt: skip
    assert cloud_result(subject(told=all_here)).counted["4.3"].proven == 5
