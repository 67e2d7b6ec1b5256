"""Facts made up by rolling dice: a few jobs that come and go, and meters that fit them exactly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gigafactory.ledger import ASK, GROUP_COLUMNS, METERS, MOVES, POOL_COLUMNS, Book, Facts, Header

STEP_NS = 900 * 10**9
START, BACKFILL, RESUME, FINISH, LIMIT, PAUSE, EVICT, PREEMPT, FAIL = range(1, 10)
CLASSES = ("training", "serving")


def header(pool_site: tuple[int, ...], periods: int, jobs: int, **changes: object) -> Header:
    sites = tuple(f"site{s}" for s in range(max(pool_site) + 1))
    first = 1_735_686_000 * 10**9
    fields: dict[str, object] = {
        "sites": sites,
        "pools": tuple(f"pool{p}" for p in range(len(pool_site))),
        "pool_site": pool_site,
        "classes": CLASSES,
        "contracts": ("wind",),
        "contract_site": (0,),
        "contract_price": (75_000_000,),
        "contract_curtail": (75_000_000,),
        "contract_guaranteed": (True,),
        "levy": 4_710_000,
        "export_margin": 1_500_000,
        "wear": (15_000_000,) * len(sites),
        "water_price": (1_500_000,) * len(sites),
        "heat_price": (15_000_000,) * len(sites),
        "overhead_ppm": (8333, 0),
        "jobs": jobs,
        "tenants": ("a", "b"),
        "node_size": (8,) * len(pool_site),
        "edges_ns": (first, first + periods * STEP_NS, STEP_NS),
    }
    return Header(**(fields | changes))  # type: ignore[arg-type]


class World:
    """Jobs that start, pause, are evicted and end, with the energy integrals of their groups."""

    def __init__(self, of: Header, seed: int, power_w: int = 1200, site_wh: int = 10**7) -> None:
        self.header = of
        self.dice = np.random.default_rng(seed)
        self.power_w, self.site_wh = power_w, site_wh
        pools, groups = len(of.pools), len(of.classes)
        self.energy = np.zeros((pools, groups), np.int64)
        self.job_pool = self.dice.integers(0, pools, of.jobs)
        self.job_group = self.dice.integers(0, groups, of.jobs)
        self.accelerators = self.dice.integers(1, 3000, of.jobs)
        self.state = np.zeros(of.jobs, np.int64)  # 0 not asked, then the last kind of move
        self.asked = 0
        self.work: dict[int, int] = {}  # exact uWh of each job
        self.rest = np.zeros(len(of.sites), np.int64)

    def facts(self, period: int) -> Facts:
        """One period: some hundred events, energy drawn between them by whoever is active."""
        of = self.header
        t = of.edges_ns[0] + period * STEP_NS
        pools, groups = len(of.pools), len(of.classes)
        used = np.zeros((pools, groups, len(GROUP_COLUMNS)), np.int64)
        moves: list[tuple[int, ...]] = []
        events = int(self.dice.integers(0, 12))
        cuts = np.sort(self.dice.integers(0, STEP_NS, events)) if events else np.zeros(0, np.int64)
        come = min(int(self.dice.integers(0, 5)), of.jobs - self.asked)
        new = np.arange(self.asked, self.asked + come)
        self.asked += come
        for begin, end in zip([0, *cuts.tolist()], [*cuts.tolist(), STEP_NS], strict=True):
            self._draw(used, int(end - begin))
            if end < STEP_NS and self.asked:
                moves += self._move(int(t + end))
        active = self._active()
        used[:, :, GROUP_COLUMNS.index("running")] = active
        used[:, :, GROUP_COLUMNS.index("energy_uwh")] = self.energy
        return Facts(
            meter=self._meter(used),
            contracts=self.dice.integers(0, 10**7, (len(of.contracts), 2)),
            groups=used,
            pools=self._pools(used),
            moves={
                name: np.array([m[i] for m in moves], kind)
                for i, (name, kind) in enumerate(MOVES.items())
            },
            asks=self._asks(new, t),
        )

    def _active(self) -> npt.NDArray[np.int64]:
        active = np.zeros(self.energy.shape, np.int64)
        on = np.isin(self.state, (START, BACKFILL, RESUME))
        np.add.at(active, (self.job_pool[on], self.job_group[on]), self.accelerators[on])
        return active

    def _draw(self, used: npt.NDArray[np.int64], dt: int) -> None:
        active = self._active()
        top = self.power_w * dt // 3_600_000 + 1
        gain = self.dice.integers(0, top, self.energy.shape)
        self.energy += gain
        used[:, :, GROUP_COLUMNS.index("used_uwh")] += active * gain
        used[:, :, GROUP_COLUMNS.index("used_ns")] += active * dt
        for j in np.flatnonzero(np.isin(self.state, (START, BACKFILL, RESUME))).tolist():
            share = int(self.accelerators[j]) * int(gain[self.job_pool[j], self.job_group[j]])
            self.work[j] = self.work.get(j, 0) + share

    def _move(self, t: int) -> list[tuple[int, ...]]:
        j = int(self.dice.integers(0, self.asked))
        was = int(self.state[j])
        if was in (FINISH, LIMIT):
            return []
        if was in (0, EVICT):
            kind = int(self.dice.choice([START, BACKFILL]))
        elif was == PAUSE:
            kind = RESUME
        else:
            kind = int(self.dice.choice([FINISH, LIMIT, PAUSE, EVICT]))
        self.state[j] = kind
        energy = int(self.energy[self.job_pool[j], self.job_group[j]])
        return [(kind, j, t, energy, int(self.accelerators[j]), 0, 0, int(self.job_pool[j]))]

    def _meter(self, used: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        of, dice = self.header, self.dice
        meter = np.zeros((len(of.sites), len(METERS)), np.int64)
        for s in range(len(of.sites)):
            mine = [p for p, at in enumerate(of.pool_site) if at == s]
            idle = int(dice.integers(0, 5 * 10**12))
            total = int(used[mine, :, GROUP_COLUMNS.index("used_uwh")].sum()) + idle
            it_wh, self.rest[s] = divmod(total + int(self.rest[s]), 10**6)
            row = {
                "it_wh": it_wh,
                "it_idle_uwh": idle,
                "charge_wh": int(dice.integers(0, self.site_wh)),
                "discharge_wh": int(dice.integers(0, self.site_wh)),
                "cooling_wh": int(dice.integers(0, self.site_wh)),
                "auxiliary_wh": int(dice.integers(0, 1000)),
                "losses_wh": int(dice.integers(0, 1000)),
                "heat_wh": int(dice.integers(0, 10**7)),
                "water_ml": int(dice.integers(0, 10**6)),
                "day_ahead_wh": int(dice.integers(-(10**7), 10**8)),
                "intraday_wh": int(dice.integers(-(10**7), 10**7)),
                "intraday_price_micro_eur": int(dice.integers(-500, 5000)) * 10**6 + 11,
                "planned_it_wh": int(dice.integers(0, 2 * it_wh + 2)),
                "price_micro_eur": int(dice.integers(-500, 5000)) * 10**6 + 7,
                "imbalance_price_micro_eur": int(dice.integers(-900, 9000)) * 10**6 + 3,
                "carbon_mg": int(dice.integers(0, 10**9)),
            }
            out = ("it_wh", "cooling_wh", "auxiliary_wh", "losses_wh", "charge_wh")
            net = sum(row[n] for n in out) - row["discharge_wh"]
            row |= {"import_wh": max(net, 0), "export_wh": max(-net, 0)}
            for name, value in row.items():
                meter[s, METERS.index(name)] = value
        return meter

    def _pools(self, used: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        rows = np.zeros((len(self.header.pools), len(POOL_COLUMNS)), np.int64)
        for p in range(len(rows)):
            busy = int(used[p, :, GROUP_COLUMNS.index("used_ns")].sum())
            held = busy + int(self.dice.integers(0, 10**12))
            service = held + int(self.dice.integers(0, 10**12))
            waiting, down = (int(self.dice.integers(0, 10**12)) for _ in range(2))
            rows[p, :5] = service + waiting + down, waiting, down, service, held
        return rows

    def _asks(self, new: npt.NDArray[np.int64], t: int) -> dict[str, npt.NDArray[np.generic]]:
        columns = {
            "job": new,
            "submit_ns": np.full(len(new), t),
            "tenant": new % 2,
            "job_class": self.job_group[new],
            "mission": np.zeros(len(new)),
            "accelerators": self.accelerators[new],
            "pool": self.job_pool[new],
            "end_state": new % 4,
            "price_micro_eur": np.full(len(new), 1_900_001),
        }
        return {name: columns[name].astype(kind) for name, kind in ASK.items()}


def booked(of: Header, seed: int, periods: int, **how: int) -> tuple[Book, World]:
    """A closed book of a made-up world, its days of uneven length."""
    book, world = Book(of), World(of, seed, **how)
    for period in range(periods):
        book.tick(world.facts(period))
        if world.dice.random() < 0.2:
            book.close_day()
    book.close(world.energy)
    return book, world
