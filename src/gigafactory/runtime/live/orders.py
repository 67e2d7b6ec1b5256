"""What grid parties say, held to the rules of its source; and the limit that is left.

Pure: no clock, no store, no channel. `Desk.hear` judges an order once; one that fails changes
nothing and names the rule it broke. `Desk.force` says what a connection may take at an instant, and
which order says so. Rules are looked at in this order, and the first that is broken is named:

==============  =====================================================================
malformed       a number or instant that is none
unknown_source  the settings know no such channel
unknown_point   the channel has no say about this connection, or there is none
kind            the channel may not give this kind of order
forged_key      a key heard before, with another content
clock           issued later than it was received, beyond the clocks' skew
stale           issued too long before it was received, or received too long ago
sequence        its counter does not follow the last one of its source
window          it has ended, ends before it begins, lasts too long or is too far ahead
late            announced after the hour that its contract names
bounds          below nothing, above the connection, beyond what was sold
rate            a setpoint that moves faster than what was sold can move
flood           more orders in a minute than the source may give
==============  =====================================================================

A lower limit holds at once; a higher one is approached with the factory's ramp.
"""

from __future__ import annotations

import datetime as dt
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from zoneinfo import ZoneInfo

from gigafactory.grid.calendar import instant_ns
from gigafactory.grid.ports import GridOrder, OrderKind
from gigafactory.grid.ramps import reached_mw
from gigafactory.units import NS_PER_MIN, NS_PER_S

ACCEPTED: Final = "accepted"
REFUSED: Final = "refused"
REPEATED: Final = "repeated"
#: The source that operators' own limits come by.
OPERATOR: Final = "operator"
#: Keys of past orders are kept so long, so that a replay is known for what it is.
_KEPT_NS: Final = 8 * 86_400 * NS_PER_S
#: So many refused orders are remembered at most.
_REFUSED_MAX: Final = 10_000
_EVERY: Final = frozenset(OrderKind)


@dataclass(frozen=True, slots=True)
class SourceRules:
    """What a channel may say, and how fresh it must be.

    Attributes:
        name: of the channel.
        points: connections it has a say about.
        kinds: what it may give.
        stale_s: longest from issue to now, s.
        skew_s: how far its clock may be ahead of ours, s.
        sequence: its orders carry a counter that must rise.
        ahead_s: how far ahead an order may begin, s.
        lasts_s: how long an order may last, s.
        day_ahead_h: local hour of the day before by which a limit must have been received; None
            where it may come at any time.
        silent_s: without a sign of life for so long the safe limit holds, s; 0 for never.
        hold_s: a setpoint holds no longer than this without a new one, s.
        rate_mw_per_min: fastest change of a setpoint; None for any.
        per_minute: most orders in a minute.
    """

    name: str
    points: frozenset[str]
    kinds: frozenset[OrderKind] = _EVERY
    stale_s: float = 300.0
    skew_s: float = 5.0
    sequence: bool = False
    ahead_s: float = 3 * 86_400.0
    lasts_s: float = 2 * 86_400.0
    day_ahead_h: float | None = None
    silent_s: float = 0.0
    hold_s: float = 60.0
    rate_mw_per_min: float | None = None
    per_minute: int = 600


@dataclass(frozen=True, slots=True)
class PointRules:
    """What holds at a connection whatever anybody says.

    Attributes:
        name: of the connection, as its site.
        connection_mw: what it can carry; no order lies above.
        firm_mw: import right now, where `rights_mw` says nothing.
        safe_mw: limit when a source that must speak is silent; at most the firm right.
        up_mw, down_mw: reserve sold: largest setpoint, importing less and importing more.
        ramp_mw_per_min: fastest rise after a release; None for any.
        timezone: of the local hours in rules.
        lead_s: a limit known before it begins holds so much earlier, to be there in time.
        rights_mw: import right from each instant on, (ns UTC, MW) ascending; empty for `firm_mw`
            always.
    """

    name: str
    connection_mw: float
    firm_mw: float
    safe_mw: float
    up_mw: float = 0.0
    down_mw: float = 0.0
    ramp_mw_per_min: float | None = None
    timezone: str = "Europe/Amsterdam"
    lead_s: float = 0.0
    rights_mw: tuple[tuple[int, float], ...] = ()

    def right_mw(self, at_ns: int) -> float:
        """Import that contracts allow at an instant, and within the lead after it, MW."""
        if not self.rights_mw:
            return self.firm_mw
        first = max(bisect_right(self.rights_mw, at_ns, key=lambda one: one[0]) - 1, 0)
        upto = at_ns + int(self.lead_s * NS_PER_S)
        return min(
            mw
            for k, (from_ns, mw) in enumerate(self.rights_mw[first:])
            if k == 0 or from_ns <= upto
        )

    def next_ns(self, at_ns: int) -> int | None:
        """When what contracts allow changes next, the lead taken off where it falls."""
        now, lead = self.right_mw(at_ns), int(self.lead_s * NS_PER_S)
        for from_ns, _ in self.rights_mw:
            for edge in (from_ns - lead, from_ns):
                if edge > at_ns and self.right_mw(edge) != now:
                    return edge
        return None


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of an order: accepted, refused (and the rule it broke) or repeated."""

    verdict: str
    rule: str = ""
    why: str = ""

    @property
    def alarming(self) -> bool:
        """Whether a person should know of it."""
        return self.verdict == REFUSED


@dataclass(frozen=True, slots=True)
class Force:
    """What a connection may take.

    Attributes:
        limit_mw: import at most.
        why: which order or right says so, in words.
        key: `source:key` of the order; empty for a right.
        next_ns: when this changes by what is known; None where nothing is.
        next_mw: the limit from then on.
        since_ns: since when the order that rules has held; 0 for a right.
    """

    limit_mw: float
    why: str
    key: str = ""
    next_ns: int | None = None
    next_mw: float = 0.0
    since_ns: int = 0


@dataclass(slots=True)
class _Heard:
    """What is remembered of a source."""

    keys: dict[str, GridOrder] = field(default_factory=dict)
    sequence: int = -1
    setpoint: GridOrder | None = None
    alive_ns: int = 0


class Desk:
    """Judges orders and remembers those that hold.

    Args:
        sources: rules by channel.
        points: connections by name.
    """

    def __init__(
        self, sources: Mapping[str, SourceRules], points: Mapping[str, PointRules]
    ) -> None:
        self.sources, self.points = dict(sources), dict(points)
        if OPERATOR not in self.sources:
            self.sources[OPERATOR] = SourceRules(
                OPERATOR, frozenset(points), lasts_s=400 * 86_400.0, ahead_s=400 * 86_400.0
            )
        self._heard = {name: _Heard() for name in self.sources}
        self._orders: dict[tuple[str, str], GridOrder] = {}
        self._allowed: dict[str, tuple[int, float]] = {}
        self._refused: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}

    # --- judging ---------------------------------------------------------------------------

    def hear(self, order: GridOrder, now_ns: int) -> Judged:
        """Judge an order, and keep it where it holds."""
        known = self._heard.get(order.source)
        before = known.keys.get(order.key) if known is not None else None
        if before is not None and _content(before) == _content(order):
            return Judged(REPEATED, why="heard before; nothing changes")
        name = order.source, order.key
        told = self._refused.get(name)
        if told is not None and told[1] == _content(order):
            return Judged(REPEATED, "refused", "refused before; nothing changes")
        broken = self._broken(order, now_ns)
        if broken is not None:
            rule, why = broken
            self._refused[name] = (now_ns, _content(order))
            return Judged(REFUSED, rule, why)
        self.adopt(order)
        return Judged(ACCEPTED)

    def adopt(self, order: GridOrder) -> None:
        """Take an order that was accepted before (after a restart), without judging it again."""
        heard = self._heard.get(order.source)
        if heard is None:
            return
        heard.keys[order.key] = order
        heard.sequence = max(heard.sequence, order.sequence)
        heard.alive_ns = max(heard.alive_ns, order.received_ns)
        if order.replaces:
            self._orders.pop((order.source, order.replaces), None)
        if order.kind is OrderKind.SETPOINT:
            last = heard.setpoint
            if last is None or (last.issued_ns, last.sequence) <= (order.issued_ns, order.sequence):
                heard.setpoint = order
        else:
            self._orders[order.source, order.key] = order

    def alive(self, source: str, at_ns: int) -> None:
        """A channel gave a sign of life."""
        if source in self._heard:
            self._heard[source].alive_ns = max(self._heard[source].alive_ns, at_ns)

    def forget(self, now_ns: int) -> None:
        """Let go of what can no longer matter."""
        self._orders = {k: o for k, o in self._orders.items() if o.end_ns > now_ns}
        self._refused = {k: r for k, r in self._refused.items() if r[0] > now_ns - _KEPT_NS}
        while len(self._refused) > _REFUSED_MAX:  # a flood of forgeries must not fill the memory
            del self._refused[next(iter(self._refused))]
        for heard in self._heard.values():
            old = [
                k for k, o in heard.keys.items() if max(o.end_ns, o.received_ns) < now_ns - _KEPT_NS
            ]
            for key in old:
                del heard.keys[key]

    def _broken(self, order: GridOrder, now_ns: int) -> tuple[str, str] | None:
        if not math.isfinite(order.power_mw) or not order.key:
            return "malformed", "its power is no number, or it has no key"
        rules = self.sources.get(order.source)
        if rules is None:
            return "unknown_source", f"the settings know no channel {order.source!r}"
        point = self.points.get(order.point)
        if point is None or order.point not in rules.points:
            return "unknown_point", f"{order.source} has no say about {order.point!r}"
        if order.kind not in rules.kinds:
            return "kind", f"{order.source} may not give a {order.kind}"
        heard = self._heard[order.source]
        if order.key in heard.keys:
            return "forged_key", "its key was heard before with another content"
        for check in (_fresh, _window, _late, _bounds):
            broken = check(order, rules, point, now_ns)
            if broken is not None:
                return broken
        if rules.sequence and order.sequence <= heard.sequence:
            why = f"its counter {order.sequence} does not follow {heard.sequence}"
            return "sequence", why
        return self._pace(order, rules, heard)

    def _pace(self, order: GridOrder, rules: SourceRules, heard: _Heard) -> tuple[str, str] | None:
        last = heard.setpoint
        rate = rules.rate_mw_per_min
        if order.kind is OrderKind.SETPOINT and rate is not None:
            before = last.power_mw if last is not None else 0.0
            since = last.issued_ns if last is not None else order.issued_ns - NS_PER_MIN
            minutes = max((order.issued_ns - since) / NS_PER_MIN, 1.0 / 60.0)
            if abs(order.power_mw - before) > rate * max(minutes, 1.0) + 1e-9:
                return "rate", f"it moves faster than {rate:g} MW a minute"
        recent = sum(o.received_ns > order.received_ns - NS_PER_MIN for o in heard.keys.values())
        if recent >= rules.per_minute:
            return "flood", f"more than {rules.per_minute} orders in a minute"
        return None

    # --- what holds ------------------------------------------------------------------------

    def silent(self, now_ns: int) -> tuple[str, ...]:
        """Channels that must speak and have not."""
        return tuple(
            name
            for name, rules in self.sources.items()
            if rules.silent_s > 0.0
            and now_ns - self._heard[name].alive_ns > rules.silent_s * NS_PER_S
        )

    def standing(self, now_ns: int) -> tuple[GridOrder, ...]:
        """Orders that hold or will hold, setpoints among them, by source and key."""
        found = [o for o in self._orders.values() if o.end_ns > now_ns]
        found += [h.setpoint for h in self._heard.values() if h.setpoint is not None]
        return tuple(sorted(found, key=lambda o: (o.source, o.key)))

    def asked_mw(self, point: str, now_ns: int) -> float:
        """Largest setpoint upward (importing less) that holds at a connection now, MW."""
        return max((o.power_mw for o in self._setpoints(point, now_ns)), default=0.0)

    def _setpoints(self, point: str, now_ns: int) -> list[GridOrder]:
        found = []
        for source, heard in self._heard.items():
            one = heard.setpoint
            if one is None or one.point != point:
                continue
            end = min(one.end_ns, one.issued_ns + int(self.sources[source].hold_s * NS_PER_S))
            if one.start_ns <= now_ns < end:
                found.append(one)
        return found

    def wanted(self, point: str, now_ns: int, baseline_mw: float = math.inf) -> Force:
        """What a connection may take at an instant, before any ramp.

        Args:
            point: the connection.
            now_ns: the instant, ns UTC.
            baseline_mw: import that a setpoint is counted from, MW; infinite where not known (a
                setpoint then has no effect).
        """
        rules = self.points[point]
        right_mw = rules.right_mw(now_ns)
        best = Force(right_mw, "the rights that hold now" if rules.rights_mw else "the firm right")
        for name in self.silent(now_ns):
            if point in self.sources[name].points and rules.safe_mw < best.limit_mw:
                best = Force(rules.safe_mw, f"{name} is silent: the safe limit")
        lead = int(rules.lead_s * NS_PER_S)
        edges = {at for at in (rules.next_ns(now_ns),) if at is not None}
        for order in self._orders.values():
            if order.point != point:
                continue
            begin = order.start_ns - lead
            edges.update(at for at in (begin, order.end_ns) if at > now_ns)
            if begin <= now_ns < order.end_ns and order.power_mw < best.limit_mw:
                best = Force(
                    order.power_mw,
                    f"{order.kind} of {order.source}",
                    f"{order.source}:{order.key}",
                    since_ns=begin,
                )
        for one in self._setpoints(point, now_ns) if math.isfinite(baseline_mw) else ():
            limit = max(baseline_mw - one.power_mw, 0.0)
            if one.power_mw > 0.0 and limit < best.limit_mw:
                told = f"setpoint of {one.source}: {one.power_mw:g} MW less than {baseline_mw:g}"
                key = f"{one.source}:{one.key}"
                best = Force(limit, told, key, since_ns=one.start_ns)
        if edges:
            at = min(edges)
            return replace(best, next_ns=at, next_mw=self._at(point, at).limit_mw)
        return best

    def allowed_mw(self, point: str, at_ns: int) -> float:
        """The limit at an instant by contracts and the limits known now, MW."""
        return self._at(point, at_ns).limit_mw

    def _at(self, point: str, at_ns: int) -> Force:
        """The limit at a later instant by limits alone, with nothing after it."""
        rules = self.points[point]
        lead = int(rules.lead_s * NS_PER_S)
        held = [
            o.power_mw
            for o in self._orders.values()
            if o.point == point and o.start_ns - lead <= at_ns < o.end_ns
        ]
        return Force(min([rules.right_mw(at_ns), *held]), "")

    def force(
        self,
        point: str,
        now_ns: int,
        baseline_mw: float = math.inf,
        also_ns: int | None = None,
    ) -> Force:
        """What a connection may take now, rising no faster than its ramp.

        Args:
            point: the connection.
            now_ns: the instant; never earlier than in a call before.
            baseline_mw: as for `wanted`.
            also_ns: another reading of the clock, where two disagree; the stricter limit holds.
        """
        found = self.wanted(point, now_ns, baseline_mw)
        if also_ns is not None:
            other = self.wanted(point, also_ns, baseline_mw)
            if other.limit_mw < found.limit_mw:
                found = replace(other, why=f"{other.why}, by the other clock")
        rate = self.points[point].ramp_mw_per_min
        last = self._allowed.get(point)
        limit = found.limit_mw
        if rate is not None and last is not None and limit > last[1]:
            at, before = last
            limit = reached_mw(before, limit, rate, max(now_ns - at, 0) / NS_PER_MIN)
            if limit < found.limit_mw:
                found = replace(found, limit_mw=limit, why=f"{found.why}, approached by the ramp")
        self._allowed[point] = (now_ns, limit)
        return found

    # --- keeping ---------------------------------------------------------------------------

    def ramps(self) -> dict[str, tuple[int, float]]:
        """Where each connection's ramp stands: (instant, MW)."""
        return dict(self._allowed)

    def set_ramps(self, told: Mapping[str, tuple[int, float]]) -> None:
        """Go on from there."""
        self._allowed = dict(told)


def _fresh(
    order: GridOrder, rules: SourceRules, _point: PointRules, now_ns: int
) -> tuple[str, str] | None:
    ahead = order.issued_ns - max(order.received_ns, now_ns)
    if ahead > rules.skew_s * NS_PER_S:
        return "clock", f"it was issued {ahead / NS_PER_S:.1f} s after it was received"
    age = max(now_ns, order.received_ns) - order.issued_ns
    if age > rules.stale_s * NS_PER_S:
        return "stale", f"it was issued {age / NS_PER_S:.1f} s ago; {rules.stale_s:g} s is the most"
    return None


def _window(
    order: GridOrder, rules: SourceRules, _point: PointRules, now_ns: int
) -> tuple[str, str] | None:
    if order.end_ns <= order.start_ns:
        return "window", "it ends before it begins"
    if order.end_ns <= now_ns:
        return "window", "it has ended"
    if order.end_ns - order.start_ns > rules.lasts_s * NS_PER_S:
        return "window", f"it lasts longer than {rules.lasts_s / 3600:g} h"
    if order.start_ns - now_ns > rules.ahead_s * NS_PER_S:
        return "window", f"it begins more than {rules.ahead_s / 3600:g} h ahead"
    return None


def _late(
    order: GridOrder, rules: SourceRules, point: PointRules, _now_ns: int
) -> tuple[str, str] | None:
    if rules.day_ahead_h is None or order.kind is not OrderKind.LIMIT:
        return None
    zone = ZoneInfo(point.timezone)
    begin = dt.datetime.fromtimestamp(order.start_ns / NS_PER_S, zone).date()
    hour, minute = divmod(round(rules.day_ahead_h * 60), 60)
    due = dt.datetime.combine(begin - dt.timedelta(days=1), dt.time(hour, minute), tzinfo=zone)
    if order.received_ns > instant_ns(due):
        return "late", f"it came after {hour:02d}:{minute:02d} on the day before"
    return None


def _bounds(
    order: GridOrder, _rules: SourceRules, point: PointRules, _now_ns: int
) -> tuple[str, str] | None:
    if order.kind is OrderKind.SETPOINT:
        if not -point.down_mw - 1e-9 <= order.power_mw <= point.up_mw + 1e-9:
            sold = f"{point.up_mw:g} MW up and {point.down_mw:g} MW down"
            return "bounds", f"{order.power_mw:g} MW lies outside what was sold, {sold}"
    elif not 0.0 <= order.power_mw <= point.connection_mw + 1e-9:
        most = f"0 and the connection's {point.connection_mw:g} MW"
        return "bounds", f"a limit of {order.power_mw:g} MW does not lie between {most}"
    return None


def as_plain(order: GridOrder) -> dict[str, Any]:
    """An order as plain values; power in whole W."""
    return {
        "source": order.source,
        "key": order.key,
        "order_kind": str(order.kind),
        "point": order.point,
        "power_w": round(order.power_mw * 1e6) if math.isfinite(order.power_mw) else 0,
        "issued_ns": order.issued_ns,
        "received_ns": order.received_ns,
        "start_ns": order.start_ns,
        "end_ns": order.end_ns,
        "sequence": order.sequence,
        "replaces": order.replaces,
    }


def _content(order: GridOrder) -> dict[str, Any]:
    """What an order says, whenever it came."""
    return {name: value for name, value in as_plain(order).items() if name != "received_ns"}


def from_plain(told: Mapping[str, Any]) -> GridOrder:
    """The order `as_plain` wrote."""
    return GridOrder(
        key=told["key"],
        source=told["source"],
        kind=OrderKind(told["order_kind"]),
        point=told["point"],
        power_mw=told["power_w"] / 1e6,
        issued_ns=told["issued_ns"],
        received_ns=told["received_ns"],
        start_ns=told["start_ns"],
        end_ns=told["end_ns"],
        sequence=told["sequence"],
        replaces=told["replaces"],
    )
