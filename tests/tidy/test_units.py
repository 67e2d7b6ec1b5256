"""A number says its unit in its name, or is known to have none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

import pytest

from gigafactory.units import SCALES
from tests.tidy.house import Module, modules
from tests.tidy.without_unit import ALLOWED

#: Units a name may end in. "_per_" joins two; a bound or a case may follow ("_max", "_low").
UNITS = {key.split("_", 1)[1] for key in SCALES if "_" in key} | {
    *("w", "kw", "mw", "gw", "wh", "kwh", "mwh", "gwh", "twh", "mva", "kv", "hz"),
    *("s", "ms", "ns", "min", "h", "hour", "hours", "days", "years", "months"),
    *("c", "k", "pa", "deg", "lat", "lon", "m", "km", "m2", "m3", "ml", "l", "ha"),
    *("kg", "g", "mg", "t", "kj", "mj", "gj", "j"),
    *(
        "eur",
        "usd",
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
    *("h100e", "h100e_h"),
    *("percent", "fraction", "share", "ratio", "factor"),
    *("kg_per_kwh", "rh", "degrees"),
}
AFTER = {"min", "max", "low", "base", "high", "mean", "p50", "p95", "each", "total"}

#: Names that stand for a number without a dimension, whole or as the last part of a longer name.
DIMENSIONLESS = {
    *("efficiency", "cop", "pue", "wue", "erf", "ref", "cue", "speed", "dynamic", "rmse", "cv"),
    *("equivalent", "weight", "depth", "slope", "level", "load", "utilisation", "probability"),
    *("multiplier", "exponent", "scale", "concentration", "cycles", "count", "availability"),
    *("elasticity", "rate", "tolerance", "quantile", "gap", "overhead", "oversubscription", "soc"),
}
#: A name that begins so is a number without a dimension whatever follows.
BEGINS = ("share_", "fraction_", "number_", "intervals_")
#: A name that ends so is a factor.
ENDS = ("_times",)
#: Records whose number has its unit in a field beside it.
CARRIES_ITS_UNIT = {"unit", "dimension"}

_UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
_AFTER = "|".join(sorted(AFTER))
_NAME = re.compile(rf"(^|_)({_UNIT})(_per_({_UNIT}))*(_({_AFTER}))?$")
_BARE = re.compile(rf"(^|_)({'|'.join(sorted(DIMENSIONLESS))})s?(_({_AFTER}))?$")
_FLOAT = re.compile(r"\b(float|float64|float32)\b")


def named_well(name: str) -> bool:
    """Whether a number's name ends in a unit or is known to need none."""
    return bool(
        _NAME.search(name) or _BARE.search(name) or name.startswith(BEGINS) or name.endswith(ENDS)
    )


def is_record(node: ast.ClassDef) -> bool:
    """Whether a class is a dataclass, a named tuple or a pydantic model (its bases say so)."""
    marks = [ast.unparse(mark) for mark in node.decorator_list]
    bases = [ast.unparse(base) for base in node.bases]
    return any("dataclass" in mark for mark in marks) or any(
        base.endswith(("Model", "NamedTuple", "TypedDict")) for base in bases
    )


def floats_by_another_name(of: Iterable[Module]) -> frozenset[str]:
    """Names the modules give to float types, such as ``Floats = npt.NDArray[np.float64]``."""
    return frozenset(
        target.id
        for module in of
        for node in module.tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
        and isinstance(node.value, ast.Subscript | ast.BinOp)
        and _FLOAT.search(ast.unparse(node.value))
    )


def nameless(module: Module, floats: Iterable[str] = ()) -> list[str]:
    """Public float fields of the module's records whose names carry no unit."""
    a_float = re.compile("|".join([_FLOAT.pattern, *(rf"\b{name}\b" for name in sorted(floats))]))
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
            if not name.startswith("_") and a_float.search(kind) and not named_well(name)
        ]
    return found


def test_public_numbers_say_their_unit() -> None:
    floats = floats_by_another_name(modules())
    found = [field for module in modules() for field in nameless(module, floats)]
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


def test_a_float_by_another_name_is_seen() -> None:
    types = Module.of(
        "grid/types.py", "Floats = npt.NDArray[np.float64]\nNames = tuple[str, ...]\n"
    )
    floats = floats_by_another_name([types])
    assert floats == {"Floats"}
    record = "@dataclass\nclass A:\n    power: Floats\n    names: Names\n"
    assert nameless(Module.of("plant/a.py", record), floats) == ["plant/a.py:A.power"]
