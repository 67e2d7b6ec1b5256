"""Reads YAML so that every value knows the line it stands on.

Stricter than YAML 1.1 where that surprises people: ``NO`` is Norway and not false, ``12:30`` is
text, a key given twice is a problem, and anchors are refused (a small file could grow without
bound through them).
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from gigafactory.engine.errors import Problem

#: Where a value stands: keys of mappings and indices of lists, from the top.
Path_ = tuple[str | int, ...]

#: A problem found on the way: place, path, value, why. Its path is written out once all is read.
_Told = tuple[str, Path_, str, str]

#: The plain words that are not text: kind, form and first characters.
SCALARS: tuple[tuple[str, str, str], ...] = (
    ("bool", r"^(?:true|false)$", "tf"),
    ("null", r"^(?:~|null|)$", "~n"),
    ("int", r"^[+-]?(?:0|[1-9][0-9_]*)$", "-+0123456789"),
    (
        "float",
        r"^(?:[+-]?(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?\.inf|\.(?:nan|NaN))$",
        "-+0123456789.",
    ),
    ("timestamp", r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "0123456789"),
)


class _Loader(yaml.SafeLoader):
    """The safe reader with the few plain scalars of YAML 1.2, and without anchors."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            why = "anchors (&, *) are not used here; write the value out"
            raise yaml.composer.ComposerError(None, None, why, self.get_mark())
        return super().compose_node(parent, index)


_Loader.yaml_implicit_resolvers = {}
for _kind, _pattern, _first in SCALARS:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(_pattern), list(_first))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^$"), [""])


@lru_cache(maxsize=4)
def _composed(text: str) -> yaml.Node | None:
    """The nodes of a text; nobody changes them.

    Kept for the last few texts: a command reads the same file when it checks and when it runs it,
    and nine tenths of the time to read a factory go into this.
    """
    return yaml.compose(text, Loader=_Loader)


@dataclass(slots=True)
class Document:
    """A YAML file as plain data, with the place of every value.

    Attributes:
        where: the file as shown to a reader.
        data: the top mapping as plain dicts, lists and scalars.
        places: "file:line" per path.
        problems: what was wrong with the text itself.
    """

    where: str
    data: dict[str, Any] = field(default_factory=dict)
    places: dict[Path_, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: Path_) -> str:
        """The file and line of a path, or of the nearest block above it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return self.where

    def problem(self, path: Path_, value: object, why: str) -> Problem:
        """A problem with the value at a path."""
        return Problem(self.place(path), dotted(self.data, path), shown(value), why)


def dotted(data: Any, path: Path_) -> str:
    """Write a path for a reader: ``fleet.b200.accelerators``; list items go by their name."""
    words: list[str] = []
    here = data
    for step in path:
        word = str(step)
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            here = None
        if (
            isinstance(step, int)
            and isinstance(here, Mapping)
            and isinstance(here.get("name"), str)
        ):
            word = here["name"]
        words.append(word)
    return ".".join(words)


def shown(value: object) -> str:
    """A value as short text for a problem; a block or a list is only counted."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return f"a block of {len(value)}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the closest known word, and otherwise the first dozen of them."""
    choices = sorted(known)
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    if not choices:
        return "none is known here"
    more = ", ..." if len(choices) > 12 else ""
    return f"known here: {', '.join(choices[:12])}{more}"


def read_document(path: Path, where: str | None = None) -> Document:
    """Read a YAML file; what is wrong with it stands in the document's problems."""
    shown_as = where or str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
        return Document(shown_as, problems=[Problem(shown_as, "", "", why)])
    except UnicodeDecodeError:
        return Document(shown_as, problems=[Problem(shown_as, "", "", "is not UTF-8 text")])
    return read_text(text, shown_as)


def read_text(text: str, where: str) -> Document:
    """Read YAML text; ``where`` is shown in front of every line number."""
    document = Document(where)
    try:
        node = _composed(text)
        if node is None:
            document.problems.append(Problem(where, "", "", "is empty"))
        elif not isinstance(node, yaml.MappingNode):
            why = "must hold settings (key: value) at its top"
            document.problems.append(Problem(where, "", "", why))
        else:
            told: list[_Told] = []
            document.data = _mapping(document, node, (), told)
            document.problems += [
                Problem(at, dotted(document.data, path), value, why)
                for at, path, value, why in told
            ]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"{where}:{mark.line + 1}" if mark else where
        why = f"is not valid YAML: {error.problem or error.context}"
        document.problems.append(Problem(at, "", "", why))
    except yaml.YAMLError as error:
        why = f"is not valid YAML: {str(error).splitlines()[0]}"
        document.problems.append(Problem(where, "", "", why))
    except RecursionError:
        document.problems.append(Problem(where, "", "", "is nested too deeply"))
    return document


def _value(document: Document, node: yaml.Node, path: Path_, told: list[_Told]) -> Any:
    document.places[path] = f"{document.where}:{node.start_mark.line + 1}"
    if isinstance(node, yaml.MappingNode):
        return _mapping(document, node, path, told)
    if isinstance(node, yaml.SequenceNode):
        return [_value(document, item, (*path, at), told) for at, item in enumerate(node.value)]
    return _scalar(document, node, path, told)


def _mapping(
    document: Document, node: yaml.MappingNode, path: Path_, told: list[_Told]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    document.places.setdefault(path, f"{document.where}:{node.start_mark.line + 1}")
    for key_node, value_node in node.value:
        line = f"{document.where}:{key_node.start_mark.line + 1}"
        if not isinstance(key_node, yaml.ScalarNode):
            told.append((line, path, "", "a key must be plain text"))
            continue
        key = str(key_node.value)
        here = (*path, key)
        if key in found:
            first = document.places[here]
            why = f"is given twice (first at {first}); keep one of them"
            told.append((line, here, "", why))
            continue
        found[key] = _value(document, value_node, here, told)
        document.places[here] = line
    return found


def _scalar(document: Document, node: yaml.Node, path: Path_, told: list[_Told]) -> Any:
    kind = node.tag.rpartition(":")[2]
    text = str(node.value)
    try:
        if kind == "int":
            return int(text.replace("_", ""))
        if kind == "float":
            return float(
                text.lower().replace("_", "").replace(".inf", "inf").replace(".nan", "nan")
            )
        if kind == "timestamp":
            return dt.date.fromisoformat(text)
    except ValueError:
        pass  # not a date after all (2025-02-30), or too long: the field says what would be right
    if kind == "bool":
        return text == "true"
    if kind == "null":
        return None
    if kind in {"str", "int", "float", "timestamp"}:
        return text
    why = f"the tag {node.tag} is not used here; write plain text or a number"
    told.append((document.places[path], path, text, why))
    return text
