"""What is in the repository belongs in it: no machine's paths, no index addresses, no big files."""

from __future__ import annotations

import re

import pytest

from tests.tidy.house import ROOT, tracked_files

# Written in parts, so that this file does not find itself.
MACHINE = re.compile(
    r"(?<![\w.}])/(work|root|home/\w+|Users/\w+)/|/tmp/" + r"bash_" + r"jobs", re.IGNORECASE
)
REGISTRY = re.compile(
    "|".join(
        re.escape(".".join(parts))
        for parts in [
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("pypi", "python", "org"),
            ("anaconda", "org"),
            ("npmjs", "org"),
            ("crates", "io"),
        ]
    )
    + r"|--(extra-)?index"
    + r"-url\s+\S*:|--find"
    + r"-links\s+\S"
)
BINARY = {".png", ".jpg", ".webp", ".ico", ".parquet", ".gz", ".woff2", ".pdf"}
BYTES_MAX = 1_000_000


def wrong_lines(pattern: re.Pattern[str]) -> list[str]:
    """Every line of a tracked text file in which the pattern is found."""
    found = []
    for path in tracked_files():
        if path.suffix in BINARY:
            continue
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{name}:{number}: {line.strip()[:100]}")
    return found


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = wrong_lines(MACHINE)
    assert not found, "\n".join(found)


def test_no_file_names_a_package_index() -> None:
    found = wrong_lines(REGISTRY)
    assert not found, "\n".join(found)


def test_no_file_is_too_big_for_a_clone() -> None:
    big = {
        path.relative_to(ROOT).as_posix(): path.stat().st_size
        for path in tracked_files()
        if path.stat().st_size > BYTES_MAX
    }
    assert big == {}


@pytest.mark.parametrize(
    "line", ["cd /wo" + "rk/main", "x = '/ro" + "ot/.cache'", "/ho" + "me/an/x"]
)
def test_a_machines_path_is_seen(line: str) -> None:
    assert MACHINE.search(line)


@pytest.mark.parametrize(
    "line", ["docs/wo" + "rk/page.md", "https://a.nl/wo" + "rk/", "the ho" + "me/office/day"]
)
def test_an_innocent_line_passes(line: str) -> None:
    assert not MACHINE.search(line)


def test_an_index_address_is_seen() -> None:
    assert REGISTRY.search("--index" + "-url https://a.example/simple")
    assert REGISTRY.search("https://files.pythonhosted" + ".org/packages/x")
    assert not REGISTRY.search("uv pip compile --no-emit-index" + "-url x")


def test_every_pin_of_the_lock_has_a_hash() -> None:
    for name in ("requirements.lock", "requirements-docs.lock"):
        text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
        pins = [line for line in text.splitlines() if "==" in line]
        assert len(pins) > 20
        assert [line[:60] for line in pins if "--hash=sha256:" not in line] == []
