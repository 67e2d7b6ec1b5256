"""Framework folders as data: `data/NAME/framework.yaml`, and their sources as text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.plant.provenance import Source, read_source, read_yaml

DATA: Final = Path(__file__).parent / "data"
LANGUAGES: Final = ("en", "nl")


@cache
def framework_data(name: str, file: str = "framework.yaml") -> Mapping[str, Any]:
    """A file of a framework's folder as plain data.

    Raises:
        BadInput: it is damaged.
    """
    problems: list[Problem] = []
    data = read_yaml(DATA / name / file, problems)
    if problems:
        raise BadInput(problems)
    return data


class _Dutch(float):
    """A number that is written the Dutch way: points between thousands, a comma for decimals."""

    def __format__(self, spec: str) -> str:
        value = int(self) if spec in ("", ",") and self.is_integer() else float(self)
        return format(value, spec).translate(str.maketrans(",.", ".,"))


def words(raw: Mapping[str, Any], **fields: object) -> dict[str, str]:
    """A text in both languages; {braces} in it are filled, numbers as each language writes them.

    A field that is a mapping with the languages as keys is filled in each with its own.
    """
    return {lang: str(raw[lang]).format_map(_in(lang, fields)) for lang in LANGUAGES}


def number(value: float, lang: str, digits: int = 0) -> str:
    """A number with marks between thousands, as a language writes it."""
    return format(_Dutch(value) if lang == "nl" else value, f",.{digits}f")


def _in(lang: str, fields: Mapping[str, object]) -> dict[str, object]:
    """Fields as one language writes them."""
    found = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            value = value[lang]
        if lang == "nl" and isinstance(value, int | float) and not isinstance(value, bool):
            value = _Dutch(value)
        found[name] = value
    return found


def source_of(raw: object, where: str = "") -> Source:
    """The source of a figure.

    Raises:
        BadInput: it has none that can be used.
    """
    problems: list[Problem] = []
    found = read_source(where, "source", raw, problems)
    if found is None:
        raise BadInput(problems)
    return found


def cited(raw: object, where: str = "") -> str:
    """A source in one line: who, year, state, how far it was checked here, and the note.

    Raises:
        BadInput: it has none that can be used.
    """
    found = source_of(raw, where)
    mark = f", {found.mark}" if found.mark else ""
    note = f": {found.note}" if found.note else ""
    return f"{found.source}, {found.year}, {found.state}{mark}{note}"


__all__ = ["DATA", "LANGUAGES", "cited", "framework_data", "number", "source_of", "words"]
