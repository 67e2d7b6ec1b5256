"""Documents count when they are checked, have come and have not expired; else they are shown."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gigafactory.assess import Proof
from gigafactory.assess.evidence import FOUR_FILES, documents, four_files, shown_by
from gigafactory.engine.errors import BadInput
from tests.assess.conftest import Build, on, paper, papers


def test_a_document_counts_between_its_day_and_its_expiry(build: Build) -> None:
    text = papers(paper("a", "ownership", verified_by="An auditor", expires="2026-12-01"))
    subject = build(files={"evidence.yaml": text})
    assert shown_by(subject, "ownership").proof is Proof.VERIFIED
    assert shown_by(on(subject, dt.date(2026, 11, 30)), "ownership").proof is Proof.VERIFIED
    assert shown_by(on(subject, dt.date(2026, 12, 1)), "ownership").proof is Proof.EXPIRED
    assert shown_by(on(subject, dt.date(2025, 12, 31)), "ownership").proof is Proof.CLAIMED


def test_unchecked_expired_and_missing_never_count() -> None:
    assert [one for one in Proof if one.counts] == [Proof.LEDGER, Proof.FACTORY, Proof.VERIFIED]


def test_the_best_document_is_taken(build: Build) -> None:
    text = papers(
        paper("a-claim", "ownership"),
        paper("b-old", "ownership", verified_by="An auditor", expires="2026-02-01"),
        paper("c-good", "ownership", verified_by="An auditor"),
    )
    shown = shown_by(build(files={"evidence.yaml": text}), "ownership")
    assert shown.reference == "document:c-good"
    assert shown.verified_by == "An auditor"


def test_four_files_missing_is_unverified_and_shown(build: Build) -> None:
    text = papers(paper("a", "ownership", verified_by="An auditor"), paper("b", "governance"))
    found = four_files(build(files={"evidence.yaml": text}))
    assert tuple(found) == FOUR_FILES
    assert found["ownership"].proof is Proof.VERIFIED
    assert found["governance"].proof is Proof.CLAIMED
    assert found["legal_control"].proof is Proof.MISSING
    assert found["chain_dependencies"].proof is Proof.MISSING


def test_an_example_is_never_verified(build: Build) -> None:
    wrong = papers(paper("a", "ownership", verified_by="An auditor", example="true"))
    with pytest.raises(BadInput, match="is an example"):
        documents(build(files={"evidence.yaml": wrong}))
    fine = papers(paper("a", "ownership", example="true"))
    assert shown_by(build(files={"evidence.yaml": fine}), "ownership").proof is Proof.CLAIMED


def test_every_problem_of_the_file_is_told_at_once(build: Build) -> None:
    text = papers(
        paper("a", "ownership"),
        paper("a", "governance", expires="2025-01-01"),
        paper("c", "governance", owner="Us", verified_by="Us"),
    )
    with pytest.raises(BadInput) as caught:
        documents(build(files={"evidence.yaml": text}))
    told = "\n".join(map(str, caught.value.problems))
    assert len(caught.value.problems) == 3
    assert "twice" in told
    assert "expires before it counts" in told
    assert "their own" in told


def test_no_dossier_is_no_trouble(build: Build) -> None:
    assert documents(build()) == ()


def test_an_account_of_the_ledger_is_evidence_to_the_last_integer(
    build: Build, tmp_path: Path
) -> None:
    most = 2**53 + 1  # a float could not hold it
    pq.write_table(
        pa.table({"energy.import_wh": pa.array([most, 2], pa.int64())}),
        tmp_path / "accounts.parquet",
    )
    subject = replace(build(), run=tmp_path)
    assert subject.booked("energy.import_wh") == most + 2
    assert subject.booking("energy.import_wh").proof is Proof.LEDGER
    assert subject.booked("energy.no_such_wh") is None
    assert build().booking("energy.import_wh").proof is Proof.MISSING
