"""The loop with consequences: observe, decide, write down, act, meter, account; every tick anew.

::

    managers, meters, store  ->  observe  ->  orders held to rules  ->  limit per connection
    limit                    ->  budget per pool  ->  gate (pure)   ->  commands
    commands                 ->  journal, on the disk               ->  managers  ->  receipts
    everything               ->  the day's facts, the store's states, alarms, status

Nothing that is decided rests on what was decided before, but for what is on its way
(`acting.Hands`), the order in which jobs were paused, the ramp of each connection, and what the
gate asks to be remembered (`memory`); they are in the journal. So a controller that is killed at
any instant is started again, reads its day, looks, and goes on. Trouble is a named fallback
(`parts`): written, alarmed, and left when it is over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gigafactory.adapters.store.records import WorkChange, WorkState
from gigafactory.jobs.ports import (
    Action,
    Command,
    NodeAction,
    NodeCommand,
    Outcome,
    Phase,
    WorkloadSnapshot,
    WorkOrder,
)
from gigafactory.planner.tick import TickDecision, correct
from gigafactory.runtime.live import frames
from gigafactory.runtime.live.accounts import Accounts
from gigafactory.runtime.live.acting import Hands, Wanted, wanted_of
from gigafactory.runtime.live.budgets import Allowed, it_allowed_w, split
from gigafactory.runtime.live.capping import Guard, Scene
from gigafactory.runtime.live.counting import counted_uwh
from gigafactory.runtime.live.fencing import Fence
from gigafactory.runtime.live.flexing import SiteView
from gigafactory.runtime.live.handing import Handing
from gigafactory.runtime.live.intake import Intake
from gigafactory.runtime.live.memory import Touched
from gigafactory.runtime.live.nodes import NodeWish, nodes_of, rest_w
from gigafactory.runtime.live.orders import Force
from gigafactory.runtime.live.parts import (
    CLOCK_JUMP,
    DISK_FULL,
    GATE_UNSETTLED,
    LIMIT_BROKEN,
    MANAGER_AWAY,
    METER_AWAY,
    ORDERS_SILENT,
    PASSING,
    STORE_AWAY,
    WORK_VANISHED,
    Parts,
    TickReport,
)
from gigafactory.runtime.live.readings import (
    Power,
    import_w,
    pool_point,
    read_meters,
    site_point,
)
from gigafactory.runtime.live.rollback import Rollbacks
from gigafactory.runtime.live.steering import Requests, judge_orders
from gigafactory.runtime.live.telling import change_of, ended_of, show
from gigafactory.runtime.live.troubles import Troubles
from gigafactory.runtime.live.views import Views
from gigafactory.runtime.live.watch import Look
from gigafactory.units import NS_PER_S

#: Clocks further apart than this disagree.
_DRIFT_NS = NS_PER_S
#: After so long of disagreement the system's time is taken over where it is ahead.
_ADOPT_NS = 60 * NS_PER_S
#: A frozen job is put away (saved, its nodes given back) after so long.
_FROZEN_NS = 60 * NS_PER_S
#: The budget is told to a manager again after so long even when it is the same.
_BUDGET_NS = 60 * NS_PER_S
#: In shadow nothing takes effect, so nothing is given again for long.
_SHADOW_RETRY_S = 3600.0


class Controller:
    """Turns the loop.

    Args:
        parts: what it works with.
        accounts: of the day at hand, begun or resumed.
    """

    def __init__(self, parts: Parts, accounts: Accounts) -> None:
        self.parts = parts
        self.accounts = accounts
        retry_s = parts.response.retry_s if parts.acts else _SHADOW_RETRY_S
        self.hands = {name: Hands(retry_s) for name in parts.clusters}
        self.troubles = Troubles(parts.book, parts.intake)
        self.paused: dict[str, int] = {}
        self._told: dict[str, None] = {}  # jobs told to pause, in order, until they are seen paused
        self.requests = Requests()
        self.views = Views()
        self.over_ns: dict[str, int] = {}
        self.guard = Guard(parts, self.troubles)
        self.fence = Fence(parts.clusters, parts.intake)
        froze = {seen.view.job for seen in accounts.watch.jobs.values() if seen.view.frozen}
        retry_ns = int(retry_s * NS_PER_S)
        self.rollbacks = Rollbacks(self.troubles, retry_ns, parts.acts, froze)
        self._last_w: dict[str, float] = {}
        self._baseline: dict[str, float] = {}
        self._away_ns: dict[str, int] = {}
        self.handing = Handing(
            parts, self.requests, {p: n for n, c in parts.clusters.items() for p in c.pools}
        )
        self._budget: dict[str, tuple[int, int]] = {}
        self._frozen_ns: dict[str, int] = {}
        self._drift_since: int | None = None
        self._expected: set[str] = set()
        self._unseen_ns = 0
        self._node_keys = 0
        self.touched = Touched()
        self._quotas = self._quotas_at(parts.clock.now_ns())
        self._rising: dict[str, set[str]] = {}
        self.ranks = 0
        self._counted_ns: int | None = accounts.upto_ns
        self._cluster_of = {p: name for name, c in parts.clusters.items() for p in c.pools}

    def adopt(self, pool: str, command: Command, now_ns: int) -> None:
        """A command that was about to be sent when the controller before us ended."""
        self.hands[self._cluster_of[pool]].adopt([command], now_ns)
        self.rollbacks.sent([command])

    def expect(self, intake: Intake) -> None:
        """Work that should be with a manager, by the store; the first look says what is missing."""
        after: str | None = None
        told_ns = intake.told_ns("status")
        self._unseen_ns = max(self.parts.clock.now_ns() - told_ns, 0) if told_ns else 0
        while page := intake.placed(after):
            self._expected.update(work.id for work in page)
            self.views.recall(page)
            after = page[-1].id

    # --- the tick --------------------------------------------------------------------------

    def tick(self) -> TickReport:
        """Turn once.

        Raises:
            Replaced: another controller leads.
        """
        parts, intake = self.parts, self.parts.intake
        now = max(parts.clock.now_ns(), self.accounts.upto_ns)
        intake.begin(now)
        intake.leads("controller", parts.who)
        self.fence.note(now)
        if self.accounts.turn(now):
            if parts.points_at is not None:
                parts.desk.points.update(parts.points_at(now))
            self._quotas = self._quotas_at(now)
        snapshots = {name: c.manager.observe() for name, c in parts.clusters.items()}
        now = max(parts.clock.now_ns(), now)
        snapshots = self.rollbacks.mended(snapshots, self.accounts.watch, now)
        found = self._read(now)
        if parts.pricing is not None:
            parts.pricing.turn(now, self.troubles)
        looks = self._look(snapshots, now, found)
        also = self._clock(now)
        judge_orders(parts, now)
        forces = self._forces(snapshots, found, now, also)
        self.requests.take(parts, now)
        decisions, wanted, budgets = self._decide(snapshots, found, forces, now)
        submits = self.handing.orders(snapshots, self.accounts.watch, now)
        nodes = self._nodes(snapshots, wanted, budgets, forces, found, now)
        sent = self._act(snapshots, wanted, nodes, submits, budgets, forces, now)
        self._guarded(snapshots, found, forces, now)
        self._tell(snapshots, looks, decisions, forces, found, now)
        if not parts.book.sync():
            self.troubles.enter(DISK_FULL, "journal", parts.book.full, now)
        else:
            self.troubles.leave(DISK_FULL, "journal", now)
        return TickReport(
            at_ns=now,
            limits_w={s: f.limit_mw * 1e6 for s, f in forces.items()},
            imports_w={s: self._import(s, snapshots, found).power_w for s in parts.sites},
            sent=sent,
            submitted=tuple(o.key for orders in submits.values() for o in orders),
            troubles=self.troubles.open(),
            decisions=decisions,
        )

    # --- observe ---------------------------------------------------------------------------

    def _read(self, now: int) -> dict[str, Power]:
        parts = self.parts
        points = [pool_point(p) for p in parts.plans] + [site_point(s) for s in parts.sites]
        found = read_meters(parts.meters, points, now, parts.response.meter_stale_s)
        for point in points if parts.meters else ():
            if point in found:
                self.troubles.leave(METER_AWAY, point, now)
            else:
                self.troubles.enter(METER_AWAY, point, "no good reading; the model stands in", now)
        return found

    def _look(
        self, snapshots: Mapping[str, WorkloadSnapshot], now: int, found: Mapping[str, Power]
    ) -> dict[str, Look]:
        """Compare with the last look, account, and settle what was unknown."""
        parts = self.parts
        gap = now - self.accounts.upto_ns
        for name, snapshot in snapshots.items():
            if snapshot.trouble:
                self._away_ns.setdefault(name, now)
                self.troubles.enter(MANAGER_AWAY, name, snapshot.trouble, now)
            else:
                self._away_ns.pop(name, None)
                self.troubles.leave(MANAGER_AWAY, name, now)
        for hands in self.hands.values():
            self.accounts.watch.asked.update(
                {job: str(s.command.action) for job, s in hands.sent.items()}
            )
        pools_of = {name: c.pools for name, c in parts.clusters.items()}
        looks = self.accounts.see(snapshots, pools_of)
        self.accounts.facts(looks.values(), now, found)
        self.accounts.watch.asked.clear()
        for name, look in looks.items():
            answers = self.hands[name].look(snapshots[name], now)
            if answers:
                parts.book.write(now, frames.Receipts(answers, reconciled=True))
            self._rank(snapshots[name], look)
            self.touched.see(snapshots[name])
            self._lost(look, gap, now)
        if self._expected and len(looks) == len(snapshots):
            self._missing(snapshots, now)
        return looks

    def _quotas_at(self, at_ns: int) -> Mapping[str, tuple[Sequence[int], Sequence[int]]]:
        """Quotas of the day, by pool; nothing where they are those of the plans."""
        return self.parts.quotas_at(at_ns) if self.parts.quotas_at is not None else {}

    def _missing(self, snapshots: Mapping[str, WorkloadSnapshot], now: int) -> None:
        """Once, after a start: placed work that no manager knows was lost while we were away."""
        known = {v.key for s in snapshots.values() for v in s.jobs}
        ended = {e.key: e for s in snapshots.values() for e in s.ended}
        for key in sorted(self._expected - known):
            end = ended.get(key)
            if end is not None:
                self.parts.intake.note(ended_of(end, now))
            elif (told := self.accounts.watch.closed.get(key)) is not None:
                self.parts.intake.note(ended_of(told, now))  # the manager does not know it any more
            else:
                self._lose(key, self._unseen_ns, now)
        self._expected.clear()

    def _rank(self, snapshot: WorkloadSnapshot, look: Look) -> None:
        """Keep the order in which jobs were paused."""
        still = {v.job: v for v in snapshot.jobs if v.phase is Phase.PAUSED}
        told = {job: i for i, job in enumerate(self._told)}
        mine = {v.job for v in snapshot.jobs}
        for job in [j for j in self.paused if j in mine and j not in still]:
            del self.paused[job]
            self._frozen_ns.pop(job, None)
        for job in sorted(still, key=lambda j: (told.get(j, len(told)), len(j), j)):
            view = still[job]
            if job not in self.paused:
                self._told.pop(job, None)
                self.ranks += 1
                self.paused[job] = self.ranks
            if view.frozen:
                self._frozen_ns.setdefault(job, snapshot.at_ns)
            else:
                self._frozen_ns.pop(job, None)
        for end in look.ended:
            self.paused.pop(end.job, None)
            self._told.pop(end.job, None)

    def _lost(self, look: Look, gap: int, now: int) -> None:
        """Work that a manager lost is handed over again; work that ended unseen is told so."""
        for key in look.lost:
            self._lose(key, gap, now)

    def _lose(self, key: str, gap: int, now: int) -> None:
        """A job that is gone without an end: lost by the manager, or ended long ago."""
        if gap <= int(self.parts.memory_s * NS_PER_S):
            self.handing.again(key)
            return
        why = "it ended while nobody looked, and its end is no longer known"
        self.parts.intake.alarm(WORK_VANISHED, key, why)
        self.parts.intake.note(WorkChange(key, WorkState.FAILED, now, why=why, end_ns=now))

    def _clock(self, now: int) -> int | None:
        """The other reading of the clock, where the two disagree."""
        drift_of = getattr(self.parts.clock, "drift_ns", None)
        drift = int(drift_of()) if drift_of is not None else 0
        if abs(drift) <= _DRIFT_NS:
            self._drift_since = None
            self.troubles.leave(CLOCK_JUMP, "system", now)
            return None
        why = (
            f"the system's time is {drift / NS_PER_S:+.1f} s off; the stricter limit of both holds"
        )
        self.troubles.enter(CLOCK_JUMP, "system", why, now)
        if self._drift_since is None:
            self._drift_since = now
        elif drift > 0 and now - self._drift_since > _ADOPT_NS:
            self.parts.clock.adopt()  # type: ignore[attr-defined]
            self._drift_since = None
        return now + drift

    # --- limits ----------------------------------------------------------------------------

    def _it_w(
        self, site: str, snapshots: Mapping[str, WorkloadSnapshot], found: Mapping[str, Power]
    ) -> float:
        return sum(self._pool_w(p, snapshots, found) for p in self.parts.sites[site].pools)

    def _pool_w(
        self, pool: str, snapshots: Mapping[str, WorkloadSnapshot], found: Mapping[str, Power]
    ) -> float:
        """IT power of a pool: metered, else modelled, else what it was when last seen."""
        metered = found.get(pool_point(pool))
        snapshot = snapshots[self._cluster_of[pool]]
        if metered is not None:
            self._last_w[pool] = metered.power_w
        elif not snapshot.trouble:
            self._last_w[pool] = self.parts.gates[pool].modelled_kw(snapshot) * 1000.0
        return self._last_w.get(pool, 0.0)

    def _import(
        self, site: str, snapshots: Mapping[str, WorkloadSnapshot], found: Mapping[str, Power]
    ) -> Power:
        part = self.parts.sites[site]
        it_w = self._it_w(site, snapshots, found)
        return import_w(site, it_w, found, part.overhead, part.base_mw * 1e6, 0)

    def _forces(
        self,
        snapshots: Mapping[str, WorkloadSnapshot],
        found: Mapping[str, Power],
        now: int,
        also: int | None,
    ) -> dict[str, Force]:
        parts, forces = self.parts, {}
        for name in parts.desk.silent(now):
            why = "it has not spoken in time; the safe limit holds"
            self.troubles.enter(ORDERS_SILENT, name, why, now)
        for name in set(parts.desk.sources) - set(parts.desk.silent(now)):
            self.troubles.leave(ORDERS_SILENT, name, now)
        for site, part in parts.sites.items():
            import_mw = self._import(site, snapshots, found).power_w / 1e6
            if parts.desk.asked_mw(site, now) > 0.0:
                self._baseline.setdefault(site, import_mw)
            else:
                self._baseline.pop(site, None)
            baseline = self._baseline.get(site, math.inf)
            force = parts.desk.force(site, now, baseline, also)
            if part.operator_mw is not None and part.operator_mw < force.limit_mw:
                force = replace(force, limit_mw=part.operator_mw, why="the operator's own", key="")
            forces[site] = force
            self.accounts.limits_w[site] = round(force.limit_mw * 1e6)
            if import_mw > force.limit_mw * (1.0 + 1e-6) + 1e-9:
                self.over_ns.setdefault(site, now)
                why = f"{import_mw:.3f} MW is imported, {force.limit_mw:.3f} MW is allowed"
                late = (now - self.over_ns[site]) / NS_PER_S
                if late > parts.response.deadline_s:
                    self.troubles.enter(LIMIT_BROKEN, site, why, now)
            else:
                self.over_ns.pop(site, None)
                self.troubles.leave(LIMIT_BROKEN, site, now)
        return forces

    # --- decide ----------------------------------------------------------------------------

    def _decide(
        self,
        snapshots: Mapping[str, WorkloadSnapshot],
        found: Mapping[str, Power],
        forces: Mapping[str, Force],
        now: int,
    ) -> tuple[dict[str, TickDecision], dict[str, list[Wanted]], dict[str, Allowed]]:
        parts = self.parts
        decisions: dict[str, TickDecision] = {}
        wanted: dict[str, list[Wanted]] = {name: [] for name in parts.clusters}
        budgets: dict[str, Allowed] = {}
        brief = bool(parts.book.full)
        memory = self.accounts.memory
        told = {
            name: self.hands[name].as_told(memory.frozen.seen(snapshot))
            for name, snapshot in snapshots.items()
            if not snapshot.trouble
        }
        for site, part in parts.sites.items():
            pools = [p for p in part.pools if self._cluster_of[p] in told]
            allowed = self._allowed_w(site, snapshots, found, forces[site])
            plans = [parts.plans[p] for p in pools]
            views = {p: told[self._cluster_of[p]] for p in pools}
            budgets |= split(allowed, plans, views)
            elapsed = (now - self.over_ns[site]) / NS_PER_S if site in self.over_ns else None
            for pool in pools:
                cluster = self._cluster_of[pool]
                budget = self._corrected(pool, budgets[pool], snapshots[cluster], found, now)
                rising_kw = self._rising_kw(pool, snapshots[cluster])
                decision = parts.gates[pool].decide(
                    views[pool],
                    now,
                    budget_kw=None if budget is None else max(budget - rising_kw, 0.0),
                    paused_before=self.paused,
                    usage=memory.usage.of(pool),
                    quotas=self._quotas.get(pool),
                    touched_before=self.touched.ranks,
                )
                if budget is not None:
                    left_kw = budget - decision.draw_kw
                    budgets[pool] = replace(budgets[pool], left_kw=left_kw)
                if decision.settled:
                    self.troubles.leave(GATE_UNSETTLED, pool, now)
                else:
                    why = "jobs take each other's place; what held when it was broken off is done"
                    self.troubles.enter(GATE_UNSETTLED, pool, why, now)
                decision = self.requests.kept_back(decision, views[pool])
                decisions[pool] = decision
                wanted[cluster] += self._wanted(pool, decision, forces[site], elapsed, brief)
        for name, snapshot in snapshots.items():
            if not snapshot.trouble:
                views_by_key = {v.key: v for v in snapshot.jobs if v.ours and v.key}
                wanted[name] += self.requests.wanted(views_by_key, brief)
                if not brief:
                    wanted[name] += self._put_away(snapshot, forces, found, snapshots, now)
                wanted[name] = self.rollbacks.wanted(name, wanted[name], now)
        return decisions, wanted, budgets

    def _allowed_w(
        self,
        site: str,
        snapshots: Mapping[str, WorkloadSnapshot],
        found: Mapping[str, Power],
        force: Force,
    ) -> float:
        """IT power that keeps a site within its limit, with a margin for how it is known."""
        part, response = self.parts.sites[site], self.parts.response
        power = self._import(site, snapshots, found)
        margin = response.margin + (0.0 if power.measured else response.model_margin)
        limit_w = force.limit_mw * 1e6 * (1.0 - margin)
        it_w = self._it_w(site, snapshots, found)
        return it_allowed_w(limit_w, power.power_w, it_w, part.overhead)

    def _corrected(
        self,
        pool: str,
        allowed: Allowed,
        snapshot: WorkloadSnapshot,
        found: Mapping[str, Power],
        now: int,
    ) -> float | None:
        """A budget that holds by the meter although the model says less."""
        metered = found.get(pool_point(pool))
        settled = metered is not None and now - metered.taken_ns <= self.parts.tick_s * NS_PER_S
        metered_kw = metered.power_w / 1000.0 if metered is not None and settled else None
        modelled = self.parts.gates[pool].modelled_kw(snapshot)
        return correct(allowed.budget_kw, modelled, metered_kw)

    def _wanted(
        self,
        pool: str,
        decision: TickDecision,
        force: Force,
        elapsed: float | None,
        brief: bool,
    ) -> list[Wanted]:
        """A decision as things to do, in a hurry where a limit is broken."""
        response = self.parts.response
        within = 0.0
        if elapsed is not None:
            within = max(response.freeze_after_s - elapsed, 0.1)
        found = wanted_of(
            decision.steps,
            why_pause=f"less power: {force.why}",
            within_s=within,
            brief=brief,
        )
        if elapsed is not None and elapsed >= response.freeze_after_s:
            hands = self.hands[self._cluster_of[pool]]
            late = [j for j in hands.slow() if j not in decision.pauses]
            found += [Wanted(Action.PAUSE, j, f"less power: {force.why}", 0.1) for j in late]
        return found

    def _put_away(
        self,
        snapshot: WorkloadSnapshot,
        forces: Mapping[str, Force],
        found: Mapping[str, Power],
        snapshots: Mapping[str, WorkloadSnapshot],
        now: int,
    ) -> list[Wanted]:
        """One job at a time that was frozen in a hurry saves itself and gives its nodes back."""
        for site, part in self.parts.sites.items():
            if site in self.over_ns:
                continue
            room = forces[site].limit_mw * 1e6 - self._import(site, snapshots, found).power_w
            for view in sorted(snapshot.jobs, key=lambda v: self.paused.get(v.job, 0)):
                since = self._frozen_ns.get(view.job)
                if view.pool not in part.pools or since is None or not view.ours:
                    continue
                plan = self.parts.plans[view.pool]
                draw_w = view.accelerators * int(plan.power_mw.max()) / 1000.0
                if now - since > _FROZEN_NS and draw_w < room:
                    self._frozen_ns[view.job] = now
                    return [
                        Wanted(Action.PAUSE, view.job, "saved, so that others can use its nodes")
                    ]
        return []

    # --- act -------------------------------------------------------------------------------

    def _nodes(
        self,
        snapshots: Mapping[str, WorkloadSnapshot],
        wanted: Mapping[str, list[Wanted]],
        budgets: Mapping[str, Allowed],
        forces: Mapping[str, Force],
        found: Mapping[str, Power],
        now: int,
    ) -> dict[str, list[NodeCommand]]:
        """Nodes that leave service because even their rest is too much, or that come back.

        Jobs that must give up their nodes for it are put before all else that is wanted.
        """
        orders: dict[str, list[NodeCommand]] = {name: [] for name in self.parts.clusters}
        for site, part in self.parts.sites.items():
            room_w = forces[site].limit_mw * 1e6 - self._import(site, snapshots, found).power_w
            since = now - self.over_ns.get(site, now)
            late = since >= self.parts.response.freeze_after_s * NS_PER_S
            for pool in [p for p in part.pools if p in budgets]:
                cluster = self._cluster_of[pool]
                wish = nodes_of(
                    self.parts.plans[pool],
                    budgets[pool].nodes,
                    snapshots[cluster],
                    room_w=room_w,
                    rise_w=min(room_w / part.overhead, budgets[pool].left_kw * 1000.0),
                    late=late,
                    rising=self._rising.get(pool, frozenset()),
                    paused=self.paused,
                )
                orders[cluster] += self._told_nodes(pool, wish, now)
                why = f"its nodes must be powered down: {forces[site].why}"
                wanted[cluster][:0] = [Wanted(Action.REQUEUE, job, why) for job in wish.leave]
        for action, node, why in self.requests.nodes():
            for name, snapshot in snapshots.items():
                if any(n.node == node for n in snapshot.nodes):
                    orders[name].append(self._node(action, node, why, now))
        return orders

    def _told_nodes(self, pool: str, wish: NodeWish, now: int) -> list[NodeCommand]:
        """A pool's nodes to power down and up, as commands."""
        down = [self._node(NodeAction.POWER_DOWN, n, "no power", now) for n in wish.down]
        up = wish.up if not self.parts.book.full else ()
        rising = self._rising.setdefault(pool, set())
        rising.difference_update(wish.down)
        rising.update(up if self.parts.acts else ())
        return down + [self._node(NodeAction.POWER_UP, n, "there is power", now) for n in up]

    def _rising_kw(self, pool: str, snapshot: WorkloadSnapshot) -> float:
        """What nodes that were told to come back, and do not show it yet, will draw at rest, kW."""
        rising = self._rising.get(pool, set())
        rising.intersection_update({n.node for n in snapshot.nodes if n.off})
        return len(rising) * rest_w(self.parts.plans[pool]) / 1000.0

    def _node(self, action: NodeAction, node: str, why: str, now: int) -> NodeCommand:
        self._node_keys += 1
        return NodeCommand(f"n{now:x}-{self._node_keys:x}", action, node, why)

    def _act(
        self,
        snapshots: Mapping[str, WorkloadSnapshot],
        wanted: Mapping[str, list[Wanted]],
        nodes: Mapping[str, list[NodeCommand]],
        submits: Mapping[str, list[WorkOrder]],
        budgets: Mapping[str, Allowed],
        forces: Mapping[str, Force],
        now: int,
    ) -> tuple[Command, ...]:
        """Write the intent down, on the disk, then send it and write what was answered."""
        parts = self.parts
        commands = {
            name: self.hands[name].commands(wanted[name], snapshots[name], now)
            for name in parts.clusters
            if not snapshots[name].trouble
        }
        sent = tuple(c for some in commands.values() for c in some)
        self.rollbacks.sent(sent)
        self._told |= dict.fromkeys(c.job for c in sent if c.action is Action.PAUSE)
        if sent or any(nodes.values()) or any(submits.values()):
            self._intend(snapshots, commands, nodes, submits, budgets, forces, now)
            if parts.book.full:  # found out just now: what needs a record stays here
                commands = {n: self.hands[n].only_reducing(c) for n, c in commands.items()}
                sent = tuple(c for some in commands.values() for c in some)
                submits = {name: [] for name in submits}
                nodes = {
                    name: [c for c in some if c.action is not NodeAction.POWER_UP]
                    for name, some in nodes.items()
                }
        if not parts.acts:
            for name, some in commands.items():
                self.hands[name].shadow(some)
            return sent
        answers: list[frames.Answer] = []
        may = self.fence.open()
        for name, cluster in parts.clusters.items():
            if snapshots[name].trouble or name not in may:
                continue
            self._tell_budget(name, budgets, snapshots[name], now)
            orders = submits[name]
            if orders:
                receipts = cluster.manager.submit(orders)
                self.handing.note(orders, receipts, now)
                answers += [frames.Answer(r.key, r.outcome, r.reason) for r in receipts]
            some = commands[name]
            receipts = cluster.manager.act(some)  # empty too: it moves on what is on its way
            self.hands[name].note(some, receipts)
            answers += [frames.Answer(r.key, r.outcome, r.reason) for r in receipts]
            if nodes[name]:
                told = cluster.manager.act_on_nodes(nodes[name])
                answers += [frames.Answer(r.key, r.outcome, r.reason) for r in told]
                self.requests.nodes_done(nodes[name], told, parts.intake)
        if answers:
            parts.book.write(now, frames.Receipts(tuple(answers)))
        self.requests.done(sent, parts.intake)
        return sent

    def _intend(
        self,
        snapshots: Mapping[str, WorkloadSnapshot],
        commands: Mapping[str, tuple[Command, ...]],
        nodes: Mapping[str, list[NodeCommand]],
        submits: Mapping[str, list[WorkOrder]],
        budgets: Mapping[str, Allowed],
        forces: Mapping[str, Force],
        now: int,
    ) -> None:
        parts = self.parts
        number = {pool: i for i, pool in enumerate(parts.plans)}
        told = []
        for name, some in commands.items():
            pool_of = {v.job: v.pool for v in snapshots[name].jobs}
            told += [
                frames.Told(
                    c.key, c.action, c.job, c.reason, number.get(pool_of.get(c.job, ""), -1),
                    c.expected_s,
                )
                for c in some
            ]  # fmt: skip
        in_kw = [budgets[p].budget_kw if p in budgets else None for p in parts.plans]
        frame = frames.IntentTold(
            commands=tuple(told),
            nodes=tuple(
                frames.Told(c.key, c.action, c.node, c.reason, -1)
                for some in nodes.values()
                for c in some
            ),
            submits=tuple(o.key for some in submits.values() for o in some),
            budgets_w=tuple(-1 if kw is None else round(kw * 1000) for kw in in_kw),
            limits_w=tuple(round(forces[s].limit_mw * 1e6) for s in parts.sites),
            why=tuple(forces[s].why for s in parts.sites),
            only_recorded=not parts.acts,
        )
        parts.book.write(now, frame)
        parts.book.sync()

    def _tell_budget(
        self, cluster: str, budgets: Mapping[str, Allowed], snapshot: WorkloadSnapshot, now: int
    ) -> None:
        """The manager's own guard: what running work of its pools may take together, all in.

        Never so tight that it keeps back what the gate lets start: the gate counts what is drawn
        above rest, the manager whole kilowatts per job.
        """
        total = 1.0 + sum(v.ours for v in snapshot.jobs)
        for pool in self.parts.clusters[cluster].pools:
            plan, told = self.parts.plans[pool], budgets.get(pool)
            size = len(plan.nodes) * plan.node_size
            full = plan.power_mw[:, plan.full_speed]
            if told is None or told.budget_kw is None:
                total += size * int(full.max()) / 1e6
                continue
            names = frozenset(plan.nodes)
            on = [n for n in snapshot.nodes if n.node in names and n.up and not n.off]
            rest = sum(n.accelerators for n in on) * plan.idle_power_mw / 1e6
            above = max(told.budget_kw - rest, 0.0)
            total += above * max(int(p) / max(int(p) - plan.idle_power_mw, 1) for p in full)
        last = self._budget.get(cluster)
        kw = int(total)
        if last is not None and last[0] == kw and now - last[1] < _BUDGET_NS:
            return
        receipt = self.parts.clusters[cluster].manager.set_budget(kw)
        if receipt.outcome is Outcome.ACCEPTED:
            self._budget[cluster] = (kw, now)

    def _guarded(
        self,
        snapshots: Mapping[str, WorkloadSnapshot],
        found: Mapping[str, Power],
        forces: Mapping[str, Force],
        now: int,
    ) -> None:
        """A limit is broken and the manager hangs: the plant's own caps, or a person, must help."""
        runs_w = {
            pool: gate.modelled_kw(snapshots[self._cluster_of[pool]]) * 1000.0
            for pool, gate in self.parts.gates.items()
            if not snapshots[self._cluster_of[pool]].trouble
        }
        self.guard.turn(
            Scene(
                away_ns=self._away_ns,
                over_ns=self.over_ns,
                allowed_w={
                    s: self._allowed_w(s, snapshots, found, forces[s]) for s in self.parts.sites
                },
                drawn_w={p: self._pool_w(p, snapshots, found) for p in self.parts.plans},
                runs_w=runs_w,
                now_ns=now,
            )
        )

    # --- tell ------------------------------------------------------------------------------

    def _tell(
        self,
        snapshots: Mapping[str, WorkloadSnapshot],
        looks: Mapping[str, Look],
        decisions: Mapping[str, TickDecision],
        forces: Mapping[str, Force],
        found: Mapping[str, Power],
        now: int,
    ) -> None:
        intake = self.parts.intake
        if self.parts.acts:
            waits = {j: why for d in decisions.values() for j, why in d.waits.items()}
            for name, look in looks.items():
                for view in snapshots[name].jobs:
                    if view.ours and view.key:
                        why = waits.get(view.job, view.reason)
                        detail = self.views.detail(view, why, now)
                        intake.note(change_of(view, why, now, detail))
                for end in look.ended:
                    self.handing.forget(end.key)
                    self.requests.again.discard(end.key)
                    intake.note(replace(ended_of(end, now), detail=self.views.ending(end)))
        if self._counted_ns is not None:
            before = counted_uwh(self.parts, self._counted_ns)
            if before is not None:
                self.accounts.before_uwh, self._counted_ns = before, None
        imports = {s: self._import(s, snapshots, found) for s in self.parts.sites}
        self.views.show(self.parts, snapshots, decisions, forces, imports, now)
        show(
            self.parts,
            snapshots,
            forces,
            imports,
            {s: self.accounts.import_wh(s) for s in self.parts.sites},
            self.over_ns,
            self.troubles.open(),
        )
        self.parts.desk.forget(now)
        intake.clear_others(PASSING, self.troubles.open())
        self._beside(snapshots, found, now)
        intake.flush()
        if intake.away:
            why = f"{intake.away}; the last known orders hold, and what is to be told waits"
            self.troubles.enter(STORE_AWAY, "store", why, now)
        else:
            self.troubles.leave(STORE_AWAY, "store", now)

    def _beside(
        self, snapshots: Mapping[str, WorkloadSnapshot], found: Mapping[str, Power], now: int
    ) -> None:
        """What is done beside steering: what can be given is told, what is old is swept."""
        parts = self.parts
        if parts.sweeper is not None:
            parts.sweeper.turn(now)
        if parts.flexibility is None:
            return
        parts.flexibility.energy = self.accounts.isps
        of_pool = {pool: snapshots[name] for pool, name in self._cluster_of.items()}
        views = {
            site: SiteView(
                tuple(parts.plans[p] for p in part.pools),
                of_pool,
                self._import(site, snapshots, found),
                part.overhead,
            )
            for site, part in parts.sites.items()
            if not any(of_pool[p].trouble for p in part.pools)
        }
        parts.flexibility.turn(views, parts.desk, now)
