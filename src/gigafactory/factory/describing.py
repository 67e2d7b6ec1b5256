"""Writes the models down: as JSON Schema for editors, and as a reference page for readers."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import BaseModel

from gigafactory.factory.models import Factory
from gigafactory.factory.scenario import Scenario
from gigafactory.factory.shape import Setting, Shape, settings
from gigafactory.factory.supplyfile import SupplyFile

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a factory file: every setting with title, meaning, unit and default."""
    return _schema(Factory, "Factory file")


def scenario_schema() -> dict[str, Any]:
    """The JSON Schema of a scenario file."""
    return _schema(Scenario, "Scenario file")


def reference_markdown() -> str:
    """The reference page: a table of every setting with its path, type, unit, meaning, default."""
    lines = [
        "# Settings of a factory file",
        "",
        "Every setting of a factory file, from the models that read it. A quantity with a unit is",
        'written as text, such as `"150 MW"`; a bare number there is an error. `<name>` stands for',
        "a name you choose, `[]` for each item of a list. Every block may also have `sources`:",
        "for a key (or `*` for the whole block) `source, year, measured|published|assumption`.",
        "",
    ]
    return "\n".join([*lines, *_sections(Factory)])


def supply_reference_markdown() -> str:
    """The reference page of `supply.yaml`, from the models that read it."""
    lines = [
        "# The supply file",
        "",
        "`supply.yaml` of a [dossier](factory-file.md#governance) says who and what stands behind",
        "a factory; [the supply graph](../explanation/supply-graph.md) says what is asked of it.",
        "What the factory file says already has its own nodes, which the file may name and add to:",
        "the factory by its name, `pool-NAME`, `chip-NAME`, `site-NAME`, `hall-SITE-HALL`,",
        "`connection-SITE`, `asset-NAME`, `battery-NAME`, `generator-NAME`, `ppa-NAME`,",
        "`tenant-NAME`, `service-SUPPLIER` (of `governance.suppliers`), and parties by their name",
        "in small letters with hyphens, what stands in brackets left out (`party-NAME` where a",
        "thing is called so). A setting the file leaves out stays as the factory file says it.",
        "",
        "An edge reads as a sentence. With `owns`, `supplies`, `operates`, `licenses` and",
        "`finances` it is `to` that needs `from`; with `consists_of` and `depends_on` it is `from`",
        "that needs `to`. Several suppliers of one thing, and several things that something",
        "depends on with a `share`, stand in for each other; what has no share is needed in full.",
        "",
        "Refused are, all at once: unknown ends, a sentence said twice, circles of ownership,",
        "circles of need, shares that come to more than 100 %, and sources without year or state.",
        "",
        "Every block may also have `sources`: for a key (or `*` for the whole block)",
        "`source, year, measured|published|assumption`.",
        "",
    ]
    return "\n".join([*lines, *_sections(SupplyFile)])


def _sections(model: type[BaseModel]) -> list[str]:
    """A section with a table for each key at the top of a file."""
    lines: list[str] = []
    for top in settings(model).values():
        if top.key == "sources":
            continue
        lines += [f"## {top.key}", "", top.meaning, ""]
        lines += ["| setting | type | unit | meaning | default |", "|---|---|---|---|---|"]
        lines += [
            f"| `{path}` | {kind} | {unit} | {what} | {default} |"
            for path, kind, unit, what, default in _rows(top, top.key)
        ]
        lines.append("")
    return lines


def _schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    parts: dict[str, Any] = schema.get("$defs", {})
    for name, part in {model.__name__: schema, **parts}.items():
        known = _model_named(model, name)
        if known is None:
            continue
        for key, one in settings(known).items():
            _tell(part["properties"][key], one)
    return {"$schema": _DIALECT, **schema, "title": title}


def _tell(described: dict[str, Any], one: Setting) -> None:
    """Write the default as it would stand in a file, and give the field a title a person reads."""
    described["title"] = one.key.replace("_", " ")
    described["description"] = one.meaning
    if "default" in described and one.shape.kind == "figure" and one.default is not None:
        assert one.shape.figure is not None
        described["default"] = one.shape.figure.write(one.default)


def _model_named(root: type[BaseModel], name: str) -> type[BaseModel] | None:
    seen: dict[str, type[BaseModel]] = {}

    def visit(shape: Shape | None) -> None:
        if shape is None:
            return
        for _, variant in shape.variants:
            visit(Shape("block", model=variant))
        visit(shape.item)
        if shape.model is not None and shape.model.__name__ not in seen:
            seen[shape.model.__name__] = shape.model
            for one in settings(shape.model).values():
                visit(one.shape)

    visit(Shape("block", model=root))
    return seen.get(name)


def _rows(one: Setting, path: str) -> list[tuple[str, str, str, str, str]]:
    shape = one.shape
    rows: list[tuple[str, str, str, str, str]] = []
    if shape.kind not in {"block"}:
        rows.append((path, _kind(shape), _unit(shape), _cell(one.meaning), _default(one)))
    for below, model in _blocks(shape, path):
        for inner in settings(model).values():
            if inner.key != "sources":
                rows += _rows(inner, f"{below}.{inner.key}")
    return rows


def _blocks(shape: Shape, path: str) -> list[tuple[str, type[BaseModel]]]:
    if shape.kind == "block" and shape.model is not None:
        return [(path, shape.model)]
    if shape.kind == "list" and shape.item is not None:
        return _blocks(shape.item, f"{path}[]")
    if shape.kind == "table" and shape.item is not None:
        return _blocks(shape.item, f"{path}.{'<class>' if shape.choices else '<name>'}")
    return []


def _kind(shape: Shape) -> str:
    if shape.kind == "figure" and shape.figure is not None:
        if shape.figure.dimension:
            return "quantity"
        return "whole number" if shape.figure.whole else "number"
    if shape.kind == "choice":
        return "one of " + ", ".join(f"`{word}`" for word in shape.choices)
    if shape.kind in {"list", "table"} and shape.item is not None:
        inside = "blocks" if shape.item.kind == "block" else _kind(shape.item)
        if shape.kind == "list":
            return f"list of {inside}"
        return f"{inside} by {'class' if shape.choices else 'name'}"
    names = {"flag": "true or false", "day": "date", "time": "local time"}
    return names.get(shape.kind, shape.kind)


def _unit(shape: Shape) -> str:
    if shape.figure is not None:
        return "%" if shape.figure.dimension == "fraction" else shape.figure.unit
    return _unit(shape.item) if shape.item is not None else ""


def _default(one: Setting) -> str:
    if one.required:
        return "required"
    value = one.default
    if value is None or value in ((), {}):
        return "empty"
    if one.shape.figure is not None:
        value = one.shape.figure.write(value)
    elif isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, dt.date):
        value = value.isoformat()
    return f"`{value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
