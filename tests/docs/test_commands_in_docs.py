"""The commands that the docs tell an operator to give exist, with their options and arguments."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from gigafactory.cli import app

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = sorted((ROOT / "docs" / "how-to").glob("*.md"))
LINE = re.compile(r"^\$ (?:sudo )?(?:/opt/gigafactory/bin/)?(gigafactory .*)$", re.MULTILINE)
FILE = re.compile(r"\bdeploy/[\w@./-]*\w")


def told(command: str) -> str:
    """What is wrong with a command; empty for nothing."""
    words = shlex.split(re.split(r"\s[>|]\s", command)[0], comments=True)[1:]
    here: Any = typer.main.get_command(app)
    while hasattr(here, "commands"):
        found = here.commands.get(words[0]) if words else None
        if found is None:
            return f"no command {words[:1]} in {here.name}"
        here, words = found, words[1:]
    try:
        values, left, _ = here.make_parser(here.context_class(here)).parse_args(list(words))
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return str(error.format_message())
    missing = [p.name for p in here.params if p.required and values.get(p.name) is None]
    return f"too much: {left}" if left else ", ".join(f"needs {name}" for name in missing)


@pytest.mark.parametrize("page", HOW_TO, ids=lambda page: page.stem)
def test_commands_of_a_page_are_there(page: Path) -> None:
    for command in LINE.findall(page.read_text("utf-8")):
        assert told(command) == "", command


def test_the_page_on_deployment_holds_commands_and_files_that_are_there() -> None:
    text = (ROOT / "docs" / "how-to" / "deploy.md").read_text("utf-8")
    assert len(LINE.findall(text)) > 15
    for name in set(FILE.findall(text)):
        assert (ROOT / name).exists(), name
    unit = (ROOT / "deploy" / "systemd" / "gigafactory-backup.service").read_text("utf-8")
    (started,) = re.findall(r"^ExecStart=/opt/gigafactory/bin/(.*)$", unit, re.MULTILINE)
    assert told(started) == ""
    image = (ROOT / "deploy" / "Containerfile").read_text("utf-8")
    (health,) = re.findall(r'CMD (\[.*"--health"\])', image)
    assert told(" ".join(re.findall(r'"([^"]+)"', health))) == ""


@pytest.mark.parametrize(
    "wrong",
    ["gigafactory store bakup x", "gigafactory serve f.yaml --setings x", "gigafactory token add"],
)
def test_a_command_that_is_not_there_is_found(wrong: str) -> None:
    assert told(wrong) != ""
