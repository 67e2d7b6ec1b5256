"""The reference pages name every key and column a run writes, and none that it does not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)


def documented(page: str, section: str = "") -> list[str]:
    """Names in the first column of a page's tables, or of those in one of its sections."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    if section:
        text = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return ROW.findall(text)


def pattern(name: str) -> re.Pattern[str]:
    """A documented name as a pattern: `<class>` stands for one part."""
    return re.compile("".join(r"[\w-]+" if p[0] == "<" else re.escape(p) for p in parts(name)))


def parts(name: str) -> list[str]:
    return [part for part in re.split(r"(<\w+>)", name) if part]


def disagreement(names: list[str], written: list[str]) -> list[str]:
    """What is written and not documented, or documented and not written."""
    patterns = {name: pattern(name) for name in names}
    unknown = [w for w in written if not any(p.fullmatch(w) for p in patterns.values())]
    unwritten = [n for n, p in patterns.items() if not any(p.fullmatch(w) for w in written)]
    return [f"not documented: {w}" for w in unknown] + [f"not written: {n}" for n in unwritten]


def leaves(value: object, key: str = "") -> Iterator[str]:
    """Dotted paths of everything that is no object; a list is one thing."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, f"{key}.{name}" if key else name)
    else:
        yield key


@pytest.mark.slow
def test_every_key_of_the_summary_is_documented(a_day: Path) -> None:
    summary = json.loads((a_day / "summary.json").read_text("utf-8"))
    assert disagreement(documented("summary.md"), list(leaves(summary))) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "page", "section"),
    [
        ("series.parquet", "series.md", "series.parquet"),
        ("jobs.parquet", "series.md", "jobs.parquet"),
        ("transfers.parquet", "series.md", "transfers.parquet"),
        ("sources.parquet", "series.md", "sources.parquet"),
    ],
)
def test_every_column_is_documented(a_day: Path, table: str, page: str, section: str) -> None:
    columns = pq.read_schema(a_day / table).names
    assert disagreement(documented(page, section), columns) == []


@pytest.mark.slow
def test_every_account_is_documented(a_day: Path) -> None:
    columns = pq.read_schema(a_day / "accounts.parquet").names
    names = ["site", "start_ns", *documented("ledger-accounts.md")]
    assert disagreement(names, columns) == []


FIELDS = re.compile(
    r"^Each row of `([\w.]+)`:\n\n\| field .*\n\|---.*\n((?:\| .*\n)+)", re.MULTILINE
)


def rows_of(value: object, key: str = "") -> Iterator[tuple[str, list[str]]]:
    """Every list of records in a summary by its dotted key, with the fields of its records."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from rows_of(item, f"{key}.{name}" if key else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        assert len({tuple(row) for row in value}) == 1, f"{key}: rows with other fields"
        yield key, list(value[0])


@pytest.mark.slow
def test_every_field_of_a_list_is_documented(a_day: Path) -> None:
    text = (REFERENCE / "summary.md").read_text(encoding="utf-8")
    told = {
        key: [line.split("|")[1].strip() for line in table.splitlines()]
        for key, table in FIELDS.findall(text)
    }
    written = dict(rows_of(json.loads((a_day / "summary.json").read_text("utf-8"))))
    assert {key: told.get(key) for key in written} == written
    assert len(written) >= 6


def test_the_check_sees_both_sides() -> None:
    names = ["a", "b.<class>_mw"]
    assert disagreement(names, ["a", "b.research_mw"]) == []
    assert disagreement(names, ["a", "b.research_mw", "c"]) == ["not documented: c"]
    assert disagreement(names, ["a"]) == ["not written: b.<class>_mw"]
    assert list(leaves({"a": {"b": 1, "c": [1, 2]}, "d": None})) == ["a.b", "a.c", "d"]
