"""From a factory's rules to what a pool's scheduler obeys: quotas, notices, failures, deadlines."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.factory.models import Factory
from gigafactory.grid import MarketCalendar
from gigafactory.jobs import JobTable
from gigafactory.kernel import NEVER, Rules
from gigafactory.planner.poolplan import rack_nodes_of, standing_rules
from gigafactory.plant import Chip, draw_faults, hazards_for
from gigafactory.plant.failures import Hazards
from gigafactory.units import NS_PER_DAY, NS_PER_S

#: Failures are drawn over the longest run there can be, so that a shorter one begins alike.
DRAWN_DAYS: Final = 366 * 3
Ints = npt.NDArray[np.int64]


def _hazards(factory: Factory, pool: int) -> Hazards:
    """How often the nodes of a pool fail: the file's figures, else the bundled ones of its chip."""
    spec = factory.fleet[pool]
    hazards = hazards_for(spec.chip)
    rates = spec.failures
    if rates is None:
        return hazards
    faster = 1.0 / rates.interval_gpu_h / hazards.rate_per_accelerator_h
    components = tuple(
        replace(c, repair_median_s=rates.repair_s, burst_share=rates.burst_fraction)
        for c in hazards.times(faster).components
    )
    return replace(hazards, components=components)


def rules_of(
    factory: Factory,
    pool: int,
    catalogue: Mapping[str, Chip],
    calendar: MarketCalendar,
    table: JobTable,
    seed: int,
    without: Collection[str] = (),
) -> Rules:
    """What the scheduler of a pool obeys.

    Args:
        factory: its policy.
        pool: number of the pool.
        catalogue: accelerators.
        calendar: of the run; failures are drawn over it.
        table: whose tenants come.
        seed: of the run.
        without: tenants without a right to their share on the first day.
    """
    spec = factory.fleet[pool]
    size = catalogue[spec.chip].node_size
    faults = draw_faults(
        nodes=spec.accelerators // size,
        node_size=size,
        rack_nodes=rack_nodes_of(factory, pool, size),
        begin_ns=calendar.begin_ns,
        end_ns=calendar.begin_ns + DRAWN_DAYS * NS_PER_DAY,
        hazards=_hazards(factory, pool),
        seed=seed,
        name=spec.name,
    )
    run = faults.t_ns < calendar.end_ns
    return replace(
        standing_rules(factory, pool, catalogue, table.tenants, without),
        fault_ns=faults.t_ns[run],
        fault_node=faults.node[run],
        fault_change=faults.change[run],
    )


def urgent_of(factory: Factory, table: JobTable) -> Ints:
    """Instant at which each job's deadline comes near; `NEVER` for those without one."""
    margin = round(factory.policy.deadline_margin_s * NS_PER_S)
    near = table.deadline_ns - table.walltime_ns - margin
    return np.where(table.deadline_ns > 0, near, NEVER).astype(np.int64)
