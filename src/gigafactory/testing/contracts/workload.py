"""What every `jobs.WorkloadManager` must do, as checks to run on each: a real Slurm, the twin.

::

    for check in CHECKS:
        check(bench)          # a WorkloadBench; raises AssertionError in words

Each check submits its own work under keys of its own and takes it away again, so that checks may
share one bench in any order. Effects that take time are waited for, `patience_s` at most, with
`act(())` called as a loop calls it: every tick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from gigafactory.jobs.ports import (
    Action,
    Command,
    EndedView,
    Ending,
    JobView,
    NodeAction,
    NodeCommand,
    NodeView,
    Outcome,
    Phase,
    Receipt,
    WorkloadManager,
    WorkloadSnapshot,
    WorkOrder,
)

_LONG_S = 600.0
_TICK_S = 0.25


class WorkloadBench(Protocol):
    """An adapter under test and what surrounds it.

    Attributes:
        manager: the adapter.
        pool: a pool that work may be bound to.
        node_size: accelerators of each of its nodes.
        node_count: nodes it has; at least four, all free between checks.
        patience_s: how long an effect may take to be seen, s.
        kw_per_node: what a busy node takes of the power budget, kW.
        budget_kw: a budget in which everything may run, kW.
    """

    manager: WorkloadManager
    pool: str
    node_size: int
    node_count: int
    patience_s: float
    kw_per_node: int
    budget_kw: int

    def script(self, work_s: float) -> str:
        """A script that works for so long, saves on signal and goes on from what it saved."""
        ...

    def pass_time(self, seconds: float) -> None:
        """Let time go by: sleep, or turn the clock."""
        ...

    def foreign(self) -> str:
        """Hand a job of one node to the manager past the adapter; returns its name there."""
        ...

    def remove_foreign(self, job: str) -> None:
        """Take away what `foreign` handed over."""
        ...

    def drawing(self) -> frozenset[str]:
        """Jobs whose work takes power now, found without the adapter."""
        ...


Check = Callable[[WorkloadBench], None]

_count = iter(range(1_000_000_000))


# --- what the checks are made of ----------------------------------------------------------------


def order_of(
    bench: WorkloadBench, key: str, *, nodes: int = 1, work_s: float = _LONG_S, priority: int = 3
) -> WorkOrder:
    """An order for whole nodes, under a key of its own."""
    return WorkOrder(
        key=key,
        tenant="contract",
        job_class="research",
        accelerators=nodes * bench.node_size,
        nodes=nodes,
        walltime_s=3600.0,
        priority=priority,
        script=bench.script(work_s),
        name=f"contract {key}",
        pool=bench.pool,
    )


@contextmanager
def handed_over(bench: WorkloadBench, count: int = 1, **asks: float) -> Iterator[list[str]]:
    """Jobs handed over and held; taken away at the end. Gives their names."""
    stem = f"c{next(_count)}-{bench.manager.observe().at_ns}"
    orders = [
        order_of(
            bench,
            f"{stem}-{i}",
            nodes=int(asks.get("nodes", 1)),
            work_s=asks.get("work_s", _LONG_S),
            priority=int(asks.get("priority", 3)),
        )
        for i in range(count)
    ]
    jobs = [accepted(r) for r in bench.manager.submit(orders)]
    try:
        yield jobs
    finally:
        bench.manager.act([command(Action.CANCEL, job) for job in jobs])
        wait_for(
            bench,
            lambda seen: not {view.job for view in seen.jobs} & set(jobs),
            "jobs that were cancelled did not end",
        )


def command(
    action: Action,
    job: str,
    *,
    key: str = "",
    priority: int | None = None,
    expected_s: float = 0.0,
) -> Command:
    """A command under a key of its own unless one is given."""
    made = key or f"k{next(_count)}-{action}-{job}"
    return Command(made, action, job, priority=priority, expected_s=expected_s)


def accepted(receipt: Receipt) -> str:
    """The words of an accepted receipt; AssertionError for any other."""
    assert receipt.outcome is Outcome.ACCEPTED, f"was to be accepted: {receipt}"
    return receipt.reason


def do(bench: WorkloadBench, action: Action, jobs: Iterable[str], expected_s: float = 0.0) -> None:
    """Send one command per job; all must be accepted."""
    commands = [command(action, job, expected_s=expected_s) for job in jobs]
    for receipt in bench.manager.act(commands):
        accepted(receipt)


def wait_for(
    bench: WorkloadBench, true: Callable[[WorkloadSnapshot], bool], otherwise: str
) -> WorkloadSnapshot:
    """Look every tick until something is so; AssertionError once patience is over."""
    waited_s = 0.0
    while True:
        seen = bench.manager.observe()
        if not seen.trouble and true(seen):
            return seen
        assert waited_s < bench.patience_s, f"{otherwise}; seen: {seen}"
        bench.pass_time(_TICK_S)
        bench.manager.act(())
        waited_s += _TICK_S


def view(seen: WorkloadSnapshot, job: str) -> JobView:
    """A job of a snapshot; AssertionError where it is not in it."""
    found = [one for one in seen.jobs if one.job == job]
    assert len(found) == 1, f"job {job} is seen {len(found)} times, not once"
    return found[0]


def ended(seen: WorkloadSnapshot, job: str) -> EndedView:
    """A job of a snapshot that has ended; AssertionError where it is not in it."""
    found = [one for one in seen.ended if one.job == job]
    assert len(found) == 1, f"ended job {job} is seen {len(found)} times, not once"
    return found[0]


def wait_phase(bench: WorkloadBench, jobs: Sequence[str], phase: Phase) -> WorkloadSnapshot:
    """Wait until all of some jobs are in a phase."""
    return wait_for(
        bench,
        lambda seen: all(
            any(one.job == job and one.phase is phase for one in seen.jobs) for job in jobs
        ),
        f"jobs {jobs} did not come to be {phase}",
    )


def wait_power(bench: WorkloadBench, jobs: Sequence[str], *, drawing: bool) -> None:
    """Wait until all of some jobs take power, or none does, found without the adapter."""
    wait_for(
        bench,
        lambda _: (set(jobs) <= bench.drawing()) if drawing else not set(jobs) & bench.drawing(),
        f"jobs {jobs} {'take no' if drawing else 'still take'} power",
    )


def start(bench: WorkloadBench, jobs: Sequence[str]) -> WorkloadSnapshot:
    """Release jobs and wait until they run and take power."""
    do(bench, Action.RELEASE, jobs)
    seen = wait_phase(bench, jobs, Phase.RUNNING)
    wait_power(bench, jobs, drawing=True)
    return seen


# --- the checks ---------------------------------------------------------------------------------


def held_at_submission(bench: WorkloadBench) -> None:
    """A job handed over does not start before it is released, and carries what it asked."""
    with handed_over(bench, priority=5, nodes=2) as (job,):
        bench.pass_time(2.0)
        one = view(bench.manager.observe(), job)
        assert one.phase is Phase.HELD, f"a job handed over is held, not {one.phase}"
        assert one.ours, "a job handed over by us is ours"
        asked = (one.tenant, one.job_class, one.accelerators, one.nodes_asked, one.priority)
        wanted = ("contract", "research", 2 * bench.node_size, 2, 5)
        assert asked == wanted, f"it asks {asked}, not {wanted}"
        assert one.pool == bench.pool, f"its pool is {one.pool!r}, not {bench.pool!r}"
        assert one.walltime_s == 3600.0, f"its limit is {one.walltime_s} s, not 3600 s"
        assert one.start_ns is None, "it has not started"
        assert job not in bench.drawing(), "a held job takes power"


def submitted_once(bench: WorkloadBench) -> None:
    """The same key handed over again, in one call or in two, makes no second job."""
    key = f"once-{bench.manager.observe().at_ns}"
    order = order_of(bench, key)
    receipts = bench.manager.submit([order, order])
    again = bench.manager.submit([order])
    jobs = {accepted(r) for r in (*receipts, *again)}
    try:
        assert len(jobs) == 1, f"one key made the jobs {sorted(jobs)}"
        found = [one.job for one in bench.manager.observe().jobs if one.key == key]
        assert found == list(jobs), f"the manager has {found} under one key"
    finally:
        bench.manager.act([command(Action.CANCEL, job) for job in jobs])
    wait_for(bench, lambda seen: not any(o.key == key for o in seen.jobs), "it did not end")
    after = accepted(bench.manager.submit([order])[0])
    assert {after} == jobs, "a key whose job has ended was handed over again"


def released_runs(bench: WorkloadBench) -> None:
    """A released job runs on as many nodes as it asked, and ends by itself."""
    with handed_over(bench, nodes=2, work_s=3.0) as (job,):
        seen = start(bench, [job])
        one = view(seen, job)
        assert len(one.nodes) == 2, f"it asked two nodes and has {one.nodes}"
        assert one.start_ns is not None, "a running job has started"
        assert one.start_ns <= seen.at_ns, "it started in the future"
        seen = wait_for(bench, lambda s: any(e.job == job for e in s.ended), "it did not end")
        end = ended(seen, job)
        assert end.ending is Ending.COMPLETED, f"it completed, and is said to be {end.ending}"
        assert end.exit_code == 0, f"its exit code was 0, not {end.exit_code}"
        assert end.start_ns is not None, "it ran"
        assert end.end_ns >= end.start_ns, "it ended before it started"


def starts_in_order(bench: WorkloadBench) -> None:
    """Of jobs released together that do not fit together, the first released start first."""
    with handed_over(bench, 4, nodes=bench.node_count, work_s=1.0) as jobs:
        order = [jobs[2], jobs[0], jobs[3], jobs[1]]
        do(bench, Action.RELEASE, order)
        seen = wait_for(
            bench,
            lambda s: {e.job for e in s.ended} >= set(jobs),
            "jobs released together did not all end",
        )
        started = sorted(jobs, key=lambda job: ended(seen, job).start_ns or 0)
        assert started == order, f"released in the order {order}, started in the order {started}"


def paused_saves_and_resumes(bench: WorkloadBench) -> None:
    """A paused job takes no power and gives its nodes back; resumed, it keeps what it ran."""
    with handed_over(bench, 2) as jobs:
        start(bench, jobs)
        bench.pass_time(4.0)
        do(bench, Action.PAUSE, jobs)
        do(bench, Action.PAUSE, jobs)  # again, while it is on its way
        seen = wait_phase(bench, jobs, Phase.PAUSED)
        wait_power(bench, jobs, drawing=False)
        for job in jobs:
            one = view(seen, job)
            assert not one.frozen, "a long pause saves the job; it is not frozen"
            assert len(one.nodes) == 1, f"it had one node, not {one.nodes}"
            assert one.ran_s > 2.0, f"it ran some four seconds and kept {one.ran_s} s"
        bench.pass_time(2.0)
        wait_phase(bench, jobs, Phase.PAUSED)
        kept = {job: view(seen, job).ran_s for job in jobs}
        do(bench, Action.RESUME, jobs)
        seen = wait_phase(bench, jobs, Phase.RUNNING)
        wait_power(bench, jobs, drawing=True)
        for job in jobs:
            one = view(seen, job)
            assert one.restarts == 1, f"it was started again once, not {one.restarts} times"
            assert one.ran_s >= kept[job] - 1.0, f"of {kept[job]} s kept, {one.ran_s} s are left"


def short_pause_freezes(bench: WorkloadBench) -> None:
    """A pause of seconds stops the job where it stands, at once, and lets it go on there."""
    with handed_over(bench) as jobs:
        start(bench, jobs)
        bench.pass_time(1.0)
        do(bench, Action.PAUSE, jobs, expected_s=5.0)
        assert view(wait_phase(bench, jobs, Phase.PAUSED), jobs[0]).frozen, "it is not frozen"
        wait_power(bench, jobs, drawing=False)
        do(bench, Action.RESUME, jobs)
        seen = wait_phase(bench, jobs, Phase.RUNNING)
        wait_power(bench, jobs, drawing=True)
        assert view(seen, jobs[0]).restarts == 0, "a frozen job was started again"


def pause_taken_back(bench: WorkloadBench) -> None:
    """A job resumed while its pause is on the way runs in the end."""
    with handed_over(bench) as jobs:
        start(bench, jobs)
        bench.pass_time(3.0)
        do(bench, Action.PAUSE, jobs)
        do(bench, Action.RESUME, jobs)
        wait_phase(bench, jobs, Phase.RUNNING)
        bench.pass_time(2.0)
        wait_phase(bench, jobs, Phase.RUNNING)
        wait_power(bench, jobs, drawing=True)


def requeued_waits_held(bench: WorkloadBench) -> None:
    """A requeued job waits, held, without power, until it is released; then it runs again."""
    with handed_over(bench) as jobs:
        start(bench, jobs)
        bench.pass_time(1.0)
        do(bench, Action.REQUEUE, jobs)
        wait_phase(bench, jobs, Phase.HELD)
        wait_power(bench, jobs, drawing=False)
        bench.pass_time(2.0)
        wait_phase(bench, jobs, Phase.HELD)
        start(bench, jobs)


def checkpoint_goes_on(bench: WorkloadBench) -> None:
    """A job told to save says when it has, and goes on running."""
    with handed_over(bench) as jobs:
        start(bench, jobs)
        bench.pass_time(3.0)
        before_ns = bench.manager.observe().at_ns
        do(bench, Action.CHECKPOINT, jobs)
        seen = wait_for(
            bench,
            lambda s: (view(s, jobs[0]).saved_ns or 0) >= before_ns,
            "the job did not say that it had saved",
        )
        assert view(seen, jobs[0]).phase is Phase.RUNNING, "it does not run on"


def held_again(bench: WorkloadBench) -> None:
    """A released job that has not started can be held again; one that has started cannot."""
    with handed_over(bench, 2, nodes=bench.node_count) as (first, second):
        start(bench, [first])
        do(bench, Action.RELEASE, [second])
        wait_phase(bench, [second], Phase.QUEUED)
        do(bench, Action.HOLD, [second])
        wait_phase(bench, [second], Phase.HELD)
        receipt = bench.manager.act([command(Action.HOLD, first)])[0]
        assert receipt.outcome is Outcome.REFUSED, f"a running job was held: {receipt}"
        assert receipt.reason, "a refusal says why"


def cancelled_ends(bench: WorkloadBench) -> None:
    """A cancelled job ends, waiting, running or frozen; cancelling it again is no error."""
    with handed_over(bench, 3) as jobs:
        start(bench, jobs[1:])
        do(bench, Action.PAUSE, jobs[2:], expected_s=5.0)
        do(bench, Action.CANCEL, jobs)
        seen = wait_for(
            bench, lambda s: {e.job for e in s.ended} >= set(jobs), "cancelled jobs did not end"
        )
        wait_power(bench, jobs, drawing=False)
        endings = [ended(seen, job).ending for job in jobs]
        assert endings == [Ending.CANCELLED] * 3, f"they were cancelled, not {endings}"
        do(bench, Action.CANCEL, jobs)
        receipt = bench.manager.act([command(Action.RELEASE, jobs[0])])[0]
        assert receipt.outcome is Outcome.REFUSED, f"a job that has ended was released: {receipt}"


def priority_is_kept(bench: WorkloadBench) -> None:
    """A priority set is seen, on held and running jobs alike, and releases nothing."""
    with handed_over(bench, 2) as jobs:
        start(bench, jobs[1:])
        for receipt in bench.manager.act(
            [command(Action.SET_PRIORITY, job, priority=6) for job in jobs]
        ):
            accepted(receipt)
        seen = bench.manager.observe()
        got = [view(seen, job).priority for job in jobs]
        assert got == [6, 6], f"priorities set to 6 are {got}"
        bench.pass_time(1.0)
        assert view(bench.manager.observe(), jobs[0]).phase is Phase.HELD, "it was let start"


def higher_priority_first(bench: WorkloadBench) -> None:
    """Of released jobs that wait, the one given the highest priority starts first."""
    with handed_over(bench, 4, nodes=bench.node_count, work_s=1.0) as jobs:
        do(bench, Action.RELEASE, jobs)
        bench.manager.act([command(Action.SET_PRIORITY, jobs[3], priority=7)])
        seen = wait_for(
            bench, lambda s: {e.job for e in s.ended} >= set(jobs), "they did not all end"
        )
        started = sorted(jobs, key=lambda job: ended(seen, job).start_ns or 0)
        assert started.index(jobs[3]) <= 1, f"the highest priority started late: {started}"


def foreign_untouched(bench: WorkloadBench) -> None:
    """A job that did not come from us is seen and counted, and every command for it refused."""
    job = bench.foreign()
    try:
        seen = wait_for(
            bench,
            lambda s: any(o.job == job and o.phase is Phase.RUNNING for o in s.jobs),
            "the foreign job does not run",
        )
        one = view(seen, job)
        assert not one.ours, "a foreign job is taken for ours"
        assert one.accelerators == bench.node_size, f"it has {one.accelerators} accelerators"
        assert len(one.nodes) == 1, f"it has one node, not {one.nodes}"
        for action in (Action.PAUSE, Action.REQUEUE, Action.CANCEL, Action.HOLD, Action.RESUME):
            receipt = bench.manager.act([command(action, job)])[0]
            assert receipt.outcome is Outcome.REFUSED, f"{action} of a foreign job: {receipt}"
            assert receipt.reason, "a refusal says why"
        assert view(bench.manager.observe(), job).phase is Phase.RUNNING, "it was touched"
    finally:
        bench.remove_foreign(job)


def unknown_refused(bench: WorkloadBench) -> None:
    """A job nobody knows is refused in words."""
    for action in (Action.RELEASE, Action.PAUSE, Action.CANCEL):
        receipt = bench.manager.act([command(action, "987654321")])[0]
        assert receipt.outcome is Outcome.REFUSED, f"{action} of an unknown job: {receipt}"
        assert receipt.reason, "a refusal says why"


def receipts_in_order(bench: WorkloadBench) -> None:
    """One receipt per command, in order, whatever becomes of each; none where none was sent."""
    assert bench.manager.act(()) == (), "no command, no receipt"
    assert bench.manager.submit(()) == (), "no order, no receipt"
    with handed_over(bench, 2) as jobs:
        commands = [
            command(Action.RELEASE, jobs[1]),
            command(Action.RELEASE, "987654321"),
            command(Action.RELEASE, jobs[0]),
            command(Action.SET_PRIORITY, jobs[0], priority=1),
            command(Action.CANCEL, jobs[1]),
        ]
        receipts = bench.manager.act(commands)
        keys = [r.key for r in receipts]
        assert keys == [c.key for c in commands], f"receipts come as {keys}"
        outcomes = [r.outcome for r in receipts]
        yes, no = Outcome.ACCEPTED, Outcome.REFUSED
        assert outcomes == [yes, no, yes, yes, yes], f"outcomes are {outcomes}"


def same_key_once(bench: WorkloadBench) -> None:
    """A command that comes again, late, has no second effect."""
    with handed_over(bench) as jobs:
        start(bench, jobs)
        pause = command(Action.PAUSE, jobs[0], expected_s=5.0)
        accepted(bench.manager.act([pause])[0])
        accepted(bench.manager.act([pause])[0])
        wait_phase(bench, jobs, Phase.PAUSED)
        do(bench, Action.RESUME, jobs)
        wait_phase(bench, jobs, Phase.RUNNING)
        accepted(bench.manager.act([pause])[0])
        bench.pass_time(1.0)
        wait_phase(bench, jobs, Phase.RUNNING)


def snapshot_sorted(bench: WorkloadBench) -> None:
    """Jobs, nodes and ended jobs come sorted by name; every accelerator is counted."""
    with handed_over(bench, 12):
        seen = bench.manager.observe()
        for what, names in (
            ("jobs", [one.job for one in seen.jobs]),
            ("nodes", [one.node for one in seen.nodes]),
            ("ended", [one.job for one in seen.ended]),
        ):
            assert names == sorted(names), f"{what} are not sorted by name: {names}"
        size = sum(one.accelerators for one in seen.nodes if one.pool == bench.pool)
        assert size == bench.node_count * bench.node_size, f"{size} accelerators are seen"
        assert seen.accelerators_up == size, f"{seen.accelerators_up} of {size} are up"
        assert not seen.trouble, f"trouble: {seen.trouble}"


def nodes_drain(bench: WorkloadBench) -> None:
    """A drained node takes nothing new and counts as not up; taken back, it does again."""
    node = bench.manager.observe().nodes[0].node
    try:
        for _ in range(2):  # the second time it is so already
            accepted(_to_node(bench, NodeAction.DRAIN, node))
        seen = bench.manager.observe()
        assert _node(seen, node).draining, "it is not draining"
        left = (bench.node_count - 1) * bench.node_size
        assert seen.accelerators_up == left, f"{seen.accelerators_up} are up, not {left}"
        with handed_over(bench, bench.node_count) as jobs:
            do(bench, Action.RELEASE, jobs)
            wait_for(
                bench,
                lambda s: sum(o.phase is Phase.RUNNING for o in s.jobs) == bench.node_count - 1,
                "the other nodes were not filled",
            )
            bench.pass_time(1.0)
            taken = {n for o in bench.manager.observe().jobs for n in o.nodes}
            assert node not in taken, "a drained node was given work"
    finally:
        for _ in range(2):
            accepted(_to_node(bench, NodeAction.UNDRAIN, node))
    wait_for(bench, lambda s: not _node(s, node).draining and _node(s, node).up, "not back")
    receipt = _to_node(bench, NodeAction.DRAIN, "no-such-node")
    assert receipt.outcome is Outcome.REFUSED, f"a node nobody has was drained: {receipt}"


def nodes_power(bench: WorkloadBench) -> None:
    """A node powered down goes off once it is empty; powered up, it is in service again."""
    node = bench.manager.observe().nodes[-1].node
    try:
        for _ in range(2):
            accepted(_to_node(bench, NodeAction.POWER_DOWN, node))
        seen = wait_for(bench, lambda s: _node(s, node).off, "it did not go off")
        assert not _node(seen, node).up, "a node that is off is not up"
    finally:
        accepted(_to_node(bench, NodeAction.POWER_UP, node))
    wait_for(
        bench,
        lambda s: _node(s, node).up and not _node(s, node).off and not _node(s, node).draining,
        "it did not come back",
    )


def budget_stops_starts(bench: WorkloadBench) -> None:
    """Nothing starts beyond the budget, nothing running is stopped for it, raised it lets start."""
    with handed_over(bench, 3) as jobs:
        try:
            accepted(bench.manager.set_budget(2 * bench.kw_per_node))
            start(bench, jobs[:2])
            do(bench, Action.RELEASE, jobs[2:])
            bench.pass_time(3.0)
            assert view(bench.manager.observe(), jobs[2]).phase is Phase.QUEUED, "it started"
            accepted(bench.manager.set_budget(bench.kw_per_node))
            bench.pass_time(1.0)
            wait_phase(bench, jobs[:2], Phase.RUNNING)
            # A pause makes room, whichever way it is done.
            do(bench, Action.PAUSE, jobs[:2], expected_s=5.0)
            wait_phase(bench, jobs[:2], Phase.PAUSED)
            wait_phase(bench, jobs[2:], Phase.RUNNING)
        finally:
            accepted(bench.manager.set_budget(bench.budget_kw))
        do(bench, Action.RESUME, jobs[:2])
        wait_phase(bench, jobs, Phase.RUNNING)


def _to_node(bench: WorkloadBench, action: NodeAction, node: str) -> Receipt:
    made = NodeCommand(f"k{next(_count)}-{action}-{node}", action, node, reason="contract")
    receipts = bench.manager.act_on_nodes([made])
    assert [r.key for r in receipts] == [made.key], f"receipts come as {receipts}"
    return receipts[0]


def _node(seen: WorkloadSnapshot, node: str) -> NodeView:
    found = [one for one in seen.nodes if one.node == node]
    assert len(found) == 1, f"node {node} is seen {len(found)} times"
    return found[0]


CHECKS: tuple[Check, ...] = (
    held_at_submission,
    submitted_once,
    released_runs,
    starts_in_order,
    paused_saves_and_resumes,
    short_pause_freezes,
    pause_taken_back,
    requeued_waits_held,
    checkpoint_goes_on,
    held_again,
    cancelled_ends,
    priority_is_kept,
    higher_priority_first,
    foreign_untouched,
    unknown_refused,
    receipts_in_order,
    same_key_once,
    snapshot_sorted,
    nodes_drain,
    nodes_power,
    budget_stops_starts,
)
