"""From a factory's rules to what a pool's scheduler obeys: quotas, notices, failures, deadlines."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.factory.models import Factory
from gigafactory.factory.rights import quota_tree
from gigafactory.grid import MarketCalendar
from gigafactory.jobs import JobClass, JobTable
from gigafactory.kernel import FULL_RATE, NEVER, Rules, elastic_rates
from gigafactory.plant import Chip, draw_faults, hazards_for
from gigafactory.plant.failures import Hazards
from gigafactory.units import NS_PER_DAY, NS_PER_S

#: Failures are drawn over the longest run there can be, so that a shorter one begins alike.
DRAWN_DAYS: Final = 366 * 3
Ints = npt.NDArray[np.int64]


def promised_of(factory: Factory, pool: int, node_size: int) -> int:
    """Accelerators of a pool on which its quotas count: all but the spares."""
    spec = factory.fleet[pool]
    return max(spec.accelerators // node_size - spec.spare_nodes, 1) * node_size


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


def _by_class(seconds: dict[str, float]) -> Ints:
    """Nanoseconds per class of a setting in seconds; nought where it is left out."""
    out = np.zeros(8, np.int64)
    for label, value in seconds.items():
        out[JobClass[label.upper()]] = round(value * NS_PER_S)
    return out


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
    policy, spec = factory.policy, factory.fleet[pool]
    size = catalogue[spec.chip].node_size
    promised = promised_of(factory, pool, size)
    tree = quota_tree(factory, spec, catalogue, table.tenants, without)
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
    saving = {str(label): c.cost_s for label, c in policy.checkpoint.items()}
    return Rules(
        parent=tree.parent,
        nominal=tree.nominal,
        lend=tree.lend,
        cap=tree.cap,
        weight=tree.weight,
        tenant_node=tree.tenant_node,
        promised=promised,
        fair_share=policy.order == "fair_share",
        half_life_ns=round(policy.fair_share_half_life_s * NS_PER_S),
        preempt_within=policy.preempt_within_tenant,
        blocks=blocks_of(factory, pool, table.tenants),
        together=policy.move_together,
        runtime_min_ns=_by_class({str(k): v for k, v in policy.minimum_runtime_s.items()}),
        grace_ns=_by_class({str(k): v for k, v in policy.grace_s.items()}),
        save_ns=_by_class(saving),
        restart_ns=_by_class({str(k): v for k, v in policy.restart_s.items()}),
        efficiency=elastic_rates(policy.elastic_exponent),
        fault_ns=faults.t_ns[run],
        fault_node=faults.node[run],
        fault_change=faults.change[run],
    )


def blocks_of(
    factory: Factory, pool: int, tenants: Sequence[str]
) -> tuple[tuple[int, int, int], ...]:
    """Blocks of a pool as (tenant, first rack, racks), laid out in the order of the file.

    Tenants that ask for no work in the run keep their racks; nobody's jobs ever claim them back.
    """
    spec = factory.fleet[pool]
    blocks, first = [], 0
    for tenant in factory.tenants:
        for block in tenant.quota.blocks if tenant.quota is not None else ():
            if block.pool == spec.name:
                racks = block.accelerators // spec.rack_accelerators
                if tenant.name in tenants:
                    blocks.append((list(tenants).index(tenant.name), first, racks))
                first += racks
    return tuple(blocks)


def rack_nodes_of(factory: Factory, pool: int, node_size: int) -> int:
    """Nodes of a rack of a pool, at least one."""
    return max(1, factory.fleet[pool].rack_accelerators // node_size)


def pod_nodes_of(factory: Factory, pool: int, node_size: int) -> int:
    """Nodes of a pod of a pool: whole racks."""
    return factory.fleet[pool].pod_racks * rack_nodes_of(factory, pool, node_size)


def span_rate_of(factory: Factory) -> int:
    """Rate of a gang that lies in several pods."""
    return max(1, int(factory.policy.spanning_fraction * FULL_RATE))


def urgent_of(factory: Factory, table: JobTable) -> Ints:
    """Instant at which each job's deadline comes near; `NEVER` for those without one."""
    margin = round(factory.policy.deadline_margin_s * NS_PER_S)
    near = table.deadline_ns - table.walltime_ns - margin
    return np.where(table.deadline_ns > 0, near, NEVER).astype(np.int64)
