"""What a reader gets: tables in two languages, verdicts with their figures, never a bare point."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from gigafactory.cli import main
from gigafactory.engine.errors import EXIT_BAD_INPUT, EXIT_OK
from gigafactory.finance import CAVEAT
from gigafactory.finance.base import base_of
from gigafactory.finance.benchmarks import PREDICTABLE_SHARE, deals, judge
from gigafactory.finance.chances import RESULTS, Chances, Range, chances
from gigafactory.finance.numbers import in_language, number, share
from gigafactory.finance.statement import as_dict, statement
from gigafactory.finance.tables import read_table
from gigafactory.finance.words import lines
from tests.finance.made_up import rotterdam
from tests.finance.made_up_run import write_run

TOLD = statement("rotterdam", draws=200)


def test_no_result_stands_without_its_range() -> None:
    for lang, heads in (("en", "planned"), ("nl", "plan")):
        text = lines(TOLD, lang)
        at = next(n for n, line in enumerate(text) if heads in line and "P10" in line)
        assert re.search(r"P10\s+P50\s+P90", text[at])
        for row in text[at + 2 : at + 2 + len(RESULTS)]:
            assert len(re.findall(r"(?:-?[\d.,]+(?: %)?|-|∞)(?=\s|$)", row)) >= 4, row


def test_no_advice_is_said_first_and_last() -> None:
    for lang, words in (("en", "not financial advice"), ("nl", "geen financieel advies")):
        text = "\n".join(lines(TOLD, lang))
        assert text.count(words.removeprefix("not ")) >= 2 or text.count(words) >= 2
    assert "not an offer and not investment advice" in CAVEAT
    assert as_dict(TOLD)["caveat"] == CAVEAT


def test_dutch_is_dutch() -> None:
    text = "\n".join(lines(TOLD, "nl"))
    for word in (
        "Scenario's",
        "eigenaren",
        "netto contante waarde",
        "Behouden waarde",
        "convenant",
    ):
        assert word in text
    for word in ("planned", "revenue", "Promises", "elsewhere", " found]", "shell notes"):
        assert word not in text
    assert re.search(r"\d,\d\d", text), "a comma before the decimals"


def test_every_word_is_there_in_both_languages() -> None:
    for key, row in read_table("words.yaml").items():
        assert set(row) == {"en", "nl"}, key
        assert all(isinstance(text, str) and text for text in row.values()), key


def test_numbers_as_each_language_writes_them() -> None:
    assert number(1234567.891, 1, "en") == "1,234,567.9"
    assert number(1234567.891, 1, "nl") == "1.234.567,9"
    assert number(-0.2, 0, "en") == "0"
    assert number(float("nan"), 1, "en") == "-"
    assert share(0.1234, "nl") == "12,3 %"
    assert (
        in_language("from 1.5 to 2,000, 12% in 2025-10", "nl")
        == "from 1,5 to 2.000, 12 % in 2025-10"
    )


def test_everything_goes_into_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "finance.json"
    words = ["finance", "rotterdam", "--draws", "100", "--scenario", "crash", "--json", str(path)]
    assert main(words) == EXIT_OK
    assert str(path) in capsys.readouterr().out
    found = json.loads(path.read_text("utf-8"))
    assert [s["name"] for s in found["scenarios"]] == ["crash"]
    for name, row in found["ranges"].items():
        assert set(row) >= {"p10", "p50", "p90", "unit"}, name
    actors = found["cash_by_actor_cents"].values()
    assert all(sum(year) == 0 for year in zip(*actors, strict=True))
    assert sum(row["share"] for row in found["stack"]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rotterdam", "--scenario", "krash"], "crash"),
        (["rotterdam", "--draws", "5"], "from 100"),
        (["rotterdam", "--lang", "fr"], "en or nl"),
        (["groningen"], "no plan.yaml"),
        (["nowhere"], "no such run folder"),
        (["rotterdam", "--draws", "100", "--json", "/nowhere/at/all.json"], "cannot be written"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["finance", *words]) == EXIT_BAD_INPUT
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


def test_value_per_mw_only_where_a_source_has_the_mw() -> None:
    found = {deal.name: deal for deal in deals()}
    assert found["aligned-2025"].usd_per_mw == pytest.approx(8e6)
    assert "planned" in found["aligned-2025"].of["en"]
    assert found["volt-2025"].usd_per_mw is None
    assert found["aip-2025"].usd_per_mw is None
    assert found["aip-2025"].equity_share == pytest.approx(0.3)
    assert found["programme-17gw"].usd_per_mw == pytest.approx(50e6)
    for deal in found.values():
        assert deal.source.source
        assert deal.source.mark in {"read", "unverified"}
        assert set(deal.title) == {"en", "nl"}


def verdicts(given: Chances) -> dict[str, str]:
    return {row.name: row.verdict for row in judge(rotterdam(), given)}


def test_every_promise_has_a_verdict_and_its_source() -> None:
    for row in judge(rotterdam(), TOLD.chances):
        assert row.verdict in {"found", "not_found", "open"}
        assert set(row.why) == set(row.claim) == {"en", "nl"}
        assert row.source.source
        assert re.search(r"\d", row.why["en"]) or row.verdict == "open"


def test_verdicts_follow_the_figures() -> None:
    def with_(name: str, p10: float, p50: float, p90: float) -> Chances:
        ranges = {**TOLD.chances.ranges, name: Range(p10, p50, p90, 0.0, "")}
        return dataclasses.replace(TOLD.chances, ranges=ranges)

    usd = rotterdam().factory.finance.eur_per_usd
    assert verdicts(with_("revenue", 2e9, 3e9, 4e9))["revenue-billions"] == "found"
    assert verdicts(with_("revenue", 1e8, 2e8, 0.9e9 * usd))["revenue-billions"] == "not_found"
    assert verdicts(with_("revenue", 1e8, 2e9, 4e9))["revenue-billions"] == "open"
    assert verdicts(with_("npv", 1.0, 2.0, 3.0))["rational-investment"] == "found"
    assert verdicts(with_("npv", -2.0, -1.0, 3.0))["rational-investment"] == "not_found"
    assert verdicts(with_("npv", -2.0, 1.0, 3.0))["rational-investment"] == "open"
    near, far = 100 * (1 + PREDICTABLE_SHARE / 2), 100 * (1 + 2 * PREDICTABLE_SHARE)
    assert verdicts(with_("opex", 99.0, 100.0, near))["opex-predictable"] == "found"
    assert verdicts(with_("opex", 99.0, 100.0, far))["opex-predictable"] == "not_found"


def test_heat_is_judged_by_a_run(tmp_path: Path) -> None:
    assert verdicts(TOLD.chances)["heat-15000-homes"] == "open"
    for name, homes, verdict in (("few", 9_000, "not_found"), ("all", 15_000, "found")):
        write_run(tmp_path / name, heat_homes=homes)
        base = base_of(tmp_path / name)
        found = {r.name: r for r in judge(base, chances(base, 100))}["heat-15000-homes"]
        assert found.verdict == verdict
        assert "67 %" in found.why["en"]


def test_a_promise_that_contradicts_itself_stays_open() -> None:
    rows = {row.name: row for row in judge(rotterdam(), TOLD.chances)}
    assert rows["efficiency-conflict"].verdict == "open"
    assert "0.6" in rows["efficiency-conflict"].why["en"]
    assert rows["energy-rises"].verdict == "open"
    assert "3.34" in rows["chips-idle"].why["en"]
    assert "4,29" in rows["chips-idle"].why["nl"]
