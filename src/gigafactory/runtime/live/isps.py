"""Energy per settlement period, from intervals of any length."""

from __future__ import annotations

from dataclasses import dataclass, field

from gigafactory.units import NS_PER_H, NS_PER_MIN

#: Kept by the minute, of which every settlement period is made.
_GRID_NS = NS_PER_MIN


@dataclass(slots=True)
class IspEnergy:
    """Energy by site and minute, micro-watt-hours, and how much of the minute is covered.

    An interval over several periods is shared out evenly, to the last integer.
    """

    _cells: dict[str, dict[int, list[int]]] = field(default_factory=dict)

    def add(self, site: str, from_ns: int, to_ns: int, energy_uwh: int) -> None:
        """Count an interval; intervals of a site follow each other."""
        cells = self._cells.setdefault(site, {})
        took, done = to_ns - from_ns, 0
        at = from_ns
        while at < to_ns:
            start = at - at % _GRID_NS
            edge = min(start + _GRID_NS, to_ns)
            upto = energy_uwh * (edge - from_ns) // took
            cell = cells.setdefault(start, [0, 0])
            cell[0] += edge - at
            cell[1] += upto - done
            at, done = edge, upto

    def recall(self, site: str, start_ns: int, step_ns: int, mean_w: int) -> None:
        """Take up a whole period told before, where nothing was counted in it."""
        cells = self._cells.setdefault(site, {})
        for at in range(start_ns, start_ns + step_ns, _GRID_NS):
            cell = cells.get(at)
            if cell is None or cell[0] < _GRID_NS:
                cells[at] = [_GRID_NS, round(mean_w * 1_000_000 * _GRID_NS / NS_PER_H)]

    def forget(self, before_ns: int) -> None:
        """Let go of what is old."""
        for cells in self._cells.values():
            for at in [at for at in cells if at < before_ns]:
                del cells[at]

    def whole(self, site: str, step_ns: int) -> tuple[int, list[int]]:
        """The latest whole periods without a hole: begin of the first, and the mean of each, W."""
        cells = self._cells.get(site, {})
        found: dict[int, int] = {}
        for start in sorted({at - at % step_ns for at in cells}):
            mine = [cells.get(at, [0, 0]) for at in range(start, start + step_ns, _GRID_NS)]
            if all(cell[0] >= _GRID_NS for cell in mine):
                energy = sum(cell[1] for cell in mine)
                found[start] = round(energy * NS_PER_H / step_ns / 1_000_000)
        if not found:
            return 0, []
        first = last = max(found)
        while first - step_ns in found:
            first -= step_ns
        return first, [found[at] for at in range(first, last + step_ns, step_ns)]
