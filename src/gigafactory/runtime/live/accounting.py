"""From the readings of a live day to the ledger's facts, its book, and receipts per period.

The book of a day is the one a simulated run has: the same accounts, the same checks, the same
tables. It can be made of any prefix of the day's journal. A job that still runs where the prefix
ends is closed there and goes on in the next one, so that receipts of periods, and of days, add up.

What no meter of a live day parts is parted by the model of the factory file: what the connection
draws beyond IT and battery is cooling and losses in the proportion of the plant at mean weather,
and water is that plant's. Energy is settled at the day-ahead price.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gigafactory.factory.models import Factory
from gigafactory.jobs import JobTable
from gigafactory.ledger import (
    ASK,
    GENERATOR_COLUMNS,
    GROUP_COLUMNS,
    METERS,
    MOVES,
    Book,
    Facts,
    Header,
    quantised,
)
from gigafactory.ledger.book import RECEIPT
from gigafactory.ledger.facts import LEAVE, OPENS, PAUSE, POOL_COLUMNS
from gigafactory.ledger.integrals import SHARED
from gigafactory.plant import Chip, load_catalogue
from gigafactory.plant.thermal import overhead
from gigafactory.runtime.live.metering import POOL, SITE, Gather, Row
from gigafactory.runtime.thermal import design_mw_of, design_of
from gigafactory.runtime.wiring import CLASSES, MEAN_TEMPERATURE_C, MEAN_WET_BULB_C
from gigafactory.runtime.workload import prices_of
from gigafactory.units import NS_PER_H, NS_PER_S

Ints = npt.NDArray[np.int64]

#: Tenant of work of ours whose own is not among those the day began with.
UNKNOWN: Final = "unknown"
_UWH: Final = 10**6
_S: Final = {name: i for i, name in enumerate(SITE)}
_P: Final = {name: i for i, name in enumerate(POOL)}
_B: Final = {name: i for i, name in enumerate(POOL_COLUMNS)}
_USED: Final = GROUP_COLUMNS.index("used_uwh")
_READING: Final = GROUP_COLUMNS.index("energy_uwh")
#: Columns of a receipt that add up over periods.
SUMMED: Final = ("gpu_s", "allocated_gpu_s", "lost_gpu_s", "stops", "energy_wh", *SHARED,
                 "revenue_micro_eur", "energy_uwh", "modelled_uwh")  # fmt: skip


@dataclass(frozen=True, slots=True)
class DayBook:
    """The book of a day, or of the part of it that has been metered.

    Attributes:
        gather: the readings it is made of.
        header: its header.
        book: closed.
        table: the jobs, by their numbers in the book.
        jobs: the day's numbers of the jobs, by their numbers in the book.
        facts: per market period, in order.
        until_ns: how far the accounts go.
    """

    gather: Gather
    header: Header
    book: Book
    table: JobTable
    jobs: tuple[int, ...]
    facts: tuple[Facts, ...]
    until_ns: int


def book_of(gather: Gather, factory: Factory, periods: int | None = None) -> DayBook:
    """Make the book of what has been metered, or of the first whole periods of it.

    Args:
        gather: has taken the frames.
        factory: the factory file that the day began with.
        periods: number of whole periods; all that has been metered where left out.

    Raises:
        ValueError: nothing has been taken, or more periods are asked for than were metered.
    """
    begin = gather.begin
    if begin is None:
        raise ValueError("a day without a beginning has no book")
    touched = -(-(gather.until_ns - gather.first_ns) // gather.step_ns)
    n, until = touched, gather.until_ns
    if periods is not None:
        n, until = periods, gather.first_ns + periods * gather.step_ns
        if until > gather.until_ns:
            raise ValueError(f"{periods} whole periods are not metered yet")
    catalogue = load_catalogue()
    jobs, table = _jobs(gather, factory)
    header = _header(gather, factory, table)
    rows = _rows(gather, n, until, periods is not None)
    price = _prices(gather, factory, catalogue, jobs, table)
    made = _facts(gather, factory, catalogue, n, _events(gather, n, rows, jobs, table, price))
    book = Book(header)
    for facts in made:
        book.tick(facts)
    book.close_day()
    return DayBook(gather, header, book, table, jobs, made, until)


# --- jobs ------------------------------------------------------------------------------------


def _jobs(gather: Gather, factory: Factory) -> tuple[tuple[int, ...], JobTable]:
    """The day's jobs as a table in order of submission, and the day's number of each.

    A job from the day before counts from midnight here: what it waited then is that day's.
    """
    assert gather.begin is not None
    ours = [job for job in gather.jobs.values() if not job.foreign]
    submit = [max(job.submit_ns, gather.first_ns) for job in ours]
    order = sorted(range(len(ours)), key=lambda i: (submit[i], ours[i].number))
    tenants = gather.begin.tenants
    if not tenants or any(job.tenant < 0 for job in ours):
        tenants = (*tenants, UNKNOWN)  # -1 is the last of them
    chips = tuple(dict.fromkeys(p.chip for p in factory.fleet))
    pool_chip = [chips.index(p.chip) for p in factory.fleet]
    wall = [max(ours[i].walltime_s, 60) * NS_PER_S for i in order]
    table = JobTable.of(
        submit_ns=np.array([submit[i] for i in order], np.int64),
        accelerators=np.array([max(ours[i].accelerators, 1) for i in order], np.int32),
        work_ns=np.array(wall, np.int64),
        walltime_ns=np.array(wall, np.int64),
        tenants=tenants,
        chips=chips,
        origin=f"work asked of the factory on {gather.begin.day}",
        state="measured",
        tenant=np.array([ours[i].tenant % len(tenants) for i in order], np.int16),
        job_class=np.array([ours[i].group for i in order], np.int8),
        priority=np.array([min(max(ours[i].priority, 0), 7) for i in order], np.int8),
        chip=np.array([pool_chip[ours[i].pool] for i in order], np.int8),
        end_state=np.array([ours[i].ended for i in order], np.int8),
    )
    return tuple(ours[i].number for i in order), table


def _header(gather: Gather, factory: Factory, table: JobTable) -> Header:
    begin = gather.begin
    assert begin is not None
    market = factory.energy.market
    sites = [factory.sites[name] for name in begin.sites]
    none = (0,) * len(sites)
    return Header(
        sites=begin.sites,
        pools=tuple(pool.name for pool in begin.pools),
        pool_site=tuple(begin.sites.index(pool.site) for pool in begin.pools),
        classes=CLASSES,
        contracts=(),
        contract_site=(),
        contract_price=(),
        contract_curtail=(),
        contract_guaranteed=(),
        levy=_micro(market.supply_margin_eur_per_mwh + market.energy_tax_eur_per_mwh),
        export_margin=_micro(market.export_margin_eur_per_mwh),
        wear=tuple(_wear(factory, name) for name in begin.sites),
        water_price=tuple(_micro(site.water.price_eur_per_m3) for site in sites),
        heat_price=none,
        overhead_ppm=(0,) * len(CLASSES),
        jobs=len(table),
        tenants=table.tenants,
        edges_ns=(gather.first_ns, begin.edges_ns[-1], gather.step_ns),
        node_size=tuple(pool.node_size for pool in begin.pools),
        data_price=none,
    )


def _micro(eur: float) -> int:
    return round(eur * 1e6)


def _wear(factory: Factory, site: str) -> int:
    """Wear of the battery of a site, micro-euro per MWh discharged; the dearest where several."""
    return max(
        (_micro(b.wear_eur_per_mwh) for b in factory.energy.batteries if b.site == site), default=0
    )


def _prices(
    gather: Gather,
    factory: Factory,
    catalogue: Mapping[str, Chip],
    jobs: Sequence[int],
    table: JobTable,
) -> Ints:
    pools = np.array([gather.jobs[number].pool for number in jobs], np.int64)
    return prices_of(table, factory, catalogue, pools, np.ones(len(table)))


# --- moves -----------------------------------------------------------------------------------


def _rows(gather: Gather, n: int, until: int, whole: bool) -> list[Row]:
    """Moves up to an instant, with a close there for every segment that is open then."""
    rows = gather.rows
    if whole:
        rows = [r for r in rows if r.t_ns < until or (r.t_ns == until and r.kind not in OPENS)]
    going: dict[int, Row] = {}
    for row in rows:
        if row.kind in OPENS:
            going[row.job] = row
        else:
            going.pop(row.job, None)
    closing = []
    for row in going.values():
        job = gather.jobs[row.job]
        energy, model = 0, 0
        if n:
            energy = int(gather.group[n - 1, row.pool, job.group, _READING])
            model = int(gather.model[n - 1, row.pool, job.group])
        closing.append(Row(PAUSE, row.job, until, energy, model, row.width, 0, row.pool))
    return [*rows, *closing]


def _events(
    gather: Gather,
    n: int,
    rows: Sequence[Row],
    jobs: Sequence[int],
    table: JobTable,
    price: Ints,
) -> list[tuple[dict[str, npt.NDArray[Any]], dict[str, npt.NDArray[Any]]]]:
    """Moves and asks of each period, as columns."""
    numbers = {number: i for i, number in enumerate(jobs)}
    moves: list[list[tuple[int, ...]]] = [[] for _ in range(n)]
    for row in rows:
        k = min((row.t_ns - gather.first_ns) // gather.step_ns, n - 1)
        told = (row.kind, numbers[row.job], row.t_ns, row.energy_uwh, row.width)
        moves[k].append((*told, -1, row.lost_ns, row.pool))  # why it waited is not journaled
    asks: list[list[tuple[int, ...]]] = [[] for _ in range(n)]
    for i, number in enumerate(jobs):
        job = gather.jobs[number]
        submit = int(table.submit_ns[i])
        k = min((submit - gather.first_ns) // gather.step_ns, n - 1)
        who = (i, submit, int(table.tenant[i]), job.group, 0, int(table.accelerators[i]))
        if n:
            asks[k].append((*who, job.pool, job.ended, int(price[i])))
    return [(_columns(MOVES, moves[k]), _columns(ASK, asks[k])) for k in range(n)]


def _columns(
    shape: Mapping[str, type[Any]], rows: Sequence[tuple[int, ...]]
) -> dict[str, npt.NDArray[Any]]:
    turned: list[Any] = list(zip(*rows, strict=True)) if rows else [()] * len(shape)
    return {name: np.array(v, t) for (name, t), v in zip(shape.items(), turned, strict=True)}


# --- facts -----------------------------------------------------------------------------------


def _facts(
    gather: Gather,
    factory: Factory,
    catalogue: Mapping[str, Chip],
    n: int,
    events: Sequence[tuple[dict[str, npt.NDArray[Any]], dict[str, npt.NDArray[Any]]]],
) -> tuple[Facts, ...]:
    assert gather.begin is not None
    pools = gather.pool[:n].copy()
    installed, down, service = (
        pools[:, :, _B[name]] for name in ("installed_ns", "down_ns", "service_ns")
    )
    pools[:, :, _B["awaiting_ns"]] = installed - down - service
    # work on a node that has left service in the meantime is counted until it is seen to stop
    used = gather.group[:n, :, :, GROUP_COLUMNS.index("used_ns")].sum(axis=2)
    used += gather.group[:n, :, :, GROUP_COLUMNS.index("paused_ns")].sum(axis=2)
    held = np.minimum(pools[:, :, _B["held_ns"]], service)
    pools[:, :, _B["held_ns"]] = np.maximum(held, used)
    meter = np.stack(
        [_meter(gather, factory, catalogue, n, s) for s in range(len(gather.begin.sites))], axis=1
    )
    none = np.zeros((0, 2), np.int64)
    own = np.zeros((0, len(GENERATOR_COLUMNS)), np.int64)
    return tuple(
        Facts(meter[k], none, gather.group[k], pools[k], *events[k], own) for k in range(n)
    )


def _meter(gather: Gather, factory: Factory, catalogue: Mapping[str, Chip], n: int, s: int) -> Ints:
    """Meters of a site, int64[periods, len(METERS)]: whole Wh, what a period leaves carried on."""
    begin = gather.begin
    assert begin is not None
    mine = [i for i, pool in enumerate(begin.pools) if pool.site == begin.sites[s]]
    site = gather.site[:n, s]
    rest = gather.energy[:n][:, mine][..., _P["rest_uwh"]].sum(axis=1)
    it = rest + gather.group[:n][:, mine][..., _USED].sum(axis=(1, 2))
    budget = gather.energy[:n][:, mine][..., _P["budget_uwh"]].sum(axis=1)
    fine = [site[:, _S[f"{name}_uwh"]] for name in ("import", "export", "charge", "discharge")]
    columns = np.stack([*fine, it, budget], axis=1)
    wh, _ = quantised(columns, _UWH, np.zeros(columns.shape[1], np.int64))
    taken, given, charge, discharge, it_wh, planned = wh.T
    out = np.zeros((n, len(METERS)), np.int64)
    beyond = taken + discharge - given - charge - it_wh
    cooling, water_ml = _plant(gather, factory, catalogue, s, it_wh, beyond)
    values = {
        "import_wh": taken,
        "export_wh": given,
        "charge_wh": charge,
        "discharge_wh": discharge,
        "it_wh": it_wh,
        "it_idle_uwh": rest,
        "cooling_wh": cooling,
        # where IT meters show more than the connection's, this is below nought: their difference
        "losses_wh": beyond - cooling,
        "water_ml": water_ml,
        "day_ahead_wh": taken - given,
        "planned_it_wh": planned,
        "price_micro_eur": site[:, _S["price_micro_eur"]],
        "imbalance_price_micro_eur": site[:, _S["price_micro_eur"]],
        "imbalance_long_micro_eur": site[:, _S["price_micro_eur"]],
        "intraday_price_micro_eur": site[:, _S["price_micro_eur"]],
        "carbon_mg": site[:, _S["carbon_mg"]],
    }
    for name, column in values.items():
        out[:, METERS.index(name)] = column
    return out


def _plant(
    gather: Gather,
    factory: Factory,
    catalogue: Mapping[str, Chip],
    s: int,
    it_wh: Ints,
    beyond_wh: Ints,
) -> tuple[Ints, Ints]:
    """What of the energy beyond IT is cooling, Wh, and the water, mL, by the model of the plant."""
    assert gather.begin is not None
    name = gather.begin.sites[s]
    design, electrical = design_of(factory.sites[name], design_mw_of(factory, name, catalogue))
    ends = gather.first_ns + gather.step_ns * np.arange(1, len(it_wh) + 1, dtype=np.int64)
    span = gather.step_ns - np.maximum(ends - gather.until_ns, 0)
    hours = span / NS_PER_H
    it_mw = np.clip(it_wh / (1e6 * hours), 0.0, design.it_design_mw)
    made = overhead(design, electrical, it_mw, MEAN_TEMPERATURE_C, MEAN_WET_BULB_C)
    cooling_w = np.rint(made.cooling_mw * 1e6).astype(np.int64)
    losses_w = np.rint(made.losses_mw * 1e6).astype(np.int64)
    some = np.maximum(beyond_wh, 0)
    cooling = some * cooling_w // np.maximum(cooling_w + losses_w, 1)
    water = np.rint(made.water_m3_per_h * hours * 1e6).astype(np.int64)
    return cooling, water


# --- receipts --------------------------------------------------------------------------------


def receipts_of(day: DayBook) -> dict[int, dict[str, int]]:
    """What each job of ours has had so far, by its number of the day: columns `SUMMED`."""
    receipt = dict(zip(RECEIPT, day.book.receipt, strict=True))
    fine = _fine(day)
    return {
        number: {
            **{name: int(receipt[name][i]) for name in SUMMED[:-2]},
            "energy_uwh": fine[i][0],
            "modelled_uwh": fine[i][1],
        }
        for i, number in enumerate(day.jobs)
    }


def _fine(day: DayBook) -> list[tuple[int, int]]:
    """Energy of every job and what of it no meter vouches for, micro-watt-hours."""
    numbers = {number: i for i, number in enumerate(day.jobs)}
    out = [[0, 0] for _ in day.jobs]
    opened: dict[int, Row] = {}
    whole = day.until_ns < day.gather.until_ns
    for row in _rows(day.gather, day.book.periods, day.until_ns, whole):
        if row.kind in OPENS:
            opened[row.job] = row
        elif row.kind != LEAVE and row.job in opened:
            start = opened.pop(row.job)
            mine = out[numbers[row.job]]
            mine[0] += row.width * (row.energy_uwh - start.energy_uwh)
            mine[1] += row.width * (row.model_uwh - start.model_uwh)
    return [(a, b) for a, b in out]


def seal_period(gather: Gather, factory: Factory, period: int) -> list[dict[str, Any]]:
    """Receipts of one whole period, a row per job that had anything in it.

    The same journal gives the same rows, however often it is asked. The rows of all periods of a
    day add up to the day's receipts, to the last unit.

    Args:
        gather: has taken the frames, up to the end of the period at least.
        factory: the factory file the day began with.
        period: its number in the day.

    Returns:
        Rows with `day`, `period`, `start_ns`, `end_ns`, `work` (our name of the job), `tenant`,
        `pool`, the columns `SUMMED`, and where they come from (`provenance`).

    Raises:
        ValueError: the period has not been metered to its end.
    """
    before = receipts_of(book_of(gather, factory, period)) if period else {}
    after = receipts_of(book_of(gather, factory, period + 1))
    return rows_between(gather, factory, period, before, after)


def rows_between(
    gather: Gather,
    factory: Factory,
    period: int,
    before: Mapping[int, Mapping[str, int]],
    after: Mapping[int, Mapping[str, int]],
) -> list[dict[str, Any]]:
    """Rows of receipts: what jobs have had in `after` beyond `before` (as of `receipts_of`)."""
    begin = gather.begin
    assert begin is not None
    rows: dict[str, dict[str, Any]] = {}
    for number in sorted(after):
        was = before.get(number, {})
        had = {name: after[number][name] - was.get(name, 0) for name in SUMMED}
        if not any(had.values()):
            continue
        job = gather.jobs[number]
        if job.key in rows:  # handed over again after its manager lost it: the same work
            had = {name: had[name] + rows[job.key][name] for name in SUMMED}
        rows[job.key] = {
            "day": begin.day,
            "period": period,
            "start_ns": gather.first_ns + period * gather.step_ns,
            "end_ns": gather.first_ns + (period + 1) * gather.step_ns,
            "work": job.key,
            "tenant": begin.tenants[job.tenant] if job.tenant >= 0 else UNKNOWN,
            "pool": begin.pools[job.pool].name,
            **had,
            **provenance(gather, factory, job.pool, slice(period, period + 1), had),
        }
    return list(rows.values())


def provenance(
    gather: Gather, factory: Factory, pool: int, periods: slice, had: Mapping[str, int]
) -> dict[str, Any]:
    """Where the figures of a receipt come from.

    Args:
        gather: of the day.
        factory: the factory file.
        pool: where the job ran.
        periods: over which the receipt goes.
        had: its sums.

    Returns:
        `site` and `country`; `modelled_ppm`, the millionths of its energy that no meter vouches
        for; `price_and_carbon_ppm`, the millionths of the market periods with metered energy whose
        price and carbon intensity were known (the others cost and emit nought here); `water_from`,
        which is always the model of the plant.
    """
    begin = gather.begin
    assert begin is not None
    site = begin.pools[pool].site
    rows = gather.site[periods, begin.sites.index(site)]
    some = rows[rows[:, _S["import_uwh"]] != 0]
    known = int(some[:, _S["priced"]].sum())
    energy = had["energy_uwh"]
    return {
        "site": site,
        "country": factory.sites[site].place.country,
        "modelled_ppm": had["modelled_uwh"] * 10**6 // energy if energy else 0,
        "price_and_carbon_ppm": known * 10**6 // len(some) if len(some) else 0,
        "water_from": "model",
    }


__all__ = [
    "SUMMED",
    "DayBook",
    "book_of",
    "provenance",
    "receipts_of",
    "rows_between",
    "seal_period",
]
