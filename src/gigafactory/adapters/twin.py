"""The twin: a factory made of the kernel's pools and the plant's physics, behind the same doors.

It obeys an intent for a period, lets the kernel run every job event in it, and is then metered: IT
energy by exact integration, cooling, losses and water by the plant's formulas at the IT load found
(tabulated per period on a grid of loads and read off in between; site power is convex, so reading a
chord never understates it), the battery after the load is known, so that it defends the connection
limit. Meter readings are whole units; what quantising leaves is carried.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.adapters.placement import Placement
from gigafactory.kernel import GroupReading, Kind, Pool, PoolReading, Records, Why
from gigafactory.ledger import GROUP_COLUMNS, METERS, SHARE_COLUMNS, Carry, Facts
from gigafactory.plant.battery import Battery, fit, step
from gigafactory.units import NS_PER_H, NS_PER_S

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_AT = {name: i for i, name in enumerate(METERS)}
_USED_NS, _USED_UWH = (GROUP_COLUMNS.index(name) for name in ("used_ns", "used_uwh"))
#: Kept below a connection limit: meters count whole units and carry what is left to the next
#: reading, which must not lift a reading above the limit by a few watt-hours.
METER_MW = 1e-4
_MW_NS_PER_UWH = 3_600_000_000
_CARRIED = (
    "charge",
    "discharge",
    "cooling",
    "auxiliary",
    "losses",
    "heat",
    "water",
    "network",
    "day_ahead",
    "intraday",
)

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
)


@dataclass(slots=True)
class TwinSite:
    """The plant of a site; arrays over the P periods of the run.

    Attributes:
        it_grid_mw: rising IT loads, from 0, [K].
        cooling_mw: cooling power at each load, [P, K].
        losses_mw: electrical losses, [P, K].
        water_m3_per_h: fresh water, [P, K].
        heat_mw: heat that can be handed to a network, [P, K].
        auxiliary_mw: everything else.
        heat_demand_mw: what the network takes, [P]; 0 without one.
        limit_mw: import limit, [P].
        export_mw: export right; less where the cable carries less.
        fabric_w: fabric power per accelerator in service.
        battery: the battery, or none.
        soc_mwh: its state of charge.
        signals: per period and `SENSES` name, what the world says.
        carbon_kg_per_mwh: location-based intensity, [P].
        intraday_spread_eur_per_mwh: what buying after the day-ahead auction costs above its price,
            and selling brings below it.
    """

    it_grid_mw: Array
    cooling_mw: Array
    losses_mw: Array
    water_m3_per_h: Array
    heat_mw: Array
    auxiliary_mw: float
    heat_demand_mw: Array
    limit_mw: Array
    export_mw: float
    fabric_w: float
    battery: Battery | None
    soc_mwh: float
    price_eur_per_mwh: Array
    imbalance_eur_per_mwh: Array
    temperature_c: Array
    wet_bulb_c: Array
    carbon_kg_per_mwh: Array
    intraday_spread_eur_per_mwh: float = 0.0
    carries: dict[str, Carry] = field(default_factory=lambda: {n: Carry() for n in _CARRIED})
    it_rest_uwh: int = 0
    idle_rest: int = 0
    limit_missed_wh: int = 0

    def it_allowed_mw(self, period: int, room_mw: float) -> float:
        """Largest IT load whose site power stays within `room_mw`, in a period; not below 0."""
        grid = self.it_grid_mw
        load = grid + self.cooling_mw[period] + self.losses_mw[period] + self.auxiliary_mw
        room_mw -= METER_MW
        if room_mw <= load[0]:
            return 0.0
        if room_mw >= load[-1]:
            return float("inf")
        return float(np.interp(room_mw, load, grid))

    def overheads(self, period: int, it_mw: float) -> tuple[float, float, float, float]:
        """Cooling and losses in MW, heat to spare in MW and water in m3/h, at an IT load.

        A site without power (no load, no connection) has none of them.
        """
        if it_mw <= 0.0 and self.limit_mw[period] <= 0.0:
            return 0.0, 0.0, 0.0, 0.0
        grid = self.it_grid_mw
        at = min(int(np.searchsorted(grid, it_mw, side="right")) - 1, len(grid) - 2)
        share = (it_mw - grid[at]) / (grid[at + 1] - grid[at])
        cooling, losses, heat, water = (
            float(t[period, at] + share * (t[period, at + 1] - t[period, at]))
            for t in (self.cooling_mw, self.losses_mw, self.heat_mw, self.water_m3_per_h)
        )
        return cooling, losses, heat, water if it_mw > 0.0 else 0.0


@dataclass(frozen=True, slots=True)
class Metered:
    """What was metered second by second within a period, as means over it.

    Discharge and charge include those of the uninterruptible supplies, and may both be above zero.

    Attributes:
        cooling_mw: cooling.
        losses_mw: electrical losses.
        auxiliary_mw: everything else.
        heat_mw: heat that could be handed to a network.
        water_m3_per_h: fresh water.
        charge_mw: into storage.
        discharge_mw: out of it.
        breach_micro_eur: what tenants are paid for flexibility beyond their contracts, in all.
    """

    cooling_mw: float
    losses_mw: float
    auxiliary_mw: float
    heat_mw: float
    water_m3_per_h: float
    charge_mw: float
    discharge_mw: float
    breach_micro_eur: int


@dataclass(frozen=True, slots=True)
class SiteOrder:
    """What a site is told for a period.

    Attributes:
        charge_mw: battery charge wanted.
        discharge_mw: battery discharge wanted.
        contract_share: share of each contract's output taken, in the order of the run's contracts;
            nan for contracts of other sites.
        day_ahead_mw: position bought day-ahead.
        intraday_mw: bought after that, sold where negative.
        planned_it_mw: IT power the plan reserved.
        envelope_mw: IT power allowed (for the record).
        speed: speed per group (for the record).
        metered: what was metered second by second; None where the meters are read once a period.
    """

    charge_mw: float
    discharge_mw: float
    contract_share: Array
    day_ahead_mw: float
    intraday_mw: float
    planned_it_mw: float
    envelope_mw: float
    metered: Metered | None = None


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
        self.contract_carries = [(Carry(), Carry()) for _ in contract_site]
        self._asked = [0] * len(pools)
        nodes = len(pools[0].kernel.spec.rules.parent)
        self._share_s = np.zeros((len(pools), nodes, len(SHARE_COLUMNS)), np.int64)
        self._share_rest = np.zeros_like(self._share_s)

    def meter(
        self, period: int, records: list[Records], orders: list[SiteOrder]
    ) -> tuple[Facts, Array]:
        """Close a period the pools have been advanced through, and read every meter.

        Args:
            period: its number.
            records: what happened to jobs, per pool.
            orders: what each site was told.

        Returns:
            The facts, and float64[sites, len(SENSES)].
        """
        readings = [place.kernel.read() for place in self.pools]
        self._take_shares(readings)
        groups = np.stack([self._group_row(r.groups) for r in readings])
        pools = np.array(
            [self._pool_row(p, r, period) for p, r in zip(self.pools, readings, strict=True)]
        )
        meter = np.zeros((len(self.sites), len(METERS)), np.int64)
        senses = np.zeros((len(self.sites), len(SENSES)))
        contracts = self._read_contracts(period, orders)
        for s, site in enumerate(self.sites):
            mine = [i for i, place in enumerate(self.pools) if place.site == s]
            idle_fine = sum(
                (readings[i].service_ns - int(groups[i, :, _USED_NS].sum()))
                * self.pools[i].kernel.spec.idle_power_mw
                for i in mine
            )
            service_ns = sum(readings[i].service_ns for i in mine)
            used_uwh = int(groups[mine, :, _USED_UWH].sum())
            values = self._read_site(site, period, orders[s], (used_uwh, idle_fine, service_ns))
            values["guaranteed_wh"] = self._guaranteed_wh(s, contracts)
            values["data_mb"] = int(self.data_mb[s])
            for name, value in values.items():
                meter[s, _AT[name]] = value
            senses[s] = self._sense(s, period, orders[s])
        self.data_mb[:] = 0
        moves, asks = self._job_facts(records)
        return Facts(meter, contracts, groups, pools, moves, asks), senses

    def _take_shares(self, readings: list[PoolReading]) -> None:
        """Add what the nodes of the quota trees held, in whole seconds, the remainder carried."""
        for p, reading in enumerate(readings):
            fine = reading.quotas + self._share_rest[p]
            whole = fine // NS_PER_S
            self._share_rest[p] = fine - whole * NS_PER_S
            self._share_s[p] += whole

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

    def _group_row(self, r: GroupReading) -> Ints:
        columns = (
            r.used_ns, r.work_ns, r.slowed_ns, r.paused_ns, r.lost_ns, r.failed_ns,
            r.preempted_ns, r.restart_ns, r.used_uwh, r.energy_uwh, r.running,
        )  # fmt: skip
        return np.stack(columns, axis=1)[: self.classes]

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
            share = float(orders[of].contract_share[k])
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

    def _read_site(
        self, site: TwinSite, period: int, order: SiteOrder, it: tuple[int, int, int]
    ) -> dict[str, int]:
        """Meters of a site: IT by integration, the plant at that load, the battery after it.

        Args:
            site: the plant.
            period: its number.
            order: what the site was told.
            it: energy of active accelerators (micro-watt-hours), of resting ones (milliwatt-
                nanoseconds), and accelerator-nanoseconds in service.
        """
        used_uwh, idle_fine, service_ns = it
        hours = self._hours(period)
        wh = hours * 1e6
        idle_uwh, site.idle_rest = divmod(idle_fine + site.idle_rest, _MW_NS_PER_UWH)
        it_wh, site.it_rest_uwh = divmod(used_uwh + idle_uwh + site.it_rest_uwh, 1_000_000)
        it_mw = (used_uwh + idle_uwh) / 1e12 / hours
        done = order.metered or self._metered(site, period, it_mw, order, hours)
        cooling, losses, auxiliary = done.cooling_mw, done.losses_mw, done.auxiliary_mw
        heat, water = done.heat_mw, done.water_m3_per_h
        charge, discharge = done.charge_mw, done.discharge_mw
        wanted = float(site.heat_demand_mw[period])
        c = site.carries
        values = {
            "it_wh": it_wh,
            "cooling_wh": c["cooling"].take(cooling * wh),
            "auxiliary_wh": c["auxiliary"].take(auxiliary * wh),
            "losses_wh": c["losses"].take(losses * wh),
            "charge_wh": c["charge"].take(charge * wh),
        }
        discharge_wh = c["discharge"].take(discharge * wh)
        # rounding must not carry anything over a cable that may not export
        allowed_wh = int(min(site.export_mw, max(float(site.limit_mw[period]), 0.0)) * wh)
        over_wh = max(discharge_wh - sum(values.values()) - allowed_wh, 0)
        if (
            site.battery is not None and order.metered is None
        ):  # nor show what was held back as more than its power
            most_wh = int(site.battery.power_mw * wh) - values["charge_wh"]
            over_wh = max(over_wh, discharge_wh - max(most_wh, 0))
        c["discharge"].rest += over_wh
        discharge_wh -= over_wh
        net = sum(values.values()) - discharge_wh
        site.limit_missed_wh += max(net - int(site.limit_mw[period] * wh) - 2, 0)
        intraday_wh = c["intraday"].take(order.intraday_mw * wh)
        spread = site.intraday_spread_eur_per_mwh
        traded_eur_per_mwh = site.price_eur_per_mwh[period]
        traded_eur_per_mwh += spread if intraday_wh > 0 else -spread
        return values | {
            "discharge_wh": discharge_wh,
            "import_wh": max(net, 0),
            "export_wh": max(-net, 0),
            "it_idle_uwh": idle_uwh,
            "network_wh": c["network"].take(service_ns / NS_PER_H * site.fabric_w),
            "heat_wh": c["heat"].take(min(heat, wanted) * wh),
            "heat_demand_wh": round(wanted * wh),
            "water_ml": c["water"].take(water * hours * 1e6),
            "day_ahead_wh": c["day_ahead"].take(order.day_ahead_mw * wh),
            "intraday_wh": intraday_wh,
            "planned_it_wh": round(order.planned_it_mw * wh),
            "price_micro_eur": round(site.price_eur_per_mwh[period] * 1e6),
            "intraday_price_micro_eur": round(traded_eur_per_mwh * 1e6),
            "imbalance_price_micro_eur": round(site.imbalance_eur_per_mwh[period] * 1e6),
            "carbon_mg": round(site.carbon_kg_per_mwh[period] * 1e6),
            "breach_micro_eur": done.breach_micro_eur,
        }

    def _metered(
        self, site: TwinSite, period: int, it_mw: float, order: SiteOrder, hours: float
    ) -> Metered:
        """The plant at the IT load of a whole period, and the battery after it."""
        cooling, losses, heat, water = site.overheads(period, it_mw)
        auxiliary = site.auxiliary_mw if site.limit_mw[period] > 0 or it_mw > 0 else 0.0
        load = it_mw + cooling + losses + auxiliary
        charge, discharge = self._battery(site, period, load, order, hours)
        return Metered(cooling, losses, auxiliary, heat, water, charge, discharge, 0)

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
            site.limit_mw[period],
            site.soc_mwh,
            available,
            site.heat_demand_mw[period],
            order.envelope_mw,
        )

    @staticmethod
    def _battery(
        site: TwinSite, period: int, load_mw: float, order: SiteOrder, hours: float
    ) -> tuple[float, float]:
        """Charge and discharge as ordered, changed where the connection's limits ask it."""
        battery = site.battery
        if battery is None:
            return 0.0, 0.0
        limit = float(site.limit_mw[period])
        wish = order.charge_mw - order.discharge_mw
        wish = min(wish, limit - load_mw - METER_MW)  # never import above the limit
        # nor export above its own, nor over a cable that is dead, late or half cut
        wish = max(wish, -load_mw - min(site.export_mw, max(limit, 0.0)))
        charge, discharge = fit(battery, site.soc_mwh, max(wish, 0.0), max(-wish, 0.0), hours)
        site.soc_mwh = step(battery, site.soc_mwh, charge, discharge, hours)
        return charge, discharge

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
            "pool": [np.full(len(r), i, np.int8) for i, r in enumerate(records)],
        }
        moves: dict[str, npt.NDArray[Any]] = {
            name: np.concatenate([decided[name], *parts]) for name, parts in happened.items()
        }
        parts: dict[str, list[npt.NDArray[Any]]] = {}
        for i, place in enumerate(self.pools):
            first, last = self._asked[i], int(place.kernel.state.v[0]["arrival"])
            self._asked[i] = last
            here = self.placement.home[place.jobs[first:last]] == i
            for name, column in place.asks.items():
                parts.setdefault(name, []).append(column[first:last][here])
        return moves, {name: np.concatenate(columns) for name, columns in parts.items()}

    @staticmethod
    def _why(place: PoolPlace, records: Records) -> npt.NDArray[np.int32]:
        """Reasons of moves, the job that made another one go by its number in the run."""
        preempted = records.kind == int(Kind.PREEMPT)
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
        for (a, b), (x, y) in zip(self.contract_carries, fields["contracts"], strict=True):
            a.rest, b.rest = x, y
