"""The accelerator catalogue: what each chip draws, holds, weighs in carbon, costs, and who made it.

The figures stand in ``data/accelerators.yaml``, each with its source, year and state. A new chip is
added by data alone: give `load_catalogue` one more file of the same shape.

**Basis of the watts.** All watts are per accelerator and *all-in at the node*: the power of the
whole server at its inlet (host, fans, power supplies included), divided by its accelerators. The
cluster network outside the server is not in it (see `gigafactory.plant.power.fabric_w`).

**H100-equivalents.** The rule of Epoch AI: dense 8-bit peak operations per second, divided by those
of an H100 SXM (1.979e15). It compares peaks on paper, not the time a job takes, and says nothing
about memory, network or power; megawatts never follow from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from gigafactory import units
from gigafactory.engine.errors import BadInput, Problem
from gigafactory.plant.provenance import Source, read_source, read_yaml

#: The labels of the job classes a chip can have a power figure for.
CLASS_LABELS: Final = (
    "frontier_training",
    "research",
    "fine_tuning",
    "inference_batch",
    "inference_realtime",
)

#: Dense 8-bit peak of an H100 SXM, in tera-operations per second (NVIDIA data sheet, 2022).
H100_DENSE_8BIT_TOPS: Final = 1979.0

H100_RULE: Final = (
    "dense 8-bit peak operations per second divided by 1.979e15, those of an H100 SXM (Epoch AI)"
)

BUNDLED: Final = Path(__file__).parent / "data" / "accelerators.yaml"

_TEXTS = ("vendor", "origin", "fabrication")
_FIGURES = (
    "dense_8bit_tops",
    "memory",
    "node_size",
    "tdp",
    "idle",
    "work",
    "peak",
    "embodied",
    "price",
)
_KEYS = frozenset((*_TEXTS, *_FIGURES, "sources", "note"))


@dataclass(frozen=True, slots=True)
class Chip:
    """One kind of accelerator.

    Attributes:
        name: the key by which factories and jobs name it.
        vendor: who sells it.
        origin: ISO 3166 country where it is designed.
        fabrication: foundry, process and country where it is made, in words.
        dense_8bit_tops: dense 8-bit peak, tera-operations per second.
        h100_equivalent: how many H100 it counts for, by `h100_rule`.
        h100_rule: the rule behind that number, in words.
        memory_gb: high-bandwidth (or main) memory of one accelerator, GB.
        node_size: accelerators in one server (one scheduling node).
        idle_w: all-in node power per accelerator when switched on and doing nothing, W.
        work_w: the same at full speed, W, per job class label. A class that is missing is one the
            chip cannot do.
        peak_w: rated (name-plate) node power per accelerator, W; for sizing cables and cooling.
        tdp_w: thermal design power of the accelerator alone, W.
        embodied_kg: cradle-to-gate carbon, kg CO2e, (low, high): accelerator alone to its share
            of the whole server.
        price_eur: one accelerator with its share of the server, EUR, (low, base, high).
        sources: the origin of each figure; keys as in the data file, with ``work.<class>``.
        note: what a reader should know before using this chip.
    """

    name: str
    vendor: str
    origin: str
    fabrication: str
    dense_8bit_tops: float
    h100_equivalent: float
    h100_rule: str
    memory_gb: float
    node_size: int
    idle_w: float
    work_w: Mapping[str, float]
    peak_w: float
    tdp_w: float
    embodied_kg: tuple[float, float]
    price_eur: tuple[float, float, float]
    sources: Mapping[str, Source]
    note: str = ""

    def can(self, class_label: str) -> bool:
        """Whether the chip can do work of a class (it has a power figure for it)."""
        return class_label in self.work_w


class _Reader:
    """Reads one chip's mapping and collects what is wrong with it."""

    def __init__(self, where: str, name: str, raw: Mapping[str, Any], found: list[Problem]) -> None:
        self.where, self.name, self.raw, self.problems = where, name, raw, found

    def bad(self, field: str, value: object, why: str) -> None:
        self.problems.append(Problem(self.where, f"chips.{self.name}.{field}", str(value), why))

    def quantity(self, field: str, value: object, dimension: str) -> float:
        try:
            number = units.parse(value, dimension)
        except ValueError as error:
            self.bad(field, value, str(error))
            return math.nan
        if number <= 0.0:
            self.bad(field, value, "must be above zero")
            return math.nan
        return number

    def number(self, field: str) -> float:
        value = self.raw.get(field)
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not good or not math.isfinite(float(str(value))) or float(str(value)) <= 0.0:
            self.bad(field, value, "must be a finite number above zero")
            return math.nan
        return float(str(value))

    def ladder(self, field: str, dimension: str, count: int) -> tuple[float, ...]:
        value = self.raw.get(field)
        names = ("low", "high") if count == 2 else ("low", "base", "high")
        if not isinstance(value, list) or len(value) != count:
            self.bad(field, value, f"must be a list of {count}: {', '.join(names)}")
            return (math.nan,) * count
        steps = tuple(self.quantity(field, item, dimension) for item in value)
        if any(a > b for a, b in pairwise(steps)):
            self.bad(field, value, f"must rise: {', '.join(names)}")
        return steps

    def text(self, field: str) -> str:
        value = self.raw.get(field)
        if not isinstance(value, str) or not value.strip():
            self.bad(field, value, "must be given, as text")
            return ""
        return value.strip()

    def work(self, idle_w: float, peak_w: float) -> dict[str, float]:
        value = self.raw.get("work")
        if not isinstance(value, dict) or not value:
            why = f"must give the watts of at least one class of: {', '.join(CLASS_LABELS)}"
            self.bad("work", value, why)
            return {}
        found: dict[str, float] = {}
        for label in sorted(map(str, value)):
            field = f"work.{label}"
            if label not in CLASS_LABELS:
                self.bad(field, value[label], f"unknown class; known: {', '.join(CLASS_LABELS)}")
                continue
            found[label] = self.quantity(field, value[label], "power_w")
            if found[label] <= idle_w:
                self.bad(field, value[label], f"must be above the idle power ({idle_w:g} W)")
            if found[label] > peak_w:
                self.bad(field, value[label], f"must not exceed the rated power ({peak_w:g} W)")
        return found

    def sources(self, figures: tuple[str, ...]) -> dict[str, Source]:
        value = self.raw.get("sources")
        if not isinstance(value, dict):
            self.bad("sources", value, f"must give the source of: {', '.join(figures)}")
            return {}
        found: dict[str, Source] = {}
        for key in sorted(map(str, value)):
            if key not in figures:
                self.bad(f"sources.{key}", "", f"names no figure; known: {', '.join(figures)}")
                continue
            where = f"chips.{self.name}.sources.{key}"
            source = read_source(self.where, where, value[key], self.problems)
            if source is not None:
                found[key] = source
        for key in figures:
            if key not in value:
                self.bad(f"sources.{key}", "", "a figure needs its source, year and state")
        return found

    def chip(self) -> Chip | None:
        before = len(self.problems)
        for key in sorted(set(self.raw) - _KEYS):
            known = ", ".join(sorted(_KEYS))
            self.bad(key, self.raw[key], f"unknown key; known: {known}")
        vendor, origin, fabrication = (self.text(field) for field in _TEXTS)
        if origin and not (len(origin) == 2 and origin.isascii() and origin.isupper()):
            self.bad("origin", origin, "must be an ISO 3166 country of two letters, such as NL")
        tops = self.number("dense_8bit_tops")
        node_size = self.raw.get("node_size")
        if isinstance(node_size, bool) or not isinstance(node_size, int) or node_size < 1:
            self.bad("node_size", node_size, "must be a whole number of at least 1")
        memory_gb = self.quantity("memory", self.raw.get("memory"), "memory_gb")
        tdp_w = self.quantity("tdp", self.raw.get("tdp"), "power_w")
        idle_w = self.quantity("idle", self.raw.get("idle"), "power_w")
        peak_w = self.quantity("peak", self.raw.get("peak"), "power_w")
        work_w = self.work(idle_w, peak_w)
        embodied = self.ladder("embodied", "mass_kg", 2)
        price = self.ladder("price", "money_eur", 3)
        plain = ("origin", *(figure for figure in _FIGURES if figure != "work"))
        figures = (*plain, *(f"work.{label}" for label in work_w))
        sources = self.sources(figures)
        if len(self.problems) > before:
            return None
        return Chip(
            name=self.name,
            vendor=vendor,
            origin=origin,
            fabrication=fabrication,
            dense_8bit_tops=tops,
            h100_equivalent=tops / H100_DENSE_8BIT_TOPS,
            h100_rule=H100_RULE,
            memory_gb=memory_gb,
            node_size=int(str(node_size)),
            idle_w=idle_w,
            work_w=work_w,
            peak_w=peak_w,
            tdp_w=tdp_w,
            embodied_kg=(embodied[0], embodied[1]),
            price_eur=(price[0], price[1], price[2]),
            sources=sources,
            note=str(self.raw.get("note", "")),
        )


def load_catalogue(*extra_paths: str | Path) -> dict[str, Chip]:
    """Read the bundled catalogue and any files of one's own.

    Args:
        extra_paths: YAML files of the same shape (``chips: {name: {...}}``) with further chips.

    Returns:
        The chips by name, sorted by name.

    Raises:
        BadInput: with every problem of every file, also when a name is given twice.
    """
    return dict(_load(tuple(Path(path) for path in extra_paths)))


@lru_cache(maxsize=32)
def _bundled() -> tuple[tuple[str, Chip], ...]:
    return _read((BUNDLED,))


def _load(extra: tuple[Path, ...]) -> tuple[tuple[str, Chip], ...]:
    # the bundled file never changes within a run; a user's file may, so it is read each time
    return _read((BUNDLED, *extra)) if extra else _bundled()


def _read(paths: tuple[Path, ...]) -> tuple[tuple[str, Chip], ...]:
    problems: list[Problem] = []
    chips: dict[str, Chip] = {}
    first_seen: dict[str, Path] = {}
    for path in paths:
        before = len(problems)
        content = read_yaml(path, problems)
        if len(problems) > before:
            continue
        problems.extend(
            Problem(str(path), key, "", "unknown key; the file holds only chips")
            for key in sorted(set(content) - {"chips"})
        )
        table = content.get("chips")
        if not isinstance(table, dict) or not table:
            why = "must hold at least one chip (chips: {name: {...}})"
            problems.append(Problem(str(path), "chips", "", why))
            continue
        for name in sorted(map(str, table)):
            raw = table.get(name)
            if name in first_seen:
                why = f"is already in {first_seen[name]}; give it another name"
                problems.append(Problem(str(path), f"chips.{name}", "", why))
                continue
            first_seen[name] = path
            if not isinstance(raw, dict):
                problems.append(Problem(str(path), f"chips.{name}", str(raw), "must be a mapping"))
                continue
            fields = {str(key): value for key, value in raw.items()}
            chip = _Reader(str(path), name, fields, problems).chip()
            if chip is not None:
                chips[name] = chip
    if problems:
        raise BadInput(problems)
    return tuple(sorted(chips.items()))


def h100_equivalents(
    counts: Mapping[str, float], catalogue: Mapping[str, Chip] | None = None
) -> float:
    """Size of a mixed fleet in H100-equivalents.

    Args:
        counts: physical accelerators per chip name.
        catalogue: the chips; the bundled catalogue when left out.

    Returns:
        The sum over the chips of count times `Chip.h100_equivalent`.

    Raises:
        BadInput: for every chip not in the catalogue and every count that is negative or not
            finite.
    """
    chips = load_catalogue() if catalogue is None else catalogue
    problems: list[Problem] = []
    total = 0.0
    for name in sorted(counts):
        count = float(counts[name])
        if name not in chips:
            why = f"no such chip in the catalogue; it has {', '.join(sorted(chips))}"
            problems.append(Problem("fleet", name, str(counts[name]), why))
        elif not math.isfinite(count) or count < 0.0:
            why = "a number of accelerators is finite and not negative"
            problems.append(Problem("fleet", name, str(counts[name]), why))
        else:
            total += count * chips[name].h100_equivalent
    if problems:
        raise BadInput(problems)
    return total
