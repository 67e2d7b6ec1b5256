"""A scenario: a factory plus changes to its settings plus dated events."""

from __future__ import annotations

import copy
import datetime as dt
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, PrivateAttr, WithJsonSchema
from pydantic_core import PydanticCustomError

from gigafactory import units
from gigafactory.engine.errors import Problem
from gigafactory.factory.blocks import (
    Country,
    JobClassLabel,
    Name,
    SourcedBlock,
    Text,
    Words,
    setting,
)
from gigafactory.factory.models import Factory
from gigafactory.factory.provenance import read_citation
from gigafactory.factory.quantities import PriceEURPerMWh, Ratio, Share, TemperatureChangeK
from gigafactory.factory.reading import Document, Path_, nearest
from gigafactory.factory.shape import settings, shape_at

_MOMENT_RIGHT = (
    "must be a local date or time without an offset, such as 2025-07-01 or 2025-07-01T12:00"
)


def _moment(value: object) -> dt.datetime:
    if isinstance(value, dt.datetime):
        found = value
    elif isinstance(value, dt.date):
        found = dt.datetime.combine(value, dt.time())
    else:
        try:
            found = dt.datetime.fromisoformat(value if isinstance(value, str) else "")
        except ValueError:
            raise PydanticCustomError("moment", _MOMENT_RIGHT) from None
    if found.tzinfo is not None:
        raise PydanticCustomError("moment", _MOMENT_RIGHT)
    return found


#: A local time on the clock of a site; a date stands for its first moment.
LocalTime = Annotated[
    dt.datetime,
    BeforeValidator(_moment),
    PlainSerializer(lambda moment: moment.isoformat()),
    WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?$"}),
]


class TemperatureEvent(SourcedBlock):
    """Warmer or colder air than the weather says."""

    kind: Literal["temperature"] = setting("Kind of event.")
    site: Name | None = setting("Site it holds for; empty for every site.", None)
    from_: LocalTime = setting("Local begin.", key="from")
    until: LocalTime = setting("Local end.")
    add_k: TemperatureChangeK = setting("Added to the outdoor temperature.", key="add")


class ConnectionEvent(SourcedBlock):
    """Less of the grid connection than there should be, such as a cable cut."""

    kind: Literal["connection"] = setting("Kind of event.")
    site: Name | None = setting("Site it holds for; empty for every site.", None)
    from_: LocalTime = setting("Local begin.", key="from")
    until: LocalTime = setting("Local end.")
    factor: Share = setting("What is left of the limit.")


class DeliveriesStoppedEvent(SourcedBlock):
    """No more accelerators from a country or a vendor."""

    kind: Literal["deliveries_stopped"] = setting("Kind of event.")
    vendor_country: Country | None = setting("Country whose accelerators stay away.", None)
    vendor: Text | None = setting("Vendor whose accelerators stay away.", None)
    from_: LocalTime = setting("Local begin.", key="from")
    until: LocalTime | None = setting(
        "Local end, when what was due arrives; empty for never.", None
    )


class NoSparesEvent(SourcedBlock):
    """No spare parts from a country or a vendor: what breaks stays broken."""

    kind: Literal["no_spares"] = setting("Kind of event.")
    vendor_country: Country | None = setting(
        "Country whose accelerators go without spare parts.", None
    )
    vendor: Text | None = setting("Vendor whose accelerators go without spare parts.", None)
    from_: LocalTime = setting("Local begin.", key="from")
    until: LocalTime | None = setting(
        "Local end, when everything is repaired; empty for never.", None
    )
    failures_per_year: Share = setting("Share of the working accelerators lost in a year.")


class PriceEvent(SourcedBlock):
    """Another day-ahead price than the market's: times a factor, then plus an amount."""

    kind: Literal["price"] = setting("Kind of event.")
    from_: LocalTime = setting("Local begin.", key="from")
    until: LocalTime = setting("Local end.")
    times: Ratio = setting("Factor on the price.", 1.0, source="No change, 2026, assumption")
    add_eur_per_mwh: PriceEURPerMWh = setting(
        "Added to the price.", 0.0, key="add", source="No change, 2026, assumption"
    )


class PowerEvent(SourcedBlock):
    """Less IT power than there should be for a hall or for a class of work."""

    kind: Literal["power"] = setting("Kind of event.")
    site: Name | None = setting("Site it holds for; empty for every site.", None)
    hall: Name | None = setting("Hall that may draw less, such as one whose cooling fails.", None)
    job_class: JobClassLabel | None = setting("Class of work that may draw less.", None)
    from_: LocalTime = setting("Local begin.", key="from")
    until: LocalTime = setting("Local end.")
    factor: Share = setting("What is left of what the hall or the class may draw.")


class GridOutageEvent(SourcedBlock):
    """No grid at all: neither import nor export. The site runs on what it has of its own."""

    kind: Literal["grid_outage"] = setting("Kind of event.")
    site: Name | None = setting("Site it holds for; empty for every site.", None)
    from_: LocalTime = setting("Local begin.", key="from")
    until: LocalTime = setting("Local end.")
    announced: LocalTime | None = setting(
        "Local time from which begin and end are known at the site; empty for never.", None
    )


class RestrictionEvent(SourcedBlock):
    """A restriction of a non-firm transport right, announced by the grid operator."""

    kind: Literal["restriction"] = setting("Kind of event.")
    site: Name = setting("Site whose right it is.")
    right: Name = setting("Name of the right.")
    announced: LocalTime = setting("Local time at which it is announced.")
    from_: LocalTime = setting("Local begin.", key="from")
    until: LocalTime = setting("Local end.")
    remaining: Share = setting("What is left of the right.")


Event = Annotated[
    GridOutageEvent
    | TemperatureEvent
    | ConnectionEvent
    | RestrictionEvent
    | DeliveriesStoppedEvent
    | NoSparesEvent
    | PowerEvent
    | PriceEvent,
    Field(discriminator="kind"),
]


class Scenario(SourcedBlock):
    """What if: changes to a factory's settings and dated events."""

    name: Name = setting("Short name of the scenario.")
    title: Words = setting("Name as shown.")
    explanation: Words = setting("What happens and why it is worth asking.")
    base: Text | None = setting("Factory it was made for: a bundled name or a path.", None)
    changes: dict[str, Any] = setting(
        "Dotted path of a setting (list items by name, * for every one) to its new value, or to "
        "{times: factor} or {add: amount}.",
        {},
    )
    events: tuple[Event, ...] = setting("Dated events.", ())

    _document: Document | None = PrivateAttr(default=None)

    def placed(self, document: Document) -> Scenario:
        """Remember the file it was read from, so that problems can name its lines."""
        self._document = document
        return self

    @property
    def document(self) -> Document:
        """The file it was read from, or a nameless one."""
        return self._document or Document(f"scenario {self.name}")


_QUANTITY: Final = re.compile(r"^\s*([+-]?[0-9_.]+(?:[eE][+-]?[0-9]+)?)\s*([^\s0-9].*?)\s*$")


def apply_changes(document: Document, scenario: Scenario) -> list[Problem]:
    """Apply a scenario's changes to a factory document, in the order of the scenario's file.

    The changed values take the place (file and line) of the scenario, and the settings' sources say
    what they were.

    Returns:
        Every change that could not be applied.
    """
    problems: list[Problem] = []
    for target, change in scenario.changes.items():
        place = ("changes", target)
        try:
            paths = _find(document.data, target)
            for path in paths:
                _apply(document, scenario, target, path, change)
        except _NotApplicable as wrong:
            problems.append(
                Problem(scenario.document.place(place), f"changes.{target}", wrong.value, wrong.why)
            )
    return problems


class _NotApplicable(Exception):  # noqa: N818  (it is a condition, not a failure of ours)
    def __init__(self, value: object, why: str) -> None:
        self.value, self.why = "" if value is None else str(value), why
        super().__init__(why)


def _find(data: dict[str, Any], target: str) -> list[Path_]:
    """The paths a dotted target names; the last key may be new, the ones before may not."""
    found: list[tuple[Path_, Any]] = [((), data)]
    steps = target.split(".")
    for at, word in enumerate(steps):
        last = at == len(steps) - 1
        found = [
            ((*path, step), value)
            for path, here in found
            for step, value in _steps(here, word, last, ".".join(map(str, path)))
        ]
    return [path for path, _ in found]


def _steps(here: Any, word: str, last: bool, above: str) -> list[tuple[str | int, Any]]:
    named: dict[str, tuple[str | int, Any]] = {}
    if isinstance(here, Mapping):
        named = {str(key): (key, value) for key, value in here.items() if key != "sources"}
    elif isinstance(here, list):
        for at, item in enumerate(here):
            name = item.get("name") if isinstance(item, Mapping) else None
            named[name if isinstance(name, str) else str(at)] = (at, item)
    if word == "*":
        if named:
            return list(named.values())
        raise _NotApplicable(None, f"{above or 'the file'} has nothing a * could stand for")
    if word in named:
        return [named[word]]
    if isinstance(here, list) and word.isdecimal() and int(word) < len(here):
        return [(int(word), here[int(word)])]  # by its place, also where it has a name
    if last and isinstance(here, Mapping):
        return [(word, None)]
    where = above or "the top of the file"
    raise _NotApplicable(None, f"{where} has no {word}; {nearest(word, named)}")


def _apply(document: Document, scenario: Scenario, target: str, path: Path_, change: Any) -> None:
    parent: Any = document.data
    for step in path[:-1]:
        parent = parent[step]
    key: Any = path[-1]
    old = parent[key] if not isinstance(parent, Mapping) or key in parent else None
    parent[key] = _changed(old, copy.deepcopy(change))
    for known in [place for place in document.places if place[: len(path)] == path]:
        del document.places[known]
    told = ("changes", target)
    for place, line in scenario.document.places.items():
        if place[:2] == told:
            document.places[path + place[2:]] = line
    document.places.setdefault(path, scenario.document.place(told))
    _say_source(parent, path, scenario, old)


def _changed(old: Any, change: Any) -> Any:
    if not isinstance(change, Mapping) or set(change) not in ({"times"}, {"add"}):
        return change
    ((how, amount),) = change.items()
    if old is None:
        raise _NotApplicable(f"{how} {amount}", "is not given in the factory; give a value instead")
    return _times(old, amount) if how == "times" else _plus(old, amount)


def _times(old: Any, factor: Any) -> Any:
    if isinstance(factor, bool) or not isinstance(factor, int | float):
        raise _NotApplicable(factor, "times needs a number, such as {times: 0.5}")
    if isinstance(old, int | float) and not isinstance(old, bool):
        return old * factor
    number, unit = _split(old)
    return f"{number * factor!r} {unit}"


def _plus(old: Any, amount: Any) -> Any:
    if isinstance(old, dt.date):
        try:
            days = units.parse(amount, "duration_s") / 86400.0
        except ValueError as wrong:
            raise _NotApplicable(amount, str(wrong)) from None
        if days != int(days):
            raise _NotApplicable(amount, "must be a whole number of days, such as {add: 90 d}")
        return old + dt.timedelta(days=int(days))
    bare = isinstance(old, int | float) and not isinstance(old, bool)
    if bare and isinstance(amount, int | float) and not isinstance(amount, bool):
        return old + amount
    number, unit = _split(old)
    more, more_unit = _split(amount)
    if unit != more_unit:
        raise _NotApplicable(amount, f"must have the unit of the factory's value, {unit}")
    return f"{number + more!r} {unit}"


def _split(value: Any) -> tuple[float, str]:
    found = _QUANTITY.match(value) if isinstance(value, str) else None
    if found is None:
        raise _NotApplicable(value, "is not a number (with a unit), so it cannot be changed by one")
    try:
        return float(found.group(1).replace("_", "")), found.group(2)
    except ValueError:
        raise _NotApplicable(value, "is not a number with a unit") from None


def _say_source(parent: Any, path: Path_, scenario: Scenario, old: Any) -> None:
    """Note in the block's sources that a scenario changed this setting, and from what."""
    block = shape_at(Factory, path[:-1])
    key = str(path[-1])
    if block is None or block.model is None or not {key, "sources"} <= settings(block.model).keys():
        return
    known = parent.get("sources")
    known = dict(known) if isinstance(known, Mapping) else {}
    year = read_citation(str(known.get(key, known.get("*", ""))))[1] or 2026
    was = "not given" if old is None else old if not isinstance(old, dict | list) else "another"
    known[key] = f"Scenario {scenario.name}, {year}, assumption: was {was}"
    parent["sources"] = known
