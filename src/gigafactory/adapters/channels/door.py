"""The door by which every grid message comes in: bounded, checked, kept, and only then answered.

::

    message -> Inbox (bounded) -> channel: form, signature -> Door.take: age, bounds, counter
            -> store -> acknowledged

What fails a check does nothing but raise an alarm. What passes is a claim still: the runtime holds
it to the rules of its source again. An order is in the store before its sender hears that it came,
so a crash between the two makes the sender repeat it, and the same key again changes nothing.

A **withdrawal** is an order that takes the place of another for what is left of its time and allows
the most the channel may ask for, the contracted power: nothing is held back any more.
"""

from __future__ import annotations

import collections
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from gigafactory.adapters.channels.settings import ChannelSettings
from gigafactory.adapters.store.errors import KeyConflict, StoreTrouble
from gigafactory.adapters.store.records import KeptOrder
from gigafactory.grid.ports import GridOrder, OrderKind
from gigafactory.units import NS_PER_S

#: An alarm of one kind is written at most this often, however many messages deserve it.
_ALARM_EVERY_NS = 5 * NS_PER_S
#: A message may make an alarm no longer than this.
_WORDS_MAX = 300
#: The published state of a channel goes under this and its name.
PUBLISHED = "channel:"
#: Under this the controller publishes what is metered: point to `metered_mw`, `up_mw`, `down_mw`
#: (what could be asked of it) and `import_wh` (a counter that only rises).
TELEMETRY = "telemetry"

Item = TypeVar("Item")


class Bad(StrEnum):
    """What can be wrong with a message; also the kind of its alarm."""

    MALFORMED = "malformed_message"
    FORGED = "forged_message"
    REPLAYED = "replayed_message"
    STALE = "stale_message"
    ABSURD = "absurd_message"
    FLOODED = "flooded_channel"
    SILENT = "silent_channel"


class Answer(StrEnum):
    """What became of an order at the door."""

    TAKEN = "taken"
    REPEATED = "repeated"  # it is there already; nothing changed
    REFUSED = "refused"
    LATER = "later"  # the store is away: not kept, so not to be acknowledged


class Keeper(Protocol):
    """What the door needs of the store."""

    def put_order(self, order: GridOrder, body: bytes = b"") -> bool: ...  # noqa: D102
    def orders(  # noqa: D102
        self, now_ns: int | None = None, *, source: str | None = None, after: int = 0
    ) -> Sequence[KeptOrder]: ...
    def publish(self, kind: str, body: Mapping[str, Any], at_ns: int) -> None: ...  # noqa: D102
    def published(self, kind: str) -> tuple[int, Mapping[str, Any]] | None: ...  # noqa: D102
    def raise_alarm(self, kind: str, key: str, text: str, at_ns: int) -> bool: ...  # noqa: D102
    def clear_alarm(self, kind: str, key: str, at_ns: int) -> bool: ...  # noqa: D102


class Inbox(Generic[Item]):
    """A bounded queue between a protocol's thread and the channel; the oldest makes way.

    Args:
        size: how many items it holds at most.
    """

    def __init__(self, size: int) -> None:
        self._size, self._items = size, collections.deque[Item]()
        self._changed = threading.Condition()

    def put(self, item: Item) -> Item | None:
        """Put an item; returns the one that had to make way, if any."""
        with self._changed:
            lost = self._items.popleft() if len(self._items) >= self._size else None
            self._items.append(item)
            self._changed.notify()
        return lost

    def back(self, item: Item) -> Item | None:
        """Put an item back in front; returns it when there is no room."""
        with self._changed:
            if len(self._items) >= self._size:
                return item
            self._items.appendleft(item)
        return None

    def get(self, wait_s: float) -> Item | None:
        """The oldest item, waiting for one so long; None when there is none."""
        with self._changed:
            if not self._items:
                self._changed.wait(wait_s)
            return self._items.popleft() if self._items else None

    def __len__(self) -> int:
        return len(self._items)


@dataclass(frozen=True, slots=True)
class _Pending:
    """An alarm still to be written, and how many messages it stands for."""

    text: str
    at_ns: int
    times: int = 1


class Door:
    """Checks orders of one channel, keeps them, and says how the channel is.

    Args:
        settings: the channel's bounds.
        store: where orders, alarms and states are kept.
        check_age: whether the age at receipt is judged; a protocol that is polled for orders
            issued long before has none.
    """

    def __init__(self, settings: ChannelSettings, store: Keeper, *, check_age: bool = True) -> None:
        self.settings, self.store, self.name = settings, store, settings.name
        self.counts: collections.Counter[str] = collections.Counter()
        self.store_trouble = ""
        self._check_age = check_age
        self._sequences: dict[str, int] = {}
        self._pending: dict[str, _Pending] = {}
        self._alarmed_ns: dict[str, int] = {}
        self._silent = False
        self._open = False

    def open(self) -> None:
        """Take up the counters where a process before left them.

        Raises:
            StoreTrouble: the store is away; without it a replayed message could not be told.
        """
        found = self.store.published(PUBLISHED + self.name)
        if found is not None:
            for stream, last in dict(found[1].get("sequences", {})).items():
                self._sequences[stream] = max(int(last), self._sequences.get(stream, -1))
        self._open = True

    def last(self, stream: str) -> int:
        """The last number taken of a counter; -1 for none."""
        return self._sequences.get(stream, -1)

    def refuse(self, bad: Bad, why: str, now_ns: int) -> Answer:
        """Do nothing with a message but count it and raise an alarm."""
        self.counts[bad.value] += 1
        why = "".join(letter if letter.isprintable() else "?" for letter in why)[:_WORDS_MAX]
        before = self._pending.get(bad.value)
        self._pending[bad.value] = _Pending(why, now_ns, before.times + 1 if before else 1)
        self._flush(now_ns)
        return Answer.REFUSED

    def passes(self, stream: str, sequence: int, issued_ns: int, now_ns: int) -> bool:
        """Check the age and counter of a message that is no order, and note its counter."""
        if (bad := self._too_old(issued_ns, now_ns)) is not None:
            self.refuse(*bad, now_ns)
            return False
        if not self._rises(stream, sequence):
            self.refuse(Bad.REPLAYED, self._not_rising(stream, sequence), now_ns)
            return False
        self._sequences[stream] = sequence
        return True

    def take(
        self, order: GridOrder, body: bytes, now_ns: int, *, stream: str = "", again: bool = False
    ) -> Answer:
        """Check an order and keep it.

        Args:
            order: what was said.
            body: the raw message, kept beside it.
            now_ns: the present instant.
            stream: the counter its sequence belongs to; empty where the protocol has none.
            again: the transport itself says that it delivers this once more.
        """
        assert order.source == self.name, "an order names the channel it came by"
        assert self._open, "without its counters a door cannot tell a replay"
        if (absurd := self._absurd(order, now_ns)) is not None:
            return self.refuse(Bad.ABSURD, absurd, now_ns)
        if self._check_age and (bad := self._too_old(order.issued_ns, now_ns)) is not None:
            return self.refuse(*bad, now_ns)
        if stream and not self._rises(stream, order.sequence):
            if again and order.sequence == self._sequences[stream]:
                self.counts[Answer.REPEATED.value] += 1
                return Answer.REPEATED
            return self.refuse(Bad.REPLAYED, self._not_rising(stream, order.sequence), now_ns)
        try:
            fresh = self.store.put_order(order, body)
        except KeyConflict:
            why = f"{order.key} came before with another content"
            return self.refuse(Bad.REPLAYED, why, now_ns)
        except StoreTrouble as trouble:
            self.store_trouble = trouble.why
            return Answer.LATER
        self.store_trouble = ""
        if stream:
            self._sequences[stream] = order.sequence
        answer = Answer.TAKEN if fresh else Answer.REPEATED
        self.counts[answer.value] += 1
        return answer

    def health(self, trouble: str, now_ns: int) -> None:
        """Publish how the channel is, and raise or clear the alarm of its silence."""
        told = trouble or (f"the store is away: {self.store_trouble}" if self.store_trouble else "")
        body = {
            "trouble": told,
            "counts": dict(sorted(self.counts.items())),
            "sequences": dict(sorted(self._sequences.items())),
        }
        try:
            self.store.publish(PUBLISHED + self.name, body, now_ns)
            if trouble:
                if not self._silent or self._due(Bad.SILENT.value, now_ns):
                    self.store.raise_alarm(Bad.SILENT.value, self.name, trouble, now_ns)
                    self._alarmed_ns[Bad.SILENT.value] = now_ns
            elif self._silent or Bad.SILENT.value not in self._alarmed_ns:
                self.store.clear_alarm(Bad.SILENT.value, self.name, now_ns)
                self._alarmed_ns[Bad.SILENT.value] = now_ns
            self._silent = bool(trouble)
            self.store_trouble = ""
        except StoreTrouble as away:
            self.store_trouble = away.why
        self._flush(now_ns)

    def metered(self, now_ns: int, age_s_max: float) -> Mapping[str, Any] | None:
        """What the controller last published about the point; None when old or absent."""
        try:
            found = self.store.published(TELEMETRY)
        except StoreTrouble as away:
            self.store_trouble = away.why
            return None
        if found is None or now_ns - found[0] > age_s_max * NS_PER_S:
            return None
        told = found[1].get(self.settings.point)
        return told if isinstance(told, Mapping) else None

    def _absurd(self, order: GridOrder, now_ns: int) -> str | None:
        most = self.settings.power_mw_max
        least = -most if order.kind is OrderKind.SETPOINT else 0.0
        power = order.power_mw
        if not math.isfinite(power) or not least <= power <= most:
            return f"{order.key} asks for {power:g} MW, not within {least:g} to {most:g} MW"
        if order.end_ns <= order.start_ns:
            return f"{order.key} ends before it begins"
        if order.start_ns - now_ns > self.settings.begins_s_max * NS_PER_S:
            return f"{order.key} begins more than {self.settings.begins_s_max:g} s ahead"
        if order.end_ns - order.start_ns > self.settings.lasts_s_max * NS_PER_S:
            return f"{order.key} lasts more than {self.settings.lasts_s_max:g} s"
        return None

    def _too_old(self, issued_ns: int, now_ns: int) -> tuple[Bad, str] | None:
        age_s = (now_ns - issued_ns) / NS_PER_S
        if age_s > self.settings.age_s_max:
            return Bad.STALE, f"issued {age_s:.1f} s before it came"
        if -age_s > self.settings.ahead_s_max:
            return Bad.STALE, f"issued {-age_s:.1f} s in the future by our clock"
        return None

    def _rises(self, stream: str, sequence: int) -> bool:
        return sequence > self._sequences.get(stream, -1)

    def _not_rising(self, stream: str, sequence: int) -> str:
        return f"{stream}: number {sequence} after {self._sequences.get(stream, -1)}"

    def _due(self, kind: str, now_ns: int) -> bool:
        last = self._alarmed_ns.get(kind)
        return last is None or not 0 <= now_ns - last < _ALARM_EVERY_NS

    def _flush(self, now_ns: int) -> None:
        """Write the alarms that are due; what cannot be written waits."""
        for kind, told in list(self._pending.items()):
            if not self._due(kind, now_ns):
                continue
            many = f" ({told.times} messages)" if told.times > 1 else ""
            try:
                self.store.raise_alarm(kind, self.name, told.text + many, told.at_ns)
            except StoreTrouble as away:
                self.store_trouble = away.why
                return
            self._alarmed_ns[kind] = now_ns
            del self._pending[kind]


def withdrawal(order: GridOrder, key: str, power_mw: float, now_ns: int) -> GridOrder:
    """The order that takes a limit back.

    Args:
        order: the limit; it has not ended yet.
        key: of the new order.
        power_mw: what is allowed instead, the contracted power, MW.
        now_ns: the present instant.
    """
    return replace(
        order,
        key=key,
        kind=OrderKind.LIMIT,
        power_mw=power_mw,
        issued_ns=now_ns,
        received_ns=now_ns,
        start_ns=max(now_ns, order.start_ns),
        replaces=order.key,
    )


class StoredSource:
    """A channel as the controller sees it, through the store; behind the port `OrderSource`.

    Args:
        store: the service's store, with `orders_after` besides what the door needs.
        name: the channel.
        away_s: a gateway that published nothing for so long is taken to be down.
    """

    def __init__(self, store: Any, name: str, away_s: float = 10.0) -> None:
        self._store, self._name, self._away_s = store, name, away_s
        self._seq, self._seen = 0, list[GridOrder]()

    def orders(self, since_ns: int) -> tuple[GridOrder, ...]:
        """Orders received from an instant on, in order of receipt and key.

        Raises:
            StoreTrouble: the store is away.
        """
        while found := self._store.orders_after(self._seq):
            self._seq = found[-1][0]
            self._seen += [order for _, order in found if order.source == self._name]
        kept = [order for order in self._seen if order.received_ns >= since_ns]
        self._seen = kept
        return tuple(sorted(kept, key=lambda order: (order.received_ns, order.key)))

    def trouble(self, now_ns: int) -> str:
        """Why the channel cannot be relied on now; empty when all is well."""
        try:
            found = self._store.published(PUBLISHED + self._name)
        except StoreTrouble as away:
            return f"the store is away: {away.why}"
        if found is None:
            return f"the gateway of {self._name} has not been heard of yet"
        age_s = (now_ns - found[0]) / NS_PER_S
        if age_s > self._away_s:
            return f"the gateway of {self._name} has been silent for {age_s:.0f} s"
        return str(found[1].get("trouble", ""))
