"""The run folder: where a run writes, what it needs there, and what it leaves to be resumed from.

::

    runs/rotterdam-1/  runs/rotterdam-2/ ...   runs/latest -> rotterdam-2
        factory.yaml  scenario.yaml  series.parquet  jobs.parquet  accounts.parquet
        transfers.parquet  sources.parquet  journal.gfj  summary.json  report.html  manifest.json
        dossier/                             documents about the factory, where it has any
        snapshots/day-00041.gfs              only while the run is not finished

A snapshot is the loop's state at the end of a day, with the journal's position and head in its
fields. It is itself a small journal, so it is checked the same way; a damaged one is passed over.

Knows names, disks and bytes; not what the files mean.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from gigafactory.engine.errors import BadInput, refuse
from gigafactory.engine.journal import JSON, Array, Damaged, Journal, frames, sync_folder
from gigafactory.factory import bundled
from gigafactory.factory.dossier import KEPT

LATEST: Final = "latest"
#: Where the folder of a live day keeps its books.
BOOKS: Final = "run"
MIN_FREE_BYTES: Final = 256 << 20  # what a week of the default factory needs, with room to spare

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SNAPSHOTS = "snapshots"
_SNAPSHOT = re.compile(r"day-(\d{5,})\.gfs")
_PART_BYTES = 32 << 20  # bounds the memory a snapshot's writer and reader need beyond the arrays
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DiskFull(Exception):  # noqa: N818  (trouble in the world, named as what it is)
    """The disk (or the quota on it) is full.

    Attributes:
        folder: where was being written.
        resume: the command that takes the run up again; empty where there is none.
    """

    def __init__(self, folder: Path, resume: str = "") -> None:
        self.folder, self.resume = folder, resume
        words = f"{folder}: the disk is full"
        if resume:
            words += f"; what was done is kept. Free some space, then resume with: {resume}"
        else:
            words += "; free some space and start again"
        super().__init__(words)


def keep_dossier(dossier: Path | None, folder: Path) -> None:
    """Copy the dossier of a factory into a run folder; nothing where it has none or it is there."""
    if dossier is not None and not (folder / KEPT).exists():
        shutil.copytree(dossier, folder / KEPT)


@contextlib.contextmanager
def guard_disk(folder: Path, resume: str = "") -> Iterator[None]:
    """Turn the operating system's "no space left" into `DiskFull`; let everything else through.

    Args:
        folder: where the guarded lines write.
        resume: the command to print.

    Raises:
        DiskFull: the disk, the quota or the largest allowed file is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(folder, resume) from error
        raise


# --- the folder ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder. Made by `RunFolder.new` or `RunFolder.open`.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def name(self) -> str:
        """The folder's own name, such as ``rotterdam-3``."""
        return self.path.name

    def file(self, name: str) -> Path:
        """The path of one of the run's files."""
        return self.path / name

    @property
    def journal(self) -> Path:
        """The path of the journal."""
        return self.path / "journal.gfj"

    @classmethod
    def new(
        cls,
        base: Path,
        name: str,
        out: Path | None = None,
        need_bytes: int = MIN_FREE_BYTES,
    ) -> RunFolder:
        """Make the folder of a new run.

        Args:
            base: the folder of runs, made when absent.
            name: the factory's name; the folder is ``<base>/<name>-<n>`` with n one above the
                highest there is, and ``<base>/latest`` is made to point to it.
            out: this very folder instead; it may exist if it is empty. `latest` is left alone.
            need_bytes: estimate of what the run will write.

        Raises:
            BadInput: `out` holds something already, the place cannot be written, the disk has less
                free than the estimate, or the name cannot name a folder. Nothing is written then.
        """
        if out is not None:
            _check_out(out)
            _check_space(out, need_bytes)
            return cls(_make(out, exist_ok=True))
        if not _NAME.fullmatch(name):
            why = "a run's name is letters, digits, '.', '_' and '-', at most 100, a letter first"
            raise refuse("run folder", "name", repr(name), why)
        latest = base / LATEST
        if os.path.lexists(latest) and not latest.is_symlink():
            why = "this name is kept for the link to the latest run; rename what stands there"
            raise refuse(str(latest), "", None, why)
        _check_space(base, need_bytes)
        _make(base, exist_ok=True)
        number = 1 + max((_number(entry.name, name) for entry in base.iterdir()), default=0)
        while True:  # another run may take the number between the look and the making
            path = base / f"{name}-{number}"
            try:
                _make(path, exist_ok=False)
                break
            except FileExistsError:
                number += 1
        _point(latest, path.name)
        return cls(path)

    @classmethod
    def open(cls, path: str | os.PathLike[str], base: Path = Path("runs")) -> RunFolder:
        """Open the folder of a run that was made before.

        Args:
            path: the folder, or ``latest`` for the last run made in `base`; a bare name such as
                ``rotterdam-3`` is looked for in `base` when it is not found as it stands.
            base: the folder of runs.

        Raises:
            BadInput: there is no such folder, or it is not a run's.
        """
        asked = Path(path)
        here = asked
        if str(path) == LATEST or (len(asked.parts) == 1 and not asked.exists()):
            here = base / asked
        if not here.is_dir():
            runs = sorted(e.name for e in base.iterdir() if e.is_dir()) if base.is_dir() else []
            known = f"; in {base} there are: {', '.join(runs[:20])}" if runs else ""
            raise refuse(str(asked), "", None, f"there is no such run folder{known}")
        here = here.resolve() if here.is_symlink() else here
        if (here / BOOKS / "journal.gfj").is_file():  # a live day: its books are a run folder
            here = here / BOOKS
        if not ((here / "journal.gfj").is_file() or (here / "factory.yaml").is_file()):
            why = "this is not a run folder: it holds neither a journal nor a factory file"
            raise refuse(str(asked), "", None, why)
        return cls(here)


def run_named(name: str) -> Path | None:
    """The folder of a run by its name, path or `latest`; None for a factory.

    Raises:
        BadInput: `latest` or a folder that is no run.
    """
    if name in bundled() or Path(name).is_file():
        return None
    try:
        return RunFolder.open(name).path
    except BadInput:
        if name == "latest" or Path(name).is_dir():
            raise
        return None


def _number(entry: str, name: str) -> int:
    """The number of a run's folder with this name; 0 for any other entry."""
    stem, _, number = entry.rpartition("-")
    return int(number) if stem == name and number.isascii() and number.isdecimal() else 0


def _check_out(out: Path) -> None:
    """Refuse an explicit folder that holds something: a run never writes over another."""
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise refuse(str(out), "--out", None, "this is not a folder; name a new one")
    try:
        taken = next(out.iterdir(), None)
    except OSError as error:
        raise refuse(str(out), "--out", None, f"cannot be read: {error.strerror}") from error
    if taken is not None:
        why = f"this folder is not empty (it holds {taken.name}); name a new or an empty one"
        raise refuse(str(out), "--out", None, why)


def _check_space(path: Path, need_bytes: int) -> None:
    """Refuse a place that cannot be written or whose disk has less free than the run will need."""
    there = path.absolute()
    while not os.path.lexists(there):
        there = there.parent
    if not there.is_dir():
        raise refuse(str(path), "", None, f"cannot be made: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        why = f"cannot be written: {there} is read-only for you; choose another place with --out"
        raise refuse(str(path), "", None, why)
    free = shutil.disk_usage(there).free
    if free < need_bytes:
        why = (
            f"the run will write about {_size(need_bytes)} and the disk has {_size(free)} free; "
            "free some space or choose another disk with --out"
        )
        raise refuse(str(path), "", None, why)


def _size(count: int) -> str:
    """A number of bytes for people, in the decimal units disks are sold in."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count / 1000:.1f} kB"


def _make(path: Path, *, exist_ok: bool) -> Path:
    """Make a folder (and, where it may exist, those above it); told as bad input when it fails."""
    try:
        path.mkdir(parents=exist_ok, exist_ok=exist_ok)
    except FileExistsError:
        if exist_ok:
            raise refuse(str(path), "", None, "this is not a folder") from None
        raise
    except OSError as error:
        why = f"cannot be made: {error.strerror}; choose another place with --out"
        raise refuse(str(path), "", None, why) from error
    return path


def _point(link: Path, target: str) -> None:
    """Let a link point to a folder beside it, in one step, so a reader never finds it absent."""
    fresh = link.with_name(f".{target}.link")
    try:
        fresh.symlink_to(target)
        fresh.replace(link)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        # some disks (exFAT, a few network shares) have no links; the run itself does not need one
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.ENOSYS}:
            raise


# --- snapshots -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The loop's state at the end of a day.

    Attributes:
        day: number of days done.
        arrays: the state's arrays, writable, with the dtypes and shapes they were saved with.
        fields: its plain values.
        skipped: words on each newer snapshot that was damaged and passed over.
    """

    day: int
    arrays: Mapping[str, Array]
    fields: Mapping[str, Any]
    skipped: tuple[str, ...] = ()


def _snapshots(folder: Path) -> list[tuple[int, Path]]:
    """The snapshots of a run, oldest first."""
    place = folder / _SNAPSHOTS
    if not place.is_dir():
        return []
    found = ((_SNAPSHOT.fullmatch(entry.name), entry) for entry in place.iterdir())
    return sorted((int(match.group(1)), entry) for match, entry in found if match)


def save_snapshot(
    folder: Path, day: int, arrays: Mapping[str, Array], fields: Mapping[str, JSON]
) -> Path:
    """Save the state at the end of a day; sync the journal before, so that it is never behind.

    Written beside its place and renamed, so a crash leaves it whole or absent. The one before it is
    kept, older ones are dropped, and so are those of later days: a resumed run writes them again.

    Args:
        folder: the run's folder.
        day: number of days done, from 0.
        arrays: numbers of up to 8 bytes, any shape.
        fields: plain values, the journal's position and head among them.

    Returns:
        The snapshot's path.

    Raises:
        OSError: the disk is full or gone; older snapshots stand.
        TypeError: an array is not of numbers, or a field is not a plain value.
        ValueError: a field is NaN or infinite.
    """
    place = folder / _SNAPSHOTS
    place.mkdir(exist_ok=True)
    path = place / f"day-{day:05d}.gfs"
    fresh = path.with_suffix(".tmp")
    fresh.unlink(missing_ok=True)
    try:
        with Journal.create(fresh) as file:
            file.append("state", 0, {"day": day, "fields": dict(fields)})
            for name in sorted(arrays):
                array = np.asarray(arrays[name])
                form: dict[str, JSON] = {
                    "name": name,
                    "shape": array.shape,
                    "dtype": array.dtype.str,
                }
                file.append("array", 0, form)
                flat = array.reshape(-1)
                step = max(1, _PART_BYTES // max(1, array.itemsize))
                for start in range(0, flat.size, step):
                    file.append("part", 0, {}, {name: flat[start : start + step]})
            file.append("end", 0, {})
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync_folder(place)
    older = [number for number, _ in _snapshots(folder) if number < day]
    keep = {day, *older[-1:]}
    for number, entry in _snapshots(folder):
        if number not in keep:
            entry.unlink()
    return path


def _read_snapshot(path: Path) -> Snapshot:
    """Read one snapshot, checked to its last byte, into arrays of its own."""
    day, fields, ended = 0, {}, False
    arrays: dict[str, Array] = {}
    flat, filled = np.empty(0), 0
    for frame in frames(path):
        if frame.kind == "state":
            day, fields = int(frame.fields["day"]), frame.fields["fields"]
        elif frame.kind == "array":
            array = np.empty(frame.fields["shape"], frame.fields["dtype"])
            arrays[frame.fields["name"]] = array
            flat, filled = array.reshape(-1), 0
        elif frame.kind == "part":
            (values,) = frame.arrays.values()
            flat[filled : filled + values.size] = values
            filled += values.size
        elif frame.kind == "end":
            ended = True  # the chain vouches for every frame before it
    if not ended:
        raise Damaged(path, -1, path.stat().st_size, "the snapshot has no end; it was broken off")
    return Snapshot(day, MappingProxyType(arrays), MappingProxyType(fields))


def load_snapshot(folder: Path) -> Snapshot | None:
    """The newest sound snapshot of a run, or None where there is none.

    Args:
        folder: the run's folder.

    Returns:
        The snapshot, with words on each newer one that was damaged.
    """
    skipped: list[str] = []
    for _, path in reversed(_snapshots(folder)):
        try:
            found = _read_snapshot(path)
        except (Damaged, OSError) as error:
            skipped.append(str(error))
            continue
        return Snapshot(found.day, found.arrays, found.fields, tuple(skipped))
    return None


def drop_snapshots(folder: Path) -> None:
    """Remove a finished run's snapshots; call it before the manifest is written."""
    place = folder / _SNAPSHOTS
    if place.is_dir():
        shutil.rmtree(place)
