"""The twin: a factory made of the kernel's pools and the plant's physics, behind the same doors.

It obeys an intent for a period, lets the kernel run every job event in it, and is then metered: IT
energy by exact integration, the plant of each site at the load found (`adapters.site`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.adapters.placement import Placement
from gigafactory.adapters.reserves import Called
from gigafactory.adapters.site import SiteOrder, TwinSite, read_reserves, read_site
from gigafactory.kernel import Kind, Pool, PoolReading, Records, Why
from gigafactory.ledger import (
    GENERATOR_COLUMNS,
    GROUP_COLUMNS,
    METERS,
    SHARE_COLUMNS,
    Carry,
    Facts,
)
from gigafactory.units import NS_PER_H, NS_PER_S

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_PREEMPT = int(Kind.PREEMPT)
_USED_NS, _USED_UWH = (GROUP_COLUMNS.index(name) for name in ("used_ns", "used_uwh"))
#: Real numbers that describe a period of a site, beside what the ledger counts.
SENSES = (
    "price_eur_per_mwh",
    "imbalance_eur_per_mwh",
    "temperature_c",
    "wet_bulb_c",
    "limit_mw",
    "soc_mwh",
    "ppa_available_mw",
    "heat_demand_mw",
    "envelope_mw",
    "right_firm_mw",
    "right_fully_variable_mw",
    "right_duration_bound_mw",
    "right_time_block_mw",
    "restricted_mw",
    "called_mw",
)
#: Of these, what contracts of the connection say; handed to `Twin.meter` from outside.
CONTRACT_SENSES = 6


@dataclass(frozen=True, slots=True)
class PoolPlace:
    """A pool in the twin: its kernel, where it stands, and its accelerators over time.

    Attributes:
        kernel: the pool.
        site: site number.
        installed: accelerators delivered, int64[P].
        usable: nodes energised and whole, int64[P].
        down: accelerators broken, int64[P].
        jobs: job numbers of the run, by job number in the pool, int32.
        asks: columns of facts about its jobs, by job number in the pool.
    """

    kernel: Pool
    site: int
    installed: Ints
    usable: Ints
    down: Ints
    jobs: npt.NDArray[np.int32]
    asks: dict[str, npt.NDArray[Any]]


class Twin:
    """The simulated factory.

    Args:
        pools: pools with their jobs loaded.
        sites: their plants.
        edges_ns: edges of the periods, [P+1].
        contract_mw: output of each contract, [contracts, P].
        contract_site: site of each.
        contract_guaranteed: whether guarantees of origin come with it.
        classes: how many of the kernel's groups are in use.
        home: pool of each job of the run; may be left out where every job is known to one alone.
        contract_firm: whether each contract is taken as it comes; none where left out.
    """

    def __init__(
        self,
        pools: list[PoolPlace],
        sites: list[TwinSite],
        edges_ns: Ints,
        contract_mw: Array,
        contract_site: tuple[int, ...],
        contract_guaranteed: tuple[bool, ...],
        classes: int,
        home: npt.NDArray[np.int8] | None = None,
        contract_firm: tuple[bool, ...] = (),
    ) -> None:
        if home is None:  # every job is known to one pool alone
            home = np.full(max(int(p.jobs.max(initial=-1)) for p in pools) + 1, -1, np.int8)
            for i, place in enumerate(pools):
                home[place.jobs] = i
        self.placement = Placement(pools, home)
        self.data_mb = np.zeros(len(sites), np.int64)
        self.pools, self.sites, self.edges_ns = pools, sites, edges_ns
        self.contract_mw, self.contract_site = contract_mw, contract_site
        self.contract_guaranteed, self.classes = contract_guaranteed, classes
        self.contract_firm = contract_firm or (False,) * len(contract_site)
        self.contract_carries = [(Carry(), Carry()) for _ in contract_site]
        self.generators = sum(len(s.own.number) for s in sites if s.own is not None)
        self._asked = [0] * len(pools)
        self._pools_of = [
            [i for i, p in enumerate(pools) if p.site == s] for s in range(len(sites))
        ]
        nodes = len(pools[0].kernel.spec.rules.parent)
        self._share_s = np.zeros((len(pools), nodes, len(SHARE_COLUMNS)), np.int64)
        self._share_rest = np.zeros_like(self._share_s)

    def meter(
        self,
        period: int,
        records: list[Records],
        orders: list[SiteOrder],
        contracts_mw: Array | None = None,
    ) -> tuple[Facts, Array]:
        """Close a period the pools have been advanced through, and read every meter.

        Args:
            period: its number.
            records: what happened to jobs, per pool.
            orders: what each site was told.
            contracts_mw: the last `CONTRACT_SENSES` senses of each site; where it is left out the
                limit is firm.

        Returns:
            The facts, and float64[sites, len(SENSES)].
        """
        readings = [place.kernel.read() for place in self.pools]
        self._take_shares(readings)
        groups = self._group_rows(readings)
        used_ns, used_uwh = groups[:, :, (_USED_NS, _USED_UWH)].sum(axis=1).T.tolist()
        pools = np.array(
            [self._pool_row(p, r, period) for p, r in zip(self.pools, readings, strict=True)]
        )
        meter = np.zeros((len(self.sites), len(METERS)), np.int64)
        senses = np.zeros((len(self.sites), len(SENSES)))
        contracts = self._read_contracts(period, orders)
        generators = np.zeros((self.generators, len(GENERATOR_COLUMNS)), np.int64)
        for s, site in enumerate(self.sites):
            mine = self._pools_of[s]
            idle_fine = sum(
                (readings[i].service_ns - used_ns[i]) * self.pools[i].kernel.spec.idle_power_mw
                for i in mine
            )
            service_ns = sum(readings[i].service_ns for i in mine)
            it = (sum(used_uwh[i] for i in mine), idle_fine, service_ns)
            values = read_site(site, period, orders[s], it, self._hours(period), generators)
            values["guaranteed_wh"] = self._guaranteed_wh(s, contracts)
            values["data_mb"] = int(self.data_mb[s])
            shed_mw = self._shed_mw(groups, s, orders[s].called, period)
            values |= read_reserves(site, orders[s].called, shed_mw, self._hours(period))
            meter[s] = [values.get(name, 0) for name in METERS]
            senses[s, :-CONTRACT_SENSES] = self._sense(s, period, orders[s])
            if contracts_mw is None:
                senses[s, -CONTRACT_SENSES] = site.limit_mw[period]
            else:
                senses[s, -CONTRACT_SENSES:] = contracts_mw[s]
        self.data_mb[:] = 0
        moves, asks = self._job_facts(records)
        return Facts(meter, contracts, groups, pools, moves, asks, generators), senses

    def _take_shares(self, readings: list[PoolReading]) -> None:
        """Add what the nodes of the quota trees held, in whole seconds, the remainder carried."""
        fine = np.array([reading.quotas for reading in readings]) + self._share_rest
        whole = fine // NS_PER_S
        self._share_rest[...] = fine - whole * NS_PER_S
        self._share_s += whole

    def read_shares(self) -> Ints:
        """What the nodes of the quota trees held since the last reading, int64[pools, nodes, 3]."""
        shares = self._share_s.copy()
        self._share_s[:] = 0
        return shares

    def read_fragments(self) -> Ints:
        """How what is free lies in every pool now, int64[pools, len(FRAGMENT_COLUMNS)]."""
        rows = []
        for place in self.pools:
            state, size = place.kernel.state, place.kernel.spec.node_size
            free = state.node["free"]
            empty = int((free == size).sum()) * size
            most = int(state.pod_free.max()) * size, int(state.rack["free"].max()) * size
            rows.append((int(free[free > 0].sum()), empty, *most))
        return np.array(rows, np.int64)

    def _group_rows(self, readings: list[PoolReading]) -> Ints:
        """Readings of the groups, int64[pools, classes, len(GROUP_COLUMNS)]."""
        columns = [
            column
            for g in (r.groups for r in readings)
            for column in (
                g.used_ns, g.work_ns, g.slowed_ns, g.paused_ns, g.lost_ns, g.failed_ns,
                g.preempted_ns, g.restart_ns, g.used_uwh, g.energy_uwh, g.running,
            )
        ]  # fmt: skip
        rows = np.concatenate(columns).reshape(len(readings), len(GROUP_COLUMNS), -1)
        return np.ascontiguousarray(rows[:, :, : self.classes].transpose(0, 2, 1))

    def _pool_row(self, place: PoolPlace, r: PoolReading, period: int) -> tuple[int, ...]:
        span = int(self.edges_ns[period + 1] - self.edges_ns[period])
        installed, down = int(place.installed[period]) * span, int(place.down[period]) * span
        down = min(down + r.broken_ns, installed - r.service_ns)
        waiting = installed - down - r.service_ns
        return installed, waiting, down, r.service_ns, r.held_ns, r.queued, r.queued_accelerators

    def _read_contracts(self, period: int, orders: list[SiteOrder]) -> Ints:
        """Wh taken and Wh curtailed of every power contract."""
        hours = self._hours(period)
        out = np.zeros((len(self.contract_site), 2), np.int64)
        for k, of in enumerate(self.contract_site):
            output_wh = float(self.contract_mw[k, period]) * hours * 1e6
            share = 1.0 if self.contract_firm[k] else float(orders[of].contract_share[k])
            taken, cut = self.contract_carries[k]
            out[k] = taken.take(output_wh * share), cut.take(output_wh * (1.0 - share))
        return out

    def _guaranteed_wh(self, s: int, contracts: Ints) -> int:
        return sum(
            int(contracts[k, 0])
            for k, of in enumerate(self.contract_site)
            if of == s and self.contract_guaranteed[k]
        )

    def _hours(self, period: int) -> float:
        return int(self.edges_ns[period + 1] - self.edges_ns[period]) / NS_PER_H

    def _sense(self, s: int, period: int, order: SiteOrder) -> tuple[float, ...]:
        """What the site's instruments show beside the meters, in the order of `SENSES`."""
        site = self.sites[s]
        available = sum(
            float(self.contract_mw[k, period]) for k, of in enumerate(self.contract_site) if of == s
        )
        return (
            site.price_eur_per_mwh[period],
            site.imbalance_eur_per_mwh[period],
            site.temperature_c[period],
            site.wet_bulb_c[period],
            site.import_limit_mw(period),
            site.soc_mwh,
            available,
            site.heat_demand_mw[period],
            order.envelope_mw,
        )

    def _shed_mw(self, groups: Ints, s: int, called: Called | None, period: int) -> float:
        """What slowed work drew less, MW of site power: metered hours at work times the drop.

        Args:
            groups: readings of all pools, [pools, classes, columns].
            s: the site.
            called: with the drop of each.
            period: its number.
        """
        if called is None or called.drop_w is None:
            return 0.0
        used_ns = groups[self._pools_of[s], :, _USED_NS]
        at_work = used_ns / int(self.edges_ns[period + 1] - self.edges_ns[period])
        return float((at_work * called.drop_w).sum()) / 1e6

    def _job_facts(
        self, records: list[Records]
    ) -> tuple[dict[str, npt.NDArray[Any]], dict[str, npt.NDArray[Any]]]:
        """Moves and asks of the period, pools in order, with the run's job numbers."""
        reasons = [self._why(p, r) for p, r in zip(self.pools, records, strict=True)]
        decided = self.placement.drain()
        happened: dict[str, list[npt.NDArray[Any]]] = {
            "kind": [r.kind for r in records],
            "job": [p.jobs[r.job] for p, r in zip(self.pools, records, strict=True)],
            "t_ns": [r.t_ns for r in records],
            "energy_uwh": [r.energy1_uwh for r in records],
            "width": [r.width for r in records],
            "why": reasons,
            "lost_ns": [r.lost_ns for r in records],
            "pool": [np.arange(len(records), dtype=np.int8).repeat([len(r) for r in records])],
        }
        moves: dict[str, npt.NDArray[Any]] = {
            name: np.concatenate([decided[name], *parts]) for name, parts in happened.items()
        }
        parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in self.pools[0].asks}
        for i, place in enumerate(self.pools):
            first, last = self._asked[i], int(place.kernel.state.v[0]["arrival"])
            self._asked[i] = last
            here = self.placement.home[place.jobs[first:last]] == i
            everyone = bool(here.all())  # as it nearly always is: then nothing is picked
            for name, column in place.asks.items():
                came = column[first:last]
                parts[name].append(came if everyone else came[here])
        return moves, {name: np.concatenate(columns) for name, columns in parts.items()}

    @staticmethod
    def _why(place: PoolPlace, records: Records) -> npt.NDArray[np.int32]:
        """Reasons of moves, the job that made another one go by its number in the run."""
        preempted = records.kind == _PREEMPT
        if not preempted.any():
            return records.why
        why = np.where(preempted, -1, records.why)
        known = preempted & (records.why >= 0)
        why[known] = place.jobs[records.why[known]]
        return why.astype(np.int32)

    def waiting(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Jobs that wait now, by their numbers in the run, and what each waits for."""
        jobs: list[npt.NDArray[np.int32]] = []
        reasons: list[int] = []
        for place in self.pools:
            mine = place.kernel.waiting()
            jobs.append(place.jobs[mine])
            reasons += [why + 256 * node for why, node in map(place.kernel.why, mine.tolist())]
        going = self.placement.between()
        jobs.append(np.array(going, np.int32))
        reasons += [int(Why.AWAY)] * len(going)
        return np.concatenate(jobs), np.array(reasons, np.int32)

    def energy_uwh(self) -> Ints:
        """Energy integrals of every pool and group now, int64[pools, groups]."""
        return np.stack([p.kernel.state.group["energy"].astype(np.int64) for p in self.pools])

    def snapshot(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """The state as arrays of plain numbers and plain fields."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        for i, place in enumerate(self.pools):
            for name, array in place.kernel.snapshot().items():
                arrays[f"pool{i}.{name}"] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        arrays["share_s"], arrays["share_rest"] = self._share_s, self._share_rest
        fields: dict[str, Any] = {
            "asked": self._asked,
            "sites": [
                {
                    "soc": s.soc_mwh,
                    "it_rest": s.it_rest_uwh,
                    "idle_rest": s.idle_rest,
                    "missed": s.limit_missed_wh,
                    "carries": {n: c.rest for n, c in s.carries.items()},
                    "water": [s.guard.used_ml, s.guard.span] if s.guard else None,
                    "own": s.own.snapshot() if s.own is not None else None,
                }
                for s in self.sites
            ],
            "contracts": [[a.rest, b.rest] for a, b in self.contract_carries],
        }
        homes, fields["placement"] = self.placement.snapshot()
        arrays |= homes
        return arrays, fields

    def restore(self, arrays: Any, fields: Any) -> None:
        """Put back what `snapshot` gave."""
        for i, place in enumerate(self.pools):
            for name, array in place.kernel.snapshot().items():
                array.reshape(-1).view(np.uint8)[...] = arrays[f"pool{i}.{name}"]
        self._share_s[...] = arrays["share_s"]
        self._share_rest[...] = arrays["share_rest"]
        self._asked = list(fields["asked"])
        self.placement.restore(arrays, fields["placement"])
        for site, saved in zip(self.sites, fields["sites"], strict=True):
            site.soc_mwh, site.it_rest_uwh = saved["soc"], saved["it_rest"]
            site.idle_rest, site.limit_missed_wh = saved["idle_rest"], saved["missed"]
            for name, rest in saved["carries"].items():
                site.carries[name].rest = rest
            if site.guard is not None:
                site.guard.used_ml, site.guard.span = map(list, saved["water"])
            if site.own is not None:
                site.own.restore(saved["own"])
        for (a, b), (x, y) in zip(self.contract_carries, fields["contracts"], strict=True):
            a.rest, b.rest = x, y
