"""Reference pages that are made from the code say what the code says today."""

from __future__ import annotations

import runpy

from tests.tidy.house import ROOT


def test_pages_made_from_code_are_current() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "make_reference.py"))["every_page"]()
    assert made, "there is at least one such page"
    stale = [
        path.relative_to(ROOT).as_posix()
        for path, text in made.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    assert stale == [], "make them again with: .venv/bin/python tools/make_reference.py"
