"""The benchmarks and their budgets belong to each other, and a broken budget is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import cases
from benchmarks.measuring import CASES
from benchmarks.run import Benchmark, Budget, judge, main, printed, read_budgets, table

ROOT = Path(__file__).parents[2]
BUDGETS = ROOT / "benchmarks" / "budgets.yaml"


def test_every_benchmark_has_budgets_and_every_budget_a_benchmark() -> None:
    assert cases.kernel is not None
    assert sorted(CASES) == sorted(b.name for b in read_budgets(BUDGETS))


def test_every_number_says_its_unit_and_why() -> None:
    for benchmark in read_budgets(BUDGETS):
        assert benchmark.budgets, benchmark.name
        for budget in benchmark.budgets:
            assert budget.unit, f"{benchmark.name}.{budget.name}"
            assert len(budget.reason) > 10, f"{benchmark.name}.{budget.name}"


def test_docs_name_every_benchmark() -> None:
    page = (ROOT / "docs" / "reference" / "benchmarks.md").read_text("utf-8")
    assert [b.name for b in read_budgets(BUDGETS) if f"`{b.name}`" not in page] == []


@pytest.mark.parametrize(
    ("budget", "value", "kept"),
    [
        (Budget("x", "s", "why", at_most=2.0), 2.0, True),
        (Budget("x", "s", "why", at_most=2.0), 2.1, False),
        (Budget("x", "s", "why", at_least=2.0), 2.0, True),
        (Budget("x", "s", "why", at_least=2.0), 1.9, False),
        (Budget("x", "s", "why", at_least=1.0, at_most=2.0), 0.9, False),
    ],
)
def test_budget_limits(budget: Budget, value: float, kept: bool) -> None:
    assert budget.kept_by(value) is kept


def test_the_median_is_judged_and_what_is_missing_fails() -> None:
    benchmark = Benchmark("b", "", 3, True, (Budget("x", "s", "why", at_most=2.0),))
    result = judge(benchmark, [{"x": 9.0, "y": 1.0}, {"x": 1.0, "y": 1.0}, {"x": 2.0, "y": 4.0}])
    assert result.measured == {"x": 2.0, "y": 1.0}
    assert result.good
    assert judge(benchmark, [{"x": 3.0}]).broken == ("x",)
    assert not judge(benchmark, [{"y": 3.0}]).good
    assert "BROKEN" in printed(table([benchmark], {"b": judge(benchmark, [{"x": 3.0}])}))


def test_an_unknown_name_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "warp-drive"]) == 2
    assert "kernel-depth-100" in capsys.readouterr().err


def _benchmarks(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    given = {k: v for k, v in os.environ.items() if k != "GIGAFACTORY_DATA"} | env
    command = [sys.executable, str(ROOT / "benchmarks" / "run.py"), *words]
    return subprocess.run(command, check=False, env=given, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.slow
def test_without_the_data_it_says_so_and_goes_on(tmp_path: Path) -> None:
    done = _benchmarks("--only", "philly-68k", "--proof", str(tmp_path / "proof"))
    assert done.returncode == 0, done.stderr
    assert "GIGAFACTORY_DATA is not set" in done.stdout
    kept = json.loads((tmp_path / "proof" / "benchmarks.json").read_text("utf-8"))
    assert kept["benchmarks"][0]["skipped"] == "GIGAFACTORY_DATA is not set"


@pytest.mark.slow
def test_a_broken_budget_ends_with_one(tmp_path: Path) -> None:
    budgets = tmp_path / "budgets.yaml"
    budgets.write_text(
        "journal:\n  what: too much to ask\n  runs: 1\n  quick: true\n  numbers:\n"
        "    appends_per_s: {at_least: 1.0e+12, unit: frames/s, reason: nothing is that fast}\n"
        "    reads_per_s: {at_least: 1, unit: frames/s, reason: anything is}\n",
        "utf-8",
    )
    done = _benchmarks("--budgets", str(budgets), "--proof", str(tmp_path))
    assert done.returncode == 1, done.stderr
    assert "BROKEN" in (tmp_path / "benchmarks.md").read_text("utf-8")
    kept = json.loads((tmp_path / "benchmarks.json").read_text("utf-8"))
    assert kept["benchmarks"][0]["broken"] == ["appends_per_s"]
