"""The gate: what one tick of the live controller decides for a pool, made by the kernel.

Every tick a fresh pool is built from what the workload manager reports, and the twin's compiled
scheduling functions decide on it at that instant: who is paused for the power budget, who goes on,
who makes way for whom, who starts. Nothing is remembered from tick to tick but what the caller
hands over. Pure: no input or output, no clock; the same arguments give the same decision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.jobs.ports import Action, JobView, NodeView, Phase, WorkloadSnapshot
from gigafactory.kernel import (
    FULL_SPEED,
    NEVER,
    JobState,
    Kind,
    Pool,
    PoolSpec,
    Records,
    Rules,
    Why,
)
from gigafactory.kernel.state import BUCKET_NS, GROUPS
from gigafactory.planner.poolplan import CLASSES, PoolPlan
from gigafactory.planner.ticklayout import FOREIGN, STILL, Book, Layer, Layout, Was
from gigafactory.units import NS_PER_S

Ints = npt.NDArray[np.int64]

#: Passes made at one instant at most: until a pass brings nothing, which is two or three.
ROUNDS: Final = 8
#: Notes are taken out so often at one instant at most. They hold thousands, and nobody makes way
#: twice at one instant, so that this is a last resort.
DRAINS: Final = 32
#: Milliwatts in a kilowatt.
MW_PER_KW: Final = 1_000_000
_NOTHING: Final[Mapping[str, int]] = {}
_RUNNING, _PAUSED = int(JobState.RUNNING), int(JobState.PAUSED)
_WAITING = (int(JobState.QUEUED), int(JobState.CLAIMING))
_PREEMPT = int(Kind.PREEMPT)
_NAMED = (int(Why.CAP), int(Why.QUOTA))
#: What is to be done about a job, by what it was and what it is now.
_NET: Final = {
    (Was.WAITING, _RUNNING): Action.RELEASE,
    (Was.SAVED, _RUNNING): Action.RESUME,
    (Was.PAUSED, _RUNNING): Action.RESUME,
    (Was.RUNNING, _PAUSED): Action.PAUSE,
}


@dataclass(frozen=True, slots=True)
class TickDecision:
    """What a tick decides for one pool.

    Attributes:
        starts: jobs to release, in the order in which the kernel started them. One that stands in
            `requeues` too makes way where it is and starts again elsewhere.
        pauses: victims of the power budget, in the order in which they were taken.
        resumes: paused jobs to go on, in order.
        requeues: jobs that make way for others' guarantees or priorities, in order.
        waits: of every job that waits, what for: the name of a kernel `Why` in lower case, for a
            quota or a cap followed by ``:`` and the name of the quota.
        draw_kw: modelled IT draw of the pool after the decision, kW.
        holds: released jobs that have not started and must be taken back, in order.
        steps: all of these as they follow each other: what is to be done, and the job.
        settled: whether it came to rest. Where it did not, what held when the search was broken off
            is decided, and jobs may take each other's place from tick to tick.
    """

    starts: tuple[str, ...] = ()
    pauses: tuple[str, ...] = ()
    resumes: tuple[str, ...] = ()
    requeues: tuple[str, ...] = ()
    waits: Mapping[str, str] = field(default_factory=dict)
    draw_kw: float = 0.0
    holds: tuple[str, ...] = ()
    steps: tuple[tuple[Action, str], ...] = ()
    settled: bool = True


class _Or(dict[str, int]):
    """Numbers by name, with one for every name that is not known."""

    def __init__(self, known: Mapping[str, int], other: int) -> None:
        super().__init__(known)
        self._other = other

    def __missing__(self, name: str) -> int:
        return self._other


class Gate:
    """Decides for one pool, tick by tick, and remembers nothing between ticks.

    Args:
        plan: what the pool is.
    """

    def __init__(self, plan: PoolPlan) -> None:
        self.plan = plan
        tree = len(plan.rules.parent) > 1
        others = len(plan.tenants) if tree else 0
        classes = {label: g for g, label in enumerate(CLASSES)}
        classes["inference"] = classes["inference_realtime"]  # one word for both service levels
        self._book = Book(
            node={name: n for n, name in enumerate(plan.nodes)},
            tenant=_Or({name: q for q, name in enumerate(plan.tenants)} if tree else {}, others),
            group=_Or(classes, plan.victims[-1]),
            others=others,
        )
        self._rules = _with_others(plan)
        self._quotas = (*plan.quotas, "") if tree else plan.quotas

    def decide(
        self,
        snapshot: WorkloadSnapshot,
        at_ns: int,
        *,
        budget_kw: float | None,
        speeds: Sequence[int] | None = None,
        paused_before: Mapping[str, int] = _NOTHING,
        held_s: Sequence[float] | None = None,
        class_limit_kw: Sequence[float | None] | None = None,
        usage: Sequence[float] | None = None,
        quotas: tuple[Sequence[int], Sequence[int]] | None = None,
        touched_before: Mapping[str, int] = _NOTHING,
    ) -> TickDecision:
        """Decide one tick.

        Args:
            snapshot: what the workload manager reports; nothing is decided on one in trouble.
            at_ns: the instant, ns UTC.
            budget_kw: IT power the pool may draw, resting nodes included; None for no limit.
            speeds: speed step per class, of `plan.full_speed`; full speed when left out.
            paused_before: rank of each paused job, the one paused first lowest. Those left out come
                last, in the order in which the budget would have taken them.
            held_s: per class, jobs with less than this of their estimate to run do not start, s.
            class_limit_kw: what the active accelerators of each class may draw; None for no limit.
            usage: past use of each node of the quota tree, accelerator-seconds, older ones counting
                less; tenants are ranked by it under fair share.
            quotas: nominal quota and what is lent of it per node of the tree, in place of the
                plan's, as they change from day to day.
            touched_before: rank of each node by when what is free there changed last. Only breaks
                ties between equal nodes; without it the latest start on a node stands for it.

        Returns:
            The decision; an empty one where the snapshot is in trouble.
        """
        if snapshot.trouble:
            return TickDecision()
        layout = self._laid(snapshot, at_ns, paused_before, touched_before)
        rules = self._rules
        if quotas is not None:
            more = len(rules.parent) - len(quotas[0])
            rules = replace(
                rules,
                nominal=(*map(int, quotas[0]), *(0,) * more),
                lend=(*map(int, quotas[1]), *(0,) * more),
            )
        pool = self._pool(layout, at_ns, rules, usage)
        pool.set_groups(*self._speeds(speeds))
        if held_s is not None:
            pool.hold(_by_group([round(s * NS_PER_S) for s in held_s], 0))
        if class_limit_kw is not None:
            limits = [NEVER if kw is None else int(kw * MW_PER_KW) for kw in class_limit_kw]
            pool.set_limits(_by_group(limits, NEVER))
        pool.load(np.array(layout.rows, np.int64), layout.laid, layout.nodes)
        resting_mw = layout.resting * self.plan.idle_power_mw
        budget_mw = None
        if budget_kw is not None and math.isfinite(budget_kw):
            budget_mw = int(budget_kw * MW_PER_KW) - resting_mw
        records, settled = _settle(pool, budget_mw)
        pool.note_reasons()
        return replace(self._told(pool, layout, records, resting_mw), settled=settled)

    def modelled_kw(self, snapshot: WorkloadSnapshot) -> float:
        """What the pool should draw by the catalogue: resting nodes and running jobs, kW.

        Running jobs at the speed they report; those of others as the hungriest class at full speed,
        for nobody knows what they do. Nodes that are up draw, whether or not they take work.
        """
        plan, size = self.plan, self.plan.node_size
        seen = self._seen(snapshot)
        draw = sum(size for one in seen.values() if one.up and not one.off) * plan.idle_power_mw
        most = int(plan.power_mw[:, plan.full_speed].max())
        for view in snapshot.jobs:
            if view.phase is not Phase.RUNNING:
                continue
            if view.ours and view.pool == plan.name:
                step = min(max(round(view.speed * plan.full_speed), 0), plan.full_speed)
                each = int(plan.power_mw[self._book.group[view.job_class], step])
                draw += view.accelerators * (each - plan.idle_power_mw)
            elif not view.ours and view.nodes:
                here = sum(self._book.node.get(name, -1) in seen for name in view.nodes)
                width = view.accelerators * here // len(view.nodes)
                draw += width * (most - plan.idle_power_mw)
        return draw / MW_PER_KW

    # --- one look becomes one pool -----------------------------------------------------------

    def _seen(self, snapshot: WorkloadSnapshot) -> dict[int, NodeView]:
        """The pool's nodes as reported, by number."""
        node = self._book.node
        return {node[one.node]: one for one in snapshot.nodes if one.node in node}

    def _laid(
        self,
        snapshot: WorkloadSnapshot,
        at_ns: int,
        paused_before: Mapping[str, int],
        touched_before: Mapping[str, int],
    ) -> Layout:
        """Sort the jobs by what they are to this pool, and lay them out."""
        waiting, active, foreign = list[JobView](), list[JobView](), list[JobView]()
        name, held = self.plan.name, Phase.HELD
        for view in snapshot.jobs:
            if not view.ours:
                if view.nodes and view.phase in (Phase.RUNNING, Phase.PAUSED):
                    foreign.append(view)
            elif view.pool == name:
                (waiting if view.phase is held else active).append(view)
        layer = Layer(self.plan, self._book, at_ns, self._seen(snapshot))
        return layer.lay(waiting, active, foreign, paused_before, touched_before)

    def _pool(
        self, layout: Layout, at_ns: int, rules: Rules, usage: Sequence[float] | None
    ) -> Pool:
        """A pool with the jobs of a layout, none of them laid or waiting yet."""
        plan, views = self.plan, layout.views
        n, more = len(views), len(layout.was) - len(views)
        estimate_s = np.fromiter(map(attrgetter("walltime_s"), views), np.float64, n)
        ran_s = np.fromiter(map(attrgetter("ran_s"), views), np.float64, n)
        again = np.fromiter(map(attrgetter("restarts"), views), np.int64, n) > 0
        most_s = 730.0 * 86_400
        estimate = np.rint(np.minimum(estimate_s, most_s) * NS_PER_S).astype(np.int64)
        ran = np.rint(ran_s * NS_PER_S).astype(np.int64)
        group = np.array(layout.group, np.int8)
        pieces = np.full(more, round(most_s) * NS_PER_S, np.int64)
        need = np.maximum(np.concatenate([estimate, pieces]), NS_PER_S)
        pool = Pool(
            PoolSpec(
                nodes=len(plan.nodes),
                node_size=plan.node_size,
                idle_power_mw=plan.idle_power_mw,
                depth=plan.depth,
                victims=plan.victims,
                rack_nodes=plan.rack_nodes,
                pod_nodes=plan.pod_nodes,
                span_rate=plan.span_rate,
                rules=rules,
            ),
            origin_ns=at_ns - at_ns % BUCKET_NS,  # estimates are kept by whole minutes
            end_ns=at_ns,
            submit_ns=np.full(n + more, at_ns, np.int64),
            need_ns=need,
            walltime_ns=need,
            accelerators=np.array(layout.asked, np.int32),
            priority=_padded(views, "priority", more).clip(0, 7).astype(np.int8),
            group=group,
            tenant=np.array(layout.tenant, np.int16),
            accelerators_min=_padded(views, "accelerators_min", more).astype(np.int32),
        )
        pool.advance(at_ns)
        job, state = pool.state.job, pool.state
        redo = np.where(again, rules.restart_ns[group[:n]], 0)
        kept = np.minimum(ran, np.maximum(need[:n] - NS_PER_S, 0))
        job["kept"][:n], job["redo"][:n] = kept, redo
        job["left"][:n] = need[:n] - kept + redo
        state.ask["rest"][:n] = job["left"][:n]
        for j, told in layout.left.items():
            job["left"][j], job["kept"][j], job["redo"][j] = told
        out = [j for j, was in enumerate(layout.was[:n]) if was is Was.LEFT_OUT]
        job["state"][out] = int(JobState.AWAY)
        if usage is not None:
            state.quota["decayed"][: len(usage)] = usage
        return pool

    def _speeds(self, speeds: Sequence[int] | None) -> tuple[Ints, Ints]:
        """Speed of every group, and its power."""
        plan = self.plan
        steps = [plan.full_speed] * len(CLASSES) if speeds is None else [int(s) for s in speeds]
        speed = _by_group([s * FULL_SPEED // plan.full_speed for s in steps], FULL_SPEED)
        power = _by_group([int(plan.power_mw[g, s]) for g, s in enumerate(steps)], 0)
        power[STILL] = plan.idle_power_mw
        power[FOREIGN] = plan.power_mw[:, plan.full_speed].max()
        return speed, power

    # --- what the kernel did becomes what is to be done ---------------------------------------

    def _told(
        self, pool: Pool, layout: Layout, records: Sequence[Records], resting_mw: int
    ) -> TickDecision:
        """Translate: what each job was and is now says what is to be done, the notes in what order.

        What began and was undone at the same instant is left out.
        """
        state = pool.state.job["state"]
        jobs = [j for some in records for j in some.job.tolist()]
        kinds = [kind for some in records for kind in some.kind.tolist()]
        last = {j: i for i, j in enumerate(jobs)}
        preempted = set[int]()
        steps = list[tuple[Action, int]]()
        for i, (j, kind) in enumerate(zip(jobs, kinds, strict=True)):
            if kind == _PREEMPT and layout.was[j] in (Was.RUNNING, Was.PAUSED):
                preempted.add(j)
                steps.append((Action.REQUEUE, j))
            elif last[j] == i:
                was = Was.WAITING if j in preempted else layout.was[j]
                action = _NET.get((was, int(state[j])))
                if action is not None and not (
                    action is Action.RESUME and _some_paused(layout, state, layout.owner[j])
                ):
                    steps.append((action, j))
        holds = [
            (Action.HOLD, j)
            for j, was in enumerate(layout.was)
            if was is Was.RELEASED and int(state[j]) != _RUNNING
        ]
        return _decision(
            layout,
            [*holds, *steps],
            self._waits(pool, layout),
            (int(pool.state.v["draw"][0]) + resting_mw) / MW_PER_KW,
        )

    def _waits(self, pool: Pool, layout: Layout) -> dict[str, str]:
        """Why each of our jobs waits."""
        job, n = pool.state.job, len(layout.views)
        waiting = np.flatnonzero(np.isin(job["state"][:n], _WAITING))
        named = np.isin(job["why"][waiting], _NAMED)
        codes = job["why"][waiting] + 256 * np.where(named, 1 + job["why_node"][waiting], 0)
        words = {code: self._word(code) for code in np.unique(codes).tolist()}
        views = layout.views
        found = {
            views[j].job: words[code]
            for j, code in zip(waiting.tolist(), codes.tolist(), strict=True)
        }
        for j, was in enumerate(layout.was[:n]):
            if was is Was.LEFT_OUT and views[j].phase is not Phase.RUNNING and not views[j].nodes:
                found[views[j].job] = Why.NODES.name.lower()  # wider than the pool
        return found

    def _word(self, code: int) -> str:
        """A reason as text."""
        why = Why(code % 256).name.lower()
        return why if code < 256 else f"{why}:{self._quotas[code // 256 - 1]}"


def _padded(views: Sequence[JobView], name: str, more: int) -> Ints:
    """A column of what jobs say of themselves, and noughts for pieces."""
    column = np.zeros(len(views) + more, np.int64)
    column[: len(views)] = np.fromiter(map(attrgetter(name), views), np.int64, len(views))
    return column


def _some_paused(layout: Layout, state: npt.NDArray[np.int8], owner: int) -> bool:
    """Whether a piece of a job is still paused."""
    if owner < 0 or layout.was[owner] is not Was.LEFT_OUT:
        return False
    first = len(layout.views)
    pieces = [j for j in range(first, len(layout.was)) if layout.owner[j] == owner]
    return any(int(state[j]) == _PAUSED for j in pieces)


def _decision(
    layout: Layout, steps: Sequence[tuple[Action, int]], waits: Mapping[str, str], draw_kw: float
) -> TickDecision:
    """A decision from its steps; pieces stand for the job they are of, each step is taken once."""
    named = dict.fromkeys((action, layout.owner[j]) for action, j in steps if layout.owner[j] >= 0)
    told = tuple((action, layout.views[owner].job) for action, owner in named)

    def all_(action: Action) -> tuple[str, ...]:
        return tuple(job for one, job in told if one is action)

    return TickDecision(
        starts=all_(Action.RELEASE),
        pauses=all_(Action.PAUSE),
        resumes=all_(Action.RESUME),
        requeues=all_(Action.REQUEUE),
        waits=waits,
        draw_kw=draw_kw,
        holds=all_(Action.HOLD),
        steps=told,
    )


def _by_group(values: Sequence[int], other: int) -> Ints:
    """Values of the classes, and another for the groups that are none."""
    out = np.full(GROUPS, other, np.int64)
    out[: len(values)] = values
    return out


def _settle(pool: Pool, budget_mw: int | None) -> tuple[list[Records], bool]:
    """Let the kernel decide at one instant, pass after pass, until a pass brings nothing.

    Those that make way leave between two passes, a nanosecond on; nothing else happens in it. A
    tenant that looked for victims in vain looks again in the next pass, not a minute later: others
    may have begun to borrow, and no gate remembers who looked until the next tick.

    Returns:
        What happened, and whether the last pass brought nothing.
    """
    found = list[Records]()
    for _ in range(ROUNDS):
        pool.state.tenant["retry"] = -NEVER
        pool.set_budget(budget_mw)
        leaving = int(pool.state.v["stops"][0]) > 0
        goal = pool.t_ns + 1
        records = pool.advance(goal, DRAINS) if leaving else pool.drain()
        if len(records) == 0:
            return found, True
        found.append(records)
        if leaving and pool.t_ns < goal:
            break
    return found, False


def _with_others(plan: PoolPlan) -> Rules:
    """The rules of a plan for one instant, with a leaf for what is not the plan's tenants'.

    Whoever makes way leaves at once: the workload manager spends the notice. Where notice is long
    enough to save, nothing is lost. What is not ours is nobody's victim, and small jobs that run
    are not moved.
    """
    rules = plan.rules
    enough = rules.grace_ns >= rules.save_ns
    runtime_min = rules.runtime_min_ns.copy()
    runtime_min[len(CLASSES) :] = NEVER
    rules = replace(
        rules,
        grace_ns=np.zeros(GROUPS, np.int64),
        save_ns=np.where(enough, 0, 1).astype(np.int64),
        runtime_min_ns=runtime_min,
        together=False,
    )
    if len(rules.parent) == 1:
        return rules
    return replace(
        rules,
        parent=(*rules.parent, 0),
        nominal=(*rules.nominal, 0),
        lend=(*rules.lend, 0),
        cap=(*rules.cap, len(plan.nodes) * plan.node_size),
        weight=(*rules.weight, 1.0),
        tenant_node=(*rules.tenant_node, len(rules.parent)),
    )


# --- the meter ----------------------------------------------------------------------------------

#: A meter of accuracy class 0.5 (IEC 62053-22) may say so much more without saying anything.
TOLERANCE: Final = 0.005
#: No more of a budget than this is taken off for what a meter says; a larger gap is a fault to be
#: looked at, not a number to steer by. Our assumption.
BOUND: Final = 0.25


def correct(
    budget_kw: float | None,
    modelled_kw: float,
    metered_kw: float | None,
    *,
    tolerance: float = TOLERANCE,
    bound: float = BOUND,
) -> float | None:
    """A budget for the model that keeps the real one by the meter, kW.

    Where the meter says more than the model, the gap may be a fixed load nobody modelled (then it
    stays when work is paused) or work that is hungrier than the catalogue says (then it grows with
    it). The budget is cut for the worse of the two: by the gap, or in proportion. A meter that says
    less loosens nothing.

    Args:
        budget_kw: what may be drawn; None for no limit.
        modelled_kw: what should be drawn now by the catalogue.
        metered_kw: what is drawn by the meter over the same nodes; None where it cannot be read.
        tolerance: share of the modelled draw within which the meter agrees.
        bound: largest share of the budget that is taken off.
    """
    if budget_kw is None or metered_kw is None:
        return budget_kw
    if not math.isfinite(metered_kw) or modelled_kw <= 0.0 or budget_kw <= 0.0:
        return budget_kw
    gap_kw = metered_kw - modelled_kw
    if gap_kw <= tolerance * modelled_kw:
        return budget_kw
    honest = min(budget_kw - gap_kw, budget_kw * modelled_kw / metered_kw)
    return max(honest, budget_kw * (1.0 - bound))
