"""Renewable energy of a site, split into guarantees bought, contracts and what is made on site."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from gigafactory.assess.eed import eed_rows, rows_by_field
from tests.assess.cases import dossier, subject, write_series

SITE = "maasvlakte"
FLOWS = ("it_mw", "import_mw", "export_mw", "generation_mw", "charge_mw", "discharge_mw")


@pytest.mark.parametrize(
    ("kept", "retired", "parts"),
    [
        (4.0, True, (2000.0, 3000.0, 1500.0)),
        (0.0, True, (2000.0, 0.0, 1500.0)),  # guarantees of the contract were sold on
        (4.0, False, (2000.0, 3000.0, 0.0)),  # those of the roof were sold on
    ],
)
def test_three_parts_add_up_and_none_counts_what_was_sold(
    tmp_path: Path, kept: float, retired: bool, parts: tuple[float, float, float]
) -> None:
    """2 MWh bought; 4 MWh of a contract, 1 beyond use; 1.5 from the roof, 3 from a diesel."""
    values = [[8.0], [10.0], [0.0], [4.5], [0.0], [0.0]]
    run = write_series(tmp_path / "run", dict(zip(FLOWS, values, strict=True)), dt.date(2025, 1, 1))
    contract = {"site": SITE, "taken_mwh": 4, "beyond_use_mwh": 1, "guarantees_kept_mwh": kept}
    generators = [
        {"site": SITE, "kind": "solar", "emergency": False, "made_mwh": 1.5},
        {"site": SITE, "kind": "diesel", "emergency": True, "made_mwh": 3.0},
        {"site": "elsewhere", "kind": "wind", "emergency": False, "made_mwh": 9.0},
    ]
    summary = {
        "start": "2025-01-01", "days_done": 1, "contracts": [contract],
        "own_generation": {"generators": generators},
    }  # fmt: skip
    stated = {"guarantees_bought": "2 MWh", "on_site_retired": retired}
    told = dossier(tmp_path, eed={"sites": {SITE: stated}})
    rows = rows_by_field(eed_rows(subject(told=told, summary=summary, run=run)), SITE)
    names = ("renewable_guarantees", "renewable_contracts", "renewable_on_site")
    assert tuple(rows[name].number for name in names) == parts
    assert rows["renewable_total"].number == sum(parts)
