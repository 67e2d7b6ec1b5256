"""The figures on the page are those the command gives."""

from __future__ import annotations

import re
from pathlib import Path

from gigafactory.finance.flows import retained_share
from gigafactory.finance.numbers import number
from gigafactory.finance.statement import statement
from gigafactory.finance.words import lines

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "finance.md"


def test_the_page_shows_what_the_command_shows() -> None:
    text = PAGE.read_text("utf-8")
    told = statement("rotterdam")
    block = re.search(r"```text\n(.*?)```", text, re.DOTALL)
    assert block is not None
    shown = lines(told, "en")
    for line in block[1].splitlines():
        assert line in shown, line
    rows = {row.split("|")[1].strip(): row for row in text.splitlines() if row.startswith("| `")}
    by = {o.scenario.name: o for o in told.outcomes}
    for names in rows:
        for name in re.findall(r"`([a-z0-9.-]+)`", names):
            if name in by:
                assert number(abs(by[name].npv_change_eur) / 1e6, 0, "en") in rows[names], name
    for place, share in (("nl", "29 %"), ("eu", "15 %"), ("elsewhere", "57 %")):
        assert f"{retained_share(told.cells, place):.0%}".replace("%", " %") == share
        assert share in text
