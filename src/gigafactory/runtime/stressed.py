"""What a stress run leaves: its table of seconds in one file, and its block of the summary."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from gigafactory.engine.errors import Problem
from gigafactory.engine.journal import frames
from gigafactory.kernel.sitestate import HIGHEST_HZ, LOWEST_HZ, REASONS
from gigafactory.ledger import METERS, Book
from gigafactory.planner.balancing import TOLERANCE, ResponsePlant
from gigafactory.planner.delivery import corridor
from gigafactory.runtime.owed import AUCTIONS
from gigafactory.runtime.reservesummary import product_rows
from gigafactory.runtime.seconds import CUT, EXCEEDED, ORDERED, REFUSED, TRIP
from gigafactory.runtime.stressing import DAYS_NAME, SECONDS_NAME, Driver
from gigafactory.runtime.wiring import CLASSES
from gigafactory.units import NS_PER_S

Array = npt.NDArray[np.float64]

_S_PER_H: Final = 3600.0
#: An import this far above its limit is above it, MW: the twin's meters keep as far below.
OVER_MW: Final = 1e-4
#: How long before and behind a trip or an ordered limit moves belong to it, s: its notice, and the
#: way back by ramp etiquette.
EXEMPT_S: Final = 900
#: Columns of the table of seconds that are no readings.
_LABELS: Final = ("site", "unix_s")
#: Wh that whole meters may be off a sum of seconds in one period: the remainder they carry.
_ROUND_WH: Final = 2.0


def gather(folder: Path) -> None:
    """Put the tables of the days into one, in order."""
    parts = sorted((folder / DAYS_NAME).glob("day-*.parquet"))
    if not parts:
        return
    tables = [pq.read_table(part) for part in parts]
    whole = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    pq.write_table(whole, folder / SECONDS_NAME, compression="zstd", compression_level=3)


def drop_days(folder: Path) -> None:
    """Remove the tables of the days, once the run is complete."""
    shutil.rmtree(folder / DAYS_NAME, ignore_errors=True)


def check_seconds(folder: Path) -> list[Problem]:
    """Whether the table of seconds is what the journal says it is; nothing without stress days.

    What a desk sold must stand in its seconds as it does in the meters that are paid by.
    """
    told = [f.fields for f in frames(folder / "journal.gfj") if f.kind == "seconds"]
    if not told:
        return []
    path = folder / SECONDS_NAME
    if not path.is_file():
        return [Problem(str(path), "", "", "is missing")]
    table = pq.read_table(path)
    names = [n for n in table.column_names if n not in _LABELS]
    sites = np.asarray(table.column("site").to_pylist(), dtype=object)
    unix_s = table.column("unix_s").to_numpy()
    rows = np.stack([table.column(n).to_numpy().astype(np.float64) for n in names], axis=1)
    at: dict[str, int] = {}
    problems, settled = [], []
    for day in told:
        for s, (name, kept) in enumerate(day["sites"].items()):
            span = slice(at.get(name, 0), at.get(name, 0) + int(kept["seconds"]))
            mine = rows[sites == name][span]
            at[name] = span.stop
            found = hashlib.sha256(np.ascontiguousarray(mine).tobytes()).hexdigest()
            if found != kept["sha256"]:
                why = f"differs from what the journal says of day {day['day']} at {name}"
                problems.append(Problem(str(path), "", "", why))
            elif kept.get("sold_by") == AUCTIONS:
                columns = dict(zip(names, mine.T, strict=True))
                settled.append((s, name, unix_s[sites == name][span], columns))
    return problems + _check_settled(folder, settled)


def _check_settled(
    folder: Path, settled: list[tuple[int, str, Any, dict[str, Array]]]
) -> list[Problem]:
    """Whether the meters of reserves hold what the seconds say was sold and called.

    A period in which a setpoint was refused shows another in force than was asked.
    """
    if not settled:
        return []
    meter = {f.tick_ns // NS_PER_S: f.arrays["meter"] for f in frames(folder / "journal.gfj")
             if f.kind == "facts"}  # fmt: skip
    begins = np.array(sorted(meter))
    problems = []
    for s, site, unix_s, c in settled:
        due = np.nan_to_num(c["fcr_due_mw"])
        seconds = {
            "fcr_sold_wh": c["fcr_sold_mw"],
            "afrr_up_sold_wh": c["afrr_up_sold_mw"],
            "afrr_down_sold_wh": c["afrr_down_sold_mw"],
            "fcr_up_wh": due.clip(0.0),
            "fcr_down_wh": -due.clip(None, 0.0),
            "afrr_up_asked_wh": c["setpoint_mw"].clip(0.0),
            "afrr_down_asked_wh": -c["setpoint_mw"].clip(None, 0.0),
        }
        of = np.searchsorted(begins, unix_s, side="right") - 1
        refused = set(of[(c["flags"].astype(np.int64) & REFUSED) != 0].tolist())
        for name, power in seconds.items():
            column = METERS.index(name)
            summed = np.bincount(of, power, len(begins)) * 1e6 / _S_PER_H
            for k in np.unique(of).tolist():
                if k in refused and name.endswith("asked_wh"):
                    continue
                read = int(meter[int(begins[k])][s, column])
                if abs(summed[k] - read) > _ROUND_WH:
                    why = f"period {k} at {site}: the seconds come to {summed[k]:.0f} Wh"
                    problems.append(Problem("ledger, reserves", name, str(read), why))
    return problems


def stress_summary(folder: Path, driver: Driver, book: Book) -> dict[str, Any] | None:
    """The block `stress` of the summary, from the table of seconds and the journal."""
    path = folder / SECONDS_NAME
    if not path.is_file():
        return None
    table = pq.read_table(path)
    label = np.asarray(table.column("site").to_pylist(), dtype=object)
    columns = {n: table.column(n).to_numpy() for n in table.column_names if n != "site"}
    told = [f.fields for f in frames(folder / "journal.gfj") if f.kind == "seconds"]
    sites = {}
    for s, wire in enumerate(driver.world.sites):
        mine = {n: column[label == wire.name] for n, column in columns.items()}
        days = [day["sites"][wire.name] for day in told]
        sites[wire.name] = _site(mine, driver.duties[s].plant, days)
        sites[wire.name]["paid_eur"] = _paid(book, s)
        sites[wire.name]["sold_by"] = driver.duties[s].sold_by
        sites[wire.name]["pay"] = _pay(book, driver, s)
    first = driver.signals.day(driver.stress.begin, 0, 1.0, (0.0, 0.0)).frequency
    trace = dict(zip(("source", "state", "note"), first, strict=True))
    return {
        "asked": {n: getattr(driver.stress, n) for n in
                  ("trace", "begin", "days", "limits", "trips", "dips", "seconds")},
        "days": len(told),
        "frequency": trace,
        "sites": sites,
    }  # fmt: skip


def _paid(book: Book, s: int) -> float:
    from gigafactory.ledger.book import PAID

    return float(book.paid[: book.periods, s, PAID.index("breach")].sum()) / 1e6


def _pay(book: Book, driver: Driver, s: int) -> list[dict[str, Any]] | None:
    """What was sold for each stress day came to in its seconds; None where no desk sells."""
    if driver.duties[s].sold_by != AUCTIONS:
        return None
    rows: list[dict[str, Any]] = []
    for day, date in enumerate(driver.calendar.local_dates):
        periods = driver.calendar.day_slice(day)
        walked = [p for p in range(periods.start, min(periods.stop, book.periods))
                  if driver.covers(day, p - periods.start)]  # fmt: skip
        if walked:
            mine = product_rows(book.meter[walked, s : s + 1])
            rows += [{"day": date.isoformat(), **row} for row in mine]
    return rows


def _site(c: Mapping[str, Array], plant: ResponsePlant, days: Sequence[Any]) -> dict[str, Any]:
    """One site's block."""
    flags = c["flags"].astype(np.int64)
    on = (flags & TRIP) == 0
    limit = c["limit_mw"]
    drawn = c["import_mw"]
    # work that nothing supplies would be above the limit too
    over = (drawn > limit + OVER_MW) | ((c["shortfall_mw"] > OVER_MW) & (c["it_mw"] > OVER_MW))
    cut = np.flatnonzero(np.diff(c["unix_s"]) != 1) + 1
    return {
        "seconds": len(on),
        "off_s": int((~on).sum()),
        "limit_ordered_s": int(((flags & ORDERED) != 0).sum()),
        "above_limit_s": int(over.sum()),
        "import_mw_max": float(drawn.max()),
        **_reserves(c, plant, on, cut),
        "soc_mwh": {"least": float(c["soc_mwh"].min()), "most": float(c["soc_mwh"].max())},
        "ramp": _ramp(c, drawn, cut, plant),
        "shed_mwh": {k: float(c[f"shed_{k}_mw"].sum()) / _S_PER_H for k in CLASSES},
        "beyond_mwh": {k: float(c[f"beyond_{k}_mw"].sum()) / _S_PER_H for k in CLASSES},
        "exceeded_s": int(((flags & EXCEEDED) != 0).sum()),
        "cut_s": int(((flags & CUT) != 0).sum()),
        "shortfall_mwh": float(c["shortfall_mw"].sum()) / _S_PER_H,
        "granularity_mwh": float(c["granularity_mw"].sum()) / _S_PER_H,
        "ride": [{"day": d, "at_s": at, "state": state, "dips": count}
                 for d, day in enumerate(days) for at, state, count in day["ride"]],
        "merit_order": [
            dict(zip(("action", "class", "power_mw", "cost_eur_per_mwh", "full_s", "limits_only"),
                     row, strict=True))
            for row in (days[-1]["merit"] if days else [])
        ],
        "swing": days[-1]["swing"] if days else None,
        "worst": _worst(c, drawn),
    }  # fmt: skip


def _reserves(
    c: Mapping[str, Array], plant: ResponsePlant, on: npt.NDArray[np.bool_], cut: Any
) -> dict[str, Any]:
    """How FCR and aFRR were delivered, in the seconds in which they are owed.

    Seconds without a connection count for nothing here.
    """
    sold, up, down = c["fcr_sold_mw"], c["afrr_up_sold_mw"], c["afrr_down_sold_mw"]
    return {
        "tolerance_share": TOLERANCE,
        "fcr": _fcr(c, plant, on) if sold.any() else None,
        "afrr": _afrr(c, plant, on, cut) if up.any() or down.any() else None,
    }


def _fcr(c: Mapping[str, Array], plant: ResponsePlant, on: npt.NDArray[np.bool_]) -> dict[str, Any]:
    hz, sold, battery = c["frequency_hz"], c["fcr_sold_mw"], plant.battery
    measured = on & (sold > 0.0) & (hz > LOWEST_HZ) & (hz < HIGHEST_HZ)
    miss = np.abs(c["fcr_mw"] - c["fcr_due_mw"])[measured]
    right = miss <= TOLERANCE * sold[measured] + 1e-9
    each = sold * plant.fcr.reservoir_min / 60.0
    least = battery.soc_min_mwh + each / battery.discharge_efficiency
    highest = battery.soc_max_mwh - each * battery.charge_efficiency
    beyond = (c["soc_mwh"] < least - 1e-9) | (c["soc_mwh"] > highest + 1e-9)
    return {
        "contracted_mw": float(sold.max()),
        "contracted_mw_least": float(sold.min()),
        "sold_s": int((sold > 0.0).sum()),
        "measured_s": int(measured.sum()),
        "within_share": float(right.mean()) if len(right) else None,
        "worst_mw": float(miss.max(initial=0.0)),
        "up_mwh": float(c["fcr_mw"].clip(0.0).sum()) / _S_PER_H,
        "down_mwh": float(-c["fcr_mw"].clip(None, 0.0).sum()) / _S_PER_H,
        "outside_reserve_s": int((beyond & (sold > 0.0)).sum()),
    }


def _afrr(
    c: Mapping[str, Array], plant: ResponsePlant, on: npt.NDArray[np.bool_], cut: Any
) -> dict[str, Any]:
    up, down = c["afrr_up_sold_mw"], c["afrr_down_sold_mw"]
    outside = np.zeros(len(on))
    for part in np.split(np.arange(len(on)), cut):
        low, high = corridor(plant, c["setpoint_mw"][part])
        outside[part] = np.maximum(low - c["afrr_mw"][part], c["afrr_mw"][part] - high).clip(0.0)
    right = outside <= TOLERANCE * np.maximum(up, down) + 1e-9
    owed = on & (up + down > 0.0)
    free = owed & ~_exempt(c)
    return {
        "up_mw": float(up.max()),
        "down_mw": float(down.max()),
        "sold_s": int((up + down > 0.0).sum()),
        "connected_s": int(owed.sum()),
        "within_share": float(right[owed].mean()) if owed.any() else None,
        "within_share_unlimited": float(right[free].mean()) if free.any() else None,
        "worst_mw": float(outside[owed].max(initial=0.0)),
        "up_mwh": float(c["afrr_mw"].clip(0.0).sum()) / _S_PER_H,
        "down_mwh": float(-c["afrr_mw"].clip(None, 0.0).sum()) / _S_PER_H,
        "refused": int(((c["flags"].astype(np.int64) & REFUSED) != 0).sum()),
    }


def _exempt(c: Mapping[str, Array]) -> npt.NDArray[np.bool_]:
    """Seconds in a trip or an ordered limit, and `EXEMPT_S` before and behind: moves are free."""
    flags = c["flags"].astype(np.int64)
    busy = ((flags & (TRIP | ORDERED)) != 0).astype(np.int64)
    wide = np.concatenate([np.zeros(EXEMPT_S, np.int64), busy, np.zeros(EXEMPT_S, np.int64)])
    sums = np.concatenate([[0], np.cumsum(wide)])
    return np.asarray(sums[2 * EXEMPT_S + 1 :] - sums[: len(busy)] > 0)


def _ramp(c: Mapping[str, Array], drawn: Array, cut: Any, plant: ResponsePlant) -> dict[str, Any]:
    """The fastest move within a minute, against ramp etiquette.

    `all` is import as it was. The etiquette exempts reserves, binding limits and trips: `others` is
    import without FCR and aFRR, away from limits and trips. Starts and ends of jobs are in both.
    """
    allowed = plant.ramp_share_per_min * plant.capacity_mw
    free = ~_exempt(c)
    bare = drawn + c["fcr_mw"] + c["afrr_mw"]
    every, others = [np.zeros(1)], [np.zeros(1)]
    for part in np.split(np.arange(len(drawn)), cut):
        if len(part) > 60:
            every.append(np.abs(drawn[part][60:] - drawn[part][:-60]))
            moved = np.abs(bare[part][60:] - bare[part][:-60])
            others.append(moved[free[part][60:] & free[part][:-60]])
    found = {}
    for name, moves in (("all", np.concatenate(every)), ("others", np.concatenate(others))):
        found[name] = {
            "max_mw_per_min": float(moves.max()),
            "share_of_capacity": float(moves.max()) / plant.capacity_mw,
            "above_s": int((moves > allowed + 1e-9).sum()),
        }
    return {"allowed_mw_per_min": allowed, **found}


def _worst(c: Mapping[str, Array], drawn: Array) -> dict[str, Any]:
    """The quarter of an hour that went furthest, from two minutes before.

    The one with most work beyond contracts; without any, with most work shed; else most battery.
    """
    shed = c["throttled_mw"] + c["paused_mw"] + c["dropped_mw"]
    ways = (c["excess_mw"] + c["shortfall_mw"], shed, np.abs(c["battery_mw"]))
    most = next((way for way in ways if way.any()), ways[-1])
    span = min(900, len(most))
    sums = np.convolve(most, np.ones(span), "valid")
    reached = sums >= sums.max() * (1.0 - 1e-9)
    at = max(int(np.flatnonzero(reached)[-1]) - 120, 0)
    part = slice(at, at + span)
    return {
        "from_ns": int(c["unix_s"][at]) * NS_PER_S,
        "seconds": span,
        "shed_mwh": float(shed[part].sum()) / _S_PER_H,
        "import_mw_least": float(drawn[part].min()),
        "import_mw_most": float(drawn[part].max()),
    }


__all__ = ["REASONS", "check_seconds", "drop_days", "gather", "stress_summary"]
