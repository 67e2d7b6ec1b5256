"""The manifest: every byte of a folder is guarded, the manifest's own included."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gigafactory.engine.manifest import (
    BLOCK,
    NAME,
    check_manifest,
    read_manifest,
    replace_file,
    write_manifest,
)

EXTRA = {"digest": "ab" * 32, "seed": 0, "résumé": ["x\ny", 1.5, None]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an empty, a small, a nested and a large file, and its manifest."""
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "summary.json").write_text('{"wall_s": 12.5}')
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "x.bin").write_bytes(bytes(range(256)))
    (tmp_path / "big.parquet").write_bytes(bytes(range(256)) * 4096 * 3 + b"tail")
    write_manifest(tmp_path, EXTRA)
    return tmp_path


def test_an_untouched_folder_has_no_problem_and_the_text_is_plain_json(folder: Path) -> None:
    assert check_manifest(folder) == []
    content = json.loads((folder / NAME).read_bytes())
    assert content["extra"] == EXTRA
    listed = {entry["path"]: entry for entry in content["files"]}
    assert list(listed) == ["big.parquet", "deep/er/x.bin", "empty", "summary.json"]
    assert listed["empty"] == {
        "path": "empty",
        "size": 0,
        "sha256": hashlib.sha256().hexdigest(),
        "blocks": [],
    }
    data = (folder / "big.parquet").read_bytes()
    assert listed["big.parquet"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert len(listed["big.parquet"]["blocks"]) == 4
    assert listed["big.parquet"]["blocks"][3] == hashlib.sha256(b"tail").hexdigest()
    assert read_manifest(folder)["sha256"] == content["sha256"]


def test_the_seal_is_the_documented_one(folder: Path) -> None:
    lines = (folder / NAME).read_bytes().split(b"\n")
    body = b"\n".join(lines[:-4])  # without the two seal lines, the brace and the last newline
    assert read_manifest(folder)["sha256"] == hashlib.sha256(body).hexdigest()
    marks = read_manifest(folder)["line_crc32"].split()
    assert marks == [f"{crc32(line):08x}" for line in lines[:-4]]


def test_writing_again_gives_the_same_bytes(folder: Path) -> None:
    before = (folder / NAME).read_bytes()
    seal = write_manifest(folder, dict(reversed(EXTRA.items())))
    assert (folder / NAME).read_bytes() == before
    assert seal == read_manifest(folder)["sha256"]


def test_an_empty_folder_has_a_manifest_too(tmp_path: Path) -> None:
    write_manifest(tmp_path, {})
    assert check_manifest(tmp_path) == []
    assert json.loads((tmp_path / NAME).read_bytes())["files"] == []


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_flipped_byte_in_any_file_is_found_and_placed(folder: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["big.parquet", "deep/er/x.bin", "summary.json"]))
    path = folder / name
    sound = path.read_bytes()
    at = data.draw(st.integers(0, len(sound) - 1))
    bit = data.draw(st.integers(1, 255))
    path.write_bytes(sound[:at] + bytes([sound[at] ^ bit]) + sound[at + 1 :])
    try:
        (problem,) = check_manifest(folder)
    finally:
        path.write_bytes(sound)
    assert problem.where == str(path)
    start = at // BLOCK * BLOCK
    assert problem.value == f"bytes {start} to {min(start + BLOCK, len(sound))}"
    assert f"block {at // BLOCK}" in problem.why


@pytest.mark.parametrize("bit", [1, 4, 0x20])
def test_a_flipped_byte_anywhere_in_the_manifest_is_found_and_placed(
    folder: Path, bit: int
) -> None:
    path = folder / NAME
    sound = path.read_bytes()
    for at in range(len(sound)):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ bit]) + sound[at + 1 :])
        (problem,) = check_manifest(folder)
        assert problem.where == str(path)
        first, last = (int(word) for word in problem.value.split()[1::2])
        # a byte that becomes a newline cuts its line short: the damage is then the line's end
        assert first <= at <= last, (at, problem)
        assert last - first <= 600


def test_missing_extra_longer_shorter_linked(folder: Path) -> None:
    (folder / "empty").write_bytes(b"no longer")
    (folder / "summary.json").unlink()
    (folder / "zzz").write_text("new")
    with (folder / "big.parquet").open("r+b") as file:
        file.truncate(BLOCK + 5)
    (folder / "deep" / "er" / "x.bin").rename(folder / "x.bin")
    (folder / "deep" / "er" / "x.bin").symlink_to("../../x.bin")
    found = {Path(p.where).relative_to(folder).as_posix(): p.why for p in check_manifest(folder)}
    finished = " when the run was finished"
    assert found == {
        "big.parquet": f"the file has {BLOCK + 5} bytes; it had {3 * BLOCK + 4}" + finished,
        "deep/er/x.bin": "is missing",
        "empty": "the file has 9 bytes; it had 0" + finished,
        "summary.json": "is missing",
        "x.bin": "was not there when the run was finished",
        "zzz": "was not there when the run was finished",
    }


def test_damaged_blocks_that_touch_are_one_range(folder: Path) -> None:
    with (folder / "big.parquet").open("r+b") as file:
        file.seek(BLOCK - 1)
        file.write(b"xx")
        file.seek(3 * BLOCK)
        file.write(b"T")
    ranges = [(p.value, p.why.split(" in ")[1]) for p in check_manifest(folder)]
    assert ranges == [
        (f"bytes 0 to {2 * BLOCK}", "blocks 0 to 1 of 1 MiB"),
        (f"bytes {3 * BLOCK} to {3 * BLOCK + 4}", "block 3 of 1 MiB"),
    ]


@pytest.mark.parametrize("keep", [0, 1, 50, -1, -3, -40])
def test_a_manifest_cut_short_is_found(folder: Path, keep: int) -> None:
    path = folder / NAME
    path.write_bytes(path.read_bytes()[:keep])
    (problem,) = check_manifest(folder)
    assert "seal" in problem.why
    with pytest.raises(ValueError, match="seal"):
        read_manifest(folder)


def test_a_folder_without_manifest_says_so(tmp_path: Path) -> None:
    (problem,) = check_manifest(tmp_path)
    assert "no manifest" in problem.why


def test_a_failed_replacement_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.mkdir()  # renaming a file over a folder is refused by the kernel
    with pytest.raises(OSError, match=r"a\.json"):
        replace_file(target, b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]
    replace_file(tmp_path / "b.json", b"new")
    assert (tmp_path / "b.json").read_bytes() == b"new"
