"""Make the page of requirements: what was asked, and the tests that prove it."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import yaml

TOOLS = Path(__file__).resolve().parent
ROOT = TOOLS.parent
DATA = TOOLS / "requirements.yaml"
PAGE = ROOT / "docs" / "reference" / "requirements.md"

#: Steps in order, and whether each is finished: all its rows are then done.
STEPS = {
    "main job": True,
    "compute": True,
    "energy": True,
    "meaning": True,
    "studies": False,
    "live": True,
    "control room": False,
    "finish": False,
}
STATES = ("done", "open", "later")
FIELDS = {"id", "feature", "acceptance", "room", "step", "state", "tests", "reason"}
THEMES = {
    "A": "The machine and its work",
    "B": "Autonomy and security",
    "C": "Economy and access",
    "D": "Electricity",
    "E": "Heat, water, surroundings",
    "F": "Missions",
    "G": "The framework",
    "H": "Money",
    "I": "Supply and circularity",
}
HEAD = """<!-- Made by tools/make_reference.py from the data beside it; do not edit by hand. -->

# Requirements

The 167 things that were asked of the product, each with what would show that it is met, the test
that shows it, and its state. *Done*: the test named would fail without it. *Later*: it belongs to
a step that has not begun ([roadmap](../roadmap.md)). *Open*: asked of a step at hand or behind, and
not there; the reason says what is lacking. A test of this repository fails when a row names a test
that does not exist.
"""


@cache
def tests_in(path: Path) -> frozenset[str]:
    """Names of the tests of a file: functions, and methods as `Class::method`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            inside = [n.name for n in node.body if isinstance(n, ast.FunctionDef)]
            names |= {f"{node.name}::{name}" for name in inside if name.startswith("test")}
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            names.add(node.name)
    return frozenset(names)


def exists(claim: str, root: Path = ROOT) -> bool:
    """Whether a test that a row claims, as `tests/room/test_x.py::test_y`, is there."""
    name, _, test = claim.partition("::")
    path = root / name
    return name.startswith("tests/") and path.is_file() and test in tests_in(path)


def problems(rows: list[dict[str, Any]], root: Path = ROOT) -> list[str]:
    """Everything wrong with some rows, as sentences."""
    wrong = [
        f"{name} is there {count} times"
        for name, count in Counter(row["id"] for row in rows).items()
        if count > 1
    ]
    for row in rows:
        name, step, state = row["id"], row["step"], row["state"]
        tests, reason = row.get("tests", []), row.get("reason", "")
        wrong += [f"{name}: unknown field {field}" for field in sorted(set(row) - FIELDS)]
        wrong += [f"{name}: there is no test {test}" for test in tests if not exists(test, root)]
        wrong += [f"{name}: lacks {f}" for f in ("feature", "acceptance", "room") if not row.get(f)]
        if step not in STEPS or state not in STATES:
            wrong.append(f"{name}: {step!r} is no step or {state!r} no state")
            continue
        if state == "done" and not tests:
            wrong.append(f"{name}: is called done and no test shows it")
        if state == "open" and not reason:
            wrong.append(f"{name}: is open and does not say what is lacking")
        if state == "later" and (STEPS[step] or step == "meaning"):
            wrong.append(f"{name}: cannot be later, since {step} is not a later step")
        if STEPS[step] and state != "done":
            wrong.append(f"{name}: the step {step} is finished, and this is {state}")
    return wrong


def read() -> list[dict[str, Any]]:
    """The rows of the data file."""
    rows = yaml.safe_load(DATA.read_text(encoding="utf-8"))["requirements"]
    return [dict(row) for row in rows]


def _proof(row: dict[str, Any]) -> str:
    shown = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in row.get("tests", []))
    said = row.get("reason", "")
    if row["state"] == "later":
        said = said or f"with the step {row['step']}"
    return "<br>".join(part for part in (shown, said) if part)


def page(rows: list[dict[str, Any]]) -> str:
    """The page as Markdown."""
    count = Counter((row["step"], row["state"]) for row in rows)
    lines = [HEAD, "| step | rows | done | open | later |", "|---|---:|---:|---:|---:|"]
    for step in STEPS:
        parts = [count[step, state] for state in STATES]
        lines.append(f"| {step} | {sum(parts)} | {' | '.join(map(str, parts))} |")
    parts = [sum(count[step, state] for step in STEPS) for state in STATES]
    lines += [f"| **all** | {sum(parts)} | {' | '.join(map(str, parts))} |", ""]
    lines += ["Tests are named from the folder `tests`.", ""]
    for letter, title in THEMES.items():
        lines += [f"## {letter}. {title}", ""]
        lines += [
            "| id | asked | shown by | step, room | state | test |",
            "|---|---|---|---|---|---|",
        ]
        for row in (row for row in rows if row["id"].startswith(letter)):
            cells = (row["feature"], row["acceptance"], f"{row['step']}, {row['room']}")
            lines.append(f"| {row['id']} | {' | '.join(cells)} | {row['state']} | {_proof(row)} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def pages() -> dict[Path, str]:
    """The page made from the data file."""
    return {PAGE: page(read())}
