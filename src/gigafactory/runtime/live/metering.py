"""From the frames of a live day to running integrals: who ran when, on what energy.

A job is billed by the difference of two readings. Per pool and class there is one reading: the
energy per accelerator at work since the day began, whole micro-watt-hours. It is advanced by what
was metered: the IT energy of the interval, less what resting nodes draw, divided over the classes
at work by their modelled power. What is not handed out so stands with the accelerators at rest, so
every micro-watt-hour that was metered is in exactly one account. Where no meter vouches for an
interval its model is used, and a second reading counts that part.

Everything is a whole number; the same frames give the same readings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import Problem
from gigafactory.ledger.facts import GROUP_COLUMNS, LEAVE
from gigafactory.ledger.facts import POOL_COLUMNS as BOOKED
from gigafactory.runtime.live import frames as f
from gigafactory.runtime.wiring import CLASSES

Ints = npt.NDArray[np.int64]

#: Parts of a micro-watt-hour in which a reading is kept between two changes of what runs.
FINE: Final = 1 << 20
#: Milliwatt times nanosecond in a micro-watt-hour.
MW_NS_PER_UWH: Final = 3_600_000_000
#: What a class of the journal is called in the ledger, where the names differ.
_ALIAS: Final = {"inference": "inference_batch"}
_FALLBACK: Final = CLASSES.index("research")
_OPENS: Final = frozenset({f.START, 2, f.RESUME})
_CLOSES: Final = frozenset({f.FINISH, f.LIMIT, f.PAUSE, f.EVICT, f.PREEMPT, f.FAIL, f.CANCEL})
_LEAVES: Final = frozenset({f.FINISH, f.LIMIT, f.CANCEL, f.GONE, f.FAIL})
_GROUP: Final = {name: i for i, name in enumerate(GROUP_COLUMNS)}
_BOOKED: Final = {name: i for i, name in enumerate(BOOKED)}
_POOL: Final = {name: i for i, name in enumerate(f.POOL_COLUMNS)}
_CLASS: Final = {name: i for i, name in enumerate(f.GROUP_COLUMNS)}
_SITE: Final = {name: i for i, name in enumerate(f.SITE_COLUMNS)}
_LOST: Final = {f.EVICT: "lost_ns", f.FAIL: "failed_ns", f.PREEMPT: "preempted_ns"}
#: Energy of a site that is split over the periods of an interval.
_ENERGY: Final = ("import_uwh", "export_uwh", "charge_uwh", "discharge_uwh")
#: What is kept of a site and period: its energy, how much of the import a meter vouches for, its
#: prices, time over the limit and energy beyond it.
SITE: Final = (*_ENERGY, "metered_uwh", "price_micro_eur", "carbon_mg", "priced", "over_ns",
               "beyond_uwh", "limit_w")  # fmt: skip
#: What is kept of a pool and period beside `ledger.facts`: energy of resting accelerators, how much
#: of all IT energy a meter vouches for, and the IT energy that the budget in force would allow.
POOL: Final = ("rest_uwh", "metered_uwh", "budget_uwh")
_S: Final = {name: i for i, name in enumerate(SITE)}


@dataclass(slots=True)
class Job:
    """A job of the day, as the journal tells it.

    Attributes:
        number: its number of the day.
        key: our own name for it; `native` the workload manager's, `name` its owner's.
        tenant, group, pool: numbers of tenant (-1 unknown), class (of the ledger) and pool.
        accelerators: asked for.
        submit_ns: when it was asked for.
        walltime_s: its limit.
        priority: 0 to 7.
        carried: whether it comes from the day before.
        foreign: whether it is not ours: not billed.
        width: accelerators it runs on now; 0 while it does not.
        held: accelerators of whole nodes that it holds, running or frozen.
        open_model_uwh: modelled reading at which its segment opened.
        modelled_uwh: of its energy, what no meter vouches for.
        ended: how it ended: an end state of the ledger; 0 while it has not.
        first_ns: when it first ran on this day; -1 for never.
    """

    number: int
    key: str
    native: str
    name: str
    tenant: int
    group: int
    pool: int
    accelerators: int
    submit_ns: int
    walltime_s: int
    priority: int
    carried: bool
    foreign: bool
    width: int = 0
    held: int = 0
    open_model_uwh: int = 0
    modelled_uwh: int = 0
    ended: int = 0
    first_ns: int = -1


class Row(NamedTuple):
    """A move for the ledger; the energy and modelled readings are those of its pool and class."""

    kind: int
    job: int
    t_ns: int
    energy_uwh: int
    model_uwh: int
    width: int
    lost_ns: int
    pool: int


class _Move(NamedTuple):
    t_ns: int
    kind: int
    job: int
    width: int
    lost_ns: int
    frozen: bool


class _Span(NamedTuple):
    """A stretch of an interval in which nothing changes."""

    begin: int
    end: int
    counts: tuple[int, ...]
    held: int


@dataclass(slots=True)
class _Meter:
    """The readings of a pool, and what runs in it."""

    counts: list[int]
    reading: list[int]
    model: list[int]
    rest: list[int]
    held: int = 0
    last: tuple[int, ...] = ()
    waiting: list[_Move] = field(default_factory=list)


class Correction(NamedTuple):
    """Late data of a meter.

    Attributes:
        period: number of the market period of the day.
        meter: `it_wh` of a pool, or `import_wh`, `export_wh`, `charge_wh`, `discharge_wh` of a
            site.
        place: the pool or site.
        delta_wh: to be added to what is booked.
        reason: in words.
        metered: whether the meter vouches for the period from now on.
    """

    period: int
    meter: str
    place: str
    delta_wh: int
    reason: str
    metered: bool = True


class Gather:
    """Takes the frames of a day in order; holds what the ledger's facts are made of.

    Args:
        corrections: late data of meters, known beforehand.

    Attributes:
        begin: the first frame; None before it.
        jobs: by their numbers of the day.
        rows: moves for the ledger, with readings, in order of time within each pool.
        problems: what in the journal does not fit together.
        until_ns: end of what has been metered.
        ended: whether the day is sealed.
        metered: whether anything has been metered.
        segments: closed so far.
        budgets_w: IT power allowed per pool by the latest intent, -1 for no limit.
    """

    def __init__(self, corrections: Sequence[Correction] = ()) -> None:
        self.corrections = tuple(corrections)
        self.begin: f.Begin | None = None
        self.jobs: dict[int, Job] = {}
        self.rows: list[Row] = []
        self.problems: list[Problem] = []
        self.until_ns = 0
        self.ended = False
        self.metered = False
        self.segments = 0
        self.budgets_w: tuple[int, ...] = ()

    # --- frames -------------------------------------------------------------------------------

    def take(self, frame: f.LiveFrame) -> None:
        """Take the next frame.

        Raises:
            ValueError: the first frame is no beginning.
        """
        if isinstance(frame, f.Begin):
            self._start(frame)
        elif self.begin is None:
            raise ValueError("the first frame of a day is its beginning")
        elif isinstance(frame, f.WorkTaken):
            self._work(frame)
        elif isinstance(frame, f.Moves):
            self._moves(frame)
        elif isinstance(frame, f.IntentTold):
            self.budgets_w = frame.budgets_w
        elif isinstance(frame, f.Metered):
            self._metered(frame)
        elif isinstance(frame, f.End):
            self.ended = True

    def _start(self, begin: f.Begin) -> None:
        self.begin = begin
        edges = begin.edges_ns
        self.first_ns, self.step_ns = edges[0], edges[1] - edges[0]
        self.periods = len(edges) - 1
        self.until_ns = edges[0]
        self.budgets_w = (-1,) * len(begin.pools)
        self.classes = [_class_of(name) for name in begin.classes]
        pools, groups = len(begin.pools), len(CLASSES)
        self.meters = [
            _Meter([0] * groups, [0] * groups, [0] * groups, [0] * groups) for _ in begin.pools
        ]
        self.group = np.zeros((self.periods, pools, groups, len(GROUP_COLUMNS)), np.int64)
        self.model = np.zeros((self.periods, pools, groups), np.int64)
        self.pool = np.zeros((self.periods, pools, len(BOOKED)), np.int64)
        self.energy = np.zeros((self.periods, pools, len(POOL)), np.int64)
        self.site = np.zeros((self.periods, len(begin.sites), len(SITE)), np.int64)
        self.site[:, :, _S["limit_w"]] = -1
        self._late = _late(self.corrections, begin)

    def _work(self, frame: f.WorkTaken) -> None:
        columns = {name: frame.columns[name].tolist() for name in f.WORK}
        for i, number in enumerate(columns["job"]):
            group, tenant = columns["job_class"][i], columns["tenant"][i]
            if number in self.jobs:  # told again: it is what it was
                self.jobs[number].native = frame.native[i]
                continue
            self.jobs[number] = Job(
                number,
                frame.keys[i],
                frame.native[i],
                frame.names[i],
                tenant,
                self.classes[group] if group >= 0 else _FALLBACK,
                max(columns["pool"][i], 0),
                columns["accelerators"][i],
                columns["submit_ns"][i],
                columns["walltime_s"][i],
                columns["priority"][i],
                bool(columns["carried"][i]),
                group < 0,
            )

    def _moves(self, frame: f.Moves) -> None:
        c = {name: frame.columns[name].tolist() for name in f.MOVES}
        for i, number in enumerate(c["job"]):
            job = self.jobs.get(number)
            if job is None:
                self._wrong(f"job {number}", "moves without having been taken up")
                continue
            if job.foreign or c["kind"][i] == f.SPEED:
                continue
            if job.held == 0 and c["pool"][i] >= 0:
                job.pool = c["pool"][i]
            move = _Move(
                c["t_ns"][i],
                c["kind"][i],
                number,
                c["width"][i],
                c["lost_ns"][i],
                bool(c["frozen"][i]),
            )
            self.meters[job.pool].waiting.append(move)

    def _metered(self, m: f.Metered) -> None:
        if not self.metered:  # the first day of all begins when the controller does
            self.until_ns = max(m.from_ns, self.until_ns)
            self.metered = True
        if m.from_ns != self.until_ns or m.to_ns <= m.from_ns:
            self._wrong("metered", f"an interval from {m.from_ns} does not follow {self.until_ns}")
            if m.to_ns <= self.until_ns:
                return
        edges = self._edges(m.from_ns, m.to_ns)
        for p, meter in enumerate(self.meters):
            self._interval(p, meter, m, edges)
        for s in range(len(m.sites)):
            self._site(s, m, edges)
        self.until_ns = m.to_ns

    def _wrong(self, what: str, why: str) -> None:
        if len(self.problems) < 100:
            assert self.begin is not None
            self.problems.append(Problem(f"journal of {self.begin.day}", what, "", why))

    # --- pools --------------------------------------------------------------------------------

    def _edges(self, begin: int, end: int) -> list[tuple[int, int, int]]:
        """The interval cut at the edges of market periods: period, begin, end."""
        first = self._period(begin)
        last = self._period(end - 1)
        if first == last:
            return [(first, begin, end)]
        cuts = [begin, *(self.first_ns + k * self.step_ns for k in range(first + 1, last + 1)), end]
        return [(first + k, a, b) for k, (a, b) in enumerate(pairwise(cuts))]

    def _period(self, t_ns: int) -> int:
        return min(max((t_ns - self.first_ns) // self.step_ns, 0), self.periods - 1)

    def _interval(
        self, p: int, meter: _Meter, m: f.Metered, edges: list[tuple[int, int, int]]
    ) -> None:
        """Advance the readings of a pool over an interval, and close and open segments in it."""
        spans, rows = self._walk(p, meter, m, edges)
        used = [0] * len(CLASSES)
        for span in spans:
            for g, n in enumerate(span.counts):
                used[g] += n * (span.end - span.begin)
        pool = m.pools[p].tolist()
        groups = self._groups(m.groups[p])
        it_uwh, measured = self._it(p, pool, edges)
        given = _given(pool, groups, used, it_uwh, self._idle_mw(p))
        out = 0
        metered = 0 if not measured else it_uwh
        for span in spans:
            k = self._period(span.begin)
            out += self._advance(p, k, meter, span, given, used, m.from_ns, measured)
            for row in rows.pop(span.end, ()):
                self._book(meter, row)
        self._spread(p, m, pool, groups, edges, (it_uwh - out, metered))
        begin_used = m.groups[p][:, _CLASS["used_ns"]].sum()
        if int(begin_used) != sum(used):
            why = f"{sum(used)} accelerator-ns ran by the moves, {int(begin_used)} by the readings"
            self._wrong(f"pool {p} until {m.to_ns}", why)

    def _idle_mw(self, p: int) -> int:
        assert self.begin is not None
        return self.begin.pools[p].idle_mw

    def _groups(self, rows: Ints) -> list[list[int]]:
        """Readings of the classes of the journal as those of the ledger."""
        out = [[0] * len(f.GROUP_COLUMNS) for _ in CLASSES]
        for c, row in enumerate(rows.tolist()):
            mine = out[self.classes[c]]
            for i, value in enumerate(row):
                mine[i] += value
        return out

    def _it(self, p: int, pool: list[int], edges: list[tuple[int, int, int]]) -> tuple[int, bool]:
        """IT energy of an interval, late data of its meter included, and whether it is metered."""
        it, measured = pool[_POOL["it_uwh"]], bool(pool[_POOL["measured"]])
        for k, begin, end in edges:
            found = self._late.get((k, "it_wh", p))
            if found is not None:
                it += self._part(found[0], k, begin, end)
                measured = measured or found[1]
        return it, measured

    def _part(self, whole: int, k: int, begin: int, end: int) -> int:
        """The part of an amount of a period that falls in a stretch of it; parts add up to it."""
        start = self.first_ns + k * self.step_ns
        return whole * (end - start) // self.step_ns - whole * (begin - start) // self.step_ns

    def _walk(
        self, p: int, meter: _Meter, m: f.Metered, edges: list[tuple[int, int, int]]
    ) -> tuple[list[_Span], dict[int, list[Row]]]:
        """Stretches of an interval between moves and edges, and the moves by instant."""
        due = [move for move in meter.waiting if move.t_ns <= m.to_ns]
        if not due and len(edges) == 1:
            counts = tuple(meter.counts)
            return [_Span(m.from_ns, m.to_ns, counts, meter.held)], {}
        meter.waiting = [move for move in meter.waiting if move.t_ns > m.to_ns]
        due.sort(key=lambda move: move.t_ns)
        cuts = {begin for _, begin, _ in edges} | {m.to_ns}
        cuts |= {max(move.t_ns, m.from_ns) for move in due}
        rows: dict[int, list[Row]] = {}
        spans: list[_Span] = []
        at, points = 0, sorted(cuts)
        for begin, end in pairwise(points):
            at = self._until(p, meter, due, at, (begin, m.from_ns), rows)
            spans.append(_Span(begin, end, tuple(meter.counts), meter.held))
        self._until(p, meter, due, at, (m.to_ns, m.from_ns), rows)
        if m.from_ns in rows:  # at the very start: the readings are those of now
            for row in rows.pop(m.from_ns):
                self._book(meter, row)
        return spans, rows

    def _until(
        self,
        p: int,
        meter: _Meter,
        due: list[_Move],
        at: int,
        now: tuple[int, int],
        rows: dict[int, list[Row]],
    ) -> int:
        """Carry out the moves up to an instant; returns the number of the next one."""
        instant, first = now
        while at < len(due) and max(due[at].t_ns, first) <= instant:
            move = due[at]._replace(t_ns=max(due[at].t_ns, first))
            row = self._move(p, meter, move)
            if row is not None:
                rows.setdefault(move.t_ns, []).append(row)
            at += 1
        return at

    def _move(self, p: int, meter: _Meter, move: _Move) -> Row | None:
        """What runs after a move; the row for the ledger, its readings still to be filled in."""
        job = self.jobs[move.job]
        k = self._period(move.t_ns)
        if move.lost_ns and move.kind in _LOST:
            self.group[k, p, job.group, _GROUP[_LOST[move.kind]]] += move.lost_ns
        if move.kind in _OPENS:
            if job.width:
                self._wrong(f"job {job.number}", "starts while it runs")
                return None
            meter.held -= job.held
            job.width, job.held, job.ended = move.width, self._held(p, move.width), 0
            meter.held += job.held
            meter.counts[job.group] += job.width
            return Row(move.kind, job.number, move.t_ns, 0, 0, move.width, 0, p)
        if move.kind in _LEAVES:
            job.ended = {f.CANCEL: 2, f.GONE: 2, f.FAIL: 3}.get(move.kind, 1)
        width, job.width = job.width, 0
        frozen = move.frozen and move.kind == f.PAUSE
        if not frozen or not job.held:  # first seen frozen, it holds its nodes from now on
            meter.held -= job.held
            job.held = self._held(p, move.width) if frozen else 0
            meter.held += job.held
        if width:
            meter.counts[job.group] -= width
            kind = f.FINISH if move.kind in (f.CANCEL, f.GONE) else move.kind
            return Row(kind, job.number, move.t_ns, 0, 0, width, move.lost_ns, p)
        if move.kind in _LEAVES:
            return Row(LEAVE, job.number, move.t_ns, 0, 0, 0, move.lost_ns, p)
        if move.kind not in _CLOSES:
            self._wrong(f"job {job.number}", f"has a move of unknown kind {move.kind}")
        return None

    def _held(self, p: int, width: int) -> int:
        assert self.begin is not None
        size = self.begin.pools[p].node_size
        return -(-width // size) * size if width >= size else width

    def _book(self, meter: _Meter, row: Row) -> None:
        """Keep a move with the readings of now, and what of its segment no meter vouches for."""
        job = self.jobs[row.job]
        energy, model = meter.reading[job.group], meter.model[job.group]
        self.rows.append(row._replace(energy_uwh=energy, model_uwh=model))
        if row.kind in _OPENS:
            job.open_model_uwh = model
            if job.first_ns < 0:
                job.first_ns = row.t_ns
        elif row.width:
            job.modelled_uwh += row.width * (model - job.open_model_uwh)
            self.segments += 1

    def _advance(
        self,
        p: int,
        k: int,
        meter: _Meter,
        span: _Span,
        given: list[int],
        used: list[int],
        from_ns: int,
        measured: bool,
    ) -> int:
        """Advance the readings over a stretch; returns the energy handed out, micro-watt-hours."""
        out, begin, end = 0, span.begin - from_ns, span.end - from_ns
        row = self.group[k, p]
        fresh = (span.begin - self.first_ns) % self.step_ns == 0
        for g, n in enumerate(span.counts):
            if not n:
                continue
            # between two changes of what runs, within a period, the remainder is kept: so a reading
            # never runs ahead of what was given
            whole = given[g] * FINE
            fine = whole * end // used[g] - whole * begin // used[g]
            fine += meter.rest[g] if not fresh and meter.last and meter.last[g] == n else 0
            step = fine // FINE
            meter.rest[g] = fine - step * FINE
            meter.reading[g] += step
            if not measured:
                meter.model[g] += step
            out += n * step
            row[g, _GROUP["used_ns"]] += n * (span.end - span.begin)
            row[g, _GROUP["used_uwh"]] += n * step
        meter.last = span.counts
        row[:, _GROUP["energy_uwh"]] = meter.reading
        row[:, _GROUP["running"]] = meter.counts
        self.model[k, p] = meter.model
        self.pool[k, p, _BOOKED["held_ns"]] += span.held * (span.end - span.begin)
        return out

    def _spread(
        self,
        p: int,
        m: f.Metered,
        pool: list[int],
        groups: list[list[int]],
        edges: list[tuple[int, int, int]],
        energy: tuple[int, int],
    ) -> None:
        """What an interval brought beside segments, over the market periods that it touches."""
        span = m.to_ns - m.from_ns
        budget = self.budgets_w[p]
        for k, begin, end in edges:
            a, b = begin - m.from_ns, end - m.from_ns

            def part(whole: int, a: int = a, b: int = b) -> int:
                return whole if b - a == span else whole * b // span - whole * a // span

            rest, metered = energy
            rows = self.energy[k, p]
            rows[0] += part(rest)
            rows[1] += part(metered)
            allowed = budget * (end - begin) // 3_600_000 if budget >= 0 else -1
            rows[2] += allowed if allowed >= 0 else part(pool[_POOL["it_uwh"]])
            row = self.pool[k, p]
            for name in ("installed_ns", "down_ns", "service_ns"):
                row[_BOOKED[name]] += part(pool[_POOL[name]])
            row[_BOOKED["held_ns"]] += part(pool[_POOL["foreign_ns"]])
            row[_BOOKED["queued"]] = pool[_POOL["queued"]]
            row[_BOOKED["queued_accelerators"]] = pool[_POOL["queued_accelerators"]]
            for g, values in enumerate(groups):
                mine = self.group[k, p, g]
                mine[_GROUP["work_ns"]] += part(values[_CLASS["work_ns"]])
                mine[_GROUP["paused_ns"]] += part(values[_CLASS["frozen_ns"]])

    # --- sites --------------------------------------------------------------------------------

    def _site(self, s: int, m: f.Metered, edges: list[tuple[int, int, int]]) -> None:
        """Energy of a site over the market periods of an interval; prices as last read."""
        read = dict(zip(f.SITE_COLUMNS, m.sites[s].tolist(), strict=True))
        span = m.to_ns - m.from_ns
        beyond = 0
        if read["limit_w"] >= 0:
            beyond = max(read["import_uwh"] - read["limit_w"] * span // 3_600_000, 0)
        for k, begin, end in edges:
            row = self.site[k, s]
            a, b = begin - m.from_ns, end - m.from_ns
            for name in _ENERGY:
                whole = read[name]
                amount = whole * b // span - whole * a // span
                late = self._late.get((k, name.replace("_uwh", "_wh"), s))
                measured = bool(read["measured"])
                if late is not None:
                    amount += self._part(late[0], k, begin, end)
                    measured = measured or late[1]
                row[_S[name]] += amount
                if name == "import_uwh" and measured:
                    row[_S["metered_uwh"]] += amount
            row[_S["over_ns"]] += read["over_ns"] * b // span - read["over_ns"] * a // span
            row[_S["beyond_uwh"]] += beyond * b // span - beyond * a // span
            row[_S["limit_w"]] = read["limit_w"]
            if read["priced"]:
                row[_S["price_micro_eur"]] = read["price_micro_eur"]
                row[_S["carbon_mg"]] = read["carbon_mg"]
                row[_S["priced"]] = 1


def _class_of(name: str) -> int:
    """Number in the ledger of a class of the journal; research for one it does not know."""
    known = _ALIAS.get(name, name)
    return CLASSES.index(known) if known in CLASSES else _FALLBACK


def _given(
    pool: list[int], groups: list[list[int]], used: list[int], it_uwh: int, idle_mw: int
) -> list[int]:
    """What of an interval's IT energy each class at work gets, micro-watt-hours.

    What resting nodes draw by the model is taken off first; the rest is divided by modelled power,
    work that is not ours among it (its part is handed to nobody).
    """
    at_work = [n * idle_mw // MW_NS_PER_UWH for n in used]
    active = [row[_CLASS["active_uwh"]] for row in groups]
    weight = [a + w if n else 0 for a, w, n in zip(active, at_work, used, strict=True)]
    foreign = pool[_POOL["foreign_ns"]] * idle_mw // MW_NS_PER_UWH
    resting = max(pool[_POOL["idle_uwh"]] - sum(at_work) - foreign, 0)
    others = max(pool[_POOL["model_uwh"]] - pool[_POOL["idle_uwh"]] - sum(active), 0) + foreign
    if not pool[_POOL["foreign_ns"]]:
        others = 0
    whole = sum(weight) + others
    left = max(it_uwh - resting, 0)
    return [left * w // whole if w else 0 for w in weight]


def _late(
    corrections: Sequence[Correction], begin: f.Begin
) -> dict[tuple[int, str, int], tuple[int, bool]]:
    """Late data by period, meter and number of its place, in micro-watt-hours."""
    pools = {pool.name: i for i, pool in enumerate(begin.pools)}
    sites = {name: i for i, name in enumerate(begin.sites)}
    found: dict[tuple[int, str, int], tuple[int, bool]] = {}
    for one in corrections:
        place = pools[one.place] if one.meter == "it_wh" else sites[one.place]
        key = one.period, one.meter, place
        before = found.get(key, (0, False))
        found[key] = before[0] + one.delta_wh * 10**6, before[1] or one.metered
    return found
