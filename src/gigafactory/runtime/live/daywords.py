"""What the commands `replay`, `verify` and `diff` say of a run and of a live day."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from gigafactory.engine.errors import Problem
from gigafactory.runtime import replay as runs
from gigafactory.runtime.live.days import is_day, replay, verify
from gigafactory.runtime.live.diff import diff, lines_of
from gigafactory.runtime.outputs import DERIVED
from gigafactory.units import NS_PER_S


def _clock(at_ns: int) -> str:
    return f"{dt.datetime.fromtimestamp(at_ns // NS_PER_S, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


_NO_FORGERY = "Without a copy of this digest kept elsewhere, this shows damage, not forgery."


def verify_lines(path: str) -> tuple[list[Problem], list[str]]:
    """Prove a run or a live day: the problems found, else what was proved.

    Raises:
        BadInput: there is neither.
    """
    return _verify_day(path) if is_day(path) else _verify_run(path)


def _verify_run(path: str) -> tuple[list[Problem], list[str]]:
    folder, problems, proved = runs.verify(path)
    if problems:
        return problems, []
    lines = [
        f"{folder}: every byte is as it was written and the journal's chain holds.",
        f"Energy, accelerator-hours and money balance in all {proved['periods']:,} periods;",
        f"receipts of {proved['segments']:,} segments and rounding sum to the totals:",
    ]
    lines += [f"  {name:<40} {units:>12,}" for name, units in proved["rounding"].items()]
    return [], [*lines, f"Digest {proved['digest']}", _NO_FORGERY]


def _verify_day(path: str) -> tuple[list[Problem], list[str]]:
    problems, proved = verify(Path(path))
    if problems:
        return problems, []
    day = "The day is sealed" if proved["complete"] else "The day is not sealed"
    until = _clock(proved["until_ns"])
    lines = [
        f"{path}: {proved['frames']:,} entries of the journal are chained, to {until}. {day}.",
        f"Energy, accelerator-hours and money balance in all {proved['periods']:,} periods;",
        f"receipts of {proved['segments']:,} segments and rounding sum to the totals, and the",
        "receipts of all periods to those of the day:",
    ]
    lines += [f"  {name:<40} {units:>12,}" for name, units in proved["rounding"].items()]
    lines.append(f"{proved['modelled_ppm'] / 1e4:.2f} % of the IT energy is modelled, not metered.")
    if proved["corrections"]:
        lines.append(f"Late data of meters: {proved['corrections']} corrections, all booked.")
    if proved["torn_bytes"]:
        lines.append(f"{proved['torn_bytes']} bytes of a write that was broken off are left out.")
    if proved["previous_head"]:
        lines.append(f"It follows the day whose journal ends with {proved['previous_head']}")
    if not proved["books"]:
        lines.append("Its books are not made yet; make them with: gigafactory replay")
    lines.append(f"Digest {proved['head']}")
    return [], [*lines, _NO_FORGERY]


def replay_lines(path: str) -> tuple[list[Problem], list[str]]:
    """Make the tables of a run, or the books of a live day, again, and compare every byte.

    Raises:
        BadInput: there is neither.
    """
    if not is_day(path):
        folder, problems = runs.replay(path)
        said = f"{', '.join(DERIVED)} rebuilt from the journal, byte for byte the same."
        return problems, [f"{folder}: {said}"]
    problems, told = replay(Path(path))
    of = f"{told.get('frames', 0):,} entries of the journal"
    if told.get("corrections"):
        of += f" and {told['corrections']} corrections"
    if told.get("made"):
        return problems, [f"{path}: there were no books yet; they are made of {of}."]
    return problems, [f"{path}: the books are made again of {of}, byte for byte the same."]


def diff_lines(path: str, *, as_json: bool) -> list[str]:
    """The day as decided beside the day as it was, in words or as JSON.

    Raises:
        BadInput: it is no day, or nothing has been metered.
    """
    found = diff(Path(path))
    if as_json:
        return [json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False)]
    return list(lines_of(found))


__all__ = ["diff_lines", "replay_lines", "verify_lines"]
