"""Budgets, terms, papers and full storage close projects; shares change; all of it can be told."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.engine.journal import frames
from gigafactory.engine.streams import stream
from gigafactory.factory import load_factory
from gigafactory.ledger.facts import MOVE, OPENS, REFUSE
from gigafactory.runtime.explain import explain
from gigafactory.runtime.limits import budget_rows, storage_rows
from gigafactory.runtime.replay import rebuild, replay
from gigafactory.runtime.run import (
    Outcome,
    Quiet,
    RunOptions,
    read_inputs,
    resume_run,
    start_run,
)
from gigafactory.runtime.told import Told
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    SmallPool,
    SmallSite,
    write_scenario,
)
from gigafactory.testing.proving import run_problems
from tests.runtime.test_resume import Stopper

ZONE = "Europe/Amsterdam"
PERIOD_NS = 900 * 10**9
BUDGETED, CLOSING, OPENING, FREE, SERVED = (
    "lab-research", "lab-fine_tuning", "lab-frontier_training", "shop-inference_batch", "none",
)  # fmt: skip


def day(number: int) -> dt.date:
    """A day of the run, the first being 0."""
    return FIRST_DAY + dt.timedelta(days=number)


def work_of(raw: dict[str, Any], project: str) -> dict[str, Any]:
    """The settings of a project, by its usual name."""
    tenant, _, label = project.partition("-")
    (owner,) = [t for t in raw["tenants"] if t["name"] == tenant]
    (work,) = [w for w in owner["work"] if w["job_class"] == label]
    return work


class Spelt(yaml.SafeDumper):
    """Writes what stands twice out twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (its base's)
        return True


def as_it_is(raw: dict[str, Any]) -> None:
    """Change nothing."""


def write_factory(
    path: Path,
    change: Callable[[dict[str, Any]], None] = as_it_is,
    sites: tuple[SmallSite, ...] = (SmallSite((SmallPool("H100", 6), SmallPool("B200", 3))),),
) -> Path:
    raw = SmallFactory(sites).settings()
    change(raw)
    path.write_text(yaml.dump(raw, Dumper=Spelt, sort_keys=False), "utf-8")
    return path


def write_work(path: Path, count: int, days: float, seed: int, load: float = 1.2) -> Path:
    """A job file in which every job names a project; small jobs and gangs on two chips."""
    draw = stream(seed, "limits jobs")
    projects = (BUDGETED, CLOSING, OPENING, FREE)
    at_s = np.sort(draw.random(count)) * days * 86_400
    size = draw.choice([1, 2, 4, 8, 16, 24], count)
    wild = draw.lognormal(0.0, 1.0, count)
    work_s = np.maximum(wild * load * 72 * days * 86_400 / (size * wild).sum(), 1.0)
    lines = ["submit,tenant,project,class,accelerators,work_s,walltime_s,priority,chip"]
    for i in range(count):
        project = projects[int(draw.integers(len(projects)))]
        tenant, _, label = project.partition("-")
        chip = ("H100", "B200")[int(draw.random() < 0.3)]
        lines.append(
            f"{1_700_000_000 + at_s[i]:.3f},{tenant},{project},{label},{size[i]},"
            f"{work_s[i]:.3f},{work_s[i] * 2 + 60:.3f},3,{chip}"
        )
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@dataclass
class Course:
    """What the journal of a run says of jobs, segments, closings and shares."""

    project: dict[int, str]
    submit_ns: dict[int, int]
    segments: dict[int, list[tuple[int, int, int]]]  # begin, end (or of the run), accelerators
    refused: dict[int, tuple[int, str]]
    limits: list[tuple[int, dict[str, Any]]]
    quota: list[tuple[int, dict[str, Any], Any]]

    @classmethod
    def of(cls, folder: Path) -> Course:
        header: dict[str, Any] = {}
        open_at: dict[int, tuple[int, int]] = {}
        course = cls({}, {}, {}, {}, [], [])
        for frame in frames(folder / "journal.gfj"):
            if frame.kind == "begin":
                header = frame.fields["header"]
            elif frame.kind == "limits":
                course.limits.append((frame.tick_ns, dict(frame.fields)))
            elif frame.kind == "quota":
                course.quota.append((frame.tick_ns, dict(frame.fields), dict(frame.arrays)))
            elif frame.kind == "facts":
                course._asks(frame.arrays, header)
                course._moves(frame.arrays, header, open_at)
        for job, (since, width) in open_at.items():
            course.segments.setdefault(job, []).append((since, header["edges_ns"][1], width))
        return course

    def _asks(self, arrays: Any, header: dict[str, Any]) -> None:
        if "ask.job" not in arrays:
            return
        columns = [arrays[f"ask.{n}"].tolist() for n in ("job", "submit_ns", "tenant", "job_class")]
        for job, submit, tenant, label in zip(*columns, strict=True):
            self.submit_ns[job] = submit
            self.project[job] = f"{header['tenants'][tenant]}-{header['classes'][label]}"

    def _moves(
        self, arrays: Any, header: dict[str, Any], open_at: dict[int, tuple[int, int]]
    ) -> None:
        if "move.job" not in arrays:
            return
        columns = [arrays[f"move.{n}"].tolist() for n in ("kind", "job", "t_ns", "width", "why")]
        for kind, job, t_ns, width, why in zip(*columns, strict=True):
            if kind == REFUSE:
                self.refused[job] = (t_ns, header["rules"][why])
            elif kind in OPENS:
                open_at[job] = (t_ns, width)
            elif kind < MOVE:
                since, had = open_at.pop(job)
                assert had == width
                self.segments.setdefault(job, []).append((since, t_ns, width))

    def jobs(self, project: str) -> list[int]:
        return [job for job, name in self.project.items() if name == project]

    def used_gpu_h(self, project: str, until_ns: int) -> float:
        return sum(
            width * (min(end, until_ns) - begin) / 3.6e12
            for job in self.jobs(project)
            for begin, end, width in self.segments.get(job, [])
            if begin < until_ns
        )

    def closings(self, project: str) -> list[tuple[int, dict[str, Any]]]:
        return [
            (t_ns, one)
            for t_ns, fields in self.limits
            for one in fields["closed"]
            if one["project"] == project
        ]

    def stays_closed(self, project: str, since_ns: int) -> Iterator[str]:
        """What is wrong with a project that is closed from an instant to the end of the run."""
        for job in self.jobs(project):
            spans = self.segments.get(job, [])
            after = [begin for begin, _, _ in spans if begin >= since_ns]
            if after and not any(begin < since_ns for begin, _, _ in spans):
                yield f"job {job} starts after its project closed"
            if self.submit_ns[job] >= since_ns and job not in self.refused:
                yield f"job {job} came after its project closed and was not refused"
            ended = [end for _, end, _ in spans]
            for begin in after:
                # one that ran at the closing may be stopped and start again at once, no later
                if not any(begin - PERIOD_NS <= end <= begin for end in ended):
                    yield f"job {job} starts again long after it was stopped"


def run(place: Path, days: int, seed: int = 5, **kept: Any) -> Outcome:
    trouble = kept.pop("trouble", None)
    options = RunOptions(
        factory=str(place / "factory.yaml"),
        scenario=trouble and str(write_scenario(place / "trouble.yaml", trouble)),
        jobs=str(place / "jobs.csv"),
        start=FIRST_DAY.isoformat(),
        days=days,
        seed=seed,
    )
    return start_run(options, kept.pop("progress", Quiet()), out=place / kept.pop("name", "run"))


# --- budgets -------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=6)
@given(
    budget=st.sampled_from([1.0, 40.0, 200.0, 500.0]),
    load=st.sampled_from([0.5, 1.5, 4.0]),
    seed=st.integers(0, 1000),
)
def test_a_project_uses_its_budget_and_what_runs_when_it_is_spent(
    budget: float, load: float, seed: int
) -> None:
    def change(raw: dict[str, Any]) -> None:
        work_of(raw, BUDGETED)["budget_gpu_h"] = budget

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_factory(place / "factory.yaml", change)
        write_work(place / "jobs.csv", 300, 1.8, seed, load)
        outcome = run(place, 2, seed)
        assert run_problems(outcome.folder) == []
        course = Course.of(outcome.folder)
    closings = course.closings(BUDGETED)
    last = max(end for spans in course.segments.values() for _, end, _ in spans)
    used = course.used_gpu_h(BUDGETED, last)
    if not closings:
        assert used < budget + 72 * 0.25, "what was spent in the last period is seen by nobody"
        return
    ((when, told),) = closings
    at_closing = course.used_gpu_h(BUDGETED, when)
    assert told["rule"] == "budget_spent"
    assert told["fields"]["used_gpu_h"] == pytest.approx(at_closing, abs=0.01)
    assert course.used_gpu_h(BUDGETED, when - PERIOD_NS) < budget <= at_closing + 1e-3
    assert list(course.stays_closed(BUDGETED, when)) == []
    running = sum(
        width * (end - max(begin, when)) / 3.6e12
        for job in course.jobs(BUDGETED)
        for begin, end, width in course.segments.get(job, [])
        if end > when and min(b for b, _, _ in course.segments[job]) < when
    )
    assert used == pytest.approx(at_closing + running)
    others = {course.project[job] for job in course.refused} - {BUDGETED}
    assert others == set(), "no other project is touched"


def test_one_project_at_a_time_and_nothing_without_a_limit(tmp_path: Path) -> None:
    write_factory(tmp_path / "factory.yaml")
    write_work(tmp_path / "jobs.csv", 60, 0.8, 1)
    outcome = run(tmp_path, 1)
    course = Course.of(outcome.folder)
    assert (course.limits, course.quota, course.refused) == ([], [], {})
    assert outcome.summary["jobs"]["refused"] == 0


# --- everything closes ---------------------------------------------------------------------------


def everything(raw: dict[str, Any]) -> None:
    """A budget, a term, a review that comes late and one that expires, all within four days."""
    work_of(raw, BUDGETED)["budget_gpu_h"] = 400
    work_of(raw, CLOSING)["ends"] = day(2)
    opening = work_of(raw, OPENING)
    opening["data_class"] = "technical"
    opening["reviews"] = [
        {"kind": "security", "approved": day(1), "by": "Somebody", "expires": day(3)}
    ]
    work_of(raw, FREE)["starts"] = day(1)


@pytest.fixture(scope="module")
def closing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome, Course]:
    place = tmp_path_factory.mktemp("closing")
    write_factory(place / "factory.yaml", everything)
    write_work(place / "jobs.csv", 900, 3.9, 3, 2.0)
    outcome = run(place, 4)
    return place, outcome, Course.of(outcome.folder)


def midnight(number: int) -> int:
    when = dt.datetime.combine(day(number), dt.time(), ZoneInfo(ZONE))
    return int(when.timestamp()) * 10**9


def test_a_run_on_which_everything_closes_balances(closing: tuple[Path, Outcome, Course]) -> None:
    _, outcome, _ = closing
    assert run_problems(outcome.folder) == []
    assert replay(outcome.folder)[1] == []
    jobs = outcome.summary["jobs"]
    assert jobs["refused"] > 100
    assert sum(row["jobs"] for row in jobs["refused_by"]) == jobs["refused"]
    assert {row["rule"] for row in jobs["refused_by"]} == {
        "budget_spent", "project_over", "review_missing", "review_expired", "project_not_started",
    }  # fmt: skip
    table = pq.read_table(outcome.folder / "jobs.parquet").to_pydict()
    assert table["state"].count("refused") == jobs["refused"]


def test_a_term_ends_and_begins_on_its_day(closing: tuple[Path, Outcome, Course]) -> None:
    _, _, course = closing
    assert [t for t, _ in course.closings(CLOSING)] == [midnight(2)]
    assert list(course.stays_closed(CLOSING, midnight(2))) == []
    waiting = [j for j in course.jobs(CLOSING) if course.refused.get(j, (0,))[0] == midnight(2)]
    assert waiting, "some waited when it ended"
    early = [job for job in course.jobs(FREE) if course.submit_ns[job] < midnight(1)]
    assert early
    assert {course.refused[job][1] for job in early} == {"project_not_started"}
    late = [job for job in course.jobs(FREE) if course.submit_ns[job] >= midnight(1)]
    assert not [job for job in late if job in course.refused]
    assert any(job in course.segments for job in late)


def test_a_review_lets_in_from_its_day_until_it_expires(
    closing: tuple[Path, Outcome, Course],
) -> None:
    _, _, course = closing
    mine = course.jobs(OPENING)
    early = [job for job in mine if course.submit_ns[job] < midnight(1)]
    assert early
    assert {course.refused[job] for job in early} == {
        (course.submit_ns[job], "review_missing") for job in early
    }
    between = [job for job in mine if midnight(1) <= course.submit_ns[job] < midnight(3)]
    assert any(job in course.segments for job in between)
    assert list(course.stays_closed(OPENING, midnight(3))) == []
    assert {course.refused[j][1] for j in between if j in course.refused} <= {"review_expired"}


@pytest.mark.parametrize("lang", ["en", "nl"])
def test_every_refusal_is_told_with_its_figures(
    closing: tuple[Path, Outcome, Course], lang: str
) -> None:
    _, outcome, course = closing
    words = {
        "budget_spent": {"en": "of the 400 GPU-hours", "nl": "van de 400 toegekende GPU-uren"},
        "project_over": {"en": "ended on 17 January 2025", "nl": "liep tot 17 januari 2025"},
        "project_not_started": {"en": "begins on 16 January", "nl": "begint op 16 januari"},
        "review_missing": {"en": "no valid security review", "nl": "geen geldige veiligheidstoets"},
        "review_expired": {"en": "expired on 18 January", "nl": "op 18 januari 2025 verlopen"},
    }
    for rule, said in words.items():
        job = next(job for job, (_, by) in course.refused.items() if by == rule)
        told = explain(outcome.folder, job, lang, ZONE)
        assert said[lang] in told[-1], rule
        assert {"en": "is refused: ", "nl": "wordt geweigerd: "}[lang] in told[-1]


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_an_interruption_changes_nothing(
    closing: tuple[Path, Outcome, Course], tmp_path: Path, stop: int
) -> None:
    place, outcome, _ = closing
    stopped = run(place, 4, progress=Stopper(stop), name=f"stopped-{stop}")
    assert not stopped.complete
    resumed = resume_run(stopped.folder)
    assert resumed.complete
    assert resumed.summary["digest"] == outcome.summary["digest"]
    for name in ("journal.gfj", "jobs.parquet", "accounts.parquet"):
        assert (stopped.folder / name).read_bytes() == (outcome.folder / name).read_bytes()


def test_the_same_again_is_the_same(closing: tuple[Path, Outcome, Course]) -> None:
    place, outcome, _ = closing
    assert run(place, 4, name="again").summary["digest"] == outcome.summary["digest"]


def test_a_job_refused_in_the_queue_is_in_no_queue(closing: tuple[Path, Outcome, Course]) -> None:
    _, outcome, course = closing
    (end,) = [f for f in frames(outcome.folder / "journal.gfj") if f.kind == "end"]
    assert not set(end.arrays["waiting.job"].tolist()) & set(course.refused)


@pytest.mark.slow
@pytest.mark.parametrize("migration", ["placement", "full"])
def test_work_that_moves_between_sites_is_closed_as_well(tmp_path: Path, migration: str) -> None:
    def change(raw: dict[str, Any]) -> None:
        everything(raw)
        raw["policy"]["migration"] = migration
        dear = {"price_times": 4.0, "price_add": "250 EUR/MWh", "carbon_times": 2.0}
        raw["sites"]["site1"]["outside"] = dear
        for project in (BUDGETED, CLOSING):  # its data take an hour to follow it
            work_of(raw, project)["data"] = "10 TB"

    # the cheap site has power from the second day on: then it is worth going there
    sites = (SmallSite((SmallPool("H100", 8),), dark_days=1), SmallSite((SmallPool("H100", 8),)))
    write_factory(tmp_path / "factory.yaml", change, sites)
    text = write_work(tmp_path / "jobs.csv", 400, 3.9, 6, 1.5).read_text("utf-8")
    (tmp_path / "jobs.csv").write_text(text.replace("B200", "H100"), "utf-8")
    outcome = run(tmp_path, 4)
    assert run_problems(outcome.folder) == []
    assert outcome.summary["jobs"]["lost"] == 0
    course = Course.of(outcome.folder)
    assert list(course.stays_closed(CLOSING, midnight(2))) == []
    assert list(course.stays_closed(OPENING, midnight(3))) == []
    ((when, _),) = course.closings(BUDGETED)
    assert list(course.stays_closed(BUDGETED, when)) == []
    (end,) = [f for f in frames(outcome.folder / "journal.gfj") if f.kind == "end"]
    assert not set(end.arrays["waiting.job"].tolist()) & set(course.refused)
    stopped = run(tmp_path, 4, progress=Stopper(2), name="stopped")
    assert resume_run(stopped.folder).summary["digest"] == outcome.summary["digest"]


def test_budgets_are_summed_up_as_the_receipts_say(closing: tuple[Path, Outcome, Course]) -> None:
    _, outcome, course = closing
    kept = json.loads((outcome.folder / "run.json").read_text("utf-8"))
    inputs = read_inputs(RunOptions(**kept["options"]), Quiet())
    told = Told(
        5, inputs.calendar, inputs.factory, inputs.catalogue, inputs.signals, inputs.table, ()
    )
    book, _, _, _ = rebuild(outcome.folder)
    (row,) = budget_rows(told, book)
    assert (row["project"], row["tenant"], row["budget_gpu_h"]) == (BUDGETED, "lab", 400.0)
    assert row["used_gpu_h"] == pytest.approx(course.used_gpu_h(BUDGETED, 10**19), abs=0.2)
    assert row["used_share"] > 1.0
    mine = [job for job in course.refused if course.project[job] == BUDGETED]
    assert row["refused_jobs"] == len(mine)


def test_what_is_stopped_after_the_closing_is_not_started_again(tmp_path: Path) -> None:
    def change(raw: dict[str, Any]) -> None:
        work_of(raw, BUDGETED)["ends"] = day(1)

    write_factory(tmp_path / "factory.yaml", change)
    write_work(tmp_path / "jobs.csv", 60, 0.9, 2, 4.0)
    dark = {
        "kind": "connection",
        "site": "site0",
        "from": f"{day(1)}T02:00",
        "until": f"{day(1)}T04:00",
        "factor": "0 %",
    }
    outcome = run(tmp_path, 2, trouble=[dark])
    assert run_problems(outcome.folder) == []
    course = Course.of(outcome.folder)
    assert list(course.stays_closed(BUDGETED, midnight(1))) == []
    stopped = [job for job, (when, _) in course.refused.items() if when > midnight(1)]
    assert stopped, "some ran when the project ended and were stopped in the dark"
    for job in stopped:
        assert course.project[job] == BUDGETED
        assert max(end for _, end, _ in course.segments[job]) <= course.refused[job][0]


# --- shares --------------------------------------------------------------------------------------


def shares(raw: dict[str, Any]) -> None:
    """Two groups with papers, one of which rolls over; a fifth of the pools is nobody's."""
    title = {"en": "A group", "nl": "Een groep"}
    raw["policy"]["quota_groups"] = [
        {"name": "reserve", "title": title, "kind": "reserved", "nominal": "50 %",
         "rollover": "month"},
        {"name": "other", "title": title, "kind": "commercial", "nominal": "30 %"},
    ]  # fmt: skip
    lab, shop = raw["tenants"]
    lab["quota"] = {"group": "reserve", "nominal": "35 %"}
    shop["quota"] = {"group": "reserve", "nominal": "15 %"}
    shown = {"document": "A paper", "issued": day(-100), "verified_by": "Somebody"}
    lab["evidence"] = [shown | {"kind": "research_organisation"}]
    shop["evidence"] = [shown | {"kind": "sme_declaration"}]


POOLS = (SmallSite((SmallPool("H100", 20), SmallPool("B200", 10))),)


@pytest.mark.slow
def test_papers_that_expire_cost_the_share_until_they_are_renewed(tmp_path: Path) -> None:
    def change(raw: dict[str, Any]) -> None:
        shares(raw)
        (paper,) = raw["tenants"][0]["evidence"]
        raw["tenants"][0]["evidence"] = [
            paper | {"expires": day(1)},
            paper | {"issued": day(2), "document": "Renewed"},
        ]

    write_factory(tmp_path / "factory.yaml", change, POOLS)
    write_work(tmp_path / "jobs.csv", 700, 2.9, 8, 8.0)
    outcome = run(tmp_path, 3)
    assert run_problems(outcome.folder) == []
    course = Course.of(outcome.folder)
    assert [t for t, _, _ in course.quota] == [midnight(1), midnight(2)]
    (_, lost, first), (_, back, second) = course.quota
    assert [c["rule"] for c in lost["changes"]] == ["share_lost", "share_lost"]
    assert [c["rule"] for c in back["changes"]] == ["share_restored", "share_restored"]
    # the root, two groups, lab and shop; 160 and 80 accelerators
    assert first["nominal"].tolist() == [[160, 80, 48, 0, 24], [80, 40, 24, 0, 8]]
    assert second["nominal"].tolist() == [[160, 80, 48, 56, 24], [80, 40, 24, 24, 8]]
    assert np.array_equal(first["nominal"], first["lend"])
    # what the summary calls promised is each day's own: two days of three
    (lab,) = (row for row in outcome.summary["shares"] if row["node"] == "lab")
    assert lab["nominal_gpu_h"] == 2 * 24 * (56 + 24)
    assert sorted(rebuild(outcome.folder)[0].promised) == [1, 2]
    waited = [
        job
        for job in course.jobs(BUDGETED)
        if course.submit_ns[job] < midnight(1)
        and min((b for b, _, _ in course.segments.get(job, [])), default=10**19) > midnight(1)
    ]
    assert waited
    told = "\n".join(explain(outcome.folder, waited[0], "nl", ZONE))
    assert "Vanaf 16 januari 2025 heeft lab geen eigen aandeel in pool" in told


def test_a_tenant_without_papers_has_no_share_from_the_first_day(tmp_path: Path) -> None:
    def change(raw: dict[str, Any]) -> None:
        shares(raw)
        raw["tenants"][0]["evidence"][0]["issued"] = day(1)

    write_factory(tmp_path / "factory.yaml", change, POOLS)
    write_work(tmp_path / "jobs.csv", 100, 1.9, 8)
    course = Course.of(run(tmp_path, 2).folder)
    ((when, told, arrays),) = course.quota
    assert when == midnight(1)
    # it hung on the pool, with nothing; it gets its own, and its group has that much less
    assert arrays["nominal"].tolist() == [[160, 24, 48, 56, 24], [80, 16, 24, 24, 8]]
    assert {c["node"] for c in (one["fields"] for one in told["changes"])} == {"reserve", "lab"}


@pytest.mark.slow
@pytest.mark.parametrize("days", [20, 50])
def test_what_a_group_left_unused_raises_its_share_for_a_month(tmp_path: Path, days: int) -> None:
    def change(raw: dict[str, Any]) -> None:
        shares(raw)
        raw["policy"]["quota_groups"][1]["nominal"] = "10 %"

    write_factory(tmp_path / "factory.yaml", change, POOLS)
    write_work(tmp_path / "jobs.csv", 300, 40, 8, 0.4)
    outcome = run(tmp_path, days)
    assert run_problems(outcome.folder) == []
    course = Course.of(outcome.folder)
    assert [t for t, _, _ in course.quota] == [midnight(17), midnight(17 + 28)][: 1 + days // 50]
    if days < 50:  # stopped on the last of January, it raises the same on the first of February
        stopped = run(tmp_path, days, progress=Stopper(17), name="stopped")
        assert resume_run(stopped.folder).summary["digest"] == outcome.summary["digest"]
    _, _, arrays = course.quota[0]
    nominal, lend = arrays["nominal"], arrays["lend"]
    summary = outcome.summary
    assert summary["jobs"]["refused"] == 0
    for pool, promised, own, rest in ((0, 160, 80, 16), (1, 80, 40, 8)):
        # by hand: what both tenants held of the pool in the 17 days of January
        held = sum(
            width * (min(end, midnight(17)) - begin) / 3.6e12
            for job, spans in course.segments.items()
            for begin, end, width in spans
            if begin < midnight(17) and pool_of(outcome.folder)[job] == pool
        )
        carried = own * 17 * 24 - held
        raised = int(carried / (28 * 24) / 8) * 8
        assert 0 < raised < promised - own - rest
        assert nominal[pool].tolist()[:3] == [promised, own + raised, rest]
        assert lend[pool, 1] == own + raised
    if days < 50:
        return
    # February left more than is promised to nobody
    _, told, arrays = course.quota[1]
    assert arrays["nominal"][:, :3].tolist() == [[160, 144, 16], [80, 72, 8]]
    assert {one["rule"] for one in told["changes"]} == {"share_raised"}


def pool_of(folder: Path) -> dict[int, int]:
    table = pq.read_table(folder / "jobs.parquet").to_pydict()
    names = ["pool00", "pool01"]
    return {job: names.index(p) for job, p in zip(table["job"], table["pool"], strict=True)}


# --- storage, nodes of one's own, classified pools -----------------------------------------------


def test_a_full_store_refuses_what_brings_data_and_nothing_else(tmp_path: Path) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["tenants"][0] |= {"storage_quota": "0.2 PB", "storage_used": "0.2 PB"}
        raw["tenants"][1] |= {"storage_quota": "0.1 PB", "storage_used": "0.05 PB"}
        raw["finance"]["storage_price"] = "10 EUR/TB-month"

    factory = load_factory(str(write_factory(tmp_path / "factory.yaml", change)))
    write_work(tmp_path / "jobs.csv", 120, 0.9, 4)
    outcome = run(tmp_path, 1)
    assert run_problems(outcome.folder) == []
    course = Course.of(outcome.folder)
    assert {course.project[job] for job in course.refused} == {CLOSING}
    assert set(course.refused) == set(course.jobs(CLOSING))
    told = explain(outcome.folder, min(course.refused), "en", ZONE)[-1]
    assert "lab stores 0.2 PB of the 0.2 PB kept for it" in told
    lab, shop = storage_rows(factory, 8766.0)
    assert (lab["full"], shop["full"], shop["free_pb"]) == (True, False, pytest.approx(0.05))
    assert lab["charged_eur"] == pytest.approx(0.2 * 10_000 * 12)


def test_a_tenant_with_nodes_of_its_own_shares_none(tmp_path: Path) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["tenants"][0]["isolation"] = "dedicated_nodes"

    write_factory(tmp_path / "factory.yaml", change)
    write_work(tmp_path / "jobs.csv", 200, 0.9, 4)
    outcome = run(tmp_path, 1)
    assert run_problems(outcome.folder) == []
    assert any("ask for whole nodes" in note for note in outcome.summary["notes"])
    rows = pq.read_table(outcome.folder / "jobs.parquet").to_pylist()
    lab, shop = ([r for r in rows if r["tenant"] == name] for name in ("lab", "shop"))
    assert {r["accelerators"] % 8 for r in lab} == {0}
    assert min(r["accelerators"] for r in shop) < 8
    assert all(r["allocated_gpu_s"] == r["gpu_s"] for r in lab), "it pays for what it keeps"


def test_a_classified_pool_takes_cleared_work_alone(tmp_path: Path) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["fleet"][1]["isolation"] = "classified"
        lab, _ = raw["tenants"]
        lab["isolation"] = "classified"
        shown = {"document": "A paper", "issued": day(-9), "verified_by": "Somebody"}
        lab["evidence"] = [shown | {"kind": "clearance"}]

    sites = (SmallSite((SmallPool("H100", 6), SmallPool("H100", 3))),)
    write_factory(tmp_path / "factory.yaml", change, sites)
    text = write_work(tmp_path / "jobs.csv", 150, 0.9, 4).read_text("utf-8")
    # a third of the work names no project, which nobody judged
    rows = text.replace("B200", "H100").splitlines()
    rows = [r if i % 3 else ",".join(["" if c == 2 else v for c, v in enumerate(r.split(","))])
            for i, r in enumerate(rows, start=-1)]  # fmt: skip
    rows[0] = text.splitlines()[0]
    (tmp_path / "jobs.csv").write_text("\n".join(rows) + "\n", "utf-8")
    outcome = run(tmp_path, 1)
    assert run_problems(outcome.folder) == []
    done = pq.read_table(outcome.folder / "jobs.parquet").to_pylist()
    assert {(r["tenant"], r["pool"]) for r in done} == {("lab", "pool01"), ("shop", "pool00")}
    assert {r["tenant"] for r in done if r["start_ns"] >= 0} == {"lab", "shop"}


def test_a_gang_too_wide_for_its_tenant_is_told_how_wide(tmp_path: Path) -> None:
    def change(raw: dict[str, Any]) -> None:
        shares(raw)
        raw["tenants"][0]["quota"]["cap"] = "40 %"

    write_factory(tmp_path / "factory.yaml", change, POOLS)
    header = "submit,tenant,project,class,accelerators,work_s,walltime_s,priority,chip"
    rows = [f"{1_700_000_000 + i},lab,{BUDGETED},research,{n},600,900,3,H100"
            for i, n in enumerate((8, 80, 80, 96))]  # fmt: skip
    (tmp_path / "jobs.csv").write_text("\n".join([header, *rows]) + "\n", "utf-8")
    outcome = run(tmp_path, 1)
    assert run_problems(outcome.folder) == []
    assert outcome.summary["jobs"]["refused_by"][0]["rule"] == "gang_over_share"
    (told,) = explain(outcome.folder, 3, "en", ZONE)
    assert "lab-research asks for 96 accelerators at once" in told
    assert "no more than 64 could ever run in pool pool00" in told
    (told,) = explain(outcome.folder, 1, "nl", ZONE)
    assert "80 accelerators tegelijk" in told
