"""The summary on shares, waits, goodput and access adds up, and agrees with the ledger."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from gigafactory.engine.journal import frames
from gigafactory.factory import factory_text, load_factory
from gigafactory.kernel import Kind, Why
from gigafactory.report import write_report
from gigafactory.runtime import goodput
from gigafactory.runtime.outputs import summarise
from gigafactory.runtime.replay import rebuild
from gigafactory.runtime.run import Quiet, RunOptions, read_inputs, resume_run, start_run
from gigafactory.runtime.told import Told
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    SmallPool,
    SmallSite,
    write_jobs,
)

DAYS = 3


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> RunOptions:
    """A small factory with a quota tree, more work than it can do, and failures."""
    place = tmp_path_factory.mktemp("shares")
    factory = SmallFactory((SmallSite((SmallPool("H100", 8), SmallPool("B200", 4))),))
    raw = factory.settings()
    raw["policy"]["quota_groups"] = [
        {"name": "science", "title": {"en": "Science", "nl": "Wetenschap"}, "kind": "commercial",
         "nominal": "60 %"},
        {"name": "market", "title": {"en": "Market", "nl": "Markt"}, "kind": "commercial",
         "nominal": "40 %", "cap": "75 %"},
    ]  # fmt: skip
    raw["policy"] |= {"order": "fair_share", "restart": {"research": "5 min"}}
    for tenant, group, share in zip(
        raw["tenants"], ("science", "market"), ("50 %", "40 %"), strict=True
    ):
        tenant["quota"] = {"group": group, "nominal": share}
    for pool in raw["fleet"]:
        pool["failures"] = {
            "interval_gpu_h": 40,
            "repair": "1 h",
            "burst": "3 %",
            "gpu": "60 %",
        }
    path = place / "factory.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False, allow_unicode=True), "utf-8")
    jobs = write_jobs(place / "jobs.csv", factory.pools, 500, 2.5, 5, load=1.3)
    return RunOptions(str(path), jobs=str(jobs), start=FIRST_DAY.isoformat(), days=DAYS)


@pytest.fixture(scope="module")
def folder(options: RunOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "small"
    return start_run(options, out=out, reporter=write_report).folder


@pytest.fixture(scope="module")
def summary(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "summary.json").read_text("utf-8")))


@pytest.fixture(scope="module")
def told(options: RunOptions) -> Told:
    inputs = read_inputs(options, Quiet())
    return Told(
        options.seed,
        inputs.calendar,
        inputs.factory,
        inputs.catalogue,
        inputs.signals,
        inputs.table,
        inputs.notes,
    )


def _by_name(summary: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["node"]: row for row in summary["shares"]}


# -- shares --------------------------------------------------------------------------------------


def test_what_tenants_held_is_what_the_root_held_and_what_the_ledger_says(
    summary: dict[str, Any],
) -> None:
    rows = summary["shares"]
    assert [row["level"] for row in rows] == ["all", "group", "group", "tenant", "tenant"]
    root = rows[0]["held_gpu_h"]
    # whole seconds are counted, per node and pool
    assert sum(r["held_gpu_h"] for r in rows[3:]) == pytest.approx(root, abs=1e-2)
    first = [r["held_gpu_h"] for r in rows[1:] if r["parent"] == rows[0]["node"]]
    assert sum(first) == pytest.approx(root, abs=1e-2)
    hours = summary["accelerator_hours"]
    booked = hours["installed"] - hours["awaiting_power"] - hours["down"] - hours["idle"]
    assert root == pytest.approx(booked, abs=0.1)
    assert root > 0


def test_a_promise_is_own_use_and_what_was_not_used(summary: dict[str, Any]) -> None:
    for row in summary["shares"]:
        own = row["held_gpu_h"] - row["borrowed_gpu_h"]
        assert row["nominal_gpu_h"] == pytest.approx(own + row["unused_gpu_h"])
        assert 0 <= row["borrowed_gpu_h"] <= row["held_gpu_h"] + 1e-6
        assert 0 <= row["short_gpu_h"] <= row["unused_gpu_h"] + 1e-2
    rows = _by_name(summary)
    installed = 12 * 8 * 24 * DAYS
    assert rows[""]["nominal_gpu_h"] == installed
    # shares are whole nodes of each pool: 60 % of 8 and of 4 nodes are 4 and 2
    assert rows["science"]["nominal_gpu_h"] == (4 + 2) * 8 * 24 * DAYS
    assert rows["lab"]["nominal_gpu_h"] == (4 + 2) * 8 * 24 * DAYS
    assert rows["market"]["parent"] == "" and rows["shop"]["parent"] == "market"  # noqa: PT018
    assert any(row["borrowed_gpu_h"] > 0 for row in rows.values())


def test_shares_are_the_frames_of_the_journal(summary: dict[str, Any], folder: Path) -> None:
    total = np.zeros((len(summary["shares"]), 3), np.int64)
    for frame in frames(folder / "journal.gfj"):
        if frame.kind == "shares":
            total += frame.arrays["share_s"].sum(axis=0)
    for row, (held, borrowed, short) in zip(summary["shares"], total.tolist(), strict=True):
        assert row["held_gpu_h"] == pytest.approx(held / 3600)
        assert row["borrowed_gpu_h"] == pytest.approx(borrowed / 3600)
        assert row["short_gpu_h"] == pytest.approx(short / 3600)


def test_the_sums_over_tenants_are_those_of_their_rows(summary: dict[str, Any]) -> None:
    total = summary["shares_of_tenants"]
    leaves = [row for row in summary["shares"] if row["level"] == "tenant"]
    for name in ("held_gpu_h", "borrowed_gpu_h", "short_gpu_h"):
        assert total[name] == pytest.approx(sum(row[name] for row in leaves))
    own = total["held_gpu_h"] - total["borrowed_gpu_h"]
    assert total["kept_share"] == pytest.approx(own / (own + total["short_gpu_h"]))
    assert total["borrowed_share"] == pytest.approx(total["borrowed_gpu_h"] / total["held_gpu_h"])


# -- waits ---------------------------------------------------------------------------------------


def test_reasons_to_wait_are_counted_as_the_receipts_hold_them(
    summary: dict[str, Any], folder: Path
) -> None:
    rows = pq.read_table(folder / "jobs.parquet").to_pylist()
    counts = Counter(Why(row["waited_for"] % 256).name.lower() for row in rows)
    hours: dict[str, float] = defaultdict(float)
    for row in rows:
        why = Why(row["waited_for"] % 256).name.lower()
        hours[why] += row["accelerators"] * row["wait_s"] / 3600
    waited = summary["jobs"]["waited_for"]
    assert {name: row["jobs"] for name, row in waited.items() if row["jobs"]} == dict(counts)
    for name, row in waited.items():
        assert row["waited_gpu_h"] == pytest.approx(hours[name])
    started = summary["jobs"]["total"] - summary["jobs"]["refused"]
    assert sum(row["jobs"] for row in waited.values()) == started
    assert waited["nothing"]["waited_gpu_h"] == 0.0
    assert len(counts) > 2, "the run is busy enough to mean something"


# -- goodput -------------------------------------------------------------------------------------


def test_goodput_adds_up_and_agrees_with_the_hours(summary: dict[str, Any]) -> None:
    found, hours = summary["goodput"], summary["accelerator_hours"]
    shares = found["shares"]
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-12)
    whole = found["in_service_gpu_h"]
    assert whole == pytest.approx(
        hours["installed"] - hours["awaiting_power"] - hours["down"], abs=0.1
    )
    for name in ("useful", "lost_failure", "lost_preemption", "lost_response", "idle"):
        assert shares[name] * whole == pytest.approx(hours[name], abs=1e-6)
    spent = (shares["restart"] + shares["checkpoint"]) * whole
    assert spent == pytest.approx(hours["overhead"], abs=1e-6)
    assert shares["restart"] > 0
    assert shares["lost_failure"] > 0
    assert found["ettr"] is None, "no gang of a thousand fits"
    assert [row["gangs"] for row in found["gangs"]] == [0, 0, 0]


def test_the_ettr_is_that_of_a_plain_recount(
    told: Told, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the moves in the journal alone, one gang after the other."""
    monkeypatch.setattr(goodput, "GANG_SIZES", (8, 16, 32))
    book, _, _, _ = rebuild(folder)
    found = goodput.goodput(told, book)
    end = told.calendar.end_ns
    moves = defaultdict(list)
    for frame in frames(folder / "journal.gfj"):
        if "move.job" in frame.arrays:
            columns = (frame.arrays[f"move.{n}"].tolist() for n in ("job", "kind", "t_ns"))
            for job, kind, t in zip(*columns, strict=True):
                moves[job].append((kind, t))
    lost_s = pq.read_table(folder / "jobs.parquet", columns=["job", "lost_gpu_s"]).to_pydict()
    lost_of = dict(zip(lost_s["job"], lost_s["lost_gpu_s"], strict=True))
    opens, stops = (Kind.START, Kind.BACKFILL, Kind.RESUME), (Kind.EVICT, Kind.PREEMPT, Kind.FAIL)
    useful, wall, queue, interrupted, gangs = 0.0, 0.0, 0.0, 0, 0
    for job, mine in moves.items():
        size, label = int(told.table.accelerators[job]), int(told.table.job_class[job])
        if size < 8:
            continue
        gangs += 1
        last = mine[-1][1] if mine[-1][0] in (Kind.FINISH, Kind.LIMIT) else end
        run_ns = sum(
            (mine[i + 1][1] if i + 1 < len(mine) else end) - t
            for i, (kind, t) in enumerate(mine)
            if kind in opens
        )
        stopped = sum(kind in stops for kind, _ in mine)
        again = sum(mine[i][0] in stops and mine[i + 1][0] in opens for i in range(len(mine) - 1))
        name = book.header.classes[label]
        saving = told.factory.policy.checkpoint[name]
        kept = run_ns / 1e9 * (1 - saving.cost_s / saving.interval_s)
        kept -= lost_of[job] / size + again * (300.0 if name == "research" else 0.0)
        interrupted += stopped
        useful += size * max(kept, 0.0)
        wall += size * (last - mine[0][1]) / 1e9
        queue += size * (last - int(told.table.submit_ns[job])) / 1e9
    assert gangs > 50
    assert interrupted > 5
    assert sum(row["gangs"] for row in found["gangs"]) == gangs
    assert sum(row["interruptions"] for row in found["gangs"]) == interrupted
    assert found["ettr"] == pytest.approx(useful / wall, rel=1e-4)
    assert found["ettr_with_queue"] == pytest.approx(useful / queue, rel=1e-4)
    assert found["ettr_with_queue"] < found["ettr"] < 1


# -- who used it ---------------------------------------------------------------------------------


def test_use_by_group_and_sector_is_all_that_was_held(summary: dict[str, Any]) -> None:
    held = summary["shares_of_tenants"]["held_gpu_h"]
    for key in ("by_tenant_group", "by_sector"):
        assert sum(row["held_gpu_h"] for row in summary[key]) == pytest.approx(held)
        assert sum(row["share"] for row in summary[key]) == pytest.approx(1.0)
    shares = [row["share"] for row in summary["by_tenant_group"]]
    groups = summary["concentration"]["tenant_groups"]
    assert groups["herfindahl_ratio"] == pytest.approx(sum(s * s for s in shares))
    assert groups["largest_share"] == max(shares)
    assert summary["export"]["held_gpu_h"] == 0
    assert summary["export_by_country"] == []
    assert summary["not_recorded"] == []


def test_small_firms_are_counted_from_their_first_job_on(
    summary: dict[str, Any], folder: Path
) -> None:
    (firm,) = summary["time_to_first_job_s"]["tenants"]
    rows = pq.read_table(folder / "jobs.parquet").to_pylist()
    mine = [row for row in rows if row["tenant"] == "shop"]
    first = min(row["start_ns"] for row in mine if row["start_ns"] >= 0)
    assert firm["tenant"] == "shop"
    assert firm["jobs"] == len(mine)
    assert firm["first_job_s"] == (first - min(row["submit_ns"] for row in mine)) / 1e9
    assert summary["time_to_first_job_s"]["median"] == firm["first_job_s"]


def test_a_run_without_frames_of_shares_says_so(told: Told, folder: Path) -> None:
    book, trace, head, _ = rebuild(folder)
    book.share_s.clear()
    found = summarise(told, book, trace, head, 0, None)
    assert found["shares"] is None
    assert found["shares_of_tenants"] is None
    for key in ("concentration", "by_tenant_group", "by_sector", "export", "export_by_country"):
        assert found[key] is None
    (why,) = found["not_recorded"]
    assert why.startswith("shares: ")
    assert found["jobs"]["waited_for"]["nothing"]["jobs"] > 0
    json.dumps(found, allow_nan=False)


class _Stopper(Quiet):
    """Presses Ctrl-C after the first day."""

    def days(self, done: int, total: int) -> None:  # noqa: ARG002  (its port's)
        if done == 1:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
def test_a_stopped_run_says_what_it_lacks_and_a_resumed_one_lacks_nothing(
    options: RunOptions, summary: dict[str, Any], tmp_path: Path
) -> None:
    stopped = start_run(options, _Stopper(), out=tmp_path / "run").summary
    (why,) = stopped["not_recorded"]
    assert why.startswith("jobs.waited_for: ")
    assert stopped["shares"][0]["nominal_gpu_h"] == 12 * 8 * 24
    resumed = resume_run(tmp_path / "run").summary
    took = {"wall_s", "peak_rss_mib"}
    assert {k: v for k, v in resumed.items() if k not in took} == {
        k: v for k, v in summary.items() if k not in took
    }


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["en", "nl"])
def test_the_report_of_the_run_is_written(folder: Path, lang: str) -> None:
    page = write_report(folder, lang).read_text("utf-8")
    assert {"en": "Science", "nl": "Wetenschap"}[lang] in page


# -- a factory with programmes, and a project that is refused -------------------------------------


@pytest.fixture(scope="module")
def a_day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A day of Rotterdam with a project whose review is missing."""
    place = tmp_path_factory.mktemp("day")
    raw = yaml.safe_load(factory_text(load_factory("rotterdam")))
    (tenant,) = [t for t in raw["tenants"] if t["name"] == "windwijzer"]
    (work,) = [w for w in tenant["work"] if w["job_class"] == "fine_tuning"]
    work["reviews"], work["data_class"] = [], "personal"
    (place / "factory.yaml").write_text(yaml.safe_dump(raw), "utf-8")
    options = RunOptions(str(place / "factory.yaml"), start="2025-01-01", days=1)
    outcome = start_run(options, out=place / "run")
    return outcome.folder, outcome.summary


@pytest.mark.slow
def test_refusals_programmes_and_concentration_of_a_day(
    a_day: tuple[Path, dict[str, Any]],
) -> None:
    folder, summary = a_day
    (refused,) = summary["jobs"]["refused_by"]
    assert refused["rule"] == "review_missing"
    assert refused["jobs"] == summary["jobs"]["refused"] > 0
    jobs = pq.read_table(folder / "jobs.parquet").to_pylist()
    ran: dict[str, float] = defaultdict(float)
    for row in jobs:
        ran[row["tenant"]] += row["allocated_gpu_s"] / 3600
    held = {r["node"]: r["held_gpu_h"] for r in summary["shares"] if r["level"] == "tenant"}
    for name, hours in held.items():
        assert hours == pytest.approx(ran[name], rel=1e-3, abs=1.0)
    total = sum(held.values())
    tenants = summary["concentration"]["tenants"]
    assert tenants["largest"] == max(held, key=lambda name: held[name])
    assert tenants["herfindahl_ratio"] == pytest.approx(
        sum((h / total) ** 2 for h in held.values())
    )
    programmes = {row["programme"]: row for row in summary["programmes"]}
    both = programmes["rekenland"]
    assert both["tenants"] == ["rijnmond-university", "toegepast"]
    assert both["jobs"] == sum(row["tenant"] in both["tenants"] for row in jobs)
    assert both["held_gpu_h"] == pytest.approx(held["rijnmond-university"] + held["toegepast"])
    waiting = [r for r in jobs if r["tenant"] in both["tenants"] and r["state"] == "queued"]
    assert both["waiting_jobs"] == len(waiting)
    assert both["outputs"]
    abroad = summary["export"]
    assert abroad["held_gpu_h"] == pytest.approx(held["alpine-models"])
    assert abroad["ceiling_share"] == 0.15
    firms = {row["tenant"]: row for row in summary["time_to_first_job_s"]["tenants"]}
    assert firms["mkb-loket"]["support_h_per_year"] == 2000
    assert "hospitals" not in firms
