"""How much one caller may ask: token buckets, held in the process.

A bucket holds so many requests and fills at a steady rate; who finds it empty waits. Each worker
process has its own, with its share of the whole.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from gigafactory.units import NS_PER_S

#: Callers remembered at once; the one longest unseen is forgotten first (its bucket is then full).
_CALLERS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a request.

    Attributes:
        allowed: whether it may pass.
        limit: requests that a full bucket holds.
        left: requests left now.
        wait_s: until the next may pass, whole seconds; 0 when one may now.
    """

    allowed: bool
    limit: int
    left: int
    wait_s: int


class Buckets:
    """The buckets of many callers.

    Args:
        rate_per_s: how fast each fills.
        burst: how much each holds.
    """

    def __init__(self, rate_per_s: float, burst: float) -> None:
        assert rate_per_s > 0.0
        self._rate_per_ns = rate_per_s / NS_PER_S
        self._burst = max(1.0, burst)
        self._of: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, caller: str, now_ns: int) -> Verdict:
        """Take one out of a caller's bucket, if there is one."""
        level = self._level(caller, now_ns)
        allowed = level >= 1.0
        return self._keep(caller, level - 1.0 if allowed else level, now_ns, allowed)

    def look(self, caller: str, now_ns: int) -> Verdict:
        """Whether there is one, without taking it."""
        level = self._level(caller, now_ns)
        return self._verdict(level, level >= 1.0)

    def _level(self, caller: str, now_ns: int) -> float:
        found = self._of.get(caller)
        if found is None:
            return self._burst
        level, at_ns = found
        return min(self._burst, level + max(0, now_ns - at_ns) * self._rate_per_ns)

    def _keep(self, caller: str, level: float, now_ns: int, allowed: bool) -> Verdict:
        self._of[caller] = (level, now_ns)
        self._of.move_to_end(caller)
        if len(self._of) > _CALLERS:
            self._of.popitem(last=False)
        return self._verdict(level, allowed)

    def _verdict(self, level: float, allowed: bool) -> Verdict:
        missing = max(0.0, 1.0 - level) / self._rate_per_ns / NS_PER_S
        return Verdict(allowed, int(self._burst), int(level), 0 if allowed else math.ceil(missing))


def caller_of(address: str) -> str:
    """What limits by address count by: an IPv6 network as one, since who has one has all of it."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if known.version == 6:
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_network((known, 64), strict=False))
    return address
