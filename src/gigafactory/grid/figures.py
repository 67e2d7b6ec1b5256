"""Dated figures from outside: what a rule said, from which local day on, and who says so.

The market rules of the room stand in YAML files under ``data``. Each figure is a list of dated
values, and each value names a source of the file's own list, with year, state and mark. The state
is the house's (see `gigafactory.grid.series.STATES`); the mark says what was done to check it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.grid.series import STATES, SourceRow

DATA: Final = Path(__file__).parent / "data"

#: What was done to check a figure: verified (seen in official files or measured here), read (an
#: excerpt of the cited source was read), unverified (general knowledge or our own choice).
MARKS: Final = ("verified", "read", "unverified")

#: Ending of a figure's key, and the unit its number is in; longer endings come first.
_UNITS: Final = {
    "_eur_per_kw_month": "EUR/kW per month",
    "_eur_per_kw_year": "EUR/kW per year",
    "_eur_per_mwh": "EUR/MWh",
    "_l_per_kwh": "L/kWh",
    "_eur_per_year": "EUR per year",
    "_time_h": "local hour",
    "_mw": "MW",
    "_hz": "Hz",
    "_min": "min",
    "_s": "s",
    "_h": "h",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one figure comes from.

    Attributes:
        source: who says so, in words a reader can look up.
        year: year it was said.
        state: one of `gigafactory.grid.series.STATES`.
        mark: one of `MARKS`.
        note: what a reader must know besides; may be empty.
    """

    source: str
    year: int
    state: str
    mark: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure from one local day on.

    Attributes:
        since: first local day it holds.
        value: the number; its unit is the end of the figure's key.
        origin: where it comes from.
    """

    since: dt.date
    value: float
    origin: Origin


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of one subject (a product, a market, a tariff), each with its history.

    Attributes:
        name: of the subject.
        history: figures by key, ascending by day; the key ends in the unit.
    """

    name: str
    history: Mapping[str, tuple[Figure, ...]]

    @property
    def since(self) -> dt.date:
        """First local day on which every figure is known."""
        return max(rows[0].since for rows in self.history.values())

    def on(self, day: dt.date) -> dict[str, Figure]:
        """The figures in force on a local day.

        Raises:
            BadInput: the day lies before a figure's first; each such figure is a problem.
        """
        early = [
            Problem(self.name, key, str(day), f"is known from {rows[0].since} on")
            for key, rows in self.history.items()
            if day < rows[0].since
        ]
        if early:
            raise BadInput(early)
        return {
            key: [row for row in rows if row.since <= day][-1] for key, rows in self.history.items()
        }


def source_rows(name: str, figures: Mapping[str, Figure]) -> tuple[SourceRow, ...]:
    """The provenance of figures, one row each, for a report; the mark opens the note."""
    return tuple(
        SourceRow(
            f"{name}.{key}",
            figure.value,
            next((unit for end, unit in _UNITS.items() if key.endswith(end)), ""),
            figure.origin.source,
            figure.origin.year,
            figure.origin.state,
            "; ".join(filter(None, [figure.origin.mark, figure.origin.note])),
        )
        for key, figure in figures.items()
    )


@cache
def bundled(name: str) -> Mapping[str, Figures]:
    """The subjects of a file of the package, read once (see `read_figures`)."""
    return read_figures(DATA / name)


def read_figures(path: Path) -> dict[str, Figures]:
    """Read a file of dated figures.

    The file has ``sources`` (id to source, year, state, mark, note) and ``subjects`` (name to
    figures); a figure is a list of ``{from, value, source, note}``, ascending.

    Args:
        path: the YAML file.

    Returns:
        The subjects by name.

    Raises:
        BadInput: the file cannot be used; every problem at once.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise refuse(path.name, "", None, f"cannot be read as YAML: {error}") from error
    if not isinstance(raw, dict) or not {"sources", "subjects"} <= set(raw):
        raise refuse(path.name, "", None, "needs sources and subjects at its top")
    problems: list[Problem] = []
    origins = {
        key: origin
        for key, row in raw["sources"].items()
        if (origin := _origin(path.name, f"sources.{key}", row, problems)) is not None
    }
    found = {
        name: Figures(
            name,
            {
                key: _history(path.name, f"subjects.{name}.{key}", rows, origins, problems)
                for key, rows in subject.items()
            },
        )
        for name, subject in raw["subjects"].items()
    }
    if problems:
        raise BadInput(problems)
    return found


def _origin(where: str, field: str, row: Any, problems: list[Problem]) -> Origin | None:
    if not isinstance(row, dict):
        problems.append(Problem(where, field, str(row), "needs source, year, state and mark"))
        return None
    before = len(problems)
    if not str(row.get("source") or "").strip():
        problems.append(Problem(where, f"{field}.source", "", "must name the source"))
    year = row.get("year")
    if not isinstance(year, int) or not 1990 <= year <= 2100:
        problems.append(Problem(where, f"{field}.year", str(year), "must be a year, such as 2024"))
    for key, known in (("state", STATES), ("mark", MARKS)):
        if row.get(key) not in known:
            why = f"must be one of {', '.join(known)}"
            problems.append(Problem(where, f"{field}.{key}", str(row.get(key)), why))
    if row.get("mark") == "unverified" and row.get("state") != "assumption":
        why = "what nobody here has checked is an assumption, whoever may have published it"
        problems.append(Problem(where, f"{field}.state", str(row.get("state")), why))
    if len(problems) > before or not isinstance(year, int):
        return None
    return Origin(row["source"], year, row["state"], row["mark"], str(row.get("note", "")))


def _history(
    where: str,
    field: str,
    rows: Any,
    origins: Mapping[str, Origin],
    problems: list[Problem],
) -> tuple[Figure, ...]:
    figures: list[Figure] = []
    if not isinstance(rows, list) or not rows:
        problems.append(Problem(where, field, str(rows), "needs a list of dated values"))
        return ()
    for k, row in enumerate(rows):
        place = f"{field}.{k}"
        if not isinstance(row, dict):
            problems.append(Problem(where, place, str(row), "needs from, value and source"))
            continue
        since, value, origin = (
            row.get("from"),
            row.get("value"),
            origins.get(str(row.get("source"))),
        )
        before = len(problems)
        if type(since) is not dt.date:
            problems.append(Problem(where, f"{place}.from", str(since), "must be a date"))
        elif figures and since <= figures[-1].since:
            why = f"must come after {figures[-1].since}"
            problems.append(Problem(where, f"{place}.from", str(since), why))
        if isinstance(value, bool) or not isinstance(value, int | float):
            problems.append(Problem(where, f"{place}.value", str(value), "must be a number"))
        if origin is None:
            why = "must name an entry of sources"
            problems.append(Problem(where, f"{place}.source", str(row.get("source")), why))
        if len(problems) > before or origin is None or not isinstance(since, dt.date):
            continue
        note = "; ".join(filter(None, [origin.note, str(row.get("note", ""))]))
        said = Origin(origin.source, origin.year, origin.state, origin.mark, note)
        figures.append(Figure(since, float(str(value)), said))
    return tuple(figures)
