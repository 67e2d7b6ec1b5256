"""Passports of all hardware come out as plain data with the registers."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from gigafactory.cli import main
from gigafactory.factory import load_factory
from gigafactory.report.assessing import assess_plain


def test_every_asset_of_the_bundled_factory_has_its_passport_in_the_export(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["assess", "rotterdam", "--framework", "registers", "--day", "2026-11-28", "--json"]
    assert main(words) == 0
    rows = json.loads(capsys.readouterr().out)["frameworks"]["registers"]["passports"]
    factory = load_factory("rotterdam")
    names = {pool.name for pool in factory.fleet}
    names |= {asset.name for site in factory.sites.values() for asset in site.assets}
    assert {row["asset"] for row in rows} == names
    b200 = next(row for row in rows if row["asset"] == "b200")
    assert b200["maker"]["country"] == "US"
    assert b200["next_life"]
    plain = assess_plain("rotterdam", "axes", dt.date(2026, 11, 28))
    assert "passports" not in plain["frameworks"]["axes"]
