"""Finds, reads and checks factories and scenarios, bundled ones by name and one's own by path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.checks import check_built
from gigafactory.factory.eventchecks import check_events
from gigafactory.factory.models import Factory
from gigafactory.factory.reading import SCALARS, Document, nearest, read_document
from gigafactory.factory.scenario import Scenario, apply_changes
from gigafactory.factory.validating import validate
from gigafactory.plant import Chip, load_catalogue

_SUFFIXES = (".yaml", ".yml")


def bundled() -> tuple[str, ...]:
    """Names of the bundled factories, sorted."""
    return _names("factories")


def bundled_scenarios() -> tuple[str, ...]:
    """Names of the bundled scenarios, sorted."""
    return _names("scenarios")


def load_factory(
    name_or_path: str | Path,
    scenario: Scenario | None = None,
    *,
    catalogue: Mapping[str, Chip] | None = None,
    strict: bool = False,
) -> Factory:
    """Read a factory, apply a scenario's changes to it, and check the result.

    Args:
        name_or_path: a bundled name (`bundled`) or the path of a YAML file.
        scenario: changes to apply before reading; its events are checked against the factory.
        catalogue: accelerators known; the bundled catalogue when left out.
        strict: every figure the file gives must also have a source.

    Raises:
        BadInput: with every problem found.
    """
    factory, problems = _examine(name_or_path, scenario, catalogue, strict)
    if problems or factory is None:
        raise BadInput(problems)
    return factory


def check_factory(
    name_or_path: str | Path,
    scenario: Scenario | None = None,
    *,
    catalogue: Mapping[str, Chip] | None = None,
    strict: bool = False,
) -> list[Problem]:
    """Every problem of a factory file, sorted by place; empty when it can be used."""
    return _examine(name_or_path, scenario, catalogue, strict)[1]


def load_scenario(name_or_path: str | Path) -> Scenario:
    """Read a scenario, a bundled one by name or one's own by path.

    Raises:
        BadInput: with every problem that can be seen without a factory; the rest (an unknown site,
            a local time that does not exist there) is found by `load_factory`.
    """
    document = _document(name_or_path, "scenarios")
    scenario, problems, _ = validate(document, Scenario)
    problems = [*document.problems, *problems]
    if problems or scenario is None:
        raise BadInput(_sorted(problems))
    return scenario.placed(document)


def factory_text(factory: Factory) -> str:
    """Write a factory as the YAML file that reads back as the same factory."""
    return _yaml_text(factory.model_dump(by_alias=True, exclude_unset=True))


def scenario_text(scenario: Scenario) -> str:
    """Write a scenario as the YAML file that reads back as the same scenario."""
    return _yaml_text(scenario.model_dump(by_alias=True, exclude_unset=True))


def _examine(
    name_or_path: str | Path,
    scenario: Scenario | None,
    catalogue: Mapping[str, Chip] | None,
    strict: bool,
) -> tuple[Factory | None, list[Problem]]:
    document = _document(name_or_path, "factories")
    problems = list(document.problems)
    if not document.data:
        return None, problems
    if scenario is not None:
        problems += apply_changes(document, scenario)
    factory, found, guessed = validate(document, Factory)
    problems += found
    if factory is not None:
        chips = load_catalogue() if catalogue is None else catalogue
        problems += check_built(factory, document, chips, guessed, strict=strict)
        if scenario is not None:
            problems += check_events(factory, scenario, chips)
    return factory, _sorted(problems)


def _document(name_or_path: str | Path, folder: str) -> Document:
    name = str(name_or_path)
    known = _names(folder)
    if name in known:
        file = resources.files("gigafactory.factory").joinpath("data", folder, f"{name}.yaml")
        with resources.as_file(file) as path:
            return read_document(path, f"{name}.yaml")
    path = Path(name_or_path)
    if path.suffix in _SUFFIXES or path.exists() or "/" in name:
        return read_document(path)
    kind = "factory" if folder == "factories" else "scenario"
    why = f"no bundled {kind} and no file has this name; {nearest(name, known)}"
    return Document(name, problems=[Problem(name, "", "", why)])


def _names(folder: str) -> tuple[str, ...]:
    files = resources.files("gigafactory.factory").joinpath("data", folder)
    return tuple(
        sorted(f.name.removesuffix(".yaml") for f in files.iterdir() if f.name.endswith(".yaml"))
    )


def _sorted(problems: list[Problem]) -> list[Problem]:
    """By file and line, each told once."""

    def place(problem: Problem) -> tuple[str, int, str, str]:
        file, _, line = problem.where.rpartition(":")
        numbered = line.isdigit()
        return (
            file if numbered else problem.where,
            int(line) if numbered else 0,
            problem.field,
            problem.why,
        )

    return sorted(set(problems), key=place)


def _yaml_text(data: dict[str, Any]) -> str:
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text


class _Dumper(yaml.SafeDumper):
    """The safe writer, without anchors, quoting what our reader or another would misread."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


for _kind, _pattern, _first in SCALARS:
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(_pattern), list(_first))
