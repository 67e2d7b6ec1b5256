"""Comparisons a reader can picture: worked out again by hand, with formula and source shown."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gigafactory.report import write_statement
from gigafactory.report.statements.equivalences import compared, equivalences
from gigafactory.report.voice import LANGUAGES, texts


def test_homes_are_told_by_dutch_and_by_american_use() -> None:
    """73 days of 200 GWh are 1,000.68 GWh a year of 365.25 days."""
    rows = {row.name: row for row in equivalences(200e3, 73.0)}
    yearly_kwh = 200e6 * 365.25 / 73
    known = {name: one.value for name, one in compared().items()}
    assert known["home_us_kwh"] > 3 * known["home_nl_kwh"]
    assert rows["homes_nl"].value == pytest.approx(yearly_kwh / known["home_nl_kwh"])
    assert rows["homes_us"].value == pytest.approx(yearly_kwh / known["home_us_kwh"])
    assert rows["homes_nl"].value > 3 * rows["homes_us"].value


def test_the_share_of_national_use_has_a_denominator_with_source_and_year() -> None:
    rows = {row.name: row for row in equivalences(1.1e6, 365.25)}
    assert rows["national"].share
    assert rows["national"].uses == ("national_twh",)
    below = compared()["national_twh"]
    assert rows["national"].value == pytest.approx(1.1 / below.value)
    assert below.source.source
    assert below.source.year >= 2023
    assert below.source.mark


def test_a_city_is_as_many_people_as_its_formula_says() -> None:
    rows = {row.name: row for row in equivalences(1e6, 365.25)}
    known = {name: one.value for name, one in compared().items()}
    homes = 1e9 / known["home_nl_kwh"]
    assert rows["city_homes"].value == pytest.approx(homes * known["people_per_home"])
    each = known["national_twh"] * 1e9 / known["inhabitants"]
    assert rows["city_all"].value == pytest.approx(1e9 / each)
    twice = {row.name: row.value for row in equivalences(2e6, 365.25)}
    assert all(twice[name] == pytest.approx(2 * row.value) for name, row in rows.items())


@pytest.mark.slow
@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_statement_shows_formula_figure_and_source_of_each(
    of_rotterdam: Path, tmp_path: Path, lang: str
) -> None:
    html = write_statement(of_rotterdam, "sustainability", lang, out=tmp_path).read_text("utf-8")
    section = html.split('<section id="p-equivalences"')[1].split("</section>")[0]
    words = texts(lang)
    rows = re.findall(r"<tr>(.*?)</tr>", section, flags=re.DOTALL)
    for name in ("homes_nl", "homes_us", "city_homes", "national"):
        head = f'<th scope="row">{words[f"equivalence.row.{name}"]}</th>'
        row = next(one for one in rows if head in one)  # the first table; the second has sources
        uses = {r.name: r for r in equivalences(1.0, 1.0)}[name].uses
        for use in uses:
            assert f"equivalence:{use}" in row, (name, use)
        assert "summary:energy.site_mwh" in row
    assert words["equivalence.figure.national_twh"] in section
    assert str(compared()["national_twh"].source.year) in section


@pytest.mark.slow
@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_board_reads_of_cloud_energy_and_supply_from_one_run(
    of_rotterdam: Path, tmp_path: Path, lang: str
) -> None:
    html = write_statement(of_rotterdam, "board", lang, out=tmp_path).read_text("utf-8")
    parts = re.findall(r'<section id="([\w-]+)"', html)
    assert {"p-cloud", "p-supply", "energy"} <= set(parts), parts
    summary = json.loads((of_rotterdam / "summary.json").read_text("utf-8"))
    assert summary["digest"][:16] in html, "of the one run that its head names"
    for part in ("p-cloud", "p-supply", "energy"):
        section = html.split(f'<section id="{part}"')[1].split("</section>")[0]
        assert "<data " in section, part
