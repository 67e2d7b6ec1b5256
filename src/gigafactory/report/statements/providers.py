"""The one table of what statements ask the rooms below, and how they ask.

A room that is not part of this version, or a dossier that lacks the file it needs, is no error: the
part that wanted it says so in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from gigafactory.assess import Subject
from gigafactory.report.statements.desk import Absent, Desk

#: How often what nobody knows of the years to come is drawn.
DRAWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Provider:
    """Who answers a question.

    Attributes:
        module: the room.
        function: answers; None where the dossier lacks the file.
        file: of the dossier that it needs; empty for none.
        key: of the run's summary that it needs; empty for none.
        put: how it is asked.
    """

    module: str
    function: str
    file: str = ""
    key: str = ""
    put: Callable[[Any, Subject], Any] = lambda function, subject: function(subject)


def _with_dossier(function: Any, subject: Subject) -> Any:
    return function(subject.factory, subject.dossier)


def _with_run(function: Any, subject: Subject) -> Any:
    return function(subject.run, draws=DRAWS)


def _itself(function: Any, _subject: Subject) -> Any:
    return function  # it is about the answer of another room, which the part has already


#: By the name of the part that is missing without the answer.
PROVIDERS: Final[Mapping[str, Provider]] = {
    "axes": Provider("gigafactory.assess.counterfactuals", "assess_axes"),
    "tornado": Provider("gigafactory.assess.sensitivity", "tornado", put=_itself),
    "recommendations": Provider("gigafactory.assess.recommendations", "assess_recommendations"),
    "controls": Provider("gigafactory.assess.controls", "assess_controls"),
    "registers": Provider("gigafactory.assess.accountability", "assess_registers"),
    "cloud": Provider("gigafactory.assess.cloud", "assess_cloud", "answers/cloud.yaml"),
    "seal_steps": Provider("gigafactory.assess.cloud", "cloud_result", "answers/cloud.yaml"),
    "eed": Provider("gigafactory.assess.eed", "assess_eed"),
    "eed_fields": Provider("gigafactory.assess.eed", "eed_rows"),
    "tender": Provider("gigafactory.assess.tender", "assess_tender"),
    "siting": Provider("gigafactory.assess.siting", "assess_siting"),
    "classes": Provider("gigafactory.assess.classes", "assess_classes"),
    "access": Provider("gigafactory.assess.access", "assess_access"),
    "access_time": Provider("gigafactory.assess.access", "access_report", key="access_time"),
    "supply": Provider(
        "gigafactory.factory.supplygraph", "supply_of", "supply.yaml", put=_with_dossier
    ),
    "years": Provider(
        "gigafactory.finance.statement", "statement", "plan.yaml", "money", _with_run
    ),
    "footprint": Provider("gigafactory.assess.footprint", "footprint_of"),
    "circular": Provider("gigafactory.assess.circular", "circular_of", "circular.yaml"),
}


def ask(desk: Desk, name: str) -> Any:
    """Ask a room; the same question is put once.

    Returns:
        Its answer, or an `Absent`.

    Raises:
        BadInput: with every problem of the dossier's file.
    """
    if name not in desk.held:
        desk.held[name] = _ask(desk, name)
    return desk.held[name]


def _ask(desk: Desk, name: str) -> Any:
    provider = PROVIDERS[name]
    if not _is_there(provider.module):
        return Absent(name, "room", provider.module)
    if provider.file and desk.subject.dossier.file(provider.file) is None:
        return Absent(name, "file", provider.file)
    if provider.key and not desk.subject.summary.get(provider.key):
        return Absent(name, "run", provider.key)
    function = getattr(import_module(provider.module), provider.function)
    answer = provider.put(function, desk.subject)
    return Absent(name, "file", provider.file) if answer is None else answer


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is not there either
        return False


__all__ = ["PROVIDERS", "Provider", "ask"]
