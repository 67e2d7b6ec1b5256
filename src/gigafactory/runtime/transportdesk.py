"""Hears the grid operator, offers it less import, proves what was delivered, and books the bills.

Everything heard, offered and settled goes into the journal: `congestion` frames for what was said,
`invoice` frames for money. What would have been taken is said when a call is given or an offer
made, by the rule of the contract, and never more than the rights let through; limits and proof
follow from it.
"""

from __future__ import annotations

import calendar as months
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput
from gigafactory.engine.journal import JSON, Journal
from gigafactory.factory.transport import SteeringContract
from gigafactory.grid import MarketCalendar
from gigafactory.grid.baseline import last_metered_mw, prove, schedule_mw, similar_days_mw
from gigafactory.grid.ports import Activation, Bid, Direction, Outcome, Product
from gigafactory.grid.venue import Need
from gigafactory.ledger import METERS, Book, Facts
from gigafactory.planner.energy import DayInput
from gigafactory.runtime.transport import Transport, told_of
from gigafactory.runtime.transportbill import month_bill, tariff_for
from gigafactory.runtime.wiring import World
from gigafactory.units import NS_PER_H, NS_PER_S

Array = npt.NDArray[np.float64]

_M = {name: i for i, name in enumerate(METERS)}
_LOAD = [_M[name] for name in ("it_wh", "cooling_wh", "auxiliary_wh", "losses_wh")]
#: Days whose highest load stands for what the work of a month reaches anyhow.
USUAL_DAYS = 28
KW_PER_MW = 1000.0
#: Share of the capacity offered below which an offer is not worth making; ours.
LEAST_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Order:
    """Less import that was ordered of a site.

    Attributes:
        key: of the call or order.
        kind: "steering" or "redispatch".
        site: number of the site.
        start: first period.
        stop: period after the last.
        asked_mw: less import than the baseline.
        baseline_mw: what would be taken without it, one value per period.
        price_eur_per_mwh: paid per MWh delivered.
    """

    key: str
    kind: str
    site: int
    start: int
    stop: int
    asked_mw: float
    baseline_mw: tuple[float, ...]
    price_eur_per_mwh: float

    def fields(self) -> list[Any]:
        """As plain values, for a snapshot."""
        return [
            *(self.key, self.kind, self.site, self.start, self.stop, self.asked_mw),
            *(list(self.baseline_mw), self.price_eur_per_mwh),
        ]

    @classmethod
    def of(cls, fields: list[Any]) -> Order:
        """Read back what `fields` gave."""
        key, kind, site, start, stop, asked, baseline, price = fields
        return cls(key, kind, site, start, stop, asked, tuple(baseline), price)


class TransportDesk:
    """The contracts of every connection of a run, as time goes by.

    Args:
        world: the wired factory.
        calendar: market periods of the run.
        journal: takes what is said and paid.
        book: posts what is paid.
        told: takes what is said, for the summary.
    """

    def __init__(
        self,
        world: World,
        calendar: MarketCalendar,
        journal: Journal,
        book: Book,
        told: list[dict[str, Any]],
    ) -> None:
        self.world, self.calendar = world, calendar
        self.journal, self.book, self.told = journal, book, told
        sites = len(world.sites)
        self.held = [(s, w.transport) for s, w in enumerate(world.sites) if w.transport is not None]
        self.idle = not self.held
        self.import_wh = np.zeros((calendar.periods, sites), np.int64)
        self.load_wh = np.zeros((calendar.periods, sites), np.int64)
        self._heard = [[0, 0] for _ in range(sites)]
        self._since_ns = calendar.begin_ns
        self.orders: list[Order] = []

    # --- hearing ------------------------------------------------------------------------------

    def hear(self, period: int) -> None:
        """Take in everything announced or called by the first instant of a period."""
        if self.idle:
            return
        now = int(self.calendar.start_ns[period])
        for s, held in self.held:
            held.now_ns[0] = now
            before = self._heard[s].copy()
            self._restrictions(s, held, now)
            if held.venue is not None and held.line.congestion is not None:
                for call in held.venue.activations(self._since_ns):
                    self._call(s, held, call, period, held.line.congestion.steering)
            if before != self._heard[s]:
                self._tell(s, held)
        self._since_ns = now + 1

    def _restrictions(self, s: int, held: Transport, now: int) -> None:
        at = self._heard[s]
        while at[0] < len(held.announced) and held.announced[at[0]].announced_ns <= now:
            one = held.announced[at[0]]
            part = held.part_mw[held.right_names.index(one.right)]
            span = self._span(one.start_ns, one.end_ns)
            part[span] = np.minimum(part[span], one.limit_mw)
            self._say(now, told_of(one, held.name))
            at[0] += 1
        while at[1] < len(held.refused) and held.refused[at[1]].restriction.announced_ns <= now:
            refusal = held.refused[at[1]]
            self._say(now, told_of(refusal.restriction, held.name, refusal.reason))
            at[1] += 1

    def _call(
        self,
        s: int,
        held: Transport,
        call: Activation,
        period: int,
        terms: SteeringContract | None,
    ) -> None:
        """A call at short notice: a limit below what was metered last before it was given."""
        assert terms is not None, "only a contract is called on"
        span = self._span(call.start_ns, call.end_ns)
        reason = ""
        if span.start >= span.stop:
            return
        if period == 0:
            reason = "nothing was metered before it"
        elif (held.asked_mw[span] > 0.0).any():
            reason = "less import is already sold for that time"
        baseline = np.zeros(0)
        if not reason:
            found = self._baseline(s, held, terms.baseline, span, period)
            reason, baseline = (found, baseline) if isinstance(found, str) else ("", found)
        fields = self._asked(held, "steering", call.key, (call.start_ns, call.end_ns))
        fields |= {"announced_ns": call.issued_ns, "power_mw": call.power_mw}
        fields |= {"price_eur_per_mwh": terms.price_eur_per_mwh, "reason": reason}
        self._say(held.now_ns[0], fields | {"accepted": not reason})
        if reason:
            return
        self._order(
            held,
            Order(
                *(call.key, "steering", s, span.start, span.stop, call.power_mw),
                *(tuple(baseline.tolist()), terms.price_eur_per_mwh),
            ),
        )

    def _baseline(
        self, s: int, held: Transport, rule: str, span: slice, period: int
    ) -> Array | str:
        """What would be taken in some periods, by a rule that looks back; or why it cannot say.

        Args:
            s: the site.
            held: its contracts.
            rule: "last_metered" or "similar_days".
            span: the periods.
            period: the one that begins now; nothing is metered from it on.
        """
        before = self._import_mw(s, slice(0, self.calendar.periods))
        for order in self.orders:  # what was ordered already is no guide to what would have been
            past = slice(order.start, max(min(order.stop, period), order.start))
            before[past] = order.baseline_mw[: past.stop - past.start]
        if rule == "last_metered":
            found = last_metered_mw(before, np.arange(len(before)) >= period)[span]
        else:
            unknown = np.zeros(len(before), np.bool_)
            unknown[span] = True
            unknown |= self._same_times_today(span, period)
            try:
                found = similar_days_mw(before, unknown, self.calendar)[span]
            except BadInput:
                return "fewer than five similar days were metered before it"
        allowed = (held.firm_mw + held.part_mw.sum(axis=0))[span]
        return np.asarray(np.minimum(found, allowed))

    def _same_times_today(self, span: slice, period: int) -> npt.NDArray[np.bool_]:
        """Periods of today that are not metered yet and would count as a similar day."""
        day_of, hour = self.calendar.day_of, self.calendar.local_hour
        at = np.arange(self.calendar.periods)
        weekend = self.calendar.local_weekday >= 5
        today = (day_of == day_of[period]) & (at >= period) & (at < span.start)
        alike = weekend == weekend[span.start]
        return np.asarray(today & alike & np.isin(hour, hour[span]))

    def _order(self, held: Transport, order: Order) -> None:
        """Put an order into the limits.

        It never darkens nodes: below what the site draws at rest nothing is given, and what is
        missing then is charged.
        """
        self.orders.append(order)
        span = slice(order.start, order.stop)
        limit = np.array(order.baseline_mw) - order.asked_mw
        limit = np.maximum(limit, self._rest_mw(order.site, held.now_ns[0]))
        held.ordered_mw[span] = np.minimum(held.ordered_mw[span], limit)
        held.asked_mw[span] += order.asked_mw
        self._tell(order.site, held)

    def _rest_mw(self, s: int, now_ns: int) -> float:
        """What a site draws now with every node at rest."""
        twin, wire = self.world.twin, self.world.sites[s]
        now = int(np.searchsorted(self.calendar.start_ns, now_ns))
        it_w = sum(
            int(twin.pools[i].usable[now]) * twin.pools[i].kernel.spec.node_size * watt
            for i, watt in zip(wire.pools, wire.rest_w, strict=True)
        )
        return twin.sites[s].load_mw(now, it_w / 1e6)

    def _tell(self, s: int, held: Transport) -> None:
        self.world.twin.sites[s].rights_mw[:] = held.room_mw

    def _asked(
        self, held: Transport, what: str, key: str, times_ns: tuple[int, int]
    ) -> dict[str, Any]:
        fields: dict[str, Any] = {"what": what, "site": held.name, "key": key}
        fields["announced_ns"] = held.now_ns[0]
        return fields | {"start_ns": times_ns[0], "end_ns": times_ns[1]}

    def _say(self, now: int, fields: dict[str, Any]) -> None:
        self.journal.append("congestion", now, fields)
        self.told.append(fields)

    def _span(self, start_ns: int, end_ns: int) -> slice:
        """Periods of the run from one instant to another."""
        at = np.searchsorted(self.calendar.start_ns[:-1], [start_ns, end_ns]).tolist()
        return slice(*at)

    def _import_mw(self, s: int, span: slice) -> Array:
        hours = self.calendar.period_s * NS_PER_S / NS_PER_H
        return np.asarray(self.import_wh[span, s] / (1e6 * hours))

    # --- offering -----------------------------------------------------------------------------

    def wanted(self) -> list[tuple[int, Transport, Need]]:
        """Needs for redispatch that are told as a period begins."""
        found = []
        step = self.calendar.period_s * NS_PER_S
        for s, held in self.held:
            if held.venue is not None:
                since = held.now_ns[0] - step + 1
                found += [(s, held, need) for need in held.venue.told(since)]
        return found

    def offer(self, s: int, held: Transport, need: Need, day: int, x: DayInput) -> None:
        """Offer less import on a coming day, above what it costs the plan of that day.

        Two plans are made of what is known now: as things are, and with less import in the hours
        needed. What the second costs more (work put off, energy from the battery, trade that is
        undone) is the opportunity cost. An order that is taken becomes a limit.

        Args:
            s: the site.
            held: its contracts.
            need: what is wanted.
            day: the local day of the need.
            x: what a plan of that day would be made of, as known now.
        """
        assert held.line.congestion is not None
        terms = held.line.congestion.redispatch
        span = self._span(need.start_ns, need.end_ns)
        if terms is None or span.start >= span.stop:
            return
        fields = self._asked(held, "redispatch", need.key, (need.start_ns, need.end_ns))
        now = int(np.searchsorted(self.calendar.start_ns, held.now_ns[0]))
        rule = terms.baseline
        guess = None if rule == "schedule" else self._baseline(s, held, rule, span, now)
        found = guess if isinstance(guess, str) else self._priced(s, span, day, x, guess)
        if isinstance(found, str):
            none = {"power_mw": 0.0, "price_eur_per_mwh": 0.0, "accepted": False, "reason": found}
            self._say(held.now_ns[0], fields | none)
            return
        asked_mw, price, baseline = found
        bid = Bid(
            key=f"{held.name}-{need.key}",
            product=Product.REDISPATCH,
            direction=Direction.UP,
            start_ns=need.start_ns,
            end_ns=need.end_ns,
            power_mw=asked_mw,
            energy_price_eur_per_mwh=price,
        )
        assert held.venue is not None
        (receipt,) = held.venue.submit([bid])
        taken = receipt.outcome is Outcome.ACCEPTED
        fields |= {"power_mw": asked_mw, "price_eur_per_mwh": price}
        self._say(held.now_ns[0], fields | {"accepted": taken, "reason": receipt.reason})
        if taken:
            order = (need.key, "redispatch", s, span.start, span.stop, receipt.awarded_mw)
            self._order(held, Order(*order, tuple(baseline.tolist()), price))

    def _priced(
        self, s: int, span: slice, day: int, x: DayInput, guess: Array | None
    ) -> tuple[float, float, Array] | str:
        """Power, price and baseline of an offer; or why there is none.

        Args:
            s: the site.
            span: the periods needed.
            day: the local day they lie in.
            x: what a plan of that day is made of.
            guess: the baseline; None for the plan itself.
        """
        congestion = dict(self.held)[s].line.congestion
        assert congestion is not None
        assert congestion.redispatch is not None
        terms = congestion.redispatch
        planner = self.world.sites[s].planner
        first = self.calendar.day_slice(day).start
        steps = slice(span.start - first, span.stop - first)
        # a lower limit would also let work be slowed, which saves energy: that is not its cost
        x = replace(x, slow=planner.may_slow(x))
        plain = planner.plan(x)
        if plain.status != "optimal":
            return f"no plan to offer from: {plain.status}"
        baseline = plain.import_mw[steps] if guess is None else guess
        asked_mw = float(min(terms.capacity_mw, baseline.min()))
        if asked_mw < LEAST_SHARE * terms.capacity_mw:
            return "hardly anything is taken at that time"
        limit = x.limit_mw.copy()
        limit[steps] = np.minimum(limit[steps], baseline - asked_mw)
        less = planner.plan(replace(x, limit_mw=limit))
        if less.status != "optimal":
            return f"no plan with less import: {less.status}"
        hours = (span.stop - span.start) * self.calendar.period_s / 3600.0
        cost = max(less.objective_eur - plain.objective_eur, 0.0) / (asked_mw * hours)
        return asked_mw, cost + terms.margin_eur_per_mwh, baseline

    # --- metering and money -------------------------------------------------------------------

    def metered(self, period: int, facts: Facts) -> None:
        """Take in what was metered over a period."""
        if self.idle:
            return
        self.import_wh[period] = facts.meter[:, _M["import_wh"]]
        self.load_wh[period] = facts.meter[:, _LOAD].sum(axis=1)

    def close_day(self, day: int) -> None:
        """Settle what was ordered on a day, and post the bill when it ends a month or the run."""
        if self.idle:
            return
        span = self.calendar.day_slice(day)
        rows: list[JSON] = [row for order in self.orders for row in self._settled(order, span)]
        self.orders = [order for order in self.orders if order.stop > span.stop]
        dates = self.calendar.local_dates
        if day + 1 == len(dates) or dates[day + 1].month != dates[day].month:
            for s, held in self.held:
                rows += self._bill(s, held, day)
        if rows:
            end_ns = int(self.calendar.start_ns[span.stop])
            self.journal.append("invoice", end_ns, {"day": day, "rows": rows})
            self.book.day_invoices([dict(row) for row in rows if isinstance(row, Mapping)])

    def _settled(self, order: Order, day: slice) -> list[dict[str, Any]]:
        """Rows of an order for its periods of a day: paid for what was delivered, less charges."""
        span = slice(max(order.start, day.start), min(order.stop, day.stop))
        if span.start >= span.stop:
            return []
        held = dict(self.held)[order.site]
        assert held.line.congestion is not None
        steering, redispatch = held.line.congestion.steering, held.line.congestion.redispatch
        terms = steering if order.kind == "steering" else redispatch
        assert terms is not None
        metered = self._import_mw(order.site, span)
        called = np.ones(len(metered), np.bool_)
        given = np.array(order.baseline_mw[span.start - order.start : span.stop - order.start])
        proof = prove(
            Direction.UP,
            baseline_mw=schedule_mw(given, metered, called),
            metered_mw=metered,
            asked_mw=np.full(len(metered), order.asked_mw),
            hours=self.calendar.period_s / 3600.0,
            tolerance_share=terms.tolerance,
        )
        paid_mwh = np.clip(proof.delivered_mwh, 0.0, proof.asked_mwh)
        rows = []
        for k, period in enumerate(range(span.start, span.stop)):
            missing = float(proof.undelivered_mwh[k])
            earned = order.price_eur_per_mwh * float(paid_mwh[k])
            charged = order.price_eur_per_mwh * terms.penalty * missing
            row = self._row(order.site, "congestion", period, charged - earned, order.kind)
            row |= {"quantity": float(paid_mwh[k]), "unit": "MWh", "key": order.key}
            row |= {"asked": float(proof.asked_mwh[k]), "missing": missing}
            row |= {"earned_micro_eur": round(earned * 1e6)}
            rows.append(row)
        return rows

    def _row(self, s: int, account: str, period: int, eur: float, line: str) -> dict[str, Any]:
        money = {"account": account, "period": period, "micro_eur": round(eur * 1e6)}
        return {"site": s, "line": line, **money}

    def _bill(self, s: int, held: Transport, day: int) -> list[dict[str, Any]]:
        """Rows of the transport bill of the month that ends with a day."""
        line, dates = held.line, self.calendar.local_dates
        if line.tariff is None or not line.tariff.charged:
            return []
        first = next(
            (
                d
                for d in range(day + 1)
                if (dates[d].year, dates[d].month) == (dates[day].year, dates[day].month)
                and (line.energised is None or dates[d] >= line.energised)
            ),
            None,
        )
        if first is None:
            return []
        edges = self.calendar.day_edges
        span = slice(int(edges[first]), int(edges[day + 1]))
        bill = month_bill(
            line,
            self.calendar.timezone,
            dates[first : day + 1],
            held.firm_mw[edges[first : day + 1]],
            self._import_mw(s, span),
        )
        rows = []
        for one in bill.lines:
            row = self._row(s, "grid_tariff", span.stop - 1, one.amount_eur, one.name)
            row |= {"quantity": one.quantity, "unit": one.unit, "rate": one.rate}
            if one.name.startswith("kWmax"):
                row |= {"from": span.start, "peak_wh": int(self.import_wh[span, s].max())}
            rows.append(row)
        rows[0]["firm_instead_micro_eur"] = round(bill.firm_instead_eur * 1e6)
        return rows

    # --- what the plan feels ------------------------------------------------------------------

    def peak(self, s: int, day: int) -> tuple[float, float, bool]:
        """What the plan of a day must know of the month's peak.

        A peak that the work of the month reaches anyhow on some day is not worth avoiding on one.
        So the price is felt above the higher of the peak of the month so far and the mean of the
        highest loads (without the battery) of the last days; on the first day of a run, when
        nothing is known of them, not at all. And since a peak once reached is free for the rest of
        the month, it is spread over the days left of it.

        Returns:
            EUR per MW that the peak grows; MW above which it does; whether the next day begins
            another month.
        """
        held = self.world.sites[s].transport
        if held is None or held.line.tariff is None or not held.line.tariff.charged or day == 0:
            return 0.0, 0.0, False
        dates, edges = self.calendar.local_dates, self.calendar.day_edges
        tariff = tariff_for(held.line, held.line.tariff, dates[day])
        begin = day - (dates[day].day - 1)
        # what is still to come of the day planned is nought in it
        so_far = self.import_wh[int(edges[max(begin, 0)]) : int(edges[day + 1]), s].max(initial=0)
        days = range(max(day - USUAL_DAYS, 0), day)
        usual = np.mean([self.load_wh[edges[d] : edges[d + 1], s].max() for d in days])
        hours = self.calendar.period_s / 3600.0
        floor_mw = max(float(so_far), float(usual)) / (1e6 * hours)
        ends = day + 1 < len(dates) and dates[day + 1].month != dates[day].month
        left = months.monthrange(dates[day].year, dates[day].month)[1] - dates[day].day + 1
        return tariff.peak_eur_per_kw_month * KW_PER_MW / left, floor_mw, ends

    def with_peak(self, s: int, day: int, x: DayInput, beyond: npt.NDArray[np.bool_]) -> DayInput:
        """What a plan is made of, with the month's peak in it.

        Args:
            s: the site.
            day: the day planned, or what is left of it.
            x: what else it is made of.
            beyond: steps that lie behind that day, [T].
        """
        price, floor_mw, ends = self.peak(s, day)
        return replace(x, peak_eur_per_mw=price, peak_mw=floor_mw, other_month=beyond & ends)

    # --- snapshot -----------------------------------------------------------------------------

    def snapshot(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """What cannot be read back from the book."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        for s, held in self.held:
            arrays[f"transport{s}.part_mw"] = held.part_mw
            arrays[f"transport{s}.ordered_mw"] = held.ordered_mw
            arrays[f"transport{s}.asked_mw"] = held.asked_mw
        fields = {"heard": self._heard, "since_ns": self._since_ns}
        return arrays, fields | {"orders": [order.fields() for order in self.orders]}

    def restore(self, arrays: Any, fields: Any) -> None:
        """Put back what `snapshot` gave; what was metered comes from the book."""
        n = self.book.periods
        self.import_wh[:n] = self.book.meter[:n, :, _M["import_wh"]]
        self.load_wh[:n] = self.book.meter[:n][:, :, _LOAD].sum(axis=2)
        self._heard = [list(pair) for pair in fields["heard"]]
        self._since_ns = fields["since_ns"]
        self.orders = [Order.of(one) for one in fields["orders"]]
        for s, held in self.held:
            held.part_mw[...] = arrays[f"transport{s}.part_mw"]
            held.ordered_mw[...] = arrays[f"transport{s}.ordered_mw"]
            held.asked_mw[...] = arrays[f"transport{s}.asked_mw"]
            self._tell(s, held)


#: Makes what a coming day's plan would be made of, as known at a period: site, period, day.
DayMaker = Callable[[int, int, int], DayInput]

__all__ = ["DayMaker", "Order", "TransportDesk"]
