"""What the files of this room have in common: sources of figures, plain numbers, instants."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, model_validator
from pydantic_core import PydanticCustomError

from gigafactory.factory.blocks import Block, Text, setting
from gigafactory.factory.quantities import Figure
from gigafactory.factory.validating import load_checked

DATA: Final = Path(__file__).parent / "data"

Model = TypeVar("Model", bound=BaseModel)


def _instant(value: object) -> dt.datetime:
    """An instant with its offset; text that says where on earth it was, or a problem."""
    try:
        read = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(str(value))
    except ValueError:
        read = None
    if read is None or read.tzinfo is None:
        why = "must be an instant with its offset, such as 2026-03-01T08:00:00+01:00"
        raise PydanticCustomError("instant", "{why}", {"why": why})
    return read


Number = Annotated[float, Figure()]
MassKg = Annotated[float, Figure(low=0, unit="kg")]
People = Annotated[float, Figure(low=0, unit="FTE")]
Year = Annotated[int, Figure(low=1900, high=2100, whole=True)]
Instant = Annotated[dt.datetime, BeforeValidator(_instant)]


class Citation(Block):
    """Who says so: source, year, state, and how far it was checked here."""

    source: Text = setting("Who said or measured it, so that it can be found again.")
    year: Year = setting("Year it was said or measured.")
    state: Literal["measured", "published", "assumption"] = setting("How far it is known.")
    mark: Literal["verified", "read", "unverified"] = setting(
        "verified: seen in the source; read: an excerpt or a second hand was read; unverified: "
        "general knowledge or our own choice."
    )
    note: str = setting("What was derived from it.", "")

    @model_validator(mode="after")
    def _unverified_is_assumed(self) -> Citation:
        if self.mark == "unverified" and self.state != "assumption":
            why = "what nobody here has checked is an assumption, whoever may have published it"
            raise PydanticCustomError("citation", "{why}", {"why": why})
        return self

    @property
    def text(self) -> str:
        """In one line: source, year, state, mark and note."""
        note = f": {self.note}" if self.note else ""
        return f"{self.source}, {self.year}, {self.state}, {self.mark}{note}"


def read_data(name: str, model: type[Model]) -> Model:
    """Read one of the room's own data files.

    Raises:
        BadInput: with every problem in it; a bug of ours.
    """
    return load_checked(DATA / name, name, model)


__all__ = ["DATA", "Citation", "Instant", "MassKg", "Number", "People", "Year", "read_data"]
