"""Statements: every kind in both languages, every number with its trail, what lacks is said."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from page_reader import Page

from gigafactory import __version__
from gigafactory.engine.errors import BadInput
from gigafactory.report import KINDS, write_statement
from gigafactory.report.frames import lookup
from gigafactory.report.statements.equivalences import compared
from gigafactory.report.statements.parts.grounds import briefly
from gigafactory.report.statements.providers import PROVIDERS
from gigafactory.report.voice import LANGUAGES, texts

STATEMENTS = [kind for kind in KINDS if kind != "operations"]
#: Short ones, one language each, stand in the quick loop; the long ones are told by `make test`.
QUICK = {("eed", "nl"), ("access", "en"), ("tender", "nl"), ("sustainability", "en")}
ALL = [
    pytest.param(kind, lang, marks=() if (kind, lang) in QUICK else pytest.mark.slow)
    for kind in STATEMENTS
    for lang in LANGUAGES
]


class Written(dict[str, str]):
    """Every statement of a run as text, by kind and language; each is written when first asked."""

    def __init__(self, run: Path, out: Path) -> None:
        super().__init__()
        self._run, self._out = run, out

    def __missing__(self, name: str) -> str:
        kind, lang = name.split(".")
        path = write_statement(self._run, kind, lang, out=self._out)
        assert path.name == f"{name}.html"
        self[name] = path.read_text("utf-8")
        return self[name]


@pytest.fixture(scope="session")
def written(of_rotterdam: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The statements of the made-up run; nobody may change them."""
    return Written(of_rotterdam, tmp_path_factory.mktemp("statements"))


@pytest.mark.parametrize(("kind", "lang"), ALL)
def test_each_kind_is_a_whole_page_that_loads_nothing(
    written: Written, kind: str, lang: str
) -> None:
    html = written[f"{kind}.{lang}"]
    page = Page(html)
    assert page.crossed == []
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for element in page.elements:
        for name in ("src", "href", "xlink:href"):
            target = element.attributes.get(name, "")
            assert not target or target.startswith(("#", "data:")), element
            assert not target.startswith("#") or target[1:] in ids, target
    assert page.all("html")[0].attributes["lang"] == lang
    assert page.all("h1")[0].text == texts(lang)[f"kind.{kind}.title"]
    assert page.all("script") == []


@pytest.mark.parametrize(("kind", "lang"), ALL)
def test_the_head_says_who_when_which_run_which_version_and_what_input(
    written: Written, of_rotterdam: Path, kind: str, lang: str
) -> None:
    summary = json.loads((of_rotterdam / "summary.json").read_text("utf-8"))
    page = Page(written[f"{kind}.{lang}"])
    head = next(e for e in page.all("dl") if "header" in e.inside).text
    for told in ("VOLT", summary["digest"][:16], f"gigafactory {__version__}"):
        assert told in head
    assert texts(lang)["input.synthetic"] in head
    assert [e for e in page.all("div") if e.attributes.get("class") == "banner"]
    assert texts(lang)["statement.advice"] in written[f"{kind}.{lang}"]


@pytest.mark.parametrize(("kind", "lang"), ALL)
def test_every_number_leads_to_a_source_that_exists(
    written: Written, of_rotterdam: Path, kind: str, lang: str
) -> None:
    summary = json.loads((of_rotterdam / "summary.json").read_text("utf-8"))
    page = Page(written[f"{kind}.{lang}"])
    lines = {e.attributes["id"]: e.text.split() for e in page.all("li") if "id" in e.attributes}
    numbers = page.all("data")
    assert len(numbers) > 10
    links = iter([e for e in page.all("a") if e.attributes.get("class") == "t"])
    for number in numbers:
        source = number.attributes["data-source"]
        assert lines[next(links).attributes["href"][1:]] == briefly(source)
        for one in source.split():
            place, _, key = one.partition(":")
            assert f"trail.{place}" in texts(lang), one
            if place == "summary":
                assert lookup(summary, key) is not None, one
            if place == "equivalence":
                assert key in compared()


@pytest.mark.parametrize(("kind", "lang"), ALL)
def test_no_number_of_a_table_stands_alone(written: Written, kind: str, lang: str) -> None:
    html = written[f"{kind}.{lang}"]
    cells = re.findall(r'<td class="n">(.*?)</td>', html, flags=re.DOTALL)
    assert [cell for cell in cells if re.search(r"\d", cell) and "<data" not in cell] == []


@pytest.mark.slow
def test_a_number_with_one_key_is_that_number(written: Written, of_rotterdam: Path) -> None:
    summary = json.loads((of_rotterdam / "summary.json").read_text("utf-8"))
    checked = 0
    for name in (f"{kind}.{lang}" for kind in STATEMENTS for lang in LANGUAGES):
        for element in Page(written[name]).all("data"):
            source = element.attributes["data-source"]
            found = lookup(summary, source.removeprefix("summary:"))
            if source.startswith("summary:") and isinstance(found, int | float):
                assert float(element.attributes["value"]) == pytest.approx(float(found), rel=1e-11)
                checked += 1
    assert checked > 200


def test_rows_of_one_list_stand_together_where_a_number_has_many() -> None:
    many = " ".join(f"summary:shares.{row}.held_gpu_h" for row in range(9))
    assert briefly(f"{many} summary:days") == ["summary:shares.*.held_gpu_h", "summary:days"]
    assert briefly("summary:shares.1.held_gpu_h") == ["summary:shares.1.held_gpu_h"]


def test_the_same_run_gives_the_same_bytes(
    written: Written, of_rotterdam: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(of_rotterdam, tmp_path / of_rotterdam.name))
    for kind in ("eed",):
        again = write_statement(moved, kind, "nl")
        assert again == moved / "statements" / f"{kind}.nl.html"
        assert again.read_text("utf-8") == written[f"{kind}.nl"]


def test_operations_is_the_report_of_the_run(copy: Path) -> None:
    path = write_statement(copy, "operations")
    assert path.read_bytes() == (copy / "report.html").read_bytes()


def test_an_unknown_kind_is_refused_and_names_those_there_are(copy: Path) -> None:
    with pytest.raises(BadInput, match="operations, strategy, eed, tender"):
        write_statement(copy, "annual")
    assert not (copy / "statements").exists()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_part_whose_dossier_file_is_missing_is_said_not_invented(
    of_rotterdam: Path, tmp_path: Path, lang: str
) -> None:
    bare = Path(shutil.copytree(of_rotterdam, tmp_path / "bare"))
    for path in (bare / "dossier").rglob("*.yaml"):
        path.unlink()
    page = Page(write_statement(bare, "sustainability", lang).read_text("utf-8"))
    told = " ".join(e.text for e in page.all("li"))
    wanted = texts(lang)["absent.file"].format(
        part=texts(lang)["part.circular"], lacking=PROVIDERS["circular"].file
    )
    assert wanted in told
    held = [e.attributes.get("id") for e in page.all("section")]
    assert "p-circular" not in held
    assert "p-footprint" in held


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_part_the_run_did_not_record_is_said(
    of_rotterdam: Path, tmp_path: Path, lang: str
) -> None:
    bare = Path(shutil.copytree(of_rotterdam, tmp_path / "bare"))
    summary = json.loads((bare / "summary.json").read_text("utf-8"))
    del summary["money"]
    (bare / "summary.json").write_text(json.dumps(summary), "utf-8")
    page = Page(write_statement(bare, "finance", lang).read_text("utf-8"))
    wanted = texts(lang)["absent.run"].format(part=texts(lang)["part.cash"], lacking="money")
    assert wanted in [e.text for e in page.all("li")]


def test_measured_input_is_not_called_synthetic(of_rotterdam: Path, tmp_path: Path) -> None:
    real = Path(shutil.copytree(of_rotterdam, tmp_path / "real"))
    summary = json.loads((real / "summary.json").read_text("utf-8")) | {"synthetic": False}
    (real / "summary.json").write_text(json.dumps(summary), "utf-8")
    html = write_statement(real, "eed").read_text("utf-8")
    assert 'class="banner"' not in html
    assert texts("en")["input.measured"] in html
