"""Fetch public traces from where their authors publish them.

`catalogue` lists them from ``data/datasets.yaml``; `get` downloads one. A download can be broken
off at any moment and goes on where it stopped; it is put under its name only when it is whole and
its checksum is right, so a file in the data folder is always a good one. Where nobody published a
checksum, that of the first download is recorded beside the file, and said.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import importlib.resources
import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import yaml

from gigafactory.engine.errors import BadInput, Problem, refuse

#: Called with the bytes already there and the whole size (None while unknown).
Progress = Callable[[int, int | None], None]

_CHUNK = 1 << 18
_LFS_POINTER = b"version https://git-lfs"


class DownloadError(Exception):
    """A download did not come to its end. Its text is for the user: what happened, what to do."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A public trace and where it comes from.

    Attributes:
        name: how it is called on the command line.
        title: what it is, with its authors and year.
        url: where it is published.
        file: path it gets under the data folder.
        licence: licence the publisher states.
        bytes: exact size; None when nobody states it.
        about_mb: rough size in MB; None when unknown.
        sha256: published checksum; None when there is none.
        reader: what reads it.
        checked: how far the entry was verified.
        note: more about it; may be empty.
    """

    name: str
    title: str
    url: str
    file: str
    licence: str
    bytes: int | None
    about_mb: float | None
    sha256: str | None
    reader: str
    checked: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is whole and where it belongs.

    Attributes:
        path: the file.
        bytes: its size.
        sha256: its checksum.
        resumed_from: bytes that were already there from an earlier attempt.
        words: what was done, in words, the checksum among them.
    """

    path: Path
    bytes: int
    sha256: str
    resumed_from: int
    words: str


def catalogue(path: Path | None = None) -> dict[str, Dataset]:
    """Read the list of public traces, sorted by name.

    Args:
        path: another list instead of the bundled one.

    Raises:
        BadInput: every entry that lacks a key, has an unknown one, or a value of a wrong kind.
    """
    if path is None:
        source = importlib.resources.files("gigafactory.adapters") / "data" / "datasets.yaml"
        where, text = "datasets.yaml", source.read_text(encoding="utf-8")
    else:
        where, text = str(path), path.read_text(encoding="utf-8")
    problems: list[Problem] = []
    entries: dict[str, Dataset] = {}
    for name, raw in sorted(yaml.safe_load(text).items()):
        found = [Problem(where, f"{name}.{key}", "", why) for key, why in _faults(raw)]
        problems += found
        if not found:
            entries[name] = Dataset(name=name, **raw)
    if problems:
        raise BadInput(problems)
    return entries


def _faults(raw: Mapping[str, Any]) -> list[tuple[str, str]]:
    wanted = {field.name for field in fields(Dataset)} - {"name"}
    found = [(key, "is missing") for key in sorted(wanted - set(raw) - {"note"})]
    found += [(key, "is no known key") for key in sorted(set(raw) - wanted)]
    if urlsplit(str(raw.get("url", ""))).scheme not in {"http", "https"}:
        found.append(("url", "must begin with https:// or http://"))
    file = Path(str(raw.get("file", "")))
    if file.is_absolute() or ".." in file.parts or not file.name:
        found.append(("file", "must be a path inside the data folder"))
    checksum = raw.get("sha256")
    if checksum is not None and len(str(checksum)) != 64:
        found.append(("sha256", "must have 64 hexadecimal digits, or be null"))
    return found


def data_folder(environment: Mapping[str, str] | None = None) -> Path:
    """The user's data folder: GIGAFACTORY_DATA, else the XDG data folder's ``gigafactory``.

    Args:
        environment: the environment to look in; that of the process by default.
    """
    env = os.environ if environment is None else environment
    named = env.get("GIGAFACTORY_DATA", "")
    if named:
        return Path(named)
    base = env.get("XDG_DATA_HOME", "")
    home = Path(env["HOME"]) if env.get("HOME") else Path.home()
    return (Path(base) if base else home / ".local" / "share") / "gigafactory"


def get(
    name: str,
    target_dir: Path | None = None,
    *,
    url: str | None = None,
    progress: Progress | None = None,
    timeout_s: float = 30.0,
    datasets: Mapping[str, Dataset] | None = None,
) -> Fetched:
    """Download a public trace, or go on with a download that was broken off.

    Args:
        name: a name of the catalogue.
        target_dir: data folder; `data_folder` by default.
        url: another place to fetch the same file from (a mirror); its checksum must be the same.
        progress: told the bytes so far and the whole size.
        timeout_s: how long to wait for the server, s.
        datasets: another catalogue.

    Returns:
        Where the file is, its checksum and what was done.

    Raises:
        BadInput: unknown name, or an address that is neither http nor https.
        DownloadError: network trouble, a full disk, a wrong size or checksum; in plain words. What
            can be resumed is kept, what is wrong is not.
    """
    known = catalogue() if datasets is None else datasets
    if name not in known:
        why = f"is no known dataset; known are: {', '.join(sorted(known))}"
        raise refuse("data get", "name", name, why)
    dataset = known[name]
    address = dataset.url if url is None else url
    if urlsplit(address).scheme not in {"http", "https"}:
        raise refuse("data get", "url", address, "must begin with https:// or http://")
    target = (data_folder() if target_dir is None else target_dir) / dataset.file
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        there = _already(target, dataset)
        if there is not None:
            return there
        return _fetch(dataset, address, target, progress, timeout_s)
    except OSError as error:
        raise _told(error, target) from error


def _already(target: Path, dataset: Dataset) -> Fetched | None:
    """The file, if a good one is there; nothing if there is none."""
    if not target.is_file():
        return None
    checksum = _sha256(target)
    expected = dataset.sha256 or _recorded(target)
    if expected is not None and checksum != expected:
        raise DownloadError(
            f"{target} is there, but its checksum is {checksum[:16]}... instead of "
            f"{expected[:16]}...; it was changed or damaged. Move it away and fetch it again."
        )
    words = "already there" + ("" if expected else ", no checksum to compare it with")
    return Fetched(target, target.stat().st_size, checksum, target.stat().st_size, words)


def _fetch(
    dataset: Dataset, url: str, target: Path, progress: Progress | None, timeout_s: float
) -> Fetched:
    part = target.with_name(f".{target.name}.part")
    marks = target.with_name(f".{target.name}.part.json")
    resumed_from = part.stat().st_size if part.is_file() and marks.is_file() else 0
    while True:  # as long as each attempt brings the end nearer
        before = part.stat().st_size if part.is_file() else 0
        try:
            _receive(dataset, url, part, marks, progress, timeout_s)
            break
        except (
            http.client.HTTPException,
            urllib.error.URLError,
            ConnectionError,
            TimeoutError,
        ) as e:
            gained = (part.stat().st_size if part.is_file() else 0) > before
            if isinstance(e, urllib.error.HTTPError) or not gained:
                raise _no_network(e, url, part) from e
    with part.open("rb") as file:
        head = file.read(len(_LFS_POINTER))
    checksum, size = _sha256(part), part.stat().st_size
    wrong = _wrong(dataset, head, checksum, size)
    if wrong:
        part.unlink()
        marks.unlink(missing_ok=True)
        raise DownloadError(f"{url}: {wrong} Nothing was kept.")
    part.replace(target)
    marks.unlink(missing_ok=True)
    if dataset.sha256:
        words = f"checksum {checksum} as published"
    else:
        target.with_name(target.name + ".sha256").write_text(f"{checksum}  {target.name}\n")
        words = f"no checksum is published; that of this download is recorded: {checksum}"
    return Fetched(target, size, checksum, resumed_from, words)


def _wrong(dataset: Dataset, head: bytes, checksum: str, size: int) -> str:
    """What is wrong with a download that came to its end; empty when nothing is."""
    if head == _LFS_POINTER:
        return "the server gave a Git LFS pointer instead of the file."
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "the server gave a web page instead of the file."
    if dataset.bytes is not None and size != dataset.bytes:
        return f"the file has {size} bytes instead of {dataset.bytes}."
    if dataset.sha256 is not None and checksum != dataset.sha256:
        return f"the checksum is {checksum} instead of {dataset.sha256}."
    return ""


def _receive(
    dataset: Dataset,
    url: str,
    part: Path,
    marks: Path,
    progress: Progress | None,
    timeout_s: float,
) -> None:
    """One request: from where the part ends if the server's file is still the same, else anew."""
    mark = _mark(marks, url)
    # Without a mark of the server's, only a published checksum can tell that the halves fit.
    may_go_on = bool(mark) or (mark is not None and dataset.sha256 is not None)
    have = part.stat().st_size if part.is_file() and may_go_on else 0
    if dataset.bytes is not None and have == dataset.bytes:
        return
    request = urllib.request.Request(url, headers={"User-Agent": "gigafactory"})  # noqa: S310
    if have:
        request.add_header("Range", f"bytes={have}-")
    if have and mark:
        request.add_header("If-Range", mark)
    try:
        answer = urllib.request.urlopen(request, timeout=timeout_s)  # noqa: S310  (http(s) only)
    except urllib.error.HTTPError as error:
        with error:
            if error.code != 416 or not have:
                raise
            whole = str(error.headers.get("Content-Range", "")).rpartition("/")[2]
        if whole == str(have):
            return  # all of it was there already
        part.unlink()
        raise ConnectionError("the part kept does not fit the server's file") from None
    with answer:
        going_on = answer.status == 206 and _begins_at(answer, have)
        if not going_on:
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        marks.write_text(json.dumps({"url": url, "mark": _validator(answer)}))
        _enough_room(part, (total or dataset.bytes or 0) - have)
        with part.open("ab" if going_on else "wb") as file:
            _copy(answer, file, have, total, progress)
    if total is not None and part.stat().st_size < total:
        raise http.client.IncompleteRead(b"")


def _copy(
    answer: IO[bytes], file: IO[bytes], have: int, total: int | None, progress: Progress | None
) -> None:
    while True:
        chunk = answer.read(_CHUNK)
        if not chunk:
            break
        file.write(chunk)
        have += len(chunk)
        if progress is not None:
            progress(have, total)
    file.flush()
    os.fsync(file.fileno())


def _begins_at(answer: http.client.HTTPResponse, have: int) -> bool:
    return str(answer.headers.get("Content-Range", "")).startswith(f"bytes {have}-")


def _validator(answer: http.client.HTTPResponse) -> str:
    """What tells whether the server's file is still the same; empty when it gives nothing."""
    tag = str(answer.headers.get("ETag", ""))
    return tag if tag and not tag.startswith("W/") else str(answer.headers.get("Last-Modified", ""))


def _mark(marks: Path, url: str) -> str | None:
    """The server's mark of the file the part belongs to; None when it is of another address."""
    try:
        kept = json.loads(marks.read_text())
        return str(kept["mark"]) if kept["url"] == url else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _recorded(target: Path) -> str | None:
    try:
        words = target.with_name(target.name + ".sha256").read_text().split()
    except OSError:
        return None
    return words[0] if words else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _enough_room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise DownloadError(
            f"{part.parent}: {needed / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free. "
            "Make room, or name another folder."
        )


def _no_network(error: Exception, url: str, part: Path) -> DownloadError:
    if isinstance(error, urllib.error.HTTPError):
        return DownloadError(f"{url}: the server answers {error.code} ({error.reason}).")
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    what = "the connection broke off" if not str(reason) else f"no connection ({reason})"
    if isinstance(error, http.client.IncompleteRead):
        what = "the connection broke off"
    have = part.stat().st_size if part.is_file() else 0
    kept = f" {have / 1e6:.1f} MB are kept; the same command goes on from there." if have else ""
    return DownloadError(f"{url}: {what}.{kept}")


def _told(error: OSError, target: Path) -> DownloadError:
    if error.errno == errno.ENOSPC:
        why = "the disk is full; make room, and the same command goes on from there"
    elif error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        why = "may not be written; name another folder"
    else:
        why = error.strerror or str(error)
    return DownloadError(f"{target}: {why}.")
