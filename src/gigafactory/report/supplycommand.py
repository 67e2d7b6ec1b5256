"""The command `supply`: a question on the command line, its answer as lines."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.factory import bundled, load_factory, scenario_text
from gigafactory.factory.dossier import dossier_of
from gigafactory.factory.supplygraph import supply_of
from gigafactory.factory.supplyscenario import cut_scenario
from gigafactory.report.supplytables import (
    exposure_lines,
    path_lines,
    stop_lines,
    supply_lines,
)
from gigafactory.report.voice import LANGUAGES
from gigafactory.supply import cut_of, what_stops

MONTHS_MAX = 240


@dataclass(frozen=True, slots=True)
class SupplyQuestion:
    """What is asked on the command line.

    Attributes:
        factory: a bundled factory, a file, or the folder of a run.
        stop: a node, a country's code, or a number of equal pieces of an asset; None for none.
        disable: whether what stops also switches off what it supplied.
        exposure: a node; None for none.
        path: two nodes with a colon between, the one who needs first; None for none.
        months: to look ahead.
        on: day of the cut.
        lang: "en" or "nl".
    """

    factory: str
    stop: str | None
    disable: bool
    exposure: str | None
    path: str | None
    months: int
    on: str
    lang: str


def supply_answer(asked: SupplyQuestion, *, wants_scenario: bool) -> tuple[list[str], str]:
    """Answer a question.

    Returns:
        The lines to print, and the scenario file where one is wanted ("" otherwise).

    Raises:
        BadInput: the question cannot be asked, with every problem of it, or the factory or its
            supply file has problems.
    """
    problems = []
    if asked.lang not in LANGUAGES:
        problems.append(Problem("--lang", "", asked.lang, "is en or nl"))
    if not 1 <= asked.months <= MONTHS_MAX:
        why = f"must be from 1 to {MONTHS_MAX}"
        problems.append(Problem("--months", "", str(asked.months), why))
    try:
        day = dt.date.fromisoformat(asked.on)
    except ValueError:
        problems.append(Problem("--on", "", asked.on, "must be a date, such as 2025-01-31"))
    if asked.stop is None and (wants_scenario or asked.disable):
        option = "--scenario" if wants_scenario else "--disable"
        problems.append(Problem(option, "", "", "needs --stop, which says what is cut off"))
    if problems:
        raise BadInput(problems)
    run = Path(asked.factory)
    kept = run / "factory.yaml"
    factory = load_factory(kept if kept.is_file() else asked.factory)
    picture = supply_of(factory, dossier_of(factory, run if kept.is_file() else None))
    lines: list[str] = []
    if asked.exposure is not None:
        lines += exposure_lines(picture, asked.exposure, asked.lang)
    if asked.path is not None:
        first, colon, last = asked.path.partition(":")
        if not colon:
            why = "needs two nodes with a colon between, such as pool-b200:gallium"
            raise refuse("--path", "", asked.path, why)
        lines += path_lines(picture, first, last, asked.lang)
    text = ""
    if asked.stop is not None:
        if asked.disable and "=" in asked.stop:
            raise refuse("--disable", "", asked.stop, "a piece of an asset switches nothing off")
        cut = cut_of(picture.graph, asked.stop, disables=asked.disable)
        stop = what_stops(picture.graph, cut, asked.months, day)
        if wants_scenario:
            base = asked.factory if asked.factory in bundled() else None
            text = scenario_text(cut_scenario(factory, picture, stop, day, base=base))
        lines += ([""] if lines else []) + stop_lines(picture, stop, asked.lang)
    if not lines:
        lines = supply_lines(picture, asked.lang)
    return lines, text


__all__ = ["SupplyQuestion", "supply_answer"]
