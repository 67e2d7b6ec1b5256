"""A live day small enough to be calculated by hand."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gigafactory.factory import load_factory
from gigafactory.ledger import METERS
from gigafactory.ledger.book import FATES
from gigafactory.runtime.live import frames as f
from gigafactory.runtime.live.accounting import book_of, receipts_of, seal_period
from gigafactory.runtime.live.metering import Correction, Gather
from gigafactory.testing.factories import SmallFactory, SmallPool, SmallSite
from tests.golden.folders import hold, of
from tests.runtime.live.made_day import CLASSES, begin_of

MINUTE = 60 * 10**9
PER_UWH = 3_600_000_000


def frames_of(given, begin):
    """The frames of the day: each quarter an interval, its moves before it."""
    first, names = begin.edges_ns[0], list(given["jobs"])
    rows, moves = [], []
    for number, job in enumerate(given["jobs"].values()):
        group, width = CLASSES.index(job["class"]), job["accelerators"]
        rows.append((number, 0, group, 0, width, width // 8, 3, first, 7200, 0))
        for kind, at in ((f.START, job["start_min"]), (f.FINISH, job["end_min"])):
            moves.append((kind, number, first + at * MINUTE, width, 0, 128, 0, 0, 0))
    yield begin
    yield f.WorkTaken(f.columns_of(f.WORK, rows), tuple(names), tuple(names), tuple(names))
    for k, quarter in enumerate(given["quarters"]):
        start, end = begin.edges_ns[k], begin.edges_ns[k + 1]
        mine = [m for m in moves if start < m[2] <= end]
        if mine:
            mine.sort(key=lambda m: m[2])
            yield f.Moves(f.columns_of(f.MOVES, mine))
        yield interval(given, begin, quarter, start, end)


def interval(given, begin, quarter, start, end):
    pool, n = given["pool"], given["pool"]["nodes"] * given["pool"]["node_size"]
    groups = np.zeros((1, len(CLASSES), len(f.GROUP_COLUMNS)), np.int64)
    for job in given["jobs"].values():
        a, b = (begin.edges_ns[0] + job[key] * MINUTE for key in ("start_min", "end_min"))
        ran = max(min(b, end) - max(a, start), 0) * job["accelerators"]
        above = 1000 * (pool["full_w"][job["class"]] - pool["idle_w"])
        groups[0, CLASSES.index(job["class"])] += (ran, ran, 0, 0, ran * above // PER_UWH)
    installed = n * (end - start)
    idle = installed * pool["idle_w"] * 1000 // PER_UWH
    model = idle + int(groups[0, :, -1].sum())
    measured = quarter["it_wh"] is not None
    it = quarter["it_wh"] * 10**6 if measured else model
    row = (it, model, idle, int(measured), 0, installed, 0, installed, 0, 0, 0)
    price = round(quarter["price_eur_per_mwh"] * 1e6)
    carbon = given["carbon_kg_per_mwh"] * 10**6
    site = (quarter["import_wh"] * 10**6, 0, 0, 0, 1, 0, -1, price, carbon, 1, 0)
    return f.Metered(start, end, np.array([row]), groups, np.array([site]))


def told(gather, factory, names):
    day = book_of(gather, factory)
    had = {names[n]: row for n, row in receipts_of(day).items()}

    def column(name):
        return {job: row[name] for job, row in had.items()}

    meter = day.book.meter[: day.book.periods, 0]
    return day, {
        "energy_wh": column("energy_wh"),
        "modelled_ppm": {j: r["modelled_uwh"] * 10**6 // r["energy_uwh"] for j, r in had.items()},
        "cost_micro_eur": column("cost_micro_eur"),
        "co2_location_mg": column("co2_location_mg"),
        "gpu_s": column("gpu_s"),
        "resting_wh": meter[:, METERS.index("it_idle_uwh")] // 10**6,
        "it_wh": meter[:, METERS.index("it_wh")],
    }


def place_of(given):
    """The factory, and the beginning of its day with the powers of the case."""
    free = {"energy.market.supply_margin": "0 EUR/MWh", "energy.market.energy_tax": "0 EUR/MWh"}
    sites = (SmallSite((SmallPool("H100", given["pool"]["nodes"]),)),)
    with tempfile.TemporaryDirectory(prefix="gigafactory-") as place:
        path = SmallFactory(sites, changes=free).write(Path(place) / "factory.yaml")
        factory, begin = load_factory(path), begin_of(path)
    full = tuple(1000 * given["pool"]["full_w"].get(label, 500) for label in CLASSES)
    idle = 1000 * given["pool"]["idle_w"]
    pool = replace(begin.pools[0], nodes=("n0", "n1"), idle_mw=idle, full_mw=full)
    return factory, replace(begin, pools=(pool,))


def live_day(given):
    factory, begin = place_of(given)
    pool = begin.pools[0]
    names = list(given["jobs"])
    late = Correction(given["late"]["period"], "it_wh", pool.name, given["late"]["delta_wh"], "")
    now, after = Gather(), Gather((late,))
    for frame in frames_of(given, begin):
        now.take(frame)
        after.take(frame)
    assert not now.problems
    day, found = told(now, factory, names)
    _, later = told(after, factory, names)
    sealed = [seal_period(now, factory, k) for k in range(len(given["quarters"]))]
    found["by_period"] = {
        name: [sum(r["energy_wh"] for r in rows if r["work"] == name) for rows in sealed]
        for name in names
    }
    found["idle_s"] = int(day.book.fate_s[:, 0, FATES.index("idle")].sum())
    found["late"] = {key: later[key] for key in ("energy_wh", "modelled_ppm", "it_wh")}
    found["late"]["cost_micro_eur"] = {"A": later["cost_micro_eur"]["A"]}
    return found


CASES = {"live_day": live_day}


@pytest.mark.parametrize("folder", of(CASES), ids=lambda folder: folder.name)
def test_golden(folder):
    hold(folder, CASES)
