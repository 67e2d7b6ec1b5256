"""The book: facts in, accounts and receipts out. A pure function of the journal's frames."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gigafactory.ledger.facts import (
    EVICT,
    FAIL,
    FINISH,
    GENERATOR_COLUMNS,
    GROUP_COLUMNS,
    LEAVE,
    LIMIT,
    METERS,
    MOVE,
    OPENS,
    PAUSE,
    POOL_COLUMNS,
    PREEMPT,
    REFUSE,
    SHARE_COLUMNS,
    Facts,
)
from gigafactory.ledger.integrals import FINE, SHARED, Integrals
from gigafactory.ledger.quantise import quantised, spread
from gigafactory.ledger.reserves import RESTS, activated_wh, imbalance_micro_eur, reserve_pay
from gigafactory.units import NS_PER_S

Ints = npt.NDArray[np.int64]
_PPM: Final = 1_000_000
_M: Final = {name: i for i, name in enumerate(METERS)}
_G: Final = {name: i for i, name in enumerate(GROUP_COLUMNS)}
_P: Final = {name: i for i, name in enumerate(POOL_COLUMNS)}
_O: Final = {name: i for i, name in enumerate(GENERATOR_COLUMNS)}
_COSTED: Final = ("made_wh", "fuel_wh", "starts")

#: Where accelerator-hours go; the classes' columns follow these.
FATES: Final = (
    "awaiting_power",
    "down",
    "idle",
    "reserved_idle",
    "held_paused",
    "lost_failure",
    "lost_response",
    "lost_preemption",
)
#: What a site pays (micro-euro; what it earns is negative), apart from the contracts.
PAID: Final = (
    "day_ahead",
    "imbalance",
    "ppa",
    "ppa_curtailed",
    "levy",
    "export_margin",
    "wear",
    "water",
    "heat",
    "data",
    "intraday",
    "guarantees",
    "fuel",
    "generation_om",
    "stack_co2",
    "fcr_capacity",
    "afrr_capacity",
    "afrr_energy",
    "reserve_penalty",
    "breach",
    "grid_tariff",
    "congestion",
)
#: What a power contract costs (positive) and brings (negative): energy and refused energy at the
#: contract's price, guarantees of origin sold on, and the energy's worth at the day-ahead price.
#: The last is no payment: it is what the energy would have cost otherwise.
CONTRACT_MONEY: Final = ("energy", "curtailed", "guarantees", "worth")
#: Of these, what comes by invoice, a month or a call at a time. It is not shared out over jobs: the
#: bill of a month does not belong to those that run in its last quarter.
INVOICED: Final = ("grid_tariff", "congestion")


@dataclass(frozen=True, slots=True)
class Header:
    """What the book must know before the first tick; the `begin` frame of the journal.

    Attributes:
        sites: names.
        pools: names.
        pool_site: site number of each pool.
        classes: labels of the groups.
        contracts: names of the power contracts.
        contract_site: site number of each.
        contract_price: micro-euro per MWh taken.
        contract_curtail: micro-euro per MWh curtailed.
        contract_guaranteed: whether the guarantees of origin come with it.
        levy: micro-euro per MWh imported (supplier's margin and tax).
        export_margin: micro-euro per MWh exported.
        wear: per site, micro-euro per MWh discharged.
        water_price: per site, micro-euro per m3.
        heat_price: per site, micro-euro per MWh of heat.
        data_price: per site, micro-euro per TB that leaves it with moved jobs.
        overhead_ppm: per class, millionths of run time spent saving checkpoints.
        edges_ns: edges of the market periods.
        jobs: number of jobs that will be submitted.
        tenants: names.
        node_size: accelerators per node of each pool.
        shares: names of the nodes of the quota tree, the same in every pool; the root first.
        rules: ids of the rules that refuse jobs.
        refused: numbers of the jobs refused.
        refused_by: the rule of each, an index into `rules`.
        contract_resale: micro-euro per MWh for guarantees of origin sold on; 0 where they are kept
            or do not come. Empty stands for none.
        contract_fee: micro-euro per MWh taken that the operating party gets; likewise.
        parties: names of the parties between whom contracts are divided, contract by contract.
        party_contract: contract of each.
        party_finance_ppm: millionths of the cost it carries.
        party_benefit_ppm: millionths of the benefit it gets.
        party_operates: whether it gets the fee.
        heat_pump_own: per site, whether the heat pump is its own; empty stands for none.
        generators: names of the own generators.
        generator_site: site number of each.
        generator_fuel: micro-euro per MWh of fuel.
        generator_upkeep: micro-euro per MWh made.
        generator_start: micro-euro per start.
        generator_co2: mg of CO2 at the stack per MWh of fuel.
        generator_co2_price: micro-euro per MWh of fuel for that CO2.
        generator_stock: fuel in the tank before the first period, Wh; -1 without a tank.
        outage_site: site number of each outage of the grid.
        outage_first: its first period.
        outage_last: the first period with the grid again.
    """

    sites: tuple[str, ...]
    pools: tuple[str, ...]
    pool_site: tuple[int, ...]
    classes: tuple[str, ...]
    contracts: tuple[str, ...]
    contract_site: tuple[int, ...]
    contract_price: tuple[int, ...]
    contract_curtail: tuple[int, ...]
    contract_guaranteed: tuple[bool, ...]
    levy: int
    export_margin: int
    wear: tuple[int, ...]
    water_price: tuple[int, ...]
    heat_price: tuple[int, ...]
    overhead_ppm: tuple[int, ...]
    jobs: int
    tenants: tuple[str, ...]
    edges_ns: tuple[int, int, int]
    node_size: tuple[int, ...]
    data_price: tuple[int, ...] = ()
    shares: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    refused: tuple[int, ...] = ()
    refused_by: tuple[int, ...] = ()
    contract_resale: tuple[int, ...] = ()
    contract_fee: tuple[int, ...] = ()
    parties: tuple[str, ...] = ()
    party_contract: tuple[int, ...] = ()
    party_finance_ppm: tuple[int, ...] = ()
    party_benefit_ppm: tuple[int, ...] = ()
    party_operates: tuple[bool, ...] = ()
    heat_pump_own: tuple[bool, ...] = ()
    generators: tuple[str, ...] = ()
    generator_site: tuple[int, ...] = ()
    generator_fuel: tuple[int, ...] = ()
    generator_upkeep: tuple[int, ...] = ()
    generator_start: tuple[int, ...] = ()
    generator_co2: tuple[int, ...] = ()
    generator_co2_price: tuple[int, ...] = ()
    generator_stock: tuple[int, ...] = ()
    outage_site: tuple[int, ...] = ()
    outage_first: tuple[int, ...] = ()
    outage_last: tuple[int, ...] = ()

    def fields(self) -> dict[str, Any]:
        """The header as the fields of a journal frame."""
        return asdict(self)

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Header:
        """Read the header back from the fields of a journal frame."""
        values: dict[str, Any] = {}
        for key, value in fields.items():
            values[key] = tuple(value) if isinstance(value, list) else value
        return cls(**values)

    @property
    def periods(self) -> int:
        """Market periods of the whole run."""
        first, last, step = self.edges_ns
        return (last - first) // step


#: Columns of the book per job, all int64: the receipts.
RECEIPT: Final = (
    "submit_ns",
    "start_ns",
    "end_ns",
    "gpu_s",
    "allocated_gpu_s",
    "lost_gpu_s",
    "stops",
    "moves",
    "energy_wh",
    *SHARED,
    "revenue_micro_eur",
)


class Book:
    """Accounts facts day by day; holds the columns from which every table is made.

    Args:
        header: what stays the same during the run.
    """

    def __init__(self, header: Header) -> None:
        self.header = header
        h = header
        sites, pools, classes = len(h.sites), len(h.pools), len(h.classes)
        periods = h.periods
        self.periods = 0
        self.meter = np.zeros((periods, sites, len(METERS)), np.int64)
        self.contract = np.zeros((periods, len(h.contracts), 2), np.int64)
        self.contract_money = np.zeros((periods, len(h.contracts), len(CONTRACT_MONEY)), np.int64)
        self.group = np.zeros((periods, pools, classes, len(GROUP_COLUMNS)), np.int64)
        own = len(h.generators)
        self.generator = np.zeros((periods, own, len(GENERATOR_COLUMNS)), np.int64)
        self.pool = np.zeros((periods, pools, len(POOL_COLUMNS)), np.int64)
        # accounts, filled as days close
        self.installed_s = np.zeros((periods, sites), np.int64)
        self.fate_s = np.zeros((periods, sites, len(FATES)), np.int64)
        self.useful_s = np.zeros((periods, sites, classes), np.int64)
        self.overhead_s = np.zeros((periods, sites, classes), np.int64)
        self.it_wh = np.zeros((periods, sites, classes + 1), np.int64)  # last: at rest
        self.paid = np.zeros((periods, sites, len(PAID)), np.int64)
        self.imbalance_wh = np.zeros((periods, sites), np.int64)
        self.shared_total = np.zeros((periods, sites, len(SHARED)), np.int64)
        self.shared = np.zeros((periods, sites, classes + 1, len(SHARED)), np.int64)
        self.revenue = np.zeros((periods, sites, classes), np.int64)
        self.integrals = Integrals(periods, pools, classes)
        self._hours_rest = np.zeros((sites, len(FATES) + 2 * classes), np.int64)
        self._it_rest = np.zeros((sites, classes + 1), np.int64)
        # columns of remainders: carbon, then generators, then reserves
        self._carbon = len(PAID) + len(h.contracts) * len(CONTRACT_MONEY)
        self._money_rest = np.zeros((sites + 1, self._carbon + 2 + 4 * own + RESTS), np.int64)
        named = [i for i, label in enumerate(h.classes) if label == "inference_realtime"]
        self._realtime = named[0] if named else -1
        # jobs
        self.receipt = np.zeros((len(RECEIPT), h.jobs), np.int64)
        self.receipt[1:3] = -1
        self.waited_for = np.full(h.jobs, -1, np.int32)
        self.refused_by = np.full(h.jobs, -1, np.int16)
        self.refused_by[list(h.refused)] = h.refused_by
        self.share_s: list[Ints] = []
        self.promised: dict[int, Ints] = {}
        self.fragments: list[Ints] = []
        self.replicas: list[Ints] = []  # of real-time replicas: job, begin and end of each segment
        self.ask: dict[str, Any] = {
            "tenant": np.full(h.jobs, -1, np.int16),
            "job_class": np.zeros(h.jobs, np.int8),
            "mission": np.zeros(h.jobs, np.int8),
            "accelerators": np.zeros(h.jobs, np.int32),
            "pool": np.full(h.jobs, -1, np.int8),
            "end_state": np.zeros(h.jobs, np.int8),
            "price_micro_eur": np.zeros(h.jobs, np.int64),
        }
        self.fate = np.zeros(h.jobs, np.uint8)  # last move of each job
        self.open_t = np.full(h.jobs, -1, np.int64)
        self.open_energy = np.zeros(h.jobs, np.int64)
        self.open_width = np.zeros(h.jobs, np.int32)
        self.segments = 0
        self.latest: Facts | None = None  # what was taken in last
        self._waiting: list[Facts] = []
        self.invoices: list[dict[str, Any]] = []  # every row, in the order it came

    def tick(self, facts: Facts) -> None:
        """Take in the facts of the next period; they are posted when the day closes."""
        self.latest = facts
        self._waiting.append(facts)

    def day_shares(self, share_s: Ints, fragments: Ints | None = None) -> None:
        """Take in what every node of the quota tree held in a day, int64[pools, nodes, columns].

        And how what was free lay at its end, int64[pools, columns]; older journals do not say.
        """
        assert share_s.shape[2] == len(SHARE_COLUMNS)
        self.share_s.append(share_s)
        if fragments is not None:
            self.fragments.append(fragments.astype(np.int64))

    def day_invoices(self, rows: list[dict[str, Any]]) -> None:
        """Take in rows of invoices, before the day closes that holds their periods.

        Args:
            rows: each with `site`, `account` (one of `INVOICED`), `period` and `micro_eur` (what is
                received is negative), and what else it says.
        """
        self.invoices += rows
        for row in rows:
            at = row["period"], row["site"], PAID.index(row["account"])
            self.paid[at] += int(row["micro_eur"])

    def day_quotas(self, day: int, nominal: Ints) -> None:
        """Take in that the nominal quotas, int64[pools, nodes], are these from a day on."""
        self.promised[day] = nominal.astype(np.int64)

    def close_day(self) -> None:
        """Post everything taken in since the last close."""
        if not self._waiting:
            return
        first, n = self.periods, len(self._waiting)
        now = slice(first, first + n)
        self.meter[now] = np.stack([f.meter for f in self._waiting])
        if self.header.contracts:
            self.contract[now] = np.stack([f.contracts for f in self._waiting])
        if self.header.generators:
            self.generator[now] = np.stack([f.generators for f in self._waiting])
        self.group[now] = np.stack([f.groups for f in self._waiting])
        self.pool[now] = np.stack([f.pools for f in self._waiting])
        self.periods += n
        self._post_hours(now)
        self._post_energy(now)
        for site in range(len(self.header.sites)):
            self._post_money(now, site)
        self._share_out(now)
        self._post_asks()
        self._post_moves(self._of_day([facts.moves for facts in self._waiting]))
        self._waiting.clear()

    def _of_site(self, site: int) -> list[int]:
        return [i for i, s in enumerate(self.header.pool_site) if s == site]

    def _post_hours(self, now: slice) -> None:
        """Accelerator-seconds: what was installed, and what became of each."""
        classes = len(self.header.classes)
        for site in range(len(self.header.sites)):
            pools = self._of_site(site)
            pool = self.pool[now][:, pools].sum(axis=1)
            group = self.group[now][:, pools].sum(axis=1)
            used, paused, lost, failed, preempted, restart = (
                group[..., _G[f"{name}_ns"]]
                for name in ("used", "paused", "lost", "failed", "preempted", "restart")
            )
            # a site's accelerator-nanoseconds times a million do not fit in 64 bits: split first
            ppm = np.array(self.header.overhead_ppm)
            overhead = used // _PPM * ppm + used % _PPM * ppm // _PPM
            held = pool[:, _P["held_ns"]]
            fates = np.stack(
                [
                    pool[:, _P["awaiting_ns"]],
                    pool[:, _P["down_ns"]],
                    pool[:, _P["service_ns"]] - held,
                    held - used.sum(axis=1) - paused.sum(axis=1),
                    paused.sum(axis=1),
                    failed.sum(axis=1),
                    lost.sum(axis=1),
                    preempted.sum(axis=1),
                ],
                axis=1,
            )
            overhead = overhead + restart
            useful = used - overhead - lost - failed - preempted
            fine = np.concatenate([fates, useful, overhead], axis=1)
            whole, self._hours_rest[site] = quantised(fine, NS_PER_S, self._hours_rest[site])
            n = len(FATES)
            self.fate_s[now, site] = whole[:, :n]
            self.useful_s[now, site] = whole[:, n : n + classes]
            self.overhead_s[now, site] = whole[:, n + classes :]
            self.installed_s[now, site] = pool[:, _P["installed_ns"]] // NS_PER_S

    def _post_energy(self, now: slice) -> None:
        for site in range(len(self.header.sites)):
            used = self.group[now, ..., _G["used_uwh"]][:, self._of_site(site)].sum(axis=1)
            idle = self.meter[now, site, _M["it_idle_uwh"], None]
            fine = np.concatenate([used, idle], axis=1)
            whole, self._it_rest[site] = quantised(fine, _PPM, self._it_rest[site])
            self.it_wh[now, site] = whole

    def _priced(self, site: int, column: int, wh: Ints, price: Ints | int) -> Ints:
        each = np.broadcast_to(np.asarray(price, np.int64), wh.shape)
        units, rest = spread(wh, each, _PPM, int(self._money_rest[site, column]))
        self._money_rest[site, column] = rest
        return units

    def _post_money(self, now: slice, site: int) -> None:
        """What the site paid, in micro-euro, and what follows from its import: carbon."""
        h = self.header
        meter = {name: self.meter[now, site, i] for name, i in _M.items()}
        taken = np.zeros(len(meter["it_wh"]), np.int64)
        guaranteed = np.zeros_like(taken)
        mine = [c for c, of in enumerate(h.contract_site) if of == site]
        for c in mine:
            wh = self.contract[now, c, 0]
            taken += wh
            guaranteed += wh if h.contract_guaranteed[c] else 0
            self._post_contract(now, site, c, meter["price_micro_eur"])
        ppa, curtailed, resold, _ = self.contract_money[now][:, mine].sum(axis=1).T
        net = meter["import_wh"] - meter["export_wh"]
        bought = meter["day_ahead_wh"] + meter["intraday_wh"] + activated_wh(meter)
        off = net - taken - bought
        self.imbalance_wh[now, site] = off
        fuel, upkeep, co2_cost, stack = self._post_own(now, site)
        paid = (
            self._priced(site, 0, meter["day_ahead_wh"], meter["price_micro_eur"]),
            self._priced(site, 1, off, imbalance_micro_eur(meter, off)),
            ppa,
            curtailed,
            self._priced(site, 4, meter["import_wh"], h.levy),
            self._priced(site, 5, meter["export_wh"], h.export_margin),
            self._priced(site, 6, meter["discharge_wh"], h.wear[site]),
            self._priced(site, 7, meter["water_ml"], h.water_price[site]),
            -self._priced(site, 8, meter[self._heat_sold(site)], h.heat_price[site]),
            self._priced(site, 9, meter["data_mb"], h.data_price[site] if h.data_price else 0),
            self._priced(site, 10, meter["intraday_wh"], meter["intraday_price_micro_eur"]),
            resold,
            fuel,
            upkeep,
            co2_cost,
            *reserve_pay(meter, self._money_rest[site, -RESTS:]),
            meter["breach_micro_eur"],
        )
        shared = len(paid)
        assert PAID[shared:] == INVOICED, "what is invoiced stands at the end"
        self.paid[now, site, :shared] = np.stack(paid, axis=1)
        last = self._carbon
        bare = np.maximum(meter["import_wh"] - np.minimum(guaranteed, meter["import_wh"]), 0)
        self.shared_total[now, site] = np.stack(
            [
                self.paid[now, site, :shared].sum(axis=1),
                self._priced(site, last, meter["import_wh"], meter["carbon_mg"]),
                self._priced(site, last + 1, bare, meter["carbon_mg"]),
                meter["water_ml"],
                stack,
            ],
            axis=1,
        )

    def _heat_sold(self, site: int) -> str:
        """Meter of the heat that is paid for: behind the heat pump where that is the site's own."""
        own = self.header.heat_pump_own
        return "heat_network_wh" if own and own[site] else "heat_wh"

    def _post_contract(self, now: slice, site: int, c: int, price: Ints) -> None:
        """What a power contract costs and brings, micro-euro, in the order of `CONTRACT_MONEY`."""
        h, first = self.header, len(PAID) + c * len(CONTRACT_MONEY)
        wh, cut = self.contract[now, c, 0], self.contract[now, c, 1]
        resale = h.contract_resale[c] if h.contract_resale else 0
        each = (
            self._priced(site, first, wh, h.contract_price[c]),
            self._priced(site, first + 1, cut, h.contract_curtail[c]),
            -self._priced(site, first + 2, wh, resale),
            -self._priced(site, first + 3, wh, price),
        )
        self.contract_money[now, c] = np.stack(each, axis=1)

    def _post_own(self, now: slice, site: int) -> tuple[Ints, Ints, Ints, Ints]:
        """What own generators cost in a day: fuel, upkeep with starts, price of CO2; and their CO2.

        Micro-euro three times, then mg at the stack.
        """
        h, n = self.header, now.stop - now.start
        fuel, upkeep, price, stack = np.zeros((4, n), np.int64)
        for k, of in enumerate(h.generator_site):
            if of != site:
                continue
            made, burnt, starts = (self.generator[now, k, _O[c]] for c in _COSTED)
            at = self._carbon + 2 + 4 * k
            fuel += self._priced(site, at, burnt, h.generator_fuel[k])
            upkeep += self._priced(site, at + 1, made, h.generator_upkeep[k])
            upkeep += starts * h.generator_start[k]
            stack += self._priced(site, at + 2, burnt, h.generator_co2[k])
            price += self._priced(site, at + 3, burnt, h.generator_co2_price[k])
        return fuel, upkeep, price, stack

    def _share_out(self, now: slice) -> None:
        """Spread what a site paid, emitted and drank over its IT energy, and run the integrals.

        Rates are floored to whole trillionths and shares to whole units in Python's integers; what
        that leaves stands in the rounding account of the period. What a site pays while it has no
        IT energy at all stands with its resting accelerators.
        """
        pools, classes = len(self.header.pools), len(self.header.classes)
        rates = np.zeros((now.stop - now.start, pools, len(SHARED)), np.int64)
        for site in range(len(self.header.sites)):
            mine = self._of_site(site)
            used = self.group[now, ..., _G["used_uwh"]][:, mine].sum(axis=1)
            idle = self.meter[now, site, _M["it_idle_uwh"]]
            for k in range(now.stop - now.start):
                at = now.start + k
                energy = [*used[k].tolist(), int(idle[k])]
                total = sum(energy)
                if total == 0:
                    self.shared[at, site, classes] = self.shared_total[at, site]
                    continue
                rate = [units * FINE // total for units in self.shared_total[at, site].tolist()]
                rates[k, mine] = rate
                self.shared[at, site] = [[uwh * each // FINE for each in rate] for uwh in energy]
        self.integrals.extend(now.start, self.group[now][..., _G["energy_uwh"]], rates)

    def _post_asks(self) -> None:
        asks = self._of_day([facts.asks for facts in self._waiting])
        job = asks["job"]
        self.receipt[0, job] = asks["submit_ns"]
        for name, column in self.ask.items():
            column[job] = asks[name]

    @staticmethod
    def _of_day(each: list[dict[str, Any]]) -> dict[str, Any]:
        """Columns of the facts of a day, one after the other."""
        return {name: np.concatenate([some[name] for some in each]) for name in each[0]}

    def _post_moves(self, moves: dict[str, Any]) -> None:
        """Close segments: match each close with the open before it, and write its receipt."""
        decided = moves["kind"] >= REFUSE
        if decided.any():
            told = {name: column[decided] for name, column in moves.items()}
            moves = {name: column[~decided] for name, column in moves.items()}
            self._post_segments(moves)
            self._post_decided(told)
        else:
            self._post_segments(moves)

    def _post_decided(self, moves: dict[str, Any]) -> None:
        """Refusals, moves to other pools, and jobs that leave while they do not run."""
        refused = moves["kind"] == REFUSE
        self.refused_by[moves["job"][refused]] = moves["why"][refused]
        moved = moves["kind"] == MOVE
        np.add.at(self.receipt[RECEIPT.index("moves")], moves["job"][moved], 1)
        self.ask["pool"][moves["job"][moved]] = moves["why"][moved]
        left = moves["kind"] == LEAVE
        self.fate[moves["job"][left]] = FINISH
        self.receipt[2, moves["job"][left]] = moves["t_ns"][left]

    def _post_segments(self, moves: dict[str, Any]) -> None:
        if not len(moves["job"]):
            return
        order = np.argsort(moves["job"], kind="stable")
        kind, job = moves["kind"][order], moves["job"][order].astype(np.int64)
        t, energy, width = (moves[name][order] for name in ("t_ns", "energy_uwh", "width"))
        opens = np.isin(kind, OPENS)
        same = np.concatenate([[False], job[1:] == job[:-1]])
        before = np.concatenate([[0], np.arange(len(job) - 1)])
        close = np.flatnonzero(~opens)
        follows = same[close]
        start_t = np.where(follows, t[before[close]], self.open_t[job[close]])
        start_energy = np.where(follows, energy[before[close]], self.open_energy[job[close]])
        ends = (start_t, start_energy, t[close], energy[close])
        pool = moves["pool"][order][close].astype(np.int64)
        lost = moves["lost_ns"][order][close]
        # borrowed capacity is lost at own risk; other work lost is not billed, nor what was lost
        # by being sent to another pool (no job made it go)
        risk = (kind[close] == PREEMPT) & (moves["why"][order][close] >= 0)
        unbilled = np.where(risk, 0, lost)
        self._write(job[close], kind[close], width[close], lost, unbilled, pool, ends)
        first = opens & ~same
        unseen = self.receipt[1, job[first]] < 0
        fresh = job[first][unseen]
        self.receipt[1, fresh] = t[first][unseen]
        self.waited_for[fresh] = moves["why"][order][first][unseen]
        last = np.concatenate([job[1:] != job[:-1], [True]])
        self.fate[job[last]] = kind[last]
        still = last & opens
        self.open_t[job[last & ~opens]] = -1
        self.open_t[job[still]] = t[still]
        self.open_energy[job[still]] = energy[still]
        self.open_width[job[still]] = width[still]

    def _write(
        self,
        job: Ints,
        kind: Any,
        width: Any,
        lost_ns: Ints,
        unbilled_ns: Ints,
        pool: Ints,
        ends: tuple[Ints, Ints, Ints, Ints],
    ) -> None:
        """Add closed segments to their jobs' receipts.

        Args:
            job: whose they are.
            kind: how each closed.
            width: accelerators it ran on.
            lost_ns: accelerator-nanoseconds rolled back.
            unbilled_ns: of these, what the tenant does not pay.
            pool: where each ran.
            ends: instant and energy reading at which it opened, and at which it closed.
        """
        t0, e0, t1, e1 = ends
        live = self.ask["job_class"][job] == self._realtime
        if live.any():
            self.replicas.append(np.stack([job, t0, t1], axis=1)[live])
        first, _, step = self.header.edges_ns
        a = width.astype(np.int64)
        group = self.ask["job_class"][job].astype(np.int64)
        # a segment that closes on the last edge is read at the end of the last period
        p0 = (t0 - first) // step
        p1 = np.minimum((t1 - first) // step, self.periods)
        shared = self.integrals.receipt(
            a,
            self.integrals.reading(np.minimum(p0, self.periods - 1), pool, group, e0),
            self.integrals.reading(np.minimum(p1, self.periods - 1), pool, group, e1),
        )
        gpu_s = a * ((t1 - t0) // 1000) // _PPM
        node = np.array(self.header.node_size, np.int64)[pool]
        # a gang holds whole nodes
        held = np.where(self.ask["accelerators"][job] >= node, -(-a // node) * node, a)
        held_s = held * ((t1 - t0) // 1000) // _PPM
        lost_s = lost_ns // NS_PER_S
        stopped = np.isin(kind, (EVICT, FAIL, PREEMPT))
        billed = np.maximum(gpu_s - unbilled_ns // NS_PER_S, 0)
        revenue = billed * self.ask["price_micro_eur"][job] // 3600
        energy_wh = a * (e1 - e0) // _PPM
        columns = [gpu_s, held_s, lost_s, stopped, 0, energy_wh, *shared.T, revenue]
        for row, column in zip(self.receipt[3:], columns, strict=True):
            np.add.at(row, job, column)
        ended = np.isin(kind, (FINISH, LIMIT))
        self.receipt[2, job[ended]] = t1[ended]
        self.segments += len(job)
        site = np.array(self.header.pool_site, np.int64)[pool]
        at = np.minimum(p1, self.periods - 1)
        np.add.at(self.revenue, (at, site, group), revenue)

    def still_waiting(self, job: npt.NDArray[Any], why: npt.NDArray[Any]) -> None:
        """Note what jobs that never started waited for at the end."""
        never = self.receipt[1, job] < 0
        self.waited_for[job[never]] = why[never]

    def close(self, energy_uwh: Ints) -> None:
        """Close the segments of jobs still running at the end, so that receipts sum to totals.

        Args:
            energy_uwh: int64[pools, classes], readings at the end.
        """
        self.close_day()
        job = np.flatnonzero(self.open_t >= 0)
        if not len(job):
            return
        end = np.full(len(job), self.header.edges_ns[0] + self.periods * self.header.edges_ns[2])
        energy = energy_uwh[self.ask["pool"][job], self.ask["job_class"][job]]
        kind = np.full(len(job), PAUSE, np.uint8)
        ends = (self.open_t[job], self.open_energy[job], end, energy)
        pool = self.ask["pool"][job].astype(np.int64)
        none = np.zeros_like(end)
        self._write(job, kind, self.open_width[job], none, none, pool, ends)


__all__ = ["CONTRACT_MONEY", "FATES", "PAID", "RECEIPT", "Book", "Header"]
