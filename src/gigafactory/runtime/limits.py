"""The desk that closes projects and sets shares: budgets, terms, papers, storage, roll-over.

What depends on the day alone (terms, reviews, documents) is judged for the whole run beforehand and
acts on the first market period of its local day. What was used is metered: the accelerator-hours of
a project are those of its segments, closed and open, up to the period at hand, as the journal has
them. A closed project's waiting jobs are refused at once, those that come when they come; what runs
is left to end, and is refused if it stops and still waits when the next period begins.

Frames of its own in the journal: `limits` (projects closed and opened, with the particulars) and
`quota` (shares changed). A refusal is a move whose `width` is the number of its reason, counted
over the `limits` frames of the run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from gigafactory.adapters.twin import Twin
from gigafactory.engine.journal import Journal
from gigafactory.factory.models import Factory
from gigafactory.factory.rights import project_facts, quota_tree, without_reserve_through
from gigafactory.grid import MarketCalendar
from gigafactory.grid.calendar import instant_ns
from gigafactory.jobs import JobTable
from gigafactory.ledger import POOL_COLUMNS, SHARE_COLUMNS, Book
from gigafactory.ledger.book import RECEIPT
from gigafactory.ledger.facts import EVICT, FAIL, OPENS, PREEMPT, REFUSE
from gigafactory.plant import Chip
from gigafactory.policy import QuotaTree, Reason, roll_over, storage
from gigafactory.policy.limits import (
    Spell,
    budget_of,
    budget_spent,
    plain,
    promised_to_nobody,
    raises,
    shares_now,
)
from gigafactory.runtime.told import Told
from gigafactory.units import NS_PER_H, S_PER_H

Ints = npt.NDArray[np.int64]
Shorts = npt.NDArray[np.int16]
Flags = npt.NDArray[np.bool_]

_NS_PER_MS: Final = 1_000_000
_MS_PER_H: Final = 3_600_000
_MONTH_H: Final = 8766.0 / 12.0
#: What closes a project, the first that applies: its verdict, its budget, its tenant's storage
#: (which stops what comes and leaves what waits).
_VERDICT, _BUDGET, _STORAGE = range(3)
_SERVICE, _HELD = POOL_COLUMNS.index("service_ns"), SHARE_COLUMNS.index("held_s")
#: By kind of move: 1 where it opens a segment, -1 where it closes one; and whether it stops a job.
_OPENED: Final = np.array([0, *(1 if k in OPENS else -1 for k in range(1, REFUSE)), 0, 0])
_STOPPED: Final = np.isin(np.arange(len(_OPENED)), (EVICT, PREEMPT, FAIL))
_MOVES_READ: Final = ("job", "kind", "t_ns", "width")
Turn = tuple[int, Reason | None]
Happened = tuple[dict[str, npt.NDArray[Any]], Shorts]


@dataclass(frozen=True, slots=True)
class Trees:
    """The quotas of a pool: as the file states them, and as they were laid out for the run."""

    stated: QuotaTree
    laid: QuotaTree
    node_size: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What may close a project in a run, and what may change a share; fixed before it begins.

    Attributes:
        names: projects and services that may be closed.
        of: their number per job of the run, -1 for a job that nothing here closes.
        budget_gpu_h: accelerator-hours granted to each; None for no limit.
        full: why jobs that bring data are refused; None where they are not.
        turns: by local day of the run, projects that close (with the reason) or open that day.
        jobs: numbers of the jobs that may be refused, in order of submission.
        edges: where among these each market period begins, [P+1].
        trees: quotas per pool.
        lost: by local day, tenants without a right to their share from then on.
        rollover: by number of a group's node, its rule.
        months: local days on which shares are raised anew: the first of a month, but for the first
            day of the run.
        rules: ids of the rules that may refuse a job.
    """

    names: tuple[str, ...]
    of: Shorts
    budget_gpu_h: tuple[float | None, ...]
    full: tuple[Reason | None, ...]
    turns: Mapping[int, tuple[Turn, ...]]
    jobs: Ints
    edges: Ints
    trees: tuple[Trees, ...]
    lost: Mapping[int, frozenset[str]]
    rollover: Mapping[int, str]
    months: frozenset[int]
    rules: tuple[str, ...]

    @property
    def idle(self) -> bool:
        """Whether there is nothing that could ever close or change."""
        return not (self.names or len(self.lost) > 1 or (self.rollover and self.months))


def limits_of(
    factory: Factory,
    catalogue: Mapping[str, Chip],
    calendar: MarketCalendar,
    table: JobTable,
    refused: Shorts,
    through: Mapping[str, Mapping[str, Sequence[Spell]]],
) -> Limits:
    """Work out what may close and change in a run.

    Args:
        factory: its tenants, their projects and quotas.
        catalogue: accelerators.
        calendar: of the run.
        table: what is asked.
        refused: per job, 0 or more where it is refused at the door.
        through: what the rules say from day to day, by tenant and project or service.
    """
    first = calendar.local_dates[0]
    asked = {*table.projects, *table.services}
    bounds = [one for one in _bounds(factory, through) if one.closes and one.name in asked]
    turns: dict[int, list[Turn]] = {}
    for number, bound in enumerate(bounds):
        for begins, reason in bound.turns:
            turns.setdefault((begins - first).days, []).append((number, reason))
    of = _of(table, [bound.name for bound in bounds])
    jobs = np.flatnonzero((of >= 0) & (refused < 0))
    said = [reason.rule for day in turns.values() for _, reason in day if reason is not None]
    said += ["budget_spent" for bound in bounds if bound.budget_gpu_h is not None]
    said += [bound.full.rule for bound in bounds if bound.full is not None]
    changes = without_reserve_through(through)
    lost = {(day - first).days: tenants for day, tenants in changes} or {0: frozenset()}
    trees = _trees(factory, catalogue, table.tenants, lost[0])
    return Limits(
        names=tuple(bound.name for bound in bounds),
        of=of,
        budget_gpu_h=tuple(bound.budget_gpu_h for bound in bounds),
        full=tuple(bound.full for bound in bounds),
        turns={day: tuple(some) for day, some in turns.items()},
        jobs=jobs,
        edges=np.searchsorted(table.submit_ns[jobs], calendar.start_ns, side="left"),
        trees=trees,
        lost=lost,
        rollover=_rollover(factory, trees[0].laid),
        months=frozenset(d for d, day in enumerate(calendar.local_dates) if d and day.day == 1),
        rules=tuple(dict.fromkeys(said)),
    )


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What may close a project: days on which it closes or opens, its budget, full storage."""

    name: str
    turns: tuple[tuple[dt.date, Reason | None], ...]
    budget_gpu_h: float | None
    full: Reason | None

    @property
    def closes(self) -> bool:
        """Whether anything ever may."""
        return bool(self.turns) or self.budget_gpu_h is not None or self.full is not None


def _bounds(
    factory: Factory, through: Mapping[str, Mapping[str, Sequence[Spell]]]
) -> Iterator[_Bounds]:
    """What may close every project and service, in the order of the file."""
    for tenant in factory.tenants:
        quota, used = {tenant.name: tenant.storage_quota_pb}, {tenant.name: tenant.storage_used_pb}
        full = storage(quota, used)[0].refusal
        work = zip(tenant.project_names, tenant.work, strict=True)
        brings = {name for name, one in work if one.dataset is not None}
        for project in project_facts(factory, tenant):
            spells = through[tenant.name][project.name]
            before = (None, *(spell.refusal for spell in spells))
            turns = tuple(
                (spell.begins, spell.refusal)
                for spell, was in zip(spells, before, strict=False)
                if spell.refusal != was
            )
            stops = full if project.name in brings else None
            yield _Bounds(project.name, turns, budget_of(project), stops)


def _of(table: JobTable, names: Sequence[str]) -> Shorts:
    """Number of each job's project or service among the names, -1 where it is none of them."""
    at = {name: number for number, name in enumerate(names)}
    of = np.full(len(table), -1, np.int16)
    for known, column in ((table.projects, table.project), (table.services, table.service)):
        number = np.array([*(at.get(name, -1) for name in known), -1], np.int16)
        of = np.maximum(of, number[column])
    return of


def _trees(
    factory: Factory,
    catalogue: Mapping[str, Chip],
    tenants: Sequence[str],
    without: frozenset[str],
) -> tuple[Trees, ...]:
    return tuple(
        Trees(
            quota_tree(factory, pool, catalogue, tenants),
            quota_tree(factory, pool, catalogue, tenants, without),
            catalogue[pool.chip].node_size,
        )
        for pool in factory.fleet
    )


def _rollover(factory: Factory, tree: QuotaTree) -> dict[int, str]:
    """Rule of every group whose unused hours are good for longer than their month, by its node."""
    groups = factory.policy.quota_groups
    return {tree.names.index(g.name, 1): g.rollover for g in groups if g.rollover != "none"}


class LimitsDesk:
    """Closes and opens projects, and sets the shares of the pools.

    Args:
        limits: what may close and change.
        twin: the pools.
        calendar: of the run.
        book: has metered everything up to the period at hand.
        journal: takes what is decided.
    """

    def __init__(
        self, limits: Limits, twin: Twin, calendar: MarketCalendar, book: Book, journal: Journal
    ) -> None:
        self.limits, self.twin, self.calendar = limits, twin, calendar
        self.book, self.journal = book, journal
        n = len(limits.names)
        #: Rule that closes each project, an index into the header's, -1 for none; by what closes.
        self.rule = np.full((3, n), -1, np.int16)
        #: Number of the reason, as counted over the `limits` frames of the journal.
        self.number = np.zeros((3, n), np.int32)
        #: Of projects with a budget, used up to the period at hand, and accelerators running then.
        self._used_ms = np.zeros(n, np.int64)
        self._running = np.zeros(n, np.int64)
        self._told = 0
        most = int(np.iinfo(np.int64).max)
        has_budget = [b is not None for b in limits.budget_gpu_h]
        self._budgets = any(has_budget)
        self._counted = np.array(has_budget, np.bool_)
        self._budget_ms = np.array(
            [most if b is None else round(b * _MS_PER_H) for b in limits.budget_gpu_h], np.int64
        )
        self._edges_ns: list[int] = twin.edges_ns.tolist()
        self._step_ms = calendar.period_s * 1000
        first = calendar.day_edges[:-1].tolist()
        self._day_at = {period: day for day, period in enumerate(first)}
        self._see()

    def decide(self, period: int) -> None:
        """Close and open projects, refuse their jobs, and set shares, as of a period's begin."""
        now_ns = self._edges_ns[period]
        day = self._day_at.get(period)
        closing: list[tuple[int, Turn]] = []
        if day is not None:
            closing += [(_VERDICT, turn) for turn in self.limits.turns.get(day, ())]
            if period == 0:
                full = enumerate(self.limits.full)
                closing += [(_STORAGE, turn) for turn in full if turn[1] is not None]
            self._set_shares(day, now_ns)
        happened = self._happened()
        if self._budgets:
            self._count(happened, now_ns)
            closing += [(_BUDGET, turn) for turn in self._spent()]
        if closing:
            self._close(closing, now_ns)
        if self._any_shut and happened is not None:
            self._refuse_stopped(happened[0], happened[1], now_ns)
        if self._any_closed:
            self._refuse_coming(period, now_ns)

    def _happened(self) -> Happened | None:
        """Moves of the period before whose jobs may be closed, and their projects; None of none."""
        facts = self.book.latest
        if facts is None or not (self._budgets or self._any_shut):
            return None
        of = self.limits.of[facts.moves["job"]]
        mine = np.flatnonzero(of >= 0)
        if not len(mine):
            return None
        return {name: facts.moves[name][mine] for name in _MOVES_READ}, of[mine]

    # --- budgets --------------------------------------------------------------------------------

    def _count(self, happened: Happened | None, now_ns: int) -> None:
        """Take in the period before: what ran through it, what began and what ended in it."""
        self._used_ms += self._running * self._step_ms
        if happened is None:
            return
        moves, of = happened
        more = moves["width"] * _OPENED[moves["kind"]] * self._counted[of]
        since_ms = (now_ns - moves["t_ns"]) // _NS_PER_MS
        # exact: within a period the sums stay far below what a double holds in whole numbers
        n = len(self._running)
        self._running += np.bincount(of, more, n).astype(np.int64)
        self._used_ms += np.bincount(of, more * since_ms, n).astype(np.int64)

    def _spent(self) -> list[Turn]:
        """Projects whose budget is spent now and was not before."""
        over = self._used_ms >= self._budget_ms
        if not over.any():
            return []
        found: list[Turn] = []
        for at in np.flatnonzero(over & (self.rule[_BUDGET] < 0)).tolist():
            budget = self.limits.budget_gpu_h[at]
            assert budget is not None, "no budget is never spent"
            used = int(self._used_ms[at]) / _MS_PER_H
            reached = max(used, budget)  # the budget is compared in milliseconds
            found.append((at, budget_spent(self.limits.names[at], budget, reached)))
        return found

    # --- closing --------------------------------------------------------------------------------

    def _see(self) -> None:
        """Note which projects are closed, to what waits and to what comes."""
        self._shut: Flags = np.asarray((self.rule[:_STORAGE] >= 0).any(axis=0))
        self._closed: Flags = np.asarray((self.rule >= 0).any(axis=0))
        self._any_shut, self._any_closed = bool(self._shut.any()), bool(self._closed.any())

    def _close(self, closing: Sequence[tuple[int, Turn]], now_ns: int) -> None:
        """Note who closes and who opens, tell the journal, and refuse what waits."""
        was = self._shut
        closed: list[dict[str, Any]] = []
        opened: list[str] = []
        for kind, (at, reason) in closing:
            if reason is None:
                self.rule[kind, at] = -1
                opened.append(self.limits.names[at])
                continue
            self.rule[kind, at] = self.book.header.rules.index(reason.rule)
            self.number[kind, at] = self._told
            self._told += 1
            closed.append({"project": self.limits.names[at], **plain(reason)})
        self.journal.append("limits", now_ns, _fields(closed=closed, opened=opened), {})
        self._see()
        fresh = self._shut & ~was
        if fresh.any():
            jobs = self._waiting()
            of = self.limits.of[jobs]
            self._refuse(jobs[(of >= 0) & fresh[of]].tolist(), now_ns)

    def _waiting(self) -> npt.NDArray[np.int32]:
        """Every job that waits, in a pool or between two, by its number in the run."""
        between = np.array(self.twin.placement.between(), np.int32)
        some = [place.jobs[place.kernel.waiting()] for place in self.twin.pools]
        return np.concatenate([*some, between])

    def _refuse_stopped(self, moves: dict[str, npt.NDArray[Any]], of: Shorts, now_ns: int) -> None:
        """Refuse jobs of closed projects that were stopped in the period before and still wait."""
        mine = self._shut[of] & _STOPPED[moves["kind"]]
        if mine.any():
            self._refuse(moves["job"][mine].tolist(), now_ns)

    def _refuse_coming(self, period: int, now_ns: int) -> None:
        """Refuse jobs of closed projects that are submitted in the period."""
        first, last = self.limits.edges[period], self.limits.edges[period + 1]
        if first == last:
            return
        jobs = self.limits.jobs[first:last]
        self._refuse(jobs[self._closed[self.limits.of[jobs]]].tolist(), now_ns)

    def _refuse(self, jobs: Iterable[int], now_ns: int) -> None:
        for job in jobs:
            at = self.limits.of[job]
            kind = int(np.argmax(self.rule[:, at] >= 0))
            rule, number = int(self.rule[kind, at]), int(self.number[kind, at])
            self.twin.placement.refuse(job, rule, now_ns, number)

    # --- shares ---------------------------------------------------------------------------------

    def _set_shares(self, day: int, now_ns: int) -> None:
        """Set the nominal quotas of a day on which they may change: papers, and roll-over."""
        rolls = bool(self.limits.rollover) and day in self.limits.months
        if day == 0 or not (rolls or day in self.limits.lost):
            return
        lost = self.limits.lost[max(d for d in self.limits.lost if d <= day)]
        changes: list[dict[str, Any]] = []
        told: list[tuple[Ints, Ints]] = []
        for p, (trees, place) in enumerate(zip(self.limits.trees, self.twin.pools, strict=True)):
            raised = self._raised(p, day)
            now = shares_now(trees.stated, trees.laid, lost, raised, trees.node_size)
            nominal, lend = (np.array(one, np.int64) for one in now)
            quota = place.kernel.state.quota
            for x in np.flatnonzero(nominal != quota["nominal"]).tolist():
                before = int(quota["nominal"][x])
                changes.append(self._change(p, x, day, before, int(nominal[x]), raised.get(x, 0)))
            told.append((nominal, lend))
        if not changes:
            return
        for place, (nominal, lend) in zip(self.twin.pools, told, strict=True):
            place.kernel.set_quotas(nominal, lend)
        nominal_of, lend_of = (np.stack(one) for one in zip(*told, strict=True))
        arrays = {"nominal": nominal_of, "lend": lend_of}
        self.book.day_quotas(day, nominal_of)
        self.journal.append("quota", now_ns, _fields(day=day, changes=changes), arrays)

    def _change(
        self, pool: int, node: int, day: int, before: int, now: int, more: int
    ) -> dict[str, Any]:
        """What is said of a share that changes."""
        tree = self.limits.trees[pool].laid
        leaves = zip(tree.tenants, tree.tenant_node, strict=True)
        below = [name for name, leaf in leaves if node in (leaf, tree.parent[leaf])]
        date = self.calendar.local_dates[day]
        this: dict[str, Any] = {
            "node": tree.names[node],
            "pool": self.book.header.pools[pool],
            "day": date,
        }
        if more:
            reason = Reason.of("share_raised", **this, accelerators=now, promised=now - more)
        elif node in tree.tenant_node and now == 0:
            reason = Reason.of("share_lost", **this, before=before)
        else:
            reason = Reason.of("share_restored", **this, accelerators=now, before=before)
        return {"pool": pool, "tenants": below, **plain(reason)}

    def _raised(self, pool: int, day: int) -> dict[int, int]:
        """By how much groups' shares of a pool are raised in the month of a day, by their node."""
        rules, trees = self.limits.rollover, self.limits.trees[pool]
        month = self.calendar.local_dates[day].replace(day=1)
        done = (month - self.calendar.local_dates[0]).days
        if done <= 0 or not rules:
            return {}
        months, at = self.calendar.months(done)
        there_h, held_h = self._there_h(pool, done), self._held_h(pool, done)
        carried = []
        for node, rule in rules.items():
            reserved, used = (
                np.asarray(np.bincount(at, hours), np.float64)
                for hours in (there_h * trees.stated.nominal[node], held_h[:, node])
            )
            rows = roll_over(months, reserved, used, rule)
            carried.append(rows[-1].carried_out_gpu_h)
        free = promised_to_nobody(trees.laid)
        hours = _hours_of(month, self.calendar.timezone)
        more = raises(carried, hours, trees.node_size, free)
        return {node: n for node, n in zip(rules, more, strict=True) if n}

    def _there_h(self, pool: int, days: int) -> npt.NDArray[np.float64]:
        """Hours per day in which what a pool promises was there: fewer while nodes are missing."""
        promised = self.limits.trees[pool].stated.nominal[0]
        edges = self.calendar.day_edges[: days + 1]
        span_ns = np.diff(self.twin.edges_ns[: edges[-1] + 1])
        service_ns = self.book.pool[: edges[-1], pool, _SERVICE]
        there_h = np.minimum(service_ns / promised, span_ns) / NS_PER_H
        return np.asarray(np.add.reduceat(there_h, edges[:-1]), np.float64)

    def _held_h(self, pool: int, days: int) -> npt.NDArray[np.float64]:
        """Accelerator-hours that the nodes of a pool's tree held per day, [days, nodes]."""
        held_s = [share_s[pool, :, _HELD] for share_s in self.book.share_s[:days]]
        return np.asarray(np.stack(held_s) / S_PER_H, np.float64)

    # --- snapshot -------------------------------------------------------------------------------

    def snapshot(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """The state between two days; shares stand with the pools."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "rule": self.rule,
            "number": self.number,
            "used_ms": self._used_ms,
            "running": self._running,
        }
        return arrays, {"told": self._told}

    def restore(self, arrays: Any, fields: Any) -> None:
        """Put back what `snapshot` gave."""
        self.rule[...], self.number[...] = arrays["rule"], arrays["number"]
        self._used_ms[...], self._running[...] = arrays["used_ms"], arrays["running"]
        self._told = fields["told"]
        self._see()


def _fields(**fields: Any) -> dict[str, Any]:
    """Fields of a journal frame; everything in them is plain."""
    return fields


def _hours_of(month: dt.date, timezone: str) -> float:
    """Hours of a local month, 743 or 745 where the clocks change in one of 31 days."""
    zone = ZoneInfo(timezone)
    after = (month.replace(day=28) + dt.timedelta(days=4)).replace(day=1)
    first, last = (
        instant_ns(dt.datetime.combine(day, dt.time(), tzinfo=zone)) for day in (month, after)
    )
    return (last - first) / NS_PER_H


# --- for the summary -----------------------------------------------------------------------------


def storage_rows(factory: Factory, hours: float) -> list[dict[str, Any]]:
    """What every tenant stores of what is kept for it, and what it pays for that over some hours.

    The quota is charged, used or not; a month is a twelfth of a year of 8766 hours. This is no part
    of the ledger: nothing meters storage yet.
    """
    price = factory.finance.storage_price_eur_per_pb_month
    quota = {tenant.name: tenant.storage_quota_pb for tenant in factory.tenants}
    used = {tenant.name: tenant.storage_used_pb for tenant in factory.tenants}
    return [
        {
            "tenant": row.tenant,
            "quota_pb": row.quota_pb,
            "used_pb": row.used_pb,
            "free_pb": row.free_pb,
            "full": row.refusal is not None,
            "charged_eur": row.quota_pb * price * hours / _MONTH_H,
        }
        for row in storage(quota, used)
    ]


def budget_rows(told: Told, book: Book) -> list[dict[str, Any]]:
    """What every project with a budget asked, used by its receipts, and was refused."""
    table = told.table
    gpu_s, refused = book.receipt[RECEIPT.index("gpu_s")], book.refused_by >= 0
    rows = []
    for tenant in told.factory.tenants:
        for project in project_facts(told.factory, tenant):
            budget = budget_of(project)
            if budget is None or project.name not in table.projects:
                continue
            mine = table.project == table.projects.index(project.name)
            used = float(gpu_s[mine].sum()) / S_PER_H
            rows.append(
                {
                    "project": project.name,
                    "tenant": tenant.name,
                    "access": project.access,
                    "budget_gpu_h": budget,
                    "used_gpu_h": used,
                    "used_share": used / budget,
                    "refused_jobs": int((mine & refused).sum()),
                }
            )
    return rows
