"""What each command comes to in Slurm's words, without a cluster."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gigafactory.adapters.slurm.actions import Scene, in_order, move_on, plan
from gigafactory.adapters.slurm.metadata import Tag, read_tag
from gigafactory.adapters.slurm.settings import SlurmSettings
from gigafactory.adapters.slurm.text import JobRow
from gigafactory.adapters.slurm.views import Ours, Saved
from gigafactory.jobs.ports import Action, Command
from gigafactory.units import NS_PER_S

NOW_S = 1_795_867_100
SETTINGS = SlurmSettings(
    user="gf", partitions={"p": "main"}, kw_per_accelerator={"p": 1.2}, chunk_jobs=2
)


def job(number: int, state: str = "RUNNING", place: int = 9, **tag: object) -> Ours:
    row = JobRow(
        *(str(number), state, "gf", "", "main", 8, 3600.0, 0, (NOW_S - 60) * NS_PER_S, None),
        *(place, "n1", "power_kw:10", 0, 0, "", ""),
    )
    made = Tag(f"k{number}", "lab", "research", 3, 8, 1, 0, 3600.0, "p", 1)
    return Ours(row, replace(made, **tag))


def scene(*jobs: Ours, saved: dict[str, Saved] | None = None, later_s: float = 0.0) -> Scene:
    now_ns = round((NOW_S + later_s) * NS_PER_S)
    return Scene({one.job: one for one in jobs}, saved or {}, now_ns, SETTINGS)


def commands(action: Action, *jobs: Ours, **more: object) -> list[Command]:
    return [Command(f"k{one.job}", action, one.job, **more) for one in jobs]


def verbs(lines: list[str]) -> list[str]:
    return [line.split(" Comment=")[0] for line in lines]


def test_licences_fall_before_a_job_is_suspended_in_chunks() -> None:
    jobs = [job(i) for i in (1, 2, 3)]
    made = plan(commands(Action.PAUSE, *jobs, expected_s=5.0), scene(*jobs))
    assert made.lines == [
        "update JobId=1,2 Licenses=power_kw:0",
        "suspend 1,2",
        "update JobId=3 Licenses=power_kw:0",
        "suspend 3",
    ]
    assert made.signals == []


def test_a_long_pause_signals_first_and_takes_nodes_once_saved_or_late() -> None:
    one = job(1)
    made = plan(commands(Action.PAUSE, one), scene(one))
    assert made.signals == ["1"]
    assert verbs(made.lines) == ["update JobId=1"]
    tag = read_tag(made.lines[0].split("Comment=")[1])
    assert tag is not None
    assert tag.pause_ns == NOW_S * NS_PER_S
    waiting = Ours(one.row, tag)
    assert not plan(commands(Action.PAUSE, waiting), scene(waiting, later_s=2.0)), "told twice"
    assert not move_on(scene(waiting, later_s=9.0))
    assert move_on(scene(waiting, later_s=10.0)).lines == ["requeuehold 1"]
    early = {"k1": Saved((NOW_S - 1) * NS_PER_S)}
    assert not move_on(scene(waiting, saved=early, later_s=2.0)), "an older save is no answer"
    answered = {"k1": Saved((NOW_S + 1) * NS_PER_S)}
    assert move_on(scene(waiting, saved=answered, later_s=2.0)).lines == ["requeuehold 1"]
    assert not move_on(scene(waiting, later_s=10.0), told={"1"}), "it is told something else"


@pytest.mark.parametrize(
    ("within_s", "frozen"), [(0.0, False), (5.0, True), (12.0, True), (14.0, False)]
)
def test_a_hurry_freezes_what_cannot_save_in_time(within_s: float, frozen: bool) -> None:
    one = job(1)
    made = plan(commands(Action.PAUSE, one, within_s=within_s), scene(one))
    assert ("suspend 1" in made.lines) is frozen


def test_a_young_job_is_not_signalled() -> None:
    one = job(1)
    young = Ours(replace(one.row, start_ns=(NOW_S - 1) * NS_PER_S), one.tag)
    made = plan(commands(Action.PAUSE, young), scene(young))
    assert made.signals == []
    assert made.lines[-1] == "requeuehold 1"


def test_a_frozen_job_goes_on_before_its_licences_rise() -> None:
    one = job(1, "SUSPENDED")
    made = plan(commands(Action.RESUME, one), scene(one))
    assert made.lines == ["resume 1", "update JobId=1 Licenses=power_kw:10"]


def test_only_so_many_frozen_jobs_save_together() -> None:
    jobs = [job(i, "SUSPENDED") for i in range(1, 12)]
    made = plan(commands(Action.PAUSE, *jobs), scene(*jobs))
    assert len(made.signals) == SETTINGS.saves_at_once


def test_a_job_left_without_licences_gets_them_again() -> None:
    one = job(1)
    short = Ours(replace(one.row, licences="power_kw:0"), one.tag)
    assert move_on(scene(short)).lines == ["update JobId=1 Licenses=power_kw:10"]
    assert not move_on(scene(one))


def test_order_is_told_only_where_slurm_does_not_keep_it() -> None:
    kept = [job(1, "PENDING", 90), job(2, "PENDING", 80)]
    assert not in_order(["1", "2"], set(), scene(*kept))
    assert not in_order(["1", "2"], {"7"}, scene(*kept, job(7, "PENDING", 95)))
    lines = in_order(["2", "1"], set(), scene(*kept)).lines
    assert [line.split(" Priority=")[0] for line in lines] == ["update JobId=2", "update JobId=1"]
    places = [int(line.split("=")[-1]) for line in lines]
    assert places[0] > places[1]
    behind = in_order(["1"], {"7"}, scene(kept[0], job(7, "PENDING", 50)))
    assert int(behind.lines[0].split("=")[-1]) < 50


def test_a_priority_finds_its_place_between_others() -> None:
    high, low = job(1, "PENDING", 9000, priority=5), job(2, "PENDING", 5000, priority=1)
    one = job(3, "PENDING", 100, priority=0)
    made = plan(commands(Action.SET_PRIORITY, one, priority=3), scene(high, low, one))
    assert 5000 < int(made.lines[-1].split("Priority=")[1]) < 9000
    held = job(4, "PENDING", 0)
    made = plan(commands(Action.SET_PRIORITY, held, priority=7), scene(held))
    assert not any("Priority=" in line for line in made.lines), "it would be refused"
