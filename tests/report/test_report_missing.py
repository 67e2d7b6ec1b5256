"""What a run did not record is left out with a note; what cannot be read is told all at once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from page_reader import Page

from gigafactory.engine.errors import BadInput
from gigafactory.report import write_report
from gigafactory.report.frames import read_run
from gigafactory.report.sections.power import week_section
from gigafactory.report.sections.tell import Teller
from gigafactory.report.voice import Voice
from gigafactory.testing.run_folder import write_run_folder

#: Columns to take away together, with a word that must then stand in a note for each.
GROUPS = {
    "markets": {
        "price_eur_per_mwh": "price_eur_per_mwh",
        "charge_mw": "battery was not used",
        "day_ahead_mw": "day_ahead_mw",
        "queued_jobs": "queued_jobs",
        "heat_mw": "heat_mw",
    },
    "classes": {
        "limit_mw": "limit_mw",
        "running_research": "running_research",
        "it_research_mw": "",
        "speed_research": "",
        "co2_market_kg": "co2_market_kg",
    },
    "power": {"it_mw": "it_mw", "import_mw": "import_mw", "hours_idle": "hours_idle"},
}


def _without(path: Path, names: tuple[str, ...]) -> None:
    table = pq.read_table(path)
    pq.write_table(table.drop_columns([name for name in names if name in table.column_names]), path)


@pytest.mark.parametrize("group", GROUPS)
def test_missing_columns_leave_a_note_and_no_figure(copy: Path, group: str) -> None:
    _without(copy / "series.parquet", tuple(GROUPS[group]))
    page = Page(write_report(copy).read_text("utf-8"))
    told = " ".join(e.text for e in page.elements if e.tag in ("p", "li"))
    assert [word for word in GROUPS[group].values() if word not in told] == []
    assert page.crossed == []


@pytest.mark.slow
def test_bare_receipts_and_a_bare_summary_still_make_a_page(copy: Path) -> None:
    names = pq.read_schema(copy / "jobs.parquet").names
    bare = tuple(name for name in names if name not in ("job", "job_class", "state"))
    _without(copy / "jobs.parquet", bare)
    (copy / "summary.json").write_text(json.dumps({"name": "bare", "days": 70}), "utf-8")
    page = Page(write_report(copy, "nl").read_text("utf-8"))
    assert page.all("h1")[0].text == "bare"
    assert "niet vastgelegd" in page.all("main")[0].text


@pytest.mark.slow
@pytest.mark.parametrize(("lang", "said"), [("en", "Left out"), ("nl", "Weggelaten")])
def test_a_run_from_before_there_were_shares_still_makes_a_page(
    copy: Path, lang: str, said: str
) -> None:
    summary = json.loads((copy / "summary.json").read_text("utf-8"))
    for key in ("shares", "shares_of_tenants", "goodput", "concentration", "by_tenant_group",
                "by_sector", "export", "export_by_country", "programmes", "time_to_first_job_s",
                "not_recorded"):  # fmt: skip
        del summary[key]
    for key in ("waited_for", "refused_by"):
        del summary["jobs"][key]
    (copy / "summary.json").write_text(json.dumps(summary), "utf-8")
    page = Page(write_report(copy, lang).read_text("utf-8"))
    assert page.crossed == []
    (chapter,) = [e for e in page.all("section") if e.attributes.get("id") == "shares"]
    assert f"{said}, " in chapter.text
    for name in ("shares", "goodput", "programmes", "jobs.waited_for"):
        assert name in chapter.text
    assert len(page.all("svg")) == 8, "the other figures stand"


@pytest.mark.slow
def test_a_key_that_is_null_is_left_out_with_the_reason_the_run_gives(copy: Path) -> None:
    summary = json.loads((copy / "summary.json").read_text("utf-8"))
    for key in ("shares", "shares_of_tenants", "concentration", "by_tenant_group", "by_sector",
                "export", "export_by_country"):  # fmt: skip
        summary[key] = None
    summary["not_recorded"] = ["shares: no frames of them"]
    (copy / "summary.json").write_text(json.dumps(summary), "utf-8")
    page = Page(write_report(copy).read_text("utf-8"))
    (chapter,) = [e for e in page.all("section") if e.attributes.get("id") == "shares"]
    assert "no frames of them" in chapter.text
    assert "Goodput" in chapter.text
    assert len(page.all("svg")) == 9


@pytest.mark.slow
@pytest.mark.parametrize("days", [1, 9])
def test_short_runs_make_a_page(tmp_path: Path, days: int) -> None:
    folder = write_run_folder(tmp_path / "short", days=days, jobs=0 if days == 1 else 20)
    assert Page(write_report(folder).read_text("utf-8")).crossed == []


def test_a_limit_that_does_not_exist_never_binds(copy: Path) -> None:
    table = pq.read_table(copy / "series.parquet")
    place = table.column_names.index("limit_mw")
    none = pa.array(np.full(len(table), np.inf))
    pq.write_table(table.set_column(place, "limit_mw", none), copy / "series.parquet")
    tell = Teller(read_run(copy), Voice("en"))
    bound = tell.bound()
    assert bound is not None
    assert not bound.any()
    week = week_section(tell)
    assert "Connection limit" not in str(week.pictures[0].svg).split("</desc>")[1]


def test_all_that_is_wrong_with_a_folder_is_said_at_once(copy: Path) -> None:
    (copy / "jobs.parquet").unlink()
    (copy / "summary.json").write_text("[1, 2", "utf-8")
    (copy / "factory.yaml").write_text("- a list", "utf-8")
    whole = (copy / "series.parquet").read_bytes()
    (copy / "series.parquet").write_bytes(whole[: len(whole) // 2])
    (copy / "report.html").unlink()
    with pytest.raises(BadInput) as caught:
        write_report(copy)
    assert len(caught.value.problems) == 4
    told = str(caught.value)
    assert all(
        n in told for n in ("jobs.parquet", "summary.json", "factory.yaml", "series.parquet")
    )
    assert "Traceback" not in told
    assert not (copy / "report.html").exists()


def test_a_path_that_is_no_run_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a folder"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(BadInput, match=r"summary\.json"):
        write_report(tmp_path)
