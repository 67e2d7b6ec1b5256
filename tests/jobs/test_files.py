"""Job files: read whole or not at all, and every fault told in plain words."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.jobs import EndState, JobClass, JobTable, Level, Mission, read_jobs, read_trace
from gigafactory.jobs.tabular import ns_of

S = 1_000_000_000
NOON = 1_769_860_800 * S  # 2026-01-31T12:00Z
HEAD = "submit,accelerators,work_s\n"
KALOS = (
    "job_id,user,node_num,gpu_num,cpu_num,mem_per_pod_GB,shared_mem_per_pod,type,state,"
    "submit_time,start_time,end_time,fail_time,stop_time,duration,queue,gpu_time\n"
)
SEREN = (
    "job_id,user,node_num,gpu_num,cpu_num,type,state,submit_time,start_time,end_time,duration,"
    "queue,gpu_time\n"
)
HELIOS = (
    "job_id,user,vc,gpu_num,cpu_num,node_num,state,submit_time,start_time,end_time,duration,queue\n"
)


def written(folder: Path, text: str, name: str = "jobs.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def told(path: Path, **options: object) -> list[str]:
    with pytest.raises(BadInput) as caught:
        read_trace(path, **options)  # type: ignore[arg-type]
    return [str(problem) for problem in caught.value.problems]


def test_a_generic_file_with_every_column(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "submit,tenant,class,accelerators,work,walltime_s,priority,chip,end_state,mission\n"
        "2026-01-31T12:00:00+01:00,vu,fine_tuning,16,4 h,20000,5,H200,failed,health\n"
        "2026-01-31T10:00:00.25Z,ams,research,1,90 s,,,,,\n",
    )
    jobs = read_jobs(path)
    assert jobs.check() == []
    assert jobs.submit_ns.tolist() == [NOON - 7200 * S + S // 4, NOON - 3600 * S]
    assert [jobs.tenants[k] for k in jobs.tenant] == ["ams", "vu"]
    assert jobs.job_class.tolist() == [JobClass.RESEARCH, JobClass.FINE_TUNING]
    assert jobs.accelerators.tolist() == [1, 16]
    assert jobs.work_ns.tolist() == [90 * S, 14_400 * S]
    assert jobs.walltime_ns.tolist() == [90 * S, 20_000 * S]
    assert jobs.priority.tolist() == [3, 5]
    assert [jobs.chips[k] for k in jobs.chip] == ["H100", "H200"]
    assert jobs.end_state.tolist() == [EndState.UNKNOWN, EndState.FAILED]
    assert jobs.mission.tolist() == [Mission.NONE, Mission.HEALTH]


def test_projects_elastic_gangs_deadlines_and_levels(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "submit,accelerators,work_s,project,accelerators_min,deadline,level\n"
        "2026-01-31T12:00:00Z,16,60,wind,8,2026-01-31T14:00:00+01:00,Rack\n"
        "2026-01-31T12:00:01Z,16,60,,,,\n"
        "2026-01-31T12:00:02Z,16,60,genes,0,1769868000,pod\n"
        "2026-01-31T12:00:03Z,16,60,wind,16,,none\n",
    )
    jobs = read_jobs(path)
    assert jobs.check() == []
    assert jobs.projects == ("genes", "wind")
    assert jobs.project.tolist() == [1, -1, 0, 1]
    assert jobs.accelerators_min.tolist() == [8, 0, 0, 16]
    assert jobs.deadline_ns.tolist() == [NOON + 3600 * S, 0, 1_769_868_000 * S, 0]
    assert jobs.level.tolist() == [Level.RACK, Level.NONE, Level.POD, Level.NONE]
    moved = read_jobs(path, start_ns=7)
    assert (moved.deadline_ns[0] - moved.submit_ns[0]) == 3600 * S
    assert moved.deadline_ns[1] == 0


def test_bad_elastic_gangs_deadlines_and_levels_are_told(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "submit,accelerators,work_s,accelerators_min,deadline,level\n"
        "2026-01-31T12:00:00Z,16,60,17,2026-01-31T12:00:00Z,hall\n"
        "2026-01-31T12:00:00Z,16,60,1.5,2026-02-01T12:00:00,\n"
        "2026-01-31T12:00:00Z,16,60,-8,tomorrow,\n"
        "2026-01-31T12:00:00Z,16,60,some,,\n",
    )
    problems = "\n".join(told(path))
    for words in (
        "row 1: accelerators_min = 17: is not a whole number from 0 (a rigid job)",
        "row 1: deadline = 2026-01-31T12:00:00Z: is not after the submission",
        "row 1: level = hall: is none of none, rack, pod",
        "row 2: accelerators_min = 1.5",
        "row 2: deadline = 2026-02-01T12:00:00: has no zone",
        "row 3: accelerators_min = -8",
        "row 3: deadline = tomorrow: is no instant",
        "row 4: accelerators_min = some: is not a finite number",
    ):
        assert words in problems


@pytest.mark.parametrize(
    "submit",
    ["2026-01-31T12:00:00Z", "2026-01-31 13:00:00+01:00", "1769860800", str(NOON), "1769860800.0"],
)
def test_the_ways_to_write_an_instant(submit: str, tmp_path: Path) -> None:
    jobs = read_jobs(written(tmp_path, f"{HEAD}{submit},8,60\n"))
    assert jobs.submit_ns.tolist() == [NOON]


def test_every_bad_row_is_told_with_its_number_and_nothing_is_read(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "submit,accelerators,work,priority,class,walltime_s\n"
        "2026-01-31T12:00:00Z,8,4 h,3,research,60\n"
        "2026-01-31T12:00:00,8,4 h,3,research,60\n"
        "2026-02-31T12:00:00Z,0,4 x,3,research,60\n"
        "2026-01-31T12:00:00Z,8,4 h\n"
        "1769860800000,1.5,,9,dancing,-1\n"
        ",,4,nan,,inf\n",
    )
    problems = "\n".join(told(path))
    for words in (
        "row 2: submit = 2026-01-31T12:00:00: has no zone",
        "row 3: submit = 2026-02-31T12:00:00Z: is no day",
        "row 3: accelerators = 0: is not a whole number of at least 1",
        "row 3: work = 4 x: '4 x': the unit 'x' does not fit",
        "row 4 = 3 of 6 columns: has another number of columns",
        "row 5: submit = 1769860800000: is neither seconds",
        "row 5: accelerators = 1.5",
        "row 5: work = None: is blank",
        "row 5: priority = 9: is not one of 0 to 7",
        "row 5: class = dancing: is none of frontier_training",
        "row 5: walltime_s = -1: is not above 0",
        "row 6: submit = None: is blank",
        "row 6: accelerators = None: is blank",
        "row 6: work = 4: '4' is not a number with a unit",
        "row 6: priority = nan",
        "row 6: walltime_s = inf",
    ):
        assert words in problems
    assert "row 1:" not in problems


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    problems = told(written(tmp_path, HEAD + "2026-01-31T12:00:00Z,8,-1\n" * 5_000))
    assert len(problems) == 21
    assert "and 4,980 more" in problems[-1]


def test_unknown_columns_are_reported_and_do_no_harm(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, f"{HEAD[:-1]},colour\n1769860800,8,60,red\n"))
    assert [n.field for n in trace.notices] == ["colour"]
    assert trace.jobs.accelerators.tolist() == [8]


def test_short_work_and_limits_are_raised_and_told(tmp_path: Path) -> None:
    text = "submit,accelerators,work_s,walltime_s\n1769860800,8,0.2,5\n"
    trace = read_trace(written(tmp_path, text))
    assert trace.jobs.work_ns.tolist() == [S]
    assert trace.jobs.walltime_ns.tolist() == [60 * S]
    assert "1 row(s) shorter than 1 s" in str(trace.notices[0])
    assert "below 60 s" in str(trace.notices[1])


@pytest.mark.parametrize(
    ("content", "name", "why"),
    [
        (b"", "jobs.csv", "empty file"),
        (b"submit,accelerators,work_s\n", "jobs.csv", "no rows"),
        (b"\n1,2\n", "jobs.csv", "no header"),
        (b"submit,submit\n1,2\n", "jobs.csv", "twice"),
        (b"a,b\n1,2\n", "jobs.csv", "none of the known job files"),
        (b"submit,accelerators,work_s\n\xff\xfe,1,2\n", "jobs.csv", "UTF-8"),
        (b"not parquet at all", "jobs.parquet", "not readable as Parquet"),
        (b"PAR1 cut", "jobs.bin", "not readable as Parquet"),
        (b"plain", "jobs.csv.gz", "not a gzip file"),
        (
            gzip.compress(b"submit,accelerators,work_s\n" * 99, mtime=0)[:-9],
            "jobs.csv.gz",
            "cut short",
        ),
        (
            gzip.compress(b"x" * 999, mtime=0)[:20] + b"\0\0\0\0",
            "jobs.csv.gz",
            "cut short or damaged",
        ),
    ],
)
def test_unreadable_files_are_told_in_plain_words(
    content: bytes, name: str, why: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    (problem,) = told(path)
    assert why in problem
    assert "Traceback" not in problem


def test_an_absent_file_and_an_unknown_format(tmp_path: Path) -> None:
    assert "no such file" in told(tmp_path / "none.csv")[0]
    path = written(tmp_path, f"{HEAD}1769860800,8,60\n")
    assert "no known format" in told(path, format="slurm")[0]
    assert "also needs the columns: timestamp" in told(path, format="philly")[0]


def test_truncated_parquet_is_told(tmp_path: Path) -> None:
    path = tmp_path / "jobs.parquet"
    table = {"submit": [NOON] * 999, "accelerators": [8] * 999, "work_s": [60.0] * 999}
    pq.write_table(pa.table(table), path)
    assert len(read_jobs(path)) == 999
    path.write_bytes(path.read_bytes()[:-50])
    assert "cut short" in told(path)[0]


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"submit": [[1], [2]]}, "lists or bytes"),
        ({"submit": [b"a", b"b"]}, "lists or bytes"),
        ({"submit": [True, False]}, "no instant"),
        ({"submit": [None, None]}, "row 2: submit = None: is blank"),
        ({"submit": pa.array([2**40, 0], pa.timestamp("s"))}, "outside the years"),
        ({"submit": [10**10, 0]}, "neither seconds"),
        ({"accelerators": ["8", "eight"]}, "row 2: accelerators = eight: is not a finite number"),
        ({"accelerators": [3 * 10**9, 1]}, "not a whole number"),
        ({"work_s": [float("inf"), -float("nan")]}, "not a finite number"),
        ({"work_s": [1e12, 1.0]}, "longer than two years"),
    ],
)
def test_strange_columns_are_told(columns: dict[str, object], why: str, tmp_path: Path) -> None:
    path = tmp_path / "jobs.parquet"
    sound = {"submit": [NOON, NOON], "accelerators": [8, 8], "work_s": [60.0, 60.0]}
    pq.write_table(pa.table(sound | columns), path)
    assert why in "\n".join(told(path))


def test_gzip_semicolons_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv.gz"
    text = "\ufeffsubmit;accelerators;work_s\n1769860800;8;60\n"
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    assert read_jobs(path).submit_ns.tolist() == [NOON]


def test_start_moves_the_first_job_and_keeps_the_gaps(tmp_path: Path) -> None:
    path = written(tmp_path, f"{HEAD}1769860860,8,60\n1769860800,4,60\n")
    jobs = read_jobs(path, start_ns=5)
    assert jobs.submit_ns.tolist() == [5, 5 + 60 * S]
    assert jobs.accelerators.tolist() == [4, 8]


def test_kalos_queueing_is_taken_off_the_work(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        KALOS + "j1,u1,8,64,960,1000,100.0,Other,FAILED,2023-05-17 11:00:58+00:00,"
        "2023-05-17 11:01:08+00:00,2023-05-17 11:01:16+00:00,,,18,10.0,1152.0\n"
        "j2,u2,8,64,960,1000,100.0,Pretrain,CANCELLED,2023-05-17 11:28:42+00:00,"
        "2023-05-17 11:28:54+00:00,2023-05-17 11:30:04+00:00,,,82,12.0,5248.0\n"
        "j3,u2,1,0,8,1000,100.0,Other,COMPLETED,2023-05-17 11:28:42+00:00,,,,,,,\n"
        "j4,u2,1,8,8,1000,100.0,Eval,CANCELLED,2023-05-17 11:28:42+00:00,,,,,,,\n",
    )
    trace = read_trace(path)
    assert (trace.layout, trace.accelerators) == ("acme", 2416)
    assert trace.jobs.work_ns.tolist() == [8 * S, 70 * S]
    assert trace.jobs.end_state.tolist() == [EndState.FAILED, EndState.CANCELLED]
    assert trace.jobs.job_class.tolist() == [JobClass.RESEARCH, JobClass.FRONTIER_TRAINING]
    told_of = "\n".join(map(str, trace.notices))
    assert "2 row(s) differ from end minus start" in told_of
    assert "1 row(s) ask for no accelerator" in told_of
    assert "1 row(s) never ran" in told_of


def test_seren_is_read_with_its_zone_and_types(tmp_path: Path) -> None:
    row = "5778432,u5907,1,8,128,SFT,COMPLETED,2023-03-01 00:18:22+08:00,"
    row += "2023-03-01 00:18:54+08:00,2023-03-01 00:20:51+08:00,117,32,936.0\n"
    trace = read_trace(written(tmp_path, SEREN + row))
    assert trace.accelerators == 2288
    assert trace.jobs.submit_ns[0] == ns_of("2023-02-28T16:18:22Z")
    assert trace.jobs.job_class.tolist() == [JobClass.FINE_TUNING]
    assert trace.jobs.work_ns.tolist() == [117 * S]
    assert trace.jobs.tenants == ("u5907",)


def test_helios_has_virtual_clusters_and_no_zone(tmp_path: Path) -> None:
    rows = "".join(
        f"{k},u,vc{k},{gpus},1,1,{state},2020-06-09 18:41:01,2020-06-09 18:41:01,"
        f"2020-06-09 18:45:10,249,0\n"
        for k, (gpus, state) in enumerate(
            [(1, "COMPLETED"), (64, "NODE_FAIL"), (8, "TIMEOUT"), (8, "SUSPENDED")]
        )
    )
    trace = read_trace(written(tmp_path, HELIOS + rows))
    assert trace.layout == "helios"
    assert trace.jobs.tenants == ("vc0", "vc1", "vc2", "vc3")
    assert trace.jobs.end_state.tolist() == [1, 3, 3, 0]
    assert trace.jobs.job_class.tolist() == [1, 0, 1, 1]
    told_of = "\n".join(map(str, trace.notices))
    assert "read as UTC" in told_of
    assert "1 row(s) of no known end" in told_of
    assert "64 accelerators and more" in told_of


rows_given = st.lists(
    st.tuples(
        st.integers(0, 4 * 10**9),
        st.integers(1, 10**6),
        st.integers(1, 730 * 86_400),
        st.integers(60, 10**8),
        st.integers(0, 7),
        st.sampled_from(["a", "b", 'Ærø, "x"']),
        st.sampled_from(list(JobClass)),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=30)
@given(rows_given, st.sampled_from(["csv", "parquet"]))
def test_what_is_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[object, ...]], kind: str
) -> None:
    names = ("submit", "accelerators", "work_s", "walltime_s", "priority", "tenant", "class")
    columns = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    columns["class"] = [c.label for c in columns["class"]]  # type: ignore[attr-defined]
    path = tmp_path_factory.mktemp("jobs") / f"jobs.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table(columns), path)
    else:
        pa.csv.write_csv(pa.table(columns), path)
    jobs = read_jobs(path)
    assert jobs.check() == []
    tenants = sorted(set(columns["tenant"]))  # type: ignore[type-var]
    wanted = JobTable.of(
        submit_ns=np.array(columns["submit"]) * S,
        accelerators=np.array(columns["accelerators"]),
        work_ns=np.array(columns["work_s"]) * S,
        walltime_ns=np.array(columns["walltime_s"]) * S,
        priority=np.array(columns["priority"]),
        tenant=np.array([tenants.index(t) for t in columns["tenant"]]),
        job_class=np.array([int(row[6]) for row in rows]),  # type: ignore[call-overload]
        tenants=tenants,  # type: ignore[arg-type]
        chips=("H100",),
        origin=f"job file {path.name}",
        state="measured",
    )
    assert jobs.equals(wanted)


@pytest.mark.data
def test_all_of_philly_is_read(data_dir: Path) -> None:
    trace = read_trace(data_dir / "compute" / "philly_jobs.parquet")
    jobs = trace.jobs
    assert trace.layout == "philly"
    assert len(jobs) == 82_247
    assert jobs.check() == []
    assert len(jobs.tenants) == 15
    assert set(jobs.end_state.tolist()) == {EndState.UNKNOWN}
    assert jobs.gpu_seconds().sum() / 3600 == pytest.approx(978_078, rel=1e-6)
    assert int(jobs.work_ns.min()) >= S
    assert int(jobs.submit_ns[0]) == ns_of("2017-09-04T10:30:41Z")
    assert "virtual clusters" in "\n".join(map(str, trace.notices))
