"""What import costs and emits now, as far as it is known; a fallback has a name.

In this order: what the feeds gave for the quarter (published as `signals`); the same quarter of the
last day they gave (an assumption); our generator (synthetic). Whatever stands in for a published
figure is written into the journal of each day as `price_assumed` or `carbon_assumed`, with the
reason, so that euros in a ledger never hide where they come from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gigafactory.grid import MarketCalendar
from gigafactory.grid.synthetic import synthetic_signals
from gigafactory.runtime.live.daybook import day_at, day_date
from gigafactory.runtime.live.feeding import SIGNALS
from gigafactory.runtime.live.intake import Intake
from gigafactory.runtime.live.troubles import Troubles
from gigafactory.units import NS_PER_DAY, NS_PER_S

PRICE_ASSUMED: Final = "price_assumed"
CARBON_ASSUMED: Final = "carbon_assumed"
_NAMES: Final = {"price": PRICE_ASSUMED, "carbon": CARBON_ASSUMED}
_LOOK_NS: Final = 60 * NS_PER_S
_RETRY_NS: Final = 5 * NS_PER_S
#: So many days back the same quarter is looked for.
_BACK: Final = 2
#: States that are somebody else's figure.
_TOLD: Final = frozenset({"measured", "published"})
_MICRO: Final = 1e6
_QUARTER_NS: Final = 900 * NS_PER_S
_KEPT: Final = 1000


@dataclass(slots=True)
class Pricing:
    """Price and carbon intensity by instant; the same at every connection of the market.

    Attributes:
        intake: the store.
        timezone: of the market's days.
        fed: whether a feed of prices is set up; a fallback is alarmed then.
        seed: of our generator.
    """

    intake: Intake
    timezone: str
    fed: bool = False
    seed: int = 0
    _body: Mapping[str, Any] = field(default_factory=dict)
    _look_ns: int = 0
    _quarters: dict[tuple[str, int], tuple[float, str]] = field(default_factory=dict)
    _told: dict[str, str] = field(default_factory=dict)

    def turn(self, now_ns: int, troubles: Troubles) -> None:
        """Look what is published, and say what stands in for it."""
        if now_ns >= self._look_ns:
            said = self.intake.told(SIGNALS)
            self._look_ns = now_ns + (_RETRY_NS if self.intake.away else _LOOK_NS)
            if said is not None and said[1] != self._body:
                self._body = said[1]
                self._quarters.clear()
        if ("price", now_ns // _QUARTER_NS) in self._quarters:
            return
        day = day_at(now_ns, self.timezone).name
        for name, fallback in _NAMES.items():
            why = self._quarter(name, now_ns)[1]
            about = f"{name} of {day}"
            before = self._told.get(name)
            if before is not None and (not why or before != about):
                troubles.leave(fallback, before, now_ns)
                del self._told[name]
            if why and name not in self._told:
                troubles.enter(fallback, about, why, now_ns, alarm=self.fed and name == "price")
                self._told[name] = about

    def at(self, _site: str, at_ns: int) -> tuple[int, int]:
        """Price, micro-euro per MWh, and carbon intensity, mg per MWh, at an instant."""
        found = [self._quarter(name, at_ns)[0] for name in _NAMES]
        return round(found[0] * _MICRO), round(found[1] * _MICRO)

    def _quarter(self, name: str, at_ns: int) -> tuple[float, str]:
        """What `_found` says, kept for the quarter."""
        key = name, at_ns // _QUARTER_NS
        found = self._quarters.get(key)
        if found is None:
            if len(self._quarters) > _KEPT:
                self._quarters.clear()
            found = self._quarters[key] = self._found(name, at_ns)
        return found

    def _found(self, name: str, at_ns: int) -> tuple[float, str]:
        """A signal at an instant, and what stands in for a published figure; empty for nothing."""
        for back in range(_BACK + 1):
            value, state, note = _published(self._body, name, at_ns - back * NS_PER_DAY)
            if value is None or (back and state not in _TOLD):
                continue
            if back:
                return value, f"{back} d old: the same quarter of the last day that was published"
            return value, "" if state in _TOLD else f"{state}: {note or 'a stand-in'}"
        calendar = MarketCalendar.of(day_date(at_ns, self.timezone), 1, self.timezone)
        series = getattr(synthetic_signals(calendar, self.seed, 51.95, 4.5), name)
        value = float(series.values[calendar.period_at(at_ns)])
        return value, "synthetic: no feed gave it; our generator stands in"


def _published(body: Mapping[str, Any], name: str, at_ns: int) -> tuple[float | None, str, str]:
    """A published value at an instant with its state and note; None where there is none."""
    try:
        begin_ns, step_ns = int(body["begin_ns"]), int(body["step_s"]) * NS_PER_S
        values, days = body["values"][name], body["days"][name]
        period = (at_ns - begin_ns) // step_ns
        if not 0 <= period < len(values) or not days:
            return None, "", ""
        date = day_at(at_ns, str(body["timezone"])).name
        day = next((one for one in days if one["date"] == date), days[-1])
        value = float(values[period])
        found = value if math.isfinite(value) else None
        return found, str(day["state"]), str(day["note"])
    except (KeyError, TypeError, ValueError):
        return None, "", ""
