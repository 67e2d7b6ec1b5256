"""Reporting by Delegated Regulation (EU) 2024/1364: every field, and what is not known."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gigafactory.assess.eed import (
    COLUMNS,
    assess_eed,
    eed_csv,
    eed_json,
    eed_lines,
    eed_rows,
    rows_by_field,
)
from gigafactory.assess.eedvalues import installed_it_kw
from gigafactory.assess.metered import site_meters
from gigafactory.assess.results import Grade
from gigafactory.engine.errors import BadInput
from gigafactory.factory.dossier import dossier_of
from tests.assess.cases import bundled, changed, dossier, subject, write_series

SITE = "maasvlakte"
ANNEX_I = {
    *("name", "owner", "operator", "lau", "kind", "entered_operation", "redundancy_hv"),
    *("redundancy_lv", "redundancy_rack", "cooling_room", "cooling_rack", "period"),
}
SYMBOLS_II = {
    *("P_DIT", "S_DC", "S_CR", "E_DC", "E_DC-BG", "E_IT", "C_BtG", "W_IN", "W_IN-POT", "E_REUSE"),
    *("T_WH", "T_IN", "CDD", "E_RES-TOT", "E_RES-GOO", "E_RES-PPA", "E_RES-OS", "C_SERV", "C_STOR"),
    *("B_IN", "B_OUT", "T_OUT"),
}


def stated(tmp_path: Path, changes: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    told = dossier(tmp_path, eed={"sites": {SITE: fields}})
    factory = changed(changes, tmp_path) if changes else None
    return rows_by_field(eed_rows(subject(factory, told)), SITE)


def test_every_field_of_the_annexes_is_there() -> None:
    rows = eed_rows(subject())
    assert {row.field for row in rows if row.annex == "I"} == ANNEX_I
    assert {row.symbol for row in rows if row.annex == "II"} - {""} == SYMBOLS_II
    assert {row.symbol for row in rows if row.annex == "III"} == {"PUE", "WUE", "ERF", "REF"}
    assert len({row.field for row in rows}) == len(rows)


def test_the_symbol_that_is_used_twice_is_told_apart(tmp_path: Path) -> None:
    rows = stated(tmp_path, intake_air="27 °C", traffic_in_eb=1.5)
    same = [row for row in rows.values() if row.symbol == "T_IN"]
    assert [(row.field, row.unit, row.value) for row in same] == [
        ("intake_temperature", "degC", 27.0),
        ("traffic_in", "EB", 1.5),
    ]


def test_what_nobody_says_is_not_known_and_not_nought() -> None:
    rows = rows_by_field(eed_rows(subject()), SITE)
    for key in ("server_capacity", "bandwidth_in", "traffic_out", "potable_water", "energy", "pue"):
        assert (rows[key].value, rows[key].state) == (None, "unknown"), key
        assert rows[key].how["nl"].startswith("niet bekend")
    grades = {f.criterion: f.grade for f in assess_eed(subject()).findings}
    assert grades[f"{SITE}.server_capacity"] is Grade.UNMET
    assert grades[f"{SITE}.storage_capacity"] is Grade.MET


def test_both_definitions_of_it_power(tmp_path: Path) -> None:
    # 60,000 B200 and 40,000 H200 at their rating, 54 W of network each: by hand from the catalogue
    from gigafactory.plant import load_catalogue

    chips = load_catalogue()
    by_hand = (60_000 * (chips["B200"].peak_w + 54) + 40_000 * (chips["H200"].peak_w + 54)) / 1000
    assert installed_it_kw(subject(), SITE) == pytest.approx(by_hand)
    rows = stated(tmp_path, storage_power="1 MW", supporting_power="30 MW")
    assert rows["it_power"].value == pytest.approx(by_hand + 1000)
    assert rows["it_power_nl"].value == pytest.approx(by_hand + 1000 + 30_000)
    assert "RVO" in rows["it_power_nl"].source
    summary = {"start": "2025-01-01", "days_done": 7, "cooling": [{"site": SITE, "pue_max": 1.2}]}
    run = rows_by_field(eed_rows(subject(summary=summary)), SITE)
    assert run["it_power_nl"].value == pytest.approx(by_hand * 1.2)


def test_it_power_is_weighed_by_time_when_chips_arrive(tmp_path: Path) -> None:
    deliveries = [
        {"date": "2024-12-01", "accelerators": 30_000},
        {"date": "2025-01-06", "accelerators": 30_000},
    ]
    factory = changed({"fleet.0.deliveries": deliveries}, tmp_path)
    whole = installed_it_kw(subject(), SITE)
    summary = {"start": "2025-01-01", "days_done": 10}
    # half of b200 stands all ten days, the other half five of them
    late = whole - installed_it_kw(subject(factory, summary=summary), SITE)
    from gigafactory.plant import load_catalogue

    assert late == pytest.approx(15_000 * (load_catalogue()["B200"].peak_w + 54) / 1000)


@pytest.mark.parametrize(
    ("kw", "report", "waste_heat"),
    [
        (499, Grade.NOT_APPLICABLE, Grade.NOT_APPLICABLE),
        (500, Grade.MET, Grade.NOT_APPLICABLE),
        (1000, Grade.MET, Grade.MET),
    ],
)
def test_thresholds_of_500_kw_and_1_mw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kw: float, report: Grade, waste_heat: Grade
) -> None:
    monkeypatch.setattr("gigafactory.assess.eedvalues.installed_it_kw", lambda *_: float(kw))
    assessed = assess_eed(subject())
    assert assessed.of(f"{SITE}.report").grade is report
    assert assessed.of(f"{SITE}.waste_heat").grade is waste_heat


def test_defence_is_exempt(tmp_path: Path) -> None:
    told = dossier(tmp_path, eed={"sites": {SITE: {"defence_only": True}}})
    finding = assess_eed(subject(told=told)).of(f"{SITE}.report")
    assert finding.grade is Grade.NOT_APPLICABLE
    assert "defensie" in finding.why["nl"]


def test_sold_guarantees_do_not_count_and_ref_is_at_most_one(tmp_path: Path) -> None:
    names = ("it_mw", "import_mw", "export_mw", "generation_mw", "charge_mw", "discharge_mw")
    run = write_series(
        tmp_path / "run", dict(zip(names, [[8], [10], [0], [0], [0], [0]], strict=True)),
        dt.date(2025, 1, 1),
    )  # fmt: skip

    def ref(kept: float, bought: str) -> float | None:
        contract = {"site": SITE, "taken_mwh": 4, "beyond_use_mwh": 1, "guarantees_kept_mwh": kept}
        summary = {
            "start": "2025-01-01", "days_done": 1, "contracts": [contract],
            "own_generation": {"generators": []},
        }  # fmt: skip
        told = dossier(tmp_path, eed={"sites": {SITE: {"guarantees_bought": bought}}})
        row = rows_by_field(eed_rows(subject(told=told, summary=summary, run=run)), SITE)["ref"]
        return row.number

    assert ref(4, "0 MWh") == pytest.approx(0.3)
    assert ref(0, "0 MWh") == 0
    assert ref(4, "2 MWh") == pytest.approx(0.5)
    assert ref(4, "9 MWh") == 1.0


def test_the_file_is_the_same_as_csv_and_as_json() -> None:
    rows = eed_rows(subject(told=dossier_of(bundled("rotterdam"))))
    for lang in ("en", "nl"):
        table = list(csv.DictReader(io.StringIO(eed_csv(rows, lang))))
        document = json.loads(eed_json(rows, lang))
        assert tuple(table[0]) == COLUMNS
        assert "2024/1364" in document["regulation"]
        for one, other in zip(table, document["fields"], strict=True):
            assert one["field"] == other["field"]
            assert one["value"] == ("" if other["value"] is None else str(other["value"]))
            assert one["how"]
            assert one["source"]
    assert eed_csv(rows, "en") != eed_csv(rows, "nl")


def test_lines_for_a_terminal_say_what_is_not_known() -> None:
    lines = eed_lines(eed_rows(subject()), "nl")
    assert len(lines) == len(eed_rows(subject()))
    assert any("80.000 m2" in line for line in lines)
    assert any(line.endswith("niet bekend") for line in lines)


def test_a_site_the_factory_does_not_have_is_refused(tmp_path: Path) -> None:
    told = dossier(tmp_path, eed={"sites": {"moon": {}, "mars": {"unknown_key": 1}}})
    with pytest.raises(BadInput):
        eed_rows(subject(told=told))
    told = dossier(tmp_path, eed={"sites": {"moon": {}}})
    with pytest.raises(BadInput, match="has no such site"):
        eed_rows(subject(told=told))


def test_the_bundled_statement_fills_annex_one_and_leaves_open_what_nobody_measured() -> None:
    rows = rows_by_field(eed_rows(subject(told=dossier_of(bundled("rotterdam")))), SITE)
    assert [r.field for r in rows.values() if r.annex == "I" and r.value is None] == ["period"]
    assert rows["kind"].text["nl"].startswith("co-hostingdatacenter")
    assert rows["server_capacity"].value is None
    assert all(r.state != "metered" for r in rows.values())


def test_days_are_local_days_of_the_site(tmp_path: Path) -> None:
    # 29 March 2026 has 23 hours; the 24th hour belongs to the next day
    columns = {"temperature_c": [25.0] * 23 + [10.0] * 24, "it_mw": np.ones(47)}
    run = write_series(tmp_path / "run", columns, dt.date(2026, 3, 29))
    meters = site_meters(run, SITE, "Europe/Amsterdam")
    assert meters is not None
    days = meters.daily_mean("temperature_c")
    assert days is not None
    assert days.tolist() == [25.0, 10.0]
    assert meters.mwh("it_mw") == 47
    assert meters.mwh("heat_mw") is None
    assert site_meters(run, "elsewhere", "Europe/Amsterdam") is None
