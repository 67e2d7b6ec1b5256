"""The quick loop names tests that it should not wait for, and tries properties on few examples."""

from __future__ import annotations

import pytest

from tests import effort


def report(name: str, test_s: float, made_s: float = 0.0, *marks: str) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid=name,
        location=("file.py", 1, name),
        keywords=dict.fromkeys(marks, 1),
        outcome="passed",
        longrepr=None,
        when="call",
        user_properties=[("made_cpu_s", made_s), ("test_cpu_s", test_s)],
    )


def test_long_tests_without_the_mark_are_named_the_longest_first() -> None:
    reports = [
        report("quick", 0.9, 1.0),
        report("long", 2.5),
        report("needs much", 0.1, 11.0),
        report("marked", 60.0, 0.0, "slow"),
        report("a proof", 600.0, 0.0, "proof"),
    ]
    named = effort.too_long(reports)
    assert [words.rpartition(": ")[2] for words in named] == ["needs much", "long"]
    assert "2.5 s" in named[1]


def test_a_busy_core_is_given_time() -> None:
    nearly = effort.TEST_CPU_S * effort.PATIENCE * 0.99
    assert effort.too_long([report("busy", nearly)]) == []


@pytest.mark.parametrize(("quick", "drawn"), [(True, [2, 2, 100]), (False, [2, 8, 1000])])
def test_only_the_quick_loop_draws_fewer_examples(
    monkeypatch: pytest.MonkeyPatch, quick: bool, drawn: list[int]
) -> None:
    monkeypatch.setattr(effort, "QUICK", quick)
    assert [effort.examples(count) for count in (2, 8, 1000)] == drawn
