"""Slurm hangs, dies, forgets and holds others' work; the adapter says so and mends it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gigafactory.adapters.slurm import SlurmManager
from gigafactory.adapters.slurm.metadata import Tag, write_tag
from gigafactory.adapters.slurm.restarts import WHY
from gigafactory.jobs.ports import Action, Command, Outcome, Phase, WorkOrder
from gigafactory.testing.contracts.workload import (
    accepted,
    command,
    do,
    handed_over,
    order_of,
    start,
    view,
    wait_for,
    wait_phase,
    wait_power,
)
from gigafactory.testing.jobscript import job_events, job_script, work_done_s
from gigafactory.testing.slurm import LocalCluster, settled
from tests.adapters.slurm.conftest import POOL, SlurmBench, at_once, need_slurm, slurm_settings

pytestmark = pytest.mark.slow


def elapsed_s(call: Callable[[], object]) -> float:
    before = time.monotonic()
    call()
    return time.monotonic() - before


def test_a_hung_controller_is_trouble_within_the_limit(bench: SlurmBench) -> None:
    manager = SlurmManager(
        slurm_settings(bench.cluster, read_limit_s=1.0, write_limit_s=1.0, call_limit_s=2.0)
    )
    order = order_of(bench, "while-hung")
    with handed_over(bench) as (job,):
        bench.cluster.hang_controller()
        try:
            assert elapsed_s(manager.observe) < 4.0
            seen = manager.observe()
            assert seen.jobs == ()
            assert "no answer within 1 s" in seen.trouble
            (receipt,) = manager.act([command(Action.RELEASE, job)])
            assert receipt.outcome is Outcome.UNKNOWN
            (receipt,) = manager.submit([order])
            assert receipt.outcome is Outcome.UNKNOWN
            assert manager.set_budget(3).outcome is Outcome.UNKNOWN
        finally:
            bench.cluster.wake_controller()
        seen = wait_for(bench, lambda _: True, "it does not answer again")
        assert view(seen, job).phase is Phase.HELD, "nothing was sent while it could not be seen"
        assert not any(one.key == order.key for one in seen.jobs)


def test_a_submission_without_an_answer_is_not_doubled(bench: SlurmBench) -> None:
    """The controller takes a job whose answer nobody waited for; the key is looked for."""
    order = order_of(bench, f"unheard-{time.time_ns()}")
    manager = SlurmManager(slurm_settings(bench.cluster, write_limit_s=1.0))
    look = manager._look.jobs
    seen = look()
    bench.cluster.hang_controller()
    try:
        (receipt,) = manager._submitter.submit([order], seen)
        assert receipt.outcome is Outcome.UNKNOWN
    finally:
        bench.cluster.wake_controller()
    wait_for(bench, lambda _: True, "it does not answer again")
    # Handed over twice on purpose, as when the first comes through only after the look.
    bench.manager.submit([order])
    manager._submitter.submit([order], seen)
    jobs = [one.job for one in bench.manager.observe().jobs if one.key == order.key]
    assert len(jobs) == 1, f"under one key {jobs} are shown"
    bench.manager.act(())
    left = bench.cluster.run("squeue", "-h", "-o", "%A %k")
    assert [line.split()[0] for line in left.splitlines() if order.key in line] == jobs
    assert all(end.key != order.key for end in bench.manager.observe().ended)
    do(bench, Action.CANCEL, jobs)


def a_killed_controller_forgets_and_is_told_again(bench: SlurmBench) -> None:
    with handed_over(bench, 2) as jobs:
        start(bench, jobs)
        time.sleep(7.0)  # long enough that the controller has saved that they run
        do(bench, Action.PAUSE, jobs[:1], expected_s=20.0)
        late = order_of(bench, f"late-{time.time_ns()}")
        accepted(bench.manager.submit([late])[0])
        bench.cluster.kill_controller()
        assert bench.manager.observe().trouble
        (receipt,) = bench.manager.act([command(Action.RESUME, jobs[0])])
        assert receipt.outcome is Outcome.UNKNOWN
        bench.cluster.restart_controller()
        wait_for(bench, lambda _: True, "it does not answer again")
        # Whatever it forgot, saying it again makes it so, and nothing is there twice.
        (job,) = {accepted(bench.manager.submit([late])[0]) for _ in range(2)}
        seen = bench.manager.observe()
        assert [one.job for one in seen.jobs if one.key == late.key] == [job]
        do(bench, Action.PAUSE, jobs[:1], expected_s=20.0)
        wait_phase(bench, jobs[:1], Phase.PAUSED)
        wait_power(bench, jobs[:1], drawing=False)
        (receipt,) = bench.manager.act([command(Action.RESUME, jobs[0])])
        assert receipt.reason == WHY, "nothing goes on before the nodes have said what they run"
        assert isinstance(bench.manager, SlurmManager)
        settled(bench.manager)
        do(bench, Action.RESUME, jobs[:1])
        wait_phase(bench, jobs, Phase.RUNNING)
        wait_power(bench, jobs, drawing=True)
        do(bench, Action.CANCEL, [job])


def a_start_that_slurm_forgot_leaves_no_second_process(bench: SlurmBench) -> None:
    """Killed right after a start it knows the job held; its process runs on, and is ended."""
    with handed_over(bench) as (job,):
        time.sleep(7.0)  # its state is on the disk: held
        start(bench, [job])
        bench.cluster.kill_controller()
        assert job in bench.cluster.drawing(), "its process runs on"
        bench.cluster.restart_controller()
        seen = wait_for(bench, lambda _: True, "it does not answer again")
        if view(seen, job).phase is Phase.RUNNING:
            return  # what it had written was new enough
        assert isinstance(bench.manager, SlurmManager)
        settled(bench.manager)
        time.sleep(1.0)
        assert job not in bench.cluster.drawing(), "nobody knows that process"
        start(bench, [job])


def test_a_forged_comment_stays_foreign(bench: SlurmBench) -> None:
    """Another quality of service, another user or half a tag: counted, never touched."""
    tag = Tag("stolen", "lab", "research", 7, 8, 1, 0, 60.0, POOL, 1)
    strict = SlurmManager(slurm_settings(bench.cluster, user="slurm"))
    options = ("--parsable", "--hold", "--output=/dev/null", "--gres=gpu:1", "--wrap=true")
    ours = bench.cluster.run("sbatch", f"--comment={write_tag(tag)}", *options).strip()
    odd = bench.cluster.run("sbatch", "--comment=gf1:k=a|b~c\n1|RUNNING", *options).strip()
    try:
        seen = strict.observe()
        assert {one.job for one in seen.jobs if not one.ours} >= {ours, odd}
        (receipt,) = strict.act([Command("k", Action.CANCEL, ours)])
        assert receipt.outcome is Outcome.REFUSED
        one = view(bench.manager.observe(), odd)
        assert not one.ours
        assert one.accelerators == 1
    finally:
        bench.cluster.run("scancel", ours, odd)


def a_hurried_pause_freezes_then_saves(bench: SlurmBench) -> None:
    with handed_over(bench, 2) as jobs:
        start(bench, jobs)
        bench.pass_time(3.0)
        hurried = [Command(f"h{job}", Action.PAUSE, job, within_s=3.0) for job in jobs]
        for receipt in bench.manager.act(hurried):
            accepted(receipt)
        wait_power(bench, jobs, drawing=False)
        seen = wait_phase(bench, jobs, Phase.PAUSED)
        assert all(view(seen, job).frozen for job in jobs)
        do(bench, Action.PAUSE, jobs)
        seen = wait_for(
            bench,
            lambda s: all(view(s, j).phase is Phase.PAUSED and not view(s, j).frozen for j in jobs),
            "frozen jobs did not save and give their nodes back",
        )
        assert all(view(seen, job).saved_ns for job in jobs)
        do(bench, Action.RESUME, jobs)
        wait_phase(bench, jobs, Phase.RUNNING)


def test_a_hundred_jobs_are_paused_in_one_call(cluster: LocalCluster) -> None:
    """Of one accelerator each; none loses what it did, and no accelerator is given twice."""
    bench = SlurmBench(cluster)
    manager = bench.manager
    count, stem = 100, f"many-{time.time_ns()}"
    script = job_script(cluster.checkpoints, 600.0, tick_s=1.0)
    orders = [
        WorkOrder(f"{stem}-{i}", "lab", "research", 1, 0, 3600.0, 3, script, pool=POOL)
        for i in range(count)
    ]
    jobs = [accepted(receipt) for receipt in manager.submit(orders)]
    try:
        start(bench, jobs)
        time.sleep(4.0)
        for receipt in manager.act([command(Action.PAUSE, job) for job in jobs]):
            accepted(receipt)
        wait_phase(bench, jobs, Phase.PAUSED)
        wait_power(bench, jobs, drawing=False)
        done_s = [work_done_s(cluster.checkpoints, order.key) for order in orders]
        do(bench, Action.RESUME, jobs)
        wait_phase(bench, jobs, Phase.RUNNING)
        wait_power(bench, jobs, drawing=True)
        for order, before_s in zip(orders, done_s, strict=True):
            (again,) = [e for e in job_events(cluster.checkpoints, order.key) if e.restart == 1][:1]
            assert again.work_s >= before_s - 1.5, "work was lost that had been saved"
            assert again.lost_s == 0.0
        by_device: set[tuple[str, int]] = set()
        for one in manager.closely():
            if one.state == "RUNNING":
                held = {(node, i) for node, all_of in one.devices.items() for i in all_of}
                assert not held & by_device, "an accelerator is given twice"
                by_device |= held
        assert len(by_device) == count
    finally:
        do(bench, Action.CANCEL, jobs)
        wait_for(bench, lambda s: not s.jobs, "they did not end")


def a_script_that_knows_no_signal_survives_it(bench: SlurmBench) -> None:
    order = order_of(bench, f"deaf-{time.time_ns()}")
    plain = "#!/bin/bash\nwhile true; do sleep 1; done\n"
    job = accepted(bench.manager.submit([replace(order, script=plain)])[0])
    try:
        start(bench, [job])
        bench.pass_time(3.0)
        do(bench, Action.CHECKPOINT, [job])
        bench.pass_time(1.5)
        assert view(bench.manager.observe(), job).phase is Phase.RUNNING
        do(bench, Action.PAUSE, [job])
        wait_phase(bench, [job], Phase.PAUSED)
    finally:
        do(bench, Action.CANCEL, [job])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pool": "nowhere"}, "no partition"),
        ({"script": "echo"}, "#!"),
        ({"nodes": 3}, "do not divide"),
        ({"key": "k" * 300}, "at most 200"),
        ({"nodes": 99, "accelerators": 99 * 8}, ""),
    ],
)
def test_a_bad_order_is_refused_in_words(
    bench: SlurmBench, change: dict[str, object], words: str
) -> None:
    order = replace(order_of(bench, f"bad-{time.time_ns()}"), **change)
    (receipt,) = bench.manager.submit([order])
    assert receipt.outcome is Outcome.REFUSED
    assert receipt.reason
    assert words in receipt.reason


def test_too_many_changes_at_once_are_refused_but_never_a_pause(bench: SlurmBench) -> None:
    manager = SlurmManager(slurm_settings(bench.cluster, writes_per_s=1, writes_burst=2))
    with handed_over(bench, 3) as jobs:
        first = manager.act([command(Action.SET_PRIORITY, job, priority=1) for job in jobs])
        again = manager.act([command(Action.SET_PRIORITY, job, priority=2) for job in jobs])
        assert {r.outcome for r in first} == {Outcome.ACCEPTED}
        assert {r.outcome for r in again} == {Outcome.REFUSED}
        assert {r.outcome for r in manager.act([command(Action.PAUSE, j) for j in jobs])} == {
            Outcome.ACCEPTED
        }


def a_dead_node_gives_its_job_back(bench: SlurmBench) -> None:
    with handed_over(bench) as jobs:
        node = view(start(bench, jobs), jobs[0]).nodes[0]
        bench.cluster.kill_node(node)
        try:
            wait_for(bench, lambda s: view(s, jobs[0]).restarts == 1, "it was not requeued")
        finally:
            bench.cluster.start_node(node)
        wait_for(bench, lambda s: all(n.up for n in s.nodes), "the node did not come back")


def test_what_a_call_has_no_time_for_is_handed_over_again_not_refused(bench: SlurmBench) -> None:
    manager = SlurmManager(slurm_settings(bench.cluster, call_limit_s=0.001))
    script = bench.script(5.0)
    orders = [
        WorkOrder(f"late-{i}", "lab", "research", 1, 0, 600.0, 3, script, pool=bench.pool)
        for i in range(3)
    ]
    first = [receipt.outcome for receipt in manager.submit(orders)]
    assert first == [Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.UNKNOWN]
    for _ in orders:
        last = manager.submit(orders)
    assert {receipt.outcome for receipt in last} == {Outcome.ACCEPTED}
    keys = [view.key for view in bench.manager.observe().jobs if view.key.startswith("late-")]
    assert sorted(keys) == ["late-0", "late-1", "late-2"]


def test_what_waits_for_slurm_itself(tmp_path: Path) -> None:
    """Side by side on clusters of their own, for each waits ten seconds or more and does little.

    A silent node is taken for dead sooner than by default.
    """
    need_slurm()
    waiting = (
        a_dead_node_gives_its_job_back,
        a_hurried_pause_freezes_then_saves,
        a_killed_controller_forgets_and_is_told_again,
        a_start_that_slurm_forgot_leaves_no_second_process,
        a_script_that_knows_no_signal_survives_it,
    )
    at_once(tmp_path, waiting, clusters=4, nodes=3, slurmd_timeout_s=10)
