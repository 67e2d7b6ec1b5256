"""What every block of a factory file shares: frozen, no unknown keys, a source for its figures."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict
from pydantic_core import PydanticCustomError

JobClassLabel = Literal[
    "frontier_training", "research", "fine_tuning", "inference_batch", "inference_realtime"
]
MissionLabel = Literal[
    "energy_transition", "circular_economy", "health", "agriculture_water_food", "security"
]
SourceState = Literal["measured", "published", "assumption"]


def _speaking(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("empty", "must not be empty")
    return text


def _name(text: str) -> str:
    if not text or not all(c.isalnum() or c in "-_" for c in text):
        raise PydanticCustomError(
            "name", "must be letters, digits, - and _ only, for example maasvlakte-1"
        )
    return text


def _country(text: str) -> str:
    if not (len(text) == 2 and text.isascii() and text.isalpha() and text.isupper()):
        raise PydanticCustomError("country", "must be an ISO 3166 code of two letters, such as NL")
    return text


def _maker(text: str) -> str:
    return text if text == "unknown" else _country(text)


def _day(value: object) -> dt.date:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    try:
        return dt.date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise PydanticCustomError("day", "must be a date, such as 2025-01-31") from None


Name = Annotated[str, AfterValidator(_name)]
Text = Annotated[str, AfterValidator(_speaking)]
Country = Annotated[str, AfterValidator(_country)]
CountryOrUnknown = Annotated[str, AfterValidator(_maker)]
Day = Annotated[dt.date, BeforeValidator(_day)]
Flag = Annotated[bool, Strict()]


def setting(
    meaning: str, default: Any = ..., *, key: str | None = None, source: str | None = None
) -> Any:
    """Declare one setting of a block.

    Args:
        meaning: what it is, in one sentence, for the schema and the reference page.
        default: the value when the file is silent; without one the key is required.
        key: the key in the file where it differs from the attribute (the attribute carries the
            unit last, the file's text carries it itself).
        source: where a numeric default comes from: text with source, year and state.
    """
    extra: dict[str, Any] | None = {"source": source} if source else None
    return Field(default, alias=key, description=meaning, json_schema_extra=extra)


class Block(BaseModel):
    """A part of the factory file. Frozen; an unknown key is an error, never ignored."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=False, allow_inf_nan=True
    )


class SourcedBlock(Block):
    """A block that may say where its figures come from."""

    sources: dict[str, Text] = setting(
        "Where the figures of this block come from: key (or * for all of this block and the "
        "blocks in it) to text that names the source, its year and one of measured, published, "
        "assumption.",
        {},
    )


class Words(Block):
    """A text in English and Dutch."""

    en: Text = setting("The English text.")
    nl: Text = setting("The Dutch text.")
