"""The commands of stress, events and the demonstration, where what is asked cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from gigafactory.cli import main
from gigafactory.engine.errors import EXIT_BAD_INPUT


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["stress"], "FACTORY"),
        (["stress", "rotterdam", "--second-trace", "loud"], "--second-trace"),
        (
            ["stress", "rotterdam", "--days", "0", "--limits", "-1", "--seconds", "901"],
            "3 problems",
        ),
        (["stress", "rotterdam", "--start", "soon"], "--start"),
        (["stress", "rotterdam", "--second-trace", "real", "--data", "nowhere"], "--data"),
        (["event", "rotterdam", "--reduce", "much"], "--reduce"),
        (["event", "rotterdam", "--mode", "sleeping"], "--mode"),
        (["event", "rotterdam", "--hours", "99", "--at", "noon"], "2 problems"),
        (["event", "nowhere"], "nowhere"),
        (["demonstrate", "--data", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_is_told_in_plain_words(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GIGAFACTORY_DATA", raising=False)
    assert main(words) == EXIT_BAD_INPUT
    out = capsys.readouterr()
    assert said in out.err + out.out
    assert "Traceback" not in out.err
    assert not (tmp_path / "runs").exists()
