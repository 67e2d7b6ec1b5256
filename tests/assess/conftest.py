"""Subjects for the tests: the bundled factory with other owners, documents and figures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gigafactory.assess import Subject
from gigafactory.factory import Factory, load_factory
from gigafactory.factory.dossier import Dossier

#: Read once; factories are frozen.
ROTTERDAM = cache(lambda: load_factory("rotterdam"))

TODAY = dt.date(2026, 11, 28)

#: Documents that open every gate that documents can open.
PAPERS = (
    "ownership",
    "governance",
    "legal_control",
    "chain_dependencies",
    "value_anchoring",
    "environmental_permit",
    "public_accounts",
)


def paper(name: str, *proves: str, **more: Any) -> str:
    """A document of evidence.yaml."""
    rows = {
        "title": "{en: A paper, nl: Een stuk}",
        "owner": "The factory",
        "dated": "2026-01-01",
        "where": "a drawer",
        **more,
    }
    lines = [f"  - id: {name}", f"    proves: [{', '.join(chr(34) + p + chr(34) for p in proves)}]"]
    return "\n".join([*lines, *(f"    {key}: {value}" for key, value in rows.items())])


def papers(*rows: str) -> str:
    """The text of evidence.yaml."""
    return "documents:\n" + "\n".join(rows) + "\n"


def verified() -> str:
    """An evidence.yaml in which somebody else checked everything."""
    return papers(*(paper(f"p-{n}", n, verified_by="An auditor") for n in PAPERS))


#: A summary of a run, with the few figures the axes ask for.
SUMMARY: dict[str, Any] = {
    "days_done": 365,
    "start": "2026-01-01",
    "accelerator_hours": {
        "installed": 1000.0,
        "down": 10.0,
        "awaiting_power": 20.0,
        "useful": 800.0,
        "overhead": 20.0,
        "lost_failure": 15.0,
        "lost_response": 3.0,
        "lost_preemption": 2.0,
        "useful_by_class": {"frontier_training": 400.0, "research": 300.0, "fine_tuning": 100.0},
    },
    "contribution": {"additional_share": 0.6},
    "energy": {"site_mwh": 1_150_000.0},
    "erf": 0.2,
    "wue_l_per_kwh": 0.1,
    "heat_mwh": 1000.0,
    "outages": [],
    "reserves": {"products": [{"available_share": 0.98, "sold_mw_h": 100.0}]},
}


class Build:
    """Builds subjects of the bundled factory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def __call__(
        self,
        factory: Factory | None = None,
        files: Mapping[str, str] | None = None,
        summary: Mapping[str, Any] | None = None,
        today: dt.date = TODAY,
    ) -> Subject:
        """A subject whose dossier holds these files, by name."""
        self.count += 1
        here = self.folder / f"dossier-{self.count}"
        here.mkdir()
        for name, text in (files or {}).items():
            (here / name).parent.mkdir(exist_ok=True)
            (here / name).write_text(text, "utf-8")
        return Subject(
            factory or ROTTERDAM(),
            Dossier(here.name, here),
            today,
            None,
            summary or {},
        )


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path)


@pytest.fixture(scope="session")
def rotterdam() -> Factory:
    return ROTTERDAM()


@pytest.fixture
def governed(rotterdam: Factory) -> Callable[..., Factory]:
    """The bundled factory with changes to its governance block."""

    def change(**settings: Any) -> Factory:
        governance = rotterdam.governance.model_copy(update=settings)
        return rotterdam.model_copy(update={"governance": governance})

    return change


def on(subject: Subject, today: dt.date) -> Subject:
    """The same subject on another day."""
    return replace(subject, today=today)
