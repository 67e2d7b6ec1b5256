"""What the docs tell a reader to type exists; what they link to is there."""

from __future__ import annotations

import importlib
import re
import shlex
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tidy.house import DOCS, ROOT, SRC, pages

CONSOLE = re.compile(r"^( *)```console\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
HEADINGS = ["Context", "Options", "Decision", "Drawbacks", "What was measured"]
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))


def commands(text: str) -> list[str]:
    """The commands of a page's console blocks: what follows "$ ", continued lines joined."""
    found = []
    for block in CONSOLE.finditer(text):
        joined = re.sub(r"\\\n\s*", " ", block[2])
        found += [
            line.strip().removeprefix("$ ")
            for line in joined.splitlines()
            if line.strip().startswith("$ ")
        ]
    return found


def words(command: str) -> list[str]:
    """The first command of a line as words, without settings before it and redirections after."""
    parts = shlex.split(command, comments=True)
    while parts and re.match(r"^[A-Z_]+=", parts[0]):
        parts = parts[1:]
    return list(takewhile(lambda part: not re.match(r"^[0-9]?[<>|&;]", part), parts))


def complaint(command: Any, given: list[str]) -> str:
    """What is wrong with words given to a command of the command line, or ""."""
    while getattr(command, "commands", None):
        if not given or given[0].startswith("-"):
            break
        if given[0] not in command.commands:
            return f"there is no command {given[0]!r}"
        command, given = command.commands[given[0]], given[1:]
    options = {
        name: parameter
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("-")
    }
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    free = 0
    left = list(given)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            free += 1
            continue
        name, has_value, _ = word.partition("=")
        if name not in options and name != "--help":
            return f"there is no option {name!r}"
        flag = name == "--help" or getattr(options[name], "is_flag", False)
        if not flag and not has_value:
            if not left:
                return f"the option {name!r} needs a value"
            left.pop(0)
    needed = sum(1 for argument in arguments if argument.required)
    if "--help" in given:
        return ""
    if free < needed:
        return f"{needed} arguments are needed, {free} given"
    if free > len(arguments) and all(argument.nargs == 1 for argument in arguments):
        return f"{len(arguments)} arguments are known, {free} given"
    return ""


@pytest.fixture(scope="module")
def command_line() -> Any:
    if not (SRC / "cli.py").exists():
        pytest.skip("the command line is not built yet")
    import typer.main

    return typer.main.get_command(importlib.import_module("gigafactory.cli").app)


def _told(program: str) -> list[tuple[str, list[str]]]:
    found = []
    for page in pages():
        name = page.relative_to(ROOT).as_posix()
        for command in commands(page.read_text(encoding="utf-8")):
            parts = words(command)
            if parts and Path(parts[0]).name == program:
                found.append((f"{name}: {command}", parts[1:]))
    return found


def test_commands_in_the_docs_are_commands_of_the_product(command_line: Any) -> None:
    wrong = [
        f"{where}: {problem}"
        for where, given in _told("gigafactory")
        if (problem := complaint(command_line, given))
    ]
    assert wrong == []


def test_the_check_sees_a_wrong_command(command_line: Any) -> None:
    assert complaint(command_line, ["run", "rotterdam"]) == ""
    assert complaint(command_line, ["run", "rotterdam", "--days", "7"]) == ""
    assert complaint(command_line, ["compare", "one"]) != ""
    assert complaint(command_line, ["compare", "one", "two", "three"]) != ""
    assert complaint(command_line, ["walk"]) != ""
    assert complaint(command_line, ["run", "rotterdam", "--no-such-thing"]) != ""
    assert complaint(command_line, ["run", "rotterdam", "--days"]) != ""


def targets() -> dict[str, str]:
    """Targets of the Makefile with their line of help."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.findall(r"^([a-z-]+):([^=\n]*)$", text, re.MULTILINE)
    return {name: rest.partition("## ")[2] for name, rest in found}


def test_make_targets_in_the_docs_exist_and_each_has_help() -> None:
    known = targets()
    assert {"run", "run-real", "test", "check", "system", "proof"} <= set(known)
    assert [name for name, help_text in known.items() if not help_text] == []
    wrong = [
        f"{where}: there is no target {word!r}"
        for where, given in _told("make")
        for word in given
        if "=" not in word and not word.startswith("-") and word not in known
    ]
    assert wrong == []


def test_the_commands_of_a_page_are_read() -> None:
    page = (
        "text\n```console\n$ A=1 gigafactory run \\\n    x --days 7 > log  # a week\noutput\n```\n"
    )
    assert [words(command) for command in commands(page)] == [
        ["gigafactory", "run", "x", "--days", "7"]
    ]


def test_links_lead_somewhere() -> None:
    broken = []
    for page in pages():
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT).as_posix()}: {target}")
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_its_five_headings(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    assert re.match(rf"# {page.stem[:4]} \S", text), "the title begins with the number"


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(page.stem[:4]) for page in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1))


class _Loader(yaml.SafeLoader):
    """Reads mkdocs.yml; the Python names in it are of no interest here."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda *_: None)


def _entries(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    values = nav.values() if isinstance(nav, dict) else nav
    return [entry for value in values for entry in _entries(value)]


def test_every_page_is_in_the_table_of_contents_once() -> None:
    config = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), _Loader)
    listed = sorted(_entries(config["nav"]))
    written = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
    assert sorted(set(listed) ^ set(written)) == [], "only in the nav, or only on disk"
    assert len(listed) == len(set(listed))
