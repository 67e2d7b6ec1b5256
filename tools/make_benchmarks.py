"""Make the page of benchmark figures from its data file; units of derived ones follow."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.plant.provenance import Source, read_source
from gigafactory.policy.tables import thresholds

TOOLS = Path(__file__).resolve().parent
DATA = TOOLS / "benchmark_figures.yaml"
PAGE = TOOLS.parent / "docs" / "reference" / "benchmark-figures.md"
HOURS_A_YEAR = 8760.0
#: Units by name: scale to watts, hours, dollars and homes, and how often each of these is in it.
UNITS: dict[str, tuple[float, dict[str, int]]] = {
    "GW": (1e9, {"W": 1}),
    "TWh": (1e12, {"W": 1, "h": 1}),
    "kWh": (1e3, {"W": 1, "h": 1}),
    "y": (HOURS_A_YEAR, {"h": 1}),
    "GUSD": (1e9, {"USD": 1}),
    "Mhome": (1e6, {"home": 1}),
    "home": (1.0, {"home": 1}),
    "%": (0.01, {}),
    "times": (1.0, {}),
}
GROUPS = {
    "world": "Electricity of data centres",
    "programme": "A programme, and cost per GW",
    "capex": "What the largest cloud companies spend",
}
HEAD = """<!-- Made by tools/make_reference.py from the data beside it; do not edit by hand. -->

# Benchmark figures

Figures of others, to measure a factory against: none of them goes into a run. Each says who said it
and when. *Read* means read in a text that quotes it; *unverified* means that nobody here has
checked it. Derived figures are worked out from the others when this page is made, units and all;
`y` is a year of 8,760 hours, `GUSD` a thousand million dollars of the United States.
"""


@dataclass(frozen=True)
class Quantity:
    """A number with its dimensions: how often watts, hours, dollars and homes are in it."""

    value: float
    dimensions: tuple[tuple[str, int], ...] = ()

    def times(self, other: Quantity, power: int) -> Quantity:
        """Its product with another one to a power of 1 or -1."""
        sums = dict(self.dimensions)
        for name, count in other.dimensions:
            sums[name] = sums.get(name, 0) + power * count
        kept = tuple(sorted((name, count) for name, count in sums.items() if count))
        return Quantity(self.value * other.value**power, kept)


def unit_of(text: str) -> Quantity:
    """What one of a unit is, such as `GUSD/GW`.

    Raises:
        BadInput: a part of it is unknown.
    """
    whole = Quantity(1.0)
    for at, name in enumerate(text.split("/")):
        if name not in UNITS:
            raise BadInput([Problem(DATA.name, "unit", text, f"{name} is not a known unit")])
        scale, counts = UNITS[name]
        whole = whole.times(Quantity(scale, tuple(counts.items())), -1 if at else 1)
    return whole


def evaluate(formula: str, known: dict[str, Quantity]) -> Quantity:
    """A formula of names, numbers and + - * / **, worked out with its dimensions.

    Raises:
        BadInput: a name is unknown, dimensions do not add up, or something else stands there.
    """

    def bad(why: str) -> BadInput:
        return BadInput([Problem(DATA.name, "formula", formula, why)])

    def walk(node: ast.expr) -> Quantity:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return Quantity(float(node.value))
        if isinstance(node, ast.Name):
            if node.id not in known:
                raise bad(f"{node.id} is no figure")
            return known[node.id]
        if not isinstance(node, ast.BinOp):
            raise bad("only names, numbers and + - * / ** are understood")
        left, right = walk(node.left), walk(node.right)
        if isinstance(node.op, ast.Mult | ast.Div):
            return left.times(right, 1 if isinstance(node.op, ast.Mult) else -1)
        if isinstance(node.op, ast.Pow):
            if left.dimensions or right.dimensions:
                raise bad("only a plain number can be raised to a power")
            return Quantity(left.value**right.value)
        if not isinstance(node.op, ast.Add | ast.Sub) or left.dimensions != right.dimensions:
            raise bad("cannot add or subtract quantities of different kinds")
        sign = 1 if isinstance(node.op, ast.Add) else -1
        return Quantity(left.value + sign * right.value, left.dimensions)

    return walk(ast.parse(formula, mode="eval").body)


@dataclass(frozen=True)
class Row:
    """A figure of the page: given with its source, or derived with its formula."""

    name: str
    group: str
    what: str
    value: float
    unit: str
    source: Source | None
    formula: str


def rows(raw: dict[str, Any]) -> list[Row]:
    """All figures, those given first.

    Raises:
        BadInput: a source is incomplete, or a derived figure has another unit than it says.
    """
    problems: list[Problem] = []
    found, known = [], {}
    for name, one in raw["figures"].items():
        source = read_source(DATA.name, f"{name}.source", one.get("source"), problems)
        unit = unit_of(one["unit"])
        known[name] = Quantity(one["value"] * unit.value, unit.dimensions)
        row = Row(name, one["group"], one["what"], one["value"], one["unit"], source, "")
        found.append(row)
    for name, one in raw["derived"].items():
        done, unit = evaluate(one["formula"], known), unit_of(one["unit"])
        if done.dimensions != unit.dimensions:
            why = f"the formula gives {done.dimensions or 'a plain number'}"
            problems.append(Problem(DATA.name, f"{name}.unit", one["unit"], why))
        value = done.value / unit.value
        found.append(Row(name, one["group"], one["what"], value, one["unit"], None, one["formula"]))
    if problems:
        raise BadInput(problems)
    return found


def counted(investments: list[dict[str, Any]]) -> dict[str, float]:
    """Announced money by who owns the investor: inside the EEA, or outside it; in GUSD."""
    sums = {"inside": 0.0, "outside": 0.0}
    for one in investments:
        of = unit_of(one["unit"]).value / unit_of("GUSD").value
        where = "inside" if one["owner_country"] in thresholds().eea else "outside"
        sums[where] += one["value"] * of
    return sums


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}"


def _cited(source: Source) -> str:
    mark = f", {source.mark}" if source.mark else ""
    note = f" ({source.note})" if source.note else ""
    return f"{source.source}, {source.year}, {source.state}{mark}{note}"


def page(raw: dict[str, Any]) -> str:
    """The page as Markdown."""
    lines = [HEAD]
    of = rows(raw)
    for group, title in GROUPS.items():
        lines += [f"## {title}", "", "| figure | value | unit | from |", "|---|---:|---|---|"]
        for row in (row for row in of if row.group == group):
            origin = _cited(row.source) if row.source else f"derived: `{row.formula}`"
            key = f"{row.what} (`{row.name}`)"
            lines.append(f"| {key} | {_number(row.value)} | {row.unit} | {origin} |")
        lines.append("")
    lines += [
        "## Foreign money for AI in the Netherlands",
        "",
        "Who owns the investor decides how it counts, not where the machines stand: money of an",
        "owner outside the European Economic Area adds computing power here and no autonomy.",
        "",
        "| investor | what | GUSD | owner | counted | from |",
        "|---|---|---:|---|---|---|",
    ]
    for one in raw["investments"]:
        source = read_source(DATA.name, "source", one["source"], [])
        assert source is not None, "checked by the tests"
        where = "EU-owned" if one["owner_country"] in thresholds().eea else "non-EU-owned"
        cells = (one["investor"], one["what"], _number(one["value"]), one["owner_country"], where)
        lines.append(f"| {' | '.join(cells)} | {_cited(source)} |")
    sums = counted(raw["investments"])
    lines += ["", f"EU-owned: {sums['inside']:g} GUSD; non-EU-owned: {sums['outside']:g} GUSD.", ""]
    return "\n".join(lines).rstrip() + "\n"


def pages() -> dict[Path, str]:
    """The page made from the data file."""
    raw = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    return {PAGE: page(raw)}
