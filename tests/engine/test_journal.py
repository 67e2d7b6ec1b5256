"""The journal: what goes in comes out, damage is found and placed, a crash costs nothing synced."""

from __future__ import annotations

import hashlib
import json
import random
import re
import resource
import signal
import subprocess
import sys
import textwrap
import time
from itertools import pairwise
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.engine.journal import (
    GENESIS,
    HEADER_SIZE,
    MARK,
    Damaged,
    Journal,
    frames,
    record_of,
    recover,
)

QUICK = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=12)
)
KEY = st.text(max_size=6)
FIELDS = st.dictionaries(
    KEY,
    st.recursive(
        LEAF, lambda s: st.lists(s, max_size=3) | st.dictionaries(KEY, s, max_size=3), max_leaves=6
    ),
    max_size=4,
)
DTYPE = (
    hnp.boolean_dtypes()
    | hnp.integer_dtypes(endianness="?")
    | hnp.unsigned_integer_dtypes(endianness="?")
    | hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64))
)
ARRAYS = st.dictionaries(
    KEY,
    hnp.arrays(DTYPE, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)),
    max_size=3,
)
ENTRY = st.tuples(st.text(min_size=1, max_size=8), st.integers(-(2**63), 2**63 - 1), FIELDS, ARRAYS)


def some(path: Path, count: int = 6) -> Journal:
    """A closed journal with small and large frames, compressed and plain."""
    journal = Journal.create(path)
    for i in range(count):
        arrays = {"a": np.arange(i * 40, dtype=np.int64), "b": np.full(i * 3, 0.1)}
        journal.append("tick" if i % 2 else "plan", i * 900, {"i": i, "why": "x" * i}, arrays)
    journal.close()
    return journal


@QUICK
@given(st.lists(ENTRY, max_size=4))
def test_what_goes_in_comes_out(tmp_path_factory: pytest.TempPathFactory, entries: list) -> None:
    path = tmp_path_factory.mktemp("j") / "journal.gfj"
    with Journal.create(path) as journal:
        for entry in entries:
            journal.append(*entry)
    read = list(frames(path))
    assert len(read) == len(entries) == journal.count
    for frame, (kind, tick, fields, arrays) in zip(read, entries, strict=True):
        assert (frame.kind, frame.tick_ns) == (kind, tick)
        assert json.dumps(frame.fields, sort_keys=True) == json.dumps(fields, sort_keys=True)
        assert list(frame.arrays) == sorted(arrays)
        for name, array in arrays.items():
            found = frame.arrays[name]
            assert found.dtype == array.dtype.newbyteorder("<")
            assert found.shape == array.shape
            assert found.flags.aligned
            assert not found.flags.writeable
            assert found.tobytes() == array.astype(found.dtype).tobytes()
    assert journal.head == (read[-1].head if read else GENESIS.hex())
    assert journal.position == path.stat().st_size


def test_the_chain_is_the_documented_one(tmp_path: Path) -> None:
    """Recomputed here with nothing but hashlib and json, as the format's page says."""
    path = tmp_path / "j"
    values = np.array([[1.5, -0.0], [2.0, 1e300]])
    with Journal.create(path) as journal:
        journal.append(
            "plan", 7, {"b": 0.1, "a": [True, None, "é"]}, {"z": values, "m": np.int8([3])}
        )
    layout = [["m", "|i1", [1]], ["z", "<f8", [2, 2]]]
    header = {
        "arrays": layout,
        "fields": {"a": [True, None, "é"], "b": 0.1},
        "kind": "plan",
        "tick": 7,
    }
    record = json.dumps(header, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    record += b"\x03" + values.astype("<f8").tobytes()
    head = hashlib.sha256(hashlib.sha256(b"GFJOURNAL v1\r\n\x1a\n").digest() + record).hexdigest()
    assert journal.head == head


def test_a_header_is_canonical_json_whatever_arrays_are_called() -> None:
    arrays = {
        'a "b"\\': np.arange(6, dtype=np.int64).reshape(2, 3),
        "é": np.array(1.5),
        "none": np.zeros((0, 4), np.int8),
        "turned": np.arange(3, dtype=">u4"),
    }
    for fields in ({}, {"z": [1, None], "a": {"ß": 0.1}}):
        header, _, rest = record_of("kind", 7, fields, arrays).partition(b"\n")
        layout = [
            [n, arrays[n].dtype.newbyteorder("<").str, arrays[n].shape] for n in sorted(arrays)
        ]
        wanted = {"arrays": layout, "fields": fields, "kind": "kind", "tick": 7}
        assert header.decode() == json.dumps(wanted, sort_keys=True, separators=(",", ":"))
        assert rest == b"".join(
            arrays[n].astype(arrays[n].dtype.newbyteorder("<")).tobytes() for n in sorted(arrays)
        )


def test_the_reader_on_the_format_s_page_gets_the_digest(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "journal-format.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    room: dict = {}
    exec(code, room)
    journal = some(tmp_path / "j")
    assert room["head_of"](str(tmp_path / "j")) == journal.head


def test_array_layout_in_memory_does_not_change_the_digest(tmp_path: Path) -> None:
    table = np.arange(12.0).reshape(3, 4)
    assert record_of("k", 0, {}, {"a": table}) == record_of(
        "k", 0, {}, {"a": np.asfortranarray(table)}
    )
    assert record_of("k", 0, {}, {"a": table}) == record_of("k", 0, {}, {"a": table.astype(">f8")})
    assert record_of("k", 0, {"x": 1, "y": 2}) == record_of("k", 0, {"y": 2, "x": 1})


@QUICK
@given(st.data())
def test_any_flipped_byte_is_found(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("j") / "journal.gfj"
    some(path)
    offsets = [frame.offset for frame in frames(path)]
    sound = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(sound) - 1))
    sound[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(sound)
    with pytest.raises(Damaged) as caught:
        list(frames(path))
    if at < len(MARK):
        assert caught.value.frame == -1
    else:
        hit = max(i for i, offset in enumerate(offsets) if offset <= at)
        assert (caught.value.frame, caught.value.offset) == (hit, offsets[hit])


def test_every_single_byte_of_a_small_journal_is_guarded(tmp_path: Path) -> None:
    path = tmp_path / "j"
    some(path, 3)
    sound = path.read_bytes()
    for at in range(len(sound)):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        with pytest.raises(Damaged):
            list(frames(path))


def test_dropped_doubled_and_moved_frames_break_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "j"
    some(path, 4)
    data = path.read_bytes()
    edges = [*(frame.offset for frame in frames(path)), len(data)]
    mark, *parts = [data[: edges[0]]] + [data[a:b] for a, b in pairwise(edges)]
    for order, first in (((0, 2, 3), 1), ((0, 1, 1, 2, 3), 2), ((0, 2, 1, 3), 1), ((1, 2, 3), 0)):
        path.write_bytes(mark + b"".join(parts[i] for i in order))
        with pytest.raises(Damaged, match="chain is broken") as caught:
            list(frames(path))
        assert caught.value.frame == first


def test_a_torn_last_frame_is_found_and_cut_wherever_it_tore(tmp_path: Path) -> None:
    path = tmp_path / "j"
    some(path, 4)
    data = path.read_bytes()
    read = list(frames(path))
    last = read[-1].offset
    for end in range(last + 1, len(data)):
        path.write_bytes(data[:end])
        position, head, count, torn = recover(path)
        assert (position, head, count, torn) == (last, read[-2].head, 3, end - last)
        with pytest.raises(Damaged, match="ends"):
            list(frames(path))
    with Journal.resume(path, position, head) as journal:
        journal.append("plan", 1, {})
        assert journal.count == 4
    assert [f.kind for f in frames(path)] == ["plan", "tick", "plan", "plan"]


def test_a_last_frame_whose_pages_never_reached_the_disk_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "j"
    some(path, 4)
    data = path.read_bytes()
    last = list(frames(path))[-1].offset
    path.write_bytes(data[:last] + bytes(len(data) - last + 4096))
    assert recover(path)[0] == last
    path.write_bytes(data[: last + HEADER_SIZE] + bytes(len(data) - last - HEADER_SIZE))
    assert recover(path)[0] == last


def test_recover_refuses_damage_in_the_middle(tmp_path: Path) -> None:
    """Cutting there would throw away sound frames behind it: that is no crash but a bad disk."""
    path = tmp_path / "j"
    some(path, 5)
    data = bytearray(path.read_bytes())
    for inside in (8, HEADER_SIZE + 3):  # in the length, in the content
        broken = bytearray(data)
        broken[list(frames(path))[2].offset + inside] ^= 0x40
        hurt = tmp_path / f"hurt{inside}"
        hurt.write_bytes(broken)
        with pytest.raises(Damaged) as caught:
            recover(hurt)
        assert caught.value.frame == 2


def test_a_resumed_journal_has_the_bytes_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    some(whole)
    read = list(frames(whole))
    for stop in range(len(read) + 1):
        cut.write_bytes(whole.read_bytes())
        position = read[stop].offset if stop < len(read) else whole.stat().st_size
        head = read[stop - 1].head if stop else GENESIS.hex()
        with Journal.resume(cut, position, head) as journal:
            assert (journal.position, journal.head, journal.count) == (position, head, stop)
            for frame in read[stop:]:
                journal.append(frame.kind, frame.tick_ns, frame.fields, frame.arrays)
        assert cut.read_bytes() == whole.read_bytes()


def test_resume_refuses_a_checkpoint_of_another_journal_and_cuts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j"
    some(path)
    read = list(frames(path))
    data = path.read_bytes()
    for position, head, why in (
        (read[3].offset, read[3].head, "not the one the checkpoint was made with"),
        (read[3].offset + 1, read[2].head, "no frame ends"),
        (len(data) + 10, read[-1].head, "the file ends"),
        (len(MARK), read[0].head, "not the one"),
    ):
        with pytest.raises(Damaged, match=why):
            Journal.resume(path, position, head)
        assert path.read_bytes() == data


def test_two_writers_are_refused_and_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal.create(path) as journal:
        journal.append("a", 0, {})
        journal.sync()
        with pytest.raises(BadInput, match="another process is writing"):
            Journal.resume(path, journal.position, journal.head)
        with pytest.raises(FileExistsError):
            Journal.create(path)
    assert len(list(frames(path))) == 1


@pytest.mark.parametrize(
    ("fields", "arrays", "error"),
    [
        ({"x": float("nan")}, {}, ValueError),
        ({"x": [float("inf")]}, {}, ValueError),
        ({"x": {1: "a"}}, {}, TypeError),
        ({"x": [[{None: 1}]]}, {}, TypeError),
        ({"x": np.arange(2)}, {}, TypeError),
        ({}, {"a": np.array(["text"])}, TypeError),
        ({}, {"a": np.array([object()])}, TypeError),
        ({}, {"a": np.array([1j])}, TypeError),
    ],
)
def test_what_cannot_be_kept_is_refused_whole(
    tmp_path: Path, fields: dict, arrays: dict, error: type[Exception]
) -> None:
    with Journal.create(tmp_path / "j") as journal:
        before = (journal.position, journal.head, journal.count)
        with pytest.raises(error, match="plan"):
            journal.append("plan", 0, fields, arrays)
        assert (journal.position, journal.head, journal.count) == before
        journal.append("plan", 0, {})
    assert len(list(frames(tmp_path / "j"))) == 1


def test_other_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"PAR1 something else entirely")
    with pytest.raises(Damaged, match="not a gigafactory journal"):
        list(frames(path))
    path.write_bytes(MARK[:5])
    with pytest.raises(Damaged, match="before its first frame"):
        recover(path)


def test_a_write_past_the_limit_leaves_a_valid_prefix_and_a_closed_door(tmp_path: Path) -> None:
    """A real refusal by the kernel (EFBIG), in the middle of a frame."""
    path = tmp_path / "j"
    noise = np.random.Generator(np.random.PCG64(0)).random(20_000)
    journal = Journal.create(path)

    def fill() -> None:
        for i in range(100):
            journal.append("plan", i, {}, {"noise": noise})
            journal.sync()

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(OSError, match="large") as caught:
            fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == 27
    with pytest.raises(AssertionError, match="earlier write failed"):
        journal.append("plan", 0, {})
    journal.close()
    good = recover(path)
    assert good.frames == journal.count - 1
    assert good.torn_bytes > 0
    Journal.resume(path, good.position, good.head).close()
    assert [f.tick_ns for f in frames(path)] == list(range(good.frames))


CHILD = textwrap.dedent("""
    import sys
    import numpy as np
    from gigafactory.engine.journal import Journal, recover
    path, start = sys.argv[1], sys.argv[2]
    if start == "new":
        journal = Journal.create(path)
    else:
        good = recover(path)
        journal = Journal.resume(path, good.position, good.head)
    noise = np.random.Generator(np.random.PCG64(1)).random(30_000)
    while True:
        for _ in range(7):
            journal.append("tick", journal.count, {"n": journal.count}, {"noise": noise})
        journal.sync()
        print(journal.count, journal.head, flush=True)
""")


def test_kill_9_loses_nothing_that_was_synced(tmp_path: Path) -> None:
    path = tmp_path / "j"
    wait = random.Random(4)
    count = 0
    for turn in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), "new" if turn == 0 else "again"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        said = [child.stdout.readline()]
        time.sleep(wait.random() * 0.1)
        child.send_signal(signal.SIGKILL)
        said += child.stdout.read().splitlines()
        child.stdout.close()
        assert child.wait() == -signal.SIGKILL
        whole = [
            line.split() for line in said if len(line.split()) == 2 and len(line.split()[1]) == 64
        ]
        acknowledged, head = int(whole[-1][0]), whole[-1][1]
        good = recover(path)
        assert good.frames >= acknowledged > count
        count = good.frames
        with path.open("r+b") as file:
            file.truncate(good.position)
        read = list(frames(path))
        assert [frame.fields["n"] for frame in read] == list(range(count))
        assert read[acknowledged - 1].head == head


def test_a_year_of_frames_goes_in_and_out_in_seconds(tmp_path: Path) -> None:
    """A tenth of a year, with room for a slow machine (the format's page has the figures)."""
    rng = np.random.Generator(np.random.PCG64(2))
    arrays = {name: np.round(rng.normal(100, 5, 100), 3) for name in "abcde"}
    fields = {"site": "rotterdam", "soc_mwh": 12.3456789, "why": "congestion"}
    path = tmp_path / "j"
    start = time.process_time()
    with Journal.create(path) as journal:
        for tick in range(7_000):
            journal.append("period", tick, fields, arrays)
    written = time.process_time() - start
    assert sum(1 for _ in frames(path)) == 7_000
    read = time.process_time() - start - written
    assert written < 1.5
    assert read < 1.5
