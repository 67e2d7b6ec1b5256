"""Parts of statements: equivalences by hand, an assessment told, the vector, and what holds it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from gigafactory.assess import Assessment, Evidence, Finding, Grade, Proof, subject_of
from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.steps import Reach, Step, reach_figure, waterfall_figure
from gigafactory.report.frames import read_run
from gigafactory.report.statements import assessed
from gigafactory.report.statements.desk import Desk, LinkedVoice
from gigafactory.report.statements.equivalences import compared, equivalences
from gigafactory.report.statements.kinds import KINDS
from gigafactory.report.voice import Voice


def _words(text: str) -> dict[str, str]:
    return {"en": text, "nl": f"{text} (nl)"}


def _finding(name: str, grade: Grade, proof: Proof, **more: object) -> Finding:
    paper = Evidence(
        proof,
        f"document:{name}",
        title=f"Paper on {name}",
        owner="the notary",
        dated=dt.date(2025, 3, 1),
        expires=dt.date(2026, 3, 1),
        verified_by="an auditor",
    )
    return Finding(name, "autonomy", _words(name), grade, evidence=(paper,), **more)  # type: ignore[arg-type]


#: A framework made up: one gate that nobody verified, one criterion met, one claimed.
MADE_UP = Assessment(
    framework="made-up",
    version="1",
    title=_words("A framework"),
    source="Somebody, 2026, published",
    findings=(
        _finding("gate", Grade.UNVERIFIED, Proof.CLAIMED, gate=True, why=_words("Nobody looked.")),
        _finding("met", Grade.MET, Proof.VERIFIED, value=0.6, unit="share", threshold=0.5),
        _finding("claimed", Grade.UNVERIFIED, Proof.CLAIMED, value=7.0, unit="MW"),
    ),
    scores={
        "autonomy": -0.25,
        "autonomy.low": -0.9,
        "autonomy.high": 0.5,
        "economy": 0.5,
        "economy.low": 0.1,
        "economy.high": 0.6,
        "society": 0.1,
        "society.low": 0.1,
        "society.high": 0.1,
    },
    held_back={"autonomy": _words("The gate is shut.")},
    interest=_words("Commissioned by a party to it."),
)


@pytest.fixture
def desk(of_rotterdam: Path) -> Desk:
    return Desk(subject_of(of_rotterdam), read_run(of_rotterdam), LinkedVoice("en"))


def _told(desk: Desk) -> tuple[str, list[str]]:
    section = assessed.assessment_parts(desk, desk.part("axes"), MADE_UP)
    tables = [f"{t.caption} {[[str(c) for c in row] for row in t.rows]}" for t in section.tables]
    lead = " ".join(map(str, [*section.lead, *section.points, *section.notes]))
    return lead + "".join(str(p.svg) for p in section.pictures), tables


def test_who_commissioned_a_framework_stands_above_its_result(desk: Desk) -> None:
    section = assessed.assessment_parts(desk, desk.part("axes"), MADE_UP)
    assert "Commissioned by a party to it." in section.lead[0]
    assert "Somebody, 2026, published" in section.notes[-1]


def test_unverified_is_counted_apart_and_never_as_met(desk: Desk) -> None:
    counts = assessed.counts_of(MADE_UP)
    assert (counts[Grade.MET], counts[Grade.UNVERIFIED]) == (1, 2)
    _, tables = _told(desk)
    gate = next(table for table in tables if "Nobody looked." in table)
    assert 'class="grade unverified"' in gate
    assert 'class="grade met"' not in gate
    assert 'class="proof claimed"' in gate


def test_a_finding_shows_value_bar_evidence_and_who_verified_it(desk: Desk) -> None:
    table = next(table for table in _told(desk)[1] if "Paper on met" in table)
    dated = "until 1\\xa0March 2026"
    for shown in ("60.0%", "50.0%", "verified by an auditor", "the notary", dated):
        assert shown in table


def test_a_score_never_stands_without_what_holds_it_back(desk: Desk) -> None:
    told, _ = _told(desk)
    assert "Strategic autonomy: held back. The gate is shut." in told
    assert "−0.25 (held back)" in told
    assert "0.50 (held back)" not in told


def test_the_vector_is_shown_with_its_parts_and_no_total(desk: Desk) -> None:
    vector = assessed.vector_of(MADE_UP)
    assert list(vector) == ["autonomy", "economy", "society"]
    scores = next(table for table in _told(desk)[1] if table.startswith("Scores"))
    for shown in ("−0.25", "−0.90", "0.50", "0.10"):
        assert shown in scores
    assert scores.count("economy") > 0
    mean = (-0.25 + 0.5 + 0.1) / 3
    assert f"{mean:.2f}" not in scores.replace("−", "-")


def test_equivalences_by_hand() -> None:
    """1,000 GWh over a year: 400,000 homes of 2,500 kWh, and so on, each by hand."""
    rows = {one.name: one.value for one in equivalences(1_000_000.0, 365.25, 90_000.0)}
    assert rows["homes_nl"] == pytest.approx(1e9 / 2500)
    assert rows["homes_us"] == pytest.approx(1e9 / 10_500)
    assert rows["homes_us_claimed"] == pytest.approx(1e9 / 11_455)
    assert rows["city_homes"] == pytest.approx(400_000 * 2.1)
    assert rows["city_all"] == pytest.approx(18_000_000 / 110)
    assert rows["national"] == pytest.approx(1 / 110)
    assert rows["data_centres"] == pytest.approx(1 / (110 * 0.046))
    assert rows["homes_warm"] == pytest.approx(10_000)


def test_a_month_is_told_as_a_year_like_it() -> None:
    month = {one.name: one.value for one in equivalences(1000.0, 36.525)}
    year = {one.name: one.value for one in equivalences(10_000.0, 365.25)}
    assert month == pytest.approx(year)
    assert "homes_warm" not in month


def test_the_press_figure_follows_from_what_the_press_said() -> None:
    """17 GW all year for 13 million homes."""
    assert compared()["home_us_claimed_kwh"].value == pytest.approx(17e6 * 8760 / 13e6, rel=1e-4)


def test_every_figure_compared_with_has_source_year_and_state() -> None:
    for name, one in compared().items():
        assert one.source.source, name
        assert one.source.state in ("published", "assumption"), name
        assert one.source.mark in ("read", "unverified"), name


def test_steps_end_at_their_sum() -> None:
    steps = [Step("in", 10.0, "summary:a"), Step("out", -12.5, "summary:b")]
    svg = waterfall_figure(steps, "left", 1, Caption("f", "t", "d"), Voice("en"))
    assert ">+10.0<" in svg
    assert ">−12.5<" in svg
    assert ">−2.5<" in svg
    assert 'data-source="summary:a summary:b"' in svg


def test_a_range_is_written_low_to_high_whatever_way_round() -> None:
    rows = [Reach("one", 5.0, 3.0, 1.0, "finance:x")]
    svg = reach_figure(rows, 0, Caption("f", "t", "d"), Voice("nl"), 3.0)
    assert ">1 – 5<" in svg


def test_the_eight_kinds_are_there() -> None:
    assert tuple(KINDS) == (
        *("operations", "strategy", "eed", "tender", "access", "finance", "sustainability"),
        "board",
    )


@pytest.mark.slow
def test_one_run_gives_one_board_report_over_cloud_energy_and_supply(of_rotterdam: Path) -> None:
    desk = Desk(subject_of(of_rotterdam), read_run(of_rotterdam), LinkedVoice("en"))
    made = [part(desk) for part in KINDS["board"].parts]
    told = {getattr(one, "name", None) or getattr(one, "part", "") for one in made}
    assert {"p-cloud", "p-supply", "energy", "transport"} <= told


def test_money_ahead_is_a_range_and_no_advice(of_rotterdam: Path) -> None:
    desk = Desk(subject_of(of_rotterdam), read_run(of_rotterdam), LinkedVoice("en"))
    sentences = [told for teller in KINDS["finance"].told for told in teller(desk)]
    cost = next(one for one in sentences if "costs" in one)
    assert " to <a" in cost
    sections = [part(desk) for part in KINDS["finance"].parts]
    years = next(one for one in sections if getattr(one, "name", "") == "p-years")
    table = years.tables[0]  # type: ignore[union-attr]
    assert table.heads[1:] == ["Planned", "P10", "P50", "P90"]
    assert any("financial advice" in str(note) for note in years.notes)  # type: ignore[union-attr]
