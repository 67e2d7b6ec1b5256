"""The files of a measured event are read whole, or every fault in them is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.jobs.fieldtrial import JOBS, POWER, SWEEP, read_field_trial

SWEPT = """Workload,GPU power cap,throughput,total GPU power,normalized throughput,power per GPU
train,400,2.0,1600,1.0,400
train,100,0.5,400,0.25,100
other,400,2.0,800,1.0,400
other,100,0.5,200,0.25,100
"""
RAN = """Model,Performance,Flexibility
train-abcd1234 ,0.9,Flex 2
train-zzzz9999,0.6,Flex 3
Weighted Performance,0.78,
"""
DREW = """timestamp,total
2025-05-04 16:29:00-07:00,3000
2025-05-04 16:30:00-07:00,2000
2025-05-04 16:31:00-07:00,2100
"""


def folder(at: Path, sweep: str = SWEPT, jobs: str = RAN, power: str = DREW) -> Path:
    for name, text in ((SWEEP, sweep), (JOBS, jobs), (POWER, power)):
        (at / name).write_text(text, "utf-8")
    return at


def test_jobs_find_their_curve_by_the_name_before_the_run(tmp_path: Path) -> None:
    trial = read_field_trial(folder(tmp_path))
    assert [job.name for job in trial.jobs] == ["train-abcd1234", "train-zzzz9999"]
    assert [job.tolerance for job in trial.jobs] == [0.25, 0.5]
    assert trial.jobs[0].workload == "train"
    assert trial.jobs[0].curve.accelerators == 4
    assert trial.jobs[0].curve.power_w == (100.0, 400.0)
    assert trial.jobs[0].curve.speed == (0.25, 1.0)
    assert trial.performance_share == 0.78


def test_power_is_found_by_the_local_clock(tmp_path: Path) -> None:
    trial = read_field_trial(folder(tmp_path))
    assert trial.between("16:30", "16:31").tolist() == [2.0, 2.1]
    with pytest.raises(ValueError, match="does not hold"):
        trial.between("16:30", "16:40")


def test_every_problem_of_all_files_is_told_at_once(tmp_path: Path) -> None:
    at = folder(
        tmp_path,
        sweep=SWEPT.replace("other,100,0.5,200", "other,100,-0.5,250"),
        jobs=RAN.replace("Flex 3", "Flex 9").replace("abcd1234", "abc"),
        power=DREW.replace("16:31", "16:33").replace("3000", "much"),
    )
    with pytest.raises(BadInput) as told:
        read_field_trial(at)
    fields = {(p.where.split(",")[0], p.field) for p in told.value.problems}
    assert fields == {
        (SWEEP, "throughput"),
        (SWEEP, "total gpu power"),
        (JOBS, "flexibility"),
        (JOBS, "model"),
        (POWER, "timestamp"),
        (POWER, "total"),
    }


def test_a_job_without_a_curve_and_absent_files_are_told(tmp_path: Path) -> None:
    at = folder(tmp_path, jobs=RAN.replace("train-zzzz", "prune-zzzz"))
    with pytest.raises(BadInput, match="has no curve"):
        read_field_trial(at)
    (at / SWEEP).unlink()
    (at / POWER).unlink()
    with pytest.raises(BadInput) as told:
        read_field_trial(at)
    assert len(told.value.problems) == 2


@pytest.mark.parametrize("name", [SWEEP, JOBS, POWER])
def test_a_file_with_other_columns_is_refused(tmp_path: Path, name: str) -> None:
    (folder(tmp_path) / name).write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(BadInput, match="also needs the columns"):
        read_field_trial(tmp_path)


@pytest.mark.data
def test_the_event_in_phoenix(data_dir: Path) -> None:
    at = data_dir / "emerald"
    if not at.is_dir():
        pytest.skip("the data hold no folder emerald")
    trial = read_field_trial(at)
    assert [job.curve.accelerators for job in trial.jobs] == [32, 32, 48, 48, 48, 48]
    assert [job.tolerance for job in trial.jobs] == [0.25, 0.5, 0.1, 0.25, 0.5, 0.5]
    assert trial.between("14:40", "15:59").mean() == pytest.approx(93.34, abs=0.01)
    held = trial.between("16:30", "19:29")
    assert len(held) == 180
    assert held.mean() == pytest.approx(63.88, abs=0.01)
    assert np.all(held <= 0.75 * 93.34)
