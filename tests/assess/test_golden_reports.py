"""Golden cases of the frameworks: what a human calculated by hand is what the code says."""

import datetime as dt
import tempfile
from pathlib import Path

import pytest

from gigafactory.assess.cloudladder import changes_for, ladder, points, score_percent, seal
from gigafactory.assess.degreedays import cooling_degree_days
from gigafactory.assess.eed import eed_rows, rows_by_field
from tests.assess.cases import changed, dossier, subject, write_series
from tests.golden.folders import hold, of

SITE = "maasvlakte"


def degree_days(given):
    return {"degree_days": cooling_degree_days(given["daily_mean_c"])}


def eed_hours(given):
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        columns = {k: v for k, v in given.items() if isinstance(v, list)}
        run = write_series(place / "run", columns, dt.date(2025, 7, 1))
        loss = f"{given['distribution_loss'] * 100:g} %"
        factory = changed({f"sites.{SITE}.cooling.distribution_loss": loss}, place)
        taken, beyond = given["taken_mwh"], given["beyond_use_mwh"]
        generator = {"site": SITE, "kind": "diesel", "emergency": True}
        summary = {
            "start": "2025-07-01",
            "days_done": 1,
            "contracts": [
                {"site": SITE, "taken_mwh": taken, "beyond_use_mwh": beyond,
                 "guarantees_kept_mwh": taken}
            ],
            "own_generation": {"generators": [{**generator, "made_mwh": given["backup_mwh"]}]},
        }  # fmt: skip

        def report(**stated):
            told = dossier(place, eed={"sites": {SITE: stated}})
            rows = rows_by_field(eed_rows(subject(factory, told, summary, run)), SITE)
            return {key: row.number for key, row in rows.items()}

        found = report(guarantees_bought="0 MWh")
        outside = report(battery_within=False)
        at_input = report(it_measured_at="it_input")
    keys = (
        *("energy", "backup_energy", "it_energy", "battery_to_grid", "water", "reused_heat"),
        *("degree_days", "renewable_contracts", "pue", "wue", "erf", "ref"),
    )
    return {key: found[key] for key in keys} | {
        "energy_battery_outside": outside["energy"],
        "pue_battery_outside": outside["pue"],
        "it_energy_at_input": at_input["it_energy"],
    }


def sovereignty_answers(given):
    answers = given["answers"]
    framework = ladder()
    return {
        "points": {name: points(answers, name) for name in framework.objectives},
        "score_percent": {name: score_percent(answers, name) for name in framework.profiles},
        "seal": seal(answers),
        "changes_to_seal_2": len(changes_for(answers, 2)),
    }


CASES = {
    "degree_days": degree_days,
    "eed_hours": eed_hours,
    "sovereignty_answers": sovereignty_answers,
}


@pytest.mark.parametrize("folder", of(CASES), ids=lambda path: path.name)
def test_golden(folder):
    hold(folder, CASES)
