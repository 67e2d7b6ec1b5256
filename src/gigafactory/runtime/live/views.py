"""What is shown beside the state of things: what was started, the schedule, and what was delivered.

::

    starts      of every pool what was started last: who waits reads who was helped first
    schedule    per connection and market period of today and tomorrow: expected import, and the
                limit by what is known now, with its reason
    delivery    per limit that has ended: asked, metered before and during, delivered

and with each change of a piece of work, in words, what has happened to it so far. All of it is for
reading: nothing here is decided on or accounted. It is published when it changes, the schedule at
the latest every minute, and read back after a restart.

An order's delivery is counted against the mean import of the quarter of an hour before it began
(a baseline of the kind that grid operators call "meter before, meter after"; it is ours, and no
contract's). The import expected is that of now, carried on, held below the limit: work that will
arrive or end is not foreseen.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

from gigafactory.adapters.store.records import Work
from gigafactory.grid.ports import GridOrder, OrderKind
from gigafactory.jobs.ports import EndedView, JobView, Phase, WorkloadSnapshot
from gigafactory.planner.tick import TickDecision
from gigafactory.policy.rules import explain, rules
from gigafactory.runtime.live.orders import OPERATOR, Desk, Force
from gigafactory.runtime.live.parts import Parts
from gigafactory.runtime.live.readings import Power
from gigafactory.units import NS_PER_H, NS_PER_MIN, NS_PER_S

STARTS: Final = "starts"
SCHEDULE: Final = "schedule"
DELIVERY: Final = "delivery"
#: A market period: the imbalance settlement period, and since October 2025 the day-ahead's too.
PERIOD_NS: Final = 15 * NS_PER_MIN
#: The import before an order is the mean of so long.
BEFORE_NS: Final = 15 * NS_PER_MIN
_SCHEDULE_NS: Final = NS_PER_MIN
#: Starts kept per pool, deliveries per connection, and sentences per piece of work.
STARTS_KEPT: Final = 500
DELIVERIES_KEPT: Final = 200
TOLD_KEPT: Final = 20
_LIMITS: Final = (OrderKind.LIMIT, OrderKind.EMERGENCY)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SAID: Final = {
    Phase.HELD: "It waits",
    Phase.QUEUED: "It waits",
    Phase.RUNNING: "It was started",
    Phase.PAUSED: "It was paused",
}


@dataclass(slots=True)
class _Delivering:
    """A limit that holds.

    Attributes:
        order: it.
        before_mw: mean import of the quarter of an hour before; None where nothing was read.
        since_ns: from when it was watched.
        last_ns: of the latest reading.
        last_w: the latest reading.
        w_ns: integral of import, W x ns.
        over_ns: time above the limit.
        measured: whether a meter vouched for every reading.
    """

    order: GridOrder
    before_mw: float | None
    since_ns: int
    last_ns: int
    last_w: float
    w_ns: float = 0.0
    over_ns: int = 0
    measured: bool = True

    def read(self, power: Power, now_ns: int) -> None:
        """Count the time since the reading before; power runs straight between two."""
        end = min(now_ns, self.order.end_ns)
        took = max(end - self.last_ns, 0)
        self.w_ns += (self.last_w + power.power_w) / 2.0 * took
        if power.power_w > self.order.power_mw * 1e6:
            self.over_ns += took
        self.measured &= power.measured
        self.last_ns, self.last_w = max(end, self.last_ns), power.power_w

    def row(self) -> dict[str, Any]:
        """What came of it."""
        order, took = self.order, self.last_ns - self.since_ns
        mean_mw = self.w_ns / took / 1e6 if took > 0 else self.last_w / 1e6
        delivered = None
        if self.before_mw is not None:
            delivered = max(self.before_mw - mean_mw, 0.0) * took / NS_PER_H
        return {
            "source": order.source,
            "key": order.key,
            "kind": str(order.kind),
            "start": _stamp(order.start_ns),
            "end": _stamp(order.end_ns),
            "ended": _stamp(self.last_ns),
            "asked_mw": round(order.power_mw, 6),
            "baseline_mw": None if self.before_mw is None else round(self.before_mw, 6),
            "metered_mw": round(mean_mw, 6),
            "delivered_mwh": None if delivered is None else round(delivered, 9),
            "over_s": round(self.over_ns / NS_PER_S, 3),
            "measured": self.measured,
            "whole": self.since_ns <= order.start_ns + NS_PER_MIN,
        }


@dataclass(slots=True)
class Views:
    """What is shown beside the state of things; see the module."""

    _starts: dict[str, deque[dict[str, Any]]] = field(default_factory=dict)
    _told: dict[str, list[str]] = field(default_factory=dict)
    _phase: dict[str, tuple[Phase, str]] = field(default_factory=dict)
    _shown: tuple[Any, ...] = ()
    _shown_ns: int = 0
    _recent: dict[str, deque[tuple[int, float]]] = field(default_factory=dict)
    _delivering: dict[tuple[str, str], _Delivering] = field(default_factory=dict)
    _delivered: dict[str, deque[dict[str, Any]]] = field(default_factory=dict)
    _begun: bool = False

    def recall(self, works: Iterable[Work]) -> None:
        """Go on from what was told of pieces of work before a restart."""
        for work in works:
            told = work.detail.get("told")
            if isinstance(told, list | tuple):
                self._told[work.id] = [str(one) for one in told]

    # --- of a piece of work ----------------------------------------------------------------

    def detail(self, view: JobView, why: str, now_ns: int) -> dict[str, Any] | None:
        """What has happened to a job so far; None where nothing is new."""
        waits = view.phase is not Phase.RUNNING
        phase = Phase.QUEUED if view.phase is Phase.HELD else view.phase
        seen = (phase, why if waits else "")
        if self._phase.get(view.key) == seen:
            return None
        first = view.key not in self._phase and view.key in self._told
        self._phase[view.key] = seen
        sentence = _SAID[view.phase]
        if view.phase is Phase.RUNNING:
            again = f" again, for the {_nth(view.restarts)} time" if view.restarts else ""
            sentence += f"{again}, with {view.accelerators} accelerators"
        elif why:
            sentence += f": {_in_words(view, why)}"
        told = self._told.setdefault(view.key, [])
        if first and told and told[-1].partition(" ")[2] == sentence:
            return None  # said before a restart
        told.append(f"{_stamp(now_ns)} {sentence}")
        del told[:-TOLD_KEPT]
        return {"told": list(told)}

    def ending(self, end: EndedView) -> dict[str, Any]:
        """What happened to a job that has ended; it is let go of here."""
        told = self._told.pop(end.key, [])
        self._phase.pop(end.key, None)
        return {"told": [*told, f"{_stamp(end.end_ns)} It ended: {end.ending}"][-TOLD_KEPT:]}

    # --- of the whole ----------------------------------------------------------------------

    def show(
        self,
        parts: Parts,
        snapshots: Mapping[str, WorkloadSnapshot],
        decisions: Mapping[str, TickDecision],
        forces: Mapping[str, Force],
        imports: Mapping[str, Power],
        now_ns: int,
    ) -> None:
        """Publish what has changed.

        Args:
            parts: of the loop.
            snapshots: what each manager shows.
            decisions: of this tick, by pool.
            forces: limit in force per site.
            imports: import per site.
            now_ns: the present instant.
        """
        if not self._begun:
            self._begin(parts)
        views = {v.job: v for s in snapshots.values() for v in s.jobs}
        if self._note_starts(decisions, views, now_ns):
            body = {pool: list(rows) for pool, rows in self._starts.items()}
            parts.intake.publish(STARTS, {"pools": body})
        if self._deliver(parts.desk, imports, now_ns):
            body = {site: list(rows) for site, rows in self._delivered.items()}
            parts.intake.publish(DELIVERY, {"points": body})
        self._schedule(parts, forces, imports, now_ns)

    def _begin(self, parts: Parts) -> None:
        """Go on from what was last shown."""
        for kind, part, kept, most in (
            (STARTS, "pools", self._starts, STARTS_KEPT),
            (DELIVERY, "points", self._delivered, DELIVERIES_KEPT),
        ):
            last = parts.intake.shown(kind)
            rows = last.get(part) if last is not None else None
            for name, ones in rows.items() if isinstance(rows, Mapping) else ():
                kept.setdefault(name, deque(maxlen=most)).extend(ones)
        self._begun = not parts.intake.away

    def _note_starts(
        self, decisions: Mapping[str, TickDecision], views: Mapping[str, JobView], now_ns: int
    ) -> bool:
        new = False
        for pool, decision in decisions.items():
            kept = self._starts.setdefault(pool, deque(maxlen=STARTS_KEPT))
            for job in decision.starts:
                view = views.get(job)
                if view is None or not view.ours:
                    continue
                if any(one["key"] == view.key and one["submit_ns"] == view.submit_ns
                       and one["restarts"] == view.restarts for one in kept):  # fmt: skip
                    continue  # decided before, and on its way
                new = True
                kept.append(
                    {
                        "at_ns": now_ns,
                        "key": view.key,
                        "tenant": view.tenant,
                        "job_class": view.job_class,
                        "priority": view.priority,
                        "accelerators": view.accelerators,
                        "submit_ns": view.submit_ns,
                        "restarts": view.restarts,
                    }
                )
        return new

    def _deliver(self, desk: Desk, imports: Mapping[str, Power], now_ns: int) -> bool:
        """Follow every limit that holds; whether one has ended."""
        held = {
            (one.source, one.key): one
            for one in desk.standing(now_ns)
            if one.kind in _LIMITS and one.start_ns <= now_ns and one.point in imports
        }
        for name, order in held.items():
            if name not in self._delivering:
                power = imports[order.point]
                before = self._before_mw(order)
                self._delivering[name] = _Delivering(order, before, now_ns, now_ns, power.power_w)
        for site, power in imports.items():
            recent = self._recent.setdefault(site, deque())
            recent.append((now_ns, power.power_w))
            while recent[0][0] < now_ns - 2 * BEFORE_NS:
                recent.popleft()
        ended = False
        for name, one in list(self._delivering.items()):
            one.read(imports[one.order.point], now_ns)
            if name not in held:
                del self._delivering[name]
                kept = self._delivered.setdefault(one.order.point, deque(maxlen=DELIVERIES_KEPT))
                kept.append(one.row())
                ended = True
        return ended

    def _before_mw(self, order: GridOrder) -> float | None:
        recent = self._recent.get(order.point, ())
        begin = order.start_ns - BEFORE_NS
        found = [power_w for at, power_w in recent if begin <= at < order.start_ns]
        return sum(found) / len(found) / 1e6 if found else None

    def _schedule(
        self,
        parts: Parts,
        forces: Mapping[str, Force],
        imports: Mapping[str, Power],
        now_ns: int,
    ) -> None:
        """Publish the schedule when a limit changed, and every minute."""
        standing = [one for one in parts.desk.standing(now_ns) if one.kind in _LIMITS]
        shown = (
            *((site, force.key) for site, force in forces.items()),
            *((one.source, one.key, one.end_ns) for one in standing),
        )
        if shown == self._shown and now_ns - self._shown_ns < _SCHEDULE_NS:
            return
        self._shown, self._shown_ns = shown, now_ns
        points = {
            site: _periods(parts.desk, site, force, imports[site], standing, now_ns)
            for site, force in forces.items()
        }
        parts.intake.publish(
            SCHEDULE,
            {"points": points, "expected": "the import of now, carried on, below the limit"},
        )


def _periods(
    desk: Desk,
    site: str,
    force: Force,
    power: Power,
    standing: Sequence[GridOrder],
    now_ns: int,
) -> list[dict[str, Any]]:
    """The market periods of today and tomorrow that have not passed, by the site's calendar."""
    rules_of = desk.points[site]
    zone = ZoneInfo(rules_of.timezone)
    today = dt.datetime.fromtimestamp(now_ns // NS_PER_S, zone).date()
    last = dt.datetime.combine(today + dt.timedelta(days=2), dt.time(), tzinfo=zone)
    until = int((last - _EPOCH).total_seconds()) * NS_PER_S
    lead = int(rules_of.lead_s * NS_PER_S)
    own = [one for one in standing if one.point == site]
    found = []
    for begin in range(now_ns // PERIOD_NS * PERIOD_NS, until, PERIOD_NS):
        end = begin + PERIOD_NS
        limit_mw, why, source = rules_of.firm_mw, "the firm right", ""
        for one in own:
            holds = one.start_ns - lead < end and one.end_ns > max(begin, now_ns)
            if holds and one.power_mw < limit_mw:
                limit_mw, why, source = one.power_mw, f"{one.kind} of {one.source}", one.source
        if begin <= now_ns and force.limit_mw < limit_mw:
            limit_mw, why = force.limit_mw, force.why
            source = force.key.partition(":")[0]
        found.append(
            {
                "start": _stamp(begin),
                "end": _stamp(end),
                "import_mw": round(min(power.power_w / 1e6, limit_mw), 6),
                "limit_mw": round(limit_mw, 6),
                "why": why,
                "source": source or ("" if why == "the firm right" else OPERATOR),
            }
        )
    return found


def _in_words(view: JobView, why: str) -> str:
    """A reason of the scheduler as a sentence, other reasons as they are."""
    name, _, node = why.partition(":")
    rule = f"wait_{name.lower()}"
    if rule not in rules():
        return why
    return explain(rule, "en", node=node or view.tenant, asked=view.accelerators)


def _nth(restarts: int) -> str:
    return {1: "second", 2: "third"}.get(restarts, f"{restarts + 1}th")


def _stamp(instant_ns: int) -> str:
    """An instant as text in UTC, to the millisecond."""
    at = _EPOCH + dt.timedelta(microseconds=instant_ns // 1000)
    return at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
