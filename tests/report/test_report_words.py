"""Every word in both languages, every word used is there, and numbers take the language's form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gigafactory.report
from gigafactory.engine.errors import BadInput
from gigafactory.planner import conflict
from gigafactory.report.voice import LANGUAGES, Voice, texts
from gigafactory.runtime.unplanned import FALLBACK

ROOM = Path(gigafactory.report.__file__).parent
CALL = re.compile(r"""(?:\.|\b)(?:say|markup|named)\(\s*(f?)["']([^"']+)["']""")


def _used() -> set[str]:
    """Keys as they stand in code and template; what is filled in while running becomes a star."""
    files = [*ROOM.rglob("*.py"), *ROOM.rglob("*.j2")]
    found: set[str] = set()
    for path in files:
        text = path.read_text("utf-8")
        for formatted, key in CALL.findall(text):
            found.add(re.sub(r"\{[^}]*\}", "*", key) if formatted else key)
    return found


def _fits(pattern: str, key: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", r"[\w-]+"), key) is not None


def test_both_languages_have_the_same_keys() -> None:
    assert set(texts("en")) == set(texts("nl"))


def test_both_languages_fill_in_the_same_parts() -> None:
    for key, english in texts("en").items():
        parts = set(re.findall(r"\{(\w*)\}", english))
        assert parts == set(re.findall(r"\{(\w*)\}", texts("nl")[key])), key


def test_no_word_is_empty_but_the_unit_of_a_count() -> None:
    for lang in LANGUAGES:
        assert [key for key, text in texts(lang).items() if not text] == ["tile.jobs.unit"]


def test_every_word_used_exists() -> None:
    keys = set(texts("en"))
    literal = {key for key in _used() if "*" not in key and "." in key}
    assert literal - keys == set()
    for pattern in (key for key in _used() if "*" in key):
        assert any(_fits(pattern, key) for key in keys), pattern


#: Families of names that frameworks, the supply graph and access modes give their parts.
NAMED_BY_ROOMS = (
    *("score.", "score_family.", "score_part.", "assess_group.", "assess_unit.", "against."),
    *("country.", "access_mode.", "access_of."),
)
UNPLANNED = ("unplanned_limit.", "unplanned_fault.", "unplanned_fallback.")


def test_every_limit_a_plan_may_fail_on_has_its_words() -> None:
    named = {name for _, name in (*conflict.COLUMNS, *conflict.GIVEN_ROWS)}
    named |= {conflict.PRICES, conflict.NATURE, "solver"}
    known = {k.split(".")[1] for k in texts("en") if k.startswith("unplanned_limit.")}
    assert named == known
    for fault in (conflict.NO_NUMBER, conflict.CROSSED):
        assert f"unplanned_fault.{fault.removesuffix(': ')}" in texts("nl")
    assert f"unplanned_fallback.{FALLBACK}" in texts("nl")


def test_every_word_is_used() -> None:
    patterns = _used()
    # families read by `named`, by keys handed over as text, or by rows of a table of names
    families = (
        "factory_class.",
        "cost_part.",
        "mission.",
        "state.",
        "layer.",
        "asset_layer.",
        "fate.",
        "figure.",
        "tenant_group.",
        *UNPLANNED,
        *NAMED_BY_ROOMS,
    )
    # named by the run itself, or by the rooms below
    handed = ("cost_part.", "state.", "factory_class.", "asset_layer.", "tenant_group.")
    handed += NAMED_BY_ROOMS
    handed += UNPLANNED
    source = "".join(path.read_text("utf-8") for path in ROOM.rglob("*.py"))
    for key in texts("en"):
        if key.startswith(families):
            assert key.split(".")[-1] in source or key.startswith(handed)
        else:
            assert any(_fits(pattern, key) for pattern in patterns), f"nobody says {key}"


def test_dutch_is_dutch() -> None:
    same = [key for key, text in texts("en").items() if text == texts("nl")[key]]
    assert len(same) < 0.2 * len(texts("en"))


def test_an_unknown_language_is_refused_in_plain_words() -> None:
    with pytest.raises(BadInput, match="not a language of the report"):
        Voice("fy")


@pytest.mark.parametrize(
    ("value", "digits", "english", "dutch"),
    [
        (1234.5, 1, "1,234.5", "1.234,5"),
        (0.0, 0, "0", "0"),
        (-1234567.891, 2, "−1,234,567.89", "−1.234.567,89"),
        (-0.001, 2, "0.00", "0,00"),
        (999.95, 1, "1,000.0", "1.000,0"),
        (None, 0, "not recorded", "niet vastgelegd"),
        (float("nan"), 0, "not recorded", "niet vastgelegd"),
        (float("inf"), 0, "not recorded", "niet vastgelegd"),
    ],
)
def test_numbers_take_the_form_of_the_language(
    value: float | None, digits: int, english: str, dutch: str
) -> None:
    assert Voice("en").number(value, digits) == english
    assert Voice("nl").number(value, digits) == dutch


@given(st.floats(-1e12, 1e12), st.integers(0, 6))
def test_a_number_can_be_read_back(value: float, digits: int) -> None:
    shown = Voice("nl").number(value, digits)
    read = float(shown.replace(".", "").replace(",", ".").replace("−", "-"))
    # half a digit, and a hair for a half that no float can write
    assert abs(read - value) <= 0.5000001 * 10**-digits + 1e-3 * (abs(value) > 1e9)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (119, "119 s"), (120, "2.0 min"), (7199, "120.0 min"), (7200, "2.0 h"),
     (172_800, "2.0 d"), (None, "not recorded")],
)  # fmt: skip
def test_durations_read_in_the_unit_that_fits(seconds: float | None, shown: str) -> None:
    assert Voice("en").duration(seconds).replace("\u00a0", " ") == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0.0%"), (0.1234, "12.3%"), (0.0001, "< 0.1%"), (1.0, "100.0%")]
)
def test_a_tiny_share_is_not_shown_as_nothing(value: float, shown: str) -> None:
    assert Voice("en").share(value).replace("\u00a0", " ") == shown
