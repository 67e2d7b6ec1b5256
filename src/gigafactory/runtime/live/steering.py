"""What people and grid parties ask of the loop: orders judged, requests carried out and settled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gigafactory.adapters.store.records import Request
from gigafactory.grid.ports import GridOrder, OrderKind
from gigafactory.jobs.ports import (
    Action,
    Command,
    JobView,
    NodeAction,
    NodeCommand,
    Outcome,
    Receipt,
    WorkloadSnapshot,
)
from gigafactory.planner.tick import TickDecision
from gigafactory.runtime.live import frames
from gigafactory.runtime.live.acting import REDUCING, Wanted
from gigafactory.runtime.live.intake import Intake
from gigafactory.runtime.live.orders import ACCEPTED, OPERATOR, REPEATED, as_plain
from gigafactory.runtime.live.parts import Parts

#: An order that was refused is alarmed under this.
ORDER_REFUSED: Final = "order_refused"
_SECONDS_KEPT: Final = 8 * 86_400
_ACTIONS: Final = {
    "pause": Action.PAUSE,
    "resume": Action.RESUME,
    "requeue": Action.REQUEUE,
    "cancel": Action.CANCEL,
    "hold": Action.HOLD,
    "release": Action.RELEASE,
}
#: Stopped by an operator until an operator lets it go on.
_STOPS: Final = frozenset({"pause", "hold", "requeue"})
_GOES: Final = frozenset({"resume", "release"})
#: What lets a job go on.
_ON: Final = (Action.RELEASE, Action.RESUME)


def judge_orders(parts: Parts, now_ns: int) -> None:
    """Take in what came since the last tick; each order is judged once."""
    for name, at_ns in parts.intake.life(parts.channels).items():
        parts.desk.alive(name, at_ns)
    stored = parts.intake.new_orders()
    direct: list[GridOrder] = []
    for source in parts.sources:
        direct += source.orders(now_ns - _SECONDS_KEPT * 1_000_000_000)
        if not source.trouble(now_ns):
            for name in parts.desk.sources:
                if any(order.source == name for order in direct):
                    parts.desk.alive(name, now_ns)
    for order in (*stored, *direct):
        judge(parts, order, now_ns, kept=order in stored)


def judge(parts: Parts, order: GridOrder, now_ns: int, *, kept: bool) -> tuple[bool, str]:
    """Judge one order, write and tell the verdict; whether it holds, and why not.

    Args:
        parts: of the loop.
        order: what was said.
        now_ns: the present instant.
        kept: it stands in the store, which is told the verdict.
    """
    found = parts.desk.hear(order, now_ns)
    if found.verdict == REPEATED:
        if kept:
            parts.intake.judged(order, not found.rule, found.why)
        return not found.rule, found.why
    taken = found.verdict == ACCEPTED
    told = frames.OrderJudged(
        **as_plain(order), verdict=found.verdict, rule=found.rule, why=found.why
    )
    parts.book.write(now_ns, told)
    if kept:
        parts.intake.judged(order, taken, found.why)
    if not taken:
        why = f"an order of {order.source} was refused ({found.rule}): {found.why}"
        parts.intake.alarm(ORDER_REFUSED, f"{order.source}:{found.rule}", why)
    return taken, found.why


@dataclass(slots=True)
class Requests:
    """Requests of operators and tenants that the loop carries out.

    Attributes:
        again: keys of work that a manager lost and that is handed over again.
        held: keys of work that an operator stopped; it does not go on until an operator says so.
    """

    again: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    _cancels: set[str] = field(default_factory=set)
    _overrides: dict[str, Request] = field(default_factory=dict)
    _nodes: dict[str, Request] = field(default_factory=dict)

    def take(self, parts: Parts, now_ns: int) -> None:
        """Read what was asked; limits hold at once."""
        self._cancels = {work.id for work in parts.intake.cancels()}
        for request in parts.intake.requests():
            match request.kind:
                case "limit":
                    self._limit(parts, request, now_ns)
                case "withdraw_limit":
                    self._withdraw(parts, request, now_ns)
                case "override":
                    self._overrides[request.id] = request
                    self._keep(request)
                case "drain" | "undrain":
                    self._nodes[request.target] = request
                case _:
                    pass

    def recall(self, settled: Iterable[Request]) -> None:
        """Learn from requests that were carried out what is still stopped; in order of time."""
        for request in settled:
            self._keep(request)

    def kept_back(self, decision: TickDecision, snapshot: WorkloadSnapshot) -> TickDecision:
        """A decision without what an operator has stopped."""
        if not self.held:
            return decision
        jobs = {v.job for v in snapshot.jobs if v.key in self.held}
        return replace(
            decision,
            starts=tuple(j for j in decision.starts if j not in jobs),
            resumes=tuple(j for j in decision.resumes if j not in jobs),
            steps=tuple((a, j) for a, j in decision.steps if a not in _ON or j not in jobs),
        )

    def _keep(self, request: Request) -> None:
        key, action = _work_of(request), str(request.body.get("action"))
        if action in _STOPS:
            self.held.add(key)
        elif action in _GOES:
            self.held.discard(key)

    def wanted(self, views: Mapping[str, JobView], brief: bool) -> list[Wanted]:
        """What of it is to be done to jobs that are there, by our key."""
        found = [
            Wanted(Action.CANCEL, views[key].job, "cancelled by its owner")
            for key in sorted(self._cancels)
            if key in views
        ]
        for request in self._overrides.values():
            key = _work_of(request)
            action = _ACTIONS.get(str(request.body.get("action")))
            if key in views and action is not None and (action in REDUCING or not brief):
                found.append(Wanted(action, views[key].job, f"by the operator: {request.reason}"))
        return found

    def done(self, sent: Sequence[Command], intake: Intake) -> None:
        """Settle the overrides whose command has gone out."""
        told = {(c.action, c.reason) for c in sent}
        for request in list(self._overrides.values()):
            action = _ACTIONS.get(str(request.body.get("action")))
            if action is None:
                intake.settle(request, False, "there is no such action")
                del self._overrides[request.id]
            elif (action, f"by the operator: {request.reason}") in told:
                intake.settle(request, True, "sent")
                del self._overrides[request.id]

    def nodes(self) -> list[tuple[NodeAction, str, str]]:
        """What is to be done to nodes."""
        return [
            (
                NodeAction.DRAIN if request.kind == "drain" else NodeAction.UNDRAIN,
                node,
                request.reason,
            )
            for node, request in self._nodes.items()
        ]

    def nodes_done(
        self, commands: Sequence[NodeCommand], receipts: Iterable[Receipt], intake: Intake
    ) -> None:
        """Settle what was asked of nodes."""
        for command, receipt in zip(commands, receipts, strict=True):
            request = self._nodes.get(command.node)
            if request is None or command.action not in (NodeAction.DRAIN, NodeAction.UNDRAIN):
                continue
            if receipt.outcome is not Outcome.UNKNOWN:
                intake.settle(
                    request, receipt.outcome is Outcome.ACCEPTED, receipt.reason or "done"
                )
                del self._nodes[command.node]

    def _limit(self, parts: Parts, request: Request, now_ns: int) -> None:
        order = _order_of(request, now_ns)
        if order is None:
            parts.intake.settle(request, False, "it says no power, or no end")
            return
        taken, why = judge(parts, order, now_ns, kept=False)
        parts.intake.settle(request, taken, why or "holds")

    def _withdraw(self, parts: Parts, request: Request, now_ns: int) -> None:
        before = next(
            (
                o
                for o in parts.desk.standing(now_ns)
                if o.source == OPERATOR and o.key == f"request:{request.target}"
            ),
            None,
        )
        if before is None:
            parts.intake.settle(request, False, "no such limit of an operator holds")
            return
        order = GridOrder(
            key=f"request:{request.id}",
            source=OPERATOR,
            kind=OrderKind.LIMIT,
            point=before.point,
            power_mw=parts.desk.points[before.point].connection_mw,
            issued_ns=now_ns,
            received_ns=now_ns,
            start_ns=now_ns,
            end_ns=max(before.end_ns, now_ns + 1),
            replaces=before.key,
        )
        taken, why = judge(parts, order, now_ns, kept=False)
        parts.intake.settle(request, taken, why or "withdrawn")


def _work_of(request: Request) -> str:
    return str(request.body.get("work") or request.target)


def _order_of(request: Request, now_ns: int) -> GridOrder | None:
    """An operator's limit as an order."""
    body: Mapping[str, Any] = request.body
    power, end = body.get("power_mw"), body.get("end_ns")
    if not isinstance(power, int | float) or not isinstance(end, int):
        return None
    start = body.get("start_ns")
    return GridOrder(
        key=f"request:{request.id}",
        source=OPERATOR,
        kind=OrderKind.LIMIT,
        point=request.target,
        power_mw=float(power),
        issued_ns=now_ns,
        received_ns=now_ns,
        start_ns=start if isinstance(start, int) else now_ns,
        end_ns=end,
    )
