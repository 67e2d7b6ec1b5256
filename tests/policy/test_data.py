"""The room's data: every rule in both languages, every figure with its origin."""

from __future__ import annotations

import datetime as dt
import re
import string
from typing import Any, get_args

import pytest

from gigafactory.factory.access import (
    AccessMode,
    DataClass,
    EvidenceKind,
    QuotaKind,
    Residency,
)
from gigafactory.factory.blocks import MissionLabel
from gigafactory.factory.demand import TenantGroup
from gigafactory.kernel import Why
from gigafactory.plant.provenance import STATES
from gigafactory.policy import access_modes, explain, frontier_minimum_mw, rules, thresholds
from gigafactory.policy.rules import KINDS, LANGUAGES, Reason
from gigafactory.policy.tables import read_data

FILES = ("access_modes.yaml", "rules.yaml", "thresholds.yaml")
SAMPLES: dict[str, object] = {
    "day": dt.date(2025, 3, 1), "last": dt.date(2025, 6, 30), "data_class": "health",
    "residency": "nl", "review": "ethics", "group": "sme", "mission": "health", "mode": "fast_lane",
    "law": "US", "discount": 0.2, "share": 0.613, "cap": 0.6, "year": 2026, "steps": 1,
    "months": 3, "budget_gpu_h": 1234567.0, "latency_ms": 20.0, "network_ms": 23.456,
}  # fmt: skip


def _numbers(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_numbers(inside) for key, inside in value.items() if key != "source")
    if isinstance(value, list):
        return any(map(_numbers, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _entries(data: dict[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, entry in data.items():
        many = entry if isinstance(entry, list) else [entry]
        found += [(name, one) for one in many]
    return found


@pytest.mark.parametrize("file", FILES)
def test_every_entry_has_source_year_and_state(file: str) -> None:
    data = read_data(file)
    entries = _entries(data["rules"] if file == "rules.yaml" else data)
    assert len(entries) >= 5
    for name, entry in entries:
        source = entry["source"]
        assert source["source"].strip(), name
        assert 1990 <= source["year"] <= 2026, name
        assert source["state"] in STATES, name
    assert any(_numbers(entry) for _, entry in entries) or file == "rules.yaml"


@pytest.mark.parametrize("name", sorted(rules()))
@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_rule_has_a_title_and_a_sentence(name: str, lang: str) -> None:
    rule = rules()[name]
    assert rule.kind in KINDS
    assert rule.title(lang).strip()
    fields = {field: SAMPLES.get(field, "something") for field in rule.fields}
    text = Reason.of(name, **fields).text(lang)
    assert text == explain(name, lang, **fields)
    assert text.endswith(".")
    assert not re.search(r"[{}]|  |None", text)


def test_both_languages_use_the_same_fields_and_say_something_else() -> None:
    for rule in rules().values():
        fields = [
            {f for _, f, _, _ in string.Formatter().parse(text) if f}
            for text in (rule.text_en, rule.text_nl)
        ]
        if rule.name != "reserved_share":  # the group's own title, in each language
            assert fields[0] == fields[1], rule.name
        assert rule.text_en != rule.text_nl
        assert rule.title_en != rule.title_nl


def test_dutch_reads_as_dutch() -> None:
    english = re.compile(r"\b(the|and|of|is not|with|for|may|must|job|share)\b", re.IGNORECASE)
    for rule in rules().values():
        bare = re.sub(r"\{\w+\}|\(\w+ \w+\)", "", rule.text_nl)
        # "is", "of" and "over" are Dutch words too
        found = [word for word in english.findall(bare) if word.lower() not in {"of"}]
        assert found == [], f"{rule.name}: {found}"


def test_numbers_days_shares_and_words_are_said_in_the_language() -> None:
    fields = {
        "project": "x", "mode": "large_scale", "budget_gpu_h": 1234.0, "limit_gpu_h": 50000.0
    }  # fmt: skip
    dutch, english = (
        explain("access_budget_small", "nl", **fields),
        explain("access_budget_small", "en", **fields),
    )
    assert "1.234 GPU-uren" in dutch
    assert "50.000" in dutch
    assert "Grote projecten" in dutch
    assert "1,234 GPU-hours" in english
    assert "Large Scale" in english
    day = {"project": "x", "day": dt.date(2025, 3, 1)}
    assert "1 maart 2025" in explain("project_over", "nl", **day)
    assert "1 March 2025" in explain("project_over", "en", **day)
    months = {"tenant": "x", "month": "2025-03", "share": 0.613, "cap": 0.6}
    assert "61,3 %" in explain("concentration_exempt", "nl", **months)
    power = {"project": "x", "power_mw": 42.63, "minimum_mw": 100.0, "year": 2026}
    assert "42,6 MW" in explain("frontier_small", "nl", **power)
    assert "in 2026" in explain("frontier_small", "nl", **power)
    assert "privacytoets" in explain(
        "review_missing", "nl", project="x", data_class="health", review="privacy"
    )


def test_a_sentence_without_its_particulars_is_a_bug() -> None:
    with pytest.raises(KeyError):
        explain("chip", "en", project="x")
    with pytest.raises(KeyError):
        explain("no_such_rule", "en")
    with pytest.raises(AssertionError):
        explain("no_pool", "fr", project="x")
    with pytest.raises(AssertionError):
        Reason.of("no_pool", project="x", pool="y")


def test_the_words_of_the_factory_file_are_known_here() -> None:
    known = thresholds()
    assert set(known.data_classes) == set(get_args(DataClass))
    assert set(known.evidence) == set(get_args(TenantGroup))
    assert {kind for kinds in known.evidence.values() for kind in kinds} <= set(
        get_args(EvidenceKind)
    )
    assert known.favoured_groups <= set(get_args(TenantGroup))
    assert known.favoured_kinds <= set(get_args(QuotaKind))
    assert set(access_modes()) == set(get_args(AccessMode))
    words = read_data("rules.yaml")["words"]
    assert set(words["data_class"]) == set(get_args(DataClass))
    assert set(words["residency"]) == set(get_args(Residency))
    assert set(words["group"]) == set(get_args(TenantGroup))
    assert set(words["mission"]) == set(get_args(MissionLabel))
    for mode in access_modes().values():
        assert set(mode.free_for) <= set(mode.who) <= set(get_args(TenantGroup))
    assert {f"wait_{why.name.lower()}" for why in Why} == {
        name for name, rule in rules().items() if rule.kind == "wait"
    }


def test_the_eea_is_the_union_and_three_more() -> None:
    assert len(thresholds().eea) == 30
    assert {"NL", "NO", "IS", "LI"} <= thresholds().eea
    assert not {"US", "GB", "CH", "CN", "JP"} & thresholds().eea


@pytest.mark.parametrize(
    ("day", "power_mw"),
    [("2025-01-01", 100.0), ("2026-01-01", 100.0), ("2026-12-31", 100.0), ("2027-01-01", 220.0),
     ("2028-06-01", 484.0)],
)  # fmt: skip
def test_a_frontier_run_grows_from_its_first_year(day: str, power_mw: float) -> None:
    assert frontier_minimum_mw(dt.date.fromisoformat(day)) == pytest.approx(power_mw)


def test_time_to_access_counts_working_days_and_the_wait_for_a_cut_off() -> None:
    modes = access_modes()
    assert modes["pay_as_you_go"].mean_time_to_access_days == 0.0
    assert modes["playground"].mean_time_to_access_days == pytest.approx(2.8)
    assert modes["fast_lane"].mean_time_to_access_days == pytest.approx(5.6)
    # ten working days, and on average half of the half month between two cut-offs
    assert modes["large_scale"].mean_time_to_access_days == pytest.approx(14 + 365.25 / 48)
    assert modes["ai_for_science"].mean_time_to_access_days == pytest.approx(30.8 + 365.25 / 12)
