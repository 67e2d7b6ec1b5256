"""Who is calling: a token of ours, or one of an identity provider, and what it stands for."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from gigafactory.units import NS_PER_S

#: Roles that see everything and those that stand for one party.
ROLES: Final = ("tenant", "operator", "grid_operator", "energy_partner", "auditor", "admin")
#: A checked token is forgotten in favour of newer ones beyond this many.
_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class Who:
    """A caller whose token was checked.

    Attributes:
        name: as the audit trail and the log write it: the label of its token, or the subject at its
            identity provider.
        role: one of `ROLES`.
        party: the tenant, grid operator or energy partner it stands for; empty for the others.
        key: what its limits count by; tells nothing of the secret.
        until_ns: when its token ends, ns UTC; 0 for never.
    """

    name: str
    role: str
    party: str
    key: str
    until_ns: int = 0


class Checker(Protocol):
    """Checks the tokens of one kind."""

    def knows(self, secret: str) -> bool:
        """Whether a token is of this kind, by its form."""
        ...

    def check(self, secret: str, now_ns: int) -> Who | None:
        """Whose token it is; None when it is not valid."""
        ...


class Gate:
    """Checks tokens and remembers them for some seconds, valid ones only.

    A token revoked meanwhile works until what is remembered has aged; one that ends, until it ends.

    Args:
        checkers: for each kind of token, asked in turn.
        remember_s: how long a checked token is remembered.
        now_ns: the clock.
    """

    def __init__(
        self, checkers: tuple[Checker, ...], remember_s: float, now_ns: Callable[[], int]
    ) -> None:
        self._checkers = checkers
        self._remember_ns = int(remember_s * NS_PER_S)
        self._now_ns = now_ns
        self._known: OrderedDict[bytes, tuple[int, Who]] = OrderedDict()
        self._lock = threading.Lock()

    def remembered(self, secret: str) -> Who | None:
        """Whose token it is, where that was found out within the last seconds. Never waits."""
        found = self._known.get(_digest(secret))
        if found is None:
            return None
        until_ns, who = found
        return who if self._now_ns() < until_ns else None

    def check(self, secret: str) -> Who | None:
        """Whose token it is; asks the store or the identity provider, so it may wait."""
        now_ns = self._now_ns()
        for checker in self._checkers:
            if checker.knows(secret):
                who = checker.check(secret, now_ns)
                if who is not None and who.until_ns and who.until_ns <= now_ns:
                    who = None
                self._remember(_digest(secret), who, now_ns)
                return who
        return None

    def forget(self) -> None:
        """Forget every token, so that each is checked again."""
        with self._lock:
            self._known.clear()

    def _remember(self, key: bytes, who: Who | None, now_ns: int) -> None:
        with self._lock:
            self._known.pop(key, None)
            if who is None or not self._remember_ns:
                return
            until_ns = now_ns + self._remember_ns
            if who.until_ns:
                until_ns = min(until_ns, who.until_ns)
            self._known[key] = (until_ns, who)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


def _digest(secret: str) -> bytes:
    """The key by which a token is remembered: what lies in memory is not the token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
