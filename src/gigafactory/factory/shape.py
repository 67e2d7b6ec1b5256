"""Looks at the models as a tree of settings, for hints, sources, schema and reference page."""

from __future__ import annotations

import datetime as dt
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gigafactory.factory.quantities import UNREADABLE, Figure


@dataclass(frozen=True, slots=True)
class Shape:
    """What may stand at one place of a file.

    Attributes:
        kind: figure, block, list, table, choice, text, flag, day, time, union or any.
        figure: the marker of a number.
        model: the block.
        item: what a list or table holds.
        choices: the words of a choice, or the keys a table may have.
        variants: the blocks of a union, by the value of their ``kind``.
        optional: it may be left empty.
    """

    kind: str
    figure: Figure | None = None
    model: type[BaseModel] | None = None
    item: Shape | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False
    variants: tuple[tuple[str, type[BaseModel]], ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a block: its key in the file, its attribute and its shape."""

    key: str
    attribute: str
    shape: Shape
    required: bool
    default: Any
    meaning: str
    source: str


def shape_of(annotation: Any, metadata: tuple[Any, ...] = ()) -> Shape:
    """Read a type annotation as a shape."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *marks = get_args(annotation)
        return shape_of(inner, (*metadata, *marks))
    for mark in metadata:
        if isinstance(mark, Figure):
            return Shape("figure", figure=mark)
    if origin in {Union, types.UnionType}:
        parts = [part for part in get_args(annotation) if part is not type(None)]
        if len(parts) > 1:
            kinds = [get_args(part.model_fields["kind"].annotation)[0] for part in parts]
            return Shape("union", variants=tuple(zip(kinds, parts, strict=True)))
        inner = shape_of(parts[0])
        return Shape(inner.kind, inner.figure, inner.model, inner.item, inner.choices, True)
    if origin is tuple:
        return Shape("list", item=shape_of(get_args(annotation)[0]))
    if origin is dict:
        keys, values = get_args(annotation)
        return Shape("table", item=shape_of(values), choices=shape_of(keys).choices)
    if origin is Literal:
        return Shape("choice", choices=tuple(map(str, get_args(annotation))))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Shape("block", model=annotation)
    plain = {str: "text", bool: "flag", dt.date: "day", dt.datetime: "time"}
    return Shape(plain.get(annotation, "any"))


def settings(model: type[BaseModel]) -> dict[str, Setting]:
    """The settings of a block by their key in the file."""
    return {
        (field.alias or name): _setting(name, field) for name, field in model.model_fields.items()
    }


def _setting(name: str, field: FieldInfo) -> Setting:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    default = None if field.default is PydanticUndefined else field.default
    return Setting(
        key=field.alias or name,
        attribute=name,
        shape=shape_of(field.annotation, tuple(field.metadata)),
        required=field.is_required(),
        default=default,
        meaning=field.description or "",
        source=str(extra.get("source", "")),
    )


def child(shape: Shape, step: str | int) -> Shape | None:
    """What may stand one step further, or None where nothing may."""
    if shape.kind == "block" and shape.model is not None:
        found = settings(shape.model).get(str(step))
        return found.shape if found else None
    if shape.kind == "union":
        model = dict(shape.variants).get(str(step))
        return Shape("block", model=model) if model is not None else None
    return shape.item


def shape_at(model: type[BaseModel], path: tuple[str | int, ...]) -> Shape | None:
    """What may stand at a path of the file, or None where nothing may."""
    here: Shape | None = Shape("block", model=model)
    for step in path:
        here = child(here, step) if here is not None else None
    return here


def placeholder(shape: Shape) -> Any:
    """A value that passes the models and upsets no check, in place of one that was wrong."""
    if shape.optional:
        return None
    if shape.kind == "block" and shape.model is not None:
        found = settings(shape.model)
        return {key: placeholder(one.shape) for key, one in found.items() if one.required}
    simple: dict[str, Any] = {
        "figure": UNREADABLE,
        "list": [],
        "table": {},
        "choice": shape.choices[0] if shape.choices else "",
        "text": "XX",  # passes as a name, a country and any text
        "flag": False,
        "day": dt.date(1970, 1, 1),
        "time": dt.datetime(1970, 1, 1),  # noqa: DTZ001  (local time; its zone is the site's)
    }
    return simple.get(shape.kind)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One number of a built block, with its way there.

    Attributes:
        path: keys, names and indices from the top.
        blocks: every block on the way, outermost first, with its depth in the path.
        setting: the setting it belongs to (of the innermost block).
        given: whether the file gave it (False: it is the model's default).
        value: the number, in its unit.
        unit: that unit, "" for a count or ratio.
        figure: how it is read and written.
    """

    path: tuple[str | int, ...]
    blocks: tuple[tuple[int, BaseModel], ...]
    setting: Setting
    given: bool
    value: float
    unit: str
    figure: Figure


def leaves(root: BaseModel) -> Iterator[Leaf]:
    """Every number of a built model, in the order of the models."""
    yield from _block_leaves(root, (), ())


def _block_leaves(
    block: BaseModel, path: tuple[str | int, ...], above: tuple[tuple[int, BaseModel], ...]
) -> Iterator[Leaf]:
    blocks = (*above, (len(path), block))
    for one in settings(type(block)).values():
        given = one.attribute in block.model_fields_set
        value = getattr(block, one.attribute)
        yield from _value_leaves(value, one.shape, (*path, one.key), blocks, one, given)


def _value_leaves(
    value: Any,
    shape: Shape,
    path: tuple[str | int, ...],
    blocks: tuple[tuple[int, BaseModel], ...],
    one: Setting,
    given: bool,
) -> Iterator[Leaf]:
    if value is None:
        return
    if shape.kind == "figure" and shape.figure is not None:
        yield Leaf(path, blocks, one, given, value, shape.figure.unit, shape.figure)
    elif shape.kind == "block":
        yield from _block_leaves(value, path, blocks)
    elif shape.kind == "list" and shape.item is not None:
        for at, item in enumerate(value):
            yield from _value_leaves(item, shape.item, (*path, at), blocks, one, given)
    elif shape.kind == "table" and shape.item is not None:
        for key in value:
            yield from _value_leaves(value[key], shape.item, (*path, key), blocks, one, given)
