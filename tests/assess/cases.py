"""Subjects made up for tests: the bundled factory with changes, and runs that were never run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from gigafactory.assess import Subject
from gigafactory.factory import Factory, factory_text, load_factory
from gigafactory.factory.dossier import Dossier

TODAY = dt.date(2026, 11, 28)
HOUR_NS = 3_600 * 10**9


@lru_cache(maxsize=4)
def bundled(name: str) -> Factory:
    """A bundled factory, read once."""
    return load_factory(name)


def changed(changes: Mapping[str, Any], place: Path, base: str = "rotterdam") -> Factory:
    """A bundled factory with settings changed, read through the door everybody uses."""
    raw = yaml.safe_load(factory_text(bundled(base)))
    for path, value in changes.items():
        *above, last = path.split(".")
        here = raw
        for step in above:
            here = here[int(step)] if isinstance(here, list) else here[step]
        here[int(last) if isinstance(here, list) else last] = value
    file = place / "factory.yaml"
    file.write_text(yaml.safe_dump(raw, sort_keys=False, allow_unicode=True), "utf-8")
    return load_factory(str(file))


def dossier(place: Path, **files: Any) -> Dossier:
    """A dossier of some files: `answers__cloud={...}` is answers/cloud.yaml."""
    folder = place / "dossier"
    for name, content in files.items():
        path = folder / (name.replace("__", "/") + ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else yaml.safe_dump(content, allow_unicode=True)
        path.write_text(text, "utf-8")
    folder.mkdir(exist_ok=True)
    return Dossier("made-up", folder)


def subject(
    factory: Factory | None = None,
    told: Dossier | None = None,
    summary: Mapping[str, Any] | None = None,
    run: Path | None = None,
    today: dt.date = TODAY,
) -> Subject:
    """A subject from its parts; without any, the bundled factory alone and no dossier."""
    parts = (told or Dossier(), today, run, summary or {})
    return Subject(factory or bundled("rotterdam"), *parts)


def write_series(
    run: Path, columns: Mapping[str, Sequence[float]], start: dt.date, site: str = "maasvlakte"
) -> Path:
    """A run folder that holds hours of one site and nothing else."""
    run.mkdir(parents=True, exist_ok=True)
    zone = ZoneInfo("Europe/Amsterdam")
    first = int(dt.datetime.combine(start, dt.time(), zone).timestamp()) * 10**9
    hours = len(next(iter(columns.values())))
    at = first + np.arange(hours, dtype=np.int64) * HOUR_NS
    table = {"site": [site] * hours, "start_ns": at, "end_ns": at + HOUR_NS}
    numbers = {name: np.asarray(values, np.float64) for name, values in columns.items()}
    pq.write_table(pa.table({**table, **numbers}), run / "series.parquet")
    return run


def a_year(**more: Any) -> dict[str, Any]:
    """The least a summary of a whole year says."""
    return {"start": "2025-01-01", "days_done": 365, **more}


def paper(verified_by: str | None = "Auditor (demo)", **more: Any) -> dict[str, Any]:
    """A document of a dossier."""
    found = {"title": "A paper", "owner": "Board", "dated": "2026-01-01", **more}
    return found if verified_by is None else {**found, "verified_by": verified_by}


def claim(answer: int, *documents: Mapping[str, Any]) -> dict[str, Any]:
    """An answer with its documents."""
    why = {"en": "Because.", "nl": "Daarom."}
    source = "Made up, 2026, assumption"
    return {"answer": answer, "why": why, "source": source, "documents": list(documents)}
