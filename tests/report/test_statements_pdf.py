"""Statements on paper: by the library, by a browser, or said plainly that there is neither."""

from __future__ import annotations

import json
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from gigafactory.cli import main
from gigafactory.report import NotPrinted, pdf, print_pdf, write_statement
from gigafactory.report.palette import COLOURS
from tests.conftest import IN_CI


def _nothing(_: str) -> None:
    """What looks for something that is not there finds."""


@pytest.fixture
def page(of_rotterdam: Path, tmp_path: Path) -> Path:
    return write_statement(of_rotterdam, "sustainability", "nl", out=tmp_path)


@pytest.fixture
def weasyprint() -> None:
    """WeasyPrint with what it draws with; without it the test is skipped, and fails in CI."""
    if find_spec("weasyprint") is not None:
        return
    why = "the extra pdf is missing: pip install 'gigafactory[pdf]'"
    if IN_CI:
        pytest.fail(why)
    pytest.skip(why)


@pytest.mark.slow
def test_weasyprint_prints_the_same_bytes_twice(weasyprint: None, page: Path) -> None:
    first = print_pdf(page)
    assert isinstance(first, Path)
    whole = first.read_bytes()
    assert whole.startswith(b"%PDF")
    assert print_pdf(page) == first
    assert first.read_bytes() == whole
    assert list(page.parent.glob("*.part")) == []


@pytest.mark.slow
def test_a_browser_prints_without_the_day(
    chromium: str, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "find_spec", _nothing)
    printed = print_pdf(page)
    assert isinstance(printed, Path)
    whole = printed.read_bytes()
    assert whole.startswith(b"%PDF")
    days = re.findall(rb"/(?:CreationDate|ModDate) ?\(D:(\d{4})", whole)
    assert days
    assert set(days) == {b"1970"}
    assert print_pdf(page) == printed
    assert printed.read_bytes() == whole


def test_neither_is_said_and_the_page_stands(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "find_spec", _nothing)
    monkeypatch.setattr(pdf.shutil, "which", _nothing)
    found = print_pdf(page)
    assert isinstance(found, NotPrinted)
    assert "gigafactory[pdf]" in found.why
    assert "chromium" in found.why
    assert str(page) in found.why
    assert page.is_file()
    assert list(page.parent.glob("*.pdf*")) == []


def test_a_browser_that_fails_is_said(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "find_spec", _nothing)
    monkeypatch.setattr(pdf, "BROWSERS", ("false",))
    found = print_pdf(page)
    assert isinstance(found, NotPrinted)
    assert "ended with code 1" in found.why


def test_drawings_for_the_library_carry_their_own_colours(page: Path) -> None:
    html = pdf.plain_colours(page.read_text("utf-8"))
    drawings = re.findall(r"<svg .*?</svg>", html, flags=re.DOTALL)
    assert len(drawings) >= 2
    assert [drawing for drawing in drawings if "var(--" in drawing] == []
    assert COLOURS["cost"][0] in "".join(drawings)


def test_a_day_is_taken_off_without_moving_anything() -> None:
    stamp = b"/CreationDate (D:20261128090000+00'00')"
    clean = pdf._STAMPS.sub(pdf._unstamped, stamp)
    assert clean == b"/CreationDate (D:19700101000000+00'00')"
    assert len(clean) == len(stamp)


def test_the_command_writes_a_statement_and_says_where(
    of_rotterdam: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(of_rotterdam, tmp_path / "run"))
    assert main(["report", str(run), "--kind", "eed", "--lang", "nl"]) == 0
    wanted = run / "statements" / "eed.nl.html"
    assert capsys.readouterr().out.strip() == str(wanted)
    listed = json.loads((run / "manifest.json").read_text("utf-8"))["files"]
    assert "statements/eed.nl.html" in {row["path"] for row in listed}


def test_the_command_ends_with_one_where_nothing_can_print(
    of_rotterdam: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(pdf, "find_spec", _nothing)
    monkeypatch.setattr(pdf.shutil, "which", _nothing)
    out = tmp_path / "out"
    before = {path.name: path.stat().st_mtime_ns for path in of_rotterdam.iterdir()}
    assert main(["report", str(of_rotterdam), "--kind", "eed", "--pdf", "--out", str(out)]) == 1
    assert "no PDF was written" in capsys.readouterr().err
    assert (out / "eed.en.html").is_file()
    assert {path.name: path.stat().st_mtime_ns for path in of_rotterdam.iterdir()} == before


@pytest.mark.parametrize("arguments", [["--pdf"], ["--out", "x"], ["--kind", "annual"]])
def test_the_command_refuses_what_makes_no_sense(
    of_rotterdam: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(of_rotterdam), *arguments]) == 2
    assert "--kind" in capsys.readouterr().err
