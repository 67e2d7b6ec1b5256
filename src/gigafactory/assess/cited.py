"""Framework folders as data: `data/NAME/framework.yaml`, and their sources as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from gigafactory.assess.results import Assessment, Finding
from gigafactory.plant.provenance import load_yaml, need_source

DATA: Final = Path(__file__).parent / "data"
LANGUAGES: Final = ("en", "nl")


@cache
def framework_data(name: str, file: str = "framework.yaml") -> Mapping[str, Any]:
    """A file of a framework's folder as plain data.

    Raises:
        BadInput: it is damaged.
    """
    return load_yaml(DATA / name / file)


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


def cited(raw: object, where: str = "") -> str:
    """A source in one line: who, year, state, how far it was checked here, and the note.

    Raises:
        BadInput: it has none that can be used.
    """
    found = need_source(where, "source", raw)
    mark = f", {found.mark}" if found.mark else ""
    note = f": {found.note}" if found.note else ""
    return f"{found.source}, {found.year}, {found.state}{mark}{note}"


def framed(
    name: str,
    findings: Sequence[Finding],
    notes: Sequence[Mapping[str, str]],
    **more: Any,
) -> Assessment:
    """What a framework comes to, with the title, version and source of its own data.

    Args:
        name: of its folder.
        findings: every criterion, in its order.
        notes: what the reader must know.
        **more: other fields of an `Assessment`.
    """
    raw = framework_data(name)
    return Assessment(
        framework=name,
        version=raw["version"],
        title=words(raw["title"]),
        source=cited(raw["source"]),
        findings=tuple(findings),
        notes={lang: tuple(note[lang] for note in notes) for lang in LANGUAGES},
        **more,
    )


__all__ = ["DATA", "LANGUAGES", "cited", "framed", "framework_data", "number", "words"]
