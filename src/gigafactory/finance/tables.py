"""Bundled figures of finance: each with its source, year and mark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.plant.provenance import Source, load_yaml, read_source


@dataclass(frozen=True, slots=True)
class Sourced:
    """A figure, its unit and where it comes from; the value is None where nobody has found one."""

    value: float | None
    unit: str
    source: Source


def read_table(name: str) -> dict[str, Any]:
    """A bundled data file of this room.

    Raises:
        BadInput: it is damaged.
    """
    path = Path(str(resources.files("gigafactory.finance"))) / "data" / name
    return load_yaml(path)


def figures(name: str, raw: Mapping[str, Any]) -> dict[str, Sourced]:
    """Read a mapping of ``{value, unit, source}``.

    Args:
        name: of the file, for problems.
        raw: what stands in it.

    Raises:
        BadInput: a figure has no source, year or state.
    """
    problems: list[Problem] = []
    found: dict[str, Sourced] = {}
    for key, row in raw.items():
        source = read_source(name, f"{key}.source", row.get("source"), problems)
        value = row.get("value")
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            problems.append(Problem(name, f"{key}.value", str(value), "must be a number or null"))
        elif source is not None:
            known = None if value is None else float(value)
            found[key] = Sourced(known, str(row.get("unit", "")), source)
    if problems:
        raise BadInput(problems)
    return found


def known(found: Mapping[str, Sourced], key: str) -> float:
    """The value of a figure that must be there."""
    value = found[key].value
    assert value is not None, key
    return value


__all__ = ["Sourced", "figures", "known", "read_table"]
