"""A small valid factory as text, and a way to break it line by line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gigafactory.engine.errors import Problem
from gigafactory.factory import check_factory, init_text


class Broken:
    """The starter factory with some texts replaced by others, and what `check` says of it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def text(self, *changes: tuple[str, str]) -> str:
        text = init_text("mine")
        for old, new in changes:
            assert text.count(old) >= 1, f"the starter file has no {old!r}"
            text = text.replace(old, new, 1)
        return text

    def write(self, *changes: tuple[str, str]) -> Path:
        self.path.write_text(self.text(*changes), encoding="utf-8")
        return self.path

    def problems(self, *changes: tuple[str, str], strict: bool = False) -> list[Problem]:
        return check_factory(self.write(*changes), strict=strict)

    def line(self, start: str, *changes: tuple[str, str]) -> int:
        lines = self.text(*changes).splitlines()
        return next(at for at, line in enumerate(lines, 1) if line.strip().startswith(start))


@pytest.fixture
def broken(tmp_path: Path) -> Broken:
    return Broken(tmp_path / "mine.yaml")


Only = Callable[[list[Problem]], Problem]


@pytest.fixture
def only() -> Only:
    def one(problems: list[Problem]) -> Problem:
        assert len(problems) == 1, "\n".join(map(str, problems))
        return problems[0]

    return one
