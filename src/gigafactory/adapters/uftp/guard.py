"""A guard before the XML parser: well formed, no document type, no entities, not too deep.

The library parses with lxml in its recovering mode, which mends broken XML and expands entities
that a document declares. So every document goes through this first: expat, strict, and it stops at
the first declaration. Pure.
"""

from __future__ import annotations

from typing import Final
from xml.parsers import expat

#: Deepest nesting of elements; a settlement has four levels.
_DEEPEST: Final = 12
#: Most elements; a settlement of a month with 31 orders a day on 100 ISPs stays below.
_MOST: Final = 200_000


class Unsafe(ValueError):  # noqa: N818  (reads as what it is where it is caught)
    """Bytes that are not handed to the parser; the text says why."""


def guard(document: bytes) -> str:
    """Look a document over.

    Returns:
        The name of its root element.

    Raises:
        Unsafe: it is not well-formed XML in UTF-8, declares anything, or is too deep or too large.
    """
    try:
        text = document.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unsafe("is not UTF-8") from error
    if "\x00" in text:
        raise Unsafe("holds a zero byte")
    seen: list[str] = []
    depth = 0

    def forbid(*_: object) -> int:
        raise Unsafe("declares a document type or an entity")

    def begin(name: str, _: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if not seen or len(seen) < _MOST:
            seen.append(name)
        else:
            raise Unsafe(f"has more than {_MOST} elements")
        if depth > _DEEPEST:
            raise Unsafe(f"is nested deeper than {_DEEPEST} elements")

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def declared(_: str, encoding: str | None, __: int) -> None:
        if encoding and encoding.lower() not in ("utf-8", "utf8"):
            raise Unsafe(f"is declared as {encoding}; only UTF-8 is taken")

    parser = expat.ParserCreate()
    parser.XmlDeclHandler = declared
    parser.StartDoctypeDeclHandler = forbid
    parser.EntityDeclHandler = forbid
    parser.UnparsedEntityDeclHandler = forbid
    parser.ExternalEntityRefHandler = forbid
    parser.ProcessingInstructionHandler = forbid
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise Unsafe(f"is not well-formed XML: {error}") from error
    return seen[0]
