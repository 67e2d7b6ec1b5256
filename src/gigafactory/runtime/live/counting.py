"""The counter of imported energy goes on over a restart, as that of a real meter does.

What was last published is taken up, and what the journal has accounted since then is added (a
controller that was killed had not published it). Less than a watt-hour may be left out at each
restart; the counter never falls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gigafactory.runtime.live import frames
from gigafactory.runtime.live.daybook import day_at, day_path, days_in, live_frames
from gigafactory.runtime.live.parts import Parts

#: The store's name for what is metered now.
TELEMETRY: Final = "telemetry"
_IMPORT: Final = frames.SITE_COLUMNS.index("import_uwh")
_UWH_PER_WH: Final = 1_000_000


def counted_uwh(parts: Parts, upto_ns: int) -> Mapping[str, int] | None:
    """Energy imported at each site before an instant, micro-watt-hours.

    Args:
        parts: of the loop.
        upto_ns: what is accounted from then on is not counted here.

    Returns:
        By site; None while the store cannot say what was last published.
    """
    said = parts.intake.told(TELEMETRY)
    if parts.intake.away:
        return None
    since_ns = said[0] if said is not None else 0
    found = dict.fromkeys(parts.sites, 0)
    for site, told in (said[1] if said is not None else {}).items():
        if site in found:
            found[site] = int(told.get("import_wh", 0)) * _UWH_PER_WH
    if since_ns < upto_ns:
        for site, energy in _journaled(parts, since_ns, upto_ns).items():
            found[site] += energy
    return found


def _journaled(parts: Parts, since_ns: int, upto_ns: int) -> dict[str, int]:
    """What the journal accounts between two instants, by site."""
    found = dict.fromkeys(parts.sites, 0)
    first = day_at(since_ns, parts.begin.timezone).name if since_ns else ""
    for day in days_in(parts.book.folder):
        if day < first:
            continue
        sites: tuple[str, ...] = ()
        for _, frame in live_frames(day_path(parts.book.folder, day)):
            if isinstance(frame, frames.Begin):
                sites = frame.sites
            elif isinstance(frame, frames.Metered) and since_ns < frame.to_ns <= upto_ns:
                for s, site in enumerate(sites):
                    if site in found:
                        found[site] += int(frame.sites[s, _IMPORT])
    return found
