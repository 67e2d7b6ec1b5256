"""What was decided on a day, beside what happened: the day as it would have been, and as it was.

From the intents of the journal a day is made as it would have gone: a job runs from the instant it
was to be released or resumed until it was to be stopped, or has run as long as it really did. Until
the first intent about it a job does what it really did. Power is the metered one, plus or minus
what the jobs that differ draw by the model at full speed. On a live day the two lie seconds apart;
on a shadow day the difference is what acting would have brought.

In shadow nothing is carried out, so nobody asks for the end of a stop that never was: it is taken
to last until the limit of its site is raised or lifted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import refuse
from gigafactory.jobs.ports import Action
from gigafactory.runtime.live import frames as f
from gigafactory.runtime.live.days import JOURNAL, sound_frames
from gigafactory.runtime.live.metering import MW_NS_PER_UWH
from gigafactory.units import NS_PER_S

Ints = npt.NDArray[np.int64]

_ON: Final = frozenset({Action.RELEASE, Action.RESUME})
_OFF: Final = frozenset({Action.PAUSE, Action.REQUEUE, Action.HOLD, Action.CANCEL})
_STOPS: Final = frozenset({Action.PAUSE, Action.REQUEUE})
_OPENS: Final = frozenset({f.START, 2, f.RESUME})
_STOPPED: Final = frozenset({f.PAUSE, f.EVICT, f.PREEMPT})
_ENDS: Final = frozenset({f.FINISH, f.LIMIT, f.CANCEL, f.GONE})
_POOL: Final = {name: i for i, name in enumerate(f.POOL_COLUMNS)}
_SITE: Final = {name: i for i, name in enumerate(f.SITE_COLUMNS)}
_FOREVER: Final = 2**62


@dataclass(slots=True)
class _Job:
    """A job in both days.

    Attributes:
        name: our own, else the manager's.
        site, pool, group: numbers.
        submit_ns: when it was asked for, not before the day.
        ran: stretches in which it really ran.
        open_ns: begin of the stretch at hand; -1 while it does not run.
        width: accelerators.
        over_ns: when it really ended; -1 for not.
        told: what was to be done, in order: instant, whether to run, the action.
        stops: instants at which it was really stopped.
    """

    name: str
    site: int
    pool: int
    group: int
    submit_ns: int
    width: int
    ran: list[tuple[int, int]] = field(default_factory=list)
    open_ns: int = -1
    over_ns: int = -1
    told: list[tuple[int, bool, Action]] = field(default_factory=list)
    stops: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Day:
    """What the journal holds of a day, laid out."""

    begin: f.Begin
    jobs: dict[int, _Job] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    edges: list[int] = field(default_factory=list)
    pools: list[Ints] = field(default_factory=list)
    sites: list[Ints] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)
    orders: list[dict[str, Any]] = field(default_factory=list)
    recorded: bool = False
    starts: list[int] = field(default_factory=list)  # job numbers, in the order they really began
    ordered: list[int] = field(default_factory=list)  # in the order they were to begin
    _begins: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    def begins(self) -> Ints:
        """The begins of the intervals, ns UTC."""
        if len(self._begins) != len(self.pools):
            self._begins = np.array(self.edges[:-1], np.int64)
        return self._begins


def diff(folder: Path) -> dict[str, Any]:
    """Compare the day as decided with the day as it was.

    Args:
        folder: of a live day, shadow or live, running or ended.

    Returns:
        Plain values: `day`, `environment`, `decided` and `happened` (each with `starts`, `victims`,
        `waited_h`, `it_mwh`, `import_mwh`, `energy_eur`, `minutes_over`), `same_order`,
        `jobs` (one row per start: when it was to begin and when it began), `periods` (a row per
        market period and site), `minutes_kept` (over the limit in fact, and not as decided),
        `commands` by outcome, `orders`.

    Raises:
        BadInput: it is no day, or has not been metered at all.
        Damaged: its journal is not what was written.
    """
    journal = folder / JOURNAL
    if not journal.is_file():
        raise refuse(str(folder), "", None, f"is no folder of a live day: it holds no {JOURNAL}")
    day = _read(journal)
    if day is None or len(day.edges) < 2:
        raise refuse(str(journal), "", None, "holds nothing metered yet: nothing to compare")
    return _compare(day)


# --- reading ---------------------------------------------------------------------------------


def _read(journal: Path) -> _Day | None:
    day: _Day | None = None
    for raw in sound_frames(journal):
        frame = f.read(raw)
        if isinstance(frame, f.Begin):
            day = _Day(frame, edges=[frame.edges_ns[0]])
        elif day is None:
            return None
        elif isinstance(frame, f.WorkTaken):
            _work(day, frame)
        elif isinstance(frame, f.Moves):
            _moves(day, frame)
        elif isinstance(frame, f.IntentTold):
            _intent(day, frame, raw.tick_ns)
        elif isinstance(frame, f.Receipts):
            for answer in frame.answers:
                day.outcomes[answer.outcome] = day.outcomes.get(answer.outcome, 0) + 1
        elif isinstance(frame, f.OrderJudged):
            told = {"source": frame.source, "kind": frame.order_kind, "power_w": frame.power_w}
            more = {"start_ns": frame.start_ns, "end_ns": frame.end_ns, "why": frame.why}
            day.orders.append({**told, **more, "verdict": frame.verdict})
        elif isinstance(frame, f.Metered) and frame.to_ns > day.edges[-1]:
            if not day.pools:  # the first day of all begins when the controller does
                day.edges = [frame.from_ns]
            day.edges.append(frame.to_ns)
            day.pools.append(frame.pools)
            day.sites.append(frame.sites)
    return day


def _work(day: _Day, frame: f.WorkTaken) -> None:
    c = {name: frame.columns[name].tolist() for name in f.WORK}
    sites = [day.begin.sites.index(pool.site) for pool in day.begin.pools]
    for i, number in enumerate(c["job"]):
        if c["job_class"][i] < 0:
            continue  # not ours
        pool = max(c["pool"][i], 0)
        submit = max(c["submit_ns"][i], day.begin.edges_ns[0])
        name = frame.keys[i] or frame.native[i]
        asked = c["accelerators"][i]
        day.jobs[number] = _Job(name, sites[pool], pool, c["job_class"][i], submit, asked)
        for known in (frame.native[i], frame.keys[i]):
            if known:
                day.names[known] = number


def _moves(day: _Day, frame: f.Moves) -> None:
    c = {name: frame.columns[name].tolist() for name in f.MOVES}
    for i, number in enumerate(c["job"]):
        job, kind, t = day.jobs.get(number), c["kind"][i], c["t_ns"][i]
        if job is None:
            continue
        if kind in _OPENS:
            if not job.ran and job.open_ns < 0:
                day.starts.append(number)
            job.open_ns, job.width = t, c["width"][i]
        elif kind != f.SPEED:
            if job.open_ns >= 0:
                job.ran.append((job.open_ns, t))
                job.open_ns = -1
                if kind in _STOPPED:
                    job.stops.append(t)
            if kind in _ENDS:
                job.over_ns = t


def _intent(day: _Day, frame: f.IntentTold, at_ns: int) -> None:
    day.recorded = day.recorded or frame.only_recorded
    for command in frame.commands:
        number = day.names.get(command.target)
        if number is None or command.action not in (*_ON, *_OFF):
            continue
        job, action = day.jobs[number], Action(command.action)
        on = action in _ON
        if on and action is Action.RELEASE and number not in day.ordered:
            day.ordered.append(number)
        job.told.append((at_ns, on, action))


# --- the day as decided ----------------------------------------------------------------------


def _really(job: _Job, end_ns: int) -> list[tuple[int, int]]:
    """Stretches in which a job ran, the open one up to the end."""
    return [*job.ran, *([(job.open_ns, end_ns)] if job.open_ns >= 0 else [])]


def _decided(job: _Job, day: _Day, limits: Ints) -> list[tuple[int, int]]:
    """Stretches in which a job would have run.

    Args:
        job: of the day.
        day: of the job.
        limits: of its site, W, per interval; int64[intervals].
    """
    end_ns = day.edges[-1]
    really = _really(job, end_ns)
    if not job.told:
        return really
    first = job.told[0][0]
    out = [(a, min(b, first)) for a, b in really if a < first]
    ran = sum(b - a for a, b in out)
    need = sum(b - a for a, b in really) if job.over_ns >= 0 else _FOREVER
    changes = [(t, on) for t, on, _ in _changes(job, day, limits)]
    for (t, on), (until, _) in pairwise([*changes, (end_ns, False)]):
        stop = min(until, t + max(need - ran, 0))
        if on and stop > t:
            out.append((t, stop))
            ran += stop - t
    return out


def _changes(job: _Job, day: _Day, limits: Ints) -> list[tuple[int, bool, Action | None]]:
    """What was to be done, said once, and for each stop without an end that of its limit."""
    changes: list[tuple[int, bool, Action | None]] = []
    for i, (t, on, action) in enumerate(job.told):
        if not changes or changes[-1][1] != on:
            changes.append((t, on, action))
        after = job.told[i + 1] if i + 1 < len(job.told) else (_FOREVER, False, action)
        if day.recorded and action in _STOPS and not after[1]:
            lifted = _lifted(day, t, limits)
            if lifted < after[0]:
                changes.append((lifted, True, None))
    return changes


def _lifted(day: _Day, at_ns: int, limits: Ints) -> int:
    """When the limit behind a stop was what it had been before; never, where it was not."""
    edges = day.begins()
    i = max(int(np.searchsorted(edges, at_ns, side="right")) - 1, 0)
    before = np.flatnonzero(limits[: i + 1] > limits[i])
    wanted = limits[before[-1]] if len(before) else limits[i] + 1
    after = np.flatnonzero(limits[i:] >= wanted)
    return int(edges[i + after[0]]) if len(after) else _FOREVER


def _limits(day: _Day) -> Ints:
    """Limit of every site per interval, W; `_FOREVER` without one. int64[intervals, sites]."""
    limits = np.array([sites[:, _SITE["limit_w"]] for sites in day.sites])
    return np.where(limits < 0, _FOREVER, limits)


def _more_uwh(day: _Day, would: Mapping[int, list[tuple[int, int]]]) -> Ints:
    """Energy that would have been drawn more, micro-watt-hours, int64[intervals, pools]."""
    edges = np.array(day.edges, np.int64)
    out = np.zeros((len(edges) - 1, len(day.begin.pools)), np.int64)
    for number, stretches in would.items():
        job = day.jobs[number]
        really = _really(job, day.edges[-1])
        if stretches == really:
            continue
        pool = day.begin.pools[job.pool]
        watt = (pool.full_mw[job.group] - pool.idle_mw) * job.width
        for sign, some in ((1, stretches), (-1, really)):
            for a, b in some:
                i, j = np.searchsorted(edges, (a, b))
                i = max(int(i) - 1, 0)
                held = np.clip(edges[i : int(j) + 1], a, b)
                took = held[1:] - held[:-1]
                # nanoseconds of an interval times milliwatts stay below 2**63 when taken in us
                out[i : i + len(took), job.pool] += sign * (took // 1000 * watt // _MW_US)
    return out


_MW_US: Final = MW_NS_PER_UWH // 1000


# --- comparing -------------------------------------------------------------------------------


def _compare(day: _Day) -> dict[str, Any]:
    limits = _limits(day)
    would = {n: _decided(job, day, limits[:, job.site]) for n, job in day.jobs.items()}
    extra = _more_uwh(day, would)
    begin = day.begin
    site_of = [begin.sites.index(pool.site) for pool in begin.pools]
    pools, sites = np.stack(day.pools), np.stack(day.sites)
    it = np.zeros((len(pools), len(begin.sites)), np.int64)
    more = np.zeros_like(it)
    for p, s in enumerate(site_of):
        it[:, s] += pools[:, p, _POOL["it_uwh"]]
        more[:, s] += extra[:, p]
    taken = sites[:, :, _SITE["import_uwh"]]
    # a watt more of IT takes as much more at the connection as the watts that were there
    ratio = np.where(it > 0, taken / np.maximum(it, 1), 1.0)
    decided = taken + np.rint(more * np.maximum(ratio, 1.0)).astype(np.int64)
    price = np.where(sites[:, :, _SITE["priced"]] > 0, sites[:, :, _SITE["price_micro_eur"]], 0)
    edges = np.array(day.edges, np.int64)
    span = (edges[1:] - edges[:-1])[:, None]
    limit = sites[:, :, _SITE["limit_w"]]
    held = limit >= 0
    mean_w = decided / span * 3_600_000
    over = sites[:, :, _SITE["over_ns"]]
    # what really was over stays so unless less would have been drawn, and the other way round
    over_decided = np.where(more == 0, over, np.where(held & (mean_w > limit), span, 0))
    tables = {
        "happened": (it, taken, over),
        "decided": (it + more, decided, over_decided),
    }
    out: dict[str, Any] = {
        "day": begin.day,
        "environment": begin.environment,
        "timezone": begin.timezone,
        "until_ns": day.edges[-1],
    }
    for name, (its, imports, overs) in tables.items():
        out[name] = {
            **_jobs_told(day, would if name == "decided" else None, limits),
            "it_mwh": float(its.sum()) / 1e12,
            "import_mwh": float(imports.sum()) / 1e12,
            "energy_eur": float((imports / 1e12 * (price / 1e6)).sum()),
            "minutes_over": float(overs.sum()) / NS_PER_S / 60,
        }
    kept = np.where(held, np.maximum(over - over_decided, 0), 0)
    out["minutes_kept"] = float(kept.sum()) / NS_PER_S / 60
    out["same_order"] = _same_order(day)
    out["jobs"] = _rows(day, would)
    out["periods"] = _periods(day, tables, price, limit)
    out["commands"] = dict(sorted(day.outcomes.items()))
    out["orders"] = day.orders
    return out


def _first(stretches: Sequence[tuple[int, int]]) -> int:
    return stretches[0][0] if stretches else -1


def _jobs_told(
    day: _Day, would: Mapping[int, list[tuple[int, int]]] | None, limits: Ints
) -> dict[str, Any]:
    """Starts, victims and waiting time of one of the two days."""
    end = day.edges[-1]
    starts, waited, victims = 0, 0, []
    for number, job in day.jobs.items():
        stretches = _really(job, end) if would is None else would[number]
        first = _first(stretches)
        starts += first >= 0
        gone = job.over_ns if job.over_ns >= 0 and first < 0 else end
        waited += (first if first >= 0 else gone) - job.submit_ns
        stops = job.stops
        if would is not None:
            stops = [t for t, _, a in _changes(job, day, limits[:, job.site]) if a in _STOPS]
        victims += [(t, job.name) for t in stops]
    return {
        "starts": starts,
        "victims": [name for _, name in sorted(victims)],
        "waited_h": waited / NS_PER_S / 3600,
    }


def _same_order(day: _Day) -> bool:
    """Whether the jobs that were to begin and did began in the order they were to."""
    both = set(day.ordered) & set(day.starts)
    return [n for n in day.ordered if n in both] == [n for n in day.starts if n in both]


def _rows(day: _Day, would: Mapping[int, list[tuple[int, int]]]) -> list[dict[str, Any]]:
    """Jobs that were to begin or began: when, in the order they were to."""
    end = day.edges[-1]
    numbers = [*day.ordered, *(n for n in day.starts if n not in day.ordered)]
    rows = []
    for number in numbers:
        job = day.jobs[number]
        decided, happened = _first(would[number]), _first(_really(job, end))
        rows.append(
            {
                "job": job.name,
                "pool": day.begin.pools[job.pool].name,
                "accelerators": job.width,
                "submit_ns": job.submit_ns,
                "decided_ns": decided if decided >= 0 else None,
                "happened_ns": happened if happened >= 0 else None,
                "later_s": (happened - decided) / NS_PER_S
                if decided >= 0 and happened >= 0
                else None,
            }
        )
    return rows


def _periods(
    day: _Day, tables: Mapping[str, tuple[Ints, Ints, Any]], price: Ints, limit: Ints
) -> list[dict[str, Any]]:
    """A row per market period and site."""
    first, step = day.begin.edges_ns[0], day.begin.edges_ns[1] - day.begin.edges_ns[0]
    at = (np.array(day.edges[:-1], np.int64) - first) // step
    rows = []
    for k in np.unique(at).tolist():
        mine = at == k
        for s, name in enumerate(day.begin.sites):
            row: dict[str, Any] = {"start_ns": first + k * step, "site": name}
            some = limit[mine, s]
            row["limit_w"] = int(some[some >= 0].min()) if (some >= 0).any() else None
            for which, (its, imports, overs) in tables.items():
                row[which] = {
                    "it_mwh": float(its[mine, s].sum()) / 1e12,
                    "import_mwh": float(imports[mine, s].sum()) / 1e12,
                    "energy_eur": float((imports[mine, s] / 1e12 * price[mine, s] / 1e6).sum()),
                    "minutes_over": float(overs[mine, s].sum()) / NS_PER_S / 60,
                }
            rows.append(row)
    return rows


# --- words -----------------------------------------------------------------------------------

_COLUMNS: Final = (
    ("starts", "jobs started", "{:,.0f}"),
    ("victims", "jobs stopped", "{:,.0f}"),
    ("waited_h", "waiting time, h", "{:,.2f}"),
    ("it_mwh", "IT energy, MWh", "{:,.4f}"),
    ("import_mwh", "taken from the grid, MWh", "{:,.4f}"),
    ("energy_eur", "at the day-ahead price, EUR", "{:,.2f}"),
    ("minutes_over", "minutes over a limit", "{:,.2f}"),
)


def lines_of(found: Mapping[str, Any], *, shown: int = 20) -> Iterable[str]:
    """The comparison in words.

    Args:
        found: what `diff` gave.
        shown: rows of jobs to show at most.
    """
    shadow = found["environment"] == "shadow"
    zone = ZoneInfo(found["timezone"])

    def clock(t_ns: int | None) -> str:
        if t_ns is None:
            return "not"
        return f"{dt.datetime.fromtimestamp(t_ns // NS_PER_S, zone):%H:%M:%S}"

    would = "would have been" if shadow else "decided"
    yield f"{found['day']} ({found['environment']}), until {clock(found['until_ns'])}"
    yield ""
    yield f"{'':<30}{would:>18}{'was':>14}{'difference':>14}"
    for key, words, form in _COLUMNS:
        a, b = found["decided"][key], found["happened"][key]
        if isinstance(a, list):
            a, b = len(a), len(b)
        yield f"{words:<30}{form.format(a):>18}{form.format(b):>14}{form.format(a - b):>14}"
    yield ""
    rows = found["jobs"]
    if rows:
        yield f"{'job':<34}{'to begin':>10}{'began':>10}{'later, s':>12}"
    for row in rows[:shown]:
        later = "" if row["later_s"] is None else f"{row['later_s']:,.1f}"
        began, wanted = clock(row["happened_ns"]), clock(row["decided_ns"])
        yield f"{row['job'][:32]:<34}{wanted:>10}{began:>10}{later:>12}"
    if len(rows) > shown:
        yield f"and {len(rows) - shown} more; --json has them all"
    yield ""
    same = "as" if found["same_order"] else "not"
    yield (
        f"The jobs began {same} in the order decided."
        if same == "not"
        else ("The jobs began in the order decided.")
    )
    yield from _judged(found, shadow)


def _judged(found: Mapping[str, Any], shadow: bool) -> Iterable[str]:
    a, b = found["decided"], found["happened"]
    if found["minutes_kept"] > 0:
        yield (
            f"A limit was exceeded for {found['minutes_kept']:,.2f} minutes that "
            f"{'acting would have' if shadow else 'the decisions had'} kept."
        )
    if a["victims"] != b["victims"]:
        yield f"To be stopped: {_named(a['victims'])}. Stopped: {_named(b['victims'])}."
    saved = b["energy_eur"] - a["energy_eur"]
    if shadow and abs(saved) >= 0.005:
        yield f"Acting would have {'saved' if saved > 0 else 'cost'} {abs(saved):,.2f} EUR."
    refused = found["commands"].get("refused", 0), found["commands"].get("unknown", 0)
    if any(refused):
        yield f"{refused[0]} commands were refused, and of {refused[1]} no answer came at first."


def _named(names: Sequence[str], shown: int = 8) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


__all__ = ["diff", "lines_of"]
