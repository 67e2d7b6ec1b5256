"""The Dutch of the statements, term by term against the glossary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import gigafactory.report

ROOT = Path(__file__).parents[2]
TEXT = Path(gigafactory.report.__file__).parent / "text"
#: Terms whose English word has another meaning in a text, with what it means there.
OTHER_MEANING = {
    ("assets", "statement."): "of a company, in the words of finance",
    ("share", ""): "a part of a whole, which Dutch calls aandeel; a quota is called quotum",
    ("limit", ""): "any bound",
    ("run", ""): "to operate, besides the run of a factory",
    ("plan", ""): "the plan of the money as well",
    ("range", ""): "any range",
    ("job", ""): "in names of files",
    ("short", ""): "the opposite of long",
    ("long", ""): "how long",
    ("cut off", "chain."): "of a country, from what it supplies",
    ("control", "part.controls"): "a measure of security",
    ("control", "score.coverage"): "a measure of security",
    ("wait", ""): "the verb",
    ("import", ""): "an accounting word in names",
    ("hall", ""): "any",
    ("island", ""): "any",
    ("project", "years."): "the undertaking",
    ("rule", ""): "a law as well",
    ("node", ""): "of a graph",
    ("mission", ""): "any",
    ("class", ""): "any",
}


def _flat(tree: dict[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, found in tree.items():
        if isinstance(found, dict):
            yield from _flat(found, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", " ".join(str(found).split())


def _texts(lang: str) -> dict[str, str]:
    return dict(_flat(yaml.safe_load((TEXT / f"{lang}.statements.yaml").read_text("utf-8"))))


def _plain(words: str) -> str:
    return re.sub(r"\(.*?\)|\*", "", words).strip().lower()


def _glossary() -> list[tuple[str, tuple[str, ...]]]:
    """English terms with the Dutch ones that may stand for them."""
    rows: dict[str, tuple[str, ...]] = {}
    page = (ROOT / "docs/reference/glossary.md").read_text("utf-8")
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 3 or cells[0] in ("English", "---"):
            continue
        english = [_plain(part) for part in cells[0].split(",")]
        dutch = [_plain(part) for part in cells[1].split(",")]
        # what stands in brackets is an abbreviation, and counts as well
        short = tuple(found.lower() for found in re.findall(r"\(([^)]+)\)", cells[1]))
        paired = len(english) == len(dutch) > 1
        for place, term in enumerate(english):
            mine = (dutch[place],) if paired else tuple(d for d in dutch if d)
            rows[term] = (*rows.get(term, ()), *mine, *short)
    return [(term, allowed) for term, allowed in rows.items() if len(term) > 3]


def _says(term: str, text: str) -> bool:
    """Whether a text uses a term, also in the plural."""
    return re.search(rf"(?<![\w-]){re.escape(term)}s?(?![\w-])", text.lower()) is not None


def _stem(word: str) -> str:
    """What all forms of a Dutch word have in common: its end may bend, double or fall off."""
    first = word.split()[0] if " " in word else word
    return first[: max(4, len(first) - 3)]


def test_every_glossary_term_of_a_statement_has_the_glossarys_dutch() -> None:
    english, dutch = _texts("en"), _texts("nl")
    wrong, checked = [], 0
    for term, allowed in _glossary():
        for key, text in english.items():
            said = re.sub(r"\{\w+\}", "", text)
            if not _says(term, said):
                continue
            if any(term == t and key.startswith(p) for t, p in OTHER_MEANING):
                continue
            checked += 1
            if not any(_stem(word) in dutch[key].lower() for word in allowed):
                wrong.append(f"{key}: {term!r} should be {' or '.join(allowed)}: {dutch[key]}")
    assert checked > 60
    assert wrong == []


def test_the_check_would_notice_a_wrong_term() -> None:
    rows = dict(_glossary())
    assert any(_stem(word) in "een niet-vast transportrecht" for word in rows["non-firm capacity"])
    assert not any(_stem(word) in "een voorwaarde" for word in rows["precondition"])
    assert _says("waste heat", "The waste heat of it")
    assert not _says("heat", "preheated")


@pytest.mark.parametrize(
    "odd", [" the ", " with ", " which ", " of the ", " and ", "datacentre", "data centre"]
)
def test_no_english_is_left_in_the_dutch(odd: str) -> None:
    assert [key for key, text in _texts("nl").items() if odd in f" {text.lower()} "] == []


def test_dutch_speaks_in_decimals_and_quotes_of_its_own() -> None:
    for key, text in _texts("nl").items():
        said = re.sub(r"1\.2\.1|summary\.json|\w+\.parquet", "", text)
        assert not re.search(r"\d\.\d", said), key
        assert not re.search(r"\d,\d{3}\b", said), key


def test_nothing_of_the_words_is_a_result() -> None:
    """Figures come from runs: the words hold none but years, scopes, standards and the calendar."""
    allowed = re.compile(
        r"365[.,]25|P10|P50|P90|[Ss]copes? [123]( (to|tot en met) 3)?|SEAL.[0-4]|SOV-\d|H100"
        r"|2024/1364|v?1\.2\.1|2025|2026"
        r"|[−-]1 (to|tot) 1|m[²³]|CO₂|E1/E0"
    )
    for lang in ("en", "nl"):
        for key, text in _texts(lang).items():
            rest = allowed.sub("", re.sub(r"\{\w+\}", "", text))
            assert not re.search(r"\d", rest), (lang, key, text)
