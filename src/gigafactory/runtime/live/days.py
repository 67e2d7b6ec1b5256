"""The folder of a live day: its journal, late data of its meters, and the books made of both.

::

    days/2026-11-28/
        journal.gfj        what was meant, done and metered, as the controller wrote it
        factory.yaml       the factory file the day began with
        corrections.gfj    late data of meters, in the order it came
        run/               the books: a run folder, made of the above and of nothing else

The books can be made at any time, of a day still running and of one whose controller was killed:
they say of how many entries of the journal they were made. `replay` makes them again from as many
entries and compares every byte; `verify` proves the chain of the journal, that accounts close, that
receipts of periods add up, and that the books are whole.
"""

from __future__ import annotations

import filecmp
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.engine.journal import Damaged, Frame, Journal, frames, recover
from gigafactory.engine.manifest import check_manifest, replace_file, write_manifest
from gigafactory.factory import factory_text, load_factory
from gigafactory.factory.models import Factory
from gigafactory.ledger import GROUP_COLUMNS, METERS, conservation, transfer_table
from gigafactory.runtime.folder import BOOKS
from gigafactory.runtime.live import frames as f
from gigafactory.runtime.live.accounting import (
    DayBook,
    book_of,
    receipts_of,
)
from gigafactory.runtime.live.asrun import correction_rows, write_run
from gigafactory.runtime.live.metering import Correction, Gather

JOURNAL: Final = "journal.gfj"
LATE: Final = "corrections.gfj"

#: Meters that late data may correct: of a pool, and of a site.
OF_POOL: Final = ("it_wh",)
OF_SITE: Final = ("import_wh", "export_wh", "charge_wh", "discharge_wh")
_KIND: Final = "correction"
_NONE: Final = {"energy_wh": 0}
#: Names of a table of transfers that may follow from corrections, and their phase there.
CORRECTED: Final = "correction"


@dataclass(frozen=True, slots=True)
class ReadDay:
    """A live day as read from its folder.

    Attributes:
        folder: where it lies.
        factory: the factory file it began with.
        gather: readings with all late data; `before` without any.
        corrections: the late data.
        witness: how much of the journal was read, and its head there.
        torn_bytes: bytes behind the last whole entry, left by a write that was broken off.
    """

    folder: Path
    factory: Factory
    gather: Gather
    before: Gather
    corrections: tuple[Correction, ...]
    witness: dict[str, Any]
    torn_bytes: int


def is_day(path: str | Path) -> bool:
    """Whether a path is the folder of a live day."""
    journal = Path(path) / JOURNAL
    if not journal.is_file():
        return False
    try:
        first = next(frames(journal), None)
    except (Damaged, OSError):
        return (Path(path) / BOOKS).is_dir()
    return first is not None and first.kind == "begin" and "environment" in first.fields and (
        "header" not in first.fields
    )  # fmt: skip


def sound_frames(path: Path, most: int | None = None) -> Iterator[Frame]:
    """The whole entries of a journal, a broken last one left out; the first `most` of them.

    Raises:
        Damaged: an entry that is followed by whole ones is not what was written.
    """
    count = recover(path).frames
    if most is not None:
        count = min(count, most)
    for frame in frames(path) if count else ():
        yield frame
        if frame.index + 1 == count:
            return


def read_day(folder: Path, most: int | None = None, late: int | None = None) -> ReadDay:
    """Read a live day, as far as it goes.

    Args:
        folder: of the day.
        most: entries of the journal to read; all where left out.
        late: corrections to read; all where left out.

    Raises:
        BadInput: it is no day, or its factory file is not there.
        Damaged: its journal is not what was written.
    """
    journal = folder / JOURNAL
    if not journal.is_file():
        raise refuse(str(folder), "", None, f"is no folder of a live day: it holds no {JOURNAL}")
    corrections = read_corrections(folder)[:late]
    gather, before = Gather(corrections), Gather()
    count, head = 0, ""
    for frame in sound_frames(journal, most):
        found = f.read(frame)
        gather.take(found)
        if corrections:
            before.take(found)
        count, head = frame.index + 1, frame.head
    if gather.begin is None:
        raise refuse(str(journal), "", None, "holds no day yet: it has no beginning")
    witness = {
        "frames": count,
        "head": head,
        "corrections": len(corrections),
        "until_ns": gather.until_ns,
        "ended": gather.ended,
    }
    factory = _factory(folder)
    torn = recover(journal).torn_bytes
    return ReadDay(
        folder, factory, gather, before if corrections else gather, corrections, witness, torn
    )


def _factory(folder: Path) -> Factory:
    """The factory file of a day, or else of the folders above: its environment's, the service's."""
    places = [folder, *list(folder.absolute().parents)[1:3]]
    for place in places:
        if (place / "factory.yaml").is_file():
            return load_factory(place / "factory.yaml")
    why = "is missing: accounts need the factory file that the day began with"
    raise refuse(str(folder / "factory.yaml"), "", None, why)


def keep_factory(folder: Path, factory: Factory) -> None:
    """Put the factory file into the folder of a day that begins; nothing where it is there."""
    path = folder / "factory.yaml"
    if not path.is_file():
        replace_file(path, factory_text(factory).encode())


def factory_digest(factory: Factory) -> str:
    """What the journal of a day calls its factory file: sha256 of it, checked, as sorted JSON."""
    text = json.dumps(factory.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _same_factory(day: ReadDay) -> list[Problem]:
    """Whether the factory file at hand is the one the day began with."""
    begin = day.gather.begin
    assert begin is not None
    found = factory_digest(day.factory)
    if begin.factory_digest in ("", found):
        return []
    why = f"is not the one the day began with: its digest is {found}"
    return [Problem(str(day.folder / "factory.yaml"), "", begin.factory_digest, why)]


# --- late data -------------------------------------------------------------------------------


def read_corrections(folder: Path) -> tuple[Correction, ...]:
    """Late data of the meters of a day, in the order it came.

    Raises:
        Damaged: what was kept is not what was written.
    """
    path = folder / LATE
    if not path.is_file():
        return ()
    return tuple(Correction(**frame.fields) for frame in sound_frames(path) if frame.kind == _KIND)


def correct(folder: Path, late: Sequence[Correction], now_ns: int) -> None:
    """Take in late data of meters: the next books hold it as correcting transfers.

    A meter's total after it is what the meter says; IT energy goes to the jobs that ran then.

    Args:
        folder: of the day.
        late: what to add to what is booked.
        now_ns: when it came, ns UTC.

    Raises:
        BadInput: no such period, meter or place, a period that has not been metered to its end, or
            energy that would fall below nought. Nothing is written then.
    """
    day = read_day(folder)
    problems = [p for i, one in enumerate(late) if (p := _unfit(day, i, one)) is not None]
    if not problems:
        trial = read_with(day, (*day.corrections, *late))
        meter = book_of(trial, day.factory).book.meter
        for name in (*OF_POOL, *OF_SITE):
            if (meter[:, :, METERS.index(name)] < 0).any():
                why = "energy would fall below nought in a period"
                problems.append(Problem(str(folder), name, "", why))
    if problems:
        raise BadInput(problems)
    path = folder / LATE
    if path.is_file():
        journal, _ = Journal.reopen(path)
    else:
        journal = Journal.create(path)
    with journal:
        for one in late:
            journal.append(_KIND, now_ns, one._asdict())
        journal.sync()


def read_with(day: ReadDay, corrections: tuple[Correction, ...]) -> Gather:
    """The readings of a day with other late data."""
    gather = Gather(corrections)
    for frame in sound_frames(day.folder / JOURNAL, day.witness["frames"]):
        gather.take(f.read(frame))
    return gather


def _unfit(day: ReadDay, number: int, one: Correction) -> Problem | None:
    begin = day.gather.begin
    assert begin is not None
    where = f"correction {number + 1}"
    end = day.gather.first_ns + (one.period + 1) * day.gather.step_ns
    if not 0 <= one.period < day.gather.periods or end > day.gather.until_ns:
        return Problem(where, "period", str(one.period), "has not been metered to its end")
    if one.meter not in (*OF_POOL, *OF_SITE):
        why = f"is no meter that can be corrected: {', '.join((*OF_POOL, *OF_SITE))}"
        return Problem(where, "meter", one.meter, why)
    places = begin.sites if one.meter in OF_SITE else tuple(p.name for p in begin.pools)
    if one.place not in places:
        return Problem(where, "place", one.place, f"is none of {', '.join(places)}")
    return None


# --- books -----------------------------------------------------------------------------------


def write_books(folder: Path) -> Path:
    """Make the books of a day from its journal and late data, and put them in place whole.

    Returns:
        The folder of the books.

    Raises:
        BadInput: it is no day, or its factory file is missing.
        Damaged: its journal is not what was written.
    """
    day = read_day(folder)
    place = folder / BOOKS
    fresh = folder / f".{BOOKS}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        make_books(fresh, day)
        write_manifest(fresh, {"digest": day.witness["head"]})
        shutil.rmtree(place, ignore_errors=True)
        fresh.rename(place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return place


def make_books(folder: Path, day: ReadDay) -> DayBook:
    """Write the books of a day into an empty folder, without a manifest."""
    book = book_of(day.gather, day.factory)
    write_run(folder, book, day.factory, day.witness)
    if day.corrections:
        _correcting(folder, day, book)
    return book


def _correcting(folder: Path, day: ReadDay, after: DayBook) -> None:
    """Show late data as transfers of its own, behind what was booked first.

    `transfers.parquet` holds what is right now; `corrected.parquet` how it came to be.
    """
    before = transfer_table(book_of(day.before, day.factory).book)
    table = correcting_transfers(before, transfer_table(after.book))
    _write(table, folder / "corrected.parquet")
    gather = day.gather
    rows = correction_rows(day.corrections, gather.first_ns, gather.step_ns)
    _write(rows, folder / "corrections.parquet")


def _write(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd", compression_level=3, row_group_size=1 << 20)


def correcting_transfers(before: pa.Table, after: pa.Table) -> pa.Table:
    """Transfers as first booked, and behind them the ones that make them what they are now.

    Args:
        before: transfers without late data.
        after: transfers with it.

    Returns:
        A table like `before`; the rows added have the phase `correction`.
    """
    keys = ("start_ns", "site", "commodity", "debit", "credit")
    texts = ("site", "phase", "commodity", "debit", "credit")
    total: dict[tuple[Any, ...], int] = {}
    for table, sign in ((before, -1), (after, 1)):
        # a reservation and what was posted of it or given back stand for what was outright
        columns = [table.column(name).to_pylist() for name in (*keys, "phase", "amount")]
        for *key, phase, amount in zip(*columns, strict=True):
            if phase in ("pending", "void"):
                continue
            total[tuple(key)] = total.get(tuple(key), 0) + sign * amount
    extra = sorted((key, amount) for key, amount in total.items() if amount)
    rows = [
        {
            "id": before.num_rows + i,
            "pending_id": -1,
            **dict(zip(keys, key, strict=True)),
            "phase": CORRECTED,
            "amount": amount,
        }
        for i, (key, amount) in enumerate(extra)
    ]
    plain = pa.schema(
        [(name, pa.string() if name in texts else pa.int64()) for name in before.column_names]
    )
    added = pa.Table.from_pylist(rows, schema=plain)
    return pa.concat_tables([before.cast(plain), added]).combine_chunks()


# --- replay and verify -----------------------------------------------------------------------


def replay(folder: Path) -> tuple[list[Problem], dict[str, Any]]:
    """Make the books of a day again, from as much as they were made of, and compare every byte.

    Where there are no books yet they are made.

    Returns:
        What differs, and of what the books were made (`made` where they were not there).
    """
    place = folder / BOOKS
    if not place.is_dir():
        write_books(folder)
        return [], {**_witness(place), "made": True}
    told = _witness(place)
    day = read_day(folder, told.get("frames"), told.get("corrections"))
    problems = _same_factory(day)
    if day.witness != {k: told.get(k) for k in day.witness}:
        why = "the books were made of another journal, or of entries that are gone"
        problems.append(Problem(str(place / "run.json"), "live", "", why))
    with tempfile.TemporaryDirectory(prefix="gigafactory-") as other:
        there = Path(other)
        make_books(there, day)
        for name in sorted({path.name for path in there.iterdir()}):
            if not (place / name).is_file():
                problems.append(Problem(str(place / name), "", "", "is missing"))
            elif not filecmp.cmp(place / name, there / name, shallow=False):
                why = "differs from what the journal gives"
                problems.append(Problem(str(place / name), "", "", why))
    return problems, told


def _witness(books: Path) -> dict[str, Any]:
    """Of what the books of a day were made; nothing where that cannot be read."""
    try:
        told: dict[str, Any] = json.loads((books / "run.json").read_text("utf-8"))["live"]
    except (OSError, ValueError, KeyError):
        return {}
    return told


def verify(folder: Path) -> tuple[list[Problem], dict[str, Any]]:
    """Prove a live day: its journal's chain, its accounts to the last integer, its receipts.

    Without a copy of the head kept elsewhere this shows damage, not forgery.

    Returns:
        Every problem found, and what was proved.
    """
    try:
        day = read_day(folder)
    except Damaged as damage:
        return [Problem(str(damage.path), "", "", str(damage))], {}
    problems = [*day.gather.problems, *_same_factory(day)]
    book = book_of(day.gather, day.factory)
    found, rounding = conservation(book.book)
    problems += found
    problems += _energy(day, book) + _receipts(day, book)
    if day.before is not day.gather:
        problems += _corrected(day, book)
    if (folder / BOOKS).is_dir():
        problems += check_manifest(folder / BOOKS)
    problems += _follows(day)
    begin = day.gather.begin
    assert begin is not None
    proved = {
        "day": begin.day,
        "environment": begin.environment,
        "frames": day.witness["frames"],
        "head": day.witness["head"],
        "complete": day.gather.ended,
        "until_ns": day.gather.until_ns,
        "torn_bytes": day.torn_bytes,
        "periods": book.book.periods,
        "segments": book.book.segments,
        "corrections": len(day.corrections),
        "previous_head": begin.previous_head,
        "books": (folder / BOOKS).is_dir(),
        "rounding": rounding,
        "modelled_ppm": _modelled_ppm(book),
    }
    return problems, proved


def _follows(day: ReadDay) -> list[Problem]:
    """Whether the day before, where it is at hand, ends as this day says."""
    begin = day.gather.begin
    assert begin is not None
    before = day.folder.absolute().parent / begin.previous_day / JOURNAL
    if not begin.previous_day or not before.is_file():
        return []
    try:
        head = recover(before).head
    except Damaged as damage:
        return [Problem(str(before), "", "", f"the day before is damaged: {damage}")]
    if head == begin.previous_head:
        return []
    why = f"ends with {head}; {begin.day} was begun after one that ends with {begin.previous_head}"
    return [Problem(str(before), "", "", why)]


def _modelled_ppm(book: DayBook) -> int:
    """Millionths of the IT energy that no meter vouches for."""
    n, gather = book.book.periods, book.gather
    used = gather.group[:n, :, :, GROUP_COLUMNS.index("used_uwh")]
    whole = int(gather.energy[:n, :, 0].sum()) + int(used.sum())
    metered = int(gather.energy[:n, :, 1].sum())
    return (whole - metered) * 10**6 // whole if whole else 0


def _energy(day: ReadDay, book: DayBook) -> list[Problem]:
    """IT energy of every pool: what the journal and late data say is what is in the accounts."""
    gather = day.gather
    assert gather.begin is not None
    said = np.zeros(len(gather.begin.pools), np.int64)
    at = f.POOL_COLUMNS.index("it_uwh")
    for frame in sound_frames(day.folder / JOURNAL, day.witness["frames"]):
        if frame.kind == "metered":
            said += frame.arrays["pools"][:, at]
    names = [pool.name for pool in gather.begin.pools]
    for one in day.corrections:
        if one.meter == "it_wh":
            said[names.index(one.place)] += one.delta_wh * 10**6
    n = book.book.periods
    used = gather.group[:n, :, :, GROUP_COLUMNS.index("used_uwh")].sum(axis=(0, 2))
    booked = used + gather.energy[:n, :, 0].sum(axis=0)
    problems = []
    for name, a, b in zip(names, said.tolist(), booked.tolist(), strict=True):
        if a != b:
            why = f"{a} micro-watt-hours were metered and {b} are booked"
            problems.append(Problem(f"ledger, pool {name}", "it_wh", "", why))
    if bool((gather.energy[:n, :, 0] < 0).any()):
        why = "accelerators at rest have energy below nought"
        problems.append(Problem(str(day.folder), "it_idle_uwh", "", why))
    return problems


def _receipts(day: ReadDay, book: DayBook) -> list[Problem]:
    """Receipts of every whole period hold its energy at work, and add up to those of the day."""
    gather = day.gather
    whole = (gather.until_ns - gather.first_ns) // gather.step_ns
    used = gather.group[:, :, :, GROUP_COLUMNS.index("used_uwh")].sum(axis=(1, 2)).tolist()
    problems = []
    before: dict[int, dict[str, int]] = {}
    summed: dict[int, int] = {}
    for period in range(whole):
        after = receipts_of(book_of(gather, day.factory, period + 1))
        had = {n: row["energy_wh"] - before.get(n, _NONE)["energy_wh"] for n, row in after.items()}
        fine = sum(row["energy_uwh"] for row in after.values())
        fine -= sum(row["energy_uwh"] for row in before.values())
        if fine != used[period]:
            why = f"receipts hold {fine} micro-watt-hours of {used[period]} at work"
            problems.append(Problem("ledger, receipts", f"period {period}", "", why))
        for number, wh in had.items():
            summed[number] = summed.get(number, 0) + wh
        before = after
    for number, row in before.items():
        if summed[number] != row["energy_wh"]:
            why = f"its periods hold {summed[number]} Wh of {row['energy_wh']}"
            problems.append(Problem("ledger, receipts", gather.jobs[number].key, "", why))
    for number, row in receipts_of(book).items():
        if not 0 <= row["modelled_uwh"] <= row["energy_uwh"]:
            why = "more of its energy is modelled than it has"
            problems.append(Problem("ledger, receipts", gather.jobs[number].key, "", why))
    return problems[:20]


def _corrected(day: ReadDay, after: DayBook) -> list[Problem]:
    """Late data changes what it says, and nothing else of what was metered."""
    begin = day.gather.begin
    assert begin is not None
    before = book_of(day.before, day.factory).book
    problems = []
    for name in (*OF_POOL, *OF_SITE):
        at = METERS.index(name)
        wanted = np.zeros(len(begin.sites), np.int64)
        pools = {pool.name: pool.site for pool in begin.pools}
        for one in day.corrections:
            if one.meter == name:
                site = pools[one.place] if name in OF_POOL else one.place
                wanted[begin.sites.index(site)] += one.delta_wh
        got = (after.book.meter[:, :, at] - before.meter[:, :, at]).sum(axis=0)
        if not np.array_equal(got, wanted):
            why = f"late data adds {wanted.tolist()} Wh and the accounts {got.tolist()}"
            problems.append(Problem(str(day.folder), name, "", why))
    return problems


__all__ = [
    "BOOKS",
    "JOURNAL",
    "LATE",
    "ReadDay",
    "correct",
    "correcting_transfers",
    "factory_digest",
    "is_day",
    "keep_factory",
    "make_books",
    "read_corrections",
    "read_day",
    "replay",
    "sound_frames",
    "verify",
    "write_books",
]
