"""The job table: sorted, checked, joined without losing a job or a name."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.jobs import EndState, JobClass, JobTable, Level, Mission

S = 1_000_000_000


def table(submit: list[int], *, tenants: tuple[str, ...] = ("a",), **columns: object) -> JobTable:
    given_columns = {"accelerators": 1, "work_ns": 100 * S, **columns}
    return JobTable.of(
        submit_ns=np.array(submit, dtype=np.int64),
        tenants=tenants,
        chips=("H100",),
        **given_columns,
    )


def test_jobs_are_sorted_and_ties_keep_their_order() -> None:
    jobs = table([5, 3, 5, 3], accelerators=[1, 2, 3, 4])
    assert jobs.submit_ns.tolist() == [3, 3, 5, 5]
    assert jobs.accelerators.tolist() == [2, 4, 1, 3]
    assert jobs.check() == []


def test_left_out_columns_have_the_documented_values() -> None:
    jobs = table([0])
    assert jobs.job_class[0] == JobClass.RESEARCH
    assert jobs.priority[0] == 3
    assert jobs.end_state[0] == EndState.UNKNOWN
    assert jobs.mission[0] == Mission.NONE
    assert jobs.service[0] == -1
    assert not jobs.timed[0]
    assert jobs.walltime_ns[0] == 100 * S
    assert jobs.project[0] == -1
    assert jobs.accelerators_min[0] == 0
    assert jobs.deadline_ns[0] == 0
    assert jobs.level[0] == Level.NONE
    assert jobs.projects == ()


def test_columns_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        table([0]).accelerators[0] = 7


def test_the_four_kinds_and_their_labels() -> None:
    assert [c.label for c in JobClass][3:] == ["inference_batch", "inference_realtime"]
    assert sorted({c.kind for c in JobClass}) == [
        "fine_tuning",
        "frontier_training",
        "inference",
        "research",
    ]


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("accelerators", 0, "at least 1 accelerator"),
        ("work_ns", 0, "at least 1 s"),
        ("walltime_ns", 59 * S, "at least 60 s"),
        ("priority", 8, "0..7"),
        ("tenant", 1, "no tenant"),
        ("job_class", 5, "no job class"),
        ("end_state", 4, "no end state"),
        ("mission", 6, "no mission"),
        ("chip", 1, "no chip"),
        ("service", 0, "no service"),
        ("timed", True, "names its service"),
        ("project", 0, "no project"),
        ("accelerators_min", 2, "at most its accelerators"),
        ("accelerators_min", -1, "0 (rigid) or more"),
        ("deadline_ns", -S, "0 for none"),
        ("level", 3, "no level"),
    ],
)
def test_each_wrong_column_is_told_with_its_row(name: str, value: object, why: str) -> None:
    (problem,) = table([0, 1], **{name: value}).check()
    assert why in problem.why
    assert "1 more" in problem.why
    assert problem.field.endswith("[0]")


def test_a_deadline_lies_after_its_submission() -> None:
    jobs = table([5, 5, 5], deadline_ns=[0, 6, 5])
    (problem,) = jobs.check()
    assert problem.field == "deadline_ns[2]"
    assert "after the submission" in problem.why


def test_unsorted_and_uneven_tables_are_told() -> None:
    jobs = table([1, 2])
    unsorted = dataclasses.replace(jobs, submit_ns=jobs.submit_ns[::-1])
    assert "before the job above" in unsorted.check()[0].why
    uneven = dataclasses.replace(jobs, priority=jobs.priority[:1])
    assert [p.field for p in uneven.check()] == ["priority"]


def who_and_when(jobs: JobTable) -> list[tuple[int, str]]:
    tenants = (jobs.tenants[k] for k in jobs.tenant)
    return sorted(zip(jobs.submit_ns.tolist(), tenants, strict=True))


names = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True)


@given(st.lists(st.tuples(names, st.lists(st.integers(0, 50), max_size=8)), min_size=1, max_size=4))
def test_joining_keeps_every_job_and_its_tenant(parts: list[tuple[list[str], list[int]]]) -> None:
    tables = [
        table(submit, tenants=tuple(ts), tenant=[i % len(ts) for i in range(len(submit))])
        for ts, submit in parts
    ]
    joined = JobTable.concatenate(tables)
    assert joined.check() == []
    assert sorted(pair for t in tables for pair in who_and_when(t)) == who_and_when(joined)


def test_joining_weakens_the_state_and_unites_the_words() -> None:
    real = dataclasses.replace(table([0]), state="measured", origin="a trace", scaling=("x",))
    made = dataclasses.replace(table([1]), state="synthetic", origin="made", scaling=("x", "y"))
    both = JobTable.concatenate([real, made])
    assert (both.state, both.origin, both.scaling) == ("synthetic", "a trace; made", ("x", "y"))


def test_joining_unites_the_projects_and_keeps_what_has_none() -> None:
    one = dataclasses.replace(table([0, 1], project=[0, -1]), projects=("p",))
    two = dataclasses.replace(table([2, 3], project=[1, 0], level=2), projects=("q", "p"))
    both = JobTable.concatenate([one, two])
    assert both.projects == ("p", "q")
    assert both.project.tolist() == [0, -1, 0, 1]
    assert both.project.dtype == np.int16
    assert both.level.tolist() == [0, 0, 2, 2]
    assert both.take(np.array([3, 1])).projects == ("p", "q")
    assert both.take(np.array([3, 1])).project.tolist() == [-1, 1]
    assert both.check() == []


def test_take_and_equals() -> None:
    jobs = table([1, 2, 3], accelerators=[1, 2, 3])
    assert jobs.take(np.array([2, 0])).accelerators.tolist() == [1, 3]
    assert jobs.equals(jobs.take(np.arange(3)))
    assert not jobs.equals(jobs.take(np.array([True, True, False])))
    assert jobs.gpu_seconds().tolist() == [100.0, 200.0, 300.0]
