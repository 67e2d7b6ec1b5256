"""The store as the loop uses it: what came, what is told back, and what happens when it is away.

No call here raises for a store in trouble. What is to be told waits in memory and is told when the
store is back; what is to be read is then read from where it was left. A store that hangs is tried
again only every few seconds, because every try may take its whole time limit out of a tick.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gigafactory.adapters.store.errors import StaleLeader, StoreTrouble
from gigafactory.adapters.store.records import (
    ENDED,
    Request,
    RequestState,
    Verdict,
    Work,
    WorkChange,
    WorkState,
)
from gigafactory.engine.errors import BadInput, refuse
from gigafactory.grid.ports import GridOrder
from gigafactory.jobs.ports import WorkOrder
from gigafactory.units import NS_PER_S

_NO_ANSWER: Final = "no answer"
#: A store in trouble is tried again after so long.
_RETRY_NS: Final = 3 * NS_PER_S
#: Work taken up, and changes told, in one tick at most.
_AT_ONCE: Final = 500
#: Requests of operators that the loop carries out; the others are for the channels.
OURS: Final = frozenset({"limit", "withdraw_limit", "drain", "undrain", "override"})
_FIELDS: Final = (
    "job_class",
    "accelerators",
    "nodes",
    "walltime_s",
    "priority",
    "script",
    "name",
    "pool",
    "accelerators_min",
)


class Replaced(Exception):  # noqa: N818  (it says what happened)
    """Another controller leads; this one must stop at once."""


@dataclass(slots=True)
class Intake:
    """The loop's side of the store.

    Attributes:
        store: `adapters.store.Store`; None where there is none (tests, a first look).
        lease: proves that this controller leads.
        away: why the store cannot be used now; empty when all is well.
        seq: the last order read.
    """

    store: Any
    lease: Any = None
    away: str = ""
    seq: int = 0
    _try_ns: int = 0
    _now_ns: int = 0
    _changes: dict[str, WorkChange] = field(default_factory=dict)
    _told: dict[str, tuple[WorkState, str]] = field(default_factory=dict)
    _verdicts: list[tuple[str, str, Verdict, str, int]] = field(default_factory=list)
    _alarms: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    _clears: dict[tuple[str, str], int] = field(default_factory=dict)
    _open: set[tuple[str, str]] = field(default_factory=set)

    def begin(self, now_ns: int) -> None:
        """A tick begins: a store in trouble may be due for another try."""
        self._now_ns = now_ns
        if self.away and now_ns >= self._try_ns:
            self.away = ""

    def leads(self, name: str, who: str) -> None:
        """Make sure that this controller still leads.

        Raises:
            Replaced: another one does.
        """
        if self.store is None or self.lease is None:
            return
        held = self._ask(lambda: bool(self.lease.held()), None)
        if held is False:
            again = self._ask(lambda: self.store.lead(name, self._now_ns, who), _NO_ANSWER)
            if again is None:
                raise Replaced(name)
            if again != _NO_ANSWER:
                self.lease = again

    # --- what came -------------------------------------------------------------------------

    def new_orders(self) -> tuple[GridOrder, ...]:
        """Grid orders that came since the last look, in order of arrival."""
        found = self._ask(lambda: self.store.orders_after(self.seq, _AT_ONCE), [])
        if found:
            self.seq = found[-1][0]
        return tuple(order for _, order in found)

    def catch_up(self, now_ns: int) -> tuple[GridOrder, ...]:
        """Orders taken before that hold or will hold; those judged already are not read again."""
        found: list[GridOrder] = []
        while rows := self._ask(lambda: self.store.orders(after=self.seq), []):
            for row in rows:
                if row.verdict is Verdict.WAITING:
                    return tuple(found)
                self.seq = row.seq
                if row.verdict is Verdict.TAKEN and row.order.end_ns > now_ns:
                    found.append(row.order)
        return tuple(found)

    def settled_overrides(self) -> list[Request]:
        """Overrides that were carried out, in order of time."""
        found = list[Request]()
        after: str | None = None
        while rows := self._settled(after):
            found += [row for row in rows if row.kind == "override"]
            after = rows[-1].id
        return found

    def _settled(self, after: str | None) -> list[Request]:
        states = (RequestState.DONE,)
        return list(self._ask(lambda: self.store.requests(states=states, after=after), []))

    def life(self, channels: Iterable[str]) -> dict[str, int]:
        """When each channel was last known to be well, ns UTC."""
        found = {}
        for name in channels:
            told = self._ask(lambda one=name: self.store.published(f"channel:{one}"), None)  # type: ignore[misc]
            if told is not None and not told[1].get("trouble"):
                found[name] = int(told[0])
        return found

    def told(self, kind: str) -> tuple[int, Mapping[str, Any]] | None:
        """What was last published of a kind, and when; None where it never was, or nobody says."""
        found: tuple[int, Mapping[str, Any]] | None
        found = self._ask(lambda: self.store.published(kind), None)
        return found

    def told_ns(self, kind: str) -> int:
        """When something was last published, ns UTC; 0 where it never was."""
        found = self.told(kind)
        return int(found[0]) if found is not None else 0

    def shown(self, kind: str) -> Mapping[str, Any] | None:
        """What was last published of a kind; None where it never was."""
        told = self._ask(lambda: self.store.published(kind), None)
        return None if told is None else dict(told[1])

    def unplaced(self) -> list[Work]:
        """Work that tenants asked for and that is with no manager yet."""
        return list(self._ask(lambda: self.store.unplaced(_AT_ONCE), []))

    def cancels(self) -> list[Work]:
        """Work whose end was asked for."""
        return list(self._ask(lambda: self.store.cancels(_AT_ONCE), []))

    def placed(self, after: str | None) -> list[Work]:
        """A page of work that should be with a manager, by id."""
        states = (WorkState.PLACED, WorkState.RUNNING, WorkState.PAUSED)
        return list(
            self._ask(lambda: self.store.list_work(states=states, after=after, limit=1000), [])
        )

    def work(self, id: str) -> Work | None:  # noqa: A002  (the store's word)
        """One piece of work."""
        found: Work | None = self._ask(lambda: self.store.work(id), None)
        return found

    def requests(self) -> list[Request]:
        """Requests of operators that the loop carries out."""
        rows = self._ask(lambda: self.store.requests(states=(RequestState.ASKED,)), [])
        return [row for row in rows if row.kind in OURS]

    # --- what is told ----------------------------------------------------------------------

    def judged(self, order: GridOrder, taken: bool, why: str) -> None:
        """Say what became of an order."""
        verdict = Verdict.TAKEN if taken else Verdict.REFUSED
        self._verdicts.append((order.source, order.key, verdict, why, self._now_ns))

    def settle(self, request: Request, done: bool, outcome: str) -> None:
        """Say what became of a request; tried once, the request stands until it is settled."""
        state = RequestState.DONE if done else RequestState.REFUSED
        self._ask(
            lambda: self.store.settle_request(request.id, state, outcome, self._now_ns, self.lease),
            None,
        )

    def note(self, change: WorkChange) -> None:
        """Say where a piece of work stands, where it changed."""
        why = change.why or ""
        if self._told.get(change.id) == (change.state, why):
            return
        self._told[change.id] = (change.state, why)
        self._changes[change.id] = change
        if change.state in ENDED:
            self._told.pop(change.id, None)

    def alarm(self, kind: str, key: str, text: str) -> None:
        """Raise an alarm."""
        self._clears.pop((kind, key), None)
        self._alarms[kind, key] = (text, self._now_ns)

    def clear(self, kind: str, key: str) -> None:
        """What an alarm was about has passed; one not told yet is told with its end."""
        if (kind, key) in self._alarms or (kind, key) in self._open:
            self._clears[kind, key] = self._now_ns

    def recall_alarms(self, kinds: Collection[str]) -> None:
        """Alarms of these kinds that a controller before us left open."""
        for row in self._ask(lambda: self.store.alarms(open_only=True), []):
            if row.kind in kinds:
                self._open.add((row.kind, row.key))

    def clear_others(self, kinds: Collection[str], still: Collection[tuple[str, str]]) -> None:
        """Clear what is open of these kinds and is not the case any more."""
        for kind, key in self._open:
            if kind in kinds and (kind, key) not in still:
                self.clear(kind, key)

    def publish(self, kind: str, body: Mapping[str, Any]) -> None:
        """Show the latest state; what is not shown now is overtaken by the next."""
        self._ask(lambda: self.store.publish(kind, body, self._now_ns, self.lease), None)

    def flush(self) -> None:
        """Tell what waits."""
        if self._changes:
            some = list(self._changes.values())[:_AT_ONCE]
            self._ask(lambda: self.store.note_work(some, self.lease), None)
            if not self.away:
                for change in some:
                    if self._changes.get(change.id) is change:
                        del self._changes[change.id]
        for one in list(self._verdicts):
            self._ask(lambda told=one: self.store.judge_order(*told, self.lease), None)  # type: ignore[misc]
            if self.away:
                return
            self._verdicts.remove(one)
        for (kind, key), (text, at_ns) in list(self._alarms.items()):
            self._ask(
                lambda k=kind, q=key, t=text, a=at_ns: self.store.raise_alarm(k, q, t, a),  # type: ignore[misc]
                None,
            )
            if self.away:
                return
            self._open.add((kind, key))
            del self._alarms[kind, key]
        for (kind, key), at_ns in list(self._clears.items()):
            self._ask(lambda k=kind, q=key, a=at_ns: self.store.clear_alarm(k, q, a), None)  # type: ignore[misc]
            if self.away:
                return
            self._open.discard((kind, key))
            del self._clears[kind, key]

    def waiting(self) -> int:
        """How much waits to be told."""
        return len(self._changes) + len(self._verdicts) + len(self._alarms) + len(self._clears)

    def _ask(self, ask: Callable[[], Any], otherwise: Any) -> Any:
        if self.store is None or self.away:
            return otherwise
        try:
            return ask()
        except StaleLeader as error:
            raise Replaced(str(error)) from error
        except StoreTrouble as trouble:
            self.away = trouble.why or "it does not answer"
            self._try_ns = self._now_ns + _RETRY_NS
            return otherwise


def order_of(work: Work) -> WorkOrder:
    """What is handed to a manager for a piece of work.

    Raises:
        BadInput: the body is not that of an order.
    """
    try:
        told = {name: work.body[name] for name in _FIELDS if name in work.body}
        return WorkOrder(key=work.id, tenant=work.tenant, **told)
    except TypeError as error:
        raise refuse(f"work {work.id}", "body", None, str(error)) from None


def orders_of(works: Sequence[Work]) -> tuple[list[WorkOrder], list[tuple[Work, str]]]:
    """Orders of pieces of work, and those whose body is none, with the reason."""
    good, bad = [], []
    for work in works:
        try:
            good.append(order_of(work))
        except BadInput as error:
            bad.append((work, str(error)))
    return good, bad
