"""Replay and verify: the ledger is a pure function of the journal, and both can be checked."""

from __future__ import annotations

import filecmp
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from gigafactory.engine.errors import Problem, refuse
from gigafactory.engine.journal import Damaged, frames
from gigafactory.engine.manifest import check_manifest
from gigafactory.factory import load_factory
from gigafactory.ledger import GROUP_COLUMNS, Book, Facts, Header, conservation
from gigafactory.runtime.folder import RunFolder
from gigafactory.runtime.loop import Trace
from gigafactory.runtime.outputs import DERIVED, write_derived
from gigafactory.runtime.reserves import Sale
from gigafactory.runtime.stressed import check_seconds


def account(journal: Path, book: Book, trace: Trace, until: int | None = None) -> tuple[str, bool]:
    """Feed the frames of a journal to a book, as the loop did.

    Args:
        journal: the file.
        book: a fresh book with the journal's own header.
        trace: takes what the ledger does not keep.
        until: byte offset at which to stop; None reads to the end.

    Returns:
        The chain hash of the last frame read, and whether the run is complete.

    Raises:
        Damaged: a frame does not check.
    """
    period, head, complete = -1, "", False
    for frame in frames(journal):
        if until is not None and frame.offset >= until:
            break
        head = frame.head
        if frame.kind == "plan":
            book.close_day()
            trace.plans.append(list(frame.fields["status"]))
            trace.conflicts += frame.fields.get("conflicts", [])
        elif frame.kind == "again":
            trace.again.append(list(frame.fields["status"]))
        elif frame.kind == "intent":
            period += 1
            trace.speed[period] = frame.arrays["speed"]
            trace.held[period] = frame.arrays["held"] > 0
        elif frame.kind == "facts":
            trace.senses[period] = frame.arrays["sense"]
            book.tick(Facts.of(dict(frame.arrays)))
        elif frame.kind == "shares":
            book.day_shares(frame.arrays["share_s"].astype(np.int64), frame.arrays.get("fragments"))
        elif frame.kind == "quota":
            book.day_quotas(int(frame.fields["day"]), frame.arrays["nominal"])
        elif frame.kind in ("island", "restart"):
            trace.islands.append({"kind": frame.kind, **frame.fields})
        elif frame.kind == "reserve":
            trace.sales.append(Sale.of(dict(frame.fields)))
        elif frame.kind == "congestion":
            trace.told.append(dict(frame.fields))
        elif frame.kind == "invoice":
            book.day_invoices([dict(row) for row in frame.fields["rows"]])
        elif frame.kind == "end":
            book.still_waiting(frame.arrays["waiting.job"], frame.arrays["waiting.why"])
            book.close(frame.arrays["energy_uwh"].astype(np.int64))
            complete = True
    book.close_day()
    return head, complete


def rebuild(folder: Path) -> tuple[Book, Trace, str, bool]:
    """Rebuild the book of a run from its journal alone."""
    journal = folder / "journal.gfj"
    if not journal.is_file():
        raise refuse(str(journal), "", None, "is missing: nothing of this run can be proved")
    first = next(frames(journal), None)
    if first is None or first.kind != "begin":
        raise refuse(str(journal), "", None, "holds no run: its first entry is not a beginning")
    if "header" not in first.fields:
        why = f"is of a live day without books; make them with: gigafactory replay {folder}"
        raise refuse(str(journal), "", None, why)
    header = Header.of(dict(first.fields["header"]))
    book = Book(header)
    trace = Trace.empty(header.periods, len(header.sites))
    head, complete = account(journal, book, trace)
    if not complete and book.periods:
        # stopped: what still runs is counted up to there, as the run itself did
        book.close(book.group[book.periods - 1, :, :, GROUP_COLUMNS.index("energy_uwh")])
    return book, trace, head, complete


def replay(path: str | Path) -> tuple[Path, list[Problem]]:
    """Rebuild every derived table of a run and compare it with what the run wrote, byte for byte.

    Returns:
        The folder and the tables that differ.
    """
    folder = RunFolder.open(path).path
    book, trace, head, _ = rebuild(folder)
    factory = load_factory(folder / "factory.yaml")
    problems = []
    with tempfile.TemporaryDirectory(prefix="gigafactory-") as place:
        there = Path(place)
        write_derived(there, book, trace, factory)
        for name in DERIVED:
            if not (folder / name).is_file():
                problems.append(Problem(str(folder / name), "", "", "is missing"))
            elif not filecmp.cmp(folder / name, there / name, shallow=False):
                why = "differs from what the journal gives"
                problems.append(Problem(str(folder / name), "", "", why))
    return folder, problems + _digest(folder / "summary.json", head)


def _digest(summary: Path, head: str) -> list[Problem]:
    """Whether the summary names the journal's digest."""
    try:
        told = json.loads(summary.read_text("utf-8")).get("digest")
    except FileNotFoundError:
        return [Problem(str(summary), "", "", "is missing")]
    except ValueError:
        return [Problem(str(summary), "", "", "is damaged: it does not read as JSON")]
    why = f"the journal's is {head}"
    return [] if told == head else [Problem(str(summary), "digest", str(told), why)]


def verify(path: str | Path) -> tuple[Path, list[Problem], dict[str, Any]]:
    """Prove a run folder: every byte, the journal's chain, and conservation to the last integer.

    Without an anchor kept elsewhere this detects damage; it does not prove against forgery.

    Returns:
        The folder, every problem found, and what was proved.
    """
    folder = RunFolder.open(path).path
    problems = check_manifest(folder)
    proved: dict[str, Any] = {}
    try:
        book, _, head, complete = rebuild(folder)
    except Damaged as damage:
        return folder, [*problems, Problem(str(damage.path), "", "", str(damage))], proved
    found, rounding = conservation(book)
    problems += found
    problems += check_seconds(folder)
    proved = {
        "frames": "chained",
        "digest": head,
        "complete": complete,
        "periods": book.periods,
        "segments": book.segments,
        "rounding": rounding,
    }
    return folder, problems, proved
