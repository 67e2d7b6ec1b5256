"""Every row of the requirements is there once, true about its tests, and on the page."""

from __future__ import annotations

import copy
import runpy
from typing import Any

import pytest

from tests.tidy.house import ROOT

#: How many rows there are under each letter; 167 in all.
ROWS = {"A": 15, "B": 29, "C": 21, "D": 29, "E": 15, "F": 11, "G": 8, "H": 30, "I": 9}


@pytest.fixture(scope="module")
def room() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "make_requirements.py"))


@pytest.fixture(scope="module")
def rows(room: dict[str, Any]) -> list[dict[str, Any]]:
    return list(room["read"]())


def test_all_167_rows_are_there_once(rows: list[dict[str, Any]]) -> None:
    wanted = [f"{letter}{n:02d}" for letter, count in ROWS.items() for n in range(1, count + 1)]
    assert len(wanted) == 167
    assert [row["id"] for row in rows] == wanted


def test_every_row_says_the_truth(room: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    assert room["problems"](rows) == []


def test_every_row_is_on_the_page(room: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    page = room["page"](rows)
    for row in rows:
        (line,) = [line for line in page.splitlines() if line.startswith(f"| {row['id']} |")]
        assert row["feature"] in line
        assert f"| {row['state']} |" in line
        assert all(test.removeprefix("tests/") in line for test in row.get("tests", []))
        assert row["state"] != "later" or row["step"] in line
        assert row.get("reason", "") in line


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tests": ["tests/tidy/test_requirements.py::test_nobody_wrote"]}, "there is no test"),
        ({"tests": ["tests/tidy/test_nowhere.py::test_x"]}, "there is no test"),
        ({"tests": ["tests/tidy/test_requirements.py"]}, "there is no test"),
        ({"tests": ["src/gigafactory/cli.py::test_x"]}, "there is no test"),
        ({"tests": []}, "no test shows it"),
        ({"state": "open"}, "does not say what is lacking"),
        ({"state": "later"}, "is not a later step"),
        ({"state": "open", "reason": "x"}, "the step main job is finished"),
        ({"step": "some day"}, "is no step"),
        ({"state": "nearly"}, "no state"),
        ({"acceptance": ""}, "lacks acceptance"),
        ({"colour": "red"}, "unknown field colour"),
        ({"id": "A02"}, "A02 is there 2 times"),
    ],
)
def test_a_row_that_does_not_is_seen(
    room: dict[str, Any], rows: list[dict[str, Any]], change: dict[str, Any], told: str
) -> None:
    sound = copy.deepcopy(rows)
    assert sound[0]["step"] == "main job"
    sound[0] |= change
    assert any(told in problem for problem in room["problems"](sound))


def test_methods_and_parametrised_tests_are_found(room: dict[str, Any], tmp_path: Any) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(
        "import pytest\n\nclass TestA:\n    def test_in(self): ...\n\n"
        "@pytest.mark.parametrize('x', [1])\ndef test_out(x): ...\n\ndef helper(): ...\n"
    )
    for name, there in (("TestA::test_in", True), ("test_out", True), ("test_in", False),
                        ("helper", False), ("", False)):  # fmt: skip
        assert room["exists"](f"tests/test_a.py::{name}", tmp_path) is there
