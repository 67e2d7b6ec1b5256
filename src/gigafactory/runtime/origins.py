"""Where every figure of a run comes from: factory, accelerators, power curves, signals, work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import pyarrow as pa

from gigafactory.factory.generators import OwnGenerator
from gigafactory.factory.models import Factory
from gigafactory.factory.provenance import sources
from gigafactory.grid import Signals
from gigafactory.grid.series import SourceRow
from gigafactory.jobs import JobTable
from gigafactory.plant import Chip
from gigafactory.plant.generation import kinds
from gigafactory.plant.power import curve_for
from gigafactory.runtime.supply import generators_of

Row = tuple[str, float, str, str, int | None, str]

#: Figures of an accelerator as named in its sources: how to read the value, and its unit.
_CHIP: dict[str, tuple[Callable[[Chip], float], str]] = {
    "dense_8bit_tops": (lambda c: c.dense_8bit_tops, "TOPS"),
    "memory": (lambda c: c.memory_gb, "GB"),
    "node_size": (lambda c: float(c.node_size), ""),
    "tdp": (lambda c: c.tdp_w, "W"),
    "idle": (lambda c: c.idle_w, "W"),
    "peak": (lambda c: c.peak_w, "W"),
    "embodied": (lambda c: c.embodied_kg[1], "kg CO2e, high end"),
    "price": (lambda c: c.price_eur[1], "EUR, middle"),
}


def source_table(
    factory: Factory,
    catalogue: Mapping[str, Chip],
    signals: Signals,
    table: JobTable,
    rules: Iterable[SourceRow] = (),
) -> pa.Table:
    """Every figure a run rests on, with its source, year and verification state.

    Args:
        factory: its settings.
        catalogue: accelerators.
        signals: what the outside does.
        table: what is asked.
        rules: figures of market rules and tariffs that hold.

    Returns:
        Table with `figure` (dotted path), `value`, `unit`, `source`, `year`, `state`.
    """
    rows: list[Row] = [
        (r.path, r.value, r.unit, r.source, r.year or None, r.state or "assumption")
        for r in sources(factory)
    ]
    for chip in sorted({p.chip for p in factory.fleet}):
        rows += _chip_rows(catalogue[chip])
    for one in generators_of(factory):
        rows += _generator_rows(one)
    rows += [
        (r.figure, r.value, r.unit, _with(r.source, r.note), r.year, r.state)
        for r in (*signals.sources(), *rules)
    ]
    origin = table.origin or "jobs"
    rows.append(("jobs", float(len(table)), "jobs", origin, None, table.state))
    names = ("figure", "value", "unit", "source", "year", "state")
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})


def _chip_rows(chip: Chip) -> Iterator[Row]:
    for field, source in chip.sources.items():
        value, unit = 0.0, ""
        if field in _CHIP:
            read, unit = _CHIP[field]
            value = read(chip)
        elif field.startswith("work."):
            value, unit = chip.work_w[field.removeprefix("work.")], "W"
        else:
            continue
        path = f"accelerators.{chip.name}.{field}"
        yield path, value, unit, _with(source.source, source.note), source.year, source.state
    for label in chip.work_w:
        curve = curve_for(chip.name, label)
        path = f"power_curve.{chip.name}.{label}.speed_min"
        yield path, curve.speed_min, "", _with(curve.source, curve.note), curve.year, curve.state


def _generator_rows(one: OwnGenerator) -> Iterator[Row]:
    """Figures of its kind that hold for a generator, and those of its fuel."""
    of = kinds()[one.kind]
    figures = {key: of.figures[key] for key in one.taken_from_kind}
    if of.fuel is not None:
        if one.fuel_price_eur_per_mwh is None:
            figures["fuel.price_eur_per_mwh"] = of.fuel.figures["price_eur_per_mwh"]
        figures["fuel.co2_kg_per_mwh"] = of.fuel.figures["co2_kg_per_mwh"]
    for key, figure in figures.items():
        s = figure.source
        path = f"generators.{one.name}.{key}"
        yield path, figure.base, figure.unit, _with(s.source, s.note), s.year, s.state


def _with(source: str, note: str) -> str:
    return f"{source}. {note}" if note else source
