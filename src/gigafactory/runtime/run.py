"""A run from beginning to end: inputs in, a run folder out; to be stopped and resumed at will."""

from __future__ import annotations

import dataclasses
import datetime as dt
import gc
import hashlib
import json
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import numpy as np

from gigafactory import __version__
from gigafactory.engine.clock import Stopwatch
from gigafactory.engine.errors import BadInput, refuse
from gigafactory.engine.journal import GENESIS, MARK, Journal, frames, recover
from gigafactory.engine.manifest import write_manifest
from gigafactory.factory import (
    Factory,
    Scenario,
    factory_text,
    load_factory,
    load_scenario,
    scenario_text,
)
from gigafactory.factory.dossier import dossier_of
from gigafactory.grid import MarketCalendar, Signals, synthetic_signals
from gigafactory.grid.files import read_columns
from gigafactory.grid.real import real_signals_from_folder
from gigafactory.jobs import JobTable, offered_share
from gigafactory.jobs.table import COLUMNS
from gigafactory.kernel.jit import is_cached
from gigafactory.ledger import Book
from gigafactory.plant import Chip, load_catalogue
from gigafactory.policy.limits import plain
from gigafactory.runtime.desks import desks_of
from gigafactory.runtime.folder import (
    RunFolder,
    drop_snapshots,
    guard_disk,
    keep_dossier,
    load_snapshot,
    save_snapshot,
)
from gigafactory.runtime.loop import Loop, Trace
from gigafactory.runtime.outputs import summarise, write_summary, write_tables
from gigafactory.runtime.replay import account
from gigafactory.runtime.stress import Stress
from gigafactory.runtime.stressed import drop_days, gather, stress_summary
from gigafactory.runtime.stressing import Driver
from gigafactory.runtime.told import Told
from gigafactory.runtime.wiring import World, build
from gigafactory.runtime.workload import generated_jobs, jobs_from_file, whole_nodes
from gigafactory.runtime.yardstick import yardstick

DEFAULT_START = dt.date(2025, 1, 1)
#: Seconds on the wall between two snapshots; a run shorter than that makes none but when stopped.
SNAPSHOT_S = 60.0
_BYTES_PER_JOB = 220
_BYTES_PER_PERIOD = 6_000


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What was asked for; kept in the run folder, so that a run can be resumed.

    Attributes:
        factory: bundled name or path.
        scenario: bundled name or path; None for an undisturbed world.
        jobs: a job file; None for the generated year.
        scale_to_fleet: replicate the job file until it suits the fleet.
        prices: a price file; weather and the like are looked for beside it. None: synthetic.
        start: first local day, ISO; None for the default (the last whole year of a price file).
        days: number of local days; None for a year.
        seed: of every random stream.
        lang: language of the report.
        yardstick: "hour" for the hourly bound of the energy plan, "full" for the one at market
            periods and a second naive operator too, "off" for none.
        cadence: how often the energy plan is made; None for what the factory file says.
        stress: fields of `Stress`, for a run some of whose days go by the second; None for none.
    """

    factory: str
    scenario: str | None = None
    jobs: str | None = None
    scale_to_fleet: bool = False
    prices: str | None = None
    start: str | None = None
    days: int | None = None
    seed: int = 0
    lang: str = "en"
    yardstick: str = "hour"
    cadence: str | None = None
    stress: dict[str, Any] | None = None


class Progress(Protocol):
    """Who is told how far a run is."""

    def stage(self, what: str) -> None:
        """A new stage of work begins."""

    def days(self, done: int, total: int) -> None:
        """So many days have been simulated."""


class Quiet:
    """Tells nobody."""

    def stage(self, what: str) -> None:
        """Say nothing."""

    def days(self, done: int, total: int) -> None:
        """Say nothing."""


#: Writes the report into a run folder, in a language; handed in, since a report is a sibling room.
Reporter = Callable[[Path, str], object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        folder: where everything stands.
        summary: the summary.
        complete: False when it was interrupted.
    """

    folder: Path
    summary: dict[str, Any]
    complete: bool


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything a run is made of, read and checked."""

    options: RunOptions
    factory: Factory
    scenario: Scenario | None
    catalogue: dict[str, Chip]
    calendar: MarketCalendar
    signals: Signals
    table: JobTable
    notes: tuple[str, ...]


def read_inputs(options: RunOptions, progress: Progress) -> Inputs:
    """Read and check everything a run needs.

    Raises:
        BadInput: with every problem of the first input that has any; nothing is written.
    """
    progress.stage("reading the factory")
    scenario = load_scenario(options.scenario) if options.scenario else None
    factory = load_factory(options.factory, scenario)
    if options.cadence is not None:
        factory = factory.with_cadence(options.cadence)
    catalogue = load_catalogue()
    calendar = _calendar(options, factory)
    place = next(iter(factory.sites.values())).place
    progress.stage("reading prices and weather" if options.prices else "making prices and weather")
    if options.prices:
        path = Path(options.prices)
        signals = real_signals_from_folder(
            calendar, path.parent, path, options.seed, place.latitude, place.longitude
        )
    else:
        signals = synthetic_signals(calendar, options.seed, place.latitude, place.longitude)
    notes: tuple[str, ...] = ()
    progress.stage("reading jobs" if options.jobs else "making jobs")
    if options.jobs:
        table, notes = jobs_from_file(
            Path(options.jobs),
            factory,
            catalogue,
            calendar,
            scale=options.scale_to_fleet,
            seed=options.seed,
        )
    else:
        table = generated_jobs(factory, catalogue, calendar, options.seed)
    inside = (table.submit_ns >= calendar.begin_ns) & (table.submit_ns < calendar.end_ns)
    if not inside.all():
        left = int((~inside).sum())
        notes = (*notes, f"{left} jobs are submitted outside the days of the run and left out")
        table = table.take(np.flatnonzero(inside))
    if not len(table):
        raise refuse(options.jobs or "jobs", "submit", None, "no job is submitted during the run")
    table, apart = whole_nodes(table, factory, catalogue)
    notes = (*notes, *apart)
    accelerators = sum(p.accelerators for p in factory.fleet)
    share = offered_share(table, accelerators, calendar.begin_ns, calendar.end_ns)
    notes = (
        *table.scaling,
        f"{len(table):,} jobs offer {share:.1%} of the installed accelerator-hours",
        *notes,
    )
    return Inputs(options, factory, scenario, catalogue, calendar, signals, table, notes)


def _calendar(options: RunOptions, factory: Factory) -> MarketCalendar:
    timezone = next(iter(factory.sites.values())).timezone
    start = DEFAULT_START
    if options.start:
        try:
            start = dt.date.fromisoformat(options.start)
        except ValueError:
            raise refuse("--start", "", options.start, "is a date such as 2025-01-01") from None
    elif options.prices:
        start = _last_whole_year(Path(options.prices))
    if not 1970 <= start.year <= 2200:
        raise refuse("--start", "", start, "is a day from 1970 to 2200")
    days = options.days
    if days is None:
        last = min(start.day, 28) if start.month == 2 else start.day
        days = (dt.date(start.year + 1, start.month, last) - start).days
    if not 1 <= days <= 366 * 3:
        raise refuse("--days", "", days, "is from 1 to 1098 days")
    if options.stress is not None:
        problems = Stress(**options.stress).problems(days)
        if problems:
            raise BadInput(problems)
    return MarketCalendar.of(start, days, timezone)


def _last_whole_year(prices: Path) -> dt.date:
    """First day of the last calendar year a price file covers; its first day where it has none."""
    table = read_columns(prices)
    texts = [str(value)[:13] for value in table.column(0).to_pylist()]
    by_year: dict[str, list[str]] = {}
    for text in texts:
        by_year.setdefault(text[:4], []).append(text)
    for year in sorted(by_year, reverse=True):
        stamps = by_year[year]
        if min(stamps)[5:10] == "01-01" and max(stamps)[5:10] == "12-31" and len(stamps) >= 8700:
            return dt.date(int(year), 1, 1)
    try:
        return dt.date.fromisoformat(min(texts)[:10]) + dt.timedelta(days=1)
    except ValueError:
        raise refuse(str(prices), "", None, "holds no times; say --start") from None


def _sha256(path: str | None) -> str | None:
    if path is None:
        return None
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def start_run(
    options: RunOptions,
    progress: Progress | None = None,
    *,
    base: Path = Path("runs"),
    out: Path | None = None,
    reporter: Reporter | None = None,
) -> Outcome:
    """Run a factory and leave a run folder.

    Args:
        options: what to run.
        progress: who is told how far it is.
        reporter: writes the report; none is written without it.
        base: folder of numbered run folders.
        out: this folder instead.

    Raises:
        BadInput: something given cannot be used; nothing is written then.
        DiskFull: the disk filled up; the run can be resumed.
    """
    tell = progress or Quiet()
    watch = Stopwatch()
    inputs = read_inputs(options, tell)
    world = _build(inputs, tell)
    _driver(inputs, world, base)  # refuse what cannot be before anything is written
    need = _BYTES_PER_JOB * len(inputs.table) + _BYTES_PER_PERIOD * inputs.calendar.periods
    place = RunFolder.new(base, inputs.factory.name, out, need_bytes=need)
    folder = place.path
    with guard_disk(folder, f"gigafactory run --resume {folder}"):
        _keep_inputs(folder, inputs)
        with Journal.create(place.journal) as journal:
            journal.append("begin", inputs.calendar.begin_ns, _beginning(inputs, world))
            book = Book(world.header)
            trace = Trace.empty(inputs.calendar.periods, len(world.sites))
            loop = _loop(inputs, world, journal, book, trace, folder)
            return _turn(folder, inputs, loop, 0, _Telling(tell, watch, reporter))


def resume_run(
    path: str | Path, progress: Progress | None = None, *, reporter: Reporter | None = None
) -> Outcome:
    """Go on with a run that was interrupted, from its last snapshot or else from its beginning.

    The finished run has the digest it would have had without the interruption.

    Raises:
        BadInput: there is no such run, it is finished, or its inputs have changed since.
    """
    tell = progress or Quiet()
    watch = Stopwatch()
    place = RunFolder.open(path)
    folder = place.path
    kept = _kept(folder)
    if _finished(folder):
        raise refuse(str(folder), "", None, "this run is finished; there is nothing to resume")
    options = RunOptions(**kept["options"])
    for what, given, then in (
        ("jobs", options.jobs, kept["jobs_sha256"]),
        ("prices", options.prices, kept["prices_sha256"]),
    ):
        if given and (not Path(given).is_file() or _sha256(given) != then):
            why = "has changed or gone since the run began; it cannot be resumed from it"
            raise refuse(given, what, None, why)
    again = dataclasses.replace(
        options,
        factory=str(folder / "factory.yaml"),
        scenario=None,
    )
    inputs = read_inputs(again, tell)
    if options.scenario:
        # its changes are in the factory file already; only its events still hold
        inputs = dataclasses.replace(inputs, scenario=load_scenario(folder / "scenario.yaml"))
    inputs = dataclasses.replace(inputs, options=options)
    world = _build(inputs, tell)
    snapshot = load_snapshot(folder)
    book = Book(world.header)
    trace = Trace.empty(inputs.calendar.periods, len(world.sites))
    with guard_disk(folder, f"gigafactory run --resume {folder}"):
        if snapshot is None:
            journal, day = _from_the_start(place.journal, inputs, world), 0
        else:
            _check_beginning(place.journal, inputs, world)
            position, head = snapshot.fields["position"], snapshot.fields["head"]
            journal, day = Journal.resume(place.journal, position, head), snapshot.day
            tell.stage("reading the journal")
            account(place.journal, book, trace, until=position)
        with journal:
            loop = _loop(inputs, world, journal, book, trace, folder)
            if snapshot is not None:
                loop.restore(snapshot.arrays, snapshot.fields["state"])
            return _turn(folder, inputs, loop, day, _Telling(tell, watch, reporter))


def _loop(
    inputs: Inputs, world: World, journal: Journal, book: Book, trace: Trace, folder: Path
) -> Loop:
    """The loop with its desks, and for a stress run what walks through its seconds."""
    driver = _driver(inputs, world, folder)
    if driver is not None:
        world = driver.planning()
    desks = desks_of(world, inputs.calendar, book, journal, inputs.factory, inputs.table)
    return Loop(world, inputs.calendar, journal, book, trace, desks=desks, driver=driver)


def _driver(inputs: Inputs, world: World, folder: Path) -> Driver | None:
    """What walks through the seconds of stress days; None in an ordinary run.

    Raises:
        BadInput: reserves that cannot be kept up, or measured data that cannot be read.
    """
    if inputs.options.stress is None:
        return None
    stress = Stress(**inputs.options.stress)
    seed = inputs.options.seed
    calendar, catalogue = inputs.calendar, inputs.catalogue
    return Driver(world, inputs.factory, catalogue, calendar, stress, seed, folder)


def _kept(folder: Path) -> dict[str, Any]:
    """What was asked for when the run began."""
    try:
        kept: dict[str, Any] = json.loads((folder / "run.json").read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        why = "was stopped before it began (run.json is missing or cut off); start it again"
        raise refuse(str(folder), "", None, why) from None
    return kept


def _finished(folder: Path) -> bool:
    """Whether nothing is left to do: the summary says so and the manifest sealed it."""
    try:
        summary = json.loads((folder / "summary.json").read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return False  # a disk that filled up leaves half a file
    return bool(summary.get("complete")) and (folder / "manifest.json").is_file()


def _beginning(inputs: Inputs, world: World) -> dict[str, Any]:
    """Fields of the journal's first entry: everything that decides what the run will be."""
    options = inputs.options
    scenario = scenario_text(inputs.scenario) if inputs.scenario is not None else None
    made = hashlib.sha256()
    for series in inputs.signals:
        made.update(np.ascontiguousarray(series.values).data)
    for column in COLUMNS:
        made.update(np.ascontiguousarray(getattr(inputs.table, column)).data)
    reasons = [plain(reason) for reason in world.reasons]
    told: dict[str, Any] = {}
    if reasons:
        told = {"reasons": reasons, "reason_of": list(world.reason_of)}
    if options.stress is not None:
        told["stress"] = {k: v for k, v in options.stress.items() if k != "data"}
    return {
        "format": 1,
        "seed": options.seed,
        **told,
        "factory": hashlib.sha256(factory_text(inputs.factory).encode()).hexdigest(),
        "scenario": scenario,
        "jobs": _sha256(options.jobs),
        "prices": _sha256(options.prices),
        "inputs": made.hexdigest(),
        "header": world.header.fields(),
    }


def _check_beginning(journal: Path, inputs: Inputs, world: World) -> None:
    """Refuse to go on with other inputs than the run began with.

    Raises:
        BadInput: they differ, whether files were edited or another version reads them otherwise.
    """
    first = next(frames(journal))
    now = json.loads(json.dumps(_beginning(inputs, world)))
    differ = sorted(key for key in now if now[key] != first.fields.get(key))
    if differ:
        why = (
            f"the run began with other inputs ({', '.join(differ)}): a file it reads or this "
            f"program has changed since; put it back, or start again"
        )
        raise refuse(str(journal.parent), "", None, why)


def _from_the_start(path: Path, inputs: Inputs, world: World) -> Journal:
    """The journal of a run without a snapshot, cut after its first entry."""
    if not path.exists():
        journal = Journal.create(path)
    elif recover(path).frames == 0:
        journal = Journal.resume(path, len(MARK), GENESIS.hex())
    else:
        _check_beginning(path, inputs, world)
        whole = recover(path)
        position, head = whole.position, whole.head
        if whole.frames > 1:
            entries = frames(path)
            head = next(entries).head
            position = next(entries).offset
        return Journal.resume(path, position, head)
    journal.append("begin", inputs.calendar.begin_ns, _beginning(inputs, world))
    return journal


def _build(inputs: Inputs, tell: Progress) -> World:
    if is_cached():
        tell.stage("wiring the factory")
    else:
        tell.stage("compiling the scheduler to machine code (first run only, about half a minute)")
    source = inputs.options.jobs or "generated jobs"
    return build(
        inputs.factory,
        inputs.scenario,
        inputs.calendar,
        inputs.signals,
        inputs.table,
        inputs.catalogue,
        source,
        inputs.options.seed,
    )


def _keep_inputs(folder: Path, inputs: Inputs) -> None:
    (folder / "factory.yaml").write_text(factory_text(inputs.factory), "utf-8")
    if inputs.scenario is not None:
        (folder / "scenario.yaml").write_text(scenario_text(inputs.scenario), "utf-8")
    options = inputs.options
    absolute = dataclasses.replace(
        options,
        jobs=options.jobs and str(Path(options.jobs).resolve()),
        prices=options.prices and str(Path(options.prices).resolve()),
        start=inputs.calendar.local_dates[0].isoformat(),
        days=inputs.calendar.days,
    )
    kept = {
        "version": __version__,
        "options": dataclasses.asdict(absolute),
        "jobs_sha256": _sha256(options.jobs),
        "prices_sha256": _sha256(options.prices),
    }
    keep_dossier(dossier_of(inputs.factory).path, folder)
    (folder / "run.json").write_text(json.dumps(kept, indent=2) + "\n", "utf-8")


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a wish to stop after the day at hand; a second stops at once."""
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    try:
        before = signal.signal(signal.SIGINT, ask)
    except ValueError:  # not the main thread: whoever runs us handles signals
        yield lambda: False
        return
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _settled() -> Iterator[None]:
    """Keep what is loaded and wired out of garbage collections: it lives as long as the run."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@dataclass(frozen=True, slots=True)
class _Telling:
    """Who is told, since when, and who writes the report."""

    progress: Progress
    watch: Stopwatch
    reporter: Reporter | None


def _turn(folder: Path, inputs: Inputs, loop: Loop, first: int, telling: _Telling) -> Outcome:
    calendar, tell, watch = inputs.calendar, telling.progress, telling.watch
    last_s = watch.elapsed_s()

    def save(done: int) -> None:
        arrays, state = loop.snapshot()
        loop.journal.sync()
        save_snapshot(
            folder,
            done,
            arrays,
            {"position": loop.journal.position, "head": loop.journal.head, "state": state},
        )

    tell.stage("simulating")
    with _interruptible() as stop_asked, _settled():

        def after_day(done: int) -> bool:
            nonlocal last_s
            tell.days(done, calendar.days)
            stop = stop_asked() and done < calendar.days
            if stop or watch.elapsed_s() - last_s > SNAPSHOT_S:
                save(done)
                last_s = watch.elapsed_s()
            return stop

        done = loop.run(first, after_day)
    complete = done == calendar.days
    energy = loop.world.twin.energy_uwh()[:, : len(loop.world.header.classes)]
    if complete:
        job, why = loop.world.twin.waiting()
        arrays: dict[str, Any] = {"energy_uwh": energy, "waiting.job": job, "waiting.why": why}
        loop.journal.append("end", int(calendar.end_ns), {}, arrays)
        loop.journal.sync()
        loop.book.still_waiting(job, why)
    loop.book.close(energy)
    summary = _finish(folder, inputs, loop, telling)
    return Outcome(folder, summary, complete)


def _finish(folder: Path, inputs: Inputs, loop: Loop, telling: _Telling) -> dict[str, Any]:
    tell, watch = telling.progress, telling.watch
    told = Told(
        inputs.options.seed,
        inputs.calendar,
        inputs.factory,
        inputs.catalogue,
        inputs.signals,
        inputs.table,
        inputs.notes,
        tuple(r for w in loop.world.sites if w.reserves for r in w.reserves.sources(w.name)),
    )
    tell.stage("writing tables")
    write_tables(folder, told, loop.book, loop.trace)
    missed = sum(s.limit_missed_wh for s in loop.world.twin.sites)
    held = None
    if inputs.options.yardstick != "off":
        tell.stage("measuring against the bound")
        full = inputs.options.yardstick == "full"
        held = yardstick(loop.world, loop.book, loop.trace, full=full)
    summary = summarise(told, loop.book, loop.trace, loop.journal.head, missed, held)
    summary["stress"] = None
    if loop.driver is not None:
        loop.journal.sync()
        gather(folder)
        summary["stress"] = stress_summary(folder, loop.driver, loop.book)
    write_summary(folder, summary)
    if telling.reporter is not None:
        tell.stage("writing the report")
        telling.reporter(folder, inputs.options.lang)
    summary["wall_s"] = round(watch.elapsed_s(), 2)
    summary["peak_rss_mib"] = round(_peak_rss_mib(), 1)
    write_summary(folder, summary)
    loop.journal.close()
    if summary["complete"]:
        drop_snapshots(folder)
        drop_days(folder)
    write_manifest(folder, {"digest": loop.journal.head})
    return summary


def _peak_rss_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 / (1024 if sys.platform == "darwin" else 1)
