"""A number says its unit in its name, or is known to have none."""

from __future__ import annotations

import ast
import re

import pytest

from gigafactory.units import SCALES
from tests.tidy.house import Module, modules

#: Units a name may end in. "_per_" joins two; a bound or a case may follow ("_max", "_low").
UNITS = {key.split("_", 1)[1] for key in SCALES if "_" in key} | {
    *("w", "kw", "mw", "gw", "wh", "kwh", "mwh", "gwh", "mva", "kv", "hz"),
    *("s", "ms", "ns", "min", "h", "hour", "hours", "days", "years", "months"),
    *("c", "k", "pa", "deg", "lat", "lon", "m", "km", "m2", "m3", "ml", "l", "ha"),
    *("kg", "g", "mg", "t", "kj", "mj", "gj", "j"),
    *(
        "eur",
        "micro_eur",
        "meur",
        "gb",
        "tb",
        "pb",
        "gbps",
        "flops",
        "ops",
        "tokens",
        "requests",
        "rps",
        "tops",
    ),
    *("jobs", "accelerators", "nodes", "gpu", "gpu_s", "gpu_h", "gpu_hours", "homes", "fte"),
    *("job", "node", "rack", "year", "month", "day", "week", "period", "quarter", "accelerator"),
    *("percent", "fraction", "share", "ratio", "factor"),
    *("kg_per_kwh", "rh", "degrees"),
}
AFTER = {"min", "max", "low", "base", "high", "mean", "p50", "p95", "each", "total"}

#: Names that stand for a number without a dimension, whole or as the last part of a longer name.
DIMENSIONLESS = {
    *("efficiency", "cop", "pue", "wue", "erf", "ref", "cue", "speed", "dynamic", "rmse", "cv"),
    *("equivalent", "weight", "depth", "slope", "level", "load", "utilisation", "probability"),
    *("multiplier", "exponent", "scale", "concentration", "cycles", "count", "availability"),
    *("rate", "tolerance", "quantile", "gap", "overhead", "oversubscription", "soc"),
}
#: A name that begins so is a number without a dimension whatever follows.
BEGINS = ("share_", "fraction_", "number_", "intervals_")
#: Fields, or whole records, whose names may stand without a unit, and why. One that is no longer
#: needed fails, so the list only shrinks.
ALLOWED: dict[str, str] = {}
#: Records whose number has its unit in a field beside it.
CARRIES_ITS_UNIT = {"unit", "dimension"}

_UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
_AFTER = "|".join(sorted(AFTER))
_NAME = re.compile(rf"(^|_)({_UNIT})(_per_({_UNIT}))*(_({_AFTER}))?$")
_BARE = re.compile(rf"(^|_)({'|'.join(sorted(DIMENSIONLESS))})s?(_({_AFTER}))?$")
_FLOAT = re.compile(r"\b(float|float64|float32)\b")


def named_well(name: str) -> bool:
    """Whether a number's name ends in a unit or is known to need none."""
    return bool(_NAME.search(name) or _BARE.search(name) or name.startswith(BEGINS))


def is_record(node: ast.ClassDef) -> bool:
    """Whether a class is a dataclass, a named tuple or a pydantic model (its bases say so)."""
    marks = [ast.unparse(mark) for mark in node.decorator_list]
    bases = [ast.unparse(base) for base in node.bases]
    return any("dataclass" in mark for mark in marks) or any(
        base.endswith(("Model", "NamedTuple", "TypedDict")) for base in bases
    )


def nameless(module: Module) -> list[str]:
    """Public float fields of the module's records whose names carry no unit."""
    found = []
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_") or not is_record(node):
            continue
        fields = {
            item.target.id: ast.unparse(item.annotation)
            for item in node.body
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        }
        if CARRIES_ITS_UNIT & set(fields):
            continue
        found += [
            f"{module.name}:{node.name}.{name}"
            for name, kind in fields.items()
            if not name.startswith("_") and _FLOAT.search(kind) and not named_well(name)
        ]
    return found


def test_public_numbers_say_their_unit() -> None:
    found = [field for module in modules() for field in nameless(module)]
    bare = [field for field in found if not {field, field.rpartition(".")[0]} & set(ALLOWED)]
    assert not bare, "\n".join(bare)
    used = {name for field in found for name in (field, field.rpartition(".")[0])}
    assert set(ALLOWED) - used == set(), "allowed without a unit, but no longer there"
    assert [name for name, reason in ALLOWED.items() if len(reason) < 20] == []


@pytest.mark.parametrize(
    "name",
    [
        *("power_mw", "price_eur_per_mwh", "water_m3", "price_eur_low", "h100_equivalent", "speed"),
        *("round_trip_efficiency", "work_w", "heat_mw_max", "lcoc_eur_per_gpu_h"),
        *("co2_kg_per_year", "intensity_kg_per_mwh"),
    ],
)
def test_a_name_with_its_unit_passes(name: str) -> None:
    assert named_well(name)


@pytest.mark.parametrize(
    "name", ["power", "price", "temperature", "mw_power", "waterm3", "eur_spent"]
)
def test_a_name_without_a_unit_is_seen(name: str) -> None:
    record = f"@dataclass(frozen=True)\nclass A:\n    {name}: tuple[float, ...]\n    other: str\n"
    assert nameless(Module.of("plant/a.py", record)) == [f"plant/a.py:A.{name}"]


def test_a_number_with_its_unit_beside_it_passes() -> None:
    record = "@dataclass\nclass A:\n    unit: str\n    value: float\n"
    assert nameless(Module.of("plant/a.py", record)) == []
