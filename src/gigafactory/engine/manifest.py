"""The manifest: what every file of a folder was when it was finished, and where one has changed.

`manifest.json` lists each file with its size, its sha256, and the sha256 of each block of 1 MiB, so
that damage is not only found but placed. It seals itself as well: its last lines hold a checksum of
each line above and one sha256 of them all, so a flipped byte in the manifest is found, told apart
from a flipped byte in a file, and placed on its line.

The digest of a run is the head of its journal, not this file: wall times and memory stand in
`summary.json`, which the manifest covers as a file and the digest leaves out.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from gigafactory.engine.errors import Problem
from gigafactory.engine.journal import JSON, sync_folder

NAME: Final = "manifest.json"
FORMAT: Final = 1
BLOCK: Final = 1 << 20

_SEAL = re.compile(
    rb'\n"line_crc32": "([0-9a-f]{8}(?: [0-9a-f]{8})*)",\n"sha256": "([0-9a-f]{64})"\n\}\n\Z'
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One file as it was: size in bytes, sha256 of the whole and of each block, hexadecimal."""

    path: str
    size: int
    sha256: str
    blocks: tuple[str, ...]


def replace_file(path: Path, data: bytes) -> None:
    """Write a whole file so that a crash leaves either the old one or the new one.

    Args:
        path: the file; its folder exists.
        data: its content.

    Raises:
        OSError: it cannot be written; the old file stands and no half-written one is left.
    """
    fresh = path.with_name(path.name + ".tmp")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _names(folder: Path) -> list[str]:
    """Every file below a folder but its manifest, as relative paths with slashes, sorted.

    Links count as names but are never followed, so a check cannot be led out of the folder.
    """
    found = []
    for place, _folders, files in os.walk(folder):
        links = [name for name in _folders if (Path(place) / name).is_symlink()]
        found += [(Path(place) / name).relative_to(folder).as_posix() for name in files + links]
    return sorted(name for name in found if name != NAME)


def _is_plain(path: Path) -> bool:
    """Whether a name is a file with content of its own: no link, and nothing to wait on."""
    return path.is_file() and not path.is_symlink()


def _measure(path: Path, name: str) -> _Entry:
    """Read a file once and hash it whole and by block."""
    whole, blocks, size = hashlib.sha256(), [], 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            whole.update(block)
            blocks.append(hashlib.sha256(block).hexdigest())
            size += len(block)
    return _Entry(name, size, whole.hexdigest(), tuple(blocks))


def _dump(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _render(entries: Iterable[_Entry], extra: Mapping[str, JSON]) -> bytes:
    """Write the manifest's one canonical text: a line per file and per extra key, then the seal."""
    files = ",\n".join(
        _dump({"path": e.path, "size": e.size, "sha256": e.sha256, "blocks": e.blocks})
        for e in entries
    )
    rest = ",\n".join(f"{_dump(key)}:{_dump(extra[key])}" for key in sorted(extra))
    body = (
        f'{{\n"format": {FORMAT},\n"block_bytes": {BLOCK},\n'
        f'"files": [\n{files}\n],\n"extra": {{\n{rest}\n}},'
    ).encode()
    marks = " ".join(f"{crc32(line):08x}" for line in body.split(b"\n"))
    seal = f'\n"line_crc32": "{marks}",\n"sha256": "{hashlib.sha256(body).hexdigest()}"\n}}\n'
    return body + seal.encode()


def write_manifest(folder: Path, extra: Mapping[str, JSON]) -> str:
    """Write `manifest.json` over everything in a folder; write it last.

    Args:
        folder: the finished folder.
        extra: what else the manifest should hold, such as the run's digest; floats finite.

    Returns:
        The manifest's own sha256, hexadecimal.

    Raises:
        OSError: a file cannot be read, or the manifest cannot be written.
        ValueError: something in `extra` is NaN or infinite.
    """
    names = [name for name in _names(folder) if _is_plain(folder / name)]
    data = _render([_measure(folder / name, name) for name in names], extra)
    replace_file(folder / NAME, data)
    seal = _SEAL.search(data)
    assert seal is not None, "the seal just written does not read back"
    return seal.group(2).decode()


def _check_seal(data: bytes, where: str) -> Problem | None:
    """Check the manifest against its own seal; the problem names the line and its bytes."""
    seal = _SEAL.search(data)
    if seal is None:
        start = max(data.rfind(b'"line_crc32') - 1, data.rfind(b"\n]"), 0)
        found = f"bytes {start} to {len(data)}"
        return Problem(
            where, "", found, "the seal at the end of the manifest is damaged or missing"
        )
    body = data[: seal.start()]
    whole = hashlib.sha256(body).hexdigest().encode() == seal.group(2)
    marks = seal.group(1).split(b" ")
    lines = body.split(b"\n")
    start = 0
    for number in range(max(len(lines), len(marks))):
        line = lines[number] if number < len(lines) else b""
        if number >= min(len(lines), len(marks)) or b"%08x" % crc32(line) != marks[number]:
            break
        start += len(line) + 1
    else:
        if whole:
            return None
        line_number, start, end = len(lines) + 2, seal.start(2), seal.end(2)
        why = "the manifest's own sha256 is damaged"
        return Problem(where, f"line {line_number}", f"bytes {start} to {end}", why)
    if whole:
        start = seal.start(1) + 9 * number
        why = f"the manifest's checksum of its line {number + 1} is damaged, that line is sound"
        return Problem(where, f"line {len(lines) + 1}", f"bytes {start} to {start + 8}", why)
    found = f"bytes {start} to {start + len(line)}"
    return Problem(where, f"line {number + 1}", found, "this line of the manifest is damaged")


def read_manifest(folder: Path) -> Mapping[str, Any]:
    """Read a manifest whose seal holds; keys `format`, `block_bytes`, `files`, `extra`, `sha256`.

    Raises:
        OSError: there is none, or it cannot be read.
        ValueError: it is damaged; `check_manifest` says where.
    """
    data = (folder / NAME).read_bytes()
    problem = _check_seal(data, str(folder / NAME))
    if problem is not None:
        raise ValueError(str(problem))
    content: dict[str, Any] = json.loads(data)
    if content.get("format") != FORMAT:
        raise ValueError(f"{folder / NAME}: form {content.get('format')!r} is not known here")
    return content


def _check_file(path: Path, was: _Entry) -> list[Problem]:
    """Compare a file with what it was; damaged blocks that touch are told as one range."""
    try:
        now = _measure(path, was.path)
    except OSError as error:
        return [Problem(str(path), "", "", f"cannot be read: {error.strerror}")]
    problems = []
    if now.size != was.size:
        why = f"the file has {now.size} bytes; it had {was.size} when the run was finished"
        problems.append(Problem(str(path), "", f"{now.size} bytes", why))
    size = min(now.size, was.size)
    bad = [
        block
        for block, (a, b) in enumerate(zip(now.blocks, was.blocks, strict=False))
        # the last block both have is cut differently where the sizes differ: no second complaint
        if a != b and (now.size == was.size or (block + 1) * BLOCK <= size)
    ]
    for first, last in _runs(bad):
        end = min((last + 1) * BLOCK, size)
        blocks = f"block {first}" if first == last else f"blocks {first} to {last}"
        why = f"changed since the run was finished, in {blocks} of 1 MiB"
        problems.append(Problem(str(path), "", f"bytes {first * BLOCK} to {end}", why))
    return problems


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Group sorted numbers into first and last of each unbroken run."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def check_manifest(folder: Path) -> list[Problem]:
    """Compare every file of a folder with its manifest, the manifest itself included.

    Args:
        folder: a finished folder.

    Returns:
        What is wrong, in order of name: damaged (which bytes, to the block of 1 MiB; in the
        manifest to the line), missing, extra, of another size. Empty when all is as it was.
    """
    path = folder / NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        why = "there is no manifest: the run is not finished, or this is not a run folder"
        return [Problem(str(path), "", "", why)]
    except OSError as error:
        return [Problem(str(path), "", "", f"cannot be read: {error.strerror}")]
    problem = _check_seal(data, str(path))
    if problem is not None:
        # a damaged manifest is no witness against the files
        return [problem]
    try:
        content = read_manifest(folder)
        listed = {
            e["path"]: _Entry(**{**e, "blocks": tuple(e["blocks"])}) for e in content["files"]
        }
    except (ValueError, KeyError, TypeError) as error:
        return [Problem(str(path), "", "", f"this version cannot read the manifest: {error}")]
    present = _names(folder)
    problems = []
    for name in sorted({*listed, *present}):
        if name not in listed:
            why = "was not there when the run was finished"
            problems.append(Problem(str(folder / name), "", "", why))
        elif name not in present or not _is_plain(folder / name):
            problems.append(Problem(str(folder / name), "", "", "is missing"))
        else:
            problems += _check_file(folder / name, listed[name])
    return problems
