"""Where a figure comes from: source, year and how far it has been verified.

Every figure that came from outside the house carries one of these, so that a reader can tell a
measurement from a data sheet and a data sheet from a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from gigafactory.engine.errors import BadInput, Problem

#: How far a figure has been verified: measured (somebody's meter), published (read in a source),
#: assumption (ours, or nobody published it), synthetic (made by our own generator).
STATES: Final = ("measured", "published", "assumption", "synthetic")

#: What was done here to check a figure, where a file says so: verified (seen in the source or
#: measured here), read (an excerpt of the source was read), unverified (general knowledge, or our
#: own choice).
MARKS: Final = ("verified", "read", "unverified")


@dataclass(frozen=True, slots=True)
class Source:
    """The origin of one figure.

    Attributes:
        source: who said or measured it, in words a reader can look up.
        year: the year it was said or measured.
        state: one of `STATES`.
        note: what was derived from it, and the range where it is not a single number.
        mark: one of `MARKS`, or empty where the file does not say.
    """

    source: str
    year: int
    state: str
    note: str = ""
    mark: str = ""


class _UniqueKeyLoader(yaml.SafeLoader):
    """The safe YAML reader, except that a key given twice is refused instead of silently lost."""


def _mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            line = key_node.start_mark.line + 1
            raise yaml.YAMLError(f"the key {key!r} stands here twice (again in line {line})")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path, problems: list[Problem]) -> dict[str, Any]:
    """Read a YAML file whose top is a mapping; what is wrong is added to ``problems``.

    Args:
        path: the file.
        problems: the list that collects what is wrong.

    Returns:
        The mapping, or an empty one when the file cannot be used.
    """
    try:
        # the loader is yaml's safe one with a stricter mapping: no arbitrary objects are built
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506
    except OSError as error:
        problems.append(Problem(str(path), "", "", f"cannot be read: {error.strerror}"))
        return {}
    except UnicodeDecodeError:
        problems.append(Problem(str(path), "", "", "is not UTF-8 text"))
        return {}
    except (yaml.YAMLError, TypeError) as error:
        problems.append(Problem(str(path), "", "", f"is not valid YAML: {error}"))
        return {}
    if not isinstance(content, dict):
        problems.append(Problem(str(path), "", "", "must hold a mapping (name: value) at its top"))
        return {}
    return {str(key): value for key, value in content.items()}


def read_source(where: str, field: str, raw: object, problems: list[Problem]) -> Source | None:
    """Read one ``{source, year, state, note, mark}``; what is wrong is added to ``problems``."""
    if not isinstance(raw, dict):
        why = "needs a mapping with source, year and state (and a note where it helps)"
        problems.append(Problem(where, field, str(raw), why))
        return None
    before = len(problems)
    for key in sorted(str(k) for k in set(raw) - {"source", "year", "state", "note", "mark"}):
        why = "unknown key; known are source, year, state, note, mark"
        problems.append(Problem(where, f"{field}.{key}", str(raw.get(key)), why))
    source, year, state = raw.get("source"), raw.get("year"), raw.get("state")
    if not isinstance(source, str) or not source.strip():
        problems.append(Problem(where, f"{field}.source", str(source), "must name the source"))
    if isinstance(year, bool) or not isinstance(year, int) or not 1900 <= year <= 2100:
        problems.append(Problem(where, f"{field}.year", str(year), "must be a year, such as 2024"))
    if state not in STATES:
        why = f"must be one of {', '.join(STATES)}"
        problems.append(Problem(where, f"{field}.state", str(state), why))
    mark = raw.get("mark", "")
    if mark and mark not in MARKS:
        problems.append(Problem(where, f"{field}.mark", str(mark), f"one of {', '.join(MARKS)}"))
    if mark == "unverified" and state != "assumption":
        why = "what nobody here has checked is an assumption, whoever may have published it"
        problems.append(Problem(where, f"{field}.state", str(state), why))
    if len(problems) > before:
        return None
    note = str(raw.get("note", ""))
    return Source(str(source), int(str(year)), str(state), note, str(mark))


@dataclass(frozen=True, slots=True)
class Cited:
    """A figure from outside, with its source.

    Attributes:
        value: in its unit, or in that of the name it stands under.
        source: who says so.
        unit: as the file says it; may be empty.
    """

    value: float
    source: Source
    unit: str = ""


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of our own whose top is a mapping.

    Raises:
        BadInput: it is damaged.
    """
    problems: list[Problem] = []
    content = read_yaml(path, problems)
    if problems:
        raise BadInput(problems)
    return content


def need_source(where: str, field: str, raw: object) -> Source:
    """Read one source that must be there.

    Raises:
        BadInput: it lacks source, year or state.
    """
    problems: list[Problem] = []
    source = read_source(where, field, raw, problems)
    if source is None:
        raise BadInput(problems)
    return source


def load_cited(path: Path) -> dict[str, Cited]:
    """Read a file of figures, each ``{value, source, year, state}`` with unit, note and mark.

    Raises:
        BadInput: with everything wrong with the file.
    """
    problems: list[Problem] = []
    found = {}
    for name, entry in read_yaml(path, problems).items():
        told = {key: entry[key] for key in entry if key not in ("value", "unit")}
        source = read_source(path.name, name, told, problems)
        if source is not None:
            found[name] = Cited(float(entry["value"]), source, str(entry.get("unit", "")))
    if problems:
        raise BadInput(problems)
    return found
