"""What breaks: hazards by component, the faults of a pool by seed, and what failures cost a job.

The rates are published, repair times and bursts are not; `data/failures.yaml` says where each
figure comes from. A rate counts interruptions: one event may take several nodes of a rack at once.
A component fails at a constant rate (no wear-in, no ageing) and only on nodes that are up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.engine.streams import stream
from gigafactory.plant.provenance import Source, read_source, read_yaml
from gigafactory.units import NS_PER_H, NS_PER_S, parse

BUNDLED: Final = Path(__file__).parent / "data" / "failures.yaml"
#: Some 30 years: what takes longer is never repaired, and its instant still fits in 64-bit ns.
LONGEST_REPAIR_S: Final = 1e9


@dataclass(frozen=True, slots=True)
class Hazard:
    """How one component fails.

    Attributes:
        name: of the component.
        rate_per_accelerator_h: interruptions per accelerator-hour of nodes that are up.
        repair_median_s: half of the repairs take no longer, s; they are lognormal.
        repair_spread_factor: two repairs in three lie between the median over this and the median
            times this; at least 1.
        burst_share: share of the interruptions that take several nodes of one rack (of one power
            shelf or leaf switch) at once, 0..1.
        burst_nodes_mean: mean number of nodes such a burst takes, at least 2; never more than the
            rack has.
    """

    name: str
    rate_per_accelerator_h: float
    repair_median_s: float
    repair_spread_factor: float = 1.0
    burst_share: float = 0.0
    burst_nodes_mean: float = 2.0

    @property
    def repair_mean_s(self) -> float:
        """Mean repair time, s: that of a lognormal, median x exp(ln(spread)^2 / 2)."""
        return self.repair_median_s * math.exp(math.log(self.repair_spread_factor) ** 2 / 2.0)

    def check(self, where: str = "hazard") -> list[Problem]:
        """Return what is wrong; empty when it is sound."""
        limits = (
            ("rate_per_accelerator_h", self.rate_per_accelerator_h, 0.0, 1.0),
            ("repair_median_s", self.repair_median_s, 1.0, 1e8),
            ("repair_spread_factor", self.repair_spread_factor, 1.0, 100.0),
            ("burst_share", self.burst_share, 0.0, 1.0),
            ("burst_nodes_mean", self.burst_nodes_mean, 2.0, 1e6),
        )
        return [
            Problem(where, f"{self.name}.{field}", str(value), f"must be from {low:g} to {high:g}")
            for field, value, low, high in limits
            if not (math.isfinite(value) and low <= value <= high)
        ]


@dataclass(frozen=True, slots=True)
class Hazards:
    """How the nodes of one chip fail.

    Attributes:
        chip: name of the chip.
        components: what may fail; the place in this tuple is its index in `Faults.component`.
        source: where the rates come from.
        repair_source: where the repair times come from.
        burst_source: where the bursts come from.
    """

    chip: str
    components: tuple[Hazard, ...]
    source: Source
    repair_source: Source
    burst_source: Source

    @property
    def rate_per_accelerator_h(self) -> float:
        """Interruptions of any kind per accelerator-hour."""
        return sum(hazard.rate_per_accelerator_h for hazard in self.components)

    def times(self, multiplier: float) -> Hazards:
        """The same mix of failures, more or less often: young hardware, a bad batch."""
        changed = tuple(
            replace(h, rate_per_accelerator_h=h.rate_per_accelerator_h * multiplier)
            for h in self.components
        )
        return replace(self, components=changed)


def hazards_for(chip: str = "") -> Hazards:
    """The bundled hazards of a chip.

    Args:
        chip: a name of the accelerator catalogue; empty for the reference run's H100.

    Returns:
        Published rates where the chip has some; else those of the H100, marked as an assumption.
    """
    known = _bundled()
    if not chip or chip in known:
        return known[chip or "H100"]
    base = known["H100"]
    note = f"nobody published how often {chip} fails; the rates of the H100 are taken"
    return replace(base, chip=chip, source=Source("ours", 2026, "assumption", note))


@cache
def _bundled() -> Mapping[str, Hazards]:
    """Read the bundled file.

    Raises:
        BadInput: it is damaged.
    """
    problems: list[Problem] = []
    raw = read_yaml(BUNDLED, problems)
    if problems:
        raise BadInput(problems)
    where = BUNDLED.name
    run = raw["reference"]
    run_h = run["accelerators"] * run["days"] * 24.0
    base = tuple(_hazard(name, row, run_h) for name, row in raw["components"].items())
    for hazard in base:
        problems += hazard.check(where)
    read_source(where, "reference.source", run["source"], problems)
    repair, burst = (
        read_source(where, f"sources.{k}", raw["sources"][k], problems) for k in ("repair", "burst")
    )
    found = {}
    for chip, row in raw["chips"].items():
        source = read_source(where, f"chips.{chip}.source", row["source"], problems)
        if source is None or repair is None or burst is None:
            continue
        hazards = Hazards(chip, base, source, repair, burst)
        if "node_failures_per_1000_node_days" in row:
            per_node_h = row["node_failures_per_1000_node_days"] / 24_000.0
            own = per_node_h / row["node_size"]
            hazards = hazards.times(own / hazards.rate_per_accelerator_h)
        found[chip] = hazards
    if problems:
        raise BadInput(problems)
    return found


def _hazard(name: str, row: Mapping[str, Any], run_h: float) -> Hazard:
    return Hazard(
        name=name,
        rate_per_accelerator_h=row["events"] / run_h,
        repair_median_s=parse(row["repair"][0], "duration_s"),
        repair_spread_factor=float(row["repair"][1]),
        burst_share=float(row["burst"][0]),
        burst_nodes_mean=float(row["burst"][1]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Faults:
    """Nodes that fail and come back, in the order in which it happens.

    Sorted by instant; what happens at one instant stands in the order in which it was drawn. Per
    node, failing and coming back alternate, and failing is first. What would come back after the
    window is left out.

    Attributes:
        t_ns: int64[n], instants, ns UTC.
        node: int32[n], number of the node, from 0.
        change: int8[n], +1 where it fails, -1 where it comes back.
        component: int8[n], what failed, index into `components`.
        event: int32[n], number of the interruption; the nodes of a burst share one.
        components: names of the components.
    """

    t_ns: npt.NDArray[np.int64]
    node: npt.NDArray[np.int32]
    change: npt.NDArray[np.int8]
    component: npt.NDArray[np.int8]
    event: npt.NDArray[np.int32]
    components: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.t_ns)

    @property
    def interruptions(self) -> int:
        """Number of interruptions; a burst is one, however many nodes it took."""
        return len(np.unique(self.event))

    def down_node_h(self, end_ns: int) -> float:
        """Node-hours lost until an instant, which no event lies after."""
        return float((self.change * ((end_ns - self.t_ns) / NS_PER_H)).sum())


def draw_faults(
    *,
    nodes: int,
    node_size: int,
    rack_nodes: int,
    begin_ns: int,
    end_ns: int,
    hazards: Hazards,
    seed: int,
    name: str,
) -> Faults:
    """Draw the failures of a pool, whose nodes are all up when the window begins.

    Every component has a stream of its own, so that changing one leaves the others' draws alone.
    Interruptions are a Poisson process over all nodes; those that hit a node that is down fall
    away, which makes the rate count the time nodes are up. A burst takes neighbours in one rack,
    which fail at one instant and come back at one instant.

    Args:
        nodes: of the pool, 1 or more.
        node_size: accelerators of a node, 1 or more.
        rack_nodes: nodes of a rack; node n stands in rack n // rack_nodes.
        begin_ns: begin of the window, ns UTC.
        end_ns: end of the window, ns UTC; nothing happens at it or after.
        hazards: how often what fails.
        seed: the run's seed.
        name: of the pool; names the streams.

    Returns:
        The faults.

    Raises:
        BadInput: a hazard is out of bounds.
    """
    problems = [found for hazard in hazards.components for found in hazard.check(name)]
    if problems:
        raise BadInput(problems)
    assert hazards.components, "something may fail, if seldom"
    names = [hazard.name for hazard in hazards.components]
    assert len(set(names)) == len(names), "a component is named once: its name is its stream"
    assert nodes >= 1, "a pool has a node"
    assert node_size >= 1, "a node has an accelerator"
    assert rack_nodes >= 1, "a rack has a node"
    assert end_ns >= begin_ns, "a window does not end before it begins"
    accelerator_h = nodes * node_size * ((end_ns - begin_ns) / NS_PER_H)
    parts: list[tuple[npt.NDArray[Any], ...]] = []
    events = 0
    for index, hazard in enumerate(hazards.components):
        random = stream(seed, "plant", "failures", name, hazard.name)
        count = int(random.poisson(hazard.rate_per_accelerator_h * accelerator_h))
        at = random.integers(begin_ns, max(end_ns, begin_ns + 1), count)
        back = at + _repairs_ns(hazard, count, random)
        event, node = _hit(hazard, nodes, rack_nodes, count, random)
        of_what = np.full(len(node), index)
        parts.append((at[event], node, back[event], of_what, events + event))
        events += count
    return _in_order(
        [np.concatenate(columns) for columns in zip(*parts, strict=True)], hazards, nodes, end_ns
    )


def _repairs_ns(hazard: Hazard, count: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Time until each of a number of interruptions is over, ns: lognormal, 1 s at least."""
    away_s = hazard.repair_median_s * hazard.repair_spread_factor ** random.normal(size=count)
    return (np.clip(away_s, 1.0, LONGEST_REPAIR_S) * NS_PER_S).astype(np.int64)


def _in_order(drawn: list[npt.NDArray[Any]], hazards: Hazards, nodes: int, end_ns: int) -> Faults:
    """Leave out what hits a node that is down, and lay failures and repairs out in time."""
    at, node, back, component, event = drawn
    order = np.argsort(at, kind="stable")
    order = order[_up(at[order].tolist(), node[order].tolist(), back[order].tolist(), nodes)]
    twice = np.repeat(order, 2)
    change = np.tile(np.array([1, -1], dtype=np.int8), len(order))
    t = np.where(change > 0, at[twice], back[twice])
    within = np.flatnonzero(t < end_ns)
    final = within[np.argsort(t[within], kind="stable")]
    return Faults(
        t_ns=t[final].astype(np.int64),
        node=node[twice][final].astype(np.int32),
        change=change[final],
        component=component[twice][final].astype(np.int8),
        event=event[twice][final].astype(np.int32),
        components=tuple(hazard.name for hazard in hazards.components),
    )


def _hit(
    hazard: Hazard, nodes: int, rack_nodes: int, count: int, random: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which nodes each interruption takes: its number and a node, one row per node."""
    first = random.integers(0, nodes, count)
    burst = random.random(count) < hazard.burst_share
    more = random.geometric(1.0 / (hazard.burst_nodes_mean - 1.0), count)
    begin = first // rack_nodes * rack_nodes
    room = np.minimum(rack_nodes, nodes - begin)
    size = np.minimum(np.where(burst, 1 + more, 1), room)
    event = np.repeat(np.arange(count), size)
    within = np.arange(len(event)) - np.repeat(np.cumsum(size) - size, size)
    # neighbours, round the rack: every node of a rack is hit as often as any other
    return event, begin[event] + (first[event] - begin[event] + within) % room[event]


def _up(at: list[int], node: list[int], back: list[int], nodes: int) -> npt.NDArray[np.bool_]:
    """Which failures, in order of time, hit a node that is up."""
    returns: list[float] = [-math.inf] * nodes
    kept = np.zeros(len(at), dtype=np.bool_)
    for i, (t, n) in enumerate(zip(at, node, strict=True)):
        if t > returns[n]:
            returns[n] = back[i]
            kept[i] = True
    return kept


def mtbf_h(accelerators: float, hazards: Hazards | None = None) -> float:
    """Mean time between the interruptions that a gang of accelerators sees, h.

    Args:
        accelerators: of the gang, above 0.
        hazards: how often what fails; None for the reference run's H100.

    Returns:
        1 / (accelerators x rate): every node is a single point of failure of its gang.
    """
    return 1.0 / (accelerators * (hazards or hazards_for()).rate_per_accelerator_h)


def checkpoint_interval_s(cost_s: float, mtbf_s: float) -> float:
    """Work between two checkpoints that makes a job end soonest, s.

    Young (1974): sqrt(2 cost mtbf). Daly (2006) adds the next terms, which keep it within a percent
    of the best where saving is not cheap against the time between failures:
    sqrt(2 cost mtbf) (1 + x / 3 + x^2 / 9) - cost, with x = sqrt(cost / (2 mtbf)); mtbf from
    cost = 2 mtbf on.

    Args:
        cost_s: time that work stands still to save one, s, 0 or more.
        mtbf_s: mean time between the failures of the job, s, above 0.
    """
    if cost_s >= 2.0 * mtbf_s:
        return mtbf_s
    x = math.sqrt(cost_s / (2.0 * mtbf_s))
    return math.sqrt(2.0 * cost_s * mtbf_s) * (1.0 + x / 3.0 + x * x / 9.0) - cost_s


def expected_ettr(
    *, mtbf_s: float, interval_s: float, cost_s: float, restart_s: float, queue_s: float = 0.0
) -> float:
    """Effective training time ratio to be expected: productive time over wall-clock time.

    Meta's model (Kokolis et al., HPCA 2025): (1 - r (u + interval / 2)) / (1 + cost / interval),
    with r = 1 / mtbf. A failure costs the restart u and half an interval of work; the model holds
    where that is small against the time between failures. Waiting in the queue after a failure is
    ours: the ratio is divided by 1 + r queue.

    Args:
        mtbf_s: mean time between the failures of the job, s, above 0 (`mtbf_h`, in seconds).
        interval_s: work between two checkpoints, s, above 0.
        cost_s: time that work stands still to save one, s.
        restart_s: time from a failure until work goes on, s.
        queue_s: mean time in the queue after a failure, s.

    Returns:
        The ratio, 0..1.
    """
    kept = 1.0 - (restart_s + interval_s / 2.0) / mtbf_s
    ratio = kept / (1.0 + cost_s / interval_s) / (1.0 + queue_s / mtbf_s)
    return min(max(ratio, 0.0), 1.0)
