"""The chapter on shares and waits: its sums, its two languages, and what it keeps to itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from page_reader import Page

from gigafactory.policy import rules
from gigafactory.report.frames import Frame, lookup, read_run
from gigafactory.report.sections.shares import shares_section
from gigafactory.report.sections.tell import Section, Table, Teller
from gigafactory.report.voice import Voice
from gigafactory.testing.run_folder import TENANTS


@pytest.fixture(scope="module")
def frame(made_up: Path) -> Frame:
    return read_run(made_up)


def _told(frame: Frame, lang: str = "en", *, public: bool = False) -> Section:
    return shares_section(Teller(frame, Voice(lang)), public)


def _with(frame: Frame, **keys: Any) -> Frame:
    return replace(frame, summary={**frame.summary, **keys})


def _table(section: Section, caption: str) -> Table:
    (table,) = [one for one in section.tables if one.caption == caption]
    return table


def _numbers(row: Any) -> list[float]:
    """The raw numbers of a row's cells, the head left out."""
    found = [Page(str(cell)).all("data") for cell in row[1:]]
    return [float(cell[0].attributes["value"]) for cell in found if cell]


@pytest.mark.parametrize(
    ("lang", "title", "caption"),
    [
        ("en", "Shares and waits", "Shares (accelerator-hours)"),
        ("nl", "Aandelen en wachttijden", "Aandelen (accelerator-uren)"),
    ],
)
def test_tenants_and_groups_add_up_to_all_pools(
    frame: Frame, lang: str, title: str, caption: str
) -> None:
    section = _told(frame, lang)
    assert section.title == title
    table = _table(section, caption)
    heads = [str(row[0]) for row in table.rows]
    tenants = [_numbers(r) for r, h in zip(table.rows, heads, strict=True) if "tenant" in h]
    whole = _numbers(table.rows[-1])
    assert len(tenants) == len(TENANTS)
    assert sum(row[1] for row in tenants) == pytest.approx(whole[1])
    assert table.total
    for row in map(_numbers, table.rows):
        promised, held, borrowed, _, unused = row[:5]
        assert promised == pytest.approx(held - borrowed + unused)


def test_the_first_sentence_is_the_answer(frame: Frame) -> None:
    first = Page(str(_told(frame).lead[0])).all("data")[0]
    assert first.attributes["data-source"] == "summary:shares_of_tenants.kept_share"
    kept = frame.summary["shares_of_tenants"]["kept_share"]
    assert float(first.attributes["value"]) == pytest.approx(kept)


@pytest.mark.parametrize("lang", ["en", "nl"])
def test_waits_are_told_in_the_words_of_the_rules_and_add_up(frame: Frame, lang: str) -> None:
    caption = Voice(lang).say("waited.table")
    table = _table(_told(frame, lang), caption)
    rows = [_numbers(row) for row in table.rows]
    waited = frame.summary["jobs"]["waited_for"]
    assert rows[-1][0] == sum(row["jobs"] for row in waited.values())
    assert sum(row[0] for row in rows[:-1]) == rows[-1][0]
    assert sum(row[1] for row in rows[:-1]) == pytest.approx(1.0)
    assert sum(row[3] for row in rows[:-1]) == pytest.approx(1.0)
    told = {str(row[0]) for row in table.rows[:-1]}
    assert told == {
        rules()[f"wait_{name}"].title(lang) for name, row in waited.items() if row["jobs"]
    }
    assert str(table.rows[0][0]) == rules()["wait_nothing"].title(lang)


def test_a_reason_the_rules_do_not_know_is_shown_by_its_name(frame: Frame) -> None:
    jobs = {**frame.summary["jobs"], "waited_for": {"new_one": {"jobs": 2, "waited_gpu_h": 1.0}}}
    table = _table(_told(_with(frame, jobs=jobs)), "What jobs waited for when they came")
    assert table.rows[0][0] == "new one"


def test_the_parts_of_goodput_add_up(frame: Frame) -> None:
    table = _table(_told(frame), "Goodput")
    rows = [_numbers(row) for row in table.rows]
    assert sum(row[0] for row in rows[:-1]) == pytest.approx(rows[-1][0])
    assert rows[-1][1] == pytest.approx(1.0)


def test_refusals_are_told_by_rule(frame: Frame) -> None:
    title = rules()["dataset_missing"].title("nl")
    assert any(title in str(point) for point in _told(frame, "nl").points)
    jobs = {**frame.summary["jobs"], "refused_by": []}
    told = " ".join(map(str, _told(_with(frame, jobs=jobs)).points))
    assert "No job was refused" in told


def test_every_number_of_a_list_can_be_followed(frame: Frame) -> None:
    page = Page("".join(str(c) for t in _told(frame).tables for row in t.rows for c in row))
    sources = {s for e in page.all("data") for s in e.attributes["data-source"].split()}
    assert any(".0." in source for source in sources)
    for source in sources:
        assert lookup(frame.summary, source.removeprefix("summary:")) is not None, source
    assert lookup({"a": [1]}, "a.1") is None
    assert lookup({"a": [1]}, "a.x") is None
    assert lookup({"a": [{"b": 2}]}, "a.0.b") == 2


@pytest.mark.parametrize("lang", ["en", "nl"])
def test_a_public_edition_tells_of_no_single_tenant(frame: Frame, lang: str) -> None:
    section = _told(frame, lang, public=True)
    words = [*section.lead, *section.points, *section.notes]
    words += [picture.svg for picture in section.pictures]
    words += [cell for table in section.tables for row in table.rows for cell in row]
    page = " ".join(map(str, words))
    assert [name for name, _ in TENANTS if name in page] == []
    voice = Voice(lang)
    table = _table(section, voice.say("shares.table"))
    # two tenants abroad and the one beside the groups are told together
    joint = next(str(row[0]) for row in table.rows if voice.say("shares.beside") in str(row[0]))
    assert {"en": "Abroad (made up)", "nl": "Buitenland (verzonnen)"}[lang] in joint
    held = [_numbers(row)[1] for row in table.rows]
    assert sum(held[:-1]) == pytest.approx(held[-1])
    gangs = _table(section, voice.say("gangs.table"))
    assert len(gangs.rows) == 1, "those of two tenants are left out"
    captions = {one.caption for one in section.tables}
    for key in ("programmes.table", "firms.table", "access.countries"):
        assert voice.say(key) not in captions


def test_of_many_tenants_the_small_ones_are_added_up(frame: Frame) -> None:
    rows = [{**frame.summary["shares"][0], "held_gpu_h": 50.0 * 49 / 2 + 50}]
    rows += [
        {**frame.summary["shares"][-1], "node": f"t{k:02d}", "held_gpu_h": 1.0 + k}
        for k in range(50)
    ]
    table = _table(_told(_with(frame, shares=rows)), "Shares (accelerator-hours)")
    assert len(table.rows) == 42
    assert "10 others" in str(table.rows[-2][0])
    held = [_numbers(row)[1] for row in table.rows]
    assert sum(held[:-1]) == pytest.approx(held[-1])


def test_a_factory_that_promises_nothing_says_so(frame: Frame) -> None:
    rows = [
        {**row, "nominal_gpu_h": row["nominal_gpu_h"] if row["level"] == "all" else 0.0}
        for row in frame.summary["shares"]
    ]
    totals = {**frame.summary["shares_of_tenants"], "kept_share": None}
    section = _told(_with(frame, shares=rows, shares_of_tenants=totals))
    assert "No share is promised" in str(section.lead[0])
    assert len(section.pictures) == 1, "goodput alone"


@pytest.mark.slow
def test_limits_are_told_beside_what_was_used(frame: Frame) -> None:
    told = " ".join(map(str, _told(frame).points))
    for key in ("concentration.tenants.cap_share", "export.ceiling_share"):
        assert f"summary:{key}" in told
    table = _table(_told(frame), "Sectors beside their targets")
    assert [str(row[0]) for row in table.rows] == ["Digital and AI", "Medtech", "All others"]
    assert sum(_numbers(row)[2] for row in table.rows) == pytest.approx(1.0)
    export = {**frame.summary["export"], "ceiling_share": None}
    free = " ".join(map(str, _told(_with(frame, export=export)).points))
    assert "ceiling" not in free


def test_a_firm_whose_jobs_never_started_is_told_so(frame: Frame) -> None:
    first = frame.summary["time_to_first_job_s"]
    rows = [{**first["tenants"][0], "first_job_s": None, "wait_p95_s": None}, *first["tenants"][1:]]
    changed = _with(frame, time_to_first_job_s={**first, "tenants": rows})
    table = _table(_told(changed), "Small firms")
    assert "none started" in str(table.rows[0][3])
