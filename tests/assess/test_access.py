"""The access-time report: sums by every cut, nobody shown alone, records that come back."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.assess.access import (
    CUTS,
    AccessRecord,
    AccessReport,
    Reserved,
    access_lines,
    access_report,
    access_report_with,
    adoption,
    assess_access,
    due_after,
    read_records,
    records_text,
)
from gigafactory.assess.results import Grade
from gigafactory.engine.errors import BadInput
from gigafactory.policy import thresholds
from tests.assess.cases import a_year, bundled, changed, subject


def row(tenant: str, access: str, hours: float, billed: float = 0.0) -> dict[str, Any]:
    return {
        "tenant": tenant, "access": access, "jobs": 3, "requested_gpu_h": hours * 2,
        "granted_gpu_h": hours * 1.5, "used_gpu_h": hours, "billed_eur": billed,
    }  # fmt: skip


def of_group(group: str) -> list[str]:
    return [tenant.name for tenant in bundled("rotterdam").tenants if tenant.group == group]


def records(*rows: dict[str, Any], **more: Any) -> AccessReport:
    return access_report(subject(summary=a_year(access_time=list(rows), **more)))


def test_cut_by_mode_group_member_state_terms_and_union() -> None:
    start_ups = of_group("start_up")
    report = records(
        row("delta-lab", "pay_as_you_go", 100, 190),
        row("alpine-models", "pay_as_you_go", 40, 80),
        row(start_ups[0], "playground", 10),
    )
    used = {cut: {r.name: r.used_gpu_h for r in report.table(cut)} for cut in CUTS}
    assert used["mode"] == {"pay_as_you_go": 140, "playground": 10}
    assert used["group"] == {"nl_company": 100, "export": 40, "start_up": 10}
    assert used["member_state"] == {"NL": 110, "DE": 40}
    assert used["terms"] == {"free": 10, "paid": 140}
    for cut in CUTS:
        rows = report.table(cut)
        assert sum(r.requested_gpu_h for r in rows) == 300
        assert sum(r.granted_gpu_h for r in rows) == 225
        assert sum(r.members for r in rows) == 3


def test_public_tables_show_nobody_alone() -> None:
    tenants = [tenant.name for tenant in bundled("rotterdam").tenants]
    report = records(*(row(name, "pay_as_you_go", 10.0 + k) for k, name in enumerate(tenants)))
    least = thresholds().members_min
    assert least == 3
    for cut in CUTS:
        shown, every = report.table(cut, public=True), report.table(cut)
        assert all(r.members >= least for r in shown), cut
        assert sum(r.used_gpu_h for r in shown) == pytest.approx(sum(r.used_gpu_h for r in every))
    assert records(row("delta-lab", "pay_as_you_go", 1)).table("group", public=True) == ()


def test_a_tenant_in_two_modes_is_one_tenant() -> None:
    names = [tenant.name for tenant in bundled("rotterdam").tenants][:3]
    two = [row(name, mode, 1) for name in names[:2] for mode in ("playground", "fast_lane")]
    assert records(*two).table("mode", public=True) == ()
    (whole,) = records(*two, row(names[2], "fast_lane", 1)).table("mode", public=True)
    assert (whole.name, whole.members, whole.used_gpu_h) == ("all", 3, 5)


def test_the_report_on_a_year_is_due_on_31_january() -> None:
    assert due_after(dt.date(2025, 12, 31)) == dt.date(2026, 1, 31)
    assert due_after(dt.date(2025, 1, 3)) == dt.date(2026, 1, 31)
    assert records(row("delta-lab", "pay_as_you_go", 1)).due == dt.date(2026, 1, 31)


def test_what_must_be_free_and_was_billed_is_shown() -> None:
    start_up = of_group("start_up")[0]
    summary = a_year(access_time=[row(start_up, "playground", 10, billed=25.0)])
    finding = assess_access(subject(summary=summary)).of("free")
    assert (finding.grade, finding.value) == (Grade.UNMET, 25.0)
    summary = a_year(access_time=[row("delta-lab", "pay_as_you_go", 10, billed=25.0)])
    assert assess_access(subject(summary=summary)).of("free").grade is Grade.MET


def test_reserved_resources_are_held_against_what_was_asked_within_them() -> None:
    def shares(held: float, short: float) -> dict[str, Any]:
        node = {"node": "union-access", "nominal_gpu_h": 100.0}
        return a_year(
            shares=[{**node, "held_gpu_h": held, "short_gpu_h": short}],
            access_time=[row("delta-lab", "pay_as_you_go", 1)],
        )

    kept = assess_access(subject(summary=shares(80.0, 0.0))).of("reserved")
    broken = assess_access(subject(summary=shares(80.0, 20.0))).of("reserved")
    assert (kept.grade, kept.value) == (Grade.MET, 1.0)
    assert (broken.grade, broken.value) == (Grade.UNMET, pytest.approx(0.8))
    assert Reserved(100, 150, 0).kept_share == 1.0
    assert Reserved(0, 0, 0).kept_share == 1.0


def test_without_a_run_or_records_nothing_is_claimed() -> None:
    for found in (assess_access(subject()), assess_access(subject(summary=a_year()))):
        assert found.scores == {}
        assert found.of("records").grade is Grade.UNVERIFIED
    assert access_lines(access_report(subject()), "nl") == [
        "De run bevat geen posten over toegangstijd."
    ]


# --- adoption -------------------------------------------------------------------------------------


def test_adoption_counts_users_and_shows_no_group_of_fewer_than_three(tmp_path: Path) -> None:
    tenants = [tenant.name for tenant in bundled("rotterdam").tenants]
    rows = [row(name, "pay_as_you_go", 1.0) for name in tenants]
    rows[0]["used_gpu_h"] = 0.0  # asked and never ran: no user
    found = adoption(subject(summary=a_year(access_time=rows)))
    assert found.users == len(tenants) - 1
    for counts in (found.by_sector, found.by_country, found.by_group):
        assert all(count >= 3 for count in counts.values())
        assert sum(counts.values()) == found.users


def test_first_time_users_are_hidden_where_they_are_few(tmp_path: Path) -> None:
    names = [tenant.name for tenant in bundled("rotterdam").tenants]
    summary = a_year(access_time=[row(name, "pay_as_you_go", 1.0) for name in names])

    def first(count: int) -> int | None:
        changes = {
            f"tenants.{k}.ran_before": ["nowhere"] if k < count else ["own"]
            for k in range(len(names))
        }
        return adoption(subject(changed(changes, tmp_path), summary=summary)).first_time

    assert [first(n) for n in (0, 2, 3, len(names) - 1)] == [0, None, 3, None]


# --- exchange -------------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1).filter(
    lambda text: bool(text.strip())
)
hours = st.floats(0, 1e9)
days = st.dates(dt.date(2020, 1, 1), dt.date(2040, 1, 1))
made_up = st.builds(
    lambda first, length, **more: AccessRecord(
        period_start=first, period_end=first + dt.timedelta(days=length), **more
    ),
    days,
    st.integers(0, 400),
    site=texts,
    tenant=texts,
    group=texts,
    member_state=st.sampled_from(["NL", "DE"]),
    mode=st.sampled_from(["playground", "large_scale"]),
    union=st.booleans(),
    free=st.booleans(),
    requested_gpu_h=hours,
    granted_gpu_h=hours,
    used_gpu_h=hours,
    billed_eur=st.floats(-1e6, 1e9),
)


@given(st.lists(made_up, max_size=5), st.sampled_from([".csv", ".json"]))
def test_records_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, some: list[AccessRecord], suffix: str
) -> None:
    path = tmp_path_factory.mktemp("records") / f"records{suffix}"
    path.write_text(records_text(some, suffix), "utf-8", newline="")
    assert read_records(path) == tuple(some)


def test_every_problem_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "records.csv"
    good = records_text(records(row("delta-lab", "pay_as_you_go", 1)).records, ".csv")
    head, line = good.splitlines()
    cells = line.split(",")
    bad = [*cells[:5], "maybe", cells[6], "2025-13-01", *cells[8:10], "-1", "many", cells[12]]
    path.write_text("\n".join([head, line, ",".join(bad)]) + "\n", "utf-8")
    with pytest.raises(BadInput) as told:
        read_records(path)
    fields = [problem.field for problem in told.value.problems]
    assert fields == ["union", "period_start", "granted_gpu_h", "used_gpu_h"]
    assert all("record 2" in problem.where for problem in told.value.problems)
    for text in ("[1, 2]", "{", '{"records": [1]}'):
        (tmp_path / "bad.json").write_text(text, "utf-8")
        with pytest.raises(BadInput, match="cannot be read as json"):
            read_records(tmp_path / "bad.json")
    with pytest.raises(BadInput, match="cannot be read as csv"):
        read_records(tmp_path / "missing.csv")


def test_records_of_other_sites_join_the_report_and_none_counts_twice(tmp_path: Path) -> None:
    mine = subject(summary=a_year(access_time=[row("delta-lab", "pay_as_you_go", 5)]))
    other = tmp_path / "groningen.json"
    theirs = access_report(
        subject(bundled("groningen"), summary=a_year(access_time=[row("x", "fast_lane", 7)]))
    )
    other.write_text(records_text(theirs.records, ".json"), "utf-8")
    both = access_report_with(mine, [other])
    assert {r.name: r.used_gpu_h for r in both.table("mode")} == {
        "pay_as_you_go": 5,
        "fast_lane": 7,
    }
    with pytest.raises(BadInput, match="already"):
        access_report_with(mine, [other, other])


@pytest.mark.parametrize(("lang", "word"), [("en", "Access mode"), ("nl", "Toegangsvorm")])
def test_lines_for_a_terminal(lang: str, word: str) -> None:
    lines = access_lines(records(row("delta-lab", "playground", 1234)), lang)
    assert lines[0].startswith(word)
    assert any(("1.234" if lang == "nl" else "1,234") in line for line in lines)
    assert "2026-01-31" in lines[-1]
