"""The run folder: named without collision, refused in words, resumed after damage."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.engine.journal import Journal, frames, recover
from gigafactory.runtime.folder import (
    DiskFull,
    RunFolder,
    drop_snapshots,
    guard_disk,
    load_snapshot,
    save_snapshot,
)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 512 KiB, where mounting one is permitted."""
    place = tmp_path / "tiny"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    absent = shutil.which("mount") is None
    if absent or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root; test_journal covers a refused write without")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


# --- names -----------------------------------------------------------------------------------


def test_runs_are_numbered_and_latest_follows(tmp_path: Path) -> None:
    base = tmp_path / "deep" / "runs"
    for n in (1, 2, 3):
        run = RunFolder.new(base, "rotterdam")
        assert run.path == base / f"rotterdam-{n}"
        assert run.name == f"rotterdam-{n}"
        assert (base / "latest").readlink() == Path(run.name)
    (base / "rotterdam-2").rmdir()
    (base / "rotterdam-heat-9").mkdir()
    (base / "rotterdam-x").mkdir()
    assert RunFolder.new(base, "rotterdam").name == "rotterdam-4"
    assert RunFolder.new(base, "rotterdam-heat").name == "rotterdam-heat-10"
    assert (base / "latest").readlink() == Path("rotterdam-heat-10")
    assert not [e.name for e in base.iterdir() if e.name.startswith(".")]


def test_runs_started_together_never_share_a_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: RunFolder.new(tmp_path, "r").path, range(40)))
    assert len(set(made)) == 40
    assert (tmp_path / "latest").resolve() in made


def test_an_explicit_folder_is_taken_when_new_or_empty(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    for _ in range(2):
        assert RunFolder.new(tmp_path / "runs", "r", out).path == out
    assert not (tmp_path / "runs").exists()


def test_an_explicit_folder_that_holds_something_is_refused_and_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "keep.txt").write_text("mine")
    with pytest.raises(BadInput, match=r"not empty.*keep\.txt"):
        RunFolder.new(tmp_path / "runs", "r", out)
    with pytest.raises(BadInput, match="not a folder"):
        RunFolder.new(tmp_path / "runs", "r", out / "keep.txt")
    assert [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*"))] == [
        "out",
        "out/keep.txt",
    ]


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 101])
def test_names_that_could_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="letters, digits"):
        RunFolder.new(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_a_folder_called_latest_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(BadInput, match="kept for the link"):
        RunFolder.new(tmp_path, "r")
    assert [entry.name for entry in tmp_path.iterdir()] == ["latest"]


def test_open_finds_a_run_by_path_name_and_latest(tmp_path: Path) -> None:
    base = tmp_path / "runs"
    made = RunFolder.new(base, "r")
    made.file("factory.yaml").write_text("name: r\n")
    for asked in (made.path, "latest", "r-1", base / "latest"):
        assert RunFolder.open(asked, base).path == made.path
    assert RunFolder.open("latest", base).name == "r-1"
    assert made.journal == made.file("journal.gfj")


def test_open_says_what_is_wrong(tmp_path: Path) -> None:
    base = tmp_path / "runs"
    with pytest.raises(BadInput, match="no such run folder"):
        RunFolder.open("latest", base)
    RunFolder.new(base, "r")
    with pytest.raises(BadInput, match=r"there are: .*r-1"):
        RunFolder.open("r-7", base)
    with pytest.raises(BadInput, match="not a run folder"):
        RunFolder.open("r-1", base)


# --- disks -----------------------------------------------------------------------------------


def test_too_little_room_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for out in (None, tmp_path / "out"):
        with pytest.raises(BadInput, match=r"about 1000000000.0 GB .* free; free some space"):
            RunFolder.new(tmp_path / "runs", "r", out, need_bytes=10**18)
    assert not list(tmp_path.iterdir())


def test_a_place_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="file is not a folder"):
        RunFolder.new(tmp_path / "file" / "runs", "r")


def test_a_read_only_disk_is_refused_in_words(tiny_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    with pytest.raises(BadInput, match="read-only for you; choose another place with --out"):
        RunFolder.new(tiny_disk / "runs", "r", need_bytes=0)


def test_the_disk_s_own_room_is_looked_at(tiny_disk: Path) -> None:
    with pytest.raises(BadInput, match=r"has 524\.3 kB free"):
        RunFolder.new(tiny_disk / "runs", "r")
    assert not list(tiny_disk.iterdir())


def test_a_full_disk_is_told_in_words_and_what_was_synced_stays(tiny_disk: Path) -> None:
    """The journal fills a real disk; space is freed; the run goes on where it was."""
    run = RunFolder.new(tiny_disk, "r", need_bytes=0)
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(200_000))
    noise = np.random.Generator(np.random.PCG64(0)).random(2_000)
    journal = Journal.create(run.journal)
    synced = 0
    command = f"gigafactory run --resume {run.path}"

    def fill() -> None:
        nonlocal synced
        while True:
            journal.append("tick", synced, {}, {"noise": noise})
            journal.sync()
            synced += 1

    with pytest.raises(DiskFull) as caught, guard_disk(run.path, command):
        fill()
    journal.close()
    assert str(caught.value) == (
        f"{run.path}: the disk is full; what was done is kept. "
        f"Free some space, then resume with: {command}"
    )
    assert synced > 5
    good = recover(run.journal)
    assert good.frames >= synced
    ballast.unlink()
    with Journal.resume(run.journal, good.position, good.head) as again:
        again.append("tick", good.frames, {}, {"noise": noise})
    assert [f.tick_ns for f in frames(run.journal)] == list(range(good.frames + 1))


def test_a_full_disk_under_parquet_and_snapshots_is_the_same_trouble(tiny_disk: Path) -> None:
    noise = np.random.Generator(np.random.PCG64(0)).random(100_000)
    save_snapshot(tiny_disk, 1, {"x": noise[:20_000]}, {})
    with pytest.raises(DiskFull, match="disk is full; free some space"), guard_disk(tiny_disk):
        pq.write_table(pa.table({"x": noise}), tiny_disk / "x.parquet")
    with pytest.raises(DiskFull), guard_disk(tiny_disk):
        save_snapshot(tiny_disk, 2, {"x": noise}, {})
    assert [e.name for e in (tiny_disk / "snapshots").iterdir()] == ["day-00001.gfs"]
    found = load_snapshot(tiny_disk)
    assert found is not None
    assert found.day == 1


def test_dev_full_is_a_full_disk() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with (
        pytest.raises(DiskFull),
        guard_disk(Path("/dev")),
        open("/dev/full", "wb", buffering=0) as file,  # noqa: PTH123  (no Path on a device)
    ):
        file.write(b"x")


def test_a_snapshot_that_grows_past_a_limit_leaves_the_one_before(tmp_path: Path) -> None:
    """The same as on a full disk, refused by the kernel without needing root."""
    noise = np.random.Generator(np.random.PCG64(0)).random(100_000)
    save_snapshot(tmp_path, 1, {"x": noise[:10_000]}, {})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(DiskFull), guard_disk(tmp_path):
            save_snapshot(tmp_path, 2, {"x": noise}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [e.name for e in (tmp_path / "snapshots").iterdir()] == ["day-00001.gfs"]


def test_other_trouble_passes_the_guard_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), guard_disk(tmp_path):
        (tmp_path / "absent").read_bytes()


# --- snapshots -------------------------------------------------------------------------------


def state(day: int) -> dict[str, np.ndarray]:
    """Arrays of every shape a state has."""
    return {
        "heap": np.arange(day * 1000, dtype=np.int64),
        "grid": np.full((3, 4), day, dtype=np.float32),
        "scalar": np.array(day, dtype=np.int8),
        "empty": np.empty((0, 5)),
        "flags": np.array([True, False]),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    }


def test_a_snapshot_comes_back_as_it_was(tmp_path: Path) -> None:
    assert load_snapshot(tmp_path) is None
    fields = {"position": 123, "head": "ab", "rng": {"state": 2**127, "list": [1.5, None]}}
    save_snapshot(tmp_path, 7, state(7), fields)
    found = load_snapshot(tmp_path)
    assert found is not None
    assert (found.day, found.fields, found.skipped) == (7, fields, ())
    assert list(found.arrays) == sorted(state(7))
    for name, array in state(7).items():
        got = found.arrays[name]
        assert got.dtype == array.dtype
        assert got.shape == array.shape
        assert got.flags.writeable
        np.testing.assert_array_equal(got, array)


def test_large_arrays_are_kept_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gigafactory.runtime.folder._PART_BYTES", 1000)
    wide = np.arange(3001, dtype=np.int32)
    path = save_snapshot(tmp_path, 0, {"wide": wide, "square": wide[:900].reshape(30, 30)}, {})
    assert sum(frame.kind == "part" for frame in frames(path)) == 13 + 4
    found = load_snapshot(tmp_path)
    assert found is not None
    np.testing.assert_array_equal(found.arrays["wide"], wide)
    np.testing.assert_array_equal(found.arrays["square"], wide[:900].reshape(30, 30))


def test_the_last_two_are_kept_and_a_resumed_run_drops_the_future(tmp_path: Path) -> None:
    def kept() -> list[str]:
        return sorted(entry.name for entry in (tmp_path / "snapshots").iterdir())

    for day in (9, 10, 100_000):
        save_snapshot(tmp_path, day, state(1), {})
    assert kept() == ["day-00010.gfs", "day-100000.gfs"]
    save_snapshot(tmp_path, 11, state(1), {})
    assert kept() == ["day-00010.gfs", "day-00011.gfs"]
    save_snapshot(tmp_path, 11, state(2), {"again": True})
    assert kept() == ["day-00010.gfs", "day-00011.gfs"]
    found = load_snapshot(tmp_path)
    assert found is not None
    assert found.fields == {"again": True}
    drop_snapshots(tmp_path)
    drop_snapshots(tmp_path)
    assert not (tmp_path / "snapshots").exists()


def test_a_damaged_newest_snapshot_is_passed_over_wherever_the_byte_flipped(tmp_path: Path) -> None:
    save_snapshot(tmp_path, 1, state(1), {})
    newest = save_snapshot(tmp_path, 2, {"x": np.arange(5)}, {"n": 1})
    sound = newest.read_bytes()
    for at in range(len(sound)):
        newest.write_bytes(sound[:at] + bytes([sound[at] ^ 8]) + sound[at + 1 :])
        found = load_snapshot(tmp_path)
        assert found is not None
        assert found.day == 1
        assert "day-00002.gfs" in found.skipped[0]
    ends = [frame.offset for frame in frames(tmp_path / "snapshots" / "day-00001.gfs")]
    oldest = tmp_path / "snapshots" / "day-00001.gfs"
    oldest.write_bytes(oldest.read_bytes()[: ends[-1]])  # cut neatly before its end frame
    found = load_snapshot(tmp_path)
    assert found is None


def test_a_half_written_snapshot_of_a_killed_run_is_not_seen(tmp_path: Path) -> None:
    save_snapshot(tmp_path, 1, state(1), {})
    (tmp_path / "snapshots" / "day-00002.tmp").write_bytes(b"half")
    found = load_snapshot(tmp_path)
    assert found is not None
    assert found.day == 1
    save_snapshot(tmp_path, 2, state(2), {})
    assert (load_snapshot(tmp_path) or found).day == 2


def test_a_state_that_cannot_be_saved_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="text"):
        save_snapshot(tmp_path, 1, {"text": np.array(["a"])}, {})
    assert not list((tmp_path / "snapshots").iterdir())
