"""What registers share: where they lie, and how what is wrong with them is told at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from pydantic import BaseModel

from gigafactory.assess.subject import Subject
from gigafactory.engine.errors import BadInput, Problem

M = TypeVar("M", bound=BaseModel)

#: What is wrong with an entry: the path to it, the value, why.
Wrong = tuple[str, object, str]


def load_register(subject: Subject, name: str, model: type[M]) -> M | None:
    """A register of the dossier, `registers/NAME.yaml`; None where there is none.

    Raises:
        BadInput: with every problem of the file.
    """
    return subject.load(f"registers/{name}.yaml", model)


def refuse_wrong(subject: Subject, name: str, wrong: Iterable[Wrong]) -> None:
    """Tell everything that is wrong with a register at once.

    Raises:
        BadInput: where anything is.
    """
    where = f"{subject.dossier.name}/registers/{name}.yaml"
    problems = [Problem(where, path, str(value), why) for path, value, why in wrong]
    if problems:
        raise BadInput(problems)


def twice(kind: str, names: Iterable[str]) -> list[Wrong]:
    """A complaint for each name that stands there again."""
    seen: set[str] = set()
    found: list[Wrong] = []
    for name in names:
        if name in seen:
            found.append((f"{kind}.{name}", name, "is given twice; every entry has its own id"))
        seen.add(name)
    return found


__all__ = ["Wrong", "load_register", "refuse_wrong", "twice"]
