"""Where every figure of a factory comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from gigafactory.factory.blocks import SourcedBlock
from gigafactory.factory.models import Factory
from gigafactory.factory.shape import Leaf, leaves, settings

STATES: Final = ("measured", "published", "assumption")

_CITATION = re.compile(
    rf"^(.+?),\s*((?:19|20)\d\d),\s*({'|'.join(STATES)})(?:\s*[:;.]\s*(.*))?$", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One figure of a factory and its origin.

    Attributes:
        path: dotted path in the factory file; items of lists go by their name.
        value: the figure in its unit, as a number.
        unit: the unit ("" for a count or ratio).
        source: the text that says where it comes from.
        year: its year, 0 when none is given.
        state: measured, published or assumption; "" when none is given.
    """

    path: str
    value: float
    unit: str
    source: str
    year: int
    state: str


def read_citation(text: str) -> tuple[str, int, str]:
    """Take a source text apart: ``source, year, state`` with a note after a colon where it helps.

    Returns:
        The source (with the note), the year and the state; ("", 0, "") when the text has another
        form.
    """
    found = _CITATION.match(text.strip())
    if found is None:
        return "", 0, ""
    source, year, state, note = found.groups()
    return (f"{source}: {note}" if note else source), int(year), state


def sources(factory: Factory) -> list[SourceRow]:
    """Every figure of a factory with its source, in the order of the file's models.

    A figure's source is looked for under its key in its own block, then under ``*`` there, then in
    the blocks around it under the key that leads to it and ``*``; a figure the file leaves to its
    default has the default's own source.
    """
    rows: list[SourceRow] = []
    for leaf in leaves(factory):
        source, year, state = read_citation(source_of(leaf))
        path = named(factory, leaf.path)
        rows.append(SourceRow(path, leaf.value, leaf.unit, source, year, state))
    return rows


def source_of(leaf: Leaf) -> str:
    """The source text of one figure, "" when it has none."""
    if not leaf.given:
        return leaf.setting.source
    for depth, block in reversed(leaf.blocks):
        if not isinstance(block, SourcedBlock):
            continue
        rest = leaf.path[depth:]
        for length in range(len(rest), 0, -1):
            key = ".".join(map(str, rest[:length]))
            if key in block.sources:
                return block.sources[key]
        if "*" in block.sources:
            return block.sources["*"]
    return ""


def sourced_blocks(factory: Factory) -> Iterator[tuple[tuple[str | int, ...], SourcedBlock]]:
    """Every block that may carry sources, with its path."""
    yield from _walk(factory, ())


def _walk(
    value: object, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], SourcedBlock]]:
    if isinstance(value, BaseModel):
        if isinstance(value, SourcedBlock):
            yield path, value
        for one in settings(type(value)).values():
            yield from _walk(getattr(value, one.attribute), (*path, one.key))
    elif isinstance(value, dict):
        for key in value:
            yield from _walk(value[key], (*path, key))
    elif isinstance(value, tuple):
        for at, item in enumerate(value):
            yield from _walk(item, (*path, at))


def named(factory: Factory, path: tuple[str | int, ...]) -> str:
    """Write a path of a built factory for a reader; items of lists go by their name."""
    words: list[str] = []
    here: object = factory
    for step in path:
        word = str(step)
        if isinstance(here, BaseModel):
            here = getattr(here, settings(type(here))[word].attribute)
        elif isinstance(here, dict):
            here = here[step]
        elif isinstance(here, tuple):
            here = here[int(step)]
            word = getattr(here, "name", None) or word
        words.append(word)
    return ".".join(words)
