"""What a pool is, from the factory file: power, order of victims, racks, quotas and rules.

The twin of a simulation and the gate of a live controller are built from the same figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.models import Factory
from gigafactory.factory.models import Pool as FleetPool
from gigafactory.factory.rights import quota_tree
from gigafactory.jobs import JobClass
from gigafactory.kernel import FULL_RATE, FULL_SPEED, Rules, elastic_rates
from gigafactory.plant import Chip
from gigafactory.plant.power import PowerCurve, curve_for
from gigafactory.units import NS_PER_S

Ints = npt.NDArray[np.int64]
#: Labels of the classes, by group number.
CLASSES: Final = tuple(c.label for c in JobClass)


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """What a pool is.

    Attributes:
        name: of the pool.
        nodes: names of its nodes, rack by rack.
        node_size: accelerators per node.
        idle_power_mw: milliwatts an accelerator draws at rest, its share of the node included.
        power_mw: milliwatts of an active accelerator, int64[classes, FULL_SPEED + 1].
        full_speed: the speed step that is full speed.
        floor: lowest speed step per class, int64[classes].
        victims: class numbers in the order in which they make way.
        rules: quotas, order and preemption, the kernel's.
        tenants: names in the order of `rules.tenant_node`.
        quotas: names of the nodes of the quota tree; the root's is "".
        checkpoint_ns: interval between checkpoints per class, int64[8]; 0 where there are none.
        depth: queued jobs tested without starting before a backfill pass stops.
        rack_nodes: nodes of a rack.
        pod_nodes: nodes of a pod.
        span_rate: rate of a gang that lies in several pods, of `FULL_RATE`.
    """

    name: str
    nodes: tuple[str, ...]
    node_size: int
    idle_power_mw: int  # units-ok: milliwatt, the kernel's integer unit
    power_mw: Ints  # units-ok: milliwatt, the kernel's integer unit
    full_speed: int
    floor: Ints
    victims: tuple[int, ...]
    rules: Rules
    tenants: tuple[str, ...]
    quotas: tuple[str, ...]
    checkpoint_ns: Ints
    depth: int
    rack_nodes: int
    pod_nodes: int
    span_rate: int

    @classmethod
    def of(
        cls,
        factory: Factory,
        pool_name: str,
        node_names: Sequence[str],
        catalogue: Mapping[str, Chip],
        *,
        tenants: Sequence[str] | None = None,
        without: Collection[str] = (),
    ) -> PoolPlan:
        """The plan of a factory's pool, as a run of the same file wires it for the twin.

        Failures are left out: a live machine has its own.

        Args:
            factory: checked.
            pool_name: of one of its pools.
            node_names: what the workload manager calls its nodes, rack by rack.
            catalogue: accelerators.
            tenants: names that may ask for work, in order; the factory's own when left out.
            without: tenants that lost their right to a share.

        Raises:
            BadInput: the factory has no such pool, or not so many nodes in it.
        """
        names = [pool.name for pool in factory.fleet]
        if pool_name not in names:
            known = ", ".join(names)
            raise BadInput([Problem("factory", "fleet", pool_name, f"the pools are {known}")])
        at = names.index(pool_name)
        spec = factory.fleet[at]
        chip = catalogue[spec.chip]
        problems = _node_problems(pool_name, node_names, spec.accelerators // chip.node_size)
        if problems:
            raise BadInput(problems)
        who = [t.name for t in factory.tenants] if tenants is None else list(tenants)
        fabric_w = factory.sites[spec.site].network.watt_per_accelerator_w
        return cls(
            name=pool_name,
            nodes=tuple(node_names),
            node_size=chip.node_size,
            idle_power_mw=round((chip.idle_w + fabric_w) * 1000),
            power_mw=power_table(chip, fabric_w),
            full_speed=FULL_SPEED,
            floor=floor_steps(factory, catalogue, [spec]),
            victims=victims_of(factory),
            rules=standing_rules(factory, at, catalogue, who, without),
            tenants=tuple(who),
            quotas=quota_tree(factory, spec, catalogue, who, without).names,
            checkpoint_ns=checkpoint_intervals(factory),
            depth=factory.policy.backfill_depth,
            rack_nodes=rack_nodes_of(factory, at, chip.node_size),
            pod_nodes=pod_nodes_of(factory, at, chip.node_size),
            span_rate=span_rate_of(factory),
        )


def _node_problems(pool: str, names: Sequence[str], nodes: int) -> list[Problem]:
    """What is wrong with the names of a pool's nodes."""
    problems = []
    if len(names) != nodes:
        why = f"the factory file gives the pool {nodes} nodes"
        problems.append(Problem(f"pool {pool}", "nodes", str(len(names)), why))
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    problems += [Problem(f"pool {pool}", "nodes", name, "named twice") for name in twice]
    return problems


# --- power, speed, victims -----------------------------------------------------------------------


def power_table(chip: Chip, fabric_w: float) -> Ints:
    """Milliwatts an active accelerator draws, fabric included, by class and speed step."""
    steps = np.arange(FULL_SPEED + 1) / FULL_SPEED
    table = np.zeros((len(CLASSES), FULL_SPEED + 1))
    for g, label in enumerate(CLASSES):
        work_w = chip.work_w.get(label, chip.idle_w)
        dynamic = curve_for(chip.name, label).dynamic_at(steps)
        table[g] = chip.idle_w + dynamic * (work_w - chip.idle_w) + fabric_w
    return np.rint(table * 1000).astype(np.int64)


def slowest(factory: Factory, label: str, curves: list[PowerCurve]) -> float:
    """Slowest speed of a class: the policy's, or where no curve reaches it the slowest they do."""
    asked = {str(k): v for k, v in factory.policy.speed_min.items()}.get(label, 1.0)
    return float(max([asked, *(c.speed_min for c in curves)]))


def floor_steps(
    factory: Factory, catalogue: Mapping[str, Chip], pools: Iterable[FleetPool]
) -> Ints:
    """Lowest speed step per class, by the pools that can do its work, int64[classes]."""
    floor = np.zeros(len(CLASSES), np.int64)
    for g, label in enumerate(CLASSES):
        curves = [curve_for(p.chip, label) for p in pools if catalogue[p.chip].can(label)]
        floor[g] = int(np.ceil(slowest(factory, label, curves) * FULL_SPEED - 1e-9))
    return floor


def victims_of(factory: Factory) -> tuple[int, ...]:
    """Class numbers in the order in which they make way, those the policy leaves out last."""
    named = [CLASSES.index(label) for label in factory.policy.victim_order]
    return tuple(named + [g for g in range(len(CLASSES)) if g not in named])


def checkpoint_intervals(factory: Factory) -> Ints:
    """Nanoseconds between checkpoints per class, int64[8]; 0 where there are none."""
    interval = np.zeros(8, np.int64)
    for label, saving in factory.policy.checkpoint.items():
        interval[CLASSES.index(str(label))] = round(saving.interval_s * 1e9)
    return interval


# --- racks and rules -----------------------------------------------------------------------------


def standing_rules(
    factory: Factory,
    pool: int,
    catalogue: Mapping[str, Chip],
    tenants: Sequence[str],
    without: Collection[str] = (),
) -> Rules:
    """What the scheduler of a pool obeys, failures apart.

    Args:
        factory: its policy.
        pool: number of the pool.
        catalogue: accelerators.
        tenants: names of those who may ask for work, in order.
        without: tenants without a right to their share on the first day.
    """
    policy, spec = factory.policy, factory.fleet[pool]
    size = catalogue[spec.chip].node_size
    tree = quota_tree(factory, spec, catalogue, tenants, without)
    saving = {str(label): c.cost_s for label, c in policy.checkpoint.items()}
    return Rules(
        parent=tree.parent,
        nominal=tree.nominal,
        lend=tree.lend,
        cap=tree.cap,
        weight=tree.weight,
        tenant_node=tree.tenant_node,
        promised=promised_of(factory, pool, size),
        fair_share=policy.order == "fair_share",
        half_life_ns=round(policy.fair_share_half_life_s * NS_PER_S),
        preempt_within=policy.preempt_within_tenant,
        blocks=blocks_of(factory, pool, tenants),
        together=policy.move_together,
        runtime_min_ns=_by_class({str(k): v for k, v in policy.minimum_runtime_s.items()}),
        grace_ns=_by_class({str(k): v for k, v in policy.grace_s.items()}),
        save_ns=_by_class(saving),
        restart_ns=_by_class({str(k): v for k, v in policy.restart_s.items()}),
        efficiency=elastic_rates(policy.elastic_exponent),
    )


def promised_of(factory: Factory, pool: int, node_size: int) -> int:
    """Accelerators of a pool on which its quotas count: all but the spares."""
    spec = factory.fleet[pool]
    return max(spec.accelerators // node_size - spec.spare_nodes, 1) * node_size


def _by_class(seconds: dict[str, float]) -> Ints:
    """Nanoseconds per class of a setting in seconds; nought where it is left out."""
    out = np.zeros(8, np.int64)
    for label, value in seconds.items():
        out[JobClass[label.upper()]] = round(value * NS_PER_S)
    return out


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
