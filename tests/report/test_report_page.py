"""The page: the same bytes, nothing from elsewhere, every number traceable, readable by all."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from page_reader import Page

from gigafactory.report import write_report
from gigafactory.report.frames import lookup
from gigafactory.report.palette import STAND_IN


@pytest.fixture(scope="module", params=["en", "nl"])
def rendered(
    request: pytest.FixtureRequest, made_up: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, Page]:
    """A run folder with the text and the elements of its page, per language."""
    if request.param == "en":
        folder = made_up
    else:
        folder = tmp_path_factory.mktemp("nl") / "made-up-1"
        shutil.copytree(made_up, folder)
        write_report(folder, request.param)
    html = (folder / "report.html").read_text("utf-8")
    return folder, html, Page(html)


@pytest.mark.slow
def test_the_same_run_gives_the_same_bytes_in_any_process(made_up: Path, copy: Path) -> None:
    code = "import sys,pathlib,gigafactory.report as r; r.write_report(pathlib.Path(sys.argv[1]))"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    (copy / "report.html").unlink()
    subprocess.run([sys.executable, "-c", code, str(copy)], check=True, env=environment)
    held = {path.name: path.read_bytes() for path in made_up.iterdir()}
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == held


def test_the_page_loads_nothing(rendered: tuple[Path, str, Page]) -> None:
    _, html, page = rendered
    for element in page.elements:
        for name in ("src", "href", "xlink:href", "action", "srcset", "poster"):
            if name in element.attributes:
                assert element.attributes[name].startswith(("#", "data:")), element
        assert not any(name.startswith("on") for name in element.attributes)
    assert page.all("script") == []
    assert "@import" not in html
    assert re.findall(r"url\((?!#)", html) == []
    assert "default-src 'none'" in html


def test_the_page_is_well_formed(rendered: tuple[Path, str, Page]) -> None:
    _, html, page = rendered
    assert page.crossed == []
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for element in page.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert set(element.attributes.get(name, "").split()) <= set(ids)
        for name in ("href", "xlink:href"):
            target = element.attributes.get(name, "")
            assert not target.startswith("#") or target[1:] in ids
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(ids)


def test_every_number_names_a_source_that_exists(rendered: tuple[Path, str, Page]) -> None:
    folder, _, page = rendered
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    columns = {
        kind: set(pq.read_schema(folder / f"{name}.parquet").names)
        for kind, name in (("series", "series"), ("jobs", "jobs"), ("sources", "sources"))
    }
    named = [e for e in page.elements if "data-source" in e.attributes]
    assert len(named) > 200
    for element in named:
        for source in element.attributes["data-source"].split():
            kind, _, key = source.partition(":")
            if kind == "summary":
                assert lookup(summary, key) is not None, source
            else:
                assert key in columns[kind], source


def test_a_number_with_one_key_is_that_number(rendered: tuple[Path, str, Page]) -> None:
    folder, _, page = rendered
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    checked = 0
    for element in page.all("data"):
        source = element.attributes["data-source"]
        if source.startswith("summary:") and " " not in source:
            value = lookup(summary, source.removeprefix("summary:"))
            assert float(element.attributes["value"]) == pytest.approx(float(value), rel=1e-11)
            checked += 1
    assert checked > 60


def test_no_number_of_the_tables_stands_without_a_source(
    rendered: tuple[Path, str, Page],
) -> None:
    _, _, page = rendered
    numbers = [e for e in page.all("td") if e.attributes.get("class") == "n" and e.text.strip()]
    traced = [e for e in page.all("data") if "td" in e.inside]
    assert len(numbers) == len(traced) > 150


def test_figures_and_tables_speak_to_those_who_do_not_see_them(
    rendered: tuple[Path, str, Page],
) -> None:
    _, _, page = rendered
    drawings = page.all("svg")
    assert len(drawings) == len(page.all("figure")) == len(page.all("figcaption")) == 10
    titles = [e for e in page.all("title") if "svg" in e.inside]
    assert len(titles) == len(page.all("desc")) == len(drawings)
    assert all(len(e.text) > 10 for e in page.all("desc"))
    assert all(e.attributes.get("role") == "img" for e in drawings)
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(e.attributes.get("scope") in ("row", "col") for e in page.all("th"))
    for landmark in ("header", "main", "nav", "footer", "h1"):
        assert len(page.all(landmark)) == 1
    assert page.all("html")[0].attributes["lang"] in ("en", "nl")


def test_text_in_figures_stays_text(rendered: tuple[Path, str, Page]) -> None:
    _, html, page = rendered
    assert len([e for e in page.all("text") if "svg" in e.inside]) > 100
    assert [colour for colour in STAND_IN.values() if colour in html] == []
    assert "DejaVu" not in re.sub(r"DejaVu Sans Mono", "", html)


def test_synthetic_input_is_said_aloud(rendered: tuple[Path, str, Page]) -> None:
    _, _, page = rendered
    shown = [e for e in page.all("div") if e.attributes.get("class") in ("banner", "watermark")]
    word = {"en": "SYNTHETIC", "nl": "SYNTHETISCH"}[page.all("html")[0].attributes["lang"]]
    assert [word in element.text for element in shown] == [True, True]


@pytest.mark.slow
def test_names_cannot_write_into_the_page_and_measured_input_is_not_called_synthetic(
    copy: Path,
) -> None:
    summary = json.loads((copy / "summary.json").read_text("utf-8"))
    summary |= {"name": "<script>alert(1)</script>", "synthetic": False}
    summary["lcoc"]["components"] = {"<b>$x$</b>": 1.0}
    (copy / "summary.json").write_text(json.dumps(summary), "utf-8")
    html = write_report(copy).read_text("utf-8")
    page = Page(html)
    assert page.all("script") == []
    assert page.all("b") == []
    assert page.all("h1")[0].text == "<script>alert(1)</script>"
    assert 'class="watermark"' not in html
    assert 'class="banner"' not in html


@pytest.mark.slow
def test_a_public_edition_names_no_tenant(copy: Path) -> None:
    whole = (copy / "report.html").read_text("utf-8")
    public = write_report(copy, public=True).read_text("utf-8")
    assert "Polder Language Models" in whole
    assert "Polder Language Models" not in public
    assert "Use by mission" in public
