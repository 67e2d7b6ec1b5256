"""From a document to frozen models, with every problem told in plain words.

pydantic finds what is wrong; here each finding becomes a `Problem` at its line. What was wrong is
then replaced by a harmless placeholder, so that the checks between settings can still run and all
problems come out at once.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.reading import Document, Path_, nearest, read_document
from gigafactory.factory.shape import Shape, child, placeholder, settings

AnyModel = TypeVar("AnyModel", bound=BaseModel)

#: Wrong values can hide others (a bad key inside a block that was itself missing a name), so
#: reading is tried again around what was replaced, at most this often.
_ROUNDS: Final = 8

_EXPECTED: Final = {
    "block": "must be a block of settings (key: value)",
    "table": "must be a block of named entries (name: ...)",
    "list": "must be a list (- ...)",
    "text": "must be text",
    "flag": "must be true or false",
    "day": "must be a date, such as 2025-01-31",
}


def validate(
    document: Document, model: type[AnyModel]
) -> tuple[AnyModel | None, list[Problem], frozenset[Path_]]:
    """Build a model from a document.

    Returns:
        The model (None when not even placeholders could save it), every problem found, and the
        paths at which a placeholder stands.
    """
    data = copy.deepcopy(document.data)
    problems: list[Problem] = []
    guessed: set[Path_] = set()
    for _ in range(_ROUNDS):
        try:
            return model.model_validate(data), problems, frozenset(guessed)
        except ValidationError as error:
            for found in error.errors(include_url=False):
                spot = _spot(model, found)
                if spot.path not in guessed:
                    problems.append(_told(document, spot, found))
                guessed.add(spot.path)
                _repair(data, spot, found["type"])
    return None, problems, frozenset(guessed)


def load_checked(path: Path, where: str, model: type[AnyModel]) -> AnyModel:
    """Read a file as a model.

    Args:
        path: the file.
        where: what problems call it.
        model: its shape.

    Raises:
        BadInput: with every problem found in it.
    """
    return checked(read_document(path, where), model)


def checked(document: Document, model: type[AnyModel]) -> AnyModel:
    """A document as a model.

    Raises:
        BadInput: with every problem found in it.
    """
    problems = list(document.problems)
    found = None
    if document.data:
        found, told, _ = validate(document, model)
        problems += told
    if problems or found is None:
        raise BadInput(problems or [Problem(document.where, "", "", "is empty")])
    return found


@dataclass(frozen=True, slots=True)
class _Spot:
    """The place an error points at: its path in the data, and what may stand there and above."""

    path: Path_
    shape: Shape | None
    above: Shape | None
    is_key: bool


def _spot(model: type[BaseModel], found: ErrorDetails) -> _Spot:
    path: list[str | int] = []
    here: Shape | None = Shape("block", model=model)
    above: Shape | None = None
    for step in found["loc"]:
        if step == "[key]":
            return _Spot(tuple(path), here, above, True)
        if here is not None and here.kind == "union":
            here = child(here, step)  # pydantic names the kind of a union; the file does not
            continue
        above, here = here, child(here, step) if here is not None else None
        path.append(step)
    return _Spot(tuple(path), here, above, False)


def _told(document: Document, spot: _Spot, found: ErrorDetails) -> Problem:
    kind, value, last = found["type"], found["input"], str(spot.path[-1]) if spot.path else ""
    above = spot.above
    known = settings(above.model) if above is not None and above.model is not None else {}
    if kind == "missing":
        meaning = known[last].meaning if last in known else "a value"
        return document.problem(spot.path, None, f"is missing; give it: {meaning}")
    if kind == "extra_forbidden":
        return document.problem(spot.path, value, f"unknown key; {nearest(last, known)}")
    if spot.is_key:
        choices = above.choices if above is not None else ()
        why = f"unknown key; {nearest(last, choices)}" if choices else found["msg"]
        return document.problem(spot.path, None, why)
    return document.problem(spot.path, value, _why(kind, spot.shape, value, found["msg"]))


def _why(kind: str, shape: Shape | None, value: object, message: str) -> str:
    if shape is not None and kind == "literal_error":
        hint = nearest(str(value), shape.choices)
        hint = f"; {hint}" if hint.startswith("did") else ""
        return f"must be one of {', '.join(shape.choices)}{hint}"
    if kind.startswith("union_tag") and shape is not None:
        kinds = [name for name, _ in shape.variants]
        told = value.get("kind") if isinstance(value, dict) else None
        unknown = f"knows no kind {told!r}; it" if told is not None else "it"
        return f"{unknown} needs a kind, one of {', '.join(kinds)}".removeprefix("it ")
    if value is None:
        return "is empty; give a value, or leave the key out where it may be left out"
    if shape is not None and kind.endswith(("_type", "_parsing")) and shape.kind in _EXPECTED:
        return _EXPECTED[shape.kind]
    return message


def _repair(data: Any, spot: _Spot, kind: str) -> None:
    """Put a harmless value where a wrong one stood, or take it away where that is not possible."""
    here = data
    for step in spot.path[:-1]:
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            return
    if not spot.path or not isinstance(here, dict | list):
        return
    last: Any = spot.path[-1]
    gone = kind == "extra_forbidden" or spot.is_key or spot.shape is None
    if not gone and spot.shape is not None and spot.shape.kind != "union":
        here[last] = placeholder(spot.shape)
    elif isinstance(here, dict):
        here.pop(last, None)
    else:
        here[last] = _harmless(spot.shape)


def _harmless(union: Shape | None) -> Any:
    """A block that stands for one of a union whose kind could not be read."""
    if union is None or not union.variants:
        return None
    kind, model = union.variants[0]
    return {**placeholder(Shape("block", model=model)), "kind": kind}
