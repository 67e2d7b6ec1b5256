"""The journal: what was meant and what happened, in order, in one append-only file.

::

    file   = mark (16 bytes) frame frame frame ...
    frame  = magic, flags, stored length, raw length, checksum of the stored bytes   5 x u32
             chain hash before this frame                                           32 bytes
             checksum of the 52 bytes above                                             u32
             stored bytes: the record, compressed when that is worthwhile
    record = canonical JSON header, newline, the arrays' bytes in sorted name order
    head   = sha256(chain hash before + record); the first one is sha256(mark)

The chain runs over the uncompressed records, so the head after the last frame is the digest of the
run whatever the compressor's version. The checksums find damage; the chain proves that no frame was
dropped, doubled or moved. Without an outside anchor this detects damage, it does not prove that
nobody rewrote the whole file.

Knows frames and bytes, and nothing of what a kind of frame means.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, BinaryIO, Final, NamedTuple, TypeAlias
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gigafactory.engine.errors import BadInput, Problem

JSON: TypeAlias = (
    "bool | int | float | str | list[JSON] | tuple[JSON, ...] | Mapping[str, JSON] | None"
)
Array: TypeAlias = npt.NDArray[Any]

MARK: Final = b"GFJOURNAL v1\r\n\x1a\n"  # the line ends show a file mangled by a text-mode copy
GENESIS: Final = hashlib.sha256(MARK).digest()
MAGIC: Final = 0x4D465247  # b"GRFM" when read as bytes
COMPRESSED: Final = 1
MAX_RECORD: Final = 1 << 30

_FIELDS = struct.Struct("<5I32s")
_CHECK = struct.Struct("<I")
HEADER_SIZE: Final = _FIELDS.size + _CHECK.size

_WORTHWHILE = 512  # below this a compressor's own frame and call cost more than they save
_BUFFER = 1 << 20
_NO_ARRAYS: Mapping[str, Array] = MappingProxyType({})

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def _codec() -> Any:
    """The compressor: its fastest level, since numbers of one period gain little from a higher."""
    return pa.Codec("zstd", compression_level=1)


class Damaged(Exception):  # noqa: N818  (the name says what the file is)
    """A journal (or another checked file) is not what was written.

    Attributes:
        path: the file.
        frame: index of the first frame that is wrong, counted from 0; -1 for the file's own mark.
        offset: byte offset at which that frame begins.
        why: what is wrong with it, in plain words.
    """

    def __init__(self, path: Path, frame: int, offset: int, why: str) -> None:
        self.path, self.frame, self.offset, self.why = Path(path), frame, offset, why
        place = f"frame {frame} at byte {offset}" if frame >= 0 else f"byte {offset}"
        super().__init__(f"{path}: {place}: {why}")


class InUse(BadInput):
    """Another process is writing the journal."""

    def __init__(self, path: Path) -> None:
        why = "another process is writing this run; wait for it or stop it"
        super().__init__([Problem(str(path), "", "", why)])


@dataclass(frozen=True, slots=True)
class Frame:
    """One entry of the journal, checked.

    Attributes:
        index: its number, counted from 0.
        offset: byte offset in the file at which it begins.
        kind: what it is, as a word.
        tick_ns: the instant of the loop it belongs to, ns UTC.
        fields: its plain values.
        arrays: its arrays, read-only, little-endian, in sorted name order.
        head: the chain hash after it, hexadecimal.
    """

    index: int
    offset: int
    kind: str
    tick_ns: int
    fields: Mapping[str, Any]
    arrays: Mapping[str, Array]
    head: str


class Recovered(NamedTuple):
    """How far a journal is good.

    Attributes:
        position: byte offset after the last good frame; cut the file here.
        head: the chain hash there, hexadecimal.
        frames: number of good frames.
        torn_bytes: bytes after `position`, left by a write that was broken off.
    """

    position: int
    head: str
    frames: int
    torn_bytes: int


# --- records ---------------------------------------------------------------------------------


def _check_keys(value: JSON, where: str) -> None:
    """Refuse keys that are not text: JSON would turn 1 into "1" and read back another mapping."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{where}: the key {key!r} is not text")
            if isinstance(item, (dict, list, tuple)):
                _check_keys(item, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for item in value:
            if isinstance(item, (dict, list, tuple)):
                _check_keys(item, where)


@lru_cache(maxsize=4096)
def _stored_as(kind: str, name: str, dtype: np.dtype[Any]) -> tuple[np.dtype[Any], str]:
    """The type in which an array is stored, and the beginning of its layout in a header.

    Raises:
        TypeError: the array is not of numbers.
    """
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise TypeError(f"{kind}: array {name!r} holds {dtype}, not numbers of up to 8 bytes")
    if dtype.str[0] == ">":
        dtype = dtype.newbyteorder("<")
    return dtype, f"[{_encode(name)},{_encode(dtype.str)}"


def record_of(
    kind: str, tick_ns: int, fields: Mapping[str, JSON], arrays: Mapping[str, Array] = _NO_ARRAYS
) -> bytes:
    """Write the canonical record of an entry: the bytes the chain hash is taken over.

    Args:
        kind: what the entry is.
        tick_ns: instant, ns UTC.
        fields: JSON values; floats must be finite, keys must be text.
        arrays: booleans, integers or floats up to 8 bytes wide, any shape. NaN is allowed in
            arrays (it stands for "no value") and kept bit for bit.

    Returns:
        The header as canonical JSON, a newline, and the arrays' little-endian bytes.

    Raises:
        ValueError: a field is NaN or infinite.
        TypeError: a value is not JSON, or an array is not of numbers.
    """
    _check_keys(fields, kind)
    layout: list[str] = []
    parts: list[bytes] = [b""]
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        dtype, named = _stored_as(kind, name, array.dtype)
        if dtype != array.dtype:
            array = array.astype(dtype)
        layout.append(f"{named},[{','.join(map(str, array.shape))}]]")
        parts.append(array.tobytes())
    try:
        told = _encode({"fields": dict(fields), "kind": kind, "tick": int(tick_ns)})
        # the layout goes before it, as a key of its own; in one piece it would take twice the time
        parts[0] = f'{{"arrays":[{",".join(layout)}],{told[1:]}\n'.encode()
    except ValueError as error:
        raise ValueError(f"{kind}: a field cannot be written ({error})") from error
    except TypeError as error:
        raise TypeError(f"{kind}: a field is not a plain value ({error})") from error
    record = b"".join(parts)
    if len(record) > MAX_RECORD:
        raise ValueError(f"{kind}: {len(record)} bytes is too much for one frame; split the entry")
    return record


def _read_record(record: bytes) -> tuple[str, int, dict[str, Any], dict[str, Array]]:
    """Take a canonical record apart; any exception means that it is not one."""
    end = record.index(b"\n")
    header = json.loads(record[:end])
    arrays: dict[str, Array] = {}
    at = end + 1
    for name, code, shape in header["arrays"]:
        dtype = np.dtype(code)
        count = 1
        for size in shape:
            count *= size
        # a copy, because bytes after a header of any length are not aligned for compiled code
        array = np.frombuffer(record, dtype, count, at).copy().reshape(shape)
        array.flags.writeable = False
        arrays[name] = array
        at += count * dtype.itemsize
    if at != len(record):
        raise ValueError("bytes left over")
    return header["kind"], header["tick"], header["fields"], arrays


# --- writing ---------------------------------------------------------------------------------


class Journal:
    """The writer: one process, append only, buffered until `sync`.

    Made by `Journal.create` or `Journal.resume`. Nothing is promised to survive a crash until
    `sync` has returned. After a failed write (a full disk) the journal takes no more entries; what
    reached the disk stays a valid prefix once `recover` has found its end.

    Attributes:
        path: the file.
        position: byte offset after the last appended frame.
        count: number of frames.
    """

    def __init__(self, path: Path, fd: int, position: int, head: bytes, count: int) -> None:
        self.path, self.position, self.count = path, position, count
        self._fd, self._head = fd, head
        self._buffer = bytearray()
        self._codec = _codec()
        self._failed = False

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> Journal:
        """Start a new journal.

        Args:
            path: the file; must not exist.

        Raises:
            FileExistsError: it exists.
            OSError: it cannot be written.
        """
        where = Path(path)
        fd = os.open(where, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            _lock(fd, where)
            _write_all(fd, MARK)
            os.fsync(fd)
            sync_folder(where.parent)
        except BaseException:
            os.close(fd)
            raise
        return cls(where, fd, len(MARK), GENESIS, 0)

    @classmethod
    def resume(cls, path: str | os.PathLike[str], position: int, head: str) -> Journal:
        """Continue a journal from a checkpoint, or from where `recover` says it is good.

        Whatever lies after `position` is cut: the run is about to write it again.

        Args:
            path: the file.
            position: byte offset of the end of a frame (or of the mark, for an empty journal).
            head: the chain hash at that offset, hexadecimal.

        Raises:
            Damaged: the file is shorter, the offset is not the end of a frame, or the frame that
                ends there does not give this head. Nothing is cut then.
            InUse: another process is writing this journal.
            OSError: the file cannot be opened or written.
        """
        where = Path(path)
        with _locked(where) as fd:
            count = _count_to(where, position, head)
            _cut(fd, position)
        return cls(where, fd, position, bytes.fromhex(head), count)

    @classmethod
    def reopen(cls, path: str | os.PathLike[str]) -> tuple[Journal, Recovered]:
        """Continue a journal where it is good, and say where that was; a torn end is cut.

        What is good is looked for once nobody else can write: a process that let go a moment ago
        may have written more than was there when it was looked at before.

        Args:
            path: the file.

        Raises:
            Damaged: the damage lies in the middle, or the file is no journal.
            InUse: another process is writing this journal.
            OSError: the file cannot be opened or written.
        """
        where = Path(path)
        with _locked(where) as fd:
            found = recover(where)
            _cut(fd, found.position)
        return cls(where, fd, found.position, bytes.fromhex(found.head), found.frames), found

    @property
    def head(self) -> str:
        """The chain hash after the last appended frame, hexadecimal: the digest so far."""
        return self._head.hex()

    def append(
        self,
        kind: str,
        tick_ns: int,
        fields: Mapping[str, JSON],
        arrays: Mapping[str, Array] = _NO_ARRAYS,
    ) -> None:
        """Add one entry.

        Args:
            kind: what the entry is.
            tick_ns: instant of the loop, ns UTC.
            fields: JSON values; floats finite, keys text.
            arrays: numbers, any shape.

        Raises:
            ValueError: a field is NaN or infinite; nothing is added.
            TypeError: something is not a plain value; nothing is added.
            OSError: the disk is full or gone.
        """
        assert not self._failed, f"{self.path}: an earlier write failed; resume the run instead"
        assert self._fd >= 0, f"{self.path}: the journal is closed"
        record = record_of(kind, tick_ns, fields, arrays)
        stored, flags = record, 0
        if len(record) >= _WORTHWHILE:
            packed = self._codec.compress(record, asbytes=True)
            if len(packed) < len(record):
                stored, flags = packed, COMPRESSED
        header = _FIELDS.pack(MAGIC, flags, len(stored), len(record), crc32(stored), self._head)
        buffer = self._buffer
        buffer += header
        buffer += _CHECK.pack(crc32(header))
        buffer += stored
        self._head = hashlib.sha256(self._head + record).digest()
        self.position += HEADER_SIZE + len(stored)
        self.count += 1
        if len(buffer) >= _BUFFER:
            self._flush()

    def _flush(self) -> None:
        """Hand the buffer to the operating system; after a failure take no more entries."""
        try:
            _write_all(self._fd, self._buffer)
        except OSError:
            self._failed = True
            raise
        self._buffer.clear()

    def sync(self) -> None:
        """Put everything appended so far on the disk; on return it survives a crash.

        Raises:
            OSError: the disk is full or gone; the journal takes no more entries.
        """
        self._flush()
        try:
            os.fsync(self._fd)
        except OSError:
            self._failed = True  # the kernel drops unwritten pages after a failed sync: ask no more
            raise

    def close(self) -> None:
        """Sync and close; after a failed write only close. Closing twice does nothing."""
        if self._fd < 0:
            return
        try:
            if not self._failed:
                self.sync()
        finally:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _write_all(fd: int, data: bytes | bytearray) -> None:
    """Write every byte; a short write (a disk filling up) is followed by the error itself."""
    left = memoryview(data)
    try:
        while left:
            done = os.write(fd, left)
            left = left[done:]
    finally:
        left.release()


def _lock(fd: int, path: Path) -> None:
    """Take the file for this process: two writers would tear each other's chain."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InUse(path) from None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """An existing journal, open and taken for this process; stays open where all goes well."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        _lock(fd, path)
        yield fd
    except BaseException:
        os.close(fd)
        raise


def _cut(fd: int, position: int) -> None:
    """Let a journal end there, and write on from there."""
    os.ftruncate(fd, position)
    os.lseek(fd, position, os.SEEK_SET)
    os.fsync(fd)


def sync_folder(folder: Path) -> None:
    """Put a folder's list of names on the disk, so that a new or renamed file survives a crash."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


# --- reading ---------------------------------------------------------------------------------


class _Torn(Damaged):
    """The file ends inside a frame; damage for a reader, an ordinary crash for `recover`."""


def _check_mark(path: Path, file: BinaryIO) -> None:
    mark = file.read(len(MARK))
    if mark != MARK:
        why = "this is not a gigafactory journal, or its first bytes are damaged"
        if len(mark) < len(MARK) and MARK.startswith(mark):
            why = "the file ends before its first frame; start the run again"
        raise Damaged(path, -1, 0, why)


def _header(path: Path, data: bytes, index: int, offset: int) -> tuple[int, int, int, int, bytes]:
    """Read a frame's header: flags, stored length, raw length, checksum, chain hash before it."""
    if len(data) < HEADER_SIZE:
        raise _Torn(path, index, offset, "the file ends inside this frame's header")
    if crc32(data[: _FIELDS.size]) != _CHECK.unpack_from(data, _FIELDS.size)[0]:
        raise Damaged(path, index, offset, "the frame's header is damaged (its checksum differs)")
    magic, flags, stored, raw, checksum, before = _FIELDS.unpack_from(data)
    if magic != MAGIC or flags & ~COMPRESSED or raw > MAX_RECORD or stored > MAX_RECORD:
        raise Damaged(path, index, offset, "the frame is of a form this version does not know")
    return flags, stored, raw, checksum, before


def _record(
    path: Path, file: BinaryIO, index: int, offset: int, before: bytes, codec: Any
) -> tuple[bytes, int]:
    """Read and check the frame the file stands at; its record and its size on disk.

    Raises `EOFError` where the file ends neatly.
    """
    data = file.read(HEADER_SIZE)
    if not data:
        raise EOFError
    flags, length, raw, checksum, claimed = _header(path, data, index, offset)
    stored = file.read(length)
    if len(stored) < length:
        missing = length - len(stored)
        raise _Torn(path, index, offset, f"the file ends {missing} bytes before the frame does")
    if crc32(stored) != checksum:
        why = f"the frame's content is damaged (its checksum differs) within {length} bytes"
        raise Damaged(path, index, offset, why)
    if claimed != before:
        why = "the chain is broken here: a frame before this one was changed, dropped or moved"
        raise Damaged(path, index, offset, why)
    if not flags & COMPRESSED:
        record = stored
    else:
        try:
            record = codec.decompress(stored, decompressed_size=raw, asbytes=True)
        except (OSError, ValueError) as error:
            raise Damaged(path, index, offset, f"the frame does not decompress: {error}") from None
    if len(record) != raw:
        raise Damaged(path, index, offset, "the frame's content is not as long as its header says")
    return record, HEADER_SIZE + length


def frames(path: str | os.PathLike[str]) -> Iterator[Frame]:
    """Read a journal from the start, checking length, checksum and chain of every frame.

    Memory holds one frame at a time.

    Args:
        path: the file.

    Yields:
        The frames in order. The last one's `head` is the digest of the run.

    Raises:
        Damaged: at the first frame that is not what was written, a torn last one included.
        OSError: the file cannot be read.
    """
    where = Path(path)
    codec = _codec()
    with where.open("rb") as file:
        _check_mark(where, file)
        head, offset, index = GENESIS, len(MARK), 0
        while True:
            try:
                record, size = _record(where, file, index, offset, head, codec)
            except EOFError:
                return
            head = hashlib.sha256(head + record).digest()
            try:
                kind, tick_ns, fields, arrays = _read_record(record)
            except (ValueError, KeyError, TypeError) as error:
                why = f"the frame is intact but is not a record this version can read ({error})"
                raise Damaged(where, index, offset, why) from error
            yield Frame(index, offset, kind, tick_ns, fields, arrays, head.hex())
            offset += size
            index += 1


def recover(path: str | os.PathLike[str]) -> Recovered:
    """Find how far a journal is good after a crash. Changes nothing; `Journal.resume` cuts.

    A last frame that was broken off (or whose bytes did not all reach the disk) counts as torn.
    Damage with a whole frame somewhere behind it is not the mark of a crash, and is refused.

    Args:
        path: the file.

    Raises:
        Damaged: the damage lies in the middle, or the file is no journal.
        OSError: the file cannot be read.
    """
    where = Path(path)
    codec = _codec()
    with where.open("rb") as file:
        _check_mark(where, file)
        total = os.fstat(file.fileno()).st_size
        head, offset, index = GENESIS, len(MARK), 0
        while True:
            try:
                record, size = _record(where, file, index, offset, head, codec)
            except EOFError:
                break
            except Damaged as damage:
                if not isinstance(damage, _Torn) and _frame_after(file, offset + 1):
                    raise
                break
            head = hashlib.sha256(head + record).digest()
            offset += size
            index += 1
    return Recovered(offset, head.hex(), index, total - offset)


def _frame_after(file: BinaryIO, start: int) -> bool:
    """Whether a whole frame header stands anywhere at or after a byte offset."""
    magic = struct.pack("<I", MAGIC)
    file.seek(start)
    data = file.read()
    at = data.find(magic)
    while at >= 0:
        header = data[at : at + HEADER_SIZE]
        if len(header) == HEADER_SIZE and (
            crc32(header[: _FIELDS.size]) == _CHECK.unpack_from(header, _FIELDS.size)[0]
        ):
            return True
        at = data.find(magic, at + 1)
    return False


def _count_to(path: Path, position: int, head: str) -> int:
    """Count the frames before a checkpoint and prove that its head belongs to its position.

    Walks from header to header and reads only the last frame's content, so a year is checked in a
    fraction of a second; the full check is `frames`.
    """
    with path.open("rb") as file:
        _check_mark(path, file)
        offset, index, before, last = len(MARK), 0, GENESIS, len(MARK)
        while offset < position:
            file.seek(offset)
            _, length, _, _, before = _header(path, file.read(HEADER_SIZE), index, offset)
            last, offset, index = offset, offset + HEADER_SIZE + length, index + 1
        if offset != position:
            raise Damaged(path, index, offset, f"no frame ends at the checkpoint's byte {position}")
        found = GENESIS
        if index:
            file.seek(last)
            record, _ = _record(path, file, index - 1, last, before, _codec())
            found = hashlib.sha256(before + record).digest()
    if found.hex() != head:
        why = "the journal up to the checkpoint is not the one the checkpoint was made with"
        raise Damaged(path, index, position, why)
    return index
