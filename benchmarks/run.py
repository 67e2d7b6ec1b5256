#!/usr/bin/env python3
"""Run the benchmarks and hold every number against its budget.

Each benchmark runs in a process of its own, so that memory is its own and nothing is warm that
would not be; a number is the median of its runs. Exits 1 when a budget is broken or a benchmark
fails, 0 otherwise; a benchmark that cannot run here is skipped with its reason.

    python benchmarks/run.py [--only NAME ...] [--quick] [--proof DIR]
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
SKIPPED = 77


@dataclass(frozen=True, slots=True)
class Budget:
    """One number and what it may be.

    Attributes:
        name: of the number, as the benchmark gives it.
        unit: of the number.
        reason: why this budget.
        at_least: lower limit, or None.
        at_most: upper limit, or None.
    """

    name: str
    unit: str
    reason: str
    at_least: float | None = None
    at_most: float | None = None

    def kept_by(self, value: float) -> bool:
        """Whether a measured value keeps to the budget."""
        low = self.at_least is None or value >= self.at_least
        return low and (self.at_most is None or value <= self.at_most)

    def limits(self) -> str:
        """The budget in words."""
        if self.at_least is None:
            return f"<= {shown(self.at_most)}"
        if self.at_most is None:
            return f">= {shown(self.at_least)}"
        if self.at_least == self.at_most:
            return f"= {shown(self.at_least)}"
        return f"{shown(self.at_least)} to {shown(self.at_most)}"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark and the budgets of its numbers.

    Attributes:
        name: as registered.
        what: one sentence.
        runs: how often it runs.
        quick: whether it is part of the quick subset.
        budgets: its numbers; what a benchmark gives beside them is noted, not judged.
    """

    name: str
    what: str
    runs: int
    quick: bool
    budgets: tuple[Budget, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a benchmark.

    Attributes:
        name: of the benchmark.
        skipped: why it could not run; empty when it ran.
        failed: what went wrong; empty when nothing did.
        measured: median of each number.
        broken: names of the numbers outside their budgets.
    """

    name: str
    skipped: str
    failed: str
    measured: dict[str, float]
    broken: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether nothing failed and no budget is broken."""
        return not self.failed and not self.broken


def shown(value: float | None) -> str:
    """A number as a person reads it."""
    if value is None:
        return ""
    if abs(value) >= 10_000 or value == int(value):
        return f"{value:,.1f}".removesuffix(".0")
    return f"{value:,.2f}"


def read_budgets(path: Path) -> list[Benchmark]:
    """Read the budgets; a missing unit or reason is an error."""
    out = []
    for name, entry in yaml.safe_load(path.read_text("utf-8")).items():
        budgets = tuple(Budget(name=key, **limits) for key, limits in entry["numbers"].items())
        for budget in budgets:
            assert budget.at_least is not None or budget.at_most is not None, (
                f"{name}.{budget.name}"
            )
        out.append(Benchmark(name, entry["what"], entry["runs"], entry["quick"], budgets))
    return out


def judge(benchmark: Benchmark, runs: Sequence[Mapping[str, float]]) -> Result:
    """Take the median of every number and hold it against its budget."""
    measured = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    missing = [b.name for b in benchmark.budgets if b.name not in measured]
    failed = f"gave no {', '.join(missing)}" if missing else ""
    broken = tuple(
        b.name for b in benchmark.budgets if b.name in measured and not b.kept_by(measured[b.name])
    )
    return Result(benchmark.name, "", failed, measured, broken)


def measure(benchmark: Benchmark) -> Result:
    """Run a benchmark in processes of its own."""
    runs = []
    for _ in range(benchmark.runs):
        command = [sys.executable, "-m", "benchmarks.one", benchmark.name]
        done = subprocess.run(command, cwd=HERE.parent, check=False, capture_output=True, text=True)
        if done.returncode == SKIPPED:
            return Result(benchmark.name, done.stdout.strip(), "", {}, ())
        if done.returncode:
            return Result(benchmark.name, "", done.stderr.strip()[-2000:], {}, ())
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return judge(benchmark, runs)


def table(benchmarks: Iterable[Benchmark], results: Mapping[str, Result]) -> list[list[str]]:
    """Rows of benchmark, number, measured, unit, budget and verdict."""
    rows = []
    for benchmark in benchmarks:
        result = results[benchmark.name]
        if result.skipped or result.failed:
            word = "skipped" if result.skipped else "FAILED"
            rows.append([benchmark.name, (result.skipped or result.failed)[:60], "", "", "", word])
            continue
        for budget in benchmark.budgets:
            verdict = "BROKEN" if budget.name in result.broken else "kept"
            value = shown(result.measured[budget.name])
            rows.append([benchmark.name, budget.name, value, budget.unit, budget.limits(), verdict])
    return rows


HEAD = ["benchmark", "number", "measured", "unit", "budget", "verdict"]


def printed(rows: list[list[str]]) -> str:
    """The table in plain text."""
    every = [HEAD, *rows]
    widths = [max(len(row[i]) for row in every) for i in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in every
    )


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=HERE.parent, check=False, capture_output=True, text=True
    ).stdout.strip()
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "processor": model,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "commit": commit,
    }


def write_proof(
    folder: Path, benchmarks: Sequence[Benchmark], results: Mapping[str, Result]
) -> None:
    """Keep the results: `benchmarks.json` for machines, `benchmarks.md` for people."""
    folder.mkdir(parents=True, exist_ok=True)
    where = machine()
    kept = {
        "machine": where,
        "benchmarks": [
            {"what": b.what, "runs": b.runs, **asdict(results[b.name])} for b in benchmarks
        ],
    }
    (folder / "benchmarks.json").write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
    lines = [
        "# Benchmarks, as last run",
        "",
        f"{where['date']}, {where['processor']}, {where['system']}, Python {where['python']},",
        f"commit `{where['commit'][:12]}`. What each number means, and why its budget:",
        "[benchmarks](../reference/benchmarks.md).",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|" + "---|" * len(HEAD),
    ]
    lines += ["| " + " | ".join(row) + " |" for row in table(benchmarks, results)]
    lines += ["", "Noted beside them:", ""]
    for b in benchmarks:
        judged = {budget.name for budget in b.budgets}
        noted = [
            f"{key} {shown(value)}"
            for key, value in results[b.name].measured.items()
            if key not in judged
        ]
        if noted:
            lines.append(f"- {b.name}: {', '.join(noted)}")
    (folder / "benchmarks.md").write_text("\n".join(lines) + "\n", "utf-8")


def main(words: Sequence[str] | None = None) -> int:
    """Run what was asked and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="run these alone")
    parser.add_argument("--quick", action="store_true", help="run the quick ones, once each")
    parser.add_argument("--proof", type=Path, metavar="DIR", help="write the results there")
    parser.add_argument(
        "--budgets", type=Path, default=HERE / "budgets.yaml", help=argparse.SUPPRESS
    )
    asked = parser.parse_args(words)
    benchmarks = read_budgets(asked.budgets)
    unknown = sorted(set(asked.only or ()) - {b.name for b in benchmarks})
    if unknown:
        known = ", ".join(b.name for b in benchmarks)
        print(f"no benchmark is called {', '.join(unknown)}; there are {known}", file=sys.stderr)
        return 2
    if asked.only:
        benchmarks = [b for b in benchmarks if b.name in asked.only]
    if asked.quick:
        benchmarks = [Benchmark(b.name, b.what, 1, True, b.budgets) for b in benchmarks if b.quick]
    results = {}
    for benchmark in benchmarks:
        print(f"  {benchmark.name}: {benchmark.what}", file=sys.stderr, flush=True)
        results[benchmark.name] = measure(benchmark)
        if results[benchmark.name].failed:
            print(results[benchmark.name].failed, file=sys.stderr)
    print(printed(table(benchmarks, results)))
    if asked.proof:
        write_proof(asked.proof, benchmarks, results)
    return 0 if all(result.good for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
